//! One edit at a time: durable in the manifest first, then in what reads see.

use std::collections::BTreeMap;
use std::rc::Rc;

use runtime::Runtime;

use super::Inner;
use crate::Error;
use crate::compaction::{hides_all, may_hide};
use crate::manifest::{Edit, Picture};
use crate::memtable::Memtable;
use crate::sstable::TableMeta;
use crate::sstable::reader::Table;
use crate::tree::options::Canary;
use crate::version::{State, Version};

/// What a flush or compaction has to say.
#[derive(Default)]
pub(super) struct Change {
    pub(super) added: Vec<(usize, TableMeta)>,
    pub(super) removed: Vec<u64>,
    /// The memtable that the new SSTables hold.
    pub(super) flushed: Option<Rc<Memtable>>,
}

impl<R: Runtime> Inner<R> {
    /// Puts a change into effect. [`Error::Full`] leaves everything as it was; any other error is final, whether the
    /// edit is on the disk is not known.
    pub(super) async fn commit(&self, change: Change) -> Result<(), Error> {
        if !change.added.is_empty() && self.options.canary != Canary::SkipDirSync {
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
                self.install(manifest.picture(), change.flushed.as_ref());
                self.tables.rubbish.borrow_mut().extend(unwanted);
                self.tables.rubbish_added.notify_all();
            }
            self.manifest_bytes.set(manifest.bytes());
            self.manifest.borrow_mut().replace(manifest);
        }
        appended
    }

    /// The edit that makes `change` of `picture`: also SSTables that a dropped range hides as a whole go with it, and
    /// drops that have nothing left to hide. Beside it, new SSTables that are hidden already and do not come at all.
    fn edit(&self, picture: &Picture, change: &Change) -> (Edit, Vec<u64>) {
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
        let mut after = picture.clone();
        after.apply(&edit).expect("a change fits the picture that it was made from");
        let busy = self.busy.borrow();
        let hidden = |meta: &TableMeta| after.drops.iter().any(|drop| hides_all(drop, meta));
        let gone = after.tables.values().filter(|(_, meta)| hidden(meta) && !busy.contains(&meta.id));
        let gone: Vec<u64> = gone.map(|(_, meta)| meta.id).collect();
        let mut unwanted = Vec::new();
        for id in gone {
            after.tables.remove(&id);
            edit.added.retain(|(_, meta)| meta.id != id);
            let goes = if picture.tables.contains_key(&id) { &mut edit.removed } else { &mut unwanted };
            goes.push(id);
        }
        let needed = |sequence: u64| {
            let drop = after.drops.iter().find(|drop| drop.sequence == sequence);
            drop.is_some_and(|drop| after.tables.values().any(|(_, meta)| may_hide(drop, meta)))
        };
        edit.retired = after.drops.iter().map(|drop| drop.sequence).filter(|drop| !needed(*drop)).collect();
        (edit, unwanted)
    }

    /// Shows the picture to reads that begin from now on.
    fn install(&self, picture: &Picture, flushed: Option<&Rc<Memtable>>) {
        let old = self.state.borrow().clone();
        let mut known: BTreeMap<u64, Rc<Table<R>>> = BTreeMap::new();
        for table in old.version.levels.iter().flatten() {
            known.insert(table.meta.id, table.clone());
        }
        let table = |meta: &TableMeta| known.get(&meta.id).cloned();
        let tables = picture.tables.values().map(|(level, meta)| {
            (*level, table(meta).unwrap_or_else(|| Table::new(&self.tables, meta.clone())))
        });
        let version = Rc::new(Version::new(tables, picture.drops.clone()));
        let is_flushed =
            |memtable: &Rc<Memtable>| flushed.is_some_and(|flushed| Rc::ptr_eq(flushed, memtable));
        let immutables = old.immutables.iter().filter(|memtable| !is_flushed(memtable)).cloned().collect();
        known.retain(|id, _| !picture.tables.contains_key(id));
        known.values().for_each(|table| table.set_obsolete());
        self.flushed.borrow_mut().clone_from(&picture.marks);
        self.set_state(State { active: old.active.clone(), immutables, version });
    }
}
