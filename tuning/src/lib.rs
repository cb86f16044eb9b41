//! The host: read it, measure it, explain it.
//!
//! torc is only as fast as what it stands on, so it looks before it starts: which cores this process may use and how much
//! memory it may take. Nothing here changes the host, and nothing here recites folklore: each answer is read or tried.
//! What the kernel and the data directory can do is tried where it is used, in `runtime::real`.
//!
//! Modules in reading order:
//!
//! - [`cpus`]: the cores this process may use: affinity, then the cgroup's quota.
//! - [`memory`]: the bytes this process may use: the machine's, then the cgroup's.

#![expect(
    clippy::disallowed_methods,
    reason = "reads the host itself: /proc and /sys; runs before any executor and outside simulation"
)]

pub mod cpus;
pub mod memory;
