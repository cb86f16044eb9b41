//! The [`Runtime`] of one core of one node of a world.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use super::disk::SimFile;
use super::executor::SimTask;
use super::network::{SimListener, SimStream};
use super::options::Chance;
use super::random::{Stream, hash_name, mix};
use super::trace::Event;
use super::world::{Inner, Node, NodeId, nanos};
use crate::{BuggifyPoint, Class, Closed, CoreId, DirEntry, Mono, OpenOptions, Purpose, Runtime, Wall};

/// A core of a simulated node. Dead after the crash of its node: its calls then fail, and what it spawns never runs.
#[derive(Clone)]
pub struct SimRuntime {
    pub(super) here: Rc<Here>,
}

pub(super) struct Here {
    pub world: Rc<Inner>,
    pub node: Rc<Node>,
    pub incarnation: u32,
    pub core: CoreId,
    pub core_count: usize,
}

/// One in four points is active in a world, and an active one fires once in four times. Source: FoundationDB's
/// BUGGIFY.
const BUGGIFY_ACTIVE_ONE_IN: u64 = 4;
const BUGGIFY_FIRES: Chance = Chance::percent(25);

/// A loop that asks is told to yield once in so many times.
const YIELDS_ONE_IN: u64 = 8;

impl SimRuntime {
    pub(super) fn new(world: &Rc<Inner>, node: &Rc<Node>, core: CoreId) -> SimRuntime {
        let (incarnation, core_count) = (node.incarnation.get(), node.core_count.get());
        let here = Here { world: world.clone(), node: node.clone(), incarnation, core, core_count };
        SimRuntime { here: Rc::new(here) }
    }

    /// The node that this core belongs to.
    pub fn node(&self) -> NodeId {
        self.here.node.id
    }
}

impl Here {
    pub fn is_alive(&self) -> bool {
        self.node.up.get() && self.node.incarnation.get() == self.incarnation
    }

    /// An error once the node has crashed since this handle was made.
    pub fn check_alive(&self) -> io::Result<()> {
        if self.is_alive() {
            return Ok(());
        }
        let message = format!("node {} has crashed since this handle was made", self.node.name);
        Err(io::Error::new(io::ErrorKind::ConnectionAborted, message))
    }
}

fn purpose_index(purpose: Purpose) -> usize {
    match purpose {
        Purpose::Hash => 0,
        Purpose::Id => 1,
        Purpose::Jitter => 2,
        Purpose::Route => 3,
        Purpose::Workload => 4,
    }
}

const PURPOSES: usize = 5;

impl Runtime for SimRuntime {
    type File = SimFile;
    type Listener = SimListener;
    type Stream = SimStream;
    type Task<T: 'static> = SimTask<T>;

    fn core(&self) -> CoreId {
        self.here.core
    }

    fn core_count(&self) -> usize {
        self.here.core_count
    }

    fn now(&self) -> Mono {
        Mono(self.here.node.clock.mono(self.here.world.executor.now()))
    }

    fn wall(&self) -> Wall {
        Wall(self.here.node.clock.wall_us(self.here.world.executor.now()))
    }

    async fn sleep(&self, duration: Duration) {
        let deadline = self.now().0.saturating_add(nanos(duration));
        loop {
            let at = self.here.node.clock.world_time_of(deadline);
            self.here.world.wait_until(at).await;
            // The rate may have changed meanwhile.
            if self.now().0 >= deadline || !self.here.is_alive() {
                return;
            }
        }
    }

    fn random(&self, purpose: Purpose) -> u64 {
        let index = usize::from(self.here.core.0) * PURPOSES + purpose_index(purpose);
        let mut streams = self.here.node.streams.program.borrow_mut();
        if streams.len() <= index {
            streams.resize_with(index + 1, || None);
        }
        let owner = (u64::from(self.here.node.id.0) << 32) | index as u64;
        streams[index].get_or_insert_with(|| Stream::new(self.here.world.seed, "program", owner)).next()
    }

    fn buggify(&self, point: BuggifyPoint) -> bool {
        let world = &self.here.world;
        let active = mix(world.seed ^ hash_name(point)).is_multiple_of(BUGGIFY_ACTIVE_ONE_IN);
        let fires = self.here.node.streams.buggify.borrow_mut().happens(BUGGIFY_FIRES);
        world.options.buggify && active && fires
    }

    fn mark(&self, branch: BuggifyPoint) {
        *self.here.world.marks.borrow_mut().entry(branch).or_default() += 1;
    }

    fn spawn<T: 'static>(&self, class: Class, future: impl Future<Output = T> + 'static) -> SimTask<T> {
        if !self.here.is_alive() {
            return SimTask::stillborn();
        }
        // Order is random whatever the class: shares are a matter of speed, and nothing may rely on them.
        let (world, node) = (&self.here.world, self.here.node.id);
        world.trace.record(world.executor.now(), Event::Spawn, node.0.into(), class as u64);
        SimTask::spawn(world, Some(node), future)
    }

    async fn yield_now(&self) {
        futures_lite::future::yield_now().await;
    }

    fn should_yield(&self) -> bool {
        self.here.node.streams.should_yield.borrow_mut().below(YIELDS_ONE_IN) == 0
    }

    async fn open(&self, path: &Path, options: OpenOptions) -> io::Result<SimFile> {
        SimFile::open(&self.here, path, options).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.here.rename(from, to).await
    }

    async fn remove(&self, path: &Path) -> io::Result<()> {
        self.here.remove(path).await
    }

    async fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.here.create_dir(path).await
    }

    async fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.here.list(path).await
    }

    async fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.here.sync_dir(path).await
    }

    fn disk_free(&self, path: &Path) -> io::Result<u64> {
        self.here.check_alive()?;
        self.here.node.disk.find(path)?;
        Ok(self.here.node.disk.bytes_free())
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<SimListener> {
        self.here.check_alive()?;
        SimListener::bind(&self.here, address)
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<SimStream> {
        self.here.check_alive()?;
        SimStream::connect(&self.here, address).await
    }

    async fn mesh_send(&self, to: CoreId, packet: Vec<u8>) -> Result<(), Closed> {
        self.here.check_alive().map_err(|_| Closed)?;
        let mesh = self.here.node.mesh.borrow().clone();
        mesh.send(self.here.core, to, packet).await
    }

    async fn mesh_receive(&self) -> Result<(CoreId, Vec<u8>), Closed> {
        self.here.check_alive().map_err(|_| Closed)?;
        let mesh = self.here.node.mesh.borrow().clone();
        Ok(mesh.receive(self.here.core, &self.here.node.streams.mesh).await)
    }
}
