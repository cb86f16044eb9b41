//! The machine and this process, as the kernel tells.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

/// Where a run took place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Host {
    /// The CPU's name for itself.
    pub cpu: String,
    /// CPUs that this process may run on.
    pub cpus: usize,
    /// GiB of memory.
    pub memory_gib: f64,
    /// The kernel's release.
    pub kernel: String,
    /// The device under the data, as the kernel names it, and its size.
    pub device: String,
    /// The file system under the data, with its options.
    pub filesystem: String,
    /// The commit that this program was built from, `+` if the tree was changed.
    pub commit: String,
    /// Versions of the peers.
    pub versions: Vec<String>,
}

/// The facts of this computer, for data in `dir`. What cannot be read is "unknown".
pub fn facts(dir: &Path) -> Host {
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown CPU".to_owned());
    let memory = field("/proc/meminfo", "MemTotal").and_then(|text| first_number(&text)).unwrap_or(0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
    let (device, filesystem) = mount_of(dir).unwrap_or_else(|| ("unknown".to_owned(), "unknown".to_owned()));
    let versions = lock_versions(&["rocksdb", "librocksdb-sys", "fjall", "lsm-tree", "io-uring"]);
    let memory_gib = memory as f64 / f64::from(1 << 20);
    Host {
        cpu,
        cpus: cpus_allowed().len(),
        memory_gib,
        kernel,
        device,
        filesystem,
        commit: commit(),
        versions,
    }
}

/// Versions that this program was built with.
fn lock_versions(packages: &[&str]) -> Vec<String> {
    let lock = include_str!("../Cargo.lock");
    let version = |package: &&str| {
        let entry = lock.split(&format!("name = \"{package}\"\nversion = \"")).nth(1)?;
        Some(format!("{package} {}", entry.split('"').next()?))
    };
    packages.iter().filter_map(version).collect()
}

/// CPUs that this process may run on; at least one.
pub fn cpus_allowed() -> Vec<usize> {
    let list = field("/proc/self/status", "Cpus_allowed_list").unwrap_or_else(|| "0".to_owned());
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(from.trim().parse::<usize>().ok()?..=to.trim().parse::<usize>().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

/// Binds this thread, and all that it starts from now on, to one cpu.
pub fn pin(cpu: usize) -> anyhow::Result<()> {
    // SAFETY: a zeroed set is an empty one; it lives until the call returns.
    let done = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    ensure!(done == 0, "cpu {cpu}: {}", std::io::Error::last_os_error());
    // SAFETY: a plain call without pointers. Sleeps end when they should, not up to 50 µs later.
    let done = unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1, 0, 0, 0) };
    ensure!(done == 0, "timer slack: {}", std::io::Error::last_os_error());
    Ok(())
}

/// What this process has asked of its devices.
#[derive(Clone, Copy, Debug, Default)]
pub struct Io {
    /// Bytes sent to devices, or to be sent.
    pub write_bytes: u64,
    /// `read`-like system calls.
    pub read_calls: u64,
}

/// From `/proc/self/io`.
pub fn io() -> Io {
    let number = |name| field("/proc/self/io", name).and_then(|text| first_number(&text)).unwrap_or(0);
    let written = number("write_bytes").saturating_sub(number("cancelled_write_bytes"));
    Io { write_bytes: written, read_calls: number("syscr") }
}

/// Resident bytes of this process at their most.
pub fn memory_bytes_max() -> u64 {
    field("/proc/self/status", "VmHWM").and_then(|text| first_number(&text)).unwrap_or(0) * 1024
}

/// Bytes of blocks under `dir`.
pub fn disk_bytes(dir: &Path) -> u64 {
    files(dir).iter().filter_map(|path| fs::metadata(path).ok()).map(|meta| meta.blocks() * 512).sum()
}

/// Takes the files under `dir` out of the kernel's page cache, where they are clean.
pub fn forget(dir: &Path) {
    for path in files(dir) {
        let Ok(file) = fs::OpenOptions::new().read(true).custom_flags(libc::O_NOATIME).open(&path) else {
            continue;
        };
        // SAFETY: the descriptor is open until the end of this turn. Advice only: a refusal does no harm.
        unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&entry.path())),
            _ => found.push(entry.path()),
        }
    }
    found
}

/// The value of a `name: value` line.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

/// Device and file system of the longest mount point above `dir`.
fn mount_of(dir: &Path) -> Option<(String, String)> {
    let dir = fs::canonicalize(dir).ok()?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let above = fields.filter(|fields| fields.len() > 3 && dir.starts_with(fields[1]));
    let mount = above.max_by_key(|fields| fields[1].len())?;
    let name = mount[0].rsplit('/').next()?;
    let sectors = fs::read_to_string(format!("/sys/class/block/{name}/size")).ok();
    let gib = sectors.and_then(|text| first_number(&text)).map(|sectors| sectors >> 21);
    let size = gib.map(|gib| format!(", {gib} GiB")).unwrap_or_default();
    Some((format!("{}{size}", mount[0]), format!("{} ({})", mount[2], mount[3])))
}

/// Asks git about the directory that this program was built in.
fn commit() -> String {
    let git = |arguments: &[&str]| -> anyhow::Result<String> {
        let mut git = Command::new("git");
        let output = git.arg("-C").arg(env!("CARGO_MANIFEST_DIR")).args(arguments).output()?;
        ensure!(output.status.success());
        Ok(String::from_utf8(output.stdout).context("git speaks UTF-8")?.trim().to_owned())
    };
    let Ok(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".to_owned() };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_ok_and(|text| !text.is_empty());
    format!("{commit}{}", if changed { "+" } else { "" })
}
