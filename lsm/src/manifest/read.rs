//! A generation as it lies on the disk, record by record.

use std::path::Path;

use runtime::{OpenOptions, Runtime};

use super::edit::{Edit, Picture};
use super::record::{Tail, scan};
use crate::Error;

/// Everything that a generation says.
pub(crate) struct Generation {
    pub(crate) generation: u64,
    /// Of the format.
    pub(crate) version: u32,
    /// Bytes of the file.
    pub(crate) size: u64,
    /// The tree as of the first record, and how many bytes that has.
    pub(crate) first: (Picture, usize),
    /// The edits after it: each one's offset, bytes, and what it changes.
    pub(crate) edits: Vec<(u64, usize, Edit)>,
    /// The tree as of the last edit.
    pub(crate) picture: Picture,
    pub(crate) tail: Tail,
}

/// Reads the generation in the file at `path`, for somebody who only looks.
pub(crate) async fn read_generation<R: Runtime>(
    runtime: &R,
    path: &Path,
    generation: u64,
) -> Result<Generation, Error> {
    let file = runtime.open(path, OpenOptions::READ).await;
    let file = file.map_err(|error| Error::io(path, None, error))?;
    let bytes = super::read_all::<R>(&file, path).await?;
    decode_generation(path, &bytes, generation)
}

/// Applies a generation's records in order.
pub(crate) fn decode_generation(path: &Path, bytes: &[u8], generation: u64) -> Result<Generation, Error> {
    let corrupt = |(offset, what): (u64, String)| Error::corrupt(path, offset, what);
    let (records, tail) = scan(bytes, generation).map_err(corrupt)?;
    let mut records = records.into_iter();
    let Some((_, first)) = records.next() else {
        return Err(corrupt((0, "a generation without its first record".into())));
    };
    let (mut picture, version) = Picture::decode(&first, generation).map_err(|what| corrupt((0, what)))?;
    let first = (picture.clone(), first.len());
    let mut edits = Vec::new();
    for (offset, record) in records {
        let edit = Edit::decode(&record).and_then(|edit| picture.apply(&edit).map(|()| edit));
        edits.push((offset, record.len(), edit.map_err(|what| corrupt((offset, what)))?));
    }
    Ok(Generation { generation, version, size: bytes.len() as u64, first, edits, picture, tail })
}
