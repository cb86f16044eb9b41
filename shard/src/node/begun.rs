//! That a node has begun: `<data>/begun`, from the moment on at which each of its shards was open once.
//!
//! A cluster is founded with empty replicas, and each of them has a vote. A shard whose directory is lost would make them again, under their old names, and vote
//! for those who lack what it acknowledged itself. With this file a shard knows that what is not here was lost.
//!
//! Promises: once it is there, it stays. FORMAT.md, "The data directory".

use super::NodeError;
use runtime::{BLOCK_BYTES, Buffer, File, OpenOptions, Runtime};
use std::io;
use std::path::Path;
use std::rc::Rc;

const MAGIC: &[u8; 8] = b"torcbegn";

/// Says that every shard of this node was open, with all of its replicas durable.
pub async fn begin<R: Runtime>(rt: &R, data: &Path) -> Result<(), NodeError> {
    let path = data.join("begun");
    write(rt, data, &path).await.map_err(|source| NodeError::Io { path, source })
}

/// Whether that was said. The name is enough: it is made at no other moment.
pub async fn has_begun<R: Runtime>(rt: &R, data: &Path) -> Result<bool, NodeError> {
    let path = data.join("begun");
    match rt.open(&path, OpenOptions::READ).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(NodeError::Io { path, source }),
    }
}

async fn write<R: Runtime>(rt: &R, data: &Path, path: &Path) -> io::Result<()> {
    let file = match rt.open(path, OpenOptions::CREATE).await {
        Ok(file) => file,
        // Its name may have been left unsynced by a start that was cut short.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return rt.sync_dir(data).await,
        Err(error) => return Err(error),
    };
    let mut buffer = file.buffer(BLOCK_BYTES);
    buffer.as_mut_slice().fill(0);
    buffer.as_mut_slice()[..8].copy_from_slice(MAGIC);
    file.write_at(Rc::new(buffer), 0).await?;
    file.sync().await?;
    rt.sync_dir(data).await
}
