//! Expressions of a request, their names and values, and the older parameters that they replaced.
//!
//! DynamoDB's order: old and new are not mixed; names and values stand beside an expression; each value is one; then the
//! expressions are parsed, and at last every name and value must have been used.

use std::borrow::Cow;

use model::error::ApiError;
use model::expression::{
    Condition, ExpressionCache, ExpressionKind, Placeholders, Projection, Update, legacy, parse_condition,
    parse_projection, parse_update,
};
use model::key::KeySchema;

use crate::json::attribute::Encoded;
use crate::request::shape::Shape;
use crate::request::{Parameters, Value, tables};

/// Which parameters of an operation are expressions, and which are of the older kind.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) expressions: &'static [&'static str],
    /// The expressions that values can stand in.
    pub(crate) with_values: &'static [&'static str],
    pub(crate) legacy: &'static [&'static str],
}

/// Placeholders with their encoded values.
type Values<'a> = Vec<(Cow<'a, str>, Vec<u8>)>;

/// `ExpressionAttributeNames` and `ExpressionAttributeValues`.
#[derive(Debug)]
pub(crate) struct Given<'a> {
    names: Option<Vec<(Cow<'a, str>, Value<'a>)>>,
    values: Option<Values<'a>>,
}

impl<'a> Given<'a> {
    /// Takes names and values, and refuses what does not go together.
    pub(crate) fn take(parameters: &mut Parameters<'a>, rules: &Rules) -> Result<Given<'a>, ApiError> {
        let expressions = present(parameters, rules.expressions);
        let legacy = present(parameters, rules.legacy);
        if !expressions.is_empty() && !legacy.is_empty() {
            return Err(mixed(&legacy, &expressions));
        }
        let names = parameters.map("ExpressionAttributeNames");
        if names.is_some() && expressions.is_empty() {
            let message = "ExpressionAttributeNames can only be specified when using expressions";
            return Err(ApiError::validation(message));
        }
        let values = match rules.with_values {
            [] => None,
            with_values => take_values(parameters, with_values)?,
        };
        Ok(Given { names, values })
    }

    /// For the parsers; refuses keys that are no placeholders.
    pub(crate) fn placeholders<'p>(
        &'p self,
        cache: &'p ExpressionCache,
    ) -> Result<Placeholders<'p>, ApiError> {
        let mut placeholders = Placeholders::with_cache(cache);
        if let Some(names) = &self.names {
            placeholders.set_names(names.iter().map(|(key, name)| (&**key, as_text(name))))?;
        }
        if let Some(values) = &self.values {
            placeholders.set_values(values.iter().map(|(key, value)| (&**key, value.as_slice())))?;
        }
        Ok(placeholders)
    }
}

fn take_values<'a>(
    parameters: &mut Parameters<'a>,
    with_values: &[&'static str],
) -> Result<Option<Values<'a>>, ApiError> {
    let Some(entries) = parameters.map("ExpressionAttributeValues") else { return Ok(None) };
    if present(parameters, with_values).is_empty() {
        let verb = if with_values.len() == 1 { "is" } else { "are" };
        let list = with_values.join(" and ");
        return Err(ApiError::validation(format!(
            "ExpressionAttributeValues can only be specified when using expressions: {list} {verb} null"
        )));
    }
    let values = entries.into_iter().map(|(key, value)| match into_attribute(value) {
        Ok(value) => Ok((key, value)),
        Err(error) => {
            let why = error.message;
            let message = format!("ExpressionAttributeValues contains invalid value: {why} for key {key}");
            Err(ApiError::validation(message))
        }
    });
    values.collect::<Result<Vec<_>, _>>().map(Some)
}

fn present(parameters: &Parameters<'_>, names: &[&'static str]) -> Vec<&'static str> {
    names.iter().copied().filter(|name| parameters.has(name)).collect()
}

fn mixed(legacy: &[&str], expressions: &[&str]) -> ApiError {
    let (legacy, expressions) = (legacy.join(", "), expressions.join(", "));
    ApiError::validation(format!(
        "Can not use both expression and non-expression parameters in the same request: \
         Non-expression parameters: {{{legacy}}} Expression parameters: {{{expressions}}}"
    ))
}

/// A write's condition, of either kind.
pub(crate) fn take_condition(
    parameters: &mut Parameters<'_>,
    placeholders: &mut Placeholders<'_>,
) -> Result<Option<Condition>, ApiError> {
    if let Some(text) = parameters.text("ConditionExpression") {
        return parse_condition(ExpressionKind::Condition, &text, placeholders).map(Some);
    }
    let operator = take_operator(parameters);
    let entries = parameters.map("Expected").unwrap_or_default();
    let entries = entries.into_iter().map(|(attribute, value)| Expectation::from(attribute, value));
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    let borrowed: Vec<_> = entries.iter().map(Expectation::borrowed).collect();
    legacy::expected(&borrowed, operator)
}

/// A read's filter, and the older parameter that it came from, if it did.
#[derive(Debug, Default)]
pub(crate) struct Filter<'a> {
    pub(crate) condition: Option<Condition>,
    old: Vec<OldCondition<'a>>,
}

impl<'a> Filter<'a> {
    /// Takes the filter, of either kind; `old` names the older one.
    pub(crate) fn take(
        parameters: &mut Parameters<'a>,
        placeholders: &mut Placeholders<'_>,
        old: &str,
    ) -> Result<Filter<'a>, ApiError> {
        if let Some(text) = parameters.text("FilterExpression") {
            let condition = parse_condition(ExpressionKind::Filter, &text, placeholders)?;
            return Ok(Filter { condition: Some(condition), old: Vec::new() });
        }
        let operator = take_operator(parameters);
        let old = take_conditions(parameters, old)?.unwrap_or_default();
        Ok(Filter { condition: legacy::filter(&borrowed(&old), operator)?, old })
    }

    /// Refuses a key attribute in it, as Query does.
    pub(crate) fn refuse_key_attributes(&self, schema: &KeySchema) -> Result<(), ApiError> {
        match &self.condition {
            Some(condition) if self.old.is_empty() => condition.refuse_key_attributes(schema),
            _ => legacy::refuse_key_attributes(&borrowed(&self.old), schema),
        }
    }
}

/// A read's projection, of either kind.
pub(crate) fn take_projection(
    parameters: &mut Parameters<'_>,
    placeholders: &mut Placeholders<'_>,
) -> Result<Option<Projection>, ApiError> {
    if let Some(text) = parameters.text("ProjectionExpression") {
        return parse_projection(&text, placeholders).map(Some);
    }
    let Some(names) = parameters.list("AttributesToGet") else { return Ok(None) };
    let names: Vec<&str> = names.iter().map(as_text).collect();
    legacy::attributes_to_get(&names).map(Some)
}

/// An update, of either kind.
pub(crate) fn take_update(
    parameters: &mut Parameters<'_>,
    placeholders: &mut Placeholders<'_>,
) -> Result<Option<Update>, ApiError> {
    if let Some(text) = parameters.text("UpdateExpression") {
        return parse_update(&text, placeholders).map(Some);
    }
    let Some(entries) = parameters.map("AttributeUpdates") else { return Ok(None) };
    let mut owned = Vec::with_capacity(entries.len());
    for (attribute, value) in entries {
        let mut members = members_of(value, &tables::ATTRIBUTE_VALUE_UPDATE);
        let action = members.text("Action").map(|name| match &*name {
            "ADD" => legacy::UpdateAction::Add,
            "DELETE" => legacy::UpdateAction::Delete,
            _ => legacy::UpdateAction::Put,
        });
        owned.push((attribute, action, members.attribute("Value").transpose()?));
    }
    let entries: Vec<_> = owned
        .iter()
        .map(|(attribute, action, value)| legacy::AttributeUpdate {
            attribute,
            action: *action,
            value: value.as_deref(),
        })
        .collect();
    legacy::attribute_updates(&entries).map(Some)
}

/// An entry of a map of conditions, owned.
#[derive(Debug)]
pub(crate) struct OldCondition<'a> {
    attribute: Cow<'a, str>,
    operator: legacy::ComparisonOperator,
    values: Vec<Vec<u8>>,
}

/// `KeyConditions`, `QueryFilter` or `ScanFilter`.
pub(crate) fn take_conditions<'a>(
    parameters: &mut Parameters<'a>,
    name: &str,
) -> Result<Option<Vec<OldCondition<'a>>>, ApiError> {
    let Some(entries) = parameters.map(name) else { return Ok(None) };
    let entries = entries.into_iter().map(|(attribute, value)| {
        let mut members = members_of(value, &tables::CONDITION);
        let operator = take_comparison(&mut members).expect("a required member");
        let values = take_value_list(&mut members)?.unwrap_or_default();
        Ok(OldCondition { attribute, operator, values })
    });
    entries.collect::<Result<Vec<_>, _>>().map(Some)
}

/// As the compiler of the older parameters takes them.
pub(crate) fn borrowed<'c>(entries: &'c [OldCondition<'_>]) -> Vec<legacy::LegacyCondition<'c>> {
    let borrow = |entry: &'c OldCondition<'_>| legacy::LegacyCondition {
        attribute: &entry.attribute,
        operator: entry.operator,
        values: entry.values.iter().map(Vec::as_slice).collect(),
    };
    entries.iter().map(borrow).collect()
}

/// An entry of `Expected`, owned.
struct Expectation<'a> {
    attribute: Cow<'a, str>,
    value: Option<Vec<u8>>,
    exists: Option<bool>,
    operator: Option<legacy::ComparisonOperator>,
    values: Option<Vec<Vec<u8>>>,
}

impl<'a> Expectation<'a> {
    fn from(attribute: Cow<'a, str>, value: Value<'a>) -> Result<Expectation<'a>, ApiError> {
        let mut members = members_of(value, &tables::EXPECTED_ATTRIBUTE_VALUE);
        Ok(Expectation {
            attribute,
            value: members.attribute("Value").transpose()?,
            exists: members.boolean("Exists"),
            operator: take_comparison(&mut members),
            values: take_value_list(&mut members)?,
        })
    }

    fn borrowed(&self) -> legacy::Expected<'_> {
        legacy::Expected {
            attribute: &self.attribute,
            value: self.value.as_deref(),
            exists: self.exists,
            operator: self.operator,
            values: self.values.as_ref().map(|values| values.iter().map(Vec::as_slice).collect()),
        }
    }
}

fn take_operator(parameters: &mut Parameters<'_>) -> Option<legacy::ConditionalOperator> {
    parameters.text("ConditionalOperator").map(|name| match &*name {
        "OR" => legacy::ConditionalOperator::Or,
        _ => legacy::ConditionalOperator::And,
    })
}

fn take_comparison(members: &mut Parameters<'_>) -> Option<legacy::ComparisonOperator> {
    let name = members.text("ComparisonOperator")?;
    let operator = legacy::ComparisonOperator::from_name(&name);
    Some(operator.expect("the constraints let no other operator pass"))
}

fn take_value_list(members: &mut Parameters<'_>) -> Result<Option<Vec<Vec<u8>>>, ApiError> {
    let Some(values) = members.list("AttributeValueList") else { return Ok(None) };
    values.into_iter().map(into_attribute).collect::<Encodeds>().map(Some)
}

type Encodeds = Result<Vec<Vec<u8>>, ApiError>;

fn into_attribute(value: Value<'_>) -> Encoded {
    match value {
        Value::Attribute(encoded) => encoded,
        other => panic!("a value in its table, not {other:?}"),
    }
}

fn as_text<'v>(value: &'v Value<'_>) -> &'v str {
    match value {
        Value::Text(text) => text,
        other => panic!("a string in its table, not {other:?}"),
    }
}

/// The members of a map's entry.
fn members_of<'a>(value: Value<'a>, shape: &'static Shape) -> Parameters<'a> {
    value.into_structure(shape).expect("the constraints let no entry be null")
}
