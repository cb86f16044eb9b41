//! Reading one segment file: a window of large reads that moves forward, and the batches in it.

use std::path::{Path, PathBuf};

use runtime::{BLOCK_BYTES, File, OpenOptions, Runtime};

use super::format::{self, BATCH_HEADER_BYTES, BatchHeader, Life, RecordAt};
use super::tail::FIRST_BATCH;
use crate::Error;

/// Bytes of one read.
pub(super) const WINDOW_BYTES: usize = 1 << 20;

const BLOCK: u64 = BLOCK_BYTES as u64;

/// A segment file that is read.
pub(crate) struct Reader<F: File> {
    path: PathBuf,
    file: F,
    size: u64,
    window: Option<(u64, F::Bytes)>,
}

/// One batch that checks, with the read that it came in.
pub(crate) struct Batch<F: File> {
    pub header: BatchHeader,
    bytes: F::Bytes,
    start: usize,
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
        format::record_at(&self.bytes[self.start..self.start + self.header.length], start)
    }
}

impl<F: File> Reader<F> {
    pub async fn open<R: Runtime<File = F>>(rt: &R, path: &Path) -> Result<Reader<F>, Error> {
        let io = |error| Error::io(path, None, error);
        let file = rt.open(path, OpenOptions::READ).await.map_err(io)?;
        let size = file.size().await.map_err(io)?;
        Ok(Reader { path: path.to_path_buf(), file, size: size - size % BLOCK, window: None })
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
    }

    /// Up to `size` bytes at `offset`, and where they begin in the read that is returned with them.
    async fn look(&mut self, offset: u64, size: usize) -> Result<(F::Bytes, usize), Error> {
        if let Some((start, bytes)) = &self.window
            && *start <= offset
            && offset + size as u64 <= start + bytes.len() as u64
        {
            let skip = usize::try_from(offset - start).expect("a window is small");
            return Ok((bytes.clone(), skip));
        }
        let wanted = format::padded(size).max(WINDOW_BYTES);
        let read = self.file.read_at(offset, wanted).await;
        let bytes = read.map_err(|error| Error::io(&self.path, Some(offset), error))?;
        self.window = Some((offset, bytes.clone()));
        Ok((bytes, 0))
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
        let (bytes, start) = self.look(offset, BATCH_HEADER_BYTES).await?;
        let header = match BatchHeader::decode(&bytes[start..], life, offset) {
            Ok(header) if offset + header.length as u64 <= self.size => header,
            Ok(_) => return bad("the batch is longer than its file"),
            Err(what) => return bad(what),
        };
        let (bytes, start) = self.look(offset, header.length).await?;
        let batch: Batch<F> = Batch { header, bytes, start };
        if batch.bytes.len() - start < header.length {
            return bad("the file ends inside the batch");
        }
        match header.payload_matches(&batch.bytes[start..], life, offset) {
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
            let (bytes, start) = self.look(offset, BATCH_HEADER_BYTES).await?;
            best = best.max(stated(&bytes[start..], seq, life, offset));
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
