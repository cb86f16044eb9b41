//! Lengths, ranges, patterns and words: everything that a request violates is told in one message.
//!
//! "2 validation errors detected: Value 'x' at 'limit' failed to satisfy constraint: Member must have ...; Value ..."
//!
//! Places are named as in the API's Java model: members with a small first letter, `.1.member` for the first element of a
//! list, `.key.member` for the value of a map.

use std::fmt::Write;

use model::error::ApiError;
use model::item::{ItemRef, MapRef, SetKind, SetRef, ValueRef};
use model::limits::{ATTRIBUTE_NAME_BYTES_MAX, TABLE_NAME_BYTES_MAX, TABLE_NAME_BYTES_MIN};

use super::decode::{Parameters, Value};
use super::shape::{Keys, Map, Shape, Sizes, Structure};

/// Violations that one message tells; more are not looked for.
const VIOLATIONS_MAX: usize = 10;
/// Bytes of an ordinary place in a request.
const PATH_BYTES: usize = 64;
/// Bytes of a value that a message repeats.
const SHOWN_BYTES_MAX: usize = 4096;
/// What a table's name may be made of, as messages write it.
const NAME_PATTERN: &str = "[a-zA-Z0-9_.-]+";
/// Bytes of a table's ARN.
const ARN_BYTES_MAX: usize = 1024;

/// The exception for all that `parameters` violates, if anything.
pub fn check(parameters: &Parameters<'_>) -> Result<(), ApiError> {
    let about_a_table = ["CreateTableInput", "DescribeTableInput", "UpdateTableInput", "DeleteTableInput"];
    let length_first = about_a_table.contains(&parameters.shape().name);
    let mut found = Violations { list: Vec::new(), path: String::with_capacity(PATH_BYTES), length_first };
    found.structure(parameters.shape(), parameters.values());
    let count = found.list.len();
    if count == 0 {
        return Ok(());
    }
    let plural = if count == 1 { "" } else { "s" };
    let list = found.list.join("; ");
    Err(ApiError::validation(format!("{count} validation error{plural} detected: {list}")))
}

struct Violations {
    list: Vec<String>,
    path: String,
    /// Whether the length of a table's name is told before its letters: DynamoDB does that where a table itself is meant.
    length_first: bool,
}

impl Violations {
    fn structure(&mut self, shape: &'static Structure, values: &[Value<'_>]) {
        for (member, value) in shape.members.iter().zip(values) {
            if matches!(value, Value::Absent) && !member.required {
                continue;
            }
            let outer = self.path.len();
            if outer > 0 {
                self.path.push('.');
            }
            push_small(&mut self.path, member.name);
            match value {
                Value::Absent => self.add("null".to_owned(), "Member must not be null"),
                value => self.value(member.shape, value),
            }
            self.path.truncate(outer);
        }
    }

    fn value(&mut self, shape: &'static Shape, value: &Value<'_>) {
        if self.list.len() == VIOLATIONS_MAX {
            return;
        }
        match (shape, value) {
            (Shape::Text(text), Value::Text(given)) => {
                if !text.words.is_empty() && !text.words.contains(&&**given) {
                    let words = text.words.join(", ");
                    self.add_quoted(given, &format!("Member must satisfy enum value set: [{words}]"));
                }
                self.length(given, text.sizes);
                if text.pattern.is_some_and(|pattern| !follows(pattern, given)) {
                    let pattern = text.pattern.expect("just looked at");
                    self.add_quoted(
                        given,
                        &format!("Member must satisfy regular expression pattern: {pattern}"),
                    );
                }
            }
            (Shape::TableName, Value::Text(given)) => self.table_name(given),
            (Shape::Integer(integer), Value::Integer(given)) => {
                if let Some(max) = integer.max.filter(|max| given > max) {
                    self.add(quoted(value), &format!("Member must have value less than or equal to {max}"));
                }
                if let Some(min) = integer.min.filter(|min| given < min) {
                    self.add(
                        quoted(value),
                        &format!("Member must have value greater than or equal to {min}"),
                    );
                }
            }
            (Shape::Structure(structure), Value::Structure(values)) => self.structure(structure, values),
            (Shape::List(element, sizes), Value::List(elements)) => {
                self.list(element, *sizes, value, elements)
            }
            (Shape::Map(map), Value::Map(entries)) => self.map(map, value, entries),
            // Only an item that is longer than a name may be can hold one that is too long.
            (Shape::Item, Value::Item(Ok(item)))
                if item.len() > ATTRIBUTE_NAME_BYTES_MAX
                    && has_long_name(ItemRef::trusted(item).as_map()) =>
            {
                let rule = at_most(ATTRIBUTE_NAME_BYTES_MAX);
                self.add(shown_as(shape, value), &format!("Map keys must satisfy constraint: [{rule}]"));
            }
            _ => (),
        }
    }

    fn length(&mut self, given: &str, sizes: Sizes) {
        let length = given.chars().count();
        if length > sizes.max {
            self.add_quoted(given, &at_most(sizes.max));
        }
        if length < sizes.min {
            self.add_quoted(given, &at_least(sizes.min));
        }
    }

    /// A name, or an ARN that ends in one; whose it is, the operation sees.
    fn table_name(&mut self, given: &str) {
        if given.starts_with("arn:") {
            return self.length(given, Sizes { min: 1, max: ARN_BYTES_MAX });
        }
        let sizes = Sizes { min: TABLE_NAME_BYTES_MIN, max: TABLE_NAME_BYTES_MAX };
        if self.length_first {
            self.length(given, sizes);
        }
        if !is_name_like(given) {
            self.add_quoted(
                given,
                &format!("Member must satisfy regular expression pattern: {NAME_PATTERN}"),
            );
        }
        if !self.length_first {
            self.length(given, sizes);
        }
    }

    fn list(&mut self, element: &'static Shape, sizes: Sizes, whole: &Value<'_>, elements: &[Value<'_>]) {
        if elements.len() > sizes.max {
            self.add(shown_as(&Shape::List(element, sizes), whole), &at_most(sizes.max));
        }
        if elements.len() < sizes.min {
            self.add(shown_as(&Shape::List(element, sizes), whole), &at_least(sizes.min));
        }
        for (index, value) in elements.iter().enumerate() {
            let outer = self.path.len();
            write!(self.path, ".{}.member", index + 1).expect("a String takes every text");
            self.element(element, value);
            self.path.truncate(outer);
        }
    }

    fn element(&mut self, shape: &'static Shape, value: &Value<'_>) {
        match value {
            Value::Absent => self.add("null".to_owned(), "Member must not be null"),
            value => self.value(shape, value),
        }
    }

    fn map(
        &mut self,
        map: &'static Map,
        whole: &Value<'_>,
        entries: &[(std::borrow::Cow<'_, str>, Value<'_>)],
    ) {
        let show =
            || shown_as(&Shape::Map(Map { keys: map.keys, value: map.value, sizes: map.sizes }), whole);
        if entries.len() > map.sizes.max {
            self.add(show(), &at_most(map.sizes.max));
        }
        if entries.len() < map.sizes.min {
            self.add(show(), &at_least(map.sizes.min));
        }
        if let Some(rules) = entries.iter().find_map(|(key, _)| broken_key_rules(map.keys, key)) {
            self.add(show(), &format!("Map keys must satisfy constraint: [{rules}]"));
        }
        if let Shape::List(_, sizes) = map.value {
            let outside = |value: &Value<'_>| match value {
                Value::List(elements) => elements.len() < sizes.min || elements.len() > sizes.max,
                _ => false,
            };
            if entries.iter().any(|(_, value)| outside(value)) {
                let rules = format!("{}, {}", at_most(sizes.max), at_least(sizes.min));
                self.add(show(), &format!("Map value must satisfy constraint: [{rules}]"));
                return;
            }
        }
        for (key, value) in entries {
            let outer = self.path.len();
            self.path.push('.');
            self.path.push_str(clip(key));
            self.path.push_str(".member");
            self.element(map.value, value);
            self.path.truncate(outer);
        }
    }

    fn add_quoted(&mut self, given: &str, rule: &str) {
        self.add(format!("'{}'", clip(given)), rule);
    }

    fn add(&mut self, shown: String, rule: &str) {
        if self.list.len() < VIOLATIONS_MAX {
            let path = &self.path;
            self.list.push(format!("Value {shown} at '{path}' failed to satisfy constraint: {rule}"));
        }
    }
}

/// As deep as the item, which is bounded.
fn has_long_name(map: MapRef<'_>) -> bool {
    map.iter().any(|(name, value)| name.len() > ATTRIBUTE_NAME_BYTES_MAX || holds_long_name(value))
}

fn holds_long_name(value: ValueRef<'_>) -> bool {
    match value {
        ValueRef::M(map) => has_long_name(map),
        ValueRef::L(list) => list.iter().any(holds_long_name),
        _ => false,
    }
}

fn at_most(size: usize) -> String {
    format!("Member must have length less than or equal to {size}")
}

fn at_least(size: usize) -> String {
    format!("Member must have length greater than or equal to {size}")
}

/// The rules that a map's key breaks, all of them named.
fn broken_key_rules(keys: Keys, key: &str) -> Option<String> {
    match keys {
        Keys::Any => None,
        Keys::Sized(sizes) => {
            let length = key.chars().count();
            let broken = length < sizes.min || length > sizes.max;
            broken.then(|| format!("{}, {}", at_most(sizes.max), at_least(sizes.min)))
        }
        Keys::TableName if key.starts_with("arn:") => None,
        Keys::TableName => {
            let sized = (TABLE_NAME_BYTES_MIN..=TABLE_NAME_BYTES_MAX).contains(&key.len());
            let broken = !sized || !is_name_like(key);
            broken.then(|| {
                let (most, least) = (at_most(TABLE_NAME_BYTES_MAX), at_least(TABLE_NAME_BYTES_MIN));
                format!("{most}, {least}, Member must satisfy regular expression pattern: {NAME_PATTERN}")
            })
        }
    }
}

/// Whether `text` follows one of the patterns that the tables have.
fn follows(pattern: &str, text: &str) -> bool {
    match pattern {
        NAME_PATTERN => is_name_like(text),
        other => panic!("the tables have no pattern {other}"),
    }
}

/// At least one letter, digit, underscore, dot or dash, and nothing else.
pub fn is_name_like(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// `TableName` as messages write it: `tableName`.
fn push_small(out: &mut String, name: &str) {
    let mut characters = name.chars();
    out.extend(characters.next().map(|first| first.to_ascii_lowercase()));
    out.push_str(characters.as_str());
}

fn clip(text: &str) -> &str {
    &text[..text.floor_char_boundary(SHOWN_BYTES_MAX.min(text.len()))]
}

fn quoted(value: &Value<'_>) -> String {
    shown_as(&Shape::Boolean, value)
}

/// A value in quotes, as Java prints it, cut where it gets long.
fn shown_as(shape: &Shape, value: &Value<'_>) -> String {
    let mut text = String::from("'");
    show(&mut text, shape, value);
    text.truncate(text.floor_char_boundary(SHOWN_BYTES_MAX.min(text.len())));
    text.push('\'');
    text
}

fn show(out: &mut String, shape: &Shape, value: &Value<'_>) {
    if out.len() > SHOWN_BYTES_MAX {
        return;
    }
    const FITS: &str = "a String takes every text";
    match (shape, value) {
        (_, Value::Absent) => out.push_str("null"),
        (_, Value::Text(text)) => out.push_str(text),
        (_, Value::Integer(number)) => write!(out, "{number}").expect(FITS),
        (_, Value::Boolean(value)) => write!(out, "{value}").expect(FITS),
        (Shape::List(element, _), Value::List(elements)) => {
            joined(out, "[", "]", elements.iter(), |out, value| show(out, element, value));
        }
        (Shape::Map(map), Value::Map(entries)) => {
            joined(out, "{", "}", entries.iter(), |out, (key, value)| {
                write!(out, "{key}=").expect(FITS);
                show(out, map.value, value);
            });
        }
        (Shape::Structure(structure), Value::Structure(values)) => {
            out.push_str(structure.name);
            joined(out, "(", ")", structure.members.iter().zip(values), |out, (member, value)| {
                push_small(out, member.name);
                out.push('=');
                show(out, member.shape, value);
            });
        }
        (_, Value::Attribute(Ok(encoded))) => show_attribute(out, ValueRef::trusted(encoded)),
        (_, Value::Item(Ok(encoded))) => show_item(out, ItemRef::trusted(encoded)),
        (_, Value::Item(Err(_))) => out.push_str("{}"),
        (_, _) => out.push_str("AttributeValue()"),
    }
}

fn show_item(out: &mut String, item: ItemRef<'_>) {
    joined(out, "{", "}", item.iter(), |out, (name, value)| {
        write!(out, "{name}=").expect("a String takes every text");
        show_attribute(out, value);
    });
}

/// `AttributeValue(s=a, n=null, ...)`: every member, most of them null.
fn show_attribute(out: &mut String, value: ValueRef<'_>) {
    if out.len() > SHOWN_BYTES_MAX {
        return;
    }
    const MEMBERS: [(&str, &str); 10] = [
        ("s", "S"),
        ("n", "N"),
        ("b", "B"),
        ("sS", "SS"),
        ("nS", "NS"),
        ("bS", "BS"),
        ("m", "M"),
        ("l", "L"),
        ("nULL", "NULL"),
        ("bOOL", "BOOL"),
    ];
    out.push_str("AttributeValue");
    joined(out, "(", ")", MEMBERS.iter(), |out, (small, name)| {
        out.push_str(small);
        out.push('=');
        if value.type_name() == *name { show_payload(out, value) } else { out.push_str("null") }
    });
}

fn show_payload(out: &mut String, value: ValueRef<'_>) {
    const FITS: &str = "a String takes every text";
    match value {
        ValueRef::S(text) => out.push_str(text),
        ValueRef::N(number) => write!(out, "{number}").expect(FITS),
        ValueRef::B(bytes) => {
            write!(out, "java.nio.HeapByteBuffer[pos=0 lim={0} cap={0}]", bytes.len()).expect(FITS)
        }
        ValueRef::Bool(value) => write!(out, "{value}").expect(FITS),
        ValueRef::Null => out.push_str("true"),
        ValueRef::M(map) => joined(out, "{", "}", map.iter(), |out, (name, value)| {
            write!(out, "{name}=").expect(FITS);
            show_attribute(out, value);
        }),
        ValueRef::L(list) => joined(out, "[", "]", list.iter(), show_attribute),
        ValueRef::Ss(set) | ValueRef::Ns(set) | ValueRef::Bs(set) => show_set(out, set),
    }
}

fn show_set(out: &mut String, set: SetRef<'_>) {
    joined(out, "[", "]", set.iter(), |out, bytes| match set.kind() {
        SetKind::Ns => {
            write!(out, "{}", model::number::NumberRef::trusted(bytes)).expect("a String takes every text")
        }
        SetKind::Ss | SetKind::Bs => out.push_str(&String::from_utf8_lossy(bytes)),
    });
}

fn joined<T>(
    out: &mut String,
    open: &str,
    close: &str,
    elements: impl Iterator<Item = T>,
    mut show: impl FnMut(&mut String, T),
) {
    out.push_str(open);
    for (index, element) in elements.enumerate() {
        if out.len() > SHOWN_BYTES_MAX {
            return;
        }
        out.push_str(if index > 0 { ", " } else { "" });
        show(out, element);
    }
    out.push_str(close);
}

#[cfg(test)]
mod tests;
