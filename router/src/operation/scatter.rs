//! Batches: one message for each shard that owns a part, all under way at once.
//!
//! Parts that a shard did not do (busy, moved) are asked again until the operation's time is over; then they are
//! the client's to ask again. A batch of which nothing was done is an error instead.

use std::collections::BTreeMap;

use model::error::ApiError;
use model::ring::Place;
use net::message::{ArchivedPart, Operation, Request};
use runtime::Runtime;
use runtime::sync::join_all;

use crate::Router;
use crate::route::{Refused, failure, parts};

/// One part of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Piece<T> {
    /// Its place in the batch.
    pub(crate) index: usize,
    /// Its key's token.
    pub(crate) token_high: u64,
    /// What is asked; its vnode is filled in here.
    pub(crate) what: T,
}

/// How pieces become messages.
pub(crate) struct Kind<T> {
    pub(crate) set_vnode: fn(&mut T, u32),
    pub(crate) message: fn(Vec<T>, bool) -> Operation,
    /// Passed on to `message`.
    pub(crate) measure: bool,
}

/// Asks for all pieces; `take` gets the answers. The indexes of those that were not done come back.
pub(crate) async fn scatter<R: Runtime, T: Clone>(
    router: &Router<R>,
    pieces: Vec<Piece<T>>,
    kind: &Kind<T>,
    mut take: impl FnMut(usize, &ArchivedPart) -> Result<(), ApiError>,
) -> Result<Vec<usize>, ApiError> {
    let (mut attempts, mut left, mut waiting) = (router.attempts(), Vec::new(), pieces);
    let mut done = 0;
    loop {
        let groups = by_place(router, waiting, kind);
        let calls = groups.iter().map(|(place, group)| {
            let what = group.iter().map(|piece| piece.what.clone()).collect();
            let epoch = router.map().ring.epoch;
            let request = Request { epoch, operation: (kind.message)(what, kind.measure) };
            async move { router.send(*place, attempts.deadline, &request).await }
        });
        let replies = join_all(calls).await;
        waiting = Vec::new();
        for ((_, group), reply) in groups.into_iter().zip(replies) {
            match reply {
                Ok(bytes) => {
                    for (piece, part) in group.iter().zip(parts(&bytes, group.len())?) {
                        match part {
                            ArchivedPart::Item(_) | ArchivedPart::Written(_) => {
                                take(piece.index, part)?;
                                done += 1;
                            }
                            ArchivedPart::Skipped => left.push(piece.index),
                            ArchivedPart::Moved(_) | ArchivedPart::Busy => waiting.push(piece.clone()),
                            ArchivedPart::Failed(failed) => return Err(failure(failed)),
                        }
                    }
                }
                Err(Refused::Again) => waiting.extend(group),
                Err(Refused::Final(error)) => return Err(error),
            }
        }
        if waiting.is_empty() {
            return Ok(left);
        }
        match router.pause(&mut attempts).await {
            Ok(()) => (),
            Err(error) if done == 0 => return Err(error),
            Err(_) => {
                left.extend(waiting.iter().map(|piece| piece.index));
                return Ok(left);
            }
        }
    }
}

/// By the map of this moment.
fn by_place<R: Runtime, T>(
    router: &Router<R>,
    pieces: Vec<Piece<T>>,
    kind: &Kind<T>,
) -> BTreeMap<Place, Vec<Piece<T>>> {
    let map = router.map();
    let mut groups: BTreeMap<Place, Vec<Piece<T>>> = BTreeMap::new();
    for mut piece in pieces {
        let vnode = map.ring.owner(piece.token_high);
        (kind.set_vnode)(&mut piece.what, vnode.id.0);
        groups.entry(vnode.leader()).or_default().push(piece);
    }
    groups
}
