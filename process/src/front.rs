//! One core of a router that keeps nothing: DynamoDB's API in front of a cluster.
//!
//! 1. It answers from the first moment on: "try again", until it has a map; and so does the health text.
//! 2. Core 0 finds the cluster by any of the seeds, and follows the catalog's map for all cores. Clients are served once the catalog has been heard of, or
//!    given up on for now.
//! 3. Any number of routers may run, anywhere; one that stops takes nothing with it.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use model::map::Map;
use model::ring::Ring;
use net::map::MapCell;
use net::mesh::{Mesh, MeshOptions};
use net::watch::Who;
use router::{Router, RouterOptions, Scheme};
use runtime::sync::timeout;
use runtime::{Class, CoreId, Runtime};

use crate::StartError;
use crate::member::{first_news, follow};
use crate::metrics;
use crate::node::{DRAIN_TIME_MAX, serve_http};
use crate::outside::{NotFound, fabric, find_cluster, stranger};
use crate::peers::Peers;

/// When no seed has answered, they are asked again after this.
const SEEDS_PAUSE: Duration = Duration::from_millis(500);

/// How often a core looks whether core 0 has found the cluster.
const LOOK_PERIOD: Duration = Duration::from_millis(5);

/// Other cores have the first map within this, or the next one.
const SHARE_TIME_MAX: Duration = Duration::from_secs(1);

/// One core of a router. What runs for it ends when this is dropped.
pub struct Front<R: Runtime> {
    rt: R,
    mesh: Mesh<R>,
    router: Rc<Router<R>>,
    server: Option<R::Task<()>>,
    /// Carries the mesh's calls until the end.
    _carrier: R::Task<()>,
}

/// What was found; what runs for it ends with this.
pub struct Found<R: Runtime> {
    /// The cluster's id.
    pub cluster: u128,
    /// Nodes of its first map; none on other cores than the first.
    pub nodes: usize,
    _tasks: Vec<R::Task<()>>,
}

impl<R: Runtime> Front<R> {
    /// A router that belongs to no cluster yet.
    pub fn open(rt: &R, options: RouterOptions) -> Front<R> {
        // Version 0: the router says that it has no map yet.
        let map = MapCell::new(Map::alone(Ring::even(1, 1)));
        let mesh = Mesh::new(rt.clone(), map.clone(), MeshOptions::default());
        let carries = mesh.clone();
        let _carrier = rt.spawn(Class::Foreground, async move { carries.run().await });
        let router = Router::outside(rt.clone(), options, map);
        metrics::tell(rt, &mesh, &router, None);
        Front { rt: rt.clone(), mesh, router, server: None, _carrier }
    }

    /// This core's router.
    pub fn router(&self) -> &Rc<Router<R>> {
        &self.router
    }

    /// The map that it goes by.
    pub fn map(&self) -> &MapCell {
        self.mesh.map()
    }

    /// Answers clients on these addresses.
    pub async fn serve(&mut self, listens: &[(Scheme, SocketAddr)]) -> Result<(), StartError> {
        self.server = Some(serve_http(&self.rt, &self.router, listens).await?);
        Ok(())
    }

    /// Finds the cluster and begins to follow it. `cluster` is how core 0 tells the other cores which one it is; `complain` hears what the seeds say
    /// as long as none of them can be used.
    pub async fn find(
        &self,
        seeds: &[SocketAddr],
        peers: &Peers,
        cluster: &OnceLock<u128>,
        complain: impl Fn(&NotFound),
    ) -> Found<R> {
        let rt = &self.rt;
        if rt.core() != CoreId(0) {
            let cluster = loop {
                match cluster.get() {
                    Some(cluster) => break *cluster,
                    None => rt.sleep(LOOK_PERIOD).await,
                }
            };
            let (fabric, links) = fabric(rt, cluster, peers, self.mesh.map());
            self.router.join(fabric);
            return Found { cluster, nodes: 0, _tasks: vec![links] };
        }
        let (found, map) = loop {
            match find_cluster(rt, seeds, peers).await {
                Ok(found) => break found,
                Err(nobody) => complain(&nobody),
            }
            rt.sleep(SEEDS_PAUSE).await;
        };
        let (fabric, links) = fabric(rt, found, peers, self.mesh.map());
        let nodes = map.nodes.len();
        let _ = self.mesh.broadcast_map(Rc::new(map), rt.now().after(SHARE_TIME_MAX)).await;
        let who = Who { watcher: stranger(rt).node, node: None };
        let heard = Arc::new(AtomicBool::new(false));
        let follower = follow(rt, fabric.clone(), self.mesh.clone(), who, heard.clone());
        // The first map is of any node: tables may be missing in it that are there.
        first_news(rt, &heard).await;
        self.router.join(fabric);
        cluster.get_or_init(|| found);
        Found { cluster: found, nodes, _tasks: vec![links, follower] }
    }

    /// Ends in order: requests under way are answered, within a bound.
    pub async fn stop(self) {
        self.router.stop();
        if let Some(server) = self.server {
            // Whoever is not done by then is cut off: dropping the task closes its connections.
            let _ = timeout(&self.rt, DRAIN_TIME_MAX, server).await;
        }
    }
}
