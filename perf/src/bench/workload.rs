//! What the next operation is, and what its end means. One workload for each core.
//!
//! Keys are numbers from 0. Core `c` of `n` owns the keys c, c + n, c + 2n and so on: it alone makes new ones among
//! them, and with `--verify` it alone reads and writes them, so that its [`Ledger`] needs no other core.
//!
//! The phases of a run are workloads, too: loading before the measurement and reading back after it. These two insist:
//! what fails is tried again, [`TRIES_MAX`] times, and then the phase fails.

use std::collections::BTreeSet;
use std::ops::Range;

use super::client::Answer;
use super::keys::{Chance, Chooser};
use super::mix::{Mix, Verb};
use super::options::{Plan, Work};
use super::read::{Got, Many, Page, Read};
use super::recorder::Kind;
use super::request::{Contents, Demand, Requests};
use super::trace::{Asked, Line};
use super::verify::{Findings, Ledger, Outcome};

/// Tries of one operation of a phase that insists.
pub const TRIES_MAX: u32 = 10;
/// One of so many conditions cannot hold.
const FUTILE_EVERY: u64 = 8;
/// New items of one turn, at most: later turns of a run on the same table make theirs beyond.
const TURN_ITEMS_MAX: u64 = 1 << 32;
/// What a condition that does not hold is answered with.
const CONDITION_FAILED: &str = "ConditionalCheckFailedException";
/// Keys drawn to find one that may be written, with `--verify`; then the last one is read instead.
const DRAWS_MAX: u32 = 8;

/// One of the cores that share a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// From 0.
    pub index: usize,
    /// How many there are.
    pub count: usize,
}

impl Part {
    /// The only core.
    pub const WHOLE: Part = Part { index: 0, count: 1 };

    /// This part's share of `total`; the first parts take what is left over.
    pub fn share(self, total: u64) -> u64 {
        let count = self.count as u64;
        total / count + u64::from((self.index as u64) < total % count)
    }

    /// The key at place `index` among this part's own.
    fn key(self, index: u64) -> u64 {
        index * self.count as u64 + self.index as u64
    }

    /// Whether `key` is one of this part's own.
    fn owns(self, key: u64) -> bool {
        key % self.count as u64 == self.index as u64
    }

    /// The place of `key` among this part's own.
    fn index(self, key: u64) -> u64 {
        assert!(self.owns(key), "another core's key");
        key / self.count as u64
    }
}

/// One operation: one request, or two for [`Operation::Modify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// PutItem.
    Put {
        /// Which item.
        key: u64,
        /// Which version of it.
        version: u64,
        /// What it demands.
        demand: Demand,
        /// Bytes of it; 0 where its own size is meant.
        size: u32,
    },
    /// PutItem of an item that was not there.
    Insert {
        /// Which item.
        key: u64,
        /// Which version of it.
        version: u64,
    },
    /// UpdateItem.
    Update {
        /// Which item.
        key: u64,
        /// Which version of it.
        version: u64,
        /// Bytes of it; 0 where its own size is meant.
        size: u32,
    },
    /// GetItem and then PutItem of the same item.
    Modify {
        /// Which item.
        key: u64,
        /// Which version of it is written.
        version: u64,
        /// With `--verify`, the version that must at least be read.
        floor: u64,
        /// Whether it was read.
        was_read: bool,
    },
    /// DeleteItem.
    Delete {
        /// Which item.
        key: u64,
    },
    /// GetItem.
    Get {
        /// Which item.
        key: u64,
        /// With `--verify`, the version that it must at least show.
        floor: u64,
    },
    /// Query of one partition.
    Query {
        /// The first item.
        key: u64,
        /// How many, at most.
        count: u64,
        /// With `--verify`, the core's own items that may be among them, and the versions that these must at least show.
        floors: Vec<(u64, u64)>,
    },
    /// BatchGetItem.
    BatchGet {
        /// Which items, and, with `--verify`, the versions that they must at least show.
        floors: Vec<(u64, u64)>,
    },
    /// BatchWriteItem of items that are there.
    BatchPut {
        /// Which items and which versions of them.
        writes: Vec<(u64, u64)>,
    },
    /// BatchWriteItem of this core's own keys, version 1.
    Batch {
        /// Place of the first key among the core's own.
        first: u64,
        /// How many.
        count: u64,
    },
}

impl Operation {
    /// What DynamoDB calls it.
    pub fn kind(&self) -> Kind {
        match self {
            Operation::Put { demand: Demand::Nothing, .. } | Operation::Batch { count: 1, .. } => Kind::Put,
            Operation::Put { .. } => Kind::PutIf,
            Operation::Insert { .. } => Kind::Insert,
            Operation::Update { .. } => Kind::Update,
            Operation::Modify { .. } => Kind::Modify,
            Operation::Delete { .. } => Kind::Delete,
            Operation::Get { .. } => Kind::Get,
            Operation::Query { .. } => Kind::Query,
            Operation::BatchGet { .. } => Kind::BatchGet,
            Operation::BatchPut { .. } | Operation::Batch { .. } => Kind::Batch,
        }
    }

    /// Items that it reads or writes.
    pub fn items(&self) -> u64 {
        match self {
            Operation::Batch { count, .. } => *count,
            Operation::BatchGet { floors } => floors.len() as u64,
            Operation::BatchPut { writes } => writes.len() as u64,
            _ => 1,
        }
    }

    /// What is sent next of the same operation, after an answer that was fine.
    pub fn rest(&self) -> Option<Operation> {
        match *self {
            Operation::Modify { key, version, floor, was_read: false } => {
                Some(Operation::Modify { key, version, floor, was_read: true })
            }
            _ => None,
        }
    }

    /// Items that it writes, and versions.
    fn writes(&self) -> Vec<(u64, u64)> {
        match self {
            Operation::Put { key, version, .. }
            | Operation::Insert { key, version }
            | Operation::Update { key, version, .. }
            | Operation::Modify { key, version, .. } => vec![(*key, *version)],
            Operation::BatchPut { writes } => writes.clone(),
            _ => Vec::new(),
        }
    }
}

/// How one operation ended, as the lane saw it.
#[derive(Debug, PartialEq, Eq)]
pub enum End<'a> {
    /// The server answered.
    Answered(Answer<'a>),
    /// It did not; the words say why.
    Unanswered(String),
}

/// What the next operation is.
#[derive(Debug)]
pub struct Workload {
    part: Part,
    task: Task,
    chance: Chance,
    /// With `--verify`: what is known of this core's own keys.
    ledger: Option<Ledger>,
    findings: Findings,
    /// Operations that may still be started.
    budget: u64,
    failure: Option<String>,
    /// Of the table, where new items are made.
    loaded: u64,
    turn: u64,
}

/// What a phase does.
#[derive(Debug)]
enum Task {
    PutUnique { next: u64 },
    Choose(Box<Choose>),
    Load { next: u64, end: u64, batch: u64 },
    ReadBack { next: u64 },
    Trace { lines: Vec<Line>, version: u64 },
}

/// Operations over keys that are there, and new ones.
#[derive(Debug)]
struct Choose {
    chooser: Chooser,
    mix: Mix,
    /// Of the last write without a ledger: versions only need to differ, so that every write changes its item.
    version: u64,
    /// Whether keys are drawn by their place among the core's own.
    own: bool,
    /// Place of the next new item among the core's own.
    next: u64,
    new: New,
}

/// New items that can be read by now.
#[derive(Debug, Default)]
struct New {
    /// So many came after those that were loaded, each of them written or in `holes`.
    count: u64,
    /// Written, beyond the first that is still on its way.
    ahead: BTreeSet<u64>,
    /// Not written, as far as is known. One for each failed PutItem.
    holes: BTreeSet<u64>,
}

impl New {
    /// The PutItem of the item at `place` is over; `base` items were loaded.
    fn settle(&mut self, base: u64, place: u64, written: bool) {
        self.ahead.insert(place);
        if !written {
            self.holes.insert(place);
        }
        while self.ahead.remove(&(base + self.count)) {
            self.count += 1;
        }
    }

    /// The place itself, or the last before it that holds an item.
    fn readable(&self, place: u64) -> u64 {
        let mut place = place;
        while self.holes.contains(&place) {
            place -= 1;
        }
        place
    }
}

/// Whether an operation that went wrong is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It did what it should.
    Fine,
    /// It did not; count it under this code and go on.
    Error(String),
    /// It did not, and the phase insists.
    Again(String),
}

impl Workload {
    /// Loads keys 0 to `plan.preload` less 1, those that are this part's own.
    pub fn preload(plan: &Plan, part: Part) -> Workload {
        let task = Task::Load { next: 0, end: part.share(plan.preload), batch: plan.batch as u64 };
        Workload::new(part, task, Chance::new(0, 0), None, u64::MAX)
    }

    /// What `plan` measures.
    pub fn measured(plan: &Plan, part: Part, seed: u64) -> Workload {
        let task = match &plan.work {
            Work::PutUnique => Task::PutUnique { next: part.share(plan.existing()) },
            Work::Mix(mix) => Task::Choose(Box::new(Choose::new(plan, part, *mix))),
            Work::Load => Task::Load { next: 0, end: part.share(plan.key_count), batch: plan.batch as u64 },
            Work::Trace(trace) => Task::Trace { lines: trace.part(part.index, part.count), version: 1 },
        };
        // A load is read back only if all of it has succeeded.
        let loaded = if plan.work == Work::Load { plan.key_count } else { plan.preload };
        let ledger = plan.verify.then(|| Ledger::loaded(part.share(loaded)));
        let chance = Chance::new(seed.wrapping_add(plan.turn), part.index as u64);
        let workload = Workload::new(part, task, chance, ledger, part.share(plan.requests_max));
        Workload { loaded: plan.existing(), turn: plan.turn, ..workload }
    }

    /// A workload that reads every key of the ledger once, and how many these are; the ledger moves there.
    /// `None` without `--verify`.
    pub fn read_back(&mut self) -> Option<(Workload, u64)> {
        let ledger = self.ledger.take()?;
        let keys = ledger.count();
        let chance = self.chance.clone();
        let mut workload =
            Workload::new(self.part, Task::ReadBack { next: 0 }, chance, Some(ledger), u64::MAX);
        workload.findings = std::mem::take(&mut self.findings);
        workload.loaded = self.loaded;
        Some((workload, keys))
    }

    fn new(part: Part, task: Task, chance: Chance, ledger: Option<Ledger>, budget: u64) -> Workload {
        let findings = Findings::default();
        Workload { part, task, chance, ledger, findings, budget, failure: None, loaded: 0, turn: 0 }
    }

    /// The operation of slot `slot`; `None` when there are no more, or when the phase has failed.
    pub fn start(&mut self, slot: u64) -> Option<Operation> {
        if self.failure.is_some() || self.budget == 0 {
            return None;
        }
        let operation = match &mut self.task {
            Task::PutUnique { next } => {
                let place = *next;
                *next += 1;
                let (key, version) = self.new_item(place);
                Operation::Put { key, version, demand: Demand::Nothing, size: 0 }
            }
            Task::Choose(choose) => {
                let verb = choose.mix.verb(self.chance.below(1000));
                self.choose(verb)
            }
            Task::Trace { lines, version } => {
                *version += 1;
                recorded(*lines.get(slot as usize)?, *version)
            }
            Task::Load { next, end, batch } => {
                let count = (*batch).min(*end - *next);
                let first = *next;
                *next += count;
                if count == 0 {
                    return None;
                }
                Operation::Batch { first, count }
            }
            Task::ReadBack { next } => {
                let index = *next;
                *next += 1;
                let known = self.ledger.as_ref().map_or(0, Ledger::count);
                if index >= known {
                    return None;
                }
                self.get(self.part.key(index))
            }
        };
        self.budget -= 1;
        Some(operation)
    }

    /// The kind of an operation that could not be started in time: what most operations of this workload are.
    pub fn kind_unsent(&self) -> Kind {
        match &self.task {
            Task::PutUnique { .. } => Kind::Put,
            Task::Choose(choose) => kind(choose.mix.most()),
            Task::ReadBack { .. } | Task::Trace { .. } => Kind::Get,
            Task::Load { .. } => Kind::Batch,
        }
    }

    /// Counts an operation that was due and could not be started in time; false when there are no more of them.
    pub fn skip(&mut self) -> bool {
        let left = self.budget > 0 && self.failure.is_none();
        self.budget = self.budget.saturating_sub(1);
        left
    }

    /// Writes the request of `operation`.
    pub fn request(&self, requests: &Requests, into: &mut Vec<u8>, operation: &Operation) {
        match operation {
            Operation::Put { key, version, demand, size } => {
                requests.put(into, *key, *version, *demand, *size)
            }
            Operation::Insert { key, version } | Operation::Modify { key, version, was_read: true, .. } => {
                requests.put(into, *key, *version, Demand::Nothing, 0);
            }
            Operation::Update { key, version, size } => requests.update(into, *key, *version, *size),
            Operation::Delete { key } => requests.delete(into, *key),
            Operation::Get { key, .. } | Operation::Modify { key, .. } => requests.get(into, *key),
            Operation::Query { key, count, .. } => requests.query(into, *key, *count),
            Operation::BatchGet { floors } => requests.batch_get(into, floors.iter().map(|(key, _)| *key)),
            Operation::BatchPut { writes } => requests.batch(into, writes.iter().copied()),
            Operation::Batch { first, count: 1 } => {
                requests.put(into, self.part.key(*first), 1, Demand::Nothing, 0);
            }
            Operation::Batch { first, count } => {
                requests.batch(into, (*first..first + count).map(|index| (self.part.key(index), 1)));
            }
        }
    }

    /// Takes note of how `operation` ended.
    pub fn settle(&mut self, contents: &Contents, operation: &Operation, end: &End<'_>) -> Ruling {
        self.note_write(operation, end);
        let problem = match (operation, end) {
            (Operation::Put { demand: Demand::Absent, key, .. }, End::Answered(Answer::Done(_))) => {
                self.findings_or(format!("key {key}: a condition held that could not"), "ConditionIgnored")
            }
            (Operation::Put { demand: Demand::Absent, .. }, End::Answered(Answer::Refused(code)))
                if code == CONDITION_FAILED =>
            {
                None
            }
            (_, End::Answered(Answer::Done(body))) => self.judge(contents, operation, body),
            (_, End::Answered(Answer::Refused(code) | Answer::Failed(code))) => Some(code.clone()),
            (_, End::Unanswered(why)) => Some(why.clone()),
        };
        let insists = matches!(self.task, Task::Load { .. } | Task::ReadBack { .. });
        match problem {
            None => Ruling::Fine,
            Some(code) if insists => Ruling::Again(code),
            Some(code) => Ruling::Error(code),
        }
    }

    /// Ends the phase: `operation` was tried [`TRIES_MAX`] times.
    pub fn fail(&mut self, operation: &Operation, code: &str) {
        let name = operation.kind().name();
        let doing = if matches!(self.task, Task::Load { .. }) { "loading" } else { "reading back" };
        self.failure
            .get_or_insert_with(|| format!("{doing}: {name} failed {TRIES_MAX} times, at last with {code}"));
    }

    /// Why the phase failed, if it did.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// What reads have shown; empty without `--verify`.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// The operation of this kind that comes next.
    fn choose(&mut self, verb: Verb) -> Operation {
        match verb {
            Verb::Get => self.get_chosen(),
            Verb::Insert => self.insert(),
            Verb::Query => self.query(),
            Verb::BatchGet => {
                let keys: BTreeSet<u64> = (0..self.items_drawn()).map(|_| self.key_chosen()).collect();
                Operation::BatchGet { floors: keys.into_iter().map(|key| (key, self.floor(key))).collect() }
            }
            Verb::BatchWrite => {
                let count = self.items_drawn();
                let mut writes: Vec<(u64, u64)> = Vec::new();
                for _ in 0..count {
                    let seen = |key| writes.iter().any(|(known, _)| *known == key);
                    let key = self.key_chosen();
                    if !seen(key)
                        && let Some(version) = self.version(key)
                    {
                        writes.push((key, version));
                    }
                }
                if writes.is_empty() { self.get_chosen() } else { Operation::BatchPut { writes } }
            }
            Verb::Put | Verb::Update | Verb::PutIf | Verb::Modify => self.write_chosen(verb),
        }
    }

    fn write_chosen(&mut self, verb: Verb) -> Operation {
        for _ in 0..DRAWS_MAX {
            let key = self.key_chosen();
            let floor = self.floor(key);
            let Some(version) = self.version(key) else { continue };
            let put = |demand| Operation::Put { key, version, demand, size: 0 };
            return match verb {
                Verb::Update => Operation::Update { key, version, size: 0 },
                Verb::Modify => Operation::Modify { key, version, floor, was_read: false },
                Verb::PutIf if self.chance.below(FUTILE_EVERY) == 0 => put(Demand::Absent),
                Verb::PutIf => put(Demand::Exists),
                _ => put(Demand::Nothing),
            };
        }
        self.get_chosen()
    }

    fn query(&mut self) -> Operation {
        let (key, count) = (self.key_chosen(), self.items_drawn());
        let known = self.ledger.as_ref().map_or(0, Ledger::count);
        let own = |key: &u64| self.part.owns(*key) && self.part.index(*key) < known;
        let floors = (key..key + count).filter(own).map(|key| (key, self.floor(key))).collect();
        Operation::Query { key, count, floors }
    }

    fn insert(&mut self) -> Operation {
        let choose = self.chooses();
        let place = choose.next;
        choose.next += 1;
        let (key, version) = self.new_item(place);
        Operation::Insert { key, version }
    }

    /// Key and version of the new item at `place` among the core's own.
    fn new_item(&mut self, place: u64) -> (u64, u64) {
        let version = match &mut self.ledger {
            None => 1,
            Some(ledger) => ledger.write_begin(place).expect("nobody has written a new key"),
        };
        (self.own_key(place), version)
    }

    fn get_chosen(&mut self) -> Operation {
        let key = self.key_chosen();
        self.get(key)
    }

    fn get(&self, key: u64) -> Operation {
        Operation::Get { key, floor: self.floor(key) }
    }

    /// With `--verify`, the version that a read of `key` which begins now must at least show.
    fn floor(&self, key: u64) -> u64 {
        self.ledger.as_ref().map_or(0, |ledger| ledger.read_begin(self.part.index(key)))
    }

    /// The version that a write of `key` makes; `None` while it must not be written.
    fn version(&mut self, key: u64) -> Option<u64> {
        if let Some(ledger) = &mut self.ledger {
            return ledger.write_begin(self.part.index(key));
        }
        let choose = self.chooses();
        choose.version += 1;
        Some(choose.version)
    }

    fn key_chosen(&mut self) -> u64 {
        let Task::Choose(choose) = &self.task else { unreachable!("keys are chosen") };
        let drawn = choose.chooser.next(&mut self.chance, choose.new.count);
        if choose.own { self.own_key(choose.new.readable(drawn)) } else { drawn }
    }

    fn items_drawn(&mut self) -> u64 {
        let items_max = self.chooses().mix.items_max;
        self.chance.below(items_max) + 1
    }

    fn chooses(&mut self) -> &mut Choose {
        let Task::Choose(choose) = &mut self.task else { unreachable!("keys are chosen") };
        choose
    }

    /// The key at `place` among the core's own: those that were loaded, then those of this turn.
    fn own_key(&self, place: u64) -> u64 {
        let is_new = place >= self.part.share(self.loaded);
        self.part.key(if is_new { place + self.turn * TURN_ITEMS_MAX } else { place })
    }

    fn note_write(&mut self, operation: &Operation, end: &End<'_>) {
        if matches!(operation, Operation::Modify { was_read: false, .. })
            && matches!(end, End::Answered(Answer::Done(_)))
        {
            return;
        }
        let outcome = match (operation, end) {
            // Which of them are there is not said in a form that would be worth reading.
            (Operation::BatchPut { .. }, End::Answered(Answer::Done(body))) if leaves_work(body) => {
                Outcome::Unknown
            }
            // The read failed: nothing was written.
            (Operation::Modify { was_read: false, .. }, _) => Outcome::Refused,
            (_, End::Answered(Answer::Done(_))) => Outcome::Acknowledged,
            (_, End::Answered(Answer::Refused(_))) => Outcome::Refused,
            (_, End::Answered(Answer::Failed(_)) | End::Unanswered(_)) => Outcome::Unknown,
        };
        if let (Operation::Insert { key, .. }, Task::Choose(choose)) = (operation, &mut self.task) {
            let place = self.part.index(*key) - self.turn * TURN_ITEMS_MAX;
            choose.new.settle(self.part.share(self.loaded), place, outcome == Outcome::Acknowledged);
        }
        if let Some(ledger) = &mut self.ledger {
            for (key, version) in operation.writes() {
                ledger.write_end(self.part.index(key), version, outcome);
            }
        }
    }

    /// With `--verify` a finding, without it an error of this code.
    fn findings_or(&mut self, wrong: String, code: &str) -> Option<String> {
        if self.ledger.is_none() {
            return Some(code.to_owned());
        }
        self.findings.note(Err(wrong));
        None
    }

    /// The code of an answer that is of no use. What `--verify` finds wrong is a finding, not an error.
    fn judge(&mut self, contents: &Contents, operation: &Operation, body: &[u8]) -> Option<String> {
        let contains = |part: &[u8]| body.windows(part.len()).any(|window| window == part);
        if self.ledger.is_some() {
            self.verify(contents, operation, body);
        } else if matches!(self.task, Task::Trace { .. }) {
            // What was recorded may have read what was not there, or was deleted.
            return None;
        }
        match operation {
            Operation::Batch { .. } | Operation::BatchPut { .. } if leaves_work(body) => {
                Some("UnprocessedItems".to_owned())
            }
            Operation::BatchGet { .. } if !contains(b"\"UnprocessedKeys\":{}") => {
                Some("UnprocessedKeys".to_owned())
            }
            _ if self.ledger.is_some() => None,
            Operation::Get { .. } | Operation::Modify { was_read: false, .. }
                if !body.starts_with(b"{\"Item\":{") =>
            {
                Some("ItemMissing".to_owned())
            }
            Operation::Query { .. } if !contains(b"\"Items\":[{") => Some("ItemsMissing".to_owned()),
            _ => None,
        }
    }

    /// Compares what was read with what was acknowledged.
    fn verify(&mut self, contents: &Contents, operation: &Operation, body: &[u8]) {
        match operation {
            Operation::Get { key, floor } | Operation::Modify { key, floor, was_read: false, .. } => {
                let read = Got::read(body).map_err(|error| format!("key {key}: {error}"));
                let judged = read.and_then(|read| self.judge_item(contents, (*key, *floor), read.as_ref()));
                self.findings.note(judged);
            }
            Operation::BatchGet { floors } => match Many::read(body) {
                Err(error) => self.findings.note(Err(error)),
                Ok(items) => {
                    for (key, floor) in floors {
                        let item = items.iter().find(|item| item.key(contents) == Some(*key));
                        let judged = self.judge_item(contents, (*key, *floor), item);
                        self.findings.note(judged);
                    }
                }
            },
            Operation::Query { key, count, floors } => {
                let items = Page::read(body);
                let judged =
                    items.and_then(|items| self.judge_page(contents, *key..key + count, floors, &items));
                self.findings.note(judged);
            }
            _ => {}
        }
    }

    /// Judges what a read of `key` showed, which began when `floor` was acknowledged.
    fn judge_item(
        &self,
        contents: &Contents,
        (key, floor): (u64, u64),
        item: Option<&Read<'_>>,
    ) -> Result<(), String> {
        let version = item.map_or(Ok(0), |item| item.version(contents, key))?;
        let ledger = self.ledger.as_ref().expect("only with --verify");
        ledger.read_end(self.part.index(key), floor, version).map_err(|wrong| format!("key {key}: {wrong}"))
    }

    /// Judges a page of the items of `asked`: all that were loaded are there, in order, as somebody wrote them, and own ones are not older
    /// than what was acknowledged.
    fn judge_page(
        &self,
        contents: &Contents,
        asked: Range<u64>,
        floors: &[(u64, u64)],
        items: &[Read<'_>],
    ) -> Result<(), String> {
        let begin = asked.start;
        let group_end = contents.group_end(begin) + 1;
        if items.len() as u64 > asked.end - begin {
            return Err(format!(
                "a page from key {begin} on: {} items, {} were asked for",
                items.len(),
                asked.end - begin
            ));
        }
        let missing = |key| Err(format!("a page from key {begin} on: key {key} is missing"));
        let mut expected = begin;
        for item in items {
            let found = item.key(contents).filter(|found| (expected..group_end).contains(found));
            let found =
                found.ok_or_else(|| format!("a page from key {begin} on: `{}` is not next", item.name()))?;
            if expected < found.min(self.loaded) {
                return missing(expected);
            }
            match floors.iter().find(|(key, _)| *key == found) {
                Some(own) => self.judge_item(contents, *own, Some(item))?,
                None => drop(item.version(contents, found)?),
            }
            expected = found + 1;
        }
        // Where new items were not written the page goes on beyond what was asked for.
        if expected < asked.end.min(group_end).min(self.loaded) { missing(expected) } else { Ok(()) }
    }
}

impl Choose {
    fn new(plan: &Plan, part: Part, mix: Mix) -> Choose {
        let own = plan.verify || mix.share(Verb::Insert) > 0;
        let keys = if own { part.share(plan.key_count) } else { plan.key_count };
        let next = part.share(plan.existing());
        Choose { chooser: Chooser::new(plan.choice, keys), mix, version: 1, own, next, new: New::default() }
    }
}

/// The kind that a verb is counted as.
fn kind(verb: Verb) -> Kind {
    match verb {
        Verb::Get => Kind::Get,
        Verb::Put => Kind::Put,
        Verb::Insert => Kind::Insert,
        Verb::Update => Kind::Update,
        Verb::PutIf => Kind::PutIf,
        Verb::Modify => Kind::Modify,
        Verb::Query => Kind::Query,
        Verb::BatchGet => Kind::BatchGet,
        Verb::BatchWrite => Kind::Batch,
    }
}

/// What a recorded line asks for; a write makes version `version`.
fn recorded(line: Line, version: u64) -> Operation {
    let Line { asked, key, size, .. } = line;
    match asked {
        Asked::Get => Operation::Get { key, floor: 0 },
        Asked::Put => Operation::Put { key, version, demand: Demand::Nothing, size },
        Asked::Update => Operation::Update { key, version, size },
        Asked::Delete => Operation::Delete { key },
    }
}

/// Whether a BatchWriteItem that was answered has left items unwritten.
fn leaves_work(body: &[u8]) -> bool {
    let done = b"\"UnprocessedItems\":{}";
    let named = b"UnprocessedItems";
    let contains = |part: &[u8]| body.windows(part.len()).any(|window| window == part);
    contains(named) && !contains(done)
}

#[cfg(test)]
mod tests;
