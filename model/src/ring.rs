//! The ring: which vnode and which shard owns a token.

/// A vnode's number, never reused. 0 is the catalog; data vnodes start at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VnodeId(pub u32);
/// The catalog's group, on shard 0.
pub const CATALOG: VnodeId = VnodeId(0);
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
/// A range of tokens: from `start` (high half) to the next vnode's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vnode {
    /// Its number.
    pub id: VnodeId,
    /// The first token's high half.
    pub start: u64,
    /// Who leads it.
    pub leader: Place,
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
    /// `vnode_count` equal ranges (ids from 1), dealt to the shards of node 0 in turn, epoch 1.
    pub fn even(_vnode_count: u32, _shard_count: u16) -> Ring {
        todo!()
    }
    /// The vnode that a token's high half belongs to.
    pub fn owner(&self, _token_high: u64) -> &Vnode {
        todo!()
    }
    /// A vnode by its number; None for the catalog and unknown ones.
    pub fn vnode(&self, _id: VnodeId) -> Option<&Vnode> {
        todo!()
    }
    /// The token range (high halves, both ends included) of a vnode.
    pub fn range(&self, _id: VnodeId) -> Option<(u64, u64)> {
        todo!()
    }
    /// The token range (high halves, both ends included) of segment `segment` of `total` in a parallel Scan.
    pub fn segment(_segment: u32, _total: u32) -> Option<(u64, u64)> {
        todo!()
    }
}
