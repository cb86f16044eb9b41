//! Figures as Prometheus reads them: its text format, version 0.0.4.
//!
//! ```text
//! # HELP torc_log_written_bytes_total Bytes sent to the log's device.
//! # TYPE torc_log_written_bytes_total counter
//! torc_log_written_bytes_total{shard="0"} 1048576
//! ```
//!
//! 1. Each core writes a [`Figures`] of its own, a whole page, and sends it to whoever asked. No core looks into another one.
//! 2. [`merge`] makes one page of them: the samples of a family stand together, under one head.
//! 3. [`parse`] reads a page back, and refuses whatever the format does not allow: for `torc top`, and for tests of what is written.
//!
//! Names follow Prometheus' conventions: `torc_` first, base units (seconds, bytes), `_total` behind what only grows.

mod read;

pub use read::{Family, Sample, parse};

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::histogram::Histogram;

/// What the page is, for `Content-Type`.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What kind of figure a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from 0 at the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of values below bounds.
    Histogram,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// Labels of one sample.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// Bounds of the buckets that are shown of a histogram, as powers of two of nanoseconds: 512 ns to 17 s.
const BOUNDS: std::ops::RangeInclusive<u32> = 9..=34;

/// A page of one core.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    families: BTreeMap<&'static str, (Kind, &'static str, String)>,
}

impl Figures {
    /// Something that only grows.
    pub fn counter(&mut self, name: &'static str, help: &'static str, labels: Labels<'_>, value: u64) {
        assert!(name.ends_with("_total"), "{name} is a counter and must end with _total");
        let out = self.family(name, Kind::Counter, help);
        sample(out, name, labels, &[], format_args!("{value}"));
    }

    /// The same of microseconds, shown as seconds.
    pub fn seconds(&mut self, name: &'static str, help: &'static str, labels: Labels<'_>, micros: u64) {
        assert!(name.ends_with("_seconds_total"), "{name} counts seconds");
        let out = self.family(name, Kind::Counter, help);
        sample(out, name, labels, &[], format_args!("{}", micros as f64 / 1e6));
    }

    /// Something that goes up and down.
    pub fn gauge(&mut self, name: &'static str, help: &'static str, labels: Labels<'_>, value: f64) {
        assert!(!name.ends_with("_total"), "{name} is no counter");
        let out = self.family(name, Kind::Gauge, help);
        sample(out, name, labels, &[], format_args!("{value}"));
    }

    /// Times, in seconds. `parts` bounds for each power of two: 1, 2 or 4; all of them are bounds of the histogram, so the counts are exact.
    pub fn histogram(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: Labels<'_>,
        times: &Histogram,
        parts: u64,
    ) {
        assert!(name.ends_with("_seconds"), "{name} is a histogram of seconds");
        assert!(matches!(parts, 1 | 2 | 4), "bounds of the histogram's own");
        let (bucket, total, count) =
            (format!("{name}_bucket"), format!("{name}_sum"), format!("{name}_count"));
        let out = self.family(name, Kind::Histogram, help);
        for power in BOUNDS {
            for part in 0..parts {
                let bound = (1 << power) + part * ((1 << power) / parts);
                let shown = format!("{}", bound as f64 / 1e9);
                let below = times.count_below(bound);
                sample(out, &bucket, labels, &[("le", &shown)], format_args!("{below}"));
            }
        }
        sample(out, &bucket, labels, &[("le", "+Inf")], format_args!("{}", times.count()));
        sample(out, &total, labels, &[], format_args!("{}", times.sum() as f64 / 1e9));
        sample(out, &count, labels, &[], format_args!("{}", times.count()));
    }

    fn family(&mut self, name: &'static str, kind: Kind, help: &'static str) -> &mut String {
        let (known, _, out) = self.families.entry(name).or_insert((kind, help, String::new()));
        assert_eq!(*known, kind, "{name} is of one kind");
        out
    }

    /// The whole page.
    pub fn page(&self) -> String {
        let mut out = String::new();
        for (name, (kind, help, samples)) in &self.families {
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {}", kind.name());
            out.push_str(samples);
        }
        out
    }
}

fn sample(
    out: &mut String,
    name: &str,
    labels: Labels<'_>,
    more: Labels<'_>,
    value: std::fmt::Arguments<'_>,
) {
    out.push_str(name);
    for (index, (label, text)) in labels.iter().chain(more).enumerate() {
        out.push(if index == 0 { '{' } else { ',' });
        let _ = write!(out, "{label}=\"");
        for character in text.chars() {
            match character {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                other => out.push(other),
            }
        }
        out.push('"');
    }
    if !labels.is_empty() || !more.is_empty() {
        out.push('}');
    }
    let _ = writeln!(out, " {value}");
}

/// One page of several: each family once, with the samples of all.
pub fn merge<'a>(pages: impl IntoIterator<Item = &'a str>) -> String {
    let mut families: BTreeMap<&str, (&str, Vec<&str>)> = BTreeMap::new();
    for page in pages {
        for block in page.split("# HELP ").filter(|block| !block.is_empty()) {
            let name = block.split(' ').next().expect("split gives at least one part");
            // Two lines of head; a help text holds no line end.
            let samples = block.match_indices('\n').nth(1).map_or(block.len(), |(end, _)| end + 1);
            let (head, samples) = block.split_at(samples);
            families.entry(name).or_insert((head, Vec::new())).1.push(samples);
        }
    }
    let mut out = String::new();
    for (head, samples) in families.values() {
        out.push_str("# HELP ");
        out.push_str(head);
        samples.iter().for_each(|samples| out.push_str(samples));
    }
    out
}

#[cfg(test)]
mod tests;
