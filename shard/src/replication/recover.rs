//! What a shard's replicas were when it stopped: out of the tree and out of the log.
//!
//! 1. The tree says, per vnode, up to which entry it has everything (the flushed mark), term and membership there (the
//!    standing), and an old state.
//! 2. The log is read in order. An entry takes its place by its index; if another one of another term lies there, that one and all
//!    behind it were overwritten (the log of a replica may do that with what is not committed). One of the same term is the
//!    same entry, written again. A state with a base makes everything before it void.
//! 3. What is behind the mark is the tail that the group goes on with. Nothing is applied here: the group knows what is
//!    committed, and hands it out as it always does.
//!
//! Promises: a gap, or an entry that contradicts the standing, stops the opening; nothing on disk is changed.

use super::Keep;
use super::record::{self, Base, CHANGE_KIND, Kept, STATE_KIND, State};
use crate::command::RECORD_KIND;
use crate::consensus::Saved;
use bytes::Bytes;
use lsm::log::Record;
use model::ring::VnodeId;
use raft::eraftpb::{Entry, EntryType, HardState};
use std::collections::{BTreeMap, VecDeque};

/// What was found of all replicas, while the log is being read.
#[derive(Default)]
pub struct Found {
    trails: BTreeMap<VnodeId, Trail>,
}

/// One vnode's records.
#[derive(Default)]
struct Trail {
    /// Up to here the tree has the entries.
    mark: u64,
    standing: Option<Base>,
    /// The newest state and its number.
    state: Option<(u64, State)>,
    /// The highest number of any state, or mark of the states' stream.
    number: u64,
    /// The number of the newest state that the tree has.
    kept: u64,
    /// The last base that the log or the newest state names.
    base: Option<Base>,
    /// The index of the first of `entries`.
    first: u64,
    /// Entries with their terms; those that the tree has are not kept whole.
    entries: VecDeque<(u64, Option<Entry>)>,
}

/// A replica as it was.
pub struct Recovered {
    /// Its newest state.
    pub state: State,
    /// The state's number.
    pub number: u64,
    /// The highest number that was ever used.
    pub number_max: u64,
    /// The tree has this state or a newer one.
    pub is_kept: bool,
    /// Where its content ends.
    pub standing: Base,
    /// The entries behind.
    pub entries: Vec<Entry>,
}

/// All that was found.
#[derive(Default)]
pub struct Replicas {
    /// Those that are here.
    pub here: BTreeMap<VnodeId, Recovered>,
    /// Those that are gone, but for what the tree may still have of them; with the number of the state that says so.
    pub gone: BTreeMap<VnodeId, u64>,
}

impl Recovered {
    /// What the group of a replica goes on with whose content is void: its promises.
    pub fn nothing_but(state: &State) -> Saved {
        let mut hard_state = HardState::default();
        (hard_state.term, hard_state.vote) = (state.term, state.vote);
        Saved {
            hard_state,
            conf_state: raft::eraftpb::ConfState::default(),
            start: (0, 0),
            entries: Vec::new(),
            applied: 0,
            void_after: state.base.as_ref().map(|base| (base.index, base.term)),
            first_start: false,
        }
    }

    /// What the tree has to get, because only the log has it. Where the content ends is a part of that: the log may let go what says so, and the states that are written from
    /// now on do not repeat it. While the content is on its way it ends nowhere.
    pub fn to_keep(&self, vnode: VnodeId) -> Option<Keep> {
        let standing = Some(self.standing.clone()).filter(|_| !self.state.installing);
        let (number, state) = (self.number, self.state.encode());
        (!self.is_kept).then_some(Keep { vnode, number, state, standing })
    }

    /// Up to which entry all is known to be committed by what lies in the log. A leader proposes a change of members when it has applied the one before, and
    /// not sooner: so where there are two, the first one was committed, and with it all that came before. The commit index is not written down with every entry;
    /// without this, a replica could come back with the members from before both changes, and be elected by them alone, beside a leader of the new ones.
    fn settled(&self) -> u64 {
        let is_change = |entry: &&Entry| entry.get_entry_type() != EntryType::EntryNormal;
        self.entries.iter().rev().filter(is_change).nth(1).map_or(0, |first| first.index)
    }

    /// What its group goes on with. One whose content is not complete begins anew, and only keeps its promises. A planted bug does not look at what is `settled`.
    pub fn saved(&self, looks_at_changes: bool) -> Saved {
        if self.state.installing {
            return Recovered::nothing_but(&self.state);
        }
        let mut hard_state = HardState::default();
        (hard_state.term, hard_state.vote) = (self.state.term, self.state.vote);
        let last = self.entries.last().map_or(self.standing.index, |entry| entry.index);
        let settled = if looks_at_changes { self.settled() } else { 0 };
        hard_state.commit = self.state.commit.max(settled).clamp(self.standing.index, last);
        Saved {
            hard_state,
            conf_state: self.standing.members.clone(),
            start: (self.standing.index, self.standing.term),
            entries: self.entries.clone(),
            applied: self.standing.index,
            void_after: None,
            first_start: false,
        }
    }
}

impl Found {
    /// Takes a record of the tree.
    pub fn kept(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let (vnode, kept) = record::open_key(key).ok_or("a key of the groups of an unknown kind")?;
        let trail = self.trails.entry(vnode).or_default();
        match kept {
            Kept::State => {
                let (number, state) = record::open_kept_state(value)?;
                trail.kept = number;
                trail.base = state.base.clone().filter(|_| !state.installing);
                trail.state = Some((number, state));
            }
            Kept::Standing => trail.standing = Some(record::decode_standing(value)?),
        }
        Ok(())
    }

    /// Takes a record of the log; `mark` tells the flushed mark of a stream.
    pub fn logged(&mut self, record: &Record<'_>, mark: impl Fn(u64) -> u64) -> Result<(), String> {
        match record.kind {
            STATE_KIND => self.state(record, mark),
            RECORD_KIND | CHANGE_KIND => self.entry(record, mark),
            other => Err(format!("the log holds a record of unknown kind {other} at index {}", record.index)),
        }
    }

    fn trail(&mut self, vnode: VnodeId, mark: impl Fn(u64) -> u64) -> &mut Trail {
        let trail = self.trails.entry(vnode).or_default();
        trail.mark = mark(u64::from(vnode.0));
        trail.number = trail.number.max(mark(record::state_stream(vnode)));
        trail
    }

    fn state(&mut self, record: &Record<'_>, mark: impl Fn(u64) -> u64) -> Result<(), String> {
        let vnode = record::vnode_of_states(record.stream).ok_or("a state in a stream of entries")?;
        let state = State::decode(record.payload)?;
        let trail = self.trail(vnode, mark);
        trail.number = trail.number.max(record.index);
        if let Some(base) = &state.base {
            trail.base = Some(base.clone()).filter(|_| !state.installing);
        }
        if state.anew {
            trail.entries.clear();
            if record.index > trail.kept {
                // The tree does not know of it yet: what it has is of the time before.
                trail.standing = None;
            }
        }
        if trail.state.as_ref().is_none_or(|(number, _)| *number < record.index) {
            trail.state = Some((record.index, state));
        }
        Ok(())
    }

    fn entry(&mut self, record: &Record<'_>, mark: impl Fn(u64) -> u64) -> Result<(), String> {
        let vnode = record::vnode_of_entries(record.stream).ok_or("an entry in a stream of states")?;
        self.trail(vnode, mark).entry(record)
    }

    /// The replicas that are there, when the log is read to its end.
    pub fn finish(self, mark: impl Fn(u64) -> u64) -> Result<Replicas, (VnodeId, String)> {
        let mut all = Replicas::default();
        for (vnode, mut trail) in self.trails {
            trail.mark = mark(u64::from(vnode.0));
            trail.number = trail.number.max(mark(record::state_stream(vnode)));
            match &trail.state {
                // Of one that was forgotten already, nothing is left to be done.
                Some((number, state)) if state.destroyed => {
                    if mark(record::state_stream(vnode)) < *number {
                        all.gone.insert(vnode, *number);
                    }
                }
                _ => {
                    all.here.insert(vnode, trail.finish().map_err(|what| (vnode, what))?);
                }
            }
        }
        Ok(all)
    }
}

impl Trail {
    fn entry(&mut self, record: &Record<'_>) -> Result<(), String> {
        let index = record.index;
        let end = self.first + self.entries.len() as u64;
        if self.entries.is_empty() || index < self.first {
            self.entries.clear();
            self.first = index;
        } else if index > end {
            return Err(format!("the log goes from index {} to {index}", end - 1));
        } else if index < end {
            let place = (index - self.first) as usize;
            if self.entries[place].0 == record.term {
                return Ok(());
            }
            self.entries.truncate(place);
        }
        let whole = (index > self.mark).then(|| entry_of(record));
        self.entries.push_back((record.term, whole));
        Ok(())
    }

    /// The replica.
    fn finish(mut self) -> Result<Recovered, String> {
        let Some((number, state)) = self.state else {
            return Err("there are entries of a replica, and nothing that says which".to_string());
        };
        let number_max = self.number.max(number);
        let is_kept = self.kept >= number;
        if state.installing {
            let (standing, entries) = (Base::default(), Vec::new());
            return Ok(Recovered { state, number, number_max, is_kept, standing, entries });
        }
        let newest = self.base.into_iter().chain(self.standing).max_by_key(|base| base.index);
        let mut standing = newest.ok_or("nothing says where the replica begins")?;
        if standing.index == 0 {
            // It waits for its first image. A mark, if there is one, is of a replica that was here before.
            let entries = Vec::new();
            return Ok(Recovered { state, number, number_max, is_kept, standing, entries });
        }
        // Nothing between them changed term or membership, or it would have been written down.
        standing.index = standing.index.max(self.mark);
        while self.first <= standing.index
            && let Some((term, _)) = self.entries.pop_front()
        {
            if self.first == standing.index && term != standing.term {
                return Err(format!(
                    "entry {} is of term {term} in the log and of term {} in the tree",
                    self.first, standing.term
                ));
            }
            self.first += 1;
        }
        if !self.entries.is_empty() && self.first != standing.index + 1 {
            return Err(format!(
                "the tree ends at index {}, the log goes on at {}",
                standing.index, self.first
            ));
        }
        let entries: Option<Vec<Entry>> = self.entries.into_iter().map(|(_, entry)| entry).collect();
        let entries = entries.ok_or("an entry above the mark is not whole")?;
        if !entries.is_sorted_by_key(|entry| entry.term)
            || entries.first().is_some_and(|e| e.term < standing.term)
        {
            return Err("terms go back in the log".to_string());
        }
        Ok(Recovered { state, number, number_max, is_kept, standing, entries })
    }
}

/// The entry of a record.
fn entry_of(record: &Record<'_>) -> Entry {
    let mut entry = Entry { term: record.term, index: record.index, ..Entry::default() };
    let payload = Bytes::copy_from_slice(record.payload);
    match record.kind {
        CHANGE_KIND => {
            entry.set_entry_type(EntryType::EntryConfChangeV2);
            entry.set_context(payload);
        }
        _ => entry.set_data(payload),
    }
    entry
}

#[cfg(test)]
mod tests;
