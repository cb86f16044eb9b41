//! A manifest's generation: its edits one by one, and the tree that they make.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use runtime::Runtime;

use crate::Error;
use crate::manifest::{self, Edit, Picture, parse_file_name, read_generation};
use crate::sstable::TableMeta;

/// A generation of the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// The file.
    pub path: PathBuf,
    /// Its number.
    pub generation: u64,
    /// The tree's random identity.
    pub identity: u64,
    /// Bytes of the file.
    pub size: u64,
    /// Where its records end.
    pub end: u64,
    /// Part of a record that was never acknowledged lies behind them.
    pub torn: bool,
    /// The first record, a picture of the whole tree, and the edits after it.
    pub records: Vec<Entry>,
    /// The tree as of the last edit.
    pub version: Version,
}

/// One record of a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it begins in the file.
    pub offset: u64,
    /// Its bytes.
    pub size: usize,
    /// What it changes. The first record adds everything.
    pub changes: Vec<Change>,
}

/// One change of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// File ids from here on are unused.
    NextFileId(u64),
    /// Sequence numbers up to here are used.
    LastSequence(u64),
    /// An SSTable is there, or moves to another level.
    Add(TableAbout),
    /// An SSTable is gone.
    Remove(u64),
    /// All writes of the stream up to the index are in SSTables.
    Mark {
        /// Whose writes.
        stream: u64,
        /// The last one's index.
        index: u64,
    },
    /// Keys in a range are gone.
    Drop(DropAbout),
    /// A drop has nothing to hide any more.
    Retire(u64),
}

/// An SSTable, as the manifest knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableAbout {
    /// Its level.
    pub level: usize,
    /// Its id; the file's name.
    pub id: u64,
    /// Bytes of the file.
    pub size: u64,
    /// Entries, tombstones among them.
    pub entries: u64,
    /// Tombstones.
    pub tombstones: u64,
    /// The oldest write's sequence number.
    pub sequence_min: u64,
    /// The newest write's.
    pub sequence_max: u64,
    /// Drops up to this sequence number were applied when it was written.
    pub drops_applied: u64,
    /// When it was written: microseconds since 1970.
    pub created_us: u64,
    /// Of an SSTable of an age range: no entry was written after it; microseconds since 1970.
    pub newest_us: Option<u64>,
    /// Checksum of everything before the footer.
    pub content_checksum: u32,
    /// The first key.
    pub smallest: Vec<u8>,
    /// The last key.
    pub largest: Vec<u8>,
}

/// A dropped range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropAbout {
    /// Writes up to this sequence number are gone.
    pub sequence: u64,
    /// The first key that is gone.
    pub from: Vec<u8>,
    /// The first key behind those.
    pub to: Vec<u8>,
}

/// A tree at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// File ids from here on are unused.
    pub next_file_id: u64,
    /// Sequence numbers up to here are used.
    pub last_sequence: u64,
    /// By level, then by smallest key; level 0 newest first.
    pub tables: Vec<TableAbout>,
    /// Per stream, up to which index everything is in SSTables.
    pub marks: BTreeMap<u64, u64>,
    /// Ranges that are dropped but not yet gone from every SSTable.
    pub drops: Vec<DropAbout>,
}

impl Version {
    /// SSTables and bytes of each level that has any.
    pub fn levels(&self) -> BTreeMap<usize, (usize, u64)> {
        let mut levels = BTreeMap::new();
        for table in &self.tables {
            let level: &mut (usize, u64) = levels.entry(table.level).or_default();
            *level = (level.0 + 1, level.1 + table.size);
        }
        levels
    }
}

/// Whether a file is called as a manifest is.
pub fn is_manifest_name(name: &str) -> bool {
    parse_file_name(name).is_some()
}

/// Reads the generation in the file at `path`.
///
/// Errors: `Io`; `Corrupt` with the offset of the damage, or when the file is not called as a manifest is.
pub async fn read<R: Runtime>(rt: &R, path: &Path) -> Result<Generation, Error> {
    let name = path.file_name().and_then(|name| name.to_str());
    let generation = name.and_then(parse_file_name);
    let generation = generation.ok_or_else(|| Error::corrupt(path, 0, "not the name of a manifest"))?;
    Ok(about(path, read_generation(rt, path, generation).await?))
}

/// Reads the newest generation in `dir`; `None` where there is none.
pub async fn newest<R: Runtime>(rt: &R, dir: &Path) -> Result<Option<Generation>, Error> {
    let names = rt.list(dir).await.map_err(|error| Error::io(dir, None, error))?;
    let newest = names.iter().filter_map(|entry| parse_file_name(&entry.name)).max();
    match newest {
        Some(generation) => read(rt, &dir.join(manifest::file_name(generation))).await.map(Some),
        None => Ok(None),
    }
}

fn about(path: &Path, read: manifest::Generation) -> Generation {
    let first = Entry { offset: 0, size: read.first.1, changes: picture_changes(&read.first.0) };
    let edits = read.edits.iter();
    let edits =
        edits.map(|(offset, size, edit)| Entry { offset: *offset, size: *size, changes: changes(edit) });
    Generation {
        path: path.to_owned(),
        generation: read.generation,
        identity: read.picture.identity,
        size: read.size,
        end: read.tail.end,
        torn: read.tail.torn,
        records: std::iter::once(first).chain(edits).collect(),
        version: version(&read.picture),
    }
}

fn version(picture: &Picture) -> Version {
    let mut tables: Vec<TableAbout> =
        picture.tables.values().map(|(level, meta)| table(*level, meta)).collect();
    tables.sort_by(|a, b| {
        let newest_first = (a.level == 0).then(|| b.sequence_max.cmp(&a.sequence_max));
        a.level.cmp(&b.level).then_with(|| newest_first.unwrap_or_else(|| a.smallest.cmp(&b.smallest)))
    });
    Version {
        next_file_id: picture.next_file_id,
        last_sequence: picture.last_sequence,
        tables,
        marks: picture.marks.clone(),
        drops: picture.drops.iter().map(drop_about).collect(),
    }
}

fn picture_changes(picture: &Picture) -> Vec<Change> {
    changes(&picture.as_edit())
}

fn changes(edit: &Edit) -> Vec<Change> {
    let mut changes = vec![Change::NextFileId(edit.next_file_id), Change::LastSequence(edit.last_sequence)];
    changes.extend(edit.added.iter().map(|(level, meta)| Change::Add(table(*level, meta))));
    changes.extend(edit.removed.iter().map(|id| Change::Remove(*id)));
    changes.extend(edit.marks.iter().map(|(&stream, &index)| Change::Mark { stream, index }));
    changes.extend(edit.drops.iter().map(|drop| Change::Drop(drop_about(drop))));
    changes.extend(edit.retired.iter().map(|sequence| Change::Retire(*sequence)));
    changes
}

fn drop_about(drop: &crate::version::DroppedRange) -> DropAbout {
    DropAbout { sequence: drop.sequence, from: drop.from.to_vec(), to: drop.to.to_vec() }
}

pub(super) fn table(level: usize, meta: &TableMeta) -> TableAbout {
    TableAbout {
        level,
        id: meta.id,
        size: meta.size,
        entries: meta.entries,
        tombstones: meta.tombstones,
        sequence_min: meta.sequence_min,
        sequence_max: meta.sequence_max,
        drops_applied: meta.drops_applied,
        created_us: meta.created.0,
        newest_us: meta.newest.map(|newest| newest.0),
        content_checksum: meta.content_checksum,
        smallest: meta.smallest.to_vec(),
        largest: meta.largest.to_vec(),
    }
}
