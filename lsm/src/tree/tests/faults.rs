//! Disks that fail: an error, or what was written; never anything else, and back to work when the cause is gone.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use runtime::Runtime;
use runtime::sim::{Chance, DiskFaults, DiskHandle, NodeId, SimRuntime, World};

use super::harness::{DIR, check_all, collect, marks, recover, settle, tiny_options, work, world};
use super::model::{Contents, Dice, Model, draw_key, draw_range, expected};
use crate::Error;
use crate::batch::Direction;
use crate::tree::{Tree, TreeOptions};

type Shared = Rc<RefCell<Model>>;

/// A tree that has worked, was closed, and all of whose contents lie in SSTables.
fn closed_tree(seed: u64) -> (World, NodeId, TreeOptions, Shared) {
    let (world, node) = world(seed);
    let options = tiny_options(&mut Dice(seed));
    let model: Shared = Rc::default();
    world.block_on(async {
        let tree = recover(world.runtime(node), options.clone(), model.clone()).await.expect("new");
        work(tree.clone(), model.clone(), seed, 120).await.expect("no faults");
        tree.close().await.expect("no faults");
    });
    (world, node, options, model)
}

/// Reads everything in several ways: the model's contents or an error. Says whether there was one.
async fn read_all(tree: &Tree<SimRuntime>, contents: &Contents, dice: &mut Dice) -> Vec<Error> {
    let mut errors = Vec::new();
    for _ in 0..30 {
        let key = draw_key(dice);
        match tree.get(&key).await {
            Ok(found) => assert_eq!(found.as_deref(), contents.get(&key).map(Vec::as_slice)),
            Err(error) => errors.push(error),
        }
    }
    for _ in 0..6 {
        let (range, direction) = (draw_range(dice), dice.pick(&[Direction::Forward, Direction::Backward]));
        match collect(&tree.view(), range.clone(), direction).await {
            Ok(found) => assert_eq!(found, expected(contents, &range, direction)),
            Err(error) => errors.push(error),
        }
    }
    for key in contents.keys() {
        match tree.get(key).await {
            Ok(found) => assert_eq!(found.as_deref(), contents.get(key).map(Vec::as_slice)),
            Err(error) => errors.push(error),
        }
    }
    errors
}

#[test]
fn rot_is_an_error_with_file_and_offset_never_wrong_data() {
    let mut noticed = 0;
    for seed in 0..120 {
        let (world, node, options, model) = closed_tree(seed);
        let (disk, dice) = (world.disk(node), &mut Dice(seed ^ 0xbad));
        for _ in 0..4 {
            let files = disk.files();
            let (path, size) = &files[dice.below(files.len() as u64) as usize];
            if *size > 0 {
                disk.flip_bit(path, dice.below(*size), dice.below(8) as u32);
            }
        }
        let before = disk.files();
        let contents = model.borrow().contents.clone();
        world.block_on(async {
            match Tree::open(world.runtime(node), options).await {
                Ok(tree) => {
                    let errors = read_all(&tree, &contents, dice).await;
                    assert!(errors.iter().all(|error| matches!(error, Error::Corrupt { .. })), "{errors:?}");
                    noticed += u32::from(!errors.is_empty());
                }
                Err(error) => {
                    assert!(
                        matches!(&error, Error::Corrupt { path, .. } if path.starts_with(DIR)),
                        "{error}"
                    );
                    assert_eq!(disk.files(), before, "nothing is changed when the tree cannot be opened");
                    noticed += 1;
                }
            }
        });
    }
    assert!(noticed > 40, "{noticed} of 120 trees showed their damage");
}

#[test]
fn failing_and_flickering_reads_are_errors_never_wrong_data() {
    let mut failed = 0;
    for seed in 0..60 {
        let (world, node, options, model) = closed_tree(seed);
        let disk = world.disk(node);
        let contents = model.borrow().contents.clone();
        world.block_on(async {
            let tree = Tree::open(world.runtime(node), options).await.expect("no faults yet");
            settle(&tree).await;
            disk.change_faults(|faults| faults.rot_on_read = Chance::percent(30));
            failed += read_all(&tree, &contents, &mut Dice(seed)).await.len();
            disk.change_faults(|faults| faults.rot_on_read = Chance::NEVER);
            check_all(&tree.view(), &contents, "the disk itself is fine").await.expect("no faults any more");
            disk.change_faults(|faults| faults.read_error = Chance::percent(10));
            let errors = read_all(&tree, &contents, &mut Dice(seed)).await;
            assert!(errors.iter().all(|error| matches!(error, Error::Io { .. })), "{errors:?}");
            failed += errors.len();
        });
    }
    assert!(failed > 100, "{failed}");
}

/// Works with faults until an error shows, then crashes, heals and checks what is left.
fn survive(seed: u64, faults: impl Fn(&mut DiskFaults)) -> bool {
    let (world, node, options, model) = closed_tree(seed);
    let disk = world.disk(node);
    let ended = world.block_on(async {
        let tree = recover(world.runtime(node), options.clone(), model.clone()).await.expect("no faults yet");
        let healthy = disk.faults();
        disk.change_faults(faults);
        let ended = work(tree.clone(), model.clone(), seed, 150).await;
        if let Err(what) = &ended {
            assert!(what.contains("Poisoned") || what.contains("Io"), "{what}");
        }
        disk.set_faults(healthy);
        ended
    });
    world.crash(node);
    world.block_on(async {
        let tree = recover(world.runtime(node), options, model.clone()).await.expect("a consistent tree");
        tree.close().await.expect("healthy again");
    });
    ended.is_err()
}

#[test]
fn a_failed_write_or_sync_ends_all_writing_and_loses_nothing() {
    let writes = (0..50).filter(|seed| survive(*seed, |faults| faults.write_error = Chance::percent(3)));
    assert!(writes.count() > 20);
    let syncs = (50..100).filter(|seed| survive(*seed, |faults| faults.sync_error = Chance::percent(5)));
    assert!(syncs.count() > 20);
    let short = (100..120).filter(|seed| survive(*seed, |faults| faults.short_write = Chance::percent(3)));
    assert!(short.count() > 5);
}

#[test]
fn a_poisoned_tree_says_so_and_still_reads() {
    let (world, node, options, model) = closed_tree(7);
    world.block_on(async {
        let tree = recover(world.runtime(node), options, model.clone()).await.expect("no faults yet");
        world.disk(node).change_faults(|faults| faults.sync_error = Chance::ALWAYS);
        let applied = model.borrow_mut().draw(&mut Dice(1));
        tree.apply(&applied.batch(), applied.mark);
        assert!(matches!(tree.flush().await, Err(Error::Poisoned { .. })));
        assert!(matches!(tree.ready().await, Err(Error::Poisoned { .. })));
        assert!(matches!(tree.flush().await, Err(Error::Poisoned { .. })), "never tried again");
        tree.flush_done().await;
        assert!(tree.stats().poisoned.is_some_and(|why| why.contains("tree")));
        let contents = model.borrow().contents.clone();
        check_all(&tree.view(), &contents, "poisoned").await.expect("reads go on");
        assert!(tree.close().await.is_err());
    });
}

/// Devices that lie: writes that are not there, or elsewhere. What they take cannot be given back, but it is missed:
/// the tree is refused or a read fails, or it is exactly the tree of an earlier time (a manifest without its end).
#[test]
fn lost_and_misdirected_writes_are_missed() {
    let mut refused = 0;
    for seed in 0..100 {
        let (world, node, options, model) = closed_tree(seed);
        let disk = world.disk(node);
        world.block_on(async {
            let tree =
                recover(world.runtime(node), options.clone(), model.clone()).await.expect("no faults yet");
            disk.change_faults(|faults| match seed % 2 {
                0 => faults.lost_write = Chance::percent(8),
                _ => faults.misdirected_write = Chance::percent(8),
            });
            // It may notice right away: then that is all we want.
            let noticed = work(tree, model.clone(), seed, 100).await.is_err();
            refused += u32::from(noticed);
            disk.change_faults(|faults| {
                faults.lost_write = Chance::NEVER;
                faults.misdirected_write = Chance::NEVER;
            });
        });
        world.crash(node);
        world.block_on(async {
            match Tree::open(world.runtime(node), options).await {
                Ok(tree) => {
                    let contents = model.borrow().at(&marks(&tree));
                    let errors = read_all(&tree, &contents, &mut Dice(seed)).await;
                    assert!(errors.iter().all(|error| matches!(error, Error::Corrupt { .. })), "{errors:?}");
                    refused += u32::from(!errors.is_empty());
                }
                Err(error) => {
                    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
                    refused += 1;
                }
            }
        });
    }
    assert!(refused > 40, "{refused}");
}

/// Leaves a little space and writes until it is used up; gives the error that says so.
async fn fill(tree: &Tree<SimRuntime>, model: &Shared, disk: &DiskHandle, mut dice: Dice) -> Error {
    let limit = disk.bytes_used() + dice.below(16_000);
    disk.change_faults(|faults| faults.bytes_max = limit);
    for _ in 0..2000 {
        if let Err(error) = tree.ready().await {
            return error;
        }
        let applied = model.borrow_mut().draw(&mut dice);
        tree.apply(&applied.batch(), applied.mark);
        // Old versions of a key go in a compaction: without this the disk could stay large enough.
        let limit = disk.faults().bytes_max.saturating_sub(50);
        disk.change_faults(|faults| faults.bytes_max = limit);
    }
    panic!("writers were never stopped");
}

#[test]
fn a_full_disk_stops_writers_and_lets_them_go_on_when_there_is_space() {
    for seed in 0..40 {
        let (world, node, options, model) = closed_tree(seed);
        let disk = world.disk(node);
        world.block_on(async {
            let runtime = world.runtime(node);
            let tree = recover(runtime.clone(), options.clone(), model.clone()).await.expect("space");
            let full = fill(&tree, &model, &disk, Dice(seed ^ 0xf111)).await;
            assert!(matches!(full, Error::Full { .. }), "{full}");
            assert!(tree.stats().full && tree.stats().poisoned.is_none());
            let contents = model.borrow().contents.clone();
            check_all(&tree.view(), &contents, "while full").await.expect("reads go on");
            runtime.sleep(Duration::from_secs(20)).await;
            let leftovers =
                disk.files().iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "sst")).count();
            let named: usize = tree.stats().level_tables.iter().sum();
            assert!(leftovers <= named + 2, "{leftovers} files, {named} of them in use");

            disk.change_faults(|faults| faults.bytes_max = 1 << 40);
            runtime.sleep(Duration::from_secs(10)).await;
            tree.ready().await.expect("there is space");
            work(tree.clone(), model.clone(), seed, 30).await.expect("as before");
            tree.flush().await.expect("there is space");
            settle(&tree).await;
            assert!(!tree.stats().full && tree.stats().retries > 0);
            let contents = model.borrow().contents.clone();
            check_all(&tree.view(), &contents, "after").await.expect("nothing is lost");
        });
        world.crash(node);
        world.block_on(async {
            let tree = recover(world.runtime(node), options, model.clone()).await.expect("nothing is lost");
            assert!(model.borrow().behind(&marks(&tree)).is_empty());
        });
    }
}

#[test]
fn a_crash_on_a_full_disk_can_be_recovered_from_on_a_full_disk() {
    for seed in 0..30 {
        let (world, node, options, model) = closed_tree(seed);
        let disk = world.disk(node);
        world.block_on(async {
            let tree = recover(world.runtime(node), options.clone(), model.clone()).await.expect("space");
            fill(&tree, &model, &disk, Dice(seed)).await;
        });
        world.crash(node);
        world.block_on(async {
            let tree = Tree::open(world.runtime(node), options).await.expect("opening needs no space");
            let contents = model.borrow().at(&marks(&tree));
            check_all(&tree.view(), &contents, "full").await.expect("reads go on");
        });
    }
}
