//! Was what was acknowledged read again? The ledger of one core's keys.
//!
//! A key is written by one core and by one request at a time, each with the next version, so for any read
//!
//! ```text
//! acknowledged when the read began  <=  version read  <=  issued when the read was over
//! ```
//!
//! and anything else is wrong: below is a lost or stale write, above is a write that was never made. A refused write
//! takes its version back. A write with an unknown outcome (no answer, or a 5xx) may still land later, at any time, so
//! its key is never written again in this run, and both versions are right.
//!
//! Leaves to others: the content of a version, which follows from the key and is compared byte for byte (`Contents`).

use std::collections::BTreeSet;
use std::fmt;

/// Wrong reads that are described; the rest is only counted.
pub const EXAMPLES_MAX: usize = 8;

/// Versions of one key; 0 is "not there".
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    acknowledged: u32,
    issued: u32,
}

/// What one core knows of its keys, by index from 0.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
    /// Keys with a write under way or of unknown outcome. Few at a time: one for each connection, plus failures.
    closed: BTreeSet<u64>,
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is there.
    Acknowledged,
    /// It is not there.
    Refused,
    /// It may be there, now or later.
    Unknown,
}

/// What reads have shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Reads that were compared.
    pub checked: u64,
    /// Reads that were wrong.
    pub wrong: u64,
    /// The first few of these, in words.
    pub examples: Vec<String>,
}

/// A read that cannot be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    read: u64,
    acknowledged: u64,
    issued: u64,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Wrong { read, acknowledged, issued } = self;
        let what = if read < acknowledged { "an acknowledged write is missing" } else { "nobody wrote that" };
        write!(f, "read version {read}, acknowledged {acknowledged}, issued {issued}: {what}")
    }
}

impl Ledger {
    /// `count` keys that all hold version 1.
    pub fn loaded(count: u64) -> Ledger {
        let entries =
            vec![Entry { acknowledged: 1, issued: 1 }; usize::try_from(count).expect("bounded by KEYS_MAX")];
        Ledger { entries, closed: BTreeSet::new() }
    }

    /// Keys that the ledger knows: 0 to this less 1.
    pub fn count(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Makes room for keys below `count`, which are not there yet.
    pub fn grow(&mut self, count: u64) {
        let count = usize::try_from(count).expect("bounded by KEYS_MAX");
        self.entries.resize(self.entries.len().max(count), Entry::default());
    }

    /// Begins a write and names its version; `None` while the key must not be written.
    pub fn write_begin(&mut self, index: u64) -> Option<u64> {
        self.grow(index + 1);
        if !self.closed.insert(index) {
            return None;
        }
        let entry = &mut self.entries[index as usize];
        assert_eq!(entry.acknowledged, entry.issued, "an open key has no write under way");
        entry.issued = entry.issued.checked_add(1).expect("fewer than 2^32 writes of one key");
        Some(u64::from(entry.issued))
    }

    /// Ends a write.
    pub fn write_end(&mut self, index: u64, version: u64, outcome: Outcome) {
        assert!(self.closed.contains(&index), "the write of key {index} was begun");
        let entry = &mut self.entries[index as usize];
        assert_eq!(u64::from(entry.issued), version, "one write of a key at a time");
        match outcome {
            Outcome::Acknowledged => entry.acknowledged = entry.issued,
            Outcome::Refused => entry.issued = entry.acknowledged,
            Outcome::Unknown => return,
        }
        self.closed.remove(&index);
    }

    /// The version that a read which begins now must at least show.
    pub fn read_begin(&self, index: u64) -> u64 {
        self.entries.get(index as usize).map_or(0, |entry| u64::from(entry.acknowledged))
    }

    /// The latest version that was issued.
    pub fn issued(&self, index: u64) -> u64 {
        self.entries.get(index as usize).map_or(0, |entry| u64::from(entry.issued))
    }

    /// Judges a read of `read` (0: the item was not there) that began when `floor` was acknowledged.
    pub fn read_end(&self, index: u64, floor: u64, read: u64) -> Result<(), Wrong> {
        let issued = self.issued(index);
        if (floor..=issued).contains(&read) {
            return Ok(());
        }
        Err(Wrong { read, acknowledged: floor, issued })
    }
}

impl Findings {
    /// Notes one comparison.
    pub fn note(&mut self, result: Result<(), impl fmt::Display>) {
        self.checked += 1;
        if let Err(wrong) = result {
            self.wrong += 1;
            if self.examples.len() < EXAMPLES_MAX {
                self.examples.push(wrong.to_string());
            }
        }
    }

    /// Adds what another core has found.
    pub fn merge(&mut self, other: &Findings) {
        self.checked += other.checked;
        self.wrong += other.wrong;
        let room = EXAMPLES_MAX - self.examples.len();
        self.examples.extend(other.examples.iter().take(room).cloned());
    }
}

#[cfg(test)]
mod tests;
