//! The figures side by side, with the goals: text, JSON, Markdown.

use std::fmt::Write;
use std::rc::Rc;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::failover::{self, Failover};
use crate::idle::{self, Idle};
use crate::load::{self, Figures};
use crate::options::{Options, Part};
use crate::processes::{Etcd, Scratch, Single, TorcCluster};
use crate::{dynamodb, etcd};

/// Connections of each measurement of writes.
const CONNECTIONS: [usize; 3] = [1, 16, 64];

/// What was found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The command's arguments.
    pub command: String,
    /// Where.
    pub host: perf::bench::host::Host,
    /// Bytes of a value.
    pub value_bytes: u32,
    /// Seconds of one measurement of writes, and how often each was repeated.
    pub seconds: u64,
    /// Repeats; medians are shown.
    pub repeats: u32,
    /// By connections.
    pub puts: Vec<Puts>,
    /// Leaders killed and handed over.
    pub failover: Option<Failover>,
    /// Idle vnodes.
    pub idle: Option<Idle>,
}

/// Writes from so many connections.
#[derive(Debug, Serialize)]
pub struct Puts {
    /// How many.
    pub connections: usize,
    /// Three nodes and a router.
    pub torc: Figures,
    /// One node, and as much router: what is left of the difference is what replicating costs.
    pub routed: Figures,
    /// One node, asked itself.
    pub single: Figures,
    /// Three members, asked at their leader.
    pub etcd: Figures,
}

/// Measures what the options ask for.
pub async fn measure(options: &Options) -> anyhow::Result<Report> {
    let has = |part| options.only.contains(&part);
    let steps = if has(Part::Puts) { u64::from(options.repeats) * 12 } else { 0 } + 2;
    let bar = ProgressBar::new(steps);
    let style = ProgressStyle::with_template("[{elapsed_precise}] {wide_bar} {pos}/{len} {msg}");
    bar.set_style(style.expect("a template that parses"));
    let puts = if has(Part::Puts) { measure_puts(options, &bar).await? } else { Vec::new() };
    bar.set_message("failover");
    let failover = if has(Part::Failover) { Some(failover::measure(options).await?) } else { None };
    bar.set_message("idle vnodes");
    let idle = if has(Part::Idle) { Some(idle::measure(options).await?) } else { None };
    bar.finish_and_clear();
    Ok(Report {
        command: std::env::args().skip(1).collect::<Vec<_>>().join(" "),
        host: perf::bench::host::facts(),
        value_bytes: options.value_bytes,
        seconds: options.seconds,
        repeats: options.repeats,
        puts,
        failover,
        idle,
    })
}

/// All stand beside each other, and take turns; who is not asked is idle.
async fn measure_puts(options: &Options, bar: &ProgressBar) -> anyhow::Result<Vec<Puts>> {
    let scratch = Scratch::new(&options.dir)?;
    let (raw, text) = {
        let value = load::value(options.value_bytes);
        (value.clone(), dynamodb::base64(&value))
    };
    let cluster = TorcCluster::start(options, &scratch, 3, None).await?;
    let routed = TorcCluster::start(options, &scratch, 1, None).await?;
    let single = Single::start(options, &scratch).await?;
    let members = Etcd::start(&scratch, 3).await?;
    let leader = members.leader().await?;
    let nodes = [cluster.router, routed.router, single.http];
    for address in nodes {
        dynamodb::Client::connect(address).await?.create_table().await?;
    }
    let mut found: Vec<[Vec<Figures>; 4]> = CONNECTIONS.iter().map(|_| Default::default()).collect();
    for _ in 0..options.repeats {
        for (connections, found) in CONNECTIONS.iter().zip(&mut found) {
            for (contender, address) in nodes.into_iter().enumerate() {
                bar.set_message(format!("{connections} connections, torc"));
                let mut writers = Vec::new();
                for _ in 0..*connections {
                    writers.push(dynamodb::Putter::connect(address, Rc::clone(&text)).await?);
                }
                found[contender].push(load::run(writers, options.duration()).await?);
                bar.inc(1);
            }
            bar.set_message(format!("{connections} connections, etcd"));
            let mut writers = Vec::new();
            for _ in 0..*connections {
                writers.push(etcd::Putter::connect(&leader, Rc::clone(&raw)).await?);
            }
            found[3].push(load::run(writers, options.duration()).await?);
            bar.inc(1);
        }
    }
    let middle = |(connections, found): (&usize, [Vec<Figures>; 4])| {
        let [torc, routed, single, etcd] = found.map(|runs| load::medians(&runs));
        Puts { connections: *connections, torc, routed, single, etcd }
    };
    Ok(CONNECTIONS.iter().zip(found).map(middle).collect())
}

/// One row: what, a cell for each contender, the goal.
struct Row {
    cells: Vec<String>,
}

impl Report {
    /// As a table for a terminal.
    pub fn text(&self) -> String {
        let rows = self.rows();
        let columns = rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
        let width = |column: usize| {
            rows.iter()
                .filter_map(|row| row.cells.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = self.head() + "\n\n";
        for row in &rows {
            for (cell, width) in row.cells.iter().zip(&widths) {
                let _ = write!(text, "{cell:<width$}  ");
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        text
    }

    /// As a table for a page.
    pub fn markdown(&self) -> String {
        let mut text = self.head() + "\n\n";
        for (number, row) in self.rows().iter().enumerate() {
            let _ = writeln!(text, "| {} |", row.cells.join(" | "));
            if number == 0 {
                let _ = writeln!(text, "|---|{}---|", "---:|".repeat(row.cells.len() - 2));
            }
        }
        text
    }

    fn head(&self) -> String {
        let host = &self.host;
        format!(
            "{} x {}, {} MiB, Linux {}, commit {}; values of {} bytes; medians of {} runs of {} s each",
            host.cpus.len(),
            host.cpu,
            host.memory_mib,
            host.kernel,
            host.commit.as_deref().unwrap_or("unknown"),
            self.value_bytes,
            self.repeats,
            self.seconds
        )
    }

    fn rows(&self) -> Vec<Row> {
        let row = |cells: &[String]| Row { cells: cells.to_vec() };
        let words = |cells: [&str; 6]| row(&cells.map(str::to_owned));
        let contenders =
            ["torc, 3 nodes and a router", "torc, 1 node and a router", "torc, 1 node", "etcd, 3 members"];
        let [torc, routed, single, etcd] = contenders;
        let mut rows = vec![words(["", torc, routed, single, etcd, "goal"])];
        for puts in &self.puts {
            let of = |what: &str, show: fn(&Figures) -> f64, unit: &str, goal: String| {
                let cell = |figures: &Figures| format!("{:.0}{unit}", show(figures));
                let name = format!("{} connections, {what}", puts.connections);
                let cells = [&puts.torc, &puts.routed, &puts.single, &puts.etcd].map(cell);
                row(&[&[name][..], &cells, &[goal]].concat())
            };
            let (times, p99, p50) = (
                puts.torc.per_second / puts.etcd.per_second,
                puts.torc.p99 / puts.etcd.p99,
                puts.torc.p50 / puts.single.p50,
            );
            let only = |at: usize, goal: String| if puts.connections == at { goal } else { String::new() };
            let throughput = only(64, goal("at least 5 times etcd", times, times >= 5.0));
            rows.push(of("per second", |figures| figures.per_second, "", throughput));
            let alone = only(1, goal("at most twice one node", p50, p50 <= 2.0));
            rows.push(of("p50", |figures| figures.p50, " µs", alone));
            let third = only(64, goal("at most a third of etcd", p99, p99 <= 1.0 / 3.0));
            rows.push(of("p99", |figures| figures.p99, " µs", third));
            rows.push(of("p99.9", |figures| figures.p999, " µs", String::new()));
        }
        let none = String::new;
        if let Some(failover) = &self.failover {
            let cell = |name: &str, ms: f64, bound: f64| {
                let met = if ms <= bound { "reached" } else { "MISSED" };
                let goal = format!("at most {bound:.0} ms, {met}");
                row(&[name.to_owned(), format!("{ms:.0} ms"), none(), none(), none(), goal])
            };
            rows.push(cell("a node killed: writes to all vnodes again", failover.killed_ms, 1000.0));
            rows.push(cell("leadership handed over: longest pause", failover.handed_over_ms, 50.0));
            let before = format!("{:.0} ms", failover.calm_ms);
            rows.push(row(&["longest pause before that".to_owned(), before, none(), none(), none(), none()]));
        }
        if let Some(idle) = &self.idle {
            let cpu = goal("under 2 % of a core", idle.cpu_percent, idle.cpu_percent < 2.0);
            let memory = goal("under 200 MiB", idle.memory_mib, idle.memory_mib < 200.0);
            let cells =
                |name: String, value: String, goal: String| row(&[name, value, none(), none(), none(), goal]);
            let name = format!("{} idle vnodes, a node", idle.vnodes);
            rows.push(cells(
                format!("{name}: until it is calm"),
                format!("{:.0} s", idle.settled_seconds),
                String::new(),
            ));
            rows.push(cells(format!("{name}: cpu"), format!("{:.2} %", idle.cpu_percent), cpu));
            rows.push(cells(format!("{name}: memory"), format!("{:.0} MiB", idle.memory_mib), memory));
        }
        rows
    }
}

fn goal(wish: &str, found: f64, met: bool) -> String {
    format!("{wish}: {found:.2}, {}", if met { "reached" } else { "MISSED" })
}
