//! The line between torc and the world that it runs in, drawn so that Callgrind can see it.
//!
//! ```text
//! executor --torc_inside--> a task of torc --torc_outside--> clock, disk, socket, timer of the simulator
//!                           counted                         not counted
//! ```
//!
//! [`Counted`] is the simulated runtime with a gate at every door: each poll of a task of torc goes through [`torc_inside`],
//! each call of the runtime through [`torc_outside`]. Both are plain functions with names that Callgrind's
//! `--toggle-collect` finds, and they never nest in themselves. What is counted is therefore torc's own code, with the allocator, the wakers and the
//! futures that it uses, and without the simulator's disk, network, clock and executor.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use runtime::sim::SimRuntime;
use runtime::{
    BuggifyPoint, Class, Closed, CoreId, DirEntry, File, Listener, Mono, OpenOptions, Purpose, Runtime,
    Stream, Ticks, Wall,
};

/// What Callgrind is to be told: nothing is counted at first, each gate turns counting on or off and back.
pub const GATES: [&str; 3] =
    ["--collect-atstart=no", "--toggle-collect=*torc_inside*", "--toggle-collect=*torc_outside*"];

/// Runs `work`, which is torc's.
#[inline(never)]
pub fn torc_inside(work: &mut dyn FnMut()) {
    std::hint::black_box(work)();
}

/// Runs `work`, which is the simulator's.
#[inline(never)]
pub fn torc_outside(work: &mut dyn FnMut()) {
    std::hint::black_box(work)();
}

fn outside<T>(work: impl FnOnce() -> T) -> T {
    let (mut work, mut output) = (Some(work), None);
    torc_outside(&mut || output = work.take().map(|work| work()));
    output.expect("the gate runs what it is given")
}

/// A task of torc: polled inside.
async fn task<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let poll = |context: &mut Context<'_>| {
        let mut outcome = Poll::Pending;
        torc_inside(&mut || outcome = future.as_mut().poll(context));
        outcome
    };
    std::future::poll_fn(poll).await
}

/// A call of the runtime: made and polled outside, as long as it may take.
async fn call<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| outside(|| future.as_mut().poll(context))).await
}

/// A core of the simulated node that is counted.
#[derive(Clone)]
pub struct Counted {
    pub sim: SimRuntime,
    counter: Rc<Cell<u64>>,
}

impl Counted {
    pub fn new(sim: SimRuntime) -> Counted {
        Counted { sim, counter: Rc::default() }
    }
}

/// What a reading of the fine clock is later than the one before, and how it becomes nanoseconds: as `runtime::real` does it.
const COUNTS: u64 = 3000;
const SCALE: u64 = (1 << 32) / 3;

/// What one of its sockets, listeners and files are.
#[derive(Clone)]
pub struct Door<T>(T);

impl Runtime for Counted {
    type File = Door<<SimRuntime as Runtime>::File>;
    type Listener = Door<<SimRuntime as Runtime>::Listener>;
    type Stream = Door<<SimRuntime as Runtime>::Stream>;
    type Task<T: 'static> = <SimRuntime as Runtime>::Task<T>;

    fn core(&self) -> CoreId {
        self.sim.core()
    }

    fn core_count(&self) -> usize {
        self.sim.core_count()
    }

    fn now(&self) -> Mono {
        outside(|| self.sim.now())
    }

    /// Counted as torc's, with the multiplication that real hardware takes: a gate would be dearer than what is behind it.
    fn ticks(&self) -> Ticks {
        let count = self.counter.get() + COUNTS;
        self.counter.set(count);
        Ticks(((u128::from(count) * u128::from(SCALE)) >> 32) as u64)
    }

    fn wall(&self) -> Wall {
        outside(|| self.sim.wall())
    }

    async fn sleep(&self, duration: Duration) {
        call(self.sim.sleep(duration)).await
    }

    fn random(&self, purpose: Purpose) -> u64 {
        outside(|| self.sim.random(purpose))
    }

    /// As on real hardware.
    fn buggify(&self, _point: BuggifyPoint) -> bool {
        false
    }

    fn spawn<T: 'static>(&self, class: Class, future: impl Future<Output = T> + 'static) -> Self::Task<T> {
        outside(|| self.sim.spawn(class, task(future)))
    }

    async fn yield_now(&self) {
        call(self.sim.yield_now()).await
    }

    /// Nobody else wants the core.
    fn should_yield(&self) -> bool {
        false
    }

    async fn open(&self, path: &Path, options: OpenOptions) -> io::Result<Self::File> {
        call(self.sim.open(path, options)).await.map(Door)
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        call(self.sim.rename(from, to)).await
    }

    async fn remove(&self, path: &Path) -> io::Result<()> {
        call(self.sim.remove(path)).await
    }

    async fn create_dir(&self, path: &Path) -> io::Result<()> {
        call(self.sim.create_dir(path)).await
    }

    async fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        call(self.sim.list(path)).await
    }

    async fn sync_dir(&self, path: &Path) -> io::Result<()> {
        call(self.sim.sync_dir(path)).await
    }

    fn disk_free(&self, path: &Path) -> io::Result<u64> {
        outside(|| self.sim.disk_free(path))
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<Self::Listener> {
        call(self.sim.listen(address)).await.map(Door)
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Self::Stream> {
        call(self.sim.connect(address)).await.map(Door)
    }

    async fn mesh_send(&self, to: CoreId, packet: Vec<u8>) -> Result<(), Closed> {
        call(self.sim.mesh_send(to, packet)).await
    }

    async fn mesh_receive(&self) -> Result<(CoreId, Vec<u8>), Closed> {
        call(self.sim.mesh_receive()).await
    }
}

impl<F: File> File for Door<F> {
    type Buffer = F::Buffer;
    type Bytes = F::Bytes;

    fn buffer(&self, size: usize) -> F::Buffer {
        outside(|| self.0.buffer(size))
    }

    async fn write_at(&self, buffer: Rc<F::Buffer>, offset: u64) -> io::Result<()> {
        call(self.0.write_at(buffer, offset)).await
    }

    async fn read_at(&self, offset: u64, size: usize) -> io::Result<F::Bytes> {
        call(self.0.read_at(offset, size)).await
    }

    async fn sync(&self) -> io::Result<()> {
        call(self.0.sync()).await
    }

    async fn allocate(&self, size: u64) -> io::Result<()> {
        call(self.0.allocate(size)).await
    }

    async fn truncate(&self, size: u64) -> io::Result<()> {
        call(self.0.truncate(size)).await
    }

    async fn size(&self) -> io::Result<u64> {
        call(self.0.size()).await
    }
}

impl<L: Listener> Listener for Door<L> {
    type Stream = Door<L::Stream>;

    async fn accept(&self) -> io::Result<(Door<L::Stream>, SocketAddr)> {
        let (stream, peer) = call(self.0.accept()).await?;
        Ok((Door(stream), peer))
    }

    fn local_address(&self) -> SocketAddr {
        self.0.local_address()
    }
}

impl<S: Stream> Stream for Door<S> {
    async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        call(self.0.read(buffer)).await
    }

    async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        call(self.0.write_all(bytes)).await
    }

    async fn shutdown(&self) -> io::Result<()> {
        call(self.0.shutdown()).await
    }

    fn peer_address(&self) -> SocketAddr {
        self.0.peer_address()
    }
}
