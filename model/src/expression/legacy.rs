//! The parameters from before the expression languages, compiled to the same trees.
//!
//! The router reads the JSON into these plain structs (and answers unknown names of operators); values are encoded value bytes.

use super::{Condition, KeyCondition, Projection, Update};
use crate::{error::ApiError, key::KeySchema};

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
    let _ = (entries, operator);
    todo!()
}

/// `QueryFilter` or `ScanFilter` with its `ConditionalOperator`. None: no filter.
pub fn filter(
    entries: &[LegacyCondition<'_>],
    operator: Option<ConditionalOperator>,
) -> Result<Option<Condition>, ApiError> {
    let _ = (entries, operator);
    todo!()
}

/// `KeyConditions` against the schema of the table or index.
pub fn key_conditions(entries: &[LegacyCondition<'_>], schema: &KeySchema) -> Result<KeyCondition, ApiError> {
    let _ = (entries, schema);
    todo!()
}

/// `AttributeUpdates`.
pub fn attribute_updates(entries: &[AttributeUpdate<'_>]) -> Result<Update, ApiError> {
    let _ = entries;
    todo!()
}

/// `AttributesToGet`.
pub fn attributes_to_get(names: &[&str]) -> Result<Projection, ApiError> {
    let _ = names;
    todo!()
}
