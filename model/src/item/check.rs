//! Validation of bytes from outside: after it, every reader tells the truth.

use std::fmt;

use super::{
    ITEM_VERSION, ItemRef, ValueRef,
    body::{Body, split_entry, width_for},
    tag,
};
use crate::{limits::NESTING_MAX, number::NumberRef};

/// What is wrong with bytes that should be an item, a value, a key or a record, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrupt {
    /// What was found.
    pub what: &'static str,
    /// Where the offending part begins, in the bytes that were checked.
    pub offset: usize,
}

impl Corrupt {
    /// `what` at `offset`.
    pub const fn new(what: &'static str, offset: usize) -> Corrupt {
        Corrupt { what, offset }
    }
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.offset)
    }
}

impl std::error::Error for Corrupt {}

impl<'a> ItemRef<'a> {
    /// Validates everything: version, tables, order, UTF-8, numbers, depth, and that the encoding is the canonical one.
    ///
    /// It does not look at sizes: a key's or an item's limit is the business of who stores it.
    pub fn check(bytes: &'a [u8]) -> Result<ItemRef<'a>, Corrupt> {
        match bytes {
            [ITEM_VERSION, body @ ..] => check_map(body, 1, 0)?,
            [] => return Err(Corrupt::new("an item without a byte", 0)),
            _ => return Err(Corrupt::new("an item of an unknown version", 0)),
        }
        Ok(ItemRef(bytes))
    }
}

impl<'a> ValueRef<'a> {
    /// Validates a standalone value: tag and payload, nothing after it.
    pub fn check(encoded: &'a [u8]) -> Result<ValueRef<'a>, Corrupt> {
        check_value(encoded, 0, 0)?;
        Ok(ValueRef::trusted(encoded))
    }
}

/// `offset` is where `encoded` begins; `depth` counts the maps and lists around it, the item itself not among them.
fn check_value(encoded: &[u8], offset: usize, depth: usize) -> Result<(), Corrupt> {
    let Some((tag, payload)) = encoded.split_first() else {
        return Err(Corrupt::new("a value without a tag", offset));
    };
    let inside = offset + 1;
    match *tag {
        tag::S => check_text(payload, inside),
        tag::N => check_number(payload, inside),
        tag::B => Ok(()),
        tag::FALSE | tag::TRUE | tag::NULL if payload.is_empty() => Ok(()),
        tag::FALSE | tag::TRUE | tag::NULL => Err(Corrupt::new("bytes after a value", inside)),
        tag::M | tag::L if depth == NESTING_MAX => Err(Corrupt::new("nesting deeper than 32 levels", offset)),
        tag::M => check_map(payload, inside, depth + 1),
        tag::L => check_body(payload, inside, |value, offset| check_value(value, offset, depth + 1)),
        tag::SS => check_set(payload, inside, |element, offset| {
            check_text(element, offset)?;
            check_not_empty(element, offset)
        }),
        tag::NS => check_set(payload, inside, check_number),
        tag::BS => check_set(payload, inside, check_not_empty),
        _ => Err(Corrupt::new("an unknown tag", offset)),
    }
}

fn check_map(bytes: &[u8], offset: usize, depth: usize) -> Result<(), Corrupt> {
    let mut before: Option<&[u8]> = None;
    check_body(bytes, offset, |entry, offset| {
        let Some((name, value)) = split_entry(entry) else {
            return Err(Corrupt::new("a bad attribute name", offset));
        };
        let value_offset = offset + entry.len() - value.len();
        check_text(name, value_offset - name.len())?;
        if before.replace(name).is_some_and(|before| before >= name) {
            return Err(Corrupt::new("attribute names out of order", offset));
        }
        check_value(value, value_offset, depth)
    })
}

fn check_set(
    bytes: &[u8],
    offset: usize,
    check: fn(&[u8], usize) -> Result<(), Corrupt>,
) -> Result<(), Corrupt> {
    let mut before: Option<&[u8]> = None;
    check_body(bytes, offset, |element, offset| {
        check(element, offset)?;
        match before.replace(element) {
            Some(before) if before >= element => Err(Corrupt::new("set elements out of order", offset)),
            _ => Ok(()),
        }
    })?;
    before.map(|_| ()).ok_or(Corrupt::new("an empty set", offset))
}

/// The table of a body, then `check(entry, its offset)` for each entry.
fn check_body<'a>(
    bytes: &'a [u8],
    offset: usize,
    mut check: impl FnMut(&'a [u8], usize) -> Result<(), Corrupt>,
) -> Result<(), Corrupt> {
    let Some(body) = Body::split(bytes) else {
        return Err(Corrupt::new("a table that does not fit", offset));
    };
    if body.width != width_for(body.count, body.entries.len()) {
        return Err(Corrupt::new("a table of the wrong width", offset));
    }
    let entries_offset = offset + bytes.len() - body.entries.len();
    let mut start = 0;
    for index in 0..body.count {
        let end = body.end(index);
        let Some(entry) = body.entries.get(start..end) else {
            return Err(Corrupt::new("an entry out of bounds", offset));
        };
        check(entry, entries_offset + start)?;
        start = end;
    }
    if start != body.entries.len() {
        return Err(Corrupt::new("bytes after the last entry", entries_offset + start));
    }
    Ok(())
}

fn check_text(bytes: &[u8], offset: usize) -> Result<(), Corrupt> {
    // Nearly all text is ASCII, and to see that takes a third of the instructions.
    if bytes.is_ascii() {
        return Ok(());
    }
    match str::from_utf8(bytes) {
        Ok(_) => Ok(()),
        Err(error) => Err(Corrupt::new("text that is not UTF-8", offset + error.valid_up_to())),
    }
}

fn check_number(bytes: &[u8], offset: usize) -> Result<(), Corrupt> {
    NumberRef::check(bytes).map(|_| ()).ok_or(Corrupt::new("bytes that are no number", offset))
}

fn check_not_empty(bytes: &[u8], offset: usize) -> Result<(), Corrupt> {
    if bytes.is_empty() { Err(Corrupt::new("an empty set element", offset)) } else { Ok(()) }
}
