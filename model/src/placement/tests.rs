//! Clusters that grow, shrink and lose nodes: what holds after every step, and how they end.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::fleet::Fleet;
use super::*;
use crate::{
    map::Map,
    node::{Node, NodeState},
    ring::{CATALOG, PeerId, Place, Replica, Role, ShardId},
    testing::Chance,
};

fn node(number: u16, zone: &str, shards: u16) -> Node {
    let address = |shard: u16| format!("10.0.0.{}:{}", number + 1, 7000 + shard).parse().expect("an address");
    Node {
        number: NodeId(number),
        id: 1000 + u128::from(number),
        name: format!("node-{number}"),
        zone: zone.to_string(),
        addresses: (0..shards).map(address).collect(),
        http: None,
        state: NodeState::Active,
    }
}

/// A cluster as its catalog has it.
struct Cluster {
    map: Map,
    next_peer: PeerId,
    limits: Limits,
    /// Replicas that were made.
    made: usize,
    leads: usize,
    steps: usize,
}

impl Cluster {
    fn new(nodes: &[Node], vnode_count: u32) -> Cluster {
        let Founding { ring, catalog, next_peer } = found(nodes, vnode_count);
        let nodes = nodes.iter().map(|node| (node.number, Rc::new(node.clone()))).collect();
        let map = Map { version: 1, ring, catalog, nodes, tables: BTreeMap::new() };
        Cluster { map, next_peer, limits: Limits::default(), made: 0, leads: 0, steps: 0 }
    }

    fn replicas(&self) -> Vec<(VnodeId, Replicas)> {
        let vnodes = self.map.ring.vnodes().map(|vnode| (vnode.id, vnode.replicas));
        std::iter::once((CATALOG, self.map.catalog)).chain(vnodes).collect()
    }

    fn set(&mut self, vnode: VnodeId, replicas: Replicas) {
        assert_eq!(replicas.check(), Ok(()));
        match vnode {
            CATALOG => self.map.catalog = replicas,
            _ => self.map.ring.set_replicas(vnode, replicas),
        }
        self.steps += 1;
    }

    fn state(&mut self, node: u16, state: NodeState) {
        let node = self.map.nodes.get_mut(&NodeId(node)).expect("a node");
        *node = Rc::new(Node { state, ..Node::clone(node) });
    }

    fn fleet(&self) -> Fleet {
        Fleet::of(&self.map, &self.limits)
    }

    /// Takes a move, after looking at it.
    fn take(&mut self, taken: Move) {
        let old = self.map.replicas(taken.vnode).expect("a vnode of the map");
        let fleet = self.fleet();
        let made: Vec<Replica> = taken.replicas.iter().filter(|new| old.peer(new.peer).is_none()).collect();
        if taken.why != Why::Lead {
            assert!(fleet.moving < self.limits.moves_max || taken.why == Why::Undo, "paced: {taken:?}");
        }
        for new in &made {
            assert_eq!((new.peer, new.role), (self.next_peer, Role::Joining));
            let host = fleet.host(new.place.node).expect("a node of the map");
            assert!(host.state == NodeState::Active && !host.is_down, "{taken:?}");
            assert!(host.moving < self.limits.node_moves_max, "{taken:?}");
            assert!(usize::from(new.place.shard.0) < host.shards.len());
            assert!(taken.vnode != CATALOG || new.place.shard == ShardId(0));
        }
        // Nobody is forgotten here, and of those who vote as many as ever stay until the new one does.
        assert!(old.iter().all(|replica| taken.replicas.peer(replica.peer).is_some()), "{taken:?}");
        let voters = |replicas: &Replicas| replicas.iter().filter(|one| one.role == Role::Voter).count();
        if taken.why != Why::Undo {
            assert!(voters(&taken.replicas) + 1 >= voters(&old), "{old:?} {taken:?}");
        }
        assert!(made.len() <= 1);
        self.made += made.len();
        self.leads += usize::from(taken.why == Why::Lead);
        self.next_peer.0 += made.len() as u32;
        self.set(taken.vnode, taken.replicas);
    }

    /// Some group that is on the move has done it.
    fn finish_one(&mut self, chance: &mut Chance) -> bool {
        let moving: Vec<(VnodeId, Replicas)> =
            self.replicas().into_iter().filter(|(_, replicas)| replicas.is_moving()).collect();
        if moving.is_empty() {
            return false;
        }
        let (vnode, replicas) = moving[chance.below(moving.len() as u64) as usize];
        self.set(vnode, finish(&replicas));
        true
    }

    /// Until nothing is to be done any more; `stop` after so many steps.
    fn settle(&mut self, chance: &mut Chance, stop: usize) {
        let steps_max = self.steps + stop;
        loop {
            if self.steps >= steps_max {
                return;
            }
            if chance.below(3) == 0 && self.finish_one(chance) {
                continue;
            }
            match next_move(&self.map, self.next_peer, &self.limits) {
                Some(taken) => self.take(taken),
                None if self.finish_one(chance) => {}
                None => return,
            }
            assert!(self.steps < 1_000_000, "it does not end");
        }
    }

    /// All is where it should be.
    fn check_settled(&self, what: &str) {
        let fleet = self.fleet();
        let active: Vec<&Node> = self
            .map
            .nodes
            .values()
            .map(|node| &**node)
            .filter(|node| node.state == NodeState::Active)
            .collect();
        let zones: BTreeSet<&str> = active.iter().map(|node| node.zone.as_str()).collect();
        let wanted = active.len().min(REPLICAS_WANTED);
        for (vnode, replicas) in self.replicas() {
            assert!(!replicas.is_moving(), "{what}: {vnode:?}");
            assert!(replicas.len() >= wanted, "{what}: {vnode:?} {replicas:?}");
            let settled = replicas.iter().all(|one| active.iter().any(|node| node.number == one.place.node));
            assert!(settled || active.len() < REPLICAS_WANTED, "{what}: {vnode:?} {replicas:?}");
            if settled {
                let zones_used = fleet.zone_count(replicas.iter().map(|one| one.place.node));
                assert_eq!(zones_used, zones.len().min(replicas.len()), "{what}: {vnode:?} {replicas:?}");
            }
        }
        self.check_balance(what);
        assert_eq!(progress(&self.map, &self.limits).moving, 0);
    }

    /// No node has more than 1.15 times what it should, rounded up: of replicas as far as zones let it, of leaders by its shards.
    fn check_balance(&self, what: &str) {
        let fleet = self.fleet();
        if fleet.active().count() < REPLICAS_WANTED {
            return;
        }
        let shares = fleet.shares(self.map.ring.len());
        for (host, share) in fleet.hosts.iter().zip(&shares) {
            let bound = (share * 1.15).max(share + 1.0).ceil();
            assert!(host.replicas.count as f64 <= bound, "{what}: {host:?} should have {share}");
            let weight: u64 = fleet.active().map(|host| host.leaders.weight).sum();
            let is_active = host.state == NodeState::Active;
            let weighs = if is_active { host.leaders.weight } else { 0 };
            let led = self.map.ring.len() as f64 * weighs as f64 / weight as f64;
            let bound = (led * 1.15).max(led + 1.0).ceil();
            if self.is_even() {
                assert!(host.leaders.count as f64 <= bound, "{what}: {host:?} should lead {led}");
            }
        }
    }

    /// Zones of equal weight, or one: then shares are proportional to shards, and so are leaders.
    fn is_even(&self) -> bool {
        let fleet = self.fleet();
        let mut weights: BTreeMap<usize, u64> = BTreeMap::new();
        for host in fleet.active() {
            *weights.entry(host.zone).or_default() += host.replicas.weight;
        }
        weights.len() != 2 && weights.values().all(|weight| Some(weight) == weights.values().next())
    }
}

fn draw_nodes(chance: &mut Chance, count: u64, zones: u64) -> Vec<Node> {
    let even = chance.below(2) == 0;
    (0..count)
        .map(|number| {
            let shards = if even { 2 } else { 1 + chance.below(4) as u16 };
            node(number as u16, &format!("zone-{}", number % zones), shards)
        })
        .collect()
}

#[test]
fn a_founding_ring_is_even_over_nodes_and_shards() {
    let mut chance = Chance::new(21);
    for round in 0..120 {
        let (count, zones) = (1 + chance.below(30), 1 + chance.below(5));
        let nodes = draw_nodes(&mut chance, count, zones);
        let vnodes = [1, 16, 256, 300][chance.below(4) as usize];
        let what = format!("round {round}: {count} nodes in {zones} zones, {vnodes} vnodes");
        let cluster = Cluster::new(&nodes, vnodes);
        let again = found(&nodes, vnodes);
        assert_eq!((&again.ring, again.catalog), (&cluster.map.ring, cluster.map.catalog), "{what}");
        cluster.check_settled(&what);
        let peers: BTreeSet<PeerId> =
            cluster.replicas().iter().flat_map(|(_, all)| all.iter().map(|one| one.peer)).collect();
        let count: usize = cluster.replicas().iter().map(|(_, all)| all.len()).sum();
        assert_eq!((peers.len(), cluster.next_peer.0 as usize), (count, count + 1), "{what}");
        assert!(cluster.map.catalog.iter().all(|one| one.place.shard == ShardId(0)));
        for host in cluster.fleet().hosts {
            let spread = |part: fn(&(u64, u64)) -> u64| {
                let counts = host.shards.iter().map(part);
                counts.clone().max().unwrap() - counts.min().unwrap()
            };
            assert!(spread(|shard| shard.0) <= 2 && spread(|shard| shard.1) <= 1, "{what}: {host:?}");
        }
    }
}

#[test]
fn three_nodes_in_three_zones_have_a_replica_of_everything_and_lead_a_third() {
    let nodes = [node(0, "a", 2), node(1, "b", 2), node(2, "c", 2)];
    let mut cluster = Cluster::new(&nodes, 256);
    for vnode in cluster.map.ring.vnodes() {
        let mut on: Vec<u16> = vnode.replicas.iter().map(|one| one.place.node.0).collect();
        on.sort_unstable();
        assert_eq!(on, [0, 1, 2]);
    }
    let led: Vec<u64> = cluster.fleet().hosts.iter().map(|host| host.leaders.count).collect();
    assert_eq!((led.iter().sum::<u64>(), led.iter().max()), (256, Some(&86)));
    let catalog: Vec<Place> = cluster.map.catalog.iter().map(|one| one.place).collect();
    assert_eq!(catalog, [0, 1, 2].map(|node| Place { node: NodeId(node), shard: ShardId(0) }));
    assert_eq!(next_move(&cluster.map, cluster.next_peer, &cluster.limits), None);
    cluster.settle(&mut Chance::new(1), 10);
    assert_eq!(cluster.steps, 0, "a cluster is founded in balance");
}

/// Nodes join, drain and are removed, also while the moves of the change before are under way.
#[test]
fn clusters_that_change_end_in_balance_and_move_little() {
    let (mut joined, mut drained, mut removed, mut tight) = (0, 0, 0, 0);
    for seed in 0..60 {
        let mut chance = Chance::new(seed);
        let (count, zones) = (1 + chance.below(12), 1 + chance.below(5));
        let nodes = draw_nodes(&mut chance, count, zones);
        let mut cluster = Cluster::new(&nodes, 64);
        let (mut next_node, mut is_settled) = (count as u16, true);
        for change in 0..6 {
            let active: Vec<u16> = cluster.fleet().active().map(|host| host.number.0).collect();
            let any = active[chance.below(active.len() as u64) as usize];
            let what = format!("seed {seed}, change {change}: {} nodes in {zones} zones", active.len());
            match chance.below(3) {
                1 if active.len() > REPLICAS_WANTED => {
                    cluster.state(any, NodeState::Draining);
                    drained += 1;
                }
                2 if active.len() > REPLICAS_WANTED => {
                    cluster.state(any, NodeState::Removed);
                    removed += 1;
                }
                _ if next_node < 30 => {
                    let zone = format!("zone-{}", chance.below(zones));
                    let new = node(next_node, &zone, 1 + chance.below(3) as u16);
                    cluster.map.nodes.insert(new.number, Rc::new(new));
                    next_node += 1;
                    joined += 1;
                }
                _ => {}
            }
            if chance.below(3) == 0 {
                // The next change comes before this one is done.
                let stop = chance.below(100) as usize;
                cluster.settle(&mut chance, stop);
                is_settled = false;
                continue;
            }
            let (least, made) = (least_moves(&cluster), cluster.made);
            let (moving, was_settled) = (cluster.fleet().moving, is_settled);
            is_settled = true;
            cluster.settle(&mut chance, usize::MAX / 2);
            cluster.check_settled(&what);
            // Shares are fractions, replicas are not. Where the change before was not done, both may need the same places.
            let (made, slack) = (cluster.made - made, active.len() as f64);
            let unsettled = if was_settled { 0.0 } else { least + moving as f64 };
            let most = 1.2 * least + unsettled + slack;
            assert!(made as f64 <= most, "{what}: {made} replicas were made, {least} needed");
            tight += usize::from(was_settled && least > 0.0);
        }
    }
    assert!(joined > 100 && drained > 20 && removed > 20, "{joined} {drained} {removed}");
    assert!(tight > 100, "{tight}");
}

/// Replicas that have to be made, whatever one does: what lacks anywhere; or one for each vnode that has too few or in too few
/// zones, and besides what a node lacks more than those vnodes could give it.
fn least_moves(cluster: &Cluster) -> f64 {
    let fleet = cluster.fleet();
    let shares = fleet.shares(cluster.map.ring.len());
    let active: BTreeSet<NodeId> = fleet.active().map(|host| host.number).collect();
    let zones = fleet.zone_count(active.iter().copied()).min(fleet.wanted());
    let (mut forced, mut for_host) = (0, vec![0_u32; fleet.hosts.len()]);
    for vnode in cluster.map.ring.vnodes() {
        let target = vnode.replicas.target().map(|one| one.place.node);
        let stay: Vec<NodeId> = target.filter(|node| active.contains(node)).collect();
        let zones_stay = fleet.zone_count(stay.iter().copied());
        let short = fleet.wanted().saturating_sub(stay.len()).max(zones.saturating_sub(zones_stay));
        forced += short;
        for (host, count) in fleet.hosts.iter().zip(&mut for_host).filter(|_| short > 0) {
            let zones_then = fleet.zone_count(stay.iter().copied().chain([host.number]));
            let helps = zones_then > zones_stay || zones_stay >= zones;
            *count += u32::from(helps && !stay.contains(&host.number));
        }
    }
    let lacks = || fleet.hosts.iter().zip(&shares).map(|(host, share)| share - host.replicas.count as f64);
    let besides = lacks().zip(&for_host).map(|(lacks, count)| (lacks - f64::from(*count)).max(0.0));
    lacks().map(|lacks| lacks.max(0.0)).sum::<f64>().max(forced as f64 + besides.sum::<f64>())
}

#[test]
fn a_fourth_node_gets_its_share_and_nothing_else_moves() {
    let nodes = [node(0, "a", 2), node(1, "b", 2), node(2, "c", 2)];
    let mut cluster = Cluster::new(&nodes, 256);
    cluster.map.nodes.insert(NodeId(3), Rc::new(node(3, "a", 2)));
    assert_eq!(progress(&cluster.map, &cluster.limits), Progress { moving: 0, left: 128 });
    cluster.settle(&mut Chance::new(5), usize::MAX / 2);
    cluster.check_settled("a fourth node");
    // Zone a has two nodes now, and they share its 256 replicas.
    assert_eq!(cluster.made, 128);
    let counts: Vec<u64> = cluster.fleet().hosts.iter().map(|host| host.replicas.count).collect();
    assert_eq!(counts, [128, 256, 256, 128]);
}

#[test]
fn a_node_that_is_down_loses_nothing_until_it_is_removed() {
    let nodes: Vec<Node> =
        (0..4).map(|number| node(number, ["a", "b", "c", "a"][number as usize], 2)).collect();
    let mut cluster = Cluster::new(&nodes, 64);
    cluster.limits.down.insert(NodeId(3));
    cluster.settle(&mut Chance::new(2), usize::MAX / 2);
    assert_eq!(cluster.steps, 0, "it may come back");
    cluster.state(3, NodeState::Removed);
    cluster.settle(&mut Chance::new(3), usize::MAX / 2);
    cluster.check_settled("removed");
    assert!(cluster.replicas().iter().all(|(_, all)| all.iter().all(|one| one.place.node != NodeId(3))));
}

/// The node that replicas were on their way to goes too: what left may stay, and nobody is forgotten before its group said so.
#[test]
fn a_move_to_a_node_that_is_gone_is_turned_back() {
    let nodes: Vec<Node> =
        (0..4).map(|number| node(number, ["a", "b", "c", "a"][number as usize], 2)).collect();
    let mut cluster = Cluster::new(&nodes[..3], 64);
    cluster.map.nodes.insert(NodeId(3), Rc::new(nodes[3].clone()));
    let first =
        next_move(&cluster.map, cluster.next_peer, &cluster.limits).expect("the fourth gets its share");
    cluster.take(first);
    let [leaving, joining] = [Role::Leaving, Role::Joining]
        .map(|role| first.replicas.iter().find(|one| one.role == role).expect("one of them"));
    assert_eq!((leaving.place.node, joining.place.node), (NodeId(0), NodeId(3)));
    cluster.state(3, NodeState::Removed);
    let undo = next_move(&cluster.map, cluster.next_peer, &cluster.limits).expect("it cannot end");
    assert_eq!((undo.why, undo.vnode), (Why::Undo, first.vnode));
    assert_eq!(undo.replicas.peer(leaving.peer).map(|one| one.role), Some(Role::Voter));
    assert_eq!(undo.replicas.peer(joining.peer).map(|one| one.role), Some(Role::Leaving));
    cluster.take(undo);
    // Both are gone: the two others have to do, until there is a third.
    cluster.state(0, NodeState::Removed);
    let again = next_move(&cluster.map, cluster.next_peer, &cluster.limits).expect("it cannot end");
    cluster.take(again);
    let voters = again.replicas.iter().filter(|one| one.role == Role::Voter).count();
    assert_eq!((again.why, voters, again.replicas.len()), (Why::Undo, 2, 4));
    cluster.map.nodes.insert(NodeId(4), Rc::new(node(4, "a", 2)));
    cluster.settle(&mut Chance::new(9), usize::MAX / 2);
    cluster.check_settled("a fifth node in its place");
}

#[test]
fn one_node_becomes_three() {
    let mut cluster = Cluster::new(&[node(0, "a", 2)], 16);
    assert!(cluster.replicas().iter().all(|(_, all)| all.len() == 1));
    for number in [1, 2] {
        cluster.map.nodes.insert(NodeId(number), Rc::new(node(number, ["a", "b", "c"][number as usize], 2)));
        cluster.settle(&mut Chance::new(4), usize::MAX / 2);
        assert!(cluster.replicas().iter().all(|(_, all)| all.len() == usize::from(number) + 1));
    }
    cluster.check_settled("three nodes");
}

#[test]
fn people_are_told_why_not() {
    let nodes: Vec<Node> =
        (0..5).map(|number| node(number, ["a", "b", "c", "a", "b"][number as usize], 2)).collect();
    let cluster = Cluster::new(&nodes, 16);
    let map = &cluster.map;
    let vnode =
        map.ring.vnodes().find(|vnode| vnode.replicas.iter().any(|one| one.place.node.0 == 0)).unwrap();
    let ask = |vnode, from, to: u16, shard: Option<u16>| {
        replace(map, VnodeId(vnode), NodeId(from), (NodeId(to), shard.map(ShardId)), cluster.next_peer)
    };
    let id = vnode.id.0;
    assert_eq!(ask(99, 0, 3, None).unwrap_err(), "there is no vnode 99");
    assert_eq!(ask(id, 3, 0, None).unwrap_err(), format!("node 3 has no replica of vnode {id}"));
    assert_eq!(ask(id, 0, 9, None).unwrap_err(), "node 9 is not one that keeps vnodes");
    assert_eq!(ask(id, 0, 2, None).unwrap_err(), format!("node 2 has a replica of vnode {id} already"));
    assert_eq!(ask(id, 0, 3, Some(2)).unwrap_err(), format!("vnode {id} cannot be on shard 2 of node 3"));
    let free = if vnode.replicas.iter().any(|one| one.place.node.0 == 1) { 4 } else { 1 };
    let same_zone = ask(id, 0, free, None).unwrap_err();
    assert_eq!(same_zone, format!("node {free} is in the same zone as another replica of vnode {id}"));
    let moved = ask(id, 0, 3, Some(1)).unwrap();
    assert_eq!(moved.peer(cluster.next_peer).unwrap().place, Place { node: NodeId(3), shard: ShardId(1) });
    let led = transfer(map, vnode.id, NodeId(2)).unwrap();
    assert_eq!((led.first().place.node, led.len()), (NodeId(2), 3));
    let refused = transfer(map, vnode.id, NodeId(3)).unwrap_err();
    assert_eq!(refused, format!("node 3 has no replica of vnode {id}"));
}
