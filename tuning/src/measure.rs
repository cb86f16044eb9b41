//! What this host costs, measured: each figure in microseconds, with its percentiles, in a few seconds for all of them.
//!
//! 1. Gaps: a loop that does nothing but look at the clock, on every cpu that we may use, and notes when it was not let.
//! 2. The kernel: a look at the clock, an empty system call, an empty round trip through a ring.
//! 3. Sleep: how much later than asked for a timer wakes a thread, and how long a cpu takes to wake for another.
//! 4. Messages: a cache line from one cpu to another and back, between neighbours and strangers.
//! 5. The device: direct reads and durable direct writes in the data directory, by size and depth.
//!
//! Everything has a deadline, and what cannot be measured says why. The file in the data directory has no name any more when it is
//! used, so that nothing is left behind however this ends.

use std::path::Path;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::facts::Facts;

mod cores;
mod device;
mod gaps;
mod kernel;
mod sleep;

pub use self::cores::{Message, Neighbours};
pub use self::device::{Device, DeviceOptions, Transfer, TransferKind, measure as device};
pub use self::gaps::Gaps;

/// How long each part takes, and what is left out.
#[derive(Clone, Debug)]
pub struct Options {
    /// Time for each figure, about.
    pub each: Duration,
    /// Why the device is left out, if it is.
    pub without_device: Option<String>,
}

impl Options {
    /// Good figures, in about five seconds.
    pub fn thorough() -> Options {
        Options { each: Duration::from_millis(200), without_device: None }
    }

    /// Rough figures, in about one second.
    pub fn quick() -> Options {
        Options { each: Duration::from_millis(40), without_device: None }
    }
}

/// A figure, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tried<T> {
    /// What came out.
    Measured(T),
    /// Why nothing did.
    NotMeasured(String),
}

impl<T> Tried<T> {
    /// What came out, if anything did.
    pub fn get(&self) -> Option<&T> {
        match self {
            Tried::Measured(value) => Some(value),
            Tried::NotMeasured(_) => None,
        }
    }

    /// Why nothing did; empty when something did.
    pub fn why_not(&self) -> &str {
        match self {
            Tried::Measured(_) => "",
            Tried::NotMeasured(why) => why,
        }
    }

    fn of<E: std::fmt::Display>(result: Result<T, E>) -> Tried<T> {
        result.map_or_else(|error| Tried::NotMeasured(error.to_string()), Tried::Measured)
    }
}

/// Percentiles of latencies, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// How many there were.
    pub count: u64,
    /// Half took no longer.
    pub us_p50: f64,
    /// 99 of 100 took no longer.
    pub us_p99: f64,
    /// 999 of 1,000 took no longer.
    pub us_p999: f64,
    /// The longest.
    pub us_max: f64,
}

impl Latency {
    /// Of a histogram of nanoseconds; an error where it is empty.
    fn of(times: &Histogram<u64>) -> Result<Latency, &'static str> {
        let us = |nanos: u64| nanos as f64 / 1000.0;
        let at = |quantile| us(times.value_at_quantile(quantile));
        match times.len() {
            0 => Err("nothing was finished in time"),
            count => Ok(Latency {
                count,
                us_p50: at(0.5),
                us_p99: at(0.99),
                us_p999: at(0.999),
                us_max: us(times.max()),
            }),
        }
    }
}

/// An empty histogram of nanoseconds up to a minute, to three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are in order")
}

/// All figures.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Gaps in which a busy thread was not let, per cpu.
    pub gaps: Tried<Vec<Gaps>>,
    /// One look at the clock.
    pub clock: Tried<Latency>,
    /// An empty system call.
    pub system_call: Tried<Latency>,
    /// An operation that does nothing, through a ring and back.
    pub ring: Tried<Latency>,
    /// How much later than asked for a sleep of 200 us ended.
    pub timer: Tried<Latency>,
    /// From the call that wakes a thread on another cpu, which is idle, to its first instruction.
    pub wake: Tried<Latency>,
    /// A cache line from one cpu to another, one way.
    pub messages: Tried<Vec<Message>>,
    /// The device of the data directory.
    pub device: Tried<Device>,
}

impl Measured {
    /// Nothing, for one reason: a recorded host cannot be measured.
    pub fn nothing(why: &str) -> Measured {
        fn no<T>(why: &str) -> Tried<T> {
            Tried::NotMeasured(why.to_owned())
        }
        Measured {
            gaps: no(why),
            clock: no(why),
            system_call: no(why),
            ring: no(why),
            timer: no(why),
            wake: no(why),
            messages: no(why),
            device: no(why),
        }
    }
}

/// Measures everything. `progress` is told what comes next, and how far it is, from 0 to 1.
pub fn measure(facts: &Facts, options: &Options, progress: &mut dyn FnMut(&str, f64)) -> Measured {
    let cpus = &facts.cpus;
    progress("gaps on every cpu", 0.0);
    let gaps = gaps::measure(&cpus.allowed, options.each * 3);
    progress("clock, system call, ring", 0.15);
    let clock = Tried::of(kernel::clock(options.each / 4));
    let system_call = Tried::of(kernel::system_call(options.each / 4));
    let ring = Tried::of(kernel::ring(options.each / 2));
    progress("timer and wake-up", 0.25);
    let timer = Tried::of(sleep::timer(options.each));
    let wake = sleep::wake(&cpus.allowed, options.each);
    progress("messages between cpus", 0.4);
    let messages = cores::measure(&cpus.cores, options.each / 2);
    let device = match &options.without_device {
        Some(why) => Tried::NotMeasured(why.clone()),
        None => {
            let each = DeviceOptions::check(options.each);
            let mut told = |what: &str, part: f64| progress(what, 0.5 + part / 2.0);
            Tried::of(device::measure(Path::new(&facts.storage.dir), &each, &mut told))
        }
    };
    progress("done", 1.0);
    Measured { gaps, clock, system_call, ring, timer, wake, messages, device }
}

#[cfg(test)]
mod tests;
