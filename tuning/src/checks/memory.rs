//! Memory: how much, in which pages, what may be locked, and what may be open.

use super::{Check, Judged, Seen};
use crate::facts::Limit;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "memory",
        why: "memtables and caches take a quarter of what may be used, unless --memory says otherwise; beyond a limit the kernel ends the process",
        source: "Linux: cgroup-v2.rst, memory.max; docs/OPERATING.md, --memory",
        judge: memory,
    },
    Check {
        id: "huge-pages",
        why: "where huge pages are always made, a fault may wait for memory to be moved together, for milliseconds",
        source: "Linux: Documentation/admin-guide/mm/transhuge.rst",
        judge: huge_pages,
    },
    Check {
        id: "swap",
        why: "a memtable or cache that was swapped out costs a read of the disk where nobody expects one",
        source: "Linux: Documentation/admin-guide/sysctl/vm.rst, swappiness",
        judge: swap,
    },
    Check {
        id: "locked-memory",
        why: "the rings of io_uring and their buffers are locked; without room for them torc does not start",
        source: "setrlimit(2), RLIMIT_MEMLOCK; io_uring_register(2)",
        judge: locked,
    },
    Check {
        id: "open-files",
        why: "every connection and every SSTable is an open file: 4,096 and 1,024 for each shard, at most",
        source: "setrlimit(2), RLIMIT_NOFILE",
        judge: open_files,
    },
];

/// Below this a shard has hardly a cache.
const MEMORY_BYTES_MIN: u64 = 1 << 30;

fn memory(seen: &Seen<'_>) -> Judged {
    let (total, limit) = (seen.facts.memory.total_bytes, seen.facts.cgroup.memory_limit_bytes);
    let Some(total) = total else { return seen.unseen("how much memory there is") };
    let usable = limit.map_or(total, |limit| limit.min(total));
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
    let text = match limit {
        Some(limit) if limit < total => {
            format!("{} of {}, by the control group's limit", gib(limit), gib(total))
        }
        _ => format!("{}, without a limit", gib(total)),
    };
    match usable {
        ..MEMORY_BYTES_MIN => {
            Judged::advice(text).not_measured("it depends on how much of the data is read again").by_hand(
                "a limit of 1 GiB at least (`docker run --memory`, systemd's MemoryMax=)",
                "the old limit",
            )
        }
        _ => Judged::good(text),
    }
}

fn huge_pages(seen: &Seen<'_>) -> Judged {
    let memory = &seen.facts.memory;
    let defrag = memory.huge_pages_defrag.as_deref().unwrap_or("unknown");
    match memory.huge_pages.as_deref() {
        None => seen.unseen("whether huge pages are made"),
        Some("always") => {
            let judged = Judged::advice(format!("always, defrag {defrag}")).not_measured(
                "the stall comes when memory is in pieces, which it is not at the time of a check",
            );
            match &seen.facts.place.container {
                Some(container) => judged.by_hand(
                    format!("on the host of this container ({container}): echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"),
                    "echo always > the same file",
                ),
                None => judged
                    .write("/sys/kernel/mm/transparent_hugepage/enabled", "madvise")
                    .lasting("transparent_hugepage=madvise on the kernel's command line"),
            }
        }
        Some(how) => Judged::good(format!("{how}, defrag {defrag}: only for who asks")),
    }
}

fn swap(seen: &Seen<'_>) -> Judged {
    let memory = &seen.facts.memory;
    let mib = |bytes: u64| bytes >> 20;
    if memory.swap_bytes == 0 {
        return Judged::good("none");
    }
    let swappiness = memory.swappiness;
    let text = format!(
        "{} MiB, {} MiB of them used, swappiness {}",
        mib(memory.swap_bytes),
        mib(memory.swap_used_bytes),
        swappiness.map_or("unknown".to_owned(), |value| value.to_string())
    );
    if swappiness.is_some_and(|value| value <= 1) && memory.swap_used_bytes == 0 {
        return Judged::good(text);
    }
    let judged = Judged::advice(text).not_measured("it is felt only when memory is short");
    let judged = if seen.facts.place.container.is_some() || swappiness.is_none_or(|value| value <= 1) {
        judged
    } else {
        judged
            .write("/proc/sys/vm/swappiness", "1")
            .lasting("vm.swappiness = 1 in /etc/sysctl.d/90-torc.conf")
    };
    judged.by_hand("on a host of its own: `swapoff -a`; in a group: systemd's MemorySwapMax=0", "swapon -a")
}

/// What `runtime::real` wants at least, and what is enough for many shards.
const LOCKED_LEAST: u64 = 512 << 10;
const LOCKED_ENOUGH: u64 = 64 << 20;

fn locked(seen: &Seen<'_>) -> Judged {
    let Some(limit) = seen.facts.limits.locked_bytes else {
        return Judged::unseen("the limit cannot be read");
    };
    let by_hand = "systemd: LimitMEMLOCK=infinity; a shell: `ulimit -l unlimited`; Docker: `--ulimit memlock=-1`; /etc/security/limits.d";
    let may_raise = seen.facts.place.user == Some(0) && seen.facts.place.container.is_none();
    match limit {
        Limit { hard: None, .. } => Judged::good("no limit"),
        Limit { hard: Some(bytes), .. } if may_raise => {
            Judged::good(format!("{} KiB, which root may raise, and torc does", bytes >> 10))
        }
        Limit { hard: Some(bytes), .. } if bytes < LOCKED_LEAST => {
            Judged::problem(format!("{} KiB at most; {} KiB are needed", bytes >> 10, LOCKED_LEAST >> 10))
                .not_measured("torc does not start")
                .by_hand(by_hand, "the old limit")
        }
        Limit { hard: Some(bytes), .. } if bytes < LOCKED_ENOUGH => {
            Judged::advice(format!("{} KiB at most: enough for few shards", bytes >> 10))
                .not_measured("a shard more than fits does not start")
                .by_hand(by_hand, "the old limit")
        }
        Limit { hard: Some(bytes), .. } => Judged::good(format!("{} MiB at most", bytes >> 20)),
    }
}

/// Files of one shard at their most, and what hardly serves anybody.
const FILES_PER_SHARD: u64 = 5_200;
const FILES_LEAST: u64 = 4_096;

fn open_files(seen: &Seen<'_>) -> Judged {
    let Some(limit) = seen.facts.limits.open_files else { return Judged::unseen("the limit cannot be read") };
    let wanted = FILES_PER_SHARD * seen.facts.cpus.allowed.len().max(1) as u64;
    let by_hand =
        format!("systemd: LimitNOFILE={wanted}; Docker: `--ulimit nofile={wanted}`; /etc/security/limits.d");
    let text =
        |bytes: u64| format!("{bytes} at most, which torc takes; {wanted} for all shards at their most");
    match limit.hard {
        None => Judged::good("no limit"),
        Some(files) if files >= wanted => Judged::good(text(files)),
        Some(files) if files < FILES_LEAST => Judged::problem(text(files))
            .not_measured("connections beyond it are refused")
            .by_hand(by_hand, "the old limit"),
        Some(files) => Judged::advice(text(files))
            .not_measured("connections beyond it are refused")
            .by_hand(by_hand, "the old limit"),
    }
}
