//! Bodies that mean harm: each is answered at once with the right error, in a small answer, and nobody else notices.

use router::RouterOptions;
use serde_json::Value;

use crate::world::{Client, Response, request, with_server};

/// What an answer may repeat of a request, whatever it was.
const ANSWER_BYTES_MAX: usize = 512 << 10;

/// A body with an operation, and what the answer must say.
struct Case {
    what: &'static str,
    operation: &'static str,
    body: Vec<u8>,
    code: &'static str,
    message: &'static str,
}

fn case(
    what: &'static str,
    operation: &'static str,
    body: impl Into<Vec<u8>>,
    [code, message]: [&'static str; 2],
) -> Case {
    Case { what, operation, body: body.into(), code, message }
}

const MALFORMED: [&str; 2] = ["SerializationException", ""];

fn cases() -> Vec<Case> {
    let put = |value: &str| format!(r#"{{"TableName":"ttt","Item":{{"p":{{"S":"k"}},"v":{value}}}}}"#);
    let nested = |levels: usize| r#"{"M":{"a":"#.repeat(levels) + r#"{"S":"x"}"# + &"}}".repeat(levels);
    let update = |text: &str| {
        format!(r#"{{"TableName":"ttt","Key":{{"p":{{"S":"k"}}}},"UpdateExpression":"{text}"}}"#)
    };
    let placeholders = |entry: &dyn Fn(usize) -> String| (0..10_000).map(entry).collect::<Vec<_>>().join(",");
    let names = placeholders(&|index| format!(r##""#n{index}":"a{index}""##));
    let values = placeholders(&|index| format!(r#"":v{index}":{{"N":"{index}"}}"#));
    let given = |names: &str, values: &str| {
        format!(
            r#"{{"TableName":"ttt","Key":{{"p":{{"S":"k"}}}},"UpdateExpression":"SET a = :v0, #n0 = :v0",
                "ExpressionAttributeNames":{{{names}}},"ExpressionAttributeValues":{{{values}}}}}"#
        )
    };
    let number = ["ValidationException", "Number overflow"];
    let digits = ["ValidationException", "more than 38 significant digits"];
    let expression = ["ValidationException", "Expression size has exceeded the maximum allowed size"];
    vec![
        case("arrays to the sky", "PutItem", put(&"[".repeat(1 << 20)), MALFORMED),
        case("objects to the sky", "PutItem", put(&r#"{"M":{"a":"#.repeat(100_000)), MALFORMED),
        case("a list too deep", "PutItem", put(&nested(33)), ["ValidationException", "Nesting Levels"]),
        case("an unknown member too deep", "PutItem", format!(r#"{{"X":{}"#, "[".repeat(1 << 20)), MALFORMED),
        case("a large exponent", "PutItem", put(r#"{"N":"1E1000000"}"#), number),
        case("an exponent beyond integers", "PutItem", put(r#"{"N":"1E99999999999999999999"}"#), number),
        case(
            "a number of a megabyte",
            "PutItem",
            put(&format!(r#"{{"N":"{}"}}"#, "7".repeat(1 << 20))),
            number,
        ),
        case("a hundred digits", "PutItem", put(&format!(r#"{{"N":"{}"}}"#, "7".repeat(100))), digits),
        case("zeros without end", "PutItem", put(&format!(r#"{{"N":"1{}"}}"#, "0".repeat(1 << 20))), number),
        case("an update of a megabyte", "UpdateItem", update(&"SET a = a + ".repeat(1 << 16)), expression),
        case(
            "parentheses without end",
            "UpdateItem",
            update(&format!("SET a = {}", "(".repeat(1 << 20))),
            expression,
        ),
        case(
            "ten thousand names",
            "UpdateItem",
            given(&names, r#"":v0":{"N":"1"}"#),
            [
                "ValidationException",
                "Value provided in ExpressionAttributeNames unused in expressions: keys: {",
            ],
        ),
        case(
            "ten thousand values",
            "UpdateItem",
            given(r##""#n0":"a0""##, &values),
            [
                "ValidationException",
                "Value provided in ExpressionAttributeValues unused in expressions: keys: {",
            ],
        ),
        case("bytes that are no UTF-8", "PutItem", broken(put(r#"{"S":"?"}"#)), MALFORMED),
        case("half a character", "PutItem", put(r#"{"S":"\ud83d"}"#), MALFORMED),
        case("a bare control character", "PutItem", put("{\"S\":\"a\nb\"}"), MALFORMED),
        case("two documents", "PutItem", put(r#"{"S":"x"}"#) + "{}", MALFORMED),
        case("nothing but spaces", "PutItem", " ".repeat(1 << 20), MALFORMED),
    ]
}

/// With a byte that UTF-8 does not have in place of the question mark.
fn broken(text: String) -> Vec<u8> {
    text.into_bytes().into_iter().map(|byte| if byte == b'?' { 0xFF } else { byte }).collect()
}

fn check(case: &Case, response: &Response) {
    let Case { what, code, message, .. } = case;
    assert_eq!(response.status, 400, "{what}: {}", response.body);
    assert!(response.body.len() <= ANSWER_BYTES_MAX, "{what}: {} bytes", response.body.len());
    let body: Value = serde_json::from_str(&response.body).expect("answers are JSON");
    let found = body["__type"].as_str().expect("a type");
    assert!(found.ends_with(&format!("#{code}")), "{what}: {}", response.body);
    let said = body.get("message").or(body.get("Message")).and_then(Value::as_str).unwrap_or_default();
    assert!(said.contains(message), "{what}: {said}");
}

#[test]
fn harmful_bodies_are_answered() {
    with_server(RouterOptions::default(), |server| async move {
        let client = Client::connect(&server).await;
        let table = r#"{"TableName":"ttt","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"}],"KeySchema":[{"AttributeName":"p","KeyType":"HASH"}]}"#;
        assert_eq!(client.call("CreateTable", table).await.status, 200);
        for case in cases() {
            let head = String::from_utf8(request(case.operation, "")).expect("text");
            let head = head.replace("Content-Length: 0", &format!("Content-Length: {}", case.body.len()));
            client.send(&[head.as_bytes(), &case.body].concat()).await;
            check(&case, &client.response(true).await.expect("the connection stays"));
            let next = client.call("PutItem", r#"{"TableName":"ttt","Item":{"p":{"S":"k"}}}"#).await;
            assert_eq!(next.status, 200, "after {}: {}", case.what, next.body);
        }
    });
}

/// As in DynamoDB, the last of several members with one name is the one that counts, at every level.
#[test]
fn of_a_name_given_twice_the_last_counts() {
    with_server(RouterOptions::default(), |server| async move {
        let client = Client::connect(&server).await;
        let table = r#"{"TableName":"ttt","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"}],"KeySchema":[{"AttributeName":"p","KeyType":"HASH"}]}"#;
        assert_eq!(client.call("CreateTable", table).await.status, 200);
        let put = r#"{"TableName":"none","Item":{"p":{"S":"other"}},"TableName":"ttt",
            "Item":{"p":{"S":"j"},"v":{"N":"1"},"m":{"M":{"a":{"S":"x"},"a":{"S":"y"}}},"p":{"S":"k"},"v":{"N":"2"}}}"#;
        assert_eq!(client.call("PutItem", put).await.status, 200);
        let get = client.call("GetItem", r#"{"TableName":"ttt","Key":{"p":{"S":"k"}}}"#).await;
        assert_eq!(get.body, r#"{"Item":{"m":{"M":{"a":{"S":"y"}}},"p":{"S":"k"},"v":{"N":"2"}}}"#);
    });
}
