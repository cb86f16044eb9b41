//! Dispatch: a request's bytes come in, a reply's bytes go out; in between, who may ask for what.
//!
//! 1. The message is checked once (`net::message`) and read in place.
//! 2. Admission: over the bound the answer is `Busy`, before any work.
//! 3. Ownership: another epoch, a vnode of another shard or a key outside the vnode's range is answered with `Moved`; a
//!    table that does not serve with DynamoDB's exception. Both are asked again right before a write is proposed, because the world
//!    may change at every await.
//! 4. The operation itself is in `operation`.

use crate::refusal::Refusal;
use crate::shard::Shard;
use model::key::{TableId, keyspace, token_high_of_key, token_range};
use model::ring::{Place, VnodeId};
use model::table::Table;
use net::message::{ArchivedOperation, ArchivedRequest, Moved, Reply, read_request};
use runtime::Runtime;
use std::rc::Rc;

/// Where an operation is addressed to, checked against the map of this moment by [`Shard::check`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address<'a> {
    pub(crate) epoch: u64,
    pub(crate) vnode: VnodeId,
    pub(crate) table: TableId,
    /// One key, or none for a range.
    pub(crate) key: Option<&'a [u8]>,
}

impl<R: Runtime> Shard<R> {
    /// Answers one request. It may be dropped at any await: what was not proposed has no effect, what was is applied.
    pub async fn handle(&self, request: Vec<u8>) -> Vec<u8> {
        let reply = match read_request(&request) {
            Ok(request_read) => self.answer(request_read, request.len()).await,
            Err(malformed) => {
                (self.options.report)(&format!(
                    "shard {}: a request was refused: {malformed}",
                    self.options.shard.0
                ));
                Refusal::internal().into()
            }
        };
        reply.encode()
    }

    async fn answer(&self, request: &ArchivedRequest, size: usize) -> Reply {
        // It waits for long and does nothing: it has a bound of its own.
        if let ArchivedOperation::Watch(watch) = &request.operation {
            return self.watch(watch).await.unwrap_or_else(Reply::from);
        }
        let Some(_admitted) = self.admission.enter(size) else { return Reply::Busy };
        let epoch = request.epoch.to_native();
        let answer = match &request.operation {
            ArchivedOperation::Get(get) => self.get(epoch, get).await.map(Reply::Item),
            ArchivedOperation::Put(put) => self.put(epoch, put).await.map(Reply::Written),
            ArchivedOperation::Delete(delete) => self.delete(epoch, delete).await.map(Reply::Written),
            ArchivedOperation::Update(update) => self.update(epoch, update).await.map(Reply::Written),
            ArchivedOperation::GetMany(many) => Ok(Reply::Many(self.get_many(epoch, many).await)),
            ArchivedOperation::WriteMany(many) => Ok(Reply::Many(self.write_many(epoch, many).await)),
            ArchivedOperation::Scan(scan) => self.scan(epoch, scan).await.map(Reply::Page),
            ArchivedOperation::Catalog(change) => self.ask_catalog(change).await,
            ArchivedOperation::Cluster(change) => self.ask_cluster(change).await,
            ArchivedOperation::Watch(_) => unreachable!("answered above"),
            ArchivedOperation::Drop(drop) => self.drop_table(epoch, drop).await.map(|()| Reply::Done),
            ArchivedOperation::Measure(measure) => {
                self.measure(epoch, TableId(measure.table.to_native())).await.map(Reply::Measured)
            }
        };
        answer.unwrap_or_else(Reply::from)
    }

    /// Whether this shard may do something there now: it owns the vnode, the key is in it, the table serves.
    pub(crate) fn check(&self, address: Address<'_>) -> Result<Rc<Table>, Refusal> {
        self.check_owner(address)?;
        let table = self.tables.serving(address.table).ok_or_else(Refusal::no_table)?;
        let Some(key) = address.key else { return Ok(table) };
        let mut prefix = [keyspace::ITEMS; 5];
        prefix[1..].copy_from_slice(&address.table.0.to_be_bytes());
        if key.len() > lsm::KEY_BYTES_MAX || !key.starts_with(&prefix) {
            return Err(self.internal(&"a key that is not of its table"));
        }
        Ok(table)
    }

    /// Whether this shard owns the vnode, in the asker's epoch, and the vnode the key.
    pub(crate) fn check_owner(&self, address: Address<'_>) -> Result<(), Refusal> {
        let map = self.tables.map();
        if map.version == 0 {
            // The catalog has not spoken yet since the start: nobody knows which tables there are.
            return Err(Refusal::Busy);
        }
        let moved = |owner: Place| {
            Refusal::Moved(Moved { epoch: map.ring.epoch, node: owner.node.0, shard: owner.shard.0 })
        };
        let owner = match address.key {
            Some(key) => {
                map.ring.owner(token_high_of_key(key).ok_or_else(|| self.internal(&"a key without token"))?)
            }
            None => map.ring.vnode(address.vnode).ok_or_else(|| moved(self.place()))?,
        };
        let mine = owner.id == address.vnode && owner.leader() == self.place();
        if mine && address.epoch == map.ring.epoch { Ok(()) } else { Err(moved(owner.leader())) }
    }

    /// The storage keys of a table that lie in a vnode.
    pub(crate) fn range_of(&self, vnode: VnodeId, table: TableId) -> Result<model::key::KeyRange, Refusal> {
        let (from, to) = self.tables.map().ring.range(vnode).ok_or_else(Refusal::internal)?;
        Ok(token_range(keyspace::ITEMS, table, from, to))
    }
}
