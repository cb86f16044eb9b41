//! Blocks of an SSTable: sorted blocks, partitions, and the envelope that they are stored in.

/// The first byte says which envelope: 0 to 2 are its kinds of compression, then the size it claims; else the bytes
/// are the block itself.
pub fn run(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    match (kind, rest.split_first_chunk::<4>()) {
        (0..=2, Some((size, body))) => lsm::fuzzing::stored_block(body, *kind, u32::from_le_bytes(*size)),
        _ => lsm::fuzzing::block(rest),
    }
}
