//! The background tasks: flusher, compactor, janitor; `pacer` has the pulse, `remover` and `scrubber` themselves.
//!
//! Each looks for something to do, does it, and waits for a notice. What failed for lack of space, or because an input
//! could not be read, is tried again after a pause that doubles; what failed while writing poisons the tree.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use runtime::sync::select;
use runtime::{BLOCK_BYTES, Class, Runtime, Wall};

use super::Inner;
use super::commit::Change;
use super::pacer::{Pacer, pulse};
use super::remover::remover;
use super::scrubber::scrubber;
use crate::Error;
use crate::batch::Direction;
use crate::compaction::{self, Failure, Hooks, Inputs, Job, Kind, Situation};
use crate::memtable::{Memtable, MemtableCursor};
use crate::scan::{Merge, Source};
use crate::sstable::ahead::READS_AHEAD_MAX;
use crate::sstable::builder::BuilderOptions;
use crate::sstable::cursor::{LevelCursor, ReadPattern};
use crate::sstable::reader::{Table, count};
use crate::sstable::{TableMeta, file_name, filter, parse_file_name};
use crate::tree::options::LEVEL_COUNT;
use crate::version::Version;

/// The pause between two tries grows up to this many times the first.
const PAUSE_GROWTH_MAX: u32 = 64;
/// What a merge reads ahead in all its runs together, in transfers, ..
const MERGE_TRANSFERS_AHEAD: usize = 4;
/// .. as far as its reads are not smaller than this.
const MERGE_READ_MIN: usize = 32 << 10;
/// How long a flushed memtable that is still read waits until it is looked at again.
const FREE_PAUSE: Duration = Duration::from_millis(50);
/// Nobody writes if nobody has for so long: the compactor then gives space back, at a time that costs nobody anything.
pub(super) const REST: Duration = Duration::from_secs(1);
/// How long the compactor waits at least for the next SSTable to expire: a clock that stands still is no reason to spin ..
const AGE_WAIT_MIN: Duration = Duration::from_millis(10);
/// .. and at most: the wall clock may jump.
const AGE_WAIT_MAX: Duration = Duration::from_secs(60);

/// The tasks of one tree. Dropping them cancels them.
pub(super) struct Tasks<R: Runtime> {
    running: RefCell<Vec<R::Task<()>>>,
}

impl<R: Runtime> Tasks<R> {
    pub(super) fn start(inner: &Rc<Inner<R>>) -> Tasks<R> {
        let runtime = &inner.runtime;
        let flusher = runtime.spawn(Class::Compaction, flusher(inner.clone()));
        let compactor = runtime.spawn(Class::Compaction, compactor(inner.clone()));
        let janitor = runtime.spawn(Class::Background, janitor(inner.clone()));
        // In the class whose waits it measures.
        let pulse = runtime.spawn(Class::Foreground, pulse(inner.clone()));
        let scrubber = runtime.spawn(Class::Background, scrubber(inner.clone()));
        let remover = runtime.spawn(Class::Background, remover(inner.clone()));
        Tasks { running: RefCell::new(vec![flusher, compactor, janitor, pulse, scrubber, remover]) }
    }

    /// Resolves when all have ended, which they do once the tree is closing.
    pub(super) async fn ended(&self) {
        loop {
            let Some(task) = self.running.borrow_mut().pop() else { return };
            task.await;
        }
    }
}

/// Flushes immutables, oldest first.
async fn flusher<R: Runtime>(inner: Rc<Inner<R>>) {
    let mut pause = inner.options.retry_pause;
    loop {
        let work = inner.work.notified();
        if inner.is_stopping() {
            return;
        }
        let oldest = inner.state.borrow().immutables.last().cloned();
        let Some(oldest) = oldest else {
            work.await;
            continue;
        };
        let failure = inner.paced(&inner.pacing.flush, inner.flush_one(oldest)).await.err();
        // It may have grown over its size while this one was in its way.
        inner.rotate_if_full();
        inner.after(failure, &inner.flush_trouble, &mut pause).await;
        inner.flush_done.notify_all();
        // Before the next: else there would soon be one more than `immutables_max` says.
        inner.free_memtables().await;
    }
}

/// Runs compactions while some level is due.
async fn compactor<R: Runtime>(inner: Rc<Inner<R>>) {
    let mut pause = inner.options.retry_pause;
    loop {
        let work = inner.work.notified();
        if inner.is_stopping() {
            return;
        }
        let Some(chosen) = inner.choose().await else {
            match inner.until_next_age().into_iter().chain(inner.until_rest()).min() {
                Some(wait) => _ = select(work, inner.runtime.sleep(wait)).await,
                None => work.await,
            }
            continue;
        };
        let inputs: Vec<u64> = chosen.job.inputs.iter().chain(&chosen.job.below).copied().collect();
        let failure = inner.paced(&inner.pacing.compaction, inner.compact(chosen)).await.err();
        let failure = failure.and_then(|failure| inner.set_aside(&inputs, failure));
        inner.after(failure, &inner.compaction_trouble, &mut pause).await;
    }
}

/// Frees memtables that were flushed and still read then.
async fn janitor<R: Runtime>(inner: Rc<Inner<R>>) {
    loop {
        let work = inner.work.notified();
        if inner.is_stopping() {
            return;
        }
        let still_read = inner.free_memtables().await;
        if still_read {
            select(work, inner.runtime.sleep(FREE_PAUSE)).await;
        } else {
            work.await;
        }
    }
}

impl<R: Runtime> Inner<R> {
    /// What follows a try: nothing after success; else a pause before the next, or the end of all writing.
    async fn after(&self, failure: Option<Failure>, trouble: &RefCell<Option<Error>>, pause: &mut Duration) {
        let first = self.options.retry_pause;
        let error = match failure {
            None => {
                trouble.borrow_mut().take();
                *pause = first;
                self.progress.notify_all();
                self.work.notify_all();
                return;
            }
            Some(Failure::Stopped) => return,
            Some(Failure::Input(error) | Failure::Output(error @ Error::Full { .. })) => error,
            Some(Failure::Output(error)) => return self.poison(&error),
        };
        count(&self.figures.retries, 1);
        trouble.borrow_mut().replace(error);
        self.progress.notify_all();
        self.pause(*pause).await;
        *pause = (*pause * 2).min(first * PAUSE_GROWTH_MAX);
    }

    /// Frees the flushed memtables that no reader holds, a piece at a time; says whether some are still held. To free one at
    /// once takes milliseconds, and the last to hold it is as likely a client's read as a flush.
    async fn free_memtables(&self) -> bool {
        let retired = std::mem::take(&mut *self.retired.borrow_mut());
        for memtable in retired {
            match Rc::try_unwrap(memtable) {
                Ok(memtable) => {
                    for () in memtable.into_pieces() {
                        self.runtime.yield_now().await;
                    }
                }
                Err(held) => self.retired.borrow_mut().push(held),
            }
        }
        !self.retired.borrow().is_empty()
    }

    /// Sleeps, but not into the tree's end.
    pub(super) async fn pause(&self, duration: Duration) {
        let sleep = async {
            self.runtime.sleep(duration).await;
        };
        let stopping = async {
            loop {
                let work = self.work.notified();
                if self.is_stopping() {
                    return;
                }
                work.await;
            }
        };
        select(sleep, stopping).await;
    }

    /// Writes a memtable to level 0 and says so in the manifest.
    async fn flush_one(&self, memtable: Rc<Memtable>) -> Result<(), Failure> {
        let cursor = MemtableCursor::new(memtable.clone(), u64::MAX);
        let merge = Merge::new(vec![Source::Memtable(cursor)], Direction::Forward);
        let drops = memtable.drops().to_vec();
        let group = |key: &[u8]| self.options.age_group(key);
        let table_bytes = u64::MAX;
        let inputs = Inputs { merge, drops: &drops, deeper: None, table_bytes, group: &group, cut: None };
        let newest = self.stamp();
        let options = self.builder_options(0, memtable.last_sequence(), memtable.bytes() as u64);
        let (outputs, bytes) = self
            .write_tables(inputs, options, &self.pacing.flush, |outputs| Change {
                added: outputs.into_iter().map(|meta| (0, self.aged(meta, newest))).collect(),
                flushed: Some(memtable.clone()),
                ..Change::default()
            })
            .await?;
        let outputs_max = 1 + 2 * self.options.age_ranges.len();
        assert!(outputs <= outputs_max, "a flush has no size at which it ends a table");
        count(&self.figures.flushes, 1);
        count(&self.figures.flush_bytes, bytes);
        Ok(())
    }

    /// The next compaction, its inputs marked as busy.
    ///
    /// With the turn at the manifest: an edit that is under way may remove tables of the version that reads still see.
    async fn choose(&self) -> Option<Chosen<R>> {
        let _turn = self.manifest_turn.acquire(1).await;
        let version = self.state.borrow().version.clone();
        let sequence = self.manifest.borrow().as_ref()?.picture().last_sequence;
        let resting = self.quiet_for() >= REST;
        let mut situation = Situation {
            drops: &version.drops,
            options: &self.options,
            quarantined: &self.quarantine.borrow().keys().copied().collect(),
            now: self.age_now(),
            room_bytes: self.room_bytes.get(),
            resting,
        };
        let job = compaction::pick(&version.levels, &situation);
        situation.resting = true;
        let later = || compaction::pick(&version.levels, &situation).is_some();
        self.rest_wanted.set(job.is_none() && !resting && later());
        let job = job?;
        self.busy.borrow_mut().extend(job.inputs.iter().chain(&job.below));
        Some(Chosen { job, version, sequence })
    }

    async fn compact(&self, chosen: Chosen<R>) -> Result<(), Failure> {
        let compacted = self.compact_busy(chosen).await;
        self.busy.borrow_mut().clear();
        compacted
    }

    async fn compact_busy(&self, chosen: Chosen<R>) -> Result<(), Failure> {
        let Chosen { job, version, sequence } = chosen;
        let inputs = named(&version.levels[job.level], &job.inputs);
        let below =
            if job.below.is_empty() { Vec::new() } else { named(&version.levels[job.target], &job.below) };
        match job.kind {
            Kind::Move => return self.move_down(&inputs, job.target).await,
            Kind::Expire => return self.expire(job.inputs).await,
            Kind::Merge | Kind::Rewrite | Kind::Gather => {}
        }
        let read: u64 = inputs.iter().chain(&below).map(|table| table.meta.size).sum();
        let removed: Vec<u64> = job.inputs.iter().chain(&job.below).copied().collect();
        // Of one age range; what a merge takes into level 1 has no age any more.
        let newest = inputs.iter().filter_map(|table| table.meta.newest).max().filter(|_| job.target == 0);
        // What is gathered is not cut into small pieces again: they would be gathered for ever.
        let cut = self.cut.borrow().clone().filter(|_| job.target > 0);
        let merge_inputs = Inputs {
            merge: self.merge(job.level, inputs, below),
            drops: &version.drops,
            // A rewrite in level 0 has older writes beside it.
            deeper: (job.target > 0).then(|| &version.levels[job.target + 1..]),
            // What is gathered there is one SSTable, or level 0 would count more of them.
            table_bytes: if job.target == 0 && newest.is_none() {
                u64::MAX
            } else {
                self.options.table_bytes
            },
            group: &|_| 0,
            cut: cut.as_deref(),
        };
        let options = self.builder_options(job.target, sequence, read.min(self.options.table_bytes));
        let (_, bytes) = self
            .write_tables(merge_inputs, options, &self.pacing.compaction, |outputs| Change {
                added: outputs.into_iter().map(|meta| (job.target, TableMeta { newest, ..meta })).collect(),
                removed: removed.clone(),
                ..Change::default()
            })
            .await?;
        count(&self.figures.compactions, 1);
        count(&self.figures.compaction_read_bytes, read);
        count(&self.figures.compaction_write_bytes, bytes);
        Ok(())
    }

    /// Says that these SSTables are a level deeper.
    async fn move_down(&self, tables: &[Rc<Table<R>>], target: usize) -> Result<(), Failure> {
        let added = tables.iter().map(|table| (target, table.meta.clone())).collect();
        let change = Change { added, ..Change::default() };
        self.commit(change).await.map_err(Failure::Output)?;
        count(&self.figures.tables_moved, tables.len() as u64);
        Ok(())
    }

    /// Lets SSTables go that hold nothing but what has expired.
    async fn expire(&self, removed: Vec<u64>) -> Result<(), Failure> {
        let expired = removed.len() as u64;
        let change = Change { removed, ..Change::default() };
        self.commit(change).await.map_err(Failure::Output)?;
        count(&self.figures.tables_expired, expired);
        Ok(())
    }

    /// How long nobody has written, as far as that was looked at.
    fn quiet_for(&self) -> Duration {
        let (now, next) = (self.runtime.now(), self.next_sequence.get());
        let (before, since) = self.quiet.get();
        if before != next {
            self.quiet.set((next, now));
            return Duration::ZERO;
        }
        now.since(since)
    }

    /// How long it is until something can be done because nobody writes.
    fn until_rest(&self) -> Option<Duration> {
        self.rest_wanted.get().then(|| REST.saturating_sub(self.quiet_for()).max(AGE_WAIT_MIN))
    }

    /// How long it is until an SSTable expires or a window is over, if there are any with an age.
    fn until_next_age(&self) -> Option<Duration> {
        let version = self.state.borrow().version.clone();
        let now = self.age_now();
        let micros = |duration: Duration| (duration.as_micros() as u64).max(1);
        let next = |table: &Rc<Table<R>>| {
            let expires = compaction::expires(&table.meta, &self.options)?;
            let window = micros(compaction::age_of(&table.meta, &self.options)?.window);
            let over = (table.meta.newest?.0 / window + 1).saturating_mul(window);
            let wait = |time: u64| time.checked_sub(now.0).filter(|wait| *wait > 0);
            wait(over).into_iter().chain(wait(expires.0)).min()
        };
        let wait = version.levels[0].iter().filter_map(next).min()?;
        Some(Duration::from_micros(wait).clamp(AGE_WAIT_MIN, AGE_WAIT_MAX))
    }

    /// An SSTable that was flushed from an age range has the time of the flush.
    fn aged(&self, meta: TableMeta, newest: Wall) -> TableMeta {
        let newest = self.options.age_range(&meta.smallest).map(|_| newest);
        TableMeta { newest, ..meta }
    }

    /// If a job failed because one of its inputs cannot be read, that one is set aside and the failure is dealt with: the
    /// next job goes without it. Gives any other failure back.
    fn set_aside(&self, inputs: &[u64], failure: Failure) -> Option<Failure> {
        let Failure::Input(error) = failure else { return Some(failure) };
        let path = match &error {
            Error::Corrupt { path, .. } | Error::Io { path, .. } => path,
            _ => return Some(Failure::Input(error)),
        };
        let name = path.file_name().and_then(|name| name.to_str()).and_then(parse_file_name);
        match name.filter(|id| inputs.contains(id)) {
            Some(id) => {
                self.quarantine.borrow_mut().insert(id, error);
                self.suspicious.notify_all();
                count(&self.figures.retries, 1);
                None
            }
            None => Some(Failure::Input(error)),
        }
    }

    /// The inputs of a compaction as one, newest first.
    fn merge(&self, level: usize, inputs: Vec<Rc<Table<R>>>, below: Vec<Rc<Table<R>>>) -> Merge<R> {
        let mut runs: Vec<Vec<Rc<Table<R>>>> = match level {
            0 => inputs.into_iter().map(|table| vec![table]).collect(),
            _ => vec![inputs],
        };
        runs.push(below);
        let pattern = ReadPattern::whole(self.merge_read_bytes(runs.len()));
        let source = |tables| Source::Level(Box::new(LevelCursor::new(tables, pattern)));
        Merge::new(runs.into_iter().map(source).collect(), Direction::Forward)
    }

    /// Size of one read of a merge of so many runs. Each has several on their way, and all of them begin at once: clients' small
    /// writes and reads wait behind that.
    fn merge_read_bytes(&self, runs: usize) -> usize {
        let transfer = self.options.transfer_bytes;
        let share = MERGE_TRANSFERS_AHEAD * transfer / (READS_AHEAD_MAX * runs.max(1));
        (share - share % BLOCK_BYTES).clamp(MERGE_READ_MIN.min(transfer), transfer)
    }

    /// Runs a merge, commits what came out, and cleans up if nothing came of it. Gives the number of new tables and their bytes.
    async fn write_tables(
        &self,
        inputs: Inputs<'_, R>,
        options: BuilderOptions,
        pacer: &Pacer,
        change: impl FnOnce(Vec<TableMeta>) -> Change<R>,
    ) -> Result<(usize, u64), Failure> {
        let mut ids = Vec::new();
        let next_id = || self.next_file_id.replace(self.next_file_id.get() + 1);
        let stopped = || self.is_stopping();
        let spend = async |bytes| pacer.spend(&self.runtime, bytes).await;
        let hooks = Hooks { next_id: &next_id, stopped: &stopped };
        let written = match compaction::run(&self.tables, inputs, options, &mut ids, hooks, spend).await {
            Ok(outputs) => {
                let sizes = (outputs.len(), outputs.iter().map(|built| built.meta.size).sum());
                let (metas, readers) = outputs.into_iter().map(|built| (built.meta, built.reader)).unzip();
                self.commit(Change { readers, ..change(metas) })
                    .await
                    .map(|()| sizes)
                    .map_err(Failure::Output)
            }
            Err(failure) => Err(failure),
        };
        let may_be_named =
            matches!(&written, Err(Failure::Output(error)) if !matches!(error, Error::Full { .. }));
        if written.is_err() && !may_be_named {
            self.remove_files(&ids).await;
        }
        written
    }

    fn builder_options(&self, level: usize, drops_applied: u64, expected_bytes: u64) -> BuilderOptions {
        let state = self.state.borrow();
        let deepest = state.version.levels.iter().rposition(|level| !level.is_empty()).unwrap_or(0);
        BuilderOptions {
            level,
            block_bytes: self.options.block_bytes,
            partition_bytes: self.options.partition_bytes,
            transfer_bytes: self.options.transfer_bytes,
            compression: self.options.compression[level],
            filter_bits: filter::bits_per_key(level, deepest),
            // What lies higher up is merged soon: by then few have asked for it.
            keep: level > 0 && level >= deepest,
            drops_applied,
            expected_bytes,
        }
    }

    /// Removes files that nothing names. One that cannot be removed is an orphan for the next start.
    pub(super) async fn remove_files(&self, ids: &[u64]) {
        for id in ids {
            let _ = self.runtime.remove(&self.options.dir.join(file_name(*id))).await;
        }
    }
}

/// A compaction that was chosen.
struct Chosen<R: Runtime> {
    job: Job,
    version: Rc<Version<R>>,
    /// What is at or below it is in the version: writes in its tables, drops in its list.
    sequence: u64,
}

/// The tables with these ids, in the level's order.
fn named<R: Runtime>(level: &[Rc<Table<R>>], ids: &[u64]) -> Vec<Rc<Table<R>>> {
    let tables: Vec<_> = level.iter().filter(|table| ids.contains(&table.meta.id)).cloned().collect();
    assert_eq!(tables.len(), ids.len(), "a job names tables of its own version");
    tables
}

const _: () = assert!(LEVEL_COUNT >= 2);
