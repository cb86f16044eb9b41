//! Where the server says that a request's time went.
//!
//! A server that keeps a ledger answers a request with `x-torc-trace: 1` by a header of the same name, in microseconds:
//!
//! ```text
//! x-torc-trace: receive;dur=1.203, parse;dur=7.870, read;dur=0.900, total;dur=15.078, follower;node=2;dur=95.400
//! ```
//!
//! What comes before `total` are stages, in order, and add up to it. What comes after it is not part of the sum.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

/// The header, of requests and of answers.
pub const HEADER: &str = "x-torc-trace";
/// Different stages that are kept.
const STAGES_MAX: usize = 32;

/// Stages of the sampled requests of one kind.
#[derive(Clone, Default)]
pub struct Stages {
    /// Requests whose stages are known.
    pub count: u64,
    /// Requests that asked for their stages and were not told.
    pub silent: u64,
    /// By name, in the order in which they come: nanoseconds.
    pub times: Vec<(String, StageTimes)>,
}

/// Times of one stage.
#[derive(Clone)]
pub struct StageTimes {
    /// Of those requests that had it.
    pub histogram: Histogram<u64>,
    /// All of them together.
    pub sum_ns: u64,
}

impl fmt::Debug for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.times.iter().map(|(name, _)| name.as_str()).collect();
        write!(f, "Stages {{ count: {}, silent: {}, {names:?} }}", self.count, self.silent)
    }
}

impl Stages {
    /// Takes note of what a request was told; `None` when it was told nothing.
    pub fn note(&mut self, header: Option<&str>) {
        let stages = header.and_then(parse);
        let Some(stages) = stages else {
            self.silent += 1;
            return;
        };
        self.count += 1;
        for (place, (name, time)) in stages.into_iter().enumerate() {
            if let Some(times) = self.stage(name, place) {
                times.add(time);
            }
        }
    }

    /// Adds what another core was told.
    pub fn merge(&mut self, other: &Stages) {
        self.count += other.count;
        self.silent += other.silent;
        for (place, (name, theirs)) in other.times.iter().enumerate() {
            if let Some(times) = self.stage(name, place) {
                times.histogram.add(&theirs.histogram).expect("the same bounds everywhere");
                times.sum_ns += theirs.sum_ns;
            }
        }
    }

    /// The times of a stage. A new one comes after those that came before it in the request that brought it.
    fn stage(&mut self, name: &str, place: usize) -> Option<&mut StageTimes> {
        let found = self.times.iter().position(|(known, _)| known == name);
        let index = match found {
            Some(index) => index,
            None if self.times.len() == STAGES_MAX => return None,
            None => {
                let index = place.min(self.times.len());
                self.times.insert(index, (name.to_owned(), StageTimes::default()));
                index
            }
        };
        Some(&mut self.times[index].1)
    }
}

impl Default for StageTimes {
    fn default() -> StageTimes {
        let histogram = Histogram::new_with_bounds(1, 60_000_000_000, 2).expect("bounds and digits in range");
        StageTimes { histogram, sum_ns: 0 }
    }
}

impl StageTimes {
    fn add(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.histogram.saturating_record(nanos.max(1));
        self.sum_ns = self.sum_ns.saturating_add(nanos);
    }
}

/// The stages of a header, without what comes after their total; `None` where it is not what it should be.
fn parse(header: &str) -> Option<Vec<(&str, Duration)>> {
    let mut stages = Vec::new();
    for entry in header.split(',') {
        let mut fields = entry.trim().split(';');
        let name = fields.next()?;
        let micros = fields.find_map(|field| field.strip_prefix("dur="))?.parse::<f64>().ok()?;
        if name == "total" {
            return Some(stages);
        }
        stages.push((name, Duration::try_from_secs_f64(micros / 1e6).ok()?));
    }
    None
}

#[cfg(test)]
mod tests;
