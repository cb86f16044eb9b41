//! The README's figures, in one go: what the hardware can do, then what torc does on it.
//!
//! 1. Limits: durable writes beside the executable, round trips over loopback.
//! 2. A server of our own on an empty directory (unless one is named): time to the first answer, idle memory.
//! 3. PutItem and GetItem at 1 and at 64 connections, each on a table of its own.
//! 4. One million items (`--suite-items`), memory with them, GetItem over all of them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use runtime::Runtime;
use runtime::sync::timeout;

use super::host;
use super::local::Client;
use super::options::{Options, Plan, WorkloadKind};
use super::report::{Limit, Memory, Report};
use super::server::Server;
use super::{limits, noop};

/// How long each limit is measured, at most; a shorter `--duration` holds for limits, too.
const LIMIT_TIME_MAX: Duration = Duration::from_secs(2);
/// How long all limits of a kind may take, preparing the file included.
const LIMITS_TIME_MAX: Duration = Duration::from_secs(60);
/// Connections of the figures.
const CONNECTIONS: [usize; 2] = [1, 64];

/// Fills `report` with the README's figures.
pub fn readme(options: &Options, dir: &Path, report: &mut Report) -> anyhow::Result<()> {
    let each = options.duration.min(LIMIT_TIME_MAX);
    report.limits = limits(dir, &CONNECTIONS, each)?;
    let (server, endpoint, pid) = server(options, dir)?;
    report.start_ms = server.as_ref().map(|server| server.start.as_secs_f64() * 1000.0);
    let client = Client::new(options.cores, dir.to_owned())?;
    let bench = Bench { client, options: Options { endpoint, ..options.clone() }, pid };
    bench.memory(report, "idle")?;
    for connections in CONNECTIONS {
        bench.figure(report, WorkloadKind::Put, connections)?;
    }
    for connections in CONNECTIONS {
        bench.figure(report, WorkloadKind::Get, connections)?;
    }
    bench.million(report)?;
    // Alive until here: dropping it ends the process.
    drop(server);
    Ok(())
}

/// What this computer and the generator can do, if the server is here, too.
pub fn limits_beside(
    options: &Options,
    client: &Client,
    plan: &Plan,
    report: &mut Report,
) -> anyhow::Result<()> {
    if options.limits.is_zero() {
        return Ok(());
    }
    if !plan.target.address.ip().is_loopback() {
        report.without_limits = Some(format!("{} is another computer", plan.target.host));
        return Ok(());
    }
    let mut counts = vec![1, plan.connections];
    counts.dedup();
    report.limits = limits(&client.dir, &counts, options.limits)?;
    report.limits.extend(noop::limits(client, plan, options.limits)?);
    Ok(())
}

/// What the disk under `dir` and the loopback of this computer can do.
fn limits(dir: &Path, counts: &[usize], each: Duration) -> anyhow::Result<Vec<Limit>> {
    let mut found = limits::device(dir, each).context("writing beside the data")?;
    found.extend(limits::raw_loopback(counts, each).context("talking over loopback")?);
    let first_two = host::cpus_allowed().into_iter().take(2).collect();
    let client = Client { cores: first_two, dir: dir.to_owned() };
    let counts = counts.to_vec();
    let over_runtime =
        client.on_all(move |rt, _| {
            let counts = counts.clone();
            async move {
                bounded(&rt, limits::loopback(&rt, &counts, each)).await.context("talking over loopback")
            }
        })?;
    found.extend(over_runtime.into_iter().flatten());
    Ok(found)
}

/// Every wait has an end: a disk or a kernel that never answers is an error.
async fn bounded<R: Runtime, T>(rt: &R, measured: impl Future<Output = io::Result<T>>) -> anyhow::Result<T> {
    let ended = timeout(rt, LIMITS_TIME_MAX, measured).await;
    Ok(ended.with_context(|| format!("no end after {LIMITS_TIME_MAX:?}"))??)
}

/// A server of our own, or the one that the options name; where it is, and its process.
fn server(options: &Options, dir: &Path) -> anyhow::Result<(Option<Server>, String, u32)> {
    if let Some(pid) = options.server_pid {
        return Ok((None, options.endpoint.clone(), pid));
    }
    let executable = std::env::current_exe().context("where is this executable?")?;
    let server = Server::start(&executable, &dir.join("data"))?;
    let (endpoint, pid) = (format!("http://{}", server.address), server.pid());
    Ok((Some(server), endpoint, pid))
}

/// A client and a server to measure.
struct Bench {
    client: Client,
    options: Options,
    pid: u32,
}

impl Bench {
    fn figure(&self, report: &mut Report, workload: WorkloadKind, connections: usize) -> anyhow::Result<()> {
        let verb = if workload == WorkloadKind::Put { "put" } else { "get" };
        let table = format!("{}-{verb}-{connections}", self.options.table);
        // A core without a connection would have nothing to do.
        let cores = self.options.cores.min(connections);
        let options = Options { workload, connections, cores, table, ..self.options.clone() };
        let plural = if connections == 1 { "" } else { "s" };
        let name = format!("{verb}, {connections} connection{plural}");
        let client = Client::new(cores, self.client.dir.clone())?;
        report.measurements.push(client.measure(&name, options.plan()?)?);
        Ok(())
    }

    /// Loads as many items as memory is promised for, reads it, and gets items all over them.
    fn million(&self, report: &mut Report) -> anyhow::Result<()> {
        let items = self.options.suite_items;
        let options = Options { table: format!("{}-all", self.options.table), ..self.options.clone() };
        let keys = Some(items);
        let load =
            Options { workload: WorkloadKind::Load, keys, preload: None, keep: true, ..options.clone() };
        report.measurements.push(self.client.measure(&format!("load {items} items"), load.plan()?)?);
        self.memory(report, &format!("{items} items of {} bytes", options.sizes()?))?;
        let get = Options { workload: WorkloadKind::Get, keys, preload: None, reuse: true, ..options };
        let mut plan = get.plan()?;
        plan.remove = true;
        let name = format!("get among {items}, {} connections", get.connections);
        report.measurements.push(self.client.measure(&name, plan)?);
        Ok(())
    }

    fn memory(&self, report: &mut Report, when: &str) -> anyhow::Result<()> {
        let (resident_bytes, peak_bytes) = host::memory(self.pid)?;
        report.memory.push(Memory { when: when.to_owned(), resident_bytes, peak_bytes });
        Ok(())
    }
}

/// A new directory on the disk that the figures are about: under `--data-dir`, or beside the executable.
pub fn scratch_dir(options: &Options) -> anyhow::Result<PathBuf> {
    let parent = match &options.data_dir {
        Some(dir) => dir.clone(),
        None => {
            let executable = std::env::current_exe().context("where is this executable?")?;
            executable.parent().context("an executable lies in a directory")?.to_owned()
        }
    };
    if !parent.is_dir() {
        bail!("--data-dir {}: no such directory", parent.display());
    }
    // Several runs of one process have one each.
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    Ok(parent.join(format!("torc-bench-{}-{run}", std::process::id())))
}
