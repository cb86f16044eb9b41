//! CreateTable, DescribeTable, ListTables, UpdateTable and DeleteTable.
//!
//! Changes go to the catalog: whether a table exists, and what its present settings allow, is looked at there, where it is
//! decided. Descriptions come from there as well: the catalog describes what every core knows already, so that a table
//! which was described as ACTIVE serves on any connection. Lists of names come from the map of this moment.

use std::ops::Bound;

use model::error::ApiError;
use model::item::ItemRef;
use model::key::{KeyAttribute, KeySchema, KeyType, TableId};
use model::limits::{LIST_TABLES_MAX, TAGS_MAX};
use model::table::{AttributeDefinition, Billing, BillingMode, Table, TableClass, TableStatus, Tag};
use net::message::{self, Catalog, Measured, TableChange};
use runtime::Runtime;

use super::answer::{Object, array};
use super::take_table_name;
use crate::json::writer;
use crate::request::decode::not_supported;
use crate::request::{Parameters, Value, tables as shapes};
use crate::{Router, RouterOptions};

/// Units that a table can be given; more is out of bounds.
const UNITS_MAX: i64 = 1_000_000_000_000;

/// CreateTable.
pub(crate) async fn create_table<R: Runtime>(
    router: &Router<R>,
    mut parameters: Parameters<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ApiError> {
    let given = take_table_name(&mut parameters);
    let name = router.table_name(&given)?.to_owned();
    let billing = take_new_billing(&mut parameters)?;
    let attribute_definitions = take_definitions(&mut parameters)?;
    let schema = take_schema(&mut parameters, &attribute_definitions)?;
    refuse_streams_and_encryption(&mut parameters)?;
    refuse_empty_indexes(&mut parameters)?;
    let table = Table {
        id: TableId(0),
        uuid: String::new(),
        name,
        schema,
        attribute_definitions,
        status: TableStatus::Creating,
        created_us: 0,
        billing,
        deletion_protection: parameters.boolean("DeletionProtectionEnabled").unwrap_or(false),
        class: take_class(&mut parameters).unwrap_or_default(),
        encryption: None,
        time_to_live: None,
        tags: take_tags(&mut parameters)?,
    };
    parameters.finish()?;
    let record = router.ask_catalog(Catalog::Create(table.to_item())).await?;
    // What is made just now is empty.
    answer_description(router, "TableDescription", &read_record(&record)?, Measured::default(), out);
    Ok(())
}

/// UpdateTable.
pub(crate) async fn update_table<R: Runtime>(
    router: &Router<R>,
    mut parameters: Parameters<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ApiError> {
    let given = take_table_name(&mut parameters);
    let name = router.table_name(&given)?.to_owned();
    refuse_streams_and_encryption(&mut parameters)?;
    let billing_mode = parameters.text("BillingMode").map(|name| match &*name {
        "PAY_PER_REQUEST" => message::BillingMode::PayPerRequest,
        _ => message::BillingMode::Provisioned,
    });
    let provisioned = take_units(&mut parameters)?;
    if billing_mode == Some(message::BillingMode::PayPerRequest) && provisioned.is_some() {
        return Err(units_beside_on_demand());
    }
    let change = TableChange {
        name,
        billing_mode,
        provisioned,
        deletion_protection: parameters.boolean("DeletionProtectionEnabled"),
        table_class: take_class(&mut parameters).map(|class| match class {
            TableClass::InfrequentAccess => message::TableClass::InfrequentAccess,
            TableClass::Standard | TableClass::Default => message::TableClass::Standard,
        }),
    };
    parameters.finish()?;
    if change == (TableChange { name: change.name.clone(), ..TableChange::default() }) {
        return Err(ApiError::validation(
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or \
             SSESpecification or ReplicaUpdates is required",
        ));
    }
    let table = read_record(&router.ask_catalog(Catalog::Update(change)).await?)?;
    // The change is made: that it cannot be measured is no reason to say that it failed.
    let measured = router.measure(table.id).await.unwrap_or_default();
    answer_description(router, "TableDescription", &table, measured, out);
    Ok(())
}

/// DeleteTable.
pub(crate) async fn delete_table<R: Runtime>(
    router: &Router<R>,
    mut parameters: Parameters<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ApiError> {
    let given = take_table_name(&mut parameters);
    let name = router.table_name(&given)?.to_owned();
    parameters.finish()?;
    // Before the deletion begins, afterwards more is gone with every moment. What cannot be measured can be deleted.
    let measured = match router.map().tables.get(&name) {
        Some(table) => router.measure(table.id).await.unwrap_or_default(),
        None => Measured::default(),
    };
    let table = read_record(&router.ask_catalog(Catalog::Delete(name)).await?)?;
    answer_description(router, "TableDescription", &table, measured, out);
    Ok(())
}

/// DescribeTable: asked of the catalog, which knows what every core knows.
pub(crate) async fn describe_table<R: Runtime>(
    router: &Router<R>,
    mut parameters: Parameters<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ApiError> {
    let given = take_table_name(&mut parameters);
    parameters.finish()?;
    let name = router.table_name(&given)?.to_owned();
    let table = describe_record(router, name).await?;
    let measured = router.measure(table.id).await?;
    answer_description(router, "Table", &table, measured, out);
    Ok(())
}

/// ListTables.
pub(crate) fn list_tables<R: Runtime>(
    router: &Router<R>,
    mut parameters: Parameters<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ApiError> {
    let start = parameters.text("ExclusiveStartTableName");
    let limit = parameters.integer("Limit").unwrap_or(LIST_TABLES_MAX as i64);
    let limit = usize::try_from(limit).expect("within its constraints");
    parameters.finish()?;
    let map = router.map();
    let after = start.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut names = map.tables.range::<str, _>((after, Bound::Unbounded)).map(|(name, _)| name.as_str());
    let page: Vec<&str> = names.by_ref().take(limit).collect();
    let mut answer = Object::new(out);
    array(answer.member("TableNames"), &page, |out, name| writer::string(out, name));
    if let (Some(_), Some(last)) = (names.next(), page.last()) {
        answer.text("LastEvaluatedTableName", last);
    }
    answer.end();
    Ok(())
}

fn take_new_billing(parameters: &mut Parameters<'_>) -> Result<Billing, ApiError> {
    let on_demand = parameters.text("BillingMode").as_deref() == Some("PAY_PER_REQUEST");
    let units = take_units(parameters)?;
    match (on_demand, units) {
        (true, None) => Ok(Billing { mode: BillingMode::PayPerRequest, ..Billing::default() }),
        (true, Some(_)) => Err(units_beside_on_demand()),
        (false, Some((read_units, write_units))) => {
            Ok(Billing { mode: BillingMode::Provisioned, read_units, write_units, ..Billing::default() })
        }
        (false, None) => Err(invalid(
            "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        )),
    }
}

fn units_beside_on_demand() -> ApiError {
    invalid(
        "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
    )
}

fn take_units(parameters: &mut Parameters<'_>) -> Result<Option<(u64, u64)>, ApiError> {
    let Some(mut throughput) = parameters.structure("ProvisionedThroughput") else { return Ok(None) };
    let mut take = |name: &str| {
        let units = throughput.integer(name).expect("the constraints require it");
        if units > UNITS_MAX {
            return Err(ApiError::validation(format!("Given value {units} for {name} is out of bounds")));
        }
        Ok(u64::try_from(units).expect("within its constraints"))
    };
    Ok(Some((take("ReadCapacityUnits")?, take("WriteCapacityUnits")?)))
}

fn take_definitions(parameters: &mut Parameters<'_>) -> Result<Vec<AttributeDefinition>, ApiError> {
    let elements = parameters.list("AttributeDefinitions").expect("the constraints require it");
    let mut definitions: Vec<AttributeDefinition> = Vec::with_capacity(elements.len());
    for element in elements {
        let mut element =
            element.into_structure(&shapes::ATTRIBUTE_DEFINITION).expect("the constraints let none be null");
        let name = element.text("AttributeName").expect("the constraints require it").into_owned();
        let kind = element.text("AttributeType").expect("the constraints require it");
        if definitions.iter().any(|definition| definition.name == name) {
            return Err(invalid(&format!("Duplicate AttributeName in AttributeDefinitions: {name}")));
        }
        let kind = KeyType::from_name(&kind).expect("the constraints let no other type pass");
        definitions.push(AttributeDefinition { name, kind });
    }
    Ok(definitions)
}

/// Takes `KeySchema` and holds it against the definitions.
fn take_schema(
    parameters: &mut Parameters<'_>,
    definitions: &[AttributeDefinition],
) -> Result<KeySchema, ApiError> {
    let elements = parameters.list("KeySchema").expect("the constraints require it");
    let elements: Vec<(String, bool)> = elements.into_iter().map(take_key_element).collect();
    if elements.len() > 2 {
        return Err(ApiError::validation(
            "1 validation error detected: Value at 'keySchema' failed to satisfy constraint: \
             Member must have length less than or equal to 2",
        ));
    }
    refuse_undefined(&elements, definitions)?;
    if !elements[0].1 {
        return Err(ApiError::validation(
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        ));
    }
    if elements.get(1).is_some_and(|(_, is_hash)| *is_hash) {
        return Err(ApiError::validation(
            "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
        ));
    }
    if elements.get(1).is_some_and(|(name, _)| *name == elements[0].0) {
        let message = "Both the Hash Key and the Range Key element in the KeySchema have the same name";
        return Err(ApiError::validation(message));
    }
    let no_indexes = !parameters.has("GlobalSecondaryIndexes") && !parameters.has("LocalSecondaryIndexes");
    if no_indexes && definitions.len() != elements.len() {
        return Err(invalid(
            "Number of attributes in KeySchema does not exactly match number of attributes defined in \
             AttributeDefinitions",
        ));
    }
    let mut attributes = elements.into_iter().map(|(name, _)| {
        let definition = definitions.iter().find(|definition| definition.name == name);
        KeyAttribute { name, kind: definition.expect("looked at before").kind }
    });
    let partition = attributes.next().expect("the constraints require one element");
    Ok(KeySchema { partition, sort: attributes.next() })
}

/// Name, and whether it is the HASH key.
fn take_key_element(element: Value<'_>) -> (String, bool) {
    let mut element =
        element.into_structure(&shapes::KEY_SCHEMA_ELEMENT).expect("the constraints let none be null");
    let name = element.text("AttributeName").expect("the constraints require it").into_owned();
    (name, element.text("KeyType").as_deref() == Some("HASH"))
}

fn refuse_undefined(
    elements: &[(String, bool)],
    definitions: &[AttributeDefinition],
) -> Result<(), ApiError> {
    let is_defined = |name: &String| definitions.iter().any(|definition| definition.name == *name);
    if elements.iter().all(|(name, _)| is_defined(name)) {
        return Ok(());
    }
    let keys: Vec<&str> = elements.iter().map(|(name, _)| name.as_str()).collect();
    let defined: Vec<&str> = definitions.iter().map(|definition| definition.name.as_str()).collect();
    let (keys, defined) = (keys.join(", "), defined.join(", "));
    Err(invalid(&format!(
        "Some index key attributes are not defined in AttributeDefinitions. Keys: [{keys}], \
         AttributeDefinitions: [{defined}]"
    )))
}

fn take_class(parameters: &mut Parameters<'_>) -> Option<TableClass> {
    parameters.text("TableClass").map(|name| match &*name {
        "STANDARD_INFREQUENT_ACCESS" => TableClass::InfrequentAccess,
        _ => TableClass::Standard,
    })
}

/// Takes `Tags`, ascending by key; no key may come twice.
pub(crate) fn take_tags(parameters: &mut Parameters<'_>) -> Result<Vec<Tag>, ApiError> {
    let elements = parameters.list("Tags").unwrap_or_default();
    let mut tags: Vec<Tag> = Vec::with_capacity(elements.len());
    for element in elements {
        let mut element = element.into_structure(&shapes::TAG).expect("the constraints let none be null");
        let mut take = |name: &str| element.text(name).expect("the constraints require it").into_owned();
        tags.push(Tag { key: take("Key"), value: take("Value") });
    }
    if tags.len() > TAGS_MAX {
        return Err(invalid(&format!("A table has at most {TAGS_MAX} tags")));
    }
    tags.sort_by(|left, right| left.key.cmp(&right.key));
    match tags.windows(2).find(|pair| pair[0].key == pair[1].key) {
        Some(pair) => Err(invalid(&format!("Duplicate tag key: {}", pair[0].key))),
        None => Ok(tags),
    }
}

/// Both may be named in order to say no to them; anything else is not there yet.
fn refuse_streams_and_encryption(parameters: &mut Parameters<'_>) -> Result<(), ApiError> {
    for (name, switch) in [("StreamSpecification", "StreamEnabled"), ("SSESpecification", "Enabled")] {
        let Some(mut given) = parameters.structure(name) else { continue };
        if given.boolean(switch) == Some(true) {
            return Err(not_supported(name));
        }
        given.finish()?;
    }
    Ok(())
}

fn refuse_empty_indexes(parameters: &mut Parameters<'_>) -> Result<(), ApiError> {
    for (name, word) in [
        ("GlobalSecondaryIndexes", "GlobalSecondaryIndexes"),
        ("LocalSecondaryIndexes", "LocalSecondaryIndexes"),
    ] {
        match parameters.get(name) {
            Value::List(indexes) if indexes.is_empty() => {
                return Err(invalid(&format!("List of {word} is empty")));
            }
            _ => (),
        }
    }
    Ok(())
}

fn invalid(why: &str) -> ApiError {
    ApiError::validation(format!("One or more parameter values were invalid: {why}"))
}

fn answer_description<R: Runtime>(
    router: &Router<R>,
    member: &str,
    table: &Table,
    measured: Measured,
    out: &mut Vec<u8>,
) {
    let mut answer = Object::new(out);
    describe(answer.member(member), table, measured, &router.options);
    answer.end();
}

/// A table as every core knows it.
pub(crate) async fn describe_record<R: Runtime>(router: &Router<R>, name: String) -> Result<Table, ApiError> {
    read_record(&router.ask_catalog(Catalog::Describe(name)).await?)
}

/// A table's record, as the catalog answers with it.
pub(crate) fn read_record(record: &[u8]) -> Result<Table, ApiError> {
    let table = ItemRef::check(record).and_then(Table::from_item);
    table.map_err(|_| crate::route::misunderstood())
}

/// Appends a TableDescription.
fn describe(out: &mut Vec<u8>, table: &Table, measured: Measured, options: &RouterOptions) {
    let mut answer = Object::new(out);
    array(answer.member("AttributeDefinitions"), &table.attribute_definitions, |out, definition| {
        let mut object = Object::new(out);
        object.text("AttributeName", &definition.name);
        object.text("AttributeType", definition.kind.name());
        object.end();
    });
    answer.text("TableName", &table.name);
    describe_keys(answer.member("KeySchema"), &table.schema);
    answer.text("TableStatus", table.status.name());
    answer.time("CreationDateTime", table.created_us);
    describe_throughput(&mut answer, &table.billing);
    // DynamoDB refreshes both about every six hours; here they are of this moment, and about right (`lsm::estimate`).
    answer.integer("TableSizeBytes", measured.bytes);
    answer.integer("ItemCount", measured.items);
    let (region, account, name) = (&options.region, &options.account, &table.name);
    answer.text("TableArn", &format!("arn:aws:dynamodb:{region}:{account}:table/{name}"));
    answer.text("TableId", &table.uuid);
    if table.class != TableClass::Default {
        let mut class = Object::new(answer.member("TableClassSummary"));
        class.text("TableClass", table.class.name());
        class.end();
    }
    answer.boolean("DeletionProtectionEnabled", table.deletion_protection);
    answer.end();
}

fn describe_keys(out: &mut Vec<u8>, schema: &KeySchema) {
    let partition = std::iter::once((&schema.partition, "HASH"));
    let sort = schema.sort.iter().map(|sort| (sort, "RANGE"));
    array(out, partition.chain(sort), |out, (attribute, role)| {
        let mut object = Object::new(out);
        object.text("AttributeName", &attribute.name);
        object.text("KeyType", role);
        object.end();
    });
}

/// `ProvisionedThroughput`, `BillingModeSummary` and `WarmThroughput`.
fn describe_throughput(answer: &mut Object<'_>, billing: &Billing) {
    let mut units = Object::new(answer.member("ProvisionedThroughput"));
    if let Some(time) = billing.last_increase_us {
        units.time("LastIncreaseDateTime", time);
    }
    if let Some(time) = billing.last_decrease_us {
        units.time("LastDecreaseDateTime", time);
    }
    units.integer("NumberOfDecreasesToday", billing.decreases_today);
    units.integer("ReadCapacityUnits", billing.read_units);
    units.integer("WriteCapacityUnits", billing.write_units);
    units.end();
    let on_demand = billing.mode == BillingMode::PayPerRequest;
    if on_demand || billing.last_on_demand_us.is_some() {
        let mut summary = Object::new(answer.member("BillingModeSummary"));
        summary.text("BillingMode", billing.mode.name());
        if let Some(time) = billing.last_on_demand_us {
            summary.time("LastUpdateToPayPerRequestDateTime", time);
        }
        summary.end();
    }
    // What a new on-demand table serves at once, as DynamoDB documents it; a provisioned one serves its units.
    let (read, write) = if on_demand { (12_000, 4_000) } else { (billing.read_units, billing.write_units) };
    let mut warm = Object::new(answer.member("WarmThroughput"));
    warm.integer("ReadUnitsPerSecond", read);
    warm.integer("WriteUnitsPerSecond", write);
    warm.text("Status", "ACTIVE");
    warm.end();
}
