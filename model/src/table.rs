//! A table's description. Its record, on disk and on the wire, is an item (FORMAT.md "Table records").
//!
//! The router makes DescribeTable's answer out of it, the catalog keeps it, and everybody finds a table's key schema
//! here. Promises: a record that this version does not know in full is refused, never read in part.
//! Leaves to others: which changes are allowed and what they answer (`router`), and when they happen (`shard`).

mod record;
#[cfg(test)]
pub(crate) mod tests;

use crate::key::{KeySchema, KeyType, TableId};

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its number.
    pub id: TableId,
    /// `TableId` of the API: a UUID's text.
    pub uuid: String,
    /// Its name.
    pub name: String,
    /// Its key.
    pub schema: KeySchema,
    /// As the client gave them, in that order.
    pub attribute_definitions: Vec<AttributeDefinition>,
    /// Where it is in its life.
    pub status: TableStatus,
    /// Wall time of creation, microseconds since 1970.
    pub created_us: u64,
    /// How its throughput is paid for.
    pub billing: Billing,
    /// DeletionProtectionEnabled.
    pub deletion_protection: bool,
    /// TableClass.
    pub class: TableClass,
    /// SSESpecification, if one with Enabled true was given.
    pub encryption: Option<Encryption>,
    /// Tags, ascending by key.
    pub tags: Vec<Tag>,
    /// TimeToLiveSpecification, if one with Enabled true was given last.
    pub time_to_live: Option<TimeToLive>,
}

/// An entry of AttributeDefinitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeDefinition {
    /// The attribute.
    pub name: String,
    /// Its type.
    pub kind: KeyType,
}

/// TableStatus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableStatus {
    /// CREATING
    Creating,
    /// ACTIVE
    Active,
    /// UPDATING
    Updating,
    /// DELETING
    Deleting,
}

/// BillingMode and what belongs to it. Wall times are microseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Billing {
    /// The mode.
    pub mode: BillingMode,
    /// Read units per second; 0 when on demand.
    pub read_units: u64,
    /// Write units per second; 0 when on demand.
    pub write_units: u64,
    /// LastIncreaseDateTime.
    pub last_increase_us: Option<u64>,
    /// LastDecreaseDateTime.
    pub last_decrease_us: Option<u64>,
    /// NumberOfDecreasesToday, as of the last decrease: it counts for that UTC day only.
    pub decreases_today: u64,
    /// LastUpdateToPayPerRequestDateTime.
    pub last_on_demand_us: Option<u64>,
}

/// BillingMode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum BillingMode {
    /// PROVISIONED
    #[default]
    Provisioned,
    /// PAY_PER_REQUEST
    PayPerRequest,
}

/// TableClass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TableClass {
    /// STANDARD, and the client did not say so: DescribeTable does not show it.
    #[default]
    Default,
    /// STANDARD
    Standard,
    /// STANDARD_INFREQUENT_ACCESS
    InfrequentAccess,
}

/// SSESpecification with Enabled true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encryption {
    /// KMSMasterKeyId as given.
    pub key: Option<String>,
}

/// TimeToLiveSpecification with Enabled true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeToLive {
    /// AttributeName: who holds the time at which an item may go.
    pub attribute: String,
}

/// A tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

impl TableStatus {
    /// All of them.
    pub const ALL: [TableStatus; 4] =
        [TableStatus::Creating, TableStatus::Active, TableStatus::Updating, TableStatus::Deleting];

    /// The API's word.
    pub fn name(self) -> &'static str {
        match self {
            TableStatus::Creating => "CREATING",
            TableStatus::Active => "ACTIVE",
            TableStatus::Updating => "UPDATING",
            TableStatus::Deleting => "DELETING",
        }
    }
}

impl BillingMode {
    /// The API's word.
    pub fn name(self) -> &'static str {
        match self {
            BillingMode::Provisioned => "PROVISIONED",
            BillingMode::PayPerRequest => "PAY_PER_REQUEST",
        }
    }

    /// The reverse of `name`.
    pub fn from_name(name: &str) -> Option<BillingMode> {
        [BillingMode::Provisioned, BillingMode::PayPerRequest].into_iter().find(|mode| mode.name() == name)
    }
}

impl TableClass {
    /// The API's word.
    pub fn name(self) -> &'static str {
        match self {
            TableClass::Default | TableClass::Standard => "STANDARD",
            TableClass::InfrequentAccess => "STANDARD_INFREQUENT_ACCESS",
        }
    }

    /// What a client means by a word.
    pub fn from_name(name: &str) -> Option<TableClass> {
        [TableClass::Standard, TableClass::InfrequentAccess].into_iter().find(|class| class.name() == name)
    }
}

impl Billing {
    /// NumberOfDecreasesToday as of `now_us`: it begins at 0 with each UTC day.
    pub fn decreases_today(&self, now_us: u64) -> u64 {
        const DAY_US: u64 = 24 * 60 * 60 * 1_000_000;
        let is_today = self.last_decrease_us.is_some_and(|last| last / DAY_US == now_us / DAY_US);
        if is_today { self.decreases_today } else { 0 }
    }
}

impl Table {
    /// The attribute's type, if it is among the AttributeDefinitions.
    pub fn attribute_kind(&self, name: &str) -> Option<KeyType> {
        self.attribute_definitions
            .iter()
            .find(|definition| definition.name == name)
            .map(|definition| definition.kind)
    }
}
