//! What runs on a machine: a node's core, or a router's, until the machine loses power.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use model::map::Map;
use model::ring::ShardId;
use net::secret::Trust;
use process::front::Front;
use process::member::Membership;
use process::node::{Core, CoreOptions};
use process::peers::Peers;
use router::{RouterOptions, Scheme};
use runtime::sim::SimRuntime;
use runtime::sync::{Either, Notify, select};
use runtime::{Class, Purpose, Runtime};
use shard::ShardOptions;
use shard::node::Identity;

use super::{CLUSTER, Cluster, HTTP_PORT, PEER_PORT, Running};

/// Where a node's data lies.
pub const DATA: &str = "/data";

/// How often bounds are looked at.
const BOUNDS_PERIOD: Duration = Duration::from_millis(500);

/// What the cores of one start of a node tell each other.
#[derive(Default)]
pub struct Boot {
    membership: RefCell<Option<(Identity, Arc<Membership>)>>,
    known: Notify,
    drained: AtomicUsize,
    /// Cores that have ended cleanly.
    ended: Cell<usize>,
}

/// Runs one core of a node until it ends, or loses power.
pub async fn run_core(cluster: Cluster, index: usize, rt: SimRuntime, boot: Rc<Boot>) {
    match try_run_core(&cluster, index, &rt, &boot).await {
        Ok(()) => {
            boot.ended.set(boot.ended.get() + 1);
            if boot.ended.get() == cluster.plan().cores {
                cluster.inner.machines[index].stopped.notify_all();
            }
        }
        Err(why) => cluster.died(index, &why),
    }
}

async fn try_run_core(
    cluster: &Cluster,
    index: usize,
    rt: &SimRuntime,
    boot: &Rc<Boot>,
) -> Result<(), String> {
    let machine = &cluster.inner.machines[index];
    let stop = machine.stop.notified();
    let (identity, member) = membership(cluster, index, rt, boot).await?;
    let options = CoreOptions {
        data: Path::new(DATA).to_path_buf(),
        shard: shard_options(cluster, index, identity, ShardId(rt.core().0)),
        router: router_options(cluster),
        member: Some(member),
    };
    let opened = Core::open(rt, options).await;
    let mut core = opened.map_err(|error| format!("shard {} does not open: {error}", rt.core().0))?;
    let running = Running { rt: rt.clone(), shard: core.shard().clone() };
    machine.shards.borrow_mut().insert(rt.core().0, running);
    cluster.journal().count("shards opened");
    let _watcher =
        rt.spawn(Class::Background, watch(cluster.clone(), index, rt.clone(), core.shard().clone()));
    let address = std::net::SocketAddr::from(([0, 0, 0, 0], HTTP_PORT));
    let works = async {
        let served = core.serve(&[(Scheme::Http, address)]).await;
        served.map_err(|error| format!("shard {} does not serve: {error}", rt.core().0))?;
        core.ended().await.map_err(|error| format!("shard {} fails: {error}", rt.core().0))
    };
    match select(works, stop).await {
        Either::First(ended) => return ended,
        Either::Second(()) => {}
    }
    let stopped = core.stop(&boot.drained).await;
    machine.shards.borrow_mut().remove(&rt.core().0);
    stopped.map_err(|error| format!("shard {} does not close: {error}", rt.core().0))
}

/// Looks at leadership whenever it changes, and at bounds now and then.
async fn watch(cluster: Cluster, index: usize, rt: SimRuntime, shard: Rc<shard::Shard<SimRuntime>>) {
    let (operations_max, pending_bytes_max) = cluster.plan().bounds();
    loop {
        let changed = shard.leadership_changed();
        cluster.look(index, &shard);
        if let Either::Second(()) = select(changed, rt.sleep(BOUNDS_PERIOD)).await {
            cluster.watch().bounds(index, &shard, operations_max, pending_bytes_max);
        }
    }
}

/// Core 0 reads who the node is, or writes down what it was told; the others wait for that.
async fn membership(
    cluster: &Cluster,
    index: usize,
    rt: &SimRuntime,
    boot: &Boot,
) -> Result<(Identity, Arc<Membership>), String> {
    if rt.core().0 != 0 {
        loop {
            let known = boot.known.notified();
            if let Some((identity, member)) = &*boot.membership.borrow() {
                return Ok((*identity, member.clone()));
            }
            known.await;
        }
    }
    let (identity, map) = who(cluster, index, rt).await?;
    let machine = cluster.inner.machines[index].id;
    let cores = cluster.plan().cores as u16;
    let member = Arc::new(Membership {
        cluster: identity.cluster,
        node: cluster.node(index, identity.number, identity.node),
        start: rt.random(Purpose::Id),
        listens: (0..cores).map(|core| cluster.world().address(machine, PEER_PORT + core)).collect(),
        peers: Peers::new(Trust::Everybody, None),
        map,
        heard: Arc::new(AtomicBool::new(false)),
        begun: shard::node::has_begun(rt, Path::new(DATA)).await.map_err(|error| error.to_string())?,
        opened: Arc::default(),
    });
    *boot.membership.borrow_mut() = Some((identity, member.clone()));
    boot.known.notify_all();
    Ok((identity, member))
}

/// Who lives in the directory, and the map that it knew last.
async fn who(cluster: &Cluster, index: usize, rt: &SimRuntime) -> Result<(Identity, Vec<u8>), String> {
    let data = Path::new(DATA);
    let read = shard::node::read(rt, data).await.map_err(|error| error.to_string())?;
    if let Some(identity) = read {
        let known = shard::node::known(rt, data).await.map_err(|error| error.to_string())?;
        let map = known.ok_or("the directory of a member has no map")?;
        return Ok((identity, map.encode()));
    }
    let adoption = cluster.inner.machines[index].adoption.borrow().clone();
    let Some(adoption) = adoption else {
        // It waits for a cluster, for ever.
        cluster.journal().note(format!("node {index} belongs to no cluster, and waits"));
        return std::future::pending().await;
    };
    let map = Map::decode(&adoption.map).expect("it was made here");
    let identity = Identity {
        cluster: CLUSTER,
        node: adoption.id,
        number: adoption.number,
        shard_count: cluster.plan().cores as u16,
        vnode_count: u32::try_from(map.ring.len()).expect("vnodes are numbered"),
    };
    // The map first: with the block this directory is a member's, and needs it.
    shard::node::keep(rt, data, &map).await.map_err(|error| error.to_string())?;
    shard::node::found_as(rt, data, identity).await.map_err(|error| error.to_string())?;
    cluster.inner.machines[index].adoption.borrow_mut().take();
    Ok((identity, adoption.map))
}

/// A shard with small bounds, so that everything that happens at a bound does.
fn shard_options(cluster: &Cluster, index: usize, identity: Identity, shard: ShardId) -> ShardOptions {
    let plan = cluster.plan();
    let mut options = ShardOptions::new(Path::new(DATA), identity, shard, plan.memory_bytes);
    options.log.record_bytes_max = 64 << 10;
    options.log.batch_bytes = 32 << 10;
    options.log.segment_bytes = plan.segment_bytes;
    options.log.ahead_bytes = 256 << 10;
    options.log.piece_bytes = 64 << 10;
    options.log.buffered_bytes_max = 256 << 10;
    options.log.canary = plan.planted.log;
    // A start with other settings is a start like any other.
    let turn = cluster.inner.machines[index].starts.get();
    let factor = 1 + (cluster.dice().roll("settings", turn << 8 | index as u64) % 3) as usize;
    options.tree.memtable_bytes = plan.memtable_bytes * factor;
    options.tree.table_bytes = 64 << 10;
    // Small enough for levels in between, where tombstones have to stay.
    options.tree.level1_bytes = 24 << 10;
    options.tree.manifest_bytes = 64 << 10;
    options.tree.cache_bytes = 256 << 10;
    options.tree.canary = plan.planted.tree;
    options.disk_reserve_bytes = 0;
    (options.operations_max, options.pending_bytes_max) = plan.bounds();
    options.replication.tick = plan.tick;
    options.replication.election_ticks = plan.election_ticks;
    options.replication.tail_bytes_max = plan.tail_bytes_max;
    options.replication.image_part_bytes = plan.image_part_bytes;
    options.replication.canary = plan.planted.replication;
    options.replication.group_canary = plan.planted.group;
    let watcher = cluster.clone();
    options.replication.applied = Some(Rc::new(move |vnode, at, term, command: &[u8]| {
        watcher.watch().applied(index, vnode, at, term, command);
    }));
    let hearer = cluster.clone();
    options.report = Rc::new(move |line| hearer.hear(index, line));
    options
}

fn router_options(cluster: &Cluster) -> RouterOptions {
    RouterOptions { repeats_unknown: cluster.plan().planted.router_repeats, ..RouterOptions::default() }
}

/// Runs a router until it loses power.
pub async fn run_router(cluster: Cluster, rt: SimRuntime) {
    let mut front = Front::open(&rt, router_options(&cluster));
    let address = std::net::SocketAddr::from(([0, 0, 0, 0], HTTP_PORT));
    front.serve(&[(Scheme::Http, address)]).await.expect("nobody else listens there");
    let peers = Peers::new(Trust::Everybody, None);
    let _found = front.find(&cluster.seeds(), &peers, &OnceLock::new(), |_| ()).await;
    std::future::pending().await
}
