//! The story of a run: a cluster is founded, clients work, things go wrong and are mended, and then everything is looked at.
//!
//! 1. The cluster is founded and the table made. Nothing goes wrong yet, so this has to end in time.
//! 2. Clients work while the plan's faults come and go.
//! 3. Everything is healed. Within a bound every key can be read and written again, through every endpoint.
//! 4. The clients end, and their histories are judged; all replicas hold the same.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Duration;

use model::ring::VnodeId;
use runtime::Runtime;
use runtime::sim::{FaultCounts, World};
use runtime::sync::{Either, join_all, select};

use crate::Failure;
use crate::check::linear::Complaint;
use crate::cluster::Cluster;
use crate::crowd::{Caller, Crowd};
use crate::nemesis;
use crate::operator::Operator;
use crate::plan::Plan;
use crate::replicas;
use crate::summary::Summary;

/// A cluster that nothing happens to serves within this.
const FOUNDING_TIME_MAX: Duration = Duration::from_secs(60);

/// After healing everything works within this: nodes start and replay, replicas catch up, leaders are elected.
const HEALED_TIME_MAX: Duration = Duration::from_secs(60);

/// When disks have lied, everything is given so long to come back as far as it does.
const AFTERMATH: Duration = Duration::from_secs(8);

/// Lines of the journal that a failure shows.
const TAIL_LINES: usize = 40;

/// What a run was and did.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed that repeats it.
    pub seed: u64,
    /// The trace in one number: equal for equal runs.
    pub trace_hash: u128,
    /// What it did.
    pub summary: Summary,
}

/// Runs a plan to its end.
pub fn run(plan: &Plan) -> Result<Report, Failure> {
    run_with(plan, async |_| ())
}

/// Runs a plan, and beside its faults what a scenario does.
pub fn run_with(plan: &Plan, scenario: impl AsyncFnOnce(&Stage)) -> Result<Report, Failure> {
    let world = World::new(plan.seed, plan.world());
    let cluster = Cluster::new(&world, plan);
    let _end = End(cluster.clone());
    let told = cluster.clone();
    let fail = |what: String| {
        let tail = told.journal().tail(TAIL_LINES);
        Failure { seed: plan.seed, what: format!("{what}\n{tail}") }
    };
    let story = async {
        match select(live(&cluster, scenario), alarm(&cluster)).await {
            Either::First(ended) => ended,
            Either::Second(wrong) => Err(wrong),
        }
    };
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| match plan.steps_max {
        None => Some(world.block_on(story)),
        Some(steps) => world.block_on_steps(steps, story),
    }));
    let search_steps = match outcome {
        Err(panic) => {
            let words = words(panic.as_ref());
            let is_the_worlds =
                ["deadlock:", "livelock:", "no end within"].iter().any(|own| words.starts_with(own));
            if !plan.is_beyond || is_the_worlds {
                return Err(fail(format!("a panic: {words}")));
            }
            // A process that finds its disk impossible stops, and says so: it refuses.
            cluster.journal().count("processes that stopped at what their disk said");
            0
        }
        Ok(None) => return Err(fail("stopped after the steps that were asked for".to_string())),
        Ok(Some(Err(wrong))) => return Err(fail(wrong)),
        Ok(Some(Ok(steps))) => steps,
    };
    let mut disks = FaultCounts::default();
    (0..plan.machines()).for_each(|node| disks.add(&world.disk(cluster.machine(node)).fault_counts()));
    let summary = Summary {
        seeds: 1,
        elapsed: world.elapsed(),
        polls: world.polls(),
        elections: cluster.watch().elections.get(),
        applies: cluster.watch().applies.get(),
        search_steps,
        counts: cluster.journal().counts(),
        disks,
        marks: world.marks(),
    };
    Ok(Report { seed: plan.seed, trace_hash: world.trace_hash(), summary })
}

/// When it is dropped, the run is over, however it ended.
struct End(Cluster);

impl Drop for End {
    fn drop(&mut self) {
        self.0.let_go();
    }
}

/// What a panic said.
fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without words".to_string())
}

/// Resolves with what is wrong, as soon as something is.
async fn alarm(cluster: &Cluster) -> String {
    loop {
        let alarm = cluster.watch().alarm.notified();
        if let Some(wrong) = cluster.watch().wrong() {
            return wrong;
        }
        alarm.await;
    }
}

/// A cluster that serves, with clients and somebody who operates it: where scenarios play.
pub struct Stage {
    /// The cluster.
    pub cluster: Cluster,
    /// What clients share.
    pub crowd: Rc<Crowd>,
    /// Who operates it.
    pub operator: Operator,
}

/// Steps of the search, at the end.
async fn live(cluster: &Cluster, scenario: impl AsyncFnOnce(&Stage)) -> Result<u64, String> {
    let world = cluster.world();
    cluster.found();
    let crowd = Crowd::new(cluster);
    let mut first = Caller::new(&crowd, 0);
    let founding = async {
        first.prepare().await;
        Operator::open(cluster).await
    };
    let operator = within(cluster, FOUNDING_TIME_MAX, founding).await;
    let operator = operator.ok_or("the cluster was founded, and does not serve")?;
    cluster.journal().note("the table is there".to_string());
    let stage = Stage { cluster: cluster.clone(), crowd: crowd.clone(), operator };
    let rt = cluster.client_runtime();
    let clients: Vec<_> = (0..cluster.plan().clients)
        .map(|number| rt.spawn(runtime::Class::Foreground, Caller::new(&crowd, number + 1).work()))
        .collect();
    nemesis::work(cluster, &stage.operator).await;
    world.sleep(cluster.plan().length.saturating_sub(world.elapsed())).await;
    scenario(&stage).await;
    cluster.journal().note("all is healed".to_string());
    cluster.heal();
    crowd.is_healed.set(true);
    if cluster.plan().is_beyond {
        world.sleep(AFTERMATH).await;
        // What is under way may have been done, and is not in the history yet.
        crowd.stop.set(true);
        within(cluster, HEALED_TIME_MAX, join_all(clients)).await.ok_or("clients do not come to an end")?;
        cluster.journal().add("promises broken", cluster.watch().broken_promises.get());
        crowd.history.borrow().is_honest()?;
        return Ok(0);
    }
    let healed = world.elapsed();
    let served = within(cluster, HEALED_TIME_MAX, all_is_served(&stage)).await;
    served.ok_or_else(|| {
        let leaders: Vec<_> =
            (0..=cluster.plan().vnodes).map(|vnode| cluster.leader(VnodeId(vnode))).collect();
        format!("not everything is served again after healing; vnodes are led by nodes {leaders:?}")
    })?;
    let millis = (world.elapsed() - healed).as_millis();
    cluster.journal().note(format!("all is served again after {millis} ms"));
    crowd.stop.set(true);
    let mut clients = join_all(clients).await;
    judge(&stage, &mut clients).await
}

async fn within<T>(cluster: &Cluster, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    match select(future, cluster.world().sleep(limit)).await {
        Either::First(value) => Some(value),
        Either::Second(()) => None,
    }
}

/// Through every endpoint every key can be read; every counter counts, and the table can be scanned.
async fn all_is_served(stage: &Stage) {
    let world = stage.cluster.world();
    let pause = Duration::from_millis(50);
    let endpoints = 0..stage.cluster.endpoints().len();
    for endpoint in endpoints.filter(|endpoint| stage.cluster.is_endpoint(*endpoint)) {
        let mut caller = Caller::new(&stage.crowd, endpoint);
        for key in stage.crowd.shared_keys() {
            while caller.read(&key).await.is_none() {
                world.sleep(pause).await;
            }
        }
        for key in 0..stage.cluster.plan().keys {
            while caller.count(key).await.is_none() {
                world.sleep(pause).await;
            }
        }
    }
}

/// Whether everything that was seen could be so; steps of the search.
async fn judge(stage: &Stage, clients: &mut [Caller]) -> Result<u64, String> {
    let mut caller = Caller::new(&stage.crowd, 0);
    for client in clients.iter_mut() {
        client.look_at_chains().await;
    }
    let mut finals = BTreeMap::new();
    let mut present = BTreeSet::new();
    for key in stage.crowd.shared_keys() {
        let read = within(&stage.cluster, HEALED_TIME_MAX, insist_on_read(&mut caller, &key)).await;
        let held = read.ok_or(format!("{key} cannot be read at the end"))?;
        present.extend(held.map(|_| key.clone()));
        if let Some(version) = held.filter(|_| key.starts_with('c')) {
            finals.insert(key, version);
        }
    }
    let scanned = within(&stage.cluster, HEALED_TIME_MAX, insist_on_scan(&mut caller)).await;
    let scanned = scanned.ok_or("the table cannot be scanned at the end")?;
    let is_shared = |key: &&String| key.starts_with(['c', 'r']);
    let shown: BTreeSet<String> = scanned.iter().filter(is_shared).cloned().collect();
    if shown != present {
        return Err(format!("at the end a scan shows {shown:?}, reads show {present:?}"));
    }
    let totals = stage.crowd.counters.borrow().check(&finals)?;
    stage.cluster.journal().add("counts acknowledged", totals.acknowledged);
    stage.cluster.journal().add("strong reads of counters", totals.reads);
    let searched = stage.crowd.history.borrow().check();
    let steps = match searched {
        Ok(totals) => totals.steps,
        Err(Complaint::Undecided { .. }) => {
            stage.cluster.journal().count("searches without a verdict");
            0
        }
        Err(lie) => return Err(lie.to_string()),
    };
    agree(stage).await?;
    Ok(steps)
}

async fn insist_on_read(caller: &mut Caller, key: &str) -> Option<u64> {
    loop {
        if let Some(held) = caller.read(key).await {
            return held;
        }
    }
}

async fn insist_on_scan(caller: &mut Caller) -> BTreeSet<String> {
    loop {
        if let Some(keys) = caller.scan(5).await {
            return keys;
        }
    }
}

/// All replicas hold the same, and one serves, within a bound: followers hear of the last commits with the next heartbeats, and moves come to their end.
async fn agree(stage: &Stage) -> Result<(), String> {
    let world = stage.cluster.world();
    let until = world.elapsed() + HEALED_TIME_MAX;
    loop {
        world.sleep(Duration::from_millis(500)).await;
        let map = stage.operator.map().get();
        let mut same = replicas::compare(&stage.cluster, &map).await;
        if same.is_ok() {
            same = replicas::served_once(&stage.cluster, &map).await;
        }
        match same {
            Ok(()) => return Ok(()),
            Err(different) if world.elapsed() > until => return Err(different),
            Err(_) => {}
        }
    }
}
