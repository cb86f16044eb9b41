//! Calls between the cores of one process.
//!
//! ```text
//! call --same core--> handler(request).await
//! call --mailbox--> [request | call id | deadline | kind] --> spawned handler --mailbox--> [reply | ..] --> caller
//! ```
//!
//! 1. A call to this core runs the registered handler inside the caller's own task: no packet, no copy.
//! 2. A call to another core gets an id, goes into that core's mailbox, and waits. The bytes of the request are
//!    moved, not copied; the trailer goes behind them.
//! 3. Every call has a deadline. One sweeper per core expires the calls that are over, instead of a timer per call.
//! 4. At most `in_flight_max` calls to one peer are under way; the next is refused at once with `Busy`. A call
//!    that expired still counts until its reply comes: the peer may be working on it.
//!
//! What the other core spent on a request comes back behind the reply, and goes into the ledger of whoever asked (`meter::ledger`).
//!
//! The map travels the same way: `broadcast_map` is a call to every core, acknowledged when its cell holds the map. A core that has
//! the map that was given last gets what is different, any other one the whole.
//!
//! Promises: a call ends, with a reply or a `CallError`; `Busy` and `NotServing` mean that nothing was done,
//! `Deadline` and `Closed` that nobody knows. Dropping a call leaks nothing. The receiver never waits for a sender, so two full
//! mailboxes cannot lock each other.
//! Leaves to others: what the bytes mean (`message`), retries (the router), other processes (`session`).

pub use crate::calls::CallError;
use crate::calls::Calls;
use crate::map::MapCell;
use meter::ledger;
use model::map::Map;
use model::ring::ShardId;
use runtime::sync::{Either, Notify, join_all, select};
use runtime::{Class, CoreId, Mono, Runtime, Task};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

/// The bounds of a mesh.
#[derive(Clone, Copy, Debug)]
pub struct MeshOptions {
    /// Calls to one peer (or to this core itself) that may be under way at once.
    pub in_flight_max: usize,
}

impl Default for MeshOptions {
    fn default() -> MeshOptions {
        MeshOptions { in_flight_max: 4096 }
    }
}

/// Answers one request: the shard, seen from the mesh. It may be dropped at any await when its deadline passes.
pub type Handler = Rc<dyn Fn(Vec<u8>) -> Pin<Box<dyn Future<Output = Vec<u8>>>>>;

/// Tells something about this core, to another core of the process.
pub type Teller = Rc<dyn Fn(&[u8]) -> Vec<u8>>;

/// One core's end of the mesh. Cheap to clone; all clones are the same.
pub struct Mesh<R: Runtime> {
    inner: Rc<Inner<R>>,
}

impl<R: Runtime> Clone for Mesh<R> {
    fn clone(&self) -> Mesh<R> {
        Mesh { inner: self.inner.clone() }
    }
}

struct Inner<R: Runtime> {
    rt: R,
    map: MapCell,
    handler: RefCell<Option<Handler>>,
    teller: RefCell<Option<Teller>>,
    calls: Calls,
    /// By core: the map that it was given last, and has.
    given: RefCell<BTreeMap<CoreId, Rc<Map>>>,
    stopped: Cell<bool>,
    stop: Notify,
}

impl<R: Runtime> Mesh<R> {
    /// This core's end, with its map cell.
    pub fn new(rt: R, map: MapCell, options: MeshOptions) -> Mesh<R> {
        let calls = Calls::new(rt.core_count(), options.in_flight_max);
        let (handler, stopped, stop) = (RefCell::new(None), Cell::new(false), Notify::new());
        let (given, teller) = (RefCell::default(), RefCell::new(None));
        Mesh { inner: Rc::new(Inner { rt, map, handler, teller, calls, given, stopped, stop }) }
    }

    /// The map cell of this core.
    pub fn map(&self) -> &MapCell {
        &self.inner.map
    }

    /// Registers who answers this core's requests; before that, calls are answered with `NotServing`.
    pub fn set_handler(&self, handler: Handler) {
        *self.inner.handler.borrow_mut() = Some(handler);
    }

    /// Unregisters the handler: from now on calls are answered with `NotServing`.
    pub fn clear_handler(&self) {
        let handler = self.inner.handler.borrow_mut().take();
        drop(handler);
    }

    /// Registers who tells other cores about this one: see [`Mesh::ask_all`].
    pub fn set_teller(&self, teller: Teller) {
        *self.inner.teller.borrow_mut() = Some(teller);
    }

    /// Asks the tellers of all cores of this process, this one first; the answers of those that answer in time. Calls that are under way do not count.
    pub async fn ask_all(&self, question: &[u8], deadline: Mono) -> Vec<Vec<u8>> {
        let here = self.inner.rt.core();
        let count = u16::try_from(self.inner.rt.core_count()).expect("cores fit u16");
        let others = (0..count).map(CoreId).filter(|core| *core != here);
        let asked = others.map(|core| self.call_there(core, deadline, Kind::Tell, question.to_vec()));
        let told = join_all(asked.collect::<Vec<_>>()).await;
        let teller = self.inner.teller.borrow().clone();
        let own = teller.map(|teller| teller(question));
        own.into_iter().chain(told.into_iter().flatten()).collect()
    }

    /// Asks shard `to` of this process and waits for its reply, until `deadline`.
    pub async fn call(&self, to: ShardId, deadline: Mono, request: Vec<u8>) -> Result<Vec<u8>, CallError> {
        let to = CoreId(to.0);
        if to == self.inner.rt.core() {
            return self.call_here(deadline, request).await;
        }
        self.call_there(to, deadline, Kind::Request, request).await
    }

    /// Gives every core of the process this map; returns when all of them have it, or one could not be reached.
    pub async fn broadcast_map(&self, map: Rc<Map>, deadline: Mono) -> Result<(), CallError> {
        self.inner.map.set(map.clone());
        let here = self.inner.rt.core();
        let peers =
            (0..self.inner.rt.core_count()).map(|core| CoreId(u16::try_from(core).expect("cores fit u16")));
        let peers: Vec<CoreId> = peers.filter(|peer| *peer != here).collect();
        // Mostly all of them have the same.
        let mut news: Option<(u64, Vec<u8>)> = None;
        let calls = peers.into_iter().map(|peer| {
            let had = self.inner.given.borrow().get(&peer).cloned();
            let version = had.as_ref().map_or(0, |had| had.version);
            if news.as_ref().is_none_or(|(from, _)| *from != version) {
                let delta = had.and_then(|had| map.delta(&had));
                news = Some((version, delta.unwrap_or_else(|| map.encode())));
            }
            let (_, bytes) = news.as_ref().expect("made just now");
            self.give_map(peer, map.clone(), bytes.clone(), deadline)
        });
        let replies = join_all(calls.collect::<Vec<_>>()).await;
        replies.into_iter().collect()
    }

    /// Gives one core a map; all of it, if what is different does not fit what the core has.
    async fn give_map(
        &self,
        peer: CoreId,
        map: Rc<Map>,
        news: Vec<u8>,
        deadline: Mono,
    ) -> Result<(), CallError> {
        if let Err(error) = self.call_there(peer, deadline, Kind::Map, news).await {
            self.inner.given.borrow_mut().remove(&peer);
            if error != CallError::NotServing {
                return Err(error);
            }
            self.call_there(peer, deadline, Kind::Map, map.encode()).await?;
        }
        self.inner.given.borrow_mut().insert(peer, map);
        Ok(())
    }

    /// Receives this core's mail and expires its calls, until [`Mesh::stop`] or the end of the process.
    ///
    /// One task runs it, for as long as there are calls: without it nothing arrives and no deadline passes. When it
    /// ends or is dropped, every call ends with it.
    pub async fn run(&self) {
        let stop = self.inner.stop.notified();
        let _running = Running { mesh: self };
        if !self.inner.stopped.get() {
            select(stop, select(self.receive(), self.inner.calls.sweep(&self.inner.rt))).await;
        }
    }

    /// Ends [`Mesh::run`]; calls that are under way end with `Closed`, and so does every later one.
    pub fn stop(&self) {
        self.inner.stopped.set(true);
        self.inner.stop.notify_all();
        self.inner.calls.close();
    }

    async fn call_here(&self, deadline: Mono, request: Vec<u8>) -> Result<Vec<u8>, CallError> {
        let Some(handler) = self.inner.handler.borrow().clone() else { return Err(CallError::NotServing) };
        let (entry, receiver) = self.inner.calls.enter(usize::from(self.inner.rt.core().0), deadline)?;
        let outcome = select(handler(request), receiver).await;
        drop(entry);
        match outcome {
            Either::First(reply) => Ok(reply),
            Either::Second(Ok(early)) => early,
            Either::Second(Err(_closed)) => Err(CallError::Closed),
        }
    }

    async fn call_there(
        &self,
        to: CoreId,
        deadline: Mono,
        kind: Kind,
        payload: Vec<u8>,
    ) -> Result<Vec<u8>, CallError> {
        if usize::from(to.0) >= self.inner.rt.core_count() {
            return Err(CallError::NotServing);
        }
        let calls = &self.inner.calls;
        let (entry, mut receiver) = match kind {
            // Few at a time, and the requests that fill the bound may be waiting for a map; who looks why they wait wants to be told.
            Kind::Map | Kind::Tell => calls.enter_anyway(usize::from(to.0), deadline)?,
            _ => calls.enter(usize::from(to.0), deadline)?,
        };
        let packet = Packet { kind, call: entry.id, deadline, payload }.seal();
        let reply = match select(self.inner.rt.mesh_send(to, packet), &mut receiver).await {
            Either::First(Ok(())) => {
                entry.hand_over();
                receiver.await
            }
            Either::First(Err(_closed)) => return Err(CallError::Closed),
            Either::Second(early) => early,
        };
        let mut reply = reply.unwrap_or(Err(CallError::Closed))?;
        if kind == Kind::Request {
            assert!(ledger::fold(&self.inner.rt, &mut reply), "a core of this process says what it spent");
        }
        Ok(reply)
    }

    async fn receive(&self) {
        while let Ok((from, packet)) = self.inner.rt.mesh_receive().await {
            let packet = Packet::open(packet);
            match packet.kind {
                Kind::Request => self.serve(from, packet),
                Kind::Map => self.take_map(from, packet),
                Kind::Tell => self.tell(from, packet),
                Kind::Reply => self.finish(packet.call, Ok(packet.payload)),
                Kind::NotServing => self.finish(packet.call, Err(CallError::NotServing)),
            }
            if self.inner.rt.should_yield() {
                self.inner.rt.yield_now().await;
            }
        }
    }

    /// Answers a request in a task of its own. Such tasks are bounded by the callers' `in_flight_max`.
    fn serve(&self, from: CoreId, packet: Packet) {
        let handler = self.inner.handler.borrow().clone();
        let rt = self.inner.rt.clone();
        let task = async move {
            let expired = rt.now() >= packet.deadline;
            let (kind, payload) = match handler {
                Some(handler) if !expired => (Kind::Reply, ledger::serve(&rt, handler(packet.payload)).await),
                // An expired caller has stopped listening; the reply only counts the call out.
                _ => (Kind::NotServing, Vec::new()),
            };
            let reply = Packet { kind, call: packet.call, deadline: packet.deadline, payload };
            // A closed mailbox means that the process is going down: nobody is left to be told.
            let _ = rt.mesh_send(from, reply.seal()).await;
        };
        self.inner.rt.spawn(Class::Foreground, task).detach();
    }

    fn tell(&self, from: CoreId, packet: Packet) {
        let teller = self.inner.teller.borrow().clone();
        let (kind, payload) = match teller {
            Some(teller) => (Kind::Reply, teller(&packet.payload)),
            None => (Kind::NotServing, Vec::new()),
        };
        self.answer(from, Packet { kind, call: packet.call, deadline: packet.deadline, payload });
    }

    fn answer(&self, to: CoreId, reply: Packet) {
        let rt = self.inner.rt.clone();
        let task = async move {
            let _ = rt.mesh_send(to, reply.seal()).await;
        };
        self.inner.rt.spawn(Class::Foreground, task).detach();
    }

    fn take_map(&self, from: CoreId, packet: Packet) {
        // What does not fit is a difference from a map that this core does not have: it will be sent whole.
        let kind = match self.inner.map.get().update(&packet.payload) {
            Ok(map) => {
                self.inner.map.set(Rc::new(map));
                Kind::Reply
            }
            Err(_) => Kind::NotServing,
        };
        self.answer(from, Packet { kind, call: packet.call, deadline: packet.deadline, payload: Vec::new() });
    }

    /// A reply to a call that was closed meanwhile finds nobody, which is fine.
    fn finish(&self, call: u64, outcome: Result<Vec<u8>, CallError>) {
        self.inner.calls.finish(call, outcome);
    }
}

/// While it lives, the mesh runs; however that ends, no call is left waiting.
struct Running<'a, R: Runtime> {
    mesh: &'a Mesh<R>,
}

impl<R: Runtime> Drop for Running<'_, R> {
    fn drop(&mut self) {
        self.mesh.stop();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Request = 1,
    Map = 2,
    Reply = 3,
    NotServing = 4,
    Tell = 5,
}

/// What goes through a mailbox: the payload, then a trailer. It never leaves the process, so it has no version.
struct Packet {
    kind: Kind,
    call: u64,
    deadline: Mono,
    payload: Vec<u8>,
}

const TRAILER_BYTES: usize = 17;

impl Packet {
    fn seal(self) -> Vec<u8> {
        let mut bytes = self.payload;
        bytes.reserve_exact(TRAILER_BYTES);
        bytes.extend_from_slice(&self.call.to_le_bytes());
        bytes.extend_from_slice(&self.deadline.0.to_le_bytes());
        bytes.push(self.kind as u8);
        bytes
    }

    fn open(mut bytes: Vec<u8>) -> Packet {
        let at = bytes.len().checked_sub(TRAILER_BYTES).expect("every packet has a trailer");
        let number = |from: usize| u64::from_le_bytes(bytes[from..from + 8].try_into().expect("eight bytes"));
        let (call, deadline) = (number(at), Mono(number(at + 8)));
        let kind = match bytes[at + 16] {
            1 => Kind::Request,
            2 => Kind::Map,
            3 => Kind::Reply,
            4 => Kind::NotServing,
            5 => Kind::Tell,
            other => panic!("a packet of kind {other}, which no core of this process sends"),
        };
        bytes.truncate(at);
        Packet { kind, call, deadline, payload: bytes }
    }
}

#[cfg(test)]
mod tests;
