//! The words of torc as pure values: numbers, items, keys, the ring, tables, errors, expressions.
//!
//! Nothing here does I/O, reads a clock or draws a random number, and nothing is unsafe. Modules in reading order:
//!
//! - [`limits`]: every limit of DynamoDB, by name.
//! - [`error`]: what a client is told when the answer is no.
//! - [`number`]: exact decimals, held in bytes whose order is the numeric order.
//! - [`item`]: the one encoding of items from router to disk and back, its readers and its builder.
//! - [`key`]: storage keys, tokens and the byte ranges of Query.
//! - [`ring`]: which vnode and which shard owns a token.
//! - [`table`]: a table's description; its record is an item.
//! - [`node`]: the nodes of a cluster. [`placement`]: which of them keep what, and what is to be moved.
//! - [`map`]: nodes, ring and tables together, what every router knows.
//! - [`expression`]: conditions, updates, projections and key conditions.
//!
//! The life of a PutItem, as this crate sees it:
//!
//! 1. The router's JSON parser calls an [`item::ItemBuilder`] as it reads, one pass, no tree; numbers become
//!    [`number::Number`]s at once. What cannot be in an item is an [`item::ItemError`] with DynamoDB's message.
//! 2. [`key::key_of_item`] finds the key by binary search and checks it against the [`table::Table`]'s schema.
//! 3. [`key::Token::of`] hashes the partition key, [`ring::Ring::owner`] names the vnode and its shard, and
//!    [`key::encode_key`] makes the storage key. Item, key and the condition's program travel as bytes.
//! 4. The shard checks the bytes once ([`item::ItemRef::check`]), evaluates the condition in place on the old item, and
//!    stores key and item as they are.
//! 5. A reader gets the same bytes back: [`item::ItemRef`] finds attributes without decoding the rest, and the router
//!    writes JSON from it.
#![forbid(unsafe_code)]

pub mod error;
pub mod expression;
pub mod item;
pub mod key;
pub mod limits;
pub mod map;
pub mod node;
pub mod number;
pub mod placement;
mod record;
pub mod ring;
pub mod table;

#[cfg(test)]
mod testing;
