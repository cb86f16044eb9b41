//! Stale records of a recycled segment.
//!
//! Large writes go round the log's segments, and nodes lose power right after a segment was recycled. What lies behind the log's end then was a valid record
//! once, with a valid checksum, at the same place. Who replays it goes back in time, or finds entries that nobody can explain.

use std::time::Duration;

use super::{Scenario, every, going_round, log, play};
use crate::plan::{Dice, Kind, Plan, Whom};

pub const SCENARIO: Scenario = Scenario {
    name: "recycled-segment",
    story: "nodes lose power right after a segment of their log was recycled",
    plan,
    run: play,
    bugs: &[log(lsm::log::Canary::AcceptStale)],
    seeds_max: 20,
};

fn plan(seed: u64) -> Plan {
    let plan = going_round(seed);
    let moment = |turn| Duration::from_micros(Dice::new(seed).below("moment", turn, 60_000));
    let faults =
        every(&plan, Duration::from_millis(1_300), Duration::from_millis(40), |turn| match turn % 4 {
            0 => Kind::Blackout,
            _ => Kind::Crash(Whom::Recycling(moment(turn))),
        });
    Plan { faults, ..plan }
}
