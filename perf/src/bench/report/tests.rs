//! The shape that programs read, and the lines that people read.

use std::time::Duration;

use runtime::Mono;

use super::super::options::tests::options;
use super::super::recorder::{Recorder, Times};
use super::*;

fn host() -> Host {
    Host {
        cpu: "CPU".into(),
        cpus: vec![0, 1],
        memory_mib: 24 * 1024,
        kernel: "6.1".into(),
        version: "0.1.0".into(),
        commit: Some("abcdef".into()),
    }
}

fn limit(name: &str, work: LimitWork, p50: f64) -> Limit {
    let latency_us = Percentiles { p50, ..Percentiles::default() };
    Limit { name: name.into(), work, depth: 1, per_second: 36_000.0, latency_us }
}

fn counted(ok: u64, findings: Option<Findings>) -> Counted {
    let mut recorder = Recorder::default();
    for index in 0..ok {
        let due = Mono(index * 1_000_000);
        recorder.ok(Kind::Put, Times { due, sent: due, done: due.after(Duration::from_micros(100)) }, 1);
    }
    let due = Mono(0);
    recorder.error(Kind::Put, Times { due, sent: due, done: Mono(2_000_000_000) }, "Timeout");
    Counted { recorder, findings }
}

fn report(ok: u64, findings: Option<Findings>) -> Report {
    let plan = Plan { seed: Some(7), ..options("--workload put").plan().expect("a plan") };
    let mut report = Report::new(host(), "torc bench".into(), 1);
    report.measurements.push(Measurement::new("put, 64 connections", &plan, &counted(ok, findings)));
    report
}

#[test]
fn json_has_the_fields_that_programs_rely_on_and_comes_back() {
    let report = report(1000, Some(Findings { checked: 3, ..Findings::default() }));
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).expect("JSON");
    assert_eq!(json["schema"], "torc-bench/1");
    assert_eq!(json["host"]["cpus"], serde_json::json!([0, 1]));
    let measurement = &json["measurements"][0];
    for field in
        ["name", "item_bytes", "keys", "connections", "client_cores", "rate", "seconds", "seed", "verify"]
    {
        assert!(measurement.get(field).is_some(), "{field}");
    }
    let operation = &measurement["operations"][0];
    assert_eq!(operation["operation"], "PutItem");
    assert_eq!(operation["ok"], 1000);
    assert_eq!(operation["errors"]["Timeout"], 1);
    assert_eq!(operation["per_second"], 500.0);
    for times in ["response_us", "service_us"] {
        for field in ["count", "min", "mean", "p50", "p90", "p95", "p99", "p999", "p9999", "p99999", "max"] {
            assert!(operation[times][field].is_number(), "{times}.{field}");
        }
    }
    let p50 = operation["response_us"]["p50"].as_f64().expect("a number");
    assert!((p50 - 100.0).abs() < 0.2, "{p50}");
    assert_eq!(serde_json::from_str::<Report>(&report.to_json()).expect("the same shape"), report);
}

#[test]
fn the_table_has_throughput_percentiles_and_errors() {
    let text = report(1000, None).to_string();
    assert!(text.contains("torc 0.1.0 (abcdef), 2 x CPU, 24 GiB, Linux 6.1"), "{text}");
    let row = text.lines().find(|line| line.starts_with("put, 64 connections  ")).expect("a row");
    let cells: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(
        cells,
        ["put, 64 connections", "PutItem", "500", "100 µs", "100 µs", "100 µs", "2.00 s", "2.00 s", "1"]
    );
    assert!(text.contains("1 PutItem failed: Timeout"), "{text}");
}

#[test]
fn markdown_has_as_many_cells_in_each_line_of_a_table() {
    let mut report = report(10, None);
    report.start_ms = Some(12.34);
    report.memory.push(Memory { when: "idle".into(), resident_bytes: 30 << 20, peak_bytes: 31 << 20 });
    report.limits.push(limit("write", LimitWork::Write, 60.0));
    let markdown = report.to_markdown();
    for block in markdown.split("\n\n") {
        let cells: Vec<usize> =
            block.lines().filter(|l| l.starts_with('|')).map(|l| l.matches('|').count()).collect();
        assert!(cells.windows(2).all(|pair| pair[0] == pair[1]), "{block}");
    }
    assert!(markdown.contains("| start to first answer, empty directory | 12.3 ms |"), "{markdown}");
    assert!(markdown.contains("| resident memory, idle | 30 MiB |"), "{markdown}");
    assert!(markdown.contains("| write | 36,000 |"), "{markdown}");
}

#[test]
fn one_connection_is_held_against_what_the_hardware_takes() {
    let mut report = report(1000, None);
    report.limits.push(limit("write", LimitWork::Write, 60.0));
    report.limits.push(limit("trip", LimitWork::RoundTrip, 20.0));
    report.measurements[0].connections = 1;
    let (_, put) = report.distances().remove(0);
    assert_eq!(put, "1.3 = 100 µs / 80 µs (round trip and write)");
    report.measurements[0].operations[0].operation = "GetItem".into();
    let (_, get) = report.distances().remove(0);
    assert_eq!(get, "5.0 = 100 µs / 20 µs (round trip)");
}

#[test]
fn wrong_reads_and_empty_runs_fail_the_check() {
    assert!(report(10, None).check().is_ok());
    let wrong = Findings { checked: 3, wrong: 1, examples: vec!["key 1: lost".into()] };
    let error = report(10, Some(wrong)).check().expect_err("a wrong read").to_string();
    assert!(error.contains("1 wrong reads of 3: key 1: lost"), "{error}");
    let error = report(0, None).check().expect_err("no success").to_string();
    assert!(error.contains("no PutItem succeeded") && error.contains("Timeout"), "{error}");
}

#[test]
fn numbers_are_written_for_people() {
    assert_eq!(
        [0.4, 999.0, 1000.0, 25_113.2, 1_234_567.0].map(grouped),
        ["0", "999", "1,000", "25,113", "1,234,567"]
    );
    assert_eq!([12.3, 1500.0, 2_500_000.0].map(time), ["12 µs", "1.50 ms", "2.50 s"]);
}

#[test]
fn a_closed_loop_is_corrected_for_what_was_not_asked() {
    // One of 1000 answers took a second, all others 1 ms: a user who asks every millisecond would have waited 999, 998, 997 ms and so on.
    let mut times = histogram();
    times.record_n(1_000_000, 999).expect("in range");
    times.record(1_000_000_000).expect("in range");
    let corrected = corrected(&times, Duration::from_millis(1));
    assert_eq!(corrected.len(), 1999);
    let at = |quantile| corrected.value_at_quantile(quantile) as f64 / 1e9;
    // Half of them are spread evenly over the second.
    for (quantile, expected) in [(0.75, 0.5), (0.95, 0.9), (0.995, 0.99)] {
        assert!((at(quantile) - expected).abs() < 0.005, "{quantile}: {}", at(quantile));
    }
    assert_eq!(times.value_at_quantile(0.99) / 1_000_000, 1, "what was measured says nothing of it");
}

#[test]
fn a_curve_has_ten_points_for_each_nine_that_was_measured() {
    let mut times = histogram();
    (1..=1000).for_each(|micros| times.record(micros * 1000).expect("in range"));
    let curve = curve(&times);
    assert!((30..=34).contains(&curve.len()), "{}", curve.len());
    let (quantile, micros) = curve[20];
    assert!((quantile - 0.99).abs() < 1e-9 && (micros - 990.0).abs() < 1.0, "{quantile} {micros}");
    assert!(curve.is_sorted_by(|one, two| one.0 < two.0 && one.1 <= two.1));
}
