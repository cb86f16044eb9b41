//! A tree's directory as a whole: the manifest against the files, the SSTables against each other.

use std::collections::BTreeSet;
use std::path::Path;

use runtime::{DirEntry, Runtime};

use super::manifest::{self, Generation, TableAbout, Version};
use super::sstable::{EntryAbout, Sstable};
use super::{Problem, Watch};
use crate::Error;
use crate::manifest::parse_file_name as generation_of;
use crate::sstable::{file_name, parse_file_name};

/// What a tree's directory holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// SSTables that the manifest names.
    pub sstables: usize,
    /// Bytes of those.
    pub bytes: u64,
    /// Entries in them, as they were met.
    pub entries: u64,
    /// Bytes of their keys and values.
    pub raw_bytes: u64,
    /// The manifest's newest generation, if it could be read.
    pub version: Option<Version>,
}

/// Checks the tree in `dir`: the manifest; that every SSTable it names is there and whole; order, levels, sequence
/// numbers; and names the files that nothing names. Each entry is handed to `take`, which may say what is wrong with it.
pub async fn verify<R: Runtime>(
    rt: &R,
    dir: &Path,
    watch: &mut dyn Watch,
    take: &mut dyn FnMut(&EntryAbout<'_>) -> Result<(), String>,
) -> Summary {
    match verify_or_stop(rt, dir, watch, take).await {
        Ok(summary) => summary,
        Err(error) => {
            watch.problem(error.into());
            Summary::default()
        }
    }
}

async fn verify_or_stop<R: Runtime>(
    rt: &R,
    dir: &Path,
    watch: &mut dyn Watch,
    take: &mut dyn FnMut(&EntryAbout<'_>) -> Result<(), String>,
) -> Result<Summary, Error> {
    let names = rt.list(dir).await.map_err(|error| Error::io(dir, None, error))?;
    check_older_generations(rt, dir, &names, watch).await;
    let Some(newest) = manifest::newest(rt, dir).await? else {
        if names.iter().any(|entry| parse_file_name(&entry.name).is_some()) {
            watch.problem(Problem::damage(dir, 0, "SSTables without a manifest that names them"));
        }
        return Ok(Summary::default());
    };
    let version = newest.version.clone();
    watch.expect(version.tables.iter().map(|table| table.size).sum());
    name_orphans(dir, &names, &version, watch);
    check_levels(&newest, watch);
    let mut summary = Summary { sstables: version.tables.len(), ..Summary::default() };
    for line in &version.tables {
        summary.bytes += line.size;
        let (entries, raw_bytes) = (&mut summary.entries, &mut summary.raw_bytes);
        let mut counted = |entry: &EntryAbout<'_>| {
            *entries += 1;
            *raw_bytes += (entry.key.len() + entry.value.map_or(0, <[u8]>::len)) as u64;
            take(entry)
        };
        if let Err(error) = check_table(rt, dir, &newest, line, &names, watch, &mut counted).await {
            watch.problem(error.into());
        }
    }
    summary.version = Some(version);
    Ok(summary)
}

/// The generation before the newest is kept in case the newest cannot be read: it should be readable, too.
async fn check_older_generations<R: Runtime>(rt: &R, dir: &Path, names: &[DirEntry], watch: &mut dyn Watch) {
    let generations: BTreeSet<u64> = names.iter().filter_map(|entry| generation_of(&entry.name)).collect();
    for generation in generations.iter().rev().skip(1) {
        let path = dir.join(crate::manifest::file_name(*generation));
        if let Err(error) = manifest::read(rt, &path).await {
            let advice = "nothing depends on this older generation while the newest is whole; remove it";
            watch.problem(Problem { advice, ..Problem::from(error) });
        }
    }
}

fn name_orphans(dir: &Path, names: &[DirEntry], version: &Version, watch: &mut dyn Watch) {
    let named: BTreeSet<u64> = version.tables.iter().map(|table| table.id).collect();
    for entry in names {
        let why = match parse_file_name(&entry.name) {
            Some(id) if named.contains(&id) => continue,
            Some(_) => "the manifest does not name it: left behind by a stop, the next start removes it",
            None if generation_of(&entry.name).is_some() || entry.name == crate::scrub::FILE_NAME => continue,
            None if entry.name.ends_with(".tmp") => "left behind by a stop, the next start removes it",
            None => "no file of a tree",
        };
        watch.orphan(&dir.join(&entry.name), why);
    }
}

/// What the manifest says must hold together.
fn check_levels(newest: &Generation, watch: &mut dyn Watch) {
    for pair in
        newest.version.tables.windows(2).filter(|pair| pair[0].level == pair[1].level && pair[0].level > 0)
    {
        if pair[0].largest >= pair[1].smallest {
            let (a, b, level) = (pair[0].id, pair[1].id, pair[0].level);
            let what = format!("SSTables {a:016x} and {b:016x} of level {level} overlap");
            watch.problem(Problem::damage(&newest.path, newest.end, what));
        }
    }
    // Level 0 is read newest first, and that is told by sequence numbers: they must not mingle.
    for pair in newest.version.tables.windows(2).filter(|pair| pair[1].level == 0) {
        if pair[1].sequence_max >= pair[0].sequence_min && overlap(&pair[0], &pair[1]) {
            let (a, b) = (pair[0].id, pair[1].id);
            let what = format!("the sequence numbers of SSTables {a:016x} and {b:016x} of level 0 mingle");
            watch.problem(Problem::damage(&newest.path, newest.end, what));
        }
    }
}

fn overlap(a: &TableAbout, b: &TableAbout) -> bool {
    a.smallest <= b.largest && b.smallest <= a.largest
}

async fn check_table<R: Runtime>(
    rt: &R,
    dir: &Path,
    newest: &Generation,
    line: &TableAbout,
    names: &[DirEntry],
    watch: &mut dyn Watch,
    take: &mut dyn FnMut(&EntryAbout<'_>) -> Result<(), String>,
) -> Result<(), Error> {
    let path = dir.join(file_name(line.id));
    match names.iter().find(|entry| entry.name == file_name(line.id)) {
        None => return Err(Error::corrupt(&path, 0, "the manifest names it, but it is not there")),
        Some(entry) if entry.size != line.size => {
            let what = format!("it has {} bytes, the manifest says {}", entry.size, line.size);
            return Err(Error::corrupt(&path, entry.size.min(line.size), what));
        }
        Some(_) => {}
    }
    let table = Sstable::open(rt, &path).await?;
    if table.footer().identity != newest.identity {
        let what = "it belongs to another tree than the manifest";
        watch.problem(Problem::damage(&path, line.size - 4096, what));
    }
    if let Err(what) = table.agrees_with(line) {
        watch.problem(Problem::damage(&path, table.footer().properties.offset, what));
    }
    table.check(watch, take).await;
    Ok(())
}
