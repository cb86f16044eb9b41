//! Replication: how a vnode's command becomes committed. Here stands a majority of one; Raft comes in its place.
//!
//! ```text
//! propose(vnode, command) --> log.append --> pending --durable--> next_committed() --> the applier
//! ```
//!
//! The seam is these words: a leader proposes a command to its group and gets a receipt; `next_committed` gives
//! entries, each group's in order of index without a gap; who applied an entry opens its receipt. An entry without a
//! receipt (a replay now, a follower later) is applied all the same.
//!
//! A group of one commits an entry when the local log has it durably, and the log is durable in order of appending. So one
//! queue serves all groups of the shard, and the log's group commit is theirs.
//!
//! Promises: `propose` either takes the command or gives it back with the reason; once taken it does not depend on its
//! proposer any more. Leaves to others: what a command means (`command`), applying it (`apply`).

use crate::command::RECORD_KIND;
use crate::latch::Guard;
use bytes::Bytes;
use lsm::log::{Log, Position, Record};
use model::ring::VnodeId;
use runtime::Runtime;
use runtime::sync::{Notify, Receiver, Sender, oneshot};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};

/// The term of a group of one: it has never had another leader.
pub const TERM: u64 = 1;

/// A command that somebody wants in a vnode's log.
pub struct Proposal {
    /// Whose log.
    pub vnode: VnodeId,
    /// The command's bytes.
    pub command: Bytes,
    /// The latch of the key that it writes, held until it is applied.
    pub latch: Option<Guard>,
}

/// A proposal that was not taken, and why. Nothing was appended.
pub struct Refused {
    /// As it was given.
    pub proposal: Proposal,
    /// The log's reason.
    pub why: lsm::Error,
}

/// A committed entry.
pub struct Entry {
    /// Whose.
    pub vnode: VnodeId,
    /// Its index in that vnode's log.
    pub index: u64,
    /// The command's bytes.
    pub command: Bytes,
    /// Who waits for it to be applied.
    pub receipt: Receipt,
}

/// What is opened when an entry is applied: first the latch, then the wait of its proposer.
pub struct Receipt {
    latch: Option<Guard>,
    applied: Sender<()>,
}

impl Receipt {
    /// The entry is applied.
    pub fn open(self) {
        drop(self.latch);
        // A proposer that went away does not want to know.
        let _ = self.applied.send(());
    }
}

/// Counts one who waits, until it is dropped.
struct Waiting<'a> {
    count: &'a Cell<usize>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.set(self.count.get() - 1);
    }
}

/// All groups of one shard.
pub struct Replication<R: Runtime> {
    log: Log<R>,
    /// By vnode: the index of its next entry.
    next_index: RefCell<BTreeMap<VnodeId, u64>>,
    pending: RefCell<VecDeque<(Position, Entry)>>,
    /// Bytes of their commands.
    pending_bytes: Cell<usize>,
    pending_bytes_max: usize,
    /// Proposers that wait for room.
    waiting: Cell<usize>,
    durable: Cell<Position>,
    failed: Cell<bool>,
    changed: Notify,
}

impl<R: Runtime> Replication<R> {
    /// The groups of these vnodes, each with the index of its next entry.
    ///
    /// Commands that are proposed and not applied take at most `pending_bytes_max` bytes, or one command.
    pub fn new(log: Log<R>, next_index: BTreeMap<VnodeId, u64>, pending_bytes_max: usize) -> Replication<R> {
        Replication {
            durable: Cell::new(log.durable_position()),
            log,
            next_index: RefCell::new(next_index),
            pending: RefCell::new(VecDeque::new()),
            pending_bytes: Cell::new(0),
            pending_bytes_max,
            waiting: Cell::new(0),
            failed: Cell::new(false),
            changed: Notify::new(),
        }
    }

    /// Appends a command to a vnode's log. The receiver resolves when the entry is committed and applied.
    pub fn propose(&self, proposal: Proposal) -> Result<Receiver<()>, Refused> {
        if self.failed.get() {
            return Err(Refused { proposal, why: lsm::Error::Closed });
        }
        if !self.has_room(proposal.command.len()) {
            return Err(Refused { proposal, why: lsm::Error::Busy });
        }
        let index = self.next_index(proposal.vnode);
        let record = Record {
            kind: RECORD_KIND,
            stream: u64::from(proposal.vnode.0),
            term: TERM,
            index,
            payload: &proposal.command,
        };
        let position = match self.log.append(record) {
            Ok(position) => position,
            Err(why) => return Err(Refused { proposal, why }),
        };
        let Proposal { vnode, command, latch } = proposal;
        self.next_index.borrow_mut().insert(vnode, index + 1);
        let (applied, receiver) = oneshot();
        let entry = Entry { vnode, index, command, receipt: Receipt { latch, applied } };
        self.push(position, entry);
        Ok(receiver)
    }

    /// Waits until a proposal with a command of so many bytes has a chance to be taken.
    pub async fn ready(&self, size: usize) -> Result<(), lsm::Error> {
        loop {
            let changed = self.changed.notified();
            if self.failed.get() {
                return Err(lsm::Error::Closed);
            }
            if self.has_room(size) {
                return self.log.ready().await;
            }
            self.waiting.set(self.waiting.get() + 1);
            let _waiting = Waiting { count: &self.waiting };
            changed.await;
        }
    }

    /// The next committed entry of any group.
    pub async fn next_committed(&self) -> Result<Entry, lsm::Error> {
        loop {
            let changed = self.changed.notified();
            let front = self.pending.borrow().front().map(|(position, _)| *position);
            match front {
                None => changed.await,
                Some(position) if position <= self.durable.get() => {
                    let (_, entry) = self.pending.borrow_mut().pop_front().expect("there is a front");
                    return Ok(self.taken(entry));
                }
                Some(_) => self.durable.set(self.log.durable_beyond(self.durable.get()).await?),
            }
        }
    }

    /// Nothing more will be applied: refuses every proposal, and tells those who wait that nobody knows.
    pub fn fail(&self) {
        self.failed.set(true);
        // Receipts wake tasks when they are dropped, so nothing is borrowed while they are.
        let pending = std::mem::take(&mut *self.pending.borrow_mut());
        drop(pending);
        self.changed.notify_all();
    }

    /// Entries that are proposed and not yet handed out as committed, and their bytes.
    pub fn pending(&self) -> (usize, usize) {
        (self.pending.borrow().len(), self.pending_bytes.get())
    }

    /// Whether a command of so many bytes may join those that are pending.
    fn has_room(&self, size: usize) -> bool {
        let pending = self.pending_bytes.get();
        pending == 0 || pending + size <= self.pending_bytes_max
    }

    /// The entry leaves the queue; who found no room looks again.
    fn taken(&self, entry: Entry) -> Entry {
        self.pending_bytes.set(self.pending_bytes.get() - entry.command.len());
        if self.waiting.get() > 0 {
            self.changed.notify_all();
        }
        entry
    }

    fn next_index(&self, vnode: VnodeId) -> u64 {
        *self.next_index.borrow().get(&vnode).expect("only a vnode of this shard is proposed to")
    }

    fn push(&self, position: Position, entry: Entry) {
        let mut pending = self.pending.borrow_mut();
        assert!(pending.back().is_none_or(|(last, _)| *last < position), "the log's positions grow");
        self.pending_bytes.set(self.pending_bytes.get() + entry.command.len());
        pending.push_back((position, entry));
        drop(pending);
        self.changed.notify_all();
    }
}
