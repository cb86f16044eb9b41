//! Slots: evenly spaced, by chance, and never past the end.

use super::*;

fn slots(pace: Pace, seconds: u64, seed: u64) -> Vec<u64> {
    let end = Mono(seconds * 1_000_000_000);
    let mut schedule = Schedule::new(pace, Mono(0), end, Chance::new(seed, 0));
    std::iter::from_fn(|| schedule.take(Mono(7))).map(|(due, _)| due.0).collect()
}

#[test]
fn constant_slots_lie_at_equal_distances_without_drift() {
    let slots = slots(Pace::Constant { per_second: 3.0 }, 1000, 1);
    assert_eq!(slots.len(), 3000);
    for (index, slot) in slots.iter().enumerate() {
        assert!(slot.abs_diff(index as u64 * 1_000_000_000 / 3) <= 1, "slot {index} at {slot}");
    }
}

#[test]
fn poisson_slots_have_exponential_gaps() {
    let slots = slots(Pace::Poisson { per_second: 1000.0 }, 100, 2);
    assert!((99_000..101_000).contains(&slots.len()), "{}", slots.len());
    assert!(slots.is_sorted());
    let gaps: Vec<u64> = slots.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // P(gap > mean) = 1/e, P(gap < mean/10) = 1 - e^-0.1; a metronome has 0 for both.
    let longer = gaps.iter().filter(|gap| **gap > 1_000_000).count() as f64 / gaps.len() as f64;
    let tiny = gaps.iter().filter(|gap| **gap < 100_000).count() as f64 / gaps.len() as f64;
    assert!((longer - 0.3679).abs() < 0.01, "{longer}");
    assert!((tiny - 0.0952).abs() < 0.01, "{tiny}");
}

#[test]
fn poisson_slots_repeat_under_the_same_seed_only() {
    let pace = Pace::Poisson { per_second: 50.0 };
    assert_eq!(slots(pace, 10, 3), slots(pace, 10, 3));
    assert_ne!(slots(pace, 10, 3), slots(pace, 10, 4));
}

#[test]
fn a_closed_loop_is_due_at_once_until_the_end() {
    let mut schedule = Schedule::new(Pace::Closed, Mono(10), Mono(20), Chance::new(1, 0));
    assert_eq!(schedule.take(Mono(10)), Some((Mono(10), 0)));
    assert_eq!(schedule.take(Mono(19)), Some((Mono(19), 1)));
    assert_eq!(schedule.take(Mono(20)), None);
}

#[test]
fn parts_add_up_to_the_whole() {
    assert_eq!(Pace::Constant { per_second: 900.0 }.part(3), Pace::Constant { per_second: 300.0 });
    assert_eq!(Pace::Closed.part(3), Pace::Closed);
}

#[test]
fn recorded_slots_are_where_they_were() {
    let pace = Pace::Recorded { per_second: 3.0 };
    let slots = [0, 120, 120, 900].map(Duration::from_nanos).to_vec();
    let mut schedule = Schedule::new(pace, Mono(50), Mono(900), Chance::new(1, 0)).with_slots(slots);
    let taken: Vec<_> = std::iter::from_fn(|| schedule.take(Mono(7))).collect();
    assert_eq!(taken, [(Mono(50), 0), (Mono(170), 1), (Mono(170), 2)], "the last one lies beyond the end");
}
