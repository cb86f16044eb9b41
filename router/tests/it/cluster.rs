//! A simulated cluster: three nodes with fake shards over one store, a router outside of them, and a client.
//!
//! The store stands for what replication would make equal; what is tested is whom the router asks, how often, and what it tells its client.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use model::map::Map;
use model::node::{Node, NodeState};
use model::ring::{NodeId, PeerId, Place, Replica, Replicas, Ring, Role, ShardId};
use net::fabric::Fabric;
use net::links::{Links, LinksOptions};
use net::map::MapCell;
use net::message::{self, ArchivedCatalog, ArchivedOperation, Failed, Moved, Reply};
use net::secret::Trust;
use net::session::{Identity, SessionOptions};
use router::{Router, RouterOptions};
use runtime::sim::{SimRuntime, World, WorldOptions};
use runtime::{Class, Runtime, Task};

use crate::shard::Store;
use crate::world::{Client, Response, Server};

/// Where shards listen for other nodes, and the router for clients.
const SHARD_PORT: u16 = 9000;
const HTTP_PORT: u16 = 8000;

const CLUSTER: u128 = 77;

/// What a node does with a request that is for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Answers.
    Serves,
    /// Does what is asked and never says so.
    Mute,
    /// Answers after a while.
    Slow(Duration),
    /// Is too busy.
    Busy,
    /// Has trouble with its disk.
    Damaged,
    /// Says that somebody else leads, in this epoch.
    Sends { epoch: u64, to: u16 },
}

/// One node.
pub struct Fake {
    pub number: u16,
    pub mode: Cell<Mode>,
    /// Requests that came, those about items alone.
    pub asked: Cell<u32>,
    /// Writes that were applied.
    pub written: Cell<u32>,
    /// Times that it was asked for the map.
    pub watched: Cell<u32>,
    /// Its map.
    pub map: MapCell,
}

/// Everything that a test has in hand.
pub struct Cluster {
    pub rt: SimRuntime,
    pub world: World,
    pub fakes: Vec<Rc<Fake>>,
    pub nodes: Vec<runtime::sim::NodeId>,
    router_node: runtime::sim::NodeId,
    /// Who leads all vnodes and the catalog; nobody during an election.
    pub leader: Rc<Cell<Option<u16>>>,
    pub router: Rc<Router<SimRuntime>>,
    pub router_map: MapCell,
    pub server: Server,
}

impl Cluster {
    pub fn fake(&self, number: u16) -> &Fake {
        &self.fakes[usize::from(number) - 1]
    }

    /// Requests about items that came to all nodes.
    pub fn asked(&self) -> u32 {
        self.fakes.iter().map(|fake| fake.asked.get()).sum()
    }

    /// Begins to count anew.
    pub fn forget(&self) {
        self.fakes.iter().for_each(|fake| {
            fake.asked.set(0);
            fake.written.set(0);
        });
    }

    pub async fn client(&self) -> Client {
        Client::connect(&self.server).await
    }

    /// Kills a node's process: its connections are reset.
    pub fn crash(&self, number: u16) {
        let node = self.nodes[usize::from(number) - 1];
        self.world.reset_connections(self.router_node, node);
        self.world.crash(node);
    }

    /// A map of the next version with another order of replicas, in which `leader` is preferred; known to `to` only.
    pub fn prefer(&self, leader: u16, to: &MapCell) {
        let map = to.get();
        let mut next = Map::clone(&map);
        next.version += 1;
        next.ring.epoch += 1;
        let order = order_from(leader);
        for vnode in map.ring.vnodes() {
            next.ring.set_replicas(vnode.id, replicas(&order, vnode.id.0 * 10));
        }
        next.catalog = replicas(&order, 1);
        to.set(Rc::new(next));
    }
}

fn order_from(leader: u16) -> Vec<u16> {
    let others = (1..=3).filter(|node| *node != leader);
    std::iter::once(leader).chain(others).collect()
}

fn replicas(order: &[u16], first_peer: u32) -> Replicas {
    let replica = |node: &u16| {
        let place = Place { node: NodeId(*node), shard: ShardId(0) };
        Replica { peer: PeerId(first_peer + u32::from(*node)), place, role: Role::Voter }
    };
    Replicas::new(&order.iter().map(replica).collect::<Vec<_>>())
}

/// The map of three nodes in three zones; the first one should lead everything.
fn first_map(addresses: &[SocketAddr]) -> Map {
    let mut map = Map::alone(Ring::even(4, 1));
    let order = order_from(1);
    map.version = 1;
    let vnodes: Vec<_> = map.ring.vnodes().collect();
    for vnode in vnodes {
        map.ring.set_replicas(vnode.id, replicas(&order, vnode.id.0 * 10));
    }
    map.catalog = replicas(&order, 1);
    for (number, address) in (1..).zip(addresses) {
        let node = Node {
            number: NodeId(number),
            id: u128::from(number),
            name: format!("n{number}"),
            zone: format!("z{number}"),
            addresses: vec![*address],
            http: Some(SocketAddr::new(address.ip(), HTTP_PORT)),
            state: NodeState::Active,
        };
        map.nodes.insert(node.number, Rc::new(node));
    }
    map
}

fn links(rt: &SimRuntime, place: Option<Place>, map: MapCell) -> Links<SimRuntime> {
    let node = place.map_or(1000, |place| u128::from(place.node.0));
    let identity = Identity { cluster: CLUSTER, node, place, start: rt.random(runtime::Purpose::Id) };
    let options = LinksOptions::new(SessionOptions::new(identity, Trust::Everybody));
    let address = move |place: Place| {
        map.get()
            .nodes
            .get(&place.node)
            .and_then(|node| node.addresses.get(usize::from(place.shard.0)).copied())
    };
    let links = Links::new(rt.clone(), options, Rc::new(address));
    let runs = links.clone();
    rt.spawn(Class::Foreground, async move { runs.run().await }).detach();
    links
}

/// Runs `test` against a fresh cluster, on the client's node.
pub fn with_cluster<F: Future<Output = ()>>(options: RouterOptions, test: impl FnOnce(Rc<Cluster>) -> F) {
    let world = World::new(1, WorldOptions::default());
    let nodes: Vec<_> = ["one", "two", "three"].map(|name| world.node(name)).to_vec();
    let (router_node, client_node) = (world.node("router"), world.node("client"));
    let addresses: Vec<SocketAddr> = nodes.iter().map(|node| world.address(*node, SHARD_PORT)).collect();
    let (store, leader) = (Rc::new(Store::default()), Rc::new(Cell::new(Some(1))));
    let mut fakes = Vec::new();
    for (number, node) in (1..).zip(&nodes) {
        let fake = Rc::new(Fake {
            number,
            mode: Cell::new(Mode::Serves),
            asked: Cell::new(0),
            written: Cell::new(0),
            watched: Cell::new(0),
            map: MapCell::new(first_map(&addresses)),
        });
        fakes.push(fake.clone());
        let address = addresses[usize::from(number) - 1];
        let (store, leader) = (store.clone(), leader.clone());
        world.start(*node, 1, move |rt| {
            let (store, leader, fake) = (store.clone(), leader.clone(), fake.clone());
            async move { run_fake(rt, address, fake, store, leader).await }
        });
    }
    let address = world.address(router_node, HTTP_PORT);
    let router_map = MapCell::new(first_map(&addresses));
    let built = Rc::new(RefCell::new(None));
    let served = Rc::new(Cell::new(false));
    world.start(router_node, 1, |rt| {
        let (options, map, built, served) =
            (options.clone(), router_map.clone(), built.clone(), served.clone());
        async move {
            let fabric = Fabric::outside(links(&rt, None, map.clone()));
            let router = Router::new(rt.clone(), options, fabric, map);
            *built.borrow_mut() = Some(router.clone());
            let listener = rt.listen(address).await.expect("the port is free");
            router.serve(listener).await;
            served.set(true);
        }
    });
    let rt = world.runtime(client_node);
    world.run_for(Duration::from_millis(1));
    let router = built.borrow().clone().expect("it was started");
    let server = Server { rt: rt.clone(), address, store, router: built, served };
    let cluster = Cluster { rt, world, fakes, nodes, router_node, leader, router, router_map, server };
    let cluster = Rc::new(cluster);
    let world = &cluster.clone().world;
    world.block_on(async {
        let client = cluster.client().await;
        assert_eq!(client.call("CreateTable", TABLE).await.status, 200);
        let map = cluster.fake(1).map.get();
        for fake in &cluster.fakes {
            fake.map.set(map.clone());
        }
        cluster.router_map.set(map);
        cluster.forget();
        test(cluster.clone()).await;
    });
}

const TABLE: &str = r#"{"TableName":"ttt","BillingMode":"PAY_PER_REQUEST",
    "AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"}],
    "KeySchema":[{"AttributeName":"p","KeyType":"HASH"}]}"#;

async fn run_fake(
    rt: SimRuntime,
    address: SocketAddr,
    fake: Rc<Fake>,
    store: Rc<Store>,
    leader: Rc<Cell<Option<u16>>>,
) {
    let place = Place { node: NodeId(fake.number), shard: ShardId(0) };
    let links = links(&rt, Some(place), fake.map.clone());
    let clock = rt.clone();
    links.set_handler(Rc::new(move |bytes| {
        let (fake, store, leader, rt) = (fake.clone(), store.clone(), leader.clone(), clock.clone());
        Box::pin(async move { fake.answer(&rt, &bytes, &store, leader.get()).await.encode() })
    }));
    let listener = rt.listen(address).await.expect("the port is free");
    links.serve(listener).await;
}

impl Fake {
    async fn answer(&self, rt: &SimRuntime, bytes: &[u8], store: &Store, leader: Option<u16>) -> Reply {
        let request = message::read_request(bytes).expect("routers send sound messages");
        if let ArchivedOperation::Watch(watch) = &request.operation {
            self.watched.set(self.watched.get() + 1);
            let map = self.map.get();
            return if map.version > watch.have.to_native() { Reply::Map(map.encode()) } else { Reply::Done };
        }
        self.asked.set(self.asked.get() + 1);
        let epoch = self.map.get().ring.epoch;
        let mode = self.mode.get();
        match mode {
            Mode::Serves => (),
            Mode::Mute => {
                self.serve(bytes, store);
                std::future::pending().await
            }
            Mode::Slow(time) => rt.sleep(time).await,
            Mode::Busy => return Reply::Busy,
            Mode::Damaged => {
                let code = model::error::Code::InternalServerError.number();
                return Reply::Failed(Failed { code, message: "damaged".to_owned(), item: None });
            }
            Mode::Sends { epoch, to } => return Reply::Moved(Moved { epoch, node: to, shard: 0 }),
        }
        if wants_leader(&request.operation) && leader != Some(self.number) {
            // Who does not know the leader names the one that should be.
            let preferred = self.map.get().catalog.first().place.node.0;
            return Reply::Moved(Moved { epoch, node: leader.unwrap_or(preferred), shard: 0 });
        }
        self.serve(bytes, store)
    }

    fn serve(&self, bytes: &[u8], store: &Store) -> Reply {
        let request = message::read_request(bytes).expect("routers send sound messages");
        match &request.operation {
            ArchivedOperation::Put(_) | ArchivedOperation::Update(_) | ArchivedOperation::Delete(_) => {
                self.written.set(self.written.get() + 1);
            }
            ArchivedOperation::WriteMany(many) => {
                self.written.set(self.written.get() + many.writes.len() as u32);
            }
            _ => (),
        }
        let (reply, map) = store.handle(bytes, &self.map, 0);
        if let Some(map) = map {
            self.map.set(map);
        }
        reply
    }
}

fn wants_leader(operation: &ArchivedOperation) -> bool {
    match operation {
        ArchivedOperation::Get(get) => get.consistent,
        ArchivedOperation::Scan(scan) => scan.consistent,
        ArchivedOperation::GetMany(many) => many.gets.iter().any(|get| get.consistent),
        ArchivedOperation::Measure(_) => false,
        ArchivedOperation::Catalog(change) => !matches!(change, ArchivedCatalog::Describe(_)),
        _ => true,
    }
}

pub fn put(key: u32, value: u32) -> String {
    format!(r#"{{"TableName":"ttt","Item":{{"p":{{"S":"k{key}"}},"v":{{"N":"{value}"}}}}}}"#)
}

pub fn get(key: u32, consistent: bool) -> String {
    format!(r#"{{"TableName":"ttt","Key":{{"p":{{"S":"k{key}"}}}},"ConsistentRead":{consistent}}}"#)
}

pub fn batch_get(keys: std::ops::Range<u32>, consistent: bool) -> String {
    let keys: Vec<String> = keys.map(|key| format!(r#"{{"p":{{"S":"k{key}"}}}}"#)).collect();
    let keys = keys.join(",");
    format!(r#"{{"RequestItems":{{"ttt":{{"Keys":[{keys}],"ConsistentRead":{consistent}}}}}}}"#)
}

pub fn batch_put(keys: std::ops::Range<u32>) -> String {
    let put = |key| format!(r#"{{"PutRequest":{{"Item":{{"p":{{"S":"k{key}"}}}}}}}}"#);
    let puts = keys.map(put).collect::<Vec<_>>().join(",");
    format!(r#"{{"RequestItems":{{"ttt":[{puts}]}}}}"#)
}

#[track_caller]
pub fn assert_ok(response: &Response) {
    assert_eq!(response.status, 200, "{}", response.body);
}

#[track_caller]
pub fn assert_fault(response: &Response) {
    assert_eq!(response.status, 500, "{}", response.body);
    assert!(response.body.contains("#InternalServerError"), "{}", response.body);
}
