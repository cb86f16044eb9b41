//! A vote or a term that is forgotten at a restart.
//!
//! Terms and votes lie in the log like everything else, and its segments are recycled once the tree has what they hold. Nodes lose power after elections, and
//! after their logs have gone round.

use std::time::Duration;

use super::{Scenario, every, going_round, play, replication};
use crate::plan::{Dice, Kind, Plan, Whom};

pub const SCENARIO: Scenario = Scenario {
    name: "forgotten-vote",
    story: "nodes lose power right after elections, when their logs have been recycled",
    plan,
    run: play,
    bugs: &[replication(shard::Canary::ReleaseStatesEarly)],
    seeds_max: 20,
};

fn plan(seed: u64) -> Plan {
    let plan = going_round(seed);
    let moment = |turn| Duration::from_micros(Dice::new(seed).below("moment", turn, 30_000));
    let faults =
        every(&plan, Duration::from_millis(1_100), Duration::from_millis(30), |turn| match turn % 3 {
            0 => Kind::Crash(Whom::Leader(1 + (turn % 4) as u32)),
            1 => Kind::Crash(Whom::Elected(moment(turn))),
            _ => Kind::Blackout,
        });
    Plan { faults, ..plan }
}
