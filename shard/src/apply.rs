//! Applying: committed entries go into the tree in order, and then their proposers hear of it.

use crate::command::Command;
use crate::error::Error;
use crate::replication::Entry;
use crate::shard::Shard;
use lsm::{Mark, WriteBatch};
use runtime::Runtime;

impl<R: Runtime> Shard<R> {
    /// Applies committed entries for ever; returns only when the disk has failed.
    pub(crate) async fn apply_committed(&self) -> Error {
        let mut batch = WriteBatch::new();
        loop {
            let entry = match self.replication.next_committed().await {
                Ok(entry) => entry,
                Err(error) => return error.into(),
            };
            // Back-pressure: while flushes lag, entries wait here, their operations stay admitted, and new ones
            // are refused at the door.
            if let Err(error) = self.tree_ready().await {
                return error.into();
            }
            self.apply(entry, &mut batch);
            if self.rt.should_yield() {
                self.rt.yield_now().await;
            }
        }
    }

    /// Waits until the tree takes writes. What keeps it from that and may pass is waited for, and growing writes are refused
    /// meanwhile: a full disk, or a level 0 that cannot shrink because an SSTable in it cannot be read.
    async fn tree_ready(&self) -> Result<(), lsm::Error> {
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
        {
            let mut applied = self.applied.borrow_mut();
            let applied = applied.get_mut(&entry.vnode).expect("an entry of this shard's vnode");
            assert!(entry.index == *applied + 1, "entries are applied in order, without a gap");
            *applied = entry.index;
        }
        let command = Command::decode(&entry.command).expect("this shard proposed it");
        batch.clear();
        command.share(&entry.command, batch);
        self.tree.apply(batch, Mark { stream: u64::from(entry.vnode.0), index: entry.index });
        batch.clear(); // Nothing is kept beyond the memtable.
        entry.receipt.open();
    }
}
