//! What was applied, in order, and what follows from it.

use std::collections::BTreeMap;

use crate::batch::{Direction, Mark, Range, WriteBatch};

pub(super) type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

/// Random numbers of a test (splitmix64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

#[derive(Clone, Debug)]
pub(super) enum Op {
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    Drop(Vec<u8>, Vec<u8>),
}

#[derive(Clone, Debug)]
pub(super) struct Applied {
    pub(super) mark: Mark,
    pub(super) ops: Vec<Op>,
}

impl Applied {
    pub(super) fn batch(&self) -> WriteBatch {
        let mut batch = WriteBatch::new();
        for op in &self.ops {
            match op {
                Op::Put(key, value) => batch.put(key, value),
                Op::Delete(key) => batch.delete(key),
                Op::Drop(from, to) => batch.drop_range(from, to),
            }
        }
        batch
    }

    fn play(&self, contents: &mut Contents) {
        for op in &self.ops {
            match op {
                Op::Put(key, value) => drop(contents.insert(key.clone(), value.clone())),
                Op::Delete(key) => drop(contents.remove(key)),
                Op::Drop(from, to) => contents.retain(|key, _| key < from || key >= to),
            }
        }
    }
}

/// Everything that was applied.
#[derive(Default)]
pub(super) struct Model {
    pub(super) history: Vec<Applied>,
    pub(super) contents: Contents,
    next_index: BTreeMap<u64, u64>,
    /// Per stream, what the tree has said to be durable: it must never go back behind it.
    pub(super) durable: BTreeMap<u64, u64>,
}

pub(super) const STREAMS: u64 = 3;

impl Model {
    /// A batch of some writes to few keys.
    pub(super) fn draw(&mut self, dice: &mut Dice) -> Applied {
        let stream = dice.below(STREAMS);
        let next = self.next_index.entry(stream).or_insert(1);
        // Indexes of a stream go up, not always by one: other entries of the log have no batch.
        *next += dice.below(3);
        let mark = Mark { stream, index: *next };
        *next += 1;
        let count = if dice.one_in(12) { 0 } else { 1 + dice.below(4) };
        let ops = (0..count).map(|_| draw_op(dice)).collect();
        let applied = Applied { mark, ops };
        self.push(applied.clone());
        applied
    }

    fn push(&mut self, applied: Applied) {
        applied.play(&mut self.contents);
        self.history.push(applied);
    }

    /// The contents with exactly the batches up to these marks.
    pub(super) fn at(&self, marks: &BTreeMap<u64, u64>) -> Contents {
        let mut contents = Contents::new();
        let within = |applied: &&Applied| applied.mark.index <= marks[&applied.mark.stream];
        self.history.iter().filter(within).for_each(|applied| applied.play(&mut contents));
        contents
    }

    /// The batches behind these marks, in order: what a replay of the log brings back.
    pub(super) fn behind(&self, marks: &BTreeMap<u64, u64>) -> Vec<Applied> {
        let behind = |applied: &&Applied| applied.mark.index > marks[&applied.mark.stream];
        self.history.iter().filter(behind).cloned().collect()
    }
}

pub(super) fn draw_key(dice: &mut Dice) -> Vec<u8> {
    let number = dice.below(60);
    match dice.below(8) {
        0 => format!("k{number:02}"),
        1 => format!("key-with-a-prefix-of-more-than-sixteen-bytes-{number:02}"),
        _ => format!("key/{number:02}/x"),
    }
    .into_bytes()
}

pub(super) fn draw_op(dice: &mut Dice) -> Op {
    match dice.below(40) {
        0 => {
            let (a, b) = (draw_key(dice), draw_key(dice));
            if a == b { Op::Delete(a) } else { Op::Drop(a.clone().min(b.clone()), a.max(b)) }
        }
        1..10 => Op::Delete(draw_key(dice)),
        _ => Op::Put(draw_key(dice), draw_value(dice)),
    }
}

fn draw_value(dice: &mut Dice) -> Vec<u8> {
    let size = match dice.below(30) {
        0 => dice.below(6000),
        1..4 => 0,
        _ => dice.below(150),
    };
    let unique = dice.next();
    let mut value = unique.to_le_bytes().to_vec();
    value.resize(8 + size as usize, unique as u8);
    value
}

pub(super) fn draw_range(dice: &mut Dice) -> Range {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    let mut bound = || match dice.below(5) {
        0 => Unbounded,
        1 | 2 => Included(draw_key(dice)),
        _ => Excluded(draw_key(dice)),
    };
    Range { from: bound(), to: bound() }
}

/// What a scan of the range gives.
pub(super) fn expected(contents: &Contents, range: &Range, direction: Direction) -> Vec<(Vec<u8>, Vec<u8>)> {
    let inside = contents.iter().filter(|(key, _)| range.contains(key));
    let mut inside: Vec<_> = inside.map(|(key, value)| (key.clone(), value.clone())).collect();
    if direction == Direction::Backward {
        inside.reverse();
    }
    inside
}
