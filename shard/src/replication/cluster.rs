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

use super::membership::LOOK_TICKS;
use super::outbox::{Outbox, Wire};
use super::record::{self, Base, CHANGE_KIND, STATE_KIND, State};
use super::recover::{Recovered, Replicas};
use super::replica::{Replica, refuse};
use super::{
    Committed, Entry, Keep, NotRead, Pending, Proposal, Receipt, Refused, Undone, Waiting, What, Why,
};
use crate::command::RECORD_KIND;
use crate::consensus::{self, Closed, Group, GroupOptions, Letter, Work, wire};
use bytes::Bytes;
use lsm::log::{Log, Position, Record};
use model::map::Map;
use model::ring::{CATALOG, NodeId, PeerId, Place, Role, VnodeId};
use net::mesh::CallError;
use raft::eraftpb::{ConfState, EntryType, SnapshotMetadata};
use runtime::sync::{Notified, Notify, Receiver, oneshot, timeout};
use runtime::{Mono, Purpose, Runtime};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

/// The index and term that a vnode is founded with: before its first entry. A replica that joins later has nothing at all,
/// so it always needs an image or the whole log.
pub const FOUNDED: (u64, u64) = (1, 1);

/// Groups that one turn looks at before it lets others run.
const TURN_GROUPS_MAX: usize = 256;

/// A commit index that is so much newer than the one in the log is written, the next time something is.
const COMMIT_LAG_MAX: u64 = 1024;

/// Times and sizes of replication.
#[derive(Clone)]
pub struct ReplicationOptions {
    /// Between two ticks of a group.
    pub tick: Duration,
    /// Ticks without a leader after which a replica stands for election, at least; at most twice as many.
    pub election_ticks: usize,
    /// Ticks between two heartbeats.
    pub heartbeat_ticks: usize,
    /// Bytes of entries in one message to a follower, or one entry.
    pub message_bytes_max: u64,
    /// Messages that a follower may have unanswered.
    pub in_flight_max: usize,
    /// Bytes of committed entries that a group hands out at once.
    pub committed_bytes_max: u64,
    /// Bytes of commands that wait to be applied on a follower; more are not taken from a leader.
    pub unapplied_bytes_max: usize,
    /// Bytes of entries that stay in memory although the tree has them: for followers that are a little behind.
    pub tail_bytes_max: usize,
    /// An image that nobody has asked for a part of in so long is let go, and offered anew if it is still needed.
    pub image_idle_max: Duration,
    /// Bytes of a part of an image, about.
    pub image_part_bytes: usize,
    /// How long the proposer of an entry waits for its fate after leadership was lost.
    pub unknown_after: Duration,
    /// How long somebody else leads who should not, although who should could, before it is handed over.
    pub balance_after: Duration,
    /// How long a strong read waits until it is allowed.
    pub read_wait_max: Duration,
    /// Hears of every entry that is applied: for checkers.
    #[doc(hidden)]
    pub applied: Option<Observer>,
    /// A planted bug, for the tests that show that tests find it.
    #[doc(hidden)]
    pub canary: Canary,
}

/// Hears of an entry: vnode, index, term, and what it carries.
pub type Observer = Rc<dyn Fn(VnodeId, u64, u64, &[u8])>;

impl Default for ReplicationOptions {
    fn default() -> ReplicationOptions {
        ReplicationOptions {
            tick: Duration::from_millis(40),
            election_ticks: 8,
            heartbeat_ticks: 2,
            message_bytes_max: 256 << 10,
            in_flight_max: 64,
            committed_bytes_max: 1 << 20,
            unapplied_bytes_max: 64 << 20,
            tail_bytes_max: 32 << 20,
            image_idle_max: Duration::from_secs(5),
            image_part_bytes: 1 << 20,
            unknown_after: Duration::from_millis(500),
            balance_after: Duration::from_secs(5),
            read_wait_max: Duration::from_secs(1),
            applied: None,
            canary: Canary::None,
        }
    }
}

/// Bugs that can be planted, one at a time.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Canary {
    /// No bug.
    #[default]
    None,
    /// Answers leave before what they promise is durable.
    AnswerBeforeDurable,
    /// The log lets states go that the tree does not have.
    ReleaseStatesEarly,
    /// A replica counts as complete after the first part of an image.
    HalfImage,
    /// Every entry is applied twice.
    ApplyTwice,
    /// A restart takes everything in the log as committed.
    ApplyUncommitted,
    /// A strong read is answered by whoever thinks that it leads.
    ReadWithoutLease,
}

/// The records of one work, on their way into the log.
struct Backlog {
    vnode: VnodeId,
    peer: u64,
    /// The work's number; none for a state that no work asked for.
    number: Option<u64>,
    state: Option<Written>,
    entries: VecDeque<raft::eraftpb::Entry>,
}

/// A state, and what follows from its being durable.
pub struct Written {
    pub number: u64,
    pub bytes: Vec<u8>,
    pub then: Then,
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
struct Landing {
    position: Position,
    vnode: VnodeId,
    /// The state that is written there, if one is.
    state: Option<Written>,
}

/// An image that a replica has to be made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Install {
    /// Whose.
    pub vnode: VnodeId,
    /// Which replica.
    pub peer: u64,
    /// What the image holds.
    pub base: Base,
}

/// The position of a work that is not durable before an image is complete.
const NEVER: Position = Position(u64::MAX);

/// The replicated groups of one shard.
pub struct Cluster<R: Runtime> {
    pub(super) rt: R,
    log: Log<R>,
    wire: Wire,
    place: Place,
    pub(super) options: ReplicationOptions,
    seed: u64,
    pub(super) groups: RefCell<BTreeMap<VnodeId, Replica>>,
    /// Replicas that have failed: what they left on the disk is not touched.
    dead: RefCell<BTreeSet<VnodeId>>,
    /// Groups that have work.
    ready: RefCell<VecDeque<VnodeId>>,
    turn_due: Notify,
    outbox: RefCell<Outbox>,
    /// What the log was given, in order.
    landings: RefCell<VecDeque<Landing>>,
    given: Notify,
    durable: Cell<Position>,
    backlog: RefCell<VecDeque<Backlog>>,
    backlogged: Notify,
    /// The log has no room for what was decided already.
    full: Cell<bool>,
    committed: RefCell<VecDeque<Committed>>,
    committed_bytes: Cell<usize>,
    arrived: Notify,
    /// Commands that were proposed here and are not applied yet.
    pending: Rc<Pending>,
    failed: Cell<bool>,
    /// Groups that are what the map asked for, and the catalog does not know it yet.
    pub(super) reached: RefCell<Vec<super::membership::Standing>>,
    /// This shard is about to stop: it wants to lead nothing.
    pub(super) handing_over: Cell<bool>,
    ticks: Cell<u64>,
    /// Images that replicas here wait for.
    installs: RefCell<VecDeque<Install>>,
    install_arrived: Notify,
    /// When a replica was last heard of that is being sent an image.
    sending: RefCell<BTreeMap<(VnodeId, u64), Mono>>,
    /// Replicas that are gone, and whose content has to go: with the number of the state that says so.
    gone: RefCell<VecDeque<(VnodeId, u64)>>,
    gone_arrived: Notify,
    /// Vnodes whose content is about to go: nothing new of them begins before.
    leaving: RefCell<BTreeSet<VnodeId>>,
    follow_again: Notify,
    /// Leadership of some group began or ended.
    leadership: Notify,
    elections: Cell<u64>,
    images: Cell<u64>,
    /// The tree's flushed mark of a stream.
    mark: Rc<dyn Fn(u64) -> u64>,
    /// The last number of the states of replicas that are gone.
    retired: RefCell<BTreeMap<VnodeId, u64>>,
    report: Rc<dyn Fn(&str)>,
}

/// What a cluster's replicas are opened with.
pub struct ClusterParts<R: Runtime> {
    pub rt: R,
    pub log: Log<R>,
    pub wire: Wire,
    pub place: Place,
    pub options: ReplicationOptions,
    pub pending_bytes_max: usize,
    pub mark: Rc<dyn Fn(u64) -> u64>,
    pub report: Rc<dyn Fn(&str)>,
}

impl<R: Runtime> Cluster<R> {
    /// The replicas that were found on the disk.
    pub fn open(parts: ClusterParts<R>, found: Replicas) -> Cluster<R> {
        let ClusterParts { rt, log, wire, place, options, pending_bytes_max, mark, report } = parts;
        let cluster = Cluster {
            durable: Cell::new(log.durable_position()),
            seed: rt.random(Purpose::Jitter),
            rt,
            log,
            wire,
            place,
            options,
            groups: RefCell::default(),
            dead: RefCell::default(),
            ready: RefCell::default(),
            turn_due: Notify::new(),
            outbox: RefCell::default(),
            landings: RefCell::default(),
            given: Notify::new(),
            backlog: RefCell::default(),
            backlogged: Notify::new(),
            full: Cell::new(false),
            committed: RefCell::default(),
            committed_bytes: Cell::new(0),
            arrived: Notify::new(),
            pending: Pending::new(pending_bytes_max),
            mark,
            retired: RefCell::default(),
            failed: Cell::new(false),
            reached: RefCell::default(),
            handing_over: Cell::new(false),
            ticks: Cell::new(0),
            leaving: RefCell::new(found.gone.keys().copied().collect()),
            follow_again: Notify::new(),
            installs: RefCell::default(),
            install_arrived: Notify::new(),
            sending: RefCell::default(),
            gone: RefCell::new(found.gone.into_iter().collect()),
            gone_arrived: Notify::new(),
            leadership: Notify::new(),
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
        let mut saved = recovered.saved();
        if self.options.canary == Canary::ApplyUncommitted && !recovered.state.installing {
            saved.hard_state.commit =
                saved.entries.last().map_or(saved.hard_state.commit, |entry| entry.index);
        }
        let Recovered { state, number, number_max, is_kept, standing, .. } = recovered;
        if !is_kept {
            // The log has it, and lets it go when the tree has it too.
            self.hand_out(Committed::Keep(Keep { vnode, number, state: state.encode(), standing: None }));
        }
        let group = Group::open(self.group_options(vnode, state.peer), saved, self.rt.now());
        let Ok(group) = group else { return self.closed(vnode) };
        self.insert(Replica::new(vnode, group, state, number_max, standing));
    }

    fn insert(&self, replica: Replica) {
        let vnode = replica.vnode;
        self.groups.borrow_mut().insert(vnode, replica);
        self.enlist(vnode);
    }

    fn group_options(&self, vnode: VnodeId, peer: u64) -> GroupOptions {
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
            #[cfg(test)]
            canary: None,
        }
    }
}

/// The map: which replicas are here, and where the others are.
impl<R: Runtime> Cluster<R> {
    /// Makes the replicas that the map wants here and that are not, gives up those that it does not want any more, and
    /// learns where the others are.
    pub async fn follow(&self, map: &Map) -> Result<(), lsm::Error> {
        self.give_up(map).await?;
        let catalog = (CATALOG, map.catalog);
        let all = std::iter::once(catalog).chain(map.ring.vnodes().map(|vnode| (vnode.id, vnode.replicas)));
        let mut made = Vec::new();
        for (vnode, replicas) in all {
            let Some(own) = replicas.at(self.place).filter(|_| self.may_begin(vnode)) else { continue };
            let Some(base) = base_of(&replicas, own.role) else {
                let line = format!("vnode {} should have a replica here, and its data is gone", vnode.0);
                (self.report)(&line);
                continue;
            };
            made.push((vnode, self.make(vnode, own.peer, map.version, base).await?));
        }
        if let Some((_, (_, _, position))) = made.last() {
            self.log.durable(*position).await?;
        }
        for (vnode, (state, number, _)) in made {
            self.begin(vnode, state, number);
        }
        self.learn_seats(map);
        Ok(())
    }

    /// Resolves when a map that was followed can be followed better.
    pub fn follow_again(&self) -> Notified {
        self.follow_again.notified()
    }

    /// Whether nothing of the vnode is here, not even something on its way out.
    fn may_begin(&self, vnode: VnodeId) -> bool {
        !self.groups.borrow().contains_key(&vnode)
            && !self.dead.borrow().contains(&vnode)
            && !self.leaving.borrow().contains(&vnode)
    }

    /// Replicas that a newer map does not name any more remember nothing but that.
    async fn give_up(&self, map: &Map) -> Result<(), lsm::Error> {
        let unwanted = |replica: &Replica| {
            let named = map.replicas(replica.vnode);
            let own = u32::try_from(replica.peer).map(PeerId);
            let is_named = named.is_some_and(|named| own.is_ok_and(|own| named.peer(own).is_some()));
            map.version > replica.born && !is_named
        };
        let unwanted: Vec<VnodeId> = self
            .groups
            .borrow()
            .values()
            .filter(|replica| unwanted(replica))
            .map(|replica| replica.vnode)
            .collect();
        for vnode in unwanted {
            let replica = self.groups.borrow_mut().remove(&vnode);
            let Some(mut replica) = replica else { continue };
            drop(replica.abandon());
            self.leaving.borrow_mut().insert(vnode);
            replica.written =
                State { destroyed: true, base: None, installing: false, anew: true, ..replica.written };
            let state = replica.next_state(Then::Forget);
            self.retired.borrow_mut().insert(vnode, state.number);
            let (stream, index) = (record::state_stream(vnode), state.number);
            let term = replica.written.term;
            let record = Record { kind: STATE_KIND, stream, term, index, payload: &state.bytes };
            let position = self.log.append_when_ready(record).await?;
            self.given(position, vnode, Some(state));
            self.leadership.notify_all();
        }
        Ok(())
    }

    /// The next vnode whose content has to go.
    pub async fn next_gone(&self) -> (VnodeId, u64) {
        loop {
            let arrived = self.gone_arrived.notified();
            if let Some(gone) = self.gone.borrow_mut().pop_front() {
                return gone;
            }
            arrived.await;
        }
    }

    /// Its content is gone: nothing of it is kept.
    pub fn forget(&self, vnode: VnodeId, number: u64) {
        self.hand_out(Committed::Forget { vnode, number });
        self.retired.borrow_mut().insert(vnode, number);
        self.leaving.borrow_mut().remove(&vnode);
        self.follow_again.notify_all();
    }

    /// Writes down that there is a replica.
    async fn make(
        &self,
        vnode: VnodeId,
        peer: PeerId,
        born: u64,
        base: Base,
    ) -> Result<(State, u64, Position), lsm::Error> {
        let (term, commit) = (base.term, base.index);
        let peer = u64::from(peer.0);
        let state = State { peer, born, term, commit, anew: true, base: Some(base), ..State::default() };
        let before = self.retired.borrow().get(&vnode).copied().unwrap_or(0);
        let number = before.max((self.mark)(record::state_stream(vnode))) + 1;
        let payload = state.encode();
        let stream = record::state_stream(vnode);
        let record = Record { kind: STATE_KIND, stream, term, index: number, payload: &payload };
        let position = self.log.append_when_ready(record).await?;
        Ok((state, number, position))
    }

    /// The replica exists durably from now on.
    fn begin(&self, vnode: VnodeId, state: State, number: u64) {
        let base = state.base.clone().expect("a new replica has a base");
        let standing = Some(base.clone());
        self.hand_out(Committed::Keep(Keep { vnode, number, state: state.encode(), standing }));
        let mut saved = consensus::Saved {
            hard_state: Default::default(),
            conf_state: base.members.clone(),
            start: (base.index, base.term),
            entries: Vec::new(),
            applied: base.index,
            first_start: true,
        };
        (saved.hard_state.term, saved.hard_state.commit) = (state.term, state.commit);
        match Group::open(self.group_options(vnode, state.peer), saved, self.rt.now()) {
            Ok(group) => self.insert(Replica::new(vnode, group, state, number, base)),
            Err(Closed) => self.closed(vnode),
        }
    }

    /// Where the other replicas are. What an older map said of one that this map does not name stays.
    fn learn_seats(&self, map: &Map) {
        let mut groups = self.groups.borrow_mut();
        let mut learn = |vnode: VnodeId, replicas: &model::ring::Replicas| {
            let Some(replica) = groups.get_mut(&vnode) else { return };
            replica.wanted = Some((*replicas, map.ring.epoch));
            for seat in replicas.iter() {
                let peer = u64::from(seat.peer.0);
                replica.seats.retain(|(known, _)| *known != peer);
                replica.seats.push((peer, seat.place));
            }
        };
        learn(CATALOG, &map.catalog);
        map.ring.vnodes().for_each(|vnode| learn(vnode.id, &vnode.replicas));
    }
}

/// Inputs.
impl<R: Runtime> Cluster<R> {
    /// Takes a command for the next turn, if this shard leads the vnode in the proposal's term.
    pub fn propose(&self, proposal: Proposal) -> Result<Receiver<Result<(), Undone>>, Refused> {
        let why = self.refuses(&proposal);
        if let Some(why) = why {
            return Err(Refused { proposal, why });
        }
        let (applied, receiver) = oneshot();
        let Proposal { vnode, command, latch, .. } = proposal;
        let room = Some(self.pending.take(command.len()));
        let mut groups = self.groups.borrow_mut();
        let replica = groups.get_mut(&vnode).expect("it leads");
        replica.queue(command, Receipt { latch, applied, _room: room });
        drop(groups);
        self.enlist(vnode);
        Ok(receiver)
    }

    fn refuses(&self, proposal: &Proposal) -> Option<Why> {
        if self.failed.get() {
            return Some(Why::Storage(lsm::Error::Closed));
        }
        let groups = self.groups.borrow();
        if groups.get(&proposal.vnode).is_none_or(|replica| replica.leading != Some(proposal.term)) {
            return Some(Why::NotLeader);
        }
        if self.full.get() {
            return Some(Why::Storage(lsm::Error::Full { path: std::path::PathBuf::new() }));
        }
        (!self.pending.has_room(proposal.command.len())).then_some(Why::Storage(lsm::Error::Busy))
    }

    /// Waits until a proposal with a command of so many bytes has a chance to be taken.
    pub async fn ready(&self, size: usize) -> Result<(), lsm::Error> {
        loop {
            let room = self.pending.changed.notified();
            if self.failed.get() {
                return Err(lsm::Error::Closed);
            }
            if self.pending.has_room(size) {
                return Ok(());
            }
            let _waiting = Waiting::new(&self.pending.waiting);
            room.await;
        }
    }

    /// Waits until a strong read of the vnode may be answered from what is applied; the term in which this shard leads.
    pub async fn read(&self, vnode: VnodeId) -> Result<u64, NotRead> {
        let receiver = {
            let mut groups = self.groups.borrow_mut();
            let replica = groups.get_mut(&vnode).ok_or(NotRead::NotLeader)?;
            let term = replica.leading.ok_or(NotRead::NotLeader)?;
            if self.options.canary == Canary::ReadWithoutLease || replica.group.holds_lease(self.rt.now()) {
                return Ok(term);
            }
            let (sender, receiver) = oneshot();
            replica.reads.wait(sender);
            receiver
        };
        self.enlist(vnode);
        match timeout(&self.rt, self.options.read_wait_max, receiver).await {
            Ok(Ok(term)) => Ok(term),
            Ok(Err(_closed)) => Err(NotRead::NotLeader),
            Err(_elapsed) => Err(NotRead::TooLate),
        }
    }

    /// Whether a replica of the vnode is here.
    pub fn is_here(&self, vnode: VnodeId) -> bool {
        self.groups.borrow().contains_key(&vnode)
    }

    /// Whether this shard may answer eventual reads of the vnode: it has content, and none older than before its start.
    pub fn has(&self, vnode: VnodeId) -> bool {
        let groups = self.groups.borrow();
        groups.get(&vnode).is_some_and(|replica| {
            !replica.installing && replica.standing.index >= replica.stale_until.max(1)
        })
    }

    /// The term in which this shard leads the vnode; it may propose.
    pub fn leading(&self, vnode: VnodeId) -> Option<u64> {
        self.groups.borrow().get(&vnode).and_then(|replica| replica.leading)
    }

    /// The term in which this shard leads the vnode and has applied everything from before.
    pub fn leads(&self, vnode: VnodeId) -> Option<u64> {
        self.groups.borrow().get(&vnode).and_then(Replica::leads)
    }

    /// Where the vnode's leader is, as far as its replica here knows.
    pub fn leader_of(&self, vnode: VnodeId) -> Option<Place> {
        let groups = self.groups.borrow();
        let replica = groups.get(&vnode)?;
        replica.leader().and_then(|peer| replica.place_of(u64::from(peer.0)))
    }

    /// Resolves when leadership of some vnode begins or ends here.
    pub fn leadership(&self) -> &Notify {
        &self.leadership
    }

    /// Takes a payload from a shard of another node.
    pub fn receive(&self, from: NodeId, payload: Bytes) {
        let Ok(letters) = wire::decode(payload) else {
            return (self.report)(&format!("node {}: a payload between replicas makes no sense", from.0));
        };
        let now = self.rt.now();
        for (vnode, letter) in letters {
            self.step(now, from, vnode, letter);
        }
        self.turn();
    }

    fn step(&self, now: Mono, from: NodeId, vnode: VnodeId, letter: Letter) {
        let mut groups = self.groups.borrow_mut();
        let Some(replica) = groups.get_mut(&vnode) else { return };
        // A node speaks for its own replicas only.
        let known = replica.place_of(letter.message.from).is_some_and(|place| place.node == from);
        if !known || letter.message.to != replica.peer || self.overloaded(&letter) {
            return;
        }
        let stepped = replica.group.step(now, letter);
        drop(groups);
        match stepped {
            Ok(()) => self.enlist(vnode),
            Err(Closed) => self.closed(vnode),
        }
    }

    /// Entries that this shard has no room for: the leader sends them again.
    fn overloaded(&self, letter: &Letter) -> bool {
        !letter.message.entries.is_empty() && self.committed_bytes.get() > self.options.unapplied_bytes_max
    }

    /// Time passes.
    fn tick(&self) {
        let now = self.rt.now();
        let mut due = Vec::new();
        let mut expired = Vec::new();
        let mut closed = Vec::new();
        for (vnode, replica) in self.groups.borrow_mut().iter_mut() {
            if replica.group.tick(now).is_err() {
                closed.push(*vnode);
            }
            if replica.is_awaited() {
                expired.extend(replica.expired(now, self.options.unknown_after));
            }
            if replica.group.has_work() || replica.is_awaited() {
                due.push(*vnode);
            }
        }
        drop(expired);
        self.give_images_up(now);
        self.ticks.set(self.ticks.get() + 1);
        if self.ticks.get().is_multiple_of(LOOK_TICKS) {
            self.look_after_members(now);
        }
        closed.into_iter().for_each(|vnode| self.closed(vnode));
        due.into_iter().for_each(|vnode| self.enlist(vnode));
        self.turn();
    }

    /// The group has something to do at the next turn.
    pub(super) fn enlist(&self, vnode: VnodeId) {
        let mut groups = self.groups.borrow_mut();
        let Some(replica) = groups.get_mut(&vnode) else { return };
        if !std::mem::replace(&mut replica.queued, true) {
            self.ready.borrow_mut().push_back(vnode);
            self.turn_due.notify_all();
        }
    }
}

/// Work.
impl<R: Runtime> Cluster<R> {
    /// Does what the groups say, and sends what they have to say.
    pub(super) fn turn(&self) {
        for _ in 0..TURN_GROUPS_MAX {
            let next = self.ready.borrow_mut().pop_front();
            let Some(vnode) = next else { break };
            if self.work(vnode).is_err() {
                self.closed(vnode);
            }
        }
        self.post();
    }

    fn work(&self, vnode: VnodeId) -> Result<(), Closed> {
        let now = self.rt.now();
        let mut lost = Vec::new();
        let mut changed = false;
        {
            let mut groups = self.groups.borrow_mut();
            let Some(replica) = groups.get_mut(&vnode) else { return Ok(()) };
            replica.queued = false;
            changed |= replica.notice_leadership(now);
            lost.extend(replica.propose()?);
            replica.ask_reads(now)?;
            while let Some(work) = replica.group.work(now)? {
                changed |= replica.notice_leadership(now);
                self.perform(replica, work, &mut lost)?;
                replica.ask_reads(now)?;
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

    fn perform(&self, replica: &mut Replica, mut work: Work, lost: &mut Vec<Receipt>) -> Result<(), Closed> {
        self.put_out(replica, std::mem::take(&mut work.send));
        let state = match work.install.take() {
            Some(meta) => Some(self.begin_install(replica, &work, &meta)),
            None => self.state_due(replica, &work),
        };
        self.write(replica, work.number, state, work.entries)?;
        for entry in work.committed {
            let receipt = replica.settle(entry.index, entry.term, lost);
            let what = match entry.get_entry_type() {
                EntryType::EntryConfChangeV2 => What::Change(Box::new(entry.clone())),
                _ if entry.data.is_empty() => What::Nothing,
                _ => What::Command(entry.data),
            };
            let (vnode, peer) = (replica.vnode, replica.peer);
            let (index, term) = (entry.index, entry.term);
            if self.options.canary == Canary::ApplyTwice {
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

    /// The replica's content is void from now on, and comes as an image. The work is not done before it has come.
    fn begin_install(&self, replica: &mut Replica, work: &Work, meta: &SnapshotMetadata) -> Written {
        let base = Base { index: meta.index, term: meta.term, members: meta.get_conf_state().clone() };
        let install = Install { vnode: replica.vnode, peer: replica.peer, base: base.clone() };
        if let Some(new) = &work.hard_state {
            (replica.written.term, replica.written.vote) = (new.term, new.vote);
        }
        (replica.written.anew, replica.written.installing, replica.written.commit) = (true, true, 0);
        replica.written.base = Some(base);
        replica.installing = true;
        replica.next_state(Then::Install(install))
    }

    /// Gives the log what a work has to write, as far as there is room.
    fn write(
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
        match self.options.canary {
            Canary::AnswerBeforeDurable if !replica.installing => self.persisted(replica, number),
            _ => Ok(()),
        }
    }

    /// Appends the records, or puts them where they wait for room.
    fn put_in(&self, replica: &mut Replica, mut todo: Backlog) {
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
    fn try_write(&self, replica: &mut Replica, todo: &mut Backlog) -> bool {
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
    fn append(&self, record: Record<'_>) -> Option<Position> {
        match self.log.append(record) {
            Ok(position) => Some(position),
            Err(lsm::Error::Full { .. }) => {
                self.full.set(true);
                None
            }
            Err(_) => None,
        }
    }

    fn given(&self, position: Position, vnode: VnodeId, state: Option<Written>) {
        let mut landings = self.landings.borrow_mut();
        assert!(landings.back().is_none_or(|last| last.position < position), "the log's positions grow");
        landings.push_back(Landing { position, vnode, state });
        drop(landings);
        self.given.notify_all();
    }

    /// All works of a group up to this one are durable: its answers may leave.
    fn persisted(&self, replica: &mut Replica, number: u64) -> Result<(), Closed> {
        let held = replica.group.persisted(number)?;
        self.put_out(replica, held);
        Ok(())
    }

    fn put_out(&self, replica: &Replica, letters: Vec<Letter>) {
        let mut outbox = self.outbox.borrow_mut();
        for letter in letters {
            if letter.message.has_snapshot() {
                self.sending.borrow_mut().insert((replica.vnode, letter.message.to), self.rt.now());
            }
            if let Some(place) = replica.place_of(letter.message.to) {
                outbox.put(place, replica.vnode, letter);
            }
        }
    }

    /// Sends what was put out.
    fn post(&self) {
        let outbox = std::mem::take(&mut *self.outbox.borrow_mut());
        if outbox.is_empty() {
            return;
        }
        for (vnode, letter) in outbox.send(&self.wire) {
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

    fn hand_out(&self, committed: Committed) {
        self.committed_bytes.set(self.committed_bytes.get() + committed.bytes());
        self.committed.borrow_mut().push_back(committed);
        self.arrived.notify_all();
    }

    /// The library panicked: the replica does nothing any more, the others go on.
    fn closed(&self, vnode: VnodeId) {
        let replica = self.groups.borrow_mut().remove(&vnode);
        self.dead.borrow_mut().insert(vnode);
        (self.report)(&format!(
            "the replica of vnode {} has failed, and is closed until the next start",
            vnode.0
        ));
        if let Some(mut replica) = replica {
            drop(replica.abandon());
            self.leadership.notify_all();
        }
    }
}

/// Images.
impl<R: Runtime> Cluster<R> {
    /// Vnodes of which some follower needs an image, and none is offered.
    pub fn images_wanted(&self) -> Vec<VnodeId> {
        let groups = self.groups.borrow();
        let wanted = groups
            .values()
            .filter(|replica| replica.leads().is_some() && replica.group.image_wanted().is_some());
        wanted.map(|replica| replica.vnode).collect()
    }

    /// Offers an image of what is applied at this moment; its index.
    pub fn offer_image(&self, vnode: VnodeId) -> Option<u64> {
        let mut groups = self.groups.borrow_mut();
        let replica = groups.get_mut(&vnode).filter(|replica| replica.leads().is_some())?;
        replica.group.offer_image();
        Some(replica.standing.index)
    }

    /// The image that was offered is not there any more.
    pub fn withdraw_image(&self, vnode: VnodeId) {
        if let Some(replica) = self.groups.borrow_mut().get_mut(&vnode) {
            replica.group.withdraw_image();
        }
    }

    /// The last entry that the content of a vnode holds, if this shard leads it.
    pub fn content_of(&self, vnode: VnodeId) -> Option<u64> {
        let groups = self.groups.borrow();
        groups.get(&vnode).filter(|replica| replica.leads().is_some()).map(|replica| replica.standing.index)
    }

    /// A replica asks for a part of its image.
    pub fn image_asked(&self, vnode: VnodeId, peer: u64) {
        self.sending.borrow_mut().insert((vnode, peer), self.rt.now());
    }

    /// The next image that a replica here waits for.
    pub async fn next_install(&self) -> Install {
        loop {
            let arrived = self.install_arrived.notified();
            if let Some(install) = self.installs.borrow_mut().pop_front() {
                return install;
            }
            arrived.await;
        }
    }

    /// Whether the replica still waits for this image, and no other.
    pub fn is_current(&self, install: &Install) -> bool {
        let groups = self.groups.borrow();
        groups.get(&install.vnode).is_some_and(|replica| {
            replica.peer == install.peer
                && replica.written.installing
                && replica.written.base.as_ref() == Some(&install.base)
        })
    }

    /// The content is complete, and durable in the tree.
    pub fn installed(&self, install: &Install) {
        if !self.is_current(install) {
            return;
        }
        let mut groups = self.groups.borrow_mut();
        let replica = groups.get_mut(&install.vnode).expect("it is current");
        (replica.written.anew, replica.written.installing) = (false, false);
        replica.written.commit = install.base.index;
        let state = Some(replica.next_state(Then::Installed(install.clone())));
        let (vnode, peer) = (install.vnode, install.peer);
        self.put_in(replica, Backlog { vnode, peer, number: None, state, entries: VecDeque::new() });
    }

    /// Asks another shard.
    pub async fn call(&self, to: Place, deadline: Mono, request: Vec<u8>) -> Result<Vec<u8>, CallError> {
        (self.wire.call)(to, deadline, request).await
    }

    /// Times and sizes.
    pub fn options(&self) -> &ReplicationOptions {
        &self.options
    }

    /// Tells groups of followers that were being sent an image and are not heard of any more: it starts anew with them.
    fn give_images_up(&self, now: Mono) {
        let idle = |_: &(VnodeId, u64), last: &mut Mono| now.since(*last) >= self.options.image_idle_max;
        let idle: Vec<_> = self.sending.borrow_mut().extract_if(.., idle).collect();
        for ((vnode, peer), _) in idle {
            let mut groups = self.groups.borrow_mut();
            let Some(replica) = groups.get_mut(&vnode) else { continue };
            let told = replica.group.image_sent(consensus::PeerId(peer), false);
            drop(groups);
            match told {
                Ok(()) => self.enlist(vnode),
                Err(Closed) => self.closed(vnode),
            }
        }
    }
}

/// The applier's side.
impl<R: Runtime> Cluster<R> {
    /// What is to be applied next.
    pub async fn next_committed(&self) -> Result<Committed, lsm::Error> {
        loop {
            let arrived = self.arrived.notified();
            if let Some(next) = self.committed.borrow_mut().pop_front() {
                self.committed_bytes.set(self.committed_bytes.get() - next.bytes());
                return Ok(next);
            }
            if self.failed.get() {
                return Err(lsm::Error::Closed);
            }
            arrived.await;
        }
    }

    /// An entry is about to be applied. What is kept of the standing with it, if that changes; or nothing is to be done,
    /// because its replica is not there any more.
    pub fn applying(&self, entry: &Entry) -> Result<Option<Base>, Gone> {
        let mut groups = self.groups.borrow_mut();
        let replica =
            groups.get_mut(&entry.vnode).filter(|replica| replica.peer == entry.peer).ok_or(Gone)?;
        // What an image holds is not applied again.
        if replica.installing || entry.index <= replica.begin {
            return Err(Gone);
        }
        let standing = &mut replica.standing;
        assert_eq!(entry.index, standing.index + 1, "entries are applied in order, without a gap");
        assert!(entry.term >= standing.term, "terms never go back");
        let mut changes = entry.term != standing.term;
        (standing.index, standing.term) = (entry.index, entry.term);
        if let Some(observer) = &self.options.applied {
            let carried: &[u8] = match &entry.what {
                What::Command(command) => command,
                What::Nothing => &[],
                What::Change(change) => &change.context,
            };
            observer(entry.vnode, entry.index, entry.term, carried);
        }
        if let What::Change(change) = &entry.what
            && let Some(members) = replica.group.apply_change(change).map_err(|Closed| Gone)?
        {
            standing.members = members;
            changes = true;
        }
        Ok(changes.then(|| replica.standing.clone()))
    }

    /// The entry is applied.
    pub fn applied(&self, vnode: VnodeId, peer: u64, index: u64) {
        let mut groups = self.groups.borrow_mut();
        let Some(replica) = groups.get_mut(&vnode).filter(|replica| replica.peer == peer) else { return };
        let led = replica.led;
        let applied = replica.group.applied(index);
        replica.allow_reads();
        replica.led = replica.leads();
        let due = replica.group.has_work() || replica.is_awaited();
        let begins = replica.led != led;
        drop(groups);
        match applied {
            Ok(()) if due => self.enlist(vnode),
            Ok(()) => {}
            Err(Closed) => self.closed(vnode),
        }
        if begins {
            self.leadership.notify_all();
        }
    }

    /// Entries that are committed and wait to be applied, and bytes of what was proposed here and is not applied.
    pub fn pending(&self) -> (usize, usize) {
        (self.committed.borrow().len(), self.pending.bytes.get())
    }

    /// Up to which index the log need not keep a stream.
    ///
    /// What lies behind the end of a replica's log was overwritten. Once the tree has all of it, nothing of the stream is needed, also not
    /// what has a higher index.
    pub fn covered(&self, stream: u64, mark: u64) -> u64 {
        let Some(vnode) = record::vnode_of_entries(stream) else {
            return if self.options.canary == Canary::ReleaseStatesEarly { u64::MAX } else { mark };
        };
        match self.groups.borrow().get(&vnode) {
            None if self.dead.borrow().contains(&vnode) => mark,
            None => u64::MAX,
            Some(replica) if replica.group.last() <= mark.max(replica.begin) => u64::MAX,
            Some(_) => mark,
        }
    }

    /// The tree has flushed: what it has need not be kept in memory, but for some of it that followers may still want.
    pub fn flushed(&self) {
        let mut groups = self.groups.borrow_mut();
        let with_tail = groups.values().filter(|replica| replica.group.kept().0 > 0).count();
        let each = self.options.tail_bytes_max / with_tail.max(1);
        for (vnode, replica) in groups.iter_mut().filter(|(_, replica)| replica.group.kept().0 > 0) {
            let flushed = (self.mark)(u64::from(vnode.0)).max(replica.begin);
            replica.group.compact(flushed, each);
        }
    }

    /// Figures of this moment.
    pub fn counts(&self) -> Counts {
        let groups = self.groups.borrow();
        let (entries, bytes) = groups
            .values()
            .map(|replica| replica.group.kept())
            .fold((0, 0), |all, kept| (all.0 + kept.0, all.1 + kept.1));
        Counts {
            replicas: groups.len(),
            led: groups.values().filter(|replica| replica.leading.is_some()).count(),
            elections: self.elections.get(),
            images: self.images.get(),
            kept_entries: entries,
            kept_bytes: bytes,
            failed: self.dead.borrow().len(),
        }
    }
}

/// Figures of the replicas of a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Replicas here.
    pub replicas: usize,
    /// Those that lead.
    pub led: usize,
    /// How often one has become leader since the start.
    pub elections: u64,
    /// How often one was made from an image.
    pub images: u64,
    /// Entries that are kept in memory.
    pub kept_entries: usize,
    /// Their bytes, about.
    pub kept_bytes: usize,
    /// Replicas that have failed.
    pub failed: usize,
}

/// The replica that an entry was for is not there any more.
pub struct Gone;

/// The tasks.
impl<R: Runtime> Cluster<R> {
    /// Takes turns whenever there is something to do; never returns.
    pub async fn take_turns(&self) {
        loop {
            let due = self.turn_due.notified();
            // What others do meanwhile goes into the same turn.
            self.rt.yield_now().await;
            let idle = self.ready.borrow().is_empty();
            match idle {
                true => due.await,
                false => self.turn(),
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

    /// Follows the log and says what is durable; returns when the log has failed.
    pub async fn follow_log(&self) -> lsm::Error {
        loop {
            let given = self.given.notified();
            if self.landings.borrow().is_empty() {
                given.await;
                continue;
            }
            match self.log.durable_beyond(self.durable.get()).await {
                Ok(durable) => self.landed(durable),
                Err(error) => return error,
            }
        }
    }

    fn landed(&self, durable: Position) {
        self.durable.set(durable);
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
    fn state_landed(&self, vnode: VnodeId, written: Written, durable: Position) {
        let Written { number, bytes: state, then } = written;
        let keep = |standing| Committed::Keep(Keep { vnode, number, state: state.clone(), standing });
        match then {
            Then::Keep if self.options.canary == Canary::ReleaseStatesEarly => {}
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

    /// The replica's content is that of the image, durably.
    fn complete(&self, install: &Install, durable: Position) {
        {
            let mut groups = self.groups.borrow_mut();
            let Some(replica) = groups.get_mut(&install.vnode) else { return };
            if replica.peer != install.peer || replica.written.installing {
                return;
            }
            replica.installing = false;
            self.images.set(self.images.get() + 1);
            replica.standing = install.base.clone();
            (replica.begin, replica.stale_until) = (install.base.index, install.base.index);
        }
        self.persist(install.vnode, durable);
        let mut groups = self.groups.borrow_mut();
        let Some(replica) = groups.get_mut(&install.vnode) else { return };
        let applied = replica.group.applied(install.base.index);
        drop(groups);
        match applied {
            Ok(()) => self.enlist(install.vnode),
            Err(Closed) => self.closed(install.vnode),
        }
    }

    fn persist(&self, vnode: VnodeId, durable: Position) {
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
            match self.log.ready().await {
                Ok(()) => self.retry(),
                Err(lsm::Error::Full { .. }) => {
                    self.full.set(true);
                    self.rt.sleep(self.options.tick).await;
                }
                Err(error) => return error,
            }
            self.rt.yield_now().await;
        }
    }

    fn retry(&self) {
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

/// Where a new replica of this role begins; none when it should have been there before.
fn base_of(replicas: &model::ring::Replicas, role: Role) -> Option<Base> {
    if role == Role::Joining {
        return Some(Base::default());
    }
    if replicas.iter().any(|replica| replica.role != Role::Voter) {
        return None;
    }
    let voters = replicas.iter().map(|replica| u64::from(replica.peer.0)).collect();
    let members = ConfState { voters, ..ConfState::default() };
    Some(Base { index: FOUNDED.0, term: FOUNDED.1, members })
}
