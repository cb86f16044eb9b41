//! How fast one core reads from a tree, beside what the device gives to a raw ring at the same depth.
//!
//!     cargo run --release -p lsm --example read_speed -- [directory] [thousands of keys] [seconds]
//!
//! Sketch, for keys of 40 bytes and values of 128: a get from the memtable or from a cached block is a few hundred
//! nanoseconds of memory latency; a get of an absent key a filter probe for each level; a step of a cached scan some tens
//! of nanoseconds. An uncached get is one device read of 4 KiB and little else, so its rate is held against that of a raw
//! `io_uring` at the same depth on the same file, measured right before it.

use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use io_uring::{IoUring, opcode, types};
use lsm::{Direction, Mark, Range, Tree, TreeOptions, TreeStats, WriteBatch};
use runtime::Runtime;
use runtime::real::{RealOptions, RealRuntime, run};
use runtime::sync::join_all;

const VALUE_BYTES: usize = 128;
const PAGE: usize = 4096;
/// Reads in flight.
const DEPTHS: [usize; 4] = [1, 4, 16, 64];
/// Keys of one scan.
const SCAN_KEYS: usize = 100;

#[derive(Clone)]
struct Plan {
    dir: PathBuf,
    keys: u64,
    duration: Duration,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().unwrap_or_else(|| "target".to_owned())).join("read-speed");
    let thousands: u64 = arguments.next().map_or(1000, |text| text.parse().expect("a number of keys"));
    let seconds = arguments.next().map_or(1.0, |text| text.parse().expect("a number of seconds"));
    let only = arguments.next();
    #[expect(clippy::disallowed_methods, reason = "before the runtime is there")]
    std::fs::create_dir_all(&dir).expect("the directory can be made");
    let plan = Plan { dir: dir.clone(), keys: thousands * 1000, duration: Duration::from_secs_f64(seconds) };
    let cpu = core_affinity::get_core_ids().expect("the machine has cpus")[0];
    core_affinity::set_for_current(cpu);
    on_core(cpu.id, &plan, load);
    if only.as_deref() != Some("disk") {
        on_core(cpu.id, &plan, memory);
    }
    if only.as_deref() != Some("memory") {
        for depth in DEPTHS {
            let raw = raw_reads(&largest_table(&dir), depth, plan.duration);
            println!("raw ring, 4 KiB, depth {depth:>2}: {raw:>9.0} reads/s");
            on_core(cpu.id, &plan, move |rt, plan| device(rt, plan, depth, raw));
        }
        on_core(cpu.id, &plan, scans_from_the_device);
    }
    std::fs::remove_dir_all(&dir).expect("the directory can be removed");
}

fn on_core<F>(cpu: usize, plan: &Plan, work: impl Fn(RealRuntime, Plan) -> F + Clone + Send + 'static)
where
    F: Future<Output = ()> + 'static,
{
    let options = RealOptions::new(vec![cpu], &plan.dir);
    let plan = plan.clone();
    run(options, move |rt| work(rt, plan.clone())).expect("the runtime starts");
}

fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// 40 bytes in the shape of a storage key, in the order of chance.
fn key(index: u64) -> [u8; 40] {
    let mut key = [0x11; 40];
    key[8..16].copy_from_slice(&mix(index).to_be_bytes());
    key[16..24].copy_from_slice(&index.to_be_bytes());
    key
}

async fn open(rt: &RealRuntime, plan: &Plan, cache_bytes: usize) -> Tree<RealRuntime> {
    let options = TreeOptions { cache_bytes, ..TreeOptions::new(plan.dir.join("tree")) };
    Tree::open(rt.clone(), options).await.expect("the tree opens")
}

async fn load(rt: RealRuntime, plan: Plan) {
    let tree = open(&rt, &plan, 16 << 20).await;
    let mut batch = WriteBatch::new();
    for index in 1..=plan.keys {
        batch.clear();
        let mut value = [index as u8; VALUE_BYTES];
        for (place, chunk) in value.chunks_mut(8).enumerate() {
            chunk.copy_from_slice(&mix(index ^ (place as u64) << 40).to_le_bytes());
        }
        batch.put(&key(index), &value);
        tree.ready().await.expect("the disk works");
        tree.apply(&batch, Mark { stream: 1, index });
        if rt.should_yield() {
            rt.yield_now().await;
        }
    }
    tree.flush().await.expect("the disk works");
    let mut before = TreeStats::default();
    loop {
        rt.sleep(Duration::from_millis(300)).await;
        let now = tree.stats();
        if now.compactions == before.compactions && now.sequence == before.sequence {
            break;
        }
        before = now;
    }
    let stats = tree.stats();
    println!("tables per level {:?}, bytes {:?}", stats.level_tables, stats.level_bytes);
    tree.close().await.expect("the disk works");
}

/// Nanoseconds of one call of `work`, for about `duration`.
async fn nanos(rt: &RealRuntime, duration: Duration, name: &str, each: u64, work: impl AsyncFn(u64)) {
    let (begun, mut rounds) = (rt.now(), 0);
    while rt.now().since(begun) < duration {
        for _ in 0..32 {
            work(mix(rounds)).await;
            rounds += 1;
        }
    }
    let spent = rt.now().since(begun).as_nanos() as u64;
    println!("{name:<34} {:>7} ns", spent / (rounds * each));
}

async fn memory(rt: RealRuntime, plan: Plan) {
    let tree = open(&rt, &plan, 4 << 30).await;
    for index in 1..=plan.keys {
        tree.get(&key(index)).await.expect("the disk works").expect("it was written");
        if rt.should_yield() {
            rt.yield_now().await;
        }
    }
    let (time, keys) = (plan.duration, plan.keys);
    let get = async |index: u64, found: bool| {
        let value = tree.get(&key(index)).await.expect("the disk works");
        assert_eq!(value.is_some(), found);
    };
    nanos(&rt, time, "get, cached block", 1, async |chance| get(chance % keys + 1, true).await).await;
    nanos(&rt, time, "get, cached block, 1000 keys", 1, async |chance| get(chance % 1000 + 1, true).await)
        .await;
    nanos(&rt, time, "get, absent", 1, async |chance| get(chance % keys + keys + 1, false).await).await;
    nanos(&rt, time, "scan of 100, cached, per key", SCAN_KEYS as u64, async |chance| {
        scan(&tree, chance % keys + 1, Direction::Forward).await;
    })
    .await;
    nanos(&rt, time, "scan back of 100, cached, per key", SCAN_KEYS as u64, async |chance| {
        scan(&tree, chance % keys + 1, Direction::Backward).await;
    })
    .await;
    let mut batch = WriteBatch::new();
    for index in 1..=100_000 {
        batch.clear();
        batch.put(&key(keys + index), &[7; VALUE_BYTES]);
        tree.apply(&batch, Mark { stream: 1, index: keys + index });
    }
    nanos(&rt, time, "get, memtable of 100,000", 1, async |chance| {
        get(chance % 100_000 + keys + 1, true).await;
    })
    .await;
    nanos(&rt, time, "get, cached, below that memtable", 1, async |chance| {
        get(chance % keys + 1, true).await;
    })
    .await;
}

async fn scan(tree: &Tree<RealRuntime>, from: u64, direction: Direction) -> usize {
    let mut range = Range::ALL;
    match direction {
        Direction::Forward => range.from = std::ops::Bound::Included(key(from).to_vec()),
        Direction::Backward => range.to = std::ops::Bound::Included(key(from).to_vec()),
    }
    let mut scan = tree.view().scan(range, direction);
    let mut bytes = 0;
    for _ in 0..SCAN_KEYS {
        let Some((key, value)) = scan.next().await.expect("the disk works") else { break };
        bytes += key.len() + value.len();
    }
    bytes
}

/// Gets from a set that is ten times the cache.
async fn device(rt: RealRuntime, plan: Plan, depth: usize, raw: f64) {
    let bytes: u64 = plan.keys * (VALUE_BYTES as u64 + 40);
    let tree = open(&rt, &plan, (bytes / 10) as usize).await;
    run_gets(&rt, &tree, &plan, depth, plan.duration).await; // Warms filters and indexes.
    let before = tree.stats();
    let (gets, spent) = run_gets(&rt, &tree, &plan, depth, plan.duration).await;
    let after = tree.stats();
    let (reads, bytes) = (after.reads - before.reads, after.read_bytes - before.read_bytes);
    let per_second = |count: u64| count as f64 / spent.as_secs_f64();
    println!(
        "gets,           depth {depth:>2}: {:>9.0} gets/s, {:>9.0} reads/s of {:.0} bytes: {:.2} of raw",
        per_second(gets),
        per_second(reads),
        bytes as f64 / reads as f64,
        per_second(reads) / raw,
    );
}

async fn run_gets(
    rt: &RealRuntime,
    tree: &Tree<RealRuntime>,
    plan: &Plan,
    depth: usize,
    duration: Duration,
) -> (u64, Duration) {
    let begun = rt.now();
    let end = begun.after(duration);
    let lane = |lane: usize| {
        let (rt, tree, keys) = (rt.clone(), tree.clone(), plan.keys);
        rt.clone().spawn(runtime::Class::Foreground, async move {
            let mut gets = 0;
            while rt.now() < end {
                let index = mix(gets ^ (lane as u64) << 40) % keys + 1;
                tree.get(&key(index)).await.expect("the disk works").expect("it was written");
                gets += 1;
            }
            gets
        })
    };
    let lanes: Vec<_> = (0..depth).map(lane).collect();
    let gets: u64 = join_all(lanes).await.into_iter().sum();
    (gets, rt.now().since(begun))
}

async fn scans_from_the_device(rt: RealRuntime, plan: Plan) {
    let tree = open(&rt, &plan, 2 << 20).await;
    for direction in [Direction::Forward, Direction::Backward] {
        let before = tree.stats();
        let (begun, mut count) = (rt.now(), 0);
        while rt.now().since(begun) < plan.duration {
            scan(&tree, mix(count) % plan.keys + 1, direction).await;
            count += 1;
        }
        let (after, spent) = (tree.stats(), rt.now().since(begun).as_secs_f64());
        println!(
            "scans of 100, one at a time, {direction:?}: {:.0} scans/s, {:.1} reads and {:.0} bytes each",
            count as f64 / spent,
            (after.reads - before.reads) as f64 / count as f64,
            (after.read_bytes - before.read_bytes) as f64 / count as f64,
        );
    }
    let begun = rt.now();
    let mut all = tree.view().scan(Range::ALL, Direction::Forward);
    let (mut count, mut bytes) = (0_u64, 0);
    while let Some((key, value)) = all.next().await.expect("the disk works") {
        (count, bytes) = (count + 1, bytes + key.len() + value.len());
        if rt.should_yield() {
            rt.yield_now().await;
        }
    }
    let spent = rt.now().since(begun).as_secs_f64();
    println!(
        "scan of everything: {:.0} keys/s, {:.0} MB/s",
        count as f64 / spent,
        bytes as f64 / spent / 1e6
    );
}

fn largest_table(dir: &Path) -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "outside of the runtime")]
    let files = std::fs::read_dir(dir.join("tree")).expect("the tree's directory").map(|file| {
        let path = file.expect("a file").path();
        (std::fs::metadata(&path).map_or(0, |about| about.len()), path)
    });
    files.filter(|(_, path)| path.extension().is_some_and(|end| end == "sst")).max().expect("a table").1
}

/// Reads of 4 KiB a second that a ring of its own gets, `depth` in flight.
#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the limit that the runtime is held against"
)]
fn raw_reads(path: &Path, depth: usize, duration: Duration) -> f64 {
    let file =
        std::fs::File::options().read(true).custom_flags(libc::O_DIRECT).open(path).expect("the table opens");
    let pages = file.metadata().expect("its size").len() / PAGE as u64;
    let mut ring = IoUring::new(depth as u32 * 2).expect("a ring");
    let layout = std::alloc::Layout::from_size_align(PAGE * depth, PAGE).expect("a layout");
    // SAFETY: the layout is not empty; the memory is freed below, after the last read has come back.
    let memory = unsafe { std::alloc::alloc(layout) };
    let (begun, mut done, mut sent, mut in_flight) = (Instant::now(), 0_u64, 0_u64, 0_usize);
    let mut free: Vec<usize> = (0..depth).collect();
    loop {
        let over = begun.elapsed() >= duration;
        while !over && let Some(slot) = free.pop() {
            let offset = mix(sent) % pages * PAGE as u64;
            // SAFETY: each slot has a page of its own in `memory`, and one read in flight at most.
            unsafe {
                let buffer = memory.add(slot * PAGE);
                let read = opcode::Read::new(types::Fd(file.as_raw_fd()), buffer, PAGE as u32).offset(offset);
                ring.submission().push(&read.build().user_data(slot as u64)).expect("room for the depth");
            }
            (sent, in_flight) = (sent + 1, in_flight + 1);
        }
        if in_flight == 0 {
            break;
        }
        ring.submit_and_wait(1).expect("the ring works");
        for entry in ring.completion() {
            assert_eq!(entry.result(), PAGE as i32, "a page was read");
            free.push(entry.user_data() as usize);
            (done, in_flight) = (done + 1, in_flight - 1);
        }
    }
    let spent = begun.elapsed();
    // SAFETY: allocated above with the same layout; no read is in flight.
    unsafe { std::alloc::dealloc(memory, layout) };
    done as f64 / spent.as_secs_f64()
}
