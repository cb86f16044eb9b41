//! Items: one encoding from router to disk and back.
//!
//! The encoding is canonical: two items (or values) are equal exactly when their bytes are equal.

mod build;
mod read;
mod value;

pub use build::{ItemBuilder, ItemError, SetKind};
pub use read::{Corrupt, ItemRef, ListIter, ListRef, MapIter, MapRef, SetIter, SetRef, ValueRef};
pub use value::Value;
