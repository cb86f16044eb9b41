//! The catalog's records: what is read back, and what is refused.

use super::state::{ClusterHead, Head, read_vnode};
use model::map::push_replicas;
use model::ring::{NodeId, PeerId, Place, Replicas, ShardId, Vnode, VnodeId};

#[test]
fn heads_of_both_sizes_are_read_and_no_others() {
    let alone = [9, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0];
    assert_eq!(Head::read(&alone), Some(Head { version: 9, next_table: 4, cluster: None }));
    let mut bytes = alone.to_vec();
    bytes.extend_from_slice(&7_u64.to_le_bytes());
    [50_u32, 3, 256, 1].iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
    let cluster = ClusterHead { epoch: 7, next_peer: 50, next_node: 3, vnode_count: 256, is_paused: true };
    assert_eq!(Head::read(&bytes), Some(Head { version: 9, next_table: 4, cluster: Some(cluster) }));
    for size in (0..bytes.len()).filter(|size| *size != alone.len()) {
        assert_eq!(Head::read(&bytes[..size]), None, "{size} bytes");
    }
    assert_eq!(Head::read(&[bytes.as_slice(), &[0]].concat()), None);
    bytes[32] = 2;
    assert_eq!(Head::read(&bytes), None, "neither paused nor not");
}

#[test]
fn records_of_vnodes_are_read_whole() {
    let replicas = Replicas::alone(PeerId(3), Place { node: NodeId(1), shard: ShardId(2) });
    let mut bytes = [5_u64.to_le_bytes(), (1_u64 << 63).to_le_bytes()].concat();
    push_replicas(&mut bytes, &replicas);
    let vnode = Vnode { id: VnodeId(8), start: 1 << 63, replicas };
    assert_eq!(read_vnode(VnodeId(8), &bytes), Some((5, vnode)));
    for size in 0..bytes.len() {
        assert_eq!(read_vnode(VnodeId(8), &bytes[..size]), None, "{size} bytes");
    }
    bytes.push(0);
    assert_eq!(read_vnode(VnodeId(8), &bytes), None);
    bytes.pop();
    bytes[17] = 0;
    assert_eq!(read_vnode(VnodeId(8), &bytes), None, "a replica without a number");
}
