//! What reads cost in memory, counted by an allocator that counts, and that the kernel has no part in them.

mod calls;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use lsm::{Compression, Mark, Tree, TreeOptions, WriteBatch};
use runtime::sim::{SimRuntime, World, WorldOptions};

/// The system's allocator, which counts for each thread.
struct Counting;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

fn note(calls: u64, bytes: i64) {
    // A thread that ends may free after its counters are gone.
    let _ = CALLS.try_with(|count| count.set(count.get() + calls));
    let _ = LIVE.try_with(|live| live.set(live.get() + bytes));
}

// SAFETY: everything is the system allocator's doing; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size() as i64);
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        note(0, -(layout.size() as i64));
        // SAFETY: the caller keeps the promises of `dealloc`; the memory is the system allocator's.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> u64 {
    CALLS.get()
}

fn key(index: u64) -> [u8; 40] {
    let mut key = [0x11; 40];
    let mixed = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    key[8..16].copy_from_slice(&mixed.to_be_bytes());
    key[16..24].copy_from_slice(&index.to_be_bytes());
    key
}

const VALUE: [u8; 128] = [7; 128];

async fn load(runtime: SimRuntime, keys: u64, cache_bytes: usize) -> Tree<SimRuntime> {
    let mut options = TreeOptions { cache_bytes, ..TreeOptions::new("tree") };
    options.compression.fill(Compression::None);
    let tree = Tree::open(runtime, options).await.expect("a new tree");
    put(&tree, 1..=keys);
    tree.flush().await.expect("no faults");
    tree
}

fn put(tree: &Tree<SimRuntime>, keys: std::ops::RangeInclusive<u64>) {
    let mut batch = WriteBatch::new();
    for index in keys {
        batch.clear();
        batch.put(&key(index), &VALUE);
        tree.apply(&batch, Mark { stream: 1, index });
    }
}

/// Gets all of `keys`; gives how often memory was asked for meanwhile.
async fn cost(tree: &Tree<SimRuntime>, keys: std::ops::RangeInclusive<u64>, found: bool) -> u64 {
    let before = allocations();
    for index in keys {
        let value = tree.get(&key(index)).await.expect("no faults");
        assert_eq!(value.as_deref(), found.then_some(&VALUE[..]));
        drop(value.clone());
    }
    allocations() - before
}

fn world() -> (World, SimRuntime) {
    let world = World::new(1, WorldOptions::default());
    let runtime = world.runtime(world.node("node"));
    (world, runtime)
}

#[test]
fn a_get_of_what_is_in_memory_allocates_nothing() {
    const KEYS: u64 = 20_000;
    let (world, runtime) = world();
    world.block_on(async {
        let tree = load(runtime, KEYS, 64 << 20).await;
        let cold = cost(&tree, 1..=KEYS, true).await;
        assert!(cold > KEYS / 50, "a cold get reads into memory of its own: {cold}");
        let reads = tree.stats().reads;
        assert_eq!(cost(&tree, 1..=KEYS, true).await, 0, "cached blocks");
        assert_eq!(tree.stats().reads, reads, "and no device read");
        assert_eq!(cost(&tree, KEYS + 1..=KEYS + 1000, false).await, 0, "absent keys");
        put(&tree, KEYS + 1..=KEYS + 1000);
        assert_eq!(cost(&tree, KEYS + 1..=KEYS + 1000, true).await, 0, "a memtable");
        assert_eq!(cost(&tree, 1..=KEYS, true).await, 0, "cached blocks below a memtable");
    });
}

#[test]
fn the_cache_takes_what_it_may_and_no_more() {
    const BOUND: i64 = 4 << 20;
    let (world, runtime) = world();
    world.block_on(async {
        let tree = load(runtime, 80_000, BOUND as usize).await;
        cost(&tree, 1..=1, true).await; // Opens the file.
        let before = LIVE.get();
        for _ in 0..2 {
            cost(&tree, 1..=80_000, true).await;
        }
        let taken = LIVE.get() - before;
        println!(
            "a cache of {BOUND} bytes takes {taken} of the heap, by its own count {}",
            tree.stats().cache_bytes
        );
        // The allocator's own rounding is part of the cache's count but not of this one.
        assert!(taken <= BOUND, "{taken} bytes for a bound of {BOUND}");
        assert!(taken > BOUND * 9 / 10, "only {taken} bytes are used of {BOUND}");
    });
}

/// Gets all of `keys` in one poll each: who waits for anything is not there.
fn all_at_once(tree: &Tree<SimRuntime>, mut keys: std::ops::RangeInclusive<u64>, found: bool) -> bool {
    keys.all(|index| {
        let key = key(index);
        let get = pin!(tree.get(&key));
        let Poll::Ready(Ok(value)) = get.poll(&mut Context::from_waker(Waker::noop())) else { return false };
        value.as_deref() == found.then_some(&VALUE[..])
    })
}

#[test]
fn a_get_of_what_is_in_memory_makes_no_system_call() {
    const KEYS: u64 = 5000;
    let (world, runtime) = world();
    world.block_on(async {
        let tree = load(runtime, KEYS, 64 << 20).await;
        let at_once = |keys, found| calls::needs_no_system_call(|| all_at_once(&tree, keys, found));
        assert!(!at_once(1..=1, true), "a cold get waits for the device");
        cost(&tree, 1..=KEYS, true).await;
        put(&tree, KEYS + 1..=KEYS + 100);
        assert!(at_once(1..=KEYS, true), "cached blocks below a memtable");
        assert!(at_once(KEYS + 1..=KEYS + 100, true), "a memtable");
        assert!(at_once(KEYS + 101..=KEYS + 1000, false), "absent keys");
    });
}

#[test]
fn a_system_call_is_noticed() {
    assert!(calls::needs_no_system_call(|| true) && !calls::needs_no_system_call(|| false));
    // SAFETY: asks for a number and changes nothing.
    assert!(!calls::needs_no_system_call(|| unsafe { libc::syscall(libc::SYS_getppid) } > 0));
}
