//! One simulated node, started as `torc serve` starts the real one.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use model::ring::ShardId;
use process::node::{Core, CoreOptions};
use router::{RouterOptions, Scheme};
use runtime::Runtime;
use runtime::sim::SimRuntime;
use runtime::sync::Notify;
use shard::ShardOptions;
use shard::node::Identity;

use super::swarm::Swarm;
use super::workload::PORT;

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
    let mut shard =
        ShardOptions::new(Path::new(DATA), identity, ShardId(rt.core().0), swarm.memory_bytes as usize);
    shard.log.segment_bytes = swarm.segment_bytes;
    shard.tree.memtable_bytes = (swarm.memory_bytes / 64) as usize;
    shard.disk_reserve_bytes = 0;
    let (data, router) = (Path::new(DATA).to_path_buf(), RouterOptions::default());
    let opened = Core::open(&rt, CoreOptions { data, shard, router, member: None }).await;
    let mut core = opened.map_err(|error| format!("shard {:?} does not open: {error}", rt.core()))?;
    let address = std::net::SocketAddr::from(([0, 0, 0, 0], PORT));
    let served = core.serve(&[(Scheme::Http, address)]).await;
    served.map_err(|error| format!("shard {:?} does not serve: {error}", rt.core()))?;
    core.ended().await.map_err(|error| format!("shard {:?} fails: {error}", rt.core()))
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
