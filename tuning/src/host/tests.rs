use super::*;

const TEXT: &str = "torc host 1\ndata-dir /data\n# a remark\n== /a/b\n|one\n|\n|two\n== /a/link -> /real/dir\n== /real/dir/file\n|42\n\
                    == /a/names/ y x\n== /a/names/z/q\n|1\n== /secret denied\n";

#[test]
fn a_recording_answers_as_the_host_did() {
    let host = Host::recorded(Recording::parse(TEXT).unwrap());
    assert_eq!(host.data_dir(), "/data");
    assert_eq!(host.read("/a/b"), Ok("one\n\ntwo\n".to_owned()));
    assert_eq!(host.number::<u32>("/a/link/file"), Some(42), "through a link in the middle");
    assert_eq!(host.real("/a/link"), Some("/real/dir".to_owned()));
    assert_eq!(host.list("/a/names"), ["x", "y", "z"], "listed, and named by what is below");
    assert_eq!(host.read("/secret"), Err(Unseen::Denied));
    assert_eq!(host.read("/absent"), Err(Unseen::Absent));
    assert_eq!((host.has("/a"), host.has("/absent"), host.real("/absent")), (true, false, None));
    assert_eq!(host.denied(), ["/secret"]);
    assert!(!host.is_here());
}

#[test]
fn what_is_written_is_read_again() {
    let recording = Recording::parse(TEXT).unwrap();
    assert_eq!(Recording::parse(&recording.to_string()).unwrap(), recording);
}

#[test]
fn what_is_no_recording_is_refused_with_its_line() {
    let check = |text: &str, words: &str| {
        let error = Recording::parse(text).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    check("", "line 1");
    check("torc host 2\n", "line 1");
    check("torc host 1\n", "data-dir");
    check("torc host 1\ndata-dir relative\n", "absolute");
    check("torc host 1\ndata-dir /d\nnonsense\n", "line 3");
    check("torc host 1\ndata-dir /d\n|text\n", "content of no file");
}

#[test]
fn links_that_go_in_circles_lead_nowhere() {
    let text = "torc host 1\ndata-dir /d\n== /a -> /b\n== /b -> /a\n";
    assert_eq!(Host::recorded(Recording::parse(text).unwrap()).real("/a"), None);
}

#[test]
fn a_root_is_never_left() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("proc/sub")).unwrap();
    std::fs::write(dir.path().join("proc/x"), "7\n").unwrap();
    let host = Host::under(dir.path(), Path::new("/data"));
    assert_eq!(host.number::<u32>("/proc/x"), Some(7));
    assert_eq!(host.number::<u32>("/../../proc/x"), Some(7), "parts that lead up are no parts");
    assert_eq!(host.list("/proc"), ["sub", "x"]);
    assert_eq!(host.real("/proc/x"), Some("/proc/x".to_owned()));
    assert_eq!(host.read("/proc/sub"), Err(Unseen::Absent), "a directory is no file");
}
