//! What the hardware can do: the lines that a figure is held against, measured in the same run on the same disk.
//!
//! - A durable write: 4 KiB with O_DSYNC into a file that was written before, in order, as a log does it, at depth 1
//!   and 4. No database acknowledges a write faster than this.
//! - A round trip: 128 bytes over loopback and back, from one core to another where there are two.
//!
//! Both go through the same `Runtime` as the server does, so the distance from a figure to its limit is the server's
//! own doing.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use runtime::sync::join_all;
use runtime::{BLOCK_BYTES, Buffer, Class, CoreId, File, Listener, OpenOptions, Runtime, Stream, Task};

use super::recorder::{Kind, Recorder, Times};
use super::report::{Limit, LimitWork, Percentiles};

/// Bytes of the file that is written; larger than what a drive's cache answers for at this pace.
const FILE_BYTES: u64 = 64 << 20;
const PREWRITE_BYTES: usize = 1 << 20;
/// Bytes of one message.
const MESSAGE_BYTES: usize = 128;
/// Writes in flight, one limit each.
pub const DEPTHS: [usize; 2] = [1, 4];
/// Connections, one limit each.
pub const CONNECTIONS: [usize; 2] = [1, 64];

const _: () =
    assert!(FILE_BYTES.is_multiple_of(PREWRITE_BYTES as u64) && PREWRITE_BYTES.is_multiple_of(BLOCK_BYTES));

/// Durable writes in `dir`, for `duration` at each of [`DEPTHS`]. Leaves nothing behind.
pub async fn device<R: Runtime>(rt: &R, dir: &Path, duration: Duration) -> io::Result<Vec<Limit>> {
    let path = dir.join("torc-bench-device");
    prewrite(rt, &path).await?;
    let mut limits = Vec::new();
    for depth in DEPTHS {
        limits.push(writes(rt, &path, depth, duration).await?);
    }
    rt.remove(&path).await?;
    Ok(limits)
}

/// A file whose blocks were all written: a write into them changes no metadata.
async fn prewrite<R: Runtime>(rt: &R, path: &Path) -> io::Result<()> {
    let file = rt.open(path, OpenOptions::CREATE).await?;
    file.allocate(FILE_BYTES).await?;
    let mut buffer = file.buffer(PREWRITE_BYTES);
    buffer.as_mut_slice().fill(0xA5);
    let buffer = Rc::new(buffer);
    for offset in (0..FILE_BYTES).step_by(PREWRITE_BYTES) {
        file.write_at(buffer.clone(), offset).await?;
    }
    file.sync().await
}

async fn writes<R: Runtime>(rt: &R, path: &Path, depth: usize, duration: Duration) -> io::Result<Limit> {
    let file = rt.open(path, OpenOptions::WRITE_DSYNC).await?;
    let until = rt.now().after(duration);
    let recorder = Rc::new(RefCell::new(Recorder::default()));
    let next = Rc::new(Cell::new(0));
    let writer = |_| {
        let (rt, file, recorder, next) = (rt.clone(), file.clone(), recorder.clone(), next.clone());
        async move {
            let mut buffer = file.buffer(BLOCK_BYTES);
            buffer.as_mut_slice().fill(0x5A);
            let buffer = Rc::new(buffer);
            while rt.now() < until {
                let offset = next.replace((next.get() + BLOCK_BYTES as u64) % FILE_BYTES);
                let sent = rt.now();
                file.write_at(buffer.clone(), offset).await?;
                recorder.borrow_mut().ok(Kind::Put, Times { due: sent, sent, done: rt.now() }, 1);
            }
            Ok(())
        }
    };
    let writers: Vec<_> = (0..depth).map(|index| rt.spawn(Class::Foreground, writer(index))).collect();
    join_all(writers).await.into_iter().collect::<io::Result<()>>()?;
    let name = format!("4 KiB write, O_DSYNC, {depth} in flight");
    Ok(limit(name, LimitWork::Write, depth, &recorder.borrow()))
}

/// Round trips over loopback, for `duration` at each of [`CONNECTIONS`]. Runs on every core; the first one answers,
/// the second asks and has the result, the others have nothing to do. A single core does both.
pub async fn loopback<R: Runtime>(rt: &R, duration: Duration) -> io::Result<Vec<Limit>> {
    let (answerer, asker) = (CoreId(0), CoreId(1));
    if rt.core_count() == 1 {
        let listener = rt.listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let address = listener.local_address();
        let server = rt.spawn(Class::Foreground, answer(rt.clone(), listener));
        let limits = ask(rt, address, duration).await;
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
        let limits = ask(rt, address.parse().expect("the other core sends an address"), duration).await;
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

async fn ask<R: Runtime>(rt: &R, address: SocketAddr, duration: Duration) -> io::Result<Vec<Limit>> {
    let mut limits = Vec::new();
    for connections in CONNECTIONS {
        limits.push(round_trips(rt, address, connections, duration).await?);
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
    let name = format!("{MESSAGE_BYTES} bytes over loopback and back, {connections} connection{plural}");
    Ok(limit(name, LimitWork::RoundTrip, connections, &recorder.borrow()))
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
