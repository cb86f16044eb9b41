//! The owned tree of a value, for updates.

use crate::{
    item::{ItemRef, ValueRef},
    number::Number,
};
use std::collections::{BTreeMap, BTreeSet};

/// A value as a tree. Equality is DynamoDB's.
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

impl From<ValueRef<'_>> for Value {
    fn from(_v: ValueRef<'_>) -> Value {
        todo!()
    }
}
impl Value {
    /// `S`, `N`, `B`, `BOOL`, `NULL`, `M`, `L`, `SS`, `NS` or `BS`.
    pub fn type_name(&self) -> &'static str {
        todo!()
    }
    /// Appends tag and payload.
    pub fn encode_to(&self, _out: &mut Vec<u8>) {
        todo!()
    }
    /// Tag and payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_to(&mut out);
        out
    }
    /// An item's attributes as a tree.
    pub fn attributes(_item: ItemRef<'_>) -> BTreeMap<String, Value> {
        todo!()
    }
    /// The item with these attributes.
    pub fn encode_item(_attributes: &BTreeMap<String, Value>) -> Vec<u8> {
        todo!()
    }
    /// Levels of maps and lists: 0 for a scalar or a set, 1 for `[]`.
    pub fn depth(&self) -> usize {
        todo!()
    }
}
