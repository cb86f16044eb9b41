//! The format itself: committed files must still open, and a reader that knows nothing but `docs/FORMAT.md` must see in
//! them what the engine sees.
//!
//! - `fixtures`: the committed files and what is in them. To write those of a new version of the format, raise
//!   `fixtures::VERSION` and run `TORC_WRITE_FIXTURES=1 cargo test -p lsm --test format on_demand`; older versions stay as they are.
//! - `reader`: the second reader: its own checksum, integers, LZ4, and not one line of the engine.
//! - here: both against each other and against what was written.

#![allow(clippy::unwrap_used, missing_docs)]

mod fixtures;
mod reader;

use std::collections::BTreeMap;
use std::path::Path;

use lsm::inspect::{self, Findings, Problem};
use lsm::log::Log;
use lsm::{Direction, Range, Tree};
use runtime::sim::{NodeId, World, WorldOptions};

use fixtures::{Files, TREES, log_options, tree_options};

#[test]
fn fixtures_are_written_on_demand_only() {
    if std::env::var_os("TORC_WRITE_FIXTURES").is_some() {
        fixtures::write();
    }
    for version in 1..=fixtures::VERSION {
        assert!(!fixtures::load(version, "log").is_empty(), "version {version} is committed");
    }
}

/// A world whose one disk holds these files in `dir`.
fn world_with(files: &Files, dir: &str) -> (World, NodeId) {
    let world = World::new(1, WorldOptions::default());
    let node = world.node("n");
    for (name, bytes) in files {
        world.disk(node).write_file(Path::new(dir).join(name), bytes);
    }
    (world, node)
}

#[test]
fn logs_of_every_version_still_open_and_hold_what_was_written() {
    for version in 1..=fixtures::VERSION {
        let (world, node) = world_with(&fixtures::load(version, "log"), "log");
        let found = world.block_on(async {
            let (log, mut replay) = Log::open(world.runtime(node), log_options("log")).await.unwrap();
            let mut found = Vec::new();
            while let Some((position, record)) = replay.next().await.unwrap() {
                found.push((position.0, record.owned()));
            }
            log.close().await.unwrap();
            found
        });
        let wanted = fixtures::records();
        let last: Vec<_> = wanted[wanted.len() - found.len()..].to_vec();
        assert!(!found.is_empty() && found.len() < wanted.len(), "some were released");
        assert_eq!(found.iter().map(|(_, record)| record.clone()).collect::<Vec<_>>(), last);
    }
}

#[test]
fn trees_of_every_version_and_compression_still_open_and_hold_what_was_written() {
    for version in 1..=fixtures::VERSION {
        for (name, compression) in TREES {
            let (world, node) = world_with(&fixtures::load(version, name), "tree");
            let found = world.block_on(async {
                let tree = Tree::open(world.runtime(node), tree_options("tree", compression)).await.unwrap();
                let mut scan = tree.view().scan(Range::ALL, Direction::Forward);
                let mut found = BTreeMap::new();
                while let Some((key, value)) = scan.next().await.unwrap() {
                    found.insert(key.to_vec(), value.to_vec());
                }
                assert_eq!((tree.flushed_mark(7), tree.flushed_mark(8)), (3, 0));
                found
            });
            assert_eq!(found, fixtures::contents(), "version {version}, {name}");
        }
    }
}

#[test]
fn the_second_reader_sees_the_same_log() {
    for version in 1..=fixtures::VERSION {
        let files = fixtures::load(version, "log");
        let found = reader::read_log(&files);
        let wanted = fixtures::records();
        let last: Vec<_> = wanted[wanted.len() - found.len()..].to_vec();
        assert!(!found.is_empty());
        for (found, wanted) in found.iter().zip(&last) {
            assert_eq!((found.kind, found.stream, found.index), (wanted.kind, wanted.stream, wanted.index));
            assert_eq!((found.term, &found.payload), (wanted.term, &wanted.payload));
        }
        let (world, node) = world_with(&files, "log");
        let engine = world.block_on(async {
            let (_log, mut replay) = Log::open(world.runtime(node), log_options("log")).await.unwrap();
            let mut positions = Vec::new();
            while let Some((position, _)) = replay.next().await.unwrap() {
                positions.push(position.0);
            }
            positions
        });
        assert_eq!(found.iter().map(|record| record.position).collect::<Vec<_>>(), engine);
    }
}

#[test]
fn the_second_reader_sees_the_same_tree() {
    for version in 1..=fixtures::VERSION {
        for (name, _) in TREES {
            let files = fixtures::load(version, name);
            let tree = reader::read_tree(&files);
            assert_eq!(tree.contents(), fixtures::contents(), "version {version}, {name}");
            assert_eq!(tree.marks, BTreeMap::from([(7, 3)]));
            let kinds = tree.compressions();
            let kind = match name {
                "tree-lz4" => 1,
                "tree-zstd" => 2,
                _ => 0,
            };
            assert!(kinds.contains(&kind), "{name} is stored as {kinds:?}");
            compare_with_engine(&files, &tree);
        }
    }
}

/// Entry by entry, tombstones and sequence numbers included.
fn compare_with_engine(files: &Files, tree: &reader::Tree) {
    use lsm::inspect::sstable::{Sstable, Step};
    let (world, node) = world_with(files, "tree");
    world.block_on(async {
        for table in &tree.tables {
            let path = Path::new("tree").join(format!("{:016x}.sst", table.id));
            let opened = Sstable::open(&world.runtime(node), &path).await.unwrap();
            let mut engine = Vec::new();
            let mut show = |step: Step<'_>| {
                if let Step::Entry(entry) = step {
                    engine.push((entry.key.to_vec(), entry.sequence, entry.value.map(<[u8]>::to_vec)));
                }
                true
            };
            opened.walk(&mut show).await.unwrap();
            assert_eq!(engine, table.entries);
        }
    });
}

#[test]
fn the_second_reader_notices_any_flipped_bit_that_the_page_says_it_must() {
    let files = fixtures::load(fixtures::VERSION, "tree-none");
    let name = format!("{:016x}.sst", reader::read_tree(&files).tables[0].id);
    let bytes = &files[&name];
    for at in [0, 100, bytes.len() / 2, bytes.len() - 4096, bytes.len() - 1] {
        let mut damaged = files.clone();
        damaged.insert(name.clone(), flipped(bytes, at));
        let read = std::panic::catch_unwind(|| reader::read_tree(&damaged));
        assert!(read.is_err(), "byte {at} of {name}");
    }
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 4;
    bytes
}

/// What an offline check says of a tree or log with these files.
fn findings(files: &Files, dir: &str) -> Findings {
    let (world, node) = world_with(files, dir);
    let mut findings = Findings::default();
    world.block_on(async {
        let rt = world.runtime(node);
        match dir {
            "tree" => drop(inspect::tree::verify(&rt, Path::new(dir), &mut findings, &mut |_| Ok(())).await),
            _ => drop(inspect::log::verify(&rt, Path::new(dir), None, &mut findings, &mut |_| Ok(())).await),
        }
    });
    findings
}

#[test]
fn an_offline_check_names_every_flipped_bit_of_a_tree() {
    let files = fixtures::load(fixtures::VERSION, "tree-lz4");
    let tree = reader::read_tree(&files);
    let newest = files.keys().filter(|name| name.starts_with("manifest-")).max().unwrap().clone();
    let named = tree.tables.iter().map(|table| format!("{:016x}.sst", table.id)).chain([newest]);
    assert!(findings(&files, "tree").problems.is_empty(), "the fixture is whole");
    for name in named {
        let size = files[&name].len();
        for at in (0..60).map(|step| step * size / 60 + step % 7) {
            let mut damaged = files.clone();
            damaged.insert(name.clone(), flipped(&files[&name], at));
            let problems = findings(&damaged, "tree").problems;
            let says = |problem: &Problem| problem.path.ends_with(&name);
            assert!(problems.iter().any(says), "byte {at} of {name}: {problems:?}");
        }
    }
}

#[test]
fn an_offline_check_of_a_log_names_what_the_engine_would_refuse_and_nothing_else() {
    let files = fixtures::load(fixtures::VERSION, "log");
    assert!(findings(&files, "log").problems.is_empty(), "the fixture is whole");
    let (mut refused, mut harmless) = (0, 0);
    for (name, bytes) in &files {
        for at in (0..40).map(|step| step * bytes.len() / 40 + step % 9) {
            let mut damaged = files.clone();
            damaged.insert(name.clone(), flipped(bytes, at));
            let said = findings(&damaged, "log").problems;
            let (world, node) = world_with(&damaged, "log");
            let opened: Result<(), lsm::Error> = world.block_on(async {
                let (_log, mut replay) = Log::open(world.runtime(node), log_options("log")).await?;
                while replay.next().await?.is_some() {}
                Ok(())
            });
            assert_eq!(said.is_empty(), opened.is_ok(), "byte {at} of {name}: {said:?}, but {opened:?}");
            *if opened.is_ok() { &mut harmless } else { &mut refused } += 1;
        }
    }
    assert!(refused > 20 && harmless > 20, "{refused} refused, {harmless} harmless");
}
