//! The world and the hand that guides it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Deref;
use std::rc::Rc;
use std::time::Duration;

use super::clock::Clock;
use super::disk::{Disk, DiskHandle};
use super::executor::{Executor, SimTask, Step};
use super::mesh::Mesh;
use super::network::Network;
use super::options::{NetworkFaults, WorldOptions};
use super::random::Stream;
use super::runtime::SimRuntime;
use super::trace::{Event, Trace};
use crate::{CoreId, Task};

/// A machine of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u16);

/// A world: everything in it ends when it is dropped.
///
/// Guides itself through [`Control`], to which it dereferences and which tasks may hold clones of.
pub struct World {
    control: Control,
}

impl Deref for World {
    type Target = Control;

    fn deref(&self) -> &Control {
        &self.control
    }
}

/// What a test, or a task that plays fate, does to the world while it runs.
#[derive(Clone)]
pub struct Control {
    pub(super) inner: Rc<Inner>,
}

pub(super) struct Inner {
    pub seed: u64,
    pub options: WorldOptions,
    pub trace: Trace,
    pub executor: Executor,
    pub nodes: RefCell<Vec<Rc<Node>>>,
    pub network: Network,
    pub marks: RefCell<BTreeMap<crate::BuggifyPoint, u64>>,
}

pub(super) struct Node {
    pub id: NodeId,
    pub name: String,
    pub up: Cell<bool>,
    /// Counts the starts of this node. Handles of an earlier incarnation are dead.
    pub incarnation: Cell<u32>,
    pub core_count: Cell<usize>,
    pub clock: Clock,
    pub disk: Disk,
    pub mesh: RefCell<Rc<Mesh>>,
    pub streams: NodeStreams,
}

/// The random streams of one node.
pub(super) struct NodeStreams {
    pub boot: RefCell<Stream>,
    pub mesh: RefCell<Stream>,
    pub should_yield: RefCell<Stream>,
    pub buggify: RefCell<Stream>,
    /// One per core and purpose, made when first used.
    pub program: RefCell<Vec<Option<Stream>>>,
}

impl NodeStreams {
    fn new(seed: u64, node: u64) -> NodeStreams {
        let stream = |name| RefCell::new(Stream::new(seed, name, node));
        NodeStreams {
            boot: stream("boot"),
            mesh: stream("mesh"),
            should_yield: stream("should_yield"),
            buggify: stream("buggify"),
            program: RefCell::default(),
        }
    }
}

impl World {
    /// A world with no nodes. The same seed, options and program give the same world.
    pub fn new(seed: u64, options: WorldOptions) -> World {
        let inner = Inner {
            seed,
            trace: Trace::new(seed, options.trace),
            executor: Executor::new(seed, options.polls_max),
            nodes: RefCell::default(),
            network: Network::new(seed, options.network.clone()),
            marks: RefCell::default(),
            options,
        };
        World { control: Control { inner: Rc::new(inner) } }
    }

    /// Runs the world until `future` is done.
    ///
    /// # Panics
    /// When nothing can ever happen again, when tasks spin without time moving, when `time_max` is over, and with
    /// the panic of any task.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let limit = self.inner.executor.now().saturating_add(nanos(self.inner.options.time_max));
        let output = self.inner.drive(future, |last| {
            assert!(last != Step::Stuck, "deadlock: {}", self.inner.describe());
            assert!(self.inner.executor.now() <= limit, "no end within time_max: {}", self.inner.describe());
            true
        });
        output.expect("the world only stops early by a panic")
    }

    /// Runs the world for at most `steps` polls or instants; the future's result if it was done by then.
    ///
    /// For tests that crash at every step: the future is dropped where it stands.
    pub fn block_on_steps<T>(&self, steps: u64, future: impl Future<Output = T>) -> Option<T> {
        let mut left = steps;
        self.inner.drive(future, |last| {
            let more = left > 0 && last != Step::Stuck;
            left = left.saturating_sub(1);
            more
        })
    }

    /// Runs the world for at most `duration` of its time; the future's result if it was done by then.
    pub fn block_on_for<T>(&self, duration: Duration, future: impl Future<Output = T>) -> Option<T> {
        let limit = self.wake_at(duration);
        self.inner.drive(future, |last| last != Step::Stuck && self.inner.executor.now() < limit)
    }

    /// Runs the world for `duration` of its time.
    pub fn run_for(&self, duration: Duration) {
        self.block_on_for(duration, std::future::pending::<()>());
    }

    /// Runs the world for at most `steps` polls or instants; false when nothing can ever happen again.
    pub fn run_steps(&self, steps: u64) -> bool {
        let mut nothing = || unreachable!("no future of block_on is known");
        (0..steps).all(|_| self.inner.step(&mut nothing) != Step::Stuck)
    }

    /// Runs the world until `condition` holds; false when `limit` of its time is over or nothing can happen again.
    pub fn run_until(&self, limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
        let limit = self.wake_at(limit);
        let mut nothing = || unreachable!("no future of block_on is known");
        loop {
            if condition() {
                return true;
            }
            if self.inner.executor.now() >= limit || self.inner.step(&mut nothing) == Step::Stuck {
                return condition();
            }
        }
    }

    /// An instant at which the world certainly stops to look.
    fn wake_at(&self, duration: Duration) -> u64 {
        let at = self.inner.executor.now().saturating_add(nanos(duration));
        self.inner.executor.schedule(at, super::executor::Action::Run(Box::new(|_| ())));
        at
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Tasks hold the world and the world holds the tasks: cut here.
        for node in self.inner.nodes.borrow().iter() {
            node.up.set(false);
            node.incarnation.set(node.incarnation.get() + 1);
        }
        self.inner.executor.kill(None);
        self.inner.executor.forget_scheduled();
        self.inner.network.clear();
        let nodes = std::mem::take(&mut *self.inner.nodes.borrow_mut());
        drop(nodes);
    }
}

impl Control {
    /// A new node, down, with an empty disk.
    pub fn node(&self, name: &str) -> NodeId {
        let mut nodes = self.inner.nodes.borrow_mut();
        let id = NodeId(u16::try_from(nodes.len()).expect("fewer than 65536 nodes"));
        let (seed, owner) = (self.inner.seed, u64::from(id.0));
        nodes.push(Rc::new(Node {
            id,
            name: name.to_owned(),
            up: Cell::new(false),
            incarnation: Cell::new(0),
            core_count: Cell::new(1),
            clock: Clock::new(),
            disk: Disk::new(seed, owner, self.inner.options.disk.clone()),
            mesh: RefCell::new(Rc::new(Mesh::new(1, self.inner.options.mailbox_packets_max))),
            streams: NodeStreams::new(seed, owner),
        }));
        id
    }

    /// Starts a program on a node that is down: `main` runs once on each of its `cores`.
    pub fn start<F>(&self, node: NodeId, cores: usize, main: impl Fn(SimRuntime) -> F)
    where
        F: Future<Output = ()> + 'static,
    {
        let node = self.inner.node(node);
        assert!(!node.up.get(), "node {} is up already", node.name);
        self.inner.boot(&node, cores);
        for core in 0..cores {
            let runtime = SimRuntime::new(&self.inner, &node, CoreId(core as u16));
            SimTask::spawn(&self.inner, Some(node.id), main(runtime)).detach();
        }
    }

    /// A handle of core 0 of a node; starts the node with one core and no program if it is down.
    pub fn runtime(&self, node: NodeId) -> SimRuntime {
        let node = self.inner.node(node);
        if !node.up.get() {
            self.inner.boot(&node, 1);
        }
        SimRuntime::new(&self.inner, &node, CoreId(0))
    }

    /// Power off: every task of the node is dropped, and each unsynced change of its disk meets its fate.
    ///
    /// Fine on a node that is down. A task may crash its own node and ends at its next await.
    pub fn crash(&self, node: NodeId) {
        let node = self.inner.node(node);
        if !node.up.replace(false) {
            return;
        }
        node.incarnation.set(node.incarnation.get() + 1);
        let now = self.inner.executor.now();
        self.inner.trace.record(now, Event::Crash, u64::from(node.id.0), 0);
        self.inner.trace.remark(format_args!("crash of {}", node.name));
        // The disk first: what tasks do while they are dropped comes too late.
        node.disk.crash(&self.inner.trace, now);
        self.inner.network_crash(node.id);
        self.inner.executor.resume(node.id);
        self.inner.executor.kill(Some(node.id));
    }

    /// Whether the node is up.
    pub fn is_up(&self, node: NodeId) -> bool {
        self.inner.node(node).up.get()
    }

    /// No task of the node runs until `resume`; time, disk and network go on.
    pub fn pause(&self, node: NodeId) {
        self.inner.executor.pause(node);
    }

    /// Ends a `pause`.
    pub fn resume(&self, node: NodeId) {
        self.inner.executor.resume(node);
    }

    /// From now on the node's clocks run `rate_ppm` parts per million too fast (or too slow, if negative).
    pub fn set_clock_rate(&self, node: NodeId, rate_ppm: i32) {
        let now = self.inner.executor.now();
        self.inner.trace.record(now, Event::Clock, u64::from(node.0), rate_ppm as u64);
        self.inner.node(node).clock.set_rate(now, rate_ppm);
    }

    /// Moves the node's wall clock by so many microseconds.
    pub fn jump_wall(&self, node: NodeId, by_us: i64) {
        self.inner.trace.record(self.inner.executor.now(), Event::Clock, u64::from(node.0), by_us as u64);
        self.inner.node(node).clock.jump_wall(by_us);
    }

    /// The node's disk, to look at, to damage, and to set faults of.
    pub fn disk(&self, node: NodeId) -> DiskHandle {
        DiskHandle::new(self.inner.node(node))
    }

    /// Faults of the network from now on.
    pub fn set_network_faults(&self, faults: NetworkFaults) {
        self.inner.network.set_faults(faults);
    }

    /// Cuts the way of bytes from one node to another, not back. Connections stay; nothing arrives.
    pub fn cut_one_way(&self, from: NodeId, to: NodeId) {
        self.inner.network_cut(from, to);
    }

    /// Cuts both ways between two nodes.
    pub fn cut(&self, one: NodeId, other: NodeId) {
        self.cut_one_way(one, other);
        self.cut_one_way(other, one);
    }

    /// Heals the way of bytes from one node to another.
    pub fn heal_one_way(&self, from: NodeId, to: NodeId) {
        self.inner.network_heal(from, to);
    }

    /// Heals both ways between two nodes.
    pub fn heal(&self, one: NodeId, other: NodeId) {
        self.inner.network_heal(one, other);
        self.inner.network_heal(other, one);
    }

    /// Heals all cuts.
    pub fn heal_all(&self) {
        self.inner.network_heal_all();
    }

    /// Resets every connection between two nodes.
    pub fn reset_connections(&self, one: NodeId, other: NodeId) {
        self.inner.network_reset(one, other);
    }

    /// The address at which `node` listens on `port` and others reach it.
    pub fn address(&self, node: NodeId, port: u16) -> std::net::SocketAddr {
        super::network::address_of(node, port)
    }

    /// From now on `look` is called whenever an instant is over, before time moves; nobody, for none. It may ask programs, and must not make them do anything.
    pub fn watch_instants(&self, look: Option<Rc<dyn Fn()>>) {
        self.inner.executor.watch(look);
    }

    /// From now on everything from one node to another takes this much longer; zero ends it.
    pub fn slow_link(&self, from: NodeId, to: NodeId, by: Duration) {
        self.inner.network_slow(from, to, nanos(by));
    }

    /// Time since the world began.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.inner.executor.now())
    }

    /// Starts a task that belongs to no node and that no crash reaches: a client, or one that plays fate.
    pub fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> SimTask<T> {
        SimTask::spawn(&self.inner, None, future)
    }

    /// Waits in the world's own time; for tasks that belong to no node.
    pub async fn sleep(&self, duration: Duration) {
        let at = self.inner.executor.now().saturating_add(nanos(duration));
        self.inner.wait_until(at).await;
    }

    /// A random number for the test itself, from a stream of its own: `name`, so that streams do not mix.
    ///
    /// Each call with the same `name` and `index` gives the same number.
    pub fn draw(&self, name: &str, index: u64) -> u64 {
        Stream::new(self.inner.seed, name, index).next()
    }

    /// What happened so far, as one number.
    pub fn trace_hash(&self) -> u128 {
        self.inner.trace.hash()
    }

    /// Events that the trace hash has seen.
    pub fn trace_events(&self) -> u64 {
        self.inner.trace.events()
    }

    /// The rare branches that were taken, and how often.
    pub fn marks(&self) -> BTreeMap<crate::BuggifyPoint, u64> {
        self.inner.marks.borrow().clone()
    }

    /// Polls so far.
    pub fn polls(&self) -> u64 {
        self.inner.executor.polls()
    }
}

impl Inner {
    pub fn node(&self, id: NodeId) -> Rc<Node> {
        self.nodes.borrow()[usize::from(id.0)].clone()
    }

    fn boot(&self, node: &Rc<Node>, cores: usize) {
        assert!(cores > 0, "a node has at least one core");
        let now = self.executor.now();
        node.up.set(true);
        node.core_count.set(cores);
        // An hour at most: whoever keeps a monotonic time across a restart shall notice.
        let uptime = node.streams.boot.borrow_mut().below(3_600_000_000_000);
        node.clock.boot(now, uptime);
        *node.mesh.borrow_mut() = Rc::new(Mesh::new(cores, self.options.mailbox_packets_max));
        self.trace.record(now, Event::Start, u64::from(node.id.0), cores as u64);
        self.trace.remark(format_args!("start of {}", node.name));
    }

    pub async fn wait_until(&self, at: u64) {
        let timer = Rc::new(super::executor::Timer::default());
        self.executor.schedule(at, super::executor::Action::Wake(timer.clone()));
        super::executor::TimerWait { timer }.await;
    }

    fn describe(&self) -> String {
        let (living, held) = self.executor.census();
        format!(
            "the future waits and nothing can wake it; {living} tasks live, {held} of them held by a paused node, \
             at {} us of seed {}",
            self.executor.now() / 1000,
            self.seed
        )
    }
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
