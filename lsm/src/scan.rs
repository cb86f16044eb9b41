//! A scan: the keys of a range, in order, as one view has them.
//!
//! A [`Merge`] walks several sources at once, memtables and levels, and gives each key once, with its newest write.
//! A [`Scan`] is a merge that leaves out tombstones and dropped ranges and ends at the end of its range.
//!
//! As long as the next entry is in memory a step is plain calls; only a source that has to wait for the device makes the
//! merge wait. At the start all sources that need the device read at once.

use std::cmp::Ordering;
use std::ops::Bound;
use std::rc::Rc;

use runtime::sync::join_all;
use runtime::{BLOCK_BYTES, Runtime};

use crate::Error;
use crate::batch::{Direction, Range};
use crate::memtable::{Memtable, MemtableCursor};
use crate::sstable::block::{Entry, Goal};
use crate::sstable::cursor::{LevelCursor, ReadPattern, runs};
use crate::version::{DroppedRange, State};
use crate::view::{Pin, Value};

/// A walk over the keys of a range, as the view has them that made it. Keeps what the view keeps.
pub struct Scan<R: Runtime> {
    pin: Rc<Pin<R>>,
    merge: Merge<R>,
    range: Rc<Range>,
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
        let pattern =
            ReadPattern { readahead_bytes: pin.readahead_bytes, cached: true, expected_bytes: None };
        let range = Rc::new(range);
        let memtable =
            |memtable: &Rc<Memtable>| Source::Memtable(MemtableCursor::new(memtable.clone(), sequence));
        let mut sources: Vec<Source<R>> = state.memtables().map(memtable).collect();
        let level = |run| Source::Level(Box::new(LevelCursor::over(run, &range, pattern)));
        sources.extend(runs(&state.version, &range).into_iter().map(level));
        let mut drops: Vec<DroppedRange> = state.version.drops.clone();
        state.memtables().for_each(|memtable| drops.extend_from_slice(&memtable.drops()));
        drops.retain(|drop| {
            drop.sequence <= sequence && range.ends_after(&drop.from) && range.begins_before(&drop.to)
        });
        let merge = Merge::new(sources, direction);
        let (pin, value) = (pin.clone(), Value::default());
        Scan { pin, merge, range, direction, drops, progress: Progress::NotStarted, value }
    }

    /// Says that the caller will want about `entries` keys, so that the first reads cover these and no more.
    ///
    /// A scan of which nothing is said begins with a few blocks and reads further ahead with each that is used up.
    #[must_use]
    pub fn expecting(mut self, entries: usize) -> Scan<R> {
        self.merge.expect(entries as u64);
        self
    }

    /// The next key and its value; `None` at the end, and from then on.
    ///
    /// After an error the scan gives that error again and again; begin a new one behind the last key.
    pub async fn next(&mut self) -> Result<Option<(&[u8], &Value)>, Error> {
        loop {
            match self.progress {
                Progress::NotStarted => self.merge.seek(first_goal(&self.range, self.direction)).await?,
                Progress::Walking => {
                    if !self.merge.step_now()? {
                        self.merge.finish_step().await?;
                    }
                }
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

/// Something sorted, with each key once.
pub(crate) enum Source<R: Runtime> {
    Memtable(MemtableCursor),
    Level(Box<LevelCursor<R>>),
}

impl<R: Runtime> Source<R> {
    fn level(&self) -> Option<&LevelCursor<R>> {
        match self {
            Source::Memtable(_) => None,
            Source::Level(cursor) => Some(cursor),
        }
    }

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

    /// Goes to what `goal` names; false if that has to wait for the device, then only `seek` ends it.
    fn seek_now(&mut self, goal: Goal<'_>) -> Result<bool, Error> {
        match self {
            Source::Memtable(cursor) => {
                cursor.seek(goal);
                Ok(true)
            }
            Source::Level(cursor) => cursor.seek_now(goal),
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

    /// One entry further; false if that has to wait for the device, then `settle` ends it.
    #[inline]
    fn step_now(&mut self, direction: Direction) -> Result<bool, Error> {
        match self {
            Source::Memtable(cursor) => {
                cursor.step(direction);
                Ok(true)
            }
            Source::Level(cursor) => cursor.step_now(direction),
        }
    }

    async fn settle(&mut self, direction: Direction) -> Result<(), Error> {
        match self {
            Source::Memtable(_) => Ok(()),
            Source::Level(cursor) => cursor.settle(direction).await,
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
    /// The source whose step waits for the device.
    waiting: Option<usize>,
    failed: Option<Error>,
}

impl<R: Runtime> Merge<R> {
    pub(crate) fn new(sources: Vec<Source<R>>, direction: Direction) -> Merge<R> {
        let order = Vec::with_capacity(sources.len());
        Merge { sources, direction, order, waiting: None, failed: None }
    }

    /// The caller will want about `entries` keys: from each level its share of them.
    fn expect(&mut self, entries: u64) {
        let levels = || self.sources.iter().filter_map(Source::level);
        let all: u64 = levels().map(|level| level.entries_and_bytes().0).sum();
        for source in &mut self.sources {
            let Source::Level(level) = source else { continue };
            let (own, bytes) = level.entries_and_bytes();
            let share = u128::from(entries) * u128::from(bytes) / u128::from(all.max(1));
            // No level is sure to have just its share.
            let spare = if own == all { 0 } else { share / 2 };
            let bytes = usize::try_from(share + spare).unwrap_or(usize::MAX / 4);
            // One block more: a walk begins anywhere in its first one.
            level.expect(bytes.next_multiple_of(BLOCK_BYTES) + BLOCK_BYTES);
        }
    }

    /// The newest write of the key under the cursor.
    #[inline]
    pub(crate) fn current(&self) -> Option<Entry<'_>> {
        self.sources[*self.order.last()?].current()
    }

    pub(crate) fn value(&self) -> Option<Value> {
        self.sources[*self.order.last()?].value()
    }

    pub(crate) async fn seek(&mut self, goal: Goal<'_>) -> Result<(), Error> {
        self.order.clear();
        self.waiting = None;
        let mut later = Vec::new();
        for (index, source) in self.sources.iter_mut().enumerate() {
            match source.seek_now(goal) {
                Ok(true) => {}
                Ok(false) => later.push(index),
                Err(error) => return self.fail(error),
            }
        }
        let seeks = self.sources.iter_mut().enumerate().filter(|(index, _)| later.contains(index));
        let sought = join_all(seeks.map(|(_, source)| source.seek(goal))).await;
        if let Some(error) = sought.into_iter().find_map(Result::err) {
            return self.fail(error);
        }
        (0..self.sources.len()).for_each(|index| self.put_in_line(index));
        Ok(())
    }

    /// To the next key: every source that stands on this one steps.
    pub(crate) async fn step(&mut self) -> Result<(), Error> {
        if self.step_now()? { Ok(()) } else { self.finish_step().await }
    }

    /// The same, as far as memory goes; false if a source has to wait for the device, then `finish_step` ends it.
    #[inline]
    pub(crate) fn step_now(&mut self) -> Result<bool, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if self.waiting.is_some() {
            return Ok(false); // The caller was dropped while it waited, and is back.
        }
        while let Some(&first) = self.order.last() {
            // Who stands on the same key steps before: the key is needed for the comparison.
            let twin = self.twin_of(first);
            let index = twin.unwrap_or(first);
            match self.sources[index].step_now(self.direction) {
                Ok(true) => self.line_up_again(index),
                Ok(false) => {
                    self.waiting = Some(index);
                    return Ok(false);
                }
                Err(error) => return self.fail(error).map(|()| true),
            }
            if twin.is_none() {
                break;
            }
        }
        Ok(true)
    }

    /// Ends a step that had to wait for the device.
    pub(crate) async fn finish_step(&mut self) -> Result<(), Error> {
        while let Some(index) = self.waiting {
            let settled = self.sources[index].settle(self.direction).await;
            self.waiting = None;
            if let Err(error) = settled {
                return self.fail(error);
            }
            let was_first = self.order.last() == Some(&index);
            self.line_up_again(index);
            if !was_first {
                self.step_now()?;
            }
        }
        Ok(())
    }

    /// Another source that stands on the key of `first`, which is next in line.
    #[inline]
    fn twin_of(&self, first: usize) -> Option<usize> {
        let &other = self.order.get(self.order.len().checked_sub(2)?)?;
        let key = |index: usize| self.sources[index].current().map(|entry| entry.key);
        (key(other) == key(first)).then_some(other)
    }

    /// Keeps an error: a source that did not step must not be read as if it had.
    fn fail(&mut self, error: Error) -> Result<(), Error> {
        self.failed = Some(error.clone());
        self.order.clear();
        Err(error)
    }

    /// Gives a source that has stepped its new place; it was the last or the one before.
    #[inline]
    fn line_up_again(&mut self, index: usize) {
        if self.order.len() == 1 {
            if self.sources[index].current().is_none() {
                self.order.clear();
            }
            return;
        }
        let place = self.order.iter().rposition(|other| *other == index).expect("it stood in line");
        self.order.remove(place);
        self.put_in_line(index);
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
