//! A view: the tree at one point in time.

use std::marker::PhantomData;

use bytes::Bytes;
use runtime::Runtime;

use crate::Error;
use crate::batch::{Direction, Range};
use crate::scan::Scan;

/// A value that was read. Cheap to clone; keeps the block or memtable part that it lies in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value(pub(crate) Bytes);

impl std::ops::Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// The tree at one point in time.
pub struct View<R: Runtime> {
    inner: PhantomData<R>,
}

#[expect(unused_variables, clippy::unused_async, reason = "signatures first")]
impl<R: Runtime> View<R> {
    /// The value of `key` in this view.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Value>, Error> {
        todo!()
    }

    /// The keys of `range` and their values, in the order of `direction`.
    pub fn scan(&self, range: Range, direction: Direction) -> Scan<R> {
        todo!()
    }
}
