//! One edit at a time: durable in the manifest first, then in what reads see.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use runtime::Runtime;

use super::Inner;
use crate::Error;
use crate::compaction::{self, hides_all, may_hide};
use crate::manifest::{Edit, Picture};
use crate::memtable::Memtable;
use crate::sstable::TableMeta;
use crate::sstable::reader::{Reader, Table};
use crate::tree::options::Canary;
use crate::version::{DroppedRange, State};

/// What a flush or compaction has to say.
pub(super) struct Change<R: Runtime> {
    pub(super) added: Vec<(usize, TableMeta)>,
    pub(super) removed: Vec<u64>,
    /// The memtable that the new SSTables hold.
    pub(super) flushed: Option<Rc<Memtable>>,
    /// Of the SSTables that are new, those that are open already.
    pub(super) readers: Vec<Rc<Reader<R>>>,
}

impl<R: Runtime> Default for Change<R> {
    fn default() -> Change<R> {
        Change { added: Vec::new(), removed: Vec::new(), flushed: None, readers: Vec::new() }
    }
}

impl<R: Runtime> Inner<R> {
    /// Puts a change into effect. [`Error::Full`] leaves everything as it was; any other error is final, whether the
    /// edit is on the disk is not known.
    pub(super) async fn commit(&self, change: Change<R>) -> Result<(), Error> {
        if !change.added.is_empty() && !self.options.canary.is(Canary::SkipDirSync) {
            let dir = &self.options.dir;
            // Whatever the reason: a sync that failed is never tried again (L1), so this is not `Full`.
            let failed = |error| Error::Io { path: dir.clone(), offset: None, source: Rc::new(error) };
            self.runtime.sync_dir(dir).await.map_err(failed)?;
        }
        let _turn = self.manifest_turn.acquire(1).await;
        self.check_poisoned()?;
        let manifest = self.manifest.borrow_mut().take();
        let mut manifest = manifest.expect("who has the turn finds the manifest, or a poisoned tree");
        let (edit, unwanted) = self.edit(manifest.picture(), &change);
        let appended = manifest.append(&edit).await;
        if matches!(appended, Ok(()) | Err(Error::Full { .. })) {
            if appended.is_ok() {
                self.install(&edit, manifest.picture(), &change);
                unwanted.iter().for_each(|meta| self.tables.discard(meta));
            }
            self.manifest_bytes.set(manifest.bytes());
            self.manifest.borrow_mut().replace(manifest);
        }
        appended
    }

    /// The edit that makes `change` of `picture`: also SSTables that a dropped range hides as a whole go with it, and
    /// drops that have nothing left to hide. Beside it, new SSTables that are hidden already and do not come at all.
    fn edit(&self, picture: &Picture, change: &Change<R>) -> (Edit, Vec<TableMeta>) {
        let mut edit = Edit {
            next_file_id: self.next_file_id.get(),
            last_sequence: picture.last_sequence,
            added: change.added.clone(),
            removed: change.removed.clone(),
            ..Edit::default()
        };
        if let Some(memtable) = &change.flushed {
            edit.last_sequence = edit.last_sequence.max(memtable.last_sequence());
            edit.marks = memtable.marks().clone();
            edit.drops = memtable.drops().to_vec();
        }
        let unwanted = self.apply_drops(picture, &mut edit);
        (edit, unwanted)
    }

    /// Takes what dropped ranges hide as a whole out of the tree that `edit` makes, and drops that hide nothing any more.
    /// A tree has hardly ever any: then its SSTables, of which it may have many, are not even looked at.
    fn apply_drops(&self, picture: &Picture, edit: &mut Edit) -> Vec<TableMeta> {
        let drops: Vec<DroppedRange> = picture.drops.iter().chain(&edit.drops).cloned().collect();
        if drops.is_empty() {
            return Vec::new();
        }
        let busy = self.busy.borrow();
        let replaced: BTreeSet<u64> =
            edit.removed.iter().copied().chain(edit.added.iter().map(|(_, meta)| meta.id)).collect();
        let kept = picture.tables.values().filter(|(_, meta)| !replaced.contains(&meta.id));
        let after: Vec<TableMeta> = kept.chain(&edit.added).map(|(_, meta)| meta.clone()).collect();
        let is_gone =
            |meta: &TableMeta| drops.iter().any(|drop| hides_all(drop, meta)) && !busy.contains(&meta.id);
        let (gone, left): (Vec<_>, Vec<_>) = after.into_iter().partition(is_gone);
        let mut unwanted = Vec::new();
        for gone in gone {
            edit.added.retain(|(_, meta)| meta.id != gone.id);
            match picture.tables.contains_key(&gone.id) {
                true => edit.removed.push(gone.id),
                false => unwanted.push(gone),
            }
        }
        let idle = drops.iter().filter(|drop| !left.iter().any(|meta| may_hide(drop, meta)));
        edit.retired = idle.map(|drop| drop.sequence).collect();
        unwanted
    }

    /// Shows the edit to reads that begin from now on. The cost is that of the edit, not of the tree.
    fn install(&self, edit: &Edit, picture: &Picture, change: &Change<R>) {
        let flushed = change.flushed.as_ref();
        let old = self.state.borrow().clone();
        let moved: BTreeSet<u64> = edit.added.iter().map(|(_, meta)| meta.id).collect();
        let known = old.version.tables().filter(|table| moved.contains(&table.meta.id));
        let known: BTreeMap<u64, Rc<Table<R>>> = known.map(|table| (table.meta.id, table.clone())).collect();
        let open = |id: u64| change.readers.iter().find(|reader| reader.file.seal.file == id).cloned();
        let table = |meta: &TableMeta| match (known.get(&meta.id), open(meta.id)) {
            (Some(known), _) => known.clone(),
            (None, Some(reader)) => Table::opened(&self.tables, meta.clone(), reader),
            (None, None) => Table::new(&self.tables, meta.clone()),
        };
        let added = edit.added.iter().map(|(level, meta)| (*level, table(meta))).collect();
        let removed: BTreeSet<u64> = edit.removed.iter().copied().collect();
        for table in old.version.tables().filter(|table| removed.contains(&table.meta.id)) {
            table.set_obsolete();
            self.quarantine.borrow_mut().remove(&table.meta.id);
        }
        let version = Rc::new(old.version.changed(&removed, added, picture.drops.clone()));
        self.retired.borrow_mut().extend(flushed.cloned());
        let is_flushed =
            |memtable: &Rc<Memtable>| flushed.is_some_and(|flushed| Rc::ptr_eq(flushed, memtable));
        let immutables = old.immutables.iter().filter(|memtable| !is_flushed(memtable)).cloned().collect();
        for (stream, index) in &edit.marks {
            self.flushed.borrow_mut().insert(*stream, *index);
        }
        self.level0_count.set(compaction::level0_count(&version.levels[0], &self.options));
        self.set_state(State { active: old.active.clone(), immutables, version });
    }
}
