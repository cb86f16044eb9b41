//! One request's ledger, and which one is the core's present one.
//!
//! ```text
//! begin --mark(Receive)--mark(Parse)--mark(Route)-- call to another core ----------------------fold--mark(Encode)--mark(Send)
//!                                                   |  Route   [Queue|Read|Evaluate]   Route  |
//!                                                              begin ..        served
//! ```
//!
//! 1. A mark gives the time since the last one to a stage. So the stages are the time from `begin` to the last mark, exactly.
//! 2. [`under`] makes a ledger the present one of the core whenever a future is polled. Several shards may work for one request at once, in its own
//!    task: the time between two marks is then the time of whichever came to an end, and still belongs to one stage only.
//! 3. [`Ledger::fold`] takes in what a shard elsewhere spent, from its end backwards, as far as there is time since the last mark: of several that worked
//!    at the same time the first one to answer is counted whole, the next ones from where it ended. What nobody elsewhere spent is the way.
//!
//! Promises: a sum that is exact; no allocation but the ledger itself, which is used again for the connection's next request.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::mem::ManuallyDrop;
use std::pin::{Pin, pin};
use std::rc::Rc;

use runtime::{Runtime, Ticks};

use crate::stage::{Operation, SHARD_FIRST, SHARD_STAGE_COUNT, STAGE_COUNT, Stage};

/// Followers of a vnode whose times are told.
pub const FOLLOWERS_MAX: usize = 3;

/// Bytes of [`Served`] behind a reply.
pub const SERVED_BYTES: usize = 8 * SHARD_STAGE_COUNT + 10 * FOLLOWERS_MAX;

/// When a follower had a write durably: its node, and nanoseconds from the append on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Follower {
    /// Its number; 0 is nobody.
    pub node: u16,
    /// Nanoseconds since the leader's append.
    pub nanos: u64,
}

/// What a shard spent on a request, as it travels back to whoever asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    stages: [u64; SHARD_STAGE_COUNT],
    followers: [Follower; FOLLOWERS_MAX],
}

/// One request's account.
#[derive(Debug)]
pub struct Ledger {
    began: Cell<Ticks>,
    last: Cell<Ticks>,
    /// Nanoseconds that were spent on this core.
    here: [Cell<u64>; STAGE_COUNT],
    /// And by shards on others.
    away: [Cell<u64>; SHARD_STAGE_COUNT],
    /// There is something in `away` or in `followers`.
    folded: Cell<bool>,
    followers: [Cell<Follower>; FOLLOWERS_MAX],
    /// A shard was asked; of one that is kept for others: this shard took it up.
    asked: Cell<bool>,
    /// What is asked.
    operation: Cell<Operation>,
    /// The table's number; 0 is none.
    table: Cell<u32>,
    /// Somebody elsewhere asked: see [`Ledger::served`].
    for_others: bool,
}

thread_local! {
    /// The ledger of the task that runs on this core now.
    /// A thread that ends forgets it: without anything to drop, a look here costs next to nothing.
    static PRESENT: Cell<ManuallyDrop<Option<Rc<Ledger>>>> = const { Cell::new(ManuallyDrop::new(None)) };
}

/// Runs `future` with `ledger` as the core's present one.
pub async fn under<F: Future>(ledger: &Rc<Ledger>, mut future: Pin<&mut F>) -> F::Output {
    poll_fn(|context| {
        let before = PRESENT.replace(ManuallyDrop::new(Some(ledger.clone())));
        let polled = future.as_mut().poll(context);
        drop(ManuallyDrop::into_inner(PRESENT.replace(before)));
        polled
    })
    .await
}

/// The time since the last mark was spent on this stage, by whatever request runs now.
#[inline]
pub fn mark<R: Runtime>(rt: &R, stage: Stage) {
    with_present(|ledger| ledger.mark(rt.ticks(), stage));
}

/// What is present, if a request runs.
#[inline]
pub fn with_present(work: impl FnOnce(&Ledger)) {
    let present = PRESENT.replace(ManuallyDrop::new(None));
    if let Some(ledger) = &*present {
        work(ledger);
    }
    PRESENT.set(present);
}

/// Answers for somebody elsewhere: keeps a ledger of what `future` spends, and puts it behind the reply.
pub async fn serve<R: Runtime>(rt: &R, future: impl Future<Output = Vec<u8>>) -> Vec<u8> {
    let ledger = Rc::new(Ledger::new(true));
    ledger.begin(rt.ticks());
    let mut reply = under(&ledger, pin!(future)).await;
    ledger.served().append_to(&mut reply);
    reply
}

/// Takes what [`serve`] put behind a reply off again, and into the present ledger. False if it is not there.
pub fn fold<R: Runtime>(rt: &R, reply: &mut Vec<u8>) -> bool {
    let Some(served) = Served::take_from(reply) else { return false };
    with_present(|ledger| ledger.fold(rt.ticks(), &served));
    true
}

impl Default for Ledger {
    fn default() -> Ledger {
        Ledger::new(false)
    }
}

impl Ledger {
    fn new(for_others: bool) -> Ledger {
        Ledger {
            began: Cell::default(),
            last: Cell::default(),
            here: Default::default(),
            away: Default::default(),
            folded: Cell::new(false),
            followers: Default::default(),
            asked: Cell::new(false),
            operation: Cell::new(Operation::Other),
            table: Cell::new(0),
            for_others,
        }
    }

    /// A request begins.
    pub fn begin(&self, now: Ticks) {
        self.began.set(now);
        self.last.set(now);
        self.here.iter().for_each(|nanos| nanos.set(0));
        if self.folded.replace(false) {
            self.away.iter().for_each(|nanos| nanos.set(0));
            self.followers.iter().for_each(|follower| follower.set(Follower::default()));
        }
        self.asked.set(false);
        self.operation.set(Operation::Other);
        self.table.set(0);
    }

    /// The time since the last mark was spent on this stage.
    #[inline]
    pub fn mark(&self, now: Ticks, stage: Stage) {
        let spent = now.0.saturating_sub(self.last.get().0);
        self.last.set(now);
        let nanos = &self.here[stage as usize];
        nanos.set(nanos.get() + spent);
    }

    /// A shard is asked now: before the first question the request was read, between two of them an answer was written down.
    pub fn mark_prepared(&self, now: Ticks) {
        self.mark(now, if self.asked.replace(true) { Stage::Encode } else { Stage::Parse });
    }

    /// A shard begins to work on it: what it took to come here.
    pub fn mark_arrived(&self, now: Ticks) {
        if !self.for_others {
            return self.mark(now, Stage::Route);
        }
        self.asked.set(true);
        self.mark(now, Stage::Queue);
    }

    /// Whether this shard has worked on it for somebody elsewhere: not on what only waits here, or was refused at the door.
    pub fn was_served(&self) -> bool {
        self.for_others && self.asked.get()
    }

    /// The same up to a moment of the past; of one before the last mark nothing comes.
    #[inline]
    pub fn mark_until(&self, then: Ticks, stage: Stage) {
        if then > self.last.get() {
            self.mark(then, stage);
        }
    }

    /// The last mark.
    pub fn last(&self) -> Ticks {
        self.last.get()
    }

    /// What is asked.
    pub fn set_operation(&self, operation: Operation) {
        self.operation.set(operation);
    }

    /// What is asked.
    pub fn operation(&self) -> Operation {
        self.operation.get()
    }

    /// The number of the table that it is about.
    pub fn set_table(&self, table: u32) {
        self.table.set(table);
    }

    /// That number; 0 is none.
    pub fn table(&self) -> u32 {
        self.table.get()
    }

    /// When followers had the write. Of several writes the last one's are kept.
    pub fn set_followers(&self, followers: &[Follower; FOLLOWERS_MAX]) {
        self.folded.set(true);
        self.followers.iter().zip(followers).for_each(|(cell, follower)| cell.set(*follower));
    }

    /// Followers and their times.
    pub fn followers(&self) -> impl Iterator<Item = Follower> {
        self.followers.iter().map(Cell::get).filter(|follower| follower.node != 0)
    }

    /// Whether a shard keeps it for somebody elsewhere.
    pub fn is_for_others(&self) -> bool {
        self.for_others
    }

    /// Nanoseconds that were spent on a stage on this core.
    pub fn here(&self, stage: Stage) -> u64 {
        self.here[stage as usize].get()
    }

    /// Nanoseconds of a stage, wherever they were spent.
    pub fn total_of(&self, stage: Stage) -> u64 {
        let away = (stage as usize).checked_sub(SHARD_FIRST).and_then(|index| self.away.get(index));
        self.here(stage) + away.map_or(0, Cell::get)
    }

    /// Nanoseconds from `begin` to the last mark: what the stages add up to.
    pub fn total(&self) -> u64 {
        self.last.get().0 - self.began.get().0
    }

    /// A reply has come: what was spent on it elsewhere.
    pub fn fold(&self, now: Ticks, served: &Served) {
        self.folded.set(true);
        let mut left = now.0.saturating_sub(self.last.get().0);
        for (away, spent) in self.away.iter().zip(served.stages).rev() {
            let counted = spent.min(left);
            left -= counted;
            away.set(away.get() + counted);
        }
        let route = &self.here[Stage::Route as usize];
        route.set(route.get() + left);
        self.last.set(now);
        if served.followers[0].node != 0 {
            self.set_followers(&served.followers);
        }
    }

    /// What this shard spent so far, for whoever asked.
    pub fn served(&self) -> Served {
        let stages = std::array::from_fn(|index| self.total_of(Stage::ALL[SHARD_FIRST + index]));
        Served { stages, followers: std::array::from_fn(|index| self.followers[index].get()) }
    }

    /// As the header `x-torc-trace` says it: microseconds of each stage that took time, of all, and of followers.
    pub fn write_header(&self, out: &mut Vec<u8>) {
        for stage in Stage::ALL {
            let nanos = self.total_of(stage);
            if nanos > 0 {
                write_micros(out, stage.name(), nanos);
                out.extend_from_slice(b", ");
            }
        }
        write_micros(out, "total", self.total());
        for follower in self.followers() {
            out.extend_from_slice(b", ");
            write_micros(out, &format!("follower;node={}", follower.node), follower.nanos);
        }
    }
}

/// `name;dur=12.345`
fn write_micros(out: &mut Vec<u8>, name: &str, nanos: u64) {
    out.extend_from_slice(format!("{name};dur={}.{:03}", nanos / 1000, nanos % 1000).as_bytes());
}

impl Served {
    /// Of these stages, for tests and checkers.
    pub fn of(spent: &[(Stage, u64)]) -> Served {
        let mut served = Served::default();
        for (stage, nanos) in spent {
            served.stages[*stage as usize - SHARD_FIRST] = *nanos;
        }
        served
    }

    fn append_to(&self, reply: &mut Vec<u8>) {
        reply.reserve_exact(SERVED_BYTES);
        self.stages.iter().for_each(|nanos| reply.extend_from_slice(&nanos.to_le_bytes()));
        for follower in &self.followers {
            reply.extend_from_slice(&follower.node.to_le_bytes());
            reply.extend_from_slice(&follower.nanos.to_le_bytes());
        }
    }

    fn take_from(reply: &mut Vec<u8>) -> Option<Served> {
        let start = reply.len().checked_sub(SERVED_BYTES)?;
        let bytes = &reply[start..];
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let stages = std::array::from_fn(|index| number(8 * index));
        let followers = std::array::from_fn(|index| {
            let at = 8 * SHARD_STAGE_COUNT + 10 * index;
            Follower { node: u16::from_le_bytes([bytes[at], bytes[at + 1]]), nanos: number(at + 2) }
        });
        reply.truncate(start);
        Some(Served { stages, followers })
    }
}

#[cfg(test)]
mod tests;
