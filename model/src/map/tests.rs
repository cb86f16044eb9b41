//! Maps go there and back, and broken ones are refused.

use super::*;
use crate::{
    item::Value,
    table::tests::{full_table, small_table},
    testing::Chance,
};

fn example() -> Map {
    let tables = [full_table(), small_table()].map(|table| (table.name.clone(), Rc::new(table)));
    Map { version: 9, ring: Ring::even(5, 2), tables: BTreeMap::from(tables) }
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
    let empty = Map { version: 0, ring: Ring::even(1, 1), tables: BTreeMap::new() };
    assert_eq!(Map::decode(&empty.encode()), Ok(empty));
}

#[test]
fn broken_maps_are_refused() {
    let number = |value: u64| Value::N(value.into());
    assert_eq!(broken(|map| drop(map.insert("v".into(), number(2)))), "a map of an unknown version");
    assert_eq!(broken(|map| drop(map.insert("new".into(), number(2)))), "an unknown attribute in a record");
    assert_eq!(broken(|map| drop(map.remove("epoch"))), "an attribute missing in a record");
    assert_eq!(
        broken(|map| drop(map.insert("epoch".into(), Value::Null))),
        "an attribute of the wrong type in a record"
    );
    let nothing = || Value::L(vec![]);
    assert_eq!(
        broken(|map| drop(map.insert("vnodes".into(), nothing()))),
        "a ring whose first vnode does not start at 0"
    );
    let reversed = |map: &mut BTreeMap<String, Value>| {
        let Some(Value::L(tables)) = map.get_mut("tables") else { panic!("a list") };
        tables.reverse();
    };
    assert_eq!(broken(reversed), "tables out of order in a map");
    let wide = |map: &mut BTreeMap<String, Value>| {
        let Some(Value::L(vnodes)) = map.get_mut("vnodes") else { panic!("a list") };
        let Some(Value::M(vnode)) = vnodes.first_mut() else { panic!("a map") };
        vnode.insert("shard".into(), number(65_536));
    };
    assert_eq!(broken(wide), "a number out of range in a record");
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
