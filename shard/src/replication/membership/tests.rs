//! What the map says of changes of members.

use super::*;
use model::ring::{NodeId, Place, Replica, ShardId};

/// From these voters to those.
fn joint(old: &[u64], new: &[u64]) -> ConfState {
    let (voters, voters_outgoing) = (new.to_vec(), old.to_vec());
    ConfState { voters, voters_outgoing, auto_leave: true, ..ConfState::default() }
}

fn seats(peers: &[(u32, Role)]) -> Replicas {
    let seat = |(peer, role): &(u32, Role)| Replica {
        peer: model::ring::PeerId(*peer),
        place: Place { node: NodeId(*peer as u16), shard: ShardId(0) },
        role: *role,
    };
    Replicas::new(&peers.iter().map(seat).collect::<Vec<_>>())
}

fn voters(peers: &[u32]) -> Replicas {
    seats(&peers.iter().map(|peer| (*peer, Role::Voter)).collect::<Vec<_>>())
}

#[test]
fn a_change_is_over_when_who_had_to_go_is_not_in_the_map_any_more() {
    let change = joint(&[1, 2, 3], &[1, 2, 4]);
    let on_its_way = [(1, Role::Voter), (2, Role::Voter), (3, Role::Leaving), (4, Role::Joining)];
    assert!(!has_left(&change, &seats(&on_its_way)));
    assert!(has_left(&change, &voters(&[1, 2, 4])));
    let next = [(1, Role::Voter), (2, Role::Leaving), (4, Role::Voter), (7, Role::Joining)];
    assert!(has_left(&change, &seats(&next)), "the next one has begun");
}

#[test]
fn a_map_from_before_the_change_says_nothing_of_it() {
    assert!(!has_left(&joint(&[1, 2, 3], &[1, 2, 4]), &voters(&[1, 2, 3])));
    // 4 was to come in the place of 3, came, and is on its way out again: who has the map from before all that knows neither.
    assert!(!has_left(&joint(&[1, 2, 4], &[1, 2, 3]), &voters(&[1, 2, 3])));
    assert!(
        !has_left(&joint(&[1, 2, 4], &[1, 2, 3]), &voters(&[1, 2, 9])),
        "what was reported of 1, 2 and 3?"
    );
    // A map from before 5 came, which has gone again.
    assert!(!has_left(&joint(&[1, 2, 5], &[1, 2, 8]), &voters(&[1, 2, 3])));
}

#[test]
fn who_is_in_no_change_leaves_none() {
    assert!(!has_left(&joint(&[], &[1, 2, 3]), &voters(&[1, 2, 4])));
    assert!(!has_left(&joint(&[1, 2], &[1, 2, 3]), &voters(&[1, 2, 3])), "nobody goes");
}
