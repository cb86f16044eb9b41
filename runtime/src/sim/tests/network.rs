//! Connections, and what becomes of them.

use std::cell::Cell;
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

use crate::sim::{Chance, NetworkFaults, NodeId, SimRuntime, SimStream, World, WorldOptions};
use crate::sync::timeout;
use crate::{Class, Listener, Runtime, Stream, Task};

const PORT: u16 = 7000;

/// A world with a server that echoes, and a client.
fn echo_world(seed: u64, faults: NetworkFaults, cores: usize) -> (World, NodeId, SimRuntime) {
    let world = World::new(seed, WorldOptions { network: faults, ..WorldOptions::default() });
    let (server, client) = (world.node("server"), world.node("client"));
    start_server(&world, server, cores);
    let client = world.runtime(client);
    (world, server, client)
}

fn start_server(world: &World, server: NodeId, cores: usize) {
    world.start(server, cores, |runtime| async move {
        let listener = runtime.listen(([0, 0, 0, 0], PORT).into()).await.unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            runtime.spawn(Class::Foreground, echo(stream)).detach();
        }
    });
    world.run_steps(10);
}

async fn echo(stream: SimStream) {
    let mut buffer = [0; 100];
    while let Ok(size) = stream.read(&mut buffer).await {
        if size == 0 || stream.write_all(&buffer[..size]).await.is_err() {
            return;
        }
    }
}

async fn read_exact(stream: &SimStream, size: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; size];
    let mut filled = 0;
    while filled < size {
        match stream.read(&mut bytes[filled..]).await? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            more => filled += more,
        }
    }
    Ok(bytes)
}

#[test]
fn bytes_come_back_whole_and_in_order() {
    for seed in 0..20 {
        let faults = NetworkFaults { window_bytes_max: 1000, ..NetworkFaults::default() };
        let (world, server, client) = echo_world(seed, faults, 2);
        let address = world.address(server, PORT);
        world.block_on(async {
            let stream = Rc::new(client.connect(address).await.unwrap());
            assert_eq!(stream.peer_address(), address);
            let sent: Vec<u8> = (0..10_000).map(|number| (number % 251) as u8).collect();
            let (writer, bytes) = (stream.clone(), sent.clone());
            let writing = client.spawn(Class::Foreground, async move {
                writer.write_all(&bytes).await.unwrap();
                writer.shutdown().await.unwrap();
                assert_eq!(writer.write_all(&[1]).await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            });
            assert_eq!(read_exact(&stream, sent.len()).await.unwrap(), sent);
            assert_eq!(stream.read(&mut [0; 10]).await.unwrap(), 0, "the server ends when we end");
            writing.await;
        });
    }
}

#[test]
fn connections_spread_over_the_cores_that_listen() {
    let world = World::new(3, WorldOptions::default());
    let (server, client) = (world.node("server"), world.node("client"));
    let accepted = Rc::new([Cell::new(0), Cell::new(0)]);
    let counts = accepted.clone();
    world.start(server, 2, move |runtime| {
        let counts = counts.clone();
        async move {
            let listener = runtime.listen(([127, 0, 0, 1], PORT).into()).await.unwrap();
            let core = usize::from(runtime.core().0);
            loop {
                _ = listener.accept().await;
                counts[core].set(counts[core].get() + 1);
            }
        }
    });
    world.run_steps(10);
    let client = world.runtime(client);
    world.block_on(async {
        for _ in 0..100 {
            client.connect(world.address(server, PORT)).await.unwrap();
        }
    });
    assert_eq!(accepted[0].get() + accepted[1].get(), 100);
    assert!(accepted[0].get() > 20 && accepted[1].get() > 20);
}

#[test]
fn nobody_listens_and_nobody_is_there() {
    let (world, server, client) = echo_world(1, NetworkFaults::default(), 1);
    world.block_on(async {
        let refused = client.connect(world.address(server, 1)).await.err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        world.crash(server);
        let lost = client.connect(world.address(server, PORT)).await.err().unwrap();
        assert_eq!(lost.kind(), ErrorKind::TimedOut);
        let nowhere = client.connect(([10, 1, 0, 77], PORT).into()).await.err().unwrap();
        assert_eq!(nowhere.kind(), ErrorKind::NetworkUnreachable);
        let first = client.listen(([0, 0, 0, 0], 5).into()).await.unwrap();
        assert_eq!(first.local_address().port(), 5);
        let again = client.listen(([0, 0, 0, 0], 5).into()).await.err().unwrap();
        assert_eq!(again.kind(), ErrorKind::AddrInUse);
        let foreign = client.listen(world.address(server, 5)).await.err().unwrap();
        assert_eq!(foreign.kind(), ErrorKind::AddrNotAvailable);
    });
}

#[test]
fn a_short_cut_delays_and_a_long_one_kills() {
    let (world, server, client) = echo_world(1, NetworkFaults::default(), 1);
    world.block_on(async {
        let stream = client.connect(world.address(server, PORT)).await.unwrap();
        world.cut(server, client.node());
        stream.write_all(b"hello").await.unwrap();
        let nothing = timeout(&client, Duration::from_secs(2), read_exact(&stream, 5)).await;
        assert!(nothing.is_err());
        world.heal(server, client.node());
        assert_eq!(read_exact(&stream, 5).await.unwrap(), b"hello");

        world.cut_one_way(client.node(), server);
        stream.write_all(b"lost").await.unwrap();
        let failed = read_exact(&stream, 4).await.unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::TimedOut);
        assert_eq!(stream.write_all(b"x").await.unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn a_one_way_cut_lets_the_other_way_pass() {
    let (world, server, client) = echo_world(1, NetworkFaults::default(), 1);
    world.block_on(async {
        let stream = client.connect(world.address(server, PORT)).await.unwrap();
        stream.write_all(b"one").await.unwrap();
        read_exact(&stream, 3).await.unwrap();
        stream.write_all(b"two").await.unwrap();
        world.sleep(Duration::from_millis(5)).await; // Both are on their way back by now, or arrived.
        world.cut_one_way(client.node(), server);
        assert_eq!(read_exact(&stream, 3).await.unwrap(), b"two");
    });
}

#[test]
fn after_a_crash_the_other_end_hears_a_reset_or_nothing() {
    let (mut resets, mut silent) = (0, 0);
    for seed in 0..40 {
        let (world, server, client) = echo_world(seed, NetworkFaults::default(), 1);
        world.block_on(async {
            let stream = client.connect(world.address(server, PORT)).await.unwrap();
            world.crash(server);
            let mut byte = [0];
            match timeout(&client, Duration::from_secs(60), stream.read(&mut byte)).await {
                Ok(outcome) => {
                    assert!(outcome.is_err());
                    resets += 1;
                }
                Err(_) => {
                    silent += 1;
                    // Half-open: only a write finds out, from the kernel of the restarted node.
                    start_later(&world, server);
                    stream.write_all(b"anyone?").await.unwrap();
                    let failed = stream.read(&mut byte).await.unwrap_err();
                    assert_eq!(failed.kind(), ErrorKind::ConnectionReset);
                }
            }
        });
    }
    assert!(resets > 5 && silent > 5, "{resets} resets, {silent} silent");
}

fn start_later(world: &World, server: NodeId) {
    world.start(server, 1, |runtime| async move {
        _ = runtime.listen(([0, 0, 0, 0], PORT).into()).await.unwrap().accept().await;
    });
}

#[test]
fn resets_happen_when_they_are_switched_on() {
    let (mut fine, mut reset) = (0, 0);
    for seed in 0..50 {
        let faults = NetworkFaults { reset: Chance::percent(10), ..NetworkFaults::default() };
        let (world, server, client) = echo_world(seed, faults, 1);
        let done: std::io::Result<()> = world.block_on(async {
            let stream = client.connect(world.address(server, PORT)).await?;
            for _ in 0..3 {
                stream.write_all(b"ping").await?;
                read_exact(&stream, 4).await?;
            }
            Ok(())
        });
        match done {
            Ok(()) => fine += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                reset += 1;
            }
        }
    }
    assert!(fine > 5 && reset > 5, "{fine} fine, {reset} reset");
}

#[test]
fn bits_flip_on_the_way_when_that_is_switched_on() {
    let faults = NetworkFaults { corrupt: Chance::percent(30), ..NetworkFaults::default() };
    let (world, server, client) = echo_world(1, faults, 1);
    world.block_on(async {
        let stream = client.connect(world.address(server, PORT)).await.unwrap();
        let (mut fine, mut flipped) = (0, 0);
        for _ in 0..50 {
            stream.write_all(&[0; 64]).await.unwrap();
            match read_exact(&stream, 64).await.unwrap().iter().map(|byte| byte.count_ones()).sum::<u32>() {
                0 => fine += 1,
                _ => flipped += 1,
            }
        }
        assert!(fine > 5 && flipped > 5, "{fine} fine, {flipped} flipped");
    });
}

#[test]
fn a_dropped_stream_is_an_end_and_then_a_reset() {
    let (world, server, client) = echo_world(1, NetworkFaults::default(), 1);
    world.block_on(async {
        let listener = client.listen(([0, 0, 0, 0], 9).into()).await.unwrap();
        let from_server = world.runtime(server);
        let stream = from_server.connect(world.address(client.node(), 9)).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        drop(accepted);
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        stream.write_all(b"too late").await.unwrap();
        world.sleep(Duration::from_secs(1)).await;
        assert_eq!(stream.write_all(b"x").await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        world.reset_connections(server, client.node());
    });
}

#[test]
fn a_full_window_makes_the_writer_wait() {
    let faults =
        NetworkFaults { window_bytes_max: 10, short_read: Chance::NEVER, ..NetworkFaults::default() };
    let world = World::new(1, WorldOptions { network: faults, ..WorldOptions::default() });
    let (server, client) = (world.node("server"), world.node("client"));
    let (server, client) = (world.runtime(server), world.runtime(client));
    world.block_on(async {
        let listener = server.listen(([0, 0, 0, 0], PORT).into()).await.unwrap();
        let stream = client.connect(listener.local_address()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let blocked = timeout(&client, Duration::from_secs(1), stream.write_all(&[1; 11])).await;
        assert!(blocked.is_err());
        assert_eq!(accepted.read(&mut [0; 100]).await.unwrap(), 10);
        stream.write_all(&[1; 10]).await.unwrap();
    });
}
