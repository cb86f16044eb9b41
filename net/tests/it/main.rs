//! Mesh and links on real cores and real sockets; what can go wrong is tried in simulated worlds, beside the code.

use model::map::Map;
use model::ring::{NodeId, Place, Ring, ShardId};
use net::fabric::Fabric;
use net::links::{Direction, Links, LinksOptions};
use net::map::MapCell;
use net::mesh::{CallError, Handler, Mesh, MeshOptions};
use net::secret::{Secret, Trust};
use net::session::{Identity, SessionOptions};
use runtime::real::{RealOptions, RealRuntime, run};
use runtime::sync::{Either, join_all, select};
use runtime::{CoreId, Listener, Purpose, Runtime};
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// Runs `main` on two cores, in a directory that goes when the test ends.
fn on_two_cores<Fut: Future<Output = ()> + 'static>(
    name: &str,
    main: impl Fn(RealRuntime) -> Fut + Clone + Send + 'static,
) {
    let beside = std::env::current_exe().expect("a test binary has a path");
    let scratch = beside.with_file_name(format!("scratch-{}-{name}", std::process::id()));
    #[expect(clippy::disallowed_methods, reason = "a test's own directory")]
    std::fs::create_dir_all(&scratch).expect("a directory beside the test binary");
    let outcome = run(RealOptions::new(vec![0, 0], &scratch), main);
    std::fs::remove_dir_all(&scratch).expect("it was made above");
    outcome.expect("this machine runs torc");
}

fn turn() -> Handler {
    Rc::new(|mut request: Vec<u8>| {
        request.reverse();
        Box::pin(async move { request })
    })
}

fn soon(rt: &RealRuntime) -> runtime::Mono {
    rt.now().after(Duration::from_secs(20))
}

async fn call_all<F: Future<Output = Vec<u8>>>(call: impl Fn(Vec<u8>) -> F) {
    let sizes = [0, 1, 100, 5000, 70_000, 1_000_000];
    let calls = (0..60_usize).map(|n| {
        let request: Vec<u8> = (0..sizes[n % sizes.len()]).map(|at| ((at * 31 + n) % 251) as u8).collect();
        let call = call(request.clone());
        async move {
            let mut reply = call.await;
            reply.reverse();
            assert!(reply == request, "call {n} of {} bytes", request.len());
        }
    });
    join_all(calls).await;
}

#[test]
fn cores_call_each_other_through_their_mailboxes() {
    on_two_cores("mesh", |rt| async move {
        let map = Map::alone(Ring::even(2, 2));
        let mesh = Mesh::new(rt.clone(), MapCell::new(map.clone()), MeshOptions::default());
        mesh.set_handler(turn());
        let script = async {
            if rt.core() == CoreId(0) {
                for to in [ShardId(0), ShardId(1)] {
                    call_all(|request| async { mesh.call(to, soon(&rt), request).await.expect("a reply") })
                        .await;
                }
                // The last word: the other core waits for this map.
                let map = Map { version: 1, ..map };
                mesh.broadcast_map(Rc::new(map), soon(&rt)).await.expect("the other core is there");
            }
            mesh.map().at_least(1).await;
            // The acknowledgement of the map has to leave before this core does.
            rt.sleep(Duration::from_millis(20)).await;
        };
        assert!(matches!(select(script, mesh.run()).await, Either::First(())));
    });
}

/// Everybody's secret.
fn trust() -> Trust {
    Trust::Secret(Secret::new(b"what only this cluster knows").expect("it is long enough"))
}

/// Links of node `node`, which is a core here, to whoever `other` says.
fn links_of(rt: &RealRuntime, node: u16, other: Rc<Cell<Option<SocketAddr>>>) -> Links<RealRuntime> {
    let place = Some(Place { node: NodeId(node), shard: ShardId(0) });
    let start = rt.random(Purpose::Id);
    let identity = Identity { cluster: 7, node: u128::from(node), place, start };
    let options = LinksOptions::new(SessionOptions::new(identity, trust()));
    Links::new(rt.clone(), options, Rc::new(move |_place| other.get()))
}

async fn listen(rt: &RealRuntime) -> (<RealRuntime as Runtime>::Listener, u16) {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = rt.listen(any).await.expect("a free port");
    let port = listener.local_address().port();
    (listener, port)
}

/// Two cores that know each other as nodes 0 and 1, and only through sockets: calls of all sizes both ways on what becomes one connection,
/// words that are told, a cut, and a stop.
#[test]
fn links_carry_calls_over_real_sockets() {
    on_two_cores("links", |rt| async move {
        let (here, there) = (rt.core().0, 1 - rt.core().0);
        let (listener, port) = listen(&rt).await;
        let other: Rc<Cell<Option<SocketAddr>>> = Rc::default();
        let links = links_of(&rt, here, other.clone());
        let told = Rc::new(Cell::new(0));
        let count = told.clone();
        links.set_receiver(Rc::new(move |node, _shard, bytes| {
            assert_eq!(node, NodeId(there));
            count.set(count.get() + bytes.len());
        }));
        links.set_handler(turn());
        let fabric = Fabric::outside(links.clone());
        let to = Place { node: NodeId(there), shard: ShardId(0) };
        let script = async {
            rt.mesh_send(CoreId(there), port.to_le_bytes().to_vec()).await.expect("it is there");
            let (_, bytes) = rt.mesh_receive().await.expect("the other core sends its port");
            let port = u16::from_le_bytes(bytes.try_into().expect("two bytes"));
            other.set(Some(SocketAddr::from(([127, 0, 0, 1], port))));
            call_all(|request| async { fabric.call(to, soon(&rt), request).await.expect("a reply") }).await;
            while !links.tell(to, vec![5; 3 << 20]) {
                rt.yield_now().await;
            }
            while told.get() < 3 << 20 {
                rt.sleep(Duration::from_millis(1)).await;
            }
            // The other one is through, too, before anybody cuts or goes.
            meet(&rt, there).await;
            if here == 0 {
                links.cut(NodeId(there), Direction::Both);
                let deadline = rt.now().after(Duration::from_millis(30));
                let lost = links.call(to, deadline, vec![1]).await;
                assert_eq!(lost, Err(CallError::Deadline));
                links.heal(NodeId(there));
                while links.call(to, soon(&rt), vec![1, 2]).await != Ok(vec![2, 1]) {
                    rt.sleep(Duration::from_millis(1)).await;
                }
            }
            meet(&rt, there).await;
        };
        let serve = async { select(links.serve(listener), links.run()).await };
        assert!(matches!(select(script, serve).await, Either::First(())));
        assert_eq!(fabric.call(to, soon(&rt), vec![1]).await, Err(CallError::NotServing), "it has ended");
    });
}

/// Waits until the other core does the same.
async fn meet(rt: &RealRuntime, there: u16) {
    rt.mesh_send(CoreId(there), Vec::new()).await.expect("it is there");
    rt.mesh_receive().await.expect("it is there");
}
