//! `torc ctl slow`: the slow requests that a process has kept, with where their time went.
//!
//! A process keeps the ledgers of requests that took longer than the live p99.9 of their operation, the last 128 of each core, and shows them at `/slow`, beside `/metrics`: on its
//! address for metrics, and on that of the API to who asks from the same machine.

use std::net::SocketAddr;

use anyhow::Context;
use meter::stage::Stage;
use serde::Deserialize;

use crate::inside::{AT_DEFAULT, fetch};
use crate::outside::run_alone;

/// The flags of `torc ctl slow`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// The process: where it serves metrics (--metrics), or, from the same machine and as long as there are no users, DynamoDB's API
    #[arg(long, value_name = "ADDRESS:PORT", default_value = AT_DEFAULT)]
    at: SocketAddr,

    /// Only so many, the slowest
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    limit: usize,

    /// Answer with one JSON array, the slowest first
    #[arg(long)]
    json: bool,
}

/// As `/slow` tells it.
#[derive(Deserialize)]
struct Slow {
    at: f64,
    shard: u16,
    operation: String,
    table: String,
    nanoseconds: u64,
    stages: serde_json::Map<String, serde_json::Value>,
}

/// What to print.
pub fn run(args: Args) -> anyhow::Result<String> {
    let at = args.at;
    let body = run_alone(move |rt| async move { fetch(&rt, at, "/slow").await })??;
    show(&body, args.limit, args.json)
}

fn show(body: &str, limit: usize, json: bool) -> anyhow::Result<String> {
    let mut all: Vec<serde_json::Value> =
        serde_json::from_str(body).context("what was answered is no list")?;
    all.sort_by_key(|slow| std::cmp::Reverse(slow["nanoseconds"].as_u64().unwrap_or(0)));
    all.truncate(limit);
    if json {
        return Ok(serde_json::Value::Array(all).to_string());
    }
    if all.is_empty() {
        return Ok("no request took longer than the p99.9 of its operation".to_owned());
    }
    let mut lines = vec![format!(
        "{:>12}  {:<16}  {:<24}  {:>5}  STAGES (us)",
        "TOTAL (us)", "OPERATION", "TABLE", "SHARD"
    )];
    for slow in all {
        let slow: Slow = serde_json::from_value(slow).context("an entry that is none")?;
        lines.push(line(&slow));
    }
    Ok(lines.join("\n"))
}

/// One request, its stages by what they took.
fn line(slow: &Slow) -> String {
    let micros = |nanos: u64| nanos as f64 / 1e3;
    let spent = |stage: &Stage| slow.stages.get(stage.name()).and_then(serde_json::Value::as_u64);
    let mut stages: Vec<(&str, u64)> =
        Stage::ALL.iter().filter_map(|stage| Some((stage.name(), spent(stage)?))).collect();
    stages.sort_by_key(|(_, nanos)| std::cmp::Reverse(*nanos));
    let stages: Vec<String> =
        stages.iter().map(|(name, nanos)| format!("{name} {:.1}", micros(*nanos))).collect();
    format!(
        "{:>12.1}  {:<16}  {:<24}  {:>5}  {}  at {:.3}",
        micros(slow.nanoseconds),
        slow.operation,
        slow.table,
        slow.shard,
        stages.join(", "),
        slow.at
    )
}

#[cfg(test)]
mod tests;
