//! A view: the tree at one point in time.

use std::rc::Rc;

use bytes::Bytes;
use runtime::Runtime;

use crate::Error;
use crate::batch::{Direction, Range};
use crate::scan::Scan;
use crate::sstable::reader::Tables;
use crate::version::State;

/// A value that was read. Cheap to clone; keeps the block or memtable part that it lies in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value(pub(crate) Bytes);

impl std::ops::Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

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
        self.state.get(key, self.sequence, self.pin.tables.identity).await
    }

    /// The keys of `range` and their values, in the order of `direction`.
    pub fn scan(&self, range: Range, direction: Direction) -> Scan<R> {
        Scan::new(&self.pin, &self.state, self.sequence, range, direction)
    }
}
