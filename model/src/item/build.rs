//! Building items in one pass.
//!
//! ```text
//! calls  -->  gathered: entries of all open containers, in order of arrival
//! end_*  -->  the innermost container's entries are sorted and become one value of the container around it
//! finish -->  the same for the outermost, into the caller's buffer
//! ```
//!
//! 1. Every entry lies in `gathered` as it will lie in the item: name length, name, tag, payload. `entries` knows where.
//! 2. Closing a container sorts its entries (skipped when they came sorted), drops names that were given again, and
//!    puts the table before them. Each level of nesting costs its bytes one more copy; levels are bounded.
//! 3. The buffers stay for the next item: in steady state only `finish` allocates, the item itself.
//!
//! Promises: what is built passes `ItemRef::check`. Calls out of order are bugs of the caller and panic.

use std::fmt;

use base64::Engine as _;

use super::{
    ITEM_VERSION, ValueRef,
    body::{insert_header, push_header, push_name_length, split_entry},
    tag,
};
use crate::{
    error::ApiError,
    limits::NESTING_MAX,
    number::{Number, NumberError, NumberRef},
};

/// Element type of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetKind {
    /// Strings.
    Ss,
    /// Numbers.
    Ns,
    /// Binaries.
    Bs,
}

/// Why a value cannot be in an item. `Display` is DynamoDB's message; `ApiError::from` makes it a ValidationException.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemError {
    /// Not a number.
    Number(NumberError),
    /// More than 32 levels of maps and lists.
    Nesting,
    /// A set without elements.
    EmptySet(SetKind),
    /// A set of strings or binaries with an empty element.
    EmptyElement(SetKind),
    /// A set with an element twice. The elements as they were given, binaries in base64: `[a, b, a]`.
    Duplicates(SetKind, String),
}

/// Builds one item (or one standalone value) from a stream of calls, with names in any order; buffers are reused.
///
/// ```
/// # fn main() -> Result<(), model::item::ItemError> {
/// # let mut builder = model::item::ItemBuilder::new();
/// builder.begin_item();
/// builder.name("id");
/// builder.string("7")?;
/// builder.name("tags");
/// builder.begin_list()?;
/// builder.number("1")?;
/// builder.end_list();
/// let item = builder.finish();
/// # assert_eq!(model::item::ItemRef::check(&item).map(|item| item.len()), Ok(2));
/// # Ok(())
/// # }
/// ```
///
/// A name given twice: the last wins. After an error, or to give up, begin again.
#[derive(Debug, Default)]
pub struct ItemBuilder {
    /// Entries of all open containers, each as it will lie in the item.
    gathered: Vec<u8>,
    /// Where they begin, innermost container last.
    entries: Vec<Entry>,
    open: Vec<Container>,
    /// A container's body while its entries are put in order.
    ordered: Vec<u8>,
}

/// Where an entry lies in `gathered`.
#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u32,
    /// Known when its container closes.
    end: u32,
    /// The first 8 bytes of the key that it is sorted by, big-endian, so that most comparisons need no memory.
    prefix: u64,
}

#[derive(Clone, Copy, Debug)]
struct Container {
    kind: Kind,
    /// Its first byte in `gathered`.
    start: usize,
    /// Its first entry in `entries`.
    first_entry: usize,
    /// Whether a value must come next: a map has been given a name, or a standalone value is still missing.
    wants_value: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Item,
    Alone,
    Map,
    List,
    Set(SetKind),
}

impl ItemBuilder {
    /// A builder; call `begin_item` or `begin_value`.
    pub fn new() -> ItemBuilder {
        ItemBuilder::default()
    }

    /// Starts an item; drops whatever was unfinished.
    pub fn begin_item(&mut self) {
        self.begin(Kind::Item);
    }

    /// Starts a standalone value; drops whatever was unfinished.
    pub fn begin_value(&mut self) {
        self.begin(Kind::Alone);
    }

    /// The attribute's name; its value follows.
    pub fn name(&mut self, name: &str) {
        let container = self.open.last_mut().expect("begin_item comes first");
        assert!(matches!(container.kind, Kind::Item | Kind::Map), "only attributes of maps have names");
        assert!(!container.wants_value, "the last name has no value yet");
        container.wants_value = true;
        self.begin_entry();
        push_name_length(&mut self.gathered, name.len());
        self.gathered.extend_from_slice(name.as_bytes());
    }

    /// A string; inside a string set an element.
    pub fn string(&mut self, value: &str) -> Result<(), ItemError> {
        self.begin_scalar(tag::S, SetKind::Ss);
        self.gathered.extend_from_slice(value.as_bytes());
        self.end_scalar(!value.is_empty(), SetKind::Ss)
    }

    /// A number in DynamoDB's text form; inside a number set an element.
    pub fn number(&mut self, text: &str) -> Result<(), ItemError> {
        let number = Number::parse(text)?;
        self.number_ref(number.as_ref());
        Ok(())
    }

    /// A number that is one already; inside a number set an element.
    pub fn number_ref(&mut self, value: NumberRef<'_>) {
        self.begin_scalar(tag::N, SetKind::Ns);
        self.gathered.extend_from_slice(value.bytes());
    }

    /// A binary; inside a binary set an element.
    pub fn binary(&mut self, value: &[u8]) -> Result<(), ItemError> {
        self.begin_scalar(tag::B, SetKind::Bs);
        self.gathered.extend_from_slice(value);
        self.end_scalar(!value.is_empty(), SetKind::Bs)
    }

    /// A binary that is written in place (by a base64 decoder): `write` appends to the buffer that it is given.
    pub fn binary_with<E: From<ItemError>>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.begin_scalar(tag::B, SetKind::Bs);
        let start = self.gathered.len();
        write(&mut self.gathered)?;
        assert!(self.gathered.len() >= start, "`write` only appends");
        let is_some = self.gathered.len() > start;
        Ok(self.end_scalar(is_some, SetKind::Bs)?)
    }

    /// A boolean.
    pub fn bool(&mut self, value: bool) {
        self.begin_value_of(if value { tag::TRUE } else { tag::FALSE });
    }

    /// Null.
    pub fn null(&mut self) {
        self.begin_value_of(tag::NULL);
    }

    /// Copies a value that was checked before.
    pub fn value(&mut self, value: ValueRef<'_>) -> Result<(), ItemError> {
        if self.depth() + value.depth() > NESTING_MAX {
            return Err(ItemError::Nesting);
        }
        let (tag, payload) = value.parts();
        self.begin_value_of(tag);
        self.gathered.extend_from_slice(payload);
        Ok(())
    }

    /// Copies a value's encoded bytes (tag and payload) that were checked before.
    pub fn encoded(&mut self, encoded: &[u8]) -> Result<(), ItemError> {
        self.value(ValueRef::trusted(encoded))
    }

    /// Opens a map.
    pub fn begin_map(&mut self) -> Result<(), ItemError> {
        self.begin_container(tag::M, Kind::Map)
    }

    /// Closes it.
    pub fn end_map(&mut self) {
        let container = self.close(Kind::Map);
        let was_ordered = self.order_entries(container.first_entry, name_of);
        let was_unique = self.drop_repeated_names(container.first_entry);
        self.lay_down(container, was_ordered && was_unique);
    }

    /// Opens a list.
    pub fn begin_list(&mut self) -> Result<(), ItemError> {
        self.begin_container(tag::L, Kind::List)
    }

    /// Closes it.
    pub fn end_list(&mut self) {
        let container = self.close(Kind::List);
        self.set_ends(container.first_entry);
        self.lay_down(container, true);
    }

    /// Opens a set; its elements are calls of `string`, `number` or `binary`, each of the set's own type.
    pub fn begin_set(&mut self, kind: SetKind) {
        self.begin_value_of(match kind {
            SetKind::Ss => tag::SS,
            SetKind::Ns => tag::NS,
            SetKind::Bs => tag::BS,
        });
        self.open_container(Kind::Set(kind), false);
    }

    /// Closes it: at least one element, none twice.
    pub fn end_set(&mut self) -> Result<(), ItemError> {
        let kind = self.open.last().map(|container| container.kind);
        let Some(Kind::Set(kind)) = kind else { panic!("end_set closes a set, not {kind:?}") };
        let container = self.close(Kind::Set(kind));
        if container.first_entry == self.entries.len() {
            return Err(ItemError::EmptySet(kind));
        }
        let was_ordered = self.order_entries(container.first_entry, |element| element);
        let mut elements = self.entries[container.first_entry..].windows(2);
        if elements.any(|pair| pair[0].of(&self.gathered) == pair[1].of(&self.gathered)) {
            return Err(self.duplicates(kind, container.first_entry));
        }
        self.lay_down(container, was_ordered);
        Ok(())
    }

    /// Bytes gathered so far, a little more than the item will have: to bound memory while parsing.
    pub fn gathered_bytes(&self) -> usize {
        self.gathered.len()
    }

    /// The finished item or value.
    pub fn finish(&mut self) -> Vec<u8> {
        let table_estimate = 1 + 4 * (1 + self.entries.len());
        let mut out = Vec::with_capacity(1 + self.gathered.len() + table_estimate);
        self.finish_to(&mut out);
        out
    }

    /// The same, appended to a buffer.
    pub fn finish_to(&mut self, out: &mut Vec<u8>) {
        let container = self.open.pop().expect("finish comes after begin");
        assert!(self.open.is_empty(), "every container is closed before finish");
        assert!(!container.wants_value, "a name or a standalone value is without its value");
        match container.kind {
            Kind::Alone => out.extend_from_slice(&self.gathered),
            Kind::Item => {
                self.order_entries(container.first_entry, name_of);
                self.drop_repeated_names(container.first_entry);
                out.push(ITEM_VERSION);
                push_body(out, &self.gathered, &self.entries);
            }
            kind => panic!("{kind:?} is not closed"),
        }
        self.gathered.clear();
        self.entries.clear();
    }

    fn begin(&mut self, kind: Kind) {
        self.gathered.clear();
        self.entries.clear();
        self.open.clear();
        self.open_container(kind, kind == Kind::Alone);
    }

    fn open_container(&mut self, kind: Kind, wants_value: bool) {
        let (start, first_entry) = (self.gathered.len(), self.entries.len());
        self.open.push(Container { kind, start, first_entry, wants_value });
    }

    /// Maps and lists around the next value, the item itself not among them.
    fn depth(&self) -> usize {
        self.open.len().saturating_sub(1)
    }

    fn begin_entry(&mut self) {
        let start = u32::try_from(self.gathered.len()).expect("items are far below 4 GiB");
        self.entries.push(Entry { start, end: start, prefix: 0 });
    }

    /// A tag where a value may stand.
    fn begin_value_of(&mut self, tag: u8) {
        let container = self.open.last_mut().expect("begin_item or begin_value comes first");
        match container.kind {
            Kind::List => self.begin_entry(),
            Kind::Item | Kind::Map | Kind::Alone => {
                assert!(container.wants_value, "a name comes before its value");
                container.wants_value = false;
            }
            Kind::Set(kind) => panic!("a {kind:?} takes no value with tag {tag}"),
        }
        self.gathered.push(tag);
    }

    /// A string, number or binary: an element without a tag inside a set of that kind, else a value.
    fn begin_scalar(&mut self, tag: u8, element_of: SetKind) {
        if self.open.last().is_some_and(|container| container.kind == Kind::Set(element_of)) {
            return self.begin_entry();
        }
        self.begin_value_of(tag);
    }

    /// Values may be empty, elements may not.
    fn end_scalar(&self, is_some: bool, element_of: SetKind) -> Result<(), ItemError> {
        let is_element = self.open.last().is_some_and(|container| container.kind == Kind::Set(element_of));
        if is_element && !is_some { Err(ItemError::EmptyElement(element_of)) } else { Ok(()) }
    }

    fn begin_container(&mut self, tag: u8, kind: Kind) -> Result<(), ItemError> {
        if self.depth() == NESTING_MAX {
            return Err(ItemError::Nesting);
        }
        self.begin_value_of(tag);
        self.open_container(kind, false);
        Ok(())
    }

    /// Takes the innermost container off; its entries stay to be put in order.
    fn close(&mut self, kind: Kind) -> Container {
        let container = self.open.pop().expect("a container is open");
        assert_eq!(container.kind, kind, "containers close in the order in which they were opened");
        assert!(!container.wants_value, "the last name has no value yet");
        container
    }

    /// An entry ends where the one that arrived after it begins.
    fn set_ends(&mut self, first_entry: usize) {
        let mut end = u32::try_from(self.gathered.len()).expect("items are far below 4 GiB");
        for entry in self.entries[first_entry..].iter_mut().rev() {
            entry.end = end;
            end = entry.start;
        }
    }

    /// Sorts by key, then by arrival; true if they came that way.
    fn order_entries(&mut self, first_entry: usize, key: fn(&[u8]) -> &[u8]) -> bool {
        self.set_ends(first_entry);
        let gathered = &self.gathered;
        let entries = &mut self.entries[first_entry..];
        for entry in entries.iter_mut() {
            entry.prefix = prefix_of(key(entry.of(gathered)));
        }
        let order = |a: &Entry, b: &Entry| {
            let by_key = || key(a.of(gathered)).cmp(key(b.of(gathered)));
            a.prefix.cmp(&b.prefix).then_with(by_key).then(a.start.cmp(&b.start))
        };
        let was_ordered = entries.is_sorted_by(|a, b| order(a, b).is_lt());
        if !was_ordered {
            entries.sort_unstable_by(order);
        }
        was_ordered
    }

    /// Of sorted entries with one name only the last one stays; true if there was none to drop.
    fn drop_repeated_names(&mut self, first_entry: usize) -> bool {
        let name = |entry: Entry| name_of(entry.of(&self.gathered));
        let mut kept = first_entry;
        for index in first_entry..self.entries.len() {
            let entry = self.entries[index];
            let is_same = |before: Entry| before.prefix == entry.prefix && name(before) == name(entry);
            if kept > first_entry && is_same(self.entries[kept - 1]) {
                kept -= 1;
            }
            self.entries[kept] = entry;
            kept += 1;
        }
        let was_unique = kept == self.entries.len();
        self.entries.truncate(kept);
        was_unique
    }

    /// Makes the entries of a closed container into its body, where it began. `is_in_place`: they lie there without a gap.
    fn lay_down(&mut self, container: Container, is_in_place: bool) {
        let entries = &self.entries[container.first_entry..];
        if is_in_place {
            let ends = entries.iter().map(|entry| entry.end as usize - container.start);
            insert_header(&mut self.gathered, container.start, ends);
        } else {
            self.ordered.clear();
            push_body(&mut self.ordered, &self.gathered, entries);
            self.gathered.truncate(container.start);
            self.gathered.extend_from_slice(&self.ordered);
        }
        self.entries.truncate(container.first_entry);
    }

    fn duplicates(&mut self, kind: SetKind, first_entry: usize) -> ItemError {
        let entries = &mut self.entries[first_entry..];
        entries.sort_unstable_by_key(|entry| entry.start);
        let elements: Vec<String> =
            entries.iter().map(|entry| told(kind, entry.of(&self.gathered))).collect();
        ItemError::Duplicates(kind, format!("[{}]", elements.join(", ")))
    }
}

impl Entry {
    fn of(self, gathered: &[u8]) -> &[u8] {
        &gathered[self.start as usize..self.end as usize]
    }
}

impl From<NumberError> for ItemError {
    fn from(error: NumberError) -> ItemError {
        ItemError::Number(error)
    }
}

impl From<ItemError> for ApiError {
    fn from(error: ItemError) -> ApiError {
        ApiError::validation(error.to_string())
    }
}

impl fmt::Display for ItemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const INVALID: &str = "One or more parameter values were invalid:";
        match self {
            ItemError::Number(error) => error.fmt(f),
            ItemError::Nesting => f.write_str("Nesting Levels have exceeded supported limits"),
            ItemError::EmptySet(SetKind::Ss) => write!(f, "{INVALID} An string set  may not be empty"),
            ItemError::EmptySet(SetKind::Ns) => write!(f, "{INVALID} An number set  may not be empty"),
            ItemError::EmptySet(SetKind::Bs) => write!(f, "{INVALID} Binary sets should not be empty"),
            ItemError::EmptyElement(SetKind::Bs) => {
                write!(f, "{INVALID} Binary sets may not contain null or empty values")
            }
            ItemError::EmptyElement(_) => {
                write!(f, "{INVALID} An string set may not have a empty string as a member")
            }
            ItemError::Duplicates(SetKind::Ss, elements) => {
                write!(f, "{INVALID} Input collection {elements} contains duplicates.")
            }
            ItemError::Duplicates(SetKind::Ns, _) => f.write_str("Input collection contains duplicates"),
            ItemError::Duplicates(SetKind::Bs, elements) => {
                write!(f, "{INVALID} Input collection {elements}of type BS contains duplicates.")
            }
        }
    }
}

impl std::error::Error for ItemError {}

/// Entries in their order as one body.
fn push_body(out: &mut Vec<u8>, gathered: &[u8], entries: &[Entry]) {
    let entries_length = entries.iter().map(|entry| (entry.end - entry.start) as usize).sum();
    let ends = entries.iter().scan(0, |end, entry| {
        *end += (entry.end - entry.start) as usize;
        Some(*end)
    });
    push_header(out, entries.len(), entries_length, ends);
    for entry in entries {
        out.extend_from_slice(entry.of(gathered));
    }
}

/// Orders as the bytes do, and where two are equal the bytes must be looked at.
fn prefix_of(key: &[u8]) -> u64 {
    if let Some(first) = key.first_chunk() {
        return u64::from_be_bytes(*first);
    }
    let mut padded = [0; 8];
    padded[..key.len()].copy_from_slice(key);
    u64::from_be_bytes(padded)
}

fn name_of(entry: &[u8]) -> &[u8] {
    split_entry(entry).expect("the builder wrote the name").0
}

/// An element of a set as a message shows it.
fn told(kind: SetKind, element: &[u8]) -> String {
    match kind {
        SetKind::Ss => String::from_utf8_lossy(element).into_owned(),
        SetKind::Ns => NumberRef::trusted(element).to_string(),
        SetKind::Bs => base64::engine::general_purpose::STANDARD.encode(element),
    }
}
