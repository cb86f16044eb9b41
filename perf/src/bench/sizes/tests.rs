//! Sizes follow their distribution, and stay what they were.

use super::*;

#[test]
fn a_size_is_written_in_three_ways() {
    assert_eq!(Sizes::parse("1024"), Ok(Sizes::Fixed(1024)));
    assert_eq!(Sizes::parse("uniform:100-200"), Ok(Sizes::Uniform(100, 200)));
    let largest = Sizes::LogNormal { median: 600, sigma: 1.2, max: ITEM_BYTES_MAX };
    assert_eq!(Sizes::parse("lognormal:600,1.2"), Ok(largest));
    assert_eq!(
        Sizes::parse("lognormal:600,1.2,65536"),
        Ok(Sizes::LogNormal { median: 600, sigma: 1.2, max: 65536 })
    );
    for wrong in ["63", "409601", "x", "uniform:200-100", "uniform:100", "lognormal:600", "lognormal:600,9"] {
        assert!(Sizes::parse(wrong).is_err(), "{wrong}");
    }
    for text in ["1024", "uniform:100-200", "lognormal:600,1.2,65536"] {
        assert_eq!(Sizes::parse(text).expect("a size").to_string(), text);
    }
}

#[test]
fn drawn_sizes_have_the_distributions_quantiles() {
    let drawn = |text: &str| {
        let table = Sizes::parse(text).expect("a size").lay_out();
        let mut sizes: Vec<usize> = (0..40_000).map(|key| table.of(key, 1)).collect();
        sizes.sort_unstable();
        sizes
    };
    let near = |found: usize, expected: f64| (found as f64 / expected - 1.0).abs() < 0.05;
    let uniform = drawn("uniform:100-1099");
    assert_eq!((uniform[0], uniform[39_999]), (100, 1099));
    assert!(near(uniform[10_000], 350.0) && near(uniform[30_000], 850.0), "{}", uniform[10_000]);
    // The normal distribution has 84.13 % below one standard deviation, 97.72 % below two.
    let normal = drawn("lognormal:1000,0.5");
    assert!(near(normal[20_000], 1000.0), "{}", normal[20_000]);
    assert!(near(normal[33_654], 1000.0 * 0.5f64.exp()), "{}", normal[33_654]);
    assert!(near(normal[39_090], 1000.0 * 1.0f64.exp()), "{}", normal[39_090]);
    assert!(drawn("lognormal:1000,2,4000").iter().all(|size| (64..=4000).contains(size)));
}

#[test]
fn a_version_keeps_its_size_and_versions_differ() {
    let table = Sizes::Uniform(100, 4000).lay_out();
    assert_eq!(table.of(7, 3), table.of(7, 3));
    let sizes: std::collections::BTreeSet<usize> = (0..100).map(|version| table.of(7, version)).collect();
    assert!(sizes.len() > 90, "{}", sizes.len());
    assert_eq!(Sizes::Fixed(500).lay_out().of(1, 2), 500);
}
