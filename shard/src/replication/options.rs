//! Times and sizes of replication, and the bugs that tests plant.

use model::ring::VnodeId;
use std::rc::Rc;
use std::time::Duration;

/// Times and sizes of replication.
#[derive(Clone)]
pub struct ReplicationOptions {
    /// Between two ticks of a group.
    pub tick: Duration,
    /// Ticks without a leader after which a replica stands for election, at least; at most twice as many.
    pub election_ticks: usize,
    /// Ticks between two heartbeats.
    pub heartbeat_ticks: usize,
    /// Bytes of entries in one message to a follower, or one entry.
    pub message_bytes_max: u64,
    /// Messages that a follower may have unanswered.
    pub in_flight_max: usize,
    /// Bytes of committed entries that a group hands out at once.
    pub committed_bytes_max: u64,
    /// Bytes of commands that wait to be applied on a follower; more are not taken from a leader.
    pub unapplied_bytes_max: usize,
    /// Bytes of entries that stay in memory although the tree has them: for followers that are a little behind.
    pub tail_bytes_max: usize,
    /// An image that nobody has asked for a part of in so long is let go, and offered anew if it is still needed.
    pub image_idle_max: Duration,
    /// Bytes of a part of an image, about.
    pub image_part_bytes: usize,
    /// How long the proposer of an entry waits for its fate after leadership was lost.
    pub unknown_after: Duration,
    /// How long somebody else leads who should not, although who should could, before it is handed over.
    pub balance_after: Duration,
    /// A group in which nothing happened for so long goes to sleep.
    pub sleep_after: Duration,
    /// Followers hear of a commit that nothing else tells them after so long.
    pub commit_told_after: Duration,
    /// How long who asks for a leader that nobody knows waits for one.
    pub leader_wait_max: Duration,
    /// How long a strong read waits until it is allowed.
    pub read_wait_max: Duration,
    /// Hears of every entry that is applied: for checkers.
    #[doc(hidden)]
    pub applied: Option<Observer>,
    /// A planted bug, for the tests that show that tests find it.
    #[doc(hidden)]
    pub canary: Canary,
    /// The same, inside of a group.
    #[doc(hidden)]
    pub group_canary: Option<crate::consensus::Canary>,
}

/// Hears of an entry: vnode, index, term, and what it carries.
pub type Observer = Rc<dyn Fn(VnodeId, u64, u64, &[u8])>;

impl Default for ReplicationOptions {
    fn default() -> ReplicationOptions {
        ReplicationOptions {
            tick: Duration::from_millis(40),
            election_ticks: 8,
            heartbeat_ticks: 2,
            message_bytes_max: 256 << 10,
            in_flight_max: 64,
            committed_bytes_max: 1 << 20,
            unapplied_bytes_max: 64 << 20,
            tail_bytes_max: 32 << 20,
            image_idle_max: Duration::from_secs(5),
            image_part_bytes: 1 << 20,
            unknown_after: Duration::from_millis(500),
            balance_after: Duration::from_secs(5),
            sleep_after: Duration::from_secs(2),
            commit_told_after: Duration::from_millis(5),
            leader_wait_max: Duration::from_millis(100),
            read_wait_max: Duration::from_secs(1),
            applied: None,
            canary: Canary::None,
            group_canary: None,
        }
    }
}

/// Bugs that can be planted, one at a time.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Canary {
    /// No bug.
    #[default]
    None,
    /// Answers leave before what they promise is durable.
    AnswerBeforeDurable,
    /// The log lets states go that the tree does not have.
    ReleaseStatesEarly,
    /// A replica counts as complete after the first part of an image.
    HalfImage,
    /// Every entry is applied twice.
    ApplyTwice,
    /// A restart takes everything in the log as committed.
    ApplyUncommitted,
    /// A strong read is answered by whoever thinks that it leads.
    ReadWithoutLease,
    /// A leader that sleeps answers strong reads without looking at its lease, and sleeps on when nobody hears it.
    ReadAsleep,
    /// What sleeping followers have promised counts for ever.
    KeepLoyalty,
    /// A replica whose data is gone begins anew, under its old name.
    BeginEmpty,
    /// An image is laid over what is there, and takes nothing away.
    ImageOverOld,
    /// A shard answers strong reads for replicas that the map has taken away from it.
    ReadForOthers,
    /// A shard takes writes for replicas that the map has taken away from it.
    WriteForOthers,
    /// Leases are counted on the wall clock.
    LeaseByWall,
    /// A restart does not take it that a change of members was committed when another one follows it in the log.
    UnsettledChange,
    /// Leaders tell the first node of the catalog that a move is over, and nobody else.
    ReportToFirst,
    /// Who has not heard that a change of members is over waits for the votes of those who are gone.
    StayJoint,
    /// A node whose map is older than a replica that it has given up takes the replica's data for lost, and says so.
    MissGivenUp,
    /// A node that has nothing of a replica on its way out takes the replica's data for lost, and says so.
    MissWithdrawn,
    /// A shard whose log has no room to write down that a replica is here, or gone, ends.
    EndWhenFull,
    /// A replica waits for ever for the parts of an image that nobody has any more.
    WaitForImage,
}

impl Canary {
    /// Whether this bug is planted. Never, where planted bugs are not compiled in: then nothing is left of them.
    pub(crate) fn is(self, bug: Canary) -> bool {
        cfg!(any(test, feature = "canaries")) && self == bug
    }
}
