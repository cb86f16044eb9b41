//! Hello and header: what comes back, and that no changed bit passes.

use super::*;

const HELLO: Hello = Hello { cluster: 0x1234_5678_9abc_def0, node: 77, shard: 3 };

fn header() -> Header {
    Header::for_payload(Kind::Request, 0x0102_0304_0506_0708, 1_500_000, b"payload")
}

#[test]
fn hello_comes_back() {
    assert_eq!(Hello::decode(&HELLO.encode(), HELLO.cluster), Ok(HELLO));
}

#[test]
fn hello_of_a_stranger_is_refused_with_the_reason() {
    assert_eq!(Hello::decode(&HELLO.encode(), 5), Err(FrameError::Cluster { theirs: HELLO.cluster }));
    let mut other_version = HELLO.encode();
    other_version[8] = 9;
    assert_eq!(Hello::decode(&other_version, HELLO.cluster), Err(FrameError::Version { theirs: 9 }));
    let mut http = [b' '; HELLO_BYTES];
    http[..14].copy_from_slice(b"GET / HTTP/1.1");
    assert_eq!(Hello::decode(&http, HELLO.cluster), Err(FrameError::NotTorc));
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
fn header_comes_back_and_knows_its_payload() {
    let header = header();
    assert_eq!(Header::decode(&header.encode()), Ok(header));
    assert_eq!(header.check(b"payload"), Ok(()));
    assert_eq!(header.check(b"payloae"), Err(FrameError::Checksum));
    assert_eq!(header.check(b"payloa"), Err(FrameError::Checksum));
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
fn forged(change: impl Fn(&mut [u8; HEADER_BYTES])) -> Result<Header, FrameError> {
    let mut bytes = header().encode();
    change(&mut bytes);
    let crc = crc32c::crc32c(&bytes[..28]);
    bytes[28..].copy_from_slice(&crc.to_le_bytes());
    Header::decode(&bytes)
}

#[test]
fn forged_headers_are_refused() {
    let length = u32::try_from(MESSAGE_BYTES_MAX).unwrap() + 1;
    assert_eq!(
        forged(|bytes| bytes[..4].copy_from_slice(&length.to_le_bytes())),
        Err(FrameError::TooLong { length })
    );
    assert_eq!(forged(|bytes| bytes[4] = 0), Err(FrameError::Senseless));
    assert_eq!(forged(|bytes| bytes[4] = 7), Err(FrameError::Senseless));
    assert_eq!(forged(|bytes| bytes[4] = 5), Err(FrameError::Senseless), "a ping has no payload");
    assert_eq!(forged(|bytes| bytes[6] = 1), Err(FrameError::Senseless));
    assert_eq!(forged(|bytes| bytes[25] = 1), Err(FrameError::Senseless));
    assert!(forged(|bytes| bytes[8] = 1).is_ok());
}
