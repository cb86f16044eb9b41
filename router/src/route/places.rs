//! What this core knows of the places that it asks: how fast they answer, and whether they do.
//!
//! - How long answers take: a mean that forgets, and the time within which nearly all of them come (a histogram that forgets).
//! - Questions that are open, and since when nothing was heard: who keeps silent that long is suspect, a process that stands still, maybe.
//! - Who could not be reached, or did not answer in time twice in a row, is taken as down for a moment.
//!
//! Shards of this process are known without any of this, and are not watched.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use model::ring::{NodeId, Place};
use net::mesh::CallError;
use runtime::{Mono, Runtime};

/// Places that are remembered at most: the shards of a large cluster.
const PLACES_MAX: usize = 16 << 10;

/// Questions open, nothing heard for this long: suspect.
const SILENCE_MAX: Duration = Duration::from_millis(300);

/// Who could not be reached counts as down for this long.
const DOWN_TIME: Duration = Duration::from_millis(500);

/// So many questions in a row that ended without an answer: down, for now.
const UNANSWERED_MAX: u32 = 2;

/// A mean of the last dozen answers or so: each new one counts for an eighth.
const MEAN_PART: u64 = 8;

/// How late is late, before a place is known well enough.
const PATIENCE_FIRST: Duration = Duration::from_millis(10);
/// A hedge is never sent sooner: a second message costs more than it saves.
const PATIENCE_MIN: Duration = Duration::from_micros(500);
/// And not much later, however slow a place has been.
const PATIENCE_MAX: Duration = Duration::from_millis(50);

/// Answers that a place is known by: when there are twice as many, half of each count is forgotten.
const ANSWERS: u32 = 512;

/// Answers after which a place's own times are believed.
const ANSWERS_MIN: u32 = 64;

/// Buckets of answer times: two for each power of two of microseconds, up to half a minute.
const BUCKETS: usize = 50;

/// What one core knows of places.
#[derive(Default)]
pub(crate) struct Places {
    known: RefCell<BTreeMap<Place, Rc<Known>>>,
}

struct Known {
    mean_us: Cell<u64>,
    heard: Cell<Mono>,
    open: Cell<u32>,
    /// Questions in a row that ended without an answer.
    unanswered: Cell<u32>,
    /// Since when there have been open questions and no answers.
    silent_since: Cell<Mono>,
    down_until: Cell<Mono>,
    times: RefCell<Times>,
}

struct Times {
    counts: [u16; BUCKETS],
    total: u32,
    patience: Duration,
}

/// A question that is open.
pub(crate) struct Open<'r, R: Runtime> {
    rt: &'r R,
    known: Rc<Known>,
    begun: Mono,
    /// Nobody waits for it any more.
    left: bool,
}

impl Places {
    /// A question goes to `place`; nothing to watch if that is in this process, node `here`.
    pub(crate) fn begin<'r, R: Runtime>(
        &self,
        rt: &'r R,
        place: Place,
        here: Option<NodeId>,
    ) -> Option<Open<'r, R>> {
        if here == Some(place.node) {
            return None;
        }
        let known = self.entry(place);
        let now = rt.now();
        if known.open.replace(known.open.get() + 1) == 0 {
            known.silent_since.set(now);
        }
        Some(Open { rt, known, begun: now, left: true })
    }

    /// Whether a place has kept silent for too long, with questions open.
    pub(crate) fn is_suspect(&self, place: Place, now: Mono) -> bool {
        let known = self.known.borrow();
        known.get(&place).is_some_and(|known| known.is_suspect(now))
    }

    /// Whether a place could not be reached just now, or is suspect.
    pub(crate) fn is_down(&self, place: Place, now: Mono) -> bool {
        let known = self.known.borrow();
        known.get(&place).is_some_and(|known| known.is_suspect(now) || now < known.down_until.get())
    }

    /// Somebody has heard of it since it could not be reached.
    pub(crate) fn forgive(&self, place: Place) {
        if let Some(known) = self.known.borrow().get(&place) {
            known.down_until.set(Mono(0));
        }
    }

    /// For comparison: what a question to `place` costs, about. What was long ago counts less.
    pub(crate) fn cost(&self, place: Place, now: Mono) -> u64 {
        let known = self.known.borrow();
        let Some(known) = known.get(&place) else { return 0 };
        if known.is_suspect(now) || now < known.down_until.get() {
            return u64::MAX;
        }
        let age = now.since(known.heard.get()).as_secs().min(63);
        (known.mean_us.get() >> age) * (u64::from(known.open.get()) + 1)
    }

    /// Whoever has not answered after this is late.
    pub(crate) fn patience(&self, place: Place) -> Duration {
        let known = self.known.borrow();
        known.get(&place).map_or(PATIENCE_FIRST, |known| known.times.borrow().patience)
    }

    fn entry(&self, place: Place) -> Rc<Known> {
        let mut known = self.known.borrow_mut();
        if let Some(known) = known.get(&place) {
            return known.clone();
        }
        if known.len() >= PLACES_MAX {
            known.pop_first();
        }
        known.entry(place).or_default().clone()
    }
}

impl Default for Known {
    fn default() -> Known {
        Known {
            mean_us: Cell::new(0),
            heard: Cell::new(Mono(0)),
            open: Cell::new(0),
            unanswered: Cell::new(0),
            silent_since: Cell::new(Mono(0)),
            down_until: Cell::new(Mono(0)),
            times: RefCell::new(Times { counts: [0; BUCKETS], total: 0, patience: PATIENCE_FIRST }),
        }
    }
}

impl Known {
    fn is_suspect(&self, now: Mono) -> bool {
        self.open.get() > 0 && now.since(self.silent_since.get()) >= SILENCE_MAX
    }

    /// A question ended without an answer.
    fn give_up(&self, now: Mono, took: Duration) {
        self.note(took);
        self.unanswered.set(self.unanswered.get() + 1);
        if self.unanswered.get() >= UNANSWERED_MAX {
            self.down_until.set(now.after(DOWN_TIME));
        }
    }

    fn note(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).min(1 << 40);
        let mean = self.mean_us.get();
        self.mean_us.set(if mean == 0 { us } else { mean - mean / MEAN_PART + us / MEAN_PART });
        self.times.borrow_mut().note(us);
    }
}

impl<R: Runtime> Open<'_, R> {
    /// The question was answered, or not.
    pub(crate) fn end<T>(mut self, outcome: &Result<T, CallError>) {
        self.left = false;
        let (known, now) = (&self.known, self.rt.now());
        match outcome {
            Ok(_) => {
                known.heard.set(now);
                known.silent_since.set(now);
                known.down_until.set(Mono(0));
                known.unanswered.set(0);
                known.note(now.since(self.begun));
            }
            // Refused here, not there.
            Err(CallError::Busy) => (),
            Err(CallError::NotServing | CallError::Closed) => known.down_until.set(now.after(DOWN_TIME)),
            Err(CallError::Deadline) => known.give_up(now, now.since(self.begun)),
        }
    }
}

impl<R: Runtime> Drop for Open<'_, R> {
    fn drop(&mut self) {
        if self.left {
            // Another was faster: this one took so long at least.
            let now = self.rt.now();
            self.known.give_up(now, now.since(self.begun));
        }
        self.known.open.set(self.known.open.get() - 1);
    }
}

impl Times {
    fn note(&mut self, us: u64) {
        let bucket = bucket_of(us);
        self.counts[bucket] += 1;
        self.total += 1;
        if self.total >= 2 * ANSWERS {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().map(|count| u32::from(*count)).sum();
        }
        if self.total >= ANSWERS_MIN && self.total.is_multiple_of(16) {
            self.patience = self.nearly_all().clamp(PATIENCE_MIN, PATIENCE_MAX);
        }
    }

    /// 98 of 100 answers came within this.
    fn nearly_all(&self) -> Duration {
        let mut later = self.total / 50;
        for (bucket, count) in self.counts.iter().enumerate().rev() {
            let count = u32::from(*count);
            if count > later {
                return Duration::from_micros(end_of(bucket));
            }
            later -= count;
        }
        Duration::ZERO
    }
}

/// Two buckets for each power of two: [2^n, 1.5 * 2^n) and [1.5 * 2^n, 2^(n + 1)).
fn bucket_of(us: u64) -> usize {
    let us = us.max(1);
    let power = us.ilog2();
    let half = if power == 0 { 0 } else { (us >> (power - 1)) & 1 };
    (2 * power as usize + half as usize).min(BUCKETS - 1)
}

fn end_of(bucket: usize) -> u64 {
    let power = bucket / 2;
    // The first power has no half.
    if bucket.is_multiple_of(2) && power > 0 { (1 << power) + (1 << power) / 2 } else { 2 << power }
}

#[cfg(test)]
mod tests;
