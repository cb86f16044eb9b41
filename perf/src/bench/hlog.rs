//! A run as an HdrHistogram interval log, version 2 of its encoding: for HdrHistogram's own tools.
//!
//! One line for each second and kind of operation, tagged with the kind: times from when operations were due, in nanoseconds; the log says
//! its maxima in milliseconds. `HistogramLogProcessor -i latency.hlog -tag GetItem` reads it.

use std::time::SystemTime;

use anyhow::{Context, anyhow};
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use super::recorder::Recorder;

/// Nanoseconds of a millisecond, in which logs say their maxima.
const MAX_VALUE_DIVISOR: f64 = 1e6;

/// The time of day, for a log's beginning.
#[expect(clippy::disallowed_methods, reason = "between two runtimes")]
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// The log of a measurement that began at `began`.
pub fn write(name: &str, began: SystemTime, recorder: &Recorder) -> anyhow::Result<String> {
    let Some(series) = &recorder.series else { return Ok(String::new()) };
    let (mut text, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
    let mut builder = IntervalLogWriterBuilder::new();
    builder.add_comment(&format!("torc bench: {name}; nanoseconds from when an operation was due"));
    builder.with_start_time(began).with_base_time(began).with_max_value_divisor(MAX_VALUE_DIVISOR);
    let mut log = builder.begin_log_with(&mut text, &mut serializer).context("a log in memory")?;
    for (kind, pieces) in &series.past {
        let tag = kind.name().replace(' ', "-");
        for (number, piece) in pieces {
            let begin = series.width() * u32::try_from(*number).unwrap_or(u32::MAX);
            let tag = Tag::new(&tag).expect("kinds have no commas in them");
            let written = log.write_histogram(&piece.histogram(), begin, series.width(), Some(tag));
            written.map_err(|error| anyhow!("HdrHistogram log: {error:?}"))?;
        }
    }
    String::from_utf8(text).context("logs are ASCII")
}

#[cfg(test)]
mod tests;
