use super::*;

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
