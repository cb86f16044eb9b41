//! The same log on a real disk, through io_uring.

use std::path::{Path, PathBuf};

use lsm::log::{Log, LogOptions};
use runtime::Runtime;
use runtime::real::{RealOptions, RealRuntime, run};

use crate::world::{IDENTITY, record};

/// A directory beside the test binary that goes when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::current_exe().unwrap().with_file_name(format!("{name}-{}", std::process::id()));
        #[expect(clippy::disallowed_methods, reason = "a test's own directory")]
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn options(dir: &Path) -> LogOptions {
    LogOptions {
        segment_bytes: 1 << 20,
        record_bytes_max: 100_000,
        ahead_bytes: 512 << 10,
        ..LogOptions::new(dir.join("log"), IDENTITY)
    }
}

const WRITERS: u64 = 16;
const RECORDS: u64 = 200;

/// The payload of a record: a size and bytes of its own.
fn payload(stream: u64, index: u64) -> Vec<u8> {
    let size = if index.is_multiple_of(50) { 90_000 } else { (index * 37 % 900) as usize };
    vec![(stream * 31 + index) as u8; size]
}

async fn write(log: &Log<RealRuntime>, stream: u64) {
    for index in 1..=RECORDS {
        let payload = payload(stream, index);
        let position = log.append_when_ready(record(stream, index, &payload)).await.unwrap();
        log.durable(position).await.unwrap();
    }
}

/// All records of all writers are there, each writer's in order, beginning no later than at `from`.
async fn check(rt: &RealRuntime, options: &LogOptions, from: u64) -> Log<RealRuntime> {
    let (log, mut replay) = Log::open(rt.clone(), options.clone()).await.unwrap();
    let mut next = [0; WRITERS as usize];
    while let Some((_, found)) = replay.next().await.unwrap() {
        let expected = &mut next[found.stream as usize];
        assert!(*expected == found.index || (*expected == 0 && found.index <= from), "{found:?}");
        assert_eq!(found.payload, payload(found.stream, found.index));
        *expected = found.index + 1;
    }
    assert_eq!(next, [RECORDS + 1; WRITERS as usize]);
    log
}

#[test]
fn records_survive_on_a_real_disk() {
    let scratch = Scratch::new("log-real");
    let options = options(&scratch.0);
    let cpu = core_affinity::get_core_ids().unwrap()[0].id;
    run(RealOptions::new(vec![cpu], &scratch.0), move |rt| {
        let options = options.clone();
        async move {
            let (log, mut replay) = Log::open(rt.clone(), options.clone()).await.unwrap();
            assert_eq!(replay.next().await.unwrap(), None);
            runtime::sync::join_all((0..WRITERS).map(|stream| write(&log, stream))).await;
            let stats = log.stats();
            assert_eq!(stats.records, WRITERS * RECORDS);
            assert!(stats.writes < stats.records, "concurrent writers share writes: {stats:?}");
            log.close().await.unwrap();
            drop((log, replay));
            // All there; then half of it is released and its segments are written again.
            let log = check(&rt, &options, 1).await;
            let before = rt.list(&options.dir).await.unwrap().len();
            log.release(|_| RECORDS / 2);
            assert!(log.stats().segments_free > 2, "{:?}", log.stats());
            log.close().await.unwrap();
            drop(log);
            let log = check(&rt, &options, RECORDS / 2 + 1).await;
            assert!(rt.list(&options.dir).await.unwrap().len() <= before + 2);
            log.close().await.unwrap();
        }
    })
    .unwrap();
}
