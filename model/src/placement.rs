//! Placement: which nodes keep which vnode, and the next single change towards that. Pure functions of a map.
//!
//! ```text
//! found(nodes) --> ring, catalog                     once, when a cluster begins
//! next_move(map) --> [a, b, Leaving(old), Joining(new)] --> the group does it, and reports --> [a, b, new]
//! ```
//!
//! 1. [`found`] deals vnodes to nodes: replicas in different zones, never two on one node, replicas and leaders in
//!    proportion to each node's shards, and evenly over them.
//! 2. A [`Planner`] ([`next_move`]) looks for one thing to do, the most urgent kind first: a replica on its way to a node that is gone comes
//!    back; a replica on a removed node, then on a draining one, is replaced; a vnode with too few gets one more; zones are
//!    mended; load goes from who has too much to who has least; leaders likewise, which moves no data.
//! 3. What is under way is in the map itself (the roles), so nothing else has to be remembered, and pacing is counting.
//!
//! A step of balance is only taken when the sum of `count² / shards` over the nodes shrinks, so the steps end; and it goes straight from the
//! node with most to the one with least, so a node that joins gets its share and nothing else moves.
//!
//! Promises: the same map gives the same answer; a move takes away no voter before the one in its place votes; a node
//! that is down gets nothing and loses nothing. Leaves to others: writing moves down and waiting for them (the catalog), doing them
//! (the vnode's leader).

mod fleet;
mod found;
mod moves;
mod planner;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use found::{Founding, found};
pub use moves::{finish, replace, transfer};
pub use planner::{CHUNKS_AT_ONCE, Look, Planner};

use crate::map::Map;
use crate::ring::{NodeId, PeerId, Replicas, VnodeId};

/// Replicas of a vnode, where there are as many nodes.
pub const REPLICAS_WANTED: usize = 3;

/// What bounds the moves, and what the map does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Vnodes whose replicas may be under way at once.
    pub moves_max: usize,
    /// The same for one node, coming or going.
    pub node_moves_max: usize,
    /// Replicas of the catalog, where there are as many nodes.
    pub catalog_replicas: usize,
    /// Nodes that nobody has heard of for a while.
    pub down: BTreeSet<NodeId>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { moves_max: 8, node_moves_max: 2, catalog_replicas: REPLICAS_WANTED, down: BTreeSet::new() }
    }
}

/// One change of one vnode, or of the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// Which.
    pub vnode: VnodeId,
    /// Its replicas from then on.
    pub replicas: Replicas,
    /// What for.
    pub why: Why,
}

/// What a move is for; the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The node that a replica was on its way to is gone.
    Undo,
    /// A replica's node was removed.
    Removed,
    /// A replica's node drains.
    Drain,
    /// There are nodes for more replicas.
    Grow,
    /// Two replicas are in one zone, and there is another zone.
    Zone,
    /// Somebody asked for it.
    Asked,
    /// A node has too many replicas.
    Balance,
    /// A node leads too many vnodes.
    Lead,
}

/// The next change towards what the nodes' states and loads ask for; none when all is well, or enough is under way. A replica that
/// is made gets the number `next_peer`. A [`Planner`] that is kept finds it sooner, and in small steps.
pub fn next_move(map: &Map, next_peer: PeerId, limits: &Limits) -> Option<Move> {
    let mut planner = Planner::default();
    loop {
        match planner.look(map, next_peer, limits) {
            Look::Move(found) => return Some(found),
            Look::Nothing => return None,
            Look::More => {}
        }
    }
}

/// How far the ring is from where it is going.
pub fn progress(map: &Map, limits: &Limits) -> Progress {
    Planner::default().progress(map, limits)
}

/// How far the ring is from where it is going.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Progress {
    /// Vnodes whose replicas are under way.
    pub moving: usize,
    /// About how many replicas have to be moved yet, those under way not counted.
    pub left: usize,
}
