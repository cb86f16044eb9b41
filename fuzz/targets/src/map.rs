//! Maps and their deltas: what is taken makes sense, and travels on unchanged.

use model::map::{Map, Packed, push_replicas};
use model::ring::Ring;

/// The bytes as a map, as news for whoever has a small one, and as replicas on disk.
pub fn run(data: &[u8]) {
    if let Ok(map) = Map::decode(data) {
        check(&map);
    }
    let base = Map { version: 1, ..Map::alone(Ring::even(4, 2)) };
    if let Ok(newer) = base.update(data) {
        check(&newer);
        if let Some(delta) = newer.delta(&base) {
            assert_eq!(base.update(&delta).as_ref(), Ok(&newer), "a delta makes the same map");
        }
    }
    let mut packed = Packed(data);
    if let Ok(replicas) = packed.replicas() {
        let mut again = Vec::new();
        push_replicas(&mut again, &replicas);
        assert_eq!(again, data[..data.len() - packed.0.len()], "replicas have one form");
    }
}

fn check(map: &Map) {
    assert_eq!(Map::decode(&map.encode()).as_ref(), Ok(map), "a map goes there and back");
    for vnode in map.ring.vnodes() {
        let (start, end) = map.ring.range(vnode.id).expect("a vnode of the ring");
        assert_eq!((start, map.ring.owner(start), map.ring.owner(end)), (vnode.start, vnode, vnode));
        assert_eq!(map.replicas(vnode.id), Some(vnode.replicas));
    }
}
