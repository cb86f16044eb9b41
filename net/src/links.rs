//! The ways from this core to the cores of other nodes: sessions that are made when somebody wants them.
//!
//! ```text
//! call, tell --> link to a place --> session --> ...           serve <-- sessions that others made
//!                     \--none--> keeper: look the address up, connect, run; after a failure pause, longer each time
//! ```
//!
//! 1. There is one link for each place that somebody wanted to reach, or that connected. It uses whichever session is there, the newest first:
//!    one connection serves both directions, and two (when both ends connect at once) do no harm.
//! 2. Without a session, the first call or tell starts the link's keeper. It asks for the place's address anew at each attempt, so that a node that
//!    comes back under another address is found. The pause between attempts doubles up to `pause_max`, with jitter. Nobody wants it any more: it ends.
//! 3. A call waits for the attempt under way, for a moment, at most until its deadline. While the keeper pauses after a failed one, calls are refused at once:
//!    the caller does better to ask another replica. A tell never waits.
//! 4. Who says that it is a node must be that node, whichever end connected: the rule of `members` asks the map for its data directory's id and, inside of
//!    TLS, the certificate for its name.
//! 5. The end that was connected to learns from the hello who it is, and uses the session as its own. A place that has started anew ends the sessions of
//!    its older start: nobody waits for the silence.
//!
//! Promises: a call ends by its deadline (a little later, as with any sweeper); `Busy` and `NotServing` mean that it had no effect, `Deadline` and `Closed` that nobody
//! knows. Everything waits within a bound: calls, bytes, handshakes, sessions.
//! Leaves to others: where a place is (a function, over the map), what is said, and whether to ask again.

mod link;
pub mod members;

use crate::calls::CallError;
use crate::frame::Verdict;
use crate::mesh::Handler;
use crate::session::{
    Admission, Candidate, Receiver, Reception, Refusal, Session, SessionError, SessionOptions, Valve,
};
use link::{Link, Pause};
use model::ring::{NodeId, Place};
use runtime::sync::{Either, Notify, Semaphore, select, timeout};
use runtime::{Class, Listener, Mono, Runtime, Task};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

/// Where a place listens for other nodes now; none when nobody knows, or it is gone.
pub type Addresses = Rc<dyn Fn(Place) -> Option<SocketAddr>>;

/// After an error of the listener itself, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The bounds of a core's links.
#[derive(Clone, Debug)]
pub struct LinksOptions {
    /// Of each session.
    pub session: SessionOptions,
    /// Handshakes of connections that others made, at once; more wait to be accepted.
    pub handshakes_max: usize,
    /// Those of one IP address; more are closed. A node connects from each of its cores.
    pub handshakes_per_ip_max: usize,
    /// Sessions that others made, at once; more are refused.
    pub sessions_max: usize,
    /// Bytes of the calls that wait for one link's connection; more are refused as busy.
    pub waiting_bytes_max: usize,
    /// A call waits so long for an attempt to connect, then it is refused: the caller does better to ask another replica.
    pub wait_max: Duration,
    /// The pause after the first failed attempt to connect.
    pub pause_min: Duration,
    /// The longest pause.
    pub pause_max: Duration,
}

impl LinksOptions {
    /// The default bounds.
    pub fn new(session: SessionOptions) -> LinksOptions {
        LinksOptions {
            session,
            handshakes_max: 128,
            handshakes_per_ip_max: 48,
            sessions_max: 4096,
            waiting_bytes_max: 64 << 20,
            wait_max: Duration::from_millis(250),
            pause_min: Duration::from_millis(10),
            pause_max: Duration::from_secs(1),
        }
    }
}

/// What happens to links.
#[derive(Clone, Copy, Debug)]
pub enum LinkEvent<'a> {
    /// There is a session with that place; before, there was none.
    There(Place),
    /// There is none any more, or another attempt to make one failed, and why.
    Gone(Place, &'a SessionError),
    /// Somebody connected and was refused, or could not finish the handshake, and why.
    Refused(SocketAddr, &'a SessionError),
}

/// Decides on who says that it is a node: asked of who connects, and of who was connected to.
pub type Rule = Rc<dyn Fn(&Candidate<'_>) -> Verdict>;

/// Hears of [`LinkEvent`]s, at once; it must not wait.
pub type Watcher = Rc<dyn Fn(LinkEvent<'_>)>;

/// Which way frames are dropped, seen from this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// What comes from the other node.
    In,
    /// What goes to it.
    Out,
    /// Both.
    Both,
}

/// One core's links. Cheap to clone; all clones are the same.
pub struct Links<R: Runtime> {
    inner: Rc<Inner<R>>,
}

impl<R: Runtime> Clone for Links<R> {
    fn clone(&self) -> Links<R> {
        Links { inner: self.inner.clone() }
    }
}

struct Inner<R: Runtime> {
    rt: R,
    options: LinksOptions,
    addresses: Addresses,
    reception: Rc<Reception>,
    rule: RefCell<Option<Rule>>,
    watcher: RefCell<Option<Watcher>>,
    links: RefCell<BTreeMap<Place, Rc<Link<R>>>>,
    valves: RefCell<BTreeMap<NodeId, Rc<Valve>>>,
    handshakes: Semaphore,
    /// By the address that they come from; at most `handshakes_max` of them.
    handshakes_of: RefCell<BTreeMap<IpAddr, usize>>,
    /// Sessions that others made.
    accepted: Cell<usize>,
    stopped: Cell<bool>,
    stop: Notify,
}

impl<R: Runtime> Links<R> {
    /// Of this core; it makes no connection before somebody wants one.
    pub fn new(rt: R, options: LinksOptions, addresses: Addresses) -> Links<R> {
        assert!(options.handshakes_max > 0 && options.handshakes_per_ip_max > 0);
        assert!(options.pause_min > Duration::ZERO);
        let inner = Inner {
            handshakes: Semaphore::new(options.handshakes_max),
            rt,
            options,
            addresses,
            reception: Rc::new(Reception::new()),
            handshakes_of: RefCell::default(),
            rule: RefCell::default(),
            watcher: RefCell::default(),
            links: RefCell::default(),
            valves: RefCell::default(),
            accepted: Cell::new(0),
            stopped: Cell::new(false),
            stop: Notify::new(),
        };
        Links { inner: Rc::new(inner) }
    }

    /// Registers who answers requests of other nodes; before that they are answered with `NotServing`.
    pub fn set_handler(&self, handler: Handler) {
        self.inner.reception.set_handler(Some(handler));
    }

    /// Unregisters the handler.
    pub fn clear_handler(&self) {
        self.inner.reception.set_handler(None);
    }

    /// Registers who takes what other nodes tell; before that it is dropped.
    pub fn set_receiver(&self, receiver: Receiver) {
        self.inner.reception.set_receiver(Some(receiver));
    }

    /// Unregisters who takes what is told.
    pub fn clear_receiver(&self) {
        self.inner.reception.set_receiver(None);
    }

    /// Registers who hears of links that come and go.
    pub fn set_watcher(&self, watcher: Watcher) {
        *self.inner.watcher.borrow_mut() = Some(watcher);
    }

    /// Registers who decides on the other ends that know the secret; before that all are let in.
    pub fn set_rule(&self, rule: Rule) {
        *self.inner.rule.borrow_mut() = Some(rule);
    }

    /// Whether there is a session with `place`.
    pub fn is_there(&self, place: Place) -> bool {
        self.inner.links.borrow().get(&place).is_some_and(|link| link.session().is_some())
    }

    /// Asks another node's shard and waits for its reply, until `deadline`.
    pub async fn call(&self, to: Place, deadline: Mono, request: Vec<u8>) -> Result<Vec<u8>, CallError> {
        if let Some(session) = self.session(to) {
            return session.call(deadline, request).await;
        }
        // Boxed: seldom needed, and large.
        let session = Box::pin(self.wait_for(to, deadline, request.len())).await?;
        session.call(deadline, request).await
    }

    /// Tells another node's shard something, which nobody answers. Never waits. False when it was dropped: there is no session with it yet,
    /// or too much waits to be written. True does not mean that it arrives.
    pub fn tell(&self, to: Place, payload: Vec<u8>) -> bool {
        if let Some(session) = self.session(to) {
            return session.tell(payload);
        }
        self.want(to);
        false
    }

    /// Accepts connections of other nodes, until [`Links::stop`].
    pub async fn serve(&self, listener: R::Listener) {
        let inner = &self.inner;
        let stop = inner.stop.notified();
        if inner.stopped.get() {
            return;
        }
        let accept = async {
            loop {
                let turn = inner.handshakes.acquire(1).await;
                let Ok((stream, from)) = listener.accept().await else {
                    inner.rt.sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                let Some(counted) = self.count_handshake(from.ip()) else {
                    self.tell_watcher(LinkEvent::Refused(from, &Refusal::TooMany.into()));
                    continue;
                };
                let links = self.clone();
                let welcome = async move {
                    let begun = links.welcome(stream, from).await;
                    drop((turn, counted));
                    if let Some(session) = begun {
                        links.keep_accepted(session).await;
                    }
                };
                inner.rt.spawn(Class::Foreground, Box::pin(welcome)).detach();
            }
        };
        select(stop, accept).await;
    }

    /// Holds the links until [`Links::stop`]; when it ends or is dropped, so do all sessions and their calls.
    pub async fn run(&self) {
        let stop = self.inner.stop.notified();
        let _running = Running { links: self };
        if !self.inner.stopped.get() {
            stop.await;
        }
    }

    /// Ends all sessions, [`Links::serve`] and [`Links::run`]. Later calls are refused.
    pub fn stop(&self) {
        self.inner.stopped.set(true);
        self.inner.stop.notify_all();
        let links: Vec<Rc<Link<R>>> = self.inner.links.borrow().values().cloned().collect();
        for link in links {
            link.close(|_session| true);
            link.changed.notify_all();
        }
    }

    /// Drops what goes to `node` or comes from it, and closes nothing: a cut network, for tests of whole processes. Connections to and from
    /// it are not made either.
    pub fn cut(&self, node: NodeId, direction: Direction) {
        let valve = self.valve(node);
        if direction != Direction::In {
            valve.cut_out.set(true);
        }
        if direction != Direction::Out {
            valve.cut_in.set(true);
        }
    }

    /// Undoes all cuts of `node`. Sessions that lost frames end: no stream goes on with a hole in it.
    pub fn heal(&self, node: NodeId) {
        let valve = self.valve(node);
        valve.cut_in.set(false);
        valve.cut_out.set(false);
        let links = self.inner.links.borrow();
        let of_node: Vec<Rc<Link<R>>> =
            links.values().filter(|link| link.place.node == node).cloned().collect();
        drop(links);
        of_node.iter().for_each(|link| link.close(Session::has_lost_frames));
    }

    fn valve(&self, node: NodeId) -> Rc<Valve> {
        self.inner.valves.borrow_mut().entry(node).or_default().clone()
    }

    fn session(&self, to: Place) -> Option<Session<R>> {
        self.inner.links.borrow().get(&to)?.session()
    }

    /// The link to `to`, made when there is none. Links without a session and a keeper are forgotten, so there are not more
    /// than places that are wanted or there.
    fn link(&self, to: Place) -> Rc<Link<R>> {
        let mut links = self.inner.links.borrow_mut();
        links.entry(to).or_insert_with(|| Rc::new(Link::new(to))).clone()
    }

    fn forget(&self, link: &Rc<Link<R>>) {
        if link.is_idle() {
            self.inner.links.borrow_mut().remove(&link.place);
        }
    }

    fn tell_watcher(&self, event: LinkEvent<'_>) {
        let watcher = self.inner.watcher.borrow().clone();
        if let Some(watcher) = watcher {
            watcher(event);
        }
    }

    /// A session with `to`, once there is one; refused when the attempt under way fails, or when the time is over.
    async fn wait_for(&self, to: Place, deadline: Mono, size: usize) -> Result<Session<R>, CallError> {
        let Some(link) = self.want(to) else { return Err(CallError::NotServing) };
        let bytes = link.waiting_bytes.get();
        if bytes > 0 && bytes + size > self.inner.options.waiting_bytes_max {
            return Err(CallError::Busy);
        }
        let _waiting = link.wait(size);
        let until = deadline.min(self.inner.rt.now().after(self.inner.options.wait_max));
        loop {
            let changed = link.changed.notified();
            if let Some(session) = link.session() {
                return Ok(session);
            }
            let left = until.since(self.inner.rt.now());
            if link.failed.get() || !link.kept.get() || self.inner.stopped.get() || left.is_zero() {
                return Err(CallError::NotServing);
            }
            // What never left had no effect, also when the time is over.
            let _ = timeout(&self.inner.rt, left, changed).await;
        }
    }

    /// The link to `to`, and somebody who connects it; none when nobody knows where that is.
    fn want(&self, to: Place) -> Option<Rc<Link<R>>> {
        if self.inner.stopped.get() || (self.inner.addresses)(to).is_none() {
            return None;
        }
        let link = self.link(to);
        link.wanted.set(true);
        if !link.kept.replace(true) {
            let (links, link) = (self.clone(), link.clone());
            let keep = async move {
                Box::pin(links.keep(&link)).await;
                link.kept.set(false);
                link.failed.set(false);
                link.changed.notify_all();
                links.forget(&link);
            };
            self.inner.rt.spawn(Class::Foreground, keep).detach();
        }
        Some(link)
    }

    /// Connects, runs the session, and connects again for as long as somebody wants it.
    async fn keep(&self, link: &Rc<Link<R>>) {
        let options = &self.inner.options;
        let stop = || self.inner.stop.notified();
        let mut pause = Pause::new(options.pause_min, options.pause_max);
        while link.wanted.replace(false) && !self.inner.stopped.get() {
            match select(stop(), self.reach(link.place)).await {
                Either::First(()) => return,
                Either::Second(Ok(session)) => {
                    let since = self.inner.rt.now();
                    self.carry(link, &session).await;
                    if self.inner.rt.now().since(since) >= options.pause_max {
                        pause = Pause::new(options.pause_min, options.pause_max);
                        continue;
                    }
                }
                Either::Second(Err(error)) => {
                    link.failed.set(link.session().is_none());
                    link.changed.notify_all();
                    self.tell_watcher(LinkEvent::Gone(link.place, &error));
                }
            }
            select(stop(), self.inner.rt.sleep(pause.next(&self.inner.rt))).await;
            if link.session().is_some() {
                self.inner.rt.mark("the other end has connected meanwhile");
                return;
            }
        }
    }

    /// One attempt.
    async fn reach(&self, place: Place) -> Result<Session<R>, SessionError> {
        let inner = &self.inner;
        let options = inner.options.session.clone();
        let valve = self.valve(place.node);
        if valve.cut_in.get() || valve.cut_out.get() {
            inner.rt.sleep(options.handshake_max).await;
            return Err(SessionError::Silent);
        }
        let Some(address) = (inner.addresses)(place) else { return Err(SessionError::Ended) };
        let session = Session::connect(inner.rt.clone(), address, options, inner.reception.clone()).await?;
        let found = session.peer().place;
        if found != Some(place) {
            return Err(Refusal::Stranger { expected: place, found }.into());
        }
        let bears = |name: &str| session.bears(name);
        match self.judge(&Candidate::new(session.peer(), &bears)) {
            Verdict::Welcome => Ok(session),
            Verdict::NotCertified => Err(Refusal::NotCertified.into()),
            _ => Err(Refusal::Impostor(place).into()),
        }
    }

    fn judge(&self, candidate: &Candidate<'_>) -> Verdict {
        let rule = self.inner.rule.borrow().clone();
        rule.map_or(Verdict::Welcome, |rule| rule(candidate))
    }

    /// Counts a handshake with somebody at this address, until what this gives is dropped; none when that are too many.
    fn count_handshake(&self, from: IpAddr) -> Option<Counted<R>> {
        let mut all = self.inner.handshakes_of.borrow_mut();
        let count = all.entry(from).or_default();
        if *count >= self.inner.options.handshakes_per_ip_max {
            return None;
        }
        *count += 1;
        Some(Counted { links: self.clone(), from })
    }

    /// Shakes hands with who connected.
    async fn welcome(&self, stream: R::Stream, from: SocketAddr) -> Option<Session<R>> {
        let inner = &self.inner;
        let (options, reception) = (inner.options.session.clone(), inner.reception.clone());
        let links = self.clone();
        let admission: Admission = Rc::new(move |candidate| links.admit(candidate));
        let shake = Session::accept(inner.rt.clone(), stream, options, reception, &admission);
        match select(inner.stop.notified(), shake).await {
            Either::Second(Ok(session)) if !inner.stopped.get() => Some(session),
            Either::Second(Err(error)) => {
                self.tell_watcher(LinkEvent::Refused(from, &error));
                None
            }
            _ => None,
        }
    }

    fn admit(&self, candidate: &Candidate<'_>) -> Option<Verdict> {
        let is_cut = |place: Place| {
            let valve = self.valve(place.node);
            valve.cut_in.get() || valve.cut_out.get()
        };
        if candidate.hello.place.is_some_and(is_cut) {
            return None;
        }
        if self.inner.accepted.get() >= self.inner.options.sessions_max {
            return Some(Verdict::Full);
        }
        Some(self.judge(candidate))
    }

    /// Runs a session that another end made, to its end.
    async fn keep_accepted(&self, session: Session<R>) {
        let accepted = &self.inner.accepted;
        accepted.set(accepted.get() + 1);
        match session.peer().place {
            Some(place) => {
                let link = self.link(place);
                self.carry(&link, &session).await;
                self.forget(&link);
            }
            None => {
                select(self.inner.stop.notified(), session.run()).await;
            }
        }
        accepted.set(accepted.get() - 1);
    }

    /// Runs a session as one of its link's.
    async fn carry(&self, link: &Rc<Link<R>>, session: &Session<R>) {
        session.set_valve(self.valve(link.place.node));
        let start = session.peer().start;
        link.close(|other| other.peer().start != start);
        if link.add(session) {
            self.tell_watcher(LinkEvent::There(link.place));
        }
        let why = match select(self.inner.stop.notified(), session.run()).await {
            Either::First(()) => SessionError::Closed,
            Either::Second(why) => why,
        };
        if link.remove(session) {
            self.tell_watcher(LinkEvent::Gone(link.place, &why));
        }
    }
}

/// One handshake of those of an address.
struct Counted<R: Runtime> {
    links: Links<R>,
    from: IpAddr,
}

impl<R: Runtime> Drop for Counted<R> {
    fn drop(&mut self) {
        let mut all = self.links.inner.handshakes_of.borrow_mut();
        let count = all.get_mut(&self.from).expect("it was counted");
        *count -= 1;
        if *count == 0 {
            all.remove(&self.from);
        }
    }
}

/// While it lives, the links do; however that ends, no call is left waiting.
struct Running<'a, R: Runtime> {
    links: &'a Links<R>,
}

impl<R: Runtime> Drop for Running<'_, R> {
    fn drop(&mut self) {
        self.links.stop();
    }
}

#[cfg(test)]
mod tests;
