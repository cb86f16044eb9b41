//! What `torc bench` can be asked for, and the same after it has been checked: [`Options`] becomes a [`Plan`].
//!
//! Everything that can be refused is refused here, before a connection is opened, with what to do instead.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use process::peers::Peers;
use runtime::tls::TlsClient;

use super::keys::Choice;
use super::mix::{GROUP_ITEMS, MIX_SIZES, Mix, Verb};
use super::native;
use super::schedule::Pace;
use super::sign::Signer;
use super::sizes::Sizes;
use super::trace::Trace;

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
/// Rounds of a comparison.
pub const ROUNDS_MAX: u32 = 1_000;
/// Bytes of a recorded trace or a file of certificates.
const FILE_BYTES_MAX: u64 = 8 << 30;
/// Where the authorities lie that this computer trusts, on most systems.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// With a report, one of so many requests asks the server where its time went.
const STAGES_EVERY_DEFAULT: u64 = 64;
/// What `get` and `mixed` load when nothing else is said.
pub const PRELOAD_DEFAULT: u64 = 100_000;

/// Drives a DynamoDB endpoint over HTTP and measures it.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Where the server is. Nothing but this computer unless you say so.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8000")]
    pub endpoint: String,

    /// Sign each request (Signature Version 4) with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.
    #[arg(long)]
    pub sign: bool,

    /// Region of --sign.
    #[arg(long, default_value = "us-east-1")]
    pub region: String,

    /// Authorities that an https endpoint is trusted by, in PEM [default: those of this computer].
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// Read and write by torc's own protocol: where a node of the cluster behind --endpoint listens for other nodes. GetItem and PutItem only.
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with_all = ["against", "suite", "trace"])]
    pub native: Option<SocketAddr>,

    /// The file with the cluster's secret, for --native.
    #[arg(long, value_name = "FILE", requires = "native")]
    pub secret_file: Option<PathBuf>,

    /// What to do: YCSB's a to f, a mix as applications have it, or one kind of request.
    #[arg(long, value_enum, default_value_t = WorkloadKind::Mixed)]
    pub workload: WorkloadKind,

    /// Do again what was recorded: lines of microseconds,operation,key,bytes, at the times that they say.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["workload", "rate", "verify", "sweep", "reuse"])]
    pub trace: Option<PathBuf>,

    /// Measure at one rate after the other, up to and beyond what a closed loop reaches, and say where the knee is.
    #[arg(long, conflicts_with_all = ["rate", "verify", "against", "suite"])]
    pub sweep: bool,

    /// Measure this endpoint, too, turn by turn with --endpoint, and say how they differ and how sure that is.
    #[arg(long, value_name = "URL", conflicts_with_all = ["verify", "suite"])]
    pub against: Option<String>,

    /// Rounds of --against; each has its part of --duration at either endpoint.
    #[arg(long, default_value_t = 8)]
    pub rounds: u32,

    /// Table to create for the run, and to remove at its end.
    #[arg(long, default_value = "torc-bench")]
    pub table: String,

    /// Keep the table at the end.
    #[arg(long)]
    pub keep: bool,

    /// Use a table that is there already, and keep it.
    #[arg(long)]
    pub reuse: bool,

    /// Bytes of one item as DynamoDB charges them, names plus values: a number, uniform:FROM-TO, or
    /// lognormal:MEDIAN,SIGMA or lognormal:MEDIAN,SIGMA,MAX (default 1024; of the dynamodb mix lognormal:600,1.2,65536).
    #[arg(long, value_name = "SIZES")]
    pub item_bytes: Option<String>,

    /// Give the table a sort key and put so many items into one partition [default: 1000 where there are queries].
    #[arg(long, value_name = "COUNT")]
    pub group_items: Option<u64>,

    /// Keys to choose from. `put` without it writes every item once.
    #[arg(long)]
    pub keys: Option<u64>,

    /// Items to load before the measurement [default: --keys for get and mixed, or 100000; none for put].
    #[arg(long)]
    pub preload: Option<u64>,

    /// How keys are chosen [default: as YCSB says for a to f, zipf for the dynamodb mix, else uniform].
    #[arg(long, value_enum)]
    pub choice: Option<KeyChoice>,

    /// Skew of --choice zipf and latest, above 0; 0.99 is YCSB's.
    #[arg(long, default_value_t = 0.99)]
    pub zipf: f64,

    /// Percent of the keys that are hot with --choice hot-set.
    #[arg(long, default_value_t = 20.0)]
    pub hot_keys: f64,

    /// Percent of the operations that go to hot keys with --choice hot-set.
    #[arg(long, default_value_t = 80.0)]
    pub hot_operations: f64,

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

    /// In closed loop, what a user would have asked in: times are corrected for what was not asked while an answer
    /// was late [default: the median time of an answer].
    #[arg(long, value_parser = parse_duration, conflicts_with = "rate")]
    pub expected_interval: Option<Duration>,

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

    /// Leave everything there: report.json, report.html with its plots, the plots as SVG, HdrHistogram logs.
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,

    /// Ask where the time went in one of so many requests, by `x-torc-trace` [default: 64 with --report; 0 is never].
    #[arg(long, value_name = "COUNT")]
    pub stages_every: Option<u64>,

    /// How long each physical limit is measured when the server is on this computer; 0s leaves them out.
    #[arg(long, value_parser = parse_duration, default_value = "300ms")]
    pub limits: Duration,

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
    /// YCSB A: GetItem and PutItem, half and half.
    A,
    /// YCSB B: 95 % GetItem, 5 % PutItem.
    B,
    /// YCSB C: GetItem.
    C,
    /// YCSB D: 95 % GetItem of the latest, 5 % PutItem of new items.
    D,
    /// YCSB E: 95 % Query of 1 to 100 items, 5 % PutItem of new items.
    E,
    /// YCSB F: half GetItem, half GetItem and PutItem of the same.
    F,
    /// Reads, writes, updates, conditions, queries and batches, as applications have them.
    Dynamodb,
}

impl WorkloadKind {
    /// As it is written on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().expect("none is hidden").get_name().to_owned()
    }

    /// What is in it, where it is a mix with a name.
    fn mix(self) -> Option<Mix> {
        Some(match self {
            WorkloadKind::A => Mix::ycsb('a'),
            WorkloadKind::B => Mix::ycsb('b'),
            WorkloadKind::C => Mix::ycsb('c'),
            WorkloadKind::D => Mix::ycsb('d'),
            WorkloadKind::E => Mix::ycsb('e'),
            WorkloadKind::F => Mix::ycsb('f'),
            WorkloadKind::Dynamodb => Mix::dynamodb(),
            _ => return None,
        })
    }
}

/// How keys are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyChoice {
    /// All alike.
    Uniform,
    /// Few keys often, most seldom: --zipf.
    Zipf,
    /// As zipf, the newest most often.
    Latest,
    /// --hot-keys have --hot-operations, all alike among themselves.
    HotSet,
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
#[derive(Clone, Debug)]
pub struct Target {
    /// Where to connect.
    pub address: SocketAddr,
    /// What the `host` header says.
    pub host: String,
    /// Who signs, if somebody does.
    pub signer: Option<Signer>,
    /// Whom to trust, where the scheme is https.
    pub tls: Option<Tls>,
}

/// How to be sure of a server.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Whom to trust.
    pub setup: TlsClient,
    /// Whose certificate it has to show.
    pub name: String,
}

impl Target {
    /// Reads `http://HOST[:PORT]` or `https://HOST[:PORT]`; a name is looked up once, here. With https, whoever `ca_file` names is trusted.
    pub fn parse(url: &str, ca_file: Option<&Path>) -> anyhow::Result<Target> {
        let plain = url.strip_prefix("http://").map(|rest| (rest, 80));
        let Some((rest, port)) = plain.or_else(|| url.strip_prefix("https://").map(|rest| (rest, 443)))
        else {
            bail!("--endpoint {url}: write http://HOST:PORT or https://HOST");
        };
        let host = rest.strip_suffix('/').unwrap_or(rest);
        ensure!(!host.is_empty() && !host.contains('/'), "--endpoint {url}: write http://HOST:PORT, no path");
        let named = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
        let socket = if named.is_some() { host.to_owned() } else { format!("{host}:{port}") };
        let mut found =
            socket.to_socket_addrs().with_context(|| format!("--endpoint {url}: unknown host"))?;
        let address = found.next().with_context(|| format!("--endpoint {url}: the host has no address"))?;
        let tls = match plain {
            Some(_) => None,
            None => {
                let pem = read(ca_file.unwrap_or(Path::new(AUTHORITIES))).context("--ca-file")?;
                let setup = TlsClient::trusting(&pem, &["http/1.1"]).context("--ca-file")?;
                let name = named.map_or(host, |(name, _)| name).trim_matches(['[', ']']).to_owned();
                Some(Tls { setup, name })
            }
        };
        Ok(Target { address, host: host.to_owned(), signer: None, tls })
    }

    /// As it is written.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls.is_some() { "https" } else { "http" }, self.host)
    }
}

#[expect(clippy::disallowed_methods, reason = "before there is a runtime")]
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let about = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(about.len() <= FILE_BYTES_MAX, "{} is too large", path.display());
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A node of a cluster, for torc's own protocol.
#[derive(Clone, Debug)]
pub struct NativeTarget {
    /// Where it listens for other nodes.
    pub address: SocketAddr,
    /// Whom to trust.
    pub peers: Peers,
}

/// What the measured operations are, checked.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// PutItem, each key once.
    PutUnique,
    /// Operations over the keys.
    Mix(Mix),
    /// Every key once; ends when all are there.
    Load,
    /// What was recorded.
    Trace(Arc<Trace>),
}

impl Work {
    /// The mix, if it is one.
    pub fn mix(&self) -> Option<&Mix> {
        if let Work::Mix(mix) = self { Some(mix) } else { None }
    }
}

/// [`Options`] after every check: what one measurement does. Plain values, the same on every core.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server.
    pub target: Target,
    /// The way of what is measured, if it is not HTTP.
    pub native: Option<NativeTarget>,
    /// Table of the run.
    pub table: String,
    /// Whether the table is created first.
    pub create: bool,
    /// Whether the table is removed at the end.
    pub remove: bool,
    /// Bytes of one item as DynamoDB charges them.
    pub sizes: Sizes,
    /// Items of one partition, where the table has a sort key.
    pub group_items: Option<u64>,
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
    /// In closed loop, how long a user would have waited with the next question; `None`: as long as an answer takes.
    pub expected_interval: Option<Duration>,
    /// One of so many requests asks where its time went; 0 is never.
    pub stages_every: u64,
    /// How often this table was measured before in this run: each time makes new items of its own.
    pub turn: u64,
    /// Seed of everything that is drawn; `None` until the runtime has drawn one.
    pub seed: Option<u64>,
    /// Client cores.
    pub cores: usize,
    /// Whether a progress line is shown.
    pub progress: bool,
    /// Whether an HdrHistogram log is kept.
    pub keeps_log: bool,
}

impl Plan {
    /// Items that are there when the measurement begins: keys 0 to this less 1.
    pub fn existing(&self) -> u64 {
        if self.create { self.preload } else { self.key_count }
    }
}

impl Options {
    /// Checks the options and names what they ask for.
    pub fn plan(&self) -> anyhow::Result<Plan> {
        self.check_bounds()?;
        let (work, key_count, preload) = self.work()?;
        let touches_loaded = work.mix().is_some_and(|mix| *mix != Mix::reads_and_writes(0));
        ensure!(
            !touches_loaded || self.reuse || preload == key_count,
            "reads need their items: --preload {preload} is not --keys {key_count}; leave one of them out"
        );
        ensure!(!(self.verify && self.reuse), "--verify needs a table of its own: leave out --reuse");
        let mut target = Target::parse(&self.endpoint, self.ca_file.as_deref())?;
        if self.sign {
            target.signer = Some(Signer::from_environment(&self.region)?);
        }
        let (pace, warmup, duration) = self.times(&work);
        Ok(Plan {
            target,
            native: self.native(&work)?,
            table: self.table.clone(),
            create: !self.reuse,
            remove: !self.reuse && !self.keep,
            sizes: self.sizes()?,
            group_items: self.group_items.or_else(|| has_queries(&work).then_some(GROUP_ITEMS)),
            work,
            key_count,
            preload,
            choice: self.key_choice(),
            batch: self.batch,
            consistent: self.consistent || self.verify,
            verify: self.verify,
            connections: self.connections,
            pace,
            duration,
            warmup,
            requests_max: self.requests.unwrap_or(u64::MAX),
            timeout: self.timeout,
            expected_interval: self.expected_interval,
            stages_every: self.stages_every.unwrap_or(if self.report.is_some() {
                STAGES_EVERY_DEFAULT
            } else {
                0
            }),
            turn: 0,
            seed: self.seed,
            cores: self.cores,
            progress: !self.quiet,
            keeps_log: self.report.is_some(),
        })
    }

    fn native(&self, work: &Work) -> anyhow::Result<Option<NativeTarget>> {
        let Some(address) = self.native else { return Ok(None) };
        let spoken = [Verb::Get, Verb::Put, Verb::Insert, Verb::Modify];
        let speaks = match work {
            Work::PutUnique => true,
            Work::Mix(mix) => {
                Verb::ALL.into_iter().all(|verb| mix.share(verb) == 0 || spoken.contains(&verb))
            }
            Work::Load | Work::Trace(_) => false,
        };
        ensure!(speaks, "--native: GetItem and PutItem only: --workload put, get, mixed, a, b, c, d or f");
        Ok(Some(NativeTarget { address, peers: native::peers(self.secret_file.as_deref())? }))
    }

    /// Sizes of items.
    pub fn sizes(&self) -> anyhow::Result<Sizes> {
        let default = if self.workload == WorkloadKind::Dynamodb { MIX_SIZES } else { "1024" };
        let text = self.item_bytes.as_deref().unwrap_or(default);
        Sizes::parse(text).map_err(|error| anyhow::anyhow!("--item-bytes {error}"))
    }

    fn check_bounds(&self) -> anyhow::Result<()> {
        let name_fits = (3..=255).contains(&self.table.len());
        let name_plain = self.table.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        ensure!(name_fits && name_plain, "--table {}: 3 to 255 letters, digits, _ - or .", self.table);
        in_range("--batch", self.batch as u64, 1, BATCH_MAX as u64)?;
        in_range("--connections", self.connections as u64, 1, CONNECTIONS_MAX as u64)?;
        in_range("--cores", self.cores as u64, 1, CORES_MAX as u64)?;
        in_range("--keys", self.keys.unwrap_or(1), 1, KEYS_MAX)?;
        in_range("--preload", self.preload.unwrap_or(0), 0, KEYS_MAX)?;
        in_range("--requests", self.requests.unwrap_or(1), 1, u64::MAX)?;
        in_range("--suite-items", self.suite_items, 1, KEYS_MAX)?;
        in_range("--rounds", u64::from(self.rounds), 3, u64::from(ROUNDS_MAX))?;
        in_range("--group-items", self.group_items.unwrap_or(1), 1, 10_000_000)?;
        ensure!(self.connections >= self.cores, "--connections {}: fewer than --cores", self.connections);
        ensure!(!self.timeout.is_zero(), "--timeout: longer than nothing");
        ensure!(!self.duration.is_zero(), "--duration: longer than nothing");
        let interval = self.expected_interval.unwrap_or(Duration::MAX);
        ensure!(interval >= Duration::from_micros(1), "--expected-interval: at least 1us");
        ensure!(self.zipf > 0.0 && self.zipf <= 10.0, "--zipf {}: above 0, at most 10", self.zipf);
        ensure!(
            self.hot_keys > 0.0 && self.hot_keys < 100.0,
            "--hot-keys {}: between 0 and 100",
            self.hot_keys
        );
        let hot_operations = (0.0..=100.0).contains(&self.hot_operations);
        ensure!(hot_operations, "--hot-operations {}: 0 to 100", self.hot_operations);
        let rate = self.rate.unwrap_or(1.0);
        ensure!(rate > 0.0 && rate <= RATE_MAX, "--rate {rate}: above 0, at most {RATE_MAX}");
        let is_load = self.workload == WorkloadKind::Load;
        ensure!(
            !(is_load && (self.sweep || self.against.is_some())),
            "--workload load is measured once: leave out --sweep and --against"
        );
        Ok(())
    }

    /// What is measured, over how many keys, and how many of them are loaded first.
    fn work(&self) -> anyhow::Result<(Work, u64, u64)> {
        if let Some(path) = &self.trace {
            let text = String::from_utf8(read(path).context("--trace")?).context("--trace: no text")?;
            let trace = Trace::parse(&text).with_context(|| format!("--trace {}", path.display()))?;
            let keys = trace.key_count;
            return Ok((Work::Trace(Arc::new(trace)), keys, keys));
        }
        let loaded = self.preload.or(self.keys).unwrap_or(PRELOAD_DEFAULT);
        let existing = if self.reuse { self.preload.unwrap_or(0) } else { loaded };
        let over_loaded = |mix| (Work::Mix(mix), self.keys.unwrap_or(loaded), existing);
        Ok(match self.workload {
            WorkloadKind::Put => match self.keys {
                None => (Work::PutUnique, self.preload.unwrap_or(0), self.preload.unwrap_or(0)),
                Some(keys) => {
                    (Work::Mix(Mix::reads_and_writes(0)), keys, self.preload.unwrap_or(0).min(keys))
                }
            },
            WorkloadKind::Get => over_loaded(Mix::reads_and_writes(100)),
            WorkloadKind::Mixed => over_loaded(Mix::reads_and_writes(self.reads_percent)),
            WorkloadKind::Load => {
                ensure!(self.preload.is_none(), "--workload load loads --keys itself: leave out --preload");
                ensure!(self.rate.is_none(), "--workload load goes as fast as it can: leave out --rate");
                (Work::Load, self.keys.unwrap_or(PRELOAD_DEFAULT), 0)
            }
            named => over_loaded(named.mix().expect("all others are mixes with a name")),
        })
    }

    fn key_choice(&self) -> Choice {
        let skew = self.zipf;
        let default = match self.workload {
            WorkloadKind::D => KeyChoice::Latest,
            kind if kind.mix().is_some() => KeyChoice::Zipf,
            _ => KeyChoice::Uniform,
        };
        match self.choice.unwrap_or(default) {
            KeyChoice::Uniform => Choice::Uniform,
            KeyChoice::Zipf => Choice::Zipf { skew },
            KeyChoice::Latest => Choice::Latest { skew },
            KeyChoice::HotSet => {
                Choice::HotSet { keys_percent: self.hot_keys, operations_percent: self.hot_operations }
            }
        }
    }

    /// Pace, warm-up and length. A trace is as long as it is, and its beginning is the warm-up, if it is longer than that.
    fn times(&self, work: &Work) -> (Pace, Duration, Duration) {
        if let Work::Trace(trace) = work {
            let whole = trace.duration() + Duration::from_micros(1);
            let warmup = if whole > self.warmup { self.warmup } else { Duration::ZERO };
            return (Pace::Recorded { per_second: trace.per_second() }, warmup, whole - warmup);
        }
        let pace = match (self.rate, self.spacing) {
            (None, _) => Pace::Closed,
            (Some(per_second), Spacing::Constant) => Pace::Constant { per_second },
            (Some(per_second), Spacing::Poisson) => Pace::Poisson { per_second },
        };
        (pace, self.warmup, self.duration)
    }
}

fn has_queries(work: &Work) -> bool {
    work.mix().is_some_and(|mix| mix.share(Verb::Query) > 0)
}

fn in_range(name: &str, value: u64, min: u64, max: u64) -> anyhow::Result<()> {
    ensure!((min..=max).contains(&value), "{name} {value}: must be {min} to {max}");
    Ok(())
}

#[cfg(test)]
pub(in crate::bench) mod tests;
