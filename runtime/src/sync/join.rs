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
    let mut children = Children::new(futures.into_iter().map(Box::pin)).await;
    let mut running = children.all.len();
    poll_fn(|context| {
        children.begin_pass(context.waker());
        for child in &mut children.all {
            running -= usize::from(child.finishes());
        }
        match running {
            0 => Poll::Ready(()),
            _ => children.end_pass(),
        }
    })
    .await;
    children.all.into_iter().map(Child::into_output).collect()
}

/// Runs all futures concurrently inside this task until one of them ends, and drops the others. Of several that end at once the
/// first in order wins.
///
/// A child is polled when it was woken, as in [`join_all`]: who has many parts of which one moves at a time pays for that one.
pub async fn race<F: Future + ?Sized>(futures: impl IntoIterator<Item = Pin<Box<F>>>) -> F::Output {
    let mut children = Children::new(futures).await;
    let winner = poll_fn(|context| {
        children.begin_pass(context.waker());
        match children.all.iter_mut().position(Child::finishes) {
            Some(winner) => Poll::Ready(winner),
            None => children.end_pass(),
        }
    })
    .await;
    children.all.swap_remove(winner).into_output()
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

/// Futures inside one task, each with a waker of its own.
struct Children<F: Future + ?Sized> {
    all: Vec<Child<F>>,
    /// Of the task that they are in.
    parent: Waker,
}

struct Child<F: Future + ?Sized> {
    state: ChildState<F>,
    flag: Arc<Flag>,
    waker: Waker,
}

enum ChildState<F: Future + ?Sized> {
    Running(Pin<Box<F>>),
    Done(F::Output),
}

/// Set when the child shall be polled; then the parent is woken.
struct Flag {
    woken: AtomicBool,
    /// The parent looks at one child after the other right now, and afterwards at who was woken meanwhile: nobody has to wake it.
    in_pass: AtomicBool,
    parent: Waker,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Either this sees that the pass is over, or the end of the pass sees that this child was woken: hence the order.
        if !self.woken.swap(true, Ordering::SeqCst) && !self.in_pass.load(Ordering::SeqCst) {
            self.parent.wake_by_ref();
        }
    }
}

impl<F: Future + ?Sized> Children<F> {
    async fn new(futures: impl IntoIterator<Item = Pin<Box<F>>>) -> Children<F> {
        let parent = poll_fn(|context| Poll::Ready(context.waker().clone())).await;
        let all = futures.into_iter().map(|future| Child::new(future, &parent)).collect();
        Children { all, parent }
    }

    /// `waker` is mostly the one of the pass before.
    fn begin_pass(&mut self, waker: &Waker) {
        if !self.parent.will_wake(waker) {
            self.parent.clone_from(waker);
            self.all.iter_mut().for_each(|child| child.belong_to(waker));
        }
        self.set_in_pass(true);
    }

    /// Who was woken by a younger sibling, or by itself, has its turn in another pass.
    fn end_pass<T>(&self) -> Poll<T> {
        self.set_in_pass(false);
        if self.all.iter().any(Child::is_due) {
            self.parent.wake_by_ref();
        }
        Poll::Pending
    }

    fn set_in_pass(&self, in_pass: bool) {
        self.all.iter().for_each(|child| child.flag.in_pass.store(in_pass, Ordering::SeqCst));
    }
}

impl Flag {
    fn new(parent: &Waker) -> Arc<Flag> {
        let (woken, in_pass) = (AtomicBool::new(true), AtomicBool::new(false));
        Arc::new(Flag { woken, in_pass, parent: parent.clone() })
    }
}

impl<F: Future + ?Sized> Child<F> {
    fn new(future: Pin<Box<F>>, parent: &Waker) -> Child<F> {
        let flag = Flag::new(parent);
        Child { state: ChildState::Running(future), waker: flag.clone().into(), flag }
    }

    /// From now on wakes go to `parent`; the child is polled once so that it learns its new waker.
    fn belong_to(&mut self, parent: &Waker) {
        self.flag = Flag::new(parent);
        self.waker = self.flag.clone().into();
    }

    fn is_due(&self) -> bool {
        matches!(self.state, ChildState::Running(_)) && self.flag.woken.load(Ordering::SeqCst)
    }

    /// Polls the child if it was woken; true when that finished it.
    fn finishes(&mut self) -> bool {
        let ChildState::Running(future) = &mut self.state else { return false };
        if !self.flag.woken.swap(false, Ordering::SeqCst) {
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
            ChildState::Running(_) => unreachable!("only those are asked that have ended"),
        }
    }
}
