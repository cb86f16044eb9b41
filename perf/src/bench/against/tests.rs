//! Intervals that hold what they should, and no more.

use super::*;
use crate::bench::keys::Chance;

fn ratio(pairs: &[(f64, f64)]) -> Ratio {
    Ratio::of("figure", pairs.iter().copied())
}

#[test]
fn a_ratio_has_the_interval_that_is_computed_by_hand() {
    // Logarithms 0, 1 and 2: mean 1, standard deviation 1, t of two degrees of freedom 4.303.
    let found = ratio(&[(1.0, 1.0), (2.0, 2.0 * 1f64.exp()), (1.0, 2f64.exp())]);
    let reach = 4.303 / 3f64.sqrt();
    for (found, expected) in [(found.ratio, 1.0f64), (found.low, 1.0 - reach), (found.high, 1.0 + reach)] {
        assert!((found.ln() - expected).abs() < 1e-9, "{found} {expected}");
    }
}

#[test]
fn what_is_slower_for_both_is_no_difference() {
    let both_slow = [(100.0, 101.0), (300.0, 298.0), (50.0, 50.4), (900.0, 897.0)];
    let found = ratio(&both_slow);
    assert!(!found.is_sure() && found.high < 1.02, "{found:?}");
    let twice = both_slow.map(|(a, b)| (a, 2.0 * b));
    let found = ratio(&twice);
    assert!(found.is_sure() && (found.ratio - 2.0).abs() < 0.02, "{found:?}");
}

#[test]
fn ninety_five_of_a_hundred_intervals_hold_the_truth() {
    let mut chance = Chance::new(3, 0);
    let holds = (0..2000).filter(|_| {
        // The sum of twelve uniform numbers less six is about normal.
        let mut normal = || (0..12).map(|_| chance.unit()).sum::<f64>() - 6.0;
        let pairs: Vec<(f64, f64)> = (0..8).map(|_| (100.0, 130.0 * (0.2 * normal()).exp())).collect();
        let found = ratio(&pairs);
        (found.low..=found.high).contains(&1.3)
    });
    let holds = holds.count();
    assert!((1860..=1935).contains(&holds), "{holds} of 2000");
}
