//! The balancer: takes the next step that `model::placement` names, one at a time, until there is none.
//!
//! A step is written like any change, and from then on it is the group's to do; its leader reports, and the report is a change
//! again. How many are under way at once is in the map, so pacing needs no memory, and a new leader goes on where
//! the old one was. What nobody has heard of for a while gets nothing and loses nothing: it comes back, or people remove it.
//! While the balancer is paused, only moves that cannot end are turned back.

use super::Catalog;
use crate::shard::Shard;
use model::placement::{Limits, Look};
use model::ring::NodeId;
use net::message::{ClusterStatus, NodeStatus};
use runtime::Runtime;
use std::time::Duration;

/// How often to look whether a node went down or came back.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

impl<R: Runtime> Shard<R> {
    /// Takes the next step, if there is one; whether it did.
    pub(super) async fn balance_step(&self, catalog: &Catalog) -> bool {
        let next = loop {
            match self.look(catalog) {
                Look::Move(found) => break catalog.state().with_replicas(found.vnode, found.replicas),
                Look::Nothing => return false,
                Look::More => self.rt.yield_now().await,
            }
        };
        let written = self.write_cluster(catalog, next).await.is_ok();
        catalog.moves.set(catalog.moves.get() + u64::from(written));
        written
    }

    fn look(&self, catalog: &Catalog) -> Look {
        let state = catalog.state();
        if state.is_alone() || state.is_paused {
            return Look::Nothing;
        }
        let map = state.map();
        let limits = self.limits(catalog, &map);
        catalog.planner.borrow_mut().look(&map, state.next_peer, &limits)
    }

    fn limits(&self, catalog: &Catalog, map: &model::map::Map) -> Limits {
        let down = catalog.watchers.down(map, self.place().node, self.rt.now());
        Limits { down, ..self.options.moves.clone() }
    }

    /// How the cluster is.
    pub(super) fn cluster_status(&self, catalog: &Catalog) -> ClusterStatus {
        let (now, own) = (self.rt.now(), self.place().node);
        let state = catalog.state();
        let map = state.map();
        let progress = catalog.planner.borrow_mut().progress(&map, &self.limits(catalog, &map));
        let node_status = |number: &NodeId| {
            let seen = catalog.watchers.node(*number).filter(|_| *number != own);
            let since = |at| u64::try_from(now.since(at).as_millis()).unwrap_or(u64::MAX);
            NodeStatus {
                node: number.0,
                up: *number == own || catalog.watchers.is_up(*number, now),
                seen_ms: if *number == own { Some(0) } else { seen.map(|seen| since(seen.at)) },
                version: if *number == own { map.version } else { seen.map_or(0, |seen| seen.have) },
            }
        };
        ClusterStatus {
            version: map.version,
            epoch: map.ring.epoch,
            leader: own.0,
            paused: state.is_paused,
            moving: u32::try_from(progress.moving).unwrap_or(u32::MAX),
            left: u32::try_from(progress.left).unwrap_or(u32::MAX),
            nodes: map.nodes.keys().map(node_status).collect(),
        }
    }
}
