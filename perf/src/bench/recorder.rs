//! What happened, counted: times in histograms, failures by code, for each kind of operation.
//!
//! Two times are kept for each operation. The response time runs from when it was due, the service time from when it
//! was sent; in closed loop they are the same, in open loop their distance is the wait for a free connection.
//!
//! Promises: three significant digits from 1 ns to [`TIME_NS_MAX`]; longer times count as that one.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use runtime::Mono;

use super::series::Series;
use super::stages::Stages;

/// The longest time that is told apart from longer ones: an hour.
pub const TIME_NS_MAX: u64 = 3_600_000_000_000;
/// Different error codes that are kept for one kind; the rest is counted as `Other`.
pub const CODES_MAX: usize = 64;

/// A kind of operation, as DynamoDB calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// PutItem.
    Put,
    /// GetItem.
    Get,
    /// BatchWriteItem.
    Batch,
    /// PutItem of a new item, in a mix.
    Insert,
    /// UpdateItem.
    Update,
    /// PutItem with a condition.
    PutIf,
    /// GetItem and PutItem, one after the other.
    Modify,
    /// Query.
    Query,
    /// BatchGetItem.
    BatchGet,
    /// DeleteItem.
    Delete,
}

impl Kind {
    /// Whether it only reads.
    pub fn reads(self) -> bool {
        matches!(self, Kind::Get | Kind::Query | Kind::BatchGet)
    }

    /// DynamoDB's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Put => "PutItem",
            Kind::Get => "GetItem",
            Kind::Batch => "BatchWriteItem",
            Kind::Insert => "PutItem new",
            Kind::Update => "UpdateItem",
            Kind::PutIf => "PutItem if",
            Kind::Modify => "GetItem+PutItem",
            Kind::Query => "Query",
            Kind::BatchGet => "BatchGetItem",
            Kind::Delete => "DeleteItem",
        }
    }
}

/// When one operation was due, was sent and was over.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// When the schedule wanted it sent.
    pub due: Mono,
    /// When it was sent.
    pub sent: Mono,
    /// When its answer was whole, or when it was given up.
    pub done: Mono,
}

/// Counts of one core, merged at the end.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    /// Statistics by kind.
    pub kinds: BTreeMap<Kind, Stats>,
    /// When the first counted operation was due.
    begin: Option<Mono>,
    /// When the last counted operation was over.
    end: Mono,
    /// Time that the counted operations took all together, the longest of all cores after a merge.
    span: Duration,
    /// What each second had, if a beginning was said.
    pub series: Option<Series>,
    /// Where the server says that sampled requests' time went.
    pub stages: BTreeMap<Kind, Stages>,
}

/// Counts of one kind of operation.
#[derive(Clone)]
pub struct Stats {
    /// Operations that were answered as they should be.
    pub ok: u64,
    /// Items that these wrote or read.
    pub items: u64,
    /// Operations that were not, by code.
    pub errors: BTreeMap<String, u64>,
    /// Nanoseconds from due to done, failures included.
    pub response: Histogram<u64>,
    /// Nanoseconds from sent to done, failures included, operations that were never sent excluded.
    pub service: Histogram<u64>,
}

impl fmt::Debug for Stats {
    /// Without the thousands of buckets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stats { ok, items, errors, response, .. } = self;
        let p99 = Duration::from_nanos(response.value_at_quantile(0.99));
        write!(f, "Stats {{ ok: {ok}, items: {items}, errors: {errors:?}, p99: {p99:?} }}")
    }
}

impl Default for Stats {
    fn default() -> Stats {
        let histogram = histogram();
        Stats { ok: 0, items: 0, errors: BTreeMap::new(), response: histogram.clone(), service: histogram }
    }
}

impl Recorder {
    /// One that also keeps what each of the pieces of time had, `width` long each, from `origin` on.
    pub fn with_series(origin: Mono, width: Duration) -> Recorder {
        Recorder { series: Some(Series::new(origin, width)), ..Recorder::default() }
    }

    /// An operation on `items` items that went well.
    pub fn ok(&mut self, kind: Kind, times: Times, items: u64) {
        self.times(kind, times, true);
        let stats = self.kinds.entry(kind).or_default();
        stats.ok += 1;
        stats.items += items;
    }

    /// An operation that did not.
    pub fn error(&mut self, kind: Kind, times: Times, code: &str) {
        self.times(kind, times, false);
        self.kinds.entry(kind).or_default().error(code);
    }

    /// An operation that was due and could never be sent: its time so far is the least that it would have taken, and
    /// leaving it out would flatter the server that kept it waiting.
    pub fn unsent(&mut self, kind: Kind, due: Mono, now: Mono) {
        let stats = self.kinds.entry(kind).or_default();
        stats.response.saturating_record(nanos(now.since(due)));
        stats.error("NotSent");
        if let Some(series) = &mut self.series {
            series.note(kind, now, nanos(now.since(due)), false);
        }
    }

    /// Nothing more comes.
    pub fn finish(&mut self) {
        if let Some(series) = &mut self.series {
            series.finish();
        }
    }

    /// Adds what another core has counted in the same time.
    pub fn merge(&mut self, other: &Recorder) {
        for (kind, stats) in &other.kinds {
            self.kinds.entry(*kind).or_default().merge(stats);
        }
        for (kind, stages) in &other.stages {
            self.stages.entry(*kind).or_default().merge(stages);
        }
        match (&mut self.series, &other.series) {
            (Some(series), Some(others)) => series.merge(others),
            (None, Some(others)) => self.series = Some(others.clone()),
            (_, None) => {}
        }
        self.span = self.span().max(other.span());
    }

    /// How long the counted operations took all together: from the first due to the last done.
    pub fn span(&self) -> Duration {
        self.span.max(self.begin.map_or(Duration::ZERO, |begin| self.end.since(begin)))
    }

    fn times(&mut self, kind: Kind, times: Times, ok: bool) {
        assert!(times.due <= times.sent && times.sent <= times.done, "time runs backwards: {times:?}");
        self.begin = Some(self.begin.map_or(times.due, |begin| begin.min(times.due)));
        self.end = self.end.max(times.done);
        let stats = self.kinds.entry(kind).or_default();
        stats.response.saturating_record(nanos(times.done.since(times.due)));
        stats.service.saturating_record(nanos(times.done.since(times.sent)));
        if let Some(series) = &mut self.series {
            series.note(kind, times.done, nanos(times.done.since(times.due)), ok);
        }
    }
}

impl Stats {
    /// Operations that went wrong.
    pub fn errors_total(&self) -> u64 {
        self.errors.values().sum()
    }

    fn error(&mut self, code: &str) {
        let room = self.errors.len() < CODES_MAX || self.errors.contains_key(code);
        let code = if room { code } else { "Other" };
        match self.errors.get_mut(code) {
            Some(count) => *count += 1,
            None => drop(self.errors.insert(code.to_owned(), 1)),
        }
    }

    fn merge(&mut self, other: &Stats) {
        self.ok += other.ok;
        self.items += other.items;
        for (code, count) in &other.errors {
            *self.errors.entry(code.clone()).or_default() += count;
        }
        self.response.add(&other.response).expect("the same bounds everywhere");
        self.service.add(&other.service).expect("the same bounds everywhere");
    }
}

/// An empty one, for nanoseconds.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, TIME_NS_MAX, 3).expect("bounds and digits in range")
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).clamp(1, TIME_NS_MAX)
}

#[cfg(test)]
mod tests;
