use super::{Figures, merge, parse};
use crate::histogram::Histogram;

fn figures(shard: &str) -> Figures {
    let mut figures = Figures::default();
    let mut times = Histogram::default();
    [100, 600, 5_000, 2_000_000].into_iter().for_each(|nanos| times.record(nanos));
    figures.counter(
        "torc_things_total",
        "Things that were done.",
        &[("shard", shard), ("kind", "a \"b\"\\\n")],
        7,
    );
    figures.gauge("torc_level", "How high it stands.", &[("shard", shard)], -1.5);
    figures.seconds("torc_waits_seconds_total", "Time that was waited.", &[("shard", shard)], 1_500_000);
    figures.histogram("torc_took_seconds", "How long it took.", &[("shard", shard)], &times, 2);
    figures
}

#[test]
fn what_is_written_is_read_back() {
    let families = parse(&figures("0").page()).expect("a page");
    let names: Vec<&str> = families.iter().map(|family| family.name.as_str()).collect();
    assert_eq!(names, ["torc_level", "torc_things_total", "torc_took_seconds", "torc_waits_seconds_total"]);
    assert_eq!((families[1].samples[0].label("kind"), families[1].samples[0].value), ("a \"b\"\\\n", 7.0));
    assert_eq!((families[0].samples[0].value, families[3].samples[0].value), (-1.5, 1.5));
    let buckets: Vec<(&str, f64)> =
        families[2].samples.iter().map(|sample| (sample.label("le"), sample.value)).collect();
    assert_eq!(buckets[..3], [("0.000000512", 1.0), ("0.000000768", 2.0), ("0.000001024", 2.0)]);
    assert_eq!(buckets[buckets.len() - 3], ("+Inf", 4.0));
}

#[test]
fn pages_of_cores_become_one() {
    let (one, two) = (figures("0").page(), figures("1").page());
    let merged = merge([one.as_str(), two.as_str()]);
    let families = parse(&merged).expect("one page");
    assert_eq!(families.len(), 4);
    let shards: Vec<&str> = families[0].samples.iter().map(|sample| sample.label("shard")).collect();
    assert_eq!(shards, ["0", "1"]);
    assert_eq!(merge([one.as_str()]), one);
}

#[test]
fn what_is_wrong_is_refused() {
    let good = "# HELP a_total b c\n# TYPE a_total counter\na_total 1\n";
    assert!(parse(good).is_ok());
    for bad in [
        "a_total 1\n",
        "# HELP a_total b\n# TYPE a_total counter\na_total 1",
        "# HELP a_total b\n# TYPE a_total counter\n",
        "# HELP a_total b\n# TYPE a_total gauge\na_total 1\n",
        "# HELP a b\n# TYPE a counter\na 1\n",
        "# HELP a b\n# TYPE a gauge\nb 1\n",
        "# HELP a b\n# TYPE a gauge\na 1\na 2\n",
        "# HELP a b\n# TYPE a gauge\na 1\n# HELP a b\n# TYPE a gauge\na{x=\"1\"} 1\n",
        "# HELP a b\n# TYPE a gauge\na{x=\"1\",x=\"2\"} 1\n",
        "# HELP a b\n# TYPE a gauge\na{x=\"1} 1\n",
        "# HELP a b\n# TYPE a gauge\na{x=\"\\t\"} 1\n",
        "# HELP a b\n# TYPE a gauge\na{1x=\"1\"} 1\n",
        "# HELP a b\n# TYPE a gauge\na x\n",
        "# HELP a b\n# TYPE a gauge\na NaN\n",
        "# HELP a_total b\n# TYPE a_total counter\na_total -1\n",
        "# HELP h b\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
        "# HELP h b\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n",
        "# HELP h b\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_count 1\n",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}
