//! One core of a node: a mesh, links to other nodes if it has a cluster, a shard and a router.
//!
//! ```text
//! open --> mesh carries, peers may connect, the shard replays --> serve --> peers are answered, then clients --> ended | stop
//! ```

use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use model::map::Map;
use net::fabric::Fabric;
use net::links::Links;
use net::map::MapCell;
use net::mesh::{Mesh, MeshOptions};
use router::{Router, RouterOptions, Scheme};
use runtime::sync::timeout;
use runtime::{Class, Runtime};
use shard::{Shard, ShardOptions};

use crate::StartError;
use crate::member::{Membership, Tasks};
use crate::metrics;

/// Requests under way get this long to finish when the process stops.
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);

/// Leadership of this node's vnodes has so long to go to others.
const HAND_OVER_TIME_MAX: Duration = Duration::from_secs(3);

/// How often a core that is done looks for the others.
const DRAIN_PAUSE: Duration = Duration::from_millis(1);

/// What a core of a node runs with.
pub struct CoreOptions {
    /// The node's data directory.
    pub data: PathBuf,
    /// Its shard; how it reaches others is filled in here.
    pub shard: ShardOptions,
    /// Its router.
    pub router: RouterOptions,
    /// The node's part in a cluster; none for one that is alone.
    pub member: Option<Arc<Membership>>,
}

/// One core of a node. What runs for it ends when this is dropped.
pub struct Core<R: Runtime> {
    rt: R,
    data: PathBuf,
    map: MapCell,
    shard: Rc<Shard<R>>,
    router: Rc<Router<R>>,
    membership: Option<Arc<Membership>>,
    /// What keeps this node a part of its cluster, if it is.
    tasks: Option<Tasks<R>>,
    keeper: R::Task<Result<(), shard::Error>>,
    server: Option<R::Task<()>>,
    /// Carries the mesh's calls until the end.
    _carrier: R::Task<()>,
    _ways: Ways<R>,
}

/// The ways to the core's shard, on which it calls others itself: closed when this is dropped, or the two would keep each other for ever.
struct Ways<R: Runtime> {
    mesh: Mesh<R>,
    links: Option<Links<R>>,
}

impl<R: Runtime> Drop for Ways<R> {
    fn drop(&mut self) {
        self.mesh.clear_handler();
        if let Some(links) = &self.links {
            links.clear_handler();
            links.clear_receiver();
        }
    }
}

impl<R: Runtime> Core<R> {
    /// Opens the core's shard, and lets other nodes connect; nobody is answered yet.
    pub async fn open(rt: &R, options: CoreOptions) -> Result<Core<R>, StartError> {
        let CoreOptions { data, shard: mut shard_options, router, member } = options;
        let map = MapCell::new(match &member {
            Some(member) => member.map(),
            None => Map::alone(shard_options.identity.founding_ring()),
        });
        let mesh = Mesh::new(rt.clone(), map.clone(), MeshOptions::default());
        let carrier = rt.spawn(Class::Foreground, {
            let mesh = mesh.clone();
            async move { mesh.run().await }
        });
        let tasks = match &member {
            Some(member) => Some(member.connect(rt, &mesh, shard_options.report.clone()).await?),
            None => None,
        };
        let fabric = tasks.as_ref().map_or_else(|| Fabric::alone(mesh.clone()), Tasks::fabric);
        shard_options.wire = tasks.as_ref().map(Tasks::wire);
        shard_options.begun = member.as_ref().is_some_and(|member| member.begun);
        let ways = Ways { mesh: mesh.clone(), links: tasks.as_ref().map(Tasks::links) };
        let shard = Shard::open(rt.clone(), shard_options, mesh.clone()).await?;
        if let Some(member) = &member {
            member.opened.fetch_add(1, Ordering::SeqCst);
        }
        mesh.set_handler(shard.handler());
        let keeper = rt.spawn(Class::Foreground, {
            let shard = shard.clone();
            async move { shard.run().await }
        });
        let router = Router::new(rt.clone(), router, fabric, map.clone());
        metrics::tell(rt, &mesh, &router, Some(&shard));
        let rt = rt.clone();
        Ok(Core {
            rt,
            data,
            map,
            shard,
            router,
            membership: member,
            tasks,
            keeper,
            server: None,
            _carrier: carrier,
            _ways: ways,
        })
    }

    /// Answers other nodes; and clients, on these addresses, as soon as the catalog has been heard of.
    pub async fn serve(&mut self, listens: &[(Scheme, SocketAddr)]) -> Result<(), StartError> {
        match (&self.membership, &mut self.tasks) {
            (Some(member), Some(tasks)) => {
                member.begin(&self.rt, tasks, &self.shard, &self.router, &self.data).await;
            }
            // Until the catalog has spoken nobody knows which tables there are, and an answer would be a lie.
            _ => drop(self.map.at_least(1).await),
        }
        self.server = Some(serve_http(&self.rt, &self.router, listens).await?);
        Ok(())
    }

    /// This core's shard.
    pub fn shard(&self) -> &Rc<Shard<R>> {
        &self.shard
    }

    /// This core's router.
    pub fn router(&self) -> &Rc<Router<R>> {
        &self.router
    }

    /// What it does for its cluster, if it has one.
    pub fn member(&self) -> Option<&Tasks<R>> {
        self.tasks.as_ref()
    }

    /// Resolves when the shard cannot go on: the process must stop. By reference, because the shard has to go on until it is closed.
    pub async fn ended(&mut self) -> Result<(), shard::Error> {
        (&mut self.keeper).await
    }

    /// Ends in order. `drained` counts the cores of the node whose routers have answered their last request: a shard closes when no router asks
    /// it any more, those of the other cores included; within a bound.
    pub async fn stop(self, drained: &AtomicUsize) -> Result<(), shard::Error> {
        if self.tasks.is_some() {
            // Others lead from now on, while this node still answers and redirects.
            self.shard.hand_over_all(HAND_OVER_TIME_MAX).await;
        }
        self.router.stop();
        if let Some(server) = self.server {
            // Whoever is not done by then is cut off: dropping the task closes its connections.
            let _ = timeout(&self.rt, DRAIN_TIME_MAX, server).await;
        }
        wait_for_other_routers(&self.rt, drained).await;
        if let Some(tasks) = &self.tasks {
            tasks.leave(&self.rt, &self.shard).await;
        }
        self.shard.close().await
    }
}

/// Listens on every address and answers requests from there.
pub(crate) async fn serve_http<R: Runtime>(
    rt: &R,
    router: &Rc<Router<R>>,
    listens: &[(Scheme, SocketAddr)],
) -> Result<R::Task<()>, StartError> {
    let mut listeners = Vec::new();
    for (scheme, address) in listens {
        let listening = rt.listen(*address).await;
        let listening = listening.map_err(|source| StartError::Listen { address: *address, source })?;
        listeners.push((*scheme, listening));
    }
    let router = router.clone();
    Ok(rt.spawn(Class::Foreground, async move { router.serve_all(listeners).await }))
}

async fn wait_for_other_routers<R: Runtime>(rt: &R, drained: &AtomicUsize) {
    drained.fetch_add(1, Ordering::SeqCst);
    let began = rt.now();
    while drained.load(Ordering::SeqCst) < rt.core_count() && rt.now().since(began) < DRAIN_TIME_MAX {
        rt.sleep(DRAIN_PAUSE).await;
    }
}
