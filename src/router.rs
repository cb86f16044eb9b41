//! `torc router`: DynamoDB's API in front of a cluster, without data of its own.
//!
//! 1. The cluster is found by any of the seeds; the first map comes from there. As long as none answers, requests are answered with "try again", and
//!    so is the health text.
//! 2. Each core has a router and links of its own to every shard. Core 0 follows the catalog's map for all.
//! 3. Any number of routers may run, anywhere; one that stops takes nothing with it.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use anyhow::{anyhow, bail};
use process::front::{Found, Front};
use process::outside::NotFound;
use router::Scheme;
use runtime::real::{RealOptions, RealRuntime, Stopper};
use runtime::sync::{Either, select};
use runtime::{CoreId, Runtime};
use serde::Deserialize;

use crate::config::{Config, HttpArgs, Unknown, read_file};
use crate::peers::{PeerArgs, Peers};
use crate::reload::{self, Files};
use crate::say;
use crate::serve;

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
    /// Cores that know the cluster.
    joined: AtomicUsize,
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
        joined: AtomicUsize::new(0),
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
        let mut front = Front::open(rt, self.config.router_options(self.files.users.clone()));
        if let Some(setup) = &self.files.tls {
            front.router().set_tls(setup.clone());
        }
        front.serve(&self.listens).await.map_err(|error| anyhow!("{error}"))?;
        let _reloader = serve::reload(rt, &self.files, front.router());
        if self.listening.fetch_add(1, Ordering::SeqCst) + 1 == self.cores {
            self.say_where();
        }
        let _belongs = match select(self.find(rt, &front), rt.stopped()).await {
            Either::First(found) => {
                rt.stopped().await;
                Some(found)
            }
            Either::Second(()) => None,
        };
        front.stop().await;
        Ok(())
    }

    /// Finds the cluster, and says what comes of it.
    async fn find(&self, rt: &RealRuntime, front: &Front<RealRuntime>) -> Found<RealRuntime> {
        let said = RefCell::new(String::new());
        let complain = |nobody: &NotFound| {
            let line = nobody.to_string();
            if *said.borrow() != line {
                say::warn(format_args!("{line}\ntorc: asking again until one does"));
                *said.borrow_mut() = line;
            }
        };
        let found = front.find(&self.seeds, &self.peers, &self.cluster, complain).await;
        if rt.core() == CoreId(0) {
            say::line(format_args!("cluster {:032x}, {} nodes", found.cluster, found.nodes));
        }
        // A connection may come to any core: all of them must know the cluster.
        if self.joined.fetch_add(1, Ordering::SeqCst) + 1 == self.cores {
            say::line(format_args!("ready in {:.0} ms", self.started.elapsed().as_secs_f64() * 1e3));
        }
        found
    }

    fn say_where(&self) {
        say::line(format_args!("torc {}", env!("CARGO_PKG_VERSION")));
        for (scheme, address) in &self.listens {
            let what = if *scheme == Scheme::Metrics { "metrics" } else { "listening" };
            say::line(format_args!("{what} {}", serve::url(*scheme, *address)));
        }
    }
}
