//! Real hardware: glommio, one pinned executor per core.
//!
//! ```text
//! run ── thread per core, pinned ── io_uring executor ── main(RealRuntime)
//!                                     ├── a task queue per Class, with its shares
//!                                     ├── direct files, sockets
//!                                     └── pump: woken by other cores' bells (mail, room, stop)
//! ```
//!
//! 1. [`run`] raises the limits of locked memory and open files, and on each core starts an executor, opens a non-empty file on the
//!    data device, writes and reads one block, and only then lets `main` begin, on all cores at once.
//! 2. A [`RealRuntime`] is one core's handle. Its futures live on that core; other cores reach it by mail only.
//! 3. When all `main`s have returned, `run` returns. [`Stopper`] asks them to.
//!
//! Why step 1 opens a file first: glommio decides whether a device can be polled by reading the first file that it
//! opens there. A new, empty file reads 0 bytes, which it takes for a yes; after that every real read fails with
//! EOPNOTSUPP and a write takes 4 ms. The probe at start catches the case that this happens in spite of it.
//!
//! Which glommio: 0.9.0 with one line mended (`vendor/README.md`); as it was released, an executor that is preempted before
//! its first task may fall asleep with tasks to run.
//!
//! Promises: a panic on any core stops the whole process at once, with a message, as a crash would; no half of a
//! process serves on. Leaves to others: which cores to use, who may use the data directory.

mod file;
mod handle;
mod mesh;
mod net;
mod probe;
mod start;
mod system;
mod ticks;

#[cfg(test)]
mod tests;

pub use file::RealFile;
pub(crate) use handle::list_now;
pub use handle::{RealRuntime, RealTask};
pub use mesh::Stopper;
pub use net::{RealListener, RealStream, check_port_free};
pub use probe::{Probe, probe};
pub use start::{RealOptions, StartError, run};
