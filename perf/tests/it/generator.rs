//! What is counted: every request, with the time that a user would have waited.

use std::rc::Rc;
use std::time::Duration;

use clap::Parser;
use perf::bench::generator::{Counted, measure, preload};
use perf::bench::options::{Options, Plan};
use perf::bench::progress::Counters;
use perf::bench::recorder::{Kind, Stats};
use perf::bench::report::Measurement;
use perf::bench::table;
use perf::bench::workload::Part;
use runtime::sim::{NodeId, World, WorldOptions};
use runtime::{CoreId, Runtime};

use crate::fake::{Behaviour, Fake};

#[derive(Parser)]
#[command(args_override_self = true)]
struct Line {
    #[command(flatten)]
    options: Options,
}

/// Options as a command line gives them; the last of two wins.
pub fn options(arguments: &str) -> Options {
    let words = std::iter::once("bench").chain(arguments.split_whitespace());
    Line::try_parse_from(words).expect("arguments that clap takes").options
}

/// A world with a server and a client in it.
pub struct Stage {
    pub world: World,
    pub server: NodeId,
    pub client: NodeId,
    pub fake: Fake,
}

impl Stage {
    pub fn new(seed: u64, options: WorldOptions, behaviour: Behaviour) -> Stage {
        let world = World::new(seed, options);
        let (server, client) = (world.node("server"), world.node("client"));
        let fake = Fake::new(behaviour);
        let address = world.address(server, 8000);
        world.start(server, 1, |rt| {
            let fake = fake.clone();
            async move {
                let listener = rt.listen(address).await.expect("a free port");
                fake.serve(rt, listener).await;
            }
        });
        Stage { world, server, client, fake }
    }

    pub fn plan(&self, arguments: &str) -> Plan {
        let endpoint = format!("--endpoint http://{}", self.world.address(self.server, 8000));
        let line = format!("bench {endpoint} --warmup 0s {arguments}");
        let options =
            Line::try_parse_from(line.split_whitespace()).expect("arguments that clap takes").options;
        Plan { seed: Some(options.seed.unwrap_or(7)), ..options.plan().expect("a plan") }
    }

    /// A whole run on one core.
    pub fn run(&self, arguments: &str) -> anyhow::Result<Counted> {
        let (rt, plan) = (self.world.runtime(self.client), self.plan(arguments));
        self.world.block_on(async {
            let counters = Counters::default();
            table::create(&rt, &plan).await?;
            preload(&rt, &plan, Part::WHOLE, &counters).await?;
            let counted = measure(&rt, &plan, Part::WHOLE, &counters).await?;
            if plan.remove {
                table::remove(&rt, &plan).await?;
            }
            Ok(counted)
        })
    }

    /// A run during which the server stands still, `after` so long, for `pause`.
    fn run_with_pause(&self, arguments: &str, after: Duration, pause: Duration) -> Counted {
        let (rt, plan) = (self.world.runtime(self.client), self.plan(arguments));
        let counters = Counters::default();
        self.world.block_on(async {
            table::create(&rt, &plan).await.expect("a table");
            let measured = measure(&rt, &plan, Part::WHOLE, &counters);
            let paused = async {
                self.world.sleep(after).await;
                self.world.pause(self.server);
                self.world.sleep(pause).await;
                self.world.resume(self.server);
            };
            let both = runtime::sync::join_all([
                Box::pin(async { Some(measured.await.expect("a measurement")) })
                    as std::pin::Pin<Box<dyn Future<Output = Option<Counted>>>>,
                Box::pin(async {
                    paused.await;
                    None
                }),
            ]);
            both.await.into_iter().flatten().next().expect("a measurement")
        })
    }
}

fn honest() -> Stage {
    Stage::new(1, WorldOptions::default(), Behaviour::default())
}

fn stats(counted: &Counted, kind: Kind) -> Stats {
    counted.recorder.kinds[&kind].clone()
}

fn millis(nanos: u64) -> u64 {
    nanos / 1_000_000
}

#[test]
fn every_put_is_counted_once_and_is_there() {
    let stage = honest();
    let counted = stage.run("--workload put --requests 500 --connections 8 --keep").expect("a run");
    let puts = stats(&counted, Kind::Put);
    assert_eq!((puts.ok, puts.items, puts.errors_total(), puts.response.len()), (500, 500, 0, 500));
    assert_eq!(stage.fake.state.borrow().items.len(), 500, "each key was new");
}

#[test]
fn a_closed_loop_asks_again_as_soon_as_it_has_its_answer() {
    let behaviour = Behaviour { delay: Duration::from_millis(10), ..Behaviour::default() };
    let stage = Stage::new(1, WorldOptions::default(), behaviour);
    let counted = stage.run("--workload get --preload 100 --connections 4 --duration 5s").expect("a run");
    let gets = stats(&counted, Kind::Get);
    // 10 ms and at most 0.6 ms on the way: 4 connections make 378 to 400 a second.
    assert!((1_850..2_000).contains(&gets.ok), "{}", gets.ok);
    assert!((10..12).contains(&millis(gets.response.value_at_quantile(0.99))));
}

#[test]
fn warm_up_is_not_counted() {
    let stage = honest();
    let plan = "--workload put --rate 100 --warmup 2s --duration 3s --connections 4";
    let counted = stage.run(plan).expect("a run");
    assert_eq!(stats(&counted, Kind::Put).ok, 300);
    assert_eq!(stage.fake.state.borrow().puts, 500);
}

#[test]
fn a_stall_is_charged_to_every_request_that_it_delays() {
    let (after, pause) = (Duration::from_secs(4), Duration::from_secs(1));
    let open = honest().run_with_pause("--workload put --rate 100 --connections 16", after, pause);
    let open = stats(&open, Kind::Put);
    assert_eq!((open.ok, open.errors_total()), (1000, 0));
    // 100 of 1000 requests were due during the stall and waited from 0 to 1 s: a tenth, evenly.
    for (quantile, expected) in [(0.95, 500), (0.99, 900), (0.999, 990)] {
        let found = millis(open.response.value_at_quantile(quantile));
        assert!(found.abs_diff(expected) <= 25, "{quantile}: {found} ms, expected {expected}");
    }
    assert!(millis(open.response.value_at_quantile(0.85)) < 5);
    // What was sent late was served quickly: only 16 connections stood in the stall itself.
    assert!(millis(open.service.value_at_quantile(0.98)) < 5);

    // The same stall in closed loop hides: it delays one request for each connection.
    let slower = Behaviour { delay: Duration::from_millis(2), ..Behaviour::default() };
    let closed = Stage::new(1, WorldOptions::default(), slower);
    let closed = closed.run_with_pause("--workload put --connections 16", after, pause);
    let closed = stats(&closed, Kind::Put);
    assert!(millis(closed.response.value_at_quantile(0.999)) < 5);
    assert!(millis(closed.response.max()) >= 990);
}

#[test]
fn poisson_requests_come_at_their_rate() {
    let counted =
        honest().run("--workload put --rate 500 --spacing poisson --connections 32").expect("a run");
    let ok = stats(&counted, Kind::Put).ok;
    assert!((4_700..5_300).contains(&ok), "{ok}");
}

#[test]
fn a_server_that_never_answers_again_is_charged_for_every_slot() {
    let stage = honest();
    let arguments = "--workload put --rate 100 --connections 4 --duration 5s --timeout 1s";
    let counted = stage.run_with_pause(arguments, Duration::from_secs(2), Duration::from_secs(3600));
    let puts = stats(&counted, Kind::Put);
    assert_eq!(puts.ok + puts.errors_total(), 500, "{:?}", puts.errors);
    assert_eq!(puts.response.len(), 500);
    assert!(puts.errors["NotSent"] > 200, "{:?}", puts.errors);
    assert!(puts.errors["Timeout"] >= 12, "{:?}", puts.errors);
    // The first that was not sent had been due soon after the stall began.
    assert!(millis(puts.response.max()) > 3000);
}

#[test]
fn a_request_without_an_answer_costs_its_timeout_and_no_more() {
    let behaviour = Behaviour { hangs_every: 50, ..Behaviour::default() };
    let stage = Stage::new(2, WorldOptions::default(), behaviour);
    let arguments = "--workload put --requests 200 --connections 2 --timeout 400ms --duration 60s --keep";
    let counted = stage.run(arguments).expect("a run");
    let puts = stats(&counted, Kind::Put);
    assert_eq!(puts.ok + puts.errors_total(), 200);
    assert!((3..=5).contains(&puts.errors["Timeout"]), "{:?}", puts.errors);
    // The watchdog looks 8 times in one timeout.
    assert!((400..=460).contains(&millis(puts.response.max())), "{}", millis(puts.response.max()));
}

#[test]
fn errors_are_counted_by_code_and_the_run_goes_on() {
    let behaviour = Behaviour { throttles_every: 10, fails_after_writing_every: 25, ..Behaviour::default() };
    let stage = Stage::new(3, WorldOptions::default(), behaviour);
    let counted = stage.run("--workload put --requests 1000 --duration 60s").expect("a run");
    let puts = stats(&counted, Kind::Put);
    assert_eq!(puts.errors["ProvisionedThroughputExceededException"], 100);
    assert_eq!(puts.errors["InternalServerError"], 20);
    assert_eq!(puts.ok, 880);
}

#[test]
fn a_load_leaves_every_item_there_also_by_detours() {
    for batch in [1, 7, 25] {
        let behaviour = Behaviour {
            leaves_unprocessed_every: 5,
            throttles_every: 7,
            hangs_every: 31,
            ..Behaviour::default()
        };
        let stage = Stage::new(4, WorldOptions::default(), behaviour);
        let arguments = format!("--workload load --keys 1003 --batch {batch} --keep --timeout 1s");
        let counted = stage.run(&arguments).expect("a run");
        assert_eq!(stage.fake.state.borrow().items.len(), 1003);
        let kind = if batch == 1 { Kind::Put } else { Kind::Batch };
        let written: u64 = counted.recorder.kinds.values().map(|stats| stats.items).sum();
        assert_eq!(written, 1003);
        assert!(counted.recorder.kinds[&kind].errors_total() > 0, "there were detours");
    }
}

#[test]
fn a_load_that_cannot_succeed_ends_and_says_why() {
    let behaviour = Behaviour { refuses_batches: true, ..Behaviour::default() };
    let stage = Stage::new(5, WorldOptions::default(), behaviour);
    let error = stage.run("--workload get --keys 100").expect_err("no batch is taken").to_string();
    assert_eq!(error, "loading: BatchWriteItem failed 10 times, at last with ThrottlingException");
}

#[test]
fn several_cores_share_the_work_without_overlap() {
    let stage = honest();
    let arguments =
        "--workload put --requests 301 --rate 300 --cores 3 --connections 7 --duration 60s --keep";
    let plan = Rc::new(stage.plan(arguments));
    let counted: Rc<std::cell::RefCell<Vec<Counted>>> = Rc::default();
    stage.world.block_on(table::create(&stage.world.runtime(stage.client), &plan)).expect("a table");
    stage.world.crash(stage.client);
    stage.world.start(stage.client, 3, |rt| {
        let (plan, counted) = (plan.clone(), counted.clone());
        async move {
            let CoreId(core) = rt.core();
            let part = Part { index: usize::from(core), count: rt.core_count() };
            let done = measure(&rt, &plan, part, &Counters::default()).await.expect("a measurement");
            counted.borrow_mut().push(done);
        }
    });
    assert!(stage.world.run_until(Duration::from_secs(10), || counted.borrow().len() == 3));
    let mut sum = Counted::default();
    counted.borrow().iter().for_each(|one| sum.recorder.merge(&one.recorder));
    assert_eq!(stats(&sum, Kind::Put).ok, 301);
    assert_eq!(stage.fake.state.borrow().items.len(), 301);
}

#[test]
fn the_same_seed_gives_the_same_figures() {
    let figures = |seed| {
        let stage = Stage::new(6, WorldOptions::default(), Behaviour::default());
        let arguments =
            format!("--workload mixed --keys 50 --rate 200 --spacing poisson --duration 2s --seed {seed}");
        let counted = stage.run(&arguments).expect("a run");
        let measurement = Measurement::new("run", &stage.plan(&arguments), &counted);
        serde_json::to_string(&measurement).expect("JSON")
    };
    assert_eq!(figures(1), figures(1));
    assert_ne!(figures(1), figures(2));
}

#[test]
fn what_cannot_be_reached_is_named_with_what_to_do() {
    let stage = honest();
    stage.world.crash(stage.server);
    let error = stage.run("").expect_err("the power is off").to_string();
    assert!(error.contains("did not accept a connection in 10s"), "{error}");
    stage.world.runtime(stage.server);
    let error = stage.run("").expect_err("nobody listens").to_string();
    assert!(error.contains("nothing answers at http://"), "{error}");
    assert!(error.contains("cargo run --release"), "{error}");
}

#[test]
fn a_table_that_is_there_is_left_alone() {
    let stage = honest();
    stage.run("--workload put --requests 1 --keep").expect("a run");
    let error = stage.run("--workload put --requests 1").expect_err("the table is there").to_string();
    assert!(error.contains("--reuse") && error.contains("--table"), "{error}");
    stage.run("--workload put --requests 1 --reuse").expect("a run in the same table");
    assert_eq!(stage.fake.state.borrow().table.as_deref(), Some("torc-bench"), "and it is still there");
}

#[test]
fn a_table_of_the_run_is_removed_at_its_end() {
    let stage = honest();
    stage.run("--workload put --requests 1").expect("a run");
    assert_eq!(stage.fake.state.borrow().table, None);
}

#[test]
fn percentiles_of_a_stall_are_those_of_open_loop_theory() {
    // R requests a second for T seconds, a stall of D: of the R T requests, R D wait, evenly from 0 to D. The quantile q lies
    // at D (1 - (1 - q) T / D), where that is above 0.
    let (rate, whole, stall) = (500, 20.0, 1.0);
    let arguments = format!("--workload put --rate {rate} --connections 64 --duration 20s");
    let counted = honest().run_with_pause(&arguments, Duration::from_secs(7), Duration::from_secs(1));
    let puts = stats(&counted, Kind::Put);
    assert_eq!((puts.ok, puts.errors_total()), (10_000, 0));
    for quantile in [0.96, 0.99, 0.999, 0.9999] {
        let expected = stall * (1.0 - (1.0 - quantile) * whole / stall);
        let found = puts.response.value_at_quantile(quantile) as f64 / 1e9;
        assert!((found - expected).abs() < 0.02, "{quantile}: {found} s, expected {expected} s");
    }
    assert!(millis(puts.response.value_at_quantile(0.94)) < 5, "what the stall did not touch");
    // The seconds say when: all that waited was done when the stall was over.
    let series = counted.recorder.series.as_ref().expect("a series").all_kinds();
    let slowest: Vec<u64> = series
        .iter()
        .filter(|(_, piece)| millis(piece.histogram().max()) > 500)
        .map(|(second, _)| *second)
        .collect();
    assert_eq!(
        slowest,
        [7],
        "the eighth second, in which it ends: the run began a little after the clock of the stall"
    );
}

#[test]
fn a_known_delay_is_what_is_measured() {
    for millis_delay in [1, 20, 300] {
        let behaviour = Behaviour { delay: Duration::from_millis(millis_delay), ..Behaviour::default() };
        let stage = Stage::new(1, WorldOptions::default(), behaviour);
        let counted = stage.run("--workload put --rate 50 --connections 32 --duration 10s").expect("a run");
        let puts = stats(&counted, Kind::Put);
        let near = |quantile| {
            millis(puts.response.value_at_quantile(quantile)).abs_diff(millis_delay) <= 1 + millis_delay / 200
        };
        assert!(near(0.001) && near(0.5) && near(0.999), "{millis_delay}: {puts:?}");
    }
}

#[test]
fn named_workloads_do_what_they_are_made_of() {
    let share =
        |stage: &Stage, operation: &str| stage.fake.state.borrow().seen.get(operation).copied().unwrap_or(0);
    for (workload, operations) in [
        ("a", vec![("GetItem", 500), ("PutItem", 500)]),
        ("b", vec![("GetItem", 950), ("PutItem", 50)]),
        ("c", vec![("GetItem", 1000)]),
        ("d", vec![("GetItem", 950), ("PutItem", 50)]),
        ("e", vec![("Query", 950), ("PutItem", 50)]),
        ("f", vec![("GetItem", 1000), ("PutItem", 500)]),
        (
            "dynamodb",
            vec![
                ("GetItem", 450),
                ("PutItem", 230),
                ("UpdateItem", 150),
                ("Query", 100),
                ("BatchGetItem", 40),
                ("BatchWriteItem", 30),
            ],
        ),
    ] {
        let stage = honest();
        let arguments = format!(
            "--workload {workload} --keys 300 --batch 1 --requests 2000 --duration 60s --item-bytes 200"
        );
        let counted = stage.run(&arguments).expect("a run");
        let errors: u64 = counted.recorder.kinds.values().map(Stats::errors_total).sum();
        assert_eq!(errors, 0, "{workload}: {:?}", counted.recorder.kinds);
        // Loading is 300 PutItem.
        for (operation, thousandth) in operations {
            let loaded = if operation == "PutItem" { 300 } else { 0 };
            let (found, expected) = (share(&stage, operation) - loaded, thousandth * 2);
            assert!(
                found.abs_diff(expected) < 90,
                "{workload}: {found} {operation}, expected about {expected}"
            );
        }
    }
}

#[test]
fn a_trace_is_done_again_as_it_was() {
    let path =
        std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("trace-{}", std::process::id()));
    let trace = "0,put,a,300\n100000,get,a\n200000,update,b,500\n200000,delete,a\n2500000,get,a\n";
    write(&path, trace);
    let stage = honest();
    let counted =
        stage.run(&format!("--trace {} --connections 4 --keep --warmup 0s", path.display())).expect("a run");
    remove(&path);
    let ok = |kind: Kind| counted.recorder.kinds.get(&kind).map_or(0, |stats| stats.ok);
    assert_eq!(
        [Kind::Put, Kind::Get, Kind::Update, Kind::Delete].map(ok),
        [1, 2, 1, 1],
        "{:?}",
        counted.recorder
    );
    let items = &stage.fake.state.borrow().items;
    assert_eq!(items.len(), 1, "a was deleted");
    assert_eq!(items["k0000000000000001"]["d"]["S"].as_str().expect("S").len(), 500 - 4 - 17 - 2);
    let seconds = counted.recorder.series.as_ref().expect("a series").all_kinds();
    assert_eq!(seconds.keys().collect::<Vec<_>>(), [&0, &2]);
}

#[test]
fn sampled_requests_are_told_their_stages_and_silence_is_counted() {
    for sends_stages in [true, false] {
        let stage =
            Stage::new(1, WorldOptions::default(), Behaviour { sends_stages, ..Behaviour::default() });
        let arguments = "--workload put --requests 100 --connections 1 --stages-every 10";
        let counted = stage.run(arguments).expect("a run");
        let stages = &counted.recorder.stages[&Kind::Put];
        assert_eq!((stages.count, stages.silent), if sends_stages { (10, 0) } else { (0, 10) });
        let measurement = Measurement::new("run", &stage.plan(arguments), &counted);
        let told = measurement.operations[0].stages.as_ref().expect("it was asked");
        let means: Vec<(&str, f64)> =
            told.stages.iter().map(|one| (one.stage.as_str(), one.mean_us)).collect();
        let expected: &[(&str, f64)] = if sends_stages { &[("parse", 10.0), ("read", 30.0)] } else { &[] };
        assert_eq!(means, expected);
    }
}

#[expect(clippy::disallowed_methods, reason = "a file that somebody recorded")]
fn write(path: &std::path::Path, text: &str) {
    std::fs::write(path, text).expect("a directory for tests");
}

#[expect(clippy::disallowed_methods, reason = "a file of this test")]
fn remove(path: &std::path::Path) {
    std::fs::remove_file(path).expect("it was written");
}
