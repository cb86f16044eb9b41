//! One shard's bytes on disk. Bytes in, bytes out: this crate has never heard of an item, a table or a vnode.
//!
//! Modules in reading order:
//!
//! - [`Error`]: what can go wrong, named with file and offset.
//! - [`log`]: the append-only stream of checksummed records that makes a write durable.
//! - [`tree`]: the LSM tree that the records' effects are applied to. In it: `batch` goes into the `memtable` (its bytes lie in an `arena`), that is
//!   flushed to an `sstable`, the `manifest` says which of these are the tree, `compaction` merges them; `version` is
//!   what a read sees, `view` and `scan` are how it looks, `estimate` how much there is, `cache` keeps blocks in memory, `scrub` says when what is at rest is read, `codec` has the integers.
//! - [`inspect`]: all of that looked at from outside, read-only: for `torc inspect` and for those who must repair.
//!
//! The life of one durable write, as this crate sees it:
//!
//! 1. The shard calls [`log::Log::append`] with a record: it is copied into the open batch and has a
//!    [`log::Position`].
//! 2. A writer closes the batch when the device has a slot free, and sends it as one aligned O_DSYNC write.
//! 3. When this write and all before it are done, [`log::Log::durable`] returns: the record survives a power cut.
//! 4. The shard applies the record's effects with [`Tree::apply`], to the memtable, and answers its client.
//! 5. Later the memtable is flushed to a table file, the manifest says so durably, and the shard calls
//!    [`log::Log::release`]: segments that nobody needs any more are recycled.
//! 6. After a crash the log replays what it holds; the tree knows what it has already, and the shard skips that.

#![forbid(unsafe_code)]

mod error;
#[doc(hidden)]
pub mod fuzzing;
pub mod inspect;
pub mod log;

pub mod tree;

mod arena;
mod batch;
mod cache;
mod codec;
mod compaction;
mod estimate;
mod manifest;
mod memtable;
#[doc(hidden)]
pub mod parts;
mod scan;
mod scrub;
mod sstable;
mod version;
mod view;

pub use arena::Arena;
pub use batch::{Direction, KEY_BYTES_MAX, Mark, Range, VALUE_BYTES_MAX, WriteBatch};
pub use error::Error;
pub use estimate::Estimate;
pub use scan::Scan;
pub use tree::{AgeRange, Budget, Compression, CorruptTable, Tree, TreeOptions, TreeStats};
pub use view::{READS_AT_ONCE_MAX, Value, View};
