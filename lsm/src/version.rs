//! What a read sees: a version (the SSTables of one moment) and, with the memtables above it, a state.
//!
//! Both are immutable and shared. A flush or compaction makes a new version and a new state; who holds an old one goes
//! on reading it, and its SSTables' files stay until the last holder lets go. So a view needs no help from flush and
//! compaction: these keep only the newest write of a key.

use std::collections::BTreeSet;
use std::rc::Rc;

use runtime::Runtime;

use crate::Error;
use crate::memtable::Memtable;
use crate::sstable::filter;
use crate::sstable::reader::{Hit, Table};
use crate::tree::options::LEVEL_COUNT;
use crate::view::Value;

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
        Version { levels, drops }
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
        Version { levels, drops }
    }

    /// The newest write of `key`.
    async fn get(&self, key: &[u8], identity: u64) -> Result<Option<Hit>, Error> {
        let hash = filter::hash(key, identity);
        for table in self.levels[0].iter().filter(|table| table.meta.spans(key)) {
            if let Some(hit) = table.get(key, hash).await? {
                return Ok(Some(hit));
            }
        }
        for level in &self.levels[1..] {
            let at = level.partition_point(|table| *table.meta.largest < *key);
            let Some(table) = level.get(at).filter(|table| table.meta.spans(key)) else { continue };
            if let Some(hit) = table.get(key, hash).await? {
                return Ok(Some(hit));
            }
        }
        Ok(None)
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

    /// The value of `key` for a reader at `sequence`.
    pub(crate) async fn get(&self, key: &[u8], sequence: u64, identity: u64) -> Result<Option<Value>, Error> {
        for memtable in self.memtables() {
            if let Some(entry) = memtable.get(key, sequence) {
                let hidden = self.is_dropped(key, entry.sequence, sequence);
                return Ok(entry.value.filter(|_| !hidden).map(Value));
            }
        }
        let Some(hit) = self.version.get(key, identity).await? else { return Ok(None) };
        let hidden = self.is_dropped(key, hit.sequence, sequence);
        Ok(hit.value.filter(|_| !hidden))
    }

    /// Whether a dropped range hides a write of `key` from a reader at `at`.
    pub(crate) fn is_dropped(&self, key: &[u8], written: u64, at: u64) -> bool {
        let hides = |drop: &DroppedRange| drop.sequence <= at && drop.hides(key, written);
        self.version.drops.iter().any(hides)
            || self.memtables().any(|memtable| memtable.drops().iter().any(hides))
    }
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
