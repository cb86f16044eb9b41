//! What checks and what does not.

use super::*;

const LIFE: Life = Life { seq: 7, epoch: 0x1234 };

fn header() -> SegmentHeader {
    SegmentHeader {
        identity: Identity { cluster: 1 << 100 | 5, node: 2, shard: 3 },
        life: LIFE,
        whole: true,
        segment_bytes: 1 << 20,
        head: 4,
        prev_seq: 6,
        prev_end: 8192,
        prev_chain: 99,
        first_lsn: 1000,
        position: 1 << 40,
        durable_lsn: 998,
    }
}

fn batch(payloads: &[&[u8]], offset: u64) -> (Vec<u8>, u32) {
    let mut bytes = vec![0; BATCH_HEADER_BYTES];
    for (index, payload) in (1..).zip(payloads) {
        let start = bytes.len();
        bytes.resize(start + record_bytes(payload.len()), 0xA5); // Whatever a used buffer holds.
        put_record(&mut bytes, start, &Record { kind: 9, stream: 8, term: 7, index, payload });
    }
    let header = BatchHeader {
        length: bytes.len(),
        record_count: payloads.len() as u32,
        lsn: 12,
        position: 4096,
        durable_lsn: 10,
        chain: 77,
        payload_crc: 0,
        crc: 0,
    };
    let crc = header.seal(&mut bytes, LIFE, LIFE, offset);
    (bytes, crc)
}

#[test]
fn names_go_there_and_back_and_nothing_else_is_one() {
    let name = Name { seq: 0xabc, head: 0 };
    assert_eq!(name.to_string(), "0000000000000abc-0000000000000000.log");
    assert_eq!(Name::parse(&name.to_string()), Some(name));
    for other in [
        "",
        "lost+found",
        "0000000000000abc.log",
        "0000000000000ABC-0000000000000000.log",
        "000000000000abc-0000000000000000.log",
        "+000000000000abc-0000000000000000.log",
        "0000000000000000-0000000000000000.log",
        "0000000000000abc-0000000000000000.log.tmp",
    ] {
        assert_eq!(Name::parse(other), None, "{other}");
    }
}

#[test]
fn a_segment_header_goes_there_and_back() {
    let mut block = vec![0xFF; BLOCK_BYTES];
    header().encode(&mut block);
    assert_eq!(SegmentHeader::decode(&block), Ok(header()));
}

/// Found by fuzzing with checksums that fit: a first lsn of 0 ended a replay in a panic.
#[test]
fn a_segment_header_with_numbers_that_no_log_has_is_none() {
    let decoded = |change: fn(&mut SegmentHeader)| {
        let mut header = header();
        change(&mut header);
        let mut block = vec![0; BLOCK_BYTES];
        header.encode(&mut block);
        SegmentHeader::decode(&block)
    };
    assert_eq!(decoded(|header| header.first_lsn = 0), Err(NoHeader::Invalid));
    assert_eq!(decoded(|header| header.first_lsn = u64::MAX), Err(NoHeader::Invalid));
    assert_eq!(decoded(|header| header.position = u64::MAX), Err(NoHeader::Invalid));
    assert!(decoded(|header| header.first_lsn = 1).is_ok());
}

#[test]
fn any_flipped_bit_of_a_segment_header_is_noticed() {
    let mut block = vec![0; BLOCK_BYTES];
    header().encode(&mut block);
    for at in (0..160).chain([BLOCK_BYTES - 1]) {
        block[at] ^= 0x10;
        assert_eq!(SegmentHeader::decode(&block), Err(NoHeader::Invalid), "byte {at}");
        block[at] ^= 0x10;
    }
    assert_eq!(SegmentHeader::decode(&[0; BLOCK_BYTES]), Err(NoHeader::Invalid));
    assert_eq!(SegmentHeader::decode(&block[..512]), Err(NoHeader::Invalid));
}

#[test]
fn a_batch_gives_its_records_back() {
    let (bytes, crc) = batch(&[b"", b"one", &[5; 1000]], 8192);
    let header = BatchHeader::decode(&bytes, LIFE, 8192).unwrap();
    assert_eq!((header.crc, header.lsn, header.durable_lsn, header.chain), (crc, 12, 10, 77));
    assert!(header.payload_matches(&bytes, LIFE, 8192));
    let mut start = BATCH_HEADER_BYTES;
    for (index, size) in [(1, 0), (2, 3), (3, 1000)] {
        let found = record_at(&bytes, start).unwrap();
        assert_eq!((found.record.index, found.record.payload.len()), (index, size));
        assert_eq!((found.record.kind, found.record.stream, found.record.term), (9, 8, 7));
        assert_eq!(found.next % 8, 0);
        assert_eq!(found.next - start, record_bytes(size));
        start = found.next;
    }
    assert_eq!(start, bytes.len());
}

#[test]
fn a_batch_checks_only_in_its_life_and_place() {
    let (bytes, _) = batch(&[b"bound"], 8192);
    assert!(BatchHeader::decode(&bytes, LIFE, 8192).is_ok());
    for (life, offset) in [
        (Life { seq: 8, ..LIFE }, 8192),
        (Life { epoch: 0x1235, ..LIFE }, 8192),
        (LIFE, 12288),
        (Life::NONE, 8192),
    ] {
        assert!(BatchHeader::decode(&bytes, life, offset).is_err(), "{life:?} at {offset}");
    }
    assert_eq!(BatchHeader::declared_life(&bytes), Some(LIFE));
}

#[test]
fn any_flipped_bit_of_a_batch_is_noticed() {
    let (mut bytes, _) = batch(&[b"some bytes", b"and more"], 4096);
    for at in 0..bytes.len() {
        bytes[at] ^= 1;
        let header = BatchHeader::decode(&bytes, LIFE, 4096);
        let checks = header.is_ok_and(|header| header.payload_matches(&bytes, LIFE, 4096));
        assert!(!checks, "byte {at}");
        bytes[at] ^= 1;
    }
}

#[test]
fn records_that_reach_out_of_their_batch_are_refused() {
    let (mut bytes, _) = batch(&[b"payload"], 4096);
    assert!(record_at(&bytes, bytes.len()).is_err());
    assert!(record_at(&bytes, usize::MAX).is_err());
    assert!(record_at(&bytes[..bytes.len() - 8], BATCH_HEADER_BYTES).is_err());
    bytes[BATCH_HEADER_BYTES + 4..BATCH_HEADER_BYTES + 8].fill(0xFF);
    assert!(record_at(&bytes, BATCH_HEADER_BYTES).is_err());
}

/// Bytes of format version 1, made from FORMAT.md by a program of its own.
#[test]
fn the_bytes_are_those_of_the_page() {
    let (bytes, crc) = batch(&[b"torc"], 4096);
    assert_eq!(hex(&bytes[..64]), FIXTURE_BATCH);
    assert_eq!(hex(&bytes[64..]), FIXTURE_RECORD);
    assert_eq!(crc, u32_at(&bytes, 4));
    let mut block = vec![0; BLOCK_BYTES];
    header().encode(&mut block);
    assert_eq!(hex(&block[..120]), FIXTURE_SEGMENT);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const FIXTURE_BATCH: &str = concat!(
    "746c62316f00fcdf70000000010000000c00000000000000001000000000000007000000000000003412000000000000",
    "0a000000000000004d000000fef0c511",
);
const FIXTURE_RECORD: &str =
    "65e0aa51040000000900000000000000080000000000000007000000000000000100000000000000746f726300000000";
const FIXTURE_SEGMENT: &str = concat!(
    "746f7263206c6f67010000003a3ab7bc0500000000000000000000001000000002000300010000000700000000000000",
    "341200000000000000001000000000000400000000000000060000000000000000200000000000006300000000000000",
    "e8030000000000000000000000010000e603000000000000",
);
