//! What a replica writes down about itself: into the log, and what the tree keeps of it.
//!
//! ```text
//! log    kind 1, 3   stream = vnode              an entry: a command, or a change of the membership
//!        kind 2      stream = 2^32 + vnode       a state: term, vote, commit; numbered by itself
//! tree   GROUPS vnode 1    the newest state      written with the mark of the state's stream
//!        GROUPS vnode 2    the standing          written with the mark of the entry that changed it
//! ```
//!
//! States have a stream of their own, so that what says that a segment of the log may go, a mark per stream, holds for
//! them too: the newest one is always in the log or in the tree. The *standing* is the term and the membership at an entry. It is
//! written with the first entry of a term and with every change, so that at any flushed mark it is that of the mark.
//!
//! FORMAT.md, "Replicas", has the bytes.

use bytes::{Buf, BufMut};
use model::key::keyspace;
use model::ring::VnodeId;
use raft::eraftpb::ConfState;

/// The kind of log record that holds a state.
pub const STATE_KIND: u8 = 2;

/// The kind of log record that holds a change of the membership.
pub const CHANGE_KIND: u8 = 3;

const VERSION: u8 = 1;

const BASED: u8 = 1;
const INSTALLING: u8 = 2;
const DESTROYED: u8 = 4;
const ANEW: u8 = 8;

const STATE_BYTES: usize = 48;
const KEY_BYTES: usize = 6;

/// The most members that a record names in each of its lists.
const MEMBERS_MAX: usize = 32;

/// The stream of a vnode's states.
pub fn state_stream(vnode: VnodeId) -> u64 {
    1 << 32 | u64::from(vnode.0)
}

/// Whose states a stream holds; none when it holds entries.
pub fn vnode_of_states(stream: u64) -> Option<VnodeId> {
    (stream >> 32 == 1).then_some(VnodeId(stream as u32))
}

/// Whose entries a stream holds; none when it holds states, or nothing that we know.
pub fn vnode_of_entries(stream: u64) -> Option<VnodeId> {
    u32::try_from(stream).ok().map(VnodeId)
}

/// Where a log begins that does not begin at its first entry, and who are the members there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Base {
    /// The last entry before it.
    pub index: u64,
    /// That entry's term.
    pub term: u64,
    /// The members after it.
    pub members: ConfState,
}

/// What a replica must not forget.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Which replica.
    pub peer: u64,
    /// The version of the map that it was made by: only a newer one can say that it is gone.
    pub born: u64,
    /// The newest term that it has seen.
    pub term: u64,
    /// Whom it voted for in that term; 0 for nobody.
    pub vote: u64,
    /// Up to which index it knew that entries are committed; all of them are before this record in the log.
    pub commit: u64,
    /// What came before in the log does not count: the replica was made, or its content comes as an image.
    pub anew: bool,
    /// Where its log begins, when it was just made or its content comes as an image.
    pub base: Option<Base>,
    /// The content is not complete: it is being copied from another replica.
    pub installing: bool,
    /// The replica is gone.
    pub destroyed: bool,
}

impl State {
    /// Its bytes in the log.
    pub fn encode(&self) -> Vec<u8> {
        let flag = |yes: bool, flag: u8| if yes { flag } else { 0 };
        let flags = flag(self.base.is_some(), BASED)
            | flag(self.installing, INSTALLING)
            | flag(self.anew, ANEW)
            | flag(self.destroyed, DESTROYED);
        let mut out = Vec::with_capacity(STATE_BYTES + 64);
        out.put_slice(&[VERSION, flags, 0, 0, 0, 0, 0, 0]);
        let fields = [self.peer, self.born, self.term, self.vote, self.commit];
        fields.into_iter().for_each(|field| out.put_u64_le(field));
        if let Some(base) = &self.base {
            out.put_u64_le(base.index);
            out.put_u64_le(base.term);
            put_members(&mut out, &base.members);
        }
        out
    }

    /// Reads them; says what is wrong with them.
    pub fn decode(mut bytes: &[u8]) -> Result<State, &'static str> {
        let Some((header, rest)) = bytes.split_first_chunk::<8>() else { return Err("a state is cut short") };
        if header[0] != VERSION {
            return Err("a state of an unknown version");
        }
        let flags = header[1];
        if flags & !(BASED | INSTALLING | DESTROYED | ANEW) != 0 || header[2..].iter().any(|byte| *byte != 0)
        {
            return Err("a state's header makes no sense");
        }
        bytes = rest;
        let mut field = || (bytes.len() >= 8).then(|| bytes.get_u64_le()).ok_or("a state is cut short");
        let mut state = State {
            peer: field()?,
            born: field()?,
            term: field()?,
            vote: field()?,
            commit: field()?,
            anew: flags & ANEW != 0,
            base: None,
            installing: flags & INSTALLING != 0,
            destroyed: flags & DESTROYED != 0,
        };
        if flags & BASED != 0 {
            let (index, term) = (field()?, field()?);
            state.base = Some(Base { index, term, members: take_members(&mut bytes)? });
        }
        match bytes.is_empty() && state.peer != 0 && (state.base.is_some() || !state.installing) {
            true => Ok(state),
            false => Err("a state makes no sense"),
        }
    }
}

/// The newest state, as the tree keeps it: with its number.
pub fn kept_state(number: u64, state: &[u8]) -> Vec<u8> {
    [&number.to_le_bytes(), state].concat()
}

/// Reads what [`kept_state`] made.
pub fn open_kept_state(bytes: &[u8]) -> Result<(u64, State), &'static str> {
    let (number, state) = bytes.split_first_chunk::<8>().ok_or("a state is cut short")?;
    Ok((u64::from_le_bytes(*number), State::decode(state)?))
}

/// The term and the membership at an entry.
pub fn encode_standing(standing: &Base) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.put_u64_le(standing.index);
    out.put_u64_le(standing.term);
    put_members(&mut out, &standing.members);
    out
}

/// Reads a standing; says what is wrong with it.
pub fn decode_standing(bytes: &[u8]) -> Result<Base, &'static str> {
    let Some((head, mut rest)) = bytes.split_first_chunk::<17>() else {
        return Err("a standing is cut short");
    };
    if head[0] != VERSION {
        return Err("a standing of an unknown version");
    }
    let field = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
    let standing = Base { index: field(1), term: field(9), members: take_members(&mut rest)? };
    if rest.is_empty() { Ok(standing) } else { Err("a standing has bytes after its end") }
}

/// What lies under a key of the groups' keyspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The newest state.
    State,
    /// The standing.
    Standing,
}

/// The key of a vnode's record.
pub fn key(vnode: VnodeId, kept: Kept) -> [u8; KEY_BYTES] {
    let mut key = [keyspace::GROUPS; KEY_BYTES];
    key[1..5].copy_from_slice(&vnode.0.to_be_bytes());
    key[5] = match kept {
        Kept::State => 1,
        Kept::Standing => 2,
    };
    key
}

/// Takes such a key apart.
pub fn open_key(key: &[u8]) -> Option<(VnodeId, Kept)> {
    let key: &[u8; KEY_BYTES] = key.try_into().ok()?;
    let vnode = VnodeId(u32::from_be_bytes(key[1..5].try_into().expect("four bytes")));
    match (key[0], key[5]) {
        (keyspace::GROUPS, 1) => Some((vnode, Kept::State)),
        (keyspace::GROUPS, 2) => Some((vnode, Kept::Standing)),
        _ => None,
    }
}

fn put_members(out: &mut Vec<u8>, members: &ConfState) {
    let lists = [&members.voters, &members.learners, &members.voters_outgoing, &members.learners_next];
    out.put_u8(u8::from(members.auto_leave));
    for list in lists {
        assert!(list.len() <= MEMBERS_MAX, "{} members", list.len());
        out.put_u8(list.len() as u8);
        list.iter().for_each(|peer| out.put_u64_le(*peer));
    }
}

fn take_members(bytes: &mut &[u8]) -> Result<ConfState, &'static str> {
    let mut members = ConfState { auto_leave: take_byte(bytes)? == 1, ..ConfState::default() };
    let lists = [
        &mut members.voters,
        &mut members.learners,
        &mut members.voters_outgoing,
        &mut members.learners_next,
    ];
    for list in lists {
        let count = usize::from(take_byte(bytes)?);
        if count > MEMBERS_MAX || bytes.len() < count * 8 {
            return Err("a membership is cut short");
        }
        *list = (0..count).map(|_| bytes.get_u64_le()).collect();
    }
    Ok(members)
}

fn take_byte(bytes: &mut &[u8]) -> Result<u8, &'static str> {
    (!bytes.is_empty()).then(|| bytes.get_u8()).ok_or("a membership is cut short")
}
