//! "Something changed, look again", to everyone who waits.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Wakes all who wait. Cheap to clone; all clones are the same.
///
/// The loop that misses nothing: make the `notified()` future, look at the state, await the future, look again.
#[derive(Clone, Default)]
pub struct Notify {
    state: Rc<RefCell<State>>,
}

#[derive(Default)]
struct State {
    /// Calls of `notify_all` so far. A waiter is done when this is no longer what it saw at its creation.
    generation: u64,
    /// Wakers of this generation's waiters, at the places that they remember.
    wakers: Vec<Option<Waker>>,
    /// Empty places in `wakers`.
    free: Vec<usize>,
    /// The memory of the wakers before, for the next ones: who waits and is woken over and over costs no allocation.
    spare: Vec<Option<Waker>>,
}

impl Notify {
    /// Nobody waits yet.
    pub fn new() -> Notify {
        Notify::default()
    }

    /// Wakes everyone whose [`Notify::notified`] was made before this call.
    pub fn notify_all(&self) {
        let mut wakers = {
            let state = &mut *self.state.borrow_mut();
            state.generation += 1;
            state.free.clear();
            if state.wakers.is_empty() {
                return;
            }
            std::mem::replace(&mut state.wakers, std::mem::take(&mut state.spare))
        };
        wakers.drain(..).flatten().for_each(Waker::wake);
        self.state.borrow_mut().spare = wakers;
    }

    /// Resolves at the first `notify_all` after this call, also when that comes before the first poll.
    pub fn notified(&self) -> Notified {
        let generation = self.state.borrow().generation;
        Notified { state: self.state.clone(), generation, place: None }
    }
}

/// The wait of [`Notify::notified`].
pub struct Notified {
    state: Rc<RefCell<State>>,
    generation: u64,
    place: Option<usize>,
}

impl Future for Notified {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let state = self.state.clone();
        let mut state = state.borrow_mut();
        if state.generation != self.generation {
            return Poll::Ready(());
        }
        let place = match self.place.or_else(|| state.free.pop()) {
            Some(place) => place,
            None => {
                state.wakers.push(None);
                state.wakers.len() - 1
            }
        };
        self.place = Some(place);
        match &mut state.wakers[place] {
            Some(waker) => waker.clone_from(context.waker()),
            empty => *empty = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Notified {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let _waker = {
            let mut state = self.state.borrow_mut();
            if state.generation != self.generation {
                return; // The places belong to younger waiters now.
            }
            state.free.push(place);
            state.wakers[place].take()
        };
    }
}
