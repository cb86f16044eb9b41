//! What the tree stores under a key: a version byte, the stamp of the write, and the bytes of an item or record.

use crate::clock::Stamp;

/// Bytes before the item.
pub const STORED_HEADER_BYTES: usize = 9;

const VERSION: u8 = 1;

/// The bytes before the item of a write at `stamp`.
pub fn header(stamp: Stamp) -> [u8; STORED_HEADER_BYTES] {
    let mut header = [VERSION; STORED_HEADER_BYTES];
    header[1..].copy_from_slice(&stamp.0.to_le_bytes());
    header
}

/// The stamp and the item's bytes of a stored value; none when it is not of this version.
pub fn open(value: &[u8]) -> Option<(Stamp, &[u8])> {
    let (header, item) = value.split_first_chunk::<STORED_HEADER_BYTES>()?;
    let stamp = Stamp(u64::from_le_bytes(header[1..].try_into().expect("eight bytes")));
    (header[0] == VERSION).then_some((stamp, item))
}
