//! Why a process does not start.

use std::fmt;
use std::io;
use std::net::SocketAddr;

/// Why a core does not start, or cannot go on.
#[derive(Debug)]
pub enum StartError {
    /// Nobody can connect for DynamoDB's API.
    Listen {
        /// Where it was tried.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// Other nodes cannot connect.
    ListenForPeers {
        /// Where it was tried.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The shard does not open.
    Shard(shard::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Listen { address, source } => write!(f, "cannot listen on {address}: {source}"),
            StartError::ListenForPeers { address, source } => write!(
                f,
                "cannot listen on {address} for other nodes: {source}\n  what to do: stop what listens there, or choose another --listen"
            ),
            StartError::Shard(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Listen { source, .. } | StartError::ListenForPeers { source, .. } => Some(source),
            StartError::Shard(error) => Some(error),
        }
    }
}

impl From<shard::Error> for StartError {
    fn from(error: shard::Error) -> StartError {
        StartError::Shard(error)
    }
}
