//! One SSTable: its footer and properties, and a walk over its partitions, blocks and entries.
//!
//! The walk is the engine's: handles from verified indexes, blocks through the same unsealing. [`Sstable::check`]
//! checks on the way what no single read would notice: order, counts, bounds, the filter, and the checksum of the whole.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use runtime::{BLOCK_BYTES, File, OpenOptions, Runtime, Wall};

use super::manifest::TableAbout;
use super::{Problem, Watch};
use crate::Error;
use crate::codec::Decoder;
use crate::sstable::block::{Block, BlockCursor, Entry, Goal, Malformed};
use crate::sstable::file::{Extent, FileBytes};
use crate::sstable::footer::{FOOTER_BYTES, Footer};
use crate::sstable::index::Index;
use crate::sstable::partition::Partition;
use crate::sstable::reader::{Reader, Tables};
use crate::sstable::{Handle, TableMeta, filter, parse_file_name};
use crate::tree::TreeOptions;

/// Bytes of one read of a walk, if no single block needs more.
const READ_BYTES: u64 = 1 << 20;

/// An SSTable's properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Properties {
    /// Entries, tombstones among them.
    pub entries: u64,
    /// Tombstones.
    pub tombstones: u64,
    /// The oldest write's sequence number.
    pub sequence_min: u64,
    /// The newest write's.
    pub sequence_max: u64,
    /// Data blocks.
    pub data_blocks: u64,
    /// Partitions.
    pub partitions: u64,
    /// Bytes of keys and values before they were packed.
    pub raw_bytes: u64,
    /// When it was written: microseconds since 1970.
    pub created_us: u64,
    /// The level that it was written for.
    pub level: u8,
    /// The first key.
    pub smallest: Vec<u8>,
    /// The last key.
    pub largest: Vec<u8>,
}

/// A place in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where the stored block begins.
    pub offset: u64,
    /// Its bytes, with trailer.
    pub size: u32,
    /// Its checksum.
    pub checksum: u32,
}

impl From<Handle> for Place {
    fn from(handle: Handle) -> Place {
        Place { offset: handle.offset, size: handle.size, checksum: handle.checksum }
    }
}

/// The footer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FooterAbout {
    /// Of the tree that it belongs to.
    pub identity: u64,
    /// Its id there.
    pub file: u64,
    /// The top index.
    pub top: Place,
    /// The properties.
    pub properties: Place,
    /// Checksum of everything before the footer.
    pub content_checksum: u32,
}

/// A stored block as it is met on a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockAbout {
    /// Where it lies.
    pub place: Place,
    /// `none`, `lz4` or `zstd`.
    pub compression: &'static str,
    /// Its bytes before compression.
    pub raw_size: u32,
    /// The key in the index: at or above its last key.
    pub separator: Vec<u8>,
}

/// What a walk shows, in the order of the file.
pub enum Step<'a> {
    /// A data block, its entries follow.
    Block(&'a BlockAbout),
    /// An entry of the block before.
    Entry(EntryAbout<'a>),
    /// A partition, behind its data blocks: bytes of its filter, and blocks in its index.
    Partition {
        /// Where it lies.
        block: &'a BlockAbout,
        /// Bytes of its filter with the probe count.
        filter_bytes: usize,
        /// Data blocks in its index.
        blocks: usize,
    },
}

/// One write in an SSTable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryAbout<'a> {
    /// Its key.
    pub key: &'a [u8],
    /// Its sequence number.
    pub sequence: u64,
    /// `None`: a tombstone.
    pub value: Option<&'a [u8]>,
}

/// Whether a file is called as an SSTable is.
pub fn is_sstable_name(name: &str) -> bool {
    parse_file_name(name).is_some()
}

/// An SSTable that is looked at.
pub struct Sstable<R: Runtime> {
    rt: R,
    path: PathBuf,
    size: u64,
    footer: Footer,
    reader: Reader<R>,
    properties: Properties,
}

impl<R: Runtime> Sstable<R> {
    /// Reads footer, top index and properties of the SSTable at `path`.
    ///
    /// Errors: `Io`; `Corrupt` with the offset of the damage, or when the file is not called as an SSTable is.
    pub async fn open(rt: &R, path: &Path) -> Result<Sstable<R>, Error> {
        let name = path.file_name().and_then(|name| name.to_str()).and_then(parse_file_name);
        let id = name.ok_or_else(|| Error::corrupt(path, 0, "not the name of an SSTable"))?;
        let (size, footer) = read_footer(rt, path).await?;
        let footer_at = size - FOOTER_BYTES as u64;
        if footer.seal.file != id {
            let what = format!("the footer is that of SSTable {:016x}", footer.seal.file);
            return Err(Error::corrupt(path, footer_at, what));
        }
        let options =
            TreeOptions { cache_bytes: 0, ..TreeOptions::new(path.parent().unwrap_or(Path::new(""))) };
        let tables = Tables::new(rt.clone(), &options, footer.seal.identity);
        let reader = Reader::open(&tables, &meta(id, size, &footer)).await?;
        let bytes = reader.file.read_sealed(reader.properties).await?;
        let properties = reader.file.parsed(decode_properties(&bytes), reader.properties.offset)?;
        Ok(Sstable { rt: rt.clone(), path: path.to_owned(), size, footer, reader, properties })
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The footer.
    pub fn footer(&self) -> FooterAbout {
        FooterAbout {
            identity: self.footer.seal.identity,
            file: self.footer.seal.file,
            top: self.footer.top.into(),
            properties: self.footer.properties.into(),
            content_checksum: self.footer.content_checksum,
        }
    }

    /// The properties.
    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// Shows everything from the first block to the last partition; ends early when `show` says false.
    pub async fn walk(&self, show: &mut dyn FnMut(Step<'_>) -> bool) -> Result<(), Error> {
        self.walk_partitions(&mut |_, _, step| show(step)).await
    }

    async fn walk_partitions(&self, show: &mut dyn FnMut(&[u8], u64, Step<'_>) -> bool) -> Result<(), Error> {
        let reader = &self.reader;
        for at in 0..reader.top.len() {
            let handle = reader.top.handle(at);
            let partition = reader.partition(at).await?;
            let blocks = blocks_of(&partition.index);
            let shown = self.walk_blocks(&partition, &blocks, show).await?;
            let block = self.about_block(handle, Vec::new()).await?;
            let (filter_bytes, blocks) = (partition.filter.len(), blocks.len());
            let step = Step::Partition { block: &block, filter_bytes, blocks };
            if !shown || !show(&partition.filter, handle.offset, step) {
                break;
            }
        }
        Ok(())
    }

    async fn walk_blocks(
        &self,
        partition: &Partition,
        blocks: &[(Vec<u8>, Handle)],
        show: &mut dyn FnMut(&[u8], u64, Step<'_>) -> bool,
    ) -> Result<bool, Error> {
        let file = &self.reader.file;
        let mut extent: Option<Extent<FileBytes<R>>> = None;
        for (separator, handle) in blocks {
            if extent.as_ref().is_none_or(|extent| extent.get(*handle).is_none()) {
                let last = blocks.last().map_or(handle.end(), |(_, last)| last.end());
                let to = last.min(handle.offset + READ_BYTES).max(handle.end());
                extent = Some(file.read_extent(handle.offset, to).await?);
            }
            let stored = extent.as_ref().and_then(|extent| extent.get(*handle));
            let stored =
                stored.ok_or_else(|| Error::corrupt(&self.path, handle.offset, "the file ends too early"))?;
            let about = about_block(stored, *handle, separator.clone());
            let block = file.parse_block(file.unseal(stored, *handle)?, *handle)?;
            if !show(&partition.filter, handle.offset, Step::Block(&about))
                || !self.walk_entries(&partition.filter, block, handle.offset, show)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn walk_entries(
        &self,
        filter: &[u8],
        block: Rc<Block>,
        offset: u64,
        show: &mut dyn FnMut(&[u8], u64, Step<'_>) -> bool,
    ) -> Result<bool, Error> {
        let file = &self.reader.file;
        let mut cursor = BlockCursor::new(block);
        file.parsed(cursor.seek(Goal::First), offset)?;
        while let Some(Entry { key, sequence, value }) = cursor.current() {
            if !show(filter, offset, Step::Entry(EntryAbout { key, sequence, value })) {
                return Ok(false);
            }
            file.parsed(cursor.step(), offset)?;
        }
        Ok(true)
    }

    async fn about_block(&self, handle: Handle, separator: Vec<u8>) -> Result<BlockAbout, Error> {
        let extent = self.reader.file.read_extent(handle.offset, handle.end()).await?;
        let stored = extent.get(handle);
        let stored =
            stored.ok_or_else(|| Error::corrupt(&self.path, handle.offset, "the file ends too early"))?;
        Ok(about_block(stored, handle, separator))
    }

    /// Checks everything that can be checked in this file alone, each entry shown to `take`, which may say what is wrong with it.
    pub async fn check(
        &self,
        watch: &mut dyn Watch,
        take: &mut dyn FnMut(&EntryAbout<'_>) -> Result<(), String>,
    ) {
        let problem = |offset, what: String| Problem::damage(&self.path, offset, what);
        let mut walk = Walk { identity: self.footer.seal.identity, ..Walk::default() };
        let walked = self
            .walk_partitions(&mut |filter, offset, step| {
                let checked = match &step {
                    Step::Entry(entry) => walk.entry(filter, entry).and_then(|()| take(entry)),
                    Step::Block(block) => walk.block(block),
                    Step::Partition { .. } => walk.partition(),
                };
                if let Err(what) = checked {
                    watch.problem(problem(offset, what));
                }
                true
            })
            .await;
        match walked {
            Err(error) => watch.problem(error.into()),
            Ok(()) => {
                if let Err(what) = walk.agrees(&self.properties) {
                    watch.problem(problem(self.footer.properties.offset, what));
                }
            }
        }
        if let Err(error) = self.check_content(watch).await {
            watch.problem(error.into());
        }
    }

    /// The checksum of the whole, which also covers what lies between blocks.
    async fn check_content(&self, watch: &mut dyn Watch) -> Result<(), Error> {
        let footer_at = self.size - FOOTER_BYTES as u64;
        let file = open(&self.rt, &self.path).await?;
        let (mut offset, mut checksum) = (0, 0);
        while offset < footer_at {
            let size = (footer_at - offset).min(READ_BYTES);
            let bytes = read(&file, &self.path, offset, size as usize).await?;
            checksum = crc32c::crc32c_append(checksum, &bytes);
            offset += size;
            watch.read(size);
        }
        if checksum != self.footer.content_checksum {
            let what = "the checksum of everything before the footer does not match";
            return Err(Error::corrupt(&self.path, footer_at, what));
        }
        Ok(())
    }

    /// Whether the manifest's line is about this file.
    pub fn agrees_with(&self, line: &TableAbout) -> Result<(), String> {
        let own = &self.properties;
        let same = line.entries == own.entries
            && line.tombstones == own.tombstones
            && (line.sequence_min, line.sequence_max) == (own.sequence_min, own.sequence_max)
            && line.smallest == own.smallest
            && line.largest == own.largest
            && line.content_checksum == self.footer.content_checksum;
        if same { Ok(()) } else { Err("the properties are not those that the manifest has".into()) }
    }
}

/// What a walk has seen so far.
#[derive(Default)]
struct Walk {
    identity: u64,
    last_key: Vec<u8>,
    /// The block's key in its index.
    separator: Vec<u8>,
    smallest: Option<Vec<u8>>,
    entries: u64,
    tombstones: u64,
    sequences: Option<(u64, u64)>,
    data_blocks: u64,
    partitions: u64,
    raw_bytes: u64,
}

impl Walk {
    fn entry(&mut self, filter: &[u8], entry: &EntryAbout<'_>) -> Result<(), String> {
        let ordered = self.entries == 0 || *self.last_key < *entry.key;
        self.last_key.clear();
        self.last_key.extend_from_slice(entry.key);
        self.smallest.get_or_insert_with(|| entry.key.to_vec());
        self.entries += 1;
        self.tombstones += u64::from(entry.value.is_none());
        self.raw_bytes += (entry.key.len() + entry.value.map_or(0, <[u8]>::len)) as u64;
        let (least, most) = self.sequences.unwrap_or((entry.sequence, entry.sequence));
        self.sequences = Some((least.min(entry.sequence), most.max(entry.sequence)));
        if !ordered {
            return Err(format!("keys do not ascend at entry {}", self.entries - 1));
        }
        if *entry.key > *self.separator {
            return Err(format!("entry {} lies above its block's key in the index", self.entries - 1));
        }
        if !filter::may_contain(filter, filter::hash(entry.key, self.identity)) {
            return Err(format!("the filter denies the key of entry {}", self.entries - 1));
        }
        Ok(())
    }

    fn block(&mut self, block: &BlockAbout) -> Result<(), String> {
        self.data_blocks += 1;
        let below = self.entries > 0 && *block.separator <= *self.last_key;
        self.separator.clone_from(&block.separator);
        if below { Err("the index names a block by a key that lies before it".into()) } else { Ok(()) }
    }

    fn partition(&mut self) -> Result<(), String> {
        self.partitions += 1;
        Ok(())
    }

    fn agrees(&self, own: &Properties) -> Result<(), String> {
        let counts = [
            ("entries", self.entries, own.entries),
            ("tombstones", self.tombstones, own.tombstones),
            ("data blocks", self.data_blocks, own.data_blocks),
            ("partitions", self.partitions, own.partitions),
            ("bytes of keys and values", self.raw_bytes, own.raw_bytes),
            ("as the smallest sequence number", self.sequences.unwrap_or_default().0, own.sequence_min),
            ("as the largest sequence number", self.sequences.unwrap_or_default().1, own.sequence_max),
        ];
        if let Some((what, found, said)) = counts.iter().find(|(_, found, said)| found != said) {
            return Err(format!("the properties say {said} {what}, there are {found}"));
        }
        let bounds = (self.smallest.as_deref() == Some(&*own.smallest), self.last_key == own.largest);
        if bounds == (true, true) {
            Ok(())
        } else {
            Err("the properties name other keys as first and last".into())
        }
    }
}

/// The separators and handles of an index.
fn blocks_of(index: &Index) -> Vec<(Vec<u8>, Handle)> {
    (0..index.len()).map(|at| (index.separator(at).to_vec(), index.handle(at))).collect()
}

fn about_block(stored: &[u8], handle: Handle, separator: Vec<u8>) -> BlockAbout {
    let trailer = stored.last_chunk::<9>();
    let compression = match trailer.map(|trailer| trailer[0]) {
        Some(0) => "none",
        Some(1) => "lz4",
        Some(2) => "zstd",
        _ => "unknown",
    };
    let raw_size = trailer.map_or(0, |t| u32::from_le_bytes([t[1], t[2], t[3], t[4]]));
    BlockAbout { place: handle.into(), compression, raw_size, separator }
}

fn decode_properties(bytes: &[u8]) -> Result<Properties, Malformed> {
    let mut decoder = Decoder::new(bytes);
    let mut decode = || {
        Some(Properties {
            entries: decoder.varint()?,
            tombstones: decoder.varint()?,
            sequence_min: decoder.varint()?,
            sequence_max: decoder.varint()?,
            data_blocks: decoder.varint()?,
            partitions: decoder.varint()?,
            raw_bytes: decoder.varint()?,
            created_us: decoder.varint()?,
            level: decoder.u8()?,
            smallest: decoder.bytes()?.to_vec(),
            largest: decoder.bytes()?.to_vec(),
        })
    };
    decode().ok_or(Malformed)
}

/// As much of a manifest's line as it takes to open the file: what it says of itself.
fn meta(id: u64, size: u64, footer: &Footer) -> TableMeta {
    TableMeta {
        id,
        size,
        entries: 0,
        tombstones: 0,
        sequence_min: 0,
        sequence_max: 0,
        drops_applied: 0,
        created: Wall(0),
        newest: None,
        content_checksum: footer.content_checksum,
        smallest: Box::default(),
        largest: Box::default(),
    }
}

async fn read_footer<R: Runtime>(rt: &R, path: &Path) -> Result<(u64, Footer), Error> {
    let file = open(rt, path).await?;
    let size = file.size().await.map_err(|error| Error::io(path, None, error))?;
    if size < FOOTER_BYTES as u64 || !size.is_multiple_of(BLOCK_BYTES as u64) {
        let what = format!("{size} bytes are not whole blocks with a footer");
        return Err(Error::corrupt(path, size - size % BLOCK_BYTES as u64, what));
    }
    let footer_at = size - FOOTER_BYTES as u64;
    let page = read(&file, path, footer_at, FOOTER_BYTES).await?;
    let footer = Footer::decode(&page).map_err(|what| Error::corrupt(path, footer_at, what))?;
    Ok((size, footer))
}

async fn open<R: Runtime>(rt: &R, path: &Path) -> Result<R::File, Error> {
    rt.open(path, OpenOptions::READ).await.map_err(|error| Error::io(path, None, error))
}

/// Exactly `size` bytes at `offset`.
async fn read<F: File>(file: &F, path: &Path, offset: u64, size: usize) -> Result<F::Bytes, Error> {
    let bytes = file.read_at(offset, size).await.map_err(|error| Error::io(path, Some(offset), error))?;
    if bytes.len() != size {
        return Err(Error::corrupt(path, offset + bytes.len() as u64, "the file ends too early"));
    }
    Ok(bytes)
}
