use super::*;

#[test]
fn io_uring_answers_or_says_what_to_do() {
    // Where these tests run, torc itself runs: the ring has to be there.
    try_io_uring().expect("io_uring works on the machine that tests torc");
}

#[test]
fn each_refusal_has_its_advice() {
    let check = |code: i32, part: &str| {
        let missing = explain(&std::io::Error::from_raw_os_error(code));
        assert!(missing.advice.contains(part), "{missing}");
    };
    check(libc::EPERM, "io_uring_disabled");
    check(libc::ENOSYS, "5.11");
    check(libc::ENOMEM, "LimitMEMLOCK");
    check(libc::EIO, "io_uring_setup(2)");
}

#[test]
fn the_host_has_a_name() {
    assert!(!release().is_empty());
    assert!(!cpu_model().is_empty());
}
