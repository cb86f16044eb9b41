//! The catalog: vnode 0, on shard 0. Which tables there are, and the map that everybody routes and serves by.
//!
//! ```text
//! change --queue--> one worker: check --> command through vnode 0's log --> applied --> map to every core --> answer
//!                               \--> then, for tables on their way: ACTIVE, or drop every vnode's range and forget
//! ```
//!
//! 1. A change is put into a bounded queue. One worker takes one after the other, so a change sees the one before, and
//!    a client that goes away cannot stop it half way.
//! 2. The worker checks, writes the record as a command, and waits until it is applied: durable.
//! 3. The new map goes to every core, and only then the client hears: its next request meets the table anywhere.
//! 4. A table that is CREATING, UPDATING or DELETING is carried on by the same worker, before the next change, and at
//!    the next start if a crash came between.
//!
//! Promises: table ids are never used twice; a map's version only grows, over restarts too. A table's items are gone from every
//! vnode's log order on before its record goes, so that no name ever leads to old items.
//! FORMAT.md, "Catalog", has the keys and records.

mod change;
mod state;

pub(crate) use state::State;

use crate::command::CommandBuilder;
use crate::error::Error;
use crate::refusal::Refusal;
use crate::replication::Proposal;
use crate::shard::{Shard, ShardOptions};
use change::Change;
use lsm::Tree;
use model::error::ApiError;
use model::map::Map;
use model::ring::{CATALOG, Ring, Vnode};
use model::table::{Table, TableStatus};
use net::message::{ArchivedCatalog, ArchivedReply, Drop, Operation, Request, read_reply};
use runtime::sync::{Notify, Sender, oneshot};
use runtime::{Mono, Runtime};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

/// A core that does not take the map, or a shard that does not drop its ranges, is asked again after so long.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// One try to reach a core ends after this.
const TRY_MAX: Duration = Duration::from_secs(10);

/// The catalog's part of shard 0.
pub(crate) struct Catalog {
    state: RefCell<State>,
    /// The last map that every core has: what descriptions are made of.
    published: RefCell<Rc<Map>>,
    waiting: RefCell<VecDeque<Waiting>>,
    waiting_max: usize,
    arrived: Notify,
}

/// A change that waits for the worker, and who waits for its answer.
type Waiting = (Change, Sender<Result<Vec<u8>, Refusal>>);

impl Catalog {
    /// Reads what the tree holds of the catalog.
    pub(crate) async fn load<R: Runtime>(
        options: &ShardOptions,
        tree: &Tree<R>,
        ring: Ring,
    ) -> Result<Catalog, Error> {
        let state = State::load(options.shard, tree, ring).await?;
        let waiting_max = options.catalog_waiting_max;
        let waiting = RefCell::new(VecDeque::new());
        let published = RefCell::new(state.map());
        Ok(Catalog { state: RefCell::new(state), published, waiting, waiting_max, arrived: Notify::new() })
    }

    fn map(&self) -> Rc<Map> {
        self.state.borrow().map()
    }

    /// A table's record out of the map that every core has. Who is told ACTIVE may use the table through any core at once,
    /// and who is told that it is gone finds it nowhere.
    fn describe(&self, name: &str) -> Result<Vec<u8>, Refusal> {
        let published = self.published.borrow();
        let table = published.tables.get(name).ok_or_else(|| change::no_such_table(name))?;
        Ok(table.to_item())
    }
}

impl<R: Runtime> Shard<R> {
    /// Answers whatever is asked about a table itself with its record, as it is after a change.
    pub(crate) async fn ask_catalog(&self, question: &ArchivedCatalog) -> Result<Vec<u8>, Refusal> {
        let Some(catalog) = &self.catalog else {
            return Err(self.internal(&"a question to the catalog came to a shard that does not lead it"));
        };
        match question {
            ArchivedCatalog::Describe(name) => catalog.describe(name),
            change => self.change_catalog(catalog, change).await,
        }
    }

    async fn change_catalog(&self, catalog: &Catalog, change: &ArchivedCatalog) -> Result<Vec<u8>, Refusal> {
        let change = Change::read(change).map_err(|error| self.internal(&error))?;
        if catalog.waiting.borrow().len() >= catalog.waiting_max {
            return Err(Refusal::Busy);
        }
        let (sender, receiver) = oneshot();
        catalog.waiting.borrow_mut().push_back((change, sender));
        catalog.arrived.notify_all();
        receiver.await.unwrap_or_else(|_closed| Err(Refusal::internal()))
    }

    /// Works for the catalog for ever; on other shards there is nothing to do.
    pub(crate) async fn run_catalog(&self) -> Error {
        let Some(catalog) = &self.catalog else { return std::future::pending().await };
        self.spread(catalog.map()).await;
        loop {
            let arrived = catalog.arrived.notified();
            // Tables on their way first: a table is ACTIVE right after the answer that says CREATING.
            if self.carry_on(catalog).await {
                continue;
            }
            let next = catalog.waiting.borrow_mut().pop_front();
            match next {
                Some((change, sender)) => {
                    let answer = self.make_change(catalog, change).await;
                    // A client that went away does not want to know.
                    let _ = sender.send(answer);
                    // Let it leave before its table is carried on.
                    self.rt.yield_now().await;
                }
                None => arrived.await,
            }
        }
    }

    async fn make_change(&self, catalog: &Catalog, change: Change) -> Result<Vec<u8>, Refusal> {
        let planned = {
            let state = catalog.state.borrow();
            change.plan(&state, &self.rt)
        };
        match planned.map_err(|error: ApiError| Refusal::from(error))? {
            change::Plan::Write(table) => {
                let record = table.to_item();
                self.write_table(catalog, *table).await?;
                Ok(record)
            }
            change::Plan::Nothing(table) => Ok(table.to_item()),
        }
    }

    /// Takes one step for one table that is on its way; false when there is none, or it did not work.
    async fn carry_on(&self, catalog: &Catalog) -> bool {
        let Some(table) = catalog.state.borrow().unfinished() else { return false };
        let done = match table.status {
            TableStatus::Creating | TableStatus::Updating => {
                let active = Table { status: TableStatus::Active, ..Table::clone(&table) };
                self.write_table(catalog, active).await
            }
            TableStatus::Deleting => self.delete_table(catalog, &table).await,
            TableStatus::Active => unreachable!("an active table is finished"),
        };
        if done.is_err() {
            // The disk is full or the shard has failed; the table stays on its way, others wait no longer than this.
            self.rt.sleep(RETRY_PAUSE).await;
        }
        done.is_ok()
    }

    /// Writes a table's record and gives the map that has it to everybody.
    async fn write_table(&self, catalog: &Catalog, table: Table) -> Result<(), Refusal> {
        let next = catalog.state.borrow().with_table(table);
        self.write_state(catalog, next).await
    }

    /// Drops a table's items everywhere, then its record. Every core's map says DELETING already.
    async fn delete_table(&self, catalog: &Catalog, table: &Table) -> Result<(), Refusal> {
        let map = catalog.map();
        for vnode in map.ring.vnodes() {
            while !self.drop_on(&map, &vnode, table).await {
                self.rt.sleep(RETRY_PAUSE).await;
            }
        }
        let next = catalog.state.borrow().without_table(&table.name);
        self.write_state(catalog, next).await
    }

    /// Asks a vnode's leader to drop its share of a table; whether it did.
    async fn drop_on(&self, map: &Map, vnode: &Vnode, table: &Table) -> bool {
        let operation = Operation::Drop(Drop { vnode: vnode.id.0, table: table.id.0 });
        let request = Request { epoch: map.ring.epoch, operation }.encode();
        let reply = self.mesh.call(vnode.leader().shard, self.deadline(), request).await;
        reply.is_ok_and(|bytes| matches!(read_reply(&bytes), Ok(ArchivedReply::Done)))
    }

    /// Makes the difference to `next` durable, then everybody's.
    async fn write_state(&self, catalog: &Catalog, next: state::Next) -> Result<(), Refusal> {
        loop {
            let mut command = CommandBuilder::new(self.clock.next(&self.rt));
            next.fill(&mut command, self.clock.next(&self.rt));
            let proposal = Proposal { vnode: CATALOG, command: command.finish(), latch: None };
            match self.replication.propose(proposal) {
                Ok(receipt) => {
                    receipt.await.map_err(|_closed| Refusal::internal())?;
                    break;
                }
                Err(refused) => {
                    self.wait_after(refused).await?;
                }
            }
        }
        *catalog.state.borrow_mut() = next.state;
        let map = catalog.map();
        self.spread(map.clone()).await;
        *catalog.published.borrow_mut() = map;
        Ok(())
    }

    /// Gives the map to every core, however long that takes: nobody is told of a change that a core does not know.
    async fn spread(&self, map: Rc<Map>) {
        while self.mesh.broadcast_map(map.clone(), self.deadline()).await.is_err() {
            self.rt.sleep(RETRY_PAUSE).await;
        }
    }

    fn deadline(&self) -> Mono {
        self.rt.now().after(TRY_MAX)
    }
}

#[cfg(test)]
mod tests;
