//! Leaders tell the catalog that their groups have become what the map asked for; then it writes that down, and goes on.
//!
//! A report that does not arrive is made again: as long as the map says that replicas are on their way, and the leader sees that
//! they have arrived.

use crate::replication::{Canary, Cluster, Standing};
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
        let mut taken_by = None;
        loop {
            self.rt.sleep(LOOK_EVERY).await;
            for reached in cluster.reached() {
                taken_by = self.report_one(cluster, reached, taken_by).await;
            }
        }
    }

    /// Tells whoever leads the catalog; who that was. Where no replica of the catalog is, who took the last report is asked first, and then its nodes in turn: one
    /// may be gone for ever.
    async fn report_one(
        &self,
        cluster: &Cluster<R>,
        reached: Standing,
        last: Option<Place>,
    ) -> Option<Place> {
        let Standing { vnode, epoch, voters } = reached;
        let report = Report { vnode: vnode.0, epoch, voters };
        let request = Request { epoch, operation: Operation::Cluster(ClusterAsk::Report(report)) }.encode();
        let known = cluster.leader_of(CATALOG).or(last);
        let catalog = self.tables.map().catalog;
        let places = known.into_iter().chain(catalog.iter().map(|replica| replica.place));
        let so_many = if cluster.options().canary.is(Canary::ReportToFirst) { 1 } else { usize::MAX };
        for place in places.take(so_many) {
            if let Some(leader) = self.report_to(cluster, place, &request).await {
                return Some(leader);
            }
        }
        None
    }

    /// Who has answered, if anybody did who may lead the catalog.
    async fn report_to(&self, cluster: &Cluster<R>, mut place: Place, request: &[u8]) -> Option<Place> {
        // Who does not lead the catalog mostly knows who does.
        for _ in 0..2 {
            let deadline = self.rt.now().after(WAIT_MAX);
            let reply = cluster.call(place, deadline, request.to_vec()).await.ok()?;
            let Ok(ArchivedReply::Moved(moved)) = read_reply(&reply) else { return Some(place) };
            let (node, shard) = (moved.node.to_native(), moved.shard.to_native());
            place = Place { node: NodeId(node), shard: ShardId(shard) };
        }
        None
    }
}
