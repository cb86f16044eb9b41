//! The log: one append-only stream of checksummed records per shard, shared by all its vnodes.
//!
//! ```text
//! append --> open batch --seal--> [header | records | padding] --O_DSYNC--> durable up to Position
//!                                 4 in flight, in any order                 always a prefix
//! ```
//!
//! 1. [`Log::append`] copies a record into the open batch and names its end, a [`Position`].
//! 2. A writer with a free slot lets the other ready tasks append (it yields once), seals the batch and sends it as
//!    one device write. While all slots are busy the batch grows: group commit that adapts to the load by itself.
//! 3. Writes complete in any order. What is durable is the longest prefix; [`Log::durable`] waits for it.
//! 4. Segments are prepared in the background ahead of the writes, and recycled when [`Log::release`] says that
//!    nobody needs them. A record is accepted only when its place on disk was written before, so that a full disk
//!    refuses at the door and never strikes what was accepted.
//! 5. [`Log::open`] reads what is there, tells a torn end from damage, and goes on in a new segment.
//!
//! Promises: order is append order; a record is durable when its wait returns; what was acknowledged is replayed, in
//! order, or the log refuses to open and says where the damage is; nothing is replayed that was not appended. The
//! bytes and the rules are in docs/FORMAT.md, "Log"; W1 to W13 are named where the code keeps them.
//!
//! Leaves to others: what a record means; which records are covered; one log directory is opened once at a time, and
//! opened again only after `close` or the end of the process.
//!
//! Modules in reading order: `format` (bytes), `tail` (the end being written, no I/O), `writer` and `prepare` (the
//! tasks), `recover` and `segment` (what is on disk), `replay` (reading it back), `pool`, `wait`.

pub(crate) mod format;
mod pool;
mod prepare;
pub(crate) mod recover;
mod replay;
pub(crate) mod segment;
mod tail;
mod wait;
mod writer;

use std::cell::RefCell;
use std::future::poll_fn;
use std::path::PathBuf;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use ahash::RandomState;
use runtime::sync::Notify;
use runtime::{BLOCK_BYTES, Class, Purpose, Runtime};

pub use replay::Replay;
use tail::{FIRST_BATCH, Tail};
use wait::{Idle, Waiters};

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

/// One record with a payload of its own, for whoever keeps it: see [`Record::owned`].
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

impl Record<'_> {
    /// The same with a copy of the payload.
    pub fn owned(&self) -> OwnedRecord {
        let Record { kind, stream, term, index, payload } = *self;
        OwnedRecord { kind, stream, term, index, payload: payload.to_vec() }
    }
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
    /// Room that is prepared ahead of the writes, in bytes, besides one segment that is kept in reserve for the next
    /// recovery. Default 4 MiB.
    pub ahead_bytes: u64,
    /// Zeros are prewritten in pieces of this size. Default 256 KiB: large enough for the device, small enough not to
    /// be in the way of writes.
    pub piece_bytes: u64,
    /// After so long without a write, an empty batch says that the last one is durable. Default 10 ms.
    pub idle: Duration,
    /// A planted bug, for the tests that show that tests find it.
    #[doc(hidden)]
    pub canary: Canary,
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
            piece_bytes: 256 << 10,
            idle: Duration::from_millis(10),
            canary: Canary::None,
        }
    }

    /// Ties the numbers together; a log with options that contradict each other is a bug.
    fn check(&self) {
        let block = BLOCK_BYTES as u64;
        let batch_bytes_max = self.batch_bytes_max() as u64;
        assert!(self.segment_bytes.is_multiple_of(block), "segments are whole blocks");
        assert!(
            FIRST_BATCH + batch_bytes_max <= self.segment_bytes,
            "the largest record fits into a segment"
        );
        assert!(self.ahead_bytes >= 2 * batch_bytes_max, "what is prepared ahead holds the largest record");
        assert!(self.buffered_bytes_max >= self.batch_bytes_max(), "the buffers hold the largest record");
        assert!(self.piece_bytes.is_multiple_of(block) && self.piece_bytes > 0, "pieces are whole blocks");
        assert!((1..=64).contains(&self.writes_in_flight_max) && self.segments_max >= 4);
    }

    /// Bytes of a batch at most, padding included.
    fn batch_bytes_max(&self) -> usize {
        let alone = format::BATCH_HEADER_BYTES + format::record_bytes(self.record_bytes_max);
        format::padded(alone.max(self.batch_bytes))
    }
}

/// Bugs that can be planted, one at a time, so that a test can show that the tests would find them.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Canary {
    /// No bug.
    #[default]
    None,
    /// Segments are written without O_DSYNC: acknowledged before they are durable.
    SkipSync,
    /// New names in the directory are not synced.
    SkipDirSync,
    /// Checksums are not bound to a life, and replay does not look at who wrote a batch or what follows what.
    AcceptStale,
    /// Replay goes on behind a torn batch.
    ReplayPastTorn,
    /// Replay takes every bad batch for a torn end.
    CutDamage,
    /// A completed write counts as durable whether or not those before it are.
    AckOutOfOrder,
    /// A failed write counts as written.
    IgnoreWriteError,
    /// Segments are recycled while somebody needs their records.
    ReleaseUncovered,
}

impl Canary {
    /// Whether this bug is planted. Never, where planted bugs are not compiled in: then nothing is left of them.
    pub(crate) fn is(self, bug: Canary) -> bool {
        cfg!(any(test, feature = "canaries")) && self == bug
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
    /// Bytes appended and not yet durable, record headers included; `buffered_bytes_max` at most.
    pub buffered_bytes: usize,
    /// Bytes, record headers included, that would be taken now, about (blocks are filled up with zeros): back-pressure
    /// as a number. It shrinks as records wait for the device and as prepared room is used up, and grows as writes
    /// complete and room is prepared. At 0, or when it is less than the record, [`Log::append`] says `Busy` and
    /// [`Log::ready`] waits; who looks at it can slow down before.
    pub budget_bytes: usize,
    /// The disk has no room, or the log has all the segments it may have: records are refused with `Full` once the
    /// prepared room is used up, until segments are released or there is room.
    pub full: bool,
    /// Segments that hold records somebody needs, the one being written included.
    pub segments_live: usize,
    /// Segments that are ready to be written or recycled.
    pub segments_free: usize,
}

/// A shard's log. Cheap to clone; all clones are the same log, and its tasks end with the last of them.
pub struct Log<R: Runtime> {
    handle: Rc<Handle<R>>,
}

/// What the clones share: the state, which the tasks know too, and the tasks.
struct Handle<R: Runtime> {
    inner: Rc<Inner<R>>,
    tasks: RefCell<Tasks<R>>,
}

/// The log's tasks; dropping them cancels them.
struct Tasks<R: Runtime> {
    /// End by themselves when the log is closing: what they have under way is finished.
    working: Vec<R::Task<()>>,
    /// Has nothing under way but a timer.
    idle: Option<R::Task<()>>,
}

/// The state of a log. Nothing here is borrowed across an await or while somebody is woken.
struct Inner<R: Runtime> {
    rt: R,
    options: Rc<LogOptions>,
    tail: RefCell<Tail<R::File>>,
    waiters: RefCell<Waiters>,
    idle_writers: RefCell<Idle>,
    /// There may be room now, or never again.
    room: Notify,
    /// The preparer should look again.
    prepare: Notify,
    /// The idle task should look again.
    active: Notify,
}

impl<R: Runtime> Clone for Log<R> {
    fn clone(&self) -> Self {
        Log { handle: Rc::clone(&self.handle) }
    }
}

impl<R: Runtime> Log<R> {
    /// Opens the log in `options.dir`. It can be appended to once the replay has been read to its end.
    ///
    /// Errors: `Io`; `Version`; `Corrupt` when the files do not form one log of this identity.
    pub async fn open(rt: R, options: LogOptions) -> Result<(Log<R>, Replay<R>), Error> {
        options.check();
        let survey = recover::survey(&rt, &options).await?;
        let log = Log::new(rt, options);
        let replay = Replay::new(log.clone(), survey)?;
        Ok((log, replay))
    }

    /// Reads the log in `options.dir` to its end as `open` does, and changes nothing: it cannot be appended to then.
    pub(crate) async fn read_only(rt: R, options: LogOptions) -> Result<Replay<R>, Error> {
        let survey = recover::survey_what_is_there(&rt, &options).await?;
        Ok(Replay::new(Log::new(rt, options), survey)?.read_only())
    }

    fn new(rt: R, options: LogOptions) -> Log<R> {
        let seed = || rt.random(Purpose::Hash);
        let hash = RandomState::with_seeds(seed(), seed(), seed(), seed());
        let options = Rc::new(options);
        let inner = Inner {
            tail: RefCell::new(Tail::new(Rc::clone(&options), hash)),
            waiters: RefCell::default(),
            idle_writers: RefCell::new(Idle::new(options.writes_in_flight_max)),
            room: Notify::new(),
            prepare: Notify::new(),
            active: Notify::new(),
            rt,
            options,
        };
        let tasks = RefCell::new(Tasks { working: Vec::new(), idle: None });
        Log { handle: Rc::new(Handle { inner: Rc::new(inner), tasks }) }
    }

    /// Starts the tasks of a log that can be appended to.
    fn start(&self) {
        let inner = &self.handle.inner;
        let mut tasks = self.handle.tasks.borrow_mut();
        for index in 0..inner.options.writes_in_flight_max {
            let task = writer::run(Rc::clone(inner), index);
            tasks.working.push(inner.rt.spawn(Class::Foreground, task));
        }
        let preparer = prepare::run(Rc::clone(inner));
        tasks.working.push(inner.rt.spawn(Class::Background, preparer));
        let idle = writer::mark_when_idle(Rc::clone(inner));
        tasks.idle = Some(inner.rt.spawn(Class::Background, idle));
    }

    /// Copies a record into the open batch, the one copy on its way to the device, and names the place where it ends.
    /// Allocates nothing once the log is warm. Not durable yet: see [`Log::durable`].
    ///
    /// Errors: `TooLarge`; `Busy` when buffers or prepared room are used up at this moment (wait for [`Log::ready`]);
    /// `Full`; `Poisoned`; `Closed`. After any of them nothing was appended.
    pub fn append(&self, record: Record<'_>) -> Result<Position, Error> {
        let inner = &self.handle.inner;
        let (appended, work) = {
            let mut tail = inner.tail.borrow_mut();
            let before = tail.work();
            (tail.append(&record), tail.work() - before)
        };
        inner.work_grew(work);
        appended
    }

    /// Waits until a record of any size would be accepted, as far as one caller can tell. Back-pressure.
    ///
    /// Errors: `Full` when there is room for no record at all and none can be made; `Poisoned`; `Closed`.
    pub async fn ready(&self) -> Result<(), Error> {
        let inner = &self.handle.inner;
        loop {
            let notified = inner.room.notified();
            if inner.tail.borrow().has_headroom()? {
                return Ok(());
            }
            notified.await;
        }
    }

    /// [`Log::ready`] and [`Log::append`] until the record is in, or refused for another reason than `Busy`.
    pub async fn append_when_ready(&self, record: Record<'_>) -> Result<Position, Error> {
        loop {
            match self.append(record) {
                Err(Error::Busy) => self.ready().await?,
                other => return other,
            }
        }
    }

    /// Waits until everything up to `position` is durable. Waiters are woken in the order of their positions.
    ///
    /// Errors: `Poisoned` when it will not become durable in this life of the log; whether it did is unknown.
    pub async fn durable(&self, position: Position) -> Result<(), Error> {
        assert!(position.0 <= self.handle.inner.tail.borrow().appended(), "positions come from append");
        self.wait_for(position.0).await.map(|_| ())
    }

    /// Everything up to here is durable.
    pub fn durable_position(&self) -> Position {
        Position(self.handle.inner.tail.borrow().durable())
    }

    /// Waits until more than `position` is durable, and says how much is.
    pub async fn durable_beyond(&self, position: Position) -> Result<Position, Error> {
        self.wait_for(position.0 + 1).await
    }

    async fn wait_for(&self, position: u64) -> Result<Position, Error> {
        let mut waiting = Waiting { inner: &self.handle.inner, position, id: None };
        poll_fn(|context| waiting.poll(context)).await
    }

    /// Gives back the oldest segments whose every record is covered: its index is at most `covered(its stream)`.
    ///
    /// The caller promises that what covers them (tables and manifest) is durable and that nobody else reads them
    /// (W10). A segment is given back only when all older ones are.
    pub fn release(&self, covered: impl Fn(u64) -> u64) {
        let inner = &self.handle.inner;
        let freed = inner.tail.borrow_mut().release(covered);
        if freed > 0 {
            inner.prepare.notify_all();
        }
    }

    /// Waits for what was appended, marks the end, and accepts nothing more.
    ///
    /// Errors: `Poisoned` when something that was appended did not become durable.
    pub async fn close(&self) -> Result<(), Error> {
        let inner = &self.handle.inner;
        let appended = {
            let mut tail = inner.tail.borrow_mut();
            tail.closing = true;
            tail.appended()
        };
        inner.room.notify_all();
        let flushed = self.wait_for(appended).await;
        if flushed.is_ok() && inner.push_watermark() {
            let marked = inner.tail.borrow().appended();
            self.wait_for(marked).await?;
        }
        self.stop().await;
        flushed.map(|_| ())
    }

    /// Lets the tasks finish what they have under way.
    async fn stop(&self) {
        let inner = &self.handle.inner;
        inner.tail.borrow_mut().stopping = true;
        let working = {
            let mut tasks = self.handle.tasks.borrow_mut();
            tasks.idle = None;
            std::mem::take(&mut tasks.working)
        };
        inner.prepare.notify_all();
        inner.wake_writers(usize::MAX);
        for task in working {
            task.await;
        }
    }

    /// Counters and state.
    pub fn stats(&self) -> Stats {
        self.handle.inner.tail.borrow().stats()
    }
}

impl<R: Runtime> Inner<R> {
    /// More writes could start than before: wakes a writer for each, and whoever works ahead of the writers.
    fn work_grew(&self, work: usize) {
        if work == 0 {
            return;
        }
        self.wake_writers(work);
        self.active.notify_all();
        self.prepare_if_wanted();
    }

    fn wake_writers(&self, count: usize) {
        for _ in 0..count {
            let waker = self.idle_writers.borrow_mut().pop();
            let Some(waker) = waker else { return };
            waker.wake();
        }
    }

    /// Wakes the preparer when writes came near to what it has prepared. A full disk it tries again by itself.
    fn prepare_if_wanted(&self) {
        let tail = self.tail.borrow();
        let wanted = !tail.full && tail.room() < self.options.ahead_bytes;
        drop(tail);
        if wanted {
            self.prepare.notify_all();
        }
    }

    /// Wakes those whose position is durable, in order, and those who wait for room.
    fn advanced(&self) {
        let durable = self.tail.borrow().durable();
        loop {
            let waker = self.waiters.borrow_mut().pop_until(durable);
            let Some(waker) = waker else { break };
            waker.wake();
        }
        self.room.notify_all();
    }

    /// Stops the log for good: `what` failed and is never retried (W5). All waiters fail.
    fn fail(&self, why: &str) {
        self.tail.borrow_mut().fail(why);
        loop {
            let waker = self.waiters.borrow_mut().pop_until(u64::MAX);
            let Some(waker) = waker else { break };
            waker.wake();
        }
        self.room.notify_all();
        self.prepare.notify_all();
        self.active.notify_all();
        self.wake_writers(usize::MAX);
    }

    fn push_watermark(&self) -> bool {
        let pushed = self.tail.borrow_mut().push_watermark();
        if pushed {
            self.wake_writers(1);
        }
        pushed
    }

    /// Whether the tasks should end.
    fn is_stopping(&self) -> bool {
        let tail = self.tail.borrow();
        tail.failed.is_some() || tail.stopping
    }
}

/// One caller that waits until `position` is durable.
struct Waiting<'a, R: Runtime> {
    inner: &'a Inner<R>,
    position: u64,
    id: Option<u64>,
}

impl<R: Runtime> Waiting<'_, R> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Position, Error>> {
        let tail = self.inner.tail.borrow();
        if tail.durable() >= self.position {
            return Poll::Ready(Ok(Position(tail.durable())));
        }
        tail.check()?;
        let mut waiters = self.inner.waiters.borrow_mut();
        let known = self.id.is_some_and(|id| waiters.renew(self.position, id, context.waker()));
        if !known {
            self.id = Some(waiters.add(self.position, context.waker()));
        }
        Poll::Pending
    }
}

impl<R: Runtime> Drop for Waiting<'_, R> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.inner.waiters.borrow_mut().remove(self.position, id);
        }
    }
}
