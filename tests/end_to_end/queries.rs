//! Query: key conditions, order, filters, projections, counts, pages.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, ScalarAttributeType, Select};

use crate::server::{assert_refused, b, create_table, n, s, server_with_table};

#[tokio::test]
async fn sort_conditions_select_ranges() {
    let (_server, client) = server_with_table(Some(ScalarAttributeType::N)).await;
    for number in ["-10", "-2.5", "0", "1", "3", "20", "100"] {
        client.put_item().table_name("tab").item("p", s("a")).item("s", n(number)).send().await.unwrap();
    }
    client.put_item().table_name("tab").item("p", s("b")).item("s", n(1)).send().await.unwrap();
    let cases: &[(&str, &[&str])] = &[
        ("p = :p", &["-10", "-2.5", "0", "1", "3", "20", "100"]),
        ("p = :p AND s = :one", &["1"]),
        ("p = :p AND s < :one", &["-10", "-2.5", "0"]),
        ("p = :p AND s <= :one", &["-10", "-2.5", "0", "1"]),
        ("p = :p AND s > :one", &["3", "20", "100"]),
        ("p = :p AND s >= :one", &["1", "3", "20", "100"]),
        ("s BETWEEN :one AND :twenty AND p = :p", &["1", "3", "20"]),
    ];
    for (condition, expected) in cases {
        for forward in [true, false] {
            let mut request = query(&client, condition, "a").scan_index_forward(forward);
            for (name, value) in [(":one", 1), (":twenty", 20)] {
                if condition.contains(name) {
                    request = request.expression_attribute_values(name, n(value));
                }
            }
            let found = request.send().await.unwrap();
            let mut expected: Vec<_> = expected.iter().map(n).collect();
            if !forward {
                expected.reverse();
            }
            assert_eq!(column(found.items(), "s"), expected, "{condition}, forward {forward}");
            assert_eq!(found.count(), i32::try_from(expected.len()).unwrap());
        }
    }
}

#[tokio::test]
async fn strings_sort_by_bytes_and_match_prefixes() {
    let (_server, client) = server_with_table(Some(ScalarAttributeType::S)).await;
    let names = ["", "A", "Z", "a", "aa", "ab", "b", "é", "ｚ", "𝄞"];
    for name in names.iter().skip(1).rev() {
        client.put_item().table_name("tab").item("p", s("a")).item("s", s(*name)).send().await.unwrap();
    }
    let all = query(&client, "p = :p", "a").send().await.unwrap();
    assert_eq!(column(all.items(), "s"), names[1..].iter().map(|name| s(*name)).collect::<Vec<_>>());
    let prefixed =
        query(&client, "p = :p AND begins_with(s, :a)", "a").expression_attribute_values(":a", s("a"));
    assert_eq!(column(prefixed.send().await.unwrap().items(), "s"), [s("a"), s("aa"), s("ab")]);
}

#[tokio::test]
async fn binaries_sort_by_unsigned_bytes() {
    let (server, client) = server_with_table(None).await;
    create_table(&client, "binary", Some(ScalarAttributeType::B)).await;
    let keys: [&[u8]; 5] = [&[0], &[0, 0], &[0, 255], &[127], &[128, 1]];
    for key in keys.iter().rev() {
        client.put_item().table_name("binary").item("p", s("a")).item("s", b(key)).send().await.unwrap();
    }
    let all = query(&client, "p = :p", "a").table_name("binary").send().await.unwrap();
    assert_eq!(column(all.items(), "s"), keys.map(b));
    let prefixed = query(&client, "p = :p AND begins_with(s, :zero)", "a").table_name("binary");
    let found = prefixed.expression_attribute_values(":zero", b(&[0])).send().await.unwrap();
    assert_eq!(found.count(), 3);
    drop(server);
}

#[tokio::test]
async fn filters_come_after_the_page_and_counts_say_so() {
    let (_server, client) = server_with_table(Some(ScalarAttributeType::N)).await;
    for number in 0..10 {
        let put = client
            .put_item()
            .table_name("tab")
            .item("p", s("a"))
            .item("s", n(number))
            .item("odd", n(number % 2));
        put.send().await.unwrap();
    }
    let request = query(&client, "p = :p", "a")
        .filter_expression("odd = :one")
        .expression_attribute_values(":one", n(1));
    let found = request.clone().limit(5).send().await.unwrap();
    assert_eq!((found.count(), found.scanned_count()), (2, 5));
    assert_eq!(found.last_evaluated_key().unwrap()["s"], n(4));
    let rest = request.clone().set_exclusive_start_key(found.last_evaluated_key).send().await.unwrap();
    assert_eq!((rest.count(), rest.scanned_count(), rest.last_evaluated_key), (3, 5, None));
    let counted = request.select(Select::Count).send().await.unwrap();
    assert_eq!((counted.count(), counted.scanned_count()), (5, 10));
    assert!(counted.items.is_none());
}

#[tokio::test]
async fn pages_of_a_megabyte_join_without_gap_or_overlap() {
    let (_server, client) = server_with_table(Some(ScalarAttributeType::N)).await;
    let item_count = 40;
    for number in 0..item_count {
        let filler = s("x".repeat(100_000));
        client
            .put_item()
            .table_name("tab")
            .item("p", s("a"))
            .item("s", n(number))
            .item("v", filler)
            .send()
            .await
            .unwrap();
    }
    for forward in [true, false] {
        let (mut seen, mut pages, mut start) = (Vec::new(), 0, None);
        loop {
            let request = query(&client, "p = :p", "a").scan_index_forward(forward).consistent_read(true);
            let request = request.return_consumed_capacity(ReturnConsumedCapacity::Total);
            let page = request.set_exclusive_start_key(start).send().await.unwrap();
            pages += 1;
            seen.extend(column(page.items(), "s"));
            let bytes = page.items().len() * 100_000;
            assert!(bytes <= (1 << 20) + 100_000, "a page of {bytes} bytes");
            assert!(page.consumed_capacity.unwrap().capacity_units.unwrap() <= 270.0);
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        let mut expected: Vec<_> = (0..item_count).map(n).collect();
        if !forward {
            expected.reverse();
        }
        assert_eq!(seen, expected, "forward {forward}");
        assert!(pages >= 4, "{pages} pages for four megabytes");
    }
}

#[tokio::test]
async fn the_sdk_paginator_walks_it() {
    let (_server, client) = server_with_table(Some(ScalarAttributeType::N)).await;
    for number in 0..23 {
        client.put_item().table_name("tab").item("p", s("a")).item("s", n(number)).send().await.unwrap();
    }
    let mut pages = query(&client, "p = :p", "a").limit(5).into_paginator().items().send();
    let mut seen = Vec::new();
    while let Some(item) = pages.next().await {
        seen.push(item.unwrap()["s"].clone());
    }
    assert_eq!(seen, (0..23).map(n).collect::<Vec<_>>());
}

#[tokio::test]
async fn projections_apply() {
    let (_server, client) = server_with_table(Some(ScalarAttributeType::N)).await;
    let put = client
        .put_item()
        .table_name("tab")
        .item("p", s("a"))
        .item("s", n(1))
        .item("v", s("x"))
        .item("w", s("y"));
    put.send().await.unwrap();
    let request = query(&client, "p = :p", "a").projection_expression("w, s");
    let found = request.send().await.unwrap();
    let expected = HashMap::from([("s".to_string(), n(1)), ("w".to_string(), s("y"))]);
    assert_eq!(found.items(), &[expected]);
}

#[tokio::test]
async fn wrong_queries_are_refused() {
    let (_server, client) = server_with_table(Some(ScalarAttributeType::N)).await;
    let check = |condition: &'static str, part: &'static str| {
        let mut request = client.query().table_name("tab").key_condition_expression(condition);
        if condition.contains(":p") {
            request = request.expression_attribute_values(":p", s("a"));
        }
        if condition.contains(":n") {
            request = request.expression_attribute_values(":n", n(1));
        }
        async move { assert_refused(request.send().await, "ValidationException", part) }
    };
    check("s = :n", "Query condition missed key schema element: p").await;
    check("p = :p OR s = :n", "OR").await;
    check("p < :p", "Query key condition not supported").await;
    check("p = :n", "does not match schema type").await;
    check("p = :p AND v = :n", "Query condition missed key schema element: s").await;
    let zero = query(&client, "p = :p", "a").limit(0);
    assert_refused(zero.send().await, "ValidationException", "greater than or equal to 1");
    let filter =
        query(&client, "p = :p", "a").filter_expression("s = :n").expression_attribute_values(":n", n(1));
    assert_refused(
        filter.send().await,
        "ValidationException",
        "Filter Expression can only contain non-primary key attributes",
    );
    let start = query(&client, "p = :p", "a").exclusive_start_key("p", s("a"));
    assert_refused(start.send().await, "ValidationException", "starting key");
}

fn query(client: &Client, condition: &str, partition: &str) -> QueryFluentBuilder {
    let request = client.query().table_name("tab").key_condition_expression(condition);
    request.expression_attribute_values(":p", s(partition))
}

fn column(items: &[HashMap<String, AttributeValue>], name: &str) -> Vec<AttributeValue> {
    items.iter().map(|item| item[name].clone()).collect()
}
