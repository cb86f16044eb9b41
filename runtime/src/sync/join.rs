//! Several futures inside one task.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::Runtime;

/// The time of a [`timeout`] is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl std::fmt::Display for Elapsed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the time is over")
    }
}

impl std::error::Error for Elapsed {}

/// Waits for `future`, at most `duration`. A future that is ready at the very end still wins.
///
/// When the time is over the future is dropped, which does not undo what it has begun.
pub async fn timeout<R: Runtime, T>(
    runtime: &R,
    duration: Duration,
    future: impl Future<Output = T>,
) -> Result<T, Elapsed> {
    match select(future, runtime.sleep(duration)).await {
        Either::First(value) => Ok(value),
        Either::Second(()) => Err(Elapsed),
    }
}

/// Which of two came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The first argument of [`select`] did.
    First(A),
    /// The second argument did.
    Second(B),
}

/// Waits for whichever finishes first and drops the other; `first` wins when both are ready.
pub async fn select<A: Future, B: Future>(first: A, second: B) -> Either<A::Output, B::Output> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|context| {
        if let Poll::Ready(value) = first.as_mut().poll(context) {
            return Poll::Ready(Either::First(value));
        }
        second.as_mut().poll(context).map(Either::Second)
    })
    .await
}

/// Runs all futures concurrently inside this task and gathers their results in order.
///
/// A child is polled when it was woken, not whenever a sibling was: n children cost n polls, not n squared.
pub async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut children: Vec<Child<F>> = futures.into_iter().map(Child::new).collect();
    let mut running = children.len();
    let mut parent: Option<Waker> = None;
    poll_fn(|context| {
        let moved = !parent.as_ref().is_some_and(|known| known.will_wake(context.waker()));
        if moved {
            parent = Some(context.waker().clone());
            children.iter_mut().for_each(|child| child.wake_through(context.waker()));
        }
        for child in &mut children {
            running -= usize::from(child.finishes());
        }
        if running == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    children.into_iter().map(Child::into_output).collect()
}

/// Runs futures concurrently inside this task, at most `running_max` at a time, and gathers their results in order.
///
/// As one ends the next begins: a slow one holds up nobody but itself.
pub async fn join_some<F: Future>(
    futures: impl IntoIterator<Item = F>,
    running_max: usize,
) -> Vec<F::Output> {
    assert!(running_max > 0, "somebody has to run");
    let results = RefCell::new(Vec::new());
    let queue = RefCell::new(futures.into_iter().enumerate());
    let next = || queue.borrow_mut().next();
    let lane = async |mut work: Option<(usize, F)>| {
        while let Some((place, future)) = work.take().or_else(next) {
            let result = future.await;
            results.borrow_mut().push((place, result));
        }
    };
    // No more lanes than there is work for.
    let first: Vec<_> = std::iter::from_fn(next).take(running_max).collect();
    join_all(first.into_iter().map(|work| lane(Some(work)))).await;
    let mut results = results.into_inner();
    results.sort_unstable_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
}

struct Child<F: Future> {
    state: ChildState<F>,
    flag: Arc<Flag>,
    waker: Waker,
}

enum ChildState<F: Future> {
    Running(Pin<Box<F>>),
    Done(F::Output),
}

/// Set when the child shall be polled; then the parent is woken.
struct Flag {
    woken: AtomicBool,
    parent: Waker,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.parent.wake_by_ref();
        }
    }
}

impl<F: Future> Child<F> {
    fn new(future: F) -> Child<F> {
        let flag = Arc::new(Flag { woken: AtomicBool::new(true), parent: Waker::noop().clone() });
        Child { state: ChildState::Running(Box::pin(future)), waker: flag.clone().into(), flag }
    }

    /// From now on wakes go to `parent`; the child is polled once so that it learns its new waker.
    fn wake_through(&mut self, parent: &Waker) {
        self.flag = Arc::new(Flag { woken: AtomicBool::new(true), parent: parent.clone() });
        self.waker = self.flag.clone().into();
    }

    /// Polls the child if it was woken; true when that finished it.
    fn finishes(&mut self) -> bool {
        let ChildState::Running(future) = &mut self.state else { return false };
        if !self.flag.woken.swap(false, Ordering::AcqRel) {
            return false;
        }
        match future.as_mut().poll(&mut Context::from_waker(&self.waker)) {
            Poll::Pending => false,
            Poll::Ready(output) => {
                self.state = ChildState::Done(output);
                true
            }
        }
    }

    fn into_output(self) -> F::Output {
        match self.state {
            ChildState::Done(output) => output,
            ChildState::Running(_) => unreachable!("join_all ends when no child is running"),
        }
    }
}
