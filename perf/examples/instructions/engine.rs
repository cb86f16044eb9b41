//! The storage engine's cases: log and tree in a simulated world, filter and block by themselves.
//!
//! The simulated device costs instructions, too: a write of the log carries 64 records here, so a record bears a 64th
//! of its share. Reads touch no device.

use std::time::Duration;

use lsm::log::{Identity, Log, LogOptions, Record};
use lsm::parts::{DataBlock, Filter};
use lsm::{Direction, Mark, Range, Tree, TreeOptions, WriteBatch};
use runtime::sim::{SimRuntime, World, WorldOptions};

const KEYS: u64 = 10_000;
const VALUE: [u8; 128] = [0xA7; 128];
/// Puts that become durable together.
const GROUP: u64 = 64;
/// Entries of one scan.
const SCAN: u64 = 100;

/// Appends, waits and applies, 64 at a time.
pub fn put(count: u64) {
    in_world(async |rt| {
        let log = open_log(&rt).await;
        let tree = filled(&rt).await;
        let mut batch = WriteBatch::new();
        for first in (1..=count).step_by(GROUP as usize) {
            let group = first..(first + GROUP).min(count + 1);
            append(&log, group.clone()).await;
            for index in group {
                batch.clear();
                batch.put(&key(KEYS + index), &VALUE);
                tree.apply(&batch, Mark { stream: 1, index: KEYS + index });
            }
        }
        assert_eq!(tree.stats().sequence, KEYS + count);
    });
}

/// Appends and waits, 64 at a time.
pub fn log_append(count: u64) {
    in_world(async |rt| {
        let log = open_log(&rt).await;
        for first in (1..=count).step_by(GROUP as usize) {
            append(&log, first..(first + GROUP).min(count + 1)).await;
        }
        assert_eq!(log.stats().records, count);
    });
}

async fn append(log: &Log<SimRuntime>, indexes: std::ops::Range<u64>) {
    let mut last = None;
    for index in indexes {
        let record = Record { kind: 1, stream: 1, term: 1, index, payload: &VALUE };
        last = Some(log.append(record).expect("a group fits into the buffers"));
    }
    log.durable(last.expect("a group is not empty")).await.expect("a disk that works");
}

/// Applies batches of one put.
pub fn apply(count: u64) {
    in_world(async |rt| {
        let tree = filled(&rt).await;
        let mut batch = WriteBatch::new();
        for index in KEYS + 1..=KEYS + count {
            batch.clear();
            batch.put(&key(index), &VALUE);
            tree.apply(&batch, Mark { stream: 1, index });
        }
        assert_eq!(tree.stats().sequence, KEYS + count);
    });
}

/// Gets what was never flushed.
pub fn get_from_memtable(count: u64) {
    in_world(async |rt| {
        let tree = filled(&rt).await;
        gets(&tree, count, 0).await;
        assert_eq!(tree.stats().flushes, 0);
    });
}

/// Gets from an SSTable whose blocks were all read before.
pub fn get_cached(count: u64) {
    in_world(async |rt| {
        let tree = flushed(&rt).await;
        let before = tree.stats().reads;
        gets(&tree, count, 0).await;
        assert_eq!(tree.stats().reads, before, "nothing is read from the device");
    });
}

/// Gets what is not there, beside keys that are.
pub fn get_absent(count: u64) {
    in_world(async |rt| {
        let tree = flushed(&rt).await;
        gets(&tree, count, KEYS).await;
        assert!(tree.stats().filter_negatives * 100 >= count * 95, "filters say no");
    });
}

/// `count` keys in an order of chance, `beyond` those that are there.
async fn gets(tree: &Tree<SimRuntime>, count: u64, beyond: u64) {
    for turn in 0..count {
        let index = mix(turn) % KEYS + 1 + beyond;
        let found = tree.get(&key(index)).await.expect("a disk that works");
        assert_eq!(found.is_some(), beyond == 0);
    }
}

/// Scans of 100 from keys of chance, `count` entries in all.
pub fn scan(count: u64) {
    in_world(async |rt| {
        let tree = flushed(&rt).await;
        let mut seen = 0;
        for turn in 0.. {
            if seen >= count {
                break;
            }
            let from = std::ops::Bound::Included(key(mix(turn) % KEYS + 1).to_vec());
            let range = Range { from, to: std::ops::Bound::Unbounded };
            let mut scan = tree.view().scan(range, Direction::Forward);
            for _ in 0..SCAN.min(count - seen) {
                let Some((_, value)) = scan.next().await.expect("a disk that works") else { break };
                assert_eq!(value.len(), VALUE.len());
                seen += 1;
            }
        }
    });
}

/// Asks a filter for keys that it was not built over.
pub fn filter_miss(count: u64) {
    const FILTER_KEYS: u64 = 1_000;
    let keys: Vec<_> = (0..FILTER_KEYS).map(key).collect();
    let filter = Filter::over(keys.iter().map(|key| key.as_slice()));
    let absent = (FILTER_KEYS..FILTER_KEYS + count).filter(|index| !filter.may_contain(&key(*index)));
    assert!(absent.count() as u64 * 100 >= count * 95, "a filter says no to nearly all");
}

/// Searches one block for the keys that it has.
pub fn block_search(count: u64) {
    let mut entries: Vec<_> = (0..200).map(|index| (key(index).to_vec(), VALUE.to_vec())).collect();
    entries.sort();
    let (block, filled) = DataBlock::filled(&entries, 4096 - 32);
    assert!(filled > 16, "more than one restart interval");
    for turn in 0..count {
        let (key, value) = &entries[mix(turn) as usize % filled];
        assert_eq!(block.value_bytes(key), Some(value.len()));
    }
}

/// 40 bytes in the shape of a storage key, in an order of chance.
fn key(index: u64) -> [u8; 40] {
    let mut key = [0x11; 40];
    key[8..16].copy_from_slice(&mix(index).to_be_bytes());
    key[16..24].copy_from_slice(&index.to_be_bytes());
    key
}

/// SplitMix64: far from its neighbours, the same in every run.
fn mix(index: u64) -> u64 {
    let mut z = index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// One node, without faults or rare choices.
fn in_world<F: Future<Output = ()>>(work: impl FnOnce(SimRuntime) -> F) {
    let options =
        WorldOptions { buggify: false, time_max: Duration::from_secs(3600), ..WorldOptions::default() };
    let world = World::new(1, options);
    let node = world.node("node");
    world.block_on(work(world.runtime(node)));
}

async fn open_log(rt: &SimRuntime) -> Log<SimRuntime> {
    let options = LogOptions::new("log", Identity { cluster: 1, node: 0, shard: 0 });
    let (log, mut replay) = Log::open(rt.clone(), options).await.expect("an empty directory");
    while replay.next().await.expect("an empty log").is_some() {}
    log
}

/// A tree with all keys in its memtable.
async fn filled(rt: &SimRuntime) -> Tree<SimRuntime> {
    let tree = Tree::open(rt.clone(), TreeOptions::new("tree")).await.expect("an empty directory");
    let mut batch = WriteBatch::new();
    for index in 1..=KEYS {
        batch.clear();
        batch.put(&key(index), &VALUE);
        tree.apply(&batch, Mark { stream: 1, index });
    }
    tree
}

/// A tree with all keys in one SSTable and every block of it in the cache.
async fn flushed(rt: &SimRuntime) -> Tree<SimRuntime> {
    let tree = filled(rt).await;
    tree.flush().await.expect("a disk that works");
    for index in 1..=KEYS {
        tree.get(&key(index)).await.expect("a disk that works").expect("it was written");
    }
    tree
}
