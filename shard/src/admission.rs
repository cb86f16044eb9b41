//! Admission: how much a shard takes on at once. What is over the bound is refused at the door, before any work.

use runtime::sync::Notify;
use std::cell::Cell;
use std::rc::Rc;

/// What is under way in one shard, in operations and bytes. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Admission {
    inner: Rc<Inner>,
}

struct Inner {
    operations_max: usize,
    bytes_max: usize,
    operations: Cell<usize>,
    bytes: Cell<usize>,
    closed: Cell<bool>,
    left: Notify,
}

/// An operation that was let in; dropping it makes room.
pub struct Admitted {
    inner: Rc<Inner>,
    bytes: usize,
}

impl Admission {
    /// Nothing is under way.
    pub fn new(operations_max: usize, bytes_max: usize) -> Admission {
        assert!(operations_max >= 1 && bytes_max >= 1);
        let (operations, bytes) = (Cell::new(0), Cell::new(0));
        let inner = Inner {
            operations_max,
            bytes_max,
            operations,
            bytes,
            closed: Cell::new(false),
            left: Notify::new(),
        };
        Admission { inner: Rc::new(inner) }
    }

    /// Lets an operation of so many bytes in; none when there is no room. A single one of any size has room.
    pub fn enter(&self, bytes: usize) -> Option<Admitted> {
        let inner = &self.inner;
        let operations = inner.operations.get();
        let too_large = operations > 0 && inner.bytes.get() + bytes > inner.bytes_max;
        if inner.closed.get() || operations >= inner.operations_max || too_large {
            return None;
        }
        inner.operations.set(operations + 1);
        inner.bytes.set(inner.bytes.get() + bytes);
        Some(Admitted { inner: inner.clone(), bytes })
    }

    /// Lets nobody in any more, and waits until all are out.
    pub async fn close(&self) {
        self.inner.closed.set(true);
        loop {
            let left = self.inner.left.notified();
            if self.inner.operations.get() == 0 {
                return;
            }
            left.await;
        }
    }

    /// Lets nobody in any more.
    pub fn shut(&self) {
        self.inner.closed.set(true);
    }

    /// Operations that are under way.
    pub fn operations(&self) -> usize {
        self.inner.operations.get()
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let operations = self.inner.operations.get();
        assert!(operations > 0 && self.inner.bytes.get() >= self.bytes, "who leaves has entered");
        self.inner.operations.set(operations - 1);
        self.inner.bytes.set(self.inner.bytes.get() - self.bytes);
        if self.inner.closed.get() {
            self.inner.left.notify_all();
        }
    }
}
