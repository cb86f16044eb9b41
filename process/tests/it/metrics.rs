//! `/metrics` and `/slow`: what is told, read strictly, and held against what was done.

use std::net::SocketAddr;
use std::path::Path;

use meter::text::{Family, parse};
use process::node::Core;
use router::Scheme;
use runtime::Runtime;
use runtime::real::{RealOptions, RealRuntime};
use shard::node;

use crate::client::Client;
use crate::ledger::core_options;

/// The sum of a family's samples that have these labels.
fn of(families: &[Family], name: &str, labels: &[(&str, &str)]) -> f64 {
    let is_meant = |sample: &&meter::text::Sample| {
        sample.name == name && labels.iter().all(|(label, value)| sample.label(label) == *value)
    };
    families.iter().flat_map(|family| &family.samples).filter(is_meant).map(|sample| sample.value).sum()
}

#[test]
fn what_is_done_is_counted() {
    let temporary = tempfile::tempdir().expect("a directory");
    let data = temporary.path().to_path_buf();
    runtime::real::run(RealOptions::new(vec![0], &data), move |rt| {
        let data = data.clone();
        async move { count(rt, &data).await }
    })
    .expect("a core");
}

async fn count(rt: RealRuntime, data: &Path) {
    let identity = node::open(&rt, data, Some(1), 8).await.expect("an empty directory");
    let mut core = Core::open(&rt, core_options(data, identity, rt.core())).await.expect("it opens");
    let free = || runtime::real::check_port_free(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let (api, inside) = (free(), free());
    core.serve(&[(Scheme::Http, api), (Scheme::Metrics, inside)]).await.expect("free ports");
    let mut client = Client::connect(&rt, api).await;
    client.create_table(&rt).await;
    let mut asks = Client::connect(&rt, inside).await;
    let before = figures(&mut asks).await;
    for index in 0..10 {
        let thing = format!(r#"{{"TableName":"things","Item":{{"id":{{"S":"thing {index}"}}}}}}"#);
        client.call("PutItem", &thing).await;
    }
    for index in 0..7 {
        let thing = format!(r#"{{"TableName":"things","Key":{{"id":{{"S":"thing {index}"}}}}}}"#);
        client.call("GetItem", &thing).await;
    }
    client.call("GetItem", r#"{"TableName":"nothings","Key":{"id":{"S":"x"}}}"#).await;
    let after = figures(&mut asks).await;
    let moved = |name: &str, labels: &[(&str, &str)]| of(&after, name, labels) - of(&before, name, labels);
    let (put, get) = (("operation", "PutItem"), ("operation", "GetItem"));
    let (things, shard) = (("table", "things"), ("shard", "0"));
    for (name, labels, expected) in [
        ("torc_requests_total", vec![put, shard], 10.0),
        ("torc_requests_total", vec![get, shard], 8.0),
        ("torc_requests_total", vec![], 18.0),
        ("torc_request_seconds_count", vec![put], 10.0),
        ("torc_request_stage_seconds_count", vec![put, ("stage", "durable")], 10.0),
        ("torc_request_stage_seconds_count", vec![get, ("stage", "durable")], 0.0),
        ("torc_request_stage_seconds_count", vec![get, ("stage", "read")], 7.0),
        ("torc_request_stage_seconds_count", vec![get, ("stage", "send")], 8.0),
        ("torc_table_requests_total", vec![put, things], 10.0),
        ("torc_table_requests_total", vec![get, things], 7.0),
        ("torc_request_errors_total", vec![get, ("code", "ResourceNotFoundException")], 1.0),
        ("torc_request_errors_total", vec![], 1.0),
        ("torc_requests_throttled_total", vec![], 0.0),
        ("torc_vnode_requests_total", vec![("kind", "write")], 10.0),
        ("torc_vnode_requests_total", vec![("kind", "read")], 7.0),
        ("torc_log_records_total", vec![], 10.0),
    ] {
        assert_eq!(moved(name, &labels), expected, "{name} {labels:?}");
    }
    assert!(moved("torc_ring_operations_total", &[("kind", "write")]) >= 1.0, "writes went through the ring");
    assert_eq!(of(&after, "torc_http_connections", &[]), 2.0);
    check_addresses(&rt, &mut client, &mut asks).await;
    core.stop(&std::sync::atomic::AtomicUsize::new(0)).await.expect("it closes");
}

async fn figures(client: &mut Client<RealRuntime>) -> Vec<Family> {
    let answer = client.get("/metrics").await;
    assert!(
        answer.head.contains("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        "{}",
        answer.head
    );
    parse(&answer.body).expect("Prometheus' text format")
}

/// Metrics have an address without an API; the API's address has metrics for who asks from here.
async fn check_addresses(rt: &RealRuntime, api: &mut Client<RealRuntime>, inside: &mut Client<RealRuntime>) {
    let requests = |told: &[Family]| of(told, "torc_requests_total", &[]);
    assert_eq!(requests(&figures(api).await), requests(&figures(api).await), "asking is no work");
    assert_eq!(inside.get("/slow").await.body.chars().next(), Some('['));
    assert!(inside.get("/").await.head.starts_with("HTTP/1.1 404 "));
    let refused = inside.call("ListTables", "{}").await;
    assert!(refused.head.starts_with("HTTP/1.1 404 "), "no API here");
    assert_eq!(rt.core_count(), 1);
}

#[test]
fn the_dashboard_asks_for_what_there_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| read(&root.join(path));
    let (dashboard, told) = (read("docs/grafana.json"), read("process/src/metrics.rs"));
    let mut asked = 0;
    for expression in dashboard.split("\"expr\": \"").skip(1) {
        let expression = expression.split("\",\n").next().expect("an end");
        for word in expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            if word.starts_with("torc_") {
                let name =
                    ["_bucket", "_sum", "_count"].iter().fold(word, |word, end| word.trim_end_matches(end));
                assert!(told.contains(&format!("\"{name}\"")), "{name} of {expression} is not told");
                asked += 1;
            }
        }
    }
    assert!(asked >= 20, "{asked} names in the dashboard");
}

#[expect(clippy::disallowed_methods, reason = "reads the sources, on the build's machine")]
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("it is there")
}
