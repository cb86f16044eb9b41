//! Walks the entries of SSTables in either direction, with read-ahead.
//!
//! A [`TableCursor`] knows its place by three numbers, partition, data block in it, entry in that, and holds the block.
//! A [`LevelCursor`] walks SSTables that follow each other; a level 0 SSTable is a level of one.
//!
//! Each move comes twice. `.._now` goes as far as memory goes, with plain calls, and says false when a block has to be
//! fetched; the async `settle` fetches it and goes on. A step inside a block, nearly every step, is a plain call.
//!
//! A client's walk takes data blocks from the cache and puts them there; a compaction's walk passes the cache by, so that
//! it neither empties it nor fills it with what is about to go. Partitions always go through it. [`Ahead`] keeps device
//! reads in flight for both.

use std::ops;
use std::rc::Rc;

use runtime::Runtime;

use super::ahead::{Ahead, Walk};
use super::block::{Block, BlockCursor, Entry, Goal, Malformed};
use super::partition::Partition;
use super::reader::{Reader, Table};
use crate::Error;
use crate::batch::{Direction, Range};
use crate::tree::options::LEVEL_COUNT;
use crate::version::Version;
use crate::view::Value;

/// How a walk reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadPattern {
    /// Most bytes of one device read, if no single block needs more.
    pub(crate) readahead_bytes: usize,
    /// Whether blocks come from and go to the cache.
    pub(crate) cached: bool,
    /// Bytes that the walk will want of an SSTable, if somebody knows.
    pub(crate) expected_bytes: Option<usize>,
}

impl ReadPattern {
    /// A walk through everything, in large reads, past the cache.
    pub(crate) fn whole(transfer_bytes: usize) -> ReadPattern {
        ReadPattern { readahead_bytes: transfer_bytes, cached: false, expected_bytes: Some(transfer_bytes) }
    }
}

/// A place in one SSTable.
struct TableCursor<R: Runtime> {
    reader: Rc<Reader<R>>,
    range: Rc<Range>,
    pattern: ReadPattern,
    ahead: Ahead<R>,
    /// The partition in the top index; behind its end or before its start when the walk has ended.
    top_at: usize,
    /// That partition, once it is there.
    partition: Option<Rc<Partition>>,
    /// The data block in the partition; `None`: the outermost one in the walk's direction.
    index_at: Option<usize>,
    data: Option<BlockCursor>,
    /// The block at this place is not in `data` yet.
    unread: bool,
}

fn direction_of(goal: Goal<'_>) -> Direction {
    match goal {
        Goal::First | Goal::AtOrAfter(_) | Goal::After(_) => Direction::Forward,
        Goal::Last | Goal::AtOrBefore(_) | Goal::Before(_) => Direction::Backward,
    }
}

fn edge_of(direction: Direction) -> Goal<'static> {
    match direction {
        Direction::Forward => Goal::First,
        Direction::Backward => Goal::Last,
    }
}

fn goal_key(goal: Goal<'_>) -> Option<&[u8]> {
    match goal {
        Goal::First | Goal::Last => None,
        Goal::AtOrAfter(key) | Goal::After(key) | Goal::AtOrBefore(key) | Goal::Before(key) => Some(key),
    }
}

impl<R: Runtime> TableCursor<R> {
    fn new(reader: Rc<Reader<R>>, range: Rc<Range>, pattern: ReadPattern) -> TableCursor<R> {
        let ahead = Ahead::new(&reader, pattern);
        let (partition, index_at, data) = (None, None, None);
        TableCursor { reader, range, pattern, ahead, top_at: 0, partition, index_at, data, unread: false }
    }

    #[inline]
    fn current(&self) -> Option<Entry<'_>> {
        if self.unread { None } else { self.data.as_ref()?.current() }
    }

    fn value(&self) -> Option<Value> {
        let cursor = self.data.as_ref()?;
        Some(Value::in_block(cursor.block(), cursor.value_range()?))
    }

    /// Goes to the entry that `goal` names, nowhere if the SSTable has none; false if a block has to be fetched first.
    fn seek_now(&mut self, goal: Goal<'_>) -> Result<bool, Error> {
        self.aim(goal);
        Ok(self.load_now(goal)? && self.settle_now(direction_of(goal))?)
    }

    /// The same, to the end.
    async fn seek(&mut self, goal: Goal<'_>) -> Result<(), Error> {
        self.aim(goal);
        if !self.load_now(goal)? {
            self.load(goal).await?;
        }
        self.settle(direction_of(goal)).await
    }

    /// Takes the partition where the goal would be for the next place.
    fn aim(&mut self, goal: Goal<'_>) {
        self.ahead.reset();
        let last = self.reader.top.len() - 1;
        self.top_at = match (goal_key(goal), direction_of(goal)) {
            (None, Direction::Forward) => 0,
            (None, Direction::Backward) => last,
            (Some(key), Direction::Forward) => self.reader.top.find(key),
            (Some(key), Direction::Backward) => self.reader.top.find(key).min(last),
        };
        (self.partition, self.index_at) = (None, None);
        self.unread = self.top_at <= last;
        self.data = self.data.take().filter(|_| self.unread);
    }

    /// One entry further, nowhere behind the end; false if a block has to be fetched first.
    #[inline]
    fn step_now(&mut self, direction: Direction) -> Result<bool, Error> {
        let Some(data) = &mut self.data else { return Ok(true) };
        let stepped = match direction {
            Direction::Forward => data.step(),
            Direction::Backward => data.step_back(),
        };
        if stepped.is_ok() && data.is_somewhere() {
            return Ok(true);
        }
        self.well_formed(stepped)?;
        self.settle_now(direction)
    }

    /// Leaves blocks that are used up for the next ones, until an entry is under the cursor or the end is reached; false
    /// if a block has to be fetched first.
    fn settle_now(&mut self, direction: Direction) -> Result<bool, Error> {
        loop {
            if self.unread {
                if !self.load_now(edge_of(direction))? {
                    return Ok(false);
                }
            } else if self.data.as_ref().is_some_and(|data| !data.is_somewhere()) {
                self.go_on(direction);
            } else {
                return Ok(true);
            }
        }
    }

    /// The same, to the end.
    async fn settle(&mut self, direction: Direction) -> Result<(), Error> {
        while !self.settle_now(direction)? {
            self.load(edge_of(direction)).await?;
        }
        Ok(())
    }

    /// To the place of the next block in the walk's range; nowhere if there is none.
    fn go_on(&mut self, direction: Direction) {
        let walk = Walk { direction, range: &self.range };
        let partition = self.partition.as_ref().expect("a block came from it");
        let at = self.index_at.expect("a block was there");
        let (next, next_top) = match direction {
            Direction::Forward => (at + 1, self.top_at + 1),
            Direction::Backward => (at.wrapping_sub(1), self.top_at.wrapping_sub(1)),
        };
        if next < partition.index.len() {
            self.unread = self.reader.wanted_blocks(self.top_at, partition, walk).contains(&next);
            self.index_at = Some(next);
        } else {
            self.unread = self.reader.wanted_partitions(walk).contains(&next_top);
            (self.top_at, self.partition, self.index_at) = (next_top, None, None);
        }
        if !self.unread {
            self.data = None;
        }
    }

    /// Loads the block of this place from memory and seeks in it; false if it is not there.
    fn load_now(&mut self, goal: Goal<'_>) -> Result<bool, Error> {
        if !self.unread {
            return Ok(true);
        }
        if self.partition.is_none() {
            self.partition = self.reader.partition_now(self.top_at);
        }
        let Some(partition) = self.partition.clone() else { return Ok(false) };
        let at = self.place_in(&partition, goal);
        let block = if self.pattern.cached { self.reader.block_now(&partition, at) } else { None };
        match block {
            Some(block) => self.stand_in(block, goal).map(|()| true),
            None => Ok(false),
        }
    }

    /// Fetches the block of this place and seeks in it.
    async fn load(&mut self, goal: Goal<'_>) -> Result<(), Error> {
        let walk = Walk { direction: direction_of(goal), range: &self.range };
        let partition = match &self.partition {
            Some(partition) => partition.clone(),
            None => match self.ahead.partition(self.top_at, walk).await {
                Some(partition) => partition,
                None => self.reader.partition(self.top_at).await?,
            },
        };
        self.partition = Some(partition.clone());
        let at = self.place_in(&partition, goal);
        let walk = Walk { direction: direction_of(goal), range: &self.range };
        let bytes = self.ahead.data(self.top_at, &partition, at, walk).await?;
        let block = if self.pattern.cached {
            self.reader.admit_block(&partition, at, bytes)?
        } else {
            self.reader.file.parse_block(bytes, partition.index.handle(at))?
        };
        self.stand_in(block, goal)
    }

    /// The block of this place in its partition.
    fn place_in(&mut self, partition: &Partition, goal: Goal<'_>) -> usize {
        let last = partition.index.len() - 1;
        let at = self.index_at.unwrap_or_else(|| match (goal_key(goal), direction_of(goal)) {
            (None, Direction::Forward) => 0,
            (None, Direction::Backward) => last,
            (Some(key), _) => partition.index.find(key).min(last),
        });
        self.index_at = Some(at);
        at
    }

    fn stand_in(&mut self, block: Rc<Block>, goal: Goal<'_>) -> Result<(), Error> {
        let data = match &mut self.data {
            Some(data) => {
                data.reset(block);
                data
            }
            None => self.data.insert(BlockCursor::new(block)),
        };
        let sought = data.seek(goal);
        self.unread = false;
        self.well_formed(sought)
    }

    /// Names the block that the cursor stands in, if it does not parse.
    fn well_formed(&self, result: Result<(), Malformed>) -> Result<(), Error> {
        let place = || {
            let partition = self.partition.as_ref()?;
            Some(partition.index.handle(self.index_at?).offset)
        };
        self.reader.file.parsed(result, place().unwrap_or(self.reader.top_offset))
    }
}

/// SSTables that follow each other in key order, without overlap.
pub(crate) enum Run<R: Runtime> {
    Listed(Vec<Rc<Table<R>>>),
    /// Part of a level of a version.
    Level(Rc<Version<R>>, usize, ops::Range<usize>),
}

impl<R: Runtime> Run<R> {
    fn tables(&self) -> &[Rc<Table<R>>] {
        match self {
            Run::Listed(tables) => tables,
            Run::Level(version, level, range) => &version.levels[*level][range.clone()],
        }
    }
}

/// A place in SSTables that follow each other in key order, without overlap.
pub(crate) struct LevelCursor<R: Runtime> {
    run: Run<R>,
    range: Rc<Range>,
    pattern: ReadPattern,
    /// Index into the run of the SSTable that `cursor` is in, or shall be.
    at: usize,
    cursor: Option<TableCursor<R>>,
    /// The SSTable at this place is not in `cursor` yet.
    unopened: bool,
}

impl<R: Runtime> LevelCursor<R> {
    /// A cursor over everything in these tables.
    pub(crate) fn new(tables: Vec<Rc<Table<R>>>, pattern: ReadPattern) -> LevelCursor<R> {
        LevelCursor::over(Run::Listed(tables), &Rc::new(Range::ALL), pattern)
    }

    /// A cursor for a walk that wants nothing outside of `range`; it may give a little of what lies there, or not.
    pub(crate) fn over(run: Run<R>, range: &Rc<Range>, pattern: ReadPattern) -> LevelCursor<R> {
        LevelCursor { run, range: range.clone(), pattern, at: 0, cursor: None, unopened: false }
    }

    /// The walk will want about so many bytes of these tables.
    pub(crate) fn expect(&mut self, bytes: usize) {
        self.pattern.expected_bytes = Some(bytes);
    }

    /// Entries and bytes of all tables of the run.
    pub(crate) fn entries_and_bytes(&self) -> (u64, u64) {
        let metas = || self.run.tables().iter().map(|table| &table.meta);
        (metas().map(|meta| meta.entries).sum(), metas().map(|meta| meta.size).sum())
    }

    /// The entry under the cursor.
    #[inline]
    pub(crate) fn current(&self) -> Option<Entry<'_>> {
        self.cursor.as_ref()?.current()
    }

    /// The value under the cursor, sharing the block's memory.
    pub(crate) fn value(&self) -> Option<Value> {
        self.cursor.as_ref()?.value()
    }

    /// Goes to the entry that `goal` names, nowhere if there is none; false if that has to wait for the device.
    pub(crate) fn seek_now(&mut self, goal: Goal<'_>) -> Result<bool, Error> {
        self.aim(goal);
        if !self.open_now() {
            return Ok(false);
        }
        match &mut self.cursor {
            Some(cursor) => Ok(cursor.seek_now(goal)? && self.settle_now(direction_of(goal))?),
            None => Ok(true),
        }
    }

    /// The same, to the end.
    pub(crate) async fn seek(&mut self, goal: Goal<'_>) -> Result<(), Error> {
        self.aim(goal);
        self.open().await?;
        if let Some(cursor) = &mut self.cursor {
            cursor.seek(goal).await?;
        }
        self.settle(direction_of(goal)).await
    }

    /// Takes the SSTable where the goal would be for the next place.
    fn aim(&mut self, goal: Goal<'_>) {
        let tables = self.run.tables();
        self.at = match goal {
            Goal::First => 0,
            Goal::Last => tables.len().wrapping_sub(1),
            Goal::AtOrAfter(key) | Goal::After(key) => {
                tables.partition_point(|table| *table.meta.largest < *key)
            }
            Goal::AtOrBefore(key) | Goal::Before(key) => {
                tables.partition_point(|table| *table.meta.smallest <= *key).wrapping_sub(1)
            }
        };
        self.unopened = self.at < tables.len();
        self.cursor = None;
    }

    /// One entry further, nowhere behind the end; false if that has to wait for the device: then `settle` ends it.
    #[inline]
    pub(crate) fn step_now(&mut self, direction: Direction) -> Result<bool, Error> {
        match &mut self.cursor {
            Some(cursor) => {
                let stepped = cursor.step_now(direction)?;
                if stepped && cursor.current().is_some() {
                    return Ok(true);
                }
                Ok(stepped && self.settle_now(direction)?)
            }
            None => Ok(true),
        }
    }

    /// One entry further; nowhere behind the end.
    pub(crate) async fn step(&mut self, direction: Direction) -> Result<(), Error> {
        if !self.step_now(direction)? {
            self.settle(direction).await?;
        }
        Ok(())
    }

    /// Leaves an SSTable that is used up for the next one; false if that has to wait for the device.
    fn settle_now(&mut self, direction: Direction) -> Result<bool, Error> {
        loop {
            if self.unopened {
                if !self.open_now() {
                    return Ok(false);
                }
                let cursor = self.cursor.as_mut().expect("it was opened just now");
                if !cursor.seek_now(edge_of(direction))? {
                    return Ok(false);
                }
            }
            let Some(cursor) = &mut self.cursor else { return Ok(true) };
            if !cursor.settle_now(direction)? {
                return Ok(false);
            }
            if cursor.current().is_some() {
                return Ok(true);
            }
            self.go_on(direction);
        }
    }

    /// The same, to the end.
    pub(crate) async fn settle(&mut self, direction: Direction) -> Result<(), Error> {
        while !self.settle_now(direction)? {
            if self.unopened {
                self.open().await?;
                let cursor = self.cursor.as_mut().expect("it was opened just now");
                cursor.aim(edge_of(direction));
            }
            let cursor = self.cursor.as_mut().expect("the place is in an SSTable");
            cursor.settle(direction).await?;
        }
        Ok(())
    }

    /// To the place of the next SSTable.
    fn go_on(&mut self, direction: Direction) {
        self.at = match direction {
            Direction::Forward => self.at.wrapping_add(1),
            Direction::Backward => self.at.wrapping_sub(1),
        };
        self.cursor = None;
        self.unopened = self.at < self.run.tables().len();
    }

    /// Opens the SSTable of this place, if its reader is open; false if not.
    fn open_now(&mut self) -> bool {
        if !self.unopened {
            return true;
        }
        let Some(reader) = self.run.tables()[self.at].reader_now() else { return false };
        self.take(reader);
        true
    }

    async fn open(&mut self) -> Result<(), Error> {
        if self.unopened {
            let table = self.run.tables()[self.at].clone();
            let reader = table.reader().await?;
            self.take(reader);
        }
        Ok(())
    }

    fn take(&mut self, reader: Rc<Reader<R>>) {
        self.cursor = Some(TableCursor::new(reader, self.range.clone(), self.pattern));
        self.unopened = false;
    }
}

/// The runs of a version's SSTables that have keys in `range`, newest first.
pub(crate) fn runs<R: Runtime>(version: &Rc<Version<R>>, range: &Range) -> Vec<Run<R>> {
    let inside = |table: &Rc<Table<R>>| {
        range.begins_before(&table.meta.largest) && range.ends_after(&table.meta.smallest)
    };
    let mut runs = Vec::new();
    for (index, table) in version.levels[0].iter().enumerate() {
        if inside(table) {
            runs.push(Run::Level(version.clone(), 0, index..index + 1));
        }
    }
    for level in 1..LEVEL_COUNT {
        let tables = &version.levels[level];
        let from = tables.partition_point(|table| !range.begins_before(&table.meta.largest));
        let to = tables.partition_point(|table| range.ends_after(&table.meta.smallest));
        if from < to {
            runs.push(Run::Level(version.clone(), level, from..to));
        }
    }
    runs
}
