//! What a node costs while nobody asks it for anything.

use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;

use crate::options::Options;
use crate::processes::{Scratch, TorcCluster};

/// After the start, leaders are elected and handed to whom they belong, and then all goes to sleep: that is over when no node has used
/// more than [`CALM_SHARE`] of a core for [`CALM_TIME`], or it is not over at all.
const SETTLE_TIME_MAX: Duration = Duration::from_secs(180);
const CALM_TIME: Duration = Duration::from_secs(5);
const CALM_SHARE: f64 = 0.04;

/// How long to look.
const LOOK_TIME: Duration = Duration::from_secs(20);

/// What was found, the most expensive node's.
#[derive(Debug, Serialize)]
pub struct Idle {
    /// Vnodes of the cluster; each node keeps a replica of each.
    pub vnodes: u32,
    /// From when all nodes served until nothing happened any more.
    pub settled_seconds: f64,
    /// Of one core.
    pub cpu_percent: f64,
    /// Resident.
    pub memory_mib: f64,
}

/// Looks at a cluster of many vnodes.
pub async fn measure(options: &Options) -> anyhow::Result<Idle> {
    let scratch = Scratch::new(&options.dir)?;
    let cluster = TorcCluster::start(options, &scratch, 3, Some(options.idle_vnodes)).await?;
    let started = Instant::now();
    while used_within(&cluster.nodes, CALM_TIME).await? > CALM_SHARE && started.elapsed() < SETTLE_TIME_MAX {}
    let settled_seconds = started.elapsed().as_secs_f64();
    let used = used_within(&cluster.nodes, LOOK_TIME).await?;
    let memory = cluster.nodes.iter().map(|pid| resident(*pid)).collect::<anyhow::Result<Vec<f64>>>()?;
    Ok(Idle {
        vnodes: options.idle_vnodes,
        settled_seconds,
        cpu_percent: used * 100.0,
        memory_mib: memory.into_iter().fold(0.0, f64::max),
    })
}

/// The share of a core that the busiest of these processes uses meanwhile.
async fn used_within(pids: &[u32], time: Duration) -> anyhow::Result<f64> {
    let before = seconds_of(pids)?;
    tokio::time::sleep(time).await;
    let after = seconds_of(pids)?;
    let used = before.iter().zip(&after).map(|(before, after)| after - before).fold(0.0, f64::max);
    Ok(used / time.as_secs_f64())
}

/// Seconds that each process has run.
fn seconds_of(pids: &[u32]) -> anyhow::Result<Vec<f64>> {
    // SAFETY: it only asks for a number.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
    let seconds = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        let ticks =
            |place: usize| -> anyhow::Result<f64> { Ok(fields.get(place).context("a short stat")?.parse()?) };
        Ok((ticks(11)? + ticks(12)?) / per_second)
    };
    pids.iter().map(seconds).collect()
}

/// MiB of memory that a process has now.
fn resident(pid: u32) -> anyhow::Result<f64> {
    Ok(perf::bench::host::memory(pid)?.0 as f64 / f64::from(1 << 20))
}
