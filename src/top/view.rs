//! What processes did between two looks at them, together: rates, percentiles, and how things stand.

use std::collections::BTreeMap;

use meter::stage::{Operation, Stage};
use serde::Serialize;

use super::reading::{Figures, Labels, Reading};

/// Vnodes that are named: the hottest.
const VNODES_MAX: usize = 32;

/// What was done in an interval. All rates are of one second.
#[derive(Clone, Debug, Default, Serialize)]
pub struct View {
    /// The interval, the longest of all processes.
    pub seconds: f64,
    /// Who was asked, in that order.
    pub processes: Vec<Process>,
    /// Operations that there were since the processes' start.
    pub operations: Vec<Done>,
    /// Requests that were refused because there were too many.
    pub throttled: f64,
    /// Exceptions by their code.
    pub errors: BTreeMap<String, f64>,
    /// All shards, by process.
    pub shards: Vec<Shard>,
    /// The hottest vnodes.
    pub vnodes: Vec<Vnode>,
    /// What the storage engine does behind the requests.
    pub compaction: Compaction,
    /// What lies in memory.
    pub memory: Memory,
    /// And what the devices do.
    pub disk: Disk,
}

/// One process.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Process {
    /// Where it was asked.
    pub at: String,
    /// Its version; empty if it did not tell.
    pub version: String,
    /// Why it told nothing.
    pub trouble: Option<String>,
    /// Connections of clients.
    pub connections: f64,
    /// Requests that it answered.
    pub requests: f64,
}

/// One operation.
#[derive(Clone, Debug, Serialize)]
pub struct Done {
    /// Its name.
    pub operation: String,
    /// Requests.
    pub requests: f64,
    /// Times of requests on the server; none when there was no request.
    pub p50_us: Option<f64>,
    /// 99 of 100 took at most this.
    pub p99_us: Option<f64>,
    /// And 999 of 1,000 this.
    pub p999_us: Option<f64>,
    /// What a request's time was spent on, in the mean, by stage.
    pub stages_us: BTreeMap<String, f64>,
}

/// One shard.
#[derive(Clone, Debug, Serialize)]
pub struct Shard {
    /// Its process.
    pub at: String,
    /// Its number.
    pub shard: u64,
    /// Requests that its core's router answered.
    pub requests: f64,
    /// Operations that are under way in it.
    pub under_way: f64,
}

/// One vnode.
#[derive(Clone, Debug, Serialize)]
pub struct Vnode {
    /// Its number.
    pub vnode: u64,
    /// Reads, of all its replicas.
    pub reads: f64,
    /// Writes.
    pub writes: f64,
}

/// Compactions, and what waits for them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Compaction {
    /// Bytes above the levels' targets.
    pub debt_bytes: f64,
    /// Bytes that compactions read.
    pub read_bytes: f64,
    /// And wrote.
    pub written_bytes: f64,
    /// Bytes that flushes wrote.
    pub flushed_bytes: f64,
    /// The share of their time that writers were slowed.
    pub writers_slowed: f64,
}

/// Memory.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Memory {
    /// Bytes of memtables.
    pub memtable_bytes: f64,
    /// Bytes in block caches.
    pub cache_bytes: f64,
    /// The share of blocks that were found there; none when none was looked for.
    pub cache_hits: Option<f64>,
}

/// Devices.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Disk {
    /// Bytes of all levels.
    pub level_bytes: f64,
    /// Bytes that are free in the file systems of the data directories.
    pub free_bytes: f64,
    /// Direct reads.
    pub reads: f64,
    /// Bytes that they gave.
    pub read_bytes: f64,
    /// Direct writes.
    pub writes: f64,
    /// Bytes that they took.
    pub written_bytes: f64,
    /// Bytes of those that were the log's.
    pub log_bytes: f64,
}

/// Two looks at one process that told both times.
struct Pair<'r> {
    at: String,
    before: &'r Figures,
    now: &'r Figures,
    seconds: f64,
}

impl View {
    /// What was done between two looks at the same processes.
    pub fn between(before: &[Reading], now: &[Reading]) -> View {
        let pairs: Vec<Pair<'_>> = before.iter().zip(now).filter_map(|(old, new)| pair(old, new)).collect();
        View {
            seconds: pairs.iter().map(|pair| pair.seconds).fold(0.0, f64::max),
            processes: now.iter().map(|reading| process(reading, &pairs)).collect(),
            operations: operations(&pairs),
            throttled: rate(&pairs, "torc_requests_throttled_total", &[]),
            errors: rates_by(&pairs, "torc_request_errors_total", "code"),
            shards: pairs.iter().flat_map(shards).collect(),
            vnodes: vnodes(&pairs),
            compaction: compaction(&pairs),
            memory: memory(&pairs),
            disk: disk(&pairs),
        }
    }
}

fn pair<'r>(before: &'r Reading, now: &'r Reading) -> Option<Pair<'r>> {
    let seconds = now.when.since(before.when).as_secs_f64();
    Some(Pair {
        at: now.at.to_string(),
        before: before.told.as_ref().ok()?,
        now: now.told.as_ref().ok()?,
        seconds,
    })
}

impl Pair<'_> {
    /// What of the counter `name` was counted in one second, by its labels.
    fn rates(&self, name: &str) -> impl Iterator<Item = (&Labels, f64)> {
        // The first look has nothing to be compared with.
        let per_second = if self.seconds > 0.0 { 1.0 / self.seconds } else { 0.0 };
        self.now.since(self.before, name).map(move |(labels, count)| (labels, count * per_second))
    }
}

fn has(labels: &Labels, wanted: &[(&str, &str)]) -> bool {
    wanted.iter().all(|(label, value)| label_of(labels, label) == *value)
}

fn label_of<'l>(labels: &'l Labels, label: &str) -> &'l str {
    labels.get(label).map_or("", String::as_str)
}

/// The rate of a counter, of all that have these labels together.
fn rate(pairs: &[Pair<'_>], name: &str, wanted: &[(&str, &str)]) -> f64 {
    let rates = pairs.iter().flat_map(|pair| pair.rates(name));
    rates.filter(|(labels, _)| has(labels, wanted)).map(|(_, rate)| rate).sum()
}

/// The same by the values of one label, without those that are 0.
fn rates_by(pairs: &[Pair<'_>], name: &str, label: &str) -> BTreeMap<String, f64> {
    let mut rates = BTreeMap::new();
    for (labels, rate) in pairs.iter().flat_map(|pair| pair.rates(name)).filter(|(_, rate)| *rate > 0.0) {
        *rates.entry(label_of(labels, label).to_owned()).or_default() += rate;
    }
    rates
}

/// How high something stands, all together.
fn gauge(pairs: &[Pair<'_>], name: &str) -> f64 {
    pairs.iter().flat_map(|pair| pair.now.of(name)).map(|(_, value)| value).sum()
}

fn process(reading: &Reading, pairs: &[Pair<'_>]) -> Process {
    let at = reading.at.to_string();
    let figures = match &reading.told {
        Ok(figures) => figures,
        Err(why) => return Process { at, trouble: Some(why.clone()), ..Process::default() },
    };
    let own = pairs.iter().filter(|pair| pair.at == at);
    let requests = own.flat_map(|pair| pair.rates("torc_requests_total")).map(|(_, rate)| rate).sum();
    let version = figures.of("torc_build_info").next();
    Process {
        at,
        version: version.map_or(String::new(), |(labels, _)| label_of(labels, "version").to_owned()),
        trouble: None,
        connections: figures.of("torc_http_connections").map(|(_, count)| count).sum(),
        requests,
    }
}

/// Operations in the order in which torc names them.
fn operations(pairs: &[Pair<'_>]) -> Vec<Done> {
    let is_known = |operation: &&Operation| {
        let mut told = pairs.iter().flat_map(|pair| pair.now.of("torc_requests_total"));
        told.any(|(labels, count)| label_of(labels, "operation") == operation.name() && count > 0.0)
    };
    Operation::ALL.iter().filter(is_known).map(|operation| done(pairs, operation.name())).collect()
}

fn done(pairs: &[Pair<'_>], operation: &str) -> Done {
    let wanted = [("operation", operation)];
    let requests = rate(pairs, "torc_requests_total", &wanted);
    let buckets = buckets(pairs, operation);
    let quantile = |share: f64| quantile(&buckets, share).map(|seconds| seconds * 1e6);
    let mut stages_us = BTreeMap::new();
    for stage in Stage::ALL {
        let wanted = [("operation", operation), ("stage", stage.name())];
        let spent = rate(pairs, "torc_request_stage_seconds_sum", &wanted);
        if spent > 0.0 && requests > 0.0 {
            stages_us.insert(stage.name().to_owned(), spent / requests * 1e6);
        }
    }
    Done {
        operation: operation.to_owned(),
        requests,
        p50_us: quantile(0.5),
        p99_us: quantile(0.99),
        p999_us: quantile(0.999),
        stages_us,
    }
}

/// Bounds in seconds, ascending, each with the rate of requests that took at most that.
fn buckets(pairs: &[Pair<'_>], operation: &str) -> Vec<(f64, f64)> {
    let mut buckets: Vec<(f64, f64)> = Vec::new();
    for (labels, rate) in pairs.iter().flat_map(|pair| pair.rates("torc_request_seconds_bucket")) {
        if label_of(labels, "operation") == operation {
            let bound = label_of(labels, "le").parse().unwrap_or(f64::INFINITY);
            buckets.push((bound, rate));
        }
    }
    buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
    buckets.dedup_by(|next, kept| {
        let is_same = next.0 == kept.0;
        kept.1 += if is_same { next.1 } else { 0.0 };
        is_same
    });
    buckets
}

/// The time that `share` of the requests did not exceed: within its bucket as if they were spread evenly, as Prometheus does it.
fn quantile(buckets: &[(f64, f64)], share: f64) -> Option<f64> {
    let all = buckets.last().map(|(_, rate)| *rate).filter(|rate| *rate > 0.0)?;
    let wanted = all * share;
    let place = buckets.iter().position(|(_, below)| *below >= wanted)?;
    let (low, below) = place.checked_sub(1).map_or((0.0, 0.0), |before| buckets[before]);
    let (high, up_to) = buckets[place];
    if high.is_infinite() {
        return Some(low);
    }
    Some(low + (high - low) * (wanted - below) / (up_to - below))
}

fn shards(pair: &Pair<'_>) -> Vec<Shard> {
    let mut requests: BTreeMap<u64, f64> = BTreeMap::new();
    let number = |labels: &Labels| label_of(labels, "shard").parse().unwrap_or(0);
    for (labels, _) in pair.now.of("torc_http_connections") {
        requests.entry(number(labels)).or_default();
    }
    for (labels, rate) in pair.rates("torc_requests_total") {
        *requests.entry(number(labels)).or_default() += rate;
    }
    let under_way = |shard: u64| {
        let told = pair.now.of("torc_shard_operations").filter(|(labels, _)| number(labels) == shard);
        told.map(|(_, count)| count).sum()
    };
    let shard =
        |(shard, requests)| Shard { at: pair.at.clone(), shard, requests, under_way: under_way(shard) };
    requests.into_iter().map(shard).collect()
}

fn vnodes(pairs: &[Pair<'_>]) -> Vec<Vnode> {
    let mut heat: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    for (labels, rate) in pairs.iter().flat_map(|pair| pair.rates("torc_vnode_requests_total")) {
        let Ok(vnode) = label_of(labels, "vnode").parse() else { continue };
        let of = heat.entry(vnode).or_default();
        match label_of(labels, "kind") {
            "read" => of.0 += rate,
            _ => of.1 += rate,
        }
    }
    let named = heat.into_iter().map(|(vnode, (reads, writes))| Vnode { vnode, reads, writes });
    let mut vnodes: Vec<Vnode> = named.filter(|vnode| vnode.reads + vnode.writes > 0.0).collect();
    vnodes.sort_by(|one, other| (other.reads + other.writes).total_cmp(&(one.reads + one.writes)));
    vnodes.truncate(VNODES_MAX);
    vnodes
}

fn compaction(pairs: &[Pair<'_>]) -> Compaction {
    Compaction {
        debt_bytes: gauge(pairs, "torc_compaction_debt_bytes"),
        read_bytes: rate(pairs, "torc_compaction_read_bytes_total", &[]),
        written_bytes: rate(pairs, "torc_compaction_written_bytes_total", &[]),
        flushed_bytes: rate(pairs, "torc_flush_written_bytes_total", &[]),
        writers_slowed: rate(pairs, "torc_writer_wait_seconds_total", &[]),
    }
}

fn memory(pairs: &[Pair<'_>]) -> Memory {
    let (hits, misses) =
        (rate(pairs, "torc_cache_hits_total", &[]), rate(pairs, "torc_cache_misses_total", &[]));
    Memory {
        memtable_bytes: gauge(pairs, "torc_memtable_bytes"),
        cache_bytes: gauge(pairs, "torc_cache_bytes"),
        cache_hits: (hits + misses > 0.0).then(|| hits / (hits + misses)),
    }
}

fn disk(pairs: &[Pair<'_>]) -> Disk {
    let of = |name: &str, kind: &str| rate(pairs, name, &[("kind", kind)]);
    Disk {
        level_bytes: gauge(pairs, "torc_level_bytes"),
        free_bytes: gauge(pairs, "torc_disk_free_bytes"),
        reads: of("torc_ring_operations_total", "read"),
        read_bytes: of("torc_ring_bytes_total", "read"),
        writes: of("torc_ring_operations_total", "write"),
        written_bytes: of("torc_ring_bytes_total", "write"),
        log_bytes: rate(pairs, "torc_log_written_bytes_total", &[]),
    }
}
