//! Measuring: about how much of a table this shard holds, for DescribeTable.
//!
//! The tree estimates it; what its estimate is worth is said there. All keys of a table that lie in this shard's tree
//! are of its own vnodes, so one range is asked for.

use crate::refusal::Refusal;
use crate::shard::Shard;
use model::key::{TableId, keyspace, table_range};
use net::message::{Measured, Moved};
use runtime::Runtime;

impl<R: Runtime> Shard<R> {
    /// Items and bytes of a table, whatever its status; of one that is not there none.
    pub(crate) async fn measure(&self, epoch: u64, table: TableId) -> Result<Measured, Refusal> {
        let map = self.tables.map();
        if map.version == 0 {
            return Err(Refusal::Busy);
        }
        if epoch != map.ring.epoch {
            let own = self.place();
            return Err(Refusal::Moved(Moved {
                epoch: map.ring.epoch,
                node: own.node.0,
                shard: own.shard.0,
            }));
        }
        let range = table_range(keyspace::ITEMS, table);
        let estimate = self.tree.estimate(&range.from, &range.to).await;
        let estimate = estimate.map_err(|error| self.internal(&error))?;
        Ok(Measured { items: estimate.entries, bytes: estimate.bytes })
    }
}
