//! Key latches: one write of a key at a time, in the order in which they came.
//!
//! A write takes its key's latch before it reads the old item and the latch goes with its log entry until the entry is
//! applied. So a condition is evaluated against exactly the item that the write replaces, and the next write of the key sees it.
//!
//! A latch stands for a key's 64-bit hash: two keys with one hash only wait for each other, which is harmless as
//! long as nobody holds two latches. Nobody does: an operation has one key, and a batch is so many operations. So there is no deadlock.
//!
//! Promises: first come, first served; a waiter that goes away is skipped; a guard that is dropped opens the latch.

use ahash::{AHashMap, RandomState};
use runtime::sync::{Sender, oneshot};
use runtime::{Purpose, Runtime};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// The latches of one shard. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Latches {
    inner: Rc<Inner>,
}

struct Inner {
    hasher: RandomState,
    /// A latch that is held is here, with who waits for it.
    held: RefCell<AHashMap<u64, VecDeque<Sender<Guard>>>>,
}

/// Holds a latch; dropping it lets the next in.
pub struct Guard {
    latches: Latches,
    id: u64,
}

impl Latches {
    /// No latch is held.
    pub fn new<R: Runtime>(rt: &R) -> Latches {
        let seed = || rt.random(Purpose::Hash);
        let hasher = RandomState::with_seeds(seed(), seed(), seed(), seed());
        let held = RefCell::new(AHashMap::with_hasher(hasher.clone()));
        Latches { inner: Rc::new(Inner { hasher, held }) }
    }

    /// Waits for the latch of `key`.
    pub async fn take(&self, key: &[u8]) -> Guard {
        let id = self.inner.hasher.hash_one(key);
        let receiver = {
            let mut held = self.inner.held.borrow_mut();
            let Some(waiters) = held.get_mut(&id) else {
                held.insert(id, VecDeque::new());
                return Guard { latches: self.clone(), id };
            };
            let (sender, receiver) = oneshot();
            waiters.push_back(sender);
            receiver
        };
        receiver.await.expect("a latch goes to every waiter in turn before it is forgotten")
    }

    /// Latches that are held.
    pub fn held(&self) -> usize {
        self.inner.held.borrow().len()
    }

    /// Gives the latch to the first who still waits, or forgets it.
    fn pass_on(&self, id: u64) {
        loop {
            let next = {
                let mut held = self.inner.held.borrow_mut();
                let waiters = held.get_mut(&id).expect("the latch was held");
                let next = waiters.pop_front();
                if next.is_none() {
                    held.remove(&id);
                }
                next
            };
            match next {
                None => return,
                Some(gone) if gone.is_closed() => {}
                Some(waiter) => {
                    let sent = waiter.send(Guard { latches: self.clone(), id });
                    assert!(sent.is_ok(), "it was not closed a line ago");
                    return;
                }
            }
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.latches.pass_on(self.id);
    }
}

#[cfg(test)]
mod tests;
