//! How many instructions an operation takes, and whether that is within its budget.
//!
//! ```text
//! cargo run --release -p perf --example instructions                 count, compare with perf/budgets.toml
//! cargo run --release -p perf --example instructions -- --write      write the budgets anew
//! cargo run --release -p perf --example instructions -- get/         only cases with this in their name
//! cargo run --release -p perf --example instructions -- --profiles /tmp/p get/    keep what callgrind saw
//! ```
//!
//! Time differs from run to run and from machine to machine, and shared machines do not count cycles. Instructions are
//! counted by `valgrind --tool=callgrind`, and the same build counts the same again, to a few in ten thousand.
//!
//! 1. Each case of `cases` prepares its subject and does an operation `count` times, in a simulated world where it
//!    needs one: same seed, same work.
//! 2. The program runs itself under callgrind with two counts, a small and a large one. The difference, divided by
//!    the difference of the counts, is what one operation takes; start and preparation drop out.
//! 3. `perf/budgets.toml` has the most that each case may take. Over budget, or without one: exit code 1.
//!
//! Cases of the whole API count torc alone, and its allocations too: see `api`.
//!
//! A budget has [`SLACK_PERCENT`] above what was counted when it was written, for compilers and C libraries that differ a
//! little. What costs more on purpose gets a new budget in the same commit, with the reason in its message.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};

mod api;
mod budgets;
mod callgrind;
mod cases;
mod engine;

use budgets::Budgets;
use callgrind::Cost;
use cases::{CASES, Case};

/// What `--write` adds to what it counts.
const SLACK_PERCENT: u64 = 5;

/// Counts instructions per operation and holds them against perf/budgets.toml.
#[derive(Parser)]
struct Options {
    /// Only cases whose name contains this.
    filter: Option<String>,
    /// Write budgets anew from what is counted, with 5 % to spare.
    #[arg(long)]
    write: bool,
    /// Keep callgrind's profiles in this directory, for `callgrind_annotate`.
    #[arg(long, value_name = "DIR")]
    profiles: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Does one case so many times; what runs under callgrind.
    #[command(hide = true)]
    Do {
        /// Its name.
        case: String,
        /// How many times.
        count: u64,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    if let Some(Command::Do { case, count }) = &options.command {
        let case = CASES.iter().find(|known| known.name == case).context("no such case")?;
        (case.run)(*count);
        return Ok(ExitCode::SUCCESS);
    }
    let wanted = |case: &&Case| options.filter.as_deref().is_none_or(|part| case.name.contains(part));
    let cases: Vec<&Case> = CASES.iter().filter(wanted).collect();
    ensure!(!cases.is_empty(), "no case has {:?} in its name", options.filter.unwrap_or_default());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("budgets.toml");
    let mut budgets = Budgets::read(&path)?;
    let counted = callgrind::count(&cases, options.profiles.as_deref())?;
    let over = print(&counted, &budgets);
    if options.write {
        for (case, cost) in &counted {
            let instructions = cost.instructions + cost.instructions * SLACK_PERCENT / 100;
            budgets.set(case.name, Cost { instructions, ..*cost });
        }
        budgets.keep_only(CASES.iter().map(|case| case.name));
        budgets.write(&path)?;
        return Ok(ExitCode::SUCCESS);
    }
    if over > 0 {
        eprintln!(
            "{over} of {} over budget. If it is meant: --write, and the reason in the commit",
            counted.len()
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a line for each case; returns how many are over their budget or have none.
fn print(counted: &[(&Case, Cost)], budgets: &Budgets) -> usize {
    println!(
        "{:<24} {:>12} {:>10} {:>7} {:>11}",
        "operation", "instructions", "budget", "used", "allocations"
    );
    let mut over = 0;
    for (case, Cost { instructions, allocations }) in counted {
        let budget = budgets.get(case.name);
        let used = budget.map_or("-".to_owned(), |budget| {
            format!("{} %", instructions * 100 / budget.instructions.max(1))
        });
        let shown = budget.map_or("none".to_owned(), |budget| budget.instructions.to_string());
        let allocated = allocations.map_or("-".to_owned(), |count| count.to_string());
        let verdict = match budget {
            None => "NO BUDGET",
            Some(budget) if *instructions > budget.instructions => "OVER BUDGET",
            Some(budget) if *allocations > budget.allocations => "MORE ALLOCATIONS",
            Some(_) => "",
        };
        over += usize::from(!verdict.is_empty());
        println!(
            "{:<24} {instructions:>12} {shown:>10} {used:>7} {allocated:>11}  {}  {verdict}",
            case.name, case.what
        );
    }
    over
}
