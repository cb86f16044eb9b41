//! Changes to the host: said, made, and taken back.
//!
//! ```text
//! findings --plan--> writes --apply--> undo file first, then one write after the other
//!                                      undo file --undo--> what was there before
//! ```
//!
//! 1. Only writes into files of /proc and /sys are made, and only to such; everything else is for people. No command is run.
//! 2. The old value of each is on the disk before the first is changed. A second `apply` adds to the file, and what it knows as old stays
//!    old, so that one `undo` leads back to where all began.
//! 3. `undo` leaves alone what somebody else has set meanwhile, and says so.
//!
//! These settings end with the host's next start; each finding says how to make them last.

use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::checks::{Finding, Step};
use crate::facts::chosen;
use crate::host::below;

/// Where old values are kept when nobody says otherwise.
pub const UNDO_FILE: &str = "/var/lib/torc/tune-undo.toml";

/// What may be written to.
const WRITABLE: [&str; 2] = ["/proc/", "/sys/"];

/// One file, and what it is to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Write {
    /// The check that wants it.
    pub check: String,
    /// The file.
    pub path: String,
    /// What it says now, as it would be written.
    pub old: String,
    /// What it shall say.
    pub value: String,
}

impl Write {
    /// The same for a shell.
    pub fn command(&self) -> String {
        format!("echo {} > {}", self.value, self.path)
    }

    /// The way back for a shell.
    pub fn undo_command(&self) -> String {
        format!("echo {} > {}", self.old, self.path)
    }
}

/// What a write needs to be taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    check: String,
    path: String,
    old: String,
    value: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UndoFile {
    version: u32,
    #[serde(default)]
    change: Vec<Kept>,
}

const VERSION: u32 = 1;

/// Why something was not changed.
#[derive(Debug)]
pub enum ChangeError {
    /// A file could not be read or written.
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The undo file makes no sense.
    BadUndoFile {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// There is nothing to take back.
    NothingKept(PathBuf),
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChangeError::Io { path, source } => write!(f, "{}: {source}", path.display()),
            ChangeError::BadUndoFile { path, what } => {
                write!(f, "{} is no undo file of torc tune: {what}", path.display())
            }
            ChangeError::NothingKept(path) => write!(f, "there is nothing to undo: no {}", path.display()),
        }
    }
}

impl std::error::Error for ChangeError {}

/// How one write went.
#[derive(Debug, Serialize)]
pub struct Done {
    /// What was to be written.
    pub write: Write,
    /// Why it was not, if so.
    pub failed: Option<String>,
}

/// The writes that findings ask for, with what is there now. What cannot be read is left out, and what says so already.
pub fn plan(findings: &[Finding], root: &Path) -> Vec<Write> {
    let mut plan: Vec<Write> = Vec::new();
    for finding in findings {
        for step in &finding.steps {
            let Step::Write { path, value } = step else { continue };
            let Ok(old) = read(root, path) else { continue };
            let is_known = plan.iter().any(|known| known.path == *path);
            if !same(path, &old, value) && !is_known {
                plan.push(Write {
                    check: finding.id.to_owned(),
                    path: path.clone(),
                    old,
                    value: value.clone(),
                });
            }
        }
    }
    plan
}

/// Makes the writes, each whether or not those before it worked. The old values are in `undo_file` before the first.
pub fn apply(plan: &[Write], root: &Path, undo_file: &Path) -> Result<Vec<Done>, ChangeError> {
    let mut kept = match load(undo_file) {
        Ok(kept) => kept,
        Err(ChangeError::NothingKept(_)) => UndoFile { version: VERSION, change: Vec::new() },
        Err(error) => return Err(error),
    };
    for write in plan {
        let Write { check, path, old, value } = write.clone();
        match kept.change.iter_mut().find(|known| known.path == path) {
            Some(known) => known.value = value,
            None => kept.change.push(Kept { check, path, old, value }),
        }
    }
    save(undo_file, &kept)?;
    Ok(plan.iter().map(|write| done(root, write.clone())).collect())
}

fn done(root: &Path, write: Write) -> Done {
    let failed = match put(root, &write.path, &write.value) {
        Err(error) => Some(error.to_string()),
        Ok(()) => read(root, &write.path)
            .ok()
            .filter(|now| !same(&write.path, now, &write.value))
            .map(|now| format!("it says {now} nevertheless")),
    };
    Done { write, failed }
}

/// What `undo` would write.
pub fn undo_plan(root: &Path, undo_file: &Path) -> Result<Vec<Write>, ChangeError> {
    let kept = load(undo_file)?;
    let back = |kept: Kept| {
        let now = read(root, &kept.path).unwrap_or_else(|_| kept.value.clone());
        Write { check: kept.check, path: kept.path, old: now, value: kept.old }
    };
    Ok(kept.change.into_iter().rev().map(back).collect())
}

/// Takes everything back that `apply` did, the last first. The undo file goes when nothing is left in it.
pub fn undo(root: &Path, undo_file: &Path) -> Result<Vec<Done>, ChangeError> {
    let mut kept = load(undo_file)?;
    let mut all = Vec::new();
    let mut left = Vec::new();
    while let Some(one) = kept.change.pop() {
        let now = read(root, &one.path).unwrap_or_default();
        let write = Write {
            check: one.check.clone(),
            path: one.path.clone(),
            old: now.clone(),
            value: one.old.clone(),
        };
        let is_others = !same(&one.path, &now, &one.value) && !same(&one.path, &now, &one.old);
        let failed = match is_others {
            true => Some(format!("somebody else has set it to {now} meanwhile: left alone")),
            false => done(root, write.clone()).failed,
        };
        // What is somebody else's by now is not ours to take back, today or later.
        if failed.is_some() && !is_others {
            left.push(one);
        }
        all.push(Done { write, failed });
    }
    left.reverse();
    match left.is_empty() {
        true => std::fs::remove_file(undo_file).map_err(io_error(undo_file))?,
        false => save(undo_file, &UndoFile { version: VERSION, change: left })?,
    }
    Ok(all)
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> ChangeError {
    let path = path.to_path_buf();
    move |source| ChangeError::Io { path, source }
}

fn load(path: &Path) -> Result<UndoFile, ChangeError> {
    let bad = |what: String| ChangeError::BadUndoFile { path: path.to_path_buf(), what };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(ChangeError::NothingKept(path.to_path_buf()));
        }
        Err(error) => return Err(io_error(path)(error)),
    };
    let kept: UndoFile = toml::from_str(&text).map_err(|error| bad(error.message().to_owned()))?;
    if kept.version != VERSION {
        return Err(bad(format!("version {} is not {VERSION}", kept.version)));
    }
    match kept.change.iter().find(|one| !is_writable(&one.path)) {
        Some(one) => Err(bad(format!("{} is not in /proc or /sys", one.path))),
        None => Ok(kept),
    }
}

/// Whole and on the disk, or not at all.
fn save(path: &Path, kept: &UndoFile) -> Result<(), ChangeError> {
    let write = || {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let text = toml::to_string(kept).map_err(io::Error::other)?;
        let beside = path.with_extension("new");
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(b"# What torc tune apply has changed: torc tune undo --yes brings it back.\n")?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    write().map_err(io_error(path))
}

fn is_writable(path: &str) -> bool {
    WRITABLE.iter().any(|top| path.starts_with(top)) && !path.split('/').any(|part| part == "..")
}

/// Whether two texts mean the same to a file: masks of cpus come back with as many zeros in front as the kernel has cpus.
fn same(path: &str, one: &str, other: &str) -> bool {
    let digits = |mask: &str| mask.replace(',', "").trim_start_matches('0').to_owned();
    one == other || (path.ends_with("/rps_cpus") && digits(one) == digits(other))
}

/// What a file says, as it would be written: of a choice, the word in brackets.
fn read(root: &Path, path: &str) -> io::Result<String> {
    Ok(chosen(std::fs::read_to_string(root.join(below(path)))?.trim()))
}

/// Writes into a file that is there; never makes one.
fn put(root: &Path, path: &str, value: &str) -> io::Result<()> {
    assert!(is_writable(path), "{path} is not in /proc or /sys");
    let mut file = std::fs::OpenOptions::new().write(true).truncate(true).open(root.join(below(path)))?;
    file.write_all(value.as_bytes())
}

#[cfg(test)]
mod tests;
