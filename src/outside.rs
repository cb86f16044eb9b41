//! Processes without shards that talk to a cluster: `torc router`, `torc ctl`, and a node before it belongs to one.
//!
//! ```text
//! address --hello with no cluster--> "I belong to cluster C" --hello with C--> session --watch--> the cluster's map --> fabric
//! ```
//!
//! 1. Which cluster is there nobody has to know before: a node says its cluster's id to whoever connects, and lets in only who knows the
//!    secret.
//! 2. The first map comes from any address that answers. From then on places are found by the map, as in a node.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{anyhow, bail};
use model::map::Map;
use model::ring::Place;
use net::fabric::Fabric;
use net::founding::NO_CLUSTER;
use net::frame::FrameError;
use net::links::{Links, LinksOptions};
use net::map::MapCell;
use net::message::{ArchivedReply, Operation, Request, Watch, read_reply};
use net::session::{Identity, Reception, Session, SessionError};
use runtime::real::{RealOptions, RealRuntime, RealTask};
use runtime::{Class, Purpose, Runtime};

use crate::peers::Peers;

/// One address has so long for an answer.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(3);

/// Somebody on the other end of an address.
pub struct Contact {
    /// Ends with the contact.
    _carrier: RealTask<()>,
    pub session: Session<RealRuntime>,
    /// Its cluster; `NO_CLUSTER` when it belongs to none.
    pub cluster: u128,
}

/// Who this process is, for as long as it lives.
pub fn stranger(rt: &RealRuntime) -> Identity {
    let draw = || u128::from(rt.random(Purpose::Id));
    Identity { cluster: NO_CLUSTER, node: draw() << 64 | draw(), place: None, start: rt.random(Purpose::Id) }
}

/// Connects to whoever listens at `address`, whatever cluster that belongs to.
pub async fn contact(rt: &RealRuntime, address: SocketAddr, peers: &Peers) -> Result<Contact, SessionError> {
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

async fn connect(
    rt: &RealRuntime,
    address: SocketAddr,
    peers: &Peers,
    identity: Identity,
) -> Result<Session<RealRuntime>, SessionError> {
    Session::connect(rt.clone(), address, peers.session(identity), Rc::new(Reception::new())).await
}

impl Contact {
    /// Asks, and waits for the answer.
    pub async fn ask(&self, rt: &RealRuntime, request: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        let deadline = rt.now().after(ANSWER_TIME_MAX);
        self.session.call(deadline, request).await.map_err(|error| anyhow!("{error}"))
    }

    /// The map that it has; none when it has none yet.
    pub async fn map(&self, rt: &RealRuntime) -> anyhow::Result<Option<Map>> {
        let watch = Watch { have: 0, watcher: 0, node: None, anyone: true };
        let request = Request { epoch: 0, operation: Operation::Watch(watch) };
        let bytes = self.ask(rt, request.encode()).await?;
        match read_reply(&bytes) {
            Ok(ArchivedReply::Map(map)) => match Map::decode(map.as_slice()) {
                Ok(map) => Ok(Some(map)),
                Err(corrupt) => bail!("its map makes no sense: {corrupt}"),
            },
            Ok(ArchivedReply::Done | ArchivedReply::Busy | ArchivedReply::Moved(_)) => Ok(None),
            _ => bail!("it does not answer what it was asked"),
        }
    }
}

/// The cluster that one of `seeds` belongs to, and its map.
///
/// # Errors
/// What each of them said, when none could give a map.
pub async fn find_cluster(
    rt: &RealRuntime,
    seeds: &[SocketAddr],
    peers: &Peers,
) -> anyhow::Result<(u128, Map)> {
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
        said.push(format!("  {seed}: {failure}"));
    }
    bail!("no node of a cluster answers:\n{}", said.join("\n"));
}

/// The way to every shard of a cluster, by the map in `cell`. Ends with the task.
pub fn fabric(
    rt: &RealRuntime,
    cluster: u128,
    peers: &Peers,
    cell: &MapCell,
) -> (Fabric<RealRuntime>, RealTask<()>) {
    let options = LinksOptions::new(peers.session(Identity { cluster, ..stranger(rt) }));
    let links = Links::new(rt.clone(), options, addresses(cell));
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

/// Runs `work` on one core, without a disk, and gives its result.
pub fn run_alone<T, F, Fut>(work: F) -> anyhow::Result<T>
where
    T: Send + 'static,
    F: Fn(RealRuntime) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = T> + 'static,
{
    let cpu = tuning::cpus::read().usable()[0];
    let (answer, answers) = flume::bounded(1);
    runtime::real::run(RealOptions::diskless(vec![cpu]), move |rt| {
        let (answer, work) = (answer.clone(), work.clone());
        async move {
            let result = work(rt).await;
            answer.try_send(result).expect("there is room for the one answer");
        }
    })?;
    Ok(answers.try_recv().expect("the executor answered before it ended"))
}
