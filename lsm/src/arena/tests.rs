//! Pieces of chunks.

use bytes::{BufMut, Bytes};

use super::*;

fn filled(arena: &mut Arena, size: usize, byte: u8) -> Bytes {
    let mut piece = arena.piece(size);
    assert!(piece.is_empty() && piece.capacity() >= size);
    piece.put_bytes(byte, size);
    piece.freeze()
}

#[test]
fn pieces_lie_behind_each_other_and_keep_their_bytes() {
    let mut arena = Arena::new(1000);
    let pieces: Vec<Bytes> = (0..200).map(|byte| filled(&mut arena, usize::from(byte), byte)).collect();
    for (byte, piece) in (0..200).zip(&pieces) {
        assert!(piece.len() == usize::from(byte) && piece.iter().all(|found| *found == byte));
    }
    let (first, second) = (filled(&mut arena, 10, 1), filled(&mut arena, 10, 2));
    assert_eq!(first.as_ptr().addr() + 10, second.as_ptr().addr(), "no gap between two pieces of a chunk");
}

#[test]
fn what_is_large_does_not_end_a_chunk() {
    let mut arena = Arena::new(1000);
    let before = filled(&mut arena, 10, 1);
    let large = filled(&mut arena, 251, 2);
    let after = filled(&mut arena, 10, 3);
    assert_eq!(before.as_ptr().addr() + 10, after.as_ptr().addr());
    assert_eq!(large.len(), 251);
}
