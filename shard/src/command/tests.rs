//! Commands: what comes back, the bytes of this version, and that no bytes make the decoder go wrong.

use super::*;

fn sample() -> Vec<u8> {
    let mut command = CommandBuilder::new(Stamp(0x0102_0304_0506_0708));
    command.put(b"key", &[b"he", b"ad", b"item"]);
    command.delete(b"gone");
    command.drop_range(b"a", b"b");
    command.finish().to_vec()
}

#[test]
fn effects_come_back_in_order() {
    let bytes = sample();
    let command = Command::decode(&bytes).unwrap();
    assert_eq!(command.stamp, Stamp(0x0102_0304_0506_0708));
    let effects: Vec<_> = command.effects().collect();
    let expected = [
        Effect::Put { key: b"key", value: b"headitem" },
        Effect::Delete { key: b"gone" },
        Effect::DropRange { from: b"a", to: b"b" },
    ];
    assert_eq!(effects, expected);
    let mut batch = WriteBatch::new();
    command.fill(&mut batch);
    assert_eq!((batch.len(), batch.bytes()), (3, 3 + 8 + 4 + 2));
}

#[test]
fn what_is_put_can_be_shared_with_the_command() {
    let bytes = Bytes::from(sample());
    let (mut shared, mut copied) = (WriteBatch::new(), WriteBatch::new());
    let command = Command::decode(&bytes).unwrap();
    command.share(&bytes, &mut shared);
    command.fill(&mut copied);
    assert_eq!((shared.len(), shared.bytes()), (copied.len(), copied.bytes()));
}

#[test]
fn a_command_in_an_arena_has_the_same_bytes() {
    let mut arena = Arena::new(1 << 10);
    for room in [0, 3 + 8, 100] {
        let mut command = CommandBuilder::in_arena(Stamp(7), &mut arena, room);
        command.put(b"key", &[b"head", b"item"]);
        let mut plain = CommandBuilder::new(Stamp(7));
        plain.put(b"key", &[b"headitem"]);
        assert_eq!(command.finish(), plain.finish());
    }
}

/// The bytes of version 1, as FORMAT.md has them: this must decode for ever.
#[test]
fn version_1_stays_readable() {
    let mut bytes = vec![1, 0, 3, 0, 8, 7, 6, 5, 4, 3, 2, 1];
    bytes.extend_from_slice(b"\x01\x03\0\0\x08\0\0\0keyheaditem");
    bytes.extend_from_slice(b"\x02\x04\0\0\0\0\0\0gone");
    bytes.extend_from_slice(b"\x03\x01\0\0\x01\0\0\0ab");
    assert_eq!(sample(), bytes);
    assert!(Command::decode(&bytes).is_ok());
}

#[test]
fn every_cut_is_noticed_and_so_is_every_surplus_byte() {
    let bytes = sample();
    for length in 0..bytes.len() {
        assert!(Command::decode(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
    }
    assert!(Command::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
}

#[test]
fn senseless_commands_are_refused() {
    let change = |at: usize, to: u8| {
        let mut bytes = sample();
        bytes[at] = to;
        Command::decode(&bytes).map(|_| ())
    };
    assert_eq!(change(0, 2), Err("a command of an unknown version"));
    assert_eq!(change(1, 1), Err("a command's header makes no sense"));
    assert_eq!(change(2, 0), Err("a command's header makes no sense"));
    assert_eq!(change(2, 2), Err("a command has bytes after its effects"));
    assert_eq!(change(12, 9), Err("an effect of an unknown kind"));
    assert_eq!(change(13, 0), Err("an effect's sizes are out of bounds"));
    assert_eq!(change(15, 255), Err("an effect's sizes are out of bounds"));
    assert_eq!(change(19, 255), Err("an effect's sizes are out of bounds"));
    assert_eq!(change(31, 3), Err("an effect of an unknown kind"), "a range that ends before it begins");
}

#[test]
fn changed_bytes_never_panic() {
    let bytes = sample();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        if let Ok(command) = Command::decode(&changed) {
            assert!(command.effects().count() == 3);
        }
    }
}
