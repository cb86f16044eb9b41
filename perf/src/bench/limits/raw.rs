//! The bare loopback: plain sockets between two threads, no executor, no ring.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the raw figure is that of plain sockets, threads and clocks, measured before any executor runs"
)]

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use runtime::Mono;

use super::super::recorder::{Kind, Recorder, Times};
use super::super::report::{Limit, LimitWork};
use super::{MESSAGE_BYTES, limit};

/// No message takes longer than this on loopback.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Round trips over loopback between two threads with nothing in between, for `each` at each of `counts` connections: a side writes to all of
/// its connections, then reads from all. Blocks.
pub fn loopback(counts: &[usize], each: Duration) -> io::Result<Vec<Limit>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    counts
        .iter()
        .map(|count| {
            let mut asking = Vec::new();
            let mut answering = Vec::new();
            for _ in 0..*count {
                asking.push(TcpStream::connect(address)?);
                answering.push(listener.accept()?.0);
            }
            for stream in asking.iter().chain(&answering) {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(WAIT_MAX))?;
            }
            let other = std::thread::spawn(move || echo_all(answering));
            let recorder = ask_all(asking, each);
            other.join().map_err(|_| io::Error::other("the answering thread panicked"))??;
            let plural = if *count == 1 { "" } else { "s" };
            let name = format!("raw loopback: {MESSAGE_BYTES} bytes and back, {count} connection{plural}");
            Ok(limit(name, LimitWork::RoundTrip, *count, &recorder?))
        })
        .collect()
}

/// Sends back what comes, until the other side is gone.
fn echo_all(mut streams: Vec<TcpStream>) -> io::Result<()> {
    let mut message = [0; MESSAGE_BYTES];
    loop {
        for stream in &mut streams {
            match stream.read_exact(&mut message) {
                Ok(()) => stream.write_all(&message)?,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

fn ask_all(mut streams: Vec<TcpStream>, each: Duration) -> io::Result<Recorder> {
    let (mut recorder, mut message, origin) = (Recorder::default(), [7; MESSAGE_BYTES], Instant::now());
    let now = || Mono(u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX));
    while origin.elapsed() < each {
        let sent = now();
        for stream in &mut streams {
            stream.write_all(&message)?;
        }
        for stream in &mut streams {
            stream.read_exact(&mut message)?;
            recorder.ok(Kind::Get, Times { due: sent, sent, done: now() }, 1);
        }
    }
    Ok(recorder)
}
