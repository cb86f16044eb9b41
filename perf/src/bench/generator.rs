//! The lanes of one core: each is one connection with one request in flight.
//!
//! ```text
//! schedule --> lane 1  --request-->  server          every lane, again and again:
//!          --> lane 2  <--answer---                  1. take the next slot, wait until it is due
//!          --> ...                                   2. ask the workload what to do, send it
//!              lane n        recorder <-- times      3. read the answer, judge it, record it
//! ```
//!
//! A watchdog looks over all lanes a few times a second: who waits longer than the plan's timeout loses its
//! connection, and the request counts as `Timeout`. (A timer for each request would cost more than the request.)
//!
//! Everything ends by itself: no slot lies beyond the duration; slots that are past when the timeout after the end is
//! over are not sent any more but counted, as `NotSent`, with the time that they have waited.
//!
//! Leaves to others: when (`schedule`), what (`workload`), how many cores (`local`).

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, bail};
use runtime::sync::{Either, Notify, join_all, select, timeout};
use runtime::{Class, Mono, Runtime};

use super::client::Connection;
use super::keys::Chance;
use super::native::Native;
use super::options::{Plan, Work};
use super::progress::{Counters, Stage};
use super::recorder::{Recorder, Times};
use super::request::Requests;
use super::schedule::{Pace, Schedule};
use super::verify::Findings;
use super::workload::{End, Operation, Part, Ruling, TRIES_MAX, Workload};

/// Pause of a lane after a request that went wrong, so that a dead server is not asked a million times a second.
const PAUSE: Duration = Duration::from_millis(10);
/// Pause before the same request is tried again while loading or reading back.
const PAUSE_AGAIN: Duration = Duration::from_millis(200);
/// How long a piece of the time series is, at least.
const SERIES_WIDTH: Duration = Duration::from_secs(1);
/// Pieces of a time series, at most.
const SERIES_PIECES_MAX: u32 = 3_600;
/// How many times in one timeout the watchdog looks.
const LOOKS: u32 = 8;

/// What one core has counted.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// Times and errors of the measured operations.
    pub recorder: Recorder,
    /// What `--verify` found, if it was asked for.
    pub findings: Option<Findings>,
}

impl Counted {
    /// Adds what another core has counted in the same time.
    pub fn merge(&mut self, other: &Counted) {
        self.recorder.merge(&other.recorder);
        if let Some(findings) = &other.findings {
            self.findings.get_or_insert_default().merge(findings);
        }
    }
}

/// Loads what `plan` wants to be there before the measurement: this part of it.
pub async fn preload<R: Runtime>(rt: &R, plan: &Plan, part: Part, counters: &Counters) -> anyhow::Result<()> {
    counters.enter(Stage::Preload, part.share(plan.preload));
    if part.share(plan.preload) == 0 {
        return Ok(());
    }
    let phase = Phase::new(rt, plan, Workload::preload(plan, part), counters);
    phase.run(plan, part, Span::UNBOUNDED).await?;
    Ok(())
}

/// Measures what `plan` says: this part of it. With `--verify`, reads back afterwards.
pub async fn measure<R: Runtime>(
    rt: &R,
    plan: &Plan,
    part: Part,
    counters: &Counters,
) -> anyhow::Result<Counted> {
    let seed = plan.seed.context("the seed is drawn before the measurement")?;
    let is_load = plan.work == Work::Load;
    let span = if is_load { Span::UNBOUNDED } else { Span::of(plan) };
    counters.enter(Stage::Measure, if is_load { part.share(plan.key_count) } else { 0 });
    if !is_load {
        counters.expect_time(plan.warmup + plan.duration);
    }
    let mut phase = Phase::new(rt, plan, Workload::measured(plan, part, seed), counters);
    if let Some(target) = &plan.native {
        phase.native = Some(Native::open(rt, plan, target).await?);
    }
    let phase = phase.run(plan, part, Span { keeps_series: true, ..span }).await?;
    let mut recorder = phase.recorder.take();
    recorder.finish();
    let read_back = phase.workload.borrow_mut().read_back();
    let Some((workload, keys)) = read_back else { return Ok(Counted { recorder, findings: None }) };

    counters.enter(Stage::ReadBack, keys);
    let phase = Phase::new(rt, plan, workload, counters).run(plan, part, Span::UNBOUNDED).await?;
    let findings = phase.workload.borrow().findings().clone();
    Ok(Counted { recorder, findings: Some(findings) })
}

/// How long a phase takes.
#[derive(Clone, Copy, Debug)]
struct Span {
    pace: Pace,
    warmup: Duration,
    duration: Option<Duration>,
    keeps_series: bool,
}

impl Span {
    /// As fast as it goes, until the workload has no more.
    const UNBOUNDED: Span =
        Span { pace: Pace::Closed, warmup: Duration::ZERO, duration: None, keeps_series: false };

    fn of(plan: &Plan) -> Span {
        Span { pace: plan.pace, warmup: plan.warmup, duration: Some(plan.duration), keeps_series: false }
    }
}

/// What the lanes of one core share.
struct Phase<R: Runtime> {
    rt: R,
    timeout: Duration,
    requests: Requests,
    workload: RefCell<Workload>,
    recorder: RefCell<Recorder>,
    counters: Counters,
    /// Set when the lanes start.
    schedule: RefCell<Option<Schedule>>,
    /// What was due earlier is warm-up.
    counted_from: Cell<Mono>,
    /// What is sent later is not sent.
    given_up_from: Cell<Mono>,
    /// One of so many operations asks where its time went; 0 is none.
    stages_every: u64,
    /// Operations so far.
    started: Cell<u64>,
    /// The way to the shards, if it is not HTTP.
    native: Option<Native<R>>,
}

/// How long one lane has been waiting for its answer.
#[derive(Default)]
struct Watch {
    began: Cell<Option<Mono>>,
    expired: Notify,
}

impl<R: Runtime> Phase<R> {
    fn new(rt: &R, plan: &Plan, workload: Workload, counters: &Counters) -> Phase<R> {
        Phase {
            rt: rt.clone(),
            timeout: plan.timeout,
            requests: Requests::new(plan, plan.seed.unwrap_or_default()),
            workload: RefCell::new(workload),
            recorder: RefCell::new(Recorder::default()),
            counters: counters.clone(),
            schedule: RefCell::new(None),
            counted_from: Cell::new(Mono(0)),
            given_up_from: Cell::new(Mono(u64::MAX)),
            stages_every: plan.stages_every,
            started: Cell::new(0),
            native: None,
        }
    }

    /// Runs all lanes to their end.
    async fn run(self, plan: &Plan, part: Part, span: Span) -> anyhow::Result<Rc<Phase<R>>> {
        let connections = self.connect(plan, part).await?;
        self.lay_schedule(plan, part, span);
        let phase = Rc::new(self);
        let watches: Vec<Rc<Watch>> = connections.iter().map(|_| Rc::default()).collect();
        let watchdog = watch(phase.rt.clone(), phase.timeout, watches.clone());
        let watchdog = phase.rt.spawn(Class::Foreground, watchdog);
        let lane =
            |(connection, watch)| phase.rt.spawn(Class::Foreground, lane(phase.clone(), connection, watch));
        let lanes: Vec<_> = connections.into_iter().zip(watches).map(lane).collect();
        join_all(lanes).await;
        drop(watchdog);
        let failure = phase.workload.borrow().failure().map(str::to_owned);
        failure.map_or(Ok(phase), |failure| bail!(failure))
    }

    /// Opens all connections before the clock starts: connecting is not what is measured.
    async fn connect(&self, plan: &Plan, part: Part) -> anyhow::Result<Vec<Connection<R>>> {
        let url = plan.target.url();
        let mut connections = Vec::new();
        for index in 0..part.share(plan.connections as u64) {
            let mut connection = Connection::new(&self.rt, &plan.target);
            match timeout(&self.rt, self.timeout, connection.open()).await {
                Ok(Ok(())) => connections.push(connection),
                Ok(Err(broken)) => bail!("{url}: connection {index}: {broken}"),
                Err(_) => bail!("{url}: connection {index} was not accepted in {:?}", self.timeout),
            }
        }
        Ok(connections)
    }

    fn lay_schedule(&self, plan: &Plan, part: Part, span: Span) {
        let begin = self.rt.now();
        let counted_from = begin.after(span.warmup);
        let end = span.duration.map_or(Mono(u64::MAX), |duration| counted_from.after(duration));
        self.counted_from.set(counted_from);
        self.given_up_from.set(end.after(plan.timeout));
        let chance = Chance::new(plan.seed.unwrap_or_default(), u64::MAX - part.index as u64);
        let mut schedule = Schedule::new(span.pace.part(part.count), begin, end, chance);
        if let (Work::Trace(trace), Pace::Recorded { .. }) = (&plan.work, span.pace) {
            let slots = trace.part(part.index, part.count).iter().map(|line| line.after).collect();
            schedule = schedule.with_slots(slots);
        }
        *self.schedule.borrow_mut() = Some(schedule);
        if span.keeps_series {
            let width = SERIES_WIDTH.max(span.duration.unwrap_or_default() / SERIES_PIECES_MAX);
            *self.recorder.borrow_mut() = Recorder::with_series(counted_from, width);
        }
    }

    /// The next operation and when it was due; waits until it is.
    async fn next(&self) -> Option<(Mono, Operation)> {
        loop {
            let now = self.rt.now();
            let (due, slot) =
                self.schedule.borrow_mut().as_mut().expect("laid before the lanes start").take(now)?;
            if now >= self.given_up_from.get() {
                self.skip(due, now)?;
                if self.rt.should_yield() {
                    self.rt.yield_now().await;
                }
                continue;
            }
            if due > now {
                self.rt.sleep(due.since(now)).await;
            }
            let operation = self.workload.borrow_mut().start(slot)?;
            return Some((due, operation));
        }
    }

    /// Counts a slot that is not sent any more; `None` when there are no more operations to count.
    fn skip(&self, due: Mono, now: Mono) -> Option<()> {
        let mut workload = self.workload.borrow_mut();
        if due >= self.counted_from.get() {
            self.recorder.borrow_mut().unsent(workload.kind_unsent(), due, now);
        }
        self.counters.error();
        workload.skip().then_some(())
    }

    /// Whether the next operation asks where its time goes.
    fn is_sampled(&self) -> bool {
        let started = self.started.get();
        self.started.set(started + 1);
        self.stages_every > 0 && started.is_multiple_of(self.stages_every)
    }

    /// Keeps what the server says about an operation that was due at `due`.
    fn note_stages(&self, operation: &Operation, due: Mono, ledger: Option<&str>) {
        if due >= self.counted_from.get() {
            self.recorder.borrow_mut().stages.entry(operation.kind()).or_default().note(ledger);
        }
    }

    /// Records the end of `operation`.
    fn settle(&self, operation: &Operation, times: Times, ruling: &Ruling) {
        let counted = times.due >= self.counted_from.get();
        let mut recorder = self.recorder.borrow_mut();
        match ruling {
            Ruling::Fine => {
                self.counters.ok(operation.items());
                self.counters.took(times.done.since(times.due));
                if counted {
                    recorder.ok(operation.kind(), times, operation.items());
                }
            }
            Ruling::Error(code) | Ruling::Again(code) => {
                self.counters.error();
                if counted {
                    recorder.error(operation.kind(), times, code);
                }
            }
        }
    }
}

async fn lane<R: Runtime>(phase: Rc<Phase<R>>, connection: Connection<R>, watch: Rc<Watch>) {
    let mut lane = Lane { connection, watch, request: Vec::new() };
    while let Some((mut due, operation)) = phase.next().await {
        for attempt in 1.. {
            let ruling = lane.attempt(&phase, due, &operation).await;
            match ruling {
                Ruling::Fine => break,
                Ruling::Error(_) => {
                    phase.rt.sleep(PAUSE).await;
                    break;
                }
                Ruling::Again(code) if attempt == TRIES_MAX => {
                    phase.workload.borrow_mut().fail(&operation, &code);
                    break;
                }
                Ruling::Again(_) => phase.rt.sleep(PAUSE_AGAIN).await,
            }
            due = phase.rt.now();
        }
    }
}

/// One connection, with one request in flight.
struct Lane<R: Runtime> {
    connection: Connection<R>,
    watch: Rc<Watch>,
    request: Vec<u8>,
}

impl<R: Runtime> Lane<R> {
    /// Does `operation` and takes note of its time: of all its requests together, if it has several.
    async fn attempt(&mut self, phase: &Phase<R>, due: Mono, operation: &Operation) -> Ruling {
        let sent = phase.rt.now();
        let mut ruling = self.exchange(phase, due, operation).await;
        let mut rest = operation.rest();
        while let (Ruling::Fine, Some(next)) = (&ruling, rest) {
            ruling = self.exchange(phase, due, &next).await;
            rest = next.rest();
        }
        let times = Times { due, sent, done: phase.rt.now() };
        phase.settle(operation, times, &ruling);
        ruling
    }

    /// Sends a request, waits for its answer and has the workload judge it.
    async fn exchange(&mut self, phase: &Phase<R>, due: Mono, operation: &Operation) -> Ruling {
        if let Some(native) = &phase.native {
            // It has deadlines of its own.
            let said = native.exchange(phase.requests.contents(), operation).await;
            let end = End::Answered(said.answer());
            return phase.workload.borrow_mut().settle(phase.requests.contents(), operation, &end);
        }
        phase.workload.borrow().request(&phase.requests, &mut self.request, operation);
        let is_sampled = phase.is_sampled();
        if is_sampled {
            Requests::ask_for_stages(&mut self.request);
        }
        self.watch.began.set(Some(phase.rt.now()));
        let answer = select(self.connection.exchange(&self.request), self.watch.expired.notified()).await;
        self.watch.began.set(None);
        let end = match answer {
            Either::First(Ok(answer)) => End::Answered(answer),
            Either::First(Err(broken)) => End::Unanswered(broken.to_string()),
            Either::Second(()) => End::Unanswered("Timeout".to_owned()),
        };
        let ruling = phase.workload.borrow_mut().settle(phase.requests.contents(), operation, &end);
        if is_sampled {
            phase.note_stages(operation, due, self.connection.ledger());
        }
        ruling
    }
}

/// The watchdog.
async fn watch<R: Runtime>(rt: R, timeout: Duration, watches: Vec<Rc<Watch>>) {
    loop {
        rt.sleep(timeout / LOOKS).await;
        let now = rt.now();
        for watch in &watches {
            if watch.began.get().is_some_and(|began| now.since(began) >= timeout) {
                watch.expired.notify_all();
            }
        }
    }
}
