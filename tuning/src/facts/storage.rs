//! What lies under the data directory: mount, file system, and the disks below it.
//!
//! ```text
//! /var/lib/torc --mountinfo--> ext4 on /dev/mapper/data, 253:0 --slaves--> md0 --slaves--> nvme0n1p1 --parent--> nvme0n1
//! ```
//!
//! A file system that has no device number of its own (btrfs) is looked up by its source's name; one that is none (overlay, NFS) has no disk.

use serde::Serialize;

use super::cpus::choice;
use crate::host::Host;

/// Layers between a file system and its disks, at most.
const LAYERS_MAX: usize = 8;
/// Disks below one file system that are looked at.
const DISKS_MAX: usize = 64;

/// What lies under the data directory.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Storage {
    /// The data directory.
    pub dir: String,
    /// Where its file system is mounted.
    pub mount_point: String,
    /// The kind of file system.
    pub file_system: String,
    /// What is mounted.
    pub source: String,
    /// Options of the mount and of the file system.
    pub options: Vec<String>,
    /// Devices between the file system and its disks, from above.
    pub layers: Vec<String>,
    /// The disks.
    pub disks: Vec<Disk>,
    /// `nvme.poll_queues`, where that driver is.
    pub nvme_poll_queues: Option<u32>,
}

/// A disk, as its queue describes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Disk {
    /// Its name.
    pub name: String,
    /// Its model, where it says.
    pub model: Option<String>,
    /// Its driver.
    pub driver: Option<String>,
    /// Bytes.
    pub bytes: u64,
    /// Whether the kernel takes it for a spinning one.
    pub rotational: bool,
    /// The scheduler in force.
    pub scheduler: String,
    /// Those that there are.
    pub schedulers: Vec<String>,
    /// `write back`: it has a cache that forgets, and a durable write has to flush it; `write through`: it has none, or one that lasts.
    pub write_cache: Option<String>,
    /// Whether one write can be made durable without a flush of everything.
    pub fua: bool,
    /// Whether completions can be polled for.
    pub polls: bool,
    /// Queues of the hardware.
    pub queues: usize,
    /// Requests that the kernel lets wait in each.
    pub requests_max: Option<u32>,
    /// The memory node that it is attached to.
    pub node: Option<u32>,
    /// Completions go back to the cpu that asked: 0 no, 1 to its group, 2 exactly.
    pub rq_affinity: Option<u8>,
}

pub(super) fn read(host: &Host) -> Storage {
    let mounts = host.read("/proc/self/mountinfo").unwrap_or_default();
    let dir = host.data_dir().to_owned();
    let Some(mount) = mounts
        .lines()
        .filter_map(parse_mount)
        .filter(|mount| is_below(&dir, &mount.point))
        .fold(None, longer)
    else {
        return Storage { dir, ..Storage::default() };
    };
    let mut layers = Vec::new();
    let mut disks = Vec::new();
    if let Some(device) = device_of(host, &mount) {
        descend(host, &device, 0, &mut layers, &mut disks);
    }
    Storage {
        dir,
        layers,
        disks: disks.iter().take(DISKS_MAX).map(|path| disk(host, path)).collect(),
        nvme_poll_queues: host.number("/sys/module/nvme/parameters/poll_queues"),
        mount_point: mount.point,
        file_system: mount.kind,
        source: mount.source,
        options: mount.options,
    }
}

struct Mount {
    number: String,
    point: String,
    kind: String,
    source: String,
    options: Vec<String>,
}

/// `36 35 98:0 /root /point rw,noatime master:1 - ext4 /dev/sda1 rw,errors=continue`; spaces are written `\040`.
fn parse_mount(line: &str) -> Option<Mount> {
    let (mount, file_system) = line.split_once(" - ")?;
    let (mut words, mut about) = (mount.split(' ').skip(2), file_system.split(' '));
    let (number, _root, point, options) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let (kind, source, more) = (about.next()?, about.next()?, about.next().unwrap_or_default());
    let mut all: Vec<String> = options.split(',').chain(more.split(',')).map(str::to_owned).collect();
    all.sort();
    all.dedup();
    // A read-only mount of a writable file system says both.
    if options.split(',').any(|option| option == "ro") {
        all.retain(|option| option != "rw");
    }
    Some(Mount {
        number: number.to_owned(),
        point: point.replace("\\040", " "),
        kind: kind.to_owned(),
        source: source.to_owned(),
        options: all,
    })
}

fn is_below(dir: &str, point: &str) -> bool {
    let rest = dir.strip_prefix(point.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Of two mounts the one with the longer path; of the same path the later one, which hides the other.
fn longer(best: Option<Mount>, next: Mount) -> Option<Mount> {
    match best {
        Some(best) if best.point.len() > next.point.len() => Some(best),
        _ => Some(next),
    }
}

/// Where in /sys the device of a mount lies.
fn device_of(host: &Host, mount: &Mount) -> Option<String> {
    let by_number = host.real(&format!("/sys/dev/block/{}", mount.number));
    by_number.or_else(|| {
        let name = mount.source.strip_prefix("/dev/")?.rsplit('/').next()?;
        host.real(&format!("/sys/class/block/{name}"))
    })
}

fn descend(host: &Host, path: &str, depth: usize, layers: &mut Vec<String>, disks: &mut Vec<String>) {
    if depth == LAYERS_MAX {
        return;
    }
    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
    if host.has(&format!("{path}/partition")) {
        layers.push(name);
        if let Some((disk, _)) = path.rsplit_once('/') {
            descend(host, disk, depth + 1, layers, disks);
        }
        return;
    }
    let below: Vec<String> = host
        .list(&format!("{path}/slaves"))
        .iter()
        .filter_map(|slave| host.real(&format!("{path}/slaves/{slave}")))
        .collect();
    if below.is_empty() {
        if !disks.iter().any(|known| known == path) {
            disks.push(path.to_owned());
        }
        return;
    }
    if !layers.contains(&name) {
        layers.push(name);
    }
    for slave in below {
        descend(host, &slave, depth + 1, layers, disks);
    }
}

fn disk(host: &Host, path: &str) -> Disk {
    let text = |name: &str| host.text(&format!("{path}/{name}"));
    let flag = |name: &str| host.number::<u8>(&format!("{path}/{name}")).is_some_and(|value| value != 0);
    let (scheduler, schedulers) = choice(&text("queue/scheduler").unwrap_or_default());
    let driver = ["device/driver", "device/device/driver"]
        .iter()
        .find_map(|name| host.real(&format!("{path}/{name}")));
    let node = ["device/numa_node", "device/device/numa_node"].iter();
    Disk {
        name: path.rsplit('/').next().unwrap_or_default().to_owned(),
        model: text("device/model"),
        driver: driver.and_then(|path| path.rsplit('/').next().map(str::to_owned)),
        bytes: host.number::<u64>(&format!("{path}/size")).unwrap_or(0).saturating_mul(512),
        rotational: flag("queue/rotational"),
        scheduler,
        schedulers,
        write_cache: text("queue/write_cache"),
        fua: flag("queue/fua"),
        polls: flag("queue/io_poll"),
        queues: host.list(&format!("{path}/mq")).len(),
        requests_max: host.number(&format!("{path}/queue/nr_requests")),
        node: node
            .filter_map(|name| host.number::<i64>(&format!("{path}/{name}")))
            .find_map(|node| u32::try_from(node).ok()),
        rq_affinity: host.number(&format!("{path}/queue/rq_affinity")),
    }
}
