//! `torc router`: DynamoDB's API in front of a cluster, without data of its own.
//!
//! 1. The cluster is found by any of the seeds; the first map comes from there. As long as none answers, requests are answered with "try again", and
//!    so is the health text.
//! 2. Each core has a router and links of its own to every shard. Core 0 follows the catalog's map for all.
//! 3. Any number of routers may run, anywhere; one that stops takes nothing with it.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use model::map::Map;
use model::ring::Ring;
use net::map::MapCell;
use net::mesh::{Mesh, MeshOptions};
use net::watch::Who;
use router::{Router, RouterOptions, Scheme};
use runtime::real::{RealOptions, RealRuntime, RealTask, Stopper};
use runtime::sync::{Either, select, timeout};
use runtime::{Class, CoreId, Runtime};
use serde::Deserialize;

use crate::config::{Config, HttpArgs, Unknown, read_file};
use crate::member::follow;
use crate::outside::{fabric, find_cluster, stranger};
use crate::peers::{PeerArgs, Peers};
use crate::reload::{self, Files};
use crate::serve;

/// When no seed has answered, they are asked again after this.
const SEEDS_PAUSE: Duration = Duration::from_millis(500);

/// How often a core looks whether core 0 has found the cluster.
const LOOK_PERIOD: Duration = Duration::from_millis(5);

/// Other cores have the first map within this, or the next one.
const SHARE_TIME_MAX: Duration = Duration::from_secs(1);

/// The flags of `torc router`, and the keys of its configuration file.
#[derive(clap::Args, Clone, Debug, Default, Deserialize)]
pub struct Args {
    #[command(flatten)]
    #[serde(flatten)]
    router: RouterArgs,

    #[command(flatten)]
    #[serde(flatten)]
    http: HttpArgs,

    #[command(flatten)]
    #[serde(flatten)]
    peers: PeerArgs,

    #[arg(skip)]
    #[serde(flatten)]
    unknown: Unknown,
}

#[derive(clap::Args, Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RouterArgs {
    /// Nodes of the cluster, as they listen for other nodes; one that answers is enough
    #[arg(long, value_name = "ADDRESS:PORT,...", value_delimiter = ',')]
    #[serde(default)]
    seeds: Vec<SocketAddr>,

    /// Cpus to run on, one pinned thread on each [default: those this process may use]
    #[arg(long, value_name = "CPU,...", value_delimiter = ',')]
    #[serde(default)]
    cpus: Vec<usize>,
}

/// What every core needs to know.
struct Core {
    config: Config,
    peers: Peers,
    seeds: Vec<SocketAddr>,
    listens: Vec<(Scheme, SocketAddr)>,
    files: Files,
    /// The cluster's id, once it is found.
    cluster: OnceLock<u128>,
    stopper: Stopper,
    complain: flume::Sender<anyhow::Error>,
    cores: usize,
    listening: AtomicUsize,
    started: Instant,
}

/// Runs a router until it is told to stop.
pub fn run(args: Args, started: Instant) -> anyhow::Result<()> {
    let file = read_file(args.http.config(), |file: &Args| &file.unknown)?;
    let config = Config::of(args.http.or(file.http), None)?;
    let peers = args.peers.or(file.peers).load()?;
    let pick = |flags: RouterArgs, file: RouterArgs| {
        let seeds = if flags.seeds.is_empty() { file.seeds } else { flags.seeds };
        (seeds, if flags.cpus.is_empty() { file.cpus } else { flags.cpus })
    };
    let (seeds, cpus) = pick(args.router, file.router);
    if seeds.is_empty() {
        bail!(
            "which cluster?\n  what to do: give --seeds the addresses on which its nodes listen for other nodes, such as 10.0.0.1:7000"
        );
    }
    let cpus = if cpus.is_empty() { tuning::cpus::read().usable().to_vec() } else { cpus };
    let listens = serve::listens(&config)?;
    let stopper = Stopper::new();
    let (files, poke) = reload::start(&config, cpus.len())?;
    serve::act_on_signals(stopper.clone(), poke)?;
    let (complain, complaints) = flume::unbounded();
    let options = RealOptions { stopper: stopper.clone(), ..RealOptions::diskless(cpus.clone()) };
    let core = Arc::new(Core {
        config,
        peers,
        seeds,
        listens,
        files,
        cluster: OnceLock::new(),
        stopper,
        complain,
        cores: cpus.len(),
        listening: AtomicUsize::new(0),
        started,
    });
    runtime::real::run(options, move |rt| {
        let core = core.clone();
        async move { core.run(rt).await }
    })?;
    complaints.try_recv().map_or(Ok(()), Err)
}

impl Core {
    async fn run(&self, rt: RealRuntime) {
        if let Err(error) = self.try_run(&rt).await {
            let _ = self.complain.send(error);
            self.stopper.stop();
        }
    }

    async fn try_run(&self, rt: &RealRuntime) -> anyhow::Result<()> {
        // Version 0: the router says that it has no map yet.
        let map = MapCell::new(Map::alone(Ring::even(1, 1)));
        let mesh = Mesh::new(rt.clone(), map.clone(), MeshOptions::default());
        let carries = mesh.clone();
        let _carrier = rt.spawn(Class::Foreground, async move { carries.run().await });
        let router = Router::outside(rt.clone(), self.router_options(), map.clone());
        if let Some(setup) = &self.files.tls {
            router.set_tls(setup.clone());
        }
        let mut listeners = Vec::new();
        for (scheme, address) in &self.listens {
            let listening = rt.listen(*address).await;
            listeners.push((*scheme, listening.with_context(|| format!("cannot listen on {address}"))?));
        }
        let _reloader = serve::reload(rt, &self.files, &router);
        let serves = router.clone();
        let server = rt.spawn(Class::Foreground, async move { serves.serve_all(listeners).await });
        if self.listening.fetch_add(1, Ordering::SeqCst) + 1 == self.cores {
            self.say_where();
        }
        let _belongs = match select(self.find(rt, &mesh, &router), rt.stopped()).await {
            Either::First(tasks) => {
                rt.stopped().await;
                tasks
            }
            Either::Second(()) => Vec::new(),
        };
        router.stop();
        // Whoever is not done by then is cut off: dropping the task closes its connections.
        let _ = timeout(rt, serve::DRAIN_TIME_MAX, server).await;
        Ok(())
    }

    /// Finds the cluster and begins to follow it; what has to live as long as the router.
    async fn find(
        &self,
        rt: &RealRuntime,
        mesh: &Mesh<RealRuntime>,
        router: &Rc<Router<RealRuntime>>,
    ) -> Vec<RealTask<()>> {
        if rt.core() != CoreId(0) {
            let cluster = loop {
                match self.cluster.get() {
                    Some(cluster) => break *cluster,
                    None => rt.sleep(LOOK_PERIOD).await,
                }
            };
            let (fabric, links) = fabric(rt, cluster, &self.peers, mesh.map());
            router.join(fabric);
            return vec![links];
        }
        let mut said = String::new();
        let (cluster, map) = loop {
            match find_cluster(rt, &self.seeds, &self.peers).await {
                Ok(found) => break found,
                Err(error) => {
                    let line = format!("{error:#}");
                    if line != said {
                        eprintln!("torc: {line}\ntorc: asking again until one does");
                        said = line;
                    }
                    rt.sleep(SEEDS_PAUSE).await;
                }
            }
        };
        let (fabric, links) = fabric(rt, cluster, &self.peers, mesh.map());
        router.join(fabric.clone());
        self.cluster.get_or_init(|| cluster);
        let nodes = map.nodes.len();
        let _ = mesh.broadcast_map(Rc::new(map), rt.now().after(SHARE_TIME_MAX)).await;
        println!(
            "cluster {cluster:032x}, {nodes} nodes\nready in {:.0} ms",
            self.started.elapsed().as_secs_f64() * 1e3
        );
        let who = Who { watcher: stranger(rt).node, node: None };
        let follower = follow(rt, fabric, mesh.clone(), who, Arc::default());
        vec![links, follower]
    }

    fn router_options(&self) -> RouterOptions {
        RouterOptions {
            region: self.config.region.clone(),
            account: self.config.account.clone(),
            users: self.files.users.clone(),
            ..RouterOptions::default()
        }
    }

    fn say_where(&self) {
        println!("torc {}", env!("CARGO_PKG_VERSION"));
        for (scheme, address) in &self.listens {
            let scheme = if *scheme == Scheme::Http { "http" } else { "https" };
            println!("listening {scheme}://{address}");
        }
    }
}
