//! What is said between cores and processes, and how it travels.
//!
//! Modules in reading order:
//!
//! - [`message`]: requests and replies: one rkyv archive each, checked once, read in place.
//! - [`peer`]: what the replicas of a vnode tell each other.
//! - [`map`]: the cell that holds a core's current map of ring and tables.
//! - [`mesh`]: calls between the cores of one process, and the map's broadcast.
//!
//! The life of one request inside a process:
//!
//! 1. The router fills a `message::Request` and encodes it: one copy into one buffer.
//! 2. `Mesh::call` runs the shard's handler directly when the owner is this core; otherwise the same buffer goes
//!    through the owner's mailbox.
//! 3. The shard calls `message::read_request` once and reads key, item and programs where they lie.
//! 4. The reply goes back the same way; `message::read_reply` gives it to the router.
//!
//! docs/WIRE.md describes the bytes.
#![forbid(unsafe_code)]

mod calls;
pub mod frame;
pub mod map;
pub mod mesh;
pub mod message;
pub mod peer;
pub mod session;
