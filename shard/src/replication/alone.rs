//! The groups of a node that is alone: a majority of one.
//!
//! ```text
//! propose(vnode, command) --> log.append --> pending --durable--> next_committed() --> the applier
//! ```
//!
//! A group of one commits an entry when the local log has it durably, and the log is durable in order of appending. So one
//! queue serves all groups of the shard, and the log's group commit is theirs.

use super::{Entry, Pending, Proposal, Receipt, Refused, Times, Undone, What, Why};
use crate::command::RECORD_KIND;
use lsm::log::{Log, Position, Record};
use model::ring::VnodeId;
use runtime::sync::{Notify, Receiver, oneshot};
use runtime::{Runtime, Ticks};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// The term of a group of one: it has never had another leader.
pub const TERM: u64 = 1;

/// All groups of one shard of a node that is alone.
pub struct Alone<R: Runtime> {
    rt: R,
    log: Log<R>,
    groups: RefCell<BTreeMap<VnodeId, Indexes>>,
    queue: RefCell<VecDeque<(Position, Entry)>>,
    /// Bytes of their commands.
    pending: Rc<Pending>,
    durable: Cell<Position>,
    /// When that was heard.
    durable_at: Cell<Ticks>,
    failed: Cell<bool>,
    changed: Notify,
}

/// How far one group has come.
#[derive(Clone, Copy)]
struct Indexes {
    applied: u64,
    last: u64,
}

impl<R: Runtime> Alone<R> {
    /// The groups of these vnodes, each with the index that it has applied.
    ///
    /// Commands that are proposed and not applied take at most `pending_bytes_max` bytes, or one command.
    pub fn new(rt: R, log: Log<R>, applied: BTreeMap<VnodeId, u64>, pending_bytes_max: usize) -> Alone<R> {
        let indexes = |(vnode, applied)| (vnode, Indexes { applied, last: applied });
        Alone {
            durable: Cell::new(log.durable_position()),
            durable_at: Cell::new(rt.ticks()),
            rt,
            log,
            groups: RefCell::new(applied.into_iter().map(indexes).collect()),
            queue: RefCell::new(VecDeque::new()),
            pending: Pending::new(pending_bytes_max),
            failed: Cell::new(false),
            changed: Notify::new(),
        }
    }

    /// Whether a vnode is this shard's.
    pub fn has(&self, vnode: VnodeId) -> bool {
        self.groups.borrow().contains_key(&vnode)
    }

    /// Appends a command to a vnode's log. The receiver resolves when the entry is committed and applied.
    pub fn propose(&self, proposal: Proposal) -> Result<Receiver<Result<Times, Undone>>, Refused> {
        let refused = |proposal, why| Err(Refused { proposal, why: Why::Storage(why) });
        if self.failed.get() {
            return refused(proposal, lsm::Error::Closed);
        }
        if !self.pending.has_room(proposal.command.len()) {
            return refused(proposal, lsm::Error::Busy);
        }
        let mut groups = self.groups.borrow_mut();
        let group = groups.get_mut(&proposal.vnode).expect("only a vnode of this shard is proposed to");
        let index = group.last + 1;
        let record = Record {
            kind: RECORD_KIND,
            stream: u64::from(proposal.vnode.0),
            term: TERM,
            index,
            payload: &proposal.command,
        };
        let position = match self.log.append(record) {
            Ok(position) => position,
            Err(why) => return refused(proposal, why),
        };
        group.last = index;
        drop(groups);
        let Proposal { vnode, command, latch, .. } = proposal;
        let (applied, receiver) = oneshot();
        let _room = Some(self.pending.take(command.len()));
        let receipt = Some(Receipt { latch, applied, times: Times::default(), _room });
        let what = What::Command(command);
        self.push(position, Entry { vnode, peer: 0, index, term: TERM, what, receipt });
        Ok(receiver)
    }

    /// Waits until a proposal with a command of so many bytes has a chance to be taken.
    pub async fn ready(&self, size: usize) -> Result<(), lsm::Error> {
        self.pending.room(size, &self.failed).await?;
        self.log.ready().await
    }

    /// The next committed entry of any group.
    pub async fn next_committed(&self) -> Result<Entry, lsm::Error> {
        loop {
            let changed = self.changed.notified();
            let front = self.queue.borrow().front().map(|(position, _)| *position);
            match front {
                None => changed.await,
                Some(position) if position <= self.durable.get() => {
                    let (_, mut entry) = self.queue.borrow_mut().pop_front().expect("there is a front");
                    if let Some(receipt) = &mut entry.receipt {
                        receipt.times = Times::alone(self.durable_at.get());
                    }
                    return Ok(entry);
                }
                Some(_) => {
                    self.durable.set(self.log.durable_beyond(self.durable.get()).await?);
                    self.durable_at.set(self.rt.ticks());
                }
            }
        }
    }

    /// An entry is about to be applied.
    pub fn applying(&self, entry: &Entry) {
        let mut groups = self.groups.borrow_mut();
        let group = groups.get_mut(&entry.vnode).expect("an entry of this shard's vnode");
        assert!(entry.index == group.applied + 1, "entries are applied in order, without a gap");
        group.applied = entry.index;
    }

    /// Nothing more will be applied: refuses every proposal, and tells those who wait that nobody knows.
    pub fn fail(&self) {
        self.failed.set(true);
        // Receipts wake tasks when they are dropped, so nothing is borrowed while they are.
        let queue = std::mem::take(&mut *self.queue.borrow_mut());
        drop(queue);
        self.changed.notify_all();
        self.pending.changed.notify_all();
    }

    /// Entries that are proposed and not yet handed out as committed, and bytes of commands that are not applied yet.
    pub fn pending(&self) -> (usize, usize) {
        (self.queue.borrow().len(), self.pending.bytes.get())
    }

    fn push(&self, position: Position, entry: Entry) {
        let mut queue = self.queue.borrow_mut();
        assert!(queue.back().is_none_or(|(last, _)| *last < position), "the log's positions grow");
        queue.push_back((position, entry));
        drop(queue);
        self.changed.notify_all();
    }
}
