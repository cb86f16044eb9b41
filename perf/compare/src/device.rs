//! The bare device: io_uring on prewritten files, nothing else. What no engine can beat.
//!
//! Writes go in order through a file that was written before, with O_DSYNC, as a log does. Reads are at random places
//! of a file as large as the set that engines read from.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use io_uring::{IoUring, opcode, types};

use crate::keys::Dice;
use crate::outcome::{Outcome, Times, names};
use crate::workload::{LOAD_BATCH, SCAN_ENTRIES, Step, Task};

const BLOCK: usize = 4096;
/// Bytes of the file that is written to, larger than what a drive's cache answers for at this pace.
const WRITE_FILE_BYTES: u64 = 128 << 20;
/// Reads of a restart.
const REPLAY_READ_BYTES: usize = 256 << 10;
/// Writes in flight of an engine's log.
const WRITES_IN_FLIGHT: usize = 4;

/// One kind of access.
struct Access {
    write: bool,
    random: bool,
    bytes: usize,
    depth: usize,
    file_bytes: u64,
}

/// Does a step as the device would alone.
pub fn run(step: &Step) -> anyhow::Result<Outcome> {
    let sizes = &step.sizes;
    let set_bytes = (sizes.set_keys * sizes.entry_bytes()).next_multiple_of(1 << 20);
    let blocks = |bytes: u64| bytes.next_multiple_of(BLOCK as u64) as usize;
    let write =
        |bytes, depth| Access { write: true, random: false, bytes, depth, file_bytes: WRITE_FILE_BYTES };
    let read = |bytes, depth| Access { write: false, random: true, bytes, depth, file_bytes: set_bytes };
    let access = match step.task {
        // A put alone is one block.
        Task::Puts { writers: 1 } => write(BLOCK, 1),
        // Many share as many writes as are in flight.
        Task::Puts { writers } => {
            write(blocks((writers / WRITES_IN_FLIGHT) as u64 * sizes.entry_bytes()), WRITES_IN_FLIGHT)
        }
        Task::GetUncached => read(BLOCK, sizes.gets_in_flight),
        Task::Scan => read(blocks(SCAN_ENTRIES as u64 * sizes.entry_bytes()), sizes.scans_in_flight),
        Task::Load => write(blocks(LOAD_BATCH * sizes.entry_bytes()), WRITES_IN_FLIGHT),
        Task::Reopen => Access {
            write: false,
            random: false,
            bytes: REPLAY_READ_BYTES,
            depth: WRITES_IN_FLIGHT,
            file_bytes: sizes.restart_log_bytes.next_multiple_of(1 << 20),
        },
        _ => bail!("the device alone cannot do {:?}", step.task),
    };
    let duration = Duration::from_secs_f64(sizes.seconds);
    let path = step.dir.join("device");
    prewrite(&path, access.file_bytes)?;
    let (times, elapsed) = measure(&path, &access, duration)?;
    let outcome = times.outcome(elapsed);
    let per_second = outcome.get(names::PER_SECOND).expect("times have a rate");
    Ok(match step.task {
        Task::Puts { writers } if writers > 1 => {
            outcome.with(names::PER_SECOND, per_second * (writers / WRITES_IN_FLIGHT) as f64)
        }
        Task::Load => {
            let bytes = (2 * sizes.load_keys * sizes.entry_bytes()) as f64;
            let seconds = bytes / (per_second * access.bytes as f64) / 2.0;
            outcome.with(names::LOAD_SECONDS, seconds).with(names::OVERWRITE_SECONDS, seconds)
        }
        Task::Reopen => outcome.with(names::LOG_BYTES_PER_SECOND, per_second * access.bytes as f64),
        _ => outcome,
    })
}

/// A file whose blocks were all written: an access changes no metadata.
fn prewrite(path: &Path, size: u64) -> anyhow::Result<()> {
    let file = open(path, OpenOptions::new().write(true).create(true).truncate(true), 0)?;
    let mut piece = Aligned::new(1 << 20);
    piece.bytes().fill(0xA5);
    for offset in (0..size).step_by(1 << 20) {
        file.write_all_at(piece.bytes(), offset)?;
    }
    Ok(file.sync_all()?)
}

fn open(path: &Path, options: &mut OpenOptions, flags: i32) -> anyhow::Result<File> {
    let file = options.custom_flags(libc::O_DIRECT | flags).open(path);
    file.with_context(|| format!("{} with direct I/O", path.display()))
}

/// Keeps `depth` accesses in flight for `duration`.
fn measure(path: &Path, access: &Access, duration: Duration) -> anyhow::Result<(Times, Duration)> {
    let file = if access.write {
        open(path, OpenOptions::new().write(true), libc::O_DSYNC)?
    } else {
        open(path, OpenOptions::new().read(true), 0)?
    };
    let mut ring = IoUring::new(access.depth.next_power_of_two() as u32)?;
    let mut buffers: Vec<Aligned> = (0..access.depth).map(|_| Aligned::new(access.bytes)).collect();
    let mut sent = vec![Instant::now(); access.depth];
    let mut places = Places::new(access);
    let mut times = Times::default();
    let began = Instant::now();
    let mut idle: Vec<usize> = (0..access.depth).collect();
    let mut in_flight = 0;
    loop {
        let over = began.elapsed() >= duration;
        if over && in_flight == 0 {
            return Ok((times, began.elapsed()));
        }
        while let Some(slot) = idle.pop_if(|_| !over) {
            let (fd, pointer) = (types::Fd(file.as_raw_fd()), buffers[slot].pointer);
            let (size, offset) = (access.bytes as u32, places.next());
            let entry = if access.write {
                opcode::Write::new(fd, pointer, size).offset(offset).build()
            } else {
                opcode::Read::new(fd, pointer, size).offset(offset).build()
            };
            sent[slot] = Instant::now();
            // SAFETY: buffer and file outlive the access: this function returns only when none is in flight, or with
            // an error, after which the process ends.
            unsafe { ring.submission().push(&entry.user_data(slot as u64)) }.expect("a slot for each access");
            in_flight += 1;
        }
        ring.submit_and_wait(1)?;
        for done in ring.completion() {
            ensure!(
                done.result() == access.bytes as i32,
                "an access of {} bytes gave {}",
                access.bytes,
                done.result()
            );
            let slot = done.user_data() as usize;
            times.record(sent[slot].elapsed());
            idle.push(slot);
            in_flight -= 1;
        }
        if over {
            idle.clear();
        }
        buffers.first_mut().expect("at least one").touch();
    }
}

/// Where the next access goes.
struct Places {
    dice: Dice,
    random: bool,
    step: u64,
    count: u64,
    next: u64,
}

impl Places {
    fn new(access: &Access) -> Places {
        let step = if access.random { BLOCK as u64 } else { access.bytes as u64 };
        let count = (access.file_bytes - access.bytes as u64) / step + 1;
        Places { dice: Dice::new(0), random: access.random, step, count, next: 0 }
    }

    fn next(&mut self) -> u64 {
        self.next = if self.random { self.dice.below(self.count) } else { (self.next + 1) % self.count };
        self.next * self.step
    }
}

/// Memory for direct I/O.
struct Aligned {
    pointer: *mut u8,
    layout: Layout,
}

impl Aligned {
    fn new(size: usize) -> Aligned {
        let layout = Layout::from_size_align(size, BLOCK).expect("a size that fits");
        assert!(size > 0);
        // SAFETY: the layout is not empty.
        let pointer = unsafe { alloc_zeroed(layout) };
        assert!(!pointer.is_null(), "out of memory");
        Aligned { pointer, layout }
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: it was allocated with this size and initialised, and is borrowed like its owner.
        unsafe { std::slice::from_raw_parts_mut(self.pointer, self.layout.size()) }
    }

    /// The kernel may have written here.
    fn touch(&mut self) {
        std::hint::black_box(self.pointer);
    }
}

impl Drop for Aligned {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, freed once.
        unsafe { dealloc(self.pointer, self.layout) };
    }
}
