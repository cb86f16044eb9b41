//! Time, chance, tasks, mailboxes and the traces that tell worlds apart.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use crate::sim::{Chance, Control, SimRuntime, World, WorldOptions};
use crate::sync::{Notify, oneshot, timeout};
use crate::{BLOCK_BYTES, Class, CoreId, File, Listener, OpenOptions, Purpose, Runtime, Stream, Task};

fn world(seed: u64) -> World {
    World::new(seed, WorldOptions::default())
}

/// Tasks that sleep, yield, draw and write down in which order they came.
async fn busy(runtime: SimRuntime) -> Vec<u64> {
    let order = Rc::new(RefCell::new(Vec::new()));
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let (runtime, order) = (runtime.clone(), order.clone());
            let task = runtime.clone();
            runtime.spawn(Class::Foreground, async move {
                for _ in 0..4 {
                    task.yield_now().await;
                    task.sleep(Duration::from_micros(task.random(Purpose::Jitter) % 3)).await;
                    order.borrow_mut().push(number);
                }
            })
        })
        .collect();
    crate::sync::join_all(tasks).await;
    order.take()
}

fn run_busy(seed: u64) -> (u128, Vec<u64>) {
    let world = world(seed);
    let node = world.node("n");
    let order = world.block_on(busy(world.runtime(node)));
    (world.trace_hash(), order)
}

#[test]
fn same_seed_same_world_and_another_seed_another_world() {
    let mut hashes = Vec::new();
    for seed in 0..20 {
        let (hash, order) = run_busy(seed);
        assert_eq!((hash, order.clone()), run_busy(seed), "seed {seed}");
        assert_eq!(order.len(), 32);
        hashes.push(hash);
    }
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), 20);
}

/// A bit of everything: two nodes of two cores with files, mail and connections, and a task that crashes them.
fn run_everything(seed: u64) -> (u128, u64, u64) {
    let world = world(seed);
    let nodes = [world.node("a"), world.node("b")];
    let start = |control: &Control, node| {
        let peer = control.address(if node == nodes[0] { nodes[1] } else { nodes[0] }, 80);
        control.start(node, 2, move |runtime| everything(runtime, peer));
    };
    nodes.iter().for_each(|node| start(&world, *node));
    for step in 0..20 {
        world.run_for(Duration::from_micros(world.draw("crash", step) % 5000));
        let node = nodes[step as usize % 2];
        world.crash(node);
        start(&world, node);
    }
    (world.trace_hash(), world.trace_events(), world.polls())
}

async fn everything(runtime: SimRuntime, peer: std::net::SocketAddr) {
    let to = CoreId(1 - runtime.core().0);
    let listener = runtime.listen(([0, 0, 0, 0], 80).into()).await.unwrap();
    let inner = runtime.clone();
    let accepting = runtime.spawn(Class::Background, async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut bytes = [0; 100];
            let size = stream.read(&mut bytes).await.unwrap_or(0);
            _ = inner.mesh_send(to, bytes[..size].to_vec()).await;
        }
    });
    let path = format!("/d/{}-{}", runtime.core().0, runtime.random(Purpose::Id));
    runtime.create_dir("/d".as_ref()).await.unwrap();
    let file = runtime.open(path.as_ref(), OpenOptions::CREATE_DSYNC).await.unwrap();
    let inner = runtime.clone();
    let mail = runtime.spawn(Class::Foreground, async move {
        while let Ok((_, packet)) = inner.mesh_receive().await {
            let block = u64::from(packet.first().copied().unwrap_or(0));
            file.write_at(Rc::new(file.buffer(BLOCK_BYTES)), block * BLOCK_BYTES as u64).await.unwrap();
        }
    });
    loop {
        if let Ok(stream) = runtime.connect(peer).await {
            _ = stream.write_all(&[runtime.random(Purpose::Route) as u8; 10]).await;
        }
        runtime.sleep(Duration::from_micros(200)).await;
        if runtime.buggify("leave") {
            drop((accepting, mail));
            return;
        }
    }
}

#[test]
fn a_world_with_everything_in_it_repeats_itself() {
    for seed in 0..10 {
        let first = run_everything(seed);
        assert!(first.1 > 500, "seed {seed}: only {} events", first.1);
        assert_eq!(first, run_everything(seed), "seed {seed}");
    }
}

#[test]
fn a_task_of_the_test_survives_crashes() {
    let world = world(1);
    let node = world.node("n");
    world.runtime(node);
    let control: Control = (*world).clone();
    let task = world.spawn(async move {
        control.crash(node);
        control.sleep(Duration::from_millis(1)).await;
        control.is_up(node)
    });
    assert!(!world.block_on(task));
}

#[test]
fn a_draw_for_one_purpose_does_not_shift_another() {
    let draws = |extra: bool| {
        let world = world(3);
        let node = world.node("n");
        let runtime = world.runtime(node);
        (0..4)
            .map(|_| {
                if extra {
                    runtime.random(Purpose::Jitter);
                    runtime.buggify("here");
                }
                runtime.random(Purpose::Id)
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(draws(false), draws(true));
}

#[test]
fn time_jumps_to_the_next_event_and_a_dropped_sleep_does_not_move_it() {
    let world = world(1);
    let node = world.node("n");
    let runtime = world.runtime(node);
    world.block_on(async {
        let begin = runtime.now();
        let hasty = timeout(&runtime, Duration::from_secs(3600), async { 1 }).await;
        assert_eq!(hasty, Ok(1));
        assert_eq!(runtime.now(), begin);
        runtime.sleep(Duration::from_secs(86)).await;
        assert_eq!(runtime.now().since(begin), Duration::from_secs(86));
    });
    assert!(timeout_elapses(&world, &runtime));
}

fn timeout_elapses(world: &World, runtime: &SimRuntime) -> bool {
    world.block_on(timeout(runtime, Duration::from_millis(1), std::future::pending::<()>())).is_err()
}

#[test]
fn clocks_drift_and_walls_jump() {
    let world = world(1);
    let (fast, right) = (world.node("fast"), world.node("right"));
    world.set_clock_rate(fast, 100_000); // One tenth too fast.
    let (fast, right) = (world.runtime(fast), world.runtime(right));
    let (fast_begin, right_begin) = (fast.now(), right.now());
    let wall = fast.wall();
    world.jump_wall(fast.node(), -5_000_000);
    assert_eq!(wall.0 - fast.wall().0, 5_000_000);
    world.block_on(fast.sleep(Duration::from_secs(11)));
    assert_eq!(fast.now().since(fast_begin), Duration::from_secs(11));
    assert_eq!(right.now().since(right_begin), Duration::from_secs(10));
    world.set_clock_rate(fast.node(), 0);
    assert!(fast.now().since(fast_begin) >= Duration::from_secs(11), "a change of rate does not go back");
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_wait_that_nobody_can_end_is_reported() {
    let world = world(1);
    world.block_on(Notify::new().notified());
}

#[test]
#[should_panic(expected = "livelock")]
fn a_task_that_spins_without_time_moving_is_reported() {
    let world = World::new(1, WorldOptions { polls_max: 10_000, ..WorldOptions::default() });
    let node = world.node("n");
    let runtime = world.runtime(node);
    world.block_on(async {
        loop {
            runtime.yield_now().await;
        }
    });
}

#[test]
#[should_panic(expected = "no end within time_max")]
fn a_world_that_only_idles_is_reported() {
    let world = World::new(1, WorldOptions { time_max: Duration::from_secs(60), ..WorldOptions::default() });
    let node = world.node("n");
    let runtime = world.runtime(node);
    world.block_on(async {
        loop {
            runtime.sleep(Duration::from_secs(1)).await;
        }
    });
}

#[test]
fn dropping_a_task_cancels_it_and_detaching_does_not() {
    struct OnDrop(Rc<Cell<u32>>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let world = world(5);
    let node = world.node("n");
    let runtime = world.runtime(node);
    let (dropped, ran) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let make = || {
        let (guard, ran, inner) = (OnDrop(dropped.clone()), ran.clone(), runtime.clone());
        runtime.spawn(Class::Background, async move {
            let _guard = guard;
            inner.sleep(Duration::from_millis(1)).await;
            ran.set(ran.get() + 1);
        })
    };
    drop(make());
    make().detach();
    world.run_for(Duration::from_millis(2));
    assert_eq!((ran.get(), dropped.get()), (1, 2));
}

#[test]
fn a_crash_drops_the_tasks_of_its_node_only() {
    let world = world(9);
    let (victim, other) = (world.node("victim"), world.node("other"));
    let alive = Rc::new(RefCell::new(vec![]));
    for node in [victim, other] {
        let alive = alive.clone();
        world.start(node, 2, move |runtime| {
            let alive = alive.clone();
            async move {
                loop {
                    runtime.sleep(Duration::from_millis(10)).await;
                    alive.borrow_mut().push((runtime.node(), runtime.core()));
                }
            }
        });
    }
    world.run_for(Duration::from_millis(15));
    assert_eq!(alive.take().len(), 4);
    let dead_handle = world.runtime(victim);
    world.crash(victim);
    assert!(!world.is_up(victim) && world.is_up(other));
    world.run_for(Duration::from_millis(10));
    let mut seen = alive.take();
    seen.sort();
    assert_eq!(seen, [(other, CoreId(0)), (other, CoreId(1))]);
    let answer = world.block_on(dead_handle.list("/".as_ref()));
    assert_eq!(answer.unwrap_err().kind(), std::io::ErrorKind::ConnectionAborted);
    assert_eq!(world.block_on(world.runtime(victim).list("/".as_ref())).unwrap(), []);
}

#[test]
fn a_task_may_crash_its_own_node() {
    let world = world(9);
    let node = world.node("n");
    let control: Control = (*world).clone();
    let after = Rc::new(Cell::new(false));
    let seen = after.clone();
    world.start(node, 1, move |runtime| {
        let (control, seen) = (control.clone(), seen.clone());
        async move {
            control.crash(runtime.node());
            runtime.sleep(Duration::from_millis(1)).await;
            seen.set(true);
        }
    });
    world.run_for(Duration::from_secs(1));
    assert!(!world.is_up(node) && !after.get());
}

#[test]
fn a_paused_node_does_nothing_until_it_is_resumed() {
    let world = world(2);
    let node = world.node("n");
    let ticks = Rc::new(Cell::new(0));
    let counted = ticks.clone();
    world.start(node, 1, move |runtime| {
        let ticks = counted.clone();
        async move {
            loop {
                runtime.sleep(Duration::from_millis(1)).await;
                ticks.set(ticks.get() + 1);
            }
        }
    });
    world.pause(node);
    world.run_for(Duration::from_millis(100));
    assert_eq!(ticks.get(), 0);
    world.resume(node);
    world.run_for(Duration::from_millis(100));
    assert!(ticks.get() > 90);
}

#[test]
fn mailboxes_keep_order_per_sender_and_hold_so_many() {
    for seed in 0..10 {
        let world = World::new(seed, WorldOptions { mailbox_packets_max: 4, ..WorldOptions::default() });
        let node = world.node("n");
        let received = Rc::new(RefCell::new(Vec::new()));
        let log = received.clone();
        world.start(node, 3, move |runtime| {
            let log = log.clone();
            async move {
                if runtime.core() != CoreId(0) {
                    for number in 0..20 {
                        runtime.mesh_send(CoreId(0), vec![number]).await.unwrap();
                    }
                    return;
                }
                for _ in 0..40 {
                    let received = runtime.mesh_receive().await.unwrap();
                    log.borrow_mut().push(received);
                }
            }
        });
        world.run_for(Duration::from_millis(1));
        for sender in [1, 2] {
            let mut from: Vec<_> = received.borrow().clone();
            from.retain(|(core, _)| *core == CoreId(sender));
            let expected: Vec<_> = (0..20).map(|number| (CoreId(sender), vec![number])).collect();
            assert_eq!(from, expected, "seed {seed}");
        }
    }
}

#[test]
fn mailbox_of_no_core_is_closed() {
    let world = world(1);
    let node = world.node("n");
    let runtime = world.runtime(node);
    assert!(world.block_on(runtime.mesh_send(CoreId(7), vec![])).is_err());
}

#[test]
fn buggify_is_active_in_some_worlds_and_then_fires_sometimes() {
    let fires = |seed| {
        let world = world(seed);
        let node = world.node("n");
        let runtime = world.runtime(node);
        (0..400).filter(|_| runtime.buggify("a rare branch")).count()
    };
    let counts: Vec<usize> = (0..200).map(fires).collect();
    let active = counts.iter().filter(|count| **count > 0).count();
    assert!((30..=70).contains(&active), "{active} of 200 worlds");
    assert!(counts.iter().all(|count| *count == 0 || (60..=140).contains(count)));
}

#[test]
fn chance_is_what_it_says() {
    let mut stream = crate::sim::random::Stream::new(1, "test", 0);
    assert!((0..1000).all(|_| stream.happens(Chance::ALWAYS)));
    assert!((0..1000).all(|_| !stream.happens(Chance::NEVER)));
    let often = (0..10_000).filter(|_| stream.happens(Chance::percent(20))).count();
    assert!((1800..2200).contains(&often), "{often}");
}

#[test]
fn run_until_and_steps_stop_where_they_should() {
    let world = world(4);
    let node = world.node("n");
    let runtime = world.runtime(node);
    let (sender, receiver) = oneshot();
    let task = runtime.clone();
    runtime
        .spawn(Class::Foreground, async move {
            task.sleep(Duration::from_millis(3)).await;
            sender.send(()).unwrap();
        })
        .detach();
    assert_eq!(world.block_on_steps(0, async { 1 }), None);
    assert_eq!(world.block_on_for(Duration::from_millis(1), std::future::pending::<()>()), None);
    assert_eq!(world.elapsed(), Duration::from_millis(1));
    assert!(!world.run_until(Duration::from_millis(1), || false));
    assert_eq!(world.block_on(receiver), Ok(()));
    assert!(!world.run_steps(1000), "nothing is left to happen");
}

#[test]
fn a_future_that_was_given_up_is_not_polled_again() {
    let world = world(7);
    let node = world.node("n");
    let runtime = world.runtime(node);
    let notify = Notify::new();
    let (woken, sleeping) = (notify.clone(), runtime.clone());
    let wait = async move {
        let forever = woken.notified();
        crate::sync::select(forever, sleeping.sleep(Duration::from_millis(1))).await;
    };
    assert!(world.block_on_steps(1, wait).is_none());
    notify.notify_all();
    assert!(!world.run_until(Duration::from_millis(2), || false));
    assert_eq!(world.block_on(async { 3 }), 3);
}

#[test]
fn a_world_frees_what_its_tasks_hold() {
    let held = Rc::new(());
    {
        let world = world(6);
        let node = world.node("n");
        let kept = held.clone();
        world.start(node, 1, move |runtime| {
            let kept = kept.clone();
            async move {
                let _kept = kept;
                let inner = runtime.clone();
                runtime
                    .spawn(Class::Background, async move { inner.sleep(Duration::from_secs(9)).await })
                    .await;
            }
        });
        world.run_for(Duration::from_secs(1));
        assert!(Rc::strong_count(&held) > 1);
    }
    assert_eq!(Rc::strong_count(&held), 1);
}
