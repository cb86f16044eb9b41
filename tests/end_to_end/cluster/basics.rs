//! Founding, serving, refusing.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::config::retry::RetryConfig;

use super::{Cluster, Process, torc};
use crate::process::refused;
use crate::server::{client_of, create_table, data_directory, n, s};

/// The tests of one node that are run against whatever `TORC_TEST_ENDPOINT` names: no word of them knows of clusters.
const SUITES: &[&str] = &["batches::", "conditions::", "items::", "queries::", "scans::", "updates::"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn torc_cluster_serves_and_goes_on_where_it_was() {
    let dir = data_directory();
    let start = || {
        let mut command = torc();
        command.args(["cluster", "--http", "127.0.0.1:0", "--vnodes", "24", "--memory", "96MiB", "--dir"]);
        command.arg(dir.path());
        let mut process = Process::spawn(command);
        let mut urls = Vec::new();
        while urls.len() < 3 {
            process.wait_for("listening");
            urls.push(process.url.clone());
        }
        process.wait_for("ready");
        (process, urls)
    };
    let (process, urls) = start();
    let clients: Vec<_> = urls.iter().map(|url| client_of(url, RetryConfig::disabled())).collect();
    create_table(&clients[0], "tab", None).await;
    for (number, client) in clients.iter().enumerate() {
        client.put_item().table_name("tab").item("p", s(format!("k{number}"))).send().await.unwrap();
    }
    for client in &clients {
        let all = client.scan().table_name("tab").consistent_read(true).send().await.unwrap();
        assert_eq!(all.count(), 3, "every node serves all");
    }
    process.stop();
    let (process, again) = start();
    assert_eq!(again, urls, "the same addresses");
    let client = client_of(&again[2], RetryConfig::disabled());
    assert_eq!(client.scan().table_name("tab").consistent_read(true).send().await.unwrap().count(), 3);
    process.stop();
}

#[test]
fn the_tests_of_one_node_pass_against_each_node_and_a_router() {
    let cluster = Cluster::start();
    let router = cluster.router();
    for url in cluster.urls().into_iter().chain([router.url.clone()]) {
        let mut tests = Command::new(std::env::current_exe().unwrap());
        tests.args(SUITES).args(["--test-threads", "1"]).env("TORC_TEST_ENDPOINT", &url);
        let output = tests.stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "against {url}:\n{text}");
        let passed = text.lines().filter(|line| line.ends_with("... ok")).count();
        assert!(passed >= 30, "only {passed} tests were run against {url}:\n{text}");
    }
    router.stop();
}

#[tokio::test]
async fn live_nodes_are_listed_by_zone_and_health_is_told() {
    let mut cluster = Cluster::start();
    let router = cluster.router();
    assert_eq!(ask(&router.url, "/localnodes"), "[\"127.0.0.1\"]", "each host once");
    assert_eq!(ask(&router.url, "/localnodes?rack=zone-2"), "[\"127.0.0.1\"]");
    assert_eq!(ask(&router.url, "/localnodes?rack=zone-9"), "[]");
    cluster.take(2).kill();
    let deadline = Instant::now() + Duration::from_secs(20);
    while ask(&router.url, "/localnodes?rack=zone-2") != "[]" {
        assert!(Instant::now() < deadline, "the dead node is still on the list");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(ask(&router.url, "/").starts_with("healthy"));
}

/// Two with one name are told apart by their directories; the second one has to choose another.
#[test]
fn a_second_node_of_the_same_name_is_refused() {
    let mut cluster = Cluster::start();
    cluster.add_as("node-1");
    let refusal = cluster.try_ctl(&["join", &cluster.listen(4).to_string()]).unwrap_err();
    assert!(refusal.contains("node-1") && refusal.contains("choose another name"), "{refusal}");
    cluster.assert_balanced(&[1, 2, 3]);
}

/// The body of a GET.
fn ask(url: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").expect("a head and a body").1.to_string()
}

#[test]
fn a_founding_that_was_cut_short_is_completed() {
    let mut cluster = Cluster::waiting(3);
    let away = cluster.take(3);
    away.kill();
    let refusal = cluster.found().unwrap_err();
    assert!(refusal.contains("torc node"), "{refusal}");
    let mut third = cluster.spawn(3);
    third.wait_for("waiting");
    cluster.nodes[2] = Some(third);
    cluster.found().unwrap();
    let again = cluster.found().unwrap();
    assert_eq!(again["nodes"].as_array().unwrap().len(), 3, "asking again changes nothing: {again}");
    let cluster = cluster.ready();
    cluster.assert_balanced(&[1, 2, 3]);
}

#[test]
fn strangers_are_refused_with_what_to_do() {
    let mut cluster = Cluster::start();
    let other = cluster.path().join("other-secret");
    std::fs::write(&other, "what nobody in this cluster has ever heard of\n").unwrap();
    let nodes = cluster.listen(1).to_string();
    let ask = |secret: Option<&str>| {
        let mut command = torc();
        command.args(["ctl", "status", "--nodes", &nodes]);
        if let Some(secret) = secret {
            command.args(["--secret-file", secret]);
        }
        String::from_utf8_lossy(&refused(command).stderr).to_string()
    };
    let wrong = ask(other.to_str());
    assert!(wrong.contains("different cluster secrets"), "{wrong}");
    let without = ask(None);
    assert!(without.contains("demands the cluster's secret"), "{without}");

    // Its directory belongs to a cluster: it does not serve alone.
    cluster.take(3).stop();
    let data = cluster.path().join("node-3");
    let text =
        String::from_utf8_lossy(&refused(crate::server::command(&data, crate::server::ANY_PORT)).stderr)
            .to_string();
    assert!(text.contains("torc node"), "{text}");

    // A node that is reached from elsewhere needs a secret.
    let mut open = torc();
    open.args([
        "node",
        "--listen",
        "0.0.0.0:0",
        "--advertise",
        "10.0.0.1",
        "--http",
        "127.0.0.1:0",
        "--data-dir",
    ]);
    open.arg(cluster.path().join("open"));
    let text = String::from_utf8_lossy(&refused(open).stderr).to_string();
    assert!(text.contains("torc ctl cluster secret"), "{text}");
}

#[tokio::test]
async fn a_disk_that_was_emptied_under_an_old_name_is_a_stranger() {
    let mut cluster = Cluster::start();
    let client = cluster.client(1);
    create_table(&client, "tab", None).await;
    client.put_item().table_name("tab").item("p", s("a")).item("n", n(1)).send().await.unwrap();
    cluster.take(3).kill();
    std::fs::remove_dir_all(cluster.path().join("node-3")).unwrap();
    let mut emptied = cluster.spawn(3);
    emptied.wait_for("waiting");
    cluster.nodes[2] = Some(emptied);
    cluster.wait_until_down(3);
    let refusal = cluster.try_ctl(&["join", &cluster.listen(3).to_string()]).unwrap_err();
    assert!(refusal.contains("node-3") && refusal.contains("remove"), "{refusal}");
    let got =
        client.get_item().table_name("tab").key("p", s("a")).consistent_read(true).send().await.unwrap();
    assert_eq!(got.item.unwrap()["n"], n(1));
}

/// The generator speaks to shards as a router does; what it wrote by one way is checked by reading it by the same one.
#[test]
fn the_load_generator_speaks_the_protocol_of_nodes() {
    let cluster = Cluster::start();
    let dir = data_directory();
    let bench = |endpoint: &str, native: &str, secret: &str| {
        let mut command = torc();
        command.args(["bench", "--endpoint", endpoint, "--native", native, "--secret-file"]);
        command.arg(cluster.path().join(secret)).arg("--json").arg(dir.path().join("report.json"));
        let words = "--workload a --keys 200 --item-bytes 300 --connections 4 --verify --warmup 200ms --duration 1s --limits 0s --quiet";
        command.args(words.split(' ')).stdin(Stdio::null()).output().unwrap()
    };
    // Any node finds the others.
    let done = bench(&cluster.node(1).url, &cluster.listen(2).to_string(), "secret");
    assert!(done.status.success(), "{done:?}");
    let report = std::fs::read(dir.path().join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let measured = &report["measurements"][0];
    assert!(measured["endpoint"].as_str().unwrap().contains("torc's own protocol"), "{measured}");
    assert!(measured["verify"]["checked"].as_u64().unwrap() > 100, "{measured}");
    assert_eq!(measured["verify"]["wrong"], 0, "{measured}");
    for operation in measured["operations"].as_array().unwrap() {
        assert!(operation["ok"].as_u64().unwrap() > 50, "{operation}");
        assert_eq!(operation["errors"], serde_json::json!({}), "{operation}");
    }

    let refusal = |done: std::process::Output| {
        assert!(!done.status.success(), "{done:?}");
        String::from_utf8_lossy(&done.stderr).to_string()
    };
    let http = cluster.node(1).url.clone();
    let said = refusal(bench(&http, http.trim_start_matches("http://"), "secret"));
    assert!(said.contains("nothing there speaks torc's own protocol"), "{said}");
    std::fs::write(cluster.path().join("another"), "what nobody here has agreed on, ever\n").unwrap();
    let said = refusal(bench(&http, &cluster.listen(1).to_string(), "another"));
    assert!(said.contains("--native"), "{said}");
}
