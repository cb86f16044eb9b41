//! Who waits for the log: callers for a position, in order; writers for work.

use std::collections::VecDeque;
use std::task::Waker;

/// Callers that wait for a position to be durable, in order of position.
#[derive(Default)]
pub(super) struct Waiters {
    queue: VecDeque<Waiter>,
    next_id: u64,
}

struct Waiter {
    position: u64,
    id: u64,
    waker: Waker,
}

impl Waiters {
    /// Adds a waiter and returns its id. Positions mostly grow, so it mostly goes to the end.
    pub fn add(&mut self, position: u64, waker: &Waker) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let place = self.queue.partition_point(|w| w.position <= position);
        self.queue.insert(place, Waiter { position, id, waker: waker.clone() });
        id
    }

    /// Replaces the waker of a waiter that was polled again; false if it was woken in the meantime.
    pub fn renew(&mut self, position: u64, id: u64, waker: &Waker) -> bool {
        match self.find(position, id) {
            Some(place) => {
                self.queue[place].waker.clone_from(waker);
                true
            }
            None => false,
        }
    }

    /// Forgets a waiter that gave up.
    pub fn remove(&mut self, position: u64, id: u64) {
        if let Some(place) = self.find(position, id) {
            self.queue.remove(place);
        }
    }

    fn find(&self, position: u64, id: u64) -> Option<usize> {
        self.queue.binary_search_by_key(&(position, id), |w| (w.position, w.id)).ok()
    }

    /// The next waiter for `position` or less. The caller wakes it while it borrows nothing.
    pub fn pop_until(&mut self, position: u64) -> Option<Waker> {
        let reached = self.queue.front().is_some_and(|w| w.position <= position);
        reached.then(|| self.queue.pop_front().expect("just seen").waker)
    }
}

/// Writers that wait for work, each in its own place.
pub(super) struct Idle {
    wakers: Vec<Option<Waker>>,
}

impl Idle {
    pub fn new(writers: usize) -> Idle {
        Idle { wakers: vec![None; writers] }
    }

    /// Writer `index` waits.
    pub fn wait(&mut self, index: usize, waker: &Waker) {
        self.wakers[index] = Some(waker.clone());
    }

    /// One writer that waits. The caller wakes it while it borrows nothing.
    pub fn pop(&mut self) -> Option<Waker> {
        self.wakers.iter_mut().find_map(Option::take)
    }
}
