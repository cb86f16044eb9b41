//! For the tests of expressions: values written down in one line, and the other way round.
//!
//! ```text
//! {a: 1, b: 'text', c: b'bytes', d: [true, null], e: <1, 2>, f: <'x'>, g: <b'x'>}
//! ```
//!
//! A map is written with bare names, a set in angle brackets.

use super::Placeholders;
use crate::{
    error::ApiError,
    item::{ItemRef, Value},
    key::{KeyAttribute, KeySchema, KeyType},
    number::Number,
};
use std::collections::BTreeMap;

/// Reads a value.
pub(crate) fn value(text: &str) -> Value {
    let mut reader = Reader { rest: text };
    let value = reader.value();
    assert_eq!(reader.rest.trim(), "", "{text}");
    value
}

/// Reads a map as an item's bytes.
pub(crate) fn item(text: &str) -> Vec<u8> {
    Value::encode_item(&attributes(text))
}

/// Reads a map.
pub(crate) fn attributes(text: &str) -> BTreeMap<String, Value> {
    match value(text) {
        Value::M(attributes) => attributes,
        other => panic!("{other:?} is no item"),
    }
}

/// Writes an item.
pub(crate) fn show_item(item: &[u8]) -> String {
    show(&Value::M(Value::attributes(ItemRef::check(item).expect("items are whole"))))
}

/// Writes a value.
pub(crate) fn show(value: &Value) -> String {
    fn join(parts: impl Iterator<Item = String>) -> String {
        parts.collect::<Vec<_>>().join(", ")
    }
    let bytes = |bytes: &Vec<u8>| format!("b'{}'", String::from_utf8_lossy(bytes));
    match value {
        Value::S(text) => format!("'{text}'"),
        Value::N(number) => number.to_string(),
        Value::B(binary) => bytes(binary),
        Value::Bool(value) => value.to_string(),
        Value::Null => "null".to_string(),
        Value::M(map) => {
            format!("{{{}}}", join(map.iter().map(|(name, value)| format!("{name}: {}", show(value)))))
        }
        Value::L(list) => format!("[{}]", join(list.iter().map(show))),
        Value::Ss(set) => format!("<{}>", join(set.iter().map(|text| format!("'{text}'")))),
        Value::Ns(set) => format!("<{}>", join(set.iter().map(Number::to_string))),
        Value::Bs(set) => format!("<{}>", join(set.iter().map(bytes))),
    }
}

/// Parses with these values (a map; `v: 1` is `:v`) and names: `#x` stands for `x`, whatever `x` is, and `#dot` for `a.b`.
pub(crate) fn with_values<T>(
    values: &str,
    parse: impl FnOnce(&mut Placeholders<'_>) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    const NAMES: [&str; 12] =
        ["#a", "#b", "#c", "#d", "#n", "#pk", "#sk", "#size", "#name", "#set", "#x", "#status"];
    let values: Vec<(String, Vec<u8>)> =
        attributes(values).into_iter().map(|(name, value)| (format!(":{name}"), value.encode())).collect();
    let mut placeholders = Placeholders::new();
    let names = NAMES.iter().map(|alias| (*alias, &alias[1..])).chain([("#dot", "a.b")]);
    placeholders.set_names(names)?;
    if !values.is_empty() {
        placeholders.set_values(values.iter().map(|(name, value)| (name.as_str(), value.as_slice())))?;
    }
    parse(&mut placeholders)
}

/// `pk`, a string, and `sk`, a number.
pub(crate) fn schema() -> KeySchema {
    let key = |name: &str, kind| KeyAttribute { name: name.to_string(), kind };
    KeySchema { partition: key("pk", KeyType::S), sort: Some(key("sk", KeyType::N)) }
}

struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    fn value(&mut self) -> Value {
        match self.peek() {
            '{' => Value::M(self.sequence('{', '}', Self::entry).into_iter().collect()),
            '[' => Value::L(self.sequence('[', ']', Self::value)),
            '<' => set(self.sequence('<', '>', Self::value)),
            '\'' => Value::S(self.quoted().to_string()),
            _ if self.rest.starts_with("b'") => {
                self.rest = &self.rest[1..];
                Value::B(self.quoted().as_bytes().to_vec())
            }
            _ => match self.word() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                number => Value::N(Number::parse(number).expect("a number")),
            },
        }
    }

    fn entry(&mut self) -> (String, Value) {
        let (name, rest) = self.rest.split_once(':').expect("a name and a value");
        self.rest = rest;
        (name.trim().to_string(), self.value())
    }

    fn sequence<T>(&mut self, open: char, close: char, one: fn(&mut Self) -> T) -> Vec<T> {
        self.expect(open);
        let mut items = Vec::new();
        while self.peek() != close {
            items.push(one(self));
            if self.peek() == ',' {
                self.expect(',');
            }
        }
        self.expect(close);
        items
    }

    fn quoted(&mut self) -> &'t str {
        self.expect('\'');
        let (text, rest) = self.rest.split_once('\'').expect("a closing quote");
        self.rest = rest;
        text
    }

    fn word(&mut self) -> &'t str {
        let end = self.rest.find([',', '}', ']', '>', ' ']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn peek(&mut self) -> char {
        self.rest = self.rest.trim_start();
        self.rest.chars().next().expect("more text")
    }

    fn expect(&mut self, sign: char) {
        assert_eq!(self.peek(), sign, "before {}", self.rest);
        self.rest = &self.rest[sign.len_utf8()..];
    }
}

fn set(elements: Vec<Value>) -> Value {
    match elements[0] {
        Value::S(_) => Value::Ss(elements.into_iter().map(|element| expect_s(&element)).collect()),
        Value::N(_) => Value::Ns(elements.into_iter().map(|element| expect_n(&element)).collect()),
        _ => Value::Bs(elements.into_iter().map(|element| expect_b(&element)).collect()),
    }
}

fn expect_s(value: &Value) -> String {
    if let Value::S(text) = value { text.clone() } else { panic!("{value:?} in a string set") }
}

fn expect_n(value: &Value) -> Number {
    if let Value::N(number) = value { *number } else { panic!("{value:?} in a number set") }
}

fn expect_b(value: &Value) -> Vec<u8> {
    if let Value::B(bytes) = value { bytes.clone() } else { panic!("{value:?} in a binary set") }
}
