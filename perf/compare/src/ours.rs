//! torc's log and tree, used as a shard uses them: append, wait until durable, wait for the tree's budget, apply.
//!
//! One executor on one cpu does everything: writers, the log's writes in flight, flushes and compactions. A writer is a task
//! with a stream of its own in the log, as a vnode has. Segments are released when a flush has covered them.

use std::cell::Cell;
use std::ops::{Bound, Range as Span};
use std::path::Path;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use lsm::log::{Identity, Log, LogOptions, Record};
use lsm::{Compression, Direction, Mark, Range, Tree, TreeOptions, WriteBatch};
use runtime::real::{RealOptions, RealRuntime};
use runtime::sync::join_all;
use runtime::{Class, Mono, Runtime, Task as _};

use crate::host;
use crate::keys::{Dice, Entries, KEY_BYTES, Values, Zipf, key};
use crate::outcome::{Outcome, Times, names};
use crate::settings::{BLOCK_BYTES, LEVEL_FACTOR, LEVEL0_TABLES, MEMTABLES_MAX, Settings};
use crate::workload::{LOAD_BATCH, LOAD_WRITERS, MIX_WORKERS, SCAN_ENTRIES, Step, Task};

/// For the report.
pub const DESCRIBED: &str = "log with O_DSYNC, several writes in flight, direct I/O throughout, Bloom filters of 10 bits at the bottom, \
     16 above it and 20 further up, no compression; one executor thread for everything, one task per writer";

type Tasks<T> = Vec<<RealRuntime as Runtime>::Task<T>>;

/// Streams: of loaders, then of writers.
const WRITERS_FROM: u64 = LOAD_WRITERS;

/// Does a step on a core of its own.
pub fn run(step: &Step) -> anyhow::Result<Outcome> {
    let (sender, outcomes) = mpsc::channel();
    let options = RealOptions::new(vec![step.cpu], &step.dir);
    let step = step.clone();
    runtime::real::run(options, move |rt| {
        let (step, sender) = (step.clone(), sender.clone());
        async move { sender.send(work(rt, &step).await).expect("somebody waits") }
    })?;
    outcomes.recv().context("no outcome")?
}

async fn work(rt: RealRuntime, step: &Step) -> anyhow::Result<Outcome> {
    let settings = Settings::of(step);
    let began = rt.now();
    let engine = Engine::open(&rt, &step.dir, &settings).await.map_err(plain)?;
    let values = Rc::new(Values::new(settings.value_bytes));
    let duration = Duration::from_secs_f64(step.sizes.seconds);
    let bench = Bench { rt, step: step.clone(), values, engine: engine.clone(), duration };
    match step.task {
        Task::Puts { writers } => bench.puts(writers as u64).await,
        Task::GetCached => bench.get_cached().await,
        Task::PrepareSet => bench.prepare_set().await,
        Task::GetUncached => bench.get_uncached(0).await,
        Task::GetAbsent => bench.get_uncached(step.sizes.set_keys).await,
        Task::Scan => bench.scan().await,
        Task::MixFlatOut => bench.mix(None).await,
        Task::MixPaced { rate } => bench.mix(Some(rate)).await,
        Task::Load => bench.load().await,
        Task::FillLog => bench.fill_log().await,
        Task::Reopen => bench.reopen(began).await,
    }
}

/// An error that may leave its core.
fn plain(error: lsm::Error) -> anyhow::Error {
    anyhow!("{error}")
}

/// Log and tree.
#[derive(Clone)]
struct Engine {
    rt: RealRuntime,
    log: Log<RealRuntime>,
    tree: Tree<RealRuntime>,
    /// By stream, the index of its last record.
    indexes: Rc<Vec<Cell<u64>>>,
    closing: Rc<Cell<bool>>,
}

impl Engine {
    /// Opens both, and applies what the log holds beyond the tree.
    async fn open(rt: &RealRuntime, dir: &Path, settings: &Settings) -> Result<Engine, lsm::Error> {
        let tree = Tree::open(rt.clone(), tree_options(dir, settings)).await?;
        let log_options = LogOptions::new(dir.join("log"), Identity { cluster: 1, node: 0, shard: 0 });
        let (log, mut replay) = Log::open(rt.clone(), log_options).await?;
        let streams = WRITERS_FROM + crate::workload::WRITERS as u64;
        let indexes: Vec<_> = (0..streams).map(|stream| Cell::new(tree.flushed_mark(stream))).collect();
        let mut batch = WriteBatch::new();
        while let Some((_, record)) = replay.next().await? {
            let applied = &indexes[record.stream as usize];
            if record.index > applied.get() {
                tree.ready().await?;
                fill(&mut batch, &record);
                tree.apply(&batch, Mark { stream: record.stream, index: record.index });
                applied.set(record.index);
            }
            if rt.should_yield() {
                rt.yield_now().await;
            }
        }
        let engine = Engine { rt: rt.clone(), log, tree, indexes: Rc::new(indexes), closing: Rc::default() };
        rt.spawn(Class::Background, engine.clone().release()).detach();
        Ok(engine)
    }

    /// Gives log segments back when a flush has covered them; until the engine is closed.
    async fn release(self) {
        while !self.closing.get() {
            self.tree.flush_done().await;
            self.log.release(|stream| self.tree.flushed_mark(stream));
        }
    }

    /// One durable batch; `payload` is how the log has it.
    async fn write(&self, stream: u64, batch: &WriteBatch, payload: &[u8]) {
        let mark = self.next_mark(stream);
        let record = Record { kind: 1, stream, term: 1, index: mark.index, payload };
        let begin = self.rt.now();
        let position = self.log.append_when_ready(record).await.expect("the log appends");
        self.log.durable(position).await.expect("the log is written");
        // As a shard does: compaction gives way when commits take longer.
        self.tree.observe(self.rt.now().since(begin));
        self.tree.ready().await.expect("the tree takes writes");
        self.tree.apply(batch, mark);
    }

    /// Ends well: nothing is left to replay.
    async fn close(&self) -> Result<(), lsm::Error> {
        self.closing.set(true);
        self.tree.close().await?;
        self.log.release(|stream| self.tree.flushed_mark(stream));
        self.log.close().await
    }

    fn next_mark(&self, stream: u64) -> Mark {
        let index = &self.indexes[stream as usize];
        index.set(index.get() + 1);
        Mark { stream, index: index.get() }
    }

    /// Flushes, and waits until compaction owes nothing and has done what it does when nobody writes.
    async fn settle(&self) {
        self.tree.flush().await.expect("the tree flushes");
        let mut calm = 0;
        let mut compactions = self.tree.stats().compactions;
        while calm < 150 {
            self.rt.sleep(Duration::from_millis(10)).await;
            let stats = self.tree.stats();
            let moved = std::mem::replace(&mut compactions, stats.compactions) != stats.compactions;
            let owes = stats.compaction_debt_bytes > 0 || stats.level_tables[0] >= LEVEL0_TABLES || stats.freeing_bytes > 0;
            calm = if moved || owes { 0 } else { calm + 1 };
        }
    }
}

fn tree_options(dir: &Path, settings: &Settings) -> TreeOptions {
    let mut options = TreeOptions::new(dir.join("tree"));
    options.memtable_bytes = settings.memtable_bytes;
    options.immutables_max = MEMTABLES_MAX - 1;
    options.block_bytes = BLOCK_BYTES;
    options.table_bytes = settings.table_bytes;
    options.cache_bytes = settings.cache_bytes;
    options.compression = [Compression::None; 7];
    options.level0_tables = LEVEL0_TABLES;
    options.level1_bytes = settings.level1_bytes;
    options.level_factor = LEVEL_FACTOR;
    options
}

/// How the log has puts: keys and values of fixed sizes, one after the other, behind the size of a value.
fn encode(entries: &Entries, batch: &mut WriteBatch, payload: &mut Vec<u8>) {
    batch.clear();
    payload.clear();
    for (key, value) in entries.iter() {
        if payload.is_empty() {
            payload.extend_from_slice(&(value.len() as u32).to_le_bytes());
        }
        payload.extend_from_slice(key);
        payload.extend_from_slice(value);
        batch.put(key, value);
    }
}

fn fill(batch: &mut WriteBatch, record: &Record<'_>) {
    let (size, entries) = record.payload.split_at(4);
    let size = u32::from_le_bytes(size.try_into().expect("four bytes")) as usize;
    batch.clear();
    for entry in entries.chunks_exact(KEY_BYTES + size) {
        batch.put(&entry[..KEY_BYTES], &entry[KEY_BYTES..]);
    }
}

/// What a lane writes with; keeps its memory.
#[derive(Default)]
struct Pen {
    entries: Entries,
    batch: WriteBatch,
    payload: Vec<u8>,
}

impl Pen {
    async fn write(
        &mut self,
        engine: &Engine,
        stream: u64,
        values: &Values,
        indexes: impl Iterator<Item = u64>,
    ) {
        self.entries.fill(values, indexes);
        encode(&self.entries, &mut self.batch, &mut self.payload);
        engine.write(stream, &self.batch, &self.payload).await;
    }
}

#[derive(Clone)]
struct Bench {
    rt: RealRuntime,
    step: Step,
    values: Rc<Values>,
    engine: Engine,
    duration: Duration,
}

impl Bench {
    async fn puts(&self, writers: u64) -> anyhow::Result<Outcome> {
        let sizes = &self.step.sizes;
        let warm_keys = sizes.warm_log_bytes / sizes.entry_bytes();
        self.load_range(0..warm_keys).await;
        self.engine.settle().await;
        let until = self.rt.now().after(self.duration);
        let next = Rc::new(Cell::new(warm_keys));
        let lane = |lane| {
            let (bench, next) = (self.clone(), next.clone());
            async move {
                let (mut times, mut pen) = (Times::default(), Pen::default());
                let mut sent = bench.rt.now();
                while sent < until {
                    let index = next.replace(next.get() + 1);
                    let stream = WRITERS_FROM + lane;
                    pen.write(&bench.engine, stream, &bench.values, std::iter::once(index)).await;
                    let done = bench.rt.now();
                    times.record(done.since(sent));
                    sent = done;
                }
                times
            }
        };
        let before = self.engine.log.stats();
        let outcome = self.lanes(writers, lane).await;
        let after = self.engine.log.stats();
        let records = (after.records - before.records) as f64 / (after.writes - before.writes).max(1) as f64;
        Ok(outcome.with("records_per_write", records))
    }

    async fn get_cached(&self) -> anyhow::Result<Outcome> {
        let keys = self.step.sizes.cached_keys;
        self.load_range(0..keys).await;
        self.engine.settle().await;
        for _ in 0..2 {
            for index in 0..keys {
                self.get(index).await;
            }
        }
        let before = self.engine.tree.stats().reads;
        let until = self.rt.now().after(self.duration);
        let outcome = self.lanes(1, |lane| self.clone().gets_until(until, lane, 0, keys)).await;
        Ok(outcome.with(names::READS_PER_GET, (self.engine.tree.stats().reads - before) as f64))
    }

    async fn prepare_set(&self) -> anyhow::Result<Outcome> {
        let began = self.rt.now();
        self.load_range(0..self.step.sizes.set_keys).await;
        self.engine.settle().await;
        self.engine.close().await.map_err(plain)?;
        Ok(Outcome::default().with(names::SECONDS, self.rt.now().since(began).as_secs_f64()))
    }

    /// Gets of keys of the set, or of as many that lie `beyond` it.
    async fn get_uncached(&self, beyond: u64) -> anyhow::Result<Outcome> {
        let sizes = &self.step.sizes;
        let depth = sizes.gets_in_flight as u64;
        let warm_until = self.rt.now().after(self.duration.mul_f64(0.5));
        self.lanes(depth, |lane| self.clone().gets_until(warm_until, lane + 1000, beyond, sizes.set_keys))
            .await;
        let before = self.engine.tree.stats().reads;
        let began = self.rt.now();
        let until = began.after(self.duration);
        let outcome =
            self.lanes(depth, |lane| self.clone().gets_until(until, lane, beyond, sizes.set_keys)).await;
        let reads = (self.engine.tree.stats().reads - before) as f64;
        let elapsed = self.rt.now().since(began).as_secs_f64();
        let gets = outcome.get(names::PER_SECOND).expect("times have a rate") * elapsed;
        Ok(outcome
            .with(names::READS_PER_GET, reads / gets)
            .with(names::WITHOUT_READ, (1.0 - reads / gets).max(0.0)))
    }

    async fn scan(&self) -> anyhow::Result<Outcome> {
        let depth = self.step.sizes.scans_in_flight as u64;
        let warm_until = self.rt.now().after(self.duration.mul_f64(0.5));
        self.lanes(depth, |lane| self.clone().scans_until(warm_until, lane + 1000)).await;
        let until = self.rt.now().after(self.duration);
        Ok(self.lanes(depth, |lane| self.clone().scans_until(until, lane)).await)
    }

    async fn scans_until(self, until: Mono, lane: u64) -> Times {
        let (mut times, mut dice) = (Times::default(), Dice::new(lane));
        let sizes = &self.step.sizes;
        let mut sent = self.rt.now();
        while sent < until {
            let from = Bound::Included(key(dice.below(sizes.set_keys)).to_vec());
            let range = Range { from, to: Bound::Unbounded };
            let mut scan = self.engine.tree.view().scan(range, Direction::Forward);
            let mut seen = 0;
            while seen < SCAN_ENTRIES {
                let Some((_, value)) = scan.next().await.expect("the tree scans") else { break };
                assert_eq!(value.len(), sizes.value_bytes);
                seen += 1;
            }
            let done = self.rt.now();
            times.record(done.since(sent));
            sent = done;
            if self.rt.should_yield() {
                self.rt.yield_now().await;
            }
        }
        times
    }

    /// Half gets, half puts; paced from the intended start, or flat out. A loader works beside it.
    async fn mix(&self, rate: Option<f64>) -> anyhow::Result<Outcome> {
        let sizes = &self.step.sizes;
        self.load_range(0..sizes.mix_keys).await;
        let seconds = rate.map_or(sizes.mix_seconds / 4.0, |_| sizes.mix_seconds);
        let next = Rc::new(Cell::new(0_u64));
        let before = host::io();
        let began = self.rt.now();
        let until = began.after(Duration::from_secs_f64(seconds));
        let pace = Pace { began, until, rate, zipf: Zipf::new(sizes.mix_keys) };
        let beside = self.rt.spawn(Class::Foreground, self.clone().load_beside());
        let outcome =
            self.lanes(MIX_WORKERS as u64, |lane| self.clone().mix_lane(pace, lane, next.clone())).await;
        drop(beside);
        let written = (host::io().write_bytes - before.write_bytes) as f64;
        Ok(outcome
            .with(names::ASKED_PER_SECOND, rate.unwrap_or(0.0))
            .with(names::WRITTEN_PER_SECOND, written / self.rt.now().since(began).as_secs_f64()))
    }

    async fn mix_lane(self, pace: Pace, lane: u64, next: Rc<Cell<u64>>) -> Times {
        let (mut times, mut pen, mut dice) = (Times::default(), Pen::default(), Dice::new(lane));
        loop {
            let turn = next.replace(next.get() + 1);
            let now = self.rt.now();
            let due = pace.due(turn, now);
            if due >= pace.until {
                return times;
            }
            if due > now {
                self.rt.sleep(due.since(now)).await;
            }
            let index = pace.zipf.draw(&mut dice);
            if dice.below(2) == 0 {
                self.get(index).await;
            } else {
                pen.write(&self.engine, WRITERS_FROM + lane, &self.values, std::iter::once(index)).await;
            }
            times.record(self.rt.now().since(due));
        }
    }

    /// Overwrites keys in durable batches at a fixed pace, so that compaction has something to do.
    async fn load_beside(self) {
        let sizes = &self.step.sizes;
        let began = self.rt.now();
        let (mut dice, mut pen) = (Dice::new(77), Pen::default());
        for turn in 0.. {
            let at = turn as f64 * LOAD_BATCH as f64 / sizes.mix_load_per_second as f64;
            let (due, now) = (began.after(Duration::from_secs_f64(at)), self.rt.now());
            if due > now {
                self.rt.sleep(due.since(now)).await;
            }
            let indexes: Vec<u64> = (0..LOAD_BATCH).map(|_| dice.below(sizes.mix_keys)).collect();
            pen.write(&self.engine, 0, &self.values, indexes.into_iter()).await;
        }
    }

    async fn load(&self) -> anyhow::Result<Outcome> {
        let sizes = &self.step.sizes;
        let user_bytes = (sizes.load_keys * sizes.entry_bytes()) as f64;
        let before = host::io();
        let mut outcome = Outcome::default();
        for name in [names::LOAD_SECONDS, names::OVERWRITE_SECONDS] {
            let began = self.rt.now();
            self.load_range(0..sizes.load_keys).await;
            outcome = outcome.with(name, self.rt.now().since(began).as_secs_f64());
        }
        let began = self.rt.now();
        self.engine.settle().await;
        let written = (host::io().write_bytes - before.write_bytes) as f64;
        let outcome = outcome
            .with(names::SETTLE_SECONDS, self.rt.now().since(began).as_secs_f64())
            .with(names::WRITE_AMPLIFICATION, written / (2.0 * user_bytes))
            .with(names::SPACE_AMPLIFICATION, host::disk_bytes(&self.step.dir) as f64 / user_bytes)
            .with(names::MEMORY_BYTES_MAX, host::memory_bytes_max() as f64);
        let gets = sizes.load_keys.min(20_000);
        let (before, mut dice) = (self.engine.tree.stats().reads, Dice::new(5));
        for _ in 0..gets {
            self.get(dice.below(sizes.load_keys)).await;
        }
        let reads = self.engine.tree.stats().reads - before;
        Ok(outcome.with(names::READS_PER_GET, reads as f64 / gets as f64))
    }

    /// Puts that are in the log and in a memtable, and nowhere else.
    async fn fill_log(&self) -> anyhow::Result<Outcome> {
        let puts = self.step.sizes.restart_puts();
        let (next, lanes) = (Rc::new(Cell::new(0)), crate::workload::WRITERS as u64);
        let tasks = (0..lanes).map(|lane| {
            let (bench, next) = (self.clone(), next.clone());
            self.rt.spawn(Class::Foreground, async move {
                let mut pen = Pen::default();
                while next.get() < puts {
                    let index = next.replace(next.get() + 1);
                    pen.write(&bench.engine, WRITERS_FROM + lane, &bench.values, std::iter::once(index))
                        .await;
                }
            })
        });
        let tasks: Tasks<()> = tasks.collect();
        join_all(tasks).await;
        ensure!(self.engine.tree.stats().flushes == 0, "all of it is in the log alone");
        Ok(Outcome::default())
    }

    async fn reopen(&self, began: Mono) -> anyhow::Result<Outcome> {
        let sizes = &self.step.sizes;
        let puts = sizes.restart_puts();
        self.get(puts - 1).await;
        let seconds = self.rt.now().since(began).as_secs_f64();
        for index in (0..puts).step_by(97) {
            self.get(index).await;
        }
        ensure!(self.engine.tree.get(&key(puts)).await.map_err(plain)?.is_none(), "a key that nobody wrote");
        Ok(Outcome::default()
            .with(names::SECONDS, seconds)
            .with(names::LOG_BYTES_PER_SECOND, sizes.restart_log_bytes as f64 / seconds))
    }

    /// Loads these keys in durable batches, by a few writers.
    async fn load_range(&self, indexes: Span<u64>) {
        let next = Rc::new(Cell::new(indexes.start));
        let tasks = (0..LOAD_WRITERS).map(|lane| {
            let (bench, next, end) = (self.clone(), next.clone(), indexes.end);
            self.rt.spawn(Class::Foreground, async move {
                let mut pen = Pen::default();
                while next.get() < end {
                    let first = next.replace(next.get() + LOAD_BATCH);
                    let batch = first..(first + LOAD_BATCH).min(end);
                    pen.write(&bench.engine, lane, &bench.values, batch).await;
                }
            })
        });
        let tasks: Tasks<()> = tasks.collect();
        join_all(tasks).await;
    }

    async fn gets_until(self, until: Mono, lane: u64, beyond: u64, keys: u64) -> Times {
        let (mut times, mut dice) = (Times::default(), Dice::new(lane));
        let mut sent = self.rt.now();
        while sent < until {
            let index = beyond + dice.below(keys);
            if beyond == 0 {
                self.get(index).await;
            } else {
                let found = self.engine.tree.get(&key(index)).await.expect("the tree reads");
                assert!(found.is_none(), "a key that nobody wrote");
            }
            let done = self.rt.now();
            times.record(done.since(sent));
            sent = done;
            if self.rt.should_yield() {
                self.rt.yield_now().await;
            }
        }
        times
    }

    /// A get that must find what was written.
    async fn get(&self, index: u64) {
        let found = self.engine.tree.get(&key(index)).await.expect("the tree reads");
        assert!(
            found.is_some_and(|value| self.values.is_of(index, &value)),
            "torc: key {index} is lost or wrong"
        );
    }

    /// Runs lanes, a task each, and joins their times.
    async fn lanes<F: Future<Output = Times> + 'static>(
        &self,
        count: u64,
        lane: impl Fn(u64) -> F,
    ) -> Outcome {
        let began = self.rt.now();
        let tasks: Tasks<Times> =
            (0..count).map(|index| self.rt.spawn(Class::Foreground, lane(index))).collect();
        let mut all = Times::default();
        for times in join_all(tasks).await {
            all.add(&times);
        }
        all.outcome(self.rt.now().since(began))
    }
}

/// When operations of the mix are due.
#[derive(Clone, Copy)]
struct Pace {
    began: Mono,
    until: Mono,
    rate: Option<f64>,
    zipf: Zipf,
}

impl Pace {
    fn due(&self, turn: u64, now: Mono) -> Mono {
        self.rate.map_or(now, |rate| self.began.after(Duration::from_secs_f64(turn as f64 / rate)))
    }
}
