//! Writing items: put, delete, update, alone or several in one message.
//!
//! ```text
//! check --> latch the key --> read the old item, if something needs it --> condition --> new item
//!       --> check again --> propose the effects --> durable, applied --> answer
//! ```
//!
//! **Copies.** The new bytes are put together once, in the shard's arena, as the command. From there the log copies them
//! into the buffer that the device reads, and when they are durable the memtable adopts them where they are.
//!
//! The latch goes with the log entry: it opens when the entry is applied, also when the client has gone. Before the
//! proposal, dropping the operation drops everything; after it, nothing can stop it.
//!
//! **What is read.** The old item is needed by a condition, by return values, by an update, by a delete that must know whether
//! there was anything, and by accounting: DynamoDB charges a write for the larger of the old and the new item, so a request that
//! wants its consumed capacity, or a table with provisioned throughput, sets `measure` and gets exact figures. A plain put into an
//! on-demand table needs none of it, and does not read.

use crate::command::CommandBuilder;
use crate::dispatch::Address;
use crate::latch::Guard;
use crate::operation::read::{Found, address, charged};
use crate::refusal::Refusal;
use crate::replication::{Proposal, Refused, Undone, Why};
use crate::shard::Shard;
use crate::stored;
use meter::ledger;
use meter::stage::Stage;
use model::error::ApiError;
use model::expression::{ConditionProgram, UpdateProgram, Updated};
use model::item::ItemRef;
use model::key::TableId;
use model::limits::ITEM_BYTES_MAX;
use model::ring::VnodeId;
use net::message::{
    ArchivedDelete, ArchivedDrop, ArchivedKeyAt, ArchivedPut, ArchivedReturnValues, ArchivedUpdate,
    ArchivedWrite, ArchivedWriteMany, Part, Written, optional,
};
use runtime::Runtime;
use runtime::sync::join_all;
use std::borrow::Cow;

/// One write, whatever operation it comes from.
struct Write<'a> {
    at: &'a ArchivedKeyAt,
    change: Change<'a>,
    condition: Option<ConditionProgram<'a>>,
    returns: ArchivedReturnValues,
    return_old_on_failure: bool,
    measure: bool,
}

/// What a write does to its item.
#[derive(Clone, Copy)]
enum Change<'a> {
    Put(ItemRef<'a>),
    Delete,
    Update { key_item: ItemRef<'a>, program: Option<UpdateProgram<'a>> },
}

/// What a write has decided on, from the old item.
struct Decision<'a> {
    /// The new item; none deletes.
    item: Option<Cow<'a, [u8]>>,
    attributes: Option<Vec<u8>>,
    /// Nothing has to be written: there is nothing to delete.
    idle: bool,
}

impl Write<'_> {
    fn needs_old(&self) -> bool {
        let returns_old = self.returns != ArchivedReturnValues::None;
        let changes_old = matches!(self.change, Change::Update { .. });
        self.condition.is_some() || returns_old || changes_old || self.measure
    }

    /// A write that can only make the disk's content smaller, or nearly so.
    fn shrinks(&self) -> bool {
        matches!(self.change, Change::Delete)
    }
}

impl<R: Runtime> Shard<R> {
    /// PutItem.
    pub(crate) async fn put(&self, put: &ArchivedPut) -> Result<Written, Refusal> {
        let write = Write {
            at: &put.at,
            change: Change::Put(self.item(&put.item)?),
            condition: self.condition(optional(&put.condition))?,
            returns: returns_old(put.return_old),
            return_old_on_failure: put.return_old_on_failure,
            measure: put.measure,
        };
        self.write(write).await
    }

    /// DeleteItem.
    pub(crate) async fn delete(&self, delete: &ArchivedDelete) -> Result<Written, Refusal> {
        let write = Write {
            at: &delete.at,
            change: Change::Delete,
            condition: self.condition(optional(&delete.condition))?,
            returns: returns_old(delete.return_old),
            return_old_on_failure: delete.return_old_on_failure,
            measure: delete.measure,
        };
        self.write(write).await
    }

    /// UpdateItem.
    pub(crate) async fn update(&self, update: &ArchivedUpdate) -> Result<Written, Refusal> {
        let program = optional(&update.program).map(UpdateProgram::check).transpose();
        let write = Write {
            at: &update.at,
            change: Change::Update {
                key_item: self.item(&update.key_item)?,
                program: program.map_err(|error| self.internal(&error))?,
            },
            condition: self.condition(optional(&update.condition))?,
            returns: update.returns,
            return_old_on_failure: update.return_old_on_failure,
            measure: true,
        };
        self.write(write).await
    }

    /// BatchWriteItem's share of this shard: each part by itself, all in one group commit.
    pub(crate) async fn write_many(&self, many: &ArchivedWriteMany) -> Vec<Part> {
        let parts = many.writes.iter().map(|write| self.write_part(write, many.measure));
        let answers = join_all(parts).await;
        answers.into_iter().map(|answer| answer.map_or_else(Part::from, Part::Written)).collect()
    }

    /// The dropped table's range of one vnode goes, as an entry of that vnode's log like any other.
    pub(crate) async fn drop_table(&self, drop: &ArchivedDrop) -> Result<(), Refusal> {
        let (vnode, table) = (VnodeId(drop.vnode.to_native()), TableId(drop.table.to_native()));
        let address = Address { vnode, table, key: None };
        loop {
            let term = self.check_leader(address)?;
            if self.tables.serving(table).is_some() {
                return Err(
                    self.internal(&format!("table {} is in service and must not be dropped", table.0))
                );
            }
            // No write of the table is proposed any more, so the entry is behind all there ever were.
            let range = self.range_of(vnode, table)?;
            let mut command = CommandBuilder::new(self.clock.next(&self.rt));
            command.drop_range(&range.from, &range.to);
            let proposal = Proposal { vnode, term, command: command.finish(), latch: None };
            match self.replication.propose(proposal) {
                Ok(receipt) => {
                    return receipt.await.map(|_times| ()).map_err(|undone| self.undone(vnode, undone));
                }
                Err(refused) => {
                    self.wait_after(refused).await?;
                }
            }
        }
    }

    async fn write_part(&self, part: &ArchivedWrite, measure: bool) -> Result<Written, Refusal> {
        let change = match optional(&part.item) {
            Some(item) => Change::Put(self.item(item)?),
            None => Change::Delete,
        };
        let returns = ArchivedReturnValues::None;
        let (condition, return_old_on_failure) = (None, false);
        let write = Write { at: &part.at, change, condition, returns, return_old_on_failure, measure };
        match self.write(write).await {
            Err(refusal) => Err(Box::pin(self.when_led(refusal)).await),
            written => written,
        }
    }

    async fn write(&self, write: Write<'_>) -> Result<Written, Refusal> {
        let address = address(write.at);
        let mut term = self.check_leader(address)?;
        self.check_table(address)?;
        self.heat.write(address.vnode);
        if self.disk_full.get() && !write.shrinks() {
            return Err(Refusal::Full);
        }
        ledger::mark(&self.rt, Stage::Queue);
        let latch = self.latches.take(&write.at.key).await;
        ledger::mark(&self.rt, Stage::Latch);
        let old = match write.needs_old() {
            true => {
                term = self.read_as_leader(address.vnode).await?;
                ledger::mark(&self.rt, Stage::Queue);
                let found = self.find(&write.at.key).await?;
                ledger::mark(&self.rt, Stage::Read);
                found
            }
            false => None,
        };
        let old_item = old.as_ref().map(Found::item);
        if write.condition.is_some_and(|condition| !condition.eval(old_item)) {
            let wanted = if write.return_old_on_failure { old.as_ref() } else { None };
            return Err(Refusal::condition_failed(wanted.map(Found::bytes)));
        }
        let decision = decide(&write, old_item)?;
        let written = Written {
            old_bytes: old_item.map_or(0, charged),
            new_bytes: decision.item.as_deref().map_or(0, |item| charged(ItemRef::trusted(item))),
            attributes: decision.attributes,
        };
        if let Some(old) = &old {
            self.clock.witness(old.stamp());
        }
        if !decision.idle {
            let key = write.at.key.as_slice();
            self.commit(address, term, key, decision.item.as_deref(), latch).await?;
        }
        Ok(written)
    }

    /// Proposes the effect on one key, in the term in which it was decided on, and waits until it is applied.
    async fn commit(
        &self,
        address: Address<'_>,
        term: u64,
        key: &[u8],
        item: Option<&[u8]>,
        latch: Guard,
    ) -> Result<(), Refusal> {
        let mut latch = Some(latch);
        loop {
            // Since the first check the map may have changed at any await; from here to the log there is none.
            self.check(address)?;
            let stamp = self.clock.next(&self.rt);
            let room = key.len() + item.map_or(0, |item| stored::STORED_HEADER_BYTES + item.len());
            let mut command = CommandBuilder::in_arena(stamp, &mut self.arena.borrow_mut(), room);
            match item {
                Some(item) => command.put(key, &[&stored::header(stamp), item]),
                None => command.delete(key),
            }
            let (vnode, latch_held) = (address.vnode, latch.take());
            let proposal = Proposal { vnode, term, command: command.finish(), latch: latch_held };
            ledger::mark(&self.rt, Stage::Evaluate);
            match self.replication.propose(proposal) {
                Ok(receipt) => {
                    let begin = self.rt.ticks();
                    ledger::with_present(|ledger| ledger.mark(begin, Stage::Append));
                    let times = receipt.await.map_err(|undone| self.undone(vnode, undone))?;
                    let end = self.rt.ticks();
                    ledger::with_present(|ledger| times.enter(ledger, end));
                    // What clients wait for: compaction gives way when it rises.
                    self.tree.observe(end.since(begin));
                    return Ok(());
                }
                // Boxed: seldom needed, and part of every write's future.
                Err(refused) => latch = Box::pin(self.wait_after(refused)).await?,
            }
        }
    }

    /// After a proposal was refused: waits when that helps and gives its latch back, else says what the client is told.
    pub(crate) async fn wait_after(&self, refused: Refused) -> Result<Option<Guard>, Refusal> {
        let Refused { proposal, why } = refused;
        match why {
            Why::NotLeader => Err(self.not_leader(proposal.vnode)),
            Why::Storage(lsm::Error::Busy) => {
                match self.replication.ready(proposal.command.len()).await {
                    Ok(()) => {}
                    Err(lsm::Error::Full { .. }) => return Err(Refusal::Full),
                    Err(error) => return Err(self.internal(&error)),
                }
                // Others may have been waiting for the same room: nobody spins on it.
                self.rt.yield_now().await;
                ledger::mark(&self.rt, Stage::Queue);
                Ok(proposal.latch)
            }
            Why::Storage(lsm::Error::Full { .. }) => Err(Refusal::Full),
            Why::Storage(other) => Err(self.internal(&other)),
        }
    }

    /// What a client is told whose command is not applied. When nobody knows, because the shard has failed or leadership was
    /// lost on the way, it may be there later or not.
    pub(crate) fn undone(&self, vnode: VnodeId, undone: Undone) -> Refusal {
        match undone {
            Undone::Lost => self.not_leader(vnode),
            Undone::Unknown => Refusal::internal(),
        }
    }

    /// An item that came in a message: fully checked, and of a size that can be stored.
    fn item<'a>(&self, bytes: &'a [u8]) -> Result<ItemRef<'a>, Refusal> {
        let item = ItemRef::check(bytes).map_err(|error| self.internal(&error))?;
        if too_large(item) {
            return Err(ApiError::validation("Item size has exceeded the maximum allowed size").into());
        }
        Ok(item)
    }

    fn condition<'a>(&self, program: Option<&'a [u8]>) -> Result<Option<ConditionProgram<'a>>, Refusal> {
        program.map(ConditionProgram::check).transpose().map_err(|error| self.internal(&error))
    }
}

/// More bytes than DynamoDB allows, or than the tree stores as one value.
fn too_large(item: ItemRef<'_>) -> bool {
    item.charges_more_than(ITEM_BYTES_MAX)
        || item.bytes().len() > lsm::VALUE_BYTES_MAX - stored::STORED_HEADER_BYTES
}

/// What a put or delete answers with.
fn returns_old(yes: bool) -> ArchivedReturnValues {
    if yes { ArchivedReturnValues::AllOld } else { ArchivedReturnValues::None }
}

/// The new item and the answer's attributes, from the old item.
fn decide<'a>(write: &Write<'a>, old: Option<ItemRef<'_>>) -> Result<Decision<'a>, Refusal> {
    let all_old = (write.returns == ArchivedReturnValues::AllOld).then_some(old).flatten();
    let attributes = all_old.map(|item| item.bytes().to_vec());
    match write.change {
        Change::Put(item) => {
            Ok(Decision { item: Some(Cow::Borrowed(item.bytes())), attributes, idle: false })
        }
        Change::Delete => {
            let idle = write.needs_old() && old.is_none();
            Ok(Decision { item: None, attributes, idle })
        }
        Change::Update { key_item, program: None } => {
            let item = old.unwrap_or(key_item).bytes().to_vec();
            let all_new = (write.returns == ArchivedReturnValues::AllNew).then(|| item.clone());
            Ok(Decision { item: Some(Cow::Owned(item)), attributes: attributes.or(all_new), idle: false })
        }
        Change::Update { key_item, program: Some(program) } => {
            let updated = program.apply(old, key_item)?;
            if !updated.makes_item {
                // Only removals, and nothing there: DynamoDB makes no item of it.
                return Ok(Decision { item: None, attributes, idle: true });
            }
            if too_large(ItemRef::trusted(&updated.item)) {
                let message = "Item size to update has exceeded the maximum allowed size";
                return Err(ApiError::validation(message).into());
            }
            let attributes = attributes.or_else(|| updated_attributes(write.returns, &updated, old));
            Ok(Decision { item: Some(Cow::Owned(updated.item)), attributes, idle: false })
        }
    }
}

fn updated_attributes(
    returns: ArchivedReturnValues,
    updated: &Updated<'_>,
    old: Option<ItemRef<'_>>,
) -> Option<Vec<u8>> {
    match returns {
        ArchivedReturnValues::None | ArchivedReturnValues::AllOld => None,
        ArchivedReturnValues::UpdatedOld => updated.updated_old(old),
        ArchivedReturnValues::AllNew => Some(updated.item.clone()),
        ArchivedReturnValues::UpdatedNew => updated.updated_new(),
    }
}
