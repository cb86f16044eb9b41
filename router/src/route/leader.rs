//! To whoever leads a vnode: writes and strong reads.
//!
//! ```text
//! hint or preferred --answer--> done
//!        |--Moved, to somebody new--> that one, at once
//!        |--Moved of a newer ring--> the newer map, then again
//!        \--nobody, silence, or in a circle--> search: the other replicas, a pause, from the beginning
//! ```
//!
//! What is rare is boxed: the future that every request moves about stays small.
//!
//! In one round each replica is asked once, so redirects cannot go in circles. A place that has answered nothing for a while, with questions
//! open, is asked last: a process that stands still has connections that look alive, and a write that is sent there is lost to its client.

use model::error::ApiError;
use model::ring::{Place, VnodeId};
use net::message::{Moved, Request};
use runtime::Runtime;
use runtime::sync::{Notified, timeout};

use super::{Attempts, Said, Target, Tried, internal, only_reads, place_of, voters};
use crate::Router;

impl<R: Runtime> Router<R> {
    /// One attempt with the leader; nothing when it is time for the next one.
    pub(super) async fn ask_leader(
        &self,
        attempts: &mut Attempts,
        target: &Target,
        request: &Request,
    ) -> Result<Option<Vec<u8>>, ApiError> {
        if attempts.search.is_none()
            && let Some(over) = self.leaders.searched(target.vnode)
        {
            Box::pin(self.wait_for_search(attempts, target.vnode, over)).await?;
            return Ok(None);
        }
        let Some(place) = self.leader_to_ask(&attempts.tried, target) else {
            self.search_on(attempts, target);
            Box::pin(self.pause(attempts)).await?;
            return Ok(None);
        };
        self.pay(attempts)?;
        attempts.tried.push(place);
        let repeatable = only_reads(&request.operation)
            || (cfg!(any(test, feature = "canaries")) && self.options.repeats_unknown);
        let deadline = if repeatable { self.read_deadline(attempts) } else { attempts.deadline };
        match self.call(place, deadline, request).await {
            Said::Answer(bytes) => {
                self.leaders.learn(target, place);
                self.leaders.found(target.vnode);
                return Ok(Some(bytes));
            }
            Said::Failed(error) => return Err(error),
            Said::Busy => {
                attempts.found_somebody();
                Box::pin(self.pause(attempts)).await?;
            }
            Said::Moved(moved) => Box::pin(self.redirect(attempts, target, place, &moved)).await,
            Said::Absent => self.search_on(attempts, target),
            Said::Silent if repeatable => self.search_on(attempts, target),
            Said::Silent => {
                self.rt.mark("outcome of a write unknown");
                return Err(internal());
            }
        }
        Ok(None)
    }

    /// Waits until the search of another operation for the leader is `over`.
    async fn wait_for_search(
        &self,
        attempts: &mut Attempts,
        vnode: VnodeId,
        over: Notified,
    ) -> Result<(), ApiError> {
        attempts.found_nobody(self.leaders.found_nobody(vnode, self.rt.now()));
        attempts.tried.clear();
        let left = self.last_moment(attempts).since(self.rt.now());
        timeout(&self.rt, left, over).await.map_err(|_elapsed| attempts.refusal())
    }

    /// Whom to ask next in this round: who is said to lead, then the other replicas. None when all were asked.
    pub(crate) fn leader_to_ask(&self, tried: &Tried, target: &Target) -> Option<Place> {
        let hint = self.leaders.of(target);
        let is_open = |place: &Place| !tried.contains(*place);
        if target.replicas.len() == 1 {
            return Some(hint).filter(is_open);
        }
        let now = self.rt.now();
        let all = || std::iter::once(hint).chain(voters(&target.replicas)).filter(is_open);
        let first = all().find(|place| !self.places.is_down(*place, now));
        // When all that are left seem to be down, one of them may be back. One that stands still would take the request with it.
        let none_was_asked = tried.is_empty();
        first.or_else(|| all().find(|place| none_was_asked && !self.places.is_suspect(*place, now)))
    }

    /// Follows a redirect, unless it leads where somebody was asked already.
    async fn redirect(&self, attempts: &mut Attempts, target: &Target, from: Place, moved: &Moved) {
        let to = place_of(moved);
        if self.catch_up(attempts, moved, from).await {
            self.rt.mark("redirected by a newer map");
            attempts.tried.clear();
            return;
        }
        self.rt.mark("redirected");
        let is_news = !attempts.tried.contains(to) && self.leaders.learn(target, to);
        // Somebody knows better than a failure of a moment ago.
        self.places.forgive(to);
        if !is_news {
            self.search_on(attempts, target);
        }
    }

    /// Nobody is known who leads: this operation searches, unless another one does.
    fn search_on(&self, attempts: &mut Attempts, target: &Target) {
        attempts.found_nobody(self.leaders.found_nobody(target.vnode, self.rt.now()));
        if attempts.search.is_none() {
            attempts.search = self.leaders.search(target.vnode);
        }
    }
}
