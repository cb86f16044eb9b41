//! One replica on this shard: its group, and who waits for what from it.
//!
//! Proposals gather until the shard's next turn, so that what comes together goes into the log and over the wire together.
//! Each has a receipt, which goes with the entry to the applier. When leadership is lost, receipts stay for a moment: their entries may be
//! committed by the next leader all the same, or be overwritten, and then their proposers learn which. After that nobody
//! knows.

use super::journal::{Then, Written};
use super::record::{Base, State};
use super::sleep::Bed;
use super::{Receipt, Times, Undone};
use crate::consensus::{self, Closed, Group, NotTaken, Read};
use bytes::Bytes;
use lsm::log::Position;
use model::ring::{NodeId, PeerId, Place, Replicas, VnodeId};
use runtime::sync::Sender;
use runtime::{Mono, Ticks};
use std::collections::VecDeque;
use std::time::Duration;

/// A replica of this shard.
pub struct Replica {
    pub vnode: VnodeId,
    /// Which replica.
    pub peer: u64,
    /// The version of the map that it was made by.
    pub born: u64,
    pub group: Group,
    /// Where the others are.
    pub seats: Vec<(u64, Place)>,
    /// What the map wants, and the epoch of that map.
    pub wanted: Option<(Replicas, u64)>,
    /// Since when the one that should lead could, and when that was last seen.
    pub could_lead: Option<(Mono, Mono)>,
    /// Whether it waits for its turn.
    pub queued: bool,
    /// What is proposed at the next turn.
    proposals: Vec<(Bytes, Receipt)>,
    /// Receipts of entries that this replica appended as the leader of `term`, by index.
    receipts: VecDeque<(u64, Receipt)>,
    /// The term in which this replica leads, if it does.
    pub leading: Option<u64>,
    /// The same, once it has applied an entry of that term.
    pub led: Option<u64>,
    /// Who led when its group was looked at last.
    pub known_leader: Option<consensus::PeerId>,
    /// Receipts of entries that it appended in earlier terms.
    orphans: Vec<Orphan>,
    pub reads: Reads,
    /// The newest state in the log, and its number.
    pub written: State,
    pub number: u64,
    /// Works that are in the log up to a position.
    pub writing: VecDeque<(Position, u64)>,
    /// Works that the log has not taken yet.
    pub backlogged: usize,
    /// Where the tree's content ends, with what is on its way to it.
    pub standing: Base,
    /// Its log begins after this entry; what came before is in the tree.
    pub begin: u64,
    /// Until it has applied this, what it has is older than what it once had.
    pub stale_until: u64,
    /// Its content is being copied.
    pub installing: bool,
    /// Whether it sleeps, and what was promised for that.
    pub bed: Bed,
}

struct Orphan {
    index: u64,
    term: u64,
    receipt: Receipt,
    since: Mono,
}

/// Strong reads that wait.
#[derive(Default)]
pub struct Reads {
    /// For the next question to the group.
    next: Vec<Sender<u64>>,
    /// For the answer to this one.
    asked: Option<(u64, Vec<Sender<u64>>)>,
    /// For this index to be applied.
    allowed: Vec<(u64, Vec<Sender<u64>>)>,
    number: u64,
}

impl Replica {
    pub fn new(vnode: VnodeId, group: Group, state: State, number: u64, standing: Base) -> Replica {
        Replica {
            vnode,
            peer: state.peer,
            born: state.born,
            stale_until: group.committed(),
            group,
            seats: Vec::new(),
            wanted: None,
            could_lead: None,
            queued: false,
            proposals: Vec::new(),
            receipts: VecDeque::new(),
            leading: None,
            led: None,
            known_leader: None,
            orphans: Vec::new(),
            reads: Reads::default(),
            installing: state.installing,
            written: state,
            number,
            writing: VecDeque::new(),
            backlogged: 0,
            begin: standing.index,
            standing,
            bed: Bed::default(),
        }
    }

    /// Goes on with another group, which has nothing: the content is void, and its image comes no more.
    pub fn begin_anew(&mut self, group: Group) {
        assert!(self.installing && self.leading.is_none(), "it waits for an image");
        self.group = group;
        self.writing.clear();
        (self.standing, self.begin) = (Base::default(), 0);
    }

    /// What `written` is now, to be written under the next number.
    pub fn next_state(&mut self, then: Then) -> Written {
        self.number += 1;
        Written { number: self.number, bytes: self.written.encode(), then, votes: Vec::new() }
    }

    /// Where a replica of this vnode is.
    pub fn place_of(&self, peer: u64) -> Option<Place> {
        self.seats.iter().find(|(seat, _)| *seat == peer).map(|(_, place)| *place)
    }

    /// Where the leader is, as far as this replica knows.
    pub fn leader(&self) -> Option<PeerId> {
        self.group.leader().and_then(|peer| u32::try_from(peer.0).ok()).map(PeerId)
    }

    /// Whether somebody leads as far as this replica knows, and is not about to stop.
    pub fn knows_leader(&self) -> bool {
        self.group.leader().is_some() && !self.group.is_handing_over()
    }

    /// The term in which it leads, with all that was acknowledged before applied.
    pub fn leads(&self) -> Option<u64> {
        self.leading.filter(|term| self.standing.term == *term)
    }

    /// A command for the next turn.
    pub fn queue(&mut self, command: Bytes, receipt: Receipt) {
        self.proposals.push((command, receipt));
    }

    /// Proposes what was gathered; gives back the receipts of what is surely not taken.
    pub fn propose(&mut self) -> Result<Vec<Receipt>, Closed> {
        if self.proposals.is_empty() {
            return Ok(Vec::new());
        }
        let gathered = std::mem::take(&mut self.proposals);
        let term = self.group.term();
        match self.group.propose(gathered.iter().map(|(command, _)| command.clone())) {
            Ok(first) => {
                assert_eq!(self.leading, Some(term), "who proposes leads");
                let receipts = gathered.into_iter().map(|(_, receipt)| receipt);
                self.receipts.extend((first..).zip(receipts));
                Ok(Vec::new())
            }
            Err(NotTaken::Closed) => Err(Closed),
            Err(NotTaken::NotLeader(_) | NotTaken::Busy) => {
                Ok(gathered.into_iter().map(|(_, receipt)| receipt).collect())
            }
        }
    }

    /// The receipt of a committed entry, and those of others that can never be committed now.
    pub fn settle(&mut self, index: u64, term: u64, lost: &mut Vec<Receipt>) -> Option<Receipt> {
        let mut own = None;
        if let Some((first, _)) = self.receipts.front()
            && *first <= index
        {
            assert_eq!(*first, index, "receipts are in order of index, and none is jumped over");
            let (_, receipt) = self.receipts.pop_front().expect("there is a front");
            match self.leading == Some(term) {
                true => own = Some(receipt),
                false => lost.push(receipt),
            }
        }
        if !self.orphans.is_empty() {
            for orphan in self.orphans.extract_if(.., |orphan| orphan.index == index) {
                match orphan.term == term {
                    true => own = Some(orphan.receipt),
                    false => lost.push(orphan.receipt),
                }
            }
        }
        own
    }

    /// Entries that the follower furthest behind lacks, as far as a leader knows; 0 where it does not lead.
    pub fn lag_entries(&self) -> u64 {
        if self.leading.is_none() {
            return 0;
        }
        let others = self.seats.iter().filter(|(peer, _)| *peer != self.peer);
        let matched = others.filter_map(|(peer, _)| self.group.progress(consensus::PeerId(*peer)));
        matched.map(|(matched, _)| self.group.last().saturating_sub(matched)).max().unwrap_or(0)
    }

    /// This node has more of the log durably: which of the writes that wait those are.
    pub fn note_durable(&mut self, now: Ticks) {
        self.note(self.peer, |times| times.note_durable(now));
    }

    /// A follower was heard of, and may have more of the log durably.
    pub fn note_follower(&mut self, peer: u64, node: NodeId, now: Ticks) {
        self.note(peer, |times| times.note_follower(node, now));
    }

    /// Notes something of the writes that `peer` has, from the newest back to those of which it was known.
    fn note(&mut self, peer: u64, mut note: impl FnMut(&mut Times) -> bool) {
        if self.receipts.is_empty() {
            return;
        }
        let Some((matched, _)) = self.group.progress(consensus::PeerId(peer)) else { return };
        let count = self.receipts.partition_point(|(index, _)| *index <= matched);
        for (_, receipt) in self.receipts.range_mut(..count).rev() {
            if !note(&mut receipt.times) {
                break;
            }
        }
    }

    /// Notices that leadership began or ended; true when it did.
    pub fn notice_leadership(&mut self, now: Mono) -> bool {
        let leading = self.group.is_leader().then(|| self.group.term());
        if leading == self.leading {
            return false;
        }
        if let Some(term) = self.leading {
            let orphan = |(index, receipt)| Orphan { index, term, receipt, since: now };
            self.orphans.extend(self.receipts.drain(..).map(orphan));
            self.reads.give_up();
        }
        self.leading = leading;
        true
    }

    /// Receipts that have waited too long for the fate of their entries.
    pub fn expired(&mut self, now: Mono, wait_max: Duration) -> Vec<Receipt> {
        let old = |orphan: &mut Orphan| now.since(orphan.since) >= wait_max;
        self.orphans.extract_if(.., old).map(|orphan| orphan.receipt).collect()
    }

    /// All receipts: nobody will know.
    pub fn abandon(&mut self) -> Vec<Receipt> {
        self.reads = Reads::default();
        let proposals = self.proposals.drain(..).map(|(_, receipt)| receipt);
        let receipts = proposals.chain(self.receipts.drain(..).map(|(_, receipt)| receipt));
        receipts.chain(self.orphans.drain(..).map(|orphan| orphan.receipt)).collect()
    }

    /// Nothing is under way: all that it has is durable, committed and applied, and nobody waits for anything.
    pub fn is_level(&self) -> bool {
        let last = self.group.last();
        let written = self.writing.is_empty() && self.backlogged == 0;
        let proposed = self.proposals.is_empty() && self.receipts.is_empty();
        self.group.committed() == last
            && self.standing.index == last
            && (written && proposed && !self.installing && !self.is_awaited() && !self.group.has_work())
    }

    /// Whether somebody waits for something that a tick may change.
    pub fn is_awaited(&self) -> bool {
        !self.orphans.is_empty() || self.reads.are_waiting()
    }

    /// Asks the group for the reads that wait.
    pub fn ask_reads(&mut self, now: Mono) -> Result<(), Closed> {
        if self.reads.asked.is_some() || self.reads.next.is_empty() {
            return Ok(());
        }
        let number = self.reads.number + 1;
        match self.group.read(now, number)? {
            Read::Now => self.reads.allow_next(self.group.term()),
            Read::Later => {
                self.reads.number = number;
                self.reads.asked = Some((number, std::mem::take(&mut self.reads.next)));
            }
            Read::NotYet => {}
            Read::NotLeader(_) => self.reads.give_up(),
        }
        Ok(())
    }

    /// Reads that may be answered now that so much is applied.
    pub fn allow_reads(&mut self) {
        let (applied, term) = (self.standing.index, self.group.term());
        for (_, senders) in self.reads.allowed.extract_if(.., |(index, _)| *index <= applied) {
            give(senders, term);
        }
    }
}

impl Reads {
    /// One more that waits.
    pub fn wait(&mut self, sender: Sender<u64>) {
        self.next.push(sender);
    }

    /// The group has answered: the reads of this number may be answered from this index on.
    pub fn answered(&mut self, number: u64, index: u64) {
        if let Some((_, senders)) = self.asked.take_if(|(asked, _)| *asked == number) {
            self.allowed.push((index, senders));
        }
    }

    fn are_waiting(&self) -> bool {
        !self.next.is_empty() || self.asked.is_some() || !self.allowed.is_empty()
    }

    fn allow_next(&mut self, term: u64) {
        give(self.next.drain(..), term);
    }

    fn give_up(&mut self) {
        *self = Reads { number: self.number, ..Reads::default() };
    }
}

/// Tells proposers that their commands are surely not in any log.
pub fn refuse(receipts: impl IntoIterator<Item = Receipt>) {
    receipts.into_iter().for_each(|receipt| receipt.refuse(Undone::Lost));
}

/// Lets reads go on. One whose reader went away does not matter.
fn give(senders: impl IntoIterator<Item = Sender<u64>>, term: u64) {
    for sender in senders {
        let _ = sender.send(term);
    }
}
