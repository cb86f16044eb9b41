//! Aligned buffers that come back: the log sends one per batch and mostly the same few sizes.

use std::rc::Rc;

use runtime::{BLOCK_BYTES, Buffer, File};

/// Buffers of more blocks than this are not kept.
const BLOCKS_MAX: usize = 16;

/// Free buffers by their count of blocks; at most `per_size_max` of each.
pub(super) struct Pool<B> {
    by_blocks: [Vec<Rc<B>>; BLOCKS_MAX],
    per_size_max: usize,
}

impl<B: Buffer> Pool<B> {
    pub fn new(per_size_max: usize) -> Pool<B> {
        Pool { by_blocks: std::array::from_fn(|_| Vec::new()), per_size_max }
    }

    /// A buffer of `size` bytes that nobody else has; its content is unspecified.
    pub fn take<F: File<Buffer = B>>(&mut self, file: &F, size: usize) -> Rc<B> {
        assert!(size > 0 && size.is_multiple_of(BLOCK_BYTES));
        let kept = self.by_blocks.get_mut(size / BLOCK_BYTES - 1).and_then(Vec::pop);
        kept.unwrap_or_else(|| Rc::new(file.buffer(size)))
    }

    /// Keeps a buffer for the next `take`, unless somebody still has it or there are enough.
    pub fn give(&mut self, mut buffer: Rc<B>) {
        let Some(own) = Rc::get_mut(&mut buffer) else { return };
        let blocks = own.as_slice().len() / BLOCK_BYTES;
        if let Some(kept) = self.by_blocks.get_mut(blocks - 1)
            && kept.len() < self.per_size_max
        {
            kept.push(buffer);
        }
    }
}
