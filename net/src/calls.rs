//! The calls that are under way: counted per peer, expired by one sweeper, ended exactly once.
//!
//! ```text
//! enter (counts in, or Busy) --> Entry --hand_over--> finish(id, reply)     counts out, tells the caller
//!                                  \--dropped--> counts out                 nothing was sent
//! sweep: tells callers whose deadline has passed; their calls still count until the reply comes
//! ```
//!
//! Promises: a caller hears once; what is counted in is counted out. Shared by `mesh` and `session`.

use runtime::sync::{Notify, Receiver, Sender, oneshot, select};
use runtime::{Mono, Runtime};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

/// The sweeper sleeps at least this long between two looks, so that a call may outlive its deadline by as much.
const SWEEP_PAUSE_MIN: Duration = Duration::from_millis(2);

/// Why a call has no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError {
    /// Too many calls to that peer are under way. Nothing was done.
    Busy,
    /// The peer has no handler, or does not exist. Nothing was done.
    NotServing,
    /// The deadline passed. Whether it was done, nobody knows.
    Deadline,
    /// The mesh or the session is closed. Whether it was done, nobody knows.
    Closed,
}

impl CallError {
    /// Whether it is certain that the request had no effect.
    pub fn had_no_effect(self) -> bool {
        matches!(self, CallError::Busy | CallError::NotServing)
    }
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            CallError::Busy => "too many calls to that peer are under way",
            CallError::NotServing => "that peer serves no requests",
            CallError::Deadline => "the deadline passed before the reply came",
            CallError::Closed => "the way to that peer is closed",
        })
    }
}

impl std::error::Error for CallError {}

/// What a caller hears.
pub(crate) type Outcome = Result<Vec<u8>, CallError>;

/// The calls of one core or one session that are under way.
pub(crate) struct Calls {
    in_flight_max: usize,
    state: RefCell<State>,
    closed: Cell<bool>,
    /// When the sweeper looks again by itself.
    sweep_at: Cell<Mono>,
    sweep: Notify,
}

struct State {
    next_id: u64,
    by_id: BTreeMap<u64, Call>,
    /// By peer.
    in_flight: Vec<usize>,
}

struct Call {
    peer: usize,
    deadline: Mono,
    /// Gone once the caller has been told that the deadline passed.
    caller: Option<Sender<Outcome>>,
}

impl Calls {
    /// No calls yet, to `peers` peers, at most `in_flight_max` at once to each.
    pub(crate) fn new(peers: usize, in_flight_max: usize) -> Calls {
        assert!(in_flight_max >= 1);
        let state = State { next_id: 1, by_id: BTreeMap::new(), in_flight: vec![0; peers] };
        Calls {
            in_flight_max,
            state: RefCell::new(state),
            closed: Cell::new(false),
            sweep_at: Cell::new(Mono(u64::MAX)),
            sweep: Notify::new(),
        }
    }

    /// Counts a call in, or refuses it.
    pub(crate) fn enter(
        &self,
        peer: usize,
        deadline: Mono,
    ) -> Result<(Entry<'_>, Receiver<Outcome>), CallError> {
        if !self.closed.get() && self.in_flight(peer) >= self.in_flight_max {
            return Err(CallError::Busy);
        }
        self.enter_anyway(peer, deadline)
    }

    /// Counts a call in, also over the bound: for the few that must get through when there are too many others.
    pub(crate) fn enter_anyway(
        &self,
        peer: usize,
        deadline: Mono,
    ) -> Result<(Entry<'_>, Receiver<Outcome>), CallError> {
        if self.closed.get() {
            return Err(CallError::Closed);
        }
        let (sender, receiver) = oneshot();
        let id = {
            let mut state = self.state.borrow_mut();
            state.in_flight[peer] += 1;
            let id = state.next_id;
            state.next_id += 1;
            state.by_id.insert(id, Call { peer, deadline, caller: Some(sender) });
            id
        };
        if deadline < self.sweep_at.get() {
            self.sweep_at.set(deadline);
            self.sweep.notify_all();
        }
        Ok((Entry { calls: self, id, handed_over: false }, receiver))
    }

    /// The reply came: counts the call out and tells its caller. Returns false for a call that nobody made.
    pub(crate) fn finish(&self, id: u64, outcome: Outcome) -> bool {
        let Some(call) = self.leave(id) else { return false };
        if let Some(caller) = call.caller {
            // Who no longer waits needs no answer.
            let _ = caller.send(outcome);
        }
        true
    }

    /// Expires calls for ever; one task runs it.
    pub(crate) async fn sweep<R: Runtime>(&self, rt: &R) {
        loop {
            let changed = self.sweep.notified();
            let now = rt.now();
            let next = self.expire(now);
            self.sweep_at.set(next);
            if next == Mono(u64::MAX) {
                changed.await;
            } else {
                select(changed, rt.sleep(next.since(now).max(SWEEP_PAUSE_MIN))).await;
            }
        }
    }

    /// Ends all calls with `Closed`, and every later one.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        let calls = std::mem::take(&mut self.state.borrow_mut().by_id);
        self.state.borrow_mut().in_flight.fill(0);
        for caller in calls.into_values().filter_map(|call| call.caller) {
            let _ = caller.send(Err(CallError::Closed));
        }
    }

    /// Calls to `peer` that are under way.
    pub(crate) fn in_flight(&self, peer: usize) -> usize {
        self.state.borrow().in_flight[peer]
    }

    fn leave(&self, id: u64) -> Option<Call> {
        let mut state = self.state.borrow_mut();
        let call = state.by_id.remove(&id)?;
        let in_flight = &mut state.in_flight[call.peer];
        assert!(*in_flight > 0, "every call under way is counted");
        *in_flight -= 1;
        Some(call)
    }

    /// Tells every caller whose deadline has passed; returns the earliest deadline that is left.
    fn expire(&self, now: Mono) -> Mono {
        let mut expired = Vec::new();
        let mut next = Mono(u64::MAX);
        for call in self.state.borrow_mut().by_id.values_mut().filter(|call| call.caller.is_some()) {
            if call.deadline <= now {
                expired.extend(call.caller.take());
            } else {
                next = next.min(call.deadline);
            }
        }
        for caller in expired {
            let _ = caller.send(Err(CallError::Deadline));
        }
        next
    }
}

/// A call that was counted in. Dropping it counts it out, unless it was handed over to the peer's reply.
pub(crate) struct Entry<'a> {
    calls: &'a Calls,
    pub(crate) id: u64,
    handed_over: bool,
}

impl Entry<'_> {
    /// The peer has the request: from now on only its reply counts the call out.
    pub(crate) fn hand_over(mut self) {
        self.handed_over = true;
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if !self.handed_over {
            self.calls.leave(self.id);
        }
    }
}
