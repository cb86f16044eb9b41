//! Maps go there and back, and broken ones are refused.

use super::*;
use crate::{
    item::Value,
    node::NodeState,
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
    ring.vnodes[2].replicas = Replicas::new(&[
        replica(4, 0, Role::Voter),
        replica(8, 3, Role::Joining),
        replica(9, 2, Role::Leaving),
    ]);
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
    assert_eq!(broken(|map| drop(map.insert("v".into(), number(3)))), "a map of an unknown version");
    assert_eq!(broken(|map| drop(map.insert("new".into(), number(2)))), "an unknown attribute in a record");
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
    let packed = |change: fn(&mut Vec<u8>)| {
        broken(|map| {
            let Some(Value::B(vnodes)) = map.get_mut("vnodes") else { panic!("bytes") };
            change(vnodes);
        })
    };
    assert_eq!(packed(|vnodes| vnodes.truncate(vnodes.len() - 1)), "a vnode is cut short");
    assert_eq!(packed(|vnodes| vnodes[12] = 5), "a vnode with too few or too many replicas");
    assert_eq!(packed(|vnodes| vnodes[21] = 3), "a replica of an unknown role");
    assert_eq!(packed(|vnodes| vnodes[21] = 1), "a vnode without a voter");
    assert_eq!(broken(|map| drop(map.insert("catalog".into(), Value::B(vec![])))), "a vnode is cut short");
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
}
