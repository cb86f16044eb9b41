//! The memtable: the newest writes, in order, in memory.
//!
//! A tree of nodes with many slots, ordered by (key ascending, sequence descending). Writes are only ever added: a view
//! is a sequence number, and what is newer than that it steps over. So writers and any number of views share one
//! memtable. A cursor names a write, not a place: when writes came in between it looks its place up again.
//!
//! Layout: keys and values lie in arena chunks that readers share by reference count ([`Bytes`]): copied there, or
//! adopted from where the writer put them together. Writes, leaves and inner nodes lie in chunked vectors that never
//! move, named by `u32` indexes. A slot holds its key's first 16 bytes as a number, beside those of its neighbours; in
//! torc's keys these tell apart all but the items of one partition. So a search reads a few cache lines in each of
//! three or four nodes, where a skip list would wait for memory twice in each of twenty, and seldom looks at a key.
//!
//! A batch and its mark go into one memtable together (rule L3), and so do dropped ranges: all become durable, or are
//! lost, together.

use std::cell::{Ref, RefCell};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::{BufMut, Bytes};

use crate::arena::Arena;
use crate::batch::{Direction, Mark, WriteBatch, WriteRef};
use crate::sstable::block::{Entry, Goal};
use crate::version::DroppedRange;
use crate::view::Value;

/// Slots of a node. Small enough that moving half of them on an insert costs less than finding the place.
const SLOTS: usize = 32;
/// Levels of inner nodes at most: enough for 16^8 leaves, more than indexes can name.
const LEVELS_MAX: usize = 8;
/// Size of an arena chunk in bytes, in a memtable that is large enough.
const CHUNK_BYTES: usize = 1 << 20;
/// What a write takes beside its bytes: itself, and its slot in a leaf that is two thirds full.
const WRITE_BYTES: usize = size_of::<Write>() + (size_of::<u128>() + size_of::<u32>()) * 3 / 2;
/// No node.
const NONE: u32 = u32::MAX;

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
    writes: Chunked<Write>,
    leaves: Chunked<Leaf>,
    inners: Chunked<Inner>,
    /// A leaf when there are no levels of inner nodes, else an inner node.
    root: u32,
    levels: usize,
    last_leaf: u32,
    /// Writes so far: what a place is worth.
    generation: u64,
    arena: Arena,
    bytes: usize,
    marks: BTreeMap<u64, u64>,
    drops: Vec<DroppedRange>,
    last_sequence: u64,
}

/// One write.
struct Write {
    sequence: u64,
    /// Key and then value.
    bytes: Bytes,
    key_size: u32,
    tombstone: bool,
}

impl Write {
    fn key(&self) -> &[u8] {
        &self.bytes[..self.key_size as usize]
    }
}

/// Writes in order, the first `count` slots of both arrays.
struct Slots {
    /// Of each slot, its key's first 16 bytes, big-endian, zeros behind its end.
    prefixes: [u128; SLOTS],
    writes: [u32; SLOTS],
    count: usize,
}

/// Never empty but in an empty memtable.
struct Leaf {
    slots: Slots,
    next: u32,
    previous: u32,
}

/// Children in order. A slot holds the first write below its child; the first slot stands for all before the second.
struct Inner {
    slots: Slots,
    children: [u32; SLOTS],
}

impl Slots {
    const EMPTY: Slots = Slots { prefixes: [0; SLOTS], writes: [0; SLOTS], count: 0 };

    fn is_full(&self) -> bool {
        self.count == SLOTS
    }

    fn first(&self) -> (u128, u32) {
        assert!(self.count > 0);
        (self.prefixes[0], self.writes[0])
    }

    fn insert(&mut self, slot: usize, prefix: u128, write: u32) {
        self.prefixes.copy_within(slot..self.count, slot + 1);
        self.writes.copy_within(slot..self.count, slot + 1);
        (self.prefixes[slot], self.writes[slot]) = (prefix, write);
        self.count += 1;
    }

    /// Cuts off what is at `slot` and behind it.
    fn split_off(&mut self, slot: usize) -> Slots {
        let mut behind = Slots::EMPTY;
        behind.count = self.count - slot;
        behind.prefixes[..behind.count].copy_from_slice(&self.prefixes[slot..self.count]);
        behind.writes[..behind.count].copy_from_slice(&self.writes[slot..self.count]);
        self.count = slot;
        behind
    }
}

/// A slot of a leaf; good until the next write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    leaf: u32,
    slot: usize,
}

/// A write that a cursor stands on, and where it was.
#[derive(Clone, Copy)]
struct Stand {
    write: u32,
    place: Place,
    generation: u64,
}

/// The way from the root down to a leaf: of each level, the inner node and the child taken.
type Path = [(u32, usize); LEVELS_MAX];

/// A key that is searched, with its prefix.
#[derive(Clone, Copy)]
struct Target<'a> {
    prefix: u128,
    key: &'a [u8],
    sequence: u64,
}

impl Memtable {
    /// An empty memtable of about `budget` bytes.
    pub(crate) fn new(budget: usize) -> Memtable {
        let mut leaves = Chunked::default();
        let root = leaves.push(Leaf { slots: Slots::EMPTY, next: NONE, previous: NONE });
        let list = List {
            writes: Chunked::default(),
            leaves,
            inners: Chunked::default(),
            root,
            levels: 0,
            last_leaf: root,
            generation: 0,
            arena: Arena::new((budget / 16).clamp(256, CHUNK_BYTES)),
            bytes: 0,
            marks: BTreeMap::new(),
            drops: Vec::new(),
            last_sequence: 0,
        };
        Memtable { list: RefCell::new(list) }
    }

    /// Applies a batch, its writes numbered from `sequence` up; gives the number after the last.
    pub(crate) fn apply(&self, batch: &WriteBatch, mark: Option<Mark>, sequence: u64) -> u64 {
        let list = &mut *self.list.borrow_mut();
        assert!(sequence > list.last_sequence, "sequence numbers ascend");
        let mut next = sequence;
        for write in batch.iter() {
            match write {
                WriteRef::Put { key, value } => {
                    let pair = list.store(key, value);
                    list.insert(pair, key.len(), false, next);
                }
                WriteRef::Adopt { pair, key_size } => list.insert(pair.clone(), key_size, false, next),
                WriteRef::Delete { key } => {
                    let alone = list.store(key, &[]);
                    list.insert(alone, key.len(), true, next);
                }
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
        let found = list.write(list.first_at_or_after(Target::new(key, sequence))?);
        (found.key() == key).then(|| MemtableEntry {
            sequence: found.sequence,
            value: (!found.tombstone).then(|| found.bytes.slice(found.key_size as usize..)),
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
        let List { writes, leaves, .. } = self.list.into_inner();
        writes.chunks.into_iter().map(drop).chain(leaves.chunks.into_iter().map(drop))
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

/// Writing.
impl List {
    fn insert(&mut self, bytes: Bytes, key_size: usize, tombstone: bool, sequence: u64) {
        self.bytes += bytes.len() + WRITE_BYTES;
        self.generation += 1;
        let target = Target::new(&bytes[..key_size], sequence);
        let prefix = target.prefix;
        let (leaf, slot, path) = self.descend(target);
        let write = self.writes.push(Write { sequence, bytes, key_size: key_size as u32, tombstone });
        self.insert_into_leaf(Place { leaf, slot }, prefix, write, &path);
    }

    /// Copies key and value into the arena.
    fn store(&mut self, key: &[u8], value: &[u8]) -> Bytes {
        let mut piece = self.arena.piece(key.len() + value.len());
        piece.put_slice(key);
        piece.put_slice(value);
        piece.freeze()
    }

    fn insert_into_leaf(&mut self, place: Place, prefix: u128, write: u32, path: &Path) {
        let Place { leaf, slot } = place;
        if !self.leaves.get(leaf).slots.is_full() {
            self.leaves.get_mut(leaf).slots.insert(slot, prefix, write);
            return;
        }
        // Keys that come in ascending order leave full leaves behind.
        let at = if leaf == self.last_leaf && slot == SLOTS { SLOTS } else { SLOTS / 2 };
        let right = self.split_leaf(leaf, at);
        let (leaf, slot) = if slot >= at { (right, slot - at) } else { (leaf, slot) };
        self.leaves.get_mut(leaf).slots.insert(slot, prefix, write);
        let (prefix, write) = self.leaves.get(right).slots.first();
        self.insert_child(prefix, write, right, path);
    }

    /// Moves what is at `slot` and behind it to a new leaf on the right.
    fn split_leaf(&mut self, leaf: u32, slot: usize) -> u32 {
        let left = self.leaves.get_mut(leaf);
        let (slots, next) = (left.slots.split_off(slot), left.next);
        let right = self.leaves.push(Leaf { slots, next, previous: leaf });
        self.leaves.get_mut(leaf).next = right;
        match next {
            NONE => self.last_leaf = right,
            next => self.leaves.get_mut(next).previous = right,
        }
        right
    }

    /// Makes `child`, whose first write is given, known above: behind the child that the path took, splitting upwards.
    fn insert_child(&mut self, mut prefix: u128, mut write: u32, mut child: u32, path: &Path) {
        for &(index, taken) in path[..self.levels].iter().rev() {
            let inner = self.inners.get_mut(index);
            if !inner.slots.is_full() {
                inner.insert(taken + 1, prefix, write, child);
                return;
            }
            let at = if taken + 1 == SLOTS { SLOTS } else { SLOTS / 2 };
            let mut right = inner.split_off(at);
            let slot = taken + 1;
            if slot >= at {
                right.insert(slot - at, prefix, write, child);
            } else {
                inner.insert(slot, prefix, write, child);
            }
            (prefix, write) = right.slots.first();
            child = self.inners.push(right);
        }
        let mut root = Inner { slots: Slots::EMPTY, children: [NONE; SLOTS] };
        root.insert(0, 0, 0, self.root);
        root.insert(1, prefix, write, child);
        self.root = self.inners.push(root);
        self.levels += 1;
        assert!(self.levels <= LEVELS_MAX, "indexes of 32 bits end before that");
    }
}

impl Inner {
    fn insert(&mut self, slot: usize, prefix: u128, write: u32, child: u32) {
        self.children.copy_within(slot..self.slots.count, slot + 1);
        self.children[slot] = child;
        self.slots.insert(slot, prefix, write);
    }

    fn split_off(&mut self, slot: usize) -> Inner {
        let mut children = [NONE; SLOTS];
        children[..self.slots.count - slot].copy_from_slice(&self.children[slot..self.slots.count]);
        Inner { slots: self.slots.split_off(slot), children }
    }
}

/// Finding.
impl List {
    /// The leaf that `target` belongs into, how many of its slots are before it, and the way there.
    fn descend(&self, target: Target<'_>) -> (u32, usize, Path) {
        let mut path = [(NONE, 0); LEVELS_MAX];
        let mut node = self.root;
        for level in &mut path[..self.levels] {
            let inner = self.inners.get(node);
            let taken = self.rank(&inner.slots, 1, target) - 1;
            *level = (node, taken);
            node = inner.children[taken];
        }
        (node, self.rank(&self.leaves.get(node).slots, 0, target), path)
    }

    /// How many slots are before `target`, the first `known` of them without a look.
    fn rank(&self, slots: &Slots, known: usize, target: Target<'_>) -> usize {
        let prefixes = &slots.prefixes[..slots.count];
        let low = known + prefixes[known..].partition_point(|prefix| *prefix < target.prefix);
        if prefixes.get(low) != Some(&target.prefix) {
            return low;
        }
        let same = prefixes[low..].partition_point(|prefix| *prefix == target.prefix);
        low + slots.writes[low..low + same].partition_point(|write| self.is_before(*write, target))
    }

    /// Among writes whose keys begin alike.
    fn is_before(&self, write: u32, target: Target<'_>) -> bool {
        let write = self.writes.get(write);
        match write.key().cmp(target.key) {
            Ordering::Less => true,
            Ordering::Equal => write.sequence > target.sequence,
            Ordering::Greater => false,
        }
    }

    fn first_at_or_after(&self, target: Target<'_>) -> Option<Place> {
        let (leaf, slot, _) = self.descend(target);
        if slot < self.leaves.get(leaf).slots.count {
            return Some(Place { leaf, slot });
        }
        self.first_of(self.leaves.get(leaf).next)
    }

    fn index(&self, place: Place) -> u32 {
        self.leaves.get(place.leaf).slots.writes[place.slot]
    }

    fn write(&self, place: Place) -> &Write {
        self.writes.get(self.index(place))
    }

    fn first(&self) -> Option<Place> {
        self.first_of(0) // Splits leave the first leaf where it is.
    }

    fn first_of(&self, leaf: u32) -> Option<Place> {
        let there = leaf != NONE && self.leaves.get(leaf).slots.count > 0;
        there.then_some(Place { leaf, slot: 0 })
    }

    fn last(&self) -> Option<Place> {
        self.last_of(self.last_leaf)
    }

    fn last_of(&self, leaf: u32) -> Option<Place> {
        let count = if leaf == NONE { 0 } else { self.leaves.get(leaf).slots.count };
        (count > 0).then(|| Place { leaf, slot: count - 1 })
    }

    fn next(&self, place: Place) -> Option<Place> {
        let leaf = self.leaves.get(place.leaf);
        let slot = place.slot + 1;
        if slot < leaf.slots.count { Some(Place { slot, ..place }) } else { self.first_of(leaf.next) }
    }

    fn previous(&self, place: Place) -> Option<Place> {
        match place.slot.checked_sub(1) {
            Some(slot) => Some(Place { slot, ..place }),
            None => self.last_of(self.leaves.get(place.leaf).previous),
        }
    }

    fn stand(&self, place: Place) -> Stand {
        Stand { write: self.index(place), place, generation: self.generation }
    }

    /// Where the write of a stand is now.
    fn place(&self, stand: Stand) -> Place {
        if stand.generation == self.generation {
            return stand.place;
        }
        let write = self.writes.get(stand.write);
        let place = self.first_at_or_after(Target::new(write.key(), write.sequence));
        let place = place.expect("a write stays in its memtable");
        assert_eq!(self.index(place), stand.write, "key and sequence name one write");
        place
    }

    /// From `place` on, the first write that is the newest of its key at or below `sequence`.
    fn visible_forward(&self, mut place: Option<Place>, sequence: u64) -> Option<Place> {
        while let Some(at) = place.filter(|at| self.write(*at).sequence > sequence) {
            place = self.next(at);
        }
        place
    }

    /// From `place` back, the first key that has a write at or below `sequence`, and of these its newest.
    fn visible_backward(&self, mut place: Option<Place>, sequence: u64) -> Option<Place> {
        while let Some(at) = place.filter(|at| self.write(*at).sequence > sequence) {
            place = self.previous(at);
        }
        let mut found = place?;
        while let Some(newer) = self.previous(found) {
            let (newer_write, write) = (self.write(newer), self.write(found));
            if newer_write.sequence > sequence || newer_write.key() != write.key() {
                break;
            }
            found = newer;
        }
        Some(found)
    }

    /// The first write of another key behind `place`.
    fn next_key(&self, place: Place) -> Option<Place> {
        let mut next = self.next(place);
        while let Some(at) = next.filter(|at| self.write(*at).key() == self.write(place).key()) {
            next = self.next(at);
        }
        next
    }

    /// The last write of another key before `place`.
    fn previous_key(&self, place: Place) -> Option<Place> {
        let mut previous = self.previous(place);
        while let Some(at) = previous.filter(|at| self.write(*at).key() == self.write(place).key()) {
            previous = self.previous(at);
        }
        previous
    }

    fn seek(&self, goal: Goal<'_>, sequence: u64) -> Option<Place> {
        let at = |key| self.first_at_or_after(Target::new(key, u64::MAX));
        let after = |key| match at(key) {
            Some(first) if self.write(first).key() == key => self.next_key(first),
            first => first,
        };
        let before = |place: Option<Place>| match place {
            Some(place) => self.previous(place),
            None => self.last(),
        };
        match goal {
            Goal::First => self.visible_forward(self.first(), sequence),
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
    stand: Option<Stand>,
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
        MemtableCursor { memtable, sequence, stand: None, current: None }
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
        Some(Value::in_memory(entry.bytes.slice(entry.key_size..)))
    }

    pub(crate) fn seek(&mut self, goal: Goal<'_>) {
        let place = self.memtable.list.borrow().seek(goal, self.sequence);
        self.stand_on(place);
    }

    pub(crate) fn step(&mut self, direction: Direction) {
        let Some(stand) = self.stand else { return };
        let list = self.memtable.list.borrow();
        let here = list.place(stand);
        let place = match direction {
            Direction::Forward => list.visible_forward(list.next_key(here), self.sequence),
            Direction::Backward => list.visible_backward(list.previous_key(here), self.sequence),
        };
        drop(list);
        self.stand_on(place);
    }

    fn stand_on(&mut self, place: Option<Place>) {
        let list = self.memtable.list.borrow();
        self.stand = place.map(|place| list.stand(place));
        self.current = place.map(|place| {
            let write = list.write(place);
            let (bytes, key_size) = (write.bytes.clone(), write.key_size as usize);
            CursorEntry { bytes, key_size, sequence: write.sequence, tombstone: write.tombstone }
        });
    }
}

/// Walks a memtable's keys upwards and tells of each what was done to it, for estimates.
pub(crate) struct MemtableWalk<'m> {
    memtable: &'m Memtable,
    sequence: u64,
    stand: Option<Stand>,
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
        let list = memtable.list.borrow();
        let place = list.seek(Goal::AtOrAfter(from), sequence);
        MemtableWalk { memtable, sequence, stand: place.map(|place| list.stand(place)) }
    }

    /// The next key.
    pub(crate) fn next_key(&mut self) -> Option<KeyWrites> {
        let list = self.memtable.list.borrow();
        let place = list.place(self.stand?);
        let newest = list.write(place);
        let (mut oldest, mut next) = (newest, list.next(place));
        while let Some(at) = next.filter(|at| list.write(*at).key() == newest.key()) {
            oldest = list.write(at);
            next = list.next(at);
        }
        self.stand = list.visible_forward(next, self.sequence).map(|place| list.stand(place));
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
