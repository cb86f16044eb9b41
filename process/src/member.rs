//! What makes a node with shards a member of a cluster: its links to others, and what it tells and hears beside requests.
//!
//! 1. Each core listens on a port of its own for other nodes and routers, and connects to theirs when it wants them.
//! 2. Core 0 follows the catalog's map and hands it to the other cores; keeps it on the disk, so that the next start finds the others; and announces this node
//!    when the map knows it otherwise than it is: under another address, say.
//! 3. A node that starts answers no client before it has heard of the catalog once, or given up on it for now: tables that were made while
//!    it was away would not be found.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use model::map::Map;
use model::node::{Node, NodeState};
use model::ring::{Place, ShardId};
use net::fabric::Fabric;
use net::founding::NO_CLUSTER;
use net::frame::FrameError;
use net::links::{LinkEvent, Links, LinksOptions};
use net::map::MapCell;
use net::mesh::Mesh;
use net::message::{Announce, ArchivedReply, Cluster, Member, read_reply};
use net::session::{Identity, SessionError};
use net::watch::{Who, watch};
use router::Router;
use runtime::{Class, Runtime};
use shard::{Shard, Wire};

use crate::StartError;
use crate::outside::addresses;
use crate::peers::Peers;

/// A start waits so long for the catalog.
const FIRST_NEWS_MAX: Duration = Duration::from_secs(5);

/// How often a core that starts looks whether it has come.
const NEWS_PERIOD: Duration = Duration::from_millis(5);

/// Other cores have a map within this, or get the next one.
const SHARE_TIME_MAX: Duration = Duration::from_secs(1);

/// Other nodes are answered for so long when this one stops.
const LAST_ANSWERS_MAX: Duration = Duration::from_secs(1);

/// After an announcement that was not taken.
const ANNOUNCE_PAUSE: Duration = Duration::from_millis(500);

/// Maps are kept on the disk at most so often.
const REMEMBER_PAUSE: Duration = Duration::from_millis(200);

/// After a map that could not be kept.
const REMEMBER_AGAIN: Duration = Duration::from_secs(1);

/// Takes a line for whoever runs the process.
pub type Report = Rc<dyn Fn(&str)>;

/// A node's part in its cluster. One for all of its cores: it may cross threads.
pub struct Membership {
    /// The cluster's id.
    pub cluster: u128,
    /// This node as it is now.
    pub node: Node,
    /// Drawn at this start.
    pub start: u64,
    /// Where its shards listen for other nodes, by shard.
    pub listens: Vec<SocketAddr>,
    /// Whom it trusts.
    pub peers: Peers,
    /// The cluster's map as it was last known, encoded: maps do not cross threads.
    pub map: Vec<u8>,
    /// Whether the catalog has been heard of since the start.
    pub heard: Arc<AtomicBool>,
    /// The node has begun before: `shard::node::has_begun`.
    pub begun: bool,
    /// Shards that are open since the start.
    pub opened: Arc<AtomicUsize>,
}

/// What one core does for its membership. Ends with this.
pub struct Tasks<R: Runtime> {
    fabric: Fabric<R>,
    links: Links<R>,
    report: Report,
    tasks: Vec<R::Task<()>>,
}

impl Membership {
    /// The cluster's map as it was last known.
    pub fn map(&self) -> Map {
        Map::decode(&self.map).expect("it was read from the disk, or from a message, and checked there")
    }

    /// For the banner.
    pub fn describe(&self) -> String {
        let Node { number, name, zone, .. } = &self.node;
        format!(
            "node {} {name:?} in zone {zone:?}; other nodes reach it at {}; who proves it with: {}",
            number.0,
            self.node.addresses[0],
            self.peers.describe()
        )
    }

    /// Makes a core's links, and listens for those of others; nobody answers requests yet.
    pub(crate) async fn connect<R: Runtime>(
        &self,
        rt: &R,
        mesh: &Mesh<R>,
        report: Report,
    ) -> Result<Tasks<R>, StartError> {
        let place = Place { node: self.node.number, shard: ShardId(rt.core().0) };
        let identity =
            Identity { cluster: self.cluster, node: self.node.id, place: Some(place), start: self.start };
        let options = LinksOptions::new(self.peers.session(identity));
        let links = Links::new(rt.clone(), options, addresses(mesh.map()));
        links.set_rule(self.peers.rule(mesh.map()));
        links.set_watcher(report_refusals(report.clone()));
        let address = self.listens[usize::from(rt.core().0)];
        let listening = rt.listen(address).await;
        let listener = listening.map_err(|source| StartError::ListenForPeers { address, source })?;
        let (runs, serves) = (links.clone(), links.clone());
        let tasks = vec![
            rt.spawn(Class::Foreground, async move { runs.run().await }),
            rt.spawn(Class::Foreground, async move { serves.serve(listener).await }),
        ];
        let fabric = Fabric::new(self.node.number, mesh.clone(), links.clone());
        Ok(Tasks { fabric, links, report, tasks })
    }

    /// The shard is open: others may ask it now. Returns when clients may, too.
    pub(crate) async fn begin<R: Runtime>(
        &self,
        rt: &R,
        tasks: &mut Tasks<R>,
        shard: &Rc<Shard<R>>,
        router: &Rc<Router<R>>,
        data: &Path,
    ) {
        let fabric = tasks.fabric();
        shard.set_far(Rc::new(move |to, deadline, request| {
            let fabric = fabric.clone();
            Box::pin(async move { fabric.call(to, deadline, request).await })
        }));
        tasks.links.set_handler(shard.handler());
        let receives = shard.clone();
        tasks.links.set_receiver(Rc::new(move |node, _shard, payload| receives.receive(node, payload)));
        if rt.core().0 == 0 {
            self.speak_for_all(rt, tasks, router, data);
        }
        first_news(rt, &self.heard).await;
    }

    /// What core 0 does for all cores: it follows the catalog, keeps its map, and announces this node.
    fn speak_for_all<R: Runtime>(&self, rt: &R, tasks: &mut Tasks<R>, router: &Rc<Router<R>>, data: &Path) {
        let mesh = tasks.fabric.mesh().expect("a node has one").clone();
        let who = Who { watcher: self.node.id, node: Some(self.node.number) };
        tasks.tasks.push(follow(rt, tasks.fabric(), mesh.clone(), who, self.heard.clone()));
        let (clock, cell, dir) = (rt.clone(), mesh.map().clone(), data.to_path_buf());
        let report = tasks.report.clone();
        let remembers = async move { remember(&clock, &cell, &dir, &report).await };
        tasks.tasks.push(rt.spawn(Class::Background, remembers));
        let (clock, cell, router, node) = (rt.clone(), mesh.map().clone(), router.clone(), self.node.clone());
        let report = tasks.report.clone();
        if !self.begun {
            let (clock, data, report) = (rt.clone(), data.to_path_buf(), report.clone());
            let (opened, shards) = (self.opened.clone(), self.listens.len());
            let begins = async move { begin(&clock, &data, &opened, shards, &report).await };
            tasks.tasks.push(rt.spawn(Class::Background, begins));
        }
        let announces = async move { announce(&clock, &cell, &router, &node, &report).await };
        tasks.tasks.push(rt.spawn(Class::Background, announces));
    }
}

impl<R: Runtime> Tasks<R> {
    /// The way to every shard.
    pub fn fabric(&self) -> Fabric<R> {
        self.fabric.clone()
    }

    /// This core's ways to other nodes.
    pub fn links(&self) -> Links<R> {
        self.links.clone()
    }

    /// How this core's shard reaches others.
    pub(crate) fn wire(&self) -> Wire {
        let (links, fabric) = (self.links.clone(), self.fabric.clone());
        Wire {
            tell: Rc::new(move |to, payload| links.tell(to, payload)),
            call: Rc::new(move |to, deadline, request| {
                let fabric = fabric.clone();
                Box::pin(async move { fabric.call(to, deadline, request).await })
            }),
        }
    }

    /// No other node is answered any more, but for what it has asked already: a write that was handed on with its vnode is committed by whoever leads
    /// now, and its client must not hear that nobody knows.
    pub(crate) async fn leave(&self, rt: &R, shard: &Shard<R>) {
        self.links.clear_handler();
        let began = rt.now();
        while shard.operations() > 0 && rt.now().since(began) < LAST_ANSWERS_MAX {
            rt.sleep(NEWS_PERIOD).await;
        }
        // The last answers are on their way out.
        rt.sleep(NEWS_PERIOD).await;
        self.links.stop();
    }
}

/// Waits until the catalog has been heard of, or is given up on for now.
pub(crate) async fn first_news<R: Runtime>(rt: &R, heard: &AtomicBool) {
    let began = rt.now();
    while !heard.load(Ordering::SeqCst) && rt.now().since(began) < FIRST_NEWS_MAX {
        rt.sleep(NEWS_PERIOD).await;
    }
}

/// Follows the catalog's map for all cores of this process; `heard` says whether it was heard of.
pub fn follow<R: Runtime>(
    rt: &R,
    fabric: Fabric<R>,
    mesh: Mesh<R>,
    who: Who,
    heard: Arc<AtomicBool>,
) -> R::Task<()> {
    let clock = rt.clone();
    rt.spawn(Class::Foreground, async move {
        let call = async |place, deadline, request| {
            let answer = fabric.call(place, deadline, request).await;
            if matches!(answer.as_deref().map(read_reply), Ok(Ok(ArchivedReply::Done))) {
                heard.store(true, Ordering::SeqCst);
            }
            answer
        };
        let take = async |map| {
            // A core that is too busy to take this one will be given the next one.
            let _ = mesh.broadcast_map(map, clock.now().after(SHARE_TIME_MAX)).await;
            heard.store(true, Ordering::SeqCst);
        };
        match watch(&clock, mesh.map(), who, call, take).await {}
    })
}

/// Says once in a row who was refused and why: a wrong secret is the operator's to mend, and nobody else notices.
fn report_refusals(report: Report) -> Rc<dyn Fn(LinkEvent<'_>)> {
    let last = RefCell::new(String::new());
    Rc::new(move |event| {
        let (whom, error) = match event {
            LinkEvent::Gone(place, error) => {
                (format!("node {} shard {}", place.node.0, place.shard.0), error)
            }
            LinkEvent::Refused(from, error) => (format!("{}", from.ip()), error),
            LinkEvent::There(_) => return,
        };
        // What comes and goes is no news; who does not belong is. Who belongs nowhere only asks which cluster this is.
        if matches!(error, SessionError::Frame(FrameError::Cluster { theirs: NO_CLUSTER, .. })) {
            return;
        }
        if matches!(error, SessionError::Refused(_) | SessionError::Frame(_)) {
            let line = format!("{whom}: {error}");
            if *last.borrow() != line {
                report(&line);
                *last.borrow_mut() = line;
            }
        }
    })
}

/// Notes on the disk that all shards were open, once they are.
async fn begin<R: Runtime>(rt: &R, data: &Path, opened: &AtomicUsize, shards: usize, report: &Report) {
    while opened.load(Ordering::SeqCst) < shards {
        rt.sleep(NEWS_PERIOD).await;
    }
    if let Err(error) = shard::node::begin(rt, data).await {
        report(&format!("it cannot be noted that this node has begun: {error}"));
    }
}

/// Keeps the newest map on the disk, whenever nodes or replicas have changed; tries again where that fails.
async fn remember<R: Runtime>(rt: &R, cell: &MapCell, data: &Path, report: &Report) {
    let mut kept = cell.get();
    let mut said = String::new();
    loop {
        let map = cell.at_least(kept.version + 1).await;
        let is_same =
            map.nodes == kept.nodes && map.ring.epoch == kept.ring.epoch && map.tables == kept.tables;
        if !is_same && let Err(error) = shard::node::keep(rt, data, &map).await {
            // Until then the older one will do, as long as others have not all moved.
            let line = format!("the cluster's map cannot be kept: {error}");
            if line != said {
                report(&line);
                said = line;
            }
            rt.sleep(REMEMBER_AGAIN).await;
            continue;
        }
        said.clear();
        kept = map;
        rt.sleep(REMEMBER_PAUSE).await;
    }
}

/// Tells the catalog who and where this node is, whenever the map says otherwise.
async fn announce<R: Runtime>(rt: &R, cell: &MapCell, router: &Rc<Router<R>>, node: &Node, report: &Report) {
    let mut said = String::new();
    loop {
        let map = cell.get();
        let known = map.nodes.get(&node.number);
        if known.is_some_and(|known| known.state == NodeState::Removed) {
            report(
                "this node was removed from the cluster: nothing is kept here any more\n  what to do: stop it; to use the machine again, \
                 start with an empty data directory and torc ctl join",
            );
            return;
        }
        let is_known = known.is_some_and(|known| Node { state: node.state, ..Node::clone(known) } == *node);
        if is_known {
            cell.at_least(map.version + 1).await;
            continue;
        }
        let change = Cluster::Announce(Announce { node: node.number.0, member: member_of(node) });
        if let Err(error) = router.ask_cluster(change).await {
            let line = format!("the cluster does not take this node back: {}", error.message);
            if error.code.status() < 500 && line != said {
                report(&line);
                said = line;
            }
            rt.sleep(ANNOUNCE_PAUSE).await;
        }
        // The map that has it comes from the catalog.
        let _ = runtime::sync::timeout(rt, ANNOUNCE_PAUSE, cell.at_least(map.version + 1)).await;
    }
}

/// A node as it presents itself.
pub fn member_of(node: &Node) -> Member {
    Member {
        id: node.id,
        name: node.name.clone(),
        zone: node.zone.clone(),
        addresses: node.addresses.iter().map(SocketAddr::to_string).collect(),
        http: node.http.map(|http| http.to_string()),
    }
}

#[cfg(test)]
mod tests;
