use super::*;
use crate::facts::Core;

#[test]
fn percentiles_are_microseconds() {
    let mut times = histogram();
    (1..=100).for_each(|us| times.saturating_record(us * 1000));
    let latency = Latency::of(&times).unwrap();
    let near = |value: f64, expected: f64| {
        assert!((value - expected).abs() <= expected * 0.002, "{value} {expected}")
    };
    near(latency.us_p50, 50.0);
    near(latency.us_p99, 99.0);
    near(latency.us_max, 100.0);
    assert_eq!(latency.count, 100);
    assert!(Latency::of(&histogram()).is_err(), "no figure comes from nothing");
}

#[test]
fn one_pair_of_each_kind_is_asked() {
    let core = |cpu: usize, threads: &[usize], cache: &[usize], package| Core {
        cpu,
        threads: threads.to_vec(),
        cache: cache.to_vec(),
        package: Some(package),
    };
    let cores = [
        core(0, &[0, 8], &[0, 1, 8, 9], 0),
        core(1, &[1, 9], &[0, 1, 8, 9], 0),
        core(2, &[2], &[2, 3], 0),
        core(3, &[3], &[2, 3], 0),
        core(4, &[4], &[4], 1),
        core(8, &[0, 8], &[0, 1, 8, 9], 0),
    ];
    let pairs = cores::pairs(&cores);
    let expected =
        [(1, Neighbours::Cache), (2, Neighbours::Socket), (4, Neighbours::Nothing), (8, Neighbours::Core)];
    assert_eq!(pairs, expected.map(|(to, share)| (0, to, share)));
    assert!(cores::pairs(&cores[..1]).is_empty() && cores::pairs(&[]).is_empty());
}

#[test]
fn a_gap_is_the_time_that_was_lost() {
    let gaps = Gaps { watched_us: 1000.0, us_sum: 25.0, ..Gaps::default() };
    assert_eq!(gaps.lost(), 0.025);
    assert_eq!(Gaps::default().lost(), 0.0);
}
