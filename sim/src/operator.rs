//! Who operates the cluster, as `torc ctl` does: asks whoever leads the catalog, from outside.

use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;

use model::ring::NodeId as Number;
use net::map::MapCell;
use net::message::{ArchivedReply, Cluster as Change, read_reply};
use net::secret::Trust;
use process::front::{Found, Front};
use process::member::member_of;
use process::peers::Peers;
use router::RouterOptions;
use runtime::Runtime;
use runtime::sim::SimRuntime;

use crate::cluster::Cluster;

/// The catalog is asked again after this.
const PAUSE: Duration = Duration::from_millis(200);

/// A change that was asked for again and again has to be taken within this.
const PATIENCE: Duration = Duration::from_secs(120);

/// Somebody outside the cluster who follows its map.
pub struct Operator {
    rt: SimRuntime,
    front: Front<SimRuntime>,
    _found: Found<SimRuntime>,
}

impl Operator {
    /// Finds the cluster.
    pub async fn open(cluster: &Cluster) -> Operator {
        let rt = cluster.operator_runtime();
        let front = Front::open(&rt, RouterOptions::default());
        let peers = Peers::new(Trust::Everybody, None);
        let _found = front.find(&cluster.seeds(), &peers, &OnceLock::new(), |_| ()).await;
        Operator { rt, front, _found }
    }

    /// The map as it is known here.
    pub fn map(&self) -> &MapCell {
        self.front.map()
    }

    /// Asks the catalog for a change, once; its answer, if it gives one.
    pub async fn ask(&self, change: Change) -> Option<Vec<u8>> {
        self.front.router().ask_cluster(change).await.ok()
    }

    /// Asks until there is an answer.
    pub async fn insist(&self, change: Change) -> Option<Vec<u8>> {
        let began = self.rt.now();
        while self.rt.now().since(began) < PATIENCE {
            if let Some(answer) = self.ask(change.clone()).await {
                return Some(answer);
            }
            self.rt.sleep(PAUSE).await;
        }
        None
    }

    /// Takes a node in that belongs to no cluster yet, and starts it.
    pub async fn join(&self, cluster: &Cluster, index: usize) {
        let node = cluster.node(index, Number(0), cluster.id_of(index));
        let Some(answer) = self.insist(Change::Join(member_of(&node))).await else { return };
        let Ok(ArchivedReply::Joined(number)) = read_reply(&answer) else {
            cluster.journal().note(format!("node {index} may not join"));
            return;
        };
        let number = Number(number.to_native());
        // The map that the node begins with has to know it.
        let mut map = self.map().get();
        while !map.nodes.contains_key(&number) {
            map = self.map().at_least(map.version + 1).await;
        }
        cluster.adopt(index, number, Rc::unwrap_or_clone(map).encode());
        cluster.begin(index);
    }
}
