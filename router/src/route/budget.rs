//! How many messages more than requests a router sends: a bucket of tokens that requests fill and extra messages empty.
//!
//! When something fails, everybody tries again; when everybody tries again, more fails. A bucket bounds it: in the long run the extra messages
//! are a fixed part of the requests, whatever happens, plus a burst for the moment in which a leader goes.

use std::cell::Cell;

/// A token, in the units that the bucket counts.
const TOKEN: u32 = 1000;

/// A bucket of tokens.
#[derive(Debug)]
pub(crate) struct Budget {
    filled: Cell<u32>,
    per_request: u32,
    filled_max: u32,
}

impl Budget {
    /// A full bucket: of each thousand requests, `permille` may cost one more message, and `burst` at once.
    pub(crate) fn new(permille: u32, burst: u32) -> Budget {
        let filled_max = burst * TOKEN;
        assert!(permille <= TOKEN && burst > 0, "a budget is less than one message for each request");
        Budget { filled: Cell::new(filled_max), per_request: permille, filled_max }
    }

    /// A request came.
    pub(crate) fn earn(&self) {
        self.filled.set((self.filled.get() + self.per_request).min(self.filled_max));
    }

    /// Takes a token for one more message, if there is one.
    pub(crate) fn take(&self) -> bool {
        let left = self.filled.get().checked_sub(TOKEN);
        left.is_some_and(|left| {
            self.filled.set(left);
            true
        })
    }
}

#[cfg(test)]
mod tests;
