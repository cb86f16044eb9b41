//! Whether the replicas of a vnode hold the same: each is asked for everything that it has, eventually and for itself. And whether the key space is served once:
//! each shard of each node is asked for every vnode of the newest map, strongly.

use std::collections::BTreeMap;

use model::key::{TableId, keyspace, table_range};
use model::map::Map;
use model::ring::{Role, VnodeId};
use net::message::{ArchivedReply, LIMIT_NONE, Operation, PAGE_BYTES_MAX, Request, Scan, read_reply};

use crate::cluster::Cluster;
use crate::crowd::TABLE;

/// What one replica has: items as they are stored.
type Content = Vec<Vec<u8>>;

/// Compares all replicas of all vnodes; what is different, if anything is.
pub async fn compare(cluster: &Cluster, map: &Map) -> Result<(), String> {
    let Some(table) = map.tables.get(TABLE).map(|table| table.id) else {
        return Err("nobody knows the table".to_string());
    };
    for vnode in map.ring.vnodes() {
        let mut contents: BTreeMap<usize, Content> = BTreeMap::new();
        for seat in vnode.replicas.iter().filter(|seat| seat.role == Role::Voter) {
            let Some(node) = cluster.index_of(seat.place.node, map) else { continue };
            if cluster.may_lack_data(node) {
                continue;
            }
            let question = Question { vnode: vnode.id, table, epoch: map.ring.epoch, consistent: false };
            let content = read_all(cluster, node, seat.place.shard.0, question).await;
            let content = content
                .map_err(|why| format!("vnode {} cannot be read on node {node}: {why}", vnode.id.0))?;
            contents.insert(node, content);
        }
        let mut all = contents.iter();
        let Some((first, wanted)) = all.next() else { continue };
        if let Some((other, found)) = all.find(|(_, content)| *content != wanted) {
            return Err(format!(
                "replicas of vnode {} differ: node {first} has {} items, node {other} has {}",
                vnode.id.0,
                wanted.len(),
                found.len()
            ));
        }
    }
    Ok(())
}

/// Every vnode is served by one shard of the cluster; who serves none or two, otherwise.
pub async fn served_once(cluster: &Cluster, map: &Map) -> Result<(), String> {
    let Some(table) = map.tables.get(TABLE).map(|table| table.id) else {
        return Err("nobody knows the table".to_string());
    };
    for vnode in map.ring.vnodes() {
        let question = Question { vnode: vnode.id, table, epoch: map.ring.epoch, consistent: true };
        let mut serving = Vec::new();
        for node in 0..cluster.plan().machines() {
            for shard in 0..cluster.plan().cores as u16 {
                if read_all(cluster, node, shard, question).await.is_ok() {
                    serving.push((node, shard));
                }
            }
        }
        if serving.len() != 1 {
            return Err(format!("vnode {} is served by {serving:?} (node, shard)", vnode.id.0));
        }
    }
    Ok(())
}

/// What a replica is asked for.
#[derive(Clone, Copy)]
struct Question {
    vnode: VnodeId,
    table: TableId,
    epoch: u64,
    consistent: bool,
}

/// Everything that a replica has of a vnode; or what it answers instead.
async fn read_all(cluster: &Cluster, node: usize, shard: u16, question: Question) -> Result<Content, String> {
    let Question { vnode, table, epoch, consistent } = question;
    let range = table_range(keyspace::ITEMS, table);
    let (mut from, mut content) = (range.from, Content::new());
    loop {
        let scan = Scan {
            vnode: vnode.0,
            table: table.0,
            from,
            to: range.to.clone(),
            forward: true,
            limit: LIMIT_NONE,
            bytes_max: PAGE_BYTES_MAX,
            consistent,
            filter: None,
            projection: None,
            count_only: false,
        };
        let request = Request { epoch, operation: Operation::Scan(scan) };
        let reply = cluster.ask(node, shard, request.encode()).await.ok_or("it is not there")?;
        let page = match read_reply(&reply) {
            Ok(ArchivedReply::Page(page)) => page,
            other => return Err(format!("{other:?}")),
        };
        content.extend(page.items.iter().map(<[u8]>::to_vec));
        match page.last.as_ref() {
            None => return Ok(content),
            Some(last) => from = [last.key.as_slice(), &[0]].concat(),
        }
    }
}
