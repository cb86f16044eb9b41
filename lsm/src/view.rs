//! A view: the tree at one point in time.

use std::ops::{Deref, Range};
use std::rc::Rc;

use bytes::Bytes;
use runtime::Runtime;

use crate::Error;
use crate::batch::{self, Direction};
use crate::scan::Scan;
use crate::sstable::block::Block;
use crate::sstable::reader::Tables;
use crate::sstable::stored::RAW_BYTES_MAX;
use crate::version::{self, State};

/// Device reads that one call of `get_many` keeps in flight: enough for a drive to be busy with, few enough to leave it
/// to others as well.
pub const READS_AT_ONCE_MAX: usize = 32;

/// A value that was read, where it lies. Cheap to clone; keeps the block or memtable part that it lies in.
#[derive(Clone, Default)]
pub struct Value(Held);

#[derive(Clone, Default)]
enum Held {
    #[default]
    Nothing,
    /// In a memtable.
    Memory(Bytes),
    /// In a block, from where to where.
    Block(Rc<Block>, u32, u32),
}

impl Value {
    pub(crate) fn in_memory(bytes: Bytes) -> Value {
        Value(Held::Memory(bytes))
    }

    pub(crate) fn in_block(block: &Rc<Block>, place: Range<usize>) -> Value {
        const _: () = assert!(RAW_BYTES_MAX < u32::MAX as usize);
        Value(Held::Block(block.clone(), place.start as u32, place.end as u32))
    }
}

impl Deref for Value {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Held::Nothing => &[],
            Held::Memory(bytes) => bytes,
            Held::Block(block, from, to) => block.bytes(*from as usize..*to as usize),
        }
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Value").field(&&**self).finish()
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        **self == **other
    }
}

impl Eq for Value {}

/// The tree at one point in time: what is applied later it does not see.
///
/// It keeps the memtables and SSTables of that time, their memory and their files, until it and its scans are dropped.
pub struct View<R: Runtime> {
    pin: Rc<Pin<R>>,
    state: Rc<State<R>>,
    sequence: u64,
}

/// That a view or a scan of it is alive.
pub(crate) struct Pin<R: Runtime> {
    pub(crate) tables: Rc<Tables<R>>,
    pub(crate) readahead_bytes: usize,
}

impl<R: Runtime> Pin<R> {
    pub(crate) fn new(tables: &Rc<Tables<R>>, readahead_bytes: usize) -> Rc<Pin<R>> {
        tables.views.set(tables.views.get() + 1);
        Rc::new(Pin { tables: tables.clone(), readahead_bytes })
    }
}

impl<R: Runtime> Drop for Pin<R> {
    fn drop(&mut self) {
        self.tables.views.set(self.tables.views.get() - 1);
    }
}

impl<R: Runtime> View<R> {
    pub(crate) fn new(pin: Rc<Pin<R>>, state: Rc<State<R>>, sequence: u64) -> View<R> {
        View { pin, state, sequence }
    }

    /// The value of `key` in this view.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Value>, Error> {
        version::get(&self.state, key, self.sequence, self.pin.tables.identity).await
    }

    /// The values of many keys, in their order, with up to [`READS_AT_ONCE_MAX`] device reads in flight.
    pub async fn get_many(&self, keys: &[&[u8]]) -> Vec<Result<Option<Value>, Error>> {
        version::get_many(&self.state, keys, self.sequence, self.pin.tables.identity).await
    }

    /// The keys of `range` and their values, in the order of `direction`.
    pub fn scan(&self, range: batch::Range, direction: Direction) -> Scan<R> {
        Scan::new(&self.pin, &self.state, self.sequence, range, direction)
    }
}
