//! A core's book: what it keeps of all its requests.
//!
//! 1. [`Book::close`] takes in the ledger of a request that has ended: one value into the histogram of each stage that took time, one for the whole.
//!    What was spent elsewhere is not taken in: the shard there has written it into its own book ([`Book::close_served`]).
//! 2. What took longer than the live p99.9 of its operation keeps its ledger, the last [`SLOW_MAX`] of them. The p99.9 is that of the last window of
//!    requests: windows begin small, so that a young node has one soon, and grow to `WINDOW_MAX`.
//! 3. Requests are counted by table, and exceptions by name; of tables that find no place among [`TABLES_MAX`] only the sum is known.
//!
//! Promises: bounded memory; nothing is allocated but the first time that an operation uses a stage.

use std::cell::{Ref, RefCell};
use std::collections::{BTreeMap, VecDeque};

use runtime::Wall;

use crate::histogram::Histogram;
use crate::ledger::{Follower, Ledger};
use crate::stage::{OPERATION_COUNT, Operation, STAGE_COUNT, Stage};

/// Ledgers of slow requests that a core keeps.
pub const SLOW_MAX: usize = 128;

/// Tables whose requests a core counts one by one, at most.
pub const TABLES_MAX: usize = 256;

/// Places where a table's count may be.
const PLACES: u32 = 8;

/// Requests of the first window, and of the longest.
const WINDOW_MIN: u64 = 64;
const WINDOW_MAX: u64 = 4096;

/// The share of requests that are not slow.
const SLOW_SHARE: f64 = 0.999;

/// A request that took long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slow {
    /// When it ended.
    pub at: Wall,
    /// What was asked.
    pub operation: Operation,
    /// The number of its table; 0 is none.
    pub table: u32,
    /// Nanoseconds, from its first byte to the last of its answer.
    pub nanos: u64,
    /// What it had to exceed to be here.
    pub limit_nanos: u64,
    /// Nanoseconds of each stage, wherever they were spent.
    pub stages: [u64; STAGE_COUNT],
    /// When followers had it.
    pub followers: Vec<Follower>,
}

/// One operation's page.
#[derive(Default)]
struct Page {
    whole: Histogram,
    stages: [Option<Histogram>; STAGE_COUNT],
    /// Nothing is slow before the first window is over.
    slow_nanos: Option<u64>,
    window: u64,
    left: u64,
    /// As `whole` was when the window began.
    before: Histogram,
}

/// What a core keeps of its requests.
#[derive(Default)]
pub struct Book {
    pages: RefCell<[Option<Box<Page>>; OPERATION_COUNT]>,
    slow: RefCell<VecDeque<Slow>>,
    tables: RefCell<Tables>,
    errors: RefCell<BTreeMap<(Operation, &'static str), u64>>,
}

/// Requests by table. Tables are numbered one after the other, so that mostly a table's first place is free or its own.
#[derive(Default)]
struct Tables {
    /// Of no table, and of all that have no place.
    others: [u64; OPERATION_COUNT],
    /// [`TABLES_MAX`] of them, once there was a request; number 0 is a free place.
    places: Vec<(u32, [u64; OPERATION_COUNT])>,
}

impl std::fmt::Debug for Book {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Book")
    }
}

impl Book {
    /// A request has ended. `wall` is asked for only when it was slow.
    pub fn close(&self, ledger: &Ledger, wall: impl FnOnce() -> Wall) {
        let nanos = ledger.total();
        let mut pages = self.pages.borrow_mut();
        let page = pages[ledger.operation() as usize].get_or_insert_default();
        page.take_stages(ledger);
        page.whole.record(nanos);
        let limit = page.slow_nanos.filter(|limit| nanos > *limit);
        match page.left {
            0 => page.next_window(),
            _ => page.left -= 1,
        }
        drop(pages);
        self.tables.borrow_mut().counts_of(ledger.table())[ledger.operation() as usize] += 1;
        if let Some(limit_nanos) = limit {
            self.keep(ledger, limit_nanos, wall());
        }
    }

    /// A shard has answered whoever asked from elsewhere.
    pub fn close_served(&self, ledger: &Ledger) {
        let mut pages = self.pages.borrow_mut();
        pages[ledger.operation() as usize].get_or_insert_default().take_stages(ledger);
    }

    /// A request was answered with an exception.
    pub fn count_error(&self, operation: Operation, name: &'static str) {
        *self.errors.borrow_mut().entry((operation, name)).or_default() += 1;
    }

    #[cold]
    fn keep(&self, ledger: &Ledger, limit_nanos: u64, at: Wall) {
        let mut slow = self.slow.borrow_mut();
        if slow.len() == SLOW_MAX {
            slow.pop_front();
        }
        slow.push_back(Slow {
            at,
            operation: ledger.operation(),
            table: ledger.table(),
            nanos: ledger.total(),
            limit_nanos,
            stages: Stage::ALL.map(|stage| ledger.total_of(stage)),
            followers: ledger.followers().collect(),
        });
    }

    /// The slow requests that are kept, the oldest first.
    pub fn slow(&self) -> Ref<'_, VecDeque<Slow>> {
        self.slow.borrow()
    }

    /// Visits each operation that there was: all of its time, and that of its stages.
    pub fn visit(&self, mut visit: impl FnMut(Operation, &Histogram, &[Option<Histogram>; STAGE_COUNT])) {
        let pages = self.pages.borrow();
        for (operation, page) in Operation::ALL.into_iter().zip(pages.iter()) {
            if let Some(page) = page {
                visit(operation, &page.whole, &page.stages);
            }
        }
    }

    /// Requests by the number of their table and by operation; number 0 is for none and for those that have no place.
    pub fn tables(&self) -> Vec<(u32, [u64; OPERATION_COUNT])> {
        let tables = self.tables.borrow();
        let counted = tables.places.iter().filter(|(table, _)| *table != 0);
        std::iter::once(&(0, tables.others)).chain(counted).copied().collect()
    }

    /// Exceptions by operation and name.
    pub fn errors(&self) -> BTreeMap<(Operation, &'static str), u64> {
        self.errors.borrow().clone()
    }
}

impl Tables {
    #[inline]
    fn counts_of(&mut self, table: u32) -> &mut [u64; OPERATION_COUNT] {
        if self.places.is_empty() {
            self.places.resize(TABLES_MAX, (0, [0; OPERATION_COUNT]));
        }
        let mut places = (0..PLACES).map(|step| (table.wrapping_add(step)) as usize % TABLES_MAX);
        let is_mine = |place: &usize| [0, table].contains(&self.places[*place].0);
        match places.find(is_mine).filter(|_| table != 0) {
            Some(place) => {
                self.places[place].0 = table;
                &mut self.places[place].1
            }
            None => &mut self.others,
        }
    }
}

impl Page {
    fn take_stages(&mut self, ledger: &Ledger) {
        for (histogram, stage) in self.stages.iter_mut().zip(Stage::ALL) {
            let nanos = ledger.here(stage);
            if nanos > 0 {
                histogram.get_or_insert_default().record(nanos);
            }
        }
    }

    /// A window is over: what is slow in the next one.
    #[cold]
    fn next_window(&mut self) {
        if self.window > 0 {
            self.slow_nanos = Some(self.whole.quantile_since(&self.before, SLOW_SHARE));
        }
        self.before.clone_from(&self.whole);
        self.window = (2 * self.window).clamp(WINDOW_MIN, WINDOW_MAX);
        self.left = self.window - 1;
    }
}

#[cfg(test)]
mod tests;
