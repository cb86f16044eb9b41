//! Update expressions: what actions and their functions accept.

use super::{
    Action, ExpressionKind, Path, Placeholders, SetValue, Sign, Update, Wording, cache,
    check::{Checker, Fault, invalid, type_of_value},
    condition,
    syntax::{ActionText, Node},
};
use crate::{error::ApiError, key::KeySchema};
use std::rc::Rc;

/// Parses an `UpdateExpression`.
pub fn parse_update(text: &str, placeholders: &mut Placeholders<'_>) -> Result<Update, ApiError> {
    let kind = ExpressionKind::Update;
    let parsed = cache::update(placeholders.cache, text).map_err(|detail| invalid(kind, &detail))?;
    let mut checker = Checker::new(kind, placeholders);
    let actions: Vec<Action> = parsed.tree.iter().map(|action| checker.action(action)).collect();
    let paths: Vec<Path> = actions.iter().map(|action| action.path().clone()).collect();
    checker.disjoint(&paths);
    checker.finish(&parsed, Update { actions, wording: Wording::Expression })
}

impl Action {
    /// The path that the action touches.
    pub fn path(&self) -> &Path {
        match self {
            Action::Set(path, _) | Action::Remove(path) | Action::Add(path, _) | Action::Delete(path, _) => {
                path
            }
        }
    }
}

impl Update {
    /// Refuses an update of a key attribute.
    pub fn refuse_key_attributes(&self, schema: &KeySchema) -> Result<(), ApiError> {
        let keys = [Some(&schema.partition), schema.sort.as_ref()];
        let touched = |name: &str| self.actions.iter().any(|action| action.path().top() == name);
        let Some(key) = keys.into_iter().flatten().find(|key| touched(&key.name)) else {
            return Ok(());
        };
        let problem = "One or more parameter values were invalid: Cannot update attribute";
        Err(ApiError::validation(format!("{problem} {}. This attribute is part of the key", key.name)))
    }
}

impl Checker<'_, '_> {
    fn action(&mut self, action: &ActionText) -> Action {
        match action {
            ActionText::Set(path, node) => Action::Set(self.path(path), self.set_value(node)),
            ActionText::Remove(path) => Action::Remove(self.path(path)),
            ActionText::Add(path, alias) => {
                Action::Add(self.path(path), self.action_value("ADD", alias, &["N", "SS", "NS", "BS"]))
            }
            ActionText::Delete(path, alias) => {
                Action::Delete(self.path(path), self.action_value("DELETE", alias, &["SS", "NS", "BS"]))
            }
        }
    }

    fn action_value(&mut self, section: &str, alias: &str, allowed: &[&str]) -> Rc<[u8]> {
        let value = self.value(alias);
        if let Some(found) = type_of_value(&value).filter(|found| !allowed.contains(found)) {
            self.note(Fault::OperandType, || {
                let problem = "Incorrect operand type for operator or function";
                let found = long_type_name(found);
                format!("{problem}; operator: {section}, operand type: {found}, typeset: ALLOWED_FOR_{section}_OPERAND")
            });
        }
        value
    }

    fn set_value(&mut self, node: &Node) -> SetValue {
        match node {
            Node::Path(path) => SetValue::Path(self.path(path)),
            Node::Value(alias) => SetValue::Value(self.value(alias)),
            Node::Arithmetic(sign, operands) => self.arithmetic(*sign, operands),
            Node::Call(name, operands) => self.set_function(name, operands),
            _ => unreachable!("the parser asked for an operand"),
        }
    }

    fn arithmetic(&mut self, sign: Sign, operands: &[Node; 2]) -> SetValue {
        let operands = operands.each_ref().map(|node| self.set_value(node));
        let operator = if sign == Sign::Plus { "+" } else { "-" };
        for operand in &operands {
            self.operand_type(operator, type_of(operand), &["N"]);
        }
        SetValue::Arithmetic(sign, Box::new(operands))
    }

    fn set_function(&mut self, name: &str, operands: &[Node]) -> SetValue {
        let checked: Vec<SetValue> = operands.iter().map(|node| self.set_value(node)).collect();
        match name {
            "if_not_exists" => self.if_not_exists(checked),
            "list_append" => self.list_append(checked),
            "size" => self.not_in_update(name),
            _ if condition::is_condition(name) => self.not_in_update(name),
            _ => {
                self.unknown_function(name);
                None
            }
        }
        .unwrap_or(SetValue::Value(Rc::new([])))
    }

    fn not_in_update(&mut self, name: &str) -> Option<SetValue> {
        self.note(Fault::Function, || {
            format!("The function is not allowed in an update expression; function: {name}")
        });
        None
    }

    fn if_not_exists(&mut self, operands: Vec<SetValue>) -> Option<SetValue> {
        let [path, value] = self.two(operands, "if_not_exists")?;
        let SetValue::Path(path) = path else {
            self.not_a_path("if_not_exists");
            return None;
        };
        Some(SetValue::IfNotExists(path, Box::new(value)))
    }

    fn list_append(&mut self, operands: Vec<SetValue>) -> Option<SetValue> {
        let operands = self.two(operands, "list_append")?;
        for operand in &operands {
            self.operand_type("list_append", type_of(operand), &["L"]);
        }
        Some(SetValue::ListAppend(Box::new(operands)))
    }

    fn two(&mut self, operands: Vec<SetValue>, name: &str) -> Option<[SetValue; 2]> {
        self.operand_count(name, operands.len(), 2);
        operands.try_into().ok()
    }
}

fn type_of(value: &SetValue) -> Option<&'static str> {
    match value {
        SetValue::Path(_) => None,
        SetValue::Value(encoded) => type_of_value(encoded),
        SetValue::Arithmetic(..) => Some("N"),
        SetValue::ListAppend(_) => Some("L"),
        // One of two types; if the default's cannot be right, the item decides.
        SetValue::IfNotExists(..) => None,
    }
}

/// Messages about ADD and DELETE spell types out.
fn long_type_name(name: &str) -> &str {
    match name {
        "S" => "STRING",
        "N" => "NUMBER",
        "B" => "BINARY",
        "BOOL" => "BOOLEAN",
        "L" => "LIST",
        "M" => "MAP",
        "SS" => "STRING_SET",
        "NS" => "NUMBER_SET",
        "BS" => "BINARY_SET",
        other => other,
    }
}

#[cfg(test)]
mod tests;
