//! DynamoDB's notation of values: `{"S": "x"}`, `{"L": [{"N": "1"}]}`, in and out.
//!
//! ```text
//! Reader --AttributeReader--> ItemBuilder --> encoded item      one pass, no tree
//! ItemRef --write_item--> the response's body
//! ```
//!
//! Two kinds of mistakes meet here, and DynamoDB tells them at different times. A value of the wrong JSON type ends
//! the request at once (SerializationException). A value that is well-typed and still none (`{}`, `{"N": "x"}`, a set with
//! duplicates) is told only after the request's other parameters were checked: it is kept, what follows is checked
//! for its types and no longer built, and the first of them is the result.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::error::{ApiError, Code};
use model::item::{ItemBuilder, ItemError, ItemRef, MapRef, SetKind, SetRef, ValueRef, string_bytes};
use model::number::NumberRef;

use super::reader::{Kind, Malformed, Reader};
use super::writer;

const EMPTY: &str = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes";
const MORE_THAN_ONE: &str = "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes";
const NOT_TRUE: &str =
    "One or more parameter values were invalid: Null attribute value types must have the value of true";
const NULL_ELEMENT: &str =
    "One or more parameter values were invalid: An string set may not have a null string as a member";

/// Bytes of the signs around a name and its string.
const ROOM_FOR_SIGNS: usize = 16;

/// What DynamoDB says where the JSON type is not the member's.
pub mod mismatch {
    use super::{ApiError, Code, Kind};

    /// An object where none belongs.
    pub const STRUCTURE: &str = "Start of structure or map found where not expected";
    /// A scalar where a member of a structure is a list, a map or a structure.
    pub const FIELD: &str = "Unexpected field type";
    /// A scalar where an element or a map's value is a structure.
    pub const VALUE: &str = "Unexpected value type in payload";

    /// The exception with these words.
    pub fn error(message: impl Into<String>) -> ApiError {
        ApiError::new(Code::Serialization, message)
    }

    /// Another kind where a `class` of `java.lang` (String, Integer, Long, Boolean) belongs.
    pub fn scalar(class: &str, kind: Kind, number: &str) -> ApiError {
        let decimal = number.contains(['.', 'e', 'E']);
        let word = match kind {
            Kind::Object => return error(STRUCTURE),
            Kind::Array => return error(format!("Unrecognized collection type class java.lang.{class}")),
            Kind::String if class == "Boolean" => return error("Unexpected token received from parser"),
            Kind::String => "STRING_VALUE",
            Kind::Number if decimal => "DECIMAL_VALUE",
            Kind::Number => "NUMBER_VALUE",
            Kind::True => "TRUE_VALUE",
            Kind::False => "FALSE_VALUE",
            Kind::Null => "NULL_VALUE",
        };
        error(format!("{word} cannot be converted to {class}"))
    }

    /// Another kind where bytes belong.
    pub fn blob(kind: Kind) -> ApiError {
        match kind {
            Kind::Object => error(STRUCTURE),
            Kind::Array => error("Unrecognized collection type class java.nio.ByteBuffer"),
            _ => error("only base-64-encoded strings are convertible to bytes"),
        }
    }

    /// Another kind where a list belongs.
    pub fn list(kind: Kind) -> ApiError {
        error(if kind == Kind::Object { STRUCTURE } else { FIELD })
    }

    /// Another kind where a map with values of `class` belongs.
    pub fn map(class: &str, kind: Kind) -> ApiError {
        match kind {
            Kind::Array => {
                error(format!("Unrecognized collection type java.util.Map<java.lang.String, {class}>"))
            }
            _ => error(FIELD),
        }
    }
}

/// The Java class of values, as messages name it.
pub const ATTRIBUTE_CLASS: &str = "com.amazonaws.dynamodb.v20120810.AttributeValue";

/// DynamoDB says nothing more about a body that is not JSON.
impl From<Malformed> for Failure {
    fn from(_: Malformed) -> Failure {
        Failure(ApiError::new(Code::Serialization, ""))
    }
}

/// The request ends with this: a SerializationException.
#[derive(Debug)]
pub struct Failure(pub ApiError);

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Failure {
        Failure(error)
    }
}

/// Bytes that were read, or why they are no value: told later.
pub type Encoded = Result<Vec<u8>, ApiError>;

/// Reads values into a builder, as long as they are values.
#[derive(Debug)]
pub struct AttributeReader<'b> {
    builder: &'b mut ItemBuilder,
    wrong: Option<ApiError>,
}

impl<'b> AttributeReader<'b> {
    /// Reads with this builder, whose buffers are used again.
    pub fn new(builder: &'b mut ItemBuilder) -> AttributeReader<'b> {
        AttributeReader { builder, wrong: None }
    }

    /// Reads a map from names to values: an item or a key. The reader stands before its brace.
    pub fn item(mut self, reader: &mut Reader<'_>) -> Result<Encoded, Failure> {
        self.builder.begin_item();
        reader.begin_object()?;
        self.members(reader)?;
        Ok(self.finish())
    }

    /// Reads one value. The reader stands before its brace.
    pub fn standalone(mut self, reader: &mut Reader<'_>) -> Result<Encoded, Failure> {
        self.builder.begin_value();
        self.value(reader)?;
        Ok(self.finish())
    }

    fn finish(self) -> Encoded {
        match self.wrong {
            None => Ok(self.builder.finish()),
            Some(wrong) => Err(wrong),
        }
    }

    /// Names and values up to the closing brace.
    fn members(&mut self, reader: &mut Reader<'_>) -> Result<(), Failure> {
        while let Some(name) = reader.next_key()? {
            self.build(|builder| {
                builder.name(&name);
                Ok(())
            });
            self.value(reader)?;
        }
        Ok(())
    }

    /// One value: an object with one member that names its type. Unknown members and null ones are passed over.
    fn value(&mut self, reader: &mut Reader<'_>) -> Result<(), Failure> {
        match reader.tagged_string(b"SN") {
            Some((b'S', text)) => self.build(|builder| builder.string(text)),
            Some((_, text)) => self.build(|builder| builder.number(text)),
            None => return self.any_value(reader),
        }
        Ok(())
    }

    fn any_value(&mut self, reader: &mut Reader<'_>) -> Result<(), Failure> {
        match reader.peek()? {
            Kind::Object => reader.begin_object()?,
            Kind::Null => {
                reader.null()?;
                self.fail(EMPTY);
                return Ok(());
            }
            Kind::Array => {
                let message = format!("Unrecognized collection type class {ATTRIBUTE_CLASS}");
                return Err(mismatch::error(message).into());
            }
            _ => return Err(mismatch::error(mismatch::VALUE).into()),
        }
        let mut types = 0;
        while let Some(name) = reader.next_key()? {
            if reader.peek()? == Kind::Null {
                reader.null()?;
                continue;
            }
            if types > 0 && is_type(&name) {
                self.fail(MORE_THAN_ONE);
            }
            types += usize::from(self.typed(&name, reader)?);
        }
        if types == 0 {
            self.fail(EMPTY);
        }
        Ok(())
    }

    /// The value of member `name`; false if there is no such type.
    fn typed(&mut self, name: &str, reader: &mut Reader<'_>) -> Result<bool, Failure> {
        match name {
            "S" => {
                let text = string(reader)?;
                self.build(|builder| builder.string(&text));
            }
            "N" => {
                let text = string(reader)?;
                self.build(|builder| builder.number(&text));
            }
            "B" => self.binary(reader)?,
            "BOOL" => {
                let value = boolean(reader)?;
                self.build(|builder| {
                    builder.bool(value);
                    Ok(())
                });
            }
            "NULL" => self.null(reader)?,
            "M" => self.map(reader)?,
            "L" => self.list(reader)?,
            "SS" => self.set(SetKind::Ss, reader)?,
            "NS" => self.set(SetKind::Ns, reader)?,
            "BS" => self.set(SetKind::Bs, reader)?,
            _ => {
                reader.skip()?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn null(&mut self, reader: &mut Reader<'_>) -> Result<(), Failure> {
        if !boolean(reader)? {
            self.fail(NOT_TRUE);
        }
        self.build(|builder| {
            builder.null();
            Ok(())
        });
        Ok(())
    }

    fn map(&mut self, reader: &mut Reader<'_>) -> Result<(), Failure> {
        match reader.peek()? {
            Kind::Object => reader.begin_object()?,
            other => return Err(mismatch::map(ATTRIBUTE_CLASS, other).into()),
        }
        self.build(|builder| builder.begin_map());
        self.members(reader)?;
        self.build(|builder| {
            builder.end_map();
            Ok(())
        });
        Ok(())
    }

    fn list(&mut self, reader: &mut Reader<'_>) -> Result<(), Failure> {
        begin_list(reader)?;
        self.build(|builder| builder.begin_list());
        while reader.next_element()? {
            self.value(reader)?;
        }
        self.build(|builder| {
            builder.end_list();
            Ok(())
        });
        Ok(())
    }

    fn set(&mut self, kind: SetKind, reader: &mut Reader<'_>) -> Result<(), Failure> {
        begin_list(reader)?;
        self.build(|builder| {
            builder.begin_set(kind);
            Ok(())
        });
        while reader.next_element()? {
            if reader.peek()? == Kind::Null {
                reader.null()?;
                self.fail(NULL_ELEMENT);
                continue;
            }
            match kind {
                SetKind::Bs => self.binary(reader)?,
                SetKind::Ss => {
                    let text = string(reader)?;
                    self.build(|builder| builder.string(&text));
                }
                SetKind::Ns => {
                    let text = string(reader)?;
                    self.build(|builder| builder.number(&text));
                }
            }
        }
        self.build(|builder| builder.end_set());
        Ok(())
    }

    /// Base64, decoded where it will stay.
    fn binary(&mut self, reader: &mut Reader<'_>) -> Result<(), Failure> {
        let text = match reader.peek()? {
            Kind::String => reader.string()?,
            other => return Err(mismatch::blob(other).into()),
        };
        if self.wrong.is_some() {
            return decode_base64(&text, &mut Vec::new()).map_err(Failure);
        }
        match self.builder.binary_with(|out| decode_base64(&text, out).map_err(BinaryError::Base64)) {
            Ok(()) => Ok(()),
            Err(BinaryError::Base64(error)) => Err(Failure(error)),
            Err(BinaryError::Item(error)) => {
                self.wrong = Some(error.into());
                Ok(())
            }
        }
    }

    /// Goes on building, unless something was wrong before.
    fn build(&mut self, step: impl FnOnce(&mut ItemBuilder) -> Result<(), ItemError>) {
        if self.wrong.is_none() {
            self.wrong = step(self.builder).err().map(ApiError::from);
        }
    }

    fn fail(&mut self, message: &str) {
        if self.wrong.is_none() {
            self.wrong = Some(ApiError::validation(message));
        }
    }
}

enum BinaryError {
    Base64(ApiError),
    Item(ItemError),
}

impl From<ItemError> for BinaryError {
    fn from(error: ItemError) -> BinaryError {
        BinaryError::Item(error)
    }
}

fn is_type(name: &str) -> bool {
    matches!(name, "S" | "N" | "B" | "BOOL" | "NULL" | "M" | "L" | "SS" | "NS" | "BS")
}

fn begin_list(reader: &mut Reader<'_>) -> Result<(), Failure> {
    match reader.peek()? {
        Kind::Array => Ok(reader.begin_array()?),
        other => Err(mismatch::list(other).into()),
    }
}

/// A string, where one belongs.
pub fn string<'a>(reader: &mut Reader<'a>) -> Result<std::borrow::Cow<'a, str>, Failure> {
    match reader.peek()? {
        Kind::String => Ok(reader.string()?),
        Kind::Number => {
            let number = reader.number()?;
            Err(mismatch::scalar("String", Kind::Number, number).into())
        }
        other => Err(mismatch::scalar("String", other, "").into()),
    }
}

/// A boolean, where one belongs.
pub fn boolean(reader: &mut Reader<'_>) -> Result<bool, Failure> {
    match reader.peek()? {
        Kind::True | Kind::False => Ok(reader.boolean()?),
        Kind::Number => {
            let number = reader.number()?;
            Err(mismatch::scalar("Boolean", Kind::Number, number).into())
        }
        other => Err(mismatch::scalar("Boolean", other, "").into()),
    }
}

/// Appends what `text` stands for: standard alphabet, padded, nothing in the unused bits.
fn decode_base64(text: &str, out: &mut Vec<u8>) -> Result<(), ApiError> {
    if !text.len().is_multiple_of(4) {
        let message =
            format!("Base64 encoded length is expected a multiple of 4 bytes but found: {}", text.len());
        return Err(mismatch::error(message));
    }
    match STANDARD.decode_vec(text, out) {
        Ok(()) => Ok(()),
        Err(base64::DecodeError::InvalidByte(_, byte)) if byte != b'=' => {
            let character = char::from(byte);
            Err(mismatch::error(format!("Invalid Base64 character: '{character}'")))
        }
        Err(_) => Err(mismatch::error("Invalid last non-pad Base64 character dectected")),
    }
}

/// Appends an item: `{"name": {"S": "x"}, ...}`.
pub fn write_item(out: &mut Vec<u8>, item: ItemRef<'_>) {
    write_map(out, item.as_map());
}

/// Names and strings are copied as the bytes that they are: they were checked to be UTF-8 when they came in.
fn write_map(out: &mut Vec<u8>, map: MapRef<'_>) {
    out.push(b'{');
    let mut attributes = map.iter();
    let mut before: &[u8] = b"\"";
    while let Some((name, value)) = attributes.next_unread() {
        out.reserve(name.len() + value.len() + ROOM_FOR_SIGNS);
        out.extend_from_slice(before);
        writer::content(out, name);
        match string_bytes(value) {
            Some(text) => {
                out.extend_from_slice(b"\":{\"S\":\"");
                writer::content(out, text);
                out.extend_from_slice(b"\"}");
            }
            None => {
                out.extend_from_slice(b"\":");
                write_value(out, ValueRef::trusted(value));
            }
        }
        before = b",\"";
    }
    out.push(b'}');
}

/// Appends a value: `{"S": "x"}`. As deep as the value, which was checked when it came in.
pub fn write_value(out: &mut Vec<u8>, value: ValueRef<'_>) {
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(value.type_name().as_bytes());
    out.extend_from_slice(b"\":");
    match value {
        ValueRef::S(text) => writer::string(out, text),
        ValueRef::N(number) => write_number(out, number),
        ValueRef::B(bytes) => writer::base64(out, bytes),
        ValueRef::Bool(value) => writer::boolean(out, value),
        ValueRef::Null => out.extend_from_slice(b"true"),
        ValueRef::M(map) => write_map(out, map),
        ValueRef::L(list) => write_elements(out, list.iter(), write_value),
        ValueRef::Ss(set) | ValueRef::Ns(set) | ValueRef::Bs(set) => write_set(out, set),
    }
    out.push(b'}');
}

fn write_set(out: &mut Vec<u8>, set: SetRef<'_>) {
    match set.kind() {
        SetKind::Ss => write_elements(out, set.iter(), |out, bytes| {
            writer::string(out, std::str::from_utf8(bytes).expect("an item's strings were checked"));
        }),
        SetKind::Ns => {
            write_elements(out, set.iter(), |out, bytes| write_number(out, NumberRef::trusted(bytes)))
        }
        SetKind::Bs => write_elements(out, set.iter(), writer::base64),
    }
}

fn write_elements<T>(
    out: &mut Vec<u8>,
    elements: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (index, element) in elements.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, element);
    }
    out.push(b']');
}

fn write_number(out: &mut Vec<u8>, number: NumberRef<'_>) {
    out.push(b'"');
    number.write_to(out);
    out.push(b'"');
}

#[cfg(test)]
mod tests;
