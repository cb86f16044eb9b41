//! Scrubbing: how fast, and where it had got to. Pure; `tree::scrubber` does it.
//!
//! Bits rot where nobody looks. So everything is read once in a *pass*, in the order of file ids, and what has been written since
//! the pass began waits for the next one. A pass takes as long as it may (ten days by default), or less: small trees are
//! done at the least rate and rest until the next pass is due. Where a pass stands is written down, so that a restart goes on there.

#[cfg(test)]
mod tests;

use std::time::Duration;

use runtime::{BLOCK_BYTES, Wall};

const MAGIC: &[u8; 8] = b"torcSCR\0";
const VERSION: u32 = 1;
const FIELDS_BYTES: usize = 60;
const CHECKSUM_AT: usize = FIELDS_BYTES;

/// The file in a tree's directory that holds the [`Position`].
pub(crate) const FILE_NAME: &str = "scrub";

/// Where a pass stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Passes that are over.
    pub(crate) passes: u64,
    /// When this one began.
    pub(crate) began: Wall,
    /// The first file id that this pass has not looked at.
    pub(crate) next: u64,
    /// The first file id that belongs to the next pass.
    pub(crate) end: u64,
    /// Bytes that this pass has read.
    pub(crate) bytes: u64,
}

impl Position {
    /// The position as the one block of its file.
    pub(crate) fn encode(&self, identity: u64) -> [u8; BLOCK_BYTES] {
        let mut block = [0; BLOCK_BYTES];
        block[..8].copy_from_slice(MAGIC);
        block[8..12].copy_from_slice(&VERSION.to_le_bytes());
        let numbers = [identity, self.passes, self.began.0, self.next, self.end, self.bytes];
        for (place, number) in block[12..FIELDS_BYTES].chunks_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let checksum = crc32c::crc32c(&block[..CHECKSUM_AT]);
        block[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&checksum.to_le_bytes());
        block
    }

    /// Reads a block; none if it is not a position of this tree: then a pass begins anew, and nothing is lost.
    pub(crate) fn decode(block: &[u8], identity: u64) -> Option<Position> {
        let fields = block.get(..FIELDS_BYTES)?;
        let checksum = block.get(CHECKSUM_AT..CHECKSUM_AT + 4)?;
        let sound = fields[..8] == *MAGIC
            && fields[8..12] == VERSION.to_le_bytes()
            && *checksum == crc32c::crc32c(fields).to_le_bytes();
        let number = |index: usize| {
            let at = 12 + index * 8;
            u64::from_le_bytes(fields[at..at + 8].try_into().expect("eight bytes"))
        };
        let position = Position {
            passes: number(1),
            began: Wall(number(2)),
            next: number(3),
            end: number(4),
            bytes: number(5),
        };
        (sound && number(0) == identity).then_some(position)
    }
}

/// Bytes a second for a tree of so many bytes, so that a pass takes at most `pass`.
pub(crate) fn pace(tree_bytes: u64, pass: Duration, least: u64) -> u64 {
    (tree_bytes / pass.as_secs().max(1)).max(least).max(1)
}

/// How long reading so many bytes is to take.
pub(crate) fn time(bytes: u64, bytes_per_second: u64) -> Duration {
    let rate = bytes_per_second.max(1);
    let nanos = u128::from(bytes % rate) * 1_000_000_000 / u128::from(rate);
    Duration::new(bytes / rate, nanos as u32)
}

/// How long the scrubber rests before its next pass.
pub(crate) fn rest(position: &Position, pass: Duration, now: Wall) -> Duration {
    let since = Duration::from_micros(now.0.saturating_sub(position.began.0));
    pass.saturating_sub(since)
}
