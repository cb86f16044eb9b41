//! What the manifest says: the picture of the tree, and edits of it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use runtime::Wall;

use crate::codec::{Decoder, put_bytes, put_varint};
use crate::sstable::TableMeta;
use crate::tree::options::LEVEL_COUNT;
use crate::version::DroppedRange;

const MAGIC: &[u8; 8] = b"torcMAN\0";
pub(super) const VERSION: u32 = 2;
/// The oldest version that is read: it has no SSTables with an age.
const VERSION_MIN: u32 = 1;

const TAG_NEXT_FILE_ID: u8 = 1;
const TAG_LAST_SEQUENCE: u8 = 2;
const TAG_ADD: u8 = 3;
const TAG_REMOVE: u8 = 4;
const TAG_MARK: u8 = 5;
const TAG_DROP: u8 = 6;
const TAG_RETIRE: u8 = 7;
const TAG_ADD_AGED: u8 = 8;

/// One change of the tree, in effect as a whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) next_file_id: u64,
    pub(crate) last_sequence: u64,
    /// SSTables and their levels; one that is there already moves.
    pub(crate) added: Vec<(usize, TableMeta)>,
    pub(crate) removed: Vec<u64>,
    /// Per stream, up to which index everything is in SSTables.
    pub(crate) marks: BTreeMap<u64, u64>,
    pub(crate) drops: Vec<DroppedRange>,
    /// Drops, by their sequence number, that have nothing to hide any more.
    pub(crate) retired: Vec<u64>,
}

/// The whole tree at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) identity: u64,
    pub(crate) next_file_id: u64,
    pub(crate) last_sequence: u64,
    pub(crate) tables: BTreeMap<u64, (usize, TableMeta)>,
    pub(crate) marks: BTreeMap<u64, u64>,
    pub(crate) drops: Vec<DroppedRange>,
}

impl Picture {
    /// An empty tree.
    pub(crate) fn new(identity: u64) -> Picture {
        Picture {
            identity,
            next_file_id: 1,
            last_sequence: 0,
            tables: BTreeMap::new(),
            marks: BTreeMap::new(),
            drops: Vec::new(),
        }
    }

    /// Changes the picture; says what does not fit, and then the picture must not be used.
    pub(crate) fn apply(&mut self, edit: &Edit) -> Result<(), String> {
        if edit.next_file_id < self.next_file_id || edit.last_sequence < self.last_sequence {
            return Err("file ids or sequence numbers that go back".into());
        }
        self.next_file_id = edit.next_file_id;
        self.last_sequence = edit.last_sequence;
        for id in &edit.removed {
            self.tables.remove(id).ok_or_else(|| format!("removes SSTable {id}, which is not there"))?;
        }
        for (level, meta) in &edit.added {
            check_table(*level, meta, self)?;
            self.tables.insert(meta.id, (*level, meta.clone()));
        }
        for (&stream, &index) in &edit.marks {
            let mark = self.marks.entry(stream).or_default();
            if *mark > index {
                return Err(format!("the mark of stream {stream} goes back from {mark} to {index}"));
            }
            *mark = index;
        }
        self.drops.extend_from_slice(&edit.drops);
        let retired: BTreeSet<u64> = edit.retired.iter().copied().collect();
        self.drops.retain(|drop| !retired.contains(&drop.sequence));
        Ok(())
    }

    /// The picture as the first record of a generation.
    pub(crate) fn encode(&self, generation: u64) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&generation.to_le_bytes());
        out.extend_from_slice(&self.identity.to_le_bytes());
        out.extend_from_slice(&self.as_edit().encode());
        out
    }

    /// The edit that makes this picture of an empty tree.
    pub(crate) fn as_edit(&self) -> Edit {
        Edit {
            next_file_id: self.next_file_id,
            last_sequence: self.last_sequence,
            added: self.tables.values().cloned().collect(),
            removed: Vec::new(),
            marks: self.marks.clone(),
            drops: self.drops.clone(),
            retired: Vec::new(),
        }
    }

    /// Reads the first record of a generation; also gives the version that it was written in.
    pub(crate) fn decode(record: &[u8], generation: u64) -> Result<(Picture, u32), String> {
        let mut decoder = Decoder::new(record);
        if decoder.take(8) != Some(MAGIC) {
            return Err("the first record is not that of a manifest".into());
        }
        let version = match decoder.u32() {
            Some(version @ VERSION_MIN..=VERSION) => version,
            version => return Err(format!("version {version:?}; this program knows up to {VERSION}")),
        };
        if decoder.u64() != Some(generation) {
            return Err("the first record is of another generation".into());
        }
        let identity = decoder.u64().ok_or("the first record ends too early")?;
        let fields = decoder.take(decoder.remaining()).unwrap_or_default();
        let mut picture = Picture::new(identity);
        picture.apply(&Edit::decode(fields)?)?;
        Ok((picture, version))
    }
}

fn check_table(level: usize, meta: &TableMeta, picture: &Picture) -> Result<(), String> {
    let id = meta.id;
    if level >= LEVEL_COUNT || id >= picture.next_file_id || meta.sequence_max > picture.last_sequence {
        return Err(format!("SSTable {id} is out of bounds: level {level}, sequence {}", meta.sequence_max));
    }
    if level > 0 && meta.newest.is_some() {
        return Err(format!("SSTable {id} has an age, but lies in level {level}"));
    }
    if meta.smallest > meta.largest || meta.sequence_min > meta.sequence_max || meta.entries == 0 {
        return Err(format!("SSTable {id} ends before it begins"));
    }
    Ok(())
}

impl Edit {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![TAG_NEXT_FILE_ID];
        put_varint(&mut out, self.next_file_id);
        out.push(TAG_LAST_SEQUENCE);
        put_varint(&mut out, self.last_sequence);
        for (level, meta) in &self.added {
            out.push(if meta.newest.is_some() { TAG_ADD_AGED } else { TAG_ADD });
            encode_table(*level, meta, &mut out);
        }
        for id in &self.removed {
            out.push(TAG_REMOVE);
            put_varint(&mut out, *id);
        }
        for (stream, index) in &self.marks {
            out.push(TAG_MARK);
            out.extend_from_slice(&stream.to_le_bytes());
            put_varint(&mut out, *index);
        }
        for drop in &self.drops {
            out.push(TAG_DROP);
            put_varint(&mut out, drop.sequence);
            put_bytes(&mut out, &drop.from);
            put_bytes(&mut out, &drop.to);
        }
        for sequence in &self.retired {
            out.push(TAG_RETIRE);
            put_varint(&mut out, *sequence);
        }
        out
    }

    pub(crate) fn decode(record: &[u8]) -> Result<Edit, String> {
        let mut edit = Edit::default();
        let mut decoder = Decoder::new(record);
        while let Some(tag) = decoder.u8() {
            edit.decode_field(tag, &mut decoder)
                .ok_or_else(|| format!("a field with tag {tag} that is not known or not complete"))?;
        }
        Ok(edit)
    }

    fn decode_field(&mut self, tag: u8, decoder: &mut Decoder<'_>) -> Option<()> {
        match tag {
            TAG_NEXT_FILE_ID => self.next_file_id = decoder.varint()?,
            TAG_LAST_SEQUENCE => self.last_sequence = decoder.varint()?,
            TAG_ADD => self.added.push(decode_table(decoder)?),
            TAG_ADD_AGED => {
                let (level, mut meta) = decode_table(decoder)?;
                meta.newest = Some(Wall(decoder.u64()?));
                self.added.push((level, meta));
            }
            TAG_REMOVE => self.removed.push(decoder.varint()?),
            TAG_MARK => {
                self.marks.insert(decoder.u64()?, decoder.varint()?);
            }
            TAG_DROP => self.drops.push(DroppedRange {
                sequence: decoder.varint()?,
                from: decoder.bytes()?.into(),
                to: decoder.bytes()?.into(),
            }),
            TAG_RETIRE => self.retired.push(decoder.varint()?),
            _ => return None,
        }
        Some(())
    }
}

fn encode_table(level: usize, meta: &TableMeta, out: &mut Vec<u8>) {
    out.push(level as u8);
    for number in [meta.id, meta.size, meta.entries, meta.tombstones] {
        put_varint(out, number);
    }
    for number in [meta.sequence_min, meta.sequence_max, meta.drops_applied] {
        put_varint(out, number);
    }
    out.extend_from_slice(&meta.created.0.to_le_bytes());
    out.extend_from_slice(&meta.content_checksum.to_le_bytes());
    put_bytes(out, &meta.smallest);
    put_bytes(out, &meta.largest);
    if let Some(newest) = meta.newest {
        out.extend_from_slice(&newest.0.to_le_bytes());
    }
}

fn decode_table(decoder: &mut Decoder<'_>) -> Option<(usize, TableMeta)> {
    let level = usize::from(decoder.u8()?);
    let meta = TableMeta {
        id: decoder.varint()?,
        size: decoder.varint()?,
        entries: decoder.varint()?,
        tombstones: decoder.varint()?,
        sequence_min: decoder.varint()?,
        sequence_max: decoder.varint()?,
        drops_applied: decoder.varint()?,
        created: Wall(decoder.u64()?),
        newest: None,
        content_checksum: decoder.u32()?,
        smallest: decoder.bytes()?.into(),
        largest: decoder.bytes()?.into(),
    };
    Some((level, meta))
}
