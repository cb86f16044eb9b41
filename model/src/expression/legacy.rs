//! The parameters from before the expression languages, compiled to the same trees.
//!
//! The router reads the JSON into these plain structs (and answers unknown names of operators); values are encoded
//! value bytes. Here the number and types of arguments are checked, in DynamoDB's words, and the trees are made. They differ
//! from expressions in little: names are attributes, never paths; ADD appends to lists; a value that does not suit an
//! attribute has a message of its own (`Wording`).

use super::{
    Action, Comparator, Condition, KeyCondition, Operand, Path, Projection, SetValue, SortCondition, Update,
    Wording, key_condition, placeholders::check_name_size,
};
use crate::{error::ApiError, item::ValueRef, key::KeySchema};
use std::{collections::BTreeSet, rc::Rc};

/// `ComparisonOperator`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the API")]
pub enum ComparisonOperator {
    Eq,
    Ne,
    In,
    Le,
    Lt,
    Ge,
    Gt,
    Between,
    NotNull,
    Null,
    Contains,
    NotContains,
    BeginsWith,
}

/// Names as in the API.
const OPERATOR_NAMES: [(ComparisonOperator, &str); 13] = [
    (ComparisonOperator::Eq, "EQ"),
    (ComparisonOperator::Ne, "NE"),
    (ComparisonOperator::In, "IN"),
    (ComparisonOperator::Le, "LE"),
    (ComparisonOperator::Lt, "LT"),
    (ComparisonOperator::Ge, "GE"),
    (ComparisonOperator::Gt, "GT"),
    (ComparisonOperator::Between, "BETWEEN"),
    (ComparisonOperator::NotNull, "NOT_NULL"),
    (ComparisonOperator::Null, "NULL"),
    (ComparisonOperator::Contains, "CONTAINS"),
    (ComparisonOperator::NotContains, "NOT_CONTAINS"),
    (ComparisonOperator::BeginsWith, "BEGINS_WITH"),
];

impl ComparisonOperator {
    /// As the API spells it.
    pub fn name(self) -> &'static str {
        OPERATOR_NAMES[self as usize].1
    }

    /// The reverse of `name`.
    pub fn from_name(name: &str) -> Option<ComparisonOperator> {
        OPERATOR_NAMES.iter().find(|(_, known)| *known == name).map(|(operator, _)| *operator)
    }

    /// How many values it takes; `IN` any number.
    fn value_count(self) -> Option<usize> {
        match self {
            ComparisonOperator::In => None,
            ComparisonOperator::Null | ComparisonOperator::NotNull => Some(0),
            ComparisonOperator::Between => Some(2),
            _ => Some(1),
        }
    }

    /// The types of its values; None for all.
    fn value_types(self) -> Option<&'static [&'static str]> {
        match self {
            ComparisonOperator::Eq | ComparisonOperator::Ne => None,
            ComparisonOperator::BeginsWith => Some(&["S", "B"]),
            _ => Some(&["S", "N", "B"]),
        }
    }
}

/// `ConditionalOperator`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the API")]
pub enum ConditionalOperator {
    And,
    Or,
}

/// `Action` of an `AttributeValueUpdate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the API")]
pub enum UpdateAction {
    Put,
    Add,
    Delete,
}

/// One entry of `Expected`.
#[derive(Clone, Debug)]
pub struct Expected<'a> {
    /// The attribute's name.
    pub attribute: &'a str,
    /// `Value`
    pub value: Option<&'a [u8]>,
    /// `Exists`
    pub exists: Option<bool>,
    /// `ComparisonOperator`
    pub operator: Option<ComparisonOperator>,
    /// `AttributeValueList`
    pub values: Option<Vec<&'a [u8]>>,
}

/// One entry of `KeyConditions`, `QueryFilter` or `ScanFilter`.
#[derive(Clone, Debug)]
pub struct LegacyCondition<'a> {
    /// The attribute's name.
    pub attribute: &'a str,
    /// `ComparisonOperator`
    pub operator: ComparisonOperator,
    /// `AttributeValueList`
    pub values: Vec<&'a [u8]>,
}

/// One entry of `AttributeUpdates`.
#[derive(Clone, Debug)]
pub struct AttributeUpdate<'a> {
    /// The attribute's name.
    pub attribute: &'a str,
    /// `Action`; PUT if it is missing.
    pub action: Option<UpdateAction>,
    /// `Value`
    pub value: Option<&'a [u8]>,
}

/// `Expected` with its `ConditionalOperator`. None: no condition.
pub fn expected(
    entries: &[Expected<'_>],
    operator: Option<ConditionalOperator>,
) -> Result<Option<Condition>, ApiError> {
    let conditions = entries.iter().map(Expected::condition).collect::<Result<Vec<_>, _>>()?;
    join(conditions, operator)
}

/// `QueryFilter` or `ScanFilter` with its `ConditionalOperator`. None: no filter.
pub fn filter(
    entries: &[LegacyCondition<'_>],
    operator: Option<ConditionalOperator>,
) -> Result<Option<Condition>, ApiError> {
    let one = |entry: &LegacyCondition<'_>| condition(entry.attribute, entry.operator, &entry.values);
    join(entries.iter().map(one).collect::<Result<Vec<_>, _>>()?, operator)
}

/// Refuses a `QueryFilter` that names a key attribute.
pub fn refuse_key_attributes(entries: &[LegacyCondition<'_>], schema: &KeySchema) -> Result<(), ApiError> {
    let keys = [Some(&schema.partition), schema.sort.as_ref()];
    let named = |name: &str| entries.iter().any(|entry| entry.attribute == name);
    let Some(key) = keys.into_iter().flatten().find(|key| named(&key.name)) else {
        return Ok(());
    };
    let rule = "QueryFilter can only contain non-primary key attributes";
    refuse(&format!("{rule}: Primary key attribute: {}", key.name))
}

/// `KeyConditions` against the schema of the table or index.
pub fn key_conditions(entries: &[LegacyCondition<'_>], schema: &KeySchema) -> Result<KeyCondition, ApiError> {
    let one = |entry: &LegacyCondition<'_>| Ok((entry.attribute.to_string(), entry.sort_condition()?));
    key_condition::select(entries.iter().map(one).collect::<Result<Vec<_>, ApiError>>()?, schema)
}

/// `AttributeUpdates`.
pub fn attribute_updates(entries: &[AttributeUpdate<'_>]) -> Result<Update, ApiError> {
    let actions = entries.iter().map(AttributeUpdate::action).collect::<Result<Vec<_>, _>>()?;
    Ok(Update { actions, wording: Wording::AttributeUpdates })
}

/// `AttributesToGet`.
pub fn attributes_to_get(names: &[&str]) -> Result<Projection, ApiError> {
    names.iter().try_for_each(|name| check_name_size(name))?;
    let mut seen = BTreeSet::new();
    if let Some(name) = names.iter().find(|name| !seen.insert(**name)) {
        return invalid(&format!("Duplicate value in attribute name: {name}"));
    }
    Ok(Projection { paths: names.iter().map(|name| Path::attribute(name)).collect() })
}

fn join(
    mut conditions: Vec<Condition>,
    operator: Option<ConditionalOperator>,
) -> Result<Option<Condition>, ApiError> {
    match (conditions.len(), operator) {
        (0, Some(_)) => refuse("ConditionalOperator cannot be used without Filter or Expected"),
        (1, Some(_)) => {
            refuse("ConditionalOperator can only be used when Filter or Expected has two or more elements")
        }
        (0, None) => Ok(None),
        (1, None) => Ok(conditions.pop()),
        (_, Some(ConditionalOperator::Or)) => Ok(Some(Condition::Or(conditions))),
        (_, Some(ConditionalOperator::And) | None) => Ok(Some(Condition::And(conditions))),
    }
}

impl Expected<'_> {
    fn condition(&self) -> Result<Condition, ApiError> {
        check_name_size(self.attribute)?;
        if self.value.is_some() && self.values.is_some() {
            return self.refuse("Value and AttributeValueList cannot be used together");
        }
        match self.operator {
            Some(operator) => self.comparison(operator),
            None => self.equality(),
        }
    }

    fn comparison(&self, operator: ComparisonOperator) -> Result<Condition, ApiError> {
        if self.exists.is_some() {
            return self.refuse("Exists and ComparisonOperator cannot be used together");
        }
        let values = match (&self.values, self.value) {
            (Some(values), _) => values.clone(),
            (None, Some(value)) => vec![value],
            (None, None) if operator.value_count() == Some(0) => Vec::new(),
            (None, None) => {
                let rule = "Value or AttributeValueList must be used with ComparisonOperator";
                return self.refuse(&format!("{rule}: {}", operator.name()));
            }
        };
        condition(self.attribute, operator, &values)
    }

    fn equality(&self) -> Result<Condition, ApiError> {
        if self.values.is_some() {
            return self.refuse("AttributeValueList can only be used with a ComparisonOperator");
        }
        let path = Path::attribute(self.attribute);
        match (self.exists, self.value) {
            (Some(false), None) => Ok(Condition::NotExists(path)),
            (Some(false), Some(_)) => self.refuse("Value cannot be used when Exists is false"),
            (Some(true), None) => self.refuse("Value must be provided when Exists is true"),
            (None, None) => self.refuse("Value must be provided when Exists is null"),
            (_, Some(value)) => {
                let (attribute, value) = (Operand::Path(path), Operand::Value(Rc::from(value)));
                Ok(Condition::Compare(Comparator::Equal, attribute, value))
            }
        }
    }

    fn refuse<T>(&self, problem: &str) -> Result<T, ApiError> {
        invalid(&format!("{problem} for Attribute: {}", self.attribute))
    }
}

impl LegacyCondition<'_> {
    fn sort_condition(&self) -> Result<SortCondition, ApiError> {
        check_values(self.operator, &self.values)?;
        let value = |index: usize| self.values[index].to_vec();
        Ok(match self.operator {
            ComparisonOperator::Eq => SortCondition::Equal(value(0)),
            ComparisonOperator::Lt => SortCondition::Less(value(0)),
            ComparisonOperator::Le => SortCondition::LessOrEqual(value(0)),
            ComparisonOperator::Gt => SortCondition::Greater(value(0)),
            ComparisonOperator::Ge => SortCondition::GreaterOrEqual(value(0)),
            ComparisonOperator::Between => SortCondition::Between(value(0), value(1)),
            ComparisonOperator::BeginsWith => SortCondition::BeginsWith(value(0)),
            _ => return refuse("Attempted conditional constraint is not an indexable operation"),
        })
    }
}

/// One attribute against the values of an operator.
fn condition(attribute: &str, operator: ComparisonOperator, values: &[&[u8]]) -> Result<Condition, ApiError> {
    check_name_size(attribute)?;
    check_values(operator, values)?;
    let path = Path::attribute(attribute);
    let this = Operand::Path(path.clone());
    let value = |index: usize| Operand::Value(Rc::from(values[index]));
    let compare = |comparator| Condition::Compare(comparator, this.clone(), value(0));
    Ok(match operator {
        ComparisonOperator::Eq => compare(Comparator::Equal),
        ComparisonOperator::Ne => compare(Comparator::NotEqual),
        ComparisonOperator::Le => compare(Comparator::LessOrEqual),
        ComparisonOperator::Lt => compare(Comparator::Less),
        ComparisonOperator::Ge => compare(Comparator::GreaterOrEqual),
        ComparisonOperator::Gt => compare(Comparator::Greater),
        ComparisonOperator::In => Condition::In(this, (0..values.len()).map(value).collect()),
        ComparisonOperator::Between => Condition::Between(this, value(0), value(1)),
        ComparisonOperator::NotNull => Condition::Exists(path),
        ComparisonOperator::Null => Condition::NotExists(path),
        ComparisonOperator::Contains => Condition::Contains(this, value(0)),
        // Unlike NE, it asks for the attribute to be there.
        ComparisonOperator::NotContains => Condition::And(vec![
            Condition::Exists(path),
            Condition::Not(Box::new(Condition::Contains(this, value(0)))),
        ]),
        ComparisonOperator::BeginsWith => Condition::BeginsWith(this, value(0)),
    })
}

fn check_values(operator: ComparisonOperator, values: &[&[u8]]) -> Result<(), ApiError> {
    let name = operator.name();
    let count_fits = operator.value_count().map_or(!values.is_empty(), |count| count == values.len());
    if !count_fits {
        return invalid(&format!("Invalid number of argument(s) for the {name} ComparisonOperator"));
    }
    let types: Vec<&str> = values.iter().map(|value| ValueRef::trusted(value).type_name()).collect();
    let allowed = |found: &str| operator.value_types().is_none_or(|types| types.contains(&found));
    if let Some(found) = types.iter().find(|found| !allowed(found)) {
        return invalid(&format!("ComparisonOperator {name} is not valid for {found} AttributeValue type"));
    }
    if types.windows(2).any(|pair| pair[0] != pair[1]) {
        return invalid("AttributeValues inside AttributeValueList must be of same type");
    }
    check_bounds(operator, values)
}

fn check_bounds(operator: ComparisonOperator, values: &[&[u8]]) -> Result<(), ApiError> {
    let (ComparisonOperator::Between, [lower, upper]) = (operator, values) else {
        return Ok(());
    };
    let order = ValueRef::trusted(lower).compare(ValueRef::trusted(upper));
    if order.is_some_and(|order| order.is_gt()) {
        return refuse(
            "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound",
        );
    }
    Ok(())
}

impl AttributeUpdate<'_> {
    fn action(&self) -> Result<Action, ApiError> {
        check_name_size(self.attribute)?;
        let path = Path::attribute(self.attribute);
        let action = self.action.unwrap_or(UpdateAction::Put);
        let Some(value) = self.value else {
            return match action {
                UpdateAction::Delete => Ok(Action::Remove(path)),
                _ => invalid("Only DELETE action is allowed when no attribute value is specified"),
            };
        };
        let found = ValueRef::trusted(value).type_name();
        let is_set = matches!(found, "SS" | "NS" | "BS");
        match action {
            UpdateAction::Put => Ok(Action::Set(path, SetValue::Value(Rc::from(value)))),
            UpdateAction::Add if is_set || matches!(found, "N" | "L") => {
                Ok(Action::Add(path, Rc::from(value)))
            }
            UpdateAction::Add => invalid(&format!("ADD action is not supported for the type {found}")),
            UpdateAction::Delete if is_set => Ok(Action::Delete(path, Rc::from(value))),
            UpdateAction::Delete => {
                invalid(&format!("DELETE action with value is not supported for the type {found}"))
            }
        }
    }
}

fn invalid<T>(problem: &str) -> Result<T, ApiError> {
    refuse(&format!("One or more parameter values were invalid: {problem}"))
}

fn refuse<T>(message: &str) -> Result<T, ApiError> {
    Err(ApiError::validation(message))
}

#[cfg(test)]
mod tests;
