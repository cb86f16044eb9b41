//! Doors for fuzzing: inner readers on any bytes, with what is checked about their answers. No part of the crate's surface.
//!
//! Checksums keep fuzzers out of everything that matters, so [`reseal_log`], [`reseal_footer`] and the functions on bytes
//! below put valid ones in: what then gets through is what a broken or hostile writer could produce.

use std::path::Path;
use std::rc::Rc;

use runtime::BLOCK_BYTES;

use crate::log::format::{BATCH_HEADER_BYTES, Life, padded};
use crate::manifest::{Edit, Generation, Picture, decode_generation};
use crate::sstable::block::{Block, BlockBuilder, BlockCursor, Entry, Goal, INDEX_RESTART_INTERVAL};
use crate::sstable::footer::FOOTER_BYTES;
use crate::sstable::partition::Partition;
use crate::sstable::stored::{Opener, TRAILER_BYTES, seal};
use crate::sstable::{Handle, Seal, filter};

/// A sorted block of these keys and values, tombstones without; sequence numbers count up.
pub fn build_block(entries: &[(&[u8], Option<&[u8]>)], restart_interval: usize) -> Vec<u8> {
    let mut builder = BlockBuilder::new(restart_interval);
    for (at, (key, value)) in entries.iter().enumerate() {
        builder.add(Entry { key, sequence: 1000 + at as u64, value: *value });
    }
    let mut out = Vec::new();
    builder.finish(&mut out);
    out
}

/// A partition: a filter over the keys, and an index of handles.
pub fn build_partition(keys: &[&[u8]]) -> Vec<u8> {
    let hashes: Vec<u64> = keys.iter().map(|key| filter::hash(key, 0)).collect();
    let mut out = vec![0; 4];
    filter::build(&hashes, 10, &mut out);
    let size = (out.len() - 4) as u32;
    out[..4].copy_from_slice(&size.to_le_bytes());
    let mut index = BlockBuilder::new(INDEX_RESTART_INTERVAL);
    for (at, key) in keys.iter().enumerate() {
        let mut value = Vec::new();
        Handle { offset: 4096 * at as u64, size: 100, checksum: 7 }.encode(&mut value);
        index.add(Entry { key, sequence: 0, value: Some(&value) });
    }
    index.finish(&mut out);
    out
}

/// Any bytes as a sorted block and as a partition: read both ways, searched; the ways must agree.
pub fn block(bytes: &[u8]) {
    if let Ok(block) = Block::parse(bytes.into()) {
        walk_block(Rc::new(block));
    }
    if let Ok(partition) = Partition::parse(bytes, |_| true) {
        let _ = partition.may_contain(0x0123_4567_89ab_cdef);
        assert!(partition.index.len() <= bytes.len(), "each entry takes bytes of the block");
        for at in 0..partition.index.len() {
            let found = partition.index.find(partition.index.separator(at));
            assert_eq!(
                partition.index.separator(found),
                partition.index.separator(at),
                "what is there is found"
            );
        }
    }
}

fn walk_block(block: Rc<Block>) {
    let mut keys: Vec<Vec<u8>> = Vec::new();
    let mut cursor = BlockCursor::new(block.clone());
    let mut well_formed = cursor.seek(Goal::First).is_ok();
    while let Some(entry) = cursor.current() {
        keys.push(entry.key.to_vec());
        // Each entry takes bytes of the block: more than it has bytes are too many.
        assert!(keys.len() <= block.size(), "the walk ends");
        if cursor.step().is_err() {
            well_formed = false;
            break;
        }
    }
    let mut back = BlockCursor::new(block.clone());
    let mut count = 0;
    if back.seek(Goal::Last).is_ok() {
        while back.current().is_some() && back.step_back().is_ok() {
            count += 1;
            assert!(count <= block.size(), "the walk ends backwards");
        }
    }
    let ascending = keys.windows(2).all(|pair| pair[0] < pair[1]);
    for key in keys.iter().take(64) {
        for goal in [Goal::AtOrAfter(key), Goal::After(key), Goal::AtOrBefore(key), Goal::Before(key)] {
            let _ = cursor.seek(goal);
        }
        let found = block.seek(key);
        if well_formed && ascending {
            let found = found.expect("a walk found nothing malformed");
            assert!(found.is_some_and(|found| found.exact), "what a walk finds, a search finds");
        }
    }
    for absent in [&b""[..], b"\xff\xff\xff\xff\xff"] {
        let _ = block.seek(absent);
    }
    for value in keys.iter().filter_map(|key| block.seek(key).ok().flatten()) {
        let _ = Handle::decode(block.bytes(value.value));
    }
}

/// Any bytes as the body of a stored block of `kind` that says `raw_size`, with a checksum that fits.
pub fn stored_block(body: &[u8], kind: u8, raw_size: u32) {
    let whose = Seal { identity: 7, file: 3 };
    let mut out = Vec::new();
    let handle = seal(&mut out, whose, 4096, (body, kind), raw_size as usize);
    assert_eq!(out.len(), body.len() + TRAILER_BYTES);
    if let Ok(raw) = Opener::default().open(&out, whose, handle) {
        assert_eq!(raw.len(), raw_size as usize, "a block has the size that it says");
        block(&raw);
    }
}

/// Any bytes as the file of a manifest's generation.
pub fn manifest_file(bytes: &[u8]) {
    let whole = &bytes[..bytes.len() - bytes.len() % BLOCK_BYTES];
    if let Ok(generation) = decode_generation(Path::new("manifest"), whole, 1) {
        check_picture(&generation);
    }
}

/// Any bytes as the second record of a generation whose first is that of a small tree.
pub fn manifest_edit(record: &[u8]) {
    let first = Picture::new(5).encode(1);
    let mut file = crate::manifest::encode(&first, 1, 0, 0);
    if !record.is_empty() {
        let offset = file.len() as u64;
        file.extend_from_slice(&crate::manifest::encode(record, 1, offset, 1));
    }
    if let Ok(edit) = Edit::decode(record) {
        let again = Edit::decode(&edit.encode()).expect("what was decoded can be encoded");
        assert_eq!(again, edit, "an edit survives its encoding");
    }
    if let Ok(generation) = decode_generation(Path::new("manifest"), &file, 1) {
        check_picture(&generation);
    }
}

/// A picture survives being written as the first record of a new generation.
fn check_picture(generation: &Generation) {
    let encoded = generation.picture.encode(9);
    let (again, _) = Picture::decode(&encoded, 9).expect("a picture can be read back");
    assert_eq!(again, generation.picture);
}

/// A small tree's manifest: a generation of a few edits.
pub fn sample_edits() -> Vec<Vec<u8>> {
    use crate::sstable::TableMeta;
    use crate::version::DroppedRange;
    let meta = |id: u64| TableMeta {
        id,
        size: 8192,
        entries: 3,
        tombstones: 1,
        sequence_min: 1,
        sequence_max: 9,
        drops_applied: 0,
        created: runtime::Wall(1_700_000_000_000_000),
        newest: (id == 1).then_some(runtime::Wall(1_700_000_000_000_001)),
        content_checksum: 0xfeed_beef,
        smallest: b"key/a"[..].into(),
        largest: b"key/z"[..].into(),
    };
    let drop = DroppedRange { sequence: 9, from: b"a"[..].into(), to: b"b"[..].into() };
    let empty = Edit { next_file_id: 3, last_sequence: 9, ..Edit::default() };
    let add = Edit { added: vec![(0, meta(1)), (1, meta(2))], marks: [(4, 17)].into(), ..empty.clone() };
    let drops = Edit { drops: vec![drop], retired: vec![3], ..empty.clone() };
    vec![add.encode(), drops.encode(), Edit { removed: vec![1], ..empty }.encode()]
}

/// Puts valid checksums into what looks like a segment: its header, and its batches as far as their lengths lead.
pub fn reseal_log(segment: &mut [u8]) {
    if segment.len() < BLOCK_BYTES {
        return;
    }
    let header = &segment[..BLOCK_BYTES];
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&header[..12]), &header[16..]);
    segment[12..16].copy_from_slice(&checksum.to_le_bytes());
    let u64_at = |at: usize| u64::from_le_bytes(segment[at..at + 8].try_into().expect("eight bytes"));
    let life = Life { seq: u64_at(40), epoch: u64_at(48) };
    let mut offset = BLOCK_BYTES;
    while let Some(batch) = segment.get_mut(offset..).filter(|rest| rest.len() >= BATCH_HEADER_BYTES) {
        let length = u32::from_le_bytes(batch[8..12].try_into().expect("four bytes")) as usize;
        if &batch[..4] != b"tlb1" || length < BATCH_HEADER_BYTES || length > batch.len() {
            break;
        }
        let seed = life.seed(offset as u64);
        let payload = crc32c::crc32c_append(seed, &batch[BATCH_HEADER_BYTES..length]);
        batch[60..64].copy_from_slice(&payload.to_le_bytes());
        let checksum = crc32c::crc32c_append(seed, &batch[8..BATCH_HEADER_BYTES]);
        batch[4..8].copy_from_slice(&checksum.to_le_bytes());
        offset += padded(length);
    }
}

/// Puts a valid checksum into an SSTable's footer.
pub fn reseal_footer(file: &mut [u8]) {
    if let Some(at) = file.len().checked_sub(FOOTER_BYTES) {
        let checksum = crc32c::crc32c(&file[at..at + FOOTER_BYTES - 4]);
        file[at + FOOTER_BYTES - 4..].copy_from_slice(&checksum.to_le_bytes());
    }
}

#[cfg(test)]
mod tests;
