//! What the catalog knows, and the difference that one change makes to it.

use crate::clock::Stamp;
use crate::command::CommandBuilder;
use crate::error::Error;
use crate::stored;
use lsm::{Direction, Range, Tree};
use model::item::ItemRef;
use model::key::{TableId, keyspace};
use model::map::Map;
use model::ring::{CATALOG, Ring, ShardId};
use model::table::{Table, TableStatus};
use runtime::Runtime;
use std::collections::BTreeMap;
use std::rc::Rc;

const STATE_KEY: &[u8] = &[keyspace::CATALOG, 0];
const TABLE_PREFIX: &[u8] = &[keyspace::CATALOG, 1];
const STATE_BYTES: usize = 12;

/// What the catalog knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// The map's version.
    pub(crate) version: u64,
    /// The id of the next table.
    pub(crate) next_table: u32,
    /// The ring.
    pub(crate) ring: Ring,
    /// By name.
    pub(crate) tables: BTreeMap<String, Rc<Table>>,
}

/// The state after a change, and which record differs.
pub(crate) struct Next {
    pub(crate) state: State,
    changed: String,
}

impl State {
    /// Reads the state and every table's record.
    pub(crate) async fn load<R: Runtime>(shard: ShardId, tree: &Tree<R>, ring: Ring) -> Result<State, Error> {
        let senseless = |what: String| Error::Senseless { shard, vnode: CATALOG, what };
        let mut state = State { version: 1, next_table: 1, ring, tables: BTreeMap::new() };
        let range = Range::half_open(&[keyspace::CATALOG], &[keyspace::CATALOG + 1]);
        let mut records = tree.view().scan(range, Direction::Forward);
        while let Some((key, value)) = records.next().await? {
            let read = stored::open(value).ok_or("a record of an unknown version".to_string());
            read.and_then(|(_, record)| state.take(key, record)).map_err(senseless)?;
        }
        match state.tables.values().find(|table| table.id.0 >= state.next_table) {
            Some(table) => Err(senseless(format!("table {} has an id that was not given yet", table.name))),
            None => Ok(state),
        }
    }

    /// The map that everybody routes by.
    pub(crate) fn map(&self) -> Rc<Map> {
        Rc::new(Map { version: self.version, tables: self.tables.clone(), ..Map::alone(self.ring.clone()) })
    }

    /// A table that is on its way to another status, the one with the lowest id.
    pub(crate) fn unfinished(&self) -> Option<Rc<Table>> {
        let unfinished = self.tables.values().filter(|table| table.status != TableStatus::Active);
        unfinished.min_by_key(|table| table.id).cloned()
    }

    /// The state with this table in it.
    pub(crate) fn with_table(&self, table: Table) -> Next {
        let mut state = State { version: self.version + 1, ..self.clone() };
        state.next_table = state.next_table.max(table.id.0.checked_add(1).expect("table ids do not run out"));
        let changed = table.name.clone();
        state.tables.insert(changed.clone(), Rc::new(table));
        Next { state, changed }
    }

    /// The state without this table.
    pub(crate) fn without_table(&self, name: &str) -> Next {
        let mut state = State { version: self.version + 1, ..self.clone() };
        state.tables.remove(name);
        Next { state, changed: name.to_string() }
    }

    /// The id that the next table gets.
    pub(crate) fn next_id(&self) -> TableId {
        TableId(self.next_table)
    }

    fn take(&mut self, key: &[u8], record: &[u8]) -> Result<(), String> {
        if key == STATE_KEY {
            let record: &[u8; STATE_BYTES] =
                record.try_into().map_err(|_| "the catalog's state is cut short")?;
            self.version = u64::from_le_bytes(record[..8].try_into().expect("eight bytes"));
            self.next_table = u32::from_le_bytes(record[8..].try_into().expect("four bytes"));
            return Ok(());
        }
        let name = key.strip_prefix(TABLE_PREFIX).ok_or("a catalog key of an unknown kind")?;
        let item = ItemRef::check(record).map_err(|error| format!("a table's record: {error}"))?;
        let table = Table::from_item(item).map_err(|error| format!("a table's record: {error}"))?;
        if table.name.as_bytes() != name {
            return Err(format!("the record of table {} lies under another name", table.name));
        }
        self.tables.insert(table.name.clone(), Rc::new(table));
        Ok(())
    }
}

impl Next {
    /// The effects of the change: the state, and the table's record or its end.
    pub(crate) fn fill(&self, command: &mut CommandBuilder, stamp: Stamp) {
        let header = stored::header(stamp);
        let mut record = [0; STATE_BYTES];
        record[..8].copy_from_slice(&self.state.version.to_le_bytes());
        record[8..].copy_from_slice(&self.state.next_table.to_le_bytes());
        command.put(STATE_KEY, &[&header, &record]);
        let key = [TABLE_PREFIX, self.changed.as_bytes()].concat();
        match self.state.tables.get(&self.changed) {
            Some(table) => command.put(&key, &[&header, &table.to_item()]),
            None => command.delete(&key),
        }
    }
}
