use super::*;
use crate::host::{Entry, Recording};

fn host(data_dir: &str, files: &[(&str, &str)]) -> Host {
    let mut recording = Recording::new(data_dir);
    for (path, text) in files {
        let entry = match text.strip_prefix("-> ") {
            Some(target) => Entry::Link(target.to_owned()),
            None => Entry::Text((*text).to_owned()),
        };
        recording.put(path, entry);
    }
    Host::recorded(recording)
}

#[test]
fn lists_of_cpus_go_both_ways() {
    let check = |text: &str, cpus: &[usize]| {
        assert_eq!(cpu_list(text), cpus, "{text:?}");
        assert_eq!(show_cpus(cpus), text.trim());
    };
    check("0-3,8,10-11\n", &[0, 1, 2, 3, 8, 10, 11]);
    check("5", &[5]);
    check("", &[]);
    assert_eq!(cpu_list(" (null)\n"), [] as [usize; 0], "what the kernel prints for an empty nohz_full");
}

#[test]
fn of_a_choice_the_word_in_brackets_counts() {
    let check = |text: &str, word: &str| assert_eq!(chosen(text), word);
    check("always [madvise] never\n", "madvise");
    check("[none]", "none");
    check("performance\n", "performance");
}

#[test]
fn nothing_there_is_nothing_known() {
    let facts = read(&host("/data", &[]));
    assert_eq!(facts.limits, Limits::default());
    assert_eq!((facts.place.hypervisor, facts.place.container, facts.place.user), (None, None, None));
    assert_eq!(
        (facts.cpus.governors.len(), facts.cpus.stolen_ticks, facts.memory.total_bytes),
        (0, None, None)
    );
    assert_eq!((facts.storage.dir.as_str(), facts.storage.disks.len()), ("/data", 0));
    assert_eq!(facts.ring.refusal.as_deref(), Some("not tried"));
}

#[test]
fn limits_are_read_with_their_units() {
    let text = "Limit                     Soft Limit           Hard Limit           Units\n\
                Max locked memory         65536                unlimited            bytes\n\
                Max open files            1024                 524288               files\n";
    let limits = read(&host("/data", &[("/proc/self/limits", text)])).limits;
    assert_eq!(limits.locked_bytes, Some(Limit { soft: Some(65536), hard: None }));
    assert_eq!(limits.open_files, Some(Limit { soft: Some(1024), hard: Some(524_288) }));
}

#[test]
fn the_mount_that_hides_the_others_holds_the_directory() {
    let mounts = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                  30 20 0:40 / /srv rw - tmpfs tmpfs rw\n\
                  31 20 8:2 / /srv rw,noatime - xfs /dev/sda2 rw,discard\n\
                  32 20 0:41 / /srv/torc\\040data rw - btrfs /dev/sda3 rw\n";
    let check = |dir: &str, point: &str, kind: &str| {
        let storage = read(&host(dir, &[("/proc/self/mountinfo", mounts)])).storage;
        assert_eq!((storage.mount_point.as_str(), storage.file_system.as_str()), (point, kind), "{dir}");
    };
    check("/srv/x", "/srv", "xfs");
    check("/srvx", "/", "ext4");
    check("/srv/torc data/deep", "/srv/torc data", "btrfs");
    check("/", "/", "ext4");
}

#[test]
fn a_disk_is_found_below_partitions_and_layers() {
    let files = [
        ("/proc/self/mountinfo", "20 1 253:0 / / rw - ext4 /dev/mapper/data rw\n"),
        ("/sys/dev/block/253:0", "-> /sys/devices/virtual/block/dm-0"),
        ("/sys/devices/virtual/block/dm-0/slaves/sda1", "-> /sys/devices/pci0/ata1/block/sda/sda1"),
        ("/sys/devices/pci0/ata1/block/sda/sda1/partition", "1"),
        ("/sys/devices/pci0/ata1/block/sda/size", "2048"),
        ("/sys/devices/pci0/ata1/block/sda/queue/scheduler", "none [mq-deadline] kyber"),
        ("/sys/devices/pci0/ata1/block/sda/queue/write_cache", "write back"),
        ("/sys/devices/pci0/ata1/block/sda/queue/rotational", "1"),
        ("/sys/devices/pci0/ata1/block/sda/mq/0/cpu_list", "0"),
    ];
    let storage = read(&host("/var", &files)).storage;
    assert_eq!(storage.layers, ["dm-0", "sda1"]);
    let [disk] = &storage.disks[..] else { panic!("{:?}", storage.disks) };
    assert_eq!((disk.name.as_str(), disk.bytes, disk.queues), ("sda", 2048 * 512, 1));
    assert_eq!((disk.scheduler.as_str(), disk.schedulers.len(), disk.rotational), ("mq-deadline", 3, true));
}

#[test]
fn a_source_by_name_helps_where_the_number_is_nobodys() {
    let files = [
        ("/proc/self/mountinfo", "20 1 0:33 / / rw - btrfs /dev/sda rw\n"),
        ("/sys/class/block/sda", "-> /sys/devices/pci0/ata1/block/sda"),
        ("/sys/devices/pci0/ata1/block/sda/size", "8"),
    ];
    assert_eq!(read(&host("/x", &files)).storage.disks[0].name, "sda");
}

#[test]
fn the_flag_makes_a_guest_and_the_firmware_names_it() {
    let place = |cpuinfo: &str, vendor: &str| {
        read(&host("/d", &[("/proc/cpuinfo", cpuinfo), ("/sys/class/dmi/id/sys_vendor", vendor)])).place
    };
    let guest = "flags\t\t: fpu hypervisor sse\n";
    assert_eq!(place(guest, "Amazon EC2").hypervisor.as_deref(), Some("Amazon EC2 (Nitro)"));
    assert_eq!(place(guest, "Microsoft Corporation").hypervisor.as_deref(), Some("Hyper-V"));
    assert_eq!(place(guest, "").hypervisor.as_deref(), Some("unknown"));
    // A whole machine that is rented.
    assert_eq!(place("flags\t\t: fpu sse\n", "Amazon EC2").hypervisor, None);
}

#[test]
fn containers_are_told_by_their_group_root_or_user() {
    let container = |files: &[(&str, &str)]| read(&host("/d", files)).place.container;
    let disk_root = ("/proc/self/mountinfo", "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
    let image_root = ("/proc/self/mountinfo", "20 1 0:50 / / rw - overlay overlay rw\n");
    let said = |files: &[(&str, &str)], word: &str| {
        let found = container(files);
        assert!(found.as_deref().is_some_and(|found| found.contains(word)), "{found:?}");
    };
    said(&[disk_root, ("/proc/self/cgroup", "0::/kubepods.slice/pod1\n")], "Kubernetes");
    said(&[image_root, ("/run/.containerenv", "")], "Podman");
    said(&[image_root], "its root is an image");
    said(&[disk_root, ("/proc/self/uid_map", "0 100000 65536\n")], "user namespace");
    assert_eq!(
        container(&[disk_root, ("/.dockerenv", ""), ("/proc/self/uid_map", "0 0 4294967295\n")]),
        None
    );
}

#[test]
fn interrupts_are_counted_by_cpu() {
    let text = "           CPU0       CPU2\n  1:          0          0  IO-APIC  1-edge  nobody\n\
                36:          5   14201066 PCI-MSIX-0000:00:02.0   1-edge      virtio1-req.0\nNMI:  7  9  Non-maskable\n";
    let found = read(&host("/d", &[("/proc/interrupts", text), ("/proc/irq/36/smp_affinity_list", "0-2")]))
        .interrupts;
    let [one] = &found[..] else { panic!("{found:?}") };
    assert_eq!((one.number, one.count, one.cpus.clone()), (36, 14_201_071, vec![(0, 5), (2, 14_201_066)]));
    assert_eq!((one.device.as_str(), one.may.len()), ("PCI-MSIX-0000:00:02.0 1-edge virtio1-req.0", 3));
}
