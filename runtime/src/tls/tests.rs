use std::rc::Rc;
use std::time::Duration;

use super::*;
use crate::sim::{SimRuntime, World, WorldOptions};
use crate::{Class, Listener, Runtime, Task};

type SimStream = <SimRuntime as Runtime>::Stream;

/// A certificate for `localhost`, and the authority that vouches for it: all in PEM.
struct Identity {
    authority: String,
    chain: String,
    key: String,
}

fn identity() -> Identity {
    let authority_key = rcgen::KeyPair::generate().expect("keys can be made");
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).expect("no names are fine");
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = parameters.self_signed(&authority_key).expect("it can sign itself");
    let issuer = rcgen::Issuer::new(parameters, authority_key);
    let key = rcgen::KeyPair::generate().expect("keys can be made");
    let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = leaf.signed_by(&key, &issuer).expect("it is signed");
    Identity { authority: authority.pem(), chain: certificate.pem(), key: key.serialize_pem() }
}

fn peer_of(identity: &Identity) -> TlsPeer {
    TlsPeer::from_pem(identity.authority.as_bytes(), identity.chain.as_bytes(), identity.key.as_bytes())
        .expect("it is sound")
}

fn server_of(identity: &Identity) -> TlsServer {
    TlsServer::from_pem(identity.chain.as_bytes(), identity.key.as_bytes(), &["http/1.1"])
        .expect("it is sound")
}

/// Runs `serve` on one node's accepted connection, and `ask` on another's connected one.
fn with_pair<F: Future<Output = ()> + 'static, G: Future<Output = ()>>(
    serve: impl Fn(SimRuntime, SimStream) -> F + 'static,
    ask: impl FnOnce(SimRuntime, SimStream) -> G,
) {
    let world = World::new(1, WorldOptions::default());
    let (server, client) = (world.node("server"), world.node("client"));
    let address = world.address(server, 443);
    let serve = Rc::new(serve);
    world.start(server, 1, move |rt| {
        let serve = serve.clone();
        async move {
            let listener = rt.listen(address).await.expect("the port is free");
            loop {
                let (stream, _) = listener.accept().await.expect("it accepts");
                rt.spawn(Class::Foreground, serve(rt.clone(), stream)).detach();
            }
        }
    });
    let rt = world.runtime(client);
    world.run_for(Duration::from_millis(1));
    world.block_on(async {
        let stream = rt.connect(address).await.expect("the server listens");
        ask(rt.clone(), stream).await;
    });
}

/// Sends back what it reads, until the end.
async fn echo(stream: SimStream, setup: TlsServer) {
    let Ok(stream) = TlsStream::accept(stream, &setup, &Semaphore::new(1)).await else { return };
    let mut buffer = vec![0; 20_000];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) => {
                let _ = stream.shutdown().await;
                return;
            }
            Ok(size) => stream.write_all(&buffer[..size]).await.expect("the client reads"),
            Err(_) => return,
        }
    }
}

async fn read_exactly<S: Stream>(stream: &S, size: usize) -> Vec<u8> {
    let mut read = Vec::new();
    while read.len() < size {
        let mut buffer = vec![0; 3_000];
        let taken = stream.read(&mut buffer).await.expect("there is more");
        assert!(taken > 0, "the end came after {} of {size}", read.len());
        read.extend_from_slice(&buffer[..taken]);
    }
    read
}

#[test]
fn what_goes_in_comes_out() {
    let identity = identity();
    let setup = server_of(&identity);
    with_pair(
        move |_, stream| echo(stream, setup.clone()),
        |_, stream| async move {
            let client =
                TlsClient::trusting(identity.authority.as_bytes(), &["http/1.1"]).expect("it is sound");
            let tls = TlsStream::connect(stream, &client, "localhost").await.expect("they agree");
            assert_eq!(tls.protocol().as_deref(), Some(&b"http/1.1"[..]));
            for size in [1, 100, 16_384, 16_385, 300_000] {
                let sent: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).expect("a byte")).collect();
                let (read, written) = (read_exactly(&tls, size), tls.write_all(&sent));
                let both = crate::sync::join_all([
                    Box::pin(async { Ok(read.await) })
                        as std::pin::Pin<Box<dyn Future<Output = io::Result<Vec<u8>>>>>,
                    Box::pin(async { written.await.map(|()| Vec::new()) }),
                ])
                .await;
                assert!(both[0].as_ref().expect("read") == &sent, "{size} bytes came back as others");
            }
            tls.shutdown().await.expect("it takes its leave");
            assert_eq!(tls.read(&mut [0; 10]).await.expect("a clean end"), 0);
        },
    );
}

#[test]
fn whom_nobody_vouches_for_is_refused() {
    let (one, other) = (identity(), identity());
    let setup = server_of(&one);
    with_pair(
        move |_, stream| echo(stream, setup.clone()),
        |_, stream| async move {
            let client = TlsClient::trusting(other.authority.as_bytes(), &[]).expect("it is sound");
            let error = TlsStream::connect(stream, &client, "localhost").await.err().expect("it is refused");
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
        },
    );
}

#[test]
fn peers_of_one_authority_talk() {
    let identity = identity();
    let (setup, client) = (peer_of(&identity).server, peer_of(&identity).client);
    with_pair(
        move |_, stream| echo(stream, setup.clone()),
        |_, stream| async move {
            let tls = TlsStream::connect(stream, &client, "localhost").await.expect("they agree");
            tls.write_all(b"both have shown who they are").await.expect("it goes out");
            assert_eq!(read_exactly(&tls, 28).await, b"both have shown who they are");
        },
    );
}

/// A client without a certificate, and one of another authority, are refused; they learn it when they read.
#[test]
fn a_peer_wants_a_certificate_of_its_authority() {
    let (one, other) = (identity(), identity());
    let trusts_one_shows_other =
        TlsPeer::from_pem(one.authority.as_bytes(), other.chain.as_bytes(), other.key.as_bytes())
            .expect("it is sound");
    let shows_nothing = TlsClient::trusting(one.authority.as_bytes(), &[]).expect("it is sound");
    for client in [shows_nothing, trusts_one_shows_other.client] {
        let setup = peer_of(&one).server;
        with_pair(
            move |_, stream| {
                let setup = setup.clone();
                async move {
                    let outcome = TlsStream::accept(stream, &setup, &Semaphore::new(1)).await;
                    let Err(Refused::Failed(error)) = outcome else { panic!("it was let in") };
                    assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
                }
            },
            |_, stream| async move {
                let outcome = match TlsStream::connect(stream, &client, "localhost").await {
                    Ok(tls) => tls.read(&mut [0; 10]).await.map(|_size| ()),
                    Err(error) => Err(error),
                };
                let error = outcome.expect_err("it is refused");
                assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
            },
        );
    }
}

#[test]
fn another_name_or_protocol_is_refused() {
    let identity = identity();
    let setup = server_of(&identity);
    for (name, protocols) in [("otherhost", &["http/1.1"][..]), ("localhost", &["h2"][..])] {
        let (setup, authority) = (setup.clone(), identity.authority.clone());
        with_pair(
            move |_, stream| echo(stream, setup.clone()),
            |_, stream| async move {
                let client = TlsClient::trusting(authority.as_bytes(), protocols).expect("it is sound");
                assert!(TlsStream::connect(stream, &client, name).await.is_err(), "{name} {protocols:?}");
            },
        );
    }
}

#[test]
fn plain_text_is_noticed() {
    let setup = server_of(&identity());
    with_pair(
        move |_, stream| {
            let setup = setup.clone();
            async move {
                match TlsStream::accept(stream, &setup, &Semaphore::new(1)).await {
                    Err(Refused::PlainText(stream)) => stream.write_all(b"no").await.expect("it is there"),
                    _ => panic!("it is no TLS"),
                }
            }
        },
        |_, stream| async move {
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("it goes out");
            assert_eq!(read_exactly(&stream, 2).await, b"no");
        },
    );
}

#[test]
fn nonsense_and_silence_are_survived() {
    let setup = server_of(&identity());
    for bytes in
        [&b"\x16\x03\x01\xff\xff"[..], b"\x16\x03\x01\x00\x05hello", b"\x00\x00", b"\x80\x2e\x01", b""]
    {
        let setup = setup.clone();
        with_pair(
            move |_, stream| {
                let setup = setup.clone();
                async move {
                    let outcome = TlsStream::accept(stream, &setup, &Semaphore::new(1)).await;
                    assert!(matches!(outcome, Err(Refused::Failed(_))), "it is no handshake");
                }
            },
            |_, stream| async move {
                stream.write_all(bytes).await.expect("it goes out");
                stream.shutdown().await.expect("it is there");
                let mut buffer = [0; 100];
                while stream.read(&mut buffer).await.is_ok_and(|size| size > 0) {}
            },
        );
    }
}

/// A connection that is cut off is told from one that has ended.
#[test]
fn an_end_without_its_word_is_an_error() {
    let identity = identity();
    let setup = server_of(&identity);
    with_pair(
        move |_, stream| {
            let setup = setup.clone();
            async move {
                let tls =
                    TlsStream::accept(stream, &setup, &Semaphore::new(1)).await.ok().expect("they agree");
                tls.write_all(b"half of wh").await.expect("it goes out");
                tls.stream.shutdown().await.expect("it is there");
            }
        },
        |_, stream| async move {
            let client = TlsClient::trusting(identity.authority.as_bytes(), &[]).expect("it is sound");
            let tls = TlsStream::connect(stream, &client, "localhost").await.expect("they agree");
            assert_eq!(read_exactly(&tls, 10).await, b"half of wh");
            let error = tls.read(&mut [0; 10]).await.expect_err("it was cut off");
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        },
    );
}

#[test]
fn files_that_cannot_be_used_are_told() {
    let (one, other) = (identity(), identity());
    let check = |chain: &str, key: &str, part: &str| {
        let why = TlsServer::from_pem(chain.as_bytes(), key.as_bytes(), &[])
            .expect_err("it is refused")
            .to_string();
        assert!(why.contains(part), "{why}");
    };
    check("", &one.key, "no certificate");
    check("nonsense", &one.key, "no certificate");
    check(&one.key, &one.key, "no certificate");
    check(&one.chain, "", "no private key");
    check(&one.chain, &one.chain, "no private key");
    check(&one.chain, &other.key, "cannot be used");
    assert!(TlsClient::trusting(b"", &[]).is_err());
}

/// Those that begin a handshake and say no more keep nobody from theirs.
#[test]
fn a_stalled_handshake_holds_no_turn() {
    let identity = identity();
    let (setup, turns) = (server_of(&identity), Semaphore::new(1));
    let world = World::new(3, WorldOptions::default());
    let (server, client) = (world.node("server"), world.node("client"));
    let address = world.address(server, 443);
    world.start(server, 1, move |rt| {
        let (setup, turns) = (setup.clone(), turns.clone());
        async move {
            let listener = rt.listen(address).await.expect("the port is free");
            loop {
                let (stream, _) = listener.accept().await.expect("it accepts");
                let (setup, turns) = (setup.clone(), turns.clone());
                let shake = async move {
                    if let Ok(tls) = TlsStream::accept(stream, &setup, &turns).await {
                        tls.write_all(b"in").await.expect("the client reads");
                    }
                };
                rt.spawn(Class::Foreground, shake).detach();
            }
        }
    });
    let rt = world.runtime(client);
    world.run_for(Duration::from_millis(1));
    world.block_on(async {
        let setup = TlsClient::trusting(identity.authority.as_bytes(), &[]).expect("it is sound");
        let mut stalled = Vec::new();
        for _ in 0..10 {
            let stream = rt.connect(address).await.expect("the server listens");
            let name = ServerName::try_from("localhost").expect("a name");
            let mut session = ClientConnection::new(setup.0.clone(), name).expect("it is sound");
            let mut hello = Vec::new();
            session.write_tls(&mut hello).expect("a Vec takes every byte");
            stream.write_all(&hello).await.expect("it goes out");
            stalled.push(stream);
        }
        let stream = rt.connect(address).await.expect("the server listens");
        let tls = TlsStream::connect(stream, &setup, "localhost").await.expect("they agree");
        assert_eq!(read_exactly(&tls, 2).await, b"in");
    });
}
