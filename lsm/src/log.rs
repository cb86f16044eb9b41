//! The log: one append-only stream of checksummed records per shard.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use runtime::Runtime;

use crate::Error;

/// A place in the shard's log: where a record ends, in bytes of all batches ever written. Never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// Whose log it is; checked on open, so that a file that was moved between nodes or shards is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The cluster.
    pub cluster: u128,
    /// The node in the cluster.
    pub node: u16,
    /// The shard in the node.
    pub shard: u16,
}

/// One record as it is appended. The log reads only `stream` and `index`, to know when a segment may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// What the payload is, in the caller's words.
    pub kind: u8,
    /// Whose record it is (a vnode). Records of one stream have indexes that tell when they are covered.
    pub stream: u64,
    /// The Raft term it was written in; the log only carries it.
    pub term: u64,
    /// Place in the stream: the record is covered once `release` names this index or a later one for the stream.
    pub index: u64,
    /// The caller's bytes, at most `record_bytes_max`.
    pub payload: &'a [u8],
}

/// One record as replay gives it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedRecord {
    /// As in [`Record`].
    pub kind: u8,
    /// As in [`Record`].
    pub stream: u64,
    /// As in [`Record`].
    pub term: u64,
    /// As in [`Record`].
    pub index: u64,
    /// As in [`Record`].
    pub payload: Vec<u8>,
}

/// How a log is opened. `LogOptions::new(dir, identity)` has the defaults.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// The directory of this log alone; created if it is not there.
    pub dir: PathBuf,
    /// Whose log it is.
    pub identity: Identity,
    /// Bytes of a segment file, a multiple of the block. Default 16 MiB.
    pub segment_bytes: u64,
    /// Segments on disk at most, whatever they are for; beyond that, `Full`. Default 1024.
    pub segments_max: usize,
    /// Free segments that are kept for recycling; more are removed. Default 4.
    pub free_segments_max: usize,
    /// Device writes in flight at most. Default 4.
    pub writes_in_flight_max: usize,
    /// Payload bytes of one record at most. Default 1 MiB.
    pub record_bytes_max: usize,
    /// A batch is closed when it has this many bytes. Default 256 KiB.
    pub batch_bytes: usize,
    /// Bytes that are appended but not yet durable, at most. Default 8 MiB.
    pub buffered_bytes_max: usize,
    /// Room that is prepared ahead of the writes, in bytes. Default 4 MiB.
    pub ahead_bytes: u64,
    /// After so long without a write, an empty batch says that the last one is durable. Default 10 ms.
    pub idle: Duration,
}

impl LogOptions {
    /// The defaults, for a log in `dir`.
    pub fn new(dir: impl Into<PathBuf>, identity: Identity) -> LogOptions {
        LogOptions {
            dir: dir.into(),
            identity,
            segment_bytes: 16 << 20,
            segments_max: 1024,
            free_segments_max: 4,
            writes_in_flight_max: 4,
            record_bytes_max: 1 << 20,
            batch_bytes: 256 << 10,
            buffered_bytes_max: 8 << 20,
            ahead_bytes: 4 << 20,
            idle: Duration::from_millis(10),
        }
    }
}

/// Counters since the log was opened, and its state at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Records appended.
    pub records: u64,
    /// Payload bytes appended.
    pub payload_bytes: u64,
    /// Device writes sent.
    pub writes: u64,
    /// Bytes sent to the device, headers and padding included.
    pub written_bytes: u64,
    /// Writes in flight now.
    pub writes_in_flight: usize,
    /// Bytes appended and not yet durable.
    pub buffered_bytes: usize,
    /// Segments that hold records somebody needs, the one being written included.
    pub segments_live: usize,
    /// Segments that are ready to be written or recycled.
    pub segments_free: usize,
}

/// A shard's log. Cheap to clone; all clones are the same log, and it ends with the last of them.
pub struct Log<R: Runtime> {
    inner: Rc<Inner<R>>,
}

struct Inner<R: Runtime> {
    _rt: R,
}

impl<R: Runtime> Clone for Log<R> {
    fn clone(&self) -> Self {
        Log { inner: Rc::clone(&self.inner) }
    }
}

impl<R: Runtime> Log<R> {
    /// Opens the log in `options.dir`. It can be appended to once the replay has been read to its end.
    pub async fn open(rt: R, options: LogOptions) -> Result<(Log<R>, Replay<R>), Error> {
        let _ = (rt, options);
        todo!("recovery")
    }

    /// Copies a record into the open batch and names the place where it ends. Not durable yet: see [`Log::durable`].
    ///
    /// Errors: `TooLarge`; `Busy` when the buffers are at their bound (wait for [`Log::ready`]); `Full`; `Poisoned`;
    /// `Closed`. After any of them nothing was appended.
    pub fn append(&self, record: Record<'_>) -> Result<Position, Error> {
        let _ = record;
        todo!("append")
    }

    /// Waits until there is room for a record, as far as one caller can tell. Back-pressure.
    pub async fn ready(&self) -> Result<(), Error> {
        todo!("ready")
    }

    /// [`Log::ready`] and [`Log::append`] until the record is in.
    pub async fn append_when_ready(&self, record: Record<'_>) -> Result<Position, Error> {
        let _ = record;
        todo!("append_when_ready")
    }

    /// Waits until everything up to `position` is durable.
    pub async fn durable(&self, position: Position) -> Result<(), Error> {
        let _ = position;
        todo!("durable")
    }

    /// Everything up to here is durable.
    pub fn durable_position(&self) -> Position {
        todo!("durable_position")
    }

    /// Waits until more than `position` is durable, and says how much.
    pub async fn durable_beyond(&self, position: Position) -> Result<Position, Error> {
        let _ = position;
        todo!("durable_beyond")
    }

    /// Gives back the oldest segments whose every record is covered: its index is at most `covered(its stream)`.
    ///
    /// The caller promises that what covers them (tables and manifest) is durable and that nobody reads them any more.
    pub fn release(&self, covered: impl Fn(u64) -> u64) {
        let _ = covered;
        todo!("release")
    }

    /// Waits for what was appended, marks the end, and accepts nothing more.
    pub async fn close(&self) -> Result<(), Error> {
        todo!("close")
    }

    /// Counters and state.
    pub fn stats(&self) -> Stats {
        todo!("stats")
    }
}

/// What the log held when it was opened, in append order.
pub struct Replay<R: Runtime> {
    _log: Log<R>,
}

impl<R: Runtime> Replay<R> {
    /// The next record and where it ends; `None` at the end, and then the log can be appended to.
    ///
    /// Errors: `Corrupt` when acknowledged bytes are damaged (nothing is changed on disk), `Io`, `Full`.
    pub async fn next(&mut self) -> Result<Option<(Position, OwnedRecord)>, Error> {
        todo!("replay")
    }
}
