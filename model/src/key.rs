//! Storage keys, tokens, and the byte ranges of Query and Scan (FORMAT.md "Keys").
//!
//! ```text
//! keyspace | table | token, high half | partition key, self-delimiting | sort key, order-preserving
//! ```
//!
//! 1. A request's or an item's key attributes are checked against the [`KeySchema`], with DynamoDB's messages.
//! 2. [`encode_key`] lays them down so that `memcmp` orders a partition as Query does.
//! 3. A partition, a sort condition, a range of tokens and a table are each one [`KeyRange`] of storage keys.
//! 4. [`decode_key`] takes a storage key apart again, fully checked: its token must be that of its partition key.
//!
//! Promises: no two keys share their bytes; a key's prefix up to the partition key belongs to that partition alone.
//! Leaves to others: which vnode owns a token (`ring`), messages about key conditions (`expression`).

mod schema;
#[cfg(test)]
mod tests;

use xxhash_rust::xxh3::xxh3_128;

pub use schema::{
    KeyAttribute, KeySchema, KeyType, KeyValues, check_key_value, key_item, key_of_item, key_of_request,
};

use crate::{
    item::{Corrupt, Value, ValueRef},
    number::NumberRef,
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
    /// What the replicas of vnodes keep of themselves.
    pub const GROUPS: u8 = 2;
}

/// A place on the ring [0, 2^128): XXH3-128 of the partition key's encoded value (tag and payload).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u128);

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
    /// The sort key, if the schema has one.
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
    /// The first key that is out. No storage key is above the end of the largest range.
    pub to: Vec<u8>,
}

/// Bytes of keyspace and table.
const TABLE_PREFIX_LENGTH: usize = 1 + 4;
/// Bytes before the partition key.
const PREFIX_LENGTH: usize = TABLE_PREFIX_LENGTH + 8;
/// A zero byte inside a partition key, so that a shorter key still orders before a longer one ..
const ESCAPED_ZERO: [u8; 2] = [0x00, 0xFF];
/// .. and the end of the partition key, below every byte that could go on.
const TERMINATOR: [u8; 2] = [0x00, 0x01];

impl Token {
    /// The token of a partition key.
    pub fn of(partition: ValueRef<'_>) -> Token {
        let (tag, payload) = partition.parts();
        let mut encoded = smallvec::SmallVec::<[u8; 128]>::with_capacity(1 + payload.len());
        encoded.push(tag);
        encoded.extend_from_slice(payload);
        Token(xxh3_128(&encoded))
    }

    /// The high 64 bits, which the ring is divided by and storage keys carry.
    pub fn high(self) -> u64 {
        (self.0 >> 64) as u64
    }
}

impl KeyRange {
    /// Whether no key can be in it.
    pub fn is_empty(&self) -> bool {
        self.from >= self.to
    }

    /// Whether this key is in it.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.from.as_slice() <= key && key < self.to.as_slice()
    }

    /// What comes after `key` in reading direction: where a page that ended with `key` goes on.
    pub fn after(mut self, key: &[u8], forward: bool) -> KeyRange {
        if forward {
            self.from = self.from.max(successor(key));
        } else {
            self.to = self.to.min(key.to_vec());
        }
        self
    }
}

/// The storage key of an item. The values are of the schema's types, not empty and not too long: the caller checked.
pub fn encode_key(
    keyspace: u8,
    table: TableId,
    schema: &KeySchema,
    partition: ValueRef<'_>,
    sort: Option<ValueRef<'_>>,
) -> Vec<u8> {
    assert_eq!(partition.type_name(), schema.partition.kind.name(), "the partition key's type was checked");
    assert_eq!(
        sort.map(ValueRef::type_name),
        schema.sort.as_ref().map(|sort| sort.kind.name()),
        "the sort key's type was checked"
    );
    let mut key = partition_prefix(keyspace, table, partition);
    key.extend_from_slice(sort.map_or(&[], payload));
    key
}

/// Takes a storage key apart, fully checked.
pub fn decode_key(schema: &KeySchema, key: &[u8]) -> Result<DecodedKey, Corrupt> {
    let Some((prefix, rest)) = key.split_at_checked(PREFIX_LENGTH) else {
        return Err(Corrupt::new("a key that is too short", key.len()));
    };
    if prefix[0] == 0xFF {
        return Err(Corrupt::new("a keyspace that is never used", 0));
    }
    let table = u32::from_be_bytes(prefix[1..TABLE_PREFIX_LENGTH].try_into().expect("four bytes"));
    let token_high = u64::from_be_bytes(prefix[TABLE_PREFIX_LENGTH..].try_into().expect("eight bytes"));
    let (partition, rest) = split_partition(schema.partition.kind, rest, PREFIX_LENGTH)?;
    let sort_offset = key.len() - rest.len();
    let sort = match &schema.sort {
        Some(attribute) => Some(whole_value(attribute.kind, rest, sort_offset)?),
        None if rest.is_empty() => None,
        None => return Err(Corrupt::new("bytes after the partition key", sort_offset)),
    };
    if Token::of(ValueRef::trusted(&partition.encode())).high() != token_high {
        return Err(Corrupt::new("a token that is not the partition key's", TABLE_PREFIX_LENGTH));
    }
    Ok(DecodedKey { keyspace: prefix[0], table: TableId(table), token_high, partition, sort })
}

/// The token's high half in a storage key; None if it is too short to have one.
pub fn token_high_of_key(key: &[u8]) -> Option<u64> {
    let bytes = key.get(TABLE_PREFIX_LENGTH..PREFIX_LENGTH)?;
    Some(u64::from_be_bytes(bytes.try_into().expect("eight bytes")))
}

/// The keys of one partition whose sort key is within bounds. The values' types are the schema's: the caller checked.
pub fn partition_range(
    keyspace: u8,
    table: TableId,
    partition: ValueRef<'_>,
    bounds: SortBounds<'_>,
) -> KeyRange {
    let prefix = partition_prefix(keyspace, table, partition);
    let at = |value: ValueRef<'_>| [prefix.as_slice(), payload(value)].concat();
    let above = |value: ValueRef<'_>| successor(&at(value));
    let start = || prefix.clone();
    let end = || after_prefix(&prefix);
    let (from, to) = match bounds {
        SortBounds::All => (start(), end()),
        SortBounds::Equal(value) => (at(value), above(value)),
        SortBounds::Less(value) => (start(), at(value)),
        SortBounds::LessOrEqual(value) => (start(), above(value)),
        SortBounds::Greater(value) => (above(value), end()),
        SortBounds::GreaterOrEqual(value) => (at(value), end()),
        SortBounds::Between(low, high) => (at(low), above(high)),
        SortBounds::BeginsWith(value) => {
            assert!(!matches!(value, ValueRef::N(_)), "begins_with takes strings and binaries");
            (at(value), after_prefix(&at(value)))
        }
    };
    KeyRange { from, to }
}

/// All keys of a table whose token's high half is within, both ends included.
pub fn token_range(keyspace: u8, table: TableId, from_high: u64, to_high: u64) -> KeyRange {
    let from = token_prefix(keyspace, table, from_high);
    KeyRange { from, to: after_prefix(&token_prefix(keyspace, table, to_high)) }
}

/// All keys of a table.
pub fn table_range(keyspace: u8, table: TableId) -> KeyRange {
    token_range(keyspace, table, 0, u64::MAX)
}

/// The smallest key above `key`.
pub fn successor(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// The smallest key above every key that begins with `prefix`.
fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let last = prefix.iter().rposition(|byte| *byte != 0xFF).expect("the keyspace is below 0xFF");
    let mut after = prefix[..=last].to_vec();
    after[last] += 1;
    after
}

fn token_prefix(keyspace: u8, table: TableId, token_high: u64) -> Vec<u8> {
    assert!(keyspace < 0xFF, "0xFF is kept free, so that every range has an end");
    let mut key = Vec::with_capacity(64);
    key.push(keyspace);
    key.extend_from_slice(&table.0.to_be_bytes());
    key.extend_from_slice(&token_high.to_be_bytes());
    key
}

/// Everything before the sort key.
fn partition_prefix(keyspace: u8, table: TableId, partition: ValueRef<'_>) -> Vec<u8> {
    let mut key = token_prefix(keyspace, table, Token::of(partition).high());
    match partition {
        ValueRef::N(number) => key.extend_from_slice(number.bytes()),
        _ => push_escaped(&mut key, payload(partition)),
    }
    key
}

fn push_escaped(key: &mut Vec<u8>, bytes: &[u8]) {
    for (index, part) in bytes.split(|byte| *byte == 0).enumerate() {
        if index > 0 {
            key.extend_from_slice(&ESCAPED_ZERO);
        }
        key.extend_from_slice(part);
    }
    key.extend_from_slice(&TERMINATOR);
}

/// The bytes of a key's value that order like the value.
fn payload(value: ValueRef<'_>) -> &[u8] {
    match value {
        ValueRef::S(text) => text.as_bytes(),
        ValueRef::N(number) => number.bytes(),
        ValueRef::B(bytes) => bytes,
        _ => panic!("keys are strings, numbers or binaries, not {}", value.type_name()),
    }
}

/// The partition key at the front of `bytes`, which begin at `offset` of the key, and what follows it.
fn split_partition(kind: KeyType, bytes: &[u8], offset: usize) -> Result<(Value, &[u8]), Corrupt> {
    if kind == KeyType::N {
        let Some((number, rest)) = NumberRef::split(bytes) else {
            return Err(Corrupt::new("a partition key that is no number", offset));
        };
        return Ok((Value::N(number.to_number()), rest));
    }
    let (unescaped, rest) = unescape(bytes).ok_or(Corrupt::new("a partition key without an end", offset))?;
    Ok((whole_value(kind, &unescaped, offset)?, rest))
}

fn unescape(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut unescaped = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    loop {
        let zero = rest.iter().position(|byte| *byte == 0)?;
        unescaped.extend_from_slice(&rest[..zero]);
        let (mark, after) = rest[zero..].split_first_chunk()?;
        rest = after;
        match *mark {
            TERMINATOR => return Some((unescaped, rest)),
            ESCAPED_ZERO => unescaped.push(0),
            _ => return None,
        }
    }
}

/// Bytes that are a value from their first to their last.
fn whole_value(kind: KeyType, bytes: &[u8], offset: usize) -> Result<Value, Corrupt> {
    match kind {
        KeyType::B => Ok(Value::B(bytes.to_vec())),
        KeyType::S => match str::from_utf8(bytes) {
            Ok(text) => Ok(Value::S(text.to_owned())),
            Err(_) => Err(Corrupt::new("a key that is not UTF-8", offset)),
        },
        KeyType::N => match NumberRef::check(bytes) {
            Some(number) => Ok(Value::N(number.to_number())),
            None => Err(Corrupt::new("a key that is no number", offset)),
        },
    }
}
