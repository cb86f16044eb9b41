//! Reading items in place.

use crate::{item::SetKind, number::NumberRef};

/// What is wrong with bytes that should be an item, a value or a key, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrupt {
    /// What was expected.
    pub what: &'static str,
    /// Offset of the offending byte in the slice that was checked.
    pub offset: usize,
}
impl std::fmt::Display for Corrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at byte {}", self.what, self.offset)
    }
}
impl std::error::Error for Corrupt {}

/// An encoded item, read in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemRef<'a>(&'a [u8]);

/// An encoded value, read in place. Equality is DynamoDB's (numbers by value, sets regardless of order).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueRef<'a> {
    /// String.
    S(&'a str),
    /// Number.
    N(NumberRef<'a>),
    /// Binary.
    B(&'a [u8]),
    /// Boolean.
    Bool(bool),
    /// Null.
    Null,
    /// Map.
    M(MapRef<'a>),
    /// List.
    L(ListRef<'a>),
    /// String set.
    Ss(SetRef<'a>),
    /// Number set.
    Ns(SetRef<'a>),
    /// Binary set.
    Bs(SetRef<'a>),
}

/// A map inside an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapRef<'a>(&'a [u8]);
/// A list inside an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListRef<'a>(&'a [u8]);
/// A set inside an item; its elements are in byte order, which for numbers is numeric order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetRef<'a> {
    kind: SetKind,
    body: &'a [u8],
}
/// Attributes of a map, sorted by name.
#[derive(Clone, Debug)]
pub struct MapIter<'a>(std::marker::PhantomData<&'a [u8]>);
/// Elements of a list, in order.
#[derive(Clone, Debug)]
pub struct ListIter<'a>(std::marker::PhantomData<&'a [u8]>);
/// Elements of a set, in byte order.
#[derive(Clone, Debug)]
pub struct SetIter<'a>(std::marker::PhantomData<&'a [u8]>);

impl<'a> ItemRef<'a> {
    /// Validates everything.
    pub fn check(_bytes: &'a [u8]) -> Result<ItemRef<'a>, Corrupt> {
        todo!()
    }
    /// Believes the bytes (they were checked before). Access to bad bytes gives wrong values, never a panic.
    pub fn trusted(bytes: &'a [u8]) -> ItemRef<'a> {
        ItemRef(bytes)
    }
    /// The item's bytes.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }
    /// The top level as a map.
    pub fn as_map(self) -> MapRef<'a> {
        todo!()
    }
    /// One attribute, by binary search.
    pub fn get(self, name: &str) -> Option<ValueRef<'a>> {
        self.as_map().get(name)
    }
    /// One attribute's encoded value bytes (tag and payload), by binary search.
    pub fn get_encoded(self, name: &str) -> Option<&'a [u8]> {
        self.as_map().get_encoded(name)
    }
    /// How many attributes.
    pub fn len(self) -> usize {
        self.as_map().len()
    }
    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
    /// Attributes sorted by name.
    pub fn iter(self) -> MapIter<'a> {
        self.as_map().iter()
    }
    /// Bytes as DynamoDB charges them.
    pub fn charged_bytes(self) -> usize {
        todo!()
    }
}
impl<'a> IntoIterator for ItemRef<'a> {
    type Item = (&'a str, ValueRef<'a>);
    type IntoIter = MapIter<'a>;
    fn into_iter(self) -> MapIter<'a> {
        self.iter()
    }
}

impl<'a> MapRef<'a> {
    /// One attribute, by binary search.
    pub fn get(self, _name: &str) -> Option<ValueRef<'a>> {
        todo!()
    }
    /// One attribute's encoded value bytes (tag and payload).
    pub fn get_encoded(self, _name: &str) -> Option<&'a [u8]> {
        todo!()
    }
    /// How many attributes.
    pub fn len(self) -> usize {
        todo!()
    }
    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
    /// Attribute by rank in name order: name and encoded value bytes.
    pub fn entry(self, _index: usize) -> Option<(&'a str, &'a [u8])> {
        todo!()
    }
    /// Attributes sorted by name.
    pub fn iter(self) -> MapIter<'a> {
        todo!()
    }
}
impl<'a> ListRef<'a> {
    /// One element, in constant time.
    pub fn get(self, _index: usize) -> Option<ValueRef<'a>> {
        todo!()
    }
    /// One element's encoded value bytes.
    pub fn get_encoded(self, _index: usize) -> Option<&'a [u8]> {
        todo!()
    }
    /// How many elements.
    pub fn len(self) -> usize {
        todo!()
    }
    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
    /// Elements in order.
    pub fn iter(self) -> ListIter<'a> {
        todo!()
    }
}
impl<'a> SetRef<'a> {
    /// The elements' type.
    pub fn kind(self) -> SetKind {
        self.kind
    }
    /// How many elements, at least one.
    pub fn len(self) -> usize {
        let _ = self.body;
        todo!()
    }
    /// Whether there is none: never in a checked item.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
    /// One element's payload bytes, by rank in byte order.
    pub fn get(self, _index: usize) -> Option<&'a [u8]> {
        todo!()
    }
    /// Whether an element with this payload is in the set, by binary search.
    pub fn contains(self, _payload: &[u8]) -> bool {
        todo!()
    }
    /// Payload bytes of the elements (UTF-8, number bytes, or binary), in byte order.
    pub fn iter(self) -> SetIter<'a> {
        todo!()
    }
}
impl<'a> Iterator for MapIter<'a> {
    type Item = (&'a str, ValueRef<'a>);
    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}
impl<'a> Iterator for ListIter<'a> {
    type Item = ValueRef<'a>;
    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}
impl<'a> Iterator for SetIter<'a> {
    type Item = &'a [u8];
    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}

impl<'a> ValueRef<'a> {
    /// Validates a standalone value: tag byte and payload, nothing after it.
    pub fn check(_encoded: &'a [u8]) -> Result<ValueRef<'a>, Corrupt> {
        todo!()
    }
    /// Believes the bytes.
    pub fn trusted(_encoded: &'a [u8]) -> ValueRef<'a> {
        todo!()
    }
    /// `S`, `N`, `B`, `BOOL`, `NULL`, `M`, `L`, `SS`, `NS` or `BS`.
    pub fn type_name(self) -> &'static str {
        todo!()
    }
    /// Appends tag and payload.
    pub fn encode_to(self, _out: &mut Vec<u8>) {
        todo!()
    }
    /// Tag and payload.
    pub fn encode(self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_to(&mut out);
        out
    }
    /// Bytes as DynamoDB charges them, without the attribute's name.
    pub fn charged_bytes(self) -> usize {
        todo!()
    }
    /// Order of two strings, two numbers or two binaries; None for everything else.
    pub fn compare(self, _other: ValueRef<'_>) -> Option<std::cmp::Ordering> {
        todo!()
    }
    /// Levels of maps and lists: 0 for a scalar or a set, 1 for `[]`.
    pub fn depth(self) -> usize {
        todo!()
    }
}
