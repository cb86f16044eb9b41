//! A whole data directory that was committed: it must still open, with everything in it, whatever the version that wrote it.
//!
//! To write one after a change of the format: `TORC_WRITE_FIXTURES=1 cargo test -p shard --test it fixture`.

#![expect(
    clippy::disallowed_methods,
    reason = "reads and writes the committed fixtures, on the build's machine"
)]

use crate::crash::{small, small_world};
use crate::harness::*;
use lsm::inspect::Findings;
use model::ring::NodeId;
use runtime::sim::World;
use shard::inspect::verify::verify;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The newest version that has a fixture.
const VERSION: u32 = 2;
const ITEMS: i64 = 60;

fn folder(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format!("v{version}"))
}

/// Half of the items lie in SSTables, half in the log alone.
fn written() -> Node {
    let node = Node::with(small_world(5), 2, small);
    node.run(|client| async move {
        client.create("things").await;
        for n in 0..ITEMS / 2 {
            client.put(&format!("p{n}"), n, &[("text", text(&format!("text of {n}")))]).await;
        }
    });
    for core in 0..2 {
        let shard = node.shard(core);
        node.world.block_on(async { shard.close().await.unwrap() });
    }
    node.restart();
    node.run(|client| async move {
        client.active_now("things");
        for n in ITEMS / 2..ITEMS {
            client.put(&format!("p{n}"), n, &[("text", text(&format!("text of {n}")))]).await;
        }
    });
    node.world.crash(node.id);
    node
}

fn write() {
    let node = written();
    let disk = node.world.disk(node.id);
    drop(std::fs::remove_dir_all(folder(VERSION)));
    for (path, _) in disk.files() {
        let below = path.strip_prefix(Path::new("/").join(DATA)).expect("all files are data");
        let target = folder(VERSION).join(below);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::write(target, disk.read_file(&path).unwrap()).unwrap();
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap_or_else(|_| panic!("{} is missing", dir.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn put_on_disk(world: &World, node: runtime::sim::NodeId, version: u32) {
    for path in files(&folder(version)) {
        let below = path.strip_prefix(folder(version)).unwrap();
        world.disk(node).write_file(Path::new("/").join(DATA).join(below), &std::fs::read(&path).unwrap());
    }
}

#[test]
fn fixture_of_every_version_is_whole_and_says_who_it_is() {
    if std::env::var_os("TORC_WRITE_FIXTURES").is_some() {
        write();
    }
    for version in 1..=VERSION {
        let world = small_world(1);
        let node = world.node("n");
        put_on_disk(&world, node, version);
        let mut findings = Findings::default();
        let report = world.block_on(verify(&world.runtime(node), Path::new(DATA), &mut findings));
        assert!(findings.problems.is_empty() && findings.orphans.is_empty(), "{findings:?}");
        let identity = report.identity.unwrap();
        assert_eq!((identity.shard_count, identity.vnode_count, identity.number), (2, VNODES, NodeId(0)));
        let block = std::fs::read(folder(version).join("node")).unwrap();
        assert_eq!(identity.cluster.to_le_bytes(), block[16..32]);
        let entries: u64 = report.shards.iter().map(|shard| shard.tree.entries).sum();
        let records: u64 = report.shards.iter().map(|shard| shard.log.records).sum();
        assert!(entries >= ITEMS as u64 / 2 && records >= ITEMS as u64 / 2, "{entries} and {records}");
    }
}

#[test]
fn fixture_of_every_version_still_serves_its_items() {
    for version in 1..=VERSION {
        let node = Node::with(small_world(2), 2, small);
        put_on_disk(&node.world, node.id, version);
        let found = node.run(|client| async move {
            client.active_now("things");
            client.scan_all().await
        });
        let found: BTreeSet<String> = found.iter().map(|item| format!("{item:?}")).collect();
        let wanted = |n: i64| attributes_of(&format!("p{n}"), n, &[("text", text(&format!("text of {n}")))]);
        assert_eq!(found, (0..ITEMS).map(|n| format!("{:?}", wanted(n))).collect());
    }
}
