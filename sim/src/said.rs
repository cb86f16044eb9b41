//! What nodes say for people, and why their processes end: each such line needs a fault that explains it.
//!
//! torc says little: what it cannot mend by itself, or what somebody has to look at. In a world in which nothing of that kind went wrong at a node it has nothing to say,
//! and neither has it when something else went wrong: a crash or a cut explains no line at all.
//!
//! A line is explained by what it is about: the parts of `EXPLANATIONS` that it contains say which harm that may be. It explains from then on, because
//! what it did is found later. What is not in the list is not explained by anything.

use std::collections::BTreeSet;

/// What was done to a node that it may complain about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    /// Its disk had no room.
    Full,
    /// Writes and syncs of its disk have failed.
    Failing,
    /// Its disk lied: whatever it says of that is explained.
    Lying,
    /// What its shards had was taken away.
    LostShards,
    /// It was asked to stop.
    Stopped,
}

/// What a line contains, and the harm that explains it.
const EXPLANATIONS: &[(&str, Harm)] = &[
    ("no space left", Harm::Full),
    ("No space left", Harm::Full),
    ("bytes are free", Harm::Full),
    ("Input/output error", Harm::Failing),
    ("os error 5", Harm::Failing),
    ("its data is gone", Harm::LostShards),
    ("lacks what it had acknowledged", Harm::LostShards),
    // A shard whose log has failed takes nothing more, like one that was told to stop.
    (": closed", Harm::Failing),
    (": closed", Harm::Stopped),
];

/// Whether what was done to a node explains that it says this.
pub fn is_explained(line: &str, harms: &BTreeSet<Harm>) -> bool {
    // A replica that has failed inside is a bug, whatever the faults are.
    if line.contains("panicked") {
        return false;
    }
    let mut about = EXPLANATIONS.iter().filter(|(part, _)| line.contains(part)).map(|(_, harm)| harm);
    harms.contains(&Harm::Lying) || about.any(|harm| harms.contains(harm))
}

#[cfg(test)]
mod tests;
