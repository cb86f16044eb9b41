//! What the ledger and its histograms cost: nanoseconds of each request, and what share that is of the time that the request takes on the server, and of the time that its client waits.
//!
//! ```text
//! cargo run --release -p perf --example ledger
//! ```
//!
//! 1. A node of one core serves GetItem and PutItem over loopback, one request after the other; its book says how long each took on the server.
//! 2. On the same core, the same words that such a request says to its ledger are said a million times: begin, marks, one poll as the present ledger, and
//!    the entry into the book. Nothing else is in that loop.
//!
//! The sketch: ten readings of the time-stamp counter (10 ns each here, 20 to 25 under some hypervisors), as many additions, nine histogram entries of a few instructions
//! each: 150 to 250 ns.

use std::hint::black_box;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;

use meter::book::Book;
use meter::ledger::{self, Ledger, mark};
use meter::stage::{Operation, Stage};
use model::map::Map;
use model::ring::ShardId;
use net::fabric::Fabric;
use net::map::MapCell;
use net::mesh::{Mesh, MeshOptions};
use router::{Router, RouterOptions};
use runtime::real::{RealOptions, RealRuntime, check_port_free};
use runtime::{Class, Runtime, Stream, Task};
use shard::{Shard, ShardOptions, node};

const REQUESTS: u64 = 20_000;
const TURNS: u64 = 1_000_000;

/// What is asked of the table, by operation.
const ASKED: [(Operation, &str); 2] = [
    (Operation::PutItem, r#"{"TableName":"things","Item":{"id":{"S":"a thing"},"what":{"S":"WHAT"}}}"#),
    (Operation::GetItem, r#"{"TableName":"things","Key":{"id":{"S":"a thing"}},"ConsistentRead":true}"#),
];

fn main() {
    let temporary = tempfile::tempdir().expect("a directory");
    let data = temporary.path().to_path_buf();
    runtime::real::run(RealOptions::new(vec![0], &data), move |rt| {
        let data = data.clone();
        async move { measure(rt, &data).await }
    })
    .expect("a core");
}

async fn measure(rt: RealRuntime, data: &std::path::Path) {
    let address = check_port_free(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let router = serve(&rt, data, address).await;
    let stream = rt.connect(address).await.expect("it listens");
    let table = r#"{"TableName":"things","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],
        "KeySchema":[{"AttributeName":"id","KeyType":"HASH"}]}"#;
    call(&stream, "CreateTable", table).await;
    // It is ACTIVE right after; until then the first requests are refused, and are in the book of what failed.
    while !call(&stream, "GetItem", ASKED[1].1).await.starts_with("HTTP/1.1 200 ") {}
    println!(
        "{:<10} {:>12} {:>12} {:>8} {:>12} {:>8}",
        "operation", "ledger (ns)", "server (ns)", "share", "client (ns)", "share"
    );
    for (operation, body) in ASKED {
        let body = body.replace("WHAT", &"x".repeat(1000));
        let (before, begin) = (sums(router.book(), operation), rt.ticks());
        for _ in 0..REQUESTS {
            call(&stream, operation.name(), &body).await;
        }
        let client = rt.ticks().since(begin).as_nanos() as f64 / REQUESTS as f64;
        let after = sums(router.book(), operation);
        let server = (after.1 - before.1) as f64 / (after.0 - before.0) as f64;
        let ledger = ledger_cost(&rt, operation).await;
        println!(
            "{:<10} {ledger:>12.0} {server:>12.0} {:>6.2} % {client:>12.0} {:>6.2} %",
            operation.name(),
            ledger / server * 100.0,
            ledger / client * 100.0
        );
    }
}

fn sums(book: &Book, wanted: Operation) -> (u64, u64) {
    let mut sums = (0, 0);
    book.visit(|operation, whole, _| {
        if operation == wanted {
            sums = (whole.count(), whole.sum());
        }
    });
    sums
}

/// Nanoseconds of one request's ledger.
async fn ledger_cost(rt: &RealRuntime, operation: Operation) -> f64 {
    const READ: &[Stage] = &[Stage::Route, Stage::Queue, Stage::Read, Stage::Evaluate];
    const WRITTEN: &[Stage] = &[
        Stage::Route,
        Stage::Queue,
        Stage::Latch,
        Stage::Evaluate,
        Stage::Append,
        Stage::Durable,
        Stage::Apply,
        Stage::Evaluate,
    ];
    let stages = if operation == Operation::GetItem { READ } else { WRITTEN };
    let (book, ledger) = (Book::default(), Rc::new(Ledger::default()));
    let begin = rt.ticks();
    for _ in 0..TURNS {
        ledger.begin(rt.ticks());
        let works = pin!(async {
            ledger::with_present(|ledger| ledger.set_operation(operation));
            ledger::with_present(|ledger| ledger.set_table(1));
            mark(rt, Stage::Parse);
            stages.iter().for_each(|stage| mark(rt, *stage));
        });
        ledger::under(&ledger, works).await;
        ledger.mark(rt.ticks(), Stage::Encode);
        ledger.mark(rt.ticks(), Stage::Send);
        book.close(black_box(&ledger), || rt.wall());
    }
    rt.ticks().since(begin).as_nanos() as f64 / TURNS as f64
}

async fn serve(rt: &RealRuntime, data: &std::path::Path, address: SocketAddr) -> Rc<Router<RealRuntime>> {
    let identity = node::open(rt, data, Some(1), 8).await.expect("an empty directory");
    let map = MapCell::new(Map::alone(identity.founding_ring()));
    let mesh = Mesh::new(rt.clone(), map.clone(), MeshOptions::default());
    let carrier = mesh.clone();
    rt.spawn(Class::Foreground, async move { carrier.run().await }).detach();
    let options = ShardOptions::new(data, identity, ShardId(0), 256 << 20);
    let shard = Shard::open(rt.clone(), options, mesh.clone()).await.expect("an empty directory");
    mesh.set_handler(shard.handler());
    rt.spawn(Class::Foreground, async move { shard.run().await.expect("a disk that works") }).detach();
    map.at_least(1).await;
    let router = Router::new(rt.clone(), RouterOptions::default(), Fabric::alone(mesh), map);
    let listener = rt.listen(address).await.expect("a free port");
    let serves = router.clone();
    rt.spawn(Class::Foreground, async move { serves.serve(listener).await }).detach();
    router
}

/// One request; the answer as it came.
async fn call<S: Stream>(stream: &S, operation: &str, body: &str) -> String {
    let request = format!(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-amz-json-1.0\r\nX-Amz-Target: DynamoDB_20120810.{operation}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("the server reads");
    let (mut answer, mut part) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let size = stream.read(&mut part).await.expect("the server answers");
        answer.extend_from_slice(&part[..size]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let size = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).expect("a size");
        if body.len() == size.parse().expect("a number") {
            return text.into_owned();
        }
    }
}
