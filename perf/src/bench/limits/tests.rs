//! Limits of a world whose limits are known.

use std::cell::{Cell, RefCell};

use runtime::sim::{NetworkFaults, Span, World, WorldOptions};

use super::*;

fn world() -> World {
    let network = NetworkFaults { local_delay: Span::micros(10, 10), ..NetworkFaults::default() };
    World::new(1, WorldOptions { network, ..WorldOptions::default() })
}

fn check(limit: &Limit, name: &str, per_second: f64, micros: f64) {
    assert!(limit.name.contains(name), "{}", limit.name);
    let near = |found: f64, expected: f64| (found / expected - 1.0).abs() < 0.25;
    assert!(near(limit.per_second, per_second), "{name}: {} a second", limit.per_second);
    assert!(near(limit.latency_us.p50, micros), "{name}: {:?}", limit.latency_us);
}

#[test]
fn the_device_and_the_raw_loop_are_measured_and_nothing_is_left() {
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("a directory on a real disk");
    let each = Duration::from_millis(20);
    let limits = device(dir.path(), each).expect("a disk that works");
    let shapes: Vec<(LimitWork, usize)> = limits.iter().map(|limit| (limit.work, limit.depth)).collect();
    let expected = [(LimitWork::Write, 1), (LimitWork::Write, 4), (LimitWork::Read, 1), (LimitWork::Read, 4)];
    assert_eq!(shapes, expected);
    assert!(dir.path().read_dir().expect("it is there").next().is_none());
    let loops = raw_loopback(&[1, 8], each).expect("loopback");
    assert!(limits.iter().chain(&loops).all(|limit| limit.per_second > 0.0 && limit.latency_us.p50 > 0.0));
    assert_eq!(loops.iter().map(|limit| limit.depth).collect::<Vec<_>>(), [1, 8]);
}

#[test]
fn a_directory_that_is_not_there_is_an_error() {
    device(Path::new("/nowhere/at/all"), Duration::from_millis(1)).expect_err("there is no such directory");
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
                let found =
                    loopback(&rt, &[1, 64], Duration::from_millis(20)).await.expect("a loop that works");
                limits.borrow_mut().extend(found);
                ended.set(ended.get() + 1);
            }
        });
        assert!(world.run_until(Duration::from_secs(1), || ended.get() == cores), "{cores} cores");
        check(&limits.borrow()[0], "1 connection", 50_000.0, 20.0);
        check(&limits.borrow()[1], "64 connections", 3_200_000.0, 20.0);
    }
}
