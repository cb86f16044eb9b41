//! Who is compared.

use serde::{Deserialize, Serialize};

/// An engine, or the device itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Contender {
    /// Raw io_uring on prewritten files: what the hardware allows.
    Device,
    /// This project's log and tree.
    Torc,
    /// RocksDB.
    RocksDb,
    /// fjall.
    Fjall,
}

impl Contender {
    /// Those that keep data.
    pub const ENGINES: [Contender; 3] = [Contender::Torc, Contender::RocksDb, Contender::Fjall];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Contender::Device => "device",
            Contender::Torc => "torc",
            Contender::RocksDb => "RocksDB",
            Contender::Fjall => "fjall",
        }
    }

    /// For the command line and directories.
    pub fn key(self) -> String {
        self.name().to_lowercase()
    }
}
