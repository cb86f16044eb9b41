//! The sorted block: entries with shared prefixes, restarts to search by.
//!
//! - [`BlockBuilder`] packs entries in order.
//! - [`Block::seek`] finds one key without building any other: it compares each entry's own bytes only.
//! - [`BlockCursor`] walks both ways: up entry by entry, down by unpacking one restart interval at a time.
//!
//! The checksum was verified before; still nothing here trusts the bytes: what does not parse is [`Malformed`].

use std::ops::Range;
use std::rc::Rc;

use crate::batch::KEY_BYTES_MAX;
use crate::codec::{Decoder, common_prefix, put_varint, unzigzag, zigzag};

/// Entries between restarts in a data block: a get reads half as many one by one; a restart costs four bytes and what its
/// key shares with the one before, with keys of 40 bytes about 1% of a block for 8 instead of 16.
pub(crate) const DATA_RESTART_INTERVAL: usize = 8;
/// And in an index, where a lookup is all there is.
pub(crate) const INDEX_RESTART_INTERVAL: usize = 4;

/// Bytes of all keys between two restarts, at most. Entries share prefixes, so that a few bytes in a block can stand for a
/// long key: without this bound a small block that nobody of us wrote could fill the memory.
const INTERVAL_KEY_BYTES_MAX: usize = 16 * KEY_BYTES_MAX;

/// Bytes that a block has beside its entries: base and restart count.
const FIXED_BYTES: usize = 8 + 4;
/// Most that an entry adds to its key and value: four varints and its restart.
const ENTRY_BYTES_MAX: usize = 3 + 3 + 4 + 10 + 4;

/// Bytes that are not a sorted block, though their checksum says that they were written so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// One write of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) sequence: u64,
    /// `None`: a tombstone.
    pub(crate) value: Option<&'a [u8]>,
}

/// Packs entries into a block. Keeps its memory from one block to the next.
pub(crate) struct BlockBuilder {
    restart_interval: usize,
    bytes: Vec<u8>,
    restarts: Vec<u32>,
    last_key: Vec<u8>,
    count: usize,
    base: u64,
}

impl BlockBuilder {
    pub(crate) fn new(restart_interval: usize) -> BlockBuilder {
        let (bytes, restarts, last_key) = (Vec::new(), Vec::new(), Vec::new());
        BlockBuilder { restart_interval, bytes, restarts, last_key, count: 0, base: 0 }
    }

    /// Appends an entry; keys ascend.
    pub(crate) fn add(&mut self, entry: Entry<'_>) {
        assert!(self.count == 0 || *self.last_key < *entry.key, "keys ascend in a block");
        if self.count == 0 {
            self.base = entry.sequence;
            self.bytes.extend_from_slice(&self.base.to_le_bytes());
        }
        let shared = if self.count.is_multiple_of(self.restart_interval) {
            self.restarts.push(self.bytes.len() as u32);
            0
        } else {
            common_prefix(&self.last_key, entry.key)
        };
        let value = entry.value.unwrap_or_default();
        put_varint(&mut self.bytes, shared as u64);
        put_varint(&mut self.bytes, (entry.key.len() - shared) as u64);
        put_varint(&mut self.bytes, value.len() as u64 * 2 + u64::from(entry.value.is_none()));
        put_varint(&mut self.bytes, zigzag(entry.sequence.wrapping_sub(self.base) as i64));
        self.bytes.extend_from_slice(&entry.key[shared..]);
        self.bytes.extend_from_slice(value);
        self.last_key.truncate(shared);
        self.last_key.extend_from_slice(&entry.key[shared..]);
        self.count += 1;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn last_key(&self) -> &[u8] {
        &self.last_key
    }

    /// Bytes of the block if it ended here.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len().max(8) + 4 * self.restarts.len() + 4
    }

    /// An upper bound of the size with one more entry.
    pub(crate) fn size_with(&self, key: &[u8], value: &[u8]) -> usize {
        let base = if self.is_empty() { FIXED_BYTES } else { self.size() };
        base + self.entry_bytes(key, value.len())
    }

    fn entry_bytes(&self, key: &[u8], value_size: usize) -> usize {
        let restart = self.count.is_multiple_of(self.restart_interval);
        let shared = if restart { 0 } else { common_prefix(&self.last_key, key) };
        // A tight bound keeps blocks of 4096 bytes full: sizes below 2^14 need two bytes, sequences rarely five.
        let word = if value_size < 1 << 13 { 2 } else { 4 };
        let lengths = if key.len() < 1 << 7 { 2 } else { 6 };
        let bound = lengths + word + 6 + 4 * usize::from(restart);
        debug_assert!(bound <= ENTRY_BYTES_MAX);
        bound + key.len() - shared + value_size
    }

    /// Ends the block and appends it to `out`.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        assert!(!self.is_empty(), "a block has at least one entry");
        out.extend_from_slice(&self.bytes);
        for restart in &self.restarts {
            out.extend_from_slice(&restart.to_le_bytes());
        }
        out.extend_from_slice(&(self.restarts.len() as u32).to_le_bytes());
        self.bytes.clear();
        self.restarts.clear();
        self.last_key.clear();
        self.count = 0;
    }
}

/// A block in memory.
pub(crate) struct Block {
    bytes: Box<[u8]>,
    base: u64,
    /// Where entries end and restart offsets begin.
    entries_end: usize,
    restart_count: usize,
}

/// What a seek found: the first entry at or above the target.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Whether its key is the target itself.
    pub(crate) exact: bool,
    pub(crate) sequence: u64,
    pub(crate) tombstone: bool,
    /// Where its value lies in the block.
    pub(crate) value: Range<usize>,
}

/// An entry's fixed part, decoded.
struct Head {
    shared: usize,
    rest: Range<usize>,
    value: Range<usize>,
    sequence: u64,
    tombstone: bool,
}

impl Block {
    /// Takes a block's bytes; looks at its frame only.
    pub(crate) fn parse(bytes: Box<[u8]>) -> Result<Block, Malformed> {
        let size = bytes.len();
        if size < FIXED_BYTES {
            return Err(Malformed);
        }
        let base = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
        let restart_count = u32::from_le_bytes(bytes[size - 4..].try_into().expect("four bytes")) as usize;
        let restart_bytes = restart_count.checked_mul(4).ok_or(Malformed)?;
        let entries_end = (size - 4).checked_sub(restart_bytes).ok_or(Malformed)?;
        if restart_count == 0 || entries_end <= 8 {
            return Err(Malformed);
        }
        Ok(Block { bytes, base, entries_end, restart_count })
    }

    /// Bytes in memory.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Part of the block, in place.
    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    /// The first entry whose key is at or above `target`.
    pub(crate) fn seek(&self, target: &[u8]) -> Result<Option<Found>, Malformed> {
        let mut at = self.restart(self.interval_of(target)?)?;
        // Bytes that the entry before has in common with the target; it is below the target.
        let mut matched = 0;
        while at < self.entries_end {
            let head = self.head(at)?;
            at = head.value.end;
            if head.shared > matched {
                continue; // It differs from the target where the entry before does, and lies below as well.
            }
            let rest = &self.bytes[head.rest.clone()];
            let goal = &target[head.shared..];
            // Where fewer bytes are shared than match, the next one decides, as a builder shares all that it can. It is
            // looked at all the same: bytes that nobody of us wrote may share less.
            let common = common_prefix(rest, goal);
            let exact = common == goal.len() && common == rest.len();
            let above = common == goal.len() || rest.get(common).is_some_and(|byte| *byte > goal[common]);
            if exact || above {
                return Ok(Some(Found {
                    exact,
                    sequence: head.sequence,
                    tombstone: head.tombstone,
                    value: head.value,
                }));
            }
            matched = head.shared + common;
        }
        Ok(None)
    }

    /// Hands all entries' keys and values to `take`, in order.
    pub(crate) fn each(
        &self,
        mut take: impl FnMut(&[u8], &[u8]) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let (mut key, mut at) = (Vec::new(), self.restart(0)?);
        while at < self.entries_end {
            let head = self.head(at)?;
            if head.shared > key.len() {
                return Err(Malformed);
            }
            key.truncate(head.shared);
            key.extend_from_slice(&self.bytes[head.rest]);
            if key.len() > KEY_BYTES_MAX {
                return Err(Malformed);
            }
            take(&key, &self.bytes[head.value.clone()])?;
            at = head.value.end;
        }
        Ok(())
    }

    /// The last restart interval whose first key is below or at `target`; the first one if there is none.
    fn interval_of(&self, target: &[u8]) -> Result<usize, Malformed> {
        let (mut low, mut high) = (0, self.restart_count);
        while high - low > 1 {
            let middle = low.midpoint(high);
            let head = self.head(self.restart(middle)?)?;
            if head.shared != 0 {
                return Err(Malformed);
            }
            if self.bytes[head.rest] <= *target {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// Where interval `index` ends and the next begins.
    fn interval_end(&self, index: usize) -> Result<usize, Malformed> {
        if index + 1 == self.restart_count { Ok(self.entries_end) } else { self.restart(index + 1) }
    }

    /// Offset of the entry where interval `index` begins.
    fn restart(&self, index: usize) -> Result<usize, Malformed> {
        let place = self.entries_end + 4 * index;
        let bytes = self.bytes.get(place..place + 4).ok_or(Malformed)?;
        let offset = u32::from_le_bytes(bytes.try_into().expect("four bytes")) as usize;
        if (8..self.entries_end).contains(&offset) { Ok(offset) } else { Err(Malformed) }
    }

    #[inline]
    fn head(&self, at: usize) -> Result<Head, Malformed> {
        let mut decoder = Decoder::new(&self.bytes[at..self.entries_end]);
        let mut decode = || {
            let (shared, rest) = (decoder.size()?, decoder.size()?);
            let (word, difference) = (decoder.size()?, decoder.varint()?);
            let key_at = self.entries_end - decoder.remaining();
            decoder.take(rest)?;
            decoder.take(word / 2)?;
            let value_at = key_at + rest;
            Some(Head {
                shared,
                rest: key_at..value_at,
                value: value_at..value_at + word / 2,
                sequence: self.base.wrapping_add(unzigzag(difference) as u64),
                tombstone: word % 2 == 1,
            })
        };
        decode().ok_or(Malformed)
    }
}

/// Where a cursor shall go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal<'a> {
    First,
    AtOrAfter(&'a [u8]),
    After(&'a [u8]),
    Last,
    AtOrBefore(&'a [u8]),
    Before(&'a [u8]),
}

/// A place in a block, or beyond either end of it.
///
/// On the way up only the key under the cursor is kept. On the way down a whole restart interval is unpacked, because an
/// entry says what it shares with the one before.
pub(crate) struct BlockCursor {
    block: Rc<Block>,
    /// The key under the cursor; of an unpacked interval all keys, one behind the other.
    keys: Vec<u8>,
    here: Option<Span>,
    /// The restart interval that the cursor stands in, and where it ends.
    interval: usize,
    interval_end: usize,
    /// The entries of the interval before `here`, if it is unpacked.
    before: Vec<Span>,
    unpacked: bool,
}

/// An entry: its key in the cursor's bytes, its value in the block's.
struct Span {
    key: Range<usize>,
    value: Range<usize>,
    sequence: u64,
    tombstone: bool,
}

impl BlockCursor {
    /// A cursor that stands nowhere yet.
    pub(crate) fn new(block: Rc<Block>) -> BlockCursor {
        BlockCursor {
            block,
            keys: Vec::new(),
            here: None,
            interval: 0,
            interval_end: 0,
            before: Vec::new(),
            unpacked: false,
        }
    }

    /// Takes another block and keeps the memory.
    pub(crate) fn reset(&mut self, block: Rc<Block>) {
        self.block = block;
        self.here = None;
    }

    pub(crate) fn block(&self) -> &Rc<Block> {
        &self.block
    }

    /// The entry under the cursor.
    #[inline]
    pub(crate) fn current(&self) -> Option<Entry<'_>> {
        let span = self.here.as_ref()?;
        let value = (!span.tombstone).then(|| self.block.bytes(span.value.clone()));
        Some(Entry { key: &self.keys[span.key.clone()], sequence: span.sequence, value })
    }

    /// Whether the cursor stands on an entry.
    pub(crate) fn is_somewhere(&self) -> bool {
        self.here.is_some()
    }

    /// Where the value of the entry under the cursor lies in the block.
    pub(crate) fn value_range(&self) -> Option<Range<usize>> {
        self.here.as_ref().map(|span| span.value.clone())
    }

    /// Goes to the entry that `goal` names; nowhere if there is none in the block.
    pub(crate) fn seek(&mut self, goal: Goal<'_>) -> Result<(), Malformed> {
        match goal {
            Goal::First => self.enter(0),
            Goal::Last => self.unpack_last(self.block.restart_count - 1),
            Goal::AtOrAfter(key) => self.seek_forward(key, |entry| entry >= key),
            Goal::After(key) => self.seek_forward(key, |entry| entry > key),
            Goal::AtOrBefore(key) => self.seek_backward(key, |entry| entry > key),
            Goal::Before(key) => self.seek_backward(key, |entry| entry >= key),
        }
    }

    /// The first entry from the interval of `key` on for which `reached` holds.
    fn seek_forward(&mut self, key: &[u8], reached: impl Fn(&[u8]) -> bool) -> Result<(), Malformed> {
        self.enter(self.block.interval_of(key)?)?;
        while self.here.is_some() && !reached(&self.keys) {
            self.step()?;
        }
        Ok(())
    }

    /// The last entry in the interval of `key`, or before it, for which `passed` does not hold.
    fn seek_backward(&mut self, key: &[u8], passed: impl Fn(&[u8]) -> bool) -> Result<(), Malformed> {
        self.unpack_last(self.block.interval_of(key)?)?;
        while self.here.as_ref().is_some_and(|span| passed(&self.keys[span.key.clone()])) {
            self.step_back()?;
        }
        Ok(())
    }

    /// To the next entry; nowhere behind the last.
    #[inline]
    pub(crate) fn step(&mut self) -> Result<(), Malformed> {
        let Some(here) = self.here.take() else { return Ok(()) };
        let at = here.value.end;
        if self.unpacked {
            self.keys.copy_within(here.key.clone(), 0);
            self.keys.truncate(here.key.len());
            self.unpacked = false;
        }
        if at < self.interval_end { self.take(at) } else { self.enter(self.interval + 1) }
    }

    /// To the entry before; nowhere before the first.
    pub(crate) fn step_back(&mut self) -> Result<(), Malformed> {
        let Some(here) = &self.here else { return Ok(()) };
        if !self.unpacked {
            let end = here.value.end;
            self.unpack(self.interval, end)?;
        }
        self.here = self.before.pop();
        match (&self.here, self.interval.checked_sub(1)) {
            (None, Some(interval)) => self.unpack_last(interval),
            _ => Ok(()),
        }
    }

    /// Stands on the first entry of an interval; nowhere behind the last interval.
    fn enter(&mut self, interval: usize) -> Result<(), Malformed> {
        (self.here, self.unpacked) = (None, false);
        if interval == self.block.restart_count {
            return Ok(());
        }
        self.interval = interval;
        self.interval_end = self.block.interval_end(interval)?;
        self.keys.clear();
        self.take(self.block.restart(interval)?)
    }

    /// Stands on the entry at `at`; the key before it is in `keys`.
    #[inline]
    fn take(&mut self, at: usize) -> Result<(), Malformed> {
        let head = self.block.head(at)?;
        if head.shared > self.keys.len() || head.value.end > self.interval_end {
            return Err(Malformed);
        }
        self.keys.truncate(head.shared);
        self.keys.extend_from_slice(&self.block.bytes[head.rest]);
        if self.keys.len() > KEY_BYTES_MAX {
            return Err(Malformed);
        }
        let (value, sequence, tombstone) = (head.value, head.sequence, head.tombstone);
        self.here = Some(Span { key: 0..self.keys.len(), value, sequence, tombstone });
        Ok(())
    }

    fn unpack_last(&mut self, interval: usize) -> Result<(), Malformed> {
        self.interval = interval;
        self.interval_end = self.block.interval_end(interval)?;
        self.unpack(interval, self.interval_end)
    }

    /// Unpacks the entries of an interval that end at or before `end`, and stands on the last of them.
    fn unpack(&mut self, interval: usize, end: usize) -> Result<(), Malformed> {
        (self.here, self.unpacked) = (None, true);
        self.keys.clear();
        self.before.clear();
        let mut at = self.block.restart(interval)?;
        let mut key = 0..0;
        while at < end {
            let head = self.block.head(at)?;
            if head.shared > key.len() || head.value.end > end {
                return Err(Malformed);
            }
            let start = self.keys.len();
            self.keys.extend_from_within(key.start..key.start + head.shared);
            self.keys.extend_from_slice(&self.block.bytes[head.rest]);
            key = start..self.keys.len();
            if self.keys.len() > INTERVAL_KEY_BYTES_MAX {
                return Err(Malformed);
            }
            at = head.value.end;
            let (value, sequence, tombstone) = (head.value, head.sequence, head.tombstone);
            self.before.push(Span { key: key.clone(), value, sequence, tombstone });
        }
        self.here = self.before.pop();
        if self.here.is_some() { Ok(()) } else { Err(Malformed) }
    }
}
