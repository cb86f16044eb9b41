//! What is wrong with one vnode, what would help, and what people may ask for.

use std::cmp::{Ordering, Reverse};

use super::fleet::{Fleet, Host, mixed};
use super::{Limits, Move, Progress, Why};
use crate::{
    map::Map,
    node::NodeState,
    ring::{CATALOG, NodeId, PeerId, Place, Replica, Replicas, Role, ShardId, Vnode, VnodeId},
};

/// A vnode's replicas once its group has done what the roles ask for.
pub fn finish(replicas: &Replicas) -> Replicas {
    let voters = replicas.target().map(|replica| Replica { role: Role::Voter, ..replica });
    Replicas::new(&voters.collect::<Vec<Replica>>())
}

/// How far the ring is from where it is going.
pub(super) fn progress_of(fleet: &Fleet, vnodes: usize) -> Progress {
    let shares = fleet.shares(vnodes);
    let (mut forced, mut lacking) = (0, 0);
    for (host, share) in fleet.hosts.iter().zip(shares) {
        match host.state {
            NodeState::Active => lacking += (share.floor() as u64).saturating_sub(host.replicas.count),
            NodeState::Draining | NodeState::Removed => forced += host.replicas.count,
        }
    }
    // What leaves one node fills what lacks at another.
    Progress { moving: fleet.moving, left: lacking.max(forced) as usize }
}

/// The replicas of a vnode after somebody asked to have the one on `from` on `to` instead, on the shard that they named or the
/// emptiest; why not, in words for people.
pub fn replace(
    map: &Map,
    vnode: VnodeId,
    from: NodeId,
    to: (NodeId, Option<ShardId>),
    next_peer: PeerId,
) -> Result<Replicas, String> {
    let limits = Limits::default();
    let fleet = Fleet::of(map, &limits);
    let planner = Plan::new(&fleet, map.ring.len(), &limits, next_peer);
    let replicas = stable(map, vnode)?;
    let old = replicas.iter().find(|replica| replica.place.node == from);
    let old = old.ok_or_else(|| format!("node {} has no replica of vnode {}", from.0, vnode.0))?;
    let host = planner.fleet.host(to.0).filter(|host| host.state == NodeState::Active);
    let host = host.ok_or_else(|| format!("node {} is not one that keeps vnodes", to.0.0))?;
    if replicas.iter().any(|replica| replica.place.node == to.0) {
        return Err(format!("node {} has a replica of vnode {} already", to.0.0, vnode.0));
    }
    if fleet.zones_with(&replicas, Some(old), Some(host)) < fleet.zones_with(&replicas, None, None) {
        return Err(format!("node {} is in the same zone as another replica of vnode {}", to.0.0, vnode.0));
    }
    let place = match to.1 {
        Some(shard) if usize::from(shard.0) >= host.shards.len() || (vnode == CATALOG && shard.0 != 0) => {
            return Err(format!("vnode {} cannot be on shard {} of node {}", vnode.0, shard.0, to.0.0));
        }
        Some(shard) => Place { node: to.0, shard },
        None => planner.place(vnode, host),
    };
    Ok(planner.with(&replicas, Some(old), place))
}

/// The replicas of a vnode after somebody asked to have it led by `to`; why not, in words for people.
pub fn transfer(map: &Map, vnode: VnodeId, to: NodeId) -> Result<Replicas, String> {
    let replicas = stable(map, vnode)?;
    let leader = replicas.iter().find(|replica| replica.place.node == to);
    let leader = leader.ok_or_else(|| format!("node {} has no replica of vnode {}", to.0, vnode.0))?;
    Ok(led_by(&replicas, leader.peer))
}

/// The replicas of a vnode that is not on the move.
fn stable(map: &Map, vnode: VnodeId) -> Result<Replicas, String> {
    let replicas = map.replicas(vnode).ok_or_else(|| format!("there is no vnode {}", vnode.0))?;
    if replicas.is_moving() {
        return Err(format!("vnode {} is being moved: ask again when that is done", vnode.0));
    }
    Ok(replicas)
}

/// The same replicas with this one first.
fn led_by(replicas: &Replicas, leader: PeerId) -> Replicas {
    let mut all: Vec<Replica> = replicas.iter().collect();
    all.sort_by_key(|replica| replica.peer != leader);
    Replicas::new(&all)
}

/// How good a move is, the best first: whether it is a detour, rank of who gives, of who takes, whether it leads, what its
/// shard has; then chance.
pub(super) type Rank = (bool, usize, usize, bool, Reverse<u64>, u64);

/// The same of a change of leaders: whether nodes are as even as before, who gives, who takes, how uneven their shards are.
pub(super) type LeadRank = (bool, usize, Reverse<usize>, i128, u64);

/// What was found for a vnode.
pub(super) enum Found {
    Move(Move),
    /// There is something to do, once other moves are done.
    Wait,
}

/// The nodes of a map, and what they have, for questions about single vnodes.
pub(super) struct Plan<'a> {
    pub(super) fleet: &'a Fleet,
    /// By host: how many replicas it should have.
    shares: Vec<f64>,
    limits: &'a Limits,
    next_peer: PeerId,
}

/// A change of balance: how good it is, the vnode, who goes, and where to.
pub(super) type Shift = (Rank, Vnode, Replica, NodeId);

/// Hosts in the order in which they give and take, and who can help whom.
pub(super) struct Scales<'a> {
    /// Who has most beyond its share, first.
    full: Vec<&'a Host>,
    /// By place in `full`: whom it helps to give to, with their rank.
    useful: Vec<Vec<(usize, &'a Host)>>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(fleet: &'a Fleet, vnodes: usize, limits: &'a Limits, next_peer: PeerId) -> Plan<'a> {
        Plan { fleet, shares: fleet.shares(vnodes), limits, next_peer }
    }

    fn state(&self, replica: Replica) -> NodeState {
        self.fleet.host(replica.place.node).map_or(NodeState::Removed, |host| host.state)
    }

    /// A move that cannot end, because of who is gone, is turned back. Who leaves is never forgotten before its group says
    /// that it is out: until then its copy may be one of those that a write was acknowledged by.
    pub(super) fn undo(&self, vnode: VnodeId, replicas: &Replicas) -> Option<Move> {
        let turned = if replicas.is_moving() { self.turned(replicas) } else { None };
        turned.map(|replicas| Move { vnode, replicas, why: Why::Undo })
    }

    fn turned(&self, replicas: &Replicas) -> Option<Replicas> {
        let lost =
            |replica: &Replica| replica.role == Role::Joining && self.state(*replica) != NodeState::Active;
        let has_joining = replicas.iter().any(|replica| replica.role == Role::Joining);
        let gone = |replica: &Replica| self.state(*replica) == NodeState::Removed;
        let turn = |replica: Replica| match replica.role {
            Role::Joining if lost(&replica) => Role::Leaving,
            // Who was to make room may stay, if it still can.
            Role::Leaving if replicas.iter().any(|other| lost(&other)) && !gone(&replica) => Role::Voter,
            // It came back into its group too late, or never.
            Role::Voter if !has_joining && gone(&replica) => Role::Leaving,
            role => role,
        };
        let turned: Vec<Replica> =
            replicas.iter().map(|replica| Replica { role: turn(replica), ..replica }).collect();
        let someone_stays = turned.iter().any(|replica| replica.role == Role::Voter);
        let turned = Replicas::new(&turned);
        (turned != *replicas && someone_stays).then_some(turned)
    }

    /// What is wrong with these replicas.
    pub(super) fn wrong(&self, vnode: VnodeId, replicas: &Replicas) -> Option<Why> {
        let most = if vnode == CATALOG { self.limits.catalog_replicas } else { usize::MAX };
        self.fleet.wrong(replicas, self.fleet.wanted().min(most))
    }

    /// What would mend what is wrong.
    pub(super) fn mend(&self, vnode: VnodeId, replicas: &Replicas) -> Option<Found> {
        let in_state = |state| replicas.iter().find(|replica| self.state(*replica) == state);
        match self.wrong(vnode, replicas)? {
            Why::Removed => self.change(vnode, replicas, in_state(NodeState::Removed), 0, Why::Removed),
            Why::Drain => self.change(vnode, replicas, in_state(NodeState::Draining), 0, Why::Drain),
            Why::Grow => self.change(vnode, replicas, None, 0, Why::Grow),
            _ => self.spread(vnode, replicas),
        }
    }

    /// One of those that share a zone goes to another.
    fn spread(&self, vnode: VnodeId, replicas: &Replicas) -> Option<Found> {
        let zones = self.fleet.zones_with(replicas, None, None);
        let zone = |replica: Replica| self.fleet.host(replica.place.node).map(|host| host.zone);
        let crowded = replicas.iter().filter(|one| {
            let is_down = self.fleet.host(one.place.node).is_none_or(|host| host.is_down);
            !is_down && replicas.iter().any(|other| other != *one && zone(other) == zone(*one))
        });
        let load = |one: &Replica| self.fleet.host(one.place.node).map(|host| host.replicas);
        let fullest = crowded.max_by(|a, b| match (load(a), load(b)) {
            (Some(a), Some(b)) => a.compare(b),
            _ => Ordering::Equal,
        })?;
        self.change(vnode, replicas, Some(fullest), zones + 1, Why::Zone)
    }

    /// A replica in the place of `old`, or one more, so that there are at least so many zones.
    fn change(
        &self,
        vnode: VnodeId,
        replicas: &Replicas,
        old: Option<Replica>,
        zones_min: usize,
        why: Why,
    ) -> Option<Found> {
        let old_host = old.and_then(|old| self.fleet.host(old.place.node));
        let old_waits = why != Why::Removed && old_host.is_some_and(|host| self.is_busy(host));
        let better = |a: &&Host, b: &&Host| {
            // The catalog is no load worth spreading; it stays where people look for it, on the first nodes.
            let over = |host: &&Host| self.over_share(host);
            let by_load = if vnode == CATALOG { Ordering::Equal } else { over(a).total_cmp(&over(b)) };
            let tie = |host: &&Host| if vnode == CATALOG { 0 } else { mixed(vnode.0, host.number) };
            by_load.then_with(|| tie(a).cmp(&tie(b))).then_with(|| a.number.cmp(&b.number))
        };
        let is_free = |host: &&Host| replicas.iter().all(|one| one.place.node != host.number);
        let mut able: Vec<&Host> = self.takers().filter(is_free).collect();
        // Who is worse now only because the better ones are busy would have to be replaced again.
        let zones = able.iter().map(|host| self.fleet.zones_with(replicas, old, Some(host))).max()?;
        able.retain(|host| self.fleet.zones_with(replicas, old, Some(host)) == zones);
        if vnode != CATALOG && able.iter().any(|host| self.over_share(host) < 0.0) {
            able.retain(|host| self.over_share(host) < 0.0);
        }
        if zones < zones_min {
            return None;
        }
        let free = able.into_iter().filter(|host| !old_waits && !self.is_busy(host));
        let Some(host) = free.min_by(better) else { return Some(Found::Wait) };
        let replicas = self.with(replicas, old, self.place(vnode, host));
        Some(Found::Move(Move { vnode, replicas, why }))
    }

    /// Who could give and who could take; none when no move would help.
    pub(super) fn scales(&self) -> Option<Scales<'a>> {
        let mut empty: Vec<&'a Host> = self.takers().collect();
        empty.sort_by(|a, b| self.over_share(a).total_cmp(&self.over_share(b)));
        let full: Vec<&'a Host> = empty.iter().copied().rev().collect();
        let useful: Vec<Vec<(usize, &'a Host)>> = full.iter().map(|from| useful(from, &empty)).collect();
        (!useful.iter().all(Vec::is_empty)).then_some(Scales { full, useful })
    }

    /// One replica from a node that has too many to one that has few: of the moves of this vnode the one that helps most, and rather than
    /// those that help less, one that goes from above a share to below one: no other has to follow it. True when one has to wait.
    pub(super) fn shift(&self, vnode: &Vnode, scales: &Scales<'_>) -> (Option<Shift>, bool) {
        let (mut best, mut waits): (Option<Shift>, bool) = (None, false);
        if vnode.replicas.is_moving() {
            return (None, false);
        }
        let Scales { full, useful } = scales;
        let zones = self.fleet.zones_with(&vnode.replicas, None, None);
        for old in vnode.replicas.iter() {
            let Some(from) = full.iter().position(|host| host.number == old.place.node) else { continue };
            let able = useful[from].iter().filter(|(_, host)| {
                let is_free = vnode.replicas.iter().all(|one| one.place.node != host.number);
                is_free && self.fleet.zones_with(&vnode.replicas, Some(old), Some(host)) >= zones
            });
            let is_over = self.over_share(full[from]) > 0.0;
            let detour = |host: &Host| !is_over || self.over_share(host) >= 0.0;
            let Some((to, host)) = able.min_by_key(|(to, host)| (detour(host), *to)) else { continue };
            if self.is_busy(full[from]) || self.is_busy(host) {
                waits = true;
                continue;
            }
            let on_shard = full[from].shards.get(usize::from(old.place.shard.0)).map_or(0, |shard| shard.0);
            let leads = vnode.replicas.first() == old;
            let chance = mixed(vnode.id.0, host.number);
            let rank = (detour(host), from, *to, leads, Reverse(on_shard), chance);
            if best.as_ref().is_none_or(|(best, ..)| rank < *best) {
                best = Some((rank, *vnode, old, host.number));
            }
        }
        (best, waits)
    }

    /// The move that a shift comes to.
    pub(super) fn shifted(&self, (_, vnode, old, to): Shift) -> Move {
        let host = self.fleet.host(to).expect("a host of the fleet");
        let replicas = self.with(&vnode.replicas, Some(old), self.place(vnode.id, host));
        Move { vnode: vnode.id, replicas, why: Why::Balance }
    }

    /// Whether another leader of any vnode could help at all, by what nodes and shards lead.
    pub(super) fn may_lead_better(&self) -> bool {
        let hosts = self.by_leaders();
        let led = |host: &Host| host.shards.iter().map(|shard| shard.1).collect::<Vec<u64>>();
        let most: Vec<u64> = hosts.iter().map(|host| led(host).into_iter().max().unwrap_or(0)).collect();
        let least: Vec<u64> = hosts.iter().map(|host| led(host).into_iter().min().unwrap_or(0)).collect();
        hosts.iter().enumerate().any(|(from, giver)| {
            hosts.iter().enumerate().filter(|(to, _)| *to != from).any(|(to, taker)| {
                let helps = giver.leaders.helps(taker.leaders);
                helps.is_gt() || (helps.is_eq() && most[from] > least[to] + 1)
            })
        })
    }

    /// Another one leads this vnode: of a node that leads too many, or of a shard when that is as good for the nodes. `full` are the
    /// takers, who leads most first.
    pub(super) fn lead(&self, vnode: &Vnode, full: &[&Host]) -> Option<(LeadRank, Move)> {
        if vnode.replicas.is_moving() {
            return None;
        }
        let mut best: Option<(LeadRank, Move)> = None;
        let leader = vnode.replicas.first();
        let from = full.iter().position(|host| host.number == leader.place.node)?;
        for other in vnode.replicas.iter().skip(1) {
            let Some(to) = full.iter().position(|host| host.number == other.place.node) else { continue };
            let led = |host: &Host, replica: Replica| {
                host.shards.get(usize::from(replica.place.shard.0)).map_or(0, |shard| shard.1)
            };
            let (here, there) = (led(full[from], leader), led(full[to], other));
            let helps_nodes = full[from].leaders.helps(full[to].leaders);
            if helps_nodes.is_lt() || (helps_nodes.is_eq() && here <= there + 1) {
                continue;
            }
            let shards = i128::from(there) - i128::from(here);
            let rank = (helps_nodes.is_eq(), from, Reverse(to), shards, mixed(vnode.id.0, other.place.node));
            if best.as_ref().is_none_or(|(best, _)| rank < *best) {
                let replicas = led_by(&vnode.replicas, other.peer);
                best = Some((rank, Move { vnode: vnode.id, replicas, why: Why::Lead }));
            }
        }
        best
    }

    /// How many replicas a host has beyond its share.
    fn over_share(&self, host: &Host) -> f64 {
        let index = self.fleet.index(host.number).expect("a host of the fleet");
        host.replicas.count as f64 - self.shares[index]
    }

    /// Hosts that keep vnodes and are there.
    fn takers(&self) -> impl Iterator<Item = &'a Host> {
        self.fleet.active().filter(|host| !host.is_down)
    }

    /// The takers, who leads most first.
    pub(super) fn by_leaders(&self) -> Vec<&'a Host> {
        let mut hosts: Vec<&'a Host> = self.takers().collect();
        hosts.sort_by(|a, b| b.leaders.compare(a.leaders));
        hosts
    }

    fn is_busy(&self, host: &Host) -> bool {
        host.moving >= self.limits.node_moves_max
    }

    /// Where on a node a replica goes: the catalog's to shard 0.
    fn place(&self, vnode: VnodeId, host: &Host) -> Place {
        if vnode == CATALOG {
            return Place { node: host.number, shard: ShardId(0) };
        }
        self.fleet.place_on(host)
    }

    /// With a new replica on its way in at `place`, and `old` on its way out. If `old` should lead, another one should from
    /// now on: the one whose node leads least.
    fn with(&self, replicas: &Replicas, old: Option<Replica>, place: Place) -> Replicas {
        let mut all: Vec<Replica> = replicas.iter().filter(|replica| Some(*replica) != old).collect();
        if old == Some(replicas.first()) {
            let leaders = |replica: &Replica| self.fleet.host(replica.place.node).map(|host| host.leaders);
            let least = all.iter().enumerate().min_by(|(_, a), (_, b)| match (leaders(a), leaders(b)) {
                (Some(a), Some(b)) => a.compare(b),
                (a, b) => b.is_some().cmp(&a.is_some()),
            });
            if let Some((least, _)) = least {
                let first = all.remove(least);
                all.insert(0, first);
            }
        }
        all.extend(old.map(|old| Replica { role: Role::Leaving, ..old }));
        all.push(Replica { peer: self.next_peer, place, role: Role::Joining });
        Replicas::new(&all)
    }
}

/// The hosts that it helps to move something to from here, with their rank.
fn useful<'a>(from: &Host, empty: &[&'a Host]) -> Vec<(usize, &'a Host)> {
    let helps = |(_, to): &(usize, &Host)| from.replicas.helps(to.replicas).is_gt();
    empty.iter().copied().enumerate().filter(helps).collect()
}
