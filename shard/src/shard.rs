//! One core's share of a node: its log, its tree, its vnodes, and the tasks that keep them going.

use crate::admission::Admission;
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::error::Error;
use crate::heat::Heat;
use crate::image::Images;
use crate::latch::Latches;
use crate::node::{Identity, shard_dir, sync_ancestors};
use crate::recovery;
use crate::replication::{Cluster, ClusterParts, Counts, Replication, ReplicationOptions, Standing, Wire};
use crate::tables::Tables;
use lsm::log::{Log, LogOptions};
use lsm::{Arena, Tree, TreeOptions};
use meter::book::Book;
use model::key::token_high_of_key;
use model::placement::Limits;
use model::ring::{CATALOG, NodeId, PeerId, Place, ShardId, VnodeId};
use net::mesh::{CallError, Handler, Mesh};
use runtime::sync::{Either, Notified, Notify, select};
use runtime::{Mono, Runtime};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::Write as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

/// Most bytes of a log record: the largest value and what a command puts around it.
const RECORD_BYTES_MAX: usize = lsm::VALUE_BYTES_MAX + (64 << 10);

/// The part of the reserve that compaction leaves alone.
const BALLAST_PART: (u64, u64) = (2, 5);
/// So much of the reserve has to be free beyond it before all writes are taken again: an eighth.
const MARGIN_PART: u64 = 8;

/// Bytes of a chunk of the arena that commands lie in. A chunk lives as long as the last memtable that holds a part of it:
/// one chunk more than the memtables' own bytes, at most, for each of them.
const ARENA_CHUNK_BYTES: usize = 256 << 10;

/// Where a shard lies and what it may use.
#[derive(Clone)]
pub struct ShardOptions {
    /// Who this node is.
    pub identity: Identity,
    /// Which of its shards.
    pub shard: ShardId,
    /// The shard's own directory.
    pub dir: PathBuf,
    /// Operations that may be under way at once; more are answered with `Busy`.
    pub operations_max: usize,
    /// Bytes of their requests.
    pub operation_bytes_max: usize,
    /// Bytes of commands that are proposed and not yet applied; who wants to propose more waits.
    pub pending_bytes_max: usize,
    /// Catalog operations that may wait.
    pub catalog_waiting_max: usize,
    /// How much the balancer begins at once.
    pub moves: Limits,
    /// Below so many free bytes on the file system, writes that grow are refused; reads and deletes go on. Compaction leaves
    /// two fifths of these bytes alone: deletes, the log and what frees space need some.
    pub disk_reserve_bytes: u64,
    /// How often to look at the free bytes.
    pub disk_check_every: Duration,
    /// How often to look at the segments of the log that nobody reads.
    pub log_scrub_every: Duration,
    /// The log.
    pub log: LogOptions,
    /// The tree.
    pub tree: TreeOptions,
    /// This node has begun before (`node::has_begun`): a replica that should be here, and of which nothing is, was lost.
    pub begun: bool,
    /// How to reach the shards of other nodes; none on a node that is alone, for ever.
    pub wire: Option<Wire>,
    /// Times and sizes of replication.
    pub replication: ReplicationOptions,
    /// Takes a line about something that a client was answered with "internal server error" for.
    pub report: Rc<dyn Fn(&str)>,
}

impl ShardOptions {
    /// The defaults for a shard of the node in `data`, with `memory_bytes` for memtables, cache and buffers.
    pub fn new(
        data: &std::path::Path,
        identity: Identity,
        shard: ShardId,
        memory_bytes: usize,
    ) -> ShardOptions {
        assert!(shard.0 < identity.shard_count, "shard {} of {}", shard.0, identity.shard_count);
        let dir = shard_dir(data, shard);
        let whose = lsm::log::Identity { cluster: identity.cluster, node: identity.number.0, shard: shard.0 };
        let mut log = LogOptions::new(dir.join("log"), whose);
        log.record_bytes_max = RECORD_BYTES_MAX;
        // Twice the largest record: the log's own bound.
        log.ahead_bytes = 5 << 20;
        let mut tree = TreeOptions::new(dir.join("tree"));
        // An open and two waiting memtables take at most three eighths, the cache a half, buffers the rest.
        tree.memtable_bytes = (memory_bytes / 8).clamp(1 << 20, 64 << 20);
        tree.cache_bytes = (memory_bytes / 2).max(1 << 20);
        ShardOptions {
            identity,
            shard,
            dir,
            operations_max: 16 << 10,
            operation_bytes_max: (memory_bytes / 8).clamp(32 << 20, 256 << 20),
            pending_bytes_max: (memory_bytes / 8).clamp(8 << 20, 64 << 20),
            catalog_waiting_max: 128,
            moves: Limits::default(),
            disk_reserve_bytes: 256 << 20,
            disk_check_every: Duration::from_secs(1),
            log_scrub_every: Duration::from_secs(3600),
            log,
            tree,
            begun: false,
            wire: None,
            replication: ReplicationOptions::default(),
            // Whoever has closed standard error is no reason to stop.
            report: Rc::new(|line| drop(writeln!(std::io::stderr(), "torc: {line}"))),
        }
    }
}

/// A shard's figures at one moment.
#[derive(Clone, Debug)]
pub struct ShardStats {
    /// Operations that are under way.
    pub operations: usize,
    /// Entries that are proposed and not yet applied.
    pub pending: usize,
    /// Bytes of their commands.
    pub pending_bytes: usize,
    /// Key latches that are held.
    pub latches: usize,
    /// The disk is nearly full: only deletes are taken.
    pub disk_full: bool,
    /// How much may be written before the tree slows writers, and how fast.
    pub budget: lsm::Budget,
    /// The replicas on this shard; on a node that is alone they are not counted.
    pub replication: Counts,
    /// The log's.
    pub log: lsm::log::Stats,
    /// The tree's.
    pub tree: lsm::TreeStats,
}

/// Asks a shard of another node and waits for its reply, until a deadline.
pub type Far = Rc<dyn Fn(Place, Mono, Vec<u8>) -> FarReply>;

/// The reply of a shard of another node.
pub type FarReply = Pin<Box<dyn Future<Output = Result<Vec<u8>, CallError>>>>;

/// One core's share of a node.
pub struct Shard<R: Runtime> {
    pub(crate) rt: R,
    pub(crate) options: ShardOptions,
    pub(crate) mesh: Mesh<R>,
    pub(crate) tree: Tree<R>,
    pub(crate) log: Log<R>,
    pub(crate) replication: Replication<R>,
    pub(crate) latches: Latches,
    pub(crate) clock: Clock,
    pub(crate) admission: Admission,
    pub(crate) tables: Tables,
    /// Only on shard 0: it may lead vnode 0.
    pub(crate) catalog: Option<Catalog>,
    /// How shards of other nodes are asked.
    pub(crate) far: RefCell<Option<Far>>,
    /// Where commands are put together: the memory that the memtable then keeps.
    pub(crate) arena: RefCell<Arena>,
    /// The disk is nearly full: only deletes are taken.
    pub(crate) disk_full: Cell<bool>,
    /// An entry cannot be applied now: the tree takes none.
    pub(crate) tree_waits: Cell<bool>,
    /// The images that this shard offers.
    pub(crate) images: Images<R>,
    /// The last mark of what was applied without an entry.
    pub(crate) unlogged: Cell<u64>,
    /// Where the time of requests went that came from elsewhere.
    book: Book,
    pub(crate) heat: Heat,
    /// SSTables that were reported as damaged.
    reported: RefCell<Vec<lsm::CorruptTable>>,
    stopped: Cell<bool>,
    stop: Notify,
}

impl<R: Runtime> Shard<R> {
    /// Opens the shard: tree and log, and what the log holds beyond the tree is applied to it.
    ///
    /// The mesh's map cell must hold the node's ring already. The caller registers [`Shard::handler`] with the mesh and
    /// runs [`Shard::run`].
    pub async fn open(rt: R, options: ShardOptions, mesh: Mesh<R>) -> Result<Rc<Shard<R>>, Error> {
        let vnodes = own_vnodes(&options, &mesh);
        make_dirs(&rt, &options).await?;
        let tree = Tree::open(rt.clone(), options.tree.clone()).await?;
        let clock = Clock::default();
        let (log, replay) = Log::open(rt.clone(), options.log.clone()).await?;
        let replication = match options.wire.clone() {
            None => {
                let replayed = recovery::replay(&rt, &options, &tree, replay, &clock, &vnodes);
                let applied = Box::pin(replayed).await?;
                Replication::alone(rt.clone(), log.clone(), applied, options.pending_bytes_max)
            }
            Some(wire) => {
                let found = Box::pin(recovery::gather(&rt, &options, &tree, replay)).await?;
                let parts = cluster_parts(&rt, &options, &log, &tree, wire);
                let cluster = Cluster::open(parts, found);
                Box::pin(cluster.follow(&mesh.map().get())).await?;
                Replication::Cluster(Box::new(cluster))
            }
        };
        let far = options.wire.as_ref().map(|wire| wire.call.clone());
        let catalog = match options.shard {
            ShardId(0) => Some(Catalog::open(&options, &tree, &mesh.map().get()).await?),
            _ => None,
        };
        prefer_vnodes(&tree, &mesh);
        let shard = Shard {
            latches: Latches::new(&rt),
            admission: Admission::new(options.operations_max, options.operation_bytes_max),
            tables: Tables::new(mesh.map().clone()),
            replication,
            arena: RefCell::new(Arena::new(ARENA_CHUNK_BYTES)),
            disk_full: Cell::new(false),
            tree_waits: Cell::new(false),
            images: Images::default(),
            unlogged: Cell::new(0),
            book: Book::default(),
            heat: Heat::default(),
            reported: RefCell::default(),
            stopped: Cell::new(false),
            stop: Notify::new(),
            rt,
            options,
            mesh,
            tree,
            log,
            clock,
            catalog,
            far: RefCell::new(far),
        };
        Ok(Rc::new(shard))
    }

    /// How shards of other nodes are asked from now on. Until then there are none.
    pub fn set_far(&self, far: Far) {
        *self.far.borrow_mut() = Some(far);
    }

    /// Takes a payload of replicas from a shard of another node: for whoever listens to the wire.
    pub fn receive(&self, from: NodeId, payload: bytes::Bytes) {
        if let Some(cluster) = self.replication.cluster() {
            cluster.receive(from, payload);
        }
    }

    /// What answers this shard's requests: for [`Mesh::set_handler`].
    pub fn handler(self: &Rc<Self>) -> Handler {
        let shard = self.clone();
        Rc::new(move |request| {
            let shard = shard.clone();
            Box::pin(async move { shard.handle(request).await })
        })
    }

    /// Applies, releases, watches the disk and works for the catalog, until [`Shard::close`] (Ok) or until the disk
    /// fails (Err: the process must stop). One task runs it.
    pub async fn run(self: &Rc<Self>) -> Result<(), Error> {
        let stop = self.stop.notified();
        if self.stopped.get() {
            return Ok(());
        }
        let stopped = async {
            stop.await;
            Ok(())
        };
        // Boxed: each holds room for all that it may be doing, and what runs this is moved over the stack several times
        // on its way to becoming a task. Unboxed it was 380 KB, and overflowed a core's stack in debug builds.
        let apply = Box::pin(async { Err(self.apply_committed().await) });
        let release = Box::pin(async { Err(self.release_log().await) });
        let watch = Box::pin(async { Err(self.watch_disk().await) });
        let catalog = Box::pin(async { Err(self.run_catalog().await) });
        let scrub = Box::pin(async { Err(self.scrub_log().await) });
        let replicate = Box::pin(async { Err(self.replicate().await) });
        let tasks = first(release, first(watch, first(catalog, first(scrub, replicate))));
        let outcome = first(stopped, first(apply, tasks)).await;
        if outcome.is_err() {
            self.admission.shut();
            self.replication.fail();
        }
        outcome
    }

    /// Stops cleanly: refuses new operations, finishes those under way, flushes the tree, closes the log. Then
    /// [`Shard::run`] returns, which must be running until now.
    pub async fn close(&self) -> Result<(), Error> {
        self.admission.close().await;
        self.stop_running();
        self.tree.close().await?;
        self.release_covered();
        self.log.close().await?;
        Ok(())
    }

    /// The term in which this shard leads a vnode, if it does.
    pub fn leading(&self, vnode: VnodeId) -> Option<u64> {
        self.replication.leading(vnode)
    }

    /// The same, once it has applied all that was acknowledged before: from then on its tree is the truth.
    pub fn leads(&self, vnode: VnodeId) -> Option<u64> {
        self.replication.leads(vnode)
    }

    /// Whether it holds the lease of a vnode at this moment: it would answer strong reads. For checkers.
    #[doc(hidden)]
    pub fn holds_lease(&self, vnode: VnodeId) -> bool {
        self.replication.cluster().is_some_and(|cluster| cluster.holds_lease(vnode))
    }

    /// Whether its replica of a vnode waits for an image at this moment. For checkers.
    #[doc(hidden)]
    pub fn is_installing(&self, vnode: VnodeId) -> bool {
        self.replication.cluster().is_some_and(|cluster| cluster.is_installing(vnode))
    }

    /// Resolves when leadership of some vnode begins or ends here; never on a node that is alone.
    pub fn leadership_changed(&self) -> impl Future<Output = ()> + use<R> {
        let changed = self.replication.cluster().map(|cluster| cluster.leadership().notified());
        async {
            match changed {
                Some(changed) => changed.await,
                None => std::future::pending().await,
            }
        }
    }

    /// Vnodes led here whose members are what the map asked for, while the map says that they are still on their way: for the
    /// catalog to know.
    pub fn reached(&self) -> Vec<Standing> {
        self.replication.cluster().map_or_else(Vec::new, |cluster| cluster.reached())
    }

    /// Hands all leadership to other nodes, for a planned stop; waits for that, but no longer than `wait_max`.
    pub async fn hand_over_all(&self, wait_max: Duration) {
        if let Some(cluster) = self.replication.cluster() {
            cluster.hand_over_all(wait_max).await;
        }
    }

    /// Hands leadership of one vnode to a replica; false when this shard does not lead it.
    pub fn hand_over(&self, vnode: VnodeId, to: PeerId) -> bool {
        self.replication.cluster().is_some_and(|cluster| cluster.hand_over_to(vnode, to))
    }

    /// Operations that are under way.
    pub fn operations(&self) -> usize {
        self.admission.operations()
    }

    /// Figures of this moment.
    pub fn stats(&self) -> ShardStats {
        let (pending, pending_bytes) = self.replication.pending();
        ShardStats {
            operations: self.admission.operations(),
            pending,
            pending_bytes,
            latches: self.latches.held(),
            disk_full: self.disk_full.get(),
            budget: self.tree.budget(),
            replication: self.replication.cluster().map_or_else(Counts::default, |cluster| cluster.counts()),
            log: self.log.stats(),
            tree: self.tree.stats(),
        }
    }

    /// Where the time went of requests that other cores and nodes asked this one for. Those of this core's own router are in its router's book.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Vnodes with how often they were read and written here.
    pub fn heat(&self) -> Vec<(VnodeId, u64, u64)> {
        self.heat.counts()
    }

    /// Bytes that are free in the file system where it lies.
    pub fn disk_free(&self) -> std::io::Result<u64> {
        self.rt.disk_free(&self.options.dir)
    }

    /// Where this shard is on the ring.
    pub(crate) fn place(&self) -> Place {
        Place { node: self.options.identity.number, shard: self.options.shard }
    }

    /// Resolves when the shard stops running.
    pub(crate) fn stop_notified(&self) -> Notified {
        self.stop.notified()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.get()
    }

    fn stop_running(&self) {
        self.stopped.set(true);
        self.stop.notify_all();
    }

    /// Gives log segments back whenever a flush has made their entries durable in SSTables (rules W10, L1).
    async fn release_log(&self) -> Error {
        loop {
            self.tree.flush_done().await;
            self.release_covered();
            // A poisoned tree has no flush to wait for any more.
            if let Some(why) = self.tree.stats().poisoned {
                return Error::Storage(lsm::Error::Poisoned { why: why.into() });
            }
            self.rt.yield_now().await;
        }
    }

    fn release_covered(&self) {
        if let Some(cluster) = self.replication.cluster() {
            cluster.flushed();
        }
        self.log.release(|stream| self.replication.covered(stream, self.tree.flushed_mark(stream)));
    }

    /// Keeps the replicas going; on a node that is alone there are none.
    async fn replicate(&self) -> Error {
        let Some(cluster) = self.replication.cluster() else { return std::future::pending().await };
        // Boxed for the same reason as what `run` waits for.
        let turns = Box::pin(async {
            cluster.take_turns().await;
            lsm::Error::Closed
        });
        let time = Box::pin(async {
            cluster.keep_time().await;
            lsm::Error::Closed
        });
        let commits = Box::pin(async {
            cluster.tell_commits().await;
            lsm::Error::Closed
        });
        let offers = Box::pin(async {
            self.offer_images(cluster).await;
            lsm::Error::Closed
        });
        let gone = Box::pin(async {
            self.drop_gone(cluster).await;
            lsm::Error::Closed
        });
        let reports = Box::pin(async {
            self.report_reached(cluster).await;
            lsm::Error::Closed
        });
        let map = Box::pin(self.follow_map(cluster));
        let installs = Box::pin(self.install_images(cluster));
        let log = first(Box::pin(cluster.follow_log()), Box::pin(cluster.work_off()));
        let content = first(offers, first(gone, first(installs, reports)));
        first(first(turns, first(time, commits)), first(map, first(log, content))).await.into()
    }

    /// Makes and gives up replicas as the map says; returns when the log has failed.
    async fn follow_map(&self, cluster: &Cluster<R>) -> lsm::Error {
        loop {
            let again = cluster.follow_again();
            let map = self.mesh.map().get();
            match cluster.follow(&map).await {
                Ok(true) => drop(select(self.mesh.map().at_least(map.version + 1), again).await),
                Ok(false) => self.rt.sleep(cluster.options().tick).await,
                Err(error) => return error,
            }
        }
    }

    /// Notices a file system that is nearly full before anything fails on it, and one that has room again.
    async fn watch_disk(&self) -> Error {
        loop {
            // A file system that does not say counts as having room: the log and the tree will notice.
            let free = self.disk_free().unwrap_or(u64::MAX);
            let reserve = self.options.disk_reserve_bytes;
            self.tree.set_room(free.saturating_sub(reserve / BALLAST_PART.1 * BALLAST_PART.0));
            // A little more than the reserve, or writers would be let in and refused in turns.
            let enough = reserve.saturating_add(reserve / MARGIN_PART);
            if free < reserve {
                self.set_read_only(&format!("{free} bytes are free, {reserve} are the reserve"));
            } else if free >= enough && !self.tree_waits.get() && self.disk_full.replace(false) {
                self.report(&format!("{free} bytes are free: the shard takes all writes again"));
            }
            self.report_damage();
            self.rt.sleep(self.options.disk_check_every).await;
        }
    }

    /// From now on only deletes are taken, until [`Shard::watch_disk`] finds that there is room.
    pub(crate) fn set_read_only(&self, why: &str) {
        if !self.disk_full.replace(true) {
            self.report(&format!("{why}: the shard refuses writes that grow"));
        }
    }

    /// Says once of each damaged SSTable where it is damaged.
    fn report_damage(&self) {
        let corrupt = self.tree.stats().corrupt;
        let known = self.reported.replace(corrupt.clone());
        for table in corrupt.iter().filter(|table| !known.contains(table)) {
            let place = table.offset.map_or_else(String::new, |offset| format!(" at byte {offset}"));
            let line = format!(
                "{}{place} cannot be read: {}; it is left as it is, everything else is served",
                table.path.display(),
                table.what
            );
            (self.options.report)(&line);
        }
    }

    fn report(&self, what: &str) {
        (self.options.report)(&format!("{}: {what}", self.options.dir.display()));
    }
}

fn cluster_parts<R: Runtime>(
    rt: &R,
    options: &ShardOptions,
    log: &Log<R>,
    tree: &Tree<R>,
    wire: Wire,
) -> ClusterParts<R> {
    let tree = tree.clone();
    ClusterParts {
        rt: rt.clone(),
        log: log.clone(),
        wire,
        place: Place { node: options.identity.number, shard: options.shard },
        options: options.replication.clone(),
        pending_bytes_max: options.pending_bytes_max,
        begun: options.begun,
        mark: Rc::new(move |stream| tree.flushed_mark(stream)),
        report: options.report.clone(),
    }
}

/// Compaction prefers to end files where a vnode or a table does: what is moved or dropped then is mostly whole files.
fn prefer_vnodes<R: Runtime>(tree: &Tree<R>, mesh: &Mesh<R>) {
    let map = mesh.map().clone();
    tree.set_cut(move |key| {
        let Some(token_high) = token_high_of_key(key) else { return u64::MAX };
        let table = key.get(1..5).and_then(|table| table.try_into().ok()).map_or(0, u32::from_be_bytes);
        u64::from(table) << 32 | u64::from(map.get().ring.owner(token_high).id.0)
    });
}

/// Makes the shard's directories, and their names durable before anything in them has to be.
async fn make_dirs<R: Runtime>(rt: &R, options: &ShardOptions) -> Result<(), Error> {
    let at = |source| Error::Directory { path: options.dir.clone(), source: Rc::new(source) };
    rt.create_dir(&options.log.dir).await.map_err(at)?;
    rt.create_dir(&options.tree.dir).await.map_err(at)?;
    rt.sync_dir(&options.dir).await.map_err(at)?;
    sync_ancestors(rt, &options.dir).await.map_err(at)
}

/// The vnodes that the ring gives to this shard, the catalog among them where the map says so.
fn own_vnodes<R: Runtime>(options: &ShardOptions, mesh: &Mesh<R>) -> std::collections::BTreeSet<VnodeId> {
    let place = Place { node: options.identity.number, shard: options.shard };
    let map = mesh.map().get();
    let data = map.ring.vnodes().filter(|vnode| vnode.leader() == place).map(|vnode| vnode.id);
    let catalog = map.catalog.at(place).map(|_| CATALOG);
    data.chain(catalog).collect()
}

async fn first<T>(a: impl Future<Output = T>, b: impl Future<Output = T>) -> T {
    match select(a, b).await {
        Either::First(value) | Either::Second(value) => value,
    }
}
