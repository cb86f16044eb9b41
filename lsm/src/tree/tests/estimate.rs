//! Estimates: exact where they say so, and off by what they say elsewhere.

use std::collections::BTreeSet;
use std::time::Duration;

use runtime::Runtime;
use runtime::sim::SimRuntime;

use super::harness::{DIR, settle, tiny_options, world};
use super::model::Dice;
use crate::batch::{Mark, WriteBatch};
use crate::estimate::Estimate;
use crate::tree::{Tree, TreeOptions};

/// A tree and the index of its last batch.
struct Subject {
    tree: Tree<SimRuntime>,
    index: u64,
}

impl Subject {
    fn apply(&mut self, fill: impl FnOnce(&mut WriteBatch)) {
        let mut batch = WriteBatch::new();
        fill(&mut batch);
        self.index += 1;
        self.tree.apply(&batch, Mark { stream: 1, index: self.index });
    }

    fn put(&mut self, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            self.apply(|batch| batch.put(&key(number), &[1; 92]));
        }
    }

    fn delete(&mut self, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            self.apply(|batch| batch.delete(&key(number)));
        }
    }

    async fn flush(&self) {
        self.tree.flush().await.expect("no faults");
    }

    /// Keys of which the tree says that they are there.
    async fn check(&self, from: u64, to: u64, entries: u64) {
        let found = self.tree.estimate(&key(from), &key(to)).await.expect("no faults");
        assert_eq!(found, Estimate { entries, bytes: entries * 100 }, "{from}..{to}");
    }
}

fn key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

fn with_subject<F: Future<Output = ()>>(options: TreeOptions, test: impl FnOnce(Subject) -> F) {
    let (world, node) = world(1);
    world.block_on(async {
        let tree = Tree::open(world.runtime(node), options).await.expect("a new tree");
        test(Subject { tree, index: 0 }).await;
    });
}

#[test]
fn in_memtables_keys_are_counted_not_writes() {
    with_subject(TreeOptions::new(DIR), |mut subject| async move {
        subject.check(0, 100, 0).await;
        subject.put(0..50);
        subject.put(10..30);
        subject.check(0, 100, 50).await;
        subject.delete(5..15);
        subject.delete(70..80);
        subject.check(0, 100, 40).await;
        subject.check(10, 20, 5).await;
        subject.check(20, 20, 0).await;
        subject.check(30, 20, 0).await;
        subject.put(5..6);
        subject.check(0, 100, 41).await;
    });
}

#[test]
fn over_sstables_a_delete_takes_away_and_a_key_that_comes_back_counts_once() {
    with_subject(TreeOptions::new(DIR), |mut subject| async move {
        subject.put(0..50);
        subject.flush().await;
        subject.check(0, 100, 50).await;
        subject.check(10, 20, 10).await;
        subject.delete(5..15);
        subject.check(0, 100, 40).await;
        subject.check(10, 20, 5).await;
        subject.put(5..10);
        subject.check(0, 100, 45).await;
        subject.put(50..60);
        subject.delete(50..55);
        subject.check(0, 100, 50).await;
    });
}

#[test]
fn overwritten_keys_count_twice_until_they_are_merged() {
    let options = TreeOptions { level0_tables: 2, ..TreeOptions::new(DIR) };
    with_subject(options, |mut subject| async move {
        subject.put(0..50);
        subject.flush().await;
        subject.put(0..50);
        subject.check(0, 100, 100).await;
        subject.flush().await;
        settle(&subject.tree).await;
        assert_eq!(subject.tree.stats().level_tables[0], 0);
        subject.check(0, 100, 50).await;
    });
}

#[test]
fn dropped_ranges_count_for_nothing() {
    with_subject(TreeOptions::new(DIR), |mut subject| async move {
        subject.put(0..50);
        subject.flush().await;
        subject.put(50..100);
        subject.apply(|batch| batch.drop_range(&key(20), &key(70)));
        subject.check(0, 100, 50).await;
        subject.check(20, 70, 0).await;
        subject.put(30..40);
        subject.check(0, 100, 60).await;
        subject.flush().await;
        subject.check(0, 100, 60).await;
        subject.check(25, 35, 5).await;
    });
}

#[test]
fn large_parts_are_guessed_by_their_share() {
    with_subject(TreeOptions::new(DIR), |mut subject| async move {
        subject.put(0..30_000);
        subject.flush().await;
        subject.check(0, 30_000, 30_000).await;
        let reads = subject.tree.stats().reads;
        for (from, to) in [(0, 15_000), (10_000, 20_000), (29_000, 40_000)] {
            let found = subject.tree.estimate(&key(from), &key(to)).await.expect("no faults");
            let wanted = to.min(30_000) - from;
            let near = |found: u64, wanted: u64| found.abs_diff(wanted) <= wanted / 20;
            assert!(
                near(found.entries, wanted) && near(found.bytes, wanted * 100),
                "{from}..{to}: {found:?}"
            );
        }
        let reads = subject.tree.stats().reads - reads;
        assert!(reads < 60, "{reads} reads are more than a few");
    });
}

/// Whatever flushes and compactions do meanwhile: keys that are put once are counted exactly, in any range; and when some
/// of them are deleted, nothing is missing but what tombstones can take away twice.
#[test]
fn new_keys_are_exact_at_any_time() {
    for seed in 0..60 {
        let dice = &mut Dice(seed);
        let deletes = seed % 3 == 0;
        with_subject(tiny_options(dice), |mut subject| async move {
            let (mut there, mut deleted) = (BTreeSet::new(), 0);
            for _ in 0..400 {
                subject.tree.ready().await.expect("no faults");
                let number = dice.below(10_000);
                match dice.below(12) {
                    0 => subject.flush().await,
                    1 => subject.tree.inner.runtime.sleep(Duration::from_micros(dice.below(3000))).await,
                    2 | 3 if deletes => {
                        let gone = there.range(number * 1000..).next().copied();
                        if let Some(gone) = gone {
                            there.remove(&gone);
                            subject.delete([gone]);
                            deleted += 1;
                        }
                    }
                    4 => {
                        let (from, to) = (number * 1000, (number + dice.below(6000)) * 1000);
                        subject.check_near(from, to, there.range(from..to).count() as u64, deleted).await;
                    }
                    _ => {
                        // No key comes twice.
                        let number = number * 1000 + subject.index;
                        subject.put([number]);
                        there.insert(number);
                    }
                }
            }
            subject.check_near(0, u64::MAX, there.len() as u64, deleted).await;
        });
    }
}

impl Subject {
    async fn check_near(&self, from: u64, to: u64, entries: u64, deleted: u64) {
        if deleted == 0 {
            return self.check(from, to, entries).await;
        }
        let found = self.tree.estimate(&key(from), &key(to)).await.expect("no faults");
        let lowest = entries.saturating_sub(deleted);
        assert!((lowest..=entries).contains(&found.entries), "{from}..{to}: {found:?} of {entries}");
    }
}
