//! What a disk forgets, and what it does not.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use crate::sim::{Chance, DiskFaults, SimFile, SimRuntime, World, WorldOptions};
use crate::{BLOCK_BYTES, Buffer, Class, File, OpenOptions, Runtime, Task};

const FILE: &str = "/data/file";

fn world(seed: u64) -> World {
    World::new(seed, WorldOptions::default())
}

fn filled(file: &SimFile, blocks: usize, byte: u8) -> Rc<<SimFile as File>::Buffer> {
    let mut buffer = file.buffer(blocks * BLOCK_BYTES);
    buffer.as_mut_slice().fill(byte);
    Rc::new(buffer)
}

async fn put(file: &SimFile, block: usize, byte: u8) -> std::io::Result<()> {
    file.write_at(filled(file, 1, byte), (block * BLOCK_BYTES) as u64).await
}

#[test]
fn a_write_takes_the_size_that_its_buffer_has_now() {
    let world = world(1);
    let runtime = world.runtime(world.node("n"));
    world.block_on(async {
        let file = prepared(&runtime, WRITE).await;
        let mut buffer = filled(&file, 2, 9);
        Rc::get_mut(&mut buffer).unwrap().set_size(BLOCK_BYTES);
        file.write_at(buffer.clone(), 0).await.unwrap();
        let bytes = file.read_at(0, 2 * BLOCK_BYTES).await.unwrap();
        assert_eq!((bytes[0], bytes[BLOCK_BYTES - 1], bytes[BLOCK_BYTES]), (9, 9, 1));
        Rc::get_mut(&mut buffer).unwrap().set_size(2 * BLOCK_BYTES);
        file.write_at(buffer, 0).await.unwrap();
        assert_eq!(file.read_at(0, 2 * BLOCK_BYTES).await.unwrap()[BLOCK_BYTES], 9);
    });
}

/// A file of two blocks of `1`, durable with its name.
async fn prepared(runtime: &SimRuntime, options: OpenOptions) -> SimFile {
    runtime.create_dir("/data".as_ref()).await.unwrap();
    let file = runtime.open(FILE.as_ref(), OpenOptions::CREATE).await.unwrap();
    file.write_at(filled(&file, 2, 1), 0).await.unwrap();
    file.sync().await.unwrap();
    runtime.sync_dir("/data".as_ref()).await.unwrap();
    runtime.sync_dir("/".as_ref()).await.unwrap();
    runtime.open(FILE.as_ref(), options).await.unwrap()
}

const WRITE: OpenOptions = OpenOptions { write: true, create_new: false, dsync: false };

/// What is in the file after a crash that comes after `work`, by seed.
fn after_crash(
    options: OpenOptions,
    work: impl AsyncFn(SimRuntime, SimFile),
    faults: DiskFaults,
) -> Vec<Option<Vec<u8>>> {
    let mut outcomes = Vec::new();
    for seed in 0..200 {
        let world = world(seed);
        let node = world.node("n");
        let runtime = world.runtime(node);
        let file = world.block_on(prepared(&runtime, options));
        world.disk(node).set_faults(faults.clone());
        world.block_on(work(runtime.clone(), file));
        world.crash(node);
        outcomes.push(world.disk(node).read_file(FILE));
    }
    outcomes
}

fn count<T>(outcomes: &[T], is: impl Fn(&T) -> bool) -> usize {
    outcomes.iter().filter(|outcome| is(outcome)).count()
}

fn first_block(outcome: &Option<Vec<u8>>) -> &[u8] {
    &outcome.as_ref().expect("its name was synced")[..BLOCK_BYTES]
}

#[test]
fn unsynced_writes_are_lost_kept_or_torn() {
    let outcomes = after_crash(WRITE, async |_, file| put(&file, 0, 2).await.unwrap(), DiskFaults::default());
    let new = count(&outcomes, |outcome| first_block(outcome).iter().all(|byte| *byte == 2));
    let old = count(&outcomes, |outcome| first_block(outcome).iter().all(|byte| *byte == 1));
    let torn = outcomes.len() - new - old;
    assert!(new > 30 && old > 30 && torn > 30, "{new} new, {old} old, {torn} torn");
    for outcome in &outcomes {
        for sector in first_block(outcome).chunks(512) {
            assert!(sector.iter().all(|byte| *byte == sector[0]), "sectors are whole");
        }
        assert_eq!(outcome.as_ref().unwrap()[BLOCK_BYTES..], [1; BLOCK_BYTES]);
    }
}

#[test]
fn synced_and_dsync_writes_stay() {
    let synced = after_crash(
        WRITE,
        async |_, file| {
            put(&file, 0, 2).await.unwrap();
            file.sync().await.unwrap();
        },
        DiskFaults::default(),
    );
    let dsync = after_crash(
        OpenOptions::WRITE_DSYNC,
        async |_, file| put(&file, 0, 2).await.unwrap(),
        DiskFaults::default(),
    );
    for outcome in synced.iter().chain(&dsync) {
        assert_eq!(first_block(outcome), [2; BLOCK_BYTES]);
    }
}

#[test]
fn a_dsync_write_in_flight_may_be_lost_kept_or_torn() {
    let outcomes = after_crash(
        OpenOptions::WRITE_DSYNC,
        async |runtime, file| {
            let write = runtime.spawn(Class::Foreground, async move { put(&file, 0, 2).await });
            runtime.yield_now().await;
            runtime.yield_now().await;
            runtime.sleep(Duration::from_micros(1)).await;
            write.detach();
        },
        DiskFaults::default(),
    );
    let new = count(&outcomes, |outcome| first_block(outcome) == [2; BLOCK_BYTES]);
    let old = count(&outcomes, |outcome| first_block(outcome) == [1; BLOCK_BYTES]);
    let torn = outcomes.len() - new - old;
    assert!(new > 30 && old > 30 && torn > 30, "{new} new, {old} old, {torn} torn");
}

#[test]
fn dropping_a_write_leaves_its_outcome_open() {
    let (mut done, mut not) = (0, 0);
    for seed in 0..100 {
        let world = world(seed);
        let node = world.node("n");
        let runtime = world.runtime(node);
        let file = world.block_on(prepared(&runtime, OpenOptions::WRITE_DSYNC));
        assert!(world.block_on_steps(1, put(&file, 0, 2)).is_none());
        world.run_for(Duration::from_micros(40));
        match world.disk(node).read_file(FILE).unwrap()[0] {
            2 => done += 1,
            _ => not += 1,
        }
        world.run_for(Duration::from_secs(1));
        assert_eq!(world.disk(node).read_file(FILE).unwrap()[0], 2, "the device was not told to stop");
    }
    assert!(done > 10 && not > 10, "{done} done, {not} not");
}

#[test]
fn a_newer_durable_block_is_not_replaced_by_an_older_unsynced_one() {
    let outcomes = after_crash(
        WRITE,
        async |runtime, file| {
            put(&file, 0, 2).await.unwrap();
            let dsync = runtime.open(FILE.as_ref(), OpenOptions::WRITE_DSYNC).await.unwrap();
            put(&dsync, 0, 3).await.unwrap();
        },
        DiskFaults::default(),
    );
    assert!(outcomes.iter().all(|outcome| first_block(outcome) == [3; BLOCK_BYTES]));
}

#[test]
fn a_sync_covers_only_what_was_complete_when_it_began() {
    let outcomes = after_crash(
        WRITE,
        async |runtime, file| {
            let sync = file.clone();
            let sync = runtime.spawn(Class::Foreground, async move { sync.sync().await });
            runtime.yield_now().await;
            put(&file, 0, 2).await.unwrap();
            sync.await.unwrap();
        },
        DiskFaults { write: crate::sim::Span::micros(1, 1), ..DiskFaults::default() },
    );
    assert!(count(&outcomes, |outcome| first_block(outcome) != [2; BLOCK_BYTES]) > 50);
}

#[test]
fn names_are_pending_until_their_directory_is_synced() {
    let (mut at, mut kept_old, mut kept_new, mut vanished) = ([0; 2], 0, 0, 0);
    for seed in 0..200 {
        for synced in [false, true] {
            let world = world(seed);
            let node = world.node("n");
            let runtime = world.runtime(node);
            world.block_on(async {
                prepared(&runtime, WRITE).await;
                let new = runtime.open("/data/new".as_ref(), OpenOptions::CREATE).await.unwrap();
                put(&new, 0, 2).await.unwrap();
                new.sync().await.unwrap();
                runtime.rename("/data/new".as_ref(), FILE.as_ref()).await.unwrap();
                if synced {
                    runtime.sync_dir("/data".as_ref()).await.unwrap();
                }
            });
            world.crash(node);
            let names: Vec<_> = world.disk(node).files().into_iter().map(|(path, _)| path).collect();
            let byte = world.disk(node).read_file(FILE).expect("one of the two is there")[0];
            if synced {
                assert_eq!((names, byte), (vec![FILE.into()], 2));
                continue;
            }
            at[usize::from(byte == 2)] += 1;
            kept_old += usize::from(byte == 1 && names.len() == 2);
            kept_new += usize::from(byte == 2 && names.len() == 1);
            vanished += usize::from(byte == 1 && names.len() == 1);
        }
    }
    assert!(at[0] > 20 && at[1] > 20, "{at:?}");
    assert!(kept_old > 10 && kept_new > 10 && vanished > 10);
}

#[test]
fn a_new_directory_vanishes_with_everything_in_it_unless_its_parent_is_synced() {
    let mut found = 0;
    for seed in 0..100 {
        let world = world(seed);
        let node = world.node("n");
        let runtime = world.runtime(node);
        world.block_on(async {
            runtime.create_dir("/a/b".as_ref()).await.unwrap();
            runtime.create_dir("/a/b".as_ref()).await.unwrap();
            let file = runtime.open("/a/b/c".as_ref(), OpenOptions::CREATE_DSYNC).await.unwrap();
            put(&file, 0, 1).await.unwrap();
            runtime.sync_dir("/a/b".as_ref()).await.unwrap();
            runtime.sync_dir("/a".as_ref()).await.unwrap();
        });
        world.crash(node);
        found += world.disk(node).files().len();
    }
    assert!((20..80).contains(&found), "{found}");
}

#[test]
fn a_move_between_directories_is_two_changes() {
    let mut seen = [0; 3];
    for seed in 0..200 {
        let world = world(seed);
        let node = world.node("n");
        world.disk(node).write_file("/a/file", &[1; 10]);
        world.disk(node).write_file("/b/other", &[2; 10]);
        let runtime = world.runtime(node);
        world.block_on(runtime.rename("/a/file".as_ref(), "/b/file".as_ref())).unwrap();
        world.crash(node);
        seen[world.disk(node).files().len() - 1] += 1;
    }
    assert!(seen.iter().all(|times| *times > 10), "{seen:?}");
}

#[test]
fn sizes_and_allocation_are_pending_too() {
    let outcomes = after_crash(
        WRITE,
        async |_, file| file.allocate(4 * BLOCK_BYTES as u64).await.unwrap(),
        DiskFaults::default(),
    );
    let grown = count(&outcomes, |outcome| outcome.as_ref().unwrap().len() == 4 * BLOCK_BYTES);
    assert!((60..140).contains(&grown), "{grown}");
    let dsync = after_crash(
        OpenOptions::WRITE_DSYNC,
        async |_, file| {
            file.allocate(4 * BLOCK_BYTES as u64).await.unwrap();
            put(&file, 1, 5).await.unwrap();
        },
        DiskFaults::default(),
    );
    for outcome in &dsync {
        assert_eq!(outcome.as_ref().unwrap().len(), 4 * BLOCK_BYTES);
        assert_eq!(outcome.as_ref().unwrap()[2 * BLOCK_BYTES..], [0; 2 * BLOCK_BYTES]);
    }
}

#[test]
fn truncate_cuts_and_zeros() {
    let world = world(1);
    let node = world.node("n");
    let runtime = world.runtime(node);
    world.block_on(async {
        let file = prepared(&runtime, WRITE).await;
        file.truncate(100).await.unwrap();
        assert_eq!(file.size().await.unwrap(), 100);
        assert_eq!(file.read_at(0, BLOCK_BYTES).await.unwrap().len(), 100);
        file.truncate(2 * BLOCK_BYTES as u64).await.unwrap();
        let bytes = file.read_at(0, 4 * BLOCK_BYTES).await.unwrap();
        assert_eq!((&bytes[..100], &bytes[100..]), (&[1; 100][..], &[0; 2 * BLOCK_BYTES - 100][..]));
        assert!(file.read_at(8 * BLOCK_BYTES as u64, BLOCK_BYTES).await.unwrap().is_empty());
    });
}

#[test]
#[should_panic(expected = "offset 512 is not a multiple of 4096")]
fn unaligned_offsets_are_refused() {
    let world = world(1);
    let node = world.node("n");
    let runtime = world.runtime(node);
    world.block_on(async {
        let file = prepared(&runtime, WRITE).await;
        _ = file.read_at(512, BLOCK_BYTES).await;
    });
}

#[test]
#[should_panic(expected = "buffer of 100 is not a multiple of 4096")]
fn unaligned_buffers_are_refused() {
    let world = world(1);
    let node = world.node("n");
    let runtime = world.runtime(node);
    let file = world.block_on(prepared(&runtime, WRITE));
    file.buffer(100);
}

#[test]
fn errors_are_those_of_the_system() {
    let world = world(1);
    let node = world.node("n");
    let runtime = world.runtime(node);
    world.block_on(async {
        let file = prepared(&runtime, OpenOptions::READ).await;
        assert_eq!(put(&file, 0, 1).await.unwrap_err().raw_os_error(), Some(libc::EBADF));
        let again = runtime.open(FILE.as_ref(), OpenOptions::CREATE).await;
        assert_eq!(again.err().unwrap().kind(), ErrorKind::AlreadyExists);
        let missing = runtime.open("/data/nothing".as_ref(), OpenOptions::READ).await;
        assert_eq!(missing.err().unwrap().kind(), ErrorKind::NotFound);
        let through_file = runtime.open("/data/file/x".as_ref(), OpenOptions::CREATE).await;
        assert_eq!(through_file.err().unwrap().kind(), ErrorKind::NotADirectory);
        assert_eq!(runtime.remove("/data".as_ref()).await.unwrap_err().kind(), ErrorKind::IsADirectory);
        assert_eq!(runtime.remove("/none".as_ref()).await.unwrap_err().kind(), ErrorKind::NotFound);
        let entries = runtime.list("/data".as_ref()).await.unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].name.as_str(), entries[0].is_dir, entries[0].size), ("file", false, 8192));
    });
}

#[test]
fn a_full_disk_says_so_and_has_room_again_when_files_go() {
    let world = world(1);
    let node = world.node("n");
    let runtime = world.runtime(node);
    world.block_on(async {
        let file = prepared(&runtime, WRITE).await;
        let disk = world.disk(node);
        assert_eq!(disk.bytes_used(), 2 * BLOCK_BYTES as u64);
        disk.change_faults(|faults| faults.bytes_max = 4 * BLOCK_BYTES as u64);
        assert_eq!(runtime.disk_free("/data".as_ref()).unwrap(), 2 * BLOCK_BYTES as u64);
        assert_eq!(file.allocate(5 * BLOCK_BYTES as u64).await.unwrap_err().kind(), ErrorKind::StorageFull);
        file.allocate(4 * BLOCK_BYTES as u64).await.unwrap();
        put(&file, 3, 1).await.unwrap();
        assert_eq!(put(&file, 4, 1).await.unwrap_err().kind(), ErrorKind::StorageFull);
        runtime.remove(FILE.as_ref()).await.unwrap();
        assert_eq!(disk.bytes_used(), 4 * BLOCK_BYTES as u64, "an open file keeps its room");
        drop(file);
        assert_eq!(disk.bytes_used(), 0);
    });
    world.crash(node);
    let comes_back = world.disk(node).read_file(FILE).is_some();
    assert_eq!(world.disk(node).bytes_used() > 0, comes_back);
}

/// Writes eight blocks with `faults` and tells which are as written, or the error.
fn eight(seed: u64, faults: impl Fn(&mut DiskFaults)) -> Vec<Result<bool, ErrorKind>> {
    let world = world(seed);
    let node = world.node("n");
    let runtime = world.runtime(node);
    world.block_on(async {
        let file = prepared(&runtime, OpenOptions::WRITE_DSYNC).await;
        file.allocate(8 * BLOCK_BYTES as u64).await.unwrap();
        world.disk(node).change_faults(&faults);
        let written = RefCell::new(Vec::new());
        for block in 0..8 {
            let done = put(&file, block, 10 + block as u8).await;
            written.borrow_mut().push(done.map_err(|error| error.kind()));
        }
        let mut seen = Vec::new();
        for (block, written) in written.take().into_iter().enumerate() {
            let read = file.read_at((block * BLOCK_BYTES) as u64, BLOCK_BYTES).await;
            let read = read.map_err(|error| error.kind());
            seen.push(written.and(read).map(|bytes| bytes.iter().all(|byte| *byte == 10 + block as u8)));
        }
        seen
    })
}

fn total(faults: impl Fn(&mut DiskFaults), is: impl Fn(&Result<bool, ErrorKind>) -> bool) -> usize {
    (0..50).map(|seed| count(&eight(seed, &faults), &is)).sum()
}

#[test]
fn each_fault_happens_when_it_is_switched_on() {
    let often = Chance::percent(25);
    let wrong = |outcome: &Result<bool, ErrorKind>| *outcome == Ok(false);
    let failed = |outcome: &Result<bool, ErrorKind>| outcome.is_err();
    let fine = |outcome: &Result<bool, ErrorKind>| *outcome == Ok(true);
    assert_eq!(total(|_| (), fine), 400);
    let in_part = |times: usize| assert!((40..240).contains(&times), "{times} of 400");
    in_part(total(|faults| faults.lost_write = often, wrong));
    in_part(total(|faults| faults.misdirected_write = often, wrong));
    in_part(total(|faults| faults.rot_on_read = often, wrong));
    in_part(total(|faults| faults.rot_at_rest = often, wrong));
    in_part(total(|faults| faults.read_error = often, failed));
    in_part(total(|faults| faults.write_error = often, failed));
    in_part(total(|faults| faults.short_write = often, |outcome| *outcome == Err(ErrorKind::WriteZero)));
}

#[test]
fn a_failed_sync_promises_nothing_ever_after() {
    let outcomes = after_crash(
        WRITE,
        async |_, file| {
            put(&file, 0, 2).await.unwrap();
            let failed = file.sync().await.unwrap_err();
            assert_eq!(failed.raw_os_error(), Some(libc::EIO));
        },
        DiskFaults { sync_error: Chance::ALWAYS, ..DiskFaults::default() },
    );
    let there = count(&outcomes, |outcome| first_block(outcome) == [2; BLOCK_BYTES]);
    assert!((30..120).contains(&there), "{there}");
}

#[test]
fn an_unreadable_block_stays_so_until_it_is_written() {
    let world = world(1);
    let node = world.node("n");
    let runtime = world.runtime(node);
    world.block_on(async {
        let file = prepared(&runtime, WRITE).await;
        world.disk(node).break_region(FILE, 0..1);
        for _ in 0..2 {
            let failed = file.read_at(0, 2 * BLOCK_BYTES).await.err().unwrap();
            assert_eq!(failed.raw_os_error(), Some(libc::EIO));
        }
        assert!(file.read_at(BLOCK_BYTES as u64, BLOCK_BYTES).await.is_ok());
        put(&file, 0, 4).await.unwrap();
        assert_eq!(file.read_at(0, BLOCK_BYTES).await.unwrap()[0], 4);
    });
}

#[test]
fn a_test_looks_at_and_damages_files() {
    let world = world(1);
    let node = world.node("n");
    let disk = world.disk(node);
    disk.write_file("/deep/down/file", &[7; 5000]);
    assert_eq!(disk.files(), [(Path::new("/deep/down/file").to_owned(), 5000)]);
    disk.flip_bit("/deep/down/file", 4500, 0);
    disk.overwrite("/deep/down/file", 10, &[1, 2]);
    disk.resize("/deep/down/file", 4800);
    world.runtime(node);
    world.crash(node);
    let bytes = disk.read_durable("/deep/down/file").unwrap();
    assert_eq!((bytes.len(), &bytes[9..13], bytes[4500]), (4800, &[7, 1, 2, 7][..], 6));
    disk.remove_file("/deep/down/file");
    assert_eq!((disk.files(), disk.bytes_used()), (vec![], 0));
    disk.write_file("/again", &[1]);
    disk.wipe();
    assert_eq!((disk.read_file("/again"), disk.bytes_used()), (None, 0));
}

#[test]
fn a_slow_disk_is_slow() {
    let world = world(1);
    let node = world.node("n");
    let runtime = world.runtime(node);
    world.block_on(async {
        let file = prepared(&runtime, WRITE).await;
        world.disk(node).change_faults(|faults| {
            faults.stall = Chance::ALWAYS;
            faults.stall_time = crate::sim::Span::millis(500, 500);
        });
        let begin = runtime.now();
        put(&file, 0, 1).await.unwrap();
        assert!(runtime.now().since(begin) >= Duration::from_millis(500));
    });
}

#[test]
fn files_that_are_replaced_again_and_again_leave_nothing_behind() {
    let world = world(8);
    let node = world.node("n");
    let runtime = world.runtime(node);
    world.block_on(async {
        prepared(&runtime, WRITE).await;
        for byte in 0..50 {
            let new = runtime.open("/data/new".as_ref(), OpenOptions::CREATE_DSYNC).await.unwrap();
            put(&new, 0, byte).await.unwrap();
            runtime.rename("/data/new".as_ref(), FILE.as_ref()).await.unwrap();
            runtime.sync_dir("/data".as_ref()).await.unwrap();
        }
    });
    assert_eq!(world.disk(node).bytes_used(), BLOCK_BYTES as u64);
}

#[test]
fn what_a_disk_does_is_counted() {
    let world = World::new(3, WorldOptions::default());
    let node = world.node("n");
    let disk = world.disk(node);
    disk.change_faults(|faults| {
        (faults.lost_write, faults.stall) = (Chance::percent(50), Chance::percent(50));
        faults.crash_keeps = Chance::percent(50);
    });
    world.block_on(async {
        let file = world.runtime(node).open(Path::new("file"), OpenOptions::CREATE).await.unwrap();
        for block in 0..40u64 {
            let buffer = Rc::new(file.buffer(BLOCK_BYTES));
            file.write_at(buffer, block * BLOCK_BYTES as u64).await.unwrap();
        }
    });
    let before = disk.fault_counts();
    assert!(before.lost_writes > 0 && before.stalls > 0 && before.crashes == 0, "{before:?}");
    world.crash(node);
    let after = disk.fault_counts();
    assert_eq!(after.crashes, 1);
    let lost = after.crash_lost + after.crash_torn;
    assert!(lost > 0 && lost <= 40 - after.lost_writes && after.crash_reordered > 0, "{after:?}");
    assert_eq!(after.write_errors + after.sync_errors + after.read_errors + after.full, 0);
}
