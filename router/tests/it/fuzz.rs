//! Requests with random changes: each is answered or its connection closed, and the server goes on.

use router::RouterOptions;

use crate::world::{Client, request, with_server};

const CALLS: &[(&str, &str)] = &[
    (
        "PutItem",
        r##"{"TableName":"ttt","Item":{"p":{"S":"a"},"x":{"M":{"y":{"L":[{"N":"1.5"},{"NULL":true}]}}}},"ConditionExpression":"#a > :v OR size(x.y[0]) IN (:v, :w)","ExpressionAttributeNames":{"#a":"b"},"ExpressionAttributeValues":{":v":{"N":"7"},":w":{"SS":["a","b"]}},"ReturnValues":"ALL_OLD"}"##,
    ),
    (
        "UpdateItem",
        r##"{"TableName":"ttt","Key":{"p":{"S":"a"}},"UpdateExpression":"SET b = if_not_exists(b, :z) + :v REMOVE x.y[1] ADD c :v","ExpressionAttributeValues":{":v":{"N":"7"},":z":{"N":"0"}},"ReturnValues":"UPDATED_NEW","ReturnConsumedCapacity":"TOTAL"}"##,
    ),
    (
        "GetItem",
        r##"{"TableName":"ttt","Key":{"p":{"S":"a"}},"ProjectionExpression":"x.y[0], b","ConsistentRead":true}"##,
    ),
    (
        "Query",
        r##"{"TableName":"ttt","KeyConditionExpression":"p = :p","FilterExpression":"attribute_type(b, :t)","ExpressionAttributeValues":{":p":{"S":"a"},":t":{"S":"N"}},"Limit":3,"Select":"COUNT","ScanIndexForward":false}"##,
    ),
    (
        "Scan",
        r##"{"TableName":"ttt","Limit":2,"TotalSegments":4,"Segment":3,"ExclusiveStartKey":{"p":{"S":"a"}}}"##,
    ),
    (
        "BatchWriteItem",
        r##"{"RequestItems":{"ttt":[{"PutRequest":{"Item":{"p":{"S":"q"},"b":{"B":"AAEC"}}}},{"DeleteRequest":{"Key":{"p":{"S":"z"}}}}]}}"##,
    ),
    (
        "BatchGetItem",
        r##"{"RequestItems":{"ttt":{"Keys":[{"p":{"S":"q"}},{"p":{"S":"a"}}],"AttributesToGet":null,"ConsistentRead":false}}}"##,
    ),
    (
        "CreateTable",
        r##"{"TableName":"uuu","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"}],"KeySchema":[{"AttributeName":"p","KeyType":"HASH"}],"Tags":[{"Key":"a","Value":"b"}]}"##,
    ),
    ("DescribeTable", r##"{"TableName":"arn:aws:dynamodb:us-east-1:000000000000:table/ttt"}"##),
];

/// Pieces that mean something somewhere.
const PIECES: &[&str] = &[
    "{", "}", "[", "]", "\"", ":", ",", "\\", "null", "true", "0", "-1", "1e999", "9", "(", ")", " AND ",
    " = ", "#a", ":v", "\\ud800", "\u{7f}", "\u{20ac}", "\r\n", "\n", " ", "S", "N", "{\"M\":", "arn:", "/",
    "=", ".", "\0",
];

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>, from: usize) {
        for _ in 0..=self.below(3) {
            let at = from + self.below(bytes.len() - from);
            let end = (at + self.below(12)).min(bytes.len());
            match self.below(4) {
                0 => bytes[at] = u8::try_from(self.below(256)).expect("a byte"),
                1 => drop(bytes.drain(at..end)),
                2 => drop(bytes.splice(at..at, PIECES[self.below(PIECES.len())].bytes())),
                _ => bytes.extend_from_within(at..end),
            }
            if bytes.len() <= from {
                return;
            }
        }
    }
}

#[test]
fn changed_bodies_are_answered() {
    with_server(RouterOptions::default(), |server| async move {
        let mut random = Random(11);
        let client = Client::connect(&server).await;
        client.call("CreateTable", &CALLS[7].1.replace("uuu", "ttt")).await;
        let mut statuses = [0u32; 2];
        for round in 0..3000 {
            let (operation, body) = CALLS[round % CALLS.len()];
            let mut body = body.as_bytes().to_vec();
            random.mutate(&mut body, 0);
            let head = String::from_utf8(request(operation, "")).expect("text");
            let head = head.replace("Content-Length: 0", &format!("Content-Length: {}", body.len()));
            client.send(&[head.as_bytes(), &body].concat()).await;
            let response = client.response(true).await.expect("well-formed requests keep the connection");
            assert!(matches!(response.status, 200 | 400), "{response:?}");
            serde_json::from_str::<serde_json::Value>(&response.body).expect("answers are JSON");
            statuses[usize::from(response.status != 200)] += 1;
        }
        assert!(statuses[0] > 100 && statuses[1] > 1000, "both kinds of answers are tried: {statuses:?}");
    });
}

#[test]
fn changed_requests_are_answered_or_closed() {
    with_server(RouterOptions::default(), |server| async move {
        let mut random = Random(12);
        for round in 0..600 {
            let (operation, body) = CALLS[round % CALLS.len()];
            let mut bytes = request(operation, body);
            random.mutate(&mut bytes, 0);
            // A request that became shorter is completed by the next, and that one is refused or answered.
            bytes.extend_from_slice(b"\r\n\r\nGET / HTTP/1.0\r\n\r\n");
            let client = Client::connect(&server).await;
            client.send(&bytes).await;
            let mut answers = 0;
            while let Some(response) = client.response(true).await {
                assert!((200..600).contains(&response.status));
                answers += 1;
            }
            assert!(answers > 0, "{}", String::from_utf8_lossy(&bytes));
        }
        assert_eq!(Client::connect(&server).await.call("ListTables", "{}").await.status, 200);
    });
}
