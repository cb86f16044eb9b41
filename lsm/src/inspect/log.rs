//! Log segments: what is in one, and whether the segments of a directory are a log that would open.
//!
//! 1. [`Segment::open`] reads a header; [`Segment::next`] walks the batches up to the first that does not check. For
//!    one file alone that is all that can be said: whether it is the log's end is a matter of the whole directory.
//! 2. [`verify`] reads the directory as opening it would, and stops where that would finish: the same judge tells a
//!    torn end from damage (W7). Segments behind the first damage are then looked through one by one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use runtime::{BLOCK_BYTES, Runtime};

use super::{Problem, Watch};
use crate::Error;
use crate::log::format::{BATCH_HEADER_BYTES, FORMAT_VERSION, Name, NoHeader, SegmentHeader, padded};
use crate::log::recover::{self, Found};
use crate::log::segment::{Batch, Reader};
use crate::log::{Identity, Log, LogOptions, Record};

/// A segment's header, as FORMAT.md names its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whose log.
    pub identity: Identity,
    /// The segment's sequence number.
    pub seq: u64,
    /// Random, new in each life of the file.
    pub epoch: u64,
    /// Whether the whole file had been written before.
    pub whole: bool,
    /// Bytes of the file.
    pub segment_bytes: u64,
    /// The oldest segment that was needed when the header was written.
    pub head: u64,
    /// The segment before, 0 for the first of all.
    pub prev_seq: u64,
    /// Where that one ends.
    pub prev_end: u64,
    /// The checksum of the last batch before this segment.
    pub prev_chain: u32,
    /// Number of the first batch in this segment.
    pub first_lsn: u64,
    /// Position of the first batch.
    pub position: u64,
    /// Every batch up to this one was durable when the header was written.
    pub durable_lsn: u64,
}

impl From<&SegmentHeader> for Header {
    fn from(header: &SegmentHeader) -> Header {
        Header {
            identity: header.identity,
            seq: header.life.seq,
            epoch: header.life.epoch,
            whole: header.whole,
            segment_bytes: header.segment_bytes,
            head: header.head,
            prev_seq: header.prev_seq,
            prev_end: header.prev_end,
            prev_chain: header.prev_chain,
            first_lsn: header.first_lsn,
            position: header.position,
            durable_lsn: header.durable_lsn,
        }
    }
}

/// What a segment file's name and first block say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The file.
    pub path: PathBuf,
    /// The sequence number in its name.
    pub seq: u64,
    /// The head in its name.
    pub head: u64,
    /// Bytes of the file.
    pub size: u64,
    /// The header, or why there is none.
    pub header: Result<Header, &'static str>,
    /// Whether the header is that of the life that the name says: the file holds records of the log, or did lately.
    pub active: bool,
}

/// One batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchAbout {
    /// Where it begins in the file.
    pub offset: u64,
    /// Bytes of its header and records.
    pub length: u64,
    /// Bytes with the padding behind them.
    pub padded: u64,
    /// Its number.
    pub lsn: u64,
    /// Its place among all batches ever written.
    pub position: u64,
    /// Every batch up to this one was durable when it was closed.
    pub durable_lsn: u64,
    /// The checksum of the batch before.
    pub chain: u32,
    /// Its own checksum.
    pub checksum: u32,
    /// Records in it; 0 in a watermark.
    pub record_count: u32,
}

/// One record and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordAbout<'a> {
    /// Where it begins in the file.
    pub offset: u64,
    /// Its position in the log: where it ends.
    pub position: u64,
    /// The record.
    pub record: Record<'a>,
}

/// Whether a file is called as a log segment is.
pub fn is_segment_name(name: &str) -> bool {
    Name::parse(name).is_some()
}

/// A segment file that is read batch by batch.
pub struct Segment<R: Runtime> {
    about: About,
    header: Option<SegmentHeader>,
    reader: Reader<R::File>,
    offset: u64,
    batch: Option<Batch<R::File>>,
    end: Option<(u64, &'static str)>,
}

impl<R: Runtime> Segment<R> {
    /// Reads name and header of the segment at `path`.
    ///
    /// Errors: `Io`; `Version`; `Corrupt` when the file is not called as a segment is.
    pub async fn open(rt: &R, path: &Path) -> Result<Segment<R>, Error> {
        let name = path.file_name().and_then(|name| name.to_str()).and_then(Name::parse);
        let name = name.ok_or_else(|| Error::corrupt(path, 0, "not the name of a log segment"))?;
        let reader = Reader::<R::File>::open(rt, path).await?;
        let header = match reader.size() {
            0 => Err("the file has no whole block"),
            _ => read_header(path, &reader.header_block().await?)?,
        };
        let active = header.is_ok_and(|header| header.life.seq == name.seq);
        let about = About {
            path: path.to_owned(),
            seq: name.seq,
            head: name.head,
            size: reader.size(),
            header: header.as_ref().map(Header::from).map_err(|what| *what),
            active,
        };
        let header = header.ok().filter(|_| active);
        Ok(Segment { about, header, reader, offset: BLOCK_BYTES as u64, batch: None, end: None })
    }

    /// What name and header say.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The next batch that checks; `None` behind the last. A file without a header of its own has none.
    pub async fn next(&mut self) -> Result<Option<BatchAbout>, Error> {
        let Some(header) = self.header.filter(|_| self.end.is_none()) else { return Ok(None) };
        match self.reader.batch(self.offset, header.life).await? {
            Ok(batch) => {
                let about = about(&batch, self.offset);
                self.offset += about.padded;
                self.batch = Some(batch);
                Ok(Some(about))
            }
            Err(bad) => {
                self.end = Some((bad.offset, bad.what));
                self.batch = None;
                Ok(None)
            }
        }
    }

    /// The records of the batch that `next` gave last.
    pub fn records(&self) -> impl Iterator<Item = Result<RecordAbout<'_>, Problem>> {
        let mut start = BATCH_HEADER_BYTES;
        let left = self.batch.iter().flat_map(|batch| (0..batch.header.record_count).map(move |_| batch));
        left.map(move |batch| {
            let begin = self.offset - padded(batch.header.length) as u64;
            let found = batch.record_at(start);
            let found =
                found.map_err(|what| Problem::damage(&self.about.path, begin + start as u64, what))?;
            let offset = begin + start as u64;
            start = found.next;
            Ok(RecordAbout {
                offset,
                position: batch.header.position + found.end as u64,
                record: found.record,
            })
        })
    }

    /// Where the batches that check end, and what is there instead of one more; after `next` gave `None`.
    pub fn end(&self) -> Option<(u64, &'static str)> {
        self.end
    }
}

fn read_header(path: &Path, block: &[u8]) -> Result<Result<SegmentHeader, &'static str>, Error> {
    match SegmentHeader::decode(block) {
        Ok(header) => Ok(Ok(header)),
        Err(NoHeader::Version(found)) => {
            Err(Error::Version { path: path.to_owned(), found, known: FORMAT_VERSION })
        }
        Err(NoHeader::Invalid) if block.iter().all(|byte| *byte == 0) => {
            Ok(Err("zeros: prepared, never used"))
        }
        Err(NoHeader::Invalid) => Ok(Err("its checksum does not match, or it is no header")),
    }
}

fn about<F: runtime::File>(batch: &Batch<F>, offset: u64) -> BatchAbout {
    let header = &batch.header;
    BatchAbout {
        offset,
        length: header.length as u64,
        padded: padded(header.length) as u64,
        lsn: header.lsn,
        position: header.position,
        durable_lsn: header.durable_lsn,
        chain: header.chain,
        checksum: header.crc,
        record_count: header.record_count,
    }
}

/// What a log's directory holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Segment files.
    pub segments: usize,
    /// Those that are the log, from the oldest that is needed to the newest.
    pub live: usize,
    /// Bytes of all segment files.
    pub bytes: u64,
    /// Records in the log.
    pub records: u64,
    /// Bytes of their payloads.
    pub payload_bytes: u64,
    /// Where the last record ends.
    pub position: u64,
    /// Per stream, its records, and the first and last index among them.
    pub streams: BTreeMap<u64, Stream>,
}

/// One stream's part of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Records of it.
    pub records: u64,
    /// The first one's index.
    pub first: u64,
    /// The last one's.
    pub last: u64,
}

/// Reads the whole log in `dir` as opening it would, and hands each record to `take`, which may say what is wrong
/// with it. `identity` is whose log it must be; `None` takes what the first header says.
pub async fn verify<R: Runtime>(
    rt: &R,
    dir: &Path,
    identity: Option<Identity>,
    watch: &mut dyn Watch,
    take: &mut dyn FnMut(&Record<'_>) -> Result<(), String>,
) -> Summary {
    match verify_or_stop(rt, dir, identity, watch, take).await {
        Ok(summary) => summary,
        Err(error) => {
            watch.problem(error.into());
            Summary::default()
        }
    }
}

async fn verify_or_stop<R: Runtime>(
    rt: &R,
    dir: &Path,
    identity: Option<Identity>,
    watch: &mut dyn Watch,
    take: &mut dyn FnMut(&Record<'_>) -> Result<(), String>,
) -> Result<Summary, Error> {
    name_strangers(rt, dir, watch).await?;
    let identity = match identity {
        Some(identity) => identity,
        None => first_identity(rt, dir).await?.unwrap_or_default(),
    };
    let options = LogOptions::new(dir, identity);
    let found = recover::survey_what_is_there(rt, &options).await?.found;
    let mut summary = Summary { segments: found.len(), ..Summary::default() };
    summary.bytes = found.iter().map(|found| found.size).sum();
    watch.expect(summary.bytes);
    let replayed = replay(rt, &options, &mut summary, watch, take).await;
    if let Err(error) = replayed {
        watch.problem(error.into());
        check_each(rt, &found, watch).await;
    }
    Ok(summary)
}

/// What the directory of a log should not hold. The engine ignores it.
async fn name_strangers<R: Runtime>(rt: &R, dir: &Path, watch: &mut dyn Watch) -> Result<(), Error> {
    for entry in rt.list(dir).await.map_err(|error| Error::io(dir, None, error))? {
        if entry.is_dir || !is_segment_name(&entry.name) {
            watch.orphan(&dir.join(&entry.name), "not a log segment");
        }
    }
    Ok(())
}

async fn first_identity<R: Runtime>(rt: &R, dir: &Path) -> Result<Option<Identity>, Error> {
    for entry in rt.list(dir).await.map_err(|error| Error::io(dir, None, error))? {
        if is_segment_name(&entry.name)
            && let Ok(header) = Segment::open(rt, &dir.join(&entry.name)).await?.about.header
        {
            return Ok(Some(header.identity));
        }
    }
    Ok(None)
}

/// The log from its head to its end, judged by the engine.
async fn replay<R: Runtime>(
    rt: &R,
    options: &LogOptions,
    summary: &mut Summary,
    watch: &mut dyn Watch,
    take: &mut dyn FnMut(&Record<'_>) -> Result<(), String>,
) -> Result<(), Error> {
    let mut replay = Log::read_only(rt.clone(), options.clone()).await?;
    let mut before = None;
    summary.live = replay.segments();
    while let Some((position, record)) = replay.next().await? {
        let stream = summary.streams.entry(record.stream);
        let stream = stream.or_insert(Stream { records: 0, first: record.index, last: record.index });
        stream.records += 1;
        stream.last = record.index;
        summary.records += 1;
        summary.payload_bytes += record.payload.len() as u64;
        watch.read(before.replace(position.0).map_or(0, |before| position.0 - before));
        summary.position = position.0;
        if let Err(what) = take(&record) {
            let (path, offset) = replay.place();
            watch.problem(Problem::damage(path, offset, what));
        }
    }
    Ok(())
}

/// Each segment by itself, when the log as a whole cannot be read: names further damage.
async fn check_each<R: Runtime>(rt: &R, found: &[Found], watch: &mut dyn Watch) {
    for (at, segment) in found.iter().enumerate() {
        let successor =
            found[at + 1..].iter().filter_map(Found::active).find(|h| h.prev_seq == segment.name.seq);
        let (Some(_), Some(successor)) = (segment.active(), successor) else { continue };
        if let Err(error) = check_one(rt, &segment.path, successor.prev_end, watch).await {
            watch.problem(error.into());
        }
    }
}

/// A segment that has a successor holds good batches up to where that one says.
async fn check_one<R: Runtime>(rt: &R, path: &Path, end: u64, watch: &mut dyn Watch) -> Result<(), Error> {
    let mut segment = Segment::<R>::open(rt, path).await?;
    while segment.offset < end {
        if segment.next().await?.is_none() {
            break;
        }
    }
    if let Some((offset, what)) = segment.end() {
        watch.problem(Problem::damage(path, offset, what));
    }
    Ok(())
}
