//! The host: read it, measure it, explain it.
//!
//! torc is only as fast as what it stands on, so it looks before it starts: which cores this process may use,
//! how much memory it may take, whether the kernel has what the design needs, what the data directory's file system
//! can do. Nothing here changes the host, and nothing here recites folklore: each answer is read or tried.
//!
//! Modules in reading order:
//!
//! - [`cpus`]: the cores this process may use: affinity, then the cgroup's quota.
//! - [`memory`]: the bytes this process may use: the machine's, then the cgroup's, and how much is resident now.
//! - [`kernel`]: its release, and whether io_uring answers.
//! - [`device`]: what the file system of a directory can do: direct I/O, durable writes, how fast.
//!
//! A finding that stops torc from starting is a [`Missing`]: what is not there, and what to do about it.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "reads the host itself: /proc, /sys, raw files; runs before any executor and outside simulation"
)]

pub mod cpus;
pub mod device;
pub mod kernel;
pub mod memory;

/// Something torc needs that this host does not offer, and what its owner can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What was tried and how it failed, in words.
    pub what: String,
    /// What to do about it.
    pub advice: String,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n  what to do: {}", self.what, self.advice)
    }
}

impl std::error::Error for Missing {}
