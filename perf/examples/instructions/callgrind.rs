//! Running a case under callgrind, twice.

use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::{Context, bail, ensure};

use crate::cases::Case;

/// Instructions per operation of each case. Profiles of the larger count are kept in `profiles`, if it is given.
#[expect(clippy::disallowed_methods, reason = "a tool of the build, no part of the server")]
pub fn count<'a>(cases: &[&'a Case], profiles: Option<&Path>) -> anyhow::Result<Vec<(&'a Case, u64)>> {
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
        ensure!(more > less, "{}: {many} times took no more instructions than {few}", case.name);
        counted.push((*case, (more - less) / (many - few)));
    }
    Ok(counted)
}

/// All instructions of a process that does the case so many times.
fn run(case: &Case, count: u64, out: &Path) -> anyhow::Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--quiet"]).arg(format!("--callgrind-out-file={}", out.display()));
    valgrind.arg(env::current_exe()?).args(["do", case.name]).arg(count.to_string());
    let output = valgrind
        .stdin(Stdio::null())
        .output()
        .context("valgrind did not start; `apt-get install -y valgrind`")?;
    if !output.status.success() {
        bail!("{} under valgrind: {}\n{}", case.name, output.status, String::from_utf8_lossy(&output.stderr));
    }
    totals(out).with_context(|| format!("{}: callgrind's output has no total", case.name))
}

/// The line `totals: N` at the end of callgrind's output.
#[expect(clippy::disallowed_methods, reason = "a tool of the build, no part of the server")]
fn totals(path: &Path) -> anyhow::Result<u64> {
    let text = fs::read_to_string(path)?;
    let line = text.lines().rev().find_map(|line| line.strip_prefix("totals:")).context("no totals")?;
    Ok(line.trim().parse()?)
}
