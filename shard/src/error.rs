//! Why a shard does not open, or stops. What a client is told instead is in `refusal`.

use model::ring::{ShardId, VnodeId};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

/// Why a shard does not open, or stops. Nobody in the process can do anything about it: the process stops and says so.
#[derive(Clone, Debug)]
pub enum Error {
    /// The log or the tree failed; the message names file and offset.
    Storage(lsm::Error),
    /// The shard's directory cannot be made.
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        source: Rc<io::Error>,
    },
    /// What the log or the tree holds is whole but makes no sense: it was not written by this program, or there is a bug.
    Senseless {
        /// The shard.
        shard: ShardId,
        /// The vnode.
        vnode: VnodeId,
        /// What is wrong.
        what: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Storage(error) => write!(f, "{error}"),
            Error::Directory { path, source } => {
                write!(f, "{}: {source}; check the mount and the permissions", path.display())
            }
            Error::Senseless { shard, vnode, what } => {
                write!(f, "shard {}, vnode {}: {what}; nothing was overwritten", shard.0, vnode.0)
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Storage(error) => Some(error),
            Error::Directory { source, .. } => Some(source.as_ref()),
            Error::Senseless { .. } => None,
        }
    }
}

impl From<lsm::Error> for Error {
    fn from(error: lsm::Error) -> Error {
        Error::Storage(error)
    }
}
