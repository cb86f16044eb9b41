//! The words of torc as pure values: numbers, items, keys, the ring, tables, errors, expressions.
//!
//! Nothing here does I/O, reads a clock or draws a random number. Modules in reading order:
//!
//! - [`limits`]: every limit of DynamoDB, by name.
//! - [`error`]: what a client is told when the answer is no.
//! - [`number`]: exact decimals, held in bytes whose order is the numeric order.
//! - [`item`]: the one encoding of items from router to disk and back, its readers and its builder.
//! - [`key`]: storage keys, tokens and the byte ranges of Query.
//! - [`ring`]: which vnode and which shard owns a token.
//! - [`table`]: a table's description; its record is an item.
//! - [`map`]: ring and tables together, what every router knows.
//! - [`expression`]: conditions, updates, projections and key conditions.
#![forbid(unsafe_code)]

pub mod error;
pub mod expression;
pub mod item;
pub mod key;
pub mod limits;
pub mod map;
pub mod number;
mod record;
pub mod ring;
pub mod table;

#[cfg(test)]
mod testing;
