//! What groups are given: proposals, reads, letters and time; and what can be asked of them.
//!
//! An input changes a group and puts it on the list of those that have work.

use super::cluster::Cluster;
use super::membership::LOOK_TICKS;
use super::replica::Replica;
use super::sleep::Heard;
use super::{Canary, NotRead, Proposal, Receipt, Refused, Times, Undone, Why};
use crate::consensus::{Closed, Letter, wire};
use bytes::Bytes;
use model::ring::{NodeId, Place, VnodeId};
use runtime::sync::{Notify, Receiver, oneshot, timeout};
use runtime::{Mono, Runtime};

/// Groups of a shard that stand for election at a time; others wait until some of these have heard how theirs ended, or have waited for long. When all of 10,000 begin at once,
/// as at a first start, and the machine has little time for them, the votes come after the next election has begun, and so on: nobody is ever elected.
const CANDIDATES_AT_ONCE: usize = 64;

/// What came of a tick of all groups.
#[derive(Default)]
struct Ticked {
    /// Groups that have work.
    due: Vec<VnodeId>,
    /// Proposals whose fate nobody will learn.
    expired: Vec<Receipt>,
    /// Groups that failed.
    closed: Vec<VnodeId>,
}

impl<R: Runtime> Cluster<R> {
    /// Takes a command for the next turn, if this shard leads the vnode in the proposal's term.
    pub fn propose(&self, proposal: Proposal) -> Result<Receiver<Result<Times, Undone>>, Refused> {
        if self.options.canary.is(Canary::WriteForOthers) && self.was_here(proposal.vnode) {
            let (applied, receiver) = oneshot();
            Receipt { latch: proposal.latch, applied, times: Times::default(), _room: None }.open();
            return Ok(receiver);
        }
        let why = self.refuses(&proposal);
        if let Some(why) = why {
            return Err(Refused { proposal, why });
        }
        let (applied, receiver) = oneshot();
        let Proposal { vnode, command, latch, .. } = proposal;
        let room = Some(self.pending.take(command.len()));
        let mut groups = self.groups.borrow_mut();
        let replica = groups.get_mut(&vnode).expect("it leads");
        let times = Times::replicated(self.rt.ticks());
        replica.queue(command, Receipt { latch, applied, times, _room: room });
        let asleep = !replica.bed.is_awake();
        drop(groups);
        match asleep {
            true => self.wake_all([vnode], self.now()),
            false => self.enlist(vnode),
        }
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
        self.pending.room(size, &self.failed).await
    }

    /// Waits until a strong read of the vnode may be answered from what is applied; the term in which this shard leads.
    pub async fn read(&self, vnode: VnodeId) -> Result<u64, NotRead> {
        let now = self.now();
        if self.options.canary.is(Canary::ReadForOthers) && self.was_here(vnode) {
            return Ok(0);
        }
        let receiver = {
            let mut groups = self.groups.borrow_mut();
            let replica = groups.get_mut(&vnode).ok_or(NotRead::NotLeader)?;
            let term = replica.leading.ok_or(NotRead::NotLeader)?;
            if self.may_read(replica, now) {
                return Ok(term);
            }
            self.rt.mark("read waits for a majority");
            let (sender, receiver) = oneshot();
            replica.reads.wait(sender);
            receiver
        };
        self.wake_all([vnode], now);
        // Boxed: seldom needed, and part of every operation's future.
        match Box::pin(timeout(&self.rt, self.options.read_wait_max, receiver)).await {
            Ok(Ok(term)) => Ok(term),
            Ok(Err(_closed)) => Err(NotRead::NotLeader),
            Err(_elapsed) => Err(NotRead::TooLate),
        }
    }

    fn may_read(&self, replica: &mut Replica, now: Mono) -> bool {
        let canary = self.options.canary;
        let planted = canary.is(Canary::ReadWithoutLease)
            || (canary.is(Canary::ReadAsleep) && replica.bed.is_leading());
        if replica.bed.is_leading() {
            self.sleep.borrow().count_echoes(replica, now);
        }
        planted || replica.group.holds_lease(now)
    }

    /// Whether a replica of the vnode is here.
    pub fn is_here(&self, vnode: VnodeId) -> bool {
        let canary = self.options.canary;
        let planted = canary.is(Canary::ReadForOthers) || canary.is(Canary::WriteForOthers);
        self.groups.borrow().contains_key(&vnode) || (planted && self.was_here(vnode))
    }

    /// Whether a replica of the vnode was here since the start, and is not any more. For planted bugs.
    fn was_here(&self, vnode: VnodeId) -> bool {
        self.retired.borrow().contains_key(&vnode) && !self.groups.borrow().contains_key(&vnode)
    }

    /// The term in which this shard may propose for the vnode.
    pub fn may_propose(&self, vnode: VnodeId) -> Option<u64> {
        let planted = self.options.canary.is(Canary::WriteForOthers) && self.was_here(vnode);
        if planted { Some(0) } else { self.leading(vnode) }
    }

    /// Whether this shard holds the lease of the vnode: it would answer strong reads now. For checkers.
    pub fn holds_lease(&self, vnode: VnodeId) -> bool {
        let mut groups = self.groups.borrow_mut();
        groups.get_mut(&vnode).is_some_and(|replica| {
            replica.leading.is_some() && !replica.installing && self.may_read(replica, self.now())
        })
    }

    /// Whether a replica of the vnode is here and waits for an image. For checkers.
    pub fn is_installing(&self, vnode: VnodeId) -> bool {
        self.groups.borrow().get(&vnode).is_some_and(|replica| replica.installing)
    }

    /// The clock that promises are counted on.
    pub(super) fn now(&self) -> Mono {
        match self.options.canary.is(Canary::LeaseByWall) {
            true => Mono(self.rt.wall().0 * 1000),
            false => self.rt.now(),
        }
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

    /// Waits until the replica here knows who leads the vnode; for a moment at most. Who hands leadership over does not know it.
    pub async fn leader_known(&self, vnode: VnodeId) {
        let is_known = || {
            let groups = self.groups.borrow();
            groups.get(&vnode).is_none_or(|replica| replica.knows_leader())
        };
        let known = async {
            loop {
                let changed = self.leader_known.notified();
                if is_known() {
                    return;
                }
                changed.await;
            }
        };
        // Whoever is told that nobody knows asks the others.
        let _ = timeout(&self.rt, self.options.leader_wait_max, known).await;
    }

    /// Resolves when leadership of some vnode begins or ends here.
    pub fn leadership(&self) -> &Notify {
        &self.leadership
    }

    /// Takes a payload from a shard of another node.
    pub fn receive(&self, from: NodeId, payload: Bytes) {
        let Ok((letters, beside)) = wire::decode(payload) else {
            return (self.report)(&format!("node {}: a payload between replicas makes no sense", from.0));
        };
        let now = self.now();
        self.driven.set(true);
        self.hear_beside(from, &beside, now);
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
        if replica.group.has_forgotten(&letter.message) {
            drop(groups);
            return self.forgotten(vnode);
        }
        let (heard, peer) = (Heard::of(&letter), letter.message.from);
        let stepped = self
            .before_step(replica, &letter, now)
            .and_then(|()| replica.group.step(now, letter))
            .and_then(|()| self.after_step(replica, heard, now));
        replica.note_follower(peer, from, self.rt.ticks());
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
    pub(super) fn tick(&self) {
        let now = self.now();
        self.driven.set(true);
        self.watch_leaders(now);
        let Ticked { due, expired, closed } = self.tick_groups(now);
        drop(expired);
        self.give_images_up(now);
        closed.into_iter().for_each(|vnode| self.closed(vnode));
        due.into_iter().for_each(|vnode| self.enlist(vnode));
        self.now_and_then(now);
        self.turn();
        self.doze();
        self.post();
    }

    /// A tick of each group that is awake, but of those that must wait with what it would begin.
    fn tick_groups(&self, now: Mono) -> Ticked {
        let mut ticked = Ticked::default();
        let (mut standing, mut about_to_stand) = (0, Vec::new());
        let awake: Vec<VnodeId> = self.awake.borrow().iter().copied().collect();
        let mut groups = self.groups.borrow_mut();
        for vnode in awake {
            let Some(replica) = groups.get_mut(&vnode) else { continue };
            self.sleep.borrow().count_pulses(replica);
            standing += usize::from(replica.group.is_standing());
            let stands = replica.group.is_about_to_stand();
            if stands {
                about_to_stand.push((replica.group.turn_to_stand(), vnode));
            }
            let waits = stands || replica.bed.is_waiting_for_oaths(now, self.oaths_wait_max());
            let lived = if waits { Ok(()) } else { replica.group.tick(now) };
            if lived.and_then(|()| self.watch_oath(replica, now)).is_err() {
                ticked.closed.push(vnode);
            }
            if replica.is_awaited() {
                ticked.expired.extend(replica.expired(now, self.options.unknown_after));
            }
            if replica.group.has_work() || replica.is_awaited() {
                ticked.due.push(vnode);
            }
        }
        for vnode in self.next_candidates(about_to_stand, CANDIDATES_AT_ONCE.saturating_sub(standing)) {
            match groups.get_mut(&vnode).expect("it was just there").group.tick(now) {
                Ok(()) => ticked.due.push(vnode),
                Err(Closed) => ticked.closed.push(vnode),
            }
        }
        ticked
    }

    /// Who of these stands for election now: in turns, and around in each, so that groups without a majority, which stand again and again, keep nobody from it.
    fn next_candidates(&self, mut about_to_stand: Vec<(u8, VnodeId)>, room: usize) -> Vec<VnodeId> {
        let last = self.last_candidate.get();
        about_to_stand.sort_unstable_by_key(|(turn, vnode)| (*turn, *vnode <= last, *vnode));
        about_to_stand.truncate(room);
        let chosen: Vec<VnodeId> = about_to_stand.into_iter().map(|(_, vnode)| vnode).collect();
        self.last_candidate.set(chosen.last().copied().unwrap_or(last));
        chosen
    }

    /// What is not done at each tick.
    fn now_and_then(&self, now: Mono) {
        let ticks = self.ticks.get() + 1;
        self.ticks.set(ticks);
        if ticks.is_multiple_of(self.options.heartbeat_ticks as u64) {
            self.send_pulses(now);
        }
        if ticks.is_multiple_of(self.options.election_ticks as u64) {
            self.watch_followers(now);
        }
        if ticks.is_multiple_of(LOOK_TICKS) {
            self.look_after_members(now);
        }
    }

    /// The group has something to do at the next turn.
    pub(super) fn enlist(&self, vnode: VnodeId) {
        let mut groups = self.groups.borrow_mut();
        let Some(replica) = groups.get_mut(&vnode) else { return };
        if !std::mem::replace(&mut replica.queued, true) {
            self.ready.borrow_mut().push_back(vnode);
            if !self.driven.get() {
                self.turn_due.notify_all();
            }
        }
    }
}
