//! One link: the sessions with a place, and what waits for one.

use crate::session::Session;
use model::ring::Place;
use runtime::sync::Notify;
use runtime::{Purpose, Runtime};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

pub(super) struct Link<R: Runtime> {
    pub place: Place,
    /// The newest is the last.
    sessions: RefCell<Vec<Session<R>>>,
    /// Somebody connects it, or pauses before doing so.
    pub kept: Cell<bool>,
    /// Somebody has asked for it since the last attempt began.
    pub wanted: Cell<bool>,
    /// The last attempt failed.
    pub failed: Cell<bool>,
    /// Of the calls that wait for a session.
    pub waiting_bytes: Cell<usize>,
    /// A session came, or an attempt failed.
    pub changed: Notify,
}

impl<R: Runtime> Link<R> {
    pub fn new(place: Place) -> Link<R> {
        Link {
            place,
            sessions: RefCell::default(),
            kept: Cell::new(false),
            wanted: Cell::new(false),
            failed: Cell::new(false),
            waiting_bytes: Cell::new(0),
            changed: Notify::new(),
        }
    }

    /// The session to use.
    pub fn session(&self) -> Option<Session<R>> {
        self.sessions.borrow().iter().rev().find(|session| !session.is_closed()).cloned()
    }

    /// Nobody has to do with it.
    pub fn is_idle(&self) -> bool {
        self.sessions.borrow().is_empty() && !self.kept.get() && self.waiting_bytes.get() == 0
    }

    /// Adds a session; true when it is the only one.
    pub fn add(&self, session: &Session<R>) -> bool {
        let mut sessions = self.sessions.borrow_mut();
        let alone = sessions.iter().all(Session::is_closed);
        sessions.push(session.clone());
        drop(sessions);
        self.failed.set(false);
        self.changed.notify_all();
        alone
    }

    /// Takes a session out; true when none is left.
    pub fn remove(&self, session: &Session<R>) -> bool {
        let mut sessions = self.sessions.borrow_mut();
        sessions.retain(|other| !other.is_same(session));
        let alone = sessions.iter().all(Session::is_closed);
        drop(sessions);
        self.changed.notify_all();
        alone
    }

    /// Ends some of the sessions.
    pub fn close(&self, which: impl Fn(&Session<R>) -> bool) {
        let sessions: Vec<Session<R>> = self.sessions.borrow().iter().filter(|s| which(s)).cloned().collect();
        sessions.iter().for_each(Session::close);
    }

    /// Counts the bytes of a call that waits, for as long as it does.
    pub fn wait(self: &Rc<Self>, size: usize) -> Waiting<R> {
        // An empty call waits too.
        let size = size.max(1);
        self.waiting_bytes.set(self.waiting_bytes.get() + size);
        Waiting { link: self.clone(), size }
    }
}

/// See [`Link::wait`].
pub(super) struct Waiting<R: Runtime> {
    link: Rc<Link<R>>,
    size: usize,
}

impl<R: Runtime> Drop for Waiting<R> {
    fn drop(&mut self) {
        let waiting = &self.link.waiting_bytes;
        assert!(waiting.get() >= self.size, "who waits is counted");
        waiting.set(waiting.get() - self.size);
    }
}

/// Pauses between attempts: each twice the last, up to a bound, and a random share of half of it less.
pub(super) struct Pause {
    next: Duration,
    most: Duration,
}

impl Pause {
    pub fn new(least: Duration, most: Duration) -> Pause {
        Pause { next: least, most }
    }

    pub fn next<R: Runtime>(&mut self, rt: &R) -> Duration {
        let half = self.next / 2;
        let nanos = u64::try_from(half.as_nanos()).expect("pauses are short").max(1);
        let pause = half + Duration::from_nanos(rt.random(Purpose::Jitter) % nanos);
        self.next = (self.next * 2).min(self.most);
        pause
    }
}
