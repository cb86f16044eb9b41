//! Looking at what lies on the disk, without a log or a tree being opened, and without changing a byte of it.
//!
//! - [`log`]: segments: headers, batches, records; and whether a directory of them is a log that would open.
//! - [`sstable`]: one SSTable: footer, properties, partitions, blocks, entries.
//! - [`manifest`]: a generation's edits, and the tree that they make.
//! - [`tree`]: a whole tree's directory: every SSTable against the manifest, the levels against each other.
//!
//! All of it reads with the engine's own readers, so what is told here is what the engine would see. The checks go on
//! behind the first damage as far as that makes sense: each [`Problem`] has a file, a place in it, and what to do.
//!
//! Promises: nothing is written (`runtime::offline` could not), and nothing here trusts what it reads. Leaves to
//! others: what keys, values and payloads mean; that nobody writes the files meanwhile.

pub mod log;
pub mod manifest;
pub mod sstable;
pub mod tree;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::Error;

/// Something on the disk that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which file or directory.
    pub path: PathBuf,
    /// Where in it, in bytes.
    pub offset: u64,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub advice: &'static str,
}

/// What to do about bytes that are not those that were written.
pub const RESTORE: &str =
    "restore the file from a copy; torc will not start, or will answer reads of it with an error";

/// What to do about a device that does not give its bytes.
pub const CHECK_DEVICE: &str = "check the device and its cabling, then look again";

impl Problem {
    /// Damage at a place.
    pub fn damage(path: &Path, offset: u64, what: impl Into<String>) -> Problem {
        Problem { path: path.to_owned(), offset, what: what.into(), advice: RESTORE }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        match error {
            Error::Corrupt { path, offset, what } => Problem { path, offset, what, advice: RESTORE },
            Error::Io { path, offset, source } => {
                let (offset, what) = (offset.unwrap_or(0), source.to_string());
                Problem { path, offset, what, advice: CHECK_DEVICE }
            }
            Error::Version { path, found, known } => Problem {
                path,
                offset: 0,
                what: format!("format version {found}, this program knows up to {known}"),
                advice: "look at it with the torc that wrote it, or a newer one",
            },
            other => Problem { path: PathBuf::new(), offset: 0, what: other.to_string(), advice: RESTORE },
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { path, offset, what, advice } = self;
        write!(f, "{} at byte {offset}: {what}\n  what to do: {advice}", path.display())
    }
}

/// Who follows a long check: a progress bar, a list, a test.
pub trait Watch {
    /// So many more bytes will be read.
    fn expect(&mut self, bytes: u64);
    /// So many more were read.
    fn read(&mut self, bytes: u64);
    /// Something is wrong; the check goes on.
    fn problem(&mut self, problem: Problem);
    /// A file that no part of the format names: nothing depends on it.
    fn orphan(&mut self, path: &Path, why: &str);
}

/// A watch that keeps what it is told.
#[derive(Debug, Default)]
pub struct Findings {
    /// What is wrong, in the order in which it was found.
    pub problems: Vec<Problem>,
    /// Files that nothing names, and why they may be there.
    pub orphans: Vec<(PathBuf, String)>,
    /// Bytes that were read.
    pub bytes: u64,
}

impl Watch for Findings {
    fn expect(&mut self, _bytes: u64) {}

    fn read(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    fn problem(&mut self, problem: Problem) {
        // A damaged place may be met by several checks; the first one to name it said it best.
        let known = |other: &Problem| other.path == problem.path && other.offset == problem.offset;
        if !self.problems.iter().any(known) {
            self.problems.push(problem);
        }
    }

    fn orphan(&mut self, path: &Path, why: &str) {
        self.orphans.push((path.to_owned(), why.to_owned()));
    }
}
