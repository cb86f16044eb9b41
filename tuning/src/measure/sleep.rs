//! Sleep: how late timers are, and how long an idle cpu takes to wake. What governors of frequency and idleness cost shows here.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{Latency, Tried, histogram};
use crate::system;

/// The sleep that is asked for.
const SLEEP: Duration = Duration::from_micros(200);

/// A cpu gets so long to fall asleep before it is woken: longer than the governor takes to choose a deep state.
const IDLE: Duration = Duration::from_millis(2);

/// How much later than asked for a sleep ends.
pub(super) fn timer(duration: Duration) -> Result<Latency, &'static str> {
    std::thread::scope(|scope| {
        let measuring = scope.spawn(|| {
            system::no_timer_slack();
            let mut times = histogram();
            let until = Instant::now() + duration;
            // One at least, however long the host did not let us.
            loop {
                let begin = Instant::now();
                std::thread::sleep(SLEEP);
                times.saturating_record(begin.elapsed().saturating_sub(SLEEP).as_nanos() as u64);
                if Instant::now() >= until {
                    return Latency::of(&times);
                }
            }
        });
        measuring.join().expect("a loop that sleeps does not panic")
    })
}

/// How long a thread on an idle cpu takes to run after another one has woken it.
pub(super) fn wake(cpus: &[usize], duration: Duration) -> Tried<Latency> {
    let [one, other, ..] = cpus else {
        return Tried::NotMeasured("only one cpu may be used: nobody could wake it".to_owned());
    };
    let (rang, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let start = Instant::now();
    let (rang, over) = (&rang, &over);
    let times = std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            let mut times = histogram();
            // Where the pin is refused the figure still is that of a wake-up.
            let _ = system::pin(*other);
            while !over.load(Ordering::Acquire) {
                std::thread::park();
                let rung = rang.swap(0, Ordering::AcqRel);
                if rung > 0 {
                    times.saturating_record((start.elapsed().as_nanos() as u64).saturating_sub(rung));
                }
            }
            times
        });
        let bell = sleeper.thread().clone();
        let ringer = scope.spawn(move || {
            let _ = system::pin(*one);
            while start.elapsed() < duration {
                std::thread::sleep(IDLE);
                rang.store(start.elapsed().as_nanos() as u64, Ordering::Release);
                bell.unpark();
            }
            over.store(true, Ordering::Release);
            bell.unpark();
        });
        ringer.join().expect("a loop that sleeps does not panic");
        sleeper.join().expect("a loop that sleeps does not panic")
    });
    Tried::of(Latency::of(&times))
}
