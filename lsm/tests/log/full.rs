//! A disk that fills up: refused at the door, nothing accepted is lost, and writing goes on when there is room
//! (bug pattern 17).

use std::time::Duration;

use lsm::Error;
use lsm::log::{Log, LogOptions};
use runtime::sim::SimRuntime;

use crate::world::{Bench, record, small};

/// Appends until the log says that it is full; what it accepted is durable. Returns the last index.
async fn fill(log: &Log<SimRuntime>, from: u64) -> u64 {
    for index in from.. {
        match log.append_when_ready(record(1, index, &[5; 3000])).await {
            Ok(position) => log.durable(position).await.expect("what was accepted becomes durable"),
            Err(Error::Full { .. }) => return index - 1,
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!("the disk has an end")
}

fn indexes(bench: &Bench, options: &LogOptions) -> Vec<u64> {
    let (_, records) = bench.open(options).unwrap();
    records.iter().map(|(_, record)| record.index).collect()
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_segments_are_released() {
    let bench = Bench::new(1);
    bench.world.disk(bench.node).change_faults(|faults| faults.bytes_max = 300 << 10);
    let (log, _) = bench.open(&small()).unwrap();
    let last = bench.world.block_on(fill(&log, 1));
    assert!(last > 20, "{last} records in 300 KiB");
    let small_one = log.append(record(1, last + 1, b"fits into what is left, or does not"));
    assert!(matches!(small_one, Ok(_) | Err(Error::Full { .. })), "{small_one:?}");
    let last = if small_one.is_ok() { last + 1 } else { last };
    log.release(|_| last / 2);
    let next = bench.world.block_on(async {
        let next = loop {
            match log.append_when_ready(record(1, last + 1, b"again")).await {
                Err(Error::Full { .. }) => a_moment(&bench).await,
                other => break other.unwrap(),
            }
        };
        log.durable(next).await.unwrap();
        next
    });
    assert!(log.durable_position() >= next);
    bench.world.crash(bench.node);
    let left = indexes(&bench, &small());
    assert_eq!(left.last(), Some(&(last + 1)));
    assert!(left[0] <= last / 2 + 1 && left.is_sorted_by(|a, b| a + 1 == *b), "{left:?}");
}

async fn a_moment(bench: &Bench) {
    bench.world.sleep(Duration::from_millis(5)).await;
}

#[test]
fn a_full_disk_goes_on_by_itself_when_others_free_space() {
    let bench = Bench::new(2);
    let disk = bench.world.disk(bench.node);
    disk.change_faults(|faults| faults.bytes_max = 200 << 10);
    let (log, _) = bench.open(&small()).unwrap();
    let last = bench.world.block_on(fill(&log, 1));
    disk.change_faults(|faults| faults.bytes_max = 400 << 10);
    bench.world.run_for(Duration::from_secs(2));
    let more = bench.world.block_on(fill(&log, last + 1));
    assert!(more > last + 20, "{last}, then {more}");
    bench.world.crash(bench.node);
    assert_eq!(indexes(&bench, &small()), (1..=more).collect::<Vec<_>>());
}

#[test]
fn a_crash_on_a_full_disk_loses_nothing_and_the_log_opens_there() {
    for seed in 0..50 {
        let bench = Bench::new(seed);
        let disk = bench.world.disk(bench.node);
        disk.change_faults(|faults| faults.bytes_max = (250 << 10) + (seed << 12));
        let (log, _) = bench.open(&small()).unwrap();
        let last = bench.world.block_on(fill(&log, 1));
        bench.world.crash(bench.node);
        assert_eq!(indexes(&bench, &small()), (1..=last).collect::<Vec<_>>(), "seed {seed}");
    }
}

/// A log of `last` records on a disk that has no room for another segment, its reserve gone: as after a stop at which
/// the reserve's name was lost, or when others took what was free.
fn stopped_without_reserve(bench: &Bench) -> u64 {
    let disk = bench.world.disk(bench.node);
    disk.change_faults(|faults| faults.bytes_max = 300 << 10);
    let (log, _) = bench.open(&small()).unwrap();
    let last = bench.world.block_on(fill(&log, 1));
    bench.world.crash(bench.node);
    drop(log);
    // Every file that was never activated: its first bytes are zeros, or it has none.
    for (path, _) in disk.files() {
        if disk.read_file(&path).unwrap().get(..8) != Some(b"torc log") {
            disk.remove_file(&path);
        }
    }
    let used = disk.bytes_used();
    disk.change_faults(|faults| faults.bytes_max = used);
    last
}

#[test]
fn a_restart_on_a_disk_that_stays_full_can_be_read_and_goes_on_when_segments_are_released() {
    let bench = Bench::new(4);
    let last = stopped_without_reserve(&bench);
    let (log, records) = bench.open(&small()).unwrap();
    assert_eq!(records.len() as u64, last, "all there to be read");
    assert!(matches!(log.append(record(1, last + 1, b"no")), Err(Error::Full { .. })));
    assert!(matches!(bench.world.block_on(log.ready()), Err(Error::Full { .. })));
    bench.world.run_for(Duration::from_secs(3));
    assert!(matches!(log.append(record(1, last + 1, b"no")), Err(Error::Full { .. })), "still");
    assert_eq!((log.stats().full, log.stats().budget_bytes), (true, 0));
    assert!(log.durable_position() >= records[records.len() - 1].0);
    log.release(|_| last / 2);
    bench.world.run_for(Duration::from_secs(3));
    let position = log.append(record(1, last + 1, b"yes")).unwrap();
    bench.world.block_on(log.durable(position)).unwrap();
    bench.world.crash(bench.node);
    let left = indexes(&bench, &small());
    assert_eq!(left.last(), Some(&(last + 1)));
    assert!(left[0] <= last / 2 + 1 && left.is_sorted_by(|a, b| a + 1 == *b), "{left:?}");
}

#[test]
fn a_restart_on_a_full_disk_goes_on_by_itself_when_others_free_space() {
    let bench = Bench::new(5);
    let last = stopped_without_reserve(&bench);
    let (log, _) = bench.open(&small()).unwrap();
    assert!(matches!(log.append(record(1, last + 1, b"no")), Err(Error::Full { .. })));
    bench.world.disk(bench.node).change_faults(|faults| faults.bytes_max = 600 << 10);
    bench.world.run_for(Duration::from_secs(3));
    assert!(!log.stats().full && log.stats().budget_bytes > 0, "{:?}", log.stats());
    let more = bench.world.block_on(fill(&log, last + 1));
    assert!(more > last + 20, "{last}, then {more}");
    bench.world.crash(bench.node);
    assert_eq!(indexes(&bench, &small()), (1..=more).collect::<Vec<_>>());
}

#[test]
fn a_log_that_never_became_writable_closes_and_opens_again() {
    let bench = Bench::new(6);
    let last = stopped_without_reserve(&bench);
    for _ in 0..3 {
        let (log, records) = bench.open(&small()).unwrap();
        assert_eq!(records.len() as u64, last);
        bench.world.run_for(Duration::from_secs(1));
        bench.world.block_on(log.close()).unwrap();
    }
}

#[test]
fn the_bound_on_segments_is_a_full_disk_too() {
    let bench = Bench::new(3);
    let options = LogOptions { segments_max: 4, ..small() };
    let (log, _) = bench.open(&options).unwrap();
    let last = bench.world.block_on(fill(&log, 1));
    assert_eq!(bench.world.disk(bench.node).files().len(), 4);
    log.release(|_| last);
    bench.world.run_for(Duration::from_millis(100));
    let more = bench.world.block_on(fill(&log, last + 1));
    assert!(more > last + 20, "{last}, then {more}");
    assert_eq!(bench.world.disk(bench.node).files().len(), 4);
}
