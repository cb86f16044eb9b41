//! Real hardware.

use std::path::PathBuf;

/// What the process runs on.
#[derive(Clone, Debug)]
pub struct RealOptions {
    /// OS ids of the cpus to use: one executor each, core ids in this order. Repeats are allowed.
    pub cores: Vec<usize>,
    /// Where the data will be; must exist and be writable. Probed before `main` runs.
    pub data_dir: PathBuf,
    /// Packets that one core's mailbox holds before senders wait.
    pub mailbox_packets_max: usize,
}
