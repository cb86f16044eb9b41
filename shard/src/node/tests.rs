//! The node's block: founding, reading back, refusing, and crashes at every step.

use super::*;
use model::map::Map;
use runtime::sim::{World, WorldOptions};

const DATA: &str = "data/torc";

fn world(seed: u64) -> (World, runtime::sim::NodeId) {
    let world = World::new(seed, WorldOptions::default());
    let node = world.node("n");
    (world, node)
}

#[test]
fn a_new_directory_is_founded_and_read_back() {
    let (world, node) = world(1);
    let rt = world.runtime(node);
    world.block_on(async {
        let founded = open(&rt, Path::new(DATA), Some(4), 64).await.unwrap();
        assert_eq!((founded.shard_count, founded.vnode_count, founded.number), (4, 64, NodeId(0)));
        assert!(founded.cluster != 0 && founded.node != 0 && founded.cluster != founded.node);
        assert_eq!(founded.founding_ring().len(), 64);
        assert_eq!(open(&rt, Path::new(DATA), Some(4), 8).await.unwrap(), founded);
        assert_eq!(open(&rt, Path::new(DATA), None, 8).await.unwrap(), founded);
        let other = open(&rt, Path::new("elsewhere"), Some(4), 64).await.unwrap();
        assert_ne!((other.cluster, other.node), (founded.cluster, founded.node));
    });
}

#[test]
fn another_shard_count_is_refused_with_what_to_do() {
    let (world, node) = world(2);
    let rt = world.runtime(node);
    world.block_on(async {
        open(&rt, Path::new(DATA), Some(4), 64).await.unwrap();
        let error = open(&rt, Path::new(DATA), Some(2), 64).await.unwrap_err();
        assert!(matches!(error, NodeError::ShardCount { founded: 4, asked: 2, .. }));
        assert!(error.to_string().contains("--shards 4"), "{error}");
    });
}

#[test]
fn every_damaged_byte_is_noticed_and_nothing_is_overwritten() {
    let (world, node) = world(3);
    let rt = world.runtime(node);
    let path = Path::new(DATA).join("node");
    world.block_on(async {
        open(&rt, Path::new(DATA), Some(4), 64).await.unwrap();
        let disk = world.disk(node);
        let whole = disk.read_file(&path).expect("it was written");
        for at in (0..64).chain(BLOCK_BYTES - 64..BLOCK_BYTES) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x40;
            disk.write_file(&path, &damaged);
            let error = open(&rt, Path::new(DATA), None, 64).await.unwrap_err();
            assert!(matches!(error, NodeError::Corrupt { .. }), "byte {at}: {error}");
            assert_eq!(disk.read_file(&path), Some(damaged), "byte {at}");
        }
        disk.write_file(&path, &whole[..100]);
        assert!(matches!(open(&rt, Path::new(DATA), None, 64).await, Err(NodeError::Corrupt { .. })));
    });
}

#[test]
fn a_version_from_the_future_is_named() {
    let (world, node) = world(4);
    let rt = world.runtime(node);
    let path = Path::new(DATA).join("node");
    world.block_on(async {
        open(&rt, Path::new(DATA), Some(1), 1).await.unwrap();
        let disk = world.disk(node);
        let mut bytes = disk.read_file(&path).unwrap();
        bytes[8] = 2;
        let crc = crc32c::crc32c(&bytes[..CRC_OFFSET]);
        bytes[CRC_OFFSET..].copy_from_slice(&crc.to_le_bytes());
        disk.write_file(&path, &bytes);
        assert!(matches!(
            open(&rt, Path::new(DATA), None, 1).await,
            Err(NodeError::Version { found: 2, .. })
        ));
    });
}

#[test]
fn shards_without_an_identity_are_not_taken_over() {
    let (world, node) = world(5);
    let rt = world.runtime(node);
    world.block_on(async {
        rt.create_dir(&shard_dir(Path::new(DATA), ShardId(0))).await.unwrap();
        let error = open(&rt, Path::new(DATA), Some(1), 1).await.unwrap_err();
        assert!(matches!(error, NodeError::Lost { .. }), "{error}");
    });
}

#[test]
fn a_crash_while_founding_leaves_nothing_or_all() {
    let (mut nothing, mut all) = (0, 0);
    for seed in 0..300 {
        let (world, node) = world(seed);
        let rt = world.runtime(node);
        let founded = world.block_on_steps(seed % 40, found(&rt, Path::new(DATA), 2, 16));
        world.crash(node);
        let rt = world.runtime(node);
        let found = world.block_on(read(&rt, Path::new(DATA))).expect("never half a block");
        match (founded, found) {
            (Some(founded), found) => assert_eq!(found, Some(founded.unwrap()), "seed {seed}"),
            (None, found) => {
                nothing += usize::from(found.is_none());
                all += usize::from(found.is_some());
            }
        }
        // And a start after it works in any case.
        world.block_on(open(&rt, Path::new(DATA), Some(2), 16)).unwrap();
    }
    assert!(nothing > 20 && all > 5, "{nothing} {all}");
}

fn cluster_map(version: u64) -> Map {
    let mut ring = model::ring::Ring::even(300, 2);
    ring.epoch = version;
    Map { version, ..Map::alone(ring) }
}

#[test]
fn the_map_that_was_known_last_is_read_back() {
    let (world, node) = world(6);
    let rt = world.runtime(node);
    world.block_on(async {
        assert_eq!(known(&rt, Path::new(DATA)).await.unwrap(), None);
        for version in [1, 9] {
            keep(&rt, Path::new(DATA), &cluster_map(version)).await.unwrap();
            assert_eq!(known(&rt, Path::new(DATA)).await.unwrap(), Some(cluster_map(version)));
        }
        let path = Path::new(DATA).join("map");
        let disk = world.disk(node);
        let whole = disk.read_file(&path).expect("it was written");
        let used = cluster_map(9).encode().len() + 32;
        for at in (0..40).chain(used - 40..used) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x40;
            disk.write_file(&path, &damaged);
            let error = known(&rt, Path::new(DATA)).await.unwrap_err();
            assert!(matches!(error, NodeError::Corrupt { .. }), "byte {at}: {error}");
        }
        for size in [0, 20, 100, used - 1] {
            disk.write_file(&path, &whole[..size]);
            assert!(matches!(known(&rt, Path::new(DATA)).await, Err(NodeError::Corrupt { .. })), "{size}");
        }
    });
}

#[test]
fn a_crash_while_a_map_is_kept_leaves_the_old_one_or_the_new_one() {
    let (mut old, mut new) = (0, 0);
    for seed in 0..200 {
        let (world, node) = world(seed);
        let rt = world.runtime(node);
        world.block_on(keep(&rt, Path::new(DATA), &cluster_map(1))).unwrap();
        let kept =
            world.block_on_steps(seed % 40, async { keep(&rt, Path::new(DATA), &cluster_map(2)).await });
        world.crash(node);
        let rt = world.runtime(node);
        let map =
            world.block_on(known(&rt, Path::new(DATA))).expect("never half a map").expect("there was one");
        assert!(kept.is_none() || map.version == 2, "seed {seed}");
        assert_eq!(map, cluster_map(map.version));
        old += usize::from(map.version == 1);
        new += usize::from(map.version == 2);
    }
    assert!(old > 20 && new > 20, "{old} {new}");
}
