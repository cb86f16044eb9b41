//! From trees to bytes.

use super::{TYPE_NAMES, VERSION, kind, tag, wording};
use crate::expression::{
    Action, Comparator, Condition, Operand, Path, Projection, Segment, SetValue, Sign, Update, Wording,
};
use std::{collections::BTreeMap, rc::Rc};

impl Condition {
    /// The program, for [`super::ConditionProgram`].
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new(kind::CONDITION);
        writer.condition(self);
        writer.out
    }
}

impl Update {
    /// The program, for [`super::UpdateProgram`].
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new(kind::UPDATE);
        writer.u8(match self.wording {
            Wording::Expression => wording::EXPRESSION,
            Wording::AttributeUpdates => wording::ATTRIBUTE_UPDATES,
        });
        writer.count(self.actions.len());
        self.actions.iter().for_each(|action| writer.action(action));
        writer.out
    }
}

impl Projection {
    /// The program, for [`super::ProjectionProgram`].
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new(kind::PROJECTION);
        writer.count(self.paths.len());
        self.paths.iter().for_each(|path| writer.path(path));
        writer.out
    }
}

struct Writer {
    out: Vec<u8>,
    /// Where values that the tree shares were written, by address: each is written once.
    values: BTreeMap<*const u8, u32>,
}

impl Writer {
    fn new(kind: u8) -> Writer {
        Writer { out: vec![kind, VERSION], values: BTreeMap::new() }
    }

    fn condition(&mut self, tree: &Condition) {
        match tree {
            Condition::And(conditions) => self.group(tag::AND, conditions),
            Condition::Or(conditions) => self.group(tag::OR, conditions),
            Condition::Not(inner) => {
                self.u8(tag::NOT);
                self.condition(inner);
            }
            Condition::Compare(comparator, left, right) => {
                self.operation(comparator_tag(*comparator), [left, right]);
            }
            Condition::Between(value, lower, upper) => self.operation(tag::BETWEEN, [value, lower, upper]),
            Condition::In(value, choices) => {
                self.u8(tag::IN);
                self.sized(|writer| {
                    writer.count(choices.len());
                    writer.operand(value);
                    choices.iter().for_each(|choice| writer.operand(choice));
                });
            }
            Condition::Exists(path) => self.on_path(tag::EXISTS, path),
            Condition::NotExists(path) => self.on_path(tag::NOT_EXISTS, path),
            Condition::HasType(path, name) => {
                self.on_path(tag::HAS_TYPE, path);
                let number = TYPE_NAMES.iter().position(|known| known == name);
                self.u8(number.expect("the tree names a known type") as u8);
            }
            Condition::BeginsWith(value, prefix) => self.operation(tag::BEGINS_WITH, [value, prefix]),
            Condition::Contains(value, part) => self.operation(tag::CONTAINS, [value, part]),
        }
    }

    fn group(&mut self, tag: u8, conditions: &[Condition]) {
        self.u8(tag);
        self.sized(|writer| {
            writer.count(conditions.len());
            conditions.iter().for_each(|inner| writer.condition(inner));
        });
    }

    fn operation<const N: usize>(&mut self, tag: u8, operands: [&Operand; N]) {
        self.u8(tag);
        operands.iter().for_each(|operand| self.operand(operand));
    }

    fn operand(&mut self, tree: &Operand) {
        match tree {
            Operand::Path(path) => self.on_path(tag::PATH, path),
            Operand::Value(encoded) => self.value(encoded),
            Operand::Size(inner) => {
                self.u8(tag::SIZE);
                self.operand(inner);
            }
        }
    }

    fn action(&mut self, action: &Action) {
        match action {
            Action::Set(path, new) => {
                self.on_path(tag::SET, path);
                self.set_value(new);
            }
            Action::Remove(path) => self.on_path(tag::REMOVE, path),
            Action::Add(path, encoded) => {
                self.on_path(tag::ADD, path);
                self.value(encoded);
            }
            Action::Delete(path, encoded) => {
                self.on_path(tag::DELETE, path);
                self.value(encoded);
            }
        }
    }

    fn set_value(&mut self, tree: &SetValue) {
        match tree {
            SetValue::Path(path) => self.on_path(tag::PATH, path),
            SetValue::Value(encoded) => self.value(encoded),
            SetValue::Arithmetic(sign, operands) => {
                self.u8(if *sign == Sign::Plus { tag::PLUS } else { tag::MINUS });
                operands.iter().for_each(|operand| self.set_value(operand));
            }
            SetValue::IfNotExists(path, default) => {
                self.on_path(tag::IF_NOT_EXISTS, path);
                self.sized(|writer| writer.set_value(default));
            }
            SetValue::ListAppend(operands) => {
                self.u8(tag::LIST_APPEND);
                operands.iter().for_each(|operand| self.set_value(operand));
            }
        }
    }

    fn on_path(&mut self, tag: u8, path: &Path) {
        self.u8(tag);
        self.path(path);
    }

    fn path(&mut self, path: &Path) {
        self.u8(u8::try_from(path.0.len()).expect("paths are at most 32 deep"));
        for segment in &path.0 {
            match segment {
                Segment::Name(name) => {
                    self.u8(tag::NAME);
                    let length = u16::try_from(name.len()).expect("names are at most 65,535 bytes");
                    self.out.extend_from_slice(&length.to_le_bytes());
                    self.out.extend_from_slice(name.as_bytes());
                }
                Segment::Index(index) => {
                    self.u8(tag::INDEX);
                    self.out.extend_from_slice(&index.to_le_bytes());
                }
            }
        }
    }

    fn value(&mut self, encoded: &Rc<[u8]>) {
        if let Some(place) = self.values.get(&encoded.as_ptr()).copied() {
            self.u8(tag::VALUE_AGAIN);
            self.out.extend_from_slice(&place.to_le_bytes());
            return;
        }
        self.u8(tag::VALUE);
        self.values.insert(encoded.as_ptr(), as_u32(self.out.len()));
        self.count(encoded.len());
        self.out.extend_from_slice(encoded);
    }

    /// What `write` appends, behind its length.
    fn sized(&mut self, write: impl FnOnce(&mut Self)) {
        let place = self.out.len();
        self.count(0);
        write(self);
        let length = self.out.len() - place - size_of::<u32>();
        self.out[place..place + size_of::<u32>()].copy_from_slice(&as_u32(length).to_le_bytes());
    }

    fn count(&mut self, count: usize) {
        self.out.extend_from_slice(&as_u32(count).to_le_bytes());
    }

    fn u8(&mut self, byte: u8) {
        self.out.push(byte);
    }
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
