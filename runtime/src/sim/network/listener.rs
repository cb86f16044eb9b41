//! Sockets that accept.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;

use super::{Network, SimStream, address_of, node_of};
use crate::sim::runtime::Here;
use crate::sim::world::NodeId;
use crate::sync::Notify;
use crate::{Listener, Stream};

/// Connections that wait to be accepted before more are refused.
const BACKLOG_MAX: usize = 1024;

pub(super) struct Backlog {
    here: Rc<Here>,
    waiting: RefCell<VecDeque<SimStream>>,
    changed: Notify,
}

impl Backlog {
    pub fn here(&self) -> &Rc<Here> {
        &self.here
    }

    pub fn push(&self, stream: SimStream) -> io::Result<()> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= BACKLOG_MAX {
            drop(waiting);
            return Err(io::Error::from(ErrorKind::ConnectionRefused));
        }
        waiting.push_back(stream);
        drop(waiting);
        self.changed.notify_all();
        Ok(())
    }
}

impl Network {
    /// One of the sockets that listen there, at random.
    pub(super) fn pick_listener(&self, node: NodeId, port: u16) -> Option<Rc<Backlog>> {
        let count = self.state.borrow().listeners.get(&(node, port)).map_or(0, Vec::len);
        let picked = self.with_stream(node, |stream| stream.index(count.max(1)));
        self.state.borrow().listeners.get(&(node, port))?.get(picked).cloned()
    }
}

/// A simulated socket that accepts.
pub struct SimListener {
    backlog: Rc<Backlog>,
    address: SocketAddr,
}

impl SimListener {
    pub(in crate::sim) fn bind(here: &Rc<Here>, address: SocketAddr) -> io::Result<SimListener> {
        let network = &here.world.network;
        if node_of(address, here.node.id) != Some(here.node.id) {
            return Err(io::Error::from(ErrorKind::AddrNotAvailable));
        }
        let port = if address.port() == 0 { network.ephemeral_port() } else { address.port() };
        let backlog =
            Rc::new(Backlog { here: here.clone(), waiting: RefCell::default(), changed: Notify::new() });
        let mut state = network.state.borrow_mut();
        let there = state.listeners.entry((here.node.id, port)).or_default();
        if there.iter().any(|other| other.here.core == here.core) {
            return Err(io::Error::from(ErrorKind::AddrInUse));
        }
        there.push(backlog.clone());
        Ok(SimListener { backlog, address: address_of(here.node.id, port) })
    }
}

impl Listener for SimListener {
    type Stream = SimStream;

    async fn accept(&self) -> io::Result<(SimStream, SocketAddr)> {
        loop {
            let changed = self.backlog.changed.notified();
            self.backlog.here.check_alive()?;
            let next = self.backlog.waiting.borrow_mut().pop_front();
            if let Some(stream) = next {
                let peer = stream.peer_address();
                return Ok((stream, peer));
            }
            changed.await;
        }
    }

    fn local_address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        let network = &self.backlog.here.world.network;
        let key = (self.backlog.here.node.id, self.address.port());
        let mut state = network.state.borrow_mut();
        if let Some(there) = state.listeners.get_mut(&key) {
            there.retain(|other| !Rc::ptr_eq(other, &self.backlog));
        }
        drop(state);
        let unaccepted = std::mem::take(&mut *self.backlog.waiting.borrow_mut());
        drop(unaccepted);
    }
}
