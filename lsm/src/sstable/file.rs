//! The file of an SSTable: where bytes become blocks. Read, verified, unpacked, cached.
//!
//! 1. A block that is not in the cache is read by one aligned device read, of as few pages as it lies in.
//! 2. Its checksum, which covers identity, file id and offset, is compared with its bytes and with the one in its index.
//!    What does not check is an error that names file and offset; it is neither handed out nor cached.
//! 3. Only then it is unpacked, into memory of its own, parsed and put into the cache.
//!
//! Who asks for a block that is being read already waits for that read ([`Flights`]): two gets, one device read. If the
//! reader is dropped before the block has landed, one of those who wait reads it.
//!
//! The copy out of the read's buffer is meant: buffers come from memory that is registered with the kernel, of which there
//! is little, and are whole pages; a cached block has just its own bytes.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::ops::Deref;
use std::path::PathBuf;
use std::rc::Rc;
use std::task::{Poll, Waker};

use ahash::{AHashMap, RandomState};
use runtime::{BLOCK_BYTES, File, OpenOptions, Runtime};

use super::block::{Block, Malformed};
use super::reader::{Tables, count};
use super::stored::TRAILER_BYTES;
use super::{Handle, Seal, TableMeta, file_name};
use crate::Error;
use crate::cache::{Cached, Hint, Place};
use crate::sstable::partition::Partition;

/// The bytes of a file of `R`.
pub(crate) type FileBytes<R> = <<R as Runtime>::File as File>::Bytes;

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Data,
    Partition,
}

/// The file of an SSTable: gives verified blocks, through the cache.
pub(crate) struct TableFile<R: Runtime> {
    tables: Rc<Tables<R>>,
    file: R::File,
    path: PathBuf,
    pub(crate) seal: Seal,
    pub(crate) size: u64,
}

/// A piece of a file in memory: blocks that were read together.
pub(crate) struct Extent<B> {
    start: u64,
    bytes: B,
}

impl<B: Deref<Target = [u8]>> Extent<B> {
    /// The bytes of `handle`, if all of them are here.
    pub(crate) fn get(&self, handle: Handle) -> Option<&[u8]> {
        let from = usize::try_from(handle.offset.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..from.checked_add(handle.size as usize)?)
    }
}

impl<R: Runtime> TableFile<R> {
    pub(crate) async fn open(tables: &Rc<Tables<R>>, meta: &TableMeta) -> Result<TableFile<R>, Error> {
        let path = tables.dir.join(file_name(meta.id));
        let file = tables.runtime.open(&path, OpenOptions::READ).await;
        let file = file.map_err(|error| Error::io(&path, None, error))?;
        let seal = Seal { identity: tables.identity, file: meta.id };
        Ok(TableFile { tables: tables.clone(), file, path, seal, size: meta.size })
    }

    /// A file that was just written, through the handle that wrote it.
    pub(crate) fn written(
        tables: &Rc<Tables<R>>,
        file: R::File,
        path: PathBuf,
        seal: Seal,
        size: u64,
    ) -> TableFile<R> {
        TableFile { tables: tables.clone(), file, path, seal, size }
    }

    /// Whether a handle names a place where a block can be.
    pub(crate) fn has_room_for(&self, handle: &Handle) -> bool {
        let end = handle.offset.checked_add(u64::from(handle.size));
        handle.size as usize > TRAILER_BYTES && end.is_some_and(|end| end <= self.size)
    }

    /// The block at `handle` need not be cached any more.
    pub(crate) fn forget(&self, handle: Handle) {
        self.tables.cache.borrow_mut().forget(self.place(handle));
    }

    /// The block at `handle`, if it is cached.
    #[inline]
    pub(crate) fn cached(&self, handle: Handle, hint: &Hint) -> Option<Cached> {
        self.tables.cache.borrow_mut().get(self.place(handle), hint)
    }

    /// Whether the block at `handle` is cached. Does not count as a use of it.
    pub(crate) fn is_cached(&self, handle: Handle) -> bool {
        self.tables.cache.borrow().contains(self.place(handle))
    }

    /// Reads the block at `handle`, which is not cached, or waits for whoever is reading it.
    pub(crate) async fn load(&self, handle: Handle, content: Content, hint: &Hint) -> Result<Cached, Error> {
        let place = self.place(handle);
        while let Some(flight) = self.tables.flights.find(place) {
            count(&self.tables.figures.reads_shared, 1);
            if let Some(landed) = flight.landed().await {
                return landed;
            }
            if let Some(cached) = self.cached(handle, hint) {
                return Ok(cached);
            }
        }
        let flight = self.tables.flights.begin(place);
        let read = self.read_sealed(handle).await;
        let landed = read.and_then(|bytes| self.admit(handle, content, bytes, hint));
        flight.land(landed.clone());
        landed
    }

    /// Takes verified bytes of a block into the cache.
    pub(crate) fn admit(
        &self,
        handle: Handle,
        content: Content,
        bytes: Box<[u8]>,
        hint: &Hint,
    ) -> Result<Cached, Error> {
        let (cached, size) = match content {
            Content::Data => {
                let block = self.parse_block(bytes, handle)?;
                let size = block.size();
                (Cached::Data(block), size)
            }
            Content::Partition => {
                let partition = Partition::parse(&bytes, |handle| self.has_room_for(handle));
                let partition = Rc::new(self.parsed(partition, handle.offset)?);
                let size = partition.size();
                (Cached::Partition(partition), size)
            }
        };
        self.tables.cache.borrow_mut().insert(self.place(handle), cached.clone(), size, hint);
        Ok(cached)
    }

    /// The data block in these verified bytes, past the cache.
    pub(crate) fn parse_block(&self, bytes: Box<[u8]>, handle: Handle) -> Result<Rc<Block>, Error> {
        self.parsed(Block::parse(bytes), handle.offset).map(Rc::new)
    }

    fn place(&self, handle: Handle) -> Place {
        Place { file: self.seal.file, offset: handle.offset }
    }

    /// One device read, then every check.
    pub(crate) async fn read_sealed(&self, handle: Handle) -> Result<Box<[u8]>, Error> {
        let extent = self.read_extent(handle.offset, handle.end()).await?;
        self.unseal(extent.get(handle).expect("the extent was read for it"), handle)
    }

    /// Verifies a stored block and unpacks it.
    pub(crate) fn unseal(&self, stored: &[u8], handle: Handle) -> Result<Box<[u8]>, Error> {
        let opened = self.tables.opener.open(stored, self.seal, handle);
        opened.map_err(|what| self.corrupt(handle.offset, what))
    }

    /// One aligned device read that covers `from..to`, cut at the end of the file.
    pub(crate) async fn read_extent(&self, from: u64, to: u64) -> Result<Extent<FileBytes<R>>, Error> {
        let page = BLOCK_BYTES as u64;
        let start = from - from % page;
        let end = to.next_multiple_of(page).min(self.size);
        assert!(start < end && self.size.is_multiple_of(page), "something inside the file is read");
        count(&self.tables.figures.reads, 1);
        count(&self.tables.figures.read_bytes, end - start);
        let bytes = self.file.read_at(start, (end - start) as usize).await;
        let bytes = bytes.map_err(|error| Error::io(&self.path, Some(start), error))?;
        if bytes.len() as u64 != end - start {
            return Err(self.corrupt(start + bytes.len() as u64, "the file ends too early"));
        }
        Ok(Extent { start, bytes })
    }

    /// Names file and place of a block that does not parse.
    pub(crate) fn parsed<T>(&self, result: Result<T, Malformed>, offset: u64) -> Result<T, Error> {
        result.map_err(|Malformed| self.corrupt(offset, "a block that is not well formed"))
    }

    pub(crate) fn corrupt(&self, offset: u64, what: &str) -> Error {
        Error::corrupt(&self.path, offset, what)
    }
}

/// Blocks that are being read, by their place.
pub(crate) struct Flights {
    under_way: RefCell<AHashMap<Place, Rc<Flight>>>,
}

/// One read that several may wait for.
#[derive(Default)]
struct Flight {
    landed: RefCell<Option<Result<Cached, Error>>>,
    /// The reader is done, or gone.
    over: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

/// The right and duty to read a block; when it is dropped, those who wait look again.
struct Leader<'f> {
    flights: &'f Flights,
    place: Place,
    flight: Rc<Flight>,
}

impl Flights {
    pub(crate) fn new(seed: u64) -> Flights {
        let state = RandomState::with_seeds(seed, seed.rotate_left(31), !seed, seed ^ 0x2545_f491_4f6c_dd1d);
        Flights { under_way: RefCell::new(AHashMap::with_hasher(state)) }
    }

    fn find(&self, place: Place) -> Option<Rc<Flight>> {
        self.under_way.borrow().get(&place).cloned()
    }

    fn begin(&self, place: Place) -> Leader<'_> {
        let flight = Rc::new(Flight::default());
        let before = self.under_way.borrow_mut().insert(place, flight.clone());
        assert!(before.is_none(), "one reads, the others wait");
        Leader { flights: self, place, flight }
    }
}

impl Flight {
    /// What was read; `None` if the reader was dropped before.
    async fn landed(&self) -> Option<Result<Cached, Error>> {
        poll_fn(|context| {
            if self.over.get() {
                return Poll::Ready(());
            }
            // A waiter that was dropped leaves a waker behind; it wakes nobody, or somebody who looks and sleeps on.
            self.waiting.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await;
        self.landed.borrow().clone()
    }
}

impl Leader<'_> {
    fn land(self, landed: Result<Cached, Error>) {
        *self.flight.landed.borrow_mut() = Some(landed);
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        self.flights.under_way.borrow_mut().remove(&self.place);
        self.flight.over.set(true);
        let waiting = std::mem::take(&mut *self.flight.waiting.borrow_mut());
        waiting.into_iter().for_each(Waker::wake);
    }
}
