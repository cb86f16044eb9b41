//! The API's operations that torc does not have yet: known by name, so that a client is told which of the two it is.
//!
//! Both are told as an UnknownOperationException: that is what tools look for which can do without an operation.

use model::error::{ApiError, Code};

use super::TARGET_PREFIX;

/// What a call's name begins with, of DynamoDB Streams.
const STREAMS_PREFIX: &str = "DynamoDBStreams_20120810.";

/// Of version 2012-08-10.
const TO_COME: &[&str] = &[
    "BatchExecuteStatement",
    "CancelBulkOperation",
    "CreateBackup",
    "CreateGlobalTable",
    "DeleteBackup",
    "DeleteResourcePolicy",
    "DescribeBackup",
    "DescribeBulkOperation",
    "DescribeContributorInsights",
    "DescribeExport",
    "DescribeGlobalTable",
    "DescribeGlobalTableSettings",
    "DescribeImport",
    "DescribeKinesisStreamingDestination",
    "DescribeTableReplicaAutoScaling",
    "DisableKinesisStreamingDestination",
    "EnableKinesisStreamingDestination",
    "ExecuteStatement",
    "ExecuteTransaction",
    "ExportTableToPointInTime",
    "GetResourcePolicy",
    "ImportTable",
    "ListBackups",
    "ListBulkOperations",
    "ListContributorInsights",
    "ListExports",
    "ListGlobalTables",
    "ListImports",
    "PutResourcePolicy",
    "RestoreTableFromBackup",
    "RestoreTableToPointInTime",
    "SearchVectors",
    "StartBulkPutItems",
    "TransactGetItems",
    "TransactWriteItems",
    "UpdateContinuousBackups",
    "UpdateContributorInsights",
    "UpdateGlobalTable",
    "UpdateGlobalTableSettings",
    "UpdateKinesisStreamingDestination",
    "UpdateTableReplicaAutoScaling",
];

/// Of DynamoDB Streams.
const STREAMS_TO_COME: &[&str] = &["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"];

/// What is said to a call that has no operation: that it will have one, or, as DynamoDB, nothing.
pub(crate) fn refusal(target: &str) -> ApiError {
    let known = match (target.strip_prefix(TARGET_PREFIX), target.strip_prefix(STREAMS_PREFIX)) {
        (Some(name), _) => TO_COME.iter().find(|known| **known == name),
        (_, Some(name)) => STREAMS_TO_COME.iter().find(|known| **known == name),
        (None, None) => None,
    };
    let message = known.map_or(String::new(), |name| format!("torc does not support {name} yet"));
    ApiError::new(Code::UnknownOperation, message)
}

/// Their names; those of DynamoDB Streams with `Streams.` before them.
pub(crate) fn to_come() -> Vec<String> {
    let streams = STREAMS_TO_COME.iter().map(|name| format!("Streams.{name}"));
    TO_COME.iter().map(|name| (*name).to_owned()).chain(streams).collect()
}
