//! Many seeds: each a cluster of its own, and what all of them did together.

use crate::Failure;
use crate::plan::Plan;
use crate::story::{self, Report};
use crate::summary::Summary;

/// Runs these seeds one after the other. The first failure ends it; `each` hears of every run that went well.
pub fn run(
    seeds: impl IntoIterator<Item = u64>,
    mut each: impl FnMut(&Report),
) -> (Summary, Option<(Plan, Failure)>) {
    let mut summary = Summary::default();
    for seed in seeds {
        let plan = Plan::drawn(seed);
        match story::run(&plan) {
            Ok(report) => {
                summary.merge(&report.summary);
                each(&report);
            }
            Err(failure) => return (summary, Some((plan, failure))),
        }
    }
    (summary, None)
}
