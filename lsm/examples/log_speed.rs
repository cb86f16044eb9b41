//! How many durable appends a second one core's log does, and how long each takes.
//!
//!     cargo run --release -p lsm --example log_speed -- [directory] [seconds]
//!
//! Sketch: an append costs well under a microsecond; a 4 KiB O_DSYNC write into prewritten blocks about 70 µs here.
//! One writer waits for one such write each time: about 14,000 a second. With 64 writers and 4 writes in flight a
//! write carries 16 records or so: an order of magnitude more, at two write times each. The log warms up first, so
//! that its segments are recycled ones, as in the long run.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use lsm::log::{Identity, Log, LogOptions, Record};
use runtime::Runtime;
use runtime::real::{RealOptions, RealRuntime, run};

const PAYLOAD_BYTES: usize = 128;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().unwrap_or_else(|| "target".to_owned())).join("log-speed");
    let seconds = arguments.next().map_or(3.0, |text| text.parse().expect("a number of seconds"));
    #[expect(clippy::disallowed_methods, reason = "before the runtime is there")]
    std::fs::create_dir_all(&dir).expect("the directory can be made");
    let cpu = core_affinity::get_core_ids().expect("the machine has cpus")[0].id;
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
    reopen(&rt, options).await;
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
    let mut times = times.borrow_mut();
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize] as f64 / 1000.0;
    println!(
        "{writers:>4} writers: {:>8.0} durable appends/s, p50 {:.0} µs, p99 {:.0} µs, p99.9 {:.0} µs, max {:.0} µs, {:.1} records a write",
        times.len() as f64 / took.as_secs_f64(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
        (after.records - before.records) as f64 / (after.writes - before.writes) as f64,
    );
}

async fn reopen(rt: &RealRuntime, options: LogOptions) {
    let begun = rt.now();
    let (_log, mut replay) = Log::open(rt.clone(), options).await.expect("the log opens");
    let mut records = 0_u64;
    while replay.next().await.expect("the log is whole").is_some() {
        records += 1;
    }
    println!("reopen with {records} records: {:?}", rt.now().since(begun));
}
