use super::check;
use crate::http::Answer;

/// An answer of DynamoDB's kind.
fn answer(status: u16, body: &str) -> Answer {
    let headers = [
        ("x-amzn-RequestId", "A".repeat(52)),
        ("x-amz-crc32", crc32fast::hash(body.as_bytes()).to_string()),
        ("Content-Type", "application/x-amz-json-1.0".to_owned()),
    ];
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Answer { status, headers, body: body.as_bytes().to_vec() }
}

#[track_caller]
fn passes(expected: &str, status: u16, body: &str) {
    check(expected, &answer(status, body)).expect("it is as expected");
}

#[track_caller]
fn fails(expected: &str, status: u16, body: &str) {
    assert!(check(expected, &answer(status, body)).is_err(), "{expected} took {status} {body}");
}

#[test]
fn json_must_be_equal() {
    passes("{}", 200, "{}");
    passes(r#"{"a":1,"b":[true,null]}"#, 200, r#"{"b":[true,null],"a":1.0}"#);
    fails("{}", 400, "{}");
    fails("{}", 200, r#"{"a":1}"#);
    fails(r#"{"a":1}"#, 200, "{}");
    fails(r#"{"a":1}"#, 200, r#"{"a":2}"#);
    fails(r#"{"a":"1"}"#, 200, r#"{"a":1}"#);
    fails(r#"{"a":[1,2]}"#, 200, r#"{"a":[2,1]}"#);
    fails(r#"{"a":[1]}"#, 200, r#"{"a":[1,2]}"#);
    passes("", 200, "");
    fails("", 200, "{}");
}

#[test]
fn wildcards_take_what_varies_and_nothing_else() {
    passes(r#"{"a":"$any"}"#, 200, r#"{"a":{"b":1}}"#);
    fails(r#"{"a":"$any"}"#, 200, "{}");
    passes(r#"{"a":"$number"}"#, 200, r#"{"a":1.5}"#);
    fails(r#"{"a":"$number"}"#, 200, r#"{"a":"1.5"}"#);
    passes(r#"{"a":"x$anyz"}"#, 200, r#"{"a":"xyz"}"#);
    fails(r#"{"a":"x$anyz"}"#, 200, r#"{"a":"xy"}"#);
    fails(r#"{"a":"xy$anyyz"}"#, 200, r#"{"a":"xyz"}"#);
    passes(r#"{"a":"$uuid"}"#, 200, r#"{"a":"01234567-89ab-cdef-0123-456789abcdef"}"#);
    fails(r#"{"a":"$uuid"}"#, 200, r#"{"a":"0123456789ab-cdef-0123-456789abcdef00"}"#);
    fails(r#"{"a":"$text"}"#, 200, r#"{"a":""}"#);
    passes(r#"{"a":1,"$more":0}"#, 200, r#"{"a":1,"b":2}"#);
    fails(r#"{"a":1,"$more":0}"#, 200, r#"{"b":2}"#);
    passes(r#"{"a":["$unordered",1,2]}"#, 200, r#"{"a":[2,1]}"#);
    fails(r#"{"a":["$unordered",1,2]}"#, 200, r#"{"a":[2,2]}"#);
    fails(r#"{"a":["$unordered",1]}"#, 200, r#"{"a":[1,1]}"#);
    passes(r#"{"a":{"SS":["x","y"]}}"#, 200, r#"{"a":{"SS":["y","x"]}}"#);
    fails(r#"{"a":{"SS":["x","y"]}}"#, 200, r#"{"a":{"SS":["y"]}}"#);
}

const MISSING: &str =
    r#"{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","message":"not a"}"#;

#[test]
fn exceptions_have_type_status_and_message() {
    passes("ResourceNotFoundException: not a", 400, MISSING);
    passes("ResourceNotFoundException: not $any", 400, MISSING);
    fails("ResourceNotFoundException: not b", 400, MISSING);
    fails("ResourceNotFoundException: not a", 500, MISSING);
    fails("ResourceInUseException: not a", 400, MISSING);
    fails(r#"ResourceNotFoundException: not a | {"p":{"S":"a"}}"#, 400, MISSING);
    let wrong_place = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ValidationException","message":"a"}"#;
    fails("ValidationException: a", 400, wrong_place);
    let wrong_case = r#"{"__type":"com.amazon.coral.validate#ValidationException","Message":"a"}"#;
    fails("ValidationException: a", 400, wrong_case);
    let stranger = r#"{"__type":"com.amazon.coral.validate#ValidationException","message":"a","x":1}"#;
    fails("ValidationException: a", 400, stranger);
}

#[test]
fn violations_come_in_any_order() {
    let body = r#"{"__type":"com.amazon.coral.validate#ValidationException",
        "message":"2 validation errors detected: Value x at y; Value z at w"}"#;
    passes("ValidationException: 2 validation errors detected: Value z at w; Value x at y", 400, body);
    fails("ValidationException: 2 validation errors detected: Value z at w; Value z at w", 400, body);
    fails("ValidationException: 1 validation error detected: Value z at w", 400, body);
    fails("ValidationException: 2 validation errors detected: Value z at w", 400, body);
}

#[test]
fn each_answer_has_its_frame() {
    let mut wrong = answer(200, "{}");
    wrong.body = b"{ }".to_vec();
    assert!(check("{}", &wrong).is_err(), "the checksum is of other bytes");
    for missing in 0..3 {
        let mut without = answer(200, "{}");
        without.headers.remove(missing);
        assert!(check("{}", &without).is_err(), "a header is missing");
    }
    let full = answer(200, "{}");
    assert!(check("header Content-Type: application/$any", &full).is_ok());
    assert!(check("header Content-Type: text/plain", &full).is_err());
    assert!(check("no header Content-Type", &full).is_err());
    assert!(check("no header Connection", &full).is_ok());
}
