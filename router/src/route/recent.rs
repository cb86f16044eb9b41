//! What was written through this core a moment ago: reads of it go to the leader, also those that may be a moment behind.
//!
//! An application that writes and reads again expects to find what it wrote. An eventual read promises nothing of the kind, but a follower is only a few
//! milliseconds behind, so the few reads that come sooner are the only ones that would notice; sending these to the leader costs next to nothing.
//!
//! A table of fixed size, by token: a write that is pushed out by another one too soon costs nothing but this courtesy. Leaves to
//! others: anything that may be relied on (strong reads).

use std::cell::{Cell, RefCell};
use std::time::Duration;

use runtime::Mono;

/// A follower that lives is this far behind at most: two heartbeats and a bit.
const RECENT: Duration = Duration::from_millis(250);

/// Tokens that are remembered.
const SLOTS: usize = 4096;

/// The tokens of recent writes.
pub(crate) struct Recent {
    /// When the token that falls into each slot was written; made with the first write.
    slots: RefCell<Vec<(u64, Mono)>>,
    /// The last write of all.
    last: Cell<Option<Mono>>,
}

impl Recent {
    pub(crate) fn new() -> Recent {
        Recent { slots: RefCell::default(), last: Cell::new(None) }
    }

    /// A write was acknowledged.
    pub(crate) fn note(&self, token_high: u64, now: Mono) {
        let mut slots = self.slots.borrow_mut();
        if slots.is_empty() {
            slots.resize(SLOTS, (0, Mono(0)));
        }
        slots[slot_of(token_high)] = (token_high, now);
        self.last.set(Some(now));
    }

    /// Whether the token was written a moment ago.
    pub(crate) fn has(&self, token_high: u64, now: Mono) -> bool {
        if !self.has_any(now) {
            return false;
        }
        let (token, when) = self.slots.borrow()[slot_of(token_high)];
        token == token_high && now.since(when) < RECENT
    }

    /// Whether anything was.
    pub(crate) fn has_any(&self, now: Mono) -> bool {
        self.last.get().is_some_and(|last| now.since(last) < RECENT)
    }
}

/// Tokens are hashes: any of their bits will do.
fn slot_of(token_high: u64) -> usize {
    token_high as usize % SLOTS
}

#[cfg(test)]
mod tests;
