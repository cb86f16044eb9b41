//! The map that a cluster's node knew last: `<data>/map`, so that a start needs nobody to tell it where the others are.
//!
//! 1. A cluster is founded: the founding map is written beside the node's block, on each of its first nodes.
//! 2. Whenever the node has heard of a newer map it may write that one, as often as its owner likes: an older one only means
//!    that the first question is asked of an older address.
//! 3. A start reads it, whole or not at all.
//!
//! Promises: a crash leaves the old map or the new one. What is damaged is refused, never guessed.
//! FORMAT.md, "The data directory", has the bytes.

use super::{NodeError, sync_ancestors};
use model::map::Map;
use runtime::{BLOCK_BYTES, Buffer, File, OpenOptions, Runtime};
use std::io;
use std::path::Path;
use std::rc::Rc;

const MAGIC: &[u8; 8] = b"torc map";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 32;

/// Bytes of the file at most: a map is no larger than a message.
const FILE_BYTES_MAX: usize = 32 << 20;

/// Writes the map, in the place of what was there.
pub async fn keep<R: Runtime>(rt: &R, data: &Path, map: &Map) -> Result<(), NodeError> {
    let path = data.join("map");
    write(rt, data, &path, &encode(map)).await.map_err(|source| NodeError::Io { path, source })
}

/// The map that was written last; none where there is none.
pub async fn known<R: Runtime>(rt: &R, data: &Path) -> Result<Option<Map>, NodeError> {
    let path = data.join("map");
    let at = |source| NodeError::Io { path: path.clone(), source };
    let corrupt = |what: &str| NodeError::Corrupt { path: path.clone(), what: what.to_string() };
    let file = match rt.open(&path, OpenOptions::READ).await {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(error)),
    };
    let size = usize::try_from(file.size().await.map_err(at)?).unwrap_or(usize::MAX);
    if size > FILE_BYTES_MAX {
        return Err(corrupt("it is too large"));
    }
    let bytes = file.read_at(0, size.next_multiple_of(BLOCK_BYTES)).await.map_err(at)?;
    let header = bytes.first_chunk::<HEADER_BYTES>().ok_or_else(|| corrupt("it is cut short"))?;
    if &header[..8] != MAGIC {
        return Err(corrupt("it does not begin with `torc map`"));
    }
    let number = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
    if number(28) != crc32c::crc32c(&header[..28]) {
        return Err(corrupt("its checksum does not match"));
    }
    let found = u16::from_le_bytes([header[8], header[9]]);
    if found != VERSION {
        return Err(NodeError::Version { path, found });
    }
    let map = bytes[HEADER_BYTES..].get(..number(12) as usize).ok_or_else(|| corrupt("it is cut short"))?;
    if number(16) != crc32c::crc32c(map) {
        return Err(corrupt("the map's checksum does not match"));
    }
    let map = Map::decode(map).map_err(|error| corrupt(error.what))?;
    Ok(Some(map))
}

fn encode(map: &Map) -> Vec<u8> {
    let map = map.encode();
    let mut bytes = vec![0; HEADER_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..16].copy_from_slice(&u32::try_from(map.len()).expect("a map is a message").to_le_bytes());
    bytes[16..20].copy_from_slice(&crc32c::crc32c(&map).to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..28]);
    bytes[28..].copy_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(&map);
    bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
    bytes
}

async fn write<R: Runtime>(rt: &R, data: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    rt.create_dir(data).await?;
    let new = data.join("map.new");
    match rt.remove(&new).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = rt.open(&new, OpenOptions::CREATE).await?;
    let mut buffer = file.buffer(bytes.len());
    buffer.as_mut_slice().copy_from_slice(bytes);
    file.write_at(Rc::new(buffer), 0).await?;
    file.sync().await?;
    drop(file);
    rt.rename(&new, path).await?;
    rt.sync_dir(data).await?;
    sync_ancestors(rt, data).await
}
