//! The host: read it, measure it, explain it, and where one says so, set it.
//!
//! torc is only as fast as what it stands on, so it looks before it starts: which cores this process may use and how much
//! memory it may take. `torc tune` looks at everything else. Nothing here recites folklore: each answer is read or tried, and what
//! something costs is measured on this host or said to be unknown.
//!
//! ```text
//! /proc, /sys --> host --> facts ----\
//!                                     >--> checks --> findings --> show, change
//! clock, cpus, rings, disk --> measure --> profile --> torc serve
//! ```
//!
//! Modules in reading order:
//!
//! - [`cpus`]: the cores this process may use: affinity, then the cgroup's quota.
//! - [`memory`]: the bytes this process may use: the machine's, then the cgroup's.
//! - [`cgroup`]: what the control group grants, in both versions.
//! - [`host`]: a host as a tree of small files: this one, or one that was written down.
//! - [`facts`]: everything that is read of it, not judged.
//! - [`measure`]: everything that is measured on it.
//! - [`checks`]: what both mean for torc: pure, one finding per check.
//! - [`change`]: what a finding asks for, made and taken back.
//! - [`profile`]: what the device of a data directory can do, and what torc sets by it.
//! - [`show`]: all that for people.
//!
//! `ring` and `system` hold what is `unsafe`, beside `cpus`.

#![deny(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "reads and measures the host itself: /proc, /sys, clocks, threads, a file; runs before any executor and outside simulation"
)]

pub mod cgroup;
pub mod change;
pub mod checks;
pub mod cpus;
pub mod facts;
pub mod host;
pub mod measure;
pub mod memory;
pub mod profile;
mod ring;
pub mod show;
mod system;
