//! A cluster of three nodes with one shard each, the network between them, clients, and what is checked.
//!
//! Every write counts its key's version up by one and is answered with it, so the versions of a key are a total order that
//! the clients themselves see:
//!
//! 1. no version is acknowledged twice;
//! 2. what begins after a write was acknowledged, or after a consistent read was answered, sees at least that version;
//! 3. no version comes from nowhere: there are at most as many as writes were begun;
//! 4. at the end, all replicas hold the same items.
//!
//! And below them: a term of a vnode has one leader, and replicas that apply an entry apply the same one.

use crate::crash::small;
use crate::harness::*;
use model::item::{Value, ValueRef};
use model::key::{TableId, Token, encode_key, keyspace};
use model::map::Map;
use model::node::{Node as MapNode, NodeState};
use model::ring::{
    NodeId as MapNodeId, PeerId, Place, Replica, Replicas, Ring, Role, ShardId, Vnode, VnodeId,
};
use model::table::{Table, TableStatus};
use net::map::MapCell;
use net::mesh::{Mesh, MeshOptions};
use net::message::*;
use runtime::Runtime;
use runtime::sim::{DiskFaults, NodeId, SimRuntime, Span, World, WorldOptions};
use runtime::sync::{Either, oneshot, select};
use shard::node::Identity;
use shard::{Canary, Shard, ShardOptions, Wire};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

/// Nodes that keep the vnodes at first.
pub const NODES: u16 = 3;
/// And one that is empty, and down until a test starts it.
pub const SPARE: u16 = NODES;
pub const VNODES: u32 = 4;
pub const KEYS: i64 = 6;

/// What is done to the replicas and who is asked.
#[derive(Clone)]
pub struct Cluster {
    pub inner: Rc<Inner>,
}

pub struct Inner {
    pub world: World,
    pub ids: Vec<NodeId>,
    parts: RefCell<BTreeMap<u16, Part>>,
    incarnations: RefCell<Vec<u64>>,
    pub map: RefCell<Rc<Map>>,
    pub change: Box<dyn Fn(&mut ShardOptions)>,
    /// Ways between two nodes on which nothing arrives.
    pub cuts: RefCell<BTreeSet<(u16, u16)>>,
    pub delay_min_us: Cell<u64>,
    pub delay_max_us: Cell<u64>,
    pub lose_per_mille: Cell<u64>,
    sent: Cell<u64>,
    next_peer: Cell<u32>,
    /// What this node says seems to come from another one.
    pub forge: Cell<Option<u16>>,
    pub checks: RefCell<Checks>,
    pub failures: RefCell<Vec<String>>,
    pub reports: RefCell<Vec<String>>,
}

/// What must hold below the clients.
#[derive(Default)]
pub struct Checks {
    /// Who led a vnode in a term.
    leaders: BTreeMap<(VnodeId, u64), u16>,
    /// What was applied at an index.
    applied: BTreeMap<(VnodeId, u64), (u64, u64)>,
    pub applied_count: u64,
}

#[derive(Clone)]
struct Part {
    rt: SimRuntime,
    shard: Rc<Shard<SimRuntime>>,
    map: MapCell,
}

impl Cluster {
    pub fn new(seed: u64, change: impl Fn(&mut ShardOptions) + 'static) -> Cluster {
        let disk = DiskFaults { write: Span::micros(15, 400), ..DiskFaults::default() };
        let world = World::new(seed, WorldOptions { disk, ..WorldOptions::default() });
        let ids = (0..=SPARE).map(|node| world.node(&format!("n{node}"))).collect();
        let inner = Inner {
            world,
            ids,
            parts: RefCell::default(),
            incarnations: RefCell::new(vec![0; usize::from(SPARE) + 1]),
            next_peer: Cell::new(1000),
            forge: Cell::new(None),
            map: RefCell::new(Rc::new(founding_map())),
            change: Box::new(change),
            cuts: RefCell::default(),
            delay_min_us: Cell::new(20),
            delay_max_us: Cell::new(500),
            lose_per_mille: Cell::new(0),
            sent: Cell::new(0),
            checks: RefCell::default(),
            failures: RefCell::default(),
            reports: RefCell::default(),
        };
        let cluster = Cluster { inner: Rc::new(inner) };
        (0..NODES).for_each(|node| cluster.start(node));
        cluster
    }

    pub fn world(&self) -> &World {
        &self.inner.world
    }

    /// Starts a node that is down.
    pub fn start(&self, node: u16) {
        let cluster = self.clone();
        self.world().start(self.inner.ids[usize::from(node)], 1, move |rt| {
            let cluster = cluster.clone();
            async move {
                if let Err(why) = cluster.serve(node, rt).await {
                    cluster.inner.failures.borrow_mut().push(format!("node {node}: {why}"));
                }
            }
        });
    }

    /// Power off.
    pub fn crash(&self, node: u16) {
        self.inner.parts.borrow_mut().remove(&node);
        self.inner.incarnations.borrow_mut()[usize::from(node)] += 1;
        self.world().crash(self.inner.ids[usize::from(node)]);
    }

    pub fn is_up(&self, node: u16) -> bool {
        self.inner.parts.borrow().contains_key(&node)
    }

    pub fn shard(&self, node: u16) -> Option<Rc<Shard<SimRuntime>>> {
        self.inner.parts.borrow().get(&node).map(|part| part.shard.clone())
    }

    /// Who leads what on which node, what was reported, and what is on the move.
    pub fn describe(&self) -> String {
        let map = self.inner.map.borrow().clone();
        let moving: Vec<_> = map.ring.vnodes().filter(|vnode| vnode.replicas.is_moving()).collect();
        let parts = self.inner.parts.borrow();
        let of = |(node, part): (&u16, &Part)| {
            let leading: Vec<(u32, Option<u64>, Option<u64>)> = (1..=VNODES)
                .map(|vnode| (vnode, part.shard.leading(VnodeId(vnode)), part.shard.leads(VnodeId(vnode))))
                .collect();
            format!(
                "\n  node {node}: {leading:?} {:?} {:?}",
                part.shard.reached(),
                part.shard.stats().replication
            )
        };
        let nodes: String = parts.iter().map(of).collect();
        let (reports, failures) = (self.inner.reports.borrow(), self.inner.failures.borrow());
        format!("{moving:?}, epoch {}{nodes}\n  {reports:?} {failures:?}", map.ring.epoch)
    }

    /// Gives every node, now and later, this map.
    pub fn set_map(&self, map: Map) {
        let map = Rc::new(map);
        *self.inner.map.borrow_mut() = map.clone();
        self.inner.parts.borrow().values().for_each(|part| {
            part.map.set(map.clone());
        });
    }

    /// Asks for another replica of a vnode on `to` in the place of the one on `from`; false when a move is under way.
    pub fn begin_move(&self, vnode: VnodeId, from: u16, to: u16) -> bool {
        let mut map = Map::clone(&self.inner.map.borrow());
        let seats: Vec<Replica> = map.replicas(vnode).expect("a vnode of the map").iter().collect();
        let on = |node: u16| seats.iter().any(|seat| seat.place.node.0 == node);
        if seats.iter().any(|seat| seat.role != Role::Voter) || !on(from) || on(to) {
            return false;
        }
        let mut wanted: Vec<Replica> = seats.clone();
        let old = wanted.iter_mut().find(|seat| seat.place.node.0 == from).expect("it is there");
        old.role = Role::Leaving;
        let peer = PeerId(self.inner.next_peer.get());
        self.inner.next_peer.set(peer.0 + 1);
        let place = Place { node: MapNodeId(to), shard: ShardId(0) };
        wanted.push(Replica { peer, place, role: Role::Joining });
        self.set_replicas(&mut map, vnode, &wanted);
        self.set_map(map);
        true
    }

    /// Asks that a replica leaves the vnode that is in its group no more.
    pub fn begin_move_of_nobody(&self, vnode: VnodeId) {
        let mut map = Map::clone(&self.inner.map.borrow());
        let mut wanted: Vec<Replica> = map.replicas(vnode).expect("a vnode of the map").iter().collect();
        let place = Place { node: MapNodeId(SPARE), shard: ShardId(0) };
        wanted.push(Replica { peer: PeerId(self.inner.next_peer.get()), place, role: Role::Leaving });
        self.inner.next_peer.set(self.inner.next_peer.get() + 1);
        self.set_replicas(&mut map, vnode, &wanted);
        self.set_map(map);
    }

    /// Does what the catalog does when a leader says that its group is what was asked for; how many moves are over with that.
    pub fn finish_moves(&self) -> usize {
        let parts: Vec<_> = self.inner.parts.borrow().values().map(|part| part.shard.clone()).collect();
        let mut finished = 0;
        for reached in parts.iter().flat_map(|shard| shard.reached()) {
            let mut map = Map::clone(&self.inner.map.borrow());
            let seats = map.replicas(reached.vnode).expect("a vnode of the map");
            let wanted: Vec<Replica> = seats.iter().filter(|seat| seat.role != Role::Leaving).collect();
            let mut peers: Vec<u32> = wanted.iter().map(|seat| seat.peer.0).collect();
            let mut voters = reached.voters.clone();
            peers.sort_unstable();
            voters.sort_unstable();
            if reached.epoch != map.ring.epoch || peers != voters {
                continue;
            }
            let wanted: Vec<Replica> =
                wanted.into_iter().map(|seat| Replica { role: Role::Voter, ..seat }).collect();
            self.set_replicas(&mut map, reached.vnode, &wanted);
            self.set_map(map);
            finished += 1;
        }
        finished
    }

    /// Gives up a move: who was to join does not.
    pub fn abandon_move(&self, vnode: VnodeId) {
        let mut map = Map::clone(&self.inner.map.borrow());
        let seats = map.replicas(vnode).expect("a vnode of the map");
        let wanted: Vec<Replica> = seats
            .iter()
            .filter(|seat| seat.role != Role::Joining)
            .map(|seat| Replica { role: Role::Voter, ..seat })
            .collect();
        self.set_replicas(&mut map, vnode, &wanted);
        self.set_map(map);
    }

    fn set_replicas(&self, map: &mut Map, vnode: VnodeId, replicas: &[Replica]) {
        map.version += 1;
        map.ring.epoch += 1;
        map.ring.set_replicas(vnode, Replicas::new(replicas));
    }

    /// The nodes that a vnode has replicas on.
    pub fn nodes_of(&self, vnode: VnodeId) -> Vec<u16> {
        let map = self.inner.map.borrow().clone();
        map.replicas(vnode).expect("a vnode of the map").iter().map(|seat| seat.place.node.0).collect()
    }

    /// Everything that a vnode's replicas have of the test's keys is on this node, or nothing of it.
    pub async fn has_any_of(&self, node: u16, caller: &Caller, vnode: VnodeId) -> bool {
        let shard = self.shard(node).expect("the node is up");
        for sort in (0..KEYS).filter(|sort| caller.at(*sort).vnode == vnode.0) {
            if shard.holds(&caller.at(sort).key).await {
                return true;
            }
        }
        false
    }

    /// Replicas that sleep now, on all nodes.
    pub fn asleep(&self) -> usize {
        let parts = self.inner.parts.borrow();
        parts.values().map(|part| part.shard.stats().replication.asleep).sum()
    }

    /// Nothing arrives at this node, and nothing that it says arrives anywhere.
    pub fn cut_off(&self, node: u16) {
        let ways =
            (0..=SPARE).filter(|other| *other != node).flat_map(|other| [(node, other), (other, node)]);
        self.inner.cuts.borrow_mut().extend(ways);
    }

    /// The node that leads a vnode in the newest term, with everything applied.
    pub fn leader(&self, vnode: VnodeId) -> Option<u16> {
        let parts = self.inner.parts.borrow();
        let leads = parts.iter().filter_map(|(node, part)| Some((part.shard.leads(vnode)?, *node)));
        leads.max().map(|(_, node)| node)
    }

    /// Waits until every vnode has a leader; false when that does not come to be.
    pub fn settle(&self, within: Duration) -> bool {
        let all_led = || (1..=VNODES).all(|vnode| self.leader(VnodeId(vnode)).is_some());
        self.world().run_until(within, all_led)
    }

    async fn serve(&self, node: u16, rt: SimRuntime) -> Result<(), String> {
        let identity = Identity {
            cluster: 7,
            node: u128::from(node) + 100,
            number: MapNodeId(node),
            shard_count: 1,
            vnode_count: VNODES,
        };
        let cell = MapCell::new(Map::clone(&self.inner.map.borrow()));
        let mesh = Mesh::new(rt.clone(), cell.clone(), MeshOptions::default());
        let mut options = ShardOptions::new(Path::new("data"), identity, ShardId(0), 64 << 20);
        small(&mut options);
        options.replication.tick = Duration::from_millis(20);
        options.replication.image_part_bytes = 700;
        options.replication.sleep_after = Duration::from_millis(150);
        options.replication.image_idle_max = Duration::from_millis(500);
        options.wire = Some(self.wire(node));
        let cluster = self.clone();
        options.replication.applied = Some(Rc::new(move |vnode, index, term, command: &[u8]| {
            cluster.note_applied(vnode, index, term, command);
        }));
        let cluster = self.clone();
        options.report = Rc::new(move |line| cluster.inner.reports.borrow_mut().push(line.to_string()));
        (self.inner.change)(&mut options);
        let shard =
            Shard::open(rt.clone(), options, mesh.clone()).await.map_err(|error| error.to_string())?;
        mesh.set_handler(shard.handler());
        let part = Part { rt, shard: shard.clone(), map: cell };
        // A newer map may have come while it was opened.
        part.map.set(self.inner.map.borrow().clone());
        self.inner.parts.borrow_mut().insert(node, part);
        match select(shard.run(), mesh.run()).await {
            Either::First(outcome) => outcome.map_err(|error| error.to_string()),
            Either::Second(()) => Ok(()),
        }
    }

    /// The wire of a node: what it says arrives after a while, or not.
    fn wire(&self, from: u16) -> Wire {
        let cluster = self.clone();
        let tell = move |to: Place, payload: Vec<u8>| {
            cluster.deliver(from, to.node.0, payload);
            true
        };
        let cluster = self.clone();
        let call = move |to: Place, _deadline, request: Vec<u8>| -> shard::Answer {
            let cluster = cluster.clone();
            Box::pin(async move {
                cluster.travel(from, to.node.0).await.ok_or(net::mesh::CallError::Closed)?;
                let answer = cluster.ask(to.node.0, request).await;
                cluster.travel(to.node.0, from).await.ok_or(net::mesh::CallError::Closed)?;
                answer.ok_or(net::mesh::CallError::Closed)
            })
        };
        Wire { tell: Rc::new(tell), call: Rc::new(call) }
    }

    fn draw(&self, name: &str, most: u64) -> u64 {
        let sent = self.inner.sent.get();
        self.inner.sent.set(sent + 1);
        self.world().draw(name, sent) % most.max(1)
    }

    fn deliver(&self, from: u16, to: u16, payload: Vec<u8>) {
        let cluster = self.clone();
        let incarnation = self.inner.incarnations.borrow()[usize::from(to)];
        self.world()
            .spawn(async move {
                if cluster.travel(from, to).await.is_none() {
                    return;
                }
                let same = cluster.inner.incarnations.borrow()[usize::from(to)] == incarnation;
                if let Some(shard) = cluster.shard(to).filter(|_| same) {
                    let forged = cluster.inner.forge.get() == Some(from);
                    let seems = if forged { (from + 1) % NODES } else { from };
                    shard.receive(MapNodeId(seems), payload.into());
                    cluster.check_leaders();
                }
            })
            .detach();
    }

    /// The way from one node to another; none when what goes there is lost.
    async fn travel(&self, from: u16, to: u16) -> Option<()> {
        let lost = self.draw("lose", 1000) < self.inner.lose_per_mille.get();
        let delay = self.inner.delay_min_us.get() + self.draw("delay", self.inner.delay_max_us.get());
        self.world().sleep(Duration::from_micros(delay)).await;
        (!lost && !self.inner.cuts.borrow().contains(&(from, to))).then_some(())
    }

    /// Asks a node's shard, in a task of that node; none when it went down.
    pub async fn ask(&self, node: u16, request: Vec<u8>) -> Option<Vec<u8>> {
        let part = self.inner.parts.borrow().get(&node).cloned()?;
        let (sender, receiver) = oneshot();
        let shard = part.shard.clone();
        part.rt
            .spawn(runtime::Class::Foreground, async move {
                let _ = sender.send(shard.handler()(request).await);
            })
            .detach();
        drop(part);
        receiver.await.ok()
    }

    fn note_applied(&self, vnode: VnodeId, index: u64, term: u64, command: &[u8]) {
        let mut checks = self.inner.checks.borrow_mut();
        checks.applied_count += 1;
        let content = (term, hash(command));
        let known = *checks.applied.entry((vnode, index)).or_insert(content);
        assert_eq!(known, content, "vnode {}: replicas differ at {index}", vnode.0);
    }

    /// A vnode's term has one leader.
    pub fn check_leaders(&self) {
        let mut checks = self.inner.checks.borrow_mut();
        for (node, part) in self.inner.parts.borrow().iter() {
            for vnode in (1..=VNODES).map(VnodeId) {
                if let Some(term) = part.shard.leading(vnode) {
                    let first = *checks.leaders.entry((vnode, term)).or_insert(*node);
                    assert_eq!(first, *node, "vnode {}: two leaders in term {term}", vnode.0);
                }
            }
        }
    }
}

use runtime::Task;

pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Peers of a vnode: 10 times its number, plus the node's number and 1.
pub fn peer(vnode: u32, node: u16) -> PeerId {
    PeerId(vnode * 10 + u32::from(node) + 1)
}

pub fn seat(vnode: u32, node: u16, role: Role) -> Replica {
    let place = Place { node: MapNodeId(node), shard: ShardId(0) };
    Replica { peer: peer(vnode, node), place, role }
}

fn founding_map() -> Map {
    let replicas = |vnode: u32| {
        let first = vnode as u16 % NODES;
        let order: Vec<Replica> =
            (0..NODES).map(|node| seat(vnode, (first + node) % NODES, Role::Voter)).collect();
        Replicas::new(&order)
    };
    let even = Ring::even(VNODES, 1);
    let vnodes = even.vnodes().map(|vnode| Vnode { replicas: replicas(vnode.id.0), ..vnode });
    let ring = Ring::new(1, vnodes).expect("a sound ring");
    let table = Table { id: TableId(1), status: TableStatus::Active, ..table("things") };
    let mut map = Map::alone(ring);
    map.version = 1;
    // On shards that are not there: who moves what and when is up to the tests, not to the catalog.
    let nowhere = |seat: Replica| Replica { place: Place { shard: ShardId(9), ..seat.place }, ..seat };
    map.catalog = Replicas::new(&replicas(0).iter().map(nowhere).collect::<Vec<_>>());
    map.nodes = (0..=SPARE).map(|node| (MapNodeId(node), Rc::new(map_node(node)))).collect();
    map.tables = BTreeMap::from([("things".to_string(), Rc::new(table))]);
    map
}

fn map_node(node: u16) -> MapNode {
    MapNode {
        number: MapNodeId(node),
        id: u128::from(node) + 100,
        name: format!("n{node}"),
        zone: format!("z{node}"),
        addresses: vec![([10, 0, 0, node as u8], 9000).into()],
        http: None,
        state: NodeState::Active,
    }
}

/// What is known of one key.
#[derive(Clone, Debug, Default)]
pub struct Key {
    pub begun: i64,
    /// No later consistent answer may be below.
    pub floor: i64,
    pub acknowledged: BTreeSet<i64>,
}

/// What the clients know.
#[derive(Default)]
pub struct Knowledge {
    pub keys: RefCell<BTreeMap<i64, Key>>,
    pub writes: Cell<u64>,
    pub reads: Cell<u64>,
    pub eventual: Cell<u64>,
    pub unknown: Cell<u64>,
}

/// A client of all nodes.
#[derive(Clone)]
pub struct Caller {
    pub cluster: Cluster,
    pub knowledge: Rc<Knowledge>,
    guess: Rc<RefCell<BTreeMap<u32, u16>>>,
    number: i64,
    /// Pauses between two requests, at most.
    pub pause_max_us: u64,
    /// How long a request may take.
    pub patience: Duration,
}

/// How a request ended.
#[derive(Debug)]
pub enum Outcome {
    Answer(Answer),
    /// Nothing was done.
    Refused,
    /// Nobody knows.
    Unknown,
}

impl Caller {
    pub fn new(cluster: &Cluster, knowledge: &Rc<Knowledge>, number: i64) -> Caller {
        Caller {
            cluster: cluster.clone(),
            knowledge: knowledge.clone(),
            guess: Rc::default(),
            number,
            pause_max_us: 12_000,
            patience: Duration::from_secs(2),
        }
    }

    /// Takes this node for the leader of a vnode.
    pub fn aim(&self, vnode: VnodeId, node: u16) {
        self.guess.borrow_mut().insert(vnode.0, node);
    }

    pub fn at(&self, sort: i64) -> KeyAt {
        let partition = Value::S(format!("k{sort}")).encode();
        let sort = number(sort).encode();
        let values = (ValueRef::trusted(&partition), ValueRef::trusted(&sort));
        let key = encode_key(keyspace::ITEMS, TableId(1), &schema(), values.0, Some(values.1));
        let map = self.cluster.inner.map.borrow().clone();
        KeyAt { vnode: map.ring.owner(Token::of(values.0).high()).id.0, table: 1, key }
    }

    /// Sends an operation to who leads the vnode, and looks for the leader as long as it may take.
    pub async fn send(&self, vnode: u32, operation: Operation) -> Outcome {
        let request = Request { epoch: 1, operation }.encode();
        let world = &self.cluster.inner.world;
        let end = world.elapsed() + self.patience;
        if self.cluster.draw("anybody", 4) == 0 {
            // Who else thinks that it leads?
            let anybody = self.cluster.draw("who", u64::from(NODES)) as u16;
            self.guess.borrow_mut().insert(vnode, anybody);
        }
        loop {
            let node = *self.guess.borrow().get(&vnode).unwrap_or(&0);
            let left = end.saturating_sub(world.elapsed());
            if left.is_zero() {
                return Outcome::Refused;
            }
            let travel = self.cluster.draw("client", 200);
            world.sleep(Duration::from_micros(travel)).await;
            let next = (node + 1) % NODES;
            let next = match select(self.cluster.ask(node, request.clone()), world.sleep(left)).await {
                Either::Second(()) => {
                    self.guess.borrow_mut().insert(vnode, next);
                    return Outcome::Unknown;
                }
                Either::First(None) if !self.cluster.is_up(node) => {
                    self.guess.borrow_mut().insert(vnode, next);
                    // It may have been on its way when the node went down.
                    return Outcome::Unknown;
                }
                Either::First(None) => next,
                Either::First(Some(reply)) => match read_answer(&reply) {
                    // Who names itself knows nobody who leads.
                    Answer::Moved { node: named, .. } => {
                        if named == node {
                            next
                        } else {
                            named
                        }
                    }
                    Answer::Busy => next,
                    Answer::Failed(model::error::Code::InternalServerError, ..) => return Outcome::Unknown,
                    answer => return Outcome::Answer(answer),
                },
            };
            self.guess.borrow_mut().insert(vnode, next);
            world.sleep(Duration::from_millis(2)).await;
        }
    }

    /// Counts a key up and checks the answer.
    pub async fn write(&self, sort: i64) -> bool {
        let at = self.at(sort);
        self.knowledge.keys.borrow_mut().entry(sort).or_default().begun += 1;
        let floor = self.floor(sort);
        let values = [(":one", number(1)), (":w", number(self.number)), (":x", Value::B(vec![7; 300]))];
        let program = "SET w = :w, x = :x ADD v :one";
        let update = update(at.clone(), &format!("k{sort}"), sort, program, &values);
        let Outcome::Answer(Answer::Written { attributes: Some(item), .. }) =
            self.send(at.vnode, Operation::Update(update)).await
        else {
            self.knowledge.unknown.set(self.knowledge.unknown.get() + 1);
            return false;
        };
        let version = version(&item);
        let mut keys = self.knowledge.keys.borrow_mut();
        let key = keys.get_mut(&sort).expect("it was begun");
        assert!(version > floor, "key {sort}: version {version} was written after {floor} was seen");
        assert!(version <= key.begun, "key {sort}: version {version} of {} writes", key.begun);
        assert!(key.acknowledged.insert(version), "key {sort}: version {version} was acknowledged twice");
        key.floor = key.floor.max(version);
        self.knowledge.writes.set(self.knowledge.writes.get() + 1);
        true
    }

    /// Reads a key and checks what is there.
    pub async fn read(&self, sort: i64) -> bool {
        let at = self.at(sort);
        let floor = self.floor(sort);
        let get = Get { at: at.clone(), consistent: true, projection: None };
        let Outcome::Answer(answer) = self.send(at.vnode, Operation::Get(get)).await else { return false };
        let seen = answer.attributes().map_or(0, version);
        assert!(seen >= floor, "key {sort}: a consistent read sees {seen}, {floor} was seen before");
        let mut keys = self.knowledge.keys.borrow_mut();
        let key = keys.entry(sort).or_default();
        assert!(seen <= key.begun, "key {sort}: version {seen} of {} writes", key.begun);
        key.floor = key.floor.max(seen);
        self.knowledge.reads.set(self.knowledge.reads.get() + 1);
        true
    }

    /// Reads a key from whatever replica; only that nothing comes from nowhere can be said of it.
    pub async fn read_any(&self, sort: i64, node: u16) -> Option<i64> {
        let at = self.at(sort);
        let get = Get { at, consistent: false, projection: None };
        let request = Request { epoch: 1, operation: Operation::Get(get) }.encode();
        let Answer::Item(item, _) = read_answer(&self.cluster.ask(node, request).await?) else { return None };
        let seen = item.as_ref().map_or(0, version);
        let begun = self.knowledge.keys.borrow().get(&sort).map_or(0, |key| key.begun);
        assert!(seen <= begun, "key {sort}: version {seen} of {begun} writes");
        self.knowledge.eventual.set(self.knowledge.eventual.get() + 1);
        Some(seen)
    }

    fn floor(&self, sort: i64) -> i64 {
        self.knowledge.keys.borrow().get(&sort).map_or(0, |key| key.floor)
    }

    /// Works for ever, now writing, now reading.
    pub async fn work(&self) {
        loop {
            let sort = self.cluster.draw("key", KEYS as u64) as i64;
            match self.cluster.draw("what", 10) {
                0..6 => drop(self.write(sort).await),
                6..9 => drop(self.read(sort).await),
                _ => drop(self.read_any(sort, self.cluster.draw("node", u64::from(NODES)) as u16).await),
            }
            let pause = self.cluster.draw("pause", self.pause_max_us);
            self.cluster.inner.world.sleep(Duration::from_micros(pause)).await;
        }
    }
}

fn version(item: &BTreeMap<String, Value>) -> i64 {
    match item.get("v") {
        Some(Value::N(number)) => number.as_i64().expect("a small number"),
        other => panic!("a version is {other:?}"),
    }
}

/// Options with a planted bug.
pub fn planted(canary: Canary) -> impl Fn(&mut ShardOptions) {
    move |options| options.replication.canary = canary
}
