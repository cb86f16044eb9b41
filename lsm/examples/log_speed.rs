//! How many durable appends a second one core's log does, and how long each takes.
//!
//!     cargo run --release -p lsm --example log_speed -- [directory] [seconds]
//!
//! Sketch: an append costs well under a microsecond; a 4 KiB O_DSYNC write into prewritten blocks about 70 µs here.
//! One writer waits for one such write each time: about 14,000 a second. With 64 writers and 4 writes in flight a
//! write carries 16 records or so: an order of magnitude more, at two write times each. The log warms up first, so
//! that its segments are recycled ones, as in the long run. Beside it stands the bare device: the same write, a plain
//! system call that blocks, nothing in between.
//!
//! Then a log of 128 MiB is left unreleased and unclosed, and is read back, alone and into a tree. Sketch: the device
//! reads 1 GB/s or more here, and a record of 1 KiB costs a microsecond to check and to apply: 500 MB/s or more.

use std::cell::RefCell;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use lsm::log::{Identity, Log, LogOptions, Record};
use lsm::{Mark, Tree, TreeOptions, WriteBatch};
use runtime::real::{RealOptions, RealRuntime, run};
use runtime::{BLOCK_BYTES, Runtime};

const PAYLOAD_BYTES: usize = 128;
/// Bytes of the file that the bare device is measured with.
const BARE_BYTES: usize = 16 << 20;
/// Payload bytes of the log that is read back.
const REPLAY_BYTES: usize = 128 << 20;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().unwrap_or_else(|| "target".to_owned())).join("log-speed");
    let seconds = arguments.next().map_or(3.0, |text| text.parse().expect("a number of seconds"));
    #[expect(clippy::disallowed_methods, reason = "before the runtime is there")]
    std::fs::create_dir_all(&dir).expect("the directory can be made");
    let cpu = core_affinity::get_core_ids().expect("the machine has cpus")[0].id;
    bare_writes(&dir.join("bare"), Duration::from_secs_f64(seconds));
    let work = dir.clone();
    run(RealOptions::new(vec![cpu], &dir), move |rt| measure(rt, work.join("log"), seconds))
        .expect("the runtime starts");
    std::fs::remove_dir_all(&dir).expect("the directory can be removed");
}

async fn measure(rt: RealRuntime, dir: PathBuf, seconds: f64) {
    let begun = rt.now();
    let options = LogOptions::new(dir, Identity::default());
    let (log, mut replay) = Log::open(rt.clone(), options.clone()).await.expect("the log opens");
    while replay.next().await.expect("the log is whole").is_some() {}
    println!("open of an empty directory: {:?}", rt.now().since(begun));
    warm_up(&log, 6 * options.segment_bytes).await;
    println!("warm: {:?}", log.stats());
    for writers in [1, 4, 16, 64, 256] {
        bench(&rt, &log, writers, Duration::from_secs_f64(seconds)).await;
    }
    log.close().await.expect("the log closes");
    drop((log, replay));
    for payload_bytes in [100, 1000] {
        let dir = options.dir.with_file_name(format!("replay-{payload_bytes}"));
        let options = LogOptions { dir, ..options.clone() };
        fill(&rt, options.clone(), payload_bytes).await;
        replay_alone(&rt, options.clone()).await;
        replay_into_tree(&rt, options).await;
    }
}

/// O_DSYNC writes of a block into a file that was written before, one after the other.
#[expect(
    clippy::disallowed_methods,
    reason = "what the log's figures are held against is not to go through the runtime"
)]
fn bare_writes(path: &Path, duration: Duration) {
    // Direct I/O takes whole blocks from aligned memory.
    let memory = vec![7; 2 * BLOCK_BYTES];
    let aligned = memory.as_ptr().align_offset(BLOCK_BYTES);
    let block = &memory[aligned..aligned + BLOCK_BYTES];
    std::fs::write(path, vec![1; BARE_BYTES]).expect("the file can be written");
    let flags = libc::O_DIRECT | libc::O_DSYNC;
    let file = std::fs::OpenOptions::new().write(true).custom_flags(flags).open(path).expect("it is there");
    file.sync_all().expect("the disk works");
    let (begun, mut times) = (std::time::Instant::now(), Vec::new());
    while begun.elapsed() < duration {
        let offset = times.len() * BLOCK_BYTES % BARE_BYTES;
        let sent = std::time::Instant::now();
        file.write_all_at(block, offset as u64).expect("the disk works");
        times.push(sent.elapsed().as_nanos() as u64);
    }
    println!("  bare O_DSYNC writes of {BLOCK_BYTES}: {}", described(&mut times, begun.elapsed()));
}

/// Figures of operations that took so many nanoseconds each.
fn described(times: &mut [u64], took: Duration) -> String {
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize] as f64 / 1000.0;
    format!(
        "{:>8.0}/s, p50 {:.0} µs, p99 {:.0} µs, p99.9 {:.0} µs, max {:.0} µs",
        times.len() as f64 / took.as_secs_f64(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    )
}

/// Writes until segments are recycled, so that nothing is prewritten any more.
async fn warm_up(log: &Log<RealRuntime>, bytes: u64) {
    let payload = vec![1; 100_000];
    let mut written = 0;
    while written < bytes {
        let record = Record { kind: 0, stream: 0, term: 0, index: 0, payload: &payload };
        let position = log.append_when_ready(record).await.expect("there is room");
        log.durable(position).await.expect("the disk works");
        log.release(|_| u64::MAX);
        written += payload.len() as u64;
    }
}

async fn bench(rt: &RealRuntime, log: &Log<RealRuntime>, writers: usize, duration: Duration) {
    let times = Rc::new(RefCell::new(Vec::with_capacity(1 << 20)));
    let (before, begun) = (log.stats(), rt.now());
    let end = begun.after(duration);
    let one = async |_| {
        let payload = [7; PAYLOAD_BYTES];
        let mut last = rt.now();
        while last < end {
            let record = Record { kind: 1, stream: 1, term: 1, index: 1, payload: &payload };
            let position = log.append_when_ready(record).await.expect("there is room");
            log.durable(position).await.expect("the disk works");
            let now = rt.now();
            times.borrow_mut().push(now.since(last).as_nanos() as u64);
            last = now;
            log.release(|_| u64::MAX);
        }
    };
    runtime::sync::join_all((0..writers).map(one)).await;
    let (after, took) = (log.stats(), rt.now().since(begun));
    println!(
        "{writers:>4} writers: {} durable appends, {:.1} records a write",
        described(&mut times.borrow_mut(), took),
        (after.records - before.records) as f64 / (after.writes - before.writes) as f64,
    );
}

/// A log with records of random-looking keys, all durable, none released, never closed.
async fn fill(rt: &RealRuntime, options: LogOptions, payload_bytes: usize) {
    let (log, mut replay) = Log::open(rt.clone(), options).await.expect("the log opens");
    while replay.next().await.expect("the log is whole").is_some() {}
    let mut payload = vec![7; payload_bytes];
    let mut last = None;
    for index in 1..=(REPLAY_BYTES / payload_bytes) as u64 {
        payload[..8].copy_from_slice(&index.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
        let record = Record { kind: 1, stream: 1, term: 1, index, payload: &payload };
        last = Some(log.append_when_ready(record).await.expect("there is room"));
    }
    log.durable(last.expect("there are records")).await.expect("the disk works");
}

async fn replay_alone(rt: &RealRuntime, options: LogOptions) {
    let begun = rt.now();
    let (_log, mut replay) = Log::open(rt.clone(), options).await.expect("the log opens");
    let (mut records, mut bytes) = (0_u64, 0);
    while let Some((_, record)) = replay.next().await.expect("the log is whole") {
        (records, bytes) = (records + 1, bytes + record.payload.len());
    }
    println!("replay alone: {}", rate(records, bytes, rt.now().since(begun)));
}

async fn replay_into_tree(rt: &RealRuntime, options: LogOptions) {
    let dir = options.dir.with_extension("tree");
    let tree = Tree::open(rt.clone(), TreeOptions::new(dir)).await.expect("the tree opens");
    let begun = rt.now();
    let (_log, mut replay) = Log::open(rt.clone(), options).await.expect("the log opens");
    let (mut batch, mut records, mut bytes) = (WriteBatch::new(), 0_u64, 0);
    while let Some((_, record)) = replay.next().await.expect("the log is whole") {
        tree.ready().await.expect("the tree takes more");
        batch.clear();
        batch.put(&record.payload[..24], &record.payload[24..]);
        tree.apply(&batch, Mark { stream: record.stream, index: record.index });
        (records, bytes) = (records + 1, bytes + record.payload.len());
    }
    println!("replay into a tree: {}", rate(records, bytes, rt.now().since(begun)));
}

fn rate(records: u64, bytes: usize, took: Duration) -> String {
    let megabytes = bytes as f64 / 1e6;
    format!("{records} records, {megabytes:.0} MB in {took:?}: {:.0} MB/s", megabytes / took.as_secs_f64())
}
