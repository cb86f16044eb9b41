//! A disk that forgets: what was not made durable meets its fate in a crash.
//!
//! Everything exists twice: `live` is what the running node sees, `durable` is what a crash certainly leaves. Between
//! the two lie pending changes. Pending are:
//!
//! - writes: until `sync` of the file. A `dsync` write is durable when it completes; until then it is pending too.
//! - sizes and allocation: until `sync` of the file or a completed `dsync` write to it.
//! - names: until `sync_dir` of their directory.
//!
//! A crash decides each pending change by itself: lost, kept, or (writes) torn in sectors of 512 bytes. A renamed file
//! may so be found under its old name, its new one, and, if two directories took part, under both or none.
//!
//! The order of writes to the same block is kept, as devices do: a durable write also takes older pending writes of
//! its blocks out of the lottery.

mod content;
mod file;
mod handle;
mod names;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use super::options::{Chance, DiskFaults, FaultCounts, Span};
use super::random::Stream;
use super::trace::{Event, Trace};
use super::world::Inner;
use content::FileData;
pub use file::{SimBuffer, SimBytes, SimFile};
pub use handle::DiskHandle;
use names::Directory;

/// What tears: the unit that a device writes as a whole.
const SECTOR_BYTES: usize = 512;

/// An index into the table of files and directories.
pub(super) type InodeId = usize;

const ROOT: InodeId = 0;

enum Inode {
    File(FileData),
    Directory(Directory),
    /// Nothing refers to it any more.
    Gone,
}

pub(super) struct Disk {
    inodes: RefCell<Vec<Inode>>,
    faults: RefCell<DiskFaults>,
    counts: RefCell<FaultCounts>,
    /// Bytes of blocks that live files hold.
    bytes_used: Cell<u64>,
    /// Numbers the pending changes of the whole disk.
    changes: Cell<u64>,
    latency: RefCell<Stream>,
    fault: RefCell<Stream>,
    fate: RefCell<Stream>,
}

fn os_error(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

impl Disk {
    pub fn new(seed: u64, owner: u64, faults: DiskFaults) -> Disk {
        let stream = |name| RefCell::new(Stream::new(seed, name, owner));
        Disk {
            inodes: RefCell::new(vec![Inode::Directory(Directory::default())]),
            faults: RefCell::new(faults),
            counts: RefCell::default(),
            bytes_used: Cell::new(0),
            changes: Cell::new(0),
            latency: stream("disk latency"),
            fault: stream("disk fault"),
            fate: stream("disk fate"),
        }
    }

    pub fn bytes_free(&self) -> u64 {
        self.faults.borrow().bytes_max.saturating_sub(self.bytes_used.get())
    }

    fn next_change(&self) -> u64 {
        self.changes.set(self.changes.get() + 1);
        self.changes.get()
    }

    /// How long an operation takes from now.
    fn duration(&self, span: impl Fn(&DiskFaults) -> Span) -> u64 {
        let faults = self.faults.borrow();
        let mut latency = self.latency.borrow_mut();
        let ordinary = latency.nanos(span(&faults));
        let stall = latency.nanos(faults.stall_time);
        if latency.happens(faults.stall) {
            self.count(|counts| &mut counts.stalls);
            ordinary + stall
        } else {
            ordinary
        }
    }

    /// Draws whether a fault happens now, and counts it.
    fn faulty(
        &self,
        chance: impl Fn(&DiskFaults) -> Chance,
        kind: impl FnOnce(&mut FaultCounts) -> &mut u64,
    ) -> bool {
        let chance = chance(&self.faults.borrow());
        let happens = self.fault.borrow_mut().happens(chance);
        if happens {
            self.count(kind);
        }
        happens
    }

    fn count(&self, kind: impl FnOnce(&mut FaultCounts) -> &mut u64) {
        *kind(&mut self.counts.borrow_mut()) += 1;
    }

    fn draw_below(&self, bound: u64) -> u64 {
        self.fault.borrow_mut().below(bound)
    }

    fn with_file<T>(&self, inode: InodeId, work: impl FnOnce(&mut FileData) -> T) -> T {
        match &mut self.inodes.borrow_mut()[inode] {
            Inode::File(file) => work(file),
            _ => panic!("inode {inode} is a file as long as somebody refers to it"),
        }
    }

    /// Accounts for blocks that a live file gained or lost.
    fn account(&self, before: u64, after: u64) {
        let used = self.bytes_used.get() + after;
        self.bytes_used.set(used.checked_sub(before).expect("a file gives back only what it held"));
    }

    /// Every pending change meets its fate; then what is durable is what there is.
    pub fn crash(&self, trace: &Trace, now: u64) {
        let faults = self.faults.borrow().clone();
        let mut counts = self.counts.borrow_mut();
        counts.crashes += 1;
        let mut fate = self.fate.borrow_mut();
        let mut inodes = self.inodes.borrow_mut();
        for (id, inode) in inodes.iter_mut().enumerate() {
            let (pending, kept) = match inode {
                Inode::File(file) => file.crash(&mut fate, &faults, &mut counts),
                Inode::Directory(directory) => {
                    let (pending, kept) = directory.crash(&mut fate, &faults);
                    counts.crash_names_lost += pending - kept;
                    (pending, kept)
                }
                Inode::Gone => continue,
            };
            if pending > 0 {
                trace.record(now, Event::CrashFate, id as u64, (pending << 32) | kept);
                trace.remark(format_args!("inode {id}: {kept} of {pending} pending changes kept"));
            }
        }
        sweep(&mut inodes);
        let held = inodes.iter().map(|inode| match inode {
            Inode::File(file) => file.live.bytes_held(),
            _ => 0,
        });
        self.bytes_used.set(held.sum());
    }

    /// Draws a fate in the course of a failed operation.
    fn decide(&self, chance: Chance) -> bool {
        self.fate.borrow_mut().happens(chance)
    }
}

/// After a crash: what the durable names do not reach is gone.
fn sweep(inodes: &mut [Inode]) {
    let mut reached = vec![false; inodes.len()];
    let mut next = vec![ROOT];
    while let Some(id) = next.pop() {
        if std::mem::replace(&mut reached[id], true) {
            continue;
        }
        if let Inode::Directory(directory) = &inodes[id] {
            next.extend(directory.live.values());
        }
    }
    for (inode, _) in inodes.iter_mut().zip(&reached).filter(|(_, reached)| !**reached) {
        *inode = Inode::Gone;
    }
    count_links(inodes);
}

/// A file may have several names after a crash between the two halves of a move to another directory.
fn count_links(inodes: &mut [Inode]) {
    let mut links = vec![0; inodes.len()];
    for inode in inodes.iter() {
        if let Inode::Directory(directory) = inode {
            directory.live.values().for_each(|id| links[*id] += 1);
        }
    }
    for (inode, links) in inodes.iter_mut().zip(links) {
        if let Inode::File(file) = inode {
            file.links = links;
        }
    }
}

/// What a later instant does to the disk, unless the node has crashed by then.
fn later(
    world: &Rc<Inner>,
    here: &Rc<super::runtime::Here>,
    after: u64,
    work: impl FnOnce(&Rc<super::runtime::Here>) + 'static,
) {
    let here = here.clone();
    let run = move |_: &Rc<Inner>| {
        if here.is_alive() {
            work(&here);
        }
    };
    world.executor.schedule(world.executor.now() + after, super::executor::Action::Run(Box::new(run)));
}
