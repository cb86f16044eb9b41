//! The remover: gives the space of SSTables back that no version names and no reader holds.
//!
//! A file goes from its end, a piece at a time, with pauses in between, and its name last. A file system frees what it gave
//! in one go: measured on ext4, removing a file of 64 MiB took 11 ms, and 4 KiB written beside it took as long; nobody else had the
//! core, and a device that is told of what is free (`discard`) has its work with it on top. In pieces of 1 MiB nobody notices. What waits
//! is gone in about a second, however much it is; on a full disk nothing waits.
//!
//! The manifest has forgotten the file before (L1). A stop in the middle leaves an orphan for the next start, shorter than it was.

use std::rc::Rc;
use std::time::Duration;

use runtime::sync::select;
use runtime::{File, OpenOptions, Runtime};

use super::Inner;
use crate::Error;
use crate::sstable::file_name;
use crate::sstable::reader::Rubbish;

/// What is freed at once.
const PIECE_BYTES: u64 = 1 << 20;
/// In about this time all that waits is to be gone ..
const GONE_IN: Duration = Duration::from_secs(1);
/// .. with pauses of at least and at most this between pieces.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(20);

/// A file that exists and was not opened for reading alone.
const WRITE: OpenOptions = OpenOptions { write: true, create_new: false, dsync: false };

/// The remover's task, until the tree stops: what is left then is an orphan.
pub(super) async fn remover<R: Runtime>(inner: Rc<Inner<R>>) {
    loop {
        let (work, added) = (inner.work.notified(), inner.tables.rubbish_added.notified());
        if inner.is_stopping() {
            return;
        }
        let next = inner.tables.rubbish.borrow_mut().pop_front();
        match next {
            Some(rubbish) => inner.free(rubbish).await,
            None => _ = select(work, added).await,
        }
    }
}

impl<R: Runtime> Inner<R> {
    async fn free(&self, rubbish: Rubbish) {
        let mut left = rubbish.size;
        if left > PIECE_BYTES {
            let path = self.options.dir.join(file_name(rubbish.id));
            // Whatever is in the way of pieces: it is removed as a whole.
            if let Ok(file) = self.runtime.open(&path, WRITE).await {
                while left > PIECE_BYTES && !self.hurries() {
                    left -= PIECE_BYTES;
                    if file.truncate(left).await.is_err() {
                        break;
                    }
                    self.freed(PIECE_BYTES);
                    self.pause(self.pause_between_pieces()).await;
                }
            }
        }
        self.remove_files(&[rubbish.id]).await;
        self.freed(left);
    }

    fn freed(&self, bytes: u64) {
        let freeing = &self.tables.freeing_bytes;
        freeing.set(freeing.get() - bytes);
    }

    /// Nothing is worth a wait: the room is wanted, or the tree ends.
    fn hurries(&self) -> bool {
        self.is_stopping() || matches!(self.trouble(), Some(Error::Full { .. }))
    }

    fn pause_between_pieces(&self) -> Duration {
        let pieces = (self.tables.freeing_bytes.get() / PIECE_BYTES).clamp(1, u64::from(u32::MAX));
        (GONE_IN / pieces as u32).clamp(PAUSE_MIN, PAUSE_MAX)
    }
}
