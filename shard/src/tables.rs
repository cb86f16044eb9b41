//! The tables that a shard serves, by id: an index over the core's map, made anew when the map changes.

use model::key::TableId;
use model::map::Map;
use model::table::{Table, TableStatus};
use net::map::MapCell;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The tables of the core's map.
pub struct Tables {
    cell: MapCell,
    index: RefCell<Index>,
}

struct Index {
    version: u64,
    by_id: BTreeMap<TableId, Rc<Table>>,
}

impl Tables {
    /// The tables of `cell`'s map.
    pub fn new(cell: MapCell) -> Tables {
        let index = Index::of(&cell.get());
        Tables { cell, index: RefCell::new(index) }
    }

    /// The core's map.
    pub fn map(&self) -> Rc<Map> {
        self.cell.get()
    }

    /// A table, whatever its status.
    pub fn get(&self, id: TableId) -> Option<Rc<Table>> {
        let map = self.cell.get();
        let mut index = self.index.borrow_mut();
        if index.version != map.version {
            *index = Index::of(&map);
        }
        index.by_id.get(&id).cloned()
    }

    /// A table whose items can be read and written.
    pub fn serving(&self, id: TableId) -> Option<Rc<Table>> {
        self.get(id).filter(|table| matches!(table.status, TableStatus::Active | TableStatus::Updating))
    }
}

impl Index {
    fn of(map: &Map) -> Index {
        let by_id = map.tables.values().map(|table| (table.id, table.clone())).collect();
        Index { version: map.version, by_id }
    }
}
