//! Parts of the tree by themselves, for whoever counts what they cost. Not part of the crate's interface: the names
//! here follow the code, not a promise.

use crate::sstable::block::{Block, BlockBuilder, DATA_RESTART_INTERVAL, Entry};
use crate::sstable::filter;

/// One data block in memory.
pub struct DataBlock(Block);

impl DataBlock {
    /// The block that as many of the entries fill as fit into `block_bytes`, and how many that are. Keys ascend.
    pub fn filled(entries: &[(Vec<u8>, Vec<u8>)], block_bytes: usize) -> (DataBlock, usize) {
        let mut builder = BlockBuilder::new(DATA_RESTART_INTERVAL);
        let mut count = 0;
        for (key, value) in entries {
            if builder.size_with(key, value) > block_bytes {
                break;
            }
            builder.add(Entry { key, sequence: 1 + count as u64, value: Some(value) });
            count += 1;
        }
        let mut bytes = Vec::new();
        builder.finish(&mut bytes);
        (DataBlock(Block::parse(bytes.into()).expect("it was built here")), count)
    }

    /// Bytes of the value of `key`, if the block has it.
    pub fn value_bytes(&self, key: &[u8]) -> Option<usize> {
        let found = self.0.seek(key).expect("a sound block")?;
        (found.exact && !found.tombstone).then(|| found.value.len())
    }
}

/// One Bloom filter in memory.
pub struct Filter(Vec<u8>);

/// Stands for a tree's identity.
const IDENTITY: u64 = 7;

impl Filter {
    /// A filter over these keys.
    pub fn over<'a>(keys: impl Iterator<Item = &'a [u8]>) -> Filter {
        let hashes: Vec<u64> = keys.map(|key| filter::hash(key, IDENTITY)).collect();
        let mut bytes = Vec::new();
        filter::build(&hashes, 10, &mut bytes);
        Filter(bytes)
    }

    /// Whether `key` may be among the keys; hashes it first, as a lookup does once.
    pub fn may_contain(&self, key: &[u8]) -> bool {
        filter::may_contain(&self.0, filter::hash(key, IDENTITY))
    }
}
