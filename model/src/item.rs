//! Items: one encoding from router to disk and back (FORMAT.md "Item").
//!
//! ```text
//! version | width count end[count] | name value, name value, ..  sorted by name
//! ```
//!
//! 1. An [`ItemBuilder`] takes a stream of calls from the JSON parser and lays the item down in one pass.
//! 2. [`ItemRef::check`] validates bytes from outside once; from then on a `&[u8]` is an item.
//! 3. Readers ([`ItemRef`], [`MapRef`], [`ListRef`], [`SetRef`], [`ValueRef`]) find one attribute by binary search and
//!    one list element by its index, and decode nothing else.
//! 4. A [`Value`] is the owned tree, for the rare operation that takes an item apart and puts it together again.
//!
//! Promises: the encoding is canonical, so two items (or values) are equal exactly when their bytes are equal; reading
//! never panics, whatever the bytes; depth is bounded.
//! Leaves to others: which attributes a table wants (`key`), how large an item may be (`router`, `shard`).

mod body;
mod build;
mod check;
mod read;
mod value;

#[cfg(test)]
mod tests;

pub use build::{ItemBuilder, ItemError, SetKind};
pub use check::Corrupt;
pub use read::{ItemRef, ListIter, ListRef, MapIter, MapRef, SetIter, SetRef, ValueRef, string_bytes};
pub use value::Value;

/// The version of the encoding: an item's first byte.
pub const ITEM_VERSION: u8 = 1;

/// How deep readers follow nested values. Checked items stay at [`crate::limits::NESTING_MAX`]; an expression may hang
/// one such value into another before the result is refused.
const DEPTH_READ_MAX: usize = 2 * crate::limits::NESTING_MAX + 2;

/// The first byte of a value.
mod tag {
    pub const S: u8 = 1;
    pub const N: u8 = 2;
    pub const B: u8 = 3;
    pub const FALSE: u8 = 4;
    pub const TRUE: u8 = 5;
    pub const NULL: u8 = 6;
    pub const M: u8 = 7;
    pub const L: u8 = 8;
    pub const SS: u8 = 9;
    pub const NS: u8 = 10;
    pub const BS: u8 = 11;
}
