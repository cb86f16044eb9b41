//! Aligned buffers that come back. All have the size of the largest batch that is shared, so that any of them takes
//! whatever comes: records are copied straight into it, and it is cut to whole blocks when it is sent.

use std::rc::Rc;

use runtime::{Buffer, File};

use super::format::padded;

/// Free buffers of `buffer_bytes`, at most `kept_max`; the one that came back last goes first, for the caches' sake.
pub(super) struct Pool<B> {
    free: Vec<Rc<B>>,
    buffer_bytes: usize,
    kept_max: usize,
}

impl<B: Buffer> Pool<B> {
    pub fn new(buffer_bytes: usize, kept_max: usize) -> Pool<B> {
        Pool { free: Vec::with_capacity(kept_max), buffer_bytes: padded(buffer_bytes), kept_max }
    }

    /// A buffer for `bytes` or more that nobody else has; its content is unspecified. What is larger than the pool's
    /// buffers is made to measure.
    pub fn take<F: File<Buffer = B>>(&mut self, file: &F, bytes: usize) -> Rc<B> {
        if bytes > self.buffer_bytes {
            return Rc::new(file.buffer(padded(bytes)));
        }
        let mut buffer = self.free.pop().unwrap_or_else(|| Rc::new(file.buffer(self.buffer_bytes)));
        own(&mut buffer).set_size(self.buffer_bytes);
        buffer
    }

    /// Keeps a buffer for the next `take`, unless somebody still has it, it was made to measure, or there are enough.
    pub fn give(&mut self, mut buffer: Rc<B>) {
        let is_ours = Rc::get_mut(&mut buffer).is_some_and(|own| own.capacity() == self.buffer_bytes);
        if is_ours && self.free.len() < self.kept_max {
            self.free.push(buffer);
        }
    }
}

/// The buffer behind an `Rc` that nobody else has.
pub(super) fn own<B>(buffer: &mut Rc<B>) -> &mut B {
    Rc::get_mut(buffer).expect("the pool gives buffers that nobody else has")
}
