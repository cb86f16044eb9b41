//! Leveled compaction: what to do next ([`pick`], a pure function) and doing it ([`run()`]).
//!
//! Level 0 takes flushes and is due by count; all of it goes into level 1. Each further level is due by bytes, with
//! targets that grow by `level_factor`; it gives the SSTable that costs least: the fewest bytes below per own byte. What
//! overlaps nothing below only moves. When no level is due, SSTables with dropped keys in them are rewritten in place.
//!
//! The caller runs one job at a time. So what lies below a job's output level stays as it is while the job runs,
//! which is what makes "no older write of this key lies below" (L5) a fact that holds at the end as well.

mod run;
#[cfg(test)]
mod tests;

use std::ops::Deref;

pub(crate) use self::run::{Failure, Hooks, Inputs, run};
use crate::sstable::TableMeta;
use crate::tree::options::{LEVEL_COUNT, TreeOptions};
use crate::version::DroppedRange;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Merge the inputs and what they overlap into the level below.
    Merge,
    /// Only say that the inputs are a level deeper.
    Move,
    /// Write the one input anew in its level, without its dropped keys.
    Rewrite,
}

/// One piece of compaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) kind: Kind,
    pub(crate) level: usize,
    /// File ids of `level`, in its order.
    pub(crate) inputs: Vec<u64>,
    pub(crate) target: usize,
    /// File ids of `target` that the inputs overlap.
    pub(crate) below: Vec<u64>,
}

/// A level that is exactly at its limit.
const DUE: u64 = 1000;

/// The most urgent job, if there is any.
pub(crate) fn pick<T>(
    levels: &[Vec<T>; LEVEL_COUNT],
    drops: &[DroppedRange],
    options: &TreeOptions,
) -> Option<Job>
where
    T: Deref,
    T::Target: AsRef<TableMeta>,
{
    let levels: [Vec<&TableMeta>; LEVEL_COUNT] =
        std::array::from_fn(|level| levels[level].iter().map(|table| (**table).as_ref()).collect());
    let scores = (0..LEVEL_COUNT - 1).map(|level| (score(&levels, level, options), level));
    // Of equals the upper level: it holds up the levels below it.
    let (score, level) = scores.max_by_key(|&(score, level)| (score, std::cmp::Reverse(level)))?;
    if score < DUE {
        return pick_rewrite(&levels, drops);
    }
    let inputs =
        if level == 0 { levels[0].clone() } else { vec![cheapest(&levels[level], &levels[level + 1])?] };
    Some(job(level, &inputs, &levels[level + 1]))
}

/// Bytes above the levels' targets.
pub(crate) fn debt<T>(levels: &[Vec<T>; LEVEL_COUNT], options: &TreeOptions) -> u64
where
    T: Deref,
    T::Target: AsRef<TableMeta>,
{
    let bytes = |level: usize| levels[level].iter().map(|table| (**table).as_ref().size).sum::<u64>();
    let deeper = (1..LEVEL_COUNT - 1).map(|level| bytes(level).saturating_sub(options.level_bytes(level)));
    let first = if levels[0].len() >= options.level0_tables { bytes(0) } else { 0 };
    first + deeper.sum::<u64>()
}

/// How full a level is, in thousandths of its limit.
fn score(levels: &[Vec<&TableMeta>; LEVEL_COUNT], level: usize, options: &TreeOptions) -> u64 {
    if level == 0 {
        return levels[0].len() as u64 * DUE / options.level0_tables.max(1) as u64;
    }
    let bytes: u64 = levels[level].iter().map(|table| table.size).sum();
    // A level that is at its target is not due yet.
    bytes.saturating_sub(1).saturating_mul(DUE) / options.level_bytes(level).max(1)
}

/// The table of `level` with the fewest bytes below per own byte; of equals the first.
fn cheapest<'a>(level: &[&'a TableMeta], below: &[&TableMeta]) -> Option<&'a TableMeta> {
    let cost = |table: &TableMeta| {
        let under: u64 = overlapping(&[table], below).iter().map(|table| table.size).sum();
        under.saturating_mul(DUE) / table.size.max(1)
    };
    level.iter().min_by_key(|table| cost(table)).copied()
}

fn job(level: usize, inputs: &[&TableMeta], below: &[&TableMeta]) -> Job {
    let below = overlapping(inputs, below);
    let kind = if below.is_empty() && apart(inputs) { Kind::Move } else { Kind::Merge };
    Job { kind, level, inputs: ids(inputs), target: level + 1, below: ids(&below) }
}

/// Tables of `below` between the smallest and the largest key of `inputs`.
fn overlapping<'a>(inputs: &[&TableMeta], below: &[&'a TableMeta]) -> Vec<&'a TableMeta> {
    let smallest = inputs.iter().map(|table| &table.smallest).min();
    let largest = inputs.iter().map(|table| &table.largest).max();
    let (Some(smallest), Some(largest)) = (smallest, largest) else { return Vec::new() };
    below.iter().filter(|table| table.smallest <= *largest && *smallest <= table.largest).copied().collect()
}

/// Whether no two tables overlap.
fn apart(tables: &[&TableMeta]) -> bool {
    let mut sorted = tables.to_vec();
    sorted.sort_by(|a, b| a.smallest.cmp(&b.smallest));
    sorted.windows(2).all(|pair| !pair[0].overlaps(pair[1]))
}

/// The first table that still holds keys of a dropped range, deepest level first: there lies the most.
fn pick_rewrite(levels: &[Vec<&TableMeta>; LEVEL_COUNT], drops: &[DroppedRange]) -> Option<Job> {
    (0..LEVEL_COUNT).rev().find_map(|level| {
        let needs = |table: &&&TableMeta| drops.iter().any(|drop| may_hide(drop, table));
        let table = levels[level].iter().find(needs)?;
        Some(Job { kind: Kind::Rewrite, level, inputs: vec![table.id], target: level, below: Vec::new() })
    })
}

/// Whether `drop` may hide something in the table: while this is so for any, the drop must be kept.
pub(crate) fn may_hide(drop: &DroppedRange, table: &TableMeta) -> bool {
    table.drops_applied < drop.sequence
        && table.sequence_min <= drop.sequence
        && drop.touches(&table.smallest, &table.largest)
}

/// Whether `drop` hides all that is in the table.
pub(crate) fn hides_all(drop: &DroppedRange, table: &TableMeta) -> bool {
    table.sequence_max <= drop.sequence && drop.covers(&table.smallest, &table.largest)
}

fn ids(tables: &[&TableMeta]) -> Vec<u64> {
    tables.iter().map(|table| table.id).collect()
}
