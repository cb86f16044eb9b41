//! The end of the log that is being written: the open batch, the segments around it, the writes on their way.
//!
//! ```text
//! live: [head .. | .. | tail: header, batches, open batch > prewritten]   standby: [next, .., reserve]   free: [..]
//! ```
//!
//! 1. A record is placed: into the open batch, into a new one behind it, or into the next standby segment. It is
//!    accepted only when its place was written before (W8), so that a full disk can never strike an accepted record.
//!    It is copied once, straight into the buffer that the device will read.
//! 2. A batch is sealed in place: its header is filled in and it is queued. Sealed batches get tickets; the ticket
//!    order is the order of the log.
//! 3. Writes complete in any order; what counts as durable is the longest prefix of tickets (W2).
//! 4. Head segments whose records are all covered become free, and free ones become standby again (W10).
//!
//! No I/O and no waiting here: `writer` and `prepare` do that, `super` lets callers wait.

use std::collections::VecDeque;
use std::path::Path;
use std::rc::Rc;

use ahash::{AHashMap, RandomState};
use runtime::{BLOCK_BYTES, Buffer, File};

use super::format::{self, BATCH_HEADER_BYTES, BatchHeader, Life, SegmentHeader, padded};
use super::pool::{Pool, own};
use super::{Canary, LogOptions, Position, Record, Stats};
use crate::Error;

/// The first byte of a segment that is not its header.
pub(super) const FIRST_BATCH: u64 = BLOCK_BYTES as u64;

/// Of each stream, the last index in a segment.
pub(super) type Coverage = AHashMap<u64, u64>;

/// A segment that holds records or is about to.
pub(super) struct Segment<F> {
    pub path: Rc<Path>,
    pub life: Life,
    /// Open while it may be written.
    pub file: Option<F>,
    /// Bytes from the start that were written at least once.
    pub prewritten: u64,
    /// Where the next batch goes, an offset.
    pub end: u64,
    pub coverage: Coverage,
}

/// A file whose content nobody needs.
#[derive(Clone, Debug)]
pub(super) struct FreeSegment {
    pub path: Rc<Path>,
    pub seq: u64,
    /// Bytes from the start that were written at least once.
    pub prewritten: u64,
    /// Whether it has the right size to be used again.
    pub usable: bool,
    /// Whether recovery found it beside the chain: its number vouches for nothing.
    pub beside: bool,
}

/// A file that was not written to its end yet, and how far it was.
pub(super) struct Piece<F> {
    pub seq: u64,
    pub path: Rc<Path>,
    pub file: F,
    pub from: u64,
}

impl<F: Clone> Segment<F> {
    /// The part that was never written.
    pub fn unwritten(&self) -> Piece<F> {
        let file = self.file.clone().expect("the tail and what follows it are open");
        Piece { seq: self.life.seq, path: self.path.clone(), file, from: self.prewritten }
    }
}

/// One device write that is ready to go.
pub(super) struct Write<F: File> {
    pub ticket: u64,
    pub file: F,
    pub path: Rc<Path>,
    pub offset: u64,
    pub buffer: Rc<F::Buffer>,
}

/// The batch that takes records, in the buffer that it will be sent in.
struct OpenBatch<B> {
    buffer: Rc<B>,
    /// Bytes of header and records so far, a multiple of 8.
    length: usize,
    records: u32,
}

/// What becomes durable when a write and all before it are done.
struct Flight {
    done: bool,
    bytes: usize,
    reached: Reached,
}

#[derive(Clone, Copy)]
enum Reached {
    Batch { lsn: u64, position: u64 },
    Header { seq: u64, head: u64 },
}

/// Where a record would go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placement {
    OpenBatch,
    NewBatch,
    NextSegment,
    NoRoom,
}

/// Where the log goes on after recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resume {
    /// The lsn of the next batch.
    pub lsn: u64,
    pub position: u64,
    pub chain: u32,
    /// The segment where the log ends, and where in it; 0 and 0 for an empty log.
    pub prev_seq: u64,
    pub prev_end: u64,
}

pub(super) struct Tail<F: File> {
    options: Rc<LogOptions>,
    hash: RandomState,

    pub live: VecDeque<Segment<F>>,
    pub standby: VecDeque<Segment<F>>,
    pub free: VecDeque<FreeSegment>,
    next_seq: u64,
    /// The last segment whose header is durable, and with it everything before that segment.
    durable_seq: u64,
    /// The greatest head that some name or header says durably.
    pub durable_head: u64,

    open: Option<OpenBatch<F::Buffer>>,
    lsn: u64,
    position: u64,
    chain: u32,

    sealed: VecDeque<Write<F>>,
    flights: VecDeque<Flight>,
    first_ticket: u64,
    in_flight: usize,
    durable_lsn: u64,
    durable_position: u64,
    announced_lsn: u64,
    last_record_lsn: u64,
    buffered: usize,
    pool: Pool<F::Buffer>,

    /// Where recovery found the end, once it has.
    resumed: Option<Resume>,
    /// The first segment after recovery, made in part when the disk was full.
    pub begun: Option<Segment<F>>,
    /// The head that the first header after recovery states.
    first_head: u64,
    /// There is a segment to write to.
    pub started: bool,
    pub closing: bool,
    /// The tasks end.
    pub stopping: bool,
    pub full: bool,
    pub failed: Option<Rc<str>>,
    stats: Stats,
}

impl<F: File> Tail<F> {
    pub fn new(options: Rc<LogOptions>, hash: RandomState) -> Tail<F> {
        Tail {
            hash,
            live: VecDeque::new(),
            standby: VecDeque::new(),
            free: VecDeque::new(),
            next_seq: 1,
            durable_seq: 0,
            durable_head: 0,
            open: None,
            lsn: 1,
            position: 0,
            chain: 0,
            sealed: VecDeque::new(),
            flights: VecDeque::new(),
            first_ticket: 0,
            in_flight: 0,
            durable_lsn: 0,
            durable_position: 0,
            announced_lsn: 0,
            last_record_lsn: 0,
            buffered: 0,
            // All that are in flight come back while as many are filled and queued.
            pool: Pool::new(options.batch_bytes, 2 * options.writes_in_flight_max + 1),
            resumed: None,
            begun: None,
            first_head: 0,
            started: false,
            closing: false,
            stopping: false,
            full: false,
            failed: None,
            stats: Stats::default(),
            options,
        }
    }

    /// Takes up the log where recovery found its end; the segments are in `live`. All before is durable. Until `start`
    /// gives it a segment to go on in, the log can be read and released from, and takes nothing.
    pub fn resume(&mut self, resume: Resume) {
        assert!(!self.started && self.open.is_none() && self.flights.is_empty());
        assert!(resume.lsn > 0);
        self.lsn = resume.lsn;
        self.position = resume.position;
        self.chain = resume.chain;
        self.durable_lsn = resume.lsn - 1;
        self.durable_position = resume.position;
        self.announced_lsn = self.durable_lsn;
        self.last_record_lsn = self.durable_lsn;
        self.durable_seq = resume.prev_seq;
        self.resumed = Some(resume);
    }

    /// The header of the first segment after recovery.
    pub fn first_header(&mut self, segment: &Segment<F>) -> SegmentHeader {
        let resume = self.resumed.expect("recovery has found the end");
        let header = self.next_header(segment, self.head(), resume.prev_seq, resume.prev_end);
        self.first_head = header.head;
        header
    }

    /// Makes `segment`, whose `first_header` is durable, the tail of a log that can be appended to.
    pub fn start(&mut self, mut segment: Segment<F>) {
        assert!(!self.started && segment.file.is_some() && segment.prewritten > FIRST_BATCH);
        segment.end = FIRST_BATCH;
        self.durable_seq = segment.life.seq;
        self.durable_head = self.durable_head.max(self.first_head);
        self.live.push_back(segment);
        self.started = true;
    }

    /// A sequence number that no segment ever had.
    pub fn take_seq(&mut self) -> u64 {
        let seq = self.next_seq;
        self.next_seq += 1;
        seq
    }

    /// Keeps `take_seq` beyond what was seen on disk.
    pub fn saw_seq(&mut self, seq: u64) {
        self.next_seq = self.next_seq.max(seq + 1);
    }

    /// The oldest segment that is needed; 0 when none is.
    pub fn head(&self) -> u64 {
        self.live.front().map_or(0, |segment| segment.life.seq)
    }

    pub fn new_coverage(&self) -> Coverage {
        Coverage::with_hasher(self.hash.clone())
    }

    fn tail(&self) -> &Segment<F> {
        self.live.back().expect("a started log has a tail segment")
    }

    fn tail_mut(&mut self) -> &mut Segment<F> {
        self.live.back_mut().expect("a started log has a tail segment")
    }
}

/// Appending.
impl<F: File> Tail<F> {
    /// Copies a record into the log's memory, or refuses and changes nothing.
    pub fn append(&mut self, record: &Record<'_>) -> Result<Position, Error> {
        self.accepts(record.payload.len())?;
        let bytes = format::record_bytes(record.payload.len());
        match self.placement(bytes) {
            Placement::OpenBatch => {}
            Placement::NewBatch => self.seal_open(),
            Placement::NextSegment => {
                self.seal_open();
                self.activate();
            }
            Placement::NoRoom if self.full => return Err(Error::Full { path: self.options.dir.clone() }),
            Placement::NoRoom => return Err(Error::Busy),
        }
        let end = self.push(record);
        self.buffered += bytes;
        self.stats.records += 1;
        self.stats.payload_bytes += record.payload.len() as u64;
        Ok(Position(self.position + end as u64))
    }

    fn accepts(&self, payload_bytes: usize) -> Result<(), Error> {
        assert!(self.resumed.is_some(), "a log is appended to after its replay was read to the end");
        self.check()?;
        if self.closing {
            return Err(Error::Closed);
        }
        if !self.started {
            return Err(Error::Full { path: self.options.dir.clone() });
        }
        if payload_bytes > self.options.record_bytes_max {
            return Err(Error::TooLarge { size: payload_bytes, size_max: self.options.record_bytes_max });
        }
        if self.buffered + format::record_bytes(payload_bytes) > self.options.buffered_bytes_max {
            return Err(Error::Busy);
        }
        Ok(())
    }

    fn push(&mut self, record: &Record<'_>) -> usize {
        let bytes = format::record_bytes(record.payload.len());
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.new_batch(bytes),
        };
        let end = format::put_record(own(&mut open.buffer).as_mut_slice(), open.length, record);
        open.length += bytes;
        open.records += 1;
        self.open = Some(open);
        self.last_record_lsn = self.lsn;
        let last = self.tail_mut().coverage.entry(record.stream).or_insert(0);
        *last = (*last).max(record.index);
        end
    }

    /// An empty batch with room for records of `bytes` at least.
    fn new_batch(&mut self, bytes: usize) -> OpenBatch<F::Buffer> {
        let buffer = self.buffer(BATCH_HEADER_BYTES + bytes);
        OpenBatch { buffer, length: BATCH_HEADER_BYTES, records: 0 }
    }

    /// Bytes of the open batch, 0 when there is none.
    fn open_bytes(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.length)
    }

    /// Where a record of `bytes` goes. Never beyond what was prewritten.
    fn placement(&self, bytes: usize) -> Placement {
        let tail = self.tail();
        let open = self.open_bytes();
        let grown = open + bytes;
        let room = tail.prewritten - tail.end;
        if open > 0 && grown <= self.options.batch_bytes && padded(grown) as u64 <= room {
            return Placement::OpenBatch;
        }
        let behind = padded(open) as u64;
        let need = padded(BATCH_HEADER_BYTES + bytes) as u64;
        if behind + need <= room {
            return Placement::NewBatch;
        }
        if tail.end + behind + need <= self.options.segment_bytes {
            return Placement::NoRoom; // The tail itself is still being prewritten.
        }
        match self.ahead().next() {
            Some(next) if FIRST_BATCH + need <= next.prewritten => Placement::NextSegment,
            _ => Placement::NoRoom,
        }
    }

    /// Whether a record of the greatest size would be accepted; errors as `append` would.
    pub fn has_headroom(&self) -> Result<bool, Error> {
        let fits = |payload: usize| self.placement(format::record_bytes(payload)) != Placement::NoRoom;
        match self.accepts(self.options.record_bytes_max) {
            Err(Error::Busy) => return Ok(false),
            other => other?,
        }
        if fits(self.options.record_bytes_max) {
            return Ok(true);
        }
        match self.full {
            false => Ok(false),
            true if fits(0) => Ok(true),
            true => Err(Error::Full { path: self.options.dir.clone() }),
        }
    }

    /// The error of a log that has failed.
    pub fn check(&self) -> Result<(), Error> {
        match &self.failed {
            Some(why) => Err(Error::Poisoned { why: Rc::clone(why) }),
            None => Ok(()),
        }
    }

    /// Where the last record that was appended ends, at most.
    pub fn appended(&self) -> u64 {
        self.position + self.open_bytes() as u64
    }
}

/// Sealing and completing.
impl<F: File> Tail<F> {
    /// Writes that could start now.
    pub fn work(&self) -> usize {
        self.sealed.len() + usize::from(self.open.is_some())
    }

    /// The next write in the order of the log.
    pub fn take_write(&mut self) -> Option<Write<F>> {
        if self.sealed.is_empty() {
            self.seal_open();
        }
        let write = self.sealed.pop_front()?;
        self.in_flight += 1;
        self.stats.writes += 1;
        self.stats.written_bytes += write.buffer.as_slice().len() as u64;
        Some(write)
    }

    /// Closes the open batch, if there is one.
    fn seal_open(&mut self) {
        if let Some(open) = self.open.take() {
            self.seal(open);
        }
    }

    fn seal(&mut self, open: OpenBatch<F::Buffer>) {
        let (life, offset) = (self.tail().life, self.tail().end);
        let bound = if self.options.canary.is(Canary::AcceptStale) { Life::NONE } else { life };
        let OpenBatch { mut buffer, length, records } = open;
        let header = BatchHeader {
            length,
            record_count: records,
            lsn: self.lsn,
            position: self.position,
            durable_lsn: self.durable_lsn,
            chain: self.chain,
            payload_crc: 0,
            crc: 0,
        };
        let size = padded(length);
        own(&mut buffer).set_size(size);
        let (batch, rest) = own(&mut buffer).as_mut_slice().split_at_mut(length);
        self.chain = header.seal(batch, bound, life, offset);
        rest.fill(0);
        self.announced_lsn = self.durable_lsn;
        self.position += size as u64;
        let reached = Reached::Batch { lsn: self.lsn, position: self.position };
        self.queue(buffer, offset, reached, length - BATCH_HEADER_BYTES);
        self.lsn += 1;
        let tail = self.tail_mut();
        tail.end += size as u64;
        assert!(tail.end <= tail.prewritten, "a batch stays within what was prewritten (W8)");
    }

    fn buffer(&mut self, bytes: usize) -> Rc<F::Buffer> {
        let tail = self.live.back().expect("a started log has a tail segment");
        self.pool.take(tail.file.as_ref().expect("the tail segment is open"), bytes)
    }

    fn queue(&mut self, buffer: Rc<F::Buffer>, offset: u64, reached: Reached, bytes: usize) {
        let ticket = self.first_ticket + self.flights.len() as u64;
        let file = self.tail_file().clone();
        let path = Rc::clone(&self.tail().path);
        self.flights.push_back(Flight { done: false, bytes, reached });
        self.sealed.push_back(Write { ticket, file, path, offset, buffer });
    }

    fn tail_file(&self) -> &F {
        self.tail().file.as_ref().expect("the tail segment is open")
    }

    /// Goes on in the next standby segment. Its header travels like a batch: durable in its turn.
    fn activate(&mut self) {
        let mut segment = self.standby.pop_front().expect("placement saw a standby segment");
        let header = self.next_header(&segment, self.head(), self.tail().life.seq, self.tail().end);
        self.tail_mut().file = None;
        segment.end = FIRST_BATCH;
        assert!(segment.life.seq > header.prev_seq);
        self.live.push_back(segment);
        let mut buffer = self.buffer(BLOCK_BYTES);
        own(&mut buffer).set_size(BLOCK_BYTES);
        header.encode(own(&mut buffer).as_mut_slice());
        self.queue(buffer, 0, Reached::Header { seq: header.life.seq, head: header.head }, 0);
    }

    /// The header of a segment that goes on where the log ends now.
    pub fn next_header(
        &self,
        segment: &Segment<F>,
        head: u64,
        prev_seq: u64,
        prev_end: u64,
    ) -> SegmentHeader {
        assert!(self.open.is_none());
        SegmentHeader {
            identity: self.options.identity,
            life: segment.life,
            whole: segment.prewritten == self.options.segment_bytes,
            segment_bytes: self.options.segment_bytes,
            head,
            prev_seq,
            prev_end,
            prev_chain: self.chain,
            first_lsn: self.lsn,
            position: self.position,
            durable_lsn: self.durable_lsn,
        }
    }

    /// A write is over and well. Durable is the prefix of what is done (W2).
    pub fn complete(&mut self, write: Write<F>) {
        let index = usize::try_from(write.ticket - self.first_ticket).expect("tickets in flight are few");
        assert!(!self.flights[index].done, "each write completes once");
        self.flights[index].done = true;
        self.in_flight -= 1;
        self.pool.give(write.buffer);
        if self.options.canary.is(Canary::AckOutOfOrder) {
            self.reach(self.flights[index].reached);
        }
        while self.flights.front().is_some_and(|flight| flight.done) {
            let flight = self.flights.pop_front().expect("just seen");
            self.first_ticket += 1;
            self.buffered -= flight.bytes;
            self.reach(flight.reached);
        }
    }

    fn reach(&mut self, reached: Reached) {
        match reached {
            Reached::Batch { lsn, position } => {
                self.durable_lsn = self.durable_lsn.max(lsn);
                self.durable_position = self.durable_position.max(position);
            }
            Reached::Header { seq, head } => {
                self.durable_seq = self.durable_seq.max(seq);
                self.durable_head = self.durable_head.max(head);
            }
        }
    }

    /// A write failed: nothing is accepted any more, and the watermark never passes it (W4, W5).
    pub fn fail(&mut self, why: &str) {
        if self.failed.is_none() {
            self.failed = Some(why.into());
        }
    }

    /// Everything up to here is durable, a position.
    pub fn durable(&self) -> u64 {
        self.durable_position
    }

    /// Whether nothing is open, queued or in flight.
    pub fn is_quiet(&self) -> bool {
        self.open.is_none() && self.flights.is_empty()
    }

    /// Whether the last records are durable but nothing on disk says so.
    pub fn wants_watermark(&self) -> bool {
        self.started && self.failed.is_none() && self.announced_lsn < self.last_record_lsn
    }

    /// Queues an empty batch that vouches for the one before it, if the tail has room for it (W7).
    pub fn push_watermark(&mut self) -> bool {
        if !(self.is_quiet() && self.wants_watermark()) {
            return false;
        }
        let tail = self.tail();
        if tail.end + BLOCK_BYTES as u64 > tail.prewritten {
            return false;
        }
        let empty = self.new_batch(0);
        self.seal(empty);
        true
    }

    /// The lsn of the next batch: changes with each batch.
    pub fn next_lsn(&self) -> u64 {
        self.lsn
    }
}

/// Segments.
impl<F: File> Tail<F> {
    /// The standby segments that may be written. The last one is the reserve: recovery needs a new segment (W6), and
    /// must find one on a disk that this log has filled.
    fn ahead(&self) -> impl Iterator<Item = &Segment<F>> {
        self.standby.iter().take(self.standby.len().saturating_sub(1))
    }

    /// Bytes that are ready to be written, in the tail and ahead of it.
    pub fn room(&self) -> u64 {
        let tail = self.live.back().map_or(0, |segment| segment.prewritten - segment.end);
        let ahead: u64 = self.ahead().map(|s| s.prewritten.saturating_sub(FIRST_BATCH)).sum();
        tail + ahead
    }

    /// The first segment at the end that still has to be written once, the reserve aside.
    pub fn unwritten(&self) -> Option<Piece<F>> {
        let mut segments = self.live.back().into_iter().chain(self.ahead());
        segments.find(|segment| segment.prewritten < self.options.segment_bytes).map(Segment::unwritten)
    }

    /// Segment `seq` was written once up to `end`.
    pub fn prewrote(&mut self, seq: u64, end: u64) {
        let mut segments = self.live.iter_mut().chain(&mut self.standby);
        if let Some(segment) = segments.find(|segment| segment.life.seq == seq) {
            segment.prewritten = segment.prewritten.max(end);
        }
    }

    /// Frees head segments that are durable, have a durable successor, and hold nothing uncovered (W10); says how many.
    pub fn release(&mut self, covered: impl Fn(u64) -> u64) -> usize {
        let before = self.live.len();
        while self.live.len() >= 2 {
            let (head, next) = (&self.live[0], &self.live[1]);
            let needed = head.coverage.iter().any(|(stream, index)| *index > covered(*stream));
            let needed = needed && !self.options.canary.is(Canary::ReleaseUncovered);
            if needed || next.life.seq > self.durable_seq {
                break;
            }
            let head = self.live.pop_front().expect("two segments were seen");
            let usable = true;
            let (seq, prewritten) = (head.life.seq, head.prewritten);
            self.free.push_back(FreeSegment { path: head.path, seq, prewritten, usable, beside: false });
        }
        before - self.live.len()
    }

    /// Bytes of records, their headers included, that would be accepted now: what buffers and prepared room allow.
    fn budget(&self) -> usize {
        if !self.started || self.closing || self.failed.is_some() {
            return 0;
        }
        let buffers = self.options.buffered_bytes_max.saturating_sub(self.buffered);
        let open = padded(self.open_bytes()) as u64;
        buffers.min(usize::try_from(self.room().saturating_sub(open)).unwrap_or(usize::MAX))
    }

    pub fn segment_count(&self) -> usize {
        self.live.len() + self.standby.len() + self.free.len()
    }

    pub fn stats(&self) -> Stats {
        Stats {
            writes_in_flight: self.in_flight,
            buffered_bytes: self.buffered,
            budget_bytes: self.budget(),
            full: self.full,
            segments_live: self.live.len(),
            segments_free: self.standby.len() + self.free.len(),
            ..self.stats
        }
    }
}
