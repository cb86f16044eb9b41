//! Accepting, bounding and stopping: what the connections of one core share.
//!
//! 1. `serve` accepts until `Server::stop`; each connection is a task. Beyond `connections_max` it is closed at once. On a listener for HTTPS the task
//!    begins with a handshake, which has its time; their work is done one step after the other.
//! 2. Every connection has a `Place` with one deadline. One watcher looks at all of them, four times in the shortest
//!    timeout, and wakes those that are over: no timer is made for a request.
//! 3. Memory for bodies comes from one `Budget`; what it does not have is refused, not waited for.
//! 4. On stop the idle connections end at once, the others after the request that they are in. What is left when the
//!    drain time is over is dropped.
//!
//! Promises: when `serve` returns, no task of it runs any more.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use runtime::sync::{Either, Notify, Semaphore, join_all, select, timeout};
use runtime::tls::{Refused, TlsStream};
use runtime::{Class, Listener, Runtime, Stream, Task, Ticks};

use super::connection::Connection;
use super::intake::Limits;
use super::socket::Socket;
use crate::Router;

/// The bounds of one core's server.
#[derive(Clone, Copy, Debug)]
pub struct ServerOptions {
    /// How much one request may take.
    pub limits: Limits,
    /// Connections at once.
    pub connections_max: usize,
    /// Bytes of request buffers at once, over all connections, beyond the first few KiB of each.
    pub body_bytes_max: usize,
    /// From a request's first byte to the end of its header block.
    pub head_timeout: Duration,
    /// Between two requests; also for a client that does not take its answer.
    pub idle_timeout: Duration,
    /// Bytes a second at which a body must at least arrive, once `head_timeout` has passed.
    pub body_rate_min: usize,
    /// From a connection's beginning to the end of its TLS handshake.
    pub handshake_timeout: Duration,
    /// From `stop` to the end of the last request.
    pub drain_timeout: Duration,
}

impl Default for ServerOptions {
    fn default() -> ServerOptions {
        ServerOptions {
            limits: Limits { head_bytes_max: 16 << 10, body_bytes_max: model::limits::REQUEST_BYTES_MAX },
            connections_max: 4096,
            body_bytes_max: 64 << 20,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            body_rate_min: 64 << 10,
            handshake_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// What the connections of one core share.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) options: ServerOptions,
    pub(crate) budget: Budget,
    handshakes: Turns,
    places: RefCell<BTreeMap<u64, Rc<Place>>>,
    next_place: Cell<u64>,
    stopping: Cell<bool>,
    stop: Event,
    /// A connection has ended.
    left: Event,
}

/// A [`Notify`] that says in a debug print what it is.
#[derive(Default)]
pub(crate) struct Event(Notify);

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Event")
    }
}

/// The turn of handshakes: one works at a time.
struct Turns(Semaphore);

impl std::fmt::Debug for Turns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Turns")
    }
}

/// One connection as the others see it.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// When whatever it waits for is over; none while it waits for nothing of the client's.
    pub(crate) deadline: Cell<Option<Ticks>>,
    /// Look at deadline and stopping again.
    wake: Event,
    /// End now.
    abort: Event,
}

impl Place {
    /// Resolves when the deadline has passed or the server stops, and sometimes without reason.
    pub(crate) fn woken(&self) -> runtime::sync::Notified {
        self.wake.0.notified()
    }
}

/// Bytes that are left for requests.
#[derive(Debug)]
pub(crate) struct Budget {
    left: Cell<usize>,
    total: usize,
}

impl Budget {
    fn new(total: usize) -> Budget {
        Budget { left: Cell::new(total), total }
    }

    /// Takes `size` bytes, or says no.
    pub(crate) fn reserve(&self, size: usize) -> bool {
        match self.left.get().checked_sub(size) {
            Some(left) => {
                self.left.set(left);
                true
            }
            None => false,
        }
    }

    /// Gives them back.
    pub(crate) fn release(&self, size: usize) {
        self.left.set(self.left.get() + size);
        assert!(self.left.get() <= self.total, "no more is given back than was taken");
    }
}

impl Server {
    pub(crate) fn new(options: ServerOptions) -> Server {
        Server {
            options,
            budget: Budget::new(options.body_bytes_max),
            handshakes: Turns(Semaphore::new(1)),
            places: RefCell::default(),
            next_place: Cell::new(0),
            stopping: Cell::new(false),
            stop: Event::default(),
            left: Event::default(),
        }
    }

    /// Whether connections shall end after their present request.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Connections at present.
    pub(crate) fn connection_count(&self) -> usize {
        self.places.borrow().len()
    }

    /// Begins the end: see the module.
    pub(crate) fn stop(&self) {
        self.stopping.set(true);
        self.stop.0.notify_all();
        self.wake(|_| true);
    }

    fn wake(&self, which: impl Fn(&Place) -> bool) {
        let places: Vec<Rc<Place>> =
            self.places.borrow().values().filter(|place| which(place)).cloned().collect();
        places.iter().for_each(|place| place.wake.0.notify_all());
    }

    fn abort(&self) {
        let places: Vec<Rc<Place>> = self.places.borrow().values().cloned().collect();
        places.iter().for_each(|place| place.abort.0.notify_all());
    }

    fn enter(&self) -> (u64, Rc<Place>) {
        let (id, place) = (self.next_place.get(), Rc::new(Place::default()));
        self.next_place.set(id + 1);
        self.places.borrow_mut().insert(id, place.clone());
        (id, place)
    }

    fn leave(&self, id: u64) {
        self.places.borrow_mut().remove(&id).expect("a connection leaves once");
        self.left.0.notify_all();
    }

    /// Wakes connections whose deadline has passed; never ends.
    async fn watch<R: Runtime>(&self, rt: &R) {
        let period = self.options.head_timeout.min(self.options.idle_timeout) / 4;
        loop {
            rt.sleep(period).await;
            let now = rt.ticks();
            self.wake(|place| place.deadline.get().is_some_and(|deadline| deadline <= now));
        }
    }

    /// Waits for the connections to end, and ends them when the drain time is over.
    async fn drain<R: Runtime>(&self, rt: &R) {
        if let Either::Second(()) = select(self.emptied(), rt.sleep(self.options.drain_timeout)).await {
            self.abort();
            self.emptied().await;
        }
    }

    async fn emptied(&self) {
        loop {
            let left = self.left.0.notified();
            if self.connection_count() == 0 {
                return;
            }
            left.await;
        }
    }
}

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP in plain text.
    Http,
    /// HTTP inside of TLS, with the certificate that the router has.
    Https,
    /// No API: what the process tells of itself, in plain text.
    Metrics,
}

/// Accepts connections and talks to them until the router is stopped and the last one is gone.
pub(crate) async fn serve<R: Runtime>(router: Rc<Router<R>>, listeners: Vec<(Scheme, R::Listener)>) {
    let (rt, server) = (router.rt.clone(), router.server.clone());
    let watcher = rt.spawn(Class::Background, {
        let (rt, server) = (rt.clone(), server.clone());
        async move { server.watch(&rt).await }
    });
    join_all(listeners.iter().map(|(scheme, listener)| accept(&router, *scheme, listener))).await;
    drop(listeners);
    server.drain(&rt).await;
    drop(watcher);
}

async fn accept<R: Runtime>(router: &Rc<Router<R>>, scheme: Scheme, listener: &R::Listener) {
    let stop = router.server.stop.0.notified();
    if router.server.is_stopping() {
        return;
    }
    let accepting = async {
        loop {
            match listener.accept().await {
                Ok((stream, _))
                    if router.server.connection_count() < router.server.options.connections_max =>
                {
                    converse(router.clone(), scheme, stream);
                }
                Ok((stream, _)) => drop(stream),
                // Out of descriptors, or a client that was gone before it was accepted: others may still come.
                Err(_) => router.rt.sleep(Duration::from_millis(20)).await,
            }
        }
    };
    select(stop, accepting).await;
}

/// Starts the task of one connection. It ends by itself, by its deadline, or by `abort`.
fn converse<R: Runtime>(router: Rc<Router<R>>, scheme: Scheme, stream: R::Stream) {
    let (id, place) = router.server.enter();
    let rt = router.rt.clone();
    let task = async move {
        let server = router.server.clone();
        let abort = place.abort.0.notified();
        let talk = async {
            let socket = match scheme {
                Scheme::Http | Scheme::Metrics => Some(Socket::<R>::Plain(stream)),
                Scheme::Https => shake_hands(&router, stream).await,
            };
            if let Some(socket) = socket {
                Connection::new(router, scheme, socket, place.clone()).run().await;
            }
        };
        select(talk, abort).await;
        server.leave(id);
    };
    rt.spawn(Class::Foreground, task).detach();
}

/// What a client hears that speaks plain HTTP where HTTPS is spoken.
const SPEAK_TLS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nServer: Server\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 56\r\nConnection: close\r\n\r\nThis port speaks HTTPS: use https:// instead of http://\n";

/// A handshake within its time; nothing when it does not come about.
async fn shake_hands<R: Runtime>(router: &Rc<Router<R>>, stream: R::Stream) -> Option<Socket<R>> {
    let (rt, server) = (&router.rt, &router.server);
    let setup = router.tls()?;
    let shaking = async {
        match TlsStream::accept(stream, &setup, &server.handshakes.0).await {
            Ok(stream) => Some(Socket::<R>::Tls(Box::new(stream))),
            Err(Refused::PlainText(stream)) => {
                let _ = stream.write_all(SPEAK_TLS).await;
                let _ = stream.shutdown().await;
                None
            }
            // Whoever it was has been told by an alert, or is gone.
            Err(Refused::Failed(_)) => None,
        }
    };
    timeout(rt, server.options.handshake_timeout, shaking).await.ok().flatten()
}
