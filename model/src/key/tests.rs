//! Storage keys: the bytes of the format page, DynamoDB's order, its ranges and its messages.

use std::{cmp::Ordering, collections::BTreeMap};

use super::*;
use crate::{
    item::ItemRef,
    number::Number,
    testing::{Chance, draw_bytes, draw_number, draw_text},
};

const TABLE: TableId = TableId(7);

fn attribute(name: &str, kind: KeyType) -> KeyAttribute {
    KeyAttribute { name: name.to_owned(), kind }
}

fn schema(partition: KeyType, sort: Option<KeyType>) -> KeySchema {
    KeySchema { partition: attribute("p", partition), sort: sort.map(|kind| attribute("s", kind)) }
}

fn text(text: &str) -> Value {
    Value::S(text.to_owned())
}

fn number(text: &str) -> Value {
    Value::N(Number::parse(text).expect("a number"))
}

fn key(schema: &KeySchema, partition: &Value, sort: Option<&Value>) -> Vec<u8> {
    let (partition, sort) = (partition.encode(), sort.map(Value::encode));
    let sort = sort.as_deref().map(ValueRef::trusted);
    encode_key(keyspace::ITEMS, TABLE, schema, ValueRef::trusted(&partition), sort)
}

fn draw(chance: &mut Chance, kind: KeyType) -> Value {
    match kind {
        KeyType::S => Value::S(format!("{}{}", draw_text(chance), ["", "\0", "x"][chance.below(3) as usize])),
        KeyType::N => Value::N(draw_number(chance)),
        KeyType::B => Value::B([draw_bytes(chance), vec![0xFF; chance.below(2) as usize]].concat()),
    }
}

fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::S(a), Value::S(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::N(a), Value::N(b)) => a.cmp(b),
        (Value::B(a), Value::B(b)) => a.cmp(b),
        _ => panic!("keys of one type are compared"),
    }
}

const KINDS: [KeyType; 3] = [KeyType::S, KeyType::N, KeyType::B];

#[test]
fn bytes_are_those_of_the_format_page() {
    let page = include_str!("../../../docs/FORMAT.md");
    let told = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ");
    let key = key(&schema(KeyType::S, Some(KeyType::N)), &text("a"), Some(&number("1")));
    let line = [&key[..1], &key[1..5], &key[5..13], &key[13..16], &key[16..]].map(told).join("  ");
    assert!(page.contains(&format!("    {line}\n")), "FORMAT.md should say {line}");
}

#[test]
fn tokens_are_xxh3_of_tag_and_payload() {
    let encoded = text("a").encode();
    assert_eq!(encoded, [1, b'a']);
    assert_eq!(Token::of(ValueRef::trusted(&encoded)).0, xxh3_128(&encoded));
    assert_eq!(Token(1 << 64 | 5).high(), 1);
    let binary = Value::B(vec![b'a']).encode();
    assert_ne!(Token::of(ValueRef::trusted(&encoded)), Token::of(ValueRef::trusted(&binary)));
    let long = Value::B(vec![7; 2048]).encode();
    assert_eq!(Token::of(ValueRef::trusted(&long)).0, xxh3_128(&long));
}

#[test]
fn keys_come_apart_into_what_they_were_made_of() {
    let mut chance = Chance::new(7);
    for round in 0..3_000 {
        let kind = |n: u64| KINDS[(n % 3) as usize];
        let sort_kind = (round % 4 != 0).then(|| kind(round / 3));
        let schema = schema(kind(round), sort_kind);
        let partition = draw(&mut chance, kind(round));
        let sort = sort_kind.map(|kind| draw(&mut chance, kind));
        let bytes = key(&schema, &partition, sort.as_ref());
        let decoded = decode_key(&schema, &bytes).expect("a good key");
        let token_high = Token::of(ValueRef::trusted(&partition.encode())).high();
        assert_eq!(token_high_of_key(&bytes), Some(token_high));
        assert_eq!(
            decoded,
            DecodedKey { keyspace: keyspace::ITEMS, table: TABLE, token_high, partition, sort }
        );
    }
}

#[test]
fn sort_keys_order_as_query_does() {
    let mut chance = Chance::new(8);
    for kind in KINDS {
        let schema = schema(KeyType::S, Some(kind));
        let values: Vec<Value> = (0..200).map(|_| draw(&mut chance, kind)).collect();
        for a in &values {
            for b in &values {
                let (a_key, b_key) = (key(&schema, &text("p"), Some(a)), key(&schema, &text("p"), Some(b)));
                assert_eq!(a_key.cmp(&b_key), order(a, b), "{a:?} {b:?}");
            }
        }
    }
}

#[test]
fn ranges_hold_what_the_condition_says() {
    let mut chance = Chance::new(9);
    let mut hit_count = 0;
    for kind in KINDS {
        let schema = schema(kind, Some(kind));
        let partition = draw(&mut chance, kind);
        let partition_bytes = partition.encode();
        let values: Vec<Value> = (0..60).map(|_| draw(&mut chance, kind)).collect();
        for a in &values {
            for b in &values {
                let (a_bytes, b_bytes) = (a.encode(), b.encode());
                let (low, high) = (ValueRef::trusted(&a_bytes), ValueRef::trusted(&b_bytes));
                let in_range = |bounds: SortBounds<'_>, value: &Value| {
                    let range =
                        partition_range(keyspace::ITEMS, TABLE, ValueRef::trusted(&partition_bytes), bounds);
                    let all = table_range(keyspace::ITEMS, TABLE);
                    assert!(range.is_empty() || all.from <= range.from && range.to <= all.to);
                    range.contains(&key(&schema, &partition, Some(value)))
                };
                let value = &values[chance.below(60) as usize];
                let (to_low, to_high) = (order(value, a), order(value, b));
                assert!(in_range(SortBounds::All, value));
                assert_eq!(in_range(SortBounds::Equal(low), value), to_low.is_eq());
                assert_eq!(in_range(SortBounds::Less(low), value), to_low.is_lt());
                assert_eq!(in_range(SortBounds::LessOrEqual(low), value), to_low.is_le());
                assert_eq!(in_range(SortBounds::Greater(low), value), to_low.is_gt());
                assert_eq!(in_range(SortBounds::GreaterOrEqual(low), value), to_low.is_ge());
                assert_eq!(
                    in_range(SortBounds::Between(low, high), value),
                    to_low.is_ge() && to_high.is_le()
                );
                let begins = match (value, a) {
                    (Value::S(value), Value::S(prefix)) => value.starts_with(prefix.as_str()),
                    (Value::B(value), Value::B(prefix)) => value.starts_with(prefix),
                    _ => continue,
                };
                hit_count += usize::from(begins);
                assert_eq!(in_range(SortBounds::BeginsWith(low), value), begins, "{value:?} {a:?}");
            }
        }
    }
    assert!(hit_count > 50, "some begin so: {hit_count}");
}

#[test]
fn a_partition_is_alone_in_its_range() {
    let mut chance = Chance::new(10);
    for kind in KINDS {
        let schema = schema(kind, Some(KeyType::B));
        let partitions: Vec<Value> = (0..60).map(|_| draw(&mut chance, kind)).collect();
        let sort = Value::B(vec![0xFF, 0]);
        for a in &partitions {
            let encoded = a.encode();
            let range = partition_range(keyspace::ITEMS, TABLE, ValueRef::trusted(&encoded), SortBounds::All);
            for b in &partitions {
                assert_eq!(range.contains(&key(&schema, b, Some(&sort))), a == b, "{a:?} {b:?}");
            }
        }
    }
}

#[test]
fn partition_keys_of_one_token_keep_their_order() {
    // Two keys cannot be made to share a token in a test, but what follows the token can be compared.
    let after_token =
        |text_: &str| key(&schema(KeyType::S, None), &text(text_), None)[PREFIX_LENGTH..].to_vec();
    let ascending = ["\0", "\0\0", "\0\u{1}", "\u{1}", "a", "a\0", "a\0b", "a\u{1}", "aa", "b"];
    assert!(ascending.windows(2).all(|pair| after_token(pair[0]) < after_token(pair[1])));
}

#[test]
fn token_ranges_and_tables_are_contiguous() {
    let bytes = key(&schema(KeyType::S, None), &text("a"), None);
    let high = token_high_of_key(&bytes).expect("a token");
    let range = |from, to| token_range(keyspace::ITEMS, TABLE, from, to);
    assert!(range(high, high).contains(&bytes));
    assert!(range(0, u64::MAX).contains(&bytes) && table_range(keyspace::ITEMS, TABLE).contains(&bytes));
    assert!(!range(0, high - 1).contains(&bytes) && !range(high + 1, u64::MAX).contains(&bytes));
    assert_eq!(range(0, 41).to, range(42, 50).from);
    assert_eq!(table_range(1, TableId(7)).to, vec![1, 0, 0, 0, 8]);
    assert!(!table_range(keyspace::ITEMS, TableId(8)).contains(&bytes));
    assert_eq!(table_range(1, TableId(u32::MAX)).to, vec![2]);
}

#[test]
fn a_page_goes_on_after_its_last_key() {
    let schema = schema(KeyType::S, Some(KeyType::N));
    let at = |sort: &str| key(&schema, &text("p"), Some(&number(sort)));
    let partition = text("p").encode();
    let whole = partition_range(keyspace::ITEMS, TABLE, ValueRef::trusted(&partition), SortBounds::All);
    let forward = whole.clone().after(&at("5"), true);
    assert!(!forward.contains(&at("5")) && forward.contains(&at("5.0001")) && !forward.contains(&at("4")));
    let backward = whole.clone().after(&at("5"), false);
    assert!(!backward.contains(&at("5")) && backward.contains(&at("4.9999")) && !backward.contains(&at("6")));
    // A key from outside the range does not make it larger.
    assert_eq!(whole.clone().after(&[0], true), whole);
    assert_eq!(whole.clone().after(&[0xFF], false), whole);
    assert!(whole.clone().after(&[0xFF], true).is_empty());
}

#[test]
fn damaged_keys_are_refused() {
    let schema_sn = schema(KeyType::S, Some(KeyType::N));
    let good = key(&schema_sn, &text("a\0b"), Some(&number("1")));
    let check = |schema: &KeySchema, bytes: &[u8], what: &str| {
        assert_eq!(decode_key(schema, bytes).expect_err(what).what, what);
    };
    check(&schema_sn, &good[..12], "a key that is too short");
    check(&schema_sn, &good[..14], "a partition key without an end");
    check(&schema_sn, &good[..good.len() - 1], "a key that is no number");
    check(&schema_sn, &[&good[..], &[0]].concat(), "a key that is no number");
    check(&schema(KeyType::S, None), &good, "bytes after the partition key");
    check(&schema(KeyType::N, None), &good, "a partition key that is no number");
    check(&schema(KeyType::B, Some(KeyType::N)), &good, "a token that is not the partition key's");
    let mut wrong = good.clone();
    wrong[6] ^= 1;
    check(&schema_sn, &wrong, "a token that is not the partition key's");
    let mut wrong = good.clone();
    wrong[13] = 0xFF;
    check(&schema_sn, &wrong, "a key that is not UTF-8");
    let mut chance = Chance::new(11);
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        let place = chance.below(bytes.len() as u64) as usize;
        bytes[place] = chance.next() as u8;
        bytes.truncate(good.len() - chance.below(2) as usize);
        if let Ok(decoded) = decode_key(&schema_sn, &bytes) {
            let (partition, sort) =
                (decoded.partition.encode(), decoded.sort.expect("the schema has one").encode());
            let (partition, sort) = (ValueRef::trusted(&partition), ValueRef::trusted(&sort));
            assert_eq!(encode_key(decoded.keyspace, decoded.table, &schema_sn, partition, Some(sort)), bytes);
        }
    }
}

fn item(attributes: &[(&str, Value)]) -> Vec<u8> {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    Value::encode_item(&attributes.collect::<BTreeMap<_, _>>())
}

#[test]
fn items_to_put_must_have_their_key() {
    let check = |attributes: &[(&str, Value)], expected: Result<(), &str>| {
        let item = item(attributes);
        let schema = schema(KeyType::S, Some(KeyType::B));
        let result = key_of_item(&schema, ItemRef::trusted(&item)).map(|_| ()).map_err(|error| error.message);
        assert_eq!(result, expected.map_err(str::to_owned));
    };
    let binary = |length: usize| Value::B(vec![1; length]);
    let long = |length: usize| Value::S("x".repeat(length));
    check(&[("p", text("a")), ("s", binary(1)), ("t", number("1"))], Ok(()));
    check(&[("p", long(2048)), ("s", binary(1024))], Ok(()));
    check(
        &[("s", binary(1))],
        Err("One or more parameter values were invalid: Missing the key p in the item"),
    );
    check(
        &[("p", text("a"))],
        Err("One or more parameter values were invalid: Missing the key s in the item"),
    );
    check(
        &[("p", number("1")), ("s", binary(1))],
        Err("One or more parameter values were invalid: Type mismatch for key p expected: S actual: N"),
    );
    check(
        &[("p", text("a")), ("s", Value::L(vec![]))],
        Err("One or more parameter values were invalid: Type mismatch for key s expected: B actual: L"),
    );
    check(
        &[("p", text("")), ("s", binary(1))],
        Err(
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty \
             string value. Key: p",
        ),
    );
    check(
        &[("p", text("a")), ("s", binary(0))],
        Err(
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty \
             binary value. Key: s",
        ),
    );
    check(
        &[("p", long(2049)), ("s", binary(1))],
        Err(
            "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes",
        ),
    );
    check(
        &[("p", text("a")), ("s", binary(1025))],
        Err(
            "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit \
             of 1024 bytes",
        ),
    );
}

#[test]
fn keys_of_requests_are_the_key_and_nothing_else() {
    let mismatch = "The provided key element does not match the schema";
    let check = |schema: &KeySchema, attributes: &[(&str, Value)], expected: Result<(), &str>| {
        let key = item(attributes);
        let result =
            key_of_request(schema, ItemRef::trusted(&key)).map(|_| ()).map_err(|error| error.message);
        assert_eq!(result, expected.map_err(str::to_owned));
    };
    let both = schema(KeyType::S, Some(KeyType::N));
    check(&both, &[("p", text("a")), ("s", number("1"))], Ok(()));
    check(&both, &[("p", text("a"))], Err(mismatch));
    check(&both, &[("p", text("a")), ("t", number("1"))], Err(mismatch));
    check(&both, &[("p", text("a")), ("s", text("1"))], Err(mismatch));
    check(&both, &[("p", text("a")), ("s", number("1")), ("t", number("1"))], Err(mismatch));
    check(&both, &[], Err(mismatch));
    check(
        &both,
        &[("p", text("")), ("s", number("1"))],
        Err(
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty \
             string value. Key: p",
        ),
    );
    let one = schema(KeyType::N, None);
    check(&one, &[("p", number("1"))], Ok(()));
    check(&one, &[("p", number("1")), ("s", number("1"))], Err(mismatch));
}

#[test]
fn a_key_item_holds_the_key_alone() {
    let schema = schema(KeyType::S, Some(KeyType::N));
    let whole = item(&[("p", text("a")), ("s", number("1")), ("other", Value::Null)]);
    let values = key_of_item(&schema, ItemRef::trusted(&whole)).expect("a key");
    assert_eq!(key_item(&schema, values), item(&[("p", text("a")), ("s", number("1"))]));
    assert!(schema.has("p") && schema.has("s") && !schema.has("other"));
    assert_eq!(KeyType::from_name("B"), Some(KeyType::B));
    assert_eq!(KeyType::from_name("BOOL"), None);
}
