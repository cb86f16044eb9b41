//! The line says what the counters say.

use super::*;

#[test]
fn the_line_names_stage_rate_and_errors() {
    let counters = Counters::default();
    counters.enter(Stage::Preload, 100);
    counters.clone().ok(25);
    counters.clone().ok(25);
    counters.error();
    let line = describe(&counters, "put", (Mono(0), 0), (Mono(500_000_000), counters.items()));
    assert_eq!(line, "put: loading, 100 items/s, 50 of 100 so far, 1 errors");
}

#[test]
fn every_stage_comes_back_as_itself() {
    for stage in Stage::ALL {
        let counters = Counters::default();
        counters.enter(stage, 0);
        assert_eq!(counters.stage(), stage);
    }
}

#[test]
fn the_line_has_the_slowest_since_the_last_one_and_the_bar_its_length() {
    let counters = Counters::default();
    counters.expect_time(Duration::from_secs(10));
    counters.took(Duration::from_millis(3));
    counters.took(Duration::from_millis(7));
    counters.took(Duration::from_millis(5));
    let line = || describe(&counters, "a", (Mono(0), 0), (Mono(500_000_000), 0));
    assert!(line().contains("slowest 7.0 ms,"));
    assert!(!line().contains("slowest"), "nothing since");
    assert_eq!(counters.way(Duration::from_secs(4)), (10_000_000, 4_000_000));
    assert_eq!(counters.way(Duration::from_secs(11)), (10_000_000, 10_000_000));
    counters.enter(Stage::Preload, 100);
    counters.ok(30);
    assert_eq!(counters.way(Duration::from_secs(4)), (100, 30));
}
