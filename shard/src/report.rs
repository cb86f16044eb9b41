//! Leaders tell the catalog that their groups have become what the map asked for; then it writes that down, and goes on.
//!
//! A report that does not arrive is made again: as long as the map says that replicas are on their way, and the leader sees that
//! they have arrived.

use crate::replication::{Cluster, Standing};
use crate::shard::Shard;
use model::ring::{CATALOG, NodeId, Place, ShardId};
use net::message::{ArchivedReply, Cluster as ClusterAsk, Operation, Report, Request, read_reply};
use runtime::Runtime;
use std::time::Duration;

/// How often to look whether there is something to report.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// One report ends after this.
const WAIT_MAX: Duration = Duration::from_secs(1);

impl<R: Runtime> Shard<R> {
    /// Reports what the groups led here have reached; never returns.
    pub(crate) async fn report_reached(&self, cluster: &Cluster<R>) {
        loop {
            self.rt.sleep(LOOK_EVERY).await;
            for reached in cluster.reached() {
                self.report_one(cluster, reached).await;
            }
        }
    }

    async fn report_one(&self, cluster: &Cluster<R>, reached: Standing) {
        let Standing { vnode, epoch, voters } = reached;
        let report = Report { vnode: vnode.0, epoch, voters };
        let request = Request { epoch, operation: Operation::Cluster(ClusterAsk::Report(report)) }.encode();
        let first = self.tables.map().catalog.first().place;
        let mut leader = cluster.leader_of(CATALOG).unwrap_or(first);
        // Who does not lead the catalog mostly knows who does.
        for _ in 0..2 {
            let deadline = self.rt.now().after(WAIT_MAX);
            let Ok(reply) = cluster.call(leader, deadline, request.clone()).await else { return };
            let Ok(ArchivedReply::Moved(moved)) = read_reply(&reply) else { return };
            let (node, shard) = (moved.node.to_native(), moved.shard.to_native());
            leader = Place { node: NodeId(node), shard: ShardId(shard) };
        }
    }
}
