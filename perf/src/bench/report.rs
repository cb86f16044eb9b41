//! What a run has found, for people and for programs: the same facts as a table, as Markdown and as JSON.
//!
//! Latencies are microseconds, throughput is operations a second that succeeded. `schema` names the shape of the JSON;
//! a field may be added under the same name, a changed meaning takes a new one.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::ensure;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::generator::Counted;
use super::host::Host;
use super::options::Plan;
use super::recorder::Stats;
use super::schedule::Pace;
use super::verify::Findings;

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
    /// Bytes of one item.
    pub item_bytes: usize,
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
    /// By kind of operation.
    pub operations: Vec<Operation>,
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
    pub p99: f64,
    pub p999: f64,
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
    /// A message over loopback and back.
    RoundTrip,
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

    fn tables(&self) -> Vec<Table> {
        let tables = [self.operations_table(), self.limits_table(), self.facts_table()];
        tables.into_iter().filter(|table| !table.rows.is_empty()).collect()
    }

    fn operations_table(&self) -> Table {
        let mut table =
            Table::new(&["run", "operation", "per second", "p50", "p99", "p99.9", "max", "errors"]);
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

    /// How far the figures of one connection are from what the hardware takes for the same: a round trip for a read,
    /// and a durable write besides for a write.
    fn distances(&self) -> Vec<(String, String)> {
        let limit = |work| self.limits.iter().find(|limit| limit.work == work && limit.depth == 1);
        let (Some(write), Some(trip)) = (limit(LimitWork::Write), limit(LimitWork::RoundTrip)) else {
            return Vec::new();
        };
        let (write, trip) = (write.latency_us.p50, trip.latency_us.p50);
        let alone = self.measurements.iter().filter(|measurement| measurement.connections == 1);
        let distance = |name: &str, operation: &Operation| {
            let (least, what) = match operation.operation.as_str() {
                "GetItem" => (trip, "round trip"),
                _ => (trip + write, "round trip and write"),
            };
            let p50 = operation.response_us.p50;
            let (ratio, p50, least) = (p50 / least, time(p50), time(least));
            (format!("{name}: p50 over its limit"), format!("{ratio:.1} = {p50} / {least} ({what})"))
        };
        let distances = alone.flat_map(|run| run.operations.iter().map(move |one| distance(&run.name, one)));
        distances.collect()
    }

    fn facts_table(&self) -> Table {
        let mut table = Table::new(&["fact", "value"]);
        if let Some(start_ms) = self.start_ms {
            table.row(["start to first answer, empty directory".to_owned(), format!("{start_ms:.1} ms")]);
        }
        for (name, distance) in self.distances() {
            table.row([name, distance]);
        }
        for memory in &self.memory {
            let bytes = format!("{} MiB", grouped(memory.resident_bytes as f64 / f64::from(1 << 20)));
            table.row([format!("resident memory, {}", memory.when), bytes]);
        }
        table
    }

    /// What belongs to single runs and fits no table: errors by code, verification, what was due and not reached.
    fn notes(&self, out: &mut String) {
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
        let seconds = counted.recorder.span().as_secs_f64();
        let operations = counted.recorder.kinds.iter();
        Measurement {
            name: name.to_owned(),
            item_bytes: plan.item_bytes,
            keys: plan.key_count,
            connections: plan.connections,
            client_cores: plan.cores,
            rate: match plan.pace {
                Pace::Closed => None,
                Pace::Constant { per_second } | Pace::Poisson { per_second } => Some(per_second),
            },
            seconds,
            seed: plan.seed.unwrap_or_default(),
            operations: operations.map(|(kind, stats)| Operation::new(kind.name(), stats, seconds)).collect(),
            verify: counted.findings.as_ref().map(Verified::new),
        }
    }
}

impl Operation {
    fn new(name: &str, stats: &Stats, seconds: f64) -> Operation {
        Operation {
            operation: name.to_owned(),
            ok: stats.ok,
            items: stats.items,
            errors: stats.errors.clone(),
            per_second: if seconds > 0.0 { stats.ok as f64 / seconds } else { 0.0 },
            response_us: Percentiles::of(&stats.response),
            service_us: Percentiles::of(&stats.service),
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
            p99: at(0.99),
            p999: at(0.999),
            max: micros(histogram.max()),
        }
    }
}

/// Rows of words under a heading.
struct Table {
    heads: Vec<String>,
    rows: Vec<Vec<String>>,
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
fn time(micros: f64) -> String {
    match micros {
        m if m < 1000.0 => format!("{m:.0} µs"),
        m if m < 1_000_000.0 => format!("{:.2} ms", m / 1e3),
        m => format!("{:.2} s", m / 1e6),
    }
}

/// A whole number with its thousands apart: 25,113.
fn grouped(number: f64) -> String {
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
