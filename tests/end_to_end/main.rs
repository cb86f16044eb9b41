//! The real binary, driven from outside: the official SDK, raw sockets, signals and power cuts of the process kind.
//!
//! Each test starts its own `torc serve` on port 0 of loopback with a temporary data directory, so that tests run side by
//! side and leave nothing behind. Nothing here looks inside: what is tested is what an application sees.
//!
//! Modules in reading order:
//!
//! - `server`: starts, stops and kills the process; makes SDK clients for it.
//! - `tables`, `items`, `updates`, `conditions`, `queries`, `scans`, `batches`: the API, operation by operation.
//! - `compatibility`: the page that says what works, held against the router and the cases.
//! - `conformance`: the cases of `tests/cases`, each an exchange with DynamoDB's exact answer.
//! - `wire`: requests that no SDK would send: broken JSON, oversized, unknown, half-closed, pipelined.
//! - `access`: users, signatures, permissions, HTTPS, and files that change under a running process.
//! - `process`: start-up, banner, configuration, refusal of a second process, clean stop, damaged files.
//! - `inspect`: what `torc inspect` tells of directories that the binary made, whole and damaged.
//! - `tune`: what `torc tune` says of this host and of others, and device profiles.
//! - `top`: what a process tells of itself: metrics, `torc top`, slow requests.
//! - `crash`: SIGKILL under concurrent writers; every acknowledged write is there after the restart.
//! - `cluster`: clusters of real processes, what fails in them, and nodes that come and go.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests drive real processes with real threads, sockets and clocks"
)]

mod access;
mod batches;
mod cluster;
mod compatibility;
mod conditions;
mod conformance;
mod crash;
mod inspect;
mod items;
mod process;
mod queries;
mod scans;
mod server;
mod tables;
mod top;
mod tune;
mod updates;
mod wire;
