//! Who this node is: the one block `<data>/node` that says which cluster and node a data directory belongs to.
//!
//! 1. [`found`] draws the ids and writes the block, in an empty directory; whole or not at all.
//! 2. [`read`] gives it back, checked.
//! 3. [`open`] does what a start needs: reads it, founds it when the directory is empty, refuses what does not fit.
//!
//! A node of a cluster keeps beside it the map that it knew last: [`keep`], [`known()`]; and that all of its shards were there once: [`begin`], [`has_begun`].
//!
//! Promises: an existing directory is never overwritten; every refusal says what is wrong and what to do.
//! FORMAT.md, "The data directory", has the bytes.

mod begun;
mod known;

pub use begun::{begin, has_begun};
pub use known::{keep, known};

use model::ring::{NodeId, Ring, ShardId};
use runtime::{BLOCK_BYTES, Buffer, File, OpenOptions, Purpose, Runtime};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Shards of one node at most.
pub const SHARDS_MAX: u16 = 4096;

/// Data vnodes of a founding ring at most.
pub const VNODES_MAX: u32 = 1 << 20;

const MAGIC: &[u8; 8] = b"torcnode";
const VERSION: u16 = 1;
const CRC_OFFSET: usize = BLOCK_BYTES - 4;

/// Who this node is; never changes after it was founded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's id.
    pub cluster: u128,
    /// The node's id.
    pub node: u128,
    /// The node's number in the cluster.
    pub number: NodeId,
    /// Shards of this node.
    pub shard_count: u16,
    /// Data vnodes of the founding ring.
    pub vnode_count: u32,
}

impl Identity {
    /// The ring that the cluster was founded with.
    pub fn founding_ring(&self) -> Ring {
        Ring::even(self.vnode_count, self.shard_count)
    }
}

/// Why a data directory was refused.
#[derive(Debug)]
pub enum NodeError {
    /// The file system said no.
    Io {
        /// What was touched.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The block is not what was written.
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A version that this program does not know.
    Version {
        /// The file.
        path: PathBuf,
        /// The version found there.
        found: u16,
    },
    /// There are shards, but nothing says whose.
    Lost {
        /// The file that is missing.
        path: PathBuf,
    },
    /// The directory was made for another number of shards.
    ShardCount {
        /// The directory.
        dir: PathBuf,
        /// Shards that it was made for.
        founded: u16,
        /// Shards that were asked for.
        asked: u16,
    },
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeError::Io { path, source } => {
                write!(f, "{}: {source}; check the mount and the permissions", path.display())
            }
            NodeError::Corrupt { path, what } => write!(
                f,
                "{} is corrupt at byte 0: {what}; nothing was overwritten, restore the file from a copy",
                path.display()
            ),
            NodeError::Version { path, found } => write!(
                f,
                "{} has format version {found}, this program knows {VERSION}; start a newer torc",
                path.display()
            ),
            NodeError::Lost { path } => write!(
                f,
                "{} is missing although the directory holds shards; restore the file from a copy, or start with an empty directory",
                path.display()
            ),
            NodeError::ShardCount { dir, founded, asked } => write!(
                f,
                "{} was made for {founded} shards and cannot be opened with {asked}; start with --shards {founded}, or with another directory",
                dir.display()
            ),
        }
    }
}

impl std::error::Error for NodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            NodeError::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// The directory of one shard.
pub fn shard_dir(data: &Path, shard: ShardId) -> PathBuf {
    data.join(format!("shard-{:03}", shard.0))
}

/// Reads who the node in `data` is; founds it, with `vnode_count` data vnodes, when the directory is empty.
///
/// `shard_count` none takes what the directory was made for, and 1 for a new one. One core calls this before any
/// shard is opened.
pub async fn open<R: Runtime>(
    rt: &R,
    data: &Path,
    shard_count: Option<u16>,
    vnode_count: u32,
) -> Result<Identity, NodeError> {
    let Some(identity) = read(rt, data).await? else {
        return found(rt, data, shard_count.unwrap_or(1), vnode_count).await;
    };
    let at = |source| NodeError::Io { path: data.to_path_buf(), source };
    sync_ancestors(rt, data).await.map_err(at)?;
    match shard_count {
        Some(asked) if asked != identity.shard_count => {
            Err(NodeError::ShardCount { dir: data.to_path_buf(), founded: identity.shard_count, asked })
        }
        _ => Ok(identity),
    }
}

/// Reads who the node in `data` is; none when the directory is new.
pub async fn read<R: Runtime>(rt: &R, data: &Path) -> Result<Option<Identity>, NodeError> {
    let path = data.join("node");
    let at = |source| NodeError::Io { path: path.clone(), source };
    let file = match rt.open(&path, OpenOptions::READ).await {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            refuse_orphans(rt, data, &path).await?;
            return Ok(None);
        }
        Err(error) => return Err(at(error)),
    };
    let size = file.size().await.map_err(at)?;
    if size != BLOCK_BYTES as u64 {
        let what = format!("it has {size} bytes instead of {BLOCK_BYTES}");
        return Err(NodeError::Corrupt { path, what });
    }
    let bytes = file.read_at(0, BLOCK_BYTES).await.map_err(at)?;
    decode(&bytes, &path).map(Some)
}

/// Draws a new identity and writes it; the directory must hold none.
pub async fn found<R: Runtime>(
    rt: &R,
    data: &Path,
    shard_count: u16,
    vnode_count: u32,
) -> Result<Identity, NodeError> {
    assert!((1..=SHARDS_MAX).contains(&shard_count), "{shard_count} shards");
    assert!((1..=VNODES_MAX).contains(&vnode_count), "{vnode_count} vnodes");
    let draw = || (u128::from(rt.random(Purpose::Id)) << 64) | u128::from(rt.random(Purpose::Id));
    let identity = Identity { cluster: draw(), node: draw(), number: NodeId(0), shard_count, vnode_count };
    let path = data.join("node");
    write(rt, data, &identity).await.map_err(|source| NodeError::Io { path, source })?;
    Ok(identity)
}

/// Writes who a node of a cluster is: the one who admitted it said so. The directory must hold none.
pub async fn found_as<R: Runtime>(rt: &R, data: &Path, identity: Identity) -> Result<(), NodeError> {
    assert!((1..=SHARDS_MAX).contains(&identity.shard_count), "{} shards", identity.shard_count);
    assert!((1..=VNODES_MAX).contains(&identity.vnode_count), "{} vnodes", identity.vnode_count);
    let path = data.join("node");
    refuse_orphans(rt, data, &path).await?;
    write(rt, data, &identity).await.map_err(|source| NodeError::Io { path, source })
}

/// Shards without an identity are somebody's data: they are not to be taken over.
async fn refuse_orphans<R: Runtime>(rt: &R, data: &Path, path: &Path) -> Result<(), NodeError> {
    let names = match rt.list(data).await {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(NodeError::Io { path: data.to_path_buf(), source }),
    };
    if names.iter().any(|entry| entry.name.starts_with("shard-")) {
        return Err(NodeError::Lost { path: path.to_path_buf() });
    }
    Ok(())
}

async fn write<R: Runtime>(rt: &R, data: &Path, identity: &Identity) -> io::Result<()> {
    rt.create_dir(data).await?;
    let (new, path) = (data.join("node.new"), data.join("node"));
    match rt.remove(&new).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = rt.open(&new, OpenOptions::CREATE).await?;
    let mut buffer = file.buffer(BLOCK_BYTES);
    buffer.as_mut_slice().copy_from_slice(&encode(identity));
    file.write_at(Rc::new(buffer), 0).await?;
    file.sync().await?;
    drop(file);
    rt.rename(&new, &path).await?;
    rt.sync_dir(data).await?;
    sync_ancestors(rt, data).await
}

/// Makes the names that lead to `dir` durable, as far as this user may: a start that crashed may have left any of
/// them behind unsynced, and then all that is in them would be lost with them.
pub(crate) async fn sync_ancestors<R: Runtime>(rt: &R, dir: &Path) -> io::Result<()> {
    for ancestor in dir.ancestors().skip(1) {
        let ancestor = if ancestor.as_os_str().is_empty() { Path::new(".") } else { ancestor };
        match rt.sync_dir(ancestor).await {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            synced => synced?,
        }
    }
    Ok(())
}

fn encode(identity: &Identity) -> [u8; BLOCK_BYTES] {
    let mut bytes = [0; BLOCK_BYTES];
    bytes[0..8].copy_from_slice(MAGIC);
    bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
    bytes[10..12].copy_from_slice(&identity.shard_count.to_le_bytes());
    bytes[12..16].copy_from_slice(&identity.vnode_count.to_le_bytes());
    bytes[16..32].copy_from_slice(&identity.cluster.to_le_bytes());
    bytes[32..48].copy_from_slice(&identity.node.to_le_bytes());
    bytes[48..50].copy_from_slice(&identity.number.0.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..CRC_OFFSET]);
    bytes[CRC_OFFSET..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8], path: &Path) -> Result<Identity, NodeError> {
    let corrupt = |what: &str| Err(NodeError::Corrupt { path: path.to_path_buf(), what: what.to_string() });
    let Ok(bytes) = <&[u8; BLOCK_BYTES]>::try_from(bytes) else { return corrupt("it is cut short") };
    if &bytes[0..8] != MAGIC {
        return corrupt("it does not begin with `torcnode`");
    }
    if u32_at(bytes, CRC_OFFSET) != crc32c::crc32c(&bytes[..CRC_OFFSET]) {
        return corrupt("its checksum does not match");
    }
    let found = u16_at(bytes, 8);
    if found != VERSION {
        return Err(NodeError::Version { path: path.to_path_buf(), found });
    }
    let identity = Identity {
        cluster: u128_at(bytes, 16),
        node: u128_at(bytes, 32),
        number: NodeId(u16_at(bytes, 48)),
        shard_count: u16_at(bytes, 10),
        vnode_count: u32_at(bytes, 12),
    };
    let shards = (1..=SHARDS_MAX).contains(&identity.shard_count);
    let vnodes = (1..=VNODES_MAX).contains(&identity.vnode_count);
    if !shards || !vnodes || bytes[50..CRC_OFFSET].iter().any(|byte| *byte != 0) {
        return corrupt("its fields make no sense");
    }
    Ok(identity)
}

fn u16_at(bytes: &[u8; BLOCK_BYTES], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn u32_at(bytes: &[u8; BLOCK_BYTES], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u128_at(bytes: &[u8; BLOCK_BYTES], at: usize) -> u128 {
    u128::from_le_bytes(bytes[at..at + 16].try_into().expect("sixteen bytes"))
}

#[cfg(test)]
mod tests;
