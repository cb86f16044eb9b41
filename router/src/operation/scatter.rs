//! Batches: one message for each shard that is asked for a part, all under way at once.
//!
//! ```text
//! pieces --by vnode and place--> messages --all at once--> parts: taken | skipped | again, elsewhere or later
//! ```
//!
//! 1. Writes and strong reads go to whoever leads their vnode, eventual reads to any replica, as single ones do.
//! 2. A message of eventual reads that is late is hedged: its pieces are asked of other replicas, and who is first with all is believed.
//! 3. Parts that a shard did not do (busy, moved, not there) are asked again until the operation's time or the budget is over; then they are the
//!    client's to ask again. So are parts whose outcome nobody knows: they are puts and deletes without conditions. A batch of which nothing
//!    was done is an error instead.

use std::collections::BTreeMap;
use std::pin::pin;

use model::error::ApiError;
use model::ring::{Place, VnodeId};
use net::message::{ArchivedPart, Moved, Operation, Request};
use runtime::Runtime;
use runtime::sync::{Either, join_all, select};

use crate::Router;
use crate::route::{Attempts, Said, Target, Tried, failure, internal, parts, place_of};

/// One part of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Piece<T> {
    /// Its place in the batch.
    pub(crate) index: usize,
    /// Its key's token.
    pub(crate) token_high: u64,
    /// Whether any replica may answer for it.
    pub(crate) anywhere: bool,
    /// What is asked; its vnode is filled in here.
    pub(crate) what: T,
}

/// How pieces become messages.
pub(crate) struct Kind<T> {
    pub(crate) set_vnode: fn(&mut T, u32),
    pub(crate) message: fn(Vec<T>, bool) -> Operation,
    /// Passed on to `message`.
    pub(crate) measure: bool,
    /// Whether it may be asked twice, because it changes nothing.
    pub(crate) only_reads: bool,
}

/// A piece with where it is asked.
struct Addressed<T> {
    piece: Piece<T>,
    target: Target,
}

type Group<T> = Vec<Addressed<T>>;

/// What came of one message.
struct Told<T> {
    place: Place,
    group: Group<T>,
    said: Said,
}

/// A batch that is under way.
struct Batch<'b, R: Runtime, T> {
    router: &'b Router<R>,
    kind: &'b Kind<T>,
    attempts: Attempts,
    /// Who was asked for which vnode since the last pause.
    tried: BTreeMap<VnodeId, Tried>,
    /// What is to be asked again.
    waiting: Vec<Piece<T>>,
    /// Indexes of what is left to the client.
    left: Vec<usize>,
    done: usize,
    rounds: usize,
    /// What is said when nothing was done.
    trouble: Option<ApiError>,
    /// Whether a round told something new, so that the next one needs no pause.
    news: bool,
}

/// Asks for all pieces; `take` gets the answers. The indexes of those that were not done come back.
pub(crate) async fn scatter<R: Runtime, T: Clone>(
    router: &Router<R>,
    pieces: Vec<Piece<T>>,
    kind: &Kind<T>,
    mut take: impl FnMut(usize, &ArchivedPart) -> Result<(), ApiError>,
) -> Result<Vec<usize>, ApiError> {
    let mut batch = Batch {
        router,
        kind,
        attempts: router.attempts(),
        tried: BTreeMap::new(),
        waiting: pieces,
        left: Vec::new(),
        done: 0,
        rounds: 0,
        trouble: None,
        news: false,
    };
    loop {
        batch.news = false;
        for told in batch.round().await {
            batch.digest(told, &mut take).await?;
        }
        if batch.waiting.is_empty() {
            return batch.end();
        }
        if !batch.news {
            batch.tried.clear();
            if let Err(error) = router.pause(&mut batch.attempts).await {
                return batch.give_up(error);
            }
        }
    }
}

impl<R: Runtime, T: Clone> Batch<'_, R, T> {
    /// Asks for all that waits, in one message for each place; what finds nobody to ask goes on waiting.
    async fn round(&mut self) -> Vec<Told<T>> {
        let waiting = std::mem::take(&mut self.waiting);
        let mut groups: BTreeMap<(Place, bool), Group<T>> = BTreeMap::new();
        // One place for all pieces of a vnode: fewer messages, and other replicas are left for a hedge.
        let mut chosen: BTreeMap<(VnodeId, bool), Option<Place>> = BTreeMap::new();
        for addressed in self.address(waiting) {
            let key = (addressed.target.vnode, addressed.piece.anywhere);
            match *chosen.entry(key).or_insert_with(|| self.whom(&addressed, None)) {
                Some(place) => groups.entry((place, addressed.piece.anywhere)).or_default().push(addressed),
                None => self.waiting.push(addressed.piece),
            }
        }
        let mut calls = Vec::new();
        for ((place, anywhere), group) in groups {
            // The first messages are free, those of later rounds are paid for.
            if self.rounds > 0 && !self.router.retries.take() {
                self.left.extend(group.iter().map(|addressed| addressed.piece.index));
                continue;
            }
            calls.push((place, anywhere, group));
        }
        for (place, _, group) in &calls {
            for addressed in group {
                self.tried.entry(addressed.target.vnode).or_default().push(*place);
            }
        }
        self.rounds += 1;
        let this = &*self;
        let calls = calls.into_iter().map(|(place, anywhere, group)| async move {
            if anywhere { this.ask_hedged(place, group).await } else { vec![this.ask(place, group).await] }
        });
        join_all(calls).await.into_iter().flatten().collect()
    }

    /// By the map of this moment.
    fn address(&self, pieces: Vec<Piece<T>>) -> Vec<Addressed<T>> {
        let map = self.router.map();
        let address = |mut piece: Piece<T>| {
            let vnode = map.ring.owner(piece.token_high);
            (self.kind.set_vnode)(&mut piece.what, vnode.id.0);
            piece.anywhere &= !self.router.recent.has(piece.token_high, self.router.rt.now());
            Addressed { piece, target: Target::of(&map, &vnode) }
        };
        pieces.into_iter().map(address).collect()
    }

    /// Whom to ask for a piece in this round; `not` is asked already.
    fn whom(&self, addressed: &Addressed<T>, not: Option<Place>) -> Option<Place> {
        let mut tried = self.tried.get(&addressed.target.vnode).copied().unwrap_or_default();
        if let Some(not) = not {
            tried.push(not);
        }
        if addressed.piece.anywhere {
            return self.router.replicas_to_ask(&addressed.target, &tried).0;
        }
        self.router.leader_to_ask(&tried, &addressed.target)
    }

    /// One message.
    async fn ask(&self, place: Place, group: Group<T>) -> Told<T> {
        let what = group.iter().map(|addressed| addressed.piece.what.clone()).collect();
        let epoch = group.first().map_or(0, |addressed| addressed.target.epoch);
        let request = Request { epoch, operation: (self.kind.message)(what, self.kind.measure) };
        let deadline = match self.kind.only_reads {
            true => self.router.read_deadline(&self.attempts),
            false => self.attempts.deadline,
        };
        let said = self.router.call(place, deadline, &request).await;
        Told { place, group, said }
    }

    /// One message, and when it is late its pieces again, to other replicas.
    async fn ask_hedged(&self, place: Place, group: Group<T>) -> Vec<Told<T>> {
        let mut others: BTreeMap<Place, Group<T>> = BTreeMap::new();
        for Addressed { piece, target } in &group {
            let addressed = Addressed { piece: piece.clone(), target: *target };
            let Some(other) = self.whom(&addressed, Some(place)) else {
                return vec![self.ask(place, group).await];
            };
            others.entry(other).or_default().push(addressed);
        }
        let router = self.router;
        router.hedges.earn();
        let mut one = pin!(self.ask(place, group));
        let late = router.rt.sleep(router.places.patience(place));
        if let Either::First(told) = select(one.as_mut(), late).await {
            return vec![told];
        }
        if !others.iter().all(|_| router.hedges.take()) {
            return vec![one.await];
        }
        router.hedged.set(router.hedged.get() + 1);
        let asked = others.into_iter().map(|(other, group)| self.ask(other, group));
        let mut all = pin!(join_all(asked));
        let is_whole = |told: &Told<T>| matches!(told.said, Said::Answer(_));
        match select(one.as_mut(), all.as_mut()).await {
            Either::First(told) if is_whole(&told) => vec![told],
            Either::First(_refused) => all.await,
            Either::Second(told) if told.iter().all(is_whole) => told,
            Either::Second(_refused) => vec![one.await],
        }
    }

    /// Takes what one message has brought.
    async fn digest(
        &mut self,
        told: Told<T>,
        take: &mut impl FnMut(usize, &ArchivedPart) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let Told { place, group, said } = told;
        match said {
            Said::Answer(bytes) => {
                for (addressed, part) in group.iter().zip(parts(&bytes, group.len())?) {
                    self.digest_part(addressed, place, part, take).await?;
                }
            }
            Said::Failed(error) if error.code.is_fault() => self.fail(group, error),
            Said::Failed(error) => return Err(error),
            Said::Silent if !self.kind.only_reads => self.fail(group, internal()),
            Said::Moved(moved) => {
                for addressed in group {
                    self.redirect(addressed.target, place, &moved, addressed.piece.anywhere).await;
                    self.waiting.push(addressed.piece);
                }
            }
            Said::Busy => {
                self.attempts.found_somebody();
                self.waiting.extend(group.into_iter().map(|addressed| addressed.piece));
            }
            Said::Absent | Said::Silent => {
                self.attempts.found_nobody(self.router.rt.now());
                self.news |= group.iter().any(|addressed| self.whom(addressed, None).is_some());
                self.waiting.extend(group.into_iter().map(|addressed| addressed.piece));
            }
        }
        Ok(())
    }

    async fn digest_part(
        &mut self,
        addressed: &Addressed<T>,
        place: Place,
        part: &ArchivedPart,
        take: &mut impl FnMut(usize, &ArchivedPart) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let piece = &addressed.piece;
        match part {
            ArchivedPart::Item(_) | ArchivedPart::Written(_) => {
                take(piece.index, part)?;
                self.done += 1;
                if !self.kind.only_reads && addressed.target.replicas.len() > 1 {
                    self.router.recent.note(piece.token_high, self.router.rt.now());
                }
            }
            ArchivedPart::Skipped => self.left.push(piece.index),
            ArchivedPart::Moved(moved) => {
                let moved = Moved {
                    epoch: moved.epoch.to_native(),
                    node: moved.node.to_native(),
                    shard: moved.shard.to_native(),
                };
                self.redirect(addressed.target, place, &moved, piece.anywhere).await;
                self.waiting.push(piece.clone());
            }
            ArchivedPart::Busy => {
                self.attempts.found_somebody();
                self.waiting.push(piece.clone());
            }
            ArchivedPart::Failed(failed) => {
                let error = failure(failed);
                if !error.code.is_fault() {
                    return Err(error);
                }
                self.trouble = Some(error);
                self.left.push(piece.index);
            }
        }
        Ok(())
    }

    /// Another place was named, or a newer ring.
    async fn redirect(&mut self, target: Target, from: Place, moved: &Moved, anywhere: bool) {
        let to = place_of(moved);
        let tried = self.tried.get(&target.vnode).copied().unwrap_or_default();
        if self.router.catch_up(&self.attempts, moved, from).await {
            self.tried.remove(&target.vnode);
            self.news = true;
        } else if anywhere {
            self.news |= self.router.replicas_to_ask(&target, &tried).0.is_some();
        } else if !tried.contains(to) && self.router.leaders.learn(&target, to) {
            self.news = true;
        } else {
            self.attempts.found_nobody(self.router.rt.now());
            self.news |= self.router.leader_to_ask(&tried, &target).is_some();
        }
    }

    /// These are the client's to ask again.
    fn fail(&mut self, group: Group<T>, error: ApiError) {
        self.trouble = Some(error);
        self.left.extend(group.iter().map(|addressed| addressed.piece.index));
    }

    fn end(self) -> Result<Vec<usize>, ApiError> {
        // What was skipped because an answer was full is no trouble.
        match self.trouble {
            Some(error) if self.done == 0 => Err(error),
            _ => Ok(self.left),
        }
    }

    fn give_up(mut self, error: ApiError) -> Result<Vec<usize>, ApiError> {
        self.left.extend(self.waiting.iter().map(|piece| piece.index));
        if self.done == 0 { Err(self.trouble.unwrap_or(error)) } else { Ok(self.left) }
    }
}
