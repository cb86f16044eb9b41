//! The log at rest: what nobody reads until the next start is read now and then.
//!
//! The tree looks after its own files. Of the log this looks at every segment that is still needed but the one being written:
//! its batches have to check up to where the segment after it says that it ends. If they do not, the damage is reported, and the
//! tree is flushed while all that the segment held is still in memory: once the log has begun its next segment, which says from where on
//! it is needed, nobody reads the damaged one any more. A crash before that still meets it.
//!
//! A segment may be recycled while it is read. So damage counts only if the file still holds the same segment afterwards.

use crate::error::Error;
use crate::shard::Shard;
use lsm::inspect::log::{About, Segment, is_segment_name};
use runtime::Runtime;
use std::path::Path;
use std::time::Duration;

/// Bytes a second that are read.
const BYTES_PER_SECOND: u64 = 4 << 20;
/// Bytes between two pauses.
const PIECE_BYTES: u64 = 256 << 10;

impl<R: Runtime> Shard<R> {
    /// Looks at the log again and again; never returns.
    pub(crate) async fn scrub_log(&self) -> Error {
        loop {
            self.rt.sleep(self.options.log_scrub_every).await;
            for line in damage(&self.rt, &self.options.log.dir).await {
                (self.options.report)(&format!("{line}; what it holds is flushed to SSTables now"));
                // Why it cannot be flushed, others say.
                let _ = self.tree.flush().await;
            }
        }
    }
}

/// A line about each segment that is damaged.
async fn damage<R: Runtime>(rt: &R, dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut segments = segments(rt, dir).await;
    let head = segments.last().and_then(|newest| newest.header.as_ref().ok()).map_or(0, |header| header.head);
    segments.retain(|segment| segment.seq >= head);
    for pair in segments.windows(2) {
        let Ok(next) = &pair[1].header else { continue };
        if next.prev_seq == pair[0].seq {
            found.extend(look_at(rt, &pair[0], next.prev_end).await);
        }
    }
    found
}

/// The segments that hold batches, oldest first.
async fn segments<R: Runtime>(rt: &R, dir: &Path) -> Vec<About> {
    let names = rt.list(dir).await.unwrap_or_default();
    let mut segments = Vec::new();
    for entry in names.iter().filter(|entry| is_segment_name(&entry.name)) {
        // One that is gone since, or that cannot be opened, is no segment that could be read.
        if let Ok(segment) = Segment::open(rt, &dir.join(&entry.name)).await {
            segments.extend(Some(segment.about().clone()).filter(|about| about.active));
        }
    }
    segments.sort_by_key(|about| about.seq);
    segments
}

/// What is wrong with the segment, whose batches end at `end`.
async fn look_at<R: Runtime>(rt: &R, about: &About, end: u64) -> Option<String> {
    let (offset, what) = match read(rt, &about.path, end).await {
        Ok(None) => return None,
        Ok(Some(problem)) => problem,
        Err(error) => (0, error.to_string()),
    };
    let again = Segment::open(rt, &about.path).await.ok()?;
    let same = again.about().header == about.header;
    same.then(|| format!("{} at byte {offset} is corrupt: {what}", about.path.display()))
}

/// Reads batch by batch; gives where they end and why, if that is before `end`.
async fn read<R: Runtime>(rt: &R, path: &Path, end: u64) -> Result<Option<(u64, String)>, lsm::Error> {
    let mut segment = Segment::open(rt, path).await?;
    let mut since = 0;
    while let Some(batch) = segment.next().await? {
        since += batch.padded;
        if batch.offset + batch.padded >= end {
            return Ok(None);
        }
        if since >= PIECE_BYTES {
            rt.sleep(Duration::from_nanos(since * 1_000_000_000 / BYTES_PER_SECOND)).await;
            since = 0;
        }
    }
    Ok(segment.end().map(|(offset, what)| (offset, what.to_string())))
}
