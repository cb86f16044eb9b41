//! Rings of io_uring: made to see what they can do, and to time a device without an executor in between.
//!
//! The one invariant: memory that was named in a submission stays where it is until its completion was seen. [`Transfers`] owns the
//! buffers and counts what is in flight; if it is dropped while something is, by an error or a panic, its buffers are leaked.

#![expect(unsafe_code, reason = "a submission names memory that the kernel reads and writes later")]

use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use io_uring::{IoUring, Probe, opcode, types};

/// Blocks of direct I/O; every size is a multiple of it.
pub(crate) const BLOCK_BYTES: usize = 4096;

/// What io_uring can do here, as lines: see `facts::ring`.
pub(crate) fn describe() -> String {
    let ring = match IoUring::new(4) {
        Ok(ring) => ring,
        Err(error) => return format!("refused {error}\n"),
    };
    let about = ring.params();
    let features = [
        ("nodrop", about.is_feature_nodrop()),
        ("submit-stable", about.is_feature_submit_stable()),
        ("fast-poll", about.is_feature_fast_poll()),
        ("sqpoll-nonfixed", about.is_feature_sqpoll_nonfixed()),
        ("ext-arg", about.is_feature_ext_arg()),
        ("native-workers", about.is_feature_native_workers()),
        ("resource-tagging", about.is_feature_resource_tagging()),
        ("cqe-skip", about.is_feature_skip_cqe_on_success()),
        ("linked-file", about.is_feature_linked_file()),
        ("recvsend-bundle", about.is_feature_recvsend_bundle()),
        ("min-timeout", about.is_feature_min_timeout()),
    ];
    let features: Vec<&str> = features.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect();
    let mut text = format!("features {}\nsetups {}\n", features.join(" "), setups().join(" "));
    if let Some(missing) = missing_operations(&ring) {
        text.push_str(&format!("missing {}\n", missing.join(" ")));
    }
    text
}

fn setups() -> Vec<&'static str> {
    type Make = fn() -> io::Result<IoUring>;
    let kinds: [(&str, Make); 5] = [
        ("iopoll", || IoUring::builder().setup_iopoll().build(4)),
        ("sqpoll", || IoUring::builder().setup_sqpoll(10).build(4)),
        ("coop-taskrun", || IoUring::builder().setup_coop_taskrun().build(4)),
        ("single-issuer", || IoUring::builder().setup_single_issuer().build(4)),
        ("defer-taskrun", || IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(4)),
    ];
    kinds.iter().filter(|(_, make)| make().is_ok()).map(|(name, _)| *name).collect()
}

/// Of the operations that the executor insists on, those that the kernel does not know; none where it does not say.
fn missing_operations(ring: &IoUring) -> Option<Vec<&'static str>> {
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).ok()?;
    let wanted = [
        ("readv", opcode::Readv::CODE),
        ("writev", opcode::Writev::CODE),
        ("fsync", opcode::Fsync::CODE),
        ("read-fixed", opcode::ReadFixed::CODE),
        ("write-fixed", opcode::WriteFixed::CODE),
        ("poll-add", opcode::PollAdd::CODE),
        ("poll-remove", opcode::PollRemove::CODE),
        ("sendmsg", opcode::SendMsg::CODE),
        ("recvmsg", opcode::RecvMsg::CODE),
        ("timeout", opcode::Timeout::CODE),
        ("timeout-remove", opcode::TimeoutRemove::CODE),
        ("accept", opcode::Accept::CODE),
        ("link-timeout", opcode::LinkTimeout::CODE),
        ("connect", opcode::Connect::CODE),
        ("fallocate", opcode::Fallocate::CODE),
        ("openat", opcode::OpenAt::CODE),
        ("close", opcode::Close::CODE),
        ("statx", opcode::Statx::CODE),
        ("read", opcode::Read::CODE),
        ("write", opcode::Write::CODE),
        ("send", opcode::Send::CODE),
        ("recv", opcode::Recv::CODE),
    ];
    Some(wanted.iter().filter(|(_, code)| !probe.is_supported(*code)).map(|(name, _)| *name).collect())
}

/// Times round trips of an operation that does nothing, for `duration`.
pub(crate) fn nops(duration: Duration, times: &mut Histogram<u64>) -> io::Result<()> {
    let mut ring = IoUring::new(4)?;
    let until = Instant::now() + duration;
    // One at least, however long the host did not let us.
    loop {
        let begin = Instant::now();
        // SAFETY: the operation names no memory.
        let pushed = unsafe { ring.submission().push(&opcode::Nop::new().build()) };
        pushed.map_err(io::Error::other)?;
        ring.submit_and_wait(1)?;
        assert_eq!(ring.completion().count(), 1, "one operation was sent and waited for");
        times.saturating_record(begin.elapsed().as_nanos() as u64);
        if Instant::now() >= until {
            return Ok(());
        }
    }
}

/// Reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
}

#[repr(C, align(4096))]
#[derive(Clone)]
struct Block([u8; BLOCK_BYTES]);

/// Transfers of one size, so many in flight, in one file.
pub(crate) struct Transfers<'f> {
    ring: IoUring,
    file: &'f std::fs::File,
    size: usize,
    buffers: Vec<Vec<Block>>,
    in_flight: usize,
}

impl<'f> Transfers<'f> {
    /// In `file`, which is open for direct I/O.
    pub(crate) fn new(file: &'f std::fs::File, size: usize, depth: usize) -> io::Result<Transfers<'f>> {
        assert!(size.is_multiple_of(BLOCK_BYTES) && size > 0 && depth > 0);
        let ring = IoUring::new(depth.next_power_of_two() as u32)?;
        let buffers = (0..depth).map(|index| noise(size, index as u64 + 1)).collect();
        Ok(Transfers { ring, file, size, buffers, in_flight: 0 })
    }

    /// Keeps all buffers in flight for `duration`; what is on its way then is waited for. `next` says where each transfer goes. Every
    /// latency, in nanoseconds, goes into `times`.
    pub(crate) fn run(
        &mut self,
        kind: Kind,
        duration: Duration,
        next: &mut dyn FnMut() -> u64,
        times: &mut Histogram<u64>,
    ) -> io::Result<()> {
        assert_eq!(self.in_flight, 0);
        let until = Instant::now() + duration;
        let mut began = vec![Instant::now(); self.buffers.len()];
        let mut free: Vec<usize> = (0..self.buffers.len()).collect();
        loop {
            // One round at least, however long the host did not let us.
            while (Instant::now() < until || times.is_empty())
                && let Some(slot) = free.pop()
            {
                began[slot] = Instant::now();
                self.begin(kind, slot, next())?;
            }
            if self.in_flight == 0 {
                return Ok(());
            }
            match self.ring.submit_and_wait(1) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for completion in self.ring.completion() {
                self.in_flight -= 1;
                let slot = completion.user_data() as usize;
                times.saturating_record(began[slot].elapsed().as_nanos() as u64);
                free.push(slot);
                check(completion.result(), self.size)?;
            }
        }
    }

    fn begin(&mut self, kind: Kind, slot: usize, offset: u64) -> io::Result<()> {
        let file = types::Fd(self.file.as_raw_fd());
        let (memory, size) = (self.buffers[slot].as_mut_ptr().cast::<u8>(), self.size as u32);
        let entry = match kind {
            Kind::Read => opcode::Read::new(file, memory, size).offset(offset).build(),
            Kind::Write => opcode::Write::new(file, memory, size).offset(offset).build(),
        };
        // SAFETY: `memory` is `size` bytes of a buffer of this struct, which stays where it is until the completion was counted, as the
        // story of this module says; the slot is free, so nobody else has it.
        let pushed = unsafe { self.ring.submission().push(&entry.user_data(slot as u64)) };
        pushed.map_err(io::Error::other)?;
        self.in_flight += 1;
        Ok(())
    }
}

impl Drop for Transfers<'_> {
    fn drop(&mut self) {
        if self.in_flight > 0 {
            std::mem::forget(std::mem::take(&mut self.buffers));
        }
    }
}

fn check(result: i32, size: usize) -> io::Result<()> {
    match result {
        ..0 => Err(io::Error::from_raw_os_error(-result)),
        moved if moved as usize == size => Ok(()),
        moved => Err(io::Error::other(format!("{moved} of {size} bytes were moved"))),
    }
}

/// Bytes that no device can make smaller.
fn noise(size: usize, seed: u64) -> Vec<Block> {
    let mut random = Random::new(seed);
    let mut blocks = vec![Block([0; BLOCK_BYTES]); size / BLOCK_BYTES];
    for block in &mut blocks {
        for word in block.0.chunks_exact_mut(8) {
            word.copy_from_slice(&random.next().to_le_bytes());
        }
    }
    blocks
}

/// xorshift64*: places to read, and bytes to write.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}
