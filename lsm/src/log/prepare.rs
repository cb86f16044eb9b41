//! The preparer: makes room ahead of the writes, in the background, so that the write path never waits for a file to
//! be made, named or filled with zeros.
//!
//! It keeps `ahead_bytes` of prewritten room: fills the tail or the next segment with zeros piece by piece (W8); when
//! these are whole, recycles a free segment or makes a new one; removes free segments beyond `free_segments_max`.
//! One segment more is kept in reserve, made but not written: recovery always needs one (W6), and has to find it on a
//! disk that this log has filled. So a new log costs two segments of disk and a few milliseconds, and a log that runs
//! long enough writes no zeros.
//!
//! After recovery it is `begin` that makes the log writable, called once by `replay`; if the disk is full then, the
//! preparer calls it until there is room.
//!
//! Names first: a segment is renamed, and the directory synced, before a byte of its former life is overwritten (W9).
//! A full disk is no failure: the log says `Full` while it lasts, and the preparer tries again, at once when something
//! is released, else every now and then.

use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use runtime::{BLOCK_BYTES, Buffer, File, OpenOptions, Purpose, Runtime};

use super::format::{Life, Name};
use super::tail::{FreeSegment, Piece, Segment};
use super::{Canary, Inner};
use crate::Error;

/// How long a full disk is left alone, at first and at most.
const RETRY_MIN: Duration = Duration::from_millis(20);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// Zeros for prewriting; kept only while there is something to prewrite.
type Zeros<R> = Option<Rc<<<R as Runtime>::File as File>::Buffer>>;

/// What to do next.
enum Step<F> {
    /// Make the first segment after recovery, which found the disk full.
    Begin,
    Prewrite(Piece<F>),
    Recycle(FreeSegment),
    Create,
    Remove(FreeSegment),
    /// There are `segments_max` files, all needed.
    AtBound,
}

/// The preparer's task, until the log fails or stops.
pub(super) async fn run<R: Runtime>(inner: Rc<Inner<R>>) {
    let mut zeros: Zeros<R> = None;
    let mut retry = RETRY_MIN;
    loop {
        let looked = inner.prepare.notified();
        if inner.is_stopping() {
            return;
        }
        let Some(step) = next_step(&inner) else {
            zeros = None;
            looked.await;
            continue;
        };
        let taken = match step {
            Step::Begin => begin(&inner).await,
            step => take_step(&inner, step, &mut zeros).await,
        };
        match taken {
            Ok(()) => {
                retry = RETRY_MIN;
                set_full(&inner, false);
            }
            Err(Error::Full { .. }) => {
                set_full(&inner, true);
                runtime::sync::select(looked, inner.rt.sleep(retry)).await;
                retry = (retry * 2).min(RETRY_MAX);
            }
            Err(error) => return inner.fail(&error.to_string()),
        }
    }
}

fn set_full<R: Runtime>(inner: &Inner<R>, full: bool) {
    let changed = std::mem::replace(&mut inner.tail.borrow_mut().full, full) != full;
    // Prewriting and preparing make room; running into the bound once more changes nothing.
    if changed || !full {
        inner.room.notify_all();
    }
}

fn next_step<R: Runtime>(inner: &Inner<R>) -> Option<Step<R::File>> {
    let options = &inner.options;
    let mut tail = inner.tail.borrow_mut();
    if !tail.started {
        return Some(Step::Begin);
    }
    let short = tail.room() < options.ahead_bytes;
    if short && let Some(piece) = tail.unwritten() {
        return Some(Step::Prewrite(piece));
    }
    if short || tail.standby.is_empty() {
        if let Some(usable) = tail.free.iter().position(|free| free.usable) {
            return tail.free.remove(usable).map(Step::Recycle);
        }
        return Some(if tail.segment_count() < options.segments_max { Step::Create } else { Step::AtBound });
    }
    let crowded = tail.free.len() > options.free_segments_max;
    let durable_head = tail.durable_head;
    let removable = |free: &FreeSegment| {
        let known_free = free.beside || free.seq < durable_head;
        known_free && (crowded || !free.usable)
    };
    let place = tail.free.iter().position(removable)?;
    tail.free.remove(place).map(Step::Remove)
}

async fn take_step<R: Runtime>(
    inner: &Inner<R>,
    step: Step<R::File>,
    zeros: &mut Zeros<R>,
) -> Result<(), Error> {
    let head = inner.tail.borrow().head();
    match step {
        Step::Prewrite(piece) => {
            let end = prewrite(inner, &piece, zeros).await?;
            inner.tail.borrow_mut().prewrote(piece.seq, end);
        }
        Step::Recycle(free) => {
            let segment = recycle(inner, free, head).await?;
            inner.tail.borrow_mut().standby.push_back(segment);
        }
        Step::Create => {
            let segment = create(inner, head).await?;
            inner.tail.borrow_mut().standby.push_back(segment);
        }
        Step::Remove(free) => remove(inner, &free.path).await?,
        Step::Begin | Step::AtBound => return Err(Error::Full { path: inner.options.dir.clone() }),
    }
    Ok(())
}

/// Writes the next zeros into a file, durably, and says where they end.
async fn prewrite<R: Runtime>(
    inner: &Inner<R>,
    piece: &Piece<R::File>,
    zeros: &mut Zeros<R>,
) -> Result<u64, Error> {
    let size = inner.options.piece_bytes.min(inner.options.segment_bytes - piece.from);
    let size_in_memory = usize::try_from(size).expect("a piece is small");
    let bytes = zeros_of::<R>(&piece.file, size_in_memory, zeros);
    let written = piece.file.write_at(bytes, piece.from).await;
    written.map_err(|error| Error::io(&piece.path, Some(piece.from), error))?;
    Ok(piece.from + size)
}

fn zeros_of<R: Runtime>(file: &R::File, size: usize, zeros: &mut Zeros<R>) -> Rc<<R::File as File>::Buffer> {
    if let Some(kept) = zeros.as_ref().filter(|kept| kept.as_slice().len() == size) {
        return Rc::clone(kept);
    }
    let mut buffer = file.buffer(size);
    buffer.as_mut_slice().fill(0);
    let fresh = Rc::new(buffer);
    *zeros = Some(Rc::clone(&fresh));
    fresh
}

/// Makes the end that recovery found final and the log writable: a new segment, its first piece written, its header
/// durable (W6). When the disk is full half way, what was made of it is kept for the next try.
pub(super) async fn begin<R: Runtime>(inner: &Inner<R>) -> Result<(), Error> {
    inner.tail.borrow().check()?;
    let head = inner.tail.borrow().head();
    let begun = inner.tail.borrow_mut().begun.take();
    let mut segment = match begun {
        Some(segment) => segment,
        None => next_segment(inner, head).await?,
    };
    while segment.prewritten <= super::FIRST_BATCH {
        match prewrite(inner, &segment.unwritten(), &mut None).await {
            Ok(end) => segment.prewritten = end,
            Err(error) => {
                inner.tail.borrow_mut().begun = Some(segment);
                return Err(error);
            }
        }
    }
    write_header(inner, &segment).await?;
    inner.tail.borrow_mut().start(segment);
    Ok(())
}

/// Says durably where the log ends and where it goes on (W6).
async fn write_header<R: Runtime>(inner: &Inner<R>, segment: &Segment<R::File>) -> Result<(), Error> {
    let file = segment.file.as_ref().expect("a new segment is open");
    let mut buffer = file.buffer(BLOCK_BYTES);
    inner.tail.borrow_mut().first_header(segment).encode(buffer.as_mut_slice());
    let written = file.write_at(Rc::new(buffer), 0).await;
    written.map_err(|error| {
        // Final (W5), whatever its kind: whether it is there or not is for the next start to see.
        inner.fail(&format!("{} at byte 0: {error}", segment.path.display()));
        Error::Io { path: segment.path.to_path_buf(), offset: Some(0), source: Rc::new(error) }
    })
}

/// A new segment for recovery to go on in: a free file if there is one.
async fn next_segment<R: Runtime>(inner: &Inner<R>, head: u64) -> Result<Segment<R::File>, Error> {
    let free = {
        let mut tail = inner.tail.borrow_mut();
        let usable = tail.free.iter().position(|free| free.usable);
        usable.and_then(|place| tail.free.remove(place))
    };
    match free {
        Some(free) => recycle(inner, free, head).await,
        None => create(inner, head).await,
    }
}

/// Gives a free file its next life: a new name, durable before anything is overwritten (W9).
async fn recycle<R: Runtime>(
    inner: &Inner<R>,
    free: FreeSegment,
    head: u64,
) -> Result<Segment<R::File>, Error> {
    let (path, life) = name_next(inner, head);
    let renamed = inner.rt.rename(&free.path, &path).await;
    if let Err(error) = renamed {
        let error = Error::io(&free.path, None, error);
        inner.tail.borrow_mut().free.push_front(free);
        return Err(error);
    }
    sync_names(inner, head).await?;
    let file = inner.rt.open(&path, open_options(inner, false)).await;
    let file = file.map_err(|error| Error::io(&path, None, error))?;
    Ok(new_segment(inner, path, life, file, free.prewritten))
}

/// Makes a new file of full size; its zeros come later.
async fn create<R: Runtime>(inner: &Inner<R>, head: u64) -> Result<Segment<R::File>, Error> {
    let (path, life) = name_next(inner, head);
    match create_at(inner, &path).await {
        Ok(file) => {
            sync_names(inner, head).await?;
            Ok(new_segment(inner, path, life, file, 0))
        }
        Err(error) => {
            // What there is of it must not take the room that is lacking. Nobody's data: best effort.
            let _ = inner.rt.remove(&path).await;
            Err(Error::io(&path, None, error))
        }
    }
}

async fn create_at<R: Runtime>(inner: &Inner<R>, path: &Path) -> io::Result<R::File> {
    let file = inner.rt.open(path, open_options(inner, true)).await?;
    file.allocate(inner.options.segment_bytes).await?;
    file.sync().await?;
    Ok(file)
}

async fn remove<R: Runtime>(inner: &Inner<R>, path: &Path) -> Result<(), Error> {
    match inner.rt.remove(path).await {
        Ok(()) => sync_dir(inner).await,
        // It stays, and is found again at the next start.
        Err(_) => Ok(()),
    }
}

fn name_next<R: Runtime>(inner: &Inner<R>, head: u64) -> (std::path::PathBuf, Life) {
    let seq = inner.tail.borrow_mut().take_seq();
    let path = inner.options.dir.join(Name { seq, head }.to_string());
    (path, Life { seq, epoch: inner.rt.random(Purpose::Id) })
}

/// Makes a name that says `head` durable, and with it the fact that nothing before `head` is needed.
async fn sync_names<R: Runtime>(inner: &Inner<R>, head: u64) -> Result<(), Error> {
    sync_dir(inner).await?;
    let mut tail = inner.tail.borrow_mut();
    tail.durable_head = tail.durable_head.max(head);
    Ok(())
}

async fn sync_dir<R: Runtime>(inner: &Inner<R>) -> Result<(), Error> {
    if inner.options.canary.is(Canary::SkipDirSync) {
        return Ok(());
    }
    let dir = &inner.options.dir;
    // A failed sync is final, whatever its kind (W5): never `Full`.
    let fatal = |error| Error::Io { path: dir.clone(), offset: None, source: Rc::new(error) };
    inner.rt.sync_dir(dir).await.map_err(fatal)
}

fn open_options<R: Runtime>(inner: &Inner<R>, create_new: bool) -> OpenOptions {
    OpenOptions { write: true, create_new, dsync: !inner.options.canary.is(Canary::SkipSync) }
}

fn new_segment<R: Runtime>(
    inner: &Inner<R>,
    path: std::path::PathBuf,
    life: Life,
    file: R::File,
    prewritten: u64,
) -> Segment<R::File> {
    let coverage = inner.tail.borrow().new_coverage();
    let path = Rc::from(path);
    Segment { path, life, file: Some(file), prewritten, end: super::FIRST_BATCH, coverage }
}
