//! Merges sources into new SSTables: what a flush and a compaction have in common.

use std::rc::Rc;

use runtime::Runtime;

use crate::Error;
use crate::scan::Merge;
use crate::sstable::block::{Entry, Goal};
use crate::sstable::builder::{BuilderOptions, Built, TableBuilder};
use crate::sstable::reader::{Table, Tables};
use crate::tree::options::Canary;
use crate::version::DroppedRange;

/// Entries between two looks at the clock, when they are small ..
const ENTRIES_PER_LOOK: u64 = 32;
/// .. and bytes of them when they are not: about a block.
const BYTES_PER_LOOK: u64 = 4096;

/// Why nothing came of it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was to be read could not be: nothing has changed, it may be tried again.
    Input(Error),
    /// What was to be written could not be.
    Output(Error),
    /// The tree is being closed.
    Stopped,
}

/// A number for a key; where it changes is a good place to cut.
type Cut<'a> = &'a dyn Fn(&[u8]) -> u64;

/// What goes in, and under which rules.
pub(crate) struct Inputs<'a, R: Runtime> {
    pub(crate) merge: Merge<R>,
    pub(crate) drops: &'a [DroppedRange],
    /// The levels below the output; `None`: tombstones are kept, whatever lies below.
    pub(crate) deeper: Option<&'a [Vec<Rc<Table<R>>>]>,
    /// An output is ended at this size ..
    pub(crate) table_bytes: u64,
    /// .. and wherever this number changes from one key to the next, ..
    pub(crate) group: &'a dyn Fn(&[u8]) -> usize,
    /// .. and wherever this one does, if the output has a good part of its size already.
    pub(crate) cut: Option<Cut<'a>>,
}

/// An output that has this part of its size is ended at the next cut. Nobody gains from more files than data: with a
/// quarter there are at most four times as many as without cuts, where all ranges between cuts are small there are as many as
/// without, and where they are larger than a file each begins with a file of its own.
const CUT_PART: u64 = 4;

/// Where the outputs end.
#[derive(Default)]
struct Seams {
    group: Option<usize>,
    cut: Option<u64>,
}

impl Seams {
    /// Whether the output of `size` bytes ends before `key`.
    fn end_before<R: Runtime>(&mut self, key: &[u8], size: u64, inputs: &Inputs<'_, R>) -> bool {
        let group = (inputs.group)(key);
        let other_group = self.group.replace(group).is_some_and(|before| before != group);
        let cut = inputs.cut.filter(|_| size >= inputs.table_bytes / CUT_PART).map(|cut| cut(key));
        let other_cut =
            cut.is_some() && std::mem::replace(&mut self.cut, cut).is_some_and(|before| Some(before) != cut);
        if cut.is_none() {
            self.cut = None;
        }
        size >= inputs.table_bytes || other_group || other_cut
    }
}

/// Writes the newest write of each key to new SSTables and syncs them; all ids that were begun go to `ids`.
///
/// Between blocks `stopped` is asked, and `spend` is told how many bytes went through since: it may take its time. On failure the caller removes the files of `ids`.
pub(crate) async fn run<R: Runtime>(
    tables: &Rc<Tables<R>>,
    mut inputs: Inputs<'_, R>,
    options: BuilderOptions,
    ids: &mut Vec<u64>,
    hooks: Hooks<'_>,
    spend: impl AsyncFn(u64),
) -> Result<Vec<Built<R>>, Failure> {
    let mut outputs = Vec::new();
    let mut builder: Option<TableBuilder<R>> = None;
    let (mut since, mut seams) = (Since::default(), Seams::default());
    inputs.merge.seek(Goal::First).await.map_err(Failure::Input)?;
    while let Some(entry) = inputs.merge.current() {
        since.count(&entry);
        if inputs.keeps(&entry, tables.canary) {
            let size = builder.as_ref().map_or(0, TableBuilder::size);
            if seams.end_before(entry.key, size, &inputs)
                && let Some(full) = builder.take()
            {
                outputs.push(full.finish().await.map_err(Failure::Output)?);
            }
            let output = match &mut builder {
                Some(output) => output,
                None => {
                    let id = (hooks.next_id)();
                    ids.push(id);
                    let created = TableBuilder::create(tables, id, options).await;
                    builder.insert(created.map_err(Failure::Output)?)
                }
            };
            output.add(entry).await.map_err(Failure::Output)?;
        }
        inputs.merge.step().await.map_err(Failure::Input)?;
        if since.is_a_block() {
            if (hooks.stopped)() {
                return Err(Failure::Stopped);
            }
            spend(std::mem::take(&mut since).bytes).await;
        }
    }
    if let Some(last) = builder {
        outputs.push(last.finish().await.map_err(Failure::Output)?);
    }
    Ok(outputs)
}

/// What went through since the last look.
#[derive(Default)]
struct Since {
    entries: u64,
    bytes: u64,
}

impl Since {
    fn count(&mut self, entry: &Entry<'_>) {
        self.entries += 1;
        self.bytes += (entry.key.len() + entry.value.map_or(0, <[u8]>::len)) as u64;
    }

    fn is_a_block(&self) -> bool {
        self.entries >= ENTRIES_PER_LOOK || self.bytes >= BYTES_PER_LOOK
    }
}

/// What the tree lends to a run.
#[derive(Clone, Copy)]
pub(crate) struct Hooks<'a> {
    pub(crate) next_id: &'a dyn Fn() -> u64,
    pub(crate) stopped: &'a dyn Fn() -> bool,
}

impl<R: Runtime> Inputs<'_, R> {
    /// Whether an entry has to be written: not one that a drop hides, nor a tombstone with nothing below it (L5).
    fn keeps(&self, entry: &Entry<'_>, canary: Canary) -> bool {
        if self.drops.iter().any(|drop| drop.hides(entry.key, entry.sequence)) {
            return false;
        }
        if entry.value.is_some() {
            return true;
        }
        let Some(deeper) = self.deeper else { return true };
        if canary.is(Canary::DropTombstonesEarly) {
            return false;
        }
        deeper.iter().any(|level| {
            let at = level.partition_point(|table| *table.meta.largest < *entry.key);
            level.get(at).is_some_and(|table| table.meta.spans(entry.key))
        })
    }
}
