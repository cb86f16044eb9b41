//! Letters of groups to and from the payloads that travel between two shards.

use super::group::Letter;
use bytes::Bytes;
use model::ring::VnodeId;
use net::message::Malformed;
use net::peer::{
    ArchivedEntryHead, ArchivedEnvelope, ArchivedImage, Batch, Beside, EntryHead, Envelope, Image, Received,
};
use raft::eraftpb::{ConfState, Entry, EntryType, Message, MessageType, Snapshot};
use runtime::Mono;

/// The payload that carries these letters and what is said beside them, all for one shard.
pub(crate) fn encode(letters: &[(VnodeId, Letter)], beside: Beside) -> Vec<u8> {
    let envelopes = letters.iter().map(|(vnode, letter)| envelope(*vnode, letter)).collect();
    let entries = letters.iter().flat_map(|(_, letter)| letter.message.entries.iter());
    net::peer::encode(&Batch { envelopes, beside }, entries.map(|entry| &entry.data[..]))
}

/// The letters in a payload and what is beside them, whole or not at all.
pub(crate) fn decode(payload: Bytes) -> Result<(Vec<(VnodeId, Letter)>, Beside), Malformed> {
    let received = Received::read(payload)?;
    let letters =
        received.envelopes().map(|(envelope, commands)| letter(envelope, commands).ok_or(Malformed));
    Ok((letters.collect::<Result<_, _>>()?, received.beside()))
}

fn envelope(vnode: VnodeId, letter: &Letter) -> Envelope {
    let message = &letter.message;
    Envelope {
        vnode: vnode.0,
        kind: message.get_msg_type() as u8,
        reject: message.reject,
        from: message.from,
        to: message.to,
        term: message.term,
        log_term: message.log_term,
        index: message.index,
        commit: message.commit,
        commit_term: message.commit_term,
        reject_hint: message.reject_hint,
        request_snapshot: message.request_snapshot,
        priority: message.priority,
        context: message.context.to_vec(),
        sent: letter.sent.0,
        echo: letter.echo.0,
        entries: message.entries.iter().map(head).collect(),
        image: message.has_snapshot().then(|| image(message.get_snapshot())),
    }
}

fn head(entry: &Entry) -> EntryHead {
    EntryHead {
        kind: entry.get_entry_type() as u8,
        term: entry.term,
        index: entry.index,
        size: u32::try_from(entry.data.len()).expect("a command fits a record of the log"),
        context: entry.context.to_vec(),
    }
}

fn image(snapshot: &Snapshot) -> Image {
    let meta = snapshot.get_metadata();
    let members = meta.get_conf_state();
    Image {
        index: meta.index,
        term: meta.term,
        voters: members.voters.clone(),
        learners: members.learners.clone(),
        voters_outgoing: members.voters_outgoing.clone(),
        learners_next: members.learners_next.clone(),
        auto_leave: members.auto_leave,
    }
}

fn letter(envelope: &ArchivedEnvelope, commands: Vec<Bytes>) -> Option<(VnodeId, Letter)> {
    let mut message = Message::default();
    message.set_msg_type(message_kind(envelope.kind)?);
    message.reject = envelope.reject;
    message.from = envelope.from.to_native();
    message.to = envelope.to.to_native();
    message.term = envelope.term.to_native();
    message.log_term = envelope.log_term.to_native();
    message.index = envelope.index.to_native();
    message.commit = envelope.commit.to_native();
    message.commit_term = envelope.commit_term.to_native();
    message.reject_hint = envelope.reject_hint.to_native();
    message.request_snapshot = envelope.request_snapshot.to_native();
    message.priority = envelope.priority.to_native();
    message.context = Bytes::copy_from_slice(&envelope.context);
    let entries: Option<Vec<Entry>> = envelope.entries.iter().zip(commands).map(entry).collect();
    message.set_entries(entries?.into());
    if let Some(image) = envelope.image.as_ref() {
        message.set_snapshot(snapshot(image));
    }
    let (sent, echo) = (Mono(envelope.sent.to_native()), Mono(envelope.echo.to_native()));
    Some((VnodeId(envelope.vnode.to_native()), Letter { sent, echo, message }))
}

fn entry((head, command): (&ArchivedEntryHead, Bytes)) -> Option<Entry> {
    let mut entry = Entry::default();
    entry.set_entry_type(match head.kind {
        0 => EntryType::EntryNormal,
        2 => EntryType::EntryConfChangeV2,
        _ => return None,
    });
    entry.term = head.term.to_native();
    entry.index = head.index.to_native();
    entry.data = command;
    entry.context = Bytes::copy_from_slice(&head.context);
    Some(entry)
}

fn snapshot(image: &ArchivedImage) -> Snapshot {
    let mut members = ConfState::default();
    [members.voters, members.learners, members.voters_outgoing, members.learners_next] = image.members();
    members.auto_leave = image.auto_leave;
    let mut snapshot = Snapshot::default();
    snapshot.mut_metadata().index = image.index.to_native();
    snapshot.mut_metadata().term = image.term.to_native();
    snapshot.mut_metadata().set_conf_state(members);
    snapshot
}

/// The kinds that travel between peers.
fn message_kind(number: u8) -> Option<MessageType> {
    use MessageType as M;
    [
        M::MsgAppend,
        M::MsgAppendResponse,
        M::MsgRequestVote,
        M::MsgRequestVoteResponse,
        M::MsgSnapshot,
        M::MsgHeartbeat,
        M::MsgHeartbeatResponse,
        M::MsgTimeoutNow,
        M::MsgRequestPreVote,
        M::MsgRequestPreVoteResponse,
    ]
    .into_iter()
    .find(|kind| *kind as u8 == number)
}
