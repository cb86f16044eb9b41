//! What a read sees: a version (the SSTables of one moment) and, with the memtables above it, a state.
//!
//! Both are immutable and shared. A flush or compaction makes a new version and a new state; who holds an old one goes
//! on reading it, and its SSTables' files stay until the last holder lets go. So a view needs no help from flush and
//! compaction: these keep only the newest write of a key.

use std::collections::BTreeSet;
use std::rc::Rc;

use runtime::Runtime;
use runtime::sync::join_some;

use crate::Error;
use crate::memtable::Memtable;
use crate::sstable::filter;
use crate::sstable::index::Fence;
use crate::sstable::reader::{Hit, Needs, Step, Table};
use crate::tree::options::LEVEL_COUNT;
use crate::view::{READS_AT_ONCE_MAX, Value};

/// Keys from `from` up to and without `to` are gone, if their last write is at or below `sequence`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DroppedRange {
    pub(crate) sequence: u64,
    pub(crate) from: Box<[u8]>,
    pub(crate) to: Box<[u8]>,
}

impl DroppedRange {
    /// Whether the drop hides a write of `key`.
    pub(crate) fn hides(&self, key: &[u8], sequence: u64) -> bool {
        sequence <= self.sequence && *self.from <= *key && *key < *self.to
    }

    /// Whether some key from `smallest` to `largest` lies in the range.
    pub(crate) fn touches(&self, smallest: &[u8], largest: &[u8]) -> bool {
        *self.from <= *largest && *smallest < *self.to
    }

    /// Whether every key from `smallest` to `largest` lies in the range.
    pub(crate) fn covers(&self, smallest: &[u8], largest: &[u8]) -> bool {
        *self.from <= *smallest && *largest < *self.to
    }
}

/// The SSTables of one moment, by level.
pub(crate) struct Version<R: Runtime> {
    /// Level 0 newest first; the others by key, without overlap.
    pub(crate) levels: [Vec<Rc<Table<R>>>; LEVEL_COUNT],
    pub(crate) drops: Vec<DroppedRange>,
    /// Per level, the largest key of each SSTable; of level 0 nothing, there they overlap.
    fences: [Fence; LEVEL_COUNT],
}

/// How far a search has come in a version: the next SSTable to look at.
#[derive(Clone, Copy, Default)]
struct Walk {
    level: usize,
    index: usize,
}

impl<R: Runtime> Version<R> {
    /// Puts tables into their levels' order.
    pub(crate) fn new(
        tables: impl IntoIterator<Item = (usize, Rc<Table<R>>)>,
        drops: Vec<DroppedRange>,
    ) -> Version<R> {
        let mut levels: [Vec<Rc<Table<R>>>; LEVEL_COUNT] = Default::default();
        for (level, table) in tables {
            levels[level].push(table);
        }
        levels[0].sort_by_key(|table| std::cmp::Reverse(table.meta.sequence_max));
        for level in &mut levels[1..] {
            level.sort_by(|a, b| a.meta.smallest.cmp(&b.meta.smallest));
            let apart = level.windows(2).all(|pair| pair[0].meta.largest < pair[1].meta.smallest);
            assert!(apart, "SSTables of a level do not overlap");
        }
        Version::of(levels, drops)
    }

    /// With levels that are in order.
    fn of(levels: [Vec<Rc<Table<R>>>; LEVEL_COUNT], drops: Vec<DroppedRange>) -> Version<R> {
        let largest = |level: usize| levels[level].iter().map(|table| &*table.meta.largest);
        let fences = std::array::from_fn(|level| match level {
            0 => Fence::default(),
            _ => Fence::new(largest(level)),
        });
        Version { levels, drops, fences }
    }

    /// Its SSTables, level by level.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &Rc<Table<R>>> {
        self.levels.iter().flatten()
    }

    /// This version without the SSTables `removed` and with those `added`; one that is there already moves to its new level.
    pub(crate) fn changed(
        &self,
        removed: &BTreeSet<u64>,
        added: Vec<(usize, Rc<Table<R>>)>,
        drops: Vec<DroppedRange>,
    ) -> Version<R> {
        let mut levels = self.levels.clone();
        let moved: BTreeSet<u64> = added.iter().map(|(_, table)| table.meta.id).collect();
        for level in &mut levels {
            level.retain(|table| !removed.contains(&table.meta.id) && !moved.contains(&table.meta.id));
        }
        for (number, table) in added {
            let level = &mut levels[number];
            let place = match number {
                0 => level.partition_point(|other| other.meta.sequence_max > table.meta.sequence_max),
                _ => level.partition_point(|other| other.meta.smallest < table.meta.smallest),
            };
            let around = level[place.saturating_sub(1)..].iter().take(2);
            let apart = number == 0 || around.clone().all(|other| !other.meta.overlaps(&table.meta));
            assert!(apart, "SSTables of a level do not overlap");
            level.insert(place, table);
        }
        Version::of(levels, drops)
    }

    /// The next SSTable that `key` may be in, newest writes first.
    #[inline]
    fn next_table(&self, walk: &mut Walk, key: &[u8]) -> Option<&Rc<Table<R>>> {
        while walk.level == 0 {
            let Some(table) = self.levels[0].get(walk.index) else {
                walk.level = 1;
                break;
            };
            walk.index += 1;
            if table.meta.spans(key) {
                return Some(table);
            }
        }
        while walk.level < LEVEL_COUNT {
            let level = &self.levels[walk.level];
            let at = self.fences[walk.level].at_or_above(key);
            walk.level += 1;
            if let Some(table) = level.get(at).filter(|table| *table.meta.smallest <= *key) {
                return Some(table);
            }
        }
        None
    }
}

/// Memtables and version of one moment: together they are the whole tree.
pub(crate) struct State<R: Runtime> {
    /// Takes the writes.
    pub(crate) active: Rc<Memtable>,
    /// Wait for their flush, newest first.
    pub(crate) immutables: Vec<Rc<Memtable>>,
    pub(crate) version: Rc<Version<R>>,
}

impl<R: Runtime> State<R> {
    /// The memtables, newest first.
    pub(crate) fn memtables(&self) -> impl Iterator<Item = &Rc<Memtable>> {
        std::iter::once(&self.active).chain(&self.immutables)
    }

    /// What the memtables have of `key` for a reader at `sequence`, if they know of it.
    #[inline]
    fn get_in_memtables(&self, key: &[u8], sequence: u64) -> Option<Option<Value>> {
        let entry = self.memtables().find_map(|memtable| memtable.get(key, sequence))?;
        let hidden = self.is_dropped(key, entry.sequence, sequence);
        Some(entry.value.filter(|_| !hidden).map(Value::in_memory))
    }

    /// The value of `key` for a reader at `sequence`, as far as memory goes.
    fn get_now(&self, key: &[u8], sequence: u64, identity: u64) -> Result<Now<R>, Error> {
        match self.get_in_memtables(key, sequence) {
            Some(known) => Ok(Now::Done(known)),
            None => self.search(key, sequence, filter::hash(key, identity), Walk::default()),
        }
    }

    /// The same, from where [`State::get_now`] could not go on.
    pub(crate) async fn get_later(
        &self,
        key: &[u8],
        sequence: u64,
        mut later: Later<R>,
    ) -> Result<Option<Value>, Error> {
        loop {
            let Later { table, needs, walk, hash } = later;
            if let Some(hit) = table.get_later(key, hash, needs).await? {
                return Ok(self.seen(key, sequence, hit));
            }
            match self.search(key, sequence, hash, walk)? {
                Now::Done(value) => return Ok(value),
                Now::Later(more) => later = more,
            }
        }
    }

    /// Looks into SSTables from `walk` on.
    fn search(&self, key: &[u8], sequence: u64, hash: u64, mut walk: Walk) -> Result<Now<R>, Error> {
        while let Some(table) = self.version.next_table(&mut walk, key) {
            match table.get_now(key, hash)? {
                Step::Done(None) => {}
                Step::Done(Some(hit)) => return Ok(Now::Done(self.seen(key, sequence, hit))),
                Step::Needs(needs) => {
                    return Ok(Now::Later(Later { table: table.clone(), needs, walk, hash }));
                }
            }
        }
        Ok(Now::Done(None))
    }

    /// What a reader at `sequence` sees of a hit.
    fn seen(&self, key: &[u8], sequence: u64, hit: Hit) -> Option<Value> {
        hit.value.filter(|_| !self.is_dropped(key, hit.sequence, sequence))
    }

    /// Whether a dropped range hides a write of `key` from a reader at `at`.
    pub(crate) fn is_dropped(&self, key: &[u8], written: u64, at: u64) -> bool {
        let hides = |drop: &DroppedRange| drop.sequence <= at && drop.hides(key, written);
        self.version.drops.iter().any(hides)
            || self.memtables().any(|memtable| memtable.drops().iter().any(hides))
    }
}

/// How far a get came without waiting.
pub(crate) enum Now<R: Runtime> {
    Done(Option<Value>),
    Later(Later<R>),
}

/// Where a get has to wait, and how it goes on then.
pub(crate) struct Later<R: Runtime> {
    table: Rc<Table<R>>,
    needs: Needs<R>,
    walk: Walk,
    hash: u64,
}

/// The value of `key` for a reader of `state` at `sequence`. What is in memory costs no wait and no future.
pub(crate) async fn get<R: Runtime>(
    state: &Rc<State<R>>,
    key: &[u8],
    sequence: u64,
    identity: u64,
) -> Result<Option<Value>, Error> {
    // Not by way of `Now`, which is large: it would be written and read again for every hit in a memtable.
    if let Some(known) = state.get_in_memtables(key, sequence) {
        return Ok(known);
    }
    match state.search(key, sequence, filter::hash(key, identity), Walk::default())? {
        Now::Done(value) => Ok(value),
        // Boxed: callers' futures stay small, and a device read costs a hundred times as much.
        Now::Later(later) => Box::pin(state.get_later(key, sequence, later)).await,
    }
}

/// The values of `keys`, in their order; at most [`READS_AT_ONCE_MAX`] of them wait for the device at once.
pub(crate) async fn get_many<R: Runtime>(
    state: &Rc<State<R>>,
    keys: &[&[u8]],
    sequence: u64,
    identity: u64,
) -> Vec<Result<Option<Value>, Error>> {
    let mut values = Vec::with_capacity(keys.len());
    let mut waiting = Vec::new();
    for (place, key) in keys.iter().enumerate() {
        values.push(match state.get_now(key, sequence, identity) {
            Ok(Now::Done(value)) => Ok(value),
            Ok(Now::Later(later)) => {
                waiting.push((place, later));
                Ok(None)
            }
            Err(error) => Err(error),
        });
    }
    let reads = waiting
        .into_iter()
        .map(|(place, later)| async move { (place, state.get_later(keys[place], sequence, later).await) });
    for (place, value) in join_some(reads, READS_AT_ONCE_MAX).await {
        values[place] = value;
    }
    values
}

impl<R: Runtime> Clone for State<R> {
    fn clone(&self) -> State<R> {
        State {
            active: self.active.clone(),
            immutables: self.immutables.clone(),
            version: self.version.clone(),
        }
    }
}
