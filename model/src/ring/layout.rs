//! Where each vnode begins, and which it is: found by token and by number in a few steps.
//!
//! ```text
//! token's first bits --> index --> a short piece of starts --> which vnode
//! ```
//!
//! `index` has about one entry for each vnode, so in a ring of equal ranges that piece is one or two starts; where vnodes
//! crowd, it is searched by halves. Columns instead of rows: a lookup touches three lines of cache.

use super::{CATALOG, VnodeId};

/// Ranges and numbers of all vnodes, in order of start.
#[derive(PartialEq, Eq)]
pub(super) struct Layout {
    starts: Vec<u64>,
    ids: Vec<VnodeId>,
    /// Places in `ids`, ascending by what is there.
    by_id: Vec<u32>,
    /// By a token's first bits: who owns the first such token; behind them the last vnode.
    index: Vec<u32>,
    shift: u32,
}

/// Entries of the index at most: 2 to this power.
const INDEX_BITS_MAX: u32 = 20;

impl Layout {
    /// Of starts and numbers, ascending by start; what is wrong with them, if something is.
    pub(super) fn new(ranges: &[(u64, VnodeId)]) -> Result<Layout, &'static str> {
        if ranges.first().map(|range| range.0) != Some(0) {
            return Err("a ring whose first vnode does not start at 0");
        }
        if !ranges.is_sorted_by(|a, b| a.0 < b.0) {
            return Err("a ring with vnodes out of order");
        }
        let count = u32::try_from(ranges.len()).map_err(|_| "a ring of too many vnodes")?;
        let starts: Vec<u64> = ranges.iter().map(|range| range.0).collect();
        let ids: Vec<VnodeId> = ranges.iter().map(|range| range.1).collect();
        let mut by_id: Vec<u32> = (0..count).collect();
        by_id.sort_unstable_by_key(|place| ids[*place as usize]);
        let twice = by_id.windows(2).any(|pair| ids[pair[0] as usize] == ids[pair[1] as usize]);
        if twice || ids[by_id[0] as usize] == CATALOG {
            return Err("a ring with a vnode's number twice, or with the catalog's");
        }
        let bits = count.next_power_of_two().ilog2().clamp(1, INDEX_BITS_MAX);
        let shift = u64::BITS - bits;
        Ok(Layout { index: index(&starts, bits), starts, ids, by_id, shift })
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    pub(super) fn nth(&self, place: usize) -> (u64, VnodeId) {
        (self.starts[place], self.ids[place])
    }

    /// Whose range a token is in.
    pub(super) fn owner(&self, token_high: u64) -> usize {
        let bucket = (token_high >> self.shift) as usize;
        let (first, last) = (self.index[bucket] as usize, self.index[bucket + 1] as usize);
        // Whoever owns the bucket's first token, and those that begin in it.
        first + self.starts[first + 1..=last].partition_point(|start| *start <= token_high)
    }

    pub(super) fn index_of(&self, id: VnodeId) -> Option<usize> {
        // Numbers are given in order and never taken back, so this is mostly the first guess.
        let guess = (id.0 as usize).checked_sub(1)?;
        if self.ids.get(guess) == Some(&id) {
            return Some(guess);
        }
        let found = self.by_id.binary_search_by_key(&id, |place| self.ids[*place as usize]);
        found.ok().map(|at| self.by_id[at] as usize)
    }

    /// First and last token of a vnode.
    pub(super) fn range(&self, place: usize) -> (u64, u64) {
        let end = self.starts.get(place + 1).map_or(u64::MAX, |next| next - 1);
        (self.starts[place], end)
    }

    pub(super) fn last_id(&self) -> VnodeId {
        self.ids[*self.by_id.last().expect("there is a vnode") as usize]
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let words = self.ids.capacity() + self.by_id.capacity() + self.index.capacity();
        size_of::<Layout>() + self.starts.capacity() * size_of::<u64>() + words * size_of::<u32>()
    }
}

/// Who owns the first token of each of 2^`bits` buckets, and the last vnode behind them.
fn index(starts: &[u64], bits: u32) -> Vec<u32> {
    let mut index = Vec::with_capacity((1 << bits) + 1);
    let mut owner = 0;
    for bucket in 0..1_u64 << bits {
        let first = bucket << (u64::BITS - bits);
        while starts.get(owner + 1).is_some_and(|start| *start <= first) {
            owner += 1;
        }
        index.push(owner as u32);
    }
    index.push(starts.len() as u32 - 1);
    index
}
