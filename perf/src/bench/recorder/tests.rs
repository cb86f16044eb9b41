//! Times from when an operation was due, failures by code, and the sum of several cores.

use super::*;

const MS: u64 = 1_000_000;

fn times(due: u64, sent: u64, done: u64) -> Times {
    Times { due: Mono(due * MS), sent: Mono(sent * MS), done: Mono(done * MS) }
}

/// Within the three digits of the histogram.
fn near(nanos: u64, millis: u64) -> bool {
    nanos.abs_diff(millis * MS) <= millis * MS / 1000
}

#[test]
fn a_late_start_is_in_the_response_and_not_in_the_service() {
    let mut recorder = Recorder::default();
    recorder.ok(Kind::Put, times(10, 1010, 1015), 1);
    let stats = &recorder.kinds[&Kind::Put];
    assert!(near(stats.response.max(), 1005), "{}", stats.response.max());
    assert!(near(stats.service.max(), 5), "{}", stats.service.max());
    assert_eq!(recorder.span(), Duration::from_millis(1005));
}

#[test]
fn what_was_never_sent_counts_with_the_time_it_waited() {
    let mut recorder = Recorder::default();
    recorder.unsent(Kind::Get, Mono(0), Mono(2000 * MS));
    let stats = &recorder.kinds[&Kind::Get];
    assert!(near(stats.response.max(), 2000));
    assert_eq!((stats.service.len(), stats.ok, stats.errors["NotSent"]), (0, 0, 1));
}

#[test]
fn errors_are_counted_by_code_and_codes_are_bounded() {
    let mut recorder = Recorder::default();
    recorder.error(Kind::Put, times(0, 0, 1), "A");
    recorder.error(Kind::Put, times(0, 0, 1), "A");
    for index in 0..CODES_MAX * 2 {
        recorder.error(Kind::Put, times(0, 0, 1), &format!("code-{index}"));
    }
    let stats = &recorder.kinds[&Kind::Put];
    assert_eq!(stats.errors["A"], 2);
    assert_eq!(stats.errors.len(), CODES_MAX + 1);
    assert_eq!(stats.errors_total(), 2 + 2 * CODES_MAX as u64);
    assert_eq!(stats.response.len(), stats.errors_total());
}

#[test]
fn cores_add_up_and_run_side_by_side() {
    let mut one = Recorder::default();
    one.ok(Kind::Put, times(0, 0, 10), 25);
    let mut two = Recorder::default();
    two.ok(Kind::Put, times(1000, 1000, 1030), 25);
    two.error(Kind::Get, times(1000, 1000, 1001), "A");
    let mut sum = Recorder::default();
    sum.merge(&one);
    sum.merge(&two);
    assert_eq!((sum.kinds[&Kind::Put].ok, sum.kinds[&Kind::Put].items), (2, 50));
    assert_eq!(sum.kinds[&Kind::Get].errors["A"], 1);
    assert_eq!(sum.span(), Duration::from_millis(30), "each core has its own clock");
}

#[test]
fn times_beyond_an_hour_saturate() {
    let mut recorder = Recorder::default();
    recorder.ok(Kind::Get, times(0, 0, 7_200_000), 1);
    assert!(near(recorder.kinds[&Kind::Get].response.max(), 3_600_000));
}

#[test]
#[should_panic(expected = "time runs backwards")]
fn an_answer_before_its_request_is_a_bug() {
    Recorder::default().ok(Kind::Get, times(0, 5, 4), 1);
}
