//! The map that a core routes and serves by: one cell per core, replaced whole.
//!
//! The catalog sends each new version to every core of the process (`mesh::Mesh::broadcast_map`) and answers its
//! client only when all have it. Readers take the current `Rc<Map>` and keep it as long as one decision lasts.
//!
//! A cell that others watch from outside the process remembers the last maps, which share what they have in common: so who is a
//! few versions behind gets what is different, and not the whole map.
//!
//! Promises: versions only grow; a reader never sees half a map. Leaves to others: what changes and why (`shard`), and who
//! watches (`watch`).

use model::map::Map;
use runtime::sync::Notify;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

/// A core's current map. Cheap to clone; all clones are the same cell.
#[derive(Clone)]
pub struct MapCell {
    current: Rc<RefCell<Rc<Map>>>,
    /// Older maps, the youngest last.
    past: Rc<RefCell<VecDeque<Rc<Map>>>>,
    past_max: Rc<Cell<usize>>,
    changed: Notify,
}

impl MapCell {
    /// A cell that holds `map`, usually of version 0: the ring, and no tables yet.
    pub fn new(map: Map) -> MapCell {
        let current = Rc::new(RefCell::new(Rc::new(map)));
        MapCell { current, past: Rc::default(), past_max: Rc::default(), changed: Notify::new() }
    }

    /// Keeps so many older maps from now on, for [`MapCell::news_since`].
    pub fn remember(&self, count: usize) {
        self.past_max.set(count);
    }

    /// What whoever has `version` has to be sent to have the current map: what is different, or all of it; nothing if it is
    /// not older. Of version 0 there are many: who has that, or says so, gets all.
    pub fn news_since(&self, version: u64) -> Option<Vec<u8>> {
        let map = self.get();
        if map.version <= version {
            return None;
        }
        let is_same = |old: &&Rc<Map>| version > 0 && old.version == version;
        let old = self.past.borrow().iter().find(is_same).cloned();
        let delta = old.and_then(|old| map.delta(&old));
        Some(delta.unwrap_or_else(|| map.encode()))
    }

    /// The current map.
    pub fn get(&self) -> Rc<Map> {
        self.current.borrow().clone()
    }

    /// Replaces the map by a newer one and wakes who waits. An older or equal one changes nothing.
    ///
    /// Returns whether it was newer.
    pub fn set(&self, map: Rc<Map>) -> bool {
        {
            let mut current = self.current.borrow_mut();
            if map.version <= current.version {
                return false;
            }
            assert!(map.ring.epoch >= current.ring.epoch, "a newer map has no older ring");
            let old = std::mem::replace(&mut *current, map);
            let mut past = self.past.borrow_mut();
            past.push_back(old);
            while past.len() > self.past_max.get() {
                past.pop_front();
            }
        }
        self.changed.notify_all();
        true
    }

    /// Resolves with the map once its version is at least `version`.
    pub async fn at_least(&self, version: u64) -> Rc<Map> {
        loop {
            let changed = self.changed.notified();
            let map = self.get();
            if map.version >= version {
                return map;
            }
            changed.await;
        }
    }
}
