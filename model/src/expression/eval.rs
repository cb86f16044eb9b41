//! Conditions evaluated in place: the program is walked once, forward, against the encoded item.
//!
//! What does not fit is false, never an error: a missing attribute, values of two types, the size of a number. The
//! exception is `<>`, the opposite of `=`: it holds where the attribute is missing.
//!
//! AND and OR stop at the first condition that decides and skip the rest by its length. Values are compared as they
//! lie: equal values have equal bytes, and numbers order as their bytes do.

use super::program::{ConditionProgram, Cursor, TYPE_NAMES, tag};
use crate::{
    item::{ItemRef, ValueRef},
    number::Number,
};

impl ConditionProgram<'_> {
    /// Whether the item (or its absence) fulfils the condition.
    pub fn eval(self, item: Option<ItemRef<'_>>) -> bool {
        condition(&mut self.body(), item)
    }
}

fn condition<'v>(program: &mut Cursor<'v>, item: Option<ItemRef<'v>>) -> bool {
    match program.u8() {
        tag::AND => {
            let (count, mut inner) = group(program);
            (0..count).all(|_| condition(&mut inner, item))
        }
        tag::OR => {
            let (count, mut inner) = group(program);
            (0..count).any(|_| condition(&mut inner, item))
        }
        tag::NOT => !condition(program, item),
        tag::BETWEEN => between(program, item),
        tag::IN => {
            let (count, mut inner) = group(program);
            let value = operand(&mut inner, item);
            (0..count).any(|_| value.equals(&operand(&mut inner, item)))
        }
        tag::EXISTS => program.path().find(item).is_some(),
        tag::NOT_EXISTS => program.path().find(item).is_none(),
        tag::HAS_TYPE => {
            let found = program.path().find(item);
            let wanted = TYPE_NAMES[usize::from(program.u8())];
            found.is_some_and(|value| value.type_name() == wanted)
        }
        operator => {
            let (left, right) = (operand(program, item), operand(program, item));
            holds(operator, &left, &right)
        }
    }
}

fn group<'p>(program: &mut Cursor<'p>) -> (u32, Cursor<'p>) {
    let mut inner = program.sized();
    (inner.u32(), inner)
}

fn between<'v>(program: &mut Cursor<'v>, item: Option<ItemRef<'v>>) -> bool {
    let value = operand(program, item);
    let (lower, upper) = (operand(program, item), operand(program, item));
    holds(tag::GREATER_OR_EQUAL, &value, &lower) && holds(tag::LESS_OR_EQUAL, &value, &upper)
}

fn holds(operator: u8, left: &Operand<'_>, right: &Operand<'_>) -> bool {
    match operator {
        tag::EQUAL => return left.equals(right),
        tag::NOT_EQUAL => return !left.equals(right),
        _ => {}
    }
    let (Some(left), Some(right)) = (left.value(), right.value()) else {
        return false;
    };
    match operator {
        tag::LESS => left.compare(right).is_some_and(|order| order.is_lt()),
        tag::LESS_OR_EQUAL => left.compare(right).is_some_and(|order| order.is_le()),
        tag::GREATER => left.compare(right).is_some_and(|order| order.is_gt()),
        tag::GREATER_OR_EQUAL => left.compare(right).is_some_and(|order| order.is_ge()),
        tag::BEGINS_WITH => begins_with(left, right),
        tag::CONTAINS => contains(left, right),
        other => unreachable!("tag {other} passed the check"),
    }
}

fn begins_with(value: ValueRef<'_>, prefix: ValueRef<'_>) -> bool {
    match (value, prefix) {
        (ValueRef::S(value), ValueRef::S(prefix)) => value.starts_with(prefix),
        (ValueRef::B(value), ValueRef::B(prefix)) => value.starts_with(prefix),
        _ => false,
    }
}

/// A part of a string or binary, an element of a set or list.
fn contains(value: ValueRef<'_>, part: ValueRef<'_>) -> bool {
    match (value, part) {
        (ValueRef::S(value), ValueRef::S(part)) => is_within(value.as_bytes(), part.as_bytes()),
        (ValueRef::B(value), ValueRef::B(part)) => is_within(value, part),
        (ValueRef::Ss(set), ValueRef::S(element)) => set.contains(element.as_bytes()),
        (ValueRef::Ns(set), ValueRef::N(element)) => set.contains(element.bytes()),
        (ValueRef::Bs(set), ValueRef::B(element)) => set.contains(element),
        (ValueRef::L(list), element) => list.iter().any(|other| other == element),
        _ => false,
    }
}

/// In time of the value's length, whatever the part.
fn is_within(value: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(value, part).is_some()
}

/// An operand's value, if there is one.
enum Operand<'v> {
    Missing,
    Value(ValueRef<'v>),
    /// Of `size`: not in the item, so it lives here.
    Number(Number),
}

impl<'v> Operand<'v> {
    fn value(&self) -> Option<ValueRef<'_>> {
        match self {
            Operand::Missing => None,
            Operand::Value(value) => Some(*value),
            Operand::Number(number) => Some(ValueRef::N(number.as_ref())),
        }
    }

    /// Nothing equals what is missing.
    fn equals(&self, other: &Operand<'_>) -> bool {
        matches!((self.value(), other.value()), (Some(left), Some(right)) if left == right)
    }
}

fn operand<'v>(program: &mut Cursor<'v>, item: Option<ItemRef<'v>>) -> Operand<'v> {
    match program.u8() {
        tag::PATH => program.path().find(item).map_or(Operand::Missing, Operand::Value),
        tag @ (tag::VALUE | tag::VALUE_AGAIN) => Operand::Value(ValueRef::trusted(program.value(tag))),
        tag::SIZE => {
            let size = operand(program, item).value().and_then(size);
            size.map_or(Operand::Missing, |size| Operand::Number(Number::from(size as u64)))
        }
        other => unreachable!("tag {other} passed the check"),
    }
}

/// Bytes of a string or binary, elements of everything else that has any.
fn size(value: ValueRef<'_>) -> Option<usize> {
    match value {
        ValueRef::S(text) => Some(text.len()),
        ValueRef::B(bytes) => Some(bytes.len()),
        ValueRef::M(map) => Some(map.len()),
        ValueRef::L(list) => Some(list.len()),
        ValueRef::Ss(set) | ValueRef::Ns(set) | ValueRef::Bs(set) => Some(set.len()),
        ValueRef::N(_) | ValueRef::Bool(_) | ValueRef::Null => None,
    }
}

#[cfg(test)]
mod tests;
