//! A run with next to no data: every workload on every engine, and the files that are left. Run it with `--release`, or
//! RocksDB is built a second time.

use std::process::Command;

#[test]
fn a_tiny_run_measures_everything_and_leaves_only_its_report() {
    let out = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on a real disk");
    let mut compare = Command::new(env!("CARGO_BIN_EXE_compare"));
    let status = compare.arg("--tiny").arg("--out").arg(out.path()).status().expect("it starts");
    assert!(status.success(), "{status}");

    let json = std::fs::read_to_string(out.path().join("compare.json")).expect("the report");
    let report: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let results = report["results"].as_object().expect("results by workload");
    assert_eq!(results.len(), 9);
    for (workload, contenders) in results {
        for engine in ["Torc", "RocksDb", "Fjall"] {
            let figures = contenders[engine]["figures"].as_object();
            assert!(figures.is_some_and(|figures| !figures.is_empty()), "{workload}: nothing of {engine}");
        }
    }
    let markdown = std::fs::read_to_string(out.path().join("compare.md")).expect("the table");
    assert!(markdown.contains("| (9) restart, log per second |"), "{markdown}");
    let mut left: Vec<_> =
        std::fs::read_dir(out.path()).expect("it is there").flatten().map(|file| file.file_name()).collect();
    left.sort();
    assert_eq!(left, ["compare.json", "compare.md"]);
}
