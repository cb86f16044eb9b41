//! Sessions over the simulated network: calls, strangers, cuts, resets, and bytes that change on their way.

use super::*;
use crate::authority::Authority;
use crate::frame::{HEADER_BYTES, HELLO_BYTES, Header, PAYLOAD_BYTES_MAX, PROOF_BYTES, Proof, WIRE_VERSION};
use crate::secret::{Role, Secret};
use runtime::sim::{Chance, Control, NetworkFaults, NodeId as Machine, SimRuntime, World, WorldOptions};
use runtime::sync::join_all;

const CLUSTER: u128 = 42;
const PORT: u16 = 7000;

fn identity(node: u16) -> Identity {
    let place = Some(Place { node: NodeId(node), shard: ShardId(0) });
    Identity { cluster: CLUSTER, node: u128::from(node), place, start: 1 }
}

fn secret() -> Trust {
    Trust::Secret(Secret::new(b"what only this cluster knows").unwrap())
}

fn options(node: u16) -> SessionOptions {
    SessionOptions::new(identity(node), secret())
}

/// A hello as node `node` would say it, with a nonce of its own.
fn hello(node: u16) -> Hello {
    let Identity { cluster, node, place, start } = identity(node);
    Hello { cluster, node, place, start, secret: true, nonce: [5; 32] }
}

fn answering(handler: Handler) -> Rc<Reception> {
    let reception = Reception::new();
    reception.set_handler(Some(handler));
    Rc::new(reception)
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
    client: Machine,
    server: Machine,
    /// Why sessions on the server ended, in order.
    ended: Rc<RefCell<Vec<String>>>,
}

/// A world with a server that accepts for ever; `change` alters its options.
fn pair(seed: u64, network: NetworkFaults, change: impl Fn(&mut SessionOptions)) -> Pair {
    let world = World::new(seed, WorldOptions { network, ..WorldOptions::default() });
    let (client, server) = (world.node("client"), world.node("server"));
    let ended: Rc<RefCell<Vec<String>>> = Rc::default();
    let mut options = options(2);
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
                    let reception = answering(turn(&rt2));
                    let why = match Session::accept(rt2, stream, options, reception, &everybody()).await {
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
            let session = Session::connect(rt.clone(), address, options, Rc::default()).await?;
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
            assert_eq!(session.peer().place, identity(2).place);
            let sizes = (0..60).map(|n| if n % 20 == 7 { 300_000 + n } else { 1 + n * 37 });
            let calls = sizes.enumerate().map(|(n, size)| {
                let (session, rt) = (session.clone(), rt.clone());
                async move {
                    let request = payload(u8::try_from(n % 4).unwrap(), size);
                    let reply = session.call(soon(&rt, 10_000), request.clone()).await;
                    assert_eq!(reply, Ok(turned(request)));
                }
            });
            join_all(calls).await.len()
        };
        let (count, why) = pair.talk(options(1), PORT, script).unwrap();
        assert_eq!((count, why.is_none()), (Some(60), true));
    }
}

/// What both ends say when they meet: the client's error, and the server's.
fn meeting(client: SessionOptions, change: impl Fn(&mut SessionOptions)) -> (Option<String>, Vec<String>) {
    let pair = pair(1, NetworkFaults::default(), change);
    let refused = pair.talk(client, PORT, |_, _| async {}).err();
    pair.world.run_for(Duration::from_secs(1));
    let ended = pair.ended.borrow().clone();
    (refused.map(|error| error.to_string()), ended)
}

#[test]
fn a_stranger_is_refused_on_both_sides_with_the_reason() {
    let check = |client: SessionOptions, change: fn(&mut SessionOptions), words: [&str; 2]| {
        let (client, server) = meeting(client, change);
        let client = client.expect("it is refused");
        assert!(client.contains(words[0]), "{client}");
        assert!(server.len() == 1 && server[0].contains(words[1]), "{server:?}");
    };
    let other_cluster =
        SessionOptions { identity: Identity { cluster: CLUSTER + 1, ..identity(1) }, ..options(1) };
    check(other_cluster, |_| (), ["belongs to cluster", "belongs to cluster"]);
    let other_secret = Trust::Secret(Secret::new(b"what another cluster knows").unwrap());
    let other_secret = SessionOptions::new(identity(1), other_secret);
    check(other_secret, |_| (), ["different cluster secrets", "different cluster secrets"]);
    let none = SessionOptions::new(identity(1), Trust::Everybody);
    check(none.clone(), |_| (), ["this one has none", "the other one has none"]);
    check(
        options(1),
        |server| server.trust = Trust::Everybody,
        ["the other one has none", "this one has none"],
    );
    let (client, server) = meeting(none, |server| server.trust = Trust::Everybody);
    assert_eq!((client, server[0].as_str()), (None, "the other end closed the connection"), "both say so");
}

#[test]
fn the_one_who_accepts_may_say_no() {
    for (verdict, words) in [
        (Verdict::Full, "as many sessions"),
        (Verdict::NotMember, "no member"),
        (Verdict::NotCertified, "certificate"),
    ] {
        let world = World::new(1, WorldOptions::default());
        let (client, server) = (world.node("client"), world.node("server"));
        let address = world.address(server, PORT);
        world.start(server, 1, move |rt| async move {
            let listener = rt.listen(address).await.unwrap();
            let (stream, _) = runtime::Listener::accept(&listener).await.unwrap();
            let admission: Admission = Rc::new(move |peer| {
                assert_eq!(peer.hello.place, identity(1).place);
                assert_eq!(peer.bears("torc"), None, "there are no certificates");
                Some(verdict)
            });
            let refused = Session::accept(rt, stream, options(2), Rc::default(), &admission).await;
            assert!(refused.err().unwrap().to_string().contains(words));
        });
        world.run_for(Duration::from_millis(5));
        let rt = world.runtime(client);
        let refused = world.block_on(Session::connect(rt, address, options(1), Rc::default()));
        assert!(refused.err().unwrap().to_string().contains(words));
    }
}

#[test]
fn nobody_there_is_an_error_in_time() {
    let pair = pair(2, NetworkFaults::default(), |_| ());
    let nobody = pair.talk(options(1), PORT + 1, |_, _| async {});
    assert!(matches!(nobody, Err(SessionError::Io(_))));
    pair.world.cut(pair.client, pair.server);
    let before = pair.world.elapsed();
    let silent = pair.talk(options(1), PORT, |_, _| async {});
    assert!(matches!(silent, Err(SessionError::Silent)));
    assert!(pair.world.elapsed() - before < Duration::from_secs(5));
}

#[test]
fn bounds_on_both_sides_refuse_without_effect() {
    let pair = pair(3, NetworkFaults::default(), |options| options.serving_max = 2);
    let options = SessionOptions { in_flight_max: 4, ..options(1) };
    let script = |rt: SimRuntime, session: Session<SimRuntime>| async move {
        let calls = (0..6).map(|_| session.call(soon(&rt, 1000), vec![50]));
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
        let late = session.call(soon(&rt, 20), vec![100]).await;
        (late, session.call(soon(&rt, 1000), vec![0, 5]).await)
    };
    let (outcome, _) = pair.talk(options(1), PORT, script).unwrap();
    assert_eq!(outcome, Some((Err(CallError::Deadline), Ok(vec![5, 0]))));
}

#[test]
fn a_half_open_connection_is_noticed_by_both_ends() {
    let pair = pair(5, NetworkFaults::default(), |_| ());
    let (world, client, server) = (&pair.world, pair.client, pair.server);
    let control = (*world).clone();
    let script = |rt: SimRuntime, session: Session<SimRuntime>| async move {
        assert!(session.call(soon(&rt, 1000), vec![0]).await.is_ok());
        control.cut(client, server);
        let outcome = session.call(soon(&rt, 60_000), vec![0]).await;
        assert_eq!(outcome, Err(CallError::Closed), "the session ends long before the deadline");
    };
    let before = world.elapsed();
    let (_, why) = pair.talk(options(1), PORT, script).unwrap();
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
                match session.call(soon(&rt, 5000), request.clone()).await {
                    Ok(reply) => assert_eq!(reply, turned(request)),
                    Err(error) => {
                        assert_eq!(error, CallError::Closed);
                        return true;
                    }
                }
            }
            false
        };
        match pair.talk(options(1), PORT, script) {
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
    for flip_at in 0..HELLO_BYTES + PROOF_BYTES + HEADER_BYTES + 40 {
        let pair = pair(flip_at as u64, NetworkFaults::default(), |_| ());
        let middle = pair.world.node("middle");
        let (from, to) = (pair.world.address(middle, PORT), pair.world.address(pair.server, PORT));
        pair.world.start(middle, 1, move |rt| relay(rt, from, to, flip_at));
        let rt = pair.world.runtime(pair.client);
        pair.world.block_on(async {
            rt.sleep(Duration::from_millis(5)).await;
            let options = options(1);
            let Ok(session) = Session::connect(rt.clone(), from, options, Rc::default()).await else {
                return;
            };
            let request = payload(0, 40);
            let call = session.call(soon(&rt, 10_000), request.clone());
            if let Either::First(outcome) = select(call, session.run()).await {
                assert_eq!(outcome, Err(CallError::Closed), "byte {flip_at}");
            }
        });
        pair.world.run_for(Duration::from_secs(5));
        assert_eq!(pair.ended.borrow().len(), 1, "byte {flip_at}: the server's session is over");
    }
}

/// Does what it wants with a connection to the server, and returns why the server ended the session.
fn raw<F: Future<Output = ()>>(script: impl FnOnce(<SimRuntime as Runtime>::Stream) -> F) -> String {
    let pair = pair(9, NetworkFaults::default(), |options| options.queued_bytes_max = 1 << 16);
    let (rt, address) = (pair.world.runtime(pair.client), pair.world.address(pair.server, PORT));
    pair.world.block_on(async {
        rt.sleep(Duration::from_millis(5)).await;
        script(rt.connect(address).await.unwrap()).await;
        rt.sleep(Duration::from_millis(1500)).await;
    });
    let ended = pair.ended.borrow().clone();
    assert_eq!(ended.len(), 1);
    ended[0].clone()
}

async fn exactly<const N: usize>(stream: &impl Stream) -> [u8; N] {
    let (mut bytes, mut filled) = ([0; N], 0);
    while filled < N {
        let count = stream.read(&mut bytes[filled..]).await.unwrap();
        assert!(count > 0, "the end came early");
        filled += count;
    }
    bytes
}

/// Shakes hands by hand; the code that the server sent.
async fn shake(stream: &impl Stream, code: impl FnOnce(&Hello, &Hello) -> [u8; 32]) -> Proof {
    stream.write_all(&hello(1).encode()).await.unwrap();
    let theirs = Hello::decode(&exactly(stream).await, CLUSTER).unwrap();
    let proof = Proof { verdict: Verdict::Welcome, code: code(&hello(1), &theirs) };
    stream.write_all(&proof.encode()).await.unwrap();
    Proof::decode(&exactly(stream).await).unwrap()
}

fn proven(ours: &Hello, theirs: &Hello) -> [u8; 32] {
    secret().code(Role::Connecting, ours, theirs)
}

/// Sends raw bytes after a proper handshake and returns why the server ended the session.
fn after_hello(bytes: Vec<u8>) -> String {
    raw(|stream| async move {
        let answer = shake(&stream, proven).await;
        assert_eq!(answer.verdict, Verdict::Welcome);
        stream.write_all(&bytes).await.unwrap();
        // It stays open: the end is the server's.
        let mut buffer = [0; 4096];
        while let Ok(1..) = stream.read(&mut buffer).await {}
    })
}

#[test]
fn the_server_proves_itself_only_to_who_knows_the_secret() {
    raw(|stream| async move {
        let answer = shake(&stream, proven).await;
        assert_ne!(answer.code, [0; 32]);
    });
    let guesses: [fn(&Hello, &Hello) -> [u8; 32]; 4] = [
        |_, _| [0; 32],
        |_, _| [7; 32],
        // A code of another connection, and one in the other's role.
        |ours, theirs| proven(ours, &Hello { nonce: [1; 32], ..*theirs }),
        |ours, theirs| secret().code(Role::Accepting, ours, theirs),
    ];
    for guess in guesses {
        let why = raw(|stream| async move {
            let answer = shake(&stream, guess).await;
            assert_eq!(answer, Proof::refusal(Verdict::WrongSecret));
        });
        assert!(why.contains("different cluster secrets"), "{why}");
    }
}

/// The code with which a server answers: of the client's hello, its own, and the client's proof.
type Answer = fn(&Hello, &Hello, &Proof) -> [u8; 32];

#[test]
fn a_client_notices_a_server_that_does_not_know_the_secret() {
    let check = |code: Answer| {
        let world = World::new(3, WorldOptions::default());
        let (client, server) = (world.node("client"), world.node("server"));
        let address = world.address(server, PORT);
        world.start(server, 1, move |rt| async move {
            let listener = rt.listen(address).await.unwrap();
            let (stream, _) = runtime::Listener::accept(&listener).await.unwrap();
            let ours = hello(2);
            stream.write_all(&ours.encode()).await.unwrap();
            let theirs = Hello::decode(&exactly(&stream).await, CLUSTER).unwrap();
            let proof = Proof::decode(&exactly(&stream).await).unwrap();
            let answer = Proof { verdict: Verdict::Welcome, code: code(&theirs, &ours, &proof) };
            stream.write_all(&answer.encode()).await.unwrap();
            rt.sleep(Duration::from_secs(2)).await;
        });
        world.run_for(Duration::from_millis(5));
        world.block_on(Session::connect(world.runtime(client), address, options(1), Rc::default()))
    };
    assert!(check(|theirs, ours, _| secret().code(Role::Accepting, theirs, ours)).is_ok());
    let impostors: [Answer; 3] = [
        |_, _, _| [0; 32],
        |_, _, proof| proof.code,
        |theirs, ours, _| secret().code(Role::Connecting, theirs, ours),
    ];
    for impostor in impostors {
        let error = check(impostor).err().expect("it is refused");
        assert!(matches!(error, SessionError::Refused(Refusal::WrongSecret)), "{error}");
    }
}

/// Another version may have hellos of another length: the version is answered before the rest has come.
#[test]
fn another_version_is_told_before_the_rest_is_read() {
    let why = raw(|stream| async move {
        let mut opening = hello(1).encode()[..64].to_vec();
        opening[8..10].copy_from_slice(&(WIRE_VERSION - 1).to_le_bytes());
        stream.write_all(&opening).await.unwrap();
        let said: [u8; 64] = exactly(&stream).await;
        assert_eq!(said[8..10], WIRE_VERSION.to_le_bytes(), "the old one learns the version too");
    });
    let versions = format!("wire version {}, this one {WIRE_VERSION}", WIRE_VERSION - 1);
    assert!(why.contains(&versions), "{why}");
    let why = raw(|stream| async move {
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut buffer = [0; 4096];
        while let Ok(1..) = stream.read(&mut buffer).await {}
    });
    assert!(why.contains("does not speak torc's protocol"), "{why}");
}

#[test]
fn senseless_frames_end_the_session_at_once() {
    let check = |bytes: Vec<u8>, words: &str| {
        let why = after_hello(bytes);
        assert!(why.contains(words), "{words}: {why}");
    };
    let forged = |header: Header, change: fn(&mut [u8; HEADER_BYTES])| {
        let mut bytes = header.encode();
        change(&mut bytes);
        let crc = crc32c::crc32c(&bytes[..28]);
        bytes[28..].copy_from_slice(&crc.to_le_bytes());
        bytes.to_vec()
    };
    let empty = |kind, call, number| Header::for_payload(kind, call, 0, number, &[]);
    check(empty(Kind::Reply, 5, 0).encode().to_vec(), "no sense");
    check(forged(empty(Kind::Request, 5, 0), |bytes| bytes[..4].fill(0xff)), "more than");
    check(forged(empty(Kind::Request, 5, 0), |bytes| bytes[4] = 99), "no sense");
    check(vec![0; HEADER_BYTES], "checksum");
    check(b"x".repeat(1000), "checksum");
    let twice = [empty(Kind::Ping, 0, 0), empty(Kind::Ping, 0, 0)].map(|header| header.encode());
    check(twice.concat(), "came twice");
    check(empty(Kind::Ping, 0, 1).encode().to_vec(), "came twice, or one is missing");
    let joined = Header::for_last_part(Kind::Request, 5, 9, 0, b"end");
    check([joined.encode().as_slice(), b"end"].concat(), "no sense");
    // Cut in the middle of a frame: nothing is done, and the end is noticed.
    let cut = Header::for_payload(Kind::Request, 5, 9, 0, b"payload");
    let why = raw(|stream| async move {
        shake(&stream, proven).await;
        stream.write_all(&cut.encode()).await.unwrap();
        stream.write_all(b"pay").await.unwrap();
    });
    assert!(why.contains("closed the connection"), "{why}");
}

#[test]
fn a_peer_that_asks_and_never_reads_is_cut_off() {
    let why = raw(|stream| async move {
        shake(&stream, proven).await;
        for number in 0..1_000_000 {
            let ping = Header::for_payload(Kind::Ping, 0, 0, number, &[]).encode();
            if stream.write_all(&ping).await.is_err() {
                return;
            }
        }
        panic!("a million pings were taken");
    });
    assert!(why.contains("no sense") || why.contains("did not read"), "{why}");
}

/// Two ends that both know how to answer; gives the sessions to `script`, the first is the one that connected.
fn both<T: 'static, F: Future<Output = T>>(
    change: impl Fn(&mut SessionOptions),
    receptions: [Rc<Reception>; 2],
    script: impl FnOnce(Control, SimRuntime, [Session<SimRuntime>; 2]) -> F,
) -> T {
    let world = World::new(11, WorldOptions::default());
    let (client, server) = (world.node("client"), world.node("server"));
    let (mut one, mut two) = (options(1), options(2));
    change(&mut one);
    change(&mut two);
    let (rt1, rt2, address) = (world.runtime(client), world.runtime(server), world.address(server, PORT));
    let [reception1, reception2] = receptions;
    let control = world.clone();
    world.block_on(async {
        let listener = rt2.listen(address).await.unwrap();
        let accept = async {
            let (stream, _) = runtime::Listener::accept(&listener).await.unwrap();
            Session::accept(rt2.clone(), stream, two, reception2, &everybody()).await.unwrap()
        };
        let connect = Session::connect(rt1.clone(), address, one, reception1);
        let begun = join_all([
            Box::pin(async { connect.await.unwrap() }) as std::pin::Pin<Box<dyn Future<Output = _>>>,
            Box::pin(accept),
        ])
        .await;
        let sessions: [Session<SimRuntime>; 2] = begun.try_into().ok().unwrap();
        for (rt, session) in [&rt1, &rt2].into_iter().zip(sessions.clone()) {
            let run = async move {
                session.run().await;
            };
            rt.spawn(Class::Foreground, run).detach();
        }
        script(control, rt1, sessions).await
    })
}

/// The second machine of [`both`].
const SERVER: Machine = Machine(1);

/// Who told how much, in order.
type Told = Rc<RefCell<Vec<(NodeId, ShardId, usize)>>>;

fn told_to(log: &Told) -> Rc<Reception> {
    let (reception, log) = (Reception::new(), log.clone());
    reception.set_receiver(Some(Rc::new(move |node, shard, bytes: Bytes| {
        log.borrow_mut().push((node, shard, bytes.len()));
    })));
    Rc::new(reception)
}

#[test]
fn both_ends_tell_and_small_words_overtake_large_ones() {
    let logs: [Told; 2] = Default::default();
    let receptions = [told_to(&logs[0]), told_to(&logs[1])];
    let large = 24 << 20;
    both(
        |_| (),
        receptions,
        |_, rt, [one, two]| async move {
            assert!(one.tell(vec![1; large]));
            for _ in 0..3 {
                assert!(one.tell(vec![2; 100]));
                assert!(two.tell(vec![3; 50]));
            }
            rt.sleep(Duration::from_millis(20)).await;
            assert!(one.tell(vec![4; 7]));
            rt.sleep(Duration::from_secs(60)).await;
        },
    );
    let (client, server) = (logs[0].borrow(), logs[1].borrow());
    assert_eq!(client.as_slice(), [(NodeId(2), ShardId(0), 50); 3]);
    let sizes: Vec<usize> = server.iter().map(|(_, _, size)| *size).collect();
    assert_eq!(sizes, [100, 100, 100, 7, large], "the large one was under way first and comes last");
    assert!(server.iter().all(|(node, _, _)| *node == NodeId(1)));
}

#[test]
fn what_is_told_to_a_peer_that_does_not_read_is_dropped_at_the_bound() {
    let told_bytes_max = 100_000;
    let change = |options: &mut SessionOptions| options.told_bytes_max = told_bytes_max;
    both(change, Default::default(), |world, rt, [one, _two]| async move {
        world.pause(SERVER);
        let mut taken = 0;
        for _ in 0..2000 {
            taken += usize::from(one.tell(vec![1; 1000]));
            if taken % 50 == 0 {
                rt.sleep(Duration::from_micros(10)).await;
            }
            assert!(one.queued_bytes() <= told_bytes_max, "{} bytes wait", one.queued_bytes());
        }
        assert!((100..400).contains(&taken), "{taken} were taken");
        rt.sleep(Duration::from_secs(10)).await;
        assert!(one.is_closed() && !one.tell(vec![1]), "a peer that is still for so long is given up");
    });
}

#[test]
fn an_outsider_must_not_tell() {
    let why = raw(|stream| async move {
        let ours = Hello { place: None, ..hello(1) };
        stream.write_all(&ours.encode()).await.unwrap();
        let theirs = Hello::decode(&exactly(&stream).await, CLUSTER).unwrap();
        let proof = Proof { verdict: Verdict::Welcome, code: proven(&ours, &theirs) };
        stream.write_all(&proof.encode()).await.unwrap();
        let _answer: [u8; PROOF_BYTES] = exactly(&stream).await;
        let header = Header::for_payload(Kind::Tell, 0, 0, 0, b"vote for me");
        stream.write_all(&[header.encode().as_slice(), b"vote for me"].concat()).await.unwrap();
        let mut buffer = [0; 4096];
        while let Ok(1..) = stream.read(&mut buffer).await {}
    });
    assert!(why.contains("no sense"), "{why}");
}

#[test]
fn what_never_left_had_no_effect_and_what_left_is_unknown() {
    both(
        |_| (),
        Default::default(),
        |world, rt, [one, _two]| async move {
            world.pause(SERVER);
            let soon = soon(&rt, 60_000);
            // More than the window of the connection: the first leaves in part, the last not at all.
            let calls = [100, 40 * PAYLOAD_BYTES_MAX, 100 + PAYLOAD_BYTES_MAX]
                .map(|size| one.call(soon, vec![0; size]));
            let cut = async {
                rt.sleep(Duration::from_millis(50)).await;
                one.close();
                Ok(Vec::new())
            };
            let all =
                calls.into_iter().map(|call| Box::pin(call) as std::pin::Pin<Box<dyn Future<Output = _>>>);
            let outcomes =
                join_all(all.chain([Box::pin(cut) as std::pin::Pin<Box<dyn Future<Output = _>>>])).await;
            assert_eq!(
                outcomes[..3],
                [Err(CallError::Closed), Err(CallError::NotServing), Err(CallError::NotServing)]
            );
            assert_eq!(one.call(soon, vec![1]).await, Err(CallError::NotServing), "over is over");
        },
    );
}

#[test]
fn a_full_queue_refuses_calls_without_effect() {
    let change = |options: &mut SessionOptions| options.queued_bytes_max = 10_000;
    both(change, Default::default(), |world, rt, [one, _two]| async move {
        world.pause(SERVER);
        let calls = (0..100).map(|_| one.call(soon(&rt, 500), vec![0; 1000]));
        let outcomes = join_all(calls).await;
        let busy = outcomes.iter().filter(|outcome| **outcome == Err(CallError::Busy)).count();
        let late = outcomes.iter().filter(|outcome| **outcome == Err(CallError::Deadline)).count();
        assert_eq!(busy + late, 100);
        assert!((80..95).contains(&busy), "{busy} were refused");
    });
}

#[test]
fn a_valve_drops_frames_and_closes_nothing() {
    let echo: Handler = Rc::new(|request| Box::pin(async move { request }));
    let receptions = [Rc::default(), answering(echo)];
    both(
        |_| (),
        receptions,
        |_, rt, [one, two]| async move {
            let valve = Rc::new(Valve::default());
            one.set_valve(valve.clone());
            assert!(one.call(soon(&rt, 500), vec![1]).await.is_ok());
            for (cut_in, cut_out) in [(true, false), (false, true)] {
                valve.cut_in.set(cut_in);
                valve.cut_out.set(cut_out);
                assert_eq!(one.call(soon(&rt, 500), vec![1]).await, Err(CallError::Deadline));
                assert!(one.has_lost_frames() && !one.is_closed() && !two.is_closed());
            }
            rt.sleep(Duration::from_secs(5)).await;
            assert!(two.is_closed(), "nothing came for too long");
        },
    );
}

#[test]
fn sessions_run_inside_of_mutual_tls() {
    let ours = Authority::new();
    let (one, two) = (ours.node(&["torc"], &ours), ours.node(&["torc"], &ours));
    let pair = pair(20, NetworkFaults::default(), |options| options.tls = two.clone());
    let script = |rt: SimRuntime, session: Session<SimRuntime>| async move {
        for size in [1, 1000, 200_000] {
            let request = payload(0, size);
            let reply = session.call(soon(&rt, 10_000), request.clone()).await;
            assert_eq!(reply, Ok(turned(request)));
        }
    };
    let (done, why) = pair.talk(SessionOptions { tls: one, ..options(1) }, PORT, script).unwrap();
    assert!(done.is_some() && why.is_none());
}

#[test]
fn who_has_no_certificate_of_the_cluster_is_refused_with_the_reason() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    let good = || ours.node(&["torc"], &ours);
    let check = |client: Option<LinkTls>, server: Option<LinkTls>, words: [&str; 2]| {
        let client = SessionOptions { tls: client, ..options(1) };
        let (client, server) = meeting(client, |options| options.tls = server.clone());
        let client = client.expect("it is refused");
        assert!(client.contains(words[0]), "{client}");
        assert!(server.len() == 1 && server[0].contains(words[1]), "{server:?}");
    };
    check(foreign.node(&["torc"], &ours), good(), ["no TLS", "no TLS"]);
    check(good(), foreign.node(&["torc"], &ours), ["no TLS", "no TLS"]);
    check(good(), ours.node(&["another-cluster"], &ours), ["no TLS", "no TLS"]);
    check(good(), None, ["no TLS", "the other end speaks TLS and this one does not"]);
    check(None, good(), ["connection", "this end speaks TLS and the other one does not"]);
}
