//! Waiting, waking and giving up, polled by hand so that every interleaving is chosen here.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_lite::future::block_on;

use super::{Either, Notify, Semaphore, join_all, join_some, oneshot, race, select};
use crate::Closed;

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A future with its own counting waker.
struct Probe<F> {
    future: Pin<Box<F>>,
    wakes: Arc<Wakes>,
}

impl<F: Future> Probe<F> {
    fn new(future: F) -> Probe<F> {
        Probe { future: Box::pin(future), wakes: Arc::default() }
    }

    fn poll(&mut self) -> Option<F::Output> {
        let waker = Waker::from(self.wakes.clone());
        match self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::SeqCst)
    }
}

#[test]
fn oneshot_carries_the_value_before_and_after_the_wait() {
    let (sender, receiver) = oneshot();
    sender.send(7).unwrap();
    assert_eq!(block_on(receiver), Ok(7));

    let (sender, receiver) = oneshot();
    let mut waiting = Probe::new(receiver);
    assert_eq!(waiting.poll(), None);
    sender.send(8).unwrap();
    assert_eq!(waiting.wakes(), 1);
    assert_eq!(waiting.poll(), Some(Ok(8)));
}

#[test]
fn oneshot_tells_when_the_other_end_is_gone() {
    let (sender, receiver) = oneshot::<u8>();
    let mut waiting = Probe::new(receiver);
    assert_eq!(waiting.poll(), None);
    drop(sender);
    assert_eq!(waiting.wakes(), 1);
    assert_eq!(waiting.poll(), Some(Err(Closed)));

    let (sender, receiver) = oneshot();
    assert!(!sender.is_closed());
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(sender.send(9), Err(9));
}

#[test]
fn notify_before_the_first_poll_is_not_lost() {
    let notify = Notify::new();
    let mut early = Probe::new(notify.notified());
    notify.notify_all();
    assert_eq!(early.poll(), Some(()));
    assert_eq!(Probe::new(notify.notified()).poll(), None, "a later waiter waits for a later call");
}

#[test]
fn notify_wakes_all_and_a_dropped_waiter_harms_nobody() {
    let notify = Notify::new();
    let mut waiters: Vec<_> = (0..4).map(|_| Probe::new(notify.notified())).collect();
    waiters.iter_mut().for_each(|waiter| assert_eq!(waiter.poll(), None));
    drop(waiters.remove(1));
    let mut reuses_the_place = Probe::new(notify.notified());
    assert_eq!(reuses_the_place.poll(), None);
    notify.notify_all();
    let mut next = Probe::new(notify.notified());
    assert_eq!(next.poll(), None);
    for waiter in waiters.iter_mut().chain([&mut reuses_the_place]) {
        assert_eq!(waiter.wakes(), 1);
        assert_eq!(waiter.poll(), Some(()));
    }
    drop(waiters); // Old places must not free those of the next generation.
    drop(reuses_the_place);
    let mut another = Probe::new(notify.notified());
    assert_eq!(another.poll(), None);
    notify.notify_all();
    assert_eq!((next.wakes(), another.wakes()), (1, 1));
}

#[test]
fn semaphore_serves_in_order_of_arrival() {
    let semaphore = Semaphore::new(4);
    let three = semaphore.try_acquire(3).unwrap();
    let mut large = Probe::new(semaphore.acquire(4));
    assert!(large.poll().is_none());
    let mut small = Probe::new(semaphore.acquire(1));
    assert!(small.poll().is_none(), "a small one does not overtake");
    assert!(semaphore.try_acquire(1).is_none(), "nor does try_acquire");
    drop(three);
    let whole = large.poll().expect("all permits are free");
    assert!(small.poll().is_none());
    drop(whole);
    assert_eq!(small.poll().expect("its turn").count(), 1);
    assert_eq!(semaphore.available(), 4);
}

#[test]
fn semaphore_waiter_that_gives_up_lets_the_next_pass() {
    let semaphore = Semaphore::new(2);
    let one = semaphore.try_acquire(1).unwrap();
    let mut large = Probe::new(semaphore.acquire(2));
    let mut small = Probe::new(semaphore.acquire(1));
    assert!(large.poll().is_none() && small.poll().is_none());
    drop(large);
    assert_eq!(small.wakes(), 1);
    drop(small.poll().expect("the large one is gone"));
    drop(one);
    assert_eq!(semaphore.available(), 2);
}

#[test]
fn semaphore_grant_to_a_dropped_waiter_comes_back() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire(1).unwrap();
    let mut first = Probe::new(semaphore.acquire(1));
    let mut second = Probe::new(semaphore.acquire(1));
    assert!(first.poll().is_none() && second.poll().is_none());
    drop(held); // Granted to `first`, which never looks.
    assert_eq!((first.wakes(), second.wakes()), (1, 0));
    drop(first);
    assert_eq!(second.wakes(), 1);
    assert!(second.poll().is_some());
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn permits_merge_and_come_back_in_parts() {
    let semaphore = Semaphore::new(5);
    let mut permit = semaphore.try_acquire(2).unwrap();
    permit.merge(semaphore.try_acquire(3).unwrap());
    assert_eq!((permit.count(), semaphore.available()), (5, 0));
    permit.release(1);
    assert_eq!((permit.count(), semaphore.available()), (4, 1));
    drop(permit);
    assert_eq!(semaphore.available(), 5);
}

#[test]
#[should_panic(expected = "3 permits asked of a semaphore of 2")]
fn asking_more_than_there_is_is_a_bug() {
    drop(Semaphore::new(2).acquire(3));
}

#[test]
fn select_prefers_the_first_and_drops_the_other() {
    struct Dropped(Rc<Cell<bool>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let dropped = Rc::new(Cell::new(false));
    let guard = Dropped(dropped.clone());
    let loser = async move {
        let _guard = guard;
        std::future::pending::<()>().await;
    };
    assert_eq!(block_on(select(loser, async { 5 })), Either::Second(5));
    assert!(dropped.get());
    assert_eq!(block_on(select(async { 1 }, async { 2 })), Either::First(1));
}

#[test]
fn join_all_keeps_order_and_polls_only_the_woken() {
    let count = 64;
    let polls = Rc::new(Cell::new(0));
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| oneshot()).unzip();
    let children = receivers.into_iter().map(|mut receiver| {
        let polls = polls.clone();
        poll_fn(move |context| {
            polls.set(polls.get() + 1);
            Pin::new(&mut receiver).poll(context)
        })
    });
    let mut all = Probe::new(join_all(children));
    assert_eq!(all.poll(), None);
    for (index, sender) in senders.into_iter().enumerate().rev() {
        sender.send(index).unwrap();
        assert_eq!(all.poll().is_some(), index == 0);
    }
    assert_eq!(polls.get(), 2 * count, "once to begin, once to end");
    assert_eq!(all.wakes(), count);
    assert!(block_on(join_all(Vec::<std::future::Ready<()>>::new())).is_empty());
}

#[test]
fn join_some_runs_no_more_than_it_may_and_keeps_order() {
    let (running, most) = (Cell::new(0), Cell::new(0));
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..20).map(|_| oneshot()).unzip();
    let work = receivers.into_iter().map(|receiver| async {
        running.set(running.get() + 1);
        most.set(most.get().max(running.get()));
        let value = receiver.await;
        running.set(running.get() - 1);
        value
    });
    let mut all = Probe::new(join_some(work, 4));
    assert_eq!(all.poll(), None);
    for (index, sender) in senders.into_iter().enumerate().rev() {
        sender.send(index).unwrap();
        if let Some(values) = all.poll() {
            assert_eq!(index, 0, "the last to be sent");
            assert_eq!(values, (0..20).map(Ok).collect::<Vec<_>>());
        }
    }
    assert_eq!((running.get(), most.get()), (0, 4));
    assert!(block_on(join_some(Vec::<std::future::Ready<()>>::new(), 1)).is_empty());
}

#[test]
fn race_polls_only_the_woken_and_ends_with_the_first() {
    let polls = Rc::new(Cell::new(0));
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..8).map(|_| oneshot::<usize>()).unzip();
    let children = receivers.into_iter().map(|mut receiver| {
        let polls = polls.clone();
        Box::pin(poll_fn(move |context| {
            polls.set(polls.get() + 1);
            Pin::new(&mut receiver).poll(context)
        }))
    });
    let mut first = Probe::new(race(children));
    assert_eq!(first.poll(), None);
    let mut senders = senders.into_iter().rev();
    drop(senders.next());
    assert_eq!(first.wakes(), 1);
    assert!(first.poll().is_some_and(|outcome| outcome.is_err()));
    assert_eq!(polls.get(), 9, "each once to begin, one to end");
    assert_eq!(senders.filter(|sender| sender.is_closed()).count(), 7);
}

/// A reader that gives its younger sibling something to write costs one wake and one pass; one that gives its elder something, or wakes itself, two.
#[test]
fn a_child_that_is_woken_in_a_pass_costs_no_wake_if_its_turn_is_still_to_come() {
    for (elder_wakes_younger, wakes) in [(true, 0), (false, 1)] {
        let (sender, mut receiver) = oneshot();
        let mut sender = Some(sender);
        let seen = Rc::new(Cell::new(false));
        let sees = seen.clone();
        let waits: Pin<Box<dyn Future<Output = ()>>> = Box::pin(poll_fn(move |context| {
            sees.set(Pin::new(&mut receiver).poll(context).is_ready());
            Poll::Pending
        }));
        let mut turns = 0;
        let tells: Pin<Box<dyn Future<Output = ()>>> = Box::pin(poll_fn(move |context| {
            turns += 1;
            match turns {
                1 => context.waker().wake_by_ref(),
                _ => drop(sender.take().map(|sender| sender.send(()))),
            }
            Poll::Pending
        }));
        let children = if elder_wakes_younger { [tells, waits] } else { [waits, tells] };
        let mut both = Probe::new(race(children));
        assert_eq!((both.poll(), both.wakes()), (None, 1));
        assert_eq!((both.poll(), both.wakes()), (None, 1 + wakes));
        assert_eq!(seen.get(), elder_wakes_younger);
        assert_eq!((both.poll(), seen.get()), (None, true));
    }
}

#[test]
fn join_all_follows_a_task_that_changes_its_waker() {
    let (sender, receiver) = oneshot();
    let mut all = Probe::new(join_all([receiver]));
    assert_eq!(all.poll(), None);
    let old = std::mem::take(&mut all.wakes);
    assert_eq!(all.poll(), None);
    sender.send(3).unwrap();
    assert_eq!((old.0.load(Ordering::SeqCst), all.wakes()), (0, 1));
    assert_eq!(all.poll(), Some(vec![Ok(3)]));
}
