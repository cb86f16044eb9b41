//! The scrubber: reads every SSTable once in a pass, whether anybody asks for it or not, and looks again at what was set aside.
//!
//! 1. An SSTable is read in large pieces, at a pace, past the cache. All its bytes make up the checksum that the manifest has of it.
//! 2. If they do not, a walk over its blocks finds the place. What every read verifies anyway is not counted: there are no
//!    bytes in a file that this does not see.
//! 3. What cannot be read is set aside (quarantine): compaction leaves it alone, reads of its other blocks go on, and
//!    the figures name file and offset. It is looked at again, ever less often: a cable may have been the cause.
//!
//! Promises: nothing is written but the position, and nothing is decided from a single look: a block is corrupt when two
//! reads in a row say so.

use std::rc::{Rc, Weak};
use std::time::Duration;

use runtime::sync::select;
use runtime::{BLOCK_BYTES, Buffer, File, OpenOptions, Runtime};

use super::Inner;
use crate::Error;
use crate::scrub::{self, Position};
use crate::sstable::block::Goal;
use crate::sstable::cursor::{LevelCursor, ReadPattern};
use crate::sstable::file_name;
use crate::sstable::footer::{FOOTER_BYTES, Footer};
use crate::sstable::reader::{Table, count};

use crate::batch::Direction;

/// One read of the scrubber.
const PIECE_BYTES: u64 = 256 << 10;
/// Entries of a walk between two looks at the clock.
const ENTRIES_PER_LOOK: u32 = 32;
/// The pause between two looks at what was set aside grows up to this many times the first.
const PAUSE_GROWTH_MAX: u32 = 64;

/// Why a look at an SSTable came to no end.
enum Unread {
    /// It cannot be read, or is not what was written.
    Damaged(Error),
    /// The tree has no use for it any more, or is being closed.
    Gone,
}

/// The table, if the tree still names it.
fn in_use<R: Runtime>(table: &Weak<Table<R>>) -> Result<Rc<Table<R>>, Unread> {
    table.upgrade().filter(|table| !table.is_obsolete()).ok_or(Unread::Gone)
}

impl From<Error> for Unread {
    fn from(error: Error) -> Unread {
        Unread::Damaged(error)
    }
}

/// Goes round for as long as the tree is open.
pub(super) async fn scrubber<R: Runtime>(inner: Rc<Inner<R>>) {
    let mut position = inner.read_position().await.unwrap_or_default();
    inner.figures.scrub_passes.set(position.passes);
    let mut pause = inner.options.retry_pause;
    while !inner.is_stopping() {
        if inner.quarantine.borrow().is_empty() {
            pause = inner.options.retry_pause;
            inner.scrub_next(&mut position).await;
        } else {
            inner.pause(pause).await;
            pause = (pause * 2).min(inner.options.retry_pause * PAUSE_GROWTH_MAX);
            inner.look_again().await;
        }
    }
}

impl<R: Runtime> Inner<R> {
    /// Looks at the next SSTable of the pass, or rests until the next pass.
    async fn scrub_next(&self, position: &mut Position) {
        let suspicious = self.suspicious.notified();
        let pass = self.options.scrub_pass;
        let state = self.state.borrow().clone();
        let due =
            state.version.tables().filter(|table| (position.next..position.end).contains(&table.meta.id));
        let next = due.min_by_key(|table| table.meta.id).cloned();
        let bytes: u64 = state.version.tables().map(|table| table.meta.size).sum();
        drop(state);
        let rate = scrub::pace(bytes, pass, self.options.scrub_bytes_per_second_min);
        let Some(table) = next.filter(|_| !pass.is_zero()) else {
            let rest =
                if pass.is_zero() { Duration::MAX } else { scrub::rest(position, pass, self.runtime.wall()) };
            if rest.is_zero() || position.end == 0 {
                self.begin_pass(position).await;
            } else {
                select(self.pause(rest.min(REST_MAX)), suspicious).await;
            }
            return;
        };
        let id = table.meta.id;
        position.bytes += table.meta.size;
        let held = Rc::downgrade(&table);
        drop(table);
        if let Err(Unread::Damaged(error)) = self.verify(held, rate).await {
            self.quarantine.borrow_mut().insert(id, error);
        }
        position.next = id + 1;
        self.write_position(position).await;
    }

    async fn begin_pass(&self, position: &mut Position) {
        let passes = position.passes + u64::from(position.end > 0);
        let end = self.next_file_id.get();
        *position = Position { passes, began: self.runtime.wall(), next: 1, end, bytes: 0 };
        self.figures.scrub_passes.set(passes);
        self.write_position(position).await;
    }

    /// Lets go of what can be read again, or is not there any more.
    async fn look_again(&self) {
        let ids: Vec<u64> = self.quarantine.borrow().keys().copied().collect();
        for id in ids {
            let table =
                self.state.borrow().version.tables().find(|table| table.meta.id == id).map(Rc::downgrade);
            let read = self.verify(table.unwrap_or_default(), u64::MAX).await;
            match read {
                Err(Unread::Damaged(error)) => drop(self.quarantine.borrow_mut().insert(id, error)),
                Ok(()) | Err(Unread::Gone) => drop(self.quarantine.borrow_mut().remove(&id)),
            }
            self.work.notify_all();
        }
    }

    /// Reads an SSTable as it lies on the device. What does not pass is read once more, block by block, for the place.
    ///
    /// The table is not held meanwhile: one that the tree has no use for any more can go.
    async fn verify(&self, table: Weak<Table<R>>, rate: u64) -> Result<(), Unread> {
        let first = match self.read_through(&table, rate).await {
            Err(Unread::Damaged(error)) => error,
            read => return read,
        };
        self.walk(&in_use(&table)?).await?;
        // Every block is sound: it was a misread, or one of the bytes between blocks.
        match self.read_through(&table, rate).await {
            Err(Unread::Damaged(_)) => Err(Unread::Damaged(first)),
            read => read,
        }
    }

    /// Reads all bytes and compares them with the manifest's checksum.
    async fn read_through(&self, table: &Weak<Table<R>>, rate: u64) -> Result<(), Unread> {
        let meta = in_use(table)?.meta.clone();
        let path = self.options.dir.join(file_name(meta.id));
        let failed = |offset| {
            let path = path.clone();
            move |error| Error::io(&path, offset, error)
        };
        let file = self.runtime.open(&path, OpenOptions::READ).await.map_err(failed(None))?;
        let footer_at = meta.size.saturating_sub(FOOTER_BYTES as u64);
        let (mut offset, mut checksum) = (0, 0);
        while offset < meta.size {
            let size =
                if offset < footer_at { PIECE_BYTES.min(footer_at - offset) } else { FOOTER_BYTES as u64 };
            let piece = file.read_at(offset, size as usize).await.map_err(failed(Some(offset)))?;
            if piece.len() as u64 != size {
                return Err(
                    Error::corrupt(&path, offset + piece.len() as u64, "the file ends too early").into()
                );
            }
            if offset < footer_at {
                checksum = crc32c::crc32c_append(checksum, &piece);
            } else {
                let footer = Footer::decode(&piece).map_err(|what| Error::corrupt(&path, offset, what))?;
                if footer.content_checksum != meta.content_checksum {
                    return Err(Error::corrupt(&path, offset, "the footer of another file").into());
                }
            }
            offset += size;
            count(&self.figures.scrub_bytes, size);
            drop(piece);
            self.rest_after(size, rate).await;
            in_use(table)?;
            if self.is_stopping() {
                return Err(Unread::Gone);
            }
        }
        if checksum == meta.content_checksum {
            return Ok(());
        }
        Err(Error::corrupt(&path, 0, "its bytes do not have the checksum that the manifest has of them")
            .into())
    }

    async fn rest_after(&self, bytes: u64, rate: u64) {
        let time = scrub::time(bytes, rate);
        if time > Duration::from_micros(1) {
            self.pause(time).await;
        } else {
            self.runtime.yield_now().await;
        }
    }

    /// Reads all blocks, past the cache; the error names the first that is not sound.
    async fn walk(&self, table: &Rc<Table<R>>) -> Result<(), Unread> {
        let pattern = ReadPattern::whole(self.options.readahead_bytes);
        let mut cursor = LevelCursor::new(vec![table.clone()], pattern);
        cursor.seek(Goal::First).await?;
        let mut entries = 0u32;
        while cursor.current().is_some() {
            cursor.step(Direction::Forward).await?;
            entries = entries.wrapping_add(1);
            if entries.is_multiple_of(ENTRIES_PER_LOOK) {
                if self.is_stopping() || table.is_obsolete() {
                    return Err(Unread::Gone);
                }
                self.runtime.yield_now().await;
            }
        }
        Ok(())
    }

    async fn read_position(&self) -> Option<Position> {
        let path = self.options.dir.join(scrub::FILE_NAME);
        let file = self.runtime.open(&path, OpenOptions::READ).await.ok()?;
        let block = file.read_at(0, BLOCK_BYTES).await.ok()?;
        Position::decode(&block, self.tables.identity)
    }

    /// Writes the position down. If that fails, a restart begins the pass anew: nothing worse.
    async fn write_position(&self, position: &Position) {
        let path = self.options.dir.join(scrub::FILE_NAME);
        let existing = self.runtime.open(&path, OpenOptions::WRITE_DSYNC).await;
        let file = match existing {
            Ok(file) => file,
            Err(_) => match self.runtime.open(&path, OpenOptions::CREATE_DSYNC).await {
                Ok(file) => file,
                Err(_) => return,
            },
        };
        let mut buffer = file.buffer(BLOCK_BYTES);
        buffer.as_mut_slice().copy_from_slice(&position.encode(self.tables.identity));
        let _ = file.write_at(Rc::new(buffer), 0).await;
    }
}

/// The longest single rest between passes: the wall clock may jump.
const REST_MAX: Duration = Duration::from_secs(3600);
