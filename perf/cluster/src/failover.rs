//! Writes to every vnode while a node is killed, and while one hands its leadership over because it is told to stop.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde::Serialize;

use crate::dynamodb::{self, Client, Putter};
use crate::load::Writer;
use crate::options::Options;
use crate::processes::{Scratch, TorcCluster};

/// Keys that are written all the time, each by a writer of its own: enough to meet a third of a node's vnodes.
const KEYS: u64 = 32;

/// Each writer waits this long between two writes, so that a pause of the cluster shows and not the load: together they ask for less than the machine can do.
const PAUSE: Duration = Duration::from_millis(10);

/// After the start, leaders are elected and handed to whom they belong: that is over by then.
const SETTLE_TIME: Duration = Duration::from_secs(15);

/// How long writers work before something happens, and after.
const CALM: Duration = Duration::from_secs(3);

/// What was found: medians of the repeats, of the key that waited longest in each.
#[derive(Debug, Serialize)]
pub struct Failover {
    /// From SIGKILL of a node until each key had been written again, in milliseconds.
    pub killed_ms: f64,
    /// The longest time between two acknowledged writes of a key after SIGTERM of a node, in milliseconds; that the writer rests in between is part of it.
    pub handed_over_ms: f64,
    /// The same before it: what this machine makes writers wait for anyway.
    pub calm_ms: f64,
}

/// Kills and stops nodes, one of a new cluster in each repeat.
pub async fn measure(options: &Options) -> anyhow::Result<Failover> {
    let (mut killed, mut handed_over, mut calm) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.repeats {
        killed.push(disturb(options, libc::SIGKILL).await?.1);
        let (before, after) = disturb(options, libc::SIGTERM).await?;
        calm.push(before);
        handed_over.push(after);
    }
    Ok(Failover { killed_ms: median(killed), handed_over_ms: median(handed_over), calm_ms: median(calm) })
}

/// When each key's writes were acknowledged.
type Acknowledged = Rc<RefCell<Vec<Vec<Instant>>>>;

/// The longest that a key waited before the signal, and after it.
async fn disturb(options: &Options, signal: i32) -> anyhow::Result<(f64, f64)> {
    let scratch = Scratch::new(&options.dir)?;
    let cluster = TorcCluster::start(options, &scratch, 3, None).await?;
    Client::connect(cluster.router).await?.create_table().await?;
    tokio::time::sleep(SETTLE_TIME).await;
    let acknowledged: Acknowledged = Rc::new(RefCell::new(vec![Vec::new(); KEYS as usize]));
    let stop = Rc::new(Cell::new(false));
    let local = tokio::task::LocalSet::new();
    let at = local
        .run_until(async {
            let writers: Vec<_> = (0..KEYS)
                .map(|key| {
                    tokio::task::spawn_local(keep_writing(
                        cluster.router,
                        key,
                        Rc::clone(&acknowledged),
                        Rc::clone(&stop),
                    ))
                })
                .collect();
            tokio::time::sleep(CALM).await;
            let at = Instant::now();
            // SAFETY: a signal to a process that we started.
            ensure!(unsafe { libc::kill(cluster.nodes[0] as i32, signal) } == 0, "no node to signal");
            tokio::time::sleep(CALM * 2).await;
            stop.set(true);
            for writer in writers {
                writer.await?;
            }
            Ok(at)
        })
        .await?;
    let acknowledged = acknowledged.borrow();
    let (mut calm, mut longest) = (Duration::ZERO, Duration::ZERO);
    for (key, times) in acknowledged.iter().enumerate() {
        let waited = match signal {
            libc::SIGKILL => times.iter().find(|time| **time > at).map(|time| time.duration_since(at)),
            _ => gaps(times).filter(|(end, _)| *end > at).map(|(_, gap)| gap).max(),
        };
        calm =
            calm.max(gaps(times).filter(|(end, _)| *end <= at).map(|(_, gap)| gap).max().unwrap_or_default());
        let Some(waited) = waited else { anyhow::bail!("key {key} is not written any more") };
        longest = longest.max(waited);
    }
    Ok((calm.as_secs_f64() * 1000.0, longest.as_secs_f64() * 1000.0))
}

/// Between two writes, with when each ended.
fn gaps(times: &[Instant]) -> impl Iterator<Item = (Instant, Duration)> + '_ {
    times.windows(2).map(|pair| (pair[1], pair[1].duration_since(pair[0])))
}

/// Writes one key for ever; a refusal is no end, as it is none for an SDK.
async fn keep_writing(router: SocketAddr, key: u64, acknowledged: Acknowledged, stop: Rc<Cell<bool>>) {
    let text = dynamodb::base64(&[7; 100]);
    while !stop.get() {
        let Ok(mut putter) = Putter::connect(router, Rc::clone(&text)).await else { continue };
        while !stop.get() && putter.put(key).await.is_ok() {
            acknowledged.borrow_mut()[key as usize].push(Instant::now());
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
