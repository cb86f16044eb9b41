//! The knee of curves whose knee is known.

use super::*;

/// A server of one queue with exponential service of 100 µs: p99 is that over the rest of its time, until it is saturated.
fn point(load: f64) -> Point {
    let p99_us = if load < 1.0 { 460.0 / (1.0 - load) } else { 1e6 };
    let asked_per_second = load * 10_000.0;
    let reached_per_second = asked_per_second.min(10_000.0);
    Point { asked_per_second, reached_per_second, p50_us: 0.0, p99_us, p999_us: 0.0, max_us: 0.0, errors: 0 }
}

#[test]
fn the_knee_of_a_queue_lies_before_its_saturation() {
    let points: Vec<Point> = [0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.1, 1.2].map(point).to_vec();
    let sweep = Sweep::of(10_000.0, points);
    let knee = sweep.points[sweep.knee.expect("a knee")].asked_per_second;
    assert!((7_000.0..=9_000.0).contains(&knee), "{knee}");
    assert_eq!(sweep.saturated_per_second, Some(11_000.0));
}

#[test]
fn there_is_no_knee_without_a_curve() {
    assert_eq!(knee(&[]), None);
    assert_eq!(knee(&[point(0.1), point(0.9)]), None);
    let flat: Vec<Point> =
        [0.1, 0.2, 0.3].iter().map(|load| Point { p99_us: 500.0, ..point(*load) }).collect();
    assert_eq!(knee(&flat), None, "it never got slower");
    assert_eq!(Sweep::of(1.0, flat).saturated_per_second, None);
}
