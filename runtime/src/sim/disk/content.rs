//! What is in a file: blocks, a size, and the changes between what is live and what is durable.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::SECTOR_BYTES;
use crate::BLOCK_BYTES;
use crate::sim::options::{DiskFaults, FaultCounts};
use crate::sim::random::Stream;

pub(super) type Block = [u8; BLOCK_BYTES];

const _: () = assert!(BLOCK_BYTES.is_multiple_of(SECTOR_BYTES));

/// The blocks of a file. A missing block reads as zeros and takes no room.
#[derive(Clone, Default)]
pub(super) struct Content {
    blocks: Vec<Option<Rc<Block>>>,
    held: u64,
    pub size: u64,
}

impl Content {
    pub fn bytes_held(&self) -> u64 {
        self.held * BLOCK_BYTES as u64
    }

    pub fn put(&mut self, index: usize, block: Rc<Block>) {
        if self.blocks.len() <= index {
            self.blocks.resize(index + 1, None);
        }
        self.held += u64::from(self.blocks[index].is_none());
        self.blocks[index] = Some(block);
    }

    pub fn block(&self, index: usize) -> Option<&Rc<Block>> {
        self.blocks.get(index).and_then(Option::as_ref)
    }

    /// How many blocks of `range` take no room yet.
    pub fn missing(&self, range: std::ops::Range<usize>) -> u64 {
        range.filter(|index| self.block(*index).is_none()).count() as u64
    }

    /// Appends `size` bytes from `offset` on to `bytes`; there are so many.
    pub fn read(&self, offset: u64, size: usize, bytes: &mut Vec<u8>) {
        let mut index = offset as usize / BLOCK_BYTES;
        let mut skip = offset as usize % BLOCK_BYTES;
        let mut left = size;
        while left > 0 {
            let take = left.min(BLOCK_BYTES - skip);
            match self.block(index) {
                Some(block) => bytes.extend_from_slice(&block[skip..skip + take]),
                None => bytes.resize(bytes.len() + take, 0),
            }
            (index, skip, left) = (index + 1, 0, left - take);
        }
    }

    /// Writes at any offset; for tests that damage files.
    pub fn overwrite(&mut self, offset: u64, bytes: &[u8]) {
        let mut at = offset as usize;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (index, skip) = (at / BLOCK_BYTES, at % BLOCK_BYTES);
            let take = rest.len().min(BLOCK_BYTES - skip);
            let mut block = self.block(index).map_or([0; BLOCK_BYTES], |block| **block);
            block[skip..skip + take].copy_from_slice(&rest[..take]);
            self.put(index, Rc::new(block));
            (at, rest) = (at + take, &rest[take..]);
        }
        self.size = self.size.max(at as u64);
    }

    pub fn flip_bit(&mut self, offset: u64, bit: u32) {
        assert!(offset < self.size && bit < 8, "bit {bit} of byte {offset} is in the file");
        let index = offset as usize / BLOCK_BYTES;
        let mut block = self.block(index).map_or([0; BLOCK_BYTES], |block| **block);
        block[offset as usize % BLOCK_BYTES] ^= 1 << bit;
        self.put(index, Rc::new(block));
    }

    /// Takes on a size; with `reserve`, all blocks below it take room.
    pub fn resize(&mut self, size: u64, reserve: bool) {
        let blocks = (size as usize).div_ceil(BLOCK_BYTES);
        if size < self.size {
            for gone in self.blocks.drain(blocks.min(self.blocks.len())..) {
                self.held -= u64::from(gone.is_some());
            }
            self.clear_tail(size);
        }
        self.size = size;
        if reserve {
            let zeros = Rc::new([0; BLOCK_BYTES]);
            for index in 0..blocks {
                if self.block(index).is_none() {
                    self.put(index, zeros.clone());
                }
            }
        }
    }

    /// What was cut off reads as zeros when the file grows again.
    fn clear_tail(&mut self, size: u64) {
        let keep = size as usize % BLOCK_BYTES;
        let Some(Some(block)) = self.blocks.get_mut(size as usize / BLOCK_BYTES) else { return };
        if keep > 0 {
            Rc::make_mut(block)[keep..].fill(0);
        }
    }

    /// `block` with each sector either new or as it is here, as the coins fall.
    fn torn(&self, index: usize, block: &Rc<Block>, fate: &mut Stream) -> Rc<Block> {
        let mut torn = self.block(index).map_or([0; BLOCK_BYTES], |old| **old);
        for (old, new) in torn.chunks_mut(SECTOR_BYTES).zip(block.chunks(SECTOR_BYTES)) {
            if fate.coin() {
                old.copy_from_slice(new);
            }
        }
        Rc::new(torn)
    }
}

/// A change that a crash may lose.
pub(super) struct Pending {
    pub id: u64,
    /// Whether the caller may know that it is over. A sync covers only those.
    pub completed: bool,
    pub change: Change,
}

pub(super) enum Change {
    Write { blocks: Vec<(usize, Rc<Block>)>, end: u64 },
    Resize { size: u64, reserve: bool },
}

#[derive(Default)]
pub(super) struct FileData {
    pub live: Content,
    pub durable: Content,
    pub pending: Vec<Pending>,
    /// Open handles, and live names.
    pub handles: u32,
    pub links: u32,
    /// Blocks that fail to be read until they are written again.
    pub unreadable: BTreeSet<usize>,
}

impl FileData {
    /// A write that was acknowledged: visible from now on, and durable if it was `dsync`.
    pub fn complete_write(&mut self, id: u64, dsync: bool) {
        let Some(place) = self.pending.iter().position(|pending| pending.id == id) else { return };
        let Change::Write { blocks, end } = &self.pending[place].change else {
            panic!("change {id} is a write");
        };
        for (index, block) in blocks {
            self.live.put(*index, block.clone());
            self.unreadable.remove(index);
        }
        self.live.size = self.live.size.max(*end);
        if !dsync {
            self.pending[place].completed = true;
            return;
        }
        let Pending { change: Change::Write { blocks, end }, .. } = self.pending.remove(place) else {
            panic!("change {id} is a write");
        };
        self.settle_sizes();
        self.supersede(&blocks);
        apply_write(&mut self.durable, &blocks, end);
    }

    /// Whatever makes data durable also makes durable where it is.
    fn settle_sizes(&mut self) {
        let durable = &mut self.durable;
        self.pending.retain(|pending| match pending.change {
            Change::Resize { size, reserve } if pending.completed => {
                durable.resize(size, reserve);
                false
            }
            _ => true,
        });
    }

    /// Older unsynced versions of blocks that are durable in a newer one cannot come back.
    fn supersede(&mut self, newer: &[(usize, Rc<Block>)]) {
        for pending in self.pending.iter_mut().filter(|pending| pending.completed) {
            if let Change::Write { blocks, .. } = &mut pending.change {
                blocks.retain(|(index, _)| newer.iter().all(|(other, _)| other != index));
            }
        }
    }

    pub fn resize(&mut self, id: u64, size: u64, reserve: bool) {
        self.live.resize(size, reserve);
        self.pending.push(Pending { id, completed: true, change: Change::Resize { size, reserve } });
    }

    /// Completed changes that a sync that begins now will cover: all up to this id.
    pub fn completed(&self) -> Vec<u64> {
        self.pending.iter().filter(|pending| pending.completed).map(|pending| pending.id).collect()
    }

    /// A sync ended: the `covered` changes (in order) are durable if `keep` says so of each, and pending no more.
    pub fn settle(&mut self, covered: &[u64], mut keep: impl FnMut() -> bool) {
        let durable = &mut self.durable;
        self.pending.retain(|pending| {
            if covered.binary_search(&pending.id).is_err() {
                return true;
            }
            if keep() {
                apply(durable, &pending.change);
            }
            false
        });
    }

    /// How many changes were pending, and how many of them left something.
    pub fn crash(&mut self, fate: &mut Stream, faults: &DiskFaults, counts: &mut FaultCounts) -> (u64, u64) {
        let pending = std::mem::take(&mut self.pending);
        let (mut kept, mut lost_one) = (0, false);
        for Pending { change, .. } in &pending {
            let survived = survive(&mut self.durable, change, fate, faults);
            kept += u64::from(survived != Survived::Nothing);
            if matches!(change, Change::Write { .. }) {
                counts.crash_lost += u64::from(survived == Survived::Nothing);
                counts.crash_torn += u64::from(survived == Survived::Torn);
                counts.crash_reordered += u64::from(survived == Survived::Whole && lost_one);
                lost_one |= survived != Survived::Whole;
            }
        }
        self.live = self.durable.clone();
        self.handles = 0;
        (pending.len() as u64, kept)
    }
}

/// What a crash left of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Survived {
    Nothing,
    Torn,
    Whole,
}

fn apply_write(content: &mut Content, blocks: &[(usize, Rc<Block>)], end: u64) {
    for (index, block) in blocks {
        content.put(*index, block.clone());
    }
    content.size = content.size.max(end);
}

fn apply(content: &mut Content, change: &Change) {
    match change {
        Change::Write { blocks, end } => apply_write(content, blocks, *end),
        Change::Resize { size, reserve } => content.resize(*size, *reserve),
    }
}

/// The lottery of a crash for one change.
pub(super) fn survive(
    content: &mut Content,
    change: &Change,
    fate: &mut Stream,
    faults: &DiskFaults,
) -> Survived {
    let Change::Write { blocks, end } = change else {
        if !fate.happens(faults.crash_keeps_metadata) {
            return Survived::Nothing;
        }
        apply(content, change);
        return Survived::Whole;
    };
    let (keeps, tears) = (fate.happens(faults.crash_keeps), fate.happens(faults.crash_tears));
    if keeps {
        apply_write(content, blocks, *end);
        return Survived::Whole;
    }
    if !tears {
        return Survived::Nothing;
    }
    // The size is metadata: data beyond a size that was not kept is not in the file.
    let grows = *end > content.size && fate.happens(faults.crash_keeps_metadata);
    for (index, block) in blocks {
        let torn = content.torn(*index, block, fate);
        if grows || ((*index * BLOCK_BYTES) as u64) < content.size {
            content.put(*index, torn);
        }
    }
    if grows {
        content.size = *end;
    }
    Survived::Torn
}
