//! An image that nobody has any more.
//!
//! A replica was away for long, and gets an image in very small parts over slow links. Before it is whole, who offered it hands over the lead, and the
//! next leader knows of no image. The replica answers nobody until it has all of it, so nobody hears that it needs another one: it has to find out itself, or it is lost
//! to its group for ever.

use std::time::Duration;

use runtime::sim::{NetworkFaults, Span};

use super::{Scenario, busy, play};
use crate::plan::{Fault, Kind, Plan, Way, Whom};

pub const SCENARIO: Scenario = Scenario {
    name: "orphaned-image",
    story: "who offers an image loses the lead before the image is whole",
    plan,
    run: play,
    // `Canary::WaitForImage` is meant for it, and these plans do not reach it yet.
    bugs: &[],
    seeds_max: 20,
};

fn plan(seed: u64) -> Plan {
    let network = NetworkFaults { delay: Span::millis(2, 20), ..NetworkFaults::default() };
    let plan = Plan {
        keys: 16,
        vnodes: 2,
        filler_bytes_max: 8_000,
        memtable_bytes: 16 << 10,
        tail_bytes_max: 0,
        image_part_bytes: 700,
        network,
        length: Duration::from_secs(16),
        ..busy(seed)
    };
    let mut faults = Vec::new();
    for turn in 0..4_u64 {
        let at = |millis: u64| Duration::from_millis(1_500 + 3_500 * turn + millis);
        let node = (turn % 3) as usize;
        let away = Kind::Isolate(Whom::Node(node), Way::Both);
        faults.push(Fault { at: at(0), lasts: Duration::from_millis(900), kind: away });
        // Those two that have everything: one of them leads, and offers the image.
        let heir = (node + 1 + (turn / 3 + seed) as usize % 2) % 3;
        for (vnode, after) in [(1, 1_250), (2, 1_500)] {
            let kind = Kind::Transfer(vnode, heir);
            faults.push(Fault { at: at(after), lasts: Duration::ZERO, kind });
        }
    }
    Plan { faults, ..plan }
}
