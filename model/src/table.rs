//! A table's description. Its record, on disk and on the wire, is an item.

use crate::{
    item::{Corrupt, ItemRef},
    key::{KeySchema, KeyType, TableId},
};

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
    /// SSESpecification, if one was given.
    pub encryption: Option<Encryption>,
    /// Tags, in order of key.
    pub tags: Vec<Tag>,
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
impl TableStatus {
    /// The API's word.
    pub fn name(self) -> &'static str {
        todo!()
    }
}
/// BillingMode and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Billing {
    /// The mode.
    pub mode: BillingMode,
    /// Read units per second; 0 when on demand.
    pub read_units: u64,
    /// Write units per second; 0 when on demand.
    pub write_units: u64,
    /// LastIncreaseDateTime in microseconds.
    pub last_increase_us: Option<u64>,
    /// LastDecreaseDateTime in microseconds.
    pub last_decrease_us: Option<u64>,
    /// NumberOfDecreasesToday, as of the last decrease.
    pub decreases_today: u64,
    /// LastUpdateToPayPerRequestDateTime in microseconds.
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
impl BillingMode {
    /// The API's word.
    pub fn name(self) -> &'static str {
        todo!()
    }
}
/// TableClass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TableClass {
    /// STANDARD, and the client did not say so.
    #[default]
    Default,
    /// STANDARD
    Standard,
    /// STANDARD_INFREQUENT_ACCESS
    InfrequentAccess,
}
impl TableClass {
    /// The API's word.
    pub fn name(self) -> &'static str {
        todo!()
    }
}
/// SSESpecification with Enabled true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encryption {
    /// KMSMasterKeyId as given.
    pub key: Option<String>,
}
/// A tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}
impl Table {
    /// The table's record.
    pub fn to_item(&self) -> Vec<u8> {
        todo!()
    }
    /// Reads a record, fully checked; a version or an attribute that it does not know is refused.
    pub fn from_item(_item: ItemRef<'_>) -> Result<Table, Corrupt> {
        todo!()
    }
}
