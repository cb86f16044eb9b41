//! An image that nobody has any more.
//!
//! ```text
//! node is away      it is back, and gets an image      who offers it loses power      that one is back
//! ------------------|--------------------------------------|-------------------------------|---------
//!                                          the third one leads, and needs the one that waits
//! ```
//!
//! The image comes in very small parts over slow links. Before it is whole, who offered it loses its power and the image, and the next leader, elected by the one that waits,
//! knows of no image. It has all entries since then, though, which is why it sends no image of its own. The replica answers nobody until it has all of it, so nobody hears that it needs another one, and nothing is committed without it: it has
//! to find out itself, or it is lost to its group for ever.

use std::time::Duration;

use runtime::sim::{NetworkFaults, Span};

use super::{Scenario, busy, play, replication};
use crate::plan::{Fault, Kind, Plan, Way, Whom};

pub const SCENARIO: Scenario = Scenario {
    name: "orphaned-image",
    story: "who offers an image loses the lead before the image is whole",
    plan,
    run: play,
    bugs: &[replication(shard::Canary::WaitForImage)],
    seeds_max: 60,
};

fn plan(seed: u64) -> Plan {
    let network = NetworkFaults { delay: Span::millis(2, 20), ..NetworkFaults::default() };
    let node = (seed % 3) as usize;
    let fault =
        |at, lasts, kind| Fault { at: Duration::from_millis(at), lasts: Duration::from_millis(lasts), kind };
    // Clients work in the seconds 23 to 26. What they write while the node is away is more than a leader keeps for it; what they write afterwards is less.
    let faults = vec![
        fault(22_600, 2_800, Kind::Isolate(Whom::Node(node), Way::Both)),
        fault(25_400, 2_500, Kind::Crash(Whom::Offering(Duration::from_millis(50)))),
    ];
    Plan {
        vnodes: 2,
        filler_bytes_max: 4_000,
        memtable_bytes: 16 << 10,
        tail_bytes_max: 150_000,
        image_part_bytes: 700,
        rest: Duration::from_secs(20),
        network,
        faults,
        length: Duration::from_secs(32),
        ..busy(seed)
    }
}
