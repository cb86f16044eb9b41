//! One core's share of a node: its vnodes, their replication, their data.
//!
//! Modules in reading order:
//!
//! - [`node`]: who this node is: the block that a data directory begins with.
//! - [`shard`]: [`Shard`]: opening, running, closing.
//! - `dispatch`: a request comes in; who may ask for what.
//! - `operation`: what it does: `read`, `write`, `scan`.
//! - `latch`: one write of a key at a time. `clock`: stamps that never go back. `admission`: how much at once.
//! - `command`: the effects that a log entry carries. `stored`: what the tree keeps under a key.
//! - `replication`: how a command becomes committed: by the own log on a node that is alone, else by the replicas of its vnode.
//! - `consensus`: Raft for one vnode, without I/O.
//! - `image`: a vnode's whole content, copied to a replica that is too far behind.
//! - `report`: leaders tell the catalog what their groups have become.
//! - `apply`, `recovery`: committed entries go into the tree, now and after a crash.
//! - `scrub`: the log's segments are read now and then, so that rot is found while what they held is still in memory.
//! - `catalog`: which tables there are, on shard 0; the map for everybody. `tables`: that map, by id.
//! - [`inspect`]: what a data directory holds and whether it makes sense, without opening it.
//!
//! The life of one PutItem:
//!
//! 1. The mesh calls the shard's handler with the message's bytes; `dispatch` checks them once and reads in place.
//! 2. Admission lets it in or answers `Busy`; the map of this moment says that vnode, key and table are this shard's.
//! 3. The key's latch is taken. The old item is read if a condition, a return value or the accounting needs it.
//! 4. The condition is evaluated, the new item made, and its effect on the tree written down as a command.
//! 5. The command is proposed to the vnode's group: the log appends it, and durable means committed in a group of one.
//! 6. The applier takes committed entries in order, puts each into the memtable together with its index, opens the
//!    latch and the receipt; the reply goes back.
//! 7. After a flush the log's segments that only hold entries below the flushed marks are released.
//!
//! Promises: an acknowledged write is durable and visible; an unacknowledged one happened wholly or not at all; writes of one key
//! are linearizable. Everything is bounded: what comes over a bound is answered early.
#![forbid(unsafe_code)]

pub mod inspect;
pub mod node;
pub mod shard;

mod admission;
mod apply;
mod catalog;
mod clock;
mod command;
mod consensus;
mod dispatch;
mod error;
mod heat;
mod image;
mod latch;
mod operation;
mod recovery;
mod refusal;
mod replication;
mod report;
mod scrub;
mod stored;
mod tables;

#[doc(hidden)]
pub use consensus::Canary as GroupCanary;
pub use error::Error;
pub use lsm::TreeStats;
pub use lsm::log::Stats as LogStats;
pub use replication::{Answer, Canary, Counts, Observer, ReplicationOptions, Standing, Wire};
pub use shard::{Shard, ShardOptions, ShardStats};
