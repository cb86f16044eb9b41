//! What the replicas of vnodes tell each other: many messages of many groups in one payload.
//!
//! ```text
//! [archive bytes u32][Batch, one rkyv archive][entries' bytes, one after the other, in the archive's order]
//! ```
//!
//! 1. The sender fills a [`Batch`] for one pair of shards: heartbeats of all their groups travel together, and one pulse stands
//!    for all groups that sleep.
//! 2. [`encode`] puts the commands of the entries behind the archive: they never enter it.
//! 3. [`Received::read`] checks the archive once and that the sizes add up; a command is then a slice of the payload that came in,
//!    not a copy.
//!
//! Promises: any bytes are safe to hand to the reader. Leaves to others: who may say what (`shard::consensus`), and a
//! checksum (`frame`). The bytes are described in docs/WIRE.md, "Between replicas".

use crate::message::Malformed;
use bytes::Bytes;
use rkyv::rancor::Failure;
use rkyv::{Archive, Deserialize, Serialize};

/// Messages in one payload at most.
pub const ENVELOPES_MAX: usize = 16 << 10;

/// Bytes of one payload at most: one entry of the largest size fits with what stands around it.
pub const BATCH_BYTES_MAX: usize = 24 << 20;

const HEAD_BYTES: usize = 4;

/// Messages from one shard to another.
#[derive(Archive, Serialize, Debug, Clone, Default, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Batch {
    /// In the order of sending.
    pub envelopes: Vec<Envelope>,
    /// What the two shards say to each other for groups that sleep.
    pub beside: Beside,
}

/// What one shard says to another beside its groups' messages: one for all groups that sleep between the two.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Beside {
    /// The sender's shard in its node.
    pub shard: u16,
    /// The sender leads groups that sleep there.
    pub pulse: Option<Pulse>,
    /// The answer to such a pulse.
    pub echo: Option<Echo>,
    /// Groups that go to sleep.
    pub naps: Vec<Nap>,
}

/// A heartbeat for all groups that the sender leads and that sleep at the receiver.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Pulse {
    /// Under what the receiver's replicas went to sleep: another number, and they wake.
    pub reign: u64,
    /// The sender's monotonic clock when it was made.
    pub sent: u64,
}

/// A pulse was heard.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Echo {
    /// The pulse's reign.
    pub reign: u64,
    /// The pulse's stamp.
    pub sent: u64,
    /// What the sender's promises were made under: another number, and they are void.
    pub loyalty: u64,
}

/// A leader asks a follower to sleep, or the follower agrees.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Nap {
    /// The group.
    pub vnode: u32,
    /// The replica that says it.
    pub from: u64,
    /// The replica that it is for.
    pub to: u64,
    /// Their term.
    pub term: u64,
    /// The last entry that both have.
    pub index: u64,
    /// The leader's monotonic clock when it asked.
    pub asked: u64,
    /// The follower agrees.
    pub agreed: bool,
    /// The leader's reign, or the follower's loyalty.
    pub under: u64,
}

/// One message of one group. The words are those of the Raft paper and of the crate `raft`.
#[derive(Archive, Serialize, Debug, Clone, Default, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Envelope {
    /// The group.
    pub vnode: u32,
    /// What it is: the library's number of the kind of message.
    pub kind: u8,
    /// A refusal.
    pub reject: bool,
    /// The replica that says it.
    pub from: u64,
    /// The replica that it is for.
    pub to: u64,
    /// The term of the sender.
    pub term: u64,
    /// The term of the entry at `index`.
    pub log_term: u64,
    /// The place in the log that it is about.
    pub index: u64,
    /// What is committed.
    pub commit: u64,
    /// The term of the entry at `commit`.
    pub commit_term: u64,
    /// Where a refused leader may try next.
    pub reject_hint: u64,
    /// An image at least this new is wanted.
    pub request_snapshot: u64,
    /// Of a candidate.
    pub priority: i64,
    /// The number of a read, or the mark of a transfer's votes.
    pub context: Vec<u8>,
    /// The sender's monotonic clock, in nanoseconds, when it was made.
    pub sent: u64,
    /// The stamp of the leader's message that this one answers; 0 when it answers none.
    pub echo: u64,
    /// Entries for the log.
    pub entries: Vec<EntryHead>,
    /// What image the receiver should be made from.
    pub image: Option<Image>,
}

/// What stands before an entry's bytes.
#[derive(Archive, Serialize, Debug, Clone, Default, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct EntryHead {
    /// The library's number of the kind of entry.
    pub kind: u8,
    /// Its term.
    pub term: u64,
    /// Its index.
    pub index: u64,
    /// Bytes of its command, in the tail.
    pub size: u32,
    /// A change of the membership, in our own form.
    pub context: Vec<u8>,
}

/// Which image, and the membership in it.
#[derive(Archive, Serialize, Debug, Clone, Default, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Image {
    /// The last entry that it holds.
    pub index: u64,
    /// That entry's term.
    pub term: u64,
    /// Who votes.
    pub voters: Vec<u64>,
    /// Who only follows.
    pub learners: Vec<u64>,
    /// Who voted before, in a joint configuration.
    pub voters_outgoing: Vec<u64>,
    /// Who becomes a learner when the joint configuration is left.
    pub learners_next: Vec<u64>,
    /// The joint configuration is left by itself.
    pub auto_leave: bool,
}

impl ArchivedImage {
    /// Voters, learners, voters that leave, and learners to be: in this order.
    pub fn members(&self) -> [Vec<u64>; 4] {
        [&self.voters, &self.learners, &self.voters_outgoing, &self.learners_next]
            .map(|ids| ids.iter().map(|id| id.to_native()).collect())
    }
}

/// The payload: the archive, then `commands` in the order of their heads.
pub fn encode<'a>(batch: &Batch, commands: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    assert!(batch.envelopes.len() <= ENVELOPES_MAX, "{} messages in a payload", batch.envelopes.len());
    assert!(batch.beside.naps.len() <= ENVELOPES_MAX, "{} naps in a payload", batch.beside.naps.len());
    let archive = rkyv::to_bytes::<Failure>(batch).expect("memory is the only thing that an archive needs");
    let size = u32::try_from(archive.len()).expect("a batch stays under BATCH_BYTES_MAX");
    let mut bytes = Vec::with_capacity(HEAD_BYTES + archive.len());
    bytes.extend_from_slice(&size.to_le_bytes());
    bytes.extend_from_slice(&archive);
    commands.for_each(|command| bytes.extend_from_slice(command));
    bytes
}

/// A payload that was checked.
pub struct Received {
    bytes: Bytes,
    archive_end: usize,
}

impl Received {
    /// Checks a payload; keeps it, and copies nothing.
    pub fn read(bytes: Bytes) -> Result<Received, Malformed> {
        let head = bytes.first_chunk::<HEAD_BYTES>().ok_or(Malformed)?;
        let archive_end = HEAD_BYTES + u32::from_le_bytes(*head) as usize;
        if bytes.len() > BATCH_BYTES_MAX || archive_end > bytes.len() {
            return Err(Malformed);
        }
        let archive = &bytes[HEAD_BYTES..archive_end];
        let batch = rkyv::access::<ArchivedBatch, Failure>(archive).map_err(|Failure| Malformed)?;
        let heads = batch.envelopes.iter().flat_map(|envelope| envelope.entries.iter());
        let tail: u64 = heads.map(|head| u64::from(head.size.to_native())).sum();
        let sound = batch.envelopes.len() <= ENVELOPES_MAX
            && batch.beside.naps.len() <= ENVELOPES_MAX
            && tail == (bytes.len() - archive_end) as u64;
        if sound { Ok(Received { bytes, archive_end }) } else { Err(Malformed) }
    }

    fn batch(&self) -> &ArchivedBatch {
        let archive = &self.bytes[HEAD_BYTES..self.archive_end];
        rkyv::access::<ArchivedBatch, Failure>(archive).expect("it was checked when it came")
    }

    /// What it says beside its messages.
    pub fn beside(&self) -> Beside {
        rkyv::deserialize::<Beside, Failure>(&self.batch().beside).expect("numbers are always sound")
    }

    /// Its messages, in order, and the entries' commands with each.
    pub fn envelopes(&self) -> impl Iterator<Item = (&ArchivedEnvelope, Vec<Bytes>)> {
        let mut start = self.archive_end;
        self.batch().envelopes.iter().map(move |envelope| {
            let command = |head: &ArchivedEntryHead| {
                let end = start + head.size.to_native() as usize;
                let command = self.bytes.slice(start..end);
                start = end;
                command
            };
            (envelope, envelope.entries.iter().map(command).collect())
        })
    }
}

#[cfg(test)]
mod tests;
