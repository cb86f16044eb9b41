//! The table: figures side by side, ratios, goals.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::contender::Contender;
use crate::host::Host;
use crate::options::Sizes;
use crate::outcome::{Outcome, names};
use crate::workload::Workload;
use crate::{ours, peers};

/// What was found, by workload and contender.
pub type Results = BTreeMap<Workload, BTreeMap<Contender, Outcome>>;

/// One run.
#[derive(Serialize, Deserialize)]
pub struct Report {
    /// When it ended.
    pub unix_seconds: u64,
    /// The command line behind the program's name.
    pub command: String,
    /// Where.
    pub host: Host,
    /// The cpu that all engines ran on.
    pub cpu: usize,
    /// How much.
    pub sizes: Sizes,
    /// What.
    pub results: Results,
}

/// How a figure is shown.
#[derive(Clone, Copy)]
enum Unit {
    PerSecond,
    Micros,
    Seconds,
    Times,
    Percent,
    Mebibytes,
    MegabytesPerSecond,
}

/// Whether more is better.
#[derive(Clone, Copy, PartialEq)]
enum Better {
    More,
    Less,
}

/// What we want of torc's figure.
#[derive(Clone, Copy)]
enum Goal {
    /// Nothing: it explains another line.
    None,
    /// At most so many times the device's.
    WithinDevice(f64),
    /// At least so much of the device's.
    ShareOfDevice(f64),
    /// Better than RocksDB by this factor.
    BeatsRocksDb(f64),
    /// Better than both peers.
    BeatsBoth,
    /// At least this.
    AtLeast(f64),
}

struct Line {
    workload: Workload,
    what: &'static str,
    figure: &'static str,
    unit: Unit,
    better: Better,
    goal: Goal,
}

const LINES: &[Line] = {
    use Better::{Less, More};
    use Goal::{AtLeast, BeatsBoth, BeatsRocksDb, None, ShareOfDevice, WithinDevice};
    use Unit::{Mebibytes, MegabytesPerSecond, Micros, PerSecond, Percent, Seconds, Times};
    use Workload::{GetAbsent, GetCached, GetUncached, Load, Mix, PutAlone, PutTogether, Restart, Scan};
    const fn line(
        workload: Workload,
        what: &'static str,
        figure: &'static str,
        unit: Unit,
        better: Better,
        goal: Goal,
    ) -> Line {
        Line { workload, what, figure, unit, better, goal }
    }
    &[
        line(PutAlone, "durable puts, 1 writer", names::PER_SECOND, PerSecond, More, WithinDevice(1.3)),
        line(PutAlone, "p50", names::P50_US, Micros, Less, None),
        line(PutAlone, "p99", names::P99_US, Micros, Less, None),
        line(PutTogether, "durable puts, 64 writers", names::PER_SECOND, PerSecond, More, BeatsRocksDb(3.0)),
        line(PutTogether, "p50", names::P50_US, Micros, Less, None),
        line(PutTogether, "p99", names::P99_US, Micros, Less, BeatsRocksDb(3.0)),
        line(GetCached, "cached gets", names::PER_SECOND, PerSecond, More, BeatsBoth),
        line(GetCached, "p99", names::P99_US, Micros, Less, None),
        line(GetUncached, "uncached random gets", names::PER_SECOND, PerSecond, More, ShareOfDevice(0.85)),
        line(GetUncached, "p99", names::P99_US, Micros, Less, None),
        line(GetUncached, "device reads per get", names::READS_PER_GET, Times, Less, None),
        line(GetAbsent, "gets of absent keys", names::PER_SECOND, PerSecond, More, None),
        line(GetAbsent, "answered without a read", names::WITHOUT_READ, Percent, More, AtLeast(0.99)),
        line(Scan, "scans of 100", names::PER_SECOND, PerSecond, More, BeatsBoth),
        line(Scan, "p99", names::P99_US, Micros, Less, None),
        line(Mix, "50/50 Zipf mix, asked for", names::ASKED_PER_SECOND, PerSecond, More, None),
        line(Mix, "done", names::PER_SECOND, PerSecond, More, None),
        line(Mix, "p50", names::P50_US, Micros, Less, None),
        line(Mix, "p99", names::P99_US, Micros, Less, None),
        line(Mix, "p99.9", names::P999_US, Micros, Less, BeatsRocksDb(3.0)),
        line(Mix, "flat out", "flat_out_per_second", PerSecond, More, None),
        line(Mix, "device writes", names::WRITTEN_PER_SECOND, MegabytesPerSecond, Less, None),
        line(Load, "load", names::LOAD_SECONDS, Seconds, Less, BeatsBoth),
        line(Load, "overwrite all", names::OVERWRITE_SECONDS, Seconds, Less, BeatsBoth),
        line(Load, "settle", names::SETTLE_SECONDS, Seconds, Less, None),
        line(Load, "write amplification", names::WRITE_AMPLIFICATION, Times, Less, BeatsBoth),
        line(Load, "read amplification (reads per get)", names::READS_PER_GET, Times, Less, BeatsBoth),
        line(Load, "space amplification", names::SPACE_AMPLIFICATION, Times, Less, BeatsBoth),
        line(Load, "space amplification at its most", names::SPACE_AMPLIFICATION_MAX, Times, Less, None),
        line(Load, "peak memory", names::MEMORY_BYTES_MAX, Mebibytes, Less, BeatsBoth),
        line(
            Restart,
            "restart, log per second",
            names::LOG_BYTES_PER_SECOND,
            MegabytesPerSecond,
            More,
            AtLeast(500e6),
        ),
        line(Restart, "seconds", names::SECONDS, Seconds, Less, None),
    ]
};

impl Report {
    /// The table for a terminal.
    pub fn text(&self) -> String {
        let rows = self.rows();
        let mut widths = [0; 8];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        let mut text = format!("\n{}\n\n", self.place());
        for row in &rows {
            for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
                // Names to the left, numbers to the right.
                if at < 1 || at > 6 {
                    _ = write!(text, "{cell:<width$}  ");
                } else {
                    _ = write!(text, "{cell:>width$}  ");
                }
            }
            text.truncate(text.trim_end_matches(' ').len());
            text.push('\n');
        }
        text
    }

    /// The table and what one has to know to read it.
    pub fn markdown(&self) -> String {
        let mut text = format!("{}\n\n", self.place());
        for (at, row) in self.rows().iter().enumerate() {
            _ = writeln!(text, "| {} |", row.join(" | "));
            if at == 0 {
                text.push_str("|---|---:|---:|---:|---:|---:|---:|---|\n");
            }
        }
        let sizes = &self.sizes;
        _ = write!(
            text,
            "\nKeys of {key} bytes, values of {value} ({restart} in workload 9). Workloads 1 to 6: medians of {repeats} measurements of {seconds} s, \
             contenders in turn. Memtables of {memtable} MiB, three at most; blocks of 4 KiB; no compression. (1), (2): after {warm} MiB of log. (3): {cached} keys. (4) to (6): {set} \
             keys, cache of {cache} MiB, {gets} gets and {scans} scans in flight. (7): {mix} keys, {mix_seconds} s, {beside} puts a second in \
             batches beside it, at half the pace of the slower of torc and RocksDB flat out. (8): {load} keys in durable batches of 1,000 by 4 writers. (9): {log} MiB of log, the process killed, the \
             page cache dropped.\n\n",
            key = crate::keys::KEY_BYTES,
            value = sizes.value_bytes,
            restart = sizes.restart_value_bytes,
            repeats = sizes.repeats,
            seconds = sizes.seconds,
            memtable = sizes.memtable_bytes >> 20,
            warm = sizes.warm_log_bytes >> 20,
            cached = grouped(sizes.cached_keys),
            set = grouped(sizes.set_keys),
            cache = sizes.cache_bytes >> 20,
            gets = sizes.gets_in_flight,
            scans = sizes.scans_in_flight,
            mix = grouped(sizes.mix_keys),
            mix_seconds = sizes.mix_seconds,
            beside = grouped(sizes.mix_load_per_second),
            load = grouped(sizes.load_keys),
            log = sizes.restart_log_bytes >> 20,
        );
        let described = [
            (
                "device",
                "raw io_uring, direct I/O, O_DSYNC writes in order on a prewritten file. (1): 4 KiB, 1 in flight; (2): the \
              bytes of 16 puts, 4 in flight, as puts a second; (4): 4 KiB; (6): the bytes of a scan; (8): batches, 4 in flight; (9): 256 KiB in order, 4 in flight",
            ),
            ("torc", ours::DESCRIBED),
            ("RocksDB", peers::described(Contender::RocksDb)),
            ("fjall", peers::described(Contender::Fjall)),
        ];
        for (name, how) in described {
            _ = writeln!(text, "- {name}: {how}.");
        }
        text
    }

    /// Where and when, in one line.
    fn place(&self) -> String {
        let Host { cpu, cpus, memory_gib, kernel, device, filesystem, commit, versions } = &self.host;
        format!(
            "`compare {}` at commit `{commit}`: {cpus} x {cpu}, {memory_gib:.0} GiB, Linux {kernel}, {device}, {filesystem}; every engine with \
             all its threads on cpu {}. {}.",
            self.command,
            self.cpu,
            versions.join(", "),
        )
        .replace("compare `", "compare`")
    }

    fn rows(&self) -> Vec<[String; 8]> {
        let header = ["", "device", "torc", "RocksDB", "fjall", "torc : RocksDB", "torc : fjall", "goal"];
        let mut rows = vec![header.map(str::to_owned)];
        for line in LINES {
            if let Some(outcomes) = self.results.get(&line.workload) {
                rows.extend(line.row(outcomes));
            }
        }
        rows
    }
}

impl Line {
    /// A row, if anybody has this figure.
    fn row(&self, outcomes: &BTreeMap<Contender, Outcome>) -> Option<[String; 8]> {
        let of = |contender| outcomes.get(&contender).and_then(|outcome| outcome.get(self.figure));
        let (device, torc) = (of(Contender::Device), of(Contender::Torc));
        let (rocks, fjall) = (of(Contender::RocksDb), of(Contender::Fjall));
        if [device, torc, rocks, fjall].iter().all(Option::is_none) {
            return None;
        }
        let shown = |figure: Option<f64>| figure.map_or("-".to_owned(), |figure| self.unit.show(figure));
        let ratio = |peer: Option<f64>| match (torc, peer) {
            (Some(torc), Some(peer)) if peer > 0.0 => format!("{:.2}", torc / peer),
            _ => "-".to_owned(),
        };
        Some([
            format!("({}) {}", self.workload.number(), self.what),
            shown(device),
            shown(torc),
            shown(rocks),
            shown(fjall),
            ratio(rocks),
            ratio(fjall),
            self.verdict(device, torc, rocks, fjall),
        ])
    }

    /// The goal, and whether it is reached; by how much it is missed otherwise.
    fn verdict(
        &self,
        device: Option<f64>,
        torc: Option<f64>,
        rocks: Option<f64>,
        fjall: Option<f64>,
    ) -> String {
        let Some(torc) = torc else { return String::new() };
        // How many times better than `other` torc is.
        let gain = |other: f64| if self.better == Better::More { torc / other } else { other / torc };
        let (goal, reached) = match self.goal {
            Goal::None => return String::new(),
            Goal::WithinDevice(times) => {
                let Some(device) = device else { return String::new() };
                (
                    format!("within {times} times the device: {:.2}", 1.0 / gain(device)),
                    gain(device) * times >= 1.0,
                )
            }
            Goal::ShareOfDevice(share) => {
                let Some(device) = device else { return String::new() };
                (format!("{share} of the device: {:.2}", gain(device)), gain(device) >= share)
            }
            Goal::BeatsRocksDb(times) => {
                let Some(rocks) = rocks else { return String::new() };
                (format!("{times} times better than RocksDB: {:.2}", gain(rocks)), gain(rocks) >= times)
            }
            Goal::BeatsBoth => {
                let peers = [rocks, fjall].into_iter().flatten();
                let least = peers.map(gain).fold(f64::INFINITY, f64::min);
                if least.is_infinite() {
                    return String::new();
                }
                (format!("ahead of both: {least:.2}"), least >= 1.0)
            }
            Goal::AtLeast(least) => (format!("at least {}", self.unit.show(least)), torc >= least),
        };
        format!("{goal}{}", if reached { ", reached" } else { ", MISSED" })
    }
}

impl Unit {
    fn show(self, figure: f64) -> String {
        match self {
            Unit::PerSecond => format!("{}/s", grouped(figure.round() as u64)),
            Unit::Micros if figure >= 10_000.0 => format!("{:.1} ms", figure / 1000.0),
            Unit::Micros if figure < 10.0 => format!("{figure:.2} µs"),
            Unit::Micros => format!("{figure:.0} µs"),
            Unit::Seconds => format!("{figure:.2} s"),
            Unit::Times => format!("{figure:.2}"),
            Unit::Percent => format!("{:.2} %", figure * 100.0),
            Unit::Mebibytes => format!("{:.0} MiB", figure / f64::from(1 << 20)),
            Unit::MegabytesPerSecond => format!("{:.0} MB/s", figure / 1e6),
        }
    }
}

/// 1234567 as 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
