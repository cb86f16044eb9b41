//! More than fits: pages of 1 MB, batches of 16 MB, items of 400 KB.

use std::collections::BTreeMap;

use router::RouterOptions;
use serde_json::{Value, json};

use crate::world::{Client, Server, with_server};

const TABLE: &str = r#"{"TableName":"ttt","BillingMode":"PAY_PER_REQUEST",
    "AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"},{"AttributeName":"s","AttributeType":"N"}],
    "KeySchema":[{"AttributeName":"p","KeyType":"HASH"},{"AttributeName":"s","KeyType":"RANGE"}]}"#;

async fn call(client: &Client, operation: &str, body: &Value) -> Value {
    let response = client.call(operation, &body.to_string()).await;
    assert_eq!(response.status, 200, "{operation}: {}", response.body);
    serde_json::from_str(&response.body).expect("answers are JSON")
}

fn item(partition: usize, sort: usize, bytes: usize) -> Value {
    json!({"p": {"S": format!("p{partition}")}, "s": {"N": sort.to_string()}, "v": {"S": "x".repeat(bytes)}})
}

/// A table of `partitions` with `each` items of `bytes`.
async fn filled(server: &Server, partitions: usize, each: usize, bytes: usize) -> Client {
    let client = Client::connect(server).await;
    assert_eq!(client.call("CreateTable", TABLE).await.status, 200);
    for partition in 0..partitions {
        for sort in 0..each {
            let body = json!({"TableName": "ttt", "Item": item(partition, sort, bytes)});
            assert_eq!(call(&client, "PutItem", &body).await, json!({}));
        }
    }
    client
}

/// Reads all pages; how often each key came, and the scanned count of each page.
async fn read_all(client: &Client, operation: &str, request: &Value) -> (BTreeMap<String, usize>, Vec<u64>) {
    let (mut keys, mut pages, mut request) = (BTreeMap::new(), Vec::new(), request.clone());
    loop {
        let page = call(client, operation, &request).await;
        for item in page["Items"].as_array().expect("items") {
            *keys.entry(format!("{}/{}", item["p"]["S"], item["s"]["N"])).or_default() += 1;
        }
        pages.push(page["ScannedCount"].as_u64().expect("a count"));
        match page.get("LastEvaluatedKey") {
            Some(last) => request["ExclusiveStartKey"] = last.clone(),
            None => return (keys, pages),
        }
    }
}

fn check_all_once(keys: &BTreeMap<String, usize>, count: usize) {
    assert_eq!(keys.len(), count);
    assert!(keys.values().all(|times| *times == 1), "{keys:?}");
}

#[test]
fn scans_go_on_where_they_ended() {
    with_server(RouterOptions::default(), |server| async move {
        let client = filled(&server, 40, 2, 50_000).await;
        let (keys, pages) = read_all(&client, "Scan", &json!({"TableName": "ttt"})).await;
        check_all_once(&keys, 80);
        // 1 MiB is reached with the 21st item of 50 kB.
        assert_eq!(pages, [21, 21, 21, 17]);
        for limit in [1, 3, 7] {
            let request = json!({"TableName": "ttt", "Limit": limit, "ProjectionExpression": "p, s"});
            let (keys, pages) = read_all(&client, "Scan", &request).await;
            check_all_once(&keys, 80);
            assert!(pages.iter().all(|scanned| *scanned <= limit), "{pages:?}");
            assert!(
                pages[..pages.len() - 1].iter().all(|scanned| *scanned == limit),
                "full but the last: {pages:?}"
            );
        }
        let mut all = BTreeMap::new();
        for segment in 0..7 {
            let request = json!({"TableName": "ttt", "Limit": 5, "Segment": segment, "TotalSegments": 7});
            let (keys, _) = read_all(&client, "Scan", &request).await;
            keys.into_iter().for_each(|(key, times)| *all.entry(key).or_default() += times);
        }
        check_all_once(&all, 80);
    });
}

#[test]
fn queries_go_on_where_they_ended() {
    with_server(RouterOptions::default(), |server| async move {
        let client = filled(&server, 2, 50, 50_000).await;
        for forward in [true, false] {
            let request = json!({
                "TableName": "ttt", "KeyConditionExpression": "p = :p", "ScanIndexForward": forward,
                "ExpressionAttributeValues": {":p": {"S": "p1"}},
            });
            let (keys, pages) = read_all(&client, "Query", &request).await;
            check_all_once(&keys, 50);
            assert_eq!(pages, [21, 21, 8]);
        }
        let request = json!({
            "TableName": "ttt", "KeyConditionExpression": "p = :p AND s >= :s", "Limit": 4,
            "ExpressionAttributeValues": {":p": {"S": "p0"}, ":s": {"N": "38"}},
        });
        let (keys, pages) = read_all(&client, "Query", &request).await;
        check_all_once(&keys, 12);
        assert_eq!(pages, [4, 4, 4, 0], "a limit that is reached names its key, whatever follows");
    });
}

#[test]
fn capacity_counts_all_that_was_read() {
    with_server(RouterOptions::default(), |server| async move {
        let client = filled(&server, 1, 3, 10_000).await;
        let request = json!({
            "TableName": "ttt", "KeyConditionExpression": "p = :p", "ReturnConsumedCapacity": "TOTAL",
            "ExpressionAttributeValues": {":p": {"S": "p0"}, ":none": {"S": "y"}}, "FilterExpression": "v = :none",
        });
        let page = call(&client, "Query", &request).await;
        assert_eq!((&page["Count"], &page["ScannedCount"]), (&json!(0), &json!(3)));
        // 30,021 bytes are 8 units of 4 KiB.
        assert_eq!(page["ConsumedCapacity"]["CapacityUnits"], json!(4.0));
        let request = json!({"TableName": "ttt", "Item": item(0, 0, 10), "ReturnConsumedCapacity": "TOTAL"});
        let written = call(&client, "PutItem", &request).await;
        assert_eq!(written["ConsumedCapacity"]["CapacityUnits"], json!(10.0), "the larger one counts");
        let key = json!({"p": {"S": "p0"}, "s": {"N": "1"}});
        let request = json!({"TableName": "ttt", "Key": key, "ReturnConsumedCapacity": "TOTAL"});
        assert_eq!(call(&client, "GetItem", &request).await["ConsumedCapacity"]["CapacityUnits"], json!(1.5));
        assert_eq!(
            call(&client, "DeleteItem", &request).await["ConsumedCapacity"]["CapacityUnits"],
            json!(10.0)
        );
        assert_eq!(
            call(&client, "DeleteItem", &request).await["ConsumedCapacity"]["CapacityUnits"],
            json!(1.0)
        );
    });
}

#[test]
fn batches_hand_back_what_does_not_fit() {
    with_server(RouterOptions::default(), |server| async move {
        let client = filled(&server, 50, 1, 399_000).await;
        let keys: Vec<Value> =
            (0..50).map(|partition| json!({"p": {"S": format!("p{partition}")}, "s": {"N": "0"}})).collect();
        let mut asked = json!({"ttt": {
            "Keys": keys, "ProjectionExpression": "#p, s", "ExpressionAttributeNames": {"#p": "p"}, "ConsistentRead": true,
        }});
        let (mut found, mut rounds) = (Vec::new(), 0);
        while asked.as_object().is_some_and(|tables| !tables.is_empty()) {
            let answer = call(&client, "BatchGetItem", &json!({"RequestItems": asked})).await;
            let items = answer["Responses"]["ttt"].as_array().expect("items");
            assert!(items.len() <= 42, "16 MiB hold 42 of 399 kB, not {}", items.len());
            found.extend(items.iter().map(|item| item["p"]["S"].to_string()));
            asked = answer["UnprocessedKeys"].clone();
            rounds += 1;
        }
        found.sort();
        found.dedup();
        assert_eq!((found.len(), rounds), (50, 2));
    });
}

#[test]
fn items_are_bounded() {
    with_server(RouterOptions::default(), |server| async move {
        let client = filled(&server, 1, 1, 0).await;
        // "p", "p0", "s", the number's byte and a half, "v": what is left of 400 KiB.
        let room = 400 * 1024 - 7;
        for (bytes, status) in [(room - 20, 200), (room + 20, 400)] {
            let body = json!({"TableName": "ttt", "Item": item(0, 5, bytes)}).to_string();
            let response = client.call("PutItem", &body).await;
            assert_eq!(response.status, status, "{bytes}: {}", response.body);
            assert_eq!(
                response.body.contains("Item size has exceeded the maximum allowed size"),
                status == 400
            );
            let batch = format!(
                r#"{{"RequestItems":{{"ttt":[{{"PutRequest":{}}}]}}}}"#,
                json!({"Item": item(0, 5, bytes)})
            );
            assert_eq!(client.call("BatchWriteItem", &batch).await.status, status, "{bytes}");
        }
    });
}

#[test]
fn too_many_parts_are_refused() {
    with_server(RouterOptions::default(), |server| async move {
        let client = filled(&server, 1, 1, 0).await;
        let keys = |count: usize| {
            (0..count).map(|sort| json!({"p": {"S": "p"}, "s": {"N": sort.to_string()}})).collect::<Vec<_>>()
        };
        let get = |keys: Vec<Value>| json!({"RequestItems": {"ttt": {"Keys": keys}}}).to_string();
        assert_eq!(client.call("BatchGetItem", &get(keys(100))).await.status, 200);
        let response = client.call("BatchGetItem", &get(keys(101))).await;
        let rule = "at 'requestItems.ttt.member.keys' failed to satisfy constraint: \
                    Member must have length less than or equal to 100";
        assert!(response.status == 400 && response.body.contains(rule), "{}", response.body);
        let write = |keys: Vec<Value>| {
            let requests: Vec<Value> =
                keys.into_iter().map(|key| json!({"DeleteRequest": {"Key": key}})).collect();
            json!({"RequestItems": {"ttt": requests}}).to_string()
        };
        assert_eq!(client.call("BatchWriteItem", &write(keys(25))).await.status, 200);
        let response = client.call("BatchWriteItem", &write(keys(26))).await;
        let rule = "Map value must satisfy constraint: [Member must have length less than or equal to 25, \
                    Member must have length greater than or equal to 1]";
        assert!(response.status == 400 && response.body.contains(rule), "{}", response.body);
    });
}
