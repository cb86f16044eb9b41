//! What the groups of a shard write into its log, and what follows when it is durable.
//!
//! 1. A work's state and entries are appended at once, as far as the log takes them. What it has no room for waits in the backlog, in order, and
//!    so does everything that comes after.
//! 2. The log says how far it is durable. What lies before is *landed*: a state becomes the tree's, a group's works are persisted, and
//!    its answers may leave.

use super::cluster::Cluster;
use super::images::Install;
use super::record::{self, CHANGE_KIND, STATE_KIND};
use super::replica::Replica;
use super::{Canary, Committed, Keep};
use crate::command::RECORD_KIND;
use crate::consensus::{Closed, Letter};
use lsm::log::{Position, Record};
use model::ring::VnodeId;
use raft::eraftpb::EntryType;
use runtime::Runtime;
use std::collections::VecDeque;

/// The records of one work, on their way into the log.
pub struct Backlog {
    pub vnode: VnodeId,
    pub peer: u64,
    /// The work's number; none for a state that no work asked for.
    pub number: Option<u64>,
    pub state: Option<Written>,
    pub entries: VecDeque<raft::eraftpb::Entry>,
}

/// A state, and what follows from its being durable.
pub struct Written {
    pub number: u64,
    pub bytes: Vec<u8>,
    pub then: Then,
    /// What leaves then, although the works before it are not durable: see `consensus`, on votes.
    pub votes: Vec<Letter>,
}

/// What is done when a state is durable.
pub enum Then {
    /// The tree gets it.
    Keep,
    /// And the replica's content may be replaced.
    Install(Install),
    /// And the content is complete.
    Installed(Install),
    /// And the content may go.
    Forget,
}

/// What becomes durable at a position of the log.
pub struct Landing {
    position: Position,
    pub(super) vnode: VnodeId,
    /// The state that is written there, if one is.
    state: Option<Written>,
}

/// The position of a work that is not durable before an image is complete.
const NEVER: Position = Position(u64::MAX);

impl<R: Runtime> Cluster<R> {
    /// Gives the log what a work has to write, as far as there is room.
    pub(super) fn write(
        &self,
        replica: &mut Replica,
        number: u64,
        state: Option<Written>,
        entries: Vec<raft::eraftpb::Entry>,
    ) -> Result<(), Closed> {
        let (vnode, peer) = (replica.vnode, replica.peer);
        let todo = Backlog { vnode, peer, number: Some(number), state, entries: entries.into() };
        let nothing = todo.state.is_none() && todo.entries.is_empty();
        if nothing && replica.writing.is_empty() && replica.backlogged == 0 {
            return self.persisted(replica, number);
        }
        self.put_in(replica, todo);
        match self.options.canary.is(Canary::AnswerBeforeDurable) && !replica.installing {
            true => self.persisted(replica, number),
            false => Ok(()),
        }
    }

    /// Appends the records, or puts them where they wait for room.
    pub(super) fn put_in(&self, replica: &mut Replica, mut todo: Backlog) {
        let nothing = todo.state.is_none() && todo.entries.is_empty();
        let must_wait = match nothing {
            true => replica.backlogged > 0,
            false => !self.backlog.borrow().is_empty(),
        };
        if must_wait || !self.try_write(replica, &mut todo) {
            replica.backlogged += 1;
            self.backlog.borrow_mut().push_back(todo);
            self.backlogged.notify_all();
        }
    }

    /// Appends all records of a work; false when the log takes no more now. Then what is left can be tried again.
    pub(super) fn try_write(&self, replica: &mut Replica, todo: &mut Backlog) -> bool {
        let vnode = todo.vnode;
        let mut last = replica.writing.back().map(|(position, _)| *position);
        if let Some(state) = &todo.state {
            let (stream, index) = (record::state_stream(vnode), state.number);
            let term = replica.written.term;
            let record = Record { kind: STATE_KIND, stream, term, index, payload: &state.bytes };
            let Some(position) = self.append(record) else { return false };
            last = Some(match state.then {
                Then::Install(_) => NEVER,
                _ => position,
            });
            if let Then::Installed(_) = state.then {
                replica.writing.iter_mut().filter(|(at, _)| *at == NEVER).for_each(|(at, _)| *at = position);
            }
            self.given(position, vnode, todo.state.take());
        }
        let installs = last == Some(NEVER);
        while let Some(entry) = todo.entries.front() {
            let (kind, payload) = match entry.get_entry_type() {
                EntryType::EntryConfChangeV2 => (CHANGE_KIND, &entry.context),
                _ => (RECORD_KIND, &entry.data),
            };
            let (term, index) = (entry.term, entry.index);
            let record = Record { kind, stream: u64::from(vnode.0), term, index, payload };
            let Some(position) = self.append(record) else { return false };
            last = Some(position).filter(|_| !installs).or(last);
            todo.entries.pop_front();
            if todo.entries.is_empty() {
                self.given(position, vnode, None);
            }
        }
        if let Some(number) = todo.number {
            let position = last.expect("there was something to write, or something is being written");
            replica.writing.push_back((position, number));
        }
        true
    }

    /// Appends a record, if the log takes it now. A log that has failed is noticed by who waits for it.
    pub(super) fn append(&self, record: Record<'_>) -> Option<Position> {
        match self.log.append(record) {
            Ok(position) => Some(position),
            Err(lsm::Error::Full { .. }) => {
                self.full.set(true);
                None
            }
            Err(_) => None,
        }
    }

    pub(super) fn given(&self, position: Position, vnode: VnodeId, state: Option<Written>) {
        let mut landings = self.landings.borrow_mut();
        assert!(landings.back().is_none_or(|last| last.position < position), "the log's positions grow");
        landings.push_back(Landing { position, vnode, state });
    }

    /// All works of a group up to this one are durable: its answers may leave.
    pub(super) fn persisted(&self, replica: &mut Replica, number: u64) -> Result<(), Closed> {
        let held = replica.group.persisted(number)?;
        self.put_out(replica, held)
    }

    /// Follows the log and says what is durable; returns when the log has failed.
    pub async fn follow_log(&self) -> lsm::Error {
        loop {
            match self.log.durable_beyond(self.durable.get()).await {
                Ok(durable) => self.landed(durable),
                Err(error) => return error,
            }
        }
    }

    pub(super) fn landed(&self, durable: Position) {
        self.durable.set(durable);
        self.driven.set(true);
        loop {
            let landing = {
                let mut landings = self.landings.borrow_mut();
                match landings.front() {
                    Some(first) if first.position <= durable => {
                        landings.pop_front().expect("there is a front")
                    }
                    _ => break,
                }
            };
            let Landing { vnode, state, .. } = landing;
            match state {
                Some(state) => self.state_landed(vnode, state, durable),
                None => self.persist(vnode, durable),
            }
        }
        self.turn();
    }

    /// A state is durable.
    pub(super) fn state_landed(&self, vnode: VnodeId, written: Written, durable: Position) {
        let Written { number, bytes: state, then, votes } = written;
        self.cast(vnode, votes);
        let keep = |standing| Committed::Keep(Keep { vnode, number, state: state.clone(), standing });
        match then {
            Then::Keep if self.options.canary.is(Canary::ReleaseStatesEarly) => {}
            Then::Keep => self.hand_out(keep(None)),
            Then::Install(install) => {
                self.hand_out(keep(None));
                self.installs.borrow_mut().push_back(install);
                self.install_arrived.notify_all();
            }
            Then::Installed(install) => {
                // What is committed behind it is handed out later, and so comes after it.
                self.hand_out(keep(Some(install.base.clone())));
                self.complete(&install, durable);
            }
            Then::Forget => {
                self.gone.borrow_mut().push_back((vnode, number));
                self.gone_arrived.notify_all();
            }
        }
        self.persist(vnode, durable);
    }

    /// Votes of a replica that installs an image leave: what they promise is durable.
    fn cast(&self, vnode: VnodeId, votes: Vec<Letter>) {
        if votes.is_empty() {
            return;
        }
        let mut groups = self.groups.borrow_mut();
        let Some(replica) = groups.get_mut(&vnode) else { return };
        let own = |letter: &Letter| letter.message.from == replica.peer;
        let votes = votes.into_iter().filter(own).collect();
        if self.put_out(replica, votes).is_err() {
            drop(groups);
            self.closed(vnode);
        }
    }

    pub(super) fn persist(&self, vnode: VnodeId, durable: Position) {
        let mut groups = self.groups.borrow_mut();
        let Some(replica) = groups.get_mut(&vnode) else { return };
        let mut number = None;
        while let Some((position, work)) = replica.writing.front()
            && *position <= durable
        {
            number = Some(*work);
            replica.writing.pop_front();
        }
        let Some(number) = number else { return };
        let persisted = self.persisted(replica, number);
        replica.note_durable(self.rt.ticks());
        drop(groups);
        match persisted {
            Ok(()) => self.enlist(vnode),
            Err(Closed) => self.closed(vnode),
        }
    }

    /// Writes what the log had no room for; returns when the log has failed.
    pub async fn work_off(&self) -> lsm::Error {
        loop {
            let more = self.backlogged.notified();
            if self.backlog.borrow().is_empty() {
                self.full.set(false);
                more.await;
                continue;
            }
            let before = self.backlog.borrow().len();
            match self.log.ready().await {
                Ok(()) => {
                    self.retry();
                    if self.backlog.borrow().len() >= before {
                        // There is room for something, and not for what comes next.
                        self.rt.sleep(self.options.tick).await;
                    }
                }
                Err(lsm::Error::Full { .. }) => {
                    self.full.set(true);
                    self.rt.sleep(self.options.tick).await;
                }
                Err(error) => return error,
            }
            self.rt.yield_now().await;
        }
    }

    pub(super) fn retry(&self) {
        loop {
            let Some(mut todo) = self.backlog.borrow_mut().pop_front() else { return };
            let mut groups = self.groups.borrow_mut();
            let replica = groups.get_mut(&todo.vnode).filter(|replica| replica.peer == todo.peer);
            let Some(replica) = replica else { continue };
            let nothing = todo.state.is_none() && todo.entries.is_empty();
            replica.backlogged -= 1;
            if nothing && replica.writing.is_empty() {
                let number = todo.number.expect("a work without records has a number");
                let (vnode, persisted) = (todo.vnode, self.persisted(replica, number));
                drop(groups);
                if persisted.is_err() {
                    self.closed(vnode);
                }
            } else if !self.try_write(replica, &mut todo) {
                replica.backlogged += 1;
                self.backlog.borrow_mut().push_front(todo);
                return;
            }
        }
    }
}
