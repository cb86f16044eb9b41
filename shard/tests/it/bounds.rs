//! Bounds: what comes over them is refused early, and nothing grows beyond them.

use crate::crash::{small, small_world};
use crate::harness::*;
use model::item::Value;
use net::message::*;
use runtime::Runtime;
use runtime::sim::{DiskFaults, Span, World, WorldOptions};
use runtime::sync::{join_all, timeout};
use std::time::Duration;

#[test]
fn more_operations_than_the_bound_are_busy_and_room_comes_back() {
    let node = Node::with(World::new(1, WorldOptions::default()), 1, |options| options.operations_max = 8);
    node.run(|client| async move {
        client.create("things").await;
        let answers = join_all((0..40).map(|n| client.put("a", n, &[]))).await;
        let written = answers.iter().filter(|answer| matches!(answer, Answer::Written { .. })).count();
        let busy = answers.iter().filter(|answer| **answer == Answer::Busy).count();
        assert_eq!((written, busy), (8, 32));
        assert!(matches!(client.put("a", 1, &[]).await, Answer::Written { .. }));
        assert_eq!(client.scan_all().await.len(), 8, "what was busy was not done");
    });
}

#[test]
fn bytes_of_requests_are_bounded_too_but_one_alone_always_has_room() {
    let node =
        Node::with(World::new(2, WorldOptions::default()), 1, |options| options.operation_bytes_max = 10_000);
    node.run(|client| async move {
        client.create("things").await;
        let large = [("x", Value::B(vec![1; 4000]))];
        let answers = join_all((0..5).map(|n| client.put("a", n, &large))).await;
        let written = answers.iter().filter(|answer| matches!(answer, Answer::Written { .. })).count();
        assert_eq!(written, 2);
        let alone = client.put("a", 9, &[("x", Value::B(vec![1; 100_000]))]).await;
        assert!(matches!(alone, Answer::Written { .. }));
    });
}

/// A device that is far slower than its writers: everything waits, nothing piles up, and in the end all is written.
#[test]
fn writers_on_a_slow_disk_wait_within_the_bounds() {
    for seed in 0..6 {
        let disk =
            DiskFaults { write: Span::millis(2, 20), sync: Span::millis(10, 60), ..DiskFaults::default() };
        let world = World::new(seed, WorldOptions { disk, ..WorldOptions::default() });
        let node = Node::with(world, 1, |options| {
            small(options);
            options.operations_max = 64;
            options.pending_bytes_max = 20_000;
        });
        let client = node.run(|client| async move {
            client.create("things").await;
            client
        });
        let shard = node.shard(0);
        let watch = async {
            loop {
                let stats = shard.stats();
                assert!(stats.operations <= 64 && stats.pending <= 64, "{stats:?}");
                assert!(stats.pending_bytes <= 20_000 + 2000, "{stats:?}");
                assert!(stats.log.buffered_bytes <= 64 << 10);
                assert!(stats.tree.immutables <= 3, "{stats:?}");
                node.world.sleep(Duration::from_micros(300)).await;
            }
        };
        let writer = |n: i64| {
            let client = client.clone();
            async move {
                let mut written = 0;
                while written < 10 {
                    match client.put("a", n * 100 + written, &[("x", Value::B(vec![7; 1000]))]).await {
                        Answer::Written { .. } => written += 1,
                        other => {
                            assert_eq!(other, Answer::Busy);
                            client.rt.sleep(Duration::from_millis(5)).await;
                        }
                    }
                }
            }
        };
        let all = runtime::sync::select(watch, join_all((0..100).map(writer)));
        node.world.block_on(all);
        node.run(|client| async move {
            client.active("things").await;
            assert_eq!(client.scan_all().await.len(), 1000);
        });
    }
}

/// Clients that go away at any moment: what they hold comes free, and their writes are done wholly or not at all.
#[test]
fn abandoned_operations_leave_nothing_behind() {
    for seed in 0..20 {
        let node = Node::with(small_world(seed), 2, small);
        node.run(|client| async move {
            client.create("things").await;
            for n in 0..100_u64 {
                let one = [(":one", number(1))];
                let write = client.update("a", 1, "ADD n :one", &one);
                let _ = timeout(&client.rt, Duration::from_micros(n * 7), write).await;
            }
            // The latch is free again, so a write gets through, and it is the last.
            let last = client.update("a", 1, "ADD n :one", &[(":one", number(1))]).await;
            let read = client.get("a", 1).await;
            assert_eq!(last.attributes(), read.attributes());
            client.rt.sleep(Duration::from_secs(1)).await;
            assert_eq!(client.get("a", 1).await.attributes(), read.attributes());
        });
        for core in 0..2 {
            let stats = node.shard(core).stats();
            assert_eq!((stats.operations, stats.pending, stats.latches), (0, 0, 0));
        }
    }
}

#[test]
fn too_many_waiting_changes_of_the_catalog_are_busy() {
    let node =
        Node::with(World::new(3, WorldOptions::default()), 1, |options| options.catalog_waiting_max = 4);
    node.run(|client| async move {
        let create = |n: i32| client.catalog(Catalog::Create(table(&format!("table-{n}")).to_item()));
        let answers = join_all((0..20).map(create)).await;
        let busy = answers.iter().filter(|answer| **answer == Answer::Busy).count();
        assert!((14..=16).contains(&busy), "{busy}");
    });
}
