//! `perf/budgets.toml`: the most instructions that an operation may take, and calls of the allocator.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::callgrind::Cost;

const HEADER: &str = "\
# The most instructions that one operation may take, as callgrind counts them, and the most allocations. Held by CI:
#     cargo run --release -p perf --example instructions
# Written by the same command with `--write`, which adds 5 % to the instructions that it counts.

";

/// Budgets by the names of their cases.
#[derive(Default, Serialize, Deserialize)]
pub struct Budgets {
    instructions: BTreeMap<String, u64>,
    /// Only of cases that count nothing but torc.
    #[serde(default)]
    allocations: BTreeMap<String, u64>,
}

#[expect(clippy::disallowed_methods, reason = "a tool of the build, no part of the server")]
impl Budgets {
    /// What the file says; nothing if there is none yet.
    pub fn read(path: &Path) -> anyhow::Result<Budgets> {
        if !path.exists() {
            return Ok(Budgets::default());
        }
        let text = std::fs::read_to_string(path)?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    }

    /// Replaces the file.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        std::fs::write(path, format!("{HEADER}{}", toml::to_string(self)?))
            .with_context(|| path.display().to_string())
    }

    /// The budget of a case, if it has one.
    pub fn get(&self, case: &str) -> Option<Cost> {
        let instructions = *self.instructions.get(case)?;
        Some(Cost { instructions, allocations: self.allocations.get(case).copied() })
    }

    /// Gives a case this budget.
    pub fn set(&mut self, case: &str, budget: Cost) {
        self.instructions.insert(case.to_owned(), budget.instructions);
        self.allocations.extend(budget.allocations.map(|count| (case.to_owned(), count)));
    }

    /// Forgets budgets of cases that are no more.
    pub fn keep_only<'a>(&mut self, cases: impl Iterator<Item = &'a str>) {
        let cases: BTreeSet<&str> = cases.collect();
        self.instructions.retain(|name, _| cases.contains(name.as_str()));
        self.allocations.retain(|name, _| cases.contains(name.as_str()));
    }
}
