//! Limits of a world whose limits are known.

use std::cell::RefCell;

use runtime::sim::{DiskFaults, NetworkFaults, Span, World, WorldOptions};

use super::*;

fn world() -> World {
    let disk = DiskFaults { write: Span::micros(100, 100), ..DiskFaults::default() };
    let network = NetworkFaults { local_delay: Span::micros(10, 10), ..NetworkFaults::default() };
    World::new(1, WorldOptions { disk, network, ..WorldOptions::default() })
}

fn check(limit: &Limit, name: &str, per_second: f64, micros: f64) {
    assert!(limit.name.contains(name), "{}", limit.name);
    let near = |found: f64, expected: f64| (found / expected - 1.0).abs() < 0.25;
    assert!(near(limit.per_second, per_second), "{name}: {} a second", limit.per_second);
    assert!(near(limit.latency_us.p50, micros), "{name}: {:?}", limit.latency_us);
}

#[test]
fn the_device_is_measured_at_each_depth_and_left_clean() {
    let world = world();
    let node = world.node("n");
    let rt = world.runtime(node);
    let limits = world.block_on(async {
        rt.create_dir(Path::new("/d")).await.expect("a directory");
        device(&rt, Path::new("/d"), Duration::from_millis(100)).await.expect("a disk that works")
    });
    check(&limits[0], "1 in flight", 10_000.0, 100.0);
    check(&limits[1], "4 in flight", 40_000.0, 100.0);
    assert_eq!(world.disk(node).files(), []);
}

#[test]
fn a_disk_that_fails_is_an_error() {
    let world = world();
    let node = world.node("n");
    let rt = world.runtime(node);
    world.disk(node).change_faults(|faults| faults.bytes_max = 1 << 20);
    let failed = world.block_on(async {
        rt.create_dir(Path::new("/d")).await.expect("a directory");
        device(&rt, Path::new("/d"), Duration::from_millis(100)).await
    });
    assert!(failed.is_err());
}

#[test]
fn the_loop_is_measured_on_one_core_and_on_two() {
    for cores in [1, 2, 3] {
        let world = world();
        let node = world.node("n");
        let limits: Rc<RefCell<Vec<Limit>>> = Rc::default();
        let ended = Rc::new(Cell::new(0));
        world.start(node, cores, |rt| {
            let (limits, ended) = (limits.clone(), ended.clone());
            async move {
                let found = loopback(&rt, Duration::from_millis(20)).await.expect("a loop that works");
                limits.borrow_mut().extend(found);
                ended.set(ended.get() + 1);
            }
        });
        assert!(world.run_until(Duration::from_secs(1), || ended.get() == cores), "{cores} cores");
        check(&limits.borrow()[0], "1 connection", 50_000.0, 20.0);
        check(&limits.borrow()[1], "64 connections", 3_200_000.0, 20.0);
    }
}
