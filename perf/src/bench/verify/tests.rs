//! The rule of the ledger, one case each.

use super::*;

#[test]
fn a_read_shows_at_least_what_was_acknowledged_when_it_began() {
    let mut ledger = Ledger::loaded(1);
    let floor = ledger.read_begin(0);
    assert_eq!((floor, ledger.write_begin(0)), (1, Some(2)));
    assert_eq!(ledger.read_end(0, floor, 1), Ok(()));
    assert_eq!(ledger.read_end(0, floor, 2), Ok(()), "a write under way may be seen");
    ledger.write_end(0, 2, Outcome::Acknowledged);
    assert_eq!(ledger.read_end(0, floor, 1), Ok(()), "the read began before the acknowledgement");
    let lost = ledger.read_end(0, ledger.read_begin(0), 1).expect_err("version 2 is lost");
    assert!(lost.to_string().contains("acknowledged write is missing"), "{lost}");
}

#[test]
fn what_nobody_wrote_is_wrong() {
    let ledger = Ledger::loaded(1);
    let wrong = ledger.read_end(0, 1, 2).expect_err("there is no version 2");
    assert!(wrong.to_string().contains("nobody wrote that"), "{wrong}");
    assert!(ledger.read_end(9, 0, 1).is_err(), "nor any version of another key");
    assert_eq!(ledger.read_end(9, 0, 0), Ok(()));
}

#[test]
fn a_refused_write_must_not_show() {
    let mut ledger = Ledger::loaded(1);
    let version = ledger.write_begin(0).expect("an open key");
    ledger.write_end(0, version, Outcome::Refused);
    assert!(ledger.read_end(0, 1, version).is_err());
    assert_eq!(ledger.write_begin(0), Some(version), "its version is free again");
}

#[test]
fn a_write_of_unknown_outcome_may_show_or_not_and_closes_its_key() {
    let mut ledger = Ledger::loaded(1);
    let version = ledger.write_begin(0).expect("an open key");
    ledger.write_end(0, version, Outcome::Unknown);
    assert_eq!(ledger.read_end(0, ledger.read_begin(0), 1), Ok(()));
    assert_eq!(ledger.read_end(0, ledger.read_begin(0), 2), Ok(()));
    assert_eq!(ledger.write_begin(0), None);
}

#[test]
fn one_write_of_a_key_at_a_time() {
    let mut ledger = Ledger::default();
    assert_eq!(ledger.write_begin(3), Some(1));
    assert_eq!(ledger.write_begin(3), None);
    assert_eq!((ledger.write_begin(4), ledger.count()), (Some(1), 5));
    ledger.write_end(3, 1, Outcome::Acknowledged);
    assert_eq!(ledger.write_begin(3), Some(2));
}

#[test]
fn findings_count_all_and_describe_the_first() {
    let mut findings = Findings::default();
    for index in 0..20 {
        findings.note(if index % 2 == 0 { Ok(()) } else { Err(format!("wrong {index}")) });
    }
    assert_eq!((findings.checked, findings.wrong, findings.examples.len()), (20, 10, EXAMPLES_MAX));
    let mut sum = findings.clone();
    sum.merge(&findings);
    assert_eq!((sum.checked, sum.wrong, sum.examples.len()), (40, 20, EXAMPLES_MAX));
}
