//! Consensus of one vnode: Raft as a state machine that does no I/O, reads no clock and draws no random number.
//!
//! ```text
//! propose, step, tick --> Group --work()--> Work { send | entries to the log | held | committed | reads }
//!                           ^                        |            |
//!                           +------ persisted(number) <-- durable +--> then `held` may leave
//!                           +------ applied(index)    <-- applied
//! ```
//!
//! 1. [`Group`] wraps one replica's state machine of the crate `raft`. Whoever drives it calls [`Group::work`] after
//!    each input until there is none, and does what it says.
//! 2. A leader's messages leave at once, so its own log write and the followers' run side by side. A follower's answers
//!    are held until what they promise is durable: [`Group::persisted`] gives them out.
//! 3. Strong reads ask [`Group::read`]: under a valid lease they are answered from what is applied, otherwise they wait
//!    for a round of heartbeats (read index).
//! 4. `wire` turns messages into frames and back; an entry's bytes are never copied on the way in.
//!
//! What the library lacks and this module adds: election timeouts from a seed; a lease of our own (`lease`); no votes
//! for one election timeout after a start; no lease for the rest of a term in which a transfer has left; at most one
//! tick per wake; no forwarded proposals; checks before `step`, and a panic inside of it closes this replica alone.
//!
//! Promises: what is handed out as committed is durable on a majority, never changes, and comes in order of index
//! without a gap. A read that was allowed sees every write acknowledged before it. Leaves to others: disks, sockets,
//! clocks, what an entry means, and that a peer's id is never given to another replica.
//!
//! **A replica without content votes.** While it installs an image, or has to begin anew with one, a replica has void content and an empty log; it acknowledges no
//! entry. It votes all the same, as long as the candidate's log reaches the image that it was promised, and the vote leaves when it is durable:
//!
//! 1. It keeps term and vote, durably, so there is one vote in a term.
//! 2. What is committed is safe in an election because every majority that elects shares a voter with the majority that has the entry, and that voter refuses
//!    who lacks it. It need not be this replica: a leader offers an image of what is committed, at an index that this replica's log did not reach (the log of a
//!    replica that has the entry matches, and the library takes no image then). So a majority without this replica has that index, and with it all that came
//!    before, also what this replica had once acknowledged; and what is committed later, before it acknowledges again, is committed without it.
//! 3. It does not stand for election itself, and its answers about entries are held until the image is durable.
//!
//! Without this rule, the failure of two out of three ends in a standstill when one of them only restarts: the leader comes back, the other one lives, and has no vote.
//! A replica that was never whole (it joins) has no image to compare with, and no vote.
//!
//! The rules, and where each is tested (`tests::rules` unless it says otherwise; a bug of that kind that is planted must be found,
//! `tests::canaries`):
//!
//! | rule | test | planted |
//! |---|---|---|
//! | a leader's letters leave before its own write, and it counts itself after it | `a_leader_sends_before_it_has_written_and_counts_itself_when_it_has` | `CountItselfEarly` |
//! | votes and answers leave after what they promise is durable | `a_vote_leaves_only_after_it_is_durable` | `AnswerBeforeDurable`, `VoteNotPersisted` |
//! | what was acknowledged is there after a restart | `tests::seeds` | `TailLost` |
//! | a seed takes one course | `tests::seeds::the_same_seed_takes_the_same_course` | |
//! | the lease counts from echoed stamps, of both halves of a joint configuration | `a_lease_lasts_from_the_stamp_that_a_majority_of_both_halves_echoed` | `LeaseFromReceipt` |
//! | it begins with an applied entry of the term | `a_leader_reads_only_after_its_first_entry_is_committed_and_a_majority_has_echoed` | |
//! | no vote for one election timeout after a start, but for the first start | `a_restarted_replica_neither_votes_nor_stands_for_one_election_timeout` | `NoQuarantine` |
//! | no lease for the rest of a term in which a transfer has left | `a_transfer_ends_the_lease_for_the_rest_of_the_term` | `LeaseInTransfer` |
//! | at most one tick per wake; votes are gated by time since the leader was heard | `one_wake_is_one_tick_however_long_the_sleep_was`, `whoever_heard_a_leader_does_not_vote_for_another` | `TickDebt` |
//! | peers' ids are never used again | the catalog's counter only grows: `tests/it/members.rs`, `nodes_join_a_cluster_and_get_their_share` | |
//! | no proposal is forwarded | `a_follower_takes_no_proposal_and_forwards_none` | |
//! | what makes no sense is not stepped | `messages_that_make_no_sense_are_ignored`; whose letters it is: `tests/it/cluster/rules.rs`, `a_node_speaks_for_its_own_replicas_only` | |
//! | a replica without content votes for who has its image, and its vote is durable | `who_installs_an_image_votes_and_acknowledges_nothing`, `who_begins_anew_votes_for_who_has_its_image`; `tests/it/cluster/rules.rs`, `two_of_three_go_on_although_one_of_them_needs_an_image` | |
//! | who comes back counts no votes by members from before a change that was committed | `sim`, scenario `unsettled-change` | `UnsettledChange` of `replication` |
//! | a panic closes one replica | `a_group_that_panics_is_closed_and_says_so_from_then_on` | |
//! | a replica that sleeps keeps its promises, and its leader's lease rests on them alone | `what_is_heard_in_another_way_counts_as_a_letter`, `a_promise_that_came_in_another_way_prolongs_the_lease`, `tests/it/cluster/sleep.rs` | `ReadAsleep`, `KeepLoyalty` of `replication` |
//!
//! Sources: Ongaro, "Consensus: Bridging Theory and Practice", sections 6.4 (reads), 9.6 (pre-vote), 10.2.1 (the
//! leader's own write in parallel), 4.3 (joint consensus).

pub(crate) mod change;
mod group;
mod lease;
mod storage;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod wire;

pub(crate) use group::{Closed, Group, GroupOptions, Letter, NotTaken, PeerId, Read, Saved, Work};

/// Bugs of one group that can be planted, one at a time.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canary {
    /// Followers answer before what they promise is durable.
    AnswerBeforeDurable,
    /// The leader counts its own log before it is durable.
    CountItselfEarly,
    /// Term and vote are not written.
    VoteNotPersisted,
    /// A restart forgets the last entries.
    TailLost,
    /// A restarted replica votes at once.
    NoQuarantine,
    /// The lease counts from when an answer came, not from when it was asked for.
    LeaseFromReceipt,
    /// A stalled process makes up for the ticks that it missed.
    TickDebt,
    /// The lease is kept while leadership is handed over.
    LeaseInTransfer,
    /// A new leader reads before it has applied what was acknowledged before.
    LeaseUnapplied,
    /// In the place of entries that it has let go, a leader sends empty ones.
    FillGap,
    /// A membership is left at once for the next one, without both majorities in between.
    TwoMajorities,
}
