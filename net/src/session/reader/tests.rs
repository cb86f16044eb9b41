//! Frames in pieces of every size, parts among others, and what does not belong.

use super::*;

fn frame(header: Header, payload: &[u8]) -> Vec<u8> {
    [header.encode().as_slice(), payload].concat()
}

/// Feeds the bytes in pieces of at most `piece`.
fn read(bytes: &[u8], piece: usize) -> Result<Vec<Incoming>, FrameError> {
    let (mut reader, mut rest, mut messages) = (Reader::new(), bytes, Vec::new());
    while !rest.is_empty() {
        let room = reader.room();
        let count = room.len().min(rest.len()).min(piece);
        assert!(count > 0, "there is always room");
        room[..count].copy_from_slice(&rest[..count]);
        reader.filled(count);
        rest = &rest[count..];
        while let Some(message) = reader.next()? {
            messages.push(message);
        }
        assert!(reader.buffer.len() <= BUFFER_BYTES_MAX);
    }
    Ok(messages)
}

fn told(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at % 251) as u8).collect()
}

#[test]
fn frames_are_cut_out_of_pieces_of_any_size() {
    let mut bytes = Vec::new();
    let sizes = [0, 1, 31, 32, 33, 100, 5000, PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MAX - 1, 3, 0];
    for (number, size) in (0..).zip(sizes) {
        let payload = told(size);
        bytes.extend(frame(Header::for_payload(Kind::Tell, 0, 0, number, &payload), &payload));
    }
    for piece in [1, 7, 32, 33, 1000, 16 << 10, 64 << 10, usize::MAX] {
        let messages = read(&bytes, piece).unwrap();
        let came: Vec<usize> = messages.iter().map(|message| message.payload.len()).collect();
        assert_eq!(came, sizes, "in pieces of {piece}");
        assert!(messages.iter().all(|message| message.payload == told(message.payload.len())));
    }
}

#[test]
fn parts_are_gathered_and_others_stand_between_them() {
    let (ping, large) = (Header::for_payload(Kind::Ping, 0, 0, 0, &[]), told(1000));
    let bytes = [
        frame(Header::for_part(0, &large[..400]), &large[..400]),
        frame(ping, &[]),
        frame(Header::for_part(1, &large[400..800]), &large[400..800]),
        frame(Header::for_last_part(Kind::Request, 7, 9, 2, &large[800..]), &large[800..]),
    ]
    .concat();
    let messages = read(&bytes, 100).unwrap();
    assert_eq!(messages[0].kind, Kind::Ping);
    assert_eq!(messages[1], Incoming { kind: Kind::Request, call: 7, timeout_us: 9, payload: large });
    assert_eq!(messages.len(), 2);
}

#[test]
fn a_message_in_parts_has_its_bound() {
    let part = vec![1; PAYLOAD_BYTES_MAX];
    let count = u32::try_from(CARRIED_BYTES_MAX / PAYLOAD_BYTES_MAX).unwrap();
    let rest = vec![2; CARRIED_BYTES_MAX % PAYLOAD_BYTES_MAX + 1];
    let fitting: Vec<u8> = (0..count).flat_map(|n| frame(Header::for_part(n, &part), &part)).collect();
    let with_last = |last: &[u8]| {
        let last = frame(Header::for_last_part(Kind::Tell, 0, 0, count, last), last);
        read(&[&fitting[..], &last].concat(), usize::MAX)
    };
    assert_eq!(with_last(&rest[1..]).unwrap()[0].payload.len(), CARRIED_BYTES_MAX);
    let too_long = Err(FrameError::TooLong { length: CARRIED_BYTES_MAX as u32 + 1 });
    assert_eq!(with_last(&rest), too_long);
}

#[test]
fn what_came_twice_or_is_missing_is_noticed() {
    let ping = |number| frame(Header::for_payload(Kind::Ping, 0, 0, number, &[]), &[]);
    let part = |number| frame(Header::for_part(number, b"x"), b"x");
    assert_eq!(read(&[ping(0), ping(1), ping(2)].concat(), 50).unwrap().len(), 3);
    let check = |frames: &[Vec<u8>], expected: u32, came: u32| {
        assert_eq!(read(&frames.concat(), 50), Err(FrameError::Number { expected, came }));
    };
    check(&[ping(0), ping(0)], 1, 0);
    check(&[ping(1)], 0, 1);
    check(&[ping(0), ping(2)], 1, 2);
    check(&[part(0), part(0)], 1, 0);
    check(&[part(1)], 0, 1);
    assert!(read(&[part(0), ping(0), part(1), ping(1)].concat(), 50).is_ok(), "each lane counts for itself");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let alone = frame(Header::for_last_part(Kind::Tell, 0, 0, 0, b"x"), b"x");
    assert_eq!(read(&alone, 50), Err(FrameError::Senseless), "an end without a beginning");
    let mut damaged = frame(Header::for_payload(Kind::Tell, 0, 0, 0, b"told"), b"told");
    damaged[HEADER_BYTES] ^= 1;
    assert_eq!(read(&damaged, 50), Err(FrameError::Checksum));
}
