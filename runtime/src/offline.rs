//! Files that are only read: the runtime of tools that look at a data directory which nobody serves.
//!
//! ```text
//! block_on(future) ── OfflineRuntime ── open, list, read_at: plain blocking calls
//!                                       everything that changes anything: an error
//! ```
//!
//! 1. One thread, one future: [`block_on`] polls it to its end. A read blocks, so no future ever waits for another.
//! 2. Files are read past the page cache where the file system can: what is checked is what the device gives back, not
//!    what memory remembers. Elsewhere they are read as they are.
//! 3. No rings, no locked memory, no file of its own: it works on a read-only mount and on any Linux.
//!
//! Promises: nothing on the disk is changed, whatever code runs on it: writing, creating, renaming, removing and syncing
//! are refused. Leaves to others: whether somebody else changes the files meanwhile.

use std::cell::RefCell;
use std::fs;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::random::Stream;
use crate::{
    BLOCK_BYTES, Buffer, BuggifyPoint, Class, Closed, CoreId, DirEntry, File, Listener, Mono, OpenOptions,
    Purpose, Runtime, Task, Wall,
};

/// Polls `future` to its end on this thread.
///
/// # Panics
/// When it waits for something that nothing will ever wake: there is nobody else.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(woken.clone());
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        assert!(woken.0.swap(false, Ordering::Relaxed), "it waits for nothing that could happen");
    }
}

/// Whether the one future was woken since its last poll.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The runtime; see the story of this module.
#[derive(Clone)]
pub struct OfflineRuntime {
    random: Rc<RefCell<Stream>>,
}

impl OfflineRuntime {
    /// A runtime whose random numbers are always the same: what is told about a directory is, too.
    pub fn new() -> OfflineRuntime {
        OfflineRuntime { random: Rc::new(RefCell::new(Stream::new(0, "offline", 0))) }
    }
}

impl Default for OfflineRuntime {
    fn default() -> OfflineRuntime {
        OfflineRuntime::new()
    }
}

fn refused<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "this program only reads"))
}

impl Runtime for OfflineRuntime {
    type File = OfflineFile;
    type Listener = OfflineSocket;
    type Stream = OfflineSocket;
    type Task<T: 'static> = OfflineTask<T>;

    fn core(&self) -> CoreId {
        CoreId(0)
    }

    fn core_count(&self) -> usize {
        1
    }

    fn now(&self) -> Mono {
        Mono(0)
    }

    fn wall(&self) -> Wall {
        Wall(0)
    }

    async fn sleep(&self, _duration: Duration) {}

    fn random(&self, _purpose: Purpose) -> u64 {
        self.random.borrow_mut().next()
    }

    fn buggify(&self, _point: BuggifyPoint) -> bool {
        false
    }

    fn spawn<T: 'static>(&self, _class: Class, future: impl Future<Output = T> + 'static) -> OfflineTask<T> {
        OfflineTask { future: Box::pin(future) }
    }

    async fn yield_now(&self) {}

    fn should_yield(&self) -> bool {
        false
    }

    async fn open(&self, path: &Path, options: OpenOptions) -> io::Result<OfflineFile> {
        if options.write || options.create_new {
            return refused();
        }
        OfflineFile::open(path)
    }

    async fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        refused()
    }

    async fn remove(&self, _path: &Path) -> io::Result<()> {
        refused()
    }

    async fn create_dir(&self, _path: &Path) -> io::Result<()> {
        refused()
    }

    async fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        crate::real::list_now(path)
    }

    async fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        refused()
    }

    fn disk_free(&self, _path: &Path) -> io::Result<u64> {
        Ok(0)
    }

    async fn listen(&self, _address: SocketAddr) -> io::Result<OfflineSocket> {
        refused()
    }

    async fn connect(&self, _address: SocketAddr) -> io::Result<OfflineSocket> {
        refused()
    }

    async fn mesh_send(&self, _to: CoreId, _packet: Vec<u8>) -> Result<(), Closed> {
        Err(Closed)
    }

    async fn mesh_receive(&self) -> Result<(CoreId, Vec<u8>), Closed> {
        Err(Closed)
    }
}

/// A task that runs when somebody waits for it, and not otherwise.
pub struct OfflineTask<T> {
    future: Pin<Box<dyn Future<Output = T>>>,
}

impl<T> Future for OfflineTask<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        self.future.as_mut().poll(context)
    }
}

impl<T: 'static> Task<T> for OfflineTask<T> {
    fn detach(self) {
        block_on(self);
    }
}

/// A file that is only read.
#[derive(Clone)]
pub struct OfflineFile {
    file: Rc<ReadFile>,
}

#[expect(clippy::disallowed_types, reason = "this is what `Runtime::open` is made of")]
type ReadFile = fs::File;

impl OfflineFile {
    /// Past the page cache if the file system can do that.
    fn open(path: &Path) -> io::Result<OfflineFile> {
        let direct = ReadFile::options().read(true).custom_flags(libc::O_DIRECT).open(path);
        let file = match direct {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                ReadFile::options().read(true).open(path)?
            }
            other => other?,
        };
        Ok(OfflineFile { file: Rc::new(file) })
    }
}

/// Bytes that were read; aligned in memory, as direct reads want it.
#[derive(Clone)]
pub struct OfflineBytes {
    bytes: Rc<Vec<u8>>,
    start: usize,
    end: usize,
}

impl Deref for OfflineBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }
}

/// Memory that will never be written to a file.
pub struct OfflineBuffer {
    bytes: Vec<u8>,
    size: usize,
}

impl Buffer for OfflineBuffer {
    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.size]
    }

    fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.size]
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }

    fn set_size(&mut self, size: usize) {
        assert!(size <= self.bytes.len(), "a buffer of {} bytes cannot have {size}", self.bytes.len());
        self.size = size;
    }
}

impl File for OfflineFile {
    type Buffer = OfflineBuffer;
    type Bytes = OfflineBytes;

    fn buffer(&self, size: usize) -> OfflineBuffer {
        OfflineBuffer { bytes: vec![0; size], size }
    }

    async fn write_at(&self, _buffer: Rc<OfflineBuffer>, _offset: u64) -> io::Result<()> {
        refused()
    }

    async fn read_at(&self, offset: u64, size: usize) -> io::Result<OfflineBytes> {
        assert!(offset.is_multiple_of(BLOCK_BYTES as u64), "direct reads begin at a block");
        let mut bytes = vec![0; size + BLOCK_BYTES];
        let start = bytes.as_ptr().align_offset(BLOCK_BYTES);
        assert!(start < BLOCK_BYTES, "there is an aligned place in what was allocated");
        let mut end = start;
        while end < start + size {
            let at = offset + (end - start) as u64;
            match self.file.read_at(&mut bytes[end..start + size], at) {
                Ok(0) => break,
                Ok(read) => end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if !(end - start).is_multiple_of(BLOCK_BYTES) {
                break; // The end of the file, inside a block.
            }
        }
        Ok(OfflineBytes { bytes: Rc::new(bytes), start, end })
    }

    async fn sync(&self) -> io::Result<()> {
        refused()
    }

    async fn allocate(&self, _size: u64) -> io::Result<()> {
        refused()
    }

    async fn truncate(&self, _size: u64) -> io::Result<()> {
        refused()
    }

    async fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

/// A socket that never was: this runtime gives none.
pub enum OfflineSocket {}

impl Listener for OfflineSocket {
    type Stream = OfflineSocket;

    async fn accept(&self) -> io::Result<(OfflineSocket, SocketAddr)> {
        match *self {}
    }

    fn local_address(&self) -> SocketAddr {
        match *self {}
    }
}

impl crate::Stream for OfflineSocket {
    async fn read(&self, _buffer: &mut [u8]) -> io::Result<usize> {
        match *self {}
    }

    async fn write_all(&self, _bytes: &[u8]) -> io::Result<()> {
        match *self {}
    }

    async fn shutdown(&self) -> io::Result<()> {
        match *self {}
    }

    fn peer_address(&self) -> SocketAddr {
        match *self {}
    }
}

#[cfg(test)]
mod tests;
