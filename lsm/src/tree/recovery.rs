//! From what lies on the disk to a tree that can be used.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;
use std::rc::Rc;

use runtime::sync::{Notify, Semaphore};
use runtime::{DirEntry, Runtime};

use super::pacer::Pacing;
use super::{Figures, Inner};
use crate::Error;
use crate::compaction;
use crate::manifest::{Manifest, Picture};
use crate::memtable::Memtable;
use crate::sstable::reader::{Table, Tables};
use crate::sstable::{file_name, parse_file_name};
use crate::tree::options::TreeOptions;
use crate::version::{State, Version};

/// Reads the manifest, checks that its SSTables are there, and removes what it does not name (L4).
pub(super) async fn recover<R: Runtime>(runtime: R, options: TreeOptions) -> Result<Inner<R>, Error> {
    check_options(&options);
    let dir = &options.dir;
    let failed = |error| Error::io(dir, None, error);
    runtime.create_dir(dir).await.map_err(failed)?;
    sync_ancestors(&runtime, dir).await?;
    let names = runtime.list(dir).await.map_err(failed)?;
    let manifest =
        Manifest::open(runtime.clone(), dir, &names, options.manifest_bytes, options.canary).await?;
    let picture = manifest.picture();
    check_tables(picture, &names, &options)?;
    let next_file_id = sweep(&runtime, picture, &names, &options).await;
    Ok(assemble(runtime, options, manifest, next_file_id))
}

/// Makes the directory's own name durable, and those of all above it: any of them may just have been made.
async fn sync_ancestors<R: Runtime>(runtime: &R, dir: &Path) -> Result<(), Error> {
    for above in dir.ancestors().skip(1) {
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        match runtime.sync_dir(above).await {
            // Where we may not even look, or where directories cannot be synced at all, we have made nothing.
            Err(error) if is_foreign(error.kind()) => return Ok(()),
            synced => synced.map_err(|error| Error::io(above, None, error))?,
        }
    }
    Ok(())
}

fn is_foreign(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::PermissionDenied | ErrorKind::InvalidInput | ErrorKind::Unsupported)
}

fn check_options(options: &TreeOptions) {
    assert!(options.level0_tables >= 1 && options.immutables_max >= 1 && options.memtable_bytes > 0);
    assert!(
        options.level0_tables <= options.level0_tables_slow,
        "writers are slowed after compaction is due"
    );
    assert!(options.level0_tables_slow < options.level0_tables_stop, "writers are slowed before they wait");
    let ages = &options.age_ranges;
    assert!(ages.iter().all(|range| range.from < range.to), "an age range holds keys");
    assert!(ages.windows(2).all(|pair| pair[0].to <= pair[1].from), "age ranges are in order and apart");
}

/// Every SSTable that the manifest names has to be there, in its size.
fn check_tables(picture: &Picture, names: &[DirEntry], options: &TreeOptions) -> Result<(), Error> {
    let sizes: BTreeMap<&str, u64> = names.iter().map(|entry| (entry.name.as_str(), entry.size)).collect();
    for (_, meta) in picture.tables.values() {
        let name = file_name(meta.id);
        let path = options.dir.join(&name);
        match sizes.get(name.as_str()) {
            Some(&size) if size == meta.size => {}
            Some(&size) => {
                return Err(Error::corrupt(
                    &path,
                    size.min(meta.size),
                    format!("it has {size} bytes, not {}", meta.size),
                ));
            }
            None => return Err(Error::corrupt(&path, 0, "the manifest names it, but it is not there")),
        }
    }
    Ok(())
}

/// Removes what no edit ever named, and gives the first file id that was never used. An orphan that cannot be removed
/// does no harm: its id is passed over, and the next start tries again.
async fn sweep<R: Runtime>(runtime: &R, picture: &Picture, names: &[DirEntry], options: &TreeOptions) -> u64 {
    let mut next_file_id = picture.next_file_id;
    for entry in names {
        let table = parse_file_name(&entry.name);
        let orphan = table.is_some_and(|id| !picture.tables.contains_key(&id));
        if orphan || entry.name.ends_with(".tmp") {
            let _ = runtime.remove(&options.dir.join(&entry.name)).await;
        }
        next_file_id = next_file_id.max(table.map_or(0, |id| id.saturating_add(1)));
    }
    next_file_id
}

fn assemble<R: Runtime>(
    runtime: R,
    options: TreeOptions,
    manifest: Manifest<R>,
    next_file_id: u64,
) -> Inner<R> {
    let picture = manifest.picture();
    let tables = Tables::new(runtime.clone(), &options, picture.identity);
    let open = |(level, meta): &(usize, _)| (*level, Table::new(&tables, Clone::clone(meta)));
    let version = Version::new(picture.tables.values().map(open), picture.drops.clone());
    let level0_count = compaction::level0_count(&version.levels[0], &options);
    let newest = picture.tables.values().filter_map(|(_, meta)| meta.newest).max().unwrap_or_default();
    let active = Memtable::new(options.memtable_bytes);
    let state = State { active: Rc::new(active), immutables: Vec::new(), version: Rc::new(version) };
    Inner {
        state: RefCell::new(Rc::new(state)),
        next_sequence: Cell::new(picture.last_sequence + 1),
        next_file_id: Cell::new(next_file_id),
        applied: RefCell::new(picture.marks.clone()),
        flushed: RefCell::new(picture.marks.clone()),
        manifest_turn: Semaphore::new(1),
        manifest_bytes: Cell::new(manifest.bytes()),
        manifest: RefCell::new(Some(manifest)),
        quiet: Cell::default(),
        rest_wanted: Cell::new(false),
        busy: RefCell::new(BTreeSet::new()),
        retired: RefCell::default(),
        quarantine: RefCell::default(),
        level0_count: Cell::new(level0_count),
        horizon: Cell::new(None),
        newest: Cell::new(newest),
        room_bytes: Cell::new(u64::MAX),
        cut: RefCell::default(),
        work: Notify::new(),
        pulse: Notify::new(),
        suspicious: Notify::new(),
        pacing: Pacing::new(options.background_bytes_per_second_max),
        unpaid: Cell::new(0),
        paid: Cell::default(),
        progress: Notify::new(),
        flush_done: Notify::new(),
        closing: Cell::new(false),
        poisoned: RefCell::new(None),
        flush_trouble: RefCell::new(None),
        compaction_trouble: RefCell::new(None),
        figures: Figures::default(),
        runtime,
        options,
        tables,
    }
}
