//! One thread, random task order, virtual time.
//!
//! 1. A waker puts its task's key on the `ready` list; the executor moves it to `runnable`.
//! 2. `step` polls one runnable task, picked at random.
//! 3. When none is left, time jumps to the next event, and all events of that instant happen.
//!
//! Dropping a future may wake, spawn and cancel others, so no future is dropped while a cell is borrowed.

mod task;
mod timer;

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::random::Stream;
use super::trace::Event;
use super::world::{Inner, NodeId};
pub use task::SimTask;
pub(super) use timer::{Timer, TimerWait};

type Body = Pin<Box<dyn Future<Output = ()>>>;

/// A task: a place in the table, and which of its successive occupants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TaskKey {
    index: u32,
    generation: u32,
}

/// The future of a `block_on` has no place in the table; its generation is the count of those before it.
const MAIN_INDEX: u32 = u32::MAX;

#[derive(Default)]
struct Slot {
    generation: u32,
    /// `None` in an occupied slot: it is being polled right now.
    body: Option<Body>,
    occupied: bool,
    cancelled: bool,
    /// `None`: a task of the test itself, which no crash reaches.
    owner: Option<NodeId>,
    wake: Option<(Arc<TaskWake>, Waker)>,
}

/// Keys of tasks that were woken. A `Waker` must be `Send`, so this has a lock, never contended.
#[derive(Default)]
struct ReadyList {
    #[expect(
        clippy::disallowed_types,
        reason = "std::task::Waker is Send by type; the world has one thread"
    )]
    keys: std::sync::Mutex<Vec<TaskKey>>,
}

struct TaskWake {
    key: TaskKey,
    queued: AtomicBool,
    ready: Arc<ReadyList>,
}

impl Wake for TaskWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.ready.keys.lock().expect("no panic happens under this lock").push(self.key);
        }
    }
}

/// Looks at the world between two instants.
pub(super) type Watcher = Rc<dyn Fn()>;

pub(super) type Work = Box<dyn FnOnce(&Rc<Inner>)>;

/// What happens at a later instant.
pub(super) enum Action {
    Wake(Rc<Timer>),
    Run(Work),
}

struct Scheduled {
    at: u64,
    sequence: u64,
    action: Action,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Scheduled) -> bool {
        self.sequence == other.sequence
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Scheduled) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Scheduled) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

pub(super) struct Executor {
    now: Cell<u64>,
    ready: Arc<ReadyList>,
    runnable: RefCell<Vec<TaskKey>>,
    /// Runnable tasks of paused nodes.
    held: RefCell<Vec<TaskKey>>,
    paused: RefCell<Vec<NodeId>>,
    slots: RefCell<Vec<Slot>>,
    free: RefCell<Vec<u32>>,
    scheduled: RefCell<BinaryHeap<Reverse<Scheduled>>>,
    sequence: Cell<u64>,
    order: RefCell<Stream>,
    polls: Cell<u64>,
    polls_at_this_instant: Cell<u64>,
    polls_max: u64,
    /// Called before time moves, each time.
    watcher: RefCell<Option<Watcher>>,
    /// Whether a `block_on` goes on, and which.
    in_block_on: Cell<bool>,
    block_ons: Cell<u32>,
}

/// What a step found to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Polled,
    /// Time moved, or an event happened.
    Fired,
    /// Nothing is runnable and nothing is scheduled: nothing will ever happen again.
    Stuck,
}

impl Executor {
    pub fn new(seed: u64, polls_max: u64) -> Executor {
        Executor {
            now: Cell::new(0),
            ready: Arc::default(),
            runnable: RefCell::default(),
            held: RefCell::default(),
            paused: RefCell::default(),
            slots: RefCell::default(),
            free: RefCell::default(),
            scheduled: RefCell::default(),
            sequence: Cell::new(0),
            order: RefCell::new(Stream::new(seed, "task order", 0)),
            polls: Cell::new(0),
            polls_at_this_instant: Cell::new(0),
            polls_max,
            watcher: RefCell::default(),
            in_block_on: Cell::new(false),
            block_ons: Cell::new(0),
        }
    }

    pub fn now(&self) -> u64 {
        self.now.get()
    }

    pub fn watch(&self, watcher: Option<Watcher>) {
        let before = std::mem::replace(&mut *self.watcher.borrow_mut(), watcher);
        drop(before);
    }

    pub fn polls(&self) -> u64 {
        self.polls.get()
    }

    pub fn schedule(&self, at: u64, action: Action) {
        let sequence = self.sequence.get();
        self.sequence.set(sequence + 1);
        let at = at.max(self.now());
        self.scheduled.borrow_mut().push(Reverse(Scheduled { at, sequence, action }));
    }

    pub fn spawn(&self, owner: Option<NodeId>, body: Body) -> TaskKey {
        let index = self.free.borrow_mut().pop().unwrap_or_else(|| {
            let mut slots = self.slots.borrow_mut();
            slots.push(Slot::default());
            u32::try_from(slots.len() - 1).expect("fewer than four billion tasks live at once")
        });
        let mut slots = self.slots.borrow_mut();
        let slot = &mut slots[index as usize];
        assert!(!slot.occupied, "a free slot is free");
        let key = TaskKey { index, generation: slot.generation };
        let wake = Arc::new(TaskWake { key, queued: AtomicBool::new(true), ready: self.ready.clone() });
        *slot = Slot {
            generation: slot.generation,
            body: Some(body),
            occupied: true,
            cancelled: false,
            owner,
            wake: Some((wake.clone(), wake.into())),
        };
        self.runnable.borrow_mut().push(key);
        key
    }

    /// The task is dropped when its turn comes.
    pub fn cancel(&self, key: TaskKey) {
        let wake = {
            let mut slots = self.slots.borrow_mut();
            let slot = &mut slots[key.index as usize];
            if slot.generation != key.generation || !slot.occupied {
                return;
            }
            slot.cancelled = true;
            slot.wake.as_ref().map(|(_, waker)| waker.clone())
        };
        wake.into_iter().for_each(Waker::wake);
    }

    /// Drops all tasks of `owner` (of everyone, for `None`) except the one that is running, which ends at its next
    /// await.
    pub fn kill(&self, owner: Option<NodeId>) {
        let mut killed = Vec::new();
        for (index, slot) in self.slots.borrow_mut().iter_mut().enumerate() {
            if !slot.occupied || (owner.is_some() && slot.owner != owner) {
                continue;
            }
            match slot.body.take() {
                None => slot.cancelled = true,
                Some(body) => {
                    killed.push(body);
                    vacate(slot);
                    self.free.borrow_mut().push(index as u32);
                }
            }
        }
        drop(killed);
    }

    pub fn pause(&self, node: NodeId) {
        let mut paused = self.paused.borrow_mut();
        if !paused.contains(&node) {
            paused.push(node);
        }
    }

    pub fn resume(&self, node: NodeId) {
        self.paused.borrow_mut().retain(|other| *other != node);
        self.runnable.borrow_mut().append(&mut self.held.borrow_mut());
    }

    /// Drops what is scheduled, and who watches. For the end of the world.
    pub fn forget_scheduled(&self) {
        self.watch(None);
        let scheduled = std::mem::take(&mut *self.scheduled.borrow_mut());
        drop(scheduled);
    }

    /// Tasks that live, and those of them that wait only because their node is paused.
    pub fn census(&self) -> (usize, usize) {
        let living = self.slots.borrow().iter().filter(|slot| slot.occupied).count();
        (living, self.held.borrow().len())
    }
}

fn vacate(slot: &mut Slot) {
    slot.occupied = false;
    slot.generation = slot.generation.wrapping_add(1);
    slot.wake = None;
}

impl Inner {
    /// Polls one task or lets one instant happen. `main` polls the future of `block_on`.
    pub(super) fn step(self: &Rc<Inner>, main: &mut dyn FnMut()) -> Step {
        let executor = &self.executor;
        match executor.next_runnable() {
            Some(key) if key.index == MAIN_INDEX => {
                // Wakers of a future that was given up may be left here and there.
                if executor.in_block_on.get() && key.generation == executor.block_ons.get() {
                    self.count_poll(u64::MAX);
                    main();
                }
                Step::Polled
            }
            Some(key) => {
                self.poll_task(key);
                Step::Polled
            }
            None => self.next_instant(),
        }
    }

    fn poll_task(self: &Rc<Inner>, key: TaskKey) {
        let executor = &self.executor;
        let Some((mut body, waker)) = executor.begin_poll(key) else { return };
        self.count_poll(u64::from(key.index));
        let ended = body.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        if let Some(dead) = executor.end_poll(key, body, ended) {
            drop(dead);
        }
    }

    fn count_poll(&self, subject: u64) {
        let executor = &self.executor;
        executor.polls.set(executor.polls.get() + 1);
        let here = executor.polls_at_this_instant.get() + 1;
        executor.polls_at_this_instant.set(here);
        self.trace.record(executor.now(), Event::Poll, subject, 0);
        assert!(
            here <= executor.polls_max,
            "livelock: {here} polls and virtual time still stands at {} ns; some task wakes itself again and \
             again (a loop around yield_now that waits for something?); seed {}",
            executor.now(),
            self.seed
        );
    }

    /// Time jumps to the next event; everything that is due then happens.
    fn next_instant(self: &Rc<Inner>) -> Step {
        let executor = &self.executor;
        executor.drop_cancelled_timers();
        let Some(at) = executor.next_due() else { return Step::Stuck };
        if at > executor.now() {
            let watcher = executor.watcher.borrow().clone();
            watcher.into_iter().for_each(|look| look());
            executor.now.set(at);
            executor.polls_at_this_instant.set(0);
        }
        while let Some(action) = executor.take_due() {
            match action {
                Action::Wake(timer) if timer.is_cancelled() => {}
                Action::Wake(timer) => {
                    self.trace.record(at, Event::Timer, 0, 0);
                    timer.fire();
                }
                Action::Run(run) => {
                    self.trace.record(at, Event::Action, 0, 0);
                    run(self);
                }
            }
        }
        Step::Fired
    }

    /// Runs the world until `future` is done; `may_go_on` is asked before each step.
    pub(super) fn drive<T>(
        self: &Rc<Inner>,
        future: impl Future<Output = T>,
        mut may_go_on: impl FnMut(Step) -> bool,
    ) -> Option<T> {
        let executor = &self.executor;
        assert!(
            !executor.in_block_on.replace(true),
            "the world is running already: await instead of blocking"
        );
        let _leave = Leave(&executor.in_block_on);
        let generation = executor.block_ons.get().wrapping_add(1);
        executor.block_ons.set(generation);
        let key = TaskKey { index: MAIN_INDEX, generation };
        let wake = Arc::new(TaskWake { key, queued: AtomicBool::new(true), ready: executor.ready.clone() });
        executor.runnable.borrow_mut().push(key);
        let waker = Waker::from(wake.clone());
        let mut future = std::pin::pin!(future);
        let mut output = None;
        let mut last = Step::Polled;
        while output.is_none() && may_go_on(last) {
            last = self.step(&mut || {
                wake.queued.store(false, Ordering::Relaxed);
                if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    output = Some(value);
                }
            });
        }
        output
    }
}

/// Marks that nobody drives the world any more, also when a task panicked.
struct Leave<'a>(&'a Cell<bool>);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Executor {
    fn gather_ready(&self) {
        let mut ready = self.ready.keys.lock().expect("no panic happens under this lock");
        self.runnable.borrow_mut().append(&mut ready);
    }

    fn next_runnable(&self) -> Option<TaskKey> {
        self.gather_ready();
        loop {
            let mut runnable = self.runnable.borrow_mut();
            if runnable.is_empty() {
                return None;
            }
            let picked = self.order.borrow_mut().index(runnable.len());
            let key = runnable.swap_remove(picked);
            if self.is_held(key) {
                self.held.borrow_mut().push(key);
                continue;
            }
            return Some(key);
        }
    }

    fn is_held(&self, key: TaskKey) -> bool {
        let paused = self.paused.borrow();
        if paused.is_empty() || key.index == MAIN_INDEX {
            return false;
        }
        self.slots.borrow()[key.index as usize].owner.is_some_and(|owner| paused.contains(&owner))
    }

    /// Takes a living task's body out of its slot; drops it instead if it was cancelled.
    fn begin_poll(&self, key: TaskKey) -> Option<(Body, Waker)> {
        let cancelled = {
            let mut slots = self.slots.borrow_mut();
            let slot = &mut slots[key.index as usize];
            if slot.generation != key.generation || !slot.occupied {
                return None;
            }
            let body = slot.body.take().expect("a task is polled by one poll at a time");
            if !slot.cancelled {
                let (wake, waker) = slot.wake.as_ref().expect("an occupied slot has its waker");
                wake.queued.store(false, Ordering::Relaxed);
                return Some((body, waker.clone()));
            }
            vacate(slot);
            self.free.borrow_mut().push(key.index);
            body
        };
        drop(cancelled);
        None
    }

    /// Puts the body back; or, when the task is over, hands it out to be dropped.
    fn end_poll(&self, key: TaskKey, body: Body, ended: bool) -> Option<Body> {
        let mut slots = self.slots.borrow_mut();
        let slot = &mut slots[key.index as usize];
        assert!(slot.occupied && slot.generation == key.generation, "a polled task keeps its slot");
        if ended || slot.cancelled {
            vacate(slot);
            self.free.borrow_mut().push(key.index);
            return Some(body);
        }
        slot.body = Some(body);
        None
    }

    fn next_due(&self) -> Option<u64> {
        self.scheduled.borrow().peek().map(|Reverse(first)| first.at)
    }

    fn take_due(&self) -> Option<Action> {
        let mut scheduled = self.scheduled.borrow_mut();
        let first = scheduled.peek_mut()?;
        if first.0.at > self.now() {
            return None;
        }
        Some(std::collections::binary_heap::PeekMut::pop(first).0.action)
    }

    /// A timer that nobody waits for must not move time.
    fn drop_cancelled_timers(&self) {
        let mut scheduled = self.scheduled.borrow_mut();
        while let Some(Reverse(Scheduled { action: Action::Wake(timer), .. })) = scheduled.peek() {
            if !timer.is_cancelled() {
                return;
            }
            scheduled.pop();
        }
    }
}
