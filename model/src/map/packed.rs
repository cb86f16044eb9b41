//! Vnodes as packed bytes: of fixed width on disk, as short as they go in messages.
//!
//! ```text
//! on disk       count u8 | count times: peer u32, node u16, shard u16, role u8                       little-endian
//! in messages   number | start | count and roles | for each: peer, node, shard        numbers of 7 bits to a byte
//! ```
//!
//! In messages numbers, starts and peers are differences to what is expected behind the vnode before: a vnode of a ring of
//! equal ranges takes about a dozen bytes, and a ring of a million fits one message. FORMAT.md, "Maps", says it exactly.

use crate::{
    item::Corrupt,
    ring::{NodeId, PeerId, Place, REPLICAS_MAX, Replica, Replicas, Role, ShardId, Vnode, VnodeId},
};

/// Adds the replicas of one vnode as they lie on disk.
pub fn push_replicas(out: &mut Vec<u8>, replicas: &Replicas) {
    out.push(replicas.len() as u8);
    for Replica { peer, place, role } in replicas.iter() {
        out.extend_from_slice(&peer.0.to_le_bytes());
        out.extend_from_slice(&place.node.0.to_le_bytes());
        out.extend_from_slice(&place.shard.0.to_le_bytes());
        out.push(role as u8);
    }
}

/// Replicas as they lie on disk, that are being read.
pub struct Packed<'a>(pub &'a [u8]);

impl Packed<'_> {
    /// The next vnode's replicas.
    pub fn replicas(&mut self) -> Result<Replicas, Corrupt> {
        let [count] = self.take()?;
        let mut replicas = Few::new(usize::from(count))?;
        for replica in replicas.all() {
            *replica = self.replica()?;
        }
        Ok(replicas.finish())
    }

    fn replica(&mut self) -> Result<Replica, Corrupt> {
        let peer = PeerId(u32::from_le_bytes(self.take()?));
        let node = NodeId(u16::from_le_bytes(self.take()?));
        let shard = ShardId(u16::from_le_bytes(self.take()?));
        let [role] = self.take()?;
        let role = Role::from_number(role).ok_or(UNKNOWN_ROLE)?;
        Ok(Replica { peer, place: Place { node, shard }, role })
    }

    /// The next so many bytes.
    pub fn take<const N: usize>(&mut self) -> Result<[u8; N], Corrupt> {
        let (head, tail) = self.0.split_first_chunk().ok_or(SHORT)?;
        self.0 = tail;
        Ok(*head)
    }
}

const SHORT: Corrupt = Corrupt::new("a vnode is cut short", 0);
const UNKNOWN_ROLE: Corrupt = Corrupt::new("a replica of an unknown role", 0);

/// Replicas that are being read, in place.
struct Few {
    replicas: [Replica; REPLICAS_MAX],
    count: usize,
}

impl Few {
    fn new(count: usize) -> Result<Few, Corrupt> {
        if !(1..=REPLICAS_MAX).contains(&count) {
            return Err(Corrupt::new("a vnode with too few or too many replicas", 0));
        }
        let nowhere = Place { node: NodeId(0), shard: ShardId(0) };
        let none = Replica { peer: PeerId(0), place: nowhere, role: Role::Voter };
        Ok(Few { replicas: [none; REPLICAS_MAX], count })
    }

    fn all(&mut self) -> &mut [Replica] {
        &mut self.replicas[..self.count]
    }

    fn finish(self) -> Replicas {
        Replicas::new(&self.replicas[..self.count])
    }
}

/// What the next vnode is expected to have: what writer and reader both know from those before.
#[derive(Default)]
struct Expected {
    id: u32,
    start: u64,
    last_start: u64,
    peer: u32,
}

impl Expected {
    fn after(&mut self, id: VnodeId, start: u64) {
        self.id = id.0.wrapping_add(1);
        // As wide as the one before.
        self.start = start.wrapping_add(start.wrapping_sub(self.last_start));
        self.last_start = start;
    }

    fn after_peer(&mut self, peer: PeerId) {
        self.peer = peer.0.wrapping_add(1);
    }
}

/// Packs vnodes for a message.
pub(super) fn pack(vnodes: impl Iterator<Item = Vnode>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut expected = Expected::default();
    for vnode in vnodes {
        push(&mut out, signed(i64::from(vnode.id.0.wrapping_sub(expected.id) as i32)));
        push(&mut out, signed(vnode.start.wrapping_sub(expected.start) as i64));
        let roles = vnode.replicas.iter().enumerate().map(|(index, one)| (one.role as u64) << (2 * index));
        push(&mut out, roles.sum::<u64>() << 3 | vnode.replicas.len() as u64);
        expected.after(vnode.id, vnode.start);
        for Replica { peer, place, .. } in vnode.replicas.iter() {
            push(&mut out, signed(i64::from(peer.0.wrapping_sub(expected.peer) as i32)));
            push(&mut out, u64::from(place.node.0));
            push(&mut out, u64::from(place.shard.0));
            expected.after_peer(peer);
        }
    }
    out
}

/// Vnodes of a message, that are being read. Ends at the first that cannot be; `failed` says why then.
pub(super) struct Unpack<'a> {
    rest: &'a [u8],
    expected: Expected,
    pub(super) failed: Option<Corrupt>,
}

impl<'a> Unpack<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Unpack<'a> {
        Unpack { rest: bytes, expected: Expected::default(), failed: None }
    }

    fn vnode(&mut self) -> Result<Vnode, Corrupt> {
        let id = VnodeId(self.expected.id.wrapping_add(self.narrow_difference()? as u32));
        let start = self.expected.start.wrapping_add(unsigned(self.number()?) as u64);
        let head = self.number()?;
        let mut roles = head >> 3;
        let mut replicas = Few::new((head & 7) as usize)?;
        self.expected.after(id, start);
        for replica in replicas.all() {
            let peer = PeerId(self.expected.peer.wrapping_add(self.narrow_difference()? as u32));
            let place = Place { node: NodeId(self.narrow()?), shard: ShardId(self.narrow()?) };
            let role = Role::from_number((roles & 3) as u8).ok_or(UNKNOWN_ROLE)?;
            *replica = Replica { peer, place, role };
            self.expected.after_peer(peer);
            roles >>= 2;
        }
        if roles != 0 {
            return Err(UNKNOWN_ROLE);
        }
        Ok(Vnode { id, start, replicas: replicas.finish() })
    }

    fn number(&mut self) -> Result<u64, Corrupt> {
        let mut number = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or(SHORT)?;
            self.rest = rest;
            let bits = u64::from(byte & 0x7F);
            if bits << shift >> shift != bits {
                return Err(TOO_LARGE);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(TOO_LARGE)
    }

    fn narrow(&mut self) -> Result<u16, Corrupt> {
        u16::try_from(self.number()?).map_err(|_| TOO_LARGE)
    }

    fn narrow_difference(&mut self) -> Result<i32, Corrupt> {
        i32::try_from(unsigned(self.number()?)).map_err(|_| TOO_LARGE)
    }
}

const TOO_LARGE: Corrupt = Corrupt::new("a number out of range in a vnode", 0);

impl Iterator for Unpack<'_> {
    type Item = Vnode;

    fn next(&mut self) -> Option<Vnode> {
        if self.rest.is_empty() || self.failed.is_some() {
            return None;
        }
        self.vnode().map_err(|corrupt| self.failed = Some(corrupt)).ok()
    }
}

/// Seven bits to a byte, the lowest first; the highest bit says that more follow.
fn push(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Small numbers of either sign as small numbers.
fn signed(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

fn unsigned(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}
