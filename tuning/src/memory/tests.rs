use super::*;

#[test]
fn kib_lines_become_bytes() {
    let text = "MemTotal:       24576000 kB\nMemFree:  12 kB\nOdd: x kB\n";
    let check = |name: &str, expected: Option<u64>| assert_eq!(parse_kib(text, name), expected, "{name}");
    check("MemTotal:", Some(24_576_000 * 1024));
    check("MemFree:", Some(12 * 1024));
    check("Odd:", None);
    check("Absent:", None);
}

#[test]
fn the_smaller_limit_counts() {
    let check = |limit_bytes, expected| {
        assert_eq!(Memory { total_bytes: 100, limit_bytes }.usable_bytes(), expected);
    };
    check(None, 100);
    check(Some(40), 40);
    check(Some(400), 100);
}

#[test]
fn this_machine_has_some() {
    assert!(read().usable_bytes() > 1 << 20);
}
