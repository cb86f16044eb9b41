//! RocksDB, set up as its tuning guide advises for direct I/O.

use std::path::Path;

use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, Options, ReadOptions, WaitForCompactOptions, WriteBatch,
    WriteOptions,
};

use super::Peer;
use crate::keys::{Entries, Key};
use crate::settings::{BLOCK_BYTES, FILTER_BITS, LEVEL_FACTOR, LEVEL0_TABLES, MEMTABLES_MAX, Settings};

/// For the report.
pub const DESCRIBED: &str = "WAL with sync=true (fdatasync), WAL files recycled (recycle_log_file_num 4), direct I/O for reads, flush and \
     compaction, pipelined writes, hyper clock cache with index and filters in it, 10-bit Bloom filters, no compression, \
     2 background jobs, one thread per writer; all of its threads share the one cpu";

/// An open database.
pub struct Rocks {
    db: DB,
    durable: WriteOptions,
    logged: WriteOptions,
}

impl Rocks {
    /// Opens or creates the database in `dir`.
    pub fn open(dir: &Path, settings: &Settings) -> anyhow::Result<Rocks> {
        let db = DB::open(&options(settings), dir)?;
        let mut durable = WriteOptions::default();
        durable.set_sync(true);
        Ok(Rocks { db, durable, logged: WriteOptions::default() })
    }
}

fn options(settings: &Settings) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_use_direct_reads(true);
    options.set_use_direct_io_for_flush_and_compaction(true);
    options.set_compression_type(DBCompressionType::None);
    options.set_write_buffer_size(settings.memtable_bytes);
    options.set_max_write_buffer_number(MEMTABLES_MAX as i32);
    options.set_level_zero_file_num_compaction_trigger(LEVEL0_TABLES as i32);
    options.set_max_bytes_for_level_base(settings.level1_bytes);
    options.set_max_bytes_for_level_multiplier(LEVEL_FACTOR as f64);
    options.set_target_file_size_base(settings.table_bytes);
    options.set_max_background_jobs(2);
    options.set_recycle_log_file_num(4);
    options.set_enable_pipelined_write(true);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_size(BLOCK_BYTES);
    blocks.set_bloom_filter(f64::from(FILTER_BITS), false);
    blocks.set_block_cache(&Cache::new_hyper_clock_cache(settings.cache_bytes, 0));
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    options.set_block_based_table_factory(&blocks);
    options
}

impl Peer for Rocks {
    fn put(&self, key: &Key, value: &[u8]) {
        self.db.put_opt(key, value, &self.durable).expect("RocksDB puts");
    }

    fn put_many(&self, entries: &Entries, durable: bool) {
        let mut batch = WriteBatch::default();
        for (key, value) in entries.iter() {
            batch.put(key, value);
        }
        let options = if durable { &self.durable } else { &self.logged };
        self.db.write_opt(batch, options).expect("RocksDB writes");
    }

    fn get(&self, key: &Key, found: &mut dyn FnMut(&[u8])) -> bool {
        let value = self.db.get_pinned(key).expect("RocksDB gets");
        value.inspect(|value| found(value)).is_some()
    }

    fn scan(&self, from: &Key, count: usize, each: &mut dyn FnMut(&[u8])) -> usize {
        let mut cursor = self.db.raw_iterator_opt(ReadOptions::default());
        cursor.seek(from);
        let mut seen = 0;
        while seen < count
            && let Some((_, value)) = cursor.item()
        {
            each(value);
            seen += 1;
            cursor.next();
        }
        cursor.status().expect("RocksDB scans");
        seen
    }

    fn sync(&self) {
        self.db.flush_wal(true).expect("RocksDB syncs");
    }

    fn settle(&self) {
        let mut options = WaitForCompactOptions::default();
        options.set_flush(true);
        self.db.wait_for_compact(&options).expect("RocksDB flushes and compacts");
    }
}
