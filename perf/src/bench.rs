//! The library behind `torc bench`: drives a DynamoDB endpoint over HTTP, measures it, checks it, and reports.
//!
//! ```text
//! Options --> Plan --> limits --> create table --> preload --> warm-up | measurement --> read back --> remove table --> Report
//! ```
//!
//! The caller parses [`Options`] and calls [`run`], which prints what it found: a table (`--markdown`: Markdown) on
//! standard output, JSON into a file if asked. Progress and complaints go to standard error.
//!
//! Promises: a run ends by itself; a failed run removes its table too; what is late because the server stalled is
//! counted as late; nothing that was read is trusted with `--verify`.
//!
//! Modules in reading order:
//!
//! - what is asked: [`options`], [`mix`], [`sizes`], [`trace`]; when: [`schedule`]; what: [`keys`], [`workload`]; in which bytes: [`request`],
//!   [`sign`], [`client`], [`native`].
//! - who does it: [`generator`], on real cores: [`local`], with its [`table`] and its [`progress`] line; again and again: [`sweep`], [`against`].
//! - what came of it: [`recorder`], [`series`], [`stages`], [`verify`], [`mod@read`], [`report`].
//! - how it is shown: [`plots`], [`html`], [`hlog`].
//! - what a figure is held against: [`host`], [`limits`], [`noop`]; the README's set: [`suite`], on its own [`server`].

pub mod against;
pub mod client;
pub mod generator;
pub mod hlog;
pub mod host;
pub mod html;
pub mod keys;
pub mod limits;
pub mod local;
pub mod mix;
pub mod native;
pub mod noop;
pub mod options;
pub mod plots;
pub mod progress;
pub mod read;
pub mod recorder;
pub mod report;
pub mod request;
pub mod schedule;
pub mod series;
pub mod server;
pub mod sign;
pub mod sizes;
pub mod stages;
pub mod suite;
pub mod sweep;
pub mod table;
pub mod trace;
pub mod verify;
pub mod workload;

pub use options::{Options, Plan};
pub use report::Report;

use std::path::Path;

use anyhow::Context;

use local::Client;
use options::Suite;
use report::Memory;

/// Does what `options` ask for, and prints the report. Blocks until it is done.
///
/// # Errors
/// What could not be done, and what to do about it; also a report with wrong reads or without a success.
pub fn run(options: Options) -> anyhow::Result<Report> {
    let report = measure(&options)?;
    if options.markdown {
        println!("{}", report.to_markdown());
    } else {
        println!("{report}");
    }
    if let Some(dir) = &options.report {
        leave(dir, &report).with_context(|| format!("--report {}", dir.display()))?;
    }
    if let Some(path) = &options.json {
        write(path, &report.to_json()).with_context(|| format!("--json {}", path.display()))?;
    }
    report.check()?;
    Ok(report)
}

fn measure(options: &Options) -> anyhow::Result<Report> {
    // Refused before anything is started, also what only a later run of a suite would use.
    let plan = options.plan()?;
    let scratch = Scratch::new(suite::scratch_dir(options)?)?;
    let command = std::env::args().collect::<Vec<_>>().join(" ");
    let mut report = Report::new(host::facts(), command, began_unix_us());
    match options.suite {
        Some(Suite::Readme) => suite::readme(options, &scratch.dir, &mut report)?,
        None => {
            let client = Client::new(options.cores, scratch.dir.clone())?;
            suite::limits_beside(options, &client, &plan, &mut report)?;
            match &options.against {
                Some(other) => {
                    let table = format!("{}-b", options.table);
                    let against = Options { endpoint: other.clone(), table, ..options.clone() }.plan()?;
                    against::against(&client, &name(options), (plan, against), options.rounds, &mut report)?;
                }
                None if options.sweep => sweep::sweep(&client, &name(options), plan, &mut report)?,
                None => report.measurements.push(client.measure(&name(options), plan)?),
            }
            if let Some(pid) = options.server_pid {
                let (resident_bytes, peak_bytes) = host::memory(pid)?;
                report.memory.push(Memory { when: "after the run".to_owned(), resident_bytes, peak_bytes });
            }
        }
    }
    Ok(report)
}

/// `mixed, 64 connections`.
fn name(options: &Options) -> String {
    let plural = if options.connections == 1 { "" } else { "s" };
    let workload = match &options.trace {
        Some(path) => {
            path.file_stem().map_or_else(|| "trace".into(), |stem| stem.to_string_lossy().into_owned())
        }
        None => options.workload.name(),
    };
    format!("{workload}, {} connection{plural}", options.connections)
}

/// A directory of this run that goes with it.
struct Scratch {
    dir: std::path::PathBuf,
}

impl Scratch {
    #[expect(clippy::disallowed_methods, reason = "before there is a runtime")]
    fn new(dir: std::path::PathBuf) -> anyhow::Result<Scratch> {
        let made = std::fs::create_dir_all(&dir);
        made.with_context(|| format!("{}: cannot be created; say --data-dir", dir.display()))?;
        Ok(Scratch { dir })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.dir) {
            eprintln!("{}: {error}: remove it by hand", self.dir.display());
        }
    }
}

/// Leaves report.json, report.html, each plot as SVG and the HdrHistogram logs in `dir`.
#[expect(clippy::disallowed_methods, reason = "after all runtimes have ended")]
fn leave(dir: &Path, report: &Report) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir)?;
    let plots = plots::plots(report)?;
    write(&dir.join("report.json"), &report.to_json())?;
    write(&dir.join("report.html"), &html::page(report, &plots))?;
    for plot in &plots {
        write(&dir.join(format!("{}.svg", plot.name)), &plot.svg)?;
    }
    for (index, run) in report.measurements.iter().enumerate() {
        let name = if index == 0 { "latency.hlog".to_owned() } else { format!("latency-{}.hlog", index + 1) };
        write(&dir.join(name), &run.log)?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "after all runtimes have ended")]
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::write(path, text)
}

#[expect(clippy::disallowed_methods, reason = "before there is a runtime")]
fn began_unix_us() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
