use super::*;

#[test]
fn only_what_lies_in_proc_and_sys_is_written() {
    let check = |path: &str, may: bool| assert_eq!(is_writable(path), may, "{path}");
    check("/proc/sys/vm/swappiness", true);
    check("/sys/block/sda/queue/scheduler", true);
    check("/etc/passwd", false);
    check("/sys/../etc/passwd", false);
    check("/system", false);
    check("sys/block", false);
}

#[test]
fn masks_are_the_same_with_more_zeros() {
    let check = |path: &str, one: &str, other: &str, expected| {
        assert_eq!(same(path, one, other), expected, "{one} {other}")
    };
    check("/sys/class/net/eth0/queues/rx-0/rps_cpus", "f", "00000000,0000000f", true);
    check("/sys/class/net/eth0/queues/rx-0/rps_cpus", "1,00000000", "00000001,00000000", true);
    check("/sys/class/net/eth0/queues/rx-0/rps_cpus", "f", "1f", false);
    check("/proc/sys/vm/swappiness", "01", "1", false);
}

#[test]
fn commands_say_both_ways() {
    let write = Write {
        check: "swap".to_owned(),
        path: "/proc/sys/vm/swappiness".to_owned(),
        old: "60".to_owned(),
        value: "1".to_owned(),
    };
    assert_eq!(write.command(), "echo 1 > /proc/sys/vm/swappiness");
    assert_eq!(write.undo_command(), "echo 60 > /proc/sys/vm/swappiness");
}
