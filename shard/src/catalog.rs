//! The catalog: vnode 0, on shard 0 of its nodes. Which tables and nodes there are, who keeps what, and the map that
//! everybody routes and serves by.
//!
//! ```text
//! change --queue--> one worker: check --> command through vnode 0's log --> applied --> map to every core --> answer
//!                               \--> then, for tables on their way: ACTIVE, or drop every vnode's range and forget
//!                               \--> then, in a cluster: the next move of the ring, paced
//! ```
//!
//! 1. The worker runs on the shard that leads group 0. When its leadership begins, it reads the state from the tree, where all that
//!    was written under earlier leaders is applied by then; when it ends, whoever waits is sent on.
//! 2. A change is put into a bounded queue. The worker takes one after the other, so a change sees the one before, and
//!    a client that goes away cannot stop it half way.
//! 3. The worker checks, writes the records that differ as a command, and waits until it is applied: durable.
//! 4. The new map goes to every core of the process and to whoever watches (`watch`), and only then the client hears: its next
//!    request meets the table anywhere.
//! 5. A table that is CREATING, UPDATING or DELETING is carried on by the same worker, before the next change, and by
//!    the next leader if this one goes in between.
//! 6. When nothing else is to be done, the balancer takes the next step that `model::placement` names (`member`, `balance`).
//!
//! Promises: table ids are never used twice; a map's version only grows, over restarts too. A table's items are gone from every
//! vnode's log order on before its record goes, so that no name ever leads to old items.
//! FORMAT.md, "Catalog", has the keys and records.

mod balance;
mod change;
mod leadership;
mod member;
mod state;
mod watch;

pub(crate) use state::{Head, read_vnode};

use crate::error::Error;
use crate::refusal::Refusal;
use crate::replication::Proposal;
use crate::shard::{Shard, ShardOptions};
use change::Change;
use lsm::Tree;
use member::Member;
use model::error::ApiError;
use model::key::TableId;
use model::map::Map;
use model::placement::Planner;
use model::ring::{CATALOG, NodeId, Place, ShardId, Vnode};
use model::table::{Table, TableStatus};
use net::mesh::CallError;
use net::message::{
    ArchivedCatalog, ArchivedCluster, ArchivedReply, Drop, Moved, Operation, Reply, Request, read_reply,
};
use runtime::sync::{Either, Notify, Sender, join_all, oneshot, select};
use runtime::{Mono, Runtime};
use state::{Loaded, State};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;
use watch::Watchers;

/// A core that does not take the map, or a shard that does not drop its ranges, is asked again after so long.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// One try to reach a core of this process ends after this.
const TRY_MAX: Duration = Duration::from_secs(10);

/// One try to reach a vnode's leader ends after this: while it lasts, changes wait.
const FAR_TRY_MAX: Duration = Duration::from_secs(1);

/// Vnodes that are asked at once to drop their share of a table.
const DROPS_AT_ONCE: usize = 32;

/// Older maps that shard 0 remembers, for those who are a little behind.
const PAST_MAPS: usize = 16;

/// The catalog's part of shard 0: the queue and the worker's state while this shard leads.
pub(crate) struct Catalog {
    /// While this shard leads the catalog.
    state: RefCell<Option<State>>,
    /// The last map that every core and every watcher has: what descriptions are made of.
    published: RefCell<Option<Rc<Map>>>,
    waiting: RefCell<VecDeque<Waiting>>,
    waiting_max: usize,
    arrived: Notify,
    watchers: Watchers,
    /// Of tables that are being deleted: the vnodes that have dropped their share.
    dropped: RefCell<BTreeMap<TableId, BTreeSet<u32>>>,
    /// Looks for what is to be moved next.
    planner: RefCell<Planner>,
    /// Moves that were begun since this shard leads.
    moves: Cell<u64>,
}

/// A change that waits for the worker, and who waits for its answer.
type Waiting = (Asked, Sender<Result<Reply, Refusal>>);

/// What is asked of the worker.
enum Asked {
    /// About a table.
    Table(Change),
    /// About the cluster.
    Cluster(Member),
}

impl Catalog {
    /// Reads what the tree holds of the catalog, if this node is alone: then this shard leads it for ever.
    pub(crate) async fn open<R: Runtime>(
        options: &ShardOptions,
        tree: &Tree<R>,
        founding: &Map,
    ) -> Result<Catalog, Error> {
        let state = match founding.nodes.is_empty() {
            true => match State::load(options.shard, tree, founding).await? {
                Loaded::State(state) => Some(state),
                Loaded::Founding(_) => unreachable!("a node that is alone founds nothing"),
            },
            false => None,
        };
        Ok(Catalog {
            published: RefCell::new(state.as_ref().map(State::map)),
            state: RefCell::new(state),
            waiting: RefCell::default(),
            waiting_max: options.catalog_waiting_max,
            arrived: Notify::new(),
            watchers: Watchers::default(),
            dropped: RefCell::default(),
            planner: RefCell::default(),
            moves: Cell::new(0),
        })
    }

    /// Whether this shard leads the catalog, and knows its state.
    fn leads(&self) -> bool {
        self.state.borrow().is_some()
    }

    /// The state; only the worker asks, while it leads.
    fn state(&self) -> std::cell::Ref<'_, State> {
        std::cell::Ref::map(self.state.borrow(), |state| state.as_ref().expect("the worker has a state"))
    }

    fn map(&self) -> Rc<Map> {
        self.state().map()
    }

    /// Another shard leads from now on: nothing here is true any more. Who waits is given back.
    fn retire(&self) -> VecDeque<Waiting> {
        *self.state.borrow_mut() = None;
        *self.published.borrow_mut() = None;
        self.dropped.borrow_mut().clear();
        *self.planner.borrow_mut() = Planner::default();
        std::mem::take(&mut *self.waiting.borrow_mut())
    }

    /// A table's record out of the map that every core has. Who is told ACTIVE may use the table through any core at once,
    /// and who is told that it is gone finds it nowhere.
    fn describe(&self, name: &str) -> Result<Vec<u8>, Refusal> {
        let published = self.published.borrow();
        let published = published.as_ref().ok_or(Refusal::Busy)?;
        let table = published.tables.get(name).ok_or_else(|| change::no_such_table(name))?;
        Ok(table.to_item())
    }
}

impl<R: Runtime> Shard<R> {
    /// Answers whatever is asked about a table itself with its record, as it is after a change.
    pub(crate) async fn ask_catalog(&self, question: &ArchivedCatalog) -> Result<Reply, Refusal> {
        let catalog = self.leading_catalog()?;
        match question {
            ArchivedCatalog::Describe(name) => {
                self.confirm_catalog().await?;
                catalog.describe(name).map(Reply::Table)
            }
            change => {
                let change = Change::read(change).map_err(|error| self.internal(&error))?;
                self.ask_worker(catalog, Asked::Table(change)).await
            }
        }
    }

    /// Answers whatever is asked about the cluster.
    pub(crate) async fn ask_cluster(&self, question: &ArchivedCluster) -> Result<Reply, Refusal> {
        let catalog = self.leading_catalog()?;
        match question {
            ArchivedCluster::Status => Ok(Reply::Status(self.cluster_status(catalog))),
            change => {
                let change = Member::read(change)?;
                self.ask_worker(catalog, Asked::Cluster(change)).await
            }
        }
    }

    /// The catalog, if this shard leads it.
    fn leading_catalog(&self) -> Result<&Catalog, Refusal> {
        let Some(catalog) = &self.catalog else {
            return Err(self.internal(&"a question to the catalog came to a shard that does not lead it"));
        };
        if catalog.leads() { Ok(catalog) } else { Err(self.catalog_is_elsewhere()) }
    }

    /// Who may lead the catalog instead of this shard.
    fn catalog_is_elsewhere(&self) -> Refusal {
        let map = self.tables.map();
        let leader = self.catalog_leader().unwrap_or_else(|| map.catalog.first().place);
        Refusal::Moved(Moved { epoch: map.ring.epoch, node: leader.node.0, shard: leader.shard.0 })
    }

    async fn ask_worker(&self, catalog: &Catalog, asked: Asked) -> Result<Reply, Refusal> {
        if catalog.waiting.borrow().len() >= catalog.waiting_max {
            return Err(Refusal::Busy);
        }
        let (sender, receiver) = oneshot();
        catalog.waiting.borrow_mut().push_back((asked, sender));
        catalog.arrived.notify_all();
        receiver.await.unwrap_or_else(|_closed| Err(Refusal::internal()))
    }

    /// Works for the catalog whenever this shard leads it; on other shards there is nothing to do.
    pub(crate) async fn run_catalog(&self) -> Error {
        let Some(catalog) = &self.catalog else { return std::future::pending().await };
        self.mesh.map().remember(PAST_MAPS);
        loop {
            let term = self.catalog_won().await;
            let led = Box::pin(self.lead_catalog(catalog));
            match select(led, self.catalog_lost(term)).await {
                Either::First(Err(error)) => return error,
                Either::First(Ok(())) | Either::Second(()) => {}
            }
            for (_, sender) in catalog.retire() {
                let _ = sender.send(Err(self.catalog_is_elsewhere()));
            }
            self.rt.sleep(RETRY_PAUSE).await;
        }
    }

    /// Leads the catalog until somebody else does. Ok when what is written does not get through: then it is led by somebody
    /// else already, or nobody knows, and the state is read again.
    async fn lead_catalog(&self, catalog: &Catalog) -> Result<(), Error> {
        catalog.watchers.begin(self.rt.now());
        if !catalog.leads() {
            let map = self.tables.map();
            let state = match State::load(self.options.shard, &self.tree, &map).await? {
                Loaded::State(state) => state,
                Loaded::Founding(state) => match self.write_records(&state.founding()).await {
                    Ok(state) => state,
                    Err(_) => return Ok(()),
                },
            };
            *catalog.state.borrow_mut() = Some(state);
        }
        let map = catalog.map();
        self.spread(map.clone()).await;
        *catalog.published.borrow_mut() = Some(map);
        loop {
            let arrived = catalog.arrived.notified();
            // Tables on their way first: a table is ACTIVE right after the answer that says CREATING.
            let carried_on = self.carry_on(catalog).await;
            if !catalog.leads() {
                return Ok(());
            }
            if carried_on {
                continue;
            }
            let next = catalog.waiting.borrow_mut().pop_front();
            match next {
                Some((asked, sender)) => {
                    let answer = self.make_change(catalog, asked).await;
                    // A client that went away does not want to know.
                    let _ = sender.send(answer);
                    // Let it leave before its table is carried on.
                    self.rt.yield_now().await;
                }
                None => {
                    if !self.balance_step(catalog).await && catalog.leads() {
                        select(arrived, self.idle_pause(catalog)).await;
                    }
                }
            }
            if !catalog.leads() {
                return Ok(());
            }
        }
    }

    /// Until it is worth looking again whether there is something to do: tables that could not be carried on, nodes that
    /// went down or came back.
    async fn idle_pause(&self, catalog: &Catalog) {
        let (unfinished, alone) = {
            let state = catalog.state();
            (!state.unfinished().is_empty(), state.is_alone())
        };
        match (unfinished, alone) {
            (true, _) => self.rt.sleep(RETRY_PAUSE).await,
            (false, false) => self.rt.sleep(balance::LOOK_EVERY).await,
            (false, true) => std::future::pending().await,
        }
    }

    async fn make_change(&self, catalog: &Catalog, asked: Asked) -> Result<Reply, Refusal> {
        match asked {
            Asked::Table(change) => {
                let planned = change.plan(&catalog.state(), &self.rt);
                match planned.map_err(|error: ApiError| Refusal::from(error))? {
                    change::Plan::Write(table) => {
                        let record = table.to_item();
                        let next = catalog.state().with_table(*table);
                        self.write_tables(catalog, next).await?;
                        Ok(Reply::Table(record))
                    }
                    change::Plan::Nothing(table) => Ok(Reply::Table(table.to_item())),
                }
            }
            Asked::Cluster(change) => {
                let (now, own) = (self.rt.now(), self.place().node);
                let is_up = |node| node == own || catalog.watchers.is_up(node, now);
                let planned = change.plan(&catalog.state(), is_up);
                match planned? {
                    member::Plan::Write(next, reply) => {
                        self.write_cluster(catalog, *next).await?;
                        Ok(reply)
                    }
                    member::Plan::Nothing(reply) => Ok(reply),
                }
            }
        }
    }

    /// Takes one step for a table that is on its way; false when there is none, or it did not work for any.
    async fn carry_on(&self, catalog: &Catalog) -> bool {
        let unfinished = catalog.state().unfinished();
        for table in unfinished {
            let done = match table.status {
                TableStatus::Creating | TableStatus::Updating => {
                    let active = Table { status: TableStatus::Active, ..Table::clone(&table) };
                    let next = catalog.state().with_table(active);
                    self.write_tables(catalog, next).await.is_ok()
                }
                TableStatus::Deleting => self.delete_table(catalog, &table).await,
                TableStatus::Active => unreachable!("an active table is finished"),
            };
            // Not done: the disk is full, or a vnode has no leader. The table stays on its way, and others do not wait for it.
            if done || !catalog.leads() {
                return done;
            }
        }
        false
    }

    /// Drops a table's items everywhere, then its record; whether that is done. Every core's map says DELETING already.
    async fn delete_table(&self, catalog: &Catalog, table: &Table) -> bool {
        let map = catalog.map();
        let dropped = catalog.dropped.borrow().get(&table.id).cloned().unwrap_or_default();
        let left: Vec<Vnode> = map.ring.vnodes().filter(|vnode| !dropped.contains(&vnode.id.0)).collect();
        let mut is_done = true;
        for some in left.chunks(DROPS_AT_ONCE) {
            let answers = join_all(some.iter().map(|vnode| self.drop_on(&map, vnode, table))).await;
            let mut book = catalog.dropped.borrow_mut();
            let dropped = book.entry(table.id).or_default();
            for (vnode, done) in some.iter().zip(answers) {
                is_done &= done;
                if done {
                    dropped.insert(vnode.id.0);
                }
            }
        }
        if !is_done {
            return false;
        }
        let next = catalog.state().without_table(&table.name);
        let written = self.write_tables(catalog, next).await.is_ok();
        if written {
            catalog.dropped.borrow_mut().remove(&table.id);
        }
        written
    }

    /// Asks a vnode's leader, on whatever node it is, to drop its share of a table; whether it did.
    async fn drop_on(&self, map: &Map, vnode: &Vnode, table: &Table) -> bool {
        let operation = Operation::Drop(Drop { vnode: vnode.id.0, table: table.id.0 });
        let request = Request { epoch: map.ring.epoch, operation };
        let mut place = vnode.leader();
        // Who does not lead it mostly knows who does.
        for _ in 0..2 {
            let Ok(bytes) = self.call_far(place, request.encode()).await else { return false };
            match read_reply(&bytes) {
                Ok(ArchivedReply::Done) => return true,
                Ok(ArchivedReply::Moved(moved)) => {
                    let (node, shard) = (moved.node.to_native(), moved.shard.to_native());
                    place = Place { node: NodeId(node), shard: ShardId(shard) };
                }
                _ => return false,
            }
        }
        false
    }

    /// Makes a change of tables durable, then everybody's: every core has it, and whoever watches.
    async fn write_tables(&self, catalog: &Catalog, next: state::Next) -> Result<(), Refusal> {
        let map = self.write_state(catalog, next).await?;
        self.acknowledged(catalog, map.version).await;
        *catalog.published.borrow_mut() = Some(map);
        Ok(())
    }

    /// Makes a change of the cluster durable, then known. Nobody asks for more through somebody who does not know it yet.
    async fn write_cluster(&self, catalog: &Catalog, next: state::Next) -> Result<(), Refusal> {
        let map = self.write_state(catalog, next).await?;
        *catalog.published.borrow_mut() = Some(map);
        Ok(())
    }

    /// Makes the difference to `next` durable, and gives the map to every core of this process.
    async fn write_state(&self, catalog: &Catalog, next: state::Next) -> Result<Rc<Map>, Refusal> {
        let state = match self.write_records(&next).await {
            Ok(state) => state,
            Err(Refusal::Full) => return Err(Refusal::Full),
            Err(refusal) if catalog.state().is_alone() => return Err(refusal),
            Err(refusal) => {
                // Nobody knows whether it will be applied: what is true has to be read again.
                drop(catalog.state.borrow_mut().take());
                return Err(refusal);
            }
        };
        *catalog.state.borrow_mut() = Some(state);
        let map = catalog.map();
        self.spread(map.clone()).await;
        Ok(map)
    }

    /// Writes what differs and waits until it is applied; the new state.
    async fn write_records(&self, next: &state::Next) -> Result<State, Refusal> {
        for command in next.commands(|| self.clock.next(&self.rt)) {
            let mut command = command.finish();
            loop {
                let term = self.replication.leading(CATALOG).ok_or_else(|| self.not_leader(CATALOG))?;
                let proposal = Proposal { vnode: CATALOG, term, command, latch: None };
                match self.replication.propose(proposal) {
                    Ok(receipt) => {
                        receipt.await.map_err(|undone| self.undone(CATALOG, undone))?;
                        break;
                    }
                    Err(refused) => {
                        command = refused.proposal.command.clone();
                        self.wait_after(refused).await?;
                    }
                }
            }
        }
        Ok(next.state.clone())
    }

    /// Gives the map to every core, however long that takes: nobody is told of a change that a core does not know.
    async fn spread(&self, map: Rc<Map>) {
        while self.mesh.broadcast_map(map.clone(), self.rt.now().after(TRY_MAX)).await.is_err() {
            self.rt.sleep(RETRY_PAUSE).await;
        }
    }

    /// Asks a shard of any node, within [`FAR_TRY_MAX`].
    async fn call_far(&self, place: Place, request: Vec<u8>) -> Result<Vec<u8>, CallError> {
        let deadline: Mono = self.rt.now().after(FAR_TRY_MAX);
        if place.node == self.place().node {
            return self.mesh.call(place.shard, deadline, request).await;
        }
        let far = self.far.borrow().clone();
        match far {
            Some(far) => far(place, deadline, request).await,
            None => Err(CallError::NotServing),
        }
    }
}

#[cfg(test)]
mod tests;
