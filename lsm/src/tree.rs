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
//! 3. The compactor merges levels, the remover frees files that no version and no view holds.
//! 4. A read takes one `State` (memtables and version) and goes through it from new to old.
//!
//! Promises: after a crash the tree holds, per stream, exactly the writes up to its flushed mark, batches whole. A
//! read gives what was written or an error, never something else. A full disk stops flushes and compactions but not
//! the tree: they are tried again by themselves. Any other failed write or sync is final ([`Error::Poisoned`]).
//! Leaves to others: durability of single writes (`log`), what keys mean (`shard`), waiting in [`Tree::ready`]
//! before writing more.

mod budget;
mod commit;
pub(crate) mod options;
mod pacer;
mod recovery;
mod remover;
mod scrubber;
#[cfg(test)]
mod tests;
mod work;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use runtime::sync::{Notify, Semaphore};
use runtime::{Mono, Runtime, Wall};

use self::budget::{OWED_MAX, Room};
use self::pacer::Pacing;

pub use self::budget::Budget;
pub use self::options::{AgeRange, Canary, Compression, CorruptTable, LEVEL_COUNT, TreeOptions, TreeStats};
use crate::Error;
use crate::batch::{Mark, WriteBatch};
use crate::compaction;
use crate::estimate::{self, Estimate};
use crate::manifest::Manifest;
use crate::memtable::Memtable;
use crate::sstable::file_name;
use crate::sstable::reader::{Tables, count};
use crate::version::{self, State};
use crate::view::{Pin, Value, View};

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
    /// The number of the next write when that was looked at last, and since when it is the same.
    quiet: Cell<(u64, Mono)>,
    /// There will be something to compact when nobody writes.
    rest_wanted: Cell<bool>,
    /// Inputs of the compaction that is running.
    busy: RefCell<BTreeSet<u64>>,
    /// Memtables that were flushed and are to be freed, not all at once and not by the last reader.
    retired: RefCell<Vec<Rc<Memtable>>>,
    /// SSTables that could not be read, and why.
    quarantine: RefCell<BTreeMap<u64, Error>>,
    /// SSTables of level 0 that wait for level 1.
    level0_count: Cell<usize>,
    /// What ages are measured against, if not the wall clock.
    horizon: Cell<Option<Wall>>,
    /// The last time that was given to an SSTable: they do not go back, whatever the clock does.
    newest: Cell<Wall>,
    /// Bytes that a compaction may write.
    room_bytes: Cell<u64>,
    /// Where outputs of compaction are best cut.
    cut: RefCell<Option<Cut>>,
    /// Something to do for the background tasks, or a reason to stop.
    work: Notify,
    /// Background work begins.
    pulse: Notify,
    /// An SSTable was set aside.
    suspicious: Notify,
    pacing: Pacing,
    /// Bytes that were applied and that no writer has waited for yet.
    unpaid: Cell<u64>,
    /// When all others will have taken their time.
    paid: Cell<Mono>,
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

/// A number for each key; where it changes, an SSTable is best cut.
type Cut = Rc<dyn Fn(&[u8]) -> u64>;

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
    tables_expired: Cell<u64>,
    scrub_bytes: Cell<u64>,
    scrub_passes: Cell<u64>,
    user_bytes: Cell<u64>,
    writer_waits: Cell<u64>,
    writer_stops: Cell<u64>,
    writer_wait_us: Cell<u64>,
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
    /// Back-pressure is smooth: nothing while flush and compaction keep up, then as long as the bytes applied since the
    /// last wait take at a rate that halves with each tenth of what may be owed (from 1 GiB to 1 MiB a second), and at the
    /// very end a wait. What is owed is the larger of two: how full the memtables are beyond half of their room, and
    /// where level 0 stands between `level0_tables_slow` and `level0_tables_stop`. [`Tree::budget`] shows it.
    ///
    /// Errors: [`Error::Poisoned`]; and instead of a wait that nobody would end, what keeps flush or compaction
    /// from working, [`Error::Full`] above all. That one goes away by itself.
    pub async fn ready(&self) -> Result<(), Error> {
        let inner = &self.inner;
        loop {
            let progress = inner.progress.notified();
            inner.check_poisoned()?;
            let owed = inner.room().owed();
            if owed < OWED_MAX {
                if let Some(pause) = inner.pay(owed) {
                    count(&inner.figures.writer_waits, 1);
                    count(&inner.figures.writer_wait_us, pause.as_micros() as u64);
                    inner.runtime.sleep(pause).await;
                }
                return Ok(());
            }
            if let Some(trouble) = inner.trouble() {
                return Err(trouble);
            }
            let before = inner.runtime.now();
            progress.await;
            count(&inner.figures.writer_stops, 1);
            count(&inner.figures.writer_wait_us, inner.runtime.now().since(before).as_micros() as u64);
        }
    }

    /// How much may be written now, how fast, and what the next wait would be: for whoever wants to slow down before.
    pub fn budget(&self) -> Budget {
        let room = self.inner.room();
        let owed = room.owed();
        let due = budget::due(self.inner.now_if(owed), self.inner.paid.get(), self.inner.unpaid.get(), owed);
        let delay = budget::pause(due.since(self.inner.now_if(owed))).unwrap_or_default();
        Budget { bytes: room.bytes(), bytes_per_second: budget::rate(owed), delay }
    }

    /// Tells how long something took that a client waited for, a durable write above all: compaction gives way when such
    /// latencies rise above what they are without it. The tree times its own gets.
    pub fn observe(&self, latency: Duration) {
        self.inner.pacing.observe(latency);
    }

    /// From now on ages are measured against this time instead of the wall clock: for a caller who does not trust the
    /// clock's jumps, or who keeps what somebody has not read yet.
    pub fn set_horizon(&self, horizon: Wall) {
        self.inner.horizon.set(Some(horizon));
        self.inner.work.notify_all();
    }

    /// Bytes that compaction may use beside what is there: a job that might need more is not begun. `u64::MAX` is no bound.
    pub fn set_room(&self, bytes: u64) {
        if self.inner.room_bytes.replace(bytes) < bytes {
            self.inner.work.notify_all();
        }
    }

    /// From now on compaction prefers to cut SSTables where `cut` changes from one key to the next, so that what lies
    /// between two cuts can be shipped or dropped as whole files. An SSTable that is still smaller than a quarter of its target size is
    /// not cut: data cannot come in more files than that.
    pub fn set_cut(&self, cut: impl Fn(&[u8]) -> u64 + 'static) {
        self.inner.cut.replace(Some(Rc::new(cut)));
    }

    /// The value of `key` now.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Value>, Error> {
        let inner = &self.inner;
        let (state, sequence) = inner.now();
        // One place that waits, with or without a sample: two would make every get's future twice as large.
        let begin = inner.pacing.samples_get().then(|| inner.runtime.now());
        let found = version::get(&state, key, sequence, inner.tables.identity).await;
        if let Some(begin) = begin {
            inner.pacing.observe(inner.runtime.now().since(begin));
        }
        found
    }

    /// The values of many keys at this moment, in their order, with many device reads in flight.
    ///
    /// Not timed for the pace of compaction, as [`Tree::get`] is: a batch takes as long as the slowest of its keys.
    pub async fn get_many(&self, keys: &[&[u8]]) -> Vec<Result<Option<Value>, Error>> {
        let (state, sequence) = self.inner.now();
        version::get_many(&state, keys, sequence, self.inner.tables.identity).await
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
        let _hurry = inner.pacing.hurry();
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
        let bytes = active.bytes();
        let next = active.apply(batch, mark, self.next_sequence.get());
        count(&self.unpaid, (active.bytes() - bytes) as u64);
        count(&self.figures.user_bytes, batch.bytes() as u64);
        self.next_sequence.set(next);
        self.rotate_if_full();
    }

    /// Closes the active memtable if it is full and another may wait for its flush.
    fn rotate_if_full(&self) {
        let is_due = {
            let state = self.state.borrow();
            let has_room = state.immutables.len() < self.options.immutables_max;
            has_room && state.active.bytes() >= self.options.memtable_bytes
        };
        if is_due {
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
        Rc::new(Memtable::new(self.options.memtable_bytes))
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
        let own = self.flush_trouble.borrow().clone().or_else(|| self.compaction_trouble.borrow().clone());
        own.or_else(|| self.quarantine.borrow().values().next().cloned())
    }

    /// What ages are measured against at this moment.
    fn age_now(&self) -> Wall {
        self.horizon.get().unwrap_or_else(|| self.runtime.wall())
    }

    /// A time for an SSTable that is about to be written: not before any that was given before.
    fn stamp(&self) -> Wall {
        let stamp = self.age_now().max(self.newest.get());
        self.newest.set(stamp);
        stamp
    }

    /// What there is room for before writers are slowed, or wait.
    fn room(&self) -> Room {
        let (state, options) = (self.state.borrow(), &self.options);
        Room {
            memtable_bytes: state.memtables().map(|memtable| memtable.bytes()).sum(),
            memtable_bytes_max: options.memtable_bytes * (options.immutables_max + 1),
            flushing_bytes: state.immutables.last().map_or(0, |memtable| memtable.bytes()),
            level0: self.level0_count.get(),
            level0_slow: options.level0_tables_slow,
            level0_stop: options.level0_tables_stop,
        }
    }

    /// Takes the bytes that were applied into account; gives how long the writer has to wait, if it is worth a wait. Writers
    /// that come together wait for each other's bytes as well, so that their number does not matter.
    fn pay(&self, owed: u64) -> Option<Duration> {
        let now = self.now_if(owed);
        let due = budget::due(now, self.paid.get(), self.unpaid.replace(0), owed);
        self.paid.set(due);
        budget::pause(due.since(now))
    }

    /// The clock, if it matters.
    fn now_if(&self, owed: u64) -> Mono {
        if owed == 0 { Mono(0) } else { self.runtime.now() }
    }

    /// How urgent compaction is, from 0 to 1000: all of it where writers begin to be slowed.
    fn compaction_pressure(&self) -> u64 {
        let (state, options) = (self.state.borrow(), &self.options);
        let due = compaction::level0_tables(options);
        let above = self.level0_count.get().saturating_sub(due);
        let level0 = budget::share(above, options.level0_tables_slow.saturating_sub(due));
        let debt = compaction::debt(&state.version.levels, options);
        level0.max(budget::share(debt as usize, options.debt_bytes_max as usize))
    }

    fn corrupt_tables(&self) -> Vec<CorruptTable> {
        let quarantine = self.quarantine.borrow();
        let path = |id: &u64| self.options.dir.join(file_name(*id));
        quarantine.iter().map(|(id, error)| CorruptTable::new(path(id), error)).collect()
    }

    fn stats(&self) -> TreeStats {
        let state = self.state.borrow().clone();
        let levels = &state.version.levels;
        let (cache_hits, cache_misses) = self.tables.cache.borrow().hits_and_misses();
        let (read, own) = (&self.tables.figures, &self.figures);
        let pace = self.pacing.figures();
        TreeStats {
            memtable_bytes: state.active.bytes(),
            immutables: state.immutables.len(),
            immutable_bytes: state.immutables.iter().map(|memtable| memtable.bytes()).sum(),
            aged_tables: levels[0].len() - self.level0_count.get(),
            level_tables: std::array::from_fn(|level| levels[level].len()),
            level_bytes: std::array::from_fn(|level| levels[level].iter().map(|table| table.meta.size).sum()),
            tables_pinned: self.tables.pinned.get(),
            freeing_bytes: self.tables.freeing_bytes.get(),
            dropped_ranges: state.version.drops.len()
                + state.memtables().map(|memtable| memtable.drops().len()).sum::<usize>(),
            views: self.tables.views.get(),
            sequence: self.next_sequence.get() - 1,
            cache_bytes: self.tables.cache.borrow().bytes(),
            cache_hits,
            cache_misses,
            reads: read.reads.get(),
            read_bytes: read.read_bytes.get(),
            reads_shared: read.reads_shared.get(),
            filter_negatives: read.filter_negatives.get(),
            filter_false_positives: read.filter_false_positives.get(),
            flushes: own.flushes.get(),
            flush_bytes: own.flush_bytes.get(),
            compactions: own.compactions.get(),
            tables_moved: own.tables_moved.get(),
            compaction_read_bytes: own.compaction_read_bytes.get(),
            compaction_write_bytes: own.compaction_write_bytes.get(),
            compaction_debt_bytes: compaction::debt(levels, &self.options),
            compaction_bytes_per_second_max: pace.compaction_rate,
            user_bytes: own.user_bytes.get(),
            writer_waits: own.writer_waits.get(),
            writer_stops: own.writer_stops.get(),
            writer_wait_us: own.writer_wait_us.get(),
            foreground_us_p99: pace.foreground_us_p99,
            foreground_us_p99_quiet: pace.foreground_us_p99_quiet,
            stall_us_max: pace.stall_us_max,
            slice_us_max: pace.slice_us_max,
            manifest_bytes: self.manifest_bytes.get(),
            full: matches!(self.trouble(), Some(Error::Full { .. })),
            retries: own.retries.get(),
            tables_expired: own.tables_expired.get(),
            scrub_bytes: own.scrub_bytes.get(),
            scrub_passes: own.scrub_passes.get(),
            corrupt: self.corrupt_tables(),
            poisoned: self.poisoned.borrow().as_ref().map(ToString::to_string),
        }
    }
}
