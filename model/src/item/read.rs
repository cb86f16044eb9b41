//! Reading items in place.

use std::cmp::Ordering;

use super::{
    DEPTH_READ_MAX, ITEM_VERSION, SetKind,
    body::{Body, split_entry},
    tag,
};
use crate::number::NumberRef;

/// An encoded item, read in place. Equality is that of the bytes, which is DynamoDB's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemRef<'a>(pub(super) &'a [u8]);

/// An encoded value, read in place. Equality is DynamoDB's: numbers by value, sets and maps regardless of order.
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
pub struct MapRef<'a>(pub(super) &'a [u8]);

/// A list inside an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListRef<'a>(pub(super) &'a [u8]);

/// A set inside an item; its elements are in byte order, which for numbers is numeric order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetRef<'a> {
    kind: SetKind,
    body: &'a [u8],
}

/// Attributes of a map, sorted by name.
#[derive(Clone, Debug)]
pub struct MapIter<'a>(Entries<'a>);

/// Elements of a list, in order.
#[derive(Clone, Debug)]
pub struct ListIter<'a>(Entries<'a>);

/// Elements of a set, in byte order.
#[derive(Clone, Debug)]
pub struct SetIter<'a>(Entries<'a>);

#[derive(Clone, Debug)]
struct Entries<'a> {
    body: Body<'a>,
    index: usize,
    /// Where the next entry begins: the last one's end.
    start: usize,
}

impl<'a> ItemRef<'a> {
    /// Believes the bytes, because they were checked before. Reading bad bytes gives wrong values, never a panic.
    pub fn trusted(bytes: &'a [u8]) -> ItemRef<'a> {
        ItemRef(bytes)
    }

    /// The item's bytes.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// The top level as a map.
    pub fn as_map(self) -> MapRef<'a> {
        match self.0 {
            [ITEM_VERSION, body @ ..] => MapRef(body),
            _ => MapRef(&[]),
        }
    }

    /// One attribute, by binary search.
    pub fn get(self, name: &str) -> Option<ValueRef<'a>> {
        self.as_map().get(name)
    }

    /// One attribute's encoded value (tag and payload), by binary search.
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

    /// Bytes of an item as DynamoDB charges them: attribute names plus values.
    ///
    /// At most `ITEM_BYTES_MAX` for an item in a table. Source: DynamoDB Developer Guide, "Item sizes and formats".
    pub fn charged_bytes(self) -> usize {
        self.as_map().entries_charged(0, 0)
    }

    /// Whether DynamoDB charges for more than `bytes`.
    ///
    /// It never charges for more bytes than the encoding has (the 3 of a map are its tag, width and count, the 1 of an
    /// entry its end), so an item that is short enough need not be counted.
    pub fn charges_more_than(self, bytes: usize) -> bool {
        self.0.len() > bytes && self.charged_bytes() > bytes
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
    pub fn get(self, name: &str) -> Option<ValueRef<'a>> {
        self.get_encoded(name).map(ValueRef::trusted)
    }

    /// One attribute's encoded value (tag and payload), by binary search.
    pub fn get_encoded(self, name: &str) -> Option<&'a [u8]> {
        let body = Body::trusted(self.0);
        let split = |entry: &'a [u8]| split_entry(entry).unwrap_or_default();
        let index = body.search(|entry| split(entry).0.cmp(name.as_bytes()))?;
        body.entry(index).map(|entry| split(entry).1)
    }

    /// How many attributes.
    pub fn len(self) -> usize {
        Body::trusted(self.0).count
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// An attribute by its rank in name order: name and encoded value.
    pub fn entry(self, index: usize) -> Option<(&'a str, &'a [u8])> {
        Body::trusted(self.0).entry(index).map(attribute)
    }

    /// Attributes sorted by name.
    pub fn iter(self) -> MapIter<'a> {
        MapIter(Entries::new(self.0))
    }

    fn entries_charged(self, per_entry: usize, depth: usize) -> usize {
        let entries = Entries::new(self.0).map(|entry| split_entry(entry).unwrap_or_default());
        entries.map(|(name, value)| per_entry + name.len() + charged(value, depth + 1)).sum()
    }
}

impl<'a> IntoIterator for MapRef<'a> {
    type Item = (&'a str, ValueRef<'a>);
    type IntoIter = MapIter<'a>;

    fn into_iter(self) -> MapIter<'a> {
        self.iter()
    }
}

impl<'a> ListRef<'a> {
    /// One element, in constant time.
    pub fn get(self, index: usize) -> Option<ValueRef<'a>> {
        self.get_encoded(index).map(ValueRef::trusted)
    }

    /// One element's encoded value (tag and payload).
    pub fn get_encoded(self, index: usize) -> Option<&'a [u8]> {
        Body::trusted(self.0).entry(index)
    }

    /// How many elements.
    pub fn len(self) -> usize {
        Body::trusted(self.0).count
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Elements in order.
    pub fn iter(self) -> ListIter<'a> {
        ListIter(Entries::new(self.0))
    }
}

impl<'a> IntoIterator for ListRef<'a> {
    type Item = ValueRef<'a>;
    type IntoIter = ListIter<'a>;

    fn into_iter(self) -> ListIter<'a> {
        self.iter()
    }
}

impl<'a> SetRef<'a> {
    /// The elements' type.
    pub fn kind(self) -> SetKind {
        self.kind
    }

    /// How many elements, at least one in a checked item.
    pub fn len(self) -> usize {
        Body::trusted(self.body).count
    }

    /// Whether there is none: never in a checked item.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// One element's payload, by its rank in byte order.
    pub fn get(self, index: usize) -> Option<&'a [u8]> {
        Body::trusted(self.body).entry(index)
    }

    /// Whether an element with this payload (UTF-8, number bytes, or binary) is in the set, by binary search.
    pub fn contains(self, payload: &[u8]) -> bool {
        Body::trusted(self.body).search(|element| element.cmp(payload)).is_some()
    }

    /// Payloads of the elements (UTF-8, number bytes, or binary), in byte order.
    pub fn iter(self) -> SetIter<'a> {
        SetIter(Entries::new(self.body))
    }

    /// One element as a value of its own.
    pub fn element(self, payload: &'a [u8]) -> ValueRef<'a> {
        match self.kind {
            SetKind::Ss => ValueRef::S(text(payload)),
            SetKind::Ns => ValueRef::N(NumberRef::trusted(payload)),
            SetKind::Bs => ValueRef::B(payload),
        }
    }
}

impl<'a> IntoIterator for SetRef<'a> {
    type Item = &'a [u8];
    type IntoIter = SetIter<'a>;

    fn into_iter(self) -> SetIter<'a> {
        self.iter()
    }
}

impl<'a> Entries<'a> {
    fn new(body: &'a [u8]) -> Entries<'a> {
        Entries { body: Body::trusted(body), index: 0, start: 0 }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.index >= self.body.count {
            return None;
        }
        let end = self.body.end(self.index);
        let entry = self.body.entries.get(self.start..end).unwrap_or_default();
        (self.index, self.start) = (self.index + 1, end);
        Some(entry)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let rest = self.body.count - self.index;
        (rest, Some(rest))
    }
}

impl<'a> MapIter<'a> {
    /// The next attribute's name and encoded value, as bytes: for who copies them and does not look into them.
    pub fn next_unread(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        self.0.next().map(|entry| split_entry(entry).unwrap_or_default())
    }

    /// The next attribute's name and encoded value.
    pub fn next_encoded(&mut self) -> Option<(&'a str, &'a [u8])> {
        self.0.next().map(attribute)
    }
}

impl<'a> ListIter<'a> {
    /// The next element's encoded value.
    pub fn next_encoded(&mut self) -> Option<&'a [u8]> {
        self.0.next()
    }
}

impl<'a> Iterator for MapIter<'a> {
    type Item = (&'a str, ValueRef<'a>);

    fn next(&mut self) -> Option<(&'a str, ValueRef<'a>)> {
        self.next_encoded().map(|(name, value)| (name, ValueRef::trusted(value)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<'a> Iterator for ListIter<'a> {
    type Item = ValueRef<'a>;

    fn next(&mut self) -> Option<ValueRef<'a>> {
        self.next_encoded().map(ValueRef::trusted)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<'a> Iterator for SetIter<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for MapIter<'_> {}
impl ExactSizeIterator for ListIter<'_> {}
impl ExactSizeIterator for SetIter<'_> {}

impl<'a> ValueRef<'a> {
    /// Believes the bytes of a standalone value, because they were checked before. Bad bytes give wrong values, never a
    /// panic.
    pub fn trusted(encoded: &'a [u8]) -> ValueRef<'a> {
        let Some((tag, payload)) = encoded.split_first() else { return ValueRef::Null };
        let set = |kind| SetRef { kind, body: payload };
        match *tag {
            tag::S => ValueRef::S(text(payload)),
            tag::N => ValueRef::N(NumberRef::trusted(payload)),
            tag::B => ValueRef::B(payload),
            tag::FALSE => ValueRef::Bool(false),
            tag::TRUE => ValueRef::Bool(true),
            tag::M => ValueRef::M(MapRef(payload)),
            tag::L => ValueRef::L(ListRef(payload)),
            tag::SS => ValueRef::Ss(set(SetKind::Ss)),
            tag::NS => ValueRef::Ns(set(SetKind::Ns)),
            tag::BS => ValueRef::Bs(set(SetKind::Bs)),
            _ => ValueRef::Null,
        }
    }

    /// `S`, `N`, `B`, `BOOL`, `NULL`, `M`, `L`, `SS`, `NS` or `BS`.
    pub fn type_name(self) -> &'static str {
        match self {
            ValueRef::S(_) => "S",
            ValueRef::N(_) => "N",
            ValueRef::B(_) => "B",
            ValueRef::Bool(_) => "BOOL",
            ValueRef::Null => "NULL",
            ValueRef::M(_) => "M",
            ValueRef::L(_) => "L",
            ValueRef::Ss(_) => "SS",
            ValueRef::Ns(_) => "NS",
            ValueRef::Bs(_) => "BS",
        }
    }

    /// The first byte of the value's encoding, and the rest.
    pub(crate) fn parts(self) -> (u8, &'a [u8]) {
        match self {
            ValueRef::S(text) => (tag::S, text.as_bytes()),
            ValueRef::N(number) => (tag::N, number.bytes()),
            ValueRef::B(bytes) => (tag::B, bytes),
            ValueRef::Bool(false) => (tag::FALSE, &[]),
            ValueRef::Bool(true) => (tag::TRUE, &[]),
            ValueRef::Null => (tag::NULL, &[]),
            ValueRef::M(map) => (tag::M, map.0),
            ValueRef::L(list) => (tag::L, list.0),
            ValueRef::Ss(set) => (tag::SS, set.body),
            ValueRef::Ns(set) => (tag::NS, set.body),
            ValueRef::Bs(set) => (tag::BS, set.body),
        }
    }

    /// Appends tag and payload.
    pub fn encode_to(self, out: &mut Vec<u8>) {
        let (tag, payload) = self.parts();
        out.push(tag);
        out.extend_from_slice(payload);
    }

    /// Tag and payload.
    pub fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 + self.parts().1.len());
        self.encode_to(&mut out);
        out
    }

    /// Bytes as DynamoDB charges them, without the attribute's name.
    pub fn charged_bytes(self) -> usize {
        let (tag, payload) = self.parts();
        charged_parts(tag, payload, 1)
    }

    /// Order of two strings, two numbers or two binaries; None for everything else.
    pub fn compare(self, other: ValueRef<'_>) -> Option<Ordering> {
        let ((tag, payload), (other_tag, other_payload)) = (self.parts(), other.parts());
        let is_ordered = tag == other_tag && matches!(tag, tag::S | tag::N | tag::B);
        is_ordered.then(|| payload.cmp(other_payload))
    }

    /// Levels of maps and lists: 0 for a scalar or a set, 1 for `[]`. Stops counting a little above twice the limit.
    pub fn depth(self) -> usize {
        let (tag, payload) = self.parts();
        depth_parts(tag, payload, 0)
    }
}

/// A string's UTF-8, not looked at; none for a value of another type.
pub fn string_bytes(encoded: &[u8]) -> Option<&[u8]> {
    match encoded {
        [tag::S, text @ ..] => Some(text),
        _ => None,
    }
}

/// A map's entry as name and encoded value.
fn attribute(entry: &[u8]) -> (&str, &[u8]) {
    let (name, value) = split_entry(entry).unwrap_or_default();
    (text(name), value)
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_default()
}

/// `depth` counts the values around this one, the item itself not among them.
fn charged(encoded: &[u8], depth: usize) -> usize {
    encoded.split_first().map_or(0, |(tag, payload)| charged_parts(*tag, payload, depth))
}

fn charged_parts(tag: u8, payload: &[u8], depth: usize) -> usize {
    const CONTAINER: usize = 3;
    const PER_ENTRY: usize = 1;
    match tag {
        tag::S | tag::B => payload.len(),
        tag::N => NumberRef::trusted(payload).charged_bytes(),
        tag::SS | tag::BS => Entries::new(payload).map(<[u8]>::len).sum(),
        tag::NS => Entries::new(payload).map(|element| NumberRef::trusted(element).charged_bytes()).sum(),
        tag::M | tag::L if depth > DEPTH_READ_MAX => CONTAINER,
        tag::M => CONTAINER + MapRef(payload).entries_charged(PER_ENTRY, depth),
        tag::L => {
            CONTAINER
                + Entries::new(payload).map(|value| PER_ENTRY + charged(value, depth + 1)).sum::<usize>()
        }
        _ => 1,
    }
}

fn depth_parts(tag: u8, payload: &[u8], above: usize) -> usize {
    if !matches!(tag, tag::M | tag::L) || above > DEPTH_READ_MAX {
        return 0;
    }
    let value = |entry| if tag == tag::M { split_entry(entry).unwrap_or_default().1 } else { entry };
    let below =
        |entry| value(entry).split_first().map_or(0, |(tag, payload)| depth_parts(*tag, payload, above + 1));
    1 + Entries::new(payload).map(below).max().unwrap_or(0)
}
