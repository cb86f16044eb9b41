//! What is written is what HdrHistogram reads.

use std::time::Duration;

use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use runtime::Mono;

use super::super::recorder::{Kind, Times};
use super::*;

#[test]
fn a_log_has_a_line_for_each_second_and_kind() {
    let mut recorder = Recorder::with_series(Mono(0), Duration::from_secs(1));
    for millis in [100, 200, 1500] {
        let due = Mono(millis * 1_000_000);
        let times = Times { due, sent: due, done: due.after(Duration::from_millis(7)) };
        recorder.ok(Kind::Put, times, 1);
        recorder.ok(Kind::Insert, times, 1);
    }
    recorder.finish();
    let text =
        write("a run", SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000), &recorder).expect("a log");
    let mut lines = Vec::new();
    for entry in IntervalLogIterator::new(text.as_bytes()) {
        if let LogEntry::Interval(interval) = entry.expect("a log that parses") {
            let tag = interval.tag().expect("a tag").as_str().to_owned();
            lines.push((tag, interval.start_timestamp().as_secs(), interval.max().round()));
            assert!(interval.encoded_histogram().starts_with("HISTFAAA"), "version 2, deflated");
        }
    }
    let line = |tag: &str, second| (tag.to_owned(), second, 7.0);
    assert_eq!(
        lines,
        [line("PutItem", 0), line("PutItem", 1), line("PutItem-new", 0), line("PutItem-new", 1)]
    );
}
