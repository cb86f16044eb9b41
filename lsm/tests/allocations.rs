//! No allocation per record: a warm log copies a record into a pooled buffer and registers who waits, and that is all.
//!
//! A binary of its own, because it counts what goes through the process's allocator, per thread.

#![allow(clippy::unwrap_used, missing_docs)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::Future;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use lsm::log::{Identity, Log, LogOptions, Record};
use runtime::sim::{World, WorldOptions};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator as it came; the counter is a thread's own, needs no
// allocation and has no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, and `pointer` came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `realloc`, and `pointer` came from `System`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `work` gives, and the allocations in it.
fn counted<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = ALLOCATIONS.get();
    let result = work();
    (result, ALLOCATIONS.get() - before)
}

fn record(index: u64, payload: &[u8]) -> Record<'_> {
    Record { kind: 1, stream: index % 7, term: 1, index, payload }
}

#[test]
fn the_counter_counts() {
    let (kept, count) = counted(|| vec![1; 100]);
    assert!(kept.len() == 100 && count == 1);
}

#[test]
fn an_append_and_its_durable_wait_allocate_nothing() {
    let world = World::new(1, WorldOptions { time_max: Duration::from_secs(600), ..WorldOptions::default() });
    let rt = world.runtime(world.node("n"));
    let log = world.block_on(async {
        let (log, mut replay) = Log::open(rt, LogOptions::new("/log", Identity::default())).await.unwrap();
        assert!(replay.next().await.unwrap().is_none());
        log
    });
    world.run_for(Duration::from_millis(100)); // Room is prepared ahead.
    let payload = [7; 400];
    let mut index = 0;
    // Rounds of several batches each, in one segment; the first ones fill pools and queues.
    for round in 0..8 {
        let mut allocations = 0;
        let mut waits = Vec::with_capacity(1500);
        for _ in 0..1500 {
            index += 1;
            let (position, count) = counted(|| log.append(record(index, &payload)).unwrap());
            allocations += count;
            waits.push(Box::pin(log.durable(position)));
        }
        let mut context = Context::from_waker(Waker::noop());
        let mut poll_all = |expected: fn(&Poll<Result<(), lsm::Error>>) -> bool| {
            for wait in &mut waits {
                let (polled, count) = counted(|| wait.as_mut().poll(&mut context));
                assert!(expected(&polled), "{polled:?}");
                allocations += count;
            }
        };
        poll_all(Poll::is_pending);
        world.run_for(Duration::from_millis(50));
        poll_all(|polled| matches!(polled, Poll::Ready(Ok(()))));
        assert!(round < 2 || allocations == 0, "round {round}: {allocations} in 1500 appends and waits");
    }
    let stats = log.stats();
    assert!(stats.records == index && stats.segments_live == 1, "{stats:?}");
    assert!(stats.writes >= 8 * 3, "batches were sealed on the way: {stats:?}");
}
