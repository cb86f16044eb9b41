//! Which files form the log.

use super::*;
use crate::log::Identity;
use crate::log::format::Life;

/// A file: its name's number and head, and its header's number, previous number and head.
fn found(seq: u64, head: u64, header: Option<(u64, u64, u64)>) -> Found {
    let header = header.map(|(seq, prev_seq, head)| SegmentHeader {
        identity: Identity::default(),
        life: Life { seq, epoch: seq },
        whole: true,
        segment_bytes: 1 << 16,
        head,
        prev_seq,
        prev_end: 4096,
        prev_chain: 0,
        first_lsn: 1,
        position: 0,
        durable_lsn: 0,
    });
    let name = Name { seq, head };
    Found { name, path: PathBuf::from(name.to_string()), size: 1 << 16, header }
}

/// An active segment that goes on from `prev`.
fn active(seq: u64, prev: u64, head: u64) -> Found {
    found(seq, head, Some((seq, prev, head)))
}

fn check(found: Vec<Found>, expected: Result<&[u64], &str>) {
    let split = Survey { found: found.clone() }.split();
    match (split, expected) {
        (Ok((log, others)), Ok(expected)) => {
            assert_eq!(log.iter().map(|f| f.name.seq).collect::<Vec<_>>(), expected);
            assert_eq!(log.len() + others.len(), found.len());
        }
        (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
        (split, expected) => panic!("{split:?} instead of {expected:?}"),
    }
}

#[test]
fn nothing_is_a_new_log() {
    check(vec![], Ok(&[]));
    check(vec![found(1, 0, None), found(2, 0, None)], Ok(&[]));
}

#[test]
fn segments_are_followed_from_the_newest_to_the_first() {
    check(vec![active(1, 0, 0), active(2, 1, 1), active(3, 2, 1)], Ok(&[1, 2, 3]));
}

#[test]
fn prepared_and_recycled_files_are_not_part_of_it() {
    let former_life = found(4, 2, Some((1, 0, 0)));
    check(vec![active(2, 1, 1), active(3, 2, 1), former_life, found(5, 2, None)], Ok(&[2, 3]));
}

#[test]
fn what_an_earlier_recovery_left_behind_is_not_part_of_it() {
    check(vec![active(1, 0, 0), active(2, 1, 1), active(3, 2, 1), active(5, 1, 1)], Ok(&[1, 5]));
}

#[test]
fn released_segments_are_not_part_of_it() {
    check(vec![active(1, 0, 0), active(2, 1, 1), active(3, 2, 1), found(4, 3, None)], Ok(&[3]));
}

#[test]
fn a_broken_link_ends_the_log_before_it() {
    check(vec![active(1, 0, 0), found(2, 1, None), active(3, 2, 1)], Ok(&[1]));
    check(vec![active(1, 0, 0), active(3, 2, 1)], Ok(&[1]));
}

#[test]
fn a_head_that_is_gone_is_damage() {
    check(vec![active(3, 2, 2)], Err("segment 0000000000000002 is needed and missing"));
    check(vec![found(2, 1, None), active(3, 2, 2)], Err("0000000000000002-0000000000000001.log at byte 0"));
    check(vec![found(4, 3, None)], Err("segment 0000000000000003 is needed and missing"));
}
