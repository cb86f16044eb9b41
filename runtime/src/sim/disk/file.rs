//! Open files: reads, writes and syncs that take time, fail, and are cut short by crashes.

use std::io;
use std::ops::Deref;
use std::path::Path;
use std::rc::Rc;

use super::content::{Block, Change, FileData, Pending, Survived, survive};
use super::{Disk, InodeId, later, os_error};
use crate::sim::options::Chance;
use crate::sim::runtime::Here;
use crate::sim::trace::Event;
use crate::{BLOCK_BYTES, Buffer, File, OpenOptions};

/// An open file of a simulated disk.
#[derive(Clone)]
pub struct SimFile {
    open: Rc<Open>,
}

struct Open {
    here: Rc<Here>,
    inode: InodeId,
    options: OpenOptions,
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.here.is_alive() {
            self.here.node.disk.with_file(self.inode, |file| file.handles -= 1);
            self.here.node.disk.release_room(self.inode);
        }
    }
}

/// Memory to be written.
pub struct SimBuffer {
    bytes: Vec<u8>,
    /// Of these, the first so many belong to the buffer now.
    size: usize,
}

impl Buffer for SimBuffer {
    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.size]
    }

    fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.size]
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }

    fn set_size(&mut self, size: usize) {
        assert!(size.is_multiple_of(BLOCK_BYTES), "a buffer of {size} bytes is not whole blocks");
        assert!(size <= self.bytes.len(), "a buffer of {} bytes cannot have {size}", self.bytes.len());
        self.size = size;
    }
}

/// Bytes that were read.
#[derive(Clone)]
pub struct SimBytes {
    bytes: Rc<Vec<u8>>,
}

impl Deref for SimBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// What goes wrong with a write, drawn when it begins.
struct WriteFaults {
    error: bool,
    short: bool,
    lost: bool,
    misdirected: bool,
    rot: bool,
}

impl WriteFaults {
    fn draw(disk: &Disk) -> WriteFaults {
        WriteFaults {
            error: disk.faulty(|faults| faults.write_error, |counts| &mut counts.write_errors),
            short: disk.faulty(|faults| faults.short_write, |counts| &mut counts.short_writes),
            lost: disk.faulty(|faults| faults.lost_write, |counts| &mut counts.lost_writes),
            misdirected: disk
                .faulty(|faults| faults.misdirected_write, |counts| &mut counts.misdirected_writes),
            rot: disk.faulty(|faults| faults.rot_at_rest, |counts| &mut counts.rot_at_rest),
        }
    }
}

impl SimFile {
    pub(in crate::sim) async fn open(
        here: &Rc<Here>,
        path: &Path,
        options: OpenOptions,
    ) -> io::Result<SimFile> {
        assert!(options.write || !(options.create_new || options.dsync), "{options:?} of a file to be read");
        here.check_alive()?;
        let (world, disk) = (&here.world, &here.node.disk);
        let (sender, receiver) = crate::sync::oneshot();
        let path = path.to_owned();
        later(world, here, disk.duration(|faults| faults.other), move |here| {
            // Nobody waits: the file may be there, but no handle is.
            if let Err(Ok(unwanted)) = sender.send(SimFile::open_now(here, &path, options)) {
                drop(unwanted);
            }
        });
        here.outcome(receiver.await)
    }

    fn open_now(here: &Rc<Here>, path: &Path, options: OpenOptions) -> io::Result<SimFile> {
        let disk = &here.node.disk;
        let inode = if options.create_new { disk.create_file(path)? } else { disk.find(path)? };
        if matches!(disk.inodes.borrow()[inode], super::Inode::Directory(_)) {
            return Err(os_error(libc::EISDIR));
        }
        disk.with_file(inode, |file| file.handles += 1);
        here.world.trace.record(
            here.world.executor.now(),
            Event::Open,
            inode as u64,
            options.create_new.into(),
        );
        here.world.trace.remark(format_args!("inode {inode} is {}", path.display()));
        Ok(SimFile { open: Rc::new(Open { here: here.clone(), inode, options }) })
    }

    fn disk(&self) -> &Disk {
        &self.open.here.node.disk
    }

    fn trace(&self, event: Event, second: u64) {
        let world = &self.open.here.world;
        world.trace.record(world.executor.now(), event, self.open.inode as u64, second);
    }

    fn check_writable(&self) -> io::Result<()> {
        self.open.here.check_alive()?;
        if self.open.options.write { Ok(()) } else { Err(os_error(libc::EBADF)) }
    }

    /// Waits for as long as an operation takes.
    async fn take_time(&self, nanos: u64) -> io::Result<()> {
        let world = &self.open.here.world;
        world.wait_until(world.executor.now() + nanos).await;
        self.open.here.check_alive()
    }

    /// Room for `added` more blocks, if the disk has it. Room is taken when the change completes.
    fn check_room(&self, missing: u64) -> io::Result<()> {
        if missing * BLOCK_BYTES as u64 <= self.disk().bytes_free() {
            return Ok(());
        }
        self.trace(Event::Fault, libc::ENOSPC as u64);
        self.disk().count(|counts| &mut counts.full);
        Err(os_error(libc::ENOSPC))
    }

    /// Enters a write among the pending changes; it is in the lottery from here on.
    fn begin_write(&self, buffer: &SimBuffer, offset: u64, faults: &WriteFaults) -> io::Result<u64> {
        let disk = self.disk();
        let first = offset as usize / BLOCK_BYTES;
        let count = buffer.size / BLOCK_BYTES;
        let written = if faults.short { disk.draw_below(count as u64) as usize } else { count };
        let first = if faults.misdirected { self.misdirect(first) } else { first };
        self.check_room(disk.with_file(self.open.inode, |file| file.live.missing(first..first + written)))?;
        let blocks = buffer.as_slice().chunks_exact(BLOCK_BYTES).take(written).enumerate();
        let blocks = blocks
            .map(|(index, bytes)| {
                let block: &Block = bytes.try_into().expect("chunks are blocks");
                (first + index, Rc::new(*block))
            })
            .collect();
        let end = if written > 0 { ((first + written) * BLOCK_BYTES) as u64 } else { 0 };
        let id = disk.next_change();
        let change = Change::Write { blocks, end };
        disk.with_file(self.open.inode, |file| {
            file.pending.push(Pending { id, completed: false, change });
        });
        Ok(id)
    }

    /// Another place inside the file, where a misdirected write lands.
    fn misdirect(&self, first: usize) -> usize {
        let disk = self.disk();
        let size = disk.with_file(self.open.inode, |file| file.live.size);
        let blocks = (size / BLOCK_BYTES as u64).max(1);
        self.trace(Event::Fault, first as u64);
        disk.draw_below(blocks) as usize
    }

    fn end_write(&self, id: u64, faults: &WriteFaults) -> io::Result<()> {
        let (disk, inode) = (self.disk(), self.open.inode);
        self.trace(Event::Written, id);
        if faults.lost {
            self.trace(Event::Fault, id);
            disk.with_file(inode, |file| file.pending.retain(|pending| pending.id != id));
            return Ok(());
        }
        if faults.error {
            self.trace(Event::Fault, libc::EIO as u64);
            self.fail_write(id);
            return Err(os_error(libc::EIO));
        }
        let (before, after) = disk.with_file(inode, |file| {
            let before = file.live.bytes_held();
            file.complete_write(id, self.open.options.dsync);
            (before, file.live.bytes_held())
        });
        disk.account(before, after);
        if faults.rot {
            self.rot();
        }
        if faults.short {
            return Err(io::Error::from(io::ErrorKind::WriteZero));
        }
        Ok(())
    }

    /// A failed write leaves old, new or torn sectors, at once and for good.
    fn fail_write(&self, id: u64) {
        let disk = self.disk();
        let faults = disk.faults.borrow().clone();
        let (before, after) = disk.with_file(self.open.inode, |file| {
            let place = file.pending.iter().position(|pending| pending.id == id);
            let failed = file.pending.remove(place.expect("a write is pending until it ends"));
            let before = file.live.bytes_held();
            let mut fate = disk.fate.borrow_mut();
            if survive(&mut file.durable, &failed.change, &mut fate, &faults) != Survived::Nothing {
                file.show_durable(&failed.change);
            }
            (before, file.live.bytes_held())
        });
        disk.account(before, after);
    }

    fn rot(&self) {
        let disk = self.disk();
        let size = disk.with_file(self.open.inode, |file| file.live.size);
        let (offset, bit) = (disk.draw_below(size.max(1)), disk.draw_below(8) as u32);
        self.trace(Event::Fault, offset);
        disk.flip_bit(self.open.inode, offset, bit);
    }

    fn read_now(&self, offset: u64, size: usize) -> io::Result<SimBytes> {
        let disk = self.disk();
        let (error, rot) = (
            disk.faulty(|faults| faults.read_error, |counts| &mut counts.read_errors),
            disk.faulty(|faults| faults.rot_on_read, |counts| &mut counts.rot_on_read),
        );
        let mut bytes = disk.with_file(self.open.inode, |file| {
            let there =
                usize::try_from(file.live.size.saturating_sub(offset)).unwrap_or(usize::MAX).min(size);
            let blocks = offset as usize / BLOCK_BYTES..(offset as usize + there).div_ceil(BLOCK_BYTES);
            if error && !blocks.is_empty() {
                file.unreadable.insert(blocks.start);
            }
            if file.unreadable.range(blocks).next().is_some() {
                return Err(os_error(libc::EIO));
            }
            let mut bytes = Vec::with_capacity(there);
            file.live.read(offset, there, &mut bytes);
            Ok(bytes)
        })?;
        if rot && !bytes.is_empty() {
            let at = disk.draw_below(bytes.len() as u64) as usize;
            self.trace(Event::Fault, at as u64);
            bytes[at] ^= 1 << disk.draw_below(8);
        }
        Ok(SimBytes { bytes: Rc::new(bytes) })
    }

    async fn resize(&self, size: impl Fn(u64) -> u64 + 'static, reserve: bool) -> io::Result<()> {
        self.check_writable()?;
        let (sender, receiver) = crate::sync::oneshot();
        let file = self.clone();
        let after = self.disk().duration(|faults| faults.other);
        later(&self.open.here.world, &self.open.here, after, move |_| {
            _ = sender.send(file.resize_now(size, reserve));
        });
        self.open.here.outcome(receiver.await)
    }

    fn resize_now(&self, size: impl Fn(u64) -> u64, reserve: bool) -> io::Result<()> {
        let (disk, inode) = (self.disk(), self.open.inode);
        let (now, missing) = disk.with_file(inode, |file| {
            let size = size(file.live.size);
            (size, file.live.missing(0..(size as usize).div_ceil(BLOCK_BYTES)))
        });
        if reserve {
            self.check_room(missing)?;
        }
        self.trace(Event::Sync, now);
        let id = disk.next_change();
        let (before, after) = disk.with_file(inode, |file| {
            let before = file.live.bytes_held();
            file.resize(id, now, reserve);
            (before, file.live.bytes_held())
        });
        disk.account(before, after);
        Ok(())
    }
}

impl FileData {
    /// After a failed write the running node sees what the disk has, in the blocks of that write.
    fn show_durable(&mut self, change: &Change) {
        let Change::Write { blocks, .. } = change else { panic!("only writes fail halfway") };
        for (index, _) in blocks {
            if let Some(block) = self.durable.block(*index).cloned() {
                self.live.put(*index, block);
            }
        }
        self.live.size = self.live.size.max(self.durable.size);
    }
}

impl Disk {
    /// Damages a file for good, durable and live.
    pub(super) fn flip_bit(&self, inode: InodeId, offset: u64, bit: u32) {
        let (before, after) = self.with_file(inode, |file| {
            let before = file.live.bytes_held();
            file.live.flip_bit(offset, bit);
            if offset < file.durable.size {
                file.durable.flip_bit(offset, bit);
            }
            (before, file.live.bytes_held())
        });
        self.account(before, after);
    }
}

fn assert_aligned(what: &str, value: u64) {
    assert!(
        value.is_multiple_of(BLOCK_BYTES as u64),
        "direct I/O: {what} {value} is not a multiple of {BLOCK_BYTES}"
    );
}

impl File for SimFile {
    type Buffer = SimBuffer;
    type Bytes = SimBytes;

    fn buffer(&self, size: usize) -> SimBuffer {
        assert_aligned("buffer of", size as u64);
        // Not zeros: nobody may rely on what a new buffer holds.
        SimBuffer { bytes: vec![0xA5; size], size }
    }

    async fn write_at(&self, buffer: Rc<SimBuffer>, offset: u64) -> io::Result<()> {
        assert_aligned("offset", offset);
        assert!(buffer.size > 0, "a write of nothing");
        self.check_writable()?;
        self.trace(Event::Write, (offset << 16) ^ buffer.size as u64);
        let disk = self.disk();
        let faults = WriteFaults::draw(disk);
        let after = disk.duration(|faults| faults.write);
        let id = self.begin_write(&buffer, offset, &faults)?;
        let (sender, receiver) = crate::sync::oneshot();
        let file = self.clone();
        later(&self.open.here.world, &self.open.here, after, move |_| {
            let done = file.end_write(id, &faults);
            drop(buffer);
            _ = sender.send(done);
        });
        self.open.here.outcome(receiver.await)
    }

    async fn read_at(&self, offset: u64, size: usize) -> io::Result<SimBytes> {
        assert_aligned("offset", offset);
        assert_aligned("read of", size as u64);
        self.open.here.check_alive()?;
        self.trace(Event::Read, (offset << 16) ^ size as u64);
        self.take_time(self.disk().duration(|faults| faults.read)).await?;
        self.read_now(offset, size)
    }

    async fn sync(&self) -> io::Result<()> {
        self.check_writable()?;
        let (disk, inode) = (self.disk(), self.open.inode);
        let covered = disk.with_file(inode, |file| file.completed());
        self.trace(Event::Sync, covered.len() as u64);
        let failed = disk.faulty(|faults| faults.sync_error, |counts| &mut counts.sync_errors);
        let (sender, receiver) = crate::sync::oneshot();
        later(&self.open.here.world, &self.open.here, disk.duration(|faults| faults.sync), move |here| {
            let disk = &here.node.disk;
            let keep = if failed { disk.faults.borrow().crash_keeps } else { Chance::ALWAYS };
            disk.with_file(inode, |file| file.settle(&covered, || disk.decide(keep)));
            _ = sender.send(if failed { Err(os_error(libc::EIO)) } else { Ok(()) });
        });
        self.open.here.outcome(receiver.await)
    }

    async fn allocate(&self, size: u64) -> io::Result<()> {
        self.resize(move |now| now.max(size), true).await
    }

    async fn truncate(&self, size: u64) -> io::Result<()> {
        self.resize(move |_| size, false).await
    }

    async fn size(&self) -> io::Result<u64> {
        self.open.here.check_alive()?;
        Ok(self.disk().with_file(self.open.inode, |file| file.live.size))
    }
}
