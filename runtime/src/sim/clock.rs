//! A node's clocks: how fast its time runs, and what its wall says.

use std::cell::Cell;

/// 2026-01-01 00:00:00 UTC in microseconds: the wall time at which a world begins.
const WALL_START_US: i64 = 1_767_225_600_000_000;

/// Rates are parts per billion on top of the world's own time.
const RATE_ONE: i128 = 1_000_000_000;

pub(super) struct Clock {
    /// World time and node time at the last change of rate.
    world_base: Cell<u64>,
    node_base: Cell<u64>,
    rate_ppb: Cell<i64>,
    wall_jump_us: Cell<i64>,
}

impl Clock {
    pub fn new() -> Clock {
        Clock {
            world_base: Cell::new(0),
            node_base: Cell::new(0),
            rate_ppb: Cell::new(0),
            wall_jump_us: Cell::new(0),
        }
    }

    /// The monotonic clock of a machine starts anew when it boots.
    pub fn boot(&self, world_now: u64, node_now: u64) {
        self.world_base.set(world_now);
        self.node_base.set(node_now);
    }

    pub fn mono(&self, world_now: u64) -> u64 {
        let passed = i128::from(world_now - self.world_base.get());
        let passed = passed * (RATE_ONE + i128::from(self.rate_ppb.get())) / RATE_ONE;
        self.node_base.get() + passed as u64
    }

    /// The first world time at which this node's clock shows `mono` or more.
    pub fn world_time_of(&self, mono: u64) -> u64 {
        let left = i128::from(mono.saturating_sub(self.node_base.get()));
        let rate = RATE_ONE + i128::from(self.rate_ppb.get());
        let passed = (left * RATE_ONE + rate - 1) / rate;
        self.world_base.get().saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    pub fn set_rate(&self, world_now: u64, rate_ppm: i32) {
        assert!(rate_ppm > -1_000_000, "time does not stand or go back");
        let mono = self.mono(world_now);
        self.boot(world_now, mono);
        self.rate_ppb.set(i64::from(rate_ppm) * 1000);
    }

    pub fn jump_wall(&self, by_us: i64) {
        self.wall_jump_us.set(self.wall_jump_us.get() + by_us);
    }

    pub fn wall_us(&self, world_now: u64) -> u64 {
        u64::try_from(WALL_START_US + (world_now / 1000) as i64 + self.wall_jump_us.get()).unwrap_or(0)
    }
}
