//! What a shard refuses to open, and how it stops when its disk fails.

use crate::crash::{small, small_world};
use crate::harness::*;
use model::error::Code;
use model::item::Value;
use runtime::Runtime;
use runtime::sim::{Chance, DiskFaults, World, WorldOptions};
use runtime::sync::join_all;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn written(seed: u64, cores: u16) -> Node {
    let node = Node::with(small_world(seed), cores, small);
    node.run(|client| async move {
        client.create("things").await;
        for n in 0..20 {
            client.put(&format!("p{n}"), n, &[]).await;
        }
    });
    node
}

/// Files of the node's disk below a directory.
fn below(node: &Node, dir: &str) -> Vec<PathBuf> {
    let dir = Path::new("/").join(DATA).join(dir);
    let paths = node.world.disk(node.id).files().into_iter().map(|(path, _)| path);
    let below: Vec<PathBuf> = paths.filter(|path| path.starts_with(&dir)).collect();
    assert!(!below.is_empty(), "no files below {}", dir.display());
    below
}

#[test]
fn another_shard_s_log_is_refused_and_not_changed() {
    let node = written(1, 2);
    node.world.crash(node.id);
    let disk = node.world.disk(node.id);
    for path in below(&node, "shard-000/log") {
        disk.remove_file(&path);
    }
    for path in below(&node, "shard-001/log") {
        let bytes = disk.read_file(&path).unwrap();
        disk.write_file(Path::new(DATA).join("shard-000/log").join(path.file_name().unwrap()), &bytes);
    }
    let before: Vec<_> = below(&node, "shard-000").iter().map(|path| disk.read_file(path)).collect();
    node.start();
    assert!(!node.settle());
    assert!(
        node.failures.borrow().iter().any(|why| why.contains("shard-000/log")),
        "{:?}",
        node.failures.borrow()
    );
    let after: Vec<_> = below(&node, "shard-000").iter().map(|path| disk.read_file(path)).collect();
    assert_eq!(before, after);
}

#[test]
fn another_number_of_shards_is_refused_in_words() {
    let node = written(2, 2);
    node.world.crash(node.id);
    let node = Node { cores: 1, ..node };
    node.start();
    assert!(!node.settle());
    assert!(node.failures.borrow()[0].contains("--shards 2"), "{:?}", node.failures.borrow());
}

#[test]
fn a_disk_that_fails_stops_the_shard_and_what_was_acknowledged_is_there_afterwards() {
    let mut stopped = 0;
    for seed in 0..60 {
        let node = written(100 + seed, 1);
        let client = node.client(0);
        let acknowledged = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let disk = node.world.disk(node.id);
        disk.change_faults(|faults| faults.write_error = Chance::per_mille(20));
        let writer = |n: i64| {
            let (client, acknowledged) = (client.clone(), acknowledged.clone());
            async move {
                for round in 0..40 {
                    let sort = n * 1000 + round;
                    let at = {
                        client.active_now("things");
                        client.at("w", sort)
                    };
                    let ask = net::message::Operation::Put(put(at.clone(), item("w", sort, &[])));
                    match client.try_ask(&at, ask).await {
                        Ok(Answer::Written { .. }) => acknowledged.borrow_mut().push(sort),
                        Ok(Answer::Busy) | Err(_) => return,
                        Ok(other) => {
                            assert_eq!(other.failure().0, Code::InternalServerError);
                            return;
                        }
                    }
                }
            }
        };
        node.world.block_on_for(Duration::from_secs(40), join_all((0..4).map(writer)));
        stopped += usize::from(!node.failures.borrow().is_empty());
        disk.change_faults(|faults| *faults = DiskFaults::default());
        node.failures.borrow_mut().clear();
        node.restart();
        let acknowledged = acknowledged.borrow().clone();
        node.run(|client| async move {
            client.active("things").await;
            for sort in acknowledged {
                assert!(client.get("w", sort).await.attributes().is_some(), "seed {seed}: {sort} is lost");
            }
        });
    }
    assert!(stopped > 20, "{stopped} of 60 shards stopped");
}

#[test]
fn a_full_disk_refuses_puts_lets_reads_and_deletes_through_and_recovers_by_itself() {
    let world = World::new(5, WorldOptions::default());
    let node = Node::with(world, 1, |options| options.disk_check_every = Duration::from_millis(10));
    node.run(|client| async move {
        client.create("things").await;
        client.put("a", 1, &[]).await;
        client.put("a", 2, &[]).await;
    });
    let disk = node.world.disk(node.id);
    let used = disk.bytes_used();
    disk.change_faults(|faults| faults.bytes_max = used + (100 << 20));
    node.world.block_on_for(Duration::from_millis(100), std::future::pending::<()>());
    assert!(node.shard(0).stats().disk_full);
    node.run(|client| async move {
        client.active("things").await;
        for refused in
            [client.put("a", 3, &[]).await, client.update("a", 1, "ADD n :n", &[(":n", number(1))]).await]
        {
            let (code, message) = refused.failure();
            assert!(code == Code::Throttling && message.contains("nearly full"), "{code:?} {message}");
        }
        assert!(client.get("a", 1).await.attributes().is_some());
        assert!(matches!(client.delete("a", 1).await, Answer::Written { .. }));
        assert!(client.get("a", 1).await.attributes().is_none());
    });
    disk.change_faults(|faults| faults.bytes_max = 1 << 40);
    node.world.block_on_for(Duration::from_millis(100), std::future::pending::<()>());
    node.run(|client| async move {
        client.active("things").await;
        assert!(matches!(client.put("a", 3, &[]).await, Answer::Written { .. }));
    });
    assert_eq!(
        node.reports.borrow().len(),
        2,
        "it says so once, and once when it is over: {:?}",
        node.reports.borrow()
    );
}

/// Somebody else fills the disk to the last block, faster than the shard looks: flushes fail, writers wait or are refused,
/// nothing stops, and when there is space again everything goes on, with all that was acknowledged.
#[test]
fn a_disk_that_others_fill_to_the_last_byte_stops_nothing() {
    let mut refused = 0;
    for seed in 0..8 {
        let node = Node::with(small_world(seed), 1, |options| {
            small(options);
            options.disk_check_every = Duration::from_millis(50);
        });
        let acknowledged = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let client = node.run(|client| async move {
            client.create("things").await;
            client
        });
        let disk = node.world.disk(node.id);
        let used = disk.bytes_used();
        disk.change_faults(|faults| faults.bytes_max = used + node.world.draw("left", 0) % 60_000);
        let writer = |n: i64| {
            let (client, acknowledged) = (client.clone(), acknowledged.clone());
            async move {
                let mut refused = 0;
                for round in 0..60 {
                    let sort = n * 1000 + round;
                    match client.put("f", sort, &[("x", Value::B(vec![7; 900]))]).await {
                        Answer::Written { .. } => acknowledged.borrow_mut().push(sort),
                        Answer::Busy => {}
                        other => {
                            assert_eq!(other.failure().0, Code::Throttling, "seed {seed}");
                            refused += 1;
                            client.rt.sleep(Duration::from_millis(20)).await;
                        }
                    }
                }
                refused
            }
        };
        let all = join_all((0..4).map(writer));
        let room = async {
            node.world.sleep(Duration::from_secs(5)).await;
            assert!(node.failures.borrow().is_empty(), "{:?}", node.failures.borrow());
            disk.change_faults(|faults| faults.bytes_max = 1 << 40);
        };
        let both = join_all([
            Box::pin(async { all.await.into_iter().sum::<i64>() })
                as std::pin::Pin<Box<dyn Future<Output = i64>>>,
            Box::pin(async {
                room.await;
                0
            }),
        ]);
        refused += node.world.block_on(both).into_iter().sum::<i64>();
        let acknowledged = acknowledged.borrow().clone();
        let check = acknowledged.clone();
        node.run(|client| async move {
            client.active("things").await;
            // A flush that has failed often is tried again after some seconds.
            client.rt.sleep(Duration::from_secs(10)).await;
            assert!(matches!(client.put("f", 9_999, &[]).await, Answer::Written { .. }), "seed {seed}");
            for sort in check {
                assert!(client.get("f", sort).await.attributes().is_some(), "seed {seed}: {sort} is lost");
            }
        });
        node.world.crash(node.id);
        node.restart();
        node.run(|client| async move {
            client.active("things").await;
            for sort in acknowledged {
                assert!(client.get("f", sort).await.attributes().is_some(), "seed {seed}: {sort} is lost");
            }
        });
        assert!(!node.shard(0).stats().disk_full && node.failures.borrow().is_empty());
    }
    assert!(refused > 8, "{refused} writes were refused");
}

/// Rot in a file at rest, found by the scrubber, is said once, with file and offset.
#[test]
fn rot_at_rest_is_reported_while_the_shard_serves() {
    let node = Node::with(small_world(3), 1, |options| {
        small(options);
        options.tree.scrub_pass = Duration::from_secs(5);
    });
    node.run(|client| async move {
        client.create("things").await;
        for n in 0..100 {
            client.put("a", n, &[("x", Value::B(vec![n as u8; 500]))]).await;
        }
        client.rt.sleep(Duration::from_secs(20)).await;
    });
    assert!(node.shard(0).stats().tree.scrub_passes > 0);
    let mut tables = below(&node, "shard-000/tree");
    tables.retain(|path| path.extension().is_some_and(|name| name == "sst"));
    let disk = node.world.disk(node.id);
    disk.flip_bit(tables.last().expect("something was flushed"), 100, 3);
    node.run(|client| async move {
        client.active("things").await;
        client.rt.sleep(Duration::from_secs(20)).await;
        assert!(matches!(client.put("a", 1000, &[]).await, Answer::Written { .. }));
        let answers = join_all((0..100).map(|n| client.get("a", n))).await;
        let served = answers.iter().filter(|answer| matches!(answer, Answer::Item(Some(_), _))).count();
        assert!((50..100).contains(&served), "{served}");
    });
    let reports = node.reports.borrow().iter().filter(|line| line.contains("cannot be read")).count();
    assert!(reports >= 1, "{:?}", node.reports.borrow());
    let first =
        node.reports.borrow().iter().find(|line| line.contains("cannot be read")).cloned().expect("one");
    assert!(first.contains(".sst at byte 0 cannot be read"), "{first}");
}

/// Rot in a segment of the log that nobody reads: it is reported, and what it holds is flushed.
#[test]
fn rot_in_the_log_is_found_while_it_can_still_be_mended() {
    let node = Node::with(small_world(4), 1, |options| {
        small(options);
        options.tree.memtable_bytes = 8 << 20;
        options.log_scrub_every = Duration::from_secs(10);
    });
    node.run(|client| async move {
        client.create("things").await;
        for n in 0..200 {
            client.put("a", n, &[("x", Value::B(vec![n as u8; 1000]))]).await;
        }
        client.rt.sleep(Duration::from_secs(25)).await;
    });
    assert_eq!(node.reports.borrow().len(), 0, "{:?}", node.reports.borrow());
    let stats = node.shard(0).stats();
    assert!(stats.log.segments_live >= 3 && stats.tree.flushes == 0, "{stats:?}");
    // The oldest that holds batches: the first that begins with a header, by its name.
    let disk = node.world.disk(node.id);
    let live = below(&node, "shard-000/log").into_iter().filter(|path| {
        lsm::inspect::log::is_segment_name(&path.file_name().expect("a file").to_string_lossy())
            && disk.read_file(path).is_some_and(|bytes| bytes[4096..].iter().any(|byte| *byte != 0))
    });
    let oldest = live.min().expect("there are segments");
    disk.flip_bit(&oldest, 4096 + 200, 3);
    node.run(|client| async move {
        client.active("things").await;
        client.rt.sleep(Duration::from_secs(25)).await;
        assert!(matches!(client.put("a", 1000, &[]).await, Answer::Written { .. }));
    });
    let report = node.reports.borrow().first().cloned().expect("it was found");
    assert!(report.contains(".log at byte 41") && report.contains(" is corrupt: "), "{report}");
    assert!(node.shard(0).stats().tree.flushes > 0);
}

/// One flipped bit in one SSTable: either the start says so, or some items cannot be read, or nothing was hit; what is
/// read is right.
#[test]
fn a_damaged_table_file_is_an_error_for_the_client_never_a_wrong_item() {
    let (mut refused_starts, mut refused_reads) = (0, 0);
    for seed in 0..60 {
        let node = Node::with(small_world(seed), 1, small);
        node.run(|client| async move {
            client.create("things").await;
            for n in 0..100 {
                client.put("a", n, &[("n", number(n))]).await;
            }
        });
        node.world.block_on(node.shard(0).close()).unwrap();
        node.world.crash(node.id);
        let mut tables = below(&node, "shard-000/tree");
        tables.retain(|path| path.extension().is_some_and(|name| name == "sst"));
        let table = &tables[usize::try_from(node.world.draw("table", 0)).unwrap() % tables.len()];
        let disk = node.world.disk(node.id);
        let size = disk.read_file(table).unwrap().len() as u64;
        disk.flip_bit(table, node.world.draw("offset", 0) % size, 3);
        node.start();
        if !node.settle() {
            assert!(node.failures.borrow().iter().any(|why| why.contains("shard-000/tree")));
            refused_starts += 1;
            continue;
        }
        refused_reads += node.run(|client| async move {
            client.active("things").await;
            let mut refused = 0;
            for n in 0..100 {
                match client.get("a", n).await {
                    Answer::Item(Some(found), _) => {
                        assert_eq!(found, attributes_of("a", n, &[("n", number(n))]))
                    }
                    other => {
                        assert_eq!(other.failure().0, Code::InternalServerError, "seed {seed}");
                        refused += 1;
                    }
                }
            }
            refused
        });
    }
    assert!(refused_starts > 5 && refused_reads > 100, "{refused_starts} starts, {refused_reads} reads");
}
