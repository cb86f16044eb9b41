//! The second reader: written from `docs/FORMAT.md` alone. It panics where the page says that a reader must refuse.
//!
//! Slow and plain on purpose. Only Zstandard is somebody else's.

use std::collections::{BTreeMap, BTreeSet};

use super::Files;

const BLOCK: usize = 4096;

/// CRC-32C, bit by bit: polynomial 1EDC6F41 reflected, all ones before and after.
fn crc32c(parts: &[&[u8]]) -> u32 {
    let mut crc = !0u32;
    for byte in parts.iter().flat_map(|part| part.iter()) {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82F6_3B78 } else { crc >> 1 };
        }
    }
    !crc
}

#[test]
fn the_checksum_is_the_one_of_the_page() {
    assert_eq!(crc32c(&[b"1234", b"56789"]), 0xE306_9283);
}

/// Bytes read from the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, size: usize) -> &'a [u8] {
        let (head, tail) = self.0.split_at(size);
        self.0 = tail;
        head
    }

    fn u8(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().unwrap())
    }

    fn varint(&mut self) -> u64 {
        let mut value = 0;
        for place in 0..10 {
            let byte = self.u8();
            assert!(place < 9 || byte < 2, "a varint beyond 64 bits");
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return value;
            }
        }
        panic!("a varint without an end");
    }

    fn bytes(&mut self) -> &'a [u8] {
        let size = self.varint() as usize;
        self.take(size)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// A record of the log.
pub struct Record {
    pub kind: u8,
    pub stream: u64,
    pub term: u64,
    pub index: u64,
    pub position: u64,
    pub payload: Vec<u8>,
}

struct Segment<'a> {
    bytes: &'a [u8],
    seq: u64,
    epoch: u64,
    prev_seq: u64,
    prev_end: u64,
    /// Chain, lsn and position of the first batch.
    first: (u32, u64, u64),
}

/// "Reading after a stop" of a log that was closed: no damage to judge, so the chain and its batches are all there is.
pub fn read_log(files: &Files) -> Vec<Record> {
    let mut head = 0;
    let mut segments: BTreeMap<u64, Segment<'_>> = BTreeMap::new();
    for (name, bytes) in files {
        let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let (seq, said) = (number(&name[..16]), number(&name[17..33]));
        assert!(name.len() == 37 && &name[16..17] == "-" && name.ends_with(".log"));
        head = head.max(said);
        if let Some((segment, said)) = read_header(bytes).filter(|(segment, _)| segment.seq == seq) {
            head = head.max(said);
            segments.insert(seq, segment);
        }
    }
    let mut chain = vec![*segments.keys().max().expect("there is a log")];
    while let seq = segments[chain.last().unwrap()].prev_seq
        && *chain.last().unwrap() > head
        && seq > 0
    {
        chain.push(seq);
    }
    chain.reverse();
    let mut records = Vec::new();
    let mut expected = segments[&chain[0]].first;
    for (at, seq) in chain.iter().enumerate() {
        let segment = &segments[seq];
        assert_eq!(segment.first, expected, "a segment goes on where the one before ends");
        let end = chain.get(at + 1).map(|next| segments[next].prev_end as usize);
        expected = read_batches(segment, end, expected, &mut records);
    }
    records
}

/// The header, if it checks, and the head in it.
fn read_header(bytes: &[u8]) -> Option<(Segment<'_>, u64)> {
    let block = &bytes[..BLOCK];
    if &block[..8] != b"torc log" || u32_at(block, 12) != crc32c(&[&block[..12], &block[16..]]) {
        return None;
    }
    assert_eq!(u32_at(block, 8), 1, "the version");
    assert_eq!((u16_at(block, 32), u16_at(block, 34)), (5, 6), "the node and the shard");
    assert_eq!(u64_at(block, 56), bytes.len() as u64, "the segment's size");
    let first = (u32_at(block, 88), u64_at(block, 96), u64_at(block, 104));
    let segment = Segment {
        bytes,
        seq: u64_at(block, 40),
        epoch: u64_at(block, 48),
        prev_seq: u64_at(block, 72),
        prev_end: u64_at(block, 80),
        first,
    };
    Some((segment, u64_at(block, 64)))
}

/// Batches from block 1 to `end`, or to the first that is none; gives what the next batch must continue.
fn read_batches(
    segment: &Segment<'_>,
    end: Option<usize>,
    mut expected: (u32, u64, u64),
    records: &mut Vec<Record>,
) -> (u32, u64, u64) {
    let mut offset = BLOCK;
    while end.is_none_or(|end| offset < end) && offset + BLOCK <= segment.bytes.len() {
        let place = [segment.epoch, segment.seq, offset as u64].map(u64::to_le_bytes).concat();
        let batch = &segment.bytes[offset..];
        let checksum = u32_at(batch, 4);
        let checks = &batch[..4] == b"tlb1" && checksum == crc32c(&[&place, &batch[8..64]]);
        if !checks {
            assert!(end.is_none(), "a segment with a successor ends where that one says");
            break;
        }
        let length = u32_at(batch, 8) as usize;
        assert_eq!(u32_at(batch, 60), crc32c(&[&place, &batch[64..length]]), "the records' checksum");
        assert_eq!(
            (u32_at(batch, 56), u64_at(batch, 16), u64_at(batch, 24)),
            expected,
            "it continues the one before"
        );
        assert_eq!((u64_at(batch, 32), u64_at(batch, 40)), (segment.seq, segment.epoch));
        assert!(u64_at(batch, 48) < u64_at(batch, 16), "what was durable lies before");
        read_records(&batch[..length], u32_at(batch, 12), expected.2, records);
        let size = length.next_multiple_of(BLOCK);
        expected = (checksum, expected.1 + 1, expected.2 + size as u64);
        offset += size;
    }
    expected
}

fn read_records(batch: &[u8], count: u32, position: u64, records: &mut Vec<Record>) {
    let mut start = 64;
    for _ in 0..count {
        let record = &batch[start..];
        let end = 40 + u32_at(record, 4) as usize;
        assert_eq!(u32_at(record, 0), crc32c(&[&record[4..end]]), "the record's checksum");
        records.push(Record {
            kind: record[8],
            stream: u64_at(record, 16),
            term: u64_at(record, 24),
            index: u64_at(record, 32),
            position: position + (start + end) as u64,
            payload: record[40..end].to_vec(),
        });
        start = (start + end).next_multiple_of(8);
    }
    assert!(start >= batch.len(), "nothing behind the last record");
}

/// A tree: what its newest manifest names, read.
#[derive(Default)]
pub struct Tree {
    identity: u64,
    pub marks: BTreeMap<u64, u64>,
    drops: Vec<(u64, Vec<u8>, Vec<u8>)>,
    pub tables: Vec<Table>,
}

/// A key, its sequence number, and its value or a tombstone.
type Entry = (Vec<u8>, u64, Option<Vec<u8>>);

/// An SSTable and its entries.
pub struct Table {
    pub id: u64,
    pub entries: Vec<Entry>,
    kinds: BTreeSet<u8>,
}

/// What the manifest says of an SSTable.
#[derive(Clone)]
struct Line {
    id: u64,
    size: u64,
    entries: u64,
    sequences: (u64, u64),
    checksum: u32,
    bounds: (Vec<u8>, Vec<u8>),
}

impl Tree {
    /// The newest write of each key that no drop hides.
    pub fn contents(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut newest: BTreeMap<&[u8], (u64, Option<&[u8]>)> = BTreeMap::new();
        for (key, sequence, value) in self.tables.iter().flat_map(|table| &table.entries) {
            let entry = newest.entry(key).or_insert((*sequence, value.as_deref()));
            if entry.0 < *sequence {
                *entry = (*sequence, value.as_deref());
            }
        }
        let dropped = |key: &[u8], sequence: u64| {
            self.drops.iter().any(|(at, from, to)| sequence <= *at && **from <= *key && *key < **to)
        };
        newest.retain(|key, (sequence, _)| !dropped(key, *sequence));
        newest.into_iter().filter_map(|(key, (_, value))| Some((key.to_vec(), value?.to_vec()))).collect()
    }

    /// Kinds of compression that its blocks have.
    pub fn compressions(&self) -> BTreeSet<u8> {
        self.tables.iter().flat_map(|table| table.kinds.iter().copied()).collect()
    }
}

pub fn read_tree(files: &Files) -> Tree {
    let manifest =
        files.keys().filter(|name| name.starts_with("manifest-")).max().expect("there is a manifest");
    let generation = u64::from_str_radix(&manifest["manifest-".len()..], 16).unwrap();
    let mut tree = Tree::default();
    let mut lines: BTreeMap<u64, (u8, Line)> = BTreeMap::new();
    for (at, record) in manifest_records(&files[manifest], generation).iter().enumerate() {
        let mut fields = Bytes(record);
        if at == 0 {
            assert_eq!(fields.take(8), b"torcMAN\0");
            assert!(matches!(fields.u32(), 1 | 2), "the version");
            assert_eq!(fields.u64(), generation);
            tree.identity = fields.u64();
        }
        read_edit(&mut fields, &mut tree, &mut lines);
    }
    for (_, line) in lines.values() {
        let bytes = &files[&format!("{:016x}.sst", line.id)];
        assert_eq!(bytes.len() as u64, line.size);
        tree.tables.push(read_table(bytes, tree.identity, line));
    }
    tree
}

/// The records of a generation: sectors of 512 bytes, put together.
fn manifest_records(bytes: &[u8], generation: u64) -> Vec<Vec<u8>> {
    let mut records: Vec<Vec<u8>> = Vec::new();
    let mut offset = 0;
    while offset < bytes.len() && bytes[offset..offset + 512].iter().any(|byte| *byte != 0) {
        let size = u32_at(bytes, offset + 4) as usize;
        let mut record = Vec::new();
        for part in 0..size.div_ceil(496) {
            let at = offset + 512 * part;
            let place = [generation, at as u64].map(u64::to_le_bytes).concat();
            let sector = &bytes[at..at + 512];
            assert_eq!(u32_at(sector, 0), crc32c(&[&place, &sector[4..]]), "the sector's checksum");
            assert_eq!((u32_at(sector, 4) as usize, u64_at(sector, 8)), (size, records.len() as u64));
            record.extend_from_slice(&sector[16..]);
        }
        assert!(record[size..].iter().all(|byte| *byte == 0));
        record.truncate(size);
        records.push(record);
        offset += (size.div_ceil(496) * 512).next_multiple_of(BLOCK);
    }
    assert!(bytes[offset..].iter().all(|byte| *byte == 0), "nothing lies behind the last record");
    records
}

fn read_edit(fields: &mut Bytes<'_>, tree: &mut Tree, lines: &mut BTreeMap<u64, (u8, Line)>) {
    while !fields.0.is_empty() {
        match fields.u8() {
            1 | 2 => drop(fields.varint()),
            tag @ (3 | 8) => {
                let (level, line) = read_line(fields);
                assert!(tag == 3 || (level == 0 && fields.u64() > 0), "an age, and only in level 0");
                lines.insert(line.id, (level, line));
            }
            4 => drop(lines.remove(&fields.varint()).expect("what is removed was there")),
            5 => {
                let (stream, index) = (fields.u64(), fields.varint());
                tree.marks.insert(stream, index);
            }
            6 => {
                let sequence = fields.varint();
                tree.drops.push((sequence, fields.bytes().to_vec(), fields.bytes().to_vec()));
            }
            7 => {
                let sequence = fields.varint();
                tree.drops.retain(|drop| drop.0 != sequence);
            }
            tag => panic!("an unknown tag {tag}"),
        }
    }
}

fn read_line(fields: &mut Bytes<'_>) -> (u8, Line) {
    let level = fields.u8();
    let (id, size, entries, _tombstones) =
        (fields.varint(), fields.varint(), fields.varint(), fields.varint());
    let sequences = (fields.varint(), fields.varint());
    let (_drops_applied, _created) = (fields.varint(), fields.u64());
    let checksum = fields.u32();
    let bounds = (fields.bytes().to_vec(), fields.bytes().to_vec());
    (level, Line { id, size, entries, sequences, checksum, bounds })
}

#[derive(Clone, Copy)]
struct Handle {
    offset: usize,
    size: usize,
    checksum: u32,
}

/// One SSTable's file.
struct File<'a> {
    bytes: &'a [u8],
    identity: u64,
    id: u64,
    kinds: BTreeSet<u8>,
}

fn read_table(bytes: &[u8], identity: u64, line: &Line) -> Table {
    let (content, footer) = bytes.split_at(bytes.len() - BLOCK);
    assert_eq!((&footer[..8], u32_at(footer, 8)), (&b"torcSST\0"[..], 1));
    assert_eq!(u32_at(footer, 4092), crc32c(&[&footer[..4092]]), "the footer's checksum");
    assert_eq!((u64_at(footer, 16), u64_at(footer, 24)), (identity, line.id));
    assert_eq!(u32_at(footer, 64), crc32c(&[content]), "the checksum of everything before the footer");
    assert_eq!(u32_at(footer, 64), line.checksum);
    let handle = |at: usize| Handle {
        offset: u64_at(footer, at) as usize,
        size: u32_at(footer, at + 8) as usize,
        checksum: u32_at(footer, at + 12),
    };
    let mut file = File { bytes, identity, id: line.id, kinds: BTreeSet::new() };
    let mut entries = Vec::new();
    let top = file.open(handle(32));
    for (separator, partition) in read_index(&top) {
        let partition = file.open(partition);
        let filter_size = u32_at(&partition, 0) as usize;
        let filter = &partition[4..4 + filter_size];
        for (above, block) in read_index(&partition[4 + filter_size..]) {
            let block = read_block(&file.open(block));
            assert!(block.last().expect("a block has entries").0 <= above && above <= separator);
            for (key, ..) in &block {
                assert!(may_contain(filter, key, identity), "the filter denies no key");
            }
            entries.extend(block);
        }
    }
    check_entries(&entries, line);
    let properties = file.open(handle(48));
    let mut properties = Bytes(&properties);
    assert_eq!(properties.varint(), line.entries);
    Table { id: line.id, entries, kinds: file.kinds }
}

fn check_entries(entries: &[Entry], line: &Line) {
    assert_eq!(entries.len() as u64, line.entries);
    assert!(entries.windows(2).all(|pair| pair[0].0 < pair[1].0), "keys ascend");
    let (first, last) = (entries.first().unwrap(), entries.last().unwrap());
    assert_eq!((&first.0, &last.0), (&line.bounds.0, &line.bounds.1));
    let (least, most) = line.sequences;
    assert!(entries.iter().all(|(_, sequence, _)| (least..=most).contains(sequence)));
}

impl File<'_> {
    /// The stored block that a handle names, checked and unpacked.
    fn open(&mut self, handle: Handle) -> Vec<u8> {
        let stored = &self.bytes[handle.offset..handle.offset + handle.size];
        let (covered, checksum) = stored.split_at(stored.len() - 4);
        let place = [self.identity, self.id, handle.offset as u64].map(u64::to_le_bytes).concat();
        let checksum = u32_at(checksum, 0);
        assert_eq!(checksum, crc32c(&[&place, covered]), "the block's checksum");
        assert_eq!(checksum, handle.checksum, "and the handle's");
        let (body, trailer) = covered.split_at(covered.len() - 5);
        let raw_size = u32_at(trailer, 1) as usize;
        assert!(raw_size <= 4 << 20);
        self.kinds.insert(trailer[0]);
        let raw = match trailer[0] {
            0 => body.to_vec(),
            1 => unpack_lz4(body),
            2 => zstd::bulk::decompress(body, raw_size).unwrap(),
            kind => panic!("an unknown kind {kind}"),
        };
        assert_eq!(raw.len(), raw_size);
        raw
    }
}

fn read_index(block: &[u8]) -> Vec<(Vec<u8>, Handle)> {
    let handle = |value: &[u8]| {
        let mut value = Bytes(value);
        let handle =
            Handle { offset: value.varint() as usize, size: value.varint() as usize, checksum: value.u32() };
        assert!(value.0.is_empty());
        handle
    };
    read_block(block).into_iter().map(|(key, _, value)| (key, handle(&value.unwrap()))).collect()
}

/// A sorted block's entries.
fn read_block(block: &[u8]) -> Vec<Entry> {
    let base = u64_at(block, 0);
    let restarts = u32_at(block, block.len() - 4) as usize;
    let entries_end = block.len() - 4 - 4 * restarts;
    let restarts: BTreeSet<usize> =
        (0..restarts).map(|at| u32_at(block, entries_end + 4 * at) as usize).collect();
    let mut rest = Bytes(&block[8..entries_end]);
    let mut entries: Vec<Entry> = Vec::new();
    while !rest.0.is_empty() {
        let at = entries_end - rest.0.len();
        let (shared, own) = (rest.varint() as usize, rest.varint() as usize);
        let (word, zigzag) = (rest.varint(), rest.varint());
        assert!(shared == 0 || !restarts.contains(&at), "a restart shares nothing");
        let mut key = entries.last().map_or(Vec::new(), |(key, ..)| key[..shared].to_vec());
        key.extend_from_slice(rest.take(own));
        let value = rest.take((word / 2) as usize).to_vec();
        let difference = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
        let tombstone = word % 2 == 1;
        assert!(!tombstone || value.is_empty());
        entries.push((key, base.wrapping_add(difference as u64), (!tombstone).then_some(value)));
    }
    entries
}

fn may_contain(filter: &[u8], key: &[u8], identity: u64) -> bool {
    let Some((&probes, bits)) = filter.split_first() else { return true };
    let hash = xxhash_rust::xxh3::xxh3_64_with_seed(key, identity);
    let (mut a, mut b) = (hash as u32, (hash >> 32) as u32);
    (0..u32::from(probes)).all(|i| {
        let bit = ((u64::from(a) * (bits.len() as u64 * 8)) >> 32) as usize;
        a = a.wrapping_add(b);
        b = b.wrapping_add(i);
        bits[bit / 8] & (1 << (bit % 8)) != 0
    })
}

/// LZ4's block format: a token, literals, a distance back, a length; the last sequence has literals only.
fn unpack_lz4(body: &[u8]) -> Vec<u8> {
    let mut rest = Bytes(body);
    let mut out: Vec<u8> = Vec::new();
    loop {
        let token = rest.u8();
        let literals = lz4_length(&mut rest, token >> 4);
        out.extend_from_slice(rest.take(literals));
        if rest.0.is_empty() {
            return out;
        }
        let back = usize::from(u16::from_le_bytes(rest.take(2).try_into().unwrap()));
        let length = lz4_length(&mut rest, token & 15) + 4;
        for _ in 0..length {
            out.push(out[out.len() - back]);
        }
    }
}

fn lz4_length(rest: &mut Bytes<'_>, nibble: u8) -> usize {
    let mut length = usize::from(nibble);
    while length >= 15 {
        let more = rest.u8();
        length += usize::from(more);
        if more < 255 {
            break;
        }
    }
    length
}
