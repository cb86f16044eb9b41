//! What a host is, as far as this process may see it: everything that the checks judge, read and not judged.
//!
//! One struct per noun, each with its `read`, out of [`Host`]'s files. What is not there is `None`, never a guess; what is there and may not
//! be read is listed in [`Facts::denied`].

use serde::Serialize;

use crate::cgroup::{self, Cgroup};
use crate::host::Host;

mod cpus;
mod network;
mod place;
mod ring;
mod storage;

pub use self::cpus::{Core, Cpus, IdleState};
pub use self::network::{Interrupt, Nic};
pub use self::place::{Kernel, Place};
pub use self::ring::Ring;
pub use self::storage::{Disk, Storage};

/// Everything that was read.
#[derive(Clone, Debug, Serialize)]
pub struct Facts {
    /// What the processes run on: machine, hypervisor, container.
    pub place: Place,
    /// The kernel and its switches.
    pub kernel: Kernel,
    /// Cpus and how they are run.
    pub cpus: Cpus,
    /// What the control group grants.
    pub cgroup: Cgroup,
    /// Memory and how pages are given out.
    pub memory: Memory,
    /// What a process may lock and open.
    pub limits: Limits,
    /// Interrupts of devices, those with the most first.
    pub interrupts: Vec<Interrupt>,
    /// Network devices.
    pub network: Vec<Nic>,
    /// What lies under the data directory.
    pub storage: Storage,
    /// What io_uring can do here.
    pub ring: Ring,
    /// Paths that are there and could not be read.
    pub denied: Vec<String>,
}

/// Reads everything.
pub fn read(host: &Host) -> Facts {
    Facts {
        place: place::read(host),
        kernel: place::kernel(host),
        cpus: cpus::read(host),
        cgroup: cgroup::read(host),
        memory: memory(host),
        limits: limits(host),
        interrupts: network::interrupts(host),
        network: network::read(host),
        storage: storage::read(host),
        ring: ring::read(host),
        denied: host.denied(),
    }
}

/// Memory and how pages are given out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Memory {
    /// Bytes of the machine.
    pub total_bytes: Option<u64>,
    /// Bytes of swap, and how many of them are in use.
    pub swap_bytes: u64,
    /// Bytes of swap in use.
    pub swap_used_bytes: u64,
    /// `vm.swappiness`.
    pub swappiness: Option<u32>,
    /// Transparent huge pages: `always`, `madvise` or `never`.
    pub huge_pages: Option<String>,
    /// What the kernel does when there is no huge page.
    pub huge_pages_defrag: Option<String>,
}

fn memory(host: &Host) -> Memory {
    let info = host.read("/proc/meminfo").unwrap_or_default();
    let kib = |name| crate::memory::parse_kib(&info, name);
    let swap_bytes = kib("SwapTotal:").unwrap_or(0);
    Memory {
        total_bytes: kib("MemTotal:"),
        swap_bytes,
        swap_used_bytes: swap_bytes.saturating_sub(kib("SwapFree:").unwrap_or(swap_bytes)),
        swappiness: host.number("/proc/sys/vm/swappiness"),
        huge_pages: host.text("/sys/kernel/mm/transparent_hugepage/enabled").map(|text| chosen(&text)),
        huge_pages_defrag: host.text("/sys/kernel/mm/transparent_hugepage/defrag").map(|text| chosen(&text)),
    }
}

/// Soft and hard limit; `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// What counts now.
    pub soft: Option<u64>,
    /// How far the process may raise it itself.
    pub hard: Option<u64>,
}

/// Limits of this process; `None` where they could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Bytes that may be locked into memory.
    pub locked_bytes: Option<Limit>,
    /// Files and sockets.
    pub open_files: Option<Limit>,
}

fn limits(host: &Host) -> Limits {
    let text = host.read("/proc/self/limits").unwrap_or_default();
    let limit = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let mut words = line.split_whitespace();
        let mut next = || match words.next()? {
            "unlimited" => Some(None),
            number => number.parse().ok().map(Some),
        };
        Some(Limit { soft: next()?, hard: next()? })
    };
    Limits { locked_bytes: limit("Max locked memory"), open_files: limit("Max open files") }
}

/// Of `always [madvise] never`, the word in brackets; of a text without brackets, all of it.
pub fn chosen(text: &str) -> String {
    let inside = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    inside.map_or(text, |(word, _)| word).trim().to_owned()
}

/// `0-2,5` as the kernel writes lists of cpus.
pub fn cpu_list(text: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(from.trim().parse::<usize>().ok()?..=to.trim().parse::<usize>().ok()?)
    };
    text.trim().split(',').filter_map(range).flatten().collect()
}

/// The same way back.
pub fn show_cpus(cpus: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for cpu in cpus {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *cpu => *last = *cpu,
            _ => runs.push((*cpu, *cpu)),
        }
    }
    let show =
        |(from, to): &(usize, usize)| if from == to { from.to_string() } else { format!("{from}-{to}") };
    runs.iter().map(show).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests;
