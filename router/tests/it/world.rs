//! A simulated process with two cores, a router on the first, and clients on another node.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use model::map::Map;
use model::ring::Ring;
use net::fabric::Fabric;
use net::map::MapCell;
use net::mesh::{Mesh, MeshOptions};
use router::{Router, RouterOptions};
use runtime::sim::{SimRuntime, World, WorldOptions};
use runtime::{CoreId, Runtime, Stream};

use crate::shard::Store;

const PORT: u16 = 8000;
/// Vnodes of the ring: enough that a scan crosses several, on both cores.
const VNODES: u32 = 5;

/// What a test has in hand.
#[derive(Clone)]
pub struct Server {
    pub rt: SimRuntime,
    pub address: SocketAddr,
    pub store: Rc<Store>,
    pub router: Rc<RefCell<Option<Rc<Router<SimRuntime>>>>>,
    /// `serve` has returned.
    pub served: Rc<Cell<bool>>,
}

/// Runs `test` on a client's node against a fresh server.
pub fn with_server<F: Future<Output = ()>>(options: RouterOptions, test: impl FnOnce(Server) -> F) {
    let world = World::new(1, WorldOptions::default());
    let (server_node, client_node) = (world.node("server"), world.node("client"));
    let (store, router) = (Rc::new(Store::default()), Rc::new(RefCell::new(None)));
    let served = Rc::new(Cell::new(false));
    let address = world.address(server_node, PORT);
    world.start(server_node, 2, |rt| {
        let mesh = start_shard(&rt, store.clone());
        let (options, router, served) = (options.clone(), router.clone(), served.clone());
        async move {
            if rt.core() == CoreId(0) {
                let fabric = Fabric::alone(mesh.clone());
                let built = Router::new(rt.clone(), options, fabric, mesh.map().clone());
                *router.borrow_mut() = Some(built.clone());
                let listener = rt.listen(address).await.expect("the port is free");
                built.serve(listener).await;
                served.set(true);
            }
            std::future::pending().await
        }
    });
    let rt = world.runtime(client_node);
    world.run_for(Duration::from_millis(1));
    world.block_on(test(Server { rt, address, store, router, served }));
}

fn start_shard(rt: &SimRuntime, store: Rc<Store>) -> Mesh<SimRuntime> {
    let map = Map::alone(Ring::even(VNODES, 2));
    let cell = MapCell::new(map);
    let mesh = Mesh::new(rt.clone(), cell.clone(), MeshOptions::default());
    let (calls, clock) = (mesh.clone(), rt.clone());
    mesh.set_handler(Rc::new(move |bytes| {
        let (store, cell, mesh, rt) = (store.clone(), cell.clone(), calls.clone(), clock.clone());
        Box::pin(async move {
            let (reply, map) = store.handle(&bytes, &cell, rt.core().0);
            if let Some(map) = map {
                let deadline = rt.now().after(Duration::from_secs(1));
                mesh.broadcast_map(map, deadline).await.expect("all cores are there");
            }
            reply.encode()
        })
    }));
    let receiver = mesh.clone();
    runtime::Task::detach(rt.spawn(runtime::Class::Foreground, async move { receiver.run().await }));
    mesh
}

/// One response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Response {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// One connection of a client.
pub struct Client {
    rt: SimRuntime,
    stream: <SimRuntime as Runtime>::Stream,
    read: RefCell<Vec<u8>>,
}

impl Client {
    pub async fn connect(server: &Server) -> Client {
        let stream = server.rt.connect(server.address).await.expect("the server listens");
        Client { rt: server.rt.clone(), stream, read: RefCell::default() }
    }

    pub async fn send(&self, bytes: &[u8]) {
        // A server that has closed is seen when its answer is read.
        let _ = self.stream.write_all(bytes).await;
    }

    /// Sends, if the server takes it within a time; false when it does not, or has gone.
    pub async fn try_send(&self, bytes: &[u8], time: Duration) -> bool {
        matches!(runtime::sync::timeout(&self.rt, time, self.stream.write_all(bytes)).await, Ok(Ok(())))
    }

    /// Says that nothing more will be sent.
    pub async fn finish(&self) {
        let _ = self.stream.shutdown().await;
    }

    /// The next response; none when the server has closed instead.
    pub async fn response(&self, has_body: bool) -> Option<Response> {
        let head = self.take_until(|read| {
            read.windows(4).position(|window| window == b"\r\n\r\n").map(|position| position + 4)
        });
        let head = String::from_utf8(head.await?).expect("heads are text");
        let mut response =
            Response { status: head[9..12].parse().expect("a status"), head, body: String::new() };
        let size: usize = match response.header("Content-Length") {
            Some(size) if has_body => size.parse().expect("a size"),
            _ => 0,
        };
        let body = self.take_until(|read| (read.len() >= size).then_some(size)).await?;
        if has_body {
            let checksum = response.header("x-amz-crc32").map(|text| text.parse::<u32>().expect("a number"));
            assert!(response.status == 100 || checksum == Some(crc32fast::hash(&body)), "{response:?}");
        }
        response.body = String::from_utf8(body).expect("bodies are text");
        Some(response)
    }

    /// The next response's head, and its body as it was sent.
    pub async fn packed_response(&self) -> (String, Vec<u8>) {
        let end = |read: &[u8]| read.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
        let head = self.take_until(end).await.expect("a head");
        let head = String::from_utf8(head).expect("heads are text");
        let size = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).expect("a size");
        let size = size.parse().expect("a number");
        let body = self.take_until(|read| (read.len() >= size).then_some(size)).await.expect("a body");
        (head, body)
    }

    /// Calls an operation.
    pub async fn call(&self, operation: &str, body: &str) -> Response {
        self.send(&request(operation, body)).await;
        self.response(true).await.expect("calls are answered")
    }

    /// Whether the server has closed the connection and sent nothing more.
    pub async fn is_closed(&self) -> bool {
        self.response(false).await.is_none()
    }

    async fn take_until(&self, found: impl Fn(&[u8]) -> Option<usize>) -> Option<Vec<u8>> {
        loop {
            let size = found(&self.read.borrow());
            if let Some(size) = size {
                let mut read = self.read.borrow_mut();
                let rest = read.split_off(size);
                return Some(std::mem::replace(&mut *read, rest));
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(size) => self.read.borrow_mut().extend_from_slice(&buffer[..size]),
            }
        }
    }
}

/// A whole request.
pub fn request(operation: &str, body: &str) -> Vec<u8> {
    let size = body.len();
    format!(
        "POST / HTTP/1.1\r\nHost: localhost:8000\r\nX-Amz-Target: DynamoDB_20120810.{operation}\r\n\
         Content-Type: application/x-amz-json-1.0\r\nContent-Length: {size}\r\n\r\n{body}"
    )
    .into_bytes()
}
