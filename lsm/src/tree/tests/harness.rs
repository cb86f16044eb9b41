//! One seed: a tree with tiny limits, random work, crashes at any step, and a check after each.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::rc::Rc;
use std::time::Duration;

use runtime::Runtime;
use runtime::sim::{FaultCounts, NodeId, SimRuntime, Span, World, WorldOptions};

use super::model::{Contents, Dice, Model, STREAMS, draw_key, draw_range, expected};
use crate::batch::{Direction, Range};
use crate::tree::work::REST;
use crate::tree::{AgeRange, Canary, Compression, LEVEL_COUNT, Tree, TreeOptions};
use crate::view::View;
use crate::{Error, WriteBatch};

pub(super) type Checked<T> = Result<T, String>;

/// Fails the seed with a message.
macro_rules! ensure {
    ($condition:expr, $($message:tt)*) => {
        if !$condition {
            return Err(format!($($message)*));
        }
    };
}

pub(super) const DIR: &str = "shard-0/tree";

/// A world with one node and a fast disk.
pub(super) fn world(seed: u64) -> (World, NodeId) {
    let mut options = WorldOptions::default();
    options.disk.read = Span::micros(1, 20);
    options.disk.write = Span::micros(1, 20);
    options.disk.sync = Span::micros(1, 40);
    let world = World::new(seed, options);
    let node = world.node("node");
    (world, node)
}

/// Limits so small that everything happens.
pub(super) fn tiny_options(dice: &mut Dice) -> TreeOptions {
    let mut options = TreeOptions::new(DIR);
    options.memtable_bytes = dice.pick(&[1000, 2500, 6000]);
    options.immutables_max = dice.pick(&[1, 2, 4]);
    options.block_bytes = dice.pick(&[256, 512, 1024, 4096]);
    options.partition_bytes = dice.pick(&[128, 512, 4096]);
    options.table_bytes = dice.pick(&[4096, 12288, 40000]);
    options.cache_bytes = dice.pick(&[0, 8000, 1 << 20]);
    options.tables_open_max = dice.pick(&[1, 3, 100]);
    options.level0_tables = dice.pick(&[1, 2, 4]);
    options.level0_tables_slow = 5;
    options.level0_tables_stop = 8;
    options.level1_bytes = dice.pick(&[8192, 30000, 100_000]);
    options.level_factor = dice.pick(&[2, 4]);
    options.transfer_bytes = dice.pick(&[4096, 16384]);
    options.readahead_bytes = dice.pick(&[4096, 16384]);
    options.manifest_bytes = dice.pick(&[4096, 32768, 1 << 20]);
    if dice.one_in(2) {
        // Nothing expires within a seed: that is tried in `ages`. What is gathered when is tried here.
        let (from, to) = (b"key/20".to_vec(), b"key/40".to_vec());
        let window = Duration::from_millis(dice.pick(&[1, 10, 100]));
        options.age_ranges = vec![AgeRange { from, to, ttl: Duration::from_secs(1 << 40), window }];
    }
    options.scrub_pass = dice.pick(&[Duration::ZERO, Duration::from_millis(10), Duration::from_secs(10)]);
    options.scrub_bytes_per_second_min = dice.pick(&[1 << 20, 1 << 28]);
    options.compression = std::array::from_fn::<_, LEVEL_COUNT, _>(|_| {
        dice.pick(&[Compression::None, Compression::Lz4, Compression::Zstd])
    });
    options
}

/// Says what failed.
pub(super) fn told<T, E: Debug>(result: Result<T, E>, what: &str) -> Checked<T> {
    result.map_err(|error| format!("{what}: {error:?}"))
}

/// The tree's marks.
pub(super) fn marks<R: Runtime>(tree: &Tree<R>) -> BTreeMap<u64, u64> {
    (0..STREAMS).map(|stream| (stream, tree.flushed_mark(stream))).collect()
}

pub(super) async fn collect<R: Runtime>(
    view: &View<R>,
    range: Range,
    direction: Direction,
) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Error> {
    let mut scan = view.scan(range, direction);
    let mut found = Vec::new();
    while let Some((key, value)) = scan.next().await? {
        found.push((key.to_vec(), value.to_vec()));
    }
    Ok(found)
}

/// The view holds exactly these contents, whichever way one looks.
pub(super) async fn check_all<R: Runtime>(view: &View<R>, contents: &Contents, what: &str) -> Checked<()> {
    for direction in [Direction::Forward, Direction::Backward] {
        let found = told(collect(view, Range::ALL, direction).await, what)?;
        let wanted = expected(contents, &Range::ALL, direction);
        if found != wanted {
            let at =
                found.iter().zip(&wanted).position(|(a, b)| a != b).unwrap_or(found.len().min(wanted.len()));
            let name = |pairs: &[(Vec<u8>, Vec<u8>)]| {
                pairs.get(at).map(|(key, value)| (String::from_utf8_lossy(key).into_owned(), value.len()))
            };
            return Err(format!(
                "{what}: scan {direction:?} differs at {at}: {:?}, not {:?}",
                name(&found),
                name(&wanted)
            ));
        }
    }
    for (key, value) in contents {
        let found = told(view.get(key).await, what)?;
        ensure!(
            found.as_deref() == Some(value.as_slice()),
            "{what}: get {} gives {:?}",
            String::from_utf8_lossy(key),
            found.map(|value| value.len())
        );
    }
    for absent in ["", "k", "key/", "key/30/", "key/30/y", "zzz"] {
        let found = told(view.get(absent.as_bytes()).await, what)?;
        ensure!(found.is_none(), "{what}: {absent} is there");
    }
    Ok(())
}

/// Random work until it is dropped or `steps` are done. Whatever is applied is in the model at once.
pub(super) async fn work(
    tree: Tree<SimRuntime>,
    model: Rc<RefCell<Model>>,
    seed: u64,
    steps: u64,
) -> Checked<()> {
    let runtime = tree.inner.runtime.clone();
    let dice = &mut Dice(seed);
    let mut held: Option<(View<SimRuntime>, Contents)> = None;
    for _ in 0..steps {
        match dice.below(24) {
            0 => told(tree.flush().await, "flush")?,
            1 => runtime.sleep(Duration::from_micros(dice.below(3000))).await,
            2 => held = Some((tree.view(), model.borrow().contents.clone())),
            3 => {
                if let Some((view, contents)) = held.take() {
                    check_all(&view, &contents, "a view that was held").await?;
                }
            }
            4 => {
                let (range, direction) =
                    (draw_range(dice), dice.pick(&[Direction::Forward, Direction::Backward]));
                let wanted = expected(&model.borrow().contents, &range, direction);
                let found = told(collect(&tree.view(), range.clone(), direction).await, "scan")?;
                ensure!(found == wanted, "scan {direction:?} of {range:?}");
            }
            5..8 => {
                let key = draw_key(dice);
                let wanted = model.borrow().contents.get(&key).cloned();
                let found = told(tree.get(&key).await, "get")?;
                ensure!(found.as_deref() == wanted.as_deref(), "get {}", String::from_utf8_lossy(&key));
            }
            _ => {
                told(tree.ready().await, "ready")?;
                let applied = model.borrow_mut().draw(dice);
                tree.apply(&applied.batch(), applied.mark);
            }
        }
        model.borrow_mut().durable = marks(&tree);
    }
    Ok(())
}

/// Opens the tree and checks that it holds what its marks say, then brings back the rest as a log would.
pub(super) async fn recover(
    runtime: SimRuntime,
    options: TreeOptions,
    model: Rc<RefCell<Model>>,
) -> Checked<Tree<SimRuntime>> {
    let cuts = options.age_ranges.is_empty();
    let tree = told(Tree::open(runtime, options).await, "open")?;
    if cuts {
        tree.set_cut(|key| key.get(4).copied().unwrap_or_default().into());
    }
    let marks = marks(&tree);
    for (stream, mark) in &model.borrow().durable {
        ensure!(marks[stream] >= *mark, "stream {stream}: durable up to {mark}, now {}", marks[stream]);
    }
    let contents = model.borrow().at(&marks);
    check_all(&tree.view(), &contents, "after recovery").await?;
    let behind = model.borrow().behind(&marks);
    for applied in behind {
        told(tree.ready().await, "ready in replay")?;
        let batch: WriteBatch = applied.batch();
        tree.apply(&batch, applied.mark);
    }
    let contents = model.borrow().contents.clone();
    check_all(&tree.view(), &contents, "after replay").await?;
    Ok(tree)
}

/// One seed with crashes at any step, also while recovering.
pub(super) fn run_seed(seed: u64, canary: Canary) -> Checked<FaultCounts> {
    let (world, node) = world(seed);
    let dice = &mut Dice(seed ^ 0x5eed);
    let mut options = tiny_options(dice);
    options.canary = canary;
    let model = Rc::new(RefCell::new(Model::default()));
    for _ in 0..1 + dice.below(4) {
        let steps = if dice.one_in(3) { dice.below(300) } else { 1 << 40 };
        let opened =
            world.block_on_steps(steps, recover(world.runtime(node), options.clone(), model.clone()));
        if let Some(tree) = opened {
            let worked = work(tree?, model.clone(), dice.next(), 20 + dice.below(100));
            let steps = if dice.one_in(4) { 1 << 40 } else { dice.below(3000) };
            world.block_on_steps(steps, worked).unwrap_or(Ok(()))?;
        }
        world.crash(node);
    }
    let last = finish(world.runtime(node), options.clone(), model.clone(), dice.next());
    world.block_on(last)?;
    world.crash(node);
    let tree = world.block_on(recover(world.runtime(node), options, model.clone()))?;
    let behind = model.borrow().behind(&marks(&tree));
    ensure!(behind.is_empty(), "{} batches are not durable after a clean close", behind.len());
    Ok(world.disk(node).fault_counts())
}

/// Work that comes to its end: after a clean close everything is durable and no file is there in vain.
async fn finish(
    runtime: SimRuntime,
    options: TreeOptions,
    model: Rc<RefCell<Model>>,
    seed: u64,
) -> Checked<()> {
    let tree = recover(runtime.clone(), options.clone(), model.clone()).await?;
    work(tree.clone(), model.clone(), seed, 60).await?;
    told(tree.flush().await, "last flush")?;
    settle(&tree).await;
    let contents = model.borrow().contents.clone();
    check_all(&tree.view(), &contents, "when all is quiet").await?;
    let stats = tree.stats();
    ensure!(stats.views == 0 && stats.tables_pinned == 0, "something is still held: {stats:?}");
    let level0 = stats.level_tables[0] - stats.aged_tables;
    ensure!(level0 < options.level0_tables.max(2), "compaction has not kept up: {stats:?}");
    ensure!(stats.dropped_ranges == 0, "a dropped range has not been worked off: {stats:?}");
    let names = told(runtime.list(DIR.as_ref()).await, "list")?;
    let files = names.iter().filter(|entry| entry.name.ends_with(".sst")).count();
    ensure!(files == stats.level_tables.iter().sum::<usize>(), "{files} files for {:?}", stats.level_tables);
    told(tree.close().await, "close")?;
    let closed = marks(&tree);
    model.borrow_mut().durable = closed;
    Ok(())
}

/// Waits until the background tasks have nothing to do.
pub(super) async fn settle<R: Runtime>(tree: &Tree<R>) {
    // Until a window is over its pieces wait; and what there is time for only when nobody writes.
    let window = tree.inner.options.age_ranges.first().map_or(Duration::ZERO, |range| range.window);
    tree.inner.runtime.sleep(window.max(2 * REST)).await;
    let mut quiet = 0;
    let mut before = None;
    while quiet < 3 {
        tree.inner.runtime.sleep(Duration::from_millis(20)).await;
        let stats = tree.stats();
        let now = (
            stats.flushes,
            stats.compactions,
            stats.tables_moved,
            stats.tables_pinned + stats.freeing_bytes as usize,
        );
        quiet = if before == Some(now) { quiet + 1 } else { 0 };
        before = Some(now);
    }
}
