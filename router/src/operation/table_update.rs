//! UpdateTable: one concern in each call, and what that may be.
//!
//! Whether the table is there and allows the change, the catalog says. What a client may not ask of any table ends here, and so
//! does what no table of torc has yet: by name, once the table is there.

use model::error::{ApiError, Code};
use model::table::TableClass;
use net::message::{self, Catalog, TableChange};
use runtime::Runtime;

use super::tables::{answer_description, describe_record, invalid, read_record, take_class, take_units};
use super::tables::{check_encryption, check_stream, units_beside_on_demand};
use super::take_table_name;
use crate::Router;
use crate::request::decode::not_supported;
use crate::request::{Parameters, Value, tables as shapes};

/// Parameters that are a change; AttributeDefinitions is none without an index that needs it.
const CONCERNS: &[&str] = &[
    "ProvisionedThroughput",
    "BillingMode",
    "StreamSpecification",
    "GlobalSecondaryIndexUpdates",
    "SSESpecification",
    "ReplicaUpdates",
    "MultiRegionConsistency",
    "DeletionProtectionEnabled",
    "OnDemandThroughput",
    "WarmThroughput",
    "TableClass",
    "VectorIndexUpdates",
    "GlobalTableSettingsReplicationMode",
    "GlobalTableWitnessUpdates",
    "DisassociationProtectionEnabled",
];

/// Those that suffer no other beside them, in the order in which DynamoDB names them.
const ALONE: &[(&str, &str)] = &[
    ("SSESpecification", "Server-Side Encryption modification"),
    ("TableClass", "TableClass modification"),
    ("DeletionProtectionEnabled", "DeletionProtection modification"),
    ("WarmThroughput", "WarmThroughput"),
];

/// What torc has not got yet, in the order in which it says so.
const TO_COME: &[&str] = &[
    "WarmThroughput",
    "OnDemandThroughput",
    "ReplicaUpdates",
    "MultiRegionConsistency",
    "VectorIndexUpdates",
    "GlobalTableSettingsReplicationMode",
    "GlobalTableWitnessUpdates",
    "DisassociationProtectionEnabled",
];

/// UpdateTable.
pub(crate) async fn update_table<R: Runtime>(
    router: &Router<R>,
    mut parameters: Parameters<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ApiError> {
    let given = take_table_name(&mut parameters);
    let name = router.table_name(&given)?.to_owned();
    check_combination(&parameters)?;
    let billing_mode = parameters.text("BillingMode").map(|name| match &*name {
        "PAY_PER_REQUEST" => message::BillingMode::PayPerRequest,
        _ => message::BillingMode::Provisioned,
    });
    let provisioned = take_units(&mut parameters)?;
    match (&billing_mode, provisioned) {
        (Some(message::BillingMode::PayPerRequest), Some(_)) => return Err(units_beside_on_demand()),
        (Some(message::BillingMode::Provisioned), None) => {
            return Err(invalid("ProvisionedThroughput must be specified when BillingMode is PROVISIONED"));
        }
        _ => (),
    }
    let change = TableChange {
        name: name.clone(),
        billing_mode,
        provisioned,
        deletion_protection: parameters.boolean("DeletionProtectionEnabled"),
        table_class: take_class(&mut parameters)?.map(|class| match class {
            TableClass::InfrequentAccess => message::TableClass::InfrequentAccess,
            TableClass::Standard | TableClass::Default => message::TableClass::Standard,
        }),
    };
    refuse_what_is_to_come(router, &mut parameters, &name).await?;
    // They say nothing without an index that is made.
    let _definitions = parameters.list("AttributeDefinitions");
    parameters.finish()?;
    let table = read_record(&router.ask_catalog(Catalog::Update(change)).await?)?;
    // The change is made: that it cannot be measured is no reason to say that it failed.
    let measured = router.measure(table.id).await.unwrap_or_default();
    answer_description(router, "TableDescription", &table, measured, out);
    Ok(())
}

/// Refuses too little, and what does not go together.
fn check_combination(parameters: &Parameters<'_>) -> Result<(), ApiError> {
    let is_empty = |name: &&str| match parameters.get(name) {
        Value::Absent => true,
        Value::List(elements) => elements.is_empty(),
        _ => false,
    };
    let present: Vec<&str> = CONCERNS.iter().copied().filter(|name| !is_empty(name)).collect();
    if present.is_empty() {
        return Err(ApiError::validation(
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, \
             SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, \
             MultiRegionConsistency, DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass \
             is required",
        ));
    }
    if parameters.has("GlobalSecondaryIndexUpdates") && !present.contains(&"GlobalSecondaryIndexUpdates") {
        return Err(invalid("List of GlobalSecondaryIndexUpdates is empty"));
    }
    if let Some((_, what)) = ALONE.iter().find(|(name, _)| present.contains(name) && present.len() > 1) {
        return Err(invalid(&format!("{what} must be the only operation in the request")));
    }
    let has = |name| present.contains(&name);
    if has("OnDemandThroughput")
        && present.iter().any(|name| !matches!(*name, "OnDemandThroughput" | "BillingMode"))
    {
        return Err(invalid(
            "OnDemandThroughput can only be combined with BillingMode in an UpdateTable request",
        ));
    }
    let provisions = matches!(parameters.get("BillingMode"), Value::Text(mode) if mode == "PROVISIONED");
    if has("StreamSpecification") && (has("ProvisionedThroughput") || provisions) {
        return Err(invalid("You cannot modify stream status while updating table IOPS"));
    }
    Ok(())
}

/// Streams, encryption and indexes by DynamoDB's rules for a table that has none; then, by name, what is left.
async fn refuse_what_is_to_come<R: Runtime>(
    router: &Router<R>,
    parameters: &mut Parameters<'_>,
    name: &str,
) -> Result<(), ApiError> {
    let stream = parameters.structure("StreamSpecification");
    let encryption = parameters.structure("SSESpecification");
    let indexes = parameters.list("GlobalSecondaryIndexUpdates");
    let left = TO_COME.iter().find(|name| parameters.has(name));
    if stream.is_none() && encryption.is_none() && indexes.is_none() && left.is_none() {
        return Ok(());
    }
    let streams = stream.map(|given| check_stream(given, "If stream is being")).transpose()?;
    let encrypts = encryption.map(check_encryption).transpose()?;
    let first = indexes.map(first_index_update).transpose()?;
    describe_record(router, name.to_owned()).await?;
    match (streams, encrypts, first) {
        (Some(false), _, _) => {
            Err(ApiError::validation(format!("Table has no stream to disable: TableName: {name}")))
        }
        (Some(true), _, _) => Err(not_supported("StreamSpecification")),
        (None, Some(false), _) => Err(invalid("Table is already encrypted by default")),
        (None, Some(true), _) => Err(not_supported("SSESpecification")),
        (None, None, Some(Some(index))) => {
            let message = format!("Requested resource not found: Index {index} for table {name}");
            Err(ApiError::new(Code::ResourceNotFound, message))
        }
        (None, None, Some(None)) => Err(not_supported("GlobalSecondaryIndexUpdates")),
        (None, None, None) => Err(not_supported(left.expect("there is something else"))),
    }
}

/// The index that is to be changed or deleted, if one is; all entries are looked at first.
fn first_index_update(elements: Vec<Value<'_>>) -> Result<Option<String>, ApiError> {
    const ACTIONS: [&str; 3] = ["Update", "Create", "Delete"];
    let mut first = None;
    for element in elements {
        let mut update = element
            .into_structure(&shapes::GLOBAL_SECONDARY_INDEX_UPDATE)
            .expect("the constraints let none be null");
        match ACTIONS.iter().filter(|action| update.has(action)).count() {
            0 => {
                return Err(invalid(
                    "One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, \
                     GlobalSecondaryIndexUpdate.Delete must not be null",
                ));
            }
            1 => (),
            _ => {
                return Err(invalid(
                    "Only one global secondary index action is allowed per GlobalSecondaryIndexUpdate object",
                ));
            }
        }
        for action in ["Update", "Delete"] {
            let index = update.structure(action).and_then(|mut index| index.text("IndexName"));
            first = first.or(index.map(|name| name.into_owned()));
        }
    }
    Ok(first)
}
