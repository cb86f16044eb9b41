//! What can go wrong on the disk, in the words of whoever must act.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Why the storage engine could not do what it was asked.
#[derive(Clone, Debug)]
pub enum Error {
    /// The device or the file system failed.
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// Where in it, in bytes, if the operation had a place.
        offset: Option<u64>,
        /// What the operating system said.
        source: Rc<io::Error>,
    },
    /// Bytes on the disk are not those that were written there. Nothing was overwritten.
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// Where in it, in bytes.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// The file system has no space left; goes on by itself when there is some.
    Full {
        /// What could not be written.
        path: PathBuf,
    },
    /// An earlier write or sync failed, which is never tried again: this shard takes no more writes until it is
    /// opened anew.
    Poisoned {
        /// The failure.
        why: Rc<str>,
    },
    /// The file was written by a version of the format that this program does not know.
    Version {
        /// Which file.
        path: PathBuf,
        /// The version found there.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// No room in the buffers at this moment. Nothing was accepted: wait for `ready` and call again.
    Busy,
    /// More bytes in one piece than its bound allows. Nothing was accepted.
    TooLarge {
        /// Bytes given.
        size: usize,
        /// Bytes allowed.
        size_max: usize,
    },
    /// Closed by its owner; nothing more is accepted.
    Closed,
}

impl Error {
    /// An error of the operating system on `path`; "no space" becomes [`Error::Full`].
    pub(crate) fn io(path: &Path, offset: Option<u64>, source: io::Error) -> Error {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Error::Full { path: path.to_owned() }
            }
            _ => Error::Io { path: path.to_owned(), offset, source: Rc::new(source) },
        }
    }

    /// Bytes of `path` at `offset` that are not what was written.
    pub(crate) fn corrupt(path: &Path, offset: u64, what: impl Into<String>) -> Error {
        Error::Corrupt { path: path.to_owned(), offset, what: what.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { path, offset: Some(offset), source } => {
                write!(f, "{} at byte {offset}: {source}; check the device and its cabling", path.display())
            }
            Error::Io { path, offset: None, source } => {
                write!(f, "{}: {source}; check the device, the mount and the permissions", path.display())
            }
            Error::Corrupt { path, offset, what } => write!(
                f,
                "{} at byte {offset} is corrupt: {what}; nothing was overwritten, restore the file from a copy",
                path.display()
            ),
            Error::Full { path } => {
                write!(f, "{}: no space left; free some, writing goes on by itself", path.display())
            }
            Error::Poisoned { why } => {
                write!(f, "stopped after a failed write ({why}); restart from the disk")
            }
            Error::Version { path, found, known } => write!(
                f,
                "{} has format version {found}, this program knows up to {known}; start a newer torc",
                path.display()
            ),
            Error::Busy => f.write_str("the buffers are full at this moment; wait and try again"),
            Error::TooLarge { size, size_max } => {
                write!(f, "{size} bytes in one piece, at most {size_max} are allowed")
            }
            Error::Closed => f.write_str("closed"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source.as_ref()),
            _ => None,
        }
    }
}
