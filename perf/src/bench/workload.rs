//! What the next operation is, and what its end means. One workload for each core.
//!
//! Keys are numbers from 0. Core `c` of `n` owns the keys c, c + n, c + 2n and so on: it alone makes new ones among
//! them, and with `--verify` it alone reads and writes them, so that its [`Ledger`] needs no other core.
//!
//! The phases of a run are workloads, too: loading before the measurement and reading back after it. These two insist:
//! what fails is tried again, [`TRIES_MAX`] times, and then the phase fails.

use std::borrow::Cow;

use super::client::Answer;
use super::keys::{Chance, Chooser};
use super::options::{Plan, Work};
use super::recorder::Kind;
use super::request::{Contents, Requests, write_key};
use super::verify::{Findings, Ledger, Outcome};

/// Tries of one operation of a phase that insists.
pub const TRIES_MAX: u32 = 10;
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

    /// The place of `key` among this part's own.
    fn index(self, key: u64) -> u64 {
        assert_eq!(key % self.count as u64, self.index as u64, "another core's key");
        key / self.count as u64
    }
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// PutItem.
    Put {
        /// Which item.
        key: u64,
        /// Which version of it.
        version: u64,
    },
    /// GetItem.
    Get {
        /// Which item.
        key: u64,
        /// With `--verify`, the version that it must at least show.
        floor: u64,
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
            Operation::Put { .. } | Operation::Batch { count: 1, .. } => Kind::Put,
            Operation::Get { .. } => Kind::Get,
            Operation::Batch { .. } => Kind::Batch,
        }
    }

    /// Items that it reads or writes.
    pub fn items(&self) -> u64 {
        if let Operation::Batch { count, .. } = self { *count } else { 1 }
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
}

/// What a phase does.
#[derive(Debug)]
enum Task {
    PutUnique { next: u64 },
    Choose { chooser: Chooser, reads_percent: u64, version: u64 },
    Load { next: u64, end: u64, batch: u64 },
    ReadBack { next: u64 },
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
        let keys = if plan.verify { part.share(plan.key_count) } else { plan.key_count };
        let choose = |reads_percent| {
            let chooser = Chooser::new(plan.choice, keys);
            Task::Choose { chooser, reads_percent, version: 1 }
        };
        let task = match plan.work {
            Work::PutUnique => Task::PutUnique { next: part.share(plan.preload) },
            Work::PutChosen => choose(0),
            Work::Get => choose(100),
            Work::Mixed { reads_percent } => choose(u64::from(reads_percent)),
            Work::Load => Task::Load { next: 0, end: part.share(plan.key_count), batch: plan.batch as u64 },
        };
        // A load is read back only if all of it has succeeded.
        let loaded = if plan.work == Work::Load { plan.key_count } else { plan.preload };
        let ledger = plan.verify.then(|| Ledger::loaded(part.share(loaded)));
        let chance = Chance::new(seed, part.index as u64);
        Workload::new(part, task, chance, ledger, part.share(plan.requests_max))
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
        Some((workload, keys))
    }

    fn new(part: Part, task: Task, chance: Chance, ledger: Option<Ledger>, budget: u64) -> Workload {
        Workload { part, task, chance, ledger, findings: Findings::default(), budget, failure: None }
    }

    /// The next operation; `None` when there are no more, or when the phase has failed.
    pub fn start(&mut self) -> Option<Operation> {
        if self.failure.is_some() || self.budget == 0 {
            return None;
        }
        let operation = match &mut self.task {
            Task::PutUnique { next } => {
                let index = *next;
                *next += 1;
                self.put_new(index)
            }
            Task::Choose { reads_percent, .. } => {
                let read = self.chance.below(100) < *reads_percent;
                if read { self.get_chosen() } else { self.put_chosen() }
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
            Task::Choose { reads_percent, .. } if *reads_percent < 50 => Kind::Put,
            Task::Choose { .. } | Task::ReadBack { .. } => Kind::Get,
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
        match *operation {
            Operation::Put { key, version } => requests.put(into, key, version),
            Operation::Get { key, .. } => requests.get(into, key),
            Operation::Batch { first, count: 1 } => requests.put(into, self.part.key(first), 1),
            Operation::Batch { first, count } => {
                requests.batch(into, (first..first + count).map(|index| self.part.key(index)), 1);
            }
        }
    }

    /// Takes note of how `operation` ended.
    pub fn settle(&mut self, contents: &Contents, operation: &Operation, end: &End<'_>) -> Ruling {
        self.note_write(operation, end);
        let problem = match (operation, end) {
            (Operation::Get { key, floor }, End::Answered(Answer::Done(body))) => {
                self.judge_read(contents, *key, *floor, body)
            }
            (Operation::Batch { .. }, End::Answered(Answer::Done(body))) if leaves_work(body) => {
                Some("UnprocessedItems".to_owned())
            }
            (_, End::Answered(Answer::Done(_))) => None,
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

    fn put_new(&mut self, index: u64) -> Operation {
        let version = match &mut self.ledger {
            None => 1,
            Some(ledger) => ledger.write_begin(index).expect("nobody has written a new key"),
        };
        Operation::Put { key: self.part.key(index), version }
    }

    fn put_chosen(&mut self) -> Operation {
        let Task::Choose { chooser, version, .. } = &mut self.task else { unreachable!("keys are chosen") };
        let Some(ledger) = &mut self.ledger else {
            // Versions only need to differ from each other, so that every write changes its item.
            *version += 1;
            return Operation::Put { key: chooser.next(&mut self.chance), version: *version };
        };
        for _ in 0..DRAWS_MAX {
            let index = chooser.next(&mut self.chance);
            if let Some(version) = ledger.write_begin(index) {
                return Operation::Put { key: self.part.key(index), version };
            }
        }
        self.get_chosen()
    }

    fn get_chosen(&mut self) -> Operation {
        let Task::Choose { chooser, .. } = &self.task else { unreachable!("keys are chosen") };
        let drawn = chooser.next(&mut self.chance);
        // With a ledger keys are drawn by their place among the core's own.
        self.get(if self.ledger.is_some() { self.part.key(drawn) } else { drawn })
    }

    fn get(&self, key: u64) -> Operation {
        let floor = self.ledger.as_ref().map_or(0, |ledger| ledger.read_begin(self.part.index(key)));
        Operation::Get { key, floor }
    }

    fn note_write(&mut self, operation: &Operation, end: &End<'_>) {
        let (Some(ledger), Operation::Put { key, version }) = (&mut self.ledger, operation) else { return };
        let outcome = match end {
            End::Answered(Answer::Done(_)) => Outcome::Acknowledged,
            End::Answered(Answer::Refused(_)) => Outcome::Refused,
            End::Answered(Answer::Failed(_)) | End::Unanswered(_) => Outcome::Unknown,
        };
        ledger.write_end(self.part.index(*key), *version, outcome);
    }

    /// The code of a read that was answered and is of no use. What `--verify` finds wrong is a finding, not an error.
    fn judge_read(&mut self, contents: &Contents, key: u64, floor: u64, body: &[u8]) -> Option<String> {
        let Some(ledger) = &self.ledger else {
            return (!body.starts_with(b"{\"Item\":{")).then(|| "ItemMissing".to_owned());
        };
        let judged = match read_version(contents, key, body) {
            Err(what) => Err(what),
            Ok(read) => {
                let judged = ledger.read_end(self.part.index(key), floor, read);
                judged.map_err(|wrong| format!("key {key}: {wrong}"))
            }
        };
        self.findings.note(judged);
        None
    }
}

/// Whether a BatchWriteItem that was answered has left items unwritten.
fn leaves_work(body: &[u8]) -> bool {
    let done = b"\"UnprocessedItems\":{}";
    let named = b"UnprocessedItems";
    let contains = |part: &[u8]| body.windows(part.len()).any(|window| window == part);
    contains(named) && !contains(done)
}

/// The version in a GetItem answer, 0 where there is no item; an error when the item is not what that version holds.
fn read_version(contents: &Contents, key: u64, body: &[u8]) -> Result<u64, String> {
    #[derive(serde::Deserialize)]
    struct Got<'a> {
        #[serde(rename = "Item", borrow)]
        item: Option<Item<'a>>,
    }
    #[derive(serde::Deserialize)]
    struct Item<'a> {
        #[serde(borrow)]
        pk: Text<'a>,
        v: Number<'a>,
        d: Text<'a>,
    }
    #[derive(serde::Deserialize)]
    struct Text<'a> {
        #[serde(rename = "S", borrow)]
        s: Cow<'a, str>,
    }
    #[derive(serde::Deserialize)]
    struct Number<'a> {
        #[serde(rename = "N", borrow)]
        n: Cow<'a, str>,
    }
    let got: Got<'_> =
        serde_json::from_slice(body).map_err(|error| format!("key {key}: not our item: {error}"))?;
    let Some(item) = got.item else { return Ok(0) };
    let version = item.v.n.parse::<u64>().ok().filter(|version| *version > 0);
    let version = version.ok_or_else(|| format!("key {key}: version `{}`", item.v.n))?;
    let mut name = Vec::new();
    write_key(&mut name, key);
    if item.pk.s.as_bytes() != name {
        return Err(format!("key {key}: the answer is item `{}`", item.pk.s));
    }
    if item.d.s.as_bytes() != contents.filler(key, version) {
        return Err(format!("key {key}: version {version} with another content"));
    }
    Ok(version)
}

#[cfg(test)]
mod tests;
