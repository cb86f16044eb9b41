//! One node of torc beside one node of other systems, in turn, in one run: who promises what, and how fast.
//!
//! Everybody gets values of one size under the same keys, from 1 and from 64 connections, each asking as soon as it was answered. What an
//! answer promises differs, and stands in the table. All of them run all the time; who is not asked is idle.

use std::fmt::Write as _;

use serde::Serialize;

use crate::load::{self, Figures, Verb};
use crate::options::Options;
use crate::processes::{Dynalite, Etcd, Redis, Scratch, Single, is_installed};
use crate::{dynamodb, etcd, redis};

const CONNECTIONS: [usize; 2] = [1, 64];

/// What was found.
#[derive(Debug, Serialize)]
pub struct Peers {
    /// Where.
    pub host: perf::bench::host::Host,
    /// Bytes of a value.
    pub value_bytes: u32,
    /// Seconds of one measurement, and how often each was repeated; medians are shown.
    pub seconds: u64,
    /// Repeats.
    pub repeats: u32,
    /// torc first.
    pub systems: Vec<System>,
    /// What was not found here, and where it would come from.
    pub missing: Vec<String>,
}

/// One system.
#[derive(Debug, Serialize)]
pub struct System {
    /// Its name.
    pub name: String,
    /// How it is asked.
    pub protocol: String,
    /// What an answer to a write promises.
    pub durability: String,
    /// In the order of `rows`.
    pub figures: Vec<Figures>,
}

/// Somebody to measure.
enum Contender {
    DynamoDb(std::net::SocketAddr),
    Redis(std::net::SocketAddr),
    Etcd(String),
}

/// What is measured of each, in order.
fn rows() -> Vec<(Verb, usize)> {
    [Verb::Put, Verb::Get].into_iter().flat_map(|verb| CONNECTIONS.map(|count| (verb, count))).collect()
}

/// Measures whoever is installed.
pub async fn measure(options: &Options) -> anyhow::Result<Peers> {
    let scratch = Scratch::new(&options.dir)?;
    let single = Single::start(options, &scratch).await?;
    let mut contenders = vec![(
        Contender::DynamoDb(single.http),
        [
            "torc, one node",
            "DynamoDB over HTTP",
            "on the device (O_DSYNC) before the answer; several writes share one",
        ],
    )];
    let mut missing = Vec::new();
    let server = Redis::start(&scratch).await?;
    match &server {
        Some(server) => contenders.push((
            Contender::Redis(server.address),
            [
                "Redis, appendfsync always",
                "RESP",
                "in the append-only file and fsynced before the answer; all in memory",
            ],
        )),
        None => missing.push("Redis: apt-get install redis-server".to_owned()),
    }
    let member = if is_installed("etcd") { Some(Etcd::start(&scratch, 1).await?) } else { None };
    match &member {
        Some(member) => contenders.push((
            Contender::Etcd(member.leader().await?),
            [
                "etcd, one member",
                "gRPC",
                "in the log and fdatasynced before the answer; reads are linearizable",
            ],
        )),
        None => missing.push("etcd: apt-get install etcd-server".to_owned()),
    }
    let dynalite = match &options.dynalite {
        Some(program) => Some(Dynalite::start(program, &scratch).await?),
        None => None,
    };
    match &dynalite {
        Some(server) => contenders.push((
            Contender::DynamoDb(server.address),
            [
                "dynalite",
                "DynamoDB over HTTP",
                "handed to LevelDB, not synced: the latest writes may be lost",
            ],
        )),
        None => missing.push("dynalite: npm install dynalite, and --dynalite FILE".to_owned()),
    }
    missing.push("DynamoDB Local: no package of this system or of npm brings it".to_owned());
    for (contender, _) in &contenders {
        contender.prepare(options).await?;
    }
    let mut found: Vec<Vec<Vec<Figures>>> =
        contenders.iter().map(|_| rows().iter().map(|_| Vec::new()).collect()).collect();
    for _ in 0..options.repeats {
        for (row, (verb, count)) in rows().into_iter().enumerate() {
            for ((contender, [name, ..]), found) in contenders.iter().zip(&mut found) {
                eprintln!("{name}: {verb:?}, {count} connections");
                found[row].push(contender.drive(options, verb, count).await?);
            }
        }
    }
    let systems = contenders.iter().zip(found).map(|((_, [name, protocol, durability]), found)| System {
        name: (*name).to_owned(),
        protocol: (*protocol).to_owned(),
        durability: (*durability).to_owned(),
        figures: found.iter().map(|runs| load::medians(runs)).collect(),
    });
    Ok(Peers {
        host: perf::bench::host::facts(),
        value_bytes: options.value_bytes,
        seconds: options.seconds,
        repeats: options.repeats,
        systems: systems.collect(),
        missing,
    })
}

impl Contender {
    /// Makes a table where one is needed, and writes what is read later.
    async fn prepare(&self, options: &Options) -> anyhow::Result<()> {
        if let Contender::DynamoDb(address) = self {
            dynamodb::Client::connect(*address).await?.create_table().await?;
        }
        let value = load::value(options.value_bytes);
        match self {
            Contender::DynamoDb(address) => {
                let text = dynamodb::base64(&value);
                let mut writers = Vec::new();
                for _ in 0..CONNECTIONS[1] {
                    writers.push(dynamodb::Putter::connect(*address, text.clone()).await?);
                }
                load::fill(writers).await
            }
            Contender::Redis(address) => {
                let mut writers = Vec::new();
                for _ in 0..CONNECTIONS[1] {
                    writers.push(redis::Putter::connect(*address, value.clone()).await?);
                }
                load::fill(writers).await
            }
            Contender::Etcd(url) => {
                let mut writers = Vec::new();
                for _ in 0..CONNECTIONS[1] {
                    writers.push(etcd::Putter::connect(url, value.clone()).await?);
                }
                load::fill(writers).await
            }
        }
    }

    async fn drive(&self, options: &Options, verb: Verb, count: usize) -> anyhow::Result<Figures> {
        let (value, duration) = (load::value(options.value_bytes), options.duration());
        match self {
            Contender::DynamoDb(address) => {
                let text = dynamodb::base64(&value);
                let mut writers = Vec::new();
                for _ in 0..count {
                    writers.push(dynamodb::Putter::connect(*address, text.clone()).await?);
                }
                load::drive(writers, verb, duration).await
            }
            Contender::Redis(address) => {
                let mut writers = Vec::new();
                for _ in 0..count {
                    writers.push(redis::Putter::connect(*address, value.clone()).await?);
                }
                load::drive(writers, verb, duration).await
            }
            Contender::Etcd(url) => {
                let mut writers = Vec::new();
                for _ in 0..count {
                    writers.push(etcd::Putter::connect(url, value.clone()).await?);
                }
                load::drive(writers, verb, duration).await
            }
        }
    }
}

impl Peers {
    /// As tables for a page.
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "{}; values of {} bytes; medians of {} runs of {} s each, in turn\n\n",
            self.host, self.value_bytes, self.repeats, self.seconds
        );
        let (torc, others) = self.systems.split_first().expect("torc is always measured");
        let names: Vec<&str> = self.systems.iter().map(|system| system.name.as_str()).collect();
        let ratios: Vec<String> =
            others.iter().map(|other| format!("torc : {}", short(&other.name))).collect();
        let _ = writeln!(text, "|  | {} | {} |", names.join(" | "), ratios.join(" | "));
        let _ = writeln!(text, "|---|{}", "---:|".repeat(names.len() + ratios.len()));
        for (index, (verb, count)) in rows().into_iter().enumerate() {
            let plural = if count == 1 { "" } else { "s" };
            let what = if verb == Verb::Put { "writes" } else { "reads" };
            let mut row = |figure: &str, of: fn(&Figures) -> f64, unit: &str| {
                let cells =
                    self.systems.iter().map(|system| format!("{:.0}{unit}", of(&system.figures[index])));
                let ratio =
                    |other: &System| format!("{:.2}", of(&torc.figures[index]) / of(&other.figures[index]));
                let cells: Vec<String> = cells.chain(others.iter().map(ratio)).collect();
                let _ = writeln!(
                    text,
                    "| {what}, {count} connection{plural}, {figure} | {} |",
                    cells.join(" | ")
                );
            };
            row("per second", |figures| figures.per_second, "");
            row("p50", |figures| figures.p50, " µs");
            row("p99", |figures| figures.p99, " µs");
        }
        let _ = writeln!(text, "\n|  | asked by | an answer to a write means |\n|---|---|---|");
        for System { name, protocol, durability, .. } in &self.systems {
            let _ = writeln!(text, "| {name} | {protocol} | {durability} |");
        }
        if !self.missing.is_empty() {
            let _ = writeln!(text, "\nNot measured: {}.", self.missing.join("; "));
        }
        text
    }
}

/// `Redis` of `Redis, appendfsync always`.
fn short(name: &str) -> &str {
    name.split(',').next().unwrap_or(name)
}
