//! What clients saw, and whether one honest item could have shown it to them.
//!
//! Every write of a key is `ADD v :one`, answered with the new version. So the versions of a key are a total order that
//! the clients can see, and checking is exact and cheap at any concurrency, in O(n log n):
//!
//! 1. No version is acknowledged twice.
//! 2. Real time: what began after a write was acknowledged sees that version or a later one, and a later write gets a
//!    later version.
//! 3. Nothing from nowhere: no version is higher than the number of writes that had begun.
//! 4. No gap: at the end, the version equals the acknowledged writes plus at most those of unknown outcome.
//! 5. Each item is whole: its filler tells its own version.
//!
//! Leaves to others: operations that are no counters (the linearizability checker of the simulation issue).

use std::collections::BTreeMap;

/// What a client did to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Added one; the version is the one it was answered.
    Write,
    /// Read with a strong read; version 0 is an absent item.
    Read,
}

/// One operation of one client. Times are nanoseconds of the world's clock, which no client can see.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// What was done.
    pub action: Action,
    /// When it was sent.
    pub began: u64,
    /// When the answer came, and the version in it; `None` if no answer came: the outcome is unknown.
    pub answer: Option<(u64, u64)>,
}

/// All that was done to all keys.
#[derive(Debug, Default)]
pub struct History {
    keys: BTreeMap<String, Vec<Event>>,
}

/// What a history counted up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Writes that were acknowledged.
    pub acknowledged: u64,
    /// Writes whose outcome nobody knows.
    pub unknown: u64,
    /// Reads that were answered.
    pub reads: u64,
}

impl History {
    /// Notes one operation.
    pub fn note(&mut self, key: &str, event: Event) {
        self.keys.entry(key.to_string()).or_default().push(event);
    }

    /// Checks all keys; `finals` holds the version that each shows at the end. The error tells the first lie.
    pub fn check(&self, finals: &BTreeMap<String, u64>) -> Result<Totals, String> {
        let mut totals = Totals::default();
        for (key, events) in &self.keys {
            let last = finals.get(key).copied().unwrap_or(0);
            let of_key = check_key(events, last).map_err(|lie| format!("{key}: {lie}"))?;
            totals.acknowledged += of_key.acknowledged;
            totals.unknown += of_key.unknown;
            totals.reads += of_key.reads;
        }
        let phantom = finals.keys().find(|key| !self.keys.contains_key(*key));
        phantom.map_or(Ok(totals), |key| Err(format!("{key} was never written but is there")))
    }
}

fn check_key(events: &[Event], last: u64) -> Result<Totals, String> {
    let totals = count(events);
    no_version_twice(events)?;
    real_time_order(events)?;
    nothing_from_nowhere(events)?;
    let range = totals.acknowledged..=totals.acknowledged + totals.unknown;
    if !range.contains(&last) {
        return Err(format!("ends at version {last}, but {range:?} were written: {totals:?}"));
    }
    Ok(totals)
}

fn count(events: &[Event]) -> Totals {
    let mut totals = Totals::default();
    for event in events {
        match (event.action, event.answer) {
            (Action::Write, Some(_)) => totals.acknowledged += 1,
            (Action::Write, None) => totals.unknown += 1,
            (Action::Read, Some(_)) => totals.reads += 1,
            (Action::Read, None) => {}
        }
    }
    totals
}

fn no_version_twice(events: &[Event]) -> Result<(), String> {
    let writes = events.iter().filter(|event| event.action == Action::Write);
    let mut versions: Vec<u64> = writes.filter_map(|event| Some(event.answer?.1)).collect();
    versions.sort_unstable();
    match versions.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("version {} was acknowledged twice", pair[0])),
        None => Ok(()),
    }
}

/// Walks the beginnings and the ends in order of time, and keeps the highest version that any ended operation showed.
fn real_time_order(events: &[Event]) -> Result<(), String> {
    let mut answered: Vec<(&Event, u64, u64)> = events
        .iter()
        .filter_map(|event| event.answer.map(|(ended, version)| (event, ended, version)))
        .collect();
    answered.sort_by_key(|(event, _, _)| event.began);
    let mut by_end = answered.clone();
    by_end.sort_by_key(|(_, ended, _)| *ended);
    let mut ended = by_end.into_iter().peekable();
    let mut highest = 0;
    for (event, _, version) in answered {
        while let Some((_, _, shown)) = ended.next_if(|(_, end, _)| *end < event.began) {
            highest = highest.max(shown);
        }
        let is_stale = match event.action {
            Action::Write => version <= highest,
            Action::Read => version < highest,
        };
        if is_stale {
            return Err(format!("version {highest} had been seen, then {event:?} showed {version}"));
        }
    }
    Ok(())
}

fn nothing_from_nowhere(events: &[Event]) -> Result<(), String> {
    let mut begins: Vec<u64> =
        events.iter().filter(|event| event.action == Action::Write).map(|event| event.began).collect();
    begins.sort_unstable();
    for event in events {
        let Some((ended, version)) = event.answer else { continue };
        let begun = begins.partition_point(|&began| began <= ended) as u64;
        if version > begun {
            return Err(format!("{event:?} shows version {version} when {begun} writes had begun"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
