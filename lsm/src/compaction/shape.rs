//! The shape of a tree at one moment: which levels are in use, and how much each may hold.
//!
//! ```text
//! level 0   flushes, by count
//! level 1   -                                  not in use: too small to pay for itself
//! level 2   a tenth of level 3    base         level 0 goes here
//! level 3   all the rest          last         the deepest level with anything in it
//! ```
//!
//! What lies above the last level is, in the worst case, all newer writes of keys below: space that is used twice. So the targets
//! follow the size of the last level instead of being fixed: whatever the tree's size, the levels above hold about a tenth of it (with
//! a factor of 10), and levels that would be smaller than a few flushes are left out. Source: RocksDB's `level_compaction_dynamic_level_bytes`
//! and Dong et al., "Optimizing Space Amplification in RocksDB", CIDR 2017. Levels are counted from above all the same: a tree begins
//! with level 1 alone, and when its last level is full all of that moves down one, which writes nothing.

use crate::tree::options::{LEVEL_COUNT, TreeOptions};

/// A level is put before the last one when that is this many times as large as level 1 may be alone. Without it, level 0 is
/// merged with the whole last level: below this size that writes less than two steps do.
const ALONE_TIMES: u64 = 2;

/// At rest the levels above the last one may hold this part of it, a little more than a level before the last has anyway. Not
/// less: each byte of theirs costs as many of the last level's to be merged with.
const REST_PART: u64 = 8;

/// Levels and their targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Where level 0 goes.
    pub(crate) entry: usize,
    /// SSTables of level 0 at which it goes there.
    pub(crate) level0_tables: usize,
    /// Target bytes by level. 0: not in use, what is there moves on.
    pub(crate) targets: [u64; LEVEL_COUNT],
}

impl Shape {
    /// The shape of a tree whose levels hold so many bytes, and that is written to.
    ///
    /// Level 0 is let grow to twice of what it has to have at rest: the more of it goes down at once, the fewer bytes are
    /// rewritten for each of its own, and this counts while there are many.
    pub(crate) fn of(bytes: &[u64; LEVEL_COUNT], options: &TreeOptions) -> Shape {
        let last = last_of(bytes);
        // Of the largest, not of the last: that has only just begun when the one above it is full.
        let mut size = bytes[1..].iter().copied().max().unwrap_or(0);
        let mut targets = [0; LEVEL_COUNT];
        targets[last] = options.level_bytes(last);
        let mut base = last;
        while base > 1 && size > options.level1_bytes.saturating_mul(ALONE_TIMES) {
            base -= 1;
            size /= options.level_factor.max(2);
            targets[base] = size.max(1);
        }
        // Newer writes never pass older ones that are still on their way down.
        let first = (1..LEVEL_COUNT).find(|level| bytes[*level] > 0).unwrap_or(base);
        Shape { entry: base.min(first), level0_tables: level0_tables(options), targets }
    }

    /// The shape of a tree that nobody writes to: its time and its device are free, and space is given back.
    pub(crate) fn at_rest(bytes: &[u64; LEVEL_COUNT], options: &TreeOptions) -> Shape {
        let mut shape = Shape::of(bytes, options);
        let last = last_of(bytes);
        let above: u64 = bytes[..last].iter().sum();
        shape.level0_tables = options.level0_tables;
        if above > bytes[last] / REST_PART {
            shape.targets[..last].fill(0);
            shape.level0_tables = 1;
        }
        shape
    }
}

/// SSTables of level 0 at which it goes down in a tree that is written to: not where their number slows writers.
pub(crate) fn level0_tables(options: &TreeOptions) -> usize {
    let (rest, slow) = (options.level0_tables, options.level0_tables_slow);
    (2 * rest).min(rest.midpoint(slow)).max(1)
}

/// The deepest level with anything in it, or where that will be.
fn last_of(bytes: &[u64; LEVEL_COUNT]) -> usize {
    (1..LEVEL_COUNT).rfind(|level| bytes[*level] > 0).unwrap_or(1)
}

#[cfg(test)]
mod tests;
