//! From an operation to a shard that may answer it, and back.
//!
//! ```text
//! token -> ring of the present map -> vnode -> who leads it (writes, strong reads) -> Fabric::call -> reply
//!            ^                            \--> any replica (eventual reads)               |
//!            +-- another place, a newer map, or a moment's pause -- Moved, Busy, nobody --+
//! ```
//!
//! - this file: one message to one place and what came back; the catalog; the sum of what shards measure.
//! - [`leader`]: to whoever leads: hints, redirects, one search per vnode.
//! - [`replica`]: to any replica: the nearest, the fastest, and a second one when the first is late.
//! - [`leaders`], [`places`], [`recent`], [`budget`]: what this core remembers of leaders, of places and of its own writes, and how many
//!   messages more than requests it may send.
//!
//! 1. Every attempt takes the map as it is then. What a `Moved` has told goes before it, until the map changes the vnode.
//! 2. `Moved`, `Busy` and a place where nobody is had no effect: another place is asked, or the same one after a pause that grows, until the
//!    operation's deadline. Without a leader the client hears so sooner: an InternalServerError, which SDKs repeat.
//! 3. A write whose outcome nobody knows is never sent again: the client gets an InternalServerError and decides. A read may be sent again, and
//!    is, when it is not answered in time.
//! 4. Messages beyond the first of a request are paid from a budget, so that trouble is not answered with a storm.
//!
//! Leaves to others: what is asked and what the reply means (`operation`).

mod budget;
mod leader;
mod leaders;
mod places;
mod recent;
mod replica;

pub(crate) use budget::Budget;
pub(crate) use leaders::Leaders;
pub(crate) use places::Places;
pub(crate) use recent::Recent;

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use meter::ledger;
use model::error::{ApiError, Code};
use model::key::TableId;
use model::map::Map;
use model::ring::{CATALOG, NodeId, Place, REPLICAS_MAX, Replicas, Role, ShardId, Vnode, VnodeId};
use net::mesh::CallError;
use net::message::{
    ArchivedFailed, ArchivedPart, ArchivedReply, Catalog, Cluster, Measure, Measured, Moved, Operation,
    Request, Watch, is_refusal, optional, read_reply,
};
use runtime::sync::join_all;
use runtime::{Mono, Purpose, Runtime};

use crate::Router;
use leaders::Search;

/// The first pause before another attempt; each next one is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// An operation looks for a leader for so long at least, also when others have found none for long.
const SEARCH_TIME_MIN: Duration = Duration::from_millis(250);

/// Whoever was asked for a newer map answers within this, or is not waited for.
const REFRESH_TIME_MAX: Duration = Duration::from_millis(500);

/// A vnode and its replicas, by the map of one attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) vnode: VnodeId,
    pub(crate) replicas: Replicas,
    /// The ring's epoch in that map.
    pub(crate) epoch: u64,
}

impl Target {
    /// The catalog.
    pub(crate) fn catalog(map: &Map) -> Target {
        Target { vnode: CATALOG, replicas: map.catalog, epoch: map.ring.epoch }
    }

    /// A vnode of the map's ring.
    pub(crate) fn of(map: &Map, vnode: &Vnode) -> Target {
        Target { vnode: vnode.id, replicas: vnode.replicas, epoch: map.ring.epoch }
    }
}

/// The attempts of one operation.
#[derive(Debug)]
pub(crate) struct Attempts {
    begun: Mono,
    pub(crate) deadline: Mono,
    pause: Duration,
    /// Messages that were sent.
    sent: u32,
    /// Who was asked since the last pause.
    tried: Tried,
    /// Since when nobody who leads could be found.
    leaderless_since: Option<Mono>,
    /// While this operation looks for the leader, for all who want it.
    search: Option<Search>,
    /// What the last replica said of trouble of its own.
    fault: Option<ApiError>,
}

/// Places that were asked in one round: replicas of one vnode, each once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tried {
    places: [Option<Place>; REPLICAS_MAX],
}

impl Tried {
    /// Notes that `place` was asked.
    pub(crate) fn push(&mut self, place: Place) {
        if !self.contains(place) {
            match self.places.iter_mut().find(|free| free.is_none()) {
                Some(free) => *free = Some(place),
                // More than a vnode has replicas come together only when the map has changed meanwhile: the oldest are another's.
                None => {
                    self.places.rotate_left(1);
                    self.places[REPLICAS_MAX - 1] = Some(place);
                }
            }
        }
    }

    /// Whether `place` was asked.
    pub(crate) fn contains(&self, place: Place) -> bool {
        self.places.contains(&Some(place))
    }

    /// Whether nobody was asked.
    pub(crate) fn is_empty(&self) -> bool {
        self.places[0].is_none()
    }

    /// A new round.
    pub(crate) fn clear(&mut self) {
        *self = Tried::default();
    }
}

/// What came back from one place.
#[derive(Debug)]
pub(crate) enum Said {
    /// The bytes of a reply that is no refusal; not checked yet.
    Answer(Vec<u8>),
    /// An exception.
    Failed(ApiError),
    /// Not there; nothing was done.
    Moved(Moved),
    /// Too much to do; nothing was done.
    Busy,
    /// Nobody serves there; nothing was done.
    Absent,
    /// No reply: what was done, nobody knows.
    Silent,
}

impl<R: Runtime> Router<R> {
    /// The attempts of an operation that begins now.
    pub(crate) fn attempts(&self) -> Attempts {
        self.retries.earn();
        ledger::with_present(|ledger| ledger.mark_prepared(self.rt.ticks()));
        let begun = self.rt.now();
        Attempts {
            begun,
            deadline: begun.after(self.options.operation_timeout),
            pause: PAUSE_MIN,
            sent: 0,
            tried: Tried::default(),
            leaderless_since: None,
            search: None,
            fault: None,
        }
    }

    /// Waits before the next attempt; the client's answer, if there is no time for one.
    pub(crate) async fn pause(&self, attempts: &mut Attempts) -> Result<(), ApiError> {
        // Between half the pause and all of it, so that those who were refused together do not come together.
        let half = attempts.pause / 2;
        let nanos = u64::try_from(half.as_nanos()).expect("pauses are short").max(1);
        let pause = half + Duration::from_nanos(self.rt.random(Purpose::Jitter) % nanos);
        attempts.pause = (attempts.pause * 2).min(PAUSE_MAX);
        attempts.tried.clear();
        if self.rt.now().after(pause) >= self.last_moment(attempts) {
            return Err(attempts.refusal());
        }
        self.rt.sleep(pause).await;
        Ok(())
    }

    /// Until when the operation may be tried: without a leader it ends sooner.
    fn last_moment(&self, attempts: &Attempts) -> Mono {
        let least = attempts.begun.after(SEARCH_TIME_MIN);
        let leaderless = attempts.leaderless_since.map(|since| since.after(self.options.leader_timeout));
        leaderless.map_or(attempts.deadline, |last| last.max(least).min(attempts.deadline))
    }

    /// Counts a message of the operation; those after the first are paid for, or not sent.
    pub(crate) fn pay(&self, attempts: &mut Attempts) -> Result<(), ApiError> {
        let is_free = attempts.sent == 0 || attempts.search.is_some();
        attempts.sent += 1;
        if is_free || self.retries.take() { Ok(()) } else { Err(attempts.refusal()) }
    }

    /// Asks whoever may answer for a token; `read` makes of the reply what the operation wants.
    pub(crate) async fn ask<T>(
        &self,
        token_high: u64,
        operation: Operation,
        read: impl FnOnce(&ArchivedReply) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let mut attempts = self.attempts();
        let mut request = Request { epoch: 0, operation };
        loop {
            let map = self.map.get();
            let vnode = map.ring.owner(token_high);
            let target = Target::of(&map, &vnode);
            request.epoch = target.epoch;
            set_vnode(&mut request.operation, &vnode);
            drop(map);
            let anywhere =
                takes_any_replica(&request.operation) && !self.recent.has(token_high, self.rt.now());
            if let Some(bytes) = self.attempt(&mut attempts, &target, &request, anywhere).await? {
                if target.replicas.len() > 1 && is_write(&request.operation) {
                    self.recent.note(token_high, self.rt.now());
                }
                return read(reply(&bytes)?);
            }
        }
    }

    /// One attempt: the bytes of an answer, or nothing when it is time for the next one. `anywhere`: any replica may answer.
    pub(crate) async fn attempt(
        &self,
        attempts: &mut Attempts,
        target: &Target,
        request: &Request,
        anywhere: bool,
    ) -> Result<Option<Vec<u8>>, ApiError> {
        if anywhere && target.replicas.len() > 1 {
            // Two messages may be on their way in it: beside it, those of a node that is alone stay small.
            Box::pin(self.ask_any(attempts, target, request)).await
        } else {
            self.ask_leader(attempts, target, request).await
        }
    }

    /// Asks the catalog for a change; the table's record after it.
    pub(crate) async fn ask_catalog(&self, change: Catalog) -> Result<Vec<u8>, ApiError> {
        let mut attempts = self.attempts();
        let mut request = Request { epoch: 0, operation: Operation::Catalog(change) };
        loop {
            let target = Target::catalog(&self.map.get());
            request.epoch = target.epoch;
            let Some(bytes) = self.attempt(&mut attempts, &target, &request, false).await? else { continue };
            return match reply(&bytes)? {
                ArchivedReply::Table(record) => Ok(record.to_vec()),
                _ => Err(misunderstood()),
            };
        }
    }

    /// Asks the catalog for a change of the cluster, or about it; the reply's bytes.
    ///
    /// # Errors
    /// What the catalog refuses, with a text for people; or that nobody leads it.
    pub async fn ask_cluster(&self, change: Cluster) -> Result<Vec<u8>, ApiError> {
        let mut attempts = self.attempts();
        let mut request = Request { epoch: 0, operation: Operation::Cluster(change) };
        loop {
            let target = Target::catalog(&self.map.get());
            request.epoch = target.epoch;
            if let Some(bytes) = self.attempt(&mut attempts, &target, &request, false).await? {
                return Ok(bytes);
            }
        }
    }

    /// About how much a table holds: the sum of what all shards say of the vnodes that they lead.
    pub(crate) async fn measure(&self, table: TableId) -> Result<Measured, ApiError> {
        let mut attempts = self.attempts();
        loop {
            let map = self.map.get();
            let operation = Operation::Measure(Measure { table: table.0 });
            let request = Request { epoch: map.ring.epoch, operation };
            let places: BTreeSet<Place> =
                map.ring.vnodes().flat_map(|vnode| voters(&vnode.replicas)).collect();
            let deadline = self.read_deadline(&attempts);
            let said = join_all(places.iter().map(|place| self.call(*place, deadline, &request))).await;
            // Who is away leads nothing; but one who is alone has it all.
            match sum(said, map.nodes.is_empty())? {
                Some(measured) => return Ok(measured),
                None => {
                    self.pay(&mut attempts)?;
                    self.pause(&mut attempts).await?;
                }
            }
        }
    }

    /// One message to one place.
    pub(crate) async fn call(&self, place: Place, deadline: Mono, request: &Request) -> Said {
        let watched = self.places.begin(&self.rt, place, self.fabric().node());
        let outcome = self.fabric().call(place, deadline, request.encode()).await;
        if let Some(watched) = watched {
            watched.end(&outcome);
        }
        match outcome {
            Ok(bytes) => classify(bytes),
            Err(CallError::Busy) => Said::Busy,
            Err(CallError::NotServing) => Said::Absent,
            Err(CallError::Deadline | CallError::Closed) => Said::Silent,
        }
    }

    /// How long one attempt of a read may take: after that another replica is asked.
    pub(crate) fn read_deadline(&self, attempts: &Attempts) -> Mono {
        attempts.deadline.min(self.rt.now().after(self.options.read_timeout))
    }

    /// What a `Moved` says of the map: when it is of a newer ring, this core's map is brought up to date, by whoever has it.
    /// Returns whether it became newer.
    pub(crate) async fn catch_up(&self, attempts: &Attempts, moved: &Moved, from: Place) -> bool {
        if moved.epoch <= self.map.get().ring.epoch {
            return false;
        }
        let deadline = attempts.deadline.min(self.rt.now().after(REFRESH_TIME_MAX));
        if self.refreshing.replace(true) {
            // Somebody asks already.
            let next = self.map.get().version + 1;
            let left = deadline.since(self.rt.now());
            return runtime::sync::timeout(&self.rt, left, self.map.at_least(next)).await.is_ok();
        }
        let newer = self.refresh(from, deadline).await;
        self.refreshing.set(false);
        newer
    }

    /// Asks the node of `from` for a newer map: its first shard, which follows the catalog for all of them. Only this core's cell gets it: the others hear it from whoever follows the catalog.
    async fn refresh(&self, from: Place, deadline: Mono) -> bool {
        let map = self.map.get();
        let watch = Watch { have: map.version, watcher: 0, node: None, anyone: true };
        let request = Request { epoch: map.ring.epoch, operation: Operation::Watch(watch) };
        let first = Place { shard: ShardId(0), ..from };
        let Said::Answer(bytes) = self.call(first, deadline, &request).await else { return false };
        match read_reply(&bytes) {
            Ok(ArchivedReply::Map(news)) => {
                map.update(news.as_slice()).is_ok_and(|map| self.map.set(Rc::new(map)))
            }
            _ => false,
        }
    }

    /// The map as it is now.
    pub(crate) fn map(&self) -> Rc<Map> {
        self.map.get()
    }
}

impl Attempts {
    /// The client's answer when there is no time or no budget for another attempt.
    pub(crate) fn refusal(&mut self) -> ApiError {
        match (self.fault.take(), self.leaderless_since) {
            (Some(fault), _) => fault,
            (None, Some(_)) => internal(),
            (None, None) => overloaded(),
        }
    }

    /// Somebody answered for the vnode, if only that it is busy.
    pub(crate) fn found_somebody(&mut self) {
        self.leaderless_since = None;
        self.search = None;
    }

    /// Nobody was found who could answer, since then.
    pub(crate) fn found_nobody(&mut self, since: Mono) {
        self.leaderless_since.get_or_insert(since);
    }
}

/// Reads that may be a moment behind.
pub(crate) fn takes_any_replica(operation: &Operation) -> bool {
    match operation {
        Operation::Get(get) => !get.consistent,
        Operation::Scan(scan) => !scan.consistent,
        _ => false,
    }
}

fn is_write(operation: &Operation) -> bool {
    matches!(operation, Operation::Put(_) | Operation::Delete(_) | Operation::Update(_))
}

/// What may be asked twice, because it changes nothing, or nothing more.
pub(crate) fn only_reads(operation: &Operation) -> bool {
    match operation {
        Operation::Get(_) | Operation::GetMany(_) | Operation::Scan(_) | Operation::Measure(_) => true,
        Operation::Catalog(change) => matches!(change, Catalog::Describe(_)),
        Operation::Cluster(_) => true,
        _ => false,
    }
}

/// Where replicas are that have all data: one that joins may not.
pub(crate) fn voters(replicas: &Replicas) -> impl Iterator<Item = Place> + use<> {
    let replicas = *replicas;
    (0..REPLICAS_MAX).filter_map(move |index| {
        let replica = replicas.iter().nth(index)?;
        (replica.role != Role::Joining).then_some(replica.place)
    })
}

fn classify(bytes: Vec<u8>) -> Said {
    if !is_refusal(&bytes) {
        return Said::Answer(bytes);
    }
    match read_reply(&bytes) {
        Ok(ArchivedReply::Moved(moved)) => Said::Moved(Moved {
            epoch: moved.epoch.to_native(),
            node: moved.node.to_native(),
            shard: moved.shard.to_native(),
        }),
        Ok(ArchivedReply::Busy) => Said::Busy,
        Ok(ArchivedReply::Failed(failed)) => Said::Failed(failure(failed)),
        Ok(_) | Err(_) => Said::Failed(misunderstood()),
    }
}

/// Whom a `Moved` names.
pub(crate) fn place_of(moved: &Moved) -> Place {
    Place { node: NodeId(moved.node), shard: ShardId(moved.shard) }
}

/// What all replies to a `Measure` come to; nothing, as long as one that counts is missing.
fn sum(replies: Vec<Said>, all_count: bool) -> Result<Option<Measured>, ApiError> {
    let (mut sum, mut answers) = (Measured::default(), 0);
    for said in replies {
        match said {
            Said::Answer(bytes) => match reply(&bytes)? {
                ArchivedReply::Measured(measured) => {
                    sum.items += measured.items.to_native();
                    sum.bytes += measured.bytes.to_native();
                    answers += 1;
                }
                _ => return Err(misunderstood()),
            },
            Said::Failed(error) => return Err(error),
            Said::Absent | Said::Silent if !all_count => (),
            Said::Moved(_) | Said::Busy | Said::Absent | Said::Silent => return Ok(None),
        }
    }
    Ok((answers > 0).then_some(sum))
}

fn set_vnode(operation: &mut Operation, vnode: &Vnode) {
    match operation {
        Operation::Get(get) => get.at.vnode = vnode.id.0,
        Operation::Put(put) => put.at.vnode = vnode.id.0,
        Operation::Delete(delete) => delete.at.vnode = vnode.id.0,
        Operation::Update(update) => update.at.vnode = vnode.id.0,
        Operation::Scan(scan) => scan.vnode = vnode.id.0,
        other => panic!("not asked of one token: {other:?}"),
    }
}

/// A reply, checked; it comes from a shard of ours, so what is none is a fault of ours.
pub(crate) fn reply(bytes: &[u8]) -> Result<&ArchivedReply, ApiError> {
    read_reply(bytes).map_err(|_| misunderstood())
}

/// The exception that a shard answered with.
pub(crate) fn failure(failed: &ArchivedFailed) -> ApiError {
    let code = Code::from_number(failed.code.to_native()).unwrap_or(Code::InternalServerError);
    let error = ApiError::new(code, failed.message.as_str());
    match optional(&failed.item) {
        Some(item) => error.with_item(item.to_vec()),
        None => error,
    }
}

/// The parts of a reply to a batch of `count`.
pub(crate) fn parts(bytes: &[u8], count: usize) -> Result<&[ArchivedPart], ApiError> {
    match reply(bytes)? {
        ArchivedReply::Many(parts) if parts.len() == count => Ok(parts.as_slice()),
        _ => Err(misunderstood()),
    }
}

/// A reply of another kind than the question's.
pub(crate) fn misunderstood() -> ApiError {
    internal()
}

pub(crate) fn internal() -> ApiError {
    ApiError::new(Code::InternalServerError, "Internal server error")
}

fn overloaded() -> ApiError {
    ApiError::new(Code::Throttling, "Rate of requests exceeds what can be served; try again.")
}
