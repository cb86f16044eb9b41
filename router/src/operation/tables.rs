//! CreateTable, DescribeTable, ListTables and DeleteTable.
//!
//! Changes go to the catalog: whether a table exists, and what its present settings allow, is looked at there, where it is
//! decided. Descriptions come from there as well: the catalog describes what every core knows already, so that a table
//! which was described as ACTIVE serves on any connection. Lists of names come from the map of this moment.

use std::collections::BTreeSet;
use std::ops::Bound;

use model::error::ApiError;
use model::item::ItemRef;
use model::key::{KeyAttribute, KeySchema, KeyType, TableId};
use model::limits::LIST_TABLES_MAX;
use model::table::{AttributeDefinition, Billing, BillingMode, Table, TableClass, TableStatus};
use net::message::{Catalog, Measured};
use runtime::Runtime;

use super::answer::{Object, array};
use super::indexes::{Indexes, first_is_not_hash};
use super::tags::take_tags;
use super::take_table_name;
use crate::json::writer;
use crate::request::decode::not_supported;
use crate::request::{Parameters, Value, tables as shapes};
use crate::{Router, RouterOptions};

/// What a new on-demand table serves at once, as DynamoDB documents it: reads and writes. A provisioned one serves its units.
const NEW_ON_DEMAND_UNITS: (u64, u64) = (12_000, 4_000);

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
    let mut attribute_definitions = take_definitions(&mut parameters)?;
    let indexes = Indexes::take(&mut parameters);
    let schema = take_schema(&mut parameters, &attribute_definitions, &indexes)?;
    indexes.check(&schema, billing.mode == BillingMode::PayPerRequest)?;
    check_more_throughput(&mut parameters, &billing)?;
    let class = take_class(&mut parameters)?.unwrap_or_default();
    let tags = take_tags(&mut parameters)?;
    refuse_streams_and_encryption(&mut parameters)?;
    if let Some(name) = indexes.first() {
        return Err(not_supported(name));
    }
    attribute_definitions.sort_by(|one, two| one.name.cmp(&two.name));
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
        class,
        encryption: None,
        time_to_live: None,
        tags,
    };
    parameters.finish()?;
    let record = router.ask_catalog(Catalog::Create(table.to_item())).await?;
    let mut answer = Object::new(out);
    // What is made just now is empty, and DynamoDB does not know yet how warm it is and since when it is paid for in this way.
    let mut table = read_record(&record)?;
    table.billing.last_on_demand_us = None;
    let member = answer.member("TableDescription");
    describe(member, &table, Measured::default(), &router.options, Throughput::Cold);
    answer.end();
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

pub(crate) fn units_beside_on_demand() -> ApiError {
    invalid(
        "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
    )
}

pub(crate) fn take_units(parameters: &mut Parameters<'_>) -> Result<Option<(u64, u64)>, ApiError> {
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
            return Err(ApiError::validation(format!("Attribute Name is duplicated: {name}")));
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
    indexes: &Indexes,
) -> Result<KeySchema, ApiError> {
    let elements = parameters.list("KeySchema").expect("the constraints require it");
    let elements: Vec<(String, bool)> = elements.into_iter().map(take_key_element).collect();
    if elements.len() > 2 {
        return Err(too_many_key_elements(&elements));
    }
    if definitions.is_empty() {
        return Err(ApiError::validation("Invalid KeySchema: Some index key attribute have no definition"));
    }
    if !elements[0].1 {
        return Err(first_is_not_hash());
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
    refuse_undefined(&elements, definitions, indexes)?;
    refuse_unused(&elements, definitions, indexes)?;
    let mut attributes = elements.into_iter().map(|(name, _)| {
        let definition = definitions.iter().find(|definition| definition.name == name);
        KeyAttribute { name, kind: definition.expect("looked at before").kind }
    });
    let partition = attributes.next().expect("the constraints require one element");
    Ok(KeySchema { partition, sort: attributes.next() })
}

/// Name, and whether it is the HASH key.
pub(crate) fn take_key_element(element: Value<'_>) -> (String, bool) {
    let mut element =
        element.into_structure(&shapes::KEY_SCHEMA_ELEMENT).expect("the constraints let none be null");
    let name = element.text("AttributeName").expect("the constraints require it").into_owned();
    (name, element.text("KeyType").as_deref() == Some("HASH"))
}

/// DynamoDB shows the elements as Java does, by class and hash.
fn too_many_key_elements(elements: &[(String, bool)]) -> ApiError {
    let hash =
        |name: &str| name.bytes().fold(1u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    let shown = elements.iter().map(|(name, is_hash)| {
        let hash = hash(name).wrapping_mul(31).wrapping_add(u32::from(*is_hash));
        format!("com.amazonaws.dynamodb.v20120810.KeySchemaElement@{hash:x}")
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    ApiError::validation(format!(
        "1 validation error detected: Value '[{shown}]' at 'keySchema' failed to satisfy constraint: \
         Member must have length less than or equal to 2"
    ))
}

fn refuse_undefined(
    elements: &[(String, bool)],
    definitions: &[AttributeDefinition],
    indexes: &Indexes,
) -> Result<(), ApiError> {
    let is_defined = |name: &str| definitions.iter().any(|definition| definition.name == name);
    let mut keys: Vec<&str> = elements.iter().map(|(name, _)| name.as_str()).collect();
    if keys.iter().all(|name| is_defined(name)) {
        // What an index misses is told by itself.
        let undefined = indexes.key_names().find(|name| !is_defined(name));
        let Some(name) = undefined else { return Ok(()) };
        keys = vec![name];
    }
    let (keys, defined) = (keys.join(", "), names_of(definitions));
    Err(invalid(&format!(
        "Some index key attributes are not defined in AttributeDefinitions. Keys: [{keys}], \
         AttributeDefinitions: [{defined}]"
    )))
}

fn refuse_unused(
    elements: &[(String, bool)],
    definitions: &[AttributeDefinition],
    indexes: &Indexes,
) -> Result<(), ApiError> {
    let keys: Vec<&str> = elements.iter().map(|(name, _)| name.as_str()).collect();
    let used: BTreeSet<&str> = keys.iter().copied().chain(indexes.key_names()).collect();
    if definitions.iter().all(|definition| used.contains(definition.name.as_str())) {
        return Ok(());
    }
    if indexes.first().is_none() {
        return Err(invalid(
            "Number of attributes in KeySchema does not exactly match number of attributes defined in \
             AttributeDefinitions",
        ));
    }
    let (defined, used) = (names_of(definitions), used.into_iter().collect::<Vec<_>>().join(", "));
    Err(invalid(&format!(
        "Some AttributeDefinitions are not used. AttributeDefinitions: [{defined}], keys used: [{used}]"
    )))
}

fn names_of(definitions: &[AttributeDefinition]) -> String {
    definitions.iter().map(|definition| definition.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Takes `TableClass`, which DynamoDB refuses in words of its own.
pub(crate) fn take_class(parameters: &mut Parameters<'_>) -> Result<Option<TableClass>, ApiError> {
    let Some(name) = parameters.text("TableClass") else { return Ok(None) };
    match TableClass::from_name(&name) {
        Some(class) => Ok(Some(class)),
        None => Err(ApiError::validation(
            "Invalid table-class parameter provided. Please try again with a valid table-class value: \
             [STANDARD, STANDARD_INFREQUENT_ACCESS].",
        )),
    }
}

/// `OnDemandThroughput` and `WarmThroughput`: by DynamoDB's rules first, then not there yet.
fn check_more_throughput(parameters: &mut Parameters<'_>, billing: &Billing) -> Result<(), ApiError> {
    let on_demand = billing.mode == BillingMode::PayPerRequest;
    if let Some(mut given) = parameters.structure("OnDemandThroughput") {
        let names = ["MaxReadRequestUnits", "MaxWriteRequestUnits"];
        for (name, units) in names.map(|name| (name, given.integer(name))) {
            match units {
                Some(_) if !on_demand => {
                    let rule = "cannot be specified when table BillingMode is PROVISIONED.";
                    return Err(invalid(&format!("{name} for OnDemandThroughput {rule}")));
                }
                Some(units) if units < 1 => {
                    let rule = "for OnDemandThroughput for table is outside of valid range";
                    return Err(invalid(&format!("Requested {name} {rule}")));
                }
                _ => (),
            }
        }
        return Err(not_supported("OnDemandThroughput"));
    }
    let Some(mut given) = parameters.structure("WarmThroughput") else { return Ok(()) };
    let (read, write) =
        if on_demand { NEW_ON_DEMAND_UNITS } else { (billing.read_units, billing.write_units) };
    for (name, least, provisioned) in [
        ("ReadUnitsPerSecond", read, "ReadCapacityUnits"),
        ("WriteUnitsPerSecond", write, "WriteCapacityUnits"),
    ] {
        let units = given.integer(name);
        if units.is_some_and(|units| u64::try_from(units).map_or(true, |units| units < least)) {
            let than = match on_demand {
                true => {
                    "initial throughput for OnDemand. See: https://docs.aws.amazon.com/amazondynamodb/latest/\
                         developerguide/on-demand-capacity-mode.html#on-demand-capacity-mode-initial"
                        .to_owned()
                }
                false => format!("{provisioned} of ProvisionedThroughput"),
            };
            return Err(invalid(&format!(
                "Requested {name} for WarmThroughput for table is lower than {than}"
            )));
        }
    }
    Err(not_supported("WarmThroughput"))
}

/// Both may be named in order to say no to them; anything else is not there yet.
fn refuse_streams_and_encryption(parameters: &mut Parameters<'_>) -> Result<(), ApiError> {
    if let Some(given) = parameters.structure("StreamSpecification")
        && check_stream(given, "Table is being created with a stream")?
    {
        return Err(not_supported("StreamSpecification"));
    }
    if let Some(given) = parameters.structure("SSESpecification")
        && check_encryption(given)?
    {
        return Err(not_supported("SSESpecification"));
    }
    Ok(())
}

/// Whether a StreamSpecification asks for one. `begin` says in which call, as DynamoDB's message begins.
pub(crate) fn check_stream(mut given: Parameters<'_>, begin: &str) -> Result<bool, ApiError> {
    let enabled = given.boolean("StreamEnabled").expect("the constraints require it");
    let has_view = given.text("StreamViewType").is_some();
    let is_new = begin.starts_with("Table");
    match (enabled, has_view) {
        (true, false) if is_new => Err(invalid(&format!("{begin} enabled, UpdateViewType is required"))),
        (true, false) => Err(invalid(&format!("{begin} enabled then UpdateViewType is required"))),
        (false, true) if is_new => {
            Err(invalid(&format!("{begin} disabled, UpdateViewType should not be specified")))
        }
        (false, true) => {
            Err(invalid(&format!("{begin} disabled, then UpdateViewType must not be specified")))
        }
        (enabled, _) => Ok(enabled),
    }
}

/// Whether an SSESpecification asks for a key of the client's account.
pub(crate) fn check_encryption(mut given: Parameters<'_>) -> Result<bool, ApiError> {
    let enabled = given.boolean("Enabled");
    let kind = given.text("SSEType");
    let key = given.text("KMSMasterKeyId");
    match (enabled, kind.as_deref(), key) {
        (Some(false), Some(_), _) => Err(invalid("SSEType can not be specified if Enabled is false")),
        (Some(false), None, Some(_)) => {
            Err(invalid("KMSMasterKeyId can not be specified if Enabled is false"))
        }
        (_, Some("AES256"), _) => Err(invalid("SSEType AES256 is not supported")),
        (_, None, Some(_)) => Err(invalid("SSEType KMS is required if KMSMasterKeyId is specified")),
        (enabled, kind, _) => Ok(enabled == Some(true) || kind.is_some()),
    }
}

pub(crate) fn invalid(why: &str) -> ApiError {
    ApiError::validation(format!("One or more parameter values were invalid: {why}"))
}

pub(crate) fn answer_description<R: Runtime>(
    router: &Router<R>,
    member: &str,
    table: &Table,
    measured: Measured,
    out: &mut Vec<u8>,
) {
    let mut answer = Object::new(out);
    describe(answer.member(member), table, measured, &router.options, Throughput::Warm);
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

/// Whether a description says how warm the table is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Throughput {
    Cold,
    Warm,
}

/// Appends a TableDescription.
fn describe(
    out: &mut Vec<u8>,
    table: &Table,
    measured: Measured,
    options: &RouterOptions,
    throughput: Throughput,
) {
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
    describe_throughput(&mut answer, &table.billing, throughput);
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
fn describe_throughput(answer: &mut Object<'_>, billing: &Billing, throughput: Throughput) {
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
    if throughput == Throughput::Cold {
        return;
    }
    let (read, write) =
        if on_demand { NEW_ON_DEMAND_UNITS } else { (billing.read_units, billing.write_units) };
    let mut warm = Object::new(answer.member("WarmThroughput"));
    warm.integer("ReadUnitsPerSecond", read);
    warm.integer("WriteUnitsPerSecond", write);
    warm.text("Status", "ACTIVE");
    warm.end();
}
