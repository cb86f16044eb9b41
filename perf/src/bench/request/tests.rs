//! Requests are HTTP that a parser accepts, with JSON that says what was asked.

use super::*;
use crate::bench::options::tests::options;

fn requests(arguments: &str) -> Requests {
    Requests::new(&options(arguments).plan().expect("valid"), 7)
}

/// The operation and the JSON body of one request.
fn parse(request: &[u8]) -> (String, serde_json::Value) {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut parsed = httparse::Request::new(&mut headers);
    let head = parsed.parse(request).expect("HTTP").unwrap();
    let header = |name: &str| {
        let found = parsed.headers.iter().find(|header| header.name == name).expect(name);
        String::from_utf8(found.value.to_vec()).expect("ASCII")
    };
    let length: usize = header("content-length").trim().parse().expect("a number");
    assert_eq!(request.len(), head + length);
    let target = header("x-amz-target");
    let operation = target.strip_prefix("DynamoDB_20120810.").expect("the prefix").to_owned();
    (operation, serde_json::from_slice(&request[head..]).expect("JSON"))
}

/// Bytes as DynamoDB charges them, computed the slow way.
fn charged(item: &serde_json::Value) -> usize {
    let attributes = item.as_object().expect("a map");
    let value = |value: &serde_json::Value| match value["N"].as_str() {
        Some(number) => 1 + number.trim_end_matches('0').len().max(1).div_ceil(2),
        None => value["S"].as_str().expect("S or N").len(),
    };
    attributes.iter().map(|(name, v)| name.len() + value(v)).sum()
}

#[test]
fn a_put_carries_key_version_and_exactly_the_bytes_asked_for() {
    for item_bytes in [64, 100, 1024, 400 * 1024] {
        let requests = requests(&format!("--workload put --table my.table --item-bytes {item_bytes}"));
        for version in [1, 9, 10, 99, 1_230_000, u64::from(u32::MAX)] {
            let mut request = Vec::new();
            requests.put(&mut request, 42, version, Demand::Nothing, 0);
            let (operation, body) = parse(&request);
            assert_eq!(operation, "PutItem");
            assert_eq!(body["TableName"], "my.table");
            assert_eq!(body["Item"]["pk"]["S"], "k0000000000000042");
            assert_eq!(body["Item"]["v"]["N"], version.to_string());
            assert_eq!(charged(&body["Item"]), item_bytes);
        }
    }
}

#[test]
fn a_get_names_its_key_and_its_consistency() {
    let mut request = Vec::new();
    requests("--workload get").get(&mut request, 7);
    let (operation, body) = parse(&request);
    assert_eq!(operation, "GetItem");
    assert_eq!(body["Key"], serde_json::json!({"pk": {"S": "k0000000000000007"}}));
    assert!(body.get("ConsistentRead").is_none());

    requests("--workload get --consistent").get(&mut request, 7);
    assert_eq!(parse(&request).1["ConsistentRead"], true);
}

#[test]
fn a_batch_carries_every_item_whole() {
    let mut request = Vec::new();
    let requests = requests("--workload load --table abc");
    requests.batch(&mut request, [1, 3, 5].into_iter().map(|key| (key, 1)));
    let (operation, body) = parse(&request);
    assert_eq!(operation, "BatchWriteItem");
    let puts = body["RequestItems"]["abc"].as_array().expect("a list");
    let keys: Vec<_> =
        puts.iter().map(|put| put["PutRequest"]["Item"]["pk"]["S"].as_str().expect("S")).collect();
    assert_eq!(keys, ["k0000000000000001", "k0000000000000003", "k0000000000000005"]);
    assert!(puts.iter().all(|put| charged(&put["PutRequest"]["Item"]) == 1024));
}

#[test]
fn table_requests_are_whole() {
    let requests = requests("--workload put --table abc");
    let (operation, body) = parse(&requests.create_table());
    assert_eq!(operation, "CreateTable");
    assert_eq!(body["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(body["KeySchema"][0]["AttributeName"], "pk");
    assert_eq!(
        parse(&requests.describe_table()),
        ("DescribeTable".into(), serde_json::json!({"TableName": "abc"}))
    );
    assert_eq!(parse(&requests.delete_table()).0, "DeleteTable");
}

#[test]
fn a_sort_key_is_in_the_table_the_items_and_their_bytes() {
    let requests = requests("--workload e --table abc --item-bytes 200");
    let (_, table) = parse(&requests.create_table());
    assert_eq!(table["KeySchema"][1], serde_json::json!({"AttributeName": "sk", "KeyType": "RANGE"}));
    assert_eq!(table["AttributeDefinitions"][1]["AttributeName"], "sk");
    let mut request = Vec::new();
    requests.put(&mut request, 3042, 7, Demand::Nothing, 0);
    let (_, put) = parse(&request);
    assert_eq!(
        (&put["Item"]["pk"]["S"], &put["Item"]["sk"]["S"]),
        (&"k0000000000000003".into(), &"s00000042".into())
    );
    assert_eq!(charged(&put["Item"]), 200);
    let contents = requests.contents();
    assert_eq!(contents.key_of("k0000000000000003", Some("s00000042")), Some(3042));
    assert_eq!(contents.key_of("k0000000000000003", None), None);
    assert_eq!(contents.group_end(3042), 3999);
    assert_eq!(contents.key_texts(3042), ("k0000000000000003".to_owned(), Some("s00000042".to_owned())));
}

#[test]
fn a_query_goes_on_from_its_item() {
    let mut request = Vec::new();
    requests("--workload e --consistent").query(&mut request, 3042, 17);
    let (operation, body) = parse(&request);
    assert_eq!((operation.as_str(), &body["Limit"]), ("Query", &17.into()));
    assert_eq!(body["KeyConditionExpression"], "pk = :p AND sk >= :s");
    let values = serde_json::json!({":p": {"S": "k0000000000000003"}, ":s": {"S": "s00000042"}});
    assert_eq!((&body["ExpressionAttributeValues"], &body["ConsistentRead"]), (&values, &true.into()));
}

#[test]
fn the_other_operations_name_their_items() {
    let (mut request, plain) = (Vec::new(), requests("--workload put --table abc --item-bytes 100"));
    plain.update(&mut request, 5, 9, 0);
    let (operation, body) = parse(&request);
    assert_eq!((operation.as_str(), &body["UpdateExpression"]), ("UpdateItem", &"SET v = :v, d = :d".into()));
    assert_eq!(body["ExpressionAttributeValues"][":v"]["N"], "9");
    let filler = std::str::from_utf8(plain.contents().filler(5, 9)).expect("letters");
    assert_eq!(body["ExpressionAttributeValues"][":d"]["S"], filler);
    plain.delete(&mut request, 5);
    assert_eq!(parse(&request).1["Key"]["pk"]["S"], "k0000000000000005");
    plain.batch_get(&mut request, [1, 2].into_iter());
    let (operation, body) = parse(&request);
    assert_eq!(operation, "BatchGetItem");
    assert_eq!(body["RequestItems"]["abc"]["Keys"].as_array().map(Vec::len), Some(2));
    for (demand, expected) in
        [(Demand::Exists, "attribute_exists(pk)"), (Demand::Absent, "attribute_not_exists(pk)")]
    {
        plain.put(&mut request, 5, 1, demand, 300);
        let (_, body) = parse(&request);
        assert_eq!(body["ConditionExpression"], expected);
        assert_eq!(charged(&body["Item"]), 300, "a size that was asked for");
    }
}

#[test]
fn a_finished_request_can_ask_for_its_stages() {
    let mut request = Vec::new();
    requests("--workload get").get(&mut request, 7);
    let before = parse(&request);
    Requests::ask_for_stages(&mut request);
    assert_eq!(parse(&request), before);
    assert!(request.windows(19).any(|part| part == b"\r\nx-torc-trace: 1\r\n"));
}

#[test]
fn fillers_differ_by_key_version_and_seed_and_repeat_otherwise() {
    let contents = |seed| Contents::new(crate::bench::sizes::Sizes::Fixed(1024).lay_out(), None, seed);
    let one = contents(1);
    assert_eq!(one.filler(1, 1), contents(1).filler(1, 1));
    assert_ne!(one.filler(1, 1), one.filler(2, 1));
    assert_ne!(one.filler(1, 1), one.filler(1, 2));
    assert_ne!(one.filler(1, 1), contents(2).filler(1, 1));
}
