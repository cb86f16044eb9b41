//! A write batch: puts, deletes and dropped ranges that take effect together.
//!
//! [`Tree::apply`](crate::Tree::apply) takes a batch and the [`Mark`] of the log entry that it came from. Both land
//! in one memtable, so both become durable in one manifest edit: after a crash a batch is there as a whole together
//! with its mark, or absent together with it (rule L3).

use std::ops::Bound;

use bytes::Bytes;

/// Largest key, in bytes.
pub const KEY_BYTES_MAX: usize = 16 << 10;

/// Largest value, in bytes: the encoding of any legal item. DynamoDB charges an item's tiny elements less than their
/// encoding takes (a set of small numbers by a factor of 3.5), so 400 KiB of charge can be 1.4 MiB of bytes.
pub const VALUE_BYTES_MAX: usize = 2 << 20;

/// How far a stream of writes has come: what is at or below `index` is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Whose writes; the tree does not know what it stands for.
    pub stream: u64,
    /// Place of the write in its stream; each apply of a stream has a higher one than the apply before. From 1.
    pub index: u64,
}

/// Writes that take effect together, in order: of two to one key, the later wins.
#[derive(Clone, Debug, Default)]
pub struct WriteBatch {
    pub(crate) writes: Vec<Write>,
    bytes: Vec<u8>,
    adopted: Vec<Bytes>,
}

/// One write: lengths of its parts in the batch's bytes, which follow each other in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Write {
    kind: WriteKind,
    key_size: u32,
    value_size: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteKind {
    Put,
    Adopt,
    Delete,
    Drop,
}

/// One write of a batch, as the memtable sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteRef<'a> {
    Put {
        key: &'a [u8],
        value: &'a [u8],
    },
    /// A put whose key and value lie behind each other in memory that is shared.
    Adopt {
        pair: &'a Bytes,
        key_size: usize,
    },
    Delete {
        key: &'a [u8],
    },
    /// Keys from `from` up to and without `to`.
    Drop {
        from: &'a [u8],
        to: &'a [u8],
    },
}

impl WriteBatch {
    /// An empty batch.
    pub fn new() -> WriteBatch {
        WriteBatch::default()
    }

    /// Sets `key` to `value`. Sizes are the caller's duty: [`KEY_BYTES_MAX`], [`VALUE_BYTES_MAX`].
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        assert!(value.len() <= VALUE_BYTES_MAX, "a value of {} bytes is over the limit", value.len());
        self.push(WriteKind::Put, key, value);
    }

    /// Sets a key to the value that follows it in `pair`; its first `key_size` bytes are the key. Nothing is copied:
    /// the memtable keeps `pair`, and with it whatever memory that is a part of (see [`Arena`](crate::Arena)).
    pub fn adopt(&mut self, pair: Bytes, key_size: usize) {
        assert!(key_size <= KEY_BYTES_MAX, "a key of {key_size} bytes is over the limit");
        let value_size = pair.len().checked_sub(key_size).expect("a pair begins with its key");
        assert!(value_size <= VALUE_BYTES_MAX, "a value of {value_size} bytes is over the limit");
        let (key_size, value_size) = (key_size as u32, value_size as u32);
        self.writes.push(Write { kind: WriteKind::Adopt, key_size, value_size });
        self.adopted.push(pair);
    }

    /// Removes `key`; fine if it is not there.
    pub fn delete(&mut self, key: &[u8]) {
        self.push(WriteKind::Delete, key, &[]);
    }

    /// Removes all keys from `from` up to and without `to`, at a cost that does not depend on how many there are.
    pub fn drop_range(&mut self, from: &[u8], to: &[u8]) {
        assert!(from < to, "a dropped range must not be empty");
        assert!(to.len() <= KEY_BYTES_MAX, "a bound of {} bytes is over the limit", to.len());
        self.push(WriteKind::Drop, from, to);
    }

    /// Writes in the batch.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Whether the batch holds no write.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Bytes of keys and values.
    pub fn bytes(&self) -> usize {
        self.bytes.len() + self.adopted.iter().map(Bytes::len).sum::<usize>()
    }

    /// Empties the batch and keeps its memory, for the next one.
    pub fn clear(&mut self) {
        self.writes.clear();
        self.bytes.clear();
        self.adopted.clear();
    }

    fn push(&mut self, kind: WriteKind, key: &[u8], value: &[u8]) {
        assert!(key.len() <= KEY_BYTES_MAX, "a key of {} bytes is over the limit", key.len());
        self.writes.push(Write { kind, key_size: key.len() as u32, value_size: value.len() as u32 });
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
    }

    /// The writes in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = WriteRef<'_>> {
        let (mut rest, mut adopted) = (self.bytes.as_slice(), self.adopted.iter());
        self.writes.iter().map(move |write| {
            if write.kind == WriteKind::Adopt {
                let pair = adopted.next().expect("each adopting write has its pair");
                return WriteRef::Adopt { pair, key_size: write.key_size as usize };
            }
            let (key, tail) = rest.split_at(write.key_size as usize);
            let (value, tail) = tail.split_at(write.value_size as usize);
            rest = tail;
            match write.kind {
                WriteKind::Put | WriteKind::Adopt => WriteRef::Put { key, value },
                WriteKind::Delete => WriteRef::Delete { key },
                WriteKind::Drop => WriteRef::Drop { from: key, to: value },
            }
        })
    }
}

/// A range of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Where it begins.
    pub from: Bound<Vec<u8>>,
    /// Where it ends.
    pub to: Bound<Vec<u8>>,
}

impl Range {
    /// Every key.
    pub const ALL: Range = Range { from: Bound::Unbounded, to: Bound::Unbounded };

    /// Keys from `from` up to and without `to`.
    pub fn half_open(from: &[u8], to: &[u8]) -> Range {
        Range { from: Bound::Included(from.to_vec()), to: Bound::Excluded(to.to_vec()) }
    }

    /// Whether `key` is in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.begins_before(key) && self.ends_after(key)
    }

    /// Whether `key` is not before the range.
    pub(crate) fn begins_before(&self, key: &[u8]) -> bool {
        match &self.from {
            Bound::Included(from) => key >= from.as_slice(),
            Bound::Excluded(from) => key > from.as_slice(),
            Bound::Unbounded => true,
        }
    }

    /// Whether `key` is not behind the range.
    pub(crate) fn ends_after(&self, key: &[u8]) -> bool {
        match &self.to {
            Bound::Included(to) => key <= to.as_slice(),
            Bound::Excluded(to) => key < to.as_slice(),
            Bound::Unbounded => true,
        }
    }
}

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the lowest key up.
    Forward,
    /// From the highest key down.
    Backward,
}
