//! Sessions over the simulated network: calls, strangers, cuts, resets, and bytes that change on their way.

use super::*;
use runtime::sim::{Chance, NetworkFaults, NodeId, SimRuntime, World, WorldOptions};
use runtime::sync::join_all;

const CLUSTER: u128 = 42;
const PORT: u16 = 7000;

fn hello(node: u128) -> Hello {
    Hello { cluster: CLUSTER, node, shard: 0 }
}

/// Answers with the request turned round, after the milliseconds that it begins with.
fn turn(rt: &SimRuntime) -> Handler {
    let rt = rt.clone();
    Rc::new(move |mut request: Vec<u8>| {
        let rt = rt.clone();
        Box::pin(async move {
            let pause = request.first().map_or(0, |first| u64::from(*first));
            if pause > 0 {
                rt.sleep(Duration::from_millis(pause)).await;
            }
            request.reverse();
            request
        })
    })
}

struct Pair {
    world: World,
    client: NodeId,
    server: NodeId,
    /// Why sessions on the server ended, in order.
    ended: Rc<RefCell<Vec<String>>>,
}

/// A world with a server that accepts for ever; `change` alters its options.
fn pair(seed: u64, network: NetworkFaults, change: impl Fn(&mut SessionOptions)) -> Pair {
    let world = World::new(seed, WorldOptions { network, ..WorldOptions::default() });
    let (client, server) = (world.node("client"), world.node("server"));
    let ended: Rc<RefCell<Vec<String>>> = Rc::default();
    let mut options = SessionOptions::new(hello(2));
    change(&mut options);
    let (address, log) = (world.address(server, PORT), ended.clone());
    world.start(server, 1, move |rt| {
        let (options, log) = (options.clone(), log.clone());
        async move {
            let listener = rt.listen(address).await.unwrap();
            loop {
                let Ok((stream, _)) = runtime::Listener::accept(&listener).await else { continue };
                let (rt2, options, log) = (rt.clone(), options.clone(), log.clone());
                let serve = async move {
                    let handler = turn(&rt2);
                    let why = match Session::accept(rt2, stream, options, Some(handler)).await {
                        Ok(session) => session.run().await,
                        Err(error) => error,
                    };
                    log.borrow_mut().push(why.to_string());
                };
                rt.spawn(Class::Foreground, serve).detach();
            }
        }
    });
    Pair { world, client, server, ended }
}

impl Pair {
    /// Runs `script` with a session from the client; gives what the script gave and why the session ended, if it did.
    fn talk<T: 'static, F: Future<Output = T>>(
        &self,
        options: SessionOptions,
        port: u16,
        script: impl FnOnce(SimRuntime, Session<SimRuntime>) -> F,
    ) -> Result<(Option<T>, Option<SessionError>), SessionError> {
        let rt = self.world.runtime(self.client);
        let address = self.world.address(self.server, port);
        self.world.block_on(async {
            // The server may not listen yet: it starts at this very moment.
            rt.sleep(Duration::from_millis(5)).await;
            let session = Session::connect(rt.clone(), address, options, None).await?;
            match select(script(rt.clone(), session.clone()), session.run()).await {
                Either::First(value) => {
                    session.close();
                    Ok((Some(value), None))
                }
                Either::Second(why) => Ok((None, Some(why))),
            }
        })
    }
}

fn soon(rt: &SimRuntime, millis: u64) -> Mono {
    rt.now().after(Duration::from_millis(millis))
}

fn payload(first: u8, size: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
    bytes[0] = first;
    bytes
}

fn turned(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.reverse();
    bytes
}

#[test]
fn many_calls_of_all_sizes_on_one_stream() {
    for seed in 0..10 {
        let pair = pair(seed, NetworkFaults::default(), |_| ());
        let script = |rt: SimRuntime, session: Session<SimRuntime>| async move {
            assert_eq!(session.peer(), hello(2));
            let sizes = (0..60).map(|n| if n % 20 == 7 { 300_000 + n } else { 1 + n * 37 });
            let calls = sizes.enumerate().map(|(n, size)| {
                let (session, rt) = (session.clone(), rt.clone());
                async move {
                    let request = payload(u8::try_from(n % 4).unwrap(), size);
                    let reply = session.call(soon(&rt, 10_000), &request).await;
                    assert_eq!(reply, Ok(turned(request)));
                }
            });
            join_all(calls).await.len()
        };
        let (count, why) = pair.talk(SessionOptions::new(hello(1)), PORT, script).unwrap();
        assert_eq!((count, why.is_none()), (Some(60), true));
    }
}

#[test]
fn a_stranger_is_refused_on_both_sides() {
    let pair = pair(1, NetworkFaults::default(), |_| ());
    let stranger = Hello { cluster: 43, ..hello(1) };
    let refused = pair.talk(SessionOptions::new(stranger), PORT, |_, _| async {});
    assert!(matches!(refused, Err(SessionError::Frame(FrameError::Cluster { theirs: CLUSTER }))));
    pair.world.run_for(Duration::from_secs(1));
    assert!(pair.ended.borrow()[0].contains("belongs to cluster"), "{:?}", pair.ended);
}

#[test]
fn nobody_there_is_an_error_in_time() {
    let pair = pair(2, NetworkFaults::default(), |_| ());
    let nobody = pair.talk(SessionOptions::new(hello(1)), PORT + 1, |_, _| async {});
    assert!(matches!(nobody, Err(SessionError::Io(_))));
    pair.world.cut(pair.client, pair.server);
    let before = pair.world.elapsed();
    let silent = pair.talk(SessionOptions::new(hello(1)), PORT, |_, _| async {});
    assert!(matches!(silent, Err(SessionError::Silent)));
    assert!(pair.world.elapsed() - before < Duration::from_secs(5));
}

#[test]
fn bounds_on_both_sides_refuse_without_effect() {
    let pair = pair(3, NetworkFaults::default(), |options| options.serving_max = 2);
    let options = SessionOptions { in_flight_max: 4, ..SessionOptions::new(hello(1)) };
    let script = |rt: SimRuntime, session: Session<SimRuntime>| async move {
        let calls = (0..6).map(|_| session.call(soon(&rt, 1000), &[50]));
        let replies = join_all(calls).await;
        assert_eq!(session.in_flight(), 0);
        replies
    };
    let (replies, _) = pair.talk(options, PORT, script).unwrap();
    let replies = replies.unwrap();
    let fine = replies.iter().filter(|reply| reply.is_ok()).count();
    let busy = replies.iter().filter(|reply| **reply == Err(CallError::Busy)).count();
    assert_eq!((fine, busy), (2, 4), "two served, two refused there, two refused here");
}

#[test]
fn a_deadline_ends_the_wait_and_the_session_lives_on() {
    let pair = pair(4, NetworkFaults::default(), |_| ());
    let script = |rt: SimRuntime, session: Session<SimRuntime>| async move {
        let late = session.call(soon(&rt, 20), &[100]).await;
        (late, session.call(soon(&rt, 1000), &[0, 5]).await)
    };
    let (outcome, _) = pair.talk(SessionOptions::new(hello(1)), PORT, script).unwrap();
    assert_eq!(outcome, Some((Err(CallError::Deadline), Ok(vec![5, 0]))));
}

#[test]
fn a_half_open_connection_is_noticed_by_both_ends() {
    let pair = pair(5, NetworkFaults::default(), |_| ());
    let (world, client, server) = (&pair.world, pair.client, pair.server);
    let control = (*world).clone();
    let script = |rt: SimRuntime, session: Session<SimRuntime>| async move {
        assert!(session.call(soon(&rt, 1000), &[0]).await.is_ok());
        control.cut(client, server);
        let outcome = session.call(soon(&rt, 60_000), &[0]).await;
        assert_eq!(outcome, Err(CallError::Closed), "the session ends long before the deadline");
    };
    let before = world.elapsed();
    let (_, why) = pair.talk(SessionOptions::new(hello(1)), PORT, script).unwrap();
    assert!(why.is_none_or(|why| matches!(why, SessionError::Silent)));
    world.run_for(Duration::from_secs(5));
    assert!(world.elapsed() - before < Duration::from_secs(12));
    assert_eq!(pair.ended.borrow().as_slice(), ["nothing came from the other end for too long"]);
}

#[test]
fn resets_end_calls_but_never_answer_them_wrongly() {
    let mut resets = 0;
    for seed in 0..60 {
        let network = NetworkFaults { reset: Chance::percent(2), ..NetworkFaults::default() };
        let pair = pair(seed, network, |_| ());
        let script = |rt: SimRuntime, session: Session<SimRuntime>| async move {
            for n in 0..40 {
                let request = payload(0, 1 + n * 977);
                match session.call(soon(&rt, 5000), &request).await {
                    Ok(reply) => assert_eq!(reply, turned(request)),
                    Err(error) => {
                        assert_eq!(error, CallError::Closed);
                        return true;
                    }
                }
            }
            false
        };
        match pair.talk(SessionOptions::new(hello(1)), PORT, script) {
            Ok((Some(false), _)) => {}
            _ => resets += 1,
        }
    }
    assert!((10..60).contains(&resets), "{resets} of 60 worlds saw a reset");
}

/// A relay in the middle that flips one bit of the client's bytes.
async fn relay(rt: SimRuntime, from: SocketAddr, to: SocketAddr, flip_at: usize) {
    let listener = rt.listen(from).await.unwrap();
    let (near, _) = runtime::Listener::accept(&listener).await.unwrap();
    let far = rt.connect(to).await.unwrap();
    let forth = async {
        let (mut buffer, mut seen) = ([0; 4096], 0);
        while let Ok(count @ 1..) = near.read(&mut buffer).await {
            if (seen..seen + count).contains(&flip_at) {
                buffer[flip_at - seen] ^= 0x10;
            }
            seen += count;
            if far.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    };
    let back = async {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = far.read(&mut buffer).await {
            if near.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    };
    select(forth, back).await;
}

#[test]
fn one_changed_bit_anywhere_ends_the_session_and_no_call_is_served_wrongly() {
    for flip_at in 0..HELLO_BYTES + HEADER_BYTES + 40 {
        let pair = pair(flip_at as u64, NetworkFaults::default(), |_| ());
        let middle = pair.world.node("middle");
        let (from, to) = (pair.world.address(middle, PORT), pair.world.address(pair.server, PORT));
        pair.world.start(middle, 1, move |rt| relay(rt, from, to, flip_at));
        let rt = pair.world.runtime(pair.client);
        pair.world.block_on(async {
            rt.sleep(Duration::from_millis(5)).await;
            let options = SessionOptions::new(hello(1));
            let Ok(session) = Session::connect(rt.clone(), from, options, None).await else { return };
            let request = payload(0, 40);
            let call = session.call(soon(&rt, 10_000), &request);
            if let Either::First(outcome) = select(call, session.run()).await {
                assert_eq!(outcome, Err(CallError::Closed), "byte {flip_at}");
            }
        });
        pair.world.run_for(Duration::from_secs(5));
        assert_eq!(pair.ended.borrow().len(), 1, "byte {flip_at}: the server's session is over");
    }
}

/// Sends raw bytes after a proper hello and returns why the server ended the session.
fn after_hello(bytes: Vec<u8>) -> String {
    let pair = pair(9, NetworkFaults::default(), |_| ());
    let (rt, address) = (pair.world.runtime(pair.client), pair.world.address(pair.server, PORT));
    pair.world.block_on(async {
        rt.sleep(Duration::from_millis(5)).await;
        let stream = rt.connect(address).await.unwrap();
        stream.write_all(&hello(1).encode()).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        rt.sleep(Duration::from_millis(500)).await;
    });
    let ended = pair.ended.borrow().clone();
    assert_eq!(ended.len(), 1);
    ended[0].clone()
}

#[test]
fn senseless_frames_end_the_session_at_once() {
    let reply_to_no_call = Header::for_payload(Kind::Reply, 5, 0, &[]).encode().to_vec();
    assert!(after_hello(reply_to_no_call).contains("no sense"));
    let mut long = Header::for_payload(Kind::Request, 5, 0, &[]).encode();
    long[..4].copy_from_slice(&u32::MAX.to_le_bytes());
    let crc = crc32c::crc32c(&long[..28]);
    long[28..].copy_from_slice(&crc.to_le_bytes());
    assert!(after_hello(long.to_vec()).contains("more than"));
    assert!(after_hello(vec![0; HEADER_BYTES]).contains("checksum"));
    assert!(after_hello(b"x".repeat(1000)).contains("checksum"));
}

#[test]
fn a_peer_that_asks_and_never_reads_is_cut_off() {
    let pair = pair(10, NetworkFaults::default(), |options| options.queued_bytes_max = 1 << 16);
    let (rt, address) = (pair.world.runtime(pair.client), pair.world.address(pair.server, PORT));
    pair.world.block_on(async {
        rt.sleep(Duration::from_millis(5)).await;
        let stream = rt.connect(address).await.unwrap();
        stream.write_all(&hello(1).encode()).await.unwrap();
        let pings = Header::for_payload(Kind::Ping, 0, 0, &[]).encode().repeat(1000);
        for _ in 0..1000 {
            if stream.write_all(&pings).await.is_err() {
                return;
            }
        }
        panic!("a million pings were taken");
    });
}
