//! What is measured, as processes: started, found ready, stopped, removed.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::etcd;
use crate::options::Options;

/// Whatever is started must be ready within this.
const START_TIME_MAX: Duration = Duration::from_secs(60);

/// A directory that goes when it is dropped.
pub struct Scratch {
    dir: tempfile::TempDir,
}

impl Scratch {
    /// A new one in `parent`.
    pub fn new(parent: &Path) -> anyhow::Result<Scratch> {
        Ok(Scratch { dir: tempfile::Builder::new().prefix("torc-cluster-").tempdir_in(parent)? })
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// A process that ends when it is dropped.
pub struct Process {
    child: Child,
}

impl Process {
    fn start(command: &mut Command) -> anyhow::Result<Process> {
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Process { child })
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SAFETY: a signal to a child that was not waited for yet.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until {
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a process and gives its lines on standard output to `take` until that says that it is ready.
fn start_until(command: &mut Command, mut take: impl FnMut(&str) -> bool) -> anyhow::Result<Process> {
    let mut process = Process::start(command.stdout(Stdio::piped()))?;
    let out = process.child.stdout.take().expect("it is piped");
    let (sender, lines) = mpsc::channel();
    // It goes on reading until the end, or the process would wait for room in the pipe.
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let until = Instant::now() + START_TIME_MAX;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let line = lines.recv_timeout(left).with_context(|| format!("{command:?} does not get ready"))?;
        if take(&line) {
            return Ok(process);
        }
    }
}

/// torc nodes, each a process in a zone of its own, and a router.
pub struct TorcCluster {
    /// Where clients reach the router.
    pub router: SocketAddr,
    /// The processes of the nodes, in order.
    pub nodes: Vec<u32>,
    _router: Process,
    _cluster: Process,
}

impl TorcCluster {
    /// Starts one of so many nodes in a new directory, of so many vnodes if that is said.
    pub async fn start(
        options: &Options,
        scratch: &Scratch,
        count: usize,
        vnodes: Option<u32>,
    ) -> anyhow::Result<TorcCluster> {
        let dir = scratch.path(&format!("torc-cluster-{count}"));
        let mut command = Command::new(&options.torc);
        command.args(["cluster", "--nodes", &count.to_string(), "--http", "127.0.0.1:0", "--dir"]).arg(&dir);
        if let Some(vnodes) = vnodes {
            command.args(["--vnodes", &vnodes.to_string()]);
        }
        let cluster = start_until(&mut command, |line| line.starts_with("ready"))?;
        let nodes = children(cluster.pid())?;
        ensure!(nodes.len() == count, "{count} nodes were asked for, {} run", nodes.len());
        let config = std::fs::read_to_string(dir.join("node-1.toml"))?;
        let listen =
            config.lines().find_map(|line| line.strip_prefix("listen = ")).context("a node that listens")?;
        let mut command = Command::new(&options.torc);
        command.args([
            "router",
            "--http",
            "127.0.0.1:0",
            "--seeds",
            listen.trim_matches('"'),
            "--secret-file",
        ]);
        command.arg(dir.join("cluster.secret"));
        let (router, _router) = start_listening(&mut command)?;
        Ok(TorcCluster { router, nodes, _router, _cluster: cluster })
    }
}

/// The processes that this one has started, in order.
fn children(pid: u32) -> anyhow::Result<Vec<u32>> {
    let mut pids = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = std::fs::read_to_string(task?.path().join("children"))?;
        pids.extend(text.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    pids.sort_unstable();
    Ok(pids)
}

/// Starts a process that serves DynamoDB's API; where it does.
fn start_listening(command: &mut Command) -> anyhow::Result<(SocketAddr, Process)> {
    let mut http = None;
    let process = start_until(command, |line| {
        http = http.or(line.strip_prefix("listening http://").and_then(|text| text.trim().parse().ok()));
        line.starts_with("ready")
    })?;
    Ok((http.context("it says no address")?, process))
}

/// One torc node.
pub struct Single {
    /// Where clients reach it.
    pub http: SocketAddr,
    _process: Process,
}

impl Single {
    /// Starts one in a new directory.
    pub async fn start(options: &Options, scratch: &Scratch) -> anyhow::Result<Single> {
        let mut command = Command::new(&options.torc);
        command.args(["serve", "--http", "127.0.0.1:0", "--data-dir"]).arg(scratch.path("torc-single"));
        let (http, _process) = start_listening(&mut command)?;
        Ok(Single { http, _process })
    }
}

/// etcd members.
pub struct Etcd {
    urls: Vec<String>,
    _members: Vec<Process>,
}

impl Etcd {
    /// Starts so many with etcd's defaults, in new directories.
    pub async fn start(scratch: &Scratch, count: usize) -> anyhow::Result<Etcd> {
        let ports = free_ports(2 * count)?;
        let peer = |member: usize| format!("http://127.0.0.1:{}", ports[count + member]);
        let url = |member: usize| format!("http://127.0.0.1:{}", ports[member]);
        let all =
            (0..count).map(|member| format!("m{member}={}", peer(member))).collect::<Vec<_>>().join(",");
        let start = |member: usize| {
            let log = std::fs::File::create(scratch.path(&format!("etcd-{member}.log")))?;
            let (peer, url) = (peer(member), url(member));
            let mut command = Command::new("etcd");
            command
                .args(["--name", &format!("m{member}"), "--initial-cluster", &all])
                .args(["--initial-cluster-state", "new", "--initial-cluster-token", "torc-compares"])
                .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
                .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
                .args(["--quota-backend-bytes", "8589934592", "--data-dir"])
                .arg(scratch.path(&format!("etcd-{member}")))
                .stdout(Stdio::null())
                .stderr(log);
            Process::start(&mut command).context("etcd is needed: apt-get install -y etcd-server")
        };
        let members = (0..count).map(start).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Etcd { urls: (0..count).map(url).collect(), _members: members })
    }

    /// Where the leader is reached.
    pub async fn leader(&self) -> anyhow::Result<String> {
        let until = Instant::now() + START_TIME_MAX;
        while Instant::now() < until {
            for url in &self.urls {
                if etcd::leads(url).await.unwrap_or(false) {
                    return Ok(url.clone());
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("etcd has no leader after {START_TIME_MAX:?}")
    }
}

/// A Redis server that syncs its log before it answers.
pub struct Redis {
    /// Where it listens.
    pub address: SocketAddr,
    _process: Process,
}

impl Redis {
    /// Starts one in a new directory; none where it is not installed.
    pub async fn start(scratch: &Scratch) -> anyhow::Result<Option<Redis>> {
        let (dir, port) = (scratch.path("redis"), free_ports(1)?[0]);
        std::fs::create_dir(&dir)?;
        let log = std::fs::File::create(scratch.path("redis.log"))?;
        let mut command = Command::new("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--daemonize", "no", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
            .arg(&dir)
            .stdout(log)
            .stderr(Stdio::null());
        if !is_installed("redis-server") {
            return Ok(None);
        }
        let process = Process::start(&mut command)?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        wait_for(address).await?;
        Ok(Some(Redis { address, _process: process }))
    }
}

/// dynalite, from an npm package.
pub struct Dynalite {
    /// Where it listens.
    pub address: SocketAddr,
    _process: Process,
}

impl Dynalite {
    /// Starts `program` in a new directory.
    pub async fn start(program: &Path, scratch: &Scratch) -> anyhow::Result<Dynalite> {
        let port = free_ports(1)?[0];
        let mut command = Command::new(program);
        command.args(["--port", &port.to_string(), "--createTableMs", "0", "--path"]);
        command.arg(scratch.path("dynalite")).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Process::start(&mut command)?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        wait_for(address).await?;
        Ok(Dynalite { address, _process: process })
    }
}

/// Whether there is such a program.
pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

async fn wait_for(address: SocketAddr) -> anyhow::Result<()> {
    let until = Instant::now() + START_TIME_MAX;
    while Instant::now() < until {
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("nobody listens on {address} after {START_TIME_MAX:?}")
}

/// Ports that nobody listens on now.
fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    let listeners: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}
