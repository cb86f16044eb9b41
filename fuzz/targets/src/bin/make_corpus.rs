//! Writes the valid part of the corpus: `cargo run -p fuzz_targets --bin make_corpus`, after a format has changed.
//!
//! Files that the engine itself wrote on a simulated disk, and blocks and edits from its builders. Names begin with
//! `valid_`; what fuzzing found lies beside them and stays.

#![expect(clippy::disallowed_methods, reason = "writes the committed corpus, on the build's machine")]

use std::path::{Path, PathBuf};

use fuzz_targets::{log_replay, sstable};
use lsm::log::{Log, Record};
use lsm::{Compression, Mark, Tree, TreeOptions, WriteBatch};
use runtime::sim::{DiskHandle, World, WorldOptions};

/// The item that FORMAT.md shows.
const FORMAT_PAGE: [u8; 42] = [
    0x01, 0x01, 0x04, 0x05, 0x0e, 0x14, 0x23, 0x02, 0x69, 0x64, 0x01, 0x61, 0x01, 0x6c, 0x08, 0x01, 0x02,
    0x01, 0x02, 0x05, 0x06, 0x01, 0x6e, 0x02, 0xc0, 0x82, 0x14, 0x01, 0x73, 0x0a, 0x01, 0x02, 0x04, 0x08,
    0x40, 0x7b, 0xe6, 0xc3, 0xc0, 0x84, 0x19, 0x3c,
];

fn main() {
    blocks();
    manifests();
    log();
    trees();
    put("item", "valid_format_page", &FORMAT_PAGE);
    put("item", "valid_value", &[0x08, 1, 2, 1, 2, 5, 6]);
    put("canary", "valid_song", b"torc");
}

fn put(target: &str, name: &str, bytes: &[u8]) {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(target);
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    std::fs::write(folder.join(name), bytes).expect("it can be written");
}

fn blocks() {
    let keys: Vec<String> = (0..20).map(|number| format!("key/{number:02}/some")).collect();
    let values: Vec<Vec<u8>> = (0..20).map(|number| vec![number; usize::from(number)]).collect();
    let entries: Vec<(&[u8], Option<&[u8]>)> =
        (0..20).map(|at| (keys[at].as_bytes(), (at % 5 != 0).then_some(values[at].as_slice()))).collect();
    let block = lsm::fuzzing::build_block(&entries, 16);
    let size = (block.len() as u32).to_le_bytes();
    put("block", "valid_data", &[&[9], block.as_slice()].concat());
    put("block", "valid_stored", &[&[0], &size[..], &block].concat());
    let keys: Vec<&[u8]> = keys.iter().map(String::as_bytes).collect();
    put("block", "valid_partition", &[&[9], lsm::fuzzing::build_partition(&keys).as_slice()].concat());
}

fn manifests() {
    for (at, edit) in lsm::fuzzing::sample_edits().iter().enumerate() {
        put("manifest", &format!("valid_edit_{at}"), &[&[1], edit.as_slice()].concat());
    }
}

fn log() {
    let world = World::new(3, WorldOptions::default());
    let node = world.node("n");
    world.block_on(async {
        let opened = Log::open(world.runtime(node), log_replay::options()).await;
        let (log, mut replay) = opened.expect("a new log");
        while replay.next().await.expect("a new log").is_some() {}
        for index in 1..=14u64 {
            let payload = vec![index as u8; (index * 131 % 1500) as usize];
            let record = Record { kind: 1, stream: index % 2, term: 1, index, payload: &payload };
            let position = log.append_when_ready(record).await.expect("there is room");
            log.durable(position).await.expect("no faults");
        }
        log.close().await.expect("no faults");
    });
    let disk = world.disk(node);
    let mut all = vec![1, 0];
    for (path, _) in disk.files().into_iter().take(4) {
        all.extend(disk.read_file(&path).expect("it was listed"));
    }
    put("log_replay", "valid_segments", &all);
}

fn trees() {
    let kinds = [("none", Compression::None), ("lz4", Compression::Lz4), ("zstd", Compression::Zstd)];
    for (name, compression) in kinds {
        let world = World::new(4, WorldOptions::default());
        let node = world.node("n");
        let options = TreeOptions {
            compression: [compression; 7],
            block_bytes: 512,
            partition_bytes: 256,
            manifest_bytes: 4096,
            ..TreeOptions::new("tree")
        };
        world.block_on(async {
            let tree = Tree::open(world.runtime(node), options).await.expect("a new tree");
            let mut batch = WriteBatch::new();
            (0..60u32).for_each(|key| batch.put(format!("key/{key:03}").as_bytes(), &[key as u8; 40]));
            batch.delete(b"key/007");
            tree.apply(&batch, Mark { stream: 1, index: 1 });
            tree.close().await.expect("no faults");
        });
        files_of_tree(&world.disk(node), name);
    }
}

fn files_of_tree(disk: &DiskHandle, name: &str) {
    for (path, _) in disk.files() {
        let bytes = disk.read_file(&path).expect("it was listed");
        if path.ends_with(sstable::NAME) {
            put("sstable", &format!("valid_{name}"), &[&[1], bytes.as_slice()].concat());
        } else if name == "none" {
            put("manifest", "valid_file", &[&[0], bytes.as_slice()].concat());
        }
    }
}
