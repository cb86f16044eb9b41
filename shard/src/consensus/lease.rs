//! The leader's lease: until when nobody else can have become leader.
//!
//! Every message of a leader carries the leader's own clock; a follower's answer echoes the stamp of the message that
//! it answers. A follower that has heard its leader votes for nobody else for one election timeout, counted on its
//! own clock from when it heard. It heard after the stamp was taken, so the promise lasts from the stamp on, on any
//! clock that runs no faster than the drift that we allow for.
//!
//! ```text
//! leader    --stamp s-->            <--echo s--        valid while now < s + length
//! follower              hears; no vote for `election timeout`
//! ```
//!
//! The stamp that counts is the one that a majority has echoed, the leader's own "now" among them; in a joint
//! configuration, of both majorities. Stamps are when a message was made, never when its answer came (that lease would be
//! too long by a one-way delay). Once a transfer has left, the lease is gone for the rest of the term: the transferee's votes are forced, and no
//! wait is long enough for a delayed one.

use raft::eraftpb::ConfState;
use runtime::Mono;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a leader knows of its followers' promises in one term.
#[derive(Default)]
pub(super) struct Lease {
    term: u64,
    echoes: BTreeMap<u64, Mono>,
    given_up: bool,
}

impl Lease {
    /// Forgets all when the term is another one.
    pub(super) fn enter(&mut self, term: u64) {
        if self.term != term {
            *self = Lease { term, ..Lease::default() };
        }
    }

    /// A follower answered a message that was stamped so.
    pub(super) fn echo(&mut self, term: u64, peer: u64, stamp: Mono) {
        if term == self.term {
            let last = self.echoes.entry(peer).or_insert(stamp);
            *last = (*last).max(stamp);
        }
    }

    /// A transfer has left: no lease any more in this term.
    pub(super) fn give_up(&mut self) {
        self.given_up = true;
    }

    /// Whether the lease holds at `now`, for the leader `own` of this membership.
    pub(super) fn holds(&self, own: u64, now: Mono, members: &ConfState, length: Duration) -> bool {
        let halves = [members.get_voters(), members.get_voters_outgoing()];
        let promised = |voters: &[u64]| voters.is_empty() || now < self.stamp(own, now, voters).after(length);
        !self.given_up && !halves[0].is_empty() && halves.into_iter().all(promised)
    }

    /// The newest stamp that a majority of `voters` has echoed.
    fn stamp(&self, own: u64, now: Mono, voters: &[u64]) -> Mono {
        let stamp = |peer: &u64| match *peer == own {
            true => now,
            false => self.echoes.get(peer).copied().unwrap_or_default(),
        };
        let mut stamps: Vec<Mono> = voters.iter().map(stamp).collect();
        stamps.sort_unstable_by(|a, b| b.cmp(a));
        stamps[voters.len() / 2]
    }
}
