//! `torc serve`: one node, a router and a shard on every core.
//!
//! 1. What the host must offer is tried first, and what is missing is said with what to do about it.
//! 2. The data directory is locked; its identity is read, or founded.
//! 3. One pinned executor per shard: each opens its shard (replaying its log), then listens.
//! 4. When all listen, the banner says what was bound. `listening URL` and `ready` are lines that programs may wait for.
//!    From then on files of users and certificates are read again when they change, and on SIGHUP.
//! 5. Ctrl-C or SIGTERM: routers finish what is under way, shards flush and close, the process ends with success.
//!    A second Ctrl-C ends it at once.
//!
//! A shard whose disk fails takes the whole process down: an acknowledged write must not depend on luck.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use model::ring::{NodeId, ShardId};
use process::member::Membership;
use process::node::{Core, CoreOptions};
use router::{Router, Scheme};
use runtime::real::{Probe, RealOptions, RealRuntime, RealTask, Stopper, check_port_free, probe};
use runtime::sync::{Either, select};
use runtime::{Class, Runtime};
use shard::ShardOptions;
use shard::node::Identity;
use tuning::profile::Use;

use crate::config::{Compressions, Config, show_bytes};
use crate::cuts;
use crate::data_dir::DataDir;
use crate::device_profile;
use crate::reload::{self, Change, Files, Poke};
use crate::say;

/// Vnodes per shard of a new node; a cluster will have 256 in all.
const VNODES_PER_SHARD: u32 = 8;

/// How often a core looks for changed files.
const CHANGES_PERIOD: Duration = Duration::from_millis(250);

/// Runs a node that is alone until it is told to stop. `started` is when the process began, for the banner.
pub fn run(config: Config, started: Instant) -> anyhow::Result<()> {
    let listens = listens(&config)?;
    let data = DataDir::open(&config.data_dir)?;
    let probe = check_host(&data)?;
    let device = device_profile::load(&config, data.path())?;
    let cpus = tuning::cpus::read().usable().to_vec();
    let shards_default = u16::try_from(cpus.len()).unwrap_or(u16::MAX);
    let identity = identify(data.path(), cpus[0], config.shards, shards_default)?;
    start(Setup { config, listens, data, probe, device, cpus, identity, member: None, cuts: None, started })
}

/// What the host must offer, tried; an error says what is missing.
pub fn check_host(data: &DataDir) -> anyhow::Result<Probe> {
    let probe = probe(data.path());
    match probe.obstacle() {
        Some(obstacle) => bail!("{obstacle}"),
        None => Ok(probe),
    }
}

/// What a process with shards runs with.
pub struct Setup {
    pub config: Config,
    /// What is served where.
    pub listens: Vec<(Scheme, SocketAddr)>,
    pub data: DataDir,
    pub probe: Probe,
    /// What the device profile says, if there is one.
    pub device: Option<Use>,
    /// Cpus to use, in turn.
    pub cpus: Vec<usize>,
    pub identity: Identity,
    /// Its part in a cluster, if it has one.
    pub member: Option<Membership>,
    /// A file that names cuts of the network, for tests.
    pub cuts: Option<PathBuf>,
    pub started: Instant,
}

/// Runs all shards until the process is told to stop.
pub fn start(setup: Setup) -> anyhow::Result<()> {
    let Setup { config, listens, data, probe, device, cpus, identity, member, cuts, started } = setup;
    let shard_count = usize::from(identity.shard_count);
    let stopper = Stopper::new();
    let (files, poke) = reload::start(&config, shard_count)?;
    act_on_signals(stopper.clone(), poke)?;
    let (complain, complaints) = flume::unbounded();
    let cores: Vec<usize> = cpus.iter().copied().cycle().take(shard_count).collect();
    let options = RealOptions {
        stopper: stopper.clone(),
        spin_before_sleep: device
            .as_ref()
            .map_or(Duration::ZERO, |device| Duration::from_micros(device.spin_us)),
        ..RealOptions::new(cores.clone(), data.path())
    };
    let banner = Banner {
        data: data.path().to_path_buf(),
        probe,
        cores,
        memory_bytes: config.memory_bytes_per_shard(shard_count)? * shard_count as u64,
        listens: listens.clone(),
        cluster: member.as_ref().map(Membership::describe),
        device,
        access: Banner::access(&config, &files),
        key: if files.users.is_some() { "" } else { "AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any " },
        region: config.region.clone(),
        started,
        listening: AtomicUsize::new(0),
    };
    let node = Arc::new(Node {
        data_dir: data.path().to_path_buf(),
        listens,
        files,
        identity,
        member: member.map(Arc::new),
        cuts,
        config,
        device,
        banner,
        stopper,
        complain,
        drained: AtomicUsize::new(0),
    });
    let outcome = runtime::real::run(options, move |rt| {
        let node = node.clone();
        async move { node.run(rt).await }
    });
    outcome?;
    match complaints.try_recv() {
        Ok(complaint) => Err(complaint),
        Err(_) => Ok(()),
    }
}

/// What is served where, every port known and free.
pub fn listens(config: &Config) -> anyhow::Result<Vec<(Scheme, SocketAddr)>> {
    let http = config.http.map(|address| (Scheme::Http, address));
    let https = config.https.as_ref().map(|https| (Scheme::Https, https.address));
    let metrics = config.metrics.map(|address| (Scheme::Metrics, address));
    let free = |(scheme, address): (Scheme, SocketAddr)| {
        let flag = match scheme {
            Scheme::Http => "--http",
            Scheme::Https => "--https",
            Scheme::Metrics => "--metrics",
        };
        let found = check_port_free(address).with_context(|| {
            format!(
                "cannot listen on {address}\n  what to do: stop what listens there, or choose another {flag}"
            )
        });
        Ok((scheme, found?))
    };
    http.into_iter().chain(https).chain(metrics).map(free).collect()
}

/// Reads who lives in the data directory, or founds it, on an executor of its own that ends with the answer.
fn identify(data: &Path, cpu: usize, asked: Option<usize>, shards_default: u16) -> anyhow::Result<Identity> {
    let options = RealOptions::new(vec![cpu], data);
    let (answer, answers) = flume::bounded(1);
    let (shown, data) = (data, data.to_path_buf());
    let asked = asked.map(|count| u16::try_from(count).unwrap_or(u16::MAX));
    runtime::real::run(options, move |rt| {
        let (answer, data) = (answer.clone(), data.clone());
        async move {
            let founded = asked.unwrap_or(shards_default);
            let identity = match shard::node::read(&rt, &data).await {
                Ok(Some(identity)) if identity.number != NodeId(0) => Ok(identity),
                Ok(Some(_)) => shard::node::open(&rt, &data, asked, VNODES_PER_SHARD).await,
                Ok(None) => {
                    let vnodes = u32::from(founded) * VNODES_PER_SHARD;
                    shard::node::found(&rt, &data, founded, vnodes).await
                }
                Err(error) => Err(error),
            };
            answer.try_send(identity).expect("there is room for the one answer");
        }
    })?;
    let identity: Identity = answers.try_recv().expect("the executor answered before it ended")?;
    if identity.number != NodeId(0) {
        bail!(
            "{} belongs to a cluster, as its node {}\n  what to do: start it with torc node, or choose another --data-dir",
            shown.display(),
            identity.number.0
        );
    }
    Ok(identity)
}

/// The first SIGINT or SIGTERM asks for a clean stop; the second ends the process at once. SIGHUP has files read again.
pub fn act_on_signals(stopper: Stopper, poke: Poke) -> anyhow::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    #[expect(clippy::disallowed_methods, reason = "signals need a thread that is pinned nowhere")]
    std::thread::spawn(move || {
        let mut is_stopping = false;
        for signal in signals.forever() {
            if signal == SIGHUP {
                // One that waits already will do.
                let _ = poke.try_send(());
                continue;
            }
            if is_stopping {
                say::warn("stopping at once");
                std::process::exit(128 + signal);
            }
            is_stopping = true;
            say::warn("stopping; once more to stop at once");
            stopper.stop();
        }
    });
    Ok(())
}

/// What every core needs to know; shared, and never changed but by counting.
struct Node {
    data_dir: PathBuf,
    listens: Vec<(Scheme, SocketAddr)>,
    files: Files,
    identity: Identity,
    member: Option<Arc<Membership>>,
    cuts: Option<PathBuf>,
    config: Config,
    /// What the device profile says, if there is one.
    device: Option<Use>,
    banner: Banner,
    stopper: Stopper,
    /// Takes the reason why a core could not go on.
    complain: flume::Sender<anyhow::Error>,
    /// Cores whose router has answered its last request.
    drained: AtomicUsize,
}

/// What runs on one core.
struct Running {
    core: Core<RealRuntime>,
    /// Takes what was read again; follows the file of cuts.
    _followers: Vec<RealTask<()>>,
}

impl Node {
    /// Runs one core until the stop; a failure stops all cores.
    async fn run(&self, rt: RealRuntime) {
        let shard = rt.core();
        let outcome = self.try_run(rt).await;
        // However it ended: nobody shall wait for this core's router.
        self.drained.fetch_add(1, Ordering::SeqCst);
        if let Err(error) = outcome {
            let error = error.context(format!("shard {} cannot go on", shard.0));
            let _ = self.complain.send(error);
            self.stopper.stop();
        }
    }

    /// Starts, serves until the stop, and ends in order. A stop during the start, because another core cannot go on, ends it
    /// where it stands: the catalog would wait for that core for ever.
    async fn try_run(&self, rt: RealRuntime) -> anyhow::Result<()> {
        let mut running = match select(self.start(&rt), rt.stopped()).await {
            Either::First(started) => started?,
            Either::Second(()) => return Ok(()),
        };
        self.banner.core_listens();
        match select(running.core.ended(), rt.stopped()).await {
            Either::First(ended) => ended.map_err(leave_core)?,
            Either::Second(()) => {}
        }
        running.core.stop(&self.drained).await.map_err(leave_core)
    }

    async fn start(&self, rt: &RealRuntime) -> anyhow::Result<Running> {
        let options = CoreOptions {
            data: self.data_dir.clone(),
            shard: self.shard_options(rt)?,
            router: self.config.router_options(self.files.users.clone()),
            member: self.member.clone(),
        };
        let mut core = Core::open(rt, options).await.map_err(leave_core)?;
        if let Some(setup) = &self.files.tls {
            core.router().set_tls(setup.clone());
        }
        let mut followers = vec![reload(rt, &self.files, core.router())];
        if let (Some(file), Some(member)) = (&self.cuts, core.member()) {
            followers.push(cuts::follow(rt, member.links(), file.clone()));
        }
        core.serve(&self.listens).await.map_err(leave_core)?;
        Ok(Running { core, _followers: followers })
    }

    fn shard_options(&self, rt: &RealRuntime) -> anyhow::Result<ShardOptions> {
        let share = self.config.memory_bytes_per_shard(rt.core_count())?;
        let memory_bytes = usize::try_from(share).expect("memory fits an address");
        let mut options =
            ShardOptions::new(&self.data_dir, self.identity, ShardId(rt.core().0), memory_bytes);
        if let Some(Compressions(levels)) = self.config.compression {
            options.tree.compression = levels;
        }
        if let Some(bytes) = self.config.disk_reserve_bytes {
            options.disk_reserve_bytes = bytes;
        }
        if let Some(device) = &self.device {
            device_profile::set(&mut options, device);
        }
        Ok(options)
    }
}

/// Where clients find it.
pub fn url(scheme: Scheme, address: SocketAddr) -> String {
    match scheme {
        Scheme::Http => format!("http://{address}"),
        Scheme::Https => format!("https://{address}"),
        Scheme::Metrics => format!("http://{address}/metrics"),
    }
}

/// Takes changed files over, as long as the core runs.
pub fn reload(rt: &RealRuntime, files: &Files, router: &Rc<Router<RealRuntime>>) -> RealTask<()> {
    let changes = files.changes[usize::from(rt.core().0)].clone();
    let (router, clock) = (router.clone(), rt.clone());
    rt.spawn(Class::Background, async move {
        loop {
            clock.sleep(CHANGES_PERIOD).await;
            for change in changes.try_iter() {
                match change {
                    Change::Users(users) => router.set_users(users),
                    Change::Tls(setup) => router.set_tls(setup),
                }
            }
        }
    })
}

/// A core's error as text: the error itself belongs to its core and must stay there.
fn leave_core(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("{error}")
}

/// What is said when everything listens.
struct Banner {
    data: PathBuf,
    probe: Probe,
    cores: Vec<usize>,
    memory_bytes: u64,
    listens: Vec<(Scheme, SocketAddr)>,
    /// What the device profile says, if there is one.
    device: Option<Use>,
    /// Its part in a cluster.
    cluster: Option<String>,
    /// Who may call.
    access: String,
    /// What to set before trying it.
    key: &'static str,
    region: String,
    started: Instant,
    /// Cores that listen; the last one speaks.
    listening: AtomicUsize,
}

impl Banner {
    /// Who may call, and what to know about it.
    fn access(config: &Config, files: &Files) -> String {
        match (&files.users, config.public_address()) {
            (Some(users), _) => {
                let noun = if users.len() == 1 { "user" } else { "users" };
                format!("{} {noun}, in {}", users.len(), config.users.display())
            }
            (None, None) => "any credentials: nobody is asked who they are".to_string(),
            (None, Some(address)) => {
                format!(
                    "OPEN: whoever reaches {address} may read, change and delete every table (--allow-public)"
                )
            }
        }
    }

    /// The URLs, those in plain text first.
    fn urls(&self) -> Vec<String> {
        let api = self.listens.iter().filter(|(scheme, _)| *scheme != Scheme::Metrics);
        api.map(|(scheme, address)| url(*scheme, *address)).collect()
    }

    fn core_listens(&self) {
        let listening = self.listening.fetch_add(1, Ordering::SeqCst) + 1;
        if listening == self.cores.len() {
            say::line(self.text().trim_end());
        }
    }

    fn text(&self) -> String {
        let cores: Vec<String> = self.cores.iter().map(usize::to_string).collect();
        let urls = self.urls();
        let metrics = self.listens.iter().find(|(scheme, _)| *scheme == Scheme::Metrics);
        let metrics =
            metrics.map_or(String::new(), |(scheme, at)| format!("  metrics  {}\n", url(*scheme, *at)));
        let listening: String = urls.iter().map(|url| format!("listening {url}\n")).collect();
        let noun = if cores.len() == 1 { "core" } else { "cores" };
        format!(
            "torc {version}\n\
             {listening}\
             {cluster}\
             \x20 data     {data} ({file_system}, {free} free, a durable write takes {durable:.0} us)\n\
             \x20 shards   {count} on {noun} {cores}\n\
             \x20 memory   {memory} for memtables and caches\n\
             \x20 disk     O_DIRECT and O_DSYNC work through io_uring; polled I/O {polling}\n\
             {device}\
             {metrics}\
             \x20 access   {access}\n\
             \x20 try      {key}aws dynamodb list-tables --endpoint-url {url} --region {region}\n\
             ready in {ready:.0} ms; Ctrl-C stops\n",
            version = env!("CARGO_PKG_VERSION"),
            cluster = self.cluster.as_ref().map_or(String::new(), |text| format!("  cluster  {text}\n")),
            device = self.device.as_ref().map_or(String::new(), |device| format!("  profile  {device}\n")),
            access = self.access,
            url = urls[0],
            key = self.key,
            data = self.data.display(),
            file_system = self.probe.file_system,
            free = show_bytes(self.probe.bytes_free),
            durable = self.probe.o_dsync.as_ref().map_or(0.0, |time| time.as_secs_f64() * 1e6),
            polling =
                if self.probe.polling.is_ok() { "works" } else { "does not: completions are interrupts" },
            count = self.cores.len(),
            cores = cores.join(", "),
            memory = show_bytes(self.memory_bytes),
            region = self.region,
            ready = self.started.elapsed().as_secs_f64() * 1e3,
        )
    }
}
