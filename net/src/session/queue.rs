//! Frames that wait to be written, bounded by their bytes: two lanes, so that small messages overtake large ones.
//!
//! ```text
//! push --small--> [chunk: frame frame frame] [chunk: frame] --\
//!      --large--> [message] [message] --part by part----------- take --> one write
//! ```
//!
//! 1. A message that fits into a frame is copied behind the others into the last chunk: what was pushed together leaves together.
//! 2. A larger message waits as it is. Each write takes one chunk, and then parts of the first large message until the write is full; at least one.
//! 3. The queue remembers which requests have not begun to leave. When the connection breaks, those had no effect.
//!
//! Promises: frames of a lane leave in the order in which they were pushed. So a small message waits for one part of a large one at most,
//! and a large one is never starved. Leaves to others: when to write, and the other end's memory.

use crate::frame::{CARRIED_BYTES_MAX, HEADER_BYTES, Header, Kind, PAYLOAD_BYTES_MAX};
use runtime::sync::Notify;
use std::cell::RefCell;
use std::collections::VecDeque;

/// A chunk that holds this much takes no more frames. A write has at most this, a frame and a part.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// Room beyond the bound for refusals, pings and pongs: more than an honest peer can cause.
const SMALL_BYTES_MAX: usize = 1 << 20;

/// Memory of a written chunk is kept for the next one, if it is not more than this.
const SPARE_BYTES_MAX: usize = 256 << 10;

/// See the file's story.
pub(super) struct Queue {
    bytes_max: usize,
    state: RefCell<State>,
    /// There is something to write, or the queue is closed.
    filled: Notify,
    /// There is more room than before, or the queue is closed.
    drained: Notify,
}

#[derive(Default)]
struct State {
    chunks: VecDeque<Chunk>,
    large: VecDeque<Large>,
    /// Of all that waits.
    bytes: usize,
    closed: bool,
    /// The next frame's, in each lane.
    number: u32,
    part_number: u32,
    spare: Vec<u8>,
}

/// Frames that leave in one write.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    /// The requests in it.
    requests: Vec<u64>,
}

/// A message that leaves in parts.
struct Large {
    kind: Kind,
    call: u64,
    timeout_us: u32,
    payload: Vec<u8>,
    gone: usize,
}

/// A message on its way out.
pub(super) struct Outgoing {
    pub kind: Kind,
    pub call: u64,
    pub timeout_us: u32,
    pub payload: Vec<u8>,
}

impl Outgoing {
    /// Without a payload.
    pub fn empty(kind: Kind, call: u64) -> Outgoing {
        Outgoing { kind, call, timeout_us: 0, payload: Vec::new() }
    }
}

impl Queue {
    pub fn new(bytes_max: usize) -> Queue {
        let (filled, drained) = (Notify::new(), Notify::new());
        Queue { bytes_max, state: RefCell::default(), filled, drained }
    }

    /// Bytes that wait to be written.
    pub fn bytes(&self) -> usize {
        self.state.borrow().bytes
    }

    /// Appends a message, if what waits stays within `bytes_max` (the queue's own or less); a message alone always has room. On a closed
    /// queue it goes nowhere. Gives it back when there is no room.
    pub fn push_within(&self, bytes_max: usize, message: Outgoing) -> Result<(), Outgoing> {
        let bytes = self.bytes();
        if bytes > 0 && bytes + size_of_message(&message) > bytes_max.min(self.bytes_max) {
            return Err(message);
        }
        self.append(message);
        Ok(())
    }

    /// Appends a message once there is room.
    pub async fn push(&self, mut message: Outgoing) {
        loop {
            let drained = self.drained.notified();
            match self.push_within(self.bytes_max, message) {
                Ok(()) => return,
                Err(back) => message = back,
            }
            drained.await;
        }
    }

    /// Appends a message without payload, without waiting. False when even the room for those is full.
    pub fn push_small(&self, kind: Kind, call: u64) -> bool {
        let room = self.bytes() <= self.bytes_max.saturating_add(SMALL_BYTES_MAX);
        if room {
            self.append(Outgoing::empty(kind, call));
        }
        room
    }

    fn append(&self, message: Outgoing) {
        assert!(message.payload.len() <= CARRIED_BYTES_MAX, "{} bytes are no message", message.payload.len());
        {
            let state = &mut *self.state.borrow_mut();
            if state.closed {
                return;
            }
            state.bytes += size_of_message(&message);
            if message.payload.len() <= PAYLOAD_BYTES_MAX {
                state.append_small(&message);
            } else {
                let Outgoing { kind, call, timeout_us, payload } = message;
                state.large.push_back(Large { kind, call, timeout_us, payload, gone: 0 });
            }
        }
        self.filled.notify_all();
    }

    /// The next bytes to write, as soon as there are any. `written` is what the last call gave: its memory is used again.
    pub async fn take(&self, written: Vec<u8>) -> Vec<u8> {
        self.state.borrow_mut().keep_spare(written);
        loop {
            let filled = self.filled.notified();
            let taken = self.state.borrow_mut().take();
            if let Some(bytes) = taken {
                self.drained.notify_all();
                return bytes;
            }
            filled.await;
        }
    }

    /// Ends it; gives the requests of which the other end cannot have got all.
    pub fn close(&self) -> Vec<u64> {
        let requests = {
            let mut state = self.state.borrow_mut();
            let state = std::mem::replace(&mut *state, State { closed: true, ..State::default() });
            let small = state.chunks.into_iter().flat_map(|chunk| chunk.requests);
            let large =
                state.large.iter().filter(|large| large.kind == Kind::Request).map(|large| large.call);
            small.chain(large).collect()
        };
        self.filled.notify_all();
        self.drained.notify_all();
        requests
    }
}

/// What a message counts for: one header more or less per part does not matter.
fn size_of_message(message: &Outgoing) -> usize {
    HEADER_BYTES + message.payload.len()
}

impl State {
    fn append_small(&mut self, message: &Outgoing) {
        if self.chunks.back().is_none_or(|chunk| chunk.bytes.len() >= WRITE_BYTES_MAX) {
            let bytes = std::mem::take(&mut self.spare);
            self.chunks.push_back(Chunk { bytes, requests: Vec::new() });
        }
        let chunk = self.chunks.back_mut().expect("one was pushed if there was none");
        let Outgoing { kind, call, timeout_us, payload } = message;
        let header = Header::for_payload(*kind, *call, *timeout_us, self.number, payload);
        self.number = self.number.wrapping_add(1);
        chunk.bytes.extend_from_slice(&header.encode());
        chunk.bytes.extend_from_slice(payload);
        if *kind == Kind::Request {
            chunk.requests.push(*call);
        }
    }

    fn take(&mut self) -> Option<Vec<u8>> {
        if self.chunks.is_empty() && self.large.is_empty() {
            return None;
        }
        let mut bytes = match self.chunks.pop_front() {
            Some(chunk) => chunk.bytes,
            None => std::mem::take(&mut self.spare),
        };
        let taken = bytes.len();
        assert!(self.bytes >= taken, "what waits is counted");
        self.bytes -= taken;
        while self.take_part(&mut bytes) && bytes.len() < WRITE_BYTES_MAX {}
        Some(bytes)
    }

    /// Appends the next part of the first large message; false when there is none.
    fn take_part(&mut self, bytes: &mut Vec<u8>) -> bool {
        let Some(large) = self.large.front_mut() else { return false };
        let end = large.payload.len().min(large.gone + PAYLOAD_BYTES_MAX);
        let (part, number) = (&large.payload[large.gone..end], self.part_number);
        let is_last = end == large.payload.len();
        let header = if is_last {
            Header::for_last_part(large.kind, large.call, large.timeout_us, number, part)
        } else {
            Header::for_part(number, part)
        };
        bytes.extend_from_slice(&header.encode());
        bytes.extend_from_slice(part);
        self.part_number = number.wrapping_add(1);
        large.gone = end;
        if is_last {
            // Counted until all of it has left: its memory is held that long.
            self.bytes -= HEADER_BYTES + large.payload.len();
            self.large.pop_front();
        }
        true
    }

    fn keep_spare(&mut self, mut written: Vec<u8>) {
        if written.capacity() <= SPARE_BYTES_MAX && written.capacity() > self.spare.capacity() {
            written.clear();
            self.spare = written;
        }
    }
}

#[cfg(test)]
mod tests;
