//! `torc`: one binary for everything.
//!
//! This package wires the crates together and holds no logic of its own:
//!
//! - `ctl`: what an operator changes beside running processes: users, and the nodes of a cluster.
//! - `users`: the file that they are in.
//! - `reload`: files that are read again when they change.
//! - `config`: flags, file and defaults of `torc serve`.
//! - `data_dir`: the directory that one process holds.
//! - `serve`: one node: a router and a shard on every core.
//! - `peers`: how the processes of a cluster know each other. `outside`: processes that only ask one something.
//! - `node`: a node of a cluster, from the day it waits to belong to one; `cuts`: a network that is cut, for tests.
//! - `router`: a router alone. `local`: a whole cluster on this machine.
//! - `sim`: worlds from seeds, on virtual time.
//! - `inspect`: what lies in a data directory, and whether it is whole.
//! - `top`: what processes do at present, in the terminal; `inside`: asking them.
//! - `tune`: what the host costs and how to set it; `device_profile`: what shards set by the device under them.

mod config;
mod ctl;
mod cuts;
mod data_dir;
mod device_profile;
mod inside;
mod inspect;
mod local;
mod node;
mod outside;
mod peers;
mod reload;
mod router;
mod say;
mod serve;
mod sim;
mod top;
mod tune;
mod users;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The DynamoDB-compatible database for people who own their hardware and count microseconds.
#[derive(Parser)]
#[command(name = "torc", version, about, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    serve: config::ServeArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Serve DynamoDB's API from this machine (what plain `torc` does)
    Serve(config::ServeArgs),
    /// Serve as one node of a cluster
    Node(Box<node::Args>),
    /// Serve DynamoDB's API for a cluster, without data of its own
    Router(router::Args),
    /// Run a whole cluster on this machine, to try it out
    Cluster(local::Args),
    /// Change users, found and change clusters
    Ctl(ctl::Args),
    /// Watch what processes do: operations, their times and stages, shards, vnodes, storage
    Top(top::Args),
    /// Measure an endpoint: throughput and latency under load
    Bench(perf::bench::Options),
    /// Run a whole cluster in one thread under faults, from a seed
    Sim(sim::Args),
    /// Tell what lies in a data directory or a file of one, or check it; read-only
    Inspect(inspect::Args),
    /// Look at this host, measure it, say what to set; changes nothing unless told to
    Tune(tune::Args),
}

#[expect(
    clippy::disallowed_methods,
    reason = "the banner says how long the start took, before any runtime is there"
)]
fn main() -> ExitCode {
    let started = std::time::Instant::now();
    let cli = Cli::parse();
    let outcome = match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(args) => config::Config::load(args).and_then(|config| serve::run(config, started)),
        Command::Node(args) => node::run(*args, started),
        Command::Router(args) => router::run(args, started),
        Command::Cluster(args) => local::run(args),
        Command::Ctl(args) => ctl::run(args),
        Command::Top(args) => top::run(args),
        Command::Bench(options) => perf::bench::run(options).map(|_report| ()),
        Command::Sim(args) => sim::run(args),
        Command::Inspect(args) => return inspect::run(args),
        Command::Tune(args) => tune::run(args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The causes in one line; a backtrace tells an operator nothing.
            say::warn(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
