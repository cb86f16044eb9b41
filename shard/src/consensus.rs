//! Consensus of one vnode: Raft as a state machine that does no I/O, reads no clock and draws no random number.
//!
//! ```text
//! propose, step, tick --> Group --work()--> Work { send | entries to the log | held | committed | reads }
//!                           ^                        |            |
//!                           +------ persisted(number) <-- durable +--> then `held` may leave
//!                           +------ applied(index)    <-- applied
//! ```
//!
//! 1. [`Group`] wraps one replica's state machine of the crate `raft`. Whoever drives it calls [`Group::work`] after
//!    each input until there is none, and does what it says.
//! 2. A leader's messages leave at once, so its own log write and the followers' run side by side. A follower's answers
//!    are held until what they promise is durable: [`Group::persisted`] gives them out.
//! 3. Strong reads ask [`Group::read`]: under a valid lease they are answered from what is applied, otherwise they wait
//!    for a round of heartbeats (read index).
//! 4. `wire` turns messages into frames and back; an entry's bytes are never copied on the way in.
//!
//! What the library lacks and this module adds: election timeouts from a seed; a lease of our own (`lease`); no votes
//! for one election timeout after a start; no lease for the rest of a term in which a transfer has left; at most one
//! tick per wake; no forwarded proposals; checks before `step`, and a panic inside of it closes this replica alone.
//!
//! Promises: what is handed out as committed is durable on a majority, never changes, and comes in order of index
//! without a gap. A read that was allowed sees every write acknowledged before it. Leaves to others: disks, sockets,
//! clocks, what an entry means, and that a peer's id is never given to another replica.
//!
//! Sources: Ongaro, "Consensus: Bridging Theory and Practice", sections 6.4 (reads), 9.6 (pre-vote), 10.2.1 (the
//! leader's own write in parallel), 4.3 (joint consensus).

pub(crate) mod change;
mod group;
mod lease;
mod storage;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod wire;

pub(crate) use group::{Closed, Group, GroupOptions, Letter, NotTaken, PeerId, Read, Saved, Work};
