//! Which way a call takes.

use super::*;
use crate::links::{LinksOptions, Watcher};
use crate::map::MapCell;
use crate::mesh::{Handler, MeshOptions};
use crate::secret::Trust;
use crate::session::{Identity, SessionOptions};
use model::map::Map;
use model::ring::{Ring, ShardId};
use runtime::CoreId;
use runtime::sim::{SimRuntime, World, WorldOptions};
use runtime::sync::select;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

fn place(node: u16, shard: u16) -> Place {
    Place { node: NodeId(node), shard: ShardId(shard) }
}

fn named(node: u16, shard: u16) -> Handler {
    Rc::new(move |request| Box::pin(async move { format!("{node}.{shard} {}", request.len()).into_bytes() }))
}

fn mesh_of(rt: &SimRuntime, node: u16) -> Mesh<SimRuntime> {
    let map = MapCell::new(Map::alone(Ring::even(2, 2)));
    let mesh = Mesh::new(rt.clone(), map, MeshOptions::default());
    mesh.set_handler(named(node, rt.core().0));
    mesh
}

/// Each shard of node n listens on port 7000 plus its number, on the machine with that index.
fn links_of(rt: &SimRuntime, place: Option<Place>, address: fn(Place) -> SocketAddr) -> Links<SimRuntime> {
    let identity = Identity { cluster: 1, node: u128::from(rt.node().0), place, start: 1 };
    let options = LinksOptions::new(SessionOptions::new(identity, Trust::Everybody));
    let links = Links::new(rt.clone(), options, Rc::new(move |place| Some(address(place))));
    let quiet: Watcher = Rc::new(|_event| ());
    links.set_watcher(quiet);
    links
}

fn address_of(place: Place) -> SocketAddr {
    SocketAddr::from(([10, 1, 0, place.node.0 as u8], 7000 + place.shard.0))
}

/// What core 0 of node 0 hears from all places, through the fabric that `make` gives it.
fn heard(make: fn(&SimRuntime) -> Fabric<SimRuntime>) -> Vec<Result<String, CallError>> {
    let world = World::new(1, WorldOptions::default());
    let machines = [world.node("zero"), world.node("one")];
    let fabric: Rc<RefCell<Option<Fabric<SimRuntime>>>> = Rc::default();
    for (number, machine) in (0..).zip(machines) {
        let fabric = fabric.clone();
        world.start(machine, 2, move |rt| {
            let own = match number {
                0 => make(&rt),
                _ => {
                    let links = links_of(&rt, Some(place(1, rt.core().0)), address_of);
                    links.set_handler(named(1, rt.core().0));
                    Fabric::new(NodeId(1), mesh_of(&rt, 1), links)
                }
            };
            if number == 0 && rt.core() == CoreId(0) {
                *fabric.borrow_mut() = Some(own.clone());
            }
            async move {
                let listener = rt.listen(address_of(place(number, rt.core().0))).await.expect("it is free");
                let mesh = async {
                    match own.mesh() {
                        Some(mesh) => mesh.run().await,
                        None => std::future::pending().await,
                    }
                };
                let links = async {
                    match own.links() {
                        Some(links) => select(links.run(), links.serve(listener)).await,
                        None => std::future::pending().await,
                    }
                };
                select(mesh, links).await;
            }
        });
    }
    world.run_for(Duration::from_millis(5));
    let (rt, fabric) = (world.runtime(machines[0]), fabric.borrow().clone().expect("core 0 made it"));
    let places = [place(0, 0), place(0, 1), place(1, 0), place(1, 1), place(1, 9)];
    let calls = places.map(|to| {
        let outcome = world.block_on(fabric.call(to, rt.now().after(Duration::from_millis(200)), vec![0; 7]));
        outcome.map(|reply| String::from_utf8(reply).expect("it is text"))
    });
    calls.to_vec()
}

const NOBODY: Result<String, CallError> = Err(CallError::NotServing);

fn said(words: &str) -> Result<String, CallError> {
    Ok(words.to_owned())
}

#[test]
fn a_node_alone_reaches_its_own_shards() {
    let heard = heard(|rt| Fabric::alone(mesh_of(rt, 0)));
    assert_eq!(heard, [said("0.0 7"), said("0.1 7"), NOBODY, NOBODY, NOBODY]);
}

#[test]
fn a_node_reaches_its_own_shards_and_those_of_others() {
    let heard = heard(|rt| {
        let links = links_of(rt, Some(place(0, rt.core().0)), address_of);
        let fabric = Fabric::new(NodeId(0), mesh_of(rt, 0), links);
        assert_eq!(fabric.node(), Some(NodeId(0)));
        fabric
    });
    assert_eq!(heard, [said("0.0 7"), said("0.1 7"), said("1.0 7"), said("1.1 7"), NOBODY]);
}

/// It has links to itself and would be told so: every place is elsewhere.
#[test]
fn a_process_without_shards_reaches_all_through_links() {
    let heard = heard(|rt| {
        let fabric = Fabric::outside(links_of(rt, None, address_of));
        assert_eq!(fabric.node(), None);
        fabric
    });
    assert_eq!(heard, [NOBODY, NOBODY, said("1.0 7"), said("1.1 7"), NOBODY]);
}
