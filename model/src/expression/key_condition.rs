//! Key conditions: which partition, and which part of its sort keys.
//!
//! The text is a condition like any other; then it must turn out to be `partition = value`, alone or with one
//! condition on the sort key. The older KeyConditions meet the same rules here, in `select`.

use super::{
    Comparator, Condition, ExpressionKind, KeyCondition, Operand, Path, Placeholders, Segment, SortCondition,
    cache,
    check::{Checker, invalid},
};
use crate::{
    error::ApiError,
    item::ValueRef,
    key::{KeyAttribute, KeySchema, SortBounds},
    limits::{PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX},
};

/// A key condition before it is known which table it is about: conditions on attributes, no two on the same one.
#[derive(Clone, Debug)]
pub struct KeyParts(Vec<(String, SortCondition)>);

impl KeyParts {
    /// The condition on the key of the table or index with this schema.
    pub fn select(self, schema: &KeySchema) -> Result<KeyCondition, ApiError> {
        select(self.0, schema)
    }
}

/// Parses a `KeyConditionExpression` against the schema of the table or index.
pub fn parse_key_condition(
    text: &str,
    placeholders: &mut Placeholders<'_>,
    schema: &KeySchema,
) -> Result<KeyCondition, ApiError> {
    parse_key_parts(text, placeholders)?.select(schema)
}

/// Parses a `KeyConditionExpression` as far as that needs no schema.
pub fn parse_key_parts(text: &str, placeholders: &mut Placeholders<'_>) -> Result<KeyParts, ApiError> {
    let kind = ExpressionKind::KeyCondition;
    let parsed = cache::condition(placeholders.cache, kind, text).map_err(|detail| invalid(kind, &detail))?;
    let mut checker = Checker::new(kind, placeholders);
    let condition = checker.condition(&parsed.tree);
    let condition = checker.finish(&parsed, condition)?;
    let mut found = Vec::new();
    gather(condition, &mut found)?;
    Ok(KeyParts(found))
}

/// The conditions of a row of ANDs, by attribute.
fn gather(condition: Condition, found: &mut Vec<(String, SortCondition)>) -> Result<(), ApiError> {
    if let Condition::And(conditions) = condition {
        return conditions.into_iter().try_for_each(|condition| gather(condition, found));
    }
    let (name, condition) = key_part(condition)?;
    if found.iter().any(|(other, _)| *other == name) {
        return refuse("KeyConditionExpressions must only contain one condition per key");
    }
    found.push((name, condition));
    Ok(())
}

fn key_part(condition: Condition) -> Result<(String, SortCondition), ApiError> {
    match condition {
        Condition::Compare(comparator, left, right) => comparison(comparator, left, right),
        Condition::Between(value, lower, upper) => {
            let (name, [lower, upper]) = attribute_first("BETWEEN", value, [lower, upper])?;
            Ok((name, SortCondition::Between(lower, upper)))
        }
        Condition::BeginsWith(value, prefix) => {
            let (name, [prefix]) = attribute_first("begins_with", value, [prefix])?;
            Ok((name, SortCondition::BeginsWith(prefix)))
        }
        Condition::And(_) => unreachable!("taken apart by `gather`"),
        Condition::Or(_) => refuse_operator("OR"),
        Condition::Not(_) => refuse_operator("NOT"),
        Condition::In(..) => refuse_operator("IN"),
        Condition::Exists(_) => refuse_operator("attribute_exists"),
        Condition::NotExists(_) => refuse_operator("attribute_not_exists"),
        Condition::HasType(..) => refuse_operator("attribute_type"),
        Condition::Contains(..) => refuse_operator("contains"),
    }
}

/// Either side may be the attribute.
fn comparison(
    comparator: Comparator,
    left: Operand,
    right: Operand,
) -> Result<(String, SortCondition), ApiError> {
    let (comparator, path, value) = match (left, right) {
        (Operand::Path(path), Operand::Value(value)) => (comparator, path, value),
        (Operand::Value(value), Operand::Path(path)) => (mirrored(comparator), path, value),
        (Operand::Path(_), Operand::Path(_)) => return refuse_many_attributes(),
        (Operand::Value(_), Operand::Value(_)) => return refuse_no_attribute(),
        (Operand::Size(_), _) | (_, Operand::Size(_)) => return refuse_operator("size"),
    };
    let value = value.to_vec();
    let condition = match comparator {
        Comparator::Equal => SortCondition::Equal(value),
        Comparator::NotEqual => return refuse_operator(comparator.sign()),
        Comparator::Less => SortCondition::Less(value),
        Comparator::LessOrEqual => SortCondition::LessOrEqual(value),
        Comparator::Greater => SortCondition::Greater(value),
        Comparator::GreaterOrEqual => SortCondition::GreaterOrEqual(value),
    };
    Ok((attribute(path)?, condition))
}

/// The comparator with its sides exchanged.
fn mirrored(comparator: Comparator) -> Comparator {
    match comparator {
        Comparator::Less => Comparator::Greater,
        Comparator::LessOrEqual => Comparator::GreaterOrEqual,
        Comparator::Greater => Comparator::Less,
        Comparator::GreaterOrEqual => Comparator::LessOrEqual,
        same => same,
    }
}

fn attribute_first<const N: usize>(
    operator: &str,
    first: Operand,
    others: [Operand; N],
) -> Result<(String, [Vec<u8>; N]), ApiError> {
    let is_path = |operand: &Operand| matches!(operand, Operand::Path(_));
    let is_size = |operand: &Operand| matches!(operand, Operand::Size(_));
    if is_size(&first) || others.iter().any(is_size) {
        return refuse_operator("size");
    }
    match (first, others.iter().any(is_path)) {
        (Operand::Path(_), true) => refuse_many_attributes(),
        (Operand::Path(path), false) => Ok((attribute(path)?, others.map(value_of))),
        (_, true) => {
            let rule = "operator must have the key attribute as its first operand";
            refuse(&format!("Invalid condition in KeyConditionExpression: {operator} {rule}"))
        }
        (_, false) => refuse_no_attribute(),
    }
}

fn value_of(operand: Operand) -> Vec<u8> {
    match operand {
        Operand::Value(value) => value.to_vec(),
        Operand::Path(_) | Operand::Size(_) => unreachable!("refused before"),
    }
}

fn attribute(mut path: Path) -> Result<String, ApiError> {
    match (path.0.pop(), path.0.is_empty()) {
        (Some(Segment::Name(name)), true) => Ok(name),
        _ => refuse("KeyConditionExpressions cannot have conditions on nested attributes"),
    }
}

/// The key condition that conditions on attributes amount to, of which no two name the same attribute.
pub(super) fn select(
    mut found: Vec<(String, SortCondition)>,
    schema: &KeySchema,
) -> Result<KeyCondition, ApiError> {
    if !(1..=2).contains(&found.len()) {
        return refuse("Conditions can be of length 1 or 2 only");
    }
    let partition = take(&mut found, &schema.partition)?;
    let SortCondition::Equal(partition) = partition else {
        return refuse(NOT_SUPPORTED);
    };
    check_value(&schema.partition, &partition, true)?;
    if found.is_empty() {
        return Ok(KeyCondition { partition, sort: None });
    }
    let Some(sort_key) = &schema.sort else {
        return refuse(NOT_SUPPORTED);
    };
    let sort = take(&mut found, sort_key)?;
    for value in sort.values() {
        check_value(sort_key, value, false)?;
    }
    Ok(KeyCondition { partition, sort: Some(sort) })
}

pub(super) const NOT_SUPPORTED: &str = "Query key condition not supported";

fn take(found: &mut Vec<(String, SortCondition)>, key: &KeyAttribute) -> Result<SortCondition, ApiError> {
    let Some(index) = found.iter().position(|(name, _)| *name == key.name) else {
        return refuse(&format!("Query condition missed key schema element: {}", key.name));
    };
    Ok(found.swap_remove(index).1)
}

fn check_value(key: &KeyAttribute, encoded: &[u8], is_partition: bool) -> Result<(), ApiError> {
    let value = ValueRef::trusted(encoded);
    if value.type_name() != key.kind.name() {
        let problem = "Condition parameter type does not match schema type";
        return refuse(&format!("One or more parameter values were invalid: {problem}"));
    }
    let (bytes, type_word) = match value {
        ValueRef::S(text) => (text.len(), "string"),
        ValueRef::B(bytes) => (bytes.len(), "binary"),
        _ => return Ok(()),
    };
    if bytes == 0 {
        let problem = "One or more parameter values are not valid. The AttributeValue for a key attribute";
        return refuse(&format!("{problem} cannot contain an empty {type_word} value. Key: {}", key.name));
    }
    match is_partition {
        true if bytes > PARTITION_KEY_BYTES_MAX => refuse(&format!(
            "One or more parameter values were invalid: \
             Size of hashkey has exceeded the maximum size limit of{PARTITION_KEY_BYTES_MAX} bytes"
        )),
        false if bytes > SORT_KEY_BYTES_MAX => refuse(&format!(
            "One or more parameter values were invalid: \
             Aggregated size of all range keys has exceeded the size limit of {SORT_KEY_BYTES_MAX} bytes"
        )),
        _ => Ok(()),
    }
}

impl SortCondition {
    /// The encoded values of the condition: one, or two for `Between`.
    pub fn values(&self) -> impl Iterator<Item = &[u8]> {
        let (first, second) = match self {
            SortCondition::Equal(value)
            | SortCondition::Less(value)
            | SortCondition::LessOrEqual(value)
            | SortCondition::Greater(value)
            | SortCondition::GreaterOrEqual(value)
            | SortCondition::BeginsWith(value) => (value, None),
            SortCondition::Between(lower, upper) => (lower, Some(upper)),
        };
        std::iter::once(first).chain(second).map(Vec::as_slice)
    }

    /// The same as bounds for [`crate::key::partition_range`].
    pub fn bounds(&self) -> SortBounds<'_> {
        match self {
            SortCondition::Equal(value) => SortBounds::Equal(ValueRef::trusted(value)),
            SortCondition::Less(value) => SortBounds::Less(ValueRef::trusted(value)),
            SortCondition::LessOrEqual(value) => SortBounds::LessOrEqual(ValueRef::trusted(value)),
            SortCondition::Greater(value) => SortBounds::Greater(ValueRef::trusted(value)),
            SortCondition::GreaterOrEqual(value) => SortBounds::GreaterOrEqual(ValueRef::trusted(value)),
            SortCondition::BeginsWith(value) => SortBounds::BeginsWith(ValueRef::trusted(value)),
            SortCondition::Between(lower, upper) => {
                SortBounds::Between(ValueRef::trusted(lower), ValueRef::trusted(upper))
            }
        }
    }
}

impl KeyCondition {
    /// The condition on the sort key as bounds for [`crate::key::partition_range`].
    pub fn bounds(&self) -> SortBounds<'_> {
        self.sort.as_ref().map_or(SortBounds::All, SortCondition::bounds)
    }
}

fn refuse<T>(message: &str) -> Result<T, ApiError> {
    Err(ApiError::validation(message))
}

fn refuse_operator<T>(operator: &str) -> Result<T, ApiError> {
    refuse(&format!("Invalid operator used in KeyConditionExpression: {operator}"))
}

fn refuse_many_attributes<T>() -> Result<T, ApiError> {
    let problem = "multiple attribute names used in one condition";
    refuse(&format!("Invalid condition in KeyConditionExpression: {problem}"))
}

fn refuse_no_attribute<T>() -> Result<T, ApiError> {
    refuse("Invalid condition in KeyConditionExpression: No key attribute specified")
}

#[cfg(test)]
mod tests;
