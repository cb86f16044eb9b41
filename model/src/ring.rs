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
//! A ring is cheap to clone: its ranges are shared, and of its replicas a change copies one chunk. So a catalog, a history of
//! maps and whoever still works with an older one keep a ring of a million vnodes once.
//!
//! Promises: every token has exactly one owner; finding it takes a few steps, however many vnodes there are. Leaves to
//! others: who changes the ring (the catalog), and when.

mod layout;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use layout::Layout;

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
    /// Two bits for each, the first one's lowest.
    roles: u8,
    count: u8,
}

// A ring of a million vnodes has a million of them.
const _: () = assert!(size_of::<Replicas>() == 36);

impl Role {
    const ALL: [Role; 3] = [Role::Voter, Role::Joining, Role::Leaving];

    /// The role of a number on the wire or in memory, which is the role's own.
    pub(crate) fn from_number(number: u8) -> Option<Role> {
        Role::ALL.get(usize::from(number)).copied()
    }
}

impl Replicas {
    /// These, of which there is at least one.
    pub fn new(replicas: &[Replica]) -> Replicas {
        assert!((1..=REPLICAS_MAX).contains(&replicas.len()), "{} replicas", replicas.len());
        let nowhere = (PeerId(0), Place { node: NodeId(0), shard: ShardId(0) });
        let mut all = Replicas { places: [nowhere; REPLICAS_MAX], roles: 0, count: replicas.len() as u8 };
        for (index, replica) in replicas.iter().enumerate() {
            all.places[index] = (replica.peer, replica.place);
            all.roles |= (replica.role as u8) << (2 * index);
        }
        all
    }

    /// One that is alone.
    pub fn alone(peer: PeerId, place: Place) -> Replicas {
        Replicas::new(&[Replica { peer, place, role: Role::Voter }])
    }

    /// Each of them, who should lead first.
    pub fn iter(&self) -> impl Iterator<Item = Replica> + '_ {
        (0..usize::from(self.count)).map(|index| self.nth(index))
    }

    fn nth(&self, index: usize) -> Replica {
        let (peer, place) = self.places[index];
        let role = Role::from_number(self.roles >> (2 * index) & 3).expect("it was made from a role");
        Replica { peer, place, role }
    }

    /// How many there are.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Who should lead.
    pub fn first(&self) -> Replica {
        self.nth(0)
    }

    /// The replica at a place.
    pub fn at(&self, place: Place) -> Option<Replica> {
        self.iter().find(|replica| replica.place == place)
    }

    /// The replica of this number.
    pub fn peer(&self, peer: PeerId) -> Option<Replica> {
        self.iter().find(|replica| replica.peer == peer)
    }

    /// Whether one is on its way in or out.
    pub fn is_moving(&self) -> bool {
        self.roles != 0
    }

    /// Those that vote in the end: all but the ones that leave.
    pub fn target(&self) -> impl Iterator<Item = Replica> + '_ {
        self.iter().filter(|replica| replica.role != Role::Leaving)
    }

    /// What must hold; the first thing that does not.
    pub fn check(&self) -> Result<(), &'static str> {
        let pairs =
            || self.iter().enumerate().flat_map(|(at, a)| self.iter().skip(at + 1).map(move |b| (a, b)));
        if self.iter().any(|replica| replica.peer == PeerId(0)) || pairs().any(|(a, b)| a.peer == b.peer) {
            return Err("a vnode with a replica's number twice, or with number 0");
        }
        if pairs().any(|(a, b)| a.place.node == b.place.node) {
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
#[derive(Clone)]
pub struct Ring {
    /// Grows with every change.
    pub epoch: u64,
    /// Ranges and numbers; shared by all rings that differ in their replicas alone.
    layout: Rc<Layout>,
    /// Who keeps each, in the layout's order.
    kept: Vec<Rc<[Replicas]>>,
}

/// Vnodes whose replicas are copied together when one of them changes.
const CHUNK_VNODES: usize = 512;

impl Ring {
    /// `vnode_count` equal ranges (ids from 1), one replica each, dealt to the shards of node 0 in turn, epoch 1. The
    /// catalog's replica is number 1, theirs follow.
    pub fn even(vnode_count: u32, shard_count: u16) -> Ring {
        assert!(shard_count > 0, "every vnode has a shard");
        Ring::equal(vnode_count, |index| {
            let shard = ShardId((index % u32::from(shard_count)) as u16);
            Replicas::alone(PeerId(index + 2), Place { node: NodeId(0), shard })
        })
    }

    /// `vnode_count` equal ranges (ids from 1), epoch 1, each kept by what `replicas` says of its index.
    pub(crate) fn equal(vnode_count: u32, mut replicas: impl FnMut(u32) -> Replicas) -> Ring {
        assert!(vnode_count > 0, "every token has an owner");
        let vnode = |index| {
            let start = share_start(index, vnode_count);
            Vnode { id: VnodeId(index + 1), start, replicas: replicas(index) }
        };
        Ring::new(1, (0..vnode_count).map(vnode)).expect("equal ranges with replicas that make sense")
    }

    /// The ring of these vnodes; if it is none, what is wrong with it.
    pub fn new(epoch: u64, vnodes: impl Iterator<Item = Vnode>) -> Result<Ring, &'static str> {
        let (mut ranges, mut kept, mut chunk) = (Vec::new(), Vec::new(), Vec::with_capacity(CHUNK_VNODES));
        for vnode in vnodes {
            vnode.replicas.check()?;
            ranges.push((vnode.start, vnode.id));
            chunk.push(vnode.replicas);
            if chunk.len() == CHUNK_VNODES {
                kept.push(Rc::from(chunk.as_slice()));
                chunk.clear();
            }
        }
        if !chunk.is_empty() {
            kept.push(Rc::from(chunk));
        }
        Ok(Ring { epoch, layout: Rc::new(Layout::new(&ranges)?), kept })
    }

    /// How many vnodes there are.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.layout.len()
    }

    /// Each vnode, ascending by start.
    pub fn vnodes(&self) -> impl ExactSizeIterator<Item = Vnode> + '_ {
        (0..self.len()).map(|index| self.nth(index))
    }

    /// Who keeps the vnodes, in the ring's order and in pieces that rings share.
    pub(crate) fn chunks(&self) -> &[Rc<[Replicas]>] {
        &self.kept
    }

    /// The vnodes of one of these pieces.
    pub(crate) fn chunk(&self, chunk: usize) -> impl Iterator<Item = Vnode> + '_ {
        let first = chunk * CHUNK_VNODES;
        (first..first + self.kept[chunk].len()).map(|index| self.nth(index))
    }

    /// The vnode that a token's high half belongs to.
    pub fn owner(&self, token_high: u64) -> Vnode {
        self.nth(self.layout.owner(token_high))
    }

    /// A vnode by its number; None for the catalog and for unknown ones.
    pub fn vnode(&self, id: VnodeId) -> Option<Vnode> {
        self.layout.index_of(id).map(|index| self.nth(index))
    }

    /// The token range (high halves, both ends included) of a vnode.
    pub fn range(&self, id: VnodeId) -> Option<(u64, u64)> {
        self.layout.index_of(id).map(|index| self.layout.range(index))
    }

    /// The highest number of a vnode.
    pub fn last_id(&self) -> VnodeId {
        self.layout.last_id()
    }

    /// Who keeps a vnode of this ring from now on. The epoch is the caller's to count on.
    pub fn set_replicas(&mut self, id: VnodeId, replicas: Replicas) {
        assert_eq!(replicas.check(), Ok(()), "vnode {}: {replicas:?}", id.0);
        let index = self.layout.index_of(id).expect("a vnode of this ring");
        let chunk = &mut self.kept[index / CHUNK_VNODES];
        Rc::make_mut(chunk)[index % CHUNK_VNODES] = replicas;
    }

    /// The vnodes whose replicas differ from those of `old`; none when it is not about the same ranges.
    pub fn changed_since(&self, old: &Ring) -> Option<Vec<Vnode>> {
        if !Rc::ptr_eq(&self.layout, &old.layout) && self.layout != old.layout {
            return None;
        }
        let mut changed = Vec::new();
        for (chunk, (new, old)) in self.kept.iter().zip(&old.kept).enumerate() {
            if Rc::ptr_eq(new, old) {
                continue;
            }
            let differ = new.iter().zip(old.iter()).enumerate().filter(|(_, (new, old))| new != old);
            changed.extend(differ.map(|(index, _)| self.nth(chunk * CHUNK_VNODES + index)));
        }
        Some(changed)
    }

    fn nth(&self, index: usize) -> Vnode {
        let replicas = self.kept[index / CHUNK_VNODES][index % CHUNK_VNODES];
        let (start, id) = self.layout.nth(index);
        Vnode { id, start, replicas }
    }

    /// Bytes of memory that it takes, alone.
    pub fn memory_bytes(&self) -> usize {
        let chunks: usize =
            self.kept.iter().map(|chunk| size_of_val(&**chunk) + 2 * size_of::<usize>()).sum();
        self.layout.memory_bytes() + chunks + self.kept.capacity() * size_of::<Rc<[Replicas]>>()
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

impl PartialEq for Ring {
    fn eq(&self, other: &Ring) -> bool {
        self.epoch == other.epoch && self.changed_since(other).is_some_and(|changed| changed.is_empty())
    }
}

impl Eq for Ring {}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ring {{ epoch: {}, vnodes: ", self.epoch)?;
        f.debug_list().entries(self.vnodes()).finish()?;
        f.write_str(" }")
    }
}

/// Where share `index` of `total` equal shares of the ring begins.
fn share_start(index: u32, total: u32) -> u64 {
    assert!(index < total, "there are {total} shares");
    ((u128::from(index) << 64) / u128::from(total)) as u64
}
