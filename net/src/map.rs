//! The map that a core routes and serves by: one cell per core, replaced whole.
//!
//! The catalog sends each new version to every core of the process (`mesh::Mesh::broadcast_map`) and answers its
//! client only when all have it. Readers take the current `Rc<Map>` and keep it as long as one decision lasts.
//!
//! Promises: versions only grow; a reader never sees half a map. Leaves to others: what changes and why (`shard`).

use model::map::Map;
use runtime::sync::Notify;
use std::cell::RefCell;
use std::rc::Rc;

/// A core's current map. Cheap to clone; all clones are the same cell.
#[derive(Clone)]
pub struct MapCell {
    current: Rc<RefCell<Rc<Map>>>,
    changed: Notify,
}

impl MapCell {
    /// A cell that holds `map`, usually of version 0: the ring, and no tables yet.
    pub fn new(map: Map) -> MapCell {
        MapCell { current: Rc::new(RefCell::new(Rc::new(map))), changed: Notify::new() }
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
            *current = map;
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
