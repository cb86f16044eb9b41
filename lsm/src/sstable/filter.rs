//! The Bloom filter of a partition: 10 bits a key, 7 probes, about 0.8% false positives.
//!
//! Enhanced double hashing (Dillinger and Manolios, 2004) over one XXH3-64: the plain form repeats probe patterns, which
//! costs a measurable part of a percent in filters as small as ours.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Bits per key.
const BITS_PER_KEY: usize = 10;
/// ln 2 times the bits per key.
const PROBES: u8 = 7;
/// A smaller filter would say yes to too much.
const BITS_MIN: usize = 64;

/// The hash of a key, seeded with the tree's identity so that nobody outside can aim at collisions.
pub(crate) fn hash(key: &[u8], identity: u64) -> u64 {
    xxh3_64_with_seed(key, identity)
}

/// Appends a filter over the keys with these hashes: probe count, then bits.
pub(crate) fn build(hashes: &[u64], out: &mut Vec<u8>) {
    let size = (hashes.len() * BITS_PER_KEY).max(BITS_MIN).div_ceil(8);
    out.push(PROBES);
    let start = out.len();
    out.resize(start + size, 0);
    let bits = &mut out[start..];
    for &hash in hashes {
        for place in probes(hash, PROBES, size * 8) {
            bits[place / 8] |= 1 << (place % 8);
        }
    }
}

/// Bytes of a filter over `keys` keys.
pub(crate) fn size(keys: usize) -> usize {
    1 + (keys * BITS_PER_KEY).max(BITS_MIN).div_ceil(8)
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
