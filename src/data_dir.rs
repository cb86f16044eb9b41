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

    /// Holds an existing directory so that nobody serves it meanwhile, without writing into it. One that was never served has
    /// no lock file; nothing can be held there, and nobody serves it.
    pub fn hold(path: &Path) -> anyhow::Result<Option<DataDir>> {
        let path = path.canonicalize().with_context(|| format!("cannot look at {}", path.display()))?;
        let Some(mut lock) = open_lock(&path)? else { return Ok(None) };
        if !try_lock(&lock, libc::LOCK_SH) {
            bail!(
                "{} is in use by process {}\n  what to do: stop that process first; `torc inspect PATH` without verify can look at a \
                 directory that is being served",
                path.display(),
                read_holder(&mut lock)
            );
        }
        Ok(Some(DataDir { path, _lock: lock }))
    }

    /// Its absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The process that serves the data directory which holds `path`, if one does.
pub fn holder(path: &Path) -> anyhow::Result<Option<String>> {
    let path = path.canonicalize().with_context(|| format!("cannot look at {}", path.display()))?;
    let Some(data) = path.ancestors().find(|above| above.join(LOCK_FILE).is_file()) else { return Ok(None) };
    let Some(mut lock) = open_lock(data)? else { return Ok(None) };
    Ok((!try_lock(&lock, libc::LOCK_SH)).then(|| read_holder(&mut lock)))
}

fn open_lock(data: &Path) -> anyhow::Result<Option<LockFile>> {
    let path = data.join(LOCK_FILE);
    match LockFile::options().read(true).open(&path) {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot open {}", path.display())),
    }
}

fn take_lock(lock: &mut LockFile, path: &Path) -> anyhow::Result<()> {
    if !try_lock(lock, libc::LOCK_EX) {
        bail!(
            "{} is in use by process {}\n  what to do: stop that process, or choose another --data-dir",
            path.display(),
            read_holder(lock)
        );
    }
    lock.set_len(0)?;
    lock.seek(SeekFrom::Start(0))?;
    writeln!(lock, "{}", std::process::id())?;
    Ok(())
}

fn try_lock(lock: &LockFile, kind: libc::c_int) -> bool {
    // SAFETY: the descriptor is open for as long as `lock` is borrowed; the call touches no memory.
    let status = unsafe { libc::flock(lock.as_raw_fd(), kind | libc::LOCK_NB) };
    status == 0
}

fn read_holder(lock: &mut LockFile) -> String {
    let mut holder = String::new();
    let _ = lock.read_to_string(&mut holder);
    if holder.trim().is_empty() { "(unknown)".into() } else { holder.trim().to_owned() }
}

#[cfg(test)]
mod tests;
