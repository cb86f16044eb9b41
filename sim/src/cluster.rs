//! A whole cluster in a world: nodes, routers, and the hand that starts them, stops them and takes their power away.
//!
//! ```text
//! machines:  node-0 node-1 node-2 ... (spares)   router-0 ...   clients   operator
//! ```
//!
//! 1. A node is started by `process::node::Core`, a router by `process::front::Front`: the code of `torc node` and `torc router`.
//! 2. Who a node is comes from its disk, as in a real one. A node whose disk knows nothing is told where it belongs, once; after that nobody helps it.
//! 3. A process that ends by itself is started again after a while, as an init system would do it. Without a fault that explains it, it is a failure of the run.

mod machine;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use model::map::Map;
use model::node::{Node, NodeState};
use model::placement;
use model::ring::{NodeId as Number, VnodeId};
use runtime::sim::{Control, NodeId, SimRuntime};
use runtime::sync::{Notify, oneshot};
use runtime::{Class, Runtime, Task};
use shard::Shard;

use crate::journal::Journal;
use crate::plan::{Dice, Plan};
use crate::said::{self, Harm};
use crate::watch::Watch;

/// The port on which nodes serve clients.
pub const HTTP_PORT: u16 = 8000;

/// The port on which shard 0 of a node listens for other nodes; the others take the following ones.
pub const PEER_PORT: u16 = 7000;

/// The cluster's id.
const CLUSTER: u128 = 0x70CC;

/// Power comes back this long after a process has ended by itself.
const RESTART_PAUSE: Duration = Duration::from_millis(200);

/// A cluster. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Cluster {
    inner: Rc<Inner>,
}

struct Inner {
    world: Control,
    plan: Plan,
    dice: Dice,
    journal: Journal,
    watch: Watch,
    /// Nodes, those that may join later included.
    machines: Vec<Machine>,
    routers: Vec<NodeId>,
    clients: NodeId,
    operator: NodeId,
    /// Vnodes that two think they lead.
    contested: RefCell<BTreeSet<VnodeId>>,
    /// Ways that are cut, with how many cuts each is.
    cuts: RefCell<BTreeMap<(NodeId, NodeId), u32>>,
}

/// One machine of a node.
struct Machine {
    id: NodeId,
    /// What the cluster told it, for a disk that knows nothing.
    adoption: RefCell<Option<Adoption>>,
    /// The shards that are open, by core.
    shards: RefCell<BTreeMap<u16, Running>>,
    /// How many reasons there are for it to be down.
    holds: Cell<u32>,
    /// What was done to it that explains what it says, and that its process ends.
    harms: RefCell<BTreeSet<Harm>>,
    /// It was taken away for good.
    is_retired: Cell<bool>,
    /// Counts starts.
    starts: Cell<u64>,
    /// The process shall end cleanly.
    stop: Notify,
    /// It has ended cleanly.
    stopped: Notify,
    pauses: Cell<u32>,
    /// Lines that it has said.
    said: RefCell<BTreeSet<String>>,
}

#[derive(Clone)]
struct Running {
    rt: SimRuntime,
    shard: Rc<Shard<SimRuntime>>,
}

/// What a node is told that belongs to no cluster yet.
#[derive(Clone)]
struct Adoption {
    number: Number,
    id: u128,
    map: Vec<u8>,
}

impl Cluster {
    /// A cluster of nodes that are all down.
    pub fn new(world: &Control, plan: &Plan) -> Cluster {
        let machine = |index: usize| Machine {
            id: world.node(&format!("node-{index}")),
            adoption: RefCell::default(),
            shards: RefCell::default(),
            holds: Cell::new(0),
            harms: RefCell::default(),
            is_retired: Cell::new(false),
            starts: Cell::new(0),
            stop: Notify::new(),
            stopped: Notify::new(),
            pauses: Cell::new(0),
            said: RefCell::default(),
        };
        let machines: Vec<Machine> = (0..plan.machines()).map(machine).collect();
        let routers = (0..plan.routers).map(|index| world.node(&format!("router-{index}"))).collect();
        let inner = Inner {
            world: world.clone(),
            plan: plan.clone(),
            dice: Dice::new(plan.seed ^ 0xC1),
            journal: Journal::new(world, plan.trace),
            watch: Watch::default(),
            machines,
            routers,
            clients: world.node("clients"),
            operator: world.node("operator"),
            contested: RefCell::default(),
            cuts: RefCell::default(),
        };
        inner.watch.is_beyond.set(plan.is_beyond);
        Cluster { inner: Rc::new(inner) }
    }

    /// Lets all shards go. They know the cluster, so a cluster that keeps them lives for ever.
    pub fn let_go(&self) {
        for machine in &self.inner.machines {
            let shards = std::mem::take(&mut *machine.shards.borrow_mut());
            drop(shards);
        }
    }

    /// The world.
    pub fn world(&self) -> &Control {
        &self.inner.world
    }

    /// What was decided.
    pub fn plan(&self) -> &Plan {
        &self.inner.plan
    }

    /// The diary.
    pub fn journal(&self) -> &Journal {
        &self.inner.journal
    }

    /// The watcher.
    pub fn watch(&self) -> &Watch {
        &self.inner.watch
    }

    /// Numbers of the run itself.
    pub fn dice(&self) -> Dice {
        self.inner.dice
    }

    /// Where clients live.
    pub fn client_runtime(&self) -> SimRuntime {
        self.inner.world.runtime(self.inner.clients)
    }

    /// Where who operates the cluster lives.
    pub fn operator_runtime(&self) -> SimRuntime {
        self.inner.world.runtime(self.inner.operator)
    }

    /// Where clients find DynamoDB's API: routers first, then nodes.
    pub fn endpoints(&self) -> Vec<SocketAddr> {
        let routers = self.inner.routers.iter().copied();
        let nodes = self.inner.machines[..self.inner.plan.nodes].iter().map(|machine| machine.id);
        routers.chain(nodes).map(|id| self.inner.world.address(id, HTTP_PORT)).collect()
    }

    /// Where the nodes listen for others.
    pub fn seeds(&self) -> Vec<SocketAddr> {
        let nodes = self.inner.machines[..self.inner.plan.nodes].iter();
        nodes.map(|machine| self.inner.world.address(machine.id, PEER_PORT)).collect()
    }

    /// A node as it presents itself.
    pub fn node(&self, index: usize, number: Number, id: u128) -> Node {
        let machine = self.inner.machines[index].id;
        let peers =
            (0..self.inner.plan.cores as u16).map(|core| self.inner.world.address(machine, PEER_PORT + core));
        Node {
            number,
            id,
            name: format!("node-{index}"),
            zone: format!("zone-{}", index % self.inner.plan.zones),
            addresses: peers.collect(),
            http: Some(self.inner.world.address(machine, HTTP_PORT)),
            state: NodeState::Active,
        }
    }

    /// The id that a node's directory is founded with.
    pub fn id_of(&self, index: usize) -> u128 {
        (u128::from(self.inner.dice.roll("node id", index as u64)) << 64) | (index as u128 + 1)
    }

    /// Lays out the ring for the founding nodes, tells each of them, and starts everything.
    pub fn found(&self) {
        let nodes: Vec<Node> = (0..self.inner.plan.nodes)
            .map(|index| self.node(index, Number(index as u16 + 1), self.id_of(index)))
            .collect();
        let founding = placement::found(&nodes, self.inner.plan.vnodes);
        let nodes = nodes.into_iter().map(|node| (node.number, Rc::new(node))).collect();
        let map = Map {
            version: 1,
            ring: founding.ring,
            catalog: founding.catalog,
            nodes,
            tables: BTreeMap::new(),
        };
        for index in 0..self.inner.plan.nodes {
            self.adopt(index, Number(index as u16 + 1), map.encode());
            self.start(index);
        }
        for router in 0..self.inner.routers.len() {
            self.start_router(router);
        }
    }

    /// What a node is to be told when it starts with a disk that knows nothing.
    pub fn adopt(&self, index: usize, number: Number, map: Vec<u8>) {
        let adoption = Adoption { number, id: self.id_of(index), map };
        *self.inner.machines[index].adoption.borrow_mut() = Some(adoption);
    }

    /// Starts a node that never ran.
    pub fn begin(&self, index: usize) {
        if self.inner.machines[index].holds.get() == 0 {
            self.start(index);
        }
    }

    fn start(&self, index: usize) {
        let machine = &self.inner.machines[index];
        if machine.is_retired.get() {
            return;
        }
        machine.starts.set(machine.starts.get() + 1);
        self.inner.journal.note(format!("node {index} starts"));
        let boot = Rc::new(machine::Boot::default());
        let cluster = self.clone();
        self.inner.world.start(machine.id, self.inner.plan.cores, move |rt| {
            let (cluster, boot) = (cluster.clone(), boot.clone());
            async move { machine::run_core(cluster, index, rt, boot).await }
        });
    }

    fn start_router(&self, router: usize) {
        let cluster = self.clone();
        self.inner.world.start(self.inner.routers[router], 1, move |rt| {
            let cluster = cluster.clone();
            async move { machine::run_router(cluster, rt).await }
        });
    }

    /// Power off, until `release`.
    pub fn crash(&self, index: usize) {
        let machine = &self.inner.machines[index];
        machine.holds.set(machine.holds.get() + 1);
        self.cut_power(index);
    }

    fn cut_power(&self, index: usize) {
        let machine = &self.inner.machines[index];
        if self.inner.world.is_up(machine.id) {
            self.inner.journal.note(format!("node {index} loses power"));
            self.inner.journal.count("crashes");
        }
        let gone = std::mem::take(&mut *machine.shards.borrow_mut());
        self.inner.world.crash(machine.id);
        drop(gone);
        machine.stopped.notify_all();
    }

    /// One reason less for a node to be down; without any it starts.
    pub fn release(&self, index: usize) {
        let machine = &self.inner.machines[index];
        // Healing takes all holds away, also those of who releases later.
        machine.holds.set(machine.holds.get().saturating_sub(1));
        if machine.holds.get() == 0 && !self.inner.world.is_up(machine.id) {
            self.start(index);
        }
    }

    /// Asks a node to stop cleanly, and holds it down then; power off when it does not within `patience`.
    pub async fn stop(&self, index: usize, patience: Duration) {
        let machine = &self.inner.machines[index];
        machine.holds.set(machine.holds.get() + 1);
        if !self.inner.world.is_up(machine.id) {
            return;
        }
        self.inner.journal.note(format!("node {index} is asked to stop"));
        self.harm(index, Harm::Stopped);
        let stopped = machine.stopped.notified();
        machine.stop.notify_all();
        let waited = runtime::sync::select(stopped, self.inner.world.sleep(patience)).await;
        let is_clean = matches!(waited, runtime::sync::Either::First(()));
        self.inner.journal.count(if is_clean { "clean stops" } else { "stops that took too long" });
        self.cut_power(index);
    }

    /// A process has ended by itself.
    fn died(&self, index: usize, why: &str) {
        let machine = &self.inner.machines[index];
        self.inner.journal.note(format!("node {index} ends: {why}"));
        // A process cannot even end cleanly without room for what it has in memory; its log has that.
        if !said::is_explained(why, &machine.harms.borrow()) {
            self.inner.watch.broken(format!("node {index} ends, and no fault explains it: {why}"));
        }
        self.inner.journal.count("processes that ended");
        self.crash(index);
        let cluster = self.clone();
        self.inner
            .world
            .spawn(async move {
                cluster.world().sleep(RESTART_PAUSE).await;
                cluster.release(index);
            })
            .detach();
    }

    /// A node that is down loses what its shards have. Who it is, it still knows.
    pub fn lose_shards(&self, index: usize) {
        let machine = &self.inner.machines[index];
        assert!(!self.inner.world.is_up(machine.id), "a running node's disk is not replaced");
        let disk = self.inner.world.disk(machine.id);
        for (path, _) in disk.files() {
            if path.starts_with(machine::DATA) && path.components().count() > 3 {
                disk.remove_file(path);
            }
        }
        self.harm(index, Harm::LostShards);
        self.inner.journal.note(format!("node {index} has lost what its shards had"));
    }

    /// Whether something has happened to a node's disk after which its replicas need not be there any more.
    pub fn may_lack_data(&self, index: usize) -> bool {
        let harms = self.inner.machines[index].harms.borrow();
        harms.contains(&Harm::LostShards) || harms.contains(&Harm::Lying)
    }

    /// Takes a node away for good, as operators do whose disk cannot be trusted.
    fn retire(&self, index: usize) {
        self.inner.machines[index].is_retired.set(true);
        self.inner.journal.note(format!("node {index} is taken away for good"));
        self.inner.journal.count("nodes taken away for good");
        self.cut_power(index);
    }

    /// Whether an endpoint is there at all; they are counted as in [`Cluster::endpoints`].
    pub fn is_endpoint(&self, endpoint: usize) -> bool {
        let node = endpoint.checked_sub(self.inner.routers.len());
        node.is_none_or(|node| !self.inner.machines[node].is_retired.get())
    }

    /// From now on this explains what a node says, and that its process ends.
    pub fn harm(&self, index: usize, harm: Harm) {
        self.inner.machines[index].harms.borrow_mut().insert(harm);
    }

    /// No task of a node runs, until as many calls of `resume`.
    pub fn pause(&self, index: usize) {
        let machine = &self.inner.machines[index];
        machine.pauses.set(machine.pauses.get() + 1);
        self.inner.world.pause(machine.id);
    }

    /// Ends a pause.
    pub fn resume(&self, index: usize) {
        let machine = &self.inner.machines[index];
        machine.pauses.set(machine.pauses.get() - 1);
        if machine.pauses.get() == 0 {
            self.inner.world.resume(machine.id);
        }
    }

    /// The machine of a node.
    pub fn machine(&self, index: usize) -> NodeId {
        self.inner.machines[index].id
    }

    /// The machine of a router.
    pub fn router(&self, index: usize) -> NodeId {
        self.inner.routers[index]
    }

    /// All machines that are not this node's.
    pub fn others(&self, index: usize) -> Vec<NodeId> {
        let own = self.machine(index);
        let nodes = self.inner.machines.iter().map(|machine| machine.id);
        let rest = [self.inner.clients, self.inner.operator];
        nodes.chain(self.inner.routers.iter().copied()).chain(rest).filter(|id| *id != own).collect()
    }

    /// Cuts one way, until as many calls of `mend`.
    pub fn cut(&self, from: NodeId, to: NodeId) {
        let mut cuts = self.inner.cuts.borrow_mut();
        let count = cuts.entry((from, to)).or_default();
        *count += 1;
        if *count == 1 {
            self.inner.world.cut_one_way(from, to);
        }
    }

    /// Mends one cut of one way.
    pub fn mend(&self, from: NodeId, to: NodeId) {
        let mut cuts = self.inner.cuts.borrow_mut();
        let count = cuts.get_mut(&(from, to)).expect("who mends has cut");
        *count -= 1;
        if *count == 0 {
            cuts.remove(&(from, to));
            self.inner.world.heal_one_way(from, to);
        }
    }

    /// Whether a node's shards are all open.
    pub fn is_open(&self, index: usize) -> bool {
        self.inner.machines[index].shards.borrow().len() == self.inner.plan.cores
    }

    /// The open shards of a node.
    pub fn shards(&self, index: usize) -> Vec<Rc<Shard<SimRuntime>>> {
        self.inner.machines[index].shards.borrow().values().map(|running| running.shard.clone()).collect()
    }

    /// The node that leads a vnode in the newest term, with everything applied.
    pub fn leader(&self, vnode: VnodeId) -> Option<usize> {
        let of_node = |index: usize| {
            let terms = self.shards(index).into_iter().filter_map(|shard| shard.leads(vnode));
            terms.max().map(|term| (term, index))
        };
        (0..self.inner.machines.len()).filter_map(of_node).max().map(|(_, index)| index)
    }

    /// A vnode of which a replica waits for an image, and the node that leads it. The catalog comes last: its image is small.
    pub fn offering(&self) -> Option<(VnodeId, usize)> {
        let shards: Vec<_> = (0..self.inner.machines.len()).flat_map(|index| self.shards(index)).collect();
        let is_wanted = |vnode: &VnodeId| shards.iter().any(|shard| shard.is_installing(*vnode));
        let vnodes = (0..=self.inner.plan.vnodes).rev().map(VnodeId);
        vnodes.filter(is_wanted).find_map(|vnode| Some((vnode, self.leader(vnode)?)))
    }

    /// Leadership may have changed on a shard of a node. As long as two think that they lead the same vnode, every instant is looked at.
    fn look(&self, index: usize, shard: &Shard<SimRuntime>) {
        let inner = &self.inner;
        let vnodes = || (0..=inner.plan.vnodes).map(VnodeId);
        inner.watch.look(index, shard, inner.plan.vnodes);
        let mut contested = inner.contested.borrow_mut();
        let before = contested.len();
        contested
            .extend(vnodes().filter(|vnode| shard.leading(*vnode).is_some() && self.leaders(*vnode) > 1));
        if before == 0 && !contested.is_empty() {
            let weak = Rc::downgrade(inner);
            let look = move || {
                weak.upgrade().into_iter().for_each(|inner| Cluster { inner }.compare_leases());
            };
            inner.world.watch_instants(Some(Rc::new(look)));
        }
    }

    fn leaders(&self, vnode: VnodeId) -> usize {
        let shards = (0..self.inner.machines.len()).flat_map(|index| self.shards(index));
        shards.filter(|shard| shard.leading(vnode).is_some()).count()
    }

    /// At most one replica of a vnode holds its lease.
    fn compare_leases(&self) {
        let holds =
            |vnode: VnodeId, index: &usize| self.shards(*index).iter().any(|shard| shard.holds_lease(vnode));
        let mut contested = self.inner.contested.borrow_mut();
        for vnode in contested.iter().copied() {
            let holders: Vec<usize> =
                (0..self.inner.machines.len()).filter(|index| holds(vnode, index)).collect();
            if holders.len() > 1 {
                self.inner
                    .watch
                    .broken(format!("nodes {holders:?} hold the lease of vnode {} at once", vnode.0));
            }
        }
        contested.retain(|vnode| self.leaders(*vnode) > 1);
        if contested.is_empty() {
            self.inner.world.watch_instants(None);
        }
        self.inner.journal.count("instants with two leaders");
    }

    /// Asks every open shard of a node to hand over leadership of a vnode to the replica on another node.
    pub fn hand_over(&self, vnode: VnodeId, to: usize, map: &Map) -> bool {
        let number = self.number_of(to, map);
        let Some(replicas) = map.replicas(vnode) else { return false };
        let Some(seat) = replicas.iter().find(|seat| Some(seat.place.node) == number) else { return false };
        let Some(leader) = self.leader(vnode) else { return false };
        self.shards(leader).iter().any(|shard| shard.hand_over(vnode, seat.peer))
    }

    /// The number under which a map knows a node.
    pub fn number_of(&self, index: usize, map: &Map) -> Option<Number> {
        let id = self.id_of(index);
        map.nodes.values().find(|node| node.id == id).map(|node| node.number)
    }

    /// The node that a map knows by a number.
    pub fn index_of(&self, number: Number, map: &Map) -> Option<usize> {
        let id = map.nodes.get(&number)?.id;
        (0..self.inner.machines.len()).find(|index| self.id_of(*index) == id)
    }

    /// Asks a shard, in a task of its node; none when it is not there, or goes away.
    pub async fn ask(&self, index: usize, shard: u16, request: Vec<u8>) -> Option<Vec<u8>> {
        let running = self.inner.machines[index].shards.borrow().get(&shard).cloned()?;
        let (sender, receiver) = oneshot();
        let handler = running.shard.handler();
        running
            .rt
            .spawn(Class::Foreground, async move {
                let _ = sender.send(handler(request).await);
            })
            .detach();
        drop(running);
        receiver.await.ok()
    }

    /// Everything is well again: all nodes run, nothing is cut, disks and clocks behave. But for a node whose disk has lied, if those are to be survived: it is
    /// taken away, and everything that was acknowledged has to be on the others.
    pub fn heal(&self) {
        let inner = &self.inner;
        inner.world.heal_all();
        inner.cuts.borrow_mut().clear();
        inner.world.set_network_faults(Default::default());
        for (index, machine) in inner.machines.iter().enumerate() {
            if machine.starts.get() == 0 {
                continue;
            }
            if machine.harms.borrow().contains(&Harm::Lying) && !inner.plan.is_beyond {
                self.retire(index);
                continue;
            }
            machine.pauses.set(0);
            inner.world.resume(machine.id);
            inner.world.set_clock_rate(machine.id, 0);
            inner.world.disk(machine.id).set_faults(Default::default());
            machine.holds.set(0);
            if !inner.world.is_up(machine.id) {
                self.start(index);
            }
        }
    }

    /// A line that a node says. The first of each kind is noted.
    fn hear(&self, index: usize, line: &str) {
        let machine = &self.inner.machines[index];
        self.inner.journal.count("lines said by nodes");
        if machine.said.borrow_mut().insert(line.to_string()) {
            self.inner.journal.note(format!("node {index} says: {line}"));
        }
        if !said::is_explained(line, &machine.harms.borrow()) {
            self.inner.watch.broken(format!("node {index} says, and no fault explains it: {line}"));
        }
    }
}
