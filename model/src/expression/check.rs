//! Checks.
use super::*;
use crate::{error::ApiError, key::KeySchema};

/// Parses a `ConditionExpression` or `FilterExpression` (`kind` says which).
pub fn parse_condition(
    kind: ExpressionKind,
    text: &str,
    placeholders: &mut Placeholders<'_>,
) -> Result<Condition, ApiError> {
    let _ = (kind, text, placeholders);
    todo!()
}

/// Parses an `UpdateExpression`.
pub fn parse_update(text: &str, placeholders: &mut Placeholders<'_>) -> Result<Update, ApiError> {
    let _ = (text, placeholders);
    todo!()
}

/// Parses a `ProjectionExpression`.
pub fn parse_projection(text: &str, placeholders: &mut Placeholders<'_>) -> Result<Projection, ApiError> {
    let _ = (text, placeholders);
    todo!()
}

/// Parses a `KeyConditionExpression` against the schema of the table or index.
pub fn parse_key_condition(
    text: &str,
    placeholders: &mut Placeholders<'_>,
    schema: &KeySchema,
) -> Result<KeyCondition, ApiError> {
    let _ = (text, placeholders, schema);
    todo!()
}
