//! Merges sources into new SSTables: what a flush and a compaction have in common.

use std::rc::Rc;

use runtime::Runtime;

use crate::Error;
use crate::scan::Merge;
use crate::sstable::TableMeta;
use crate::sstable::block::{Entry, Goal};
use crate::sstable::builder::{BuilderOptions, TableBuilder};
use crate::sstable::reader::{Table, Tables};
use crate::tree::options::Canary;
use crate::version::DroppedRange;

/// Entries between two looks at the clock of the class.
const ENTRIES_PER_LOOK: u64 = 16;

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

/// What goes in, and under which rules.
pub(crate) struct Inputs<'a, R: Runtime> {
    pub(crate) merge: Merge<R>,
    pub(crate) drops: &'a [DroppedRange],
    /// The levels below the output; `None`: tombstones are kept, whatever lies below.
    pub(crate) deeper: Option<&'a [Vec<Rc<Table<R>>>]>,
    /// An output is ended at this size.
    pub(crate) table_bytes: u64,
}

/// Writes the newest write of each key to new SSTables and syncs them; all ids that were begun go to `ids`.
///
/// `stopped` is asked between entries. On failure the caller removes the files of `ids`.
pub(crate) async fn run<R: Runtime>(
    tables: &Rc<Tables<R>>,
    mut inputs: Inputs<'_, R>,
    options: BuilderOptions,
    ids: &mut Vec<u64>,
    hooks: Hooks<'_>,
) -> Result<Vec<TableMeta>, Failure> {
    let mut outputs = Vec::new();
    let mut builder: Option<TableBuilder<R>> = None;
    let mut entries = 0;
    inputs.merge.seek(Goal::First).await.map_err(Failure::Input)?;
    while let Some(entry) = inputs.merge.current() {
        if inputs.keeps(&entry, tables.canary) {
            if builder.as_ref().is_some_and(|builder| builder.size() >= inputs.table_bytes) {
                let full = builder.take().expect("it was just there");
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
        entries += 1;
        if entries % ENTRIES_PER_LOOK == 0 {
            if (hooks.stopped)() {
                return Err(Failure::Stopped);
            }
            if tables.runtime.should_yield() {
                tables.runtime.yield_now().await;
            }
        }
    }
    if let Some(last) = builder {
        outputs.push(last.finish().await.map_err(Failure::Output)?);
    }
    Ok(outputs)
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
        if canary == Canary::DropTombstonesEarly {
            return false;
        }
        deeper.iter().any(|level| {
            let at = level.partition_point(|table| *table.meta.largest < *entry.key);
            level.get(at).is_some_and(|table| table.meta.spans(entry.key))
        })
    }
}
