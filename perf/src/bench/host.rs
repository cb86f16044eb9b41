//! Where a run took place: figures without their host mean nothing.
//!
//! Reads `/proc`, once, before or after a measurement and never during it.

use std::fmt;
use std::process::Command;

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// The computer, the kernel and the program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// The CPU's name for itself.
    pub cpu: String,
    /// CPUs that this process may run on, by the kernel's numbers.
    pub cpus: Vec<usize>,
    /// Memory of the computer, in MiB.
    pub memory_mib: u64,
    /// The kernel's release.
    pub kernel: String,
    /// torc's version.
    pub version: String,
    /// The commit of the source tree that the executable lies in, if it lies in one.
    pub commit: Option<String>,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Host { cpu, cpus, memory_mib, kernel, version, commit } = self;
        let commit = commit.as_deref().map(|commit| format!(" ({commit})")).unwrap_or_default();
        let memory_gib = *memory_mib as f64 / 1024.0;
        write!(f, "torc {version}{commit}, {} x {cpu}, {memory_gib:.0} GiB, Linux {kernel}", cpus.len())
    }
}

/// The facts of this computer. What cannot be read is "unknown".
pub fn facts() -> Host {
    let kernel = read("/proc/sys/kernel/osrelease").unwrap_or_default();
    let memory_kib = field("/proc/meminfo", "MemTotal").and_then(|text| first_number(&text));
    Host {
        cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown CPU".to_owned()),
        cpus: cpus_allowed(),
        memory_mib: memory_kib.unwrap_or(0) / 1024,
        kernel: if kernel.is_empty() { "unknown".to_owned() } else { kernel.trim().to_owned() },
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: commit(),
    }
}

/// Resident bytes of process `pid` now, and at their most.
pub fn memory(pid: u32) -> anyhow::Result<(u64, u64)> {
    let path = format!("/proc/{pid}/status");
    let kib = |name: &str| {
        let text =
            field(&path, name).with_context(|| format!("{path} has no {name}: is process {pid} running?"))?;
        first_number(&text).with_context(|| format!("{path}: {name} is `{text}`"))
    };
    Ok((kib("VmRSS")? * 1024, kib("VmHWM")? * 1024))
}

/// CPUs that this process may run on; at least one.
pub fn cpus_allowed() -> Vec<usize> {
    let listed = field("/proc/self/status", "Cpus_allowed_list").map(|list| parse_cpu_list(&list));
    listed.filter(|cpus| !cpus.is_empty()).unwrap_or_else(|| vec![0])
}

/// `0-2,5` as the kernel writes it.
fn parse_cpu_list(list: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(from.trim().parse::<usize>().ok()?..=to.trim().parse::<usize>().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

/// The value of a `name: value` line.
fn field(path: &str, name: &str) -> Option<String> {
    let text = read(path)?;
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

#[expect(
    clippy::disallowed_methods,
    reason = "/proc is no disk: it does not block, and nothing is measured meanwhile"
)]
fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// Asks git about the directory of this executable: `target/` lies in the source tree that it was built from.
fn commit() -> Option<String> {
    let executable = std::env::current_exe().ok()?;
    let mut git = Command::new("git");
    git.arg("-C").arg(executable.parent()?).args(["rev-parse", "--short=12", "HEAD"]);
    let output = git.stderr(std::process::Stdio::null()).output().ok()?;
    let commit = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !commit.trim().is_empty()).then(|| commit.trim().to_owned())
}

#[cfg(test)]
mod tests;
