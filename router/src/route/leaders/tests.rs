use std::future::Future;
use std::rc::Rc;

use model::ring::{NodeId, PeerId, Place, Replica, Replicas, Role, ShardId, VnodeId};

use super::{HINTS_MAX, Leaders};
use crate::route::Target;

fn place(node: u16) -> Place {
    Place { node: NodeId(node), shard: ShardId(0) }
}

fn target(vnode: u32, nodes: &[u16]) -> Target {
    let replica =
        |node: &u16| Replica { peer: PeerId(u32::from(*node)), place: place(*node), role: Role::Voter };
    let replicas: Vec<Replica> = nodes.iter().map(replica).collect();
    Target { vnode: VnodeId(vnode), replicas: Replicas::new(&replicas), epoch: 1 }
}

#[test]
fn the_map_comes_first_until_somebody_says_otherwise() {
    let leaders = Leaders::default();
    let before = target(7, &[1, 2, 3]);
    assert_eq!(leaders.of(&before), place(1));
    assert!(leaders.learn(&before, place(3)));
    assert_eq!(leaders.of(&before), place(3));
    assert_eq!(leaders.of(&target(8, &[1, 2, 3])), place(1), "another vnode");
    assert!(!leaders.learn(&before, place(9)), "no replica of it");
    assert_eq!(leaders.of(&before), place(3));
}

#[test]
fn a_map_that_changes_the_vnode_ends_the_hint() {
    let leaders = Leaders::default();
    leaders.learn(&target(7, &[1, 2, 3]), place(3));
    assert_eq!(leaders.of(&target(7, &[2, 1, 3])), place(2));
    assert_eq!(leaders.of(&target(7, &[1, 2, 3])), place(1), "it does not come back with an older map");
}

#[test]
fn the_map_is_right_again() {
    let leaders = Leaders::default();
    let vnode = target(7, &[1, 2, 3]);
    leaders.learn(&vnode, place(3));
    leaders.learn(&vnode, place(1));
    assert!(leaders.hints.borrow().is_empty());
}

#[test]
fn hints_are_bounded() {
    let leaders = Leaders::default();
    for vnode in 0..HINTS_MAX as u32 + 10 {
        leaders.learn(&target(vnode, &[1, 2, 3]), place(2));
    }
    assert_eq!(leaders.hints.borrow().len(), HINTS_MAX);
}

#[test]
fn one_searches_and_the_others_wait() {
    let leaders = Rc::new(Leaders::default());
    assert!(leaders.searched(VnodeId(7)).is_none());
    let search = leaders.search(VnodeId(7)).expect("the first one");
    assert!(leaders.search(VnodeId(7)).is_none(), "one is enough");
    assert!(leaders.search(VnodeId(8)).is_some(), "another vnode");
    let mut waits = Box::pin(leaders.searched(VnodeId(7)).expect("one is under way"));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(waits.as_mut().poll(&mut context).is_pending());
    drop(search);
    assert!(waits.as_mut().poll(&mut context).is_ready());
    assert!(leaders.searched(VnodeId(7)).is_none());
}
