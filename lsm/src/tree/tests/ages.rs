//! Keys that go by age: never before their time, whole SSTables at a time, and an older write never comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use runtime::Runtime;
use runtime::sim::SimRuntime;

use super::harness::{DIR, collect, settle, tiny_options, world};
use super::model::Dice;
use crate::batch::{Direction, Mark, Range, WriteBatch};
use crate::tree::{AgeRange, Tree, TreeOptions};

const TTL: Duration = Duration::from_millis(400);
const WINDOW: Duration = Duration::from_millis(50);

fn options(dice: &mut Dice) -> TreeOptions {
    let mut options = tiny_options(dice);
    let (from, to) = (b"s/".to_vec(), b"s0".to_vec());
    options.age_ranges = vec![AgeRange { from, to, ttl: TTL, window: WINDOW }];
    options
}

/// What was put, and when, in wall clock microseconds.
#[derive(Default)]
struct Put {
    value: Vec<u8>,
    at: u64,
    index: u64,
}

#[derive(Default)]
struct Model {
    puts: BTreeMap<Vec<u8>, Vec<Put>>,
    next: u64,
}

impl Model {
    /// The tree holds, of each key, the last write up to `mark`; one with an age may be gone when its time is over.
    async fn check(&self, tree: &Tree<SimRuntime>, mark: u64) {
        let now = tree.inner.runtime.wall().0;
        let view = tree.view();
        let found = collect(&view, Range::ALL, Direction::Forward).await.expect("no faults");
        let found: BTreeMap<Vec<u8>, Vec<u8>> = found.into_iter().collect();
        for (key, puts) in &self.puts {
            let last = puts.iter().rev().find(|put| put.index <= mark);
            let read = view.get(key).await.expect("no faults");
            let name = String::from_utf8_lossy(key);
            assert_eq!(read.as_deref(), found.get(key).map(Vec::as_slice), "get and scan of {name}");
            match (last, read) {
                (Some(last), Some(value)) => assert_eq!(*last.value, *value, "{name}"),
                (None, None) => {}
                (Some(last), None) => {
                    let may_go = key.starts_with(b"s/") && last.at + TTL.as_micros() as u64 <= now;
                    assert!(may_go, "{name} went {} us after it was put", now - last.at);
                }
                (None, Some(_)) => panic!("{name} was not put yet"),
            }
        }
    }

    fn put(&mut self, tree: &Tree<SimRuntime>, dice: &mut Dice) {
        self.next += 1;
        let key = if dice.one_in(3) { "a/" } else { "s/" };
        let key = format!("{key}{:02}", dice.below(40)).into_bytes();
        let mut value = self.next.to_le_bytes().to_vec();
        value.resize(8 + dice.below(200) as usize, 1);
        let put = Put { value, at: tree.inner.runtime.wall().0, index: self.next };
        self.apply(tree, &key, &put);
        self.puts.entry(key).or_default().push(put);
    }

    fn apply(&self, tree: &Tree<SimRuntime>, key: &[u8], put: &Put) {
        let mut batch = WriteBatch::new();
        batch.put(key, &put.value);
        tree.apply(&batch, Mark { stream: 1, index: put.index });
    }

    /// What the log brings back. It is written anew, so its time begins anew.
    fn replay(&mut self, tree: &Tree<SimRuntime>, mark: u64) {
        let now = tree.inner.runtime.wall().0;
        let behind = self.puts.iter_mut().flat_map(|(key, puts)| puts.iter_mut().map(move |put| (key, put)));
        let mut behind: Vec<_> = behind.filter(|(_, put)| put.index > mark).collect();
        behind.sort_by_key(|(_, put)| put.index);
        for (key, put) in behind {
            put.at = now;
            let mut batch = WriteBatch::new();
            batch.put(key, &put.value);
            tree.apply(&batch, Mark { stream: 1, index: put.index });
        }
    }
}

/// One seed: writes, pauses and crashes; then everything with an age goes, and nothing else.
fn run(seed: u64) -> u64 {
    let (world, node) = world(seed);
    let dice = &mut Dice(seed);
    let options = options(dice);
    let mut model = Model::default();
    let mut expired = 0;
    for _ in 0..3 {
        let tree = world.block_on(Tree::open(world.runtime(node), options.clone())).expect("no faults");
        world.block_on(async {
            let mark = tree.flushed_mark(1);
            model.check(&tree, mark).await;
            model.replay(&tree, mark);
            for _ in 0..150 {
                tree.ready().await.expect("no faults");
                model.put(&tree, dice);
                if dice.one_in(10) {
                    world.sleep(Duration::from_micros(dice.below(60_000))).await;
                    model.check(&tree, u64::MAX).await;
                }
            }
            expired += tree.stats().tables_expired;
        });
        drop(tree);
        world.crash(node);
    }
    world.block_on(async {
        let tree = Tree::open(world.runtime(node), options).await.expect("no faults");
        model.replay(&tree, tree.flushed_mark(1));
        tree.flush().await.expect("no faults");
        world.sleep(TTL + WINDOW + Duration::from_millis(20)).await;
        settle(&tree).await;
        model.check(&tree, u64::MAX).await;
        let stats = tree.stats();
        assert_eq!(stats.aged_tables, 0, "everything has expired: {stats:?}");
        let left = collect(&tree.view(), Range::ALL, Direction::Forward).await.expect("no faults");
        let kept = model.puts.keys().filter(|key| key.starts_with(b"a/")).count();
        assert_eq!(left.len(), kept, "and nothing else");
        expired += stats.tables_expired;
        tree.close().await.expect("no faults");
    });
    expired
}

#[test]
fn what_is_kept_by_age_goes_in_time_and_never_before() {
    let expired: u64 = (0..60).map(run).sum();
    assert!(expired > 600, "{expired} SSTables have expired");
}

#[test]
fn pieces_of_a_window_are_gathered_and_no_file_mixes_windows() {
    let (world, node) = world(7);
    let mut options = options(&mut Dice(7));
    (options.memtable_bytes, options.table_bytes) = (1 << 20, 1 << 20);
    options.age_ranges[0].ttl = Duration::from_secs(3600);
    world.block_on(async {
        let tree = Tree::open(world.runtime(node), options.clone()).await.expect("new");
        for index in 1..=60 {
            let mut batch = WriteBatch::new();
            batch.put(format!("s/{}", index % 7).as_bytes(), &[index as u8; 50]);
            tree.apply(&batch, Mark { stream: 1, index });
            tree.flush().await.expect("no faults");
            world.sleep(Duration::from_millis(10)).await;
        }
        world.sleep(WINDOW * 2).await;
        settle(&tree).await;
        let tables = tree.inner.state.borrow().version.clone();
        let windows: Vec<u64> = tables
            .tables()
            .map(|table| table.meta.newest.expect("it has an age").0 / WINDOW.as_micros() as u64)
            .collect();
        assert!((8..=20).contains(&windows.len()), "60 flushes in about 14 windows: {windows:?}");
        assert!(windows.windows(2).all(|pair| pair[0] > pair[1]), "one for each: {windows:?}");
        let stats = tree.stats();
        assert_eq!((stats.aged_tables, stats.level_tables[0]), (windows.len(), windows.len()));
        assert!(stats.compaction_write_bytes < 3 * stats.flush_bytes, "each entry is copied once or twice");
    });
}

/// The wall clock jumps ahead by a year: with a horizon of the caller's own nothing goes.
#[test]
fn a_horizon_is_stronger_than_the_clock() {
    let (world, node) = world(8);
    let options = options(&mut Dice(8));
    world.block_on(async {
        let tree = Tree::open(world.runtime(node), options.clone()).await.expect("new");
        let now = tree.inner.runtime.wall();
        tree.set_horizon(now);
        let mut batch = WriteBatch::new();
        batch.put(b"s/1", b"kept");
        tree.apply(&batch, Mark { stream: 1, index: 1 });
        tree.flush().await.expect("no faults");
        world.sleep(TTL * 10).await;
        assert_eq!(tree.stats().aged_tables, 1);
        tree.set_horizon(runtime::Wall(now.0 + TTL.as_micros() as u64 - 1));
        settle(&tree).await;
        assert_eq!(tree.stats().aged_tables, 1);
        tree.set_horizon(runtime::Wall(now.0 + TTL.as_micros() as u64));
        settle(&tree).await;
        assert_eq!((tree.stats().aged_tables, tree.stats().tables_expired), (0, 1));
        assert!(tree.get(b"s/1").await.expect("no faults").is_none());
    });
    let left = world.disk(node).files().into_iter().filter(|(path, _)| path.starts_with(DIR));
    assert!(
        left.into_iter().all(|(path, _)| path.extension().is_none_or(|end| end != "sst")),
        "its file is gone"
    );
}
