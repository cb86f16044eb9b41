//! The whole of it on real cores and real sockets: short, and only what does not depend on how fast they are.

use std::net::SocketAddr;
use std::sync::mpsc;

use perf::bench::{Report, run};
use runtime::real::{RealOptions, Stopper};
use runtime::sync::select;
use runtime::{Listener, Runtime};

use crate::fake::{Behaviour, Fake};
use crate::generator::options;

/// A fake server on a core of its own, until it is dropped.
struct Served {
    address: SocketAddr,
    stopper: Stopper,
    thread: Option<std::thread::JoinHandle<()>>,
    _dir: tempfile::TempDir,
}

impl Served {
    #[expect(clippy::disallowed_methods, reason = "the server's executors block their caller")]
    fn new() -> Served {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on a real disk");
        let options = RealOptions::new(vec![0], dir.path());
        let stopper = options.stopper.clone();
        let (sender, receiver) = mpsc::channel();
        let serve = move |rt: runtime::real::RealRuntime| {
            let sender = sender.clone();
            async move {
                let listener = rt.listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a free port");
                sender.send(listener.local_address()).expect("the test waits for it");
                let served = Fake::new(Behaviour::default()).serve(rt.clone(), listener);
                select(rt.stopped(), served).await;
            }
        };
        let thread =
            std::thread::spawn(move || runtime::real::run(options, serve).expect("a core that starts"));
        let address = receiver.recv().expect("the server starts");
        Served { address, stopper, thread: Some(thread), _dir: dir }
    }

    /// A run against it.
    fn run(&self, arguments: &str) -> anyhow::Result<Report> {
        let scratch = env!("CARGO_TARGET_TMPDIR");
        let line = format!(
            "--endpoint http://{} --quiet --limits 0s --data-dir {scratch} {arguments}",
            self.address
        );
        run(options(&line))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stopper.stop();
        self.thread.take().expect("dropped once").join().expect("the server ends well");
    }
}

#[test]
fn runs_on_real_cores_count_and_verify_and_clean_up() {
    let served = Served::new();
    let json =
        std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("report-{}.json", std::process::id()));
    let arguments =
        "--workload mixed --keys 200 --requests 600 --connections 4 --warmup 0s --verify --item-bytes 300";
    let report = served.run(&format!("{arguments} --json {}", json.display())).expect("a run");
    let measurement = &report.measurements[0];
    assert_eq!(measurement.operations.iter().map(|operation| operation.ok).sum::<u64>(), 600);
    let verified = measurement.verify.as_ref().expect("it was asked for");
    assert!(verified.checked >= 200 && verified.wrong == 0, "{verified:?}");
    let written = read(&json);
    assert_eq!(serde_json::from_str::<Report>(&written).expect("the report's own shape"), report);

    // The table is gone: the same run goes again, in open loop.
    let report = served.run(&format!("{arguments} --rate 3000 --spacing poisson")).expect("another run");
    assert_eq!(report.measurements[0].operations.iter().map(|operation| operation.ok).sum::<u64>(), 600);
    assert_eq!(report.measurements[0].rate, Some(3000.0));
}

#[test]
fn the_suite_measures_all_of_its_figures() {
    let served = Served::new();
    let own_process = std::process::id();
    let arguments =
        "--suite readme --duration 100ms --warmup 0s --preload 50 --suite-items 300 --item-bytes 200";
    let report = served.run(&format!("{arguments} --server-pid {own_process}")).expect("a suite");
    let names: Vec<&str> = report.measurements.iter().map(|measurement| measurement.name.as_str()).collect();
    let figures = ["put, 1 connection", "put, 64 connections", "get, 1 connection", "get, 64 connections"];
    assert_eq!(names, [&figures[..], &["load 300 items", "get among 300, 64 connections"]].concat());
    let load = &report.measurements[4].operations[0];
    assert_eq!((load.operation.as_str(), load.items), ("BatchWriteItem", 300));
    assert_eq!(report.limits.len(), 8);
    assert!(report.limits.iter().all(|limit| limit.per_second > 0.0), "{:?}", report.limits);
    let when: Vec<&str> = report.memory.iter().map(|memory| memory.when.as_str()).collect();
    assert_eq!(when, ["idle", "300 items of 200 bytes"]);
    assert_eq!(report.start_ms, None, "the server had been there before");
    let markdown = report.to_markdown();
    assert!(markdown.contains("put, 1 connection: PutItem p50 over its limit"), "{markdown}");
}

#[test]
fn a_server_that_is_not_there_is_said_at_once() {
    let line = format!("--endpoint http://127.0.0.1:1 --quiet --data-dir {}", env!("CARGO_TARGET_TMPDIR"));
    let error = run(options(&line)).expect_err("nobody listens on port 1").to_string();
    assert!(error.contains("nothing answers at http://127.0.0.1:1"), "{error}");
    assert!(error.contains("cargo run --release"), "{error}");
}

#[expect(clippy::disallowed_methods, reason = "the report was written by hand, too")]
fn read(path: &std::path::Path) -> String {
    let text = std::fs::read_to_string(path).expect("the report was written");
    std::fs::remove_file(path).expect("it is ours");
    text
}
