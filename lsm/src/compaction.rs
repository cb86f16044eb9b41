//! Compaction: what to do next ([`pick`], a pure function), how fast ([`pace`]) and doing it ([`run()`]).
//!
//! **Levels.** Level 0 takes flushes and is due by count; all of it goes into the first level below that is in use. Each
//! further level is due by bytes, with targets that follow the size of the last one ([`shape`]); it gives the run of neighbours
//! that costs least: the fewest bytes below per own byte. What overlaps nothing below only moves. When no level is due, SSTables with dropped keys in them are rewritten in
//! place.
//!
//! **Ages.** Keys of an age range never leave level 0, which has a place for SSTables that overlap. They are gathered
//! there, small ones into larger ones, but only neighbours in time that belong to one window; and an SSTable goes as a whole when its
//! newest entry has expired. So an entry is written about twice in its life, and expiring costs nothing.
//!
//! **Quarantine.** An SSTable with a block that cannot be read takes part in nothing (it may only expire): it is neither
//! dropped nor copied. Above one in level 0 newer SSTables have to stay, or reads would meet the old before the new;
//! these are gathered among themselves, so that their number stays small and writing goes on.
//!
//! The caller runs one job at a time. So what lies below a job's output level stays as it is while the job runs,
//! which is what makes "no older write of this key lies below" (L5) a fact that holds at the end as well.

pub(crate) mod pace;
mod run;
mod shape;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ops::Deref;

use runtime::Wall;

pub(crate) use self::run::{Failure, Hooks, Inputs, run};
use self::shape::Shape;
pub(crate) use self::shape::level0_tables;
use crate::sstable::TableMeta;
use crate::tree::options::{AgeRange, LEVEL_COUNT, TreeOptions};
use crate::version::DroppedRange;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Merge the inputs and what they overlap into the target level.
    Merge,
    /// Only say that the inputs are in the target level.
    Move,
    /// Write the one input anew in its level, without its dropped keys.
    Rewrite,
    /// Merge neighbours of level 0 there.
    Gather,
    /// Everything in the inputs has expired: they go.
    Expire,
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

/// What a pick depends on, besides the tables themselves.
pub(crate) struct Situation<'a> {
    pub(crate) drops: &'a [DroppedRange],
    pub(crate) options: &'a TreeOptions,
    /// SSTables that cannot be read.
    pub(crate) quarantined: &'a BTreeSet<u64>,
    /// What ages are measured against.
    pub(crate) now: Wall,
    /// Bytes that a job may write, at most: what the disk has left.
    pub(crate) room_bytes: u64,
    /// Nobody has written for a while.
    pub(crate) resting: bool,
}

type Levels<'a> = [Vec<&'a TableMeta>; LEVEL_COUNT];

/// A level that is exactly at its limit.
const DUE: u64 = 1000;
/// A level that is not in use: it is to be empty soon, but what is worse comes first.
const DUE_UNUSED: u64 = 2 * DUE;
/// Bytes of one job, inputs and below, in SSTables: more neighbours at once save what is rewritten at their edges, but
/// their old and new files lie on the disk together.
const JOB_TABLES_MAX: u64 = 12;
/// Small SSTables of the window that is still open, at which they are gathered.
const GATHER_OPEN: usize = 8;
/// At most so many at once.
const GATHER_MAX: usize = 32;

/// The most urgent job, if there is any.
pub(crate) fn pick<T>(levels: &[Vec<T>; LEVEL_COUNT], situation: &Situation<'_>) -> Option<Job>
where
    T: Deref,
    T::Target: AsRef<TableMeta>,
{
    let levels: Levels<'_> =
        std::array::from_fn(|level| levels[level].iter().map(|table| (**table).as_ref()).collect());
    pick_expired(&levels, situation)
        .or_else(|| pick_window(&levels, situation))
        .or_else(|| pick_level(&levels, situation))
        .or_else(|| pick_above_quarantine(&levels, situation))
        .or_else(|| pick_rewrite(&levels, situation))
}

/// Bytes above the levels' targets.
pub(crate) fn debt<T>(levels: &[Vec<T>; LEVEL_COUNT], options: &TreeOptions) -> u64
where
    T: Deref,
    T::Target: AsRef<TableMeta>,
{
    let bytes = bytes(levels, options);
    let shape = Shape::of(&bytes, options);
    let deeper = (1..LEVEL_COUNT - 1).map(|level| bytes[level].saturating_sub(shape.targets[level]));
    let first = if level0_count(&levels[0], options) >= shape.level0_tables { bytes[0] } else { 0 };
    first + deeper.sum::<u64>()
}

/// Bytes by level; in level 0 only of what waits for the levels below.
fn bytes<T>(levels: &[Vec<T>; LEVEL_COUNT], options: &TreeOptions) -> [u64; LEVEL_COUNT]
where
    T: Deref,
    T::Target: AsRef<TableMeta>,
{
    std::array::from_fn(|level| {
        let tables = levels[level].iter().map(|table| (**table).as_ref());
        tables.filter(|table| level > 0 || age_of(table, options).is_none()).map(|table| table.size).sum()
    })
}

/// SSTables of level 0 that wait for the levels below.
pub(crate) fn level0_count<T>(level0: &[T], options: &TreeOptions) -> usize
where
    T: Deref,
    T::Target: AsRef<TableMeta>,
{
    level0.iter().filter(|table| age_of((***table).as_ref(), options).is_none()).count()
}

/// The age range that an SSTable belongs to with all its keys.
pub(crate) fn age_of<'a>(table: &TableMeta, options: &'a TreeOptions) -> Option<&'a AgeRange> {
    table.newest?;
    let range = options.age_range(&table.smallest)?;
    (*table.largest < *range.to).then_some(range)
}

/// When everything in the SSTable will have expired; none if it never will.
pub(crate) fn expires(table: &TableMeta, options: &TreeOptions) -> Option<Wall> {
    let range = age_of(table, options)?;
    Some(Wall(table.newest?.0.saturating_add(range.ttl.as_micros() as u64)))
}

fn pick_expired(levels: &Levels<'_>, situation: &Situation<'_>) -> Option<Job> {
    let is_expired = |table: &&&TableMeta| {
        expires(table, situation.options).is_some_and(|expires| expires <= situation.now)
    };
    let inputs: Vec<u64> = levels[0].iter().filter(is_expired).map(|table| table.id).collect();
    let job = Job { kind: Kind::Expire, level: 0, inputs, target: 0, below: Vec::new() };
    (!job.inputs.is_empty()).then_some(job)
}

/// Neighbours in time of one age range and one window that are small, oldest first.
fn pick_window(levels: &Levels<'_>, situation: &Situation<'_>) -> Option<Job> {
    let options = situation.options;
    options.age_ranges.iter().find_map(|range| {
        let window = |time: Wall| time.0 / (range.window.as_micros() as u64).max(1);
        let mut run: Vec<&TableMeta> = Vec::new();
        let mine = |table: &&&TableMeta| age_of(table, options).is_some_and(|age| std::ptr::eq(age, range));
        // Oldest first, as the levels are newest first; a table that cannot take part ends a run.
        for table in levels[0].iter().rev().filter(mine) {
            let newest = table.newest.expect("it has an age");
            let joins = table.size < options.table_bytes / 2 && !situation.quarantined.contains(&table.id);
            let same = run.last().is_none_or(|last| last.newest.map(window) == Some(window(newest)));
            if !joins || !same || run.len() >= GATHER_MAX {
                if let Some(job) = gather_window(&run, window, situation) {
                    return Some(job);
                }
                run.clear();
            }
            if joins {
                run.push(table);
            }
        }
        gather_window(&run, window, situation)
    })
}

/// A run of one window is gathered when the window is over and there are two, or while it is open and there are many.
fn gather_window(run: &[&TableMeta], window: impl Fn(Wall) -> u64, situation: &Situation<'_>) -> Option<Job> {
    let newest = run.last()?.newest?;
    let enough = if window(newest) < window(situation.now) { 2 } else { GATHER_OPEN };
    let newest_first: Vec<&TableMeta> = run.iter().rev().copied().collect();
    (run.len() >= enough && fits(&newest_first, situation)).then(|| gather(&newest_first))
}

/// `tables` are neighbours of level 0, newest first.
fn gather(tables: &[&TableMeta]) -> Job {
    Job { kind: Kind::Gather, level: 0, inputs: ids(tables), target: 0, below: Vec::new() }
}

/// The level that is furthest over its target and can give something.
fn pick_level(levels: &Levels<'_>, situation: &Situation<'_>) -> Option<Job> {
    let options = situation.options;
    let bytes = bytes(levels, options);
    let shape = match situation.resting {
        true => Shape::at_rest(&bytes, options),
        false => Shape::of(&bytes, options),
    };
    let score = |level| match level {
        0 => level0_count(&levels[0], options) as u64 * DUE / shape.level0_tables as u64,
        _ => score(bytes[level], shape.targets[level]),
    };
    let mut due: Vec<(u64, usize)> = (0..LEVEL_COUNT - 1).map(|level| (score(level), level)).collect();
    due.retain(|(score, _)| *score >= DUE);
    // Of equals the upper level: it holds up the levels below it.
    due.sort_by_key(|&(score, level)| (std::cmp::Reverse(score), level));
    due.into_iter().find_map(|(_, level)| {
        let (inputs, target) = match level {
            0 => (level0_inputs(&levels[0], situation), shape.entry),
            _ => (
                cheapest(levels, level, bytes[level].saturating_sub(shape.targets[level]), situation),
                level + 1,
            ),
        };
        let below = overlapping(&inputs, &levels[target]);
        let readable = |table: &&TableMeta| !situation.quarantined.contains(&table.id);
        let possible = !inputs.is_empty() && inputs.iter().chain(&below).all(readable);
        let job = possible.then(|| job(level, &inputs, target, &below))?;
        let both: Vec<&TableMeta> = inputs.iter().chain(&below).copied().collect();
        (job.kind == Kind::Move || fits(&both, situation)).then_some(job)
    })
}

/// How full a deeper level is, in thousandths of its target.
fn score(bytes: u64, target: u64) -> u64 {
    match (bytes, target) {
        (0, _) => 0,
        (_, 0) => DUE_UNUSED,
        // A level that is at its target is not due yet.
        _ => (bytes - 1).saturating_mul(DUE) / target,
    }
}

/// What may go down from level 0: all but what has an age. Older neighbours of the same keys come along, which
/// happens when a range has lost its age; newer ones of what cannot be read stay.
fn level0_inputs<'a>(level0: &[&'a TableMeta], situation: &Situation<'_>) -> Vec<&'a TableMeta> {
    let ordinary: Vec<&TableMeta> =
        level0.iter().filter(|table| age_of(table, situation.options).is_none()).copied().collect();
    let stays = |table: &&TableMeta| situation.quarantined.contains(&table.id);
    let first = ordinary.iter().rposition(stays).map_or(0, |last| last + 1);
    let goes = &ordinary[first..];
    let comes_along = |table: &TableMeta| {
        goes.iter().any(|newer| newer.overlaps(table) && table.sequence_min < newer.sequence_max)
    };
    let chosen = |table: &&&TableMeta| {
        let aged = age_of(table, situation.options).is_some();
        if aged { comes_along(table) } else { goes.iter().any(|other| other.id == table.id) }
    };
    level0.iter().filter(chosen).copied().collect()
}

/// The run of neighbours of `level` with the fewest bytes below per own byte, not longer than what the level has too much.
fn cheapest<'a>(
    levels: &Levels<'a>,
    level: usize,
    excess: u64,
    situation: &Situation<'_>,
) -> Vec<&'a TableMeta> {
    let (upper, below) = (&levels[level], &levels[level + 1]);
    let options = situation.options;
    let readable = |table: &TableMeta| !situation.quarantined.contains(&table.id);
    let under = Under::new(upper, below);
    let job_max = options.table_bytes.saturating_mul(JOB_TABLES_MAX);
    let mut best: Option<((u64, u64), std::ops::Range<usize>)> = None;
    for first in 0..upper.len() {
        let mut own = 0;
        for (last, table) in upper.iter().enumerate().skip(first) {
            let more = table.size;
            let under = under.of(first..last + 1);
            let too_much = last > first && (own + more > excess || own + more + under.bytes > job_max);
            if too_much || !readable(table) || !below[under.tables].iter().all(|table| readable(table)) {
                break;
            }
            own += more;
            // Of what costs nothing, as much as there is: it is one edit of the manifest.
            let free = if under.bytes == 0 { own } else { 0 };
            let cost = (under.bytes.saturating_mul(DUE) / own.max(1), u64::MAX - free);
            if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                best = Some((cost, first..last + 1));
            }
        }
    }
    best.map(|(_, run)| upper[run].to_vec()).unwrap_or_default()
}

/// What lies under the tables of a level: found for all of them in one walk along both levels.
struct Under {
    /// Of each upper table, the tables below that it overlaps.
    spans: Vec<std::ops::Range<usize>>,
    /// Bytes of the tables below before each one, and of all.
    before: Vec<u64>,
}

/// What lies under a run.
struct Beneath {
    tables: std::ops::Range<usize>,
    bytes: u64,
}

impl Under {
    fn new(upper: &[&TableMeta], below: &[&TableMeta]) -> Under {
        let (mut begin, mut end) = (0, 0);
        let spans = upper.iter().map(|table| {
            while begin < below.len() && below[begin].largest < table.smallest {
                begin += 1;
            }
            end = end.max(begin);
            while end < below.len() && below[end].smallest <= table.largest {
                end += 1;
            }
            begin..end
        });
        let spans = spans.collect();
        let mut before = vec![0];
        below.iter().for_each(|table| before.push(before[before.len() - 1] + table.size));
        Under { spans, before }
    }

    /// Under the upper tables of `run`, and between them: a merge takes all from their first key to their last.
    fn of(&self, run: std::ops::Range<usize>) -> Beneath {
        let tables = self.spans[run.start].start..self.spans[run.end - 1].end;
        let bytes = self.before[tables.end.max(tables.start)] - self.before[tables.start];
        Beneath { tables, bytes }
    }
}

/// When nothing of level 0 can go down, the newest of them that can be read become fewer: as long as the next is not
/// much larger than those before it together, so that each is copied a few times only.
fn pick_above_quarantine(levels: &Levels<'_>, situation: &Situation<'_>) -> Option<Job> {
    let options = situation.options;
    if situation.quarantined.is_empty() || level0_count(&levels[0], options) < options.level0_tables {
        return None;
    }
    let ordinary = levels[0].iter().filter(|table| age_of(table, options).is_none());
    let (mut run, mut bytes) = (Vec::new(), 0u64);
    for table in ordinary.take_while(|table| !situation.quarantined.contains(&table.id)) {
        if run.len() >= options.level0_tables.max(2) && table.size > 2 * bytes {
            break;
        }
        bytes += table.size;
        run.push(*table);
    }
    (run.len() >= options.level0_tables.max(2) && fits(&run, situation)).then(|| gather(&run))
}

/// Whether a job with these inputs finds room on the disk.
fn fits(tables: &[&TableMeta], situation: &Situation<'_>) -> bool {
    tables.iter().map(|table| table.size).sum::<u64>() <= situation.room_bytes
}

fn job(level: usize, inputs: &[&TableMeta], target: usize, below: &[&TableMeta]) -> Job {
    let kind = if below.is_empty() && apart(inputs) { Kind::Move } else { Kind::Merge };
    Job { kind, level, inputs: ids(inputs), target, below: ids(below) }
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
fn pick_rewrite(levels: &Levels<'_>, situation: &Situation<'_>) -> Option<Job> {
    if situation.drops.is_empty() {
        return None;
    }
    (0..LEVEL_COUNT).rev().find_map(|level| {
        let needs = |table: &&&TableMeta| {
            situation.drops.iter().any(|drop| may_hide(drop, table))
                && !situation.quarantined.contains(&table.id)
                && fits(&[table], situation)
        };
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
