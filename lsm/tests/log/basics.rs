//! Small facts of the log's surface.

use std::time::Duration;

use lsm::Error;
use lsm::log::{LogOptions, Position};

use crate::world::{Bench, record, small};

#[test]
fn a_new_log_is_empty_and_takes_records() {
    let bench = Bench::new(1);
    let (log, records) = bench.open(&small()).unwrap();
    assert!(records.is_empty());
    let position = log.append(record(7, 1, b"hello")).unwrap();
    bench.world.block_on(log.durable(position)).unwrap();
    assert!(log.durable_position() >= position);
    bench.world.crash(bench.node);
    let (_, records) = bench.open(&small()).unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].0, position);
    assert_eq!((records[0].1.stream, records[0].1.index, &records[0].1.payload[..]), (7, 1, &b"hello"[..]));
}

#[test]
fn records_come_back_in_order_over_many_segments() {
    let bench = Bench::new(2);
    let (log, _) = bench.open(&small()).unwrap();
    let payload = vec![9; 3000];
    bench.world.block_on(async {
        for index in 1..=200 {
            log.append_when_ready(record(1, index, &payload)).await.unwrap();
        }
        log.close().await.unwrap();
    });
    assert!(log.stats().segments_live > 8, "{:?}", log.stats());
    drop(log);
    let (log, records) = bench.open(&small()).unwrap();
    assert_eq!(records.iter().map(|(_, r)| r.index).collect::<Vec<_>>(), (1..=200).collect::<Vec<_>>());
    assert!(records.is_sorted_by_key(|(position, _)| *position));
    assert!(log.durable_position() >= records[199].0);
}

#[test]
fn concurrent_appends_share_writes() {
    let bench = Bench::new(3);
    let (log, _) = bench.open(&small()).unwrap();
    bench.world.block_on(async {
        let one = async |index| {
            let position = log.append(record(1, index, &[1; 100])).unwrap();
            log.durable(position).await.unwrap();
        };
        runtime::sync::join_all((1..=64).map(one)).await;
    });
    let stats = log.stats();
    assert_eq!(stats.records, 64);
    assert!(stats.writes <= 4, "{stats:?}");
    assert_eq!((stats.buffered_bytes, stats.writes_in_flight), (0, 0));
}

#[test]
fn what_is_too_large_is_refused_and_nothing_is_spent() {
    let bench = Bench::new(4);
    let options = small();
    let (log, _) = bench.open(&options).unwrap();
    let payload = vec![0; options.record_bytes_max + 1];
    let refused = log.append(record(1, 1, &payload));
    assert!(matches!(refused, Err(Error::TooLarge { size: 10_001, size_max: 10_000 })), "{refused:?}");
    let position = log.append(record(1, 1, &payload[1..])).unwrap();
    bench.world.block_on(log.durable(position)).unwrap();
    assert_eq!(log.stats().records, 1);
}

#[test]
fn a_full_buffer_is_busy_until_the_device_catches_up() {
    let bench = Bench::new(5);
    let (log, _) = bench.open(&small()).unwrap();
    bench.world.run_for(Duration::from_millis(100));
    let payload = vec![0; 9000];
    let accepted = (1..100).take_while(|index| log.append(record(1, *index, &payload)).is_ok()).count();
    assert!((2..=8).contains(&accepted), "{accepted}");
    assert!(matches!(log.append(record(1, 100, &payload)), Err(Error::Busy)));
    bench.world.block_on(async {
        log.ready().await.unwrap();
        let position = log.append(record(1, 101, &payload)).unwrap();
        log.durable(position).await.unwrap();
    });
}

#[test]
fn the_budget_shrinks_with_what_is_appended_and_comes_back() {
    let bench = Bench::new(13);
    let (log, _) = bench.open(&small()).unwrap();
    bench.world.run_for(Duration::from_millis(100));
    let payload = vec![0; 3000];
    let whole = log.stats().budget_bytes;
    assert!(whole >= 32 << 10 && whole <= small().buffered_bytes_max, "{whole}");
    let mut before = whole;
    for index in 1.. {
        let fits = log.stats().budget_bytes >= 3048 + runtime::BLOCK_BYTES;
        let appended = log.append(record(1, index, &payload));
        assert!(appended.is_ok() || !fits, "what the budget says fits, fits: {:?}", log.stats());
        if appended.is_err() {
            break;
        }
        let now = log.stats().budget_bytes;
        assert!(now <= before && before - now <= 2 * runtime::BLOCK_BYTES, "{before}, then {now}");
        before = now;
    }
    bench.world.run_for(Duration::from_millis(100));
    assert!(log.stats().budget_bytes >= 32 << 10, "{:?}", log.stats());
}

#[test]
fn batches_that_lie_across_two_reads_come_back_whole() {
    let bench = Bench::new(14);
    let options = LogOptions {
        segment_bytes: 4 << 20,
        record_bytes_max: 300_000,
        batch_bytes: 300_000,
        buffered_bytes_max: 4 << 20,
        ahead_bytes: 2 << 20,
        ..small()
    };
    let (log, _) = bench.open(&options).unwrap();
    let payload = |index: u64| vec![index as u8; 200_000 + 1000 * index as usize];
    bench.world.block_on(async {
        for index in 1..=40 {
            log.append_when_ready(record(1, index, &payload(index))).await.unwrap();
        }
        log.close().await.unwrap();
    });
    drop(log);
    let (_, records) = bench.open(&options).unwrap();
    assert_eq!(records.len(), 40);
    for (index, (_, found)) in (1..).zip(&records) {
        assert!(found.index == index && found.payload == payload(index), "record {index}");
    }
}

#[test]
fn a_failed_write_fails_everybody_for_good() {
    let bench = Bench::new(6);
    let (log, _) = bench.open(&small()).unwrap();
    let first = log.append(record(1, 1, b"well")).unwrap();
    bench.world.block_on(log.durable(first)).unwrap();
    bench.world.disk(bench.node).change_faults(|faults| faults.write_error = runtime::sim::Chance::ALWAYS);
    bench.world.block_on(async {
        let wait = async |index| {
            let position = log.append(record(1, index, b"ill"))?;
            log.durable(position).await
        };
        for outcome in runtime::sync::join_all((2..20).map(wait)).await {
            assert!(matches!(outcome, Err(Error::Poisoned { .. })), "{outcome:?}");
        }
    });
    bench.world.disk(bench.node).change_faults(|faults| faults.write_error = runtime::sim::Chance::NEVER);
    let refused = log.append(record(1, 30, b"late")).unwrap_err();
    assert!(matches!(&refused, Error::Poisoned { why } if why.contains(".log at byte ")), "{refused}");
    assert!(matches!(bench.world.block_on(log.ready()), Err(Error::Poisoned { .. })));
    assert!(matches!(bench.world.block_on(log.close()), Err(Error::Poisoned { .. })));
    bench.world.block_on(log.durable(first)).expect("what was durable before stays so");
}

#[test]
fn a_closed_log_takes_nothing_more() {
    let bench = Bench::new(7);
    let (log, _) = bench.open(&small()).unwrap();
    log.append(record(1, 1, b"last")).unwrap();
    bench.world.block_on(log.close()).unwrap();
    assert!(matches!(log.append(record(1, 2, b"late")), Err(Error::Closed)));
    assert!(matches!(bench.world.block_on(log.ready()), Err(Error::Closed)));
    let (_, records) = bench.open(&small()).unwrap();
    assert_eq!(records.len(), 1);
}

#[test]
fn covered_segments_are_recycled_and_uncovered_ones_stay() {
    let bench = Bench::new(8);
    let (log, _) = bench.open(&small()).unwrap();
    let payload = vec![3; 5000];
    bench.world.block_on(async {
        log.append_when_ready(record(2, 1, b"of a slow stream")).await.unwrap();
        for index in 1..=1000 {
            let position = log.append_when_ready(record(1, index, &payload)).await.unwrap();
            log.durable(position).await.unwrap();
            log.release(|stream| if stream == 1 { index } else { u64::from(index > 300) });
            let used = bench.world.disk(bench.node).files().len();
            assert!(index != 300 || used > 40, "{used} files hold what the slow stream needs");
        }
    });
    bench.world.run_for(Duration::from_millis(100));
    let used = bench.world.disk(bench.node).files().len();
    assert!(used <= 2 + 1 + small().free_segments_max, "{used} files");
    assert!(log.stats().segments_live <= 2, "{:?}", log.stats());
}

#[test]
fn an_idle_log_vouches_for_its_last_batch_once() {
    let bench = Bench::new(9);
    let (log, _) = bench.open(&small()).unwrap();
    let position = log.append(record(1, 1, b"alone")).unwrap();
    bench.world.block_on(log.durable(position)).unwrap();
    let before = log.stats().writes;
    bench.world.run_for(small().idle * 3);
    assert_eq!(log.stats().writes, before + 1);
    bench.world.run_for(small().idle * 30);
    assert_eq!(log.stats().writes, before + 1, "silence costs nothing");
    assert!(log.durable_position() > position);
}

#[test]
fn the_log_of_another_shard_is_refused() {
    let bench = Bench::new(10);
    bench.open(&small()).unwrap();
    bench.world.crash(bench.node);
    let mut options = small();
    options.identity.shard += 1;
    let files = bench.files();
    let refused = bench.open(&options).map(|_| ()).unwrap_err();
    assert!(matches!(&refused, Error::Corrupt { what, .. } if what.contains("belongs to")), "{refused}");
    assert_eq!(bench.files(), files);
}

#[test]
fn positions_go_on_where_they_were() {
    let bench = Bench::new(11);
    let mut last = Position(0);
    for life in 1..10 {
        let (log, records) = bench.open(&small()).unwrap();
        assert_eq!(records.len() as u64, life - 1);
        let position = log.append(record(1, life, b"x")).unwrap();
        assert!(position > last);
        bench.world.block_on(log.durable(position)).unwrap();
        last = position;
        bench.world.crash(bench.node);
    }
}

/// A log of format version 1, made from FORMAT.md by a program of its own: every later version must open it.
#[test]
fn an_old_log_still_opens() {
    let bench = Bench::new(12);
    let mut file = vec![0; 64 << 10];
    for (offset, hex) in [(0, OLD_SEGMENT), (4096, OLD_BATCH), (8192, OLD_SECOND_BATCH)] {
        for (at, pair) in hex.as_bytes().chunks(2).enumerate() {
            file[offset + at] = u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        }
    }
    bench.world.disk(bench.node).write_file("/log/0000000000000001-0000000000000000.log", &file);
    let (log, records) = bench.open(&small()).unwrap();
    let read: Vec<_> =
        records.iter().map(|(_, r)| (r.kind, r.stream, r.term, r.index, &r.payload[..])).collect();
    assert_eq!(read, [(1, 5, 1, 1, &b"first"[..]), (2, 6, 1, 1, b""), (1, 5, 2, 2, b"second")]);
    assert_eq!(records.iter().map(|(position, _)| position.0).collect::<Vec<_>>(), [109, 152, 4206]);
    assert_eq!(log.durable_position(), Position(8192));
}

const OLD_SEGMENT: &str = concat!(
    "746f7263206c6f670100000072247753c100000000000000000000000000000002000300010000000100000000000000",
    "0e0000000000000000000100000000000000000000000000000000000000000000000000000000000000000000000000",
    "010000000000000000000000000000000000000000000000",
);
const OLD_BATCH: &str = concat!(
    "746c623194ae0dfc98000000020000000100000000000000000000000000000001000000000000000e00000000000000",
    "000000000000000000000000ad6b3e69a1a1384005000000010000000000000005000000000000000100000000000000",
    "01000000000000006669727374000000aae3cfa900000000020000000000000006000000000000000100000000000000",
    "0100000000000000",
);
const OLD_SECOND_BATCH: &str = concat!(
    "746c6231ef9d72c670000000010000000200000000000000001000000000000001000000000000000e00000000000000",
    "010000000000000094ae0dfc17be2e16094f917206000000010000000000000005000000000000000200000000000000",
    "02000000000000007365636f6e640000",
);
