//! A server that does nothing: whatever it is asked, it says that all went well. What the generator measures on it is the generator's own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, anyhow};
use runtime::real::{RealOptions, RealRuntime, Stopper};
use runtime::sync::select;
use runtime::{Class, Listener, Runtime, Stream, Task};

use super::host;
use super::local::Client;
use super::options::{Plan, Target};
use super::report::{Limit, LimitWork, Measurement};
use super::schedule::Pace;

/// Serves every operation of every workload.
const BODY: &str =
    r#"{"Item":{},"Items":[{}],"Table":{"TableStatus":"ACTIVE"},"UnprocessedItems":{},"UnprocessedKeys":{}}"#;
/// How long it may take to start.
const START_MAX: Duration = Duration::from_secs(10);
/// Bytes of a request that are looked at in one piece; larger bodies are skipped.
const READ_BYTES: usize = 64 * 1024;

/// A running one, until it is dropped.
struct Noop {
    address: SocketAddr,
    stopper: Stopper,
    thread: Option<JoinHandle<()>>,
}

impl Noop {
    /// Starts one on the first cpu that this process may use.
    #[expect(clippy::disallowed_methods, reason = "executors block the thread that starts them")]
    fn start(dir: &Path) -> anyhow::Result<Noop> {
        let cpu = host::cpus_allowed()[0];
        let options = RealOptions::new(vec![cpu], dir);
        let stopper = options.stopper.clone();
        let (sender, receiver) = mpsc::channel();
        let main = move |rt: RealRuntime| {
            let sender = sender.clone();
            async move {
                let listener = rt.listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await;
                let told =
                    sender.send(listener.as_ref().map(Listener::local_address).map_err(ToString::to_string));
                if let (Ok(listener), Ok(())) = (listener, told) {
                    select(rt.stopped(), serve(rt.clone(), listener)).await;
                }
            }
        };
        let thread = std::thread::spawn(move || {
            if let Err(error) = runtime::real::run(options, main) {
                eprintln!("the server that does nothing: {error}");
            }
        });
        let address =
            receiver.recv_timeout(START_MAX).context("the server that does nothing does not start")?;
        Ok(Noop { address: address.map_err(|error| anyhow!(error))?, stopper, thread: Some(thread) })
    }
}

impl Drop for Noop {
    fn drop(&mut self) {
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            // It says itself what went wrong.
            let _ended = thread.join();
        }
    }
}

/// Answers whoever connects, until it is dropped.
async fn serve<R: Runtime>(rt: R, listener: R::Listener) {
    while let Ok((stream, _)) = listener.accept().await {
        rt.spawn(Class::Foreground, answer::<R>(stream)).detach();
    }
}

async fn answer<R: Runtime>(stream: R::Stream) {
    let reply = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{BODY}", BODY.len());
    let (mut buffer, mut filled) = (vec![0; READ_BYTES], 0);
    loop {
        let Some(size) = request_bytes(&buffer[..filled]) else {
            if filled == buffer.len() {
                return;
            }
            match stream.read(&mut buffer[filled..]).await {
                Ok(count @ 1..) => filled += count,
                _ => return,
            }
            continue;
        };
        let mut left = size.saturating_sub(filled);
        while left > 0 {
            let room = left.min(buffer.len());
            match stream.read(&mut buffer[..room]).await {
                Ok(count @ 1..) => left -= count,
                _ => return,
            }
        }
        buffer.copy_within(size.min(filled)..filled, 0);
        filled -= size.min(filled);
        if stream.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Bytes of the first request, once its head is whole. The head is our own: the content length comes last in it.
fn request_bytes(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|part| part == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let (_, length) = head.rsplit_once(':')?;
    Some(end + 4 + length.trim().parse::<usize>().ok()?)
}

/// What the generator reaches with this plan's requests, and with one connection, for `each` long.
pub fn limits(client: &Client, plan: &Plan, each: Duration) -> anyhow::Result<Vec<Limit>> {
    let server = Noop::start(&client.dir)?;
    let mut counts = vec![1, plan.connections];
    counts.dedup();
    let limits = counts.into_iter().map(|connections| {
        let cores = client.cores.len().min(connections);
        let client =
            Client { cores: client.cores[client.cores.len() - cores..].to_vec(), dir: client.dir.clone() };
        let target = Target {
            address: server.address,
            tls: None,
            host: server.address.to_string(),
            ..plan.target.clone()
        };
        let plan = Plan {
            target,
            native: None,
            connections,
            cores,
            create: false,
            remove: false,
            preload: 0,
            verify: false,
            pace: Pace::Closed,
            duration: each,
            warmup: each / 4,
            requests_max: u64::MAX,
            stages_every: 0,
            keeps_log: false,
            progress: false,
            key_count: plan.key_count.max(connections as u64),
            ..plan.clone()
        };
        let measured = client.measure("the generator alone", plan)?;
        Ok(limit(connections, &measured))
    });
    limits.collect()
}

fn limit(connections: usize, measured: &Measurement) -> Limit {
    let plural = if connections == 1 { "" } else { "s" };
    Limit {
        name: format!("generator alone: a server that does nothing, {connections} connection{plural}"),
        work: LimitWork::Generator,
        depth: connections,
        per_second: measured.per_second,
        latency_us: measured.response_us,
    }
}

#[cfg(test)]
mod tests;
