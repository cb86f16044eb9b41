//! The bytes between processes: a hello each way, then frames. Pure: no I/O here.
//!
//! ```text
//! hello (64 bytes) | frame | frame | ...        frame = header (32 bytes) | payload
//! ```
//!
//! 1. Both ends send a [`Hello`] first: magic, version, cluster, who speaks, and a checksum.
//! 2. Then each sends frames. The header has its own checksum, so that a damaged length is noticed before anybody
//!    waits for that many bytes; the payload has another.
//!
//! Promises: a reader spends memory only after the length was checked; nothing that fails a check is looked at.
//! Leaves to others: reading and writing (`session`), what a payload says (`message`).
//!
//! docs/WIRE.md, "Frames", describes the bytes.

use crate::message::MESSAGE_BYTES_MAX;

/// The first eight bytes of every connection between processes.
pub const MAGIC: [u8; 8] = *b"torcwire";

/// The version of hello, frames and messages. Both ends must speak the same.
pub const WIRE_VERSION: u16 = 1;

/// Bytes of a hello.
pub const HELLO_BYTES: usize = 64;

/// Bytes of a frame's header.
pub const HEADER_BYTES: usize = 32;

/// Who speaks, and to which cluster it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The cluster's id, drawn when it was founded.
    pub cluster: u128,
    /// The node's id, drawn when its directory was made.
    pub node: u128,
    /// The shard that speaks.
    pub shard: u16,
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
}

impl Kind {
    fn number(self) -> u8 {
        match self {
            Kind::Request => 1,
            Kind::Reply => 2,
            Kind::Busy => 3,
            Kind::NotServing => 4,
            Kind::Ping => 5,
            Kind::Pong => 6,
        }
    }

    fn from_number(number: u8) -> Option<Kind> {
        [Kind::Request, Kind::Reply, Kind::Busy, Kind::NotServing, Kind::Ping, Kind::Pong]
            .into_iter()
            .find(|kind| kind.number() == number)
    }

    fn carries_payload(self) -> bool {
        matches!(self, Kind::Request | Kind::Reply)
    }
}

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub kind: Kind,
    /// The call that it belongs to; 0 for ping and pong.
    pub call: u64,
    /// Microseconds that the caller still waits; only for requests.
    pub timeout_us: u32,
    /// Bytes of the payload.
    pub length: u32,
    /// CRC-32C of the payload.
    pub payload_crc: u32,
}

/// What is wrong with bytes from another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// It does not speak torc's protocol at all.
    NotTorc,
    /// It speaks another version.
    Version {
        /// The other end's version.
        theirs: u16,
    },
    /// It belongs to another cluster.
    Cluster {
        /// The other end's cluster id.
        theirs: u128,
    },
    /// A checksum does not match: the bytes changed on their way.
    Checksum,
    /// A payload of more than `MESSAGE_BYTES_MAX`.
    TooLong {
        /// Its bytes.
        length: u32,
    },
    /// A kind of frame that this version does not know, or a frame that makes no sense.
    Senseless,
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FrameError::NotTorc => f.write_str("the other end does not speak torc's protocol"),
            FrameError::Version { theirs } => {
                write!(f, "the other end speaks wire version {theirs}, this one {WIRE_VERSION}")
            }
            FrameError::Cluster { theirs } => write!(f, "the other end belongs to cluster {theirs:032x}"),
            FrameError::Checksum => f.write_str("a checksum does not match: bytes changed on their way"),
            FrameError::TooLong { length } => {
                write!(f, "a frame of {length} bytes, more than the {MESSAGE_BYTES_MAX} that are allowed")
            }
            FrameError::Senseless => f.write_str("a frame that makes no sense in this version"),
        }
    }
}

impl std::error::Error for FrameError {}

impl Hello {
    /// Its bytes.
    pub fn encode(&self) -> [u8; HELLO_BYTES] {
        let mut bytes = [0; HELLO_BYTES];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&WIRE_VERSION.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.shard.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.cluster.to_le_bytes());
        bytes[32..48].copy_from_slice(&self.node.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a hello from `cluster`'s point of view.
    pub fn decode(bytes: &[u8; HELLO_BYTES], cluster: u128) -> Result<Hello, FrameError> {
        if bytes[0..8] != MAGIC {
            return Err(FrameError::NotTorc);
        }
        // The version comes before the checksum: a later version may lay out the rest otherwise.
        let theirs = u16_at(bytes, 8);
        if theirs != WIRE_VERSION {
            return Err(FrameError::Version { theirs });
        }
        if u32_at(bytes, 60) != crc32c::crc32c(&bytes[..60]) {
            return Err(FrameError::Checksum);
        }
        if bytes[12..16] != [0; 4] || bytes[48..60] != [0; 12] {
            return Err(FrameError::Senseless);
        }
        let hello = Hello { cluster: u128_at(bytes, 16), node: u128_at(bytes, 32), shard: u16_at(bytes, 10) };
        if hello.cluster != cluster {
            return Err(FrameError::Cluster { theirs: hello.cluster });
        }
        Ok(hello)
    }
}

impl Header {
    /// The header for `payload`.
    pub fn for_payload(kind: Kind, call: u64, timeout_us: u32, payload: &[u8]) -> Header {
        assert!(payload.len() <= MESSAGE_BYTES_MAX, "a message of {} bytes must not be sent", payload.len());
        assert!(kind.carries_payload() || payload.is_empty());
        let length = u32::try_from(payload.len()).expect("MESSAGE_BYTES_MAX fits u32");
        Header { kind, call, timeout_us, length, payload_crc: crc32c::crc32c(payload) }
    }

    /// Its bytes.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..4].copy_from_slice(&self.length.to_le_bytes());
        bytes[4] = self.kind.number();
        bytes[8..16].copy_from_slice(&self.call.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.timeout_us.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.payload_crc.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..28]);
        bytes[28..32].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header; its length is within bounds afterwards.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Header, FrameError> {
        if u32_at(bytes, 28) != crc32c::crc32c(&bytes[..28]) {
            return Err(FrameError::Checksum);
        }
        let kind = Kind::from_number(bytes[4]).ok_or(FrameError::Senseless)?;
        let header = Header {
            kind,
            call: u64::from_le_bytes(bytes[8..16].try_into().expect("eight bytes")),
            timeout_us: u32_at(bytes, 16),
            length: u32_at(bytes, 0),
            payload_crc: u32_at(bytes, 20),
        };
        if header.length as usize > MESSAGE_BYTES_MAX {
            return Err(FrameError::TooLong { length: header.length });
        }
        let reserved = bytes[5..8] != [0; 3] || bytes[24..28] != [0; 4];
        if reserved || (header.length > 0 && !kind.carries_payload()) {
            return Err(FrameError::Senseless);
        }
        Ok(header)
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

fn u128_at(bytes: &[u8], at: usize) -> u128 {
    u128::from_le_bytes(bytes[at..at + 16].try_into().expect("sixteen bytes"))
}

#[cfg(test)]
mod tests;
