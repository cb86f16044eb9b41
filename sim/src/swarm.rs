//! Many seeds: each a cluster of its own.

use crate::Failure;
use crate::plan::Plan;
use crate::story;
use crate::summary::Summary;

/// Runs one seed of many; `summary` learns what it did, unless it failed.
pub fn run_one(plan: Plan, summary: &mut Summary) -> Option<(Plan, Failure)> {
    match story::run(&plan) {
        Ok(report) => {
            summary.merge(&report.summary);
            None
        }
        Err(failure) => Some((plan, failure)),
    }
}
