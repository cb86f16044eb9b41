//! Reading one segment file: windows of large reads that move forward, several on their way, and the batches in them.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;

use runtime::{BLOCK_BYTES, Class, File, OpenOptions, Runtime};

use super::format::{self, BATCH_HEADER_BYTES, BatchHeader, Life, RecordAt};
use super::tail::FIRST_BATCH;
use crate::Error;

/// Bytes of one read; windows begin at multiples of it.
pub(super) const WINDOW_BYTES: usize = 1 << 20;
/// Windows on their way ahead of the one that is looked at.
const AHEAD_MAX: usize = 4;

const BLOCK: u64 = BLOCK_BYTES as u64;
const WINDOW: u64 = WINDOW_BYTES as u64;

/// A read that was started.
type Pending<F> = Pin<Box<dyn Future<Output = io::Result<<F as File>::Bytes>>>>;
/// Starts a read of so many bytes at an offset.
type Start<F> = Box<dyn Fn(&F, u64, usize) -> Pending<F>>;

/// A segment file that is read.
pub(crate) struct Reader<F: File> {
    path: PathBuf,
    file: F,
    size: u64,
    window: Option<(u64, F::Bytes)>,
    /// Starts reads ahead of the window; none reads only what is looked at.
    start: Option<Start<F>>,
    /// Windows that were started, in order.
    ahead: VecDeque<(u64, Pending<F>)>,
}

/// Bytes of a file, in the read that they came in or, where they lie in two, joined.
enum Piece<B> {
    Read(B, usize),
    Joined(Rc<[u8]>),
}

impl<B: std::ops::Deref<Target = [u8]>> Piece<B> {
    fn bytes(&self) -> &[u8] {
        match self {
            Piece::Read(bytes, start) => &bytes[*start..],
            Piece::Joined(bytes) => bytes,
        }
    }
}

/// One batch that checks, with the read that it came in.
pub(crate) struct Batch<F: File> {
    pub header: BatchHeader,
    piece: Piece<F::Bytes>,
}

/// Why there is no batch at an offset.
pub(crate) struct Bad {
    /// Where exactly, an offset in the file.
    pub offset: u64,
    pub what: &'static str,
}

impl<F: File> Batch<F> {
    /// The record at `start` of the batch, or what is wrong with it.
    pub fn record_at(&self, start: usize) -> Result<RecordAt<'_>, &'static str> {
        format::record_at(&self.piece.bytes()[..self.header.length], start)
    }

    /// The same for a batch whose own checksum covers the record's: not summed up a second time.
    pub fn checked_record_at(&self, start: usize) -> Result<RecordAt<'_>, &'static str> {
        format::checked_record_at(&self.piece.bytes()[..self.header.length], start)
    }
}

impl<F: File> Reader<F> {
    pub async fn open<R: Runtime<File = F>>(rt: &R, path: &Path) -> Result<Reader<F>, Error> {
        let io = |error| Error::io(path, None, error);
        let file = rt.open(path, OpenOptions::READ).await.map_err(io)?;
        let size = file.size().await.map_err(io)?;
        let (path, size) = (path.to_path_buf(), size - size % BLOCK);
        Ok(Reader { path, file, size, window: None, start: None, ahead: VecDeque::new() })
    }

    /// Keeps reads ahead of what is looked at: for whoever reads the whole file from its start.
    pub fn read_ahead<R: Runtime<File = F>>(mut self, rt: &R) -> Reader<F> {
        let rt = rt.clone();
        self.start = Some(Box::new(move |file: &F, offset, size| {
            let file = file.clone();
            let pending: Pending<F> =
                Box::pin(rt.spawn(Class::Foreground, async move { file.read_at(offset, size).await }));
            pending
        }));
        self
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whole blocks in the file, in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Forgets what was read, so that the next look goes to the device.
    pub fn refresh(&mut self) {
        self.window = None;
        self.ahead.clear();
    }

    /// Up to `size` bytes at `offset`, or more; fewer only at the end of the file.
    async fn look(&mut self, offset: u64, size: usize) -> Result<Piece<F::Bytes>, Error> {
        let (start, bytes) = self.window_at(offset).await?;
        let skip = usize::try_from(offset - start).expect("a window is small").min(bytes.len());
        if bytes.len() - skip >= size || bytes.len() < WINDOW_BYTES {
            return Ok(Piece::Read(bytes, skip));
        }
        let mut joined = Vec::with_capacity(size);
        joined.extend_from_slice(&bytes[skip..]);
        while joined.len() < size {
            let (_, bytes) = self.window_at(offset + joined.len() as u64).await?;
            let taken = bytes.len().min(size - joined.len());
            joined.extend_from_slice(&bytes[..taken]);
            if bytes.len() < WINDOW_BYTES {
                break; // The file ends here.
            }
        }
        Ok(Piece::Joined(joined.into()))
    }

    /// The window that `offset` lies in, and where it begins.
    async fn window_at(&mut self, offset: u64) -> Result<(u64, F::Bytes), Error> {
        let start = offset - offset % WINDOW;
        if let Some((at, bytes)) = self.window.as_ref().filter(|(at, _)| *at == start) {
            return Ok((*at, bytes.clone()));
        }
        self.start_ahead(start);
        while self.ahead.front().is_some_and(|(at, _)| *at < start) {
            self.ahead.pop_front();
        }
        let read = match self.ahead.pop_front_if(|(at, _)| *at == start) {
            Some((_, pending)) => pending.await,
            None => self.file.read_at(start, WINDOW_BYTES).await,
        };
        let bytes = read.map_err(|error| Error::io(&self.path, Some(start), error))?;
        self.window = Some((start, bytes.clone()));
        Ok((start, bytes))
    }

    /// Has reads on their way for the window at `from` and those behind it.
    fn start_ahead(&mut self, from: u64) {
        let Some(start) = &self.start else { return };
        let mut next = self.ahead.back().map_or(from, |(at, _)| (at + WINDOW).max(from));
        while self.ahead.len() <= AHEAD_MAX && next < self.size {
            self.ahead.push_back((next, start(&self.file, next, WINDOW_BYTES)));
            next += WINDOW;
        }
    }

    /// The first block.
    pub async fn header_block(&self) -> Result<F::Bytes, Error> {
        let read = self.file.read_at(0, BLOCK_BYTES).await;
        read.map_err(|error| Error::io(&self.path, Some(0), error))
    }

    /// The batch at `offset` that `life` wrote, or why there is none.
    pub async fn batch(&mut self, offset: u64, life: Life) -> Result<Result<Batch<F>, Bad>, Error> {
        let bad = |what| Ok(Err(Bad { offset, what }));
        if offset + BLOCK > self.size {
            return bad("the file ends here");
        }
        let piece = self.look(offset, BATCH_HEADER_BYTES).await?;
        let header = match BatchHeader::decode(piece.bytes(), life, offset) {
            Ok(header) if offset + header.length as u64 <= self.size => header,
            Ok(_) => return bad("the batch is longer than its file"),
            Err(what) => return bad(what),
        };
        let piece = self.look(offset, header.length).await?;
        let batch: Batch<F> = Batch { header, piece };
        if batch.piece.bytes().len() < header.length {
            return bad("the file ends inside the batch");
        }
        match header.payload_matches(batch.piece.bytes(), life, offset) {
            true => Ok(Ok(batch)),
            false => Ok(Err(bad_record(&batch, offset))),
        }
    }

    /// The greatest durable lsn that any batch header in the blocks from `from` to `to` states, of `life` or, when
    /// that is unknown, of whatever life of segment `seq` the batches themselves claim.
    pub async fn watermark(
        &mut self,
        from: u64,
        to: u64,
        seq: u64,
        life: Option<Life>,
    ) -> Result<Option<u64>, Error> {
        let mut offset = from.max(FIRST_BATCH);
        let mut best = None;
        while offset + BLOCK <= to.min(self.size) {
            let piece = self.look(offset, BATCH_HEADER_BYTES).await?;
            best = best.max(stated(piece.bytes(), seq, life, offset));
            offset += BLOCK;
        }
        Ok(best)
    }
}

/// The durable lsn that a batch header in `bytes` states, if there is one that checks.
fn stated(bytes: &[u8], seq: u64, life: Option<Life>, offset: u64) -> Option<u64> {
    let claimed = BatchHeader::declared_life(bytes).filter(|claimed| claimed.seq == seq)?;
    let header = BatchHeader::decode(bytes, life.unwrap_or(claimed), offset).ok()?;
    Some(header.durable_lsn)
}

/// Which record of a batch, whose header checks, is the damaged one.
fn bad_record<F: File>(batch: &Batch<F>, offset: u64) -> Bad {
    let mut start = BATCH_HEADER_BYTES;
    for _ in 0..batch.header.record_count {
        match batch.record_at(start) {
            Ok(record) => start = record.next,
            Err(what) => return Bad { offset: offset + start as u64, what },
        }
    }
    Bad { offset, what: "the batch's checksum does not match" }
}
