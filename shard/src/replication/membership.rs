//! What a leader does about its group: the members that the map wants, and who should lead.
//!
//! ```text
//! the map wants it --> learner --> has caught up --> one joint change: it votes, who leaves does not --> report
//! ```
//!
//! The map names who shall be a replica (`Role`); the group's own log says who is one. The leader looks at the difference again
//! and again and takes one step at a time, so it does not matter where the leader before stopped.
//!
//! A leader that has to leave hands leadership over first, to one that stays: so whoever replaces it goes and comes in one joint change.
//! Were the new one let in before, four would vote for a moment, of which three are needed: with one of them dead, nobody else could fail.
//! And who has no content yet does not vote, so it is let in when it has.
//!
//! Whoever had to leave is given up when the catalog was told that the change is over. A replica that does not know that yet, because it lost its power, or its leader died before it
//! said so, learns it from the map: see [`has_left`].

use super::Canary;
use super::cluster::Cluster;
use super::replica::Replica;
use crate::consensus::change::Step;
use crate::consensus::{Closed, NotTaken, PeerId};
use model::ring::{Replicas, Role, VnodeId};
use raft::eraftpb::ConfState;
use runtime::{Mono, Runtime};
use std::time::Duration;

/// A follower that lacks fewer entries than this has caught up.
const CAUGHT_UP_MAX: u64 = 256;

/// Leaders that one shard hands over at one look because somebody else should lead: so many, or this part of those that are awake.
const BALANCE_AT_ONCE: usize = 4;
const BALANCE_PART: usize = 64;
/// And so many of those that nobody asked for anything lately: no client waits for them.
const BALANCE_IDLE_AT_ONCE: usize = 64;

/// How often leaders look at their groups, in ticks.
pub const LOOK_TICKS: u64 = 5;

/// What a group is now, for the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whose.
    pub vnode: VnodeId,
    /// The epoch of the map that it follows.
    pub epoch: u64,
    /// Who votes.
    pub voters: Vec<u32>,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Nothing,
    Change(Vec<Step>),
    /// Let this one lead, which stays while we go.
    HandOver(PeerId),
    /// All is as the map wants it, and that is news.
    Report,
}

impl<R: Runtime> Cluster<R> {
    /// Leaders take the next steps towards what the map wants; what is reached is for the catalog to know.
    pub(super) fn look_after_members(&self, now: Mono) {
        let (mut touched, mut closed) = (Vec::new(), Vec::new());
        let mut reached = Vec::new();
        let (mut balanced, mut balanced_idle) = (0, 0);
        // One that sleeps is what the map wants.
        let awake: Vec<VnodeId> = self.awake.borrow().iter().copied().collect();
        let balanced_max = BALANCE_AT_ONCE.max(awake.len() / BALANCE_PART);
        let mut groups = self.groups.borrow_mut();
        for vnode in awake {
            let Some(replica) = groups.get_mut(&vnode) else { continue };
            if self.leaves_joint(replica) {
                match replica.group.leave_joint() {
                    Ok(()) => touched.push(vnode),
                    Err(Closed) => {
                        closed.push(vnode);
                        continue;
                    }
                }
            }
            let Some((wanted, epoch)) = replica.wanted.filter(|_| replica.leads().is_some()) else {
                continue;
            };
            let next = next_step(replica, &wanted);
            let quiet = next == Next::Nothing || next == Next::Report;
            let taken = match next {
                Next::Nothing => Ok(()),
                // Who may be deposed already does not know what its group is.
                Next::Report if !replica.group.holds_lease(now) => Ok(()),
                Next::Report => {
                    reached.push(Standing { vnode, epoch, voters: voters(replica) });
                    Ok(())
                }
                Next::Change(steps) => replica.group.change(&steps),
                Next::HandOver(to) => replica.group.transfer(to).map_err(|_| NotTaken::Closed),
            };
            let is_idle = now.since(replica.bed.active) >= self.options.sleep_after;
            let (so_far, at_most) = match is_idle {
                true => (&mut balanced_idle, BALANCE_IDLE_AT_ONCE),
                false => (&mut balanced, balanced_max),
            };
            if quiet && *so_far < at_most && self.balance(replica, &wanted, now) {
                *so_far += 1;
            }
            // What is not taken now is tried at the next look.
            if taken.is_ok() {
                touched.push(vnode);
            }
        }
        drop(groups);
        *self.reached.borrow_mut() = reached;
        closed.into_iter().for_each(|vnode| self.closed(vnode));
        touched.into_iter().for_each(|vnode| self.enlist(vnode));
    }

    /// Whether the replica takes it from the map that a change of its members is over.
    fn leaves_joint(&self, replica: &Replica) -> bool {
        let leaves = !replica.installing
            && replica.wanted.is_some_and(|(wanted, _)| has_left(replica.group.members(), &wanted))
            && !self.options.canary.is(Canary::StayJoint);
        if leaves {
            self.rt.mark("the map says that a change is over");
        }
        leaves
    }

    /// Groups that are what the map asked for, while the map says that they are still on their way.
    pub fn reached(&self) -> Vec<Standing> {
        self.reached.borrow().clone()
    }

    /// Hands leadership to who should have it, if that one could lead for a while already; true when it does.
    fn balance(&self, replica: &mut Replica, wanted: &Replicas, now: Mono) -> bool {
        let first = wanted.first();
        let to = PeerId(u64::from(first.peer.0));
        if first.role != Role::Voter || to.0 == replica.peer || self.handing_over.get() {
            replica.could_lead = None;
            return false;
        }
        // A follower counts as not heard of for a moment in each election timeout.
        let known = replica.could_lead.filter(|(_, seen)| now.since(*seen) < self.options.balance_after / 2);
        if !can_lead(replica, to) {
            replica.could_lead = known;
            return false;
        }
        let since = known.map_or(now, |(since, _)| since);
        replica.could_lead = Some((since, now));
        if now.since(since) < self.options.balance_after {
            return false;
        }
        replica.could_lead = None;
        replica.group.transfer(to).is_ok()
    }

    /// Hands over all leadership, for a planned stop; returns when none is left that can be handed over, or after `wait_max`.
    /// From then on nothing is balanced back to here by this shard.
    pub async fn hand_over_all(&self, wait_max: Duration) {
        self.handing_over.set(true);
        let end = self.now().after(wait_max);
        while self.hand_over() > 0 && self.now() < end {
            self.turn();
            self.rt.sleep(self.options.tick / 4).await;
        }
    }

    /// Begins to hand over what can be; how many groups that are.
    fn hand_over(&self) -> usize {
        let now = self.now();
        let mut touched = Vec::new();
        for (vnode, replica) in self.groups.borrow_mut().iter_mut() {
            if replica.leading.is_none() {
                continue;
            }
            if self.wake(replica, now).is_err() {
                touched.push(*vnode);
                continue;
            }
            let others = replica.group.members().voters.clone();
            let others = others.into_iter().filter(|peer| *peer != replica.peer).map(PeerId);
            let heard = others.filter_map(|peer| {
                let (matched, active) = replica.group.progress(peer)?;
                active.then_some((matched, peer))
            });
            if let Some((_, to)) = heard.max()
                && (replica.group.is_handing_over() || replica.group.transfer(to).is_ok())
            {
                touched.push(*vnode);
            }
        }
        let count = touched.len();
        touched.into_iter().for_each(|vnode| self.enlist(vnode));
        count
    }

    /// Hands one vnode's leadership to a peer; false when this shard does not lead it.
    pub fn hand_over_to(&self, vnode: VnodeId, peer: model::ring::PeerId) -> bool {
        let begun = {
            let mut groups = self.groups.borrow_mut();
            let replica = groups.get_mut(&vnode).filter(|replica| replica.leading.is_some());
            let to = PeerId(u64::from(peer.0));
            replica.is_some_and(|replica| {
                self.wake(replica, self.now()).is_ok() && replica.group.transfer(to).is_ok()
            })
        };
        self.enlist(vnode);
        begun
    }
}

/// Whether the map shows that a change of these members is over, so that the old ones are not asked for their votes any more. It is over for all when one leader has applied
/// its end and told the catalog, and then who had to go is gone; but those who stay may not know it yet, and whoever could tell them may be dead.
///
/// Who had to go leaves the map when a leader has reported that it is out of its group and who came is in it, and it never comes back, because it would be another peer. The map has to
/// be from after it came: it names somebody who is younger. And who came was new: with a move that is turned back an older one comes in again, and what was reported of a group with it
/// may be of the time before.
fn has_left(members: &ConfState, wanted: &Replicas) -> bool {
    let named = || wanted.iter().map(|seat| u64::from(seat.peer.0));
    let goes = |peer: &&u64| !members.voters.contains(peer);
    let newest = members.voters.iter().filter(|peer| !members.voters_outgoing.contains(peer)).max();
    let is_gone = |peer: &u64| {
        newest > Some(peer) && named().all(|other| other != *peer) && named().any(|other| other > *peer)
    };
    let mut go = members.voters_outgoing.iter().filter(goes).peekable();
    go.peek().is_some() && go.all(is_gone)
}

/// Who votes, in the catalog's numbers.
fn voters(replica: &Replica) -> Vec<u32> {
    replica.group.members().voters.iter().filter_map(|peer| u32::try_from(*peer).ok()).collect()
}

fn can_lead(replica: &Replica, peer: PeerId) -> bool {
    replica.group.members().voters.contains(&peer.0) && has_caught_up(replica, peer)
}

/// Whether a peer has nearly everything. Who has nothing has not, however little there is: it waits for its first image, and until then it is no
/// member in its own eyes, and does not vote.
fn has_caught_up(replica: &Replica, peer: PeerId) -> bool {
    let last = replica.group.last();
    let has_enough = |matched: u64| matched > 0 && matched + CAUGHT_UP_MAX >= last;
    replica.group.progress(peer).is_some_and(|(matched, active)| active && has_enough(matched))
}

/// Whom a leader that has to leave hands over to, as long as there are others in the group that stay: the first of them that can lead.
fn heir(replica: &Replica, should_vote: &[u64]) -> Option<Next> {
    let voters = &replica.group.members().voters;
    if should_vote.contains(&replica.peer) || !voters.contains(&replica.peer) {
        return None;
    }
    let mut stay = should_vote.iter().filter(|peer| voters.contains(peer)).copied().map(PeerId).peekable();
    stay.peek()?;
    Some(stay.find(|peer| can_lead(replica, *peer)).map_or(Next::Nothing, Next::HandOver))
}

/// The next step from what the group is to what the map wants.
fn next_step(replica: &Replica, wanted: &Replicas) -> Next {
    if replica.group.is_changing() || replica.group.is_handing_over() {
        return Next::Nothing;
    }
    let members = replica.group.members();
    let of =
        |role: Role| wanted.iter().filter(move |seat| seat.role == role).map(|seat| u64::from(seat.peer.0));
    let should_vote: Vec<u64> = of(Role::Voter).chain(of(Role::Joining)).collect();
    let leaving: Vec<u64> = of(Role::Leaving).filter(|peer| members.voters.contains(peer)).collect();
    // Somebody who is not in the map at all: a move was given up.
    let strange = |peer: &&u64| wanted.iter().all(|seat| u64::from(seat.peer.0) != **peer);
    let in_group = members.voters.iter().chain(&members.learners);
    if let Some(stray) = in_group.filter(strange).find(|peer| **peer != replica.peer) {
        return Next::Change(vec![Step::Remove(PeerId(*stray))]);
    }
    if let Some(hand_over) = heir(replica, &should_vote) {
        return hand_over;
    }
    let missing = |peer: &&u64| !members.voters.contains(peer) && !members.learners.contains(peer);
    if let Some(new) = should_vote.iter().find(missing) {
        return Next::Change(vec![Step::Learner(PeerId(*new))]);
    }
    let to_promote: Vec<u64> =
        should_vote.iter().copied().filter(|peer| members.learners.contains(peer)).collect();
    if !to_promote.iter().all(|peer| has_caught_up(replica, PeerId(*peer))) {
        return Next::Nothing;
    }
    let others_leave = leaving.iter().filter(|peer| **peer != replica.peer);
    let mut steps: Vec<Step> = to_promote.iter().map(|peer| Step::Voter(PeerId(*peer))).collect();
    steps.extend(others_leave.map(|peer| Step::Remove(PeerId(*peer))));
    if !steps.is_empty() {
        return Next::Change(steps);
    }
    let on_its_way = wanted.iter().any(|seat| seat.role != Role::Voter);
    if on_its_way { Next::Report } else { Next::Nothing }
}

#[cfg(test)]
mod tests;
