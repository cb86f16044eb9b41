//! The data directory: created, and held by one process at a time.
//!
//! The lock is the kernel's (`flock`), so that it goes with the process however it ends; the number written into the file
//! only tells the next one whom to look for.

use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// The file whose lock stands for the whole directory.
const LOCK_FILE: &str = "LOCK";

/// A data directory that belongs to this process until it is dropped.
pub struct DataDir {
    path: PathBuf,
    /// Holds the lock.
    _lock: LockFile,
}

#[expect(clippy::disallowed_types, reason = "locks are taken before any executor runs")]
type LockFile = std::fs::File;

impl DataDir {
    /// Creates the directory if it is not there, and locks it.
    #[expect(clippy::disallowed_methods, reason = "locks are taken before any executor runs")]
    pub fn open(path: &Path) -> anyhow::Result<DataDir> {
        std::fs::create_dir_all(path)
            .with_context(|| format!("cannot create the data directory {}", path.display()))?;
        let path = path.canonicalize().with_context(|| format!("data directory {}", path.display()))?;
        let lock_path = path.join(LOCK_FILE);
        let mut options = LockFile::options();
        let file = options.create(true).truncate(false).read(true).write(true).open(&lock_path);
        let mut lock = file.with_context(|| format!("cannot open {}", lock_path.display()))?;
        take_lock(&mut lock, &path)?;
        Ok(DataDir { path, _lock: lock })
    }

    /// Its absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn take_lock(lock: &mut LockFile, path: &Path) -> anyhow::Result<()> {
    // SAFETY: the descriptor is open for as long as `lock` is borrowed; the call touches no memory.
    let status = unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
    if status != 0 {
        let mut holder = String::new();
        let _ = lock.read_to_string(&mut holder);
        bail!(
            "{} is in use by process {}\n  what to do: stop that process, or choose another --data-dir",
            path.display(),
            if holder.trim().is_empty() { "(unknown)" } else { holder.trim() }
        );
    }
    lock.set_len(0)?;
    lock.seek(SeekFrom::Start(0))?;
    writeln!(lock, "{}", std::process::id())?;
    Ok(())
}

#[cfg(test)]
mod tests;
