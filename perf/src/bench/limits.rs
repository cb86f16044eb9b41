//! What the hardware can do: the lines that a figure is held against, measured in the same run on the same disk.
//!
//! - A durable write: 4 KiB with O_DSYNC into a file that was written before, in order, as a log does it; and a direct read of 4 KiB at random.
//!   Through a ring with nothing else in it (`tuning::measure`). No database acknowledges a write faster than this.
//! - A round trip: 128 bytes over loopback and back, between two threads that do nothing else; and the same through the runtime that torc
//!   and this generator run on.
//! - The generator's own: the run's requests to a server that does nothing.

use std::cell::RefCell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use runtime::sync::join_all;
use runtime::{BLOCK_BYTES, Class, CoreId, Listener, Runtime, Stream, Task};
use tuning::measure::{DeviceOptions, Latency, Transfer, TransferKind};

use super::recorder::{Kind, Recorder, Times};
use super::report::{Limit, LimitWork, Percentiles};

mod raw;

pub use self::raw::loopback as raw_loopback;

/// Bytes of the file that is written; larger than what a drive's cache answers for at this pace.
const FILE_BYTES: u64 = 64 << 20;
/// Bytes of one message.
const MESSAGE_BYTES: usize = 128;
/// Writes in flight, one limit each.
pub const DEPTHS: [usize; 2] = [1, 4];

/// Durable writes and direct reads in `dir`, through a raw ring, for `each` at each of [`DEPTHS`]. Leaves nothing behind. Blocks.
pub fn device(dir: &Path, each: Duration) -> io::Result<Vec<Limit>> {
    let points = DEPTHS.map(|depth| (BLOCK_BYTES, depth)).to_vec();
    let options = DeviceOptions { each, file_bytes: FILE_BYTES, points };
    let found = tuning::measure::device(dir, &options, &mut |_, _| {})?;
    let limit = |one: &Transfer| {
        let (work, what) = match one.kind {
            TransferKind::Write => (LimitWork::Write, "write, O_DSYNC"),
            TransferKind::Read => (LimitWork::Read, "read, direct"),
        };
        let Latency { count, us_p50, us_p99, us_p999, us_max } = one.latency;
        let latency_us = Percentiles {
            count,
            p50: us_p50,
            p99: us_p99,
            p999: us_p999,
            max: us_max,
            ..Percentiles::default()
        };
        let name = format!("raw ring: 4 KiB {what}, {} in flight", one.depth);
        Limit { name, work, depth: one.depth, per_second: one.per_second, latency_us }
    };
    Ok(found.transfers.iter().map(limit).collect())
}

/// Round trips over loopback, for `duration` with each of `counts` connections. Runs on every core; the first one answers,
/// the second asks and has the result, the others have nothing to do. A single core does both.
pub async fn loopback<R: Runtime>(rt: &R, counts: &[usize], duration: Duration) -> io::Result<Vec<Limit>> {
    let (answerer, asker) = (CoreId(0), CoreId(1));
    if rt.core_count() == 1 {
        let listener = rt.listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let address = listener.local_address();
        let server = rt.spawn(Class::Foreground, answer(rt.clone(), listener));
        let limits = ask(rt, address, counts, duration).await;
        drop(server);
        return limits;
    }
    if rt.core() == answerer {
        let listener = rt.listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let address = listener.local_address().to_string();
        let server = rt.spawn(Class::Foreground, answer(rt.clone(), listener));
        rt.mesh_send(asker, address.into_bytes()).await.map_err(io::Error::other)?;
        // Whatever comes, an end or the loss of the other core: the work is done.
        let _ended = rt.mesh_receive().await;
        drop(server);
        return Ok(Vec::new());
    }
    if rt.core() == asker {
        let (_, address) = rt.mesh_receive().await.map_err(io::Error::other)?;
        let address = String::from_utf8(address).expect("the other core sends an address");
        let limits =
            ask(rt, address.parse().expect("the other core sends an address"), counts, duration).await;
        rt.mesh_send(answerer, Vec::new()).await.map_err(io::Error::other)?;
        return limits;
    }
    Ok(Vec::new())
}

async fn answer<R: Runtime>(rt: R, listener: R::Listener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        rt.spawn(Class::Foreground, echo::<R>(stream)).detach();
    }
}

/// Sends back what comes, until the other side is gone.
async fn echo<R: Runtime>(stream: R::Stream) {
    let mut buffer = [0; MESSAGE_BYTES];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

async fn ask<R: Runtime>(
    rt: &R,
    address: SocketAddr,
    counts: &[usize],
    duration: Duration,
) -> io::Result<Vec<Limit>> {
    let mut limits = Vec::new();
    for connections in counts {
        limits.push(round_trips(rt, address, *connections, duration).await?);
    }
    Ok(limits)
}

async fn round_trips<R: Runtime>(
    rt: &R,
    address: SocketAddr,
    connections: usize,
    duration: Duration,
) -> io::Result<Limit> {
    let mut streams = Vec::new();
    for _ in 0..connections {
        streams.push(rt.connect(address).await?);
    }
    let recorder = Rc::new(RefCell::new(Recorder::default()));
    let until = rt.now().after(duration);
    let lanes = streams.into_iter().map(|stream| {
        let (rt, recorder) = (rt.clone(), recorder.clone());
        rt.clone().spawn(Class::Foreground, async move {
            let message = [7; MESSAGE_BYTES];
            while rt.now() < until {
                let sent = rt.now();
                stream.write_all(&message).await?;
                read_message::<R>(&stream).await?;
                recorder.borrow_mut().ok(Kind::Get, Times { due: sent, sent, done: rt.now() }, 1);
            }
            Ok(())
        })
    });
    let lanes: Vec<_> = lanes.collect();
    join_all(lanes).await.into_iter().collect::<io::Result<()>>()?;
    let plural = if connections == 1 { "" } else { "s" };
    let name =
        format!("through the runtime: {MESSAGE_BYTES} bytes and back, {connections} connection{plural}");
    Ok(limit(name, LimitWork::RoundTripOfRuntime, connections, &recorder.borrow()))
}

async fn read_message<R: Runtime>(stream: &R::Stream) -> io::Result<()> {
    let mut buffer = [0; MESSAGE_BYTES];
    let mut filled = 0;
    while filled < MESSAGE_BYTES {
        let count = stream.read(&mut buffer[filled..]).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += count;
    }
    Ok(())
}

fn limit(name: String, work: LimitWork, depth: usize, recorder: &Recorder) -> Limit {
    let stats = recorder.kinds.values().next();
    let seconds = recorder.span().as_secs_f64();
    Limit {
        name,
        work,
        depth,
        per_second: stats.map_or(0.0, |stats| stats.ok as f64 / seconds.max(1e-9)),
        latency_us: stats.map(|stats| Percentiles::of(&stats.service)).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
