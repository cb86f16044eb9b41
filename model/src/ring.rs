//! The ring: which vnode and which shard owns a token.
//!
//! ```text
//! 0 ......... 2^64        high halves of the tokens
//! |  1  |  2  |  3  |     vnodes, each from its `start` to the next one's, led by a place
//! ```
//!
//! Promises: every token has exactly one owner. Leaves to others: who changes the ring (the catalog), and when.

#[cfg(test)]
mod tests;

/// A vnode's number, never reused. 0 is the catalog; data vnodes start at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VnodeId(pub u32);

/// The catalog's group, on shard 0 of node 0. It owns no tokens.
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
    pub fn even(vnode_count: u32, shard_count: u16) -> Ring {
        assert!(vnode_count > 0, "every token has an owner");
        assert!(shard_count > 0, "every vnode has a shard");
        let vnode = |index: u32| {
            let shard = ShardId((index % u32::from(shard_count)) as u16);
            let leader = Place { node: NodeId(0), shard };
            Vnode { id: VnodeId(index + 1), start: share_start(index, vnode_count), leader }
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
        Ok(())
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
