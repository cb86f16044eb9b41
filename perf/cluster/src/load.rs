//! Writers and readers: each asks as soon as it was answered, and notes how long that took.

use std::ops::Range;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// One connection that writes and reads.
pub trait Writer {
    /// Writes a value under the key of this number; returns when it is acknowledged.
    async fn put(&mut self, key: u64) -> anyhow::Result<()>;

    /// Reads the value under the key of this number, which was written.
    async fn get(&mut self, key: u64) -> anyhow::Result<()>;
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Writes.
    Put,
    /// Reads of the keys below [`KEYS_READ`], which [`fill`] wrote.
    Get,
}

/// What one measurement found.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Figures {
    /// Acknowledged writes per second.
    pub per_second: f64,
    /// Microseconds.
    pub p50: f64,
    /// Microseconds.
    pub p99: f64,
    /// Microseconds.
    pub p999: f64,
}

/// Keys that are written: enough that writers rarely meet.
const KEYS: u64 = 100_000;

/// Keys that are read.
pub const KEYS_READ: u64 = 10_000;

/// How long to write before anything is counted.
const WARM_UP: Duration = Duration::from_millis(500);

/// Writes all keys that are read.
pub async fn fill<W: Writer + 'static>(writers: Vec<W>) -> anyhow::Result<()> {
    let local = tokio::task::LocalSet::new();
    let count = writers.len();
    let tasks: Vec<_> = writers
        .into_iter()
        .enumerate()
        .map(|(number, mut writer)| {
            local.spawn_local(async move {
                for key in (number as u64..KEYS_READ).step_by(count) {
                    writer.put(key).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    local
        .run_until(async {
            for task in tasks {
                task.await??;
            }
            Ok(())
        })
        .await
}

/// Has every writer write for `duration`.
pub async fn run<W: Writer + 'static>(writers: Vec<W>, duration: Duration) -> anyhow::Result<Figures> {
    drive(writers, Verb::Put, duration).await
}

/// Has everybody do the same for `duration`.
pub async fn drive<W: Writer + 'static>(
    writers: Vec<W>,
    verb: Verb,
    duration: Duration,
) -> anyhow::Result<Figures> {
    let begin = Instant::now() + WARM_UP;
    let end = begin + duration;
    let local = tokio::task::LocalSet::new();
    let results = local
        .run_until(async move {
            let tasks: Vec<_> = writers
                .into_iter()
                .enumerate()
                .map(|(number, writer)| {
                    tokio::task::spawn_local(lane(writer, verb, number as u64, begin..end))
                })
                .collect();
            let mut results = Vec::new();
            for task in tasks {
                results.push(task.await);
            }
            results
        })
        .await;
    let mut all = empty();
    for result in results {
        all.add(result??)?;
    }
    ensure!(!all.is_empty(), "nothing was acknowledged within {duration:?}");
    Ok(Figures {
        per_second: all.len() as f64 / duration.as_secs_f64(),
        p50: micros(&all, 0.5),
        p99: micros(&all, 0.99),
        p999: micros(&all, 0.999),
    })
}

async fn lane<W: Writer>(
    mut writer: W,
    verb: Verb,
    number: u64,
    time: Range<Instant>,
) -> anyhow::Result<Histogram<u64>> {
    let mut latencies = empty();
    let mut draw = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    loop {
        // xorshift64: the same keys in every run.
        draw ^= draw << 13;
        draw ^= draw >> 7;
        draw ^= draw << 17;
        let asked = Instant::now();
        if asked >= time.end {
            return Ok(latencies);
        }
        match verb {
            Verb::Put => writer.put(draw % KEYS).await?,
            Verb::Get => writer.get(draw % KEYS_READ).await?,
        }
        if asked >= time.start {
            latencies.record(u64::try_from(asked.elapsed().as_nanos())?)?;
        }
    }
}

fn empty() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are few enough")
}

fn micros(latencies: &Histogram<u64>, quantile: f64) -> f64 {
    latencies.value_at_quantile(quantile) as f64 / 1000.0
}

/// The figures in the middle: each figure's median.
pub fn medians(runs: &[Figures]) -> Figures {
    let middle = |of: fn(&Figures) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Figures {
        per_second: middle(|run| run.per_second),
        p50: middle(|run| run.p50),
        p99: middle(|run| run.p99),
        p999: middle(|run| run.p999),
    }
}

/// A value that compresses badly.
pub fn value(bytes: u32) -> Rc<[u8]> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    (0..bytes)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect()
}
