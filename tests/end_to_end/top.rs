//! What a process tells of itself while it works: `/metrics`, `torc top`, slow requests in `torc ctl slow`.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use serde_json::Value as Json;

use crate::server::{Server, create_table, data_directory, s};

/// A busy machine may take long to have a slow request, and to look at it.
const PATIENCE: Duration = Duration::from_secs(60);

fn torc(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_torc")).args(arguments).output().unwrap()
}

#[track_caller]
fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Runs torc with these arguments while a client writes and reads.
async fn torc_under_load(client: &Client, arguments: &[&str]) -> Output {
    let done = Arc::new(AtomicBool::new(false));
    let (load, enough) = (client.clone(), done.clone());
    let load = tokio::spawn(async move {
        for number in 0.. {
            let key = s(format!("thing {}", number % 10));
            load.put_item().table_name("things").item("p", key.clone()).send().await.unwrap();
            load.get_item().table_name("things").key("p", key).send().await.unwrap();
            if enough.load(Ordering::Relaxed) {
                return;
            }
        }
    });
    let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
    let runs = move || torc(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let output = tokio::task::spawn_blocking(runs).await.unwrap();
    done.store(true, Ordering::Relaxed);
    load.await.unwrap();
    output
}

fn server(data: &std::path::Path) -> (Server, String) {
    let server = Server::start_with(data, &["--http", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]);
    let banner = server.banner();
    let metrics = banner.lines().find_map(|line| line.trim().strip_prefix("metrics  http://"));
    let at = metrics.expect("the banner names it").strip_suffix("/metrics").unwrap().to_owned();
    (server, at)
}

#[tokio::test(flavor = "multi_thread")]
async fn top_shows_what_is_done() {
    let data = data_directory();
    let (server, at) = server(data.path());
    let client = server.client();
    create_table(&client, "things", None).await;
    let text = said(&torc_under_load(&client, &["top", "--once", "--at", &at, "--interval", "0.5"]).await);
    let line = |start: &str| {
        let wanted = |line: &&str| line.trim_start_matches(['│', ' ']).starts_with(start);
        text.lines().find(wanted).unwrap_or_else(|| panic!("no {start} in\n{text}"))
    };
    for start in [at.as_str(), "PutItem", "GetItem", "durable", "read", "compaction", "disk"] {
        line(start);
    }
    let requests = line("PutItem").split_whitespace().nth(1).unwrap().trim_start_matches("PutItem");
    assert!(requests.parse::<f64>().unwrap() > 0.0, "{text}");

    let json = said(&torc_under_load(&client, &["top", "--json", "--at", &at, "--interval", "0.5"]).await);
    let view: Json = serde_json::from_str(&json).unwrap();
    assert!(view["seconds"].as_f64().unwrap() >= 0.5, "{view:#}");
    let operations = view["operations"].as_array().unwrap();
    for operation in ["PutItem", "GetItem"] {
        let done = operations.iter().find(|done| done["operation"] == operation).unwrap();
        assert!(done["requests"].as_f64().unwrap() > 0.0, "{done:#}");
        let times = ["p50_us", "p99_us", "p999_us"].map(|name| done[name].as_f64().unwrap());
        assert!(0.0 < times[0] && times[0] <= times[1] && times[1] <= times[2], "{done:#}");
        assert_eq!(done["stages_us"]["durable"].is_number(), operation == "PutItem", "{done:#}");
    }
    let sum = |list: &str, figure: &str| {
        view[list].as_array().unwrap().iter().map(|one| one[figure].as_f64().unwrap()).sum::<f64>()
    };
    let all: f64 = operations.iter().map(|done| done["requests"].as_f64().unwrap()).sum();
    assert!((sum("shards", "requests") - all).abs() < 1e-6 * all, "{view:#}");
    assert!(sum("vnodes", "reads") > 0.0 && sum("vnodes", "writes") > 0.0, "{view:#}");
    assert!(
        view["disk"]["writes"].as_f64().unwrap() > 0.0 && view["disk"]["free_bytes"].as_f64().unwrap() > 0.0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_requests_are_told_with_where_their_time_went() {
    let data = data_directory();
    let (server, at) = server(data.path());
    let client = server.client();
    create_table(&client, "things", None).await;
    let deadline = Instant::now() + PATIENCE;
    let slow = loop {
        let json = said(&torc_under_load(&client, &["ctl", "slow", "--at", &at, "--json"]).await);
        let slow: Vec<Json> = serde_json::from_str(&json).unwrap();
        if !slow.is_empty() {
            break slow;
        }
        assert!(Instant::now() < deadline, "nothing was slow");
    };
    for one in &slow {
        let stages = one["stages"].as_object().unwrap();
        let sum: u64 = stages.values().map(|nanos| nanos.as_u64().unwrap()).sum();
        assert_eq!(Some(sum), one["nanoseconds"].as_u64(), "{one:#}");
        assert!(one["nanoseconds"].as_u64() > one["limit_nanoseconds"].as_u64(), "{one:#}");
    }
    let text = said(&torc(&["ctl", "slow", "--at", &at, "--limit", "1"]));
    assert_eq!(text.lines().count(), 2, "{text}");
    // The API's own address tells who asks from here, too.
    assert!(said(&torc(&["ctl", "slow", "--at", server.address()])).starts_with("  TOTAL (us)"));
}

#[test]
fn who_has_no_metrics_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let answers = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]).unwrap();
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    let refused = torc(&["top", "--once", "--at", &at]);
    answers.join().unwrap();
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && why.contains(&at) && why.contains("--metrics"), "{why}");
    // Now nobody listens there.
    let refused = torc(&["top", "--json", "--at", &at]);
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && why.contains("nobody answers"), "{why}");
    // And a terminal is wanted for more than one look.
    let refused = torc(&["top", "--at", &at]);
    assert!(String::from_utf8(refused.stderr).unwrap().contains("--once"));
}
