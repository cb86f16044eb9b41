use super::*;
use crate::plan::{Fault, Kind};
use std::time::Duration;

/// A run that fails when two certain faults are both there, whoever else is.
fn fails_with_two(plan: &Plan) -> Option<Failure> {
    let has = |at: u64| plan.faults.iter().any(|fault| fault.at == Duration::from_secs(at));
    (has(3) && has(17)).then(|| Failure { seed: plan.seed, what: format!("{} faults", plan.faults.len()) })
}

#[test]
fn only_what_is_needed_is_left() {
    let fault = |at| Fault { at: Duration::from_secs(at), lasts: Duration::ZERO, kind: Kind::Blackout };
    let plan = Plan { faults: (0..40).map(fault).collect(), ..Plan::calm(7) };
    let failure = fails_with_two(&plan).unwrap();
    let (small, failure) = shrink(&plan, failure, fails_with_two);
    assert_eq!(small.faults, [fault(3), fault(17)]);
    assert_eq!((failure.what.as_str(), small.clients, small.keys), ("2 faults", 2, 3));
}
