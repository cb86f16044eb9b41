//! Storage keys, tokens, and the byte ranges of Query and Scan.

use crate::{
    error::ApiError,
    item::{Corrupt, ItemRef, Value, ValueRef},
};

/// A table's number, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u32);

/// The first byte of a storage key: what kind of thing lies there.
pub mod keyspace {
    /// The catalog's records.
    pub const CATALOG: u8 = 0;
    /// Items of tables.
    pub const ITEMS: u8 = 1;
}

/// Type of a key attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// String.
    S,
    /// Number.
    N,
    /// Binary.
    B,
}
impl KeyType {
    /// `S`, `N` or `B`.
    pub fn name(self) -> &'static str {
        todo!()
    }
    /// The reverse of `name`.
    pub fn from_name(_name: &str) -> Option<KeyType> {
        todo!()
    }
}

/// One attribute of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAttribute {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: KeyType,
}

/// What a table's (or index's) key is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySchema {
    /// HASH.
    pub partition: KeyAttribute,
    /// RANGE.
    pub sort: Option<KeyAttribute>,
}

/// A place on the ring: xxh3-128 of the partition key's encoded value (tag and payload).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u128);
impl Token {
    /// The token of a partition key.
    pub fn of(_partition: ValueRef<'_>) -> Token {
        todo!()
    }
    /// The high 64 bits, which the ring is divided by and storage keys carry.
    pub fn high(self) -> u64 {
        (self.0 >> 64) as u64
    }
}

/// The values of an item's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyValues<'a> {
    /// The partition key.
    pub partition: ValueRef<'a>,
    /// The sort key, if the schema has one.
    pub sort: Option<ValueRef<'a>>,
}

/// A storage key taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodedKey {
    /// See [`keyspace`].
    pub keyspace: u8,
    /// The table.
    pub table: TableId,
    /// The token's high half.
    pub token_high: u64,
    /// The partition key.
    pub partition: Value,
    /// The sort key.
    pub sort: Option<Value>,
}

/// Which sort keys of one partition a Query wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBounds<'a> {
    /// All.
    All,
    /// `=`
    Equal(ValueRef<'a>),
    /// `<`
    Less(ValueRef<'a>),
    /// `<=`
    LessOrEqual(ValueRef<'a>),
    /// `>`
    Greater(ValueRef<'a>),
    /// `>=`
    GreaterOrEqual(ValueRef<'a>),
    /// Both ends included.
    Between(ValueRef<'a>, ValueRef<'a>),
    /// Strings and binaries only.
    BeginsWith(ValueRef<'a>),
}

/// Storage keys `from <= key < to`. Empty if `from >= to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key that is in.
    pub from: Vec<u8>,
    /// The first key that is out.
    pub to: Vec<u8>,
}

/// The storage key. The values' types are the schema's: the caller validated them.
pub fn encode_key(
    _keyspace: u8,
    _table: TableId,
    _schema: &KeySchema,
    _partition: ValueRef<'_>,
    _sort: Option<ValueRef<'_>>,
) -> Vec<u8> {
    todo!()
}
/// Takes a storage key apart, fully checked.
pub fn decode_key(_schema: &KeySchema, _key: &[u8]) -> Result<DecodedKey, Corrupt> {
    todo!()
}
/// The token's high half in a storage key.
pub fn token_high_of_key(_key: &[u8]) -> Option<u64> {
    todo!()
}
/// The keys of one partition whose sort key is within bounds.
pub fn partition_range(
    _keyspace: u8,
    _table: TableId,
    _partition: ValueRef<'_>,
    _bounds: SortBounds<'_>,
) -> KeyRange {
    todo!()
}
/// All keys of a table whose token's high half is within, both ends included.
pub fn token_range(_keyspace: u8, _table: TableId, _from_high: u64, _to_high: u64) -> KeyRange {
    todo!()
}
/// All keys of a table.
pub fn table_range(_keyspace: u8, _table: TableId) -> KeyRange {
    todo!()
}
/// The smallest key above `key`: where a forward page goes on.
pub fn successor(_key: &[u8]) -> Vec<u8> {
    todo!()
}

/// The key of an item to be put: present, of the schema's types, not empty, not too long. DynamoDB's messages.
pub fn key_of_item<'a>(_schema: &KeySchema, _item: ItemRef<'a>) -> Result<KeyValues<'a>, ApiError> {
    todo!()
}
/// The key that a request gave as its `Key`: exactly the schema's attributes. DynamoDB's messages.
pub fn key_of_request<'a>(_schema: &KeySchema, _key: ItemRef<'a>) -> Result<KeyValues<'a>, ApiError> {
    todo!()
}
/// One key value against its attribute: type, empty, size. For values of key conditions use their own messages.
pub fn check_key_value(
    _attribute: &KeyAttribute,
    _is_partition: bool,
    _value: ValueRef<'_>,
) -> Result<(), ApiError> {
    todo!()
}
/// The item that holds only the key's attributes (LastEvaluatedKey, Key).
pub fn key_item(_schema: &KeySchema, _key: KeyValues<'_>) -> Vec<u8> {
    todo!()
}
