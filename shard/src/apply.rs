//! Applying: committed entries go into the tree in order, and then their proposers hear of it.

use crate::command::Command;
use crate::error::Error;
use crate::replication::record::{self, Base, Kept};
use crate::replication::{Committed, Entry, Keep, What};
use crate::shard::Shard;
use lsm::{Mark, WriteBatch};
use model::ring::VnodeId;
use runtime::Runtime;

impl<R: Runtime> Shard<R> {
    /// Applies committed entries for ever; returns only when the disk has failed.
    pub(crate) async fn apply_committed(&self) -> Error {
        let mut batch = WriteBatch::new();
        loop {
            let next = match self.replication.next_committed().await {
                Ok(next) => next,
                Err(error) => return error.into(),
            };
            // Back-pressure: while flushes lag, entries wait here, their operations stay admitted, and new ones
            // are refused at the door.
            if let Err(error) = self.tree_ready().await {
                return error.into();
            }
            match next {
                Committed::Entry(entry) => self.apply(entry, &mut batch),
                Committed::Keep(keep) => self.keep(&keep, &mut batch),
                Committed::Forget { vnode, number } => self.forget(vnode, number, &mut batch),
            }
            if self.rt.should_yield() {
                self.rt.yield_now().await;
            }
        }
    }

    /// Waits until the tree takes writes. What keeps it from that and may pass is waited for, and growing writes are refused
    /// meanwhile: a full disk, or a level 0 that cannot shrink because an SSTable in it cannot be read.
    pub(crate) async fn tree_ready(&self) -> Result<(), lsm::Error> {
        loop {
            match self.tree.ready().await {
                Ok(()) => {
                    self.tree_waits.set(false);
                    return Ok(());
                }
                Err(error @ lsm::Error::Poisoned { .. }) => return Err(error),
                Err(error) => {
                    self.tree_waits.set(true);
                    self.set_read_only(&error.to_string());
                    self.rt.sleep(self.options.disk_check_every).await;
                }
            }
        }
    }

    /// Applies one entry: it cannot half fail.
    fn apply(&self, entry: Entry, batch: &mut WriteBatch) {
        // A replica that is not there any more has no use for it, and nobody waits.
        let Ok(standing) = self.replication.applying(&entry) else { return };
        batch.clear();
        if let What::Command(command) = &entry.what {
            let decoded = Command::decode(command).expect("a shard of this cluster proposed it");
            self.clock.witness(decoded.stamp);
            decoded.share(command, batch);
        }
        if let Some(standing) = standing {
            put_standing(batch, entry.vnode, &standing);
        }
        self.tree.apply(batch, Mark { stream: u64::from(entry.vnode.0), index: entry.index });
        batch.clear(); // Nothing is kept beyond the memtable.
        self.replication.applied(entry.vnode, entry.peer, entry.index);
        if let Some(receipt) = entry.receipt {
            receipt.open();
        }
    }

    /// A state that is durable in the log becomes the tree's, so that the log can let it go some day.
    fn keep(&self, keep: &Keep, batch: &mut WriteBatch) {
        batch.clear();
        batch.put(&record::key(keep.vnode, Kept::State), &record::kept_state(keep.number, &keep.state));
        if let Some(standing) = &keep.standing {
            put_standing(batch, keep.vnode, standing);
        }
        self.tree.apply(batch, Mark { stream: record::state_stream(keep.vnode), index: keep.number });
        batch.clear();
    }

    /// Nothing is kept of a replica that is gone.
    fn forget(&self, vnode: VnodeId, number: u64, batch: &mut WriteBatch) {
        batch.clear();
        batch.delete(&record::key(vnode, Kept::State));
        batch.delete(&record::key(vnode, Kept::Standing));
        self.tree.apply(batch, Mark { stream: record::state_stream(vnode), index: number });
        batch.clear();
    }
}

fn put_standing(batch: &mut WriteBatch, vnode: VnodeId, standing: &Base) {
    batch.put(&record::key(vnode, Kept::Standing), &record::encode_standing(standing));
}
