//! What reads cost: device reads, how many at once, how many bytes.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::path::PathBuf;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use runtime::sim::{NodeId, SimRuntime, Span, World};
use runtime::sync::join_all;
use runtime::{Class, Runtime};

use super::harness::{DIR, settle, world};
use crate::Error;
use crate::batch::{Direction, Mark, Range, WriteBatch};
use crate::tree::{Compression, LEVEL_COUNT, Tree, TreeOptions};

/// What a device read takes here.
const READ: Duration = Duration::from_micros(100);

fn key(number: u64) -> Vec<u8> {
    format!("table/{number:06}").into_bytes()
}

fn value(number: u64) -> Vec<u8> {
    vec![number as u8; 150]
}

/// A tree with `keys` keys (every second number) in SSTables and filters and indexes in the cache, reads of 100 µs.
fn with_keys<F: Future<Output = ()>>(
    keys: u64,
    change: impl FnOnce(&mut TreeOptions),
    test: impl FnOnce(Tree<SimRuntime>, Rc<World>, NodeId) -> F,
) {
    let (world, node) = world(1);
    let world = Rc::new(world);
    let mut options = TreeOptions::new(DIR);
    options.compression = [Compression::None; LEVEL_COUNT];
    change(&mut options);
    let held = world.clone();
    world.block_on(async {
        let rt = held.runtime(node);
        let tree = Tree::open(rt.clone(), options.clone()).await.expect("a new tree");
        for index in 1..=keys {
            let mut batch = WriteBatch::new();
            // In the order of chance, so that SSTables overlap.
            let number = (index * 7919 % keys + 1) * 2;
            batch.put(&key(number), &value(number));
            tree.ready().await.expect("no faults");
            tree.apply(&batch, Mark { stream: 1, index });
        }
        tree.close().await.expect("no faults");
        drop(tree);
        let tree = Tree::open(rt, options).await.expect("no faults");
        settle(&tree).await;
        // Absent keys all over load what a get needs beside its block.
        for number in 0..keys {
            tree.get(&key(number * 2 + 1)).await.expect("no faults");
        }
        held.disk(node).change_faults(|faults| faults.read = Span { least: READ, most: READ });
        test(tree, held.clone(), node).await;
    });
}

async fn scan_all(tree: &Tree<SimRuntime>, range: Range, direction: Direction) -> Vec<Vec<u8>> {
    let mut scan = tree.view().scan(range, direction);
    let mut found = Vec::new();
    while let Some((key, _)) = scan.next().await.expect("no faults") {
        found.push(key.to_vec());
    }
    found
}

#[test]
fn gets_of_one_block_share_one_read() {
    with_keys(
        2000,
        |_| (),
        |tree, _, _| async move {
            let before = tree.stats();
            let keys = [key(1000), key(1000), key(1000), key(1000)];
            let found = join_all(keys.iter().map(|key| tree.get(key))).await;
            assert!(found.into_iter().all(|found| found.expect("no faults").is_some()));
            let after = tree.stats();
            assert_eq!(after.reads - before.reads, 1);
            assert_eq!(after.reads_shared - before.reads_shared, 3);
            assert_eq!(after.read_bytes - before.read_bytes, 4096, "one page");
        },
    );
}

#[test]
fn who_waits_for_a_read_reads_when_the_reader_is_gone() {
    with_keys(
        2000,
        |_| (),
        |tree, world, node| async move {
            let mut reader = Box::pin(async { tree.get(&key(1000)).await.map(|_| ()) });
            poll_fn(|context| {
                assert!(reader.as_mut().poll(context).is_pending());
                Poll::Ready(())
            })
            .await;
            let waiting: Vec<_> = (0..3)
                .map(|_| {
                    let tree = tree.clone();
                    let get = async move { tree.get(&key(1000)).await };
                    world.runtime(node).spawn(Class::Foreground, get)
                })
                .collect();
            // They wait now, and the read is not over.
            world.runtime(node).sleep(READ / 10).await;
            drop(reader);
            for found in join_all(waiting).await {
                assert_eq!(found.expect("no faults").as_deref(), Some(value(1000).as_slice()));
            }
            assert_eq!(tree.stats().reads_shared, 5, "three waited, then two for the third");
        },
    );
}

#[test]
fn many_gets_have_their_reads_in_flight_together() {
    with_keys(
        5000,
        |_| (),
        |tree, world, node| async move {
            let mut batch = WriteBatch::new();
            batch.put(b"in memory", b"1");
            tree.apply(&batch, Mark { stream: 2, index: 1 });
            let mut keys: Vec<Vec<u8>> = (0..64).map(|number| key(number * 150)).collect();
            keys.extend([key(3), b"in memory".to_vec(), key(150)]);
            let asked: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
            let (rt, before) = (world.runtime(node), tree.stats().reads);
            let begun = rt.now();
            let found = tree.view().get_many(&asked).await;
            let spent = rt.now().since(begun);
            let found: Vec<Option<Vec<u8>>> = found
                .into_iter()
                .map(|value| value.expect("no faults").map(|value| value.to_vec()))
                .collect();
            for (number, found) in (0..64).zip(&found) {
                assert_eq!(*found, (number > 0).then(|| value(number * 150)), "{number}");
            }
            assert_eq!(found[64..], [None, Some(b"1".to_vec()), Some(value(150))]);
            let reads = tree.stats().reads - before;
            assert_eq!(reads, 63, "one for each key that is there; the key that comes twice is read once");
            assert!(spent <= READ * 3, "{reads} reads took {spent:?}, {READ:?} each");
        },
    );
}

#[test]
fn a_long_scan_reads_ahead_both_ways() {
    // What one way has read the other shall not find: a cache for filters and indexes, and little more.
    with_keys(
        20_000,
        |options| options.cache_bytes = 256 << 10,
        |tree, world, node| async move {
            let rt = world.runtime(node);
            let all: Vec<Vec<u8>> = (1..=20_000).map(|number| key(number * 2)).collect();
            for direction in [Direction::Forward, Direction::Backward] {
                let (before, begun) = (tree.stats(), rt.now());
                let mut found = scan_all(&tree, Range::ALL, direction).await;
                let (after, spent) = (tree.stats(), rt.now().since(begun));
                if direction == Direction::Backward {
                    found.reverse();
                }
                assert!(found == all, "{direction:?}");
                let (reads, bytes) = (after.reads - before.reads, after.read_bytes - before.read_bytes);
                println!("{direction:?}: {reads} reads, {bytes} bytes, {spent:?}");
                let one_by_one = READ * reads as u32;
                assert!(
                    spent < one_by_one * 2 / 3,
                    "{reads} reads took {spent:?}, one by one {one_by_one:?}"
                );
                assert!(reads < 120, "{reads} reads for 4 MB");
                assert!(bytes < 4_500_000, "{bytes} bytes read for 3.4 MB of values");
            }
        },
    );
}

#[test]
fn a_short_scan_reads_what_it_wants_and_no_more() {
    with_keys(
        20_000,
        |_| (),
        |tree, _, _| async move {
            let cost = async |range: Range, direction, expected: Option<usize>, take: usize| {
                let before = tree.stats();
                let mut scan = tree.view().scan(range, direction);
                if let Some(expected) = expected {
                    scan = scan.expecting(expected);
                }
                let mut count = 0;
                while count < take && scan.next().await.expect("no faults").is_some() {
                    count += 1;
                }
                let after = tree.stats();
                (count, after.reads - before.reads, after.read_bytes - before.read_bytes)
            };
            use Direction::{Backward, Forward};
            let few = Range::half_open(&key(4000), &key(4006));
            assert!(matches!(cost(few.clone(), Forward, None, 99).await, (3, 1, ..=8192)));
            assert!(matches!(cost(few, Forward, None, 99).await, (3, 0, 0)), "it is cached now");
            let few = Range::half_open(&key(9000), &key(9006));
            assert!(matches!(cost(few, Backward, None, 99).await, (3, 1..=2, ..=8192)));
            let from = |number| Range { from: std::ops::Bound::Included(key(number)), ..Range::ALL };
            let to = |number| Range { to: std::ops::Bound::Included(key(number)), ..Range::ALL };
            let hundred = 100 * 170;
            let (count, reads, bytes) = cost(from(12_000), Forward, Some(100), 100).await;
            assert!(
                count == 100 && reads == 1 && bytes < hundred + 3 * 4096,
                "{reads} reads of {bytes} bytes"
            );
            let (count, reads, bytes) = cost(to(18_000), Backward, Some(100), 100).await;
            assert!(
                count == 100 && reads <= 2 && bytes < hundred + 4 * 4096,
                "{reads} reads of {bytes} bytes"
            );
            let (count, reads, bytes) = cost(to(22_000), Backward, Some(1), 1).await;
            assert!(count == 1 && reads <= 2 && bytes <= 2 * 8192, "{reads} reads of {bytes} bytes");
            let (count, reads, _) = cost(from(24_000), Forward, None, 1).await;
            assert_eq!((count, reads), (1, 1), "who wants one entry does not start a read-ahead");
        },
    );
}

#[test]
fn absent_keys_cost_no_device_reads() {
    let small = |options: &mut TreeOptions| {
        options.memtable_bytes = 256 << 10;
        options.table_bytes = 128 << 10;
        options.level1_bytes = 100 << 10;
        options.cache_bytes = 1 << 20;
    };
    with_keys(30_000, small, |tree, _, _| async move {
        let before = tree.stats();
        assert!(before.level_tables.iter().filter(|tables| **tables > 0).count() >= 2, "{before:?}");
        for number in 0..30_000 {
            assert!(tree.get(&key(number * 2 + 1)).await.expect("no faults").is_none());
        }
        let after = tree.stats();
        let passed = after.filter_false_positives - before.filter_false_positives;
        println!(
            "30,000 absent keys, tables per level {:?}: {passed} passed a filter, {} device reads",
            after.level_tables,
            after.reads - before.reads
        );
        assert!(after.reads - before.reads <= 300, "99 of 100 are answered without a device read");
        assert!(passed <= 300, "{passed}");
    });
}

#[test]
fn a_damaged_block_is_an_error_with_its_place_and_is_never_cached() {
    with_keys(
        2000,
        |_| (),
        |tree, world, node| async move {
            let disk = world.disk(node);
            let mut tables = disk.files().into_iter().map(|(path, _)| path);
            let table: PathBuf =
                tables.rfind(|path| path.extension().is_some_and(|end| end == "sst")).expect("one");
            disk.flip_bit(&table, 30, 2);
            for _ in 0..2 {
                let error = tree.get(&key(2)).await.expect_err("a flipped bit");
                assert!(
                    matches!(&error, Error::Corrupt { path, offset: 0, .. } if path.file_name() == table.file_name()),
                    "{error}"
                );
                let error = tree.get_many(&[&key(2), &key(3000)]).await;
                assert!(
                    matches!(&error[..], [Err(Error::Corrupt { offset: 0, .. }), Ok(Some(_))]),
                    "{error:?}"
                );
                let mut scan = tree.view().scan(Range::ALL, Direction::Forward);
                assert!(matches!(scan.next().await, Err(Error::Corrupt { offset: 0, .. })));
                assert!(matches!(scan.next().await, Err(Error::Corrupt { offset: 0, .. })), "and again");
                let mut scan = tree.view().scan(Range::ALL, Direction::Backward);
                let mut count = 0;
                let error = loop {
                    match scan.next().await {
                        Ok(Some(_)) => count += 1,
                        Ok(None) => panic!("a scan that leaves out a block"),
                        Err(error) => break error,
                    }
                };
                assert!(
                    count > 1900 && matches!(error, Error::Corrupt { offset: 0, .. }),
                    "{count}, {error}"
                );
            }
            disk.flip_bit(&table, 30, 2);
            assert_eq!(tree.get(&key(2)).await.expect("whole again").as_deref(), Some(value(2).as_slice()));
        },
    );
}

#[test]
fn each_level_is_compressed_as_it_was_told() {
    let mut sizes = BTreeMap::new();
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        let change = |options: &mut TreeOptions| options.compression = [compression; LEVEL_COUNT];
        let sizes = &mut sizes;
        with_keys(5000, change, |tree, _, _| async move {
            for number in (2..10_000).step_by(501 * 2) {
                let found = tree.get(&key(number)).await.expect("no faults");
                assert_eq!(found.as_deref(), Some(value(number).as_slice()));
            }
            assert_eq!(scan_all(&tree, Range::ALL, Direction::Forward).await.len(), 5000);
            sizes.insert(format!("{compression:?}"), tree.stats().level_bytes.iter().sum::<u64>());
        });
    }
    println!("{sizes:?}");
    assert!(sizes["Lz4"] < sizes["None"] / 3 && sizes["Zstd"] < sizes["Lz4"], "{sizes:?}");
}
