//! A failing run with less in it: fewer faults, fewer clients, fewer keys, less time, as long as it fails.
//!
//! 1. Faults go first, in halves, then quarters, then one by one; then clients, routers and keys.
//! 2. Each smaller plan is a run of its own: it need not fail in the same way, but it must fail. What is left is what to read.

use crate::Failure;
use crate::plan::Plan;
use crate::story;

/// Runs that are tried at most.
const RUNS_MAX: usize = 200;

/// The smallest plan that was found to fail, and how it does. `run` runs a plan.
pub fn shrink(plan: &Plan, failure: Failure, run: impl Fn(&Plan) -> Option<Failure>) -> (Plan, Failure) {
    let mut best = Best { plan: plan.clone(), failure, runs_left: RUNS_MAX };
    let mut size = best.plan.faults.len().div_ceil(2);
    while size > 0 {
        let mut from = 0;
        while from < best.plan.faults.len() {
            let mut less = best.plan.clone();
            let to = (from + size).min(less.faults.len());
            less.faults.drain(from..to);
            if !best.take(less, &run) {
                from += size;
            }
        }
        size /= 2;
    }
    let smaller: [fn(&mut Plan); 5] = [
        |plan| plan.clients = (plan.clients / 2).max(1),
        |plan| plan.keys = (plan.keys / 2).max(1),
        |plan| plan.routers = 0,
        |plan| plan.cores = 1,
        |plan| plan.length = plan.faults.last().map_or(plan.length / 2, |last| last.at + last.lasts),
    ];
    for change in smaller {
        let mut less = best.plan.clone();
        change(&mut less);
        best.take(less, &run);
    }
    (best.plan, best.failure)
}

/// What a run says of a plan.
pub fn failure_of(plan: &Plan) -> Option<Failure> {
    story::run(plan).err()
}

struct Best {
    plan: Plan,
    failure: Failure,
    runs_left: usize,
}

impl Best {
    /// Keeps a smaller plan if it fails too.
    fn take(&mut self, plan: Plan, run: impl Fn(&Plan) -> Option<Failure>) -> bool {
        if self.runs_left == 0 {
            return false;
        }
        self.runs_left -= 1;
        match run(&plan) {
            None => false,
            Some(failure) => {
                (self.plan, self.failure) = (plan, failure);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests;
