//! What clients feel of flush and compaction, and what these cost.
//!
//!     cargo run --release -p lsm --example compaction_speed -- [directory] [thousands of keys] [seconds]
//!
//! 1. *Mix*: half durable puts, half gets, from 32 clients at a fixed rate, each timed from when it was due; once in quiet, once
//!    while a loader overwrites so much beside them that compaction never rests.
//! 2. *Load*: all keys in the order of chance, then all of them again, as fast as the tree takes them; then it settles.
//!
//! Sketch: an operation costs one durable write, about 100 us. A block of compaction holds the core for some 20 us and a slice of
//! them for 100: so the p99 of the mix should grow by a few hundred microseconds, not by milliseconds. Write amplification
//! without the log: 1 for the flush, about 2 for level 1, and up to 5 for level 2 with a factor of 10 between them.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use lsm::log::{Identity, Log, LogOptions, Record};
use lsm::{Compression, Mark, Tree, TreeOptions, TreeStats, WriteBatch};
use runtime::real::{RealOptions, RealRuntime, run};
use runtime::sync::join_all;
use runtime::{Class, Runtime, Task as _};

const VALUE_BYTES: usize = 128;
const KEY_BYTES: usize = 16;
const CLIENTS: u64 = 32;
/// Operations a second of all clients.
const RATE: u64 = 8_000;
/// Puts a second of the loader, in batches.
const LOAD_RATE: u64 = 60_000;
const LOAD_BATCH: u64 = 256;
const LOADERS: u64 = 8;

#[derive(Clone)]
struct Plan {
    dir: PathBuf,
    keys: u64,
    duration: Duration,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().unwrap_or_else(|| "target".to_owned())).join("compaction-speed");
    let thousands: u64 = arguments.next().map_or(1000, |text| text.parse().expect("a number of keys"));
    let seconds = arguments.next().map_or(10.0, |text| text.parse().expect("a number of seconds"));
    let plan = Plan { dir: dir.clone(), keys: thousands * 1000, duration: Duration::from_secs_f64(seconds) };
    let cpu = core_affinity::get_core_ids().expect("the machine has cpus")[0].id;
    for part in ["mix", "load"] {
        #[expect(clippy::disallowed_methods, reason = "before the runtime is there")]
        std::fs::create_dir_all(&dir).expect("the directory can be made");
        let plan = plan.clone();
        let work = move |rt| measure(rt, plan.clone(), part);
        run(RealOptions::new(vec![cpu], &dir), work).expect("the runtime starts");
        std::fs::remove_dir_all(&dir).expect("the directory can be removed");
    }
}

async fn measure(rt: RealRuntime, plan: Plan, part: &'static str) {
    let memtable_bytes = if part == "mix" { 8 << 20 } else { 64 << 20 };
    let bench = Bench::open(rt, plan, memtable_bytes).await;
    match part {
        "mix" => bench.mix().await,
        _ => bench.load_twice().await,
    }
}

#[derive(Clone)]
struct Bench {
    rt: RealRuntime,
    plan: Plan,
    log: Log<RealRuntime>,
    tree: Tree<RealRuntime>,
    index: Rc<Cell<u64>>,
}

impl Bench {
    async fn open(rt: RealRuntime, plan: Plan, memtable_bytes: usize) -> Bench {
        let mut options = TreeOptions::new(plan.dir.join("tree"));
        options.memtable_bytes = memtable_bytes;
        options.level1_bytes = 4 * memtable_bytes as u64;
        options.table_bytes = memtable_bytes as u64;
        options.cache_bytes = 64 << 20;
        options.compression = [Compression::None; 7];
        let tree = Tree::open(rt.clone(), options).await.expect("the tree opens");
        let mut options = LogOptions::new(plan.dir.join("log"), Identity::default());
        options.record_bytes_max = 256 << 10;
        let (log, mut replay) = Log::open(rt.clone(), options).await.expect("the log opens");
        while replay.next().await.expect("the log is whole").is_some() {}
        let bench = Bench { rt, plan, log, tree, index: Rc::default() };
        bench.rt.spawn(Class::Background, bench.clone().release()).detach();
        bench
    }

    async fn release(self) {
        loop {
            self.tree.flush_done().await;
            self.log.release(|stream| self.tree.flushed_mark(stream));
            self.rt.yield_now().await;
        }
    }

    /// Durable puts of these keys.
    async fn put(&self, keys: impl Iterator<Item = u64>) {
        let mut batch = WriteBatch::new();
        let mut payload = Vec::new();
        for key in keys {
            let mut value = [0; VALUE_BYTES];
            value.chunks_mut(8).enumerate().for_each(|(at, chunk)| {
                chunk.copy_from_slice(&spread(key * 31 + at as u64 + self.index.get()).to_le_bytes());
            });
            batch.put(&name(key), &value);
            payload.extend_from_slice(&value);
        }
        self.tree.ready().await.expect("the tree takes writes");
        let begin = self.rt.now();
        let mark = Mark { stream: 1, index: self.index.get() + 1 };
        self.index.set(mark.index);
        let record = Record { kind: 1, stream: 1, term: 1, index: mark.index, payload: &payload };
        // Applied at once, in the order of their marks; a shard would wait until it is durable.
        self.tree.apply(&batch, mark);
        let position = self.log.append_when_ready(record).await.expect("the log appends");
        self.log.durable(position).await.expect("the log is written");
        self.tree.observe(self.rt.now().since(begin));
    }

    async fn mix(&self) {
        self.load(0).await;
        self.settle().await;
        self.timed("quiet").await;
        let beside = self.rt.spawn(Class::Foreground, self.clone().load_beside());
        let before = self.tree.stats();
        self.rt.sleep(Duration::from_secs(2)).await;
        self.timed("compaction").await;
        drop(beside);
        let stats = self.tree.stats();
        report(&stats, &before);
    }

    /// The mix at its rate; prints its latencies from when each operation was due.
    async fn timed(&self, what: &str) {
        let times: Rc<RefCell<Vec<u64>>> = Rc::default();
        let begin = self.rt.now();
        let total = RATE * self.plan.duration.as_millis() as u64 / 1000;
        let next = Rc::new(Cell::new(0));
        let clients = (0..CLIENTS).map(|_| {
            let (bench, next, times) = (self.clone(), next.clone(), times.clone());
            self.rt.spawn(Class::Foreground, async move {
                loop {
                    let turn = next.replace(next.get() + 1);
                    if turn >= total {
                        return;
                    }
                    let due = begin.after(Duration::from_nanos(turn * 1_000_000_000 / RATE));
                    let wait = due.since(bench.rt.now());
                    if !wait.is_zero() {
                        bench.rt.sleep(wait).await;
                    }
                    let key = zipf(spread(turn), bench.plan.keys);
                    if turn.is_multiple_of(2) {
                        bench.put(std::iter::once(key)).await;
                    } else {
                        assert!(bench.tree.get(&name(key)).await.expect("it reads").is_some());
                    }
                    times.borrow_mut().push(bench.rt.now().since(due).as_micros() as u64);
                }
            })
        });
        join_all(clients.collect::<Vec<_>>()).await;
        let mut times = times.take();
        times.sort_unstable();
        let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
        println!(
            "mix, {what:<10} {RATE}/s: p50 {} us, p99 {} us, p99.9 {} us, max {} us",
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0)
        );
    }

    async fn load_beside(self) {
        let begin = self.rt.now();
        for turn in 0.. {
            let due = begin.after(Duration::from_nanos(turn * LOAD_BATCH * 1_000_000_000 / LOAD_RATE));
            self.rt.sleep(due.since(self.rt.now())).await;
            self.put((0..LOAD_BATCH).map(|at| spread(turn * LOAD_BATCH + at) % self.plan.keys)).await;
        }
    }

    async fn load(&self, round: u64) {
        let next = Rc::new(Cell::new(0));
        let loaders = (0..LOADERS).map(|_| {
            let (bench, next) = (self.clone(), next.clone());
            self.rt.spawn(Class::Foreground, async move {
                while next.get() < bench.plan.keys {
                    let first = next.replace(next.get() + LOAD_BATCH);
                    let last = (first + LOAD_BATCH).min(bench.plan.keys);
                    bench.put((first..last).map(|at| permuted(at, round, bench.plan.keys))).await;
                }
            })
        });
        join_all(loaders.collect::<Vec<_>>()).await;
    }

    async fn load_twice(&self) {
        let before = TreeStats::default();
        for (round, what) in ["load", "overwrite", "settle"].iter().enumerate() {
            let begin = self.rt.now();
            if *what == "settle" {
                self.settle().await;
            } else {
                self.load(round as u64).await;
            }
            println!("{what:<10} {:>6.1} s", self.rt.now().since(begin).as_secs_f64());
        }
        let stats = self.tree.stats();
        report(&stats, &before);
        let data = self.plan.keys as f64 * (KEY_BYTES + VALUE_BYTES) as f64;
        println!("space      {:.2} times the data", stats.level_bytes.iter().sum::<u64>() as f64 / data);
    }

    async fn settle(&self) {
        self.tree.flush().await.expect("the tree flushes");
        let mut calm = 0;
        let mut before = 0;
        while calm < 30 {
            self.rt.sleep(Duration::from_millis(10)).await;
            let stats = self.tree.stats();
            let now = stats.compactions + stats.tables_moved;
            let calm_now = now == before && stats.compaction_debt_bytes == 0;
            calm = if calm_now { calm + 1 } else { 0 };
            before = now;
        }
    }
}

fn report(stats: &TreeStats, before: &TreeStats) {
    let user = (stats.user_bytes - before.user_bytes).max(1) as f64;
    let flushed = (stats.flush_bytes - before.flush_bytes) as f64;
    let compacted = (stats.compaction_write_bytes - before.compaction_write_bytes) as f64;
    println!(
        "writes     {:.2} of flush + {:.2} of compaction for each byte of {:.0} MB; levels {:?} MB",
        flushed / user,
        compacted / user,
        user / 1e6,
        stats.level_bytes.map(|bytes| bytes >> 20)
    );
    println!(
        "pauses     foreground kept waiting {} us at most, {} us by one block; writers slowed {} times, stopped {}, {} ms in all",
        stats.stall_us_max,
        stats.slice_us_max,
        stats.writer_waits,
        stats.writer_stops,
        stats.writer_wait_us / 1000
    );
    println!(
        "pace       p99 {} us, {} us when quiet; {} MB/s allowed; debt {} MB",
        stats.foreground_us_p99,
        stats.foreground_us_p99_quiet,
        stats.compaction_bytes_per_second_max >> 20,
        stats.compaction_debt_bytes >> 20
    );
}

fn name(key: u64) -> [u8; KEY_BYTES] {
    let mut name = [0; KEY_BYTES];
    name[8..].copy_from_slice(&key.to_be_bytes());
    name
}

fn spread(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Every key once, in an order that looks like chance: a step that shares no factor with the number of keys.
fn permuted(at: u64, round: u64, keys: u64) -> u64 {
    const STEP: u64 = 982_451_653;
    (at.wrapping_mul(STEP) + round * 17) % keys
}

/// About Zipf's law with an exponent of 1: each doubling of the rank is as likely as the one before.
fn zipf(chance: u64, keys: u64) -> u64 {
    let rank = (keys as f64).powf((chance >> 11) as f64 / (1u64 << 53) as f64) as u64;
    spread(rank) % keys
}
