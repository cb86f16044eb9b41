//! Messages: how long a cache line takes from one cpu to another, between those that share a core, a cache, a socket, or nothing.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Latency, Tried, histogram};
use crate::facts::Core;
use crate::system;

/// Round trips that are timed together.
const BATCH: u32 = 16;

/// A cache line, and the one that is fetched along with it.
#[repr(align(128))]
struct Line(AtomicU32);

/// What two cpus share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Neighbours {
    /// A core: they are its threads.
    Core,
    /// The last cache.
    Cache,
    /// A socket.
    Socket,
    /// Nothing but the bus.
    Nothing,
}

/// One way from a cpu to another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Message {
    /// The one.
    pub from: usize,
    /// The other.
    pub to: usize,
    /// What they share.
    pub share: Neighbours,
    /// One way.
    pub latency: Latency,
}

/// One pair of each kind that there is.
pub(super) fn measure(cores: &[Core], each: Duration) -> Tried<Vec<Message>> {
    let pairs = pairs(cores);
    if pairs.is_empty() {
        return Tried::NotMeasured("only one cpu may be used".to_owned());
    }
    let measured: Result<Vec<Message>, &str> = pairs
        .into_iter()
        .map(|(from, to, share)| Ok(Message { from, to, share, latency: ping_pong(from, to, each)? }))
        .collect();
    Tried::of(measured)
}

/// From the first cpu to the first that shares each kind of thing with it.
pub(super) fn pairs(cores: &[Core]) -> Vec<(usize, usize, Neighbours)> {
    let Some((first, others)) = cores.split_first() else { return Vec::new() };
    let share = |other: &Core| match other {
        _ if first.threads.contains(&other.cpu) => Neighbours::Core,
        _ if first.cache.contains(&other.cpu) => Neighbours::Cache,
        _ if first.package == other.package => Neighbours::Socket,
        _ => Neighbours::Nothing,
    };
    let mut pairs: Vec<(usize, usize, Neighbours)> = Vec::new();
    for other in others {
        if pairs.iter().all(|(_, _, known)| *known != share(other)) {
            pairs.push((first.cpu, other.cpu, share(other)));
        }
    }
    pairs
}

fn ping_pong(from: usize, to: usize, duration: Duration) -> Result<Latency, &'static str> {
    let (there, back) = (Line(AtomicU32::new(0)), Line(AtomicU32::new(0)));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // An echo that cannot be pinned is one on another cpu as a rule.
            let _ = system::pin(to);
            let mut seen = 0;
            while !over.load(Ordering::Relaxed) {
                let now = there.0.load(Ordering::Acquire);
                if now != seen {
                    back.0.store(now, Ordering::Release);
                    seen = now;
                }
                std::hint::spin_loop();
            }
        });
        let asker = scope.spawn(|| {
            let pinned = system::pin(from);
            let times = ask(&there.0, &back.0, duration);
            over.store(true, Ordering::Relaxed);
            pinned.map_err(|_| "a thread could not be kept on a cpu").and_then(|()| Latency::of(&times))
        });
        asker.join().expect("a loop over two numbers does not panic")
    })
}

fn ask(there: &AtomicU32, back: &AtomicU32, duration: Duration) -> hdrhistogram::Histogram<u64> {
    let mut times = histogram();
    let (begin, mut round) = (Instant::now(), 0u32);
    'time: while begin.elapsed() < duration {
        let began = Instant::now();
        for _ in 0..BATCH {
            round = round.wrapping_add(1);
            there.store(round, Ordering::Release);
            let mut spins = 0u32;
            while back.load(Ordering::Acquire) != round {
                std::hint::spin_loop();
                spins = spins.wrapping_add(1);
                // The echo is not let run: nobody waits for it longer than for the others.
                if spins.is_multiple_of(1 << 14) && begin.elapsed() > duration {
                    break 'time;
                }
            }
        }
        times.saturating_record((began.elapsed().as_nanos() as u64 / u64::from(2 * BATCH)).max(1));
    }
    times
}
