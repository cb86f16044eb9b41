//! Replication: how a vnode's command becomes committed.
//!
//! ```text
//! propose(vnode, command) --> log, other replicas --> next_committed() --> the applier --> receipt
//! ```
//!
//! The seam is these words: a leader proposes a command to its group and gets a receipt; `next_committed` gives
//! entries, each group's in order of index without a gap; who applied an entry opens its receipt. An entry without a
//! receipt (of a follower) is applied all the same.
//!
//! There are two kinds behind it, and a shard has one of them for all of its vnodes:
//!
//! - `alone`: the node has no others beside it and never will (`torc serve`). Durable in the own log is committed.
//! - `cluster`: each vnode is a Raft group (`consensus`) with replicas on other nodes. `replica` is one of them here, `seats` how it comes and
//!   goes with the map, `inputs` what it is given, `outbox` what it says to others, `journal` what it writes into the log, `committed` what it hands to
//!   the applier, `images` how it is made whole, `sleep` how it costs nothing while nothing happens, `membership` how the members come to be those that the map wants, `record` what is
//!   written down, `recover` how that is read again, `times` when what happened.
//!
//! Promises: `propose` either takes the command or gives it back with the reason; once taken it does not depend on its
//! proposer any more. Leaves to others: what a command means (`command`), applying it (`apply`).

mod alone;
mod cluster;
mod committed;
mod images;
mod inputs;
mod journal;
mod membership;
mod options;
mod outbox;
pub mod record;
mod recover;
mod replica;
mod seats;
mod sleep;
mod times;

pub use alone::{Alone, TERM};
pub use cluster::{Cluster, ClusterParts};
pub use committed::{Counts, Gone};
pub use images::Install;
pub use membership::Standing;
pub use options::{Canary, Observer, ReplicationOptions};
pub use outbox::{Answer, Wire};
pub use recover::{Found, Replicas};
pub use times::Times;

use crate::latch::Guard;
use bytes::Bytes;
use lsm::log::Log;
use model::ring::{Place, VnodeId};
use record::Base;
use runtime::Runtime;
use runtime::sync::{Notify, Receiver, Sender};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// A command that somebody wants in a vnode's log.
pub struct Proposal {
    /// Whose log.
    pub vnode: VnodeId,
    /// The term in which what the command rests on was read: in another term it may not be so any more.
    pub term: u64,
    /// The command's bytes.
    pub command: Bytes,
    /// The latch of the key that it writes, held until it is applied.
    pub latch: Option<Guard>,
}

/// A proposal that was not taken, and why. Nothing was appended.
pub struct Refused {
    /// As it was given.
    pub proposal: Proposal,
    /// Why.
    pub why: Why,
}

/// Why a proposal was not taken.
pub enum Why {
    /// The log's reason.
    Storage(lsm::Error),
    /// This shard does not lead the vnode in that term.
    NotLeader,
}

/// Why a strong read cannot be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRead {
    /// This shard does not lead the vnode.
    NotLeader,
    /// It was not allowed in time.
    TooLate,
}

/// Why the proposer of a command was not told that it is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undone {
    /// The command is surely not applied, and never will be.
    Lost,
    /// Nobody knows.
    Unknown,
}

/// What the applier is to do, in this order.
pub enum Committed {
    /// An entry.
    Entry(Entry),
    /// A state that is durable in the log becomes the tree's.
    Keep(Keep),
    /// What the tree keeps of a replica that is gone goes.
    Forget {
        /// Whose.
        vnode: VnodeId,
        /// The number of the state that said so.
        number: u64,
    },
}

/// A committed entry.
pub struct Entry {
    /// Whose.
    pub vnode: VnodeId,
    /// Of which replica; 0 when it is alone.
    pub peer: u64,
    /// Its index in that vnode's log.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// What it does.
    pub what: What,
    /// Who waits for it to be applied.
    pub receipt: Option<Receipt>,
}

/// What an entry does.
pub enum What {
    /// A command's effects.
    Command(Bytes),
    /// Nothing: a new leader's first entry.
    Nothing,
    /// The membership changes.
    Change(Box<raft::eraftpb::Entry>),
}

/// A state for the tree.
pub struct Keep {
    /// Whose.
    pub vnode: VnodeId,
    /// Its number.
    pub number: u64,
    /// Its bytes.
    pub state: Vec<u8>,
    /// The standing that comes with it.
    pub standing: Option<Base>,
}

impl Committed {
    /// Bytes of its command.
    fn bytes(&self) -> usize {
        match self {
            Committed::Entry(Entry { what: What::Command(command), .. }) => command.len(),
            Committed::Entry(_) | Committed::Keep(_) | Committed::Forget { .. } => 0,
        }
    }
}

/// What is opened when an entry is applied: first the latch, then the wait of its proposer.
pub struct Receipt {
    latch: Option<Guard>,
    applied: Sender<Result<Times, Undone>>,
    /// When it became what.
    times: Times,
    /// The room that its command takes among those that are pending.
    _room: Option<Room>,
}

impl Receipt {
    /// The entry is applied.
    pub fn open(self) {
        drop(self.latch);
        // A proposer that went away does not want to know.
        let _ = self.applied.send(Ok(self.times));
    }

    /// The entry will not be applied, or nobody knows.
    fn refuse(self, why: Undone) {
        drop(self.latch);
        let _ = self.applied.send(Err(why));
    }
}

/// The wait for a command to be applied.
pub struct Wait {
    receiver: Receiver<Result<Times, Undone>>,
}

impl Future for Wait {
    type Output = Result<Times, Undone>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let received = Pin::new(&mut self.receiver).poll(context);
        received.map(|outcome| outcome.unwrap_or(Err(Undone::Unknown)))
    }
}

/// Bytes of commands that were proposed and are not applied yet: bounded.
struct Pending {
    bytes: Cell<usize>,
    bytes_max: usize,
    /// Who waits for room.
    waiting: Cell<usize>,
    changed: Notify,
}

/// What one command takes of it, until this is dropped.
struct Room {
    pending: Rc<Pending>,
    bytes: usize,
}

impl Pending {
    fn new(bytes_max: usize) -> Rc<Pending> {
        Rc::new(Pending { bytes: Cell::new(0), bytes_max, waiting: Cell::new(0), changed: Notify::new() })
    }

    /// Whether a command of so many bytes may join those that are pending.
    fn has_room(&self, size: usize) -> bool {
        let pending = self.bytes.get();
        pending == 0 || pending + size <= self.bytes_max
    }

    /// Waits until a command of so many bytes may join them, or proposals have `failed` for good.
    async fn room(&self, size: usize, failed: &Cell<bool>) -> Result<(), lsm::Error> {
        loop {
            let changed = self.changed.notified();
            if failed.get() {
                return Err(lsm::Error::Closed);
            }
            if self.has_room(size) {
                return Ok(());
            }
            let _waiting = Waiting::new(&self.waiting);
            changed.await;
        }
    }

    fn take(self: &Rc<Self>, bytes: usize) -> Room {
        self.bytes.set(self.bytes.get() + bytes);
        Room { pending: self.clone(), bytes }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.pending.bytes.set(self.pending.bytes.get() - self.bytes);
        if self.pending.waiting.get() > 0 {
            self.pending.changed.notify_all();
        }
    }
}

/// Counts one who waits, until it is dropped.
struct Waiting<'a> {
    count: &'a Cell<usize>,
}

impl<'a> Waiting<'a> {
    fn new(count: &'a Cell<usize>) -> Waiting<'a> {
        count.set(count.get() + 1);
        Waiting { count }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.set(self.count.get() - 1);
    }
}

/// All groups of one shard.
pub enum Replication<R: Runtime> {
    /// Each has one replica, for ever.
    Alone(Alone<R>),
    /// Each has replicas on other nodes.
    Cluster(Box<Cluster<R>>),
}

impl<R: Runtime> Replication<R> {
    /// The groups of these vnodes, each with the index that it has applied, on a node that is alone.
    pub fn alone(
        rt: R,
        log: Log<R>,
        applied: BTreeMap<VnodeId, u64>,
        pending_bytes_max: usize,
    ) -> Replication<R> {
        Replication::Alone(Alone::new(rt, log, applied, pending_bytes_max))
    }

    /// The replicated groups, if these are.
    pub fn cluster(&self) -> Option<&Cluster<R>> {
        match self {
            Replication::Alone(_) => None,
            Replication::Cluster(cluster) => Some(cluster),
        }
    }

    /// Gives a command to a vnode's group. The wait ends when its entry is committed and applied.
    pub fn propose(&self, proposal: Proposal) -> Result<Wait, Refused> {
        let receiver = match self {
            Replication::Alone(alone) => alone.propose(proposal)?,
            Replication::Cluster(cluster) => cluster.propose(proposal)?,
        };
        Ok(Wait { receiver })
    }

    /// Waits until a proposal with a command of so many bytes has a chance to be taken.
    pub async fn ready(&self, size: usize) -> Result<(), lsm::Error> {
        match self {
            Replication::Alone(alone) => alone.ready(size).await,
            Replication::Cluster(cluster) => cluster.ready(size).await,
        }
    }

    /// Whether a replica of the vnode is here.
    pub fn is_here(&self, vnode: VnodeId) -> bool {
        match self {
            Replication::Alone(alone) => alone.has(vnode),
            Replication::Cluster(cluster) => cluster.is_here(vnode),
        }
    }

    /// The term in which this shard leads a vnode; a proposal names it.
    pub fn leading(&self, vnode: VnodeId) -> Option<u64> {
        match self {
            Replication::Alone(alone) => alone.has(vnode).then_some(TERM),
            Replication::Cluster(cluster) => cluster.leading(vnode),
        }
    }

    /// The same, for a proposal.
    pub fn may_propose(&self, vnode: VnodeId) -> Option<u64> {
        match self {
            Replication::Alone(alone) => alone.has(vnode).then_some(TERM),
            Replication::Cluster(cluster) => cluster.may_propose(vnode),
        }
    }

    /// The term in which this shard leads a vnode and has applied all that was acknowledged before.
    pub fn leads(&self, vnode: VnodeId) -> Option<u64> {
        match self {
            Replication::Alone(alone) => alone.has(vnode).then_some(TERM),
            Replication::Cluster(cluster) => cluster.leads(vnode),
        }
    }

    /// Waits until what is applied holds every write of the vnode that was acknowledged before; the term in which this
    /// shard leads it.
    pub async fn read(&self, vnode: VnodeId) -> Result<u64, NotRead> {
        match self {
            Replication::Alone(_) => Ok(TERM),
            Replication::Cluster(cluster) => cluster.read(vnode).await,
        }
    }

    /// Whether eventual reads of the vnode can be answered here.
    pub fn has(&self, vnode: VnodeId) -> bool {
        match self {
            Replication::Alone(alone) => alone.has(vnode),
            Replication::Cluster(cluster) => cluster.has(vnode),
        }
    }

    /// Where the vnode's leader is, as far as is known here.
    pub fn leader_of(&self, vnode: VnodeId) -> Option<Place> {
        self.cluster().and_then(|cluster| cluster.leader_of(vnode))
    }

    /// What is to be applied next.
    pub async fn next_committed(&self) -> Result<Committed, lsm::Error> {
        match self {
            Replication::Alone(alone) => Ok(Committed::Entry(alone.next_committed().await?)),
            Replication::Cluster(cluster) => cluster.next_committed().await,
        }
    }

    /// An entry is about to be applied, right after the one before it. The standing that is kept with it, if that
    /// changes; or nothing is to be done.
    pub fn applying(&self, entry: &Entry) -> Result<Option<Base>, Gone> {
        match self {
            Replication::Alone(alone) => {
                alone.applying(entry);
                Ok(None)
            }
            Replication::Cluster(cluster) => cluster.applying(entry),
        }
    }

    /// It is applied.
    pub fn applied(&self, vnode: VnodeId, peer: u64, index: u64) {
        if let Replication::Cluster(cluster) = self {
            cluster.applied(vnode, peer, index);
        }
    }

    /// Up to which index the log need not keep a stream, when the tree's flushed mark of it is `mark`.
    pub fn covered(&self, stream: u64, mark: u64) -> u64 {
        match self {
            Replication::Alone(_) => mark,
            Replication::Cluster(cluster) => cluster.covered(stream, mark),
        }
    }

    /// Nothing more will be applied: refuses every proposal, and tells those who wait that nobody knows.
    pub fn fail(&self) {
        match self {
            Replication::Alone(alone) => alone.fail(),
            Replication::Cluster(cluster) => cluster.fail(),
        }
    }

    /// Entries that wait to be applied, and bytes of commands that were proposed and are not applied yet.
    pub fn pending(&self) -> (usize, usize) {
        match self {
            Replication::Alone(alone) => alone.pending(),
            Replication::Cluster(cluster) => cluster.pending(),
        }
    }
}
