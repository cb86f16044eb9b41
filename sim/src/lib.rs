//! Whole clusters in one thread: seeds, faults, workloads, checkers.
//!
//! `torc sim --seed N` runs nodes, routers, clients, their disks, clocks and the network between them on virtual time in one thread. The code that runs is the
//! code that ships: only the runtime differs. Same seed and same build, same trace.
//!
//! Modules in reading order:
//!
//! - [`plan`]: what a seed decides: sizes, bounds, what clients do, what goes wrong when.
//! - [`cluster`]: nodes and routers in a world, and the hand that starts them and takes their power away.
//! - [`nemesis`]: the harm that is done. `operator`: who makes nodes join and replicas move.
//! - [`crowd`]: what clients do. `client`, `json`: DynamoDB's API over a simulated socket.
//! - [`watch`]: what must hold below the clients. [`said`]: what nodes say, and what explains it. [`journal`]: what happened, in words.
//! - [`check`], [`checker`]: what clients saw, and whether honest items could have shown it to them. `replicas`: whether they hold the same.
//! - [`marks`]: rare branches, and whether any seed takes them.
//! - [`story`]: a run, from founding to verdict. [`swarm`]: many of them. [`summary`]: what they did. [`shrink`]: a failure with less in it.
//! - [`scenario`]: known killers, each with its story, and with the planted bug that it must find.
//! - [`alone`]: one node that is alone.
//!
//! Promises: a failure names its seed, and the seed repeats it. Leaves to others: real processes, disks and sockets, which the tests end to end have.

#![forbid(unsafe_code)]

pub mod alone;
pub mod check;
pub mod checker;
pub mod cluster;
pub mod crowd;
pub mod journal;
pub mod marks;
pub mod nemesis;
pub mod operator;
pub mod plan;
pub mod said;
pub mod scenario;
pub mod shrink;
pub mod story;
pub mod summary;
pub mod swarm;
pub mod watch;

mod client;
mod json;
mod replicas;

/// Why a run failed, with the seed that repeats it.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What was wrong, and the last moments before.
    pub what: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "seed {}: {}", self.seed, self.what)
    }
}

impl std::error::Error for Failure {}
