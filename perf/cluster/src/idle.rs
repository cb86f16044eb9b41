//! What a node costs while nobody asks it for anything.

use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use crate::options::Options;
use crate::processes::{Scratch, TorcCluster};

/// After the start, leaders are elected and handed to whom they belong.
const SETTLE_TIME: Duration = Duration::from_secs(15);

/// How long to look.
const LOOK_TIME: Duration = Duration::from_secs(20);

/// What was found, the most expensive node's.
#[derive(Debug, Serialize)]
pub struct Idle {
    /// Vnodes of the cluster; each node keeps a replica of each.
    pub vnodes: u32,
    /// Of one core.
    pub cpu_percent: f64,
    /// Resident.
    pub memory_mib: f64,
}

/// Looks at a cluster of many vnodes.
pub async fn measure(options: &Options) -> anyhow::Result<Idle> {
    let scratch = Scratch::new(&options.dir)?;
    let cluster = TorcCluster::start(options, &scratch, Some(options.idle_vnodes)).await?;
    tokio::time::sleep(SETTLE_TIME).await;
    let before = seconds_of(&cluster.nodes)?;
    tokio::time::sleep(LOOK_TIME).await;
    let after = seconds_of(&cluster.nodes)?;
    let used = before.iter().zip(&after).map(|(before, after)| after - before).fold(0.0, f64::max);
    let memory = cluster.nodes.iter().map(|pid| resident(*pid)).collect::<anyhow::Result<Vec<f64>>>()?;
    Ok(Idle {
        vnodes: options.idle_vnodes,
        cpu_percent: used / LOOK_TIME.as_secs_f64() * 100.0,
        memory_mib: memory.into_iter().fold(0.0, f64::max),
    })
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
