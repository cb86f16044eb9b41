//! fjall: no direct I/O and no group commit, so each durable put is a write into the page cache and an fdatasync.

use std::path::Path;
use std::time::{Duration, Instant};

use fjall::config::{
    BlockSizePolicy, BloomConstructionPolicy, CompressionPolicy, FilterPolicy, FilterPolicyEntry,
};
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::Peer;
use crate::keys::{Entries, Key};
use crate::settings::{BLOCK_BYTES, FILTER_BITS, LEVEL0_TABLES, Settings};

/// For the report.
pub const DESCRIBED: &str = "PersistMode::SyncData after each put (batches carry it with them), buffered I/O: it has no direct I/O, so while reads \
     are measured its files are dropped from the page cache ten times a second (posix_fadvise), and what is read twice in \
     between is not read from the device; 10-bit Bloom filters, no compression, 2 background threads, one thread per writer; all \
     of its threads share the one cpu";

/// Background work that has not moved for so long has come to rest.
const REST: Duration = Duration::from_millis(300);

/// An open database with one keyspace.
pub struct Fjall {
    db: Database,
    keyspace: Keyspace,
}

impl Fjall {
    /// Opens or creates the database in `dir`.
    pub fn open(dir: &Path, settings: &Settings) -> anyhow::Result<Fjall> {
        // Its smallest is 64 MiB.
        let journal_bytes = (4 * settings.memtable_bytes as u64).max(512 << 20);
        let db = Database::builder(dir)
            .cache_size(settings.cache_bytes as u64)
            .journal_compression(CompressionType::None)
            .max_journaling_size(journal_bytes)
            .worker_threads(2)
            .open()?;
        let keyspace = db.keyspace("compare", || options(settings))?;
        Ok(Fjall { db, keyspace })
    }
}

fn options(settings: &Settings) -> KeyspaceCreateOptions {
    let filter = FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(FILTER_BITS as f32));
    let leveled = fjall::compaction::Leveled::default()
        .with_l0_threshold(LEVEL0_TABLES as u8)
        .with_table_target_size(settings.table_bytes);
    KeyspaceCreateOptions::default()
        .max_memtable_size(settings.memtable_bytes as u64)
        .data_block_size_policy(BlockSizePolicy::all(BLOCK_BYTES as u32))
        .data_block_compression_policy(CompressionPolicy::all(CompressionType::None))
        .filter_policy(FilterPolicy::all(filter))
        .compaction_strategy(std::sync::Arc::new(leveled))
}

impl Peer for Fjall {
    fn put(&self, key: &Key, value: &[u8]) {
        self.keyspace.insert(key, value).expect("fjall puts");
        self.db.persist(PersistMode::SyncData).expect("fjall syncs");
    }

    fn put_many(&self, entries: &Entries, durable: bool) {
        let mut batch = self.db.batch().durability(durable.then_some(PersistMode::SyncData));
        for (key, value) in entries.iter() {
            batch.insert(&self.keyspace, key.as_slice(), value);
        }
        batch.commit().expect("fjall writes");
    }

    fn get(&self, key: &Key, found: &mut dyn FnMut(&[u8])) -> bool {
        let value = self.keyspace.get(key).expect("fjall gets");
        value.inspect(|value| found(value)).is_some()
    }

    fn scan(&self, from: &Key, count: usize, each: &mut dyn FnMut(&[u8])) -> usize {
        let mut seen = 0;
        for entry in self.keyspace.range(from.as_slice()..).take(count) {
            let (_, value) = entry.into_inner().expect("fjall scans");
            each(&value);
            seen += 1;
        }
        seen
    }

    fn sync(&self) {
        self.db.persist(PersistMode::SyncData).expect("fjall syncs");
    }

    fn settle(&self) {
        self.keyspace.rotate_memtable_and_wait().expect("fjall flushes");
        let mut still_since = Instant::now();
        let mut done = self.db.compactions_completed();
        while still_since.elapsed() < REST {
            std::thread::sleep(Duration::from_millis(10));
            let now = self.db.compactions_completed();
            if now != done || self.db.active_compactions() > 0 || self.db.outstanding_flushes() > 0 {
                (still_since, done) = (Instant::now(), now);
            }
        }
    }
}
