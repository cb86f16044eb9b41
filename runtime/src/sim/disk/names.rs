//! Directories, and how the names in them become durable.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path};
use std::rc::Rc;

use super::content::FileData;
use super::{Disk, Inode, InodeId, ROOT, os_error};
use crate::DirEntry;
use crate::sim::options::DiskFaults;
use crate::sim::random::Stream;
use crate::sim::runtime::Here;
use crate::sim::trace::Event;

#[derive(Default)]
pub(super) struct Directory {
    pub live: BTreeMap<String, InodeId>,
    pub durable: BTreeMap<String, InodeId>,
    pending: Vec<(u64, NameChange)>,
}

/// A change of names in one directory; each happens as a whole or not.
enum NameChange {
    Link { name: String, inode: InodeId },
    Unlink { name: String },
    Rename { from: String, to: String, inode: InodeId },
}

impl NameChange {
    fn apply(self, names: &mut BTreeMap<String, InodeId>) {
        match self {
            NameChange::Link { name, inode } => _ = names.insert(name, inode),
            NameChange::Unlink { name } => _ = names.remove(&name),
            NameChange::Rename { from, to, inode } => {
                if names.get(&from) == Some(&inode) {
                    names.remove(&from);
                }
                names.insert(to, inode);
            }
        }
    }

    fn mentions(&self, id: InodeId) -> bool {
        match self {
            NameChange::Link { inode, .. } | NameChange::Rename { inode, .. } => *inode == id,
            NameChange::Unlink { .. } => false,
        }
    }
}

impl Directory {
    /// How many changes were pending, and how many of them are there after the crash.
    ///
    /// Half of the crashes keep a prefix, as a journal does; the others keep any subset, as the standard allows.
    pub fn crash(&mut self, fate: &mut Stream, faults: &DiskFaults) -> (u64, u64) {
        let pending = std::mem::take(&mut self.pending);
        let (count, ordered) = (pending.len() as u64, fate.coin());
        let (mut kept, mut lost_one) = (0, false);
        for (_, change) in pending {
            let keep = fate.happens(faults.crash_keeps_metadata) && !(ordered && lost_one);
            lost_one |= !keep;
            if keep {
                kept += 1;
                change.apply(&mut self.durable);
            }
        }
        self.live = self.durable.clone();
        (count, kept)
    }
}

/// The names on the way; the root is where all paths begin, absolute or not.
fn names_of(path: &Path) -> Vec<&str> {
    let name = |component| match component {
        Component::Normal(name) => Some(name.to_str().expect("paths are UTF-8")),
        Component::RootDir | Component::CurDir => None,
        Component::ParentDir | Component::Prefix(_) => {
            panic!("no `..` in simulated paths: {}", path.display())
        }
    };
    path.components().filter_map(name).collect()
}

impl Disk {
    fn directory<T>(&self, id: InodeId, work: impl FnOnce(&mut Directory) -> T) -> io::Result<T> {
        match &mut self.inodes.borrow_mut()[id] {
            Inode::Directory(directory) => Ok(work(directory)),
            _ => Err(os_error(libc::ENOTDIR)),
        }
    }

    fn find_from(&self, names: &[&str]) -> io::Result<InodeId> {
        let mut at = ROOT;
        for name in names {
            at = self
                .directory(at, |directory| directory.live.get(*name).copied())?
                .ok_or_else(|| os_error(libc::ENOENT))?;
        }
        Ok(at)
    }

    pub(in crate::sim) fn find(&self, path: &Path) -> io::Result<InodeId> {
        self.find_from(&names_of(path))
    }

    /// The directory that holds the last name of `path`, and that name.
    fn find_parent(&self, path: &Path) -> io::Result<(InodeId, String)> {
        let names = names_of(path);
        let (last, above) = names.split_last().ok_or_else(|| os_error(libc::EISDIR))?;
        let parent = self.find_from(above)?;
        self.directory(parent, |_| ())?;
        Ok((parent, (*last).to_owned()))
    }

    /// Does one change to the live names and remembers it for the durable ones.
    fn change_names(&self, directory: InodeId, change: NameChange, again: NameChange) -> io::Result<()> {
        let id = self.next_change();
        self.directory(directory, |directory| {
            change.apply(&mut directory.live);
            directory.pending.push((id, again));
        })
    }

    fn add(&self, directory: InodeId, name: &str, inode: Inode) -> io::Result<InodeId> {
        let id = {
            let mut inodes = self.inodes.borrow_mut();
            inodes.push(inode);
            inodes.len() - 1
        };
        let link = || NameChange::Link { name: name.to_owned(), inode: id };
        self.change_names(directory, link(), link())?;
        Ok(id)
    }

    pub(super) fn create_file(&self, path: &Path) -> io::Result<InodeId> {
        let (parent, name) = self.find_parent(path)?;
        if self.directory(parent, |directory| directory.live.contains_key(&name))? {
            return Err(os_error(libc::EEXIST));
        }
        self.add(parent, &name, Inode::File(FileData { links: 1, ..FileData::default() }))
    }

    pub(super) fn create_directories(&self, path: &Path) -> io::Result<()> {
        let mut at = ROOT;
        for name in names_of(path) {
            at = match self.directory(at, |directory| directory.live.get(name).copied())? {
                Some(found) => found,
                None => self.add(at, name, Inode::Directory(Directory::default()))?,
            };
        }
        self.directory(at, |_| ())
    }

    pub(super) fn remove_file(&self, path: &Path) -> io::Result<()> {
        let (parent, name) = self.find_parent(path)?;
        let inode = self.find(path)?;
        if matches!(self.inodes.borrow()[inode], Inode::Directory(_)) {
            return Err(os_error(libc::EISDIR));
        }
        let unlink = || NameChange::Unlink { name: name.clone() };
        self.change_names(parent, unlink(), unlink())?;
        self.unlink_live(inode);
        Ok(())
    }

    fn rename_file(&self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.find(from)?;
        let ((from_parent, from), (to_parent, to)) = (self.find_parent(from)?, self.find_parent(to)?);
        let replaced = self.directory(to_parent, |directory| directory.live.get(&to).copied())?;
        if replaced == Some(inode) {
            return Ok(());
        }
        if let Some(replaced) = replaced {
            let inodes = self.inodes.borrow();
            match (&inodes[inode], &inodes[replaced]) {
                (Inode::File(_), Inode::File(_)) => {}
                (Inode::File(_), _) => return Err(os_error(libc::EISDIR)),
                (_, Inode::File(_)) => return Err(os_error(libc::ENOTDIR)),
                _ => return Err(os_error(libc::ENOTEMPTY)),
            }
        }
        if from_parent == to_parent {
            let rename = || NameChange::Rename { from: from.clone(), to: to.clone(), inode };
            self.change_names(from_parent, rename(), rename())?;
        } else {
            let link = || NameChange::Link { name: to.clone(), inode };
            let unlink = || NameChange::Unlink { name: from.clone() };
            self.change_names(to_parent, link(), link())?;
            self.change_names(from_parent, unlink(), unlink())?;
        }
        if let Some(replaced) = replaced {
            self.unlink_live(replaced);
        }
        Ok(())
    }

    fn unlink_live(&self, inode: InodeId) {
        self.with_file(inode, |file| file.links -= 1);
        self.release_room(inode);
    }

    /// The blocks of a file with no name and no handle are free for others.
    pub(super) fn release_room(&self, inode: InodeId) {
        let held = self.with_file(inode, |file| {
            let unused = file.links == 0 && file.handles == 0;
            if unused { std::mem::take(&mut file.live).bytes_held() } else { 0 }
        });
        self.account(held, 0);
    }

    fn pending_names(&self, directory: InodeId) -> io::Result<Vec<u64>> {
        self.directory(directory, |directory| directory.pending.iter().map(|(id, _)| *id).collect())
    }

    /// A sync of a directory ended: the `covered` changes are durable, or in doubt when it failed.
    fn settle_names(&self, directory: InodeId, covered: &[u64], failed: bool) -> io::Result<()> {
        let keep = self.faults.borrow().crash_keeps_metadata;
        let before = self.directory(directory, |directory| {
            let before: Vec<InodeId> = directory.durable.values().copied().collect();
            for (id, change) in std::mem::take(&mut directory.pending) {
                if covered.binary_search(&id).is_err() {
                    directory.pending.push((id, change));
                } else if !failed || self.decide(keep) {
                    change.apply(&mut directory.durable);
                }
            }
            before
        })?;
        before.into_iter().for_each(|inode| self.collect(inode));
        Ok(())
    }

    /// Makes all names durable; for tests that place files.
    pub(super) fn settle_all_names(&self) {
        for inode in self.inodes.borrow_mut().iter_mut() {
            let Inode::Directory(directory) = inode else { continue };
            for (_, change) in std::mem::take(&mut directory.pending) {
                change.apply(&mut directory.durable);
            }
        }
    }

    /// Forgets a file that nothing refers to: no name, no handle, no change that a crash could bring back.
    fn collect(&self, id: InodeId) {
        let mut inodes = self.inodes.borrow_mut();
        let Inode::File(FileData { links: 0, handles: 0, .. }) = &inodes[id] else { return };
        let named = inodes.iter().any(|inode| match inode {
            Inode::Directory(directory) => {
                directory.durable.values().any(|other| *other == id)
                    || directory.pending.iter().any(|(_, change)| change.mentions(id))
            }
            _ => false,
        });
        if !named {
            inodes[id] = Inode::Gone;
        }
    }

    pub(super) fn entries(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let names = self.directory(self.find(path)?, |directory| directory.live.clone())?;
        let inodes = self.inodes.borrow();
        let entry = |(name, id): (String, InodeId)| match &inodes[id] {
            Inode::File(file) => DirEntry { name, is_dir: false, size: file.live.size },
            _ => DirEntry { name, is_dir: true, size: 0 },
        };
        Ok(names.into_iter().map(entry).collect())
    }
}

impl Here {
    /// A change of names takes its time, then happens, whether or not somebody still waits for it.
    async fn change_of_names(
        self: &Rc<Here>,
        kind: u64,
        work: impl FnOnce(&Disk) -> io::Result<()> + 'static,
    ) -> io::Result<()> {
        self.check_alive()?;
        let (world, disk) = (&self.world, &self.node.disk);
        world.trace.record(world.executor.now(), Event::Name, u64::from(self.node.id.0), kind);
        let (sender, receiver) = crate::sync::oneshot();
        super::later(world, self, disk.duration(|faults| faults.other), |here| {
            _ = sender.send(work(&here.node.disk));
        });
        self.outcome(receiver.await)
    }

    /// What an operation gave; a crash takes the answer away.
    pub(super) fn outcome<T>(&self, answer: Result<io::Result<T>, crate::Closed>) -> io::Result<T> {
        answer.unwrap_or_else(|_| {
            self.check_alive()?;
            panic!("only a crash takes an answer away");
        })
    }

    pub(in crate::sim) async fn rename(self: &Rc<Here>, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.change_of_names(1, move |disk| disk.rename_file(&from, &to)).await
    }

    pub(in crate::sim) async fn remove(self: &Rc<Here>, path: &Path) -> io::Result<()> {
        let path = path.to_owned();
        self.change_of_names(2, move |disk| disk.remove_file(&path)).await
    }

    pub(in crate::sim) async fn create_dir(self: &Rc<Here>, path: &Path) -> io::Result<()> {
        let path = path.to_owned();
        self.change_of_names(3, move |disk| disk.create_directories(&path)).await
    }

    pub(in crate::sim) async fn list(self: &Rc<Here>, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.check_alive()?;
        let after = self.node.disk.duration(|faults| faults.other);
        self.world.wait_until(self.world.executor.now() + after).await;
        self.check_alive()?;
        self.node.disk.entries(path)
    }

    pub(in crate::sim) async fn sync_dir(self: &Rc<Here>, path: &Path) -> io::Result<()> {
        self.check_alive()?;
        let (world, disk) = (&self.world, &self.node.disk);
        let directory = disk.find(path)?;
        let covered = disk.pending_names(directory)?;
        let failed = disk.faulty(|faults| faults.sync_error, |counts| &mut counts.sync_errors);
        let count = covered.len() as u64;
        world.trace.record(world.executor.now(), Event::SyncDir, directory as u64, count);
        let (sender, receiver) = crate::sync::oneshot();
        super::later(world, self, disk.duration(|faults| faults.sync), move |here| {
            let done = here.node.disk.settle_names(directory, &covered, failed);
            _ = sender.send(if failed { Err(os_error(libc::EIO)) } else { done });
        });
        self.outcome(receiver.await)
    }
}
