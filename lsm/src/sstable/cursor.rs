//! Walks the entries of SSTables in either direction, with read-ahead.
//!
//! A [`TableCursor`] stands in three blocks at once: top index, partition's index, data block. A [`LevelCursor`] walks
//! SSTables that follow each other; a level 0 SSTable is a level of one.
//!
//! Read-ahead: the first block of a walk is read alone, then each device read covers twice as much, up to the walk's
//! limit. A client's walk takes data blocks from the cache and puts them there; a compaction's walk passes the cache by,
//! so that it neither empties it nor fills it with what is about to go. Partitions always go through it.

use std::rc::Rc;

use runtime::{BLOCK_BYTES, Runtime};

use super::Handle;
use super::block::{Block, BlockCursor, Entry, Goal};
use super::reader::{Extent, FileBytes, Reader, Table};
use crate::Error;
use crate::batch::Direction;
use crate::view::Value;

/// How a walk reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadPattern {
    /// Most bytes of one device read, if no single block needs more.
    pub(crate) readahead_bytes: usize,
    /// Whether blocks come from and go to the cache.
    pub(crate) cached: bool,
}

/// A place in one SSTable.
struct TableCursor<R: Runtime> {
    reader: Rc<Reader<R>>,
    pattern: ReadPattern,
    top: BlockCursor,
    /// The partition's index and where the partition lies.
    index: Option<(BlockCursor, u64)>,
    data: Option<(BlockCursor, u64)>,
    extent: Option<Extent<FileBytes<R>>>,
    /// Bytes of the next device read, at least.
    ahead: usize,
}

impl<R: Runtime> TableCursor<R> {
    async fn open(table: &Rc<Table<R>>, pattern: ReadPattern) -> Result<TableCursor<R>, Error> {
        let reader = table.reader().await?;
        let top = BlockCursor::new(reader.top.clone());
        let ahead = if pattern.cached { 0 } else { pattern.readahead_bytes };
        Ok(TableCursor { reader, pattern, top, index: None, data: None, extent: None, ahead })
    }

    fn current(&self) -> Option<Entry<'_>> {
        self.data.as_ref()?.0.current()
    }

    fn value(&self) -> Option<Value> {
        let (cursor, _) = self.data.as_ref()?;
        Some(Value(cursor.block().slice(cursor.value_range()?)))
    }

    /// Goes to the entry that `goal` names; nowhere if the SSTable has none.
    async fn seek(&mut self, goal: Goal<'_>) -> Result<(), Error> {
        let (direction, key) = match goal {
            Goal::First | Goal::AtOrAfter(_) | Goal::After(_) => (Direction::Forward, goal_key(goal)),
            Goal::Last | Goal::AtOrBefore(_) | Goal::Before(_) => (Direction::Backward, goal_key(goal)),
        };
        let toward = seek_index(&mut self.top, key, direction);
        self.parsed(toward, self.reader.top_offset)?;
        if self.load_partition().await? {
            let (index, offset) = self.index.as_mut().expect("it was loaded");
            let (toward, offset) = (seek_index(index, key, direction), *offset);
            self.parsed(toward, offset)?;
        }
        if self.load_block(direction).await? {
            let (data, offset) = self.data.as_mut().expect("it was loaded");
            let (toward, offset) = (data.seek(goal), *offset);
            self.parsed(toward, offset)?;
        }
        // A separator lies between two blocks: what the index names for a key may hold nothing on its far side.
        self.settle(direction).await
    }

    /// One entry further; nowhere behind the end.
    async fn step(&mut self, direction: Direction) -> Result<(), Error> {
        let Some((data, offset)) = self.data.as_mut() else { return Ok(()) };
        let (stepped, offset) = (step_block(data, direction), *offset);
        self.parsed(stepped, offset)?;
        self.settle(direction).await
    }

    /// Leaves blocks that are used up for the next ones, until an entry is under the cursor or the end is reached.
    async fn settle(&mut self, direction: Direction) -> Result<(), Error> {
        let edge = match direction {
            Direction::Forward => Goal::First,
            Direction::Backward => Goal::Last,
        };
        while self.data.as_ref().is_some_and(|(data, _)| data.current().is_none()) {
            let (index, offset) = self.index.as_mut().expect("a data block comes from an index");
            let (stepped, offset) = (step_block(index, direction), *offset);
            self.parsed(stepped, offset)?;
            if self.index.as_ref().is_some_and(|(index, _)| index.current().is_none()) {
                let stepped = step_block(&mut self.top, direction);
                self.parsed(stepped, self.reader.top_offset)?;
                if self.load_partition().await? {
                    let (index, offset) = self.index.as_mut().expect("it was loaded");
                    let (sought, offset) = (index.seek(edge), *offset);
                    self.parsed(sought, offset)?;
                }
            }
            if self.load_block(direction).await? {
                let (data, offset) = self.data.as_mut().expect("it was loaded");
                let (sought, offset) = (data.seek(edge), *offset);
                self.parsed(sought, offset)?;
            }
        }
        Ok(())
    }

    /// Loads the partition that the top index stands on; false, and no index, if it stands nowhere.
    async fn load_partition(&mut self) -> Result<bool, Error> {
        self.index = None;
        let Some(entry) = self.top.current() else { return Ok(false) };
        let file = &self.reader.file;
        let handle = file.handle(entry.value.unwrap_or_default(), self.reader.top_offset)?;
        let partition = file.partition(handle).await?;
        self.index = Some((BlockCursor::new(partition.index.clone()), handle.offset));
        Ok(true)
    }

    /// Loads the data block that the index stands on; false, and no block, if it stands nowhere.
    async fn load_block(&mut self, direction: Direction) -> Result<bool, Error> {
        let Some((index, offset)) = self.index.as_ref() else {
            self.data = None;
            return Ok(false);
        };
        let Some(entry) = index.current() else {
            self.data = None;
            return Ok(false);
        };
        let handle = self.reader.file.handle(entry.value.unwrap_or_default(), *offset)?;
        let block = self.block(handle, direction).await?;
        match &mut self.data {
            Some((data, offset)) => {
                data.reset(block);
                *offset = handle.offset;
            }
            None => self.data = Some((BlockCursor::new(block), handle.offset)),
        }
        Ok(true)
    }

    async fn block(&mut self, handle: Handle, direction: Direction) -> Result<Rc<Block>, Error> {
        if self.pattern.cached
            && let Some(block) = self.reader.file.cached_block(handle)
        {
            return Ok(block);
        }
        let here = self.extent.as_ref().is_some_and(|extent| extent.get(handle).is_some());
        if !here {
            self.read_ahead(handle, direction).await?;
        }
        let file = &self.reader.file;
        let stored = self.extent.as_ref().and_then(|extent| extent.get(handle));
        let bytes = file.unseal(stored.expect("the extent was read for it"), handle)?;
        if self.pattern.cached { file.admit(handle, bytes) } else { file.parse_block(bytes, handle) }
    }

    /// Reads the block at `handle` and what comes next in the walk's direction.
    async fn read_ahead(&mut self, handle: Handle, direction: Direction) -> Result<(), Error> {
        self.extent = None; // Its memory first: one extent at a time.
        let ahead = self.ahead as u64;
        let (from, to) = match direction {
            Direction::Forward => (handle.offset, handle.end().max(handle.offset + ahead)),
            Direction::Backward => (handle.offset.min(handle.end().saturating_sub(ahead)), handle.end()),
        };
        self.extent = Some(self.reader.file.read_extent(from, to).await?);
        self.ahead = (self.ahead * 2).max(2 * BLOCK_BYTES).min(self.pattern.readahead_bytes);
        Ok(())
    }

    fn parsed<T>(&self, result: Result<T, super::block::Malformed>, offset: u64) -> Result<T, Error> {
        self.reader.file.parsed(result, offset)
    }
}

fn goal_key(goal: Goal<'_>) -> Option<&[u8]> {
    match goal {
        Goal::First | Goal::Last => None,
        Goal::AtOrAfter(key) | Goal::After(key) | Goal::AtOrBefore(key) | Goal::Before(key) => Some(key),
    }
}

/// To the index entry of the block where `key` would be; the outermost block if there is none or no key.
fn seek_index(
    index: &mut BlockCursor,
    key: Option<&[u8]>,
    direction: Direction,
) -> Result<(), super::block::Malformed> {
    match (key, direction) {
        (Some(key), Direction::Forward) => index.seek(Goal::AtOrAfter(key)),
        (None, Direction::Forward) => index.seek(Goal::First),
        (None, Direction::Backward) => index.seek(Goal::Last),
        (Some(key), Direction::Backward) => {
            index.seek(Goal::AtOrAfter(key))?;
            if index.current().is_none() { index.seek(Goal::Last) } else { Ok(()) }
        }
    }
}

fn step_block(block: &mut BlockCursor, direction: Direction) -> Result<(), super::block::Malformed> {
    match direction {
        Direction::Forward => block.step(),
        Direction::Backward => block.step_back(),
    }
}

/// A place in SSTables that follow each other in key order, without overlap.
pub(crate) struct LevelCursor<R: Runtime> {
    tables: Vec<Rc<Table<R>>>,
    pattern: ReadPattern,
    /// Index into `tables` of the one that `cursor` is in.
    at: usize,
    cursor: Option<TableCursor<R>>,
}

impl<R: Runtime> LevelCursor<R> {
    pub(crate) fn new(tables: Vec<Rc<Table<R>>>, pattern: ReadPattern) -> LevelCursor<R> {
        LevelCursor { tables, pattern, at: 0, cursor: None }
    }

    /// The entry under the cursor.
    pub(crate) fn current(&self) -> Option<Entry<'_>> {
        self.cursor.as_ref()?.current()
    }

    /// The value under the cursor, sharing the block's memory.
    pub(crate) fn value(&self) -> Option<Value> {
        self.cursor.as_ref()?.value()
    }

    /// Goes to the entry that `goal` names; nowhere if there is none.
    pub(crate) async fn seek(&mut self, goal: Goal<'_>) -> Result<(), Error> {
        let count = self.tables.len();
        let (at, direction) = match goal {
            Goal::First => (0, Direction::Forward),
            Goal::Last => (count.wrapping_sub(1), Direction::Backward),
            Goal::AtOrAfter(key) | Goal::After(key) => {
                (self.tables.partition_point(|table| *table.meta.largest < *key), Direction::Forward)
            }
            Goal::AtOrBefore(key) | Goal::Before(key) => {
                let after = self.tables.partition_point(|table| *table.meta.smallest <= *key);
                (after.wrapping_sub(1), Direction::Backward)
            }
        };
        self.cursor = None;
        self.at = at;
        if let Some(table) = self.tables.get(at) {
            let mut cursor = TableCursor::open(table, self.pattern).await?;
            cursor.seek(goal).await?;
            self.cursor = Some(cursor);
        }
        self.settle(direction).await
    }

    /// One entry further; nowhere behind the end.
    pub(crate) async fn step(&mut self, direction: Direction) -> Result<(), Error> {
        if let Some(cursor) = &mut self.cursor {
            cursor.step(direction).await?;
        }
        self.settle(direction).await
    }

    /// Leaves an SSTable that is used up for the next one.
    async fn settle(&mut self, direction: Direction) -> Result<(), Error> {
        while self.cursor.as_ref().is_some_and(|cursor| cursor.current().is_none()) {
            let (next, edge) = match direction {
                Direction::Forward => (self.at.wrapping_add(1), Goal::First),
                Direction::Backward => (self.at.wrapping_sub(1), Goal::Last),
            };
            self.cursor = None;
            self.at = next;
            let Some(table) = self.tables.get(next) else { return Ok(()) };
            let mut cursor = TableCursor::open(table, self.pattern).await?;
            cursor.seek(edge).await?;
            self.cursor = Some(cursor);
        }
        Ok(())
    }
}
