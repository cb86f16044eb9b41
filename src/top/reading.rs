//! What one process has told: its figures, by name and labels.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use meter::text::{Sample, parse};
use runtime::real::RealRuntime;
use runtime::{Mono, Runtime};

use crate::inside::fetch;

/// One look at one process.
pub struct Reading {
    /// Who was asked.
    pub at: SocketAddr,
    /// When it had answered.
    pub when: Mono,
    /// What it told, or why it did not, in words.
    pub told: Result<Figures, String>,
}

/// What a process has counted since its start.
#[derive(Default)]
pub struct Figures {
    by_name: BTreeMap<String, BTreeMap<Labels, f64>>,
}

/// A sample's labels with their values.
pub type Labels = BTreeMap<String, String>;

impl Reading {
    /// Asks one process.
    pub async fn take(rt: &RealRuntime, at: SocketAddr) -> Reading {
        let told = match fetch(rt, at, "/metrics").await {
            Ok(page) => Figures::read(&page).map_err(|why| format!("{at} tells no metrics: {why}")),
            Err(error) => Err(format!("{error:#}")),
        };
        Reading { at, when: rt.now(), told }
    }
}

/// Of each process the last look at which it told something: what the next one is compared with.
pub fn latest(before: Vec<Reading>, now: Vec<Reading>) -> Vec<Reading> {
    before.into_iter().zip(now).map(|(before, now)| if now.told.is_ok() { now } else { before }).collect()
}

impl Figures {
    /// Reads a page of metrics.
    pub fn read(page: &str) -> Result<Figures, String> {
        let mut by_name: BTreeMap<String, BTreeMap<Labels, f64>> = BTreeMap::new();
        let samples = parse(page)?.into_iter().flat_map(|family| family.samples);
        for Sample { name, labels, value } in samples {
            by_name.entry(name).or_default().insert(labels, value);
        }
        match by_name.is_empty() {
            true => Err("there is nothing in them".to_owned()),
            false => Ok(Figures { by_name }),
        }
    }

    /// The samples of that name.
    pub fn of(&self, name: &str) -> impl Iterator<Item = (&Labels, f64)> {
        self.by_name.get(name).into_iter().flatten().map(|(labels, value)| (labels, *value))
    }

    /// What was counted since `before` under that name. A process that has started anew has counted everything since.
    pub fn since(&self, before: &Figures, name: &str) -> impl Iterator<Item = (&Labels, f64)> {
        let old = before.by_name.get(name);
        self.of(name).map(move |(labels, value)| {
            let old = old.and_then(|old| old.get(labels)).copied().unwrap_or(0.0);
            (labels, if value >= old { value - old } else { value })
        })
    }
}
