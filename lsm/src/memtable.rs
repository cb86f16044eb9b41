//! The memtable: the newest writes, in order, in memory.
//!
//! A skip list of (key ascending, sequence descending). Nothing is ever changed or removed in it, only added: a view is
//! a sequence number, and what is newer than that it steps over. So writers and any number of views share one memtable.
//!
//! Layout: keys and values lie in arena chunks that readers share by reference count ([`Bytes`]), nodes and links in
//! chunked vectors that never move, named by `u32` indexes. A node holds its key's first 16 bytes as a number; in
//! torc's keys these tell apart all but the items of one partition, so that a search seldom leaves the nodes.
//!
//! A batch and its mark go into one memtable together (rule L3), and so do dropped ranges: all become durable, or are
//! lost, together.

use std::cell::{Ref, RefCell};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::{BufMut, Bytes, BytesMut};

use crate::batch::{Direction, Mark, WriteBatch, WriteRef};
use crate::sstable::block::{Entry, Goal};
use crate::version::DroppedRange;
use crate::view::Value;

/// Most links of a node: enough for 4^12 entries.
const HEIGHT_MAX: usize = 12;
/// A node is this many times rarer on each next floor.
const HEIGHT_FACTOR: u64 = 4;
/// Size of an arena chunk in bytes, in a memtable that is large enough.
const CHUNK_BYTES: usize = 1 << 20;
/// No node.
const NONE: u32 = u32::MAX;
/// The node before the first.
const HEAD: u32 = 0;

/// Writes in memory, by key and then newest first.
pub(crate) struct Memtable {
    list: RefCell<List>,
}

/// One write of a key, out of the memtable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MemtableEntry {
    pub(crate) sequence: u64,
    /// `None`: a tombstone.
    pub(crate) value: Option<Bytes>,
}

struct List {
    nodes: Chunked<Node>,
    /// Of each node, the next node on each of its floors.
    links: Chunked<u32>,
    height: usize,
    arena: BytesMut,
    chunk_bytes: usize,
    bytes: usize,
    chance: u64,
    marks: BTreeMap<u64, u64>,
    drops: Vec<DroppedRange>,
    last_sequence: u64,
}

struct Node {
    /// The key's first 16 bytes, big-endian, zeros behind its end.
    prefix: u128,
    sequence: u64,
    /// Key and then value.
    bytes: Bytes,
    key_size: u32,
    tombstone: bool,
    first_link: u32,
    previous: u32,
}

impl Node {
    fn key(&self) -> &[u8] {
        &self.bytes[..self.key_size as usize]
    }
}

/// A key that is searched, with its prefix.
#[derive(Clone, Copy)]
struct Target<'a> {
    prefix: u128,
    key: &'a [u8],
    sequence: u64,
}

impl Memtable {
    /// An empty memtable of about `budget` bytes; `seed` draws the heights of nodes.
    pub(crate) fn new(budget: usize, seed: u64) -> Memtable {
        let mut list = List {
            nodes: Chunked::default(),
            links: Chunked::default(),
            height: 1,
            arena: BytesMut::new(),
            chunk_bytes: (budget / 16).clamp(256, CHUNK_BYTES),
            bytes: 0,
            chance: seed | 1,
            marks: BTreeMap::new(),
            drops: Vec::new(),
            last_sequence: 0,
        };
        let head = Node {
            prefix: 0,
            sequence: u64::MAX,
            bytes: Bytes::new(),
            key_size: 0,
            tombstone: true,
            first_link: 0,
            previous: NONE,
        };
        list.nodes.push(head);
        for _ in 0..HEIGHT_MAX {
            list.links.push(NONE);
        }
        Memtable { list: RefCell::new(list) }
    }

    /// Applies a batch, its writes numbered from `sequence` up; gives the number after the last.
    pub(crate) fn apply(&self, batch: &WriteBatch, mark: Option<Mark>, sequence: u64) -> u64 {
        let list = &mut *self.list.borrow_mut();
        assert!(sequence > list.last_sequence, "sequence numbers ascend");
        let mut next = sequence;
        for write in batch.iter() {
            match write {
                WriteRef::Put { key, value } => list.insert(key, Some(value), next),
                WriteRef::Delete { key } => list.insert(key, None, next),
                WriteRef::Drop { from, to } => {
                    list.bytes += from.len() + to.len() + size_of::<DroppedRange>();
                    list.drops.push(DroppedRange { sequence: next, from: from.into(), to: to.into() });
                }
            }
            list.last_sequence = next;
            next += 1;
        }
        if let Some(mark) = mark {
            list.marks.insert(mark.stream, mark.index);
        }
        next
    }

    /// The newest write of `key` at or below `sequence`.
    pub(crate) fn get(&self, key: &[u8], sequence: u64) -> Option<MemtableEntry> {
        let list = self.list.borrow();
        let found = list.first_at_or_after(Target::new(key, sequence));
        let node = (found != NONE).then(|| list.nodes.get(found))?;
        (node.key() == key).then(|| MemtableEntry {
            sequence: node.sequence,
            value: (!node.tombstone).then(|| node.bytes.slice(node.key_size as usize..)),
        })
    }

    /// Bytes that it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        self.list.borrow().bytes
    }

    /// Whether nothing was applied, not even a mark.
    pub(crate) fn is_empty(&self) -> bool {
        let list = self.list.borrow();
        list.last_sequence == 0 && list.marks.is_empty()
    }

    /// The highest sequence number in it.
    pub(crate) fn last_sequence(&self) -> u64 {
        self.list.borrow().last_sequence
    }

    /// Per stream, the highest index that was applied.
    pub(crate) fn marks(&self) -> Ref<'_, BTreeMap<u64, u64>> {
        Ref::map(self.list.borrow(), |list| &list.marks)
    }

    /// Frees it piece by piece, one for each step, about a thousand writes: all at once that takes milliseconds.
    pub(crate) fn into_pieces(self) -> impl Iterator<Item = ()> {
        let List { nodes, links, .. } = self.list.into_inner();
        nodes.chunks.into_iter().map(drop).chain(links.chunks.into_iter().map(drop))
    }

    /// Ranges that were dropped, oldest first.
    pub(crate) fn drops(&self) -> Ref<'_, [DroppedRange]> {
        Ref::map(self.list.borrow(), |list| list.drops.as_slice())
    }
}

impl<'a> Target<'a> {
    fn new(key: &'a [u8], sequence: u64) -> Target<'a> {
        Target { prefix: prefix(key), key, sequence }
    }
}

fn prefix(key: &[u8]) -> u128 {
    if let Some(first) = key.first_chunk::<16>() {
        return u128::from_be_bytes(*first);
    }
    let mut bytes = [0; 16];
    bytes[..key.len()].copy_from_slice(key);
    u128::from_be_bytes(bytes)
}

impl List {
    fn insert(&mut self, key: &[u8], value: Option<&[u8]>, sequence: u64) {
        let target = Target::new(key, sequence);
        let before = self.path(target);
        let bytes = self.store(key, value.unwrap_or_default());
        let height = self.draw_height();
        let first_link = self.links.len();
        let node = Node {
            prefix: target.prefix,
            sequence,
            bytes,
            key_size: key.len() as u32,
            tombstone: value.is_none(),
            first_link,
            previous: before[0],
        };
        let index = self.nodes.push(node);
        for (floor, &left) in before.iter().enumerate().take(height) {
            let right = self.next(left, floor);
            self.links.push(right);
            *self.links.get_mut(self.nodes.get(left).first_link + floor as u32) = index;
        }
        let right = self.next(index, 0);
        if right != NONE {
            self.nodes.get_mut(right).previous = index;
        }
        self.height = self.height.max(height);
    }

    /// Copies key and value into the arena.
    fn store(&mut self, key: &[u8], value: &[u8]) -> Bytes {
        let size = key.len() + value.len();
        self.bytes += size + size_of::<Node>() + 2 * size_of::<u32>();
        if size > self.chunk_bytes / 4 {
            let mut own = BytesMut::with_capacity(size);
            own.put_slice(key);
            own.put_slice(value);
            return own.freeze();
        }
        if self.arena.capacity() < size {
            self.arena = BytesMut::with_capacity(self.chunk_bytes);
        }
        self.arena.put_slice(key);
        self.arena.put_slice(value);
        self.arena.split().freeze()
    }

    /// 1, and one more with a chance of one in [`HEIGHT_FACTOR`] each (xorshift64).
    fn draw_height(&mut self) -> usize {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        let mut draw = self.chance >> 8;
        let mut height = 1;
        while height < HEIGHT_MAX && draw.is_multiple_of(HEIGHT_FACTOR) {
            draw /= HEIGHT_FACTOR;
            height += 1;
        }
        height
    }

    /// On each floor, the last node before `target`.
    fn path(&self, target: Target<'_>) -> [u32; HEIGHT_MAX] {
        let mut path = [HEAD; HEIGHT_MAX];
        let mut at = HEAD;
        for floor in (0..self.height).rev() {
            at = self.last_before(at, floor, target);
            path[floor] = at;
        }
        path
    }

    fn first_at_or_after(&self, target: Target<'_>) -> u32 {
        let mut at = HEAD;
        for floor in (0..self.height).rev() {
            at = self.last_before(at, floor, target);
        }
        self.next(at, 0)
    }

    /// Walks a floor from `at` to the last node before `target`.
    fn last_before(&self, mut at: u32, floor: usize, target: Target<'_>) -> u32 {
        loop {
            let next = self.next(at, floor);
            if next == NONE || !self.is_before(next, target) {
                return at;
            }
            at = next;
        }
    }

    fn is_before(&self, index: u32, target: Target<'_>) -> bool {
        let node = self.nodes.get(index);
        if node.prefix != target.prefix {
            return node.prefix < target.prefix;
        }
        match node.key().cmp(target.key) {
            Ordering::Less => true,
            Ordering::Equal => node.sequence > target.sequence,
            Ordering::Greater => false,
        }
    }

    fn next(&self, index: u32, floor: usize) -> u32 {
        *self.links.get(self.nodes.get(index).first_link + floor as u32)
    }

    fn previous(&self, index: u32) -> u32 {
        match self.nodes.get(index).previous {
            HEAD => NONE,
            previous => previous,
        }
    }

    fn last(&self) -> u32 {
        let mut at = HEAD;
        for floor in (0..self.height).rev() {
            while self.next(at, floor) != NONE {
                at = self.next(at, floor);
            }
        }
        if at == HEAD { NONE } else { at }
    }

    /// From `index` on, the first node that is the newest of its key at or below `sequence`.
    fn visible_forward(&self, mut index: u32, sequence: u64) -> u32 {
        while index != NONE && self.nodes.get(index).sequence > sequence {
            index = self.next(index, 0);
        }
        index
    }

    /// From `index` back, the first key that has a node at or below `sequence`, and of these its newest.
    fn visible_backward(&self, mut index: u32, sequence: u64) -> u32 {
        while index != NONE && self.nodes.get(index).sequence > sequence {
            index = self.previous(index);
        }
        while index != NONE {
            let newer = self.previous(index);
            let same = newer != NONE && self.nodes.get(newer).key() == self.nodes.get(index).key();
            if !same || self.nodes.get(newer).sequence > sequence {
                return index;
            }
            index = newer;
        }
        NONE
    }

    /// The first node of another key behind `index`.
    fn next_key(&self, index: u32) -> u32 {
        let mut next = self.next(index, 0);
        while next != NONE && self.nodes.get(next).key() == self.nodes.get(index).key() {
            next = self.next(next, 0);
        }
        next
    }

    /// The last node of another key before `index`.
    fn previous_key(&self, index: u32) -> u32 {
        let mut previous = self.previous(index);
        while previous != NONE && self.nodes.get(previous).key() == self.nodes.get(index).key() {
            previous = self.previous(previous);
        }
        previous
    }

    fn seek(&self, goal: Goal<'_>, sequence: u64) -> u32 {
        let at = |key| self.first_at_or_after(Target::new(key, u64::MAX));
        let after = |key| {
            let first = at(key);
            let exact = first != NONE && self.nodes.get(first).key() == key;
            if exact { self.next_key(first) } else { first }
        };
        let before = |index| if index == NONE { self.last() } else { self.previous(index) };
        match goal {
            Goal::First => self.visible_forward(self.next(HEAD, 0), sequence),
            Goal::AtOrAfter(key) => self.visible_forward(at(key), sequence),
            Goal::After(key) => self.visible_forward(after(key), sequence),
            Goal::Last => self.visible_backward(self.last(), sequence),
            Goal::AtOrBefore(key) => self.visible_backward(before(after(key)), sequence),
            Goal::Before(key) => self.visible_backward(before(at(key)), sequence),
        }
    }
}

/// A place in a memtable, as a view of `sequence` sees it: one entry per key.
pub(crate) struct MemtableCursor {
    memtable: Rc<Memtable>,
    sequence: u64,
    node: u32,
    /// The entry under the cursor; its bytes are shared with the memtable.
    current: Option<CursorEntry>,
}

struct CursorEntry {
    bytes: Bytes,
    key_size: usize,
    sequence: u64,
    tombstone: bool,
}

impl MemtableCursor {
    pub(crate) fn new(memtable: Rc<Memtable>, sequence: u64) -> MemtableCursor {
        MemtableCursor { memtable, sequence, node: NONE, current: None }
    }

    /// The entry under the cursor.
    pub(crate) fn current(&self) -> Option<Entry<'_>> {
        let entry = self.current.as_ref()?;
        let (key, value) = entry.bytes.split_at(entry.key_size);
        let value = (!entry.tombstone).then_some(value);
        Some(Entry { key, sequence: entry.sequence, value })
    }

    /// The value under the cursor, sharing the memtable's memory.
    pub(crate) fn value(&self) -> Option<Value> {
        let entry = self.current.as_ref()?;
        Some(Value(entry.bytes.slice(entry.key_size..)))
    }

    pub(crate) fn seek(&mut self, goal: Goal<'_>) {
        let node = self.memtable.list.borrow().seek(goal, self.sequence);
        self.stand_on(node);
    }

    pub(crate) fn step(&mut self, direction: Direction) {
        if self.node == NONE {
            return;
        }
        let list = self.memtable.list.borrow();
        let node = match direction {
            Direction::Forward => list.visible_forward(list.next_key(self.node), self.sequence),
            Direction::Backward => list.visible_backward(list.previous_key(self.node), self.sequence),
        };
        drop(list);
        self.stand_on(node);
    }

    fn stand_on(&mut self, node: u32) {
        let list = self.memtable.list.borrow();
        self.node = node;
        self.current = (node != NONE).then(|| {
            let node = list.nodes.get(node);
            let (bytes, key_size) = (node.bytes.clone(), node.key_size as usize);
            CursorEntry { bytes, key_size, sequence: node.sequence, tombstone: node.tombstone }
        });
    }
}

/// Walks a memtable's keys upwards and tells of each what was done to it, for estimates.
pub(crate) struct MemtableWalk<'m> {
    memtable: &'m Memtable,
    sequence: u64,
    node: u32,
}

/// The writes of one key at or below a sequence number.
pub(crate) struct KeyWrites {
    bytes: Bytes,
    key_size: usize,
    /// Sequence number of the newest.
    pub(crate) newest: u64,
    /// Size of the newest's value; `None`: a tombstone.
    pub(crate) value_size: Option<usize>,
    /// Sequence number of the oldest.
    pub(crate) oldest: u64,
    /// Whether the oldest is a tombstone.
    pub(crate) begins_with_delete: bool,
}

impl KeyWrites {
    pub(crate) fn key(&self) -> &[u8] {
        &self.bytes[..self.key_size]
    }
}

impl<'m> MemtableWalk<'m> {
    /// Begins at the first key at or above `from`.
    pub(crate) fn new(memtable: &'m Memtable, from: &[u8], sequence: u64) -> MemtableWalk<'m> {
        let node = memtable.list.borrow().seek(Goal::AtOrAfter(from), sequence);
        MemtableWalk { memtable, sequence, node }
    }

    /// The next key.
    pub(crate) fn next_key(&mut self) -> Option<KeyWrites> {
        if self.node == NONE {
            return None;
        }
        let list = self.memtable.list.borrow();
        let newest = list.nodes.get(self.node);
        let (mut oldest, mut next) = (newest, list.next(self.node, 0));
        while next != NONE && list.nodes.get(next).key() == newest.key() {
            oldest = list.nodes.get(next);
            next = list.next(next, 0);
        }
        self.node = list.visible_forward(next, self.sequence);
        let key_size = newest.key_size as usize;
        Some(KeyWrites {
            bytes: newest.bytes.clone(),
            key_size,
            newest: newest.sequence,
            value_size: (!newest.tombstone).then(|| newest.bytes.len() - key_size),
            oldest: oldest.sequence,
            begins_with_delete: oldest.tombstone,
        })
    }
}

/// A vector in chunks: it grows without moving what is there, so no insert pays for all before it.
struct Chunked<T> {
    chunks: Vec<Vec<T>>,
}

/// Elements of a chunk.
const CHUNK_ELEMENTS: usize = 1 << 10;

impl<T> Default for Chunked<T> {
    fn default() -> Chunked<T> {
        Chunked { chunks: Vec::new() }
    }
}

impl<T> Chunked<T> {
    fn len(&self) -> u32 {
        let full = self.chunks.len().saturating_sub(1) * CHUNK_ELEMENTS;
        (full + self.chunks.last().map_or(0, Vec::len)) as u32
    }

    fn push(&mut self, element: T) -> u32 {
        let index = self.len();
        assert!(index < NONE, "a memtable's budget is far below 2^32 entries");
        if (index as usize).is_multiple_of(CHUNK_ELEMENTS) {
            // The first chunk grows like any vector, so that a small memtable stays small.
            let capacity = if index == 0 { 16 } else { CHUNK_ELEMENTS };
            self.chunks.push(Vec::with_capacity(capacity));
        }
        let chunk = self.chunks.last_mut().expect("there is a chunk with room");
        chunk.push(element);
        index
    }

    fn get(&self, index: u32) -> &T {
        &self.chunks[index as usize / CHUNK_ELEMENTS][index as usize % CHUNK_ELEMENTS]
    }

    fn get_mut(&mut self, index: u32) -> &mut T {
        &mut self.chunks[index as usize / CHUNK_ELEMENTS][index as usize % CHUNK_ELEMENTS]
    }
}

#[cfg(test)]
mod tests;
