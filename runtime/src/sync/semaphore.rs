//! A counted bound, first come first served.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Permits that are taken and given back. Cheap to clone; all clones are the same.
///
/// First come, first served: a large request is not overtaken by small ones that came later.
#[derive(Clone)]
pub struct Semaphore {
    state: Rc<State>,
}

struct State {
    total: usize,
    available: Cell<usize>,
    waiting: RefCell<VecDeque<Rc<Waiter>>>,
}

struct Waiter {
    count: usize,
    granted: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Semaphore {
    /// A semaphore of `permits`, all free.
    pub fn new(permits: usize) -> Semaphore {
        let state = State { total: permits, available: Cell::new(permits), waiting: RefCell::default() };
        Semaphore { state: Rc::new(state) }
    }

    /// Takes `count` permits, after all who asked before. More than there are in total is a bug of the caller.
    ///
    /// The place in the queue is taken at the first poll and left when the future is dropped.
    pub fn acquire(&self, count: usize) -> Acquire {
        assert!(count <= self.state.total, "{count} permits asked of a semaphore of {}", self.state.total);
        Acquire { state: self.state.clone(), count, waiter: None }
    }

    /// Takes `count` permits if they are free and nobody waits.
    pub fn try_acquire(&self, count: usize) -> Option<Permit> {
        assert!(count <= self.state.total, "{count} permits asked of a semaphore of {}", self.state.total);
        self.state.take(count).then(|| Permit { state: self.state.clone(), count })
    }

    /// Permits that are free now.
    pub fn available(&self) -> usize {
        self.state.available.get()
    }

    /// Permits in all, free or taken.
    pub fn total(&self) -> usize {
        self.state.total
    }
}

impl State {
    fn take(&self, count: usize) -> bool {
        let enough = self.available.get() >= count && self.waiting.borrow().is_empty();
        if enough {
            self.available.set(self.available.get() - count);
        }
        enough
    }

    fn give_back(&self, count: usize) {
        self.available.set(self.available.get() + count);
        assert!(self.available.get() <= self.total, "more permits came back than were given");
        self.serve_waiting();
    }

    /// Grants from the front of the queue while there is enough.
    fn serve_waiting(&self) {
        while let Some(waiter) = self.next_served() {
            let waker = waiter.waker.borrow_mut().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    fn next_served(&self) -> Option<Rc<Waiter>> {
        let mut waiting = self.waiting.borrow_mut();
        let waiter = waiting.pop_front_if(|first| first.count <= self.available.get())?;
        self.available.set(self.available.get() - waiter.count);
        waiter.granted.set(true);
        Some(waiter)
    }
}

/// The wait of [`Semaphore::acquire`].
pub struct Acquire {
    state: Rc<State>,
    count: usize,
    waiter: Option<Rc<Waiter>>,
}

impl Future for Acquire {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Permit> {
        let granted = match &self.waiter {
            Some(waiter) => waiter.granted.get(),
            None => self.state.take(self.count),
        };
        if granted {
            self.waiter = None; // The permits are the guard's now.
            return Poll::Ready(Permit { state: self.state.clone(), count: self.count });
        }
        let waker = Some(context.waker().clone());
        match &self.waiter {
            Some(waiter) => *waiter.waker.borrow_mut() = waker,
            None => {
                let (count, granted) = (self.count, Cell::new(false));
                let waiter = Rc::new(Waiter { count, granted, waker: RefCell::new(waker) });
                self.state.waiting.borrow_mut().push_back(waiter.clone());
                self.waiter = Some(waiter);
            }
        }
        Poll::Pending
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        let Some(waiter) = self.waiter.take() else { return };
        if waiter.granted.get() {
            self.state.give_back(waiter.count);
            return;
        }
        self.state.waiting.borrow_mut().retain(|other| !Rc::ptr_eq(other, &waiter));
        self.state.serve_waiting(); // It may have been the large one in front of small ones.
    }
}

/// Permits in use; dropping it gives them back.
pub struct Permit {
    state: Rc<State>,
    count: usize,
}

impl Permit {
    /// Permits that it holds.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Takes the permits of `other` over, so that both come back together.
    pub fn merge(&mut self, mut other: Permit) {
        assert!(Rc::ptr_eq(&self.state, &other.state), "permits of two semaphores do not mix");
        self.count += std::mem::take(&mut other.count);
    }

    /// Gives `count` of the permits back and keeps the rest.
    pub fn release(&mut self, count: usize) {
        assert!(count <= self.count, "{count} permits given back of {}", self.count);
        self.count -= count;
        self.state.give_back(count);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.count > 0 {
            self.state.give_back(self.count);
        }
    }
}
