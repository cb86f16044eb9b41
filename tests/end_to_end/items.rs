//! PutItem, GetItem, DeleteItem: values of every type, whole items, return values, capacity.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, ReturnValue, ScalarAttributeType};

use crate::server::{assert_refused, b, n, s, server_with_table};

type Item = HashMap<String, AttributeValue>;

#[tokio::test]
async fn every_type_comes_back_as_it_went_in() {
    let (_server, client) = server_with_table(None).await;
    let inner = HashMap::from([(
        "deep".to_string(),
        AttributeValue::L(vec![n(1), s("two"), AttributeValue::Null(true)]),
    )]);
    let item: Item = HashMap::from([
        ("p".to_string(), s("all types")),
        ("string".to_string(), s("snow ☃ and 𝄞")),
        ("empty".to_string(), s("")),
        ("number".to_string(), n("-12345678901234567890.123456789012345678")),
        ("binary".to_string(), b(&[0, 1, 2, 254, 255])),
        ("no".to_string(), AttributeValue::Bool(false)),
        ("yes".to_string(), AttributeValue::Bool(true)),
        ("null".to_string(), AttributeValue::Null(true)),
        ("map".to_string(), AttributeValue::M(inner)),
        ("empty map".to_string(), AttributeValue::M(HashMap::new())),
        ("empty list".to_string(), AttributeValue::L(vec![])),
        ("strings".to_string(), AttributeValue::Ss(vec!["a".into(), "b".into()])),
        ("numbers".to_string(), AttributeValue::Ns(vec!["1".into(), "2".into()])),
        ("binaries".to_string(), AttributeValue::Bs(vec![vec![1].into(), vec![2, 3].into()])),
    ]);
    client.put_item().table_name("tab").set_item(Some(item.clone())).send().await.unwrap();
    let got = client
        .get_item()
        .table_name("tab")
        .key("p", s("all types"))
        .consistent_read(true)
        .send()
        .await
        .unwrap();
    assert_eq!(sorted(got.item.unwrap()), item);
}

/// Sets have no order of their own: sort them, as the expected item is.
fn sorted(mut item: Item) -> Item {
    for value in item.values_mut() {
        match value {
            AttributeValue::Ss(set) | AttributeValue::Ns(set) => set.sort(),
            AttributeValue::Bs(set) => set.sort_by(|a, b| a.as_ref().cmp(b.as_ref())),
            _ => {}
        }
    }
    item
}

#[tokio::test]
async fn numbers_are_exact_and_normalized() {
    let (_server, client) = server_with_table(None).await;
    let cases = [
        ("0", "0"),
        ("-0", "0"),
        ("007", "7"),
        ("1.50", "1.5"),
        ("1e2", "100"),
        ("-1.25E-2", "-0.0125"),
        ("99999999999999999999999999999999999999", "99999999999999999999999999999999999999"),
        ("0.1", "0.1"),
    ];
    for (given, expected) in cases {
        client.put_item().table_name("tab").item("p", s("n")).item("v", n(given)).send().await.unwrap();
        let got =
            client.get_item().table_name("tab").key("p", s("n")).consistent_read(true).send().await.unwrap();
        assert_eq!(got.item.unwrap()["v"], n(expected), "given {given}");
    }
    let put = |text: &str| client.put_item().table_name("tab").item("p", s("n")).item("v", n(text)).send();
    assert_refused(put("1E126").await, "ValidationException", "Number overflow");
    assert_refused(put("1E-131").await, "ValidationException", "Number underflow");
    assert_refused(put("1E1000000").await, "ValidationException", "Number overflow");
    assert_refused(
        put("123456789012345678901234567890123456789").await,
        "ValidationException",
        "38 significant digits",
    );
    assert_refused(put("one").await, "ValidationException", "cannot be converted to a numeric value");
}

#[tokio::test]
async fn put_replaces_whole_items_and_returns_the_old_one() {
    let (_server, client) = server_with_table(None).await;
    let put = || client.put_item().table_name("tab").item("p", s("k")).return_values(ReturnValue::AllOld);
    let first = put().item("a", n(1)).send().await.unwrap();
    assert_eq!(first.attributes, None);
    let second = put().item("b", n(2)).send().await.unwrap();
    assert_eq!(
        second.attributes.unwrap(),
        HashMap::from([("p".to_string(), s("k")), ("a".to_string(), n(1))])
    );
    let got =
        client.get_item().table_name("tab").key("p", s("k")).consistent_read(true).send().await.unwrap();
    assert_eq!(got.item.unwrap(), HashMap::from([("p".to_string(), s("k")), ("b".to_string(), n(2))]));
    let wrong = client.put_item().table_name("tab").item("p", s("k")).return_values(ReturnValue::AllNew);
    assert_refused(wrong.send().await, "ValidationException", "ReturnValues can only be ALL_OLD or NONE");
}

#[tokio::test]
async fn delete_removes_and_returns() {
    let (_server, client) = server_with_table(Some(ScalarAttributeType::N)).await;
    client
        .put_item()
        .table_name("tab")
        .item("p", s("k"))
        .item("s", n(1))
        .item("v", s("x"))
        .send()
        .await
        .unwrap();
    client.put_item().table_name("tab").item("p", s("k")).item("s", n(2)).send().await.unwrap();
    let delete = || {
        client
            .delete_item()
            .table_name("tab")
            .key("p", s("k"))
            .key("s", n(1))
            .return_values(ReturnValue::AllOld)
    };
    assert_eq!(delete().send().await.unwrap().attributes.unwrap()["v"], s("x"));
    assert_eq!(delete().send().await.unwrap().attributes, None, "deleting nothing is fine");
    let get = |sort| {
        client.get_item().table_name("tab").key("p", s("k")).key("s", n(sort)).consistent_read(true).send()
    };
    assert_eq!(get(1).await.unwrap().item, None);
    assert!(get(2).await.unwrap().item.is_some());
}

#[tokio::test]
async fn get_projects() {
    let (_server, client) = server_with_table(None).await;
    let list = AttributeValue::L(vec![n(10), n(20), n(30)]);
    let map = AttributeValue::M(HashMap::from([("x".to_string(), n(1)), ("y".to_string(), n(2))]));
    let put = client
        .put_item()
        .table_name("tab")
        .item("p", s("k"))
        .item("steps", list)
        .item("tree", map)
        .item("size", n(9));
    put.send().await.unwrap();
    let got = client
        .get_item()
        .table_name("tab")
        .key("p", s("k"))
        .projection_expression("steps[2], steps[0], tree.y, #s")
        .expression_attribute_names("#s", "size")
        .send()
        .await
        .unwrap();
    let expected: Item = HashMap::from([
        ("steps".to_string(), AttributeValue::L(vec![n(10), n(30)])),
        ("tree".to_string(), AttributeValue::M(HashMap::from([("y".to_string(), n(2))]))),
        ("size".to_string(), n(9)),
    ]);
    assert_eq!(got.item.unwrap(), expected);
}

#[tokio::test]
async fn wrong_items_are_refused() {
    let (_server, client) = server_with_table(None).await;
    let put = || client.put_item().table_name("tab");
    assert_refused(
        put().item("v", n(1)).send().await,
        "ValidationException",
        "Missing the key p in the item",
    );
    assert_refused(
        put().item("p", n(1)).send().await,
        "ValidationException",
        "Type mismatch for key p expected: S actual: N",
    );
    assert_refused(put().item("p", s("")).send().await, "ValidationException", "empty string value. Key: p");
    let huge = s("x".repeat(400 * 1024));
    assert_refused(
        put().item("p", s("k")).item("v", huge).send().await,
        "ValidationException",
        "Item size has exceeded",
    );
    let nested = (0..33).fold(n(1), |inner, _| AttributeValue::L(vec![inner]));
    assert_refused(
        put().item("p", s("k")).item("v", nested).send().await,
        "ValidationException",
        "Nesting Levels",
    );
    let twice = AttributeValue::Ss(vec!["a".into(), "a".into()]);
    assert_refused(
        put().item("p", s("k")).item("v", twice).send().await,
        "ValidationException",
        "contains duplicates",
    );
    let long = s("x".repeat(2049));
    assert_refused(put().item("p", long).send().await, "ValidationException", "2048 bytes");
    let get = client.get_item().table_name("tab").key("p", s("k")).key("extra", n(1));
    assert_refused(get.send().await, "ValidationException", "does not match the schema");
}

#[tokio::test]
async fn the_largest_item_fits() {
    let (_server, client) = server_with_table(None).await;
    // "p" + "k" + "v" are three bytes; the rest may be the value.
    let value = "x".repeat(400 * 1024 - 3);
    client.put_item().table_name("tab").item("p", s("k")).item("v", s(&value)).send().await.unwrap();
    let got =
        client.get_item().table_name("tab").key("p", s("k")).consistent_read(true).send().await.unwrap();
    assert_eq!(got.item.unwrap()["v"], s(&value));
    let more = client.put_item().table_name("tab").item("p", s("k")).item("v", s(value + "y"));
    assert_refused(more.send().await, "ValidationException", "Item size has exceeded");
}

#[tokio::test]
async fn many_tiny_elements_fit_although_their_encoding_is_larger() {
    let (_server, client) = server_with_table(None).await;
    // Three bytes of charge each: 399 KiB in all.
    let ones = AttributeValue::L(vec![n(1); 136_000]);
    client.put_item().table_name("tab").item("p", s("k")).item("v", ones.clone()).send().await.unwrap();
    let got =
        client.get_item().table_name("tab").key("p", s("k")).consistent_read(true).send().await.unwrap();
    assert!(got.item.unwrap()["v"] == ones, "it came back otherwise");
}

#[tokio::test]
async fn capacity_is_counted_exactly() {
    let (_server, client) = server_with_table(None).await;
    let put = |bytes: usize| {
        let request = client.put_item().table_name("tab").item("p", s("k")).item("v", s("x".repeat(bytes)));
        request.return_consumed_capacity(ReturnConsumedCapacity::Total).send()
    };
    let units = |capacity: Option<aws_sdk_dynamodb::types::ConsumedCapacity>| {
        capacity.unwrap().capacity_units.unwrap()
    };
    assert_eq!(units(put(1021).await.unwrap().consumed_capacity), 1.0);
    assert_eq!(units(put(1022).await.unwrap().consumed_capacity), 2.0);
    assert_eq!(units(put(9 * 1024).await.unwrap().consumed_capacity), 10.0);
    assert_eq!(units(put(10).await.unwrap().consumed_capacity), 10.0, "the larger of old and new is charged");
    put(4096).await.unwrap();
    let get = |consistent| {
        let request = client.get_item().table_name("tab").key("p", s("k")).consistent_read(consistent);
        request.return_consumed_capacity(ReturnConsumedCapacity::Total).send()
    };
    assert_eq!(units(get(true).await.unwrap().consumed_capacity), 2.0);
    assert_eq!(units(get(false).await.unwrap().consumed_capacity), 1.0);
}
