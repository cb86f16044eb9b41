//! From an operation to the shard that owns its key, and back.
//!
//! ```text
//! token -> ring of the present map -> vnode, leader -> Mesh::call -> reply
//!            ^                                                        |
//!            +--- wait a moment, take the map anew --- Moved, Busy ---+
//! ```
//!
//! 1. Every attempt takes the map as it is then; nothing of an older one is kept.
//! 2. `Moved`, `Busy` and a peer that does not serve had no effect: they are tried again, with growing pauses, until the
//!    operation's deadline. Then the client is told to come back.
//! 3. A call whose outcome nobody knows is never tried again: the client gets an InternalServerError and decides.
//!
//! Leaves to others: what is asked and what the reply means (`operation`).

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use model::error::{ApiError, Code};
use model::key::TableId;
use model::map::Map;
use model::ring::{NodeId, Place, Vnode};
use net::mesh::CallError;
use net::message::{
    ArchivedFailed, ArchivedPart, ArchivedReply, Catalog, Measure, Measured, Operation, Request, optional,
    read_reply,
};
use runtime::sync::join_all;
use runtime::{Mono, Purpose, Runtime};

use crate::Router;

/// The first pause before another attempt; each next one is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// The attempts of one operation.
#[derive(Debug)]
pub(crate) struct Attempts {
    pub(crate) deadline: Mono,
    pause: Duration,
}

/// Why there is no reply.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Nothing was done: ask again, later.
    Again,
    /// This is the client's answer.
    Final(ApiError),
}

impl<R: Runtime> Router<R> {
    /// The attempts of an operation that begins now.
    pub(crate) fn attempts(&self) -> Attempts {
        Attempts { deadline: self.rt.now().after(self.options.operation_timeout), pause: PAUSE_MIN }
    }

    /// Waits before the next attempt; the client's answer, if there is no time for one.
    pub(crate) async fn pause(&self, attempts: &mut Attempts) -> Result<(), ApiError> {
        // Between half the pause and all of it, so that those who were refused together do not come together.
        let half = attempts.pause / 2;
        let nanos = u64::try_from(half.as_nanos()).expect("pauses are short").max(1);
        let pause = half + Duration::from_nanos(self.rt.random(Purpose::Jitter) % nanos);
        attempts.pause = (attempts.pause * 2).min(PAUSE_MAX);
        if self.rt.now().after(pause) >= attempts.deadline {
            return Err(overloaded());
        }
        self.rt.sleep(pause).await;
        Ok(())
    }

    /// Asks the owner of a token; `read` makes of the reply what the operation wants.
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
            request.epoch = map.ring.epoch;
            set_vnode(&mut request.operation, &vnode);
            match self.send(vnode.leader(), attempts.deadline, &request).await {
                Ok(bytes) => return read(reply(&bytes)?),
                Err(Refused::Final(error)) => return Err(error),
                Err(Refused::Again) => self.pause(&mut attempts).await?,
            }
        }
    }

    /// Asks the catalog for a change; the table's record after it.
    pub(crate) async fn ask_catalog(&self, change: Catalog) -> Result<Vec<u8>, ApiError> {
        let mut attempts = self.attempts();
        let mut request = Request { epoch: 0, operation: Operation::Catalog(change) };
        loop {
            request.epoch = self.map.get().ring.epoch;
            match self.send(CATALOG_PLACE, attempts.deadline, &request).await {
                Ok(bytes) => {
                    return match reply(&bytes)? {
                        ArchivedReply::Table(record) => Ok(record.to_vec()),
                        _ => Err(misunderstood()),
                    };
                }
                Err(Refused::Final(error)) => return Err(error),
                Err(Refused::Again) => self.pause(&mut attempts).await?,
            }
        }
    }

    /// About how much a table holds: the sum of what all shards say.
    pub(crate) async fn measure(&self, table: TableId) -> Result<Measured, ApiError> {
        let mut attempts = self.attempts();
        loop {
            let map = self.map.get();
            let operation = Operation::Measure(Measure { table: table.0 });
            let request = Request { epoch: map.ring.epoch, operation };
            let places: BTreeSet<Place> = map.ring.vnodes().map(|vnode| vnode.leader()).collect();
            let calls = places.iter().map(|place| self.send(*place, attempts.deadline, &request));
            match sum(join_all(calls).await) {
                Ok(measured) => return Ok(measured),
                Err(Refused::Final(error)) => return Err(error),
                Err(Refused::Again) => self.pause(&mut attempts).await?,
            }
        }
    }

    /// One attempt: the bytes of a reply that is an answer.
    pub(crate) async fn send(
        &self,
        place: Place,
        deadline: Mono,
        request: &Request,
    ) -> Result<Vec<u8>, Refused> {
        assert_eq!(place.node, CATALOG_PLACE.node, "one process holds all shards");
        match self.mesh.call(place.shard, deadline, request.encode()).await {
            Ok(bytes) => match reply(&bytes).map_err(Refused::Final)? {
                ArchivedReply::Moved(_) | ArchivedReply::Busy => Err(Refused::Again),
                ArchivedReply::Failed(failed) => Err(Refused::Final(failure(failed))),
                _ => Ok(bytes),
            },
            Err(CallError::Busy | CallError::NotServing) => Err(Refused::Again),
            Err(CallError::Deadline | CallError::Closed) => Err(Refused::Final(internal())),
        }
    }

    /// The map as it is now.
    pub(crate) fn map(&self) -> Rc<Map> {
        self.map.get()
    }
}

/// Where the catalog is: it is not in the ring.
const CATALOG_PLACE: Place = Place { node: NodeId(0), shard: model::ring::ShardId(0) };

/// What all replies to a `Measure` come to; nothing, as long as one is missing.
fn sum(replies: Vec<Result<Vec<u8>, Refused>>) -> Result<Measured, Refused> {
    let mut sum = Measured::default();
    for bytes in replies {
        match reply(&bytes?).map_err(Refused::Final)? {
            ArchivedReply::Measured(measured) => {
                sum.items += measured.items.to_native();
                sum.bytes += measured.bytes.to_native();
            }
            _ => return Err(Refused::Final(misunderstood())),
        }
    }
    Ok(sum)
}

fn set_vnode(operation: &mut Operation, vnode: &Vnode) {
    match operation {
        Operation::Get(get) => get.at.vnode = vnode.id.0,
        Operation::Put(put) => put.at.vnode = vnode.id.0,
        Operation::Delete(delete) => delete.at.vnode = vnode.id.0,
        Operation::Update(update) => update.at.vnode = vnode.id.0,
        Operation::Scan(scan) => scan.vnode = vnode.id.0,
        Operation::GetMany(_) | Operation::WriteMany(_) => panic!("a batch names the vnode of each part"),
        Operation::Catalog(_) | Operation::Drop(_) => panic!("the catalog is asked by its own name"),
        Operation::Measure(_) => panic!("every shard is asked for its measure"),
        Operation::Watch(_) | Operation::Cluster(_) => panic!("only the catalog's nodes are asked for these"),
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

fn internal() -> ApiError {
    ApiError::new(Code::InternalServerError, "Internal server error")
}

fn overloaded() -> ApiError {
    ApiError::new(Code::Throttling, "Rate of requests exceeds what can be served; try again.")
}
