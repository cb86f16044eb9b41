//! The first layout of a cluster.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::fleet::{Fleet, Load, mixed};
use crate::{
    node::{Node, NodeState},
    ring::{CATALOG, PeerId, Place, Replica, Replicas, Ring, Role, ShardId},
};

/// How a cluster begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Founding {
    /// Equal ranges, epoch 1.
    pub ring: Ring,
    /// Who keeps the catalog.
    pub catalog: Replicas,
    /// The number of the next replica.
    pub next_peer: PeerId,
}

/// Passes over all vnodes at most, to even out what dealing them one by one has left; each makes it better or is the last.
const PASSES_MAX: usize = 64;

/// The hosts of one vnode, as indexes into the fleet; who leads first.
type Picked = Vec<usize>;

/// Deals `vnode_count` equal ranges to nodes, of which there is at least one, all of them active.
pub fn found<'a>(nodes: impl IntoIterator<Item = &'a Node>, vnode_count: u32) -> Founding {
    let mut fleet = Fleet::empty(nodes.into_iter(), &BTreeSet::new());
    assert!(!fleet.hosts.is_empty(), "a cluster has a node");
    assert!(
        fleet.hosts.iter().all(|host| host.state == NodeState::Active),
        "a cluster begins with nodes that stay"
    );
    let picked_for_catalog = pick(&fleet, CATALOG.0, |_| Ordering::Equal);
    let mut next_peer = 1..;
    let mut number = || PeerId(next_peer.next().expect("replicas' numbers do not run out"));
    let catalog: Vec<Replica> = picked_for_catalog
        .iter()
        .map(|host| Place { node: fleet.hosts[*host].number, shard: ShardId(0) })
        .map(|place| Replica { peer: number(), place, role: Role::Voter })
        .collect();
    let mut dealt: Vec<Picked> = (0..vnode_count).map(|vnode| deal(&mut fleet, vnode)).collect();
    even_out_replicas(&mut fleet, &mut dealt);
    even_out_leaders(&mut fleet, &mut dealt);
    let ring = Ring::equal(vnode_count, |vnode| {
        let replicas = dealt[vnode as usize].iter().enumerate().map(|(nth, host)| Replica {
            peer: number(),
            place: take_shard(&mut fleet, *host, nth == 0),
            role: Role::Voter,
        });
        Replicas::new(&replicas.collect::<Vec<Replica>>())
    });
    Founding { ring, catalog: Replicas::new(&catalog), next_peer: number() }
}

/// As many hosts as there should be replicas: of zones that have none yet first, among those by `order`, then by number for
/// the catalog and by chance for others.
fn pick(fleet: &Fleet, vnode: u32, order: impl Fn((usize, usize)) -> Ordering) -> Picked {
    let mut picked: Picked = Vec::with_capacity(fleet.wanted());
    while picked.len() < fleet.wanted() {
        let zone_is_new =
            |host: usize| picked.iter().all(|other| fleet.hosts[*other].zone != fleet.hosts[host].zone);
        let tie = |host: usize| if vnode == CATALOG.0 { 0 } else { mixed(vnode, fleet.hosts[host].number) };
        let best = (0..fleet.hosts.len()).filter(|host| !picked.contains(host)).min_by(|a, b| {
            let by_zone = zone_is_new(*b).cmp(&zone_is_new(*a));
            by_zone.then_with(|| order((*a, *b))).then_with(|| tie(*a).cmp(&tie(*b)))
        });
        picked.push(best.expect("there are as many hosts as wanted"));
    }
    picked
}

/// Picks the hosts of one vnode by what they have, and counts it to them.
fn deal(fleet: &mut Fleet, vnode: u32) -> Picked {
    let loads: Vec<Load> = fleet.hosts.iter().map(|host| host.replicas).collect();
    let mut picked = pick(fleet, vnode + 1, |(a, b)| loads[a].compare(loads[b]));
    let leader = (0..picked.len()).min_by(|a, b| {
        let leaders = |nth: &usize| fleet.hosts[picked[*nth]].leaders;
        leaders(a).compare(leaders(b))
    });
    picked.swap(0, leader.expect("there is one"));
    picked.iter().for_each(|host| fleet.hosts[*host].replicas.count += 1);
    fleet.hosts[picked[0]].leaders.count += 1;
    picked
}

/// Moves replicas one by one as long as that helps.
fn even_out_replicas(fleet: &mut Fleet, dealt: &mut [Picked]) {
    for _ in 0..PASSES_MAX {
        let mut helped = false;
        for picked in dealt.iter_mut() {
            for nth in 0..picked.len() {
                let Some(better) = better_host(fleet, picked, nth) else { continue };
                fleet.hosts[picked[nth]].replicas.count -= 1;
                fleet.hosts[better].replicas.count += 1;
                if nth == 0 {
                    fleet.hosts[picked[0]].leaders.count -= 1;
                    fleet.hosts[better].leaders.count += 1;
                }
                picked[nth] = better;
                helped = true;
            }
        }
        if !helped {
            return;
        }
    }
}

fn better_host(fleet: &Fleet, picked: &Picked, nth: usize) -> Option<usize> {
    let zones = |replaced: usize| {
        let hosts = picked.iter().enumerate().map(|(at, host)| if at == nth { replaced } else { *host });
        fleet.zone_count(hosts.map(|host| fleet.hosts[host].number))
    };
    let here = fleet.hosts[picked[nth]].replicas;
    let now = zones(picked[nth]);
    let helps = |host: &usize| here.helps(fleet.hosts[*host].replicas).is_gt();
    let others = (0..fleet.hosts.len()).filter(|host| !picked.contains(host) && helps(host));
    others
        .filter(|host| zones(*host) >= now)
        .min_by(|a, b| fleet.hosts[*a].replicas.compare(fleet.hosts[*b].replicas))
}

/// Lets others lead as long as that helps.
fn even_out_leaders(fleet: &mut Fleet, dealt: &mut [Picked]) {
    for _ in 0..PASSES_MAX {
        let mut helped = false;
        for picked in dealt.iter_mut() {
            let here = fleet.hosts[picked[0]].leaders;
            let better = (1..picked.len())
                .filter(|nth| here.helps(fleet.hosts[picked[*nth]].leaders).is_gt())
                .min_by(|a, b| fleet.hosts[picked[*a]].leaders.compare(fleet.hosts[picked[*b]].leaders));
            if let Some(nth) = better {
                fleet.hosts[picked[0]].leaders.count -= 1;
                fleet.hosts[picked[nth]].leaders.count += 1;
                picked.swap(0, nth);
                helped = true;
            }
        }
        if !helped {
            return;
        }
    }
}

/// The shard of a host that has fewest of those that lead, or of those that follow.
fn take_shard(fleet: &mut Fleet, host: usize, leads: bool) -> Place {
    let host = &mut fleet.hosts[host];
    let alike = |shard: &(u64, u64)| if leads { shard.1 } else { shard.0 - shard.1 };
    let fewest = host.shards.iter().enumerate().min_by_key(|(index, shard)| (alike(shard), shard.0, *index));
    let shard = fewest.expect("a node has a shard").0;
    host.shards[shard].0 += 1;
    host.shards[shard].1 += u64::from(leads);
    Place { node: host.number, shard: ShardId(shard as u16) }
}
