//! A server of our own: the same executable, started on an empty directory, and gone at the end.
//!
//! 1. `EXECUTABLE serve --http 127.0.0.1:0 --data-dir DIR` is started, and says on its standard output what it bound:
//!    a line `listening http://127.0.0.1:PORT`.
//! 2. `GET /` is asked until it is answered with 200; the time until then is the time to the first answer.
//! 3. Dropping the [`Server`] kills the process and removes the directory.
//!
//! This is the one place of the crate that blocks, with a deadline on each wait: it runs while nothing is measured.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

/// How long a server may take until its first answer.
const START_MAX: Duration = Duration::from_secs(30);
/// What its line begins with.
const LISTENING: &str = "listening http://";

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    dir: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
    /// From the start of the process to its first answer.
    pub start: Duration,
}

impl Server {
    /// Starts `executable` on the new directory `dir`.
    pub fn start(executable: &Path, dir: &Path) -> anyhow::Result<Server> {
        let mut command = Command::new(executable);
        command.args(["serve", "--http", "127.0.0.1:0", "--data-dir"]).arg(dir);
        Server::start_command(command, dir)
    }

    /// Starts `command`, which serves from the new directory `dir`.
    fn start_command(mut command: Command, dir: &Path) -> anyhow::Result<Server> {
        create_dir(dir)?;
        let began = now();
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
        let mut child = spawned.with_context(|| format!("{command:?} does not start"))?;
        let stdout = child.stdout.take().expect("piped above");
        // From here on dropping the server cleans up, also when a step below fails.
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Server { child, dir: dir.to_owned(), address: unknown, start: Duration::ZERO };
        server.address = listening(stdout)?;
        first_answer(server.address)?;
        server.start = now().duration_since(began);
        Ok(server)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; what matters is that it is gone and its directory with it.
        let _ended = self.child.kill();
        let _status = self.child.wait();
        if let Err(error) = remove_dir(&self.dir) {
            eprintln!("{}: {error}: remove it by hand", self.dir.display());
        }
    }
}

/// The address in the server's first `listening` line.
fn listening(stdout: ChildStdout) -> anyhow::Result<SocketAddr> {
    let (sender, receiver) = mpsc::channel();
    read_lines(stdout, move |line| {
        if let Some(address) = line.trim().strip_prefix(LISTENING) {
            // After the first line nobody waits any more, and the pipe is only emptied.
            let _unheard = sender.send(address.to_owned());
        }
    });
    match receiver.recv_timeout(START_MAX) {
        Ok(address) => address.parse().with_context(|| format!("the server listens on `{address}`")),
        Err(mpsc::RecvTimeoutError::Timeout) => {
            bail!("the server did not say `{LISTENING}...` in {START_MAX:?}")
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            bail!("the server ended before it said `{LISTENING}...`; what it said is above")
        }
    }
}

/// Hands each line to `heard`, until the end, on a thread of its own: a pipe has no deadline.
#[expect(
    clippy::disallowed_methods,
    reason = "a blocking read with a deadline; nothing is measured meanwhile"
)]
fn read_lines(stdout: ChildStdout, heard: impl Fn(&str) + Send + 'static) {
    std::thread::spawn(move || {
        BufReader::new(stdout).lines().map_while(Result::ok).for_each(|line| heard(&line))
    });
}

/// Waits for a 200 of `GET /`.
#[expect(
    clippy::disallowed_types,
    reason = "starting an executor would take longer than the answer that is timed"
)]
fn first_answer(address: SocketAddr) -> anyhow::Result<()> {
    let mut stream = std::net::TcpStream::connect_timeout(&address, START_MAX)
        .with_context(|| format!("the server says that it listens on {address}"))?;
    stream.set_read_timeout(Some(START_MAX))?;
    stream.write_all(format!("GET / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes())?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).context("GET / had no answer")?;
    let status = String::from_utf8_lossy(&status).into_owned();
    ensure!(status.ends_with(" 200"), "GET / was answered with `{status}`");
    Ok(())
}

/// The blocking clock of a process that has no runtime yet.
#[expect(clippy::disallowed_methods, reason = "times the start of a process from outside of every runtime")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "before there is a runtime")]
fn create_dir(dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir)
        .with_context(|| format!("{}: cannot be created; say --data-dir", dir.display()))
}

fn remove_dir(dir: &Path) -> std::io::Result<()> {
    std::fs::remove_dir_all(dir)
}

#[cfg(test)]
mod tests;
