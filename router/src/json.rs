//! JSON, read and written without a tree: RFC 8259 and nothing beside it.
//!
//! ```text
//! body --check UTF-8 once--> Reader --pull--> typed parameters, or an item straight into its encoding
//! item bytes --ItemRef--> writer --> the response's buffer
//! ```
//!
//! 1. [`reader`] pulls one token after the other out of a `&str`. It is strict: no comments, no trailing commas, no
//!    bare control characters, no lone surrogates, a depth that is bounded. It allocates only for strings with escapes.
//! 2. [`writer`] appends to a byte buffer, escapes what must be escaped, and nothing else.
//! 3. `scan` finds the end of what needs no escape, for both.
//! 4. [`attribute`] is DynamoDB's `{"S": "x"}` notation, in and out, over the item encoding of `model`.
//!
//! Promises: reading is one pass and linear in the bytes; recursion is bounded by [`DEPTH_MAX`]; no input panics.
//! Leaves to others: which member means what (`request`), and in which order errors are told (`operation`).

pub mod attribute;
pub mod reader;
mod scan;
pub mod writer;

pub use reader::{Kind, Malformed, Reader};

/// Depth of arrays and objects that a body may reach: 32 levels of attribute values take two each (`{"M": {"a": ...`),
/// and the request around them a few more.
pub const DEPTH_MAX: usize = 96;
