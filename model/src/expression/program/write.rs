//! From trees to bytes.

use super::{TYPE_NAMES, VERSION, kind, tag, wording};
use crate::expression::{
    Action, Comparator, Condition, Operand, Path, Projection, Segment, SetValue, Sign, Update, Wording,
};

impl Condition {
    /// The program, for [`super::ConditionProgram`].
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![kind::CONDITION, VERSION];
        condition(&mut out, self);
        out
    }
}

impl Update {
    /// The program, for [`super::UpdateProgram`].
    pub fn encode(&self) -> Vec<u8> {
        let wording = match self.wording {
            Wording::Expression => wording::EXPRESSION,
            Wording::AttributeUpdates => wording::ATTRIBUTE_UPDATES,
        };
        let mut out = vec![kind::UPDATE, VERSION, wording];
        count(&mut out, self.actions.len());
        self.actions.iter().for_each(|action| write_action(&mut out, action));
        out
    }
}

impl Projection {
    /// The program, for [`super::ProjectionProgram`].
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![kind::PROJECTION, VERSION];
        count(&mut out, self.paths.len());
        self.paths.iter().for_each(|path| write_path(&mut out, path));
        out
    }
}

fn condition(out: &mut Vec<u8>, tree: &Condition) {
    match tree {
        Condition::And(conditions) => group(out, tag::AND, conditions),
        Condition::Or(conditions) => group(out, tag::OR, conditions),
        Condition::Not(inner) => {
            out.push(tag::NOT);
            condition(out, inner);
        }
        Condition::Compare(comparator, left, right) => {
            operation(out, comparator_tag(*comparator), [left, right]);
        }
        Condition::Between(value, lower, upper) => operation(out, tag::BETWEEN, [value, lower, upper]),
        Condition::In(value, choices) => {
            out.push(tag::IN);
            sized(out, |out| {
                count(out, choices.len());
                operand(out, value);
                choices.iter().for_each(|choice| operand(out, choice));
            });
        }
        Condition::Exists(path) => on_path(out, tag::EXISTS, path),
        Condition::NotExists(path) => on_path(out, tag::NOT_EXISTS, path),
        Condition::HasType(path, name) => {
            on_path(out, tag::HAS_TYPE, path);
            let number = TYPE_NAMES.iter().position(|known| known == name);
            out.push(number.expect("the tree names a known type") as u8);
        }
        Condition::BeginsWith(value, prefix) => operation(out, tag::BEGINS_WITH, [value, prefix]),
        Condition::Contains(value, part) => operation(out, tag::CONTAINS, [value, part]),
    }
}

fn group(out: &mut Vec<u8>, tag: u8, conditions: &[Condition]) {
    out.push(tag);
    sized(out, |out| {
        count(out, conditions.len());
        conditions.iter().for_each(|inner| condition(out, inner));
    });
}

fn operation<const N: usize>(out: &mut Vec<u8>, tag: u8, operands: [&Operand; N]) {
    out.push(tag);
    operands.iter().for_each(|inner| operand(out, inner));
}

fn operand(out: &mut Vec<u8>, tree: &Operand) {
    match tree {
        Operand::Path(path) => on_path(out, tag::PATH, path),
        Operand::Value(encoded) => {
            out.push(tag::VALUE);
            value(out, encoded);
        }
        Operand::Size(inner) => {
            out.push(tag::SIZE);
            operand(out, inner);
        }
    }
}

fn write_action(out: &mut Vec<u8>, action: &Action) {
    match action {
        Action::Set(path, new) => {
            on_path(out, tag::SET, path);
            set_value(out, new);
        }
        Action::Remove(path) => on_path(out, tag::REMOVE, path),
        Action::Add(path, encoded) => {
            on_path(out, tag::ADD, path);
            value(out, encoded);
        }
        Action::Delete(path, encoded) => {
            on_path(out, tag::DELETE, path);
            value(out, encoded);
        }
    }
}

fn set_value(out: &mut Vec<u8>, tree: &SetValue) {
    match tree {
        SetValue::Path(path) => on_path(out, tag::PATH, path),
        SetValue::Value(encoded) => {
            out.push(tag::VALUE);
            value(out, encoded);
        }
        SetValue::Arithmetic(sign, operands) => {
            out.push(if *sign == Sign::Plus { tag::PLUS } else { tag::MINUS });
            operands.iter().for_each(|inner| set_value(out, inner));
        }
        SetValue::IfNotExists(path, default) => {
            on_path(out, tag::IF_NOT_EXISTS, path);
            sized(out, |out| set_value(out, default));
        }
        SetValue::ListAppend(operands) => {
            out.push(tag::LIST_APPEND);
            operands.iter().for_each(|inner| set_value(out, inner));
        }
    }
}

fn on_path(out: &mut Vec<u8>, tag: u8, path: &Path) {
    out.push(tag);
    write_path(out, path);
}

fn write_path(out: &mut Vec<u8>, path: &Path) {
    out.push(u8::try_from(path.0.len()).expect("paths are at most 32 deep"));
    for segment in &path.0 {
        match segment {
            Segment::Name(name) => {
                out.push(tag::NAME);
                let length = u16::try_from(name.len()).expect("names are at most 65,535 bytes");
                out.extend_from_slice(&length.to_le_bytes());
                out.extend_from_slice(name.as_bytes());
            }
            Segment::Index(index) => {
                out.push(tag::INDEX);
                out.extend_from_slice(&index.to_le_bytes());
            }
        }
    }
}

fn value(out: &mut Vec<u8>, encoded: &[u8]) {
    count(out, encoded.len());
    out.extend_from_slice(encoded);
}

/// What `write` appends, behind its length.
fn sized(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let place = out.len();
    count(out, 0);
    write(out);
    let length = out.len() - place - size_of::<u32>();
    out[place..place + size_of::<u32>()].copy_from_slice(&as_u32(length).to_le_bytes());
}

fn count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&as_u32(count).to_le_bytes());
}

fn as_u32(number: usize) -> u32 {
    u32::try_from(number).expect("a program is made of one request's bytes")
}

fn comparator_tag(comparator: Comparator) -> u8 {
    match comparator {
        Comparator::Equal => tag::EQUAL,
        Comparator::NotEqual => tag::NOT_EQUAL,
        Comparator::Less => tag::LESS,
        Comparator::LessOrEqual => tag::LESS_OR_EQUAL,
        Comparator::Greater => tag::GREATER,
        Comparator::GreaterOrEqual => tag::GREATER_OR_EQUAL,
    }
}
