//! Logs: any bytes as segment files; what is replayed must make sense, and a second replay must give the same.

use std::path::PathBuf;

use lsm::Error;
use lsm::log::{Identity, Log, LogOptions, OwnedRecord, Position};
use runtime::sim::{SimRuntime, World, WorldOptions};

/// Bytes of a segment: its header, and two blocks for batches.
pub const SEGMENT_BYTES: usize = 12 << 10;
/// Whose log it is.
pub const IDENTITY: Identity = Identity { cluster: 0xC1, node: 2, shard: 3 };

/// A log's options for such segments.
pub fn options() -> LogOptions {
    LogOptions {
        segment_bytes: SEGMENT_BYTES as u64,
        segments_max: 32,
        free_segments_max: 2,
        record_bytes_max: 3000,
        batch_bytes: 4096,
        buffered_bytes_max: 64 << 10,
        ahead_bytes: 16 << 10,
        piece_bytes: 8 << 10,
        ..LogOptions::new("log", IDENTITY)
    }
}

/// The file of the segment with sequence number `seq`, when `head` was the oldest.
pub fn path(seq: usize, head: u8) -> PathBuf {
    PathBuf::from(format!("log/{seq:016x}-{head:016x}.log"))
}

/// The first byte says whether checksums are made to fit, the second which head the names carry; then the segments.
pub fn run(data: &[u8]) {
    let Some((&[reseal, head], segments)) = data.split_first_chunk::<2>() else { return };
    let world = World::new(1, WorldOptions::default());
    let node = world.node("n");
    for (at, segment) in segments.chunks(SEGMENT_BYTES).enumerate() {
        let mut segment = segment.to_vec();
        if reseal != 0 {
            lsm::fuzzing::reseal_log(&mut segment);
        }
        world.disk(node).write_file(path(at + 1, head % 8), &segment);
    }
    let Ok(first) = world.block_on(replay(world.runtime(node))) else { return };
    for pair in first.windows(2) {
        assert!(pair[0].0 < pair[1].0, "positions grow");
    }
    world.crash(node);
    let second =
        world.block_on(replay(world.runtime(node))).expect("what was recovered once is recovered again");
    assert_eq!(first, second, "reading again comes to the same end");
}

async fn replay(rt: SimRuntime) -> Result<Vec<(Position, OwnedRecord)>, Error> {
    let (log, mut replay) = Log::open(rt, options()).await?;
    let mut records = Vec::new();
    while let Some((position, record)) = replay.next().await? {
        records.push((position, record.owned()));
    }
    log.close().await?;
    Ok(records)
}
