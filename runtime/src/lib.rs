//! The outside world behind one trait, twice: on real hardware and in simulation.
//!
//! Everything that torc does with time, chance, disks, sockets, tasks and other cores goes through [`Runtime`].
//! What has no `R: Runtime` parameter does no I/O, reads no clock and draws no random number.
//!
//! Modules in reading order:
//!
//! - this file: the trait and its words ([`Mono`], [`Wall`], [`CoreId`], [`Class`], [`OpenOptions`]).
//! - [`sync`]: what one core's tasks wait on: `oneshot`, `Notify`, `Semaphore`, `timeout`, `select`.
//! - [`tls`]: a stream inside of TLS, over any stream.
//! - [`real`]: glommio: one pinned executor per core, io_uring, direct files, sockets, mailboxes.
//! - [`sim`]: a seeded executor in one thread: virtual time, a disk that forgets, a network that fails.
//! - [`offline`]: files that are only read, for tools that look at a directory which nobody serves.
//!
//! The life of one durable write, as the trait sees it:
//!
//! 1. `file.buffer(4096)` gives an aligned buffer; the caller fills it.
//! 2. `file.write_at(buffer, offset)` sends it; the file was opened with `dsync`, so a completed write is durable.
//! 3. The core runs other tasks meanwhile; futures are `!Send` and never leave it.
//! 4. The future resolves with the bytes written, or with an error that is final: it is never retried.
//!
//! Promises: a method never blocks the core. Dropping a future of a write does not cancel the write: its outcome
//! is then unknown, as after a crash.

pub mod offline;
pub mod real;
pub mod sim;
pub mod sync;
pub mod tls;

mod random;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

/// Alignment of offsets, sizes and memory for direct I/O, in bytes. A torn write tears at smaller units (512).
pub const BLOCK_BYTES: usize = 4096;

/// A point on the monotonic clock, in nanoseconds since an arbitrary start. Never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(pub u64);

impl Mono {
    /// This point moved later by `duration`; saturates at the far end of time.
    pub fn after(self, duration: Duration) -> Mono {
        Mono(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Time from `earlier` to this point; zero when `earlier` is later.
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A point on the fine clock, in nanoseconds since an arbitrary start: what [`Runtime::ticks`] reads. Not to be held against a [`Mono`]: the two clocks
/// need not run equally fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ticks(pub u64);

impl Ticks {
    /// This point moved later by `duration`; saturates at the far end of time.
    pub fn after(self, duration: Duration) -> Ticks {
        Ticks(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Time from `earlier` to this point; zero when `earlier` is later.
    pub fn since(self, earlier: Ticks) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Wall-clock time in microseconds since 1970-01-01 UTC. May jump; only for what people and clients see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Wall(pub u64);

/// A core of this process, counted from 0: one executor, one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CoreId(pub u16);

/// What a task works for; each class has its shares of the core's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A client waits for it. 1000 shares.
    Foreground,
    /// Another replica waits for it. 800 shares.
    Replication,
    /// Flush and compaction of the LSM tree. 200 shares.
    Compaction,
    /// Nobody waits for it: scrubbing, metrics, housekeeping. 100 shares.
    Background,
}

/// One stream of random numbers per purpose, so that a draw added in one place does not reshuffle another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Seeds of hash maps.
    Hash,
    /// Ids that must not repeat: tables, segments, requests.
    Id,
    /// Jitter of timers and retries.
    Jitter,
    /// Choices of routing and balance.
    Route,
    /// Choices of a workload or a test.
    Workload,
}

/// How a file is opened. All files are opened for direct I/O: see [`BLOCK_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    /// Open for writing as well as reading.
    pub write: bool,
    /// Create the file; it must not exist yet.
    pub create_new: bool,
    /// Each completed write is durable (O_DSYNC).
    pub dsync: bool,
}

impl OpenOptions {
    /// For reading only.
    pub const READ: OpenOptions = OpenOptions { write: false, create_new: false, dsync: false };
    /// A new file, written and then synced by hand.
    pub const CREATE: OpenOptions = OpenOptions { write: true, create_new: true, dsync: false };
    /// A new file, each write of which is durable when it completes.
    pub const CREATE_DSYNC: OpenOptions = OpenOptions { write: true, create_new: true, dsync: true };
    /// An existing file, each write of which is durable when it completes.
    pub const WRITE_DSYNC: OpenOptions = OpenOptions { write: true, create_new: false, dsync: true };
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// The last part of its path.
    pub name: String,
    /// Whether it is a directory itself.
    pub is_dir: bool,
    /// Size in bytes; 0 for directories.
    pub size: u64,
}

/// The other end is gone: the core, the process or the task that held it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the other end is closed")
    }
}

impl std::error::Error for Closed {}

/// What a core's ring has done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingFigures {
    /// Direct reads.
    pub reads: u64,
    /// Bytes that they gave.
    pub read_bytes: u64,
    /// Direct writes.
    pub writes: u64,
    /// Bytes that they took.
    pub written_bytes: u64,
    /// Files that were opened.
    pub files_opened: u64,
    /// Files that were closed.
    pub files_closed: u64,
}

/// Where the world may be asked for something else than the ordinary, legal and rare, in simulation.
pub type BuggifyPoint = &'static str;

/// One core's outside world. Cheap to clone; all clones of one core are the same.
///
/// The only type parameter of the system: `Tree<R>`, `Shard<R>`, `Router<R>`.
pub trait Runtime: Clone + 'static {
    /// An open file.
    type File: File;
    /// A socket that accepts.
    type Listener: Listener<Stream = Self::Stream>;
    /// A connected socket.
    type Stream: Stream;
    /// A spawned task; see [`Task`].
    type Task<T: 'static>: Task<T>;

    /// The core that this handle belongs to.
    fn core(&self) -> CoreId;

    /// Cores of this process, at least 1; ids run from 0 to this less 1.
    fn core_count(&self) -> usize;

    /// The monotonic clock.
    fn now(&self) -> Mono;

    /// The fine clock: for measuring, at a third of the price of `now`. Never goes back on one core; its rate is right to a few parts in a hundred
    /// thousand. Whoever must not be wrong about time asks [`Runtime::now`].
    fn ticks(&self) -> Ticks {
        Ticks(self.now().0)
    }

    /// The wall clock.
    fn wall(&self) -> Wall;

    /// Resolves when `duration` has passed.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()>;

    /// What this core's ring has done; nothing where there is none.
    fn ring_figures(&self) -> RingFigures {
        RingFigures::default()
    }

    /// A random number from the stream of `purpose`: unpredictable on real hardware, repeatable in simulation.
    fn random(&self, purpose: Purpose) -> u64;

    /// Whether to take the rare but legal branch at `point`. Always false on real hardware.
    fn buggify(&self, point: BuggifyPoint) -> bool;

    /// A rare branch was taken: simulation counts it, so that one that no seed ever takes is noticed. Nothing on real hardware.
    fn mark(&self, _branch: BuggifyPoint) {}

    /// Starts a task of `class` on this core. Dropping the handle cancels the task at its next await.
    fn spawn<T: 'static>(&self, class: Class, future: impl Future<Output = T> + 'static) -> Self::Task<T>;

    /// Lets other tasks run, and comes back.
    fn yield_now(&self) -> impl Future<Output = ()>;

    /// Whether this task has held the core for its share; a loop over data asks and then calls `yield_now`.
    fn should_yield(&self) -> bool;

    /// Opens a file for direct I/O. The name of a new file is durable only after `sync_dir` of its directory.
    fn open(&self, path: &Path, options: OpenOptions) -> impl Future<Output = io::Result<Self::File>>;

    /// Renames a file, replacing the target. Durable only after `sync_dir`.
    fn rename(&self, from: &Path, to: &Path) -> impl Future<Output = io::Result<()>>;

    /// Removes a file. Durable only after `sync_dir`.
    fn remove(&self, path: &Path) -> impl Future<Output = io::Result<()>>;

    /// Creates a directory and those above it; fine if it exists.
    fn create_dir(&self, path: &Path) -> impl Future<Output = io::Result<()>>;

    /// Lists a directory, sorted by name.
    fn list(&self, path: &Path) -> impl Future<Output = io::Result<Vec<DirEntry>>>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> impl Future<Output = io::Result<()>>;

    /// Bytes that are free to ordinary users on the file system of `path`.
    fn disk_free(&self, path: &Path) -> io::Result<u64>;

    /// Listens on `address`; port 0 picks one. On real hardware several cores may listen on the same port, and the
    /// kernel spreads connections over them.
    fn listen(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Listener>>;

    /// Connects to `address`.
    fn connect(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>>;

    /// Puts a packet into the mailbox of core `to` of this process; waits while that mailbox is full.
    fn mesh_send(&self, to: CoreId, packet: Vec<u8>) -> impl Future<Output = Result<(), Closed>>;

    /// The next packet from any core, with its sender. One task per core receives.
    fn mesh_receive(&self) -> impl Future<Output = Result<(CoreId, Vec<u8>), Closed>>;
}

/// A spawned task: await it for its result, drop it to cancel it, detach it to let it run on its own.
pub trait Task<T>: Future<Output = T> + Unpin {
    /// Lets the task run to its end with no owner. For tasks that end by themselves.
    fn detach(self);
}

/// An open file of direct I/O: offsets, sizes and buffers are multiples of [`BLOCK_BYTES`].
///
/// Cheap to clone; closed when the last clone is dropped.
pub trait File: Clone + 'static {
    /// An aligned buffer for writing.
    type Buffer: Buffer;
    /// Bytes that were read; cheap to clone, keeps its memory.
    type Bytes: std::ops::Deref<Target = [u8]> + Clone + 'static;

    /// A buffer of `size` bytes, a multiple of [`BLOCK_BYTES`]; its content is unspecified.
    fn buffer(&self, size: usize) -> Self::Buffer;

    /// Writes the whole buffer at `offset`. The buffer comes back to whoever keeps a clone of the `Rc`, for reuse,
    /// once the write is over. A short write is an error (`WriteZero`).
    fn write_at(&self, buffer: Rc<Self::Buffer>, offset: u64) -> impl Future<Output = io::Result<()>>;

    /// Reads up to `size` bytes at `offset`; fewer only at the end of the file.
    fn read_at(&self, offset: u64, size: usize) -> impl Future<Output = io::Result<Self::Bytes>>;

    /// Makes all completed writes durable. An error is final: the caller gives the file up and never retries.
    fn sync(&self) -> impl Future<Output = io::Result<()>>;

    /// Reserves blocks for the first `size` bytes and extends the file to that size.
    fn allocate(&self, size: u64) -> impl Future<Output = io::Result<()>>;

    /// Cuts or extends the file to `size` bytes.
    fn truncate(&self, size: u64) -> impl Future<Output = io::Result<()>>;

    /// Size in bytes.
    fn size(&self) -> impl Future<Output = io::Result<u64>>;
}

/// Aligned memory that is filled and then written.
pub trait Buffer: 'static {
    /// Its bytes.
    fn as_slice(&self) -> &[u8];
    /// Its bytes, to be filled.
    fn as_mut_slice(&mut self) -> &mut [u8];
    /// Bytes that it was made with.
    fn capacity(&self) -> usize;
    /// Makes its first `size` bytes the ones that it has and that a write takes: whole blocks, at most `capacity`, less
    /// or more than now. So one buffer serves writes of different sizes. The content of bytes that come back is unspecified.
    fn set_size(&mut self, size: usize);
}

/// A socket that accepts connections.
pub trait Listener: 'static {
    /// What it accepts.
    type Stream: Stream;

    /// The next connection and where it comes from.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>>;

    /// The address that it is bound to.
    fn local_address(&self) -> SocketAddr;
}

/// A connected socket. One task may read while another writes; closed when dropped.
pub trait Stream: 'static {
    /// Reads what is there, up to the buffer's size; 0 is the end.
    fn read(&self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>>;

    /// Writes all bytes.
    fn write_all(&self, bytes: &[u8]) -> impl Future<Output = io::Result<()>>;

    /// Tells the other side that nothing more will be written; reading goes on.
    fn shutdown(&self) -> impl Future<Output = io::Result<()>>;

    /// The other side's address.
    fn peer_address(&self) -> SocketAddr;
}
