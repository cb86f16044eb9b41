//! What a key is made of, and the checks that items and requests must pass, with DynamoDB's messages.

use crate::{
    error::ApiError,
    item::{ItemBuilder, ItemRef, ValueRef},
    limits::{PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX},
};

/// Type of a key attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// String.
    S,
    /// Number.
    N,
    /// Binary.
    B,
}

/// One attribute of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAttribute {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: KeyType,
}

/// What a table's (or index's) key is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySchema {
    /// HASH.
    pub partition: KeyAttribute,
    /// RANGE.
    pub sort: Option<KeyAttribute>,
}

/// The values of an item's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyValues<'a> {
    /// The partition key.
    pub partition: ValueRef<'a>,
    /// The sort key, if the schema has one.
    pub sort: Option<ValueRef<'a>>,
}

impl KeyType {
    /// `S`, `N` or `B`.
    pub fn name(self) -> &'static str {
        match self {
            KeyType::S => "S",
            KeyType::N => "N",
            KeyType::B => "B",
        }
    }

    /// The reverse of `name`.
    pub fn from_name(name: &str) -> Option<KeyType> {
        [KeyType::S, KeyType::N, KeyType::B].into_iter().find(|kind| kind.name() == name)
    }
}

impl KeySchema {
    /// The key's attributes, partition key first.
    pub fn attributes(&self) -> impl Iterator<Item = &KeyAttribute> {
        std::iter::once(&self.partition).chain(&self.sort)
    }

    /// Whether this attribute belongs to the key.
    pub fn has(&self, name: &str) -> bool {
        self.attributes().any(|attribute| attribute.name == name)
    }
}

/// The key of an item that is to be put: there, of the schema's types, not empty, not too long.
pub fn key_of_item<'a>(schema: &KeySchema, item: ItemRef<'a>) -> Result<KeyValues<'a>, ApiError> {
    key_values(schema, |attribute, is_partition| {
        let Some(value) = item.get(&attribute.name) else {
            return Err(invalid(format!("Missing the key {} in the item", attribute.name)));
        };
        check_key_value(attribute, is_partition, value)?;
        Ok(value)
    })
}

/// The key that a request gave as its `Key`: exactly the schema's attributes, not empty, not too long.
pub fn key_of_request<'a>(schema: &KeySchema, key: ItemRef<'a>) -> Result<KeyValues<'a>, ApiError> {
    let mismatch = || ApiError::validation("The provided key element does not match the schema");
    if key.len() != schema.attributes().count() {
        return Err(mismatch());
    }
    key_values(schema, |attribute, is_partition| {
        let value = key.get(&attribute.name).ok_or_else(mismatch)?;
        if value.type_name() != attribute.kind.name() {
            return Err(mismatch());
        }
        check_key_value(attribute, is_partition, value)?;
        Ok(value)
    })
}

/// One value against its key attribute: type, emptiness, size, in this order.
pub fn check_key_value(
    attribute: &KeyAttribute,
    is_partition: bool,
    value: ValueRef<'_>,
) -> Result<(), ApiError> {
    let (name, expected, actual) = (&attribute.name, attribute.kind.name(), value.type_name());
    if expected != actual {
        return Err(invalid(format!("Type mismatch for key {name} expected: {expected} actual: {actual}")));
    }
    let (length, type_word) = match value {
        ValueRef::S(text) => (text.len(), "string"),
        ValueRef::B(bytes) => (bytes.len(), "binary"),
        _ => return Ok(()),
    };
    if length == 0 {
        return Err(ApiError::validation(format!(
            "One or more parameter values are not valid. \
             The AttributeValue for a key attribute cannot contain an empty {type_word} value. Key: {name}"
        )));
    }
    if is_partition && length > PARTITION_KEY_BYTES_MAX {
        // DynamoDB has no blank before the number.
        return Err(invalid("Size of hashkey has exceeded the maximum size limit of2048 bytes".to_owned()));
    }
    if !is_partition && length > SORT_KEY_BYTES_MAX {
        return Err(invalid(
            "Aggregated size of all range keys has exceeded the size limit of 1024 bytes".to_owned(),
        ));
    }
    Ok(())
}

/// The item that holds only the key's attributes (LastEvaluatedKey, Keys of a stream record).
pub fn key_item(schema: &KeySchema, key: KeyValues<'_>) -> Vec<u8> {
    let mut builder = ItemBuilder::new();
    builder.begin_item();
    let values = std::iter::once(key.partition).chain(key.sort);
    for (attribute, value) in schema.attributes().zip(values) {
        builder.name(&attribute.name);
        builder.value(value).expect("a key's value has no levels");
    }
    builder.finish()
}

fn key_values<'a>(
    schema: &KeySchema,
    mut value: impl FnMut(&KeyAttribute, bool) -> Result<ValueRef<'a>, ApiError>,
) -> Result<KeyValues<'a>, ApiError> {
    let partition = value(&schema.partition, true)?;
    let sort = schema.sort.as_ref().map(|attribute| value(attribute, false)).transpose()?;
    Ok(KeyValues { partition, sort })
}

fn invalid(what: String) -> ApiError {
    ApiError::validation(format!("One or more parameter values were invalid: {what}"))
}
