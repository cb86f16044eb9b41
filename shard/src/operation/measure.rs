//! Measuring: about how much of a table this shard holds, for DescribeTable.
//!
//! The tree estimates it; what its estimate is worth is said there. On a node that is alone all keys of a table that lie in
//! this shard's tree are of its own vnodes, so one range is asked for. Of replicated vnodes only the leader's share counts, one by
//! one: then all shards together count each of them once.

use crate::refusal::Refusal;
use crate::shard::Shard;
use model::key::{KeyRange, TableId, keyspace, table_range, token_range};
use net::message::Measured;
use runtime::Runtime;

impl<R: Runtime> Shard<R> {
    /// Items and bytes of a table, whatever its status; of one that is not there none.
    pub(crate) async fn measure(&self, table: TableId) -> Result<Measured, Refusal> {
        if self.tables.map().version == 0 {
            return Err(Refusal::Busy);
        }
        if self.replication.cluster().is_none() {
            return self.measure_range(&table_range(keyspace::ITEMS, table)).await;
        }
        let map = self.tables.map();
        let mut all = Measured::default();
        for vnode in map.ring.vnodes() {
            if self.replication.leads(vnode.id).is_none() {
                continue;
            }
            let (from, to) = map.ring.range(vnode.id).expect("a vnode of the ring");
            let share = self.measure_range(&token_range(keyspace::ITEMS, table, from, to)).await?;
            (all.items, all.bytes) = (all.items + share.items, all.bytes + share.bytes);
            if self.rt.should_yield() {
                self.rt.yield_now().await;
            }
        }
        Ok(all)
    }

    async fn measure_range(&self, range: &KeyRange) -> Result<Measured, Refusal> {
        let estimate = self.tree.estimate(&range.from, &range.to).await;
        let estimate = estimate.map_err(|error| self.internal(&error))?;
        Ok(Measured { items: estimate.entries, bytes: estimate.bytes })
    }
}
