//! The device profile: what the device of a data directory can do, measured once, and what torc makes of it.
//!
//! ```text
//! torc tune profile --> device-profile.toml --> torc serve, torc node
//!                       [device]  whose it is
//!                       [[point]] what was measured
//!                       [use]     what follows from it; people may change it
//! ```
//!
//! 1. Sizes and depths are measured for durable writes and for reads ([`measure::device`](crate::measure::device())).
//! 2. [`Use::of`] draws the conclusions: pure, and each with its rule beside it.
//! 3. [`Profile::parse`] refuses what no device can be and what no setting may be, so that a file that was cut, mixed up or invented is
//!    an error and not a slow database.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::facts::Facts;
use crate::measure::{Device, Transfer, TransferKind};

/// The file's name in a data directory.
pub const PROFILE_FILE: &str = "device-profile.toml";

const VERSION: u32 = 1;

/// A device, what was measured of it, what follows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Profile {
    version: u32,
    /// What to set.
    #[serde(rename = "use")]
    pub settings: Use,
    /// Whose profile it is.
    pub device: Whose,
    /// What was measured.
    #[serde(rename = "point")]
    pub points: Vec<Point>,
}

/// Whose profile it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Whose {
    /// Disks by name and model.
    pub disks: String,
    /// The kind of file system.
    pub file_system: String,
    /// The kernel that it was measured under.
    pub kernel: String,
}

/// What torc sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Use {
    /// Writes of all shards' logs that are in flight at once; each shard has its share: see [`Use::log_writes_of`].
    pub log_writes_in_flight: usize,
    /// Bytes that a scan reads at once; three such reads are on their way.
    pub read_ahead_bytes: usize,
    /// Bytes of one write of a flush or compaction, and of one read of a compaction; four are on their way.
    pub transfer_bytes: usize,
    /// Bytes a second that flushes and compactions of all shards together may move while clients are there.
    pub background_bytes_per_second: u64,
    /// How long an idle core looks for work before it sleeps, in microseconds; it has no rest meanwhile.
    pub spin_us: u64,
}

/// One size and depth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Point {
    /// Reads from random places, or durable writes in order.
    pub kind: TransferKind,
    /// Bytes of each.
    pub size: usize,
    /// How many were in flight.
    pub depth: usize,
    /// How many ended in a second.
    pub per_second: f64,
    /// Half took no longer, in microseconds.
    pub us_p50: f64,
    /// 99 of 100 took no longer, in microseconds.
    pub us_p99: f64,
}

/// What is wrong with a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadProfile(String);

impl fmt::Display for BadProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadProfile {}

/// Bounds of what may be set; the engine's own asserts lie outside of them.
pub mod bounds {
    /// Writes in flight of one log.
    pub const LOG_WRITES: std::ops::RangeInclusive<usize> = 1..=64;
    /// Bytes that a scan reads at once, a multiple of the block.
    pub const READ_AHEAD_BYTES: std::ops::RangeInclusive<usize> = (4 << 10)..=(1 << 20);
    /// Bytes of one write or read of background work, a multiple of the block.
    pub const TRANSFER_BYTES: std::ops::RangeInclusive<usize> = (4 << 10)..=(4 << 20);
    /// Bytes a second for background work: what every shard always may move, and more than any device does.
    pub const BACKGROUND: std::ops::RangeInclusive<u64> = (4 << 20)..=(1 << 40);
    /// Microseconds of looking for work: beyond a tick of the scheduler it is a heater.
    pub const SPIN_US: std::ops::RangeInclusive<u64> = 0..=4_000;
}

const BLOCK_BYTES: usize = 4096;

/// Twice as many writes in flight have to bring this much more writes a second: each costs the core some ten microseconds, which it
/// lacks for requests ..
const DEPTH_GAIN: f64 = 1.25;
/// .. and none may take longer than this many times a write that is alone: beyond it a larger batch serves its requests as well.
const DEPTH_WAIT: f64 = 2.0;
/// A transfer of twice the size has to move this much more bytes a second ..
const SIZE_GAIN: f64 = 1.20;
/// .. and none may hold the device longer than this, in microseconds: a durable write behind it waits so long.
const SIZE_US_MAX: f64 = 1_000.0;
/// The part of the device's bytes a second that background work takes at most while clients are there.
const BACKGROUND_PART: f64 = 0.75;

impl Use {
    /// What follows from figures.
    ///
    /// `spin_us`: how long to look for work, where the cores are nobody else's; see [`spin`].
    pub fn of(points: &[Point], spin_us: u64) -> Use {
        let best = |kind| {
            points
                .iter()
                .filter(move |point| point.kind == kind)
                .map(Point::bytes_per_second)
                .fold(0.0, f64::max)
        };
        let bytes_per_second = best(TransferKind::Read).min(best(TransferKind::Write)) * BACKGROUND_PART;
        Use {
            log_writes_in_flight: log_depth(points)
                .clamp(*bounds::LOG_WRITES.start(), *bounds::LOG_WRITES.end()),
            read_ahead_bytes: size(points, TransferKind::Read, 2)
                .clamp(16 << 10, *bounds::READ_AHEAD_BYTES.end()),
            transfer_bytes: size(points, TransferKind::Write, 4)
                .max(size(points, TransferKind::Read, 4))
                .clamp(64 << 10, 1 << 20),
            background_bytes_per_second: (bytes_per_second as u64)
                .clamp(*bounds::BACKGROUND.start(), *bounds::BACKGROUND.end()),
            spin_us: spin_us.min(*bounds::SPIN_US.end()),
        }
    }

    /// The share of one of so many shards: what is left of the device's depth, but no less than four where the device has them, because a
    /// shard whose log waits for one write before the next is twice as slow as the device.
    pub fn log_writes_of(&self, shards: usize) -> usize {
        const LEAST: usize = 4;
        (self.log_writes_in_flight / shards.max(1)).max(self.log_writes_in_flight.min(LEAST))
    }

    fn check(&self) -> Result<(), BadProfile> {
        fn within<T: PartialOrd + fmt::Display>(
            name: &str,
            value: T,
            bounds: &std::ops::RangeInclusive<T>,
        ) -> Result<(), BadProfile> {
            match bounds.contains(&value) {
                true => Ok(()),
                false => Err(BadProfile(format!(
                    "use.{name} is {value}, and has to be from {} to {}",
                    bounds.start(),
                    bounds.end()
                ))),
            }
        }
        within("log-writes-in-flight", self.log_writes_in_flight, &bounds::LOG_WRITES)?;
        within("read-ahead-bytes", self.read_ahead_bytes, &bounds::READ_AHEAD_BYTES)?;
        within("transfer-bytes", self.transfer_bytes, &bounds::TRANSFER_BYTES)?;
        within("background-bytes-per-second", self.background_bytes_per_second, &bounds::BACKGROUND)?;
        within("spin-us", self.spin_us, &bounds::SPIN_US)?;
        for (name, bytes) in
            [("read-ahead-bytes", self.read_ahead_bytes), ("transfer-bytes", self.transfer_bytes)]
        {
            if !bytes.is_multiple_of(BLOCK_BYTES) {
                return Err(BadProfile(format!(
                    "use.{name} is {bytes}, and has to be a multiple of {BLOCK_BYTES}"
                )));
            }
        }
        Ok(())
    }
}

/// The knee of small durable writes: deeper as long as each doubling brings a quarter more and nobody waits twice as long.
fn log_depth(points: &[Point]) -> usize {
    let mut small: Vec<&Point> = points
        .iter()
        .filter(|point| point.kind == TransferKind::Write && point.size == BLOCK_BYTES)
        .collect();
    small.sort_by_key(|point| point.depth);
    let Some(first) = small.first() else { return 4 };
    let mut knee = *first;
    for next in &small[1..] {
        let gains = next.per_second >= knee.per_second * DEPTH_GAIN;
        if !gains || next.us_p50 > first.us_p50 * DEPTH_WAIT {
            break;
        }
        knee = next;
    }
    knee.depth
}

/// The knee of sizes with so many in flight: larger as long as each doubling moves a fifth more and holds the device not too long.
fn size(points: &[Point], kind: TransferKind, depth: usize) -> usize {
    let mut sizes: Vec<&Point> =
        points.iter().filter(|point| point.kind == kind && point.depth == depth).collect();
    sizes.sort_by_key(|point| point.size);
    let Some(first) = sizes.first() else { return BLOCK_BYTES };
    let mut knee = *first;
    for next in &sizes[1..] {
        let doublings = (next.size as f64 / knee.size as f64).log2();
        let gains = next.bytes_per_second() >= knee.bytes_per_second() * SIZE_GAIN.powf(doublings);
        if !gains || next.us_p50 > SIZE_US_MAX {
            break;
        }
        knee = next;
    }
    knee.size
}

/// How long an idle core may look for work: as long as a durable write takes at most, where all cores that may be used are isolated, so that
/// nobody else wants them and no quota counts them; else not at all.
pub fn spin(facts: &Facts, points: &[Point]) -> u64 {
    let cpus = &facts.cpus;
    let are_ours = !cpus.allowed.is_empty() && cpus.allowed.iter().all(|cpu| cpus.isolated.contains(cpu));
    let write = points
        .iter()
        .find(|point| (point.kind, point.size, point.depth) == (TransferKind::Write, BLOCK_BYTES, 1));
    match (are_ours, facts.cgroup.cpu_quota, write) {
        (true, None, Some(write)) => (write.us_p99.ceil() as u64).min(*bounds::SPIN_US.end()),
        _ => 0,
    }
}

impl Whose {
    /// The disks under the data directory of these facts.
    pub fn of(facts: &Facts) -> Whose {
        let storage = &facts.storage;
        let disk = |disk: &crate::facts::Disk| match &disk.model {
            Some(model) => format!("{} ({model})", disk.name),
            None => disk.name.clone(),
        };
        let disks: Vec<String> = storage.disks.iter().map(disk).collect();
        Whose {
            disks: if disks.is_empty() { storage.source.clone() } else { disks.join(", ") },
            file_system: storage.file_system.clone(),
            kernel: facts.kernel.release.clone().unwrap_or_default(),
        }
    }

    /// What is another one now than when it was measured, if anything that counts is. A kernel may be newer.
    pub fn differs(&self, now: &Whose) -> Option<String> {
        let same = (&self.disks, &self.file_system) == (&now.disks, &now.file_system);
        (!same).then(|| {
            format!(
                "it was measured on {}, {}; here is {}, {}",
                self.disks, self.file_system, now.disks, now.file_system
            )
        })
    }
}

impl Point {
    fn of(transfer: &Transfer) -> Point {
        // Three digits are what the histogram has; more would only look exact.
        let short = |value: f64| (value * 10.0).round() / 10.0;
        Point {
            kind: transfer.kind,
            size: transfer.size,
            depth: transfer.depth,
            per_second: short(transfer.per_second),
            us_p50: short(transfer.latency.us_p50),
            us_p99: short(transfer.latency.us_p99),
        }
    }

    /// Bytes that moved in a second.
    pub fn bytes_per_second(&self) -> f64 {
        self.per_second * self.size as f64
    }

    /// What no device can be: times without time, rates that contradict them.
    fn check(&self) -> Result<(), BadProfile> {
        let bad = |what: &str| Err(BadProfile(format!("point {self:?}: {what}")));
        let positive =
            [self.per_second, self.us_p50, self.us_p99].iter().all(|value| value.is_finite() && *value > 0.0);
        if !positive {
            return bad("rates and times are numbers above 0");
        }
        if !(BLOCK_BYTES..=64 << 20).contains(&self.size)
            || !self.size.is_multiple_of(BLOCK_BYTES)
            || !(1..=1024).contains(&self.depth)
        {
            return bad("sizes are blocks of 4096 bytes up to 64 MiB, depths 1 to 1024");
        }
        if self.us_p50 > self.us_p99 || self.us_p99 > 60e6 {
            return bad("a p99 is no less than its p50 and no more than a minute");
        }
        // Little's law: with so many in flight, so many a second means so much time each. The p50 is half of the mean, or far less where
        // a few stall: a wide bound, which a misplaced digit still exceeds.
        if self.per_second * self.us_p50 / 1e6 > 4.0 * self.depth as f64 {
            return bad("so many a second do not fit so few in flight and so long each");
        }
        if self.bytes_per_second() > 1e12 {
            return bad("no device moves a terabyte a second");
        }
        Ok(())
    }
}

impl Profile {
    /// Of what was measured; `spin_us` overrides the rule of [`spin`].
    pub fn of(facts: &Facts, device: &Device, spin_us: Option<u64>) -> Profile {
        let points: Vec<Point> = device.transfers.iter().map(Point::of).collect();
        let spin_us = spin_us.unwrap_or_else(|| spin(facts, &points));
        Profile { version: VERSION, settings: Use::of(&points, spin_us), device: Whose::of(facts), points }
    }

    /// Reads a profile, and believes it only as far as a device can be like that.
    pub fn parse(text: &str) -> Result<Profile, BadProfile> {
        let profile: Profile =
            toml::from_str(text).map_err(|error| BadProfile(error.message().to_owned()))?;
        if profile.version != VERSION {
            return Err(BadProfile(format!(
                "version {} is not {VERSION}, the one that this torc reads",
                profile.version
            )));
        }
        profile.settings.check()?;
        if profile.points.is_empty() {
            return Err(BadProfile("it has no [[point]]: nothing was measured".to_owned()));
        }
        profile.points.iter().try_for_each(Point::check)?;
        Ok(profile)
    }

    /// As it lies in a file.
    pub fn render(&self) -> String {
        let body = toml::to_string(self).expect("numbers and texts are TOML");
        format!(
            "# Written by torc tune profile; torc serve and torc node read it from their data directory, or by --device-profile.\n\
             # [use] is what they set. It follows from the points, and may be changed by hand.\n\n{body}"
        )
    }
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} log writes in flight, reads ahead {} KiB, transfers of {} KiB, background up to {} MiB/s, {}",
            self.log_writes_in_flight,
            self.read_ahead_bytes >> 10,
            self.transfer_bytes >> 10,
            self.background_bytes_per_second >> 20,
            match self.spin_us {
                0 => "idle cores sleep".to_owned(),
                us => format!("idle cores look for work for {us} us"),
            }
        )
    }
}

#[cfg(test)]
mod tests;
