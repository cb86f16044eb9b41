//! Start, banner, configuration, refusals, clean stop, damaged files.

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use crate::server::{
    ANY_PORT, Server, assert_refused, command, create_table, data_directory, lines_of, n, s,
};

/// A refusal to start that takes longer than this has failed.
const REFUSAL_TIME_MAX: Duration = Duration::from_secs(60);

#[test]
fn the_banner_says_where_everything_is() {
    let server = Server::start();
    let banner = server.banner();
    for part in [
        "torc",
        "listening http://127.0.0.1:",
        "data",
        "shards",
        "O_DIRECT",
        "O_DSYNC",
        "polled I/O",
        "aws dynamodb",
    ] {
        assert!(banner.contains(part), "no {part:?} in\n{banner}");
    }
    assert!(banner.contains(server.data().to_str().unwrap()), "{banner}");
}

/// `torc serve 2>&1 | head -1`, for one: nobody reads what it says.
#[test]
fn closed_pipes_stop_nothing_and_hide_no_signal() {
    let data = data_directory();
    let mut command = command(data.path(), ANY_PORT);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(out.any(|line| line.unwrap().starts_with("ready")), "it did not start");
    drop((out, child.stderr.take()));
    crate::server::send_signal(child.id(), "TERM");
    let deadline = Instant::now() + REFUSAL_TIME_MAX;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it did not stop");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(status.success(), "{status}");
    let mut told = crate::cluster::torc();
    told.args(["inspect", "verify"]).arg(data.path());
    let mut told = told.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((told.stdout.take(), told.stderr.take()));
    assert!(told.wait().unwrap().success(), "what is whole is whole, though nobody listens");
}

#[test]
fn ctrl_c_and_sigterm_stop_cleanly() {
    let server = Server::start();
    server.stop();
    let data = data_directory();
    let server = Server::start_in(data.path());
    crate::server::send_signal(server.pid(), "TERM");
    // The same directory is free again: a start on it proves that the first process let go.
    let deadline = Instant::now() + REFUSAL_TIME_MAX;
    while Path::new(&format!("/proc/{}/exe", server.pid())).exists() {
        assert!(Instant::now() < deadline, "SIGTERM did not stop it");
        std::thread::sleep(Duration::from_millis(5));
    }
    Server::start_in(data.path()).stop();
}

#[test]
fn a_second_process_on_the_same_data_is_refused() {
    let data = data_directory();
    let first = Server::start_in(data.path());
    let output = refused(command(data.path(), ANY_PORT));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("in use") && text.contains(&first.pid().to_string()), "{text}");
    first.stop();
}

#[test]
fn a_taken_port_is_named() {
    let first = Server::start();
    let data = data_directory();
    let output = refused(command(data.path(), &["--http", first.address()]));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains(first.address()), "{text}");
}

#[test]
fn a_data_directory_that_is_memory_is_refused() {
    let memory = tempfile::Builder::new().prefix("torc-test-").tempdir_in("/dev/shm").unwrap();
    let output = refused(command(memory.path(), ANY_PORT));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("tmpfs") && text.contains("ext4"), "{text}");
}

#[test]
fn a_public_address_needs_plain_words() {
    let data = data_directory();
    let output = refused(command(data.path(), &["--http", "0.0.0.0:0"]));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("--allow-public"), "{text}");
}

#[test]
fn the_configuration_file_has_the_same_keys() {
    let data = data_directory();
    let config = data.path().join("torc.toml");
    std::fs::write(&config, "shards = 1\nhttp = \"127.0.0.1:0\"\nmemory = \"256MiB\"\n").unwrap();
    let server = Server::start_with(&data.path().join("data"), &["--config", config.to_str().unwrap()]);
    assert!(server.banner().contains("1 on core"), "{}", server.banner());
    server.stop();

    std::fs::write(&config, "shard = 1\n").unwrap();
    let wrong = command(&data.path().join("data"), &["--config", config.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&refused(wrong).stderr).to_string();
    assert!(text.contains("shard") && text.contains("torc.toml"), "{text}");
}

#[tokio::test]
async fn another_shard_count_is_refused_and_nothing_is_lost() {
    let data = data_directory();
    let shards = |count| ["--shards", count, "--http", "127.0.0.1:0"];
    let server = Server::start_with(data.path(), &shards("2"));
    create_table(&server.client(), "tab", None).await;
    server.stop();
    let text = String::from_utf8_lossy(&refused(command(data.path(), &shards("1"))).stderr).to_string();
    assert!(text.contains("--shards 2"), "{text}");
    let server = Server::start_with(data.path(), &shards("2"));
    assert_eq!(server.client().list_tables().send().await.unwrap().table_names(), ["tab"]);
}

#[tokio::test]
async fn damaged_files_are_named_and_left_alone() {
    let data = data_directory();
    let server = Server::start_in(data.path());
    let client = server.client();
    create_table(&client, "tab", None).await;
    for number in 0..200 {
        let put = client
            .put_item()
            .table_name("tab")
            .item("p", s(format!("k{number}")))
            .item("v", s("x".repeat(2_000)));
        put.item("n", n(number)).send().await.unwrap();
    }
    server.stop();

    let mut damaged = 0;
    for file in files_below(data.path()) {
        let bytes = std::fs::read(&file).unwrap();
        if bytes.len() < 4096 {
            continue;
        }
        let copy = data_directory();
        let file = copy.path().join(copy_without(data.path(), copy.path(), &file));
        let name = file.file_name().unwrap().to_str().unwrap();
        // The first block of a file is a header, or data that a clean stop made durable.
        let mut bytes = bytes;
        bytes[100] ^= 0x40;
        std::fs::write(&file, &bytes).unwrap();
        if let Some(text) = refusal_to_start(command(copy.path(), ANY_PORT)) {
            damaged += 1;
            assert!(text.contains(name), "{name} is not named in {text}");
            assert!(text.contains("offset") || text.contains("byte"), "no offset in {text}");
            assert_eq!(std::fs::read(&file).unwrap(), bytes, "{name} was touched");
        }
    }
    assert!(damaged >= 2, "{damaged} damaged files were noticed at start");
    let server = Server::start_in(data.path());
    let counted = server.client().scan().table_name("tab").consistent_read(true).send().await.unwrap();
    assert_eq!(counted.count(), 200);
}

#[tokio::test]
async fn the_disk_reserve_is_as_large_as_one_says() {
    let data = data_directory();
    let server = Server::start_in(data.path());
    let client = server.client();
    create_table(&client, "tab", None).await;
    client.put_item().table_name("tab").item("p", s("before")).send().await.unwrap();
    server.stop();

    // No disk has that much to leave free.
    let server =
        Server::start_with(data.path(), &["--disk-reserve", "16000000GiB", ANY_PORT[0], ANY_PORT[1]]);
    let client = server.client();
    let put = client.put_item().table_name("tab").item("p", s("behind")).send().await;
    assert_refused(put, "ThrottlingException", "nearly full");
    let get = client.get_item().table_name("tab").key("p", s("before")).consistent_read(true);
    assert!(get.send().await.unwrap().item.is_some());
    client.delete_item().table_name("tab").key("p", s("before")).send().await.unwrap();
    server.stop();

    let server = Server::start_with(data.path(), &["--disk-reserve", "0", ANY_PORT[0], ANY_PORT[1]]);
    server.client().put_item().table_name("tab").item("p", s("behind")).send().await.unwrap();
}

#[test]
fn help_names_every_flag() {
    let output =
        std::process::Command::new(env!("CARGO_BIN_EXE_torc")).args(["serve", "--help"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    for flag in [
        "--data-dir",
        "--http",
        "--shards",
        "--memory",
        "--compression",
        "--disk-reserve",
        "--device-profile",
        "--config",
    ] {
        assert!(text.contains(flag), "{flag} is missing in\n{text}");
    }
}

/// Runs a command that must refuse to start, within a deadline.
pub fn refused(mut command: std::process::Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + REFUSAL_TIME_MAX;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("it did not refuse to start");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success());
    output
}

/// What it says on stderr if it refuses to start; `None` if it gets ready, and then it is killed.
fn refusal_to_start(mut command: std::process::Command) -> Option<String> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = lines_of(child.stdout.take().unwrap());
    loop {
        match lines.recv_timeout(REFUSAL_TIME_MAX) {
            Ok(line) if line.starts_with("ready") => {
                child.kill().unwrap();
                child.wait().unwrap();
                return None;
            }
            Ok(_) => {}
            Err(RecvTimeoutError::Disconnected) => {
                let output = child.wait_with_output().unwrap();
                assert!(!output.status.success());
                return Some(String::from_utf8_lossy(&output.stderr).to_string());
            }
            Err(RecvTimeoutError::Timeout) => {
                child.kill().unwrap();
                panic!("neither ready nor refused within {REFUSAL_TIME_MAX:?}");
            }
        }
    }
}

/// Copies all files below `from` but one to the same places below `to`; returns that one's place.
fn copy_without(from: &Path, to: &Path, left_out: &Path) -> PathBuf {
    for file in files_below(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        if file != left_out {
            std::fs::copy(&file, &target).unwrap();
        }
    }
    left_out.strip_prefix(from).unwrap().to_path_buf()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}
