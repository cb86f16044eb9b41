//! The kernel's toll: the clock, an empty system call, an empty operation through a ring.

use std::io;
use std::time::{Duration, Instant};

use super::{Latency, histogram};
use crate::{ring, system};

/// Calls that are timed together: the clock costs as much as they do.
const BATCH: u32 = 64;

/// One look at the clock.
pub(super) fn clock(duration: Duration) -> Result<Latency, &'static str> {
    batches(duration, || {
        std::hint::black_box(Instant::now());
    })
}

/// One system call that does nothing.
pub(super) fn system_call(duration: Duration) -> Result<Latency, &'static str> {
    batches(duration, system::enter_kernel)
}

fn batches(duration: Duration, mut call: impl FnMut()) -> Result<Latency, &'static str> {
    // Picoseconds would be needed for nothing: a look at the clock is some 20 ns.
    let mut times = histogram();
    let until = Instant::now() + duration;
    // One at least, however long the host did not let us.
    loop {
        let begin = Instant::now();
        (0..BATCH).for_each(|_| call());
        times.saturating_record((begin.elapsed().as_nanos() as u64 / u64::from(BATCH)).max(1));
        if Instant::now() >= until {
            return Latency::of(&times);
        }
    }
}

/// One operation that does nothing, through a ring and back.
pub(super) fn ring(duration: Duration) -> io::Result<Latency> {
    let mut times = histogram();
    ring::nops(duration, &mut times)?;
    Latency::of(&times).map_err(io::Error::other)
}
