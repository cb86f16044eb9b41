//! Dispatch: a request's bytes come in, a reply's bytes go out; in between, who may ask for what.
//!
//! 1. The message is checked once (`net::message`) and read in place.
//! 2. Admission: over the bound the answer is `Busy`, before any work.
//! 3. Ownership: a vnode that has no replica here, or is led elsewhere, or a key outside the vnode's range is answered with
//!    `Moved`; a table that does not serve with DynamoDB's exception. Both are asked again right before a write is proposed,
//!    because the world may change at every await.
//! 4. The operation itself is in `operation`.

use crate::refusal::Refusal;
use crate::replication::NotRead;
use crate::shard::Shard;
use meter::ledger;
use meter::stage::{Operation as Metered, Stage};
use model::key::{TableId, keyspace, token_high_of_key, token_range};
use model::map::Map;
use model::ring::{Place, VnodeId};
use model::table::Table;
use net::message::{ArchivedOperation, ArchivedRequest, Moved, Reply, read_request};
use runtime::Runtime;
use std::rc::Rc;

/// Where an operation is addressed to, checked against the map of this moment by [`Shard::check`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address<'a> {
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
        let reply = reply.encode();
        ledger::with_present(|ledger| {
            ledger.mark(self.rt.ticks(), Stage::Evaluate);
            if ledger.was_served() {
                self.book().close_served(ledger);
            }
        });
        reply
    }

    async fn answer(&self, request: &ArchivedRequest, size: usize) -> Reply {
        // It waits for long and does nothing: it has a bound of its own.
        if let ArchivedOperation::Watch(watch) = &request.operation {
            return Box::pin(self.watch(watch)).await.unwrap_or_else(Reply::from);
        }
        let Some(_admitted) = self.admission.enter(size) else { return Reply::Busy };
        ledger::with_present(|ledger| {
            ledger.mark_arrived(self.rt.ticks());
            if ledger.is_for_others() {
                ledger.set_operation(metered(&request.operation));
            }
        });
        let answer = match &request.operation {
            ArchivedOperation::Get(get) => self.get(get).await.map(Reply::Item),
            ArchivedOperation::Put(put) => self.put(put).await.map(Reply::Written),
            ArchivedOperation::Delete(delete) => self.delete(delete).await.map(Reply::Written),
            ArchivedOperation::Update(update) => self.update(update).await.map(Reply::Written),
            ArchivedOperation::GetMany(many) => Ok(Reply::Many(Box::pin(self.get_many(many)).await)),
            ArchivedOperation::WriteMany(many) => Ok(Reply::Many(Box::pin(self.write_many(many)).await)),
            ArchivedOperation::Scan(scan) => Box::pin(self.scan(scan)).await.map(Reply::Page),
            // What is rare is boxed, so that what is frequent stays small.
            ArchivedOperation::Catalog(change) => Box::pin(self.ask_catalog(change)).await,
            ArchivedOperation::Cluster(change) => Box::pin(self.ask_cluster(change)).await,
            ArchivedOperation::Watch(_) => unreachable!("answered above"),
            ArchivedOperation::Drop(drop) => Box::pin(self.drop_table(drop)).await.map(|()| Reply::Done),
            ArchivedOperation::Measure(measure) => {
                let table = TableId(measure.table.to_native());
                Box::pin(self.measure(table)).await.map(Reply::Measured)
            }
            ArchivedOperation::Image(ask) => Box::pin(self.image(ask)).await.map(Reply::Image),
        };
        match answer {
            Err(refusal) => Box::pin(self.when_led(refusal)).await.into(),
            Ok(reply) => reply,
        }
    }

    /// Whether the vnode, the key and the table of an address belong together, and the table serves.
    pub(crate) fn check(&self, address: Address<'_>) -> Result<Rc<Table>, Refusal> {
        self.check_owner(address)?;
        self.check_table(address)
    }

    /// Whether the table of an address serves, and the key is one of its.
    pub(crate) fn check_table(&self, address: Address<'_>) -> Result<Rc<Table>, Refusal> {
        let table = self.tables.serving(address.table).ok_or_else(Refusal::no_table)?;
        let Some(key) = address.key else { return Ok(table) };
        let mut prefix = [keyspace::ITEMS; 5];
        prefix[1..].copy_from_slice(&address.table.0.to_be_bytes());
        if key.len() > lsm::KEY_BYTES_MAX || !key.starts_with(&prefix) {
            return Err(self.internal(&"a key that is not of its table"));
        }
        Ok(table)
    }

    /// Whether the vnode has a replica here, and the key is the vnode's. Epochs need not be equal: a vnode's range never
    /// changes, and who leads it is decided among its replicas.
    fn check_owner(&self, address: Address<'_>) -> Result<(), Refusal> {
        let map = self.tables.map();
        if map.version == 0 {
            // The catalog has not spoken yet since the start: nobody knows which tables there are.
            return Err(Refusal::Busy);
        }
        if let Some(key) = address.key {
            let token_high = token_high_of_key(key).ok_or_else(|| self.internal(&"a key without token"))?;
            let owner = map.ring.owner(token_high);
            if owner.id != address.vnode {
                return Err(Refusal::Moved(moved(&map, owner.leader())));
            }
        }
        match self.replication.is_here(address.vnode) {
            true => Ok(()),
            false => Err(self.not_leader(address.vnode)),
        }
    }

    /// The term in which this shard leads the vnode of an address.
    pub(crate) fn check_leader(&self, address: Address<'_>) -> Result<u64, Refusal> {
        self.check_owner(address)?;
        self.replication.may_propose(address.vnode).ok_or_else(|| self.not_leader(address.vnode))
    }

    /// Waits until a read here sees every write of the vnode that was acknowledged before; the term in which that holds.
    pub(crate) async fn read_as_leader(&self, vnode: VnodeId) -> Result<u64, Refusal> {
        let allowed = self.replication.read(vnode).await;
        allowed.map_err(|not_read| match not_read {
            NotRead::NotLeader => self.not_leader(vnode),
            NotRead::TooLate => Refusal::internal(),
        })
    }

    /// Waits until a read here may be answered: a consistent one as the leader, another one from what there is.
    pub(crate) async fn may_read(&self, vnode: VnodeId, consistent: bool) -> Result<(), Refusal> {
        if !consistent && self.replication.has(vnode) {
            return Ok(());
        }
        self.read_as_leader(vnode).await.map(drop)
    }

    /// While nobody is known who leads a vnode, the refusal waits for a moment: elections and hand-overs are over soon, and then it says where to go. So
    /// nobody asks again and again meanwhile.
    pub(crate) async fn when_led(&self, refusal: Refusal) -> Refusal {
        let (Refusal::Leaderless(vnode, _), Some(cluster)) = (&refusal, self.replication.cluster()) else {
            return refusal;
        };
        cluster.leader_known(*vnode).await;
        self.not_leader(*vnode)
    }

    /// Who leads the vnode, as far as this shard knows; nobody at this moment, perhaps.
    pub(crate) fn not_leader(&self, vnode: VnodeId) -> Refusal {
        let map = self.tables.map();
        let here = self.replication.is_here(vnode);
        match self.replication.leader_of(vnode).filter(|place| *place != self.place()) {
            Some(leader) => Refusal::Moved(moved(&map, leader)),
            None if here => Refusal::Leaderless(vnode, moved(&map, self.place())),
            None => {
                let first = map.replicas(vnode).map(|replicas| replicas.first().place);
                Refusal::Moved(moved(&map, first.unwrap_or(self.place())))
            }
        }
    }

    /// The storage keys of a table that lie in a vnode.
    pub(crate) fn range_of(&self, vnode: VnodeId, table: TableId) -> Result<model::key::KeyRange, Refusal> {
        let (from, to) = self.tables.map().ring.range(vnode).ok_or_else(Refusal::internal)?;
        Ok(token_range(keyspace::ITEMS, table, from, to))
    }
}

/// As what it is counted when another core asks: Query and Scan ask for the same pages.
fn metered(operation: &ArchivedOperation) -> Metered {
    match operation {
        ArchivedOperation::Get(_) => Metered::GetItem,
        ArchivedOperation::Put(_) => Metered::PutItem,
        ArchivedOperation::Delete(_) => Metered::DeleteItem,
        ArchivedOperation::Update(_) => Metered::UpdateItem,
        ArchivedOperation::GetMany(_) => Metered::BatchGetItem,
        ArchivedOperation::WriteMany(_) => Metered::BatchWriteItem,
        ArchivedOperation::Scan(_) => Metered::Scan,
        _ => Metered::Other,
    }
}

fn moved(map: &Map, to: Place) -> Moved {
    Moved { epoch: map.ring.epoch, node: to.node.0, shard: to.shard.0 }
}
