//! Stages are read, kept in order and added up.

use super::*;

const HEADER_READ: &str = "receive;dur=1.203, parse;dur=7.870, read;dur=0.900, total;dur=9.973";
const HEADER_WRITE: &str = "receive;dur=2.000, parse;dur=8.000, append;dur=3.5, durable;dur=140.0, total;dur=153.500, follower;node=2;dur=95.4";

#[test]
fn a_header_is_its_stages_and_no_more() {
    let micros = |header| {
        parse(header)
            .expect("stages")
            .into_iter()
            .map(|(name, time)| (name, time.as_nanos()))
            .collect::<Vec<_>>()
    };
    assert_eq!(micros(HEADER_READ), [("receive", 1203), ("parse", 7870), ("read", 900)]);
    assert_eq!(micros(HEADER_WRITE).last(), Some(&("durable", 140_000)), "a follower is no stage");
    for wrong in
        ["", "receive;dur=1", "receive;dur=x, total;dur=1", "receive, total;dur=1", "a;dur=-1, total;dur=1"]
    {
        assert_eq!(parse(wrong), None, "{wrong}");
    }
}

#[test]
fn stages_of_different_requests_stand_in_the_order_of_their_work() {
    let mut stages = Stages::default();
    stages.note(Some(HEADER_READ));
    stages.note(None);
    let mut others = Stages::default();
    others.note(Some(HEADER_WRITE));
    stages.merge(&others);
    assert_eq!((stages.count, stages.silent), (2, 1));
    let sums: Vec<(&str, u64)> =
        stages.times.iter().map(|(name, times)| (name.as_str(), times.sum_ns)).collect();
    let expected =
        [("receive", 3203), ("parse", 15_870), ("append", 3500), ("durable", 140_000), ("read", 900)];
    assert_eq!(sums, expected);
    assert_eq!(stages.times[0].1.histogram.len(), 2);
}
