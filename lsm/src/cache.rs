//! The block cache: verified blocks in a bounded number of bytes, that a long scan cannot empty.
//!
//! S3-FIFO (Yang et al., SOSP 2023). A new block enters a small queue, a tenth of the budget. When it comes to the end
//! of that, it moves to the main queue if somebody has asked for it since, and else goes, leaving its name in a ghost
//! list; if it is wanted again while its name is there, it enters the main queue at once. The main queue gives blocks
//! that were asked for another round. So a scan, which asks for each block once, washes through the small queue only.
//!
//! Keyed by (file id, offset). File ids are never reused, so blocks of removed files need no purge: nobody asks for
//! them and they go by themselves. Partitions, which come when their file is written and not when somebody asks, are
//! forgotten with it all the same ([`Cache::forget`]): compaction would fill the cache with them. Who asks for the same block
//! again and again keeps a hint, the slot where it was: a hit by hint touches one line of memory where the map would touch three.
//!
//! The bound holds for what the blocks cost in all, not for their content alone: `lsm/tests/memory` counts it.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

use ahash::{AHashMap, RandomState};

use crate::sstable::block::Block;
use crate::sstable::partition::Partition;

/// Share of the small queue: one part in this many.
const SMALL_SHARE: usize = 10;
/// How often a block's use is counted; more does not help it.
const USES_MAX: u8 = 3;
/// What a cached block costs beside its bytes: slot (48, in a vector that grows by doubling), map entry (25 at a load of
/// 7/16 to 7/8), queue place, ghost, the block's own head (56), and what the allocator adds to two pieces.
pub(crate) const OVERHEAD_BYTES: usize = 224;
/// Slots without a block that may stand in the queues; beyond that, as many as there are blocks.
const FORGOTTEN_MAX: usize = 1024;
/// No slot.
const NO_SLOT: u32 = u32::MAX;
/// Nobody's place.
const NOWHERE: Place = Place { file: u64::MAX, offset: u64::MAX };

/// Where a block lies: file id and offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) file: u64,
    pub(crate) offset: u64,
}

/// What is cached.
#[derive(Clone)]
pub(crate) enum Cached {
    Data(Rc<Block>),
    Partition(Rc<Partition>),
}

/// Where a block was found last. It may be elsewhere by now, or nowhere: the cache looks.
pub(crate) struct Hint(Cell<u32>);

impl Default for Hint {
    fn default() -> Hint {
        Hint(Cell::new(NO_SLOT))
    }
}

/// Verified blocks by their place.
pub(crate) struct Cache {
    bytes_max: usize,
    map: AHashMap<Place, u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    small: VecDeque<u32>,
    main: VecDeque<u32>,
    small_bytes: usize,
    main_bytes: usize,
    /// Slots in the queues whose block was forgotten.
    forgotten: usize,
    ghosts: Ghosts,
    hits: u64,
    misses: u64,
}

struct Slot {
    place: Place,
    /// `None` only while the slot is free, or forgotten and still in its queue.
    cached: Option<Cached>,
    bytes: usize,
    uses: u8,
    in_main: bool,
}

impl Cache {
    /// An empty cache of at most `bytes_max`; 0 caches nothing.
    pub(crate) fn new(bytes_max: usize, seed: u64) -> Cache {
        let state = RandomState::with_seeds(seed, !seed, seed.rotate_left(17), seed ^ 0x9e37_79b9_7f4a_7c15);
        Cache {
            bytes_max,
            map: AHashMap::with_hasher(state),
            slots: Vec::new(),
            free: Vec::new(),
            small: VecDeque::new(),
            main: VecDeque::new(),
            small_bytes: 0,
            main_bytes: 0,
            forgotten: 0,
            ghosts: Ghosts::default(),
            hits: 0,
            misses: 0,
        }
    }

    /// The block at `place`, whose slot may be in `hint`.
    #[inline]
    pub(crate) fn get(&mut self, place: Place, hint: &Hint) -> Option<Cached> {
        let hinted = hint.0.get();
        let index = match self.slots.get(hinted as usize) {
            Some(slot) if slot.place == place => hinted,
            _ => self.look_up(place, hint)?,
        };
        self.hits += 1;
        let slot = &mut self.slots[index as usize];
        slot.uses = (slot.uses + 1).min(USES_MAX);
        slot.cached.clone()
    }

    fn look_up(&mut self, place: Place, hint: &Hint) -> Option<u32> {
        let index = self.map.get(&place).copied()?;
        hint.0.set(index);
        Some(index)
    }

    /// Whether the block at `place` is here. Does not count as a use.
    pub(crate) fn contains(&self, place: Place) -> bool {
        self.map.contains_key(&place)
    }

    /// Puts in a verified block of `bytes` that was read because it was not here. One that is there already stays.
    pub(crate) fn insert(&mut self, place: Place, cached: Cached, bytes: usize, hint: &Hint) {
        self.misses += 1;
        self.put(place, cached, bytes, hint);
    }

    /// Puts in a block that nobody has asked for yet.
    pub(crate) fn put(&mut self, place: Place, cached: Cached, bytes: usize, hint: &Hint) {
        let bytes = bytes + OVERHEAD_BYTES;
        if bytes > self.bytes_max / 2 || self.map.contains_key(&place) {
            return;
        }
        while self.bytes() + bytes > self.bytes_max {
            self.evict();
        }
        let in_main = self.ghosts.take(place);
        let index = self.take_slot(Slot { place, cached: Some(cached), bytes, uses: 0, in_main });
        hint.0.set(index);
        self.map.insert(place, index);
        if in_main {
            self.main.push_back(index);
            self.main_bytes += bytes;
        } else {
            self.small.push_back(index);
            self.small_bytes += bytes;
        }
    }

    /// Lets go of the block at `place`: its file is gone, and nobody will ask for it.
    pub(crate) fn forget(&mut self, place: Place) {
        let Some(index) = self.map.remove(&place) else { return };
        let slot = &mut self.slots[index as usize];
        if slot.in_main {
            self.main_bytes -= slot.bytes;
        } else {
            self.small_bytes -= slot.bytes;
        }
        (slot.cached, slot.place, slot.bytes) = (None, NOWHERE, 0);
        // Its place in the queue goes when it is its turn, or when there are too many of them.
        self.forgotten += 1;
        if self.forgotten > self.map.len().max(FORGOTTEN_MAX) {
            self.sweep();
        }
    }

    /// Takes the slots that were forgotten out of the queues.
    fn sweep(&mut self) {
        let (slots, free) = (&self.slots, &mut self.free);
        for queue in [&mut self.small, &mut self.main] {
            queue.retain(|&index| {
                let kept = slots[index as usize].cached.is_some();
                if !kept {
                    free.push(index);
                }
                kept
            });
        }
        self.forgotten = 0;
    }

    /// Bytes in use.
    pub(crate) fn bytes(&self) -> usize {
        self.small_bytes + self.main_bytes
    }

    /// Found, and read for lack of it, so far.
    pub(crate) fn hits_and_misses(&self) -> (u64, u64) {
        (self.hits, self.misses)
    }

    fn evict(&mut self) {
        let small_is_over = self.small_bytes > self.bytes_max / SMALL_SHARE;
        if !self.small.is_empty() && (small_is_over || self.main.is_empty()) {
            self.evict_small();
        } else {
            self.evict_main();
        }
    }

    /// The small queue's head goes, or moves to the main queue if it was used.
    fn evict_small(&mut self) {
        let index = self.small.pop_front().expect("the caller looked");
        if self.is_forgotten(index) {
            return;
        }
        let slot = &mut self.slots[index as usize];
        self.small_bytes -= slot.bytes;
        if slot.uses > 0 {
            (slot.uses, slot.in_main) = (0, true);
            self.main_bytes += slot.bytes;
            self.main.push_back(index);
            return;
        }
        let place = slot.place;
        self.ghosts.add(place, self.map.len());
        self.release(index);
    }

    /// The main queue's head goes, or takes another round if it was used.
    fn evict_main(&mut self) {
        let index = self.main.pop_front().expect("bytes are in use, so one queue holds a block");
        if self.is_forgotten(index) {
            return;
        }
        let slot = &mut self.slots[index as usize];
        if slot.uses > 0 {
            slot.uses -= 1;
            self.main.push_back(index);
            return;
        }
        self.main_bytes -= slot.bytes;
        self.release(index);
    }

    /// Whether a slot that left its queue has no block any more; it is free then.
    fn is_forgotten(&mut self, index: u32) -> bool {
        let forgotten = self.slots[index as usize].cached.is_none();
        if forgotten {
            self.forgotten -= 1;
            self.free.push(index);
        }
        forgotten
    }

    fn release(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        slot.cached = None;
        self.map.remove(&slot.place);
        slot.place = NOWHERE;
        self.free.push(index);
    }

    fn take_slot(&mut self, slot: Slot) -> u32 {
        if let Some(index) = self.free.pop() {
            self.slots[index as usize] = slot;
            return index;
        }
        self.slots.push(slot);
        (self.slots.len() - 1) as u32
    }
}

/// The names of blocks that went, as many as there are blocks: a table by hash, in which a younger name takes the place
/// of an older one. So one in a few is forgotten early, which costs a block a second way through the small queue.
#[derive(Default)]
struct Ghosts {
    /// Part of the name's hash, and when it came. A power of two of them.
    names: Vec<(u32, u32)>,
    /// Names that came so far.
    now: u32,
}

/// Names that there is always room for.
const GHOSTS_MIN: usize = 16;

impl Ghosts {
    /// Keeps a name; `blocks` is how many blocks the cache holds.
    fn add(&mut self, place: Place, blocks: usize) {
        if self.names.len() < blocks.max(GHOSTS_MIN) {
            self.names = vec![(0, 0); blocks.max(GHOSTS_MIN).next_power_of_two()];
        }
        self.now = self.now.wrapping_add(1);
        let (at, mark) = self.home(place);
        self.names[at] = (mark, self.now);
    }

    /// Whether the name is here and not too old; it is forgotten then.
    fn take(&mut self, place: Place) -> bool {
        if self.names.is_empty() {
            return false;
        }
        let (at, mark) = self.home(place);
        let (found, came) = self.names[at];
        let here = found == mark && self.now.wrapping_sub(came) < self.names.len() as u32;
        if here {
            self.names[at] = (0, 0);
        }
        here
    }

    /// Where the name belongs, and what stands for it there; never 0.
    fn home(&self, place: Place) -> (usize, u32) {
        let mixed = (place.file ^ place.offset.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed >> 40) as usize & (self.names.len() - 1), mixed as u32 | 1)
    }
}

#[cfg(test)]
mod tests;
