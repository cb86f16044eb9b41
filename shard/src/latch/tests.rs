//! Latches: order, cancellation, and nothing left behind.

use super::*;
use runtime::sim::{SimRuntime, World, WorldOptions};
use runtime::sync::{join_all, timeout};
use std::cell::Cell;
use std::time::Duration;

fn run<F: Future<Output = ()>>(seed: u64, script: impl FnOnce(SimRuntime, Latches) -> F) {
    let world = World::new(seed, WorldOptions::default());
    let rt = world.runtime(world.node("n"));
    let latches = Latches::new(&rt);
    world.block_on(script(rt, latches.clone()));
    assert_eq!(latches.held(), 0, "nothing is left behind");
}

#[test]
fn first_come_first_served_and_never_two_at_once() {
    for seed in 0..20 {
        run(seed, |rt, latches| async move {
            let inside = Cell::new(false);
            let order = RefCell::new(Vec::new());
            let tasks = (0..20).map(|n| {
                let (rt, latches, inside, order) = (&rt, &latches, &inside, &order);
                async move {
                    let _guard = latches.take(b"key").await;
                    assert!(!inside.replace(true));
                    rt.sleep(Duration::from_micros(rt.random(Purpose::Workload) % 50)).await;
                    order.borrow_mut().push(n);
                    inside.set(false);
                }
            });
            join_all(tasks).await;
            assert_eq!(*order.borrow(), (0..20).collect::<Vec<_>>());
        });
    }
}

#[test]
fn different_keys_do_not_wait_for_each_other() {
    run(1, |_, latches| async move {
        let guards = join_all((0..100_u8).map(|n| {
            let latches = latches.clone();
            async move { latches.take(&[n]).await }
        }))
        .await;
        assert_eq!(latches.held(), 100);
        drop(guards);
    });
}

#[test]
fn waiters_that_go_away_are_skipped() {
    run(2, |rt, latches| async move {
        let first = latches.take(b"key").await;
        for _ in 0..10 {
            assert!(timeout(&rt, Duration::from_micros(10), latches.take(b"key")).await.is_err());
        }
        let mut last = Box::pin(latches.take(b"key"));
        assert!(timeout(&rt, Duration::from_micros(10), last.as_mut()).await.is_err());
        drop(first);
        drop(last.await);
    });
}

#[test]
fn a_latch_that_was_given_to_one_who_left_goes_on_to_the_next() {
    run(3, |rt, latches| async move {
        let first = latches.take(b"key").await;
        let mut second = Box::pin(latches.take(b"key"));
        let mut third = Box::pin(latches.take(b"key"));
        // Both queue up, then the latch is handed to the second, which goes away before it looks.
        assert!(timeout(&rt, Duration::from_micros(1), second.as_mut()).await.is_err());
        assert!(timeout(&rt, Duration::from_micros(1), third.as_mut()).await.is_err());
        drop(first);
        drop(second);
        drop(third.await);
    });
}
