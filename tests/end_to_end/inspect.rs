//! `torc inspect` on directories that the real binary made: what it tells, and that it names every kind of damage.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use aws_sdk_dynamodb::types::ScalarAttributeType;
use serde_json::Value as Json;

use crate::server::{ANY_PORT, Server, create_table, data_directory, n, s};

const ITEMS: u32 = 300;

/// A directory with two shards whose items lie in SSTables, and in the log what was written after that; the process is gone.
async fn made() -> tempfile::TempDir {
    let temporary = data_directory();
    let two = ["--shards", "2", ANY_PORT[0], ANY_PORT[1]];
    let server = Server::start_with(temporary.path(), &two);
    let client = server.client();
    create_table(&client, "tab", Some(ScalarAttributeType::N)).await;
    for item in 0..ITEMS {
        put(&client, item).await;
    }
    server.stop();
    let server = Server::start_with(temporary.path(), &two);
    let client = server.client();
    for item in ITEMS..ITEMS + 60 {
        put(&client, item).await;
    }
    server.kill();
    temporary
}

async fn put(client: &aws_sdk_dynamodb::Client, item: u32) {
    let request =
        client.put_item().table_name("tab").item("p", s(format!("partition-{item}"))).item("s", n(item));
    request.item("text", s(format!("text of item {item}"))).send().await.unwrap();
}

fn inspect(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_torc")).arg("inspect").args(arguments).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What `verify --json` says, and its exit code.
fn verify(data: &Path) -> (Json, i32) {
    let output = inspect(&["verify", text(data), "--json"]);
    let said = serde_json::from_slice(&output.stdout);
    (said.unwrap_or_else(|_| panic!("no JSON: {output:?}")), output.status.code().unwrap())
}

/// Each line of `inspect --json`, an object.
fn lines(arguments: &[&str]) -> Vec<Json> {
    let output = inspect(&[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

fn of_kind<'a>(lines: &'a [Json], kind: &str) -> Vec<&'a Json> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn ending(folder: &Path, part: &str) -> PathBuf {
    let found = files(folder).into_iter().find(|path| text(path).contains(part));
    found.unwrap_or_else(|| panic!("no file with {part} in {}", folder.display()))
}

/// A copy of `data` that a test may damage.
fn copied(data: &Path) -> tempfile::TempDir {
    let copy = data_directory();
    for file in files(data) {
        let target = copy.path().join(file.strip_prefix(data).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(&file, &target).unwrap();
    }
    copy
}

fn flip(path: &Path, offset: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[offset] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

/// How the blocks in the SSTables of `data` are compressed.
fn compressions(data: &Path) -> std::collections::BTreeSet<String> {
    let all = lines(&[text(data), "--blocks"]);
    let blocks = of_kind(&all, "block");
    assert!(!blocks.is_empty(), "something was flushed");
    blocks.iter().map(|block| block["compression"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn blocks_are_compressed_as_the_start_says() {
    let data = data_directory();
    let one = |words| ["--shards", "1", "--compression", words, ANY_PORT[0], ANY_PORT[1]];
    let server = Server::start_with(data.path(), &one("none"));
    let client = server.client();
    create_table(&client, "tab", Some(ScalarAttributeType::N)).await;
    for item in 0..40 {
        put(&client, item).await;
    }
    server.stop();
    assert_eq!(compressions(data.path()), ["none".to_owned()].into());

    let server = Server::start_with(data.path(), &one("zstd,lz4"));
    let client = server.client();
    for item in 40..80 {
        put(&client, item).await;
    }
    server.stop();
    // What was flushed before stays as it was, and both can be read.
    assert_eq!(compressions(data.path()), ["none".to_owned(), "zstd".to_owned()].into());
    let server = Server::start_with(data.path(), &one("lz4"));
    assert_eq!(server.client().scan().table_name("tab").send().await.unwrap().count(), 80);
}

#[tokio::test]
async fn a_directory_is_told_down_to_the_items() {
    let data = made().await;
    let data = data.path();
    let before: Vec<_> =
        files(data).iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();

    let all = lines(&[text(data), "--blocks", "--entries", "--limit", "0"]);
    assert_eq!(of_kind(&all, "node")[0]["shards"], 2);
    assert_eq!(of_kind(&all, "shard").len(), 2);
    assert!(!of_kind(&all, "segment").is_empty() && !of_kind(&all, "batch").is_empty());
    let entries = of_kind(&all, "entry");
    let items: Vec<_> = entries.iter().filter(|entry| entry["key"]["table"] == "tab").collect();
    assert_eq!(items.len(), ITEMS as usize, "each item that was flushed");
    let one = items.iter().find(|entry| entry["key"]["sort"]["N"] == "7").expect("item 7");
    assert_eq!(one["key"]["partition"]["S"], "partition-7");
    assert_eq!(one["value"]["item"]["text"]["S"], "text of item 7");
    assert!(entries.iter().any(|entry| entry["key"]["catalog_table"] == "tab"));
    let in_log = of_kind(&all, "record");
    let put = in_log.iter().find(|record| record["command"]["effects"][0]["put"]["sort"]["N"] == "330");
    let put = put.expect("item 330 is in the log only");
    assert_eq!(put["command"]["effects"][0]["value"]["item"]["p"]["S"], "partition-330");
    assert!(of_kind(&all, "manifest").len() >= 2 && !of_kind(&all, "edit").is_empty());
    assert!(!of_kind(&all, "mark").is_empty() && !of_kind(&all, "level").is_empty());

    let table = ending(data, ".sst");
    let limited = lines(&[text(&table), "--entries", "--limit", "3"]);
    assert!(of_kind(&limited, "entry").len() <= 3 && of_kind(&limited, "sstable").len() == 1);
    let segment = PathBuf::from(put_path(&all, put));
    let stream = put["stream"].to_string();
    let index = put["index"].to_string();
    let one = lines(&[
        text(&segment),
        "--records",
        "--stream",
        &stream,
        "--from-index",
        &index,
        "--to-index",
        &index,
    ]);
    assert_eq!(of_kind(&one, "record").len(), 1, "{one:?}");
    let told = inspect(&[text(&table), "--blocks"]);
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(
        told.contains("sstable") && told.contains("data_blocks") && told.contains("compression"),
        "{told}"
    );

    let (said, code) = verify(data);
    assert_eq!((said["whole"].as_bool(), code), (Some(true), 0), "{said}");
    assert_eq!(said["shards"].as_array().unwrap().len(), 2);
    let summed = |part: &str, what: &str| -> u64 {
        said["shards"].as_array().unwrap().iter().map(|shard| shard[part][what].as_u64().unwrap()).sum()
    };
    assert!(summed("tree", "entries") >= u64::from(ITEMS) && summed("log", "records") >= 60);
    let after: Vec<_> = files(data).iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    assert!(before == after, "nothing was written");
}

/// The file that a record's line came from: the segment line before it.
fn put_path(all: &[Json], record: &Json) -> String {
    let at = all.iter().position(|line| line == record).unwrap();
    let segment = all[..at].iter().rev().find(|line| line["kind"] == "segment").unwrap();
    segment["path"].as_str().unwrap().to_owned()
}

/// Damages a copy, and checks that exactly this is named: a file, an offset in a range, a word of what is wrong.
fn check(data: &Path, damage: impl Fn(&Path) -> (PathBuf, std::ops::Range<u64>), word: &str) {
    let copy = copied(data);
    let (path, offsets) = damage(copy.path());
    let (said, code) = verify(copy.path());
    assert_eq!((said["whole"].as_bool(), code), (Some(false), 1), "{word}: {said}");
    let problems = said["problems"].as_array().unwrap();
    let named = problems.iter().find(|problem| {
        problem["path"] == text(&path)
            && offsets.contains(&problem["offset"].as_u64().unwrap())
            && problem["what"].as_str().unwrap().contains(word)
    });
    assert!(named.is_some(), "{word} at {offsets:?} of {}: {said}", path.display());
    let plain = inspect(&["verify", text(copy.path())]);
    let told = String::from_utf8(plain.stderr).unwrap();
    assert!(told.contains(text(&path)) && told.contains("what to do"), "{told}");
}

#[tokio::test]
async fn every_kind_of_damage_is_named() {
    let data = made().await;
    let data = data.path();
    let all = lines(&[text(data), "--entries", "--limit", "0"]);
    let record =
        of_kind(&all, "record").into_iter().find(|record| record["index"].as_u64() > Some(1)).unwrap();
    let (log, place) = (put_path(&all, record), record["offset"].as_u64().unwrap());
    let below = |copy: &Path, path: &str| copy.join(Path::new(path).strip_prefix(data).unwrap());
    let sst = text(&ending(data, ".sst")).to_owned();
    let manifest = text(&ending(data, "manifest-")).to_owned();
    let whole = std::fs::metadata(&sst).unwrap().len();

    check(data, |copy| (damaged(&below(copy, &sst), 20), 0..1), "checksum");
    check(data, |copy| (damaged(&below(copy, &sst), whole as usize - 100), whole - 4096..whole), "footer");
    check(
        data,
        |copy| {
            let path = below(copy, &sst);
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.set_len(whole - 4096).unwrap();
            (path, whole - 4096..whole)
        },
        "bytes",
    );
    check(
        data,
        |copy| {
            let path = below(copy, &sst);
            std::fs::remove_file(&path).unwrap();
            (path, 0..1)
        },
        "not there",
    );
    check(data, |copy| (damaged(&below(copy, &manifest), 600), 512..513), "checksum");
    check(data, |copy| (damaged(&below(copy, &log), place as usize + 45), place..place + 1), "checksum");
    check(
        data,
        |copy| {
            let path = copy.join("node");
            flip(&path, 30);
            (path, 0..1)
        },
        "checksum",
    );
    check(
        data,
        |copy| {
            let tree = copy.join("shard-001/tree");
            std::fs::remove_dir_all(&tree).unwrap();
            (tree, 0..1)
        },
        "no such directory",
    );
    check(
        data,
        |copy| {
            // A log of another shard under this one's name.
            let (ours, theirs) = (copy.join("shard-000/log"), copy.join("shard-001/log"));
            std::fs::remove_dir_all(&ours).unwrap();
            std::fs::rename(&theirs, &ours).unwrap();
            std::fs::create_dir(&theirs).unwrap();
            (ending(&ours, ".log"), 0..1)
        },
        "belongs to",
    );
}

fn damaged(path: &Path, offset: usize) -> PathBuf {
    flip(path, offset);
    path.to_path_buf()
}

#[tokio::test]
async fn what_nothing_names_is_an_orphan_and_no_damage() {
    let data = made().await;
    let data = data.path();
    let tree = data.join("shard-000/tree");
    std::fs::copy(ending(data, ".sst"), tree.join("00000000000000ff.sst")).unwrap();
    std::fs::write(tree.join("manifest-0000000000000009.tmp"), b"half").unwrap();
    std::fs::write(data.join("shard-000/log/notes.txt"), b"mine").unwrap();
    std::fs::write(data.join("README"), b"mine").unwrap();
    let (said, code) = verify(data);
    assert_eq!((said["whole"].as_bool(), code), (Some(true), 0), "{said}");
    let orphans = said["orphans"].as_array().unwrap();
    for name in ["00000000000000ff.sst", "manifest-0000000000000009.tmp", "notes.txt", "README"] {
        let named = orphans.iter().any(|orphan| orphan["path"].as_str().unwrap().ends_with(name));
        assert!(named, "{name} in {orphans:?}");
    }
}

#[tokio::test]
async fn a_directory_in_use_is_not_verified_and_what_is_no_data_is_said_so() {
    let server = Server::start();
    let output = inspect(&["verify", text(server.data())]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("in use") && told.contains(&server.pid().to_string()), "{told}");
    let looked = inspect(&[text(server.data())]);
    assert!(looked.status.success(), "to look is safe: {looked:?}");
    assert!(String::from_utf8_lossy(&looked.stderr).contains("serves this directory"));
    server.stop();

    let empty = data_directory();
    assert_eq!(inspect(&["verify", text(empty.path())]).status.code(), Some(1), "no node is there");
    assert_eq!(inspect(&[text(empty.path())]).status.code(), Some(2));
    assert_eq!(inspect(&["/not/there"]).status.code(), Some(2));
    let help = inspect(&["--help"]);
    let help = String::from_utf8(help.stdout).unwrap();
    for part in ["verify", "--json", "--blocks", "--entries", "--stream", "--limit", "Examples"] {
        assert!(help.contains(part), "{part} is missing in\n{help}");
    }
}
