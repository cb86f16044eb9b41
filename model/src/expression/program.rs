//! Programs.
use super::*;
use crate::{
    error::ApiError,
    item::{Corrupt, ItemRef},
    key::KeySchema,
};

impl Condition {
    /// The program, for [`ConditionProgram`].
    pub fn encode(&self) -> Vec<u8> {
        todo!()
    }
    /// Refuses a filter that names a key attribute, as Query does.
    pub fn refuse_key_attributes(&self, schema: &KeySchema) -> Result<(), ApiError> {
        let _ = schema;
        todo!()
    }
}
impl Update {
    /// The program, for [`UpdateProgram`].
    pub fn encode(&self) -> Vec<u8> {
        todo!()
    }
    /// Refuses an update of a key attribute.
    pub fn refuse_key_attributes(&self, schema: &KeySchema) -> Result<(), ApiError> {
        let _ = schema;
        todo!()
    }
}
impl Projection {
    /// The program, for [`ProjectionProgram`].
    pub fn encode(&self) -> Vec<u8> {
        todo!()
    }
}

/// A checked condition or filter.
#[derive(Clone, Copy, Debug)]
pub struct ConditionProgram<'p>(pub(super) &'p [u8]);
/// A checked update.
#[derive(Clone, Copy, Debug)]
pub struct UpdateProgram<'p>(pub(super) &'p [u8]);
/// A checked projection.
#[derive(Clone, Copy, Debug)]
pub struct ProjectionProgram<'p>(pub(super) &'p [u8]);

impl<'p> ConditionProgram<'p> {
    /// Validates untrusted bytes.
    pub fn check(bytes: &'p [u8]) -> Result<Self, Corrupt> {
        let _ = bytes;
        todo!()
    }
    /// Whether the item (or its absence) fulfils the condition. Needs no error: what does not fit is false.
    pub fn eval(self, item: Option<ItemRef<'_>>) -> bool {
        let _ = (self.0, item);
        todo!()
    }
}
impl<'p> UpdateProgram<'p> {
    /// Validates untrusted bytes.
    pub fn check(bytes: &'p [u8]) -> Result<Self, Corrupt> {
        let _ = bytes;
        todo!()
    }
    /// The item after the update. All operands are read from the old item, or from nothing; `key_item` holds the
    /// key's attributes, which a new item begins with.
    pub fn apply(self, old: Option<ItemRef<'_>>, key_item: ItemRef<'_>) -> Result<Updated<'p>, ApiError> {
        let _ = (self.0, old, key_item);
        todo!()
    }
}
impl<'p> ProjectionProgram<'p> {
    /// Validates untrusted bytes.
    pub fn check(bytes: &'p [u8]) -> Result<Self, Corrupt> {
        let _ = bytes;
        todo!()
    }
    /// An item of what lies at the paths; what is missing is left out, lists close up.
    pub fn project(self, item: ItemRef<'_>) -> Vec<u8> {
        let _ = (self.0, item);
        todo!()
    }
}
