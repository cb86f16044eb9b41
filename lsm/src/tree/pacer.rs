//! Holds flush and compaction back: between blocks they ask here, and here they wait.
//!
//! 1. The *pulse*, a task of the foreground class, runs while background work does. It sleeps a few milliseconds at a time:
//!    what it oversleeps is how long the core kept the foreground waiting (`stall_us_max`). At every tick it asks the two
//!    controllers (`compaction::pace`) for their rates.
//! 2. A worker calls [`Pacer::spend`] after each block. It yields when it has held the core for a slice, when another class
//!    wants it, and sleeps when it is ahead of its rate.
//! 3. Each poll of a worker is timed ([`Pacer::metered`]): the longest is the longest time that one block kept the core
//!    (`slice_us_max`).
//!
//! The foreground's latencies come from whoever knows them: the tree times some of its own gets, the shard tells of its writes.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use runtime::sync::select;
use runtime::{Mono, Runtime};

use super::Inner;
use crate::compaction::pace::{Controller, PRESSURE_MAX, RATE_MAX, RATE_MIN, Signals, Window};

/// How long a worker may hold the core: about four blocks with compression. A yield costs about 3 us.
const SLICE: Duration = Duration::from_micros(100);
/// A sleep below this is not worth a timer; what is not slept is owed.
const SLEEP_MIN: Duration = Duration::from_millis(1);
/// A worker that was slower than its rate may catch up on this much.
const CATCH_UP_MAX: Duration = Duration::from_millis(20);
/// How often the pulse looks.
const PULSE: Duration = Duration::from_millis(5);
/// A tick of the controllers, in pulses.
const PULSES_PER_TICK: u32 = 10;
const TICK: Duration = Duration::from_millis(50);
const _: () = assert!(TICK.as_millis() == PULSE.as_millis() * PULSES_PER_TICK as u128);
/// One of so many gets is timed: two looks at the clock are 50 ns, a get from memory is not much more.
const GETS_PER_SAMPLE: u32 = 8;

/// What paces one kind of background work.
pub(super) struct Pacer {
    rate: Cell<u64>,
    /// Bytes since the last tick.
    moved: Cell<u64>,
    controller: RefCell<Controller>,
    /// When the bytes so far would have been moved at the rate.
    due: Cell<Mono>,
    /// When the running poll began.
    polled: Cell<Mono>,
    slice_max: Cell<Duration>,
    /// A job is running.
    active: Cell<bool>,
    /// When the last one ended.
    ended: Cell<Mono>,
}

impl Pacer {
    fn new(ceiling: u64) -> Pacer {
        Pacer {
            rate: Cell::new(RATE_MAX),
            moved: Cell::new(0),
            controller: RefCell::new(Controller::new(ceiling)),
            due: Cell::default(),
            polled: Cell::default(),
            slice_max: Cell::default(),
            active: Cell::new(false),
            ended: Cell::default(),
        }
    }

    /// After a block of so many bytes: yields or sleeps if it is time to.
    pub(super) async fn spend<R: Runtime>(&self, runtime: &R, bytes: u64) {
        let now = runtime.now();
        self.moved.set(self.moved.get() + bytes);
        let begin = self.due.get().max(Mono(now.0.saturating_sub(CATCH_UP_MAX.as_nanos() as u64)));
        let due = match self.rate.get() {
            RATE_MAX.. => begin,
            rate => begin.after(Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / rate)),
        };
        self.due.set(due);
        let ahead = due.since(now);
        if ahead >= SLEEP_MIN {
            runtime.sleep(ahead).await;
        } else if now.since(self.polled.get()) >= SLICE || runtime.should_yield() {
            runtime.yield_now().await;
        }
    }

    /// Runs a worker's job, each poll timed.
    pub(super) async fn metered<R: Runtime, F: Future>(&self, runtime: &R, job: F) -> F::Output {
        let mut job = pin!(job);
        poll_fn(|context| {
            let begin = runtime.now();
            self.polled.set(begin);
            let polled = job.as_mut().poll(context);
            self.slice_max.set(self.slice_max.get().max(runtime.now().since(begin)));
            polled
        })
        .await
    }

    /// A job begins: gently, if there was a pause before it.
    fn begin(&self, now: Mono, pressure: u64) {
        if now.since(self.ended.get()) >= TICK {
            self.rate.set(self.controller.borrow_mut().begin_gently(pressure));
        }
    }

    fn tick(&self, pressure: u64, p99_us: Option<u64>) {
        let moved = u128::from(self.moved.take()) * 1_000_000_000 / TICK.as_nanos();
        let signals = Signals { pressure, p99_us, moved: u64::try_from(moved).unwrap_or(u64::MAX) };
        if self.active.get() {
            self.rate.set(self.controller.borrow_mut().tick(signals));
        }
    }
}

/// What the tree knows of the foreground, and what holds the background back.
pub(super) struct Pacing {
    pub(super) flush: Pacer,
    pub(super) compaction: Pacer,
    window: RefCell<Window>,
    /// Callers who wait for a flush.
    hurried: Cell<u32>,
    gets: Cell<u32>,
    /// The foreground did something lately.
    awake: Cell<bool>,
    stall_max: Cell<Duration>,
}

/// Figures for the stats.
pub(super) struct PaceFigures {
    pub(super) foreground_us_p99: u64,
    pub(super) foreground_us_p99_quiet: u64,
    pub(super) stall_us_max: u64,
    pub(super) slice_us_max: u64,
    pub(super) compaction_rate: u64,
}

impl Pacing {
    /// Up to so many bytes a second for each kind of work while the foreground is there: see `TreeOptions`.
    pub(super) fn new(ceiling: u64) -> Pacing {
        let ceiling = ceiling.clamp(RATE_MIN, RATE_MAX);
        Pacing {
            flush: Pacer::new(ceiling),
            compaction: Pacer::new(ceiling),
            window: RefCell::default(),
            hurried: Cell::default(),
            gets: Cell::default(),
            awake: Cell::default(),
            stall_max: Cell::default(),
        }
    }

    /// Takes a latency of the foreground.
    pub(super) fn observe(&self, latency: Duration) {
        self.window.borrow_mut().add(latency.as_micros() as u64);
    }

    /// A caller waits for a flush: it is not held back until the guard is dropped.
    pub(super) fn hurry(&self) -> Hurry<'_> {
        self.hurried.set(self.hurried.get() + 1);
        self.flush.rate.set(RATE_MAX);
        Hurry { count: &self.hurried }
    }

    /// Whether this get is one that is timed.
    pub(super) fn samples_get(&self) -> bool {
        let gets = self.gets.get().wrapping_add(1);
        self.gets.set(gets);
        gets.is_multiple_of(GETS_PER_SAMPLE)
    }

    /// The longest time that the foreground was kept from the core while background work ran, and longest slices.
    pub(super) fn figures(&self) -> PaceFigures {
        let micros = |duration: Duration| duration.as_micros() as u64;
        let slice = self.flush.slice_max.get().max(self.compaction.slice_max.get());
        PaceFigures {
            foreground_us_p99: self.window.borrow().p99_us().unwrap_or(0),
            foreground_us_p99_quiet: self.compaction.controller.borrow().baseline_us().unwrap_or(0),
            stall_us_max: micros(self.stall_max.get()),
            slice_us_max: micros(slice),
            compaction_rate: self.compaction.rate.get(),
        }
    }

    fn is_active(&self) -> bool {
        self.flush.active.get() || self.compaction.active.get()
    }
}

impl<R: Runtime> Inner<R> {
    /// Runs a job under a pacer; the pulse beats meanwhile.
    pub(super) async fn paced<F: Future>(&self, pacer: &Pacer, job: F) -> F::Output {
        if !self.pacing.is_active() {
            let quiet_p99_us = {
                let mut window = self.pacing.window.borrow_mut();
                let quiet = window.quiet_p99_us();
                self.pacing.awake.set(window.take_fresh() > 0);
                quiet
            };
            for pacer in [&self.pacing.flush, &self.pacing.compaction] {
                pacer.controller.borrow_mut().begin(quiet_p99_us);
            }
        }
        if self.pacing.awake.get() {
            let is_flush = std::ptr::eq(pacer, &self.pacing.flush);
            let pressure = if is_flush { self.flush_pressure() } else { self.compaction_pressure() };
            pacer.begin(self.runtime.now(), pressure);
        }
        let active = Active::new(&pacer.active);
        self.pulse.notify_all();
        let done = pacer.metered(&self.runtime, job).await;
        pacer.ended.set(self.runtime.now());
        drop(active);
        done
    }

    fn flush_pressure(&self) -> u64 {
        if self.pacing.hurried.get() > 0 { PRESSURE_MAX } else { self.room().flush_pressure() }
    }

    /// A tick of both controllers.
    fn tick(&self) {
        let (fresh, p99_us) = {
            let mut window = self.pacing.window.borrow_mut();
            (window.take_fresh(), window.p99_us())
        };
        let p99_us = p99_us.filter(|_| fresh > 0);
        self.pacing.awake.set(fresh > 0);
        self.pacing.flush.tick(self.flush_pressure(), p99_us);
        self.pacing.compaction.tick(self.compaction_pressure(), p99_us);
    }
}

/// That somebody waits for a flush, until it is dropped.
pub(super) struct Hurry<'a> {
    count: &'a Cell<u32>,
}

impl Drop for Hurry<'_> {
    fn drop(&mut self) {
        self.count.set(self.count.get() - 1);
    }
}

/// That a job is running, until it is dropped.
struct Active<'a> {
    flag: &'a Cell<bool>,
}

impl<'a> Active<'a> {
    fn new(flag: &'a Cell<bool>) -> Active<'a> {
        flag.set(true);
        Active { flag }
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.flag.set(false);
    }
}

/// Beats while background work runs, in the class of those who wait for the core.
pub(super) async fn pulse<R: Runtime>(inner: Rc<Inner<R>>) {
    let mut beats = 0u32;
    loop {
        let (begun, work) = (inner.pulse.notified(), inner.work.notified());
        if inner.is_stopping() {
            return;
        }
        if !inner.pacing.is_active() {
            select(begun, work).await;
            continue;
        }
        let before = inner.runtime.now();
        inner.runtime.sleep(PULSE).await;
        let late = inner.runtime.now().since(before).saturating_sub(PULSE);
        inner.pacing.stall_max.set(inner.pacing.stall_max.get().max(late));
        beats = beats.wrapping_add(1);
        if beats.is_multiple_of(PULSES_PER_TICK) {
            inner.tick();
        }
    }
}

const _: () = assert!(PRESSURE_MAX == super::budget::OWED_MAX);
