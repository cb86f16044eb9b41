//! What was written to each stream, in order; what of it was acknowledged; and what follows.

use std::collections::BTreeMap;

use lsm::WriteBatch;

pub type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

/// Streams of a world: each has keys of its own, so that its state is a function of its index alone.
pub const STREAMS: u64 = 3;

/// Random numbers of a test (splitmix64).
#[derive(Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    Drop(Vec<u8>, Vec<u8>),
}

/// What one log record carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op(pub Vec<Effect>);

impl Op {
    /// Some effects on keys of `stream`; each value is one that was never written before.
    pub fn draw(dice: &mut Dice, stream: u64) -> Op {
        let count = 1 + dice.below(3);
        Op((0..count).map(|_| draw_effect(dice, stream)).collect())
    }

    pub fn batch(&self) -> WriteBatch {
        let mut batch = WriteBatch::new();
        for effect in &self.0 {
            match effect {
                Effect::Put(key, value) => batch.put(key, value),
                Effect::Delete(key) => batch.delete(key),
                Effect::Drop(from, to) => batch.drop_range(from, to),
            }
        }
        batch
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for effect in &self.0 {
            let (tag, key, value): (u8, &[u8], &[u8]) = match effect {
                Effect::Put(key, value) => (1, key, value),
                Effect::Delete(key) => (2, key, &[]),
                Effect::Drop(from, to) => (3, from, to),
            };
            out.push(tag);
            for part in [key, value] {
                out.extend_from_slice(&(part.len() as u32).to_le_bytes());
                out.extend_from_slice(part);
            }
        }
        out
    }

    fn play<'a>(&'a self, contents: &mut BTreeMap<&'a [u8], &'a [u8]>) {
        for effect in &self.0 {
            match effect {
                Effect::Put(key, value) => drop(contents.insert(key, value)),
                Effect::Delete(key) => drop(contents.remove(&**key)),
                Effect::Drop(from, to) => contents.retain(|key, _| *key < &**from || *key >= &**to),
            }
        }
    }
}

pub fn draw_key(dice: &mut Dice, stream: u64) -> Vec<u8> {
    let number = dice.below(30);
    match dice.below(4) {
        0 => format!("{stream}/k{number:02}"),
        _ => format!("{stream}/key-with-a-longer-prefix/{number:02}"),
    }
    .into_bytes()
}

fn draw_effect(dice: &mut Dice, stream: u64) -> Effect {
    match dice.below(30) {
        0 => {
            let (a, b) = (draw_key(dice, stream), draw_key(dice, stream));
            if a == b { Effect::Delete(a) } else { Effect::Drop(a.clone().min(b.clone()), a.max(b)) }
        }
        1..7 => Effect::Delete(draw_key(dice, stream)),
        _ => {
            let size = if dice.percent(3) { dice.below(4000) } else { dice.below(120) };
            let unique = dice.next();
            let mut value = unique.to_le_bytes().to_vec();
            value.resize(8 + size as usize, unique as u8);
            Effect::Put(draw_key(dice, stream), value)
        }
    }
}

/// One stream: entry `i` of the history has index `i + 1`.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    pub history: Vec<Op>,
    /// Up to this index the writer was told that it is durable.
    pub acked: u64,
}

#[derive(Debug)]
pub struct Model {
    pub streams: Vec<Stream>,
}

impl Default for Model {
    fn default() -> Model {
        Model { streams: vec![Stream::default(); STREAMS as usize] }
    }
}

impl Model {
    /// What entry `index` of `stream` does.
    pub fn batch(&self, stream: u64, index: u64) -> WriteBatch {
        self.streams[stream as usize].history[index as usize - 1].batch()
    }

    /// What the keys of `stream` hold once everything up to `index` is applied.
    pub fn contents(&self, stream: u64, index: u64) -> Contents {
        let mut contents = BTreeMap::new();
        self.streams[stream as usize].history[..index as usize].iter().for_each(|op| op.play(&mut contents));
        contents.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
    }

    /// What `key` of `stream` holds once everything up to `index` is applied: what the last effect on it says.
    pub fn value(&self, stream: u64, index: u64, key: &[u8]) -> Option<&[u8]> {
        let ops = self.streams[stream as usize].history[..index as usize].iter().rev();
        let found = ops.flat_map(|op| op.0.iter().rev()).find_map(|effect| match effect {
            Effect::Put(put, value) => (put == key).then_some(Some(&**value)),
            Effect::Delete(deleted) => (deleted == key).then_some(None),
            Effect::Drop(from, to) => (&**from <= key && key < &**to).then_some(None),
        });
        found.flatten()
    }

    /// Whether `payload` is what was written as entry `index` of `stream`.
    pub fn wrote(&self, stream: u64, index: u64, payload: &[u8]) -> bool {
        let Some(stream) = self.streams.get(stream as usize) else { return false };
        let op = index.checked_sub(1).and_then(|at| stream.history.get(at as usize));
        op.is_some_and(|op| op.encode() == payload)
    }
}
