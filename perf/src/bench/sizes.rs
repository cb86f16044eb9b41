//! How large items are: all alike, or drawn, and always the same for the same version of the same item.
//!
//! A distribution is laid out once as `STEPS` sizes that are equally likely; an item's is picked by a hash of its key and version, so that
//! whoever reads it knows how large it has to be.

use std::fmt;

use super::keys::mix;
use super::options::{ITEM_BYTES_MAX, ITEM_BYTES_MIN};

/// Sizes of one distribution.
const STEPS: usize = 4096;

/// A distribution of item sizes, in bytes as DynamoDB charges them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sizes {
    /// All alike.
    Fixed(usize),
    /// All from the first to the second, equally likely.
    Uniform(usize, usize),
    /// The logarithm is normal: many small ones, a few very large ones.
    LogNormal {
        /// Half of the items are smaller.
        median: usize,
        /// Standard deviation of the natural logarithm.
        sigma: f64,
        /// None is larger.
        max: usize,
    },
}

impl Sizes {
    /// Reads `1024`, `uniform:100-4096` or `lognormal:600,1.2[,65536]`.
    pub fn parse(text: &str) -> Result<Sizes, String> {
        let size = |text: &str| match text.trim().parse::<usize>() {
            Ok(size) if (ITEM_BYTES_MIN..=ITEM_BYTES_MAX).contains(&size) => Ok(size),
            _ => Err(format!("{text}: must be {ITEM_BYTES_MIN} to {ITEM_BYTES_MAX}")),
        };
        if let Some(range) = text.strip_prefix("uniform:") {
            let (from, to) = range.split_once('-').ok_or("write uniform:FROM-TO")?;
            let (from, to) = (size(from)?, size(to)?);
            return if from <= to { Ok(Sizes::Uniform(from, to)) } else { Err("from small to large".into()) };
        }
        if let Some(shape) = text.strip_prefix("lognormal:") {
            let parts: Vec<&str> = shape.split(',').collect();
            let (median, sigma, max) = match parts[..] {
                [median, sigma] => (size(median)?, sigma, ITEM_BYTES_MAX),
                [median, sigma, max] => (size(median)?, sigma, size(max)?),
                _ => return Err("write lognormal:MEDIAN,SIGMA[,MAX]".into()),
            };
            let sigma = sigma.trim().parse().ok().filter(|sigma| (0.0..=5.0).contains(sigma));
            let sigma = sigma.ok_or("SIGMA is 0 to 5")?;
            return if median <= max {
                Ok(Sizes::LogNormal { median, sigma, max })
            } else {
                Err("MAX is below MEDIAN".into())
            };
        }
        if text.trim().parse::<usize>().is_err() {
            return Err(format!("{text}: write bytes, uniform:FROM-TO or lognormal:MEDIAN,SIGMA[,MAX]"));
        }
        size(text).map(Sizes::Fixed)
    }

    /// The size at `quantile`, from 0 to 1.
    fn at(self, quantile: f64) -> usize {
        match self {
            Sizes::Fixed(size) => size,
            Sizes::Uniform(from, to) => from + ((to - from + 1) as f64 * quantile) as usize,
            Sizes::LogNormal { median, sigma, max } => {
                let size = median as f64 * (sigma * normal_at(quantile)).exp();
                (size as usize).clamp(ITEM_BYTES_MIN, max)
            }
        }
    }

    /// The distribution, laid out.
    pub fn lay_out(self) -> SizeTable {
        if let Sizes::Fixed(size) = self {
            return SizeTable { steps: vec![size] };
        }
        let steps = (0..STEPS).map(|step| self.at((step as f64 + 0.5) / STEPS as f64));
        SizeTable { steps: steps.collect() }
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sizes::Fixed(size) => write!(f, "{size}"),
            Sizes::Uniform(from, to) => write!(f, "uniform:{from}-{to}"),
            Sizes::LogNormal { median, sigma, max } => write!(f, "lognormal:{median},{sigma},{max}"),
        }
    }
}

/// Sizes that are equally likely, from the smallest to the largest.
#[derive(Clone, Debug)]
pub struct SizeTable {
    steps: Vec<usize>,
}

impl SizeTable {
    /// The size of version `version` of item `key`.
    pub fn of(&self, key: u64, version: u64) -> usize {
        if self.steps.len() == 1 {
            return self.steps[0];
        }
        let drawn = mix(mix(key ^ 0x517C_C1B7_2722_0A95).wrapping_add(version));
        self.steps[(drawn % self.steps.len() as u64) as usize]
    }

    /// The largest.
    pub fn largest(&self) -> usize {
        *self.steps.last().expect("at least one")
    }

    /// The mean, in whole bytes.
    pub fn mean(&self) -> usize {
        self.steps.iter().sum::<usize>() / self.steps.len()
    }
}

/// Where the standard normal distribution has `quantile` below it: Acklam's rational approximation, off by less than 2e-9.
fn normal_at(quantile: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] =
        [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416];
    const TAIL: f64 = 0.024_25;
    let by = |x: f64, factors: &[f64]| factors.iter().fold(0.0, |sum, factor| sum * x + factor);
    let tail = |quantile: f64| {
        let x = (-2.0 * quantile.ln()).sqrt();
        by(x, &C) / (by(x, &D) * x + 1.0)
    };
    match quantile {
        q if q < TAIL => tail(q),
        q if q > 1.0 - TAIL => -tail(1.0 - q),
        q => {
            let x = q - 0.5;
            x * by(x * x, &A) / (by(x * x, &B) * x * x + 1.0)
        }
    }
}

#[cfg(test)]
mod tests;
