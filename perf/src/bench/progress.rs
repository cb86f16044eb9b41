//! What is going on, for a person who waits: counters that all cores add to, and one line on a terminal.
//!
//! The counters are the only thing that client cores share. One task on the first core looks at them a few times a
//! second; where standard error is not a terminal nothing is drawn.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use runtime::{Class, Mono, Runtime};

/// How often the line is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(200);

/// Operations so far, over all cores. Cheap to clone; all clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stage: AtomicU8,
    items: AtomicU64,
    errors: AtomicU64,
    items_expected: AtomicU64,
    micros_expected: AtomicU64,
    /// The longest time of an operation since the line was last drawn.
    slowest_ns: AtomicU64,
}

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Creating the table.
    Prepare,
    /// Loading items.
    Preload,
    /// Measuring.
    Measure,
    /// Reading back.
    ReadBack,
}

impl Stage {
    const ALL: [Stage; 4] = [Stage::Prepare, Stage::Preload, Stage::Measure, Stage::ReadBack];

    fn name(self) -> &'static str {
        match self {
            Stage::Prepare => "preparing",
            Stage::Preload => "loading",
            Stage::Measure => "measuring",
            Stage::ReadBack => "reading back",
        }
    }
}

impl Counters {
    /// A core enters `stage`, in which it expects `items`; 0 where nobody knows.
    pub fn enter(&self, stage: Stage, items: u64) {
        self.shared.stage.store(stage as u8, Ordering::Relaxed);
        self.shared.items_expected.fetch_add(items, Ordering::Relaxed);
    }

    /// The stage takes this long.
    pub fn expect_time(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.shared.micros_expected.store(micros, Ordering::Relaxed);
    }

    /// An operation took this long.
    pub fn took(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        // Looked at first: writing would take the line from the other cores each time.
        if nanos > self.shared.slowest_ns.load(Ordering::Relaxed) {
            self.shared.slowest_ns.fetch_max(nanos, Ordering::Relaxed);
        }
    }

    /// An operation on `items` items went well.
    pub fn ok(&self, items: u64) {
        self.shared.items.fetch_add(items, Ordering::Relaxed);
    }

    /// An operation went wrong.
    pub fn error(&self) {
        self.shared.errors.fetch_add(1, Ordering::Relaxed);
    }

    /// The latest stage.
    pub fn stage(&self) -> Stage {
        Stage::ALL[usize::from(self.shared.stage.load(Ordering::Relaxed))]
    }

    /// Items that went well so far.
    pub fn items(&self) -> u64 {
        self.shared.items.load(Ordering::Relaxed)
    }

    /// Operations that went wrong so far.
    pub fn errors(&self) -> u64 {
        self.shared.errors.load(Ordering::Relaxed)
    }
}

/// Draws a bar and a line on standard error for as long as the task lives that this returns.
pub fn show<R: Runtime>(rt: &R, counters: &Counters, label: &str) -> R::Task<()> {
    let bar = ProgressBar::new(0);
    let style =
        ProgressStyle::with_template("[{elapsed_precise}] {bar:24} {msg}").expect("a constant that parses");
    bar.set_style(style.progress_chars("=> "));
    rt.spawn(Class::Background, draw(rt.clone(), counters.clone(), label.to_owned(), Line(bar)))
}

/// Takes its line away when it is dropped.
struct Line(ProgressBar);

impl Drop for Line {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

async fn draw<R: Runtime>(rt: R, counters: Counters, label: String, line: Line) {
    let began = rt.now();
    let mut last = (began, counters.items());
    loop {
        rt.sleep(DRAW_EVERY).await;
        let now = (rt.now(), counters.items());
        let (length, place) = counters.way(now.0.since(began));
        line.0.set_length(length);
        line.0.set_position(place);
        line.0.set_message(describe(&counters, &label, last, now));
        line.0.tick();
        last = now;
    }
}

impl Counters {
    /// How long the way is and how far we are: in items where they are counted, else in time.
    fn way(&self, elapsed: Duration) -> (u64, u64) {
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        match (
            self.shared.items_expected.load(Ordering::Relaxed),
            self.shared.micros_expected.load(Ordering::Relaxed),
        ) {
            (0, 0) => (0, 0),
            (0, expected) => (expected, micros.min(expected)),
            (expected, _) => (expected, self.items().min(expected)),
        }
    }
}

/// `put: measuring, 25,113 items/s, slowest 4.1 ms, 130,221 so far, 0 errors`.
fn describe(counters: &Counters, label: &str, last: (Mono, u64), now: (Mono, u64)) -> String {
    let seconds = now.0.since(last.0).as_secs_f64().max(1e-9);
    let rate = (now.1 - last.1) as f64 / seconds;
    let expected = match counters.shared.items_expected.load(Ordering::Relaxed) {
        0 => String::new(),
        expected => format!(" of {expected}"),
    };
    let slowest = match counters.shared.slowest_ns.swap(0, Ordering::Relaxed) {
        0 => String::new(),
        nanos => format!(" slowest {:.1} ms,", nanos as f64 / 1e6),
    };
    let (stage, errors) = (counters.stage().name(), counters.errors());
    format!("{label}: {stage}, {rate:.0} items/s,{slowest} {}{expected} so far, {errors} errors", now.1)
}

#[cfg(test)]
mod tests;
