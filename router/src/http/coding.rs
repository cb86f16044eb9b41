//! Content codings: bodies that come packed, and answers that are packed because the client asked for it.
//!
//! ```text
//! Content-Encoding: gzip    body --inflate, a piece at a time--> what the API reads      (the signature is of the packed bytes)
//! Accept-Encoding: gzip     answer --deflate, a piece at a time--> what is sent          (x-amz-crc32 is of the packed bytes)
//! ```
//!
//! gzip (RFC 1952) and deflate (RFC 1950: with zlib's frame). A body is unpacked once its sender is known. Between two pieces others get their
//! turn; the memory is taken from the budget before it is used. A body that unpacks to far more than it is, or to more than a request may have, is
//! refused as too large.

use std::io::{self, Read, Write};
use std::ops::Deref;

use flate2::bufread::MultiGzDecoder;
use flate2::write::{GzEncoder, ZlibEncoder};
use flate2::{Compression, Decompress, FlushDecompress, Status};

use model::error::{ApiError, Code};
use runtime::Runtime;

use super::intake::Request;
use super::server::Budget;
use crate::Router;

/// Bytes that are unpacked or packed before others get their turn: about a quarter of a millisecond.
const PIECE_BYTES: usize = 32 << 10;

/// Smaller answers are sent as they are: packing them saves no packet.
pub const PACKED_BYTES_MIN: usize = 1 << 10;

/// A body may unpack to so much however small it was.
const UNPACKED_BYTES_FREE: usize = 1 << 20;
/// Beyond that it may unpack to so many times its size.
const RATIO_MAX: usize = 100;

/// How bytes are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coding {
    /// They are not.
    #[default]
    Identity,
    /// gzip
    Gzip,
    /// zlib, under its name in HTTP
    Deflate,
}

impl Coding {
    /// By its name in `Content-Encoding`.
    pub fn of(name: &[u8]) -> Option<Coding> {
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
        if name.is_empty() || is("identity") {
            Some(Coding::Identity)
        } else if is("gzip") || is("x-gzip") {
            Some(Coding::Gzip)
        } else if is("deflate") {
            Some(Coding::Deflate)
        } else {
            None
        }
    }

    /// What of `Accept-Encoding` is best: by weight, gzip before deflate. What it does not name is not used.
    pub fn accepted(list: &[u8]) -> Coding {
        let mut best = (0, Coding::Identity);
        for part in list.split(|byte| *byte == b',') {
            let mut fields = part.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let name = fields.next().unwrap_or(b"");
            let weight = fields.find_map(weight_of).unwrap_or(1000);
            let coding = Coding::of(name).unwrap_or(Coding::Identity);
            let rank = match coding {
                Coding::Identity => 0,
                Coding::Deflate => 2 * weight,
                Coding::Gzip if weight > 0 => 2 * weight + 1,
                Coding::Gzip => 0,
            };
            if rank > best.0 {
                best = (rank, coding);
            }
        }
        best.1
    }

    /// Its name in `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Coding::Identity => "identity",
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
        }
    }
}

/// `q=0.5` in thousandths; what is no weight is none.
fn weight_of(field: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(field).ok()?;
    let number = text.strip_prefix("q=").or(text.strip_prefix("Q="))?;
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = part.bytes().chain(*b"000").take(3);
    let thousandths = digits.fold(0, |sum, digit| 10 * sum + u32::from(digit.wrapping_sub(b'0').min(9)));
    Some((whole.parse::<u32>().unwrap_or(0) * 1000 + thousandths).min(1000))
}

/// A body that was unpacked. Its memory goes back to the budget with it.
pub(crate) struct Unpacked<'b> {
    bytes: Vec<u8>,
    held: usize,
    budget: &'b Budget,
}

impl Deref for Unpacked<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Unpacked<'_> {
    fn drop(&mut self) {
        self.budget.release(self.held);
    }
}

/// The body as the API reads it, if it came packed.
pub(crate) async fn unpack<'r, R: Runtime>(
    router: &'r Router<R>,
    request: &Request<'_>,
) -> Result<Option<Unpacked<'r>>, ApiError> {
    if request.coding() == Coding::Identity || request.body.is_empty() {
        return Ok(None);
    }
    let mut unpacked = Unpacked { bytes: Vec::new(), held: 0, budget: &router.server.budget };
    let body_bytes_max = router.server.options.limits.body_bytes_max;
    let mut unpacker = Unpacker::new(request.coding(), request.body, body_bytes_max);
    loop {
        let more = Unpacker::room(&unpacked.bytes) - unpacked.held;
        if !unpacked.budget.reserve(more) {
            let message = "Too many bytes of requests are under way; try again.";
            return Err(ApiError::new(Code::ServiceUnavailable, message));
        }
        unpacked.held += more;
        match unpacker.piece(&mut unpacked.bytes) {
            Ok(true) => return Ok(Some(unpacked)),
            Ok(false) => (),
            Err(Rejected::Damaged) => return Err(ApiError::new(Code::Serialization, "")),
            Err(Rejected::TooLarge) => {
                return Err(ApiError::new(Code::RequestEntityTooLarge, super::head::TOO_LARGE.why));
            }
        }
        if router.rt.should_yield() {
            router.rt.yield_now().await;
        }
    }
}

/// Why a body cannot be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// It is not what its coding says.
    Damaged,
    /// It is more than a request may have, or far more than it was.
    TooLarge,
}

/// A body that is being unpacked.
pub struct Unpacker<'a> {
    decoder: Decoder<'a>,
    packed_bytes: usize,
    body_bytes_max: usize,
}

enum Decoder<'a> {
    Gzip(MultiGzDecoder<&'a [u8]>),
    Deflate(Inflate<'a>),
}

/// A zlib stream. flate2's own reader takes one that was cut off for one that has ended.
struct Inflate<'a> {
    state: Decompress,
    rest: &'a [u8],
    ended: bool,
}

impl Inflate<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let broken = || io::Error::from(io::ErrorKind::InvalidData);
        if self.ended {
            // Something behind the end is no part of the body, and not nothing either.
            return if self.rest.is_empty() { Ok(0) } else { Err(broken()) };
        }
        let (taken, made) = (self.state.total_in(), self.state.total_out());
        let status = self.state.decompress(self.rest, room, FlushDecompress::None).map_err(|_| broken())?;
        let size = |count: u64| usize::try_from(count).expect("no more than there is");
        let (taken, made) = (size(self.state.total_in() - taken), size(self.state.total_out() - made));
        self.rest = &self.rest[taken..];
        self.ended = status == Status::StreamEnd;
        if taken == 0 && made == 0 && !self.ended { Err(broken()) } else { Ok(made) }
    }

    /// Whether the next read of nothing is the end.
    fn is_over(&self) -> bool {
        self.ended && self.rest.is_empty()
    }
}

impl<'a> Unpacker<'a> {
    /// For a packed body that may have `body_bytes_max` unpacked.
    pub fn new(coding: Coding, packed: &'a [u8], body_bytes_max: usize) -> Unpacker<'a> {
        let decoder = match coding {
            Coding::Gzip => Decoder::Gzip(MultiGzDecoder::new(packed)),
            Coding::Deflate => {
                Decoder::Deflate(Inflate { state: Decompress::new(true), rest: packed, ended: false })
            }
            Coding::Identity => panic!("what is not packed needs no unpacking"),
        };
        Unpacker { decoder, packed_bytes: packed.len(), body_bytes_max }
    }

    /// Room for one piece more: as much as `out` will have after the next [`Unpacker::piece`].
    pub fn room(out: &[u8]) -> usize {
        out.len() + PIECE_BYTES
    }

    /// Unpacks one piece more behind `out`; true at the end.
    pub fn piece(&mut self, out: &mut Vec<u8>) -> Result<bool, Rejected> {
        let before = out.len();
        out.resize(Unpacker::room(out), 0);
        let mut filled = before;
        while filled < out.len() {
            match self.decoder.read(&mut out[filled..]) {
                Ok(0) if self.decoder.is_over() => break,
                Ok(size) => filled += size,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(_) => return Err(Rejected::Damaged),
            }
        }
        let is_end = filled < out.len();
        out.truncate(filled);
        let free = UNPACKED_BYTES_FREE.max(self.packed_bytes.saturating_mul(RATIO_MAX));
        if filled > self.body_bytes_max.min(free) {
            return Err(Rejected::TooLarge);
        }
        Ok(is_end)
    }
}

impl Decoder<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Decoder::Gzip(decoder) => decoder.read(room),
            Decoder::Deflate(decoder) => decoder.read(room),
        }
    }

    /// Whether a read of nothing was the end.
    fn is_over(&self) -> bool {
        match self {
            Decoder::Gzip(_) => true,
            Decoder::Deflate(decoder) => decoder.is_over(),
        }
    }
}

/// An answer that is being packed. Level 1: the network between is fast, or the client would not ask a database for large pages.
pub struct Packer {
    encoder: Encoder,
    taken: usize,
}

enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Deflate(ZlibEncoder<Vec<u8>>),
}

const INFALLIBLE: &str = "a Vec takes every byte";

impl Packer {
    /// For bytes of this coding.
    pub fn new(coding: Coding) -> Packer {
        let encoder = match coding {
            Coding::Gzip => Encoder::Gzip(GzEncoder::new(Vec::new(), Compression::fast())),
            Coding::Deflate => Encoder::Deflate(ZlibEncoder::new(Vec::new(), Compression::fast())),
            Coding::Identity => panic!("what is not to be packed needs no packing"),
        };
        Packer { encoder, taken: 0 }
    }

    /// Packs one piece more of `bytes`, the same at each call; true at the end.
    pub fn piece(&mut self, bytes: &[u8]) -> bool {
        let rest = &bytes[self.taken..];
        let piece = &rest[..rest.len().min(PIECE_BYTES)];
        match &mut self.encoder {
            Encoder::Gzip(encoder) => encoder.write_all(piece),
            Encoder::Deflate(encoder) => encoder.write_all(piece),
        }
        .expect(INFALLIBLE);
        self.taken += piece.len();
        self.taken == bytes.len()
    }

    /// The packed bytes.
    pub fn finish(self) -> Vec<u8> {
        match self.encoder {
            Encoder::Gzip(encoder) => encoder.finish(),
            Encoder::Deflate(encoder) => encoder.finish(),
        }
        .expect(INFALLIBLE)
    }
}

#[cfg(test)]
mod tests;
