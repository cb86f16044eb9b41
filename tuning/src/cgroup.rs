//! What the control group of this process grants it, in version 2 and version 1.
//!
//! A limit may be set on any group above, so every group from one's own up to the root of what is mounted is asked, and the smallest
//! answer counts. In a container the files of its own group are mounted as the root, under both versions.

use serde::Serialize;

use crate::host::Host;

/// Version 1 says "no limit" with the largest multiple of a page that fits; nothing has that much memory.
const MEMORY_BYTES_NO_LIMIT: u64 = 1 << 60;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cgroup {
    /// 2, 1, or 0 where nothing is mounted that could be read.
    pub version: u8,
    /// Cores' worth of time that may be used, if that is limited.
    pub cpu_quota: Option<f64>,
    /// Microseconds of the period over which time is counted.
    pub cpu_period_us: Option<u64>,
    /// Bytes of memory that may be used, if that is limited.
    pub memory_limit_bytes: Option<u64>,
    /// How often this group was stopped because its time was used up, and in how many periods it ran.
    pub throttled: Option<Throttled>,
}

/// How often a group was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Throttled {
    /// Periods in which it ran.
    pub periods: u64,
    /// Periods in which it was stopped before their end.
    pub stopped: u64,
    /// How long it was stopped in all, in microseconds.
    pub stopped_us: u64,
}

/// Reads the limits of this process.
pub fn read(host: &Host) -> Cgroup {
    let groups = host.read("/proc/self/cgroup").unwrap_or_default();
    let mounts = host.read("/proc/self/mountinfo").unwrap_or_default();
    let cpu = groups_of(&groups, &mounts, "cpu");
    let memory = groups_of(&groups, &mounts, "memory");
    let (quota, period) = smallest_quota(host, &cpu);
    Cgroup {
        version: cpu.version.max(memory.version),
        cpu_quota: quota,
        cpu_period_us: period,
        memory_limit_bytes: memory
            .files("memory.max", "memory.limit_in_bytes")
            .iter()
            .filter_map(|file| limit(host, file))
            .min(),
        throttled: cpu.files("cpu.stat", "cpu.stat").iter().find_map(|file| throttled(&host.text(file)?)),
    }
}

/// The directories of one controller, from the process's own group up to what is mounted.
struct Groups {
    version: u8,
    dirs: Vec<String>,
}

impl Groups {
    fn files(&self, name2: &str, name1: &str) -> Vec<String> {
        let name = if self.version == 2 { name2 } else { name1 };
        self.dirs.iter().map(|dir| format!("{dir}/{name}")).collect()
    }
}

fn groups_of(groups: &str, mounts: &str, controller: &str) -> Groups {
    let hierarchy = |line: &str| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?.to_owned(), parts.next()?.to_owned());
        Some((controllers, path))
    };
    let hierarchies: Vec<(String, String)> = groups.lines().filter_map(hierarchy).collect();
    let own = |wanted: &dyn Fn(&str) -> bool| {
        hierarchies.iter().find(|(controllers, _)| wanted(controllers)).map(|(_, path)| path.as_str())
    };
    if let Some(path) = own(&|controllers| controllers.split(',').any(|name| name == controller))
        && let Some((root, point)) = mount_of(mounts, "cgroup", controller)
    {
        return Groups { version: 1, dirs: upwards(path, &root, &point) };
    }
    if let Some(path) = own(&str::is_empty) {
        let (root, point) = mount_of(mounts, "cgroup2", "").unwrap_or(("/".into(), "/sys/fs/cgroup".into()));
        return Groups { version: 2, dirs: upwards(path, &root, &point) };
    }
    Groups { version: 0, dirs: Vec::new() }
}

/// The root within the hierarchy and the place of a mount of this kind, whose options name the controller if one is given.
fn mount_of(mounts: &str, kind: &str, controller: &str) -> Option<(String, String)> {
    mounts.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let (mut mount, mut file_system) = (mount.split(' ').skip(3), file_system.split(' '));
        let (root, point) = (mount.next()?, mount.next()?);
        let is_kind = file_system.next()? == kind;
        let options = file_system.nth(1).unwrap_or_default();
        let is_controller = controller.is_empty() || options.split(',').any(|option| option == controller);
        (is_kind && is_controller).then(|| (root.to_owned(), point.to_owned()))
    })
}

fn upwards(path: &str, root: &str, point: &str) -> Vec<String> {
    // A container sees its own group as the root of the mount, whatever the path says.
    let below = path.strip_prefix(root.trim_end_matches('/')).unwrap_or("").trim_matches('/');
    let mut dirs = Vec::new();
    let mut below = Some(below);
    while let Some(part) = below {
        dirs.push(if part.is_empty() { point.to_owned() } else { format!("{point}/{part}") });
        below = (!part.is_empty()).then(|| part.rsplit_once('/').map_or("", |(above, _)| above));
    }
    dirs
}

fn limit(host: &Host, file: &str) -> Option<u64> {
    host.number::<u64>(file).filter(|bytes| *bytes < MEMORY_BYTES_NO_LIMIT)
}

fn smallest_quota(host: &Host, groups: &Groups) -> (Option<f64>, Option<u64>) {
    let quota = |dir: &String| match groups.version {
        2 => parse_quota(&host.text(&format!("{dir}/cpu.max"))?),
        _ => {
            let microseconds = host.text(&format!("{dir}/cpu.cfs_quota_us"))?;
            parse_quota(&format!("{microseconds} {}", host.text(&format!("{dir}/cpu.cfs_period_us"))?))
        }
    };
    let smallest = groups.dirs.iter().filter_map(quota).min_by(|(one, _), (other, _)| one.total_cmp(other));
    (smallest.map(|(quota, _)| quota), smallest.map(|(_, period)| period))
}

/// `cpu.max` is "QUOTA PERIOD" in microseconds, or "max PERIOD"; version 1 says -1 for no limit. Cores, and the period.
fn parse_quota(text: &str) -> Option<(f64, u64)> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period) = (quota.parse::<f64>().ok()?, period.parse::<u64>().ok()?);
    (period > 0 && quota > 0.0).then(|| (quota / period as f64, period))
}

fn throttled(stat: &str) -> Option<Throttled> {
    let field =
        |name: &str| stat.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    // Version 1 counts nanoseconds under another name.
    let stopped_us = field("throttled_usec ").or_else(|| field("throttled_time ").map(|nanos| nanos / 1000));
    Some(Throttled {
        periods: field("nr_periods ")?,
        stopped: field("nr_throttled ")?,
        stopped_us: stopped_us?,
    })
}

#[cfg(test)]
mod tests;
