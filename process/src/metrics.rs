//! What a core tells about itself: `/metrics`, for Prometheus.
//!
//! 1. Each core writes a page of its own: what its router and its shard count, each sample with the shard's number. No core looks into another one.
//! 2. Whichever core is asked by HTTP asks the others by mail ([`net::mesh::Mesh::ask_all`]) and makes one page of theirs and its own.
//! 3. Nothing that clients name without bound becomes a label: tables are as many as a book counts, vnodes the hottest [`VNODES_SHOWN_MAX`] of each shard.

use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use meter::book::Book;
use meter::histogram::Histogram;
use meter::stage::{Operation, Stage};
use meter::text::{Figures, Labels, merge};
use model::map::Map;
use net::mesh::Mesh;
use router::Router;
use router::inside::{Page, join_slow};
use runtime::Runtime;
use shard::{LogStats, Shard, ShardStats, TreeStats};

/// Vnodes of a shard whose requests are told one by one: the hottest.
const VNODES_SHOWN_MAX: usize = 256;

/// Exceptions that say: not so fast.
const THROTTLES: [&str; 3] =
    ["ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded"];

/// Cores answer within this, or are left out.
const TELL_TIME_MAX: Duration = Duration::from_secs(1);

/// From now on this core tells others about itself, and its router tells who asks by URL about all cores.
pub(crate) fn tell<R: Runtime>(rt: &R, mesh: &Mesh<R>, router: &Rc<Router<R>>, shard: Option<&Rc<Shard<R>>>) {
    let (clock, asked, shard) = (rt.clone(), Rc::downgrade(router), shard.map(Rc::downgrade));
    mesh.set_teller(Rc::new(move |question| {
        let Some(router) = asked.upgrade() else { return Vec::new() };
        let shard = shard.as_ref().and_then(Weak::upgrade);
        match question {
            METRICS => page(&clock, &router, shard.as_ref()).into_bytes(),
            SLOW => router.slow_requests(),
            other => panic!("a core of this process asked for {other:?}"),
        }
    }));
    let (rt, mesh) = (rt.clone(), mesh.clone());
    router.set_pages(Rc::new(move |page| {
        let (rt, mesh) = (rt.clone(), mesh.clone());
        Box::pin(async move {
            let deadline = rt.now().after(TELL_TIME_MAX);
            match page {
                Page::Metrics => {
                    let told = mesh.ask_all(METRICS, deadline).await;
                    let pages = told.iter().map(|page| std::str::from_utf8(page).expect("written as text"));
                    merge(pages).into_bytes()
                }
                Page::Slow => join_slow(&mesh.ask_all(SLOW, deadline).await),
            }
        })
    }));
}

/// What cores ask each other.
const METRICS: &[u8] = b"metrics";
const SLOW: &[u8] = b"slow";

/// The page of one core.
pub(crate) fn page<R: Runtime>(rt: &R, router: &Router<R>, shard: Option<&Rc<Shard<R>>>) -> String {
    let number = rt.core().0.to_string();
    let mut figures = Figures::default();
    let mut core = Told { figures: &mut figures, shard: &number };
    core.build(rt);
    core.requests(router.book());
    match shard {
        Some(shard) => core.stages(&[router.book(), shard.book()]),
        None => core.stages(&[router.book()]),
    }
    core.errors(router.book());
    core.tables(router.book(), &router.known_map());
    core.router(router);
    if let Some(shard) = shard {
        core.vnodes(shard);
        core.disk(rt, shard);
        let stats = shard.stats();
        core.shard(&stats);
        core.log(&stats.log);
        core.tree(&stats.tree);
        core.compaction(&stats.tree);
        core.reads(&stats.tree);
        core.replication(&stats);
    }
    core.ring(rt);
    figures.page()
}

/// A page that is being written, of one shard.
struct Told<'f> {
    figures: &'f mut Figures,
    shard: &'f str,
}

impl Told<'_> {
    fn counter(&mut self, name: &'static str, help: &'static str, value: u64) {
        self.figures.counter(name, help, &[("shard", self.shard)], value);
    }

    fn counter_of(&mut self, name: &'static str, help: &'static str, labels: Labels<'_>, value: u64) {
        let labels: Vec<(&str, &str)> = [("shard", self.shard)].iter().chain(labels).copied().collect();
        self.figures.counter(name, help, &labels, value);
    }

    fn gauge(&mut self, name: &'static str, help: &'static str, value: f64) {
        self.figures.gauge(name, help, &[("shard", self.shard)], value);
    }

    fn gauge_of(&mut self, name: &'static str, help: &'static str, labels: Labels<'_>, value: f64) {
        let labels: Vec<(&str, &str)> = [("shard", self.shard)].iter().chain(labels).copied().collect();
        self.figures.gauge(name, help, &labels, value);
    }

    fn build<R: Runtime>(&mut self, rt: &R) {
        if rt.core().0 == 0 {
            let labels = [("version", env!("CARGO_PKG_VERSION"))];
            self.figures.gauge("torc_build_info", "Always 1; the version is a label.", &labels, 1.0);
            let cores = rt.core_count() as f64;
            self.figures.gauge("torc_cores", "Cores of this process, one shard each.", &[], cores);
        }
    }

    fn requests(&mut self, book: &Book) {
        book.visit(|operation, whole, _| {
            let labels = [("shard", self.shard), ("operation", operation.name())];
            let help = "Requests that were answered, with what they asked for or with an exception.";
            self.figures.counter("torc_requests_total", help, &labels, whole.count());
            let help = "From a request's first byte to the last of its answer.";
            self.figures.histogram("torc_request_seconds", help, &labels, whole, 4);
        });
    }

    /// What was spent on this core, for its own router or for others.
    fn stages(&mut self, books: &[&Book]) {
        let mut spent: BTreeMap<(Operation, Stage), Histogram> = BTreeMap::new();
        for book in books {
            book.visit(|operation, _, stages| {
                for (stage, times) in Stage::ALL.into_iter().zip(stages) {
                    if let Some(times) = times {
                        spent.entry((operation, stage)).or_default().add(times);
                    }
                }
            });
        }
        for ((operation, stage), times) in &spent {
            let labels = [("shard", self.shard), ("operation", operation.name()), ("stage", stage.name())];
            let help = "What the time of requests was spent on, in the core where it was spent.";
            self.figures.histogram("torc_request_stage_seconds", help, &labels, times, 1);
        }
    }

    fn errors(&mut self, book: &Book) {
        let mut throttled = 0;
        for ((operation, code), count) in book.errors() {
            let labels = [("operation", operation.name()), ("code", code)];
            let help = "Requests that were answered with an exception.";
            self.counter_of("torc_request_errors_total", help, &labels, count);
            throttled += if THROTTLES.contains(&code) { count } else { 0 };
        }
        let help = "Requests that were refused because there were too many.";
        self.counter("torc_requests_throttled_total", help, throttled);
    }

    fn tables(&mut self, book: &Book, map: &Map) {
        let mut counted: BTreeMap<(&str, Operation), u64> = BTreeMap::new();
        for (number, counts) in book.tables() {
            let table = map.tables.values().find(|table| table.id.0 == number);
            // Of none, of a table that is gone, or of one too many.
            let name = table.map_or("", |table| table.name.as_str());
            for (operation, count) in Operation::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0) {
                *counted.entry((name, operation)).or_default() += count;
            }
        }
        for ((table, operation), count) in counted {
            let labels = [("table", table), ("operation", operation.name())];
            let help = "Requests by table; without a name those of none, of deleted tables, and of more tables than are counted.";
            self.counter_of("torc_table_requests_total", help, &labels, count);
        }
    }

    fn router<R: Runtime>(&mut self, router: &Router<R>) {
        let connections = router.connections() as f64;
        self.gauge("torc_http_connections", "Connections of clients.", connections);
        let help = "Reads that a second replica was asked for, because the first was late.";
        self.counter("torc_reads_hedged_total", help, router.hedged_reads());
        let cache = router.expression_stats();
        let help = "Expressions that were found parsed.";
        self.counter("torc_expression_cache_hits_total", help, cache.hits);
        let help = "Expressions that had to be parsed.";
        self.counter("torc_expression_cache_misses_total", help, cache.misses);
    }

    fn vnodes<R: Runtime>(&mut self, shard: &Shard<R>) {
        let mut heat = shard.heat();
        heat.sort_unstable_by_key(|(_, reads, writes)| std::cmp::Reverse(reads + writes));
        for (vnode, reads, writes) in heat.into_iter().take(VNODES_SHOWN_MAX) {
            let vnode = vnode.0.to_string();
            for (kind, count) in [("read", reads), ("write", writes)] {
                let labels = [("vnode", vnode.as_str()), ("kind", kind)];
                let help = "Reads and writes by vnode, of each shard the hottest.";
                self.counter_of("torc_vnode_requests_total", help, &labels, count);
            }
        }
    }

    /// All shards of a node lie in one file system: the first one tells.
    fn disk<R: Runtime>(&mut self, rt: &R, shard: &Shard<R>) {
        if let (0, Ok(free)) = (rt.core().0, shard.disk_free()) {
            let help = "Bytes that are free in the file system of the data directory.";
            self.figures.gauge("torc_disk_free_bytes", help, &[], free as f64);
        }
    }

    fn shard(&mut self, stats: &ShardStats) {
        self.gauge("torc_shard_operations", "Operations under way.", stats.operations as f64);
        self.gauge(
            "torc_shard_pending_entries",
            "Entries proposed and not yet applied.",
            stats.pending as f64,
        );
        self.gauge("torc_shard_pending_bytes", "Bytes of their commands.", stats.pending_bytes as f64);
        self.gauge("torc_shard_latches", "Keys that a write holds.", stats.latches as f64);
        let help = "1 while only deletes are taken, because the disk is nearly full.";
        self.gauge("torc_shard_read_only", help, f64::from(u8::from(stats.disk_full)));
        let help = "Bytes that may be written before writers are slowed.";
        self.gauge("torc_shard_write_budget_bytes", help, stats.budget.bytes as f64);
    }

    fn log(&mut self, log: &LogStats) {
        self.counter("torc_log_records_total", "Records appended to the log.", log.records);
        self.counter("torc_log_payload_bytes_total", "Bytes of their payloads.", log.payload_bytes);
        self.counter("torc_log_writes_total", "Device writes of the log.", log.writes);
        let help = "Bytes of those, with headers and padding.";
        self.counter("torc_log_written_bytes_total", help, log.written_bytes);
        self.gauge("torc_log_writes_in_flight", "Device writes under way.", log.writes_in_flight as f64);
        self.gauge(
            "torc_log_buffered_bytes",
            "Bytes appended and not yet durable.",
            log.buffered_bytes as f64,
        );
        self.gauge("torc_log_budget_bytes", "Bytes that the log would take now.", log.budget_bytes as f64);
        for (state, count) in [("live", log.segments_live), ("free", log.segments_free)] {
            let help = "Segments that are needed, and that are ready for use.";
            self.gauge_of("torc_log_segments", help, &[("state", state)], count as f64);
        }
    }

    fn tree(&mut self, tree: &TreeStats) {
        for (state, bytes) in [("open", tree.memtable_bytes), ("waiting", tree.immutable_bytes)] {
            let help = "Bytes of the open memtable, and of those that wait for their flush.";
            self.gauge_of("torc_memtable_bytes", help, &[("state", state)], bytes as f64);
        }
        self.gauge("torc_memtables_waiting", "Memtables that wait for their flush.", tree.immutables as f64);
        for (level, (tables, bytes)) in tree.level_tables.iter().zip(tree.level_bytes).enumerate() {
            let level = level.to_string();
            let labels = [("level", level.as_str())];
            self.gauge_of("torc_level_sstables", "SSTables of a level.", &labels, *tables as f64);
            self.gauge_of("torc_level_bytes", "Bytes of a level.", &labels, bytes as f64);
        }
        self.counter(
            "torc_tree_user_bytes_total",
            "Bytes of keys and values that were applied.",
            tree.user_bytes,
        );
        self.counter("torc_flushes_total", "Memtables that were flushed.", tree.flushes);
        self.counter("torc_flush_written_bytes_total", "Bytes that flushes wrote.", tree.flush_bytes);
        self.counter("torc_writer_slowdowns_total", "Times that a writer was slowed.", tree.writer_waits);
        let help = "Times that a writer waited for a flush or a compaction to end.";
        self.counter("torc_writer_stops_total", help, tree.writer_stops);
        let help = "Time of both.";
        self.figures.seconds(
            "torc_writer_wait_seconds_total",
            help,
            &[("shard", self.shard)],
            tree.writer_wait_us,
        );
        let help = "SSTables that a compaction or the scrubber could not read.";
        self.gauge("torc_sstables_corrupt", help, tree.corrupt.len() as f64);
        self.gauge("torc_freeing_bytes", "Bytes of files that are being removed.", tree.freeing_bytes as f64);
    }

    fn compaction(&mut self, tree: &TreeStats) {
        self.counter("torc_compactions_total", "Compactions that are durable.", tree.compactions);
        self.counter("torc_compaction_read_bytes_total", "Bytes that they read.", tree.compaction_read_bytes);
        self.counter(
            "torc_compaction_written_bytes_total",
            "Bytes that they wrote.",
            tree.compaction_write_bytes,
        );
        let help = "Bytes above the levels' targets: what compaction owes.";
        self.gauge("torc_compaction_debt_bytes", help, tree.compaction_debt_bytes as f64);
        let help = "Bytes a second that compaction may move now; 2^30 is no limit.";
        self.gauge("torc_compaction_rate_max_bytes", help, tree.compaction_bytes_per_second_max as f64);
        self.counter("torc_scrub_bytes_total", "Bytes that the scrubber has read.", tree.scrub_bytes);
    }

    fn reads(&mut self, tree: &TreeStats) {
        self.gauge("torc_cache_bytes", "Bytes in the block cache.", tree.cache_bytes as f64);
        self.counter("torc_cache_hits_total", "Blocks found in the cache.", tree.cache_hits);
        self.counter("torc_cache_misses_total", "Blocks read for lack of them.", tree.cache_misses);
        let help = "Lookups in an SSTable that a Bloom filter spared.";
        self.counter("torc_filter_negatives_total", help, tree.filter_negatives);
        let help = "Lookups in an SSTable that a Bloom filter let pass in vain.";
        self.counter("torc_filter_false_positives_total", help, tree.filter_false_positives);
        self.counter("torc_sstable_reads_total", "Device reads of SSTables.", tree.reads);
        self.counter("torc_sstable_read_bytes_total", "Bytes that they gave.", tree.read_bytes);
        let help = "Blocks that somebody was reading already.";
        self.counter("torc_sstable_reads_shared_total", help, tree.reads_shared);
    }

    fn replication(&mut self, stats: &ShardStats) {
        let counts = &stats.replication;
        let followers = counts.replicas.saturating_sub(counts.led);
        for (role, count) in [("leader", counts.led), ("follower", followers)] {
            let help = "Replicas of vnodes on this shard; none on a node that is alone.";
            self.gauge_of("torc_replicas", help, &[("role", role)], count as f64);
        }
        self.gauge("torc_replicas_asleep", "Replicas that sleep.", counts.asleep as f64);
        self.gauge("torc_replicas_failed", "Replicas that have failed.", counts.failed as f64);
        self.counter("torc_elections_total", "Times that a replica here became leader.", counts.elections);
        self.counter("torc_images_total", "Replicas made from an image.", counts.images);
        self.gauge(
            "torc_replication_kept_entries",
            "Entries kept for followers.",
            counts.kept_entries as f64,
        );
        self.gauge("torc_replication_kept_bytes", "Bytes of those, about.", counts.kept_bytes as f64);
        let help = "Entries that the follower furthest behind lacks, of the vnodes led here.";
        self.gauge("torc_replication_lag_entries", help, counts.lag_entries_max as f64);
    }

    fn ring<R: Runtime>(&mut self, rt: &R) {
        let ring = rt.ring_figures();
        let help = "Direct reads and writes that went through this core's io_uring.";
        for (kind, count) in [("read", ring.reads), ("write", ring.writes)] {
            self.counter_of("torc_ring_operations_total", help, &[("kind", kind)], count);
        }
        for (kind, bytes) in [("read", ring.read_bytes), ("write", ring.written_bytes)] {
            self.counter_of("torc_ring_bytes_total", "Bytes of those.", &[("kind", kind)], bytes);
        }
        self.counter("torc_files_opened_total", "Files that were opened.", ring.files_opened);
        self.counter("torc_files_closed_total", "Files that were closed.", ring.files_closed);
    }
}
