//! Programs: checked expressions as flat bytes, for messages from router to shard.
//!
//! The bytes are described in docs/WIRE.md, "Expression programs": prefix code, so that an evaluator walks forward once,
//! with lengths in front of everything that it may skip.
//!
//! 1. `encode` (in `write`) turns a tree into bytes; a tree made by this module's parents always fits the bounds.
//! 2. `check` (in `read`) validates bytes from elsewhere: tags, bounds, depth, values, text.
//! 3. A `ConditionProgram`, `UpdateProgram` or `ProjectionProgram` can only be had from `check`, so its evaluation
//!    (`eval`, `update`, `projection`) reads on without looking for errors.

mod read;
mod write;

pub(super) use read::{Cursor, PathRef, SegmentRef, SetValueRef};

/// The bytes' version; a reader refuses others.
const VERSION: u8 = 1;

/// Levels of conditions inside conditions and of values inside values.
const DEPTH_MAX: usize = super::OPERATORS_MAX + 10;

/// The first byte: what kind of program follows.
mod kind {
    pub(super) const CONDITION: u8 = 1;
    pub(super) const UPDATE: u8 = 2;
    pub(super) const PROJECTION: u8 = 3;
}

/// The first byte of an update's body.
pub(super) mod wording {
    pub(in super::super) const EXPRESSION: u8 = 0;
    pub(in super::super) const ATTRIBUTE_UPDATES: u8 = 1;
}

/// First bytes of conditions, actions, operands and segments.
pub(super) mod tag {
    pub(in super::super) const AND: u8 = 0x01;
    pub(in super::super) const OR: u8 = 0x02;
    pub(in super::super) const NOT: u8 = 0x03;
    pub(in super::super) const EQUAL: u8 = 0x10;
    pub(in super::super) const NOT_EQUAL: u8 = 0x11;
    pub(in super::super) const LESS: u8 = 0x12;
    pub(in super::super) const LESS_OR_EQUAL: u8 = 0x13;
    pub(in super::super) const GREATER: u8 = 0x14;
    pub(in super::super) const GREATER_OR_EQUAL: u8 = 0x15;
    pub(in super::super) const BETWEEN: u8 = 0x16;
    pub(in super::super) const IN: u8 = 0x17;
    pub(in super::super) const EXISTS: u8 = 0x20;
    pub(in super::super) const NOT_EXISTS: u8 = 0x21;
    pub(in super::super) const HAS_TYPE: u8 = 0x22;
    pub(in super::super) const BEGINS_WITH: u8 = 0x23;
    pub(in super::super) const CONTAINS: u8 = 0x24;

    pub(in super::super) const PATH: u8 = 0x40;
    pub(in super::super) const VALUE: u8 = 0x41;
    pub(in super::super) const SIZE: u8 = 0x42;
    pub(in super::super) const PLUS: u8 = 0x43;
    pub(in super::super) const MINUS: u8 = 0x44;
    pub(in super::super) const IF_NOT_EXISTS: u8 = 0x45;
    pub(in super::super) const LIST_APPEND: u8 = 0x46;
    pub(in super::super) const VALUE_AGAIN: u8 = 0x47;

    pub(in super::super) const SET: u8 = 0x60;
    pub(in super::super) const REMOVE: u8 = 0x61;
    pub(in super::super) const ADD: u8 = 0x62;
    pub(in super::super) const DELETE: u8 = 0x63;

    pub(in super::super) const NAME: u8 = 0x70;
    pub(in super::super) const INDEX: u8 = 0x71;
}

/// Names of types, by the number that stands for them in a program.
pub(super) const TYPE_NAMES: [&str; 10] = ["S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"];

/// A checked condition or filter.
#[derive(Clone, Copy, Debug)]
pub struct ConditionProgram<'p>(Cursor<'p>);

/// A checked update.
#[derive(Clone, Copy, Debug)]
pub struct UpdateProgram<'p>(Cursor<'p>);

/// A checked projection.
#[derive(Clone, Copy, Debug)]
pub struct ProjectionProgram<'p>(Cursor<'p>);

#[cfg(test)]
mod tests;
