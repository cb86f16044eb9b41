//! The owned tree of a value, for the operations that take a value apart and put it together again.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ITEM_VERSION, ItemRef, ValueRef,
    body::{insert_header, push_name_length},
    tag,
};
use crate::number::{Number, NumberRef};

/// A value as a tree. Equality is DynamoDB's: numbers by value, sets and maps regardless of order.
///
/// It may be deeper than an item can be; who makes it deeper checks [`Value::depth`] before storing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// String.
    S(String),
    /// Number.
    N(Number),
    /// Binary.
    B(Vec<u8>),
    /// Boolean.
    Bool(bool),
    /// Null.
    Null,
    /// Map.
    M(BTreeMap<String, Value>),
    /// List.
    L(Vec<Value>),
    /// String set, never empty.
    Ss(BTreeSet<String>),
    /// Number set, never empty.
    Ns(BTreeSet<Number>),
    /// Binary set, never empty.
    Bs(BTreeSet<Vec<u8>>),
}

/// Where the entries of a body end, while it is written.
type Ends = smallvec::SmallVec<[usize; 16]>;

impl Value {
    /// `S`, `N`, `B`, `BOOL`, `NULL`, `M`, `L`, `SS`, `NS` or `BS`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::S(_) => "S",
            Value::N(_) => "N",
            Value::B(_) => "B",
            Value::Bool(_) => "BOOL",
            Value::Null => "NULL",
            Value::M(_) => "M",
            Value::L(_) => "L",
            Value::Ss(_) => "SS",
            Value::Ns(_) => "NS",
            Value::Bs(_) => "BS",
        }
    }

    /// Appends tag and payload.
    pub fn encode_to(&self, out: &mut Vec<u8>) {
        match self {
            Value::S(text) => push_value(out, tag::S, text.as_bytes()),
            Value::N(number) => push_value(out, tag::N, number.bytes()),
            Value::B(bytes) => push_value(out, tag::B, bytes),
            Value::Bool(value) => out.push(if *value { tag::TRUE } else { tag::FALSE }),
            Value::Null => out.push(tag::NULL),
            Value::M(map) => {
                out.push(tag::M);
                push_map(out, map);
            }
            Value::L(list) => {
                out.push(tag::L);
                push_body(out, list, |out, value| value.encode_to(out));
            }
            Value::Ss(set) => push_set(out, tag::SS, set.iter().map(String::as_bytes)),
            Value::Ns(set) => push_set(out, tag::NS, set.iter().map(Number::bytes)),
            Value::Bs(set) => push_set(out, tag::BS, set.iter().map(Vec::as_slice)),
        }
    }

    /// Tag and payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_to(&mut out);
        out
    }

    /// An item's attributes as a tree.
    pub fn attributes(item: ItemRef<'_>) -> BTreeMap<String, Value> {
        item.iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
    }

    /// The item with these attributes.
    pub fn encode_item(attributes: &BTreeMap<String, Value>) -> Vec<u8> {
        let mut out = vec![ITEM_VERSION];
        push_map(&mut out, attributes);
        out
    }

    /// Levels of maps and lists: 0 for a scalar or a set, 1 for `[]`.
    pub fn depth(&self) -> usize {
        match self {
            Value::M(map) => 1 + map.values().map(Value::depth).max().unwrap_or(0),
            Value::L(list) => 1 + list.iter().map(Value::depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    fn from_parts(value: ValueRef<'_>, depth: usize) -> Value {
        match value {
            ValueRef::S(text) => Value::S(text.to_owned()),
            ValueRef::N(number) => Value::N(number.to_number()),
            ValueRef::B(bytes) => Value::B(bytes.to_vec()),
            ValueRef::Bool(value) => Value::Bool(value),
            ValueRef::M(_) | ValueRef::L(_) if depth > super::DEPTH_READ_MAX => Value::Null,
            ValueRef::M(map) => {
                let attribute =
                    |(name, value): (&str, _)| (name.to_owned(), Value::from_parts(value, depth + 1));
                Value::M(map.iter().map(attribute).collect())
            }
            ValueRef::L(list) => {
                Value::L(list.iter().map(|value| Value::from_parts(value, depth + 1)).collect())
            }
            ValueRef::Ss(set) => {
                Value::Ss(set.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect())
            }
            ValueRef::Ns(set) => {
                Value::Ns(set.iter().map(|bytes| NumberRef::trusted(bytes).to_number()).collect())
            }
            ValueRef::Bs(set) => Value::Bs(set.iter().map(<[u8]>::to_vec).collect()),
            ValueRef::Null => Value::Null,
        }
    }
}

impl From<ValueRef<'_>> for Value {
    fn from(value: ValueRef<'_>) -> Value {
        Value::from_parts(value, 0)
    }
}

fn push_value(out: &mut Vec<u8>, tag: u8, payload: &[u8]) {
    out.push(tag);
    out.extend_from_slice(payload);
}

fn push_map(out: &mut Vec<u8>, map: &BTreeMap<String, Value>) {
    push_body(out, map, |out, (name, value)| {
        push_name_length(out, name.len());
        out.extend_from_slice(name.as_bytes());
        value.encode_to(out);
    });
}

fn push_set<'a>(out: &mut Vec<u8>, tag: u8, elements: impl ExactSizeIterator<Item = &'a [u8]>) {
    assert!(elements.len() > 0, "a set has an element");
    out.push(tag);
    push_body(out, elements, |out, element| out.extend_from_slice(element));
}

fn push_body<T>(
    out: &mut Vec<u8>,
    entries: impl IntoIterator<Item = T>,
    mut push: impl FnMut(&mut Vec<u8>, T),
) {
    let start = out.len();
    let mut ends = Ends::new();
    for entry in entries {
        push(out, entry);
        ends.push(out.len() - start);
    }
    insert_header(out, start, ends.iter().copied());
}
