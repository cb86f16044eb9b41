//! The tree: one shard's keys and values, in memory and on disk.

pub(crate) mod options;

use std::rc::Rc;

use runtime::Runtime;

pub use self::options::{Canary, Compression, LEVEL_COUNT, TreeOptions, TreeStats};
use crate::Error;
use crate::batch::{Mark, WriteBatch};
use crate::view::{Value, View};

/// One shard's tree. Cheap to clone; all clones are the same tree.
#[derive(Clone)]
pub struct Tree<R: Runtime> {
    inner: Rc<R>,
}

#[expect(unused_variables, clippy::unused_async, reason = "signatures first")]
impl<R: Runtime> Tree<R> {
    /// Opens the tree in `options.dir`, or begins a new one there.
    pub async fn open(runtime: R, options: TreeOptions) -> Result<Tree<R>, Error> {
        todo!()
    }

    /// Applies a batch to the memtable; reads see it at once. Durable when `flushed_mark` says so.
    pub fn apply(&self, batch: &WriteBatch, mark: Mark) {
        todo!()
    }

    /// Waits until the tree can take more writes: the caller awaits this before it applies.
    pub async fn ready(&self) -> Result<(), Error> {
        todo!()
    }

    /// The value of `key` now.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Value>, Error> {
        todo!()
    }

    /// The tree as it is now, for as long as the view is kept.
    pub fn view(&self) -> View<R> {
        todo!()
    }

    /// Makes everything that was applied before this call durable.
    pub async fn flush(&self) -> Result<(), Error> {
        todo!()
    }

    /// Highest index of `stream` up to which everything is durable in SSTables; 0 if nothing is.
    pub fn flushed_mark(&self, stream: u64) -> u64 {
        todo!()
    }

    /// Resolves when the next flush is durable, so that marks have moved and the log can be released.
    pub async fn flush_done(&self) {
        todo!()
    }

    /// Drops all keys from `from` up to and without `to`; durable on return. `WriteBatch::drop_range` is the form
    /// that belongs to a mark.
    pub async fn drop_range(&self, from: &[u8], to: &[u8]) -> Result<(), Error> {
        todo!()
    }

    /// Flushes everything and stops the background tasks.
    pub async fn close(&self) -> Result<(), Error> {
        todo!()
    }

    /// Figures of this moment.
    pub fn stats(&self) -> TreeStats {
        todo!()
    }
}
