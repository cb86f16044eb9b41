//! A lease across a process that stands still, or whose clock is wrong.
//!
//! The leader's process stops for longer than its lease, while its time goes on; then it goes on where it stopped, with requests at hand that came before. Clocks run
//! too fast or too slow, as far as leases allow for, and wall clocks jump by hours.

use std::time::Duration;

use super::{Scenario, busy, play, replication};
use crate::plan::{Dice, Fault, Kind, Plan, Whom};

pub const SCENARIO: Scenario = Scenario {
    name: "paused-leader",
    story: "the leader's process stands still for longer than its lease, and clocks are wrong",
    plan,
    run: play,
    bugs: &[replication(shard::Canary::ReadWithoutLease)],
    seeds_max: 20,
};

fn plan(seed: u64) -> Plan {
    let dice = Dice::new(seed);
    let plan = Plan {
        routers: 0,
        clients: 12,
        readers: 6,
        patience: Duration::from_millis(150),
        length: Duration::from_secs(15),
        ..busy(seed)
    };
    let mut faults = Vec::new();
    for turn in 0..10 {
        let at = Duration::from_millis(1_000 + 1_300 * turn);
        let lasts = Duration::from_millis(300 + dice.below("lasts", turn, 1_500));
        faults.push(Fault { at, lasts, kind: Kind::Pause(Whom::Leader(1 + (turn % 4) as u32)) });
        let node = dice.below("node", turn, 3) as usize;
        let ppm = dice.below("ppm", turn, 40_000) as i32 - 20_000;
        faults.push(Fault { at, lasts: lasts / 2, kind: Kind::Drift(node, ppm) });
        let jump = dice.below("jump", turn, 7_200_000_000) as i64 - 3_600_000_000;
        faults.push(Fault { at, lasts, kind: Kind::Jump(node, jump) });
    }
    Plan { faults, ..plan }
}
