use super::*;
use crate::host::{Entry, Recording};

fn host(files: &[(&str, &str)]) -> Host {
    let mut recording = Recording::new("/data");
    for (path, text) in files {
        recording.put(path, Entry::Text(text.to_string()));
    }
    Host::recorded(recording)
}

#[test]
fn quota_is_read_as_the_kernel_writes_it() {
    let check = |text: &str, expected: Option<f64>| {
        assert_eq!(parse_quota(text).map(|(quota, _)| quota), expected, "{text:?}");
    };
    check("max 100000\n", None);
    check("150000 100000\n", Some(1.5));
    check("200000 100000", Some(2.0));
    check("-1 100000", None);
    check("", None);
    check("0 0", None);
    check("nonsense", None);
}

#[test]
fn the_smallest_limit_of_all_groups_above_counts() {
    let found = read(&host(&[
        ("/proc/self/cgroup", "0::/system.slice/torc.service\n"),
        ("/proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
        ("/sys/fs/cgroup/system.slice/torc.service/cpu.max", "max 100000\n"),
        ("/sys/fs/cgroup/system.slice/cpu.max", "350000 100000\n"),
        ("/sys/fs/cgroup/system.slice/torc.service/memory.max", "8589934592\n"),
        ("/sys/fs/cgroup/system.slice/memory.max", "4294967296\n"),
        (
            "/sys/fs/cgroup/system.slice/torc.service/cpu.stat",
            "usage_usec 12\nnr_periods 40\nnr_throttled 3\nthrottled_usec 9000\n",
        ),
    ]));
    assert_eq!((found.version, found.cpu_quota), (2, Some(3.5)));
    assert_eq!(found.memory_limit_bytes, Some(4 << 30));
    assert_eq!(found.throttled, Some(Throttled { periods: 40, stopped: 3, stopped_us: 9000 }));
}

#[test]
fn version_1_is_read_where_its_controllers_are_mounted() {
    // A container of version 1: the paths are those of the host, the mounts begin at its own group.
    let found = read(&host(&[
        ("/proc/self/cgroup", "5:memory:/docker/f00\n3:cpu,cpuacct:/docker/f00\n0::/\n"),
        (
            "/proc/self/mountinfo",
            "40 31 0:31 /docker/f00 /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n\
             41 31 0:32 /docker/f00 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
        ),
        ("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "250000\n"),
        ("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n"),
        ("/sys/fs/cgroup/cpu,cpuacct/cpu.stat", "nr_periods 9\nnr_throttled 1\nthrottled_time 2000000\n"),
    ]));
    assert_eq!((found.version, found.cpu_quota, found.memory_limit_bytes), (1, Some(2.5), Some(512 << 20)));
    assert_eq!(found.throttled.unwrap().stopped_us, 2000);
}

#[test]
fn no_limit_is_none_in_both_versions() {
    let mounts = "41 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
    let found = read(&host(&[
        ("/proc/self/cgroup", "4:memory:/\n"),
        ("/proc/self/mountinfo", mounts),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
    ]));
    assert_eq!((found.memory_limit_bytes, found.cpu_quota), (None, None));
    assert_eq!(read(&host(&[])), Cgroup::default());
}
