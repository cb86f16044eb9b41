//! Worlds from seeds: several tasks append and release, the node loses power at some step, also while it recovers,
//! and what is replayed must be what was promised. And planted bugs, each of which the same judge must find.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use lsm::Error;
use lsm::log::{Canary, Log, LogOptions};
use runtime::sim::{Chance, FaultCounts, SimRuntime};
use runtime::{Class, Runtime};

use crate::model::{Entry, Model, borrowed};
use crate::world::{Bench, small};

/// Seeds in the normal run; `TORC_LOG_SEEDS` asks for another number.
const SEEDS: u64 = 2000;
/// Seeds within which each planted bug has to be found.
const CANARY_SEEDS: u64 = 400;

#[test]
fn seeds_of_the_log_acknowledged_records_survive_any_crash() {
    let seeds = std::env::var("TORC_LOG_SEEDS").map_or(SEEDS, |n| n.parse().expect("a number of seeds"));
    let total = on_all_cores(seeds);
    let kinds: Vec<String> = total
        .faults
        .by_kind()
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    println!("log: {seeds} seeds, {} records acknowledged, {total:?}", total.acknowledged);
    println!("log: faults: {}", kinds.join(", "));
    // A run in which these never happen tests nothing.
    let often = seeds / 20;
    assert!(total.acknowledged > seeds * 20, "{total:?}");
    assert!(total.crashes > seeds && total.crashes_in_recovery > often, "{total:?}");
    assert!(total.cut > often && total.recycled > often && total.full > often, "{total:?}");
    assert!(total.poisoned > often, "{total:?}");
    let faults = &total.faults;
    let crash = [faults.crash_lost, faults.crash_torn, faults.crash_reordered, faults.crash_names_lost];
    assert!(crash.iter().all(|count| *count > seeds / 100), "{faults:?}");
    let errors = [faults.stalls, faults.write_errors, faults.sync_errors, faults.short_writes, faults.full];
    assert!(errors.iter().all(|count| *count > seeds / 100), "{faults:?}");
}

/// The sum of all worlds; the first that breaks a promise ends it.
fn on_all_cores(seeds: u64) -> Outcome {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let share = |core: u64| {
        let mut total = Outcome::default();
        for seed in (core..seeds).step_by(cores as usize) {
            total.add(&run(seed, Canary::None).unwrap_or_else(|trouble| panic!("seed {seed}: {trouble}")));
        }
        total
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|core| scope.spawn(move || share(core))).collect();
        let mut total = Outcome::default();
        threads.into_iter().for_each(|thread| total.add_sum(&thread.join().expect("a seed failed")));
        total
    })
}

#[test]
fn the_same_seed_gives_the_same_world() {
    for seed in 0..20 {
        let (one, other) = (run(seed, Canary::None).unwrap(), run(seed, Canary::None).unwrap());
        assert_eq!(one, other, "seed {seed}");
    }
}

#[test]
fn planted_bugs_are_found() {
    for canary in [
        Canary::SkipSync,
        Canary::SkipDirSync,
        Canary::AcceptStale,
        Canary::ReplayPastTorn,
        Canary::AckOutOfOrder,
        Canary::IgnoreWriteError,
        Canary::ReleaseUncovered,
    ] {
        let found = (0..CANARY_SEEDS).find_map(|seed| run(seed, canary).err().map(|trouble| (seed, trouble)));
        let (seed, trouble) =
            found.unwrap_or_else(|| panic!("{canary:?} lives through {CANARY_SEEDS} seeds"));
        println!("{canary:?} found by seed {seed}: {trouble}");
    }
}

/// What happened in a world; sums over worlds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Outcome {
    acknowledged: u64,
    crashes: u64,
    crashes_in_recovery: u64,
    /// Records that were appended, not acknowledged, and gone after a crash.
    cut: u64,
    recycled: u64,
    full: u64,
    poisoned: u64,
    faults: FaultCounts,
    trace: u128,
}

impl Outcome {
    fn add(&mut self, other: &Outcome) {
        self.acknowledged += other.acknowledged;
        self.crashes += other.crashes;
        self.crashes_in_recovery += other.crashes_in_recovery;
        self.cut += u64::from(other.cut > 0);
        self.recycled += u64::from(other.recycled > 0);
        self.full += u64::from(other.full > 0);
        self.poisoned += u64::from(other.poisoned > 0);
        self.faults.add(&other.faults);
    }

    /// Adds what is a sum over worlds already.
    fn add_sum(&mut self, other: &Outcome) {
        self.acknowledged += other.acknowledged;
        self.crashes += other.crashes;
        self.crashes_in_recovery += other.crashes_in_recovery;
        self.cut += other.cut;
        self.recycled += other.recycled;
        self.full += other.full;
        self.poisoned += other.poisoned;
        self.faults.add(&other.faults);
    }
}

/// A test's own choices.
#[derive(Clone)]
struct Choices(Rc<Cell<u64>>);

impl Choices {
    fn new(seed: u64) -> Choices {
        Choices(Rc::new(Cell::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5851_F42D_4C95_7F2D)))
    }

    fn below(&self, bound: u64) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9E37_79B9_7F4A_7C15));
        let mut z = self.0.get();
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }

    fn percent(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn one_of<T: Copy>(&self, among: &[T]) -> T {
        among[self.below(among.len() as u64) as usize]
    }
}

/// What the tasks of one world share with its judge.
#[derive(Clone)]
struct Shared {
    choices: Choices,
    model: Rc<RefCell<Model>>,
    /// What the replay of this life gave back so far.
    seen: Rc<RefCell<Vec<Entry>>>,
    replayed: Rc<Cell<bool>>,
    outcome: Rc<RefCell<Outcome>>,
    trouble: Rc<RefCell<Option<String>>>,
    /// Writes may fail in this world, or the disk may be full.
    write_errors: bool,
    tasks: u64,
    records: u64,
    streams: u64,
}

impl Shared {
    fn complain(&self, trouble: impl Into<String>) {
        self.trouble.borrow_mut().get_or_insert(trouble.into());
    }

    /// An error that this world may have, or trouble.
    fn accept(&self, error: Error, during: &str) {
        match error {
            Error::Full { .. } => self.outcome.borrow_mut().full += 1,
            Error::Poisoned { .. } | Error::Io { .. } if self.write_errors => {
                self.outcome.borrow_mut().poisoned += 1;
            }
            error => self.complain(format!("{during}: {error}")),
        }
    }

    fn check(&self) -> Result<(), String> {
        self.trouble.borrow_mut().take().map_or(Ok(()), Err)
    }
}

/// One world, from its first life to a last one in which all is well.
fn run(seed: u64, canary: Canary) -> Result<Outcome, String> {
    let bench = Bench::new(seed);
    let choices = Choices::new(seed);
    let options = draw_options(&choices, canary);
    let shared = Shared {
        model: Rc::default(),
        seen: Rc::default(),
        replayed: Rc::default(),
        outcome: Rc::default(),
        trouble: Rc::default(),
        write_errors: choices.percent(20),
        tasks: 1 + choices.below(5),
        records: 1 + choices.below(60),
        streams: 1 + choices.below(4),
        choices: choices.clone(),
    };
    draw_faults(&bench, &shared);
    for _ in 0..1 + choices.below(4) {
        one_life(&bench, &options, &shared)?;
    }
    bench.world.disk(bench.node).change_faults(|faults| {
        (faults.write_error, faults.sync_error, faults.short_write) = Default::default();
        faults.bytes_max = 1 << 40;
    });
    let shared = Shared { write_errors: false, ..shared };
    last_life(&bench, &options, &shared)?;
    let recycled = bench.world.disk(bench.node).files().iter().filter(|(path, _)| has_head(path)).count();
    let mut outcome = shared.outcome.borrow().clone();
    (outcome.recycled, outcome.trace) = (recycled as u64, bench.world.trace_hash());
    outcome.faults = bench.world.disk(bench.node).fault_counts();
    Ok(outcome)
}

/// Whether a segment was named when an older one had been released: the head in its name is not that of a new log.
fn has_head(path: &std::path::Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    name.len() > 20 && u64::from_str_radix(&name[17..33], 16).unwrap() > 1
}

fn draw_options(choices: &Choices, canary: Canary) -> LogOptions {
    let batch_bytes = choices.one_of(&[4 << 10, 16 << 10]);
    LogOptions {
        segment_bytes: choices.one_of(&[20 << 10, 32 << 10, 64 << 10]),
        segments_max: choices.one_of(&[6, 64]),
        free_segments_max: choices.below(3) as usize,
        writes_in_flight_max: 1 + choices.below(4) as usize,
        batch_bytes,
        buffered_bytes_max: choices.one_of(&[16 << 10, 64 << 10]),
        piece_bytes: choices.one_of(&[4 << 10, 8 << 10, 64 << 10]),
        idle: Duration::from_micros(choices.one_of(&[100, 1000, 10_000])),
        canary,
        ..small()
    }
}

fn draw_faults(bench: &Bench, shared: &Shared) {
    let choices = &shared.choices;
    bench.world.disk(bench.node).change_faults(|faults| {
        faults.crash_keeps = choices.one_of(&[Chance::NEVER, Chance::percent(33), Chance::percent(80)]);
        faults.crash_tears = choices.one_of(&[Chance::NEVER, Chance::percent(50), Chance::ALWAYS]);
        faults.crash_keeps_metadata = choices.one_of(&[Chance::NEVER, Chance::percent(50), Chance::ALWAYS]);
        if choices.percent(20) {
            faults.stall = Chance::percent(1);
        }
        if choices.percent(25) {
            faults.bytes_max = 300 << 10;
        }
        if shared.write_errors {
            faults.write_error = Chance::per_mille(4);
            faults.short_write = Chance::per_mille(2);
            faults.sync_error = Chance::per_mille(4);
        }
    });
}

/// From a start to a loss of power at some step, perhaps before the replay is at its end.
fn one_life(bench: &Bench, options: &LogOptions, shared: &Shared) -> Result<(), String> {
    let choices = &shared.choices;
    let steps = if choices.percent(30) { choices.below(60) } else { choices.below(3000) };
    shared.seen.borrow_mut().clear();
    shared.replayed.set(false);
    let _ = bench.world.block_on_steps(steps, live(bench.runtime(), options.clone(), shared.clone()));
    shared.check()?;
    if !shared.replayed.get() {
        shared.outcome.borrow_mut().crashes_in_recovery += 1;
        shared.model.borrow().check_start(&shared.seen.borrow())?;
    }
    shared.outcome.borrow_mut().crashes += 1;
    bench.world.crash(bench.node);
    Ok(())
}

/// A life without faults: opens, works, closes; and after it everything is there.
fn last_life(bench: &Bench, options: &LogOptions, shared: &Shared) -> Result<(), String> {
    shared.seen.borrow_mut().clear();
    bench.world.block_on(async {
        let Some(log) = recover(bench.runtime(), options.clone(), shared).await else { return };
        work(bench.runtime(), &log, shared).await;
        if let Err(error) = log.close().await {
            shared.complain(format!("close: {error}"));
        }
    });
    shared.check()?;
    bench.world.crash(bench.node);
    let mut model = shared.model.borrow_mut();
    model.acknowledge_all();
    let (_, records) = bench.open(options).map_err(|error| format!("after a clean close: {error}"))?;
    let records: Vec<Entry> = records.into_iter().map(entry).collect();
    model.replayed(&records)?;
    shared.outcome.borrow_mut().acknowledged += model.acked as u64;
    Ok(())
}

fn entry((position, record): (lsm::log::Position, lsm::log::OwnedRecord)) -> Entry {
    Entry { record, position }
}

async fn live(rt: SimRuntime, options: LogOptions, shared: Shared) {
    let Some(log) = recover(rt.clone(), options, &shared).await else { return };
    work(rt, &log, &shared).await;
    if shared.choices.percent(50) {
        match log.close().await {
            Ok(()) => shared.model.borrow_mut().acknowledge_all(),
            Err(error) => shared.accept(error, "close"),
        }
    }
}

/// Opens the log and judges its replay.
async fn recover(rt: SimRuntime, options: LogOptions, shared: &Shared) -> Option<Log<SimRuntime>> {
    let (log, mut replay) = match Log::open(rt, options).await {
        Ok(opened) => opened,
        Err(error) => {
            shared.accept(error, "open");
            return None;
        }
    };
    loop {
        match replay.next().await {
            Ok(Some((position, record))) => shared.seen.borrow_mut().push(entry((position, record.owned()))),
            Ok(None) => break,
            Err(error) => {
                shared.accept(error, "replay");
                return None;
            }
        }
    }
    shared.replayed.set(true);
    match shared.model.borrow_mut().replayed(&shared.seen.borrow()) {
        Ok(cut) => shared.outcome.borrow_mut().cut += cut as u64,
        Err(trouble) => {
            shared.complain(trouble);
            return None;
        }
    }
    Some(log)
}

/// Several tasks append while others release and watch, until the appenders are done.
async fn work(rt: SimRuntime, log: &Log<SimRuntime>, shared: &Shared) {
    let releaser = rt.spawn(Class::Background, release(rt.clone(), log.clone(), shared.clone()));
    let watcher = rt.spawn(Class::Background, watch(log.clone(), shared.clone()));
    let appender = |_| rt.spawn(Class::Foreground, append(rt.clone(), log.clone(), shared.clone()));
    runtime::sync::join_all((0..shared.tasks).map(appender)).await;
    drop((releaser, watcher));
}

async fn append(rt: SimRuntime, log: Log<SimRuntime>, shared: Shared) {
    for _ in 0..shared.records {
        let choices = &shared.choices;
        match choices.below(10) {
            0..6 => {}
            6..9 => rt.sleep(Duration::from_micros(choices.below(200))).await,
            _ => rt.sleep(Duration::from_micros(choices.below(15_000))).await,
        }
        let bound = choices.one_of(&[64, 64, 64, 64, 600, 600, 600, 5000, 5000, 10_001]);
        let record = {
            let stream = choices.below(shared.streams);
            shared.model.borrow_mut().make(stream, choices.below(bound) as usize)
        };
        let position = match log.append_when_ready(borrowed(&record)).await {
            Ok(position) => position,
            Err(Error::Full { .. }) => {
                shared.outcome.borrow_mut().full += 1;
                rt.sleep(Duration::from_micros(choices.below(3000))).await;
                continue;
            }
            Err(error) => return shared.accept(error, "append"),
        };
        if let Err(trouble) = shared.model.borrow_mut().appended(record, position) {
            return shared.complain(trouble);
        }
        if choices.percent(70) {
            match log.durable(position).await {
                Ok(()) => shared.model.borrow_mut().acknowledged(position),
                Err(error) => return shared.accept(error, "durable"),
            }
        }
    }
}

async fn release(rt: SimRuntime, log: Log<SimRuntime>, shared: Shared) {
    loop {
        rt.sleep(Duration::from_micros(shared.choices.below(2500))).await;
        let mut model = shared.model.borrow_mut();
        let upto = shared.choices.below(model.acked as u64 + 1) as usize;
        let slow = if shared.choices.percent(50) { shared.choices.below(shared.streams) } else { u64::MAX };
        model.cover(upto, |stream| stream != slow);
        log.release(|stream| model.covered.get(&stream).copied().unwrap_or(0));
    }
}

/// Follows the watermark, as a shard does.
async fn watch(log: Log<SimRuntime>, shared: Shared) {
    let mut seen = log.durable_position();
    while let Ok(position) = log.durable_beyond(seen).await {
        if position <= seen {
            shared.complain(format!("the watermark stays at {position:?}"));
        }
        seen = position;
        shared.model.borrow_mut().acknowledged(position);
    }
}
