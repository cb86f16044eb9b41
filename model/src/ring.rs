//! The ring: which vnode and which shard owns a token.
//!
//! ```text
//! 0 ......... 2^64        high halves of the tokens
//! |  1  |  2  |  3  |     vnodes, each from its `start` to the next one's, kept by a few replicas
//! ```
//!
//! A vnode's replicas are the catalog's wish: who shall keep it. Who leads it is decided among them; the first one is who
//! should, all else being equal.
//!
//! Promises: every token has exactly one owner. Leaves to others: who changes the ring (the catalog), and when.

#[cfg(test)]
mod tests;

/// A vnode's number, never reused. 0 is the catalog; data vnodes start at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VnodeId(pub u32);

/// The catalog's group, on shard 0 of its nodes. It owns no tokens.
pub const CATALOG: VnodeId = VnodeId(0);

/// A replica's number, for ever: one that is removed and made again has another. Counted over the whole cluster, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u32);

/// A shard's index in its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

/// A node's number in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u16);

/// A shard of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The node.
    pub node: NodeId,
    /// The shard in it.
    pub shard: ShardId,
}

/// What a replica is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It votes.
    Voter,
    /// It votes once it has caught up.
    Joining,
    /// It votes until those that join do, and goes then.
    Leaving,
}

/// One copy of a vnode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Replica {
    /// Which.
    pub peer: PeerId,
    /// Where it is.
    pub place: Place,
    /// What it is to be.
    pub role: Role,
}

/// Replicas of one vnode at most: three, and one that takes another's place.
pub const REPLICAS_MAX: usize = 4;

/// The replicas of one vnode, in place; the first one should lead.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Replicas {
    places: [(PeerId, Place); REPLICAS_MAX],
    roles: [Role; REPLICAS_MAX],
    count: u8,
}

impl Replicas {
    /// These, of which there is at least one.
    pub fn new(replicas: &[Replica]) -> Replicas {
        assert!((1..=REPLICAS_MAX).contains(&replicas.len()), "{} replicas", replicas.len());
        let nowhere = (PeerId(0), Place { node: NodeId(0), shard: ShardId(0) });
        let mut all = Replicas {
            places: [nowhere; REPLICAS_MAX],
            roles: [Role::Voter; REPLICAS_MAX],
            count: replicas.len() as u8,
        };
        for (index, replica) in replicas.iter().enumerate() {
            all.places[index] = (replica.peer, replica.place);
            all.roles[index] = replica.role;
        }
        all
    }

    /// One that is alone.
    pub fn alone(peer: PeerId, place: Place) -> Replicas {
        Replicas::new(&[Replica { peer, place, role: Role::Voter }])
    }

    /// Each of them, who should lead first.
    pub fn iter(&self) -> impl Iterator<Item = Replica> + '_ {
        let places = self.places[..usize::from(self.count)].iter();
        places.zip(&self.roles).map(|(&(peer, place), &role)| Replica { peer, place, role })
    }

    /// How many there are.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Who should lead.
    pub fn first(&self) -> Replica {
        Replica { peer: self.places[0].0, place: self.places[0].1, role: self.roles[0] }
    }

    /// The replica at a place.
    pub fn at(&self, place: Place) -> Option<Replica> {
        self.iter().find(|replica| replica.place == place)
    }

    /// The replica of this number.
    pub fn peer(&self, peer: PeerId) -> Option<Replica> {
        self.iter().find(|replica| replica.peer == peer)
    }

    /// What must hold; the first thing that does not.
    pub fn check(&self) -> Result<(), &'static str> {
        let mut peers: Vec<PeerId> = self.iter().map(|replica| replica.peer).collect();
        let mut nodes: Vec<NodeId> = self.iter().map(|replica| replica.place.node).collect();
        peers.sort_unstable();
        nodes.sort_unstable();
        if peers.first() == Some(&PeerId(0)) || !peers.is_sorted_by(|a, b| a < b) {
            return Err("a vnode with a replica's number twice, or with number 0");
        }
        if !nodes.is_sorted_by(|a, b| a < b) {
            return Err("a vnode with two replicas on one node");
        }
        if self.iter().all(|replica| replica.role == Role::Joining) {
            return Err("a vnode without a voter");
        }
        Ok(())
    }
}

impl std::fmt::Debug for Replicas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A range of tokens: from `start` (high half) to the next vnode's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vnode {
    /// Its number.
    pub id: VnodeId,
    /// The first token's high half.
    pub start: u64,
    /// Who keeps it.
    pub replicas: Replicas,
}

impl Vnode {
    /// Where its leader should be. Where it really is, only its replicas know.
    pub fn leader(&self) -> Place {
        self.replicas.first().place
    }
}

/// All data vnodes, sorted by `start`; the first starts at 0, so every token has an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// Grows with every change.
    pub epoch: u64,
    /// Sorted by `start`.
    pub vnodes: Vec<Vnode>,
}

impl Ring {
    /// `vnode_count` equal ranges (ids from 1), one replica each, dealt to the shards of node 0 in turn, epoch 1. The
    /// catalog's replica is number 1, theirs follow.
    pub fn even(vnode_count: u32, shard_count: u16) -> Ring {
        assert!(vnode_count > 0, "every token has an owner");
        assert!(shard_count > 0, "every vnode has a shard");
        let vnode = |index: u32| {
            let shard = ShardId((index % u32::from(shard_count)) as u16);
            let replicas = Replicas::alone(PeerId(index + 2), Place { node: NodeId(0), shard });
            Vnode { id: VnodeId(index + 1), start: share_start(index, vnode_count), replicas }
        };
        Ring { epoch: 1, vnodes: (0..vnode_count).map(vnode).collect() }
    }

    /// What must hold for every token to have one owner and every vnode one range; the first thing that does not.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.vnodes.first().map(|vnode| vnode.start) != Some(0) {
            return Err("a ring whose first vnode does not start at 0");
        }
        if !self.vnodes.is_sorted_by(|a, b| a.start < b.start) {
            return Err("a ring with vnodes out of order");
        }
        let mut ids: Vec<VnodeId> = self.vnodes.iter().map(|vnode| vnode.id).collect();
        ids.sort_unstable();
        if ids.first() == Some(&CATALOG) || !ids.is_sorted_by(|a, b| a < b) {
            return Err("a ring with a vnode's number twice, or with the catalog's");
        }
        self.vnodes.iter().try_for_each(|vnode| vnode.replicas.check())
    }

    /// The vnode that a token's high half belongs to.
    pub fn owner(&self, token_high: u64) -> &Vnode {
        let after = self.vnodes.partition_point(|vnode| vnode.start <= token_high);
        assert!(after > 0, "the first vnode starts at 0");
        &self.vnodes[after - 1]
    }

    /// A vnode by its number; None for the catalog and for unknown ones.
    pub fn vnode(&self, id: VnodeId) -> Option<&Vnode> {
        self.vnodes.iter().find(|vnode| vnode.id == id)
    }

    /// The token range (high halves, both ends included) of a vnode.
    pub fn range(&self, id: VnodeId) -> Option<(u64, u64)> {
        let index = self.vnodes.iter().position(|vnode| vnode.id == id)?;
        let end = self.vnodes.get(index + 1).map_or(u64::MAX, |next| next.start - 1);
        Some((self.vnodes[index].start, end))
    }

    /// The token range (high halves, both ends included) of segment `segment` of `total` in a parallel Scan; None if
    /// there is no such segment.
    pub fn segment(segment: u32, total: u32) -> Option<(u64, u64)> {
        if segment >= total {
            return None;
        }
        let end = if segment + 1 == total { u64::MAX } else { share_start(segment + 1, total) - 1 };
        Some((share_start(segment, total), end))
    }
}

/// Where share `index` of `total` equal shares of the ring begins.
fn share_start(index: u32, total: u32) -> u64 {
    assert!(index < total, "there are {total} shares");
    ((u128::from(index) << 64) / u128::from(total)) as u64
}
