//! What it runs on: metal, a hypervisor, a container; and the kernel's switches.
//!
//! Signs deceive: a virtual machine whose disk was made from a container's image has a `/.dockerenv` and is no container. So a file
//! alone decides nothing: the root file system has to be one that containers have, or the control group's name has to say it.

use serde::Serialize;

use super::cpus::field;
use crate::host::Host;

/// Machine, hypervisor, container, user.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Place {
    /// Maker and model, by the firmware's word.
    pub machine: Option<String>,
    /// The hypervisor, if there is one; "unknown" when it does not say which it is.
    pub hypervisor: Option<String>,
    /// The kind of container, if it is one.
    pub container: Option<String>,
    /// The sign of a container that was not believed.
    pub container_doubted: Option<String>,
    /// The effective user.
    pub user: Option<u32>,
    /// Whether the whole of /sys is mounted read-only.
    pub sys_read_only: bool,
}

/// The kernel and its switches.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Kernel {
    /// Its release, such as `6.8.0-48-generic`.
    pub release: Option<String>,
    /// The numbers of that.
    pub version: Option<(u32, u32)>,
    /// What it was started with.
    pub command_line: String,
    /// `kernel.io_uring_disabled`.
    pub io_uring_disabled: Option<u8>,
    /// What the processor is vulnerable to, and what is done about it.
    pub vulnerabilities: Vec<(String, String)>,
    /// Connections that may wait to be accepted.
    pub somaxconn: Option<u32>,
    /// `net.core.busy_poll`, in microseconds.
    pub busy_poll_us: Option<u32>,
}

/// Words by which firmware and control groups name what they belong to.
const HYPERVISORS: [(&str, &str); 10] = [
    ("amazon ec2", "Amazon EC2 (Nitro)"),
    ("google", "Google Compute Engine (KVM)"),
    ("microsoft corporation", "Hyper-V"),
    ("vmware", "VMware"),
    ("virtualbox", "VirtualBox"),
    ("xen", "Xen"),
    ("openstack", "KVM (OpenStack)"),
    ("qemu", "KVM or QEMU"),
    ("kvm", "KVM"),
    ("bochs", "QEMU"),
];
const CONTAINERS: [(&str, &str); 6] = [
    ("kubepods", "Kubernetes"),
    ("docker", "Docker"),
    ("libpod", "Podman"),
    ("containerd", "containerd"),
    ("lxc", "LXC"),
    ("machine.slice", "systemd-nspawn"),
];
/// File systems that images of containers are laid out on.
const IMAGE_FILE_SYSTEMS: [&str; 3] = ["overlay", "aufs", "fuse.fuse-overlayfs"];

pub(super) fn read(host: &Host) -> Place {
    let dmi = |name: &str| host.text(&format!("/sys/class/dmi/id/{name}"));
    let machine: Vec<String> = [dmi("sys_vendor"), dmi("product_name")].into_iter().flatten().collect();
    let status = host.read("/proc/self/status").unwrap_or_default();
    let user = field(&status, "Uid").and_then(|ids| ids.split_whitespace().nth(1)?.parse().ok());
    let mounts = host.read("/proc/self/mountinfo").unwrap_or_default();
    let (container, container_doubted) = container(host, &mounts);
    Place {
        hypervisor: hypervisor(host, &machine.join(" ")),
        machine: (!machine.is_empty()).then(|| machine.join(" ")),
        container,
        container_doubted,
        user,
        sys_read_only: mount(&mounts, "/sys")
            .is_some_and(|(_, options)| options.split(',').any(|word| word == "ro")),
    }
}

/// The flag decides, the firmware names: a whole machine that is rented has the firmware's name and no flag.
fn hypervisor(host: &Host, machine: &str) -> Option<String> {
    let cpuinfo = host.read("/proc/cpuinfo").unwrap_or_default();
    let flags = field(&cpuinfo, "flags");
    let clocks =
        host.text("/sys/devices/system/clocksource/clocksource0/available_clocksource").unwrap_or_default();
    let is_arm_guest = flags.is_none()
        && ["/proc/device-tree/hypervisor", "/sys/hypervisor/type"].iter().any(|path| host.has(path));
    let is_guest = flags.is_some_and(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor"));
    if !is_guest && !is_arm_guest {
        return None;
    }
    let machine = machine.to_lowercase();
    let by_firmware = HYPERVISORS.iter().find(|(word, _)| machine.contains(word)).map(|(_, name)| *name);
    let by_clock = [("kvm-clock", "KVM"), ("hyperv", "Hyper-V"), ("xen", "Xen")];
    let by_clock = by_clock.iter().find(|(word, _)| clocks.contains(word)).map(|(_, name)| *name);
    Some(by_firmware.or(by_clock).unwrap_or("unknown").to_owned())
}

fn container(host: &Host, mounts: &str) -> (Option<String>, Option<String>) {
    let groups = host.read("/proc/self/cgroup").unwrap_or_default();
    let by_group =
        CONTAINERS.iter().find(|(word, _)| groups.contains(word)).map(|(_, name)| (*name).to_owned());
    let on_image = mount(mounts, "/").is_some_and(|(kind, _)| IMAGE_FILE_SYSTEMS.contains(&kind));
    let signs = [
        ("/.dockerenv", "Docker"),
        ("/run/.containerenv", "Podman"),
        ("/run/systemd/container", "systemd-nspawn"),
    ];
    let sign = signs.iter().find(|(path, _)| host.has(path));
    let is_mapped = host
        .text("/proc/self/uid_map")
        .is_some_and(|map| !map.split_whitespace().eq(["0", "0", "4294967295"]));
    let named = by_group.or_else(|| sign.filter(|_| on_image).map(|(_, name)| (*name).to_owned()));
    match named {
        Some(name) => (Some(name), None),
        None if on_image => (Some("of an unknown kind (its root is an image)".to_owned()), None),
        None if is_mapped => (Some("of an unknown kind (a user namespace)".to_owned()), None),
        None => (None, sign.map(|(path, _)| (*path).to_owned())),
    }
}

/// Kind of file system and options of the mount at exactly this place; the last one counts.
fn mount<'a>(mounts: &'a str, point: &str) -> Option<(&'a str, &'a str)> {
    let at = |line: &'a str| {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut words = mount.split(' ').skip(4);
        let (at, options) = (words.next()?, words.next()?);
        (at == point).then(|| (file_system.split(' ').next().unwrap_or_default(), options))
    };
    mounts.lines().filter_map(at).next_back()
}

pub(super) fn kernel(host: &Host) -> Kernel {
    let release = host.text("/proc/sys/kernel/osrelease");
    let version = release.as_deref().and_then(|release| {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok());
        Some((numbers.next()?, numbers.next()?))
    });
    let base = "/sys/devices/system/cpu/vulnerabilities";
    let vulnerability = |name: String| Some((name.clone(), host.text(&format!("{base}/{name}"))?));
    Kernel {
        version,
        release,
        command_line: host.text("/proc/cmdline").unwrap_or_default(),
        io_uring_disabled: host.number("/proc/sys/kernel/io_uring_disabled"),
        vulnerabilities: host.list(base).into_iter().filter_map(vulnerability).collect(),
        somaxconn: host.number("/proc/sys/net/core/somaxconn"),
        busy_poll_us: host.number("/proc/sys/net/core/busy_poll"),
    }
}
