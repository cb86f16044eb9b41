//! A partition in memory: the filter and the index of a run of data blocks.

use super::Handle;
use super::block::{Block, Malformed};
use super::filter;
use super::index::Index;
use crate::cache::Hint;

/// The filter and the index of a run of data blocks, and where these blocks were in the cache.
pub(crate) struct Partition {
    pub(crate) filter: Box<[u8]>,
    pub(crate) index: Index,
    hints: Box<[Hint]>,
}

impl Partition {
    /// Unpacks a partition; `bounded` says whether a handle names a place where a block can be.
    pub(crate) fn parse(bytes: &[u8], bounded: impl Fn(&Handle) -> bool) -> Result<Partition, Malformed> {
        let size = bytes.first_chunk::<4>().ok_or(Malformed)?;
        let size = u32::from_le_bytes(*size) as usize;
        let (filter, index) = bytes[4..].split_at_checked(size).ok_or(Malformed)?;
        let index = Index::parse(&Block::parse(index.into())?, bounded)?;
        let hints = (0..index.len()).map(|_| Hint::default()).collect();
        Ok(Partition { filter: filter.into(), index, hints })
    }

    /// Bytes in memory.
    pub(crate) fn size(&self) -> usize {
        size_of::<Partition>() + self.filter.len() + self.index.bytes() + self.hints.len() * size_of::<Hint>()
    }

    /// Whether the key with this filter hash may be here.
    pub(crate) fn may_contain(&self, hash: u64) -> bool {
        filter::may_contain(&self.filter, hash)
    }

    /// Where data block `at` was in the cache.
    pub(crate) fn hint(&self, at: usize) -> &Hint {
        &self.hints[at]
    }
}
