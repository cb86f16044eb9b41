//! Which key is next: a small seeded generator of chance, and the shapes that key popularity takes.
//!
//! Nothing here asks the world: all of it follows from the seed, so that a run can be repeated.

/// A small generator of chance (SplitMix64; Steele, Lea and Flood 2014). Fast, seeded, not for secrets.
#[derive(Clone, Debug)]
pub struct Chance {
    state: u64,
}

impl Chance {
    /// A generator of the stream `stream` under `seed`; streams of one seed are independent of each other.
    pub fn new(seed: u64, stream: u64) -> Chance {
        Chance { state: mix(seed ^ mix(stream.wrapping_add(0x9E37_79B9_7F4A_7C15))) }
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.state)
    }

    /// A number from 0 to `count` less 1. The bias of the multiplication is below 2^-32 for the counts used here.
    pub fn below(&mut self, count: u64) -> u64 {
        assert!(count > 0, "nothing to choose from");
        ((u128::from(self.draw()) * u128::from(count)) >> 64) as u64
    }

    /// A number in [0, 1), 53 bits of it.
    pub fn unit(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Spreads the bits of `value` over all 64: the finalizer of SplitMix64, a bijection.
pub fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// The shape of key popularity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Choice {
    /// All keys alike.
    Uniform,
    /// The key of rank k comes up in proportion to 1 / k^skew; which key has which rank is drawn like a card from a pack.
    Zipf {
        /// Above 0; YCSB uses 0.99.
        skew: f64,
    },
    /// As Zipf, and the newest key has rank 1.
    Latest {
        /// Above 0; YCSB uses 0.99.
        skew: f64,
    },
    /// Few keys have most of the operations, all of them alike; the others share the rest.
    HotSet {
        /// Percent of the keys that are hot: above 0, below 100.
        keys_percent: f64,
        /// Percent of the operations that go to them: 0 to 100.
        operations_percent: f64,
    },
}

/// Draws keys from 0 to a count less 1.
#[derive(Clone, Debug)]
pub struct Chooser {
    count: u64,
    shape: Shape,
}

#[derive(Clone, Debug)]
enum Shape {
    Uniform,
    Zipf(Zipf),
    Latest(Zipf),
    HotSet { hot_count: u64, chance: f64 },
}

impl Chooser {
    /// Over `count` keys, at least 1.
    pub fn new(choice: Choice, count: u64) -> Chooser {
        assert!(count > 0, "nothing to choose from");
        let shape = match choice {
            Choice::Uniform => Shape::Uniform,
            Choice::Zipf { skew } => Shape::Zipf(Zipf::new(count, skew)),
            Choice::Latest { skew } => Shape::Latest(Zipf::new(count, skew)),
            Choice::HotSet { keys_percent, operations_percent } => {
                let hot_count = ((count as f64 * keys_percent / 100.0).ceil() as u64).clamp(1, count);
                Shape::HotSet { hot_count, chance: operations_percent / 100.0 }
            }
        };
        Chooser { count, shape }
    }

    /// The next key, when `added` keys came after those that were counted at first: only "latest" looks at them.
    pub fn next(&self, chance: &mut Chance, added: u64) -> u64 {
        let key = match &self.shape {
            Shape::Uniform => chance.below(self.count),
            Shape::Zipf(zipf) => shuffled(zipf.rank(chance) - 1, self.count),
            Shape::Latest(zipf) => return self.count + added - zipf.rank(chance),
            Shape::HotSet { hot_count, chance: hot } => {
                let cold_count = self.count - hot_count;
                let is_hot = cold_count == 0 || chance.unit() < *hot;
                let place =
                    if is_hot { chance.below(*hot_count) } else { hot_count + chance.below(cold_count) };
                shuffled(place, self.count)
            }
        };
        assert!(key < self.count, "key {key} of {}", self.count);
        key
    }
}

/// The place of card `place` in a pack of `count` that is always shuffled alike: popular keys are not neighbours, and no key is left out
/// (a hash would leave out a third of them).
///
/// Multiplying by an odd number and folding the upper half in are bijections of the numbers below a power of two; what falls
/// outside of the pack is shuffled on until it falls inside, after less than two rounds on average.
fn shuffled(place: u64, count: u64) -> u64 {
    let bits = u64::BITS - (count - 1).leading_zeros();
    let (mask, half) = (if bits == 64 { u64::MAX } else { (1 << bits) - 1 }, bits.div_ceil(2));
    let mut card = place;
    loop {
        for factor in [0x9E37_79B9_7F4A_7C15u64, 0xBF58_476D_1CE4_E5B9, 0x94D0_49BB_1331_11EB] {
            card = card.wrapping_mul(factor).wrapping_add(factor >> 32) & mask;
            card ^= card.checked_shr(half).unwrap_or(0);
        }
        if card < count {
            return card;
        }
    }
}

/// Zipf's law by rejection inversion (Hoermann and Derflinger 1996, "Rejection-inversion to generate variates from
/// monotone discrete distributions"): constant time and memory for any count, under 1.1 draws on average.
#[derive(Clone, Debug)]
struct Zipf {
    count: f64,
    skew: f64,
    integral_first: f64,
    integral_last: f64,
    shortcut: f64,
}

impl Zipf {
    fn new(count: u64, skew: f64) -> Zipf {
        assert!(skew > 0.0, "a skew of {skew}");
        let count = count as f64;
        Zipf {
            count,
            skew,
            integral_first: integral(1.5, skew) - 1.0,
            integral_last: integral(count + 0.5, skew),
            shortcut: 2.0 - integral_inverse(integral(2.5, skew) - density(2.0, skew), skew),
        }
    }

    /// A rank from 1 to the count.
    fn rank(&self, chance: &mut Chance) -> u64 {
        loop {
            let area = self.integral_last + chance.unit() * (self.integral_first - self.integral_last);
            let x = integral_inverse(area, self.skew);
            let rank = (x + 0.5).floor().clamp(1.0, self.count);
            let surely_inside = rank - x <= self.shortcut;
            if surely_inside || area >= integral(rank + 0.5, self.skew) - density(rank, self.skew) {
                return rank as u64;
            }
        }
    }
}

/// 1 / x^skew.
fn density(x: f64, skew: f64) -> f64 {
    (-skew * x.ln()).exp()
}

/// The integral of [`density`], up to a constant: (x^(1-skew) - 1) / (1 - skew), and ln x where skew is 1.
fn integral(x: f64, skew: f64) -> f64 {
    let log = x.ln();
    let t = (1.0 - skew) * log;
    let ratio = if t.abs() > 1e-8 { t.exp_m1() / t } else { 1.0 + t / 2.0 };
    ratio * log
}

fn integral_inverse(area: f64, skew: f64) -> f64 {
    let t = (area * (1.0 - skew)).max(-1.0);
    let ratio = if t.abs() > 1e-8 { t.ln_1p() / t } else { 1.0 - t / 2.0 };
    (ratio * area).exp()
}

#[cfg(test)]
mod tests;
