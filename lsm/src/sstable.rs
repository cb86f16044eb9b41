//! SSTables: sorted keys in files that are written once.
//!
//! ```text
//! data block ... | partition | data block ... | partition | ... | top index | properties | footer
//! ```
//!
//! 1. [`builder`] takes entries in order and writes the file in large aligned writes.
//! 2. [`reader`] opens it: one read of the tail gets footer and top index, which stay in memory.
//! 3. A get goes top index -> partition (filter, then index) -> data block: at most two blocks through the cache, and
//!    with the partition cached exactly one device read, or none if the filter says no. [`file`] is where bytes become
//!    blocks, once for all who ask at the same time.
//! 4. [`cursor`] walks entries both ways; [`ahead`] keeps reads in flight for it.
//!
//! [`stored`] is the envelope of every block (compression, checksum bound to file and place), [`block`] the sorted
//! block inside it, [`index`] and [`partition`] what is made of such blocks in memory to search them, [`filter`] the Bloom
//! filter, [`footer`] the last page. FORMAT.md, "SSTable", has the bytes.
//!
//! Promises: a block that is handed out was verified against its own checksum and against the one that its index holds;
//! a file is synced before `finish` returns. Leaves to others: the directory sync and the manifest (rule L1).

pub(crate) mod ahead;
pub(crate) mod block;
pub(crate) mod builder;
pub(crate) mod cursor;
pub(crate) mod file;
pub(crate) mod filter;
pub(crate) mod footer;
pub(crate) mod index;
pub(crate) mod partition;
pub(crate) mod reader;
pub(crate) mod stored;
#[cfg(test)]
mod tests;

use runtime::Wall;

use crate::codec::{Decoder, put_varint};

/// Magic of the footer.
pub(crate) const MAGIC: &[u8; 8] = b"torcSST\0";
/// Version of the format, in the footer.
pub(crate) const VERSION: u32 = 1;

/// Whose blocks: part of every checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    /// The tree's random identity.
    pub(crate) identity: u64,
    /// The file's id in the tree.
    pub(crate) file: u64,
}

/// Where a stored block lies, and its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handle {
    pub(crate) offset: u64,
    pub(crate) size: u32,
    pub(crate) checksum: u32,
}

impl Handle {
    /// Where the block ends.
    pub(crate) fn end(self) -> u64 {
        self.offset + u64::from(self.size)
    }

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        put_varint(out, self.offset);
        put_varint(out, u64::from(self.size));
        out.extend_from_slice(&self.checksum.to_le_bytes());
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Handle> {
        let mut decoder = Decoder::new(bytes);
        let handle = Handle {
            offset: decoder.varint()?,
            size: u32::try_from(decoder.varint()?).ok()?,
            checksum: decoder.u32()?,
        };
        let sane = handle.offset < 1 << 62 && decoder.is_empty();
        sane.then_some(handle)
    }
}

/// What the manifest knows of an SSTable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableMeta {
    pub(crate) id: u64,
    /// Bytes of the file.
    pub(crate) size: u64,
    pub(crate) entries: u64,
    pub(crate) tombstones: u64,
    pub(crate) sequence_min: u64,
    pub(crate) sequence_max: u64,
    /// Drops with this or a lower sequence number were applied when the file was written: they hide nothing in it.
    pub(crate) drops_applied: u64,
    pub(crate) created: Wall,
    /// Of an SSTable of an age range: a time at or after that of its newest entry.
    pub(crate) newest: Option<Wall>,
    /// CRC-32C of everything before the footer: binds the file to the manifest's line about it.
    pub(crate) content_checksum: u32,
    pub(crate) smallest: Box<[u8]>,
    pub(crate) largest: Box<[u8]>,
}

impl TableMeta {
    /// Whether `key` lies between the smallest and the largest key.
    pub(crate) fn spans(&self, key: &[u8]) -> bool {
        *self.smallest <= *key && *key <= *self.largest
    }

    /// Whether the two have keys in common ground.
    pub(crate) fn overlaps(&self, other: &TableMeta) -> bool {
        self.smallest <= other.largest && other.smallest <= self.largest
    }
}

impl AsRef<TableMeta> for TableMeta {
    fn as_ref(&self) -> &TableMeta {
        self
    }
}

/// The name of an SSTable in its directory.
pub(crate) fn file_name(id: u64) -> String {
    format!("{id:016x}.sst")
}

/// The id in the name of an SSTable.
pub(crate) fn parse_file_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".sst").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}
