use super::*;

#[test]
fn the_window_knows_its_p99_within_a_quarter() {
    let mut window = Window::default();
    assert_eq!(window.p99_us(), None);
    for latency in 1..=400 {
        window.add(latency);
    }
    let p99 = window.p99_us().expect("samples");
    assert!((396..=500).contains(&p99), "{p99}");
    assert_eq!((window.take_fresh(), window.take_fresh()), (400, 0));
}

#[test]
fn every_latency_is_in_a_bucket_that_ends_at_or_above_it() {
    for latency in (0..100_000).chain((0..26).map(|shift| 1 << shift)) {
        let end = upper_end(bucket(latency));
        assert!(end >= latency && end <= latency.max(3) * 5 / 4 + 1, "{latency} is put below {end}");
    }
    assert_eq!(bucket(u64::MAX >> 2), BUCKETS - 1);
}

#[test]
fn what_was_long_ago_is_forgotten() {
    let mut window = Window::default();
    (0..512).for_each(|_| window.add(1_000_000));
    assert_eq!(window.take_fresh(), 512);
    (1..QUIET_SAMPLES).for_each(|_| window.add(50));
    assert_eq!(window.quiet_p99_us(), None, "too few to call it quiet");
    window.add(50);
    assert!(window.quiet_p99_us().expect("enough") < 100);
    (0..10_000).for_each(|_| window.add(50));
    assert!(window.p99_us().expect("samples") < 100);
}

fn tick(controller: &mut Controller, pressure: u64, p99_us: u64) -> u64 {
    controller.tick(Signals { pressure, p99_us: Some(p99_us), moved: RATE_MAX })
}

#[test]
fn it_gives_way_while_the_foreground_is_disturbed_and_comes_back() {
    let mut controller = Controller::default();
    controller.begin(Some(100));
    assert_eq!(tick(&mut controller, 0, 250), RATE_MAX, "half more and 100 us are noise");
    let mut before = RATE_MAX;
    for _ in 0..30 {
        let rate = tick(&mut controller, 0, 1000);
        assert!(rate < before || rate == RATE_MIN);
        before = rate;
    }
    assert_eq!(before, RATE_MIN);
    for _ in 0..25 {
        tick(&mut controller, 0, 100);
    }
    assert_eq!(tick(&mut controller, 0, 100), RATE_MAX, "a second and a quarter at 50 ms a tick");
}

#[test]
fn a_known_device_is_never_filled_while_somebody_is_there() {
    let ceiling = 64 << 20;
    let mut controller = Controller::new(ceiling);
    // No baseline yet: whatever the p99 is, it is not known to be disturbed.
    assert_eq!(tick(&mut controller, 0, 5000), ceiling);
    controller.begin(Some(100));
    assert_eq!(tick(&mut controller, 0, 5000), ceiling / 4 * 3, "from the ceiling down, not from no limit");
    for _ in 0..30 {
        assert!(tick(&mut controller, 0, 100) <= ceiling);
    }
    assert_eq!(tick(&mut controller, 0, 100), ceiling);
    assert!(tick(&mut controller, 900, 100) > ceiling, "what is owed goes over it");
    assert_eq!(
        controller.tick(Signals { pressure: 0, p99_us: None, moved: RATE_MAX }),
        RATE_MAX,
        "and so does a quiet time"
    );
}

#[test]
fn nobody_to_disturb_is_no_limit() {
    let mut controller = Controller::default();
    controller.begin(Some(100));
    for _ in 0..30 {
        tick(&mut controller, 0, 5000);
    }
    assert_eq!(controller.tick(Signals { pressure: 0, p99_us: None, moved: RATE_MAX }), RATE_MAX);
}

#[test]
fn what_is_owed_comes_before_the_p99() {
    let mut controller = Controller::default();
    controller.begin(Some(100));
    let mut before = 0;
    for pressure in 0..=PRESSURE_MAX {
        let rate = tick(&mut controller, pressure, 1_000_000).max(floor(pressure));
        assert!(floor(pressure) >= before, "the floor only rises");
        before = floor(pressure);
        assert!(rate >= before);
    }
    assert_eq!(floor(0), RATE_MIN);
    assert_eq!(floor(500), RATE_MIN << 4);
    assert_eq!(floor(PRESSURE_MAX), RATE_MAX);
    assert_eq!(tick(&mut controller, PRESSURE_MAX, 1_000_000), RATE_MAX);
}

#[test]
fn a_baseline_that_no_quiet_time_confirms_drifts_up_slowly_and_down_at_once() {
    let mut controller = Controller::default();
    controller.begin(None);
    tick(&mut controller, 0, 10_000);
    assert_eq!(controller.baseline_us(), Some(10_000), "better than nothing");
    tick(&mut controller, 0, 100);
    assert_eq!(controller.baseline_us(), Some(100));
    tick(&mut controller, 0, 10_000);
    assert_eq!(controller.baseline_us(), Some(102));
    controller.begin(Some(80));
    assert_eq!(controller.baseline_us(), Some(80));
}

/// The loop closed: a plant where background work makes the foreground slower in proportion to its rate, and where
/// the foreground's writes cost `times` their bytes in background work.
fn simulate(written_per_second: u64, times: u64, debt_max: u64) -> (u64, u64) {
    const TICKS_PER_SECOND: u64 = 20;
    let (mut controller, mut debt, mut rate) = (Controller::default(), 0, RATE_MAX);
    let (mut debt_highest, mut disturbed) = (0, 0);
    controller.begin(Some(100));
    for second in 0..600 {
        for _ in 0..TICKS_PER_SECOND {
            // 1 us more for each 200 KB a second; a core does 400 MB a second.
            let real = rate.min(400 << 20);
            let p99 = 100 + if debt > 0 { real / 200_000 } else { 0 };
            let pressure = (debt * PRESSURE_MAX / debt_max).min(PRESSURE_MAX);
            rate = controller.tick(Signals { pressure, p99_us: Some(p99), moved: RATE_MAX });
            debt = (debt + written_per_second * times / TICKS_PER_SECOND)
                .saturating_sub(real / TICKS_PER_SECOND);
            debt_highest = debt_highest.max(debt);
            disturbed += u64::from(second >= 60 && p99 > 400);
        }
    }
    (debt_highest, disturbed)
}

#[test]
fn debt_is_bounded_and_small_writers_see_no_compaction() {
    let gigabyte = 1 << 30;
    // 2 MB a second, ten times: 20 MB a second are enough, and they are hardly seen.
    let (debt, disturbed) = simulate(2 << 20, 10, gigabyte);
    assert!(debt < gigabyte / 2 && disturbed < 120, "{debt} {disturbed}");
    // 30 MB a second, ten times: not without being seen, but never over the bound.
    let (debt, _) = simulate(30 << 20, 10, gigabyte);
    assert!(debt < gigabyte, "{debt}");
}

#[test]
fn a_job_after_a_pause_begins_gently_unless_it_is_urgent() {
    let mut controller = Controller::default();
    assert_eq!(controller.begin_gently(0), RATE_BEGIN);
    let mut rate = RATE_BEGIN;
    for _ in 0..20 {
        let next = controller.tick(Signals { pressure: 0, p99_us: Some(80), moved: RATE_MAX });
        assert!(next > rate || next == RATE_MAX, "from {rate} to {next}");
        rate = next;
    }
    assert_eq!(rate, RATE_MAX, "nobody is disturbed");
    assert_eq!(controller.begin_gently(750), floor(750).max(RATE_BEGIN));
    assert_eq!(controller.begin_gently(PRESSURE_MAX), RATE_MAX);
}

#[test]
fn it_gives_way_from_where_it_is_not_from_where_it_might_be() {
    let mut controller = Controller::default();
    controller.begin(Some(100));
    let moved = 80 << 20;
    let signals = Signals { pressure: 0, p99_us: Some(10_000), moved };
    assert_eq!(controller.tick(signals), moved * 3 / 4);
    assert_eq!(controller.tick(Signals { moved: 0, ..signals }), RATE_MIN, "nothing moved: still the floor");
}
