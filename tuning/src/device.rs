//! What the file system of a directory can do, found by trying it.
//!
//! torc writes with O_DIRECT | O_DSYNC: around the page cache, and durable when the call returns. Some file systems
//! refuse the first (tmpfs on older kernels, some network and overlay ones), and a device that answers a durable write in a
//! microsecond is lying or is memory. Both are found by writing one block.

use std::alloc::Layout;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Missing;

/// Bytes of the block that is written; every device that torc meets takes it aligned to itself.
const PROBE_BYTES: usize = 4096;

/// Durable writes of one block that are timed; the median is reported.
const PROBE_WRITES: usize = 9;

/// What was found; see [`probe`].
#[derive(Clone, Debug)]
pub struct Device {
    /// Median time of one durable write of 4 KiB into a block that was written before.
    pub durable_write: Duration,
    /// The file system's kind, such as `ext4`, `xfs`, `tmpfs`, or its number in hexadecimal.
    pub file_system: String,
}

/// Writes a probe file into `directory` with O_DIRECT and O_DSYNC, times it, and removes it.
pub fn probe(directory: &Path) -> Result<Device, Missing> {
    let path = directory.join(".torc-probe");
    let outcome = durable_write_time(&path);
    let removed = std::fs::remove_file(&path);
    let durable_write = outcome.map_err(|error| explain(directory, &error))?;
    removed.map_err(|error| explain(directory, &error))?;
    Ok(Device { durable_write, file_system: file_system(directory) })
}

fn durable_write_time(path: &Path) -> io::Result<Duration> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .custom_flags(libc::O_DIRECT | libc::O_DSYNC)
        .open(path)?;
    let block = AlignedBlock::new();
    let mut times = [Duration::ZERO; PROBE_WRITES];
    block.write_to(&file)?; // The first one allocates: it is not what torc's log pays.
    for time in &mut times {
        let start = Instant::now();
        block.write_to(&file)?;
        *time = start.elapsed();
    }
    times.sort();
    Ok(times[PROBE_WRITES / 2])
}

/// One block of zeros at an address that direct I/O accepts.
struct AlignedBlock {
    start: *mut u8,
}

impl AlignedBlock {
    const LAYOUT: Layout = match Layout::from_size_align(PROBE_BYTES, PROBE_BYTES) {
        Ok(layout) => layout,
        Err(_) => panic!("a power of two aligned to itself is a layout"),
    };

    fn new() -> AlignedBlock {
        // SAFETY: the layout has a size above zero.
        let start = unsafe { std::alloc::alloc_zeroed(Self::LAYOUT) };
        assert!(!start.is_null(), "out of memory for one block");
        AlignedBlock { start }
    }

    fn write_to(&self, file: &std::fs::File) -> io::Result<()> {
        // SAFETY: the block is PROBE_BYTES of initialised memory that lives as long as `self`.
        let written = unsafe { libc::pwrite(file.as_raw_fd(), self.start.cast(), PROBE_BYTES, 0) };
        match written {
            -1 => Err(io::Error::last_os_error()),
            written if written as usize == PROBE_BYTES => Ok(()),
            _ => Err(io::ErrorKind::WriteZero.into()),
        }
    }
}

impl Drop for AlignedBlock {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with the same layout, freed once.
        unsafe { std::alloc::dealloc(self.start, Self::LAYOUT) };
    }
}

fn explain(directory: &Path, error: &io::Error) -> Missing {
    let advice = match error.raw_os_error() {
        Some(libc::EINVAL | libc::EOPNOTSUPP) => {
            "put the data on a file system with direct I/O, such as ext4 or XFS on a local disk".to_string()
        }
        Some(libc::ENOSPC | libc::EDQUOT) => "free some space there".to_string(),
        Some(libc::EACCES | libc::EPERM | libc::EROFS) => {
            "give this user the right to write there".to_string()
        }
        _ => "check the disk; the kernel's log (`dmesg`) may say more".to_string(),
    };
    let place = format!("{} ({})", directory.display(), file_system(directory));
    Missing { what: format!("no durable direct write in {place}: {error}"), advice }
}

/// The name of the file system that holds `directory`.
fn file_system(directory: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let Ok(path) = std::ffi::CString::new(directory.as_os_str().as_bytes()) else {
        return "unknown".to_string();
    };
    // SAFETY: a statfs is plain numbers, for which all zeros is a value.
    let mut facts: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `path` ends with a zero byte and `facts` is valid for writes.
    if unsafe { libc::statfs(path.as_ptr(), &mut facts) } != 0 {
        return "unknown".to_string();
    }
    match facts.f_type {
        0xEF53 => "ext4".to_string(),
        0x5846_5342 => "xfs".to_string(),
        0x9123_683E => "btrfs".to_string(),
        0x0102_1994 => "tmpfs".to_string(),
        0x794C_7630 => "overlay".to_string(),
        0x6969 => "nfs".to_string(),
        0x2FC1_2FC1 => "zfs".to_string(),
        0xF2F5_2010 => "f2fs".to_string(),
        other => format!("{other:#x}"),
    }
}

#[cfg(test)]
mod tests;
