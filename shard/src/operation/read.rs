//! Reading items by key.

use crate::clock::Stamp;
use crate::dispatch::Address;
use crate::refusal::Refusal;
use crate::shard::Shard;
use crate::stored;
use lsm::{READS_AT_ONCE_MAX, Value};
use meter::ledger;
use meter::stage::Stage;
use model::expression::ProjectionProgram;
use model::item::ItemRef;
use model::key::TableId;
use model::ring::VnodeId;
use net::message::{ArchivedGet, ArchivedGetMany, ArchivedKeyAt, Item, Part, optional};
use runtime::Runtime;

/// An item as it was read; keeps its bytes.
pub(crate) struct Found {
    value: Value,
}

impl Found {
    /// The item.
    pub(crate) fn item(&self) -> ItemRef<'_> {
        // The block's checksum was verified, and only checked items are written.
        ItemRef::trusted(&self.value[stored::STORED_HEADER_BYTES..])
    }

    /// When it was written.
    pub(crate) fn stamp(&self) -> Stamp {
        stored::open(&self.value).expect("checked when it was read").0
    }

    /// A copy of the item's bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.item().bytes().to_vec()
    }
}

/// Bytes of an item as they are charged, in a message's type.
pub(crate) fn charged(item: ItemRef<'_>) -> u32 {
    u32::try_from(item.charged_bytes()).expect("an item is far smaller than 4 GiB")
}

/// The address of a single key.
pub(crate) fn address(at: &ArchivedKeyAt) -> Address<'_> {
    let (vnode, table) = (VnodeId(at.vnode.to_native()), TableId(at.table.to_native()));
    Address { vnode, table, key: Some(at.key.as_slice()) }
}

impl<R: Runtime> Shard<R> {
    /// GetItem. A consistent read sees every acknowledged write: this shard leads the vnode, makes sure that nobody else
    /// does, and answers a write only after it is applied. Another one sees what this replica has applied.
    pub(crate) async fn get(&self, get: &ArchivedGet) -> Result<Item, Refusal> {
        let projection = self.admit_get(get).await?;
        ledger::mark(&self.rt, Stage::Queue);
        let found = self.tree.get(&get.at.key).await;
        ledger::mark(&self.rt, Stage::Read);
        self.item_of(found, projection)
    }

    /// Waits until a get may be answered here; its projection.
    async fn admit_get<'g>(&self, get: &'g ArchivedGet) -> Result<Option<ProjectionProgram<'g>>, Refusal> {
        let address = address(&get.at);
        self.check(address)?;
        let projection = self.projection(optional(&get.projection))?;
        self.may_read(address.vnode, get.consistent).await?;
        self.heat.read(address.vnode);
        Ok(projection)
    }

    /// The answer to a get, of what the tree found.
    fn item_of(
        &self,
        found: Result<Option<Value>, lsm::Error>,
        projection: Option<ProjectionProgram<'_>>,
    ) -> Result<Item, Refusal> {
        let Some(found) = self.opened(found)? else {
            return Ok(Item { item: None, charged_bytes: 0 });
        };
        let item = found.item();
        let projected = match projection {
            Some(projection) => projection.project(item),
            None => item.bytes().to_vec(),
        };
        Ok(Item { item: Some(projected), charged_bytes: charged(item) })
    }

    /// Gets, in their order, whose reads are in flight together.
    async fn get_together(&self, gets: &[ArchivedGet]) -> Vec<Result<Item, Refusal>> {
        let mut admitted = Vec::with_capacity(gets.len());
        for get in gets {
            admitted.push(self.admit_get(get).await);
        }
        let admitted_gets = gets.iter().zip(&admitted).filter(|(_, admitted)| admitted.is_ok());
        let keys: Vec<&[u8]> = admitted_gets.map(|(get, _)| get.at.key.as_slice()).collect();
        ledger::mark(&self.rt, Stage::Queue);
        let mut values = self.tree.get_many(&keys).await.into_iter();
        ledger::mark(&self.rt, Stage::Read);
        let answers = admitted.into_iter().map(|admitted| {
            let projection = admitted?;
            self.item_of(values.next().expect("a value for each key"), projection)
        });
        answers.collect()
    }

    /// BatchGetItem's share of this shard. Parts fail alone; what is over the size is left for another call.
    pub(crate) async fn get_many(&self, many: &ArchivedGetMany) -> Vec<Part> {
        let bytes_max = many.bytes_max.to_native() as usize;
        let mut parts = Vec::with_capacity(many.gets.len());
        let mut bytes = 0;
        for gets in many.gets.as_slice().chunks(READS_AT_ONCE_MAX) {
            if bytes >= bytes_max {
                parts.extend(gets.iter().map(|_| Part::Skipped));
                continue;
            }
            for answer in self.get_together(gets).await {
                let size = answer.as_ref().map_or(0, |item| item.charged_bytes as usize);
                let over = bytes > 0 && bytes + size > bytes_max;
                bytes += size;
                parts.push(match answer {
                    Ok(_) if over => Part::Skipped,
                    Ok(item) => Part::Item(item),
                    Err(refusal) => refusal.into(),
                });
            }
        }
        parts
    }

    /// Whether the tree holds this storage key, whoever owns it now. For checkers: it asks nobody for permission.
    pub async fn holds(&self, key: &[u8]) -> bool {
        self.find(key).await.is_ok_and(|found| found.is_some())
    }

    /// The item of a storage key.
    pub(crate) async fn find(&self, key: &[u8]) -> Result<Option<Found>, Refusal> {
        self.opened(self.tree.get(key).await)
    }

    /// What the tree found, checked.
    fn opened(&self, found: Result<Option<Value>, lsm::Error>) -> Result<Option<Found>, Refusal> {
        let Some(value) = found.map_err(|error| self.internal(&error))? else { return Ok(None) };
        if stored::open(&value).is_none() {
            return Err(self.internal(&"a stored value of an unknown version"));
        }
        Ok(Some(Found { value }))
    }

    /// A checked projection.
    pub(crate) fn projection<'p>(
        &self,
        program: Option<&'p [u8]>,
    ) -> Result<Option<ProjectionProgram<'p>>, Refusal> {
        program.map(ProjectionProgram::check).transpose().map_err(|error| self.internal(&error))
    }

    /// Reports what a client is not told.
    pub(crate) fn internal(&self, error: &dyn std::fmt::Display) -> Refusal {
        (self.options.report)(&format!("shard {}: {error}", self.options.shard.0));
        Refusal::internal()
    }
}
