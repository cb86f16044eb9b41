use super::{BUCKET_COUNT, Histogram, NANOS_MAX, index, lower};

#[test]
fn buckets_lie_side_by_side() {
    for bucket in 0..BUCKET_COUNT {
        let (first, next) = (lower(bucket), lower(bucket + 1));
        assert!(first < next);
        assert_eq!((index(first), index(next - 1)), (bucket, bucket));
        assert!((next - first) * 32 <= first.max(32), "one part in 32");
    }
    assert_eq!(lower(BUCKET_COUNT), NANOS_MAX + 1);
}

#[test]
fn quantiles_are_those_of_a_sorted_list() {
    let mut histogram = Histogram::default();
    let mut values: Vec<u64> = (0..10_000u64).map(|turn| (turn * 7_919) % 10_007 * (turn % 13 + 1)).collect();
    values.iter().for_each(|value| histogram.record(*value));
    values.sort_unstable();
    for (share, rank) in [(0.5, 5_000), (0.99, 9_900), (0.999, 9_990), (1.0, 10_000)] {
        let (exact, found) = (values[rank - 1], histogram.quantile(share));
        assert!(found >= exact && found <= exact + exact / 32, "{share}: {found} for {exact}");
    }
    assert_eq!((histogram.count(), histogram.sum()), (10_000, values.iter().sum()));
    assert_eq!(histogram.count_below(1024), values.iter().filter(|value| **value < 1024).count() as u64);
}

#[test]
fn what_was_before_does_not_count() {
    let mut histogram = Histogram::default();
    (0..1_000).for_each(|_| histogram.record(1_000_000));
    let before = histogram.clone();
    (0..1_000).for_each(|_| histogram.record(50));
    assert_eq!(histogram.quantile_since(&before, 0.999), 50);
    assert_eq!(Histogram::default().quantile(0.5), 0);
}

#[test]
fn what_is_too_long_is_counted_all_the_same() {
    let mut histogram = Histogram::default();
    histogram.record(u64::MAX);
    assert_eq!((histogram.count(), histogram.quantile(1.0)), (1, NANOS_MAX));
}
