//! Messages between processes: one framed, checksummed stream, many calls on it at once, in both directions.
//!
//! ```text
//! call, tell --> queue --writer--> hello | proof | frame | frame ~~~> reader --> spawned handler --> queue --writer--> ...
//!                                                                          \--> receiver
//! ```
//!
//! 1. [`Session::connect`] or [`Session::accept`] shakes hands under a deadline and refuses a stranger (`handshake`).
//! 2. [`Session::run`] reads, writes, expires calls and pings until something fails; it says what.
//! 3. `call` puts a message into the bounded queue and waits for the one with the same call id. The writer takes all
//!    that is queued at once, so that many small frames leave in one write; small messages overtake large ones.
//! 4. The other end's requests go to the handler, each in a task of its own, at most `serving_max` at a time. What it tells goes to the
//!    receiver, at once.
//!
//! Promises: the first damaged byte ends the session, and every call under way ends with it: with `NotServing` if its request cannot have arrived, else
//! with `Closed`. A session that hears nothing for `silence_max`, or whose other end reads nothing for as long, is over: a half-open
//! connection does not hold calls for ever. Queues are bounded.
//! Leaves to others: connecting again (`links`), and whether a call may be repeated.

mod handshake;
mod queue;
mod reader;

use crate::calls::{CallError, Calls};
use crate::frame::{FrameError, Hello, Kind, Verdict};
use crate::mesh::Handler;
use crate::secret::Trust;
use bytes::Bytes;
use meter::ledger::{self, SERVED_BYTES};
use model::ring::{NodeId, Place, ShardId};
use queue::{Outgoing, Queue};
use reader::{Incoming, Reader};
use runtime::sync::{Either, Notify, Semaphore, race, select, timeout};
use runtime::tls::{Socket, TlsPeer};
use runtime::{Class, Mono, Runtime, Stream, Task};
use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

/// Who this end is: what it says of itself in its hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's id, drawn when it was founded.
    pub cluster: u128,
    /// The node's id, drawn when its directory was made; of a process without one, drawn when it starts.
    pub node: u128,
    /// The node's number and this shard; none for a process that has no shards.
    pub place: Option<Place>,
    /// Drawn anew each time that this process starts: the sessions of an older start are over.
    pub start: u64,
}

/// Certificates of the connections between nodes.
#[derive(Clone, Debug)]
pub struct LinkTls {
    /// This node's certificate and the cluster's own authority, which must have signed the other end's.
    pub peer: TlsPeer,
    /// The name that the certificate of every node bears, beside others: who connects looks for it.
    pub name: String,
}

/// Who this end is, whom it trusts, and the bounds of the session.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// What this end says of itself.
    pub identity: Identity,
    /// Whom it lets in.
    pub trust: Trust,
    /// TLS under the session; both ends must have it, or none.
    pub tls: Option<LinkTls>,
    /// Calls from this end that may be under way at once.
    pub in_flight_max: usize,
    /// Calls from the other end that may be served at once; more are refused as busy.
    pub serving_max: usize,
    /// Bytes of the requests that are served at once, and of the replies that wait for room; more are refused as busy.
    pub serving_bytes_max: usize,
    /// Bytes of frames that may wait to be written: a call that finds no room is refused as busy, a reply waits.
    pub queued_bytes_max: usize,
    /// Of those, what `tell` may use; what finds no room is dropped.
    pub told_bytes_max: usize,
    /// Connecting, TLS and hellos must be over within this.
    pub handshake_max: Duration,
    /// How often to ask whether the other end is there.
    pub ping_every: Duration,
    /// A session that hears nothing for this long is over.
    pub silence_max: Duration,
}

impl SessionOptions {
    /// The default bounds.
    pub fn new(identity: Identity, trust: Trust) -> SessionOptions {
        SessionOptions {
            identity,
            trust,
            tls: None,
            in_flight_max: 4096,
            serving_max: 4096,
            serving_bytes_max: 64 << 20,
            queued_bytes_max: 64 << 20,
            told_bytes_max: 48 << 20,
            handshake_max: Duration::from_secs(3),
            ping_every: Duration::from_millis(500),
            silence_max: Duration::from_secs(3),
        }
    }
}

/// Takes what the other end tells. It must not wait; what it keeps, it bounds.
pub type Receiver = Rc<dyn Fn(NodeId, ShardId, Bytes)>;

/// Decides on a peer that knows the secret; `None` says nothing and lets it wait, as a cut network does.
pub type Admission = Rc<dyn Fn(&Candidate<'_>) -> Option<Verdict>>;

/// A peer that knows the secret.
pub struct Candidate<'a> {
    /// What it says of itself.
    pub hello: Hello,
    bears: &'a dyn Fn(&str) -> Option<bool>,
}

impl<'a> Candidate<'a> {
    /// One that says this, and whose certificate is asked so.
    pub fn new(hello: Hello, bears: &'a dyn Fn(&str) -> Option<bool>) -> Candidate<'a> {
        Candidate { hello, bears }
    }

    /// Whether its certificate bears this DNS name; none when the two do not speak TLS.
    pub fn bears(&self, name: &str) -> Option<bool> {
        (self.bears)(name)
    }
}

/// Who takes what comes in: one for all sessions of a core. Its parts may come later and change.
pub struct Reception {
    handler: RefCell<Option<Handler>>,
    receiver: RefCell<Option<Receiver>>,
    /// TLS handshakes work one at a time.
    turns: Semaphore,
}

impl Default for Reception {
    fn default() -> Reception {
        Reception::new()
    }
}

impl Reception {
    /// Nobody yet: requests are answered with `NotServing`, what is told is dropped.
    pub fn new() -> Reception {
        Reception { handler: RefCell::default(), receiver: RefCell::default(), turns: Semaphore::new(1) }
    }

    /// Registers who answers requests.
    pub fn set_handler(&self, handler: Option<Handler>) {
        let before = std::mem::replace(&mut *self.handler.borrow_mut(), handler);
        drop(before);
    }

    /// Registers who takes what is told.
    pub fn set_receiver(&self, receiver: Option<Receiver>) {
        let before = std::mem::replace(&mut *self.receiver.borrow_mut(), receiver);
        drop(before);
    }
}

/// Switches that drop frames without closing anything: a cut network, for tests of whole processes.
#[derive(Debug, Default)]
pub struct Valve {
    /// What comes in is dropped.
    pub cut_in: Cell<bool>,
    /// What goes out is dropped.
    pub cut_out: Cell<bool>,
}

/// Why an end refuses the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The two have different secrets.
    WrongSecret,
    /// The other end demands a secret.
    NoSecretHere,
    /// The other end has no secret.
    NoSecretThere,
    /// The other end has as many sessions as it may.
    Full,
    /// The cluster does not know the one that connected, or does not know it any more.
    NotMember,
    /// The certificate is not that of the node that its owner says it is.
    NotCertified,
    /// The other end has made too many connections at once.
    TooMany,
    /// The node that answers has the number that was expected, and another data directory.
    Impostor(Place),
    /// Somebody else answers at that address.
    Stranger {
        /// Who should be there.
        expected: Place,
        /// Who is.
        found: Option<Place>,
    },
    /// The other end does not speak TLS.
    NoTls,
    /// TLS did not come about; what rustls says.
    Certificate(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::WrongSecret => {
                f.write_str("the two ends have different cluster secrets: configure the same one on both")
            }
            Refusal::NoSecretHere => f.write_str(
                "the other end demands the cluster's secret and this one has none: configure it here too",
            ),
            Refusal::NoSecretThere => f.write_str(
                "this end demands the cluster's secret and the other one has none: configure it there too",
            ),
            Refusal::Full => f.write_str("the end that was connected to has as many sessions as it may"),
            Refusal::NotMember => {
                f.write_str("the end that connected is no member of the cluster, or not any more")
            }
            Refusal::NotCertified => f.write_str(
                "the certificate is not of the node that it is shown for: it must bear the node's name, a dot, and the name that all of the cluster bear",
            ),
            Refusal::TooMany => f.write_str("too many of its connections wait to shake hands"),
            Refusal::Impostor(place) => write!(
                f,
                "who answers there says that it is node {}, with another data directory than the cluster knows of it",
                place.node.0
            ),
            Refusal::Stranger { expected, found: Some(found) } => write!(
                f,
                "shard {} of node {} was expected at that address, and shard {} of node {} answers: one of them moved",
                expected.shard.0, expected.node.0, found.shard.0, found.node.0
            ),
            Refusal::Stranger { expected, found: None } => write!(
                f,
                "shard {} of node {} was expected at that address, and a process without shards answers",
                expected.shard.0, expected.node.0
            ),
            Refusal::NoTls => f.write_str(
                "this end speaks TLS and the other one does not: configure certificates on both or on none",
            ),
            Refusal::Certificate(why) => {
                write!(
                    f,
                    "no TLS: {why}: both certificates must be of the cluster's authority and bear its name"
                )
            }
        }
    }
}

/// Why a session did not begin, or ended.
#[derive(Debug)]
pub enum SessionError {
    /// The connection failed.
    Io(io::Error),
    /// The other end sent what it must not, or the bytes were damaged.
    Frame(FrameError),
    /// The two do not belong together, and one of them said so.
    Refused(Refusal),
    /// The other end closed the connection.
    Ended,
    /// The other end did not say hello in time, or nothing came from it for too long.
    Silent,
    /// The other end did not read for too long.
    Stuck,
    /// This end closed it.
    Closed,
}

impl std::fmt::Display for SessionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SessionError::Io(error) => write!(f, "the connection failed: {error}"),
            SessionError::Frame(error) => write!(f, "{error}"),
            SessionError::Refused(refusal) => write!(f, "{refusal}"),
            SessionError::Ended => f.write_str("the other end closed the connection"),
            SessionError::Silent => f.write_str("nothing came from the other end for too long"),
            SessionError::Stuck => f.write_str("the other end did not read for too long"),
            SessionError::Closed => f.write_str("the session was closed here"),
        }
    }
}

impl std::error::Error for SessionError {}

impl From<io::Error> for SessionError {
    fn from(error: io::Error) -> SessionError {
        SessionError::Io(error)
    }
}

impl From<FrameError> for SessionError {
    fn from(error: FrameError) -> SessionError {
        SessionError::Frame(error)
    }
}

impl From<Refusal> for SessionError {
    fn from(refusal: Refusal) -> SessionError {
        SessionError::Refused(refusal)
    }
}

/// One end of a connection between two processes. Cheap to clone; all clones are the same.
pub struct Session<R: Runtime> {
    inner: Rc<Inner<R>>,
}

impl<R: Runtime> Clone for Session<R> {
    fn clone(&self) -> Session<R> {
        Session { inner: self.inner.clone() }
    }
}

struct Inner<R: Runtime> {
    rt: R,
    options: SessionOptions,
    stream: Socket<R::Stream>,
    peer: Hello,
    reception: Rc<Reception>,
    valve: RefCell<Rc<Valve>>,
    /// A frame was dropped by the valve: on a real connection those behind it could not have come either.
    lost_frames: Cell<bool>,
    calls: Calls,
    served: Calls,
    queue: Queue,
    serving: Cell<usize>,
    serving_bytes: Cell<usize>,
    heard_at: Cell<Mono>,
    /// Since when the write under way has been.
    writing_since: Cell<Option<Mono>>,
    closed: Cell<bool>,
    close: Notify,
}

impl<R: Runtime> Session<R> {
    /// Connects to `address` and shakes hands.
    pub async fn connect(
        rt: R,
        address: SocketAddr,
        options: SessionOptions,
        reception: Rc<Reception>,
    ) -> Result<Session<R>, SessionError> {
        let begin = async {
            let stream = handshake::connected::<R>(rt.connect(address).await?, &options).await?;
            let peer = handshake::connecting(&rt, &stream, &options).await?;
            Ok((stream, peer))
        };
        let begun = timeout(&rt, options.handshake_max, Box::pin(begin)).await;
        let (stream, peer) = begun.unwrap_or(Err(SessionError::Silent))?;
        Ok(Session::begin(rt, stream, peer, options, reception))
    }

    /// Shakes hands on a connection that was accepted. `admission` decides on who knows the secret.
    pub async fn accept(
        rt: R,
        stream: R::Stream,
        options: SessionOptions,
        reception: Rc<Reception>,
        admission: &Admission,
    ) -> Result<Session<R>, SessionError> {
        let begin = async {
            let stream = handshake::accepted::<R>(stream, &options, &reception.turns).await?;
            let peer = handshake::accepting(&rt, &stream, &options, admission).await?;
            Ok((stream, peer))
        };
        let begun = timeout(&rt, options.handshake_max, Box::pin(begin)).await;
        let (stream, peer) = begun.unwrap_or(Err(SessionError::Silent))?;
        Ok(Session::begin(rt, stream, peer, options, reception))
    }

    /// What the other end said of itself.
    pub fn peer(&self) -> Hello {
        self.inner.peer
    }

    /// Whether the other end's certificate bears this DNS name; none when there is no TLS.
    pub fn bears(&self, name: &str) -> Option<bool> {
        self.inner.stream.bears(name)
    }

    /// Calls from this end that are under way.
    pub fn in_flight(&self) -> usize {
        self.inner.calls.in_flight(0)
    }

    /// Bytes that wait to be written.
    pub fn queued_bytes(&self) -> usize {
        self.inner.queue.bytes()
    }

    /// Whether it is over.
    pub fn is_closed(&self) -> bool {
        self.inner.closed.get()
    }

    /// Whether both are the same session.
    pub fn is_same(&self, other: &Session<R>) -> bool {
        Rc::ptr_eq(&self.inner, &other.inner)
    }

    /// Obeys `valve` from now on.
    pub fn set_valve(&self, valve: Rc<Valve>) {
        *self.inner.valve.borrow_mut() = valve;
    }

    /// Whether the valve has dropped a frame.
    pub fn has_lost_frames(&self) -> bool {
        self.inner.lost_frames.get()
    }

    /// Asks the other end and waits for its reply, until `deadline`.
    pub async fn call(&self, deadline: Mono, request: Vec<u8>) -> Result<Vec<u8>, CallError> {
        let inner = &self.inner;
        if inner.closed.get() {
            return Err(CallError::NotServing);
        }
        let (entry, receiver) = inner.calls.enter(0, deadline)?;
        let left = deadline.since(inner.rt.now()).as_micros();
        let timeout_us = u32::try_from(left).unwrap_or(u32::MAX);
        let message = Outgoing { kind: Kind::Request, call: entry.id, timeout_us, payload: request };
        if self.goes_out() && inner.queue.push_within(usize::MAX, message).is_err() {
            return Err(CallError::Busy);
        }
        if !inner.lost_frames.get() {
            entry.hand_over();
        }
        let mut reply = receiver.await.unwrap_or(Err(CallError::Closed))?;
        assert!(ledger::fold(&inner.rt, &mut reply), "a reply without its ledger ends the session");
        Ok(reply)
    }

    /// Tells the other end something, which nobody answers. False when it was dropped: the session is over, or too much
    /// waits to be written. True does not mean that it arrives.
    pub fn tell(&self, payload: Vec<u8>) -> bool {
        let inner = &self.inner;
        if inner.closed.get() {
            return false;
        }
        let message = Outgoing { payload, ..Outgoing::empty(Kind::Tell, 0) };
        !self.goes_out() || inner.queue.push_within(inner.options.told_bytes_max, message).is_ok()
    }

    /// Reads, writes, expires and pings until the session ends; returns why it did.
    ///
    /// One task runs it, for as long as there are calls. When it ends or is dropped, every call ends with it.
    pub async fn run(&self) -> SessionError {
        let close = self.inner.close.notified();
        let _running = Running { session: self };
        if self.inner.closed.get() {
            return SessionError::Closed;
        }
        let calls = async {
            self.inner.calls.sweep(&self.inner.rt).await;
            SessionError::Closed
        };
        let served = async {
            self.inner.served.sweep(&self.inner.rt).await;
            SessionError::Closed
        };
        let closed = async {
            close.await;
            SessionError::Closed
        };
        let parts: [Part<'_>; 6] = [
            Box::pin(closed),
            Box::pin(self.read()),
            Box::pin(self.write()),
            Box::pin(self.watch()),
            Box::pin(calls),
            Box::pin(served),
        ];
        race(parts).await
    }

    /// Ends the session: `run` returns, and every call under way ends. A request of which not all can have left had no effect.
    pub fn close(&self) {
        self.inner.closed.set(true);
        for call in self.inner.queue.close() {
            self.inner.calls.finish(call, Err(CallError::NotServing));
        }
        self.inner.calls.close();
        self.inner.served.close();
        self.inner.close.notify_all();
    }

    fn begin(
        rt: R,
        stream: Socket<R::Stream>,
        peer: Hello,
        options: SessionOptions,
        reception: Rc<Reception>,
    ) -> Session<R> {
        let inner = Inner {
            calls: Calls::new(1, options.in_flight_max),
            served: Calls::new(1, options.serving_max),
            queue: Queue::new(options.queued_bytes_max),
            serving: Cell::new(0),
            serving_bytes: Cell::new(0),
            heard_at: Cell::new(rt.now()),
            writing_since: Cell::new(None),
            closed: Cell::new(false),
            close: Notify::new(),
            valve: RefCell::default(),
            lost_frames: Cell::new(false),
            rt,
            options,
            stream,
            peer,
            reception,
        };
        Session { inner: Rc::new(inner) }
    }

    async fn read(&self) -> SessionError {
        match self.read_frames().await {
            Err(error) => error,
            Ok(never) => match never {},
        }
    }

    async fn read_frames(&self) -> Result<std::convert::Infallible, SessionError> {
        let inner = &self.inner;
        let mut reader = Reader::new();
        loop {
            let count = inner.stream.read(reader.room()).await?;
            if count == 0 {
                return Err(SessionError::Ended);
            }
            reader.filled(count);
            if !inner.valve.borrow().cut_in.get() {
                inner.heard_at.set(inner.rt.now());
            }
            while let Some(message) = reader.next()? {
                self.take(message)?;
                if inner.rt.should_yield() {
                    inner.rt.yield_now().await;
                }
            }
        }
    }

    fn take(&self, message: Incoming) -> Result<(), SessionError> {
        if self.inner.valve.borrow().cut_in.get() {
            self.inner.lost_frames.set(true);
            return Ok(());
        }
        let Incoming { kind, call, timeout_us, payload } = message;
        let sound = match kind {
            Kind::Request => self.serve(call, timeout_us, payload),
            Kind::Reply if payload.len() < SERVED_BYTES => false,
            Kind::Reply => self.inner.calls.finish(call, Ok(payload)),
            Kind::Busy => self.inner.calls.finish(call, Err(CallError::Busy)),
            Kind::NotServing => self.inner.calls.finish(call, Err(CallError::NotServing)),
            Kind::Ping => self.push_small(Kind::Pong, 0),
            Kind::Pong => true,
            Kind::Tell => self.receive(payload),
            Kind::Part => unreachable!("parts are gathered by the reader"),
        };
        // An expired call keeps its id until the reply comes, so a reply to no call is the other end's mistake.
        // So is asking on and on without reading what is answered.
        if sound { Ok(()) } else { Err(FrameError::Senseless.into()) }
    }

    /// Gives what was told to the receiver. Only shards tell.
    fn receive(&self, payload: Vec<u8>) -> bool {
        let Some(place) = self.inner.peer.place else { return false };
        let receiver = self.inner.reception.receiver.borrow().clone();
        if let Some(receiver) = receiver {
            receiver(place.node, place.shard, Bytes::from(payload));
        }
        true
    }

    /// Answers a request in a task of its own, or refuses it. Returns false when not even a refusal has room.
    fn serve(&self, call: u64, timeout_us: u32, payload: Vec<u8>) -> bool {
        let inner = &self.inner;
        let handler = inner.reception.handler.borrow().clone();
        let Some(handler) = handler else { return self.push_small(Kind::NotServing, call) };
        let size = payload.len();
        let bytes = inner.serving_bytes.get();
        let no_room = bytes > 0 && bytes + size > inner.options.serving_bytes_max;
        if no_room || inner.serving.get() >= inner.options.serving_max {
            return self.push_small(Kind::Busy, call);
        }
        let place = Serving::new(self.clone(), size);
        let deadline = inner.rt.now().after(Duration::from_micros(u64::from(timeout_us)));
        let task = async move {
            let mut place = place;
            let session = place.session.clone();
            // The entry only makes the sweeper tell when the time is over: one sweeper instead of a timer per call.
            let Ok((entry, expired)) = session.inner.served.enter_anyway(0, deadline) else { return };
            let handled = pin!(ledger::serve(&session.inner.rt, handler(payload)));
            let served = select(handled, expired).await;
            drop(entry);
            let message = match served {
                Either::First(reply) => Outgoing { payload: reply, ..Outgoing::empty(Kind::Reply, call) },
                // A caller whose time is over has stopped listening; the empty refusal only counts its call out.
                Either::Second(_expired) => Outgoing::empty(Kind::NotServing, call),
            };
            place.holds(message.payload.len());
            if session.goes_out() {
                session.inner.queue.push(message).await;
            }
        };
        inner.rt.spawn(Class::Foreground, task).detach();
        true
    }

    /// Whether the valve lets frames out; notes the one that it does not.
    fn goes_out(&self) -> bool {
        let cut = self.inner.valve.borrow().cut_out.get();
        if cut {
            self.inner.lost_frames.set(true);
        }
        !cut
    }

    /// False when there is no room.
    fn push_small(&self, kind: Kind, call: u64) -> bool {
        !self.goes_out() || self.inner.queue.push_small(kind, call)
    }

    async fn write(&self) -> SessionError {
        let inner = &self.inner;
        let mut bytes = Vec::new();
        loop {
            bytes = inner.queue.take(bytes).await;
            inner.writing_since.set(Some(inner.rt.now()));
            if let Err(error) = inner.stream.write_all(&bytes).await {
                return SessionError::Io(error);
            }
            inner.writing_since.set(None);
            if inner.rt.should_yield() {
                inner.rt.yield_now().await;
            }
        }
    }

    /// Pings, and notices silence.
    async fn watch(&self) -> SessionError {
        let inner = &self.inner;
        loop {
            inner.rt.sleep(inner.options.ping_every).await;
            let now = inner.rt.now();
            if now.since(inner.heard_at.get()) >= inner.options.silence_max {
                return SessionError::Silent;
            }
            let stuck = |since: Mono| now.since(since) >= inner.options.silence_max;
            if inner.writing_since.get().is_some_and(stuck) || !self.push_small(Kind::Ping, 0) {
                return SessionError::Stuck;
            }
        }
    }
}

/// A request that is served, or its reply that waits for room: counted while it lives.
struct Serving<R: Runtime> {
    session: Session<R>,
    bytes: usize,
}

impl<R: Runtime> Serving<R> {
    fn new(session: Session<R>, bytes: usize) -> Serving<R> {
        let inner = &session.inner;
        inner.serving.set(inner.serving.get() + 1);
        inner.serving_bytes.set(inner.serving_bytes.get() + bytes);
        Serving { session, bytes }
    }

    /// From now on it holds as many bytes.
    fn holds(&mut self, bytes: usize) {
        let all = &self.session.inner.serving_bytes;
        all.set(all.get() - self.bytes + bytes);
        self.bytes = bytes;
    }
}

impl<R: Runtime> Drop for Serving<R> {
    fn drop(&mut self) {
        self.holds(0);
        let serving = &self.session.inner.serving;
        assert!(serving.get() > 0, "every request that is served is counted");
        serving.set(serving.get() - 1);
    }
}

/// While it lives, the session runs; however that ends, no call is left waiting.
struct Running<'a, R: Runtime> {
    session: &'a Session<R>,
}

impl<R: Runtime> Drop for Running<'_, R> {
    fn drop(&mut self) {
        self.session.close();
    }
}

/// What a session does all the time, one of several things.
type Part<'a> = Pin<Box<dyn Future<Output = SessionError> + 'a>>;

/// The messages in a stream of frames, read in pieces of at most `piece` bytes, and what ended it: for fuzzing the reader alone.
pub fn frames_of(stream: &[u8], piece: usize) -> (Vec<(Kind, Vec<u8>)>, Option<FrameError>) {
    let (mut reader, mut rest, mut messages) = (Reader::new(), stream, Vec::new());
    while !rest.is_empty() {
        let room = reader.room();
        let count = room.len().min(rest.len()).min(piece);
        room[..count].copy_from_slice(&rest[..count]);
        reader.filled(count);
        rest = &rest[count..];
        loop {
            match reader.next() {
                Ok(Some(message)) => messages.push((message.kind, message.payload)),
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
    }
    (messages, None)
}

/// Lets everybody in who knows the secret.
pub fn everybody() -> Admission {
    Rc::new(|_peer| Some(Verdict::Welcome))
}

#[cfg(test)]
mod tests;
