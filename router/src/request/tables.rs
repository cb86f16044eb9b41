//! The inputs of the operations that torc has, as version 2012-08-10 of the API's model has them.
//!
//! The order of members is the model's, or, where it is known, that in which DynamoDB tells what is wrong with them. The words of enums stand in the order in which DynamoDB's messages name them, which
//! is that of a hash. In some places they say more or less than the model: a table without GlobalTableSourceArn, the only kind
//! here, needs a key; tags and table classes are refused in words of their own.

use super::shape::{
    Integer, Keys, Map, Shape, Sizes, Structure, list, list_of, optional, required, text, text_like, text_of,
    word,
};

/// The input of CreateTable.
pub static CREATE_TABLE: Structure = Structure {
    name: "CreateTableInput",
    members: &[
        required("AttributeDefinitions", &ATTRIBUTE_DEFINITIONS),
        optional("BillingMode", &BILLING_MODE),
        optional("DeletionProtectionEnabled", &Shape::Boolean),
        optional("GlobalSecondaryIndexes", &GLOBAL_SECONDARY_INDEX_LIST),
        optional("GlobalTableSettingsReplicationMode", &GLOBAL_TABLE_SETTINGS_REPLICATION_MODE),
        optional("GlobalTableSourceArn", &Shape::TableName),
        required("KeySchema", &KEY_SCHEMA),
        optional("LocalSecondaryIndexes", &LOCAL_SECONDARY_INDEX_LIST),
        optional("OnDemandThroughput", &ON_DEMAND_THROUGHPUT),
        optional("ProvisionedThroughput", &PROVISIONED_THROUGHPUT),
        optional("ResourcePolicy", &RESOURCE_POLICY),
        optional("SSESpecification", &SSE_SPECIFICATION),
        optional("StreamSpecification", &STREAM_SPECIFICATION),
        optional("TableClass", &TABLE_CLASS),
        required("TableName", &Shape::TableName),
        optional("Tags", &TAG_LIST),
        optional("VectorIndexes", &VECTOR_INDEX_LIST),
        optional("WarmThroughput", &WARM_THROUGHPUT),
    ],
};

/// The input of DescribeTable.
pub static DESCRIBE_TABLE: Structure =
    Structure { name: "DescribeTableInput", members: &[required("TableName", &Shape::TableName)] };

/// The input of ListTables.
pub static LIST_TABLES: Structure = Structure {
    name: "ListTablesInput",
    members: &[optional("ExclusiveStartTableName", &TABLE_NAME), optional("Limit", &LIST_TABLES_INPUT_LIMIT)],
};

/// The input of UpdateTable.
pub static UPDATE_TABLE: Structure = Structure {
    name: "UpdateTableInput",
    members: &[
        optional("AttributeDefinitions", &ATTRIBUTE_DEFINITIONS),
        optional("BillingMode", &BILLING_MODE),
        optional("DeletionProtectionEnabled", &Shape::Boolean),
        optional("DisassociationProtectionEnabled", &Shape::Boolean),
        optional("GlobalSecondaryIndexUpdates", &GLOBAL_SECONDARY_INDEX_UPDATE_LIST),
        optional("GlobalTableSettingsReplicationMode", &GLOBAL_TABLE_SETTINGS_REPLICATION_MODE),
        optional("GlobalTableWitnessUpdates", &GLOBAL_TABLE_WITNESS_GROUP_UPDATE_LIST),
        optional("MultiRegionConsistency", &MULTI_REGION_CONSISTENCY),
        optional("OnDemandThroughput", &ON_DEMAND_THROUGHPUT),
        optional("ProvisionedThroughput", &PROVISIONED_THROUGHPUT),
        optional("ReplicaUpdates", &REPLICATION_GROUP_UPDATE_LIST),
        optional("SSESpecification", &SSE_SPECIFICATION),
        optional("StreamSpecification", &STREAM_SPECIFICATION),
        optional("TableClass", &TABLE_CLASS),
        required("TableName", &Shape::TableName),
        optional("VectorIndexUpdates", &VECTOR_INDEX_UPDATE_LIST),
        optional("WarmThroughput", &WARM_THROUGHPUT),
    ],
};

/// The input of DeleteTable.
pub static DELETE_TABLE: Structure =
    Structure { name: "DeleteTableInput", members: &[required("TableName", &Shape::TableName)] };

/// The input of TagResource.
pub static TAG_RESOURCE: Structure = Structure {
    name: "TagResourceInput",
    members: &[required("ResourceArn", &RESOURCE_ARN_STRING), required("Tags", &TAG_LIST)],
};

/// The input of UntagResource.
pub static UNTAG_RESOURCE: Structure = Structure {
    name: "UntagResourceInput",
    members: &[required("ResourceArn", &RESOURCE_ARN_STRING), required("TagKeys", &TAG_KEY_LIST)],
};

/// The input of ListTagsOfResource.
pub static LIST_TAGS_OF_RESOURCE: Structure = Structure {
    name: "ListTagsOfResourceInput",
    members: &[optional("NextToken", &NEXT_TOKEN_STRING), required("ResourceArn", &RESOURCE_ARN_STRING)],
};

/// The input of UpdateTimeToLive.
pub static UPDATE_TIME_TO_LIVE: Structure = Structure {
    name: "UpdateTimeToLiveInput",
    members: &[
        required("TableName", &Shape::TableName),
        required("TimeToLiveSpecification", &TIME_TO_LIVE_SPECIFICATION),
    ],
};

/// The input of DescribeTimeToLive.
pub static DESCRIBE_TIME_TO_LIVE: Structure =
    Structure { name: "DescribeTimeToLiveInput", members: &[required("TableName", &Shape::TableName)] };

/// The input of DescribeLimits.
pub static DESCRIBE_LIMITS: Structure = Structure { name: "DescribeLimitsInput", members: &[] };

/// The input of DescribeEndpoints.
pub static DESCRIBE_ENDPOINTS: Structure = Structure { name: "DescribeEndpointsRequest", members: &[] };

/// The input of DescribeContinuousBackups.
pub static DESCRIBE_CONTINUOUS_BACKUPS: Structure = Structure {
    name: "DescribeContinuousBackupsInput",
    members: &[required("TableName", &Shape::TableName)],
};

/// The input of PutItem.
pub static PUT_ITEM: Structure = Structure {
    name: "PutItemInput",
    members: &[
        optional("ConditionExpression", &CONDITION_EXPRESSION),
        optional("ConditionalOperator", &CONDITIONAL_OPERATOR),
        optional("Expected", &EXPECTED_ATTRIBUTE_MAP),
        optional("ExpressionAttributeNames", &EXPRESSION_ATTRIBUTE_NAME_MAP),
        optional("ExpressionAttributeValues", &EXPRESSION_ATTRIBUTE_VALUE_MAP),
        required("Item", &Shape::Item),
        optional("ReturnConsumedCapacity", &RETURN_CONSUMED_CAPACITY),
        optional("ReturnItemCollectionMetrics", &RETURN_ITEM_COLLECTION_METRICS),
        optional("ReturnValues", &RETURN_VALUE),
        optional("ReturnValuesOnConditionCheckFailure", &RETURN_VALUES_ON_CONDITION_CHECK_FAILURE),
        required("TableName", &Shape::TableName),
    ],
};

/// The input of GetItem.
pub static GET_ITEM: Structure = Structure {
    name: "GetItemInput",
    members: &[
        optional("AttributesToGet", &ATTRIBUTE_NAME_LIST),
        optional("ConsistentRead", &Shape::Boolean),
        optional("ExpressionAttributeNames", &EXPRESSION_ATTRIBUTE_NAME_MAP),
        required("Key", &Shape::Item),
        optional("ProjectionExpression", &PROJECTION_EXPRESSION),
        optional("ReturnConsumedCapacity", &RETURN_CONSUMED_CAPACITY),
        required("TableName", &Shape::TableName),
    ],
};

/// The input of UpdateItem.
pub static UPDATE_ITEM: Structure = Structure {
    name: "UpdateItemInput",
    members: &[
        optional("AttributeUpdates", &ATTRIBUTE_UPDATES),
        optional("ConditionExpression", &CONDITION_EXPRESSION),
        optional("ConditionalOperator", &CONDITIONAL_OPERATOR),
        optional("Expected", &EXPECTED_ATTRIBUTE_MAP),
        optional("ExpressionAttributeNames", &EXPRESSION_ATTRIBUTE_NAME_MAP),
        optional("ExpressionAttributeValues", &EXPRESSION_ATTRIBUTE_VALUE_MAP),
        required("Key", &Shape::Item),
        optional("ReturnConsumedCapacity", &RETURN_CONSUMED_CAPACITY),
        optional("ReturnItemCollectionMetrics", &RETURN_ITEM_COLLECTION_METRICS),
        optional("ReturnValues", &RETURN_VALUE),
        optional("ReturnValuesOnConditionCheckFailure", &RETURN_VALUES_ON_CONDITION_CHECK_FAILURE),
        required("TableName", &Shape::TableName),
        optional("UpdateExpression", &UPDATE_EXPRESSION),
    ],
};

/// The input of DeleteItem.
pub static DELETE_ITEM: Structure = Structure {
    name: "DeleteItemInput",
    members: &[
        optional("ConditionExpression", &CONDITION_EXPRESSION),
        optional("ConditionalOperator", &CONDITIONAL_OPERATOR),
        optional("Expected", &EXPECTED_ATTRIBUTE_MAP),
        optional("ExpressionAttributeNames", &EXPRESSION_ATTRIBUTE_NAME_MAP),
        optional("ExpressionAttributeValues", &EXPRESSION_ATTRIBUTE_VALUE_MAP),
        required("Key", &Shape::Item),
        optional("ReturnConsumedCapacity", &RETURN_CONSUMED_CAPACITY),
        optional("ReturnItemCollectionMetrics", &RETURN_ITEM_COLLECTION_METRICS),
        optional("ReturnValues", &RETURN_VALUE),
        optional("ReturnValuesOnConditionCheckFailure", &RETURN_VALUES_ON_CONDITION_CHECK_FAILURE),
        required("TableName", &Shape::TableName),
    ],
};

/// The input of BatchGetItem.
pub static BATCH_GET_ITEM: Structure = Structure {
    name: "BatchGetItemInput",
    members: &[
        required("RequestItems", &BATCH_GET_REQUEST_MAP),
        optional("ReturnConsumedCapacity", &RETURN_CONSUMED_CAPACITY),
    ],
};

/// The input of BatchWriteItem.
pub static BATCH_WRITE_ITEM: Structure = Structure {
    name: "BatchWriteItemInput",
    members: &[
        required("RequestItems", &BATCH_WRITE_ITEM_REQUEST_MAP),
        optional("ReturnConsumedCapacity", &RETURN_CONSUMED_CAPACITY),
        optional("ReturnItemCollectionMetrics", &RETURN_ITEM_COLLECTION_METRICS),
    ],
};

/// The input of Query.
pub static QUERY: Structure = Structure {
    name: "QueryInput",
    members: &[
        optional("AttributesToGet", &ATTRIBUTE_NAME_LIST),
        optional("ConditionalOperator", &CONDITIONAL_OPERATOR),
        optional("ConsistentRead", &Shape::Boolean),
        optional("ExclusiveStartKey", &Shape::Item),
        optional("ExpressionAttributeNames", &EXPRESSION_ATTRIBUTE_NAME_MAP),
        optional("ExpressionAttributeValues", &EXPRESSION_ATTRIBUTE_VALUE_MAP),
        optional("FilterExpression", &CONDITION_EXPRESSION),
        optional("IndexName", &INDEX_NAME),
        optional("KeyConditionExpression", &KEY_EXPRESSION),
        optional("KeyConditions", &KEY_CONDITIONS),
        optional("Limit", &POSITIVE_INTEGER_OBJECT),
        optional("ProjectionExpression", &PROJECTION_EXPRESSION),
        optional("QueryFilter", &FILTER_CONDITION_MAP),
        optional("ReturnConsumedCapacity", &RETURN_CONSUMED_CAPACITY),
        optional("ScanIndexForward", &Shape::Boolean),
        optional("Select", &SELECT),
        required("TableName", &Shape::TableName),
    ],
};

/// The input of Scan.
pub static SCAN: Structure = Structure {
    name: "ScanInput",
    members: &[
        optional("AttributesToGet", &ATTRIBUTE_NAME_LIST),
        optional("ConditionalOperator", &CONDITIONAL_OPERATOR),
        optional("ConsistentRead", &Shape::Boolean),
        optional("ExclusiveStartKey", &Shape::Item),
        optional("ExpressionAttributeNames", &EXPRESSION_ATTRIBUTE_NAME_MAP),
        optional("ExpressionAttributeValues", &EXPRESSION_ATTRIBUTE_VALUE_MAP),
        optional("FilterExpression", &CONDITION_EXPRESSION),
        optional("IndexName", &INDEX_NAME),
        optional("Limit", &POSITIVE_INTEGER_OBJECT),
        optional("ProjectionExpression", &PROJECTION_EXPRESSION),
        optional("ReturnConsumedCapacity", &RETURN_CONSUMED_CAPACITY),
        optional("ScanFilter", &FILTER_CONDITION_MAP),
        optional("Segment", &SCAN_SEGMENT),
        optional("Select", &SELECT),
        required("TableName", &Shape::TableName),
        optional("TotalSegments", &SCAN_TOTAL_SEGMENTS),
    ],
};

static LONG: Shape = Shape::Integer(Integer { class: "Long", min: None, max: None });
pub(crate) static KEY_SCHEMA_ATTRIBUTE_NAME: Shape = text_of(1, 255);
pub(crate) static SCALAR_ATTRIBUTE_TYPE: Shape = word(&["B", "N", "S"]);
pub(crate) static ATTRIBUTE_DEFINITION: Shape = Shape::Structure(&Structure {
    name: "AttributeDefinition",
    members: &[
        required("AttributeType", &SCALAR_ATTRIBUTE_TYPE),
        required("AttributeName", &KEY_SCHEMA_ATTRIBUTE_NAME),
    ],
});
pub(crate) static ATTRIBUTE_DEFINITIONS: Shape = list(&ATTRIBUTE_DEFINITION);
pub(crate) static BILLING_MODE: Shape = word(&["PROVISIONED", "PAY_PER_REQUEST"]);
pub(crate) static INDEX_NAME: Shape = text_like(3, 255, "[a-zA-Z0-9_.-]+");
pub(crate) static KEY_TYPE: Shape = word(&["HASH", "RANGE"]);
pub(crate) static KEY_SCHEMA_ELEMENT: Shape = Shape::Structure(&Structure {
    name: "KeySchemaElement",
    members: &[required("AttributeName", &KEY_SCHEMA_ATTRIBUTE_NAME), required("KeyType", &KEY_TYPE)],
});
pub(crate) static KEY_SCHEMA: Shape = list_of(&KEY_SCHEMA_ELEMENT, 1, usize::MAX);
pub(crate) static ON_DEMAND_THROUGHPUT: Shape = Shape::Structure(&Structure {
    name: "OnDemandThroughput",
    members: &[optional("MaxReadRequestUnits", &LONG), optional("MaxWriteRequestUnits", &LONG)],
});
pub(crate) static NON_KEY_ATTRIBUTE_NAME: Shape = text_of(1, 255);
pub(crate) static NON_KEY_ATTRIBUTE_NAME_LIST: Shape = list_of(&NON_KEY_ATTRIBUTE_NAME, 1, 20);
pub(crate) static PROJECTION_TYPE: Shape = word(&["ALL", "INCLUDE", "KEYS_ONLY"]);
pub(crate) static PROJECTION: Shape = Shape::Structure(&Structure {
    name: "Projection",
    members: &[
        optional("NonKeyAttributes", &NON_KEY_ATTRIBUTE_NAME_LIST),
        optional("ProjectionType", &PROJECTION_TYPE),
    ],
});
pub(crate) static POSITIVE_LONG_OBJECT: Shape =
    Shape::Integer(Integer { class: "Long", min: Some(1), max: None });
pub(crate) static PROVISIONED_THROUGHPUT: Shape = Shape::Structure(&Structure {
    name: "ProvisionedThroughput",
    members: &[
        required("WriteCapacityUnits", &POSITIVE_LONG_OBJECT),
        required("ReadCapacityUnits", &POSITIVE_LONG_OBJECT),
    ],
});
pub(crate) static WARM_THROUGHPUT: Shape = Shape::Structure(&Structure {
    name: "WarmThroughput",
    members: &[optional("ReadUnitsPerSecond", &LONG), optional("WriteUnitsPerSecond", &LONG)],
});
pub(crate) static GLOBAL_SECONDARY_INDEX: Shape = Shape::Structure(&Structure {
    name: "GlobalSecondaryIndex",
    members: &[
        required("IndexName", &INDEX_NAME),
        required("KeySchema", &KEY_SCHEMA),
        optional("OnDemandThroughput", &ON_DEMAND_THROUGHPUT),
        required("Projection", &PROJECTION),
        optional("ProvisionedThroughput", &PROVISIONED_THROUGHPUT),
        optional("WarmThroughput", &WARM_THROUGHPUT),
    ],
});
pub(crate) static GLOBAL_SECONDARY_INDEX_LIST: Shape = list(&GLOBAL_SECONDARY_INDEX);
pub(crate) static GLOBAL_TABLE_SETTINGS_REPLICATION_MODE: Shape =
    word(&["ENABLED", "DISABLED", "ENABLED_WITH_OVERRIDES"]);
pub(crate) static LOCAL_SECONDARY_INDEX: Shape = Shape::Structure(&Structure {
    name: "LocalSecondaryIndex",
    members: &[
        required("IndexName", &INDEX_NAME),
        required("KeySchema", &KEY_SCHEMA),
        required("Projection", &PROJECTION),
    ],
});
pub(crate) static LOCAL_SECONDARY_INDEX_LIST: Shape = list(&LOCAL_SECONDARY_INDEX);
pub(crate) static RESOURCE_POLICY: Shape = text();
pub(crate) static KMS_MASTER_KEY_ID: Shape = text_of(1, usize::MAX);
pub(crate) static SSE_TYPE: Shape = word(&["AES256", "KMS"]);
pub(crate) static SSE_SPECIFICATION: Shape = Shape::Structure(&Structure {
    name: "SSESpecification",
    members: &[
        optional("Enabled", &Shape::Boolean),
        optional("KMSMasterKeyId", &KMS_MASTER_KEY_ID),
        optional("SSEType", &SSE_TYPE),
    ],
});
pub(crate) static STREAM_VIEW_TYPE: Shape =
    word(&["OLD_IMAGE", "KEYS_ONLY", "NEW_AND_OLD_IMAGES", "NEW_IMAGE"]);
pub(crate) static STREAM_SPECIFICATION: Shape = Shape::Structure(&Structure {
    name: "StreamSpecification",
    members: &[required("StreamEnabled", &Shape::Boolean), optional("StreamViewType", &STREAM_VIEW_TYPE)],
});
// Refused in words of its own: `operation::tables`.
pub(crate) static TABLE_CLASS: Shape = text();
// What tags may be made of, `operation::tags` says in words of its own.
pub(crate) static TAG_KEY_STRING: Shape = text();
pub(crate) static TAG_VALUE_STRING: Shape = text();
pub(crate) static TAG: Shape = Shape::Structure(&Structure {
    name: "Tag",
    members: &[optional("Key", &TAG_KEY_STRING), optional("Value", &TAG_VALUE_STRING)],
});
pub(crate) static TAG_LIST: Shape = list(&TAG);
pub(crate) static TAG_KEY_LIST: Shape = list(&TAG_KEY_STRING);
pub(crate) static RESOURCE_ARN_STRING: Shape = text_of(1, 1283);
pub(crate) static NEXT_TOKEN_STRING: Shape = text();
pub(crate) static TIME_TO_LIVE_ATTRIBUTE_NAME: Shape = text_of(1, 255);
pub(crate) static TIME_TO_LIVE_SPECIFICATION: Shape = Shape::Structure(&Structure {
    name: "TimeToLiveSpecification",
    members: &[required("AttributeName", &TIME_TO_LIVE_ATTRIBUTE_NAME), required("Enabled", &Shape::Boolean)],
});
pub(crate) static VECTOR_DISTANCE_FUNCTION: Shape = word(&["COSINE", "DOT_PRODUCT", "EUCLIDEAN"]);
pub(crate) static ATTRIBUTE_NAME: Shape = text_of(0, 65535);
pub(crate) static SEARCH_SCHEMA_ELEMENT_TYPE: Shape = word(&["HASH", "INLINE_FILTER"]);
pub(crate) static SEARCH_SCHEMA_ELEMENT: Shape = Shape::Structure(&Structure {
    name: "SearchSchemaElement",
    members: &[
        required("AttributeName", &ATTRIBUTE_NAME),
        required("SearchSchemaElementType", &SEARCH_SCHEMA_ELEMENT_TYPE),
    ],
});
pub(crate) static SEARCH_SCHEMA: Shape = list_of(&SEARCH_SCHEMA_ELEMENT, 1, usize::MAX);
pub(crate) static VECTOR_ATTRIBUTE_NAME: Shape = text_of(1, 255);
pub(crate) static VECTOR_ATTRIBUTE_DEFINITION: Shape = Shape::Structure(&Structure {
    name: "VectorAttributeDefinition",
    members: &[required("AttributeName", &VECTOR_ATTRIBUTE_NAME)],
});
pub(crate) static VECTOR_INDEX: Shape = Shape::Structure(&Structure {
    name: "VectorIndex",
    members: &[
        required("Dimensions", &POSITIVE_LONG_OBJECT),
        required("DistanceFunction", &VECTOR_DISTANCE_FUNCTION),
        required("IndexName", &INDEX_NAME),
        required("Projection", &PROJECTION),
        optional("SearchSchema", &SEARCH_SCHEMA),
        required("VectorAttribute", &VECTOR_ATTRIBUTE_DEFINITION),
    ],
});
pub(crate) static VECTOR_INDEX_LIST: Shape = list(&VECTOR_INDEX);
pub(crate) static TABLE_NAME: Shape = text_like(3, 255, "[a-zA-Z0-9_.-]+");
pub(crate) static LIST_TABLES_INPUT_LIMIT: Shape =
    Shape::Integer(Integer { class: "Integer", min: Some(1), max: Some(100) });
pub(crate) static CREATE_GLOBAL_SECONDARY_INDEX_ACTION: Shape = Shape::Structure(&Structure {
    name: "CreateGlobalSecondaryIndexAction",
    members: &[
        required("IndexName", &INDEX_NAME),
        required("KeySchema", &KEY_SCHEMA),
        optional("OnDemandThroughput", &ON_DEMAND_THROUGHPUT),
        required("Projection", &PROJECTION),
        optional("ProvisionedThroughput", &PROVISIONED_THROUGHPUT),
        optional("WarmThroughput", &WARM_THROUGHPUT),
    ],
});
pub(crate) static DELETE_GLOBAL_SECONDARY_INDEX_ACTION: Shape = Shape::Structure(&Structure {
    name: "DeleteGlobalSecondaryIndexAction",
    members: &[required("IndexName", &INDEX_NAME)],
});
pub(crate) static UPDATE_GLOBAL_SECONDARY_INDEX_ACTION: Shape = Shape::Structure(&Structure {
    name: "UpdateGlobalSecondaryIndexAction",
    members: &[
        required("IndexName", &INDEX_NAME),
        optional("OnDemandThroughput", &ON_DEMAND_THROUGHPUT),
        optional("ProvisionedThroughput", &PROVISIONED_THROUGHPUT),
        optional("WarmThroughput", &WARM_THROUGHPUT),
    ],
});
pub(crate) static GLOBAL_SECONDARY_INDEX_UPDATE: Shape = Shape::Structure(&Structure {
    name: "GlobalSecondaryIndexUpdate",
    members: &[
        optional("Create", &CREATE_GLOBAL_SECONDARY_INDEX_ACTION),
        optional("Delete", &DELETE_GLOBAL_SECONDARY_INDEX_ACTION),
        optional("Update", &UPDATE_GLOBAL_SECONDARY_INDEX_ACTION),
    ],
});
pub(crate) static GLOBAL_SECONDARY_INDEX_UPDATE_LIST: Shape = list(&GLOBAL_SECONDARY_INDEX_UPDATE);
pub(crate) static REGION_NAME: Shape = text();
pub(crate) static CREATE_GLOBAL_TABLE_WITNESS_GROUP_MEMBER_ACTION: Shape = Shape::Structure(&Structure {
    name: "CreateGlobalTableWitnessGroupMemberAction",
    members: &[required("RegionName", &REGION_NAME)],
});
pub(crate) static DELETE_GLOBAL_TABLE_WITNESS_GROUP_MEMBER_ACTION: Shape = Shape::Structure(&Structure {
    name: "DeleteGlobalTableWitnessGroupMemberAction",
    members: &[required("RegionName", &REGION_NAME)],
});
pub(crate) static GLOBAL_TABLE_WITNESS_GROUP_UPDATE: Shape = Shape::Structure(&Structure {
    name: "GlobalTableWitnessGroupUpdate",
    members: &[
        optional("Create", &CREATE_GLOBAL_TABLE_WITNESS_GROUP_MEMBER_ACTION),
        optional("Delete", &DELETE_GLOBAL_TABLE_WITNESS_GROUP_MEMBER_ACTION),
    ],
});
pub(crate) static GLOBAL_TABLE_WITNESS_GROUP_UPDATE_LIST: Shape =
    list_of(&GLOBAL_TABLE_WITNESS_GROUP_UPDATE, 1, 1);
pub(crate) static MULTI_REGION_CONSISTENCY: Shape = word(&["EVENTUAL", "STRONG"]);
pub(crate) static ON_DEMAND_THROUGHPUT_OVERRIDE: Shape = Shape::Structure(&Structure {
    name: "OnDemandThroughputOverride",
    members: &[optional("MaxReadRequestUnits", &LONG)],
});
pub(crate) static PROVISIONED_THROUGHPUT_OVERRIDE: Shape = Shape::Structure(&Structure {
    name: "ProvisionedThroughputOverride",
    members: &[optional("ReadCapacityUnits", &POSITIVE_LONG_OBJECT)],
});
pub(crate) static REPLICA_GLOBAL_SECONDARY_INDEX: Shape = Shape::Structure(&Structure {
    name: "ReplicaGlobalSecondaryIndex",
    members: &[
        required("IndexName", &INDEX_NAME),
        optional("OnDemandThroughputOverride", &ON_DEMAND_THROUGHPUT_OVERRIDE),
        optional("ProvisionedThroughputOverride", &PROVISIONED_THROUGHPUT_OVERRIDE),
    ],
});
pub(crate) static REPLICA_GLOBAL_SECONDARY_INDEX_LIST: Shape =
    list_of(&REPLICA_GLOBAL_SECONDARY_INDEX, 1, usize::MAX);
pub(crate) static CREATE_REPLICATION_GROUP_MEMBER_ACTION: Shape = Shape::Structure(&Structure {
    name: "CreateReplicationGroupMemberAction",
    members: &[
        optional("GlobalSecondaryIndexes", &REPLICA_GLOBAL_SECONDARY_INDEX_LIST),
        optional("KMSMasterKeyId", &KMS_MASTER_KEY_ID),
        optional("OnDemandThroughputOverride", &ON_DEMAND_THROUGHPUT_OVERRIDE),
        optional("ProvisionedThroughputOverride", &PROVISIONED_THROUGHPUT_OVERRIDE),
        required("RegionName", &REGION_NAME),
        optional("TableClassOverride", &TABLE_CLASS),
    ],
});
pub(crate) static DELETE_REPLICATION_GROUP_MEMBER_ACTION: Shape = Shape::Structure(&Structure {
    name: "DeleteReplicationGroupMemberAction",
    members: &[required("RegionName", &REGION_NAME)],
});
pub(crate) static DISASSOCIATION_MODE: Shape = word(&["WAIT_FOR_REPLICATION"]);
pub(crate) static DISASSOCIATE_REPLICATION_GROUP_MEMBER_ACTION: Shape = Shape::Structure(&Structure {
    name: "DisassociateReplicationGroupMemberAction",
    members: &[required("DisassociationMode", &DISASSOCIATION_MODE), required("RegionName", &REGION_NAME)],
});
pub(crate) static UPDATE_REPLICATION_GROUP_MEMBER_ACTION: Shape = Shape::Structure(&Structure {
    name: "UpdateReplicationGroupMemberAction",
    members: &[
        optional("GlobalSecondaryIndexes", &REPLICA_GLOBAL_SECONDARY_INDEX_LIST),
        optional("KMSMasterKeyId", &KMS_MASTER_KEY_ID),
        optional("OnDemandThroughputOverride", &ON_DEMAND_THROUGHPUT_OVERRIDE),
        optional("ProvisionedThroughputOverride", &PROVISIONED_THROUGHPUT_OVERRIDE),
        required("RegionName", &REGION_NAME),
        optional("TableClassOverride", &TABLE_CLASS),
    ],
});
pub(crate) static REPLICATION_GROUP_UPDATE: Shape = Shape::Structure(&Structure {
    name: "ReplicationGroupUpdate",
    members: &[
        optional("Create", &CREATE_REPLICATION_GROUP_MEMBER_ACTION),
        optional("Delete", &DELETE_REPLICATION_GROUP_MEMBER_ACTION),
        optional("Disassociate", &DISASSOCIATE_REPLICATION_GROUP_MEMBER_ACTION),
        optional("Update", &UPDATE_REPLICATION_GROUP_MEMBER_ACTION),
    ],
});
pub(crate) static REPLICATION_GROUP_UPDATE_LIST: Shape = list_of(&REPLICATION_GROUP_UPDATE, 1, usize::MAX);
pub(crate) static CREATE_VECTOR_INDEX_ACTION: Shape = Shape::Structure(&Structure {
    name: "CreateVectorIndexAction",
    members: &[
        required("Dimensions", &POSITIVE_LONG_OBJECT),
        required("DistanceFunction", &VECTOR_DISTANCE_FUNCTION),
        required("IndexName", &INDEX_NAME),
        required("Projection", &PROJECTION),
        optional("SearchSchema", &SEARCH_SCHEMA),
        required("VectorAttribute", &VECTOR_ATTRIBUTE_DEFINITION),
    ],
});
pub(crate) static DELETE_VECTOR_INDEX_ACTION: Shape = Shape::Structure(&Structure {
    name: "DeleteVectorIndexAction",
    members: &[required("IndexName", &INDEX_NAME)],
});
pub(crate) static VECTOR_INDEX_UPDATE: Shape = Shape::Structure(&Structure {
    name: "VectorIndexUpdate",
    members: &[
        optional("Create", &CREATE_VECTOR_INDEX_ACTION),
        optional("Delete", &DELETE_VECTOR_INDEX_ACTION),
    ],
});
pub(crate) static VECTOR_INDEX_UPDATE_LIST: Shape = list(&VECTOR_INDEX_UPDATE);
pub(crate) static CONDITION_EXPRESSION: Shape = text();
pub(crate) static CONDITIONAL_OPERATOR: Shape = word(&["OR", "AND"]);
pub(crate) static ATTRIBUTE_VALUE_LIST: Shape = list(&Shape::Attribute);
pub(crate) static COMPARISON_OPERATOR: Shape = word(&[
    "IN",
    "NULL",
    "BETWEEN",
    "LT",
    "NOT_CONTAINS",
    "EQ",
    "GT",
    "NOT_NULL",
    "NE",
    "LE",
    "BEGINS_WITH",
    "GE",
    "CONTAINS",
]);
pub(crate) static EXPECTED_ATTRIBUTE_VALUE: Shape = Shape::Structure(&Structure {
    name: "ExpectedAttributeValue",
    members: &[
        optional("AttributeValueList", &ATTRIBUTE_VALUE_LIST),
        optional("ComparisonOperator", &COMPARISON_OPERATOR),
        optional("Exists", &Shape::Boolean),
        optional("Value", &Shape::Attribute),
    ],
});
pub(crate) static EXPECTED_ATTRIBUTE_MAP: Shape = Shape::Map(Map {
    keys: Keys::Sized(Sizes { min: 0, max: 65535 }),
    value: &EXPECTED_ATTRIBUTE_VALUE,
    sizes: Sizes::ANY,
});
pub(crate) static EXPRESSION_ATTRIBUTE_NAME_MAP: Shape =
    Shape::Map(Map { keys: Keys::Any, value: &ATTRIBUTE_NAME, sizes: Sizes::ANY });
pub(crate) static EXPRESSION_ATTRIBUTE_VALUE_MAP: Shape =
    Shape::Map(Map { keys: Keys::Any, value: &Shape::Attribute, sizes: Sizes::ANY });
pub(crate) static RETURN_CONSUMED_CAPACITY: Shape = word(&["INDEXES", "TOTAL", "NONE"]);
pub(crate) static RETURN_ITEM_COLLECTION_METRICS: Shape = word(&["SIZE", "NONE"]);
pub(crate) static RETURN_VALUE: Shape = word(&["ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW"]);
pub(crate) static RETURN_VALUES_ON_CONDITION_CHECK_FAILURE: Shape = word(&["ALL_OLD", "NONE"]);
pub(crate) static ATTRIBUTE_NAME_LIST: Shape = list_of(&ATTRIBUTE_NAME, 1, usize::MAX);
pub(crate) static PROJECTION_EXPRESSION: Shape = text();
pub(crate) static ATTRIBUTE_ACTION: Shape = word(&["ADD", "DELETE", "PUT"]);
pub(crate) static ATTRIBUTE_VALUE_UPDATE: Shape = Shape::Structure(&Structure {
    name: "AttributeValueUpdate",
    members: &[optional("Action", &ATTRIBUTE_ACTION), optional("Value", &Shape::Attribute)],
});
pub(crate) static ATTRIBUTE_UPDATES: Shape = Shape::Map(Map {
    keys: Keys::Sized(Sizes { min: 0, max: 65535 }),
    value: &ATTRIBUTE_VALUE_UPDATE,
    sizes: Sizes::ANY,
});
pub(crate) static UPDATE_EXPRESSION: Shape = text();
pub(crate) static KEY_LIST: Shape = list_of(&Shape::Item, 1, 100);
pub(crate) static KEYS_AND_ATTRIBUTES: Shape = Shape::Structure(&Structure {
    name: "KeysAndAttributes",
    members: &[
        optional("AttributesToGet", &ATTRIBUTE_NAME_LIST),
        optional("ConsistentRead", &Shape::Boolean),
        optional("ExpressionAttributeNames", &EXPRESSION_ATTRIBUTE_NAME_MAP),
        required("Keys", &KEY_LIST),
        optional("ProjectionExpression", &PROJECTION_EXPRESSION),
    ],
});
pub(crate) static BATCH_GET_REQUEST_MAP: Shape =
    Shape::Map(Map { keys: Keys::TableName, value: &KEYS_AND_ATTRIBUTES, sizes: Sizes { min: 1, max: 100 } });
pub(crate) static DELETE_REQUEST: Shape =
    Shape::Structure(&Structure { name: "DeleteRequest", members: &[required("Key", &Shape::Item)] });
pub(crate) static PUT_REQUEST: Shape =
    Shape::Structure(&Structure { name: "PutRequest", members: &[required("Item", &Shape::Item)] });
pub(crate) static WRITE_REQUEST: Shape = Shape::Structure(&Structure {
    name: "WriteRequest",
    members: &[optional("DeleteRequest", &DELETE_REQUEST), optional("PutRequest", &PUT_REQUEST)],
});
pub(crate) static WRITE_REQUESTS: Shape = list_of(&WRITE_REQUEST, 1, 25);
pub(crate) static BATCH_WRITE_ITEM_REQUEST_MAP: Shape =
    Shape::Map(Map { keys: Keys::TableName, value: &WRITE_REQUESTS, sizes: Sizes { min: 1, max: 25 } });
pub(crate) static KEY_EXPRESSION: Shape = text();
pub(crate) static CONDITION: Shape = Shape::Structure(&Structure {
    name: "Condition",
    members: &[
        optional("AttributeValueList", &ATTRIBUTE_VALUE_LIST),
        required("ComparisonOperator", &COMPARISON_OPERATOR),
    ],
});
pub(crate) static KEY_CONDITIONS: Shape =
    Shape::Map(Map { keys: Keys::Sized(Sizes { min: 0, max: 65535 }), value: &CONDITION, sizes: Sizes::ANY });
pub(crate) static POSITIVE_INTEGER_OBJECT: Shape =
    Shape::Integer(Integer { class: "Integer", min: Some(1), max: None });
pub(crate) static FILTER_CONDITION_MAP: Shape =
    Shape::Map(Map { keys: Keys::Sized(Sizes { min: 0, max: 65535 }), value: &CONDITION, sizes: Sizes::ANY });
pub(crate) static SELECT: Shape =
    word(&["SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES"]);
pub(crate) static SCAN_SEGMENT: Shape =
    Shape::Integer(Integer { class: "Integer", min: Some(0), max: Some(999999) });
pub(crate) static SCAN_TOTAL_SEGMENTS: Shape =
    Shape::Integer(Integer { class: "Integer", min: Some(1), max: Some(1000000) });
