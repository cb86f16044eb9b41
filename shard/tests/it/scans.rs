//! Pages: order, direction, limits, sizes, filters, projections, and writes going on meanwhile.

use crate::harness::*;
use model::item::Value;
use model::key::{SortBounds, keyspace, partition_range, successor, table_range};
use net::message::*;
use runtime::Runtime;
use runtime::sync::join_all;
use std::collections::BTreeMap;

/// The range of one partition of a table, and its vnode.
fn range(client: &Client, table: &model::table::Table, partition: &str) -> (u32, Vec<u8>, Vec<u8>) {
    let value = text(partition).encode();
    let value = model::item::ValueRef::trusted(&value);
    let range = partition_range(keyspace::ITEMS, table.id, value, SortBounds::All);
    (client.at(partition, 0).vnode, range.from, range.to)
}

fn sorts(page: &PageAnswer) -> Vec<i64> {
    let sort = |item: &BTreeMap<String, Value>| match &item["s"] {
        Value::N(number) => number.as_i64().unwrap(),
        other => panic!("{other:?}"),
    };
    page.items.iter().map(sort).collect()
}

#[test]
fn pages_go_forward_and_backward_by_limit_and_miss_nothing() {
    Node::new(1, 2).run(|client| async move {
        let table = client.create("things").await;
        for n in 0..40 {
            client.put("a", n, &[]).await;
            client.put("b", n, &[]).await;
        }
        let (vnode, first, end) = range(&client, &table, "a");
        for (forward, limit) in [(true, 7), (false, 7), (true, 40), (false, 1), (true, 100)] {
            let (mut from, mut to, mut seen) = (first.clone(), end.clone(), Vec::new());
            loop {
                let ask = Scan { forward, limit, ..scan(vnode, table.id, from.clone(), to.clone()) };
                let page = client.send(client.owner(vnode), Operation::Scan(ask)).await.unwrap().page();
                assert_eq!((page.count, page.scanned), (page.items.len() as u32, page.items.len() as u32));
                seen.extend(sorts(&page));
                let Some((key, key_item)) = page.last else { break };
                assert_eq!(page.items.len() as u32, limit, "a page ends early only at its limit");
                assert_eq!(key_item, key_attributes("a", *seen.last().unwrap()));
                match forward {
                    true => from = successor(&key),
                    false => to = key,
                }
            }
            let mut expected: Vec<i64> = (0..40).collect();
            if !forward {
                expected.reverse();
            }
            assert_eq!(seen, expected, "forward {forward}, limit {limit}");
        }
    });
}

#[test]
fn a_page_ends_with_the_item_that_fills_it() {
    Node::new(2, 1).run(|client| async move {
        let table = client.create("things").await;
        for n in 0..30 {
            client.put("a", n, &[("x", Value::B(vec![1; 100 * 1024]))]).await;
        }
        let (vnode, from, to) = range(&client, &table, "a");
        let ask = scan(vnode, table.id, from.clone(), to.clone());
        let page = client.send(client.owner(vnode), Operation::Scan(ask)).await.unwrap().page();
        assert_eq!(
            page.items.len(),
            11,
            "ten items of a little over 100 KiB are a little over 1,000 KiB, not 1 MiB"
        );
        assert!(page.charged >= PAGE_BYTES_MAX && page.charged < PAGE_BYTES_MAX + 101 * 1024);
        assert_eq!(page.last.unwrap().1, key_attributes("a", 10));
        let ask = Scan { bytes_max: 1, ..scan(vnode, table.id, from, to) };
        let page = client.send(client.owner(vnode), Operation::Scan(ask)).await.unwrap().page();
        assert_eq!(page.items.len(), 1);
    });
}

#[test]
fn the_filter_comes_after_the_limit_and_the_projection_last() {
    Node::new(3, 1).run(|client| async move {
        let table = client.create("things").await;
        for n in 0..20 {
            client.put("a", n, &[("even", Value::Bool(n % 2 == 0)), ("n", number(n))]).await;
        }
        let (vnode, from, to) = range(&client, &table, "a");
        let ask = Scan {
            limit: 10,
            filter: Some(condition_program(
                "even = :t AND n <> :n",
                &[(":t", Value::Bool(true)), (":n", number(4))],
            )),
            projection: Some(projection_program("n")),
            ..scan(vnode, table.id, from, to)
        };
        let counted = Operation::Scan(Scan { count_only: true, ..ask.clone() });
        let page = client.send(client.owner(vnode), Operation::Scan(ask)).await.unwrap().page();
        assert_eq!((page.count, page.scanned), (4, 10));
        let expected: Vec<BTreeMap<_, _>> =
            [0, 2, 6, 8].map(|n| [("n".to_string(), number(n))].into()).into();
        assert_eq!(page.items, expected);
        assert_eq!(
            page.last.as_ref().unwrap().1,
            key_attributes("a", 9),
            "the last evaluated, not the last kept"
        );
        let counted = client.send(client.owner(vnode), counted).await.unwrap().page();
        assert_eq!(counted, PageAnswer { items: Vec::new(), ..page });
    });
}

#[test]
fn a_range_that_is_too_wide_is_cut_to_the_vnode_and_one_that_is_empty_is_empty() {
    Node::new(4, 2).run(|client| async move {
        let table = client.create("things").await;
        for n in 0..100 {
            client.put(&format!("p{n}"), 0, &[]).await;
        }
        assert_eq!(client.scan_all().await.len(), 100, "each vnode gave its own items, once");
        let other = client.create("other").await;
        client.put("a", 1, &[]).await;
        assert_eq!(client.scan_all().await.len(), 1, "tables do not mix");
        let wide = table_range(keyspace::ITEMS, table.id);
        let ask = scan(client.at("a", 1).vnode, other.id, wide.from, wide.to);
        let page = client.send(client.owner(ask.vnode), Operation::Scan(ask)).await.unwrap().page();
        assert_eq!(page.items.len(), 0, "another table's range is not this table's");
        let ask = scan(1, table.id, vec![9], vec![1]);
        let page = client.send(client.owner(1), Operation::Scan(ask)).await.unwrap().page();
        assert_eq!((page.items.len(), page.last), (0, None));
    });
}

#[test]
fn a_page_is_one_point_in_time_while_writes_go_on() {
    for seed in 0..15 {
        Node::with(crate::crash::small_world(seed), 1, crate::crash::small).run(|client| async move {
            let table = client.create("things").await;
            let rounds = 30;
            // One writer moves a token from item to item: in each state exactly one item has it. Two writes make a
            // move, so one page sees the token once, or both items during a move, but never none.
            for n in 0..20 {
                client.put("a", n, &[("token", Value::Bool(n == 0))]).await;
            }
            let writer = async {
                for n in 0..rounds {
                    client.put("a", (n + 1) % 20, &[("token", Value::Bool(true))]).await;
                    client.put("a", n % 20, &[("token", Value::Bool(false))]).await;
                }
                0
            };
            let (vnode, from, to) = range(&client, &table, "a");
            let reader = async {
                let mut pages = 0;
                for n in 0..rounds * 2 {
                    let ask = Scan { forward: n % 2 == 0, ..scan(vnode, table.id, from.clone(), to.clone()) };
                    let page = client.send(client.owner(vnode), Operation::Scan(ask)).await.unwrap().page();
                    assert_eq!(page.items.len(), 20);
                    let tokens = page.items.iter().filter(|item| item["token"] == Value::Bool(true)).count();
                    assert!((1..=2).contains(&tokens), "seed {seed}: {tokens} tokens");
                    pages += 1;
                    client.rt.yield_now().await;
                }
                pages
            };
            let both: [std::pin::Pin<Box<dyn Future<Output = i64>>>; 2] =
                [Box::pin(writer), Box::pin(reader)];
            assert_eq!(join_all(both).await[1], rounds * 2);
        });
    }
}
