//! Waiting for an instant.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// One wake-up at one instant.
#[derive(Default)]
pub(in crate::sim) struct Timer {
    fired: Cell<bool>,
    cancelled: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Timer {
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.get()
    }

    pub(super) fn fire(&self) {
        self.fired.set(true);
        let waker = self.waker.borrow_mut().take();
        waker.into_iter().for_each(Waker::wake);
    }
}

/// Waits for its [`Timer`]; takes it back when dropped.
pub(in crate::sim) struct TimerWait {
    pub timer: Rc<Timer>,
}

impl Future for TimerWait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.timer.fired.get() {
            return Poll::Ready(());
        }
        *self.timer.waker.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for TimerWait {
    fn drop(&mut self) {
        self.timer.cancelled.set(true);
        let _waker = self.timer.waker.borrow_mut().take();
    }
}
