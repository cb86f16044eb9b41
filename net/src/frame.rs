//! The bytes between processes: an introduction each way, then frames. Pure: no I/O here.
//!
//! ```text
//! hello (96 bytes) | proof (40 bytes) | frame | frame | ...        frame = header (32 bytes) | payload
//! ```
//!
//! 1. Both ends send a [`Hello`] first: magic, version, cluster, who speaks, a nonce, and a checksum. Magic and version
//!    ([`Hello::check_opening`]) are looked at before the rest is even waited for.
//! 2. The end that connected sends a [`Proof`]; the other answers with its own, or with the reason why not.
//! 3. Then each sends frames. The header has its own checksum, so that a damaged length is noticed before anybody
//!    waits for that many bytes; the payload has another. Frames are numbered, so that none comes twice or is left out.
//! 4. A message that is larger than a frame travels as parts, and other frames may stand between them.
//!
//! Promises: a reader spends memory only after the length was checked; nothing that fails a check is looked at.
//! Leaves to others: reading and writing (`session`), what the proof is made of (`secret`), what a payload says (`message`).
//!
//! docs/WIRE.md, "Frames", describes the bytes.

use crate::message::MESSAGE_BYTES_MAX;
use meter::ledger::SERVED_BYTES;
use model::ring::{NodeId, Place, ShardId};

/// The first eight bytes of every connection between processes.
pub const MAGIC: [u8; 8] = *b"torcwire";

/// The version of hello, frames and messages. Both ends must speak the same.
pub const WIRE_VERSION: u16 = 4;

/// Most bytes of a message on its way: behind a reply stands what it took.
pub const CARRIED_BYTES_MAX: usize = MESSAGE_BYTES_MAX + SERVED_BYTES;

/// Bytes of a hello.
pub const HELLO_BYTES: usize = 96;

/// Bytes of a hello that mean the same in every version: magic and version.
pub const OPENING_BYTES: usize = 10;

/// Bytes of the number in a hello that is drawn anew for each connection.
pub const NONCE_BYTES: usize = 32;

/// Bytes of a proof.
pub const PROOF_BYTES: usize = 40;

/// Bytes of the code in a proof: HMAC-SHA256.
pub const CODE_BYTES: usize = 32;

/// Bytes of a frame's header.
pub const HEADER_BYTES: usize = 32;

/// Bytes of a frame's payload at most. A larger message travels as parts, so that small ones need not wait for its end.
pub const PAYLOAD_BYTES_MAX: usize = 64 << 10;

/// The header's flag: the parts before belong to this frame's message.
const JOINED: u8 = 1;

/// Who speaks, and to which cluster it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The cluster's id, drawn when it was founded.
    pub cluster: u128,
    /// The node's id, drawn when its directory was made; of a process without a directory, drawn when it starts.
    pub node: u128,
    /// The node's number and the shard that speaks; none for a process that has no shards.
    pub place: Option<Place>,
    /// Drawn anew each time that the speaker starts.
    pub start: u64,
    /// The speaker has the cluster's secret, proves it, and demands the same.
    pub secret: bool,
    /// Drawn anew for each connection.
    pub nonce: [u8; NONCE_BYTES],
}

/// What an end says of itself once it has read the other's hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Whether it talks on. The end that connected always does.
    pub verdict: Verdict,
    /// The code over both hellos (`secret`); zeros without a secret, and when the verdict is no.
    pub code: [u8; CODE_BYTES],
}

/// What the end that accepted says to the one that connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Talk on.
    Welcome,
    /// The other end's proof is wrong: it has another secret.
    WrongSecret,
    /// There are as many sessions as there may be.
    Full,
    /// The cluster does not know that node, or does not know it any more.
    NotMember,
    /// The certificate is not that of the node that the other end says it is.
    NotCertified,
}

impl Verdict {
    const ALL: [Verdict; 5] =
        [Verdict::Welcome, Verdict::WrongSecret, Verdict::Full, Verdict::NotMember, Verdict::NotCertified];

    fn number(self) -> u8 {
        match self {
            Verdict::Welcome => 0,
            Verdict::WrongSecret => 1,
            Verdict::Full => 2,
            Verdict::NotMember => 3,
            Verdict::NotCertified => 4,
        }
    }
}

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A call; the payload is its request.
    Request,
    /// The reply to a call.
    Reply,
    /// The call was refused and had no effect: too many are under way.
    Busy,
    /// The call was refused and had no effect: nobody serves requests there.
    NotServing,
    /// "Are you there": no payload, no call.
    Ping,
    /// "I am": no payload, no call.
    Pong,
    /// Something that nobody answers: what replicas tell each other.
    Tell,
    /// A part of a message that is larger than a frame; the last part is a joined frame of the message's own kind.
    Part,
}

impl Kind {
    const ALL: [Kind; 8] = [
        Kind::Request,
        Kind::Reply,
        Kind::Busy,
        Kind::NotServing,
        Kind::Ping,
        Kind::Pong,
        Kind::Tell,
        Kind::Part,
    ];

    fn number(self) -> u8 {
        match self {
            Kind::Request => 1,
            Kind::Reply => 2,
            Kind::Busy => 3,
            Kind::NotServing => 4,
            Kind::Ping => 5,
            Kind::Pong => 6,
            Kind::Tell => 7,
            Kind::Part => 8,
        }
    }

    /// Whether a message is in it, which may be larger than a frame.
    fn carries_message(self) -> bool {
        matches!(self, Kind::Request | Kind::Reply | Kind::Tell)
    }

    fn belongs_to_call(self) -> bool {
        matches!(self, Kind::Request | Kind::Reply | Kind::Busy | Kind::NotServing)
    }
}

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub kind: Kind,
    /// The parts before belong to it: it is the end of their message.
    pub joined: bool,
    /// The call that it belongs to; 0 for what belongs to none.
    pub call: u64,
    /// Microseconds that the caller still waits; only for requests.
    pub timeout_us: u32,
    /// Bytes of the payload.
    pub length: u32,
    /// CRC-32C of the payload.
    pub payload_crc: u32,
    /// Which frame of its lane it is, from 0, and from 0 again after the last. Parts and joined frames are one lane, all others the other.
    pub number: u32,
}

/// What is wrong with bytes from another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// It does not speak torc's protocol at all.
    NotTorc,
    /// It speaks TLS, and this end does not.
    Tls,
    /// It speaks another version.
    Version {
        /// The other end's version.
        theirs: u16,
    },
    /// It belongs to another cluster.
    Cluster {
        /// This end's cluster id.
        ours: u128,
        /// The other end's cluster id.
        theirs: u128,
    },
    /// A checksum does not match: the bytes changed on their way.
    Checksum,
    /// A payload of more than `PAYLOAD_BYTES_MAX`, or a message in parts of more than `CARRIED_BYTES_MAX`.
    TooLong {
        /// Its bytes.
        length: u32,
    },
    /// A frame came twice, or one is missing.
    Number {
        /// The number that is next.
        expected: u32,
        /// The number that came.
        came: u32,
    },
    /// A kind of frame that this version does not know, or a frame that makes no sense.
    Senseless,
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FrameError::NotTorc => {
                f.write_str("the other end does not speak torc's protocol: is the address right?")
            }
            FrameError::Tls => f.write_str(
                "the other end speaks TLS and this one does not: configure certificates on both or on none",
            ),
            FrameError::Version { theirs } => write!(
                f,
                "the other end speaks wire version {theirs}, this one {WIRE_VERSION}: both must run the same release of torc"
            ),
            FrameError::Cluster { ours, theirs } => write!(
                f,
                "the other end belongs to cluster {theirs:032x}, this one to {ours:032x}: one of them has an address of the wrong cluster"
            ),
            FrameError::Checksum => f.write_str("a checksum does not match: bytes changed on their way"),
            FrameError::TooLong { length } => write!(
                f,
                "{length} bytes, more than the {PAYLOAD_BYTES_MAX} of a frame or the {CARRIED_BYTES_MAX} of a message"
            ),
            FrameError::Number { expected, came } => {
                write!(f, "frame {came} came where {expected} is next: one came twice, or one is missing")
            }
            FrameError::Senseless => f.write_str("a frame that makes no sense in this version"),
        }
    }
}

impl std::error::Error for FrameError {}

/// How the speaker counts: as a shard of a node, or as a process without shards.
const SPEAKS_SHARD: u8 = 1;
const SPEAKS_OUTSIDER: u8 = 2;

impl Hello {
    /// Its bytes.
    pub fn encode(&self) -> [u8; HELLO_BYTES] {
        let mut bytes = [0; HELLO_BYTES];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&WIRE_VERSION.to_le_bytes());
        bytes[10] = self.place.map_or(SPEAKS_OUTSIDER, |_place| SPEAKS_SHARD);
        bytes[11] = u8::from(self.secret);
        if let Some(place) = self.place {
            bytes[12..14].copy_from_slice(&place.node.0.to_le_bytes());
            bytes[14..16].copy_from_slice(&place.shard.0.to_le_bytes());
        }
        bytes[16..32].copy_from_slice(&self.cluster.to_le_bytes());
        bytes[32..48].copy_from_slice(&self.node.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.start.to_le_bytes());
        bytes[56..88].copy_from_slice(&self.nonce);
        let crc = crc32c::crc32c(&bytes[..92]);
        bytes[92..96].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Whether these first bytes are those of a hello that [`Hello::decode`] can read. In a later version the rest may be laid out
    /// otherwise, and be longer or shorter.
    pub fn check_opening(bytes: &[u8; OPENING_BYTES]) -> Result<(), FrameError> {
        if bytes[0..8] != MAGIC {
            // A TLS handshake is a record of kind 22, of version 3.
            return Err(if bytes[0..2] == [22, 3] { FrameError::Tls } else { FrameError::NotTorc });
        }
        match u16_at(bytes, 8) {
            WIRE_VERSION => Ok(()),
            theirs => Err(FrameError::Version { theirs }),
        }
    }

    /// Reads a hello from `cluster`'s point of view.
    pub fn decode(bytes: &[u8; HELLO_BYTES], cluster: u128) -> Result<Hello, FrameError> {
        Hello::check_opening(bytes.first_chunk().expect("a hello begins with its opening"))?;
        if u32_at(bytes, 92) != crc32c::crc32c(&bytes[..92]) {
            return Err(FrameError::Checksum);
        }
        let (node, shard) = (NodeId(u16_at(bytes, 12)), ShardId(u16_at(bytes, 14)));
        let place = match bytes[10] {
            SPEAKS_SHARD => Some(Place { node, shard }),
            SPEAKS_OUTSIDER if bytes[12..16] == [0; 4] => None,
            _ => return Err(FrameError::Senseless),
        };
        if bytes[11] > 1 || bytes[88..92] != [0; 4] {
            return Err(FrameError::Senseless);
        }
        let hello = Hello {
            cluster: u128_at(bytes, 16),
            node: u128_at(bytes, 32),
            place,
            start: u64_at(bytes, 48),
            secret: bytes[11] == 1,
            nonce: bytes[56..88].try_into().expect("thirty-two bytes"),
        };
        if hello.cluster != cluster {
            return Err(FrameError::Cluster { ours: cluster, theirs: hello.cluster });
        }
        Ok(hello)
    }
}

impl Proof {
    /// A refusal: no code, for whoever is refused learns nothing.
    pub fn refusal(verdict: Verdict) -> Proof {
        assert!(verdict != Verdict::Welcome, "a welcome has a code");
        Proof { verdict, code: [0; CODE_BYTES] }
    }

    /// Its bytes.
    pub fn encode(&self) -> [u8; PROOF_BYTES] {
        let mut bytes = [0; PROOF_BYTES];
        bytes[0] = self.verdict.number();
        bytes[4..36].copy_from_slice(&self.code);
        let crc = crc32c::crc32c(&bytes[..36]);
        bytes[36..40].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a proof; whether its code is right is another question.
    pub fn decode(bytes: &[u8; PROOF_BYTES]) -> Result<Proof, FrameError> {
        if u32_at(bytes, 36) != crc32c::crc32c(&bytes[..36]) {
            return Err(FrameError::Checksum);
        }
        let verdict = Verdict::ALL.into_iter().find(|verdict| verdict.number() == bytes[0]);
        let verdict = verdict.ok_or(FrameError::Senseless)?;
        let code = bytes[4..36].try_into().expect("thirty-two bytes");
        if bytes[1..4] != [0; 3] || (verdict != Verdict::Welcome && code != [0; CODE_BYTES]) {
            return Err(FrameError::Senseless);
        }
        Ok(Proof { verdict, code })
    }
}

impl Header {
    /// The header for `payload`, the whole message.
    pub fn for_payload(kind: Kind, call: u64, timeout_us: u32, number: u32, payload: &[u8]) -> Header {
        assert!(kind.carries_message() || payload.is_empty());
        Header::new(kind, call, timeout_us, number, payload)
    }

    /// The header for a part that is not the last.
    pub fn for_part(number: u32, part: &[u8]) -> Header {
        assert!(!part.is_empty(), "an empty part says nothing");
        Header::new(Kind::Part, 0, 0, number, part)
    }

    /// The header for the last part.
    pub fn for_last_part(kind: Kind, call: u64, timeout_us: u32, number: u32, part: &[u8]) -> Header {
        assert!(kind.carries_message() && !part.is_empty());
        Header { joined: true, ..Header::new(kind, call, timeout_us, number, part) }
    }

    fn new(kind: Kind, call: u64, timeout_us: u32, number: u32, payload: &[u8]) -> Header {
        assert!(payload.len() <= PAYLOAD_BYTES_MAX, "a frame of {} bytes must not be sent", payload.len());
        let length = u32::try_from(payload.len()).expect("PAYLOAD_BYTES_MAX fits u32");
        let payload_crc = crc32c::crc32c(payload);
        Header { kind, joined: false, call, timeout_us, length, payload_crc, number }
    }

    /// Its bytes.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..4].copy_from_slice(&self.length.to_le_bytes());
        bytes[4] = self.kind.number();
        bytes[5] = if self.joined { JOINED } else { 0 };
        bytes[8..16].copy_from_slice(&self.call.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.timeout_us.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.payload_crc.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.number.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..28]);
        bytes[28..32].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header; its length is within bounds afterwards.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Header, FrameError> {
        if u32_at(bytes, 28) != crc32c::crc32c(&bytes[..28]) {
            return Err(FrameError::Checksum);
        }
        let length = u32_at(bytes, 0);
        if length as usize > PAYLOAD_BYTES_MAX {
            return Err(FrameError::TooLong { length });
        }
        let kind = Kind::ALL.into_iter().find(|kind| kind.number() == bytes[4]);
        let header = Header {
            kind: kind.ok_or(FrameError::Senseless)?,
            joined: bytes[5] == JOINED,
            call: u64_at(bytes, 8),
            timeout_us: u32_at(bytes, 16),
            length,
            payload_crc: u32_at(bytes, 20),
            number: u32_at(bytes, 24),
        };
        let reserved = bytes[5] > JOINED || bytes[6..8] != [0; 2];
        if reserved || !header.makes_sense() { Err(FrameError::Senseless) } else { Ok(header) }
    }

    fn makes_sense(&self) -> bool {
        let is_part = self.kind == Kind::Part;
        let payload = self.length == 0 || self.kind.carries_message() || is_part;
        let part = self.length > 0 || !(is_part || self.joined);
        let joined = !self.joined || self.kind.carries_message();
        let call = self.call == 0 || self.kind.belongs_to_call();
        let timeout = self.timeout_us == 0 || self.kind == Kind::Request;
        payload && part && joined && call && timeout
    }

    /// Whether `payload` is what the header was made for.
    pub fn check(&self, payload: &[u8]) -> Result<(), FrameError> {
        let same = payload.len() == self.length as usize && crc32c::crc32c(payload) == self.payload_crc;
        if same { Ok(()) } else { Err(FrameError::Checksum) }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn u128_at(bytes: &[u8], at: usize) -> u128 {
    u128::from_le_bytes(bytes[at..at + 16].try_into().expect("sixteen bytes"))
}

#[cfg(test)]
mod tests;
