use super::*;

const POSITION: Position = Position { passes: 3, began: Wall(1 << 50), next: 17, end: 99, bytes: 12345 };

#[test]
fn a_position_comes_back_and_anything_else_is_none() {
    let block = POSITION.encode(7);
    assert_eq!(Position::decode(&block, 7), Some(POSITION));
    assert_eq!(Position::decode(&block, 8), None, "another tree's");
    assert_eq!(Position::decode(&[0; BLOCK_BYTES], 0), None);
    assert_eq!(Position::decode(&block[..50], 7), None);
    for at in 0..CHECKSUM_AT + 4 {
        let mut rotten = block;
        rotten[at] ^= 4;
        assert_eq!(Position::decode(&rotten, 7), None, "byte {at}");
    }
}

/// FORMAT.md, byte by byte.
#[test]
fn the_bytes_are_those_of_the_page() {
    let block = POSITION.encode(7);
    assert_eq!(block[..12], *b"torcSCR\0\x01\0\0\0");
    assert_eq!((block[12], block[20], block[36], block[44]), (7, 3, 17, 99));
    assert!(block[64..].iter().all(|byte| *byte == 0));
}

#[test]
fn large_trees_are_done_in_a_pass_and_small_ones_rest() {
    let day = Duration::from_secs(24 * 3600);
    assert_eq!(pace(1 << 20, 10 * day, 1 << 20), 1 << 20);
    let terabyte = 1 << 40;
    let rate = pace(terabyte, 10 * day, 1 << 20);
    assert!(time(terabyte, rate) <= 14 * day && time(terabyte, rate) >= 9 * day);
    assert_eq!(time(256 << 10, 1 << 20), Duration::from_millis(250));
    let position = Position { began: Wall(0), ..POSITION };
    assert_eq!(rest(&position, 10 * day, Wall(day.as_micros() as u64)), 9 * day);
    assert_eq!(rest(&position, day, Wall(3 * day.as_micros() as u64)), Duration::ZERO);
}
