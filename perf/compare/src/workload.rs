//! The workloads and the steps that they are made of.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::contender::Contender;
use crate::options::Sizes;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Workload {
    /// Durable puts by one writer.
    PutAlone,
    /// Durable puts by 64 concurrent writers.
    PutTogether,
    /// Gets of what is in the cache.
    GetCached,
    /// Random gets over a set ten times the cache.
    GetUncached,
    /// Gets of keys that are not there.
    GetAbsent,
    /// Scans of 100.
    Scan,
    /// Half gets, half durable puts, Zipf, at a fixed pace, while compaction runs.
    Mix,
    /// Loading and overwriting many small values.
    Load,
    /// Restart after an unclean stop.
    Restart,
}

impl Workload {
    /// All, in order.
    pub const ALL: [Workload; 9] = [
        Workload::PutAlone,
        Workload::PutTogether,
        Workload::GetCached,
        Workload::GetUncached,
        Workload::GetAbsent,
        Workload::Scan,
        Workload::Mix,
        Workload::Load,
        Workload::Restart,
    ];

    /// From 1.
    pub fn number(self) -> u8 {
        1 + Workload::ALL.iter().position(|workload| *workload == self).expect("all are listed") as u8
    }

    /// Whether it is measured several times, contenders in turn.
    pub fn is_short(self) -> bool {
        !matches!(self, Workload::Mix | Workload::Load | Workload::Restart)
    }

    /// Whether it reads the set that is loaded once for several workloads.
    pub fn reads_the_set(self) -> bool {
        matches!(self, Workload::GetUncached | Workload::GetAbsent | Workload::Scan)
    }
}

/// Writers of the workload that has many.
pub const WRITERS: usize = 64;
/// Entries of a scan.
pub const SCAN_ENTRIES: usize = 100;
/// Tasks or threads that share the work of the mix.
pub const MIX_WORKERS: usize = 64;
/// Puts of a batch where values are loaded.
pub const LOAD_BATCH: u64 = 1000;
/// Writers that load.
pub const LOAD_WRITERS: u64 = 4;

/// What one process does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Who.
    pub contender: Contender,
    /// What.
    pub task: Task,
    /// Where; exists.
    pub dir: PathBuf,
    /// How much.
    pub sizes: Sizes,
    /// On which cpu.
    pub cpu: usize,
}

/// What one process does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Task {
    /// Durable puts by so many writers, into an empty directory.
    Puts {
        /// Concurrent writers.
        writers: usize,
    },
    /// Loads the small set, brings it into the cache and gets.
    GetCached,
    /// Loads the set that is ten times the cache, and ends well.
    PrepareSet,
    /// Gets from that set, which is there.
    GetUncached,
    /// Gets what is not in that set.
    GetAbsent,
    /// Scans that set.
    Scan,
    /// The mix, as fast as it goes, to learn what pace can be asked for.
    MixFlatOut,
    /// The mix at so many operations a second.
    MixPaced {
        /// Operations a second.
        rate: f64,
    },
    /// Loads and overwrites.
    Load,
    /// Writes the log of an unclean stop, says so and waits to be killed.
    FillLog,
    /// Opens what was left behind.
    Reopen,
}
