//! Nodes on hosts of their own: a network of cables and a switch, made of Linux's network namespaces.
//!
//! ```text
//!              the test, ctl, clients   10.77.0.254
//!   ======================== switch ========================
//!     | cable           | cable           | cable
//!   node 1 10.77.0.1  node 2 10.77.0.2  node 3 10.77.0.3       each in a namespace
//! ```
//!
//! What the transport's own switch (`cuts` in a node's configuration) cannot show: here packets vanish and nobody is told. Connections stay half open, the
//! kernel repeats what it sent, ever more seldom, and what was said before a cut arrives after it.
//!
//! A cut in one direction is a wrong Ethernet address for the other host: packets leave, and nobody takes them.
//!
//! A process cannot enter a namespace without `unsafe`, so a test that wants one runs itself again by [`enter`], under `unshare`, as root or as a user who may
//! have user namespaces. The whole network ends with that process. It needs `iproute2`.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::TURN;

/// Says to a process that it stands at the switch.
const INSIDE: &str = "TORC_TEST_AT_THE_SWITCH";

/// The whole test, in the process that runs it.
const TIME_MAX: Duration = Duration::from_secs(300);

/// An Ethernet address that nobody has.
const NOBODY: &str = "02:00:00:00:00:ff";

/// Whether this process stands at a switch of its own.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs the test of this name at a switch of its own, and passes on how it ended. Where namespaces may not be made: why not.
pub fn enter(test: &str) -> Result<(), String> {
    let unshare = unshare()?;
    let _turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut command = Command::new(&unshare[0]);
    command.args(&unshare[1..]).arg(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads", "1"]).env(INSIDE, "1");
    let mut child = command.stdin(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + TIME_MAX;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() >= deadline {
            child.kill().unwrap();
            panic!("{test} takes more than {TIME_MAX:?} at the switch: {:?}", child.wait());
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success(), "{test} failed at the switch: {status}");
    Ok(())
}

/// The words before a command that give it a network of its own.
fn unshare() -> Result<Vec<String>, String> {
    let mut why = String::new();
    for user in [&[][..], &["--user", "--map-root-user"][..]] {
        let words: Vec<String> =
            ["unshare", "--net", "--mount"].iter().chain(user).map(ToString::to_string).collect();
        match Command::new(&words[0]).args(&words[1..]).args(["ip", "link"]).output() {
            Ok(tried) if tried.status.success() => return Ok(words),
            Ok(tried) => why = String::from_utf8_lossy(&tried.stderr).trim().to_owned(),
            Err(error) => why = format!("unshare: {error}"),
        }
    }
    Err(why)
}

/// The switch, which this process stands at. Names of namespaces lie in a file system that ends with it.
pub fn build() {
    let mounted = Command::new("mount").args(["-t", "tmpfs", "tmpfs", "/run"]).output().unwrap();
    assert!(mounted.status.success(), "{mounted:?}");
    ip("link set lo up");
    ip("link add switch type bridge");
    ip("addr add 10.77.0.254/24 dev switch");
    ip("link set switch up");
}

/// A host with a cable to the switch; its address.
pub fn add_host(number: usize) -> String {
    ip(&format!("netns add host{number}"));
    ip(&format!("link add cable{number} type veth peer name eth0 netns host{number}"));
    ip(&format!("link set cable{number} master switch up"));
    ip(&format!("-n host{number} addr add {}/24 dev eth0", address(number)));
    ip(&format!("-n host{number} link set eth0 up"));
    ip(&format!("-n host{number} link set lo up"));
    address(number)
}

fn address(number: usize) -> String {
    format!("10.77.0.{number}")
}

/// A command that runs on a host.
pub fn on_host(number: usize, program: Command) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &format!("host{number}")]).arg(program.get_program());
    command.args(program.get_args());
    command
}

/// Packets from one host to another one vanish, or arrive again.
pub fn lose(from: usize, to: usize, lost: bool) {
    let to = address(to);
    if lost {
        ip(&format!("-n host{from} neigh replace {to} lladdr {NOBODY} nud permanent dev eth0"));
    } else {
        ip(&format!("-n host{from} neigh del {to} dev eth0"));
    }
}

/// Pulls a host's cable, or puts it back.
pub fn plug(number: usize, plugged: bool) {
    ip(&format!("link set cable{number} {}", if plugged { "up" } else { "down" }));
}

#[track_caller]
fn ip(words: &str) {
    let said: Output = Command::new("ip").args(words.split(' ')).output().unwrap();
    assert!(said.status.success(), "ip {words}: {}", String::from_utf8_lossy(&said.stderr));
}
