//! Every token has one owner.

use super::*;
use crate::testing::Chance;

#[test]
fn even_rings_cover_every_token() {
    for (vnode_count, shard_count) in [(1, 1), (2, 2), (3, 2), (16, 4), (256, 7), (1000, 1)] {
        let ring = Ring::even(vnode_count, shard_count);
        assert_eq!((ring.epoch, ring.len()), (1, vnode_count as usize));
        let mut next = 0_u64;
        for (index, vnode) in ring.vnodes().enumerate() {
            let (start, end) = ring.range(vnode.id).expect("its own vnode");
            assert_eq!((start, vnode.id), (next, VnodeId(index as u32 + 1)));
            assert_eq!(
                (ring.owner(start), ring.owner(end), ring.owner(start / 2 + end / 2)),
                (vnode, vnode, vnode)
            );
            assert_eq!(vnode.leader().shard, ShardId((index % usize::from(shard_count)) as u16));
            assert_eq!(ring.vnode(vnode.id), Some(vnode));
            next = end.wrapping_add(1);
        }
        assert_eq!(next, 0, "the last range ends with the last token");
    }
}

#[test]
fn unknown_vnodes_have_no_range() {
    let ring = Ring::even(4, 2);
    assert_eq!((ring.vnode(CATALOG), ring.range(CATALOG)), (None, None));
    assert_eq!((ring.vnode(VnodeId(5)), ring.range(VnodeId(5))), (None, None));
}

#[test]
fn segments_cover_every_token() {
    for total in [1, 2, 3, 7, 1000, 1_000_000] {
        let mut next = 0_u64;
        for segment in 0..total {
            let (start, end) = Ring::segment(segment, total).expect("one of them");
            assert!(start == next && start < end, "segment {segment} of {total}");
            next = end.wrapping_add(1);
        }
        assert_eq!(next, 0);
        assert_eq!(Ring::segment(total, total), None);
    }
    assert_eq!(Ring::segment(0, 0), None);
}

#[test]
fn what_is_no_ring_is_refused() {
    let broken = |change: fn(&mut Vec<Vnode>)| {
        let mut vnodes: Vec<Vnode> = Ring::even(3, 1).vnodes().collect();
        change(&mut vnodes);
        Ring::new(1, vnodes.into_iter()).expect_err("it is broken")
    };
    assert_eq!(broken(Vec::clear), "a ring whose first vnode does not start at 0");
    assert_eq!(broken(|vnodes| vnodes[0].start = 1), "a ring whose first vnode does not start at 0");
    assert_eq!(broken(|vnodes| vnodes[1].start = 0), "a ring with vnodes out of order");
    assert_eq!(broken(|vnodes| vnodes.swap(1, 2)), "a ring with vnodes out of order");
    let numbers = "a ring with a vnode's number twice, or with the catalog's";
    assert_eq!(broken(|vnodes| vnodes[2].id = VnodeId(1)), numbers);
    assert_eq!(broken(|vnodes| vnodes[2].id = CATALOG), numbers);
}

/// Where vnodes crowd, and where numbers have no order, they are found all the same.
#[test]
fn uneven_rings_are_searched_like_a_list() {
    let mut chance = Chance::new(7);
    for count in [1, 2, 3, 100, 5000] {
        let mut starts: Vec<u64> =
            (0..count).map(|_| chance.next() >> chance.below(64) << chance.below(20)).collect();
        starts.push(0);
        starts.sort_unstable();
        starts.dedup();
        let mut ids: Vec<u32> = (1..=starts.len() as u32).map(|id| id * 3).collect();
        (1..ids.len()).for_each(|at| ids.swap(at, chance.below(at as u64 + 1) as usize));
        let alone = Replicas::alone(PeerId(1), Place { node: NodeId(0), shard: ShardId(0) });
        let list: Vec<Vnode> = starts
            .iter()
            .zip(&ids)
            .map(|(start, id)| Vnode { id: VnodeId(*id), start: *start, replicas: alone })
            .collect();
        let ring = Ring::new(3, list.iter().copied()).unwrap();
        assert_eq!(ring.last_id().0, starts.len() as u32 * 3);
        for (place, vnode) in list.iter().enumerate() {
            let end = list.get(place + 1).map_or(u64::MAX, |next| next.start - 1);
            assert_eq!(
                (ring.vnode(vnode.id), ring.range(vnode.id)),
                (Some(*vnode), Some((vnode.start, end)))
            );
            assert_eq!((ring.owner(vnode.start), ring.owner(end)), (*vnode, *vnode));
        }
        for _ in 0..1000 {
            let token = chance.next() >> chance.below(64);
            let owner = list[list.partition_point(|vnode| vnode.start <= token) - 1];
            assert_eq!(ring.owner(token), owner, "{token}");
        }
        assert_eq!((ring.vnode(VnodeId(1)), ring.vnode(VnodeId(u32::MAX))), (None, None));
    }
}

#[test]
fn a_change_is_found_and_copies_one_chunk() {
    let old = Ring::even(2000, 2);
    let mut new = old.clone();
    let moved = Replicas::alone(PeerId(9999), Place { node: NodeId(1), shard: ShardId(0) });
    new.set_replicas(VnodeId(1500), moved);
    let changed = new.changed_since(&old).expect("the same ranges");
    assert_eq!(changed, [Vnode { replicas: moved, ..old.vnode(VnodeId(1500)).unwrap() }]);
    assert_eq!(old.changed_since(&new).unwrap(), [old.vnode(VnodeId(1500)).unwrap()]);
    let shared = new.kept.iter().zip(&old.kept).filter(|(new, old)| Rc::ptr_eq(new, old)).count();
    assert_eq!((shared, new.kept.len()), (3, 4));
    assert_eq!(Ring::even(2001, 2).changed_since(&old), None);
    assert!(new != old && new.clone() == new && Ring { epoch: 2, ..old.clone() } != old);
    new.set_replicas(VnodeId(1500), old.vnode(VnodeId(1500)).unwrap().replicas);
    assert_eq!(new, old);
}

/// A router knows the whole ring of the largest cluster.
#[test]
fn a_million_vnodes_take_less_than_64_mib() {
    let replica = |peer, node| Replica {
        peer: PeerId(peer),
        place: Place { node: NodeId(node), shard: ShardId(node % 7) },
        role: Role::Voter,
    };
    let ring = Ring::equal(1_000_000, |index| {
        Replicas::new(&[0, 1, 2].map(|nth| replica(3 * index + nth + 4, (index * 3 + nth) as u16 % 30)))
    });
    let bytes = ring.memory_bytes();
    assert!(bytes < 64 << 20 && bytes > 40 << 20, "{bytes}");
    let token = 0x1234_5678_9ABC_DEF0;
    let (start, end) = ring.range(ring.owner(token).id).unwrap();
    assert!((start..=end).contains(&token));
}

#[test]
fn replicas_are_checked() {
    let replica = |peer, node, role| Replica {
        peer: PeerId(peer),
        place: Place { node: NodeId(node), shard: ShardId(1) },
        role,
    };
    let check = |replicas: &[Replica]| Replicas::new(replicas).check();
    let good = [replica(5, 2, Role::Voter), replica(4, 0, Role::Leaving), replica(9, 1, Role::Joining)];
    assert_eq!(check(&good), Ok(()));
    let replicas = Replicas::new(&good);
    assert_eq!((replicas.len(), replicas.first()), (3, good[0]));
    assert_eq!(replicas.iter().collect::<Vec<_>>(), good);
    assert_eq!((replicas.at(good[1].place), replicas.peer(PeerId(9))), (Some(good[1]), Some(good[2])));
    assert_eq!((replicas.at(replica(1, 7, Role::Voter).place), replicas.peer(PeerId(1))), (None, None));
    let number = "a vnode with a replica's number twice, or with number 0";
    assert_eq!(check(&[replica(1, 1, Role::Voter), replica(1, 2, Role::Voter)]), Err(number));
    assert_eq!(check(&[replica(0, 1, Role::Voter)]), Err(number));
    let node = "a vnode with two replicas on one node";
    assert_eq!(check(&[replica(1, 1, Role::Voter), replica(2, 1, Role::Voter)]), Err(node));
    assert_eq!(check(&[replica(1, 1, Role::Joining)]), Err("a vnode without a voter"));
}
