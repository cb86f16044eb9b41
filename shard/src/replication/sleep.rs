//! Sleep: groups in which nothing happens are not ticked and say nothing, and one pulse per pair of shards stands for all their heartbeats.
//!
//! ```text
//! leader     --nap?-->   followers   --agreed-->   all have agreed: it sleeps
//! its shard  --pulse-->  their shard --echo-->     one for all groups that sleep between the two shards
//! ```
//!
//! 1. A leader whose followers have everything, and who was asked nothing for a while, asks them to sleep. A follower that agrees
//!    *swears*: every pulse of the leader's shard counts as if the group had heard its leader, so it votes for nobody else meanwhile. When
//!    all have sworn, the leader sleeps too. A group is not put to sleep without all of its followers, and sleeps on with a majority.
//! 2. A shard sends one pulse per heartbeat to each shard where its groups sleep. The echo of a pulse counts, for the lease of each of these groups,
//!    as the answer of its follower to a letter with the pulse's stamp. So consistent reads of a sleeping group wake nobody.
//! 3. A proposal, a letter, a change of the map, a read without a lease wake a leader. The first letter that it sends afterwards ends its followers'
//!    oaths and wakes them. A shard that hears no pulse for an election timeout wakes what sleeps under the silent one, ready to stand for
//!    election; one that hears no echo wakes the leaders that are left without a majority, and they step down as others do.
//!
//! What makes the lease safe: *between the oath and its end, a follower counts every pulse that its shard has echoed*.
//! An oath ends without a word only by a letter that its leader sent after it had asked, and a leader that sends letters is not
//! asleep and counts no echoes. If it ends in any other way (the follower has another term, the pulses stopped, the replica is gone), the
//! follower's shard changes its *loyalty* towards the leader's shard first. Echoes carry it, oaths are sworn under it, and an
//! echo of another loyalty ends all oaths of before. The other way round, a leader's shard changes its *reign* when it stops leading a group
//! whose followers may be asleep, and they wake. Both are random when a process starts, so a restart changes them too.
//!
//! Stamps are of the leader's clock: one letter or nap is later than another if its stamp is. That is why it does not matter in
//! which order they arrive. Cockroach's quiescence and TiKV's hibernation are the same idea; oaths are ours, because our lease is.

use super::Canary;
use super::cluster::Cluster;
use super::replica::Replica;
use crate::consensus::{Closed, Letter, PeerId};
use model::ring::{NodeId, Place, Role, ShardId, VnodeId};
use net::peer::{Beside, Echo, Nap, Pulse};
use runtime::{Mono, Runtime};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Leaders of a shard that ask their followers to sleep at one tick: what 10,000 ask for at once takes longer to answer than anybody waits.
const NAPS_AT_ONCE: usize = 256;

/// How a replica sleeps, and what was promised for that.
#[derive(Debug, Default)]
pub struct Bed {
    state: State,
    /// As a follower: whose pulses count.
    sworn: Option<Sworn>,
    /// As a leader: followers that may be asleep, since they were asked at this time.
    dozing: (Mono, Vec<u64>),
    /// The newest stamp of a letter of the leader of this term.
    newest: (u64, Mono),
    /// When something happened last.
    pub active: Mono,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Awake,
    /// The followers are being asked; those who have agreed.
    Asking { asked: Mono, oaths: Vec<Oath> },
    /// As the leader of this term.
    Leading { term: u64, oaths: Vec<Oath> },
    /// As a follower.
    Following,
}

/// A follower's oath, as its leader knows it.
#[derive(Clone, Copy, Debug)]
struct Oath {
    peer: u64,
    place: Place,
    loyalty: u64,
}

/// A follower's own oath.
#[derive(Clone, Copy, Debug)]
struct Sworn {
    term: u64,
    place: Place,
    reign: u64,
    /// When the leader asked, on its clock.
    asked: Mono,
    /// The last pulse that was counted.
    counted: Mono,
}

/// What a shard knows of others, for its sleeping groups.
pub struct Sleep {
    reign: u64,
    /// The loyalty towards a shard that nobody has sworn anything to yet.
    loyalty: u64,
    leaders: BTreeMap<Place, LeaderShard>,
    followers: BTreeMap<Place, FollowerShard>,
    /// A planted bug.
    is_loyal_for_ever: bool,
}

/// A shard that leads groups which sleep here.
struct LeaderShard {
    reign: u64,
    heard: Mono,
    /// At which tick of ours that was: a shard that was stalled itself has heard nobody meanwhile, and what was said waits to be read.
    heard_tick: u64,
    loyalty: u64,
    /// Groups whose replicas here have sworn, asleep or not.
    sworn: BTreeSet<VnodeId>,
}

/// A shard where followers of groups that we lead sleep.
struct FollowerShard {
    loyalty: u64,
    /// The newest stamp of ours that was echoed under this loyalty.
    echo: Mono,
    /// At which tick of ours it answered last.
    answered_tick: u64,
    asleep: BTreeSet<VnodeId>,
}

impl Bed {
    /// Neither asleep nor about to be.
    pub fn is_awake(&self) -> bool {
        matches!(self.state, State::Awake)
    }

    /// Whether its followers were asked a moment ago. Their leader says nothing until then: its next heartbeat would end the oaths of those who have agreed already,
    /// and on a machine with little time for them the answers of 10,000 groups would never be there before it.
    pub fn is_waiting_for_oaths(&self, now: Mono, wait_max: Duration) -> bool {
        matches!(self.state, State::Asking { asked, .. } if now.since(asked) < wait_max)
    }

    /// Whether its replica leads in its sleep.
    pub fn is_leading(&self) -> bool {
        matches!(self.state, State::Leading { .. })
    }
}

impl Sleep {
    /// Nobody sleeps yet; the numbers are random.
    pub fn new(reign: u64, loyalty: u64, is_loyal_for_ever: bool) -> Sleep {
        let (leaders, followers) = (BTreeMap::new(), BTreeMap::new());
        Sleep { reign, loyalty, leaders, followers, is_loyal_for_ever }
    }

    /// Counts the pulses of a follower's leader as if the group had heard it.
    pub fn count_pulses(&self, replica: &mut Replica) {
        let Some(sworn) = &mut replica.bed.sworn else { return };
        let Some(leader) = self.leaders.get(&sworn.place) else { return };
        if leader.reign == sworn.reign && leader.heard > sworn.counted && replica.group.term() == sworn.term {
            sworn.counted = leader.heard;
            replica.group.hear(leader.heard);
        }
    }

    /// Counts the echoes of a sleeping leader's followers for its lease.
    pub fn count_echoes(&self, replica: &mut Replica, now: Mono) {
        let State::Leading { term, oaths } = &replica.bed.state else { return };
        if replica.leading != Some(*term) || replica.group.term() != *term || !replica.group.is_leader() {
            return;
        }
        for oath in oaths {
            if let Some(follower) = self.followers.get(&oath.place)
                && follower.loyalty == oath.loyalty
            {
                replica.group.promised(now, PeerId(oath.peer), follower.echo);
            }
        }
    }

    /// The replica is not asleep any more. What it has sworn still holds.
    fn leave_bed(&mut self, replica: &mut Replica, now: Mono) {
        self.count_pulses(replica);
        self.count_echoes(replica, now);
        if let State::Leading { oaths, .. } = std::mem::take(&mut replica.bed.state) {
            for oath in oaths {
                if let Some(follower) = self.followers.get_mut(&oath.place) {
                    follower.asleep.remove(&replica.vnode);
                }
            }
        }
    }

    /// The follower's oath does not hold any more; to which shard it was.
    fn end_oath(&mut self, replica: &mut Replica) -> Option<Place> {
        self.count_pulses(replica);
        let sworn = replica.bed.sworn.take()?;
        if let Some(leader) = self.leaders.get_mut(&sworn.place) {
            leader.sworn.remove(&replica.vnode);
        }
        Some(sworn.place)
    }

    /// Some oath has ended that the leader's shard may still count on: with the next echo it knows.
    fn forswear(&mut self, place: Place) {
        if let Some(leader) = self.leaders.get_mut(&place).filter(|_| !self.is_loyal_for_ever) {
            leader.loyalty = leader.loyalty.wrapping_add(1);
        }
    }

    fn loyalty_to(&self, place: Place) -> u64 {
        self.leaders.get(&place).map_or(self.loyalty, |leader| leader.loyalty)
    }

    /// Groups do not know any more who of their followers is asleep: all wake.
    fn abdicate(&mut self) {
        self.reign = self.reign.wrapping_add(1);
    }

    fn is_sworn(&self, replica: &Replica, now: Mono) -> bool {
        let Some(sworn) = replica.bed.sworn.filter(|sworn| sworn.term == replica.group.term()) else {
            return false;
        };
        let leader = self.leaders.get(&sworn.place);
        leader.is_some_and(|leader| {
            leader.reign == sworn.reign && now.since(leader.heard) < replica.group.promise()
        })
    }

    /// Whether these oaths hold, as far as is known; one of a shard where nobody sleeps says what its loyalty is.
    fn accepts(&mut self, oaths: &[Oath], tick: u64) -> bool {
        for oath in oaths {
            let anew = || FollowerShard {
                loyalty: oath.loyalty,
                echo: Mono::default(),
                answered_tick: tick,
                asleep: BTreeSet::new(),
            };
            let follower = self.followers.entry(oath.place).or_insert_with(anew);
            if follower.asleep.is_empty() && follower.loyalty != oath.loyalty {
                *follower = anew();
            }
            if follower.asleep.is_empty() {
                follower.answered_tick = tick;
            }
        }
        oaths.iter().all(|oath| self.followers[&oath.place].loyalty == oath.loyalty)
    }

    /// Whether enough of a sleeping leader's followers are heard of.
    fn has_majority(&self, replica: &Replica, silent: impl Fn(u64) -> bool) -> bool {
        let State::Leading { oaths, .. } = &replica.bed.state else { return true };
        let answers = |oath: &&Oath| {
            self.followers.get(&oath.place).is_some_and(|follower| !silent(follower.answered_tick))
        };
        2 * (oaths.iter().filter(answers).count() + 1) > oaths.len() + 1
    }
}

/// Waking.
impl<R: Runtime> Cluster<R> {
    /// Something happens to the replica: if it sleeps, it wakes.
    pub(super) fn wake(&self, replica: &mut Replica, now: Mono) -> Result<(), Closed> {
        replica.bed.active = now;
        match &replica.bed.state {
            State::Awake => Ok(()),
            State::Asking { .. } => {
                replica.bed.state = State::Awake;
                Ok(())
            }
            State::Leading { .. } | State::Following => {
                self.sleep.borrow_mut().leave_bed(replica, now);
                self.awake.borrow_mut().insert(replica.vnode);
                replica.group.rouse()
            }
        }
    }

    /// Wakes these, as far as they sleep.
    pub(super) fn wake_all(&self, vnodes: impl IntoIterator<Item = VnodeId>, now: Mono) {
        for vnode in vnodes {
            let mut groups = self.groups.borrow_mut();
            let Some(replica) = groups.get_mut(&vnode) else { continue };
            let woken = self.wake(replica, now);
            drop(groups);
            match woken {
                Ok(()) => self.enlist(vnode),
                Err(Closed) => self.closed(vnode),
            }
        }
    }

    /// All that was sworn to this shard does not hold any more.
    fn forswear_all(&self, place: Place, now: Mono) {
        let sworn = {
            let mut sleep = self.sleep.borrow_mut();
            sleep.forswear(place);
            sleep.leaders.get(&place).map_or_else(BTreeSet::new, |leader| leader.sworn.clone())
        };
        for vnode in &sworn {
            if let Some(replica) = self.groups.borrow_mut().get_mut(vnode) {
                self.sleep.borrow_mut().end_oath(replica);
                replica.group.suspect(now);
            }
        }
        self.wake_all(sworn, now);
    }

    /// A replica is not there any more: nobody may count on what it has promised, or wait for it.
    pub(super) fn lay_to_rest(&self, replica: &mut Replica) {
        let mut sleep = self.sleep.borrow_mut();
        sleep.leave_bed(replica, self.now());
        if let Some(place) = sleep.end_oath(replica) {
            sleep.forswear(place);
        }
        if !replica.bed.dozing.1.is_empty() {
            sleep.abdicate();
        }
        self.awake.borrow_mut().remove(&replica.vnode);
    }

    /// Leadership of the group began or ended here: followers that may be asleep under another leader, or none, must wake.
    pub(super) fn leadership_changed(&self, replica: &mut Replica, now: Mono) -> Result<(), Closed> {
        if !std::mem::take(&mut replica.bed.dozing.1).is_empty() {
            self.sleep.borrow_mut().abdicate();
        }
        self.wake(replica, now)
    }

    /// Before a letter is stepped: what wakes a leader, and what a follower has heard meanwhile.
    pub(super) fn before_step(
        &self,
        replica: &mut Replica,
        letter: &Letter,
        now: Mono,
    ) -> Result<(), Closed> {
        match replica.bed.state {
            State::Leading { term, .. } if letter.is_answer() && letter.message.term == term => Ok(()),
            State::Leading { .. } => self.wake(replica, now),
            State::Following => {
                self.sleep.borrow().count_pulses(replica);
                replica.group.suspect(now);
                Ok(())
            }
            State::Awake | State::Asking { .. } => {
                self.sleep.borrow().count_pulses(replica);
                Ok(())
            }
        }
    }

    /// After it: whether an oath has ended, and who of a leader's followers is awake.
    pub(super) fn after_step(&self, replica: &mut Replica, heard: Heard, now: Mono) -> Result<(), Closed> {
        let term = replica.group.term();
        if heard.term == term && replica.group.leader() == Some(PeerId(heard.from)) && heard.is_leaders {
            let newest = if replica.bed.newest.0 == term { replica.bed.newest.1 } else { Mono::default() };
            replica.bed.newest = (term, newest.max(heard.sent));
            if replica.bed.sworn.is_some_and(|sworn| sworn.term == term && heard.sent > sworn.asked) {
                self.sleep.borrow_mut().end_oath(replica);
                self.wake(replica, now)?;
            }
        }
        if heard.is_answer && replica.leading == Some(heard.term) && heard.echo > replica.bed.dozing.0 {
            replica.bed.dozing.1.retain(|peer| *peer != heard.from);
        }
        self.watch_oath(replica, now)
    }

    /// A follower whose term is not that of its oath may have voted for another: it says so before anything else.
    pub(super) fn watch_oath(&self, replica: &mut Replica, now: Mono) -> Result<(), Closed> {
        if replica.bed.sworn.is_none_or(|sworn| sworn.term == replica.group.term()) {
            return Ok(());
        }
        {
            let mut sleep = self.sleep.borrow_mut();
            if let Some(place) = sleep.end_oath(replica) {
                sleep.forswear(place);
            }
        }
        self.wake(replica, now)
    }

    /// A leader that says something is not asleep, whoever made it speak.
    pub(super) fn before_letters(&self, replica: &mut Replica, letters: &[Letter]) -> Result<(), Closed> {
        match replica.bed.state {
            State::Asking { .. } | State::Leading { .. } if letters.iter().any(Letter::is_leaders) => {
                self.wake(replica, self.now())
            }
            _ => Ok(()),
        }
    }
}

/// What is kept of a letter while it is stepped.
pub struct Heard {
    from: u64,
    term: u64,
    sent: Mono,
    echo: Mono,
    is_leaders: bool,
    is_answer: bool,
}

impl Heard {
    pub fn of(letter: &Letter) -> Heard {
        Heard {
            from: letter.message.from,
            term: letter.message.term,
            sent: letter.sent,
            echo: letter.echo,
            is_leaders: letter.is_leaders(),
            is_answer: letter.is_answer(),
        }
    }
}

/// Going to sleep.
impl<R: Runtime> Cluster<R> {
    /// Replicas in which nothing happened for a while go to sleep, or ask their followers to.
    pub(super) fn doze(&self) {
        let now = self.now();
        let mut groups = self.groups.borrow_mut();
        let idle = |vnode: &&VnodeId| {
            let replica = groups.get(*vnode);
            replica.is_some_and(|replica| {
                replica.bed.is_awake()
                    && now.since(replica.bed.active) >= self.options.sleep_after
                    && replica.is_level()
            })
        };
        let idle: Vec<VnodeId> = self.awake.borrow().iter().filter(idle).copied().collect();
        let mut asked = 0;
        for vnode in idle {
            let replica = groups.get_mut(&vnode).expect("it is there");
            if replica.leading.is_some() {
                if asked < NAPS_AT_ONCE && self.ask_to_sleep(replica, now) {
                    asked += 1;
                }
            } else if self.sleep.borrow().is_sworn(replica, now) {
                self.lie_down(replica, State::Following);
            }
        }
    }

    /// Asks the followers of a leader to sleep, if all of them could.
    fn ask_to_sleep(&self, replica: &mut Replica, now: Mono) -> bool {
        let Some(followers) = self.sleepy_followers(replica) else { return false };
        let term = replica.group.term();
        if followers.is_empty() {
            self.lie_down(replica, State::Leading { term, oaths: Vec::new() });
            return true;
        }
        let under = self.sleep.borrow().reign;
        for (to, place) in &followers {
            let (vnode, from, to, index) = (replica.vnode.0, replica.peer, *to, replica.group.last());
            let nap = Nap { vnode, from, to, term, index, asked: now.0, agreed: false, under };
            self.outbox.borrow_mut().beside(*place).naps.push(nap);
        }
        replica.bed.dozing = (now, followers.into_iter().map(|(peer, _)| peer).collect());
        replica.bed.state = State::Asking { asked: now, oaths: Vec::new() };
        true
    }

    /// The followers, if all of them could sleep and nothing else keeps the group awake.
    fn sleepy_followers(&self, replica: &Replica) -> Option<Vec<(u64, Place)>> {
        let (wanted, _) = replica.wanted?;
        let members = replica.group.members();
        let votes = |peer: u32| members.voters.contains(&u64::from(peer));
        let settled = wanted.iter().all(|seat| seat.role == Role::Voter && votes(seat.peer.0))
            && members.voters.len() == wanted.len()
            && members.learners.is_empty()
            && u64::from(wanted.first().peer.0) == replica.peer
            && !replica.group.is_changing()
            && !replica.group.is_handing_over()
            && !self.handing_over.get();
        if !settled || replica.leads().is_none() {
            return None;
        }
        let last = replica.group.last();
        let follower = |peer: &u64| {
            let (matched, active) = replica.group.progress(PeerId(*peer))?;
            let place = replica.place_of(*peer).filter(|_| matched == last && active)?;
            Some((*peer, place))
        };
        members.voters.iter().filter(|peer| **peer != replica.peer).map(follower).collect()
    }

    fn lie_down(&self, replica: &mut Replica, state: State) {
        replica.bed.state = state;
        replica.group.rest();
        self.awake.borrow_mut().remove(&replica.vnode);
    }

    /// A leader asks a follower here to sleep.
    fn swear(&self, place: Place, nap: &Nap, now: Mono) {
        self.hear_reign(place, nap.under, now);
        let mut groups = self.groups.borrow_mut();
        let Some(replica) = groups.get_mut(&VnodeId(nap.vnode)) else { return };
        let (newest_term, newest) = replica.bed.newest;
        let late = newest_term == nap.term && newest > Mono(nap.asked);
        let agrees = replica.peer == nap.to
            && replica.place_of(nap.from) == Some(place)
            && replica.group.term() == nap.term
            && replica.group.leader() == Some(PeerId(nap.from))
            && replica.leading.is_none()
            && replica.group.last() == nap.index
            && !late
            && replica.is_level();
        if !agrees {
            return;
        }
        let under = {
            let mut sleep = self.sleep.borrow_mut();
            sleep.end_oath(replica);
            let leader = sleep.leaders.get_mut(&place).expect("it was just heard");
            leader.sworn.insert(replica.vnode);
            leader.loyalty
        };
        let (term, reign, asked) = (nap.term, nap.under, Mono(nap.asked));
        replica.bed.sworn = Some(Sworn { term, place, reign, asked, counted: now });
        replica.group.hear(now);
        self.lie_down(replica, State::Following);
        let agreed = Nap { from: nap.to, to: nap.from, agreed: true, under, ..*nap };
        self.outbox.borrow_mut().beside(place).naps.push(agreed);
    }

    /// A follower has sworn. When all have, the leader here sleeps.
    fn take_oath(&self, place: Place, nap: &Nap, now: Mono) {
        let mut groups = self.groups.borrow_mut();
        let Some(replica) = groups.get_mut(&VnodeId(nap.vnode)) else { return };
        let sound = replica.peer == nap.to
            && replica.place_of(nap.from) == Some(place)
            && replica.leading == Some(nap.term)
            && replica.group.is_leader()
            && replica.group.term() == nap.term
            && replica.group.last() == nap.index
            && replica.group.members().voters.contains(&nap.from);
        let State::Asking { asked, oaths } = &mut replica.bed.state else { return };
        if !sound || *asked != Mono(nap.asked) {
            return;
        }
        oaths.retain(|oath| oath.peer != nap.from);
        oaths.push(Oath { peer: nap.from, place, loyalty: nap.under });
        if oaths.len() + 1 < replica.group.members().voters.len() {
            return;
        }
        let oaths = std::mem::take(oaths);
        let still = self.sleepy_followers(replica).is_some() && replica.is_level();
        let mut sleep = self.sleep.borrow_mut();
        if !still || !sleep.accepts(&oaths, self.ticks.get()) {
            (replica.bed.state, replica.bed.active) = (State::Awake, now);
            return;
        }
        for oath in &oaths {
            let follower = sleep.followers.get_mut(&oath.place).expect("it was accepted");
            follower.asleep.insert(replica.vnode);
        }
        drop(sleep);
        self.lie_down(replica, State::Leading { term: nap.term, oaths });
    }
}

/// Pulses.
impl<R: Runtime> Cluster<R> {
    /// Takes what a payload said beside its letters.
    pub(super) fn hear_beside(&self, from: NodeId, beside: &Beside, now: Mono) {
        let place = Place { node: from, shard: ShardId(beside.shard) };
        if let Some(pulse) = beside.pulse {
            if self.sleep.borrow().leaders.contains_key(&place) {
                self.hear_reign(place, pulse.reign, now);
            }
            let loyalty = self.sleep.borrow().loyalty_to(place);
            let echo = Echo { reign: pulse.reign, sent: pulse.sent, loyalty };
            self.outbox.borrow_mut().beside(place).echo = Some(echo);
        }
        if let Some(echo) = beside.echo {
            self.hear_echo(place, echo, now);
        }
        for nap in &beside.naps {
            match nap.agreed {
                false => self.swear(place, nap, now),
                true => self.take_oath(place, nap, now),
            }
        }
    }

    /// A leader's shard is there, under this reign.
    fn hear_reign(&self, place: Place, reign: u64, now: Mono) {
        {
            let mut sleep = self.sleep.borrow_mut();
            let (loyalty, heard_tick) = (sleep.loyalty, self.ticks.get());
            let anew = || LeaderShard { reign, heard: now, heard_tick, loyalty, sworn: BTreeSet::new() };
            let leader = sleep.leaders.entry(place).or_insert_with(anew);
            if leader.reign == reign {
                (leader.heard, leader.heard_tick) = (now, heard_tick);
                return;
            }
        }
        // What it was heard under the reign before is counted first.
        self.forswear_all(place, now);
        let mut sleep = self.sleep.borrow_mut();
        let leader = sleep.leaders.get_mut(&place).expect("it was just there");
        (leader.reign, leader.heard, leader.heard_tick) = (reign, now, self.ticks.get());
    }

    fn hear_echo(&self, place: Place, echo: Echo, now: Mono) {
        let woken = {
            let mut sleep = self.sleep.borrow_mut();
            let reign = sleep.reign;
            let Some(follower) = sleep.followers.get_mut(&place) else { return };
            follower.answered_tick = self.ticks.get();
            if follower.loyalty != echo.loyalty {
                (follower.loyalty, follower.echo) = (echo.loyalty, Mono::default());
                follower.asleep.clone()
            } else {
                if echo.reign == reign {
                    follower.echo = follower.echo.max(Mono(echo.sent));
                }
                return;
            }
        };
        self.wake_all(woken, now);
    }

    /// Sends a pulse to every shard where groups sleep that we lead.
    pub(super) fn send_pulses(&self, now: Mono) {
        let sleep = self.sleep.borrow();
        let mut outbox = self.outbox.borrow_mut();
        for (place, _) in sleep.followers.iter().filter(|(_, follower)| !follower.asleep.is_empty()) {
            outbox.beside(*place).pulse = Some(Pulse { reign: sleep.reign, sent: now.0 });
        }
    }

    /// Wakes what sleeps under a shard that is silent.
    pub(super) fn watch_leaders(&self, now: Mono) {
        let is_silent = |(_, leader): &(&Place, &LeaderShard)| {
            !leader.sworn.is_empty() && self.is_silent_since(leader.heard_tick)
        };
        let sleep = self.sleep.borrow();
        let silent: Vec<Place> = sleep.leaders.iter().filter(is_silent).map(|(place, _)| *place).collect();
        drop(sleep);
        silent.into_iter().for_each(|place| self.forswear_all(place, now));
    }

    /// Wakes what leads in its sleep and is not heard by a majority any more.
    pub(super) fn watch_followers(&self, now: Mono) {
        if self.options.canary.is(Canary::ReadAsleep) {
            return;
        }
        let alone: BTreeSet<VnodeId> = {
            let (sleep, groups) = (self.sleep.borrow(), self.groups.borrow());
            let silent = sleep.followers.values().filter(|shard| self.is_silent_since(shard.answered_tick));
            let is_alone = |vnode: &VnodeId| {
                groups
                    .get(vnode)
                    .is_some_and(|replica| !sleep.has_majority(replica, |tick| self.is_silent_since(tick)))
            };
            silent.flat_map(|shard| shard.asleep.iter().copied()).filter(is_alone).collect()
        };
        self.wake_all(alone, now);
    }

    /// Whether who was heard of at this tick for the last time has been silent for an election timeout.
    fn is_silent_since(&self, tick: u64) -> bool {
        self.ticks.get() - tick >= self.options.election_ticks as u64
    }

    /// How long a leader waits for its followers' oaths without a heartbeat: far from an election.
    pub(super) fn oaths_wait_max(&self) -> Duration {
        self.options.tick * self.options.election_ticks as u32 / 2
    }

    /// Replicas that sleep.
    pub(super) fn asleep(&self) -> usize {
        self.groups.borrow().len() - self.awake.borrow().len()
    }
}
