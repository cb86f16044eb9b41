//! Back-pressure: how fast writers may go, from what flush and compaction owe. Pure.
//!
//! ```text
//! bytes a second
//!   no limit |-------.
//!      1 GiB |        \
//!            |          \          each tenth of the way halves it
//!      1 MiB |            `----.
//!            |                 | wait
//!            +--------|--------|----> owed
//!                     0        1000
//! ```
//!
//! The way begins when half of the room for memtables is used, or level 0 has `level0_tables_slow` SSTables, and ends when all of it is, or
//! `level0_tables_stop`. There is no cliff on it: long before its end writers are slower than any disk, so that the end is met
//! only when nothing is flushed or compacted at all.
//!
//! Writers pay for what they have written: `Tree::apply` counts bytes, `Tree::ready` waits until they will have taken their time at
//! the rate of the moment, those of other writers included. Small batches save up until a wait is worth a timer.

#[cfg(test)]
mod tests;

use std::time::Duration;

use runtime::Mono;

/// Everything that may be owed: writers wait.
pub(super) const OWED_MAX: u64 = 1000;

/// Bytes a second at the begin of the way, and at its end.
const RATE_FIRST: u64 = 1 << 30;
const RATE_LAST: u64 = 1 << 20;
const HALVINGS: u64 = 10;
const _: () = assert!(RATE_FIRST >> HALVINGS == RATE_LAST);

/// A wait below this costs more than it holds back.
const PAUSE_MIN: Duration = Duration::from_micros(50);
/// No single wait is longer: who was let in by mistake is not punished for ever, and a stop is noticed.
const PAUSE_MAX: Duration = Duration::from_millis(20);

/// What a writer may expect at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes that may be applied now before writing is slowed; 0 when it is already.
    pub bytes: usize,
    /// Bytes a second that are let in now; `None`: as many as come.
    pub bytes_per_second: Option<u64>,
    /// What [`ready`](super::Tree::ready) would wait now.
    pub delay: Duration,
}

/// What the tree's room looks like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Bytes in memtables, and how many may be in them.
    pub(super) memtable_bytes: usize,
    pub(super) memtable_bytes_max: usize,
    /// Of those, the memtable that is being flushed, or is the next.
    pub(super) flushing_bytes: usize,
    /// SSTables in level 0, and where the way begins and ends.
    pub(super) level0: usize,
    pub(super) level0_slow: usize,
    pub(super) level0_stop: usize,
}

impl Room {
    /// How far along the way, from 0 to [`OWED_MAX`].
    pub(super) fn owed(&self) -> u64 {
        let begin = self.memtable_bytes_max / 2;
        let memtables = share(self.memtable_bytes.saturating_sub(begin), self.memtable_bytes_max - begin);
        let level0 = share(self.level0.saturating_sub(self.level0_slow), self.level0_stop - self.level0_slow);
        memtables.max(level0)
    }

    /// Bytes until the way begins, as far as memtables go.
    pub(super) fn bytes(&self) -> usize {
        if self.owed() > 0 { 0 } else { (self.memtable_bytes_max / 2).saturating_sub(self.memtable_bytes) }
    }

    /// How urgent a flush is, from 0 to 1000: nothing when it begins and no other memtable has anything in it, all of it where
    /// writers begin to be slowed.
    pub(super) fn flush_pressure(&self) -> u64 {
        let others = self.memtable_bytes.saturating_sub(self.flushing_bytes);
        share(others, (self.memtable_bytes_max / 2).saturating_sub(self.flushing_bytes))
    }
}

pub(super) fn share(part: usize, whole: usize) -> u64 {
    (part as u64).saturating_mul(OWED_MAX).checked_div(whole as u64).unwrap_or(OWED_MAX).min(OWED_MAX)
}

/// Bytes a second for writers who owe so much; none: no limit.
pub(super) fn rate(owed: u64) -> Option<u64> {
    assert!(owed <= OWED_MAX);
    if owed == 0 {
        return None;
    }
    let (whole, part) = (owed * HALVINGS / OWED_MAX, owed * HALVINGS % OWED_MAX);
    let step = RATE_FIRST >> whole;
    Some(step - step / 2 * part / OWED_MAX)
}

/// When `bytes` will have taken their time at the rate of the moment, if what came before them has until `paid`.
pub(super) fn due(now: Mono, paid: Mono, bytes: u64, owed: u64) -> Mono {
    match rate(owed) {
        None => Mono(0),
        Some(rate) => paid.max(now).after(Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / rate)),
    }
}

/// The wait, if it is worth one.
pub(super) fn pause(wait: Duration) -> Option<Duration> {
    (wait >= PAUSE_MIN).then_some(wait.min(PAUSE_MAX))
}
