//! Clusters of real processes: nodes, routers, `torc ctl`, and what happens to them.
//!
//! - this file: [`Cluster`]: starts, kills, pauses and cuts nodes, asks `torc ctl`.
//! - `load`: writers and readers that know what a linearizable store may answer.
//! - `history`: clients that note all they ask and hear, for the linearizability checker.
//! - `basics`: founding, `torc cluster`, the SDK's tests against every node and a router, refusals.
//! - `faults`: SIGKILL, SIGSTOP and cuts under load; a rolling restart.
//! - `network`: nodes on hosts of their own, with cables that can be cut.
//! - `members`: nodes that join, drain, are replaced.
//!
//! Nothing is left behind: a node ends with its standard input, which is this process's.

mod basics;
mod faults;
mod history;
mod load;
mod members;
mod network;

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard, mpsc};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use serde_json::Value;

use crate::server::{client_of, data_directory, lines_of, send_signal};

/// A start or a stop that takes longer has failed. Generous: the machine may be busy compiling.
const TIME_MAX: Duration = Duration::from_secs(60);

/// One cluster at a time: three nodes want all cores there are.
static TURN: Mutex<()> = Mutex::new(());

/// A process of a cluster.
pub struct Process {
    child: Child,
    lines: mpsc::Receiver<String>,
    /// Its end ends the process.
    _stdin: Option<ChildStdin>,
    /// Where it serves DynamoDB's API, once it does.
    pub url: String,
}

impl Process {
    fn spawn(mut command: Command) -> Process {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let (lines, stdin) = (lines_of(child.stdout.take().unwrap()), child.stdin.take());
        Process { child, lines, _stdin: stdin, url: String::new() }
    }

    /// Reads on until a line begins so; notes where it listens.
    fn wait_for(&mut self, beginning: &str) -> String {
        let deadline = Instant::now() + TIME_MAX;
        let mut seen = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                let _ = self.child.kill();
                panic!("no {beginning:?} within {TIME_MAX:?}: {:?}, {seen:#?}", self.child.wait());
            };
            if let Some(url) = line.strip_prefix("listening ") {
                self.url = url.split_whitespace().next().unwrap().to_string();
            }
            if line.starts_with(beginning) {
                return line;
            }
            seen.push(line);
        }
    }

    pub fn signal(&self, name: &str) {
        send_signal(self.child.id(), name);
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and a clean end.
    pub fn stop(mut self) {
        self.signal("TERM");
        let deadline = Instant::now() + TIME_MAX;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "a clean stop ends with success, not {status}");
                return;
            }
            assert!(Instant::now() < deadline, "no clean stop within {TIME_MAX:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A few nodes of one cluster. Numbers are the cluster's, from 1.
pub struct Cluster {
    nodes: Vec<Option<Process>>,
    listens: Vec<SocketAddr>,
    /// Each node is on a host of its own: see [`network`].
    on_hosts: bool,
    /// Pairs of hosts, from and to, between which packets are lost, and who made it so.
    lost: RefCell<Vec<(usize, usize, usize)>>,
    dir: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Cluster {
    /// Three nodes in three zones, founded and ready.
    pub fn start() -> Cluster {
        let cluster = Cluster::waiting(3);
        cluster.found().unwrap();
        cluster.ready()
    }

    /// Three nodes, each on a host of its own, founded and ready.
    pub fn start_on_hosts() -> Cluster {
        network::build();
        let cluster = Cluster::waiting_on(true, 3);
        cluster.found().unwrap();
        cluster.ready()
    }

    /// So many nodes that wait to be founded.
    pub fn waiting(count: usize) -> Cluster {
        Cluster::waiting_on(false, count)
    }

    fn waiting_on(on_hosts: bool, count: usize) -> Cluster {
        let turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let dir = data_directory();
        std::fs::write(dir.path().join("secret"), "what only this cluster knows, and no other\n").unwrap();
        let (nodes, listens, lost) = Default::default();
        let mut cluster = Cluster { nodes, listens, on_hosts, lost, dir, _turn: turn };
        (0..count).for_each(|_| cluster.add());
        cluster
    }

    fn found(&self) -> Result<Value, String> {
        let nodes: Vec<String> = self.listens.iter().map(SocketAddr::to_string).collect();
        self.try_ctl(&["cluster", "init", "--vnodes", "24", "--nodes", &nodes.join(",")])
    }

    fn ready(mut self) -> Cluster {
        for node in self.nodes.iter_mut().flatten() {
            node.wait_for("ready");
        }
        self
    }

    /// One more node, which waits to belong to a cluster.
    pub fn add(&mut self) {
        self.add_as(&format!("node-{}", self.nodes.len() + 1));
    }

    /// One of this name.
    pub fn add_as(&mut self, name: &str) {
        let number = self.nodes.len() + 1;
        let (listen, http) = match self.on_hosts {
            true => {
                let host: IpAddr = network::add_host(number).parse().unwrap();
                (SocketAddr::new(host, 7000), SocketAddr::new(host, 8000))
            }
            false => (free_port(), free_port()),
        };
        self.listens.push(listen);
        self.write_config(number, name, http);
        let mut node = self.spawn(number);
        node.wait_for("waiting");
        self.nodes.push(Some(node));
    }

    fn write_config(&self, number: usize, name: &str, http: SocketAddr) {
        let dir = self.path().display();
        let text = format!(
            "name = \"{name}\"\nzone = \"zone-{zone}\"\ndata-dir = \"{dir}/node-{number}\"\nlisten = \"{listen}\"\nhttp = \"{http}\"\n\
             shards = 1\nmemory = \"96MiB\"\nsecret-file = \"{dir}/secret\"\ncuts = \"{dir}/cuts-{number}\"\nwith-stdin = true\n\
             allow-public = {}\n",
            self.on_hosts,
            zone = number,
            listen = self.listens[number - 1],
        );
        std::fs::write(self.config(number), text).unwrap();
    }

    fn spawn(&self, number: usize) -> Process {
        let mut command = torc();
        command.arg("node").arg("--config").arg(self.config(number));
        Process::spawn(if self.on_hosts { network::on_host(number, command) } else { command })
    }

    fn config(&self, number: usize) -> PathBuf {
        self.path().join(format!("node-{number}.toml"))
    }

    /// Where everything of this cluster lies.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A node that runs.
    pub fn node(&self, number: usize) -> &Process {
        self.nodes[number - 1].as_ref().expect("it runs")
    }

    /// Takes a node's process, to kill or stop it.
    pub fn take(&mut self, number: usize) -> Process {
        self.nodes[number - 1].take().expect("it runs")
    }

    /// Starts a node again.
    pub fn restart(&mut self, number: usize) {
        let mut node = self.spawn(number);
        node.wait_for("ready");
        self.nodes[number - 1] = Some(node);
    }

    /// Waits until a node that waited serves.
    pub fn wait_until_ready(&mut self, number: usize) {
        self.nodes[number - 1].as_mut().expect("it runs").wait_for("ready");
    }

    /// Cuts one node off others: `2 both`, a line for each. Nothing heals all. By the transport's switch, or by what their hosts' cables carry.
    pub fn cut(&self, number: usize, lines: &str) {
        if self.on_hosts {
            return self.cut_cables(number, lines);
        }
        let path = self.path().join(format!("cuts-{number}"));
        std::fs::write(path.with_extension("new"), lines).unwrap();
        std::fs::rename(path.with_extension("new"), path).unwrap();
    }

    fn cut_cables(&self, number: usize, lines: &str) {
        for (_, from, to) in self.lost.borrow_mut().extract_if(.., |(whose, ..)| *whose == number) {
            network::lose(from, to, false);
        }
        for line in lines.lines() {
            let (other, way) = line.split_once(' ').expect("a node and a way");
            let other: usize = other.parse().unwrap();
            for (from, to, cut) in [(number, other, way != "in"), (other, number, way != "out")] {
                if cut {
                    network::lose(from, to, true);
                    self.lost.borrow_mut().push((number, from, to));
                }
            }
        }
    }

    /// Pulls the cable of a node's host, or puts it back.
    pub fn plug(&self, number: usize, plugged: bool) {
        assert!(self.on_hosts, "only a host has a cable");
        network::plug(number, plugged);
    }

    /// The URLs of the nodes that run.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().flatten().map(|node| node.url.clone()).collect()
    }

    /// A client of one node, without retries.
    pub fn client(&self, number: usize) -> Client {
        client_of(&self.node(number).url, RetryConfig::disabled())
    }

    /// `torc router` in front of the cluster.
    pub fn router(&self) -> Process {
        let mut command = torc();
        let seeds: Vec<String> = self.listens.iter().map(SocketAddr::to_string).collect();
        command.args(["router", "--http", "127.0.0.1:0", "--cpus", "0", "--seeds", &seeds.join(",")]);
        command.arg("--secret-file").arg(self.path().join("secret"));
        let mut router = Process::spawn(command);
        router.wait_for("ready");
        router
    }

    /// Where a node listens for others.
    pub fn listen(&self, number: usize) -> SocketAddr {
        self.listens[number - 1]
    }

    /// Runs `torc ctl`, told where the cluster is; its JSON, or what it said on stderr.
    pub fn try_ctl(&self, arguments: &[&str]) -> Result<Value, String> {
        let mut command = torc();
        command.arg("ctl").args(arguments).arg("--json");
        command.arg("--secret-file").arg(self.path().join("secret"));
        if !arguments.contains(&"--nodes") {
            let nodes: Vec<String> = self.listens.iter().map(SocketAddr::to_string).collect();
            command.args(["--nodes", &nodes.join(",")]);
        }
        let output = command.stdin(Stdio::null()).output().unwrap();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).to_string());
        }
        let text = String::from_utf8_lossy(&output.stdout).to_string();
        Ok(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}")))
    }

    #[track_caller]
    pub fn ctl(&self, arguments: &[&str]) -> Value {
        self.try_ctl(arguments).unwrap_or_else(|text| panic!("torc ctl {arguments:?}: {text}"))
    }

    /// The node that should lead most vnodes, by the map.
    pub fn busiest(&self) -> usize {
        let status = self.ctl(&["status"]);
        let nodes = status["nodes"].as_array().unwrap();
        let busiest = nodes.iter().max_by_key(|node| node["leaders"].as_u64()).unwrap();
        busiest["number"].as_u64().unwrap() as usize
    }

    /// Replicas per node that keeps any must be even: none over 1.15 times the mean, or one more than it.
    #[track_caller]
    pub fn assert_balanced(&self, nodes: &[u64]) {
        let status = self.ctl(&["status"]);
        let kept = |node: &Value| node["replicas"].as_u64().unwrap();
        let all = status["nodes"].as_array().unwrap();
        let counts: Vec<u64> =
            all.iter().filter(|node| nodes.contains(&node["number"].as_u64().unwrap())).map(kept).collect();
        let total: u64 = all.iter().map(kept).sum();
        assert_eq!(counts.iter().sum::<u64>(), total, "others keep nothing: {status}");
        let mean = total as f64 / counts.len() as f64;
        let most = *counts.iter().max().unwrap() as f64;
        assert!(most <= (mean * 1.15).max(mean.ceil()), "{counts:?}, mean {mean}");
        let fullest = status["fullest"].as_f64().unwrap();
        assert!((1.0..=1.15).contains(&fullest), "{status}");
    }

    /// `torc inspect verify` on the directory of a node whose process has ended: it is whole, and everything in it is known.
    #[track_caller]
    pub fn assert_whole(&self, number: usize) {
        let data = self.path().join(format!("node-{number}"));
        let output = torc().args(["inspect", "verify", "--json"]).arg(&data).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).to_string();
        let said: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{output:?}"));
        assert!(output.status.success() && said["whole"] == true, "node {number}: {said}");
        // A stop may leave a merge's files behind; that nobody knows a file is another matter.
        let left_behind = |orphan: &Value| orphan["why"].as_str().unwrap().contains("left behind by a stop");
        assert!(said["orphans"].as_array().unwrap().iter().all(left_behind), "node {number}: {said}");
    }

    /// Waits until the catalog has noticed that a node is gone.
    pub fn wait_until_down(&self, number: usize) {
        let deadline = Instant::now() + TIME_MAX;
        loop {
            let is_down = |status: Value| status["nodes"][number - 1]["up"] == false;
            if self.try_ctl(&["status"]).is_ok_and(is_down) {
                return;
            }
            assert!(Instant::now() < deadline, "node {number} still counts as there");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until nothing is moved any more.
    pub fn settle(&self) {
        let deadline = Instant::now() + TIME_MAX;
        loop {
            if let Ok(status) = self.try_ctl(&["status"])
                && status["moving"] == 0
                && status["left"] == 0
            {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "not balanced within {TIME_MAX:?}: {:?}",
                self.try_ctl(&["status"])
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The program.
pub fn torc() -> Command {
    Command::new(env!("CARGO_BIN_EXE_torc"))
}

/// A port of loopback that is free now, and below those that the system gives to outgoing connections: one of these could take
/// a node's port while the node is away.
pub fn free_port() -> SocketAddr {
    use std::hash::{BuildHasher, RandomState};
    loop {
        let port = 10_000 + (RandomState::new().hash_one(0) % 22_000) as u16;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener.local_addr().unwrap();
        }
    }
}
