//! One simulated node, wired as `torc serve` wires the real one: a mesh, a shard and a router on every core.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use model::map::Map;
use model::ring::ShardId;
use net::fabric::Fabric;
use net::map::MapCell;
use net::mesh::{Mesh, MeshOptions};
use router::{Router, RouterOptions};
use runtime::sim::SimRuntime;
use runtime::sync::Notify;
use runtime::{Class, Runtime};
use shard::node::Identity;
use shard::{Shard, ShardOptions};

use crate::swarm::Swarm;
use crate::workload::PORT;

/// Where the node's data lies on its simulated disk.
const DATA: &str = "/data";

/// Vnodes of a node, few enough that a small run touches all.
const VNODES: u32 = 6;

/// What the cores of one start of a node tell each other.
#[derive(Default)]
pub struct Start {
    identity: RefCell<Option<Identity>>,
    known: Notify,
    /// The first core's complaint that kept the node from starting or running.
    pub failure: RefCell<Option<String>>,
}

/// Runs one core of a node until the node crashes.
pub async fn run_core(rt: SimRuntime, swarm: Swarm, start: Rc<Start>) {
    if let Err(failure) = try_run_core(rt, swarm, &start).await {
        start.failure.borrow_mut().get_or_insert(failure);
    }
}

async fn try_run_core(rt: SimRuntime, swarm: Swarm, start: &Start) -> Result<(), String> {
    let identity = identity(&rt, &swarm, start).await?;
    let map = MapCell::new(Map::alone(identity.founding_ring()));
    let mesh = Mesh::new(rt.clone(), map.clone(), MeshOptions::default());
    let mesh_task = rt.spawn(Class::Foreground, {
        let mesh = mesh.clone();
        async move { mesh.run().await }
    });
    let mut options =
        ShardOptions::new(Path::new(DATA), identity, ShardId(rt.core().0), swarm.memory_bytes as usize);
    options.log.segment_bytes = swarm.segment_bytes;
    options.tree.memtable_bytes = (swarm.memory_bytes / 64) as usize;
    options.disk_reserve_bytes = 0;
    let opened = Shard::open(rt.clone(), options, mesh.clone()).await;
    let shard = opened.map_err(|error| format!("shard {:?} does not open: {error}", rt.core()))?;
    mesh.set_handler(shard.handler());
    let keeper = rt.spawn(Class::Foreground, {
        let shard = shard.clone();
        async move { shard.run().await }
    });
    map.at_least(1).await;
    let router = Router::new(rt.clone(), RouterOptions::default(), Fabric::alone(mesh.clone()), map);
    let address = std::net::SocketAddr::from(([0, 0, 0, 0], PORT));
    let listener = rt.listen(address).await.map_err(|error| format!("cannot listen: {error}"))?;
    let router_task = rt.spawn(Class::Foreground, async move { router.serve(listener).await });
    let outcome = keeper.await;
    drop((mesh_task, router_task));
    outcome.map_err(|error| format!("shard {:?} fails: {error}", rt.core()))
}

/// Core 0 reads or founds the node; the others wait for what it found.
async fn identity(rt: &SimRuntime, swarm: &Swarm, start: &Start) -> Result<Identity, String> {
    if rt.core().0 == 0 {
        let shards = u16::try_from(swarm.cores).expect("a swarm has few cores");
        let opened = shard::node::open(rt, Path::new(DATA), Some(shards), VNODES).await;
        let identity = opened.map_err(|error| format!("the node does not open: {error}"))?;
        *start.identity.borrow_mut() = Some(identity);
        start.known.notify_all();
        return Ok(identity);
    }
    loop {
        let known = start.known.notified();
        if let Some(identity) = *start.identity.borrow() {
            return Ok(identity);
        }
        known.await;
    }
}
