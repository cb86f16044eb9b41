//! The bytes this process may use.

use std::path::Path;

use crate::host::Host;

/// What was found; see [`read`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bytes of the whole machine.
    pub total_bytes: u64,
    /// The cgroup's limit in bytes, if it has one.
    pub limit_bytes: Option<u64>,
}

impl Memory {
    /// Bytes that this process may use: the smaller of the machine's and the cgroup's.
    pub fn usable_bytes(&self) -> u64 {
        self.limit_bytes.map_or(self.total_bytes, |limit| limit.min(self.total_bytes))
    }
}

/// Reads the machine's memory and the cgroup's limit. A machine that does not say is taken to have 1 GiB.
pub fn read() -> Memory {
    const TOTAL_BYTES_UNKNOWN: u64 = 1 << 30;
    let host = Host::live(Path::new("/"));
    let meminfo = host.read("/proc/meminfo").unwrap_or_default();
    Memory {
        total_bytes: parse_kib(&meminfo, "MemTotal:").unwrap_or(TOTAL_BYTES_UNKNOWN),
        limit_bytes: crate::cgroup::read(&host).memory_limit_bytes,
    }
}

/// The value of a "Name:   123 kB" line, in bytes.
pub(crate) fn parse_kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests;
