//! Opens SSTables and finds keys in them.
//!
//! [`Tables`] is what all SSTables of a tree share: cache, open files, figures. A [`Table`] is one SSTable of the
//! manifest, a [`Reader`] its open file with the top index; readers come and go within `tables_open_max`.
//!
//! A lookup goes as far as memory goes without ever waiting ([`Table::get_now`]). Where it needs the device it says what for
//! ([`Needs`]), and [`Table::get_later`] goes on from there. So a get of what is cached is plain calls, and the future of
//! one that is not is made only then.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::{Rc, Weak};

use runtime::sync::Notify;
use runtime::{Purpose, Runtime};

use super::block::{Block, Malformed};
use super::file::{Content, Flights, TableFile};
use super::footer::{FOOTER_BYTES, Footer};
use super::index::Index;
use super::partition::Partition;
use super::stored::Opener;
use super::{Handle, TableMeta};
use crate::Error;
use crate::cache::{Cache, Cached, Hint};
use crate::codec::Decoder;
use crate::tree::options::{Canary, TreeOptions};
use crate::view::Value;

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
    pub(crate) rubbish: RefCell<VecDeque<Rubbish>>,
    pub(crate) rubbish_added: Notify,
    /// Bytes of those, and of the one that is being removed.
    pub(crate) freeing_bytes: Cell<u64>,
    /// SSTables that left the tree but are still held.
    pub(crate) pinned: Cell<usize>,
    /// Views that are alive, themselves or by their scans.
    pub(crate) views: Cell<usize>,
    pub(crate) opener: Opener,
    pub(crate) flights: Flights,
    open: RefCell<VecDeque<Weak<dyn Closable>>>,
    open_max: usize,
}

/// An SSTable whose file can go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rubbish {
    pub(crate) id: u64,
    pub(crate) size: u64,
}

/// Counted since the start.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) reads: Cell<u64>,
    pub(crate) read_bytes: Cell<u64>,
    /// Blocks that somebody else was reading already.
    pub(crate) reads_shared: Cell<u64>,
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
        let flights = Flights::new(runtime.random(Purpose::Hash));
        Rc::new(Tables {
            runtime,
            dir: options.dir.clone(),
            identity,
            canary: options.canary,
            cache: RefCell::new(cache),
            figures: Figures::default(),
            rubbish: RefCell::default(),
            rubbish_added: Notify::new(),
            freeing_bytes: Cell::new(0),
            pinned: Cell::new(0),
            views: Cell::new(0),
            opener: Opener::new(options.canary.is(Canary::TrustBlocks)),
            flights,
            open: RefCell::default(),
            open_max: options.tables_open_max.max(1),
        })
    }

    /// Nobody holds this SSTable any more: its file can go.
    pub(crate) fn discard(&self, meta: &TableMeta) {
        self.rubbish.borrow_mut().push_back(Rubbish { id: meta.id, size: meta.size });
        count(&self.freeing_bytes, meta.size);
        self.rubbish_added.notify_all();
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

/// What a lookup has to wait for.
pub(crate) enum Needs<R: Runtime> {
    /// The file is not open.
    Reader,
    /// The partition with this index is not in memory.
    Partition(Rc<Reader<R>>, usize),
    /// The data block with this index in its partition is not in memory.
    Block(Rc<Reader<R>>, Rc<Partition>, usize),
}

/// How far a lookup came.
pub(crate) enum Step<R: Runtime> {
    Done(Option<Hit>),
    Needs(Needs<R>),
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

    /// An SSTable that is open already.
    pub(crate) fn opened(tables: &Rc<Tables<R>>, meta: TableMeta, reader: Rc<Reader<R>>) -> Rc<Table<R>> {
        let table = Table::new(tables, meta);
        table.keep(reader);
        table
    }

    /// Keeps the open file for whoever looks next.
    fn keep(self: &Rc<Self>, reader: Rc<Reader<R>>) {
        if self.reader.borrow_mut().replace(reader).is_none() {
            let weak = Rc::downgrade(self);
            self.tables.opened(weak);
        }
    }

    /// The write of `key` in this SSTable, as far as memory goes; `hash` is its filter hash.
    #[inline]
    pub(crate) fn get_now(&self, key: &[u8], hash: u64) -> Result<Step<R>, Error> {
        self.used.set(true);
        match self.reader.borrow().as_ref() {
            Some(reader) => self.look_into(reader, key, hash),
            None => Ok(Step::Needs(Needs::Reader)),
        }
    }

    /// The same, from where [`Table::get_now`] could not go on.
    pub(crate) async fn get_later(
        self: &Rc<Self>,
        key: &[u8],
        hash: u64,
        mut needs: Needs<R>,
    ) -> Result<Option<Hit>, Error> {
        loop {
            let step = match needs {
                Needs::Reader => {
                    let reader = self.reader().await?;
                    self.look_into(&reader, key, hash)?
                }
                Needs::Partition(reader, at) => {
                    let partition = reader.partition(at).await?;
                    self.look_between(&reader, &partition, key, hash)?
                }
                Needs::Block(reader, partition, at) => {
                    let block = reader.block(&partition, at).await?;
                    Step::Done(self.look_at(&reader, &block, partition.index.handle(at), key)?)
                }
            };
            match step {
                Step::Done(found) => return Ok(found),
                Step::Needs(more) => needs = more,
            }
        }
    }

    /// The write of `key` in this SSTable.
    #[cfg(test)]
    pub(crate) async fn get(self: &Rc<Self>, key: &[u8], hash: u64) -> Result<Option<Hit>, Error> {
        match self.get_now(key, hash)? {
            Step::Done(found) => Ok(found),
            Step::Needs(needs) => self.get_later(key, hash, needs).await,
        }
    }

    fn look_into(&self, reader: &Rc<Reader<R>>, key: &[u8], hash: u64) -> Result<Step<R>, Error> {
        let at = reader.top.find(key);
        if at == reader.top.len() {
            return Ok(Step::Done(None));
        }
        match reader.partition_now(at) {
            Some(partition) => self.look_between(reader, &partition, key, hash),
            None => Ok(Step::Needs(Needs::Partition(reader.clone(), at))),
        }
    }

    fn look_between(
        &self,
        reader: &Rc<Reader<R>>,
        partition: &Rc<Partition>,
        key: &[u8],
        hash: u64,
    ) -> Result<Step<R>, Error> {
        if !partition.may_contain(hash) {
            count(&self.tables.figures.filter_negatives, 1);
            return Ok(Step::Done(None));
        }
        let at = partition.index.find(key);
        if at == partition.index.len() {
            count(&self.tables.figures.filter_false_positives, 1);
            return Ok(Step::Done(None));
        }
        match reader.block_now(partition, at) {
            Some(block) => self.look_at(reader, &block, partition.index.handle(at), key).map(Step::Done),
            None => Ok(Step::Needs(Needs::Block(reader.clone(), partition.clone(), at))),
        }
    }

    fn look_at(
        &self,
        reader: &Reader<R>,
        block: &Rc<Block>,
        handle: Handle,
        key: &[u8],
    ) -> Result<Option<Hit>, Error> {
        let found = reader.file.parsed(block.seek(key), handle.offset)?.filter(|found| found.exact);
        let Some(found) = found else {
            count(&self.tables.figures.filter_false_positives, 1);
            return Ok(None);
        };
        let value = (!found.tombstone).then(|| Value::in_block(block, found.value));
        Ok(Some(Hit { sequence: found.sequence, value }))
    }

    /// The file, if it is open.
    pub(crate) fn reader_now(&self) -> Option<Rc<Reader<R>>> {
        self.used.set(true);
        self.reader.borrow().clone()
    }

    /// The open file; opens it if need be.
    pub(crate) async fn reader(self: &Rc<Self>) -> Result<Rc<Reader<R>>, Error> {
        if let Some(reader) = self.reader_now() {
            return Ok(reader);
        }
        let reader = Rc::new(Reader::open(&self.tables, &self.meta).await?);
        self.keep(reader.clone());
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
            if let Some(reader) = self.reader.get_mut() {
                reader.forget_partitions();
            }
            self.tables.pinned.set(self.tables.pinned.get() - 1);
            self.tables.discard(&self.meta);
        }
    }
}

/// An open SSTable: its file and, in memory, its top index.
pub(crate) struct Reader<R: Runtime> {
    pub(crate) file: TableFile<R>,
    pub(crate) top: Index,
    pub(crate) top_offset: u64,
    /// Where each partition was in the cache.
    hints: Box<[Hint]>,
    pub(crate) properties: Handle,
}

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
        if !file.has_room_for(&footer.top) || !file.has_room_for(&footer.properties) {
            return Err(file.corrupt(footer_at, "a footer that points outside the file"));
        }
        let (top, top_offset) = (footer.top, footer.top.offset);
        let top = match tail.get(top) {
            Some(stored) => file.unseal(stored, top)?,
            None => file.read_sealed(top).await?,
        };
        let top = Block::parse(top).and_then(|top| Index::parse(&top, |handle| file.has_room_for(handle)));
        let top = file.parsed(top, top_offset)?;
        let hints = (0..top.len()).map(|_| Hint::default()).collect();
        Ok(Reader { file, top, top_offset, hints, properties: footer.properties })
    }

    /// The reader of a file that was just written: its top index is still in memory.
    pub(crate) fn written(file: TableFile<R>, top: Index, top_offset: u64, properties: Handle) -> Reader<R> {
        let hints = (0..top.len()).map(|_| Hint::default()).collect();
        Reader { file, top, top_offset, hints, properties }
    }

    /// The file goes: its partitions leave the cache.
    fn forget_partitions(&self) {
        (0..self.top.len()).for_each(|at| self.file.forget(self.top.handle(at)));
    }

    /// Partition `at`, if it is in memory.
    #[inline]
    pub(crate) fn partition_now(&self, at: usize) -> Option<Rc<Partition>> {
        match self.file.cached(self.top.handle(at), &self.hints[at])? {
            Cached::Partition(partition) => Some(partition),
            Cached::Data(_) => None,
        }
    }

    /// Partition `at`, read now if it is not in memory.
    pub(crate) async fn partition(&self, at: usize) -> Result<Rc<Partition>, Error> {
        if let Some(partition) = self.partition_now(at) {
            return Ok(partition);
        }
        let handle = self.top.handle(at);
        let loaded = self.file.load(handle, Content::Partition, &self.hints[at]).await?;
        self.as_partition(loaded, handle)
    }

    /// Takes the verified bytes of partition `at` that were read ahead.
    pub(crate) fn admit_partition(&self, at: usize, bytes: Box<[u8]>) -> Result<Rc<Partition>, Error> {
        let handle = self.top.handle(at);
        let admitted = self.file.admit(handle, Content::Partition, bytes, &self.hints[at])?;
        self.as_partition(admitted, handle)
    }

    /// Takes the verified bytes of a data block that was read ahead.
    pub(crate) fn admit_block(
        &self,
        partition: &Partition,
        at: usize,
        bytes: Box<[u8]>,
    ) -> Result<Rc<Block>, Error> {
        let handle = partition.index.handle(at);
        let admitted = self.file.admit(handle, Content::Data, bytes, partition.hint(at))?;
        self.as_block(admitted, handle)
    }

    fn as_partition(&self, cached: Cached, handle: Handle) -> Result<Rc<Partition>, Error> {
        match cached {
            Cached::Partition(partition) => Ok(partition),
            Cached::Data(_) => Err(self.file.corrupt(handle.offset, "a data block instead of a partition")),
        }
    }

    fn as_block(&self, cached: Cached, handle: Handle) -> Result<Rc<Block>, Error> {
        match cached {
            Cached::Data(block) => Ok(block),
            Cached::Partition(_) => {
                Err(self.file.corrupt(handle.offset, "a partition instead of a data block"))
            }
        }
    }

    /// Data block `at` of a partition, if it is in memory.
    #[inline]
    pub(crate) fn block_now(&self, partition: &Partition, at: usize) -> Option<Rc<Block>> {
        match self.file.cached(partition.index.handle(at), partition.hint(at))? {
            Cached::Data(block) => Some(block),
            Cached::Partition(_) => None,
        }
    }

    /// Data block `at` of a partition, read now if it is not in memory.
    async fn block(&self, partition: &Partition, at: usize) -> Result<Rc<Block>, Error> {
        if let Some(block) = self.block_now(partition, at) {
            return Ok(block);
        }
        let handle = partition.index.handle(at);
        let loaded = self.file.load(handle, Content::Data, partition.hint(at)).await?;
        self.as_block(loaded, handle)
    }

    /// Where the data block lies that would hold `key`; where the data ends, if `key` is behind all of it.
    pub(crate) async fn offset_of(&self, key: &[u8]) -> Result<u64, Error> {
        let at = self.top.find(key);
        if at == self.top.len() {
            return Ok(self.top_offset);
        }
        let index = &self.partition(at).await?.index;
        let block = index.find(key);
        // A partition lies right behind its data blocks.
        Ok(if block < index.len() { index.handle(block).offset } else { self.top.handle(at).offset })
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
