use super::*;

#[test]
fn quota_is_read_as_the_kernel_writes_it() {
    let check = |text: &str, expected: Option<f64>| assert_eq!(parse_quota(text), expected, "{text:?}");
    check("max 100000\n", None);
    check("150000 100000\n", Some(1.5));
    check("200000 100000", Some(2.0));
    check("", None);
    check("0 0", None);
    check("nonsense", None);
}

#[test]
fn quota_rounds_up_and_never_below_one_core() {
    let check = |quota, expected: &[usize]| {
        let cpus = Cpus { allowed: vec![2, 3, 5, 7], quota };
        assert_eq!(cpus.usable(), expected);
    };
    check(None, &[2, 3, 5, 7]);
    check(Some(1.5), &[2, 3]);
    check(Some(0.1), &[2]);
    check(Some(64.0), &[2, 3, 5, 7]);
}

#[test]
fn this_process_has_a_core() {
    let cpus = read();
    assert!(!cpus.usable().is_empty());
    assert!(cpus.allowed.is_sorted());
}
