//! A network that delays, cuts and resets. Inside one connection bytes stay whole and in order, as in TCP.
//!
//! ```text
//! write_all ──> [under way: segments, each with its time of arrival] ──> [arrived] ──> read
//! ```
//!
//! - A segment whose link is cut is tried again and again, as TCP does; after `give_up` its sender's connection fails
//!   with a time-out. The other end hears nothing of that: half-open.
//! - A segment for a node that restarted, or for a stream that was dropped, is answered with a reset.
//! - Each node has one address, `10.1.x.y`; `127.0.0.1` is the node itself. Every core of a node may listen on the
//!   same port: connections are spread over them at random.

mod connection;
mod listener;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::{Rc, Weak};

pub use connection::SimStream;
pub use listener::SimListener;

use super::options::{Chance, NetworkFaults, Span};
use super::random::Stream;
use super::trace::Event;
use super::world::{Inner, NodeId};
use connection::Connection;
use listener::Backlog;

/// Ports of connecting sockets, and of listeners that ask for port 0, begin here.
const EPHEMERAL_PORT_FIRST: u16 = 32768;

pub(super) struct Network {
    faults: RefCell<NetworkFaults>,
    state: RefCell<State>,
    seed: u64,
    /// One stream per sending node.
    streams: RefCell<Vec<Stream>>,
}

#[derive(Default)]
struct State {
    listeners: BTreeMap<(NodeId, u16), Vec<Rc<Backlog>>>,
    connections: Vec<Weak<Connection>>,
    cuts: BTreeSet<(NodeId, NodeId)>,
    /// Ways that take longer than others, and how much.
    slow: BTreeMap<(NodeId, NodeId), u64>,
    ports_taken: u16,
}

pub(super) fn address_of(node: NodeId, port: u16) -> SocketAddr {
    let [high, low] = node.0.to_be_bytes();
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 1, high, low)), port)
}

/// The node that `address` means to a socket of node `from`.
fn node_of(address: SocketAddr, from: NodeId) -> Option<NodeId> {
    match address.ip() {
        ip if ip.is_loopback() || ip.is_unspecified() => Some(from),
        IpAddr::V4(ip) => match ip.octets() {
            [10, 1, high, low] => Some(NodeId(u16::from_be_bytes([high, low]))),
            _ => None,
        },
        IpAddr::V6(_) => None,
    }
}

impl Network {
    pub fn new(seed: u64, faults: NetworkFaults) -> Network {
        let (faults, state) = (RefCell::new(faults), RefCell::default());
        Network { faults, state, seed, streams: RefCell::default() }
    }

    pub fn set_faults(&self, faults: NetworkFaults) {
        *self.faults.borrow_mut() = faults;
    }

    /// Lets go of everything that could hold the world.
    pub fn clear(&self) {
        let state = std::mem::take(&mut *self.state.borrow_mut());
        drop(state);
    }

    fn with_stream<T>(&self, node: NodeId, draw: impl FnOnce(&mut Stream) -> T) -> T {
        let mut streams = self.streams.borrow_mut();
        while streams.len() <= usize::from(node.0) {
            let stream = Stream::new(self.seed, "network", streams.len() as u64);
            streams.push(stream);
        }
        draw(&mut streams[usize::from(node.0)])
    }

    /// How long a segment takes; three draws, whatever the faults are.
    fn delay(&self, from: NodeId, to: NodeId) -> u64 {
        let slow = self.state.borrow().slow.get(&(from, to)).copied().unwrap_or(0);
        let faults = self.faults.borrow();
        let span: Span = if from == to { faults.local_delay } else { faults.delay };
        self.with_stream(from, |stream| {
            let (ordinary, stall) = (stream.nanos(span), stream.nanos(faults.stall_time));
            let stalls = stream.happens(faults.stall) && from != to;
            slow + if stalls { ordinary + stall } else { ordinary }
        })
    }

    fn happens(&self, node: NodeId, chance: impl Fn(&NetworkFaults) -> Chance) -> bool {
        let chance = chance(&self.faults.borrow());
        self.with_stream(node, |stream| stream.happens(chance))
    }

    fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.state.borrow().cuts.contains(&(from, to))
    }

    fn ephemeral_port(&self) -> u16 {
        let mut state = self.state.borrow_mut();
        let port = EPHEMERAL_PORT_FIRST + state.ports_taken % (u16::MAX - EPHEMERAL_PORT_FIRST);
        state.ports_taken = state.ports_taken.wrapping_add(1);
        port
    }

    fn connections(&self) -> Vec<Rc<Connection>> {
        let mut state = self.state.borrow_mut();
        state.connections.retain(|connection| connection.strong_count() > 0);
        state.connections.iter().filter_map(Weak::upgrade).collect()
    }
}

impl Inner {
    fn network_event(&self, event: Event, from: NodeId, to: NodeId, size: usize) {
        let link = (u64::from(from.0) << 16) | u64::from(to.0);
        self.trace.record(self.executor.now(), event, link, size as u64);
    }

    /// Whether bytes may pass now: nobody cut the link, and the machine at its end has power.
    fn passes(&self, from: NodeId, to: NodeId) -> bool {
        !self.network.is_cut(from, to) && self.node(to).up.get()
    }

    pub(super) fn network_cut(&self, from: NodeId, to: NodeId) {
        self.network_event(Event::Link, from, to, 0);
        self.network.state.borrow_mut().cuts.insert((from, to));
    }

    pub(super) fn network_heal(&self, from: NodeId, to: NodeId) {
        self.network_event(Event::Link, from, to, 1);
        self.network.state.borrow_mut().cuts.remove(&(from, to));
    }

    pub(super) fn network_heal_all(&self) {
        self.network_event(Event::Link, NodeId(0), NodeId(0), 2);
        let mut state = self.network.state.borrow_mut();
        state.cuts.clear();
        state.slow.clear();
    }

    pub(super) fn network_slow(&self, from: NodeId, to: NodeId, nanos: u64) {
        self.network_event(Event::Link, from, to, 4);
        let slow = &mut self.network.state.borrow_mut().slow;
        match nanos {
            0 => _ = slow.remove(&(from, to)),
            nanos => _ = slow.insert((from, to), nanos),
        }
    }

    pub(super) fn network_reset(self: &Rc<Inner>, one: NodeId, other: NodeId) {
        self.network_event(Event::Link, one, other, 3);
        for connection in self.network.connections() {
            if connection.joins(one, other) {
                connection.fail_both(std::io::ErrorKind::ConnectionReset);
            }
        }
    }

    /// A node lost its power, or only its process: then its kernel resets its connections.
    pub(super) fn network_crash(self: &Rc<Inner>, node: NodeId) {
        let resets = self.network.happens(node, |faults| faults.crash_resets);
        let listeners = {
            let mut state = self.network.state.borrow_mut();
            let of_others = |(owner, _): &(NodeId, u16), _: &mut Vec<Rc<Backlog>>| *owner == node;
            state.listeners.extract_if(.., of_others).collect::<Vec<_>>()
        };
        drop(listeners);
        for connection in self.network.connections() {
            connection.lose_end(self, node, resets);
        }
    }
}
