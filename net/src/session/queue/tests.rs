//! Order, bounds, and what overtakes what.

use super::*;
use runtime::sim::{World, WorldOptions};

/// The queue needs no runtime; a world is the block_on at hand.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    World::new(1, WorldOptions::default()).block_on(future)
}

fn message(kind: Kind, call: u64, size: usize) -> Outgoing {
    Outgoing { kind, call, timeout_us: 0, payload: vec![1; size] }
}

/// The headers of the frames in what is written.
fn headers(bytes: &[u8]) -> Vec<Header> {
    let (mut rest, mut headers) = (bytes, Vec::new());
    while let Some(head) = rest.first_chunk() {
        let header = Header::decode(head).unwrap();
        let end = HEADER_BYTES + header.length as usize;
        header.check(&rest[HEADER_BYTES..end]).unwrap();
        headers.push(header);
        rest = &rest[end..];
    }
    assert!(rest.is_empty());
    headers
}

fn take(queue: &Queue) -> Vec<Header> {
    headers(&block_on(queue.take(Vec::new())))
}

#[test]
fn what_was_pushed_together_leaves_together_and_in_order() {
    let queue = Queue::new(1 << 20);
    for call in 1..=100 {
        queue.push_within(usize::MAX, message(Kind::Request, call, 128)).ok().unwrap();
    }
    let headers = take(&queue);
    assert!(headers.iter().map(|header| header.call).eq(1..=100));
    assert!(headers.iter().map(|header| header.number).eq(0..100));
    assert_eq!(queue.bytes(), 0);
}

#[test]
fn small_messages_overtake_large_ones_and_starve_none() {
    let queue = Queue::new(64 << 20);
    let large = 20 * PAYLOAD_BYTES_MAX + 5;
    queue.push_within(usize::MAX, message(Kind::Tell, 0, large)).ok().unwrap();
    let (mut parts, mut writes) = (0, 0);
    loop {
        assert!(queue.push_small(Kind::Ping, 0));
        let headers = take(&queue);
        writes += 1;
        assert_eq!(headers[0].kind, Kind::Ping, "it waits for no part");
        assert!(headers.len() >= 2, "a part leaves with each write");
        parts += headers.len() - 1;
        if headers.last().unwrap().joined {
            break;
        }
    }
    assert_eq!((parts, queue.bytes()), (21, 0));
    assert!(writes >= 10, "the large one leaves in {writes} writes");
}

#[test]
fn the_bound_holds_and_a_message_alone_has_room() {
    let queue = Queue::new(1000);
    queue.push_within(usize::MAX, message(Kind::Tell, 0, 5000)).ok().unwrap();
    assert!(queue.push_within(usize::MAX, message(Kind::Tell, 0, 1)).is_err());
    take(&queue);
    queue.push_within(500, message(Kind::Tell, 0, 400)).ok().unwrap();
    let back = queue.push_within(500, message(Kind::Tell, 0, 100)).err().unwrap();
    assert_eq!(back.payload.len(), 100, "it comes back");
    queue.push_within(usize::MAX, back).ok().unwrap();
    let mut small = 0;
    while queue.push_small(Kind::Pong, 0) {
        small += HEADER_BYTES;
    }
    assert!((SMALL_BYTES_MAX..SMALL_BYTES_MAX + 2000).contains(&small), "{small}");
}

#[test]
fn a_push_waits_for_room() {
    let queue = Queue::new(1000);
    queue.push_within(usize::MAX, message(Kind::Reply, 1, 900)).ok().unwrap();
    block_on(async {
        let waiting = queue.push(message(Kind::Reply, 2, 900));
        let drain = async {
            let bytes = queue.take(Vec::new()).await;
            assert_eq!(headers(&bytes).len(), 1);
            std::future::pending::<()>().await
        };
        runtime::sync::select(waiting, drain).await;
    });
    assert_eq!(take(&queue)[0].call, 2);
}

#[test]
fn a_closed_queue_names_the_requests_that_never_left() {
    let queue = Queue::new(64 << 20);
    let push = |kind, call, size| queue.push_within(usize::MAX, message(kind, call, size)).ok().unwrap();
    push(Kind::Request, 1, 10);
    take(&queue);
    push(Kind::Request, 2, 10);
    push(Kind::Reply, 3, 10);
    push(Kind::Request, 4, 10 * PAYLOAD_BYTES_MAX);
    push(Kind::Reply, 5, 10 * PAYLOAD_BYTES_MAX);
    push(Kind::Request, 6, 10 * PAYLOAD_BYTES_MAX);
    let written = take(&queue);
    assert!(written.iter().any(|header| header.kind == Kind::Part), "a part of 4 has left, not its end");
    assert_eq!(queue.close(), [4, 6]);
    queue.push_within(usize::MAX, message(Kind::Request, 7, 10)).ok().unwrap();
    assert_eq!((queue.bytes(), queue.close().len()), (0, 0), "nothing enters a closed queue");
}
