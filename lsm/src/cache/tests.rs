use bytes::Bytes;

use super::*;
use crate::sstable::block::{BlockBuilder, DATA_RESTART_INTERVAL, Entry};

fn block() -> Cached {
    let mut builder = BlockBuilder::new(DATA_RESTART_INTERVAL);
    builder.add(Entry { key: b"k", sequence: 1, value: Some(b"v") });
    let mut bytes = Vec::new();
    builder.finish(&mut bytes);
    Cached::Data(Rc::new(Block::parse(Bytes::from(bytes)).expect("it was just built")))
}

fn place(offset: u64) -> Place {
    Place { file: 1, offset }
}

const BLOCK: usize = 1000;

#[test]
fn bytes_stay_within_the_bound() {
    let mut cache = Cache::new(20 * BLOCK, 1);
    for offset in 0..1000 {
        cache.insert(place(offset), block(), BLOCK - OVERHEAD_BYTES);
        if offset % 3 == 0 {
            cache.get(place(offset / 2));
        }
        assert!(cache.bytes() <= 20 * BLOCK);
        assert_eq!(cache.bytes(), cache.map.len() * BLOCK);
        assert_eq!(cache.map.len(), cache.small.len() + cache.main.len());
        assert!(cache.ghosts.len() <= cache.map.len().max(16));
    }
    assert_eq!(cache.map.len(), 20, "the room is used");
}

#[test]
fn a_scan_does_not_push_out_what_is_used() {
    let mut cache = Cache::new(100 * BLOCK, 1);
    for _ in 0..3 {
        for offset in 0..50 {
            if cache.get(place(offset)).is_none() {
                cache.insert(place(offset), block(), BLOCK - OVERHEAD_BYTES);
            }
        }
    }
    for offset in 1_000..11_000 {
        assert!(cache.get(place(offset)).is_none());
        cache.insert(place(offset), block(), BLOCK - OVERHEAD_BYTES);
    }
    let kept = (0..50).filter(|offset| cache.get(place(*offset)).is_some()).count();
    assert_eq!(kept, 50, "all that was used twice is still there after a scan of 100 times the cache");
}

#[test]
fn what_comes_back_soon_enters_the_main_queue() {
    let mut cache = Cache::new(20 * BLOCK, 1);
    for offset in 0..21 {
        cache.insert(place(offset), block(), BLOCK - OVERHEAD_BYTES);
    }
    assert!(!cache.map.contains_key(&place(0)) && cache.ghost_set.contains(&place(0)));
    cache.insert(place(0), block(), BLOCK - OVERHEAD_BYTES);
    assert_eq!(cache.main.len(), 1);
}

#[test]
fn what_is_larger_than_half_the_cache_is_not_kept() {
    let mut cache = Cache::new(2 * BLOCK, 1);
    cache.insert(place(0), block(), BLOCK + 1);
    assert_eq!(cache.bytes(), 0);
    let mut none = Cache::new(0, 1);
    none.insert(place(0), block(), 1);
    assert!(none.get(place(0)).is_none());
    assert_eq!(none.hits_and_misses(), (0, 1));
}
