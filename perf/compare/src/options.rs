//! The command line, and the sizes that follow from it.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::{Args, Parser, Subcommand};
use serde::{Deserialize, Serialize};

use crate::contender::Contender;
use crate::workload::Workload;

/// torc's storage engine beside RocksDB, fjall and the bare device.
///
/// Runs the same workloads on each, in turn, in fresh processes on one and the same core, and prints a table with ratios.
/// A full run takes about twelve minutes, `--quick` about two. Quiet machines only: every figure is a time.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Options {
    /// How to run.
    #[command(flatten)]
    pub run: Run,
    /// What the parent starts; not for people.
    #[command(subcommand)]
    pub child: Option<Child>,
}

/// How to run.
#[derive(Args)]
pub struct Run {
    /// Smaller sets and shorter measurements: two minutes.
    #[arg(long)]
    pub quick: bool,
    /// Next to nothing, in seconds: shows that it works, and measures nothing.
    #[arg(long, conflicts_with = "quick")]
    pub tiny: bool,
    /// Only these workloads, by number.
    #[arg(long, value_delimiter = ',', value_name = "1,2,..")]
    pub only: Vec<u8>,
    /// Only these engines: torc, rocksdb, fjall; the device is always measured.
    #[arg(long, value_delimiter = ',', value_name = "NAME,..")]
    pub engines: Vec<String>,
    /// Where the data is put and removed from again; decides which device is measured.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Where results go: `compare.json` and `compare.md`. Default: the current directory.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
    /// The cpu that every engine runs on. Default: the last one of this process.
    #[arg(long)]
    pub cpu: Option<usize>,
    /// Measurements of each short workload and engine; the median counts.
    #[arg(long, value_name = "COUNT")]
    pub repeats: Option<usize>,
    /// Seconds of each short measurement.
    #[arg(long)]
    pub seconds: Option<f64>,
}

/// One measurement in a process of its own.
#[derive(Subcommand)]
pub enum Child {
    /// Does one step and prints its outcome as JSON.
    #[command(hide = true)]
    Child {
        /// A `Step` as JSON.
        step: String,
    },
}

impl Run {
    /// The workloads to run, in order.
    pub fn workloads(&self) -> anyhow::Result<Vec<Workload>> {
        let all = Workload::ALL.iter().copied();
        if self.only.is_empty() {
            return Ok(all.collect());
        }
        for number in &self.only {
            ensure!((1..=9).contains(number), "workloads are 1 to 9, not {number}");
        }
        Ok(all.filter(|workload| self.only.contains(&workload.number())).collect())
    }

    /// The engines to run, in order.
    pub fn contenders(&self) -> anyhow::Result<Vec<Contender>> {
        if self.engines.is_empty() {
            return Ok(Contender::ENGINES.to_vec());
        }
        let find = |name: &String| {
            let known = Contender::ENGINES.iter().find(|engine| engine.key() == name.to_lowercase());
            known.copied().with_context(|| format!("no engine is called {name}"))
        };
        self.engines.iter().map(find).collect()
    }

    /// The sizes of this run.
    pub fn sizes(&self) -> Sizes {
        let mut sizes = match (self.quick, self.tiny) {
            (true, _) => Sizes::QUICK,
            (_, true) => Sizes::TINY,
            _ => Sizes::FULL,
        };
        sizes.repeats = self.repeats.unwrap_or(sizes.repeats).max(1);
        sizes.seconds = self.seconds.unwrap_or(sizes.seconds);
        sizes
    }
}

/// How much of everything. The same for all engines of a run.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Sizes {
    /// Repeats of the short workloads.
    pub repeats: usize,
    /// Seconds of one short measurement.
    pub seconds: f64,
    /// Bytes of a value, but for restarts.
    pub value_bytes: usize,
    /// Bytes of a memtable in workloads 1 to 6.
    pub memtable_bytes: usize,
    /// Log that is written before durable puts are measured, so that its files are in their long run's state.
    pub warm_log_bytes: u64,
    /// Keys of the set that fits into the cache.
    pub cached_keys: u64,
    /// Keys of the set that is ten times the cache.
    pub set_keys: u64,
    /// Cache of the set that is ten times as large.
    pub cache_bytes: usize,
    /// Gets or scans in flight on that set.
    pub gets_in_flight: usize,
    /// Scans in flight on that set.
    pub scans_in_flight: usize,
    /// Keys under the mix.
    pub mix_keys: u64,
    /// Seconds of the mix.
    pub mix_seconds: f64,
    /// Memtable, level 1 and SSTable bytes under the mix: small, so that compaction never rests.
    pub mix_memtable_bytes: usize,
    /// Puts a second that are loaded beside the mix, in durable batches.
    pub mix_load_per_second: u64,
    /// Values that are loaded and overwritten.
    pub load_keys: u64,
    /// Memtable and cache of that.
    pub load_memtable_bytes: usize,
    /// Log that a restart has to read.
    pub restart_log_bytes: u64,
    /// Bytes of a value in that log.
    pub restart_value_bytes: usize,
}

impl Sizes {
    const FULL: Sizes = Sizes {
        repeats: 3,
        seconds: 3.0,
        value_bytes: 128,
        memtable_bytes: 16 << 20,
        warm_log_bytes: 128 << 20,
        cached_keys: 100_000,
        set_keys: 2_200_000,
        cache_bytes: 32 << 20,
        gets_in_flight: 32,
        scans_in_flight: 8,
        mix_keys: 1_000_000,
        mix_seconds: 10.0,
        mix_memtable_bytes: 8 << 20,
        mix_load_per_second: 20_000,
        load_keys: 10_000_000,
        load_memtable_bytes: 64 << 20,
        restart_log_bytes: 512 << 20,
        restart_value_bytes: 1024,
    };
    const QUICK: Sizes = Sizes {
        seconds: 1.0,
        cached_keys: 50_000,
        warm_log_bytes: 96 << 20,
        set_keys: 560_000,
        cache_bytes: 8 << 20,
        mix_keys: 300_000,
        mix_seconds: 4.0,
        mix_memtable_bytes: 4 << 20,
        load_keys: 500_000,
        load_memtable_bytes: 8 << 20,
        restart_log_bytes: 128 << 20,
        ..Sizes::FULL
    };
    const TINY: Sizes = Sizes {
        repeats: 1,
        seconds: 0.1,
        memtable_bytes: 1 << 20,
        warm_log_bytes: 2 << 20,
        cached_keys: 1_000,
        set_keys: 20_000,
        cache_bytes: 1 << 20,
        gets_in_flight: 4,
        scans_in_flight: 2,
        mix_keys: 5_000,
        mix_seconds: 0.3,
        mix_memtable_bytes: 1 << 20,
        mix_load_per_second: 5_000,
        load_keys: 20_000,
        load_memtable_bytes: 1 << 20,
        restart_log_bytes: 2 << 20,
        ..Sizes::FULL
    };

    /// Bytes of a key and its value.
    pub fn entry_bytes(&self) -> u64 {
        (crate::keys::KEY_BYTES + self.value_bytes) as u64
    }

    /// Puts in the log that a restart has to read.
    pub fn restart_puts(&self) -> u64 {
        self.restart_log_bytes / (crate::keys::KEY_BYTES + self.restart_value_bytes) as u64
    }
}
