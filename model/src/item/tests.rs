//! Items: the bytes of the format page, DynamoDB's rules, and random values there and back.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::{
    error::{ApiError, Code},
    limits::NESTING_MAX,
    number::{Number, NumberError},
    testing::{Chance, draw_attributes, draw_value},
};

fn number(text: &str) -> Number {
    Number::parse(text).expect("a number")
}

fn build(calls: impl FnOnce(&mut ItemBuilder) -> Result<(), ItemError>) -> Result<Vec<u8>, ItemError> {
    let mut builder = ItemBuilder::new();
    builder.begin_item();
    calls(&mut builder)?;
    let item = builder.finish();
    ItemRef::check(&item).expect("what is built is good");
    Ok(item)
}

fn value(calls: impl FnOnce(&mut ItemBuilder) -> Result<(), ItemError>) -> Result<Vec<u8>, ItemError> {
    let mut builder = ItemBuilder::new();
    builder.begin_value();
    calls(&mut builder)?;
    let value = builder.finish();
    ValueRef::check(&value).expect("what is built is good");
    Ok(value)
}

/// Drives a builder with the names of every map backwards.
fn feed(builder: &mut ItemBuilder, value: &Value) -> Result<(), ItemError> {
    match value {
        Value::S(text) => builder.string(text)?,
        Value::N(number) => builder.number(&number.to_string())?,
        Value::B(bytes) => builder.binary(bytes)?,
        Value::Bool(value) => builder.bool(*value),
        Value::Null => builder.null(),
        Value::M(map) => {
            builder.begin_map()?;
            feed_attributes(builder, map)?;
            builder.end_map();
        }
        Value::L(list) => {
            builder.begin_list()?;
            list.iter().try_for_each(|value| feed(builder, value))?;
            builder.end_list();
        }
        Value::Ss(set) => {
            builder.begin_set(SetKind::Ss);
            set.iter().rev().try_for_each(|text| builder.string(text))?;
            builder.end_set()?;
        }
        Value::Ns(set) => {
            builder.begin_set(SetKind::Ns);
            set.iter().rev().for_each(|number| builder.number_ref(number.as_ref()));
            builder.end_set()?;
        }
        Value::Bs(set) => {
            builder.begin_set(SetKind::Bs);
            for bytes in set.iter().rev() {
                builder.binary_with(|out| {
                    out.extend_from_slice(bytes);
                    Ok::<(), ItemError>(())
                })?;
            }
            builder.end_set()?;
        }
    }
    Ok(())
}

fn feed_attributes(builder: &mut ItemBuilder, map: &BTreeMap<String, Value>) -> Result<(), ItemError> {
    map.iter().rev().try_for_each(|(name, value)| {
        builder.name(name);
        feed(builder, value)
    })
}

fn example() -> Vec<u8> {
    build(|builder| {
        builder.name("s");
        builder.begin_set(SetKind::Ns);
        builder.number("123")?;
        builder.number("-123")?;
        builder.end_set()?;
        builder.name("id");
        builder.string("a")?;
        builder.name("l");
        builder.begin_list()?;
        builder.bool(true);
        builder.null();
        builder.end_list();
        builder.name("n");
        builder.number("1")
    })
    .expect("a good item")
}

#[test]
fn bytes_are_those_of_the_format_page() {
    let page = include_str!("../../../docs/FORMAT.md");
    let from = page.find("    01                              version\n").expect("the example of an item");
    let until = page.find("## Keys").expect("the next section");
    let expected: Vec<u8> = page[from..until]
        .lines()
        .flat_map(|line| {
            line.split_whitespace()
                .take_while(|word| word.len() == 2 && word.bytes().all(|b| b.is_ascii_hexdigit()))
        })
        .map(|word| u8::from_str_radix(word, 16).expect("hex"))
        .collect();
    assert_eq!(example(), expected);
}

#[test]
fn attributes_are_found_by_name_and_come_sorted() {
    let bytes = example();
    let item = ItemRef::check(&bytes).expect("good");
    assert_eq!(item.get("id"), Some(ValueRef::S("a")));
    assert_eq!(item.get("n").map(ValueRef::type_name), Some("N"));
    assert_eq!(item.get("m"), None);
    assert_eq!(item.get(""), None);
    assert_eq!(item.get("zzz"), None);
    assert_eq!(item.len(), 4);
    assert_eq!(item.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["id", "l", "n", "s"]);
    let Some(ValueRef::L(list)) = item.get("l") else { panic!("a list") };
    assert_eq!(
        (list.get(0), list.get(1), list.get(2)),
        (Some(ValueRef::Bool(true)), Some(ValueRef::Null), None)
    );
    let Some(ValueRef::Ns(set)) = item.get("s") else { panic!("a set") };
    assert_eq!(
        set.iter().map(|bytes| set.element(bytes)).map(Value::from).collect::<Vec<_>>(),
        [Value::N(number("-123")), Value::N(number("123"))]
    );
    assert!(set.contains(number("123.0").bytes()));
    assert!(!set.contains(number("124").bytes()));
}

#[test]
fn an_item_without_attributes_is_an_item() {
    let bytes = build(|_| Ok(())).expect("good");
    assert_eq!(bytes, [1, 1, 0]);
    let item = ItemRef::check(&bytes).expect("good");
    assert!(item.is_empty() && item.iter().next().is_none() && item.charged_bytes() == 0);
}

#[test]
fn the_last_of_two_equal_names_wins() {
    let twice = |inner: bool| {
        build(|builder| {
            if inner {
                builder.name("m");
                builder.begin_map()?;
            }
            for (name, text) in [("a", "1"), ("b", "x"), ("a", "2"), ("c", ""), ("b", "y"), ("a", "3")] {
                builder.name(name);
                builder.string(text)?;
            }
            if inner {
                builder.end_map();
            }
            Ok(())
        })
        .expect("good")
    };
    let map: BTreeMap<String, Value> = [("a", "3"), ("b", "y"), ("c", "")]
        .map(|(name, text)| (name.to_owned(), Value::S(text.to_owned())))
        .into();
    assert_eq!(twice(false), Value::encode_item(&map));
    assert_eq!(twice(true), Value::encode_item(&BTreeMap::from([("m".to_owned(), Value::M(map))])));
}

#[test]
fn repeated_names_that_came_sorted_are_dropped_too() {
    let bytes = value(|builder| {
        builder.begin_map()?;
        for text in ["1", "2"] {
            builder.name("a");
            builder.string(text)?;
        }
        builder.end_map();
        Ok(())
    });
    let expected = Value::M(BTreeMap::from([("a".to_owned(), Value::S("2".to_owned()))]));
    assert_eq!(bytes.expect("good"), expected.encode());
}

#[test]
fn equal_values_have_equal_bytes() {
    let list = |texts: [&str; 2]| {
        value(|builder| {
            builder.begin_set(SetKind::Ns);
            texts.iter().try_for_each(|text| builder.number(text))?;
            builder.end_set()
        })
        .expect("good")
    };
    assert_eq!(list(["1.0", "20"]), list(["2e1", "1"]));
    assert_ne!(list(["1", "20"]), list(["1", "2"]));
}

#[test]
fn sets_are_not_empty_and_name_nothing_twice() {
    let check = |kind: SetKind, elements: &[&str], expected: &str| {
        let result = value(|builder| {
            builder.begin_set(kind);
            for element in elements {
                match kind {
                    SetKind::Ss => builder.string(element)?,
                    SetKind::Ns => builder.number(element)?,
                    SetKind::Bs => builder.binary(element.as_bytes())?,
                }
            }
            builder.end_set()
        });
        let error = ApiError::from(result.expect_err(expected));
        assert_eq!((error.code, error.message.as_str()), (Code::Validation, expected));
    };
    check(SetKind::Ss, &[], "One or more parameter values were invalid: An string set  may not be empty");
    check(SetKind::Ns, &[], "One or more parameter values were invalid: An number set  may not be empty");
    check(SetKind::Bs, &[], "One or more parameter values were invalid: Binary sets should not be empty");
    check(
        SetKind::Ss,
        &["a", ""],
        "One or more parameter values were invalid: An string set may not have a empty string as a member",
    );
    check(
        SetKind::Bs,
        &["", "a"],
        "One or more parameter values were invalid: Binary sets may not contain null or empty values",
    );
    check(
        SetKind::Ss,
        &["b", "a", "b"],
        "One or more parameter values were invalid: Input collection [b, a, b] contains duplicates.",
    );
    check(SetKind::Ns, &["1", "2", "1.0"], "Input collection contains duplicates");
    check(
        SetKind::Bs,
        &["a", "a"],
        "One or more parameter values were invalid: Input collection [YQ==, YQ==]of type BS contains duplicates.",
    );
    check(SetKind::Ns, &["x"], "The parameter cannot be converted to a numeric value: x");
}

#[test]
fn a_builder_can_begin_again_after_an_error() {
    let mut builder = ItemBuilder::new();
    builder.begin_item();
    builder.name("a");
    builder.begin_list().expect("room");
    assert_eq!(builder.number(""), Err(ItemError::Number(NumberError::Empty)));
    builder.begin_item();
    builder.name("a");
    builder.bool(true);
    let first = builder.finish();
    builder.begin_item();
    builder.name("a");
    builder.bool(true);
    assert_eq!(builder.finish(), first);
    assert_eq!(builder.gathered_bytes(), 0);
    assert_eq!(ItemRef::check(&first).expect("good").len(), 1);
}

#[test]
fn nesting_ends_at_32_levels() {
    let nested = |levels: usize| {
        build(|builder| {
            builder.name("a");
            for level in 0..levels {
                if level % 2 == 0 {
                    builder.begin_list()?;
                } else {
                    builder.begin_map()?;
                    builder.name("b");
                }
            }
            builder.string("deep")?;
            for level in (0..levels).rev() {
                if level % 2 == 0 { builder.end_list() } else { builder.end_map() }
            }
            Ok(())
        })
    };
    let deepest = nested(NESTING_MAX).expect("32 levels are allowed");
    let item = ItemRef::check(&deepest).expect("good");
    assert_eq!(item.get("a").expect("there").depth(), NESTING_MAX);
    assert_eq!(nested(NESTING_MAX + 1), Err(ItemError::Nesting));
    assert_eq!(ItemError::Nesting.to_string(), "Nesting Levels have exceeded supported limits");

    let inner = item.get("a").expect("there");
    assert_eq!(value(|builder| builder.value(inner)).expect("as deep as allowed"), inner.encode());
    let wrapped = build(|builder| {
        builder.name("a");
        builder.begin_list()?;
        builder.value(inner)
    });
    assert_eq!(wrapped, Err(ItemError::Nesting));
}

#[test]
fn deeper_trees_are_refused_by_check_and_survive_reading() {
    let mut tree = Value::Null;
    for _ in 0..200 {
        tree = Value::L(vec![tree]);
    }
    assert_eq!(tree.depth(), 200);
    let bytes = tree.encode();
    assert_eq!(ValueRef::check(&bytes).expect_err("too deep").what, "nesting deeper than 32 levels");
    let trusted = ValueRef::trusted(&bytes);
    assert!(trusted.depth() > NESTING_MAX);
    assert!(trusted.charged_bytes() > 0);
    assert!(Value::from(trusted).depth() > NESTING_MAX);
}

#[test]
fn charges_as_dynamodb_documents() {
    let check = |value: Value, expected: usize| {
        let bytes = value.encode();
        assert_eq!(ValueRef::trusted(&bytes).charged_bytes(), expected, "{value:?}");
        let item = Value::encode_item(&BTreeMap::from([("name".to_owned(), value)]));
        assert_eq!(ItemRef::trusted(&item).charged_bytes(), 4 + expected);
    };
    let text = |text: &str| Value::S(text.to_owned());
    check(text(""), 0);
    check(text("héllo"), 6);
    check(Value::B(vec![0; 9]), 9);
    check(Value::N(number("12345")), 4);
    check(Value::N(number("-1")), 3);
    check(Value::Bool(false), 1);
    check(Value::Null, 1);
    check(Value::Ss(BTreeSet::from(["a".to_owned(), "bcd".to_owned()])), 4);
    check(Value::Ns(BTreeSet::from([number("1"), number("-200")])), 5);
    check(Value::Bs(BTreeSet::from([vec![1, 2], vec![3]])), 3);
    check(Value::L(vec![]), 3);
    check(Value::M(BTreeMap::new()), 3);
    check(Value::L(vec![text("ab"), Value::Null]), 3 + (1 + 2) + (1 + 1));
    check(Value::M(BTreeMap::from([("key".to_owned(), Value::L(vec![text("x")]))])), 3 + 1 + 3 + 3 + 1 + 1);
}

#[test]
fn only_strings_numbers_and_binaries_have_an_order() {
    let compare = |a: Value, b: Value| ValueRef::trusted(&a.encode()).compare(ValueRef::trusted(&b.encode()));
    use std::cmp::Ordering::{Greater, Less};
    let text = |text: &str| Value::S(text.to_owned());
    assert_eq!(compare(text("a"), text("é")), Some(Less));
    assert_eq!(compare(Value::N(number("10")), Value::N(number("9"))), Some(Greater));
    assert_eq!(compare(Value::N(number("-10")), Value::N(number("-9"))), Some(Less));
    assert_eq!(compare(Value::B(vec![0xFF]), Value::B(vec![0x01, 0x01])), Some(Greater));
    assert_eq!(compare(text("1"), Value::N(number("1"))), None);
    assert_eq!(compare(Value::Bool(true), Value::Bool(false)), None);
    assert_eq!(compare(Value::L(vec![]), Value::L(vec![])), None);
}

#[test]
fn tables_grow_wider_with_their_entries() {
    let check = |element_count: usize, element_length: usize, width: u8| {
        let list = Value::L(vec![Value::B(vec![0; element_length]); element_count]);
        let bytes = list.encode();
        assert_eq!(bytes[1], width, "{element_count} elements of {element_length} bytes");
        let checked = ValueRef::check(&bytes).expect("good");
        assert_eq!(Value::from(checked), list);
        assert_eq!(value(|builder| feed(builder, &list)).expect("good"), bytes);
    };
    check(1, 254, 1);
    check(1, 255, 2);
    check(255, 0, 1);
    check(256, 0, 2);
    check(1, 65534, 2);
    check(1, 65535, 4);
    check(70_000, 0, 4);
}

#[test]
fn names_may_be_long() {
    for length in [0, 1, 127, 128, 16_383, 16_384, 65_535, 70_000] {
        let name = "n".repeat(length);
        let bytes = build(|builder| {
            builder.name(&name);
            builder.null();
            Ok(())
        });
        let bytes = bytes.expect("good");
        assert_eq!(ItemRef::check(&bytes).expect("good").get(&name), Some(ValueRef::Null), "{length}");
    }
}

#[test]
fn random_values_go_there_and_back() {
    let mut chance = Chance::new(3);
    let mut builder = ItemBuilder::new();
    for _ in 0..3_000 {
        let tree = draw_attributes(&mut chance, 3);
        let encoded = Value::encode_item(&tree);
        let item = ItemRef::check(&encoded).expect("good");
        assert_eq!(Value::attributes(item), tree);
        builder.begin_item();
        feed_attributes(&mut builder, &tree).expect("good");
        assert_eq!(builder.finish(), encoded, "the builder writes the same bytes");
        for (name, value) in &tree {
            let found = item.get(name).expect("every name is found");
            assert_eq!(found.encode(), value.encode());
            assert_eq!(found.depth(), value.depth());
            assert_eq!(item.get_encoded(name).expect("there"), value.encode());
        }
        builder.begin_item();
        for (name, value) in item.iter().collect::<Vec<_>>().into_iter().rev() {
            builder.name(name);
            builder.value(value).expect("not too deep");
        }
        assert_eq!(builder.finish(), encoded, "copying values keeps the bytes");
    }
}

#[test]
fn equality_of_bytes_is_equality_of_values() {
    let mut chance = Chance::new(4);
    let values: Vec<Value> = (0..300).map(|_| draw_value(&mut chance, 1)).collect();
    let encoded: Vec<Vec<u8>> = values.iter().map(Value::encode).collect();
    let mut equal_count = 0;
    for (a, a_bytes) in values.iter().zip(&encoded) {
        for (b, b_bytes) in values.iter().zip(&encoded) {
            assert_eq!(a == b, a_bytes == b_bytes, "{a:?} {b:?}");
            assert_eq!(a == b, ValueRef::trusted(a_bytes) == ValueRef::trusted(b_bytes));
            equal_count += usize::from(a == b);
        }
    }
    assert!(equal_count > values.len(), "some values are drawn twice");
}

#[test]
fn check_refuses_what_is_not_canonical() {
    let check = |bytes: &[u8], what: &str, offset: usize| {
        let error = ItemRef::check(bytes).expect_err(what);
        assert_eq!((error.what, error.offset), (what, offset), "{bytes:02X?}");
    };
    check(&[], "an item without a byte", 0);
    check(&[2, 1, 0], "an item of an unknown version", 0);
    check(&[1], "a table that does not fit", 1);
    check(&[1, 3, 0], "a table that does not fit", 1);
    check(&[1, 1, 1], "a table that does not fit", 1);
    check(&[1, 2, 0, 0], "a table of the wrong width", 1);
    check(&[1, 1, 0, 9], "bytes after the last entry", 3);
    check(&[1, 1, 1, 9, 1, b'a', 6], "an entry out of bounds", 1);
    check(&[1, 1, 2, 3, 2, 1, b'a', 6], "an entry out of bounds", 1);
    check(&[1, 1, 1, 3, 9, b'a', 6], "a bad attribute name", 4);
    check(&[1, 1, 1, 4, 0x81, 0, b'a', 6], "a bad attribute name", 4);
    check(&[1, 1, 1, 3, 1, 0xFF, 6], "text that is not UTF-8", 5);
    check(&[1, 1, 2, 3, 6, 1, b'b', 6, 1, b'a', 6], "attribute names out of order", 8);
    check(&[1, 1, 2, 3, 6, 1, b'a', 6, 1, b'a', 6], "attribute names out of order", 8);
    check(&[1, 1, 1, 2, 1, b'a'], "a value without a tag", 6);
    check(&[1, 1, 1, 3, 1, b'a', 12], "an unknown tag", 6);
    check(&[1, 1, 1, 3, 1, b'a', 0], "an unknown tag", 6);
    check(&[1, 1, 1, 4, 1, b'a', 6, 0], "bytes after a value", 7);
    check(&[1, 1, 1, 4, 1, b'a', 1, 0xC3], "text that is not UTF-8", 7);
    check(&[1, 1, 1, 5, 1, b'a', 2, 0x80, 0], "bytes that are no number", 7);
    check(&[1, 1, 1, 5, 1, b'a', 9, 1, 0], "an empty set", 7);
    check(&[1, 1, 1, 6, 1, b'a', 9, 1, 1, 0], "an empty set element", 10);
    check(&[1, 1, 1, 9, 1, b'a', 11, 1, 2, 1, 2, 5, 5], "set elements out of order", 12);
    check(&[1, 1, 1, 9, 1, b'a', 9, 1, 2, 1, 2, b'b', b'a'], "set elements out of order", 12);
}

/// Everything a reader can ask, so that nothing of it panics on any bytes; returns how many values it saw.
fn walk(value: ValueRef<'_>, depth: usize) -> usize {
    let _ =
        (value.type_name(), value.charged_bytes(), value.depth(), value.encode(), format!("{value:?}").len());
    let _ = (value.compare(ValueRef::S("a")), Value::from(value).depth());
    if depth > NESTING_MAX {
        return 1;
    }
    1 + match value {
        ValueRef::M(map) => {
            let _ = (map.get("a"), map.get(""), map.entry(map.len()), map.entry(0));
            map.iter().take(1000).map(|(_, value)| walk(value, depth + 1)).sum()
        }
        ValueRef::L(list) => {
            let _ = (list.get(0), list.get(list.len()), list.get(usize::MAX));
            list.iter().take(1000).map(|value| walk(value, depth + 1)).sum()
        }
        ValueRef::Ss(set) | ValueRef::Ns(set) | ValueRef::Bs(set) => {
            let _ = (set.contains(b"a"), set.get(0), set.len());
            set.iter().take(1000).map(|element| walk(set.element(element), depth + 1)).sum()
        }
        _ => 0,
    }
}

fn mutate(chance: &mut Chance, bytes: &mut Vec<u8>) {
    for _ in 0..=chance.below(3) {
        let place = chance.below(bytes.len().max(1) as u64) as usize;
        match chance.below(6) {
            0 => bytes.truncate(place),
            1 => bytes.insert(place.min(bytes.len()), chance.next() as u8),
            2 if !bytes.is_empty() => drop(bytes.remove(place)),
            3 if !bytes.is_empty() => {
                let from = chance.below(bytes.len() as u64) as usize;
                let piece = bytes[from..(from + 8).min(bytes.len())].to_vec();
                bytes.splice(place..place, piece);
            }
            _ if !bytes.is_empty() => {
                bytes[place] = [0, 1, 2, 4, 0x7F, 0x80, 0xFF, chance.next() as u8][chance.below(8) as usize]
            }
            _ => {}
        }
    }
}

#[test]
fn neither_check_nor_readers_panic_on_mutated_items() {
    let mut chance = Chance::new(5);
    let (mut good_count, mut bad_count, mut value_count) = (0, 0, 0);
    for _ in 0..400 {
        let original = Value::encode_item(&draw_attributes(&mut chance, 3));
        if original.len() > 4_000 {
            continue;
        }
        for _ in 0..30 {
            let mut bytes = original.clone();
            mutate(&mut chance, &mut bytes);
            let item = ItemRef::trusted(&bytes);
            let _ = (item.charged_bytes(), item.get("a"), item.len(), item.is_empty());
            value_count += item.iter().map(|(_, value)| walk(value, 0)).sum::<usize>();
            let _ = ValueRef::check(&bytes).map(|value| walk(value, 0));
            match ItemRef::check(&bytes) {
                Ok(item) => {
                    good_count += 1;
                    let tree = Value::attributes(item);
                    assert_eq!(Value::encode_item(&tree), bytes, "a checked item is canonical");
                }
                Err(corrupt) => {
                    bad_count += 1;
                    assert!(corrupt.offset <= bytes.len(), "{corrupt} in {} bytes", bytes.len());
                }
            }
        }
    }
    assert!(
        good_count > 200 && bad_count > 5_000 && value_count > 10_000,
        "{good_count} {bad_count} {value_count}"
    );
}

#[test]
fn neither_check_nor_readers_panic_on_random_bytes() {
    let mut chance = Chance::new(6);
    for _ in 0..50_000 {
        let length = chance.below(40) as usize;
        let small = |chance: &mut Chance| {
            if chance.below(3) == 0 { chance.next() as u8 } else { chance.below(12) as u8 }
        };
        let mut bytes: Vec<u8> = (0..length).map(|_| small(&mut chance)).collect();
        if let [version, width, ..] = bytes.as_mut_slice() {
            *version = 1;
            *width = [1, 1, 2, 4][chance.below(4) as usize];
        }
        let _ = ItemRef::check(&bytes);
        ItemRef::trusted(&bytes).iter().take(100).for_each(|(_, value)| assert!(walk(value, 0) > 0));
    }
}

#[test]
#[should_panic(expected = "a name comes before its value")]
fn a_value_without_a_name_is_a_bug() {
    let _ = build(|builder| builder.string("a"));
}

#[test]
#[should_panic(expected = "the last name has no value yet")]
fn a_name_without_a_value_is_a_bug() {
    let _ = build(|builder| {
        builder.name("a");
        builder.name("b");
        Ok(())
    });
}

#[test]
#[should_panic(expected = "every container is closed before finish")]
fn an_open_container_is_a_bug() {
    let _ = build(|builder| {
        builder.name("a");
        builder.begin_list()
    });
}

#[test]
#[should_panic(expected = "a Ns takes no value")]
fn an_element_of_another_type_is_a_bug() {
    let _ = value(|builder| {
        builder.begin_set(SetKind::Ns);
        builder.string("1")
    });
}

/// What `charges_more_than` rests on.
#[test]
fn no_value_is_charged_for_more_bytes_than_its_encoding_has() {
    let mut chance = Chance::new(5);
    for _ in 0..2_000 {
        let attributes = draw_attributes(&mut chance, 4);
        let item = Value::encode_item(&attributes);
        let charged = ItemRef::trusted(&item).charged_bytes();
        assert!(charged <= item.len(), "{charged} of {} for {attributes:?}", item.len());
        for limit in [charged.saturating_sub(1), charged, charged + 1, item.len()] {
            assert_eq!(ItemRef::trusted(&item).charges_more_than(limit), charged > limit);
        }
    }
}
