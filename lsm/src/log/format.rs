//! The log's bytes: segment names, segment headers, batches and records, as docs/FORMAT.md has them.
//!
//! Pure functions of bytes. Every checksum of a batch is bound to the segment's [`Life`] and the offset, so a block
//! of a former life, of another file or of another place never checks (bug patterns 5 and 6 of recycled logs).

use runtime::BLOCK_BYTES;

use super::{Identity, Record};

/// Bytes before the first record of a batch.
pub(crate) const BATCH_HEADER_BYTES: usize = 64;
/// Bytes before the payload of a record.
pub(crate) const RECORD_HEADER_BYTES: usize = 40;
/// The version of the format that this program writes, and the only one that it reads.
pub(crate) const FORMAT_VERSION: u32 = 1;

const SEGMENT_MAGIC: &[u8; 8] = b"torc log";
const BATCH_MAGIC: &[u8; 4] = b"tlb1";
const FLAG_WHOLE: u32 = 1;

const _: () = assert!(BLOCK_BYTES.is_multiple_of(512) && BATCH_HEADER_BYTES.is_multiple_of(8));

/// No lsn and no position of a log comes near this: 2^63.
const COUNT_MAX: u64 = 1 << 63;
/// Nor does the number of a segment; a name that has it was not given by a log, and would leave no number for the next.
pub(crate) const SEQ_MAX: u64 = COUNT_MAX;

/// `bytes` rounded up to whole blocks.
pub(crate) fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(BLOCK_BYTES)
}

/// Bytes that a record with `payload_bytes` takes in a batch.
pub(crate) fn record_bytes(payload_bytes: usize) -> usize {
    (RECORD_HEADER_BYTES + payload_bytes).next_multiple_of(8)
}

/// A segment's name in its directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub seq: u64,
    pub head: u64,
}

impl Name {
    pub(crate) fn parse(name: &str) -> Option<Name> {
        let digits = name.strip_suffix(".log")?;
        let (seq, head) = digits.split_once('-')?;
        let number = |text: &str| {
            let plain =
                text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
            if plain { u64::from_str_radix(text, 16).ok() } else { None }
        };
        let name = Name { seq: number(seq)?, head: number(head)? };
        (name.seq > 0).then_some(name)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}-{:016x}.log", self.seq, self.head)
    }
}

/// One incarnation of a segment file: what every checksum in it is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    pub seq: u64,
    pub epoch: u64,
}

impl Life {
    /// The life of nothing: the canary that forgets to bind its checksums.
    pub(crate) const NONE: Life = Life { seq: 0, epoch: 0 };

    pub(crate) fn seed(&self, offset: u64) -> u32 {
        let mut place = [0; 24];
        place[..8].copy_from_slice(&self.epoch.to_le_bytes());
        place[8..16].copy_from_slice(&self.seq.to_le_bytes());
        place[16..].copy_from_slice(&offset.to_le_bytes());
        crc32c::crc32c(&place)
    }
}

/// Block 0 of an activated segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub identity: Identity,
    pub life: Life,
    pub whole: bool,
    pub segment_bytes: u64,
    pub head: u64,
    pub prev_seq: u64,
    pub prev_end: u64,
    pub prev_chain: u32,
    pub first_lsn: u64,
    pub position: u64,
    pub durable_lsn: u64,
}

/// Why block 0 is not a header that this program can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoHeader {
    /// Zeros, a torn write, damage, or something else altogether.
    Invalid,
    /// A whole header of another version.
    Version(u32),
}

impl SegmentHeader {
    pub(crate) fn encode(&self, block: &mut [u8]) {
        assert_eq!(block.len(), BLOCK_BYTES);
        block.fill(0);
        block[..8].copy_from_slice(SEGMENT_MAGIC);
        block[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        block[16..32].copy_from_slice(&self.identity.cluster.to_le_bytes());
        block[32..34].copy_from_slice(&self.identity.node.to_le_bytes());
        block[34..36].copy_from_slice(&self.identity.shard.to_le_bytes());
        let flags = if self.whole { FLAG_WHOLE } else { 0 };
        block[36..40].copy_from_slice(&flags.to_le_bytes());
        block[40..48].copy_from_slice(&self.life.seq.to_le_bytes());
        block[48..56].copy_from_slice(&self.life.epoch.to_le_bytes());
        block[56..64].copy_from_slice(&self.segment_bytes.to_le_bytes());
        block[64..72].copy_from_slice(&self.head.to_le_bytes());
        block[72..80].copy_from_slice(&self.prev_seq.to_le_bytes());
        block[80..88].copy_from_slice(&self.prev_end.to_le_bytes());
        block[88..92].copy_from_slice(&self.prev_chain.to_le_bytes());
        block[96..104].copy_from_slice(&self.first_lsn.to_le_bytes());
        block[104..112].copy_from_slice(&self.position.to_le_bytes());
        block[112..120].copy_from_slice(&self.durable_lsn.to_le_bytes());
        let crc = header_block_crc(block);
        block[12..16].copy_from_slice(&crc.to_le_bytes());
    }

    pub(crate) fn decode(block: &[u8]) -> Result<SegmentHeader, NoHeader> {
        if block.len() < BLOCK_BYTES || &block[..8] != SEGMENT_MAGIC {
            return Err(NoHeader::Invalid);
        }
        let block = &block[..BLOCK_BYTES];
        if u32_at(block, 12) != header_block_crc(block) {
            return Err(NoHeader::Invalid);
        }
        let version = u32_at(block, 8);
        if version != FORMAT_VERSION {
            return Err(NoHeader::Version(version));
        }
        let header = SegmentHeader {
            identity: Identity {
                cluster: u128::from(u64_at(block, 16)) | u128::from(u64_at(block, 24)) << 64,
                node: u16::from_le_bytes([block[32], block[33]]),
                shard: u16::from_le_bytes([block[34], block[35]]),
            },
            life: Life { seq: u64_at(block, 40), epoch: u64_at(block, 48) },
            whole: u32_at(block, 36) & FLAG_WHOLE != 0,
            segment_bytes: u64_at(block, 56),
            head: u64_at(block, 64),
            prev_seq: u64_at(block, 72),
            prev_end: u64_at(block, 80),
            prev_chain: u32_at(block, 88),
            first_lsn: u64_at(block, 96),
            position: u64_at(block, 104),
            durable_lsn: u64_at(block, 112),
        };
        // Numbers that no log ever has, and from which counting on would leave their range.
        let counts = (1..COUNT_MAX).contains(&header.first_lsn) && header.position < COUNT_MAX;
        if counts { Ok(header) } else { Err(NoHeader::Invalid) }
    }
}

fn header_block_crc(block: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&block[..12]), &block[16..])
}

/// The first 64 bytes of a batch, without what its place says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    /// Bytes of header and records.
    pub length: usize,
    pub record_count: u32,
    pub lsn: u64,
    pub position: u64,
    pub durable_lsn: u64,
    pub chain: u32,
    /// Checksum of the records; computed by `seal`.
    pub payload_crc: u32,
    /// Checksum of the header: the next batch's `chain`; computed by `seal`.
    pub crc: u32,
}

impl BatchHeader {
    /// Writes the header in front of the records that `batch` already holds, and returns the batch's checksum.
    ///
    /// `life` is whose life the checksums are bound to; `declared` is what the header says of itself. They differ
    /// only in a canary.
    pub(crate) fn seal(&self, batch: &mut [u8], life: Life, declared: Life, offset: u64) -> u32 {
        assert_eq!(batch.len(), self.length);
        assert!(offset.is_multiple_of(BLOCK_BYTES as u64) && offset > 0);
        let seed = life.seed(offset);
        let payload_crc = crc32c::crc32c_append(seed, &batch[BATCH_HEADER_BYTES..]);
        let length =
            u32::try_from(self.length).expect("a batch is bounded by batch_bytes_max, far below 4 GiB");
        batch[..4].copy_from_slice(BATCH_MAGIC);
        batch[8..12].copy_from_slice(&length.to_le_bytes());
        batch[12..16].copy_from_slice(&self.record_count.to_le_bytes());
        batch[16..24].copy_from_slice(&self.lsn.to_le_bytes());
        batch[24..32].copy_from_slice(&self.position.to_le_bytes());
        batch[32..40].copy_from_slice(&declared.seq.to_le_bytes());
        batch[40..48].copy_from_slice(&declared.epoch.to_le_bytes());
        batch[48..56].copy_from_slice(&self.durable_lsn.to_le_bytes());
        batch[56..60].copy_from_slice(&self.chain.to_le_bytes());
        batch[60..64].copy_from_slice(&payload_crc.to_le_bytes());
        let crc = crc32c::crc32c_append(seed, &batch[8..BATCH_HEADER_BYTES]);
        batch[4..8].copy_from_slice(&crc.to_le_bytes());
        crc
    }

    /// The header at `offset` of a segment in `life`, or what is wrong with it.
    pub(crate) fn decode(bytes: &[u8], life: Life, offset: u64) -> Result<BatchHeader, &'static str> {
        if bytes.len() < BATCH_HEADER_BYTES || &bytes[..4] != BATCH_MAGIC {
            return Err("no batch begins here");
        }
        let crc = u32_at(bytes, 4);
        if crc != crc32c::crc32c_append(life.seed(offset), &bytes[8..BATCH_HEADER_BYTES]) {
            return Err("the batch header's checksum does not match");
        }
        let header = BatchHeader {
            length: u32_at(bytes, 8) as usize,
            record_count: u32_at(bytes, 12),
            lsn: u64_at(bytes, 16),
            position: u64_at(bytes, 24),
            durable_lsn: u64_at(bytes, 48),
            chain: u32_at(bytes, 56),
            payload_crc: u32_at(bytes, 60),
            crc,
        };
        if header.length < BATCH_HEADER_BYTES || header.durable_lsn >= header.lsn {
            return Err("the batch header contradicts itself");
        }
        Ok(header)
    }

    /// The life that a batch header claims; not checked.
    pub(crate) fn declared_life(bytes: &[u8]) -> Option<Life> {
        let is_batch = bytes.len() >= BATCH_HEADER_BYTES && &bytes[..4] == BATCH_MAGIC;
        is_batch.then(|| Life { seq: u64_at(bytes, 32), epoch: u64_at(bytes, 40) })
    }

    /// Whether the records in `batch`, cut at `length`, are those that were written.
    pub(crate) fn payload_matches(&self, batch: &[u8], life: Life, offset: u64) -> bool {
        self.payload_crc == crc32c::crc32c_append(life.seed(offset), &batch[BATCH_HEADER_BYTES..self.length])
    }
}

/// A record as it lies in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordAt<'a> {
    pub record: Record<'a>,
    /// Where the record after it begins in the batch.
    pub next: usize,
    /// Where it ends in the batch, without padding.
    pub end: usize,
}

/// Writes a record into a batch at `start`: the one copy of its payload. Returns where it ends, without padding.
pub(crate) fn put_record(batch: &mut [u8], start: usize, record: &Record<'_>) -> usize {
    debug_assert!(start >= BATCH_HEADER_BYTES && start.is_multiple_of(8));
    let length = u32::try_from(record.payload.len()).expect("bounded by record_bytes_max, far below 4 GiB");
    let end = start + RECORD_HEADER_BYTES + record.payload.len();
    let (header, rest) =
        batch[start..].split_first_chunk_mut::<RECORD_HEADER_BYTES>().expect("the caller saw that it fits");
    let (payload, rest) = rest.split_at_mut(record.payload.len());
    header[4..8].copy_from_slice(&length.to_le_bytes());
    header[8..16].copy_from_slice(&u64::from(record.kind).to_le_bytes());
    header[16..24].copy_from_slice(&record.stream.to_le_bytes());
    header[24..32].copy_from_slice(&record.term.to_le_bytes());
    header[32..40].copy_from_slice(&record.index.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&header[4..]), record.payload);
    header[..4].copy_from_slice(&crc.to_le_bytes());
    payload.copy_from_slice(record.payload);
    rest[..end.next_multiple_of(8) - end].fill(0);
    end
}

/// The record at `start` of a batch, or what is wrong with it.
pub(crate) fn record_at(batch: &[u8], start: usize) -> Result<RecordAt<'_>, &'static str> {
    let found = checked_record_at(batch, start)?;
    let whole = &batch[start..found.end];
    if u32_at(whole, 0) != crc32c::crc32c(&whole[4..]) {
        return Err("the record's checksum does not match");
    }
    Ok(found)
}

/// The same, of a batch whose checksum has been found to match: that covers the record's bytes as well.
pub(crate) fn checked_record_at(batch: &[u8], start: usize) -> Result<RecordAt<'_>, &'static str> {
    let bytes = batch.get(start..).filter(|b| b.len() >= RECORD_HEADER_BYTES);
    let Some(bytes) = bytes else { return Err("the batch ends inside a record") };
    let length = u32_at(bytes, 4) as usize;
    let Some(whole) = bytes.get(..RECORD_HEADER_BYTES + length) else {
        return Err("the record is longer than its batch");
    };
    let end = start + whole.len();
    let record = Record {
        kind: whole[8],
        stream: u64_at(whole, 16),
        term: u64_at(whole, 24),
        index: u64_at(whole, 32),
        payload: &whole[RECORD_HEADER_BYTES..],
    };
    Ok(RecordAt { record, next: end.next_multiple_of(8), end })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes were cut out"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes were cut out"))
}

#[cfg(test)]
mod tests;
