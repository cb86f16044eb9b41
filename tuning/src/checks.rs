//! What the facts and figures mean for torc: one pure function per question, one finding per function.
//!
//! ```text
//! facts, measured --judge--> good | advice | problem | unseen: what was seen, what it costs here, why it matters, how to set it, how to undo that
//! ```
//!
//! A finding says what was seen on this host, and what that costs *here*: in microseconds where it was measured, else that it was not, and why.
//! Where a hypervisor or a container hides the answer, the answer is [`Verdict::Unseen`] and says who has it. Every check has its source.
//!
//! Modules: `place`, `cpus`, `memory`, `storage`, `kernel`, `network`, each a handful of checks.

use serde::Serialize;

use crate::facts::Facts;
use crate::measure::{Measured, Tried};

mod cpus;
mod kernel;
mod memory;
mod network;
mod place;
mod storage;

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Requests fail, data is at risk, or every request is slow.
    Problem,
    /// It could be faster or steadier.
    Advice,
    /// It cannot be seen from here.
    Unseen,
    /// As it should be.
    Good,
}

/// What it costs on this host.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cost {
    /// Nothing that is known.
    Nothing,
    /// So many microseconds.
    Measured {
        /// Microseconds.
        us: f64,
        /// Of what.
        of: String,
    },
    /// Nobody knows.
    NotMeasured {
        /// Why.
        why: String,
    },
}

/// Something to do about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Write `value` into the file at `path` of /proc or /sys: `torc tune apply` can do it, and undo it.
    Write {
        /// The file.
        path: String,
        /// What to write.
        value: String,
    },
    /// Only a person can decide or do it.
    ByHand {
        /// What to do or to run.
        command: String,
        /// How to take it back.
        undo: String,
    },
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The check's name, which stays.
    pub id: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
    /// What it costs here.
    pub cost: Cost,
    /// Why it matters to torc.
    pub why: &'static str,
    /// What to do about it; empty where nothing has to be done or can be.
    pub steps: Vec<Step>,
    /// How to make the steps last over a restart of the host; empty without any that are written.
    pub lasting: String,
    /// Where that can be read up.
    pub source: &'static str,
}

/// Everything that a check may look at.
struct Seen<'a> {
    facts: &'a Facts,
    measured: &'a Measured,
}

/// One question.
struct Check {
    id: &'static str,
    why: &'static str,
    source: &'static str,
    judge: fn(&Seen<'_>) -> Judged,
}

/// A check's answer, before its name is put to it.
struct Judged {
    verdict: Verdict,
    seen: String,
    cost: Cost,
    steps: Vec<Step>,
    lasting: String,
}

impl Judged {
    fn new(verdict: Verdict, seen: impl Into<String>) -> Judged {
        Judged { verdict, seen: seen.into(), cost: Cost::Nothing, steps: Vec::new(), lasting: String::new() }
    }

    fn good(seen: impl Into<String>) -> Judged {
        Judged::new(Verdict::Good, seen)
    }

    fn unseen(seen: impl Into<String>) -> Judged {
        Judged::new(Verdict::Unseen, seen)
    }

    fn advice(seen: impl Into<String>) -> Judged {
        Judged::new(Verdict::Advice, seen)
    }

    fn problem(seen: impl Into<String>) -> Judged {
        Judged::new(Verdict::Problem, seen)
    }

    fn cost(mut self, cost: Cost) -> Judged {
        self.cost = cost;
        self
    }

    /// The cost is `us` of what was measured, or why it was not.
    fn cost_of<T>(self, tried: &Tried<T>, us: impl FnOnce(&T) -> (f64, String)) -> Judged {
        let cost = match tried {
            Tried::Measured(value) => {
                let (us, of) = us(value);
                Cost::Measured { us, of }
            }
            Tried::NotMeasured(why) => Cost::NotMeasured { why: why.clone() },
        };
        self.cost(cost)
    }

    fn not_measured(self, why: impl Into<String>) -> Judged {
        self.cost(Cost::NotMeasured { why: why.into() })
    }

    fn write(mut self, path: impl Into<String>, value: impl Into<String>) -> Judged {
        self.steps.push(Step::Write { path: path.into(), value: value.into() });
        self
    }

    fn by_hand(mut self, command: impl Into<String>, undo: impl Into<String>) -> Judged {
        self.steps.push(Step::ByHand { command: command.into(), undo: undo.into() });
        self
    }

    fn lasting(mut self, how: impl Into<String>) -> Judged {
        self.lasting = how.into();
        self
    }
}

/// Names of all checks, in the order of their findings.
pub fn ids() -> Vec<&'static str> {
    checks().map(|check| check.id).collect()
}

fn checks() -> impl Iterator<Item = &'static Check> {
    [place::CHECKS, cpus::CHECKS, memory::CHECKS, storage::CHECKS, kernel::CHECKS, network::CHECKS]
        .into_iter()
        .flatten()
}

/// Asks all questions.
pub fn judge(facts: &Facts, measured: &Measured) -> Vec<Finding> {
    let seen = Seen { facts, measured };
    let ask = |check: &Check| {
        let Judged { verdict, seen, cost, steps, lasting } = (check.judge)(&seen);
        Finding { id: check.id, verdict, seen, cost, why: check.why, steps, lasting, source: check.source }
    };
    checks().map(ask).collect()
}

impl Seen<'_> {
    /// Who hides what belongs to the machine, if anybody does.
    fn hidden_by(&self) -> Option<String> {
        let place = &self.facts.place;
        match (&place.hypervisor, &place.container) {
            (Some(hypervisor), _) => {
                Some(format!("the hypervisor ({hypervisor}) has it, and tells its guests nothing"))
            }
            (None, Some(container)) => {
                Some(format!("this container ({container}) does not see it; look on its host"))
            }
            (None, None) => None,
        }
    }

    /// `None` answers a question about the machine: who hides it, or that the machine has nothing of that kind.
    fn unseen(&self, what: &str) -> Judged {
        match self.hidden_by() {
            Some(who) => Judged::unseen(format!("{what} cannot be seen: {who}")),
            None => Judged::unseen(format!("{what} cannot be seen: this machine's kernel shows none")),
        }
    }
}

/// Microseconds for people.
pub fn show_us(us: f64) -> String {
    match us {
        ..1.0 => format!("{:.0} ns", us * 1000.0),
        ..100.0 => format!("{us:.1} us"),
        ..10_000.0 => format!("{us:.0} us"),
        _ => format!("{:.1} ms", us / 1000.0),
    }
}
