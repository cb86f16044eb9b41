//! A test's hand on a node's disk: look, damage, set faults. Nothing here takes time or fails by chance.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::content::Content;
use super::{Inode, InodeId};
use crate::BLOCK_BYTES;
use crate::sim::options::{DiskFaults, FaultCounts};
use crate::sim::world::Node;

/// The disk of one node, whether it is up or down.
pub struct DiskHandle {
    node: Rc<Node>,
}

impl DiskHandle {
    pub(in crate::sim) fn new(node: Rc<Node>) -> DiskHandle {
        DiskHandle { node }
    }

    /// The faults that hold now.
    pub fn faults(&self) -> DiskFaults {
        self.node.disk.faults.borrow().clone()
    }

    /// Faults from now on.
    pub fn set_faults(&self, faults: DiskFaults) {
        *self.node.disk.faults.borrow_mut() = faults;
    }

    /// Changes some of the faults.
    pub fn change_faults(&self, change: impl FnOnce(&mut DiskFaults)) {
        change(&mut self.node.disk.faults.borrow_mut());
    }

    /// What the disk has done to its node so far.
    pub fn fault_counts(&self) -> FaultCounts {
        *self.node.disk.counts.borrow()
    }

    /// Bytes of blocks that files hold.
    pub fn bytes_used(&self) -> u64 {
        self.node.disk.bytes_used.get()
    }

    /// The whole file as the running node sees it.
    pub fn read_file(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        self.whole(path.as_ref(), |file| &file.live)
    }

    /// The whole file as a crash would certainly leave it, if its name is there then.
    pub fn read_durable(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        self.whole(path.as_ref(), |file| &file.durable)
    }

    fn whole(&self, path: &Path, which: impl Fn(&super::FileData) -> &Content) -> Option<Vec<u8>> {
        let inode = self.file(path)?;
        Some(self.node.disk.with_file(inode, |file| {
            let content = which(file);
            let mut bytes = Vec::new();
            content.read(0, content.size as usize, &mut bytes);
            bytes
        }))
    }

    fn file(&self, path: &Path) -> Option<InodeId> {
        let inode = self.node.disk.find(path).ok()?;
        matches!(self.node.disk.inodes.borrow()[inode], Inode::File(_)).then_some(inode)
    }

    fn existing(&self, path: &Path) -> InodeId {
        self.file(path).unwrap_or_else(|| panic!("no file {} to damage", path.display()))
    }

    /// All files, with their sizes, sorted by path.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let mut found = Vec::new();
        let mut next = vec![PathBuf::from("/")];
        while let Some(directory) = next.pop() {
            for entry in self.node.disk.entries(&directory).expect("it was listed as a directory") {
                let path = directory.join(entry.name);
                match entry.is_dir {
                    true => next.push(path),
                    false => found.push((path, entry.size)),
                }
            }
        }
        found.sort();
        found
    }

    /// Makes a file with these bytes, durable, with all directories above it; replaces what it held.
    pub fn write_file(&self, path: impl AsRef<Path>, bytes: &[u8]) {
        let (disk, path) = (&self.node.disk, path.as_ref());
        if self.file(path).is_none() {
            let parent = path.parent().unwrap_or(Path::new("/"));
            disk.create_directories(parent).expect("a test writes where directories can be");
            disk.create_file(path).expect("a test writes where a file can be");
            disk.settle_all_names();
        }
        self.replace(path, |content| {
            content.resize(0, false);
            content.overwrite(0, bytes);
        });
    }

    /// Overwrites bytes of a file, durably, at any offset.
    pub fn overwrite(&self, path: impl AsRef<Path>, offset: u64, bytes: &[u8]) {
        self.replace(path.as_ref(), |content| content.overwrite(offset, bytes));
    }

    /// Cuts or extends a file, durably.
    pub fn resize(&self, path: impl AsRef<Path>, size: u64) {
        self.replace(path.as_ref(), |content| content.resize(size, false));
    }

    fn replace(&self, path: &Path, change: impl FnOnce(&mut Content)) {
        let inode = self.existing(path);
        let (before, after) = self.node.disk.with_file(inode, |file| {
            let before = file.live.bytes_held();
            change(&mut file.live);
            file.durable = file.live.clone();
            file.pending.retain(|pending| !pending.completed);
            (before, file.live.bytes_held())
        });
        self.node.disk.account(before, after);
    }

    /// Flips one bit (0 to 7) of the byte at `offset`, for good.
    pub fn flip_bit(&self, path: impl AsRef<Path>, offset: u64, bit: u32) {
        self.node.disk.flip_bit(self.existing(path.as_ref()), offset, bit);
    }

    /// Reads of these bytes fail with EIO until the blocks are written again.
    pub fn break_region(&self, path: impl AsRef<Path>, bytes: Range<u64>) {
        let inode = self.existing(path.as_ref());
        let blocks = bytes.start as usize / BLOCK_BYTES..(bytes.end as usize).div_ceil(BLOCK_BYTES);
        self.node.disk.with_file(inode, |file| file.unreadable.extend(blocks));
    }

    /// Removes a file, durably.
    pub fn remove_file(&self, path: impl AsRef<Path>) {
        self.node.disk.remove_file(path.as_ref()).expect("a test removes a file that is there");
        self.node.disk.settle_all_names();
    }

    /// Loses everything, as a new disk would. For a node that is down.
    pub fn wipe(&self) {
        assert!(!self.node.up.get(), "the disk of a running node is not replaced");
        let disk = &self.node.disk;
        *disk.inodes.borrow_mut() = vec![Inode::Directory(super::Directory::default())];
        disk.bytes_used.set(0);
    }
}
