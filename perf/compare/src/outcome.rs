//! What one process found.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Figures by name; `names` has those that mean the same for all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// By name.
    pub figures: BTreeMap<String, f64>,
}

/// Names of figures.
pub mod names {
    pub const PER_SECOND: &str = "per_second";
    pub const P50_US: &str = "p50_us";
    pub const P99_US: &str = "p99_us";
    pub const P999_US: &str = "p999_us";
    pub const MAX_US: &str = "max_us";
    /// Share of gets that needed no device read, 0 to 1.
    pub const WITHOUT_READ: &str = "without_read";
    /// Device reads per get.
    pub const READS_PER_GET: &str = "reads_per_get";
    /// Operations that were asked for, a second.
    pub const ASKED_PER_SECOND: &str = "asked_per_second";
    /// Bytes written to the device beside or by the workload, a second.
    pub const WRITTEN_PER_SECOND: &str = "device_written_per_second";
    pub const LOAD_SECONDS: &str = "load_seconds";
    pub const OVERWRITE_SECONDS: &str = "overwrite_seconds";
    pub const SETTLE_SECONDS: &str = "settle_seconds";
    /// Bytes written to the device per byte of keys and values.
    pub const WRITE_AMPLIFICATION: &str = "write_amplification";
    /// Bytes on disk per byte of live keys and values: at the end, and at its most.
    pub const SPACE_AMPLIFICATION: &str = "space_amplification";
    pub const SPACE_AMPLIFICATION_MAX: &str = "space_amplification_max";
    /// Resident bytes at their most.
    pub const MEMORY_BYTES_MAX: &str = "memory_bytes_max";
    pub const LOG_BYTES_PER_SECOND: &str = "log_bytes_per_second";
    pub const SECONDS: &str = "seconds";
}

impl Outcome {
    /// With one more figure.
    pub fn with(mut self, name: &str, value: f64) -> Outcome {
        self.figures.insert(name.to_owned(), value);
        self
    }

    /// A figure.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.figures.get(name).copied()
    }

    /// The median of each figure that all have.
    pub fn median(outcomes: &[Outcome]) -> Outcome {
        let mut median = Outcome::default();
        for name in outcomes.iter().flat_map(|outcome| outcome.figures.keys()) {
            let mut values: Vec<f64> = outcomes.iter().filter_map(|outcome| outcome.get(name)).collect();
            values.sort_by(f64::total_cmp);
            median.figures.insert(name.clone(), values[(values.len() - 1) / 2]);
        }
        median
    }
}

/// Times of operations.
pub struct Times {
    nanos: Histogram<u64>,
}

impl Default for Times {
    fn default() -> Times {
        let nanos = Histogram::new_with_bounds(1, 3_600_000_000_000, 3).expect("bounds that make sense");
        Times { nanos }
    }
}

impl Times {
    /// One more.
    pub fn record(&mut self, time: Duration) {
        self.nanos.saturating_record(time.as_nanos() as u64);
    }

    /// Those of another lane, too.
    pub fn add(&mut self, other: &Times) {
        self.nanos.add(&other.nanos).expect("the same bounds");
    }

    /// As an outcome, for work that took `elapsed`.
    pub fn outcome(&self, elapsed: Duration) -> Outcome {
        let micros = |quantile| self.nanos.value_at_quantile(quantile) as f64 / 1000.0;
        Outcome::default()
            .with(names::PER_SECOND, self.nanos.len() as f64 / elapsed.as_secs_f64())
            .with(names::P50_US, micros(0.5))
            .with(names::P99_US, micros(0.99))
            .with(names::P999_US, micros(0.999))
            .with(names::MAX_US, self.nanos.max() as f64 / 1000.0)
    }
}
