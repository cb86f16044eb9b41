//! A torc cluster on this machine beside an etcd cluster and beside one torc node, with and without a router, in one run.
//!
//! ```text
//! cargo build --release
//! cargo run --release --manifest-path perf/cluster/Cargo.toml                  all, about seven minutes
//! cargo run --release --manifest-path perf/cluster/Cargo.toml -- --only puts   replicated writes alone
//! ```
//!
//! 1. [`processes`] starts what is measured as a user would: `torc cluster` of three nodes or one with a `torc router`, `torc serve`, three etcd
//!    members; each in a directory of its own on the same disk, stopped and removed at the end.
//! 2. [`load`] writes values of one size from 1, 16 and 64 connections, each as soon as the one before was answered.
//!    `dynamodb` says it in HTTP, [`etcd`] in gRPC.
//! 3. [`failover`] kills leaders, and hands leadership over, while somebody writes to every vnode; [`idle`] looks at what
//!    a node with 10,000 vnodes costs while nobody asks it for anything.
//! 4. [`report`] sets the medians side by side with the goals, as text, JSON and Markdown.
//!
//! [`peers`] is another comparison, for `perf/peers`: one torc node beside one etcd, one [`redis`] and one dynalite.
//!
//! What is equal: value size, connections, the disk, durability (an answer means that a majority has it on the device, as each
//! product's defaults have it). What is not: the protocol. The generator shares the cores with what it measures.
//!
//! It needs etcd: `apt-get install -y etcd-server`.

#![warn(missing_docs)]

mod dynamodb;
mod etcd;
mod failover;
mod idle;
mod load;
mod options;
mod peers;
mod processes;
mod redis;
mod report;

use clap::Parser;

fn main() -> anyhow::Result<()> {
    let options = options::Options::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::fs::create_dir_all(&options.out)?;
    if options.only == [options::Part::Peers] {
        let peers = runtime.block_on(peers::measure(&options))?;
        print!("{}", peers.markdown());
        std::fs::write(options.out.join("peers.json"), serde_json::to_string_pretty(&peers)? + "\n")?;
        std::fs::write(options.out.join("peers.md"), peers.markdown())?;
        return Ok(());
    }
    anyhow::ensure!(!options.only.contains(&options::Part::Peers), "peers are measured alone: --only peers");
    let report = runtime.block_on(report::measure(&options))?;
    print!("{}", report.text());
    std::fs::write(options.out.join("cluster.json"), serde_json::to_string_pretty(&report)? + "\n")?;
    std::fs::write(options.out.join("cluster.md"), report.markdown())?;
    Ok(())
}
