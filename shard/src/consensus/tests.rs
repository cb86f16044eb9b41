//! Groups under every fault, in virtual time: a world of one group, its checkers, and the bugs that they must find.

mod canaries;
mod nemesis;
mod rules;
mod seeds;
mod world;

/// A bug that is planted on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Canary {
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
}
