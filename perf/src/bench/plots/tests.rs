//! Pictures have what they should in them; how they look, people have to see.

use super::*;

#[test]
fn axes_say_numbers_in_their_units() {
    let says = |axis: Axis, values: &[f64]| values.iter().map(|value| axis.says(*value)).collect::<Vec<_>>();
    assert_eq!(says(Axis::Nines, &[0.0, 1.0, 2.0, 3.0, 5.0]), ["0", "90 %", "99 %", "99.9 %", "99.999 %"]);
    assert_eq!(says(Axis::Micros, &[1.0, 3.0, 6.0]), ["10 µs", "1.00 ms", "1.00 s"]);
    assert_eq!(says(Axis::Plain, &[2.5, 25_000.0]), ["2.5", "25,000"]);
}

#[test]
fn a_picture_has_its_lines_and_its_marks() {
    let line = |label: &str, points: &[(f64, f64)]| Line { label: label.into(), points: points.to_vec() };
    let chart = Chart {
        x: ("percentile", Axis::Nines),
        y: ("latency", Axis::Micros),
        lines: vec![
            line("GetItem", &[(0.0, 80.0), (1.0, 120.0), (3.0, 4000.0)]),
            line("PutItem", &[(0.0, 150.0)]),
        ],
        across: vec![("raw loopback".into(), 30.0)],
        upright: None,
    };
    assert_eq!(chart.bounds(), ((0.0, 3.0), (1.0, 4.0)));
    let svg = chart.draw().expect("a picture");
    for text in ["GetItem", "PutItem", "raw loopback", "percentile", "99.9 %", "10 µs", "10.00 ms"] {
        assert!(svg.contains(text), "{text} is missing in {svg}");
    }
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
}
