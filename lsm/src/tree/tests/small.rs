//! Single facts about the tree.

use std::rc::Rc;
use std::time::Duration;

use runtime::Runtime;
use runtime::sim::{NodeId, SimRuntime, World};

use super::harness::{DIR, collect, settle, world};
use crate::Error;
use crate::batch::{Direction, Mark, Range, WriteBatch};
use crate::tree::work::REST;
use crate::tree::{Tree, TreeOptions};

/// Opens a tree in a world of its own and runs `test` with it.
fn with_tree<F: Future<Output = ()>>(
    change: impl FnOnce(&mut TreeOptions),
    test: impl FnOnce(Tree<SimRuntime>, Rc<World>, NodeId) -> F,
) {
    let (world, node) = world(1);
    let world = Rc::new(world);
    let mut options = TreeOptions::new(DIR);
    change(&mut options);
    let held = world.clone();
    world.block_on(async {
        let tree = Tree::open(held.runtime(node), options).await.expect("a new tree");
        test(tree, held.clone(), node).await;
    });
}

fn put(tree: &Tree<SimRuntime>, index: u64, key: &[u8], value: &[u8]) {
    let mut batch = WriteBatch::new();
    batch.put(key, value);
    tree.apply(&batch, Mark { stream: 1, index });
}

async fn get(tree: &Tree<SimRuntime>, key: &[u8]) -> Option<Vec<u8>> {
    tree.get(key).await.expect("no faults").map(|value| value.to_vec())
}

#[test]
fn the_later_of_two_writes_in_a_batch_wins() {
    with_tree(
        |_| (),
        |tree, _, _| async move {
            let mut batch = WriteBatch::new();
            batch.put(b"a", b"1");
            batch.put(b"a", b"2");
            batch.put(b"b", b"1");
            batch.delete(b"b");
            batch.put(b"c", b"1");
            batch.drop_range(b"c", b"d");
            batch.put(b"ca", b"2");
            assert_eq!((batch.len(), batch.is_empty()), (7, false));
            tree.apply(&batch, Mark { stream: 0, index: 1 });
            for _ in 0..2 {
                let all = collect(&tree.view(), Range::ALL, Direction::Forward).await.expect("no faults");
                assert_eq!(all, [(b"a".to_vec(), b"2".to_vec()), (b"ca".to_vec(), b"2".to_vec())]);
                tree.flush().await.expect("no faults");
            }
        },
    );
}

#[test]
#[should_panic(expected = "is applied behind")]
fn a_mark_that_does_not_go_up_is_a_bug_of_the_caller() {
    with_tree(
        |_| (),
        |tree, _, _| async move {
            put(&tree, 5, b"a", b"1");
            put(&tree, 5, b"b", b"1");
        },
    );
}

#[test]
fn marks_move_when_the_flush_is_durable_and_say_so() {
    with_tree(
        |_| (),
        |tree, world, node| async move {
            put(&tree, 3, b"a", b"1");
            tree.apply(&WriteBatch::new(), Mark { stream: 2, index: 9 });
            assert_eq!((tree.flushed_mark(1), tree.flushed_mark(2)), (0, 0));
            let waiting = {
                let tree = tree.clone();
                let runtime = world.runtime(node);
                runtime.spawn(runtime::Class::Background, async move {
                    tree.flush_done().await;
                    (tree.flushed_mark(1), tree.flushed_mark(2))
                })
            };
            world.sleep(Duration::from_millis(1)).await;
            tree.flush().await.expect("no faults");
            assert_eq!(waiting.await, (3, 9));
            tree.flush().await.expect("nothing to do");
            assert_eq!(tree.stats().flushes, 1);
            tree.close().await.expect("no faults");
            tree.flush_done().await; // There will be none: it does not wait.
            assert_eq!(get(&tree, b"a").await.as_deref(), Some(&b"1"[..]), "reads go on after close");
        },
    );
}

#[test]
fn a_view_keeps_what_it_sees_and_lets_it_go() {
    with_tree(
        |options| options.level0_tables = 1,
        |tree, world, node| async move {
            put(&tree, 1, b"a", b"old");
            tree.flush().await.expect("no faults");
            settle(&tree).await;
            let view = tree.view();
            let mut scan = view.scan(Range::ALL, Direction::Forward);
            put(&tree, 2, b"a", b"new");
            put(&tree, 3, b"b", b"new");
            tree.flush().await.expect("no faults");
            settle(&tree).await;
            assert_eq!(tree.stats().views, 1);
            assert!(tree.stats().tables_pinned > 0);
            assert_eq!(view.get(b"a").await.expect("no faults").as_deref(), Some(&b"old"[..]));
            drop(view);
            let (key, value) = scan.next().await.expect("no faults").expect("one");
            assert_eq!((key, &**value), (&b"a"[..], &b"old"[..]));
            assert!(scan.next().await.expect("no faults").is_none());
            assert!(scan.next().await.expect("no faults").is_none(), "and so it stays");
            drop(scan);
            settle(&tree).await;
            let stats = tree.stats();
            assert_eq!((stats.views, stats.tables_pinned), (0, 0));
            let names = world.runtime(node).list(DIR.as_ref()).await.expect("no faults");
            assert_eq!(names.iter().filter(|entry| entry.name.ends_with(".sst")).count(), 1, "{names:?}");
        },
    );
}

#[test]
fn a_dropped_range_gives_its_space_back_at_once() {
    with_tree(
        |options| options.level0_tables = 8,
        |tree, world, node| async move {
            for index in 1..=100 {
                put(&tree, index, format!("t1/{index}").as_bytes(), &[7; 1000]);
            }
            tree.flush().await.expect("no faults");
            for index in 101..=200 {
                put(&tree, index, format!("t{}/{index}", 1 + index % 2).as_bytes(), &[7; 1000]);
            }
            tree.flush().await.expect("no faults");
            put(&tree, 201, b"t1/in memory", b"x");
            assert_eq!(tree.stats().level_tables[0], 2);
            tree.drop_range(b"t1/", b"t10").await.expect("no faults");
            assert_eq!(get(&tree, b"t1/50").await, None);
            assert_eq!(get(&tree, b"t1/in memory").await, None);
            put(&tree, 202, b"t1/later", b"lives");
            let all = collect(&tree.view(), Range::ALL, Direction::Backward).await.expect("no faults");
            assert_eq!(all.len(), 51, "one half of the second hundred, and what came later");
            settle(&tree).await;
            let stats = tree.stats();
            let tables: usize = stats.level_tables.iter().sum();
            assert_eq!((tables, stats.dropped_ranges), (1, 0), "{stats:?}");
            assert!(stats.level_bytes.iter().sum::<u64>() < 80_000, "{stats:?}");
            let files = world.runtime(node).list(DIR.as_ref()).await.expect("no faults");
            assert_eq!(files.iter().filter(|entry| entry.name.ends_with(".sst")).count(), 1);
            tree.flush().await.expect("no faults");
            assert_eq!(get(&tree, b"t1/later").await.as_deref(), Some(&b"lives"[..]));
        },
    );
}

#[test]
fn back_pressure_grows_before_it_stops() {
    with_tree(
        |options| {
            options.memtable_bytes = 200_000;
            options.immutables_max = 1;
        },
        |tree, world, node| async move {
            world.disk(node).change_faults(|faults| faults.sync = runtime::sim::Span::millis(500, 500));
            let mut pauses = Vec::new();
            let mut budgets = Vec::new();
            for index in 1..1000 {
                let before = world.elapsed();
                budgets.push(tree.budget());
                tree.ready().await.expect("no faults");
                pauses.push((world.elapsed() - before).as_micros());
                put(&tree, index, &index.to_be_bytes(), &[1; 500]);
            }
            let free = pauses.iter().take_while(|pause| **pause == 0).count();
            assert!(free >= 300, "the first memtable costs nothing: {pauses:?}");
            assert_eq!(budgets[free / 2].bytes_per_second, None);
            assert!(budgets[0].bytes == 200_000 && budgets[free / 2].bytes > budgets[free - 10].bytes);
            let slowed: Vec<u128> =
                pauses.iter().copied().filter(|pause| (50..=20_000).contains(pause)).collect();
            assert!(slowed.len() > 40, "then pauses grow: {pauses:?}");
            let stopped = pauses.iter().filter(|pause| **pause > 20_000).count();
            assert!((1..4).contains(&stopped), "then it waits for the flush: {pauses:?}");
            let shown = budgets.iter().zip(&pauses).filter(|(budget, pause)| {
                **pause == budget.delay.as_micros() && budget.bytes_per_second.is_some()
            });
            assert!(shown.count() > 40, "the budget says what a wait will be");
            let stats = tree.stats();
            assert!(stats.immutables <= 1 && stats.writer_waits > 40 && stats.writer_stops >= 1, "{stats:?}");
            assert!(stats.user_bytes == 999 * 508, "{stats:?}");
        },
    );
}

/// Everything is given back: what lies in SSTables that the range covers at once, the rest when it was rewritten.
#[test]
fn a_dropped_range_gives_back_its_space_on_every_level() {
    with_tree(
        |options| {
            options.memtable_bytes = 20_000;
            options.table_bytes = 30_000;
            options.level0_tables = 2;
            options.level1_bytes = 100_000;
            options.level_factor = 2;
        },
        |tree, world, node| async move {
            let used = || {
                let files = world.disk(node).files().into_iter();
                files
                    .filter(|(path, _)| path.starts_with(format!("/{DIR}")) || path.starts_with(DIR))
                    .map(|file| file.1)
                    .sum::<u64>()
            };
            for index in 1..=2000u64 {
                tree.ready().await.expect("no faults");
                let key = format!("t{}/{:04}", index % 4, index * 7919 % 2000);
                let value: Vec<u8> =
                    (0..400).map(|byte| (index * 31 + byte * byte * 7) as u8 ^ (byte >> 3) as u8).collect();
                put(&tree, index, key.as_bytes(), &value);
            }
            tree.flush().await.expect("no faults");
            // Not long enough for a rest, in which nearly all would go into one level.
            tree.inner.runtime.sleep(REST / 2).await;
            let (before, manifest) = (used(), 1 << 20);
            let deep = tree.stats().level_tables[1..].iter().filter(|tables| **tables > 0).count();
            assert!(deep >= 2 && before > manifest + 500_000, "{before}: {:?}", tree.stats());
            for table in 0..3 {
                let (from, to) = (format!("t{table}/"), format!("t{table}0"));
                tree.drop_range(from.as_bytes(), to.as_bytes()).await.expect("no faults");
            }
            settle(&tree).await;
            let data = used() - manifest;
            let stats = tree.stats();
            assert!(
                data < (before - manifest) * 3 / 10,
                "{data} of {} are left: {stats:?}",
                before - manifest
            );
            assert_eq!((stats.dropped_ranges, stats.tables_pinned), (0, 0));
            let left = collect(&tree.view(), Range::ALL, Direction::Forward).await.expect("no faults");
            assert!(left.len() == 500 && left.iter().all(|(key, _)| key.starts_with(b"t3/")));
        },
    );
}

/// An SSTable is cut where the caller likes it, once it has a quarter of its size: so most hold one group's keys only.
#[test]
fn tables_are_cut_where_the_caller_wants_and_do_not_become_many() {
    let run = |with_cut: bool, groups: u64| {
        let count = Rc::new(std::cell::Cell::new((0, 0)));
        let result = count.clone();
        with_tree(
            |options| {
                options.memtable_bytes = 100_000;
                options.table_bytes = 50_000;
                options.level0_tables = 2;
                options.compression = [crate::Compression::None; crate::tree::LEVEL_COUNT];
            },
            |tree, _, _| async move {
                if with_cut {
                    tree.set_cut(|key| u64::from(key[0]));
                }
                for index in 1..=4000u64 {
                    tree.ready().await.expect("no faults");
                    let number = index * 7919 % 4000;
                    let mut key = vec![(number * groups / 4000) as u8];
                    key.extend_from_slice(&number.to_be_bytes());
                    put(&tree, index, &key, &[1; 200]);
                }
                tree.flush().await.expect("no faults");
                settle(&tree).await;
                let version = tree.inner.state.borrow().version.clone();
                let levels = version.levels[1..].iter().flatten();
                let whole = levels.clone().filter(|table| table.meta.smallest[0] == table.meta.largest[0]);
                count.set((levels.count(), whole.count()));
            },
        );
        result.get()
    };
    let (uncut, before) = run(false, 10);
    let (cut, whole) = run(true, 10);
    // A file that has begun shortly before a cut is too small to end there.
    assert!(
        cut <= uncut * 2 && whole * 4 >= cut * 3,
        "ten groups of two files each: {whole} of {cut}, {before} of {uncut}"
    );
    assert!(uncut - before > cut - whole, "fewer lie across a cut");
    let (cut, _) = run(true, 200);
    assert!(cut <= uncut * 4, "many small groups do not make many files: {cut} for {uncut}");
    assert!(cut > uncut);
}

#[test]
fn an_absent_table_or_manifest_is_named_and_nothing_is_changed() {
    let (world, node) = world(2);
    let options = TreeOptions::new(DIR);
    let disk = world.disk(node);
    let reopen = |what: &str| {
        let before = disk.files();
        let error = world.block_on(Tree::open(world.runtime(node), options.clone())).err().expect("damaged");
        assert!(matches!(&error, Error::Corrupt { .. }) && error.to_string().contains(what), "{error}");
        assert_eq!(disk.files(), before);
    };
    world.block_on(async {
        let tree = Tree::open(world.runtime(node), options.clone()).await.expect("new");
        put(&tree, 1, b"a", b"1");
        tree.close().await.expect("no faults");
    });
    let table = format!("{DIR}/0000000000000001.sst");
    let bytes = disk.read_file(&table).expect("one flush");
    disk.resize(&table, 4096);
    reopen("0000000000000001.sst");
    disk.remove_file(&table);
    reopen("not there");
    disk.write_file(&table, &bytes);
    disk.remove_file(format!("{DIR}/manifest-0000000000000001"));
    reopen("without a manifest");
}

#[test]
fn orphans_are_swept_and_their_ids_not_used_again() {
    let (world, node) = world(3);
    let disk = world.disk(node);
    let open = || world.block_on(Tree::open(world.runtime(node), TreeOptions::new(DIR))).expect("no faults");
    drop(open());
    disk.write_file(format!("{DIR}/00000000000000ff.sst"), &[1; 4096]);
    disk.write_file(format!("{DIR}/manifest-0000000000000002.tmp"), &[1; 4096]);
    let tree = open();
    assert_eq!(disk.files().len(), 1, "{:?}", disk.files());
    put(&tree, 1, b"a", b"1");
    world.block_on(tree.flush()).expect("no faults");
    assert!(
        disk.files().iter().any(|(path, _)| path.ends_with("0000000000000100.sst")),
        "{:?}",
        disk.files()
    );
}

#[test]
fn a_load_in_order_is_moved_not_rewritten() {
    with_tree(
        |options| {
            options.memtable_bytes = 4000;
            options.level0_tables = 2;
            options.level1_bytes = 20_000;
        },
        |tree, _, _| async move {
            for index in 1..500 {
                tree.ready().await.expect("no faults");
                put(&tree, index, &index.to_be_bytes(), &[1; 100]);
            }
            tree.flush().await.expect("no faults");
            settle(&tree).await;
            let stats = tree.stats();
            assert!(stats.tables_moved > 10 && stats.compaction_write_bytes == 0, "{stats:?}");
            assert!(stats.level_tables[2] > 0, "{stats:?}");
        },
    );
}

#[test]
fn cached_reads_cost_no_device_read() {
    with_tree(
        |_| (),
        |tree, _, _| async move {
            for index in 1..1000 {
                put(&tree, index, &index.to_be_bytes(), &[1; 200]);
            }
            tree.flush().await.expect("no faults");
            for _ in 0..2 {
                for index in 1..1000u64 {
                    assert!(get(&tree, &index.to_be_bytes()).await.is_some());
                }
            }
            let warm = tree.stats();
            assert!(warm.reads < 100, "{warm:?}");
            for index in 1..1000u64 {
                assert!(get(&tree, &index.to_be_bytes()).await.is_some());
            }
            assert_eq!(tree.stats().reads, warm.reads);
            assert!(tree.stats().cache_hits > warm.cache_hits + 1900);
        },
    );
}

#[test]
fn a_dropped_tree_ends_its_tasks() {
    let (world, node) = world(5);
    let tree = world.block_on(Tree::open(world.runtime(node), TreeOptions::new(DIR))).expect("new");
    let inner = Rc::downgrade(&tree.inner);
    let view = tree.view();
    drop(tree);
    world.run_for(Duration::from_millis(1));
    assert!(inner.upgrade().is_none(), "tasks hold the tree and nobody holds the tasks");
    assert!(world.block_on(view.get(b"a")).expect("a view outlives its tree").is_none());
}
