//! The log: what an append costs the core, and what durability costs the one who waits.
//!
//! Sketch, a record of 1 KiB. Append: one copy and one checksum at 10 GB/s, 200 to 300 ns. Durable, alone: one O_DSYNC
//! write of 4 KiB (70 µs on the virtual disk that this was written on) plus 5 µs. Durable, 64 at a time: writes of up
//! to 64 records, 4 in flight: 36,000 writes a second would carry more than 500,000 records, so the device's bandwidth
//! is the bound.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use lsm::log::{Identity, Log, LogOptions, Record};
use runtime::sync::join_all;
use runtime::{Class, Runtime};

use crate::core::{group, timed};

const PAYLOAD_BYTES: usize = 1024;

pub fn bench(criterion: &mut Criterion) {
    let mut group = group(criterion, "log/1 KiB");
    group.throughput(Throughput::Elements(1));
    group.bench_function("append", |bencher| bencher.iter_custom(|rounds| timed(rounds, append)));
    for writers in [1, 64] {
        group.bench_function(format!("append and durable, {writers} writers"), |bencher| {
            bencher.iter_custom(|rounds| {
                timed(rounds, async move |rt, dir, rounds| durable(rt, dir, rounds, writers).await)
            });
        });
    }
    group.finish();
}

async fn open<R: Runtime>(rt: &R, dir: PathBuf) -> Log<R> {
    let options = LogOptions::new(dir.join("log"), Identity { cluster: 1, node: 0, shard: 0 });
    let (log, mut replay) = Log::open(rt.clone(), options).await.expect("an empty directory");
    while replay.next().await.expect("an empty log").is_some() {}
    log
}

fn record(payload: &[u8], index: u64) -> Record<'_> {
    Record { kind: 1, stream: index % 16, term: 1, index, payload }
}

/// Only the appends are timed, in stretches that fit into the buffers; the device works in between.
async fn append<R: Runtime>(rt: R, dir: PathBuf, rounds: u64) -> Duration {
    const STRETCH: u64 = 1024;
    let log = open(&rt, dir).await;
    let payload = vec![0xA7; PAYLOAD_BYTES];
    let mut spent = Duration::ZERO;
    let mut index = 0;
    while index < rounds {
        let stretch = STRETCH.min(rounds - index);
        let began = rt.now();
        let mut last = None;
        for _ in 0..stretch {
            index += 1;
            last = Some(log.append(record(&payload, index)).expect("a stretch fits into the buffers"));
        }
        spent += rt.now().since(began);
        log.durable(last.expect("a stretch is not empty")).await.expect("a disk that works");
        log.release(|_| index);
    }
    log.close().await.expect("a disk that works");
    spent
}

/// `rounds` records, each waited for, by so many tasks at once.
async fn durable<R: Runtime>(rt: R, dir: PathBuf, rounds: u64, writers: u64) -> Duration {
    let log = open(&rt, dir).await;
    let next = Rc::new(Cell::new(0));
    let began = rt.now();
    let tasks = (0..writers).map(|_| {
        let (log, next) = (log.clone(), next.clone());
        rt.spawn(Class::Foreground, async move {
            let payload = vec![0xA7; PAYLOAD_BYTES];
            while next.get() < rounds {
                next.set(next.get() + 1);
                let index = next.get();
                let position =
                    log.append_when_ready(record(&payload, index)).await.expect("a disk that works");
                log.durable(position).await.expect("a disk that works");
                if index.is_multiple_of(4096) {
                    log.release(|_| index.saturating_sub(writers));
                }
            }
        })
    });
    let tasks: Vec<_> = tasks.collect();
    join_all(tasks).await;
    let spent = rt.now().since(began);
    log.close().await.expect("a disk that works");
    spent
}
