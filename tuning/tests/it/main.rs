//! Recorded hosts, and what every check says of each of them.
//!
//! - `metal.txt`: two sockets, NVMe, a distribution's defaults. `vm.txt`: a virtual machine under KVM, written down by `torc tune record`.
//!   `container.txt`: Docker with a quota, an ordinary user and its default seccomp profile, on a machine with a SATA drive.
//! - `findings`: each check on each host. `apply`: what findings ask for, made and taken back below a root that stands for a host.
//! - `live`: this host, whatever it is.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read recorded hosts and write below temporary roots"
)]

mod apply;
mod findings;
mod hosts;
mod live;
