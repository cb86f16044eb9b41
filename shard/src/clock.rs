//! The hybrid logical clock: stamps that follow the wall clock and never go back.
//!
//! A [`Stamp`] is microseconds of wall time in its upper 52 bits and a counter in its lower 12. The next stamp is the wall
//! time, or the last stamp plus one when the wall clock stands still or went back. Every write carries one, in its command
//! and in front of its item: last-writer-wins between regions, the order of transactions and stream times come from it.
//!
//! Promises: stamps of one shard grow; a stamp that was witnessed (replayed, read) is never given again.

use runtime::{Runtime, Wall};
use std::cell::Cell;

const COUNTER_BITS: u32 = 12;

/// 52 bits of microseconds end in the year 2112. A wall clock beyond that is broken; the counter goes on from here, with
/// room for 2^52 writes.
const WALL_MAX: u64 = (u64::MAX >> COUNTER_BITS) - (1 << 40);

/// A point on the hybrid clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Stamp(pub u64);

impl Stamp {
    /// The first stamp of a microsecond of wall time.
    pub fn at(wall: Wall) -> Stamp {
        Stamp(wall.0.min(WALL_MAX) << COUNTER_BITS)
    }
}

/// A shard's clock.
#[derive(Default)]
pub struct Clock {
    last: Cell<Stamp>,
}

impl Clock {
    /// The next stamp, greater than all before.
    pub fn next<R: Runtime>(&self, rt: &R) -> Stamp {
        let next = Stamp::at(rt.wall()).max(Stamp(self.last.get().0 + 1));
        self.last.set(next);
        next
    }

    /// Moves the clock on to a stamp that was seen elsewhere.
    pub fn witness(&self, stamp: Stamp) {
        self.last.set(self.last.get().max(stamp));
    }
}

#[cfg(test)]
mod tests;
