use super::*;

fn slow(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| is_special(*byte)).unwrap_or(bytes.len())
}

#[test]
fn every_byte_at_every_place_is_seen_for_what_it_is() {
    for size in 0..90 {
        for at in 0..size {
            for byte in 0..=255 {
                let mut bytes = vec![0x80 | at as u8; size];
                bytes[at] = byte;
                assert_eq!(plain_size(&bytes), slow(&bytes), "{byte} at {at} of {size}");
            }
        }
    }
}

/// A borrow runs upwards from a special byte: what is above it must not be taken for the first.
#[test]
fn the_first_of_several_is_found() {
    const BYTES: [u8; 7] = [0x00, 0x1f, 0x20, 0x21, b'"', b'#', b'\\'];
    for index in 0..BYTES.len().pow(4) {
        let digit = |place: u32| BYTES[index / BYTES.len().pow(place) % BYTES.len()];
        let bytes = [b'a', digit(0), digit(1), b'b', digit(2), b'c', digit(3), b'd', b'e'];
        assert_eq!(plain_size(&bytes), slow(&bytes), "{bytes:?}");
    }
}
