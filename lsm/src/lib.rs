//! One shard's bytes on disk.
#![forbid(unsafe_code)]

mod batch;
mod error;
mod scan;
pub mod tree;
mod view;

pub use batch::{Direction, KEY_BYTES_MAX, Mark, Range, VALUE_BYTES_MAX, WriteBatch};
pub use error::Error;
pub use scan::Scan;
pub use tree::{Compression, Tree, TreeOptions, TreeStats};
pub use view::{Value, View};
