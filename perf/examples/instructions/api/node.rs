//! One node of one core, wired as `torc serve` wires it, and a client of it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use model::map::Map;
use model::ring::ShardId;
use net::fabric::Fabric;
use net::map::MapCell;
use net::mesh::{Mesh, MeshOptions};
use router::{Router, RouterOptions};
use runtime::sim::SimRuntime;
use runtime::{Class, Runtime, Stream, Task};
use shard::{Shard, ShardOptions, node};

pub const PORT: u16 = 8000;
const VNODES: u32 = 16;
const MEMORY_BYTES: usize = 256 << 20;

/// Runs the node's only core until the end of the world.
pub async fn run<R: Runtime>(rt: R, address: SocketAddr) {
    let data = Path::new("/data");
    let identity = node::open(&rt, data, Some(1), VNODES).await.expect("an empty directory");
    let map = MapCell::new(Map::alone(identity.founding_ring()));
    let mesh = Mesh::new(rt.clone(), map.clone(), MeshOptions::default());
    let carrier = mesh.clone();
    rt.spawn(Class::Foreground, async move { carrier.run().await }).detach();
    let options = ShardOptions::new(data, identity, ShardId(0), MEMORY_BYTES);
    let shard = Shard::open(rt.clone(), options, mesh.clone()).await.expect("an empty directory");
    mesh.set_handler(shard.handler());
    let keeper = shard.clone();
    rt.spawn(Class::Foreground, async move { keeper.run().await.expect("a disk that works") }).detach();
    map.at_least(1).await;
    let router = Router::new(rt.clone(), RouterOptions::default(), Fabric::alone(mesh), map);
    let listener = rt.listen(address).await.expect("a free port");
    let server = rt.spawn(Class::Foreground, async move { router.serve(listener).await });
    server.await;
}

/// One connection, one request after the other.
pub struct Client {
    stream: <SimRuntime as Runtime>::Stream,
    buffer: Vec<u8>,
}

impl Client {
    pub async fn connect(rt: &SimRuntime, address: SocketAddr) -> Client {
        loop {
            // The node is still starting.
            match rt.connect(address).await {
                Ok(stream) => return Client { stream, buffer: vec![0; 1 << 20] },
                Err(_) => rt.sleep(Duration::from_millis(1)).await,
            }
        }
    }

    /// The body of the answer, which must be a good one.
    pub async fn call(&mut self, request: &[u8]) -> Vec<u8> {
        self.stream.write_all(request).await.expect("the server reads");
        let mut filled = 0;
        loop {
            filled += self.stream.read(&mut self.buffer[filled..]).await.expect("the server answers");
            if let Some(body) = body_of(&self.buffer[..filled]) {
                return body.to_vec();
            }
        }
    }
}

fn body_of(answer: &[u8]) -> Option<&[u8]> {
    let head_bytes = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let (head, body) = answer.split_at(head_bytes);
    let head = std::str::from_utf8(head).expect("a head is text");
    let size = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).expect("a size");
    if body.len() < size.parse().expect("a number") {
        return None;
    }
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}{}", String::from_utf8_lossy(body));
    Some(body)
}
