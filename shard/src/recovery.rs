//! Recovery: what the log holds beyond the tree is applied to it, in order, exactly once.
//!
//! An entry is applied when its index is above the tree's flushed mark of its vnode; the mark and the data it stands
//! for became durable in one manifest edit, so nothing is skipped and nothing applied twice (pattern 19, rule L3).
//!
//! A shard whose vnodes have replicas elsewhere applies nothing here: [`gather`] reads what its groups need, and they hand out
//! what is committed as they always do.
//!
//! Promises: a gap, an entry of a foreign vnode or a command that cannot be read stops the opening; nothing on disk is
//! changed then. A crash during recovery is like one before it.

use crate::clock::Clock;
use crate::command::{Command, RECORD_KIND};
use crate::error::Error;
use crate::replication::{Found, Replicas};
use crate::shard::ShardOptions;
use lsm::log::{Record, Replay};
use lsm::{Mark, Tree, WriteBatch};
use model::key::keyspace;
use model::ring::VnodeId;
use runtime::Runtime;
use std::collections::{BTreeMap, BTreeSet};

/// Applies what the log holds beyond the tree; returns each vnode's applied index.
pub async fn replay<R: Runtime>(
    rt: &R,
    options: &ShardOptions,
    tree: &Tree<R>,
    mut replay: Replay<R>,
    clock: &Clock,
    vnodes: &BTreeSet<VnodeId>,
) -> Result<BTreeMap<VnodeId, u64>, Error> {
    let mark = |vnode: &VnodeId| (*vnode, tree.flushed_mark(u64::from(vnode.0)));
    let mut applied: BTreeMap<VnodeId, u64> = vnodes.iter().map(mark).collect();
    let mut seen: BTreeMap<VnodeId, u64> = BTreeMap::new();
    let mut batch = WriteBatch::new();
    while let Some((_, record)) = replay.next().await? {
        let vnode = VnodeId(u32::try_from(record.stream).unwrap_or(u32::MAX));
        let senseless = |what: String| Error::Senseless { shard: options.shard, vnode, what };
        let applied = applied.get_mut(&vnode).ok_or_else(|| {
            senseless("the log holds an entry of a vnode that is not this shard's".to_string())
        })?;
        check_order(&record, seen.insert(vnode, record.index), *applied).map_err(senseless)?;
        let command = Command::decode(record.payload).map_err(|what| senseless(what.to_string()))?;
        clock.witness(command.stamp);
        if record.index > *applied {
            // On a full disk, or beside a rotten SSTable, the memtables take it all the same: no more than they did
            // before the stop, since what the log holds beyond the tree was in memory then. So the shard opens, and
            // can be read.
            if let Err(error @ lsm::Error::Poisoned { .. }) = tree.ready().await {
                return Err(error.into());
            }
            batch.clear();
            command.fill(&mut batch);
            tree.apply(&batch, Mark { stream: record.stream, index: record.index });
            *applied = record.index;
        }
        if rt.should_yield() {
            rt.yield_now().await;
        }
    }
    Ok(applied)
}

/// What the tree and the log hold of a shard's replicas.
pub async fn gather<R: Runtime>(
    rt: &R,
    options: &ShardOptions,
    tree: &Tree<R>,
    mut replay: Replay<R>,
) -> Result<Replicas, Error> {
    let senseless = |vnode, what| Error::Senseless { shard: options.shard, vnode, what };
    let mark = |stream| tree.flushed_mark(stream);
    let mut found = Found::default();
    let range = lsm::Range::half_open(&[keyspace::GROUPS], &[keyspace::GROUPS + 1]);
    let mut records = tree.view().scan(range, lsm::Direction::Forward);
    while let Some((key, value)) = records.next().await? {
        found.kept(key, value).map_err(|what| senseless(VnodeId(u32::MAX), what))?;
    }
    while let Some((_, record)) = replay.next().await? {
        let vnode = VnodeId(record.stream as u32);
        found.logged(&record, mark).map_err(|what| senseless(vnode, what))?;
        if rt.should_yield() {
            rt.yield_now().await;
        }
    }
    found.finish(mark).map_err(|(vnode, what)| senseless(vnode, what))
}

/// Whether a record follows what came before it: no gap to the entry before, none to what the tree has.
fn check_order(record: &Record<'_>, before: Option<u64>, applied: u64) -> Result<(), String> {
    let index = record.index;
    if record.kind != RECORD_KIND {
        return Err(format!("the log holds a record of unknown kind {} at index {index}", record.kind));
    }
    check_index(index, before, applied)
}

/// Whether `index` follows the one before it in the log, and what the tree has applied.
pub(crate) fn check_index(index: u64, before: Option<u64>, applied: u64) -> Result<(), String> {
    if let Some(before) = before
        && index != before + 1
    {
        return Err(format!("the log goes from index {before} to {index}"));
    }
    if index > applied + 1 {
        return Err(format!("the tree ends at index {applied}, the log goes on at {index}"));
    }
    Ok(())
}
