//! The block cache: verified blocks in a bounded number of bytes, that a long scan cannot empty.
//!
//! S3-FIFO (Yang et al., SOSP 2023). A new block enters a small queue, a tenth of the budget. When it comes to the end
//! of that, it moves to the main queue if somebody has asked for it since, and else goes, leaving its name in a ghost
//! list; if it is wanted again while its name is there, it enters the main queue at once. The main queue gives blocks
//! that were asked for another round. So a scan, which asks for each block once, washes through the small queue only.
//!
//! Keyed by (file id, offset). File ids are never reused, so blocks of removed files need no purge: nobody asks for
//! them and they go by themselves.

use std::collections::VecDeque;
use std::rc::Rc;

use ahash::{AHashMap, AHashSet, RandomState};

use crate::sstable::block::Block;
use crate::sstable::reader::Partition;

/// Share of the small queue: one part in this many.
const SMALL_SHARE: usize = 10;
/// How often a block's use is counted; more does not help it.
const USES_MAX: u8 = 3;
/// What a cached block costs beside its bytes: slot, map entry, queue place.
const OVERHEAD_BYTES: usize = 128;

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
    ghosts: VecDeque<Place>,
    ghost_set: AHashSet<Place>,
    hits: u64,
    misses: u64,
}

struct Slot {
    place: Place,
    /// `None` only while the slot is free.
    cached: Option<Cached>,
    bytes: usize,
    uses: u8,
}

impl Cache {
    /// An empty cache of at most `bytes_max`; 0 caches nothing.
    pub(crate) fn new(bytes_max: usize, seed: u64) -> Cache {
        let state = RandomState::with_seeds(seed, !seed, seed.rotate_left(17), seed ^ 0x9e37_79b9_7f4a_7c15);
        Cache {
            bytes_max,
            map: AHashMap::with_hasher(state.clone()),
            slots: Vec::new(),
            free: Vec::new(),
            small: VecDeque::new(),
            main: VecDeque::new(),
            small_bytes: 0,
            main_bytes: 0,
            ghosts: VecDeque::new(),
            ghost_set: AHashSet::with_hasher(state),
            hits: 0,
            misses: 0,
        }
    }

    /// The block at `place`.
    pub(crate) fn get(&mut self, place: Place) -> Option<Cached> {
        let Some(&index) = self.map.get(&place) else {
            self.misses += 1;
            return None;
        };
        self.hits += 1;
        let slot = &mut self.slots[index as usize];
        slot.uses = (slot.uses + 1).min(USES_MAX);
        slot.cached.clone()
    }

    /// Puts in a verified block of `bytes`. One that is there already stays.
    pub(crate) fn insert(&mut self, place: Place, cached: Cached, bytes: usize) {
        let bytes = bytes + OVERHEAD_BYTES;
        if bytes > self.bytes_max / 2 || self.map.contains_key(&place) {
            return;
        }
        while self.bytes() + bytes > self.bytes_max {
            self.evict();
        }
        let index = self.take_slot(Slot { place, cached: Some(cached), bytes, uses: 0 });
        self.map.insert(place, index);
        if self.ghost_set.remove(&place) {
            self.main.push_back(index);
            self.main_bytes += bytes;
        } else {
            self.small.push_back(index);
            self.small_bytes += bytes;
        }
    }

    /// Bytes in use.
    pub(crate) fn bytes(&self) -> usize {
        self.small_bytes + self.main_bytes
    }

    /// Found and not found so far.
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
        let slot = &mut self.slots[index as usize];
        self.small_bytes -= slot.bytes;
        if slot.uses > 0 {
            slot.uses = 0;
            self.main_bytes += slot.bytes;
            self.main.push_back(index);
            return;
        }
        let place = slot.place;
        self.release(index);
        self.remember(place);
    }

    /// The main queue's head goes, or takes another round if it was used.
    fn evict_main(&mut self) {
        let index = self.main.pop_front().expect("bytes are in use, so one queue holds a block");
        let slot = &mut self.slots[index as usize];
        if slot.uses > 0 {
            slot.uses -= 1;
            self.main.push_back(index);
            return;
        }
        self.main_bytes -= slot.bytes;
        self.release(index);
    }

    fn release(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        slot.cached = None;
        self.map.remove(&slot.place);
        self.free.push(index);
    }

    /// Keeps the name of a block that went; as many names as there are blocks.
    fn remember(&mut self, place: Place) {
        if self.ghost_set.insert(place) {
            self.ghosts.push_back(place);
        }
        while self.ghosts.len() > self.map.len().max(16) {
            let oldest = self.ghosts.pop_front().expect("there is more than one");
            self.ghost_set.remove(&oldest);
        }
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

#[cfg(test)]
mod tests;
