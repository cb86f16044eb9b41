//! Who has which map: watchers ask for news, and say by that what they have.
//!
//! ```text
//! Watch { have: 7 } --nothing newer--> waits --map 8--> Map(delta from 7)      Watch { have: 8 } acknowledges 8
//! ```
//!
//! Every node's core 0 and every router asks, one question at a time, first whoever leads the catalog. Shard 0 of any node answers out
//! of its map cell; the catalog's leader also keeps book: who was heard of lately, and what they had then. A change is
//! told to its client when all who were heard of in the last moments have it, so a client that asks through another router
//! finds it there. Who is silent longer than that is not waited for: it may be cut off, and goes on with what it has.
//!
//! Promises: a question is answered within [`WAIT_MAX`]; books and questions are bounded.

use super::Catalog;
use crate::refusal::Refusal;
use crate::shard::Shard;
use model::map::Map;
use model::ring::NodeId;
use net::message::{ArchivedWatch, Reply};
use runtime::sync::{Either, Notify, select};
use runtime::{Mono, Runtime};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A question that brings no news is answered after so long.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Who was heard of within this is waited for when there is a new map. Longer than [`WAIT_MAX`], and the way there and back.
const LIVELY: Duration = Duration::from_secs(2);

/// A node that was not heard of for so long counts as down.
pub(super) const DOWN_AFTER: Duration = Duration::from_secs(5);

/// Who was not heard of for so long is forgotten; a node's last words are kept.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// Watchers that are kept book of, and questions that wait, at most.
const WATCHERS_MAX: usize = 4096;

/// What was heard of one watcher last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// When.
    pub(super) at: Mono,
    /// The version that it had.
    pub(super) have: u64,
    node: Option<NodeId>,
}

/// The watchers that the catalog's leader knows.
#[derive(Default)]
pub(super) struct Watchers {
    seen: RefCell<BTreeMap<u128, Seen>>,
    /// Since when this shard keeps book.
    since: Cell<Mono>,
    waiting: Cell<usize>,
    heard: Notify,
}

impl Watchers {
    /// Begins anew: who leads the catalog from now on has heard of nobody.
    pub(super) fn begin(&self, now: Mono) {
        self.seen.borrow_mut().clear();
        self.since.set(now);
    }

    fn hear(&self, watcher: u128, seen: Seen) {
        let mut book = self.seen.borrow_mut();
        if book.len() >= WATCHERS_MAX && !book.contains_key(&watcher) {
            book.retain(|_, old| old.node.is_some() || seen.at.since(old.at) < FORGET_AFTER);
        }
        if book.len() < WATCHERS_MAX || book.contains_key(&watcher) {
            book.insert(watcher, seen);
        }
        drop(book);
        self.heard.notify_all();
    }

    /// It has waited until now. What it has by now, its next question says.
    fn still_there(&self, watcher: u128, now: Mono) {
        if let Some(seen) = self.seen.borrow_mut().get_mut(&watcher) {
            seen.at = now;
        }
    }

    /// The last word of a node.
    pub(super) fn node(&self, node: NodeId) -> Option<Seen> {
        self.seen.borrow().values().filter(|seen| seen.node == Some(node)).max_by_key(|seen| seen.at).copied()
    }

    /// Whether a node counts as there: it was heard of lately, or nobody had the time to.
    pub(super) fn is_up(&self, node: NodeId, now: Mono) -> bool {
        let last = self.node(node).map_or(self.since.get(), |seen| seen.at.max(self.since.get()));
        now.since(last) < DOWN_AFTER
    }

    /// The nodes of a map, but for this one, that nobody has heard of for a while.
    pub(super) fn down(&self, map: &Map, own: NodeId, now: Mono) -> BTreeSet<NodeId> {
        let others = map.nodes.keys().copied().filter(|node| *node != own);
        others.filter(|node| !self.is_up(*node, now)).collect()
    }

    /// Whether somebody who was heard of a moment ago has an older map.
    fn is_behind(&self, version: u64, now: Mono) -> bool {
        self.seen.borrow().values().any(|seen| seen.have < version && now.since(seen.at) < LIVELY)
    }
}

/// Counts one question that waits, until it is dropped.
struct Waiting<'a> {
    count: &'a Cell<usize>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.set(self.count.get() - 1);
    }
}

impl<R: Runtime> Shard<R> {
    /// Answers when there is a newer map than the asker's, or after a while.
    pub(crate) async fn watch(&self, watch: &ArchivedWatch) -> Result<Reply, Refusal> {
        let Some(catalog) = &self.catalog else {
            return Err(self.internal(&"a watch came to a shard that is not the first of its node"));
        };
        if !watch.anyone && !catalog.leads() {
            return Err(self.catalog_is_elsewhere());
        }
        let watchers = &catalog.watchers;
        if watchers.waiting.get() >= WATCHERS_MAX {
            return Err(Refusal::Busy);
        }
        let have = watch.have.to_native();
        let node = watch.node.as_ref().map(|node| NodeId(node.to_native()));
        let watcher = watch.watcher.to_native();
        watchers.hear(watcher, Seen { at: self.rt.now(), have, node });
        watchers.waiting.set(watchers.waiting.get() + 1);
        let _waiting = Waiting { count: &watchers.waiting };
        let cell = self.mesh.map();
        if cell.get().version <= have {
            let stop = self.stop_notified();
            if self.is_stopped() {
                return Err(Refusal::Busy);
            }
            let news = cell.at_least(have.saturating_add(1));
            select(select(news, self.rt.sleep(WAIT_MAX)), stop).await;
            watchers.still_there(watcher, self.rt.now());
        }
        Ok(cell.news_since(have).map_or(Reply::Done, Reply::Map))
    }

    /// Waits until all who were heard of in the last moments have this version.
    pub(super) async fn acknowledged(&self, catalog: &Catalog, version: u64) {
        let began = self.rt.now();
        loop {
            let heard = catalog.watchers.heard.notified();
            let now = self.rt.now();
            if !catalog.watchers.is_behind(version, now) || now.since(began) >= LIVELY {
                return;
            }
            // Whoever stays silent stops counting without a word.
            match select(heard, self.rt.sleep(LIVELY / 20)).await {
                Either::First(()) | Either::Second(()) => {}
            }
        }
    }
}
