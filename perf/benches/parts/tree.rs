//! The tree: a write into the memtable, and a read from each place where a key can be.
//!
//! Sketch, keys of 40 bytes, values of 100. Apply: a descent of 17 levels through memory, of which a few miss the cache,
//! and two copies: 0.5 to 1 µs. Get from the memtable: the same descent. Get from a table whose block is cached: filter,
//! index, block, two binary searches and one of restarts: 1 to 2 µs. Get of a key that is nowhere: one filter probe for
//! each table: 100 to 200 ns. Get from the disk: one read of 4 KiB, 60 to 100 µs.

use std::path::PathBuf;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use lsm::{Mark, Tree, TreeOptions, WriteBatch};
use perf::bench::keys::{Chance, mix};
use runtime::Runtime;

use crate::core::{group, timed};

/// Keys of each benchmark: 14 MB of keys and values, more than a core's caches hold.
const KEYS: u64 = 100_000;
const VALUE: [u8; 100] = [0xB5; 100];

pub fn bench(criterion: &mut Criterion) {
    let mut group = group(criterion, "tree/100 bytes");
    group.throughput(Throughput::Elements(1));
    group.bench_function("apply to the memtable", |bencher| {
        bencher.iter_custom(|rounds| timed(rounds, apply))
    });
    group.bench_function("get from the memtable", |bencher| {
        bencher.iter_custom(|rounds| {
            timed(rounds, async |rt, dir, rounds| get(rt, dir, rounds, Place::Memtable).await)
        });
    });
    group.bench_function("get from a cached block", |bencher| {
        bencher.iter_custom(|rounds| {
            timed(rounds, async |rt, dir, rounds| get(rt, dir, rounds, Place::Cache).await)
        });
    });
    group.bench_function("get from the disk", |bencher| {
        bencher.iter_custom(|rounds| {
            timed(rounds, async |rt, dir, rounds| get(rt, dir, rounds, Place::Disk).await)
        });
    });
    group.bench_function("get of a missing key", |bencher| {
        bencher.iter_custom(|rounds| {
            timed(rounds, async |rt, dir, rounds| get(rt, dir, rounds, Place::Nowhere).await)
        });
    });
    group.finish();
}

/// Where the keys of a benchmark are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Memtable,
    Cache,
    Disk,
    Nowhere,
}

/// 40 bytes in the shape of a storage key, in the order of chance.
fn key(index: u64) -> [u8; 40] {
    let mut key = [0x11; 40];
    key[8..16].copy_from_slice(&mix(index).to_be_bytes());
    key[16..24].copy_from_slice(&index.to_be_bytes());
    key
}

async fn open<R: Runtime>(rt: &R, dir: PathBuf, place: Place) -> Tree<R> {
    let cache_bytes = if place == Place::Disk { 0 } else { 64 << 20 };
    let options = TreeOptions { cache_bytes, ..TreeOptions::new(dir.join("tree")) };
    Tree::open(rt.clone(), options).await.expect("an empty directory")
}

/// A new tree for each [`KEYS`] writes, so that no flush runs beside the writes; only these are timed.
async fn apply<R: Runtime>(rt: R, dir: PathBuf, rounds: u64) -> Duration {
    let mut spent = Duration::ZERO;
    let mut left = rounds;
    let mut batch = WriteBatch::new();
    for turn in 0.. {
        let stretch = left.min(KEYS);
        let tree = open(&rt, dir.join(turn.to_string()), Place::Memtable).await;
        let began = rt.now();
        for index in 1..=stretch {
            batch.clear();
            batch.put(&key(index), &VALUE);
            tree.apply(&batch, Mark { stream: 1, index });
        }
        spent += rt.now().since(began);
        tree.close().await.expect("a disk that works");
        left -= stretch;
        if left == 0 {
            break;
        }
    }
    spent
}

async fn get<R: Runtime>(rt: R, dir: PathBuf, rounds: u64, place: Place) -> Duration {
    // A test with one round needs few keys.
    let keys = KEYS.min(rounds * 1000);
    let tree = open(&rt, dir, place).await;
    let mut batch = WriteBatch::new();
    for index in 1..=keys {
        batch.clear();
        batch.put(&key(index), &VALUE);
        tree.apply(&batch, Mark { stream: 1, index });
    }
    if place != Place::Memtable {
        tree.flush().await.expect("a disk that works");
    }
    if place == Place::Cache {
        for index in 1..=keys {
            tree.get(&key(index)).await.expect("a disk that works").expect("it was written");
        }
    }
    let mut chance = Chance::new(7, 0);
    let began = rt.now();
    for _ in 0..rounds {
        let index = chance.below(keys) + 1;
        let missing = if place == Place::Nowhere { KEYS } else { 0 };
        let found = tree.get(&key(index + missing)).await.expect("a disk that works");
        assert_eq!(found.is_some(), place != Place::Nowhere);
    }
    let spent = rt.now().since(began);
    tree.close().await.expect("a disk that works");
    spent
}
