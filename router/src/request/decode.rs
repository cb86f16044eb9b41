//! One pass over a body, led by the shape of its operation's input.
//!
//! 1. Each member's JSON type is checked as it comes: the first that is wrong ends the request, in DynamoDB's words.
//! 2. A null member is one that is absent. A member that comes twice: the last one wins.
//! 3. Items, keys and values are encoded on the way; what is wrong inside them is kept for later.
//! 4. Everything else becomes a small [`Value`], which borrows its strings from the body where it can.
//!
//! Leaves to others: lengths and ranges (`constraint`), and what a parameter means (`operation`).

use std::borrow::Cow;

use model::error::ApiError;
use model::item::ItemBuilder;

use super::shape::{Map, Shape, Structure};
use crate::json::attribute::{ATTRIBUTE_CLASS, AttributeReader, Encoded, Failure, boolean, mismatch, string};
use crate::json::{Kind, Reader};

/// A member's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Not given, or null.
    Absent,
    /// A string.
    Text(Cow<'a, str>),
    /// A whole number.
    Integer(i64),
    /// A boolean.
    Boolean(bool),
    /// Members, in the order of the shape.
    Structure(Vec<Value<'a>>),
    /// Elements.
    List(Vec<Value<'a>>),
    /// Keys with values, in order of keys, no key twice.
    Map(Vec<(Cow<'a, str>, Value<'a>)>),
    /// One encoded value.
    Attribute(Encoded),
    /// One encoded item or key.
    Item(Encoded),
}

/// The members of a structure, to be taken one by one.
#[derive(Clone, Debug)]
pub struct Parameters<'a> {
    shape: &'static Structure,
    values: Vec<Value<'a>>,
}

impl<'a> Parameters<'a> {
    /// Reads a whole body. The error is a SerializationException.
    pub fn decode(
        body: &'a [u8],
        shape: &'static Structure,
        builder: &mut ItemBuilder,
    ) -> Result<Parameters<'a>, ApiError> {
        decode(body, shape, builder).map_err(|Failure(error)| error)
    }

    /// The members of a structure that was a member.
    pub fn of(shape: &'static Structure, values: Vec<Value<'a>>) -> Parameters<'a> {
        assert_eq!(shape.members.len(), values.len(), "a value for each member");
        Parameters { shape, values }
    }

    /// Its shape.
    pub fn shape(&self) -> &'static Structure {
        self.shape
    }

    /// All values, in the order of the shape.
    pub fn values(&self) -> &[Value<'a>] {
        &self.values
    }

    /// Looks at a member, which the shape must have.
    pub fn get(&self, name: &str) -> &Value<'a> {
        &self.values[self.index(name)]
    }

    /// Whether a member is there.
    pub fn has(&self, name: &str) -> bool {
        !matches!(self.get(name), Value::Absent)
    }

    /// Takes a member; from now on it is absent.
    pub fn take(&mut self, name: &str) -> Value<'a> {
        let index = self.index(name);
        std::mem::replace(&mut self.values[index], Value::Absent)
    }

    /// Takes a string.
    pub fn text(&mut self, name: &str) -> Option<Cow<'a, str>> {
        match self.take(name) {
            Value::Absent => None,
            Value::Text(text) => Some(text),
            other => panic!("{name} is a string in its table, not {other:?}"),
        }
    }

    /// Takes a whole number.
    pub fn integer(&mut self, name: &str) -> Option<i64> {
        match self.take(name) {
            Value::Absent => None,
            Value::Integer(number) => Some(number),
            other => panic!("{name} is a number in its table, not {other:?}"),
        }
    }

    /// Takes a boolean.
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        match self.take(name) {
            Value::Absent => None,
            Value::Boolean(value) => Some(value),
            other => panic!("{name} is a boolean in its table, not {other:?}"),
        }
    }

    /// Takes an item or a key.
    pub fn item(&mut self, name: &str) -> Option<Encoded> {
        match self.take(name) {
            Value::Absent => None,
            Value::Item(item) => Some(item),
            other => panic!("{name} is an item in its table, not {other:?}"),
        }
    }

    /// Takes one value.
    pub fn attribute(&mut self, name: &str) -> Option<Encoded> {
        match self.take(name) {
            Value::Absent => None,
            Value::Attribute(value) => Some(value),
            other => panic!("{name} is a value in its table, not {other:?}"),
        }
    }

    /// Takes a list.
    pub fn list(&mut self, name: &str) -> Option<Vec<Value<'a>>> {
        match self.take(name) {
            Value::Absent => None,
            Value::List(elements) => Some(elements),
            other => panic!("{name} is a list in its table, not {other:?}"),
        }
    }

    /// Takes a map.
    pub fn map(&mut self, name: &str) -> Option<Vec<(Cow<'a, str>, Value<'a>)>> {
        match self.take(name) {
            Value::Absent => None,
            Value::Map(entries) => Some(entries),
            other => panic!("{name} is a map in its table, not {other:?}"),
        }
    }

    /// Takes a structure.
    pub fn structure(&mut self, name: &str) -> Option<Parameters<'a>> {
        let shape = self.shape.members[self.index(name)].shape;
        self.take(name).into_structure(shape)
    }

    /// Refuses what nobody has taken: a parameter that torc knows and does not have yet.
    pub fn finish(self) -> Result<(), ApiError> {
        let left = self.values.iter().position(|value| !matches!(value, Value::Absent));
        match left {
            None => Ok(()),
            Some(index) => Err(not_supported(self.shape.members[index].name)),
        }
    }

    fn index(&self, name: &str) -> usize {
        let found = self.shape.members.iter().position(|member| member.name == name);
        found.unwrap_or_else(|| panic!("{} has no member {name}", self.shape.name))
    }
}

/// The exception for what is part of the API and not of torc yet.
pub fn not_supported(what: &str) -> ApiError {
    ApiError::validation(format!("torc does not support {what} yet"))
}

impl<'a> Value<'a> {
    /// The members, if the value is a structure of this shape.
    pub fn into_structure(self, shape: &'static Shape) -> Option<Parameters<'a>> {
        match (self, shape) {
            (Value::Absent, _) => None,
            (Value::Structure(values), Shape::Structure(structure)) => {
                Some(Parameters::of(structure, values))
            }
            (other, _) => panic!("a structure in its table, not {other:?}"),
        }
    }
}

fn decode<'a>(
    body: &'a [u8],
    shape: &'static Structure,
    builder: &mut ItemBuilder,
) -> Result<Parameters<'a>, Failure> {
    let mut decoder = Decoder { reader: Reader::over(body)?, builder };
    match decoder.reader.peek()? {
        Kind::Object => (),
        Kind::Array => return Err(collection(shape.name).into()),
        _ => return Err(decoder.reader.malformed().into()),
    }
    let values = decoder.structure(shape)?;
    decoder.reader.end()?;
    Ok(Parameters { shape, values })
}

struct Decoder<'a, 'b> {
    reader: Reader<'a>,
    builder: &'b mut ItemBuilder,
}

/// Whether a value is a structure's member, or an element or a map's value: messages differ.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    Member,
    Element,
}

impl<'a> Decoder<'a, '_> {
    /// Members up to the closing brace. The recursion is as deep as the tables are.
    fn structure(&mut self, shape: &'static Structure) -> Result<Vec<Value<'a>>, Failure> {
        self.reader.begin_object()?;
        let mut values = Vec::with_capacity(shape.members.len());
        values.resize_with(shape.members.len(), || Value::Absent);
        while let Some(name) = self.reader.next_key()? {
            match shape.members.iter().position(|member| member.name == name) {
                Some(index) => values[index] = self.value(shape.members[index].shape, Position::Member)?,
                None => self.reader.skip()?,
            }
        }
        Ok(values)
    }

    fn value(&mut self, shape: &'static Shape, position: Position) -> Result<Value<'a>, Failure> {
        let kind = self.reader.peek()?;
        if kind == Kind::Null && !matches!(shape, Shape::Attribute) {
            self.reader.null()?;
            return Ok(Value::Absent);
        }
        match shape {
            Shape::Text(_) | Shape::TableName => Ok(Value::Text(string(&mut self.reader)?)),
            Shape::Boolean => Ok(Value::Boolean(boolean(&mut self.reader)?)),
            Shape::Integer(integer) => self.integer(integer.class, kind),
            Shape::Structure(structure) => match kind {
                Kind::Object => Ok(Value::Structure(self.structure(structure)?)),
                Kind::Array => Err(collection(structure.name).into()),
                _ if position == Position::Element => Err(mismatch::error(mismatch::VALUE).into()),
                _ => Err(mismatch::error(mismatch::FIELD).into()),
            },
            Shape::List(element, _) if kind == Kind::Array => self.list(element),
            Shape::List(..) => Err(mismatch::list(kind).into()),
            Shape::Map(map) if kind == Kind::Object => self.map(map),
            Shape::Map(map) => Err(mismatch::map(&class_of(map.value), kind).into()),
            Shape::Item if kind == Kind::Object => {
                Ok(Value::Item(AttributeReader::new(self.builder).item(&mut self.reader)?))
            }
            Shape::Item => Err(mismatch::map(ATTRIBUTE_CLASS, kind).into()),
            Shape::Attribute => self.attribute(kind, position),
        }
    }

    fn attribute(&mut self, kind: Kind, position: Position) -> Result<Value<'a>, Failure> {
        match (kind, position) {
            (Kind::Null, Position::Member) => {
                self.reader.null()?;
                Ok(Value::Absent)
            }
            (Kind::Object | Kind::Array | Kind::Null, _) | (_, Position::Element) => {
                Ok(Value::Attribute(AttributeReader::new(self.builder).standalone(&mut self.reader)?))
            }
            _ => Err(mismatch::error(mismatch::FIELD).into()),
        }
    }

    /// A fraction is cut off, and what does not fit is moved to the nearest that does, as Java does it.
    fn integer(&mut self, class: &str, kind: Kind) -> Result<Value<'a>, Failure> {
        if kind != Kind::Number {
            return Err(mismatch::scalar(class, kind, "").into());
        }
        let text = self.reader.number()?;
        let number = text.parse::<i64>().unwrap_or_else(|_| float_to_integer(text));
        let (min, max) = if class == "Integer" {
            (i64::from(i32::MIN), i64::from(i32::MAX))
        } else {
            (i64::MIN, i64::MAX)
        };
        Ok(Value::Integer(number.clamp(min, max)))
    }

    fn list(&mut self, element: &'static Shape) -> Result<Value<'a>, Failure> {
        self.reader.begin_array()?;
        let mut elements = Vec::new();
        while self.reader.next_element()? {
            elements.push(self.value(element, Position::Element)?);
        }
        Ok(Value::List(elements))
    }

    fn map(&mut self, map: &'static Map) -> Result<Value<'a>, Failure> {
        self.reader.begin_object()?;
        let mut entries = Vec::new();
        while let Some(key) = self.reader.next_key()? {
            let value = self.value(map.value, Position::Element)?;
            entries.push((key, value));
        }
        Ok(Value::Map(last_of_each(entries)))
    }
}

/// Sorts by key and keeps the last of those that are equal.
fn last_of_each<'a>(mut entries: Vec<(Cow<'a, str>, Value<'a>)>) -> Vec<(Cow<'a, str>, Value<'a>)> {
    entries.sort_by(|left, right| left.0.cmp(&right.0));
    entries.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        if same {
            std::mem::swap(&mut later.1, &mut earlier.1);
        }
        same
    });
    entries
}

fn float_to_integer(text: &str) -> i64 {
    // A cast from f64 truncates and saturates, which is the rule wanted here.
    text.parse::<f64>().map_or(0, |number| number as i64)
}

fn collection(name: &str) -> ApiError {
    mismatch::error(format!("Unrecognized collection type class com.amazonaws.dynamodb.v20120810.{name}"))
}

/// The Java class of a map's values, as messages name it.
fn class_of(shape: &Shape) -> String {
    match shape {
        Shape::Structure(structure) => format!("com.amazonaws.dynamodb.v20120810.{}", structure.name),
        Shape::List(element, _) => format!("java.util.List<{}>", class_of(element)),
        Shape::Attribute => ATTRIBUTE_CLASS.to_owned(),
        _ => "java.lang.String".to_owned(),
    }
}

#[cfg(test)]
mod tests;
