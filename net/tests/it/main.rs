//! Mesh and session on real cores and real sockets; what can go wrong is tried in simulated worlds, beside the code.

use model::map::Map;
use model::ring::{Ring, ShardId};
use net::frame::Hello;
use net::map::MapCell;
use net::mesh::{Handler, Mesh, MeshOptions};
use net::session::{Session, SessionError, SessionOptions};
use runtime::real::{RealOptions, RealRuntime, run};
use runtime::sync::{Either, join_all, select};
use runtime::{CoreId, Listener, Runtime};
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

#[test]
fn a_session_carries_calls_over_real_sockets() {
    on_two_cores("session", |rt| async move {
        let options = |node| SessionOptions::new(Hello { cluster: 7, node, shard: rt.core().0 });
        if rt.core() == CoreId(0) {
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let listener = rt.listen(any).await.expect("a free port");
            let port = listener.local_address().port();
            rt.mesh_send(CoreId(1), port.to_le_bytes().to_vec()).await.expect("core 1 listens");
            let (stream, _) = listener.accept().await.expect("core 1 connects");
            let session =
                Session::accept(rt.clone(), stream, options(1), Some(turn())).await.expect("a hello");
            assert_eq!(session.peer().node, 2);
            let why = session.run().await;
            assert!(matches!(why, SessionError::Ended | SessionError::Io(_)), "{why}");
        } else {
            let (_, port) = rt.mesh_receive().await.expect("core 0 sends its port");
            let port = u16::from_le_bytes(port.try_into().expect("two bytes"));
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            let session = Session::connect(rt.clone(), address, options(2), None).await.expect("a hello");
            let calls = call_all(|request| {
                let (session, rt) = (session.clone(), rt.clone());
                async move { session.call(soon(&rt), &request).await.expect("a reply") }
            });
            assert!(matches!(select(calls, session.run()).await, Either::First(())));
        }
    });
}
