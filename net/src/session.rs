//! Calls between processes: one framed, checksummed stream, many calls on it at once.
//!
//! ```text
//! call --> queue --writer--> hello | frame | frame ~~~> reader --> spawned handler --> queue --writer--> ...
//! ```
//!
//! 1. [`Session::connect`] or [`Session::accept`] exchanges the hellos under a deadline and refuses a stranger.
//! 2. [`Session::run`] reads, writes, expires calls and pings until something fails; it says what.
//! 3. `call` puts a frame into the bounded queue and waits for the frame with the same call id. The writer takes all
//!    that is queued at once, so that many small frames leave in one write.
//! 4. The other end's requests go to the handler, each in a task of its own, at most `serving_max` at a time.
//!
//! Promises: the first damaged byte ends the session, and every call under way ends with it (`Closed`). A session that
//! hears nothing for `silence_max` is over, so a half-open connection does not hold calls for ever. Queues are bounded.
//! Leaves to others: connecting again, and whether a call may be repeated.

use crate::calls::{CallError, Calls};
use crate::frame::{FrameError, HEADER_BYTES, HELLO_BYTES, Header, Hello, Kind};
use crate::mesh::Handler;
use runtime::sync::{Either, Notify, select, timeout};
use runtime::{Class, Mono, Runtime, Stream, Task};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// One write takes as many queued frames as fit in this, and at least one.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// Room in the queue, beyond its bound, for refusals, pings and pongs: more than an honest peer can cause.
const SMALL_BYTES_MAX: usize = 1 << 20;

/// The reader asks for this much at a time; larger payloads are read piece by piece.
const READ_BYTES: usize = 64 << 10;

/// Who this end is, and the bounds of the session.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// What this end says of itself.
    pub hello: Hello,
    /// Calls from this end that may be under way at once.
    pub in_flight_max: usize,
    /// Calls from the other end that may be served at once; more are refused as busy.
    pub serving_max: usize,
    /// Bytes of the requests that are served at once; more are refused as busy.
    pub serving_bytes_max: usize,
    /// Bytes of frames that may wait to be written; who wants to add more waits.
    pub queued_bytes_max: usize,
    /// Connecting and hellos must be over within this.
    pub handshake_max: Duration,
    /// How often to ask whether the other end is there.
    pub ping_every: Duration,
    /// A session that hears nothing for this long is over.
    pub silence_max: Duration,
}

impl SessionOptions {
    /// The default bounds.
    pub fn new(hello: Hello) -> SessionOptions {
        SessionOptions {
            hello,
            in_flight_max: 4096,
            serving_max: 4096,
            serving_bytes_max: 64 << 20,
            queued_bytes_max: 64 << 20,
            handshake_max: Duration::from_secs(3),
            ping_every: Duration::from_millis(500),
            silence_max: Duration::from_secs(3),
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
    /// The other end closed the connection.
    Ended,
    /// The other end did not say hello in time, or nothing came from it for too long.
    Silent,
    /// This end closed it.
    Closed,
}

impl std::fmt::Display for SessionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SessionError::Io(error) => write!(f, "the connection failed: {error}"),
            SessionError::Frame(error) => write!(f, "{error}"),
            SessionError::Ended => f.write_str("the other end closed the connection"),
            SessionError::Silent => f.write_str("nothing came from the other end for too long"),
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
    stream: R::Stream,
    peer: Hello,
    handler: Option<Handler>,
    calls: Calls,
    queue: Queue,
    serving: Cell<usize>,
    serving_bytes: Cell<usize>,
    heard_at: Cell<Mono>,
    closed: Cell<bool>,
    close: Notify,
}

impl<R: Runtime> Session<R> {
    /// Connects to `address` and exchanges hellos.
    pub async fn connect(
        rt: R,
        address: SocketAddr,
        options: SessionOptions,
        handler: Option<Handler>,
    ) -> Result<Session<R>, SessionError> {
        let limit = options.handshake_max;
        let begin = async {
            let stream = rt.connect(address).await?;
            let peer = exchange::<R>(&stream, &options.hello).await?;
            Ok((stream, peer))
        };
        let (stream, peer) = timeout(&rt, limit, begin).await.unwrap_or(Err(SessionError::Silent))?;
        Ok(Session::begin(rt, stream, peer, options, handler))
    }

    /// Exchanges hellos on a connection that was accepted.
    pub async fn accept(
        rt: R,
        stream: R::Stream,
        options: SessionOptions,
        handler: Option<Handler>,
    ) -> Result<Session<R>, SessionError> {
        let exchange = exchange::<R>(&stream, &options.hello);
        let peer =
            timeout(&rt, options.handshake_max, exchange).await.unwrap_or(Err(SessionError::Silent))?;
        Ok(Session::begin(rt, stream, peer, options, handler))
    }

    /// What the other end said of itself.
    pub fn peer(&self) -> Hello {
        self.inner.peer
    }

    /// Calls from this end that are under way.
    pub fn in_flight(&self) -> usize {
        self.inner.calls.in_flight(0)
    }

    /// Asks the other end and waits for its reply, until `deadline`.
    pub async fn call(&self, deadline: Mono, request: &[u8]) -> Result<Vec<u8>, CallError> {
        let (entry, mut receiver) = self.inner.calls.enter(0, deadline)?;
        let left = deadline.since(self.inner.rt.now()).as_micros();
        let timeout_us = u32::try_from(left).unwrap_or(u32::MAX);
        let header = Header::for_payload(Kind::Request, entry.id, timeout_us, request);
        match select(self.inner.queue.push(&header, request), &mut receiver).await {
            Either::First(()) => {
                entry.hand_over();
                receiver.await.unwrap_or(Err(CallError::Closed))
            }
            Either::Second(early) => early.unwrap_or(Err(CallError::Closed)),
        }
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
        let expire = async {
            self.inner.calls.sweep(&self.inner.rt).await;
            SessionError::Closed
        };
        let closed = async {
            close.await;
            SessionError::Closed
        };
        first(closed, first(self.read(), first(self.write(), first(self.watch(), expire)))).await
    }

    /// Ends the session: `run` returns, and every call under way ends with `Closed`.
    pub fn close(&self) {
        self.inner.closed.set(true);
        self.inner.calls.close();
        self.inner.queue.close();
        self.inner.close.notify_all();
    }

    fn begin(
        rt: R,
        stream: R::Stream,
        peer: Hello,
        options: SessionOptions,
        handler: Option<Handler>,
    ) -> Session<R> {
        let inner = Inner {
            calls: Calls::new(1, options.in_flight_max),
            queue: Queue::new(options.queued_bytes_max),
            serving: Cell::new(0),
            serving_bytes: Cell::new(0),
            heard_at: Cell::new(rt.now()),
            closed: Cell::new(false),
            close: Notify::new(),
            rt,
            options,
            stream,
            peer,
            handler,
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
        let mut reader = Reader::new();
        loop {
            let mut head = [0; HEADER_BYTES];
            self.fill(&mut reader, &mut head).await?;
            let header = Header::decode(&head)?;
            let payload = self.payload(&mut reader, header.length as usize).await?;
            header.check(&payload)?;
            self.take(&header, payload)?;
            if self.inner.rt.should_yield() {
                self.inner.rt.yield_now().await;
            }
        }
    }

    /// Reads a payload of a checked length. Memory grows with what has come, not with what was announced.
    async fn payload(&self, reader: &mut Reader, length: usize) -> Result<Vec<u8>, SessionError> {
        let mut payload = Vec::with_capacity(length.min(READ_BYTES));
        while payload.len() < length {
            let start = payload.len();
            payload.resize(length.min(start + READ_BYTES), 0);
            self.fill(reader, &mut payload[start..]).await?;
        }
        Ok(payload)
    }

    async fn fill(&self, reader: &mut Reader, mut target: &mut [u8]) -> Result<(), SessionError> {
        loop {
            let taken = reader.take(target);
            target = &mut target[taken..];
            if target.is_empty() {
                return Ok(());
            }
            let count = self.inner.stream.read(&mut reader.buffer).await?;
            if count == 0 {
                return Err(SessionError::Ended);
            }
            reader.filled(count);
            self.inner.heard_at.set(self.inner.rt.now());
        }
    }

    fn take(&self, header: &Header, payload: Vec<u8>) -> Result<(), SessionError> {
        let sound = match header.kind {
            Kind::Request => self.serve(header, payload),
            Kind::Reply => self.inner.calls.finish(header.call, Ok(payload)),
            Kind::Busy => self.inner.calls.finish(header.call, Err(CallError::Busy)),
            Kind::NotServing => self.inner.calls.finish(header.call, Err(CallError::NotServing)),
            Kind::Ping => self.inner.queue.push_small(&Header::for_payload(Kind::Pong, 0, 0, &[])),
            Kind::Pong => true,
        };
        // An expired call keeps its id until the reply comes, so a reply to no call is the other end's mistake.
        // So is asking on and on without reading what is answered.
        if sound { Ok(()) } else { Err(FrameError::Senseless.into()) }
    }

    /// Answers a request in a task of its own, or refuses it. Returns false when not even a refusal has room.
    fn serve(&self, header: &Header, payload: Vec<u8>) -> bool {
        let inner = &self.inner;
        let refuse = |kind| inner.queue.push_small(&Header::for_payload(kind, header.call, 0, &[]));
        let Some(handler) = inner.handler.clone() else { return refuse(Kind::NotServing) };
        let size = payload.len();
        let no_room = inner.serving_bytes.get() > 0
            && inner.serving_bytes.get() + size > inner.options.serving_bytes_max;
        if no_room || inner.serving.get() >= inner.options.serving_max {
            return refuse(Kind::Busy);
        }
        inner.serving.set(inner.serving.get() + 1);
        inner.serving_bytes.set(inner.serving_bytes.get() + size);
        let (session, call) = (self.clone(), header.call);
        let limit = Duration::from_micros(u64::from(header.timeout_us));
        let task = async move {
            let inner = &session.inner;
            let served = timeout(&inner.rt, limit, handler(payload)).await;
            // A caller whose time is over has stopped listening; the empty refusal only counts its call out.
            let (kind, reply) = served.map_or((Kind::NotServing, Vec::new()), |reply| (Kind::Reply, reply));
            inner.queue.push(&Header::for_payload(kind, call, 0, &reply), &reply).await;
            inner.serving.set(inner.serving.get() - 1);
            inner.serving_bytes.set(inner.serving_bytes.get() - size);
        };
        inner.rt.spawn(Class::Foreground, task).detach();
        true
    }

    async fn write(&self) -> SessionError {
        loop {
            let frames = self.inner.queue.take().await;
            if let Err(error) = self.inner.stream.write_all(&frames).await {
                return SessionError::Io(error);
            }
        }
    }

    /// Pings, and notices silence.
    async fn watch(&self) -> SessionError {
        loop {
            self.inner.rt.sleep(self.inner.options.ping_every).await;
            if self.inner.rt.now().since(self.inner.heard_at.get()) >= self.inner.options.silence_max {
                return SessionError::Silent;
            }
            if !self.inner.queue.push_small(&Header::for_payload(Kind::Ping, 0, 0, &[])) {
                return SessionError::Silent;
            }
        }
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

/// Sends this end's hello and reads the other's.
async fn exchange<R: Runtime>(stream: &R::Stream, hello: &Hello) -> Result<Hello, SessionError> {
    stream.write_all(&hello.encode()).await?;
    let mut bytes = [0; HELLO_BYTES];
    let mut filled = 0;
    while filled < HELLO_BYTES {
        let count = stream.read(&mut bytes[filled..]).await?;
        if count == 0 {
            return Err(SessionError::Ended);
        }
        filled += count;
    }
    Ok(Hello::decode(&bytes, hello.cluster)?)
}

async fn first<T>(a: impl Future<Output = T>, b: impl Future<Output = T>) -> T {
    match select(a, b).await {
        Either::First(value) | Either::Second(value) => value,
    }
}

/// What was read from the stream and not yet taken.
struct Reader {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Reader {
    fn new() -> Reader {
        Reader { buffer: vec![0; READ_BYTES], start: 0, end: 0 }
    }

    /// Moves what is there into `target`; returns how much that was.
    fn take(&mut self, target: &mut [u8]) -> usize {
        let count = target.len().min(self.end - self.start);
        target[..count].copy_from_slice(&self.buffer[self.start..self.start + count]);
        self.start += count;
        count
    }

    /// `count` bytes were read to the buffer's beginning, which was all taken before.
    fn filled(&mut self, count: usize) {
        assert!(self.start == self.end, "reading over bytes that nobody took");
        (self.start, self.end) = (0, count);
    }
}

/// Frames that wait to be written, bounded by their bytes.
struct Queue {
    bytes_max: usize,
    state: RefCell<QueueState>,
    changed: Notify,
}

struct QueueState {
    frames: VecDeque<Vec<u8>>,
    bytes: usize,
    closed: bool,
}

impl Queue {
    fn new(bytes_max: usize) -> Queue {
        let state = QueueState { frames: VecDeque::new(), bytes: 0, closed: false };
        Queue { bytes_max, state: RefCell::new(state), changed: Notify::new() }
    }

    /// Appends a frame once there is room. A frame alone always has room. On a closed queue it goes nowhere.
    async fn push(&self, header: &Header, payload: &[u8]) {
        let size = HEADER_BYTES + payload.len();
        loop {
            let changed = self.changed.notified();
            {
                let state = self.state.borrow();
                if state.closed || state.bytes == 0 || state.bytes + size <= self.bytes_max {
                    break;
                }
            }
            changed.await;
        }
        self.append(header, payload);
    }

    /// Appends a frame without payload, without waiting. False when even the room for those is full.
    fn push_small(&self, header: &Header) -> bool {
        if self.state.borrow().bytes > self.bytes_max + SMALL_BYTES_MAX {
            return false;
        }
        self.append(header, &[]);
        true
    }

    fn append(&self, header: &Header, payload: &[u8]) {
        let mut state = self.state.borrow_mut();
        if state.closed {
            return;
        }
        let mut frame = Vec::with_capacity(HEADER_BYTES + payload.len());
        frame.extend_from_slice(&header.encode());
        frame.extend_from_slice(payload);
        state.bytes += frame.len();
        state.frames.push_back(frame);
        drop(state);
        self.changed.notify_all();
    }

    /// The next bytes to write, as soon as there are any: one frame, and what fits behind it.
    async fn take(&self) -> Vec<u8> {
        loop {
            let changed = self.changed.notified();
            let taken = self.take_now();
            if let Some(frames) = taken {
                self.changed.notify_all();
                return frames;
            }
            changed.await;
        }
    }

    fn take_now(&self) -> Option<Vec<u8>> {
        let mut state = self.state.borrow_mut();
        let mut bytes = state.frames.pop_front()?;
        while let Some(next) = state.frames.front()
            && bytes.len() + next.len() <= WRITE_BYTES_MAX
        {
            bytes.extend_from_slice(next);
            state.frames.pop_front();
        }
        state.bytes -= bytes.len();
        Some(bytes)
    }

    fn close(&self) {
        let mut state = self.state.borrow_mut();
        state.closed = true;
        state.frames.clear();
        state.bytes = 0;
        drop(state);
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests;
