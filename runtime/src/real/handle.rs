//! The [`Runtime`] of one core of this process.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use glommio::{Latency, Shares, TaskQueueHandle};

use super::file::RealFile;
use super::mesh::Mesh;
use super::net::{RealListener, RealStream};
use super::system;
use super::ticks::FineClock;
use crate::random::Stream;
use crate::{
    BuggifyPoint, Class, Closed, CoreId, DirEntry, Mono, OpenOptions, Purpose, RingFigures, Runtime, Task,
    Ticks, Wall,
};

/// How long a task of a class with waiting clients may be kept from the core by others before it is preferred.
const FOREGROUND_LATENCY: Duration = Duration::from_millis(2);

const PURPOSES: usize = 5;

/// A core of this process.
#[derive(Clone)]
pub struct RealRuntime {
    here: Rc<Here>,
}

struct Here {
    core: CoreId,
    core_count: usize,
    mesh: Mesh,
    queues: Queues,
    clock: FineClock,
    /// What was counted before the executor's own counters were read and so began anew.
    ring: Cell<RingFigures>,
    /// One per purpose, each seeded by the kernel.
    random: RefCell<[Stream; PURPOSES]>,
}

struct Queues {
    foreground: TaskQueueHandle,
    replication: TaskQueueHandle,
    compaction: TaskQueueHandle,
    background: TaskQueueHandle,
    pump: TaskQueueHandle,
}

impl Queues {
    /// On the executor of the calling thread. Shares as [`Class`] says.
    fn new() -> Queues {
        let queue = |shares, latency, name| {
            glommio::executor().create_task_queue(Shares::Static(shares), latency, name)
        };
        Queues {
            foreground: queue(1000, Latency::Matters(FOREGROUND_LATENCY), "foreground"),
            replication: queue(800, Latency::Matters(FOREGROUND_LATENCY), "replication"),
            compaction: queue(200, Latency::NotImportant, "compaction"),
            background: queue(100, Latency::NotImportant, "background"),
            // Not latency sensitive: glommio would then make a system call for each wake from another core, even
            // for one that is awake.
            pump: queue(1000, Latency::NotImportant, "pump"),
        }
    }

    fn of(&self, class: Class) -> TaskQueueHandle {
        match class {
            Class::Foreground => self.foreground,
            Class::Replication => self.replication,
            Class::Compaction => self.compaction,
            Class::Background => self.background,
        }
    }
}

impl RealRuntime {
    /// For the executor of the calling thread; starts its pump.
    pub(super) fn start(core: CoreId, core_count: usize, mesh: Mesh) -> io::Result<RealRuntime> {
        let seeds: [u64; PURPOSES] = system::random_words()?;
        let random = RefCell::new(seeds.map(|seed| Stream::new(seed, "purpose", 0)));
        let (queues, clock) = (Queues::new(), FineClock::get());
        let here = Rc::new(Here { core, core_count, mesh, queues, clock, ring: Cell::default(), random });
        let pump = here.clone();
        glommio::spawn_local_into(async move { pump.mesh.pump().await }, here.queues.pump)?.detach();
        Ok(RealRuntime { here })
    }

    /// The core ends: others shall not wait for it.
    pub(super) fn close(&self) {
        self.here.mesh.close();
    }

    /// Resolves when [`Stopper::stop`](super::Stopper::stop) was called.
    pub async fn stopped(&self) {
        self.here.mesh.stopped().await;
    }
}

/// The start of this process's monotonic time, for all cores.
static BEGIN: OnceLock<Instant> = OnceLock::new();

#[expect(clippy::disallowed_methods, reason = "this is what `Runtime::now` is made of")]
pub(super) fn instant() -> Instant {
    Instant::now() // CLOCK_MONOTONIC, through the vDSO: about 20 ns.
}

fn purpose_index(purpose: Purpose) -> usize {
    match purpose {
        Purpose::Hash => 0,
        Purpose::Id => 1,
        Purpose::Jitter => 2,
        Purpose::Route => 3,
        Purpose::Workload => 4,
    }
}

/// Runs blocking work on this core's helper thread.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    glommio::executor().spawn_blocking(work).await
}

#[expect(clippy::disallowed_methods, reason = "this is what `Runtime::list` is made of")]
pub(crate) fn list_now(path: &Path) -> io::Result<Vec<DirEntry>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let about = match entry.metadata() {
            Ok(about) => about,
            // Removed since the directory was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let name = entry.file_name().into_string().map_err(|name| {
            io::Error::new(io::ErrorKind::InvalidFilename, format!("{} is not UTF-8", name.display()))
        })?;
        let size = if about.is_dir() { 0 } else { about.len() };
        entries.push(DirEntry { name, is_dir: about.is_dir(), size });
    }
    entries.sort();
    Ok(entries)
}

/// A full fsync, not fdatasync: for a directory ext4 counts a new name as metadata that fdatasync may leave behind.
#[expect(clippy::disallowed_types, reason = "glommio only offers fdatasync for directories")]
fn sync_dir_now(path: &Path) -> io::Result<()> {
    std::fs::File::open(path)?.sync_all()
}

impl Runtime for RealRuntime {
    type File = RealFile;
    type Listener = RealListener;
    type Stream = RealStream;
    type Task<T: 'static> = RealTask<T>;

    fn core(&self) -> CoreId {
        self.here.core
    }

    fn core_count(&self) -> usize {
        self.here.core_count
    }

    fn now(&self) -> Mono {
        let begin = *BEGIN.get_or_init(instant);
        Mono(u64::try_from(instant().saturating_duration_since(begin).as_nanos()).unwrap_or(u64::MAX))
    }

    fn ticks(&self) -> Ticks {
        Ticks(self.here.clock.nanos())
    }

    #[expect(clippy::disallowed_methods, reason = "this is what `Runtime::wall` is made of")]
    fn wall(&self) -> Wall {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Wall(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    fn ring_figures(&self) -> RingFigures {
        let (before, stats) = (self.here.ring.get(), glommio::executor().io_stats().all_rings());
        let ((reads, read_bytes), (writes, written_bytes)) = (stats.file_reads(), stats.file_writes());
        let figures = RingFigures {
            reads: before.reads + reads,
            read_bytes: before.read_bytes + read_bytes,
            writes: before.writes + writes,
            written_bytes: before.written_bytes + written_bytes,
            files_opened: before.files_opened + stats.files_opened(),
            files_closed: before.files_closed + stats.files_closed(),
        };
        self.here.ring.set(figures);
        figures
    }

    async fn sleep(&self, duration: Duration) {
        glommio::timer::sleep(duration).await;
    }

    fn random(&self, purpose: Purpose) -> u64 {
        self.here.random.borrow_mut()[purpose_index(purpose)].next()
    }

    fn buggify(&self, _point: BuggifyPoint) -> bool {
        false
    }

    fn spawn<T: 'static>(&self, class: Class, future: impl Future<Output = T> + 'static) -> RealTask<T> {
        let task = glommio::spawn_local_into(future, self.here.queues.of(class));
        RealTask { task: task.expect("the queues live as long as the executor") }
    }

    async fn yield_now(&self) {
        // Also to tasks of other classes; a plain yield only goes to the end of its own queue.
        glommio::executor().yield_task_queue_now().await;
    }

    fn should_yield(&self) -> bool {
        glommio::executor().need_preempt()
    }

    async fn open(&self, path: &Path, options: OpenOptions) -> io::Result<RealFile> {
        RealFile::open(path, options).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Ok(glommio::io::rename(from, to).await?)
    }

    async fn remove(&self, path: &Path) -> io::Result<()> {
        Ok(glommio::io::remove(path).await?)
    }

    #[expect(clippy::disallowed_methods, reason = "this is what `Runtime::create_dir` is made of")]
    async fn create_dir(&self, path: &Path) -> io::Result<()> {
        let path = path.to_owned();
        aside(move || std::fs::create_dir_all(path)).await
    }

    async fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let path = path.to_owned();
        aside(move || list_now(&path)).await
    }

    async fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let path = path.to_owned();
        aside(move || sync_dir_now(&path)).await
    }

    fn disk_free(&self, path: &Path) -> io::Result<u64> {
        system::file_system(path).map(|(_, free)| free)
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<RealListener> {
        RealListener::bind(address)
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<RealStream> {
        RealStream::connect(address).await
    }

    async fn mesh_send(&self, to: CoreId, packet: Vec<u8>) -> Result<(), Closed> {
        self.here.mesh.send(to, packet).await
    }

    async fn mesh_receive(&self) -> Result<(CoreId, Vec<u8>), Closed> {
        self.here.mesh.receive().await
    }
}

/// A spawned task.
pub struct RealTask<T> {
    task: glommio::Task<T>,
}

impl<T> Future for RealTask<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.task).poll(context)
    }
}

impl<T: 'static> Task<T> for RealTask<T> {
    fn detach(self) {
        self.task.detach();
    }
}
