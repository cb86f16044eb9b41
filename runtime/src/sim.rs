//! A whole world in one thread: seeded, with virtual time, disks that forget and networks that fail.
//!
//! ```text
//!     World ── executor (one thread, random task order) ── clock (virtual nanoseconds)
//!       └── node ── incarnation ── cores ── tasks           dropped by a crash
//!             ├── disk   what was not synced may be lost, kept or torn by a crash
//!             ├── mesh   mailboxes between the cores of the node
//!             └── net    connections with delays, cuts and resets
//! ```
//!
//! 1. A test makes a [`World`] from a seed, names nodes, and either starts programs on them ([`Control::start`])
//!    or borrows a node's handle for a single future ([`Control::runtime`] and [`World::block_on`]).
//! 2. The executor polls a random runnable task until none is left; then time jumps to the next event.
//! 3. [`Control::crash`] drops every task of a node and decides the fate of each write that was not synced.
//!
//! Each purpose has its own stream of random numbers per node, so that one more draw in one place does not
//! reshuffle the others. Every event goes into a hash: same seed and same program, same [`Control::trace_hash`].
//!
//! Promises: a world in which nothing can ever happen again, or which spins without time moving, panics and says
//! so; it does not hang.

mod world;

mod clock;
mod executor;
mod random;
mod trace;

mod disk;
mod mesh;
mod network;
mod options;
mod runtime;

#[cfg(test)]
mod tests;

pub use disk::{DiskHandle, SimBuffer, SimBytes, SimFile};
pub use executor::SimTask;
pub use network::{SimListener, SimStream};
pub use options::{Chance, DiskFaults, FaultCounts, NetworkFaults, Span, WorldOptions};
pub use runtime::SimRuntime;
pub use world::{Control, NodeId, World};
