//! An arena: memory in chunks that is handed out in pieces, one behind the other, and shared by reference count.
//!
//! A piece costs no allocation, only its part of a chunk; a chunk goes when the last of its pieces does. So the bytes of
//! a write can be put together once, be appended to the log from there, and become part of a memtable without being
//! copied again ([`WriteBatch::adopt`](crate::WriteBatch::adopt)).

use bytes::BytesMut;

/// Hands out memory. What is larger than a quarter of a chunk has an allocation of its own, so that little is wasted at
/// a chunk's end.
#[derive(Debug)]
pub struct Arena {
    rest: BytesMut,
    chunk_bytes: usize,
}

impl Arena {
    /// An empty arena with chunks of so many bytes; the first is made when it is needed.
    pub fn new(chunk_bytes: usize) -> Arena {
        assert!(chunk_bytes >= 4, "a chunk of {chunk_bytes} bytes");
        Arena { rest: BytesMut::new(), chunk_bytes }
    }

    /// An empty piece with room for `size` bytes. Filled and frozen it is shared memory; what is not used of the room
    /// is lost.
    pub fn piece(&mut self, size: usize) -> BytesMut {
        if size > self.chunk_bytes / 4 {
            return BytesMut::with_capacity(size);
        }
        if self.rest.capacity() < size {
            self.rest = BytesMut::with_capacity(self.chunk_bytes);
        }
        let behind = self.rest.split_off(size);
        std::mem::replace(&mut self.rest, behind)
    }
}

#[cfg(test)]
mod tests;
