//! Scanning: one page of a range of one vnode, for Scan and Query.
//!
//! A page is read from one view of the tree, so it shows one point in time. It ends when its range does, or with the item that
//! reaches the limit or the size; then it names that item's key. The limit counts evaluated items: the filter comes after, the
//! projection last.

use crate::dispatch::Address;
use crate::operation::read::charged;
use crate::refusal::Refusal;
use crate::shard::Shard;
use crate::stored;
use lsm::{Direction, Range};
use meter::ledger;
use meter::stage::Stage;
use model::expression::{ConditionProgram, ProjectionProgram};
use model::item::ItemRef;
use model::key::{TableId, key_item, key_of_item};
use model::ring::VnodeId;
use model::table::Table;
use net::message::{ArchivedScan, LastKey, PAGE_BYTES_MAX, Page, optional};
use runtime::Runtime;
use std::ops::Bound;

/// Up to this limit a page is expected to end with it; above, with its size or its range.
const LIMIT_EXPECTED_MAX: u32 = 1000;

/// A page that is being filled.
struct Filling<'a> {
    page: Page,
    limit: u32,
    bytes_max: u32,
    count_only: bool,
    filter: Option<ConditionProgram<'a>>,
    projection: Option<ProjectionProgram<'a>>,
}

impl Filling<'_> {
    /// Takes one item in; true when the page ends with it.
    fn add(&mut self, item: ItemRef<'_>) -> bool {
        self.page.scanned += 1;
        self.page.charged_bytes += charged(item);
        if self.filter.is_none_or(|filter| filter.eval(Some(item))) {
            self.page.count += 1;
            self.keep(item);
        }
        self.page.scanned >= self.limit || self.page.charged_bytes >= self.bytes_max
    }

    fn keep(&mut self, item: ItemRef<'_>) {
        if self.count_only {
            return;
        }
        match self.projection {
            Some(projection) => self.page.items.push(&projection.project(item)),
            None => self.page.items.push(item.bytes()),
        }
    }
}

impl<R: Runtime> Shard<R> {
    /// One page of Scan or Query.
    pub(crate) async fn scan(&self, scan: &ArchivedScan) -> Result<Page, Refusal> {
        let (vnode, table) = (VnodeId(scan.vnode.to_native()), TableId(scan.table.to_native()));
        let table = self.check(Address { vnode, table, key: None })?;
        self.may_read(vnode, scan.consistent).await?;
        self.heat.read(vnode);
        let mut filling = Filling {
            page: Page::default(),
            limit: scan.limit.to_native().max(1),
            bytes_max: scan.bytes_max.to_native().clamp(1, PAGE_BYTES_MAX),
            count_only: scan.count_only,
            filter: self.filter(optional(&scan.filter))?,
            projection: self.projection(optional(&scan.projection))?,
        };
        // What is asked beyond the vnode's share of the table is somebody else's to answer.
        let mut own = self.range_of(vnode, table.id)?;
        if scan.from.as_slice() > own.from.as_slice() {
            own.from.clear();
            own.from.extend_from_slice(&scan.from);
        }
        if scan.to.as_slice() < own.to.as_slice() {
            own.to.clear();
            own.to.extend_from_slice(&scan.to);
        }
        ledger::mark(&self.rt, Stage::Queue);
        if own.from < own.to {
            let direction = if scan.forward { Direction::Forward } else { Direction::Backward };
            let range = Range { from: Bound::Included(own.from), to: Bound::Excluded(own.to) };
            self.fill(&table, range, direction, &mut filling).await?;
            // Filters and projections, too: they take turns with the reading, item by item.
            ledger::mark(&self.rt, Stage::Read);
        }
        Ok(filling.page)
    }

    async fn fill(
        &self,
        table: &Table,
        range: Range,
        direction: Direction,
        filling: &mut Filling<'_>,
    ) -> Result<(), Refusal> {
        let mut items = self.tree.view().scan(range, direction);
        if filling.limit <= LIMIT_EXPECTED_MAX {
            // The page ends with the item that reaches the limit.
            items = items.expecting(filling.limit as usize);
        }
        while let Some((key, value)) = items.next().await.map_err(|error| self.internal(&error))? {
            let Some((_, bytes)) = stored::open(value) else {
                return Err(self.internal(&"a stored value of an unknown version"));
            };
            let item = ItemRef::trusted(bytes);
            if filling.add(item) {
                filling.page.last = Some(last_key(table, key, item)?);
                return Ok(());
            }
            if self.rt.should_yield() {
                self.rt.yield_now().await;
            }
        }
        Ok(())
    }

    fn filter<'a>(&self, program: Option<&'a [u8]>) -> Result<Option<ConditionProgram<'a>>, Refusal> {
        program.map(ConditionProgram::check).transpose().map_err(|error| self.internal(&error))
    }
}

fn last_key(table: &Table, key: &[u8], item: ItemRef<'_>) -> Result<LastKey, Refusal> {
    let values = key_of_item(&table.schema, item)?;
    Ok(LastKey { key: key.to_vec(), key_item: key_item(&table.schema, values) })
}
