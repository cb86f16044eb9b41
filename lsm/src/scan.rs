//! A scan: the keys of a range, in order, as one view has them.

use std::marker::PhantomData;

use runtime::Runtime;

use crate::Error;
use crate::view::Value;

/// A walk over the keys of a range.
pub struct Scan<R: Runtime> {
    inner: PhantomData<R>,
}

impl<R: Runtime> Scan<R> {
    /// The next key and its value; `None` at the end.
    #[expect(clippy::unused_async, reason = "signatures first")]
    pub async fn next(&mut self) -> Result<Option<(&[u8], &Value)>, Error> {
        todo!()
    }
}
