//! What the library reads of a replica's log: the tail that is kept in memory, and the states beside it.
//!
//! ```text
//! start (index, term) | entry | entry | entry ... last
//!        compacted    <- kept in memory: bounded by whoever compacts
//! ```
//!
//! Entries are refcounted bytes, shared with the log's writer and with the messages. A follower that needs an entry
//! from before `start` is sent an image of the vnode instead.

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot, SnapshotMetadata};
use raft::{Error, GetEntriesContext, RaftState, Result, Storage, StorageError};
use std::cell::Cell;
use std::collections::VecDeque;

/// What an entry takes beside its bytes, about.
const ENTRY_BYTES: usize = 160;

/// The tail of one replica's log.
#[derive(Default)]
pub(super) struct Tail {
    pub(super) hard_state: HardState,
    pub(super) conf_state: ConfState,
    /// Index and term of the entry before the first that is kept.
    start: (u64, u64),
    entries: VecDeque<Entry>,
    bytes: usize,
    /// The newest image that a follower may be sent.
    image: Option<SnapshotMetadata>,
    /// Somebody needs an image at least this new.
    image_wanted: Cell<Option<u64>>,
    /// A planted bug: what was let go is made up.
    pub(super) fills_gaps: bool,
}

impl Tail {
    /// A tail that begins after `start`.
    pub(super) fn new(hard_state: HardState, conf_state: ConfState, start: (u64, u64)) -> Tail {
        Tail { hard_state, conf_state, start, ..Tail::default() }
    }

    /// Puts entries behind, and in the place of those that they conflict with.
    pub(super) fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        assert!(first.index > self.start.0, "entry {} is compacted already", first.index);
        assert!(first.index <= self.last() + 1, "a gap before entry {}", first.index);
        while self.last() >= first.index {
            let gone = self.entries.pop_back().expect("the last one is kept");
            self.bytes -= bytes_of(&gone);
        }
        for entry in entries {
            assert!(entry.index == self.last() + 1, "entries have no gaps");
            self.bytes += bytes_of(entry);
            self.entries.push_back(entry.clone());
        }
    }

    /// Forgets entries up to and with `index`, which must be applied, as long as all have more than `keep` bytes.
    pub(super) fn compact(&mut self, index: u64, keep: usize) {
        while let Some(first) = self.entries.front()
            && first.index <= index
            && self.bytes > keep
        {
            self.start = (first.index, first.term);
            self.bytes -= bytes_of(first);
            self.entries.pop_front();
        }
    }

    /// Everything up to `meta` came as an image.
    pub(super) fn install(&mut self, meta: &SnapshotMetadata) {
        self.entries.clear();
        self.bytes = 0;
        self.start = (meta.index, meta.term);
        self.conf_state = meta.get_conf_state().clone();
        self.image = None;
    }

    /// An image that followers may be sent.
    pub(super) fn offer(&mut self, meta: SnapshotMetadata) {
        self.image_wanted.set(None);
        self.image = Some(meta);
    }

    /// There is no image any more.
    pub(super) fn withdraw(&mut self) {
        self.image = None;
    }

    /// The index that an image must reach to help somebody.
    pub(super) fn image_wanted(&self) -> Option<u64> {
        self.image_wanted.get()
    }

    /// Entries that are kept, and the bytes of their commands.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes)
    }

    /// Index of the last entry.
    pub(super) fn last(&self) -> u64 {
        self.start.0 + self.entries.len() as u64
    }

    /// The term of an entry, or of the one before the first.
    pub(super) fn term_of(&self, index: u64) -> Option<u64> {
        if index == self.start.0 {
            return Some(self.start.1);
        }
        let place = index.checked_sub(self.start.0 + 1)?;
        self.entries.get(usize::try_from(place).ok()?).map(|entry| entry.term)
    }
}

fn bytes_of(entry: &Entry) -> usize {
    entry.data.len() + ENTRY_BYTES
}

impl Storage for Tail {
    fn initial_state(&self) -> Result<RaftState> {
        Ok(RaftState::new(self.hard_state.clone(), self.conf_state.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        size_max: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> Result<Vec<Entry>> {
        if low <= self.start.0 && self.fills_gaps {
            return Ok(vec![Entry { index: low, term: self.start.1, ..Entry::default() }]);
        }
        if low <= self.start.0 {
            return Err(Error::Store(StorageError::Compacted));
        }
        assert!(high <= self.last() + 1, "entries up to {high}, the last is {}", self.last());
        let at = |index: u64| (index - self.start.0 - 1) as usize;
        let mut entries: Vec<Entry> = self.entries.range(at(low)..at(high)).cloned().collect();
        raft::util::limit_size(&mut entries, size_max.into());
        Ok(entries)
    }

    fn term(&self, index: u64) -> Result<u64> {
        if index < self.start.0 && self.fills_gaps {
            return Ok(self.start.1);
        }
        let missing = match index < self.start.0 {
            true => StorageError::Compacted,
            false => StorageError::Unavailable,
        };
        self.term_of(index).ok_or(Error::Store(missing))
    }

    fn first_index(&self) -> Result<u64> {
        Ok(if self.fills_gaps { 1 } else { self.start.0 + 1 })
    }

    fn last_index(&self) -> Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, request_index: u64, _to: u64) -> Result<Snapshot> {
        let needed = request_index.max(self.start.0);
        match &self.image {
            Some(meta) if meta.index >= needed => {
                let mut snapshot = Snapshot::default();
                snapshot.set_metadata(meta.clone());
                Ok(snapshot)
            }
            _ => {
                self.image_wanted.set(Some(needed));
                Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
            }
        }
    }
}
