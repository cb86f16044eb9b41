//! Who talks to a cluster without being a node of it: a router, `torc ctl`, and a node before it belongs to one.
//!
//! ```text
//! address --hello with no cluster--> "I belong to cluster C" --hello with C--> session --watch--> the cluster's map --> fabric
//! ```
//!
//! 1. Which cluster is there nobody has to know before: a node says its cluster's id to whoever connects, and lets in only who knows the
//!    secret.
//! 2. The first map comes from any address that answers. From then on places are found by the map, as in a node.

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use model::map::Map;
use model::ring::Place;
use net::fabric::Fabric;
use net::founding::NO_CLUSTER;
use net::frame::FrameError;
use net::links::{Links, LinksOptions};
use net::map::MapCell;
use net::mesh::CallError;
use net::message::{ArchivedReply, Operation, Request, Watch, read_reply};
use net::session::{Identity, Reception, Session, SessionError};
use runtime::{Class, Purpose, Runtime};

use crate::peers::Peers;

/// One address has so long for an answer.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(3);

/// Somebody on the other end of an address.
pub struct Contact<R: Runtime> {
    /// Ends with the contact.
    _carrier: R::Task<()>,
    /// The way to it.
    pub session: Session<R>,
    /// Its cluster; `NO_CLUSTER` when it belongs to none.
    pub cluster: u128,
}

/// Why a map was not learned from somebody who was reached.
#[derive(Debug)]
pub enum MapError {
    /// No answer.
    Call(CallError),
    /// What it gave is no map; what is wrong with it.
    Senseless(String),
    /// It answers something else.
    NoMap,
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MapError::Call(error) => write!(f, "{error}"),
            MapError::Senseless(what) => write!(f, "its map makes no sense: {what}"),
            MapError::NoMap => f.write_str("it does not answer what it was asked"),
        }
    }
}

impl std::error::Error for MapError {}

/// None of the addresses led to a cluster; what each of them said.
#[derive(Debug)]
pub struct NotFound {
    /// The addresses, each with what came of it.
    pub said: Vec<(SocketAddr, String)>,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no node of a cluster answers:")?;
        self.said.iter().try_for_each(|(address, what)| write!(f, "\n  {address}: {what}"))
    }
}

impl std::error::Error for NotFound {}

/// Who this process is, for as long as it lives.
pub fn stranger<R: Runtime>(rt: &R) -> Identity {
    let draw = || u128::from(rt.random(Purpose::Id));
    Identity { cluster: NO_CLUSTER, node: draw() << 64 | draw(), place: None, start: rt.random(Purpose::Id) }
}

/// Connects to whoever listens at `address`, whatever cluster that belongs to.
pub async fn contact<R: Runtime>(
    rt: &R,
    address: SocketAddr,
    peers: &Peers,
) -> Result<Contact<R>, SessionError> {
    let mut identity = stranger(rt);
    let mut attempt = connect(rt, address, peers, identity).await;
    if let Err(SessionError::Frame(FrameError::Cluster { theirs, .. })) = attempt {
        identity.cluster = theirs;
        attempt = connect(rt, address, peers, identity).await;
    }
    let session = attempt?;
    let runs = session.clone();
    let _carrier = rt.spawn(Class::Foreground, async move {
        runs.run().await;
    });
    Ok(Contact { _carrier, session, cluster: identity.cluster })
}

async fn connect<R: Runtime>(
    rt: &R,
    address: SocketAddr,
    peers: &Peers,
    identity: Identity,
) -> Result<Session<R>, SessionError> {
    Session::connect(rt.clone(), address, peers.session(identity), Rc::new(Reception::new())).await
}

impl<R: Runtime> Contact<R> {
    /// Asks, and waits for the answer.
    pub async fn ask(&self, rt: &R, request: Vec<u8>) -> Result<Vec<u8>, CallError> {
        let deadline = rt.now().after(ANSWER_TIME_MAX);
        self.session.call(deadline, request).await
    }

    /// The map that it has; none when it has none yet.
    pub async fn map(&self, rt: &R) -> Result<Option<Map>, MapError> {
        let watch = Watch { have: 0, watcher: 0, node: None, anyone: true };
        let request = Request { epoch: 0, operation: Operation::Watch(watch) };
        let bytes = self.ask(rt, request.encode()).await.map_err(MapError::Call)?;
        match read_reply(&bytes) {
            Ok(ArchivedReply::Map(map)) => match Map::decode(map.as_slice()) {
                Ok(map) => Ok(Some(map)),
                Err(corrupt) => Err(MapError::Senseless(corrupt.to_string())),
            },
            Ok(ArchivedReply::Done | ArchivedReply::Busy | ArchivedReply::Moved(_)) => Ok(None),
            _ => Err(MapError::NoMap),
        }
    }
}

/// The cluster that one of `seeds` belongs to, and its map.
///
/// # Errors
/// What each of them said, when none could give a map.
pub async fn find_cluster<R: Runtime>(
    rt: &R,
    seeds: &[SocketAddr],
    peers: &Peers,
) -> Result<(u128, Map), NotFound> {
    let mut said = Vec::new();
    for seed in seeds {
        let failure = match contact(rt, *seed, peers).await {
            Err(error) => error.to_string(),
            Ok(contact) if contact.cluster == NO_CLUSTER => {
                "it belongs to no cluster yet: torc ctl cluster init, or join".to_string()
            }
            Ok(contact) => match contact.map(rt).await {
                Ok(Some(map)) => return Ok((contact.cluster, map)),
                Ok(None) => "it has no map yet".to_string(),
                Err(error) => error.to_string(),
            },
        };
        said.push((*seed, failure));
    }
    Err(NotFound { said })
}

/// The way to every shard of a cluster, by the map in `cell`. Ends with the task.
pub fn fabric<R: Runtime>(rt: &R, cluster: u128, peers: &Peers, cell: &MapCell) -> (Fabric<R>, R::Task<()>) {
    let options = LinksOptions::new(peers.session(Identity { cluster, ..stranger(rt) }));
    let links = Links::new(rt.clone(), options, addresses(cell));
    links.set_rule(peers.rule(cell));
    let runs = links.clone();
    let carrier = rt.spawn(Class::Foreground, async move { runs.run().await });
    (Fabric::outside(links), carrier)
}

/// Where places are, by the map of the moment.
pub fn addresses(cell: &MapCell) -> Rc<dyn Fn(Place) -> Option<SocketAddr>> {
    let cell = cell.clone();
    Rc::new(move |place| {
        let map = cell.get();
        map.nodes.get(&place.node)?.addresses.get(usize::from(place.shard.0)).copied()
    })
}
