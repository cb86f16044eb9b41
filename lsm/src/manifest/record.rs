//! Records in sectors: what tells a torn write from rot. Pure; the bytes are in FORMAT.md, "Manifest".

use runtime::BLOCK_BYTES;

/// What a device writes whole or not at all.
pub(crate) const SECTOR_BYTES: usize = 512;
/// Bytes of a sector before its part of the record.
const HEADER_BYTES: usize = 16;
const PART_BYTES: usize = SECTOR_BYTES - HEADER_BYTES;

const _: () = assert!(BLOCK_BYTES.is_multiple_of(SECTOR_BYTES));

/// How a generation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Where the next record would go.
    pub(crate) end: u64,
    pub(crate) next_number: u64,
    /// Part of a record that was never acknowledged lies there.
    pub(crate) torn: bool,
}

enum Sector {
    Zero,
    Valid { size: usize, number: u64 },
    Rotten,
}

/// A record as whole blocks, for `offset` in `generation`.
pub(crate) fn encode(record: &[u8], generation: u64, offset: u64, number: u64) -> Vec<u8> {
    assert!(!record.is_empty(), "a record has at least one field");
    let size = u32::try_from(record.len()).expect("a record is far smaller than 4 GiB");
    let mut out = Vec::with_capacity(blocks_of(record.len()));
    for part in record.chunks(PART_BYTES) {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&size.to_le_bytes());
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(part);
        out.resize(start + SECTOR_BYTES, 0);
        let checksum = checksum(generation, offset + start as u64, &out[start + 4..]);
        out[start..start + 4].copy_from_slice(&checksum.to_le_bytes());
    }
    out.resize(blocks_of(record.len()), 0);
    out
}

/// Bytes that a record of `size` takes, in whole blocks.
fn blocks_of(size: usize) -> usize {
    (size.div_ceil(PART_BYTES) * SECTOR_BYTES).next_multiple_of(BLOCK_BYTES)
}

fn checksum(generation: u64, offset: u64, bytes: &[u8]) -> u32 {
    let mut place = [0; 16];
    place[..8].copy_from_slice(&generation.to_le_bytes());
    place[8..].copy_from_slice(&offset.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&place), bytes)
}

/// The complete records with their offsets, and how they end; or where the bytes are corrupt and why.
#[expect(clippy::type_complexity, reason = "said in the line above")]
pub(crate) fn scan(bytes: &[u8], generation: u64) -> Result<(Vec<(u64, Vec<u8>)>, Tail), (u64, String)> {
    assert!(bytes.len().is_multiple_of(BLOCK_BYTES));
    let sectors = classify(bytes, generation)?;
    let mut records = Vec::new();
    let mut tail = Tail { end: 0, next_number: 0, torn: false };
    while let Some(size) = complete_record(&sectors, tail) {
        let start = tail.end as usize;
        let used = &bytes[start..start + size.div_ceil(PART_BYTES) * SECTOR_BYTES];
        let mut record = Vec::with_capacity(size);
        used.chunks(SECTOR_BYTES).for_each(|sector| record.extend_from_slice(&sector[HEADER_BYTES..]));
        record.truncate(size);
        records.push((tail.end, record));
        tail.end += blocks_of(size) as u64;
        tail.next_number += 1;
    }
    tail.torn = check_rest(&sectors, tail)?;
    Ok((records, tail))
}

fn classify(bytes: &[u8], generation: u64) -> Result<Vec<Sector>, (u64, String)> {
    let mut sectors = Vec::with_capacity(bytes.len() / SECTOR_BYTES);
    for (index, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
        let offset = (index * SECTOR_BYTES) as u64;
        match classify_one(sector, generation, offset) {
            Sector::Rotten => {
                return Err((offset, "a sector whose checksum does not match its bytes".into()));
            }
            sector => sectors.push(sector),
        }
    }
    Ok(sectors)
}

fn classify_one(sector: &[u8], generation: u64, offset: u64) -> Sector {
    if sector.iter().all(|byte| *byte == 0) {
        return Sector::Zero;
    }
    let found = u32::from_le_bytes(sector[..4].try_into().expect("four bytes"));
    let size = u32::from_le_bytes(sector[4..8].try_into().expect("four bytes")) as usize;
    if found != checksum(generation, offset, &sector[4..]) || size == 0 {
        return Sector::Rotten;
    }
    let number = u64::from_le_bytes(sector[8..16].try_into().expect("eight bytes"));
    Sector::Valid { size, number }
}

/// The size of the record at `tail`, if all its sectors are there.
fn complete_record(sectors: &[Sector], tail: Tail) -> Option<usize> {
    let first = tail.end as usize / SECTOR_BYTES;
    let Some(Sector::Valid { size: expected, .. }) = sectors.get(first) else { return None };
    let all = sectors.get(first..first.checked_add(expected.div_ceil(PART_BYTES))?)?;
    let same = |sector: &Sector| matches!(sector, Sector::Valid { size, number } if size == expected && *number == tail.next_number);
    all.iter().all(same).then_some(*expected)
}

/// Behind the last complete record may be parts of one that was never acknowledged; says whether. Anything else there
/// was acknowledged once, or was never written by us.
fn check_rest(sectors: &[Sector], tail: Tail) -> Result<bool, (u64, String)> {
    let mut torn = None;
    for (index, sector) in sectors.iter().enumerate().skip(tail.end as usize / SECTOR_BYTES) {
        let Sector::Valid { size, number } = sector else { continue };
        let offset = (index * SECTOR_BYTES) as u64;
        let inside = offset < tail.end + blocks_of(*size) as u64;
        if *number != tail.next_number || !inside || torn.is_some_and(|torn| torn != *size) {
            return Err((
                tail.end,
                format!("record {} is missing, but byte {offset} has another", tail.next_number),
            ));
        }
        torn = Some(*size);
    }
    Ok(torn.is_some())
}
