//! The items that the benchmarks share: what people put into such tables.

use std::fmt::Write;

use model::item::{ItemBuilder, ItemRef};

/// An item in DynamoDB's JSON, with its name.
pub struct Sample {
    pub name: &'static str,
    pub json: String,
}

/// Three shapes: one long string, a record of ten fields, and nested things.
pub fn samples() -> Vec<Sample> {
    vec![
        Sample { name: "1 string of 1 KiB", json: one_string(1000) },
        Sample { name: "10 fields of 100 bytes", json: fields(10, 100) },
        Sample { name: "nested, 1 KiB", json: nested(8) },
    ]
}

fn one_string(size: usize) -> String {
    format!(r#"{{"pk":{{"S":"k0000000000000042"}},"v":{{"N":"7"}},"d":{{"S":"{}"}}}}"#, letters(size, 1))
}

fn fields(count: usize, size: usize) -> String {
    let mut json = r#"{"pk":{"S":"k0000000000000042"}"#.to_owned();
    for index in 0..count {
        write!(json, r#","field{index}":{{"S":"{}"}}"#, letters(size, index))
            .expect("a String takes everything");
    }
    json + "}"
}

/// Orders with lines: lists of maps, numbers, booleans, sets.
fn nested(lines: usize) -> String {
    let mut json =
        r#"{"pk":{"S":"customer#4711"},"sk":{"S":"order#2026-11-22"},"paid":{"BOOL":true},"#.to_owned();
    json += r#""tags":{"SS":["express","gift","fragile"]},"note":{"NULL":true},"lines":{"L":["#;
    for index in 0..lines {
        let comma = if index == 0 { "" } else { "," };
        write!(
            json,
            r#"{comma}{{"M":{{"sku":{{"S":"{}"}},"count":{{"N":"{}"}},"price":{{"N":"{}.{:02}"}},"size":{{"M":{{"w":{{"N":"10"}},"h":{{"N":"20"}}}}}}}}}}"#,
            letters(12, index),
            index + 1,
            100 + index,
            index * 7 % 100,
        )
        .expect("a String takes everything");
    }
    json + "]}}"
}

fn letters(size: usize, seed: usize) -> String {
    let letter = |index: usize| char::from(b'a' + ((index * 7 + seed * 13 + index / 26) % 26) as u8);
    (0..size).map(letter).collect()
}

/// The item of `json`, encoded.
pub fn encode(json: &str) -> Vec<u8> {
    let mut builder = ItemBuilder::new();
    let mut reader = router::json::Reader::new(json);
    let read = router::json::attribute::AttributeReader::new(&mut builder).item(&mut reader);
    let bytes = read.expect("JSON").expect("an item");
    ItemRef::check(&bytes).expect("what was encoded is sound");
    bytes
}
