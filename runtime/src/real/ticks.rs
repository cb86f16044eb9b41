//! The fine clock: the processor's time-stamp counter, held against the monotonic clock once.
//!
//! 1. A counter is used only if the processor says that it runs at one rate in all states (CPUID 80000007h, EDX bit 8: "invariant TSC"), on x86-64.
//!    Everywhere else the fine clock is the monotonic clock.
//! 2. Its rate is measured between the process's first look at both clocks and a moment [`CALIBRATION_TIME`] later: a reading of the pair is uncertain
//!    by some ten nanoseconds, so the rate is by some in a million.
//! 3. A reading is then one instruction, a multiplication and a shift: about 10 ns here, where the kernel's clock through the vDSO takes 25.
//!
//! Promises: nanoseconds; never back on one core.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::handle::instant;

/// Between the two looks at both clocks.
const CALIBRATION_TIME: Duration = Duration::from_millis(2);

/// Nanoseconds of a count are `count * scale >> SCALE_BITS`.
const SCALE_BITS: u32 = 32;

/// From counts to nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct FineClock {
    /// The count at the beginning; none where there is no good counter.
    counter: Option<Counter>,
    begin: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Counter {
    begin: u64,
    scale: u64,
}

/// Measured once, for all cores.
static CLOCK: OnceLock<FineClock> = OnceLock::new();

impl FineClock {
    /// The process's clock; the first call takes [`CALIBRATION_TIME`].
    pub(super) fn get() -> FineClock {
        *CLOCK.get_or_init(FineClock::measure)
    }

    fn measure() -> FineClock {
        let has_counter = is_invariant();
        let (begin, count) = pair(has_counter);
        let Some(count) = count else { return FineClock { counter: None, begin } };
        loop {
            let (now, later) = pair(has_counter);
            let passed = now.duration_since(begin);
            if passed < CALIBRATION_TIME {
                std::hint::spin_loop();
                continue;
            }
            let counted = later.expect("it was there a moment ago").saturating_sub(count);
            let scale = (passed.as_nanos() << SCALE_BITS).checked_div(u128::from(counted));
            // A counter that stands still, or is slower than a thousandth of a nanosecond's clock, is none.
            let scale = scale.and_then(|scale| u64::try_from(scale).ok());
            return FineClock { counter: scale.map(|scale| Counter { begin: count, scale }), begin };
        }
    }

    /// Nanoseconds since the beginning.
    #[inline]
    pub(super) fn nanos(&self) -> u64 {
        match self.counter {
            Some(Counter { begin, scale }) => {
                // Another core's counter may be a little behind the one that began.
                let counted = count().saturating_sub(begin);
                ((u128::from(counted) * u128::from(scale)) >> SCALE_BITS) as u64
            }
            None => u64::try_from(instant().duration_since(self.begin).as_nanos()).unwrap_or(u64::MAX),
        }
    }
}

/// Both clocks at one moment, as nearly as can be had: the closest of a few readings.
fn pair(has_counter: bool) -> (Instant, Option<u64>) {
    let reading = || {
        let before = instant();
        let counted = has_counter.then(count);
        let after = instant();
        (after.duration_since(before), before, counted)
    };
    let closest = (0..5).map(|_| reading()).min_by_key(|(width, ..)| *width).expect("there are five");
    let (width, before, counted) = closest;
    (before + width / 2, counted)
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn count() -> u64 {
    // SAFETY: every x86-64 processor has the instruction; it reads a counter and nothing else.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(target_arch = "x86_64")]
fn is_invariant() -> bool {
    const POWER_LEAF: u32 = 0x8000_0007;
    let leaf = |number| core::arch::x86_64::__cpuid(number);
    leaf(0x8000_0000).eax >= POWER_LEAF && leaf(POWER_LEAF).edx & (1 << 8) != 0
}

#[cfg(not(target_arch = "x86_64"))]
fn count() -> u64 {
    unreachable!("nobody counts where there is no counter")
}

#[cfg(not(target_arch = "x86_64"))]
fn is_invariant() -> bool {
    false
}

#[cfg(test)]
mod tests;
