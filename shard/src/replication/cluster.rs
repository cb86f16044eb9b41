//! The replicas of one shard, each a Raft group, driven together.
//!
//! ```text
//! propose, letters, ticks --> groups --turn--> letters out | records to the log | committed to the applier
//!                               ^                                |                        |
//!                               +---- persisted, held answers <--+ durable                |
//!                               +---- applied <--------------------------------------------+
//! ```
//!
//! 1. Inputs only change a group and put it on the list of those that have work. A *turn* goes through the list, does
//!    what each group says, and sends what all of them have to say in one payload per shard.
//! 2. All groups write into the shard's log, so its group commit is theirs. A leader's letters leave before its own write is
//!    durable; a follower's answers leave when theirs is.
//! 3. Committed entries of all groups go to the applier in one queue.
//!
//! Nothing here waits but the two tasks that follow the log: one learns how far it is durable, one writes what it had no
//! room for.

use super::images::Install;
use super::journal::{Backlog, Landing, Then, Written};
use super::outbox::{Outbox, Wire};
use super::record::State;
use super::recover::{Recovered, Replicas};
use super::replica::{Replica, refuse};
use super::sleep::Sleep;
use super::{Canary, Committed, Entry, Pending, Receipt, ReplicationOptions, What};
use crate::consensus::{self, Closed, Group, GroupOptions, Letter, Work};
use lsm::log::{Log, Position};
use model::ring::{Place, VnodeId};
use net::mesh::CallError;
use raft::eraftpb::EntryType;
use runtime::sync::Notify;
use runtime::{Mono, Purpose, Runtime};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

/// Groups that one turn looks at before it lets others run.
const TURN_GROUPS_MAX: usize = 256;

/// A commit index that is so much newer than the one in the log is written, the next time something is.
const COMMIT_LAG_MAX: u64 = 1024;

/// The replicated groups of one shard.
pub struct Cluster<R: Runtime> {
    pub(super) rt: R,
    pub(super) log: Log<R>,
    pub(super) wire: Wire,
    pub(super) place: Place,
    pub(super) options: ReplicationOptions,
    /// Every replica that the cluster was founded with has been here.
    pub(super) begun: bool,
    pub(super) seed: u64,
    pub(super) groups: RefCell<BTreeMap<VnodeId, Replica>>,
    /// Those that do not sleep.
    pub(super) awake: RefCell<BTreeSet<VnodeId>>,
    pub(super) sleep: RefCell<Sleep>,
    /// Replicas that have failed: what they left on the disk is not touched.
    pub(super) dead: RefCell<BTreeSet<VnodeId>>,
    /// Groups that have work.
    pub(super) ready: RefCell<VecDeque<VnodeId>>,
    pub(super) turn_due: Notify,
    /// Whoever puts groups on that list takes the turn as well.
    pub(super) driven: Cell<bool>,
    pub(super) outbox: RefCell<Outbox>,
    /// What the log was given, in order.
    pub(super) landings: RefCell<VecDeque<Landing>>,
    pub(super) durable: Cell<Position>,
    pub(super) backlog: RefCell<VecDeque<Backlog>>,
    pub(super) backlogged: Notify,
    /// The log has no room for what was decided already.
    pub(super) full: Cell<bool>,
    pub(super) committed: RefCell<VecDeque<Committed>>,
    pub(super) committed_bytes: Cell<usize>,
    pub(super) arrived: Notify,
    /// Commands that were proposed here and are not applied yet.
    pub(super) pending: Rc<Pending>,
    /// Groups led here in which something was committed that followers may not know of.
    pub(super) untold: RefCell<BTreeSet<VnodeId>>,
    pub(super) untold_arrived: Notify,
    pub(super) failed: Cell<bool>,
    /// Groups that are what the map asked for, and the catalog does not know it yet.
    pub(super) reached: RefCell<Vec<super::membership::Standing>>,
    /// This shard is about to stop: it wants to lead nothing.
    pub(super) handing_over: Cell<bool>,
    pub(super) ticks: Cell<u64>,
    /// The group that stood for election last.
    pub(super) last_candidate: Cell<VnodeId>,
    /// Images that replicas here wait for.
    pub(super) installs: RefCell<VecDeque<Install>>,
    pub(super) install_arrived: Notify,
    /// When a replica was last heard of that is being sent an image.
    pub(super) sending: RefCell<BTreeMap<(VnodeId, u64), Mono>>,
    /// Replicas that are gone, and whose content has to go: with the number of the state that says so.
    pub(super) gone: RefCell<VecDeque<(VnodeId, u64)>>,
    pub(super) gone_arrived: Notify,
    /// Vnodes whose content is about to go: nothing new of them begins before.
    pub(super) leaving: RefCell<BTreeSet<VnodeId>>,
    pub(super) follow_again: Notify,
    /// Leadership of some group began or ended.
    pub(super) leadership: Notify,
    /// Some replica here has another leader than before, or none.
    pub(super) leader_changed: Cell<bool>,
    pub(super) leader_known: Notify,
    pub(super) elections: Cell<u64>,
    pub(super) images: Cell<u64>,
    /// The tree's flushed mark of a stream.
    pub(super) mark: Rc<dyn Fn(u64) -> u64>,
    /// The last number of the states of replicas that are gone.
    pub(super) retired: RefCell<BTreeMap<VnodeId, u64>>,
    pub(super) report: Rc<dyn Fn(&str)>,
}

/// What a cluster's replicas are opened with.
pub struct ClusterParts<R: Runtime> {
    pub rt: R,
    pub log: Log<R>,
    pub wire: Wire,
    pub place: Place,
    pub options: ReplicationOptions,
    pub pending_bytes_max: usize,
    /// Every replica that the cluster was founded with has been here.
    pub begun: bool,
    pub mark: Rc<dyn Fn(u64) -> u64>,
    pub report: Rc<dyn Fn(&str)>,
}

impl<R: Runtime> Cluster<R> {
    /// The replicas that were found on the disk.
    pub fn open(parts: ClusterParts<R>, found: Replicas) -> Cluster<R> {
        let ClusterParts { rt, log, wire, place, options, pending_bytes_max, begun, mark, report } = parts;
        let keeps = options.canary.is(Canary::KeepLoyalty);
        let sleep = Sleep::new(rt.random(Purpose::Id), rt.random(Purpose::Id), keeps);
        let cluster = Cluster {
            durable: Cell::new(log.durable_position()),
            seed: rt.random(Purpose::Jitter),
            rt,
            log,
            wire,
            place,
            options,
            begun,
            groups: RefCell::default(),
            awake: RefCell::default(),
            sleep: RefCell::new(sleep),
            dead: RefCell::default(),
            ready: RefCell::default(),
            turn_due: Notify::new(),
            driven: Cell::new(false),
            outbox: RefCell::default(),
            landings: RefCell::default(),
            backlog: RefCell::default(),
            backlogged: Notify::new(),
            full: Cell::new(false),
            committed: RefCell::default(),
            committed_bytes: Cell::new(0),
            arrived: Notify::new(),
            pending: Pending::new(pending_bytes_max),
            mark,
            retired: RefCell::default(),
            untold: RefCell::default(),
            untold_arrived: Notify::new(),
            failed: Cell::new(false),
            reached: RefCell::default(),
            handing_over: Cell::new(false),
            ticks: Cell::new(0),
            last_candidate: Cell::new(VnodeId(0)),
            leaving: RefCell::new(found.gone.keys().copied().collect()),
            follow_again: Notify::new(),
            installs: RefCell::default(),
            install_arrived: Notify::new(),
            sending: RefCell::default(),
            gone: RefCell::new(found.gone.into_iter().collect()),
            gone_arrived: Notify::new(),
            leadership: Notify::new(),
            leader_changed: Cell::new(false),
            leader_known: Notify::new(),
            elections: Cell::new(0),
            images: Cell::new(0),
            report,
        };
        for (vnode, recovered) in found.here {
            cluster.reopen(vnode, recovered);
        }
        cluster
    }

    fn reopen(&self, vnode: VnodeId, recovered: Recovered) {
        let mut saved = recovered.saved(!self.options.canary.is(Canary::UnsettledChange));
        if self.options.canary.is(Canary::ApplyUncommitted) && !recovered.state.installing {
            saved.hard_state.commit =
                saved.entries.last().map_or(saved.hard_state.commit, |entry| entry.index);
        }
        if let Some(keep) = recovered.to_keep(vnode) {
            self.hand_out(Committed::Keep(keep));
        }
        let Recovered { state, number_max, standing, .. } = recovered;
        let group = Group::open(self.group_options(vnode, state.peer), saved, self.now());
        let Ok(group) = group else { return self.closed(vnode) };
        self.insert(Replica::new(vnode, group, state, number_max, standing));
    }

    pub(super) fn insert(&self, mut replica: Replica) {
        let vnode = replica.vnode;
        replica.bed.active = self.now();
        self.awake.borrow_mut().insert(vnode);
        self.groups.borrow_mut().insert(vnode, replica);
        self.enlist(vnode);
    }

    pub(super) fn group_options(&self, vnode: VnodeId, peer: u64) -> GroupOptions {
        let options = &self.options;
        GroupOptions {
            vnode,
            peer: consensus::PeerId(peer),
            seed: self.seed,
            tick: options.tick,
            election_ticks: options.election_ticks,
            heartbeat_ticks: options.heartbeat_ticks,
            message_bytes_max: options.message_bytes_max,
            in_flight_max: options.in_flight_max,
            // What is under way is bounded for all groups together.
            uncommitted_bytes_max: u64::MAX,
            committed_bytes_max: options.committed_bytes_max,
            canary: options.group_canary,
        }
    }

    /// Asks another shard.
    pub async fn call(&self, to: Place, deadline: Mono, request: Vec<u8>) -> Result<Vec<u8>, CallError> {
        (self.wire.call)(to, deadline, request).await
    }

    /// Times and sizes.
    pub fn options(&self) -> &ReplicationOptions {
        &self.options
    }
}

/// The turn.
impl<R: Runtime> Cluster<R> {
    /// Takes turns whenever there is something to do; never returns.
    pub async fn take_turns(&self) {
        loop {
            // Who was ready when this was woken came first, so what they propose goes into the same turn.
            let due = self.turn_due.notified();
            if self.ready.borrow().is_empty() {
                due.await;
                continue;
            }
            self.turn();
            if !self.ready.borrow().is_empty() {
                self.rt.yield_now().await;
            }
        }
    }

    /// Lets time pass; never returns.
    pub async fn keep_time(&self) {
        loop {
            self.rt.sleep(self.options.tick).await;
            self.tick();
        }
    }

    /// Tells followers what is committed, of all groups together and a moment later; never returns.
    pub async fn tell_commits(&self) {
        loop {
            let arrived = self.untold_arrived.notified();
            if self.untold.borrow().is_empty() {
                arrived.await;
            }
            self.rt.sleep(self.options.commit_told_after).await;
            for vnode in std::mem::take(&mut *self.untold.borrow_mut()) {
                let mut groups = self.groups.borrow_mut();
                let Some(replica) = groups.get_mut(&vnode) else { continue };
                let news = replica.group.commit_news();
                let put = self.put_out(replica, news);
                drop(groups);
                if put.is_err() {
                    self.closed(vnode);
                }
            }
            self.post();
        }
    }

    /// Does what the groups say, and sends what they have to say.
    pub(super) fn turn(&self) {
        self.driven.set(true);
        for _ in 0..TURN_GROUPS_MAX {
            let next = self.ready.borrow_mut().pop_front();
            let Some(vnode) = next else { break };
            if self.work(vnode).is_err() {
                self.closed(vnode);
            }
        }
        self.post();
        self.driven.set(false);
        if self.leader_changed.take() {
            self.leader_known.notify_all();
        }
        if !self.ready.borrow().is_empty() {
            self.turn_due.notify_all();
        }
    }

    fn work(&self, vnode: VnodeId) -> Result<(), Closed> {
        let now = self.now();
        let mut lost = Vec::new();
        let mut changed = false;
        {
            let mut groups = self.groups.borrow_mut();
            let Some(replica) = groups.get_mut(&vnode) else { return Ok(()) };
            replica.queued = false;
            changed |= self.notice_leadership(replica, now)?;
            lost.extend(replica.propose()?);
            replica.ask_reads(now)?;
            while let Some(work) = replica.group.work(now)? {
                changed |= self.notice_leadership(replica, now)?;
                if !work.entries.is_empty() || !work.committed.is_empty() {
                    replica.bed.active = now;
                }
                self.perform(replica, work, &mut lost)?;
                replica.ask_reads(now)?;
            }
            let leader = replica.group.leader();
            if std::mem::replace(&mut replica.known_leader, leader) != leader {
                self.leader_changed.set(true);
            }
            if changed && replica.leading.is_some() {
                self.elections.set(self.elections.get() + 1);
            }
        }
        // Proposers may be woken now, and nothing is borrowed.
        refuse(lost);
        if changed {
            self.leadership.notify_all();
        }
        Ok(())
    }

    fn notice_leadership(&self, replica: &mut Replica, now: Mono) -> Result<bool, Closed> {
        let changed = replica.notice_leadership(now);
        if changed {
            self.leadership_changed(replica, now)?;
        }
        Ok(changed)
    }

    fn perform(&self, replica: &mut Replica, mut work: Work, lost: &mut Vec<Receipt>) -> Result<(), Closed> {
        self.put_out(replica, std::mem::take(&mut work.send))?;
        let mut state = match work.install.take() {
            Some(meta) => Some(self.begin_install(replica, &work, &meta)),
            None => self.state_due(replica, &work),
        };
        if !work.votes.is_empty() {
            let state = state.get_or_insert_with(|| replica.next_state(Then::Keep));
            state.votes = std::mem::take(&mut work.votes);
        }
        self.write(replica, work.number, state, work.entries)?;
        if replica.leading.is_some()
            && !work.committed.is_empty()
            && self.untold.borrow_mut().insert(replica.vnode)
        {
            self.untold_arrived.notify_all();
        }
        for entry in work.committed {
            let mut receipt = replica.settle(entry.index, entry.term, lost);
            if let Some(receipt) = &mut receipt {
                receipt.times.note_committed(self.rt.ticks());
            }
            let what = match entry.get_entry_type() {
                EntryType::EntryConfChangeV2 => What::Change(Box::new(entry.clone())),
                _ if entry.data.is_empty() => What::Nothing,
                _ => What::Command(entry.data),
            };
            let (vnode, peer) = (replica.vnode, replica.peer);
            let (index, term) = (entry.index, entry.term);
            if self.options.canary.is(Canary::ApplyTwice) {
                let what = What::Nothing;
                self.hand_out(Committed::Entry(Entry { vnode, peer, index, term, what, receipt: None }));
            }
            self.hand_out(Committed::Entry(Entry { vnode, peer, index, term, what, receipt }));
        }
        for (number, index) in work.reads {
            replica.reads.answered(number, index);
        }
        replica.allow_reads();
        Ok(())
    }

    /// The state that has to be written with this work: a new term or vote at once, a new commit index now and then. It is before
    /// the work's entries in the log, so it speaks only of those before them.
    fn state_due(&self, replica: &mut Replica, work: &Work) -> Option<Written> {
        let new = work.hard_state.as_ref()?;
        let before = work.entries.first().map_or(u64::MAX, |entry| entry.index - 1);
        let old = &replica.written;
        let commit = if replica.installing { 0 } else { new.commit.min(before).max(old.commit) };
        let promised = (new.term, new.vote) != (old.term, old.vote);
        if !promised && commit < old.commit + COMMIT_LAG_MAX {
            return None;
        }
        let (term, vote) = (new.term, new.vote);
        let base = old.base.clone().filter(|_| replica.installing);
        replica.written = State { term, vote, commit, base, anew: false, ..replica.written.clone() };
        Some(replica.next_state(Then::Keep))
    }

    pub(super) fn put_out(&self, replica: &mut Replica, letters: Vec<Letter>) -> Result<(), Closed> {
        self.before_letters(replica, &letters)?;
        let mut outbox = self.outbox.borrow_mut();
        for letter in letters {
            if letter.message.has_snapshot() {
                self.sending.borrow_mut().insert((replica.vnode, letter.message.to), self.now());
            }
            if let Some(place) = replica.place_of(letter.message.to) {
                outbox.put(place, replica.vnode, letter);
            }
        }
        Ok(())
    }

    /// Sends what was put out.
    pub(super) fn post(&self) {
        let outbox = std::mem::take(&mut *self.outbox.borrow_mut());
        if outbox.is_empty() {
            return;
        }
        for (vnode, letter) in outbox.send(&self.wire, self.place.shard) {
            let mut groups = self.groups.borrow_mut();
            let Some(replica) = groups.get_mut(&vnode) else { continue };
            let to = consensus::PeerId(letter.message.to);
            let told = match letter.message.has_snapshot() {
                true => replica.group.image_sent(to, false),
                false => replica.group.unreachable(to),
            };
            drop(groups);
            if told.is_err() {
                self.closed(vnode);
            }
        }
    }

    /// The library panicked: the replica does nothing any more, the others go on.
    pub(super) fn closed(&self, vnode: VnodeId) {
        self.close(vnode, "has failed, and is closed until the next start");
    }

    /// The replica lacks what it has acknowledged. Were it to vote, one that lacks the same could come to lead: it takes no part any more.
    pub(super) fn forgotten(&self, vnode: VnodeId) {
        let why = "lacks what it had acknowledged: this node's disk is an old copy, or has lost what it was given. It takes no part until the next start; \
             replace this node";
        self.close(vnode, why);
    }

    fn close(&self, vnode: VnodeId, why: &str) {
        let replica = self.groups.borrow_mut().remove(&vnode);
        self.dead.borrow_mut().insert(vnode);
        (self.report)(&format!("the replica of vnode {} {why}", vnode.0));
        if let Some(mut replica) = replica {
            self.lay_to_rest(&mut replica);
            drop(replica.abandon());
            self.leadership.notify_all();
        }
    }

    /// Nothing more will be applied: refuses every proposal, and tells those who wait that nobody knows.
    pub fn fail(&self) {
        self.failed.set(true);
        let mut waiting = Vec::new();
        for replica in self.groups.borrow_mut().values_mut() {
            waiting.extend(replica.abandon());
        }
        let committed = std::mem::take(&mut *self.committed.borrow_mut());
        drop((waiting, committed));
        self.arrived.notify_all();
        self.pending.changed.notify_all();
    }
}
