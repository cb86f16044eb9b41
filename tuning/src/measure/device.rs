//! The device of the data directory: direct reads and durable direct writes, through a ring, by size and depth.
//!
//! 1. A file is written once, so that a write into it later changes no metadata: torc's log does the same. It loses its name before
//!    anything is measured.
//! 2. Writes go on in order, with O_DSYNC, as a log does it. Reads go to random places, as a tree does it.
//! 3. Each point is a size and a depth; all have the same time.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Latency, histogram};
use crate::ring::{BLOCK_BYTES, Kind, Random, Transfers};

/// The file is written in such pieces, and is a multiple of the largest transfer.
const PIECE_BYTES: usize = 1 << 20;

/// No file system takes longer than this to lay the file out: what is there by then is used.
const LAYING_OUT_MAX: Duration = Duration::from_secs(2);

/// What is measured.
#[derive(Clone, Debug)]
pub struct DeviceOptions {
    /// Time for each point.
    pub each: Duration,
    /// Bytes of the file, at most.
    pub file_bytes: u64,
    /// Size and depth of each point, for writes and for reads alike.
    pub points: Vec<(usize, usize)>,
}

impl DeviceOptions {
    /// A few points, for a look.
    pub fn check(each: Duration) -> DeviceOptions {
        let points = vec![(4 << 10, 1), (4 << 10, 4), (4 << 10, 16), (64 << 10, 4), (256 << 10, 4)];
        DeviceOptions { each, file_bytes: 32 << 20, points }
    }

    /// The grid of a profile.
    pub fn profile(each: Duration) -> DeviceOptions {
        let small = [1, 2, 4, 8, 16, 32, 64].map(|depth| (4 << 10, depth));
        let larger = [16 << 10, 64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20];
        let larger = larger.iter().flat_map(|size| [1, 2, 4, 8].map(|depth| (*size, depth)));
        DeviceOptions { each, file_bytes: 256 << 20, points: small.into_iter().chain(larger).collect() }
    }
}

/// What moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferKind {
    /// Direct, from random places.
    Read,
    /// Direct and durable, in order.
    Write,
}

/// One point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Transfer {
    /// What moved.
    pub kind: TransferKind,
    /// Bytes of each.
    pub size: usize,
    /// How many were in flight.
    pub depth: usize,
    /// How many ended in a second.
    pub per_second: f64,
    /// How long each took.
    pub latency: Latency,
}

impl Transfer {
    /// Bytes that moved in a second.
    pub fn bytes_per_second(&self) -> f64 {
        self.per_second * self.size as f64
    }
}

/// All points.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Device {
    /// Bytes of the file that it was measured in.
    pub file_bytes: u64,
    /// The points.
    pub transfers: Vec<Transfer>,
}

impl Device {
    /// The point of this kind, size and depth.
    pub fn at(&self, kind: TransferKind, size: usize, depth: usize) -> Option<&Transfer> {
        self.transfers.iter().find(|found| (found.kind, found.size, found.depth) == (kind, size, depth))
    }
}

/// Measures all points in `dir`, which must exist. `progress` is told what comes next, and how far it is, from 0 to 1.
pub fn measure(
    dir: &Path,
    options: &DeviceOptions,
    progress: &mut dyn FnMut(&str, f64),
) -> io::Result<Device> {
    progress("laying out a file", 0.0);
    let (file, file_bytes) = lay_out(dir, options.file_bytes)?;
    let mut transfers = Vec::new();
    let points: Vec<_> = [TransferKind::Write, TransferKind::Read]
        .into_iter()
        .flat_map(|kind| options.points.iter().map(move |(size, depth)| (kind, *size, *depth)))
        .collect();
    for (index, (kind, size, depth)) in points.iter().copied().enumerate() {
        let word = if kind == TransferKind::Write { "durable writes" } else { "reads" };
        progress(
            &format!("{word} of {} KiB, {depth} in flight", size >> 10),
            index as f64 / points.len() as f64,
        );
        transfers.push(point(&file, file_bytes, options.each, (kind, size, depth))?);
    }
    Ok(Device { file_bytes, transfers })
}

fn point(
    file: &File,
    file_bytes: u64,
    each: Duration,
    point: (TransferKind, usize, usize),
) -> io::Result<Transfer> {
    let (kind, size, depth) = point;
    let (slots, mut turn, mut random) =
        (file_bytes / size as u64, 0, Random::new(size as u64 + depth as u64));
    let mut next = || {
        turn += 1;
        let slot = if kind == TransferKind::Write { turn } else { random.next() };
        slot % slots * size as u64
    };
    let mut times = histogram();
    let begin = Instant::now();
    let kind_of_ring = if kind == TransferKind::Write { Kind::Write } else { Kind::Read };
    Transfers::new(file, size, depth)?.run(kind_of_ring, each, &mut next, &mut times)?;
    let seconds = begin.elapsed().as_secs_f64();
    let latency = Latency::of(&times).map_err(io::Error::other)?;
    Ok(Transfer { kind, size, depth, per_second: times.len() as f64 / seconds, latency })
}

/// A file without a name, written once from end to end; and its size.
fn lay_out(dir: &Path, bytes_max: u64) -> io::Result<(File, u64)> {
    let path = dir.join(format!(".torc-tune-{}", std::process::id()));
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", dir.display()));
    let mut plain = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(named)?;
    let direct =
        OpenOptions::new().read(true).write(true).custom_flags(libc::O_DIRECT | libc::O_DSYNC).open(&path);
    // Whatever comes now, nothing is left behind.
    std::fs::remove_file(&path)?;
    let direct = direct.map_err(|error| match error.raw_os_error() {
        Some(libc::EINVAL) => io::Error::other("the file system does no direct I/O"),
        _ => named(error),
    })?;
    let mut random = Random::new(7);
    let piece: Vec<u8> = (0..PIECE_BYTES / 8).flat_map(|_| random.next().to_le_bytes()).collect();
    let (begin, mut bytes) = (Instant::now(), 0u64);
    while bytes < bytes_max && (bytes == 0 || begin.elapsed() < LAYING_OUT_MAX) {
        plain.write_all(&piece).map_err(named)?;
        plain.sync_data().map_err(named)?;
        bytes += piece.len() as u64;
    }
    plain.sync_all()?;
    assert!(bytes >= PIECE_BYTES as u64 && PIECE_BYTES.is_multiple_of(BLOCK_BYTES));
    Ok((direct, bytes))
}
