//! `torc ctl` for clusters: founding one, nodes that come and go, what is where.
//!
//! ```text
//! init: describe each node --> lay out the ring --> tell each node that it belongs --> wait until all are there
//! else: any node --> the cluster's map --> whoever leads the catalog --> answer
//! ```
//!
//! 1. Nothing is kept here: everything that is asked may be asked again, from anywhere, and finds things as they are to be. So a founding that was cut
//!    short is completed by the same command.
//! 2. What takes a while (a node that joins, one that drains) goes on without this command, which only shows how far it is.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};
use model::error::Code;
use model::map::Map;
use model::node::{Node, NodeState};
use model::placement;
use model::ring::NodeId;
use net::founding::{Adopt, ArchivedTold, Ask, NO_CLUSTER, read_told};
use net::map::MapCell;
use net::message::{ArchivedMember, ArchivedReply, Cluster, MoveReplica, Prefer, Remove, read_reply};
use process::member::member_of;
use process::outside::{Contact, contact, fabric, find_cluster};
use router::{Router, RouterOptions};
use runtime::Runtime;
use runtime::real::{RealRuntime, RealTask};

use super::show;
use crate::outside::run_alone;
use crate::peers::{PeerArgs, Peers};

/// Data vnodes of a new cluster.
pub const VNODES_DEFAULT: u32 = 256;

/// All nodes of a new cluster have to be there within this.
const FOUNDING_TIME_MAX: Duration = Duration::from_secs(60);

/// How often progress is looked at.
const LOOK_PERIOD: Duration = Duration::from_millis(250);

/// A node whose process is gone is noticed within this; until then it cannot be removed.
const ASK_TIME_MAX: Duration = Duration::from_secs(10);

/// How a cluster is reached.
#[derive(clap::Args, Clone, Debug)]
pub struct ReachArgs {
    /// Nodes of the cluster, as they listen for other nodes; one that answers is enough
    #[arg(long, value_name = "ADDRESS:PORT,...", value_delimiter = ',', default_value = "127.0.0.1:7000")]
    nodes: Vec<SocketAddr>,

    #[command(flatten)]
    peers: PeerArgs,

    /// Answer with one JSON object
    #[arg(long)]
    json: bool,
}

/// `torc ctl cluster`.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum ClusterCommand {
    /// Make a cluster of nodes that wait; completes a founding that was cut short
    Init {
        /// Data vnodes: the pieces that data is cut into; the number stays
        #[arg(long, value_name = "COUNT", default_value_t = VNODES_DEFAULT)]
        vnodes: u32,

        #[command(flatten)]
        reach: ReachArgs,
    },
    /// Draw a secret for a new cluster, and print it
    Secret,
}

/// A node of the cluster, by number or name.
type NodeName = String;

/// The commands for a cluster that is there.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// How the cluster is: its nodes, what they keep, what is under way
    Status {
        #[command(flatten)]
        reach: ReachArgs,
    },
    /// Which vnode is kept where
    Ring {
        #[command(flatten)]
        reach: ReachArgs,
    },
    /// Take a node that waits into the cluster, and give it its share
    Join {
        /// The new node, as it listens for other nodes
        new: SocketAddr,

        #[command(flatten)]
        wait: WaitArgs,

        #[command(flatten)]
        reach: ReachArgs,
    },
    /// Move everything away from a node
    Drain {
        /// The node's number or name
        node: NodeName,

        #[command(flatten)]
        wait: WaitArgs,

        #[command(flatten)]
        reach: ReachArgs,
    },
    /// Let a node that drains keep vnodes again
    Activate {
        /// The node's number or name
        node: NodeName,

        #[command(flatten)]
        reach: ReachArgs,
    },
    /// Strike a node that keeps nothing any more, or is gone for ever
    Remove {
        /// The node's number or name
        node: NodeName,

        /// Also when it keeps replicas: its disk is lost. They are made again on other nodes
        #[arg(long)]
        force: bool,

        #[command(flatten)]
        wait: WaitArgs,

        #[command(flatten)]
        reach: ReachArgs,
    },
    /// Move one replica to another node
    Move {
        /// The vnode; 0 is the catalog
        #[arg(long)]
        vnode: u32,

        /// The node that has it: number or name
        #[arg(long)]
        from: NodeName,

        /// The node that gets it: number or name
        #[arg(long)]
        to: NodeName,

        /// The shard of that node [default: the one with least]
        #[arg(long)]
        shard: Option<u16>,

        #[command(flatten)]
        reach: ReachArgs,
    },
    /// Let another replica of a vnode lead
    TransferLeader {
        /// The vnode; 0 is the catalog
        #[arg(long)]
        vnode: u32,

        /// The node whose replica shall lead: number or name
        #[arg(long)]
        to: NodeName,

        #[command(flatten)]
        reach: ReachArgs,
    },
    /// Begin no moves until `resume`
    Pause {
        #[command(flatten)]
        reach: ReachArgs,
    },
    /// Begin moves again
    Resume {
        #[command(flatten)]
        reach: ReachArgs,
    },
}

/// Whether to stay until it is done.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct WaitArgs {
    /// Do not wait until what this begins is done
    #[arg(long)]
    no_wait: bool,
}

/// A cluster that answers.
struct Client {
    rt: RealRuntime,
    peers: Peers,
    nodes: Vec<SocketAddr>,
    router: Rc<Router<RealRuntime>>,
    cell: MapCell,
    json: bool,
    _links: RealTask<()>,
}

/// `torc ctl cluster`.
pub fn run_cluster(command: ClusterCommand) -> anyhow::Result<String> {
    match command {
        ClusterCommand::Secret => super::draw(super::SECRET_ALPHABET, 48),
        ClusterCommand::Init { vnodes, reach } => {
            let peers = reach.peers.load()?;
            let (nodes, json) = (reach.nodes, reach.json);
            init(nodes, vnodes, peers, json)
        }
    }
}

/// Founds a cluster of these nodes; what to print.
pub fn init(nodes: Vec<SocketAddr>, vnodes: u32, peers: Peers, json: bool) -> anyhow::Result<String> {
    if vnodes == 0 || vnodes > shard::node::VNODES_MAX {
        bail!("--vnodes must be from 1 to {}", shard::node::VNODES_MAX);
    }
    run_alone(move |rt| {
        let (nodes, peers) = (nodes.clone(), peers.clone());
        async move {
            found(&rt, &nodes, vnodes, &peers).await?;
            let began = rt.now();
            let client = loop {
                // They go from waiting to serving now.
                match Client::open(rt.clone(), nodes.clone(), peers.clone(), json).await {
                    Err(_) if rt.now().since(began) < FOUNDING_TIME_MAX => rt.sleep(LOOK_PERIOD / 5).await,
                    opened => break opened?,
                }
            };
            client.wait_until_all_are_up().await?;
            client.status().await
        }
    })?
}

/// Everything else.
pub fn run(command: Command) -> anyhow::Result<String> {
    let reach = command.reach();
    let peers = reach.peers.load()?;
    let (nodes, json) = (reach.nodes.clone(), reach.json);
    run_alone(move |rt| {
        let (command, nodes, peers) = (command.clone(), nodes.clone(), peers.clone());
        async move { Client::open(rt, nodes, peers, json).await?.run(command).await }
    })?
}

impl Command {
    fn reach(&self) -> &ReachArgs {
        match self {
            Command::Status { reach }
            | Command::Ring { reach }
            | Command::Join { reach, .. }
            | Command::Drain { reach, .. }
            | Command::Activate { reach, .. }
            | Command::Remove { reach, .. }
            | Command::Move { reach, .. }
            | Command::TransferLeader { reach, .. }
            | Command::Pause { reach }
            | Command::Resume { reach } => reach,
        }
    }
}

/// A node as it was found at an address.
struct Found {
    address: SocketAddr,
    contact: Contact<RealRuntime>,
    /// Its id, from its hello.
    id: u128,
    /// What it says of itself, if it waits.
    node: Option<Node>,
}

/// Makes every node a member of one cluster.
async fn found(rt: &RealRuntime, nodes: &[SocketAddr], vnodes: u32, peers: &Peers) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for address in nodes {
        all.push(describe(rt, *address, peers).await?);
    }
    let mut ids: Vec<u128> = all.iter().map(|found| found.id).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        bail!("two of these addresses are the same node\n  what to do: name each node once");
    }
    let members: Vec<&Found> = all.iter().filter(|found| found.node.is_none()).collect();
    let (cluster, map) = match members.first() {
        None => (super::random_id()?, founding_map(&all, vnodes)?),
        Some(first) => {
            if let Some(other) = members.iter().find(|other| other.contact.cluster != first.contact.cluster) {
                bail!(
                    "{} belongs to cluster {:032x}, and {} to {:032x}\n  what to do: a node belongs to one cluster for ever; start it with an empty \
                     data directory to take it into another",
                    first.address,
                    first.contact.cluster,
                    other.address,
                    other.contact.cluster
                );
            }
            let map = first.contact.map(rt).await?;
            (first.contact.cluster, map.context("the node that belongs to the cluster already has no map")?)
        }
    };
    let bytes = map.encode();
    for found in &all {
        let Some(node) = &found.node else { continue };
        let Some(number) = map.nodes.values().find(|known| known.id == found.id).map(|known| known.number)
        else {
            bail!(
                "{} ({:?}) is none of the nodes that cluster {cluster:032x} was founded with\n  what to do: torc ctl join {} --nodes {}",
                found.address,
                node.name,
                found.address,
                members.first().map_or(found.address, |member| member.address)
            );
        };
        let adopt = Adopt { node: found.id, cluster, number: number.0, map: bytes.clone() };
        adopt_one(rt, found, adopt).await?;
    }
    Ok(())
}

async fn describe(rt: &RealRuntime, address: SocketAddr, peers: &Peers) -> anyhow::Result<Found> {
    let contact = contact(rt, address, peers).await;
    let contact = contact.map_err(|error| {
        anyhow!("{address}: {error}\n  what to do: start `torc node` there, with the same secret")
    })?;
    let id = contact.session.peer().node;
    if contact.cluster != NO_CLUSTER {
        return Ok(Found { address, contact, id, node: None });
    }
    let bytes = contact.ask(rt, Ask::Describe.encode()).await.with_context(|| address.to_string())?;
    let node = match read_told(&bytes) {
        Ok(ArchivedTold::Described(member)) => node_of(member).with_context(|| address.to_string())?,
        _ => bail!("{address}: it does not say who it is: both must run the same release of torc"),
    };
    Ok(Found { address, contact, id: node.id, node: Some(node) })
}

async fn adopt_one(rt: &RealRuntime, found: &Found, adopt: Adopt) -> anyhow::Result<()> {
    let bytes = found.contact.ask(rt, Ask::Adopt(adopt).encode()).await;
    let bytes = bytes.with_context(|| format!("{}: run the same command again", found.address))?;
    match read_told(&bytes) {
        Ok(ArchivedTold::Adopted) => Ok(()),
        Ok(ArchivedTold::Refused(why)) => bail!("{} refuses: {}", found.address, why.as_str()),
        _ => bail!("{} does not answer what it was asked", found.address),
    }
}

fn node_of(member: &ArchivedMember) -> anyhow::Result<Node> {
    let address = |text: &str| text.parse::<SocketAddr>().context("an address that is none");
    Ok(Node {
        number: NodeId(0),
        id: member.id.to_native(),
        name: member.name.to_string(),
        zone: member.zone.to_string(),
        addresses: member
            .addresses
            .iter()
            .map(|text| address(text.as_str()))
            .collect::<anyhow::Result<_>>()?,
        http: member.http.as_ref().map(|text| address(text.as_str())).transpose()?,
        state: NodeState::Active,
    })
}

/// The first map: nodes numbered from 1 in the order given.
fn founding_map(all: &[Found], vnodes: u32) -> anyhow::Result<Map> {
    let mut nodes: Vec<Node> = Vec::new();
    for (number, found) in (1..).zip(all) {
        let node = found.node.clone().expect("none is a member yet");
        if let Some(other) = nodes.iter().find(|other| other.name == node.name) {
            bail!(
                "two nodes are called {:?}: {} and {}\n  what to do: start one of them with another --name",
                node.name,
                other.addresses[0],
                found.address
            );
        }
        nodes.push(Node { number: NodeId(number), ..node });
    }
    let founding = placement::found(&nodes, vnodes);
    let nodes = nodes.into_iter().map(|node| (node.number, Rc::new(node))).collect();
    Ok(Map { version: 1, ring: founding.ring, catalog: founding.catalog, nodes, tables: Default::default() })
}

impl Client {
    async fn open(
        rt: RealRuntime,
        nodes: Vec<SocketAddr>,
        peers: Peers,
        json: bool,
    ) -> anyhow::Result<Client> {
        let (cluster, map) = find_cluster(&rt, &nodes, &peers).await?;
        let cell = MapCell::new(map);
        let (fabric, _links) = fabric(&rt, cluster, &peers, &cell);
        let options = RouterOptions { operation_timeout: ASK_TIME_MAX, ..RouterOptions::default() };
        let router = Router::new(rt.clone(), options, fabric, cell.clone());
        Ok(Client { rt, peers, nodes, router, cell, json, _links })
    }

    async fn run(&self, command: Command) -> anyhow::Result<String> {
        match command {
            Command::Status { .. } => self.status().await,
            Command::Ring { .. } => {
                self.refresh().await?;
                Ok(show::ring(&self.cell.get(), self.json))
            }
            Command::Join { new, wait, .. } => self.join(new, wait).await,
            Command::Drain { node, wait, .. } => {
                let node = self.node(&node)?;
                self.done(Cluster::Drain(node.0)).await?;
                self.drained(node, wait).await
            }
            Command::Activate { node, .. } => {
                let node = self.node(&node)?;
                self.done(Cluster::Activate(node.0)).await?;
                self.say(&format!("node {} keeps vnodes again", node.0))
            }
            Command::Remove { node, force, wait, .. } => {
                let node = self.node(&node)?;
                self.done(Cluster::Remove(Remove { node: node.0, force })).await?;
                self.settled(wait, None, &format!("node {} is removed", node.0)).await
            }
            Command::Move { vnode, from, to, shard, .. } => {
                let (from, to) = (self.node(&from)?, self.node(&to)?);
                self.done(Cluster::Move(MoveReplica { vnode, from: from.0, to: to.0, shard })).await?;
                self.say(&format!("the replica of vnode {vnode} goes from node {} to node {}", from.0, to.0))
            }
            Command::TransferLeader { vnode, to, .. } => {
                let to = self.node(&to)?;
                self.done(Cluster::Prefer(Prefer { vnode, node: to.0 })).await?;
                self.say(&format!("node {} shall lead vnode {vnode}", to.0))
            }
            Command::Pause { .. } => {
                self.done(Cluster::Pause(true)).await?;
                self.say("no moves are begun until torc ctl resume")
            }
            Command::Resume { .. } => {
                self.done(Cluster::Pause(false)).await?;
                self.say("moves are begun again")
            }
        }
    }

    /// Asks whoever leads the catalog.
    async fn ask(&self, change: Cluster) -> anyhow::Result<Vec<u8>> {
        self.router.ask_cluster(change).await.map_err(|error| match error.code {
            Code::InternalServerError => anyhow!(
                "nobody leads the catalog: too few of its nodes are there\n  what to do: start them; torc ctl ring shows where they are"
            ),
            _ => anyhow!("{}", error.message),
        })
    }

    async fn done(&self, change: Cluster) -> anyhow::Result<()> {
        let bytes = self.ask(change).await?;
        match read_reply(&bytes) {
            Ok(ArchivedReply::Done) => Ok(()),
            _ => {
                bail!("the catalog does not answer what it was asked: both must run the same release of torc")
            }
        }
    }

    /// The newest map that anybody has who answers.
    async fn refresh(&self) -> anyhow::Result<()> {
        let map = self.cell.get();
        let addresses: Vec<SocketAddr> = map
            .nodes
            .values()
            .filter_map(|node| node.addresses.first().copied())
            .chain(self.nodes.clone())
            .collect();
        let (_, newer) = find_cluster(&self.rt, &addresses, &self.peers).await?;
        self.cell.set(Rc::new(newer));
        Ok(())
    }

    async fn look(&self) -> anyhow::Result<show::Status> {
        let bytes = self.ask(Cluster::Status).await?;
        self.refresh().await?;
        match read_reply(&bytes) {
            Ok(ArchivedReply::Status(status)) => {
                Ok(show::Status::read(status).without_removed(&self.cell.get()))
            }
            _ => bail!("the catalog does not say how it is: both must run the same release of torc"),
        }
    }

    async fn status(&self) -> anyhow::Result<String> {
        let status = self.look().await?;
        Ok(show::status(&status, &self.cell.get(), self.json))
    }

    fn say(&self, text: &str) -> anyhow::Result<String> {
        Ok(if self.json { serde_json::json!({ "done": text }).to_string() } else { text.to_string() })
    }

    /// A node by its number or its name.
    fn node(&self, given: &str) -> anyhow::Result<NodeId> {
        let map = self.cell.get();
        let number = given.parse().ok().map(NodeId).filter(|number| map.nodes.contains_key(number));
        let named = || {
            let named =
                map.nodes.values().filter(|node| node.name == given && node.state != NodeState::Removed);
            named.map(|node| node.number).next()
        };
        number.or_else(named).with_context(|| {
            let known: Vec<String> =
                map.nodes.values().map(|node| format!("{} ({})", node.number.0, node.name)).collect();
            format!("there is no node {given:?}: there are {}", known.join(", "))
        })
    }

    async fn join(&self, new: SocketAddr, wait: WaitArgs) -> anyhow::Result<String> {
        let found = describe(&self.rt, new, &self.peers).await?;
        let Some(node) = &found.node else {
            let map = self.cell.get();
            let known = map.nodes.values().find(|node| node.id == found.id).map(|node| node.number);
            return match known {
                Some(number) => {
                    let text = format!("{new} belongs to this cluster, as its node {}", number.0);
                    self.settled(wait, Some(number), &text).await
                }
                None => {
                    bail!("{new} belongs to cluster {:032x}, which is another one", found.contact.cluster)
                }
            };
        };
        let bytes = self.ask(Cluster::Join(member_of(node))).await?;
        let number = match read_reply(&bytes) {
            Ok(ArchivedReply::Joined(number)) => number.to_native(),
            _ => bail!("the catalog does not answer what it was asked"),
        };
        // The map that the node begins with has to know it.
        while !self.cell.get().nodes.contains_key(&NodeId(number)) {
            self.refresh().await?;
            self.rt.sleep(LOOK_PERIOD / 10).await;
        }
        let map = self.cell.get();
        let adopt = Adopt { node: found.id, cluster: self.cluster().await?, number, map: map.encode() };
        adopt_one(&self.rt, &found, adopt).await?;
        self.settled(wait, Some(NodeId(number)), &format!("{new} is node {number} and has its share")).await
    }

    async fn cluster(&self) -> anyhow::Result<u128> {
        Ok(find_cluster(&self.rt, &self.nodes, &self.peers).await?.0)
    }

    /// Waits until nothing is left to be moved.
    async fn settled(&self, wait: WaitArgs, new: Option<NodeId>, text: &str) -> anyhow::Result<String> {
        if wait.no_wait {
            return self.say("begun; torc ctl status shows how far it is");
        }
        let bar = self.bar();
        let mut most = 0;
        // Twice: what was just asked may not have begun when it is first looked at.
        let mut quiet = 0;
        while quiet < 2 {
            let status = self.look().await?;
            let left = u64::from(status.left) + u64::from(status.moving);
            most = most.max(left);
            bar.set_length(most);
            bar.set_position(most - left);
            bar.set_message(format!("{} under way", status.moving));
            quiet = if left == 0 && new.is_none_or(|new| status.is_up(new)) { quiet + 1 } else { 0 };
            self.rt.sleep(LOOK_PERIOD).await;
        }
        bar.finish_and_clear();
        self.say(text)
    }

    /// Waits until a node keeps nothing.
    async fn drained(&self, node: NodeId, wait: WaitArgs) -> anyhow::Result<String> {
        if wait.no_wait {
            return self.say("begun; torc ctl status shows how far it is");
        }
        let bar = self.bar();
        let mut most = 0;
        loop {
            self.refresh().await?;
            let left = show::kept_by(&self.cell.get(), node) as u64;
            most = most.max(left);
            bar.set_length(most);
            bar.set_position(most - left);
            bar.set_message("replicas moved");
            if left == 0 {
                break;
            }
            self.rt.sleep(LOOK_PERIOD).await;
        }
        bar.finish_and_clear();
        self.say(&format!("node {0} keeps nothing any more: torc ctl remove {0}, then stop it", node.0))
    }

    fn bar(&self) -> ProgressBar {
        if self.json {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}").expect("a template of ours");
        ProgressBar::new(0).with_style(style)
    }

    async fn wait_until_all_are_up(&self) -> anyhow::Result<()> {
        let began = self.rt.now();
        loop {
            let all = self.look().await.map(|status| status.all_are_up());
            if matches!(all, Ok(true)) {
                return Ok(());
            }
            if self.rt.now().since(began) > FOUNDING_TIME_MAX {
                all.context("the cluster is founded and does not come up")?;
                bail!(
                    "the cluster is founded, and not all of its nodes are there: torc ctl status says which"
                );
            }
            self.rt.sleep(LOOK_PERIOD / 5).await;
        }
    }
}
