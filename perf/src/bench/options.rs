//! What `torc bench` can be asked for, and the same after it has been checked: [`Options`] becomes a [`Plan`].
//!
//! Everything that can be refused is refused here, before a connection is opened, with what to do instead.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};

use super::keys::Choice;
use super::schedule::Pace;

/// Connections of one run, at most.
pub const CONNECTIONS_MAX: usize = 10_000;
/// Cores that the client may use, at most.
pub const CORES_MAX: usize = 64;
/// Bytes of one item: DynamoDB's own bound.
pub const ITEM_BYTES_MAX: usize = 400 * 1024;
/// Bytes of one item, at least: room for the names, the key and the version.
pub const ITEM_BYTES_MIN: usize = 64;
/// Items of one BatchWriteItem: DynamoDB's own bound.
pub const BATCH_MAX: usize = 25;
/// Keys of one run; with `--verify` each costs 8 bytes of memory.
pub const KEYS_MAX: u64 = 1 << 32;
/// Operations a second in open loop, over all cores.
pub const RATE_MAX: f64 = 10_000_000.0;
/// What `get` and `mixed` load when nothing else is said.
pub const PRELOAD_DEFAULT: u64 = 100_000;

/// Drives a DynamoDB endpoint over HTTP and measures it.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Where the server is. Nothing but this computer unless you say so.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8000")]
    pub endpoint: String,

    /// What to do: put, get, mixed, or load (the items of --keys, as fast as they go).
    #[arg(long, value_enum, default_value_t = WorkloadKind::Mixed)]
    pub workload: WorkloadKind,

    /// Table to create for the run, and to remove at its end.
    #[arg(long, default_value = "torc-bench")]
    pub table: String,

    /// Keep the table at the end.
    #[arg(long)]
    pub keep: bool,

    /// Use a table that is there already, and keep it.
    #[arg(long)]
    pub reuse: bool,

    /// Bytes of one item as DynamoDB charges them: names plus values.
    #[arg(long, default_value_t = 1024)]
    pub item_bytes: usize,

    /// Keys to choose from. `put` without it writes every item once.
    #[arg(long)]
    pub keys: Option<u64>,

    /// Items to load before the measurement [default: --keys for get and mixed, or 100000; none for put].
    #[arg(long)]
    pub preload: Option<u64>,

    /// How keys are chosen.
    #[arg(long, value_enum, default_value_t = KeyChoice::Uniform)]
    pub choice: KeyChoice,

    /// Skew of --choice zipf, above 0; 0.99 is YCSB's.
    #[arg(long, default_value_t = 0.99)]
    pub zipf: f64,

    /// Reads among 100 operations of --workload mixed.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub reads_percent: u8,

    /// Items of one request of --workload load and of --preload; 1 loads by PutItem.
    #[arg(long, default_value_t = BATCH_MAX)]
    pub batch: usize,

    /// Ask for consistent reads (--verify does).
    #[arg(long)]
    pub consistent: bool,

    /// Connections, over all client cores. Each has one request in flight.
    #[arg(long, default_value_t = 64)]
    pub connections: usize,

    /// Open loop: operations a second, timed from when each was due. Without it each connection sends
    /// its next request as soon as it has its answer (closed loop).
    #[arg(long, value_name = "PER_SECOND")]
    pub rate: Option<f64>,

    /// How the requests of --rate are spaced.
    #[arg(long, value_enum, default_value_t = Spacing::Constant, requires = "rate")]
    pub spacing: Spacing,

    /// Length of the measurement, after the warm-up: 10s, 500ms, 2m.
    #[arg(long, value_parser = parse_duration, default_value = "10s")]
    pub duration: Duration,

    /// Load before the measurement that is not counted.
    #[arg(long, value_parser = parse_duration, default_value = "1s")]
    pub warmup: Duration,

    /// End after so many operations, warm-up included.
    #[arg(long)]
    pub requests: Option<u64>,

    /// Longest wait for one answer; past it the connection is given up and the request counted as an error.
    #[arg(long, value_parser = parse_duration, default_value = "10s")]
    pub timeout: Duration,

    /// Compare what is read with what was acknowledged, and read everything back at the end.
    #[arg(long)]
    pub verify: bool,

    /// Cores that the client uses, one pinned thread each, the last ones that this process may run on.
    #[arg(long, default_value_t = 1)]
    pub cores: usize,

    /// Seed of keys, pauses and contents [default: drawn].
    #[arg(long)]
    pub seed: Option<u64>,

    /// Write the report as JSON, too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Print the table as Markdown.
    #[arg(long)]
    pub markdown: bool,

    /// No progress line.
    #[arg(long)]
    pub quiet: bool,

    /// Measure a whole set of figures; starts its own server from this executable unless --server-pid is given.
    #[arg(long, value_enum)]
    pub suite: Option<Suite>,

    /// Process whose memory is read: the server behind --endpoint.
    #[arg(long)]
    pub server_pid: Option<u32>,

    /// Where --suite puts its server's data and measures the device [default: beside this executable].
    #[arg(long)]
    pub data_dir: Option<PathBuf>,

    /// Items of --suite at which memory is read.
    #[arg(long, default_value_t = 1_000_000)]
    pub suite_items: u64,
}

/// What the measured operations are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WorkloadKind {
    /// PutItem.
    Put,
    /// GetItem of items that were loaded.
    Get,
    /// GetItem and PutItem, --reads-percent of the first.
    Mixed,
    /// Every key once, in batches of --batch; ends when all are there.
    Load,
}

/// How keys are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyChoice {
    /// All alike.
    Uniform,
    /// Few keys often, most seldom: --zipf.
    Zipf,
}

/// How open-loop requests are spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Spacing {
    /// Like a metronome.
    Constant,
    /// Independent of each other, as many users are.
    Poisson,
}

/// A set of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// The README's table.
    Readme,
}

/// A length of time as people write it: a number and `us`, `ms`, `s` or `m`; a number alone is seconds.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" => 60.0,
        other => return Err(format!("unknown unit `{other}`: write 500us, 20ms, 10s or 2m")),
    };
    let number: f64 = digits.parse().map_err(|_| format!("`{text}` is no duration: write 10s"))?;
    Duration::try_from_secs_f64(number * unit).map_err(|_| format!("`{text}` is out of range"))
}

/// The server's address as a socket and as an HTTP host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where to connect.
    pub address: SocketAddr,
    /// What the `host` header says.
    pub host: String,
}

impl Target {
    /// Reads `http://HOST[:PORT]`; a name is looked up once, here.
    pub fn parse(url: &str) -> anyhow::Result<Target> {
        let Some(rest) = url.strip_prefix("http://") else {
            bail!("--endpoint {url}: only plain http:// is spoken here; write http://HOST:PORT");
        };
        let host = rest.strip_suffix('/').unwrap_or(rest);
        ensure!(!host.is_empty() && !host.contains('/'), "--endpoint {url}: write http://HOST:PORT, no path");
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let socket = if has_port { host.to_owned() } else { format!("{host}:80") };
        let mut found =
            socket.to_socket_addrs().with_context(|| format!("--endpoint {url}: unknown host"))?;
        let address = found.next().with_context(|| format!("--endpoint {url}: the host has no address"))?;
        Ok(Target { address, host: host.to_owned() })
    }
}

/// What the measured operations are, checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Work {
    /// PutItem, each key once.
    PutUnique,
    /// PutItem over the keys.
    PutChosen,
    /// GetItem over the keys.
    Get,
    /// GetItem and PutItem over the keys.
    Mixed {
        /// Reads among 100 operations.
        reads_percent: u8,
    },
    /// Every key once; ends when all are there.
    Load,
}

/// [`Options`] after every check: what one measurement does. Plain values, the same on every core.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server.
    pub target: Target,
    /// Table of the run.
    pub table: String,
    /// Whether the table is created first.
    pub create: bool,
    /// Whether the table is removed at the end.
    pub remove: bool,
    /// Bytes of one item as DynamoDB charges them.
    pub item_bytes: usize,
    /// What is measured.
    pub work: Work,
    /// Keys that exist or may be written: 0 to this less 1.
    pub key_count: u64,
    /// Items loaded before the measurement: keys 0 to this less 1, version 1.
    pub preload: u64,
    /// How keys are chosen.
    pub choice: Choice,
    /// Items of one request while loading.
    pub batch: usize,
    /// Whether reads are consistent.
    pub consistent: bool,
    /// Whether reads are compared with acknowledged writes.
    pub verify: bool,
    /// Connections over all cores.
    pub connections: usize,
    /// When requests are due.
    pub pace: Pace,
    /// Length of the measurement.
    pub duration: Duration,
    /// Length of what is not counted before it.
    pub warmup: Duration,
    /// Operations over all cores, at most.
    pub requests_max: u64,
    /// Longest wait for one answer.
    pub timeout: Duration,
    /// Seed of everything that is drawn; `None` until the runtime has drawn one.
    pub seed: Option<u64>,
    /// Client cores.
    pub cores: usize,
    /// Whether a progress line is shown.
    pub progress: bool,
}

impl Options {
    /// Checks the options and names what they ask for.
    pub fn plan(&self) -> anyhow::Result<Plan> {
        self.check_bounds()?;
        let (work, key_count, preload) = self.work()?;
        let work_reads_preloaded = matches!(work, Work::Get | Work::Mixed { .. });
        ensure!(
            !work_reads_preloaded || self.reuse || preload == key_count,
            "reads need their items: --preload {preload} is not --keys {key_count}; leave one of them out"
        );
        ensure!(!(self.verify && self.reuse), "--verify needs a table of its own: leave out --reuse");
        Ok(Plan {
            target: Target::parse(&self.endpoint)?,
            table: self.table.clone(),
            create: !self.reuse,
            remove: !self.reuse && !self.keep,
            item_bytes: self.item_bytes,
            work,
            key_count,
            preload,
            choice: self.key_choice(),
            batch: self.batch,
            consistent: self.consistent || self.verify,
            verify: self.verify,
            connections: self.connections,
            pace: self.pace(),
            duration: self.duration,
            warmup: self.warmup,
            requests_max: self.requests.unwrap_or(u64::MAX),
            timeout: self.timeout,
            seed: self.seed,
            cores: self.cores,
            progress: !self.quiet,
        })
    }

    fn check_bounds(&self) -> anyhow::Result<()> {
        let name_fits = (3..=255).contains(&self.table.len());
        let name_plain = self.table.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        ensure!(name_fits && name_plain, "--table {}: 3 to 255 letters, digits, _ - or .", self.table);
        in_range("--item-bytes", self.item_bytes as u64, ITEM_BYTES_MIN as u64, ITEM_BYTES_MAX as u64)?;
        in_range("--batch", self.batch as u64, 1, BATCH_MAX as u64)?;
        in_range("--connections", self.connections as u64, 1, CONNECTIONS_MAX as u64)?;
        in_range("--cores", self.cores as u64, 1, CORES_MAX as u64)?;
        in_range("--keys", self.keys.unwrap_or(1), 1, KEYS_MAX)?;
        in_range("--preload", self.preload.unwrap_or(0), 0, KEYS_MAX)?;
        in_range("--requests", self.requests.unwrap_or(1), 1, u64::MAX)?;
        in_range("--suite-items", self.suite_items, 1, KEYS_MAX)?;
        ensure!(self.connections >= self.cores, "--connections {}: fewer than --cores", self.connections);
        ensure!(!self.timeout.is_zero(), "--timeout: longer than nothing");
        ensure!(!self.duration.is_zero(), "--duration: longer than nothing");
        ensure!(self.zipf > 0.0 && self.zipf <= 10.0, "--zipf {}: above 0, at most 10", self.zipf);
        let rate = self.rate.unwrap_or(1.0);
        ensure!(rate > 0.0 && rate <= RATE_MAX, "--rate {rate}: above 0, at most {RATE_MAX}");
        Ok(())
    }

    /// What is measured, over how many keys, and how many of them are loaded first.
    fn work(&self) -> anyhow::Result<(Work, u64, u64)> {
        let loaded = self.preload.or(self.keys).unwrap_or(PRELOAD_DEFAULT);
        let existing = if self.reuse { self.preload.unwrap_or(0) } else { loaded };
        Ok(match self.workload {
            WorkloadKind::Put => match self.keys {
                None => (Work::PutUnique, self.preload.unwrap_or(0), self.preload.unwrap_or(0)),
                Some(keys) => (Work::PutChosen, keys, self.preload.unwrap_or(0).min(keys)),
            },
            WorkloadKind::Get => (Work::Get, self.keys.unwrap_or(loaded), existing),
            WorkloadKind::Mixed => {
                (Work::Mixed { reads_percent: self.reads_percent }, self.keys.unwrap_or(loaded), existing)
            }
            WorkloadKind::Load => {
                ensure!(self.preload.is_none(), "--workload load loads --keys itself: leave out --preload");
                ensure!(self.rate.is_none(), "--workload load goes as fast as it can: leave out --rate");
                (Work::Load, self.keys.unwrap_or(PRELOAD_DEFAULT), 0)
            }
        })
    }

    fn key_choice(&self) -> Choice {
        match self.choice {
            KeyChoice::Uniform => Choice::Uniform,
            KeyChoice::Zipf => Choice::Zipf { skew: self.zipf },
        }
    }

    fn pace(&self) -> Pace {
        match (self.rate, self.spacing) {
            (None, _) => Pace::Closed,
            (Some(per_second), Spacing::Constant) => Pace::Constant { per_second },
            (Some(per_second), Spacing::Poisson) => Pace::Poisson { per_second },
        }
    }
}

fn in_range(name: &str, value: u64, min: u64, max: u64) -> anyhow::Result<()> {
    ensure!((min..=max).contains(&value), "{name} {value}: must be {min} to {max}");
    Ok(())
}

#[cfg(test)]
pub(in crate::bench) mod tests;
