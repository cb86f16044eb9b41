//! Changes of a group's membership, in bytes of our own.
//!
//! The library keeps a change as a protobuf inside the entry. We write it there, but never parse one that somebody sent:
//! the same change lies beside it, in the entry's context, in the form below, and that is what is applied.
//!
//! ```text
//! [version u8][steps u8] then per step [kind u8][peer u64]
//! ```

use super::group::PeerId;
use raft::eraftpb::{ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2};

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 2;
const STEP_BYTES: usize = 9;

/// Most steps in one change: three replicas leave and three come.
pub(crate) const STEPS_MAX: usize = 6;

/// One replica comes, goes or changes its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Becomes a voter.
    Voter(PeerId),
    /// Follows without a vote, until it has caught up.
    Learner(PeerId),
    /// Leaves for ever: its id is never used again.
    Remove(PeerId),
}

/// What the library is told. Several steps at once go through a joint configuration, which it leaves by itself.
pub(crate) fn to_raft(steps: &[Step]) -> ConfChangeV2 {
    let mut change = ConfChangeV2::default();
    let singles = steps.iter().map(|step| {
        let (kind, peer) = match step {
            Step::Voter(peer) => (ConfChangeType::AddNode, peer),
            Step::Learner(peer) => (ConfChangeType::AddLearnerNode, peer),
            Step::Remove(peer) => (ConfChangeType::RemoveNode, peer),
        };
        let mut single = ConfChangeSingle::default();
        single.set_change_type(kind);
        single.set_node_id(peer.0);
        single
    });
    change.set_changes(singles.collect::<Vec<_>>().into());
    change.set_transition(ConfChangeTransition::Auto);
    change
}

/// The steps' bytes.
pub(crate) fn encode(steps: &[Step]) -> Vec<u8> {
    assert!(!steps.is_empty() && steps.len() <= STEPS_MAX, "a change of {} steps", steps.len());
    let mut bytes = vec![VERSION, steps.len() as u8];
    for step in steps {
        let (kind, peer) = match step {
            Step::Voter(peer) => (1, peer),
            Step::Learner(peer) => (2, peer),
            Step::Remove(peer) => (3, peer),
        };
        bytes.push(kind);
        bytes.extend_from_slice(&peer.0.to_le_bytes());
    }
    bytes
}

/// The steps in `bytes`; none when they are no change. No steps: the library leaves a joint configuration.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<Step>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let count = usize::from(header[1]);
    if header[0] != VERSION || count == 0 || count > STEPS_MAX || rest.len() != count * STEP_BYTES {
        return None;
    }
    rest.chunks_exact(STEP_BYTES).map(step).collect()
}

fn step(bytes: &[u8]) -> Option<Step> {
    let peer = PeerId(u64::from_le_bytes(bytes[1..].try_into().expect("eight bytes")));
    match (bytes[0], peer.0) {
        (_, 0) => None,
        (1, _) => Some(Step::Voter(peer)),
        (2, _) => Some(Step::Learner(peer)),
        (3, _) => Some(Step::Remove(peer)),
        _ => None,
    }
}
