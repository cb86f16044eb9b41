//! A shard as the messages describe it, over a `BTreeMap`: no log, no disk, and no doubt about what it should answer.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use model::error::{ApiError, Code};
use model::expression::{ConditionProgram, ProjectionProgram, UpdateProgram};
use model::item::ItemRef;
use model::key::{TableId, key_item, key_of_item, keyspace, table_range, token_range};
use model::map::Map;
use model::ring::VnodeId;
use model::table::{BillingMode, Table, TableClass, TableStatus, Tag, TimeToLive};
use net::map::MapCell;
use net::message::{
    self, ArchivedCatalog, ArchivedGet, ArchivedKeyAt, ArchivedOperation, ArchivedReturnValues, ArchivedScan,
    Failed, Item, LastKey, Measured, Moved, Page, Part, Reply, Written, optional,
};

/// The items of all shards of one process: which of them a shard answers for is the ring's matter.
#[derive(Default)]
pub struct Store {
    items: RefCell<BTreeMap<Vec<u8>, Vec<u8>>>,
    tables: Cell<u32>,
    /// So many requests are refused as busy before one is answered.
    pub busy: Cell<u32>,
    /// So many requests are sent away as moved.
    pub moved: Cell<u32>,
    /// Requests that were answered.
    pub answered: Cell<u32>,
}

/// One write of any kind.
struct Write<'a> {
    at: &'a ArchivedKeyAt,
    change: Change<'a>,
    condition: Option<&'a [u8]>,
    return_old_on_failure: bool,
}

enum Change<'a> {
    Put(&'a [u8], bool),
    Delete(bool),
    Update { key_item: &'a [u8], program: Option<&'a [u8]>, returns: ArchivedReturnValues },
}

fn charged(item: &[u8]) -> u32 {
    u32::try_from(ItemRef::check(item).expect("routers send sound items").charged_bytes()).expect("small")
}

fn failed(error: ApiError) -> Failed {
    Failed { code: error.code.number(), message: error.message, item: error.item }
}

impl Store {
    /// Answers one request; a changed map comes back with the answer.
    pub fn handle(&self, bytes: &[u8], map: &MapCell, core: u16) -> (Reply, Option<Rc<Map>>) {
        let request = message::read_request(bytes).expect("routers send sound messages");
        if self.busy.get() > 0 {
            self.busy.set(self.busy.get() - 1);
            return (Reply::Busy, None);
        }
        if self.moved.get() > 0 {
            self.moved.set(self.moved.get() - 1);
            return (Reply::Moved(Moved { epoch: 1, node: 0, shard: 0 }), None);
        }
        self.answered.set(self.answered.get() + 1);
        if let ArchivedOperation::Catalog(change) = &request.operation {
            return match self.catalog(change, &map.get()) {
                Ok((table, map)) => (Reply::Table(table.to_item()), Some(Rc::new(map))),
                Err(error) => (Reply::Failed(failed(error)), None),
            };
        }
        (
            self.answer(&request.operation, &map.get(), core)
                .unwrap_or_else(|error| Reply::Failed(failed(error))),
            None,
        )
    }

    fn answer(&self, operation: &ArchivedOperation, map: &Map, core: u16) -> Result<Reply, ApiError> {
        Ok(match operation {
            ArchivedOperation::Get(get) => Reply::Item(self.get(get)),
            ArchivedOperation::Put(put) => Reply::Written(self.write(&Write {
                at: &put.at,
                change: Change::Put(&put.item, put.return_old),
                condition: optional(&put.condition),
                return_old_on_failure: put.return_old_on_failure,
            })?),
            ArchivedOperation::Delete(delete) => Reply::Written(self.write(&Write {
                at: &delete.at,
                change: Change::Delete(delete.return_old),
                condition: optional(&delete.condition),
                return_old_on_failure: delete.return_old_on_failure,
            })?),
            ArchivedOperation::Update(update) => Reply::Written(self.write(&Write {
                at: &update.at,
                change: Change::Update {
                    key_item: &update.key_item,
                    program: optional(&update.program),
                    returns: update.returns,
                },
                condition: optional(&update.condition),
                return_old_on_failure: update.return_old_on_failure,
            })?),
            ArchivedOperation::GetMany(many) => {
                let mut left = i64::from(many.bytes_max.to_native());
                let get = |get: &ArchivedGet| {
                    let item = self.get(get);
                    left -= i64::from(item.charged_bytes);
                    if left < 0 { Part::Skipped } else { Part::Item(item) }
                };
                Reply::Many(many.gets.iter().map(get).collect())
            }
            ArchivedOperation::WriteMany(many) => {
                let write = |write: &message::ArchivedWrite| {
                    let change = match optional(&write.item) {
                        Some(item) => Change::Put(item, false),
                        None => Change::Delete(false),
                    };
                    let write =
                        Write { at: &write.at, change, condition: None, return_old_on_failure: false };
                    Part::Written(self.write(&write).expect("nothing is asked of it"))
                };
                Reply::Many(many.writes.iter().map(write).collect())
            }
            ArchivedOperation::Scan(scan) => Reply::Page(self.scan(scan, map)),
            ArchivedOperation::Measure(measure) => {
                Reply::Measured(self.measure(TableId(measure.table.to_native()), map, core))
            }
            other => panic!("answered elsewhere: {other:?}"),
        })
    }

    /// What the vnodes of this core hold of a table.
    fn measure(&self, table: TableId, map: &Map, core: u16) -> Measured {
        let items = self.items.borrow();
        let mut measured = Measured::default();
        for vnode in map.ring.vnodes().filter(|vnode| vnode.leader().shard.0 == core) {
            let (first, last) = map.ring.range(vnode.id).expect("a vnode of the ring");
            let own = token_range(keyspace::ITEMS, table, first, last);
            for (key, item) in items.range(own.from..own.to) {
                measured.items += 1;
                measured.bytes += (key.len() + item.len()) as u64;
            }
        }
        measured
    }

    fn get(&self, get: &ArchivedGet) -> Item {
        let items = self.items.borrow();
        let Some(item) = items.get(get.at.key.as_slice()) else {
            return Item { item: None, charged_bytes: 0 };
        };
        Item { item: Some(project(optional(&get.projection), item)), charged_bytes: charged(item) }
    }

    fn write(&self, write: &Write<'_>) -> Result<Written, ApiError> {
        let key = write.at.key.to_vec();
        let old = self.items.borrow().get(&key).cloned();
        let old_ref = old.as_deref().map(ItemRef::trusted);
        let passes =
            |program| ConditionProgram::check(program).expect("routers send sound programs").eval(old_ref);
        if !write.condition.is_none_or(passes) {
            let error = ApiError::new(Code::ConditionalCheckFailed, "The conditional request failed");
            return Err(match (write.return_old_on_failure, &old) {
                (true, Some(old)) => error.with_item(old.clone()),
                _ => error,
            });
        }
        let (new, attributes) = match &write.change {
            Change::Put(item, return_old) => (Some(item.to_vec()), return_old.then(|| old.clone()).flatten()),
            Change::Delete(return_old) => (None, return_old.then(|| old.clone()).flatten()),
            Change::Update { key_item, program, returns } => {
                let (new, attributes) = update(key_item, *program, *returns, old_ref)?;
                (new, attributes)
            }
        };
        let old_bytes = old.as_deref().map_or(0, charged);
        let new_bytes = new.as_deref().map_or(0, charged);
        let mut items = self.items.borrow_mut();
        match new {
            Some(new) => items.insert(key, new),
            None => items.remove(&key),
        };
        Ok(Written { attributes, old_bytes, new_bytes })
    }

    fn scan(&self, scan: &ArchivedScan, map: &Map) -> Page {
        let table = map.tables.values().find(|table| table.id.0 == scan.table.to_native()).expect("a table");
        let (first, last) = map.ring.range(VnodeId(scan.vnode.to_native())).expect("a vnode of the ring");
        let own = token_range(keyspace::ITEMS, table.id, first, last);
        let from = scan.from.to_vec().max(own.from);
        let to = scan.to.to_vec().min(own.to);
        let mut page = Page::default();
        if from >= to {
            return page;
        }
        let items = self.items.borrow();
        let range = items.range(from..to);
        let range: Vec<_> = if scan.forward { range.collect() } else { range.rev().collect() };
        for (key, item) in range {
            page.scanned += 1;
            page.charged_bytes += charged(item);
            let passes =
                |program| ConditionProgram::check(program).expect("sound").eval(Some(ItemRef::trusted(item)));
            if optional(&scan.filter).is_none_or(passes) {
                page.count += 1;
                if !scan.count_only {
                    page.items.push(&project(optional(&scan.projection), item));
                }
            }
            if page.scanned >= scan.limit.to_native() || page.charged_bytes >= scan.bytes_max.to_native() {
                let values = key_of_item(&table.schema, ItemRef::trusted(item)).expect("it has its key");
                page.last = Some(LastKey { key: key.clone(), key_item: key_item(&table.schema, values) });
                break;
            }
        }
        page
    }

    fn catalog(&self, change: &ArchivedCatalog, map: &Map) -> Result<(Table, Map), ApiError> {
        let mut map = Map { version: map.version + 1, ..Map::clone(map) };
        let existing = |name: &str| {
            let message = format!("Requested resource not found: Table: {name} not found");
            map.tables
                .get(name)
                .ok_or(ApiError::new(Code::ResourceNotFound, message))
                .map(|table| Table::clone(table))
        };
        let table = match change {
            ArchivedCatalog::Create(record) => {
                let item = ItemRef::check(record).expect("routers send sound records");
                let mut table = Table::from_item(item).expect("routers send sound records");
                if map.tables.contains_key(&table.name) {
                    let message = format!("Table already exists: {}", table.name);
                    return Err(ApiError::new(Code::ResourceInUse, message));
                }
                self.tables.set(self.tables.get() + 1);
                table.id = TableId(self.tables.get());
                table.uuid = format!("uuid-{}", table.id.0);
                table.created_us = 1_500_000_000_250_000;
                table.status = TableStatus::Active;
                table
            }
            ArchivedCatalog::Update(change) => {
                let mut table = existing(&change.name)?;
                if let Some(mode) = change.billing_mode.as_ref() {
                    table.billing.mode = match mode {
                        message::ArchivedBillingMode::Provisioned => BillingMode::Provisioned,
                        message::ArchivedBillingMode::PayPerRequest => BillingMode::PayPerRequest,
                    };
                }
                if let Some(units) = change.provisioned.as_ref() {
                    (table.billing.read_units, table.billing.write_units) =
                        (units.0.to_native(), units.1.to_native());
                }
                table.deletion_protection =
                    change.deletion_protection.as_ref().copied().unwrap_or(table.deletion_protection);
                if let Some(message::ArchivedTableClass::InfrequentAccess) = change.table_class.as_ref() {
                    table.class = TableClass::InfrequentAccess;
                }
                table
            }
            ArchivedCatalog::Tag(change) => {
                let mut table = existing(&change.name)?;
                for tag in change.tags.iter() {
                    table.tags.retain(|old| old.key != tag.0.as_str());
                    table.tags.push(Tag { key: tag.0.to_string(), value: tag.1.to_string() });
                }
                table.tags.sort_by(|left, right| left.key.cmp(&right.key));
                table
            }
            ArchivedCatalog::Untag(change) => {
                let mut table = existing(&change.name)?;
                table.tags.retain(|tag| !change.keys.iter().any(|key| key.as_str() == tag.key));
                table
            }
            ArchivedCatalog::TimeToLive(change) => {
                let attribute = change.attribute.to_string();
                let time_to_live = change.enabled.then_some(TimeToLive { attribute });
                Table { time_to_live, ..existing(&change.name)? }
            }
            ArchivedCatalog::Describe(name) => return Ok((existing(name)?, map)),
            ArchivedCatalog::Delete(name) => {
                let table = Table { status: TableStatus::Deleting, ..existing(name)? };
                map.tables.remove(name.as_str());
                let range = table_range(keyspace::ITEMS, table.id);
                self.items.borrow_mut().retain(|key, _| !range.contains(key));
                return Ok((table, map));
            }
        };
        map.tables.insert(table.name.clone(), Rc::new(table.clone()));
        Ok((table, map))
    }
}

fn project(program: Option<&[u8]>, item: &[u8]) -> Vec<u8> {
    match program {
        Some(program) => ProjectionProgram::check(program)
            .expect("routers send sound programs")
            .project(ItemRef::trusted(item)),
        None => item.to_vec(),
    }
}

/// The new item, if there is one, and what is answered.
type Update = (Option<Vec<u8>>, Option<Vec<u8>>);

fn update(
    key_item: &[u8],
    program: Option<&[u8]>,
    returns: ArchivedReturnValues,
    old: Option<ItemRef<'_>>,
) -> Result<Update, ApiError> {
    let before = old.map(|old| old.bytes().to_vec());
    let Some(program) = program else {
        let new = before.clone().unwrap_or(key_item.to_vec());
        return Ok(match returns {
            ArchivedReturnValues::AllOld => (Some(new), before),
            ArchivedReturnValues::AllNew => (Some(new.clone()), Some(new)),
            _ => (Some(new), None),
        });
    };
    let program = UpdateProgram::check(program).expect("routers send sound programs");
    let updated = program.apply(old, ItemRef::trusted(key_item))?;
    let attributes = match returns {
        ArchivedReturnValues::None => None,
        ArchivedReturnValues::AllOld => before,
        ArchivedReturnValues::UpdatedOld => updated.updated_old(old),
        ArchivedReturnValues::AllNew => updated.makes_item.then(|| updated.item.clone()),
        ArchivedReturnValues::UpdatedNew => updated.updated_new(),
    };
    Ok((updated.makes_item.then_some(updated.item), attributes))
}
