use super::*;

#[test]
fn a_real_directory_takes_durable_writes_and_keeps_no_trace() {
    let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let device = probe(directory.path()).unwrap_or_else(|missing| panic!("{missing}"));
    assert!(device.durable_write > Duration::ZERO);
    assert!(!device.file_system.is_empty());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn an_absent_directory_is_named() {
    let missing = probe(Path::new("/nonexistent/torc")).unwrap_err();
    assert!(missing.what.contains("/nonexistent/torc"), "{missing}");
}

#[test]
fn each_refusal_has_its_advice() {
    let check = |code: i32, part: &str| {
        let missing = explain(Path::new("/data"), &io::Error::from_raw_os_error(code));
        assert!(missing.advice.contains(part), "{missing}");
    };
    check(libc::EINVAL, "direct I/O");
    check(libc::ENOSPC, "space");
    check(libc::EROFS, "right to write");
    check(libc::EIO, "dmesg");
}
