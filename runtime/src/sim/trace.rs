//! What happened, as one number of 128 bits.

use std::cell::Cell;
use std::fmt::Display;

use super::random::mix;

/// A kind of event and its name in a printed trace.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub(super) enum Event {
    Poll = 1,
    Spawn,
    Timer,
    Action,
    Start,
    Crash,
    CrashFate,
    Open,
    Read,
    Write,
    Written,
    Sync,
    Name,
    SyncDir,
    Fault,
    Send,
    Deliver,
    Connect,
    Link,
    Clock,
}

/// Two lanes of 64 bits, both over everything, with different constants.
pub(super) struct Trace {
    lanes: Cell<(u64, u64)>,
    events: Cell<u64>,
    printing: bool,
}

impl Trace {
    pub fn new(seed: u64, printing: bool) -> Trace {
        Trace { lanes: Cell::new((mix(seed), mix(!seed))), events: Cell::new(0), printing }
    }

    pub fn record(&self, now: u64, event: Event, first: u64, second: u64) {
        let (left, right) = self.lanes.get();
        let word = now ^ (event as u64).rotate_left(56) ^ first.rotate_left(20);
        let left = (left ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29) ^ second;
        let right = (right.rotate_left(31) ^ second).wrapping_mul(0xD6E8_FEB8_6659_FD93) ^ word;
        self.lanes.set((left, right));
        self.events.set(self.events.get() + 1);
        if self.printing {
            eprintln!("{:>12}.{:03} us {event:?} {first} {second}", now / 1000, now % 1000);
        }
    }

    /// A remark for the reader of a printed trace; not part of the hash.
    pub fn remark(&self, text: impl Display) {
        if self.printing {
            eprintln!("{:>20} {text}", "");
        }
    }

    pub fn hash(&self) -> u128 {
        let (left, right) = self.lanes.get();
        u128::from(mix(left)) << 64 | u128::from(mix(right ^ left.rotate_left(17)))
    }

    pub fn events(&self) -> u64 {
        self.events.get()
    }
}
