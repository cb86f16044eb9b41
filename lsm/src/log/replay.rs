//! Reading the log back: batch by batch along the chain, to the place where it ends.
//!
//! The question at each bad batch (W7): is it the torn end of what nobody was told is durable, or damage to what
//! somebody was? Every batch and header says up to which lsn all was durable when it was made. If anything behind the
//! bad batch vouches for it, it is damage, and the log refuses. If nothing does, the log ends there.
//!
//! The end is then made final (W6, `prepare::begin`): a new segment whose header says where the one before ends. Until
//! that header is durable nothing that recovery read and that is still needed has been changed, so a crash in between
//! changes nothing (W13). On a full disk the log is open without it, to be read and released from, and takes nothing.

use std::path::Path;
use std::rc::Rc;

use runtime::{BLOCK_BYTES, File, OpenOptions, Runtime};

use super::format::{BATCH_HEADER_BYTES, SegmentHeader, padded};
use super::prepare;
use super::recover::{Found, Survey};
use super::segment::{Bad, Batch, Reader, WINDOW_BYTES};
use super::tail::{Coverage, FIRST_BATCH, FreeSegment, Resume, Segment};
use super::{Canary, Inner, Log, Position, Record};
use crate::Error;

/// What the log held when it was opened, in append order.
pub struct Replay<R: Runtime> {
    log: Log<R>,
    /// The log's segments in order; cut after the one where the log ends.
    chain: Vec<Found>,
    /// All other files: released, prepared, or left behind by a stop.
    others: Vec<Found>,
    /// The segment being read, a place in the chain.
    at: usize,
    reader: Option<Reader<R::File>>,
    /// Where the next batch begins.
    offset: u64,
    /// What the next batch must continue.
    expected: Expected,
    batch: Option<Current<R::File>>,
    /// Of each segment read so far.
    coverage: Vec<Coverage>,
    /// Whoever reads only wants to see: nothing is made final.
    read_only: bool,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Expected {
    lsn: u64,
    position: u64,
    chain: u32,
}

/// A batch whose records are being handed out.
struct Current<F: File> {
    batch: Batch<F>,
    /// Records not yet handed out.
    left: u32,
    /// Where the next one begins in the batch.
    start: usize,
    /// The batch's offset in its file.
    offset: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Reading,
    Finishing,
    Beginning,
    Done,
}

impl<R: Runtime> Replay<R> {
    pub(super) fn new(log: Log<R>, survey: Survey) -> Result<Replay<R>, Error> {
        let (chain, others) = survey.split()?;
        let first = chain.first().and_then(Found::active);
        let expected = match first {
            Some(h) => Expected { lsn: h.first_lsn, position: h.position, chain: h.prev_chain },
            None => Expected { lsn: 1, position: 0, chain: 0 },
        };
        let stage = if chain.is_empty() { Stage::Finishing } else { Stage::Reading };
        Ok(Replay {
            log,
            chain,
            others,
            at: 0,
            reader: None,
            offset: FIRST_BATCH,
            expected,
            batch: None,
            coverage: Vec::new(),
            read_only: false,
            stage,
        })
    }

    /// Ends where the log does, and leaves the disk as it is.
    pub(crate) fn read_only(mut self) -> Replay<R> {
        self.read_only = true;
        self
    }

    /// Segments of the log, as far as their headers say.
    pub(crate) fn segments(&self) -> usize {
        self.chain.len()
    }

    /// The file and the offset of the batch that the last record came from.
    pub(crate) fn place(&self) -> (&Path, u64) {
        let offset = self.batch.as_ref().map_or(0, |current| current.offset);
        (&self.chain[self.at].path, offset)
    }

    /// The next record and where it ends; `None` at the end, and then the log can be appended to. The payload lies in
    /// what was read: nothing is copied and nothing allocated per record.
    ///
    /// A disk without room for the log to go on is no error here: the log is open, refuses records with `Full`, and
    /// takes them once there is room.
    ///
    /// Errors: `Corrupt` when acknowledged bytes are damaged (nothing is changed on disk); `Io`.
    pub async fn next(&mut self) -> Result<Option<(Position, Record<'_>)>, Error> {
        if !self.advance().await? {
            return Ok(None);
        }
        self.take_record().map(Some)
    }

    /// Goes on to a batch with records left; false at the end.
    async fn advance(&mut self) -> Result<bool, Error> {
        loop {
            if self.batch.as_ref().is_some_and(|current| current.left > 0) {
                return Ok(true);
            }
            self.batch = None;
            match self.stage {
                Stage::Reading => self.next_batch().await?,
                Stage::Finishing => self.finish().await?,
                Stage::Beginning => self.begin().await?,
                Stage::Done => return Ok(false),
            }
        }
    }

    fn take_record(&mut self) -> Result<(Position, Record<'_>), Error> {
        let current = self.batch.as_mut().expect("the caller saw that records are left");
        let start = current.start;
        let found = current.batch.checked_record_at(start).map_err(|what| {
            let path = &self.chain[self.at].path;
            Error::corrupt(path, current.offset + start as u64, what)
        })?;
        let (record, position) = (found.record, current.batch.header.position + found.end as u64);
        (current.left, current.start) = (current.left - 1, found.next);
        let coverage = self.coverage.last_mut().expect("each segment that is read has its coverage");
        let last = coverage.entry(record.stream).or_insert(0);
        *last = (*last).max(record.index);
        Ok((Position(position), record))
    }

    fn inner(&self) -> &Rc<Inner<R>> {
        &self.log.handle.inner
    }

    fn canary(&self) -> Canary {
        self.inner().options.canary
    }

    fn header(&self, at: usize) -> SegmentHeader {
        *self.chain[at].active().expect("what is on the chain has a header")
    }
}

/// Reading.
impl<R: Runtime> Replay<R> {
    /// Reads the next batch, or finds that the segment or the log ends here.
    async fn next_batch(&mut self) -> Result<(), Error> {
        if self.inner().rt.should_yield() {
            self.inner().rt.yield_now().await;
        }
        if self.reader.is_none() {
            let reader = Reader::open(&self.inner().rt, &self.chain[self.at].path).await?;
            self.reader = Some(reader.read_ahead(&self.inner().rt));
            self.offset = FIRST_BATCH;
            let coverage = self.inner().tail.borrow().new_coverage();
            self.coverage.push(coverage);
        }
        let successor = (self.at + 1 < self.chain.len()).then(|| self.header(self.at + 1));
        match successor {
            Some(next) if next.prev_end == self.offset => self.go_on(&next),
            _ => self.read_batch().await,
        }
    }

    /// Goes on with the successor, whose header says that this segment ends here.
    fn go_on(&mut self, next: &SegmentHeader) -> Result<(), Error> {
        let said = Expected { lsn: next.first_lsn, position: next.position, chain: next.prev_chain };
        if said != self.expected && !self.canary().is(Canary::AcceptStale) {
            let what = format!("the segment goes on at {said:?}, the one before ends at {:?}", self.expected);
            return Err(Error::corrupt(&self.chain[self.at + 1].path, 0, what));
        }
        self.at += 1;
        self.reader = None;
        Ok(())
    }

    async fn read_batch(&mut self) -> Result<(), Error> {
        let mut read = self.try_batch(self.offset).await?;
        if read.is_err() {
            // Once more from the device: what a cable or a bus did to a read must not cost a record.
            self.reader().refresh();
            read = self.try_batch(self.offset).await?;
        }
        match read {
            Ok(batch) => self.take(batch),
            Err(bad) => self.judge(bad).await?,
        }
        Ok(())
    }

    fn reader(&mut self) -> &mut Reader<R::File> {
        self.reader.as_mut().expect("a segment is open while it is read")
    }

    /// The batch at `offset`, if it checks, continues the log, and ends where its segment does at the latest.
    async fn try_batch(&mut self, offset: u64) -> Result<Result<Batch<R::File>, Bad>, Error> {
        let trusting = self.canary().is(Canary::AcceptStale);
        let life = if trusting { super::format::Life::NONE } else { self.header(self.at).life };
        let batch = match self.reader().batch(offset, life).await? {
            Ok(batch) => batch,
            Err(bad) => return Ok(Err(bad)),
        };
        let header = &batch.header;
        let said = Expected { lsn: header.lsn, position: header.position, chain: header.chain };
        if said != self.expected && !trusting && !self.canary().is(Canary::ReplayPastTorn) {
            return Ok(Err(Bad { offset, what: "the batch does not continue the one before it" }));
        }
        let end = offset + padded(header.length) as u64;
        if self.at + 1 < self.chain.len() && end > self.header(self.at + 1).prev_end {
            return Ok(Err(Bad { offset, what: "the batch goes beyond the end that its successor states" }));
        }
        Ok(Ok(batch))
    }

    fn take(&mut self, batch: Batch<R::File>) {
        let header = batch.header;
        let size = padded(header.length) as u64;
        let (left, start, offset) = (header.record_count, BATCH_HEADER_BYTES, self.offset);
        self.batch = Some(Current { batch, left, start, offset });
        self.offset += size;
        self.expected = Expected { lsn: header.lsn + 1, position: header.position + size, chain: header.crc };
    }

    /// Torn or damaged? (W7) Ends the log before the bad batch, or refuses.
    async fn judge(&mut self, bad: Bad) -> Result<(), Error> {
        if self.canary().is(Canary::ReplayPastTorn) && self.skip_torn().await? {
            return Ok(());
        }
        if !self.canary().is(Canary::CutDamage) {
            self.refuse_damage(&bad).await?;
        }
        self.others.extend(self.chain.drain(self.at + 1..));
        self.stage = Stage::Finishing;
        Ok(())
    }

    /// Errors if anything behind the bad batch says that it was durable.
    async fn refuse_damage(&mut self, bad: &Bad) -> Result<(), Error> {
        let lsn = self.expected.lsn;
        let life = self.header(self.at).life;
        let end = match self.at + 1 < self.chain.len() {
            true => self.header(self.at + 1).prev_end,
            false => self.reader().size(),
        };
        let from = self.offset + BLOCK_BYTES as u64;
        let here = self.reader().watermark(from, end, life.seq, Some(life)).await?;
        let path = self.reader().path().to_path_buf();
        let vouched = |by: u64| {
            let what =
                format!("batch {lsn} is bad ({}), though batch {by} was known to be durable", bad.what);
            Error::corrupt(&path, bad.offset, what)
        };
        if let Some(durable) = here.filter(|durable| *durable >= lsn) {
            return Err(vouched(durable));
        }
        let later = self.chain[self.at + 1..].iter().chain(&self.others);
        for found in later.filter(|found| found.name.seq > life.seq) {
            let stated = self.stated_by(found).await?;
            if let Some(durable) = stated.filter(|durable| *durable >= lsn) {
                return Err(match found.active() {
                    Some(_) => vouched(durable),
                    None => {
                        Error::corrupt(&found.path, 0, "the header is bad, but there are batches behind it")
                    }
                });
            }
        }
        Ok(())
    }

    /// The greatest durable lsn that a later file states. A file without a header is looked through only if it has a
    /// batch of its own number near its start: it takes two damages to hide from that.
    async fn stated_by(&self, found: &Found) -> Result<Option<u64>, Error> {
        let mut reader = Reader::open(&self.inner().rt, &found.path).await?;
        let (seq, size) = (found.name.seq, reader.size());
        match found.active() {
            Some(header) => {
                let batches = reader.watermark(FIRST_BATCH, size, seq, Some(header.life)).await?;
                Ok(batches.max(Some(header.durable_lsn)))
            }
            None => match reader.watermark(FIRST_BATCH, WINDOW_BYTES as u64, seq, None).await? {
                Some(_) => reader.watermark(FIRST_BATCH, size, seq, None).await,
                None => Ok(None),
            },
        }
    }

    /// The canary that does not stop at a torn batch: finds the next one that checks by itself.
    async fn skip_torn(&mut self) -> Result<bool, Error> {
        let mut offset = self.offset + BLOCK_BYTES as u64;
        while offset < self.reader().size() {
            if let Ok(batch) = self.try_batch(offset).await? {
                self.offset = offset;
                self.take(batch);
                return Ok(true);
            }
            offset += BLOCK_BYTES as u64;
        }
        Ok(false)
    }
}

/// Finishing.
impl<R: Runtime> Replay<R> {
    /// Settles what was read and hands it to the log. After an error it can be called again.
    async fn finish(&mut self) -> Result<(), Error> {
        self.inner().tail.borrow().check()?;
        if self.chain.is_empty() {
            self.refuse_headless().await?;
        }
        if self.read_only {
            self.stage = Stage::Done;
            return Ok(());
        }
        self.settle_last().await?;
        self.free_others();
        self.hand_over();
        self.stage = Stage::Beginning;
        Ok(())
    }

    /// Makes the log writable, or one that is full: then the preparer goes on trying.
    async fn begin(&mut self) -> Result<(), Error> {
        match prepare::begin(self.inner()).await {
            Ok(()) | Err(Error::Full { .. }) => {}
            Err(error) => return Err(error),
        }
        self.log.start();
        self.stage = Stage::Done;
        Ok(())
    }

    /// A log that seems new must not hold batches behind headers that are gone.
    async fn refuse_headless(&self) -> Result<(), Error> {
        for found in &self.others {
            if self.stated_by(found).await?.is_some_and(|durable| durable > 0) {
                return Err(Error::corrupt(
                    &found.path,
                    0,
                    "the header is bad, but there are batches behind it",
                ));
            }
        }
        Ok(())
    }

    /// What was read may still be in the device's cache, from a process that died before its writes completed. It is
    /// history from now on, so it has to be durable.
    async fn settle_last(&self) -> Result<(), Error> {
        let Some(last) = self.chain.last() else { return Ok(()) };
        let io = |error| Error::Io { path: last.path.clone(), offset: None, source: Rc::new(error) };
        let file = self.inner().rt.open(&last.path, OpenOptions::WRITE_DSYNC).await.map_err(io)?;
        file.sync().await.map_err(io)
    }

    fn resume(&self) -> Resume {
        let Expected { lsn, position, chain } = self.expected;
        let last = self.chain.last().map_or((0, 0), |found| (found.name.seq, self.offset));
        Resume { lsn, position, chain, prev_seq: last.0, prev_end: last.1 }
    }

    /// Files that are not part of the log may be used again. They are not touched before the end is decided.
    fn free_others(&mut self) {
        let mut tail = self.inner().tail.borrow_mut();
        let segment_bytes = self.inner().options.segment_bytes;
        self.chain.iter().chain(&self.others).for_each(|found| tail.saw_seq(found.name.seq));
        let free = self.others.iter().map(|found| {
            let usable = found.size == segment_bytes;
            let whole = usable && found.header.is_some_and(|header| header.whole);
            FreeSegment {
                path: Rc::from(found.path.as_path()),
                seq: found.name.seq,
                prewritten: if whole { segment_bytes } else { 0 },
                usable,
                beside: true,
            }
        });
        tail.free.extend(free);
        drop(tail);
        self.others.clear();
    }

    /// Gives the log what was read. Nothing on disk is changed by it.
    fn hand_over(&mut self) {
        let read = std::mem::take(&mut self.coverage);
        let mut tail = self.inner().tail.borrow_mut();
        let last = self.chain.len().saturating_sub(1);
        for (at, coverage) in read.into_iter().enumerate() {
            let header = self.header(at);
            let end = if at == last { self.offset } else { self.header(at + 1).prev_end };
            let prewritten = if header.whole { header.segment_bytes } else { end };
            let path = Rc::from(self.chain[at].path.as_path());
            tail.live.push_back(Segment { path, life: header.life, file: None, prewritten, end, coverage });
        }
        assert_eq!(tail.live.len(), self.chain.len(), "each segment of the log was read");
        tail.resume(self.resume());
        drop(tail);
        self.reader = None;
    }
}
