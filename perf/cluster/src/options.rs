//! What is measured, how long and where.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// A torc cluster beside etcd, on this machine
#[derive(Parser, Clone, Debug)]
#[command(version, about)]
pub struct Options {
    /// The program to measure
    #[arg(long, default_value = "target/release/torc", value_name = "FILE")]
    pub torc: PathBuf,

    /// Measure only these
    #[arg(long, value_delimiter = ',', value_name = "PART", default_values = ["puts", "failover", "idle"])]
    pub only: Vec<Part>,

    /// Seconds of each measurement of writes
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,

    /// How often each is measured, in turn; medians are shown
    #[arg(long, default_value_t = 3, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=20))]
    pub repeats: u32,

    /// Bytes of a value
    #[arg(long, default_value_t = 1024, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub value_bytes: u32,

    /// Vnodes of the idle cluster
    #[arg(long, default_value_t = 10_000, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub idle_vnodes: u32,

    /// Where data lies while it runs; a directory of its own is made in it and removed at the end
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub dir: PathBuf,

    /// The program of the npm package dynalite, if it is installed
    #[arg(long, value_name = "FILE")]
    pub dynalite: Option<PathBuf>,

    /// Where cluster.json and cluster.md go, or peers.json and peers.md
    #[arg(long, default_value = "target/cluster", value_name = "DIR")]
    pub out: PathBuf,
}

/// A part of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Durable replicated writes, beside etcd and beside one node.
    Puts,
    /// Writes while a leader is killed, and while leadership is handed over.
    Failover,
    /// What idle vnodes cost.
    Idle,
    /// One node beside one node of other systems: `perf/peers`.
    Peers,
}

impl Options {
    /// How long one measurement of writes takes.
    pub fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}
