//! What the log was given and what it promised; and whether what it gives back keeps the promise.

use std::collections::BTreeMap;

use lsm::log::{OwnedRecord, Position, Record};

/// A record with contents of its own, so that no two can be taken for each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub record: OwnedRecord,
    pub position: Position,
}

/// One log through all its lives.
#[derive(Default)]
pub struct Model {
    /// The log as it is now: what a replay may give back, less what may be released or was never durable.
    pub log: Vec<Entry>,
    /// The first so many are acknowledged as durable.
    pub acked: usize,
    /// Of each stream, what is flushed elsewhere.
    pub covered: BTreeMap<u64, u64>,
    ids: u64,
    indexes: BTreeMap<u64, u64>,
}

impl Model {
    /// A new record for `stream`, with an index of its own and `size` bytes that only it has.
    pub fn make(&mut self, stream: u64, size: usize) -> OwnedRecord {
        self.ids += 1;
        let index = self.indexes.entry(stream).or_insert(0);
        *index += 1;
        let (kind, term, index) = ((self.ids % 251) as u8, self.ids, *index);
        OwnedRecord { kind, stream, term, index, payload: payload(self.ids, size) }
    }

    /// The log accepted `record`.
    pub fn appended(&mut self, record: OwnedRecord, position: Position) -> Result<(), String> {
        if self.log.last().is_some_and(|last| last.position >= position) {
            return Err(format!("{position:?} does not grow"));
        }
        self.log.push(Entry { record, position });
        Ok(())
    }

    /// The log said that everything up to `position` is durable.
    pub fn acknowledged(&mut self, position: Position) {
        let upto = self.log.partition_point(|entry| entry.position <= position);
        self.acked = self.acked.max(upto);
    }

    /// The log said that all is durable.
    pub fn acknowledge_all(&mut self) {
        self.acked = self.log.len();
    }

    /// Covers some of what is acknowledged: the first `upto`, of the streams that `which` takes.
    pub fn cover(&mut self, upto: usize, which: impl Fn(u64) -> bool) {
        for entry in self.log[..upto.min(self.acked)].iter().filter(|entry| which(entry.record.stream)) {
            let covered = self.covered.entry(entry.record.stream).or_insert(0);
            *covered = (*covered).max(entry.record.index);
        }
    }

    /// How many at the start may be gone: all covered.
    pub fn releasable(&self) -> usize {
        let is_covered = |entry: &&Entry| {
            self.covered.get(&entry.record.stream).is_some_and(|covered| entry.record.index <= *covered)
        };
        self.log.iter().take_while(is_covered).count()
    }

    /// Whether `replayed` is a start of what a replay may give back, and where in the log it begins.
    pub fn check_start(&self, replayed: &[Entry]) -> Result<usize, String> {
        let Some(first) = replayed.first() else { return Ok(0) };
        let Some(start) = self.log.iter().position(|entry| entry == first) else {
            return Err(format!("never appended, or cut off before: {}", name(first)));
        };
        if start > self.releasable() {
            return Err(format!("{} records before {} are gone", start - self.releasable(), name(first)));
        }
        for (place, entry) in replayed.iter().enumerate() {
            match self.log.get(start + place) {
                Some(expected) if expected == entry => {}
                Some(expected) => return Err(format!("{} instead of {}", name(entry), name(expected))),
                None => return Err(format!("behind the end: {}", name(entry))),
            }
        }
        Ok(start)
    }

    /// Takes a whole replay, which decides what the log is from now on; or says which promise it breaks.
    pub fn replayed(&mut self, replayed: &[Entry]) -> Result<usize, String> {
        let end = match self.check_start(replayed)? {
            _ if replayed.is_empty() => {
                if self.releasable() < self.acked {
                    return Err(format!("all of {} acknowledged records are gone", self.acked));
                }
                self.acked
            }
            start => start + replayed.len(),
        };
        if end < self.acked {
            return Err(format!(
                "{} of {} acknowledged records are gone at the end",
                self.acked - end,
                self.acked
            ));
        }
        let cut = self.log.len() - end;
        self.log.truncate(end);
        self.acked = end;
        Ok(cut)
    }
}

pub fn borrowed(record: &OwnedRecord) -> Record<'_> {
    let OwnedRecord { kind, stream, term, index, payload } = record;
    Record { kind: *kind, stream: *stream, term: *term, index: *index, payload }
}

fn name(entry: &Entry) -> String {
    let record = &entry.record;
    format!("record {} of stream {} at {:?}, id {}", record.index, record.stream, entry.position, record.term)
}

/// Bytes that depend on the id in each place.
fn payload(id: u64, size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size + 8);
    let mut word = id;
    while bytes.len() < size {
        word = word.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29) ^ id;
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}
