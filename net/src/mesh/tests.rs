//! Calls between the cores of a simulated node.

use super::*;
use model::ring::Ring;
use runtime::sim::{SimRuntime, World, WorldOptions};
use runtime::sync::timeout;
use std::time::Duration;

type TestMesh = Mesh<SimRuntime>;

fn map(version: u64) -> Map {
    Map { version, ..Map::alone(Ring::even(4, 2)) }
}

/// A handler that answers with its core and what it was asked, after the milliseconds that the request begins with.
fn echo(rt: &SimRuntime) -> Handler {
    let rt = rt.clone();
    Rc::new(move |request: Vec<u8>| {
        let rt = rt.clone();
        Box::pin(async move {
            let pause = request.first().map_or(0, |first| u64::from(*first));
            if pause > 0 {
                rt.sleep(Duration::from_millis(pause)).await;
            }
            [&[u8::try_from(rt.core().0).unwrap()], request.as_slice()].concat()
        })
    })
}

/// Runs `script` on core 0 of a node of `cores`, all of which serve `echo`.
fn run<F>(
    seed: u64,
    cores: usize,
    in_flight_max: usize,
    mailbox: usize,
    script: impl Fn(SimRuntime, TestMesh) -> F,
) where
    F: Future<Output = ()> + 'static,
{
    let world = World::new(seed, WorldOptions { mailbox_packets_max: mailbox, ..WorldOptions::default() });
    let node = world.node("n");
    let done = Rc::new(Cell::new(false));
    world.start(node, cores, |rt| {
        let mesh = Mesh::new(rt.clone(), MapCell::new(map(0)), MeshOptions { in_flight_max });
        mesh.set_handler(echo(&rt));
        if rt.core() != CoreId(2) {
            let core = rt.core().0;
            mesh.set_teller(Rc::new(move |question| [format!("{core} ").as_bytes(), question].concat()));
        }
        let script = (rt.core() == CoreId(0)).then(|| script(rt.clone(), mesh.clone()));
        let done = done.clone();
        async move {
            match script {
                None => mesh.run().await,
                Some(script) => {
                    select(script, mesh.run()).await;
                    done.set(true);
                }
            }
        }
    });
    assert!(world.run_until(Duration::from_secs(60), || done.get()), "the script did not end");
}

/// Both futures, concurrently.
async fn both<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut of_a, mut of_b) = (None, None);
    {
        let a: Pin<Box<dyn Future<Output = ()> + '_>> = Box::pin(async { of_a = Some(a.await) });
        let b: Pin<Box<dyn Future<Output = ()> + '_>> = Box::pin(async { of_b = Some(b.await) });
        join_all([a, b]).await;
    }
    (of_a.unwrap(), of_b.unwrap())
}

fn soon(rt: &SimRuntime, millis: u64) -> Mono {
    rt.now().after(Duration::from_millis(millis))
}

#[test]
fn every_core_answers_the_own_one_too() {
    run(1, 3, 16, 8, |rt, mesh| async move {
        for core in 0..3 {
            let reply = mesh.call(ShardId(core), soon(&rt, 1000), vec![0, 7, 8]).await;
            assert_eq!(reply, Ok(vec![u8::try_from(core).unwrap(), 0, 7, 8]));
        }
        assert_eq!(mesh.call(ShardId(3), soon(&rt, 1000), vec![]).await, Err(CallError::NotServing));
    });
}

#[test]
fn more_than_the_bound_is_refused_at_once_and_room_comes_back() {
    for to in [ShardId(0), ShardId(1)] {
        run(2, 2, 2, 8, move |rt, mesh| async move {
            let call = |pause| mesh.call(to, soon(&rt, 1000), vec![pause]);
            let replies = join_all([call(20), call(20), call(0)]).await;
            assert!(replies[0].is_ok() && replies[1].is_ok());
            assert_eq!(replies[2], Err(CallError::Busy));
            assert!(CallError::Busy.had_no_effect());
            assert!(call(0).await.is_ok());
        });
    }
}

#[test]
fn a_deadline_ends_the_wait_but_the_call_counts_until_its_reply() {
    run(3, 2, 1, 8, |rt, mesh| async move {
        let began = rt.now();
        let slow = mesh.call(ShardId(1), soon(&rt, 30), vec![200]).await;
        assert_eq!(slow, Err(CallError::Deadline));
        let waited = rt.now().since(began);
        assert!((30..40).contains(&waited.as_millis()), "{waited:?}");
        assert_eq!(mesh.call(ShardId(1), soon(&rt, 30), vec![0]).await, Err(CallError::Busy));
        rt.sleep(Duration::from_millis(250)).await;
        assert!(mesh.call(ShardId(1), soon(&rt, 30), vec![0]).await.is_ok());
    });
}

#[test]
fn a_deadline_ends_a_call_to_the_own_core_and_makes_room() {
    run(4, 1, 1, 8, |rt, mesh| async move {
        assert_eq!(mesh.call(ShardId(0), soon(&rt, 10), vec![200]).await, Err(CallError::Deadline));
        assert!(mesh.call(ShardId(0), soon(&rt, 10), vec![0]).await.is_ok());
    });
}

#[test]
fn an_earlier_deadline_is_not_held_up_by_a_later_one() {
    run(5, 2, 8, 8, |rt, mesh| async move {
        let began = rt.now();
        let late = mesh.call(ShardId(1), soon(&rt, 150), vec![200]);
        let early = async {
            rt.sleep(Duration::from_millis(5)).await;
            let outcome = mesh.call(ShardId(1), soon(&rt, 10), vec![200]).await;
            (outcome, rt.now().since(began))
        };
        let (late, (early, waited)) = both(late, early).await;
        assert_eq!((late, early), (Err(CallError::Deadline), Err(CallError::Deadline)));
        assert!(waited < Duration::from_millis(25), "{waited:?}");
    });
}

#[test]
fn dropped_calls_leak_nothing() {
    run(6, 2, 3, 8, |rt, mesh| async move {
        for round in 0..20 {
            let to = ShardId(round % 2);
            let call = mesh.call(to, soon(&rt, 1000), vec![5]);
            assert!(timeout(&rt, Duration::from_millis(1), call).await.is_err());
            rt.sleep(Duration::from_millis(10)).await;
        }
        let all = join_all((0..3).map(|_| mesh.call(ShardId(1), soon(&rt, 1000), vec![1]))).await;
        assert!(all.iter().all(Result::is_ok), "{all:?}");
    });
}

#[test]
fn a_core_without_handler_serves_nothing() {
    run(7, 2, 8, 8, |rt, mesh| async move {
        mesh.clear_handler();
        assert_eq!(mesh.call(ShardId(0), soon(&rt, 10), vec![]).await, Err(CallError::NotServing));
    });
}

#[test]
fn tiny_mailboxes_do_not_lock_each_other() {
    for seed in 0..20 {
        run(seed, 3, 64, 1, |rt, mesh| async move {
            // The others call back in vain while core 0 floods them: replies and requests share the mailboxes.
            let calls =
                (0..100).map(|n| mesh.call(ShardId(n % 3), soon(&rt, 5000), vec![u8::from(n % 7 == 0)]));
            let replies = join_all(calls).await;
            let fine = |reply: &Result<_, _>| matches!(reply, Ok(_) | Err(CallError::Busy));
            assert!(replies.iter().all(fine) && replies.iter().filter(|reply| reply.is_ok()).count() >= 64);
        });
    }
}

#[test]
fn a_map_is_everywhere_when_the_broadcast_returns_and_never_goes_back() {
    let world = World::new(8, WorldOptions::default());
    let node = world.node("n");
    let cells: Rc<RefCell<Vec<MapCell>>> = Rc::default();
    let done = Rc::new(Cell::new(false));
    world.start(node, 4, |rt| {
        let cell = MapCell::new(map(0));
        cells.borrow_mut().push(cell.clone());
        let mesh = Mesh::new(rt.clone(), cell, MeshOptions::default());
        let (cells, done) = (cells.clone(), done.clone());
        async move {
            let script = async {
                for version in [1, 2, 5, 4] {
                    mesh.broadcast_map(Rc::new(map(version)), soon(&rt, 1000)).await.unwrap();
                    let newest = version.max(if version == 4 { 5 } else { 0 });
                    assert!(cells.borrow().iter().all(|cell| cell.get().version == newest));
                }
                let third = cells.borrow()[2].clone();
                assert_eq!(third.at_least(5).await.version, 5);
                done.set(true);
            };
            match rt.core() {
                CoreId(0) => drop(select(script, mesh.run()).await),
                _ => mesh.run().await,
            }
        }
    });
    assert!(world.run_until(Duration::from_secs(10), || done.get()));
}

/// A core keeps what it has of the map before: it was sent the difference. One that has another map gets all of it.
#[test]
fn a_core_is_sent_what_is_different() {
    let with_node = |version: u64| {
        let address = "10.0.0.1:7000".parse().expect("an address");
        let node = model::node::Node {
            number: model::ring::NodeId(0),
            id: 1,
            name: "n".to_string(),
            zone: "a".to_string(),
            addresses: vec![address],
            http: None,
            state: model::node::NodeState::Active,
        };
        let mut map = map(version);
        map.nodes.insert(node.number, Rc::new(node));
        Rc::new(map)
    };
    let world = World::new(8, WorldOptions::default());
    let node = world.node("n");
    let cells: Rc<RefCell<Vec<MapCell>>> = Rc::default();
    let done = Rc::new(Cell::new(false));
    world.start(node, 2, |rt| {
        let cell = MapCell::new(map(0));
        cells.borrow_mut().push(cell.clone());
        let mesh = Mesh::new(rt.clone(), cell, MeshOptions::default());
        let (cells, done) = (cells.clone(), done.clone());
        async move {
            let script = async {
                let there = cells.borrow()[1].clone();
                let give = async |version| {
                    mesh.broadcast_map(with_node(version), soon(&rt, 1000)).await.unwrap();
                    let map = there.get();
                    assert_eq!(map, with_node(version));
                    map.nodes[&model::ring::NodeId(0)].clone()
                };
                let first = give(1).await;
                let second = give(2).await;
                assert!(Rc::ptr_eq(&first, &second), "only the version was sent");
                there.set(with_node(7));
                let third = give(8).await;
                assert!(!Rc::ptr_eq(&second, &third), "it had another map than was thought");
                assert!(Rc::ptr_eq(&third, &give(9).await));
                done.set(true);
            };
            match rt.core() {
                CoreId(0) => drop(select(script, mesh.run()).await),
                _ => mesh.run().await,
            }
        }
    });
    assert!(world.run_until(Duration::from_secs(10), || done.get()));
}

#[test]
fn a_map_gets_through_when_the_bound_is_used_up() {
    run(12, 2, 1, 8, |rt, mesh| async move {
        let slow = mesh.call(ShardId(1), soon(&rt, 1000), vec![200]);
        let spread = async {
            rt.sleep(Duration::from_millis(5)).await;
            assert_eq!(mesh.call(ShardId(1), soon(&rt, 100), vec![0]).await, Err(CallError::Busy));
            mesh.broadcast_map(Rc::new(map(3)), soon(&rt, 100)).await
        };
        let (slow, spread) = both(slow, spread).await;
        assert!(slow.is_ok());
        assert_eq!(spread, Ok(()));
    });
}

#[test]
fn all_cores_tell_even_when_the_bound_is_used_up() {
    run(10, 3, 1, 8, |rt, mesh| async move {
        // Core 1 has its one call; core 2 tells nobody anything.
        let busy = mesh.call(ShardId(1), soon(&rt, 1000), vec![100]);
        let asks = async {
            rt.sleep(Duration::from_millis(1)).await;
            mesh.ask_all(b"what", soon(&rt, 50)).await
        };
        assert_eq!(both(busy, asks).await.1, [b"0 what".to_vec(), b"1 what".to_vec()]);
    });
}

#[test]
fn stopping_ends_every_call() {
    run(9, 2, 8, 8, |rt, mesh| async move {
        let stop = async {
            rt.sleep(Duration::from_millis(3)).await;
            mesh.stop();
        };
        let call = mesh.call(ShardId(1), soon(&rt, 1000), vec![100]);
        let ((), outcome) = both(stop, call).await;
        assert_eq!(outcome, Err(CallError::Closed));
        assert_eq!(mesh.call(ShardId(0), soon(&rt, 1000), vec![]).await, Err(CallError::Closed));
    });
}

#[test]
fn packets_come_back() {
    for kind in [Kind::Request, Kind::Map, Kind::Reply, Kind::NotServing, Kind::Tell] {
        let packet = Packet { kind, call: 77, deadline: Mono(1 << 40), payload: b"payload".to_vec() };
        let opened = Packet::open(packet.seal());
        assert_eq!((opened.kind, opened.call, opened.deadline), (kind, 77, Mono(1 << 40)));
        assert_eq!(opened.payload, b"payload");
    }
}
