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
