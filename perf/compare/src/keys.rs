//! The keys and values that all engines see.

/// Bytes of a key: a prefix as of one table, eight bytes of chance, the index.
pub const KEY_BYTES: usize = 24;
/// A key.
pub type Key = [u8; KEY_BYTES];

/// Bytes that values are cut from. Nothing repeats within any block, so that compression would not help anyone.
const POOL_BYTES: usize = 1 << 20;

/// The key of `index`: neighbours in index are strangers in order.
pub fn key(index: u64) -> Key {
    let mut key = *b"compare\0................";
    key[8..16].copy_from_slice(&mix(index).to_be_bytes());
    key[16..].copy_from_slice(&index.to_be_bytes());
    key
}

/// SplitMix64's step.
pub fn mix(index: u64) -> u64 {
    let mut z = index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Where values come from.
pub struct Values {
    pool: Vec<u8>,
    size: usize,
}

impl Values {
    /// Values of `size` bytes, at least 8.
    pub fn new(size: usize) -> Values {
        assert!((8..POOL_BYTES / 2).contains(&size));
        let words = (0..POOL_BYTES as u64 / 8).flat_map(|word| mix(word ^ 0x5EED).to_le_bytes());
        Values { pool: words.collect(), size }
    }

    /// Writes the value of `index` into `value`.
    pub fn fill(&self, index: u64, value: &mut Vec<u8>) {
        let offset = mix(!index) as usize % (POOL_BYTES - self.size);
        value.clear();
        value.extend_from_slice(&index.to_le_bytes());
        value.extend_from_slice(&self.pool[offset..offset + self.size - 8]);
    }

    /// Whether `value` may be what was written under `index`: its size and its first bytes.
    pub fn is_of(&self, index: u64, value: &[u8]) -> bool {
        value.len() == self.size && value[..8] == index.to_le_bytes()
    }
}

/// Puts that are written together.
#[derive(Default)]
pub struct Entries {
    keys: Vec<Key>,
    values: Vec<u8>,
    value: Vec<u8>,
}

impl Entries {
    /// The entries of these indexes, in place of those before.
    pub fn fill(&mut self, values: &Values, indexes: impl Iterator<Item = u64>) {
        self.keys.clear();
        self.values.clear();
        for index in indexes {
            values.fill(index, &mut self.value);
            self.keys.push(key(index));
            self.values.extend_from_slice(&self.value);
        }
    }

    /// Keys and values.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &[u8])> {
        let size = self.values.len() / self.keys.len().max(1);
        self.keys.iter().zip(self.values.chunks_exact(size.max(1)))
    }
}

/// Random numbers that are the same in each run and different in each lane.
pub struct Dice(u64);

impl Dice {
    /// The dice of one lane.
    pub fn new(lane: u64) -> Dice {
        Dice(mix(lane ^ 0xD1CE))
    }

    /// From 0 up to and without `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(1);
        ((u128::from(mix(self.0)) * u128::from(bound)) >> 64) as u64
    }

    /// From 0 up to and without 1.
    pub fn unit(&mut self) -> f64 {
        self.below(1 << 53) as f64 / (1_u64 << 53) as f64
    }
}

/// Zipf's law with exponent 0.99 over `count` keys, popular ones scattered over the order of keys. Source: Gray et al.,
/// "Quickly generating billion-record synthetic databases", SIGMOD 1994, as YCSB uses it.
#[derive(Clone, Copy)]
pub struct Zipf {
    count: u64,
    zeta: f64,
    alpha: f64,
    eta: f64,
}

const THETA: f64 = 0.99;

impl Zipf {
    /// Sums up `count` terms.
    pub fn new(count: u64) -> Zipf {
        let zeta: f64 = (1..=count).map(|rank| (rank as f64).powf(-THETA)).sum();
        let two: f64 = 1.0 + 0.5_f64.powf(THETA);
        let eta = (1.0 - (2.0 / count as f64).powf(1.0 - THETA)) / (1.0 - two / zeta);
        Zipf { count, zeta, alpha: 1.0 / (1.0 - THETA), eta }
    }

    /// An index; low ones are popular, and their keys are scattered already.
    pub fn draw(&self, dice: &mut Dice) -> u64 {
        let unit = dice.unit();
        let scaled = unit * self.zeta;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < 1.0 + 0.5_f64.powf(THETA) {
            return 1;
        }
        let rank = self.count as f64 * (self.eta * unit - self.eta + 1.0).powf(self.alpha);
        (rank as u64).min(self.count - 1)
    }
}
