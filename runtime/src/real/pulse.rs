//! A timer that keeps a working core from falling asleep with tasks to run.
//!
//! glommio 0.9 arms a preemption timer, then asks whether it has expired, then runs tasks. When the kernel takes the
//! core away in between for longer than the timer (2 ms here), the answer is yes before any task has run; glommio takes
//! "nothing ran" for "nothing to do" and sleeps until the next event, while woken tasks wait. An echo server on a
//! contended machine stood still for good within seconds, its sockets full of unread bytes.
//!
//! A pending timer bounds that sleep. While tasks run, one is due every 2 ms; on an idle core every 200 ms, which costs
//! about 0.05 % of a cpu.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Duration;

use crate::sync::{Notify, select};

const WHILE_BUSY: Duration = Duration::from_millis(2);
const WHILE_IDLE: Duration = Duration::from_millis(200);

/// Of one core.
#[derive(Default)]
pub(super) struct Pulse {
    /// A task ran since the last beat.
    busy: Cell<bool>,
    /// The next beat is far away.
    resting: Cell<bool>,
    hurry: Notify,
}

impl Pulse {
    /// Beats for as long as the core lives.
    pub async fn beat(&self) {
        loop {
            if self.busy.replace(false) {
                glommio::timer::sleep(WHILE_BUSY).await;
                continue;
            }
            self.resting.set(true);
            select(self.hurry.notified(), glommio::timer::sleep(WHILE_IDLE)).await;
            self.resting.set(false);
        }
    }

    /// Runs a task's future and notes each time that it runs.
    pub async fn watch<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        poll_fn(|context| {
            self.busy.set(true);
            if self.resting.replace(false) {
                self.hurry.notify_all();
            }
            future.as_mut().poll(context)
        })
        .await
    }
}
