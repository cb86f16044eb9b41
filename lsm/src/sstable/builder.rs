//! Writes an SSTable from entries in ascending order.
//!
//! The file is reserved in one piece when its size is known, about: what is written then changes no metadata of the file system
//! but that it was written, and the file lies in few places. Writes are large, and several are in flight: the device works on them
//! while the next blocks are made. `finish` waits for all, cuts off what was reserved in vain, and syncs.
//!
//! What finds a block stays in memory, as if it had been read: the top index in the reader that `finish` gives, and where that is wanted
//! the partitions in the cache. A get in a file that is seconds old would else read three or four times where it could read once, and
//! after each compaction all gets of its keys would, at the same time.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::rc::Rc;

use runtime::{BLOCK_BYTES, Buffer, Class, File, OpenOptions, Runtime};

use super::block::{Block, BlockBuilder, DATA_RESTART_INTERVAL, Entry, INDEX_RESTART_INTERVAL, Malformed};
use super::file::TableFile;
use super::footer::{FOOTER_BYTES, Footer};
use super::index::Index;
use super::partition::Partition;
use super::reader::{Reader, Tables};
use super::stored::{Sealer, TRAILER_BYTES, seal};
use super::{Handle, Seal, TableMeta, file_name, filter};
use crate::Error;
use crate::cache::{Cached, Hint, Place};
use crate::codec::{common_prefix, put_bytes, put_varint};
use crate::tree::options::{Canary, Compression};

/// What an SSTable is built like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BuilderOptions {
    pub(crate) level: usize,
    pub(crate) block_bytes: usize,
    pub(crate) partition_bytes: usize,
    pub(crate) transfer_bytes: usize,
    pub(crate) compression: Compression,
    /// Bits per key of its filters.
    pub(crate) filter_bits: usize,
    /// Whether its partitions go into the cache as they are made.
    pub(crate) keep: bool,
    /// Drops up to here were applied to what is added.
    pub(crate) drops_applied: u64,
    /// Bytes that the file will have, about: reserved in one piece. 0 if nobody knows.
    pub(crate) expected_bytes: u64,
}

/// Writes that are under way at once, each of `transfer_bytes`.
const WRITES_IN_FLIGHT_MAX: usize = 4;

/// Most bytes of a page that are left empty to begin a block on the next one.
const SLACK_BYTES_MAX: usize = 512;

/// An SSTable in the making. When it is dropped unfinished, the file is rubbish for the caller to remove.
pub(crate) struct TableBuilder<R: Runtime> {
    tables: Rc<Tables<R>>,
    options: BuilderOptions,
    path: PathBuf,
    file: R::File,
    out: Output,
    /// Writes that are under way, oldest first.
    flying: VecDeque<Flying<R>>,
    /// Buffers of writes that are over, for the next ones.
    spare: Vec<Rc<FileBuffer<R>>>,
    /// Bytes that the file has from the start.
    reserved: u64,
    sealer: Sealer,
    seal: Seal,
    data: BlockBuilder,
    index: BlockBuilder,
    top: BlockBuilder,
    /// Hashes of the partition's keys.
    hashes: Vec<u64>,
    scratch: Vec<u8>,
    meta: TableMeta,
    facts: Facts,
}

/// What the properties say beyond the manifest.
#[derive(Default)]
struct Facts {
    data_blocks: u64,
    partitions: u64,
    raw_bytes: u64,
}

type FileBuffer<R> = <<R as Runtime>::File as File>::Buffer;
/// A write: its task gives the buffer back.
type Flying<R> = <R as Runtime>::Task<Result<Rc<FileBuffer<R>>, Error>>;

/// An SSTable that is whole and synced.
pub(crate) struct Built<R: Runtime> {
    pub(crate) meta: TableMeta,
    /// The file, open, with its top index.
    pub(crate) reader: Rc<Reader<R>>,
}

/// Bytes on their way to the file.
struct Output {
    pending: Vec<u8>,
    /// Where in the file `pending` begins.
    written: u64,
    checksum: u32,
}

impl<R: Runtime> TableBuilder<R> {
    /// Creates the file of SSTable `id`.
    pub(crate) async fn create(
        tables: &Rc<Tables<R>>,
        id: u64,
        options: BuilderOptions,
    ) -> Result<TableBuilder<R>, Error> {
        assert!(options.transfer_bytes.is_multiple_of(BLOCK_BYTES) && options.transfer_bytes > 0);
        let path = tables.dir.join(file_name(id));
        let file = tables.runtime.open(&path, OpenOptions::CREATE).await;
        let file = file.map_err(|error| Error::io(&path, None, error))?;
        let reserved = reserve(&file, options.expected_bytes).await;
        let reserved = reserved.map_err(|error| Error::io(&path, None, error))?;
        let sealer = Sealer::new(options.compression).map_err(|error| Error::io(&path, None, error))?;
        let created = tables.runtime.wall();
        Ok(TableBuilder {
            tables: tables.clone(),
            options,
            path,
            file,
            out: Output { pending: Vec::new(), written: 0, checksum: 0 },
            flying: VecDeque::new(),
            spare: Vec::new(),
            reserved,
            sealer,
            seal: Seal { identity: tables.identity, file: id },
            data: BlockBuilder::new(DATA_RESTART_INTERVAL),
            index: BlockBuilder::new(INDEX_RESTART_INTERVAL),
            top: BlockBuilder::new(INDEX_RESTART_INTERVAL),
            hashes: Vec::new(),
            scratch: Vec::new(),
            meta: TableMeta {
                id,
                size: 0,
                entries: 0,
                tombstones: 0,
                sequence_min: u64::MAX,
                sequence_max: 0,
                drops_applied: options.drops_applied,
                created,
                newest: None,
                content_checksum: 0,
                smallest: Box::default(),
                largest: Box::default(),
            },
            facts: Facts::default(),
        })
    }

    /// Appends an entry; keys ascend, no key comes twice.
    pub(crate) async fn add(&mut self, entry: Entry<'_>) -> Result<(), Error> {
        let value = entry.value.unwrap_or_default();
        if !self.data.is_empty()
            && self.data.size_with(entry.key, value) + TRAILER_BYTES > self.options.block_bytes
        {
            self.end_data_block(Some(entry.key));
        }
        self.count(entry);
        self.data.add(entry);
        while self.out.pending.len() >= self.options.transfer_bytes {
            self.write(self.options.transfer_bytes).await?;
        }
        Ok(())
    }

    /// Bytes that the file has so far, about.
    pub(crate) fn size(&self) -> u64 {
        self.out.end() + (self.data.size() + self.index.size()) as u64
    }

    /// Ends the file and syncs it; the caller syncs the directory.
    pub(crate) async fn finish(mut self) -> Result<Built<R>, Error> {
        assert!(self.meta.entries > 0, "an SSTable has at least one entry");
        self.meta.largest = self.data.last_key().into();
        self.end_data_block(None);
        self.scratch.clear();
        self.top.finish(&mut self.scratch);
        let top = self.put_block();
        let finder = parse(&self.scratch, |bytes| Index::parse(&Block::parse(bytes.into())?, |_| true));
        self.encode_properties();
        let properties = self.put_block();
        self.out.pad(BLOCK_BYTES);
        self.meta.content_checksum = self.out.checksum;
        let footer = Footer { seal: self.seal, top, properties, content_checksum: self.out.checksum };
        self.out.put(&footer.encode());
        self.meta.size = self.out.end();
        while !self.out.pending.is_empty() {
            self.write(self.options.transfer_bytes.min(self.out.pending.len())).await?;
        }
        while !self.flying.is_empty() {
            self.land().await?;
        }
        if self.reserved > self.meta.size {
            let cut = self.file.truncate(self.meta.size).await;
            cut.map_err(|error| Error::io(&self.path, None, error))?;
        }
        if !self.tables.canary.is(Canary::SkipTableSync) {
            let synced = self.file.sync().await.map_err(|error| Error::io(&self.path, None, error));
            if !self.tables.canary.is(Canary::IgnoreSyncError) {
                synced?;
            }
        }
        let file = TableFile::written(&self.tables, self.file, self.path, self.seal, self.meta.size);
        let reader = Rc::new(Reader::written(file, finder, top.offset, properties));
        Ok(Built { meta: self.meta, reader })
    }

    fn count(&mut self, entry: Entry<'_>) {
        if self.meta.entries == 0 {
            self.meta.smallest = entry.key.into();
        }
        self.meta.entries += 1;
        self.meta.tombstones += u64::from(entry.value.is_none());
        self.meta.sequence_min = self.meta.sequence_min.min(entry.sequence);
        self.meta.sequence_max = self.meta.sequence_max.max(entry.sequence);
        self.facts.raw_bytes += (entry.key.len() + entry.value.unwrap_or_default().len()) as u64;
        let hash = filter::hash(entry.key, self.seal.identity);
        let forget = self.tables.canary.is(Canary::FilterFalseNegative) && hash.is_multiple_of(64);
        self.hashes.push(if forget { !hash } else { hash });
    }

    /// Ends the data block and indexes it, and ends the partition if that fills it. `next` is the key that follows;
    /// none at the end of the file.
    fn end_data_block(&mut self, next: Option<&[u8]>) {
        let last = self.data.last_key();
        let separator = next.map_or_else(|| last.to_vec(), |next| separator(last, next));
        self.scratch.clear();
        self.data.finish(&mut self.scratch);
        let handle = self.put_block();
        self.facts.data_blocks += 1;
        add_handle(&mut self.index, &separator, handle);
        let partition_size = self.index.size() + filter::size(self.hashes.len(), self.options.filter_bits);
        if next.is_none() || partition_size >= self.options.partition_bytes {
            self.end_partition(&separator);
        }
    }

    fn end_partition(&mut self, separator: &[u8]) {
        self.scratch.clear();
        self.scratch.extend_from_slice(&[0; 4]);
        filter::build(&self.hashes, self.options.filter_bits, &mut self.scratch);
        let filter_size = (self.scratch.len() - 4) as u32;
        self.scratch[..4].copy_from_slice(&filter_size.to_le_bytes());
        self.index.finish(&mut self.scratch);
        self.hashes.clear();
        let handle = self.put_block();
        if self.options.keep {
            self.keep_partition(handle);
        }
        self.facts.partitions += 1;
        add_handle(&mut self.top, separator, handle);
    }

    /// Puts the partition in `scratch` into the cache: not as what somebody has used, so that it goes first if nobody does.
    fn keep_partition(&self, handle: Handle) {
        let partition = Rc::new(parse(&self.scratch, |bytes| Partition::parse(bytes, |_| true)));
        let (place, size) = (Place { file: self.seal.file, offset: handle.offset }, partition.size());
        let mut cache = self.tables.cache.borrow_mut();
        cache.put(place, Cached::Partition(partition), size, &Hint::default());
    }

    /// Compresses and seals the block in `scratch`, at a place that costs few pages to read.
    fn put_block(&mut self) -> Handle {
        let body = self.sealer.compress(&self.scratch);
        let size = body.0.len() + TRAILER_BYTES;
        let left = BLOCK_BYTES - self.out.end() as usize % BLOCK_BYTES;
        let leaves_page = size > left && size <= BLOCK_BYTES;
        if leaves_page && (left <= SLACK_BYTES_MAX || size > BLOCK_BYTES - SLACK_BYTES_MAX) {
            self.out.pad(BLOCK_BYTES);
        }
        let (offset, start) = (self.out.end(), self.out.pending.len());
        let handle = seal(&mut self.out.pending, self.seal, offset, body, self.scratch.len());
        self.out.checksum = crc32c::crc32c_append(self.out.checksum, &self.out.pending[start..]);
        handle
    }

    fn encode_properties(&mut self) {
        let (out, meta) = (&mut self.scratch, &self.meta);
        out.clear();
        for number in [meta.entries, meta.tombstones, meta.sequence_min, meta.sequence_max] {
            put_varint(out, number);
        }
        for number in [self.facts.data_blocks, self.facts.partitions, self.facts.raw_bytes, meta.created.0] {
            put_varint(out, number);
        }
        out.push(self.options.level as u8);
        put_bytes(out, &meta.smallest);
        put_bytes(out, &meta.largest);
    }

    /// Sends the first `size` pending bytes on their way, whole pages of them; waits while too many are.
    async fn write(&mut self, size: usize) -> Result<(), Error> {
        assert!(size.is_multiple_of(BLOCK_BYTES) && size <= self.out.pending.len());
        while self.flying.len() >= WRITES_IN_FLIGHT_MAX {
            self.land().await?;
        }
        let mut buffer = self.buffer(size);
        let fill = Rc::get_mut(&mut buffer).expect("nobody else has the buffer yet");
        fill.as_mut_slice().copy_from_slice(&self.out.pending[..size]);
        let (file, path, offset) = (self.file.clone(), self.path.clone(), self.out.written);
        let write = async move {
            let written = file.write_at(buffer.clone(), offset).await;
            written.map(|()| buffer).map_err(|error| Error::io(&path, Some(offset), error))
        };
        self.flying.push_back(self.tables.runtime.spawn(Class::Compaction, write));
        self.out.pending.drain(..size);
        self.out.written += size as u64;
        Ok(())
    }

    /// Waits for the oldest write.
    async fn land(&mut self) -> Result<(), Error> {
        let Some(oldest) = self.flying.pop_front() else { return Ok(()) };
        self.spare.push(oldest.await?);
        Ok(())
    }

    /// A buffer that nobody else holds.
    fn buffer(&mut self, size: usize) -> Rc<FileBuffer<R>> {
        let fits = |spare: &Rc<FileBuffer<R>>| spare.as_slice().len() == size;
        let spare = self.spare.pop().filter(fits).filter(|spare| Rc::strong_count(spare) == 1);
        spare.unwrap_or_else(|| Rc::new(self.file.buffer(size)))
    }
}

/// Unpacks what was packed a moment ago.
fn parse<T>(bytes: &[u8], parse: impl Fn(&[u8]) -> Result<T, Malformed>) -> T {
    parse(bytes).expect("a block that was just made is well formed")
}

/// Reserves room for a file of so many bytes; gives the file's size. Without the room for all of it, writing shows how far
/// it gets: the guess may have been too high.
async fn reserve<F: File>(file: &F, expected_bytes: u64) -> std::io::Result<u64> {
    let size = expected_bytes.next_multiple_of(BLOCK_BYTES as u64);
    match file.allocate(size).await {
        Ok(()) => Ok(size),
        Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => Ok(0),
        Err(error) => Err(error),
    }
}

impl Output {
    /// Where the next byte goes in the file.
    fn end(&self) -> u64 {
        self.written + self.pending.len() as u64
    }

    fn put(&mut self, bytes: &[u8]) {
        self.checksum = crc32c::crc32c_append(self.checksum, bytes);
        self.pending.extend_from_slice(bytes);
    }

    /// Zeros up to the next multiple of `unit`.
    fn pad(&mut self, unit: usize) {
        let zeros = self.end().next_multiple_of(unit as u64) - self.end();
        let start = self.pending.len();
        self.pending.resize(start + zeros as usize, 0);
        self.checksum = crc32c::crc32c_append(self.checksum, &self.pending[start..]);
    }
}

fn add_handle(index: &mut BlockBuilder, key: &[u8], handle: Handle) {
    let mut value = Vec::with_capacity(24);
    handle.encode(&mut value);
    index.add(Entry { key, sequence: 0, value: Some(&value) });
}

/// A short key that is at or above `last` and below `next`.
fn separator(last: &[u8], next: &[u8]) -> Vec<u8> {
    assert!(last < next, "keys ascend");
    let common = common_prefix(last, next);
    match last.get(common) {
        Some(&byte) if byte + 1 < next[common] => {
            let mut short = last[..=common].to_vec();
            short[common] = byte + 1;
            short
        }
        _ => last.to_vec(),
    }
}

const _: () = assert!(FOOTER_BYTES == BLOCK_BYTES);
