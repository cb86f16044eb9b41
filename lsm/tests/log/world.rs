//! One log on one simulated node.

use std::time::Duration;

use lsm::Error;
use lsm::log::{Identity, Log, LogOptions, OwnedRecord, Position, Record};
use runtime::sim::{NodeId, SimRuntime, World, WorldOptions};

pub const DIR: &str = "/log";
pub const IDENTITY: Identity = Identity { cluster: 0xC1, node: 2, shard: 3 };

/// An open log and what its replay gave back.
pub type Opened = (Log<SimRuntime>, Vec<(Position, OwnedRecord)>);

/// A world with one node, up.
pub struct Bench {
    pub world: World,
    pub node: NodeId,
}

impl Bench {
    pub fn new(seed: u64) -> Bench {
        let world =
            World::new(seed, WorldOptions { time_max: Duration::from_secs(600), ..WorldOptions::default() });
        let node = world.node("n");
        Bench { world, node }
    }

    pub fn runtime(&self) -> SimRuntime {
        self.world.runtime(self.node)
    }

    /// Opens the log and reads it to its end.
    pub fn open(&self, options: &LogOptions) -> Result<Opened, Error> {
        self.world.block_on(open(self.runtime(), options.clone()))
    }

    /// Every file of the log with its bytes.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let disk = self.world.disk(self.node);
        let paths = disk.files().into_iter().map(|(path, _)| path);
        paths.map(|path| (path.display().to_string(), disk.read_file(&path).unwrap())).collect()
    }
}

pub async fn open(rt: SimRuntime, options: LogOptions) -> Result<Opened, Error> {
    let (log, mut replay) = Log::open(rt, options).await?;
    let mut records = Vec::new();
    while let Some((position, record)) = replay.next().await? {
        records.push((position, record.owned()));
    }
    Ok((log, records))
}

/// Small segments, so that a test goes through many.
pub fn small() -> LogOptions {
    LogOptions {
        segment_bytes: 64 << 10,
        segments_max: 64,
        free_segments_max: 2,
        record_bytes_max: 10_000,
        batch_bytes: 16 << 10,
        buffered_bytes_max: 64 << 10,
        ahead_bytes: 32 << 10,
        piece_bytes: 16 << 10,
        ..LogOptions::new(DIR, IDENTITY)
    }
}

pub fn record(stream: u64, index: u64, payload: &[u8]) -> Record<'_> {
    Record { kind: 1, stream, term: 1, index, payload }
}
