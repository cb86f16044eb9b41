//! The changes that a client may ask of the catalog, and whether they may be made: DynamoDB's rules and words.

use super::State;
use model::error::{ApiError, Code};
use model::item::ItemRef;
use model::limits::{TABLES_MAX, TAGS_MAX};
use model::table::{Billing, BillingMode, Table, TableClass, TableStatus, Tag, TimeToLive};
use net::message::{ArchivedBillingMode, ArchivedCatalog, ArchivedTableChange, ArchivedTableClass};
use runtime::{Purpose, Runtime};
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a client wants changed, out of its message.
pub(crate) enum Change {
    /// CreateTable.
    Create(Box<Table>),
    /// UpdateTable.
    Update(Settings),
    /// DeleteTable.
    Delete(String),
    /// TagResource, with the table's name.
    Tag(String, Vec<Tag>),
    /// UntagResource: the table's name and the tags' keys.
    Untag(String, Vec<String>),
    /// UpdateTimeToLive: the table's name, the attribute, and whether it is to be enabled.
    TimeToLive(String, String, bool),
}

/// The settings of UpdateTable; what is `None` stays.
pub(crate) struct Settings {
    name: String,
    mode: Option<BillingMode>,
    units: Option<(u64, u64)>,
    deletion_protection: Option<bool>,
    class: Option<TableClass>,
}

/// What is to be done.
pub(crate) enum Plan {
    /// Write this record.
    Write(Box<Table>),
    /// It is so already; answer with this record.
    Nothing(Rc<Table>),
}

impl Change {
    /// Takes a change out of its message.
    pub(crate) fn read(change: &ArchivedCatalog) -> Result<Change, model::item::Corrupt> {
        match change {
            ArchivedCatalog::Create(record) => {
                let table = Table::from_item(ItemRef::check(record)?)?;
                Ok(Change::Create(Box::new(table)))
            }
            ArchivedCatalog::Update(change) => Ok(Change::Update(Settings::read(change))),
            ArchivedCatalog::Delete(name) => Ok(Change::Delete(name.as_str().to_string())),
            ArchivedCatalog::Tag(change) => {
                let tags = change.tags.iter();
                let tags = tags.map(|tag| Tag { key: tag.0.to_string(), value: tag.1.to_string() });
                Ok(Change::Tag(change.name.to_string(), tags.collect()))
            }
            ArchivedCatalog::Untag(change) => {
                let keys = change.keys.iter().map(ToString::to_string).collect();
                Ok(Change::Untag(change.name.to_string(), keys))
            }
            ArchivedCatalog::TimeToLive(change) => {
                let (name, attribute) = (change.name.to_string(), change.attribute.to_string());
                Ok(Change::TimeToLive(name, attribute, change.enabled))
            }
            ArchivedCatalog::Describe(_) => unreachable!("a description changes nothing"),
        }
    }

    /// What it comes to, from this state on.
    pub(crate) fn plan<R: Runtime>(self, state: &State, rt: &R) -> Result<Plan, ApiError> {
        match self {
            Change::Create(table) => plan_create(*table, state, rt),
            Change::Update(settings) => plan_update(settings, state, rt),
            Change::Delete(name) => plan_delete(&name, state),
            Change::Tag(name, tags) => plan_tag(&name, tags, state),
            Change::Untag(name, keys) => plan_untag(&name, &keys, state),
            Change::TimeToLive(name, attribute, enabled) => {
                plan_time_to_live(&name, attribute, enabled, state)
            }
        }
    }
}

impl Settings {
    fn read(change: &ArchivedTableChange) -> Settings {
        Settings {
            name: change.name.as_str().to_string(),
            mode: change.billing_mode.as_ref().map(|mode| match mode {
                ArchivedBillingMode::Provisioned => BillingMode::Provisioned,
                ArchivedBillingMode::PayPerRequest => BillingMode::PayPerRequest,
            }),
            units: change.provisioned.as_ref().map(|units| (units.0.to_native(), units.1.to_native())),
            deletion_protection: change.deletion_protection.as_ref().copied(),
            class: change.table_class.as_ref().map(|class| match class {
                ArchivedTableClass::Standard => TableClass::Standard,
                ArchivedTableClass::InfrequentAccess => TableClass::InfrequentAccess,
            }),
        }
    }
}

fn plan_create<R: Runtime>(mut table: Table, state: &State, rt: &R) -> Result<Plan, ApiError> {
    if let Some(other) = state.tables.get(&table.name) {
        return Err(match other.status {
            TableStatus::Creating => in_use(&format!("Table is being created: {}", table.name)),
            _ => ApiError::new(Code::ResourceInUse, format!("Table already exists: {}", table.name)),
        });
    }
    if state.tables.len() >= TABLES_MAX {
        let message =
            format!("Subscriber limit exceeded: There is a limit of {TABLES_MAX} tables per subscriber");
        return Err(ApiError::new(Code::LimitExceeded, message));
    }
    table.id = state.next_id();
    table.uuid = uuid(rt);
    table.created_us = rt.wall().0;
    table.status = TableStatus::Creating;
    if table.billing.mode == BillingMode::PayPerRequest {
        table.billing.last_on_demand_us = Some(table.created_us);
    }
    Ok(Plan::Write(Box::new(table)))
}

fn plan_delete(name: &str, state: &State) -> Result<Plan, ApiError> {
    let table = existing(name, state)?;
    refuse_unless_there(&table)?;
    if table.status == TableStatus::Updating {
        return Err(in_use(&format!("Table: {name} is in the process of being updated.")));
    }
    if table.deletion_protection {
        return Err(ApiError::validation(
            "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
        ));
    }
    Ok(Plan::Write(Box::new(Table { status: TableStatus::Deleting, ..Table::clone(&table) })))
}

fn plan_update<R: Runtime>(settings: Settings, state: &State, rt: &R) -> Result<Plan, ApiError> {
    let table = existing(&settings.name, state)?;
    refuse_unless_there(&table)?;
    if table.status == TableStatus::Updating {
        return Err(in_use(&format!("Table IOPS are currently being updated. Table: {}", table.name)));
    }
    let mut table = Table { status: TableStatus::Updating, ..Table::clone(&table) };
    table.billing = new_billing(&table.billing, &settings, rt.wall().0)?;
    table.deletion_protection = settings.deletion_protection.unwrap_or(table.deletion_protection);
    table.class = settings.class.unwrap_or(table.class);
    Ok(Plan::Write(Box::new(table)))
}

/// Tags do not touch the table's work: it stays ACTIVE, as it does below.
fn plan_tag(name: &str, new: Vec<Tag>, state: &State) -> Result<Plan, ApiError> {
    let table = existing(name, state)?;
    refuse_unless_there(&table)?;
    let mut tags: BTreeMap<String, String> =
        table.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
    tags.extend(new.into_iter().map(|tag| (tag.key, tag.value)));
    if tags.len() > TAGS_MAX {
        return Err(ApiError::validation(
            "Number of Tags exceed the current limit for the provided ResourceArn",
        ));
    }
    Ok(with_tags(&table, tags.into_iter().map(|(key, value)| Tag { key, value }).collect()))
}

fn plan_untag(name: &str, keys: &[String], state: &State) -> Result<Plan, ApiError> {
    let table = existing(name, state)?;
    refuse_unless_there(&table)?;
    Ok(with_tags(&table, table.tags.iter().filter(|tag| !keys.contains(&tag.key)).cloned().collect()))
}

fn with_tags(table: &Rc<Table>, tags: Vec<Tag>) -> Plan {
    if tags == table.tags {
        return Plan::Nothing(table.clone());
    }
    Plan::Write(Box::new(Table { tags, ..Table::clone(table) }))
}

fn plan_time_to_live(name: &str, attribute: String, enabled: bool, state: &State) -> Result<Plan, ApiError> {
    let table = existing(name, state)?;
    refuse_unless_there(&table)?;
    let refused = match (&table.time_to_live, enabled) {
        (Some(now), _) if now.attribute != attribute => {
            let now = &now.attribute;
            Some(format!("TimeToLive is active on a different AttributeName: current AttributeName is {now}"))
        }
        (Some(_), true) => Some("TimeToLive is already enabled".to_string()),
        (None, false) => Some("TimeToLive is already disabled".to_string()),
        (Some(_), false) | (None, true) => None,
    };
    match refused {
        Some(message) => Err(ApiError::validation(message)),
        None => {
            let time_to_live = enabled.then_some(TimeToLive { attribute });
            Ok(Plan::Write(Box::new(Table { time_to_live, ..Table::clone(&table) })))
        }
    }
}

fn existing(name: &str, state: &State) -> Result<Rc<Table>, ApiError> {
    state.tables.get(name).cloned().ok_or_else(|| no_such_table(name))
}

/// What DynamoDB says of a table that is not there.
pub(crate) fn no_such_table(name: &str) -> ApiError {
    ApiError::new(Code::ResourceNotFound, format!("Requested resource not found: Table: {name} not found"))
}

/// Refuses to change a table that is not there yet, or soon no more.
fn refuse_unless_there(table: &Table) -> Result<(), ApiError> {
    let doing = match table.status {
        TableStatus::Active | TableStatus::Updating => return Ok(()),
        TableStatus::Creating => "created",
        TableStatus::Deleting => "deleted",
    };
    Err(in_use(&format!("Table is being {doing}: {}", table.name)))
}

fn in_use(detail: &str) -> ApiError {
    let message = format!("Attempt to change a resource which is still in use: {detail}");
    ApiError::new(Code::ResourceInUse, message)
}

/// The billing after an update at `now_us`.
fn new_billing(old: &Billing, settings: &Settings, now_us: u64) -> Result<Billing, ApiError> {
    let invalid =
        |why: &str| ApiError::validation(format!("One or more parameter values were invalid: {why}"));
    let mode = settings.mode.unwrap_or(old.mode);
    let mut new = Billing { mode, ..old.clone() };
    match (mode, settings.units) {
        (BillingMode::PayPerRequest, Some(_)) => {
            return Err(invalid(
                "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
            ));
        }
        (BillingMode::PayPerRequest, None) => {
            if old.mode != BillingMode::PayPerRequest {
                (new.read_units, new.write_units) = (0, 0);
                new.last_on_demand_us = Some(now_us);
            }
        }
        (BillingMode::Provisioned, None) => {
            if old.mode != BillingMode::Provisioned {
                return Err(invalid(
                    "ProvisionedThroughput must be specified when BillingMode is PROVISIONED",
                ));
            }
        }
        (BillingMode::Provisioned, Some(units)) => provision(&mut new, old, units, settings, now_us)?,
    }
    Ok(new)
}

fn provision(
    new: &mut Billing,
    old: &Billing,
    (read, write): (u64, u64),
    settings: &Settings,
    now_us: u64,
) -> Result<(), ApiError> {
    let same = old.mode == BillingMode::Provisioned && (old.read_units, old.write_units) == (read, write);
    let nothing_else = settings.deletion_protection.is_none() && settings.class.is_none();
    if same && nothing_else {
        return Err(ApiError::validation(format!(
            "The provisioned throughput for the table will not change. The requested value equals the current value. \
             Current ReadCapacityUnits provisioned for the table: {0}. Requested ReadCapacityUnits: {0}. \
             Current WriteCapacityUnits provisioned for the table: {1}. Requested WriteCapacityUnits: {1}. \
             Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.",
            read, write
        )));
    }
    (new.read_units, new.write_units) = (read, write);
    if read > old.read_units || write > old.write_units {
        new.last_increase_us = Some(now_us);
    }
    if old.mode == BillingMode::Provisioned && (read < old.read_units || write < old.write_units) {
        let day = |us: u64| us / (24 * 3600 * 1_000_000);
        let today = old.last_decrease_us.is_some_and(|last| day(last) == day(now_us));
        new.decreases_today = if today { old.decreases_today + 1 } else { 1 };
        new.last_decrease_us = Some(now_us);
    }
    Ok(())
}

/// A random UUID (version 4).
fn uuid<R: Runtime>(rt: &R) -> String {
    let high = (rt.random(Purpose::Id) & !0xf000) | 0x4000;
    let low = (rt.random(Purpose::Id) >> 2) | (1 << 63);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}
