//! From a place to the shard that is there, wherever it is: the one thing that routers call through.
//!
//! ```text
//! call(place) --this core--> handler      --this node--> mailbox (mesh)      --another node--> session (links)
//! ```
//!
//! Promises: those of `mesh` and `links`: a call ends by its deadline; `Busy` and `NotServing` mean that it had no effect,
//! `Deadline` and `Closed` that nobody knows. Leaves to others: which place (the map), and whether to ask again (the router).

use crate::calls::CallError;
use crate::links::Links;
use crate::mesh::Mesh;
use model::ring::{NodeId, Place};
use runtime::{Mono, Runtime};
use std::rc::Rc;

/// One core's way to every shard. Cheap to clone; all clones are the same.
pub struct Fabric<R: Runtime> {
    inner: Rc<Inner<R>>,
}

impl<R: Runtime> Clone for Fabric<R> {
    fn clone(&self) -> Fabric<R> {
        Fabric { inner: self.inner.clone() }
    }
}

struct Inner<R: Runtime> {
    /// This node, and the way to its shards; none in a process without shards.
    here: Option<(NodeId, Mesh<R>)>,
    links: Option<Links<R>>,
}

impl<R: Runtime> Fabric<R> {
    /// Of a core of node `node`.
    pub fn new(node: NodeId, mesh: Mesh<R>, links: Links<R>) -> Fabric<R> {
        Fabric { inner: Rc::new(Inner { here: Some((node, mesh)), links: Some(links) }) }
    }

    /// Of a core of the only node, number 0: there are no others to reach.
    pub fn alone(mesh: Mesh<R>) -> Fabric<R> {
        Fabric { inner: Rc::new(Inner { here: Some((NodeId(0), mesh)), links: None }) }
    }

    /// Of a process that has no shards: every place is elsewhere.
    pub fn outside(links: Links<R>) -> Fabric<R> {
        Fabric { inner: Rc::new(Inner { here: None, links: Some(links) }) }
    }

    /// This node's number; none in a process without shards.
    pub fn node(&self) -> Option<NodeId> {
        self.inner.here.as_ref().map(|(node, _mesh)| *node)
    }

    /// The way to this node's shards, if there are any.
    pub fn mesh(&self) -> Option<&Mesh<R>> {
        self.inner.here.as_ref().map(|(_node, mesh)| mesh)
    }

    /// The ways to other nodes, if there may be any.
    pub fn links(&self) -> Option<&Links<R>> {
        self.inner.links.as_ref()
    }

    /// Asks the shard at `to` and waits for its reply, until `deadline`.
    pub async fn call(&self, to: Place, deadline: Mono, request: Vec<u8>) -> Result<Vec<u8>, CallError> {
        match (&self.inner.here, &self.inner.links) {
            (Some((node, mesh)), _) if *node == to.node => mesh.call(to.shard, deadline, request).await,
            // Boxed: beside the network it costs nothing, and calls within the process stay small.
            (_, Some(links)) => Box::pin(links.call(to, deadline, request)).await,
            (_, None) => Err(CallError::NotServing),
        }
    }
}

#[cfg(test)]
mod tests;
