//! The first node of the catalog is lost, and replicas move away from it.
//!
//! ```text
//! the catalog's first node is down     every replica that it has is to be on another node     leaders tell the catalog that it is done
//! ```
//!
//! Leaders on nodes that have no replica of the catalog do not know who leads it. The map names its nodes, and the first of them is the one that is down: a leader that asked
//! nobody else would never be heard, and the move would never end.

use std::time::Duration;

use model::ring::{NodeId, Replica, Role};
use net::message::{Cluster as Change, MoveReplica};

use super::{Scenario, busy, replication};
use crate::Failure;
use crate::plan::Plan;
use crate::story::{self, Report, Stage};

pub const SCENARIO: Scenario = Scenario {
    name: "lost-first",
    story: "the catalog's first node is down, and replicas move away from it",
    plan,
    run,
    bugs: &[replication(shard::Canary::ReportToFirst)],
    seeds_max: 5,
};

/// Moves are over within this.
const MOVES_TIME_MAX: Duration = Duration::from_secs(20);

fn plan(seed: u64) -> Plan {
    Plan { nodes: 5, zones: 5, vnodes: 8, length: Duration::from_secs(4), ..busy(seed) }
}

fn run(plan: &Plan) -> Result<Report, Failure> {
    story::run_with(plan, empty_the_first)
}

async fn empty_the_first(stage: &Stage) {
    let (world, cell) = (stage.cluster.world(), stage.operator.map());
    let map = cell.get();
    let lost = map.catalog.first().place.node;
    let index = stage.cluster.index_of(lost, &map).expect("it is one of the nodes");
    stage.cluster.crash(index);
    // Others lead what it led.
    world.sleep(Duration::from_secs(2)).await;
    let until = world.elapsed() + MOVES_TIME_MAX;
    loop {
        let map = cell.get();
        let replicas = map.ring.vnodes().map(|vnode| (vnode.id, vnode.replicas));
        // What was to come to it before anybody knew that it is down waits for it, rightly.
        let has = |seat: Replica| seat.place.node == lost && seat.role != Role::Joining;
        let left: Vec<_> = replicas.filter(|(_, replicas)| replicas.iter().any(has)).collect();
        if left.is_empty() {
            break;
        }
        if world.elapsed() > until {
            stage.cluster.watch().fail(format!("the replicas of node {index} do not move away: {left:?}"));
            return;
        }
        for (vnode, replicas) in
            left.iter().filter(|(_, all)| all.iter().all(|seat| seat.role == Role::Voter))
        {
            let is_free = |number: &&NodeId| replicas.iter().all(|seat| seat.place.node != **number);
            let to = map.nodes.keys().find(is_free).expect("three of five nodes have it").0;
            let change = MoveReplica { vnode: vnode.0, from: lost.0, to, shard: None };
            stage.operator.ask(Change::Move(change)).await;
        }
        world.sleep(Duration::from_millis(200)).await;
    }
}
