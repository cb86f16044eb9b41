//! Maps go there and back, and broken ones are refused.

use super::*;
use crate::{
    item::Value,
    node::NodeState,
    ring::{PeerId, Replica, Role, Vnode},
    table::tests::{full_table, small_table},
    testing::Chance,
};

fn example() -> Map {
    let tables = [full_table(), small_table()].map(|table| (table.name.clone(), Rc::new(table)));
    let node = |number: u16, http: Option<&str>| Node {
        number: NodeId(number),
        id: 77 << 100 | u128::from(number),
        name: format!("node-{number}"),
        zone: "a".to_string(),
        addresses: vec!["10.0.0.1:7000".parse().unwrap(), "[::1]:7001".parse().unwrap()],
        http: http.map(|text| text.parse().unwrap()),
        state: NodeState::Draining,
    };
    let nodes = [node(0, None), node(3, Some("10.0.0.1:8000"))].map(|node| (node.number, Rc::new(node)));
    let mut ring = Ring::even(5, 2);
    let replica = |peer, node, role| Replica {
        peer: PeerId(peer),
        place: Place { node: NodeId(node), shard: ShardId(1) },
        role,
    };
    let replicas = [replica(4, 0, Role::Voter), replica(8, 3, Role::Joining), replica(9, 2, Role::Leaving)];
    ring.set_replicas(VnodeId(3), Replicas::new(&replicas));
    let tables = BTreeMap::from(tables);
    Map { version: 9, nodes: BTreeMap::from(nodes), tables, ..Map::alone(ring) }
}

fn broken(change: impl FnOnce(&mut BTreeMap<String, Value>)) -> &'static str {
    let encoded = example().encode();
    let mut attributes = Value::attributes(ItemRef::trusted(&encoded));
    change(&mut attributes);
    Map::decode(&Value::encode_item(&attributes)).expect_err("it is broken").what
}

#[test]
fn a_map_goes_there_and_back() {
    let map = example();
    assert_eq!(Map::decode(&map.encode()), Ok(map));
    let empty = Map::alone(Ring::even(1, 1));
    assert_eq!(Map::decode(&empty.encode()), Ok(empty));
}

#[test]
fn broken_maps_are_refused() {
    let number = |value: u64| Value::N(value.into());
    assert_eq!(broken(|map| drop(map.insert("v".into(), number(4)))), "a map of an unknown version");
    assert_eq!(broken(|map| drop(map.insert("new".into(), number(3)))), "an unknown attribute in a record");
    assert_eq!(broken(|map| drop(map.remove("epoch"))), "an attribute missing in a record");
    assert_eq!(
        broken(|map| drop(map.insert("epoch".into(), Value::Null))),
        "an attribute of the wrong type in a record"
    );
    assert_eq!(
        broken(|map| drop(map.insert("vnodes".into(), Value::B(vec![])))),
        "a ring whose first vnode does not start at 0"
    );
    let reversed = |map: &mut BTreeMap<String, Value>| {
        let Some(Value::L(tables)) = map.get_mut("tables") else { panic!("a list") };
        tables.reverse();
    };
    assert_eq!(broken(reversed), "tables out of order in a map");
    let swapped = |map: &mut BTreeMap<String, Value>| {
        let Some(Value::L(nodes)) = map.get_mut("nodes") else { panic!("a list") };
        nodes.reverse();
    };
    assert_eq!(broken(swapped), "nodes out of order in a map");
    let packed = |bytes: &[u8]| broken(|map| drop(map.insert("vnodes".into(), Value::B(bytes.to_vec()))));
    // Number 1 at 0: one voter, number 1 on node 0, shard 0.
    let good: [u8; 6] = [2, 0, 1, 2, 0, 0];
    assert_eq!(packed(&good[..5]), "a vnode is cut short");
    assert_eq!(packed(&[2, 0, 5, 2, 0, 0]), "a vnode with too few or too many replicas");
    assert_eq!(packed(&[2, 0, 1 | 3 << 3, 2, 0, 0]), "a replica of an unknown role");
    assert_eq!(packed(&[2, 0, 1 | 4 << 3, 2, 0, 0]), "a replica of an unknown role");
    assert_eq!(packed(&[2, 0, 1 | 1 << 3, 2, 0, 0]), "a vnode without a voter");
    assert_eq!(packed(&[2, 0, 1, 2, 0xFF, 0xFF, 4, 0]), "a number out of range in a vnode");
    assert_eq!(packed(&[&[0xFF; 10][..], &good[1..]].concat()), "a number out of range in a vnode");
    assert_eq!(broken(|map| drop(map.insert("catalog".into(), Value::B(vec![])))), "a vnode is cut short");
}

/// Replicas as they lie on disk.
#[test]
fn replicas_on_disk_go_there_and_back() {
    for vnode in example().ring.vnodes() {
        let mut bytes = Vec::new();
        push_replicas(&mut bytes, &vnode.replicas);
        assert_eq!(bytes.len(), 1 + 9 * vnode.replicas.len());
        let mut packed = Packed(&bytes);
        assert_eq!((packed.replicas(), packed.0.len()), (Ok(vnode.replicas), 0));
        assert!(Packed(&bytes[..bytes.len() - 1]).replicas().is_err());
    }
}

/// A map of the largest ring fits a message (24 MiB), with room to spare.
#[test]
fn a_vnode_of_three_replicas_takes_a_dozen_bytes() {
    let replicas = |index: u32| {
        let replica = |nth: u32| Replica {
            peer: PeerId(3 * index + nth + 4),
            place: Place { node: NodeId(((index + nth) % 30) as u16), shard: ShardId((index % 16) as u16) },
            role: Role::Voter,
        };
        Replicas::new(&[0, 1, 2].map(replica))
    };
    let ring = Ring::equal(10_000, replicas);
    let bytes = Map::alone(ring.clone()).encode();
    assert!(bytes.len() < 13 * 10_000, "{}", bytes.len());
    assert_eq!(Map::decode(&bytes).unwrap().ring, ring);
}

/// Random changes, one after the other: each delta makes the next map out of the one before, and of no other.
#[test]
fn deltas_follow_a_history() {
    let mut chance = Chance::new(31);
    let mut history = vec![example()];
    for step in 0..300 {
        let before = history.last().expect("there is one").clone();
        let mut map = Map { version: before.version + 1 + chance.below(3), ..before.clone() };
        for _ in 0..=chance.below(2) {
            change(&mut map, &mut chance, step);
        }
        let delta = map.delta(&before).expect("the same ranges");
        assert_eq!(before.update(&delta).as_ref(), Ok(&map), "step {step}");
        assert!(delta.len() < map.encode().len(), "step {step}: {} bytes", delta.len());
        let earlier = &history[chance.below(history.len() as u64) as usize];
        let long = map.delta(earlier).expect("the same ranges");
        assert_eq!(earlier.update(&long).as_ref(), Ok(&map), "step {step}");
        if earlier.version != before.version {
            assert_eq!(earlier.update(&delta), Err(Corrupt::new("a delta from another map", 0)));
        }
        assert_eq!((earlier.delta(&map), earlier.update(&map.encode())), (None, Ok(map.clone())));
        history.push(map);
    }
}

fn change(map: &mut Map, chance: &mut Chance, step: u64) {
    let replica = |chance: &mut Chance, node| Replica {
        peer: PeerId(1 + 4 * chance.below(1 << 30) as u32 + node),
        place: Place { node: NodeId(node as u16), shard: ShardId(chance.below(9) as u16) },
        role: [Role::Voter, Role::Leaving][chance.below(2) as usize],
    };
    let replicas = |chance: &mut Chance| {
        let count = 1 + chance.below(4) as u32;
        Replicas::new(&(0..count).map(|node| replica(chance, node)).collect::<Vec<Replica>>())
    };
    match chance.below(5) {
        0 | 1 => {
            let id = VnodeId(1 + chance.below(5) as u32);
            map.ring.set_replicas(id, replicas(chance));
            map.ring.epoch += 1;
        }
        2 => map.catalog = replicas(chance),
        3 => {
            let number = NodeId(chance.below(4) as u16);
            let known = map.nodes.values().next().expect("a node").clone();
            let node = Node { number, name: format!("n{step}"), ..Node::clone(&known) };
            map.nodes.insert(number, Rc::new(node));
        }
        _ => {
            let name = format!("t{}", chance.below(4));
            if map.tables.remove(&name).is_none() {
                let table = Table { name: name.clone(), created_us: step, ..small_table() };
                map.tables.insert(name, Rc::new(table));
            }
        }
    }
}

#[test]
fn there_is_no_delta_to_what_is_not_newer_or_of_other_ranges() {
    let old = example();
    assert_eq!(old.delta(&old), None);
    let next = Map { version: 10, ..old.clone() };
    assert!(next.delta(&old).is_some());
    assert_eq!(Map { ring: Ring::even(6, 2), ..next.clone() }.delta(&old), None, "other ranges");
    assert_eq!(Map { nodes: BTreeMap::new(), ..next.clone() }.delta(&old), None, "a node is missing");
    let mut rings_back = next.clone();
    rings_back.ring.epoch = 0;
    assert_eq!(rings_back.delta(&old), None, "an older ring");
    assert_eq!(old.update(&rings_back.encode()), Err(Corrupt::new("a newer map with an older ring", 0)));
}

#[test]
fn broken_deltas_are_refused() {
    let old = example();
    let mut new = Map { version: 10, ..old.clone() };
    new.tables.pop_first();
    let delta = new.delta(&old).unwrap();
    let broken = |change: &dyn Fn(&mut BTreeMap<String, Value>)| {
        let mut attributes = Value::attributes(ItemRef::trusted(&delta));
        change(&mut attributes);
        old.update(&Value::encode_item(&attributes)).expect_err("it is broken").what
    };
    let set = |name: &'static str, value: Value| {
        move |map: &mut BTreeMap<String, Value>| drop(map.insert(name.into(), value.clone()))
    };
    let number = |value: u64| Value::N(value.into());
    assert_eq!(broken(&set("v", number(2))), "a map of an unknown version");
    assert_eq!(broken(&set("from", number(8))), "a delta from another map");
    assert_eq!(broken(&set("version", number(9))), "a delta to an older map");
    assert_eq!(broken(&set("epoch", number(0))), "a delta to an older map");
    assert_eq!(broken(&set("more", number(0))), "an unknown attribute in a record");
    let gone = Value::L(vec![Value::B(b"nothing".to_vec())]);
    assert_eq!(broken(&set("gone", gone)), "a delta takes away a table that is not there");
    let of = |id, start| {
        let replicas = Replicas::alone(PeerId(1), Place { node: NodeId(0), shard: ShardId(0) });
        Value::B(packed::pack([Vnode { id: VnodeId(id), start, replicas }].into_iter()))
    };
    let stranger = "a delta changes a vnode that is not there";
    assert_eq!(broken(&set("vnodes", of(9, 0))), stranger);
    assert_eq!(broken(&set("vnodes", of(1, 7))), stranger);
}

#[test]
fn decode_survives_damage() {
    let mut chance = Chance::new(12);
    let good = example().encode();
    let mut refused_count = 0;
    for _ in 0..2_000 {
        let mut bytes = good.clone();
        let place = chance.below(bytes.len() as u64) as usize;
        bytes[place] ^= 1 << chance.below(8);
        refused_count += usize::from(Map::decode(&bytes).is_err());
    }
    assert!(refused_count > 500, "{refused_count}");
    let old = Map { version: 8, tables: BTreeMap::new(), ..example() };
    let good = example().delta(&old).expect("the same ranges");
    for _ in 0..2_000 {
        let mut bytes = good.clone();
        let place = chance.below(bytes.len() as u64) as usize;
        bytes[place] ^= 1 << chance.below(8);
        if let Ok(map) = old.update(&bytes) {
            assert_eq!(Map::decode(&map.encode()), Ok(map), "what is taken makes sense");
        }
    }
}
