//! Finding a key among sorted keys in memory: indexes of SSTables, and the SSTables of a level.
//!
//! ```text
//! common prefix | next 8 bytes of each key, as numbers, in a row | the rest, only asked between equals
//! ```
//!
//! A [`Fence`] leaves out what all its keys begin with and compares the next eight bytes of each as one number. Torc's
//! keys of a table share five bytes and then carry a token, so these eight bytes tell nearly all keys apart: a search
//! walks a dense row of numbers and looks at one whole key at its end. An [`Index`] is a fence over the separators of an
//! index block, with the handles beside it: unpacked and checked once, when the block is loaded, not at each search.

use std::ops::Range;

use super::Handle;
use super::block::{Block, Malformed};
use crate::codec::common_prefix;

/// Bytes of whole keys that a byte of an index block may stand for. Entries share prefixes only up to the next restart,
/// which comes every 4 entries: so 4 are enough, and a block that stands for more is none of ours.
const KEY_BYTES_PER_BYTE_MAX: usize = 16;

/// Ascending keys, packed for searching.
#[derive(Default)]
pub(crate) struct Fence {
    /// Bytes that all keys have in common at their start.
    common: usize,
    /// Eight bytes of each key from `common` on, big-endian, zeros behind its end.
    prefixes: Box<[u64]>,
    /// Where each key ends in `keys`.
    ends: Box<[u32]>,
    /// All keys, one behind the other.
    keys: Box<[u8]>,
}

impl Fence {
    /// Takes keys that ascend; equal ones may follow each other.
    pub(crate) fn new<'k>(sorted: impl Iterator<Item = &'k [u8]>) -> Fence {
        let (mut keys, mut ends) = (Vec::new(), Vec::new());
        for key in sorted {
            keys.extend_from_slice(key);
            ends.push(u32::try_from(keys.len()).expect("indexes are far smaller than 4 GiB"));
        }
        let (ends, keys) = (ends.into_boxed_slice(), keys.into_boxed_slice());
        let mut fence = Fence { common: 0, prefixes: Box::default(), ends, keys };
        if !fence.ends.is_empty() {
            fence.common = common_prefix(fence.key(0), fence.key(fence.len() - 1));
            fence.prefixes = (0..fence.len()).map(|at| number(&fence.key(at)[fence.common..])).collect();
        }
        fence
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.keys.len() + self.len() * (size_of::<u64>() + size_of::<u32>())
    }

    pub(crate) fn key(&self, at: usize) -> &[u8] {
        &self.keys[self.span(at)]
    }

    fn span(&self, at: usize) -> Range<usize> {
        let start = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        start..self.ends[at] as usize
    }

    /// The first key at or above `target`; the number of keys if there is none.
    #[inline]
    pub(crate) fn at_or_above(&self, target: &[u8]) -> usize {
        if self.prefixes.is_empty() {
            return 0;
        }
        let shared = &self.keys[..self.common];
        let Some(rest) = target.strip_prefix(shared) else {
            return if target < shared { 0 } else { self.len() };
        };
        let goal = number(rest);
        let mut low = self.prefixes.partition_point(|prefix| *prefix < goal);
        let equals = |rest: &[u64]| rest.partition_point(|prefix| *prefix == goal);
        let mut high =
            low + if self.prefixes.get(low) == Some(&goal) { equals(&self.prefixes[low..]) } else { 0 };
        while low < high {
            let middle = low.midpoint(high);
            if self.key(middle) >= target {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }
}

/// The first eight bytes as a number that sorts as they do, zeros behind their end.
#[inline]
fn number(bytes: &[u8]) -> u64 {
    if let Some(first) = bytes.first_chunk::<8>() {
        return u64::from_be_bytes(*first);
    }
    let mut first = [0; 8];
    first[..bytes.len()].copy_from_slice(bytes);
    u64::from_be_bytes(first)
}

/// An index block in memory: which block a key would be in.
pub(crate) struct Index {
    separators: Fence,
    handles: Box<[Handle]>,
}

impl Index {
    /// Unpacks the sorted block of an index; `bounded` says whether a handle names a place where a block can be.
    pub(crate) fn parse(block: &Block, bounded: impl Fn(&Handle) -> bool) -> Result<Index, Malformed> {
        let mut keys: Vec<u8> = Vec::new();
        let (mut ends, mut handles) = (Vec::new(), Vec::new());
        block.each(|key, value| {
            let handle = Handle::decode(value).filter(&bounded).ok_or(Malformed)?;
            keys.extend_from_slice(key);
            if keys.len() > KEY_BYTES_PER_BYTE_MAX * block.size() {
                return Err(Malformed);
            }
            ends.push(keys.len());
            handles.push(handle);
            Ok(())
        })?;
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let spans = || starts.clone().zip(ends.iter().copied());
        let all = || spans().map(|(start, end)| &keys[start..end]);
        if !all().is_sorted() {
            return Err(Malformed);
        }
        Ok(Index { separators: Fence::new(all()), handles: handles.into() })
    }

    /// Blocks that it names.
    pub(crate) fn len(&self) -> usize {
        self.handles.len()
    }

    /// Bytes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.separators.bytes() + self.handles.len() * size_of::<Handle>()
    }

    /// The block that would hold `key`; the number of blocks if `key` is behind all of them.
    pub(crate) fn find(&self, key: &[u8]) -> usize {
        self.separators.at_or_above(key)
    }

    pub(crate) fn handle(&self, at: usize) -> Handle {
        self.handles[at]
    }

    /// The key of block `at`: at or above the block's last key, below the next block's first.
    pub(crate) fn separator(&self, at: usize) -> &[u8] {
        self.separators.key(at)
    }
}

#[cfg(test)]
mod tests;
