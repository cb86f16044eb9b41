//! A host as a tree of small files: the one door through which facts come in.
//!
//! ```text
//! /proc, /sys --live--\                                    /--> facts
//!                      >-- Host: read, list, link, ring --<
//! one text file ------/                                    \--> recording --> one text file
//! ```
//!
//! 1. A host is this one, a directory that stands for one (tests), or a [`Recording`] of one.
//! 2. Whatever is read, listed or followed is kept, so that what the facts of this host came from can be written down and read again
//!    elsewhere: `torc tune record`. No list of paths has to be kept in step with what is read.
//! 3. What cannot be read is told apart: not there, or there and not for us.
//!
//! The rings of io_uring are no file: a host answers for them as if they were one, under [`RING`].

use std::cell::RefCell;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

mod recording;

pub use self::recording::{BadRecording, Entry, Recording};

/// What a host says of io_uring, as if it were a file.
pub const RING: &str = "ring";

/// A file of /proc or /sys has a few KiB; /proc/interrupts of a large host some hundred.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Why something was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unseen {
    /// It is not there.
    Absent,
    /// It is there, and this process may not read it.
    Denied,
}

/// A host that can be asked.
pub struct Host {
    source: Source,
    data_dir: String,
    kept: RefCell<Recording>,
}

enum Source {
    /// Files below this directory; `/` is this host.
    Live {
        root: PathBuf,
    },
    Recorded(Recording),
}

impl Host {
    /// This host, with data in `data_dir`, an absolute path.
    pub fn live(data_dir: &Path) -> Host {
        Host::under(Path::new("/"), data_dir)
    }

    /// The host whose /proc and /sys lie below `root`.
    pub fn under(root: &Path, data_dir: &Path) -> Host {
        let data_dir = data_dir.display().to_string();
        Host {
            source: Source::Live { root: root.to_path_buf() },
            kept: RefCell::new(Recording::new(&data_dir)),
            data_dir,
        }
    }

    /// A host that was written down.
    pub fn recorded(recording: Recording) -> Host {
        let data_dir = recording.data_dir.clone();
        let kept = RefCell::new(Recording::new(&data_dir));
        Host { source: Source::Recorded(recording), data_dir, kept }
    }

    /// Where the data is, or shall be: an absolute path.
    pub fn data_dir(&self) -> &str {
        &self.data_dir
    }

    /// Whether this is the host that the process runs on.
    pub fn is_here(&self) -> bool {
        matches!(&self.source, Source::Live { root } if root == Path::new("/"))
    }

    /// Everything that was asked so far, with the answers.
    pub fn recording(&self) -> Recording {
        self.kept.borrow().clone()
    }

    /// A file's text.
    pub fn read(&self, path: &str) -> Result<String, Unseen> {
        let found = match &self.source {
            Source::Live { root } => read_below(root, path),
            Source::Recorded(recording) => recording.read(path),
        };
        match &found {
            Ok(text) => self.keep(path, Entry::Text(text.clone())),
            Err(Unseen::Denied) => self.keep(path, Entry::Denied),
            Err(Unseen::Absent) => {}
        }
        found
    }

    /// A file's text without what surrounds it, if it can be read and says anything.
    pub fn text(&self, path: &str) -> Option<String> {
        let text = self.read(path).ok()?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// A file's number.
    pub fn number<T: FromStr>(&self, path: &str) -> Option<T> {
        self.text(path)?.parse().ok()
    }

    /// Names in a directory, in order; none where there is no such directory.
    pub fn list(&self, path: &str) -> Vec<String> {
        let names = match &self.source {
            Source::Live { root } => list_below(root, path),
            Source::Recorded(recording) => recording.list(path),
        };
        if !names.is_empty() {
            self.keep(path, Entry::List(names.clone()));
        }
        names
    }

    /// Whether a path is there.
    pub fn has(&self, path: &str) -> bool {
        let there = match &self.source {
            Source::Live { root } => root.join(below(path)).exists(),
            Source::Recorded(recording) => recording.has(path),
        };
        if there && !self.kept.borrow().has(path) {
            self.keep(path, Entry::Text(String::new()));
        }
        there
    }

    /// Where a path leads once every link on it was followed.
    pub fn real(&self, path: &str) -> Option<String> {
        let real = match &self.source {
            Source::Live { root } => {
                let (root, real) = (root.canonicalize().ok()?, root.join(below(path)).canonicalize().ok()?);
                Some(format!("/{}", real.strip_prefix(&root).ok()?.display()))
            }
            Source::Recorded(recording) => recording.real(path),
        }?;
        self.keep(path, Entry::Link(real.clone()));
        Some(real)
    }

    /// What is said of io_uring: see `facts::ring`.
    pub(crate) fn ring(&self) -> String {
        let text = match &self.source {
            Source::Live { .. } => crate::ring::describe(),
            Source::Recorded(recording) => recording.read(RING).unwrap_or_default(),
        };
        self.keep(RING, Entry::Text(text.clone()));
        text
    }

    /// Paths that are there and were not for this process to read.
    pub fn denied(&self) -> Vec<String> {
        self.kept.borrow().denied()
    }

    fn keep(&self, path: &str, entry: Entry) {
        self.kept.borrow_mut().put(path, entry);
    }
}

/// An absolute path as one below a root; nothing leads out of it.
pub(crate) fn below(path: &str) -> PathBuf {
    Path::new(path).components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

fn read_below(root: &Path, path: &str) -> Result<String, Unseen> {
    use std::io::Read;
    let unseen = |error: std::io::Error| match error.kind() {
        ErrorKind::PermissionDenied => Unseen::Denied,
        _ => Unseen::Absent,
    };
    let file = std::fs::File::open(root.join(below(path))).map_err(unseen)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(unseen)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn list_below(root: &Path, path: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(root.join(below(path))) else { return Vec::new() };
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
    let mut names: Vec<String> = entries.filter_map(name).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests;
