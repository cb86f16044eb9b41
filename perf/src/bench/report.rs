//! What a run has found, for people and for programs: the same facts as a table, as Markdown and as JSON.
//!
//! Latencies are microseconds, throughput is operations a second that succeeded. `schema` names the shape of the JSON;
//! a field may be added under the same name, a changed meaning takes a new one.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::ensure;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::against::Against;
use super::generator::Counted;
use super::host::Host;
use super::options::{Plan, Work};
use super::recorder::{Kind, Stats, histogram};
use super::schedule::Pace;
use super::series::Series;
use super::stages::{self, Stages};
use super::sweep::Sweep;
use super::verify::Findings;

/// Measurements that are shown with all their details; of more, those of a sweep or a comparison, the sums say more.
const MEASUREMENTS_SHOWN: usize = 8;
/// Writes of a log that are in flight at a time, at most.
const LOG_WRITES_MAX: usize = 4;

/// The shape of the JSON.
pub const SCHEMA: &str = "torc-bench/1";

/// Everything that one call of `torc bench` has found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// Where it ran.
    pub host: Host,
    /// The command line.
    pub command: String,
    /// When it began: microseconds since 1970.
    pub began_unix_us: u64,
    /// What the hardware can do, measured in the same run.
    pub limits: Vec<Limit>,
    /// The figures.
    pub measurements: Vec<Measurement>,
    /// What a sweep found.
    pub sweep: Option<Sweep>,
    /// What a comparison found.
    pub against: Option<Against>,
    /// Why there are no limits, if there are none.
    pub without_limits: Option<String>,
    /// The server's memory.
    pub memory: Vec<Memory>,
    /// Milliseconds from starting the server on an empty directory to its first answer.
    pub start_ms: Option<f64>,
}

/// One measured run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// What it is called in a table.
    pub name: String,
    /// Where.
    pub endpoint: String,
    /// Bytes of one item, on average.
    pub item_bytes: usize,
    /// Bytes of the items, as it was asked for.
    pub item_sizes: String,
    /// Keys that reads and writes chose from; 0 where each was new.
    pub keys: u64,
    /// Connections.
    pub connections: usize,
    /// Client cores.
    pub client_cores: usize,
    /// Operations a second that were due; `None` in closed loop.
    pub rate: Option<f64>,
    /// Seconds from the first counted operation that was due to the last that was over.
    pub seconds: f64,
    /// Repeats the run's choices.
    pub seed: u64,
    /// Operations of all kinds a second that succeeded.
    pub per_second: f64,
    /// Of all kinds together, from when each was due to its end.
    pub response_us: Percentiles,
    /// By kind of operation.
    pub operations: Vec<Operation>,
    /// By second.
    pub series: Vec<Second>,
    /// The HdrHistogram log, if it was asked for; a file of its own.
    #[serde(skip)]
    pub log: String,
    /// What `--verify` found.
    pub verify: Option<Verified>,
}

/// The figures of one kind of operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// DynamoDB's name.
    pub operation: String,
    /// Operations that succeeded.
    pub ok: u64,
    /// Items that they wrote or read.
    pub items: u64,
    /// Operations that did not, by code.
    pub errors: BTreeMap<String, u64>,
    /// Operations a second that succeeded.
    pub per_second: f64,
    /// From when the operation was due to its end: what a user waits.
    pub response_us: Percentiles,
    /// From when it was sent to its end: what the server took.
    pub service_us: Percentiles,
    /// In closed loop, corrected for what was not asked while an answer was late.
    pub corrected: Option<Corrected>,
    /// The whole distribution of the response (of the corrected one in closed loop): how much of it is not above how many microseconds.
    pub curve: Vec<(f64, f64)>,
    /// Where the server says that the time went, if it was asked.
    pub stages: Option<StageTimes>,
}

/// Times that were put in for questions that nobody asked.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Corrected {
    /// What is taken for the time between two questions of one connection.
    pub interval_us: f64,
    /// The corrected times.
    pub response_us: Percentiles,
}

/// What one second had, or a longer piece of a long run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // The names say it.
pub struct Second {
    /// When it began, in seconds from the beginning of the measurement.
    pub at: f64,
    pub ok_per_second: f64,
    pub errors_per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub max_us: f64,
}

/// Where the time of sampled requests went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageTimes {
    /// Requests that were told.
    pub count: u64,
    /// Requests that asked and were told nothing.
    pub silent: u64,
    /// In order; their means add up to the time in the server.
    pub stages: Vec<StageTime>,
}

/// One stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // The names say it.
pub struct StageTime {
    pub stage: String,
    /// Over all sampled requests, also those that did not have it.
    pub mean_us: f64,
    pub p50_us: f64,
    pub p99_us: f64,
}

/// A distribution of times, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // The names say it.
pub struct Percentiles {
    pub count: u64,
    pub min: f64,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub p999: f64,
    pub p9999: f64,
    pub p99999: f64,
    pub max: f64,
}

/// What `--verify` found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verified {
    /// Reads that were compared with what was acknowledged.
    pub checked: u64,
    /// Reads that were wrong.
    pub wrong: u64,
    /// The first few of these.
    pub examples: Vec<String>,
}

/// What the hardware can do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// What was done, in words.
    pub name: String,
    /// What was done.
    pub work: LimitWork,
    /// How many at a time.
    pub depth: usize,
    /// How often it was done a second.
    pub per_second: f64,
    /// How long it took.
    pub latency_us: Percentiles,
}

/// What the hardware was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitWork {
    /// A durable write.
    Write,
    /// A direct read.
    Read,
    /// A message over loopback and back.
    RoundTrip,
    /// The same through the runtime that torc runs on.
    RoundTripOfRuntime,
    /// A request of this generator, to a server that does nothing.
    Generator,
}

/// Resident memory of the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// When it was read.
    pub when: String,
    /// Bytes in memory.
    pub resident_bytes: u64,
    /// The most there ever were.
    pub peak_bytes: u64,
}

impl Report {
    /// A report with no figures yet.
    pub fn new(host: Host, command: String, began_unix_us: u64) -> Report {
        Report {
            schema: SCHEMA.to_owned(),
            host,
            command,
            began_unix_us,
            limits: Vec::new(),
            measurements: Vec::new(),
            sweep: None,
            against: None,
            without_limits: None,
            memory: Vec::new(),
            start_ms: None,
        }
    }

    /// An error if anything read was wrong, or if nothing succeeded: what a caller exits with.
    pub fn check(&self) -> anyhow::Result<()> {
        for measurement in &self.measurements {
            let name = &measurement.name;
            if let Some(verified) = &measurement.verify {
                let (wrong, example) = (verified.wrong, verified.examples.first().map_or("", String::as_str));
                ensure!(wrong == 0, "{name}: {wrong} wrong reads of {}: {example}", verified.checked);
            }
            for operation in &measurement.operations {
                let errors = &operation.errors;
                ensure!(operation.ok > 0, "{name}: no {} succeeded: {errors:?}", operation.operation);
            }
            ensure!(
                !measurement.operations.is_empty(),
                "{name}: nothing was measured; ask for a longer --duration"
            );
        }
        Ok(())
    }

    /// As JSON, indented.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain numbers and strings")
    }

    /// As tables of Markdown.
    pub fn to_markdown(&self) -> String {
        let mut out = format!("`{}` on {}\n\n", self.command, self.host);
        for table in self.tables() {
            table.markdown(&mut out);
            out.push('\n');
        }
        self.notes(&mut out);
        out
    }

    /// All tables that have something in them.
    pub(super) fn tables(&self) -> Vec<Table> {
        let tables = [
            self.operations_table(),
            self.tails_table(),
            self.sweep_table(),
            self.against_table(),
            self.stages_table(),
            self.limits_table(),
            self.facts_table(),
        ];
        tables.into_iter().filter(|table| !table.rows.is_empty()).collect()
    }

    fn operations_table(&self) -> Table {
        let mut table =
            Table::new(&["run", "operation", "per second", "p50", "p99", "p99.9", "p99.99", "max", "errors"]);
        for measurement in &self.measurements {
            for operation in &measurement.operations {
                let times = &operation.response_us;
                table.row([
                    measurement.name.clone(),
                    operation.operation.clone(),
                    grouped(operation.per_second),
                    time(times.p50),
                    time(times.p99),
                    time(times.p999),
                    time(times.p9999),
                    time(times.max),
                    grouped(operation.errors.values().sum::<u64>() as f64),
                ]);
            }
        }
        table
    }

    fn limits_table(&self) -> Table {
        let mut table = Table::new(&["physical limit", "per second", "p50", "p99", "p99.9", "max"]);
        for limit in &self.limits {
            let times = &limit.latency_us;
            let name = limit.name.clone();
            let times = [times.p50, times.p99, times.p999, times.max].map(time);
            table.rows.push([vec![name, grouped(limit.per_second)], times.to_vec()].concat());
        }
        table
    }

    /// The ends of the distributions; in closed loop as measured and as corrected.
    fn tails_table(&self) -> Table {
        let mut table = Table::new(&[
            "run",
            "operation",
            "times",
            "p50",
            "p90",
            "p99",
            "p99.9",
            "p99.99",
            "p99.999",
            "max",
        ]);
        if self.measurements.len() > MEASUREMENTS_SHOWN {
            return table;
        }
        let mut row = |name: &str, operation: &str, what: String, p: &Percentiles| {
            let times = [p.p50, p.p90, p.p99, p.p999, p.p9999, p.p99999, p.max].map(time);
            table.rows.push([vec![name.to_owned(), operation.to_owned(), what], times.to_vec()].concat());
        };
        for run in &self.measurements {
            for one in &run.operations {
                row(&run.name, &one.operation, "from when it was due".into(), &one.response_us);
                if let Some(corrected) = &one.corrected {
                    let what = format!("corrected, one every {}", time(corrected.interval_us));
                    row(&run.name, &one.operation, what, &corrected.response_us);
                } else {
                    row(&run.name, &one.operation, "from when it was sent".into(), &one.service_us);
                }
            }
        }
        table
    }

    fn sweep_table(&self) -> Table {
        let heads = ["asked for, per second", "reached", "p50", "p99", "p99.9", "max", "errors", ""];
        let mut table = Table::new(&heads);
        let Some(sweep) = &self.sweep else { return table };
        for (index, point) in sweep.points.iter().enumerate() {
            let mark = match point {
                _ if sweep.knee == Some(index) => "the knee",
                point if !point.is_reached() => "not reached",
                _ => "",
            };
            table.row([
                grouped(point.asked_per_second),
                grouped(point.reached_per_second),
                time(point.p50_us),
                time(point.p99_us),
                time(point.p999_us),
                time(point.max_us),
                grouped(point.errors as f64),
                mark.to_owned(),
            ]);
        }
        table
    }

    fn against_table(&self) -> Table {
        let mut table = Table::new(&["B / A", "ratio", "95 % from", "to", ""]);
        let Some(against) = &self.against else { return table };
        for ratio in &against.ratios {
            let sure = if ratio.is_sure() { "a difference" } else { "no difference was shown" };
            let [middle, low, high] = [ratio.ratio, ratio.low, ratio.high].map(|ratio| format!("{ratio:.3}"));
            table.row([ratio.figure.clone(), middle, low, high, sure.to_owned()]);
        }
        table
    }

    fn stages_table(&self) -> Table {
        let mut table = Table::new(&["run", "operation", "stage in the server", "mean", "p50", "p99"]);
        if self.measurements.len() > MEASUREMENTS_SHOWN {
            return table;
        }
        for (run, one) in
            self.measurements.iter().flat_map(|run| run.operations.iter().map(move |one| (run, one)))
        {
            for stage in one.stages.iter().flat_map(|stages| &stages.stages) {
                let times =
                    [stage.mean_us, stage.p50_us, stage.p99_us].map(|micros| format!("{micros:.1} µs"));
                let names = vec![run.name.clone(), one.operation.clone(), stage.stage.clone()];
                table.rows.push([names, times.to_vec()].concat());
            }
        }
        table
    }

    /// How far the figures are from what the hardware takes for the same: a round trip for a read, and a durable write besides for a write.
    /// In closed loop with as many connections, and at most four writes in flight, as a log has them; in open loop with one of each.
    fn distances(&self) -> Vec<(String, String)> {
        let mut distances = Vec::new();
        for run in &self.measurements {
            let depth = if run.rate.is_some() { 1 } else { run.connections };
            let limit = |work, depth: usize| {
                self.limits
                    .iter()
                    .filter(|limit| limit.work == work && limit.depth <= depth)
                    .max_by_key(|limit| limit.depth)
            };
            let (Some(write), Some(trip)) =
                (limit(LimitWork::Write, depth.min(LOG_WRITES_MAX)), limit(LimitWork::RoundTrip, depth))
            else {
                continue;
            };
            for one in &run.operations {
                let reads = ["GetItem", "Query", "BatchGetItem"].contains(&one.operation.as_str());
                let (least, what) = match reads {
                    true => (trip.latency_us.p50, "round trip"),
                    false => (trip.latency_us.p50 + write.latency_us.p50, "round trip and write"),
                };
                let p50 = one.response_us.p50;
                let (ratio, p50, least) = (p50 / least, time(p50), time(least));
                let name = format!("{}: {} p50 over its limit", run.name, one.operation);
                distances.push((name, format!("{ratio:.1} = {p50} / {least} ({what})")));
            }
            if run.rate.is_none() && trip.depth == run.connections {
                let (found, limit) = (run.per_second, trip.per_second);
                let name = format!("{}: throughput over its limit", run.name);
                distances.push((
                    name,
                    format!("{:.2} = {} / {} (round trips)", found / limit, grouped(found), grouped(limit)),
                ));
            }
        }
        distances
    }

    /// What the generator itself can do and adds.
    fn own_limits(&self) -> Vec<(String, String)> {
        let of = |work| self.limits.iter().filter(move |limit| limit.work == work);
        let most = of(LimitWork::Generator).map(|limit| limit.per_second).fold(0.0, f64::max);
        let mut facts = Vec::new();
        if most > 0.0 {
            let rate = format!("{} a second, server that does nothing included", grouped(most));
            facts.push(("the generator's own most".to_owned(), rate));
        }
        let alone = of(LimitWork::Generator).find(|limit| limit.depth == 1);
        if let (Some(own), Some(trip)) = (alone, of(LimitWork::RoundTrip).find(|limit| limit.depth == 1)) {
            let (own, trip) = (&own.latency_us, &trip.latency_us);
            let added = |own: f64, trip: f64| time((own - trip).max(0.0));
            let text = format!(
                "p50 {}, p99 {} over a raw round trip",
                added(own.p50, trip.p50),
                added(own.p99, trip.p99)
            );
            facts.push(("the generator and an idle HTTP server add".to_owned(), text));
        }
        facts
    }

    fn facts_table(&self) -> Table {
        let mut table = Table::new(&["fact", "value"]);
        if let Some(start_ms) = self.start_ms {
            table.row(["start to first answer, empty directory".to_owned(), format!("{start_ms:.1} ms")]);
        }
        for (name, distance) in self.distances().into_iter().chain(self.own_limits()) {
            table.row([name, distance]);
        }
        if let Some(sweep) = &self.sweep {
            let rate = |rate: f64| format!("{} a second", grouped(rate));
            table.row(["capacity in closed loop".to_owned(), rate(sweep.capacity_per_second)]);
            let knee = sweep.knee.map(|index| rate(sweep.points[index].asked_per_second));
            table.row([
                "knee".to_owned(),
                knee.unwrap_or_else(|| "none: too few rates were reached".to_owned()),
            ]);
            let saturated = sweep.saturated_per_second.map(rate);
            table.row(["first rate not reached".to_owned(), saturated.unwrap_or_else(|| "none".to_owned())]);
        }
        for memory in &self.memory {
            let bytes = format!("{} MiB", grouped(memory.resident_bytes as f64 / f64::from(1 << 20)));
            table.row([format!("resident memory, {}", memory.when), bytes]);
        }
        table
    }

    /// What belongs to single runs and fits no table: errors by code, verification, what was due and not reached.
    pub(super) fn notes(&self, out: &mut String) {
        if let Some(against) = &self.against {
            let Against { a, b, rounds, .. } = against;
            out.push_str(&format!(
                "A is {a}, B is {b}; {} rounds in turn; intervals by Student's t over the logarithms of the rounds' ratios\n",
                rounds.len()
            ));
        }
        if let Some(why) = &self.without_limits {
            out.push_str(&format!("no physical limits: {why}\n"));
        }
        let kinds = || {
            self.measurements
                .iter()
                .flat_map(|run| run.operations.iter().filter_map(|one| one.stages.as_ref()))
        };
        if kinds().any(|stages| stages.silent > 0) && kinds().all(|stages| stages.count == 0) {
            out.push_str(
                "the endpoint does not send stages: it answered x-torc-trace requests without that header\n",
            );
        }
        if self.measurements.len() > MEASUREMENTS_SHOWN {
            return;
        }
        for measurement in &self.measurements {
            let name = &measurement.name;
            for operation in &measurement.operations {
                for (code, count) in &operation.errors {
                    out.push_str(&format!("{name}: {count} {} failed: {code}\n", operation.operation));
                }
            }
            if let Some(Verified { checked, wrong, examples }) = &measurement.verify {
                out.push_str(&format!(
                    "{name}: {checked} reads compared with what was acknowledged, {wrong} wrong\n"
                ));
                examples.iter().for_each(|example| out.push_str(&format!("{name}: WRONG: {example}\n")));
            }
            out.push_str(&format!("{name}: {:.1} s, seed {}\n", measurement.seconds, measurement.seed));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = format!("{}\n\n", self.host);
        for table in self.tables() {
            table.text(&mut out);
            out.push('\n');
        }
        self.notes(&mut out);
        f.write_str(out.trim_end())
    }
}

impl Measurement {
    /// The figures of a run of `plan`, called `name`.
    pub fn new(name: &str, plan: &Plan, counted: &Counted) -> Measurement {
        let recorder = &counted.recorder;
        let seconds = recorder.span().as_secs_f64();
        let mut all = histogram();
        let mut ok = 0;
        for stats in recorder.kinds.values() {
            all.add(&stats.response).expect("the same bounds everywhere");
            ok += stats.ok;
        }
        let operation = |(kind, stats): (&Kind, &Stats)| Operation {
            stages: recorder.stages.get(kind).map(StageTimes::new),
            ..Operation::new(plan, *kind, stats, seconds)
        };
        Measurement {
            name: name.to_owned(),
            endpoint: match &plan.native {
                Some(native) => format!("{}, torc's own protocol at {}", plan.target.url(), native.address),
                None => plan.target.url(),
            },
            item_bytes: plan.sizes.lay_out().mean(),
            item_sizes: plan.sizes.to_string(),
            keys: plan.key_count,
            connections: plan.connections,
            client_cores: plan.cores,
            rate: plan.pace.rate(),
            seconds,
            seed: plan.seed.unwrap_or_default(),
            per_second: per_second(ok, seconds),
            response_us: Percentiles::of(&all),
            operations: recorder.kinds.iter().map(operation).collect(),
            series: recorder.series.as_ref().map(Second::all).unwrap_or_default(),
            log: String::new(),
            verify: counted.findings.as_ref().map(Verified::new),
        }
    }

    /// Operations of any kind that did not succeed.
    pub fn errors(&self) -> u64 {
        self.operations.iter().flat_map(|operation| operation.errors.values()).sum()
    }
}

fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

impl Operation {
    fn new(plan: &Plan, kind: Kind, stats: &Stats, seconds: f64) -> Operation {
        let corrected = (plan.pace == Pace::Closed && plan.work != Work::Load).then(|| {
            let median = Duration::from_nanos(stats.response.value_at_quantile(0.5));
            let interval = plan.expected_interval.unwrap_or(median).max(Duration::from_micros(1));
            (interval, corrected(&stats.response, interval))
        });
        let shown = corrected.as_ref().map_or(&stats.response, |(_, histogram)| histogram);
        Operation {
            operation: kind.name().to_owned(),
            ok: stats.ok,
            items: stats.items,
            errors: stats.errors.clone(),
            per_second: per_second(stats.ok, seconds),
            response_us: Percentiles::of(&stats.response),
            service_us: Percentiles::of(&stats.service),
            curve: curve(shown),
            corrected: corrected.map(|(interval, histogram)| Corrected {
                interval_us: interval.as_secs_f64() * 1e6,
                response_us: Percentiles::of(&histogram),
            }),
            stages: None,
        }
    }
}

/// The times and those of the questions that would have been asked every `interval` while an answer was late.
fn corrected(times: &Histogram<u64>, interval: Duration) -> Histogram<u64> {
    let mut sum = histogram();
    let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
    for at in times.iter_recorded() {
        let (nanos, count) = (at.value_iterated_to(), at.count_at_value());
        sum.saturating_record_n(nanos, count);
        let mut left = nanos;
        while left >= 2 * interval {
            left -= interval;
            sum.saturating_record_n(left, count);
        }
    }
    sum
}

/// How much of a distribution is not above how many microseconds: ten points for each nine.
fn curve(times: &Histogram<u64>) -> Vec<(f64, f64)> {
    if times.is_empty() {
        return Vec::new();
    }
    let points = (0..).map(|step| 1.0 - 10f64.powf(-f64::from(step) / 10.0));
    let rest = |quantile: f64| (1.0 - quantile) * times.len() as f64;
    let points = points.take_while(|quantile| rest(*quantile) >= 0.5 && *quantile < 0.999_999_5);
    points.map(|quantile| (quantile, times.value_at_quantile(quantile) as f64 / 1000.0)).collect()
}

impl Second {
    /// All that there were, of all kinds together.
    fn all(series: &Series) -> Vec<Second> {
        let width = series.width().as_secs_f64();
        let seconds = series.all_kinds().into_iter().map(|(number, piece)| {
            let times = Percentiles::of(&piece.histogram());
            Second {
                at: number as f64 * width,
                ok_per_second: piece.ok as f64 / width,
                errors_per_second: piece.errors as f64 / width,
                p50_us: times.p50,
                p99_us: times.p99,
                max_us: times.max,
            }
        });
        seconds.collect()
    }
}

impl StageTimes {
    fn new(found: &Stages) -> StageTimes {
        let micros = |nanos: u64| nanos as f64 / 1000.0;
        let stage = |(stage, times): &(String, stages::StageTimes)| StageTime {
            stage: stage.clone(),
            mean_us: micros(times.sum_ns) / found.count as f64,
            p50_us: micros(times.histogram.value_at_quantile(0.5)),
            p99_us: micros(times.histogram.value_at_quantile(0.99)),
        };
        StageTimes {
            count: found.count,
            silent: found.silent,
            stages: found.times.iter().map(stage).collect(),
        }
    }
}

impl Verified {
    fn new(findings: &Findings) -> Verified {
        let Findings { checked, wrong, examples } = findings.clone();
        Verified { checked, wrong, examples }
    }
}

impl Percentiles {
    /// Of a histogram of nanoseconds.
    pub fn of(histogram: &Histogram<u64>) -> Percentiles {
        if histogram.is_empty() {
            return Percentiles::default();
        }
        let micros = |nanos: u64| nanos as f64 / 1000.0;
        let at = |quantile| micros(histogram.value_at_quantile(quantile));
        Percentiles {
            count: histogram.len(),
            min: micros(histogram.min()),
            mean: histogram.mean() / 1000.0,
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            p99999: at(0.99999),
            max: micros(histogram.max()),
        }
    }
}

/// Rows of words under a heading.
pub(super) struct Table {
    pub(super) heads: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    fn new(heads: &[&str]) -> Table {
        Table { heads: heads.iter().map(|head| (*head).to_owned()).collect(), rows: Vec::new() }
    }

    fn row<const COUNT: usize>(&mut self, cells: [String; COUNT]) {
        assert_eq!(COUNT, self.heads.len());
        self.rows.push(cells.to_vec());
    }

    fn markdown(&self, out: &mut String) {
        let mut line = |cells: &[String]| out.push_str(&format!("| {} |\n", cells.join(" | ")));
        line(&self.heads);
        let rule = |index| if index == 0 { "---".to_owned() } else { "---:".to_owned() };
        line(&(0..self.heads.len()).map(rule).collect::<Vec<_>>());
        self.rows.iter().for_each(|row| line(row));
    }

    /// Columns as wide as their widest cell, the first to the left, the others to the right.
    fn text(&self, out: &mut String) {
        let lines = || std::iter::once(&self.heads).chain(&self.rows);
        let width = |column: usize| lines().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.heads.len()).map(width).collect();
        for line in lines() {
            let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            out.push('\n');
        }
    }
}

/// Microseconds in the unit that reads best.
pub(super) fn time(micros: f64) -> String {
    match micros {
        m if m < 1000.0 => format!("{m:.0} µs"),
        m if m < 1_000_000.0 => format!("{:.2} ms", m / 1e3),
        m => format!("{:.2} s", m / 1e6),
    }
}

/// A whole number with its thousands apart: 25,113.
pub(super) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests;
