//! Pictures have what they should in them; how they look, people have to see.

use super::*;

#[test]
fn axes_say_numbers_in_their_units() {
    let says = |axis: Axis, values: &[f64]| values.iter().map(|value| axis.says(*value)).collect::<Vec<_>>();
    assert_eq!(says(Axis::Nines, &[0.0, 1.0, 2.0, 3.0, 5.0]), ["0", "90 %", "99 %", "99.9 %", "99.999 %"]);
    assert_eq!(says(Axis::Micros, &[1.0, 3.0, 6.0]), ["10 µs", "1 ms", "1 s"]);
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
    for text in ["GetItem", "PutItem", "raw loopback", "percentile", "99.9 %", "10 µs", "10 ms"] {
        assert!(svg.contains(text), "{text} is missing in {svg}");
    }
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
}

#[test]
fn stages_are_bars_with_their_names_and_sums() {
    use crate::bench::generator::Counted;
    use crate::bench::options::tests::options;
    use crate::bench::recorder::{Kind, Recorder, Times};
    use runtime::Mono;
    let mut recorder = Recorder::default();
    recorder.ok(Kind::Put, Times { due: Mono(0), sent: Mono(0), done: Mono(200_000) }, 1);
    let told = "parse;dur=10, append;dur=5, durable;dur=125, total;dur=140, follower;node=2;dur=90";
    recorder.stages.entry(Kind::Put).or_default().note(Some(told));
    let plan = options("--workload put").plan().expect("a plan");
    let mut report = Report::new(crate::bench::host::facts(), "torc bench".into(), 1);
    assert!(stages(&report).expect("no picture").is_none());
    report.measurements.push(Measurement::new("put", &plan, &Counted { recorder, findings: None }));
    let plot = stages(&report).expect("a picture").expect("it was told");
    for text in ["PutItem", "parse", "append", "durable", "140 µs", "microseconds, mean"] {
        assert!(plot.svg.contains(text), "{text} is missing in {}", plot.svg);
    }
    assert!(!plot.svg.contains("follower"));
}
