//! What the tasks of one core wait on. Nothing here is `Send`; nothing here knows the time but [`timeout`].
//!
//! - [`oneshot`]: one value from one task to another.
//! - [`Notify`]: "something changed, look again", to everyone who waits.
//! - [`Semaphore`]: a counted bound, first come first served.
//! - [`select`], [`race`], [`join_all`], [`join_some`], [`timeout`]: several futures inside one task.
//!
//! How a wait works: the waiter leaves its waker in shared state and is polled again when the other side takes it
//! out. All state sits in an `Rc<RefCell<..>>` that is borrowed only between two lines, never while a waker runs,
//! because waking may drop a task, and with it another waiter of the same state.
//!
//! Promises: no wake-up is lost, and dropping a waiter at any point loses neither a permit nor a wake-up that
//! belongs to somebody else.

mod join;
mod notify;
mod oneshot;
mod semaphore;
#[cfg(test)]
mod tests;

pub use join::{Either, Elapsed, join_all, join_some, race, select, timeout};
pub use notify::{Notified, Notify};
pub use oneshot::{Receiver, Sender, oneshot};
pub use semaphore::{Acquire, Permit, Semaphore};
