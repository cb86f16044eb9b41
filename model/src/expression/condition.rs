//! Condition and filter expressions: what operators and functions accept.

use super::{
    Comparator, Condition, ExpressionKind, Operand, Path, Placeholders, cache,
    check::{Checker, Fault, invalid, type_of_value},
    syntax::Node,
};
use base64::Engine as _;

use crate::{error::ApiError, item::ValueRef, key::KeySchema, limits::IN_OPERANDS_MAX};
use std::rc::Rc;

/// The names that `attribute_type` knows, in the order in which DynamoDB lists them.
const TYPE_NAMES: [&str; 10] = ["B", "NULL", "SS", "BOOL", "L", "BS", "N", "NS", "S", "M"];
/// Types that have an order.
const ORDERED: [&str; 3] = ["S", "N", "B"];
/// Types that have a size.
const SIZED: [&str; 7] = ["S", "B", "SS", "NS", "BS", "L", "M"];
/// Types that can contain something.
const CONTAINERS: [&str; 6] = ["S", "B", "SS", "NS", "BS", "L"];
/// Types that can begin with something.
const PREFIXED: [&str; 2] = ["S", "B"];

/// Parses a `ConditionExpression` or `FilterExpression` (`kind` says which).
pub fn parse_condition(
    kind: ExpressionKind,
    text: &str,
    placeholders: &mut Placeholders<'_>,
) -> Result<Condition, ApiError> {
    let parsed = cache::condition(placeholders.cache, kind, text).map_err(|detail| invalid(kind, &detail))?;
    let mut checker = Checker::new(kind, placeholders);
    let condition = checker.condition(&parsed.tree);
    checker.finish(&parsed, condition)
}

impl Condition {
    /// Refuses a filter that names a key attribute, as Query does.
    pub fn refuse_key_attributes(&self, schema: &KeySchema) -> Result<(), ApiError> {
        let keys = [Some(&schema.partition), schema.sort.as_ref()];
        let mut named = None;
        self.each_path(&mut |path| {
            if named.is_none() && keys.iter().flatten().any(|key| key.name == path.top()) {
                named = Some(path.top().to_string());
            }
        });
        let Some(name) = named else {
            return Ok(());
        };
        let rule = "Filter Expression can only contain non-primary key attributes";
        Err(ApiError::validation(format!("{rule}: Primary key attribute: {name}")))
    }

    fn each_path(&self, visit: &mut dyn FnMut(&Path)) {
        match self {
            Condition::And(conditions) | Condition::Or(conditions) => {
                conditions.iter().for_each(|condition| condition.each_path(visit));
            }
            Condition::Not(condition) => condition.each_path(visit),
            Condition::Exists(path) | Condition::NotExists(path) | Condition::HasType(path, _) => visit(path),
            Condition::Compare(_, left, right)
            | Condition::BeginsWith(left, right)
            | Condition::Contains(left, right) => each_path_of([left, right], visit),
            Condition::Between(value, lower, upper) => each_path_of([value, lower, upper], visit),
            Condition::In(value, choices) => each_path_of([value].into_iter().chain(choices), visit),
        }
    }
}

fn each_path_of<'o>(operands: impl IntoIterator<Item = &'o Operand>, visit: &mut dyn FnMut(&Path)) {
    for operand in operands {
        match operand {
            Operand::Path(path) => visit(path),
            Operand::Value(_) => {}
            Operand::Size(operand) => each_path_of([&**operand], visit),
        }
    }
}

impl Comparator {
    /// As it is written.
    pub fn sign(self) -> &'static str {
        match self {
            Comparator::Equal => "=",
            Comparator::NotEqual => "<>",
            Comparator::Less => "<",
            Comparator::LessOrEqual => "<=",
            Comparator::Greater => ">",
            Comparator::GreaterOrEqual => ">=",
        }
    }
}

/// Stands where a fault was noted.
fn nothing() -> Operand {
    Operand::Value(Rc::new([]))
}

impl Checker<'_, '_> {
    pub(super) fn condition(&mut self, node: &Node) -> Condition {
        match node {
            Node::And(nodes) => Condition::And(nodes.iter().map(|node| self.condition(node)).collect()),
            Node::Or(nodes) => Condition::Or(nodes.iter().map(|node| self.condition(node)).collect()),
            Node::Not(node) => Condition::Not(Box::new(self.condition(node))),
            Node::Compare(comparator, operands) => self.comparison(*comparator, operands),
            Node::Between(operands) => self.between(operands),
            Node::In(value, choices) => self.choices(value, choices),
            Node::Call(name, operands) => self.function(name, operands),
            Node::Path(_) | Node::Value(_) | Node::Arithmetic(..) => {
                unreachable!("the parser asked for a condition")
            }
        }
    }

    fn comparison(&mut self, comparator: Comparator, operands: &[Node; 2]) -> Condition {
        let [left, right] = operands.each_ref().map(|node| self.operand(node));
        if !matches!(comparator, Comparator::Equal | Comparator::NotEqual) {
            self.operand_type(comparator.sign(), type_of(&left), &ORDERED);
            self.operand_type(comparator.sign(), type_of(&right), &ORDERED);
        }
        self.distinct(comparator.sign(), &left, [&right]);
        Condition::Compare(comparator, left, right)
    }

    fn between(&mut self, operands: &[Node; 3]) -> Condition {
        let [value, lower, upper] = operands.each_ref().map(|node| self.operand(node));
        for operand in [&value, &lower, &upper] {
            self.operand_type("BETWEEN", type_of(operand), &ORDERED);
        }
        self.distinct("BETWEEN", &value, [&lower, &upper]);
        if let (Operand::Value(lower), Operand::Value(upper)) = (&lower, &upper) {
            self.bounds(lower, upper);
        }
        Condition::Between(value, lower, upper)
    }

    fn bounds(&mut self, lower: &[u8], upper: &[u8]) {
        let (Some(lower_type), Some(upper_type)) = (type_of_value(lower), type_of_value(upper)) else {
            return;
        };
        let (lower, upper) = (ValueRef::trusted(lower), ValueRef::trusted(upper));
        let rule = if lower_type != upper_type {
            "same data type for lower and upper bounds"
        } else if lower.compare(upper).is_some_and(|order| order.is_gt()) {
            "upper bound to be greater than or equal to lower bound"
        } else {
            return;
        };
        self.note(Fault::OperandValue, || {
            let (lower, upper) = (shown(lower), shown(upper));
            let operands = format!("lower bound operand: {lower}, upper bound operand: {upper}");
            format!("The BETWEEN operator requires {rule}; {operands}")
        });
    }

    fn choices(&mut self, value: &Node, choices: &[Node]) -> Condition {
        if choices.len() > IN_OPERANDS_MAX {
            self.note(Fault::OperandCount, || {
                let problem = "The IN operator is provided with too many operands";
                format!("{problem}; number of operands: {}", choices.len())
            });
        }
        let value = self.operand(value);
        let choices: Vec<Operand> = choices.iter().map(|node| self.operand(node)).collect();
        self.distinct("IN", &value, &choices);
        Condition::In(value, choices)
    }

    /// A call where a truth value is wanted.
    fn function(&mut self, name: &str, operands: &[Node]) -> Condition {
        let stand_in = Condition::And(Vec::new());
        match name {
            "attribute_exists" => self.path_operand(name, operands).map(Condition::Exists),
            "attribute_not_exists" => self.path_operand(name, operands).map(Condition::NotExists),
            "attribute_type" => self.attribute_type(operands),
            "begins_with" => self.begins_with(operands),
            "contains" => self.contains(operands),
            "size" => {
                self.misused(name, operands);
                None
            }
            _ => {
                self.foreign_function(name, operands);
                None
            }
        }
        .unwrap_or(stand_in)
    }

    fn path_operand(&mut self, name: &str, operands: &[Node]) -> Option<Path> {
        let mut checked = self.operands(name, operands, 1)?;
        self.as_path(name, checked.remove(0))
    }

    fn attribute_type(&mut self, operands: &[Node]) -> Option<Condition> {
        let mut checked = self.operands("attribute_type", operands, 2)?;
        let name = checked.remove(1);
        let path = self.as_path("attribute_type", checked.remove(0));
        let found = match &name {
            Operand::Path(_) => Some("document path"),
            _ => type_of(&name),
        };
        self.operand_type("attribute_type", found, &["S"]);
        Some(Condition::HasType(path?, self.type_name(&name)?))
    }

    fn type_name(&mut self, operand: &Operand) -> Option<&'static str> {
        let Operand::Value(encoded) = operand else {
            return None;
        };
        type_of_value(encoded)?;
        let ValueRef::S(found) = ValueRef::trusted(encoded) else {
            return None;
        };
        let known = TYPE_NAMES.iter().find(|name| **name == found);
        if known.is_none() {
            self.note(Fault::OperandValue, || {
                let valid = TYPE_NAMES.join(",");
                format!("Invalid attribute type name found; type: {found}, valid types: {{{valid}}}")
            });
        }
        known.copied()
    }

    fn begins_with(&mut self, operands: &[Node]) -> Option<Condition> {
        let [value, prefix] = self.two_operands("begins_with", operands)?;
        self.operand_type("begins_with", type_of(&value), &PREFIXED);
        self.operand_type("begins_with", type_of(&prefix), &PREFIXED);
        self.distinct("begins_with", &value, [&prefix]);
        Some(Condition::BeginsWith(value, prefix))
    }

    fn contains(&mut self, operands: &[Node]) -> Option<Condition> {
        let [value, part] = self.two_operands("contains", operands)?;
        self.operand_type("contains", type_of(&value), &CONTAINERS);
        self.distinct("contains", &value, [&part]);
        Some(Condition::Contains(value, part))
    }

    /// A call where a value is wanted: only `size` is one.
    fn operand(&mut self, node: &Node) -> Operand {
        match node {
            Node::Path(path) => Operand::Path(self.path(path)),
            Node::Value(alias) => Operand::Value(self.value(alias)),
            Node::Call(name, operands) if &**name == "size" => self.size(operands).unwrap_or_else(nothing),
            Node::Call(name, operands) => {
                if is_condition(name) {
                    self.misused(name, operands);
                } else {
                    self.foreign_function(name, operands);
                }
                nothing()
            }
            _ => unreachable!("the parser asked for an operand"),
        }
    }

    fn size(&mut self, operands: &[Node]) -> Option<Operand> {
        let operand = self.operands("size", operands, 1)?.remove(0);
        self.operand_type("size", type_of(&operand), &SIZED);
        Some(Operand::Size(Box::new(operand)))
    }

    fn two_operands(&mut self, name: &str, operands: &[Node]) -> Option<[Operand; 2]> {
        self.operands(name, operands, 2)?.try_into().ok()
    }

    /// All operands are looked at, also when their number is wrong: what is wrong in them may be reported first.
    fn operands(&mut self, name: &str, operands: &[Node], wanted: usize) -> Option<Vec<Operand>> {
        let checked = operands.iter().map(|node| self.operand(node)).collect();
        self.operand_count(name, operands.len(), wanted).then_some(checked)
    }

    fn as_path(&mut self, name: &str, operand: Operand) -> Option<Path> {
        let Operand::Path(path) = operand else {
            self.not_a_path(name);
            return None;
        };
        Some(path)
    }

    fn misused(&mut self, name: &str, operands: &[Node]) {
        self.note(Fault::Misuse, || {
            format!("The function is not allowed to be used this way in an expression; function: {name}")
        });
        operands.iter().for_each(|node| drop(self.operand(node)));
    }

    fn foreign_function(&mut self, name: &str, operands: &[Node]) {
        if matches!(name, "if_not_exists" | "list_append") {
            self.note(Fault::Function, || {
                format!("The function is not allowed in a condition expression; function: {name}")
            });
        } else {
            self.unknown_function(name);
        }
        operands.iter().for_each(|node| drop(self.operand(node)));
    }

    fn distinct<'o>(
        &mut self,
        operator: &str,
        first: &Operand,
        others: impl IntoIterator<Item = &'o Operand>,
    ) {
        let Operand::Path(path) = first else {
            return;
        };
        if others.into_iter().any(|other| other == first) {
            self.note(Fault::NotDistinct, || {
                let rule = "The first operand must be distinct from the remaining operands for this operator or function";
                format!("{rule}; operator: {operator}, first operand: {path}")
            });
        }
    }
}

/// The functions that are true or false.
pub(super) fn is_condition(name: &str) -> bool {
    matches!(
        name,
        "attribute_exists" | "attribute_not_exists" | "attribute_type" | "begins_with" | "contains"
    )
}

fn type_of(operand: &Operand) -> Option<&'static str> {
    match operand {
        Operand::Path(_) => None,
        Operand::Value(encoded) => type_of_value(encoded),
        Operand::Size(_) => Some("N"),
    }
}

/// A scalar as messages show it: `AttributeValue: {N:1}`.
fn shown(value: ValueRef<'_>) -> String {
    let text = match value {
        ValueRef::S(text) => text.to_string(),
        ValueRef::N(number) => number.to_string(),
        ValueRef::B(bytes) => base64::engine::general_purpose::STANDARD.encode(bytes),
        _ => String::new(),
    };
    format!("AttributeValue: {{{}:{text}}}", value.type_name())
}

#[cfg(test)]
mod tests;
