//! What runs did, in figures: of one run, or of many together; for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use runtime::sim::FaultCounts;

use crate::marks;

/// What one run did, or many together.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Runs.
    pub seeds: u64,
    /// Simulated time of all.
    pub elapsed: Duration,
    /// Polls of tasks.
    pub polls: u64,
    /// Elections that somebody won.
    pub elections: u64,
    /// Entries that replicas applied.
    pub applies: u64,
    /// Steps of the search for linear orders.
    pub search_steps: u64,
    /// What happened, by name.
    pub counts: BTreeMap<&'static str, u64>,
    /// What disks did.
    pub disks: FaultCounts,
    /// Rare branches that were taken.
    pub marks: BTreeMap<&'static str, u64>,
}

impl Summary {
    /// Takes over what other runs did.
    pub fn merge(&mut self, other: &Summary) {
        self.seeds += other.seeds;
        self.elapsed += other.elapsed;
        self.polls += other.polls;
        self.elections += other.elections;
        self.applies += other.applies;
        self.search_steps += other.search_steps;
        for (name, count) in &other.counts {
            *self.counts.entry(name).or_default() += count;
        }
        self.disks.add(&other.disks);
        other.marks.iter().for_each(|(mark, count)| *self.marks.entry(mark).or_default() += count);
    }

    /// How often something of this name happened.
    pub fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// For people; `took` is real time, for that many threads at once.
    pub fn text(&self, took: Duration, threads: u64) -> String {
        let mut text = String::new();
        let hours = self.elapsed.as_secs_f64() / 3600.0;
        let speed = self.elapsed.as_secs_f64() / took.as_secs_f64().max(1e-9);
        let millis = took.as_secs_f64() * 1e3 * threads as f64 / self.seeds.max(1) as f64;
        let mut line = |name: &str, value: String| {
            writeln!(text, "{name:<36} {value:>16}").expect("a string takes everything");
        };
        line("seeds", self.seeds.to_string());
        line("simulated hours", format!("{hours:.2}"));
        line("simulated seconds per second", format!("{speed:.0}"));
        line("the same, per thread", format!("{:.0}", speed / threads as f64));
        line("milliseconds of a thread per seed", format!("{millis:.0}"));
        line("elections", self.elections.to_string());
        line("entries applied", self.applies.to_string());
        line("polls", self.polls.to_string());
        line("steps of the search", self.search_steps.to_string());
        self.counts.iter().for_each(|(name, count)| line(name, count.to_string()));
        let disks = self.disks.by_kind();
        disks.iter().filter(|(_, count)| *count > 0).for_each(|(name, count)| {
            line(&format!("disk: {name}"), count.to_string());
        });
        self.marks.iter().for_each(|(mark, count)| line(&format!("mark: {mark}"), count.to_string()));
        marks::ALL.iter().filter(|mark| !self.marks.contains_key(*mark)).for_each(|mark| {
            line(&format!("mark: {mark}"), "never".to_string());
        });
        text
    }

    /// For programs: one object.
    pub fn json(&self, took: Duration) -> String {
        let mut text = format!(
            "{{\"seeds\":{},\"simulated_s\":{:.3},\"real_s\":{:.3},\"elections\":{},\"entries_applied\":{},\"polls\":{},\"search_steps\":{}",
            self.seeds,
            self.elapsed.as_secs_f64(),
            took.as_secs_f64(),
            self.elections,
            self.applies,
            self.polls,
            self.search_steps
        );
        let disks = self.disks.by_kind().map(|(name, count)| (format!("disk: {name}"), count));
        let counts = self.counts.iter().map(|(name, count)| ((*name).to_string(), *count));
        let marks = marks::ALL
            .iter()
            .map(|mark| (format!("mark: {mark}"), self.marks.get(mark).copied().unwrap_or(0)));
        for (name, count) in counts.chain(disks).chain(marks) {
            write!(text, ",\"{name}\":{count}").expect("a string takes everything");
        }
        text.push('}');
        text
    }
}
