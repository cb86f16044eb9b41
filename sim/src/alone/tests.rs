use super::*;

/// Seeds of an ordinary test run; `TORC_SIM_SEEDS` asks for more.
const SEEDS: u64 = 24;

fn seeds() -> u64 {
    std::env::var("TORC_SIM_SEEDS").map_or(SEEDS, |text| text.parse().expect("a number of seeds"))
}

#[test]
fn acknowledged_writes_survive_in_every_world() {
    let (mut acknowledged, mut crashes) = (0, 0);
    for seed in 0..seeds() {
        let report = run(seed).unwrap_or_else(|failure| panic!("{failure}"));
        acknowledged += report.totals.acknowledged;
        crashes += report.crashes;
    }
    assert!(acknowledged > 100 && crashes > 10, "{acknowledged} writes and {crashes} crashes test nothing");
}

#[test]
fn the_same_seed_is_the_same_world() {
    for seed in [1, 7] {
        let (one, two) = (run(seed).unwrap(), run(seed).unwrap());
        assert_eq!((one.trace_hash, one.elapsed, one.totals), (two.trace_hash, two.elapsed, two.totals));
    }
    assert_ne!(run(1).unwrap().trace_hash, run(2).unwrap().trace_hash);
}

#[test]
fn pages_are_split_as_the_router_writes_them() {
    let check = |body: &str, keys: &[&str], last: Option<&str>| {
        let (found, rest) = split_page(body);
        assert_eq!(
            (found.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), rest.as_deref()),
            (keys, last)
        );
    };
    check(r#"{"Count":1,"Items":[{"p":{"S":"a"}}],"ScannedCount":1}"#, &["a"], None);
    let paged =
        r#"{"Items":[{"p":{"S":"a"}},{"p":{"S":"b"}}],"LastEvaluatedKey":{"p":{"S":"b"}},"ScannedCount":2}"#;
    check(paged, &["a", "b"], Some("b"));
}
