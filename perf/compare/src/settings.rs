//! What every engine is told for a step: the same memory, the same shape of the tree.

use crate::options::Sizes;
use crate::workload::{Step, Task};

/// Blocks of data, in bytes.
pub const BLOCK_BYTES: usize = 4096;
/// Bits of a Bloom filter per key.
pub const FILTER_BITS: u32 = 10;
/// Memtables at most, the open one included.
pub const MEMTABLES_MAX: usize = 3;
/// Each level is larger by this.
pub const LEVEL_FACTOR: u64 = 10;
/// SSTables in level 0 that make a compaction.
pub const LEVEL0_TABLES: usize = 4;

/// Memory and tree of one step.
pub struct Settings {
    /// Bytes of a value.
    pub value_bytes: usize,
    /// Bytes of a memtable.
    pub memtable_bytes: usize,
    /// Bytes of the block cache.
    pub cache_bytes: usize,
    /// Target bytes of level 1.
    pub level1_bytes: u64,
    /// Target bytes of an SSTable.
    pub table_bytes: u64,
}

impl Settings {
    /// Those of a step.
    pub fn of(step: &Step) -> Settings {
        let sizes: &Sizes = &step.sizes;
        let tree = |memtable_bytes: usize, cache_bytes: usize| Settings {
            value_bytes: sizes.value_bytes,
            memtable_bytes,
            cache_bytes,
            level1_bytes: 4 * memtable_bytes as u64,
            table_bytes: memtable_bytes as u64,
        };
        match step.task {
            // Everything twice, so that what is measured is the cache's hit.
            Task::GetCached => {
                tree(sizes.memtable_bytes, 2 * (sizes.cached_keys * sizes.entry_bytes()) as usize + (8 << 20))
            }
            Task::Puts { .. } => tree(sizes.memtable_bytes, sizes.cache_bytes),
            Task::PrepareSet | Task::GetUncached | Task::GetAbsent | Task::Scan => {
                tree(sizes.memtable_bytes, sizes.cache_bytes)
            }
            Task::MixFlatOut | Task::MixPaced { .. } => tree(sizes.mix_memtable_bytes, sizes.cache_bytes),
            Task::Load => tree(sizes.load_memtable_bytes, sizes.load_memtable_bytes),
            // Nothing is flushed: all of it is in the log alone.
            Task::FillLog | Task::Reopen => Settings {
                value_bytes: sizes.restart_value_bytes,
                ..tree(2 * sizes.restart_log_bytes as usize, sizes.cache_bytes)
            },
        }
    }
}
