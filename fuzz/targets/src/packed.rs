//! Packed bodies: the first byte chooses the coding, the rest is packed, or pretends to be.
//!
//! Unpacking never takes more than it may, and what it gives comes back from packing it again.

use router::http::coding::{Coding, Packer, Unpacker};

const BODY_BYTES_MAX: usize = 2 << 20;

/// Unpacks the bytes; packs them, too.
pub fn run(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let coding = if first % 2 == 0 { Coding::Gzip } else { Coding::Deflate };
    if let Some(bytes) = unpacked(coding, rest) {
        assert!(unpacked(coding, &packed(coding, &bytes)) == Some(bytes), "it comes back");
    }
    assert!(unpacked(coding, &packed(coding, rest)).as_deref() == Some(rest), "any bytes may be packed");
}

fn unpacked(coding: Coding, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut unpacker = Unpacker::new(coding, bytes, BODY_BYTES_MAX);
    let mut out = Vec::new();
    while !unpacker.piece(&mut out).ok()? {
        assert!(out.len() <= BODY_BYTES_MAX);
    }
    assert!(out.len() <= (1 << 20).max(100 * bytes.len()), "{} from {}", out.len(), bytes.len());
    Some(out)
}

fn packed(coding: Coding, bytes: &[u8]) -> Vec<u8> {
    let mut packer = Packer::new(coding);
    while !packer.piece(bytes) {}
    packer.finish()
}
