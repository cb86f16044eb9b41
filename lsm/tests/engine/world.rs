//! One seed: the faults it has, its lives, and the judge.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use lsm::log::LogOptions;
use lsm::{Compression, Error, TreeOptions, log, tree};
use runtime::Runtime;
use runtime::sim::{Chance, DiskHandle, FaultCounts, NodeId, Span, World, WorldOptions};
use runtime::sync::{Either, select};

use crate::engine::{End, Engine, Options, Shared};
use crate::model::Dice;

/// Planted bugs of a world, at most one of the two.
#[derive(Clone, Copy, Debug)]
pub struct Canaries {
    pub log: log::Canary,
    pub tree: tree::Canary,
}

impl Canaries {
    pub const NONE: Canaries = Canaries { log: log::Canary::None, tree: tree::Canary::None };
}

/// What a disk is like in a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disk {
    /// Forgets, tears, reorders; stalls perhaps.
    Honest,
    /// And it is full from time to time.
    Full,
    /// And writes and syncs fail.
    Failing,
    /// And blocks become unreadable.
    Unreadable,
    /// It lies: acknowledged writes are lost or elsewhere, bits rot.
    Lying,
}

/// How the end of a life comes, if no step is its last before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Everything is closed.
    Close,
    /// Nothing is going on.
    Idle,
    /// Many log writes are in flight.
    Rush,
    /// A write or a sync has failed a moment ago.
    Failure,
}

/// What happened in a world; sums over worlds.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub acknowledged: u64,
    /// Lives that ended with a failed write, as they must.
    pub poisoned: u64,
    /// Worlds that ended because damage was named.
    pub detected: u64,
    /// Acknowledged records that lying disks took from the end of a log.
    pub taken: u64,
    pub faults: FaultCounts,
}

impl Outcome {
    pub fn add(&mut self, other: &Outcome) {
        self.acknowledged += other.acknowledged;
        self.poisoned += other.poisoned;
        self.detected += other.detected;
        self.taken += other.taken;
        self.faults.add(&other.faults);
    }
}

/// Runs the world of `seed`; says which promise it found broken.
pub fn run(seed: u64, canaries: Canaries) -> Result<Outcome, String> {
    let mut dice = Dice(seed ^ 0xe791_7e00);
    let mut options = WorldOptions { time_max: Duration::from_secs(3600), ..WorldOptions::default() };
    (options.disk.read, options.disk.write) = (Span::micros(1, 30), Span::micros(1, 60));
    let world = World::new(seed, options);
    let node = world.node("n");
    let kind = match dice.below(10) {
        0..3 => Disk::Honest,
        3..5 => Disk::Full,
        5..7 => Disk::Failing,
        7 => Disk::Unreadable,
        _ => Disk::Lying,
    };
    let shared = Rc::new(Shared {
        model: RefCell::default(),
        dice: RefCell::new(Dice(dice.next())),
        lying: Cell::new(kind == Disk::Lying),
        acknowledged: Cell::new(0),
        full: Cell::new(0),
        taken: Cell::new(0),
        wrong: RefCell::default(),
    });
    let options = draw_options(&mut dice, canaries);
    let mut judge = Judge { world, node, kind, shared, outcome: Outcome::default() };
    judge.draw_faults(&mut dice);
    let mut going = true;
    for _ in 0..1 + dice.below(4) {
        going = going && judge.one_life(&mut dice, &options)?;
    }
    if going {
        judge.last_life(&options)?;
    }
    judge.outcome.acknowledged = judge.shared.acknowledged.get();
    judge.outcome.taken = judge.shared.taken.get();
    judge.outcome.faults = judge.disk().fault_counts();
    Ok(judge.outcome)
}

fn draw_options(dice: &mut Dice, canaries: Canaries) -> Options {
    let log = LogOptions {
        segment_bytes: dice.pick(&[32 << 10, 64 << 10]),
        segments_max: 64,
        free_segments_max: dice.below(3) as usize,
        writes_in_flight_max: 1 + dice.below(4) as usize,
        record_bytes_max: 16_000,
        batch_bytes: dice.pick(&[4 << 10, 16 << 10]),
        buffered_bytes_max: 64 << 10,
        ahead_bytes: 48 << 10,
        piece_bytes: dice.pick(&[4 << 10, 16 << 10]),
        idle: Duration::from_micros(dice.pick(&[100, 10_000])),
        canary: canaries.log,
        ..LogOptions::new("/shard/log", Options::identity())
    };
    let mut tree = TreeOptions::new("/shard/tree");
    tree.memtable_bytes = dice.pick(&[1500, 4000, 12_000]);
    tree.immutables_max = dice.pick(&[1, 2]);
    tree.block_bytes = dice.pick(&[256, 1024, 4096]);
    tree.partition_bytes = dice.pick(&[128, 512, 4096]);
    tree.table_bytes = dice.pick(&[4096, 12_288, 40_000]);
    tree.cache_bytes = dice.pick(&[0, 8000, 1 << 20]);
    tree.tables_open_max = dice.pick(&[1, 3, 100]);
    tree.level0_tables = dice.pick(&[1, 2, 4]);
    tree.level0_tables_slow = 5;
    tree.level0_tables_stop = 8;
    tree.level1_bytes = dice.pick(&[8192, 30_000]);
    tree.level_factor = dice.pick(&[2, 4]);
    tree.transfer_bytes = dice.pick(&[4096, 16_384]);
    tree.readahead_bytes = dice.pick(&[4096, 16_384]);
    tree.manifest_bytes = dice.pick(&[4096, 32_768]);
    tree.compression =
        std::array::from_fn(|_| dice.pick(&[Compression::None, Compression::Lz4, Compression::Zstd]));
    tree.canary = canaries.tree;
    Options { log, tree, writers: 1 + dice.below(4), writes: 10 + dice.below(60) }
}

struct Judge {
    world: World,
    node: NodeId,
    kind: Disk,
    shared: Rc<Shared>,
    outcome: Outcome,
}

impl Judge {
    fn disk(&self) -> DiskHandle {
        self.world.disk(self.node)
    }

    fn draw_faults(&self, dice: &mut Dice) {
        let some = |dice: &mut Dice, per_mille| match dice.percent(60) {
            true => Chance::per_mille(per_mille),
            false => Chance::NEVER,
        };
        self.disk().change_faults(|faults| {
            faults.crash_keeps = dice.pick(&[Chance::NEVER, Chance::percent(33), Chance::percent(80)]);
            faults.crash_tears = dice.pick(&[Chance::NEVER, Chance::percent(50), Chance::ALWAYS]);
            faults.crash_keeps_metadata = dice.pick(&[Chance::NEVER, Chance::percent(50), Chance::ALWAYS]);
            if dice.percent(20) {
                (faults.stall, faults.stall_time) = (Chance::percent(2), Span::millis(1, 50));
            }
            match self.kind {
                Disk::Honest => {}
                Disk::Full => faults.bytes_max = 400_000 + dice.below(400_000),
                Disk::Failing => {
                    faults.write_error = some(dice, 3);
                    faults.short_write = some(dice, 2);
                    faults.sync_error = some(dice, 20);
                }
                Disk::Unreadable => faults.read_error = Chance::per_mille(3),
                Disk::Lying => {
                    faults.lost_write = some(dice, 4);
                    faults.misdirected_write = some(dice, 4);
                    faults.rot_at_rest = some(dice, 4);
                    faults.rot_on_read = some(dice, 4);
                }
            }
        });
    }

    /// From a start to a loss of power at some step. False when the world is at its end: damage was named.
    fn one_life(&mut self, dice: &mut Dice, options: &Options) -> Result<bool, String> {
        let (rt, shared, disk) = (self.world.runtime(self.node), self.shared.clone(), self.disk());
        let ending = self.draw_ending(dice);
        let steps = match dice.below(10) {
            _ if ending == Ending::Failure => 1 << 40,
            0..3 => dice.below(200),
            3..8 => dice.below(6000),
            _ => 1 << 40,
        };
        let failure = self.failure(dice, ending == Ending::Failure);
        let faults = disk.faults();
        let life = async {
            let engine = Engine::open(rt.clone(), options, shared).await?;
            // A disk that is full is given room after a while, whatever happens meanwhile.
            let relief = rt.sleep(Duration::from_millis(30));
            let work = engine.work(options, ending == Ending::Rush);
            let freed = async {
                relief.await;
                disk.change_faults(|faults| faults.bytes_max = 1 << 40);
                std::future::pending::<()>().await;
            };
            match select(work, select(freed, failure)).await {
                Either::First(ended) => ended?,
                Either::Second(_) => return Ok(()),
            }
            if ending == Ending::Close { engine.close().await } else { Ok(()) }
        };
        let ended = self.world.block_on_steps(steps, life);
        self.disk().change_faults(|now| {
            (now.write_error, now.sync_error) = (faults.write_error, faults.sync_error);
        });
        let going = self.judge(ended.unwrap_or(Ok(())))?;
        self.world.crash(self.node);
        Ok(going)
    }

    fn draw_ending(&self, dice: &mut Dice) -> Ending {
        match dice.below(8) {
            0..5 if self.kind == Disk::Failing => Ending::Failure,
            0..3 => Ending::Close,
            3..5 => Ending::Idle,
            _ => Ending::Rush,
        }
    }

    /// Fails one operation at some moment, and resolves a little later: a failure that is ignored has done its harm only if the
    /// power goes before compaction or a flush has written everything again. It is the sync of an SSTable that was just
    /// begun, or any write, which is one of the log's most of the time.
    fn failure(&self, dice: &mut Dice, happens: bool) -> impl Future<Output = ()> + use<> {
        let (rt, disk) = (self.world.runtime(self.node), self.disk());
        let (begin, rest) =
            (Duration::from_micros(dice.below(6000)), Duration::from_micros(dice.below(4000)));
        let syncs = dice.percent(60);
        async move {
            if !happens {
                return std::future::pending().await;
            }
            let soon = || rt.sleep(Duration::from_micros(5));
            rt.sleep(begin).await;
            let before = newest_table(&disk);
            while syncs && newest_table(&disk) <= before {
                soon().await;
            }
            let (failed, faults) = (failures(&disk), disk.faults());
            disk.change_faults(|faults| match syncs {
                true => faults.sync_error = Chance::ALWAYS,
                false => faults.write_error = Chance::ALWAYS,
            });
            while failures(&disk) == failed {
                soon().await;
            }
            disk.change_faults(|now| {
                (now.write_error, now.sync_error) = (faults.write_error, faults.sync_error);
            });
            rt.sleep(rest).await;
        }
    }

    /// A life without new faults: everything acknowledged is there, works, closes, and is there again.
    fn last_life(&mut self, options: &Options) -> Result<(), String> {
        self.disk().change_faults(|faults| {
            (faults.write_error, faults.short_write, faults.sync_error) = Default::default();
            (faults.lost_write, faults.misdirected_write) = Default::default();
            (faults.rot_at_rest, faults.rot_on_read, faults.read_error) = Default::default();
            faults.bytes_max = 1 << 40;
        });
        let shared = self.shared.clone();
        let (first, second) = (self.world.runtime(self.node), shared.clone());
        let ended = self.world.block_on(async {
            let engine = Engine::open(first, options, second).await?;
            engine.work(options, false).await?;
            engine.check_all().await?;
            engine.close().await
        });
        let kind = self.kind;
        if kind == Disk::Failing || kind == Disk::Full {
            self.kind = Disk::Honest; // Nothing fails any more, so nothing may be wrong.
        }
        if !self.judge(ended)? {
            return Ok(());
        }
        self.world.crash(self.node);
        let rt = self.world.runtime(self.node);
        let ended = self.world.block_on(async { Engine::open(rt, options, shared).await.map(drop) });
        self.judge(ended).map(drop)
    }

    /// Whether a life could end so on this disk; false when nothing can come after it.
    fn judge(&mut self, ended: Result<(), End>) -> Result<bool, String> {
        if let Some(wrong) = self.shared.wrong.borrow_mut().take() {
            return Err(wrong);
        }
        let done = self.disk().fault_counts();
        let lies = done.lost_writes + done.misdirected_writes + done.rot_at_rest + done.rot_on_read;
        if self.shared.taken.get() > 0 && lies == 0 {
            return Err(format!(
                "{} acknowledged records are gone, and the disk told no lie",
                self.shared.taken.get()
            ));
        }
        let damage = self.kind == Disk::Lying || self.kind == Disk::Unreadable;
        match ended {
            Ok(()) => Ok(true),
            Err(End::Wrong(what)) => Err(what),
            Err(End::Said(Error::Full { .. })) if self.kind == Disk::Full => Ok(true),
            Err(End::Said(Error::Poisoned { .. } | Error::Io { .. })) if self.kind == Disk::Failing => {
                self.outcome.poisoned += 1;
                Ok(true)
            }
            // The engine named the damage and served nothing: what a lying or dying disk leaves to hope for.
            Err(End::Said(Error::Corrupt { .. } | Error::Io { .. } | Error::Poisoned { .. })) if damage => {
                self.outcome.detected += 1;
                Ok(false)
            }
            Err(End::Gap(_) | End::Shorter(_)) if self.kind == Disk::Lying => {
                self.outcome.detected += 1;
                Ok(false)
            }
            Err(end) => Err(format!("{:?} disk: {end}", self.kind)),
        }
    }
}

/// Writes and syncs that failed so far.
fn failures(disk: &DiskHandle) -> u64 {
    let counts = disk.fault_counts();
    counts.write_errors + counts.sync_errors
}

/// The SSTable with the greatest number: the last that was begun.
fn newest_table(disk: &DiskHandle) -> Option<PathBuf> {
    let tables = disk.files().into_iter().map(|(path, _)| path);
    tables.filter(|path| path.extension().is_some_and(|end| end == "sst")).max()
}
