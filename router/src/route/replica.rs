//! To any replica of a vnode: reads that may be a moment behind.
//!
//! 1. A replica in this process comes first: it costs no connection. Of the others two are drawn, and the one that answers faster and has less
//!    to do is asked: load spreads, and slow ones are avoided, without all going to the same one.
//! 2. When the answer is late, later than nearly all answers of that place have been, a second replica is asked too, and whoever answers first
//!    is believed. Such hedges are a few in a hundred reads at most.
//! 3. Whoever does not answer, or has trouble with its disk, is followed by the next one at once; when all were asked, by a pause.

use std::pin::pin;

use model::error::ApiError;
use model::ring::{Place, REPLICAS_MAX};
use net::message::Request;
use runtime::sync::{Either, select};
use runtime::{Mono, Purpose, Runtime};

use super::{Attempts, Said, Target, Tried, voters};
use crate::Router;

/// One read in so many goes to either of the two that were drawn, whatever is known of them: who was slow once may be fast by now.
const EXPLORED: usize = 16;

impl<R: Runtime> Router<R> {
    /// One attempt with some replica; nothing when it is time for the next one.
    pub(super) async fn ask_any(
        &self,
        attempts: &mut Attempts,
        target: &Target,
        request: &Request,
    ) -> Result<Option<Vec<u8>>, ApiError> {
        let (first, second) = self.replicas_to_ask(target, &attempts.tried);
        let Some(first) = first else {
            self.pause(attempts).await?;
            return Ok(None);
        };
        self.pay(attempts)?;
        let deadline = self.read_deadline(attempts);
        let (place, said) = self.call_hedged(first, second, deadline, request).await;
        attempts.tried.push(place);
        match said {
            Said::Answer(bytes) => return Ok(Some(bytes)),
            // A disk may be damaged here and whole there.
            Said::Failed(error) if error.code.is_fault() => attempts.fault = Some(error),
            Said::Failed(error) => return Err(error),
            Said::Busy => attempts.found_somebody(),
            Said::Absent | Said::Silent => attempts.found_nobody(self.rt.now()),
            Said::Moved(moved) => {
                if self.catch_up(attempts, &moved, place).await {
                    attempts.tried.clear();
                }
                attempts.found_nobody(self.rt.now());
            }
        }
        Ok(None)
    }

    /// The best replica, and the one to hedge with, of those that are not in `tried`.
    pub(crate) fn replicas_to_ask(&self, target: &Target, tried: &Tried) -> (Option<Place>, Option<Place>) {
        let mut open: Vec<Place> = voters(&target.replicas).filter(|place| !tried.contains(*place)).collect();
        let here = self.fabric().node();
        let now = self.rt.now();
        if let Some(local) = open.iter().position(|place| Some(place.node) == here) {
            let local = open.swap_remove(local);
            let best = open.into_iter().min_by_key(|place| self.places.cost(*place, now));
            return (Some(local), best);
        }
        if open.len() < 2 {
            return (open.first().copied(), None);
        }
        let draw = self.rt.random(Purpose::Route) as usize;
        if open.len() > 2 {
            // Two of them, drawn at random: the third is left out.
            let left_out = open.swap_remove(draw % open.len());
            if open.iter().all(|place| self.places.is_down(*place, now)) {
                open.push(left_out);
            }
        }
        if (draw / REPLICAS_MAX).is_multiple_of(2) {
            open.reverse();
        }
        let explores = (draw / (2 * REPLICAS_MAX)).is_multiple_of(EXPLORED);
        open.sort_by_key(|place| match self.places.is_down(*place, now) {
            true => u32::MAX,
            false if explores => 0,
            // Up to twice as much is as good: else all would go to whoever was a little faster once.
            false => 64 - self.places.cost(*place, now).leading_zeros(),
        });
        (open.first().copied(), open.get(1).copied())
    }

    /// Asks `first`, and `second` too when `first` is late. Who answered, and what.
    async fn call_hedged(
        &self,
        first: Place,
        second: Option<Place>,
        deadline: Mono,
        request: &Request,
    ) -> (Place, Said) {
        let Some(second) = second else { return (first, self.call(first, deadline, request).await) };
        self.hedges.earn();
        let mut one = pin!(self.call(first, deadline, request));
        let late = self.rt.sleep(self.places.patience(first));
        if let Either::First(said) = select(one.as_mut(), late).await {
            return (first, said);
        }
        if self.places.is_suspect(second, self.rt.now()) || !self.hedges.take() {
            return (first, one.await);
        }
        self.hedged.set(self.hedged.get() + 1);
        let mut two = pin!(self.call(second, deadline, request));
        match select(one.as_mut(), two.as_mut()).await {
            Either::First(said) if said.is_answer() => (first, said),
            Either::First(_refused) => (second, two.await),
            Either::Second(said) if said.is_answer() => (second, said),
            Either::Second(_refused) => (first, one.await),
        }
    }
}

impl Said {
    fn is_answer(&self) -> bool {
        match self {
            Said::Answer(_) => true,
            Said::Failed(error) => !error.code.is_fault(),
            _ => false,
        }
    }
}
