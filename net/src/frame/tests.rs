//! Hello, proof and header: what comes back, and that no changed bit passes.

use super::*;

const HELLO: Hello = Hello {
    cluster: 0x1234_5678_9abc_def0,
    node: 77,
    place: Some(Place { node: NodeId(4), shard: ShardId(3) }),
    start: 0x1122_3344_5566_7788,
    secret: true,
    nonce: [9; NONCE_BYTES],
};

fn header() -> Header {
    Header::for_payload(Kind::Request, 0x0102_0304_0506_0708, 1_500_000, 17, b"payload")
}

#[test]
fn hello_comes_back() {
    let outside = Hello { place: None, secret: false, ..HELLO };
    for hello in [HELLO, outside] {
        assert_eq!(Hello::decode(&hello.encode(), hello.cluster), Ok(hello));
    }
}

#[test]
fn hello_of_a_stranger_is_refused_with_the_reason() {
    let clusters = FrameError::Cluster { ours: 5, theirs: HELLO.cluster };
    assert_eq!(Hello::decode(&HELLO.encode(), 5), Err(clusters));
    let mut other_version = HELLO.encode();
    other_version[8] = 9;
    assert_eq!(Hello::decode(&other_version, HELLO.cluster), Err(FrameError::Version { theirs: 9 }));
    let mut http = [b' '; HELLO_BYTES];
    http[..14].copy_from_slice(b"GET / HTTP/1.1");
    assert_eq!(Hello::decode(&http, HELLO.cluster), Err(FrameError::NotTorc));
    assert_eq!(Hello::check_opening(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03"), Err(FrameError::Tls));
}

/// A hello whose checksum is right, made from one that was changed on purpose.
fn forged_hello(change: impl Fn(&mut [u8; HELLO_BYTES])) -> Result<Hello, FrameError> {
    let mut bytes = HELLO.encode();
    change(&mut bytes);
    let crc = crc32c::crc32c(&bytes[..92]);
    bytes[92..].copy_from_slice(&crc.to_le_bytes());
    Hello::decode(&bytes, HELLO.cluster)
}

#[test]
fn forged_hellos_are_refused() {
    assert!(forged_hello(|bytes| bytes[12] = 5).is_ok(), "another node is no forgery");
    assert_eq!(forged_hello(|bytes| bytes[10] = 0), Err(FrameError::Senseless));
    assert_eq!(forged_hello(|bytes| bytes[10] = 2), Err(FrameError::Senseless), "an outsider with a place");
    assert_eq!(forged_hello(|bytes| bytes[10] = 3), Err(FrameError::Senseless));
    assert_eq!(forged_hello(|bytes| bytes[11] = 2), Err(FrameError::Senseless));
    assert_eq!(forged_hello(|bytes| bytes[90] = 1), Err(FrameError::Senseless));
}

#[test]
fn no_changed_bit_of_a_hello_passes() {
    for bit in 0..HELLO_BYTES * 8 {
        let mut bytes = HELLO.encode();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Hello::decode(&bytes, HELLO.cluster).is_err(), "bit {bit}");
    }
}

#[test]
fn a_proof_comes_back_and_no_changed_bit_passes() {
    let proofs = [Verdict::WrongSecret, Verdict::Full, Verdict::NotMember].map(Proof::refusal);
    let welcome = Proof { verdict: Verdict::Welcome, code: [7; CODE_BYTES] };
    for proof in proofs.into_iter().chain([welcome]) {
        assert_eq!(Proof::decode(&proof.encode()), Ok(proof));
        for bit in 0..PROOF_BYTES * 8 {
            let mut bytes = proof.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Proof::decode(&bytes), Err(FrameError::Checksum), "bit {bit}");
        }
    }
}

#[test]
fn forged_proofs_are_refused() {
    for (at, value) in [(0, 1), (0, 4), (2, 1)] {
        let mut bytes = Proof { verdict: Verdict::Welcome, code: [7; CODE_BYTES] }.encode();
        bytes[at] = value;
        let crc = crc32c::crc32c(&bytes[..36]);
        bytes[36..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Proof::decode(&bytes), Err(FrameError::Senseless), "{at}: {value}");
    }
}

#[test]
fn header_comes_back_and_knows_its_payload() {
    let part = vec![1; PAYLOAD_BYTES_MAX];
    let others = [
        Header::for_payload(Kind::Tell, 0, 0, u32::MAX, b"told"),
        Header::for_payload(Kind::Ping, 0, 0, 0, &[]),
        Header::for_part(3, &part),
        Header::for_last_part(Kind::Reply, 8, 0, 4, b"end"),
    ];
    for header in others.into_iter().chain([header()]) {
        assert_eq!(Header::decode(&header.encode()), Ok(header));
    }
    assert_eq!(header().check(b"payload"), Ok(()));
    assert_eq!(header().check(b"payloae"), Err(FrameError::Checksum));
    assert_eq!(header().check(b"payloa"), Err(FrameError::Checksum));
}

#[test]
fn no_changed_bit_of_a_header_passes() {
    for bit in 0..HEADER_BYTES * 8 {
        let mut bytes = header().encode();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Header::decode(&bytes), Err(FrameError::Checksum), "bit {bit}");
    }
}

/// A header whose checksum is right, made from one that was changed on purpose.
fn forged(from: Header, change: impl Fn(&mut [u8; HEADER_BYTES])) -> Result<Header, FrameError> {
    let mut bytes = from.encode();
    change(&mut bytes);
    let crc = crc32c::crc32c(&bytes[..28]);
    bytes[28..].copy_from_slice(&crc.to_le_bytes());
    Header::decode(&bytes)
}

#[test]
fn forged_headers_are_refused() {
    let length = u32::try_from(PAYLOAD_BYTES_MAX).unwrap() + 1;
    assert_eq!(
        forged(header(), |bytes| bytes[..4].copy_from_slice(&length.to_le_bytes())),
        Err(FrameError::TooLong { length })
    );
    let senseless = |from: Header, at: usize, value: u8, what: &str| {
        let outcome = forged(from, |bytes| bytes[at] = value);
        assert_eq!(outcome, Err(FrameError::Senseless), "{what}");
    };
    senseless(header(), 4, 0, "no kind");
    senseless(header(), 4, 9, "a kind of another version");
    senseless(header(), 4, 5, "a ping with a payload");
    senseless(header(), 5, 2, "a flag of another version");
    senseless(header(), 6, 1, "a zero that is none");
    senseless(header(), 7, 1, "a zero that is none");
    senseless(header(), 4, 8, "a part that belongs to a call");
    senseless(header(), 4, 7, "something told that belongs to a call");
    senseless(Header::for_payload(Kind::Ping, 0, 0, 0, &[]), 8, 1, "a ping that belongs to a call");
    senseless(Header::for_payload(Kind::Reply, 4, 0, 0, b"x"), 16, 1, "a reply with a time");
    senseless(Header::for_payload(Kind::Busy, 4, 0, 0, &[]), 5, 1, "a joined refusal");
    senseless(Header::for_payload(Kind::Reply, 4, 0, 0, &[]), 5, 1, "an empty last part");
    senseless(Header::for_part(0, b"x"), 5, 1, "a part that is the last one too");
    senseless(Header::for_part(0, b"x"), 0, 0, "an empty part");
    assert!(forged(header(), |bytes| bytes[8] = 1).is_ok());
}
