//! One node that is alone, on virtual time: `torc serve` under power failures, from a seed.
//!
//! Modules in reading order:
//!
//! - `swarm`: what a seed decides: sizes, bounds, workload, faults.
//! - `node`: one node, wired as the real one.
//! - `workload`: DynamoDB's API over a simulated socket; counters that tell their version.
//!
//! The life of a run:
//!
//! 1. The seed draws the world and the swarm. The node starts, a table is created.
//! 2. Clients write and read; every so often the node loses power, and starts again on what its disk kept.
//! 3. The clients end. Every key is read once more, and the whole table is scanned.
//! 4. The checker says whether every acknowledged write is there, once, and every read was honest.

mod node;
mod swarm;
mod workload;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use runtime::Runtime;
use runtime::sim::{NodeId, SimRuntime, World};
use runtime::sync::join_all;
use swarm::Swarm;
use workload::{PORT, Shared, TABLE};

use crate::Failure;
use crate::checker::{History, Totals};
use crate::client::{self, Client};

/// After the last crash the node must answer within this simulated time.
const HEALED_TIME_MAX: Duration = Duration::from_secs(120);

/// What a run was and did.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed that repeats it.
    pub seed: u64,
    /// The trace in one number: equal for equal runs.
    pub trace_hash: u128,
    /// Simulated time that passed.
    pub elapsed: Duration,
    /// Crashes of the node.
    pub crashes: usize,
    /// Operations that the checker looked at.
    pub totals: Totals,
}

/// Runs the world of one seed to its end.
///
/// # Panics
/// When the code under test panics, or when nothing in the world can ever happen again; the message names the seed.
pub fn run(seed: u64) -> Result<Report, Failure> {
    let world = World::new(seed, swarm::world_options(seed));
    let swarm = swarm::draw(&world);
    let shared = Rc::new(Shared {
        world: (*world).clone(),
        swarm: swarm.clone(),
        history: RefCell::new(History::default()),
        stop: Cell::new(false),
        surprise: RefCell::new(None),
    });
    let server = world.node("server");
    let clients = world.node("clients");
    let outcome = world.block_on(live(shared.clone(), server, clients));
    let fail = |what: String| Failure { seed, what: format!("{what}\n  {swarm:?}") };
    let finals = outcome.map_err(fail)?;
    if let Some(surprise) = shared.surprise.borrow().as_ref() {
        return Err(fail(surprise.clone()));
    }
    let totals = shared.history.borrow().check(&finals).map_err(fail)?;
    let (trace_hash, elapsed) = (world.trace_hash(), world.elapsed());
    Ok(Report { seed, trace_hash, elapsed, crashes: shared.swarm.crashes, totals })
}

/// The story of a run; returns the version that each key shows at the end.
async fn live(shared: Rc<Shared>, server: NodeId, clients: NodeId) -> Result<BTreeMap<String, u64>, String> {
    let world = shared.world.clone();
    let address = world.address(server, PORT);
    let mut start = start_server(&shared, server);
    let rt = world.runtime(clients);
    create_table(&rt, address, &start).await?;
    let crowd: Vec<_> = (0..shared.swarm.clients)
        .map(|_| rt.spawn(runtime::Class::Foreground, workload::run(rt.clone(), shared.clone(), address)))
        .collect();
    for crash in 0..shared.swarm.crashes {
        calm(&shared, crash as u64).await;
        check_start(&start)?;
        world.crash(server);
        world.sleep(Duration::from_millis(1 + world.draw("fate.down", crash as u64) % 50)).await;
        start = start_server(&shared, server);
    }
    calm(&shared, u64::MAX).await;
    shared.stop.set(true);
    join_all(crowd).await;
    check_start(&start)?;
    let mut client = Client::new(rt.clone(), address);
    let finals = read_all(&rt, &mut client, &shared, &start).await?;
    let scanned = scan_all(&rt, &mut client, &start).await?;
    let present: BTreeSet<String> = finals.keys().cloned().collect();
    if scanned != present {
        return Err(format!("a scan shows {scanned:?}, reads show {present:?}"));
    }
    Ok(finals)
}

fn start_server(shared: &Rc<Shared>, server: NodeId) -> Rc<node::Start> {
    let start = Rc::new(node::Start::default());
    let swarm: &Swarm = &shared.swarm;
    shared.world.start(server, swarm.cores, |rt| node::run_core(rt, swarm.clone(), start.clone()));
    start
}

/// A node that gave up although no disk failed is a failure of the run.
fn check_start(start: &node::Start) -> Result<(), String> {
    start.failure.borrow().as_ref().map_or(Ok(()), |failure| Err(failure.clone()))
}

/// Lets the clients work for a drawn time.
async fn calm(shared: &Shared, turn: u64) {
    let calm = shared.swarm.calm;
    let span = u64::try_from((calm.most - calm.least).as_nanos()).expect("a calm is short");
    let extra = Duration::from_nanos(shared.world.draw("fate.calm", turn) % (span + 1));
    shared.world.sleep(calm.least + extra).await;
}

async fn create_table(rt: &SimRuntime, address: SocketAddr, start: &node::Start) -> Result<(), String> {
    let body = format!(
        "{{\"TableName\":\"{TABLE}\",\"BillingMode\":\"PAY_PER_REQUEST\",\
         \"KeySchema\":[{{\"AttributeName\":\"p\",\"KeyType\":\"HASH\"}}],\
         \"AttributeDefinitions\":[{{\"AttributeName\":\"p\",\"AttributeType\":\"S\"}}]}}"
    );
    let mut client = Client::new(rt.clone(), address);
    let done = |body: &str| body.contains("TableDescription") || body.contains("ResourceInUseException");
    insist(rt, &mut client, start, "CreateTable", &body, done).await?;
    let body = format!("{{\"TableName\":\"{TABLE}\"}}");
    insist(rt, &mut client, start, "DescribeTable", &body, |body| {
        body.contains("\"TableStatus\":\"ACTIVE\"")
    })
    .await?;
    Ok(())
}

/// Repeats a call until its answer satisfies `done`, within the bound after which a healthy node must serve.
async fn insist(
    rt: &SimRuntime,
    client: &mut Client<SimRuntime>,
    start: &node::Start,
    operation: &str,
    body: &str,
    done: impl Fn(&str) -> bool,
) -> Result<client::Answer, String> {
    let began = rt.now();
    loop {
        let last = client.call(operation, body).await;
        match last {
            Ok(answer) if done(&answer.body) => return Ok(answer),
            _ => check_start(start)?,
        }
        if rt.now().since(began) > HEALED_TIME_MAX {
            return Err(format!("{operation} is not served {HEALED_TIME_MAX:?} after healing: {last:?}"));
        }
        rt.sleep(Duration::from_millis(3)).await;
    }
}

async fn read_all(
    rt: &SimRuntime,
    client: &mut Client<SimRuntime>,
    shared: &Shared,
    start: &node::Start,
) -> Result<BTreeMap<String, u64>, String> {
    let mut finals = BTreeMap::new();
    for number in 0..shared.swarm.keys {
        let key = format!("key-{number}");
        let body = format!(
            "{{\"TableName\":\"{TABLE}\",\"Key\":{{\"p\":{{\"S\":\"{key}\"}}}},\"ConsistentRead\":true}}"
        );
        let answer =
            insist(rt, client, start, "GetItem", &body, |body| body == "{}" || body.contains("\"Item\""))
                .await?;
        if let Some(version) = answer.number("v") {
            finals.insert(key, version);
        }
    }
    Ok(finals)
}

/// The keys that a scan in small pages shows; a key that is shown twice is an error.
async fn scan_all(
    rt: &SimRuntime,
    client: &mut Client<SimRuntime>,
    start: &node::Start,
) -> Result<BTreeSet<String>, String> {
    let mut seen = BTreeSet::new();
    let mut from = String::new();
    loop {
        let body = format!(
            "{{\"TableName\":\"{TABLE}\",\"ConsistentRead\":true,\"Limit\":3,\"ProjectionExpression\":\"p\"{from}}}"
        );
        let answer =
            insist(rt, client, start, "Scan", &body, |body| body.contains("\"ScannedCount\"")).await?;
        let (items, rest) = split_page(&answer.body);
        for key in items {
            if !seen.insert(key.clone()) {
                return Err(format!("a scan shows {key} twice"));
            }
        }
        match rest {
            Some(key) => from = format!(",\"ExclusiveStartKey\":{{\"p\":{{\"S\":\"{key}\"}}}}"),
            None => return Ok(seen),
        }
    }
}

/// The keys of a page of `{"p":{"S":KEY}}` items, and the key it ends at if there is more.
fn split_page(body: &str) -> (Vec<String>, Option<String>) {
    let mark = "\"p\":{\"S\":\"";
    let keys_of = |text: &str| -> Vec<String> {
        text.split(mark).skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_string).collect()
    };
    let last_mark = "\"LastEvaluatedKey\":{";
    let Some(at) = body.find(last_mark) else { return (keys_of(body), None) };
    let tail = &body[at + last_mark.len()..];
    let end = tail.find("}}").expect("a key closes its braces");
    let last = keys_of(&tail[..end]).pop();
    let others = format!("{}{}", &body[..at], &tail[end..]);
    (keys_of(&others), last)
}

#[cfg(test)]
mod tests;
