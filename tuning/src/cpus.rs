//! The cores this process may use.
//!
//! Two things limit them: the affinity mask, which names cores, and the cgroup's quota ([`cgroup`](crate::cgroup)), which only says how
//! much time all of them together may take. A quota of 1.5 cores on a mask of 8 gives 2 shards: a third one would be
//! throttled in the middle of a request.

#![expect(unsafe_code, reason = "the affinity mask has no file that can be read without a parser")]

use std::path::Path;

use crate::host::Host;

/// What was found; see [`read`].
#[derive(Clone, Debug, PartialEq)]
pub struct Cpus {
    /// Operating system ids of the cores in the affinity mask, ascending, at least one.
    pub allowed: Vec<usize>,
    /// Cores' worth of time that the cgroup grants, if it limits it.
    pub quota: Option<f64>,
}

impl Cpus {
    /// The cores to run shards on: the allowed ones, no more than the quota rounded up, at least one.
    pub fn usable(&self) -> &[usize] {
        let granted = self.quota.map_or(usize::MAX, |quota| quota.ceil().max(1.0) as usize);
        &self.allowed[..self.allowed.len().min(granted)]
    }
}

/// Reads the affinity mask and the cgroup quota of this process.
pub fn read() -> Cpus {
    let allowed = affinity();
    assert!(!allowed.is_empty(), "a running process has a core to run on");
    let quota = crate::cgroup::read(&Host::live(Path::new("/"))).cpu_quota;
    Cpus { allowed, quota }
}

fn affinity() -> Vec<usize> {
    // SAFETY: a cpu_set_t is plain bits, for which all zeros is a value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is valid for writes of the size passed along; 0 names this thread.
    let status = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) };
    if status != 0 {
        return vec![0];
    }
    let cpu_count_max = libc::CPU_SETSIZE as usize;
    // SAFETY: `cpu` is below CPU_SETSIZE, the number of bits in the set.
    (0..cpu_count_max).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect()
}

#[cfg(test)]
mod tests;
