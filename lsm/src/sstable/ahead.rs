//! Read-ahead: the device reads that a walk will want next, in flight while it consumes what has come.
//!
//! ```text
//! the walk is here       planned next
//!        v                    v
//!    [ piece ] [ piece ] [ piece ]       each one device read of blocks that follow each other
//! ```
//!
//! 1. The first read of a walk covers what the walk is expected to want, no more: most walks are short.
//! 2. A walk that wants more is going on: from now on pieces are in flight behind the one that it consumes. Each piece
//!    that it has used up doubles the window, up to [`READS_AHEAD_MAX`] pieces of `readahead_bytes`. A walk of which nobody has
//!    said how long it will be wants more when it comes to its second block.
//! 3. Pieces follow the index, so nothing is read behind the end of the walk's range, and no block that is cached. At the
//!    end of a partition the next one is fetched the same way.
//!
//! A read begins when its future is polled once, and goes on by itself; nobody polls it again before it is wanted. When
//! the walk is dropped, so are its reads. A read that fails is an error only if the walk gets there.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::ops::Bound;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use runtime::Runtime;

use super::Handle;
use super::cursor::ReadPattern;
use super::file::{Extent, FileBytes};
use super::partition::Partition;
use super::reader::Reader;
use crate::Error;
use crate::batch::{Direction, Range};

/// Pieces of full size that a walk holds: one that it consumes, the others in flight.
pub(crate) const READS_AHEAD_MAX: usize = 3;

/// Bytes of the first read of a walk of which nobody has said how long it will be.
const FIRST_BYTES: usize = 16 << 10;

/// Reads of one walk through one SSTable.
pub(crate) struct Ahead<R: Runtime> {
    reader: Rc<Reader<R>>,
    pattern: ReadPattern,
    /// In the walk's order.
    pieces: VecDeque<Piece<R>>,
    plan: Option<Plan>,
    /// Bytes that pieces shall cover together; 0 before the first read.
    window: usize,
    going_on: bool,
}

/// The next block to be read.
struct Plan {
    top_at: usize,
    /// `None`: its read is the last of the pieces.
    partition: Option<Rc<Partition>>,
    /// The block in the partition; `None`: the outermost one in the walk's direction.
    index_at: Option<usize>,
}

/// Blocks that follow each other, read at once.
struct Piece<R: Runtime> {
    from: u64,
    to: u64,
    state: Read<R>,
}

enum Read<R: Runtime> {
    UnderWay(Pin<Box<dyn Future<Output = Landed<R>>>>),
    Landed(Landed<R>),
}

type Landed<R> = Result<Extent<FileBytes<R>>, Error>;

impl<R: Runtime> Ahead<R> {
    pub(crate) fn new(reader: &Rc<Reader<R>>, pattern: ReadPattern) -> Ahead<R> {
        let (reader, pieces) = (reader.clone(), VecDeque::new());
        Ahead { reader, pattern, pieces, plan: None, window: 0, going_on: false }
    }

    /// Forgets what it knows of the walk: it begins anew elsewhere.
    pub(crate) fn reset(&mut self) {
        (self.plan, self.window, self.going_on) = (None, 0, false);
        self.pieces.clear();
    }

    /// The verified bytes of a data block that is not cached, where the walk stands now.
    pub(crate) async fn data(
        &mut self,
        top_at: usize,
        partition: &Rc<Partition>,
        index_at: usize,
        walk: Walk<'_>,
    ) -> Result<Box<[u8]>, Error> {
        let handle = partition.index.handle(index_at);
        let used_up = self.leave_all_before(handle, walk.direction);
        if self.pieces.is_empty() {
            let partition = Some(partition.clone());
            self.plan = Some(Plan { top_at, partition, index_at: Some(index_at) });
        }
        let first = self.window == 0;
        let eager = self.pattern.expected_bytes.is_none() || !self.pattern.cached;
        let more = !first && (used_up || eager && !self.going_on);
        if first {
            self.window = self.pattern.expected_bytes.unwrap_or(FIRST_BYTES).max(1);
        } else if more {
            self.window = (self.window * 2).min(READS_AHEAD_MAX * self.pattern.readahead_bytes);
            self.going_on = true;
        }
        if self.pieces.is_empty() {
            // Whatever the window is, this block is read.
            self.begin_next(walk, Some(handle));
        }
        if self.going_on {
            self.fill_window(walk);
        }
        let reader = self.reader.clone();
        let extent = self.front().await?;
        let stored = extent.get(handle).expect("the piece was planned for it");
        reader.file.unseal(stored, handle)
    }

    /// The partition at `top_at`, if it was read ahead.
    pub(crate) async fn partition(&mut self, top_at: usize, walk: Walk<'_>) -> Option<Rc<Partition>> {
        let handle = self.reader.top.handle(top_at);
        self.leave_all_before(handle, walk.direction);
        let plan = self.plan.as_ref().filter(|plan| plan.top_at == top_at)?;
        if let Some(partition) = &plan.partition {
            return Some(partition.clone());
        }
        // What goes wrong here goes wrong again when the walk reads it itself, and then it is an error.
        self.front().await.ok()?;
        self.take_planned_partition()
    }

    /// Drops pieces that the walk is past; true if there were any. A piece that does not follow is dropped as well.
    fn leave_all_before(&mut self, handle: Handle, direction: Direction) -> bool {
        let mut left = false;
        while let Some(piece) = self.pieces.front() {
            if piece.from <= handle.offset && handle.end() <= piece.to {
                return left;
            }
            let ahead = match direction {
                Direction::Forward => handle.offset < piece.from,
                Direction::Backward => handle.offset > piece.from,
            };
            if ahead {
                // It was cached when the pieces were planned and is not any more.
                self.pieces.clear();
                return left;
            }
            self.pieces.pop_front();
            left = true;
        }
        left
    }

    /// Waits for the first piece.
    async fn front(&mut self) -> Result<&Extent<FileBytes<R>>, Error> {
        let piece = self.pieces.front_mut().expect("the caller saw to it");
        poll_fn(|context| piece.poll(context)).await;
        match &piece.state {
            Read::Landed(Ok(extent)) => Ok(extent),
            Read::Landed(Err(error)) => Err(error.clone()),
            Read::UnderWay(_) => unreachable!("it has landed"),
        }
    }

    /// Begins reads until the window is full or there is nothing more to read.
    fn fill_window(&mut self, walk: Walk<'_>) {
        let covered = |pieces: &VecDeque<Piece<R>>| {
            pieces.iter().map(|piece| (piece.to - piece.from) as usize).sum::<usize>()
        };
        while covered(&self.pieces) < self.window && self.begin_next(walk, None) {}
    }

    /// Begins the next read; false if there is none to begin now. `wanted` is read whether it is cached or not.
    fn begin_next(&mut self, walk: Walk<'_>, wanted: Option<Handle>) -> bool {
        if self.plan.as_ref().is_some_and(|plan| plan.partition.is_none()) {
            let last = self.pieces.back_mut();
            if let Some(last) = last
                && last.poll(&mut Context::from_waker(Waker::noop())).is_pending()
            {
                return false;
            }
            if self.take_planned_partition().is_none() {
                return false;
            }
        }
        let Some(plan) = &mut self.plan else { return false };
        let partition = plan.partition.clone().expect("it was taken just now");
        let mut blocks = self.reader.wanted_blocks(plan.top_at, &partition, walk);
        if let (Some(_), Some(at)) = (wanted, plan.index_at) {
            blocks = blocks.start.min(at)..blocks.end.max(at + 1);
        }
        let size_max = (self.window / 2).clamp(1, self.pattern.readahead_bytes);
        let size_max =
            if wanted.is_some() { self.window.min(self.pattern.readahead_bytes) } else { size_max };
        let mut at = plan.index_at.unwrap_or(match walk.direction {
            Direction::Forward => blocks.start,
            Direction::Backward => blocks.end.wrapping_sub(1),
        });
        let mut piece: Option<(u64, u64)> = None;
        while blocks.contains(&at) {
            let handle = partition.index.handle(at);
            let cached = self.pattern.cached && wanted != Some(handle) && self.reader.file.is_cached(handle);
            let (from, to) = piece.map_or((handle.offset, handle.end()), |(from, to)| {
                (from.min(handle.offset), to.max(handle.end()))
            });
            let full = piece.is_some() && (to - from) as usize > size_max;
            if full || (cached && piece.is_some()) {
                break;
            }
            if !cached {
                piece = Some((from, to));
            }
            at = match walk.direction {
                Direction::Forward => at + 1,
                Direction::Backward => at.wrapping_sub(1),
            };
        }
        plan.index_at = Some(at);
        match piece {
            Some((from, to)) => self.begin(from, to),
            None => return self.plan_next_partition(walk),
        }
        true
    }

    /// Goes on planning in the next partition, if there is one in the walk's range; reads it if need be.
    fn plan_next_partition(&mut self, walk: Walk<'_>) -> bool {
        let plan = self.plan.take().expect("the caller has one");
        let top_at = match walk.direction {
            Direction::Forward => plan.top_at + 1,
            Direction::Backward => plan.top_at.wrapping_sub(1),
        };
        if !self.reader.wanted_partitions(walk).contains(&top_at) {
            return false;
        }
        let partition = self.reader.partition_now(top_at);
        if partition.is_none() {
            let handle = self.reader.top.handle(top_at);
            self.begin(handle.offset, handle.end());
        }
        self.plan = Some(Plan { top_at, partition, index_at: None });
        true
    }

    /// Unpacks the partition that was read for the plan, and gives up planning if that does not work.
    fn take_planned_partition(&mut self) -> Option<Rc<Partition>> {
        let plan = self.plan.as_mut()?;
        let taken = self.pieces.pop_back().and_then(|piece| match piece.state {
            Read::Landed(Ok(extent)) => {
                let handle = self.reader.top.handle(plan.top_at);
                let bytes = self.reader.file.unseal(extent.get(handle)?, handle).ok()?;
                self.reader.admit_partition(plan.top_at, bytes).ok()
            }
            _ => None,
        });
        match &taken {
            Some(_) => plan.partition.clone_from(&taken),
            None => self.plan = None,
        }
        taken
    }

    fn begin(&mut self, from: u64, to: u64) {
        let reader = self.reader.clone();
        let read = Box::pin(async move { reader.file.read_extent(from, to).await });
        let mut piece = Piece { from, to, state: Read::UnderWay(read) };
        // Polled once, it is under way; who comes to it polls it again.
        let _ = piece.poll(&mut Context::from_waker(Waker::noop()));
        self.pieces.push_back(piece);
    }
}

impl<R: Runtime> Piece<R> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Read::UnderWay(read) = &mut self.state {
            match read.as_mut().poll(context) {
                Poll::Ready(landed) => self.state = Read::Landed(landed),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }
}

/// Which way a walk goes, and how far.
#[derive(Clone, Copy)]
pub(crate) struct Walk<'w> {
    pub(crate) direction: Direction,
    pub(crate) range: &'w Range,
}

impl Walk<'_> {
    /// The key behind which the walk wants nothing.
    fn limit(&self) -> Option<&[u8]> {
        let bound = match self.direction {
            Direction::Forward => &self.range.to,
            Direction::Backward => &self.range.from,
        };
        match bound {
            Bound::Included(key) | Bound::Excluded(key) => Some(key),
            Bound::Unbounded => None,
        }
    }
}

impl<R: Runtime> Reader<R> {
    /// The partitions that a walk may come to.
    pub(crate) fn wanted_partitions(&self, walk: Walk<'_>) -> std::ops::Range<usize> {
        let Some(key) = walk.limit() else { return 0..self.top.len() };
        let edge = self.top.find(key);
        match walk.direction {
            Direction::Forward => 0..(edge + 1).min(self.top.len()),
            Direction::Backward => edge..self.top.len(),
        }
    }

    /// The blocks of a partition that a walk may come to.
    pub(crate) fn wanted_blocks(
        &self,
        top_at: usize,
        partition: &Partition,
        walk: Walk<'_>,
    ) -> std::ops::Range<usize> {
        let count = partition.index.len();
        let Some(key) = walk.limit() else { return 0..count };
        if self.top.find(key) != top_at {
            return 0..count;
        }
        let edge = partition.index.find(key);
        match walk.direction {
            Direction::Forward => 0..(edge + 1).min(count),
            Direction::Backward => edge..count,
        }
    }
}
