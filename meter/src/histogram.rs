//! How often something took how long: fixed buckets, exact to one part in 32, and a dozen instructions for each value.
//!
//! ```text
//! nanoseconds   0 1 2 .. 63 | 64 66 68 .. 126 | 128 132 .. | 256 264 ..      each power of two is cut into 32 buckets
//! ```
//!
//! The layout is that of HDR histograms (Gil Tene), with the parameters fixed at compile time: what the general library does with several
//! branches for each value is here a shift and an addition.

/// Buckets of one power of two.
const PARTS: usize = 32;
const PART_BITS: u32 = 5;
const _: () = assert!(PARTS == 1 << PART_BITS);

/// Longer times count as this: 68.7 s.
pub const NANOS_MAX: u64 = (1 << 36) - 1;

/// Buckets of a histogram.
pub const BUCKET_COUNT: usize = 1024;
const _: () = assert!(index(NANOS_MAX) == BUCKET_COUNT - 1);

/// Times, counted.
#[derive(Clone)]
pub struct Histogram {
    counts: Box<[u64; BUCKET_COUNT]>,
    sum: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: Box::new([0; BUCKET_COUNT]), sum: 0 }
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Histogram of {} values", self.count())
    }
}

impl Histogram {
    /// Counts one.
    #[inline]
    pub fn record(&mut self, nanos: u64) {
        let nanos = nanos.min(NANOS_MAX);
        // The mask changes nothing: it shows the compiler what the minimum has shown.
        self.counts[index(nanos) % BUCKET_COUNT] += 1;
        self.sum += nanos;
    }

    /// Counts what another one has counted, too.
    pub fn add(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(other.counts.iter()).for_each(|(count, more)| *count += more);
        self.sum += other.sum;
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Nanoseconds of all together.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// How many took less than `nanos`, which must be a bound of a bucket.
    pub fn count_below(&self, nanos: u64) -> u64 {
        assert_eq!(lower(index(nanos)), nanos, "the bound of a bucket");
        self.counts[..index(nanos)].iter().sum()
    }

    /// The time that `share` of all did not exceed, to one part in 32; 0 of none.
    pub fn quantile(&self, share: f64) -> u64 {
        quantile_of(share, self.count(), |index| self.counts[index])
    }

    /// The same of what was counted since `before` was a copy of this.
    pub fn quantile_since(&self, before: &Histogram, share: f64) -> u64 {
        quantile_of(share, self.count() - before.count(), |index| self.counts[index] - before.counts[index])
    }
}

/// The largest time of the bucket that holds the value of that rank.
fn quantile_of(share: f64, count: u64, of: impl Fn(usize) -> u64) -> u64 {
    assert!((0.0..=1.0).contains(&share), "a share of all");
    if count == 0 {
        return 0;
    }
    let rank = ((count as f64 * share).ceil() as u64).clamp(1, count);
    let mut seen = 0;
    for index in 0..BUCKET_COUNT {
        seen += of(index);
        if seen >= rank {
            return lower(index + 1) - 1;
        }
    }
    unreachable!("the rank is one of those that were counted")
}

/// The bucket of a time up to [`NANOS_MAX`].
#[inline]
const fn index(nanos: u64) -> usize {
    let shift = (u64::BITS - 1 - PART_BITS).saturating_sub(nanos.leading_zeros());
    ((shift as usize) << PART_BITS) + (nanos >> shift) as usize
}

/// The least time of a bucket, and of the one behind the last.
const fn lower(index: usize) -> u64 {
    if index < 2 * PARTS {
        return index as u64;
    }
    let shift = index / PARTS - 1;
    ((index - shift * PARTS) as u64) << shift
}

#[cfg(test)]
mod tests;
