//! JSON beside another reader of it, and what is written must be read as it was; items there and back.

use model::item::{ItemBuilder, ItemRef};
use router::json::attribute::{AttributeReader, write_item};
use router::json::{Kind, Malformed, Reader, writer};
use serde::de::IgnoredAny;
use serde_json::Value;

/// Nesting of a value that our reader takes for certain.
const DEPTH: usize = 90;

/// The bytes as JSON, and as an item in DynamoDB's notation.
pub fn run(data: &[u8]) {
    let ours = print(data);
    let theirs = serde_json::from_slice::<Value>(data);
    match (&ours, &theirs) {
        (Ok(printed), _) => check_printed(data, printed),
        (Err(malformed), Ok(value)) => {
            assert!(depth(value) > DEPTH, "refused at {}: {value}", malformed.offset);
        }
        (Err(malformed), Err(_)) => assert!(malformed.offset <= data.len()),
    }
    let skipped = Reader::over(data).and_then(|mut reader| reader.skip().and_then(|()| reader.end()));
    assert_eq!(skipped.is_ok(), ours.is_ok(), "skipping takes what reading takes");
    check_item(data);
}

fn check_printed(data: &[u8], printed: &[u8]) {
    serde_json::from_slice::<IgnoredAny>(data).expect("what we take is JSON");
    assert_eq!(print(printed).as_deref(), Ok(printed), "what is printed is printed again as it is");
    // A number that is too large for a float is JSON, and no `Value`.
    if let Ok(value) = serde_json::from_slice::<Value>(data) {
        let again: Value = serde_json::from_slice(printed).expect("what is printed is JSON");
        assert_eq!(again, value, "nothing is changed on the way");
    }
}

/// Reads all of it and writes it without white space.
fn print(data: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut reader = Reader::over(data)?;
    let mut out = Vec::new();
    echo(&mut reader, &mut out)?;
    reader.end()?;
    Ok(out)
}

fn echo(reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    match reader.peek()? {
        Kind::Null => {
            reader.null()?;
            out.extend_from_slice(b"null");
        }
        Kind::True | Kind::False => writer::boolean(out, reader.boolean()?),
        Kind::Number => out.extend_from_slice(reader.number()?.as_bytes()),
        Kind::String => writer::string(out, &reader.string()?),
        Kind::Array => {
            reader.begin_array()?;
            out.push(b'[');
            let mut comma = false;
            while reader.next_element()? {
                if std::mem::replace(&mut comma, true) {
                    out.push(b',');
                }
                echo(reader, out)?;
            }
            out.push(b']');
        }
        Kind::Object => {
            reader.begin_object()?;
            out.push(b'{');
            let mut comma = false;
            while let Some(key) = reader.next_key()? {
                if std::mem::replace(&mut comma, true) {
                    out.push(b',');
                }
                writer::string(out, &key);
                out.push(b':');
                echo(reader, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(elements) => 1 + elements.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn check_item(data: &[u8]) {
    let Some(item) = read_item(data) else { return };
    ItemRef::check(&item).expect("what is built passes the check");
    let mut written = Vec::new();
    write_item(&mut written, ItemRef::trusted(&item));
    serde_json::from_slice::<IgnoredAny>(&written).expect("what is written is JSON");
    assert_eq!(read_item(&written), Some(item), "an item comes back as it was");
}

fn read_item(data: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::over(data).ok()?;
    if reader.peek().ok()? != Kind::Object {
        return None;
    }
    AttributeReader::new(&mut ItemBuilder::new()).item(&mut reader).ok()?.ok()
}
