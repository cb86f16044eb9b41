//! Asking a process what it tells of itself beside DynamoDB's API: `/metrics` and `/slow`, by plain HTTP, for `torc top` and `torc ctl slow`.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use runtime::real::RealRuntime;
use runtime::sync::timeout;
use runtime::{Runtime, Stream};

/// Who is asked as long as nobody else is named: a `torc serve` on this machine.
pub const AT_DEFAULT: &str = "127.0.0.1:8000";

/// Most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A process answers within this, or not at all.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// Asks for a page and gives its body.
pub async fn fetch(rt: &RealRuntime, at: SocketAddr, path: &str) -> anyhow::Result<String> {
    match timeout(rt, ANSWER_TIME_MAX, ask(rt, at, path)).await {
        Ok(answer) => page_of(&answer?, at, path),
        Err(_) => bail!("{at} does not answer within {} s", ANSWER_TIME_MAX.as_secs()),
    }
}

async fn ask(rt: &RealRuntime, at: SocketAddr, path: &str) -> anyhow::Result<Vec<u8>> {
    let stream = rt.connect(at).await.with_context(|| {
        format!("nobody answers at {at}\n  what to do: name the process's address for metrics (its flag --metrics), or that of its API")
    })?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let (mut bytes, mut part) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let size = stream.read(&mut part).await?;
        if size == 0 {
            return Ok(bytes);
        }
        bytes.extend_from_slice(&part[..size]);
        if bytes.len() > ANSWER_BYTES_MAX {
            bail!("{at} does not stop answering");
        }
    }
}

fn page_of(answer: &[u8], at: SocketAddr, path: &str) -> anyhow::Result<String> {
    let text = std::str::from_utf8(answer).context("the answer is no text")?;
    let (head, body) = text.split_once("\r\n\r\n").context("the answer is no HTTP")?;
    if !head.starts_with("HTTP/1.1 200 ") {
        bail!(
            "{at} does not tell {path}: {}\n  what to do: ask its address for metrics (its flag --metrics); the API's tells it from the same machine only, and only while there are \
             no users",
            head.lines().next().unwrap_or_default()
        );
    }
    Ok(body.to_owned())
}
