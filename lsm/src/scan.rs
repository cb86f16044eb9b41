//! A scan: the keys of a range, in order, as one view has them.
//!
//! A [`Merge`] walks several sources at once, memtables and levels, and gives each key once, with its newest write.
//! A [`Scan`] is a merge that leaves out tombstones and dropped ranges and ends at the end of its range.

use std::cmp::Ordering;
use std::ops::Bound;
use std::rc::Rc;

use runtime::Runtime;

use crate::Error;
use crate::batch::{Direction, Range};
use crate::memtable::MemtableCursor;
use crate::sstable::block::{Entry, Goal};
use crate::sstable::cursor::{LevelCursor, ReadPattern};
use crate::sstable::reader::Table;
use crate::tree::options::LEVEL_COUNT;
use crate::version::{DroppedRange, State};
use crate::view::{Pin, Value};

/// A walk over the keys of a range, as the view has them that made it. Keeps what the view keeps.
pub struct Scan<R: Runtime> {
    pin: Rc<Pin<R>>,
    merge: Merge<R>,
    range: Range,
    direction: Direction,
    drops: Vec<DroppedRange>,
    progress: Progress,
    value: Value,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    NotStarted,
    Walking,
    Ended,
}

impl<R: Runtime> Scan<R> {
    pub(crate) fn new(
        pin: &Rc<Pin<R>>,
        state: &State<R>,
        sequence: u64,
        range: Range,
        direction: Direction,
    ) -> Scan<R> {
        let pattern = ReadPattern { readahead_bytes: pin.readahead_bytes, cached: true };
        let mut sources: Vec<Source<R>> = state
            .memtables()
            .map(|memtable| Source::Memtable(MemtableCursor::new(memtable.clone(), sequence)))
            .collect();
        sources.extend(table_sources(&state.version.levels, &range, pattern));
        let mut drops: Vec<DroppedRange> = state.version.drops.clone();
        state.memtables().for_each(|memtable| drops.extend_from_slice(&memtable.drops()));
        drops.retain(|drop| {
            drop.sequence <= sequence && range.ends_after(&drop.from) && range.begins_before(&drop.to)
        });
        let merge = Merge::new(sources, direction);
        let (pin, value) = (pin.clone(), Value::default());
        Scan { pin, merge, range, direction, drops, progress: Progress::NotStarted, value }
    }

    /// The next key and its value; `None` at the end, and from then on.
    ///
    /// After an error the scan gives that error again and again; begin a new one behind the last key.
    pub async fn next(&mut self) -> Result<Option<(&[u8], &Value)>, Error> {
        loop {
            match self.progress {
                Progress::NotStarted => self.merge.seek(first_goal(&self.range, self.direction)).await?,
                Progress::Walking => self.merge.step().await?,
                Progress::Ended => return Ok(None),
            }
            self.progress = Progress::Walking;
            let Some(entry) = self.merge.current().filter(|entry| self.is_inside(entry.key)) else {
                self.progress = Progress::Ended;
                return Ok(None);
            };
            let hidden = self.drops.iter().any(|drop| drop.hides(entry.key, entry.sequence));
            if entry.value.is_some() && !hidden {
                break;
            }
            if self.pin.tables.runtime.should_yield() {
                self.pin.tables.runtime.yield_now().await;
            }
        }
        self.value = self.merge.value().expect("an entry is under the cursor");
        let entry = self.merge.current().expect("an entry is under the cursor");
        Ok(Some((entry.key, &self.value)))
    }

    fn is_inside(&self, key: &[u8]) -> bool {
        match self.direction {
            Direction::Forward => self.range.ends_after(key),
            Direction::Backward => self.range.begins_before(key),
        }
    }
}

fn first_goal(range: &Range, direction: Direction) -> Goal<'_> {
    match direction {
        Direction::Forward => match &range.from {
            Bound::Included(key) => Goal::AtOrAfter(key),
            Bound::Excluded(key) => Goal::After(key),
            Bound::Unbounded => Goal::First,
        },
        Direction::Backward => match &range.to {
            Bound::Included(key) => Goal::AtOrBefore(key),
            Bound::Excluded(key) => Goal::Before(key),
            Bound::Unbounded => Goal::Last,
        },
    }
}

/// Cursors over the tables that have keys in `range`, newest source first.
fn table_sources<R: Runtime>(
    levels: &[Vec<Rc<Table<R>>>; LEVEL_COUNT],
    range: &Range,
    pattern: ReadPattern,
) -> impl Iterator<Item = Source<R>> {
    let inside = |table: &&Rc<Table<R>>| {
        range.begins_before(&table.meta.largest) && range.ends_after(&table.meta.smallest)
    };
    let first = levels[0].iter().filter(inside).map(|table| vec![table.clone()]);
    let deeper = levels[1..].iter().map(|level| level.iter().filter(inside).cloned().collect());
    let runs: Vec<Vec<Rc<Table<R>>>> =
        first.chain(deeper).filter(|tables: &Vec<_>| !tables.is_empty()).collect();
    runs.into_iter().map(move |tables| Source::Level(Box::new(LevelCursor::new(tables, pattern))))
}

/// Something sorted, with each key once.
pub(crate) enum Source<R: Runtime> {
    Memtable(MemtableCursor),
    Level(Box<LevelCursor<R>>),
}

impl<R: Runtime> Source<R> {
    fn current(&self) -> Option<Entry<'_>> {
        match self {
            Source::Memtable(cursor) => cursor.current(),
            Source::Level(cursor) => cursor.current(),
        }
    }

    fn value(&self) -> Option<Value> {
        match self {
            Source::Memtable(cursor) => cursor.value(),
            Source::Level(cursor) => cursor.value(),
        }
    }

    async fn seek(&mut self, goal: Goal<'_>) -> Result<(), Error> {
        match self {
            Source::Memtable(cursor) => {
                cursor.seek(goal);
                Ok(())
            }
            Source::Level(cursor) => cursor.seek(goal).await,
        }
    }

    async fn step(&mut self, direction: Direction) -> Result<(), Error> {
        match self {
            Source::Memtable(cursor) => {
                cursor.step(direction);
                Ok(())
            }
            Source::Level(cursor) => cursor.step(direction).await,
        }
    }
}

/// Several sources as one. Of a key that is in more than one, the first source's write counts.
pub(crate) struct Merge<R: Runtime> {
    /// Newest first.
    sources: Vec<Source<R>>,
    direction: Direction,
    /// Indexes of the sources that are not at their end; the one that is next in line comes last.
    order: Vec<usize>,
    /// The key that is being left.
    left: Vec<u8>,
    failed: Option<Error>,
}

impl<R: Runtime> Merge<R> {
    pub(crate) fn new(sources: Vec<Source<R>>, direction: Direction) -> Merge<R> {
        Merge { sources, direction, order: Vec::new(), left: Vec::new(), failed: None }
    }

    /// The newest write of the key under the cursor.
    pub(crate) fn current(&self) -> Option<Entry<'_>> {
        self.sources[*self.order.last()?].current()
    }

    pub(crate) fn value(&self) -> Option<Value> {
        self.sources[*self.order.last()?].value()
    }

    pub(crate) async fn seek(&mut self, goal: Goal<'_>) -> Result<(), Error> {
        self.order.clear();
        for index in 0..self.sources.len() {
            let sought = self.sources[index].seek(goal).await;
            self.remember(sought)?;
            self.put_in_line(index);
        }
        Ok(())
    }

    /// To the next key: every source that stands on this one steps.
    pub(crate) async fn step(&mut self) -> Result<(), Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.left.clear();
        let Some(&first) = self.order.last() else { return Ok(()) };
        let current = self.sources[first].current().expect("who is in line has an entry");
        self.left.extend_from_slice(current.key);
        while let Some(&index) = self.order.last() {
            let here = self.sources[index].current().is_some_and(|entry| *entry.key == *self.left);
            if !here {
                break;
            }
            let stepped = self.sources[index].step(self.direction).await;
            self.remember(stepped)?;
            self.order.pop();
            self.put_in_line(index);
        }
        Ok(())
    }

    /// Keeps an error: a source that did not step must not be read as if it had.
    fn remember(&mut self, result: Result<(), Error>) -> Result<(), Error> {
        if let Err(error) = &result {
            self.failed = Some(error.clone());
            self.order.clear();
        }
        result
    }

    fn put_in_line(&mut self, index: usize) {
        if self.sources[index].current().is_some() {
            let place = self.order.partition_point(|&other| self.comes_before(index, other));
            self.order.insert(place, index);
        }
    }

    /// Whether the entry of `a` is given before that of `b`.
    fn comes_before(&self, a: usize, b: usize) -> bool {
        let key = |index: usize| self.sources[index].current().map(|entry| entry.key);
        let order = match self.direction {
            Direction::Forward => key(a).cmp(&key(b)),
            Direction::Backward => key(b).cmp(&key(a)),
        };
        order.then(a.cmp(&b)) == Ordering::Less
    }
}
