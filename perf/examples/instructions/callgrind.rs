//! Running a case under callgrind, twice.
//!
//! Instructions are callgrind's total. Allocations are how often the first instruction of `malloc` and its kin was executed;
//! they are told only for cases with gates, because without them the simulator's would be among them.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::{Context, bail, ensure};

use crate::cases::Case;

/// What one operation takes, or may take.
#[derive(Clone, Copy)]
pub struct Cost {
    pub instructions: u64,
    /// Calls of the allocator that ask for memory or for more of it.
    pub allocations: Option<u64>,
}

/// The allocator's functions that give memory.
const ALLOCATORS: [&str; 5] = ["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc"];

/// What one operation of each case takes. Profiles of the larger count are kept in `profiles`, if it is given.
#[expect(clippy::disallowed_methods, reason = "a tool of the build, no part of the server")]
pub fn count<'a>(cases: &[&'a Case], profiles: Option<&Path>) -> anyhow::Result<Vec<(&'a Case, Cost)>> {
    let scratch = tempfile::tempdir().context("a directory for callgrind's output")?;
    if let Some(dir) = profiles {
        fs::create_dir_all(dir)?;
    }
    let mut counted = Vec::new();
    for case in cases {
        let [few, many] = case.counts;
        let out = |count: u64| {
            let file = format!("callgrind.{}.{count}", case.name.replace('/', "-"));
            profiles.filter(|_| count == many).unwrap_or(scratch.path()).join(file)
        };
        let (less, more) = (run(case, few, &out(few))?, run(case, many, &out(many))?);
        ensure!(
            more.instructions > less.instructions,
            "{}: {many} times took no more instructions than {few}",
            case.name
        );
        let instructions = (more.instructions - less.instructions) / (many - few);
        // Of an allocation that is made now and then, a whole one counts.
        let each = |(more, less): (u64, u64)| more.saturating_sub(less).div_ceil(many - few);
        let allocations = more.allocations.zip(less.allocations).map(each);
        counted.push((*case, Cost { instructions, allocations }));
    }
    Ok(counted)
}

/// What a process takes that does the case so many times.
fn run(case: &Case, count: u64, out: &Path) -> anyhow::Result<Cost> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--quiet"]).arg(format!("--callgrind-out-file={}", out.display()));
    valgrind.args(["--dump-instr=yes", "--compress-pos=no"]).args(case.gates);
    valgrind.arg(env::current_exe()?).args(["do", case.name]).arg(count.to_string());
    let output = valgrind
        .stdin(Stdio::null())
        .output()
        .context("valgrind did not start; `apt-get install -y valgrind`")?;
    if !output.status.success() {
        bail!("{} under valgrind: {}\n{}", case.name, output.status, String::from_utf8_lossy(&output.stderr));
    }
    #[expect(clippy::disallowed_methods, reason = "a tool of the build, no part of the server")]
    let profile = fs::read_to_string(out)?;
    let instructions =
        totals(&profile).with_context(|| format!("{}: callgrind's output has no total", case.name))?;
    let allocations = (!case.gates.is_empty()).then(|| allocations(&profile));
    Ok(Cost { instructions, allocations })
}

/// The line `totals: N` at the end of callgrind's output.
fn totals(profile: &str) -> anyhow::Result<u64> {
    let line = profile.lines().rev().find_map(|line| line.strip_prefix("totals:")).context("no totals")?;
    Ok(line.trim().parse()?)
}

/// How often the first instruction of each allocator's function was executed.
fn allocations(profile: &str) -> u64 {
    let (mut numbers, mut firsts) = (BTreeMap::new(), BTreeMap::new());
    let (mut function, mut inclusive) = (None, false);
    for line in profile.lines() {
        if let Some(name) = line.strip_prefix("fn=").or_else(|| line.strip_prefix("cfn=")) {
            // `(12) malloc` the first time, `(12)` from then on.
            let (number, name) = name.split_once(' ').unwrap_or((name, ""));
            if let Some(known) = ALLOCATORS.iter().find(|known| **known == name) {
                numbers.insert(number, *known);
            }
            if line.starts_with("fn=") {
                function = numbers.get(number).copied();
            }
        } else if line.starts_with("calls=") {
            inclusive = true;
        } else if let Some(address) = line.strip_prefix("0x") {
            // Address, line and cost; behind `calls=` the cost of the called.
            let mut fields = address.split(' ');
            let address = fields.next().and_then(|address| u64::from_str_radix(address, 16).ok());
            let cost = fields.nth(1).and_then(|cost| cost.parse::<u64>().ok()).unwrap_or(0);
            if let (Some(function), Some(address), false) = (function, address, inclusive) {
                let first = firsts.entry(function).or_insert((address, 0));
                match address.cmp(&first.0) {
                    Ordering::Less => *first = (address, cost),
                    Ordering::Equal => first.1 += cost,
                    Ordering::Greater => {}
                }
            }
            inclusive = false;
        }
    }
    firsts.values().map(|(_, executed)| executed).sum()
}
