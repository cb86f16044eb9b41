//! The Bloom filter of a partition: at least 10 bits a key, 7 probes, about 0.8% false positives.
//!
//! A get of an absent key asks one filter per level and SSTable of level 0, and their false positives add up. So the levels
//! above the deepest one, which hold a small part of the keys, have larger filters (Dayan et al., "Monkey", SIGMOD 2017): with
//! 10 bits at the bottom, 16 in the level above and 20 further up, all together stay below 1%.
//!
//! Enhanced double hashing (Dillinger and Manolios, 2004) over one XXH3-64: the plain form repeats probe patterns, which
//! costs a measurable part of a percent in filters as small as ours.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Bits per key in the deepest level, in the one above it, and further up.
const BITS_BY_HEIGHT: [usize; 3] = [10, 16, 20];
/// A smaller filter would say yes to too much.
const BITS_MIN: usize = 64;

/// The hash of a key, seeded with the tree's identity so that nobody outside can aim at collisions.
pub(crate) fn hash(key: &[u8], identity: u64) -> u64 {
    xxh3_64_with_seed(key, identity)
}

/// Bits per key for an SSTable of `level` in a tree whose deepest level with anything in it is `deepest`.
///
/// Level 0 counts as high up wherever the bottom is: several of its SSTables may be asked for one key.
pub(crate) fn bits_per_key(level: usize, deepest: usize) -> usize {
    let height = if level == 0 { BITS_BY_HEIGHT.len() - 1 } else { deepest.saturating_sub(level) };
    BITS_BY_HEIGHT[height.min(BITS_BY_HEIGHT.len() - 1)]
}

/// ln 2 times the bits per key, which lets through the fewest.
fn probe_count(bits_per_key: usize) -> u8 {
    let probes = (bits_per_key * 693 + 500) / 1000;
    u8::try_from(probes).expect("tens of bits per key")
}

/// Appends a filter over the keys with these hashes: probe count, then bits.
pub(crate) fn build(hashes: &[u64], bits_per_key: usize, out: &mut Vec<u8>) {
    let probe_count = probe_count(bits_per_key);
    let size = (hashes.len() * bits_per_key).max(BITS_MIN).div_ceil(8);
    out.push(probe_count);
    let start = out.len();
    out.resize(start + size, 0);
    let bits = &mut out[start..];
    for &hash in hashes {
        for place in probes(hash, probe_count, size * 8) {
            bits[place / 8] |= 1 << (place % 8);
        }
    }
}

/// Bytes of a filter over `keys` keys.
pub(crate) fn size(keys: usize, bits_per_key: usize) -> usize {
    1 + (keys * bits_per_key).max(BITS_MIN).div_ceil(8)
}

/// Whether the key with `hash` may be among those of `filter`; an empty filter says yes.
pub(crate) fn may_contain(filter: &[u8], hash: u64) -> bool {
    let Some((&count, bits)) = filter.split_first() else { return true };
    bits.is_empty()
        || probes(hash, count, bits.len() * 8).all(|place| bits[place / 8] & (1 << (place % 8)) != 0)
}

fn probes(hash: u64, count: u8, bits: usize) -> impl Iterator<Item = usize> {
    let (mut a, mut b) = (hash as u32, (hash >> 32) as u32);
    (0..u32::from(count)).map(move |i| {
        let place = (u64::from(a) * bits as u64) >> 32;
        a = a.wrapping_add(b);
        b = b.wrapping_add(i);
        place as usize
    })
}
