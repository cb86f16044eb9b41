//! What comes in on one connection: bytes to frames, frames to messages.
//!
//! 1. Bytes are read into one buffer, as many as there are; a frame is cut out of it when it is whole.
//! 2. Checks, in this order: the header's checksum, its length, kind and zeros; the payload's checksum; the frame's number.
//! 3. Parts are gathered until the joined frame that ends their message. There is one such message at a time.
//!
//! Promises: memory grows with what has come, not with what was announced; a message has at most `CARRIED_BYTES_MAX`.

use crate::frame::{CARRIED_BYTES_MAX, FrameError, HEADER_BYTES, Header, Kind, PAYLOAD_BYTES_MAX};

/// The buffer of a connection on which little comes.
const BUFFER_BYTES: usize = 16 << 10;

/// The buffer at most: two of the largest frames.
const BUFFER_BYTES_MAX: usize = 2 * (HEADER_BYTES + PAYLOAD_BYTES_MAX);

/// See the file's story.
pub(super) struct Reader {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The next frame's, in each lane.
    number: u32,
    part_number: u32,
    parts: Vec<u8>,
}

/// A message that came in whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Incoming {
    pub kind: Kind,
    pub call: u64,
    pub timeout_us: u32,
    pub payload: Vec<u8>,
}

impl Reader {
    pub fn new() -> Reader {
        Reader {
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
            number: 0,
            part_number: 0,
            parts: Vec::new(),
        }
    }

    /// Room for what comes next; tell with `filled` how much of it was used.
    pub fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.buffer.len() - self.end < HEADER_BYTES {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.buffer[self.end..]
    }

    /// `count` bytes came into the room.
    pub fn filled(&mut self, count: usize) {
        self.end += count;
        assert!(self.end <= self.buffer.len(), "more came than there was room for");
        if self.end == self.buffer.len() && self.buffer.len() < BUFFER_BYTES_MAX {
            // There was more than fits: larger reads from now on.
            self.buffer.resize(BUFFER_BYTES_MAX, 0);
        }
    }

    /// The next message, or none before more bytes have come.
    pub fn next(&mut self) -> Result<Option<Incoming>, FrameError> {
        loop {
            let Some((header, end)) = self.whole_frame()? else { return Ok(None) };
            let message = self.frame(&header, end)?;
            self.start = end;
            if message.is_some() {
                return Ok(message);
            }
        }
    }

    /// The header of a frame that is there to its last byte, and where that is.
    fn whole_frame(&mut self) -> Result<Option<(Header, usize)>, FrameError> {
        let there = &self.buffer[self.start..self.end];
        let Some(head) = there.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let header = Header::decode(head)?;
        let size = HEADER_BYTES + header.length as usize;
        if there.len() >= size {
            return Ok(Some((header, self.start + size)));
        }
        if self.start + size > self.buffer.len() {
            self.make_room_for(size);
        }
        Ok(None)
    }

    fn make_room_for(&mut self, size: usize) {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.buffer.len() < size {
            self.buffer.resize(BUFFER_BYTES_MAX, 0);
        }
    }

    fn frame(&mut self, header: &Header, end: usize) -> Result<Option<Incoming>, FrameError> {
        let payload = &self.buffer[self.start + HEADER_BYTES..end];
        header.check(payload)?;
        let in_parts = header.joined || header.kind == Kind::Part;
        let next = if in_parts { &mut self.part_number } else { &mut self.number };
        if header.number != *next {
            return Err(FrameError::Number { expected: *next, came: header.number });
        }
        *next = next.wrapping_add(1);
        let &Header { kind, call, timeout_us, .. } = header;
        if !in_parts {
            return Ok(Some(Incoming { kind, call, timeout_us, payload: payload.to_vec() }));
        }
        if header.joined && self.parts.is_empty() {
            return Err(FrameError::Senseless);
        }
        let size = self.parts.len() + payload.len();
        if size > CARRIED_BYTES_MAX {
            return Err(FrameError::TooLong { length: u32::try_from(size).unwrap_or(u32::MAX) });
        }
        self.parts.extend_from_slice(payload);
        if !header.joined {
            return Ok(None);
        }
        let payload = std::mem::take(&mut self.parts);
        Ok(Some(Incoming { kind, call, timeout_us, payload }))
    }
}

#[cfg(test)]
mod tests;
