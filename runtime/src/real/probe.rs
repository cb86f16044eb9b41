//! What this machine and this directory can do, and what to do where they cannot.
//!
//! Plain blocking calls, before any executor: they say more clearly what is wrong than a failed ring does.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use super::system;
use crate::BLOCK_BYTES;

/// glommio refuses to start below this.
const LOCKED_MEMORY_LEAST: u64 = 512 * 1024;

const TMPFS_MAGIC: u64 = 0x0102_1994;
const RAMFS_MAGIC: u64 = 0x8584_58f6;

/// What works here: each `Ok`, or what to do about it.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The kernel lets this process use io_uring.
    pub io_uring: Result<(), String>,
    /// Enough memory may be locked for the rings; the limit in bytes.
    pub memlock: Result<u64, String>,
    /// Files and sockets that this process may have open, after raising the limit.
    pub open_files_max: u64,
    /// Files in the data directory can be written past the page cache.
    pub o_direct: Result<(), String>,
    /// A write there can wait for the device; how long the fastest of a few took.
    pub o_dsync: Result<Duration, String>,
    /// The device can be polled for completions. Not needed; without it completions are interrupts.
    pub polling: Result<(), String>,
    /// The file system of the data directory, if known by name.
    pub file_system: &'static str,
    /// Bytes free there for ordinary users.
    pub bytes_free: u64,
}

impl Probe {
    /// The first thing without which nothing runs.
    pub fn obstacle(&self) -> Option<&str> {
        let memlock = self.memlock.as_ref().map(|_| ());
        let o_dsync = self.o_dsync.as_ref().map(|_| ());
        let needed =
            [self.io_uring.as_ref().map(|_| ()), memlock, self.o_direct.as_ref().map(|_| ()), o_dsync];
        needed.into_iter().find_map(Result::err).map(String::as_str)
    }
}

/// Tries everything out, with one small file in `data_dir` that is removed again. The directory must exist.
pub fn probe(data_dir: &Path) -> Probe {
    let (magic, bytes_free) = system::file_system(data_dir).unwrap_or((0, 0));
    let name = data_dir.join(format!(".probe-{}", std::process::id()));
    let direct = check_direct(data_dir, &name, magic);
    let o_dsync = match &direct {
        Ok(file) => time_durable_write(file).map_err(|error| explain_dsync(data_dir, &error)),
        Err(error) => Err(error.clone()),
    };
    #[expect(clippy::disallowed_methods, reason = "the probe's own file, before the executors start")]
    let removed = fs::remove_file(&name);
    drop(removed); // It may never have been there.
    Probe {
        io_uring: check_ring(),
        memlock: check_locked_memory(),
        open_files_max: system::raise_open_files().unwrap_or(0),
        o_direct: direct.map(|_| ()),
        o_dsync,
        polling: check_polling(data_dir),
        file_system: file_system_name(magic),
        bytes_free,
    }
}

/// What keeps a process that opens no files from running here; its limits are raised.
pub(super) fn obstacle_without_disk() -> Option<String> {
    // Few open files are a bound, and no obstacle.
    let _ = system::raise_open_files();
    check_locked_memory().err().or_else(|| check_ring().err())
}

fn check_ring() -> Result<(), String> {
    system::try_ring().map_err(|error| match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => "io_uring is forbidden here: set `sysctl kernel.io_uring_disabled=0`, or, in a \
             container, allow the io_uring system calls (Docker: `--security-opt seccomp=unconfined`, or a profile \
             that allows them)"
            .to_owned(),
        Some(libc::ENOSYS) => "this kernel has no io_uring: use Linux 5.10 or later (6.1 or later is better)".to_owned(),
        Some(libc::ENOMEM) => format!("no memory may be locked for io_uring: {}", locked_memory_advice()),
        _ => format!("io_uring does not start: {error}"),
    })
}

fn locked_memory_advice() -> &'static str {
    "raise the limit (`ulimit -l unlimited`; systemd: `LimitMEMLOCK=infinity`; Docker: `--ulimit memlock=-1`)"
}

fn check_locked_memory() -> Result<u64, String> {
    let limit = system::raise_locked_memory().map_err(|error| format!("RLIMIT_MEMLOCK: {error}"))?;
    if limit >= LOCKED_MEMORY_LEAST {
        return Ok(limit);
    }
    Err(format!(
        "only {} KiB may be locked, {} are needed: {}",
        limit >> 10,
        LOCKED_MEMORY_LEAST >> 10,
        locked_memory_advice()
    ))
}

#[expect(clippy::disallowed_types, reason = "the probe's own file, before the executors start")]
fn check_direct(data_dir: &Path, name: &Path, magic: u64) -> Result<fs::File, String> {
    if magic == TMPFS_MAGIC || magic == RAMFS_MAGIC {
        return Err(format!(
            "{} is on {}: that is memory, and nothing written there survives a power cut; use a directory on ext4 \
             or XFS on a disk",
            data_dir.display(),
            file_system_name(magic)
        ));
    }
    let opened = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .custom_flags(libc::O_DIRECT | libc::O_DSYNC)
        .mode(0o640)
        .open(name);
    opened.map_err(|error| match error.raw_os_error() {
        Some(libc::EINVAL) => format!(
            "the file system of {} ({}) has no direct I/O (O_DIRECT): use a directory on ext4 or XFS",
            data_dir.display(),
            file_system_name(magic)
        ),
        _ => format!("cannot write in {}: {error}", data_dir.display()),
    })
}

/// A block with the alignment that direct I/O wants.
#[repr(C, align(4096))]
struct Block([u8; BLOCK_BYTES]);

#[expect(clippy::disallowed_types, reason = "the probe's own file, before the executors start")]
#[expect(clippy::disallowed_methods, reason = "before the executors start there is no other clock")]
fn time_durable_write(file: &fs::File) -> io::Result<Duration> {
    let mut fastest = Duration::MAX;
    for round in 1..=4 {
        let block = Block([round; BLOCK_BYTES]);
        let begin = std::time::Instant::now();
        file.write_all_at(&block.0, 0)?;
        fastest = fastest.min(begin.elapsed());
        let mut read = Block([0; BLOCK_BYTES]);
        file.read_exact_at(&mut read.0, 0)?;
        if read.0 != block.0 {
            return Err(io::Error::other("a block was read back otherwise than it was written"));
        }
    }
    Ok(fastest)
}

fn explain_dsync(data_dir: &Path, error: &io::Error) -> String {
    format!("a durable direct write (O_DIRECT, O_DSYNC) in {} failed: {error}", data_dir.display())
}

#[expect(clippy::disallowed_methods, reason = "a look at sysfs, before the executors start")]
fn check_polling(data_dir: &Path) -> Result<(), String> {
    let no = |why: &str| Err(format!("{why}; completions are interrupts, which is fine"));
    let Ok(about) = fs::metadata(data_dir) else { return no("the data directory cannot be looked at") };
    let (major, minor) = (libc::major(about.dev()), libc::minor(about.dev()));
    let device = format!("/sys/dev/block/{major}:{minor}");
    // A partition's queue is its disk's, one directory up.
    let state = ["queue/io_poll", "../queue/io_poll"]
        .iter()
        .find_map(|name| fs::read_to_string(Path::new(&device).join(name)).ok());
    match state.as_deref().map(str::trim) {
        Some("1") => Ok(()),
        Some(_) => no("the device has no polled queues (NVMe: `nvme.poll_queues`)"),
        None => no("the file system is not on a block device of its own"),
    }
}

fn file_system_name(magic: u64) -> &'static str {
    match magic {
        0xEF53 => "ext4",
        0x5846_5342 => "xfs",
        0x9123_683E => "btrfs",
        0x2FC1_2FC1 => "zfs",
        0x794C_7630 => "overlayfs",
        0x6969 => "nfs",
        0xF2F5_2010 => "f2fs",
        0x6573_5546 => "fuse",
        TMPFS_MAGIC => "tmpfs",
        RAMFS_MAGIC => "ramfs",
        _ => "unknown",
    }
}

/// Makes the non-empty file that glommio shall open first: see [`real`](super).
#[expect(clippy::disallowed_types, reason = "the probe's own file, before the executor opens any")]
pub(super) fn write_first_file(path: &Path) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(&[0x5A; BLOCK_BYTES])?;
    file.sync_all()
}
