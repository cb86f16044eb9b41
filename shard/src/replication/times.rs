//! When a write became what: durable here, on each follower, committed. It goes with the write's receipt to whoever waits, and from there into the ledger
//! of the request.

use meter::ledger::{FOLLOWERS_MAX, Follower, Ledger};
use meter::stage::Stage;
use model::ring::NodeId;
use runtime::Ticks;

/// The moments of one write.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// This node has it durably; 0 as long as that is not known.
    durable: Ticks,
    /// It is committed.
    committed: Ticks,
    /// What is known of followers, where there are any.
    followers: Option<Box<Followers>>,
}

/// When followers said that they have a write durably.
#[derive(Clone, Debug)]
struct Followers {
    appended: Ticks,
    heard: [Follower; FOLLOWERS_MAX],
}

impl Times {
    /// Of a write that is committed when it is durable here.
    pub fn alone(durable: Ticks) -> Times {
        Times { durable, committed: durable, followers: None }
    }

    /// Of a write that followers are to have, too.
    pub fn replicated(appended: Ticks) -> Times {
        let heard = [Follower::default(); FOLLOWERS_MAX];
        Times { followers: Some(Box::new(Followers { appended, heard })), ..Times::default() }
    }

    /// This node has it durably; false if that was known.
    pub fn note_durable(&mut self, now: Ticks) -> bool {
        let is_new = self.durable == Ticks::default();
        if is_new {
            self.durable = now;
        }
        is_new
    }

    /// A follower has it durably; false if that was known.
    pub fn note_follower(&mut self, node: NodeId, now: Ticks) -> bool {
        let Some(followers) = &mut self.followers else { return false };
        let known = |follower: &&mut Follower| follower.node == node.0 || follower.node == 0;
        match followers.heard.iter_mut().find(known) {
            Some(place) if place.node == 0 => {
                *place = Follower { node: node.0, nanos: now.0.saturating_sub(followers.appended.0) };
                true
            }
            _ => false,
        }
    }

    /// It is committed.
    pub fn note_committed(&mut self, now: Ticks) {
        self.committed = now;
    }

    /// What came between the append, which was marked, and `end`, when it is applied and its proposer runs again.
    pub fn enter(&self, ledger: &Ledger, end: Ticks) {
        // A majority may have been faster than this node's own disk.
        let durable = if self.durable == Ticks::default() { self.committed } else { self.durable };
        ledger.mark_until(durable.min(self.committed), Stage::Durable);
        ledger.mark_until(self.committed, Stage::Replicate);
        ledger.mark(end, Stage::Apply);
        if let Some(followers) = &self.followers {
            ledger.set_followers(&followers.heard);
        }
    }
}

#[cfg(test)]
mod tests;
