//! The real runtime with a clock of its own at the sockets: from the first byte of a request that a read gives to the return of the write of its answer.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use runtime::real::{RealFile, RealListener, RealRuntime, RealStream, RealTask};
use runtime::{
    BuggifyPoint, Class, Closed, CoreId, DirEntry, Listener, Mono, OpenOptions, Purpose, Runtime, Stream,
    Ticks, Wall,
};

/// What was measured, in nanoseconds, by request.
pub type Walls = Rc<RefCell<Vec<u64>>>;

#[derive(Clone)]
pub struct Timed {
    pub rt: RealRuntime,
    pub walls: Walls,
}

pub struct TimedListener {
    listener: RealListener,
    walls: Walls,
}

pub struct TimedStream {
    stream: RealStream,
    /// When the request came that is not answered yet.
    began: Cell<Option<Instant>>,
    /// Only at the server's end.
    walls: Option<Walls>,
}

#[expect(clippy::disallowed_methods, reason = "a clock that is not the one that is tested")]
fn now() -> Instant {
    Instant::now()
}

impl Runtime for Timed {
    type File = RealFile;
    type Listener = TimedListener;
    type Stream = TimedStream;
    type Task<T: 'static> = RealTask<T>;

    fn core(&self) -> CoreId {
        self.rt.core()
    }

    fn core_count(&self) -> usize {
        self.rt.core_count()
    }

    fn now(&self) -> Mono {
        self.rt.now()
    }

    fn ticks(&self) -> Ticks {
        self.rt.ticks()
    }

    fn wall(&self) -> Wall {
        self.rt.wall()
    }

    async fn sleep(&self, duration: Duration) {
        self.rt.sleep(duration).await
    }

    fn random(&self, purpose: Purpose) -> u64 {
        self.rt.random(purpose)
    }

    fn buggify(&self, point: BuggifyPoint) -> bool {
        self.rt.buggify(point)
    }

    fn spawn<T: 'static>(&self, class: Class, future: impl Future<Output = T> + 'static) -> RealTask<T> {
        self.rt.spawn(class, future)
    }

    async fn yield_now(&self) {
        self.rt.yield_now().await
    }

    fn should_yield(&self) -> bool {
        self.rt.should_yield()
    }

    async fn open(&self, path: &Path, options: OpenOptions) -> io::Result<RealFile> {
        self.rt.open(path, options).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.rt.rename(from, to).await
    }

    async fn remove(&self, path: &Path) -> io::Result<()> {
        self.rt.remove(path).await
    }

    async fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.rt.create_dir(path).await
    }

    async fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.rt.list(path).await
    }

    async fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.rt.sync_dir(path).await
    }

    fn disk_free(&self, path: &Path) -> io::Result<u64> {
        self.rt.disk_free(path)
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<TimedListener> {
        let listener = self.rt.listen(address).await?;
        Ok(TimedListener { listener, walls: self.walls.clone() })
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TimedStream> {
        let stream = self.rt.connect(address).await?;
        Ok(TimedStream { stream, began: Cell::new(None), walls: None })
    }

    async fn mesh_send(&self, to: CoreId, packet: Vec<u8>) -> Result<(), Closed> {
        self.rt.mesh_send(to, packet).await
    }

    async fn mesh_receive(&self) -> Result<(CoreId, Vec<u8>), Closed> {
        self.rt.mesh_receive().await
    }
}

impl Listener for TimedListener {
    type Stream = TimedStream;

    async fn accept(&self) -> io::Result<(TimedStream, SocketAddr)> {
        let (stream, peer) = self.listener.accept().await?;
        Ok((TimedStream { stream, began: Cell::new(None), walls: Some(self.walls.clone()) }, peer))
    }

    fn local_address(&self) -> SocketAddr {
        self.listener.local_address()
    }
}

impl Stream for TimedStream {
    async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.stream.read(buffer).await?;
        if size > 0 && self.began.get().is_none() {
            self.began.set(Some(now()));
        }
        Ok(size)
    }

    async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        if let (Some(walls), Some(began)) = (&self.walls, self.began.take()) {
            let wall = now().duration_since(began).as_nanos();
            walls.borrow_mut().push(u64::try_from(wall).expect("a test is short"));
        }
        Ok(())
    }

    async fn shutdown(&self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    fn peer_address(&self) -> SocketAddr {
        self.stream.peer_address()
    }
}
