//! The peers: engines that block, driven by threads. One writer is one thread, as their users do it.

mod fjall;
mod rocks;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::contender::Contender;
use crate::host;
use crate::keys::{Dice, Entries, Key, Values, Zipf, key};
use crate::outcome::{Outcome, Times, names};
use crate::settings::Settings;
use crate::workload::{LOAD_BATCH, LOAD_WRITERS, MIX_WORKERS, SCAN_ENTRIES, Step, Task};

/// What an engine has to do. Errors end the process: a benchmark has nothing to save.
pub trait Peer: Sync + Send {
    /// Durable when it returns.
    fn put(&self, key: &Key, value: &[u8]);
    /// All or nothing. Durable when it returns, if so wanted; in the log without a sync otherwise.
    fn put_many(&self, entries: &Entries, durable: bool);
    /// Calls back with the value, if there is one.
    fn get(&self, key: &Key, found: &mut dyn FnMut(&[u8])) -> bool;
    /// Up to `count` entries from `from` up; returns how many there were.
    fn scan(&self, from: &Key, count: usize, each: &mut dyn FnMut(&[u8])) -> usize;
    /// Makes all before durable in the log.
    fn sync(&self);
    /// Flushes memtables and waits until background work has come to rest.
    fn settle(&self);
}

fn open(step: &Step, settings: &Settings) -> anyhow::Result<Arc<dyn Peer>> {
    Ok(match step.contender {
        Contender::RocksDb => Arc::new(rocks::Rocks::open(&step.dir, settings)?),
        Contender::Fjall => Arc::new(fjall::Fjall::open(&step.dir, settings)?),
        other => unreachable!("{} is no peer", other.name()),
    })
}

/// What a peer was told, for the report.
pub fn described(contender: Contender) -> &'static str {
    match contender {
        Contender::RocksDb => rocks::DESCRIBED,
        _ => fjall::DESCRIBED,
    }
}

/// Does a step. The process ends afterwards, so nothing is closed but where a set has to last.
pub fn run(step: &Step) -> anyhow::Result<Outcome> {
    let settings = Settings::of(step);
    let began = Instant::now();
    let peer = open(step, &settings)?;
    let values = Values::new(settings.value_bytes);
    let bench = Bench { step, values, peer, duration: Duration::from_secs_f64(step.sizes.seconds) };
    let outcome = match step.task {
        Task::Puts { writers } => bench.puts(writers as u64),
        Task::GetCached => bench.get_cached(),
        Task::PrepareSet => bench.prepare_set(),
        Task::GetUncached => bench.get_uncached(0),
        Task::GetAbsent => bench.get_uncached(step.sizes.set_keys),
        Task::Scan => bench.scan(),
        Task::MixFlatOut => bench.mix(None),
        Task::MixPaced { rate } => bench.mix(Some(rate)),
        Task::Load => bench.load(),
        Task::FillLog => bench.fill_log(),
        Task::Reopen => bench.reopen(began),
    }?;
    if step.task != Task::PrepareSet {
        std::mem::forget(bench.peer);
    }
    Ok(outcome)
}

struct Bench<'a> {
    step: &'a Step,
    values: Values,
    peer: Arc<dyn Peer>,
    duration: Duration,
}

impl Bench<'_> {
    fn puts(&self, writers: u64) -> anyhow::Result<Outcome> {
        let sizes = &self.step.sizes;
        let warm_keys = sizes.warm_log_bytes / sizes.entry_bytes();
        self.load_range(0..warm_keys, true);
        self.peer.settle();
        let until = Instant::now() + self.duration;
        let next = AtomicU64::new(warm_keys);
        let lane = |_| {
            let (mut times, mut value) = (Times::default(), Vec::new());
            let mut sent = Instant::now();
            while sent < until {
                let index = next.fetch_add(1, Ordering::Relaxed);
                self.values.fill(index, &mut value);
                self.peer.put(&key(index), &value);
                let done = Instant::now();
                times.record(done - sent);
                sent = done;
            }
            times
        };
        Ok(lanes(writers, lane))
    }

    fn get_cached(&self) -> anyhow::Result<Outcome> {
        let keys = self.step.sizes.cached_keys;
        self.load_range(0..keys, false);
        self.peer.settle();
        for _ in 0..2 {
            for index in 0..keys {
                self.get(index);
            }
        }
        let until = Instant::now() + self.duration;
        Ok(lanes(1, |lane| self.gets_until(until, Dice::new(lane), 0, keys)))
    }

    fn prepare_set(&self) -> anyhow::Result<Outcome> {
        let began = Instant::now();
        self.load_range(0..self.step.sizes.set_keys, false);
        self.peer.settle();
        Ok(Outcome::default().with(names::SECONDS, began.elapsed().as_secs_f64()))
    }

    /// Gets of keys of the set, or of as many that lie `beyond` it.
    fn get_uncached(&self, beyond: u64) -> anyhow::Result<Outcome> {
        let sizes = &self.step.sizes;
        let _forgetting = self.without_page_cache();
        let depth = sizes.gets_in_flight as u64;
        let warm_until = Instant::now() + self.duration.mul_f64(0.5);
        lanes(depth, |lane| self.gets_until(warm_until, Dice::new(lane + 1000), beyond, sizes.set_keys));
        let before = host::io();
        let until = Instant::now() + self.duration;
        let outcome = lanes(depth, |lane| self.gets_until(until, Dice::new(lane), beyond, sizes.set_keys));
        // One read call per device read: both peers read with pread.
        let reads = (host::io().read_calls - before.read_calls) as f64;
        let gets = outcome.get(names::PER_SECOND).expect("times have a rate") * self.duration.as_secs_f64();
        Ok(outcome
            .with(names::READS_PER_GET, reads / gets)
            .with(names::WITHOUT_READ, (1.0 - reads / gets).max(0.0)))
    }

    fn scan(&self) -> anyhow::Result<Outcome> {
        let sizes = &self.step.sizes;
        let _forgetting = self.without_page_cache();
        let scans = |until: Instant, mut dice: Dice| {
            let mut times = Times::default();
            let mut sent = Instant::now();
            while sent < until {
                let mut bytes = 0;
                let from = key(dice.below(sizes.set_keys));
                let seen = self.peer.scan(&from, SCAN_ENTRIES, &mut |value| bytes += value.len());
                assert!(seen == SCAN_ENTRIES && bytes == seen * sizes.value_bytes || seen < SCAN_ENTRIES);
                let done = Instant::now();
                times.record(done - sent);
                sent = done;
            }
            times
        };
        let depth = sizes.scans_in_flight as u64;
        let warm_until = Instant::now() + self.duration.mul_f64(0.5);
        lanes(depth, |lane| scans(warm_until, Dice::new(lane + 1000)));
        let until = Instant::now() + self.duration;
        Ok(lanes(depth, |lane| scans(until, Dice::new(lane))))
    }

    /// Half gets, half puts; paced from the intended start, or flat out. A loader works beside it.
    fn mix(&self, rate: Option<f64>) -> anyhow::Result<Outcome> {
        let sizes = &self.step.sizes;
        self.load_range(0..sizes.mix_keys, false);
        let seconds = rate.map_or(sizes.mix_seconds / 4.0, |_| sizes.mix_seconds);
        let zipf = Zipf::new(sizes.mix_keys);
        let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        let before = host::io();
        let began = Instant::now();
        let until = began + Duration::from_secs_f64(seconds);
        let lane = |lane| {
            let (mut times, mut value) = (Times::default(), Vec::new());
            let mut dice = Dice::new(lane);
            loop {
                let turn = next.fetch_add(1, Ordering::Relaxed);
                let due = rate
                    .map_or_else(Instant::now, |rate| began + Duration::from_secs_f64(turn as f64 / rate));
                if due >= until {
                    return times;
                }
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let index = zipf.draw(&mut dice);
                if dice.below(2) == 0 {
                    self.get(index);
                } else {
                    self.values.fill(index, &mut value);
                    self.peer.put(&key(index), &value);
                }
                times.record(due.elapsed());
            }
        };
        let outcome = std::thread::scope(|scope| {
            scope.spawn(|| self.load_beside(&stop));
            let outcome = lanes(MIX_WORKERS as u64, lane);
            stop.store(true, Ordering::Relaxed);
            outcome
        });
        let written = (host::io().write_bytes - before.write_bytes) as f64;
        Ok(outcome
            .with(names::ASKED_PER_SECOND, rate.unwrap_or(0.0))
            .with(names::WRITTEN_PER_SECOND, written / began.elapsed().as_secs_f64()))
    }

    /// Overwrites keys in durable batches at a fixed pace, so that compaction has something to do.
    fn load_beside(&self, stop: &AtomicBool) {
        let sizes = &self.step.sizes;
        let began = Instant::now();
        let (mut dice, mut entries) = (Dice::new(77), Entries::default());
        for turn in 0.. {
            let due = began
                + Duration::from_secs_f64(turn as f64 * LOAD_BATCH as f64 / sizes.mix_load_per_second as f64);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if stop.load(Ordering::Relaxed) {
                return;
            }
            entries.fill(&self.values, (0..LOAD_BATCH).map(|_| dice.below(sizes.mix_keys)));
            self.peer.put_many(&entries, true);
        }
    }

    fn load(&self) -> anyhow::Result<Outcome> {
        let sizes = &self.step.sizes;
        let user_bytes = (sizes.load_keys * sizes.entry_bytes()) as f64;
        let before = host::io();
        let mut outcome = Outcome::default();
        for name in [names::LOAD_SECONDS, names::OVERWRITE_SECONDS] {
            let began = Instant::now();
            self.load_range(0..sizes.load_keys, true);
            outcome = outcome.with(name, began.elapsed().as_secs_f64());
        }
        let began = Instant::now();
        self.peer.settle();
        let written = (host::io().write_bytes - before.write_bytes) as f64;
        let outcome = outcome
            .with(names::SETTLE_SECONDS, began.elapsed().as_secs_f64())
            .with(names::WRITE_AMPLIFICATION, written / (2.0 * user_bytes))
            .with(names::SPACE_AMPLIFICATION, host::disk_bytes(&self.step.dir) as f64 / user_bytes)
            .with(names::MEMORY_BYTES_MAX, host::memory_bytes_max() as f64);
        let _forgetting = self.without_page_cache();
        let gets = sizes.load_keys.min(20_000);
        let (before, mut dice) = (host::io(), Dice::new(5));
        for _ in 0..gets {
            self.get(dice.below(sizes.load_keys));
        }
        let reads = host::io().read_calls - before.read_calls;
        Ok(outcome.with(names::READS_PER_GET, reads as f64 / gets as f64))
    }

    /// Puts that are in the log and nowhere else.
    fn fill_log(&self) -> anyhow::Result<Outcome> {
        let mut entries = Entries::default();
        for index in 0..self.step.sizes.restart_puts() {
            entries.fill(&self.values, std::iter::once(index));
            self.peer.put_many(&entries, false);
        }
        self.peer.sync();
        Ok(Outcome::default())
    }

    fn reopen(&self, began: Instant) -> anyhow::Result<Outcome> {
        let sizes = &self.step.sizes;
        let puts = sizes.restart_puts();
        self.get(puts - 1);
        let seconds = began.elapsed().as_secs_f64();
        for index in (0..puts).step_by(97) {
            self.get(index);
        }
        ensure!(!self.peer.get(&key(puts), &mut |_| ()), "a key that nobody wrote");
        Ok(Outcome::default()
            .with(names::SECONDS, seconds)
            .with(names::LOG_BYTES_PER_SECOND, sizes.restart_log_bytes as f64 / seconds))
    }

    /// Loads these keys in batches, by a few writers.
    fn load_range(&self, indexes: Range<u64>, durable: bool) {
        let next = AtomicU64::new(indexes.start);
        let lane = || {
            let mut entries = Entries::default();
            loop {
                let first = next.fetch_add(LOAD_BATCH, Ordering::Relaxed);
                if first >= indexes.end {
                    return;
                }
                entries.fill(&self.values, first..(first + LOAD_BATCH).min(indexes.end));
                self.peer.put_many(&entries, durable);
            }
        };
        std::thread::scope(|scope| (0..LOAD_WRITERS).for_each(|_| _ = scope.spawn(lane)));
    }

    fn gets_until(&self, until: Instant, mut dice: Dice, beyond: u64, keys: u64) -> Times {
        let mut times = Times::default();
        let mut sent = Instant::now();
        while sent < until {
            let index = beyond + dice.below(keys);
            if beyond == 0 {
                self.get(index);
            } else {
                assert!(!self.peer.get(&key(index), &mut |_| ()), "a key that nobody wrote");
            }
            let done = Instant::now();
            times.record(done - sent);
            sent = done;
        }
        times
    }

    /// A get that must find what was written.
    fn get(&self, index: u64) {
        let mut sound = false;
        let found = self.peer.get(&key(index), &mut |value| sound = self.values.is_of(index, value));
        assert!(found && sound, "{}: key {index} is lost or wrong", self.step.contender.name());
    }

    /// For an engine without direct I/O: keeps its files out of the page cache while the guard lives.
    fn without_page_cache(&self) -> Option<Forgetting> {
        host::forget(&self.step.dir);
        (self.step.contender == Contender::Fjall).then(|| Forgetting::start(self.step.dir.clone()))
    }
}

/// Runs lanes, a thread each, and joins their times.
fn lanes(count: u64, lane: impl Fn(u64) -> Times + Sync) -> Outcome {
    let began = Instant::now();
    let mut all = Times::default();
    std::thread::scope(|scope| {
        let lane = &lane;
        let threads: Vec<_> = (0..count).map(|index| scope.spawn(move || lane(index))).collect();
        for thread in threads {
            all.add(&thread.join().expect("a lane that works"));
        }
    });
    all.outcome(began.elapsed())
}

/// Drops the files of a directory from the page cache ten times a second.
struct Forgetting {
    stop: Arc<AtomicBool>,
}

impl Forgetting {
    fn start(dir: std::path::PathBuf) -> Forgetting {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                host::forget(&dir);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        Forgetting { stop }
    }
}

impl Drop for Forgetting {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
