//! What is said between cores and processes, and how it travels.
//!
//! Modules in reading order:
//!
//! - [`message`]: requests and replies: one rkyv archive each, checked once, read in place.
//! - [`peer`]: what the replicas of a vnode tell each other.
//! - [`map`]: the cell that holds a core's current map of ring and tables.
//! - [`watch`]: how a process hears of new maps.
//! - [`mesh`]: calls between the cores of one process, and the map's broadcast.
//! - [`frame`], [`secret`], [`session`]: one connection between two processes: its bytes, who may begin it, its calls.
//! - [`links`]: the connections to other nodes, made when somebody wants them.
//! - [`founding`]: what is said to a node that belongs to no cluster yet.
//! - [`fabric`]: from a place to the shard that is there, through whichever of these.
//!
//! The life of one request:
//!
//! 1. The router fills a `message::Request` and encodes it: one copy into one buffer.
//! 2. `Fabric::call` runs the shard's handler directly when the owner is this core; otherwise the same buffer goes
//!    through the owner's mailbox, or in a frame to the owner's node.
//! 3. The shard calls `message::read_request` once and reads key, item and programs where they lie.
//! 4. The reply goes back the same way; `message::read_reply` gives it to the router.
//!
//! docs/WIRE.md describes the bytes.
#![forbid(unsafe_code)]

#[cfg(test)]
mod authority;
mod calls;
pub mod fabric;
pub mod founding;
pub mod frame;
pub mod links;
pub mod map;
pub mod mesh;
pub mod message;
pub mod peer;
pub mod secret;
pub mod session;
pub mod watch;
