//! `torc inspect verify`: the whole directory, a bar meanwhile, and a report.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use lsm::inspect::{Findings, Problem, Watch};
use runtime::offline::{OfflineRuntime, block_on};
use serde_json::json;
use shard::inspect::verify::{Report, ShardReport, verify};

use super::VerifyArgs;
use super::show::Printer;
use crate::config::show_bytes;
use crate::data_dir::DataDir;
use crate::say;

/// Checks `args.dir`, and holds it meanwhile so that nobody starts to serve it.
pub fn run(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let _held = DataDir::hold(&args.dir)?;
    let mut watch = Followed { findings: Findings::default(), bar: bar(args.json) };
    let report = block_on(verify(&OfflineRuntime::new(), &args.dir, &mut watch));
    watch.bar.finish_and_clear();
    let findings = watch.findings;
    match args.json {
        true => say::line(as_json(&args.dir, &report, &findings)),
        false => tell(&args.dir, &report, &findings),
    }
    Ok(if findings.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Findings with a bar that shows how far the reading is.
struct Followed {
    findings: Findings,
    bar: ProgressBar,
}

impl Watch for Followed {
    fn expect(&mut self, bytes: u64) {
        self.bar.inc_length(bytes);
    }

    fn read(&mut self, bytes: u64) {
        self.findings.read(bytes);
        self.bar.inc(bytes);
    }

    fn problem(&mut self, problem: Problem) {
        self.findings.problem(problem);
        self.bar.set_message(format!("{} problems", self.findings.problems.len()));
    }

    fn orphan(&mut self, path: &Path, why: &str) {
        self.findings.orphan(path, why);
    }
}

/// A bar on a terminal.
fn bar(json: bool) -> ProgressBar {
    if json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} {msg}");
    ProgressBar::new(0).with_style(style.expect("the template is well formed"))
}

fn tell(dir: &Path, report: &Report, findings: &Findings) {
    for ShardReport { shard, log, tree } in &report.shards {
        say::line(format_args!(
            "shard {}: log of {} segments ({} live), {} records, {}; tree of {} SSTables, {} entries, {}",
            shard.0,
            log.segments,
            log.live,
            log.records,
            show_bytes(log.bytes),
            tree.sstables,
            tree.entries,
            show_bytes(tree.bytes)
        ));
        for (level, (count, bytes)) in tree.version.iter().flat_map(|version| version.levels()) {
            say::line(format_args!("  level {level}: {count} SSTables, {}", show_bytes(bytes)));
        }
    }
    for (path, why) in &findings.orphans {
        say::line(format_args!("orphan: {}: {why}", path.display()));
    }
    findings.problems.iter().for_each(|problem| Printer::new(false).problem(problem));
    match findings.problems.len() {
        0 => say::line(format_args!("{} is whole", dir.display())),
        count => say::line(format_args!("{} has {count} problems", dir.display())),
    }
}

fn as_json(dir: &Path, report: &Report, findings: &Findings) -> serde_json::Value {
    let shard = |shard: &ShardReport| {
        let levels = shard.tree.version.iter().flat_map(|version| version.levels());
        let levels =
            levels.map(|(level, (count, bytes))| json!({"level": level, "sstables": count, "bytes": bytes}));
        json!({
            "shard": shard.shard.0,
            "log": {
                "segments": shard.log.segments, "live": shard.log.live, "bytes": shard.log.bytes,
                "records": shard.log.records, "payload_bytes": shard.log.payload_bytes, "position": shard.log.position,
                "streams": shard.log.streams.len(),
            },
            "tree": {
                "sstables": shard.tree.sstables, "bytes": shard.tree.bytes, "entries": shard.tree.entries,
                "raw_bytes": shard.tree.raw_bytes, "levels": levels.collect::<Vec<_>>(),
            },
        })
    };
    let problem = |problem: &Problem| {
        json!({
            "path": problem.path.display().to_string(), "offset": problem.offset,
            "what": problem.what, "what_to_do": problem.advice,
        })
    };
    let orphans =
        findings.orphans.iter().map(|(path, why)| json!({"path": path.display().to_string(), "why": why}));
    json!({
        "directory": dir.display().to_string(),
        "whole": findings.problems.is_empty(),
        "shards": report.shards.iter().map(shard).collect::<Vec<_>>(),
        "problems": findings.problems.iter().map(problem).collect::<Vec<_>>(),
        "orphans": orphans.collect::<Vec<_>>(),
        "bytes_read": findings.bytes,
    })
}
