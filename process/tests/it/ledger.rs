//! The stages of a request add up to its time: to the nanosecond on virtual time, to one in a hundred on a clock that is not torc's.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use meter::stage::{Operation, Stage};
use model::ring::ShardId;
use process::node::{Core, CoreOptions};
use router::{Router, RouterOptions, Scheme};
use runtime::real::{RealOptions, RealRuntime};
use runtime::sim::{Chance, DiskFaults, NetworkFaults, SimRuntime, Span, World, WorldOptions};
use runtime::{CoreId, Runtime};
use shard::node::{self, Identity};
use shard::{Shard, ShardOptions};

use crate::client::{Answer, Client};
use crate::timed::{Timed, Walls};

const MEMORY_BYTES: usize = 64 << 20;

pub fn core_options(data: &Path, identity: Identity, core: CoreId) -> CoreOptions {
    CoreOptions {
        data: data.to_path_buf(),
        shard: ShardOptions::new(data, identity, ShardId(core.0), MEMORY_BYTES),
        router: RouterOptions::default(),
        member: None,
    }
}

/// The time of a stage, 0 if it is not named.
fn of(ledger: &[(String, u64)], name: &str) -> u64 {
    ledger.iter().find(|(stage, _)| stage == name).map_or(0, |(_, nanos)| *nanos)
}

/// All stages together; what the ledger says that they are.
fn sums(ledger: &[(String, u64)]) -> (u64, u64) {
    let stages = ledger.iter().filter(|(name, _)| Stage::ALL.iter().any(|stage| stage.name() == name));
    (stages.map(|(_, nanos)| nanos).sum(), of(ledger, "total"))
}

/// What the network of the simulated world takes, one way.
const WAY: u64 = 30_000;
/// And a write of its disk.
const WRITE: u64 = 60_000;

#[test]
fn on_virtual_time_a_ledger_is_exact() {
    let network =
        NetworkFaults { short_read: Chance::NEVER, delay: Span::micros(30, 30), ..NetworkFaults::default() };
    let disk = DiskFaults { write: Span::micros(60, 60), ..DiskFaults::default() };
    let world = World::new(7, WorldOptions { network, disk, buggify: false, ..WorldOptions::default() });
    let (server, client) = (world.node("server"), world.node("client"));
    let (address, data) = (world.address(server, 8000), Path::new("/data"));
    let identity: Rc<Cell<Option<Identity>>> = Rc::default();
    let cores: Rc<RefCell<Vec<Parts>>> = Rc::default();
    let known = cores.clone();
    world.start(server, 2, move |rt| {
        let (known, identity) = (known.clone(), identity.clone());
        async move {
            if rt.core() == CoreId(0) {
                identity.set(Some(node::open(&rt, data, Some(2), 16).await.expect("an empty directory")));
            }
            let identity = loop {
                match identity.get() {
                    Some(identity) => break identity,
                    None => rt.sleep(Duration::from_millis(1)).await,
                }
            };
            let mut core = Core::open(&rt, core_options(data, identity, rt.core())).await.expect("it opens");
            core.serve(&[(Scheme::Http, address)]).await.expect("a free port");
            known.borrow_mut().push((core.router().clone(), core.shard().clone()));
            core.ended().await.expect("a disk that works");
        }
    });
    let rt = world.runtime(client);
    world.block_on(async {
        let mut client = Client::connect(&rt, address).await;
        client.create_table(&rt).await;
        let counted = || cores.borrow().iter().map(|(router, _)| whole(router).0).sum::<u64>();
        let before = counted();
        for index in 0..100 {
            for (operation, body) in requests(index) {
                let begin = rt.now();
                let answer = client.trace(operation, &body).await;
                let wall = u64::try_from(rt.now().since(begin).as_nanos()).expect("short");
                assert!(answer.head.starts_with("HTTP/1.1 200 "), "{}{}", answer.head, answer.body);
                let ledger = answer.ledger();
                // Nothing is sent before it is written down, and handing it to the simulated socket takes no time.
                assert_eq!(sums(&ledger), (wall - 2 * WAY, wall - 2 * WAY), "{operation}: {ledger:?}");
                let durable = of(&ledger, "durable");
                assert_eq!(
                    durable,
                    if operation == "GetItem" { 0 } else { WRITE },
                    "{operation}: {ledger:?}"
                );
            }
        }
        let untraced = client.call("GetItem", &requests(0)[1].1).await;
        assert!(!untraced.head.contains("x-torc-trace"), "who does not ask is not told");
        // Each request is in the book of the router that answered it, and in no other.
        assert_eq!(counted() - before, 300 + 1);
        // About half of the keys are the other core's, whose shard has its own book for that.
        let crossed: u64 = cores.borrow().iter().map(|(_, shard)| puts_for_others(shard)).sum();
        assert!((20..80).contains(&crossed), "{crossed} of 100");
    });
}

/// A core's router and shard.
type Parts = (Rc<Router<SimRuntime>>, Rc<Shard<SimRuntime>>);

fn puts_for_others<R: Runtime>(shard: &Shard<R>) -> u64 {
    let mut count = 0;
    shard.book().visit(|operation, _, stages| {
        if operation == Operation::PutItem {
            count += stages[Stage::Durable as usize].as_ref().map_or(0, |times| times.count());
        }
    });
    count
}

fn requests(index: u64) -> [(&'static str, String); 3] {
    let key = format!(r#"{{"id":{{"S":"thing {index}"}}"#);
    [
        ("PutItem", format!(r#"{{"TableName":"things","Item":{key},"what":{{"S":"a thing"}}}}}}"#)),
        ("GetItem", format!(r#"{{"TableName":"things","Key":{key}}},"ConsistentRead":true}}"#)),
        (
            "UpdateItem",
            format!(
                r#"{{"TableName":"things","Key":{key}}},"UpdateExpression":"ADD n :n","ExpressionAttributeValues":{{":n":{{"N":"1"}}}}}}"#
            ),
        ),
    ]
}

/// Requests of a router; nanoseconds of all of them, and of all of their stages.
fn whole<R: Runtime>(router: &Router<R>) -> (u64, u64, u64) {
    let mut sum = (0, 0, 0);
    router.book().visit(|_, times, stages| {
        let stages = stages.iter().flatten().map(|stage| stage.sum()).sum::<u64>();
        sum = (sum.0 + times.count(), sum.1 + times.sum(), sum.2 + stages);
    });
    sum
}

const TRACED: u64 = 10_000;

#[test]
fn the_stages_of_ten_thousand_requests_are_their_time() {
    let temporary = tempfile::tempdir().expect("a directory");
    let data = temporary.path().to_path_buf();
    let cpu = 0;
    runtime::real::run(RealOptions::new(vec![cpu], &data), move |rt| {
        let data = data.clone();
        async move { trace_many(rt, &data).await }
    })
    .expect("a core");
}

async fn trace_many(rt: RealRuntime, data: &Path) {
    let walls = Walls::default();
    let timed = Timed { rt, walls: walls.clone() };
    let identity = node::open(&timed, data, Some(1), 8).await.expect("an empty directory");
    let options = core_options(data, identity, timed.core());
    let mut core = Core::open(&timed, options).await.expect("it opens");
    let port = runtime::real::check_port_free(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    core.serve(&[(Scheme::Http, port)]).await.expect("a free port");
    let mut client = Client::connect(&timed, port).await;
    client.create_table(&timed).await;
    let (answered, mut close) = (walls.borrow().len() as u64, 0);
    let mut before = settled(&timed, core.router(), answered).await;
    let begin = before.1;
    walls.borrow_mut().clear();
    for index in 0..TRACED {
        let [put, get, update] = requests(index % 100);
        // Mostly reads: they are the shortest, and one in a hundred of them is the least.
        let (operation, body) = match index % 10 {
            0 => put,
            1 => update,
            _ => get,
        };
        let answer = client.trace(operation, &body).await;
        let ledger = answer.ledger();
        check_header(operation, &answer, &ledger);
        let after = settled(&timed, core.router(), before.0 + 1).await;
        let (total, stages) = (after.1 - before.1, after.2 - before.2);
        assert_eq!(total, stages, "the stages are all there is");
        assert!(total > of(&ledger, "total"), "sending takes time, too");
        before = after;
        let wall = *walls.borrow().last().expect("it was measured");
        // The two clocks are read one after the other, twice.
        close += u64::from(total.abs_diff(wall) <= (wall / 100).max(400));
    }
    let wall: u64 = walls.borrow().iter().sum();
    let total = whole(core.router()).1;
    assert_eq!(walls.borrow().len() as u64, TRACED);
    // Whoever is kept from the processor between the readings is wrong by that; the other requests are not.
    assert!(close >= TRACED * 98 / 100, "{close} of {TRACED} within 1 %");
    // All together: what is not in them is the way from one reading of a clock to the other.
    let all = total - begin;
    assert!(all.abs_diff(wall) <= wall / 100, "{all} ns of {wall}");
    println!("{close} of {TRACED} requests within 1 %; all together {all} ns of {wall}");
    core.stop(&std::sync::atomic::AtomicUsize::new(0)).await.expect("it closes");
}

fn check_header(operation: &str, answer: &Answer, ledger: &[(String, u64)]) {
    assert!(answer.head.starts_with("HTTP/1.1 200 "), "{operation}: {}{}", answer.head, answer.body);
    let (stages, total) = sums(ledger);
    assert_eq!(stages, total, "{ledger:?}");
    assert!(total > 0);
}

/// The book, once it has so many requests: the last one is in it when its answer has been handed to the socket.
async fn settled<R: Runtime>(rt: &R, router: &Router<R>, count: u64) -> (u64, u64, u64) {
    loop {
        let sums = whole(router);
        if sums.0 == count {
            return sums;
        }
        assert!(sums.0 < count, "{} requests of {count}", sums.0);
        rt.sleep(Duration::from_micros(10)).await;
    }
}
