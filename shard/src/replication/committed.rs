//! The applier's side: what is committed, in order, and how far the tree has come.

use super::cluster::Cluster;
use super::record::{self, Base};
use super::replica::Replica;
use super::{Canary, Committed, Entry, What};
use crate::consensus::Closed;
use model::ring::VnodeId;
use runtime::Runtime;

impl<R: Runtime> Cluster<R> {
    pub(super) fn hand_out(&self, committed: Committed) {
        self.committed_bytes.set(self.committed_bytes.get() + committed.bytes());
        self.committed.borrow_mut().push_back(committed);
        self.arrived.notify_all();
    }

    /// What is to be applied next.
    pub async fn next_committed(&self) -> Result<Committed, lsm::Error> {
        loop {
            let arrived = self.arrived.notified();
            if let Some(next) = self.committed.borrow_mut().pop_front() {
                self.committed_bytes.set(self.committed_bytes.get() - next.bytes());
                return Ok(next);
            }
            if self.failed.get() {
                return Err(lsm::Error::Closed);
            }
            arrived.await;
        }
    }

    /// An entry is about to be applied. What is kept of the standing with it, if that changes; or nothing is to be done,
    /// because its replica is not there any more.
    pub fn applying(&self, entry: &Entry) -> Result<Option<Base>, Gone> {
        let mut groups = self.groups.borrow_mut();
        let replica =
            groups.get_mut(&entry.vnode).filter(|replica| replica.peer == entry.peer).ok_or(Gone)?;
        // What an image holds is not applied again.
        if replica.installing || entry.index <= replica.begin {
            return Err(Gone);
        }
        let standing = &mut replica.standing;
        assert_eq!(entry.index, standing.index + 1, "entries are applied in order, without a gap");
        assert!(entry.term >= standing.term, "terms never go back");
        let mut changes = entry.term != standing.term;
        (standing.index, standing.term) = (entry.index, entry.term);
        if let Some(observer) = &self.options.applied {
            let carried: &[u8] = match &entry.what {
                What::Command(command) => command,
                What::Nothing => &[],
                What::Change(change) => &change.context,
            };
            observer(entry.vnode, entry.index, entry.term, carried);
        }
        if let What::Change(change) = &entry.what
            && let Some(members) = replica.group.apply_change(change).map_err(|Closed| Gone)?
        {
            standing.members = members;
            changes = true;
        }
        Ok(changes.then(|| replica.standing.clone()))
    }

    /// The entry is applied.
    pub fn applied(&self, vnode: VnodeId, peer: u64, index: u64) {
        let mut groups = self.groups.borrow_mut();
        let Some(replica) = groups.get_mut(&vnode).filter(|replica| replica.peer == peer) else { return };
        let led = replica.led;
        let applied = replica.group.applied(index);
        replica.allow_reads();
        replica.led = replica.leads();
        let due = replica.group.has_work() || replica.is_awaited();
        let begins = replica.led != led;
        drop(groups);
        match applied {
            Ok(()) if due => self.enlist(vnode),
            Ok(()) => {}
            Err(Closed) => self.closed(vnode),
        }
        if begins {
            self.leadership.notify_all();
        }
    }

    /// Entries that are committed and wait to be applied, and bytes of what was proposed here and is not applied.
    pub fn pending(&self) -> (usize, usize) {
        (self.committed.borrow().len(), self.pending.bytes.get())
    }

    /// Up to which index the log need not keep a stream.
    ///
    /// What lies behind the end of a replica's log was overwritten. Once the tree has all of it, nothing of the stream is needed, also not
    /// what has a higher index.
    pub fn covered(&self, stream: u64, mark: u64) -> u64 {
        let Some(vnode) = record::vnode_of_entries(stream) else {
            return if self.options.canary.is(Canary::ReleaseStatesEarly) { u64::MAX } else { mark };
        };
        match self.groups.borrow().get(&vnode) {
            None if self.dead.borrow().contains(&vnode) => mark,
            None => u64::MAX,
            Some(replica) if replica.group.last() <= mark.max(replica.begin) => u64::MAX,
            Some(_) => mark,
        }
    }

    /// The tree has flushed: what it has need not be kept in memory, but for some of it that followers may still want.
    pub fn flushed(&self) {
        let mut groups = self.groups.borrow_mut();
        let with_tail = groups.values().filter(|replica| replica.group.kept().0 > 0).count();
        let each = self.options.tail_bytes_max / with_tail.max(1);
        // While a replica's image is on its way, the tree's mark is that of a replica that was here before it.
        let whole = |replica: &Replica| !replica.installing && replica.group.kept().0 > 0;
        for (vnode, replica) in groups.iter_mut().filter(|(_, replica)| whole(replica)) {
            let flushed = (self.mark)(u64::from(vnode.0)).max(replica.begin);
            replica.group.compact(flushed, each);
        }
    }

    /// Figures of this moment.
    pub fn counts(&self) -> Counts {
        let groups = self.groups.borrow();
        let (entries, bytes) = groups
            .values()
            .map(|replica| replica.group.kept())
            .fold((0, 0), |all, kept| (all.0 + kept.0, all.1 + kept.1));
        Counts {
            replicas: groups.len(),
            led: groups.values().filter(|replica| replica.leading.is_some()).count(),
            elections: self.elections.get(),
            images: self.images.get(),
            kept_entries: entries,
            kept_bytes: bytes,
            lag_entries_max: groups.values().map(|replica| replica.lag_entries()).max().unwrap_or(0),
            asleep: self.asleep(),
            failed: self.dead.borrow().len(),
        }
    }
}

/// Figures of the replicas of a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Replicas here.
    pub replicas: usize,
    /// Those that lead.
    pub led: usize,
    /// How often one has become leader since the start.
    pub elections: u64,
    /// How often one was made from an image.
    pub images: u64,
    /// Entries that are kept in memory.
    pub kept_entries: usize,
    /// Their bytes, about.
    pub kept_bytes: usize,
    /// Entries that the follower furthest behind lacks, of the groups that are led here.
    pub lag_entries_max: u64,
    /// Replicas that sleep.
    pub asleep: usize,
    /// Replicas that have failed.
    pub failed: usize,
}

/// The replica that an entry was for is not there any more.
pub struct Gone;
