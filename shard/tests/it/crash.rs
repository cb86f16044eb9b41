//! Crashes: concurrent writers, power off at any step, and what must be there afterwards.
//!
//! Every write counts its key's version up by one and says which write made it, so the writes of a key are totally ordered
//! and every answer names its place in that order. After each crash:
//!
//! - the version is at least the highest acknowledged one, and at most the number of writes that were ever begun;
//! - an acknowledged write at the present version is exactly the item that is there;
//! - the item is whole: its payload is the one that its writer and version call for.

use crate::harness::*;
use model::item::Value;
use net::message::*;
use runtime::Runtime;
use runtime::sim::{DiskFaults, World, WorldOptions};
use runtime::sync::join_all;
use runtime::{Purpose, sim::Span};
use shard::ShardOptions;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

const KEYS: i64 = 6;

/// Tiny memtables and segments, so that flushes, compactions and recycling happen within a few writes.
pub fn small(options: &mut ShardOptions) {
    options.log.record_bytes_max = 16 << 10;
    options.log.batch_bytes = 8 << 10;
    options.log.segment_bytes = 64 << 10;
    options.log.ahead_bytes = 64 << 10;
    options.log.piece_bytes = 16 << 10;
    options.log.buffered_bytes_max = 64 << 10;
    options.tree.memtable_bytes = 8 << 10;
    options.tree.table_bytes = 16 << 10;
    options.tree.level1_bytes = 32 << 10;
    options.tree.manifest_bytes = 64 << 10;
    options.tree.cache_bytes = 64 << 10;
    options.disk_reserve_bytes = 0;
}

pub fn small_world(seed: u64) -> World {
    let disk = DiskFaults { write: Span::micros(15, 400), ..DiskFaults::default() };
    World::new(seed, WorldOptions { disk, ..WorldOptions::default() })
}

/// What is known about one key.
#[derive(Clone, Debug, Default)]
struct Key {
    /// Writes that were begun.
    begun: i64,
    /// The highest version that was acknowledged, and the item then.
    acknowledged: i64,
    item: Option<BTreeMap<String, Value>>,
}

type Knowledge = Rc<RefCell<BTreeMap<i64, Key>>>;

/// The payload of a write: follows from its name, so that a mixture of two is noticed.
fn payload(writer: i64) -> Value {
    let byte = u8::try_from(writer % 251).unwrap();
    let size = usize::try_from(writer * 37 % 1500).unwrap();
    Value::B(vec![byte; size])
}

fn integer(item: &BTreeMap<String, Value>, name: &str) -> i64 {
    match &item[name] {
        Value::N(number) => number.as_i64().unwrap(),
        other => panic!("{name} is {other:?}"),
    }
}

fn assert_whole(item: &BTreeMap<String, Value>) {
    assert_eq!(item["x"], payload(integer(item, "w")), "an item mixed from two writes");
}

/// One writer: changes keys until the end of the world, and writes down what it hears.
async fn write(client: Client, writer: i64, knowledge: Knowledge) {
    for n in 0.. {
        let sort = i64::try_from(client.rt.random(Purpose::Workload) % KEYS as u64).unwrap();
        let name = writer * 100_000 + n;
        knowledge.borrow_mut().entry(sort).or_default().begun += 1;
        let values = [(":one", number(1)), (":w", number(name)), (":x", payload(name))];
        let at = client.at("k", sort);
        let ask = update(at.clone(), "k", sort, "SET w = :w, x = :x ADD v :one", &values);
        let Ok(Answer::Written { attributes: Some(item), .. }) =
            client.try_ask(&at, Operation::Update(ask)).await
        else {
            // Refused or unknown: it may or may not be there later.
            client.rt.sleep(std::time::Duration::from_micros(100)).await;
            continue;
        };
        assert_whole(&item);
        let version = integer(&item, "v");
        let mut knowledge = knowledge.borrow_mut();
        let key = knowledge.get_mut(&sort).unwrap();
        assert!(version <= key.begun, "version {version} after {} writes", key.begun);
        assert_ne!(version, key.acknowledged, "two writes made the same version");
        if version > key.acknowledged {
            (key.acknowledged, key.item) = (version, Some(item));
        }
    }
}

async fn verify(client: &Client, knowledge: &Knowledge, seed: u64) {
    let keys = knowledge.borrow().clone();
    for (sort, key) in keys {
        let found = client.get("k", sort).await.attributes().cloned();
        let version = found.as_ref().map_or(0, |item| integer(item, "v"));
        assert!(
            version >= key.acknowledged,
            "seed {seed}, key {sort}: {} was acknowledged, {version} is there",
            key.acknowledged
        );
        assert!(version <= key.begun, "seed {seed}, key {sort}: {version} of {} writes", key.begun);
        if let Some(item) = &found {
            assert_whole(item);
        }
        if version == key.acknowledged {
            assert_eq!(found, key.item, "seed {seed}, key {sort}");
        }
    }
}

/// Crashes a node `rounds` times at random steps under writers; checks all that is known each time.
fn crash_rounds(
    seed: u64,
    cores: u16,
    rounds: u64,
    steps_max: u64,
    change: impl Fn(&mut ShardOptions) + 'static,
) -> (i64, u64) {
    let node = Node::with(small_world(seed), cores, change);
    node.run(|client| async move {
        client.create("things").await;
    });
    let knowledge: Knowledge = Rc::default();
    let mut flushes = 0;
    for round in 0..rounds {
        let client = node.run(|client| {
            let knowledge = knowledge.clone();
            async move {
                client.active("things").await;
                verify(&client, &knowledge, seed).await;
                client
            }
        });
        let writers = (0..8).map(|n| {
            let writer = i64::try_from(round * 8 + n + 1).unwrap();
            write(client.clone(), writer, knowledge.clone())
        });
        let steps = node.world.draw("crash", round) % steps_max;
        assert!(node.world.block_on_steps(steps, join_all(writers)).is_none());
        flushes += (0..cores).map(|core| node.shard(core).stats().tree.flushes).sum::<u64>();
        node.restart();
    }
    node.run(|client| async move {
        client.active("things").await;
        verify(&client, &knowledge, seed).await;
        let acknowledged = knowledge.borrow().values().map(|key| key.acknowledged).sum();
        (acknowledged, flushes)
    })
}

#[test]
fn every_acknowledged_write_survives_crashes_at_any_step() {
    let (mut acknowledged, mut flushes) = (0, 0);
    for seed in 0..200 {
        let outcome = crash_rounds(seed, 1 + u16::try_from(seed % 2).unwrap(), 3, 4000, small);
        (acknowledged, flushes) = (acknowledged + outcome.0, flushes + outcome.1);
    }
    assert!(acknowledged > 10_000, "only {acknowledged} writes were acknowledged");
    assert!(flushes > 200, "only {flushes} flushes");
}

/// The checks above find a planted bug: a log that acknowledges before it is durable.
#[test]
fn a_log_that_skips_its_sync_is_found_out() {
    let found = (0..20).find(|seed| {
        let outcome = std::panic::catch_unwind(|| {
            crash_rounds(*seed, 1, 3, 4000, |options| {
                small(options);
                options.log.canary = lsm::log::Canary::SkipSync;
            })
        });
        outcome.is_err()
    });
    assert!(found.is_some(), "20 worlds with a log that skips its sync looked fine");
}

/// Crashes while the shard is still recovering from the crash before.
#[test]
fn recovery_may_be_interrupted_anywhere_and_begins_again() {
    for seed in 0..60 {
        let node = Node::with(small_world(1000 + seed), 1, small);
        let client = node.run(|client| async move {
            client.create("things").await;
            client
        });
        let knowledge: Knowledge = Rc::default();
        let writers = (0..8).map(|n| write(client.clone(), n + 1, knowledge.clone()));
        node.world.block_on_steps(8000, join_all(writers));
        for round in 0..6 {
            node.restart();
            node.world.block_on_steps(node.world.draw("again", round) % 600, std::future::pending::<()>());
            assert!(node.failures.borrow().is_empty(), "{:?}", node.failures.borrow());
        }
        node.restart();
        node.run(|client| async move {
            client.active("things").await;
            verify(&client, &knowledge, seed).await;
        });
    }
}

#[test]
fn a_clean_stop_leaves_nothing_to_replay() {
    for seed in 0..20 {
        let node = Node::with(small_world(2000 + seed), 2, small);
        node.run(|client| async move {
            client.create("things").await;
            for n in 0..60 {
                client.put("a", n, &[("x", payload(n))]).await;
            }
        });
        node.world.block_on(async {
            for core in 0..2 {
                node.shard(core).close().await.unwrap();
            }
        });
        let refused = node.world.block_on(node.client(0).all_refuse());
        assert!(refused, "a closed shard takes nothing on");
        node.restart();
        node.run(|client| async move {
            client.active("things").await;
            assert_eq!(client.scan_all().await.len(), 60);
        });
        let stats = node.shard(0).stats();
        assert_eq!(stats.tree.memtable_bytes, 0, "nothing was replayed into the memtable");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let trace = |seed| {
        let node = Node::with(small_world(seed), 2, small);
        let client = node.run(|client| async move {
            client.create("things").await;
            client
        });
        let knowledge: Knowledge = Rc::default();
        let writers = (0..4).map(|n| write(client.clone(), n + 1, knowledge.clone()));
        node.world.block_on_steps(5000, join_all(writers));
        node.world.trace_hash()
    };
    assert_eq!(trace(7), trace(7));
    assert_ne!(trace(7), trace(8));
}
