//! What a seed decides beside the order of events: sizes, bounds, the workload and which faults are on.
//!
//! Small limits on purpose: a memtable of a few kilobytes flushes and compacts within a second of simulated time, and a
//! segment of a few blocks is recycled while somebody looks.

use std::time::Duration;

use runtime::sim::{Chance, Control, DiskFaults, NetworkFaults, Span, WorldOptions};

/// One drawn configuration.
#[derive(Clone, Debug)]
pub struct Swarm {
    /// Cores, and so shards, of the node.
    pub cores: usize,
    /// Clients that run at once.
    pub clients: usize,
    /// Keys they share.
    pub keys: usize,
    /// Bytes of the filler of each write, at most.
    pub filler_bytes_max: usize,
    /// Crashes until the world heals.
    pub crashes: usize,
    /// Time between two crashes.
    pub calm: Span,
    /// Pause of a client between two operations; zero is a busy one.
    pub think: Span,
    /// Memory of each shard in bytes, which sets its memtable and cache.
    pub memory_bytes: u64,
    /// Bytes of a log segment.
    pub segment_bytes: u64,
}

/// Draws from the world's own streams, one name per decision, so that a new decision moves no other.
pub fn draw(world: &Control) -> Swarm {
    let below = |name: &str, bound: u64| world.draw(name, 0) % bound;
    let calm_ms = [1, 20, 200, 1500][below("swarm.calm", 4) as usize];
    let think =
        [Span::micros(0, 0), Span::micros(0, 500), Span::millis(1, 40)][below("swarm.think", 3) as usize];
    Swarm {
        cores: 1 + below("swarm.cores", 3) as usize,
        clients: 1 + below("swarm.clients", 8) as usize,
        keys: 1 + below("swarm.keys", 24) as usize,
        filler_bytes_max: [8, 300, 6_000, 40_000][below("swarm.filler", 4) as usize],
        crashes: below("swarm.crashes", 6) as usize,
        calm: Span { least: Duration::from_millis(1), most: Duration::from_millis(calm_ms) },
        think,
        memory_bytes: [1 << 20, 4 << 20, 32 << 20][below("swarm.memory", 3) as usize],
        segment_bytes: [4 << 20, 8 << 20, 16 << 20][below("swarm.segment", 3) as usize],
    }
}

/// The world's faults, drawn from the seed itself, because the world does not exist yet.
pub fn world_options(seed: u64) -> WorldOptions {
    let coin = |bit: u32| seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(bit) & 1 == 1;
    let disk = DiskFaults {
        stall: if coin(3) { Chance::per_mille(5) } else { Chance::NEVER },
        stall_time: Span::millis(1, 80),
        ..DiskFaults::default()
    };
    let network = NetworkFaults {
        reset: if coin(11) { Chance::per_mille(3) } else { Chance::NEVER },
        stall: if coin(19) { Chance::per_mille(5) } else { Chance::NEVER },
        stall_time: Span::millis(1, 50),
        ..NetworkFaults::default()
    };
    WorldOptions { disk, network, polls_max: 10_000_000, ..WorldOptions::default() }
}
