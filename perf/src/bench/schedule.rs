//! When requests are due.
//!
//! ```text
//! closed     a lane's next request is due when its last answer came
//! constant   |    |    |    |    |    |    |    |      slot i at begin + i / rate
//! poisson    | |      |   ||        |  |      |        gaps of chance, -ln(1 - u) / rate
//! recorded   ||   |           | | |       |   |        as it was
//! ```
//!
//! In open loop the slots are laid down before the server has answered anything, and all lanes of a core share
//! them: whoever is free takes the next one and waits for it, or sends at once when it is past. Latency counts from
//! the slot, so a request that had to wait for a free connection has that wait in its time, as a user would.

use runtime::Mono;
use std::time::Duration;

use super::keys::Chance;

/// How requests follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As soon as the last answer is there.
    Closed,
    /// At equal distances.
    Constant {
        /// Operations a second over all cores.
        per_second: f64,
    },
    /// Independent of each other.
    Poisson {
        /// Operations a second over all cores, on average.
        per_second: f64,
    },
    /// As it was recorded: the schedule is given its slots.
    Recorded {
        /// Operations a second over all cores, on average.
        per_second: f64,
    },
}

impl Pace {
    /// Operations a second that are due; `None` in closed loop.
    pub fn rate(self) -> Option<f64> {
        match self {
            Pace::Closed => None,
            Pace::Constant { per_second } | Pace::Poisson { per_second } | Pace::Recorded { per_second } => {
                Some(per_second)
            }
        }
    }

    /// The pace of one of `count` equal parts.
    pub fn part(self, count: usize) -> Pace {
        assert!(count > 0);
        match self {
            Pace::Closed => Pace::Closed,
            Pace::Constant { per_second } => Pace::Constant { per_second: per_second / count as f64 },
            Pace::Poisson { per_second } => Pace::Poisson { per_second: per_second / count as f64 },
            Pace::Recorded { per_second } => Pace::Recorded { per_second: per_second / count as f64 },
        }
    }
}

/// The slots of one core's open-loop run, in order.
#[derive(Debug)]
pub struct Schedule {
    pace: Pace,
    begin: Mono,
    end: Mono,
    slots_taken: u64,
    /// Nanoseconds from `begin` to the last slot, where gaps are drawn.
    elapsed_ns: f64,
    chance: Chance,
    /// Where they were recorded: from the beginning to each.
    recorded: Vec<Duration>,
}

impl Schedule {
    /// Slots from `begin` until before `end`.
    pub fn new(pace: Pace, begin: Mono, end: Mono, chance: Chance) -> Schedule {
        assert!(begin <= end, "a run that ends before it begins");
        Schedule { pace, begin, end, slots_taken: 0, elapsed_ns: 0.0, chance, recorded: Vec::new() }
    }

    /// The same with these slots, for [`Pace::Recorded`].
    pub fn with_slots(self, recorded: Vec<Duration>) -> Schedule {
        Schedule { recorded, ..self }
    }

    /// The next slot and its number; `None` once the run is over. In closed loop it is `now`.
    pub fn take(&mut self, now: Mono) -> Option<(Mono, u64)> {
        let due = match self.pace {
            Pace::Closed => now,
            Pace::Constant { per_second } => self.at(self.slots_taken as f64 * 1e9 / per_second),
            Pace::Poisson { per_second } => {
                self.elapsed_ns += -(1.0 - self.chance.unit()).ln() * 1e9 / per_second;
                self.at(self.elapsed_ns)
            }
            Pace::Recorded { .. } => self.begin.after(*self.recorded.get(self.slots_taken as usize)?),
        };
        if due >= self.end {
            return None;
        }
        self.slots_taken += 1;
        Some((due, self.slots_taken - 1))
    }

    fn at(&self, elapsed_ns: f64) -> Mono {
        self.begin.after(Duration::from_nanos(elapsed_ns as u64))
    }
}

#[cfg(test)]
mod tests;
