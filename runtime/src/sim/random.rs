//! Random numbers as the simulation draws them: chances and spans of time.

use super::options::{Chance, Span};
pub(super) use crate::random::{Stream, hash_name, mix};

impl Stream {
    /// Draws always, also for impossible and certain chances: a changed chance does not shift the stream.
    pub fn happens(&mut self, chance: Chance) -> bool {
        self.below(Chance::CERTAIN_PPM) < u64::from(chance.0)
    }

    pub fn nanos(&mut self, span: Span) -> u64 {
        let (least, most) = (span.least.as_nanos() as u64, span.most.as_nanos() as u64);
        assert!(least <= most, "a span ends after it begins");
        least + self.below(most - least + 1)
    }
}
