use std::collections::BTreeMap;

use super::*;
use crate::sstable::block::{BlockBuilder, DATA_RESTART_INTERVAL, Entry};

fn block() -> Cached {
    let mut builder = BlockBuilder::new(DATA_RESTART_INTERVAL);
    builder.add(Entry { key: b"k", sequence: 1, value: Some(b"v") });
    let mut bytes = Vec::new();
    builder.finish(&mut bytes);
    Cached::Data(Rc::new(Block::parse(bytes.into()).expect("it was just built")))
}

fn place(offset: u64) -> Place {
    Place { file: 1, offset }
}

const BLOCK: usize = 1000;

fn insert(cache: &mut Cache, offset: u64) {
    cache.insert(place(offset), block(), BLOCK - OVERHEAD_BYTES, &Hint::default());
}

/// Whether the block is there; counts as a use.
fn uses(cache: &mut Cache, offset: u64) -> bool {
    cache.get(place(offset), &Hint::default()).is_some()
}

#[test]
fn bytes_stay_within_the_bound() {
    let mut cache = Cache::new(20 * BLOCK, 1);
    for offset in 0..1000 {
        insert(&mut cache, offset);
        if offset % 3 == 0 {
            uses(&mut cache, offset / 2);
        }
        assert!(cache.bytes() <= 20 * BLOCK);
        assert_eq!(cache.bytes(), cache.map.len() * BLOCK);
        assert_eq!(cache.map.len(), cache.small.len() + cache.main.len());
        assert!(cache.ghosts.names.len() <= 32);
    }
    assert_eq!(cache.map.len(), 20, "the room is used");
}

#[test]
fn a_hint_is_only_a_hint() {
    let mut cache = Cache::new(4 * BLOCK, 1);
    let (first, second) = (Hint::default(), Hint::default());
    cache.insert(place(1), block(), BLOCK - OVERHEAD_BYTES, &first);
    assert!(cache.get(place(1), &first).is_some());
    assert!(cache.get(place(1), &second).is_some(), "found without a hint");
    assert_eq!(first.0.get(), second.0.get(), "and remembered");
    for offset in 2..50 {
        insert(&mut cache, offset);
        uses(&mut cache, offset);
        uses(&mut cache, offset);
    }
    assert!(cache.get(place(1), &first).is_none(), "its slot has somebody else's block now");
    assert!(cache.get(place(2), &Hint(Cell::new(7_000_000))).is_none());
}

#[test]
fn a_scan_does_not_push_out_what_is_used() {
    let mut cache = Cache::new(100 * BLOCK, 1);
    for _ in 0..3 {
        for offset in 0..50 {
            if !uses(&mut cache, offset) {
                insert(&mut cache, offset);
            }
        }
    }
    for offset in 1_000..11_000 {
        assert!(!uses(&mut cache, offset));
        insert(&mut cache, offset);
    }
    let kept = (0..50).filter(|offset| uses(&mut cache, *offset)).count();
    assert_eq!(kept, 50, "all that was used twice is still there after a scan of 100 times the cache");
}

#[test]
fn what_comes_back_soon_enters_the_main_queue() {
    let mut cache = Cache::new(20 * BLOCK, 1);
    for offset in 0..21 {
        insert(&mut cache, offset);
    }
    assert!(!cache.map.contains_key(&place(0)));
    insert(&mut cache, 0);
    assert_eq!(cache.main.len(), 1);
    insert(&mut cache, 500);
    assert_eq!(cache.main.len(), 1, "a stranger waits in the small queue");
}

#[test]
fn what_is_larger_than_half_the_cache_is_not_kept() {
    let mut cache = Cache::new(2 * BLOCK, 1);
    cache.insert(place(0), block(), BLOCK + 1, &Hint::default());
    assert_eq!(cache.bytes(), 0);
    let mut none = Cache::new(0, 1);
    insert(&mut none, 0);
    assert!(!uses(&mut none, 0));
    assert_eq!(none.hits_and_misses(), (0, 1));
}

#[test]
fn what_is_forgotten_takes_no_room() {
    let mut cache = Cache::new(100 * BLOCK, 1);
    for round in 0..100 {
        for offset in 0..60 {
            insert(&mut cache, round * 100 + offset);
            if offset % 2 == 0 {
                uses(&mut cache, round * 100 + offset);
            }
        }
        for offset in 0..60 {
            cache.forget(place(round * 100 + offset));
            cache.forget(place(round * 100 + offset));
            assert!(!uses(&mut cache, round * 100 + offset));
        }
        assert_eq!((cache.bytes(), cache.map.len()), (0, 0));
        assert!(cache.slots.len() <= FORGOTTEN_MAX + 60, "round {round}: {} slots", cache.slots.len());
    }
    // What was forgotten in the main queue, and stands in the way when that is full.
    for offset in 0..200 {
        insert(&mut cache, offset);
        uses(&mut cache, offset);
        cache.forget(place(offset / 2));
        assert!(cache.bytes() <= 100 * BLOCK);
        assert_eq!(cache.bytes(), cache.map.len() * BLOCK);
        assert_eq!(cache.map.len() + cache.forgotten, cache.small.len() + cache.main.len());
        assert_eq!(cache.slots.len(), cache.free.len() + cache.small.len() + cache.main.len());
    }
    assert!((100..200).all(|offset| uses(&mut cache, offset)), "they fit, as the others are gone");
}

/// The least recently used goes: what the cache is compared with.
#[derive(Default)]
struct Lru {
    blocks_max: usize,
    by_age: BTreeMap<u64, u64>,
    ages: BTreeMap<u64, u64>,
    now: u64,
}

impl Lru {
    fn uses(&mut self, offset: u64) -> bool {
        self.now += 1;
        let before = self.ages.insert(offset, self.now);
        if let Some(before) = before {
            self.by_age.remove(&before);
        }
        self.by_age.insert(self.now, offset);
        if self.ages.len() > self.blocks_max {
            let (_, oldest) = self.by_age.pop_first().expect("it is not empty");
            self.ages.remove(&oldest);
        }
        before.is_some()
    }
}

/// Zipf's gets (exponent 1) over 20 times the cache, with and without a scan of everything running beside them.
#[test]
fn gets_hardly_notice_a_scan() {
    const BLOCKS: usize = 500;
    const ALL: u64 = 10_000;
    let hits_of = |scans_per_get: u64| {
        let mut cache = Cache::new(BLOCKS * BLOCK, 1);
        let mut lru = Lru { blocks_max: BLOCKS, ..Lru::default() };
        let (mut chance, mut scan, mut hits, mut lru_hits) = (7u64, 0, 0, 0);
        let gets = 200_000;
        for _ in 0..gets {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let part = (chance >> 11) as f64 / (1u64 << 53) as f64;
            let offset = ((ALL as f64).powf(part) - 1.0) as u64 * 7919 % ALL;
            let hit = uses(&mut cache, offset);
            if !hit {
                insert(&mut cache, offset);
            }
            hits += u32::from(hit);
            lru_hits += u32::from(lru.uses(offset));
            for _ in 0..scans_per_get {
                scan = (scan + 1) % ALL;
                if !uses(&mut cache, scan) {
                    insert(&mut cache, scan);
                }
                lru.uses(scan);
            }
        }
        (f64::from(hits) / f64::from(gets), f64::from(lru_hits) / f64::from(gets))
    };
    let (alone, lru_alone) = hits_of(0);
    let (beside, lru_beside) = hits_of(4);
    println!(
        "hits of gets: {alone:.3} alone, {beside:.3} beside a scan; LRU: {lru_alone:.3} and {lru_beside:.3}"
    );
    assert!(alone > lru_alone, "better than LRU without any scan: {alone} and {lru_alone}");
    assert!(beside > alone - 0.08, "a scan of four blocks a get costs little: {alone} to {beside}");
    assert!(beside > lru_beside + 0.1, "and LRU far more: {beside} and {lru_beside}");
}
