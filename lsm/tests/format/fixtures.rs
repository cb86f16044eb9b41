//! The committed files, and what was written into them.

#![expect(
    clippy::disallowed_methods,
    reason = "reads and writes the committed fixtures, on the build's machine"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lsm::log::{Identity, Log, LogOptions, OwnedRecord, Record};
use lsm::{Compression, Mark, Tree, TreeOptions, WriteBatch};
use runtime::sim::{World, WorldOptions};

/// The newest version of the format that has fixtures.
pub const VERSION: u32 = 2;

/// A directory's files by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// One tree per compression.
pub const TREES: [(&str, Compression); 3] =
    [("tree-none", Compression::None), ("tree-lz4", Compression::Lz4), ("tree-zstd", Compression::Zstd)];

fn folder(version: u32, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format!("v{version}")).join(name)
}

/// The committed files of one directory.
pub fn load(version: u32, name: &str) -> Files {
    let listed =
        std::fs::read_dir(folder(version, name)).unwrap_or_else(|_| panic!("v{version}/{name} is missing"));
    let file = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap())
    };
    listed.map(file).collect()
}

pub fn log_options(dir: &str) -> LogOptions {
    LogOptions {
        segment_bytes: 16 << 10,
        segments_max: 32,
        free_segments_max: 1,
        record_bytes_max: 3000,
        batch_bytes: 4096,
        buffered_bytes_max: 64 << 10,
        ahead_bytes: 16 << 10,
        piece_bytes: 8 << 10,
        ..LogOptions::new(dir, Identity { cluster: 0x0102_0304, node: 5, shard: 6 })
    }
}

pub fn tree_options(dir: &str, compression: Compression) -> TreeOptions {
    TreeOptions {
        compression: [compression; 7],
        block_bytes: 512,
        partition_bytes: 256,
        table_bytes: 8192,
        manifest_bytes: 8192,
        ..TreeOptions::new(dir)
    }
}

/// Every record that was appended; the first ones were released.
pub fn records() -> Vec<OwnedRecord> {
    let record = |index: u64| OwnedRecord {
        kind: (index % 3) as u8,
        stream: index % 2,
        term: index / 7,
        index,
        payload: (0..index * 97 % 900).map(|at| (at + index) as u8).collect(),
    };
    (1..=40).map(record).collect()
}

/// What the tree holds at the end.
pub fn contents() -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut contents = BTreeMap::new();
    for number in 0..150u32 {
        contents.insert(key(number), value(number, 1));
    }
    contents.retain(|key, _| {
        key.as_slice() < key_bound(100).as_slice() || key.as_slice() >= key_bound(110).as_slice()
    });
    (0..150).step_by(10).for_each(|number| drop(contents.remove(&key(number))));
    (5..150).step_by(25).for_each(|number| drop(contents.insert(key(number), value(number, 2))));
    contents
}

fn key(number: u32) -> Vec<u8> {
    format!("some/prefix/{number:03}").into_bytes()
}

fn key_bound(number: u32) -> Vec<u8> {
    key(number)
}

fn value(number: u32, turn: u32) -> Vec<u8> {
    format!("value {number} of turn {turn}, ").repeat(1 + number as usize % 5).into_bytes()
}

/// Writes the fixtures of this version.
pub fn write() {
    write_log();
    TREES.iter().for_each(|(name, compression)| write_tree(name, *compression));
}

fn put(name: &str, world: &World, node: runtime::sim::NodeId) {
    let target = folder(VERSION, name);
    drop(std::fs::remove_dir_all(&target));
    std::fs::create_dir_all(&target).unwrap();
    let disk = world.disk(node);
    for (path, _) in disk.files() {
        let bytes = disk.read_file(&path).unwrap();
        std::fs::write(target.join(path.file_name().unwrap()), bytes).unwrap();
    }
}

fn write_log() {
    let world = World::new(11, WorldOptions::default());
    let node = world.node("n");
    world.block_on(async {
        let (log, mut replay) = Log::open(world.runtime(node), log_options("log")).await.unwrap();
        while replay.next().await.unwrap().is_some() {}
        for record in records() {
            let OwnedRecord { kind, stream, term, index, payload } = &record;
            let record = Record { kind: *kind, stream: *stream, term: *term, index: *index, payload };
            let position = log.append_when_ready(record).await.unwrap();
            if index % 4 == 0 {
                log.durable(position).await.unwrap();
            }
            if *index == 25 {
                log.durable(position).await.unwrap();
                log.release(|_| 18);
            }
        }
        log.close().await.unwrap();
    });
    put("log", &world, node);
}

fn write_tree(name: &str, compression: Compression) {
    let world = World::new(12, WorldOptions::default());
    let node = world.node("n");
    world.block_on(async {
        let tree = Tree::open(world.runtime(node), tree_options("tree", compression)).await.unwrap();
        let mut batch = WriteBatch::new();
        (0..150).for_each(|number| batch.put(&key(number), &value(number, 1)));
        tree.apply(&batch, Mark { stream: 7, index: 1 });
        tree.flush().await.unwrap();
        batch.clear();
        batch.drop_range(&key_bound(100), &key_bound(110));
        (0..150).step_by(10).for_each(|number| batch.delete(&key(number)));
        tree.apply(&batch, Mark { stream: 7, index: 2 });
        tree.flush().await.unwrap();
        batch.clear();
        (5..150).step_by(25).for_each(|number| batch.put(&key(number), &value(number, 2)));
        tree.apply(&batch, Mark { stream: 7, index: 3 });
        tree.close().await.unwrap();
    });
    put(name, &world, node);
}
