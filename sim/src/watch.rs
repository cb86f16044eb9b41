//! What must hold below the clients, looked at while it happens:
//!
//! 1. A vnode has at most one leader in a term.
//! 2. Replicas that apply an entry at an index apply the same one, however often.
//! 3. Queues and memory stay within their bounds.
//!
//! And what is said for people: no line that no fault explains.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use ahash::RandomState;
use model::ring::VnodeId;
use runtime::sim::SimRuntime;
use runtime::sync::Notify;
use shard::Shard;

/// The watcher of one run.
pub struct Watch {
    /// Who led a vnode in a term.
    leaders: RefCell<BTreeMap<(VnodeId, u64), usize>>,
    /// Who leads now, as far as was seen: node and term.
    leading: RefCell<BTreeMap<VnodeId, (usize, u64)>>,
    /// What was applied at an index: its term and a hash of it.
    applied: RefCell<BTreeMap<(VnodeId, u64), (u64, u64)>>,
    hasher: RandomState,
    /// The first thing that was wrong.
    wrong: RefCell<Option<String>>,
    /// Disks lie, more of them than is promised to be survived: what was promised may be lost, and nothing may be made up.
    pub is_beyond: Cell<bool>,
    /// Promises that were not kept for that.
    pub broken_promises: Cell<u64>,
    /// Something is wrong.
    pub alarm: Notify,
    /// Somebody has won an election.
    pub elected: Notify,
    /// Who won the last one.
    pub last_elected: Cell<usize>,
    /// Elections so far.
    pub elections: Cell<u64>,
    /// Entries so far, each replica's own.
    pub applies: Cell<u64>,
}

impl Default for Watch {
    fn default() -> Watch {
        Watch {
            leaders: RefCell::default(),
            leading: RefCell::default(),
            applied: RefCell::default(),
            hasher: RandomState::with_seeds(1, 2, 3, 4),
            wrong: RefCell::default(),
            is_beyond: Cell::new(false),
            broken_promises: Cell::new(0),
            alarm: Notify::new(),
            elected: Notify::new(),
            last_elected: Cell::new(0),
            elections: Cell::new(0),
            applies: Cell::new(0),
        }
    }
}

impl Watch {
    /// Something is wrong. The first to be so is kept.
    pub fn fail(&self, what: String) {
        self.wrong.borrow_mut().get_or_insert(what);
        self.alarm.notify_all();
    }

    /// Something is not as it was promised, which is wrong as long as disks are what promises rest on.
    pub fn broken(&self, what: String) {
        match self.is_beyond.get() {
            true => self.broken_promises.set(self.broken_promises.get() + 1),
            false => self.fail(what),
        }
    }

    /// What is wrong, if anything is.
    pub fn wrong(&self) -> Option<String> {
        self.wrong.borrow().clone()
    }

    /// A replica on `node` has applied an entry.
    pub fn applied(&self, node: usize, vnode: VnodeId, index: u64, term: u64, command: &[u8]) {
        self.applies.set(self.applies.get() + 1);
        let content = (term, self.hasher.hash_one(command));
        let known = *self.applied.borrow_mut().entry((vnode, index)).or_insert(content);
        if known != content {
            self.broken(format!(
                "replicas differ: node {node} applies at index {index} of vnode {} an entry of term {term} that is not the one of term {} that was \
                 applied there before",
                vnode.0, known.0
            ));
        }
    }

    /// Leadership may have changed on a shard of `node`.
    pub fn look(&self, node: usize, shard: &Shard<SimRuntime>, vnodes: u32) {
        for vnode in (0..=vnodes).map(VnodeId) {
            let Some(term) = shard.leading(vnode) else { continue };
            let mut leaders = self.leaders.borrow_mut();
            let first = *leaders.entry((vnode, term)).or_insert_with(|| {
                self.elections.set(self.elections.get() + 1);
                self.last_elected.set(node);
                self.elected.notify_all();
                node
            });
            drop(leaders);
            self.leading.borrow_mut().insert(vnode, (node, term));
            if first != node {
                self.broken(format!(
                    "term {term} of vnode {} has two leaders: nodes {first} and {node}",
                    vnode.0
                ));
            }
        }
    }

    /// What a shard holds at this moment stays within its bounds.
    pub fn bounds(
        &self,
        node: usize,
        shard: &Shard<SimRuntime>,
        operations_max: usize,
        pending_bytes_max: usize,
    ) {
        let stats = shard.stats();
        if stats.operations > operations_max {
            self.fail(format!(
                "node {node} has {} operations under way, {operations_max} at most",
                stats.operations
            ));
        }
        // One command may always be taken, however large.
        if stats.pending_bytes > pending_bytes_max + lsm::VALUE_BYTES_MAX {
            self.fail(format!(
                "node {node} has {} bytes pending, {pending_bytes_max} at most",
                stats.pending_bytes
            ));
        }
        if stats.replication.failed > 0 {
            self.broken(format!("node {node} has {} replicas that have failed", stats.replication.failed));
        }
    }
}
