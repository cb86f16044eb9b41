//! Nodes that are who they say, and others.

use super::super::{LinkEvent, Links, LinksOptions};
use super::*;
use crate::authority::Authority;
use crate::calls::CallError;
use crate::secret::Trust;
use crate::session::{Identity, LinkTls, SessionOptions};
use model::map::Map;
use model::node::{Node, NodeState};
use model::ring::{NodeId, Place, Ring, ShardId};
use runtime::Runtime;
use runtime::sim::{NodeId as Machine, SimRuntime, World, WorldOptions};
use runtime::sync::select;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

fn place(node: u16) -> Place {
    Place { node: NodeId(node), shard: ShardId(0) }
}

/// A process: its links, and what they said.
struct Process {
    links: Links<SimRuntime>,
    rt: SimRuntime,
    events: Rc<RefCell<Vec<String>>>,
}

impl Process {
    fn saw(&self, words: &str) -> bool {
        self.events.borrow().iter().any(|event| event.contains(words))
    }
}

/// Two nodes, `a` of number 1 and `b` of number 2, and what the map says of them.
struct Cluster {
    world: World,
    machines: Vec<Machine>,
    cell: MapCell,
}

impl Cluster {
    fn new() -> Cluster {
        let world = World::new(1, WorldOptions::default());
        let machines: Vec<Machine> = ["a", "b", "c"].map(|name| world.node(name)).to_vec();
        let cell = MapCell::new(Map::alone(Ring::even(4, 1)));
        let cluster = Cluster { world, machines, cell };
        cluster.know(&[1, 2]);
        cluster
    }

    /// From now on the map has these nodes. The id of each is its number and 100.
    fn know(&self, numbers: &[u16]) {
        let mut map = Map::clone(&self.cell.get());
        map.version += 1;
        let node = |number: &u16| Node {
            number: NodeId(*number),
            id: u128::from(*number) + 100,
            name: ["", "a", "b", "c"][usize::from(*number)].to_string(),
            zone: "z".to_string(),
            addresses: vec![self.address(*number)],
            http: None,
            state: NodeState::Active,
        };
        map.nodes = numbers.iter().map(|number| (NodeId(*number), Rc::new(node(number)))).collect();
        self.cell.set(Rc::new(map));
    }

    fn address(&self, number: u16) -> SocketAddr {
        self.world.address(self.machines[usize::from(number) - 1], 7000)
    }

    /// Starts a process on the machine of node `number` that says it is node `says`, of this id.
    fn start(&self, number: u16, says: Option<u16>, id: u128, tls: Option<LinkTls>) -> Process {
        let started: Rc<RefCell<Option<Process>>> = Rc::default();
        let (address, cell) = (self.address(number), self.cell.clone());
        let addresses: Vec<SocketAddr> = (1..=3).map(|number| self.address(number)).collect();
        let result = started.clone();
        self.world.start(self.machines[usize::from(number) - 1], 1, move |rt| {
            let identity = Identity { cluster: 42, node: id, place: says.map(place), start: 1 };
            let mut options = SessionOptions::new(identity, Trust::Everybody);
            options.tls = tls.clone();
            let addresses = addresses.clone();
            let find = move |to: Place| addresses.get(usize::from(to.node.0) - 1).copied();
            let links = Links::new(rt.clone(), LinksOptions::new(options), Rc::new(find));
            links.set_rule(rule(&cell, tls.as_ref().map(|tls| tls.name.clone())));
            links.set_handler(Rc::new(move |request| Box::pin(async move { request })));
            let events: Rc<RefCell<Vec<String>>> = Rc::default();
            let log = events.clone();
            links.set_watcher(Rc::new(move |event| {
                if let LinkEvent::Gone(_, why) | LinkEvent::Refused(_, why) = event {
                    log.borrow_mut().push(why.to_string());
                }
            }));
            *result.borrow_mut() = Some(Process { links: links.clone(), rt: rt.clone(), events });
            async move {
                let listener = rt.listen(address).await.expect("the port is free");
                select(links.serve(listener), links.run()).await;
            }
        });
        self.world.run_for(Duration::from_millis(5));
        started.take().expect("it has started")
    }

    fn asks(&self, from: &Process, to: u16) -> Result<Vec<u8>, CallError> {
        let deadline = from.rt.now().after(Duration::from_secs(1));
        self.world.block_on(from.links.call(place(to), deadline, b"hello".to_vec()))
    }
}

const REFUSED: Result<Vec<u8>, CallError> = Err(CallError::NotServing);

fn answered() -> Result<Vec<u8>, CallError> {
    Ok(b"hello".to_vec())
}

#[test]
fn nodes_with_their_own_certificates_talk_in_both_directions() {
    let (cluster, ours) = (Cluster::new(), Authority::new());
    let a = cluster.start(1, Some(1), 101, ours.node(&["torc", "a.torc"], &ours));
    let b = cluster.start(2, Some(2), 102, ours.node(&["torc", "b.torc"], &ours));
    assert_eq!(cluster.asks(&a, 2), answered());
    assert_eq!(cluster.asks(&b, 1), answered());
    // Who has no number speaks for nobody, and needs no more than the cluster's name.
    let router = cluster.start(3, None, 7, ours.node(&["torc"], &ours));
    assert_eq!(cluster.asks(&router, 1), answered());
}

#[test]
fn a_node_with_the_certificate_of_another_is_refused_whichever_end_connects() {
    for names in [&["torc"][..], &["torc", "c.torc"], &["torc", "a.torc"], &["torc", "b.another"]] {
        let (cluster, ours) = (Cluster::new(), Authority::new());
        let a = cluster.start(1, Some(1), 101, ours.node(&["torc", "a.torc"], &ours));
        let forged = cluster.start(2, Some(2), 102, ours.node(names, &ours));
        assert_eq!(cluster.asks(&forged, 1), REFUSED);
        // Who refuses lets its last words arrive before it ends.
        cluster.world.run_for(Duration::from_secs(1));
        for process in [&a, &forged] {
            assert!(process.saw("certificate is not of the node"), "{:?}", process.events.borrow());
        }
        a.events.borrow_mut().clear();
        assert_eq!(cluster.asks(&a, 2), REFUSED);
        assert!(a.saw("certificate is not of the node"), "{:?}", a.events.borrow());
    }
}

#[test]
fn another_directory_under_a_known_number_is_refused_whichever_end_connects() {
    let cluster = Cluster::new();
    let a = cluster.start(1, Some(1), 101, None);
    let emptied = cluster.start(2, Some(2), 999, None);
    assert_eq!(cluster.asks(&emptied, 1), REFUSED);
    cluster.world.run_for(Duration::from_secs(1));
    assert!(emptied.saw("no member of the cluster") && a.saw("no member of the cluster"));
    assert_eq!(cluster.asks(&a, 2), REFUSED);
    assert!(a.saw("with another data directory"), "{:?}", a.events.borrow());
}

#[test]
fn a_number_that_the_map_does_not_know_yet_waits_for_it_inside_of_tls() {
    let (cluster, ours) = (Cluster::new(), Authority::new());
    let _a = cluster.start(1, Some(1), 101, ours.node(&["torc", "a.torc"], &ours));
    let c = cluster.start(3, Some(3), 103, ours.node(&["torc", "c.torc"], &ours));
    assert_eq!(cluster.asks(&c, 1), REFUSED);
    cluster.know(&[1, 2, 3]);
    cluster.world.run_for(Duration::from_secs(2));
    assert_eq!(cluster.asks(&c, 1), answered());

    let plain = Cluster::new();
    let _a = plain.start(1, Some(1), 101, None);
    let c = plain.start(3, Some(3), 103, None);
    assert_eq!(plain.asks(&c, 1), answered(), "nobody believes it anything before a map names it");
}
