//! What a world is like, and what goes wrong in it. Plain values; faults may be changed while the world runs.

use std::time::Duration;

/// A probability in parts per million. No floats: decisions must not depend on rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Chance(pub u32);

impl Chance {
    pub(super) const CERTAIN_PPM: u64 = 1_000_000;
    /// It does not happen.
    pub const NEVER: Chance = Chance(0);
    /// It happens each time.
    pub const ALWAYS: Chance = Chance(1_000_000);

    /// `percent` in a hundred.
    pub const fn percent(percent: u32) -> Chance {
        Chance(percent * 10_000)
    }

    /// `count` in a thousand.
    pub const fn per_mille(count: u32) -> Chance {
        Chance(count * 1000)
    }
}

/// From least to most, both included, each nanosecond equally likely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The shortest.
    pub least: Duration,
    /// The longest.
    pub most: Duration,
}

impl Span {
    /// From `least` to `most` microseconds.
    pub const fn micros(least: u64, most: u64) -> Span {
        Span { least: Duration::from_micros(least), most: Duration::from_micros(most) }
    }

    /// From `least` to `most` milliseconds.
    pub const fn millis(least: u64, most: u64) -> Span {
        Span { least: Duration::from_millis(least), most: Duration::from_millis(most) }
    }
}

/// How a world begins.
#[derive(Clone, Debug)]
pub struct WorldOptions {
    /// Faults of each new node's disk.
    pub disk: DiskFaults,
    /// Faults of all links.
    pub network: NetworkFaults,
    /// Packets that one core's mailbox holds before senders wait.
    pub mailbox_packets_max: usize,
    /// Polls without time moving that count as a livelock.
    pub polls_max: u64,
    /// Virtual time after which a `block_on` that is not done counts as hanging.
    pub time_max: Duration,
    /// Whether `buggify` ever says yes.
    pub buggify: bool,
    /// Prints every event to stderr.
    pub trace: bool,
}

impl Default for WorldOptions {
    fn default() -> WorldOptions {
        WorldOptions {
            disk: DiskFaults::default(),
            network: NetworkFaults::default(),
            mailbox_packets_max: 1024,
            polls_max: 1_000_000,
            time_max: Duration::from_secs(24 * 3600),
            buggify: true,
            trace: false,
        }
    }
}

/// What a disk does to its node. The default loses and tears what was not synced, and is otherwise honest.
#[derive(Clone, Debug)]
pub struct DiskFaults {
    /// Time of a read.
    pub read: Span,
    /// Time of a write.
    pub write: Span,
    /// Time of a sync of a file or a directory.
    pub sync: Span,
    /// Time of everything else: open, rename, list.
    pub other: Span,
    /// How often an operation takes `stall_time` on top.
    pub stall: Chance,
    /// How long a stall is.
    pub stall_time: Span,
    /// In a crash: an unsynced write is there as a whole.
    pub crash_keeps: Chance,
    /// In a crash: of those not kept whole, how many are torn, sector by sector; the rest is lost.
    pub crash_tears: Chance,
    /// In a crash: an unsynced change of names, size or allocation is there.
    pub crash_keeps_metadata: Chance,
    /// A read fails with EIO. The block stays unreadable until it is written again.
    pub read_error: Chance,
    /// A write fails with EIO; what is on the disk then is old, new or torn.
    pub write_error: Chance,
    /// A sync fails with EIO; the unsynced writes then count as clean but may not be there.
    pub sync_error: Chance,
    /// A write ends early with `WriteZero`.
    pub short_write: Chance,
    /// A write is acknowledged but never there.
    pub lost_write: Chance,
    /// A write is acknowledged but lands at another offset of its file.
    pub misdirected_write: Chance,
    /// A read returns one flipped bit; the disk itself is fine.
    pub rot_on_read: Chance,
    /// A write flips one bit somewhere in the file that it writes to, for good.
    pub rot_at_rest: Chance,
    /// Bytes that the disk holds; beyond that, ENOSPC.
    pub bytes_max: u64,
}

impl Default for DiskFaults {
    fn default() -> DiskFaults {
        DiskFaults {
            read: Span::micros(20, 120),
            write: Span::micros(15, 90),
            sync: Span::micros(30, 500),
            other: Span::micros(5, 50),
            stall: Chance::NEVER,
            stall_time: Span::millis(1, 2000),
            crash_keeps: Chance::percent(33),
            crash_tears: Chance::percent(50),
            crash_keeps_metadata: Chance::percent(50),
            read_error: Chance::NEVER,
            write_error: Chance::NEVER,
            sync_error: Chance::NEVER,
            short_write: Chance::NEVER,
            lost_write: Chance::NEVER,
            misdirected_write: Chance::NEVER,
            rot_on_read: Chance::NEVER,
            rot_at_rest: Chance::NEVER,
            bytes_max: 1 << 40,
        }
    }
}

/// What a disk has done to its node so far: for tests that must know that their faults happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    /// Operations that stalled.
    pub stalls: u64,
    /// Reads that failed.
    pub read_errors: u64,
    /// Writes that failed.
    pub write_errors: u64,
    /// Syncs that failed, of files and directories.
    pub sync_errors: u64,
    /// Writes that ended early.
    pub short_writes: u64,
    /// Writes that were acknowledged and never there.
    pub lost_writes: u64,
    /// Writes that landed elsewhere.
    pub misdirected_writes: u64,
    /// Reads with a flipped bit.
    pub rot_on_read: u64,
    /// Writes that flipped a bit of their file for good.
    pub rot_at_rest: u64,
    /// Operations that found no room.
    pub full: u64,
    /// Crashes.
    pub crashes: u64,
    /// Unsynced writes that a crash lost.
    pub crash_lost: u64,
    /// Unsynced writes that a crash tore.
    pub crash_torn: u64,
    /// Unsynced writes that a crash kept though it lost an earlier one of the same file.
    pub crash_reordered: u64,
    /// Unsynced changes of names that a crash lost.
    pub crash_names_lost: u64,
}

impl FaultCounts {
    /// Each kind and its count.
    pub fn by_kind(&self) -> [(&'static str, u64); 15] {
        [
            ("stalls", self.stalls),
            ("read errors", self.read_errors),
            ("write errors", self.write_errors),
            ("sync errors", self.sync_errors),
            ("short writes", self.short_writes),
            ("lost writes", self.lost_writes),
            ("misdirected writes", self.misdirected_writes),
            ("rot on read", self.rot_on_read),
            ("rot at rest", self.rot_at_rest),
            ("full", self.full),
            ("crashes", self.crashes),
            ("lost in a crash", self.crash_lost),
            ("torn in a crash", self.crash_torn),
            ("reordered in a crash", self.crash_reordered),
            ("names lost in a crash", self.crash_names_lost),
        ]
    }

    /// Adds what another disk did.
    pub fn add(&mut self, other: &FaultCounts) {
        self.stalls += other.stalls;
        self.read_errors += other.read_errors;
        self.write_errors += other.write_errors;
        self.sync_errors += other.sync_errors;
        self.short_writes += other.short_writes;
        self.lost_writes += other.lost_writes;
        self.misdirected_writes += other.misdirected_writes;
        self.rot_on_read += other.rot_on_read;
        self.rot_at_rest += other.rot_at_rest;
        self.full += other.full;
        self.crashes += other.crashes;
        self.crash_lost += other.crash_lost;
        self.crash_torn += other.crash_torn;
        self.crash_reordered += other.crash_reordered;
        self.crash_names_lost += other.crash_names_lost;
    }
}

/// What the network does to connections. Bytes inside one connection stay in order and whole, as in TCP.
#[derive(Clone, Debug)]
pub struct NetworkFaults {
    /// Time of one segment from one node to another.
    pub delay: Span,
    /// Time of one segment inside one node.
    pub local_delay: Span,
    /// How often a segment takes `stall_time` on top.
    pub stall: Chance,
    /// How long a stall is.
    pub stall_time: Span,
    /// A segment kills its connection: both ends get a reset, and what was under way is lost.
    pub reset: Chance,
    /// One bit of a segment is flipped on the way. TCP's own checksum misses such a thing now and then.
    pub corrupt: Chance,
    /// A connection attempt is refused although somebody listens.
    pub refuse: Chance,
    /// A crash of a node resets its connections; otherwise the other ends hear nothing (half-open).
    pub crash_resets: Chance,
    /// A read returns less than there is.
    pub short_read: Chance,
    /// Bytes under way in one direction of a connection before the writer waits.
    pub window_bytes_max: usize,
    /// How long a cut link is tried before the sender's connection fails with a time-out.
    pub give_up: Duration,
}

impl Default for NetworkFaults {
    fn default() -> NetworkFaults {
        NetworkFaults {
            delay: Span::micros(30, 300),
            local_delay: Span::micros(3, 20),
            stall: Chance::NEVER,
            stall_time: Span::millis(1, 500),
            reset: Chance::NEVER,
            corrupt: Chance::NEVER,
            refuse: Chance::NEVER,
            crash_resets: Chance::percent(50),
            short_read: Chance::percent(10),
            window_bytes_max: 64 * 1024,
            give_up: Duration::from_secs(20),
        }
    }
}
