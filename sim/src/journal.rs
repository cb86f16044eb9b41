//! What happened, in words: the last moments before a failure, and counts of everything.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use runtime::sim::Control;

/// Lines that are kept.
const LINES_MAX: usize = 400;

/// The run's diary. Shared by all that happens in it.
pub struct Journal {
    world: Control,
    lines: RefCell<VecDeque<(Duration, String)>>,
    counts: RefCell<BTreeMap<&'static str, u64>>,
    is_printing: Cell<bool>,
}

impl Journal {
    /// Of a world. A journal that prints does so at once.
    pub fn new(world: &Control, is_printing: bool) -> Journal {
        Journal {
            world: world.clone(),
            lines: RefCell::default(),
            counts: RefCell::default(),
            is_printing: Cell::new(is_printing),
        }
    }

    /// Notes a line.
    pub fn note(&self, line: String) {
        let now = self.world.elapsed();
        if self.is_printing.get() {
            eprintln!("{} {line}", moment(now));
        }
        let mut lines = self.lines.borrow_mut();
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back((now, line));
    }

    /// Counts something.
    pub fn count(&self, what: &'static str) {
        self.add(what, 1);
    }

    /// Counts something several times.
    pub fn add(&self, what: &'static str, times: u64) {
        *self.counts.borrow_mut().entry(what).or_default() += times;
    }

    /// All that was counted.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.counts.borrow().clone()
    }

    /// The last lines.
    pub fn tail(&self, lines_max: usize) -> String {
        let lines = self.lines.borrow();
        let mut text = String::new();
        for (when, line) in lines.iter().skip(lines.len().saturating_sub(lines_max)) {
            writeln!(text, "  {} {line}", moment(*when)).expect("a string takes everything");
        }
        text
    }
}

fn moment(when: Duration) -> String {
    format!("{:>5}.{:06}", when.as_secs(), when.subsec_micros())
}
