//! The tree: one shard's keys and values, in memory and on disk.
//!
//! ```text
//! apply --> active memtable --> immutables --> flush --> level 0 --> compaction --> level 1 .. 6
//!                                                 \                     /
//!                                                  manifest: one edit each
//! ```
//!
//! 1. [`Tree::apply`] puts a batch and its mark into the active memtable. There is no log here: the shard's log is the
//!    write-ahead log, and [`Tree::flushed_mark`] says from where on it is still needed.
//! 2. At `memtable_bytes` the memtable becomes immutable; the flusher writes it to a level 0 SSTable, syncs file and
//!    directory, and appends one edit with SSTable, marks and dropped ranges to the manifest (L1, L3).
//! 3. The compactor merges levels, the janitor removes files that no version and no view holds.
//! 4. A read takes one `State` (memtables and version) and goes through it from new to old.
//!
//! Promises: after a crash the tree holds, per stream, exactly the writes up to its flushed mark, batches whole. A
//! read gives what was written or an error, never something else. A full disk stops flushes and compactions but not
//! the tree: they are tried again by themselves. Any other failed write or sync is final ([`Error::Poisoned`]).
//! Leaves to others: durability of single writes (`log`), what keys mean (`shard`), waiting in [`Tree::ready`]
//! before writing more.

mod commit;
pub(crate) mod options;
mod recovery;
#[cfg(test)]
mod tests;
mod work;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use runtime::sync::{Notify, Semaphore};
use runtime::{Purpose, Runtime};

pub use self::options::{Canary, Compression, LEVEL_COUNT, TreeOptions, TreeStats};
use crate::Error;
use crate::batch::{Mark, WriteBatch};
use crate::compaction;
use crate::estimate::{self, Estimate};
use crate::manifest::Manifest;
use crate::memtable::Memtable;
use crate::sstable::reader::Tables;
use crate::version::State;
use crate::view::{Pin, Value, View};

/// Longest pause that back-pressure puts before a write, short of making it wait.
const PAUSE_MAX: Duration = Duration::from_millis(5);
/// Shorter pauses cost more than they help.
const PAUSE_MIN: Duration = Duration::from_micros(10);
/// Everything that may be owed, in thousandths.
const OWED_MAX: u64 = 1000;

/// One shard's tree. Cheap to clone; all clones are the same tree. Its background tasks end with the last clone.
pub struct Tree<R: Runtime> {
    inner: Rc<Inner<R>>,
    tasks: Rc<work::Tasks<R>>,
}

impl<R: Runtime> Clone for Tree<R> {
    fn clone(&self) -> Tree<R> {
        Tree { inner: self.inner.clone(), tasks: self.tasks.clone() }
    }
}

struct Inner<R: Runtime> {
    runtime: R,
    options: TreeOptions,
    tables: Rc<Tables<R>>,
    state: RefCell<Rc<State<R>>>,
    /// The number of the next write.
    next_sequence: Cell<u64>,
    next_file_id: Cell<u64>,
    /// Per stream, the highest index that was applied, flushed or not.
    applied: RefCell<BTreeMap<u64, u64>>,
    /// Per stream, the highest index that is durable; as in the manifest.
    flushed: RefCell<BTreeMap<u64, u64>>,
    /// Taken out while an edit is being written, by whoever holds the turn.
    manifest: RefCell<Option<Manifest<R>>>,
    manifest_turn: Semaphore,
    manifest_bytes: Cell<u64>,
    /// Inputs of the compaction that is running.
    busy: RefCell<BTreeSet<u64>>,
    /// Something to do for the background tasks, or a reason to stop.
    work: Notify,
    /// A flush or compaction ended, well or not.
    progress: Notify,
    /// A flush is durable, or there will be none any more.
    flush_done: Notify,
    closing: Cell<bool>,
    poisoned: RefCell<Option<Rc<str>>>,
    flush_trouble: RefCell<Option<Error>>,
    compaction_trouble: RefCell<Option<Error>>,
    figures: Figures,
}

/// Counted since the start.
#[derive(Default)]
struct Figures {
    flushes: Cell<u64>,
    flush_bytes: Cell<u64>,
    compactions: Cell<u64>,
    tables_moved: Cell<u64>,
    compaction_read_bytes: Cell<u64>,
    compaction_write_bytes: Cell<u64>,
    retries: Cell<u64>,
}

impl<R: Runtime> Tree<R> {
    /// Opens the tree in `options.dir`, or begins a new one there.
    ///
    /// After an unclean stop it holds what [`Tree::flushed_mark`] says; the caller applies the rest from its log.
    /// A tree whose files are missing or damaged is an [`Error::Corrupt`], and nothing is changed.
    pub async fn open(runtime: R, options: TreeOptions) -> Result<Tree<R>, Error> {
        let inner = Rc::new(recovery::recover(runtime, options).await?);
        let tasks = Rc::new(work::Tasks::start(&inner));
        Ok(Tree { inner, tasks })
    }

    /// Applies a batch to the memtable; reads see it at once. Durable when [`Tree::flushed_mark`] has reached `mark`.
    ///
    /// Each mark of a stream is above the one before: a batch with a mark that is applied already is a bug of the
    /// caller. Await [`Tree::ready`] first; what is applied without it is taken, but memory is then not bounded.
    pub fn apply(&self, batch: &WriteBatch, mark: Mark) {
        self.inner.apply(batch, Some(mark));
    }

    /// Waits until the tree can take more writes: the caller awaits this before it applies.
    ///
    /// Back-pressure is smooth: nothing while flush and compaction keep up, then a pause that grows with the square
    /// of what they owe up to 5 ms, and at the very end a wait. What is owed is the larger of two: how full the active
    /// memtable is while `immutables_max` others wait, and where level 0 stands between `level0_tables_slow` and
    /// `level0_tables_stop`.
    ///
    /// Errors: [`Error::Poisoned`]; and instead of a wait that nobody would end, what keeps flush or compaction
    /// from working, [`Error::Full`] above all. That one goes away by itself.
    pub async fn ready(&self) -> Result<(), Error> {
        let inner = &self.inner;
        loop {
            let progress = inner.progress.notified();
            inner.check_poisoned()?;
            let owed = inner.owed();
            if owed < OWED_MAX {
                let pause = PAUSE_MAX * (owed * owed) as u32 / (OWED_MAX * OWED_MAX) as u32;
                if pause >= PAUSE_MIN {
                    inner.runtime.sleep(pause).await;
                }
                return Ok(());
            }
            if let Some(trouble) = inner.trouble() {
                return Err(trouble);
            }
            progress.await;
        }
    }

    /// The value of `key` now.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Value>, Error> {
        let (state, sequence) = self.inner.now();
        state.get(key, sequence, self.inner.tables.identity).await
    }

    /// The tree as it is now, for as long as the view is kept.
    pub fn view(&self) -> View<R> {
        let (state, sequence) = self.inner.now();
        View::new(Pin::new(&self.inner.tables, self.inner.options.readahead_bytes), state, sequence)
    }

    /// Makes everything that was applied before this call durable.
    ///
    /// Errors: [`Error::Poisoned`], or why the flush has to be tried again, which the tree does by itself.
    pub async fn flush(&self) -> Result<(), Error> {
        let inner = &self.inner;
        let goal = inner.newest_memtable();
        loop {
            let progress = inner.progress.notified();
            let state = inner.state.borrow().clone();
            let waits = state.immutables.iter().any(|memtable| Rc::ptr_eq(memtable, &goal));
            let open = Rc::ptr_eq(&state.active, &goal);
            if !waits && (!open || goal.is_empty()) {
                return Ok(());
            }
            inner.check_poisoned()?;
            if open && state.immutables.len() < inner.options.immutables_max {
                inner.rotate();
            }
            if let Some(trouble) = inner.flush_trouble.borrow().clone() {
                return Err(trouble);
            }
            progress.await;
        }
    }

    /// Highest index of `stream` up to which everything is durable in SSTables; 0 if nothing is.
    pub fn flushed_mark(&self, stream: u64) -> u64 {
        self.inner.flushed.borrow().get(&stream).copied().unwrap_or(0)
    }

    /// Resolves when the next flush is durable, so that marks have moved and the log can be released; also when the
    /// tree stops and there will be none.
    pub async fn flush_done(&self) {
        let done = self.inner.flush_done.notified();
        if self.inner.check_poisoned().is_ok() && !self.inner.closing.get() {
            done.await;
        }
    }

    /// Drops all keys from `from` up to and without `to`; durable on return, with everything applied before.
    ///
    /// [`WriteBatch::drop_range`] is the form that belongs to a mark and that a replay repeats.
    pub async fn drop_range(&self, from: &[u8], to: &[u8]) -> Result<(), Error> {
        let mut batch = WriteBatch::new();
        batch.drop_range(from, to);
        self.inner.apply(&batch, None);
        self.flush().await
    }

    /// Flushes everything and ends the background tasks. Reads go on working; nothing may be applied any more.
    ///
    /// The tasks end also when the flush fails; then the error says what is not durable.
    pub async fn close(&self) -> Result<(), Error> {
        let flushed = self.flush().await;
        self.inner.closing.set(true);
        self.inner.notify_all();
        self.tasks.ended().await;
        flushed
    }

    /// How many keys there are from `from` up to and without `to`, and their bytes, about.
    ///
    /// Exact for keys that were put once; a key that was written again counts more than once, and a tombstone that has
    /// nothing left to hide takes one away, until compaction has merged them. Bytes are those of keys and values as they were put. The cost is a
    /// walk of the memtables and a few reads for each SSTable at an end of the range.
    pub async fn estimate(&self, from: &[u8], to: &[u8]) -> Result<Estimate, Error> {
        let (state, sequence) = self.inner.now();
        estimate::estimate(&self.inner.runtime, &state, sequence, from, to).await
    }

    /// Figures of this moment.
    pub fn stats(&self) -> TreeStats {
        self.inner.stats()
    }
}

impl<R: Runtime> Inner<R> {
    fn apply(&self, batch: &WriteBatch, mark: Option<Mark>) {
        assert!(!self.closing.get(), "nothing is applied to a tree that was closed");
        if let Some(mark) = mark {
            let before = self.applied.borrow_mut().insert(mark.stream, mark.index).unwrap_or(0);
            let (stream, index) = (mark.stream, mark.index);
            assert!(index > before, "stream {stream}: {index} is applied behind {before}");
        }
        let active = self.state.borrow().active.clone();
        let next = active.apply(batch, mark, self.next_sequence.get());
        self.next_sequence.set(next);
        let has_room = self.state.borrow().immutables.len() < self.options.immutables_max;
        if active.bytes() >= self.options.memtable_bytes && has_room {
            self.rotate();
        }
    }

    /// Closes the active memtable and opens another.
    fn rotate(&self) {
        let state = self.state.borrow().clone();
        assert!(!state.active.is_empty(), "an empty memtable has nothing to flush");
        let immutables = std::iter::once(&state.active).chain(&state.immutables).cloned().collect();
        self.set_state(State { active: self.new_memtable(), immutables, version: state.version.clone() });
        self.work.notify_all();
    }

    fn new_memtable(&self) -> Rc<Memtable> {
        let seed = self.runtime.random(Purpose::Hash);
        Rc::new(Memtable::new(self.options.memtable_bytes, seed))
    }

    fn set_state(&self, state: State<R>) {
        let old = self.state.replace(Rc::new(state));
        drop(old); // Not while the cell is borrowed: tables that go with it notify the janitor.
    }

    /// What a read sees that begins now.
    fn now(&self) -> (Rc<State<R>>, u64) {
        (self.state.borrow().clone(), self.next_sequence.get() - 1)
    }

    /// The memtable that holds the last write.
    fn newest_memtable(&self) -> Rc<Memtable> {
        let state = self.state.borrow();
        let newest = state.immutables.first().filter(|_| state.active.is_empty());
        newest.unwrap_or(&state.active).clone()
    }

    fn check_poisoned(&self) -> Result<(), Error> {
        match self.poisoned.borrow().as_ref() {
            Some(why) => Err(Error::Poisoned { why: why.clone() }),
            None => Ok(()),
        }
    }

    /// Nothing is written any more: what is on the disk is not known for sure.
    fn poison(&self, error: &Error) {
        self.poisoned.borrow_mut().get_or_insert_with(|| error.to_string().into());
        self.notify_all();
    }

    fn notify_all(&self) {
        self.work.notify_all();
        self.progress.notify_all();
        self.flush_done.notify_all();
    }

    fn is_stopping(&self) -> bool {
        self.closing.get() || self.poisoned.borrow().is_some()
    }

    /// What keeps background work from going on, if something does.
    fn trouble(&self) -> Option<Error> {
        self.flush_trouble.borrow().clone().or_else(|| self.compaction_trouble.borrow().clone())
    }

    /// How much flush and compaction owe, from 0 to [`OWED_MAX`], where writers wait.
    fn owed(&self) -> u64 {
        let state = self.state.borrow();
        let share = |part: usize, whole: usize| (part as u64 * OWED_MAX / whole.max(1) as u64).min(OWED_MAX);
        let options = &self.options;
        let waiting = state.immutables.len() >= options.immutables_max;
        let memtables = if waiting { share(state.active.bytes(), options.memtable_bytes) } else { 0 };
        let above = state.version.levels[0].len().saturating_sub(options.level0_tables_slow);
        memtables.max(share(above, options.level0_tables_stop - options.level0_tables_slow))
    }

    fn stats(&self) -> TreeStats {
        let state = self.state.borrow().clone();
        let levels = &state.version.levels;
        let (cache_hits, cache_misses) = self.tables.cache.borrow().hits_and_misses();
        let (read, own) = (&self.tables.figures, &self.figures);
        TreeStats {
            memtable_bytes: state.active.bytes(),
            immutables: state.immutables.len(),
            immutable_bytes: state.immutables.iter().map(|memtable| memtable.bytes()).sum(),
            level_tables: std::array::from_fn(|level| levels[level].len()),
            level_bytes: std::array::from_fn(|level| levels[level].iter().map(|table| table.meta.size).sum()),
            tables_pinned: self.tables.pinned.get(),
            dropped_ranges: state.version.drops.len()
                + state.memtables().map(|memtable| memtable.drops().len()).sum::<usize>(),
            views: self.tables.views.get(),
            sequence: self.next_sequence.get() - 1,
            cache_bytes: self.tables.cache.borrow().bytes(),
            cache_hits,
            cache_misses,
            reads: read.reads.get(),
            read_bytes: read.read_bytes.get(),
            filter_negatives: read.filter_negatives.get(),
            filter_false_positives: read.filter_false_positives.get(),
            flushes: own.flushes.get(),
            flush_bytes: own.flush_bytes.get(),
            compactions: own.compactions.get(),
            tables_moved: own.tables_moved.get(),
            compaction_read_bytes: own.compaction_read_bytes.get(),
            compaction_write_bytes: own.compaction_write_bytes.get(),
            compaction_debt_bytes: compaction::debt(levels, &self.options),
            manifest_bytes: self.manifest_bytes.get(),
            full: matches!(self.trouble(), Some(Error::Full { .. })),
            retries: own.retries.get(),
            poisoned: self.poisoned.borrow().as_ref().map(ToString::to_string),
        }
    }
}
