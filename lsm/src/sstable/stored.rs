//! The envelope of a block: compression and a checksum that knows file and place.

use std::cell::RefCell;
use std::io;

use super::{Handle, Seal};
use crate::tree::options::Compression;

/// Bytes behind the body: kind, raw size, checksum.
pub(crate) const TRAILER_BYTES: usize = 9;
/// Largest block before compression, in bytes: one entry with the largest key and value fits twice over.
pub(crate) const RAW_BYTES_MAX: usize = 4 << 20;
const _: () = assert!(RAW_BYTES_MAX > crate::batch::VALUE_BYTES_MAX + crate::batch::KEY_BYTES_MAX + 4096);

/// Zstandard's level: 3 is its default, the knee of the curve.
const ZSTD_LEVEL: i32 = 3;

const KIND_NONE: u8 = 0;
const KIND_LZ4: u8 = 1;
const KIND_ZSTD: u8 = 2;

/// Seals blocks for one file. Keeps its compression state and scratch memory between blocks.
pub(crate) struct Sealer {
    compression: Compression,
    zstd: Option<zstd::bulk::Compressor<'static>>,
    scratch: Vec<u8>,
}

impl Sealer {
    pub(crate) fn new(compression: Compression) -> io::Result<Sealer> {
        let zstd = match compression {
            Compression::Zstd => Some(zstd::bulk::Compressor::new(ZSTD_LEVEL)?),
            Compression::None | Compression::Lz4 => None,
        };
        Ok(Sealer { compression, zstd, scratch: Vec::new() })
    }

    /// The body of `raw` as it shall be stored, and its kind. Compression must save an eighth to be worth its reads.
    pub(crate) fn compress<'a>(&'a mut self, raw: &'a [u8]) -> (&'a [u8], u8) {
        assert!(raw.len() <= RAW_BYTES_MAX, "a block of {} bytes is over the limit", raw.len());
        let worth = raw.len() - raw.len() / 8;
        let (size, kind) = match self.compression {
            Compression::None => return (raw, KIND_NONE),
            Compression::Lz4 => {
                self.scratch.resize(lz4_flex::block::get_maximum_output_size(raw.len()), 0);
                (lz4_flex::block::compress_into(raw, &mut self.scratch).ok(), KIND_LZ4)
            }
            Compression::Zstd => {
                self.scratch.resize(zstd::zstd_safe::compress_bound(raw.len()), 0);
                let zstd = self.zstd.as_mut().expect("made with the sealer");
                (zstd.compress_to_buffer(raw, self.scratch.as_mut_slice()).ok(), KIND_ZSTD)
            }
        };
        match size {
            Some(size) if size <= worth => (&self.scratch[..size], kind),
            _ => (raw, KIND_NONE),
        }
    }
}

/// Appends a stored block that will lie at `offset`, and gives its handle.
pub(crate) fn seal(out: &mut Vec<u8>, seal: Seal, offset: u64, body: (&[u8], u8), raw_size: usize) -> Handle {
    let start = out.len();
    out.extend_from_slice(body.0);
    out.push(body.1);
    out.extend_from_slice(&(raw_size as u32).to_le_bytes());
    let checksum = checksum(seal, offset, &out[start..]);
    out.extend_from_slice(&checksum.to_le_bytes());
    Handle { offset, size: (out.len() - start) as u32, checksum }
}

fn checksum(seal: Seal, offset: u64, bytes: &[u8]) -> u32 {
    let mut place = [0; 24];
    place[..8].copy_from_slice(&seal.identity.to_le_bytes());
    place[8..16].copy_from_slice(&seal.file.to_le_bytes());
    place[16..].copy_from_slice(&offset.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&place), bytes)
}

/// Opens stored blocks. Keeps its decompression state between blocks.
#[derive(Default)]
pub(crate) struct Opener {
    /// A planted bug: checksums are not looked at.
    is_trusting: bool,
    zstd: RefCell<Option<zstd::bulk::Decompressor<'static>>>,
}

impl Opener {
    pub(crate) fn new(is_trusting: bool) -> Opener {
        Opener { is_trusting, ..Opener::default() }
    }

    /// Verifies the stored block that `handle` names and gives what was put in, in memory of its own.
    pub(crate) fn open(&self, stored: &[u8], seal: Seal, handle: Handle) -> Result<Box<[u8]>, &'static str> {
        assert_eq!(stored.len(), handle.size as usize, "the caller cuts the block by its handle");
        if stored.len() < TRAILER_BYTES {
            return Err("a block that is shorter than its trailer");
        }
        let (covered, found) = stored.split_at(stored.len() - 4);
        if found != handle.checksum.to_le_bytes() && !self.is_trusting {
            return Err("the block's checksum is not the one in its index");
        }
        if checksum(seal, handle.offset, covered) != handle.checksum && !self.is_trusting {
            return Err("the block's checksum does not match its bytes");
        }
        let (body, trailer) = covered.split_at(covered.len() - 5);
        let raw_size = u32::from_le_bytes(trailer[1..].try_into().expect("four bytes")) as usize;
        if raw_size > RAW_BYTES_MAX {
            return Err("a block that says it is over the limit");
        }
        self.decompress(body, trailer[0], raw_size)
    }

    fn decompress(&self, body: &[u8], kind: u8, raw_size: usize) -> Result<Box<[u8]>, &'static str> {
        if kind == KIND_NONE {
            return if body.len() == raw_size {
                Ok(body.into())
            } else {
                Err("a block of another size than it says")
            };
        }
        let mut raw = vec![0; raw_size];
        let size = match kind {
            KIND_LZ4 => lz4_flex::block::decompress_into(body, &mut raw).ok(),
            KIND_ZSTD => self.unzstd(body, &mut raw),
            _ => return Err("a kind of compression that is not known"),
        };
        if size == Some(raw_size) { Ok(raw.into()) } else { Err("a block that does not decompress") }
    }

    fn unzstd(&self, body: &[u8], raw: &mut [u8]) -> Option<usize> {
        let mut zstd = self.zstd.borrow_mut();
        if zstd.is_none() {
            *zstd = zstd::bulk::Decompressor::new().ok();
        }
        zstd.as_mut()?.decompress_to_buffer(body, raw).ok()
    }
}
