//! Gaps: times in which a thread that wanted to run was not let.
//!
//! On a cpu of one's own, a loop that looks at the clock sees steps of some 20 ns. A longer one is somebody else: another thread of
//! this host (then the thread was preempted, which the kernel counts), an interrupt, firmware, or the hypervisor.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::Tried;
use crate::system;

/// Steps of the clock below this are the loop's own, its caches and the timer's tick.
const GAP: Duration = Duration::from_micros(10);

/// Cpus that are watched; more threads than that tell nothing more.
const CPUS_MAX: usize = 256;

/// What one cpu's loop saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Gaps {
    /// The cpu.
    pub cpu: usize,
    /// How long it was watched, in microseconds.
    pub watched_us: f64,
    /// Gaps of more than 10 us.
    pub count: u64,
    /// How long they were in all, in microseconds.
    pub us_sum: f64,
    /// The longest, in microseconds.
    pub us_max: f64,
    /// How often another thread of this host was let instead.
    pub preemptions: u64,
}

impl Gaps {
    /// The part of the time that was lost.
    pub fn lost(&self) -> f64 {
        self.us_sum / self.watched_us.max(1.0)
    }
}

/// Watches all cpus at once.
pub(super) fn measure(cpus: &[usize], duration: Duration) -> Tried<Vec<Gaps>> {
    let watched = std::thread::scope(|scope| {
        let threads: Vec<_> =
            cpus.iter().take(CPUS_MAX).map(|cpu| scope.spawn(|| watch(*cpu, duration))).collect();
        threads.into_iter().map(|thread| thread.join().expect("the loop does not panic")).collect::<Vec<_>>()
    });
    let gaps: Vec<Gaps> = watched.into_iter().flatten().collect();
    if gaps.is_empty() {
        return Tried::NotMeasured("no thread could be kept on a cpu".to_owned());
    }
    Tried::Measured(gaps)
}

fn watch(cpu: usize, duration: Duration) -> Option<Gaps> {
    system::pin(cpu).ok()?;
    let preemptions = system::preemptions();
    let begin = Instant::now();
    let (mut last, mut gaps) = (begin, Gaps { cpu, ..Gaps::default() });
    while last - begin < duration {
        let now = Instant::now();
        if now - last >= GAP {
            let us = (now - last).as_secs_f64() * 1e6;
            gaps.count += 1;
            gaps.us_sum += us;
            gaps.us_max = gaps.us_max.max(us);
        }
        last = now;
    }
    gaps.watched_us = (last - begin).as_secs_f64() * 1e6;
    gaps.preemptions = system::preemptions() - preemptions;
    Some(gaps)
}
