//! `torc sim`: worlds from seeds, on virtual time.

use std::io::IsTerminal;

use anyhow::bail;

/// The flags of `torc sim`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// The first seed
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// How many seeds to run, one after the other
    #[arg(long, default_value_t = 1)]
    count: u64,

    /// Print one JSON object per seed instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs the seeds; the first failure ends it, with the line that repeats it.
pub fn run(args: Args) -> anyhow::Result<()> {
    let progress = progress(&args);
    if !args.json {
        println!(
            "{:>12}  {:>10}  {:>8}  {:>8}  {:>12}  {:>8}  trace",
            "seed", "simulated", "crashes", "writes", "unknown", "reads"
        );
    }
    for seed in args.seed..args.seed.saturating_add(args.count) {
        let report = match sim::run(seed) {
            Ok(report) => report,
            Err(failure) => bail!("{failure}\n  repeat it with: torc sim --seed {seed}"),
        };
        progress.suspend(|| print(&report, args.json));
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(())
}

fn print(report: &sim::Report, json: bool) {
    let sim::Report { seed, trace_hash, elapsed, crashes, totals } = report;
    let (seconds, writes, unknown, reads) =
        (elapsed.as_secs_f64(), totals.acknowledged, totals.unknown, totals.reads);
    if json {
        println!(
            "{{\"seed\":{seed},\"simulated_s\":{seconds:.6},\"crashes\":{crashes},\"writes_acknowledged\":{writes},\
             \"writes_unknown\":{unknown},\"reads\":{reads},\"trace_hash\":\"{trace_hash:032x}\"}}"
        );
    } else {
        println!(
            "{seed:>12}  {seconds:>8.3} s  {crashes:>8}  {writes:>8}  {unknown:>12}  {reads:>8}  {trace_hash:032x}"
        );
    }
}

/// A bar on a terminal when there is more than one seed to wait for.
fn progress(args: &Args) -> indicatif::ProgressBar {
    if args.count > 1 && !args.json && std::io::stderr().is_terminal() {
        indicatif::ProgressBar::new(args.count)
    } else {
        indicatif::ProgressBar::hidden()
    }
}
