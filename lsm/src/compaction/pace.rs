//! How fast flush and compaction may go: pure, decided anew at every tick.
//!
//! ```text
//! what is owed ------> floor --\
//!                               max --> bytes a second
//! foreground p99 ----> give way /
//!   against its own quiet baseline
//! ```
//!
//! 1. A [`Window`] holds the foreground's last latencies, a few hundred of them, in buckets.
//! 2. What the window says when background work begins is the *baseline*: the p99 of a device and a core that are free.
//! 3. While background work runs, a [`Controller`] compares the window's p99 with the baseline at every tick: above the
//!    target the rate falls by a quarter, below it rises by a quarter, as TCP shares a line (additive-increase would take
//!    minutes over this range of rates).
//! 4. The rate never falls below a floor that grows with what is owed, eightfold for each third of the way, and at the end of
//!    the way there is no limit. That is where writers begin to be slowed: so debt is bounded whatever the p99 says.
//!
//! 5. A job that begins after a pause begins at a moderate rate: a short one is over before the first tick, and at full speed would be
//!    all that the device does meanwhile.
//!
//! When nobody is there to be disturbed there is no limit either. Who knows what the device can do gives a *ceiling*: the first job of
//! all, which has no baseline yet, and the way up then end there, instead of where the device is full. What is owed goes over it.

#[cfg(test)]
mod tests;

/// Everything that may be owed before writers are slowed, in thousandths.
pub(crate) const PRESSURE_MAX: u64 = 1000;
/// Bytes a second that background work always may move: a debt of a gigabyte is gone in four minutes.
pub(crate) const RATE_MIN: u64 = 4 << 20;
/// Bytes a second from which on nothing is held back: more than one core compresses.
pub(crate) const RATE_MAX: u64 = 1 << 30;
/// Bytes a second at which work begins beside a foreground that is awake.
pub(crate) const RATE_BEGIN: u64 = 64 << 20;
/// The floor doubles so often on the way from no pressure to all of it.
const DOUBLINGS: u64 = 8;
const _: () = assert!(RATE_MIN << DOUBLINGS == RATE_MAX);

/// The p99 that background work aims to stay below, over the baseline: half more ..
const TARGET_TIMES: (u64, u64) = (3, 2);
/// .. and this many microseconds, about two writes of a fast device: below that, differences are noise.
const TARGET_MORE_US: u64 = 100;
/// What the rate is multiplied with at a tick above the target, and at one below it.
const GIVE_WAY: (u64, u64) = (3, 4);
const GO_ON: (u64, u64) = (5, 4);
/// A baseline that is not confirmed by quiet times follows a lower p99 at once, and a higher one by this part of the
/// difference at each tick: a device that became slower for good is noticed within minutes.
const BASELINE_DRIFT: u64 = 4096;

/// Samples after which older ones count half.
const WINDOW_SAMPLES: u32 = 512;
/// Samples after which older ones do not count any more: less than one in a hundred.
const QUIET_SAMPLES: u32 = 4 * WINDOW_SAMPLES;
/// Buckets for each doubling of the latency: a bucket is at most a quarter wide.
const BUCKETS_PER_DOUBLING: u64 = 4;
/// From 1 us to 2^26 us, more than a minute.
const BUCKETS: usize = 26 * BUCKETS_PER_DOUBLING as usize;

/// The last latencies of the foreground.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    counts: [u32; BUCKETS],
    total: u32,
    /// Samples since the last [`Window::take_fresh`].
    fresh: u32,
}

impl Default for Window {
    fn default() -> Window {
        Window { counts: [0; BUCKETS], total: 0, fresh: 0 }
    }
}

impl Window {
    /// Takes one latency, in microseconds.
    pub(crate) fn add(&mut self, latency_us: u64) {
        if self.total >= WINDOW_SAMPLES {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().sum();
        }
        self.counts[bucket(latency_us)] += 1;
        self.total += 1;
        self.fresh += 1;
    }

    /// The upper end of the bucket that 99 of 100 samples do not exceed, in microseconds; none without samples.
    pub(crate) fn p99_us(&self) -> Option<u64> {
        let above_max = self.total / 100;
        let mut above = 0;
        for (bucket, count) in self.counts.iter().enumerate().rev() {
            above += count;
            if above > above_max {
                return Some(upper_end(bucket));
            }
        }
        None
    }

    /// The p99 of a quiet time that has just ended: known if so many samples came since [`Window::take_fresh`] was asked last
    /// that what was before them hardly counts.
    pub(crate) fn quiet_p99_us(&self) -> Option<u64> {
        self.p99_us().filter(|_| self.fresh >= QUIET_SAMPLES)
    }

    /// How many samples came since this was asked last.
    pub(crate) fn take_fresh(&mut self) -> u32 {
        std::mem::take(&mut self.fresh)
    }
}

fn bucket(latency_us: u64) -> usize {
    let latency = latency_us.max(1);
    let doubling = u64::from(latency.ilog2());
    // How far into its doubling, in buckets.
    let part = ((latency << 2) >> doubling) - BUCKETS_PER_DOUBLING;
    ((doubling * BUCKETS_PER_DOUBLING + part) as usize).min(BUCKETS - 1)
}

fn upper_end(bucket: usize) -> u64 {
    let (doubling, part) = (bucket as u64 / BUCKETS_PER_DOUBLING, bucket as u64 % BUCKETS_PER_DOUBLING);
    ((1 << doubling) * (BUCKETS_PER_DOUBLING + part + 1)).div_ceil(BUCKETS_PER_DOUBLING)
}

/// What a tick knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signals {
    /// What is owed, from 0 to [`PRESSURE_MAX`].
    pub(crate) pressure: u64,
    /// The foreground's p99; none when it did nothing since the last tick.
    pub(crate) p99_us: Option<u64>,
    /// Bytes a second that were moved since the last tick.
    pub(crate) moved: u64,
}

/// Decides the rate of background work.
#[derive(Clone, Debug)]
pub(crate) struct Controller {
    rate: u64,
    ceiling: u64,
    baseline_ns: Option<u64>,
}

impl Default for Controller {
    fn default() -> Controller {
        Controller::new(RATE_MAX)
    }
}

impl Controller {
    /// One that goes up to `ceiling` bytes a second while somebody is there; [`RATE_MAX`] is no limit.
    pub(crate) fn new(ceiling: u64) -> Controller {
        assert!((RATE_MIN..=RATE_MAX).contains(&ceiling), "a ceiling lies between the least and no limit");
        Controller { rate: RATE_MAX, ceiling, baseline_ns: None }
    }

    /// Background work begins after a quiet time, in which the foreground had this p99.
    pub(crate) fn begin(&mut self, quiet_p99_us: Option<u64>) {
        self.baseline_ns = quiet_p99_us.map(|micros| micros * 1000).or(self.baseline_ns);
    }

    /// A job begins after a pause, beside a foreground that is awake: gives the rate until the next tick.
    pub(crate) fn begin_gently(&mut self, pressure: u64) -> u64 {
        self.rate = self.rate.min(RATE_BEGIN).min(self.ceiling).max(floor(pressure));
        self.rate
    }

    /// A tick of background work: gives the rate from now on, in bytes a second; [`RATE_MAX`] is no limit.
    pub(crate) fn tick(&mut self, signals: Signals) -> u64 {
        let floor = floor(signals.pressure);
        let wanted = match signals.p99_us {
            None => RATE_MAX,
            // From what it was at, which may be far below what it was allowed.
            Some(p99_us) if self.is_disturbed(p99_us) => {
                scaled(self.rate.min(self.ceiling).min(signals.moved), GIVE_WAY)
            }
            Some(_) => scaled(self.rate, GO_ON).min(self.ceiling),
        };
        if let Some(p99_us) = signals.p99_us {
            self.drift(p99_us);
        }
        self.rate = wanted.clamp(floor, RATE_MAX);
        self.rate
    }

    /// The p99 without background work, as far as it is known, in microseconds.
    pub(crate) fn baseline_us(&self) -> Option<u64> {
        self.baseline_ns.map(|nanos| nanos / 1000)
    }

    fn is_disturbed(&self, p99_us: u64) -> bool {
        self.baseline_us().is_some_and(|baseline| p99_us > scaled(baseline, TARGET_TIMES) + TARGET_MORE_US)
    }

    fn drift(&mut self, p99_us: u64) {
        let p99_ns = p99_us * 1000;
        let baseline = self.baseline_ns.unwrap_or(p99_ns);
        let more = p99_ns.saturating_sub(baseline) / BASELINE_DRIFT;
        self.baseline_ns = Some(baseline.min(p99_ns) + more);
    }
}

/// The rate that background work always has under this pressure, in bytes a second.
pub(crate) fn floor(pressure: u64) -> u64 {
    if pressure >= PRESSURE_MAX {
        return RATE_MAX;
    }
    let doublings = pressure * DOUBLINGS;
    let (whole, part) = (doublings / PRESSURE_MAX, doublings % PRESSURE_MAX);
    let step = RATE_MIN << whole;
    step + step * part / PRESSURE_MAX
}

fn scaled(value: u64, (times, over): (u64, u64)) -> u64 {
    value.saturating_mul(times) / over
}
