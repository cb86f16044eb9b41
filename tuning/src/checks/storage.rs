//! Storage: what a durable write and a read cost in the data directory, and what lies under it.

use super::{Check, Cost, Judged, Seen, show_us};
use crate::facts::Disk;
use crate::measure::{Device, TransferKind, Tried};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "durable-write",
        why: "every acknowledged write waits for one of these, and for nothing else that takes as long",
        source: "open(2), O_DSYNC and O_DIRECT; measured in the data directory",
        judge: durable_write,
    },
    Check {
        id: "read",
        why: "a GetItem whose block is not in memory waits for one of these",
        source: "open(2), O_DIRECT; measured in the data directory",
        judge: read,
    },
    Check {
        id: "file-system",
        why: "torc writes past the page cache into files laid out before: ext4 and XFS do that in place, others copy, log twice or forget",
        source: "Linux: Documentation/filesystems/ext4, xfs.rst; mount(8), fstrim(8)",
        judge: file_system,
    },
    Check {
        id: "disk",
        why: "all promises rest on it",
        source: "Linux: Documentation/ABI/stable/sysfs-block",
        judge: disk,
    },
    Check {
        id: "disk-scheduler",
        why: "a scheduler sorts and holds requests for disks that turn; a disk with queues of its own only loses time by it",
        source: "Linux: Documentation/block/switching-sched.rst, deadline-iosched.rst",
        judge: scheduler,
    },
    Check {
        id: "write-cache",
        why: "a cache that forgets has to be flushed for every durable write; one that survives a power cut has not",
        source: "Linux: Documentation/block/writeback_cache_control.rst; NVMe base specification, Volatile Write Cache",
        judge: write_cache,
    },
    Check {
        id: "polling",
        why: "a completion that is polled for needs no interrupt and no wake-up",
        source: "Linux: kernel-parameters.txt, nvme.poll_queues; Documentation/ABI/stable/sysfs-block, io_poll; io_uring_setup(2), IORING_SETUP_IOPOLL",
        judge: polling,
    },
];

/// Without a device there is nothing to judge: why.
fn not_measured(tried: &Tried<Device>) -> Judged {
    Judged::unseen(format!("not measured: {}", tried.why_not()))
        .cost(Cost::NotMeasured { why: tried.why_not().to_owned() })
}

const WRITE_US_GOOD: f64 = 250.0;
const WRITE_US_BAD: f64 = 2_000.0;

fn durable_write(seen: &Seen<'_>) -> Judged {
    let tried = &seen.measured.device;
    let Some(device) = tried.get() else { return not_measured(tried) };
    let Some(one) = device.at(TransferKind::Write, 4 << 10, 1) else { return not_measured(tried) };
    let more = device.at(TransferKind::Write, 4 << 10, 4);
    let more =
        more.map_or(String::new(), |more| format!("; {:.0} a second with 4 in flight", more.per_second));
    let text = format!(
        "4 KiB: p50 {}, p99 {}, {:.0} a second{more}",
        show_us(one.latency.us_p50),
        show_us(one.latency.us_p99),
        one.per_second
    );
    let judged = match one.latency.us_p50 {
        ..WRITE_US_GOOD => Judged::good(text),
        ..WRITE_US_BAD => Judged::advice(text).by_hand("a local NVMe drive with power-loss protection takes 10 to 60 us; see disk, write-cache and disk-scheduler", "-"),
        _ => Judged::problem(text).by_hand("a local NVMe drive with power-loss protection takes 10 to 60 us; see disk, write-cache and disk-scheduler", "-"),
    };
    judged.cost_of(tried, |_| (one.latency.us_p50, "the p50 of a durable write".to_owned()))
}

const READ_US_GOOD: f64 = 400.0;

fn read(seen: &Seen<'_>) -> Judged {
    let tried = &seen.measured.device;
    let Some(device) = tried.get() else { return not_measured(tried) };
    let Some(one) = device.at(TransferKind::Read, 4 << 10, 1) else { return not_measured(tried) };
    let more = device.at(TransferKind::Read, 4 << 10, 16);
    let more =
        more.map_or(String::new(), |more| format!("; {:.0} a second with 16 in flight", more.per_second));
    let text =
        format!("4 KiB: p50 {}, p99 {}{more}", show_us(one.latency.us_p50), show_us(one.latency.us_p99));
    let judged = match one.latency.us_p50 {
        ..READ_US_GOOD => Judged::good(text),
        _ => Judged::advice(text)
            .by_hand("a local flash drive takes 60 to 100 us; more memory (--memory) saves reads", "-"),
    };
    judged.cost_of(tried, |_| (one.latency.us_p50, "the p50 of a read".to_owned()))
}

/// Kinds that keep nothing, or where nobody here decides what is durable.
const REFUSED: [(&str, &str); 9] = [
    ("tmpfs", "is memory: nothing survives a power cut"),
    ("ramfs", "is memory: nothing survives a power cut"),
    ("overlay", "is a container's image: use a volume"),
    ("aufs", "is a container's image: use a volume"),
    ("nfs", "is a network's: no direct, durable writes"),
    ("nfs4", "is a network's: no direct, durable writes"),
    ("cifs", "is a network's: no direct, durable writes"),
    ("9p", "is another machine's: no direct, durable writes"),
    ("squashfs", "is read-only"),
];

fn file_system(seen: &Seen<'_>) -> Judged {
    let storage = &seen.facts.storage;
    if storage.file_system.is_empty() {
        return Judged::unseen(format!("no mount holds {}", storage.dir));
    }
    let has = |option: &str| storage.options.iter().any(|found| found == option);
    let kind = storage.file_system.as_str();
    let text = format!("{kind} at {} ({})", storage.mount_point, storage.options.join(","));
    let on_disk = "a directory on ext4 or XFS on a local disk: --data-dir (a container: a volume)";
    if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == kind) {
        return Judged::problem(format!("{text}, which {why}"))
            .not_measured("torc does not run there")
            .by_hand(on_disk, "-");
    }
    if has("ro") {
        return Judged::problem(format!("{text}: nothing can be written"))
            .not_measured("torc does not run there")
            .by_hand(on_disk, "-");
    }
    if ["nobarrier", "barrier=0"].iter().any(|option| has(option)) {
        let remount = format!("mount -o remount,barrier=1 {}", storage.mount_point);
        return Judged::problem(format!(
            "{text}: without barriers, what was acknowledged may be lost in a power cut"
        ))
        .not_measured("it costs data, not time")
        .by_hand(remount, "never");
    }
    if has("data=journal") {
        return Judged::problem(format!("{text}: data goes into the journal first, and direct I/O is off"))
            .cost_of(&seen.measured.device, write_cost)
            .by_hand("mount it with data=ordered (at the next mount: /etc/fstab)", "data=journal there");
    }
    match kind {
        "ext4" | "xfs" if has("discard") => {
            Judged::advice(format!("{text}: every file that goes is discarded at once, beside requests"))
                .not_measured("it is felt when SSTables go, not while files are only written")
                .by_hand(
                    format!(
                        "mount -o remount,nodiscard {}; systemctl enable --now fstrim.timer",
                        storage.mount_point
                    ),
                    format!("mount -o remount,discard {}", storage.mount_point),
                )
        }
        "ext4" | "xfs" => Judged::good(text),
        "btrfs" | "zfs" | "bcachefs" | "f2fs" => {
            Judged::advice(format!("{text}, which writes elsewhere instead of in place"))
                .cost_of(&seen.measured.device, write_cost)
                .by_hand(on_disk, "-")
        }
        _ => Judged::advice(format!("{text}, of which nothing is known"))
            .cost_of(&seen.measured.device, write_cost)
            .by_hand(on_disk, "-"),
    }
}

fn write_cost(device: &Device) -> (f64, String) {
    let one = device.at(TransferKind::Write, 4 << 10, 1);
    (one.map_or(0.0, |one| one.latency.us_p50), "the p50 of a durable write of 4 KiB as it is".to_owned())
}

/// Whether the kernel's word that it turns can be believed: virtual disks say it without turning.
fn turns(disk: &Disk) -> bool {
    disk.rotational && !is_virtual(disk)
}

fn is_virtual(disk: &Disk) -> bool {
    let by_driver = disk
        .driver
        .as_deref()
        .is_some_and(|driver| driver.contains("virtio") || driver.contains("vbd") || driver.contains("xen"));
    by_driver || ["vd", "xvd"].iter().any(|prefix| disk.name.starts_with(prefix))
}

fn describe(disk: &Disk) -> String {
    let model = disk.model.as_deref().unwrap_or("no model told");
    format!("{} ({model}, {:.0} GB, {} queues)", disk.name, disk.bytes as f64 / 1e9, disk.queues)
}

/// Why there is no disk to look at.
fn no_disk(seen: &Seen<'_>) -> Judged {
    let storage = &seen.facts.storage;
    Judged::unseen(format!("{} on {} is on no disk that can be seen", storage.file_system, storage.source))
}

fn disk(seen: &Seen<'_>) -> Judged {
    let storage = &seen.facts.storage;
    if storage.disks.is_empty() {
        return no_disk(seen);
    }
    let disks: Vec<String> = storage.disks.iter().map(describe).collect();
    let layers = match storage.layers.is_empty() {
        true => String::new(),
        false => format!(", under {}", storage.layers.join(", ")),
    };
    let text = format!("{}{layers}", disks.join(", "));
    let stacked = storage
        .layers
        .iter()
        .any(|layer| layer.starts_with("dm-") || layer.starts_with("md") || layer.starts_with("loop"));
    if storage.disks.iter().any(turns) {
        return Judged::problem(format!("{text}: it turns"))
            .cost_of(&seen.measured.device, write_cost)
            .by_hand("a flash drive", "-");
    }
    if storage.disks.iter().any(is_virtual) {
        return Judged::unseen(format!("{text}: a virtual disk; what is behind it, and whether it keeps what it acknowledged, is the hypervisor's to say"))
            .cost_of(&seen.measured.device, write_cost);
    }
    match stacked {
        true => Judged::advice(format!("{text}: each layer handles every request once more"))
            .cost_of(&seen.measured.device, write_cost)
            .by_hand("a file system straight on the drive; torc keeps copies on other nodes and needs no RAID below", "-"),
        false => Judged::good(text),
    }
}

fn scheduler(seen: &Seen<'_>) -> Judged {
    let disks = &seen.facts.storage.disks;
    if disks.is_empty() {
        return no_disk(seen);
    }
    let names: Vec<String> = disks
        .iter()
        .map(|disk| {
            format!("{}: {}", disk.name, if disk.scheduler.is_empty() { "none" } else { &disk.scheduler })
        })
        .collect();
    let held: Vec<&Disk> = disks
        .iter()
        .filter(|disk| !turns(disk) && !["", "none"].contains(&disk.scheduler.as_str()))
        .collect();
    if held.is_empty() {
        return Judged::good(names.join(", "));
    }
    let as_it_is =
        match seen.measured.device.get().and_then(|device| device.at(TransferKind::Write, 4 << 10, 1)) {
            Some(one) => format!(
                "only a change could show it; a durable write takes {} as it is",
                show_us(one.latency.us_p50)
            ),
            None => "only a change could show it".to_owned(),
        };
    let judged = Judged::advice(names.join(", ")).not_measured(as_it_is);
    if let Some(container) = &seen.facts.place.container {
        let files: Vec<String> =
            held.iter().map(|disk| format!("echo none > /sys/block/{}/queue/scheduler", disk.name)).collect();
        return judged.by_hand(
            format!("on the host of this container ({container}): {}", files.join("; ")),
            "the old name in the same file",
        );
    }
    held.iter()
        .fold(judged, |judged, disk| judged.write(format!("/sys/block/{}/queue/scheduler", disk.name), "none"))
        .lasting("udev: ACTION==\"add|change\", KERNEL==\"nvme*|sd*|vd*\", ATTR{queue/scheduler}=\"none\" in /etc/udev/rules.d/90-torc.rules")
}

/// A durable write that is faster than this did not wait for flash.
const PROTECTED_US_MAX: f64 = 60.0;

fn write_cache(seen: &Seen<'_>) -> Judged {
    let disks = &seen.facts.storage.disks;
    if disks.is_empty() {
        return no_disk(seen);
    }
    let known: Vec<(&Disk, &str)> =
        disks.iter().filter_map(|disk| Some((disk, disk.write_cache.as_deref()?))).collect();
    let text: Vec<String> = known
        .iter()
        .map(|(disk, cache)| format!("{}: {cache}{}", disk.name, if disk.fua { ", FUA" } else { "" }))
        .collect();
    let text = text.join(", ");
    if known.is_empty() {
        return seen.unseen("the disk's write cache");
    }
    let protect = |judged: Judged| {
        judged.by_hand("a drive with power-loss protection. Never write `write through` into queue/write_cache of a drive without it: that only stops the flushes, and loses data", "-")
    };
    let fast = seen
        .measured
        .device
        .get()
        .and_then(|device| device.at(TransferKind::Write, 4 << 10, 1))
        .map(|one| one.latency.us_p50);
    let virtual_disk = disks.iter().any(is_virtual);
    match (known.iter().all(|(_, cache)| *cache == "write through"), virtual_disk, fast) {
        (true, true, _) => Judged::unseen(format!(
            "{text}: the hypervisor says that nothing has to be flushed; whether its own disk forgets cannot be seen"
        )),
        (false, true, _) => Judged::unseen(format!(
            "{text}: each durable write asks the hypervisor to flush; what it does then cannot be seen"
        ))
        .cost_of(&seen.measured.device, write_cost),
        (true, false, _) => Judged::good(format!(
            "{text}: no cache that forgets; the drive has power-loss protection, or none to lose"
        )),
        (false, false, Some(us)) if us < PROTECTED_US_MAX => Judged::good(format!(
            "{text}, but flushed faster than flash is written: probably protected against power loss"
        ))
        .cost_of(&seen.measured.device, write_cost),
        (false, false, Some(_)) => protect(
            Judged::advice(format!("{text}: every durable write flushes it"))
                .cost_of(&seen.measured.device, write_cost),
        ),
        (false, false, None) => protect(
            Judged::advice(format!(
                "{text}: every durable write flushes it, if it has no power-loss protection"
            ))
            .cost_of(&seen.measured.device, write_cost),
        ),
    }
}

fn polling(seen: &Seen<'_>) -> Judged {
    let storage = &seen.facts.storage;
    if storage.disks.is_empty() {
        return no_disk(seen);
    }
    if storage.disks.iter().all(|disk| disk.polls) {
        return Judged::good("the disk has queues that can be polled, and torc polls them");
    }
    let all_nvme = storage.disks.iter().all(|disk| disk.name.starts_with("nvme"));
    let queues = seen.facts.cpus.allowed.len();
    match all_nvme {
        true => Judged::advice(format!(
            "nvme.poll_queues is {}: completions are interrupts",
            storage.nvme_poll_queues.unwrap_or(0)
        ))
        .cost_of(&seen.measured.wake, |wake| {
            (wake.us_p50, "the p50 of a wake-up, which polling saves when the core is idle".to_owned())
        })
        .by_hand(
            format!("nvme.poll_queues={queues} on the kernel's command line (one for each shard)"),
            "take it off again",
        ),
        false => {
            Judged::good("this kind of disk has no queues to poll; completions are interrupts, which is fine")
        }
    }
}
