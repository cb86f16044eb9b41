//! What calls between two cores cost through sockets: `cargo run --release -p net --example round_trips [SECONDS]`.
//! `cargo test` runs it for an instant, so that it does not rot.
//!
//! Two pinned cores of one process, nodes 0 and 1 to each other, with a secret, over loopback. The sketch: a call is four system calls (a
//! send and a receive on each side), two wake-ups and two turns of an executor. Alone it waits for the wake-ups: 30 to 40 us each where a core sleeps
//! in a virtual machine. With 64 in flight frames share the system calls and nobody sleeps; what is left is our own work: some 2 us on each side. A small
//! call beside large ones waits for what the system has taken of them already, a few MiB, and for one part.

use model::ring::{NodeId, Place, ShardId};
use net::links::{Links, LinksOptions};
use net::secret::{Secret, Trust};
use net::session::{Identity, SessionOptions};
use runtime::real::{RealOptions, RealRuntime, run};
use runtime::sync::{join_all, select};
use runtime::{CoreId, Listener, Purpose, Runtime};
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// The other core.
const SERVER: Place = Place { node: NodeId(1), shard: ShardId(0) };

fn main() {
    let seconds: f64 = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(0.05);
    let beside = std::env::current_exe().expect("this program is a file");
    let directory = beside.with_file_name(format!("round-trips-{}", std::process::id()));
    #[expect(clippy::disallowed_methods, reason = "before the runtime starts")]
    std::fs::create_dir_all(&directory).expect("a directory beside this program");
    // On a machine with one cpu both share it.
    let outcome = run(RealOptions::new(vec![0, 1], &directory), move |rt| measure(rt, seconds));
    std::fs::remove_dir_all(&directory).expect("it was made above");
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

async fn measure(rt: RealRuntime, seconds: f64) {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = rt.listen(any).await.expect("some port is free");
    let server: Rc<Cell<Option<SocketAddr>>> = Rc::default();
    let links = links(&rt, server.clone());
    if rt.core() == CoreId(1) {
        links.set_handler(Rc::new(|request| Box::pin(async move { request })));
        let port = listener.local_address().port();
        rt.mesh_send(CoreId(0), port.to_le_bytes().to_vec()).await.expect("core 0 is there");
        let over = rt.mesh_receive();
        select(over, links.serve(listener)).await;
        return;
    }
    let (_, port) = rt.mesh_receive().await.expect("core 1 says where it listens");
    let port = u16::from_le_bytes(port.try_into().expect("two bytes"));
    server.set(Some(SocketAddr::from(([127, 0, 0, 1], port))));
    for size in [128, 1024] {
        for in_flight in [1, 8, 64] {
            calls(&rt, &links, size, in_flight, seconds).await;
        }
    }
    large(&rt, &links, seconds).await;
    rt.mesh_send(CoreId(1), Vec::new()).await.expect("core 1 is there");
}

fn links(rt: &RealRuntime, server: Rc<Cell<Option<SocketAddr>>>) -> Links<RealRuntime> {
    let node = rt.core().0;
    let place = Some(Place { node: NodeId(node), shard: ShardId(0) });
    let start = rt.random(Purpose::Id);
    let identity = Identity { cluster: 7, node: u128::from(node), place, start };
    let trust = Trust::Secret(Secret::new(b"only for this measurement").expect("it is long enough"));
    let options = LinksOptions::new(SessionOptions::new(identity, trust));
    Links::new(rt.clone(), options, Rc::new(move |_place| server.get()))
}

async fn calls(rt: &RealRuntime, links: &Links<RealRuntime>, size: usize, in_flight: usize, seconds: f64) {
    let begin = rt.now();
    let end = begin.after(Duration::from_secs_f64(seconds));
    let times = RefCell::new(Vec::new());
    let callers = (0..in_flight).map(|_| async {
        while rt.now() < end {
            let since = rt.now();
            let reply = links.call(SERVER, since.after(Duration::from_secs(5)), vec![7; size]).await;
            assert_eq!(reply.expect("core 1 answers").len(), size);
            times.borrow_mut().push(rt.now().since(since));
        }
    });
    join_all(callers).await;
    let took = rt.now().since(begin).as_secs_f64();
    let mut times = times.into_inner();
    times.sort_unstable();
    let rate = times.len() as f64 / took;
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "{size:>5} bytes, {in_flight:>2} in flight: {rate:>9.0} round trips/s, {:?} p50, {:?} p99",
        at(0.5),
        at(0.99)
    );
}

/// How long a small call takes while 24 MiB calls are under way.
async fn large(rt: &RealRuntime, links: &Links<RealRuntime>, seconds: f64) {
    let size = 24 << 20;
    let (begin, moved) = (rt.now(), Cell::new(0_usize));
    let end = begin.after(Duration::from_secs_f64(seconds));
    let heavy = async {
        while rt.now() < end {
            let deadline = rt.now().after(Duration::from_secs(30));
            let reply = links.call(SERVER, deadline, vec![7; size]).await;
            assert_eq!(reply.expect("core 1 answers").len(), size);
            moved.set(moved.get() + 2 * size);
        }
    };
    let times = RefCell::new(Vec::new());
    let light = async {
        loop {
            let since = rt.now();
            links.call(SERVER, since.after(Duration::from_secs(5)), vec![7; 128]).await.expect("an answer");
            times.borrow_mut().push(rt.now().since(since));
            rt.sleep(Duration::from_millis(1)).await;
        }
    };
    select(heavy, light).await;
    let rate = moved.get() as f64 / rt.now().since(begin).as_secs_f64() / 1e6;
    let mut times = times.into_inner();
    times.sort_unstable();
    print!("24 MiB there and back, one in flight: {rate:.0} MB/s; ");
    // In a moment as short as a test's, on a busy machine, none may have come back.
    match times.last() {
        Some(last) => {
            println!("meanwhile a call of 128 bytes takes {:?} p50, {last:?} at most", times[times.len() / 2])
        }
        None => println!("no call of 128 bytes came back meanwhile"),
    }
}
