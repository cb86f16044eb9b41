//! What a start leaves in the tree is enough for the next one, when the log has let go what it had.

use super::*;

const VNODE: VnodeId = VnodeId(3);

fn base(index: u64, term: u64) -> Base {
    let members = raft::eraftpb::ConfState { voters: vec![1, 2, 3], ..Default::default() };
    Base { index, term, members }
}

fn logged(found: &mut Found, number: u64, state: &State) {
    let (stream, payload) = (record::state_stream(VNODE), state.encode());
    let record = Record { kind: STATE_KIND, stream, term: state.term, index: number, payload: &payload };
    found.logged(&record, |_| 0).unwrap();
}

fn kept(found: &mut Found, number: u64, state: &State, standing: Option<&Base>) {
    found.kept(&record::key(VNODE, Kept::State), &record::kept_state(number, &state.encode())).unwrap();
    if let Some(standing) = standing {
        found.kept(&record::key(VNODE, Kept::Standing), &record::encode_standing(standing)).unwrap();
    }
}

fn recovered(found: Found) -> Recovered {
    let mut replicas = found.finish(|_| 0).unwrap();
    replicas.here.remove(&VNODE).expect("it is here")
}

/// Where the content ends by what the tree has after a start, and a later state that does not say it, once the log has nothing any more.
fn ends_after(first: Recovered) -> Base {
    let keep = first.to_keep(VNODE).expect("only the log has it");
    let later = State { term: 9, base: None, anew: false, ..first.state };
    let mut found = Found::default();
    kept(&mut found, keep.number + 1, &later, keep.standing.as_ref());
    recovered(found).standing
}

#[test]
fn a_new_replica_that_lost_its_power_at_once_knows_where_it_begins() {
    for begin in [base(0, 0), base(1, 1)] {
        let mut found = Found::default();
        let made = State { peer: 1, born: 1, anew: true, base: Some(begin.clone()), ..State::default() };
        logged(&mut found, 1, &made);
        assert_eq!(ends_after(recovered(found)), begin);
    }
}

#[test]
fn an_image_that_was_complete_at_the_end_stays_where_the_content_ends() {
    let installing =
        State { peer: 1, anew: true, installing: true, base: Some(base(11, 8)), ..State::default() };
    let complete = State { anew: false, installing: false, ..installing.clone() };
    let mut found = Found::default();
    kept(&mut found, 4, &installing, Some(&base(5, 4)));
    logged(&mut found, 4, &installing);
    logged(&mut found, 5, &complete);
    assert_eq!(ends_after(recovered(found)), base(11, 8));
}

#[test]
fn content_that_is_on_its_way_ends_nowhere() {
    let installing =
        State { peer: 1, anew: true, installing: true, base: Some(base(11, 8)), ..State::default() };
    let mut found = Found::default();
    logged(&mut found, 4, &installing);
    assert_eq!(recovered(found).to_keep(VNODE).expect("only the log has it").standing, None);
}
