//! Who leads which vnode, as far as this core has heard: what goes before the map's wish.
//!
//! 1. The map names who should lead. Where somebody else answered as the leader, or was named as it, that is remembered, until the
//!    map changes the vnode's replicas.
//! 2. When nobody is found who leads, one operation searches and all others that want the vnode wait for what it finds: an
//!    election costs a few messages for each vnode, not for each request.
//! 3. Since when nobody was found is remembered, too: what an election may take is waited for once, and whoever comes later is told soon.
//!
//! Promises: at most `HINTS_MAX` are remembered; a search ends with the operation that searches.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use model::ring::{Place, Replicas, VnodeId};
use runtime::Mono;
use runtime::sync::{Notified, Notify};

use super::Target;

/// Vnodes whose leader is remembered, at most: about 4 MiB.
const HINTS_MAX: usize = 64 << 10;

/// That nobody was found counts for so long: somebody may lead by now whom nobody has asked.
const LEADERLESS_KEPT: Duration = Duration::from_secs(30);

/// What one core has heard of leaders.
#[derive(Default)]
pub(crate) struct Leaders {
    hints: RefCell<BTreeMap<VnodeId, Hint>>,
    searches: RefCell<BTreeMap<VnodeId, Notify>>,
    /// Vnodes that nobody was found to lead: since when, and when that was so last.
    leaderless: RefCell<BTreeMap<VnodeId, (Mono, Mono)>>,
}

#[derive(Clone, Copy)]
struct Hint {
    /// The replicas among which it was the leader: a hint is as old as they are.
    replicas: Replicas,
    place: Place,
}

impl Leaders {
    /// Who should be asked first.
    pub(crate) fn of(&self, target: &Target) -> Place {
        let preferred = target.replicas.first().place;
        let mut hints = self.hints.borrow_mut();
        if hints.is_empty() {
            return preferred;
        }
        match hints.get(&target.vnode) {
            Some(hint) if hint.replicas == target.replicas => hint.place,
            Some(_) => {
                hints.remove(&target.vnode);
                preferred
            }
            None => preferred,
        }
    }

    /// Remembers that `place` leads, if the map knows it as a replica. Returns whether it does.
    pub(crate) fn learn(&self, target: &Target, place: Place) -> bool {
        if place == target.replicas.first().place {
            if !self.hints.borrow().is_empty() {
                self.hints.borrow_mut().remove(&target.vnode);
            }
            return true;
        }
        if target.replicas.at(place).is_none() {
            return false;
        }
        let mut hints = self.hints.borrow_mut();
        if hints.len() >= HINTS_MAX && !hints.contains_key(&target.vnode) {
            hints.pop_first();
        }
        hints.insert(target.vnode, Hint { replicas: target.replicas, place });
        true
    }

    /// Nobody was found who leads the vnode; since when that has been so.
    pub(crate) fn found_nobody(&self, vnode: VnodeId, now: Mono) -> Mono {
        let mut all = self.leaderless.borrow_mut();
        if all.len() >= HINTS_MAX && !all.contains_key(&vnode) {
            all.pop_first();
        }
        let (since, last) = all.entry(vnode).or_insert((now, now));
        if now.since(*last) > LEADERLESS_KEPT {
            *since = now;
        }
        *last = now;
        *since
    }

    /// Somebody has answered as the vnode's leader.
    pub(crate) fn found(&self, vnode: VnodeId) {
        if !self.leaderless.borrow().is_empty() {
            self.leaderless.borrow_mut().remove(&vnode);
        }
    }

    /// Begins a search for the vnode's leader; none when somebody searches already.
    pub(crate) fn search(self: &Rc<Self>, vnode: VnodeId) -> Option<Search> {
        let mut searches = self.searches.borrow_mut();
        if searches.contains_key(&vnode) {
            return None;
        }
        searches.insert(vnode, Notify::new());
        Some(Search { leaders: self.clone(), vnode })
    }

    /// Resolves when the search for the vnode's leader is over; none when nobody searches.
    pub(crate) fn searched(&self, vnode: VnodeId) -> Option<Notified> {
        let searches = self.searches.borrow();
        if searches.is_empty() {
            return None;
        }
        searches.get(&vnode).map(Notify::notified)
    }
}

/// A search for a vnode's leader, for as long as it lives.
pub(crate) struct Search {
    leaders: Rc<Leaders>,
    vnode: VnodeId,
}

impl std::fmt::Debug for Search {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Search({:?})", self.vnode)
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        let over = self.leaders.searches.borrow_mut().remove(&self.vnode);
        over.expect("a search is entered while it lives").notify_all();
    }
}

#[cfg(test)]
mod tests;
