//! For this crate's tests: chance from a seed, and random values.

use std::collections::BTreeMap;

use crate::{item::Value, number::Number};

/// SplitMix64: small, seeded, good enough for tests.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// A random value with at most `depth` levels of maps and lists.
pub(crate) fn draw_value(chance: &mut Chance, depth: usize) -> Value {
    match chance.below(if depth == 0 { 8 } else { 11 }) {
        0 => Value::S(draw_text(chance)),
        1 => Value::N(draw_number(chance)),
        2 => Value::B(draw_bytes(chance)),
        3 => Value::Bool(chance.below(2) == 0),
        4 => Value::Null,
        5 => Value::Ss((0..=draw_count(chance)).map(|_| format!("{}.", draw_text(chance))).collect()),
        6 => Value::Ns((0..=draw_count(chance)).map(|_| draw_number(chance)).collect()),
        7 => Value::Bs((0..=draw_count(chance)).map(|_| [draw_bytes(chance), vec![7]].concat()).collect()),
        8 => Value::L((0..draw_count(chance)).map(|_| draw_value(chance, depth - 1)).collect()),
        _ => Value::M(draw_attributes(chance, depth - 1)),
    }
}

/// Random attributes, none or some, whose values have at most `depth` levels of maps and lists.
pub(crate) fn draw_attributes(chance: &mut Chance, depth: usize) -> BTreeMap<String, Value> {
    (0..draw_count(chance)).map(|_| (draw_text(chance), draw_value(chance, depth))).collect()
}

/// Mostly few, sometimes enough for wider tables.
fn draw_count(chance: &mut Chance) -> u64 {
    if chance.below(40) == 0 { 200 + chance.below(100) } else { chance.below(5) }
}

pub(crate) fn draw_text(chance: &mut Chance) -> String {
    const CHARACTERS: [char; 8] = ['a', 'b', 'Z', '0', '\0', 'é', '日', '🦀'];
    let length = if chance.below(50) == 0 { chance.below(300) } else { chance.below(6) };
    (0..length).map(|_| CHARACTERS[chance.below(8) as usize]).collect()
}

pub(crate) fn draw_bytes(chance: &mut Chance) -> Vec<u8> {
    let length = if chance.below(50) == 0 { chance.below(300) } else { chance.below(6) };
    (0..length).map(|_| [0, 1, 0xFF, chance.next() as u8][chance.below(4) as usize]).collect()
}

pub(crate) fn draw_number(chance: &mut Chance) -> Number {
    let digits = chance.next() >> chance.below(64);
    let exponent = chance.below(40) as i64 - 20;
    let sign = if chance.below(2) == 0 { "-" } else { "" };
    Number::parse(&format!("{sign}{digits}e{exponent}")).expect("20 digits and a small exponent")
}
