//! `torc cluster`: a whole cluster on this machine, for trying out and for tests.
//!
//! ```text
//! DIR/cluster.secret  DIR/node-1.toml  DIR/node-1/...  --> a process `torc node` for each --> founded --> ready
//! ```
//!
//! 1. Each node is a process of this binary with a configuration file of its own, in a zone of its own, on loopback. The files are what one would write for
//!    three machines.
//! 2. The first start founds the cluster; a later one on the same directory goes on with it.
//! 3. Ctrl-C and SIGTERM stop the nodes one after the other, as a rolling restart would. If this process is killed, they stop by themselves.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use runtime::real::check_port_free;

use crate::config::parse_bytes;
use crate::ctl;
use crate::peers::PeerArgs;
use crate::say;

/// All nodes have to be there within this.
const START_TIME_MAX: Duration = Duration::from_secs(120);

/// A node that does not stop within this is killed.
const STOP_TIME_MAX: Duration = Duration::from_secs(30);

/// Memory of each node when nobody says otherwise: this is for trying out.
const MEMORY_DEFAULT: u64 = 256 << 20;

/// The flags of `torc cluster`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Nodes, each in a zone of its own
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=16))]
    nodes: u16,

    /// Where everything lies; goes on with the cluster that is there [default: a temporary directory that is removed at the end]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Address for DynamoDB's API of the first node; the others take the ports that follow; port 0 picks free ones
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8000")]
    http: SocketAddr,

    /// Shards of each node
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    shards: u16,

    /// Memory of each node
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, default_value_t = MEMORY_DEFAULT)]
    memory: u64,

    /// Data vnodes of a new cluster
    #[arg(long, value_name = "COUNT", default_value_t = ctl::VNODES_DEFAULT)]
    vnodes: u32,
}

/// Something that happened.
enum Event {
    /// A node printed a line.
    Line(usize, String),
    /// A node's output has ended: it is gone.
    Gone(usize),
    /// This process was asked to stop.
    Signal,
}

/// One node's process.
struct Node {
    name: String,
    child: Child,
    /// Its end tells the node to stop.
    stdin: Option<ChildStdin>,
    /// Where it waits for a cluster, as long as it does.
    waits_at: Option<SocketAddr>,
    url: Option<String>,
    is_ready: bool,
}

/// The directory, removed at the end if it was made for this run.
struct Place {
    dir: PathBuf,
    is_temporary: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_temporary {
            let removed = std::fs::remove_dir_all(&self.dir);
            if let Err(error) = removed {
                say::warn(format_args!("{} is left behind: {error}", self.dir.display()));
            }
        }
    }
}

/// Runs a cluster until it is told to stop.
pub fn run(args: Args) -> anyhow::Result<()> {
    let place = place(&args)?;
    write_files(&args, &place.dir)?;
    let (happen, events) = flume::unbounded();
    watch_signals(happen.clone())?;
    let mut nodes = Vec::new();
    for number in 1..=args.nodes {
        nodes.push(spawn(&place.dir, usize::from(number), &happen)?);
    }
    let outcome = serve(&args, &place.dir, &mut nodes, &events);
    stop(&mut nodes);
    outcome
}

#[expect(clippy::disallowed_methods, reason = "no executor runs in this process")]
fn place(args: &Args) -> anyhow::Result<Place> {
    let (dir, is_temporary) = match &args.dir {
        Some(dir) => (dir.clone(), false),
        None => (std::env::temp_dir().join(format!("torc-cluster-{}", std::process::id())), true),
    };
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(Place { dir: dir.canonicalize()?, is_temporary })
}

/// The secret and one configuration file for each node; those that are there stay.
fn write_files(args: &Args, dir: &Path) -> anyhow::Result<()> {
    let secret = dir.join("cluster.secret");
    if !secret.exists() {
        write(&secret, &format!("{:032x}{:032x}\n", ctl::random_id()?, ctl::random_id()?))?;
    }
    let cpus = tuning::cpus::read();
    let wanted = usize::from(args.nodes) * usize::from(args.shards);
    if wanted > cpus.usable().len() {
        say::line(format_args!(
            "{wanted} shards share {} cores: good for trying out, not for measuring",
            cpus.usable().len()
        ));
    }
    let mut cpus = cpus.usable().iter().copied().cycle();
    for number in 1..=args.nodes {
        let path = dir.join(format!("node-{number}.toml"));
        let cpus: Vec<String> =
            (0..args.shards).map(|_| cpus.next().expect("they repeat").to_string()).collect();
        if path.exists() {
            continue;
        }
        let http = match args.http.port() {
            0 => free_ports(args.http.ip(), 1)?,
            port => SocketAddr::new(args.http.ip(), port + number - 1),
        };
        let listen = free_ports(Ipv4Addr::LOCALHOST.into(), args.shards)?;
        let mut text = String::new();
        write!(
            text,
            "name = \"node-{number}\"\nzone = \"zone-{number}\"\ndata-dir = \"{dir}/node-{number}\"\n\
             listen = \"{listen}\"\nhttp = \"{http}\"\nshards = {shards}\ncpus = [{cpus}]\nmemory = {memory}\n\
             secret-file = \"{dir}/cluster.secret\"\n",
            dir = dir.display(),
            shards = args.shards,
            cpus = cpus.join(", "),
            memory = args.memory,
        )?;
        write(&path, &text)?;
    }
    Ok(())
}

/// Where ports are picked: below those that the system gives to outgoing connections, or one of these could take a node's port while the
/// node is away.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// So many free ports in a row; the first one.
fn free_ports(ip: IpAddr, count: u16) -> anyhow::Result<SocketAddr> {
    for _ in 0..200 {
        let span = u128::from(PORTS.end - PORTS.start - count);
        let drawn = ctl::random_id()? % span;
        let first = PORTS.start + u16::try_from(drawn).expect("within the range");
        let is_free = |port| check_port_free(SocketAddr::new(ip, port)).is_ok();
        if (first..first + count).all(is_free) {
            return Ok(SocketAddr::new(ip, first));
        }
    }
    bail!("no {count} free ports in a row on {ip}");
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn watch_signals(happen: flume::Sender<Event>) -> anyhow::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    #[expect(clippy::disallowed_methods, reason = "signals need a thread")]
    std::thread::spawn(move || {
        for (count, signal) in signals.forever().enumerate() {
            if count > 0 {
                // Their standard input ends with this process, and so do they.
                say::warn("stopping at once");
                std::process::exit(128 + signal);
            }
            say::warn("stopping; once more to stop at once");
            let _ = happen.send(Event::Signal);
        }
    });
    Ok(())
}

/// Starts one node; it does not hear the terminal's Ctrl-C, but the end of its standard input.
fn spawn(dir: &Path, number: usize, happen: &flume::Sender<Event>) -> anyhow::Result<Node> {
    let program = std::env::current_exe().context("this program's own file")?;
    let mut command = Command::new(program);
    command.arg("node").arg("--with-stdin").arg("--config").arg(dir.join(format!("node-{number}.toml")));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
    let mut child = command.spawn().with_context(|| format!("cannot start node {number}"))?;
    let output = child.stdout.take().expect("it is piped");
    let happen = happen.clone();
    #[expect(clippy::disallowed_methods, reason = "a pipe is read by a thread")]
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = happen.send(Event::Line(number - 1, line));
        }
        let _ = happen.send(Event::Gone(number - 1));
    });
    let stdin = child.stdin.take();
    Ok(Node { name: format!("node-{number}"), child, stdin, waits_at: None, url: None, is_ready: false })
}

/// Founds the cluster if it is new, says when it is ready, and waits for the end.
fn serve(args: &Args, dir: &Path, nodes: &mut [Node], events: &flume::Receiver<Event>) -> anyhow::Result<()> {
    let mut is_founded = false;
    let mut is_ready = false;
    loop {
        let event = match is_ready {
            true => events.recv().context("somebody watches for signals")?,
            false => events.recv_timeout(START_TIME_MAX).context("not all nodes came up in time")?,
        };
        match event {
            Event::Signal => return Ok(()),
            Event::Gone(index) if is_ready => {
                // Like a machine that fails: the others go on.
                say::line(format_args!(
                    "{} has ended; start it again with torc node --config {}/{}.toml",
                    nodes[index].name,
                    dir.display(),
                    nodes[index].name
                ));
            }
            Event::Gone(index) => {
                let status = nodes[index].child.wait()?;
                bail!("{} does not start ({status}); what it said stands above", nodes[index].name);
            }
            Event::Line(index, line) => nodes[index].hear(&line),
        }
        let all_know = nodes.iter().all(|node| node.waits_at.is_some() || node.is_ready);
        if !is_founded && all_know && nodes.iter().any(|node| node.waits_at.is_some()) {
            is_founded = true;
            found(args, dir, nodes)?;
        }
        if !is_ready && nodes.iter().all(|node| node.is_ready) {
            is_ready = true;
            say_ready(dir, nodes);
        }
    }
}

/// Makes a cluster of the nodes that wait. Those that do not are members already: a founding was cut short.
fn found(args: &Args, dir: &Path, nodes: &[Node]) -> anyhow::Result<()> {
    let mut addresses = Vec::new();
    for (number, node) in (1..).zip(nodes) {
        addresses.push(match node.waits_at {
            Some(address) => address,
            None => listen_of(&dir.join(format!("node-{number}.toml")))?,
        });
    }
    let peers = PeerArgs::with_secret(dir.join("cluster.secret")).load()?;
    let status = ctl::init(addresses, args.vnodes, peers, false)?;
    say::line(status);
    Ok(())
}

/// Where a node listens for others, by its configuration file.
#[expect(clippy::disallowed_methods, reason = "no executor runs in this process")]
fn listen_of(path: &Path) -> anyhow::Result<SocketAddr> {
    let file: toml::Table = toml::from_str(&std::fs::read_to_string(path)?)?;
    let listen = file.get("listen").and_then(toml::Value::as_str);
    listen.and_then(|text| text.parse().ok()).with_context(|| format!("{} has no listen", path.display()))
}

fn say_ready(dir: &Path, nodes: &[Node]) {
    for node in nodes {
        say::line(format_args!("listening {}  {}", node.url.as_deref().unwrap_or("-"), node.name));
    }
    let first = listen_of(&dir.join("node-1.toml")).map_or(String::new(), |address| address.to_string());
    say::line(format_args!(
        "  data     {dir}\n  look     torc ctl status --nodes {first} --secret-file {dir}/cluster.secret\nready; Ctrl-C stops",
        dir = dir.display()
    ));
}

/// Stops the nodes, one after the other.
fn stop(nodes: &mut [Node]) {
    for node in nodes.iter_mut() {
        drop(node.stdin.take());
        let status = wait(&mut node.child);
        // Who still waits to be founded has nothing to do in order.
        if node.is_ready && !status.is_ok_and(|status| status) {
            say::warn(format_args!("{} did not stop cleanly", node.name));
        }
    }
}

/// Whether it ended well within the time; killed if not.
#[expect(clippy::disallowed_methods, reason = "waits for a process, outside of any executor")]
fn wait(child: &mut Child) -> std::io::Result<bool> {
    let began = std::time::Instant::now();
    while began.elapsed() < STOP_TIME_MAX {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill()?;
    child.wait()?;
    Ok(false)
}

impl Node {
    fn hear(&mut self, line: &str) {
        if let Some(address) = line.strip_prefix("waiting ") {
            self.waits_at = address.trim().parse().ok();
        } else if let Some(url) = line.strip_prefix("listening ") {
            self.url.get_or_insert(url.trim().to_string());
        } else if line.starts_with("ready") {
            self.is_ready = true;
            self.waits_at = None;
        }
    }
}
