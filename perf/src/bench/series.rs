//! What each second had: counts and times, by kind of operation.
//!
//! ```text
//! note --> histogram of this second --(a later second comes)--> pairs of time and count --> merge of all cores --> HdrHistogram log, plots
//! ```
//!
//! An operation belongs to the second in which it was over, and has its whole time there, from when it was due. The histogram of the
//! second that runs is large, so that of a past one only what is in it is kept: a few kilobytes.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use runtime::Mono;

use super::recorder::{Kind, histogram};

/// One piece of time, of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// Operations that succeeded.
    pub ok: u64,
    /// Operations that did not.
    pub errors: u64,
    /// Nanoseconds and how often they were taken, ascending.
    counts: BTreeMap<u64, u64>,
}

/// All pieces of a run.
#[derive(Clone)]
pub struct Series {
    origin: Mono,
    width: Duration,
    running: u64,
    current: BTreeMap<Kind, (Piece, Histogram<u64>)>,
    /// Past pieces, by kind and number.
    pub past: BTreeMap<Kind, BTreeMap<u64, Piece>>,
}

impl fmt::Debug for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Series {{ {:?} each, {} running }}", self.width, self.running)
    }
}

impl Piece {
    /// Its times as a histogram.
    pub fn histogram(&self) -> Histogram<u64> {
        let mut sum = histogram();
        for (nanos, count) in &self.counts {
            sum.saturating_record_n(*nanos, *count);
        }
        sum
    }

    /// Adds another piece of the same time.
    pub fn merge(&mut self, other: &Piece) {
        self.ok += other.ok;
        self.errors += other.errors;
        for (nanos, count) in &other.counts {
            *self.counts.entry(*nanos).or_default() += count;
        }
    }
}

impl Series {
    /// Pieces of this width, from `origin` on.
    pub fn new(origin: Mono, width: Duration) -> Series {
        assert!(!width.is_zero());
        Series { origin, width, running: 0, current: BTreeMap::new(), past: BTreeMap::new() }
    }

    /// How long a piece is.
    pub fn width(&self) -> Duration {
        self.width
    }

    /// An operation that was over at `done` and took `nanos`. Operations come in the order in which they were over.
    pub fn note(&mut self, kind: Kind, done: Mono, nanos: u64, ok: bool) {
        let number = (done.since(self.origin.min(done)).as_nanos() / self.width.as_nanos()) as u64;
        if number > self.running {
            self.finish();
            self.running = number;
        }
        let (piece, times) = self.current.entry(kind).or_insert_with(|| (Piece::default(), histogram()));
        if ok {
            piece.ok += 1
        } else {
            piece.errors += 1
        }
        times.saturating_record(nanos);
    }

    /// The piece that runs is over.
    pub fn finish(&mut self) {
        for (kind, (piece, times)) in &mut self.current {
            if times.is_empty() {
                continue;
            }
            let counts = times.iter_recorded().map(|at| (at.value_iterated_to(), at.count_at_value()));
            let piece = Piece { counts: counts.collect(), ..std::mem::take(piece) };
            times.reset();
            self.past.entry(*kind).or_default().entry(self.running).or_default().merge(&piece);
        }
    }

    /// Adds what another core had in the same time.
    pub fn merge(&mut self, other: &Series) {
        assert_eq!(self.width, other.width, "pieces of one run");
        for (kind, pieces) in &other.past {
            let mine = self.past.entry(*kind).or_default();
            pieces.iter().for_each(|(number, piece)| mine.entry(*number).or_default().merge(piece));
        }
    }

    /// All kinds together, by number.
    pub fn all_kinds(&self) -> BTreeMap<u64, Piece> {
        let mut all: BTreeMap<u64, Piece> = BTreeMap::new();
        for (number, piece) in self.past.values().flatten() {
            all.entry(*number).or_default().merge(piece);
        }
        all
    }
}

#[cfg(test)]
mod tests;
