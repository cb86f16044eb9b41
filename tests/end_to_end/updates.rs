//! UpdateItem: the four clauses, functions, nested paths, and what ReturnValues returns.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};

use crate::server::{assert_refused, n, s, server_with_table};

#[tokio::test]
async fn set_remove_add_delete() {
    let (_server, client) = server_with_table(None).await;
    let list = AttributeValue::L(vec![n(1), n(2), n(3)]);
    let set = AttributeValue::Ss(vec!["a".into(), "b".into(), "c".into()]);
    let put = client
        .put_item()
        .table_name("tab")
        .item("p", s("k"))
        .item("count", n(5))
        .item("list", list)
        .item("tags", set);
    put.item("gone", s("x")).send().await.unwrap();
    update(
        &client,
        "SET #l[1] = :nine, fresh = if_not_exists(fresh, :nine) REMOVE gone ADD #c :nine DELETE tags :two",
    )
    .expression_attribute_names("#l", "list")
    .expression_attribute_names("#c", "count")
    .expression_attribute_values(":nine", n(9))
    .expression_attribute_values(":two", AttributeValue::Ss(vec!["a".into(), "z".into()]))
    .send()
    .await
    .unwrap();
    let mut item = read(&client).await;
    if let Some(AttributeValue::Ss(tags)) = item.get_mut("tags") {
        tags.sort();
    }
    let expected = HashMap::from([
        ("p".to_string(), s("k")),
        ("count".to_string(), n(14)),
        ("fresh".to_string(), n(9)),
        ("list".to_string(), AttributeValue::L(vec![n(1), n(9), n(3)])),
        ("tags".to_string(), AttributeValue::Ss(vec!["b".into(), "c".into()])),
    ]);
    assert_eq!(item, expected);
}

#[tokio::test]
async fn an_update_of_nothing_creates_the_item() {
    let (_server, client) = server_with_table(None).await;
    update(&client, "ADD visits :one").expression_attribute_values(":one", n(1)).send().await.unwrap();
    assert_eq!(read(&client).await, HashMap::from([("p".to_string(), s("k")), ("visits".to_string(), n(1))]));
    client.update_item().table_name("tab").key("p", s("bare")).send().await.unwrap();
    let got =
        client.get_item().table_name("tab").key("p", s("bare")).consistent_read(true).send().await.unwrap();
    assert_eq!(got.item.unwrap(), HashMap::from([("p".to_string(), s("bare"))]));
}

#[tokio::test]
async fn arithmetic_and_list_append_see_the_old_item() {
    let (_server, client) = server_with_table(None).await;
    let list = AttributeValue::L(vec![n(2)]);
    client
        .put_item()
        .table_name("tab")
        .item("p", s("k"))
        .item("a", n("0.1"))
        .item("b", n("0.2"))
        .item("l", list)
        .send()
        .await
        .unwrap();
    update(&client, "SET a = a + b, b = a - b, l = list_append(:front, l)")
        .expression_attribute_values(":front", AttributeValue::L(vec![n(1)]))
        .send()
        .await
        .unwrap();
    let item = read(&client).await;
    assert_eq!((&item["a"], &item["b"]), (&n("0.3"), &n("-0.1")));
    assert_eq!(item["l"], AttributeValue::L(vec![n(1), n(2)]));
}

#[tokio::test]
async fn return_values_return_what_was_touched() {
    let (_server, client) = server_with_table(None).await;
    let map = AttributeValue::M(HashMap::from([("x".to_string(), n(1)), ("y".to_string(), n(2))]));
    client
        .put_item()
        .table_name("tab")
        .item("p", s("k"))
        .item("m", map)
        .item("other", n(0))
        .send()
        .await
        .unwrap();
    let step = |value: i32, returns: ReturnValue| {
        update(&client, "SET m.x = :v")
            .expression_attribute_values(":v", n(value))
            .return_values(returns)
            .send()
    };
    let only_x = |value: i32| {
        HashMap::from([("m".to_string(), AttributeValue::M(HashMap::from([("x".to_string(), n(value))])))])
    };
    assert_eq!(step(2, ReturnValue::UpdatedOld).await.unwrap().attributes.unwrap(), only_x(1));
    assert_eq!(step(3, ReturnValue::UpdatedNew).await.unwrap().attributes.unwrap(), only_x(3));
    let old = step(4, ReturnValue::AllOld).await.unwrap().attributes.unwrap();
    assert_eq!((old.len(), &old["m"].as_m().unwrap()["x"]), (3, &n(3)));
    let new = step(5, ReturnValue::AllNew).await.unwrap().attributes.unwrap();
    assert_eq!((new.len(), &new["m"].as_m().unwrap()["x"]), (3, &n(5)));
    assert_eq!(step(6, ReturnValue::None).await.unwrap().attributes, None);
}

#[tokio::test]
async fn many_clients_count_without_losing_one() {
    let (_server, client) = server_with_table(None).await;
    let (clients, rounds) = (16, 25);
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                for _ in 0..rounds {
                    update(&client, "ADD v :one")
                        .expression_attribute_values(":one", n(1))
                        .send()
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(read(&client).await["v"], n(clients * rounds));
}

#[tokio::test]
async fn a_failed_condition_changes_nothing_and_shows_the_item() {
    let (_server, client) = server_with_table(None).await;
    client.put_item().table_name("tab").item("p", s("k")).item("v", n(1)).send().await.unwrap();
    let result = update(&client, "SET v = :new")
        .condition_expression("v = :old")
        .expression_attribute_values(":new", n(3))
        .expression_attribute_values(":old", n(2))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .send()
        .await;
    let error = result.unwrap_err().into_service_error();
    let aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException(failed) =
        error
    else {
        panic!("{error:?}");
    };
    assert_eq!(failed.message(), Some("The conditional request failed"));
    assert_eq!(failed.item().unwrap()["v"], n(1));
    assert_eq!(read(&client).await["v"], n(1));
}

#[tokio::test]
async fn wrong_updates_are_refused() {
    let (_server, client) = server_with_table(None).await;
    let put = client.put_item().table_name("tab").item("p", s("k")).item("word", s("x")).item("num", n(1));
    put.send().await.unwrap();
    let check = |expression: &'static str, part: &'static str| {
        let request = update(&client, expression);
        async move {
            let request = if expression.contains(":v") {
                request.expression_attribute_values(":v", n(1))
            } else {
                request
            };
            assert_refused(request.send().await, "ValidationException", part);
        }
    };
    check("", "The expression can not be empty").await;
    check("SET", "Syntax error").await;
    check("SET word = word + :v", "incorrect data type").await;
    check("SET a = absent", "does not exist in the item").await;
    check("SET p = :v", "This attribute is part of the key").await;
    check("SET a.b = :v", "document path provided in the update expression is invalid for update").await;
    check("SET num = :v, num = :v", "Two document paths overlap").await;
    check("SET num = :v SET word = :v", "can only be used once").await;
    check("SET size = :v", "reserved keyword").await;
    check("SET num = :undefined", "not defined").await;
    check("SET num = nope(:v)", "Invalid function name").await;
    check("ADD word :v", "incorrect data type").await;
    assert_eq!(read(&client).await["num"], n(1), "a refused update changes nothing");
}

fn update(client: &Client, expression: &str) -> UpdateItemFluentBuilder {
    client.update_item().table_name("tab").key("p", s("k")).update_expression(expression)
}

async fn read(client: &Client) -> HashMap<String, AttributeValue> {
    client
        .get_item()
        .table_name("tab")
        .key("p", s("k"))
        .consistent_read(true)
        .send()
        .await
        .unwrap()
        .item
        .unwrap()
}
