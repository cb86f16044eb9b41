//! Mail between cores.
//!
//! ```text
//! core A: mesh_send ─> mailbox of B (bounded queue) ─> ring B's bell
//! core B: pump, woken by the bell ─> wakes B's receiver, and those who wait for room elsewhere
//! ```
//!
//! A bell is the only thing that wakes another core. Its waker belongs to the pump, one task per core that lives as
//! long as the core, so no waker of an ordinary task ever crosses threads. A bell that was rung and not yet heard is
//! not rung again: a burst of packets costs one wake-up, and a system call only when the core sleeps.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};

use crate::sync::Notify;
use crate::{Closed, CoreId};

type Packet = (CoreId, Vec<u8>);

#[derive(Default)]
struct Bell {
    rung: AtomicBool,
    waker: OnceLock<Waker>,
}

impl Bell {
    fn ring(&self) {
        if !self.rung.swap(true, Ordering::SeqCst)
            && let Some(waker) = self.waker.get()
        {
            waker.wake_by_ref();
        }
    }
}

/// What one core shows to the others.
struct Mailbox {
    packets: flume::Receiver<Packet>,
    post: flume::Sender<Packet>,
    bell: Bell,
    /// Somebody found this mailbox full and waits for room.
    crowded: AtomicBool,
    /// The core has ended.
    closed: AtomicBool,
}

/// All mailboxes of the process.
pub(super) struct Post {
    mailboxes: Vec<Mailbox>,
    stop: AtomicBool,
}

impl Post {
    pub fn new(core_count: usize, packets_max: usize) -> Arc<Post> {
        assert!(packets_max > 0, "a mailbox holds at least one packet");
        let mailbox = || {
            let (post, packets) = flume::bounded(packets_max);
            let (crowded, closed) = (AtomicBool::new(false), AtomicBool::new(false));
            Mailbox { packets, post, bell: Bell::default(), crowded, closed }
        };
        let mailboxes = (0..core_count).map(|_| mailbox()).collect();
        Arc::new(Post { mailboxes, stop: AtomicBool::new(false) })
    }

    fn ring_all(&self) {
        self.mailboxes.iter().for_each(|mailbox| mailbox.bell.ring());
    }
}

/// One core's end of the post.
pub(super) struct Mesh {
    post: Arc<Post>,
    core: CoreId,
    /// Mail may have come.
    mail: Notify,
    /// Some mailbox that was full may have room.
    room: Notify,
    stopping: Notify,
}

impl Mesh {
    pub fn new(post: Arc<Post>, core: CoreId) -> Mesh {
        Mesh { post, core, mail: Notify::new(), room: Notify::new(), stopping: Notify::new() }
    }

    fn own(&self) -> &Mailbox {
        &self.post.mailboxes[usize::from(self.core.0)]
    }

    /// Passes what the bell says on to this core's tasks. Never ends, and is called once: the task that polls it first polls it for ever,
    /// because others wake that one.
    pub async fn pump(&self) {
        assert!(self.own().bell.waker.get().is_none(), "a core has one pump");
        poll_fn(|context| {
            let bell = &self.own().bell;
            // The wakers of later polls are not compared with this one: `will_wake` may deny that two wake the same task, such as when the
            // compiler has put the executor's functions into two units, each with a table of its own.
            bell.waker.get_or_init(|| context.waker().clone());
            // First silence the bell, then look: what comes after this line rings again.
            bell.rung.store(false, Ordering::SeqCst);
            self.mail.notify_all();
            self.room.notify_all();
            if self.post.stop.load(Ordering::SeqCst) {
                self.stopping.notify_all();
            }
            Poll::Pending
        })
        .await
    }

    pub async fn send(&self, to: CoreId, packet: Vec<u8>) -> Result<(), Closed> {
        let mailbox = self.post.mailboxes.get(usize::from(to.0)).ok_or(Closed)?;
        let mut packet = (self.core, packet);
        loop {
            let room = self.room.notified();
            if mailbox.closed.load(Ordering::SeqCst) {
                return Err(Closed);
            }
            match mailbox.post.try_send(packet) {
                Ok(()) => {
                    mailbox.bell.ring();
                    return Ok(());
                }
                Err(flume::TrySendError::Disconnected(_)) => return Err(Closed),
                Err(flume::TrySendError::Full(back)) => packet = back,
            }
            // Say that we wait, then look again: the receiver may have made room in between.
            if mailbox.crowded.swap(true, Ordering::SeqCst) || mailbox.post.is_full() {
                room.await;
            }
        }
    }

    pub async fn receive(&self) -> Result<Packet, Closed> {
        let mailbox = self.own();
        loop {
            let mail = self.mail.notified();
            match mailbox.packets.try_recv() {
                Ok(packet) => {
                    if mailbox.crowded.swap(false, Ordering::SeqCst) {
                        self.post.ring_all();
                    }
                    return Ok(packet);
                }
                Err(flume::TryRecvError::Disconnected) => return Err(Closed),
                Err(flume::TryRecvError::Empty) => mail.await,
            }
        }
    }

    /// This core takes no mail any more; who waits to send some hears that.
    pub fn close(&self) {
        self.own().closed.store(true, Ordering::SeqCst);
        self.post.ring_all();
    }

    pub async fn stopped(&self) {
        loop {
            let stopping = self.stopping.notified();
            if self.post.stop.load(Ordering::SeqCst) {
                return;
            }
            stopping.await;
        }
    }
}

/// Asks all cores to stop, from any thread: see [`RealRuntime::stopped`](super::RealRuntime::stopped).
#[derive(Clone, Default)]
pub struct Stopper {
    shared: Arc<StopShared>,
}

#[derive(Default)]
struct StopShared {
    stop: AtomicBool,
    post: OnceLock<Arc<Post>>,
}

impl Stopper {
    /// One for the options of one `run`.
    pub fn new() -> Stopper {
        Stopper::default()
    }

    /// Asks now, and for good; also before `run` has begun.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(post) = self.shared.post.get() {
            post.stop.store(true, Ordering::SeqCst);
            post.ring_all();
        }
    }

    /// Whether somebody has asked.
    pub fn is_stopping(&self) -> bool {
        self.shared.stop.load(Ordering::SeqCst)
    }

    /// Ties this stopper to the cores of a process.
    pub(super) fn attach(&self, post: &Arc<Post>) {
        assert!(self.shared.post.set(post.clone()).is_ok(), "a stopper belongs to one run");
        if self.is_stopping() {
            self.stop();
        }
    }
}

impl std::fmt::Debug for Stopper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stopper").field("stopping", &self.is_stopping()).finish_non_exhaustive()
    }
}

const _: fn() = || {
    fn crosses_threads<T: Send + Sync>() {}
    crosses_threads::<Post>();
    crosses_threads::<Stopper>();
};

#[cfg(test)]
mod tests;
