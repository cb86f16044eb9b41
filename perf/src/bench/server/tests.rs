//! A server that starts, one that does not speak, one that dies: shell scripts stand in for it.

use super::*;

/// Runs `script` as the server. `$1` is the data directory.
fn start(name: &str, script: &str) -> (anyhow::Result<Server>, PathBuf) {
    let dir = std::env::temp_dir().join(format!("torc-bench-test-{}-{name}", std::process::id()));
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(&dir);
    (Server::start_command(command, &dir), dir)
}

#[test]
fn a_server_that_ends_at_once_is_reported_and_cleaned_up() {
    let (failed, dir) = start("dies", "echo hello; exit 3");
    let error = format!("{:#}", failed.expect_err("it died"));
    assert!(error.contains("the server ended before it said"), "{error}");
    assert!(!dir.exists());
}

#[test]
fn a_server_that_says_nonsense_is_reported() {
    let (failed, dir) = start("nonsense", "echo listening http://nowhere; exec sleep 60");
    let error = format!("{:#}", failed.expect_err("it is nowhere"));
    assert!(error.contains("the server listens on `nowhere`"), "{error}");
    assert!(!dir.exists(), "and the process is gone: the test would wait a minute");
}

#[test]
fn a_server_that_does_not_listen_is_reported() {
    let (failed, _) = start("deaf", "echo listening http://127.0.0.1:1; exec sleep 60");
    let error = format!("{:#}", failed.expect_err("nobody listens on port 1"));
    assert!(error.contains("says that it listens on 127.0.0.1:1"), "{error}");
}

#[test]
fn an_executable_that_is_not_there_is_named() {
    let dir = std::env::temp_dir().join(format!("torc-bench-test-{}-none", std::process::id()));
    let error = Server::start(Path::new("/nonexistent/torc"), &dir).expect_err("it is not there");
    assert!(format!("{error:#}").contains("/nonexistent/torc"), "{error:#}");
    remove_dir(&dir).expect("the directory was made");
}

/// A listener of the test answers in the server's place.
#[test]
#[expect(clippy::disallowed_types, reason = "a blocking listener beside a blocking client")]
#[expect(clippy::disallowed_methods, reason = "a blocking listener beside a blocking client")]
fn a_server_that_answers_has_a_start_time_and_goes_with_its_directory() {
    for (status, good) in [("200 OK", true), ("503 Unavailable", false)] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let answer = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut request = [0; 1024];
            let count = stream.read(&mut request).expect("a request");
            assert!(request[..count].starts_with(b"GET / HTTP/1.1\r\n"));
            stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).expect("an answer");
        });
        let script =
            format!("touch \"$1/data\"; echo hello; echo listening http://127.0.0.1:{port}; exec sleep 60");
        let (server, dir) = start(&format!("answers-{good}"), &script);
        answer.join().expect("it was asked");
        assert_eq!(server.is_ok(), good, "{server:?}");
        if let Ok(server) = server {
            assert_eq!(server.address.port(), port);
            assert!(server.start > Duration::ZERO && server.start < START_MAX);
            assert!(dir.exists() && server.pid() > 0);
        }
        assert!(!dir.exists());
    }
}
