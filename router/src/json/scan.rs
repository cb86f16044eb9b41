//! How far a JSON string goes on without anything special in it.
//!
//! Most of a body is strings, and most strings are short names or long values without escapes. So the first eight bytes
//! are looked at as one number, which is all that a name takes, and the rest in blocks that the compiler makes vector
//! code of. A byte is special if it is a quote, a backslash or a control character.

const BLOCK_BYTES: usize = 32;
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Whether a JSON string cannot hold this byte as it is.
pub fn is_special(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// Bytes before the first special one; all of them if there is none.
#[inline]
pub fn plain_size(bytes: &[u8]) -> usize {
    match bytes.first_chunk() {
        Some(first) => match first_special(*first) {
            Some(at) => at,
            None => plain_size_long(bytes),
        },
        None => plain_size_short(bytes),
    }
}

/// Of bytes whose first word holds nothing special.
fn plain_size_long(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes[8..].as_chunks::<BLOCK_BYTES>();
    let plain_blocks = blocks.iter().take_while(|block| !has_special(block)).count();
    let mut size = 8 + plain_blocks * BLOCK_BYTES;
    let (words, rest) = bytes[size..].as_chunks();
    for word in words {
        if let Some(at) = first_special(*word) {
            return size + at;
        }
        size += 8;
    }
    if rest.is_empty() {
        return size;
    }
    // The last bytes are fewer than a word: it begins among those that were looked at.
    let last = bytes.last_chunk().expect("there is a first word");
    first_special(*last).map_or(bytes.len(), |at| bytes.len() - 8 + at)
}

/// Of fewer bytes than a word. The names of attributes are mostly of this kind.
fn plain_size_short(bytes: &[u8]) -> usize {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        // Two halves that may overlap: enough to see that there is nothing special.
        let word = u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32;
        if first_special(word.to_le_bytes()).is_none() {
            return bytes.len();
        }
    }
    bytes.iter().position(|byte| is_special(*byte)).unwrap_or(bytes.len())
}

/// Without an early exit the compiler makes vector code of this.
fn has_special(block: &[u8; BLOCK_BYTES]) -> bool {
    block.iter().fold(0, |found, byte| found | u8::from(is_special(*byte))) != 0
}

/// The first special byte of eight.
///
/// `(x - ONES) & !x & HIGH_BITS` marks the bytes of x that are 0, and perhaps some above the lowest such byte; the same with
/// 0x20 for 1 marks those below 0x20. The lowest mark is right, and that is the one asked for. Source: Henry Warren,
/// "Hacker's Delight", 6-1.
fn first_special(word: [u8; 8]) -> Option<usize> {
    let word = u64::from_le_bytes(word);
    let zeros = |x: u64| x.wrapping_sub(ONES) & !x;
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    let quotes = zeros(word ^ (ONES * u64::from(b'"')));
    let backslashes = zeros(word ^ (ONES * u64::from(b'\\')));
    let found = (controls | quotes | backslashes) & HIGH_BITS;
    (found != 0).then(|| found.trailing_zeros() as usize / 8)
}

#[cfg(test)]
mod tests;
