use std::rc::Rc;

use crate::batch::KEY_BYTES_MAX;
use crate::codec::put_varint;
use crate::sstable::block::{Block, BlockCursor, Goal, Malformed};
use crate::sstable::index::Index;

/// A block whose one interval has a long key and then ten thousand entries that share all of it and add a byte each.
fn swollen() -> Vec<u8> {
    let mut block = vec![0; 8];
    let mut shared = 0;
    for number in 0..10_000 {
        let rest = if number == 0 { 8000 } else { 1 };
        for word in [shared, rest, 0, 0] {
            put_varint(&mut block, word as u64);
        }
        block.extend(std::iter::repeat_n(b'k', rest));
        shared += rest;
    }
    block.extend_from_slice(&8u32.to_le_bytes());
    block.extend_from_slice(&1u32.to_le_bytes());
    block
}

/// Found by thinking about what a fuzzer would find: 90 KB of block stood for 130 MB of keys.
#[test]
fn a_small_block_cannot_stand_for_much_memory() {
    let block = Rc::new(Block::parse(swollen().into()).expect("its frame is fine"));
    let mut cursor = BlockCursor::new(block.clone());
    assert_eq!(cursor.seek(Goal::Last), Err(Malformed));
    cursor.seek(Goal::First).expect("on the way up only one key is kept");
    while let Some(entry) = cursor.current() {
        assert!(entry.key.len() <= KEY_BYTES_MAX);
        if cursor.step().is_err() {
            break;
        }
    }
    assert!(!cursor.is_somewhere(), "the walk ends with a key that is too long");
    assert!(matches!(Index::parse(&block, |_| true), Err(Malformed)), "and an index of such keys is none");
}

/// Found by fuzzing: a search took an entry that shares less with the one before than it could for one above the target.
#[test]
fn an_entry_that_shares_less_than_it_could_is_found() {
    let mut bytes = vec![0; 8];
    for (shared, rest) in [(0, &b"key/06/some"[..]), (5, b"6/soon")] {
        for word in [shared, rest.len() as u64, 0, 0] {
            put_varint(&mut bytes, word);
        }
        bytes.extend_from_slice(rest);
    }
    bytes.extend_from_slice(&8u32.to_le_bytes());
    bytes.extend_from_slice(&1u32.to_le_bytes());
    let block = Block::parse(bytes.clone().into()).expect("its frame is fine");
    assert!(block.seek(b"key/06/soon").unwrap().is_some_and(|found| found.exact));
    assert!(block.seek(b"key/06/sonic").unwrap().is_some_and(|found| !found.exact));
    assert_eq!(block.seek(b"key/06/sooner"), Ok(None));
    super::block(&bytes);
}

#[test]
fn sample_inputs_pass_their_own_checks() {
    super::block(&super::build_block(&[(b"a", Some(b"1")), (b"ab", None), (b"b", Some(b""))], 2));
    super::block(&super::build_partition(&[b"a", b"b", b"c"]));
    super::sample_edits().iter().for_each(|edit| super::manifest_edit(edit));
}
