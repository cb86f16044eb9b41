//! Every token has one owner.

use super::*;

#[test]
fn even_rings_cover_every_token() {
    for (vnode_count, shard_count) in [(1, 1), (2, 2), (3, 2), (16, 4), (256, 7), (1000, 1)] {
        let ring = Ring::even(vnode_count, shard_count);
        assert_eq!(ring.check(), Ok(()));
        assert_eq!((ring.epoch, ring.vnodes.len()), (1, vnode_count as usize));
        let mut next = 0_u64;
        for (index, vnode) in ring.vnodes.iter().enumerate() {
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
fn check_finds_what_is_wrong() {
    let broken = |change: fn(&mut Ring)| {
        let mut ring = Ring::even(3, 1);
        change(&mut ring);
        ring.check().expect_err("it is broken")
    };
    assert_eq!(broken(|ring| ring.vnodes.clear()), "a ring whose first vnode does not start at 0");
    assert_eq!(broken(|ring| ring.vnodes[0].start = 1), "a ring whose first vnode does not start at 0");
    assert_eq!(broken(|ring| ring.vnodes[1].start = 0), "a ring with vnodes out of order");
    assert_eq!(broken(|ring| ring.vnodes.swap(1, 2)), "a ring with vnodes out of order");
    let numbers = "a ring with a vnode's number twice, or with the catalog's";
    assert_eq!(broken(|ring| ring.vnodes[2].id = VnodeId(1)), numbers);
    assert_eq!(broken(|ring| ring.vnodes[2].id = CATALOG), numbers);
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
