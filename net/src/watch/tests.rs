//! Whom a watcher asks, and what it makes of the answers.

use std::cell::RefCell;
use std::collections::BTreeMap;

use model::node::Node;
use model::ring::{PeerId, Replica, Replicas, Ring, Role};
use runtime::sim::{SimRuntime, World, WorldOptions};
use runtime::sync::{Either, select};

use super::*;
use crate::message::{ArchivedOperation, Moved, Reply, read_request};

/// Four nodes, the catalog on the first three.
fn map(version: u64) -> Map {
    let node = |number: u16| Node {
        number: NodeId(number),
        id: u128::from(number) + 1,
        name: format!("node-{number}"),
        zone: "a".to_string(),
        addresses: vec![format!("10.0.0.{}:7000", number + 1).parse().expect("an address")],
        http: None,
        state: if number == 4 { NodeState::Removed } else { NodeState::Active },
    };
    let replica =
        |node: u16| Replica { peer: PeerId(u32::from(node) + 1), place: first(node), role: Role::Voter };
    let mut ring = Ring::even(4, 1);
    ring.epoch = version;
    Map {
        version,
        ring,
        catalog: Replicas::new(&[0, 1, 2].map(replica)),
        nodes: (0..5).map(|number| (NodeId(number), Rc::new(node(number)))).collect(),
        tables: BTreeMap::new(),
    }
}

fn first(node: u16) -> Place {
    Place { node: NodeId(node), shard: ShardId(0) }
}

/// An answer, and how long it takes; none when nobody answers.
type Answer = Option<(Duration, Reply)>;

/// What was asked: of whom, having what, and whether anyone may answer.
type Asked = (u16, u64, bool);

/// Watches for `time`, with the answers of `answer`; what was asked, and the versions that came.
fn watched(time: Duration, answer: impl Fn(&SimRuntime, Asked) -> Answer) -> (Vec<Asked>, Vec<u64>) {
    let world = World::new(1, WorldOptions::default());
    let rt = world.runtime(world.node("n"));
    let cell = MapCell::new(map(1));
    let (asked, taken) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
    let who = Who { watcher: 77, node: Some(NodeId(3)) };
    world.block_on(async {
        let call = async |place: Place, deadline: Mono, request: Vec<u8>| {
            let request = read_request(&request).expect("a sound message");
            let ArchivedOperation::Watch(watch) = &request.operation else { panic!("a question") };
            assert_eq!(
                (watch.watcher.to_native(), watch.node.as_ref().map(|node| node.to_native())),
                (77, Some(3))
            );
            assert!(deadline > rt.now().after(Duration::from_secs(1)), "longer than a shard waits");
            let question = (place.node.0, watch.have.to_native(), watch.anyone);
            asked.borrow_mut().push(question);
            match answer(&rt, question) {
                Some((after, reply)) => {
                    rt.sleep(after).await;
                    Ok(reply.encode())
                }
                None => Err(CallError::Closed),
            }
        };
        let take = async |map: Rc<Map>| {
            taken.borrow_mut().push(map.version);
            cell.set(map);
        };
        let end = rt.sleep(time);
        // It watches for ever.
        let Either::Second(()) = select(watch(&rt, &cell, who, call, take), end).await;
    });
    (asked.into_inner(), taken.into_inner())
}

const SECOND: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_millis(1);

#[test]
fn the_leader_is_found_and_asked_on() {
    let (asked, taken) = watched(10 * SECOND, |_, (node, have, anyone)| match (node, have) {
        (2, 1) => Some((SOON, Reply::Map(map(2).delta(&map(1)).expect("the same ranges")))),
        (2, _) => Some((SECOND, Reply::Done)),
        _ => {
            assert!(!anyone);
            Some((SOON, Reply::Moved(Moved { epoch: 1, node: 2, shard: 0 })))
        }
    });
    assert_eq!(asked[..3], [(0, 1, false), (2, 1, false), (2, 2, false)]);
    assert!(asked[2..].iter().all(|question| *question == (2, 2, false)) && asked.len() < 14, "{asked:?}");
    assert_eq!(taken, [2]);
}

#[test]
fn without_the_catalog_anyone_is_asked_and_the_catalog_tried_again() {
    let (asked, taken) = watched(20 * SECOND, |_, (node, have, anyone)| match (anyone, node, have) {
        // Node 3 is the one that asks; all others but the removed one have the catalog, and refuse to speak for it.
        (true, 1, 1) => Some((SOON, Reply::Map(map(5).encode()))),
        (true, 1, _) => Some((SECOND, Reply::Done)),
        _ => None,
    });
    assert_eq!(taken, [5]);
    let catalog = asked.iter().filter(|(_, _, anyone)| !anyone).count();
    assert!(catalog >= 9, "the catalog is tried between: {asked:?}");
    assert!(asked.iter().all(|(node, ..)| *node < 3), "neither itself nor who was removed: {asked:?}");
}

#[test]
fn a_leader_that_is_gone_is_given_up() {
    let (asked, taken) = watched(20 * SECOND, |rt, (node, have, _)| {
        let early = rt.now() < Mono(5_000_000_000);
        match node {
            0 if early => Some((SECOND, Reply::Done)),
            0 => None,
            1 if have == 1 => Some((SOON, Reply::Map(map(3).encode()))),
            1 => Some((SECOND, Reply::Done)),
            _ => Some((SOON, Reply::Moved(Moved { epoch: 1, node: 1, shard: 0 }))),
        }
    });
    assert_eq!(taken, [3]);
    assert_eq!(asked.last().map(|asked| asked.0), Some(1));
    assert!(asked.len() < 40, "{}", asked.len());
}

/// The catalog is led by a node that came later. Those who know that do not help as long as nobody says where it is.
#[test]
fn a_leader_that_the_map_does_not_have_yet_is_no_dead_end() {
    let (asked, taken) = watched(10 * SECOND, |_, (node, have, anyone)| match (node, anyone, have) {
        (9, ..) => None,
        (_, true, 1) => Some((SOON, Reply::Map(map(3).encode()))),
        (_, true, _) => Some((SECOND, Reply::Done)),
        _ => Some((SOON, Reply::Moved(Moved { epoch: 1, node: 9, shard: 0 }))),
    });
    assert_eq!(taken, [3], "{asked:?}");
}

/// One whose knowledge is old takes the other for the leader, and that one sends back.
#[test]
fn two_that_send_on_to_one_another_are_left_alone() {
    let (asked, taken) = watched(10 * SECOND, |_, (node, have, _)| match (node, have) {
        (2, 1) => Some((SOON, Reply::Map(map(2).encode()))),
        (2, _) => Some((SECOND, Reply::Done)),
        _ => Some((SOON, Reply::Moved(Moved { epoch: 1, node: 1 - node, shard: 0 }))),
    });
    assert_eq!(asked[..3], [(0, 1, false), (1, 1, false), (2, 1, false)]);
    assert_eq!(taken, [2]);
}

#[test]
fn a_delta_that_does_not_fit_is_asked_for_whole() {
    let (asked, taken) = watched(3 * SECOND, |_, (_, have, _)| match have {
        1 => Some((SOON, Reply::Map(map(4).delta(&map(2)).expect("the same ranges")))),
        0 => Some((SOON, Reply::Map(map(4).encode()))),
        _ => Some((SECOND, Reply::Done)),
    });
    assert_eq!((&asked[..3], taken), ([(0, 1, false), (0, 0, false), (0, 4, false)].as_slice(), vec![4]));
}

/// Whatever they answer, nobody is asked in a tight loop.
#[test]
fn nobody_is_asked_too_often() {
    let nonsense: [fn() -> Answer; 6] = [
        || None,
        || Some((Duration::ZERO, Reply::Done)),
        || Some((Duration::ZERO, Reply::Busy)),
        || Some((Duration::ZERO, Reply::Map(vec![1, 2, 3]))),
        || Some((Duration::ZERO, Reply::Map(map(1).encode()))),
        || Some((Duration::ZERO, Reply::Moved(Moved { epoch: 1, node: 9, shard: 9 }))),
    ];
    for (which, answer) in nonsense.iter().enumerate() {
        let (asked, taken) = watched(SECOND, |_, _| answer());
        assert!((2..=102).contains(&asked.len()) && taken.is_empty(), "{which}: {} questions", asked.len());
    }
}
