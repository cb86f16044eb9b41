//! Linearizability: whether one honest item could have answered all its clients so.
//!
//! ```text
//! call ..... return        every operation that was answered took effect at one moment between the two,
//!    call ....... return   and in the order of these moments the answers are those of a single item
//! ```
//!
//! 1. Keys are checked one by one: a history is linearizable when each key's is.
//! 2. *Outcomes that nobody knows* first, by two reductions that rest on each write having a number of its own. A write of unknown outcome whose
//!    number nobody ever saw may be left out: without it, everything that was seen is as possible as with it. One that was seen took effect, and before the first who
//!    saw it had returned: from then on it is an operation like any other. (A write that was done on the condition that the key holds a
//!    number has seen that number.) Counts of unknown outcome show nothing of whose they are, so one is like the other: they are taken in the order
//!    of their calls, and only when without one more nothing could go on, because a counter never shows a lower number again.
//! 3. *The search* is that of Wing and Gong with Lowe's memory ("Testing for linearizability", 2016): take any operation whose call came before
//!    the first return that is left, as long as the item may answer so; go back when that return's own operation cannot be taken; and
//!    never look twice at the same set of operations that leaves the same state. The set is remembered as 128 bits, the sum of a random number for each
//!    operation: among 2^40 sets, two are confused with a chance below 2^-48.
//!
//! Promises: what it calls a lie is one; a verdict needs no more than [`STEPS_MAX`] steps a key, or none is given. Ten clients at once on one key and 10,000
//! operations are well within. Leaves to others: recording (a call is noted before it is sent, a return after it came), and reads that may be old.

#[cfg(test)]
mod tests;

use ahash::{AHashSet, RandomState};
use std::collections::BTreeMap;
use std::fmt;

/// Steps of one key's search, after which there is no verdict.
pub const STEPS_MAX: u64 = 50_000_000;

/// Operations that a complaint shows.
const SHOWN_MAX: usize = 12;

/// What a key holds: nothing, or a number. A register holds the number of the write that is there, a counter the count.
pub type Held = Option<u64>;

/// What a client asks of a key. A key is a register or a counter, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Puts a number into a register that no other write of this key puts there.
    Put(u64),
    /// Does so if the register holds this.
    PutIf {
        /// The condition.
        expected: Held,
        /// The number.
        number: u64,
    },
    /// Adds one to a counter.
    Count,
    /// Reads what was written last.
    Read,
}

/// How an operation ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A `Put` or `PutIf` was done.
    Done,
    /// The answer: what a read saw, what a count made of the counter, what a `PutIf` found in the place of what it expected, so that it
    /// did nothing.
    Held(Held),
    /// Nobody knows whether it was done, or will be.
    Unknown,
}

/// One operation of one client. Times are of one clock, of whatever unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What was asked.
    pub operation: Operation,
    /// When, before it was sent.
    pub called: u64,
    /// When its outcome was there; means nothing when that is unknown.
    pub returned: u64,
    /// The outcome.
    pub outcome: Outcome,
}

/// All that clients did to all keys.
#[derive(Clone, Debug, Default)]
pub struct History {
    keys: BTreeMap<String, Vec<Event>>,
}

/// What a history is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Keys.
    pub keys: usize,
    /// Operations whose outcome is known.
    pub known: usize,
    /// Others.
    pub unknown: usize,
    /// Steps that the search took.
    pub steps: u64,
}

/// Why a history was not found to be linearizable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// No honest item could have answered so.
    Lie {
        /// The key.
        key: String,
        /// The first answer that was impossible, about, and what came before.
        what: String,
    },
    /// The search took too long.
    Undecided {
        /// The key.
        key: String,
    },
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Complaint::Lie { key, what } => write!(f, "key {key} is not linearizable: {what}"),
            Complaint::Undecided { key } => write!(f, "key {key}: no verdict after {STEPS_MAX} steps"),
        }
    }
}

impl std::error::Error for Complaint {}

impl History {
    /// Notes an operation, in any order.
    pub fn note(&mut self, key: &str, event: Event) {
        let is_sound = match event.operation {
            Operation::Put(_) => !matches!(event.outcome, Outcome::Held(_)),
            Operation::PutIf { .. } => true,
            Operation::Count | Operation::Read => event.outcome != Outcome::Done,
        };
        assert!(is_sound, "no operation ends so: {event:?}");
        assert!(event.outcome == Outcome::Unknown || event.called <= event.returned, "{event:?}");
        self.keys.entry(key.to_string()).or_default().push(event);
    }

    /// Takes over what others noted.
    pub fn merge(&mut self, other: History) {
        for (key, events) in other.keys {
            self.keys.entry(key).or_default().extend(events);
        }
    }

    /// Whether everything that was seen was written at all, and not before it was asked for: what must hold even where what was written may be lost.
    pub fn is_honest(&self) -> Result<(), String> {
        for (key, events) in &self.keys {
            let seen = |event: &Event| match event.outcome {
                Outcome::Held(held) => held.map(|held| (held, event.returned)),
                _ => None,
            };
            let written = |number: u64, until: u64| {
                let is_it = |event: &Event| match event.operation {
                    Operation::Put(own) | Operation::PutIf { number: own, .. } => own == number,
                    _ => false,
                };
                let counts = |event: &&Event| event.operation == Operation::Count && event.called <= until;
                events.iter().any(|event| is_it(event) && event.called <= until)
                    || events.iter().filter(counts).count() as u64 >= number
            };
            for (number, when) in events.iter().filter_map(seen) {
                if !written(number, when) {
                    return Err(format!("{key} shows {number} at {when}, which nobody had written"));
                }
            }
        }
        Ok(())
    }

    /// Checks all keys; the first complaint.
    pub fn check(&self) -> Result<Totals, Complaint> {
        let mut totals = Totals { keys: self.keys.len(), ..Totals::default() };
        for (key, events) in &self.keys {
            let lie = |what| Complaint::Lie { key: key.clone(), what };
            let task = Task::of(events).map_err(lie)?;
            totals.steps += match Search::new(&task).run() {
                Verdict::Linearizable { steps } => steps,
                Verdict::Stuck { at, held } => return Err(lie(task.tell(at, held))),
                Verdict::TooLong => return Err(Complaint::Undecided { key: key.clone() }),
            };
            let unknown = events.iter().filter(|event| event.outcome == Outcome::Unknown).count();
            totals.unknown += unknown;
            totals.known += events.len() - unknown;
        }
        Ok(totals)
    }
}

/// An operation that took effect, and what it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Done {
    effect: Effect,
    called: u64,
    returned: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// The register holds this from then on.
    Put(u64),
    /// The same; it held the other before.
    Swap(Held, u64),
    /// The counter has become this.
    Count(Held),
    /// It holds this.
    See(Held),
}

impl Effect {
    /// What the key holds afterwards, if it can be so.
    fn on(self, held: Held) -> Option<Held> {
        match self {
            Effect::Put(number) => Some(Some(number)),
            Effect::Swap(expected, number) => (held == expected).then_some(Some(number)),
            Effect::Count(count) => (counted(held) == count).then_some(count),
            Effect::See(seen) => (held == seen).then_some(held),
        }
    }

    /// The number of a write that it has seen.
    fn seen(self) -> Held {
        match self {
            Effect::Put(_) | Effect::Count(_) => None,
            Effect::Swap(seen, _) | Effect::See(seen) => seen,
        }
    }
}

fn counted(held: Held) -> Held {
    Some(held.unwrap_or(0) + 1)
}

/// What is to be put into an order.
struct Task {
    /// Everything that surely took effect.
    done: Vec<Done>,
    /// When counts of unknown outcome were called, ascending.
    spare: Vec<u64>,
}

impl Task {
    /// Makes two kinds out of three; what is wrong already, in words.
    fn of(events: &[Event]) -> Result<Task, String> {
        let mut task = Task { done: Vec::new(), spare: Vec::new() };
        let mut unknown: BTreeMap<u64, (Effect, u64)> = BTreeMap::new();
        let mut numbers: BTreeMap<u64, u64> = BTreeMap::new();
        let (mut is_register, mut is_counter) = (false, false);
        for event in events {
            let Event { called, returned, .. } = *event;
            let effect = match (event.operation, event.outcome) {
                (Operation::Put(number), _) => Effect::Put(number),
                (Operation::PutIf { expected, .. }, Outcome::Held(found)) => {
                    if found == expected {
                        return Err(format!("a condition that was met has failed: {event:?}"));
                    }
                    Effect::See(found)
                }
                (Operation::PutIf { expected, number }, _) => Effect::Swap(expected, number),
                (Operation::Read | Operation::Count, Outcome::Unknown) => Effect::See(None),
                (Operation::Read, Outcome::Held(found)) => Effect::See(found),
                (Operation::Count, Outcome::Held(count)) => Effect::Count(count),
                (Operation::Read | Operation::Count, Outcome::Done) => unreachable!("it was not noted"),
            };
            if let Operation::Put(number) | Operation::PutIf { number, .. } = event.operation {
                is_register = true;
                assert!(numbers.insert(number, called).is_none(), "number {number} is written twice");
            }
            is_counter |= event.operation == Operation::Count;
            match (event.outcome, effect) {
                (Outcome::Unknown, Effect::Put(number) | Effect::Swap(_, number)) => {
                    unknown.insert(number, (effect, called));
                }
                (Outcome::Unknown, _) if event.operation == Operation::Count => task.spare.push(called),
                (Outcome::Unknown, _) => {}
                _ => task.done.push(Done { effect, called, returned }),
            }
        }
        assert!(!(is_register && is_counter), "a key is a register or a counter");
        task.spare.sort_unstable();
        if !is_counter {
            task.take_seen(unknown, &numbers)?;
        }
        Ok(task)
    }

    /// Writes of unknown outcome that somebody has seen took effect, before the first of those had returned.
    fn take_seen(
        &mut self,
        mut unknown: BTreeMap<u64, (Effect, u64)>,
        numbers: &BTreeMap<u64, u64>,
    ) -> Result<(), String> {
        // Who returned first is looked at first, so the first who saw a number is the one that is found.
        let mut open: Vec<Done> = self.done.clone();
        open.sort_unstable_by_key(|done| std::cmp::Reverse(done.returned));
        while let Some(observer) = open.pop() {
            let Some(number) = observer.effect.seen() else { continue };
            match numbers.get(&number) {
                None => return Err(format!("{} was seen, and nobody wrote it: {observer:?}", number)),
                Some(called) if *called > observer.returned => {
                    return Err(format!("{number} was seen before it was written: {observer:?}"));
                }
                Some(_) => {}
            }
            if let Some((effect, called)) = unknown.remove(&number) {
                let done = Done { effect, called, returned: observer.returned };
                self.done.push(done);
                // It returns when its observer does, so nothing that is open comes before it.
                open.push(done);
            }
        }
        Ok(())
    }

    /// What could not be, for people.
    fn tell(&self, at: usize, held: Held) -> String {
        let stuck = self.done[at];
        let mut near: Vec<&Done> = self.done.iter().filter(|done| done.called <= stuck.returned).collect();
        near.sort_unstable_by_key(|done| done.returned);
        let from = near.len().saturating_sub(SHOWN_MAX);
        let shown: Vec<String> = near[from..].iter().map(|done| format!("\n  {done:?}")).collect();
        format!(
            "{stuck:?} cannot be put in order; the key held {held:?} where it got no further; what was called before it returned:{}",
            shown.concat()
        )
    }
}

enum Verdict {
    Linearizable {
        steps: u64,
    },
    /// The operation that was never taken on the longest way, and what the key held there.
    Stuck {
        at: usize,
        held: Held,
    },
    TooLong,
}

/// A call or a return.
#[derive(Clone, Copy)]
struct Moment {
    time: u64,
    op: usize,
    is_call: bool,
}

/// One step of the way that is being tried.
enum Taken {
    Op { op: usize, before: Held },
    Spare { before: Held },
}

/// The end of the list of moments.
const END: usize = 0;

struct Search<'a> {
    task: &'a Task,
    /// In order of time; the first is none, it is where the list begins and ends.
    moments: Vec<Moment>,
    next: Vec<usize>,
    previous: Vec<usize>,
    /// By operation: its call and its return among the moments.
    places: Vec<(usize, usize)>,
    held: Held,
    spared: usize,
    /// The operations that were taken.
    taken: u128,
    way: Vec<Taken>,
    known: AHashSet<(u128, Held, usize)>,
    deepest: (usize, usize, Held),
}

impl<'a> Search<'a> {
    fn new(task: &'a Task) -> Search<'a> {
        let count = task.done.len();
        let mut moments = vec![Moment { time: 0, op: usize::MAX, is_call: false }];
        for (op, done) in task.done.iter().enumerate() {
            moments.push(Moment { time: done.called, op, is_call: true });
            moments.push(Moment { time: done.returned, op, is_call: false });
        }
        // What begins when another ends is beside it, not behind.
        moments[1..].sort_by_key(|moment| (moment.time, !moment.is_call));
        let mut places = vec![(0, 0); count];
        for (place, moment) in moments.iter().enumerate().skip(1) {
            match moment.is_call {
                true => places[moment.op].0 = place,
                false => places[moment.op].1 = place,
            }
        }
        let all = moments.len();
        Search {
            task,
            next: (0..all).map(|place| (place + 1) % all).collect(),
            previous: (0..all).map(|place| (place + all - 1) % all).collect(),
            moments,
            places,
            held: None,
            spared: 0,
            taken: 0,
            way: Vec::with_capacity(count),
            // Always the same: so is the search.
            known: AHashSet::with_hasher(RandomState::with_seeds(1, 2, 3, 4)),
            deepest: (0, 0, None),
        }
    }

    fn run(mut self) -> Verdict {
        let mut at = self.next[END];
        for steps in 0..STEPS_MAX {
            if at == END {
                return Verdict::Linearizable { steps };
            }
            let moment = self.moments[at];
            at = if moment.is_call {
                if self.take(moment.op) { self.next[END] } else { self.next[at] }
            } else if self.spare(moment.time) {
                self.next[END]
            } else {
                self.remember(moment.op);
                match self.go_back() {
                    Some(next) => next,
                    None => return Verdict::Stuck { at: self.deepest.1, held: self.deepest.2 },
                }
            };
        }
        Verdict::TooLong
    }

    /// Takes an operation, if the key may answer so and this leads to where nobody has been.
    fn take(&mut self, op: usize) -> bool {
        let Some(after) = self.task.done[op].effect.on(self.held) else { return false };
        if !self.known.insert((self.taken ^ mark(op), after, self.spared)) {
            return false;
        }
        self.way.push(Taken::Op { op, before: self.held });
        (self.held, self.taken) = (after, self.taken ^ mark(op));
        let (call, end) = self.places[op];
        for place in [call, end] {
            self.next[self.previous[place]] = self.next[place];
            self.previous[self.next[place]] = self.previous[place];
        }
        true
    }

    /// Takes the next count of unknown outcome, if it was called before this moment.
    fn spare(&mut self, moment: u64) -> bool {
        let is_called = self.task.spare.get(self.spared).is_some_and(|called| *called <= moment);
        if !is_called || !self.known.insert((self.taken, counted(self.held), self.spared + 1)) {
            return false;
        }
        self.way.push(Taken::Spare { before: self.held });
        (self.held, self.spared) = (counted(self.held), self.spared + 1);
        true
    }

    /// Undoes the last operation that was taken; the moment to go on with.
    fn go_back(&mut self) -> Option<usize> {
        loop {
            match self.way.pop()? {
                Taken::Spare { before } => {
                    // It was taken when nothing else was left to try.
                    (self.held, self.spared) = (before, self.spared - 1);
                }
                Taken::Op { op, before } => {
                    (self.held, self.taken) = (before, self.taken ^ mark(op));
                    let (call, end) = self.places[op];
                    for place in [end, call] {
                        self.next[self.previous[place]] = place;
                        self.previous[self.next[place]] = place;
                    }
                    return Some(self.next[call]);
                }
            }
        }
    }

    /// Where the longest way got no further.
    fn remember(&mut self, op: usize) {
        if self.way.len() >= self.deepest.0 {
            self.deepest = (self.way.len(), op, self.held);
        }
    }
}

/// A number for an operation that looks random, and is always the same.
fn mark(op: usize) -> u128 {
    let half = |salt: u64| {
        let mut mixed = (op as u64).wrapping_add(salt).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        u128::from(mixed ^ (mixed >> 31))
    };
    half(1) << 64 | half(1 << 32)
}
