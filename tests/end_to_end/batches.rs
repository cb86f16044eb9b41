//! BatchWriteItem and BatchGetItem: many items in one request, over several tables and all cores.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::{
    AttributeValue, DeleteRequest, KeysAndAttributes, PutRequest, ReturnConsumedCapacity, WriteRequest,
};

use crate::server::{assert_refused, create_table, n, s, server_with_table};

#[tokio::test]
async fn writes_and_reads_over_two_tables() {
    let (_server, client) = server_with_table(None).await;
    create_table(&client, "other", None).await;
    let puts = |count: usize| (0..count).map(|number| put(&format!("k{number}"), number)).collect::<Vec<_>>();
    let written = client
        .batch_write_item()
        .request_items("tab", puts(15))
        .request_items("other", puts(10))
        .send()
        .await
        .unwrap();
    assert!(written.unprocessed_items.unwrap_or_default().is_empty());

    let mut keys = KeysAndAttributes::builder().consistent_read(true);
    for number in 0..20 {
        keys = keys.keys(HashMap::from([("p".to_string(), s(format!("k{number}")))]));
    }
    let other = KeysAndAttributes::builder()
        .keys(HashMap::from([("p".to_string(), s("k3"))]))
        .projection_expression("v");
    let got = client
        .batch_get_item()
        .request_items("tab", keys.build().unwrap())
        .request_items("other", other.build().unwrap())
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .send()
        .await
        .unwrap();
    let responses = got.responses.unwrap();
    let seen: BTreeSet<_> = responses["tab"].iter().map(|item| item["p"].as_s().unwrap().clone()).collect();
    assert_eq!(seen, (0..15).map(|number| format!("k{number}")).collect());
    assert_eq!(responses["other"], [HashMap::from([("v".to_string(), n(3))])]);
    assert_eq!(got.consumed_capacity.unwrap().len(), 2);

    let deletes = (0..15).map(|number| delete(&format!("k{number}"))).collect();
    client.batch_write_item().request_items("tab", deletes).send().await.unwrap();
    assert_eq!(client.scan().table_name("tab").consistent_read(true).send().await.unwrap().count(), 0);
}

#[tokio::test]
async fn a_response_over_sixteen_megabytes_leaves_keys_for_later() {
    let (_server, client) = server_with_table(None).await;
    for number in 0..50 {
        let put = client.put_item().table_name("tab").item("p", s(format!("k{number}")));
        put.item("v", s("x".repeat(390_000))).send().await.unwrap();
    }
    let all = (0..50).map(|number| HashMap::from([("p".to_string(), s(format!("k{number}")))])).collect();
    let mut pending = Some(KeysAndAttributes::builder().set_keys(Some(all)).build().unwrap());
    let (mut seen, mut rounds) = (BTreeSet::new(), 0);
    while let Some(keys) = pending.take() {
        let got = client.batch_get_item().request_items("tab", keys).send().await.unwrap();
        rounds += 1;
        for item in got.responses.unwrap().remove("tab").unwrap_or_default() {
            assert!(seen.insert(item["p"].as_s().unwrap().clone()), "got twice");
        }
        pending = got.unprocessed_keys.and_then(|mut keys| keys.remove("tab"));
    }
    assert_eq!(seen.len(), 50);
    assert!(rounds >= 2, "nineteen megabytes do not fit into one response");
}

#[tokio::test]
async fn wrong_batches_are_refused() {
    let (_server, client) = server_with_table(None).await;
    let write = |requests: Vec<WriteRequest>| client.batch_write_item().request_items("tab", requests).send();
    let many = (0..26).map(|number| put(&number.to_string(), number)).collect();
    assert_refused(write(many).await, "ValidationException", "25");
    assert_refused(write(vec![put("a", 1), put("a", 2)]).await, "ValidationException", "contains duplicates");
    assert_refused(write(vec![put("a", 1), delete("a")]).await, "ValidationException", "contains duplicates");
    let absent = client.batch_write_item().request_items("absent", vec![put("a", 1)]);
    assert_refused(absent.send().await, "ResourceNotFoundException", "Requested resource not found");

    let key = |name: &str| HashMap::from([("p".to_string(), s(name))]);
    let twice = KeysAndAttributes::builder().keys(key("a")).keys(key("a")).build().unwrap();
    let get = client.batch_get_item().request_items("tab", twice);
    assert_refused(get.send().await, "ValidationException", "contains duplicates");
    let many = (0..101).map(|number| key(&number.to_string())).collect();
    let get = client
        .batch_get_item()
        .request_items("tab", KeysAndAttributes::builder().set_keys(Some(many)).build().unwrap());
    assert_refused(get.send().await, "ValidationException", "100");
}

fn put(key: &str, value: usize) -> WriteRequest {
    let request = PutRequest::builder().item("p", s(key)).item("v", n(value)).build().unwrap();
    WriteRequest::builder().put_request(request).build()
}

fn delete(key: &str) -> WriteRequest {
    let key: HashMap<String, AttributeValue> = HashMap::from([("p".to_string(), s(key))]);
    WriteRequest::builder()
        .delete_request(DeleteRequest::builder().set_key(Some(key)).build().unwrap())
        .build()
}
