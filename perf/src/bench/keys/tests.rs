//! Shapes of chance, held against their formulas.

use super::*;

fn counts(choice: Choice, keys: u64, draws: usize) -> Vec<f64> {
    let chooser = Chooser::new(choice, keys);
    let mut chance = Chance::new(42, 0);
    let mut counts = vec![0.0; keys as usize];
    for _ in 0..draws {
        counts[chooser.next(&mut chance, 0) as usize] += 1.0;
    }
    counts
}

/// Sum of (seen - expected)^2 / expected.
fn chi_square(counts: &[f64], weights: &[f64]) -> f64 {
    let draws: f64 = counts.iter().sum();
    let whole: f64 = weights.iter().sum();
    counts
        .iter()
        .zip(weights)
        .map(|(seen, weight)| (seen - draws * weight / whole).powi(2) / (draws * weight / whole))
        .sum()
}

#[test]
fn uniform_keys_come_up_alike() {
    // 99 degrees of freedom: below 149 in 999 of 1000 cases.
    let chi = chi_square(&counts(Choice::Uniform, 100, 200_000), &[1.0; 100]);
    assert!(chi < 149.0, "{chi}");
}

#[test]
fn zipf_keys_follow_the_law_at_several_skews() {
    for skew in [0.5, 0.99, 1.0, 1.5] {
        let weights: Vec<f64> = (1..=100).map(|rank| f64::from(rank).powf(-skew)).collect();
        let seen = counts(Choice::Zipf { skew }, 100, 200_000);
        let by_rank: Vec<f64> = (0..100).map(|rank| seen[shuffled(rank, 100) as usize]).collect();
        let chi = chi_square(&by_rank, &weights);
        assert!(chi < 149.0, "skew {skew}: {chi}");
        let mut newest_first = counts(Choice::Latest { skew }, 100, 200_000);
        newest_first.reverse();
        let chi = chi_square(&newest_first, &weights);
        assert!(chi < 149.0, "latest, skew {skew}: {chi}");
    }
}

#[test]
fn one_key_is_always_chosen() {
    assert_eq!(counts(Choice::Zipf { skew: 0.99 }, 1, 100), [100.0]);
    assert_eq!(counts(Choice::Uniform, 1, 100), [100.0]);
}

#[test]
fn the_last_key_of_a_large_space_is_in_reach() {
    let chooser = Chooser::new(Choice::Zipf { skew: 0.1 }, 1 << 32);
    let mut chance = Chance::new(1, 0);
    let highest = (0..10_000).map(|_| chooser.next(&mut chance, 0)).max().expect("10,000 draws");
    assert!(highest > (1 << 32) - (1 << 24), "{highest}");
}

#[test]
fn streams_of_one_seed_differ() {
    let draw = |seed, stream| Chance::new(seed, stream).draw();
    assert_eq!(draw(1, 1), draw(1, 1));
    assert_ne!(draw(1, 1), draw(1, 2));
    assert_ne!(draw(1, 1), draw(2, 1));
}

#[test]
fn every_pack_is_shuffled_and_whole() {
    for count in [1, 2, 3, 7, 64, 100, 1000, 4097] {
        let cards: std::collections::BTreeSet<u64> = (0..count).map(|place| shuffled(place, count)).collect();
        assert_eq!(cards, (0..count).collect(), "a pack of {count}");
    }
    let stayed = (0..1000).filter(|place| shuffled(*place, 1000) == *place).count();
    assert!(stayed < 10, "{stayed} of 1000 cards stayed where they were");
}

#[test]
fn the_latest_key_is_the_one_that_was_added_last() {
    let chooser = Chooser::new(Choice::Latest { skew: 3.0 }, 100);
    let mut chance = Chance::new(1, 0);
    let newest = (0..1000).filter(|_| chooser.next(&mut chance, 50) == 149).count();
    // 1 / zeta(3) of all: 832.
    assert!((780..880).contains(&newest), "{newest}");
}

#[test]
fn a_hot_set_has_its_share_and_the_rest_the_rest() {
    let choice = Choice::HotSet { keys_percent: 20.0, operations_percent: 80.0 };
    let mut weights = vec![0.2 / 80.0; 100];
    (0..20).for_each(|place| weights[shuffled(place, 100) as usize] = 0.8 / 20.0);
    let chi = chi_square(&counts(choice, 100, 200_000), &weights);
    assert!(chi < 149.0, "{chi}");
    let all = Choice::HotSet { keys_percent: 99.9, operations_percent: 0.0 };
    assert_eq!(counts(all, 1, 10), [10.0]);
}
