//! Lines are read as they were meant, or refused with their number.

use super::*;

#[test]
fn a_trace_has_times_operations_keys_and_sizes() {
    let text =
        "# a comment\n\n0,get,user:17,0\n120.5,PutItem,user:18,840\n120.5,update,user:17\n9000,delete,x,7\n";
    let trace = Trace::parse(text).expect("a trace");
    let line = |micros, asked, key, size| Line { after: Duration::from_nanos(micros), asked, key, size };
    let expected = [
        line(0, Asked::Get, 0, 0),
        line(120_500, Asked::Put, 1, 840),
        line(120_500, Asked::Update, 0, 0),
        line(9_000_000, Asked::Delete, 2, 64),
    ];
    assert_eq!(trace.lines, expected);
    assert_eq!((trace.key_count, trace.duration()), (3, Duration::from_millis(9)));
    assert_eq!(trace.part(1, 2), [expected[1], expected[3]]);
}

#[test]
fn what_is_no_trace_is_refused_with_its_line() {
    let cases = [
        ("", "no operations"),
        ("0,get,a\n5,scan,a", "line 2"),
        ("7,get,a\n5,get,a", "line 2: time goes back"),
        ("x,get,a", "no number of microseconds"),
        ("0,get,", "the key is missing"),
        ("0,get", "OFFSET_US,OPERATION,KEY,SIZE"),
        ("0,put,a,many", "no number of bytes"),
        ("-1,put,a,100", "out of range"),
    ];
    for (text, expected) in cases {
        let said = format!("{:#}", Trace::parse(text).expect_err("it should be refused"));
        assert!(said.contains(expected), "{text}: {said}");
    }
}
