//! Rot at rest: the scrubber finds it, compaction leaves it alone, and everything else goes on.

use std::time::Duration;

use runtime::Runtime;
use runtime::sim::{NodeId, SimRuntime, World};

use super::harness::{DIR, settle, world};
use crate::Error;
use crate::batch::{Mark, WriteBatch};
use crate::tree::{Tree, TreeOptions};

/// A pass takes 10 seconds at most.
fn options() -> TreeOptions {
    let mut options = TreeOptions::new(DIR);
    options.scrub_pass = Duration::from_secs(10);
    options.compression = [crate::Compression::None; crate::tree::LEVEL_COUNT];
    options
}

fn key(number: u64) -> Vec<u8> {
    format!("key/{number:05}").into_bytes()
}

/// Keys from `from` to `to` in one SSTable.
async fn flush_keys(tree: &Tree<SimRuntime>, from: u64, to: u64) {
    let mut batch = WriteBatch::new();
    (from..to).for_each(|number| batch.put(&key(number), &[number as u8; 100]));
    tree.apply(&batch, Mark { stream: 1, index: tree.inner.next_sequence.get() });
    tree.flush().await.expect("no faults");
}

/// The files of SSTables, with their sizes.
fn tables(world: &World, node: NodeId) -> Vec<(std::path::PathBuf, u64)> {
    let files = world.disk(node).files().into_iter();
    files.filter(|(path, _)| path.extension().is_some_and(|end| end == "sst")).collect()
}

#[test]
fn rot_that_nobody_reads_is_found_and_the_rest_is_served() {
    let (world, node) = world(1);
    world.block_on(async {
        let tree = Tree::open(world.runtime(node), options()).await.expect("new");
        flush_keys(&tree, 0, 1000).await;
        flush_keys(&tree, 1000, 2000).await;
        world.sleep(Duration::from_secs(30)).await;
        let passes = tree.stats().scrub_passes;
        assert!(passes >= 2 && tree.stats().corrupt.is_empty(), "{:?}", tree.stats());
        let files = tables(&world, node);
        let (path, size) = &files[0];
        let offset = size / 3;
        world.disk(node).flip_bit(path, offset, 3);
        world.sleep(Duration::from_secs(30)).await;
        let corrupt = tree.stats().corrupt;
        assert_eq!(corrupt.len(), 1, "{corrupt:?}");
        assert_eq!(
            corrupt[0].path,
            std::path::Path::new("/").join(path).strip_prefix("/").expect("under it")
        );
        let found = corrupt[0].offset.expect("the walk has found the block");
        assert!(found <= offset && offset < found + 4096 + 16, "{found} for {offset}");
        let (mut lost, mut served) = (0, 0);
        for number in 0..2000 {
            match tree.get(&key(number)).await {
                Ok(value) => {
                    assert_eq!(value.as_deref(), Some(&[number as u8; 100][..]));
                    served += 1;
                }
                Err(Error::Corrupt { offset, .. }) => {
                    assert_eq!(offset, found);
                    lost += 1;
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert!((1..100).contains(&lost) && served + lost == 2000, "{lost} of one block");

        // The cable was bad, or somebody has put the file back.
        world.disk(node).flip_bit(path, offset, 3);
        world.sleep(Duration::from_secs(30)).await;
        assert_eq!(tree.stats().corrupt, []);
    });
}

#[test]
fn bytes_between_blocks_and_a_short_file_are_found_too() {
    for damage in 0..3 {
        let (world, node) = world(damage);
        world.block_on(async {
            let tree = Tree::open(world.runtime(node), options()).await.expect("new");
            flush_keys(&tree, 0, 500).await;
            let (path, size) = tables(&world, node).remove(0);
            match damage {
                0 => world.disk(node).flip_bit(&path, size - 4097, 1), // Zeros before the footer.
                1 => world.disk(node).flip_bit(&path, size - 2000, 1), // In the footer.
                _ => world.disk(node).resize(&path, size - 4096),
            }
            world.sleep(Duration::from_secs(30)).await;
            assert_eq!(tree.stats().corrupt.len(), 1, "damage {damage}");
        });
    }
}

#[test]
fn a_pass_goes_on_where_a_restart_has_found_it() {
    let (world, node) = world(3);
    let mut slow = options();
    slow.scrub_pass = Duration::from_secs(100);
    slow.scrub_bytes_per_second_min = 1;
    let total = world.block_on(async {
        let tree = Tree::open(world.runtime(node), slow.clone()).await.expect("new");
        for table in 0..20 {
            // Apart, so that compaction moves them but does not merge them.
            flush_keys(&tree, table * 1000, table * 1000 + 500).await;
        }
        settle(&tree).await;
        tree.stats().level_bytes.iter().sum::<u64>()
    });
    let mut read = 0;
    for _ in 0..6 {
        world.crash(node);
        read += world.block_on(async {
            let tree = Tree::open(world.runtime(node), slow.clone()).await.expect("no faults");
            let before = tree.stats().scrub_passes;
            world.sleep(Duration::from_secs(20)).await;
            let stats = tree.stats();
            assert!(stats.scrub_passes <= before + 1);
            stats.scrub_bytes
        });
    }
    let again = world.block_on(Tree::open(world.runtime(node), slow.clone())).expect("no faults");
    world.block_on(world.sleep(Duration::from_millis(100)));
    assert!(again.stats().scrub_passes >= 1, "six fifths of a pass, in six parts");
    assert!(read < total * 3 / 2, "{read} bytes read of {total}: at its pace, and hardly anything twice");
}

#[test]
fn a_position_that_was_torn_or_lost_begins_a_pass_anew() {
    let (world, node) = world(4);
    let position = format!("{DIR}/scrub");
    world.block_on(async {
        let tree = Tree::open(world.runtime(node), options()).await.expect("new");
        flush_keys(&tree, 0, 500).await;
        world.sleep(Duration::from_secs(30)).await;
        assert!(tree.stats().scrub_passes >= 2);
    });
    for damage in 0..2 {
        world.crash(node);
        match damage {
            0 => world.disk(node).flip_bit(&position, 20, 1),
            _ => world.disk(node).remove_file(&position),
        }
        world.block_on(async {
            let tree = Tree::open(world.runtime(node), options()).await.expect("it is no data");
            world.sleep(Duration::from_secs(25)).await;
            assert!((1..=3).contains(&tree.stats().scrub_passes), "{:?}", tree.stats());
        });
    }
}

/// A compaction meets the rot first: nothing is dropped, nothing is copied, newer writes win, and writing goes on.
#[test]
fn compaction_leaves_a_rotten_table_alone_and_writing_goes_on() {
    let (world, node) = world(5);
    let mut options = options();
    options.scrub_pass = Duration::ZERO;
    (options.level0_tables, options.level0_tables_slow, options.level0_tables_stop) = (2, 3, 6);
    world.block_on(async {
        let tree = Tree::open(world.runtime(node), options.clone()).await.expect("new");
        flush_keys(&tree, 0, 1000).await;
        let (path, size) = tables(&world, node).remove(0);
        world.disk(node).flip_bit(&path, size / 2, 5);
        for round in 0..40u64 {
            tree.ready().await.expect("writing goes on");
            let mut batch = WriteBatch::new();
            batch.put(&key(round), b"newer");
            batch.put(&key(5000 + round), b"other");
            tree.apply(&batch, Mark { stream: 1, index: tree.inner.next_sequence.get() });
            tree.flush().await.expect("flushes go on");
            settle(&tree).await;
        }
        let stats = tree.stats();
        assert!(stats.level_tables[0] < 6, "{stats:?}");
        assert_eq!((stats.corrupt.len(), stats.poisoned.clone()), (1, None));
        assert!(tables(&world, node).contains(&(path.clone(), size)), "it is still there, as it is");
        let mut lost = 0;
        for number in 0..1000 {
            match tree.get(&key(number)).await {
                Ok(value) if number < 40 => assert_eq!(value.as_deref(), Some(&b"newer"[..])),
                Ok(value) => assert_eq!(value.as_deref(), Some(&[number as u8; 100][..])),
                Err(error) => {
                    assert!(matches!(error, Error::Corrupt { .. }) && number >= 40, "{error}");
                    lost += 1;
                }
            }
        }
        assert!((1..100).contains(&lost), "{lost}");
        // When it can be read again, everything goes down as it should.
        world.disk(node).flip_bit(&path, size / 2, 5);
        world.sleep(Duration::from_secs(30)).await;
        settle(&tree).await;
        let stats = tree.stats();
        assert!(stats.corrupt.is_empty() && stats.level_tables[0] < 2, "{stats:?}");
        assert_eq!(tree.get(&key(999)).await.expect("repaired").as_deref(), Some(&[999u64 as u8; 100][..]));
    });
}

/// A misread that does not come back is no corruption.
#[test]
fn one_bad_read_is_not_believed() {
    let (world, node) = world(6);
    world.block_on(async {
        let tree = Tree::open(world.runtime(node), options()).await.expect("new");
        flush_keys(&tree, 0, 2000).await;
        world.disk(node).change_faults(|faults| faults.rot_on_read = runtime::sim::Chance::percent(5));
        world.sleep(Duration::from_secs(200)).await;
        world.disk(node).change_faults(|faults| faults.rot_on_read = runtime::sim::Chance::NEVER);
        world.sleep(Duration::from_secs(30)).await;
        assert_eq!(tree.stats().corrupt, []);
        let _ = tree.inner.runtime.wall();
    });
}
