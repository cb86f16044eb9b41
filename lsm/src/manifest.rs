//! The manifest: which SSTables are the tree, as a checksummed log of edits.
//!
//! ```text
//! manifest-N:  full picture | edit | edit | ...          (each in blocks of its own, 512-byte sectors checksummed)
//! ```
//!
//! 1. [`Manifest::open`] reads the highest generation, checks every sector and gives the [`Picture`].
//! 2. [`Manifest::append`] adds an edit with one O_DSYNC write into space that was reserved when the generation began:
//!    it cannot meet a full disk. It is durable when the call returns.
//! 3. When the space is used up, or the last record was torn by a crash, the next append writes a new generation
//!    instead: the picture with the edit in it, written aside, synced, renamed, the directory synced. A full disk
//!    shows here, before anything has changed, and may be tried again.
//!
//! Promises: an edit is in effect as a whole or not at all; what was acknowledged is never written again (L2); rot
//! is told from a torn tail sector by sector, and is an error that changes nothing on the disk. Any other failed
//! write is final: the caller poisons the tree. Leaves to others: what the SSTables hold, and removing them.

mod edit;
mod read;
mod record;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use runtime::{BLOCK_BYTES, Buffer, DirEntry, File, OpenOptions, Purpose, Runtime};

pub(crate) use self::edit::{Edit, Picture};
pub(crate) use self::read::{Generation, decode_generation, read_generation};
pub(crate) use self::record::encode;
use crate::Error;
use crate::tree::options::Canary;

/// Largest generation that is read, in bytes: a picture of a million SSTables.
const GENERATION_BYTES_MAX: u64 = 256 << 20;

/// Why an edit can be applied.
const FITS: &str = "the tree makes edits that fit its own picture";

/// The open manifest of a tree.
pub(crate) struct Manifest<R: Runtime> {
    runtime: R,
    dir: PathBuf,
    /// Bytes that a generation reserves, at least.
    reserve_bytes: u64,
    canary: Canary,
    picture: Picture,
    generation: u64,
    file: R::File,
    /// Where the next record goes.
    end: u64,
    /// Bytes that the file has.
    size: u64,
    next_number: u64,
    /// The last record was torn, or the generation has an older version: nothing is written behind it, the next edit
    /// begins a new generation.
    closed: bool,
    /// Edits so far, for the canary that loses some.
    edits: u64,
}

impl<R: Runtime> Manifest<R> {
    /// Reads the manifest in `dir`, or begins one where there is no tree yet. `names` is what the directory holds.
    pub(crate) async fn open(
        runtime: R,
        dir: &Path,
        names: &[DirEntry],
        reserve_bytes: u64,
        canary: Canary,
    ) -> Result<Manifest<R>, Error> {
        let newest = names.iter().filter_map(|entry| parse_file_name(&entry.name)).max();
        let Some(generation) = newest else {
            return Manifest::begin(runtime, dir, names, reserve_bytes, canary).await;
        };
        let path = dir.join(file_name(generation));
        let file = runtime.open(&path, OpenOptions::WRITE_DSYNC).await;
        let file = file.map_err(|error| Error::io(&path, None, error))?;
        let bytes = read_all::<R>(&file, &path).await?;
        let Generation { picture, tail, version, .. } = decode_generation(&path, &bytes, generation)?;
        // Somebody may have been stopped between the rename and this: what is relied on must not go away again.
        runtime.sync_dir(dir).await.map_err(|error| Error::io(dir, None, error))?;
        Ok(Manifest {
            runtime,
            dir: dir.to_owned(),
            reserve_bytes,
            canary,
            picture,
            generation,
            file,
            end: tail.end,
            size: bytes.len() as u64,
            next_number: tail.next_number,
            closed: tail.torn || version < edit::VERSION,
            edits: 0,
        })
    }

    async fn begin(
        runtime: R,
        dir: &Path,
        names: &[DirEntry],
        reserve_bytes: u64,
        canary: Canary,
    ) -> Result<Manifest<R>, Error> {
        if let Some(orphan) = names.iter().find(|entry| entry.name.ends_with(".sst")) {
            return Err(Error::corrupt(
                &dir.join(&orphan.name),
                0,
                "SSTables without a manifest that names them",
            ));
        }
        let picture = Picture::new(runtime.random(Purpose::Id));
        let written = write_generation(&runtime, dir, 1, &picture, reserve_bytes).await?;
        Ok(Manifest {
            runtime,
            dir: dir.to_owned(),
            reserve_bytes,
            canary,
            picture,
            generation: 1,
            file: written.file,
            end: written.end,
            size: written.size,
            next_number: 1,
            closed: false,
            edits: 0,
        })
    }

    /// The tree as of the last edit.
    pub(crate) fn picture(&self) -> &Picture {
        &self.picture
    }

    /// Bytes of the generation that hold records.
    pub(crate) fn bytes(&self) -> u64 {
        self.end
    }

    /// Makes an edit durable and part of the picture. [`Error::Full`] leaves everything as it was; any other error
    /// leaves open whether the edit is on the disk, and the manifest must not be used again.
    pub(crate) async fn append(&mut self, edit: &Edit) -> Result<(), Error> {
        self.edits += 1;
        if self.canary.is(Canary::LoseManifestEdit) && self.edits.is_multiple_of(3) {
            self.picture.apply(edit).expect(FITS);
            return Ok(());
        }
        let record = encode(&edit.encode(), self.generation, self.end, self.next_number);
        if self.closed || self.end + record.len() as u64 > self.size {
            let mut picture = self.picture.clone();
            picture.apply(edit).expect(FITS);
            return self.begin_generation(picture).await;
        }
        let path = self.dir.join(file_name(self.generation));
        write_record::<R>(&self.file, &path, &record, self.end).await.map_err(final_error)?;
        self.end += record.len() as u64;
        self.next_number += 1;
        self.picture.apply(edit).expect(FITS);
        Ok(())
    }

    async fn begin_generation(&mut self, picture: Picture) -> Result<(), Error> {
        let generation = self.generation + 1;
        let written =
            write_generation(&self.runtime, &self.dir, generation, &picture, self.reserve_bytes).await?;
        self.picture = picture;
        self.generation = generation;
        self.file = written.file;
        self.end = written.end;
        self.size = written.size;
        self.next_number = 1;
        self.closed = false;
        self.remove_old_generations().await;
        Ok(())
    }

    /// Keeps this generation and the one before it. What cannot be removed now is in nobody's way, and is tried again
    /// with the next generation.
    async fn remove_old_generations(&self) {
        let names = self.runtime.list(&self.dir).await.unwrap_or_default();
        let generations = names.iter().filter_map(|entry| parse_file_name(&entry.name));
        for old in generations.filter(|generation| generation + 1 < self.generation) {
            let _ = self.runtime.remove(&self.dir.join(file_name(old))).await;
        }
    }
}

/// A generation that was just made durable.
struct Written<F> {
    file: F,
    end: u64,
    size: u64,
}

/// Writes a generation aside, and puts it in place when it is durable.
async fn write_generation<R: Runtime>(
    runtime: &R,
    dir: &Path,
    generation: u64,
    picture: &Picture,
    reserve_bytes: u64,
) -> Result<Written<R::File>, Error> {
    let path = dir.join(file_name(generation));
    let aside = dir.join(format!("{}.tmp", file_name(generation)));
    let record = encode(&picture.encode(generation), generation, 0, 0);
    let end = record.len() as u64;
    let size = (end * 2).max(reserve_bytes).next_multiple_of(BLOCK_BYTES as u64);
    if let Err(error) = write_aside(runtime, &aside, &record, size).await {
        // Nothing refers to it; if it cannot be removed now, the next start removes it.
        let _ = runtime.remove(&aside).await;
        return Err(error);
    }
    let name_errors = |error| final_error(Error::io(&path, None, error));
    runtime.rename(&aside, &path).await.map_err(name_errors)?;
    runtime.sync_dir(dir).await.map_err(name_errors)?;
    let file = runtime.open(&path, OpenOptions::WRITE_DSYNC).await.map_err(name_errors)?;
    Ok(Written { file, end, size })
}

async fn write_aside<R: Runtime>(runtime: &R, path: &Path, record: &[u8], size: u64) -> Result<(), Error> {
    let failed = |error| Error::io(path, None, error);
    if let Err(error) = runtime.remove(path).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(failed(error));
    }
    let file = runtime.open(path, OpenOptions::CREATE).await.map_err(failed)?;
    file.allocate(size).await.map_err(failed)?;
    write_record::<R>(&file, path, record, 0).await?;
    file.sync().await.map_err(failed)
}

/// An error of a write that may have happened: not even a full disk is worth another try.
fn final_error(error: Error) -> Error {
    match error {
        Error::Full { path } => {
            let source = std::io::Error::other("no space in what was reserved or renamed");
            Error::Io { path, offset: None, source: Rc::new(source) }
        }
        error => error,
    }
}

async fn write_record<R: Runtime>(
    file: &R::File,
    path: &Path,
    record: &[u8],
    offset: u64,
) -> Result<(), Error> {
    assert!(record.len().is_multiple_of(BLOCK_BYTES) && offset.is_multiple_of(BLOCK_BYTES as u64));
    let mut buffer = file.buffer(record.len());
    buffer.as_mut_slice().copy_from_slice(record);
    let written = file.write_at(Rc::new(buffer), offset).await;
    written.map_err(|error| Error::io(path, Some(offset), error))
}

async fn read_all<R: Runtime>(file: &R::File, path: &Path) -> Result<Vec<u8>, Error> {
    let size = file.size().await.map_err(|error| Error::io(path, None, error))?;
    if size > GENERATION_BYTES_MAX {
        return Err(Error::corrupt(path, 0, format!("a manifest of {size} bytes is over the limit")));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    while (bytes.len() as u64) < size {
        let offset = bytes.len() as u64;
        // A file that was cut inside a block is read up to its end and then counts as cut there.
        let wanted = (size - offset).min(1 << 20).next_multiple_of(BLOCK_BYTES as u64);
        let piece = file.read_at(offset, wanted as usize).await;
        let piece = piece.map_err(|error| Error::io(path, Some(offset), error))?;
        if piece.is_empty() {
            break;
        }
        bytes.extend_from_slice(&piece);
        if !bytes.len().is_multiple_of(BLOCK_BYTES) {
            break;
        }
    }
    bytes.truncate(bytes.len() - bytes.len() % BLOCK_BYTES);
    Ok(bytes)
}

/// The name of a generation in its directory.
pub(crate) fn file_name(generation: u64) -> String {
    format!("manifest-{generation:016x}")
}

/// The generation in the name of a manifest.
pub(crate) fn parse_file_name(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("manifest-").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}
