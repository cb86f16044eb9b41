//! The map says which replicas are here: those that are missing are made, those that it does not name are given up.
//!
//! A replica is made by writing down its state, and given up by writing down that it is gone; what it had goes after that. A vnode whose
//! content is on its way out does not begin again before it is out.

use super::cluster::Cluster;
use super::journal::{Then, Written};
use super::record::{self, Base, STATE_KIND, State};
use super::replica::Replica;
use super::{Canary, Committed, Keep};
use crate::consensus::{self, Closed, Group};
use lsm::log::{Position, Record};
use model::map::Map;
use model::ring::{CATALOG, PeerId, Role, VnodeId};
use raft::eraftpb::ConfState;
use runtime::Runtime;
use runtime::sync::Notified;

/// The index and term that a vnode is founded with: before its first entry. A replica that joins later has nothing at all,
/// so it always needs an image or the whole log.
pub const FOUNDED: (u64, u64) = (1, 1);

impl<R: Runtime> Cluster<R> {
    /// Makes the replicas that the map wants here and that are not, gives up those that it does not want any more, and
    /// learns where the others are. False when the log had no room for some of that: then it is to be followed again soon.
    pub async fn follow(&self, map: &Map) -> Result<bool, lsm::Error> {
        let mut is_done = self.give_up(map)?;
        let catalog = (CATALOG, map.catalog);
        let all = std::iter::once(catalog).chain(map.ring.vnodes().map(|vnode| (vnode.id, vnode.replicas)));
        let mut made = Vec::new();
        for (vnode, replicas) in all {
            let Some(own) = replicas.at(self.place).filter(|_| self.may_begin(vnode)) else { continue };
            let base = base_of(&replicas, own.role).filter(|base| base.index == 0 || self.may_found(vnode));
            let Some(base) = base else {
                if self.is_on_its_way_out(own.role) {
                    self.rt.mark("replica called off before it was made");
                    continue;
                }
                if self.has_given_up(vnode) {
                    // The map is older than that, as a node's own copy may be right after its start.
                    continue;
                }
                self.rt.mark("replica refused: its data is gone");
                let line = format!("vnode {} should have a replica here, and its data is gone", vnode.0);
                (self.report)(&line);
                continue;
            };
            match self.make(vnode, own.peer, map.version, base).await? {
                Some(one) => made.push((vnode, one)),
                None => is_done = false,
            }
        }
        if let Some((_, (_, _, position))) = made.last() {
            self.log.durable(*position).await?;
        }
        for (vnode, (state, number, _)) in made {
            self.begin(vnode, state, number);
        }
        self.learn_seats(map);
        Ok(is_done)
    }

    /// Resolves when a map that was followed can be followed better.
    pub fn follow_again(&self) -> Notified {
        self.follow_again.notified()
    }

    /// Whether a replica may begin as one of those that the cluster was founded with: they have an empty log, and a vote. One that comes back so has
    /// forgotten what it acknowledged.
    fn may_found(&self, vnode: VnodeId) -> bool {
        let is_first = !self.begun && !self.has_given_up(vnode);
        is_first || self.options.canary.is(Canary::BeginEmpty)
    }

    /// Whether a replica of the vnode was here, and was given up in good order: it left its number behind, in the tree or in what the log had of it. Whose data was lost has
    /// lost that too.
    fn has_given_up(&self, vnode: VnodeId) -> bool {
        let is_known =
            self.retired.borrow().contains_key(&vnode) || (self.mark)(record::state_stream(vnode)) > 0;
        is_known && !self.options.canary.is(Canary::MissGivenUp)
    }

    /// Whether the map does not want the replica in the end: then it is not missed. It may be one that was to join, and was called off before this shard heard of it; that its
    /// group may have it all the same is why the map still names it. Were its data lost, there would be no more to do: it is not made anew either way.
    fn is_on_its_way_out(&self, role: Role) -> bool {
        role == Role::Leaving && !self.options.canary.is(Canary::MissWithdrawn)
    }

    /// Whether nothing of the vnode is here, not even something on its way out.
    fn may_begin(&self, vnode: VnodeId) -> bool {
        !self.groups.borrow().contains_key(&vnode)
            && !self.dead.borrow().contains(&vnode)
            && !self.leaving.borrow().contains(&vnode)
    }

    /// Replicas that a newer map does not name any more remember nothing but that. False when the log had no room for some of them: they stay for now.
    fn give_up(&self, map: &Map) -> Result<bool, lsm::Error> {
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
        let mut is_done = true;
        for vnode in unwanted {
            is_done &= self.bury(vnode)?;
        }
        Ok(is_done)
    }

    /// Writes down that a replica is gone, and takes it away; false, and nothing, when the log has no room for that.
    fn bury(&self, vnode: VnodeId) -> Result<bool, lsm::Error> {
        let mut groups = self.groups.borrow_mut();
        let replica = groups.get(&vnode).expect("it was there a moment ago");
        let last =
            State { destroyed: true, base: None, installing: false, anew: true, ..replica.written.clone() };
        let (number, bytes) = (replica.number + 1, last.encode());
        let (stream, term) = (record::state_stream(vnode), last.term);
        let record = Record { kind: STATE_KIND, stream, term, index: number, payload: &bytes };
        let Some(position) = self.if_there_was_room(self.log.append(record))? else { return Ok(false) };
        let mut replica = groups.remove(&vnode).expect("it was there a line ago");
        drop(groups);
        self.lay_to_rest(&mut replica);
        drop(replica.abandon());
        self.rt.mark("replica given up");
        self.leaving.borrow_mut().insert(vnode);
        self.retired.borrow_mut().insert(vnode, number);
        self.given(position, vnode, Some(Written { number, bytes, then: Then::Forget, votes: Vec::new() }));
        self.leadership.notify_all();
        Ok(true)
    }

    /// What has no room in the log now may have soon: that is no reason to end. Nothing of it was written then.
    fn if_there_was_room(
        &self,
        appended: Result<Position, lsm::Error>,
    ) -> Result<Option<Position>, lsm::Error> {
        match appended {
            Ok(position) => Ok(Some(position)),
            Err(lsm::Error::Busy) => Ok(None),
            Err(lsm::Error::Full { .. }) if !self.options.canary.is(Canary::EndWhenFull) => Ok(None),
            Err(error) => Err(error),
        }
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

    /// Writes down that there is a replica; none when the log has no room for that. Those that the cluster is founded with have to be there before the node notes that it has
    /// begun: without room it does not.
    async fn make(
        &self,
        vnode: VnodeId,
        peer: PeerId,
        born: u64,
        base: Base,
    ) -> Result<Option<(State, u64, Position)>, lsm::Error> {
        let (term, commit, is_founded) = (base.term, base.index, base.index > 0);
        let peer = u64::from(peer.0);
        let state = State { peer, born, term, commit, anew: true, base: Some(base), ..State::default() };
        let before = self.retired.borrow().get(&vnode).copied().unwrap_or(0);
        let number = before.max((self.mark)(record::state_stream(vnode))) + 1;
        let payload = state.encode();
        let stream = record::state_stream(vnode);
        let record = Record { kind: STATE_KIND, stream, term, index: number, payload: &payload };
        let appended = self.log.append_when_ready(record).await;
        let position = match is_founded {
            true => Some(appended?),
            false => self.if_there_was_room(appended)?,
        };
        Ok(position.map(|position| (state, number, position)))
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
            void_after: None,
            first_start: true,
        };
        (saved.hard_state.term, saved.hard_state.commit) = (state.term, state.commit);
        match Group::open(self.group_options(vnode, state.peer), saved, self.now()) {
            Ok(group) => self.insert(Replica::new(vnode, group, state, number, base)),
            Err(Closed) => self.closed(vnode),
        }
    }

    /// Where the other replicas are. What an older map said of one that this map does not name stays.
    fn learn_seats(&self, map: &Map) {
        let mut news = Vec::new();
        let mut groups = self.groups.borrow_mut();
        let mut learn = |vnode: VnodeId, replicas: &model::ring::Replicas| {
            let Some(replica) = groups.get_mut(&vnode) else { return };
            if replica.wanted.is_none_or(|(before, _)| before != *replicas) {
                news.push(vnode);
            }
            replica.wanted = Some((*replicas, map.ring.epoch));
            replica.group.should_lead(u64::from(replicas.first().peer.0) == replica.peer);
            for seat in replicas.iter() {
                let peer = u64::from(seat.peer.0);
                replica.seats.retain(|(known, _)| *known != peer);
                replica.seats.push((peer, seat.place));
            }
        };
        learn(CATALOG, &map.catalog);
        map.ring.vnodes().for_each(|vnode| learn(vnode.id, &vnode.replicas));
        drop(groups);
        self.wake_all(news, self.now());
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
