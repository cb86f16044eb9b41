//! The nodes of a map with what they have: what placement counts.

use std::collections::{BTreeMap, BTreeSet};

use super::{Limits, REPLICAS_WANTED, Why};
use crate::{
    map::Map,
    node::{Node, NodeState},
    ring::{NodeId, Place, REPLICAS_MAX, Replica, Replicas, Role, ShardId},
};

/// A node and what it has.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) number: NodeId,
    /// Its zone, as a number.
    pub(super) zone: usize,
    pub(super) state: NodeState,
    pub(super) is_down: bool,
    /// Replicas that it has in the end.
    pub(super) replicas: Load,
    /// Vnodes that it should lead.
    pub(super) leaders: Load,
    /// By shard: replicas, and how many of them should lead.
    pub(super) shards: Vec<(u64, u64)>,
    /// Vnodes of which it is getting a replica, or losing one.
    pub(super) moving: usize,
}

/// How much a host has of something, and what it has it with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) count: u64,
    /// Shards.
    pub(super) weight: u64,
}

impl Load {
    /// How much smaller the sum of squares becomes when one goes: twice the count, less one, by the weight.
    fn relief(self) -> (i128, i128) {
        (2 * i128::from(self.count) - 1, i128::from(self.weight))
    }

    /// How much larger it becomes when one comes.
    fn burden(self) -> (i128, i128) {
        (2 * i128::from(self.count) + 1, i128::from(self.weight))
    }

    /// By how much it helps, if it does, that one goes from here to there: less is none, equal is neither.
    pub(super) fn helps(self, there: Load) -> std::cmp::Ordering {
        let ((relief, here), (burden, there)) = (self.relief(), there.burden());
        (relief * there).cmp(&(burden * here))
    }

    /// Who has more, for its weight, after one more.
    pub(super) fn compare(self, other: Load) -> std::cmp::Ordering {
        let ((a, a_weight), (b, b_weight)) = (self.burden(), other.burden());
        (a * b_weight).cmp(&(b * a_weight))
    }
}

/// All nodes, ascending by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Fleet {
    pub(super) hosts: Vec<Host>,
    /// Vnodes whose replicas are under way, the catalog's among them.
    pub(super) moving: usize,
    /// In how many zones nodes keep vnodes.
    zones_active: usize,
}

/// What was counted comes or goes.
fn add<N: Copy + TryInto<i64> + TryFrom<i64>>(count: &mut N, by: i64) {
    let sum = (*count).try_into().ok().map(|count| count + by);
    *count = sum.and_then(|sum| N::try_from(sum).ok()).expect("what goes was counted when it came");
}

impl Fleet {
    /// These nodes, with nothing on them.
    pub(super) fn empty<'a>(nodes: impl Iterator<Item = &'a Node>, down: &BTreeSet<NodeId>) -> Fleet {
        let mut zones: BTreeMap<&str, usize> = BTreeMap::new();
        let mut hosts: Vec<Host> = Vec::new();
        for node in nodes {
            let next = zones.len();
            let weight = node.addresses.len().max(1) as u64;
            hosts.push(Host {
                number: node.number,
                zone: *zones.entry(&node.zone).or_insert(next),
                state: node.state,
                is_down: down.contains(&node.number),
                replicas: Load { count: 0, weight },
                leaders: Load { count: 0, weight },
                shards: vec![(0, 0); weight as usize],
                moving: 0,
            });
        }
        hosts.sort_unstable_by_key(|host| host.number);
        let mut fleet = Fleet { hosts, moving: 0, zones_active: 0 };
        fleet.zones_active = fleet.zone_count(fleet.active().map(|host| host.number));
        fleet
    }

    /// The map's nodes, with what they have.
    pub(super) fn of(map: &Map, limits: &Limits) -> Fleet {
        let mut fleet = Fleet::empty(map.nodes.values().map(|node| &**node), &limits.down);
        for vnode in map.ring.vnodes() {
            fleet.count(&vnode.replicas, 1);
        }
        fleet.count_moves(&map.catalog, 1);
        fleet
    }

    /// Counts a vnode's replicas: with 1 they come, with -1 they go.
    pub(super) fn count(&mut self, replicas: &Replicas, by: i64) {
        self.count_moves(replicas, by);
        let leader = replicas.first().peer;
        for replica in replicas.target() {
            let Some(index) = self.index(replica.place.node) else { continue };
            let host = &mut self.hosts[index];
            let leads = if replica.peer == leader { by } else { 0 };
            add(&mut host.replicas.count, by);
            add(&mut host.leaders.count, leads);
            if let Some(shard) = host.shards.get_mut(usize::from(replica.place.shard.0)) {
                add(&mut shard.0, by);
                add(&mut shard.1, leads);
            }
        }
    }

    /// Counts what is under way of a vnode, or of the catalog.
    pub(super) fn count_moves(&mut self, replicas: &Replicas, by: i64) {
        if !replicas.is_moving() {
            return;
        }
        add(&mut self.moving, by);
        for replica in replicas.iter().filter(|replica| replica.role != Role::Voter) {
            if let Some(index) = self.index(replica.place.node) {
                add(&mut self.hosts[index].moving, by);
            }
        }
    }

    /// What is wrong with a vnode's replicas, of which there should be `wanted`. It depends on the states and zones of nodes, not on what they have.
    pub(super) fn wrong(&self, replicas: &Replicas, wanted: usize) -> Option<Why> {
        if replicas.is_moving() {
            return None;
        }
        let state = |one: Replica| self.host(one.place.node).map_or(NodeState::Removed, |host| host.state);
        let is_any = |wrong: NodeState| replicas.iter().any(|one| state(one) == wrong);
        let zones = || self.zones_with(replicas, None, None);
        match () {
            () if is_any(NodeState::Removed) => Some(Why::Removed),
            () if is_any(NodeState::Draining) => Some(Why::Drain),
            () if replicas.len() < wanted => Some(Why::Grow),
            () if zones() < replicas.len().min(self.zones_active) => Some(Why::Zone),
            () => None,
        }
    }

    /// In how many zones these replicas would be without `old` and with one on `new`.
    pub(super) fn zones_with(&self, replicas: &Replicas, old: Option<Replica>, new: Option<&Host>) -> usize {
        let stay = replicas.iter().filter(|replica| Some(*replica) != old).map(|replica| replica.place.node);
        let stay = stay.filter_map(|node| Some(self.host(node)?.zone));
        let mut zones = [usize::MAX; REPLICAS_MAX + 1];
        let mut count = 0;
        for zone in stay.chain(new.map(|host| host.zone)) {
            if !zones[..count].contains(&zone) {
                zones[count] = zone;
                count += 1;
            }
        }
        count
    }

    pub(super) fn index(&self, node: NodeId) -> Option<usize> {
        self.hosts.binary_search_by_key(&node, |host| host.number).ok()
    }

    pub(super) fn host(&self, node: NodeId) -> Option<&Host> {
        self.index(node).map(|index| &self.hosts[index])
    }

    /// Nodes that keep vnodes.
    pub(super) fn active(&self) -> impl Iterator<Item = &Host> {
        self.hosts.iter().filter(|host| host.state == NodeState::Active)
    }

    /// Replicas that a vnode should have.
    pub(super) fn wanted(&self) -> usize {
        self.active().count().min(REPLICAS_WANTED)
    }

    /// In how many zones these nodes are.
    pub(super) fn zone_count(&self, nodes: impl Iterator<Item = NodeId>) -> usize {
        let zones: BTreeSet<usize> = nodes.filter_map(|node| Some(self.host(node)?.zone)).collect();
        zones.len()
    }

    /// Where on a node the next replica should be.
    pub(super) fn place_on(&self, host: &Host) -> Place {
        let fewest = host.shards.iter().enumerate().min_by_key(|(index, shard)| (shard.0, *index));
        let shard = fewest.expect("a node has a shard").0;
        Place { node: host.number, shard: ShardId(shard as u16) }
    }

    /// How many of `vnode_count` vnodes' replicas each node should have: in proportion to its shards, as far as zones and
    /// one replica per node allow. By host; those that keep nothing have 0.
    pub(super) fn shares(&self, vnode_count: usize) -> Vec<f64> {
        let mut zones: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, host) in self.hosts.iter().enumerate() {
            if host.state == NodeState::Active {
                zones.entry(host.zone).or_default().push(index);
            }
        }
        let (wanted, vnodes) = (self.wanted(), vnode_count as f64);
        // With a zone for each replica a zone has one of them; else the others have at least one.
        let in_zone = wanted.saturating_sub(zones.len().saturating_sub(1)).max(1);
        let bound = |hosts: &Vec<usize>| in_zone.min(hosts.len()) as f64 * vnodes;
        let share = |host: usize, level: f64| (level * self.hosts[host].replicas.weight as f64).min(vnodes);
        let filled =
            |hosts: &Vec<usize>, level: f64| hosts.iter().map(|host| share(*host, level)).sum::<f64>();
        let amount = wanted as f64 * vnodes;
        let all = |level| zones.values().map(|hosts| filled(hosts, level).min(bound(hosts))).sum();
        let level = level_for(amount, all);
        let mut shares = vec![0.0; self.hosts.len()];
        for hosts in zones.values() {
            let level = match filled(hosts, level) > bound(hosts) {
                true => level_for(bound(hosts), |level| filled(hosts, level)),
                false => level,
            };
            hosts.iter().for_each(|host| shares[*host] = share(*host, level));
        }
        shares
    }
}

/// The level up to which all have to be filled so that they hold an amount together, as water finds it. `filled` grows with
/// the level, and the level is no more than the amount.
fn level_for(amount: f64, filled: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, amount);
    for _ in 0..LEVEL_STEPS {
        let middle = (low + high) / 2.0;
        if filled(middle) < amount { low = middle } else { high = middle }
    }
    high
}

/// Halvings until a level is exact to far less than a replica.
const LEVEL_STEPS: usize = 60;

/// A number that looks random, of a vnode and a node: who comes first among equals, so that vnodes' sets of nodes differ.
pub(super) fn mixed(vnode: u32, node: NodeId) -> u64 {
    let mut mixed = (u64::from(vnode) << 16 | u64::from(node.0)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
