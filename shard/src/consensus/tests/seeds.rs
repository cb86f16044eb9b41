//! Seeds without a planted bug: nothing may be found, and every kind of event must have happened.

use super::world::{Counts, MS, World};

/// How many seeds the normal test run takes; `TORC_CONSENSUS_SEEDS` says otherwise.
const SEEDS: u64 = 150;

#[test]
fn no_seed_breaks_a_promise() {
    let seeds =
        std::env::var("TORC_CONSENSUS_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
    let mut all = Counts::default();
    for seed in 1..=seeds {
        let counts = World::new(seed, None).run(10_000 * MS);
        all.commits += counts.commits;
        all.acknowledged += counts.acknowledged;
        all.lease_reads += counts.lease_reads;
        all.index_reads += counts.index_reads;
        all.elections += counts.elections;
        all.crashes += counts.crashes;
        all.images += counts.images;
        all.changes += counts.changes;
        all.transfers += counts.transfers;
    }
    println!("{seeds} seeds, {} virtual seconds: {all:?}", seeds * 14);
    let each = [
        all.acknowledged,
        all.lease_reads,
        all.index_reads,
        all.elections,
        all.crashes,
        all.images,
        all.changes,
        all.transfers,
    ];
    assert!(each.into_iter().all(|count| count > seeds / 10), "something hardly ever happened: {all:?}");
}

#[test]
fn the_same_seed_takes_the_same_course() {
    for seed in [1, 7, 42] {
        let first = World::new(seed, None).run(3_000 * MS);
        assert_eq!(first, World::new(seed, None).run(3_000 * MS));
    }
}
