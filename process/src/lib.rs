//! The processes of a cluster, as their cores run them: a node's, and a router's that keeps nothing.
//!
//! Everything here takes its outside world from `R: Runtime`, so that `torc node` and a simulated node are started, joined and stopped by the same
//! lines. What only a real process has (signals, files of users and certificates, a banner) stays in the binary.
//!
//! Modules in reading order:
//!
//! - [`node`]: one core of a node: mesh, links, shard and router, from the first to the last.
//! - [`member`]: what makes a node a member of a cluster: it follows the catalog's map, keeps it, and announces itself.
//! - [`front`]: one core of a router: it finds its cluster by any node that answers.
//! - [`outside`]: who talks to a cluster without being a node of it.
//! - [`peers`]: whom the processes of a cluster trust.
//!
//! The life of a node's core:
//!
//! 1. [`node::Core::open`]: the mesh carries, other nodes may connect, the shard opens and replays its log; nobody is answered yet.
//! 2. [`node::Core::serve`]: other nodes are answered; once the catalog has been heard of, so are clients.
//! 3. [`node::Core::ended`] returns when the shard's disk has failed: the process must stop, for an acknowledged write must not depend on luck.
//! 4. [`node::Core::stop`]: others lead from now on, requests under way are answered, the shard flushes and closes.

#![forbid(unsafe_code)]

pub mod front;
pub mod member;
pub mod node;
pub mod outside;
pub mod peers;

mod error;
mod metrics;

pub use error::StartError;
