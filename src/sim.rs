//! `torc sim`: worlds from seeds, on virtual time.
//!
//! 1. Without more words: the world of one seed, or of several one after the other, a line for each.
//! 2. `swarm`: many seeds on several threads, and what they all did. A failure is made smaller and shown with its last moments.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use sim::Failure;
use sim::plan::Plan;
use sim::scenario;
use sim::shrink::{failure_of, shrink};
use sim::story::{self, Report};
use sim::summary::Summary;
use sim::swarm;

/// The flags of `torc sim`.
#[derive(clap::Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<SimCommand>,

    /// The first seed
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// How many seeds to run, one after the other
    #[arg(long, default_value_t = 1)]
    count: u64,

    /// Stop after so many steps of the world, and show its last moments
    #[arg(long)]
    steps: Option<u64>,

    /// Play a named scenario in the place of what the seed draws; `list` names them
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,

    /// Print every event of the world, and the journal as it is written
    #[arg(long)]
    trace: bool,

    /// Disks lie, on more nodes than torc promises to survive: nothing may be made up then
    #[arg(long)]
    beyond: bool,

    /// So many nodes of one core, and one router; everything else is drawn
    #[arg(long, value_parser = clap::value_parser!(u8).range(3..=9), conflicts_with = "beyond")]
    nodes: Option<u8>,

    /// One node that is alone, and power failures
    #[arg(long)]
    alone: bool,

    /// Print one JSON object per seed instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum SimCommand {
    /// Run many seeds, and say what they did together
    Swarm(SwarmArgs),
}

#[derive(clap::Args, Clone, Debug)]
struct SwarmArgs {
    /// How many seeds
    #[arg(long, default_value_t = 1000)]
    seeds: u64,

    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,

    /// Threads, each with worlds of its own
    #[arg(long, default_value_t = 1)]
    threads: u64,

    /// Disks lie, on more nodes than torc promises to survive: nothing may be made up then
    #[arg(long)]
    beyond: bool,

    /// So many nodes of one core, and one router; everything else is drawn
    #[arg(long, value_parser = clap::value_parser!(u8).range(3..=9), conflicts_with = "beyond")]
    nodes: Option<u8>,

    /// Go on after a failure, and say at the end which seeds failed
    #[arg(long)]
    keep_going: bool,

    /// Print one JSON object in the place of the table
    #[arg(long)]
    json: bool,
}

/// Runs the seeds; the first failure ends it, with the line that repeats it.
pub fn run(args: Args) -> anyhow::Result<()> {
    match (&args.command, &args.scenario) {
        (Some(SimCommand::Swarm(swarm)), _) => run_swarm(swarm),
        (None, Some(name)) => run_scenario(&args, name),
        (None, None) if args.alone => run_alone(&args),
        (None, None) => run_seeds(&args),
    }
}

fn seeds(args: &Args) -> std::ops::Range<u64> {
    args.seed..args.seed.saturating_add(args.count)
}

fn drawn(seed: u64, beyond: bool, nodes: Option<u8>) -> Plan {
    if beyond { Plan::beyond(seed) } else { Plan::shaped(seed, nodes.map(usize::from)) }
}

/// The words that have `torc sim` draw the same.
fn words(beyond: bool, nodes: Option<u8>) -> String {
    let beyond = if beyond { "--beyond " } else { "" };
    nodes.map_or_else(|| beyond.to_string(), |nodes| format!("{beyond}--nodes {nodes} "))
}

fn run_seeds(args: &Args) -> anyhow::Result<()> {
    if !args.json {
        println!(
            "{:>12}  {:>10}  {:>7}  {:>9}  {:>7}  {:>9}  {:>7}  trace",
            "seed", "simulated", "crashes", "elections", "faults", "answered", "unknown"
        );
    }
    for seed in seeds(args) {
        let plan = Plan { steps_max: args.steps, trace: args.trace, ..drawn(seed, args.beyond, args.nodes) };
        match story::run(&plan) {
            Ok(report) => print(&report, plan.faults.len(), args.json),
            Err(failure) => {
                bail!("{failure}\n  repeat it with: torc sim {}--seed {seed}", words(args.beyond, args.nodes))
            }
        }
    }
    Ok(())
}

fn print(report: &Report, faults: usize, json: bool) {
    let Report { seed, trace_hash, summary } = report;
    if json {
        let rest = summary.json(Duration::ZERO);
        println!("{{\"seed\":{seed},\"trace_hash\":\"{trace_hash:032x}\",{}", rest.trim_start_matches('{'));
    } else {
        println!(
            "{seed:>12}  {:>8.3} s  {:>7}  {:>9}  {faults:>7}  {:>9}  {:>7}  {trace_hash:032x}",
            summary.elapsed.as_secs_f64(),
            summary.count("crashes"),
            summary.elections,
            summary.count("calls answered"),
            summary.count("calls of unknown outcome"),
        );
    }
}

fn run_scenario(args: &Args, name: &str) -> anyhow::Result<()> {
    if name == "list" {
        scenario::ALL.iter().for_each(|scenario| println!("{:<28} {}", scenario.name, scenario.story));
        return Ok(());
    }
    let found = scenario::ALL.iter().find(|scenario| scenario.name == name);
    let found = found.context("there is no such scenario: torc sim --scenario list")?;
    for seed in seeds(args) {
        let plan = Plan { steps_max: args.steps, trace: args.trace, ..(found.plan)(seed) };
        match (found.run)(&plan) {
            Ok(report) => print(&report, plan.faults.len(), args.json),
            Err(failure) => {
                bail!("{failure}\n  repeat it with: torc sim --scenario {name} --seed {seed}")
            }
        }
    }
    Ok(())
}

fn run_alone(args: &Args) -> anyhow::Result<()> {
    for seed in seeds(args) {
        let report = match sim::alone::run(seed) {
            Ok(report) => report,
            Err(failure) => bail!("{failure}\n  repeat it with: torc sim --alone --seed {seed}"),
        };
        let sim::alone::Report { trace_hash, elapsed, crashes, totals, .. } = report;
        let (seconds, writes, unknown, reads) =
            (elapsed.as_secs_f64(), totals.acknowledged, totals.unknown, totals.reads);
        println!(
            "{{\"seed\":{seed},\"simulated_s\":{seconds:.6},\"crashes\":{crashes},\"writes_acknowledged\":{writes},\
             \"writes_unknown\":{unknown},\"reads\":{reads},\"trace_hash\":\"{trace_hash:032x}\"}}"
        );
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "how long it took is said in real time; nothing depends on it")]
fn run_swarm(args: &SwarmArgs) -> anyhow::Result<()> {
    // What panics in a world is a failure of its seed, and is told as one.
    std::panic::set_hook(Box::new(|_| {}));
    let began = Instant::now();
    let bar = bar(args);
    let (next, over) = (AtomicU64::new(args.from), Arc::new(AtomicBool::new(false)));
    let interrupted = stop_when_interrupted()?;
    let end = args.from.saturating_add(args.seeds);
    let (say, said) = flume::unbounded();
    std::thread::scope(|scope| {
        for _ in 0..args.threads.max(1) {
            let (say, next, over, interrupted, bar) = (say.clone(), &next, &over, &interrupted, &bar);
            scope.spawn(move || {
                let is_over = || over.load(Ordering::Relaxed) || interrupted.load(Ordering::Relaxed);
                let mut summary = Summary::default();
                let mut failed = Vec::new();
                while !is_over() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        break;
                    }
                    failed.extend(swarm::run_one(drawn(seed, args.beyond, args.nodes), &mut summary));
                    over.fetch_or(!failed.is_empty() && !args.keep_going, Ordering::Relaxed);
                    bar.inc(1);
                }
                // The receiver lives as long as this function.
                let _ = say.send((summary, failed));
            });
        }
    });
    drop(say);
    bar.finish_and_clear();
    let mut summary = Summary::default();
    let mut failed: Vec<(Plan, Failure)> = Vec::new();
    for (part, failures) in said.iter() {
        summary.merge(&part);
        failed.extend(failures);
    }
    let (took, threads) = (began.elapsed(), args.threads.max(1));
    match args.json {
        true => println!("{}", summary.json(took)),
        false => print!("{}", summary.text(took, threads)),
    }
    failed.sort_by_key(|(plan, _)| plan.seed);
    let seeds: Vec<String> = failed.iter().map(|(plan, _)| plan.seed.to_string()).collect();
    if seeds.len() > 1 {
        eprintln!("torc: {} seeds failed: {}", seeds.len(), seeds.join(" "));
    }
    let run = summary.seeds + seeds.len() as u64;
    match failed.into_iter().next() {
        Some((plan, failure)) => Err(tell(args, &plan, failure)),
        None if run < args.seeds => {
            bail!("interrupted after {run} of {} seeds, none of which failed", args.seeds)
        }
        None => Ok(()),
    }
}

/// Set by the first Ctrl-C: the seeds that run then are run to their end, and told of. The second one ends the process.
fn stop_when_interrupted() -> anyhow::Result<Arc<AtomicBool>> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag down, the second one finds it up.
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, interrupted.clone())?;
        signal_hook::flag::register(signal, interrupted.clone())?;
    }
    Ok(interrupted)
}

/// A failure, made smaller, in words.
fn tell(args: &SwarmArgs, plan: &Plan, failure: Failure) -> anyhow::Error {
    let seed = plan.seed;
    eprintln!("torc: seed {seed} fails; looking for a smaller run that does");
    let (small, failure) = shrink(plan, failure, failure_of);
    let faults: Vec<String> = small.faults.iter().map(|fault| format!("\n  {fault}")).collect();
    anyhow::anyhow!(
        "{failure}  with {} clients, {} keys and {} of its {} faults:{}\n  repeat the whole of it with: torc sim {}--seed {seed}",
        small.clients,
        small.keys,
        small.faults.len(),
        plan.faults.len(),
        faults.concat(),
        words(args.beyond, args.nodes)
    )
}

/// A bar on a terminal.
fn bar(args: &SwarmArgs) -> ProgressBar {
    if args.json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {elapsed} gone, {eta} left");
    ProgressBar::new(args.seeds).with_style(style.expect("a template of ours"))
}
