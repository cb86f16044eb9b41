//! One connection: two ends, and a pipe in each direction.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::{address_of, node_of};
use crate::Stream;
use crate::sim::executor::Action;
use crate::sim::runtime::Here;
use crate::sim::trace::Event;
use crate::sim::world::{Inner, NodeId, nanos};
use crate::sync::Notify;

/// How often a segment on a cut link, or an attempt to connect, is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// The index of an end; the pipe with the same index carries what this end writes.
type EndIndex = usize;

pub(super) struct Connection {
    ends: [End; 2],
    pipes: [RefCell<Pipe>; 2],
}

struct End {
    here: Rc<Here>,
    address: SocketAddr,
    /// The program holds no stream for this end any more.
    dropped: Cell<bool>,
    error: Cell<Option<ErrorKind>>,
    /// Something has arrived, or will not any more.
    readable: Notify,
    /// There is room for more, or never will be.
    writable: Notify,
}

#[derive(Default)]
struct Pipe {
    under_way: VecDeque<Segment>,
    arrived: VecDeque<u8>,
    /// Bytes under way and arrived but not read.
    unread: usize,
    last_arrival: u64,
    end_sent: bool,
    end_arrived: bool,
    /// Since when the first segment has been waiting for its link.
    blocked_since: Option<u64>,
}

struct Segment {
    arrives: u64,
    bytes: Vec<u8>,
    is_end: bool,
}

impl End {
    fn new(here: Rc<Here>, address: SocketAddr) -> End {
        let (dropped, error) = (Cell::new(false), Cell::new(None));
        End { here, address, dropped, error, readable: Notify::new(), writable: Notify::new() }
    }

    fn node(&self) -> NodeId {
        self.here.node.id
    }

    fn fail(&self, kind: ErrorKind) {
        if self.error.get().is_none() {
            self.error.set(Some(kind));
        }
        self.readable.notify_all();
        self.writable.notify_all();
    }
}

impl Connection {
    pub fn joins(&self, one: NodeId, other: NodeId) -> bool {
        let (a, b) = (self.ends[0].node(), self.ends[1].node());
        (a, b) == (one, other) || (b, a) == (one, other)
    }

    /// Both ends fail, and what is under way is lost.
    pub fn fail_both(&self, kind: ErrorKind) {
        for (end, pipe) in self.ends.iter().zip(&self.pipes) {
            pipe.borrow_mut().under_way.clear();
            end.fail(kind);
        }
    }

    /// The node of one end crashed; with `reset`, its kernel still tells the other end.
    pub fn lose_end(self: &Rc<Connection>, world: &Rc<Inner>, node: NodeId, reset: bool) {
        for index in 0..2 {
            if self.ends[index].node() == node {
                self.ends[index].fail(ErrorKind::ConnectionAborted);
                self.ends[index].dropped.set(true);
                self.pipes[index].borrow_mut().under_way.clear();
                if reset {
                    self.send_reset(world, index);
                }
            }
        }
    }

    /// The end `from` tells the other end that there is no such connection any more. May get lost.
    fn send_reset(self: &Rc<Connection>, world: &Rc<Inner>, from: EndIndex) {
        let (sender, receiver) = (self.ends[from].node(), self.ends[1 - from].node());
        let after = world.network.delay(sender, receiver);
        let connection = self.clone();
        let arrive = move |world: &Rc<Inner>| {
            if world.passes(sender, receiver) {
                world.network_event(Event::Deliver, sender, receiver, usize::MAX);
                connection.ends[1 - from].fail(ErrorKind::ConnectionReset);
            }
        };
        world.executor.schedule(world.executor.now() + after, Action::Run(Box::new(arrive)));
    }

    /// Sends one segment on its way.
    fn send(self: &Rc<Connection>, from: EndIndex, mut bytes: Vec<u8>, is_end: bool) {
        let (sender, receiver) = (self.ends[from].node(), self.ends[1 - from].node());
        let world = &self.ends[from].here.world;
        world.network_event(Event::Send, sender, receiver, bytes.len());
        let delay = world.network.delay(sender, receiver);
        if world.network.happens(sender, |faults| faults.reset) && sender != receiver {
            self.fail_both(ErrorKind::ConnectionReset);
            return;
        }
        if world.network.happens(sender, |faults| faults.corrupt) && !bytes.is_empty() {
            let (at, bit) =
                world.network.with_stream(sender, |stream| (stream.index(bytes.len()), stream.below(8)));
            bytes[at] ^= 1 << bit;
        }
        let arrives = {
            let mut pipe = self.pipes[from].borrow_mut();
            let arrives = pipe.last_arrival.max(world.executor.now() + delay);
            pipe.last_arrival = arrives;
            pipe.unread += bytes.len();
            pipe.end_sent |= is_end;
            pipe.under_way.push_back(Segment { arrives, bytes, is_end });
            arrives
        };
        self.deliver_at(world, from, arrives);
    }

    fn deliver_at(self: &Rc<Connection>, world: &Rc<Inner>, from: EndIndex, at: u64) {
        let connection = self.clone();
        let run = move |world: &Rc<Inner>| connection.deliver(world, from);
        world.executor.schedule(at, Action::Run(Box::new(run)));
    }

    /// Hands over the segments that have had their time, if the link lets them pass.
    fn deliver(self: &Rc<Connection>, world: &Rc<Inner>, from: EndIndex) {
        let now = world.executor.now();
        let (sender, receiver) = (&self.ends[from], &self.ends[1 - from]);
        let mut pipe = self.pipes[from].borrow_mut();
        if pipe.under_way.front().is_none_or(|first| first.arrives > now) {
            return;
        }
        if !world.passes(sender.node(), receiver.node()) {
            drop(pipe);
            return self.wait_for_link(world, from);
        }
        pipe.blocked_since = None;
        if receiver.dropped.get() || !receiver.here.is_alive() {
            pipe.under_way.clear();
            drop(pipe);
            return self.send_reset(world, 1 - from);
        }
        while let Some(segment) = pipe.under_way.pop_front_if(|first| first.arrives <= now) {
            world.network_event(Event::Deliver, sender.node(), receiver.node(), segment.bytes.len());
            pipe.arrived.extend(segment.bytes);
            pipe.end_arrived |= segment.is_end;
        }
        drop(pipe);
        receiver.readable.notify_all();
    }

    /// Tries again later, or gives up: then the sender knows, and the receiver does not.
    fn wait_for_link(self: &Rc<Connection>, world: &Rc<Inner>, from: EndIndex) {
        let now = world.executor.now();
        let give_up = nanos(world.network.faults.borrow().give_up);
        let blocked_since = *self.pipes[from].borrow_mut().blocked_since.get_or_insert(now);
        if now - blocked_since >= give_up {
            self.pipes[from].borrow_mut().under_way.clear();
            self.ends[from].fail(ErrorKind::TimedOut);
            return;
        }
        let jitter = world.network.delay(self.ends[from].node(), self.ends[1 - from].node());
        let at = now + nanos(RETRY) + jitter;
        // Those behind the first have their own moment; they need not be tried before it.
        for segment in self.pipes[from].borrow_mut().under_way.iter_mut() {
            segment.arrives = segment.arrives.max(at);
        }
        self.pipes[from].borrow_mut().last_arrival = at;
        self.deliver_at(world, from, at);
    }
}

/// One end of a simulated connection.
pub struct SimStream {
    connection: Rc<Connection>,
    end: EndIndex,
}

impl SimStream {
    pub(in crate::sim) async fn connect(here: &Rc<Here>, address: SocketAddr) -> io::Result<SimStream> {
        let world = &here.world;
        let from = here.node.id;
        let to = node_of(address, from).filter(|to| usize::from(to.0) < world.nodes.borrow().len());
        let to = to.ok_or_else(|| io::Error::from_raw_os_error(libc::ENETUNREACH))?;
        let give_up = world.executor.now() + nanos(world.network.faults.borrow().give_up);
        loop {
            let there = world.executor.now() + world.network.delay(from, to);
            world.wait_until(there).await;
            here.check_alive()?;
            if world.passes(from, to) && world.passes(to, from) {
                break;
            }
            if world.executor.now() >= give_up {
                return Err(io::Error::from(ErrorKind::TimedOut));
            }
            world.wait_until(world.executor.now() + nanos(RETRY)).await;
        }
        let stream = SimStream::establish(here, to, address.port())?;
        world.wait_until(world.executor.now() + world.network.delay(to, from)).await;
        here.check_alive()?;
        Ok(stream)
    }

    /// The moment in which the listening node accepts: its program will find the other end in its backlog.
    fn establish(here: &Rc<Here>, to: NodeId, port: u16) -> io::Result<SimStream> {
        let world = &here.world;
        world.network_event(Event::Connect, here.node.id, to, usize::from(port));
        let refused = world.network.happens(to, |faults| faults.refuse);
        let backlog = world.network.pick_listener(to, port).filter(|_| !refused);
        let backlog = backlog.ok_or_else(|| io::Error::from(ErrorKind::ConnectionRefused))?;
        let caller = address_of(here.node.id, world.network.ephemeral_port());
        let ends = [End::new(here.clone(), caller), End::new(backlog.here().clone(), address_of(to, port))];
        let connection = Rc::new(Connection { ends, pipes: Default::default() });
        world.network.state.borrow_mut().connections.push(Rc::downgrade(&connection));
        let accepted = SimStream { connection: connection.clone(), end: 1 };
        backlog.push(accepted)?;
        Ok(SimStream { connection, end: 0 })
    }

    fn here(&self) -> &Rc<Here> {
        &self.end().here
    }

    fn end(&self) -> &End {
        &self.connection.ends[self.end]
    }

    fn check(&self) -> io::Result<()> {
        self.here().check_alive()?;
        self.end().error.get().map_or(Ok(()), |kind| Err(io::Error::from(kind)))
    }

    /// What has arrived, up to the buffer's size: `None` while the reader has to wait.
    fn take_arrived(&self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        let mut pipe = self.connection.pipes[1 - self.end].borrow_mut();
        if pipe.arrived.is_empty() {
            if pipe.end_arrived {
                return Some(Ok(0));
            }
            drop(pipe);
            return self.check().err().map(Err);
        }
        let network = &self.here().world.network;
        let mut size = buffer.len().min(pipe.arrived.len());
        let node = self.end().node();
        if network.happens(node, |faults| faults.short_read) {
            size = 1 + network.with_stream(node, |stream| stream.index(size));
        }
        let (first, second) = pipe.arrived.as_slices();
        let from_first = size.min(first.len());
        buffer[..from_first].copy_from_slice(&first[..from_first]);
        buffer[from_first..size].copy_from_slice(&second[..size - from_first]);
        pipe.arrived.drain(..size);
        pipe.unread -= size;
        drop(pipe);
        self.connection.ends[1 - self.end].writable.notify_all();
        Some(Ok(size))
    }

    fn room(&self) -> usize {
        let window = self.here().world.network.faults.borrow().window_bytes_max;
        window.saturating_sub(self.connection.pipes[self.end].borrow().unread)
    }
}

impl Stream for SimStream {
    async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let changed = self.end().readable.notified();
            self.here().check_alive()?;
            if let Some(done) = self.take_arrived(buffer) {
                return done;
            }
            changed.await;
        }
    }

    async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let changed = self.end().writable.notified();
            self.check()?;
            if self.connection.pipes[self.end].borrow().end_sent {
                return Err(io::Error::from(ErrorKind::BrokenPipe));
            }
            let size = rest.len().min(self.room());
            if size == 0 {
                changed.await;
                continue;
            }
            self.connection.send(self.end, rest[..size].to_vec(), false);
            rest = &rest[size..];
        }
        Ok(())
    }

    async fn shutdown(&self) -> io::Result<()> {
        self.check()?;
        if !self.connection.pipes[self.end].borrow().end_sent {
            self.connection.send(self.end, Vec::new(), true);
        }
        Ok(())
    }

    fn peer_address(&self) -> SocketAddr {
        self.connection.ends[1 - self.end].address
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        if self.end().dropped.replace(true) || !self.here().is_alive() {
            return;
        }
        let ended = self.connection.pipes[self.end].borrow().end_sent;
        if !ended && self.end().error.get().is_none() {
            self.connection.send(self.end, Vec::new(), true);
        }
    }
}
