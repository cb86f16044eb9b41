//! What a tree is told at its start, and what it tells about itself.

use std::path::PathBuf;
use std::time::Duration;

use crate::Error;

/// Levels of a tree: 0 takes the flushes, each further one that is in use is larger by `level_factor`.
pub const LEVEL_COUNT: usize = 7;

/// How the blocks of a level are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As they are: the cheapest read.
    None,
    /// LZ4: about half the bytes at about a microsecond a block.
    Lz4,
    /// Zstandard at level 3: the fewest bytes, for levels that are read seldom.
    Zstd,
}

/// Keys that are kept for a time after they were written, and then go, whole SSTables at a time.
///
/// Between its time and the going of its SSTable a key may still be seen: whoever must not see it looks at a time of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgeRange {
    /// The first key.
    pub from: Vec<u8>,
    /// The first key behind the range.
    pub to: Vec<u8>,
    /// How long an entry is kept, at least.
    pub ttl: Duration,
    /// SSTables are merged only with others whose newest entries fall into the same window: so at most that much more is
    /// kept. A tenth of `ttl` is a good choice.
    pub window: Duration,
}

/// Where a tree lies and what it may use.
#[derive(Clone, Debug)]
pub struct TreeOptions {
    /// The tree's own directory; created if it is not there.
    pub dir: PathBuf,
    /// Bytes of a memtable at which it is closed and flushed.
    pub memtable_bytes: usize,
    /// Memtables that wait for their flush; while so many wait and the open one is full, writers wait.
    pub immutables_max: usize,
    /// Target size of a data block as stored without compression, trailer included.
    pub block_bytes: usize,
    /// Target size of a partition: the filter and the index of a run of data blocks.
    pub partition_bytes: usize,
    /// Target size of an SSTable that a compaction writes.
    pub table_bytes: u64,
    /// Bytes of verified blocks and partitions in memory.
    pub cache_bytes: usize,
    /// SSTables that are open at once, each a file descriptor and about 40 bytes per MiB of data.
    pub tables_open_max: usize,
    /// Per level, how its blocks are stored.
    pub compression: [Compression; LEVEL_COUNT],
    /// SSTables in level 0 at which they are merged into the levels below when nobody writes; under writes it may be up to twice as
    /// many, but not more than half of what is missing to `level0_tables_slow`.
    pub level0_tables: usize,
    /// SSTables in level 0 from which writers are slowed, ever more.
    pub level0_tables_slow: usize,
    /// SSTables in level 0 at which writers wait.
    pub level0_tables_stop: usize,
    /// Bytes above the levels' targets at which compaction is not held back any more, whatever the foreground says.
    pub debt_bytes_max: u64,
    /// Most bytes of level 1 while there is none below it. When it is full all of it moves down, and the levels above the last
    /// one have a part of its size, or are left out while they would be smaller than a small part of this.
    pub level1_bytes: u64,
    /// How many times as large each level is as the one above it.
    pub level_factor: u64,
    /// Ranges of keys that go by age instead of by levels: in order, and apart.
    pub age_ranges: Vec<AgeRange>,
    /// In how long all SSTables are read and checked once, whether anybody asks for them or not; zero: never. An SSTable that
    /// does not pass is reported in [`TreeStats::corrupt`] and is not compacted any more.
    pub scrub_pass: Duration,
    /// Bytes a second that the scrubber reads at least: small trees are done early, and then it rests.
    pub scrub_bytes_per_second_min: u64,
    /// Size of one write of a flush or compaction, and of one read of a compaction.
    pub transfer_bytes: usize,
    /// Bytes a second that a flush or a compaction moves at most while the foreground is there, from 4 MiB; 2^30 is no limit. What is
    /// owed goes over it, and so does work that nobody is disturbed by. For a device whose bandwidth is known: a part of that.
    pub background_bytes_per_second_max: u64,
    /// Most that a scan reads at once.
    pub readahead_bytes: usize,
    /// Size that the manifest reserves; when it is full, a new generation is written.
    pub manifest_bytes: u64,
    /// First pause after a failed flush or compaction that may be tried again; doubles up to 64 times this.
    pub retry_pause: Duration,
    /// A planted bug, for tests that show that the checkers find it.
    #[doc(hidden)]
    pub canary: Canary,
}

impl TreeOptions {
    /// The defaults for a tree in `dir`: 64 MiB memtables, 4 KiB blocks, LZ4 from level 2 down, Zstandard at the bottom.
    pub fn new(dir: impl Into<PathBuf>) -> TreeOptions {
        use Compression::{Lz4, None, Zstd};
        TreeOptions {
            dir: dir.into(),
            memtable_bytes: 64 << 20,
            immutables_max: 2,
            block_bytes: 4096,
            partition_bytes: 16 << 10,
            table_bytes: 64 << 20,
            cache_bytes: 256 << 20,
            tables_open_max: 1024,
            compression: [None, None, Lz4, Lz4, Lz4, Lz4, Zstd],
            level0_tables: 4,
            level0_tables_slow: 12,
            level0_tables_stop: 24,
            debt_bytes_max: 1 << 30,
            level1_bytes: 256 << 20,
            level_factor: 10,
            age_ranges: Vec::new(),
            scrub_pass: Duration::from_secs(10 * 24 * 3600),
            scrub_bytes_per_second_min: 1 << 20,
            transfer_bytes: 256 << 10,
            background_bytes_per_second_max: 1 << 30,
            readahead_bytes: 64 << 10,
            manifest_bytes: 1 << 20,
            retry_pause: Duration::from_millis(100),
            canary: Canary::None,
        }
    }

    /// The age range that holds `key`.
    pub(crate) fn age_range(&self, key: &[u8]) -> Option<&AgeRange> {
        let behind = self.age_ranges.partition_point(|range| *range.from <= *key);
        let range = &self.age_ranges[behind.checked_sub(1)?];
        (*key < *range.to).then_some(range)
    }

    /// A number that changes where an age range begins or ends, and does not go down along the keys.
    pub(crate) fn age_group(&self, key: &[u8]) -> usize {
        let begun = self.age_ranges.partition_point(|range| *range.from <= *key);
        let ended = self.age_ranges.partition_point(|range| *range.to <= *key);
        begun + ended
    }

    /// Bytes of `level` at which it is not the last one any more; level 0 is counted in SSTables, not bytes.
    pub(crate) fn level_bytes(&self, level: usize) -> u64 {
        assert!((1..LEVEL_COUNT).contains(&level));
        let factor = self.level_factor.saturating_pow(level as u32 - 1);
        self.level1_bytes.saturating_mul(factor)
    }
}

/// Planted bugs. Each is a rule of RELIABILITY, section 4.2, that is broken on purpose.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canary {
    /// No bug.
    None,
    /// SSTables are not synced before the manifest names them (L1).
    SkipTableSync,
    /// A sync of an SSTable that failed counts as done (W5).
    IgnoreSyncError,
    /// Their directory is not synced (L1).
    SkipDirSync,
    /// The manifest acknowledges every third edit without writing it (L2).
    LoseManifestEdit,
    /// A compaction drops tombstones that still hide something below (L5).
    DropTombstonesEarly,
    /// A filter says no to keys that are there.
    FilterFalseNegative,
    /// Checksums of blocks are not looked at.
    TrustBlocks,
}

impl Canary {
    /// Whether this bug is planted. Never, where planted bugs are not compiled in: then nothing is left of them.
    pub(crate) fn is(self, bug: Canary) -> bool {
        cfg!(any(test, feature = "canaries")) && self == bug
    }
}

/// An SSTable that cannot be read, wholly or in part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorruptTable {
    /// Its file.
    pub path: PathBuf,
    /// Where in it, in bytes, if that is known.
    pub offset: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl CorruptTable {
    pub(crate) fn new(path: PathBuf, error: &Error) -> CorruptTable {
        let (offset, what) = match error {
            Error::Corrupt { offset, what, .. } => (Some(*offset), what.clone()),
            Error::Io { offset, source, .. } => (*offset, source.to_string()),
            other => (None, other.to_string()),
        };
        CorruptTable { path, offset, what }
    }
}

/// A tree's figures at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeStats {
    /// Bytes of the open memtable.
    pub memtable_bytes: usize,
    /// Memtables that wait for their flush, and their bytes.
    pub immutables: usize,
    /// Bytes of those.
    pub immutable_bytes: usize,
    /// Per level, its SSTables.
    pub level_tables: [usize; LEVEL_COUNT],
    /// SSTables of age ranges, which are among those of level 0.
    pub aged_tables: usize,
    /// Per level, their bytes.
    pub level_bytes: [u64; LEVEL_COUNT],
    /// SSTables that no version names any more but a view still reads.
    pub tables_pinned: usize,
    /// Bytes of SSTables that nobody reads any more and that are being removed.
    pub freeing_bytes: u64,
    /// Ranges that are dropped but not yet gone from every SSTable.
    pub dropped_ranges: usize,
    /// Views and scans that are alive.
    pub views: usize,
    /// Highest sequence number given to a write.
    pub sequence: u64,
    /// Bytes in the block cache.
    pub cache_bytes: usize,
    /// Blocks found in the cache.
    pub cache_hits: u64,
    /// Blocks read from the device for lack of them.
    pub cache_misses: u64,
    /// Device reads from SSTables.
    pub reads: u64,
    /// Bytes that they gave.
    pub read_bytes: u64,
    /// Blocks that somebody was reading already when they were asked for: two gets, one device read.
    pub reads_shared: u64,
    /// Lookups in an SSTable that a filter answered with no.
    pub filter_negatives: u64,
    /// Lookups in an SSTable that a filter let pass in vain.
    pub filter_false_positives: u64,
    /// Flushes that are durable.
    pub flushes: u64,
    /// Bytes that they wrote.
    pub flush_bytes: u64,
    /// Compactions that are durable.
    pub compactions: u64,
    /// SSTables that were moved a level down without being read.
    pub tables_moved: u64,
    /// Bytes that compactions read.
    pub compaction_read_bytes: u64,
    /// Bytes that compactions wrote.
    pub compaction_write_bytes: u64,
    /// Bytes above the levels' targets: what compaction owes.
    pub compaction_debt_bytes: u64,
    /// Bytes a second that compaction may move at this moment; 2^30 is no limit.
    pub compaction_bytes_per_second_max: u64,
    /// Bytes of keys and values that were applied. Write amplification: what flushes and compactions wrote, over this.
    pub user_bytes: u64,
    /// Times that a writer was slowed.
    pub writer_waits: u64,
    /// Times that a writer had to wait for a flush or a compaction to end.
    pub writer_stops: u64,
    /// Microseconds of both.
    pub writer_wait_us: u64,
    /// The p99 of the last few hundred gets and writes that were timed, in microseconds.
    pub foreground_us_p99: u64,
    /// What it was before the last flush or compaction began.
    pub foreground_us_p99_quiet: u64,
    /// Longest time that the core kept the foreground waiting for its turn while a flush or compaction ran, in microseconds.
    pub stall_us_max: u64,
    /// Longest time that a flush or compaction held the core at once, in microseconds: one block.
    pub slice_us_max: u64,
    /// Size of the manifest's live part, in bytes.
    pub manifest_bytes: u64,
    /// The last flush or compaction found the disk full; it is tried again.
    pub full: bool,
    /// Flushes and compactions that failed and were tried again.
    pub retries: u64,
    /// SSTables of age ranges that expired as a whole.
    pub tables_expired: u64,
    /// Bytes that the scrubber has read.
    pub scrub_bytes: u64,
    /// Times that it has been through all SSTables.
    pub scrub_passes: u64,
    /// SSTables that a compaction or the scrubber could not read. Reads of what is whole in them go on.
    pub corrupt: Vec<CorruptTable>,
    /// Why the tree takes no more writes, if so.
    pub poisoned: Option<String>,
}
