use super::*;

fn write(began: u64, ended: u64, version: u64) -> Event {
    Event { action: Action::Write, began, answer: Some((ended, version)) }
}

fn read(began: u64, ended: u64, version: u64) -> Event {
    Event { action: Action::Read, began, answer: Some((ended, version)) }
}

fn lost_write(began: u64) -> Event {
    Event { action: Action::Write, began, answer: None }
}

/// A history of one key and its final version, and the lie that must be told of it; empty when it is honest.
fn check(events: &[Event], last: u64, lie: &str) {
    let mut history = History::default();
    for event in events {
        history.note("k", *event);
    }
    let finals = BTreeMap::from([("k".to_string(), last)]);
    match history.check(&finals) {
        Ok(_) => assert_eq!(lie, "", "{events:?} passed"),
        Err(told) => assert!(!lie.is_empty() && told.contains(lie), "{told}"),
    }
}

#[test]
fn honest_histories_pass() {
    check(&[write(0, 1, 1), read(2, 3, 1), write(4, 5, 2)], 2, "");
    // Concurrent: either order is fine.
    check(&[write(0, 9, 2), write(0, 9, 1), read(1, 2, 1), read(3, 4, 2)], 2, "");
    // An unknown write may have happened, late.
    check(&[write(0, 1, 1), lost_write(2), read(3, 4, 1), read(5, 6, 2)], 2, "");
    check(&[write(0, 1, 1), lost_write(2)], 1, "");
}

#[test]
fn lies_are_told() {
    check(&[write(0, 1, 1)], 0, "ends at version 0");
    check(&[write(0, 1, 1), write(2, 3, 1)], 1, "acknowledged twice");
    check(&[write(0, 1, 1), read(2, 3, 0)], 1, "had been seen");
    check(&[write(0, 9, 2), write(0, 9, 1), read(1, 2, 2), read(3, 4, 1)], 2, "had been seen");
    check(&[read(0, 1, 1), write(2, 3, 1)], 1, "had been seen");
    check(&[write(0, 1, 2)], 2, "1 writes had begun");
    check(&[write(0, 1, 1), lost_write(2)], 3, "ends at version 3");
}

#[test]
fn a_key_that_nobody_wrote_is_a_lie() {
    let finals = BTreeMap::from([("ghost".to_string(), 1)]);
    assert!(History::default().check(&finals).unwrap_err().contains("never written"));
}
