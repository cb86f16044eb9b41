//! Building items in one pass.

use crate::{
    item::ValueRef,
    number::{NumberError, NumberRef},
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
    /// A set with an element twice; for strings the elements as they were given, `[a, b, a]`.
    Duplicates(SetKind, String),
}
impl std::fmt::Display for ItemError {
    fn fmt(&self, _f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}
impl std::error::Error for ItemError {}
impl From<NumberError> for ItemError {
    fn from(e: NumberError) -> ItemError {
        ItemError::Number(e)
    }
}
impl From<ItemError> for crate::error::ApiError {
    fn from(e: ItemError) -> Self {
        crate::error::ApiError::validation(e.to_string())
    }
}

/// Builds one item (or one standalone value) from a stream of calls, in any order of names; buffers are reused.
///
///     builder.begin_item();
///     builder.name("id"); builder.string("7");
///     builder.name("tags"); builder.begin_list()?; builder.number("1")?; builder.end_list();
///     let bytes = builder.finish();
///
/// A name given twice: the last wins. Calls out of order (a value where a name must stand) are bugs and panic.
/// After an error, `begin_item` starts afresh.
#[derive(Debug, Default)]
pub struct ItemBuilder {}

impl ItemBuilder {
    /// A builder; call `begin_item` or `begin_value`.
    pub fn new() -> ItemBuilder {
        ItemBuilder::default()
    }
    /// Starts an item; drops whatever was unfinished.
    pub fn begin_item(&mut self) {
        todo!()
    }
    /// Starts a standalone value; drops whatever was unfinished.
    pub fn begin_value(&mut self) {
        todo!()
    }
    /// The attribute's name; a value follows.
    pub fn name(&mut self, _name: &str) {
        todo!()
    }
    /// A string; inside a string set an element.
    pub fn string(&mut self, _value: &str) -> Result<(), ItemError> {
        todo!()
    }
    /// A number in DynamoDB's text form.
    pub fn number(&mut self, _text: &str) -> Result<(), ItemError> {
        todo!()
    }
    /// A number that is one already.
    pub fn number_ref(&mut self, _value: NumberRef<'_>) -> Result<(), ItemError> {
        todo!()
    }
    /// A binary.
    pub fn binary(&mut self, _value: &[u8]) -> Result<(), ItemError> {
        todo!()
    }
    /// A binary written in place (base64 decoders): `write` appends to the buffer it is given and touches nothing before.
    pub fn binary_with<E: From<ItemError>>(
        &mut self,
        _write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        todo!()
    }
    /// A boolean.
    pub fn bool(&mut self, _value: bool) {
        todo!()
    }
    /// Null.
    pub fn null(&mut self) {
        todo!()
    }
    /// Copies a value.
    pub fn value(&mut self, _value: ValueRef<'_>) -> Result<(), ItemError> {
        todo!()
    }
    /// Copies a value's encoded bytes, which the caller knows to be good.
    pub fn encoded(&mut self, _encoded: &[u8]) -> Result<(), ItemError> {
        todo!()
    }
    /// Opens a map.
    pub fn begin_map(&mut self) -> Result<(), ItemError> {
        todo!()
    }
    /// Closes it.
    pub fn end_map(&mut self) {
        todo!()
    }
    /// Opens a list.
    pub fn begin_list(&mut self) -> Result<(), ItemError> {
        todo!()
    }
    /// Closes it.
    pub fn end_list(&mut self) {
        todo!()
    }
    /// Opens a set; elements are `string`, `number` or `binary` calls.
    pub fn begin_set(&mut self, _kind: SetKind) {
        todo!()
    }
    /// Closes it: at least one element, none twice.
    pub fn end_set(&mut self) -> Result<(), ItemError> {
        todo!()
    }
    /// Bytes gathered so far, to bound memory while parsing.
    pub fn gathered_bytes(&self) -> usize {
        todo!()
    }
    /// The finished item or value.
    pub fn finish(&mut self) -> Vec<u8> {
        todo!()
    }
    /// The same, appended to a buffer.
    pub fn finish_to(&mut self, _out: &mut Vec<u8>) {
        todo!()
    }
}
