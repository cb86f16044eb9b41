//! Condition expressions: every operator and function, against one item, by put, delete and update.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::server::{assert_refused, b, n, s, server_with_table};

/// Values that the expressions below may name.
fn values() -> HashMap<&'static str, AttributeValue> {
    HashMap::from([
        (":one", n(1)),
        (":five", n(5)),
        (":five_again", n("5.0")),
        (":nine", n(9)),
        (":al", s("al")),
        (":alpha", s("alpha")),
        (":beta", s("beta")),
        (":true", AttributeValue::Bool(true)),
        (":S", s("S")),
        (":N", s("N")),
        (":L", s("L")),
        (":bytes", b(&[1, 2])),
        (":set", AttributeValue::Ns(vec!["2".into(), "1".into()])),
    ])
}

#[tokio::test]
async fn every_operator_and_function() {
    let (_server, client) = server_with_table(None).await;
    let map = AttributeValue::M(HashMap::from([("leaf".to_string(), AttributeValue::L(vec![n(7), s("x")]))]));
    let put =
        client.put_item().table_name("tab").item("p", s("k")).item("num", n(5)).item("word", s("alpha"));
    let put =
        put.item("flagged", AttributeValue::Bool(true)).item("tree", map).item("raw_bytes", b(&[1, 2, 3]));
    put.item("nums", AttributeValue::Ns(vec!["1".into(), "2".into()])).send().await.unwrap();

    let cases: &[(&str, bool)] = &[
        ("num = :five", true),
        ("num = :five_again", true),
        ("num <> :five", false),
        ("num < :nine", true),
        ("num <= :five", true),
        ("num > :five", false),
        ("num >= :five", true),
        ("num BETWEEN :one AND :nine", true),
        ("num BETWEEN :nine AND :nine", false),
        ("num IN (:one, :five)", true),
        ("num IN (:one, :nine)", false),
        ("num = :alpha", false),
        ("word > :al", true),
        ("begins_with(word, :al)", true),
        ("begins_with(word, :beta)", false),
        ("begins_with(raw_bytes, :bytes)", true),
        ("contains(word, :al)", true),
        ("contains(nums, :one)", true),
        ("contains(nums, :nine)", false),
        ("nums = :set", true),
        ("flagged = :true", true),
        ("attribute_exists(num)", true),
        ("attribute_exists(absent)", false),
        ("attribute_not_exists(absent)", true),
        ("attribute_exists(tree.leaf[1])", true),
        ("attribute_exists(tree.leaf[2])", false),
        ("attribute_type(word, :S)", true),
        ("attribute_type(word, :N)", false),
        ("attribute_type(tree.leaf, :L)", true),
        ("size(word) = :five", true),
        ("size(nums) < :five AND size(tree) = :one", true),
        ("tree.leaf[0] > :five", true),
        ("NOT num = :five", false),
        ("NOT (num = :one OR word = :beta)", true),
        ("num = :one OR word = :alpha AND flagged = :true", true),
        ("(num = :one OR word = :alpha) AND num = :nine", false),
        ("absent = :one", false),
        ("absent <> :one", true),
        ("absent < :one", false),
        ("word = num", false),
        ("num = num", true),
    ];
    for (expression, expected) in cases {
        // `num = num` is refused by DynamoDB: both operands are the same.
        if *expression == "num = num" {
            let request =
                client.delete_item().table_name("tab").key("p", s("other")).condition_expression(*expression);
            assert_refused(request.send().await, "ValidationException", "distinct");
            continue;
        }
        assert_eq!(holds(&client, expression).await, *expected, "{expression}");
    }
}

#[tokio::test]
async fn put_and_delete_obey_conditions() {
    let (_server, client) = server_with_table(None).await;
    let create = || {
        let put = client.put_item().table_name("tab").item("p", s("k"));
        put.condition_expression("attribute_not_exists(p)").send()
    };
    create().await.unwrap();
    assert_refused(create().await, "ConditionalCheckFailedException", "The conditional request failed");
    let delete = client
        .delete_item()
        .table_name("tab")
        .key("p", s("k"))
        .condition_expression("attribute_exists(gone_away)");
    assert_refused(delete.send().await, "ConditionalCheckFailedException", "The conditional request failed");
    let delete =
        client.delete_item().table_name("tab").key("p", s("k")).condition_expression("attribute_exists(p)");
    delete.send().await.unwrap();
    create().await.unwrap();
}

#[tokio::test]
async fn one_of_many_racers_wins() {
    let (_server, client) = server_with_table(None).await;
    let tasks: Vec<_> = (0..20)
        .map(|racer| {
            let put = client.put_item().table_name("tab").item("p", s("race")).item("winner", n(racer));
            tokio::spawn(put.condition_expression("attribute_not_exists(p)").send())
        })
        .collect();
    let mut winners = 0;
    for task in tasks {
        winners += usize::from(task.await.unwrap().is_ok());
    }
    assert_eq!(winners, 1);
}

#[tokio::test]
async fn wrong_conditions_are_refused() {
    let (_server, client) = server_with_table(None).await;
    let deep = format!("{}num = :one{}", "(".repeat(20_000), ")".repeat(20_000));
    let nots = format!("{}num = :one", "NOT ".repeat(1_000));
    let cases: &[(&str, &str)] = &[
        ("num = ", "Syntax error"),
        ("num == :one", "Syntax error"),
        ("status = :one", "reserved keyword"),
        ("num = :undefined", "attribute value: :undefined"),
        ("#undefined = :one", "attribute name: #undefined"),
        ("unknown(num)", "Invalid function name"),
        ("begins_with(num)", "Incorrect number of operands"),
        ("num BETWEEN :nine AND :one", "BETWEEN"),
        ("((num = :one))", "redundant parentheses"),
        (&deep, "Expression size has exceeded"),
        (&nots, "ValidationException is enough"),
    ];
    for (expression, part) in cases {
        let mut request =
            client.put_item().table_name("tab").item("p", s("k")).condition_expression(*expression);
        for (name, value) in values() {
            if expression.contains(name) && expression.len() < 5_000 {
                request = request.expression_attribute_values(name, value);
            }
        }
        let (code, message) = crate::server::refusal(request.send().await);
        assert_eq!(code, "ValidationException", "{part}: {message}");
        assert!(*part == "ValidationException is enough" || message.contains(part), "{part}: {message}");
    }
}

/// Whether a condition holds for the item with key `k`: an update without effect succeeds or fails on it.
async fn holds(client: &Client, expression: &str) -> bool {
    let mut request =
        client.update_item().table_name("tab").key("p", s("k")).condition_expression(expression);
    for (name, value) in values() {
        let named =
            expression.split(|c: char| !c.is_alphanumeric() && c != ':' && c != '_').any(|word| word == name);
        if named {
            request = request.expression_attribute_values(name, value);
        }
    }
    match request.send().await {
        Ok(_) => true,
        Err(error) => {
            let (code, message) = crate::server::refusal(Err::<(), _>(error));
            assert_eq!(code, "ConditionalCheckFailedException", "{expression}: {message}");
            false
        }
    }
}
