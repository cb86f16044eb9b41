//! Opens SSTables and finds keys in them.
//!
//! [`Tables`] is what all SSTables of a tree share: cache, open files, figures. A [`Table`] is one SSTable of the
//! manifest, a [`Reader`] its open file with the top index; readers come and go within `tables_open_max`. A
//! [`TableFile`] is where bytes become blocks: read, verified, unpacked, cached.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::Deref;
use std::path::PathBuf;
use std::rc::{Rc, Weak};

use bytes::Bytes;
use runtime::sync::Notify;
use runtime::{BLOCK_BYTES, File, OpenOptions, Purpose, Runtime};

use super::block::{Block, Malformed};
use super::stored::{Opener, TRAILER_BYTES};
use super::{Handle, MAGIC, Seal, TableMeta, VERSION, file_name, filter};
use crate::Error;
use crate::cache::{Cache, Cached, Place};
use crate::codec::Decoder;
use crate::tree::options::{Canary, TreeOptions};
use crate::view::Value;

/// Bytes of the footer.
pub(crate) const FOOTER_BYTES: usize = 4096;
/// First read of a file: its footer and, in all but very large files, its top index.
const TAIL_BYTES: u64 = 16 << 10;

/// What all SSTables of a tree share.
pub(crate) struct Tables<R: Runtime> {
    pub(crate) runtime: R,
    pub(crate) dir: PathBuf,
    pub(crate) identity: u64,
    pub(crate) canary: Canary,
    pub(crate) cache: RefCell<Cache>,
    pub(crate) figures: Figures,
    /// SSTables whose files can go: no version names them and no reader holds them.
    pub(crate) rubbish: RefCell<Vec<u64>>,
    pub(crate) rubbish_added: Notify,
    /// SSTables that left the tree but are still held.
    pub(crate) pinned: Cell<usize>,
    /// Views that are alive, themselves or by their scans.
    pub(crate) views: Cell<usize>,
    opener: Opener,
    open: RefCell<VecDeque<Weak<dyn Closable>>>,
    open_max: usize,
}

/// Counted since the start.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) reads: Cell<u64>,
    pub(crate) read_bytes: Cell<u64>,
    pub(crate) filter_negatives: Cell<u64>,
    pub(crate) filter_false_positives: Cell<u64>,
}

/// Adds to a figure.
pub(crate) fn count(figure: &Cell<u64>, more: u64) {
    figure.set(figure.get() + more);
}

impl<R: Runtime> Tables<R> {
    pub(crate) fn new(runtime: R, options: &TreeOptions, identity: u64) -> Rc<Tables<R>> {
        let cache = Cache::new(options.cache_bytes, runtime.random(Purpose::Hash));
        Rc::new(Tables {
            runtime,
            dir: options.dir.clone(),
            identity,
            canary: options.canary,
            cache: RefCell::new(cache),
            figures: Figures::default(),
            rubbish: RefCell::default(),
            rubbish_added: Notify::new(),
            pinned: Cell::new(0),
            views: Cell::new(0),
            opener: Opener::default(),
            open: RefCell::default(),
            open_max: options.tables_open_max.max(1),
        })
    }

    /// Counts one more open reader, and closes the one that was not used for longest if that is one too many.
    fn opened(&self, table: Weak<dyn Closable>) {
        let mut open = self.open.borrow_mut();
        open.push_back(table);
        while open.len() > self.open_max {
            let oldest = open.pop_front().expect("it is longer than a positive number");
            if oldest.upgrade().is_some_and(|oldest| !oldest.close_unless_used()) {
                open.push_back(oldest);
            }
        }
    }
}

/// A table, as the list of open readers knows it.
trait Closable {
    /// Closes the reader and says true, unless it was used since the last time.
    fn close_unless_used(&self) -> bool;
}

/// One SSTable of the tree.
pub(crate) struct Table<R: Runtime> {
    pub(crate) meta: TableMeta,
    tables: Rc<Tables<R>>,
    reader: RefCell<Option<Rc<Reader<R>>>>,
    used: Cell<bool>,
    obsolete: Cell<bool>,
    /// [`Reader::raw_bytes`], once somebody has asked.
    raw_bytes: Cell<Option<u64>>,
}

/// What a lookup found: the newest write of the key in this SSTable.
pub(crate) struct Hit {
    pub(crate) sequence: u64,
    /// `None`: a tombstone.
    pub(crate) value: Option<Value>,
}

impl<R: Runtime> Table<R> {
    pub(crate) fn new(tables: &Rc<Tables<R>>, meta: TableMeta) -> Rc<Table<R>> {
        Rc::new(Table {
            meta,
            tables: tables.clone(),
            reader: RefCell::new(None),
            used: Cell::new(false),
            obsolete: Cell::new(false),
            raw_bytes: Cell::new(None),
        })
    }

    /// The write of `key` in this SSTable; `hash` is its filter hash.
    pub(crate) async fn get(self: &Rc<Self>, key: &[u8], hash: u64) -> Result<Option<Hit>, Error> {
        let reader = self.reader().await?;
        let Some(handle) = reader.file.find(&reader.top, key, reader.top_offset)? else { return Ok(None) };
        let partition = reader.file.partition(handle).await?;
        if !filter::may_contain(&partition.filter, hash) {
            count(&self.tables.figures.filter_negatives, 1);
            return Ok(None);
        }
        let found = match reader.file.find(&partition.index, key, handle.offset)? {
            Some(handle) => reader.file.lookup(handle, key).await?,
            None => None,
        };
        if found.is_none() {
            count(&self.tables.figures.filter_false_positives, 1);
        }
        Ok(found)
    }

    /// The open file; opens it if need be.
    pub(crate) async fn reader(self: &Rc<Self>) -> Result<Rc<Reader<R>>, Error> {
        self.used.set(true);
        if let Some(reader) = self.reader.borrow().as_ref() {
            return Ok(reader.clone());
        }
        let reader = Rc::new(Reader::open(&self.tables, &self.meta).await?);
        if self.reader.borrow_mut().replace(reader.clone()).is_none() {
            let weak = Rc::downgrade(self);
            self.tables.opened(weak);
        }
        Ok(reader)
    }

    /// Bytes of its keys and values before they were packed; read once.
    pub(crate) async fn raw_bytes(self: &Rc<Self>) -> Result<u64, Error> {
        if let Some(bytes) = self.raw_bytes.get() {
            return Ok(bytes);
        }
        let bytes = self.reader().await?.raw_bytes().await?;
        self.raw_bytes.set(Some(bytes));
        Ok(bytes)
    }

    /// Whether the tree does not name this SSTable any more.
    pub(crate) fn is_obsolete(&self) -> bool {
        self.obsolete.get()
    }

    /// The tree does not name this SSTable any more: when the last reader lets go, its file is rubbish.
    pub(crate) fn set_obsolete(&self) {
        assert!(!self.obsolete.replace(true), "an SSTable leaves the tree once");
        self.tables.pinned.set(self.tables.pinned.get() + 1);
    }
}

impl<R: Runtime> AsRef<TableMeta> for Table<R> {
    fn as_ref(&self) -> &TableMeta {
        &self.meta
    }
}

impl<R: Runtime> Closable for Table<R> {
    fn close_unless_used(&self) -> bool {
        if self.used.replace(false) {
            return false;
        }
        self.reader.borrow_mut().take();
        true
    }
}

impl<R: Runtime> Drop for Table<R> {
    fn drop(&mut self) {
        if self.obsolete.get() {
            self.tables.pinned.set(self.tables.pinned.get() - 1);
            self.tables.rubbish.borrow_mut().push(self.meta.id);
            self.tables.rubbish_added.notify_all();
        }
    }
}

/// The filter and the index of a run of data blocks.
pub(crate) struct Partition {
    pub(crate) filter: Bytes,
    pub(crate) index: Rc<Block>,
}

impl Partition {
    pub(crate) fn parse(bytes: Bytes) -> Result<Partition, Malformed> {
        let size = bytes.get(..4).ok_or(Malformed)?;
        let size = u32::from_le_bytes(size.try_into().expect("four bytes")) as usize;
        let index_at = size.checked_add(4).filter(|at| *at <= bytes.len()).ok_or(Malformed)?;
        Ok(Partition {
            filter: bytes.slice(4..index_at),
            index: Rc::new(Block::parse(bytes.slice(index_at..))?),
        })
    }

    fn size(&self) -> usize {
        self.filter.len() + self.index.size()
    }
}

/// An open SSTable: its file and, in memory, its top index.
pub(crate) struct Reader<R: Runtime> {
    pub(crate) file: TableFile<R>,
    pub(crate) top: Rc<Block>,
    pub(crate) top_offset: u64,
    pub(crate) properties: Handle,
}

/// The file of an SSTable: gives verified blocks, through the cache.
pub(crate) struct TableFile<R: Runtime> {
    tables: Rc<Tables<R>>,
    file: R::File,
    path: PathBuf,
    seal: Seal,
    size: u64,
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

/// The bytes of a file of `R`.
pub(crate) type FileBytes<R> = <<R as Runtime>::File as File>::Bytes;

impl<R: Runtime> Reader<R> {
    /// Opens the file, checks the footer and takes the top index.
    pub(crate) async fn open(tables: &Rc<Tables<R>>, meta: &TableMeta) -> Result<Reader<R>, Error> {
        let file = TableFile::open(tables, meta).await?;
        let footer_at = file.size.checked_sub(FOOTER_BYTES as u64);
        let footer_at = footer_at.ok_or_else(|| file.corrupt(0, "a file that is shorter than its footer"))?;
        let tail = file.size.min(TAIL_BYTES);
        let tail = file.read_extent(file.size - tail, file.size).await?;
        let footer_handle = Handle { offset: footer_at, size: FOOTER_BYTES as u32, checksum: 0 };
        let footer = tail.get(footer_handle).expect("the tail ends with the footer");
        let footer = Footer::decode(footer).map_err(|what| file.corrupt(footer_at, what))?;
        if footer.seal != file.seal || footer.content_checksum != meta.content_checksum {
            return Err(file.corrupt(footer_at, "the footer of another file than the manifest names"));
        }
        let top_offset = file.bounded(Some(footer.top), footer_at)?.offset;
        let top = match tail.get(footer.top) {
            Some(stored) => file.unseal(stored, footer.top)?,
            None => file.read_sealed(footer.top).await?,
        };
        let top = Rc::new(file.parsed(Block::parse(top), top_offset)?);
        let properties = file.bounded(Some(footer.properties), footer_at)?;
        Ok(Reader { file, top, top_offset, properties })
    }

    /// Where the data block lies that would hold `key`; where the data ends, if `key` is behind all of it.
    pub(crate) async fn offset_of(&self, key: &[u8]) -> Result<u64, Error> {
        let Some(handle) = self.file.find(&self.top, key, self.top_offset)? else {
            return Ok(self.top_offset);
        };
        let partition = self.file.partition(handle).await?;
        // A partition lies right behind its data blocks.
        let block = self.file.find(&partition.index, key, handle.offset)?;
        Ok(block.map_or(handle.offset, |block| block.offset))
    }

    /// Bytes of the keys and values, from the properties.
    async fn raw_bytes(&self) -> Result<u64, Error> {
        let bytes = self.file.read_sealed(self.properties).await?;
        let mut decoder = Decoder::new(&bytes);
        // Entries, tombstones, both sequence numbers, data blocks and partitions come before.
        let numbers = (0..7).map(|_| decoder.varint()).last().flatten();
        self.file.parsed(numbers.ok_or(Malformed), self.properties.offset)
    }
}

impl<R: Runtime> TableFile<R> {
    async fn open(tables: &Rc<Tables<R>>, meta: &TableMeta) -> Result<TableFile<R>, Error> {
        let path = tables.dir.join(file_name(meta.id));
        let file = tables.runtime.open(&path, OpenOptions::READ).await;
        let file = file.map_err(|error| Error::io(&path, None, error))?;
        let seal = Seal { identity: tables.identity, file: meta.id };
        Ok(TableFile { tables: tables.clone(), file, path, seal, size: meta.size })
    }

    /// The handle that `index` has for the block where `key` would be. `offset` is the index's own place.
    fn find(&self, index: &Block, key: &[u8], offset: u64) -> Result<Option<Handle>, Error> {
        let Some(found) = self.parsed(index.seek(key), offset)? else { return Ok(None) };
        self.handle(index.bytes(found.value), offset).map(Some)
    }

    /// A handle from an index at `offset`, checked against the file's bounds.
    pub(crate) fn handle(&self, bytes: &[u8], offset: u64) -> Result<Handle, Error> {
        self.bounded(Handle::decode(bytes), offset)
    }

    /// A handle that was read at `offset`, if it names a place where a block can be.
    fn bounded(&self, handle: Option<Handle>, offset: u64) -> Result<Handle, Error> {
        let fits = |handle: &Handle| {
            let end = handle.offset.checked_add(u64::from(handle.size));
            handle.size as usize > TRAILER_BYTES && end.is_some_and(|end| end <= self.size)
        };
        handle.filter(fits).ok_or_else(|| self.corrupt(offset, "an index that points outside the file"))
    }

    async fn lookup(&self, handle: Handle, key: &[u8]) -> Result<Option<Hit>, Error> {
        let block = self.block(handle).await?;
        let found = self.parsed(block.seek(key), handle.offset)?.filter(|found| found.exact);
        Ok(found.map(|found| {
            let value = (!found.tombstone).then(|| Value(block.slice(found.value)));
            Hit { sequence: found.sequence, value }
        }))
    }

    /// The partition at `handle`, through the cache.
    pub(crate) async fn partition(&self, handle: Handle) -> Result<Rc<Partition>, Error> {
        if let Some(Cached::Partition(partition)) = self.cached(handle) {
            return Ok(partition);
        }
        let bytes = self.read_sealed(handle).await?;
        let partition = Rc::new(self.parsed(Partition::parse(bytes), handle.offset)?);
        let cached = Cached::Partition(partition.clone());
        self.tables.cache.borrow_mut().insert(self.place(handle), cached, partition.size());
        Ok(partition)
    }

    /// The data block in these verified bytes, past the cache.
    pub(crate) fn parse_block(&self, bytes: Bytes, handle: Handle) -> Result<Rc<Block>, Error> {
        self.parsed(Block::parse(bytes), handle.offset).map(Rc::new)
    }

    /// The data block at `handle`, through the cache.
    async fn block(&self, handle: Handle) -> Result<Rc<Block>, Error> {
        if let Some(block) = self.cached_block(handle) {
            return Ok(block);
        }
        let bytes = self.read_sealed(handle).await?;
        self.admit(handle, bytes)
    }

    /// The data block at `handle`, if it is cached.
    pub(crate) fn cached_block(&self, handle: Handle) -> Option<Rc<Block>> {
        match self.cached(handle)? {
            Cached::Data(block) => Some(block),
            Cached::Partition(_) => None,
        }
    }

    /// Takes verified bytes of a data block into the cache.
    pub(crate) fn admit(&self, handle: Handle, bytes: Bytes) -> Result<Rc<Block>, Error> {
        let block = self.parse_block(bytes, handle)?;
        let cached = Cached::Data(block.clone());
        self.tables.cache.borrow_mut().insert(self.place(handle), cached, block.size());
        Ok(block)
    }

    fn cached(&self, handle: Handle) -> Option<Cached> {
        self.tables.cache.borrow_mut().get(self.place(handle))
    }

    fn place(&self, handle: Handle) -> Place {
        Place { file: self.seal.file, offset: handle.offset }
    }

    /// One device read, then every check.
    pub(crate) async fn read_sealed(&self, handle: Handle) -> Result<Bytes, Error> {
        let extent = self.read_extent(handle.offset, handle.end()).await?;
        self.unseal(extent.get(handle).expect("the extent was read for it"), handle)
    }

    /// Verifies a stored block and unpacks it.
    pub(crate) fn unseal(&self, stored: &[u8], handle: Handle) -> Result<Bytes, Error> {
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

    fn corrupt(&self, offset: u64, what: &str) -> Error {
        Error::corrupt(&self.path, offset, what)
    }
}

/// The last page of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) seal: Seal,
    pub(crate) top: Handle,
    pub(crate) properties: Handle,
    pub(crate) content_checksum: u32,
}

impl Footer {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FOOTER_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&0u32.to_le_bytes());
        out.extend_from_slice(&self.seal.identity.to_le_bytes());
        out.extend_from_slice(&self.seal.file.to_le_bytes());
        for handle in [self.top, self.properties] {
            out.extend_from_slice(&handle.offset.to_le_bytes());
            out.extend_from_slice(&handle.size.to_le_bytes());
            out.extend_from_slice(&handle.checksum.to_le_bytes());
        }
        out.extend_from_slice(&self.content_checksum.to_le_bytes());
        out.resize(FOOTER_BYTES - 4, 0);
        let checksum = crc32c::crc32c(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    pub(crate) fn decode(page: &[u8]) -> Result<Footer, &'static str> {
        assert_eq!(page.len(), FOOTER_BYTES);
        let u32_at = |at: usize| u32::from_le_bytes(page[at..at + 4].try_into().expect("four bytes"));
        let u64_at = |at: usize| u64::from_le_bytes(page[at..at + 8].try_into().expect("eight bytes"));
        let handle_at = |at| Handle { offset: u64_at(at), size: u32_at(at + 8), checksum: u32_at(at + 12) };
        if &page[..8] != MAGIC {
            return Err("no footer of an SSTable");
        }
        if u32_at(8) != VERSION {
            return Err("an SSTable of a version that this program does not know");
        }
        if crc32c::crc32c(&page[..FOOTER_BYTES - 4]) != u32_at(FOOTER_BYTES - 4) {
            return Err("the footer's checksum does not match its bytes");
        }
        Ok(Footer {
            seal: Seal { identity: u64_at(16), file: u64_at(24) },
            top: handle_at(32),
            properties: handle_at(48),
            content_checksum: u32_at(64),
        })
    }
}
