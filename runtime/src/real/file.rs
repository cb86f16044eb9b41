//! Direct files. glommio's buffers and read results are ours as they are: aligned, and alive while the kernel works.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use glommio::io::{DmaBuffer, DmaFile, ReadResult};

use super::system;
use crate::{BLOCK_BYTES, Buffer, File, OpenOptions};

/// An open file.
#[derive(Clone)]
pub struct RealFile {
    file: Rc<DmaFile>,
}

impl Buffer for DmaBuffer {
    fn as_slice(&self) -> &[u8] {
        self.as_bytes()
    }

    fn as_mut_slice(&mut self) -> &mut [u8] {
        self.as_bytes_mut()
    }

    fn capacity(&self) -> usize {
        DmaBuffer::capacity(self)
    }

    fn set_size(&mut self, size: usize) {
        assert_aligned("buffer of", size as u64);
        self.set_len(size);
    }
}

impl RealFile {
    pub(super) async fn open(path: &Path, options: OpenOptions) -> io::Result<RealFile> {
        assert!(options.write || !(options.create_new || options.dsync), "{options:?} of a file to be read");
        let mut open = glommio::io::OpenOptions::new();
        open.read(true).write(options.write).create_new(options.create_new).mode(0o640);
        if options.dsync {
            open.custom_flags(libc::O_DSYNC);
        }
        let file = open.dma_open(path).await?;
        Ok(RealFile { file: Rc::new(file) })
    }
}

/// Reads that are queued in one go, at most, before the device hears of them.
///
/// The executor hands its queue to the device when no task is left to run. Of 32 readers that were all woken by one
/// batch of completions, the first would wait for the work of all others, and the device would have nothing to do
/// meanwhile. More calls into the kernel, but none that carries fewer reads than this.
const READS_QUEUED_MAX: u32 = 4;

thread_local! {
    /// Reads that were queued since the last visit to the device that was asked for here.
    static READS_QUEUED: Cell<u32> = const { Cell::new(0) };
}

/// Counts a read that was queued; whether it is time to hand them over.
fn is_burst() -> bool {
    let queued = READS_QUEUED.get() + 1;
    READS_QUEUED.set(queued % READS_QUEUED_MAX);
    queued == READS_QUEUED_MAX
}

fn ready<T>(poll: Poll<T>) -> Option<T> {
    match poll {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

fn assert_aligned(what: &str, value: u64) {
    assert!(
        value.is_multiple_of(BLOCK_BYTES as u64),
        "direct I/O: {what} {value} is not a multiple of {BLOCK_BYTES}"
    );
}

impl File for RealFile {
    type Buffer = DmaBuffer;
    type Bytes = ReadResult;

    fn buffer(&self, size: usize) -> DmaBuffer {
        assert_aligned("buffer of", size as u64);
        self.file.alloc_dma_buffer(size)
    }

    async fn write_at(&self, buffer: Rc<DmaBuffer>, offset: u64) -> io::Result<()> {
        let size = buffer.len();
        assert_aligned("offset", offset);
        assert_aligned("write of", size as u64);
        assert!(size > 0, "a write of nothing");
        let written = self.file.write_rc_at(buffer, offset).await?;
        if written == size { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    async fn read_at(&self, offset: u64, size: usize) -> io::Result<ReadResult> {
        assert_aligned("offset", offset);
        assert_aligned("read of", size as u64);
        let mut read = pin!(self.file.read_at_aligned(offset, size));
        // The first poll queues it.
        if let Some(result) = poll_fn(|context| Poll::Ready(ready(read.as_mut().poll(context)))).await {
            return Ok(result?);
        }
        if is_burst() {
            glommio::executor().yield_task_queue_now().await;
        }
        Ok(read.await?)
    }

    async fn sync(&self) -> io::Result<()> {
        Ok(self.file.fdatasync().await?)
    }

    async fn allocate(&self, size: u64) -> io::Result<()> {
        if size == 0 {
            return Ok(()); // The system call refuses that.
        }
        Ok(self.file.pre_allocate(size, false).await?)
    }

    async fn truncate(&self, size: u64) -> io::Result<()> {
        Ok(self.file.truncate(size).await?)
    }

    async fn size(&self) -> io::Result<u64> {
        // glommio asks by path, which answers for another file after a rename. This call does not block on data.
        system::size_of_open(self.file.as_raw_fd())
    }
}
