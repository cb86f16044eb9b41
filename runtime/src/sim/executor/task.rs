//! The handle of a task: its result, or its end.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::TaskKey;
use crate::Task;
use crate::sim::world::{Inner, NodeId};

/// A spawned task's result, between the task and whoever awaits it.
struct Join<T> {
    output: Cell<Option<T>>,
    waker: RefCell<Option<Waker>>,
}

/// A task of the simulation.
pub struct SimTask<T> {
    join: Rc<Join<T>>,
    cancel: Option<(Rc<Inner>, TaskKey)>,
}

impl<T: 'static> SimTask<T> {
    pub(in crate::sim) fn spawn(
        world: &Rc<Inner>,
        owner: Option<NodeId>,
        future: impl Future<Output = T> + 'static,
    ) -> SimTask<T> {
        let join = Rc::new(Join { output: Cell::new(None), waker: RefCell::default() });
        let theirs = join.clone();
        let body = Box::pin(async move {
            theirs.output.set(Some(future.await));
            let waker = theirs.waker.borrow_mut().take();
            waker.into_iter().for_each(Waker::wake);
        });
        let key = world.executor.spawn(owner, body);
        SimTask { join, cancel: Some((world.clone(), key)) }
    }

    /// A task that was never begun, because its node is down; it stays pending for ever.
    pub(in crate::sim) fn stillborn() -> SimTask<T> {
        SimTask { join: Rc::new(Join { output: Cell::new(None), waker: RefCell::default() }), cancel: None }
    }
}

impl<T> Future for SimTask<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        if let Some(output) = self.join.output.take() {
            return Poll::Ready(output);
        }
        *self.join.waker.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }
}

impl<T: 'static> Task<T> for SimTask<T> {
    fn detach(mut self) {
        self.cancel = None;
    }
}

impl<T> Drop for SimTask<T> {
    fn drop(&mut self) {
        if let Some((world, key)) = self.cancel.take() {
            world.executor.cancel(key);
        }
    }
}
