//! Scan: everything once, in pages, in segments, filtered and projected.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::Select;

use crate::server::{assert_refused, n, s, server_with_table};

#[tokio::test]
async fn each_item_once_over_many_pages() {
    let (_server, client) = server_with_table(None).await;
    for number in 0..300 {
        let put =
            client.put_item().table_name("tab").item("p", s(format!("key-{number}"))).item("v", n(number));
        put.item("filler", s("x".repeat(10_000))).send().await.unwrap();
    }
    let (mut seen, mut pages, mut start) = (BTreeSet::new(), 0, None);
    loop {
        let page = client.scan().table_name("tab").set_exclusive_start_key(start).send().await.unwrap();
        pages += 1;
        for item in page.items() {
            assert!(seen.insert(item["v"].as_n().unwrap().parse::<i32>().unwrap()), "seen twice");
        }
        start = page.last_evaluated_key;
        if start.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..300).collect());
    assert!(pages >= 3, "{pages} pages for three megabytes");
    let counted = client.scan().table_name("tab").select(Select::Count).limit(300).send().await.unwrap();
    assert!(counted.items.is_none());
    assert!(counted.count() > 90, "a counting page holds as much as any other");
}

#[tokio::test]
async fn segments_cover_everything_once() {
    let (_server, client) = server_with_table(None).await;
    for number in 0..200 {
        client.put_item().table_name("tab").item("p", s(format!("key-{number}"))).send().await.unwrap();
    }
    for total in [1, 2, 3, 7, 64] {
        let mut seen = BTreeSet::new();
        for segment in 0..total {
            let mut pages = client
                .scan()
                .table_name("tab")
                .segment(segment)
                .total_segments(total)
                .limit(9)
                .into_paginator()
                .items()
                .send();
            while let Some(item) = pages.next().await {
                assert!(
                    seen.insert(item.unwrap()["p"].as_s().unwrap().clone()),
                    "seen twice in {total} segments"
                );
            }
        }
        assert_eq!(seen.len(), 200, "{total} segments");
    }
}

#[tokio::test]
async fn filters_and_projections_apply() {
    let (_server, client) = server_with_table(None).await;
    for number in 0..20 {
        client
            .put_item()
            .table_name("tab")
            .item("p", s(number.to_string()))
            .item("v", n(number))
            .send()
            .await
            .unwrap();
    }
    let scan = client.scan().table_name("tab").filter_expression("v BETWEEN :from AND :to");
    let scan = scan.expression_attribute_values(":from", n(5)).expression_attribute_values(":to", n(9));
    let found = scan.projection_expression("v").send().await.unwrap();
    assert_eq!((found.count(), found.scanned_count()), (5, 20));
    assert!(found.items().iter().all(|item| item.len() == 1));
}

#[tokio::test]
async fn an_empty_table_scans_to_nothing() {
    let (_server, client) = server_with_table(None).await;
    let found = client.scan().table_name("tab").send().await.unwrap();
    assert_eq!((found.count(), found.last_evaluated_key), (0, None));
}

#[tokio::test]
async fn wrong_scans_are_refused() {
    let (_server, client) = server_with_table(None).await;
    let scan = || client.scan().table_name("tab");
    assert_refused(scan().segment(0).send().await, "ValidationException", "TotalSegments");
    assert_refused(scan().total_segments(2).send().await, "ValidationException", "Segment");
    assert_refused(scan().segment(2).total_segments(2).send().await, "ValidationException", "less than");
    assert_refused(
        scan().exclusive_start_key("q", s("x")).send().await,
        "ValidationException",
        "starting key",
    );
    assert_refused(scan().filter_expression("v = ").send().await, "ValidationException", "Syntax error");
}
