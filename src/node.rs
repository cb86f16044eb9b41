//! `torc node`: one node of a cluster.
//!
//! ```text
//! new directory --> waits: "who are you?" "you are node 2 of cluster C" --> writes that down --> serves
//! directory of a member ------------------------------------------------------------------------> serves
//! ```
//!
//! 1. The host is tried and the directory locked, as `torc serve` does it.
//! 2. A directory that belongs to no cluster waits for `torc ctl cluster init` or `torc ctl join`, and says so. What it is asked meanwhile, it answers from
//!    one core; nothing is kept but its id.
//! 3. A member starts its shards (`serve`), finds the others by the map that it knew last, and announces itself.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use model::map::Map;
use model::node::{Node, NodeState};
use model::ring::NodeId;
use net::founding::{Adopt, ArchivedAsk, NO_CLUSTER, Told, read_ask};
use net::links::{Links, LinksOptions};
use net::session::Identity as Speaker;
use process::member::{Membership, member_of};
use runtime::real::{RealOptions, RealRuntime, check_port_free};
use runtime::sync::Notify;
use runtime::{Class, Runtime};
use serde::Deserialize;
use shard::node::{Identity, SHARDS_MAX};

use crate::config::{Config, HttpArgs, StoreArgs, Unknown, read_file};
use crate::data_dir::DataDir;
use crate::device_profile;
use crate::outside::on_one_core;
use crate::peers::{PeerArgs, Peers, advertised, check_reach};
use crate::say;
use crate::serve::{self, Setup};

/// Where a node listens for others when nobody says otherwise.
const LISTEN_DEFAULT: &str = "127.0.0.1:7000";

/// The file with the id of a node that belongs to no cluster yet.
const WAITING_FILE: &str = "waiting";

/// An answer has so long to leave before the process goes on to serve.
const LAST_WORDS_TIME: Duration = Duration::from_millis(200);

/// The flags of `torc node`, and the keys of its configuration file.
#[derive(clap::Args, Clone, Debug, Default, Deserialize)]
pub struct Args {
    #[command(flatten)]
    #[serde(flatten)]
    member: MemberArgs,

    #[command(flatten)]
    #[serde(flatten)]
    store: StoreArgs,

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

/// What makes it a node among others.
#[derive(clap::Args, Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct MemberArgs {
    /// What people call this node: letters, digits, - _ . [default: the host's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// What fails together with it, such as a rack or a data centre's zone: replicas are kept in different ones
    /// [default: the node's name, so that each node is a zone of its own]
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,

    /// Where its shards listen for other nodes and routers: shard 0 on this port, shard 1 on the next one, and so on; port 0
    /// picks free ones [default: 127.0.0.1:7000]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,

    /// The address that others shall use, where it is another than the one that is listened on
    #[arg(long, value_name = "IP")]
    advertise: Option<IpAddr>,

    /// Cpus to run on, in turn, one for each shard [default: those this process may use]
    #[arg(long, value_name = "CPU,...", value_delimiter = ',')]
    #[serde(default)]
    cpus: Vec<usize>,

    /// A file that names cuts of the network, for tests
    #[arg(long, value_name = "FILE", hide = true)]
    cuts: Option<PathBuf>,

    /// Stop when standard input ends: whoever has started this process is gone
    #[arg(long, hide = true)]
    #[serde(default)]
    with_stdin: bool,
}

impl MemberArgs {
    fn or(self, file: MemberArgs) -> MemberArgs {
        MemberArgs {
            name: self.name.or(file.name),
            zone: self.zone.or(file.zone),
            listen: self.listen.or(file.listen),
            advertise: self.advertise.or(file.advertise),
            cpus: if self.cpus.is_empty() { file.cpus } else { self.cpus },
            cuts: self.cuts.or(file.cuts),
            with_stdin: self.with_stdin || file.with_stdin,
        }
    }
}

/// What `torc node` does, decided.
struct NodeConfig {
    config: Config,
    peers: Peers,
    name: String,
    zone: String,
    listen: SocketAddr,
    advertise: Option<IpAddr>,
    cpus: Vec<usize>,
    cuts: Option<PathBuf>,
}

impl NodeConfig {
    fn load(flags: Args) -> anyhow::Result<NodeConfig> {
        let file = read_file(flags.http.config(), |file: &Args| &file.unknown)?;
        let config = Config::of(flags.http.or(file.http), Some(flags.store.or(file.store)))?;
        let peers = flags.peers.or(file.peers).load()?;
        let member = flags.member.or(file.member);
        let listen =
            member.listen.unwrap_or_else(|| LISTEN_DEFAULT.parse().expect("the default is an address"));
        check_reach(&peers, listen)?;
        advertised(listen, member.advertise, "--listen")?;
        let name = match member.name {
            Some(name) => name,
            None => host_name()?,
        };
        let usable = tuning::cpus::read();
        let cpus = if member.cpus.is_empty() { usable.usable().to_vec() } else { member.cpus };
        if let Some(cpu) = cpus.iter().find(|cpu| !usable.usable().contains(cpu)) {
            bail!("--cpus: this process may not use cpu {cpu}, only {:?}", usable.usable());
        }
        let zone = member.zone.unwrap_or_else(|| name.clone());
        if member.with_stdin {
            stop_with_stdin();
        }
        let (advertise, cuts) = (member.advertise, member.cuts);
        Ok(NodeConfig { config, peers, name, zone, listen, advertise, cpus, cuts })
    }

    /// This node, with `number`, served at these addresses.
    fn node(
        &self,
        number: NodeId,
        id: u128,
        listens: &[SocketAddr],
        http: Option<SocketAddr>,
    ) -> anyhow::Result<Node> {
        let reached = |address: &SocketAddr| advertised(*address, self.advertise, "--listen");
        let http = http.map(|address| match (address.ip().is_unspecified(), self.advertise) {
            (true, Some(ip)) => SocketAddr::new(ip, address.port()),
            (true, None) => SocketAddr::new(self.listen.ip(), address.port()),
            (false, _) => address,
        });
        Ok(Node {
            number,
            id,
            name: self.name.clone(),
            zone: self.zone.clone(),
            addresses: listens.iter().map(reached).collect::<anyhow::Result<_>>()?,
            http,
            state: NodeState::Active,
        })
    }
}

/// Runs a node of a cluster until it is told to stop.
pub fn run(args: Args, started: Instant) -> anyhow::Result<()> {
    let config = NodeConfig::load(args)?;
    let listens_http = serve::listens(&config.config)?;
    let http = listens_http.first().map(|(_, address)| *address);
    let data = DataDir::open(&config.config.data_dir)?;
    let probe = serve::check_host(&data)?;
    let device = device_profile::load(&config.config, data.path())?;
    let (identity, map, listens, begun) = match look(&data, config.cpus[0])? {
        Some(Found { identity, map, begun }) => {
            check_shards(&config, &data, &identity)?;
            let listens = ports(config.listen, identity.shard_count)?;
            (identity, map, listens, begun)
        }
        None => {
            let shards = config.config.shards.unwrap_or(config.cpus.len());
            let shards = u16::try_from(shards).ok().filter(|shards| *shards <= SHARDS_MAX);
            let listens = ports(config.listen, shards.context("--shards is more than a node may have")?)?;
            let (identity, map) = wait(&config, &data, &listens, http)?;
            (identity, map, listens, false)
        }
    };
    let node = config.node(identity.number, identity.node, &listens, http)?;
    let member = Membership {
        cluster: identity.cluster,
        node,
        start: start_number(),
        listens,
        peers: config.peers,
        map,
        heard: Arc::new(AtomicBool::new(false)),
        begun,
        opened: Arc::default(),
    };
    serve::start(Setup {
        config: config.config,
        listens: listens_http,
        data,
        probe,
        device,
        cpus: config.cpus,
        identity,
        member: Some(member),
        cuts: config.cuts,
        started,
    })
}

/// What the directory of a member says.
struct Found {
    identity: Identity,
    /// The cluster's map.
    map: Vec<u8>,
    /// All of its shards were open once.
    begun: bool,
}

/// Who lives in the directory; none when it belongs to no cluster.
fn look(data: &DataDir, cpu: usize) -> anyhow::Result<Option<Found>> {
    let path = data.path().to_path_buf();
    let found = on_one_core(RealOptions::new(vec![cpu], data.path()), move |rt| {
        let path = path.clone();
        async move {
            let Some(identity) = shard::node::read(&rt, &path).await? else { return Ok(None) };
            let map = shard::node::known(&rt, &path).await?;
            let begun = shard::node::has_begun(&rt, &path).await?;
            Ok::<_, shard::node::NodeError>(Some((identity, map.map(|map| map.encode()), begun)))
        }
    })?;
    match found? {
        None => Ok(None),
        Some((identity, Some(map), begun)) => Ok(Some(Found { identity, map, begun })),
        Some((identity, None, _)) if identity.number != NodeId(0) => bail!(
            "{}/map is missing, which a node of a cluster keeps to find the others\n  what to do: restore it from a copy, or from another node's \
             data directory",
            data.path().display()
        ),
        Some((_, None, _)) => bail!(
            "{} is the directory of a node that is alone (torc serve); it cannot become a member of a cluster\n  what to do: choose another \
             --data-dir, or start it with torc serve",
            data.path().display()
        ),
    }
}

fn check_shards(config: &NodeConfig, data: &DataDir, identity: &Identity) -> anyhow::Result<()> {
    let founded = usize::from(identity.shard_count);
    match config.config.shards {
        Some(asked) if asked != founded => bail!(
            "{} was made for {founded} shards and cannot be opened with {asked}\n  what to do: start with --shards {founded}, or replace \
             the node: join a new one and drain this one",
            data.path().display()
        ),
        _ => Ok(()),
    }
}

/// Where each shard listens, every port known and free.
fn ports(listen: SocketAddr, shard_count: u16) -> anyhow::Result<Vec<SocketAddr>> {
    let port = |shard: u16| {
        let port = match listen.port() {
            0 => 0,
            base => base.checked_add(shard).context("--listen leaves no port for each shard")?,
        };
        let address = SocketAddr::new(listen.ip(), port);
        check_port_free(address).with_context(|| {
            format!(
                "cannot listen on {address} for other nodes\n  what to do: stop what listens there, or choose another --listen"
            )
        })
    };
    (0..shard_count).map(port).collect()
}

/// Waits until somebody says which cluster this node belongs to.
fn wait(
    config: &NodeConfig,
    data: &DataDir,
    listens: &[SocketAddr],
    http: Option<SocketAddr>,
) -> anyhow::Result<(Identity, Vec<u8>)> {
    let id = waiting_id(data.path())?;
    let node = config.node(NodeId(0), id, listens, http)?;
    let words = what_to_do(config, listens, &node);
    let (path, peers, listen) = (data.path().to_path_buf(), config.peers.clone(), listens[0]);
    let adopted = on_one_core(RealOptions::new(vec![config.cpus[0]], data.path()), move |rt| {
        let waiting = Rc::new(Waiting {
            rt: rt.clone(),
            data: path.clone(),
            node: node.clone(),
            adopted: Cell::new(None),
            over: Notify::new(),
            turn: runtime::sync::Semaphore::new(1),
        });
        let (peers, words) = (peers.clone(), words.clone());
        async move { waiting.listen(&peers, listen, &words).await }
    })??;
    #[expect(clippy::disallowed_methods, reason = "no executor runs")]
    let _ = std::fs::remove_file(data.path().join(WAITING_FILE));
    say::line(format_args!("node {} of cluster {:032x}", adopted.0.number.0, adopted.0.cluster));
    Ok(adopted)
}

/// What is said once it listens.
fn what_to_do(config: &NodeConfig, listens: &[SocketAddr], node: &Node) -> String {
    format!(
        "torc {}\nwaiting {}\n  node {:?} in zone {:?} ({} shards) belongs to no cluster yet; who proves it with: {}\n  what to do: once all nodes of a new cluster wait, \
         torc ctl cluster init --nodes {},...\n              or into a cluster that is there, torc ctl join {} --nodes A_NODE_OF_IT\n",
        env!("CARGO_PKG_VERSION"),
        node.addresses[0],
        config.name,
        config.zone,
        listens.len(),
        config.peers.describe(),
        node.addresses[0],
        node.addresses[0],
    )
}

/// A node that belongs to no cluster yet.
struct Waiting {
    rt: RealRuntime,
    data: PathBuf,
    node: Node,
    adopted: Cell<Option<(Identity, Vec<u8>)>>,
    over: Notify,
    /// One adoption at a time.
    turn: runtime::sync::Semaphore,
}

impl Waiting {
    async fn listen(
        self: &Rc<Self>,
        peers: &Peers,
        address: SocketAddr,
        words: &str,
    ) -> anyhow::Result<(Identity, Vec<u8>)> {
        let listener =
            self.rt.listen(address).await.with_context(|| format!("cannot listen on {address}"))?;
        say::line(words.trim_end());
        let speaker = Speaker { cluster: NO_CLUSTER, node: self.node.id, place: None, start: start_number() };
        let options = peers.session(speaker);
        // It knows nobody, and connects to nobody.
        let links = Links::new(self.rt.clone(), LinksOptions::new(options), Rc::new(|_place| None));
        let answers = self.clone();
        links.set_handler(Rc::new(move |request| {
            let waiting = answers.clone();
            Box::pin(async move { waiting.answer(&request).await.encode() })
        }));
        let serves = links.clone();
        let accept = self.rt.spawn(Class::Foreground, async move { serves.serve(listener).await });
        loop {
            let over = self.over.notified();
            if let Some(adopted) = self.adopted.take() {
                // The answer is on its way.
                self.rt.sleep(LAST_WORDS_TIME).await;
                links.stop();
                drop(accept);
                return Ok(adopted);
            }
            over.await;
        }
    }

    async fn answer(&self, request: &[u8]) -> Told {
        match read_ask(request) {
            Ok(ArchivedAsk::Describe) => Told::Described(member_of(&self.node)),
            Ok(ArchivedAsk::Adopt(adopt)) => {
                let adopt = Adopt {
                    node: adopt.node.to_native(),
                    cluster: adopt.cluster.to_native(),
                    number: adopt.number.to_native(),
                    map: adopt.map.to_vec(),
                };
                match self.adopt(adopt).await {
                    Ok(()) => Told::Adopted,
                    Err(why) => Told::Refused(why),
                }
            }
            Err(malformed) => Told::Refused(malformed.to_string()),
        }
    }

    /// Writes down where this node belongs; in an error, why not.
    async fn adopt(&self, adopt: Adopt) -> Result<(), String> {
        let _turn = self.turn.acquire(1).await;
        let map = Map::decode(&adopt.map).map_err(|corrupt| format!("the map makes no sense: {corrupt}"))?;
        let number = NodeId(adopt.number);
        if let Ok(Some(before)) = shard::node::read(&self.rt, &self.data).await {
            let is_same = (before.cluster, before.number) == (adopt.cluster, number);
            return if is_same { Ok(()) } else { Err("it belongs to another cluster by now".to_string()) };
        }
        if adopt.node != self.node.id || adopt.cluster == NO_CLUSTER || number == NodeId(0) {
            return Err(
                "another node is meant: this one was started with a new directory; begin again".to_string()
            );
        }
        let in_map = map.nodes.get(&number);
        if in_map
            .is_none_or(|node| node.id != self.node.id || node.addresses.len() != self.node.addresses.len())
        {
            return Err(format!("the map has no node {} that is this one", number.0));
        }
        let identity = Identity {
            cluster: adopt.cluster,
            node: self.node.id,
            number,
            shard_count: u16::try_from(self.node.addresses.len()).expect("SHARDS_MAX fits"),
            vnode_count: u32::try_from(map.ring.len()).expect("vnodes are numbered"),
        };
        // The map first: with the block this directory is a member's, and needs it.
        shard::node::keep(&self.rt, &self.data, &map).await.map_err(|error| error.to_string())?;
        shard::node::found_as(&self.rt, &self.data, identity).await.map_err(|error| error.to_string())?;
        self.adopted.set(Some((identity, adopt.map)));
        self.over.notify_all();
        Ok(())
    }
}

/// The id of a node that belongs to no cluster yet: the same at each start, so that an adoption that was cut short can go on.
#[expect(clippy::disallowed_methods, reason = "a few bytes, before any executor runs")]
fn waiting_id(data: &Path) -> anyhow::Result<u128> {
    let path = data.join(WAITING_FILE);
    let known = std::fs::read_to_string(&path).ok();
    if let Some(id) = known.and_then(|text| u128::from_str_radix(text.trim(), 16).ok()).filter(|id| *id != 0)
    {
        return Ok(id);
    }
    let id = crate::ctl::random_id()?;
    std::fs::write(&path, format!("{id:032x}\n"))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(id)
}

/// Asks this process to stop, as SIGTERM does, when standard input ends.
#[expect(clippy::disallowed_methods, reason = "a thread that is pinned nowhere, and sleeps in a read")]
fn stop_with_stdin() {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = signal_hook::low_level::raise(signal_hook::consts::SIGTERM);
    });
}

/// Tells one start of this node from another.
#[expect(clippy::disallowed_methods, reason = "before any executor runs; only has to differ")]
fn start_number() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[expect(clippy::disallowed_methods, reason = "a few bytes, before any executor runs")]
fn host_name() -> anyhow::Result<String> {
    let name =
        std::fs::read_to_string("/proc/sys/kernel/hostname").context("the host's name: give --name")?;
    Ok(name.trim().to_string())
}
