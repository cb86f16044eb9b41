//! The catalog of a cluster: nodes come and go, replicas are moved, watchers hear of it. One node is real; the others are
//! words in messages.

use crate::crash::{small, small_world};
use crate::harness::*;
use model::error::Code;
use model::map::Map;
use model::node::{Node as Member, NodeState};
use model::placement::found;
use model::ring::{NodeId, Replicas, Role, ShardId, VnodeId};
use net::message::{
    Announce, Catalog, Cluster, Member as Presented, MoveReplica, Operation, Prefer, Remove, Report, Watch,
};
use runtime::Runtime;
use runtime::sync::join_all;
use shard::ShardOptions;
use shard::node::Identity;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// The map of a cluster of this one node, before its catalog has spoken.
fn founding(identity: &Identity) -> Map {
    let address = |shard: u16| format!("10.0.0.1:{}", 7000 + shard).parse().expect("an address");
    let node = Member {
        number: NodeId(0),
        id: identity.node,
        name: "first".to_string(),
        zone: "zone-a".to_string(),
        addresses: (0..identity.shard_count).map(address).collect(),
        http: None,
        state: NodeState::Active,
    };
    let founding = found([&node], VNODES);
    Map {
        version: 0,
        ring: founding.ring,
        catalog: founding.catalog,
        nodes: BTreeMap::from([(NodeId(0), Rc::new(node))]),
        tables: BTreeMap::new(),
    }
}

/// Its catalog stays with the one node that is real, for the test's sake.
fn cluster(seed: u64) -> Node {
    let change = |options: &mut ShardOptions| {
        small(options);
        options.moves.catalog_replicas = 1;
    };
    Node::founded(small_world(seed), 2, change, founding)
}

fn presented(id: u128, name: &str, zone: &str, host: u8) -> Presented {
    let addresses = (0..2).map(|shard| format!("10.0.0.{host}:{}", 7000 + shard)).collect();
    Presented { id, name: name.to_string(), zone: zone.to_string(), addresses, http: None }
}

async fn ask(client: &Client, change: Cluster) -> Answer {
    client.send(ShardId(0), Operation::Cluster(change)).await.expect("the catalog answers")
}

async fn refused(client: &Client, change: Cluster) -> String {
    let answer = ask(client, change).await;
    let (code, message) = answer.failure();
    assert_eq!(code, Code::Validation);
    message.to_string()
}

async fn watch(client: &Client, have: u64, watcher: u128, node: Option<u16>) -> Answer {
    let watch = Watch { have, watcher, node, anyone: false };
    client.send(ShardId(0), Operation::Watch(watch)).await.expect("it is answered")
}

fn map(client: &Client) -> Rc<Map> {
    client.mesh.map().get()
}

/// What the groups would do: everything that the map asks for, and the reports of it. Nodes are heard of all the while, and an id is that of one
/// replica for ever.
async fn work_until(client: &Client, nodes: &[u16], done: impl Fn(&Map) -> bool) {
    let mut homes = BTreeMap::new();
    for _ in 0..10_000 {
        let map = map(client);
        for vnode in map.ring.vnodes() {
            for replica in vnode.replicas.iter() {
                let home = (vnode.id, replica.place);
                let first = *homes.entry(replica.peer).or_insert(home);
                assert_eq!(first, home, "{:?} was another replica before", replica.peer);
            }
        }
        let all = map.ring.vnodes().map(|vnode| (vnode.id, vnode.replicas));
        let moving: Vec<(VnodeId, Replicas)> = all.filter(|(_, replicas)| replicas.is_moving()).collect();
        if moving.is_empty() && done(&map) {
            return;
        }
        for (vnode, replicas) in moving {
            let voters = replicas.target().map(|replica| replica.peer.0).collect();
            let report = Report { vnode: vnode.0, epoch: map.ring.epoch, voters };
            assert_eq!(ask(client, Cluster::Report(report)).await, Answer::Done);
        }
        for node in nodes {
            // Who has an older map is answered at once.
            watch(client, 0, 1000 + u128::from(*node), Some(*node)).await;
        }
        client.rt.sleep(Duration::from_millis(1)).await;
    }
    panic!("it does not come to be: {:?}", map(client));
}

fn is_spread(map: &Map) -> bool {
    let is_kept = |node: NodeId| map.nodes[&node].state == NodeState::Active;
    map.ring
        .vnodes()
        .map(|vnode| vnode.replicas)
        .all(|replicas| replicas.len() == 3 && replicas.iter().all(|one| is_kept(one.place.node)))
}

#[test]
fn nodes_join_a_cluster_and_get_their_share() {
    let node = cluster(1);
    node.run(|client| async move {
        assert_eq!(map(&client).nodes.len(), 1);
        for (number, zone) in [(1, "zone-b"), (2, "zone-c"), (3, "zone-a")] {
            let member = presented(100 + number, &format!("node-{number}"), zone, 1 + number as u8);
            assert_eq!(ask(&client, Cluster::Join(member.clone())).await, Answer::Joined(number as u16));
            // The answer got lost, and it is asked again: perhaps with a shard's address that differs.
            assert_eq!(ask(&client, Cluster::Join(member.clone())).await, Answer::Joined(number as u16));
            let announce = |member| Cluster::Announce(Announce { node: number as u16, member });
            assert_eq!(ask(&client, announce(member.clone())).await, Answer::Joined(number as u16));
            let nodes = map(&client).nodes.clone();
            let moved =
                Presented { addresses: vec!["10.9.9.9:1".into(), "10.9.9.9:2".into()], ..member.clone() };
            assert_eq!(ask(&client, announce(moved)).await, Answer::Joined(number as u16));
            assert_ne!(map(&client).nodes, nodes);
            assert_eq!(ask(&client, announce(member)).await, Answer::Joined(number as u16));
            assert_eq!(map(&client).nodes, nodes);
        }
        work_until(&client, &[1, 2, 3], is_spread).await;
        let mut counts = BTreeMap::<u16, u32>::new();
        for vnode in map(&client).ring.vnodes() {
            vnode.replicas.iter().for_each(|one| *counts.entry(one.place.node.0).or_default() += 1);
        }
        // Zone a has two nodes of two shards each, and they share its replicas.
        assert_eq!(counts, BTreeMap::from([(0, VNODES / 2), (1, VNODES), (2, VNODES), (3, VNODES / 2)]));
        client.create("t").await;
    });
    let before = map(&node.client(0));
    node.restart();
    assert!(node.settle(), "{:?}", node.failures.borrow());
    assert_eq!(*map(&node.client(0)), *before);
}

#[test]
fn a_restart_finds_the_cluster_as_it_was() {
    let node = cluster(2);
    node.run(|client| async move {
        client.create("t").await;
        assert_eq!(ask(&client, Cluster::Pause(true)).await, Answer::Done);
        assert_eq!(ask(&client, Cluster::Join(presented(7, "second", "zone-b", 2))).await, Answer::Joined(1));
        client.rt.sleep(Duration::from_secs(3)).await;
        assert!(map(&client).ring.vnodes().all(|vnode| vnode.replicas.len() == 1), "moves are paused");
    });
    let before = map(&node.client(0));
    node.restart();
    assert!(node.settle(), "{:?}", node.failures.borrow());
    assert_eq!(*map(&node.client(0)), *before);
    node.run(|client| async move {
        let Answer::Status { moving, left, paused, up } = ask(&client, Cluster::Status).await else {
            panic!()
        };
        assert_eq!((moving, left, paused), (0, VNODES, true));
        assert_eq!(up, [(0, true), (1, true)], "who was not heard of yet may be there");
        assert_eq!(ask(&client, Cluster::Pause(false)).await, Answer::Done);
        let moving = loop {
            match map(&client).ring.vnodes().find(|vnode| vnode.replicas.is_moving()) {
                Some(vnode) => break vnode,
                None => client.rt.sleep(Duration::from_millis(5)).await,
            }
        };
        ask(&client, Cluster::Pause(true)).await;
        let now = || map(&client).ring.vnode(moving.id).unwrap().replicas;
        let voters: Vec<u32> = moving.replicas.target().map(|one| one.peer.0).collect();
        let report = Report { vnode: moving.id.0, epoch: map(&client).ring.epoch, voters };
        for wrong in [
            Report { epoch: 1, ..report.clone() },
            Report { voters: report.voters[..1].to_vec(), ..report.clone() },
            Report { vnode: 999, ..report.clone() },
        ] {
            assert_eq!(ask(&client, Cluster::Report(wrong)).await, Answer::Done);
            assert!(now().is_moving(), "an old report, or one of something else, changes nothing");
        }
        assert_eq!(ask(&client, Cluster::Report(report.clone())).await, Answer::Done);
        assert_eq!((now().is_moving(), now().len()), (false, 2));
        let version = map(&client).version;
        assert_eq!(ask(&client, Cluster::Report(report)).await, Answer::Done);
        assert_eq!(map(&client).version, version, "a second report changes nothing");
    });
}

/// Each of the ways in which a node is not who it says it is.
#[test]
fn who_cannot_join_is_told_why_and_what_to_do() {
    let node = cluster(3);
    node.run(|client| async move {
        ask(&client, Cluster::Pause(true)).await;
        let second = presented(7, "second", "zone-b", 2);
        ask(&client, Cluster::Join(second.clone())).await;
        let version = map(&client).version;
        assert_eq!(ask(&client, Cluster::Join(second.clone())).await, Answer::Joined(1));
        let again = Cluster::Announce(Announce { node: 1, member: second.clone() });
        assert_eq!(ask(&client, again).await, Answer::Joined(1));
        assert_eq!(map(&client).version, version, "what changes nothing writes nothing");
        let join = |member: Presented| refused(&client, Cluster::Join(member));
        let announce = |node, member| refused(&client, Cluster::Announce(Announce { node, member }));

        let text = join(Presented { name: "other".into(), ..second.clone() }).await;
        assert!(
            text.contains("belongs to node 1, which is called `second`: start it under that name"),
            "{text}"
        );
        let text = join(Presented { id: 8, ..second.clone() }).await;
        assert!(text.contains("`second` already (number 1), and it is alive: choose another name"), "{text}");
        client.rt.sleep(Duration::from_secs(6)).await;
        let text = join(Presented { id: 8, ..second.clone() }).await;
        assert!(text.contains("with another data directory: start it with that one; or"), "{text}");
        assert!(text.contains("torc ctl remove second --force"), "{text}");
        let text = join(Presented { id: 9, name: "third".into(), ..second.clone() }).await;
        assert!(text.contains("10.0.0.2:7000 is where node 1 (`second`) is reached"), "{text}");
        let text = announce(9, second.clone()).await;
        assert!(text.contains("this cluster has no node 9"), "{text}");
        let text = announce(1, Presented { id: 8, ..second.clone() }).await;
        assert!(text.contains("node 1 (`second`) has another data directory"), "{text}");
        let text = announce(1, Presented { addresses: vec!["10.0.0.2:7000".into()], ..second.clone() }).await;
        assert!(text.contains("has 2 shards, which never changes"), "{text}");
        for (name, zone, address) in [
            ("", "zone-b", "10.0.0.7:1"),
            ("a b", "zone-b", "10.0.0.7:1"),
            ("third", "zone/b", "10.0.0.7:1"),
            ("third", "zone-b", "10.0.0.7:0"),
            ("third", "zone-b", "0.0.0.0:7000"),
            ("third", "zone-b", "example"),
        ] {
            let member = Presented { addresses: vec![address.into()], ..presented(9, name, zone, 9) };
            join(member).await;
        }
        let twice = vec!["10.0.0.7:1".to_string(); 2];
        let text = join(Presented { addresses: twice, ..presented(9, "third", "zone-b", 9) }).await;
        assert!(text.contains("all of them different"), "{text}");
        join(Presented { addresses: vec![], ..presented(9, "third", "zone-b", 9) }).await;
        assert_eq!(map(&client).version, version, "nothing of it was written");

        assert_eq!(ask(&client, Cluster::Remove(Remove { node: 1, force: false })).await, Answer::Done);
        assert_eq!(ask(&client, Cluster::Remove(Remove { node: 1, force: false })).await, Answer::Done);
        let text = join(second.clone()).await;
        assert!(text.contains("was removed from this cluster and cannot come back: empty"), "{text}");
        // With its directory emptied it is another node, which may have the name and the addresses.
        assert_eq!(ask(&client, Cluster::Join(Presented { id: 8, ..second })).await, Answer::Joined(2));
    });
}

#[test]
fn a_node_drains_and_goes_and_a_dead_one_is_replaced() {
    let node = cluster(4);
    node.run(|client| async move {
        for (number, zone) in [(1, "zone-b"), (2, "zone-c"), (3, "zone-b"), (4, "zone-c")] {
            let member = presented(100 + number, &format!("node-{number}"), zone, 1 + number as u8);
            assert_eq!(ask(&client, Cluster::Join(member)).await, Answer::Joined(number as u16));
        }
        let keeps = |map: &Map, node: u16| {
            map.ring.vnodes().any(|vnode| vnode.replicas.iter().any(|one| one.place.node.0 == node))
        };
        work_until(&client, &[1, 2, 3, 4], is_spread).await;
        let text = refused(&client, Cluster::Remove(Remove { node: 3, force: false })).await;
        assert!(text.contains("drain it first"), "{text}");
        let text = refused(&client, Cluster::Remove(Remove { node: 3, force: true })).await;
        assert!(text.contains("is alive and keeps"), "{text}");
        assert_eq!(ask(&client, Cluster::Drain(3)).await, Answer::Done);
        assert_eq!(ask(&client, Cluster::Drain(3)).await, Answer::Done);
        assert_eq!(ask(&client, Cluster::Activate(3)).await, Answer::Done);
        assert_eq!(ask(&client, Cluster::Drain(3)).await, Answer::Done);
        work_until(&client, &[1, 2, 3, 4], |map| is_spread(map) && !keeps(map, 3)).await;
        assert_eq!(ask(&client, Cluster::Remove(Remove { node: 3, force: false })).await, Answer::Done);
        assert!(refused(&client, Cluster::Drain(3)).await.contains("was removed"));
        // Node 4 dies: nothing is moved for that alone.
        for _ in 0..60 {
            for number in [1_u16, 2] {
                watch(&client, 0, 1000 + u128::from(number), Some(number)).await;
            }
            client.rt.sleep(Duration::from_millis(100)).await;
        }
        let Answer::Status { moving, up, .. } = ask(&client, Cluster::Status).await else { panic!() };
        assert_eq!(moving, 0);
        assert_eq!(up, [(0, true), (1, true), (2, true), (3, false), (4, false)]);
        assert!(keeps(&map(&client), 4));
        assert_eq!(ask(&client, Cluster::Remove(Remove { node: 4, force: true })).await, Answer::Done);
        work_until(&client, &[1, 2], |map| is_spread(map) && !keeps(map, 4)).await;
        let text = refused(&client, Cluster::Drain(2)).await;
        assert!(
            text.contains("without `node-2` there are 2 nodes for them: let another one join first"),
            "{text}"
        );
    });
}

#[test]
fn people_move_replicas_and_leaders() {
    let node = cluster(5);
    node.run(|client| async move {
        ask(&client, Cluster::Join(presented(7, "second", "zone-b", 2))).await;
        let two = |map: &Map| map.ring.vnodes().all(|vnode| vnode.replicas.len() == 2);
        ask(&client, Cluster::Join(presented(8, "third", "zone-a", 3))).await;
        work_until(&client, &[1, 2], |map| two(map) || is_spread(map)).await;
        work_until(&client, &[1, 2], is_spread).await;
        ask(&client, Cluster::Join(presented(9, "fourth", "zone-b", 4))).await;
        ask(&client, Cluster::Pause(true)).await;
        work_until(&client, &[1, 2, 3], |_| true).await;
        let vnode = map(&client).ring.vnodes().find(|vnode| {
            let on = |node| vnode.replicas.iter().any(|one| one.place.node == NodeId(node));
            on(1) && !on(3)
        });
        let vnode = vnode.expect("the fourth has few yet");
        let to = Cluster::Move(MoveReplica { vnode: vnode.id.0, from: 1, to: 3, shard: Some(1) });
        assert_eq!(ask(&client, to.clone()).await, Answer::Done);
        let moving = map(&client).ring.vnode(vnode.id).unwrap().replicas;
        let roles: Vec<Role> = moving.iter().map(|one| one.role).collect();
        assert_eq!(roles, [Role::Voter, Role::Voter, Role::Leaving, Role::Joining]);
        assert!(refused(&client, to).await.contains("is being moved"));
        work_until(&client, &[1, 2, 3], |_| true).await;
        let moved = map(&client).ring.vnode(vnode.id).unwrap().replicas;
        assert!(moved.iter().any(|one| (one.place.node, one.place.shard) == (NodeId(3), ShardId(1))));
        let lead = Cluster::Prefer(Prefer { vnode: vnode.id.0, node: 3 });
        assert_eq!(ask(&client, lead.clone()).await, Answer::Done);
        let version = map(&client).version;
        assert_eq!(map(&client).ring.vnode(vnode.id).unwrap().leader().node, NodeId(3));
        assert_eq!((ask(&client, lead).await, map(&client).version), (Answer::Done, version));
        let nowhere = refused(&client, Cluster::Prefer(Prefer { vnode: vnode.id.0, node: 1 })).await;
        assert_eq!(nowhere, format!("node 1 has no replica of vnode {}", vnode.id.0));
    });
}

#[test]
fn watchers_hear_of_each_map_as_a_delta() {
    let node = cluster(6);
    node.run(|client| async move {
        ask(&client, Cluster::Pause(true)).await;
        let have = map(&client);
        assert_eq!(watch(&client, have.version, 1, None).await, Answer::Done, "no news for a second");
        let (news, _) = runtime_join(watch(&client, have.version, 1, None), client.create("t")).await;
        let Answer::Map(delta) = news else { panic!("news: {news:?}") };
        let newer = have.update(&delta).expect("a delta from what it had");
        assert_eq!((newer.version, newer.tables.len()), (have.version + 1, 1));
        assert!(Map::decode(&delta).is_err(), "it is no whole map");
        // Who is far behind, or begins, gets all of it.
        let Answer::Map(whole) = watch(&client, 0, 1, None).await else { panic!("news") };
        assert_eq!(Map::decode(&whole).as_ref(), Ok(&*map(&client)));
        // Another shard than the first does not know.
        let other = Watch { have: 0, watcher: 1, node: None, anyone: true };
        let answer = client.send(ShardId(1), Operation::Watch(other)).await.unwrap();
        assert_eq!(answer.failure().0, Code::InternalServerError);
    });
}

async fn runtime_join<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    let (left, right) = (std::cell::RefCell::new(None), std::cell::RefCell::new(None));
    let both: [std::pin::Pin<Box<dyn Future<Output = ()>>>; 2] = [
        Box::pin(async { *left.borrow_mut() = Some(a.await) }),
        Box::pin(async { *right.borrow_mut() = Some(b.await) }),
    ];
    join_all(both).await;
    (left.into_inner().expect("it has ended"), right.into_inner().expect("it has ended"))
}

/// A client is told of its table when those who were heard of lately have the map; who is silent is not waited for.
#[test]
fn a_change_waits_for_watchers_that_are_there() {
    let node = cluster(7);
    node.run(|client| async move {
        ask(&client, Cluster::Pause(true)).await;
        let took = async |name: &str| {
            let began = client.rt.now();
            client.catalog(Catalog::Create(table(name).to_item())).await.table();
            client.rt.now().since(began)
        };
        assert!(took("alone").await < Duration::from_millis(500));
        client.active("alone").await;
        // One asks again at once, as they do: it is waited for, but not for long.
        let watcher = async {
            let mut have = map(&client).version;
            for _ in 0..4 {
                if let Answer::Map(_) = watch(&client, have, 5, None).await {
                    client.rt.sleep(Duration::from_millis(200)).await;
                    have = map(&client).version;
                }
            }
        };
        let (_, quick) = runtime_join(watcher, took("with-one")).await;
        assert!(quick >= Duration::from_millis(200) && quick < Duration::from_millis(900), "{quick:?}");
        client.active("with-one").await;
        // It was there a moment ago, and says nothing any more.
        let slow = took("silent").await;
        assert!(slow > Duration::from_millis(500) && slow < Duration::from_millis(2200), "{slow:?}");
        client.active("silent").await;
        client.rt.sleep(Duration::from_secs(3)).await;
        assert!(took("forgotten").await < Duration::from_millis(500));
    });
}

#[test]
fn a_node_that_is_alone_has_no_cluster() {
    Node::new(8, 2).run(|client| async move {
        let text = refused(&client, Cluster::Join(presented(7, "second", "zone-b", 2))).await;
        assert!(text.contains("this node is alone and no cluster"), "{text}");
        assert!(matches!(ask(&client, Cluster::Status).await, Answer::Status { moving: 0, left: 0, .. }));
    });
}

/// A ring so large that its first state takes several commands.
#[test]
fn a_founding_that_is_cut_short_is_done_again() {
    let large = |identity: &Identity| {
        let small = founding(identity);
        let founding = found(small.nodes.values().map(|node| &**node), 1100);
        Map { ring: founding.ring, catalog: founding.catalog, ..small }
    };
    let mut unfounded = 0;
    for steps in (0..600).step_by(60) {
        let node = Node::founded(small_world(steps), 2, |_| (), large);
        node.world.block_on_steps(steps, std::future::pending::<()>());
        let served = node.parts.borrow().get(&0).is_some_and(|part| part.mesh.map().get().version > 0);
        unfounded += usize::from(!served);
        node.restart();
        assert!(node.settle(), "{steps}: {:?}", node.failures.borrow());
        let map = map(&node.client(0));
        assert_eq!((map.version, map.ring.len(), map.nodes.len()), (1, 1100, 1), "{steps}");
        assert!(map.ring.vnodes().all(|vnode| vnode.replicas.len() == 1));
    }
    assert!((2..10).contains(&unfounded), "{unfounded} were cut short");
}
