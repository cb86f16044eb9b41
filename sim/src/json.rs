//! What DynamoDB's API answers, as a client reads it: JSON, and the attributes of items in it.

/// A value.
pub use serde_json::Value as Json;

/// Reads one value that is all of `text`.
pub fn read(text: &str) -> Option<Json> {
    serde_json::from_str(text).ok()
}

/// The elements of a list; none of anything else.
pub fn list(value: Option<&Json>) -> &[Json] {
    value.and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// An item's attributes.
pub trait Attributes {
    /// The string attribute of this name.
    fn s(&self, name: &str) -> Option<&str>;

    /// The number attribute of this name.
    fn n(&self, name: &str) -> Option<u64>;
}

impl Attributes for Json {
    fn s(&self, name: &str) -> Option<&str> {
        self.get(name)?.get("S")?.as_str()
    }

    fn n(&self, name: &str) -> Option<u64> {
        self.get(name)?.get("N")?.as_str()?.parse().ok()
    }
}
